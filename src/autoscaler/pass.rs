//! One pass of the pipeline over one window: what goes in, what comes out, and the order of its steps (`autoscaler.md` §1.1
//! L1, L2 and L8 to L10).
//!
//! The pass is a pure function of [`PassInput`]. Collecting samples and keeping the window come before it, writing what it
//! proposes and storing what it keeps come after it; both are the caller's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::evaluate::{EvaluatedWindow, evaluate};
use super::events;
use super::excluded::Zone;
use super::execute::{Executor, forget_expected_rates};
use super::explain::Explain;
use super::options::Options;
use super::reasons::{clock_time, evaluated};
use super::restart::{self, RestartTime};
use crate::domain::Timestamp;
use crate::domain::decision::{ConfigChanges, Prediction, VertexChange};
use crate::domain::evaluation::{Evaluation, ScalingMetric as M};
use crate::domain::explanation::Explanation;
use crate::domain::ids::VertexId;
use crate::domain::reason::{Reason, ReasonCode};
use crate::domain::scaling::{ScalingState, ScalingSummary};
use crate::domain::topology::Topology;
use crate::domain::window::{Sample, WindowStatus};

/// One TaskManager as it is deployed; `None` where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TaskManager {
    /// Cores.
    pub cpu: Option<f64>,
    /// Total process memory, bytes.
    pub memory: Option<u64>,
}

/// What a scaling needs of the cluster (§6.4).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResourceRequest {
    /// Slots used now.
    pub current_slots: i32,
    /// Slots needed after the scaling.
    pub new_slots: i32,
    /// TaskManagers now.
    pub current_task_managers: i32,
    /// TaskManagers needed after the scaling.
    pub new_task_managers: i32,
    /// Cores of one TaskManager.
    pub cpu: f64,
    /// Memory of one TaskManager after the scaling, bytes.
    pub memory_bytes: u64,
}

/// Says whether the cluster can hold a scaling. Implementations look at what they know already; a pass does no I/O.
pub trait ResourceCheck {
    /// Checks the request.
    ///
    /// # Errors
    /// A sentence that says what does not fit.
    fn try_schedule(&self, request: &ResourceRequest) -> Result<(), String>;
}

/// Everything a pass looks at.
#[derive(Clone, Copy)]
pub struct PassInput<'a> {
    /// The options; they carry the generation of rules.
    pub options: &'a Options,
    /// Instant of the pass: of the newest sample, and the clock of every rule.
    pub now: Timestamp,
    /// The local time zone, in which excluded periods are written.
    pub zone: Zone,
    /// The job is RUNNING with all of its tasks (§1.2).
    pub running: bool,
    /// Since when it is RUNNING.
    pub running_since: Timestamp,
    /// The job graph.
    pub topology: &'a Topology,
    /// The samples handed on to the evaluation, oldest first ([`super::window::handed_on`]).
    pub window: &'a [Arc<Sample>],
    /// How full the window is ([`super::window::record`]).
    pub status: &'a WindowStatus,
    /// What earlier passes and scalings left behind.
    pub state: &'a ScalingState,
    /// One TaskManager.
    pub task_manager: TaskManager,
    /// The check of the cluster's resources; `None`: everything fits.
    pub resource_check: Option<&'a dyn ResourceCheck>,
    /// The explanation is wanted.
    pub explain: bool,
}

/// What a pass proposes: the changes, and the complete map that is written if it is applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// Vertices whose parallelism changes, in topological order.
    pub changes: Vec<VertexChange>,
    /// Every evaluated vertex with its parallelism after the change (§6.7).
    pub overrides: BTreeMap<VertexId, i32>,
    /// Configuration changes by memory tuning; empty if tuning is off.
    pub config: ConfigChanges,
    /// Cost and benefit as predicted.
    pub prediction: Prediction,
}

/// An event as the operator would emit it (§10).
#[derive(Debug, Clone, PartialEq)]
pub struct PassEvent {
    /// `Normal` or `Warning`.
    pub kind: &'static str,
    /// The operator's reason, e.g. `ScalingReport`.
    pub reason: &'static str,
    /// The text.
    pub message: String,
    /// The key by which repeats are suppressed.
    pub key: Option<String>,
    /// For how many seconds repeats are suppressed.
    pub interval_seconds: Option<f64>,
}

/// The result of a pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Pass {
    /// The one reason.
    pub reason: Reason,
    /// The restart time that was reckoned with, if it came to that.
    pub restart: Option<RestartTime>,
    /// What the evaluator made of the window, if it came to that.
    pub evaluation: Option<Evaluation>,
    /// Vertices that are not scaled in this pass: excluded by the user, finished, or without a finite load (§2.6, §6.1 E2).
    pub excluded: BTreeSet<VertexId>,
    /// Vertices whose parallelism should change by the rules of scaling (§6.2), in topological order, even where something
    /// blocks the execution and nothing is proposed.
    pub changes: Vec<VertexChange>,
    /// Memory settings as recommended, even where tuning is off and nothing is proposed.
    pub recommendation: Option<ConfigChanges>,
    /// What the resource check was asked, if it was.
    pub resource_request: Option<ResourceRequest>,
    /// What should be done, if something should.
    pub proposal: Option<Proposal>,
    /// The state that is kept in any case: trimmed history, restart tracking, delayed scale-down.
    pub kept: ScalingState,
    /// Events of the pass.
    pub events: Vec<PassEvent>,
    /// The explanation, if it was asked for.
    pub explanation: Option<Explanation>,
}

/// How a pass ended, in the operator's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PassOutcome {
    /// Something is proposed; the operator executes it.
    Scaled,
    /// The window was full and nothing is proposed, for whatever reason.
    Balanced,
    /// Evaluated, but the window is not full yet.
    WindowNotFull,
    /// There were fewer than two samples.
    TooFewSamples,
    /// The pass failed.
    Error,
    /// There was nothing to do: disabled or not running.
    Skipped,
}

impl Pass {
    /// The state that is kept if the proposal was applied at `at`: the kept state with the proposal's entries in the history,
    /// an open restart record, and the overrides, all under `at`, and no delayed scale-down (§6.1 E9). The kept state alone if
    /// nothing was proposed.
    pub fn applied(&self, at: Timestamp) -> ScalingState {
        let mut state = self.kept.clone();
        let (Some(proposal), Some(evaluation)) = (&self.proposal, &self.evaluation) else {
            return state;
        };
        let summaries = evaluated(&proposal.changes, evaluation).map(|(change, metrics)| {
            (change.vertex, ScalingSummary { at, from: change.from, to: change.to, metrics: metrics.clone() })
        });
        restart::remember(&mut state, at, summaries);
        state.parallelism_overrides = proposal.overrides.clone();
        state.config_overrides = proposal.config.clone();
        state.delayed_scale_down.clear();
        state
    }

    /// How the pass ended, in the operator's words.
    pub fn outcome(&self) -> PassOutcome {
        use crate::domain::reason::ReasonCode as Code;
        match self.reason.code {
            Code::Disabled | Code::NotRunning => PassOutcome::Skipped,
            Code::EvaluationFailed => PassOutcome::Error,
            Code::TooFewSamples => PassOutcome::TooFewSamples,
            Code::Stabilizing if self.evaluation.is_none() => PassOutcome::TooFewSamples,
            Code::Stabilizing | Code::WindowFilling => PassOutcome::WindowNotFull,
            _ if self.proposal.is_some() => PassOutcome::Scaled,
            _ => PassOutcome::Balanced,
        }
    }
}

/// Runs one pass.
pub fn pass(input: &PassInput<'_>) -> Pass {
    let mut run = Run::new(input);
    let reason = run.decide();
    run.finish(reason)
}

/// A pass under way.
struct Run<'a> {
    input: &'a PassInput<'a>,
    out: Pass,
    explain: Explain,
}

impl<'a> Run<'a> {
    fn new(input: &'a PassInput<'a>) -> Self {
        let out = Pass {
            reason: Reason::new(ReasonCode::NotRunning, String::new()),
            restart: None,
            evaluation: None,
            excluded: excluded(input),
            changes: Vec::new(),
            recommendation: None,
            resource_request: None,
            proposal: None,
            kept: input.state.clone(),
            events: Vec::new(),
            explanation: None,
        };
        Self { input, out, explain: Explain::new(input.explain) }
    }

    fn finish(mut self, reason: Reason) -> Pass {
        self.out.reason = reason;
        self.out.explanation = self.explain.finish(self.input.now);
        self.out
    }

    fn decide(&mut self) -> Reason {
        let input = self.input;
        if !input.options.enabled {
            self.out.kept = ScalingState::default();
            return Reason::new(
                ReasonCode::Disabled,
                "The autoscaler is disabled for this job (job.autoscaler.enabled).",
            );
        }
        if !input.running {
            return Reason::new(ReasonCode::NotRunning, "The job is not running with all of its tasks.");
        }
        restart::trim(&mut self.out.kept, input.topology, input.options, input.now);
        restart::record(&mut self.out.kept, input.topology, input.running_since);
        if input.window.len() < 2 {
            return self.window_not_full(ReasonCode::TooFewSamples);
        }
        let restart = restart::estimate(&self.out.kept.restarts, input.options);
        self.out.restart = Some(restart);
        self.explain.step(|| restart::step(restart, input.options));
        let window = evaluate(input.options, input.topology, input.window, restart.time, input.now, &mut self.explain);
        let mut window = match window {
            Ok(window) => window,
            Err(error) => return self.failed(error.to_string()),
        };
        let reason = if input.status.full {
            recommend_current(&mut window.evaluation);
            self.execute(restart, &mut window)
        } else {
            self.window_not_full(ReasonCode::WindowFilling)
        };
        self.out.evaluation = Some(window.evaluation);
        reason
    }

    /// The executor on a full window. If it fails half-way, nothing of what it did stays (§1.4).
    fn execute(&mut self, restart: RestartTime, window: &mut EvaluatedWindow) -> Reason {
        let executor = Executor {
            input: self.input,
            restart,
            window: &mut *window,
            out: &mut self.out,
            explain: &mut self.explain,
        };
        match executor.run() {
            Ok(reason) => reason,
            Err(error) => {
                forget_expected_rates(&mut window.evaluation.vertices);
                self.out.changes.clear();
                self.out.kept.delayed_scale_down.clone_from(&self.input.state.delayed_scale_down);
                self.failed(error.to_string())
            }
        }
    }

    /// The pass fails: an error event and nothing else (§1.4).
    fn failed(&mut self, message: String) -> Reason {
        self.out.events.clear();
        self.out.events.push(events::autoscaler_error(message.clone()));
        Reason::new(ReasonCode::EvaluationFailed, format!("{message}."))
    }

    /// The reason of a pass whose window is not full: stabilizing, or `code`.
    fn window_not_full(&self, code: ReasonCode) -> Reason {
        let status = self.input.status;
        if self.input.now < status.stable_at {
            let sentence = format!("The job is stabilizing after its start, until {}.", clock_time(status.stable_at));
            return Reason { until: Some(status.stable_at), ..Reason::new(ReasonCode::Stabilizing, sentence) };
        }
        let percent = (status.fill * 100.0).floor();
        let sentence = match code {
            ReasonCode::TooFewSamples => format!("Only {} sample so far; two are needed for a rate.", status.samples),
            _ => format!("The metric window is {percent} % full, until {}.", clock_time(status.full_at)),
        };
        Reason { until: Some(status.full_at), ..Reason::new(code, sentence) }
    }
}

/// Until the executor decides otherwise, every vertex is recommended the parallelism it has (L10a).
fn recommend_current(evaluation: &mut Evaluation) {
    for (_, metrics) in &mut evaluation.vertices {
        metrics.set(M::RecommendedParallelism, metrics.get(M::Parallelism));
    }
}

/// Vertices that this pass leaves alone: excluded by the user, finished, or without a finite load in the newest sample.
fn excluded(input: &PassInput<'_>) -> BTreeSet<VertexId> {
    let mut excluded = input.options.excluded_vertices();
    excluded.extend(input.topology.vertices().iter().filter(|v| v.finished).map(|v| v.id));
    if let Some(newest) = input.window.last() {
        excluded.extend(newest.vertices.iter().filter(|(_, sample)| !sample.load.is_finite()).map(|(id, _)| *id));
    }
    excluded
}

#[cfg(test)]
mod tests;
