//! The embedded world: clusters, the topics their jobs read, storage and faults, moved in steps of time.
//!
//! Deterministic: the same scenario, seed and calls give the same world. It does no I/O and reads no clock; whoever holds it
//! says how far time goes ([`SharedWorld`] does so by a [`Clock`]).

mod resting;
mod scheduling;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::checkpoints::{Kind, Request};
use super::cluster::{Cluster, Operation, Progress, Refused, Surroundings};
use super::fault::{Fault, FaultSpec, Faults};
use super::graph::Graph;
use super::job::{Bounds, Job, Restore};
use super::nodes::{Node, QuotaSpec};
use super::noise::Noise;
use super::spec::{ClusterSpec, JobSpec};
use super::storage::Storage;
use super::topic::{Cursor, Topic};
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::domain::ids::{JobId, VertexId};

/// Length of a step, milliseconds.
const STEP: i64 = 100;
/// Length of a step far in the past, where nobody looks, milliseconds.
const COARSE_STEP: i64 = 2_500;
/// From this long before the start on, the pre-run is as fine as later, milliseconds.
const FINE_BEFORE_START: i64 = 90_000;
/// Pods without a node are tried again with this period, milliseconds.
const RETRY: i64 = 1_000;
/// Meters are sampled with this period, milliseconds.
const SAMPLE: i64 = 5_000;

/// Everything there is.
#[derive(Debug, Clone)]
pub struct World {
    now: i64,
    origin: i64,
    seed: u64,
    clusters: Vec<Cluster>,
    /// Position of each cluster by its name.
    index: HashMap<String, usize>,
    topics: Vec<Topic>,
    /// Names of clusters that are alike by the thousand.
    copies: BTreeSet<String>,
    /// Topics of clusters that rest.
    still: BTreeSet<usize>,
    topic_keys: BTreeMap<(String, String), usize>,
    committed: Vec<Vec<f64>>,
    committed_at: i64,
    /// Savepoints and checkpoints.
    pub storage: Storage,
    faults: Faults,
    /// Nodes of the Kubernetes cluster; without any, every pod finds room.
    pub nodes: Vec<Node>,
    /// What namespaces may request.
    pub quotas: Vec<QuotaSpec>,
    created: u64,
}

impl World {
    /// An empty world at `now`. Rates and faults count their times from `origin`, which may be in the future: what comes
    /// before it is the pre-run.
    pub fn new(now: Timestamp, origin: Timestamp, seed: u64) -> Self {
        Self {
            now: now.timestamp_millis(),
            origin: origin.timestamp_millis(),
            seed,
            clusters: Vec::new(),
            index: HashMap::new(),
            topics: Vec::new(),
            copies: BTreeSet::new(),
            still: BTreeSet::new(),
            topic_keys: BTreeMap::new(),
            committed: Vec::new(),
            committed_at: 0,
            storage: Storage::default(),
            faults: Faults::default(),
            nodes: Vec::new(),
            quotas: Vec::new(),
            created: 0,
        }
    }

    /// How far the world has come, epoch milliseconds.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// Seconds since the start of the scenario; negative during the pre-run.
    pub fn elapsed(&self) -> f64 {
        (self.now - self.origin) as f64 / 1000.0
    }

    /// Moves time on to `to`, in whole steps: up to one step remains for the next call. Never goes back.
    pub fn advance(&mut self, to: Timestamp) {
        let to = to.timestamp_millis();
        loop {
            let coarse = self.now + COARSE_STEP <= self.origin - FINE_BEFORE_START;
            let step = if coarse { COARSE_STEP } else { STEP };
            if self.now + step > to {
                break;
            }
            self.step(step);
        }
    }

    fn step(&mut self, step: i64) {
        let before = self.now;
        self.now += step;
        let dt = step as f64 / 1000.0;
        for fault in self.faults.advance(self.now) {
            self.happen(&fault);
        }
        let t = self.elapsed();
        for (index, topic) in self.topics.iter_mut().enumerate() {
            if !self.still.contains(&index) {
                topic.step(dt, t);
            }
        }
        let sample = self.now.div_euclid(SAMPLE) != before.div_euclid(SAMPLE);
        for cluster in self.clusters.iter_mut().filter(|c| c.resting.is_none()) {
            cluster.step(&mut Surroundings {
                now: self.now,
                dt,
                sample,
                topics: &self.topics,
                faults: &self.faults,
                storage: &mut self.storage,
            });
        }
        self.schedule_pods(self.now.div_euclid(RETRY) != before.div_euclid(RETRY));
        if self.now - self.committed_at >= 1_000 {
            self.commit_offsets();
        }
        if self.clusters.iter().any(Cluster::is_gone) {
            self.commit_offsets();
            self.clusters.retain(|c| !c.is_gone());
            self.reindex();
        }
    }

    /// Remembers what completed checkpoints say the sources have read, as consumer groups do.
    fn commit_offsets(&mut self) {
        self.committed_at = self.now;
        for job in self.clusters.iter().filter(|c| c.resting.is_none()).flat_map(|c| &c.jobs) {
            let Some((_, _, snapshot)) = job.checkpoints.restore_point() else { continue };
            for (node, cursor) in job.graph.vertices.iter().zip(&job.cursors) {
                let saved = snapshot.cursors.get(&node.id);
                if let (Some(cursor), Some(saved)) = (cursor, saved)
                    && let Some(committed) = self.committed.get_mut(cursor.topic)
                {
                    committed.clone_from(&saved.offsets);
                }
            }
        }
        self.rest();
    }

    fn happen(&mut self, fault: &Fault) {
        let now = self.now;
        match fault {
            Fault::JobManagerRestart { cluster } => {
                if let Some(cluster) = self.cluster_mut(cluster) {
                    cluster.restart_jobmanager(now);
                }
            }
            Fault::TaskManagerLost { cluster } => {
                if let Some(cluster) = self.cluster_mut(cluster) {
                    cluster.lose_busiest("", (137, "Error"), now);
                }
            }
            Fault::OomKill { cluster } => {
                if let Some(cluster) = self.cluster_mut(cluster) {
                    let why = "The container was terminated with exit code 137 (OOMKilled).";
                    cluster.lose_busiest(why, (137, "OOMKilled"), now);
                }
            }
            Fault::ApiGone
            | Fault::ApiErrors { .. }
            | Fault::ApiSlow { .. }
            | Fault::ApiBusy { .. }
            | Fault::TokenExpired
            | Fault::Forbidden { .. }
            | Fault::WriteConflicts
            | Fault::WebhookDenied { .. }
            | Fault::WatchSilent
            | Fault::WatchDropped
            | Fault::WatchExpired
            | Fault::FlinkGone { .. }
            | Fault::FlinkErrors { .. }
            | Fault::FlinkSlow { .. }
            | Fault::NoCapacity { .. }
            | Fault::PodsStuck { .. }
            | Fault::ImagePullError { .. }
            | Fault::CrashLoop { .. }
            | Fault::OperatorGone
            | Fault::OperatorSlow { .. }
            | Fault::CheckpointFailures { .. }
            | Fault::SavepointFailures { .. }
            | Fault::Slow { .. } => {}
        }
    }

    /// All clusters.
    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }

    /// All clusters, to act on.
    pub(super) fn clusters_mut(&mut self) -> &mut Vec<Cluster> {
        &mut self.clusters
    }

    /// The cluster with this name.
    pub fn cluster(&self, name: &str) -> Option<&Cluster> {
        self.clusters.get(*self.index.get(name)?)
    }

    /// The cluster with this name, to act on.
    pub fn cluster_mut(&mut self, name: &str) -> Option<&mut Cluster> {
        self.wake(name);
        self.clusters.get_mut(*self.index.get(name)?)
    }

    /// The job with this id in a cluster.
    pub fn job(&self, cluster: &str, id: JobId) -> Option<&Job> {
        self.cluster(cluster)?.job(id)
    }

    /// Topic that a source reads.
    pub fn topic(&self, cursor: &Cursor) -> Option<&Topic> {
        self.topics.get(cursor.topic)
    }

    /// What goes wrong now and later.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Ends every fault that acts now.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Schedules a fault; its time counts from the start of the scenario.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn schedule(&mut self, spec: FaultSpec) -> Result<(), String> {
        self.check_names(&spec.fault)?;
        self.faults.add(spec, self.origin)
    }

    /// Lets a fault begin now (later by its `at`).
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn inject(&mut self, spec: FaultSpec) -> Result<(), String> {
        self.check_names(&spec.fault)?;
        self.faults.add(spec, self.now)
    }

    fn check_names(&self, fault: &Fault) -> Result<(), String> {
        let unknown = |what: &str, name: &str, valid: Vec<&str>| {
            let hint = crate::domain::text::nearest(name, valid)
                .map_or(String::new(), |near| format!("; did you mean {near:?}?"));
            Err(format!("no {what} is named {name:?}{hint}"))
        };
        match fault {
            Fault::FlinkGone { cluster }
            | Fault::FlinkErrors { cluster, .. }
            | Fault::FlinkSlow { cluster, .. }
            | Fault::JobManagerRestart { cluster }
            | Fault::TaskManagerLost { cluster }
            | Fault::OomKill { cluster }
            | Fault::PodsStuck { cluster }
            | Fault::ImagePullError { cluster }
            | Fault::CrashLoop { cluster }
            | Fault::NoCapacity { cluster: Some(cluster) }
                if self.cluster(cluster).is_none() =>
            {
                unknown("cluster", cluster, self.clusters.iter().map(Cluster::name).collect())
            }
            Fault::CheckpointFailures { job } | Fault::SavepointFailures { job } | Fault::Slow { job, .. }
                if !self.clusters.iter().flat_map(|c| &c.jobs).any(|j| j.name() == job) =>
            {
                unknown("job", job, self.clusters.iter().flat_map(|c| &c.jobs).map(Job::name).collect())
            }
            _ => Ok(()),
        }
    }

    /// Creates a cluster; its JobManager answers after its start time (`started`: at once).
    ///
    /// # Errors
    /// If the name is taken or the memory sizes do not fit together.
    pub fn create_cluster(&mut self, spec: ClusterSpec, started: bool) -> Result<(), String> {
        if self.cluster(&spec.name).is_some() {
            return Err(format!("there is a cluster named {:?} already", spec.name));
        }
        self.created += 1;
        let noise = Noise::new(self.seed, &format!("cluster {} {}", spec.name, self.created));
        let up = if started { self.now } else { self.now + spec.timings.jobmanager_start };
        let name = spec.name.clone();
        let mut spec = spec;
        if spec.image.is_empty() {
            spec.image = format!("flink:{}.{}", spec.version.major, spec.version.minor);
        }
        let mut cluster = Cluster::new(spec, up, self.now, noise).map_err(|why| format!("cluster {name:?}: {why}"))?;
        cluster.is_copy = self.copies.contains(&name);
        self.clusters.push(cluster);
        self.reindex();
        self.seat_running();
        Ok(())
    }

    /// Begins to shut a cluster down: its JobManager, then its TaskManagers; it is there until they are gone. False if there is none.
    pub fn shut_down(&mut self, name: &str) -> bool {
        let now = self.now;
        self.commit_offsets();
        self.cluster_mut(name).map(|cluster| cluster.shut_down(now)).is_some()
    }

    /// Removes a cluster with all its jobs; what they read and stored stays. False if there was none.
    pub fn delete_cluster(&mut self, name: &str) -> bool {
        self.commit_offsets();
        let before = self.clusters.len();
        self.clusters.retain(|c| c.name() != name);
        self.reindex();
        self.clusters.len() < before
    }

    /// Submits a job. `overrides` is `pipeline.jobvertex-parallelism-overrides`. Without something to restore it reads on
    /// from the last committed position, or from the beginning of its topics.
    ///
    /// # Errors
    /// If there is no such cluster or the job makes no sense.
    pub fn submit(
        &mut self,
        cluster: &str,
        spec: JobSpec,
        overrides: &BTreeMap<VertexId, u32>,
        restore: Restore,
    ) -> Result<JobId, String> {
        self.submit_as(cluster, spec, Submission { id: None, overrides: overrides.clone(), restore })
    }

    /// Submits a job, with an id of the caller's if there is one.
    ///
    /// # Errors
    /// If there is no such cluster or the job makes no sense.
    pub fn submit_as(&mut self, cluster: &str, spec: JobSpec, submission: Submission) -> Result<JobId, String> {
        let Submission { id, overrides, restore } = submission;
        let graph = Graph::new(spec)?;
        if self.cluster(cluster).is_none() {
            return Err(format!("there is no cluster named {cluster:?}"));
        }
        let mut cursors = Vec::with_capacity(graph.vertices.len());
        for vertex in &graph.spec.vertices {
            cursors.push(vertex.source.as_ref().map(|source| {
                let key = (graph.spec.name.clone(), vertex.name.clone());
                let next = self.topics.len();
                let topic = *self.topic_keys.entry(key).or_insert(next);
                if topic == next {
                    let purpose = format!("topic {} {}", graph.spec.name, vertex.name);
                    self.topics.push(Topic::new(source.clone(), Noise::new(self.seed, &purpose)));
                    self.committed.push(vec![0.0; source.partitions.max(1) as usize]);
                }
                Cursor { topic, offsets: self.committed[topic].clone() }
            }));
        }
        let parallelism = graph
            .vertices
            .iter()
            .zip(&graph.spec.vertices)
            .map(|(node, vertex)| {
                overrides.get(&node.id).copied().unwrap_or(vertex.parallelism).clamp(1, node.max_parallelism)
            })
            .collect();
        let (now, seed) = (self.now, self.seed);
        let Some(cluster) = self.cluster_mut(cluster) else { return Err("the cluster is gone".to_owned()) };
        let id = id.unwrap_or_else(|| JobId::from_u128(cluster.new_id()));
        cluster.programs.insert(graph.spec.name.clone(), graph.spec.clone());
        let noise = Noise::new(seed, &format!("job {id}"));
        cluster.jobs.push(Job::submitted(id, graph, cursors, parallelism, restore, noise, now));
        Ok(id)
    }

    /// The restore of a path: what is stored there, or the promise of a failure.
    pub fn restore_from(&self, path: &str) -> Restore {
        match self.storage.get(path) {
            Some(snapshot) => Restore::From { path: path.to_owned(), snapshot },
            None => Restore::Missing { path: path.to_owned() },
        }
    }

    /// Sets the parallelism that a job may have (`PUT resource-requirements`).
    ///
    /// # Errors
    /// What Flink refuses.
    pub fn set_requirements(
        &mut self,
        cluster: &str,
        id: JobId,
        wanted: &BTreeMap<VertexId, Bounds>,
    ) -> Result<(), Refused> {
        self.cluster_mut(cluster).ok_or(Refused::NoJob)?.set_requirements(id, wanted)
    }

    /// Asks a job for a savepoint or checkpoint ([`Kind::SyncSavepoint`] stops it); returns the trigger id under which
    /// [`operation`](Self::operation) tells how it goes. A repeated trigger id starts nothing new.
    pub fn trigger(&mut self, cluster: &str, id: JobId, kind: Kind, options: TriggerOptions) -> Option<u128> {
        let now = self.now;
        let cluster = self.cluster_mut(cluster)?;
        let operation = options.trigger.unwrap_or_else(|| cluster.new_id());
        cluster.trigger(id, Request { operation, kind, target: options.target, native: options.native }, now);
        Some(operation)
    }

    /// How an asynchronous operation goes.
    pub fn operation(&self, cluster: &str, trigger: u128) -> Option<&Operation> {
        self.cluster(cluster)?.operation(trigger)
    }

    /// Removes a savepoint; returns the trigger id.
    pub fn dispose(&mut self, cluster: &str, path: &str, trigger: Option<u128>) -> Option<u128> {
        let now = self.now;
        let found = self.storage.dispose(path);
        let cluster = self.cluster_mut(cluster)?;
        let trigger = trigger.unwrap_or_else(|| cluster.new_id());
        let progress = if found {
            Progress::Disposed
        } else {
            let why = format!("Could not dispose savepoint {path}.");
            Progress::Failed("org.apache.flink.util.FlinkException".to_owned(), why)
        };
        cluster.operations.push(Operation { trigger, kind: None, job: None, progress, ended: Some(now) });
        Some(trigger)
    }

    /// Cancels a job: none if there is no such job, false if it ended otherwise before.
    pub fn cancel(&mut self, cluster: &str, id: JobId) -> Option<bool> {
        let now = self.now;
        self.cluster_mut(cluster)?.cancel(id, now)
    }

    /// Kills a TaskManager by its id; false if there is none.
    pub fn kill_taskmanager(&mut self, cluster: &str, id: &str) -> bool {
        let now = self.now;
        self.cluster_mut(cluster).is_some_and(|c| c.lose_named(id, "", now))
    }

    /// Records waiting at all sources of a job.
    pub fn lag(&self, job: &Job) -> f64 {
        job.cursors.iter().flatten().filter_map(|c| self.topic(c).map(|t| c.lag(t))).sum()
    }
}

/// How a job is submitted.
#[derive(Debug, Clone, Default)]
pub struct Submission {
    /// Its id, if the caller chooses it.
    pub id: Option<JobId>,
    /// `pipeline.jobvertex-parallelism-overrides`.
    pub overrides: BTreeMap<VertexId, u32>,
    /// What it starts from.
    pub restore: Restore,
}

/// How a savepoint or checkpoint is triggered.
#[derive(Debug, Clone, Default)]
pub struct TriggerOptions {
    /// Trigger id of the caller.
    pub trigger: Option<u128>,
    /// Folder; the configured one if empty.
    pub target: String,
    /// NATIVE rather than CANONICAL.
    pub native: bool,
}

/// A world that several faces share and that follows a clock.
#[derive(Debug, Clone)]
pub struct SharedWorld {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    world: Mutex<World>,
    clock: Arc<dyn Clock>,
    began: Duration,
    start: i64,
}

impl SharedWorld {
    /// Shares a world; from now on it follows the monotonic time of the clock, so that a machine that slept or whose wall
    /// clock was set does not make it jump.
    pub fn new(world: World, clock: Arc<dyn Clock>) -> Self {
        let (began, start) = (clock.monotonic(), world.now());
        Self { inner: Arc::new(Inner { world: Mutex::new(world), clock, began, start }) }
    }

    /// The time of the world, epoch milliseconds; between two steps of the physics it is a little ahead of
    /// [`World::now`].
    pub fn now(&self) -> i64 {
        let passed = self.inner.clock.monotonic().saturating_sub(self.inner.began);
        self.inner.start + i64::try_from(passed.as_millis()).unwrap_or(i64::MAX / 2)
    }

    /// Moves the world on to now and gives it to `act`.
    pub fn with<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        let now = self.now();
        let mut world = self.inner.world.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(to) = Timestamp::from_timestamp_millis(now) {
            world.advance(to);
        }
        act(&mut world)
    }
}
