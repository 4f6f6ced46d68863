//! Collection: from the raw values of one moment to a sample of the window (`autoscaler.md` §2).
//!
//! Owns which Flink metrics are wanted of which vertex, source partitions, and the arithmetic from raw values to a
//! [`Sample`]. It asks nobody for anything: a caller fetches what [`Collector`] wants and hands it in, in this order:
//!
//! 0. [`Collector::begin`];
//! 1. [`Collector::names_wanted`] → list the metric names of these vertices → [`Collector::learn_names`];
//! 2. [`Collector::queries`] → fetch these values; [`Collector::task_manager_names`] → fetch, [`Collector::learn_task_managers`];
//! 3. [`collect`] with everything.

pub mod names;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::names::{FlinkMetric, MetricNames};
use super::generation::{Generation, InputRateRule};
use super::options::{BusyTimeAggregator, Options};
use super::time::{after, seconds};
use crate::domain::Timestamp;
use crate::domain::evaluation::ScalingMetric;
use crate::domain::ids::VertexId;
use crate::domain::topology::{Topology, Vertex};
use crate::domain::units::nonfinite;
use crate::domain::window::{GlobalSample, MetricWindow, Sample, VertexSample};

/// One metric aggregated over subtasks or TaskManagers. What Flink did not report is NaN.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Aggregates {
    /// The smallest value.
    #[serde(with = "nonfinite", default = "nan")]
    pub min: f64,
    /// The largest value.
    #[serde(with = "nonfinite", default = "nan")]
    pub max: f64,
    /// The mean.
    #[serde(with = "nonfinite", default = "nan")]
    pub avg: f64,
    /// The sum.
    #[serde(with = "nonfinite", default = "nan")]
    pub sum: f64,
}

fn nan() -> f64 {
    f64::NAN
}

impl Aggregates {
    /// What a finished vertex reports: nothing happens.
    const ZERO: Self = Self { min: 0.0, max: 0.0, avg: 0.0, sum: 0.0 };

    /// Two metrics of the same kind become one: the mean of both is not known (§2.4).
    fn merge(self, other: Self) -> Self {
        use super::number::{max, min};
        Self { min: min(self.min, other.min), max: max(self.max, other.max), avg: f64::NAN, sum: self.sum + other.sum }
    }
}

/// What the job details say of the work of a vertex since the run began (§2.2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IoMetrics {
    /// `read-records`.
    pub read_records: i64,
    /// `write-records`.
    pub write_records: i64,
    /// `accumulated-busy-time`, milliseconds over all subtasks; NaN if Flink does not report it.
    pub accumulated_busy_time: f64,
}

/// One vertex of the job details. Its `source_partitions` and any limit by them are found here, not given.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedVertex {
    /// The vertex as the plan and the details describe it.
    pub vertex: Vertex,
    /// Its work so far.
    pub io: IoMetrics,
}

/// The job details of one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct JobDetails {
    /// Since when the job is RUNNING.
    pub running_since: Option<Timestamp>,
    /// Its vertices, in the order of the plan.
    pub vertices: Vec<ObservedVertex>,
}

impl JobDetails {
    /// Samples still count as stabilizing at `now` (§3.1).
    fn is_stabilizing(&self, options: &Options, now: Timestamp) -> bool {
        self.running_since.is_some_and(|since| now < after(since, options.stabilization_interval))
    }

    fn unfinished(&self) -> impl Iterator<Item = &Vertex> {
        self.vertices.iter().map(|v| &v.vertex).filter(|v| !v.finished)
    }
}

/// Raw values of one moment, as fetched.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RawMetrics {
    /// Per vertex: metric name → aggregates over its subtasks.
    pub vertices: BTreeMap<VertexId, BTreeMap<String, Aggregates>>,
    /// Metric name → aggregates over TaskManagers; the answer that [`Collector::learn_task_managers`] accepted.
    pub task_managers: BTreeMap<String, Aggregates>,
    /// `taskSlotsTotal` of the JobManager, if it is a whole number.
    pub slots_total: Option<i32>,
    /// `taskSlotsAvailable` of the JobManager, if it is a whole number.
    pub slots_available: Option<i32>,
    /// The run is so young that Flink's meters, which count over 60 s, still say less than is there (`flink-rest.md` §0.7): no
    /// capacity of a source is observed. The operator observes in any case, which does no harm at its period of a minute and
    /// window of a quarter of an hour; a loop of seconds would take a tenth of the rate for the capacity, and go on averaging it.
    pub rates_ramping: bool,
}

/// Why nothing could be collected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectError {
    /// The plan has no vertices: it will come. Generation 1.8 goes on with nothing instead.
    #[error("the job has no execution plan yet")]
    EmptyPlan,
    /// The job details have no RUNNING timestamp.
    #[error("the job details have no RUNNING timestamp")]
    NeverRunning,
    /// A required metric of a vertex is missing.
    #[error("vertex {vertex} ({name}) has no metric {metric}")]
    MissingMetric {
        /// The vertex.
        vertex: VertexId,
        /// Its name.
        name: String,
        /// The metric as it should be called.
        metric: &'static str,
        /// The job is still stabilizing: the metric may come.
        not_ready: bool,
    },
    /// The TaskManagers report none of the required metrics.
    #[error("the TaskManagers report no memory metrics: at least one of {} is unknown to them", names::TASK_MANAGER.join(", "))]
    NoTaskManagerMetrics,
}

impl CollectError {
    /// Wait and try again; otherwise the loop failed.
    pub fn is_not_ready(&self) -> bool {
        match self {
            Self::EmptyPlan => true,
            Self::MissingMetric { not_ready, .. } => *not_ready,
            Self::NeverRunning | Self::NoTaskManagerMetrics => false,
        }
    }
}

/// What is remembered of one run of a job from loop to loop: which metric names exist (§2.4, §2.5).
///
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Collector {
    names: BTreeMap<VertexId, MetricNames>,
    partitions: BTreeMap<VertexId, i32>,
    has_gc_metric: Option<bool>,
}

impl Collector {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a loop: a restarted job is a new one (§1.1 L4). `window` holds the samples so far.
    pub fn begin(&mut self, job: &JobDetails, window: &MetricWindow) {
        if is_earlier_run(job, window) {
            *self = Self::new();
        }
    }

    /// The vertices whose metric names must be listed in this loop: sources each time (a finished one too, for its
    /// partitions), the others only when the set of running vertices is not the known one.
    pub fn names_wanted(&self, job: &JobDetails) -> Vec<VertexId> {
        let all = !self.knows(job);
        let wanted = job.vertices.iter().map(|v| &v.vertex).filter(|v| v.is_source() || (all && !v.finished));
        wanted.map(|v| v.id).collect()
    }

    /// The known names are of exactly the vertices of the job. A finished vertex is forgotten, so that with one all
    /// names are listed in each loop.
    fn knows(&self, job: &JobDetails) -> bool {
        let vertices: BTreeSet<VertexId> = job.vertices.iter().map(|v| v.vertex.id).collect();
        self.names.keys().eq(&vertices)
    }

    /// Takes the lists of names that were [wanted](Self::names_wanted).
    ///
    /// # Errors
    /// If the job has no plan or never ran, or a required metric is missing. What was known before is kept then.
    pub fn learn_names(
        &mut self,
        options: &Options,
        now: Timestamp,
        job: &JobDetails,
        lists: &BTreeMap<VertexId, Vec<String>>,
    ) -> Result<(), CollectError> {
        if job.running_since.is_none() {
            return Err(CollectError::NeverRunning);
        }
        if job.vertices.is_empty() && options.generation == Generation::Main {
            return Err(CollectError::EmptyPlan);
        }
        let list = |id: VertexId| lists.get(&id).map_or(&[][..], Vec::as_slice);
        let sources = job.vertices.iter().map(|v| &v.vertex).filter(|v| v.is_source());
        self.partitions = sources.map(|v| (v.id, names::partitions(options.generation, list(v.id)))).collect();

        let mut learned = if self.knows(job) { self.names.clone() } else { BTreeMap::new() };
        for vertex in job.unfinished() {
            if vertex.is_source() || !learned.contains_key(&vertex.id) {
                let found = MetricNames::recognise(options.generation, vertex.is_source(), list(vertex.id));
                if let Some(metric) = found.missing() {
                    let not_ready = job.is_stabilizing(options, now);
                    let name = vertex.name.clone();
                    return Err(CollectError::MissingMetric { vertex: vertex.id, name, metric, not_ready });
                }
                learned.insert(vertex.id, found);
            }
        }
        learned.retain(|id, _| job.unfinished().any(|v| v.id == *id));
        self.names = learned;
        Ok(())
    }

    /// The metric values to fetch in this loop: per running vertex the names to ask for.
    pub fn queries(&self) -> impl Iterator<Item = (VertexId, Vec<&str>)> {
        self.names.iter().map(|(id, names)| (*id, names.all().collect()))
    }

    /// The TaskManager metrics to ask for. Flink answers with nothing if it does not know one of them, and only newer
    /// Flinks know the one for garbage collection: the first request tries it.
    pub fn task_manager_names(&self) -> &'static [&'static str] {
        if self.has_gc_metric == Some(false) { &names::TASK_MANAGER } else { &names::TASK_MANAGER_WITH_GC }
    }

    /// Takes the answer to a request for [these names](Self::task_manager_names). `false`: ask again, for the names
    /// that are wanted now.
    ///
    /// # Errors
    /// If the answer is empty and there is nothing less to ask for.
    pub fn learn_task_managers(&mut self, answer: &BTreeMap<String, Aggregates>) -> Result<bool, CollectError> {
        match (self.has_gc_metric, answer.is_empty()) {
            (None, empty) => {
                self.has_gc_metric = Some(!empty);
                Ok(!empty)
            }
            (Some(_), false) => Ok(true),
            (Some(_), true) => {
                self.has_gc_metric = None;
                Err(CollectError::NoTaskManagerMetrics)
            }
        }
    }
}

/// The window holds samples from before the job was (re)started: they belong to an earlier run.
fn is_earlier_run(job: &JobDetails, window: &MetricWindow) -> bool {
    let oldest = window.samples().first().map(|s| s.at);
    oldest.zip(job.running_since).is_some_and(|(oldest, since)| since > oldest)
}

/// What was collected in one loop.
#[derive(Debug, Clone, PartialEq)]
pub struct Collected {
    /// The sample, to be appended to the window.
    pub sample: Sample,
    /// The topology with source partitions (1.8: with the limits by them).
    pub topology: Topology,
    /// Vertices that must not be scaled in this pass: finished, or without a finite busy time (§2.6).
    pub excluded: BTreeSet<VertexId>,
    /// Metrics that could not be computed because a raw value was not there (as opposed to being NaN).
    pub absent: BTreeSet<(VertexId, ScalingMetric)>,
}

/// Computes the sample of this moment (§2.5, §2.6). `window` holds the samples so far; those of an earlier run do not count.
///
/// # Errors
/// If the job has no plan or never ran.
pub fn collect(
    options: &Options,
    now: Timestamp,
    job: &JobDetails,
    collector: &Collector,
    raw: &RawMetrics,
    window: &MetricWindow,
) -> Result<Collected, CollectError> {
    if job.running_since.is_none() {
        return Err(CollectError::NeverRunning);
    }
    if job.vertices.is_empty() && options.generation == Generation::Main {
        return Err(CollectError::EmptyPlan);
    }
    let nothing = MetricWindow::new();
    let window = if is_earlier_run(job, window) { &nothing } else { window };
    let mut excluded = BTreeSet::new();
    let mut absent = BTreeSet::new();
    let mut samples = Vec::with_capacity(job.vertices.len());
    let no_names = MetricNames::default();
    let no_values = BTreeMap::new();
    for observed in &job.vertices {
        let id = observed.vertex.id;
        let flink = if observed.vertex.finished {
            FlinkValues::Finished
        } else {
            FlinkValues::Reported {
                names: collector.names.get(&id).unwrap_or(&no_names),
                values: raw.vertices.get(&id).unwrap_or(&no_values),
            }
        };
        let sample = vertex_sample(options, observed, &flink, (raw.rates_ramping, window), &mut absent);
        if observed.vertex.finished || !sample.load.is_finite() {
            excluded.insert(id);
        }
        samples.push((id, sample));
    }
    let global = global_sample(raw);
    let topology = Topology::new(job.vertices.iter().map(|v| with_partitions(options, v, collector)).collect());
    Ok(Collected { sample: Sample::new(now, samples, global), topology, excluded, absent })
}

/// Source partitions limit the parallelism of a source (1.8), or are kept beside it (main) (§2.3).
fn with_partitions(options: &Options, observed: &ObservedVertex, collector: &Collector) -> Vertex {
    let mut vertex = observed.vertex.clone();
    let partitions = collector.partitions.get(&vertex.id).copied().unwrap_or(0);
    if options.generation.rules().source_partitions {
        vertex.source_partitions = partitions;
    } else if partitions > 0 {
        vertex.max_parallelism = vertex.max_parallelism.min(partitions);
    }
    vertex
}

/// Values of the Flink metrics of one vertex. A finished one is not asked: its tasks did nothing.
enum FlinkValues<'a> {
    Finished,
    Reported { names: &'a MetricNames, values: &'a BTreeMap<String, Aggregates> },
}

impl FlinkValues<'_> {
    /// All names of a metric merged; `None` if none was reported.
    fn get(&self, metric: FlinkMetric) -> Option<Aggregates> {
        match self {
            // It has no gauges of its own input either.
            Self::Finished if metric == FlinkMetric::NumRecordsInPerSec => None,
            Self::Finished => Some(Aggregates::ZERO),
            Self::Reported { names, values } => {
                names.of(metric).iter().filter_map(|name| values.get(name).copied()).reduce(Aggregates::merge)
            }
        }
    }
}

/// The scaling metrics of one vertex (§2.6).
fn vertex_sample(
    options: &Options,
    observed: &ObservedVertex,
    flink: &FlinkValues<'_>,
    (ramping, window): (bool, &MetricWindow),
    absent: &mut BTreeSet<(VertexId, ScalingMetric)>,
) -> VertexSample {
    use super::number::{max, round3};
    let vertex = &observed.vertex;
    let io = if vertex.finished {
        IoMetrics { read_records: 0, write_records: 0, accumulated_busy_time: 0.0 }
    } else {
        observed.io
    };
    let busy = flink.get(FlinkMetric::BusyTimePerSec).map_or(f64::NAN, |busy| match options.busy_time_aggregator {
        BusyTimeAggregator::Max => busy.max,
        BusyTimeAggregator::Avg => busy.avg,
        BusyTimeAggregator::Min => busy.min,
    });
    let mut sample = VertexSample::MISSING;
    sample.load = round3(if busy.is_finite() { busy.max(0.0) / 1000.0 } else { f64::NAN });
    sample.accumulated_busy_time = round3(io.accumulated_busy_time);
    sample.records_out = round3(io.write_records as f64);

    let mut records_in = io.read_records as f64;
    if vertex.is_source() {
        for metric in [FlinkMetric::SourceTaskNumRecordsIn, FlinkMetric::SourceTaskNumRecordsOut] {
            if records_in == 0.0 {
                records_in = flink.get(metric).map_or(records_in, |m| m.sum);
            }
        }
        let lag = flink.get(FlinkMetric::PendingRecords).map_or(0.0, |m| m.sum);
        sample.lag = Some(round3(lag));
        let rate = max(0.0, source_rate(flink));
        if rate.is_nan() {
            absent.insert((vertex.id, ScalingMetric::ObservedTpr));
        } else {
            let backpressure = flink.get(FlinkMetric::BackpressureTimePerSec).map_or(f64::NAN, |m| m.avg);
            sample.observed_tpr = round3(if ramping {
                f64::NAN
            } else {
                observed_tpr(options, vertex.id, rate, lag, backpressure, window)
            });
        }
    } else if options.generation.rules().input_rate == InputRateRule::Sampled {
        match flink.get(FlinkMetric::NumRecordsInPerSec) {
            Some(rate) => sample.records_in_per_second = round3(rate.sum),
            None => {
                absent.insert((vertex.id, ScalingMetric::NumRecordsInPerSecond));
            }
        }
    }
    sample.records_in = round3(max(0.0, records_in));
    sample
}

/// Records per second that a source reads; by what it writes if it does not count what it reads.
fn source_rate(flink: &FlinkValues<'_>) -> f64 {
    let rate = |metric| flink.get(metric).map(|m| m.sum);
    match rate(FlinkMetric::SourceTaskNumRecordsInPerSec) {
        Some(rate) if rate != 0.0 => rate,
        read => rate(FlinkMetric::SourceTaskNumRecordsOutPerSec).or(read).unwrap_or(f64::NAN),
    }
}

/// The capacity of a source as observed while it catches up; without a backlog the average of what was observed before.
fn observed_tpr(
    options: &Options,
    vertex: VertexId,
    rate: f64,
    lag: f64,
    backpressure: f64,
    window: &MetricWindow,
) -> f64 {
    if rate == 0.0 {
        return f64::INFINITY;
    }
    let threshold = seconds(options.observed_tpr_lag_threshold);
    if lag >= threshold * rate && backpressure < 1000.0 {
        return rate / (1.0 - backpressure / 1000.0);
    }
    let history = window.samples().iter().map(|s| s.vertex(vertex).map_or(f64::NAN, |v| v.observed_tpr));
    super::window::average(history, options.observed_tpr_min_observations)
}

/// The metrics of the whole job (§2.5). They are not rounded here.
fn global_sample(raw: &RawMetrics) -> GlobalSample {
    let max = |name| raw.task_managers.get(name).map_or(f64::NAN, |m| m.max);
    let heap_max = max(names::HEAP_MAX);
    let heap_used = max(names::HEAP_USED);
    let heap_known = raw.task_managers.contains_key(names::HEAP_MAX);
    GlobalSample {
        gc_pressure: max(names::GC_TIME) / 1000.0,
        heap_used: if heap_known { heap_used } else { f64::NAN },
        heap_max_usage_ratio: heap_used / heap_max,
        managed_used: max(names::MANAGED_USED),
        metaspace_used: max(names::METASPACE_USED),
        slots_used: match (raw.slots_total, raw.slots_available) {
            (Some(total), Some(available)) => f64::from(total) - f64::from(available),
            _ => f64::NAN,
        },
    }
}
