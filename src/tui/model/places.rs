//! Where the user is and was, and the views of the screens.

use crate::domain::explanation::Explanation;
use crate::domain::ids::JobKey;
use crate::tui::screens::{
    self, CapacityScreenView, CheckpointsScreenView, ClusterScreenView, Ctx, DecisionView, DecisionsView, EventsView,
    FleetView, JobScreenView, LogView, MemoryView, OwnershipScreenView, PodKey, PodLogView, PodsView,
    ProblemsScreenView, ResourceScreenView, Screen, TaskManagersView, TreeView,
};

/// Places in the history that are kept at most.
const HISTORY: usize = 50;

/// Where the user is and was. A place is a path of screens: the breadcrumbs.
#[derive(Debug, Clone, PartialEq)]
pub struct Places {
    /// The path to the screen in front; never empty.
    path: Vec<Screen>,
    /// Paths before this one.
    pub(super) earlier: Vec<Vec<Screen>>,
    /// Paths after this one, when the user went back in the history.
    pub(super) later: Vec<Vec<Screen>>,
    /// The path that was in front before this one.
    pub(super) last: Option<Vec<Screen>>,
}

impl Default for Places {
    fn default() -> Self {
        Self { path: vec![Screen::Fleet], earlier: Vec::new(), later: Vec::new(), last: None }
    }
}

impl Places {
    /// The screen in front.
    pub fn screen(&self) -> &Screen {
        self.path.last().unwrap_or(&Screen::Fleet)
    }

    /// The path to the screen in front.
    pub fn path(&self) -> &[Screen] {
        &self.path
    }

    /// How many levels deep the user is; 1 is the fleet.
    pub fn depth(&self) -> usize {
        self.path.len()
    }

    fn put(&mut self, path: Vec<Screen>) -> Vec<Screen> {
        let old = std::mem::replace(&mut self.path, path);
        self.last = Some(old.clone());
        old
    }

    fn go(&mut self, path: Vec<Screen>) {
        if path == self.path {
            return;
        }
        let old = self.put(path);
        if self.earlier.len() == HISTORY {
            self.earlier.remove(0);
        }
        self.earlier.push(old);
        self.later.clear();
    }

    /// Goes one level deeper.
    pub fn open(&mut self, screen: Screen) {
        if *self.screen() != screen {
            let mut path = self.path.clone();
            path.push(screen);
            self.go(path);
        }
    }

    /// Goes to a screen by its natural path from the fleet.
    pub fn jump(&mut self, screen: Screen) {
        let mut path = vec![Screen::Fleet];
        match &screen {
            Screen::Fleet => {}
            Screen::Decision(_) => path.push(Screen::Decisions),
            Screen::Plan(_) => path.push(Screen::Operations),
            Screen::Job(_)
            | Screen::AllEvents
            | Screen::Capacity
            | Screen::Cluster
            | Screen::Decisions
            | Screen::Operations
            | Screen::Log => {}
            Screen::Memory(key)
            | Screen::Problems(key)
            | Screen::Checkpoints(key)
            | Screen::TaskManagers(key)
            | Screen::Pods(key)
            | Screen::Events(key)
            | Screen::Resource(key)
            | Screen::Ownership(key) => path.push(Screen::Job(key.clone())),
            Screen::PodLog(key) => path.extend([Screen::Job(key.job.clone()), Screen::Pods(key.job.clone())]),
        }
        if screen != Screen::Fleet {
            path.push(screen);
        }
        self.go(path);
    }

    /// Goes one level back. False on the first.
    pub fn back(&mut self) -> bool {
        let deeper = self.path.len() > 1;
        if deeper {
            let path = self.path[..self.path.len() - 1].to_vec();
            self.go(path);
        }
        deeper
    }

    /// Goes to the view that was in front before.
    pub fn to_last(&mut self) {
        if let Some(last) = self.last.clone() {
            self.go(last);
        }
    }

    /// Goes back in the history.
    pub fn to_earlier(&mut self) {
        if let Some(path) = self.earlier.pop() {
            let old = self.put(path);
            self.later.push(old);
        }
    }

    /// Goes forward in the history.
    pub fn to_later(&mut self) {
        if let Some(path) = self.later.pop() {
            let old = self.put(path);
            self.earlier.push(old);
        }
    }
}

/// A view that belongs to one object, and starts anew for another.
#[derive(Debug)]
pub struct Keyed<K, V> {
    key: Option<K>,
    /// The view.
    pub view: V,
}

impl<K, V: Default> Default for Keyed<K, V> {
    fn default() -> Self {
        Self { key: None, view: V::default() }
    }
}

impl<K: Clone + PartialEq, V: Default> Keyed<K, V> {
    /// The view of this object.
    pub fn of(&mut self, key: &K) -> &mut V {
        if self.key.as_ref() != Some(key) {
            self.key = Some(key.clone());
            self.view = V::default();
        }
        &mut self.view
    }
}

/// The views of all screens.
#[derive(Default)]
#[allow(missing_docs)] // named after their screens
pub struct Views {
    pub fleet: FleetView,
    pub job: Keyed<JobKey, JobScreenView>,
    pub memory: Keyed<JobKey, MemoryView>,
    pub problems: Keyed<JobKey, ProblemsScreenView>,
    pub checkpoints: Keyed<JobKey, CheckpointsScreenView>,
    pub task_managers: Keyed<JobKey, TaskManagersView>,
    pub pods: Keyed<JobKey, PodsView>,
    pub pod_log: Keyed<PodKey, PodLogView>,
    pub events: Keyed<JobKey, EventsView>,
    pub all_events: EventsView,
    pub resource: Keyed<JobKey, ResourceScreenView>,
    pub ownership: Keyed<JobKey, OwnershipScreenView>,
    pub capacity: CapacityScreenView,
    pub cluster: ClusterScreenView,
    pub decisions: DecisionsView,
    pub decision: Keyed<crate::domain::decision::DecisionId, DecisionView>,
    pub operations: screens::operations::OperationsView,
    pub plan: Keyed<crate::domain::plan::PlanId, screens::plan::PlanView>,
    pub log: LogView,
}

impl Views {
    /// Something is open inside of the screen that esc would close before it leaves the screen.
    pub(super) fn is_inside(&self, screen: &Screen) -> bool {
        match screen {
            Screen::Fleet => !self.fleet.marked.is_empty(),
            Screen::Job(_) => self.job.view.expanded,
            Screen::Problems(_) => self.problems.view.open,
            Screen::Checkpoints(_) => self.checkpoints.view.open,
            _ => false,
        }
    }

    /// Closes what is open inside of the screen. False if nothing is.
    pub(crate) fn close_inside(&mut self, screen: &Screen) -> bool {
        let open = match screen {
            Screen::Fleet => return !std::mem::take(&mut self.fleet.marked).is_empty(),
            Screen::Job(_) => &mut self.job.view.expanded,
            Screen::Problems(_) => &mut self.problems.view.open,
            Screen::Checkpoints(_) => &mut self.checkpoints.view.open,
            _ => return false,
        };
        std::mem::take(open)
    }

    /// The explanation tree that has the keys, if one has.
    pub(crate) fn tree(&mut self, screen: &Screen) -> Option<&mut TreeView> {
        match screen {
            Screen::Job(_) if self.job.view.pane == screens::JobPane::Explanation => Some(&mut self.job.view.tree),
            Screen::Decision(_) => Some(&mut self.decision.view.tree),
            _ => None,
        }
    }

    /// Takes the rows of a screen anew. Returns what the selected row was, if it is gone.
    pub(super) fn refresh(&mut self, screen: &Screen, ctx: &Ctx) -> Option<&'static str> {
        fn nodes(explanation: Option<&Explanation>, tree: &mut TreeView) {
            let rows = explanation.map(|e| screens::decision::nodes(e, tree)).unwrap_or_default();
            tree.list.set(rows);
        }
        match screen {
            Screen::Fleet => {
                self.fleet.marked.retain(|key| ctx.snapshot.job(key).is_some());
                let rows = screens::fleet::rows(ctx, &self.fleet);
                self.fleet.list.set(rows).map(|_| "job")
            }
            Screen::Job(key) => {
                let view = self.job.of(key);
                let rows = screens::job::rows(ctx, key, view);
                let turn = ctx.snapshot.job(key).and_then(|job| job.turn.as_ref());
                nodes(turn.and_then(|turn| turn.explanation.as_deref()), &mut view.tree);
                view.list.set(rows).map(|_| "vertex")
            }
            Screen::Memory(key) => {
                let view = self.memory.of(key);
                let rows = screens::memory::rows(ctx, key, view);
                view.list.set(rows).map(|_| "TaskManager")
            }
            Screen::Problems(key) => {
                let view = self.problems.of(key);
                let rows = screens::problems::rows(ctx, key, view);
                let lost = view.list.set(rows).map(|_| "problem");
                view.open &= lost.is_none();
                lost
            }
            Screen::Checkpoints(key) => {
                let view = self.checkpoints.of(key);
                let rows = screens::checkpoints::rows(ctx, key, view);
                let lost = view.list.set(rows).map(|_| "checkpoint");
                view.open &= lost.is_none();
                lost
            }
            Screen::TaskManagers(key) => {
                let view = self.task_managers.of(key);
                let rows = screens::task_managers::rows(ctx, key, view);
                view.list.set(rows).map(|_| "TaskManager")
            }
            Screen::Pods(key) => {
                let view = self.pods.of(key);
                let rows = screens::pods::rows(ctx, key, view);
                view.list.set(rows).map(|_| "pod")
            }
            Screen::PodLog(key) => {
                screens::pod_log::refresh(ctx, key, self.pod_log.of(key));
                None
            }
            Screen::Events(key) => {
                let view = self.events.of(key);
                let rows = screens::events::rows(ctx, Some(key), view);
                view.list.set_top(rows).map(|_| "event")
            }
            Screen::AllEvents => {
                let rows = screens::events::rows(ctx, None, &self.all_events);
                self.all_events.list.set_top(rows).map(|_| "event")
            }
            Screen::Resource(key) => {
                screens::resource::refresh(ctx, key, self.resource.of(key));
                None
            }
            Screen::Decisions => {
                let rows = screens::decisions::rows(ctx, &self.decisions);
                self.decisions.list.set(rows).map(|_| "decision")
            }
            Screen::Decision(id) => {
                let view = self.decision.of(id);
                let decision = ctx.snapshot.decision(*id);
                nodes(decision.and_then(|decision| decision.explanation.as_deref()), &mut view.tree);
                None
            }
            Screen::Operations => {
                let rows = screens::operations::rows(ctx, &self.operations);
                self.operations.list.set(rows).map(|_| "operation")
            }
            Screen::Capacity => {
                let rows = screens::capacity::rows(ctx, &self.capacity);
                self.capacity.list.set(rows).map(|_| "node")
            }
            Screen::Ownership(key) => {
                self.ownership.of(key);
                None
            }
            Screen::Cluster | Screen::Plan(_) | Screen::Log => None,
        }
    }
}
