//! The model: everything the screen shows and every key changes. One task owns it; drawing reads it.
//!
//! Owns the newest snapshot and the shown one (they differ while paused), where the user is, the views, overlays, toasts, the
//! keys pressed so far and the commands under way. It is changed by [`update`](super::update::update) alone.

mod places;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::command::{Command, CommandId, Interest};
use crate::domain::decision::{Decision, DecisionId, DecisionState};
use crate::domain::health::Severity;
use crate::domain::ids::JobKey;
use crate::domain::job::{JobView, Mode, Ownership};
use crate::domain::plan::PlanId;
use crate::domain::pods::LogQuery;
use crate::domain::snapshot::{Snapshot, SourceState};

use super::action::{Action, Unavailable};
use super::event::Key;
use super::filter::Filter;
use super::keymap::Keymap;
use super::overlays::Overlay;
use super::screens::{Ctx, NextChange, PodKey, Screen, fleet, pod_log};
use super::theme::{Slot, Theme};

pub use places::{Places, Views};

/// Toasts that are kept at most.
const TOASTS: usize = 4;
/// How long a toast stays.
const TOAST_TIME: Duration = Duration::from_secs(5);
/// How long a toast about something that failed stays.
const LONG_TOAST_TIME: Duration = Duration::from_secs(12);

/// How urgently a frame is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Owed {
    /// Nothing visible changed.
    #[default]
    Nothing,
    /// Data changed: with the next frame of at most 30 a second.
    Data,
    /// The user did something: at once.
    Now,
}

/// What the program is started with.
#[derive(Debug)]
pub struct Setup {
    /// All themes; the first is shown.
    pub themes: Vec<Theme>,
    /// The keys.
    pub keymap: Keymap,
    /// Times in UTC instead of local time.
    pub utc: bool,
    /// The mouse wheel is used.
    pub mouse: bool,
    /// What was wrong at the start and should be seen.
    pub warnings: Vec<String>,
}

/// A passing message. It never takes the focus.
#[derive(Debug, Clone, PartialEq)]
pub struct Toast {
    /// What it says.
    pub text: String,
    /// How it looks.
    pub slot: Slot,
    /// When it goes, in monotonic time.
    pub until: Duration,
}

/// The filter of one screen, as typed and as parsed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FilterState {
    /// As typed.
    pub text: String,
    /// The last text that could be parsed.
    pub parsed: Filter,
    /// Why the text cannot be parsed.
    pub error: Option<String>,
}

/// A command that this program gave and whose end was not seen yet.
#[derive(Debug, Clone, PartialEq)]
pub struct InFlight {
    /// The command.
    pub command: Command,
    /// What it is.
    pub action: Action,
    /// What it is about, for people: `redeploy orders`.
    pub what: String,
    /// The job that its plan touches, if it is about one.
    pub plan_on: Option<JobKey>,
    /// The last stage that was seen in a snapshot.
    pub stage: Option<&'static str>,
}

impl InFlight {
    /// It is about a plan.
    pub fn is_of_plan(&self) -> bool {
        matches!(self.command.intent, crate::domain::command::Intent::Plan(_))
    }
}

/// Counters of the program itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Frames drawn.
    pub frames: u64,
    /// Events handled.
    pub events: u64,
    /// Snapshots taken.
    pub snapshots: u64,
    /// How long the last frame took.
    pub last_draw: Duration,
    /// How long the longest frame took.
    pub longest_draw: Duration,
}

/// What the header counts, so that jobs outside the window cost a frame nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    /// Jobs that scale by themselves.
    pub auto: usize,
    /// Jobs per severity, in its order.
    severities: [usize; Severity::Critical as usize + 1],
    /// Decisions that wait for a person.
    pub waiting: usize,
}

impl Tally {
    fn of(snapshot: &Snapshot) -> Self {
        let mut tally = Self::default();
        for job in &snapshot.jobs {
            tally.auto += usize::from(job.mode == Mode::Auto);
            tally.severities[job.health.word.severity() as usize] += 1;
        }
        tally.waiting = snapshot.decisions.iter().filter(|d| d.state == DecisionState::Pending).count();
        tally
    }

    /// Jobs that are so bad.
    pub fn jobs(&self, severity: Severity) -> usize {
        self.severities[severity as usize]
    }
}

/// Everything the screen shows and every key changes.
pub struct Model {
    pub(super) now: Timestamp,
    pub(super) monotonic: Duration,
    /// Columns and lines of the terminal.
    pub(super) size: (u16, u16),
    latest: Arc<Snapshot>,
    shown: Arc<Snapshot>,
    /// Counts over what is shown, taken when it comes and not in every frame.
    pub(super) tally: Tally,
    pub(super) frozen: Option<Timestamp>,
    pub(super) loop_ended: bool,
    pub(super) places: Places,
    pub(super) views: Views,
    pub(super) filters: BTreeMap<&'static str, FilterState>,
    pub(super) overlays: Vec<Overlay>,
    pub(super) pending: Vec<Key>,
    pub(super) toasts: VecDeque<Toast>,
    pub(super) in_flight: Vec<InFlight>,
    next_command: u64,
    /// Plans that were found unfinished and offered once.
    pub(super) offered: std::collections::BTreeSet<PlanId>,
    pub(super) interest: Interest,
    pub(super) focused: bool,
    /// Somebody pressed a key. Until then nobody has chosen the row under the cursor, and it stays on the worst one.
    pub(super) touched: bool,
    pub(super) themes: Vec<Theme>,
    pub(super) theme: usize,
    pub(super) keymap: Keymap,
    pub(super) utc: bool,
    pub(super) mouse: bool,
    pub(super) show_counters: bool,
    /// Counters of the program itself.
    pub counters: Counters,
    owed: Owed,
    /// When a label of the last frame will read differently.
    pub(super) next_label: Option<Timestamp>,
    no_filter: FilterState,
}

impl Model {
    /// A model that shows `snapshot` on the fleet.
    pub fn new(setup: Setup, snapshot: Arc<Snapshot>, now: Timestamp, monotonic: Duration) -> Self {
        let themes = if setup.themes.is_empty() { vec![Theme::plain()] } else { setup.themes };
        let mut model = Self {
            now,
            monotonic,
            size: (80, 24),
            latest: Arc::clone(&snapshot),
            tally: Tally::of(&snapshot),
            shown: snapshot,
            frozen: None,
            loop_ended: false,
            places: Places::default(),
            views: Views::default(),
            filters: BTreeMap::new(),
            overlays: Vec::new(),
            pending: Vec::new(),
            toasts: VecDeque::new(),
            in_flight: Vec::new(),
            next_command: 1,
            offered: std::collections::BTreeSet::new(),
            interest: Interest::default(),
            focused: true,
            touched: false,
            themes,
            theme: 0,
            keymap: setup.keymap,
            utc: setup.utc,
            mouse: setup.mouse,
            show_counters: false,
            counters: Counters::default(),
            owed: Owed::Now,
            next_label: None,
            no_filter: FilterState::default(),
        };
        for warning in setup.warnings {
            model.toast_long(Slot::Warning, warning);
        }
        model.refresh_rows();
        model
    }

    // --- what is known ---

    /// The newest snapshot.
    pub fn latest(&self) -> &Arc<Snapshot> {
        &self.latest
    }

    /// The snapshot that is shown: the newest, or the frozen one.
    pub fn shown(&self) -> &Arc<Snapshot> {
        &self.shown
    }

    /// Since when the picture is frozen.
    pub fn frozen(&self) -> Option<Timestamp> {
        self.frozen
    }

    /// The control loop has ended; nothing new will come.
    pub fn loop_ended(&self) -> bool {
        self.loop_ended
    }

    /// Takes a newer snapshot, and shows it unless the picture is frozen.
    pub(super) fn take(&mut self, snapshot: Arc<Snapshot>) {
        self.latest = snapshot;
        if self.frozen.is_none() {
            self.show_latest();
        }
    }

    fn show_latest(&mut self) {
        self.shown = Arc::clone(&self.latest);
        self.tally = Tally::of(&self.shown);
    }

    /// Freezes the picture, or shows the newest again.
    pub(super) fn set_frozen(&mut self, frozen: bool) {
        self.frozen = frozen.then_some(self.now);
        if !frozen {
            self.show_latest();
        }
    }

    // --- where we are ---

    /// The screen in front.
    pub fn screen(&self) -> &Screen {
        self.places.screen()
    }

    /// The job in question: the screen's, or the selected one.
    pub fn job(&self) -> Option<&Arc<JobView>> {
        match self.screen() {
            Screen::Fleet => self.shown.job(self.views.fleet.list.selected.as_ref()?),
            Screen::Decisions | Screen::Decision(_) => self.shown.job(&self.decision()?.target.job),
            Screen::Operations | Screen::Plan(_) => self.shown.job(self.plan()?.target.job.as_ref()?),
            Screen::Log | Screen::AllEvents | Screen::Capacity | Screen::Cluster => None,
            screen => self.shown.job(screen.job()?),
        }
    }

    /// The decision in question: the screen's, the selected one, or that of the job.
    pub fn decision(&self) -> Option<&Arc<Decision>> {
        match self.screen() {
            Screen::Decisions => self.shown.decision(self.views.decisions.list.selected?),
            Screen::Decision(id) => self.shown.decision(*id),
            Screen::Fleet => self.shown.decision_of(self.views.fleet.list.selected.as_ref()?),
            Screen::Operations | Screen::Plan(_) => self.shown.decision_of(&self.job()?.key),
            Screen::Log | Screen::AllEvents | Screen::Capacity | Screen::Cluster => None,
            screen => self.shown.decision_of(screen.job()?),
        }
    }

    /// A row is selected on this screen.
    pub fn has_selection(&self) -> bool {
        match self.screen() {
            Screen::Fleet => self.views.fleet.list.selected.is_some(),
            Screen::Decisions => self.views.decisions.list.selected.is_some(),
            Screen::Pods(_) => self.views.pods.view.list.selected.is_some(),
            Screen::Operations => self.views.operations.list.selected.is_some(),
            _ => true,
        }
    }

    /// Esc has something to leave.
    pub fn can_go_back(&self) -> bool {
        !self.filter().text.is_empty() || self.views.is_inside(self.screen()) || self.places.depth() > 1
    }

    /// There is a view before this one.
    pub fn has_last_view(&self) -> bool {
        self.places.last.is_some()
    }

    /// The history goes back from here.
    pub fn has_earlier(&self) -> bool {
        !self.places.earlier.is_empty()
    }

    /// The history goes on from here.
    pub fn has_later(&self) -> bool {
        !self.places.later.is_empty()
    }

    /// The filter of this screen.
    pub fn filter(&self) -> &FilterState {
        self.filters.get(self.screen().title()).unwrap_or(&self.no_filter)
    }

    /// Sets the filter of this screen; a text that cannot be parsed keeps the last one that could.
    pub(super) fn set_filter(&mut self, text: &str) {
        let state = self.filters.entry(self.places.screen().title()).or_default();
        text.clone_into(&mut state.text);
        let searches = self.places.screen().searches();
        match Filter::parse(if searches { "" } else { text }) {
            Ok(parsed) => {
                state.parsed = parsed;
                state.error = None;
            }
            Err(error) => state.error = Some(error),
        }
        self.refresh_rows();
    }

    // --- what can be done ---

    /// Whether anything beyond looking is allowed now.
    ///
    /// # Errors
    /// Why not.
    pub fn may_act(&self) -> Result<(), Unavailable> {
        if self.latest.read_only {
            Err(Unavailable("read-only: nothing may be written".into()))
        } else if self.loop_ended {
            Err(Unavailable("the control loop has ended".into()))
        } else if self.too_small(self.size.0, self.size.1) {
            Err(Unavailable("the terminal is too small to show what would be confirmed".into()))
        } else if self.frozen.is_some() {
            let key = self.keymap.key_text(Action::Pause);
            Err(Unavailable(format!("the picture is frozen; {key} goes on").into()))
        } else {
            Ok(())
        }
    }

    /// What is under way on this decision, if something is.
    pub fn in_flight_on(&self, decision: DecisionId) -> Option<&'static str> {
        use crate::domain::command::Intent;
        self.in_flight.iter().find_map(|flight| match &flight.command.intent {
            Intent::Approve { decision: of }
            | Intent::Reject { decision: of, .. }
            | Intent::Reduce { decision: of }
            | Intent::Snooze { decision: of, .. }
                if *of == decision =>
            {
                Some(flight.action.id())
            }
            _ => None,
        })
    }

    /// Some source does not answer: asking again now is worth something also without a job.
    pub fn some_source_is_lost(&self) -> bool {
        self.latest().sources.iter().any(|source| matches!(source.state, SourceState::Lost { .. }))
    }

    /// Jobs on screen that have numbers only while somebody looks: no loop reads them.
    fn rows_on_screen(&self) -> Vec<JobKey> {
        let list = &self.views.fleet.list;
        let shown = list.rows.iter().skip(list.offset).take(list.page);
        let jobs = shown.filter_map(|row| self.shown.job(&row.key));
        let unread = jobs.filter(|job| job.mode == Mode::Off || !matches!(job.ownership, Ownership::Pilot { .. }));
        let mut keys: Vec<JobKey> = unread.map(|job| job.key.clone()).collect();
        keys.sort();
        keys
    }

    /// The log that is on screen. A filter that is still being typed is not read for: it narrows what was read.
    fn log_on_screen(&self) -> Option<LogQuery> {
        let Screen::PodLog(key) = self.screen() else { return None };
        let source = self.shown.job(&key.job)?.source.clone();
        let filter = match self.overlay() {
            Some(Overlay::Filter { before, .. }) => before,
            _ => &self.filter().text,
        };
        let next = NextChange::default();
        Some(pod_log::query(&self.ctx(&next), key, &self.views.pod_log.view, source, filter))
    }

    /// The selected row is a FlinkBlueGreenDeployment, which is only to look at.
    pub fn on_blue_green(&self) -> bool {
        matches!(self.screen(), Screen::Fleet)
            && self.views.fleet.list.selected.as_ref().is_some_and(|key| fleet::blue_green(&self.shown, key).is_some())
    }

    /// The pod whose log would be opened: the selected one, or the JobManager of the job.
    pub fn pod(&self) -> Option<PodKey> {
        if let Screen::PodLog(key) = self.screen() {
            return Some(key.clone());
        }
        let job = self.job()?;
        let pods = &self.shown.cluster(&job.cluster)?.pods.as_ref()?.value.pods;
        let pod = match self.screen() {
            Screen::Pods(_) => {
                let selected = self.views.pods.view.list.selected.as_ref()?;
                pods.iter().find(|pod| pod.name == *selected)?
            }
            _ => pods.first()?,
        };
        Some(PodKey { job: job.key.clone(), namespace: pod.namespace.clone(), pod: pod.name.clone() })
    }

    /// What a copy action would copy.
    pub fn copyable(&self, action: Action) -> Option<String> {
        if action == Action::CopyUrl {
            return self.shown.cluster(&self.job()?.cluster)?.ui_url.clone();
        }
        let id = action == Action::CopyId;
        match self.screen() {
            Screen::Decisions | Screen::Decision(_) if id => Some(self.decision()?.id.to_string()),
            Screen::Operations | Screen::Plan(_) if id => Some(self.plan()?.id.to_string()),
            Screen::Operations | Screen::Plan(_) if action == Action::CopyName => {
                Some(self.plan()?.target.name.clone())
            }
            Screen::Memory(_) => self.views.memory.view.list.selected.clone(),
            Screen::TaskManagers(_) => self.views.task_managers.view.list.selected.clone(),
            Screen::Pods(_) => self.views.pods.view.list.selected.clone(),
            Screen::PodLog(key) => Some(key.pod.clone()),
            Screen::Checkpoints(_) if id => Some(self.views.checkpoints.view.list.selected?.to_string()),
            Screen::Job(_) if action == Action::CopyVertex => Some(self.views.job.view.list.selected?.to_string()),
            _ if action == Action::CopyVertex => None,
            _ => {
                let job = self.job()?;
                Some(match job.job_id.filter(|_| id) {
                    Some(job_id) => job_id.to_string(),
                    None if id => job.key.to_string(),
                    None => job.name.clone(),
                })
            }
        }
    }

    /// The id of the next command.
    pub(super) fn next_command_id(&mut self) -> CommandId {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        id
    }

    /// An id that no plan has: of the instant and the number of the next command.
    pub(super) fn fresh_plan(&self) -> PlanId {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let seed = hasher.hash_one((self.now, self.next_command));
        let ids = (0u64..).map(|n| PlanId((seed.wrapping_add(n) >> 16) as u32 ^ seed.wrapping_add(n) as u32));
        let known = |id: &PlanId| self.latest.plan(*id).is_some();
        ids.into_iter().find(|id| !known(id)).unwrap_or(PlanId(0))
    }

    // --- what is shown ---

    /// Instant of the program's wall clock.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The instant of a frame: the whole second, so that all ages change together and a second costs one frame at most.
    pub(super) fn frame_time(&self) -> Timestamp {
        Timestamp::from_timestamp(self.now.timestamp(), 0).unwrap_or(self.now)
    }

    /// Sets the clocks; to be called before every event.
    pub fn set_time(&mut self, now: Timestamp, monotonic: Duration) {
        self.now = now;
        self.monotonic = monotonic;
    }

    /// A terminal of this size shows nothing but a sentence.
    pub(super) fn too_small(&self, columns: u16, lines: u16) -> bool {
        let (least_columns, least_lines) = super::overlays::popup::SMALLEST;
        columns < least_columns || lines < least_lines
    }

    /// How things look.
    pub fn theme(&self) -> &Theme {
        &self.themes[self.theme.min(self.themes.len() - 1)]
    }

    /// The keys.
    pub fn keymap(&self) -> &Keymap {
        &self.keymap
    }

    /// The overlay in front, if there is one.
    pub fn overlay(&self) -> Option<&Overlay> {
        self.overlays.last()
    }

    /// The toasts, oldest first.
    pub fn toasts(&self) -> impl Iterator<Item = &Toast> {
        self.toasts.iter()
    }

    /// Says something in passing.
    pub(super) fn toast(&mut self, slot: Slot, text: impl Into<String>) {
        self.push_toast(slot, text.into(), TOAST_TIME);
    }

    /// Says in passing that something failed.
    pub(super) fn toast_long(&mut self, slot: Slot, text: impl Into<String>) {
        self.push_toast(slot, text.into(), LONG_TOAST_TIME);
    }

    fn push_toast(&mut self, slot: Slot, text: String, time: Duration) {
        self.toasts.retain(|toast| toast.text != text);
        while self.toasts.len() >= TOASTS {
            self.toasts.pop_front();
        }
        self.toasts.push_back(Toast { text, slot, until: self.monotonic + time });
        self.owe(Owed::Data);
    }

    /// Whether a frame is owed.
    pub fn owed(&self) -> Owed {
        self.owed
    }

    /// A frame is owed, at least this urgently.
    pub(super) fn owe(&mut self, owed: Owed) {
        self.owed = self.owed.max(owed);
    }

    /// The frame was drawn.
    pub(super) fn drawn(&mut self) {
        self.owed = Owed::Nothing;
    }

    /// How long nothing visible will change by itself; `None` if for ever.
    pub fn quiet_time(&self) -> Option<Duration> {
        let toast = self.toasts.iter().map(|toast| toast.until.saturating_sub(self.monotonic)).min();
        let overlay = self.overlay().and_then(|o| o.changes_at()).map(|at| at.saturating_sub(self.monotonic));
        let label = self.next_label.map(|at| {
            // Frames stand on whole seconds, so a label that changes within one is drawn at its end.
            let whole = if at.timestamp_subsec_nanos() == 0 { at.timestamp() } else { at.timestamp() + 1 };
            Timestamp::from_timestamp(whole, 0)
                .map_or(Duration::ZERO, |at| (at - self.now).to_std().unwrap_or_default())
        });
        [toast, overlay, label].into_iter().flatten().min()
    }

    /// What a frame may read.
    pub(super) fn ctx<'a>(&'a self, next: &'a NextChange) -> Ctx<'a> {
        Ctx {
            snapshot: &self.shown,
            theme: self.theme(),
            now: self.frame_time(),
            utc: self.utc,
            filter: &self.filter().parsed,
            typed: &self.filter().text,
            frozen: self.frozen,
            next,
        }
    }

    /// Asks the screen in front for its rows again. Returns what the selected row was, if it is gone.
    pub(super) fn refresh_rows(&mut self) -> Option<&'static str> {
        let next = NextChange::default();
        let mut views = std::mem::take(&mut self.views);
        let lost = views.refresh(self.screen(), &self.ctx(&next));
        if !self.touched {
            // A session cluster stands above its jobs however well it is itself.
            let severity = |key: &JobKey| self.shown.job(key).map_or(Severity::Muted, |job| job.health.word.severity());
            let rows = views.fleet.list.rows.iter().enumerate();
            let worst =
                rows.max_by_key(|(at, row)| (severity(&row.key), std::cmp::Reverse(*at))).map_or(0, |(at, _)| at);
            views.fleet.list.select(worst);
        }
        self.views = views;
        lost.filter(|_| self.touched)
    }

    /// What is being looked at.
    pub(super) fn looking_at(&self) -> Interest {
        let screen = self.screen();
        let job = match screen {
            Screen::Decision(_) => self.decision().map(|decision| decision.target.job.clone()),
            screen => screen.job().cloned(),
        };
        let on_job = matches!(screen, Screen::Job(_));
        Interest {
            visible: true,
            vertex: self.views.job.view.list.selected.filter(|_| on_job),
            task_managers: matches!(screen, Screen::Memory(_) | Screen::TaskManagers(_)),
            problems: on_job || matches!(screen, Screen::Problems(_)),
            checkpoints: on_job || matches!(screen, Screen::Checkpoints(_)),
            job,
            rows: if matches!(screen, Screen::Fleet) { self.rows_on_screen() } else { Vec::new() },
            events: matches!(screen, Screen::Events(_) | Screen::Ownership(_)),
            all_events: matches!(screen, Screen::AllEvents),
            documents: matches!(screen, Screen::Resource(_)),
            capacity: matches!(screen, Screen::Capacity),
            log: self.log_on_screen(),
        }
    }
}
