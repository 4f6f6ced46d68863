//! What the autoscaler remembers of a job between passes (`autoscaler.md` §9): the documents of a state store.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::decision::ConfigChanges;
use super::evaluation::EvaluatedMetrics;
use super::ids::VertexId;

/// One executed scaling of one vertex.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScalingSummary {
    /// Instant of applying: the key under which it is stored.
    pub at: Timestamp,
    /// Parallelism before.
    pub from: i32,
    /// Parallelism after.
    pub to: i32,
    /// The evaluated metrics of the vertex at that time.
    pub metrics: EvaluatedMetrics,
}

/// One tracked restart: the scaling that caused it, and how long it took once that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartRecord {
    /// Instant of applying.
    pub at: Timestamp,
    /// Time from applying to RUNNING with the new parallelism; `None` while open. It can be negative where an entry of the
    /// history was trimmed meanwhile (§15.3 no. 7).
    pub duration: Option<TimeDelta>,
}

/// One recommendation inside a delayed scale-down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelayedRecommendation {
    /// When it was made.
    pub at: Timestamp,
    /// The parallelism that was recommended.
    pub parallelism: i32,
    /// The vertex was outside its bounds.
    pub outside_bounds: bool,
}

/// A scale-down that waits for the scale-down interval (generation main).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelayedScaleDown {
    /// When it was first wanted.
    pub first_trigger: Timestamp,
    /// Recommendations since, in stored order.
    pub recommendations: Vec<DelayedRecommendation>,
}

/// Everything that is remembered of a job, but for its metric window.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ScalingState {
    /// Executed scalings per vertex, oldest first.
    pub history: BTreeMap<VertexId, Vec<ScalingSummary>>,
    /// Tracked restarts, oldest first.
    pub restarts: Vec<RestartRecord>,
    /// Delayed scale-downs per vertex.
    pub delayed_scale_down: BTreeMap<VertexId, DelayedScaleDown>,
    /// Parallelism overrides of the last executed scaling: the complete map.
    pub parallelism_overrides: BTreeMap<VertexId, i32>,
    /// Config changes of the last executed scaling.
    pub config_overrides: ConfigChanges,
}
