//! The screens: what each is about, what it may read while drawing, and the state of its view.
//!
//! Owns [`Screen`], [`Ctx`] and the view states. A screen is a module with
//!
//! ```text
//! pub const SORTS: &[&str]                                              // sortable screens: columns, the default first
//! pub fn rows(ctx: &Ctx, view: &XView) -> Vec<Row<K>>                   // pure: filtered and sorted, for moving the selection
//! pub fn draw(frame: &mut Frame, area: Rect, ctx: &Ctx, view: &mut XView)
//! ```
//!
//! The model calls `rows` when the snapshot, the filter, the sort or the unfolded nodes changed and keeps the result in the
//! view's list; `draw` reads that list, builds only the rows that are visible, and writes nothing but scroll positions and
//! `page` (how many rows were visible). Drawing does no I/O, takes no lock and reads no clock: "now" is `ctx.now`.

pub mod capacity;
pub mod checkpoints;
pub mod cluster;
mod cluster_words;
pub mod decision;
pub mod decisions;
#[cfg(test)]
#[path = "screens/tests.rs"]
mod drawn;
pub mod events;
pub mod fleet;
pub mod job;
pub mod log;
pub mod memory;
pub mod operations;
pub mod ownership;
mod parts;
pub mod plan;
pub mod pod_log;
pub mod pods;
pub mod problems;
pub mod resource;
mod series;
pub mod task_managers;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::decision::DecisionId;
use crate::domain::ids::{ClusterKey, JobKey, VertexId};
use crate::domain::plan::PlanId;
use crate::domain::snapshot::Snapshot;

use super::filter::Filter;
use super::format;
use super::theme::Theme;

pub use capacity::CapacityScreenView;
pub use cluster::ClusterScreenView;
pub use events::EventsView;
pub use ownership::OwnershipScreenView;
pub use parts::ownership as owner;
pub use pod_log::{PodKey, PodLogView};
pub use pods::PodsView;
pub use resource::ResourceScreenView;

/// What a frame may read.
#[derive(Debug, Clone, Copy)]
pub struct Ctx<'a> {
    /// What is known (the frozen one while paused).
    pub snapshot: &'a Snapshot,
    /// How things look.
    pub theme: &'a Theme,
    /// The frame's instant. While paused it still moves: ages of a frozen picture grow.
    pub now: Timestamp,
    /// Absolute times are shown in UTC instead of local time.
    pub utc: bool,
    /// The filter of this screen.
    pub filter: &'a Filter,
    /// The filter as typed: what is searched for where lines of text are shown.
    pub typed: &'a str,
    /// Since when the picture is frozen by the user.
    pub frozen: Option<Timestamp>,
    /// When the next label of this frame will read differently. The loop sleeps until then.
    pub next: &'a NextChange,
}

impl Ctx<'_> {
    /// The age of something observed at `at`, as text. Arms the next frame for when the text will change: every text that
    /// depends on `now` must come from here or from [`Ctx::left`], or call [`NextChange::at`] itself.
    pub fn age(&self, at: Timestamp) -> String {
        let age = (self.now - at).to_std().unwrap_or(Duration::ZERO);
        let step = format::age_step(age).as_millis().max(1);
        let rest = step - age.as_millis() % step;
        let rest = chrono::TimeDelta::milliseconds(i64::try_from(rest).unwrap_or(1000));
        self.next.at(at.max(self.now) + rest);
        format::age(age)
    }

    /// The time left until `until`, as text, rounded up; `0s` when it has passed. Arms the next frame as [`Ctx::age`] does.
    pub fn left(&self, until: Timestamp) -> String {
        let left = (until - self.now).to_std().unwrap_or(Duration::ZERO);
        if left.is_zero() {
            return format::age(left);
        }
        let seconds = left.as_millis().div_ceil(1000).max(1);
        let up = Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX));
        // The text changes one second below the present multiple of its step.
        let step = format::age_step(up).as_secs();
        let floor = Duration::from_secs((up.as_secs() / step * step).saturating_sub(1));
        let rest = left.saturating_sub(floor).max(Duration::from_millis(1));
        self.next.at(self.now + rest);
        format::age(up)
    }
}

/// The earliest instant at which some label of a frame will read differently, collected while drawing.
#[derive(Debug, Default)]
pub struct NextChange(Cell<Option<Timestamp>>);

impl NextChange {
    /// A label will read differently at `when`.
    pub fn at(&self, when: Timestamp) {
        self.0.set(Some(self.0.get().map_or(when, |already| already.min(when))));
    }

    /// The earliest instant that was told.
    pub fn get(&self) -> Option<Timestamp> {
        self.0.get()
    }
}

/// A place to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Screen {
    /// All jobs, worst first.
    Fleet,
    /// One job: graph, vertices, charts.
    Job(JobKey),
    /// Memory pools of the job's TaskManagers.
    Memory(JobKey),
    /// Exceptions of the job.
    Problems(JobKey),
    /// Checkpoints of the job.
    Checkpoints(JobKey),
    /// TaskManagers of a cluster, reached from a job or from the row of a session cluster.
    TaskManagers(JobKey),
    /// Pods of a job's cluster.
    Pods(JobKey),
    /// The log of a pod.
    PodLog(PodKey),
    /// Events of a job, its cluster and its pods.
    Events(JobKey),
    /// Events of everything that is looked at.
    AllEvents,
    /// Spec and status of a job's resource.
    Resource(JobKey),
    /// Who scales a job, and who else writes its fields.
    Ownership(JobKey),
    /// Nodes of Kubernetes clusters and who uses them.
    Capacity,
    /// How Kubernetes clusters are seen: operator, watches, rights.
    Cluster,
    /// All decisions.
    Decisions,
    /// One decision.
    Decision(DecisionId),
    /// All plans that were begun.
    Operations,
    /// One plan.
    Plan(PlanId),
    /// The program's own log.
    Log,
}

impl Screen {
    /// Its name in breadcrumbs and help.
    pub fn title(&self) -> &'static str {
        match self {
            Self::Fleet => "Fleet",
            Self::Job(_) => "Job",
            Self::Memory(_) => "Memory",
            Self::Problems(_) => "Problems",
            Self::Checkpoints(_) => "Checkpoints",
            Self::TaskManagers(_) => "TaskManagers",
            Self::Pods(_) => "Pods",
            Self::PodLog(_) => "Pod log",
            Self::Events(_) => "Events",
            Self::AllEvents => "All events",
            Self::Resource(_) => "Resource",
            Self::Ownership(_) => "Ownership",
            Self::Capacity => "Capacity",
            Self::Cluster => "Kubernetes",
            Self::Decisions => "Decisions",
            Self::Decision(_) => "Decision",
            Self::Operations => "Operations",
            Self::Plan(_) => "Operation",
            Self::Log => "Log",
        }
    }

    /// Its filter is a text to find in lines, not conditions.
    pub fn searches(&self) -> bool {
        matches!(self, Self::PodLog(_) | Self::Resource(_))
    }

    /// The job it is about, if it is about one.
    pub fn job(&self) -> Option<&JobKey> {
        match self {
            Self::Job(key)
            | Self::Memory(key)
            | Self::Problems(key)
            | Self::Checkpoints(key)
            | Self::TaskManagers(key)
            | Self::Pods(key)
            | Self::Events(key)
            | Self::Resource(key)
            | Self::Ownership(key)
            | Self::PodLog(PodKey { job: key, .. }) => Some(key),
            Self::Fleet
            | Self::AllEvents
            | Self::Capacity
            | Self::Cluster
            | Self::Decisions
            | Self::Decision(_)
            | Self::Operations
            | Self::Plan(_)
            | Self::Log => None,
        }
    }
}

/// One row: its identity, and where in its collection it stood when the rows were made (an index to be verified).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<K> {
    /// Identity.
    pub key: K,
    /// Index in the collection it came from (`snapshot.jobs`, `snapshot.decisions`, …).
    pub at: usize,
}

/// A sort order: an index into the screen's `SORTS`, and whether it is turned round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sort {
    /// The column; 0 is the screen's default.
    pub column: usize,
    /// The other way round than the column's natural order (worst, largest or first first).
    pub reversed: bool,
}

/// Rows with a selection by identity.
#[derive(Debug, Clone, PartialEq)]
pub struct List<K> {
    /// The rows as filtered and sorted, made by the screen's `rows`.
    pub rows: Vec<Row<K>>,
    /// The selected row's identity.
    pub selected: Option<K>,
    /// Index of the selected row among `rows` when it was last found.
    pub index: usize,
    /// First visible row; kept by `draw`.
    pub offset: usize,
    /// Rows that were visible in the last frame; kept by `draw`, used for half-page moves.
    pub page: usize,
    /// The order.
    pub sort: Sort,
}

impl<K> Default for List<K> {
    fn default() -> Self {
        Self { rows: Vec::new(), selected: None, index: 0, offset: 0, page: 0, sort: Sort::default() }
    }
}

impl<K: Clone + PartialEq> List<K> {
    /// Takes new rows. The selection stays with its identity; if that is gone, the selection moves to the row at its place and
    /// the lost identity is returned.
    pub fn set(&mut self, rows: Vec<Row<K>>) -> Option<K> {
        self.rows = rows;
        let found = self.selected.as_ref().and_then(|key| self.rows.iter().position(|row| row.key == *key));
        if let Some(index) = found {
            self.index = index;
            return None;
        }
        let lost = self.selected.take();
        self.select(self.index);
        lost
    }

    /// Takes new rows of a list that grows at its top: a selection on the first row stays on the first row.
    pub fn set_top(&mut self, rows: Vec<Row<K>>) -> Option<K> {
        if self.index == 0 {
            self.selected = None;
        }
        self.set(rows)
    }

    /// Selects the row at `index`, or the last one.
    pub fn select(&mut self, index: usize) {
        self.index = index.min(self.rows.len().saturating_sub(1));
        self.selected = self.rows.get(self.index).map(|row| row.key.clone());
    }

    /// Moves the selection by `by` rows, stopping at both ends.
    pub fn move_by(&mut self, by: isize) {
        self.select(self.index.saturating_add_signed(by));
    }

    /// Selects the row with this identity, if it is there.
    pub fn select_key(&mut self, key: &K) -> bool {
        let found = self.rows.iter().position(|row| row.key == *key);
        if let Some(index) = found {
            self.select(index);
        }
        found.is_some()
    }

    /// The rows to draw in `height` lines, with the index of the first: scrolls so that the selection is visible, and remembers
    /// offset and page. To be called by `draw` before it builds rows.
    pub fn window(&mut self, height: usize) -> (usize, &[Row<K>]) {
        self.page = height;
        if height == 0 {
            return (0, &[]);
        }
        let last_offset = self.rows.len().saturating_sub(height);
        self.offset = self.offset.min(last_offset).min(self.index).max((self.index + 1).saturating_sub(height));
        let end = (self.offset + height).min(self.rows.len());
        (self.offset, self.rows.get(self.offset..end).unwrap_or_default())
    }
}

/// A position in text that is longer than its pane. `draw` clamps `offset` and sets `page` and `len`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scroll {
    /// First visible line.
    pub offset: usize,
    /// Lines that were visible in the last frame.
    pub page: usize,
    /// Lines in all.
    pub len: usize,
}

impl Scroll {
    /// Moves by `by` lines, stopping at both ends.
    pub fn move_by(&mut self, by: isize) {
        self.offset = self.offset.saturating_add_signed(by).min(self.len.saturating_sub(self.page));
    }

    /// Takes what `draw` knows: the length of the text and the lines there are for it.
    pub fn fit(&mut self, len: usize, page: usize) {
        (self.len, self.page) = (len, page);
        self.offset = self.offset.min(len.saturating_sub(page));
    }
}

/// View of the fleet.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FleetView {
    /// Jobs.
    pub list: List<JobKey>,
    /// Jobs that are marked for an operation.
    pub marked: BTreeSet<JobKey>,
}

/// Which pane of the job screen has the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JobPane {
    /// Vertices: table or graph; the selection moves.
    #[default]
    Vertices,
    /// Subtasks of the selected vertex; the text scrolls.
    Subtasks,
    /// The last turn's reason and explanation; the tree moves.
    Explanation,
}

impl JobPane {
    /// All panes, in the order of the tab key.
    pub const ALL: [Self; 3] = [Self::Vertices, Self::Subtasks, Self::Explanation];

    /// The pane after this one.
    pub fn next(self) -> Self {
        match self {
            Self::Vertices => Self::Subtasks,
            Self::Subtasks => Self::Explanation,
            Self::Explanation => Self::Vertices,
        }
    }
}

/// What the chart of the job screen shows of the selected vertex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChartMetric {
    /// Capacity (true processing rate) against target and thresholds.
    #[default]
    Rate,
    /// Utilization against its band.
    Utilization,
    /// Pending records.
    Lag,
}

impl ChartMetric {
    /// The metric after this one.
    pub fn next(self) -> Self {
        match self {
            Self::Rate => Self::Utilization,
            Self::Utilization => Self::Lag,
            Self::Lag => Self::Rate,
        }
    }
}

/// View of one job.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JobScreenView {
    /// Vertices, in topological order; the selected one is the selected vertex.
    pub list: List<VertexId>,
    /// The pane with the keys.
    pub pane: JobPane,
    /// The pane with the keys takes the whole screen.
    pub expanded: bool,
    /// What the chart shows.
    pub metric: ChartMetric,
    /// Subtasks.
    pub subtasks: Scroll,
    /// The explanation of the last turn.
    pub tree: TreeView,
}

/// Place of a node in an explanation: the index at each level, from the top.
pub type NodePath = Vec<u16>;

/// View of an explanation tree.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TreeView {
    /// The visible nodes from top to bottom (`Row::at` is the depth).
    pub list: List<NodePath>,
    /// Nodes that are unfolded.
    pub unfolded: BTreeSet<NodePath>,
}

/// View of memory pools.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MemoryView {
    /// TaskManagers by id.
    pub list: List<String>,
    /// Where there is no room for both, the advice takes the place of the pools.
    pub advice: bool,
}

/// Identity of a problem: when, and which task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProblemKey {
    /// When.
    pub at: Timestamp,
    /// The task, if known.
    pub task: Option<String>,
    /// Class of the deepest cause.
    pub class: String,
}

/// View of problems.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProblemsScreenView {
    /// Problems, newest first.
    pub list: List<ProblemKey>,
    /// The stack trace of the selected one is shown in full.
    pub open: bool,
    /// Position in the stack trace.
    pub stack: Scroll,
}

/// View of checkpoints.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CheckpointsScreenView {
    /// Checkpoints by Flink's number, newest first.
    pub list: List<u64>,
    /// Details of the selected one are shown.
    pub open: bool,
}

/// View of TaskManagers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskManagersView {
    /// TaskManagers by id.
    pub list: List<String>,
}

/// View of all decisions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DecisionsView {
    /// Decisions: what waits first.
    pub list: List<DecisionId>,
}

/// View of one decision.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DecisionView {
    /// The explanation.
    pub tree: TreeView,
    /// The part above the tree, where it does not fit.
    pub scroll: Scroll,
}

/// View of the log. The state of the widget is shared by clones, as `tui-logger` does it.
#[derive(Default)]
pub struct LogView {
    /// State of the log widget.
    pub state: tui_logger::TuiWidgetState,
}

/// The cluster of a job.
pub fn cluster_of(ctx: &Ctx, job: &JobKey) -> Option<ClusterKey> {
    ctx.snapshot.job(job).map(|job| job.cluster.clone())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_age_or_a_countdown_arms_the_frame_for_when_its_text_changes() {
        let start = Timestamp::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let theme = Theme::plain();
        let (snapshot, filter) = (Snapshot::empty(start), Filter::default());
        let at = |millis: i64| start + chrono::TimeDelta::milliseconds(millis);
        let read = |now: Timestamp, label: &dyn Fn(&Ctx) -> String| {
            let next = NextChange::default();
            let (snapshot, theme, filter) = (&snapshot, &theme, &filter);
            let text = label(&Ctx { snapshot, theme, now, utc: true, filter, typed: "", frozen: None, next: &next });
            (text, next.get())
        };
        let age = |ctx: &Ctx| ctx.age(start);
        assert_eq!(read(at(1_250), &age), ("1s".to_owned(), Some(at(2_000))));
        assert_eq!(read(at(-500), &age), ("0s".to_owned(), Some(at(1_000))));
        assert_eq!(read(at(3_601_000), &age), ("1h00m".to_owned(), Some(at(3_660_000))));
        let left = |ctx: &Ctx| ctx.left(start);
        assert_eq!(read(at(-7_250), &left), ("8s".to_owned(), Some(at(-7_000))));
        assert_eq!(read(at(-7_000), &left), ("7s".to_owned(), Some(at(-6_000))));
        assert_eq!(read(at(10), &left), ("0s".to_owned(), None));
        for millis in (1..8_000_000).step_by(9_973) {
            let (text, next) = read(at(-millis), &left);
            let before = next.unwrap() - chrono::TimeDelta::milliseconds(1);
            assert_eq!(read(before.max(at(-millis)), &left).0, text, "{millis} ms left");
            assert_ne!(read(next.unwrap(), &left).0, text, "{millis} ms left");
        }
    }

    fn rows(keys: impl IntoIterator<Item = u32>) -> Vec<Row<u32>> {
        keys.into_iter().enumerate().map(|(at, key)| Row { key, at }).collect()
    }

    #[test]
    fn a_selection_follows_its_identity_and_says_when_it_is_gone() {
        let mut list = List::default();
        list.set(rows([1, 2, 3]));
        assert_eq!(list.selected, Some(1));
        list.select(1);
        assert_eq!(list.set(rows([9, 8, 3, 2])), None);
        assert_eq!((list.selected, list.index), (Some(2), 3));
        assert_eq!(list.set(rows([9, 8])), Some(2));
        assert_eq!((list.selected, list.index), (Some(8), 1));
        assert_eq!(list.set(Vec::new()), Some(8));
        assert_eq!(list.selected, None);
        assert_eq!(list.set(rows([5])), None);
        assert_eq!(list.selected, Some(5));
    }

    proptest! {
        #[test]
        fn the_selected_row_is_always_visible(
            len in 0usize..200, height in 0usize..60, moves in prop::collection::vec(-250isize..250, 0..20), offset in 0usize..300
        ) {
            let mut list = List { offset, ..List::default() };
            list.set(rows(0..u32::try_from(len).unwrap()));
            for by in moves {
                list.move_by(by);
                let index = list.index;
                let (first, shown) = list.window(height);
                prop_assert!(shown.len() <= height);
                if len > 0 && height > 0 {
                    prop_assert!((first..first + shown.len()).contains(&index));
                    prop_assert_eq!(shown.len(), height.min(len));
                }
            }
        }
    }
}
