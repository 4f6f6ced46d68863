//! What a cluster and a job of the embedded world are made of: plain data, as a scenario file writes it.
//!
//! These types are the vocabulary of `[[cluster]]` and `[[workload]]`; the physics takes them as they are.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, de::Error};

use super::de;
use super::nodes::Toleration;
use super::noise::hash128;
use super::rate::Rate;
use crate::domain::ids::VertexId;
use crate::domain::topology::ShipStrategy;

/// A version of Flink. Decides the shape of answers and the rules of rescaling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlinkVersion {
    /// 1 or 2.
    pub major: u32,
    /// The feature release.
    pub minor: u32,
    /// The patch release.
    pub patch: u32,
}

impl FlinkVersion {
    /// The version of a scenario that names none.
    pub const DEFAULT: Self = Self { major: 1, minor: 20, patch: 5 };

    /// At least this feature release.
    pub fn at_least(self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) >= (major, minor)
    }

    /// Reads `1.20.5` or `2.1`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(str::parse::<u32>);
        let (major, minor) = (parts.next()?.ok()?, parts.next()?.ok()?);
        let patch = parts.next().map_or(Some(0), Result::ok)?;
        parts.next().is_none().then_some(Self { major, minor, patch })
    }
}

impl fmt::Display for FlinkVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl<'de> Deserialize<'de> for FlinkVersion {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        match Self::parse(&text) {
            Some(version) if version.at_least(1, 18) => Ok(version),
            _ => Err(D::Error::custom(format!("{text:?} is not a Flink version from 1.18 on, such as 1.20.5"))),
        }
    }
}

/// Flink's scheduler (`jobmanager.scheduler`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheduler {
    /// Rescales running jobs by resource requirements.
    #[default]
    Adaptive,
    /// Does not.
    Default,
}

/// How a cluster came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterKind {
    /// Started by hand: known by its URL only.
    #[default]
    Plain,
    /// A FlinkDeployment without a job: a session cluster for FlinkSessionJobs.
    Session,
    /// A FlinkDeployment with its one job.
    Application,
}

/// One Flink cluster: a JobManager with TaskManagers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct ClusterSpec {
    /// Its name; unique in the world.
    pub name: String,
    /// How it came to be.
    pub kind: ClusterKind,
    /// Flink's version.
    pub version: FlinkVersion,
    /// Its scheduler.
    pub scheduler: Scheduler,
    /// Flink's configuration; memory sizes and the caches of the REST API are read from it.
    pub config: BTreeMap<String, String>,
    /// Its JobManager.
    pub jobmanager: JobManagerSpec,
    /// Its TaskManagers.
    pub taskmanagers: TaskManagerSpec,
    /// Where its pods may run.
    pub placement: Placement,
    /// Image of its pods; follows from the version if empty.
    pub image: String,
    /// Its namespace: the scenario's, if empty.
    pub namespace: String,
    /// How long things take.
    pub timings: Timings,
}

impl Default for ClusterSpec {
    fn default() -> Self {
        Self {
            name: String::new(),
            kind: ClusterKind::Plain,
            version: FlinkVersion::DEFAULT,
            scheduler: Scheduler::Adaptive,
            config: BTreeMap::new(),
            jobmanager: JobManagerSpec::default(),
            taskmanagers: TaskManagerSpec::default(),
            placement: Placement::default(),
            image: String::new(),
            namespace: String::new(),
            timings: Timings::default(),
        }
    }
}

impl ClusterSpec {
    /// A duration of Flink's configuration, in milliseconds.
    pub fn config_millis(&self, key: &str, default: i64) -> i64 {
        self.config.get(key).and_then(|text| de::parse_flink_millis(text)).unwrap_or(default)
    }

    /// A whole number of Flink's configuration.
    pub fn config_number(&self, key: &str, default: usize) -> usize {
        self.config.get(key).and_then(|text| text.trim().parse().ok()).unwrap_or(default)
    }
}

/// The JobManager of a cluster.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct JobManagerSpec {
    /// Cpu cores.
    pub cpu: f64,
    /// `jobmanager.memory.process.size`.
    #[serde(deserialize_with = "de::size")]
    pub memory: u64,
}

impl Default for JobManagerSpec {
    fn default() -> Self {
        Self { cpu: 1.0, memory: 2048 << 20 }
    }
}

/// Where the pods of a cluster may run.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Placement {
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods bear.
    pub tolerations: Vec<Toleration>,
}

/// The TaskManagers of a cluster.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct TaskManagerSpec {
    /// TaskManagers at the start; the floor when they come on demand.
    pub count: usize,
    /// The most TaskManagers that can exist; equal to `count` means a fixed cluster, more means they are started on demand
    /// (as Flink on Kubernetes in native mode does).
    pub max: usize,
    /// Slots of each.
    pub slots: usize,
    /// Cpu cores of each.
    pub cpu: f64,
    /// `taskmanager.memory.process.size`, unless the configuration sets it.
    #[serde(deserialize_with = "de::size")]
    pub memory: u64,
}

impl Default for TaskManagerSpec {
    fn default() -> Self {
        Self { count: 1, max: 0, slots: 4, cpu: 1.0, memory: 1728 << 20 }
    }
}

/// How long things take in a cluster. Milliseconds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Timings {
    /// From the creation of a cluster until its JobManager answers.
    #[serde(deserialize_with = "de::millis")]
    pub jobmanager_start: i64,
    /// From a request for a TaskManager until it registers.
    #[serde(deserialize_with = "de::millis")]
    pub taskmanager_start: i64,
    /// From the signal to stop until the process of a pod is gone.
    #[serde(deserialize_with = "de::millis")]
    pub shutdown: i64,
    /// A TaskManager that is gone is noticed after this time (`heartbeat.timeout`).
    #[serde(deserialize_with = "de::millis")]
    pub heartbeat_timeout: i64,
    /// An idle TaskManager that was started on demand leaves after this time.
    #[serde(deserialize_with = "de::millis")]
    pub taskmanager_idle: i64,
    /// Cancelling the tasks of a job.
    #[serde(deserialize_with = "de::millis")]
    pub cancel: i64,
    /// Deploying the tasks of a job.
    #[serde(deserialize_with = "de::millis")]
    pub deploy: i64,
    /// Initializing tasks, before state is restored.
    #[serde(deserialize_with = "de::millis")]
    pub initialize: i64,
    /// State restored per second and slot, bytes.
    #[serde(deserialize_with = "de::size")]
    pub restore_rate: u64,
    /// State uploaded by checkpoints per second and slot, bytes.
    #[serde(deserialize_with = "de::size")]
    pub upload_rate: u64,
    /// Cool-down after a restart before the next rescale.
    #[serde(deserialize_with = "de::millis")]
    pub cooldown: i64,
    /// Wait for more slots: in CREATED up to 1.20; while running from 2.0 on (there 60 s by default).
    #[serde(deserialize_with = "de::maybe_millis")]
    pub stabilization: Option<i64>,
    /// Slots that a job no longer needs stay with it for this time (`slot.idle.timeout`).
    #[serde(deserialize_with = "de::millis")]
    pub slot_idle: i64,
    /// Waiting for slots at a start fails after this time.
    #[serde(deserialize_with = "de::millis")]
    pub resource_wait: i64,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            jobmanager_start: 3_000,
            taskmanager_start: 8_000,
            shutdown: 1_000,
            heartbeat_timeout: 18_000,
            taskmanager_idle: 30_000,
            cancel: 100,
            deploy: 100,
            initialize: 200,
            restore_rate: 200 << 20,
            upload_rate: 100 << 20,
            cooldown: 30_000,
            stabilization: None,
            slot_idle: 50_000,
            resource_wait: 300_000,
        }
    }
}

/// One job: its graph, its state handling and how it fails.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct JobSpec {
    /// Its name.
    pub name: String,
    /// Name of the program that it runs, by which its vertices have their ids: its own name if empty.
    #[serde(skip)]
    pub program: String,
    /// `pipeline.max-parallelism` of vertices that set none.
    #[serde(default = "default_max_parallelism")]
    pub max_parallelism: u32,
    /// Checkpointing.
    #[serde(default)]
    pub checkpoints: CheckpointSpec,
    /// How it fails by itself, if it does.
    #[serde(default)]
    pub failure: Option<FailureSpec>,
    /// Its vertices; each names its inputs, which must come before it.
    #[serde(rename = "vertex")]
    pub vertices: Vec<VertexSpec>,
}

fn default_max_parallelism() -> u32 {
    128
}

impl JobSpec {
    /// Name of the program that it runs.
    pub fn program(&self) -> &str {
        if self.program.is_empty() { &self.name } else { &self.program }
    }

    /// Id of a vertex: the one it sets, else one that follows from the names of job and vertex.
    pub fn vertex_id(&self, vertex: &VertexSpec) -> VertexId {
        vertex.id.unwrap_or_else(|| VertexId::from_u128(hash128(&[self.program(), &vertex.name])))
    }
}

/// Checkpointing of a job. Milliseconds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct CheckpointSpec {
    /// Time between triggers; none means off.
    #[serde(deserialize_with = "de::maybe_millis")]
    pub interval: Option<i64>,
    /// A checkpoint that takes longer fails.
    #[serde(deserialize_with = "de::millis")]
    pub timeout: i64,
    /// Time between the end of one and the start of the next.
    #[serde(deserialize_with = "de::millis")]
    pub min_pause: i64,
    /// Upload only what changed.
    pub incremental: bool,
}

impl Default for CheckpointSpec {
    fn default() -> Self {
        Self { interval: Some(10_000), timeout: 600_000, min_pause: 0, incremental: false }
    }
}

/// How a job fails by itself, again and again.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FailureSpec {
    /// Time from RUNNING to the failure.
    #[serde(deserialize_with = "de::millis")]
    pub after: i64,
    /// The vertex whose task throws; the last one if absent.
    #[serde(default)]
    pub vertex: Option<String>,
    /// What it throws.
    #[serde(default)]
    pub exception: ExceptionKind,
    /// Wait before the restart.
    #[serde(default = "default_restart_delay", deserialize_with = "de::millis")]
    pub restart_delay: i64,
    /// Restarts until the job is FAILED; none means forever.
    #[serde(default)]
    pub attempts: Option<u32>,
}

fn default_restart_delay() -> i64 {
    5_000
}

/// What a failing task throws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExceptionKind {
    /// A record that cannot be read: three nested causes.
    #[default]
    Deserialization,
    /// The system behind the sink does not answer.
    SinkTimeout,
    /// No more heap.
    OutOfMemory,
    /// A plain bug.
    NullPointer,
}

/// One vertex of a job: a chain of operators.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct VertexSpec {
    /// Names of its operators, joined by ` -> `.
    pub name: String,
    /// Its id; follows from the names if absent.
    #[serde(default)]
    pub id: Option<VertexId>,
    /// Subtasks at the start.
    #[serde(default = "one")]
    pub parallelism: u32,
    /// Key groups; the job's if absent.
    #[serde(default)]
    pub max_parallelism: Option<u32>,
    /// Time to process a record, seconds: its true processing rate is parallelism / cost.
    #[serde(deserialize_with = "de::cost")]
    pub cost: f64,
    /// Records it emits per record it takes.
    #[serde(default = "one_f64")]
    pub selectivity: f64,
    /// Share of all records that one hot key has, 0..1.
    #[serde(default)]
    pub skew: f64,
    /// Mean size of a record it emits.
    #[serde(default = "default_record_size", deserialize_with = "de::size")]
    pub record_size: u64,
    /// What it keeps.
    #[serde(default)]
    pub state: Option<StateSpec>,
    /// Where its records come from: vertices before it. Empty for a source.
    #[serde(default)]
    pub inputs: Vec<InputSpec>,
    /// What it reads; exactly for vertices without inputs.
    #[serde(default)]
    pub source: Option<SourceSpec>,
    /// Slot sharing group; tasks of one group share slots.
    #[serde(default)]
    pub slot_sharing_group: Option<String>,
}

fn one() -> u32 {
    1
}
fn one_f64() -> f64 {
    1.0
}
fn default_record_size() -> u64 {
    200
}

/// One incoming edge.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct InputSpec {
    /// Name of the upstream vertex.
    pub from: String,
    /// How records are distributed.
    #[serde(default = "rebalance", deserialize_with = "ship")]
    pub ship: ShipStrategy,
    /// Share of the upstream's records that takes this edge.
    #[serde(default = "one_f64")]
    pub ratio: f64,
}

fn rebalance() -> ShipStrategy {
    ShipStrategy::Rebalance
}

fn ship<'de, D: Deserializer<'de>>(d: D) -> Result<ShipStrategy, D::Error> {
    let text = String::deserialize(d)?;
    match ShipStrategy::parse(&text) {
        ShipStrategy::Unknown => Err(D::Error::custom(format!(
            "{text:?} is not a ship strategy: hash, rebalance, rescale, forward, broadcast, global, shuffle or custom"
        ))),
        known => Ok(known),
    }
}

/// State of a vertex.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StateSpec {
    /// Bytes it grows by per record, while it is small.
    #[serde(deserialize_with = "de::size")]
    pub per_record: u64,
    /// Size it approaches, all subtasks together.
    #[serde(deserialize_with = "de::size")]
    pub max: u64,
    /// Where it lives.
    #[serde(default)]
    pub backend: StateBackend,
}

/// Where state lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateBackend {
    /// On the heap.
    #[default]
    HashMap,
    /// In managed memory.
    RocksDb,
}

/// What a source reads.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SourceSpec {
    /// Records that arrive, over time.
    pub rate: Rate,
    /// Partitions; subtasks beyond their number have nothing to do.
    #[serde(default = "default_partitions")]
    pub partitions: u32,
    /// Records that wait at the beginning of time.
    #[serde(default)]
    pub backlog: f64,
    /// The connector reports `pendingRecords`.
    #[serde(default = "yes")]
    pub reports_pending: bool,
    /// A SourceFunction of old: its busy time is NaN and it reports no lag.
    #[serde(default)]
    pub legacy: bool,
}

fn default_partitions() -> u32 {
    16
}
fn yes() -> bool {
    true
}
