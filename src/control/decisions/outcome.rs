//! What came of an applied decision: whether its effect is there, and whether it is as good as was predicted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::decision::{DecisionState, Outcome, VertexChange, VertexOutcome};
use crate::domain::evaluation::{EvaluatedMetrics, Evaluation, ScalingMetric};
use crate::domain::freshness::age;
use crate::domain::ids::{RunId, VertexId};
use crate::domain::job::{JobState, TaskCounts};

/// One look at the job while a decision is being applied or measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Sight {
    /// When.
    pub at: Timestamp,
    /// Flink's state of the job.
    pub state: JobState,
    /// Its tasks.
    pub tasks: TaskCounts,
    /// The run, if it was seen RUNNING.
    pub run: Option<RunId>,
    /// Parallelism of its vertices, if it was seen.
    pub parallelism: BTreeMap<VertexId, i32>,
    /// Nothing more can be had: slots that are free in the cluster, if known.
    pub free_slots: Option<u32>,
}

/// What a look at the job means for the decision.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Not yet; what is awaited, in one sentence.
    Waiting(String),
    /// All tasks run with the new parallelism.
    Applied,
    /// It will not come about.
    Failed(String),
    /// It is worse than predicted.
    Regressed(String),
}

/// Follows an accepted write until its effect is seen and judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Pursuit {
    /// When the write was accepted.
    pub accepted_at: Timestamp,
    /// The run before.
    pub run_before: Option<RunId>,
    /// The complete map that was written.
    pub wanted: BTreeMap<VertexId, i32>,
    /// Vertices that change.
    pub changes: Vec<VertexChange>,
    /// Predicted downtime.
    pub predicted: Duration,
    /// Lag when it was approved, records; NaN if unknown.
    pub lag_before: f64,
    /// How long the effect may take to begin.
    pub patience: Duration,
    /// What is awaited while the job still runs as before.
    pub waits_for: String,
    /// Since when the job is down.
    pub down_since: Option<Timestamp>,
    /// When the effect was seen, and in which run.
    pub applied: Option<(Timestamp, Option<RunId>)>,
    /// When the backlog was first seen gone after that.
    pub caught_up_at: Option<Timestamp>,
}

impl Pursuit {
    /// Takes a look at the job into account.
    pub fn look(&mut self, sight: &Sight) -> Effect {
        if let Some((_, run)) = self.applied {
            return self.look_after(sight, run);
        }
        if sight.state.is_terminal() {
            return Effect::Failed(format!("the job is {}", sight.state.name()));
        }
        let up = sight.state == JobState::Running && sight.tasks.all_running();
        let new_run = sight.run.is_some() && sight.run != self.run_before;
        if !up && self.down_since.is_none() {
            self.down_since = Some(sight.at);
        }
        if up && new_run && self.reached(sight) {
            self.applied = Some((sight.at, sight.run));
            return Effect::Applied;
        }
        if let Some(since) = self.down_since
            && !up
        {
            let down = age(since, sight.at);
            if down > self.predicted * 2 {
                return Effect::Regressed(format!(
                    "the job is down for {} s, more than twice the predicted {} s",
                    down.as_secs(),
                    self.predicted.as_secs()
                ));
            }
            return Effect::Waiting(format!(
                "restarting: {} for {} s, {} of {} tasks run",
                sight.state.name(),
                down.as_secs(),
                sight.tasks.running,
                sight.tasks.total
            ));
        }
        let waited = age(self.accepted_at, sight.at);
        let short = self.shortfall(sight);
        if waited > self.patience {
            return Effect::Failed(match short {
                Some(short) if new_run => format!("after {} s {short}", waited.as_secs()),
                _ => format!("no effect was seen within {} s", waited.as_secs()),
            });
        }
        match short {
            Some(short) if new_run => {
                let slots = if sight.free_slots == Some(0) { ", no slot is free" } else { "" };
                Effect::Waiting(format!("rescaled in part: {short}{slots}, {} s", waited.as_secs()))
            }
            // It came back, and its new run or parallelism is not read yet: what it waited for before lies behind it.
            _ if self.down_since.is_some() => {
                Effect::Waiting(format!("restarted: reading the new parallelism, {} s", waited.as_secs()))
            }
            _ => Effect::Waiting(format!("rescaling: {}, {} s", self.waits_for, waited.as_secs())),
        }
    }

    /// Looks at the job while its outcome is measured: only a further restart matters.
    fn look_after(&self, sight: &Sight, run: Option<RunId>) -> Effect {
        if sight.state.is_terminal() {
            return Effect::Regressed(format!("the job is {} after the change", sight.state.name()));
        }
        let again = sight.run.is_some() && sight.run != run;
        let down = matches!(sight.state, JobState::Restarting | JobState::Failing);
        if again || down {
            return Effect::Regressed("the job restarted again after the change".into());
        }
        Effect::Waiting("measuring the outcome".into())
    }

    fn reached(&self, sight: &Sight) -> bool {
        self.changes.iter().all(|c| sight.parallelism.get(&c.vertex) == Some(&c.to))
    }

    /// The first changed vertex that does not run with the wanted parallelism.
    fn shortfall(&self, sight: &Sight) -> Option<String> {
        self.changes.iter().find_map(|c| {
            let now = sight.parallelism.get(&c.vertex)?;
            (*now != c.to).then(|| format!("{} runs with {now} of {} subtasks", c.name, c.to))
        })
    }
}

/// What was measured over one full window with all tasks running.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured<'a> {
    /// When.
    pub at: Timestamp,
    /// The evaluation of the window.
    pub evaluation: &'a Evaluation,
    /// What each vertex handled over the window, records per second.
    pub handled: &'a BTreeMap<VertexId, f64>,
    /// Lag now, records; NaN if unknown.
    pub lag: f64,
    /// Growth of the lag over the window, records per second; NaN if unknown.
    pub lag_rate: f64,
    /// Records per second that all sources read; NaN if unknown.
    pub input_rate: f64,
}

/// Judges an applied decision by one full window: confirmed if every changed vertex reaches 90 % of the expected rate or its
/// target rate and the lag is not growing; regressed if the lag grows; else inconclusive, with why.
pub fn judge(pursuit: &Pursuit, measured: Measured<'_>) -> (DecisionState, Outcome) {
    let vertices: Vec<VertexOutcome> = pursuit.changes.iter().map(|change| vertex_outcome(change, &measured)).collect();
    let outcome = outcome(pursuit, measured.at, measured.lag, vertices);
    let state = if lag_grows(measured.lag_rate, measured.input_rate) {
        DecisionState::Regressed { why: format!("the backlog grows by {:.0} records/s", measured.lag_rate) }
    } else if let Some(short) = outcome.vertices.iter().find(|v| !v.reached()) {
        let name = pursuit.changes.iter().find(|c| c.vertex == short.vertex).map_or("a vertex", |c| c.name.as_str());
        let why = if short.measured_rate.is_nan() && short.handled_rate.is_nan() {
            format!("the rate of {name} could not be measured")
        } else {
            format!(
                "{name} reaches {:.0} records/s, expected {:.0}, target {:.0}",
                short.best(),
                short.expected_rate,
                short.target_rate
            )
        };
        DecisionState::Inconclusive { why }
    } else if measured.lag_rate.is_nan() && !measured.lag.is_nan() {
        DecisionState::Inconclusive { why: "the course of the backlog could not be measured".into() }
    } else {
        DecisionState::Confirmed
    };
    (state, outcome)
}

/// The outcome of a decision that ends without measured rates.
pub fn unmeasured(pursuit: &Pursuit, at: Timestamp, lag: f64) -> Outcome {
    let vertices = pursuit
        .changes
        .iter()
        .map(|c| VertexOutcome {
            vertex: c.vertex,
            expected_rate: c.expected_rate,
            target_rate: c.target_rate,
            measured_rate: f64::NAN,
            handled_rate: f64::NAN,
        })
        .collect();
    outcome(pursuit, at, lag, vertices)
}

fn outcome(pursuit: &Pursuit, at: Timestamp, lag: f64, vertices: Vec<VertexOutcome>) -> Outcome {
    let applied_at = pursuit.applied.map(|(at, _)| at);
    Outcome {
        at,
        downtime: pursuit.down_since.zip(applied_at).map(|(from, to)| age(from, to)),
        catch_up: pursuit.caught_up_at.zip(applied_at).map(|(to, from)| age(from, to)),
        vertices,
        lag_before: pursuit.lag_before,
        lag_after: lag,
    }
}

/// A backlog grows if it does so by more than 1 % of what the sources read: less is the noise of two readings.
pub fn lag_grows(lag_rate: f64, input_rate: f64) -> bool {
    let noise = if input_rate.is_finite() { 0.01 * input_rate } else { 0.0 };
    lag_rate > noise.max(1.0)
}

fn vertex_outcome(change: &VertexChange, measured: &Measured<'_>) -> VertexOutcome {
    let absent = EvaluatedMetrics::default();
    let metrics = measured.evaluation.vertex(change.vertex).unwrap_or(&absent);
    VertexOutcome {
        vertex: change.vertex,
        expected_rate: change.expected_rate,
        target_rate: change.target_rate,
        measured_rate: metrics.average(ScalingMetric::TrueProcessingRate),
        handled_rate: measured.handled.get(&change.vertex).copied().unwrap_or(f64::NAN),
    }
}

#[cfg(test)]
mod tests;
