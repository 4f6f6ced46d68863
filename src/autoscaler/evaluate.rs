//! The evaluator: from a window of samples to the evaluated metrics of every vertex and of the job (`autoscaler.md` §4).
//!
//! Owns the formulas of §4 and nothing else. It decides nothing.

use std::sync::Arc;
use std::time::Duration;

use super::explain::Explain;
use super::generation::InputRateRule;
use super::graph::Graph;
use super::number::{max, min, round, round3};
use super::options::{BusyTimeAggregator, OptionId, Options};
use super::time::seconds;
use super::window::{Average, average, rate};
use crate::domain::Timestamp;
use crate::domain::evaluation::{Evaluated, EvaluatedMetrics, Evaluation, ScalingMetric as M};
use crate::domain::explanation::{Origin, Step, Value};
use crate::domain::ids::VertexId;
use crate::domain::topology::Topology;
use crate::domain::units::Unit;
use crate::domain::window::{GlobalSample, Sample, VertexSample};

mod steps;
#[cfg(test)]
mod tests;

/// Why a window cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// The input rate or the lag of a source is unknown (§4.4).
    #[error("The ingestion rate of source {0} is unknown: its records or its lag were never seen twice in the window")]
    NoIngestionRate(VertexId),
    /// A sample lacks a vertex of the topology (§3.2).
    #[error("The sample of {at} has no metrics of vertex {vertex}")]
    MissingVertex {
        /// The vertex.
        vertex: VertexId,
        /// Instant of the sample.
        at: Timestamp,
    },
    /// There is no sample.
    #[error("There is no sample to evaluate")]
    NoSample,
}

/// An evaluated window, with what later steps need besides the metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluatedWindow {
    /// The evaluated metrics; vertices stand in the order of the topology.
    pub evaluation: Evaluation,
    /// Per vertex: pending records of the sources as they arrive at this vertex.
    pub backlog: Vec<f64>,
}

/// The current value alone, rounded as every stored metric (§0.2).
pub(in crate::autoscaler) fn current(value: f64) -> Option<Evaluated> {
    Some(Evaluated { current: round3(value), average: f64::NAN })
}

/// The average alone, rounded as every stored metric (§0.2).
pub(in crate::autoscaler) fn averaged(value: f64) -> Option<Evaluated> {
    Some(Evaluated { current: f64::NAN, average: round3(value) })
}

/// Evaluates a window (§4). `restart` is the restart time to reckon with; the formulas take its whole seconds.
///
/// # Errors
/// If the ingestion rate of a source is unknown or a sample lacks a vertex: the whole evaluation fails, as the operator's.
pub fn evaluate(
    options: &Options,
    topology: &Topology,
    samples: &[Arc<Sample>],
    restart: Duration,
    now: Timestamp,
    explain: &mut Explain,
) -> Result<EvaluatedWindow, EvaluateError> {
    let newest = samples.last().ok_or(EvaluateError::NoSample)?;
    let restart_seconds = seconds(restart);
    let graph = Graph::new(topology);
    let series = series(&graph, samples, options.generation.rules().least_rate_ms)?;
    let rates: Vec<Rates> = series.iter().map(Rates::of).collect();
    let processing_backlog = processing_backlog(options, &graph, &series, &rates, explain);

    let mut vertices: Vec<(VertexId, EvaluatedMetrics)> = Vec::with_capacity(graph.vertices().len());
    let mut backlog: Vec<f64> = Vec::with_capacity(graph.vertices().len());
    for (at, vertex) in graph.vertices().iter().enumerate() {
        let mark = explain.mark();
        let mut metrics = EvaluatedMetrics::default();
        let inflow = match vertex.is_source() {
            true => source_inflow(options, vertex.id, &series[at], &rates[at], explain)?,
            false => downstream_inflow(&graph, at, (&rates, Some(newest.at)), &vertices, &backlog, explain),
        };
        metrics.set(M::TargetDataRate, averaged(inflow.target));
        metrics.set(M::CatchUpDataRate, current(inflow.catch_up));
        backlog.push(inflow.backlog);
        let busy = busy_ms_per_second(options, &series[at], vertex.parallelism, explain, vertex.id);
        let tpr = true_processing_rate(options, &series[at], &rates[at], busy, explain, vertex.id);
        metrics.set(M::TrueProcessingRate, averaged(tpr));
        metrics.set(M::Load, averaged(busy / 1000.0));
        let lag = series[at].newest().lag();
        metrics.set(M::Lag, if lag.is_nan() { None } else { current(lag) });
        metrics.set(M::Parallelism, current(f64::from(vertex.parallelism)));
        metrics.set(M::MaxParallelism, current(f64::from(vertex.max_parallelism)));
        if options.generation.rules().source_partitions {
            metrics.set(M::NumSourcePartitions, current(f64::from(vertex.source_partitions)));
        }
        thresholds(options, &mut metrics, processing_backlog, restart_seconds, explain, vertex.id);
        explain.fold(mark, || steps::vertex(vertex, &metrics));
        vertices.push((vertex.id, metrics));
    }
    let global = global_metrics(samples, &newest.global);
    explain.step(|| steps::global(&global, newest.at));
    let evaluation =
        Evaluation { at: now, vertices, global, restart_time_seconds: restart.as_secs_f64(), processing_backlog };
    Ok(EvaluatedWindow { evaluation, backlog })
}

/// The series of every vertex; every sample must hold all of them (§3.2).
///
/// Samples are gone through one after the other, each as it lies in memory: a window of many vertices is larger than the
/// caches, and to walk it once for each metric of each vertex is what would take the time.
fn series<'a>(graph: &Graph<'_>, samples: &'a [Arc<Sample>], least_ms: i64) -> Result<Vec<Series<'a>>, EvaluateError> {
    let position = |sample: &Sample, vertex: VertexId| {
        sample.vertices.binary_search_by_key(&vertex, |(id, _)| *id).unwrap_or(usize::MAX)
    };
    let of = |vertex: VertexId| Series {
        samples,
        vertex,
        usual: samples.first().map_or(usize::MAX, |first| position(first, vertex)),
        least_ms,
        load: Average::default(),
        records_in_per_second: Average::default(),
        observed_tpr: Average::default(),
    };
    let mut series: Vec<Series<'_>> = graph.vertices().iter().map(|vertex| of(vertex.id)).collect();
    for sample in samples {
        for series in &mut series {
            let Some(values) = series.find(sample) else { return Err(first_missing(graph, samples)) };
            series.load.push(values.load);
            series.records_in_per_second.push(values.records_in_per_second);
            series.observed_tpr.push(values.observed_tpr);
        }
    }
    Ok(series)
}

/// The first vertex in topological order that some sample lacks, and the first such sample.
fn first_missing(graph: &Graph<'_>, samples: &[Arc<Sample>]) -> EvaluateError {
    let lacks = |vertex: VertexId| samples.iter().find(|sample| sample.vertex(vertex).is_none());
    let missing = graph.vertices().iter().find_map(|v| Some((v.id, lacks(v.id)?.at)));
    missing.map_or(EvaluateError::NoSample, |(vertex, at)| EvaluateError::MissingVertex { vertex, at })
}

/// What was collected of one vertex over the window.
struct Series<'a> {
    samples: &'a [Arc<Sample>],
    vertex: VertexId,
    /// Its position in the first sample, which is mostly the same in all.
    usual: usize,
    least_ms: i64,
    load: Average,
    records_in_per_second: Average,
    observed_tpr: Average,
}

impl<'a> Series<'a> {
    fn find(&self, sample: &'a Sample) -> Option<&'a VertexSample> {
        match sample.vertices.get(self.usual) {
            Some((id, values)) if *id == self.vertex => Some(values),
            Some(_) | None => sample.vertex(self.vertex),
        }
    }

    fn of(&self, sample: &'a Sample) -> &'a VertexSample {
        self.find(sample).unwrap_or(&VertexSample::MISSING)
    }

    fn newest(&self) -> &'a VertexSample {
        self.samples.last().map_or(&VertexSample::MISSING, |sample| self.of(sample))
    }

    fn newest_at(&self) -> Option<Timestamp> {
        self.samples.last().map(|sample| sample.at)
    }

    fn rate(&self, metric: impl Fn(&VertexSample) -> f64) -> f64 {
        rate(self.samples.iter().map(|sample| (sample.at, metric(self.of(sample)))), self.least_ms)
    }
}

/// The rates of one vertex that its neighbours look at too, records per second.
#[derive(Debug, Clone, Copy)]
struct Rates {
    records_in: f64,
    records_out: f64,
}

impl Rates {
    fn of(series: &Series<'_>) -> Self {
        Self { records_in: series.rate(|s| s.records_in), records_out: series.rate(|s| s.records_out) }
    }
}

/// A backlog is being processed at some source (§4.3).
fn processing_backlog(
    options: &Options,
    graph: &Graph<'_>,
    series: &[Series<'_>],
    rates: &[Rates],
    explain: &mut Explain,
) -> bool {
    let threshold = seconds(options.backlog_lag_threshold);
    let behind = graph.vertices().iter().enumerate().filter(|(_, v)| v.is_source()).find(|(at, _)| {
        let records_in = rates[*at].records_in;
        !records_in.is_nan() && series[*at].newest().lag() / records_in > threshold
    });
    explain.step(|| {
        let step = Step::new("Backlog")
            .formula("backlog = LAG / rate(NUM_RECORDS_IN) > threshold at any source")
            .input("threshold", Value::number(threshold, Unit::Seconds), options.origin(OptionId::BacklogLagThreshold))
            .value(Value::Flag { value: behind.is_some() });
        match behind {
            Some((at, vertex)) => step
                .about(vertex.id)
                .observed(
                    "LAG",
                    Value::number(series[at].newest().lag(), Unit::Records),
                    metric(M::Lag),
                    series[at].newest_at(),
                )
                .observed(
                    "rate(NUM_RECORDS_IN)",
                    Value::number(rates[at].records_in, Unit::RecordsPerSecond),
                    metric(M::NumRecordsIn),
                    series[at].newest_at(),
                ),
            None => step,
        }
    });
    behind.is_some()
}

/// What arrives at a vertex: not rounded yet.
struct Inflow {
    /// TARGET_DATA_RATE, records per second.
    target: f64,
    /// CATCH_UP_DATA_RATE, records per second.
    catch_up: f64,
    /// Pending records as they arrive here.
    backlog: f64,
}

/// Target and catch-up rate of a source (§4.4).
fn source_inflow(
    options: &Options,
    vertex: VertexId,
    series: &Series<'_>,
    rates: &Rates,
    explain: &mut Explain,
) -> Result<Inflow, EvaluateError> {
    let lag_rate = series.rate(|s| s.lag());
    let target = max(0.0, rates.records_in + lag_rate);
    if target.is_nan() {
        return Err(EvaluateError::NoIngestionRate(vertex));
    }
    // A source without such a metric has no backlog; of one that could not tell, the need is unknown.
    let lag = series.newest().lag.unwrap_or(0.0);
    let catch_up_seconds = seconds(options.catch_up_duration);
    let catch_up = if catch_up_seconds == 0.0 { 0.0 } else { lag / catch_up_seconds };
    let at = series.newest_at();
    explain.step(|| {
        Step::new("Target data rate")
            .about(vertex)
            .formula("TARGET_DATA_RATE = max(0, rate(NUM_RECORDS_IN) + rate(LAG))")
            .observed("rate(NUM_RECORDS_IN)", rps(rates.records_in), metric(M::NumRecordsIn), at)
            .observed("rate(LAG)", rps(lag_rate), metric(M::Lag), at)
            .value(rps(round3(target)))
    });
    explain.step(|| {
        Step::new("Catch-up data rate")
            .about(vertex)
            .formula("CATCH_UP_DATA_RATE = LAG / catch-up.duration, 0 if the duration is 0")
            .observed("LAG", Value::number(lag, Unit::Records), metric(M::Lag), at)
            .input(
                "catch-up.duration",
                Value::number(catch_up_seconds, Unit::Seconds),
                options.origin(OptionId::CatchUpDuration),
            )
            .value(rps(round3(catch_up)))
    });
    Ok(Inflow { target, catch_up, backlog: lag })
}

/// Target and catch-up rate of a vertex with inputs: what its inputs must send on (§4.4).
fn downstream_inflow(
    graph: &Graph<'_>,
    vertex: usize,
    (rates, newest_at): (&[Rates], Option<Timestamp>),
    upstream: &[(VertexId, EvaluatedMetrics)],
    backlog: &[f64],
    explain: &mut Explain,
) -> Inflow {
    let mut inflow = Inflow { target: 0.0, catch_up: 0.0, backlog: 0.0 };
    let mark = explain.mark();
    for &input in graph.inputs(vertex) {
        let ratio = output_ratio(graph, input, vertex, rates);
        // Vertices on a cycle are impossible in Flink; one would read as an input without rates.
        let Some((_, metrics)) = upstream.get(input) else { continue };
        inflow.target += metrics.average(M::TargetDataRate) * ratio;
        inflow.catch_up += metrics.current(M::CatchUpDataRate) * ratio;
        inflow.backlog += backlog[input] * ratio;
        explain.step(|| steps::edge(graph, input, vertex, metrics, ratio, (rates[input].records_in, newest_at)));
    }
    explain.fold(mark, || steps::downstream(graph.vertices()[vertex].id, inflow.target, inflow.catch_up));
    inflow
}

/// Records that arrive at `to` per record that `from` reads (§4.5).
fn output_ratio(graph: &Graph<'_>, from: usize, to: usize, rates: &[Rates]) -> f64 {
    let records_in = rates[from].records_in;
    if records_in > 0.0 {
        let records_out = edge_rate(graph, from, to, rates);
        if records_out > 0.0 {
            return records_out / records_in;
        }
    }
    0.0
}

/// Records per second on the edge from `from` to `to` (§4.5).
fn edge_rate(graph: &Graph<'_>, from: usize, to: usize, rates: &[Rates]) -> f64 {
    let inputs = graph.inputs(to);
    if inputs.len() == 1 {
        return rates[to].records_in;
    }
    let mut others = 0.0;
    for &other in inputs.iter().filter(|other| **other != from) {
        if graph.outputs(other) != 1 {
            return rates[from].records_out;
        }
        others += rates[other].records_out;
    }
    if others.is_nan() { rates[from].records_out } else { rates[to].records_in - others }
}

/// Average busy time of one subtask, milliseconds per second (§4.6).
fn busy_ms_per_second(
    options: &Options,
    series: &Series<'_>,
    parallelism: i32,
    explain: &mut Explain,
    vertex: VertexId,
) -> f64 {
    let busy = match options.busy_time_aggregator {
        BusyTimeAggregator::Avg => series.rate(|s| s.accumulated_busy_time) / f64::from(parallelism),
        BusyTimeAggregator::Max | BusyTimeAggregator::Min => series.load.of_at_least(1) * 1000.0,
    };
    explain.step(|| {
        let step = Step::new("Busy time").about(vertex).number(busy, Unit::MsPerSecond);
        let at = series.newest_at();
        match options.busy_time_aggregator {
            BusyTimeAggregator::Avg => step
                .formula("busy = rate(ACCUMULATED_BUSY_TIME) / PARALLELISM")
                .observed(
                    "rate(ACCUMULATED_BUSY_TIME)",
                    Value::number(busy * f64::from(parallelism), Unit::MsPerSecond),
                    metric(M::AccumulatedBusyTime),
                    at,
                )
                .input("PARALLELISM", Value::number(f64::from(parallelism), Unit::Subtasks), Origin::Topology),
            BusyTimeAggregator::Max | BusyTimeAggregator::Min => step.formula("busy = 1000 * average(LOAD)").observed(
                "average(LOAD)",
                Value::number(busy / 1000.0, Unit::Ratio),
                metric(M::Load),
                at,
            ),
        }
    });
    busy
}

/// Capacity of a vertex at 100 % busy, records per second (§4.7).
fn true_processing_rate(
    options: &Options,
    series: &Series<'_>,
    rates: &Rates,
    busy: f64,
    explain: &mut Explain,
    vertex: VertexId,
) -> f64 {
    let in_rate = match (options.generation.rules().input_rate, options.busy_time_aggregator) {
        (InputRateRule::Accumulated, _) | (InputRateRule::Sampled, BusyTimeAggregator::Avg) => rates.records_in,
        (InputRateRule::Sampled, BusyTimeAggregator::Max | BusyTimeAggregator::Min) => {
            let sampled = series.records_in_per_second.of_at_least(1);
            if sampled.is_finite() { sampled } else { rates.records_in }
        }
    };
    let by_busy_time = if in_rate == 0.0 { f64::INFINITY } else { in_rate / (busy / 1000.0) };
    let observed = series.observed_tpr.of_at_least(options.observed_tpr_min_observations);
    let switch = 1.0 + options.observed_tpr_switch_threshold;
    let by_observation = !observed.is_nan() && (!by_busy_time.is_finite() || by_busy_time > observed * switch);
    let tpr = if by_observation { observed } else { by_busy_time };
    explain.step(|| {
        let at = series.newest_at();
        let step = Step::new("True processing rate")
            .about(vertex)
            .formula(
                "in / (busy / 1000); the observed rate if that is unknown, infinite or above observed * (1 + switch)",
            )
            .observed("in", rps(in_rate), metric(M::NumRecordsIn), at)
            .input("busy", Value::number(busy, Unit::MsPerSecond), Origin::Step)
            .input("in / (busy / 1000)", rps(by_busy_time), Origin::Step)
            .value(rps(round3(tpr)));
        if observed.is_nan() {
            return step;
        }
        step.observed("observed", rps(observed), metric(M::ObservedTpr), at).input(
            "switch",
            Value::number(options.observed_tpr_switch_threshold, Unit::Ratio),
            options.origin(OptionId::ObservedTprSwitchThreshold),
        )
    });
    tpr
}

/// Capacity at 100 % busy that a vertex needs to run at `utilization`, a whole number of records per second (§4.8).
///
/// With `restart_seconds`, the capacity to work off what arrives during a restart is part of it.
pub(super) fn required_capacity(
    options: &Options,
    metrics: &EvaluatedMetrics,
    utilization: f64,
    restart_seconds: Option<f64>,
) -> f64 {
    let catch_up_rate = metrics.current(M::CatchUpDataRate);
    let target = metrics.average(M::TargetDataRate);
    if catch_up_rate.is_nan() || target.is_nan() {
        return f64::NAN;
    }
    let utilization = min(1.0, max(0.0, utilization));
    if utilization == 0.0 {
        return f64::INFINITY;
    }
    let catch_up_seconds = seconds(options.catch_up_duration);
    let restart = match restart_seconds {
        Some(restart) if catch_up_seconds != 0.0 => (target * restart) / catch_up_seconds,
        Some(_) | None => 0.0,
    };
    round(catch_up_rate + restart + target / utilization)
}

/// The band of capacities in which a vertex is left alone (§4.9).
fn thresholds(
    options: &Options,
    metrics: &mut EvaluatedMetrics,
    processing_backlog: bool,
    restart_seconds: f64,
    explain: &mut Explain,
    vertex: VertexId,
) {
    let (target, boundary) = (options.utilization_target, options.utilization_boundary);
    let (upper, lower) = match processing_backlog {
        true => (1.0, 0.0),
        false => {
            (options.utilization_max.unwrap_or(target + boundary), options.utilization_min.unwrap_or(target - boundary))
        }
    };
    let up = required_capacity(options, metrics, upper, None);
    let down = required_capacity(options, metrics, lower, Some(restart_seconds));
    metrics.set(M::ScaleUpRateThreshold, current(up));
    metrics.set(M::ScaleDownRateThreshold, current(down));
    let band = steps::Band { upper, lower, processing_backlog, restart_seconds };
    explain.step(|| steps::threshold_up(options, metrics, &band, vertex));
    explain.step(|| steps::threshold_down(options, metrics, &band, vertex));
}

/// The vertex needs another capacity than it has (§4.9): below the scale-up or above the scale-down threshold.
pub(super) fn outside_bounds(metrics: &EvaluatedMetrics) -> bool {
    let tpr = metrics.average(M::TrueProcessingRate);
    tpr < metrics.current(M::ScaleUpRateThreshold) || tpr > metrics.current(M::ScaleDownRateThreshold)
}

/// The six metrics of the whole job (§4.2).
pub(super) fn global_metrics(samples: &[Arc<Sample>], newest: &GlobalSample) -> EvaluatedMetrics {
    let both = |of: fn(&GlobalSample) -> f64| {
        let average = average(samples.iter().map(|s| of(&s.global)), 1);
        Some(Evaluated { current: round3(of(newest)), average: round3(average) })
    };
    let mut global = EvaluatedMetrics::default();
    global.set(M::GcPressure, current(newest.gc_pressure));
    global.set(M::HeapMemoryUsed, both(|g| g.heap_used));
    global.set(M::HeapMaxUsageRatio, both(|g| g.heap_max_usage_ratio));
    global.set(M::ManagedMemoryUsed, both(|g| g.managed_used));
    global.set(M::MetaspaceMemoryUsed, both(|g| g.metaspace_used));
    global.set(M::NumTaskSlotsUsed, current(newest.slots_used));
    global
}

fn metric(metric: M) -> Origin {
    Origin::Metric { name: metric.name().into() }
}

fn rps(value: f64) -> Value {
    Value::number(value, Unit::RecordsPerSecond)
}
