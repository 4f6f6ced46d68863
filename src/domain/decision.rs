//! Decisions: a proposal with an identity, its life, and its outcome against what was predicted.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Timestamp;
use super::capacity::CapacityAnswer;
use super::explanation::Explanation;
use super::ids::{JobKey, RunId, VertexId};
use super::reason::Reason;
use super::units::nonfinite;

/// Identity of a decision: a hash of target uid, run, rule generation, every change of parallelism and the config changes.
/// Shown as 8 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecisionId(pub u32);

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}
impl fmt::Debug for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}
impl FromStr for DecisionId {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        if s.len() != 8 {
            return Err(format!("a decision id has 8 hexadecimal digits, got {s:?}"));
        }
        u32::from_str_radix(s, 16).map(Self).map_err(|_| format!("a decision id has 8 hexadecimal digits, got {s:?}"))
    }
}
impl Serialize for DecisionId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for DecisionId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The frozen target of a decision or command: what must still be true when it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The job.
    pub job: JobKey,
    /// Kube context or Flink source, as shown.
    pub context: String,
    /// Namespace, if any.
    pub namespace: Option<String>,
    /// Name, as shown and as typed in level 3 confirmations.
    pub name: String,
    /// `metadata.uid`, or Flink's job id.
    pub uid: String,
    /// `metadata.generation`, if any.
    pub generation: Option<i64>,
    /// Hash of the fields that a write would touch.
    pub field_hash: u64,
    /// The run that was seen.
    pub run: Option<RunId>,
}

/// One vertex before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VertexChange {
    /// The vertex.
    pub vertex: VertexId,
    /// Its name.
    pub name: String,
    /// Parallelism now.
    pub from: i32,
    /// Parallelism wanted.
    pub to: i32,
    /// Capacity now, records per second at 100 % busy (TRUE_PROCESSING_RATE).
    #[serde(with = "nonfinite")]
    pub true_processing_rate: f64,
    /// Rate that must be handled (TARGET_DATA_RATE).
    #[serde(with = "nonfinite")]
    pub target_rate: f64,
    /// Capacity expected after the change (EXPECTED_PROCESSING_RATE).
    #[serde(with = "nonfinite")]
    pub expected_rate: f64,
}

/// Changes of configuration that go with a decision (autotuning).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConfigChanges {
    /// Keys set to a value.
    pub set: BTreeMap<String, String>,
    /// Keys removed.
    pub removed: Vec<String>,
}

impl ConfigChanges {
    /// Nothing changes.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.removed.is_empty()
    }
}

/// Where a decision is in its life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum DecisionState {
    /// Waits for approval.
    Pending,
    /// Approved by a person or by the auto mode; evaluated again before it is sent.
    Approved,
    /// Rejected; quiet until `until` or until inputs change materially.
    Rejected {
        /// The reason that was given.
        reason: Option<String>,
        /// End of the quiet time.
        until: Timestamp,
    },
    /// Put off until `until` or until inputs change materially.
    Snoozed {
        /// End of the quiet time.
        until: Timestamp,
    },
    /// Not approved in time.
    Expired,
    /// Another decision took its place, or its target changed.
    Superseded {
        /// The other decision, if there is one.
        by: Option<DecisionId>,
        /// Why.
        why: String,
    },
    /// The write is under way or was accepted, the effect is not seen yet.
    Applying,
    /// The effect was seen: all tasks run with the new parallelism.
    Applied,
    /// The write or its effect failed.
    Failed {
        /// Why.
        why: String,
    },
    /// The outcome is as good as predicted.
    Confirmed,
    /// The outcome is worse than before or than predicted.
    Regressed {
        /// Why.
        why: String,
    },
    /// The outcome could not be judged.
    Inconclusive {
        /// Why.
        why: String,
    },
}

impl DecisionState {
    /// The word as shown.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected { .. } => "rejected",
            Self::Snoozed { .. } => "snoozed",
            Self::Expired => "expired",
            Self::Superseded { .. } => "superseded",
            Self::Applying => "applying",
            Self::Applied => "applied",
            Self::Failed { .. } => "failed",
            Self::Confirmed => "confirmed",
            Self::Regressed { .. } => "regressed",
            Self::Inconclusive { .. } => "inconclusive",
        }
    }

    /// Nothing will happen to it any more.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Pending | Self::Approved | Self::Applying | Self::Applied | Self::Snoozed { .. } => false,
            Self::Rejected { .. }
            | Self::Expired
            | Self::Superseded { .. }
            | Self::Failed { .. }
            | Self::Confirmed
            | Self::Regressed { .. }
            | Self::Inconclusive { .. } => true,
        }
    }
}

/// One step in the life of a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionEvent {
    /// When.
    pub at: Timestamp,
    /// Into which state.
    pub state: DecisionState,
    /// By whom: `loop`, `auto`, or the user at a terminal or the command line.
    pub by: String,
}

/// What a decision is expected to cost and bring.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// How long the job will be down.
    pub downtime: Duration,
    /// The downtime is measured from earlier restarts, not configured.
    pub downtime_measured: bool,
    /// Time until the backlog is gone after the restart; `None` if it will not shrink.
    pub catch_up: Option<Duration>,
    /// TaskManagers needed, if known.
    pub task_managers: Option<u32>,
    /// Slots needed.
    pub slots: u32,
}

/// What came of an applied decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// When it was judged.
    pub at: Timestamp,
    /// How long the job was down, if it was seen.
    pub downtime: Option<Duration>,
    /// Time until the backlog was gone, if it is.
    pub catch_up: Option<Duration>,
    /// Per changed vertex: expected and measured capacity, records per second.
    pub vertices: Vec<VertexOutcome>,
    /// Lag when it was approved, records; NaN if unknown.
    #[serde(with = "nonfinite")]
    pub lag_before: f64,
    /// Lag when it was judged, records; NaN if unknown.
    #[serde(with = "nonfinite")]
    pub lag_after: f64,
}

/// Expected and measured capacity of one vertex, records per second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VertexOutcome {
    /// The vertex.
    pub vertex: VertexId,
    /// EXPECTED_PROCESSING_RATE of the decision.
    #[serde(with = "nonfinite")]
    pub expected_rate: f64,
    /// TARGET_DATA_RATE of the decision.
    #[serde(with = "nonfinite")]
    pub target_rate: f64,
    /// TRUE_PROCESSING_RATE one full window after.
    #[serde(with = "nonfinite")]
    pub measured_rate: f64,
    /// What the vertex handled, records per second, one full window after.
    #[serde(with = "nonfinite")]
    pub handled_rate: f64,
}

impl VertexOutcome {
    /// The share of the expected capacity that counts as reached.
    pub const REACHED: f64 = 0.9;

    /// The better of what the vertex could handle and what it did handle; NaN if neither was measured.
    pub fn best(&self) -> f64 {
        self.measured_rate.max(self.handled_rate)
    }

    /// It came up to [`Self::REACHED`] of the expected capacity, or to the rate it must handle.
    pub fn reached(&self) -> bool {
        let best = self.best();
        best >= Self::REACHED * self.expected_rate || best >= self.target_rate
    }
}

/// A decision with everything a person needs to judge it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Its identity.
    pub id: DecisionId,
    /// Grows with every change.
    pub revision: u64,
    /// What it is about.
    pub target: Target,
    /// Rule generation: `1.8` or `main`.
    pub compat: String,
    /// Every vertex whose parallelism changes, in topological order.
    pub changes: Vec<VertexChange>,
    /// Changes of configuration.
    pub config: ConfigChanges,
    /// The reason in one sentence.
    pub reason: Reason,
    /// The whole explanation.
    pub explanation: Option<Arc<Explanation>>,
    /// Cost and benefit as predicted.
    pub prediction: Prediction,
    /// When it was first proposed.
    pub proposed_at: Timestamp,
    /// When a turn last came to the same result.
    pub refreshed_at: Timestamp,
    /// When it expires if nothing happens.
    pub expires_at: Timestamp,
    /// Time of the newest sample it was made from.
    pub data_at: Timestamp,
    /// Where it is in its life.
    pub state: DecisionState,
    /// Its life so far, oldest first.
    pub life: Vec<DecisionEvent>,
    /// What came of it.
    pub outcome: Option<Outcome>,
    /// Whether its TaskManagers fit, where that could be found out.
    pub capacity: Option<Arc<CapacityAnswer>>,
    /// Why it cannot be approved now, if it cannot.
    pub blocked: Option<String>,
}
