//! Reason codes: every turn of the loop yields exactly one, for action and for non-action.

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::ids::VertexId;

/// Why a turn ended as it did. The text form (kebab-case) is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonCode {
    // --- of the pipeline (autoscaler) ---
    /// `job.autoscaler.enabled` is false.
    Disabled,
    /// The job is not RUNNING with all of its tasks.
    NotRunning,
    /// Required metrics are not there yet.
    MetricsNotReady,
    /// Metrics could not be collected or evaluated.
    EvaluationFailed,
    /// Within the stabilization interval after a start.
    Stabilizing,
    /// Fewer than two samples.
    TooFewSamples,
    /// The window is not full.
    WindowFilling,
    /// The true processing rate of a vertex is unknown.
    UnknownRate,
    /// Heap usage or garbage collection is too high to scale.
    MemoryPressure,
    /// Every vertex is inside its bounds.
    WithinBand,
    /// A vertex is outside its bounds but limits or alignment leave its parallelism as it is.
    NoEffectiveChange,
    /// Scale-down is held back by the grace period after a scale-up (generation 1.8).
    GracePeriod,
    /// Scale-down is delayed by the scale-down interval (generation main).
    ScaleDownDelayed,
    /// The last scale-up had no effect.
    Ineffective,
    /// Scaling is not enabled: the operator's advise-only mode.
    ScalingDisabled,
    /// Inside an excluded period.
    ExcludedPeriod,
    /// The resource check says the TaskManagers do not fit.
    NoCapacity,
    /// A quota would be exceeded.
    QuotaReached,
    /// A change is proposed.
    Proposed,
    // --- of the guards and the approval (control) ---
    /// Flightdeck's mode for this job is `off`.
    ModeOff,
    /// The operator's autoscaler acts; flightdeck only observes.
    Observing,
    /// Somebody else writes the same fields.
    Conflict,
    /// The source of the data does not answer.
    SourceLost,
    /// Data are too old.
    StaleData,
    /// Data are incomplete.
    IncompleteData,
    /// Data belong to an earlier run of the job.
    EarlierRun,
    /// A proposal waits for approval.
    AwaitingApproval,
    /// A proposal was rejected or snoozed and nothing material changed since.
    Quiet,
    /// An approved change is being applied.
    Applying,
    /// The outcome of an applied change is being measured.
    MeasuringOutcome,
    /// The change cannot be applied here; it is advice only.
    AdviseOnly,
}

impl ReasonCode {
    /// All codes: first those of the pipeline, up to [`Self::Proposed`], then those of the guards and the approval.
    pub const ALL: [Self; 31] = [
        Self::Disabled,
        Self::NotRunning,
        Self::MetricsNotReady,
        Self::EvaluationFailed,
        Self::Stabilizing,
        Self::TooFewSamples,
        Self::WindowFilling,
        Self::UnknownRate,
        Self::MemoryPressure,
        Self::WithinBand,
        Self::NoEffectiveChange,
        Self::GracePeriod,
        Self::ScaleDownDelayed,
        Self::Ineffective,
        Self::ScalingDisabled,
        Self::ExcludedPeriod,
        Self::NoCapacity,
        Self::QuotaReached,
        Self::Proposed,
        Self::ModeOff,
        Self::Observing,
        Self::Conflict,
        Self::SourceLost,
        Self::StaleData,
        Self::IncompleteData,
        Self::EarlierRun,
        Self::AwaitingApproval,
        Self::Quiet,
        Self::Applying,
        Self::MeasuringOutcome,
        Self::AdviseOnly,
    ];

    /// The reason of the event that the operator sends when a turn ends so, if it sends one (`autoscaler.md` §10.2).
    pub fn operator_event(self) -> Option<&'static str> {
        match self {
            Self::EvaluationFailed => Some("AutoscalerError"),
            Self::MemoryPressure => Some("MemoryPressure"),
            Self::Ineffective => Some("IneffectiveScaling"),
            Self::ScalingDisabled | Self::ExcludedPeriod | Self::Proposed => Some("ScalingReport"),
            Self::QuotaReached => Some("ResourceQuotaReached"),
            Self::Disabled
            | Self::NotRunning
            | Self::MetricsNotReady
            | Self::Stabilizing
            | Self::TooFewSamples
            | Self::WindowFilling
            | Self::UnknownRate
            | Self::WithinBand
            | Self::NoEffectiveChange
            | Self::GracePeriod
            | Self::ScaleDownDelayed
            | Self::NoCapacity
            | Self::ModeOff
            | Self::Observing
            | Self::Conflict
            | Self::SourceLost
            | Self::StaleData
            | Self::IncompleteData
            | Self::EarlierRun
            | Self::AwaitingApproval
            | Self::Quiet
            | Self::Applying
            | Self::MeasuringOutcome
            | Self::AdviseOnly => None,
        }
    }

    /// The stable identifier, as in JSON.
    pub fn id(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::NotRunning => "not-running",
            Self::MetricsNotReady => "metrics-not-ready",
            Self::EvaluationFailed => "evaluation-failed",
            Self::Stabilizing => "stabilizing",
            Self::TooFewSamples => "too-few-samples",
            Self::WindowFilling => "window-filling",
            Self::UnknownRate => "unknown-rate",
            Self::MemoryPressure => "memory-pressure",
            Self::WithinBand => "within-band",
            Self::NoEffectiveChange => "no-effective-change",
            Self::GracePeriod => "grace-period",
            Self::ScaleDownDelayed => "scale-down-delayed",
            Self::Ineffective => "ineffective",
            Self::ScalingDisabled => "scaling-disabled",
            Self::ExcludedPeriod => "excluded-period",
            Self::NoCapacity => "no-capacity",
            Self::QuotaReached => "quota-reached",
            Self::Proposed => "proposed",
            Self::ModeOff => "mode-off",
            Self::Observing => "observing",
            Self::Conflict => "conflict",
            Self::SourceLost => "source-lost",
            Self::StaleData => "stale-data",
            Self::IncompleteData => "incomplete-data",
            Self::EarlierRun => "earlier-run",
            Self::AwaitingApproval => "awaiting-approval",
            Self::Quiet => "quiet",
            Self::Applying => "applying",
            Self::MeasuringOutcome => "measuring-outcome",
            Self::AdviseOnly => "advise-only",
        }
    }
}

/// The reason of one turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// The code.
    pub code: ReasonCode,
    /// One sentence for people, with the numbers filled in.
    pub sentence: String,
    /// The vertex that decided it, if one did.
    pub vertex: Option<VertexId>,
    /// When the reason ends by itself, if it does (stable, window full, grace over, ...).
    pub until: Option<Timestamp>,
}

impl Reason {
    /// A reason without a vertex and without an end.
    pub fn new(code: ReasonCode, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into(), vertex: None, until: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_unique_and_those_that_are_written() {
        for (at, code) in ReasonCode::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, at, "{code:?} stands at its place, so none is missing before it");
            assert_eq!(serde_json::to_value(code).unwrap(), code.id());
            assert!(ReasonCode::ALL[..at].iter().all(|other| other.id() != code.id()));
        }
        // Scripts rely on these; a changed identifier breaks them.
        let ids = ReasonCode::ALL.map(ReasonCode::id).join(" ");
        assert_eq!(
            ids,
            "disabled not-running metrics-not-ready evaluation-failed stabilizing too-few-samples window-filling \
             unknown-rate memory-pressure within-band no-effective-change grace-period scale-down-delayed ineffective \
             scaling-disabled excluded-period no-capacity quota-reached proposed mode-off observing conflict source-lost \
             stale-data incomplete-data earlier-run awaiting-approval quiet applying measuring-outcome advise-only"
        );
    }
}
