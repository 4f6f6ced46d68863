//! One Flink cluster: the poller of its lists, and what its jobs share.
//!
//! Owns the connection's state, `/overview` and `/jobs/overview`, TaskManagers while somebody looks at them, and the metrics of
//! the whole cluster that every job's turn needs (asked once for all of them). It starts a pilot for every job that appears.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::adapters::flink::{self as adapter, TaskManagerMetrics};
use super::shared::{Shared, pause_before};
use crate::domain::Timestamp;
use crate::domain::freshness::{Observed, age};
use crate::domain::ids::{ClusterKey, JobId, SourceId};
use crate::domain::job::{ClusterView, Scheduler};
use crate::domain::memory::PoolUsage;
use crate::domain::pods::PodsView;
use crate::domain::snapshot::SourceState;
use crate::flink::{ClusterConfig, FlinkClient, FlinkError, JobSummary, Overview, metric_fetch_interval, scheduler_of};

/// Longest pause between attempts to reach a JobManager.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A turn that comes this much early still asks for the metrics of its own period, so that a job alone on its cluster never takes
/// the same answer twice.
const EARLY: Duration = Duration::from_millis(100);
/// A job of a session cluster that no resource named for this long was submitted by hand: two of the operator's reconcile
/// intervals.
const UNCLAIMED: Duration = Duration::from_secs(120);

/// A connection that is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lost {
    pub since: Timestamp,
    pub error: String,
}

/// What is known of a cluster.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct ClusterState {
    /// When the lists last answered.
    pub at: Option<Timestamp>,
    pub lost: Option<Lost>,
    pub overview: Option<Overview>,
    pub config: Option<ClusterConfig>,
    /// Configuration keys of the JobManager that were set.
    pub settings: BTreeMap<String, String>,
    pub jobs: BTreeMap<JobId, JobSummary>,
}

impl ClusterState {
    pub fn scheduler(&self) -> Scheduler {
        match (&self.config, self.jobs.values().find(|j| j.scheduler != Scheduler::Unknown)) {
            (_, Some(job)) => job.scheduler,
            (Some(config), None) => scheduler_of(config),
            (None, None) => Scheduler::Unknown,
        }
    }

    pub fn web_rescale(&self) -> bool {
        self.config.as_ref().is_some_and(|c| c.features.web_rescale)
    }

    pub fn version(&self) -> Option<&str> {
        self.config.as_ref().map(|c| c.flink_version.as_str())
    }

    /// All slots, and the free ones.
    pub fn slots(&self) -> Option<(u32, u32)> {
        self.overview.as_ref().map(|o| (o.slots_total, o.slots_available))
    }

    pub fn free_slots(&self) -> Option<u32> {
        self.overview.as_ref().map(|o| o.slots_available)
    }
}

/// A cluster as its jobs see it.
#[derive(Debug)]
pub(super) struct ClusterLink {
    pub key: ClusterKey,
    pub source: SourceId,
    pub name: String,
    pub namespace: Option<String>,
    pub ui_url: Option<String>,
    pub client: FlinkClient,
    /// The cluster is a source of its own (plain Flink), not found through another one.
    pub is_source: bool,
    state: watch::Sender<Arc<ClusterState>>,
    /// The JobManager is up, as far as somebody else says so.
    ready: watch::Sender<bool>,
    task_managers: tokio::sync::Mutex<(adapter::TaskManagerCollector, Option<Observed<Arc<TaskManagerMetrics>>>)>,
    applying: AtomicUsize,
    attended: AtomicUsize,
    hurry: Notify,
    /// Memory limit of a TaskManager's container by the resource, bytes; 0 if it is not known.
    container_limit: AtomicU64,
    claims: Mutex<Claims>,
}

/// Which jobs of a session cluster belong to resources of the operator.
#[derive(Debug, Default)]
struct Claims {
    /// Every job that a resource named since the cluster is watched: what replaces a job leaves the old one in Flink's list.
    jobs: BTreeSet<JobId>,
    /// Some resource of this cluster has no job yet: any job may turn out to be its.
    awaited: bool,
}

impl ClusterLink {
    pub fn new(
        key: ClusterKey,
        source: SourceId,
        name: String,
        namespace: Option<String>,
        ui_url: Option<String>,
        client: FlinkClient,
        is_source: bool,
    ) -> Self {
        let state = watch::Sender::new(Arc::new(ClusterState::default()));
        Self {
            key,
            source,
            name,
            namespace,
            ui_url,
            client,
            is_source,
            state,
            ready: watch::Sender::new(true),
            task_managers: tokio::sync::Mutex::default(),
            applying: AtomicUsize::new(0),
            attended: AtomicUsize::new(0),
            hurry: Notify::new(),
            container_limit: AtomicU64::new(0),
            claims: Mutex::default(),
        }
    }

    /// Takes the memory limit of a TaskManager's container by the resource, bytes.
    pub fn set_container_limit(&self, bytes: Option<u64>) {
        self.container_limit.store(bytes.unwrap_or(0), Ordering::Relaxed);
    }

    fn container_limit(&self) -> Option<u64> {
        Some(self.container_limit.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }

    /// Takes the jobs of the resources on this cluster, and whether a resource is still without one.
    pub fn claim(&self, jobs: impl IntoIterator<Item = JobId>, awaited: bool) {
        let mut claims = self.claims();
        claims.jobs.extend(jobs);
        claims.awaited = awaited;
    }

    /// A resource of the operator stands behind this job.
    pub fn is_claimed(&self, job: JobId) -> bool {
        self.claims().jobs.contains(&job)
    }

    /// The jobs of a list that somebody submitted outside the operator: alive, and for so long that a resource would name them.
    pub fn outsiders<'a>(&self, state: &'a ClusterState) -> Vec<&'a JobSummary> {
        let mut claims = self.claims();
        claims.jobs.retain(|job| state.jobs.contains_key(job));
        let Some(now) = state.at.filter(|_| !claims.awaited) else { return Vec::new() };
        let old = |job: &&JobSummary| job.start_time.is_some_and(|start| age(start, now) >= UNCLAIMED);
        let alive = state.jobs.values().filter(|job| !job.state.is_terminal());
        alive.filter(old).filter(|job| !claims.jobs.contains(&job.id)).collect()
    }

    fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cluster is gone, and all jobs with it.
    pub fn retire(&self) {
        self.state.send_modify(|state| {
            let state = Arc::make_mut(state);
            (state.lost, state.jobs) = (None, BTreeMap::new());
        });
    }

    pub fn subscribe(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.state.subscribe()
    }

    pub fn state(&self) -> Arc<ClusterState> {
        Arc::clone(&self.state.borrow())
    }

    /// Says whether the JobManager is up: one that is not is not asked.
    pub fn set_ready(&self, ready: bool) {
        self.ready.send_if_modified(|known| std::mem::replace(known, ready) != ready);
    }

    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Asks for the lists at once.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// While the guard lives the lists are asked often.
    pub fn watch_closely(self: &Arc<Self>) -> CloseWatch {
        self.applying.fetch_add(1, Ordering::Relaxed);
        self.hurry();
        CloseWatch(Arc::clone(self))
    }

    /// While the guard lives the lists are asked at the usual period, however many clusters there are.
    pub fn attend(self: &Arc<Self>) -> Attention {
        if self.attended.fetch_add(1, Ordering::Relaxed) == 0 {
            self.hurry();
        }
        Attention(Arc::clone(self))
    }

    /// Metrics of the TaskManagers, asked once for all turns within the time `shared`.
    pub async fn task_manager_metrics(
        &self,
        now: Timestamp,
        shared: Duration,
    ) -> Result<Arc<TaskManagerMetrics>, FlinkError> {
        let mut guard = self.task_managers.lock().await;
        let (collector, kept) = &mut *guard;
        if let Some(kept) = kept
            && kept.age(now) + EARLY < shared
            && now >= kept.at
        {
            return Ok(Arc::clone(&kept.value));
        }
        let fresh = Arc::new(collector.collect(&self.client).await?);
        *kept = Some(Observed::new(Arc::clone(&fresh), now));
        Ok(fresh)
    }
}

/// See [`ClusterLink::watch_closely`].
#[derive(Debug)]
pub(super) struct CloseWatch(Arc<ClusterLink>);

impl Drop for CloseWatch {
    fn drop(&mut self) {
        self.0.applying.fetch_sub(1, Ordering::Relaxed);
    }
}

/// See [`ClusterLink::attend`].
#[derive(Debug)]
pub(super) struct Attention(Arc<ClusterLink>);

impl Drop for Attention {
    fn drop(&mut self) {
        self.0.attended.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Polls a cluster until it is aborted. `listed` is told of every answer.
pub(super) async fn poll(shared: Arc<Shared>, link: Arc<ClusterLink>, listed: impl Fn(&ClusterState) + Send) {
    let mut interest = shared.interest.clone();
    let mut ready = link.ready.subscribe();
    let mut visible = interest.borrow_and_update().visible;
    let mut attempt = 0;
    let mut lists_at = Instant::now();
    let mut task_managers = TaskManagers::default();
    loop {
        if !*ready.borrow_and_update() {
            if ready.changed().await.is_err() {
                return;
            }
            (attempt, lists_at) = (0, Instant::now());
            continue;
        }
        let now = Instant::now();
        if now >= lists_at {
            lists_at = match lists(&shared, &link).await {
                Ok(state) => {
                    attempt = 0;
                    listed(&state);
                    now + period(&shared, &link, visible)
                }
                Err(error) => {
                    attempt += 1;
                    let pause = pause_before(attempt, LONGEST_PAUSE);
                    lost(&shared, &link, &error, attempt, pause);
                    now + pause
                }
            };
        }
        let watched = attempt == 0 && task_managers_watched(&shared, &link);
        if watched && now >= task_managers.due {
            task_managers.due = now + shared.config.periods.task_managers;
            task_managers.refresh(&shared, &link).await;
        }
        let wake = if watched { lists_at.min(task_managers.due) } else { lists_at };
        tokio::select! {
            () = tokio::time::sleep_until(wake) => {}
            () = link.hurry.notified() => lists_at = Instant::now(),
            () = shared.reconnect.notified(), if attempt > 0 => lists_at = Instant::now(),
            changed = ready.changed() => if changed.is_err() { return },
            changed = interest.changed() => {
                if changed.is_err() {
                    return;
                }
                let now_visible = interest.borrow_and_update().visible;
                if now_visible && !visible && attempt == 0 {
                    lists_at = Instant::now();
                }
                visible = now_visible;
            }
        }
    }
}

fn period(shared: &Shared, link: &ClusterLink, visible: bool) -> Duration {
    let periods = &shared.config.periods;
    let usual = if visible { periods.list_visible } else { periods.list_hidden.min(periods.turn) };
    if link.applying.load(Ordering::Relaxed) > 0 {
        periods.list_applying
    } else if link.attended.load(Ordering::Relaxed) > 0 {
        usual
    } else {
        // Nobody pilots or looks: a fleet of thousands takes turns.
        let clusters = u32::try_from(shared.links()).unwrap_or(u32::MAX);
        usual.max(periods.list_unattended.saturating_mul(clusters))
    }
}

/// Asks for the lists and, after the connection was away, for the configuration.
async fn lists(shared: &Shared, link: &ClusterLink) -> Result<Arc<ClusterState>, FlinkError> {
    let before = link.state();
    let (config, settings) = match (&before.config, &before.lost) {
        (Some(config), None) => (config.clone(), before.settings.clone()),
        _ => {
            let config = link.client.config().await?;
            // Some proxies let this one not through: the defaults do then.
            let settings = link.client.jobmanager_config().await.unwrap_or_default();
            (config, settings)
        }
    };
    let (overview, jobs) = tokio::try_join!(link.client.overview(), link.client.jobs_overview())?;
    let at = shared.now();
    let jobs = jobs.into_iter().map(|job| (job.id, job)).collect();
    let state = Arc::new(ClusterState {
        at: Some(at),
        lost: None,
        overview: Some(overview),
        config: Some(config),
        settings,
        jobs,
    });
    publish_view(shared, link, &state);
    if link.is_source {
        shared.board.update_source(&link.source, true, |source| {
            source.state = SourceState::Live;
            source.last_ok = Some(at);
            source.version = state.version().map(str::to_owned);
        });
    }
    link.state.send_replace(Arc::clone(&state));
    Ok(state)
}

fn new_view(link: &ClusterLink) -> ClusterView {
    ClusterView {
        key: link.key.clone(),
        revision: 0,
        source: link.source.clone(),
        name: link.name.clone(),
        namespace: link.namespace.clone(),
        ui_url: link.ui_url.clone(),
        flink_version: None,
        scheduler: Scheduler::Unknown,
        slots_total: 0,
        slots_available: 0,
        task_managers: None,
        pods: None,
        way: None,
        metric_interval: metric_fetch_interval(&BTreeMap::new()),
        observed_at: None,
    }
}

/// Shows the way to the JobManager, and why it is this one.
pub(super) fn put_way(shared: &Shared, link: &ClusterLink, why: String) {
    shared.board.update_cluster(&link.key, || new_view(link), |view| view.way = Some(why));
}

/// Shows the pods of the cluster.
pub(super) fn put_pods(shared: &Shared, link: &ClusterLink, pods: Option<Observed<Arc<PodsView>>>) {
    shared.board.update_cluster(&link.key, || new_view(link), |view| view.pods = pods);
}

fn publish_view(shared: &Shared, link: &ClusterLink, state: &ClusterState) {
    shared.board.update_cluster(
        &link.key,
        || new_view(link),
        |view| {
            view.flink_version = state.version().map(str::to_owned);
            view.scheduler = state.scheduler();
            view.slots_total = state.overview.as_ref().map_or(0, |o| o.slots_total);
            view.slots_available = state.free_slots().unwrap_or(0);
            view.metric_interval = metric_fetch_interval(&state.settings);
            view.observed_at = state.at;
        },
    );
}

fn lost(shared: &Shared, link: &ClusterLink, error: &FlinkError, attempt: u32, pause: Duration) {
    let now = shared.now();
    tracing::warn!(cluster = %link.key, %error, attempt, "the JobManager does not answer");
    link.state.send_modify(|state| {
        let since = state.lost.as_ref().map_or(now, |l| l.since);
        Arc::make_mut(state).lost = Some(Lost { since, error: error.to_string() });
    });
    if link.is_source {
        shared.board.update_source(&link.source, true, |source| {
            let since = match &source.state {
                SourceState::Lost { since, .. } => *since,
                SourceState::Connecting | SourceState::Live => now,
            };
            let next_attempt_at = now + pause;
            source.state = SourceState::Lost { since, attempt, next_attempt_at, error: error.to_string() };
        });
    }
}

/// Somebody looks at the TaskManagers of this cluster.
fn task_managers_watched(shared: &Shared, link: &ClusterLink) -> bool {
    let interest = shared.interest.borrow();
    if !interest.visible || !interest.task_managers {
        return false;
    }
    let job = interest.job.as_ref().and_then(|job| shared.board.job(job));
    job.is_none_or(|job| job.cluster == link.key)
}

/// TaskManagers, with the highest use of each pool that was seen in each.
struct TaskManagers {
    due: Instant,
    peaks: HashMap<String, Vec<PoolUsage>>,
}

impl Default for TaskManagers {
    fn default() -> Self {
        Self { due: Instant::now(), peaks: HashMap::new() }
    }
}

impl TaskManagers {
    async fn refresh(&mut self, shared: &Shared, link: &ClusterLink) {
        match adapter::task_managers(&link.client).await {
            Ok(mut views) => {
                self.peaks.retain(|id, _| views.iter().any(|v| v.id == *id));
                for view in &mut views {
                    let known = self.peaks.entry(view.id.clone()).or_default();
                    for pool in &mut view.pools {
                        let before = known.iter().find(|p| p.pool == pool.pool).and_then(|p| p.peak);
                        pool.peak = pool.used.max(before);
                    }
                    known.clone_from(&view.pools);
                }
                let now = shared.now();
                shared.board.update_cluster(
                    &link.key,
                    || new_view(link),
                    |view| {
                        for tm in &mut views {
                            // The pod itself knows best; a TaskManager has its name on Kubernetes.
                            let pods = view.pods.as_ref().map(|pods| pods.value.pods.as_slice()).unwrap_or_default();
                            let pod = pods.iter().find(|pod| pod.name == tm.id);
                            tm.container_limit = pod.and_then(|pod| pod.memory_limit).or(link.container_limit());
                        }
                        view.task_managers = Some(Observed::new(Arc::new(views), now));
                    },
                );
            }
            Err(error) => tracing::debug!(cluster = %link.key, %error, "TaskManagers could not be read"),
        }
    }
}
