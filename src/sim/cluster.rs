//! One Flink cluster: a JobManager, TaskManagers with slots and JVMs, jobs, and asynchronous operations.

mod log;
mod pods;

use std::collections::BTreeMap;

use super::checkpoints::{Answer, Kind, Request};
use super::exceptions;
use super::fault::Faults;
use super::job::{Around, Bounds, Job, SlotRef};
use super::memory::{Jvm, Pools, Work};
use super::noise::Noise;
use super::pod::{Container, Happening, Pod};
use super::spec::{ClusterKind, ClusterSpec, JobSpec, StateBackend};
use super::storage::Storage;
use super::topic::Topic;
use crate::domain::ids::{JobId, VertexId};
pub use log::{Note, NoteKind};
pub use pods::Starting;

/// The JobManager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobManager {
    /// Its JVM starts; connections are refused.
    Starting {
        /// When it answers, epoch milliseconds.
        until: i64,
    },
    /// It answers.
    Up {
        /// Since when, epoch milliseconds.
        since: i64,
    },
    /// It was told to stop; connections are refused.
    Stopping {
        /// When its process is gone, epoch milliseconds.
        until: i64,
    },
    /// It is gone for good, and its TaskManagers go.
    Gone {
        /// When they are gone, epoch milliseconds.
        until: i64,
    },
}

/// One TaskManager.
#[derive(Debug, Clone)]
pub struct TaskManager {
    /// Number, never used again in this cluster.
    pub number: u64,
    /// Its resource id.
    pub id: String,
    /// Host name.
    pub host: String,
    /// Port of its RPC address.
    pub rpc_port: u16,
    /// Port of its data connections.
    pub data_port: u16,
    /// Slots.
    pub slots: usize,
    /// When it registered, epoch milliseconds.
    pub registered: i64,
    /// Its process is gone since then; it stays in lists until the heartbeat times out.
    pub lost: Option<i64>,
    /// Its pod, on Kubernetes.
    pub pod: Option<Pod>,
    /// Its JVM.
    pub jvm: Jvm,
    /// Network buffers in use.
    pub segments_used: u64,
    /// Managed memory reserved by slots, bytes.
    pub managed_used: u64,
    idle_since: i64,
}

/// State of an asynchronous operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Not done.
    InProgress,
    /// A savepoint is at this path.
    Savepoint(String),
    /// A checkpoint has this id.
    Checkpoint(u64),
    /// Something was removed.
    Disposed,
    /// It failed: class and message.
    Failed(String, String),
}

/// An asynchronous operation of the REST API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its trigger id.
    pub trigger: u128,
    /// What sort of savepoint or checkpoint; none for a disposal.
    pub kind: Option<Kind>,
    /// The job, none for a disposal.
    pub job: Option<JobId>,
    /// How far it is.
    pub progress: Progress,
    /// When it ended, epoch milliseconds.
    pub ended: Option<i64>,
}

/// One Flink cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// What it was made of.
    pub spec: ClusterSpec,
    /// Memory of each TaskManager.
    pub pools: Pools,
    /// Its JobManager.
    pub jobmanager: JobManager,
    /// The JobManager's JVM.
    pub jobmanager_jvm: Jvm,
    /// The JobManager's pod, on Kubernetes.
    pub jobmanager_pod: Option<Pod>,
    /// Hash of the pod template of the JobManager.
    pub replica_set: String,
    /// Registered TaskManagers, oldest first.
    pub taskmanagers: Vec<TaskManager>,
    /// TaskManagers on their way.
    pub starting: Vec<Starting>,
    /// Pods that were told to go.
    pub leaving: Vec<Pod>,
    /// Its jobs, oldest first, terminal ones too until they expire.
    pub jobs: Vec<Job>,
    /// Asynchronous operations.
    pub operations: Vec<Operation>,
    /// Nobody looks at it since then, and its physics rests, epoch milliseconds.
    pub(super) resting: Option<i64>,
    /// It may rest.
    pub(super) is_copy: bool,
    /// When somebody looked at it last, epoch milliseconds.
    pub(super) seen_at: i64,
    happenings: Vec<Happening>,
    /// Programs that were submitted to it, by name.
    pub programs: BTreeMap<String, JobSpec>,
    next_taskmanager: u64,
    was_up: bool,
    noise: Noise,
}

/// What a cluster finds around itself in one step.
pub(super) struct Surroundings<'a> {
    pub now: i64,
    pub dt: f64,
    pub sample: bool,
    pub topics: &'a [Topic],
    pub faults: &'a Faults,
    pub storage: &'a mut Storage,
}

/// Why bounds of parallelism were refused: one line a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// There is no such job, or it has ended.
    NoJob,
    /// The scheduler cannot.
    Scheduler,
    /// The bounds are wrong.
    Bounds(Vec<String>),
}

impl Cluster {
    /// A cluster whose JobManager answers from `up` on.
    pub(super) fn new(spec: ClusterSpec, up: i64, now: i64, noise: Noise) -> Result<Self, String> {
        let pools = Pools::derive(&spec.config, spec.taskmanagers.memory)?;
        let jobmanager = match spec.kind {
            _ if up <= now => JobManager::Up { since: now },
            ClusterKind::Plain => JobManager::Starting { until: up },
            ClusterKind::Session | ClusterKind::Application => JobManager::Starting { until: i64::MAX },
        };
        let mut cluster = Self {
            pools,
            jobmanager,
            jobmanager_jvm: Jvm::new(448 << 20),
            jobmanager_pod: None,
            replica_set: String::new(),
            taskmanagers: Vec::new(),
            starting: Vec::new(),
            leaving: Vec::new(),
            resting: None,
            is_copy: false,
            seen_at: now,
            happenings: Vec::new(),
            jobs: Vec::new(),
            operations: Vec::new(),
            programs: BTreeMap::new(),
            next_taskmanager: 1,
            was_up: up <= now,
            noise,
            spec,
        };
        cluster.new_replica_set();
        cluster.jobmanager_pod = cluster.new_jobmanager_pod(now);
        if up <= now {
            if let Some(pod) = &mut cluster.jobmanager_pod {
                pod.container = Container::Running { since: now };
                log::jobmanager_starts(pod, now, &cluster.spec);
            }
            for _ in 0..cluster.spec.taskmanagers.count {
                cluster.ask_for_taskmanager(now);
            }
            for starting in std::mem::take(&mut cluster.starting) {
                let mut pod = starting.pod;
                if let Some(pod) = &mut pod {
                    pod.container = Container::Running { since: now };
                    log::taskmanager_starts(pod, now, &cluster.spec);
                }
                cluster.register(now, starting.number, pod);
            }
        }
        Ok(cluster)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The JobManager answers.
    pub fn is_up(&self) -> bool {
        matches!(self.jobmanager, JobManager::Up { .. })
    }

    /// The job with this id.
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id == id)
    }

    fn job_mut(&mut self, id: JobId) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.id == id)
    }

    /// TaskManagers that hold the slot of a job.
    pub fn taskmanager(&self, number: u64) -> Option<&TaskManager> {
        self.taskmanagers.iter().find(|tm| tm.number == number)
    }

    /// Slots of all TaskManagers that live.
    pub fn slots_total(&self) -> usize {
        self.taskmanagers.iter().map(|tm| tm.slots).sum()
    }

    /// Slots that no job holds.
    pub fn slots_free(&self) -> usize {
        self.taskmanagers.iter().map(|tm| self.free_slots(tm.number)).sum()
    }

    /// Slots of one TaskManager that no job holds.
    pub fn free_slots(&self, number: u64) -> usize {
        let Some(tm) = self.taskmanager(number).filter(|tm| tm.lost.is_none()) else { return 0 };
        let taken = self.jobs.iter().flat_map(|j| &j.slots).filter(|s| s.taskmanager == number).count();
        tm.slots.saturating_sub(taken)
    }

    /// An asynchronous operation.
    pub fn operation(&self, trigger: u128) -> Option<&Operation> {
        self.operations.iter().find(|op| op.trigger == trigger)
    }

    /// The most TaskManagers that can exist.
    fn most(&self) -> usize {
        self.spec.taskmanagers.max.max(self.spec.taskmanagers.count)
    }

    fn register(&mut self, now: i64, number: u64, mut pod: Option<Pod>) {
        let slots = self.spec.taskmanagers.slots.max(1);
        log::registered(self.jobmanager_pod.as_mut(), pod.as_mut(), now, slots);
        let bits = self.noise.bits();
        let port = 34_000 + (bits % 8_000) as u16;
        // On Kubernetes the id of a TaskManager is the name of its pod.
        let (id, host) = match &pod {
            Some(pod) => (pod.name.clone(), format!("10-1-0-{}", 10 + number % 200)),
            None => (format!("127.0.0.1:{port}-{:06x}", (bits >> 40) & 0xff_ffff), "localhost".to_owned()),
        };
        self.taskmanagers.push(TaskManager {
            number,
            id,
            host,
            rpc_port: port,
            data_port: port + 97,
            slots,
            registered: now,
            lost: None,
            pod,
            jvm: Jvm::new(self.pools.heap()),
            segments_used: 0,
            managed_used: 0,
            idle_since: now,
        });
    }

    pub(super) fn step(&mut self, around: &mut Surroundings<'_>) {
        let now = around.now;
        self.step_pods(now, around.faults);
        match self.jobmanager {
            JobManager::Up { .. } => {}
            JobManager::Starting { until } if now < until => return,
            JobManager::Starting { .. } => {}
            JobManager::Stopping { .. } | JobManager::Gone { .. } => {
                return self.step_shutdown(now, around.faults.pods_stuck(&self.spec.name));
            }
        }
        if matches!(self.jobmanager, JobManager::Starting { .. }) {
            self.jobmanager = JobManager::Up { since: now };
            self.jobmanager_jvm = Jvm::new(448 << 20);
            for job in self.jobs.iter_mut().filter(|_| self.was_up) {
                job.recover(now);
            }
            self.was_up = true;
        }
        self.manage_taskmanagers(now, around.faults.no_capacity(&self.spec.name));
        self.give_slots(now);
        self.step_jobs(around);
        self.step_jvms(around);
        self.finish_operations(now);
    }

    fn all_free(&self, number: u64) -> bool {
        !self.jobs.iter().flat_map(|j| &j.slots).any(|s| s.taskmanager == number)
    }

    /// Jobs take free slots up to what they want, first the slots of TaskManagers that are in use already; slots that a job
    /// does not need any more go back after a while.
    fn give_slots(&mut self, now: i64) {
        let idle = self.spec.timings.slot_idle;
        for job in &mut self.jobs {
            job.release_slots(now, idle);
        }
        if self.jobs.iter().all(|job| job.slots.len() >= job.demand()) {
            return;
        }
        let mut free: Vec<SlotRef> = Vec::new();
        for tm in self.taskmanagers.iter().filter(|tm| tm.lost.is_none()) {
            for slot in 0..tm.slots {
                let slot = SlotRef { taskmanager: tm.number, slot };
                if !self.jobs.iter().any(|job| job.slots.contains(&slot)) {
                    free.push(slot);
                }
            }
        }
        for job in &mut self.jobs {
            let missing = job.demand().saturating_sub(job.slots.len()).min(free.len());
            if missing > 0 && job.takes_slots() {
                job.slots.extend(free.drain(..missing));
            }
        }
    }

    fn step_jobs(&mut self, around: &mut Surroundings<'_>) {
        let Self { jobs, taskmanagers, jobmanager_pod, spec, operations, .. } = self;
        let mut speeds = Vec::new();
        for job in jobs.iter_mut() {
            let before = log::Counted::of(job);
            speeds.clear();
            speeds.extend(job.slots.iter().map(|slot| {
                taskmanagers.iter().find(|tm| tm.number == slot.taskmanager).map_or(1.0, |tm| tm.jvm.speed())
            }));
            job.step(&mut Around {
                now: around.now,
                dt: around.dt,
                sample: around.sample,
                cluster: spec,
                topics: around.topics,
                faults: around.faults,
                storage: around.storage,
                speeds: &speeds,
                taskmanagers,
            });
            let notes = job.take_notes();
            if let Some(pod) = jobmanager_pod {
                log::job(pod, job, &notes);
                log::checkpoints(pod, job, before, around.now);
                log::tasks_run(taskmanagers, job, before, around.now);
            }
            for answer in job.take_answers() {
                if let Some(op) = operations.iter_mut().find(|op| op.trigger == answer.operation) {
                    op.progress = progress_of(answer);
                    op.ended = Some(around.now);
                }
            }
        }
        let keep = spec.config_millis("jobstore.expiration-time", 3_600_000);
        jobs.retain(|job| !job.status.is_terminal() || around.now - job.end_time < keep);
    }

    fn step_jvms(&mut self, around: &Surroundings<'_>) {
        let mut lost = Vec::new();
        let segments = self.pools.segments();
        let per_slot = self.pools.managed / self.spec.taskmanagers.slots.max(1) as u64;
        let metaspace = self.pools.metaspace;
        for tm in self.taskmanagers.iter_mut().filter(|tm| tm.lost.is_none()) {
            let mut work = Work { cpu: 0.004 * around.dt, allocated: 60_000.0 * around.dt, ..Work::default() };
            let mut buffers = 0.0;
            let mut managed = 0;
            for job in &mut self.jobs {
                let mine = job.slots.iter().filter(|s| s.taskmanager == tm.number).count();
                if mine == 0 || !job.all_running() {
                    continue;
                }
                if !job.classes_loaded {
                    tm.jvm.load_classes(metaspace);
                }
                if uses_managed(job) {
                    let used = (0..job.slots_in_use().min(job.slots.len()))
                        .filter(|i| job.slots[*i].taskmanager == tm.number)
                        .count();
                    managed += used as u64 * per_slot;
                }
                buffers += job.load_on(tm.number, &mut work);
            }
            tm.segments_used = (buffers as u64).min(segments);
            tm.managed_used = managed;
            if tm.jvm.step(around.dt, work).is_err() {
                lost.push(tm.number);
            }
            if around.sample {
                tm.jvm.sample_meters();
            }
        }
        for job in self.jobs.iter_mut().filter(|job| job.all_running()) {
            job.classes_loaded = true;
        }
        let jobs = self.jobs.len() as f64;
        let idle = Work { cpu: 0.01 * around.dt, allocated: 400_000.0 * around.dt, live: jobs * 2e6, tasks: 0 };
        // Far from its limit: the JobManager's heap cannot be exhausted by this.
        let _ = self.jobmanager_jvm.step(around.dt, idle);
        if around.sample {
            self.jobmanager_jvm.sample_meters();
        }
        for number in lost {
            let (class, trace) = exceptions::thrown(super::spec::ExceptionKind::OutOfMemory, 0);
            self.lose(number, class, trace, (239, "Error"), around.now);
        }
    }

    fn finish_operations(&mut self, now: i64) {
        let keep = self.spec.config_millis("rest.async.store-duration", 300_000);
        self.operations.retain(|op| op.ended.is_none_or(|ended| now - ended < keep));
    }

    /// A TaskManager dies; the jobs on it fail and restart.
    fn lose(&mut self, number: u64, class: String, trace: String, exit: (i32, &'static str), now: i64) {
        let Some(tm) = self.taskmanagers.iter_mut().find(|tm| tm.number == number) else { return };
        if let Some(pod) = &mut tm.pod {
            pod.fail(now, exit.0, exit.1, &mut self.happenings);
            let why = format!("exit code {} ({})", exit.0, exit.1);
            log::lost(self.jobmanager_pod.as_mut(), &tm.id, now, &why);
        }
        tm.lost = Some(now);
        tm.segments_used = 0;
        tm.managed_used = 0;
        for job in &mut self.jobs {
            if job.slots.iter().any(|s| s.taskmanager == number) {
                job.slots.retain(|s| s.taskmanager != number);
                job.taskmanager_lost(class.clone(), trace.clone(), now, &self.spec);
            }
        }
    }

    /// The TaskManager with most slots in use dies.
    pub(super) fn lose_busiest(&mut self, why: &str, exit: (i32, &'static str), now: i64) -> Option<String> {
        let tm = self
            .taskmanagers
            .iter()
            .filter(|tm| tm.lost.is_none())
            .max_by_key(|tm| (tm.slots - self.free_slots(tm.number).min(tm.slots), u64::MAX - tm.number))?;
        let (number, id) = (tm.number, tm.id.clone());
        let (class, trace) = exceptions::taskmanager_gone(&id, why);
        self.lose(number, class, trace, exit, now);
        Some(id)
    }

    /// The TaskManager with this id dies; false if there is none.
    pub(super) fn lose_named(&mut self, id: &str, why: &str, now: i64) -> bool {
        let Some(number) = self.taskmanagers.iter().find(|tm| tm.id == id && tm.lost.is_none()).map(|tm| tm.number)
        else {
            return false;
        };
        let (class, trace) = exceptions::taskmanager_gone(id, why);
        self.lose(number, class, trace, (137, "Error"), now);
        true
    }

    /// Sets the parallelism that a job may have.
    ///
    /// # Errors
    /// What the REST API refuses, with one line per fault.
    pub fn set_requirements(&mut self, id: JobId, wanted: &BTreeMap<VertexId, Bounds>) -> Result<(), Refused> {
        let adaptive = self.spec.scheduler == super::spec::Scheduler::Adaptive;
        let job = self.job_mut(id).filter(|job| !job.status.is_terminal()).ok_or(Refused::NoJob)?;
        if !adaptive {
            return Err(Refused::Scheduler);
        }
        let mut faults = Vec::new();
        for (id, bounds) in wanted {
            match job.graph.vertices.iter().find(|node| node.id == *id) {
                None => return Err(Refused::Bounds(vec![format!("Job vertex [{id}] was not found in the JobGraph.")])),
                Some(node) if bounds.upper > node.max_parallelism => faults.push(format!(
                    "The newly requested parallelism {} for the job vertex {id} exceeds its maximum parallelism {}.",
                    bounds.upper, node.max_parallelism
                )),
                Some(_) if bounds.lower == 0 || bounds.upper == 0 => faults.push(format!(
                    "Both, the requested lower bound [{}] and upper bound [{}] for job vertex [{id}] must be greater than zero.",
                    bounds.lower, bounds.upper
                )),
                Some(_) if bounds.lower > bounds.upper => faults.push(format!(
                    "The requested lower bound [{}] for job vertex [{id}] is higher than the upper bound [{}].",
                    bounds.lower, bounds.upper
                )),
                Some(_) => {}
            }
        }
        for node in &job.graph.vertices {
            if !wanted.contains_key(&node.id) {
                faults.push(format!(
                    "The request is incomplete, missing job vertex [{}] resource requirements.",
                    node.id
                ));
            }
        }
        if !faults.is_empty() {
            return Err(Refused::Bounds(faults));
        }
        let graph = job.graph.clone();
        for (node, bounds) in graph.vertices.iter().zip(&mut job.requirements) {
            if let Some(wanted) = wanted.get(&node.id) {
                *bounds = *wanted;
            }
        }
        Ok(())
    }

    /// Asks a job for a savepoint or checkpoint; `Kind::SyncSavepoint` stops it. A repeated trigger id starts nothing.
    pub fn trigger(&mut self, id: JobId, request: Request, now: i64) {
        if self.operation(request.operation).is_some() {
            return;
        }
        let mut operation = Operation {
            trigger: request.operation,
            kind: Some(request.kind),
            job: Some(id),
            progress: Progress::InProgress,
            ended: None,
        };
        match self.job_mut(id).filter(|job| !job.status.is_terminal()) {
            Some(job) => {
                if request.kind == Kind::SyncSavepoint && job.all_running() {
                    job.stopping = Some(request.operation);
                }
                job.request(request);
            }
            None => {
                operation.ended = Some(now);
                operation.progress = Progress::Failed(
                    "org.apache.flink.runtime.messages.FlinkJobNotFoundException".to_owned(),
                    format!("Could not find Flink job ({id})"),
                );
            }
        }
        self.operations.push(operation);
    }

    /// Cancels a job: none if there is no such job, false if it ended otherwise before.
    pub fn cancel(&mut self, id: JobId, now: i64) -> Option<bool> {
        let Self { jobs, spec, .. } = self;
        jobs.iter_mut().find(|job| job.id == id).map(|job| job.cancel(now, spec))
    }

    /// Bits for a new id.
    pub(super) fn new_id(&mut self) -> u128 {
        self.noise.id()
    }
}

/// A job reserves managed memory once one of its vertices keeps state there.
fn uses_managed(job: &Job) -> bool {
    job.graph.spec.vertices.iter().any(|v| v.state.as_ref().is_some_and(|s| s.backend == StateBackend::RocksDb))
}

fn progress_of(answer: Answer) -> Progress {
    match answer.result {
        Ok((path, _)) if answer.kind != Kind::Checkpoint => Progress::Savepoint(path),
        Ok((_, id)) => Progress::Checkpoint(id),
        Err(why) => Progress::Failed("org.apache.flink.runtime.checkpoint.CheckpointException".to_owned(), why),
    }
}
