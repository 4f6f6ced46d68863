//! What a pass loads of the past: trimmed history, restart tracking, and the restart time estimated from it
//! (`autoscaler.md` §8 and §9.1).

use std::collections::BTreeMap;
use std::time::Duration;

use super::options::{OptionId, Options};
use super::time::before;
use crate::domain::Timestamp;
use crate::domain::explanation::{Origin, Step, Value};
use crate::domain::ids::VertexId;
use crate::domain::scaling::{RestartRecord, ScalingState, ScalingSummary};
use crate::domain::topology::Topology;
use crate::domain::units::Unit;

#[cfg(test)]
mod tests;

/// The restart time that a pass reckons with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartTime {
    /// How long.
    pub time: Duration,
    /// It was measured at an earlier scaling, not configured.
    pub measured: bool,
}

/// Trims history and restart tracking to the configured age and count, in place, and drops the history of vertices that are
/// not in the topology (L5 and L8 of §1.1, §8.2, §9.1).
pub fn trim(state: &mut ScalingState, topology: &Topology, options: &Options, now: Timestamp) {
    let oldest = before(now, options.history_max_age);
    let count = usize::try_from(options.history_max_count).unwrap_or(0);
    state.history.retain(|id, summaries| {
        summaries.retain(|s| s.at >= oldest);
        summaries.drain(..summaries.len().saturating_sub(count));
        !summaries.is_empty() && topology.vertex(*id).is_some()
    });
    let newest = state.restarts.last().copied();
    state.restarts.retain(|r| r.at >= oldest);
    state.restarts.drain(..state.restarts.len().saturating_sub(count));
    if state.restarts.is_empty() {
        state.restarts.extend(newest);
    }
}

/// Records how long the newest restart took, once every vertex that it scaled runs with its new parallelism (§8.1).
/// True if a duration was recorded.
pub fn record(state: &mut ScalingState, topology: &Topology, running_since: Timestamp) -> bool {
    let Some(newest) = state.restarts.last_mut().filter(|r| r.duration.is_none()) else {
        return false;
    };
    if !all_run_with_new_parallelism(&state.history, topology, newest.at) {
        return false;
    }
    newest.duration = Some(running_since - newest.at);
    true
}

fn all_run_with_new_parallelism(
    history: &BTreeMap<VertexId, Vec<ScalingSummary>>,
    topology: &Topology,
    scaled_at: Timestamp,
) -> bool {
    history.iter().all(|(id, summaries)| match summaries.iter().find(|s| s.at == scaled_at) {
        Some(summary) => topology.vertex(*id).is_some_and(|v| v.parallelism == summary.to),
        None => true,
    })
}

/// The restart time to reckon with: the largest tracked one up to its limit, in whole seconds, else the configured one (§8.3).
pub fn estimate(restarts: &[RestartRecord], options: &Options) -> RestartTime {
    let tracked = match options.restart_time_tracking_enabled {
        true => restarts.iter().filter_map(|r| r.duration).filter_map(|d| d.to_std().ok()).map(|d| d.as_secs()).max(),
        false => None,
    };
    match tracked {
        Some(seconds) => {
            let time = Duration::from_secs(seconds.min(options.restart_time_tracking_limit.as_secs()));
            RestartTime { time, measured: true }
        }
        None => RestartTime { time: options.restart_time, measured: false },
    }
}

/// The restart time as a step of an explanation.
pub(super) fn step(restart: RestartTime, options: &Options) -> Step {
    let seconds = |time: Duration| Value::number(time.as_secs_f64(), Unit::Seconds);
    let step = Step::new("Restart time").value(seconds(restart.time));
    match restart.measured {
        true => step
            .formula("largest tracked restart, at most restart.time-tracking.limit")
            .input("largest tracked restart", seconds(restart.time), Origin::History)
            .input(
                "restart.time-tracking.limit",
                seconds(options.restart_time_tracking_limit),
                options.origin(OptionId::RestartTimeTrackingLimit),
            ),
        false => step.formula("restart.time").input(
            "restart.time",
            seconds(options.restart_time),
            options.origin(OptionId::RestartTime),
        ),
    }
}

/// Stores what an executed scaling leaves behind in history and tracking: one summary per changed vertex and an open record,
/// all under the instant of applying (E9 of §6.1).
pub fn remember(
    state: &mut ScalingState,
    at: Timestamp,
    summaries: impl IntoIterator<Item = (VertexId, ScalingSummary)>,
) {
    for (id, summary) in summaries {
        let history = state.history.entry(id).or_default();
        history.retain(|s| s.at != at);
        history.push(summary);
    }
    state.restarts.retain(|r| r.at != at);
    state.restarts.push(RestartRecord { at, duration: None });
}
