//! How the evaluator's results read as steps of an explanation. Values come in computed; nothing is derived here.

use super::{metric, rps};
use crate::autoscaler::graph::Graph;
use crate::autoscaler::options::{OptionId, Options};
use crate::autoscaler::time::seconds;
use crate::domain::Timestamp;
use crate::domain::evaluation::{EvaluatedMetrics, ScalingMetric as M};
use crate::domain::explanation::{Origin, Step, Value};
use crate::domain::ids::VertexId;
use crate::domain::topology::Vertex;
use crate::domain::units::Unit;

/// The utilizations between which a vertex is left alone, and what they were made of.
pub(super) struct Band {
    pub upper: f64,
    pub lower: f64,
    pub processing_backlog: bool,
    pub restart_seconds: f64,
}

/// The parent of the steps of one vertex.
pub(super) fn vertex(vertex: &Vertex, metrics: &EvaluatedMetrics) -> Step {
    Step::new(format!("Evaluation of {}", vertex.name))
        .about(vertex.id)
        .formula(
            "LOAD = busy / 1000; in its bounds if SCALE_UP_RATE_THRESHOLD <= TRUE_PROCESSING_RATE <= SCALE_DOWN_RATE_THRESHOLD",
        )
        .input("TRUE_PROCESSING_RATE", rps(metrics.average(M::TrueProcessingRate)), Origin::Step)
        .input("SCALE_UP_RATE_THRESHOLD", rps(metrics.current(M::ScaleUpRateThreshold)), Origin::Step)
        .input("SCALE_DOWN_RATE_THRESHOLD", rps(metrics.current(M::ScaleDownRateThreshold)), Origin::Step)
        .number(metrics.average(M::Load), Unit::Ratio)
}

/// What one input vertex sends on.
pub(super) fn edge(
    graph: &Graph<'_>,
    from: usize,
    to: usize,
    upstream: &EvaluatedMetrics,
    ratio: f64,
    (records_in, at): (f64, Option<Timestamp>),
) -> Step {
    let (from, to) = (&graph.vertices()[from], &graph.vertices()[to]);
    Step::new(format!("Output ratio from {}", from.name))
        .about(to.id)
        .formula("ratio = records on the edge / rate(NUM_RECORDS_IN) of the input vertex")
        .observed("rate(NUM_RECORDS_IN)", rps(records_in), metric(M::NumRecordsIn), at)
        .input("TARGET_DATA_RATE", rps(upstream.average(M::TargetDataRate)), Origin::Step)
        .input("CATCH_UP_DATA_RATE", rps(upstream.current(M::CatchUpDataRate)), Origin::Step)
        .number(ratio, Unit::Ratio)
}

/// The parent of the edges of a vertex.
pub(super) fn downstream(vertex: VertexId, target: f64, catch_up: f64) -> Step {
    Step::new("Target data rate")
        .about(vertex)
        .formula("TARGET_DATA_RATE = sum over inputs of TARGET_DATA_RATE * ratio; the same for CATCH_UP_DATA_RATE")
        .input("CATCH_UP_DATA_RATE", rps(super::round3(catch_up)), Origin::Step)
        .value(rps(super::round3(target)))
}

/// The capacity below which a vertex is scaled up.
pub(super) fn threshold_up(options: &Options, metrics: &EvaluatedMetrics, band: &Band, vertex: VertexId) -> Step {
    let edge = (OptionId::UtilizationMax, band.upper);
    with_terms(Step::new("Scale-up threshold"), options, metrics, band, edge)
        .about(vertex)
        .formula("round(CATCH_UP_DATA_RATE + TARGET_DATA_RATE / utilization)")
        .value(rps(metrics.current(M::ScaleUpRateThreshold)))
}

/// The capacity above which a vertex is scaled down.
pub(super) fn threshold_down(options: &Options, metrics: &EvaluatedMetrics, band: &Band, vertex: VertexId) -> Step {
    let edge = (OptionId::UtilizationMin, band.lower);
    with_terms(Step::new("Scale-down threshold"), options, metrics, band, edge)
        .about(vertex)
        .formula(
            "round(CATCH_UP_DATA_RATE + TARGET_DATA_RATE * restart / catch-up.duration + TARGET_DATA_RATE / utilization)",
        )
        .input("restart", Value::number(band.restart_seconds, Unit::Seconds), Origin::History)
        .input(
            "catch-up.duration",
            Value::number(seconds(options.catch_up_duration), Unit::Seconds),
            options.origin(OptionId::CatchUpDuration),
        )
        .value(rps(metrics.current(M::ScaleDownRateThreshold)))
}

/// The terms that both thresholds share. While a backlog is processed the utilization is no option but the backlog's.
fn with_terms(
    step: Step,
    options: &Options,
    metrics: &EvaluatedMetrics,
    band: &Band,
    (option, utilization): (OptionId, f64),
) -> Step {
    let target = options.origin(OptionId::UtilizationTarget);
    let origin = match band.processing_backlog {
        true => Origin::Step,
        false if options.is_set(option) => options.origin(option),
        false => target,
    };
    step.input("CATCH_UP_DATA_RATE", rps(metrics.current(M::CatchUpDataRate)), Origin::Step)
        .input("TARGET_DATA_RATE", rps(metrics.average(M::TargetDataRate)), Origin::Step)
        .input("utilization", Value::number(utilization, Unit::Ratio), origin)
}

/// The metrics of the whole job.
pub(super) fn global(global: &EvaluatedMetrics, at: Timestamp) -> Step {
    let mut step = Step::new("Job metrics")
        .formula("average over the window where there is one, else the newest value; the value counts them");
    let mut known = 0;
    for (name, pair) in global.iter() {
        let value = if pair.average.is_nan() { pair.current } else { pair.average };
        known += u32::from(!value.is_nan());
        step = step.observed(name.name(), Value::number(value, name.unit()), metric(name), Some(at));
    }
    step.number(f64::from(known), Unit::None)
}
