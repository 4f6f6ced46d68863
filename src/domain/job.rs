//! What is known of one job and of the cluster it runs on: the parts of a snapshot.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::evaluation::Evaluation;
use super::explanation::Explanation;
use super::freshness::Observed;
use super::health::Health;
use super::ids::{ClusterKey, JobId, JobKey, RunId, SourceId, VertexId};
use super::kubernetes::{KubeAction, ResourceView};
use super::memory::{MemoryConfiguration, MemoryOutlook, PoolUsage};
use super::plan::SavepointFormat;
use super::pods::PodsView;
use super::reason::Reason;
use super::topology::Topology;
use super::units::nonfinite;
use super::window::{MetricWindow, WindowStatus};

/// What kind of thing a fleet row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum JobKind {
    /// A FlinkDeployment with a job (application mode).
    FlinkDeployment,
    /// A FlinkDeployment without a job: a session cluster.
    SessionCluster,
    /// A FlinkSessionJob.
    FlinkSessionJob,
    /// A job of a plain Flink cluster, or one submitted outside the operator.
    FlinkJob,
}

/// Flink's job states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)] // Flink's own names
pub enum JobState {
    Initializing,
    Created,
    Running,
    Failing,
    Failed,
    Cancelling,
    Canceled,
    Finished,
    Restarting,
    Suspended,
    Reconciling,
    /// Not observed, or a name that is not known here.
    Unknown,
}

impl JobState {
    /// The state with Flink's name.
    pub fn parse(name: &str) -> Self {
        match name {
            "INITIALIZING" => Self::Initializing,
            "CREATED" => Self::Created,
            "RUNNING" => Self::Running,
            "FAILING" => Self::Failing,
            "FAILED" => Self::Failed,
            "CANCELLING" => Self::Cancelling,
            "CANCELED" => Self::Canceled,
            "FINISHED" => Self::Finished,
            "RESTARTING" => Self::Restarting,
            "SUSPENDED" => Self::Suspended,
            "RECONCILING" => Self::Reconciling,
            _ => Self::Unknown,
        }
    }

    /// Flink's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Initializing => "INITIALIZING",
            Self::Created => "CREATED",
            Self::Running => "RUNNING",
            Self::Failing => "FAILING",
            Self::Failed => "FAILED",
            Self::Cancelling => "CANCELLING",
            Self::Canceled => "CANCELED",
            Self::Finished => "FINISHED",
            Self::Restarting => "RESTARTING",
            Self::Suspended => "SUSPENDED",
            Self::Reconciling => "RECONCILING",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// No further progress is possible.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Failed | Self::Canceled | Self::Finished)
    }
}

/// How many tasks are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs)] // Flink's own names
pub struct TaskCounts {
    pub total: u32,
    pub running: u32,
    pub finished: u32,
    pub created: u32,
    pub scheduled: u32,
    pub deploying: u32,
    pub initializing: u32,
    pub canceling: u32,
    pub canceled: u32,
    pub failed: u32,
    pub reconciling: u32,
}

impl TaskCounts {
    /// Every task runs or has finished.
    pub fn all_running(&self) -> bool {
        self.total > 0 && self.running + self.finished == self.total
    }
}

/// Flightdeck's mode for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Proposals wait for a person.
    #[default]
    Manual,
    /// Proposals are applied by themselves, after all guards.
    Auto,
    /// Proposals are shown and cannot be applied.
    Advise,
    /// No loop for this job.
    Off,
}

impl Mode {
    /// The word as in configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Auto => "auto",
            Self::Advise => "advise",
            Self::Off => "off",
        }
    }
}

/// Who scales a job (design: ownership).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "role")]
pub enum Ownership {
    /// The operator's autoscaler acts.
    Observer {
        /// The evidence.
        why: String,
    },
    /// Flightdeck's own loop computes.
    Pilot {
        /// The evidence.
        why: String,
    },
    /// Somebody else writes the same fields.
    Conflict {
        /// With whom, and how it was found.
        why: String,
    },
}

/// How an approved decision would be applied to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "way")]
pub enum Realization {
    /// Patch `pipeline.jobvertex-parallelism-overrides` of the resource.
    PatchResource {
        /// The change will be made in place, without a redeploy.
        in_place: bool,
    },
    /// `PUT /jobs/:id/resource-requirements` (adaptive scheduler).
    ResourceRequirements,
    /// It cannot be applied, only shown.
    AdviseOnly {
        /// Why.
        why: String,
    },
}

/// Numbers of a job in one line. Unknown is NaN.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct JobRates {
    /// Records per second read by all sources.
    #[serde(with = "nonfinite")]
    pub records_in: f64,
    /// Records per second written by all sinks' inputs.
    #[serde(with = "nonfinite")]
    pub records_out: f64,
    /// Pending records of all sources; NaN if no source reports them.
    #[serde(with = "nonfinite")]
    pub lag: f64,
    /// Growth of the lag, records per second; negative while catching up.
    #[serde(with = "nonfinite")]
    pub lag_rate: f64,
    /// Seconds of work that the lag stands for at the present input rate.
    #[serde(with = "nonfinite")]
    pub lag_seconds: f64,
    /// Seconds until the lag is gone at the present pace; infinite while it does not shrink.
    #[serde(with = "nonfinite")]
    pub catch_up_seconds: f64,
    /// Highest busy ratio of any vertex, 0..=1.
    #[serde(with = "nonfinite")]
    pub utilization: f64,
    /// Lower end of the utilization band.
    #[serde(with = "nonfinite")]
    pub band_low: f64,
    /// Upper end of the utilization band.
    #[serde(with = "nonfinite")]
    pub band_high: f64,
    /// Highest backpressured ratio of any vertex, 0..=1.
    #[serde(with = "nonfinite")]
    pub backpressure: f64,
}

/// How far event time has come at the input of a task; ordered by progress, so that the lowest is the one that holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Watermark {
    /// No watermark arrived yet.
    NotYet,
    /// Everything before this instant has arrived.
    At(Timestamp),
    /// The input has ended: nothing will come any more.
    EndOfInput,
}

impl Watermark {
    /// By Flink's number, epoch milliseconds: its lowest says that there is none yet, its highest that the input has ended.
    /// Anything else that is no instant is treated like the end of the scale that it lies beyond.
    pub fn from_millis(millis: i64) -> Self {
        match Timestamp::from_timestamp_millis(millis) {
            Some(at) => Self::At(at),
            None if millis < 0 => Self::NotYet,
            None => Self::EndOfInput,
        }
    }
}

/// One vertex as it is now. Unknown is NaN; ratios 0..=1; rates in records per second of the whole vertex.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VertexView {
    /// Its id.
    pub id: VertexId,
    /// Its name.
    pub name: String,
    /// Subtasks now.
    pub parallelism: i32,
    /// Key groups.
    pub max_parallelism: i32,
    /// Flink's execution state of the vertex.
    pub status: String,
    /// Its tasks.
    pub tasks: TaskCounts,
    /// Input rate (of a source: what it reads or emits).
    #[serde(with = "nonfinite")]
    pub records_in: f64,
    /// Output rate.
    #[serde(with = "nonfinite")]
    pub records_out: f64,
    /// Average busy ratio of its subtasks.
    #[serde(with = "nonfinite")]
    pub busy: f64,
    /// Busy ratio of its busiest subtask.
    #[serde(with = "nonfinite")]
    pub busy_max: f64,
    /// Average backpressured ratio.
    #[serde(with = "nonfinite")]
    pub backpressured: f64,
    /// Average idle ratio.
    #[serde(with = "nonfinite")]
    pub idle: f64,
    /// Pending records (sources that report it).
    #[serde(with = "nonfinite")]
    pub lag: f64,
    /// Lowest watermark at the input of its subtasks. Absent for sources, and while nobody looks at the job.
    pub watermark: Option<Watermark>,
    /// Some subtask's numbers are missing: totals are too small.
    pub incomplete: bool,
}

/// One subtask of the selected vertex. Ratios 0..=1, rates in records per second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubtaskView {
    /// Its index.
    pub index: u32,
    /// Flink's execution state.
    pub status: String,
    /// Attempt number.
    pub attempt: u32,
    /// Host and port of its TaskManager.
    pub endpoint: String,
    /// Id of its TaskManager.
    pub task_manager: String,
    /// Records read since its attempt began.
    pub records_in: u64,
    /// Records written since its attempt began.
    pub records_out: u64,
    /// Busy ratio.
    #[serde(with = "nonfinite")]
    pub busy: f64,
    /// Backpressured ratio.
    #[serde(with = "nonfinite")]
    pub backpressured: f64,
    /// Idle ratio.
    #[serde(with = "nonfinite")]
    pub idle: f64,
}

/// The subtasks of one vertex.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubtasksView {
    /// The vertex.
    pub vertex: VertexId,
    /// Its subtasks, by index.
    pub subtasks: Vec<SubtaskView>,
}

/// How a checkpoint ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)] // Flink's own names
pub enum CheckpointStatus {
    InProgress,
    Completed,
    Failed,
}

/// One checkpoint or savepoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointEntry {
    /// Flink's number.
    pub id: u64,
    /// How it ended.
    pub status: CheckpointStatus,
    /// It is a savepoint.
    pub is_savepoint: bool,
    /// Format of a savepoint, where Flink tells it.
    #[serde(default)]
    pub format: Option<SavepointFormat>,
    /// CHECKPOINT, UNALIGNED_CHECKPOINT, SAVEPOINT or SYNC_SAVEPOINT.
    pub kind: String,
    /// When it was triggered.
    pub triggered_at: Timestamp,
    /// End-to-end duration, if known.
    pub duration: Option<Duration>,
    /// Full size of the state, bytes.
    pub state_size: u64,
    /// What this one wrote, bytes.
    pub checkpointed_size: u64,
    /// Subtasks that acknowledged.
    pub acknowledged: u32,
    /// Subtasks asked.
    pub subtasks: u32,
    /// Where it is, if it completed.
    pub external_path: Option<String>,
    /// It was removed from storage.
    pub discarded: bool,
    /// Why it failed.
    pub failure: Option<String>,
}

/// Checkpointing of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointsView {
    /// Checkpointing is on.
    pub enabled: bool,
    /// Configured interval.
    pub interval: Option<Duration>,
    /// Configured time-out.
    pub timeout: Option<Duration>,
    /// Completed so far.
    pub completed: u64,
    /// Failed so far.
    pub failed: u64,
    /// In progress now.
    pub in_progress: u64,
    /// Restores so far, rescales included.
    pub restored: u64,
    /// Newest first.
    pub history: Vec<CheckpointEntry>,
    /// When the newest completed one was triggered.
    pub latest_completed_at: Option<Timestamp>,
    /// From which checkpoint the job was last restored.
    pub restored_from: Option<String>,
}

/// One failure from Flink's exception history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProblemEntry {
    /// When.
    pub at: Timestamp,
    /// Class of the deepest cause.
    pub root_class: String,
    /// Message of the deepest cause.
    pub root_message: String,
    /// Class of the outermost exception.
    pub class: String,
    /// The whole stack trace, bounded.
    pub stack: String,
    /// Name of the task that failed, if Flink says so.
    pub task: Option<String>,
    /// Host and port, if Flink says so.
    pub endpoint: Option<String>,
    /// TaskManager, if Flink says so.
    pub task_manager: Option<String>,
    /// Failures reported together with this one.
    pub concurrent: usize,
}

/// What goes wrong in a job.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProblemsView {
    /// Newest first.
    pub entries: Vec<ProblemEntry>,
    /// Older entries exist in Flink or were dropped.
    pub truncated: bool,
    /// Restarts because of failures, where Flink tells them from rescales.
    pub restarts: Option<u64>,
}

/// What the loop did in its last turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnView {
    /// When.
    pub at: Timestamp,
    /// The one reason.
    pub reason: Reason,
    /// The whole explanation.
    pub explanation: Option<Arc<Explanation>>,
    /// When the next turn is due.
    pub next_at: Timestamp,
}

/// Everything known of one job. Immutable: a changed job is a new value with a higher revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// Identity.
    pub key: JobKey,
    /// Grows with every change.
    pub revision: u64,
    /// What kind of row it is.
    pub kind: JobKind,
    /// Where its data come from.
    pub source: SourceId,
    /// The cluster it runs on.
    pub cluster: ClusterKey,
    /// Kubernetes namespace.
    pub namespace: Option<String>,
    /// Name of the resource, or Flink's job name.
    pub name: String,
    /// `metadata.generation` of the resource.
    pub generation: Option<i64>,
    /// Flink's job id, once known.
    pub job_id: Option<JobId>,
    /// Flink's state of the job.
    pub state: JobState,
    /// Flink's tasks of the job.
    pub tasks: TaskCounts,
    /// The run, once RUNNING.
    pub run: Option<RunId>,
    /// When it was submitted.
    pub started_at: Option<Timestamp>,
    /// The one status word.
    pub health: Health,
    /// Who scales it.
    pub ownership: Ownership,
    /// Flightdeck's mode.
    pub mode: Mode,
    /// How a decision would be applied.
    pub realization: Realization,
    /// Options in force that differ from their defaults: key, value, layer.
    pub options: Arc<Vec<(String, String, String)>>,
    /// Numbers in one line.
    pub rates: Option<Observed<JobRates>>,
    /// The graph.
    pub topology: Option<Arc<Topology>>,
    /// Vertices in topological order.
    pub vertices: Option<Observed<Arc<Vec<VertexView>>>>,
    /// Subtasks of the selected vertex.
    pub subtasks: Option<Observed<Arc<SubtasksView>>>,
    /// The metric window.
    pub window: Option<Arc<MetricWindow>>,
    /// How full it is.
    pub window_status: Option<WindowStatus>,
    /// What the evaluator made of it.
    pub evaluation: Option<Arc<Evaluation>>,
    /// What the window says of the memory of its TaskManagers; `None` before the first turn that collected.
    pub memory_advice: Option<Arc<MemoryOutlook>>,
    /// Checkpoints.
    pub checkpoints: Option<Observed<Arc<CheckpointsView>>>,
    /// Problems.
    pub problems: Option<Observed<Arc<ProblemsView>>>,
    /// The last turn of the loop.
    pub turn: Option<Arc<TurnView>>,
    /// When the job was last observed at all.
    pub observed_at: Option<Timestamp>,
    /// What Kubernetes says of it, if an operator manages it.
    pub resource: Option<Arc<ResourceView>>,
    /// What is under way, in one sentence ("rescaling: waiting for a checkpoint, 12 s").
    pub progress: Option<String>,
}

impl JobView {
    /// The right that a change of its resource takes.
    pub fn patch_right(&self) -> KubeAction {
        match self.kind {
            JobKind::FlinkSessionJob => KubeAction::PatchSessionJob,
            JobKind::FlinkDeployment | JobKind::SessionCluster | JobKind::FlinkJob => KubeAction::PatchDeployment,
        }
    }
}

/// Which scheduler a cluster runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheduler {
    /// Adaptive: can rescale in place.
    Adaptive,
    /// Default: cannot.
    Default,
    /// Not known.
    Unknown,
}

/// One TaskManager. Sizes in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskManagerView {
    /// Its resource id (pod name on Kubernetes).
    pub id: String,
    /// Slots in all.
    pub slots: u32,
    /// Free slots.
    pub free_slots: u32,
    /// Jobs in its slots: job and number of slots.
    pub allocated: Vec<(JobId, u32)>,
    /// Last heartbeat.
    pub heartbeat_at: Option<Timestamp>,
    /// Cpu cores it offers.
    pub cpu_cores: f64,
    /// Share of all cores of its machine in use, 0..=1; NaN if unknown.
    #[serde(with = "nonfinite")]
    pub cpu_load: f64,
    /// Configured memory.
    pub memory: Option<MemoryConfiguration>,
    /// Pools with their use.
    pub pools: Vec<PoolUsage>,
    /// Share of time in garbage collection, 0..=1; NaN if unknown.
    #[serde(with = "nonfinite")]
    pub gc: f64,
    /// Memory limit of its container, if known.
    pub container_limit: Option<u64>,
}

/// One Flink cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterView {
    /// Identity.
    pub key: ClusterKey,
    /// Grows with every change.
    pub revision: u64,
    /// Where its data come from.
    pub source: SourceId,
    /// Name as shown.
    pub name: String,
    /// Kubernetes namespace.
    pub namespace: Option<String>,
    /// Address of Flink's own page, for people.
    pub ui_url: Option<String>,
    /// Flink version.
    pub flink_version: Option<String>,
    /// Its scheduler.
    pub scheduler: Scheduler,
    /// Slots in all.
    pub slots_total: u32,
    /// Free slots.
    pub slots_available: u32,
    /// TaskManagers, sorted by id.
    pub task_managers: Option<Observed<Arc<Vec<TaskManagerView>>>>,
    /// Its pods, if it runs on Kubernetes.
    pub pods: Option<Observed<Arc<PodsView>>>,
    /// The way to its JobManager and why this one, if it was chosen.
    pub way: Option<String>,
    /// How long the metrics it serves may be old (`metrics.fetcher.update-interval`).
    pub metric_interval: Duration,
    /// When it last answered.
    pub observed_at: Option<Timestamp>,
}
