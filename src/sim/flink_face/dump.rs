//! One fetch of all metrics of a cluster: what the JobManager's metric store holds until the next one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::domain::ids::{JobId, VertexId};
use crate::sim::cluster::{Cluster, TaskManager};
use crate::sim::flow::{SEGMENT, Task};
use crate::sim::job::{Job, JobStatus};
use crate::sim::memory::{Jvm, Pools};
use crate::sim::topic::Topic;
use crate::sim::world::World;

/// Value of a metric; Flink sends every value as a string.
#[derive(Debug, Clone, PartialEq)]
pub enum Metric {
    /// A count or a whole gauge.
    Whole(i64),
    /// A double, written as Java writes it.
    Double(f64),
    /// A float of 32 bits.
    Single(f32),
    /// Anything else.
    Text(String),
}

impl Metric {
    /// As in an answer.
    pub fn text(&self) -> String {
        match self {
            Self::Whole(value) => value.to_string(),
            Self::Double(value) => java_double(*value),
            Self::Single(value) => java_double(format!("{value}").parse().unwrap_or(0.0)),
            Self::Text(value) => value.clone(),
        }
    }

    /// As a number, for aggregates; none if it is none.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Whole(value) => Some(*value as f64),
            Self::Double(value) => Some(*value),
            Self::Single(value) => Some(f64::from(*value)),
            Self::Text(_) => None,
        }
    }
}

/// A double as `Double.toString` writes it: `124.0`, `NaN`, `1.2345E7` from ten million on.
pub fn java_double(value: f64) -> String {
    let size = value.abs();
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else if size != 0.0 && !(1e-3..1e7).contains(&size) {
        let text = format!("{value:E}");
        match text.split_once('E') {
            Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0E{exponent}"),
            _ => text,
        }
    } else {
        format!("{value:?}")
    }
}

/// Names with values.
pub type Metrics = Vec<(Cow<'static, str>, Metric)>;

/// What one subtask had at the fetch.
#[derive(Debug, Clone, Default)]
pub struct SubtaskDump {
    /// All its metrics.
    pub metrics: Metrics,
    /// `read-bytes`, `write-bytes`, `read-records`, `write-records`.
    pub io: [i64; 4],
    /// Accumulated back pressured, idle and busy milliseconds; busy is NaN for legacy sources.
    pub times: (i64, i64, f64),
    /// Back pressured, idle and busy milliseconds per second.
    pub ratios: (f64, f64, f64),
    /// Its attempt.
    pub attempt: u32,
}

/// What one job had at the fetch.
#[derive(Debug, Clone, Default)]
pub struct JobDump {
    /// Metrics of the job.
    pub metrics: Metrics,
    /// Its subtasks by vertex.
    pub vertices: BTreeMap<VertexId, Vec<SubtaskDump>>,
}

/// One fetch.
#[derive(Debug, Default)]
pub struct Dump {
    /// When it was, epoch milliseconds; 0 for the empty one before the first.
    pub at: i64,
    /// By job.
    pub jobs: BTreeMap<JobId, JobDump>,
    /// By id of the TaskManager.
    pub taskmanagers: BTreeMap<String, Metrics>,
    /// The JobManager's.
    pub jobmanager: Metrics,
}

/// Fetches all metrics.
pub fn fetch(world: &World, cluster: &Cluster, now: i64) -> Dump {
    Dump {
        at: now,
        jobs: cluster
            .jobs
            .iter()
            .filter(|job| !job.status.is_terminal())
            .map(|job| (job.id, job_dump(world, cluster, job, now)))
            .collect(),
        taskmanagers: cluster.taskmanagers.iter().map(|tm| (tm.id.clone(), taskmanager(cluster, tm))).collect(),
        jobmanager: jobmanager(cluster),
    }
}

struct List(Metrics);

impl List {
    fn whole(&mut self, name: impl Into<Cow<'static, str>>, value: i64) {
        self.0.push((name.into(), Metric::Whole(value)));
    }
    fn double(&mut self, name: impl Into<Cow<'static, str>>, value: f64) {
        self.0.push((name.into(), Metric::Double(value)));
    }
    fn single(&mut self, name: &'static str, value: f64) {
        self.0.push((name.into(), Metric::Single(value as f32)));
    }
    fn text(&mut self, name: &'static str, value: String) {
        self.0.push((name.into(), Metric::Text(value)));
    }
}

/// An operator's name as metrics write it.
pub fn mangled(name: &str) -> String {
    name.chars().map(|c| if matches!(c, ' ' | '.' | ':' | ',') { '_' } else { c }).collect()
}

fn job_dump(world: &World, cluster: &Cluster, job: &Job, now: i64) -> JobDump {
    let mut vertices = BTreeMap::new();
    if job.all_running() {
        let lags = event_time_lags(world, job);
        for (index, node) in job.graph.vertices.iter().enumerate() {
            let Some(flow) = job.flow.vertices.get(index) else { continue };
            let subtasks = (0..flow.tasks.len()).map(|i| subtask(world, cluster, job, index, i, &lags, now)).collect();
            vertices.insert(node.id, subtasks);
        }
    }
    JobDump { metrics: job_metrics(cluster, job, now), vertices }
}

/// Milliseconds by which the records of each vertex are late: what waits before its sources, plus its own queue.
fn event_time_lags(world: &World, job: &Job) -> Vec<f64> {
    let travel = job.flow.barrier_travel(&job.graph);
    let mut lags = vec![0.0_f64; job.graph.vertices.len()];
    for (index, node) in job.graph.vertices.iter().enumerate() {
        let own = travel.get(index).copied().unwrap_or(0.0) * 1000.0;
        let source = job.cursors.get(index).and_then(Option::as_ref).and_then(|cursor| {
            let topic = world.topic(cursor)?;
            Some(cursor.lag(topic) / topic.rate.max(0.1) * 1000.0)
        });
        let inputs = node.inputs.iter().map(|edge| lags[edge.from]).fold(0.0, f64::max);
        lags[index] = source.unwrap_or(inputs.max(own));
    }
    lags
}

fn subtask(world: &World, cluster: &Cluster, job: &Job, index: usize, i: usize, lags: &[f64], now: i64) -> SubtaskDump {
    let (Some(flow), Some(spec), Some(node)) =
        (job.flow.vertices.get(index), job.graph.spec.vertices.get(index), job.graph.vertices.get(index))
    else {
        return SubtaskDump::default();
    };
    let Some(task) = flow.tasks.get(i) else { return SubtaskDump::default() };
    let source = spec.source.as_ref();
    let sink = node.outputs.is_empty();
    let legacy = source.is_some_and(|s| s.legacy);
    let counters = &task.counters;
    let meters = &task.meters;
    let records_in = if source.is_some() { 0.0 } else { counters.records_in };
    let records_in_rate = if source.is_some() { 0.0 } else { meters.records_in };
    let (records_out, records_out_rate) = if sink { (0.0, 0.0) } else { (counters.records_out, meters.records_out) };
    let (idle, backpressured) = ((counters.idle * 1000.0) as i64, (counters.backpressured * 1000.0) as i64);
    // Whole milliseconds of two, the rest is busy: the three add up to the life of the task.
    let busy = (counters.lived() * 1000.0).round() - idle as f64 - backpressured as f64;
    let busy_rate = f64::from(meters.busy());
    let (busy, busy_rate) = if legacy { (f64::NAN, f64::NAN) } else { (busy, busy_rate) };

    let mut list = List(Vec::with_capacity(100));
    list.whole("numRecordsIn", records_in as i64);
    list.double("numRecordsInPerSecond", records_in_rate);
    list.whole("numRecordsOut", records_out as i64);
    list.double("numRecordsOutPerSecond", records_out_rate);
    list.double("busyTimeMsPerSecond", busy_rate);
    list.whole("idleTimeMsPerSecond", i64::from(meters.idle));
    list.whole("backPressuredTimeMsPerSecond", i64::from(meters.backpressured));
    list.whole("softBackPressuredTimeMsPerSecond", i64::from(meters.backpressured));
    list.whole("hardBackPressuredTimeMsPerSecond", 0);
    list.double("accumulateBusyTimeMs", busy);
    list.whole("accumulateIdleTimeMs", idle);
    list.whole("accumulateBackPressuredTimeMs", backpressured);
    list.text("isBackPressured", task.blocked.to_string());
    list.whole("maxSoftBackPressureTimeMs", if task.blocked { 90 } else { 0 });
    list.whole("maxHardBackPressureTimeMs", 0);
    network(&mut list, cluster, task, flow, i, sink);
    list.whole("changelogBusyTimeMsPerSecond", 0);
    list.whole("initializationTime", (job.times.running - job.times.initializing).max(0));
    list.whole("checkpointStartDelayNanos", (lags.get(index).copied().unwrap_or(0.0).min(60_000.0) * 1e6) as i64);
    for (name, value) in [
        ("mailboxLatencyMs_max", 2.0),
        ("mailboxLatencyMs_mean", 0.3),
        ("mailboxLatencyMs_median", 0.0),
        ("mailboxLatencyMs_min", 0.0),
        ("mailboxLatencyMs_p75", 1.0),
        ("mailboxLatencyMs_p90", 1.0),
        ("mailboxLatencyMs_p95", 1.0),
        ("mailboxLatencyMs_p98", 2.0),
        ("mailboxLatencyMs_p99", 2.0),
        ("mailboxLatencyMs_p999", 2.0),
        ("mailboxLatencyMs_stddev", 0.4),
        ("mailboxMailsPerSecond", 1.2),
    ] {
        list.double(name, value);
    }
    list.whole("mailboxQueueSize", 0);
    if cluster.spec.version.at_least(1, 20) {
        list.whole("numFiredTimers", 0);
        list.double("numFiredTimersPerSecond", 0.0);
    }
    let lag = lags.get(index).copied().unwrap_or(0.0);
    let watermark = now - 2_000 - lag as i64;
    if source.is_none() {
        list.whole("currentInputWatermark", watermark);
        list.whole("checkpointAlignmentTime", 0);
    }
    operators(&mut list, world, job, index, i, task, watermark, lag);
    SubtaskDump {
        metrics: list.0,
        io: [counters.bytes_in as i64, counters.bytes_out as i64, records_in as i64, records_out as i64],
        times: (backpressured, idle, busy),
        ratios: (f64::from(meters.backpressured), f64::from(meters.idle), busy_rate),
        attempt: job.attempt,
    }
}

fn network(list: &mut List, cluster: &Cluster, task: &Task, flow: &crate::sim::flow::VertexFlow, i: usize, sink: bool) {
    let (counters, meters) = (&task.counters, &task.meters);
    let fill = flow
        .queues
        .iter()
        .map(|q| q.waiting.get(i).copied().unwrap_or(0.0) / q.capacity.max(1.0))
        .fold(0.0, f64::max)
        .min(1.0);
    let length = (fill * 12.0) as i64;
    let out = if sink {
        0.0
    } else if task.blocked {
        1.0
    } else {
        1.0 / 6.0
    };
    let out_length = (out * 6.0) as i64;
    list.single("Shuffle.Netty.Input.Buffers.inPoolUsage", fill);
    list.single("Shuffle.Netty.Input.Buffers.inputExclusiveBuffersUsage", fill);
    list.single("Shuffle.Netty.Input.Buffers.inputFloatingBuffersUsage", fill);
    list.whole("Shuffle.Netty.Input.Buffers.inputQueueLength", length);
    list.whole("Shuffle.Netty.Input.Buffers.inputQueueSize", length * SEGMENT as i64);
    list.single("Shuffle.Netty.Output.Buffers.outPoolUsage", out);
    list.whole("Shuffle.Netty.Output.Buffers.outputQueueLength", out_length);
    list.whole("Shuffle.Netty.Output.Buffers.outputQueueSize", out_length * SEGMENT as i64);
    if !cluster.spec.version.at_least(2, 0) {
        list.single("buffers.inPoolUsage", fill);
        list.single("buffers.inputExclusiveBuffersUsage", fill);
        list.single("buffers.inputFloatingBuffersUsage", fill);
        list.whole("buffers.inputQueueLength", length);
        list.whole("buffers.inputQueueSize", length * SEGMENT as i64);
        list.single("buffers.outPoolUsage", out);
        list.whole("buffers.outputQueueLength", out_length);
        list.whole("buffers.outputQueueSize", out_length * SEGMENT as i64);
    }
    let buffers = |bytes: f64| bytes / (SEGMENT as f64 * 0.8);
    let (bytes_in, bytes_out) = (counters.bytes_in as i64, counters.bytes_out as i64);
    list.whole("numBytesIn", bytes_in);
    list.double("numBytesInPerSecond", meters.bytes_in);
    list.whole("numBytesOut", bytes_out);
    list.double("numBytesOutPerSecond", meters.bytes_out);
    list.whole("numBuffersOut", buffers(counters.bytes_out) as i64);
    list.double("numBuffersOutPerSecond", buffers(meters.bytes_out));
    // Half of what comes in comes from the same TaskManager.
    for prefix in ["", "Shuffle.Netty.Input."] {
        for side in ["Local", "Remote"] {
            list.whole(format!("{prefix}numBytesIn{side}"), bytes_in / 2);
            list.double(format!("{prefix}numBytesIn{side}PerSecond"), meters.bytes_in / 2.0);
            list.whole(format!("{prefix}numBuffersIn{side}"), (buffers(counters.bytes_in) / 2.0) as i64);
            list.double(format!("{prefix}numBuffersIn{side}PerSecond"), buffers(meters.bytes_in) / 2.0);
        }
    }
}

#[allow(clippy::too_many_arguments)] // what an operator's metrics are made of
fn operators(list: &mut List, world: &World, job: &Job, index: usize, i: usize, task: &Task, watermark: i64, lag: f64) {
    let (Some(spec), Some(flow)) = (job.graph.spec.vertices.get(index), job.flow.vertices.get(index)) else { return };
    let (counters, meters) = (&task.counters, &task.meters);
    let names: Vec<&str> = spec.name.split(" -> ").collect();
    let last = names.len().saturating_sub(1);
    let cursor = job.cursors.get(index).and_then(Option::as_ref);
    for (number, name) in names.iter().enumerate() {
        let mut name = mangled(name);
        name.push('.');
        let prefix = name.len();
        let mut metric = |suffix: &str| {
            name.truncate(prefix);
            let _ = write!(name, "{suffix}");
            name.clone()
        };
        let is_source = spec.source.is_some() && number == 0;
        // Selectivity is that of the whole chain: its last operator emits it.
        let (out, out_rate) = if number == last {
            (counters.records_out, meters.records_out)
        } else {
            (counters.records_in, meters.records_in)
        };
        list.whole(metric("numRecordsIn"), counters.records_in as i64);
        list.double(metric("numRecordsInPerSecond"), meters.records_in);
        list.whole(metric("numRecordsOut"), out as i64);
        list.double(metric("numRecordsOutPerSecond"), out_rate);
        list.whole(metric("numBytesIn"), counters.bytes_in as i64);
        list.double(metric("numBytesInPerSecond"), meters.bytes_in);
        list.whole(metric("numBytesOut"), counters.bytes_out as i64);
        list.double(metric("numBytesOutPerSecond"), meters.bytes_out);
        list.whole(metric("currentOutputWatermark"), watermark);
        if !is_source {
            list.whole(metric("currentInputWatermark"), watermark);
            continue;
        }
        if spec.source.as_ref().is_some_and(|s| s.legacy) {
            continue;
        }
        list.whole(metric("numRecordsInErrors"), 0);
        list.whole(metric("currentEmitEventTimeLag"), lag as i64);
        list.whole(metric("watermarkLag"), lag as i64 + 2_000);
        list.whole(metric("sourceIdleTime"), 0);
        let Some((cursor, topic)) = cursor.and_then(|c| world.topic(c).map(|t: &Topic| (c, t))) else { continue };
        if topic.reports_pending() {
            list.whole(metric("pendingRecords"), cursor.pending(topic, i, flow.tasks.len()) as i64);
        }
    }
}

fn job_metrics(cluster: &Cluster, job: &Job, now: i64) -> Metrics {
    let mut list = List(Vec::with_capacity(25));
    let since = |status: JobStatus| if job.status == status { (now - job.timestamp(status)).max(0) } else { 0 };
    let running = since(JobStatus::Running);
    list.whole("uptime", running);
    list.whole("downtime", if running > 0 { 0 } else { now - job.last_modification });
    list.whole("runningTime", running);
    list.whole("restartingTime", since(JobStatus::Restarting));
    list.whole("initializingTime", since(JobStatus::Initializing));
    list.whole("createdTime", since(JobStatus::Created));
    list.whole("failingTime", since(JobStatus::Failing));
    list.whole("cancellingTime", since(JobStatus::Cancelling));
    list.whole("deployingTime", if job.all_running() { 0 } else { running });
    list.whole("numRestarts", job.restarts as i64);
    let two = cluster.spec.version.at_least(2, 0);
    if two {
        list.whole("numRescales", job.rescales as i64);
    } else {
        list.whole("fullRestarts", job.restarts as i64);
    }
    let checkpoints = &job.checkpoints;
    list.whole("numberOfCompletedCheckpoints", checkpoints.completed_count as i64);
    list.whole("numberOfFailedCheckpoints", checkpoints.failed_count as i64);
    list.whole("numberOfInProgressCheckpoints", checkpoints.running.len() as i64);
    list.whole("totalNumberOfCheckpoints", checkpoints.total() as i64);
    let last = checkpoints.completed.as_deref();
    let sum = |value: fn(&crate::sim::checkpoints::VertexPart) -> u64| {
        last.map_or(-1, |c| i64::try_from(c.sum(i64::MAX, value)).unwrap_or(i64::MAX))
    };
    list.whole("lastCheckpointDuration", last.map_or(-1, |c| c.duration(i64::MAX)));
    list.whole("lastCheckpointSize", sum(|p| p.checkpointed));
    list.whole("lastCheckpointFullSize", sum(|p| p.state_size));
    list.whole("lastCheckpointProcessedData", sum(|p| p.processed));
    list.whole("lastCheckpointPersistedData", if last.is_some() { 0 } else { -1 });
    list.whole("lastCheckpointRestoreTimestamp", checkpoints.restored.as_ref().map_or(-1, |r| r.at));
    list.whole("lastCompletedCheckpointId", last.map_or(-1, |c| c.id as i64));
    let path = last.and_then(|c| match &c.outcome {
        crate::sim::checkpoints::Outcome::Completed { path } => Some(path.clone()),
        _ => None,
    });
    list.text("lastCheckpointExternalPath", path.unwrap_or_else(|| "n/a".to_owned()));
    if two {
        list.whole("lastCheckpointCompletedTimestamp", last.map_or(-1, |c| c.done_at()));
    }
    list.0
}

fn jvm(list: &mut List, jvm: &Jvm, heap: u64, metaspace: u64, direct: i64, files: bool) {
    let non_heap = jvm.metaspace as i64 + 24_000_000;
    list.double("Status.JVM.CPU.Load", (jvm.cpu_load / 2.0).clamp(0.0, 1.0));
    list.whole("Status.JVM.CPU.Time", (jvm.cpu_seconds * 1e9) as i64);
    list.whole("Status.JVM.Memory.Heap.Used", jvm.heap_used() as i64);
    list.whole("Status.JVM.Memory.Heap.Committed", heap as i64);
    list.whole("Status.JVM.Memory.Heap.Max", heap as i64);
    list.whole("Status.JVM.Memory.NonHeap.Used", non_heap);
    list.whole("Status.JVM.Memory.NonHeap.Committed", non_heap + 2_500_000);
    list.whole("Status.JVM.Memory.NonHeap.Max", metaspace as i64 + (448 << 20));
    list.whole("Status.JVM.Memory.Metaspace.Used", jvm.metaspace as i64);
    list.whole("Status.JVM.Memory.Metaspace.Committed", jvm.metaspace as i64 + 600_000);
    list.whole("Status.JVM.Memory.Metaspace.Max", metaspace as i64);
    list.whole("Status.JVM.Memory.Direct.Count", direct / SEGMENT as i64 + 14);
    list.whole("Status.JVM.Memory.Direct.MemoryUsed", direct + 1);
    list.whole("Status.JVM.Memory.Direct.TotalCapacity", direct);
    list.whole("Status.JVM.Memory.Mapped.Count", 0);
    list.whole("Status.JVM.Memory.Mapped.MemoryUsed", 0);
    list.whole("Status.JVM.Memory.Mapped.TotalCapacity", 0);
    list.whole("Status.JVM.Threads.Count", jvm.threads as i64);
    list.whole("Status.JVM.ClassLoader.ClassesLoaded", 8_000 + jvm.threads as i64 * 10);
    list.whole("Status.JVM.ClassLoader.ClassesUnloaded", 40);
    let (young, old) = (&jvm.young, &jvm.old);
    for (name, count, millis, rate) in [
        ("G1_Young_Generation", young.count, young.millis, young.millis_per_second()),
        ("G1_Old_Generation", old.count, old.millis, old.millis_per_second()),
        (
            "All",
            young.count + old.count,
            young.millis + old.millis,
            young.millis_per_second() + old.millis_per_second(),
        ),
    ] {
        list.whole(format!("Status.JVM.GarbageCollector.{name}.Count"), count as i64);
        list.whole(format!("Status.JVM.GarbageCollector.{name}.Time"), millis as i64);
        list.double(format!("Status.JVM.GarbageCollector.{name}.TimeMsPerSecond"), rate);
    }
    if files {
        list.whole("Status.JVM.FileDescriptor.Open", 180 + jvm.threads as i64);
        list.whole("Status.JVM.FileDescriptor.Max", 1_048_576);
    }
}

/// Bytes of direct memory: all network buffers from the start on, and a little.
pub fn direct(pools: &Pools) -> i64 {
    (pools.segments() * SEGMENT) as i64 + 8_800_000
}

fn taskmanager(cluster: &Cluster, tm: &TaskManager) -> Metrics {
    let pools = &cluster.pools;
    let version = cluster.spec.version;
    let mut list = List(Vec::with_capacity(45));
    jvm(&mut list, &tm.jvm, pools.heap(), pools.metaspace, direct(pools), version.at_least(2, 1));
    list.whole("Status.Flink.Memory.Managed.Used", tm.managed_used as i64);
    list.whole("Status.Flink.Memory.Managed.Total", pools.managed as i64);
    let (total, used) = (pools.segments() as i64, tm.segments_used as i64);
    let segment = SEGMENT as i64;
    list.whole("Status.Shuffle.Netty.TotalMemory", total * segment);
    list.whole("Status.Shuffle.Netty.UsedMemory", used * segment);
    list.whole("Status.Shuffle.Netty.AvailableMemory", (total - used) * segment);
    list.whole("Status.Shuffle.Netty.TotalMemorySegments", total);
    list.whole("Status.Shuffle.Netty.UsedMemorySegments", used);
    list.whole("Status.Shuffle.Netty.AvailableMemorySegments", total - used);
    list.whole("Status.Shuffle.Netty.RequestedMemoryUsage", used * 100 / total.max(1));
    if !version.at_least(2, 0) {
        list.whole("Status.Network.TotalMemorySegments", total);
        list.whole("Status.Network.AvailableMemorySegments", total - used);
    }
    list.0
}

fn jobmanager(cluster: &Cluster) -> Metrics {
    let mut list = List(Vec::with_capacity(40));
    let files = cluster.spec.version.at_least(2, 1);
    jvm(&mut list, &cluster.jobmanager_jvm, 448 << 20, 256 << 20, 3_000_000, files);
    list.whole("taskSlotsTotal", cluster.slots_total() as i64);
    list.whole("taskSlotsAvailable", cluster.slots_free() as i64);
    list.whole("numRegisteredTaskManagers", cluster.taskmanagers.len() as i64);
    list.whole("numRunningJobs", cluster.jobs.iter().filter(|j| !j.status.is_terminal()).count() as i64);
    list.0
}
