//! The board: where every task of the loop puts what it found, and from which the snapshots are published.
//!
//! Owns the present views, their revisions and the lives of commands. A changed object clones one view, never the fleet; an
//! unchanged one keeps its `Arc`. The publisher sends at most 30 snapshots a second and none while nothing changes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::domain::command::{Command, CommandId, CommandStage, CommandView, Issuer};
use crate::domain::decision::{Decision, DecisionId};
use crate::domain::ids::{ClusterKey, JobKey, SourceId};
use crate::domain::job::{ClusterView, JobView};
use crate::domain::kubernetes::KubeView;
use crate::domain::plan::Plan;
use crate::domain::pods::LogView;
use crate::domain::snapshot::{Notice, Snapshot, SourceView};

/// Commands that a snapshot shows.
const COMMANDS: usize = 50;
/// Decisions of vanished jobs that a snapshot still shows.
const ORPHANS: usize = 50;
/// Shortest time between two snapshots.
const COALESCE: Duration = Duration::from_millis(34);

/// What every task of the loop may write to.
#[derive(Debug)]
pub struct Board {
    clock: Arc<dyn Clock>,
    model: Mutex<Model>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Model {
    read_only: bool,
    notices: Arc<Vec<Notice>>,
    sources: BTreeMap<SourceId, (Arc<SourceView>, bool)>,
    clusters: BTreeMap<ClusterKey, Arc<ClusterView>>,
    jobs: BTreeMap<JobKey, Arc<JobView>>,
    decisions: BTreeMap<JobKey, Vec<Arc<Decision>>>,
    commands: VecDeque<Arc<CommandView>>,
    plans: Vec<Arc<Plan>>,
    kubernetes: BTreeMap<SourceId, Arc<KubeView>>,
    log: Option<Arc<LogView>>,
}

impl Board {
    /// A board with the sources that will be asked.
    pub fn new(clock: Arc<dyn Clock>, read_only: bool, notices: Vec<Notice>, sources: Vec<SourceView>) -> Self {
        let sources = sources.into_iter().map(|s| (s.id.clone(), (Arc::new(s), false))).collect();
        let model = Model { read_only, notices: Arc::new(notices), sources, ..Model::default() };
        Self { clock, model: Mutex::new(model), changed: Notify::new() }
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a source; `answered` once its first answer has arrived or failed.
    pub fn update_source(&self, id: &SourceId, answered: bool, change: impl FnOnce(&mut SourceView)) {
        let mut model = self.model();
        let Some((view, loaded)) = model.sources.get_mut(id) else { return };
        let mut new = (**view).clone();
        change(&mut new);
        if new != **view || (answered && !*loaded) {
            *view = Arc::new(new);
            *loaded |= answered;
            self.changed.notify_one();
        }
    }

    /// Puts another source in the place of one.
    pub fn replace_source(&self, old: &SourceId, new: SourceView) {
        let mut model = self.model();
        model.sources.remove(old);
        model.kubernetes.remove(old);
        model.sources.insert(new.id.clone(), (Arc::new(new), false));
        self.changed.notify_one();
    }

    /// The present view of a source.
    pub fn source(&self, id: &SourceId) -> Option<Arc<SourceView>> {
        self.model().sources.get(id).map(|(view, _)| Arc::clone(view))
    }

    /// Changes what a Kubernetes cluster says; a change that changes nothing is none.
    pub fn update_kube(&self, id: &SourceId, change: impl FnOnce(&mut KubeView)) {
        let mut model = self.model();
        let known = model.kubernetes.get(id).cloned();
        let mut new = known.as_deref().cloned().unwrap_or_else(|| KubeView::new(id.clone()));
        change(&mut new);
        if known.as_deref() != Some(&new) {
            new.revision += 1;
            model.kubernetes.insert(id.clone(), Arc::new(new));
            self.changed.notify_one();
        }
    }

    /// What a Kubernetes cluster says at present.
    pub fn kube(&self, id: &SourceId) -> Option<Arc<KubeView>> {
        self.model().kubernetes.get(id).cloned()
    }

    /// Shows a log, or none.
    pub fn put_log(&self, log: Option<LogView>) {
        let mut model = self.model();
        if model.log.as_deref() != log.as_ref() {
            model.log = log.map(Arc::new);
            self.changed.notify_one();
        }
    }

    /// Changes or creates a cluster.
    pub fn update_cluster(
        &self,
        key: &ClusterKey,
        new: impl FnOnce() -> ClusterView,
        change: impl FnOnce(&mut ClusterView),
    ) {
        let mut model = self.model();
        let mut view = model.clusters.get(key).map_or_else(new, |old| (**old).clone());
        change(&mut view);
        view.revision += 1;
        model.clusters.insert(key.clone(), Arc::new(view));
        self.changed.notify_one();
    }

    /// The present view of a cluster.
    pub fn cluster(&self, key: &ClusterKey) -> Option<Arc<ClusterView>> {
        self.model().clusters.get(key).cloned()
    }

    /// Forgets a cluster.
    pub fn remove_cluster(&self, key: &ClusterKey) {
        if self.model().clusters.remove(key).is_some() {
            self.changed.notify_one();
        }
    }

    /// Puts a new job up, or replaces the view of one.
    pub fn put_job(&self, mut view: JobView) {
        let mut model = self.model();
        view.revision = model.jobs.get(&view.key).map_or(0, |old| old.revision + 1);
        model.jobs.insert(view.key.clone(), Arc::new(view));
        self.changed.notify_one();
    }

    /// Changes a job that is up; one that is gone stays gone. A change that changes nothing is none.
    pub fn update_job(&self, key: &JobKey, change: impl FnOnce(&mut JobView)) {
        let mut model = self.model();
        let Some(view) = model.jobs.get_mut(key) else { return };
        let mut new = (**view).clone();
        change(&mut new);
        if new != **view {
            new.revision += 1;
            *view = Arc::new(new);
            self.changed.notify_one();
        }
    }

    /// The present view of a job.
    pub fn job(&self, key: &JobKey) -> Option<Arc<JobView>> {
        self.model().jobs.get(key).cloned()
    }

    /// Takes a job down. Its decisions stay readable for a while.
    pub fn remove_job(&self, key: &JobKey) {
        let mut model = self.model();
        if model.jobs.remove(key).is_some() {
            let orphans: Vec<JobKey> =
                model.decisions.keys().filter(|k| !model.jobs.contains_key(*k)).cloned().collect();
            for old in orphans.iter().take(orphans.len().saturating_sub(ORPHANS)) {
                model.decisions.remove(old);
            }
            self.changed.notify_one();
        }
    }

    /// Replaces the decisions of a job.
    pub fn put_decisions<'a>(&self, job: &JobKey, decisions: impl Iterator<Item = &'a Arc<Decision>>) {
        let mut model = self.model();
        let new: Vec<Arc<Decision>> = decisions.cloned().collect();
        let same = model.decisions.get(job).map_or(new.is_empty(), |old| {
            old.len() == new.len() && old.iter().zip(&new).all(|(a, b)| Arc::ptr_eq(a, b))
        });
        if !same {
            model.decisions.insert(job.clone(), new);
            self.changed.notify_one();
        }
    }

    /// The job of a decision.
    pub fn job_of(&self, decision: DecisionId) -> Option<JobKey> {
        let model = self.model();
        let holds = |list: &Vec<Arc<Decision>>| list.iter().any(|d| d.id == decision);
        model.decisions.iter().find(|(_, list)| holds(list)).map(|(job, _)| job.clone())
    }

    /// Replaces the plans.
    pub fn put_plans(&self, mut plans: Vec<Arc<Plan>>) {
        plans.sort_by_key(|plan| std::cmp::Reverse((plan.made_at, plan.id)));
        let mut model = self.model();
        if model.plans != plans {
            model.plans = plans;
            self.changed.notify_one();
        }
    }

    /// Puts a new command up.
    pub fn put_command(&self, command: Command, stage: CommandStage) {
        let since = self.clock.now();
        let mut model = self.model();
        model.commands.push_front(Arc::new(CommandView { command, stage, since, waiting_for: None }));
        model.commands.truncate(COMMANDS);
        self.changed.notify_one();
    }

    /// Moves a command on in its life. A final stage is never left.
    pub fn stage(&self, issuer: Issuer, id: CommandId, stage: CommandStage, waiting_for: Option<String>) {
        let now = self.clock.now();
        let mut model = self.model();
        let found = model.commands.iter_mut().find(|c| c.command.id == id && c.command.issuer == issuer);
        let Some(view) = found.filter(|c| !c.stage.is_final()) else { return };
        if view.stage != stage || view.waiting_for != waiting_for {
            let view = Arc::make_mut(view);
            if view.stage != stage {
                view.since = now;
            }
            view.stage = stage;
            view.waiting_for = waiting_for;
            self.changed.notify_one();
        }
    }

    /// A command of this issuer with this id is known already.
    pub fn has_command(&self, issuer: Issuer, id: CommandId) -> bool {
        self.model().commands.iter().any(|c| c.command.id == id && c.command.issuer == issuer)
    }

    /// A snapshot of everything at this moment.
    pub fn snapshot(&self, revision: u64, at: Timestamp) -> Snapshot {
        let model = self.model();
        let mut decisions: Vec<Arc<Decision>> = model.decisions.values().flatten().cloned().collect();
        decisions.sort_by_key(|d| std::cmp::Reverse((d.proposed_at, d.id)));
        Snapshot {
            revision,
            at,
            read_only: model.read_only,
            notices: Arc::clone(&model.notices),
            sources: model.sources.values().map(|(s, _)| Arc::clone(s)).collect(),
            kubernetes: model.kubernetes.values().cloned().collect(),
            clusters: model.clusters.values().cloned().collect(),
            jobs: model.jobs.values().cloned().collect(),
            decisions,
            commands: model.commands.iter().cloned().collect(),
            plans: model.plans.clone(),
            log: model.log.clone(),
            loaded: model.sources.values().all(|(_, answered)| *answered),
        }
    }

    /// Publishes a snapshot after every change, at most 30 a second, until nobody listens.
    pub async fn publish(&self, to: watch::Sender<Arc<Snapshot>>) {
        let mut revision = to.borrow().revision;
        loop {
            tokio::select! {
                () = self.changed.notified() => {}
                () = to.closed() => return,
            }
            revision += 1;
            if to.send(Arc::new(self.snapshot(revision, self.clock.now()))).is_err() {
                return;
            }
            tokio::time::sleep(COALESCE).await;
        }
    }
}

#[cfg(test)]
mod tests;
