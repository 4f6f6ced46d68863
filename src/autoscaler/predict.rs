//! What a proposal is expected to cost: downtime, time to catch up, slots and TaskManagers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::evaluate::EvaluatedWindow;
use super::pass::PassInput;
use super::restart::RestartTime;
use super::slots;
use crate::domain::decision::Prediction;
use crate::domain::evaluation::ScalingMetric as M;
use crate::domain::explanation::{Origin, Step, Value};
use crate::domain::ids::VertexId;
use crate::domain::units::Unit;

/// Predicts a scaling to this parallelism.
pub(super) fn predict(
    input: &PassInput<'_>,
    window: &EvaluatedWindow,
    restart: RestartTime,
    parallelism: &BTreeMap<VertexId, i32>,
    slots_estimate: i32,
) -> Prediction {
    let slots = slots::needed(input.topology, parallelism, slots_estimate);
    let task_managers = slots::task_managers(slots, input.options.number_of_task_slots);
    Prediction {
        downtime: restart.time,
        downtime_measured: restart.measured,
        catch_up: catch_up(window, restart.time, parallelism),
        task_managers: u32::try_from(task_managers).ok(),
        slots: u32::try_from(slots).unwrap_or(0),
    }
}

/// Time until the backlog is gone after the restart: at every vertex the pending records that reach it, and what arrives
/// while the job is down, against the capacity that it will have beyond what keeps arriving. The slowest vertex counts.
/// `None` if some vertex cannot keep up, or no capacity is known.
fn catch_up(window: &EvaluatedWindow, downtime: Duration, parallelism: &BTreeMap<VertexId, i32>) -> Option<Duration> {
    let mut slowest: Option<f64> = None;
    for ((id, metrics), pending) in window.evaluation.vertices.iter().zip(&window.backlog) {
        let target = metrics.average(M::TargetDataRate);
        // Capacity is taken to grow with parallelism, in both generations: 1.8's expected rate leaves alignment out.
        let subtasks = parallelism.get(id).map_or(f64::NAN, |new| f64::from(*new));
        let per_subtask = metrics.average(M::TrueProcessingRate) / metrics.current(M::Parallelism);
        let spare = per_subtask * subtasks - target;
        if spare.is_nan() {
            continue;
        }
        let pending = if pending.is_nan() { 0.0 } else { *pending };
        let backlog = pending + target * downtime.as_secs_f64();
        let seconds = if backlog > 0.0 { backlog / spare } else { 0.0 };
        if backlog > 0.0 && spare <= 0.0 {
            return None;
        }
        slowest = Some(slowest.map_or(seconds, |s| s.max(seconds)));
    }
    slowest.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

/// The prediction as a step of an explanation.
pub(super) fn step(prediction: &Prediction) -> Step {
    let seconds = |d: Duration| Value::number(d.as_secs_f64(), Unit::Seconds);
    let measured = if prediction.downtime_measured { "measured" } else { "configured" };
    Step::new("Prediction")
        .formula("catch-up = (pending + TARGET_DATA_RATE * downtime) / (expected capacity - TARGET_DATA_RATE), slowest vertex")
        .input("downtime", seconds(prediction.downtime), Origin::History)
        .input("downtime is", Value::text(measured), Origin::History)
        .input("slots", Value::number(f64::from(prediction.slots), Unit::Slots), Origin::Step)
        .input(
            "TaskManagers",
            prediction.task_managers.map_or(Value::Nothing, |n| Value::number(f64::from(n), Unit::TaskManagers)),
            Origin::Step,
        )
        .value(prediction.catch_up.map_or(Value::Nothing, seconds))
}
