//! How the vertex scaler's results read as steps of an explanation. Values come in computed; nothing is derived here.

use super::*;
use crate::autoscaler::time::seconds;

fn rps(value: f64) -> Value {
    Value::number(value, Unit::RecordsPerSecond)
}

fn ratio(value: f64) -> Value {
    Value::number(value, Unit::Ratio)
}

fn instant(value: Timestamp) -> Value {
    Value::Instant { value }
}

/// The parent of the steps of one vertex.
pub(super) fn decision(vertex: &Vertex, decision: &VertexDecision) -> Step {
    let step = Step::new(format!("Scaling of {}", vertex.name))
        .about(vertex.id)
        .formula(match *decision {
            VertexDecision::RateUnknown => "none: TRUE_PROCESSING_RATE or capacity is not known, so PARALLELISM stays",
            VertexDecision::Keep => "align(limit(factor * PARALLELISM)) = PARALLELISM",
            VertexDecision::GracePeriod { .. } | VertexDecision::Delayed { .. } => {
                "PARALLELISM until `until`, then align(limit(factor * PARALLELISM))"
            }
            VertexDecision::Ineffective { .. } => "PARALLELISM, because the last scale-up was not effective",
            VertexDecision::Change { .. } => "align(limit(factor * PARALLELISM)), or the largest one delayed",
        })
        .input("PARALLELISM", Value::number(f64::from(vertex.parallelism), Unit::Subtasks), Origin::Topology);
    let subtasks = |n: i32| Value::number(f64::from(n), Unit::Subtasks);
    match *decision {
        VertexDecision::RateUnknown => step.value(subtasks(vertex.parallelism)).verdict(Verdict::Blocks),
        VertexDecision::Keep => step.value(subtasks(vertex.parallelism)).verdict(Verdict::Passed),
        VertexDecision::GracePeriod { wanted, until } | VertexDecision::Delayed { wanted, until } => step
            .input("wanted", subtasks(wanted), Origin::Step)
            .input("until", instant(until), Origin::Clock)
            .value(subtasks(vertex.parallelism))
            .verdict(Verdict::Blocks),
        VertexDecision::Ineffective { wanted } => step
            .input("wanted", subtasks(wanted), Origin::Step)
            .value(subtasks(vertex.parallelism))
            .verdict(Verdict::Blocks),
        VertexDecision::Change { to, outside_bounds } => step
            .input("outside bounds", Value::Flag { value: outside_bounds }, Origin::Step)
            .value(subtasks(to))
            .verdict(Verdict::Acts),
    }
}

/// The capacity needed at the wanted utilization.
pub(super) fn capacity(
    options: &Options,
    metrics: &EvaluatedMetrics,
    restart_seconds: f64,
    capacity: f64,
    vertex: VertexId,
) -> Step {
    Step::new("Required capacity")
        .about(vertex)
        .formula(
            "round(CATCH_UP_DATA_RATE + TARGET_DATA_RATE * restart / catch-up.duration + TARGET_DATA_RATE / utilization.target)",
        )
        .input("CATCH_UP_DATA_RATE", rps(metrics.current(M::CatchUpDataRate)), Origin::Step)
        .input("TARGET_DATA_RATE", rps(metrics.average(M::TargetDataRate)), Origin::Step)
        .input("restart", Value::number(restart_seconds, Unit::Seconds), Origin::History)
        .input(
            "catch-up.duration",
            Value::number(seconds(options.catch_up_duration), Unit::Seconds),
            options.origin(OptionId::CatchUpDuration),
        )
        .input("utilization.target", ratio(options.utilization_target), options.origin(OptionId::UtilizationTarget))
        .value(rps(capacity))
}

/// The scale factor, and the steps it is limited to.
pub(super) fn factor(
    options: &Options,
    vertex: VertexId,
    capacity: f64,
    tpr: f64,
    coefficient: Option<f64>,
    (wanted, least, most, factor): (f64, f64, f64, f64),
) -> Step {
    let step = Step::new("Scale factor")
        .about(vertex)
        .formula(match coefficient {
            Some(_) => "capacity / TRUE_PROCESSING_RATE / scalability, between 1 - scale-down.max-factor and 1 + scale-up.max-factor",
            None => "capacity / TRUE_PROCESSING_RATE, between 1 - scale-down.max-factor and 1 + scale-up.max-factor",
        })
        .input("capacity", rps(capacity), Origin::Step)
        .input("TRUE_PROCESSING_RATE", rps(tpr), Origin::Step)
        .input("wanted", ratio(wanted), Origin::Step)
        .input("1 - scale-down.max-factor", ratio(least), options.origin(OptionId::ScaleDownMaxFactor))
        .input("1 + scale-up.max-factor", ratio(most), options.origin(OptionId::ScaleUpMaxFactor))
        .value(ratio(factor))
        .verdict(if factor == wanted || wanted.is_nan() { Verdict::Computed } else { Verdict::Limited });
    match coefficient {
        Some(coefficient) => step.input("scalability", ratio(coefficient), Origin::History),
        None => step,
    }
}

/// Whether the last scale-up was worth it.
pub(super) fn effectiveness(
    options: &Options,
    vertex: VertexId,
    scaled_at: Timestamp,
    expected: f64,
    actual: f64,
    effective: bool,
) -> Step {
    let blocks = !effective && options.effectiveness_detection_enabled;
    Step::new("Effectiveness of the last scale-up")
        .about(vertex)
        .formula("actual increase / expected increase >= scaling.effectiveness.threshold")
        .observed("expected increase", rps(expected), Origin::History, Some(scaled_at))
        .input("actual increase", rps(actual), Origin::Step)
        .input(
            "scaling.effectiveness.threshold",
            ratio(options.effectiveness_threshold),
            options.origin(OptionId::EffectivenessThreshold),
        )
        .input(
            "scaling.effectiveness.detection.enabled",
            Value::Flag { value: options.effectiveness_detection_enabled },
            options.origin(OptionId::EffectivenessDetectionEnabled),
        )
        .value(Value::Flag { value: effective })
        .verdict(if blocks { Verdict::Blocks } else { Verdict::Passed })
}

/// Scale-down is held back after a scale-up.
pub(super) fn grace_period(options: &Options, vertex: VertexId, scaled_at: Timestamp, until: Timestamp) -> Step {
    Step::new("Grace period after a scale-up")
        .about(vertex)
        .formula("last scale-up + scale-up.grace-period > now")
        .input("last scale-up", instant(scaled_at), Origin::History)
        .input(
            "scale-up.grace-period",
            Value::number(options.scale_up_grace_period.as_secs_f64(), Unit::Seconds),
            options.origin(OptionId::ScaleUpGracePeriod),
        )
        .value(instant(until))
        .verdict(Verdict::Blocks)
}

/// Scale-down is held back since it was first wanted.
pub(super) fn delay(options: &Options, vertex: VertexId, first: Timestamp, until: Timestamp) -> Step {
    interval_step(options, vertex, first)
        .formula("first wanted + scale-down.interval > now")
        .value(instant(until))
        .verdict(Verdict::Blocks)
}

/// The interval is over: its largest wish counts.
pub(super) fn largest_request(
    options: &Options,
    vertex: VertexId,
    first: Timestamp,
    best: &DelayedRecommendation,
) -> Step {
    interval_step(options, vertex, first)
        .formula("largest parallelism wanted within scale-down.interval")
        .input("wanted at", instant(best.at), Origin::History)
        .number(f64::from(best.parallelism), Unit::Subtasks)
}

fn interval_step(options: &Options, vertex: VertexId, first: Timestamp) -> Step {
    Step::new("Delayed scale-down").about(vertex).input("first wanted", instant(first), Origin::History).input(
        "scale-down.interval",
        Value::number(options.scale_down_interval.as_secs_f64(), Unit::Seconds),
        options.origin(OptionId::ScaleDownInterval),
    )
}
