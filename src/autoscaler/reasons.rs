//! The sentences of the reasons that a pass ends with, numbers filled in.

use super::evaluate::outside_bounds;
use super::number::two_decimals;
use super::pass::PassInput;
use super::vertex::VertexDecision;
use crate::domain::Timestamp;
use crate::domain::decision::VertexChange;
use crate::domain::evaluation::{EvaluatedMetrics, Evaluation, ScalingMetric as M};
use crate::domain::reason::{Reason, ReasonCode};
use crate::domain::topology::Vertex;

/// An instant as a clock shows it.
pub(super) fn clock_time(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A rate: whole from 100 on, two decimals below.
fn rate(value: f64) -> String {
    if value.is_finite() && value.abs() >= 100.0 {
        format!("{:.0} rec/s", value)
    } else {
        format!("{} rec/s", two_decimals(value))
    }
}

/// At most three changes by name, and how many more there are.
pub(super) fn changes_text(changes: &[VertexChange]) -> String {
    let named: Vec<String> = changes.iter().take(3).map(|c| format!("{} {} -> {}", c.name, c.from, c.to)).collect();
    match changes.len().saturating_sub(3) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// Where the capacity of a vertex lies.
fn position(metrics: &EvaluatedMetrics) -> String {
    let tpr = metrics.average(M::TrueProcessingRate);
    let (up, down) = (metrics.current(M::ScaleUpRateThreshold), metrics.current(M::ScaleDownRateThreshold));
    if tpr < up {
        format!("its capacity of {} is below the {} it needs", rate(tpr), rate(up))
    } else if tpr > down {
        format!("its capacity of {} is above the {} it may have", rate(tpr), rate(down))
    } else {
        format!("its capacity of {} lies between {} and {}", rate(tpr), rate(up), rate(down))
    }
}

/// The changes with the metrics of their vertices: both stand in topological order.
pub(super) fn evaluated<'a>(
    changes: &'a [VertexChange],
    evaluation: &'a Evaluation,
) -> impl Iterator<Item = (&'a VertexChange, &'a EvaluatedMetrics)> {
    let mut changes = changes.iter().peekable();
    evaluation.vertices.iter().filter_map(move |(id, metrics)| Some((changes.next_if(|c| c.vertex == *id)?, metrics)))
}

/// A change is proposed.
pub(super) fn proposed(evaluation: &Evaluation, changes: &[VertexChange]) -> Reason {
    let outside = evaluated(changes, evaluation).find(|(_, m)| outside_bounds(m));
    let sentence = match outside {
        Some((change, metrics)) => {
            format!("Scale {}: {} is outside its bounds, {}.", changes_text(changes), change.name, position(metrics))
        }
        None => format!("Scale {}.", changes_text(changes)),
    };
    let vertex = outside.map(|(change, _)| change.vertex).or(changes.first().map(|c| c.vertex));
    Reason { vertex, ..Reason::new(ReasonCode::Proposed, sentence) }
}

/// One vertex with what was found of it.
struct Seen<'a> {
    vertex: &'a Vertex,
    metrics: &'a EvaluatedMetrics,
    decision: Option<VertexDecision>,
}

/// Why nothing changes: what holds back the first vertex outside its bounds, else an unknown rate, else that all is well.
pub(super) fn balanced(input: &PassInput<'_>, evaluation: &Evaluation, decisions: &[Option<VertexDecision>]) -> Reason {
    let vertices = input.topology.vertices().iter().zip(&evaluation.vertices).zip(decisions);
    let seen: Vec<Seen<'_>> =
        vertices.map(|((vertex, (_, metrics)), decision)| Seen { vertex, metrics, decision: *decision }).collect();
    let held = seen.iter().filter(|s| outside_bounds(s.metrics)).filter_map(|s| Some((rank(s.decision?)?, s)));
    let unknown = seen.iter().filter(|s| s.decision == Some(VertexDecision::RateUnknown)).map(|s| (RANK_UNKNOWN, s));
    match held.chain(unknown).min_by_key(|(rank, _)| *rank) {
        Some((_, seen)) => held_back(seen),
        None => within_band(&seen),
    }
}

const RANK_UNKNOWN: u8 = 4;

/// What holds a vertex outside its bounds back, the most telling first; `None` where nothing does.
fn rank(decision: VertexDecision) -> Option<u8> {
    match decision {
        VertexDecision::Ineffective { .. } => Some(0),
        VertexDecision::GracePeriod { .. } => Some(1),
        VertexDecision::Delayed { .. } => Some(2),
        VertexDecision::Keep => Some(3),
        VertexDecision::RateUnknown => Some(RANK_UNKNOWN),
        VertexDecision::Change { .. } => None,
    }
}

fn held_back(seen: &Seen<'_>) -> Reason {
    let Vertex { id, name, parallelism, .. } = seen.vertex;
    let why = position(seen.metrics);
    let (code, until, sentence) = match seen.decision {
        Some(VertexDecision::Ineffective { wanted }) => (
            ReasonCode::Ineffective,
            None,
            format!(
                "Scaling {name} up {parallelism} -> {wanted} is held back: the last scale-up brought too little; {why}."
            ),
        ),
        Some(VertexDecision::GracePeriod { wanted, until }) => (
            ReasonCode::GracePeriod,
            Some(until),
            format!(
                "Scaling {name} down {parallelism} -> {wanted} waits until {} after its last scale-up; {why}.",
                clock_time(until)
            ),
        ),
        Some(VertexDecision::Delayed { wanted, until }) => (
            ReasonCode::ScaleDownDelayed,
            Some(until),
            format!("Scaling {name} down {parallelism} -> {wanted} is delayed until {}; {why}.", clock_time(until)),
        ),
        Some(VertexDecision::RateUnknown) => {
            (ReasonCode::UnknownRate, None, format!("The processing rate of {name} is not known, so it is left alone."))
        }
        Some(VertexDecision::Keep | VertexDecision::Change { .. }) | None => (
            ReasonCode::NoEffectiveChange,
            None,
            format!("Limits or alignment leave {name} at {parallelism}, although {why}."),
        ),
    };
    Reason { code, sentence, vertex: Some(*id), until }
}

fn within_band(seen: &[Seen<'_>]) -> Reason {
    let judged = seen.iter().filter(|s| s.decision.is_some());
    let load = |s: &&Seen<'_>| s.metrics.average(M::Load);
    let busiest = judged.clone().filter(|s| load(s).is_finite()).max_by(|a, b| load(a).total_cmp(&load(b)));
    let mut sentence = match busiest {
        Some(s) => format!(
            "All {} vertices are within their bounds; the busiest is {} with {:.0} % load.",
            judged.count(),
            s.vertex.name,
            load(&s) * 100.0
        ),
        None => "No vertex may be scaled: all are excluded, finished or without a known load.".to_owned(),
    };
    let left_alone = seen.iter().filter(|s| s.decision.is_none() && outside_bounds(s.metrics)).count();
    if left_alone > 0 && busiest.is_some() {
        sentence.push_str(&format!(" Excluded and outside their bounds: {left_alone}."));
    }
    Reason { vertex: busiest.map(|s| s.vertex.id), ..Reason::new(ReasonCode::WithinBand, sentence) }
}
