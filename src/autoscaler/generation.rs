//! The generation of rules: one value that selects rules where the operator's releases differ.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which release of the operator's autoscaler is reproduced (`autoscaler.md` §15.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Generation {
    /// Release 1.8.0 (Flink 1.18).
    #[serde(rename = "1.8")]
    V1_8,
    /// The development branch after 1.15.0 (Flink 1.20).
    #[default]
    #[serde(rename = "main")]
    Main,
}

impl Generation {
    /// Both generations, oldest first.
    pub const ALL: [Self; 2] = [Self::V1_8, Self::Main];

    /// The name used by the option `compat`: `1.8` or `main`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1_8 => "1.8",
            Self::Main => "main",
        }
    }
}

/// When a scale-down is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScaleDownRule {
    /// For the grace period after a scale-up of the vertex (§5.5).
    GracePeriod,
    /// Every one for the scale-down interval; then the largest recommendation of the interval counts (§5.7, §5.8).
    Delayed,
}

/// What EXPECTED_PROCESSING_RATE is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExpectedRateRule {
    /// True processing rate times the capped scale factor, before alignment (§5.5).
    CappedFactor,
    /// True processing rate per subtask times the new parallelism (§5.7).
    PerSubtask,
}

/// Which vertices are aligned to key groups or partitions, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlignmentRule {
    /// Sources and keyed vertices, upwards to the next divisor of the max parallelism (§5.3, 1.8).
    NextDivisor,
    /// Keyed vertices and sources with known partitions, by the configured mode (§5.3, main).
    Modes,
}

/// The numerator of the true processing rate with the aggregators MAX and MIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InputRateRule {
    /// The rate of the accumulated records.
    Accumulated,
    /// The sampled gauge where it is known, else the rate of the accumulated records.
    Sampled,
}

/// When the report of a scaling that will be executed is emitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReportRule {
    /// Before the resource check.
    BeforeChecks,
    /// After the resource check and the quota.
    AfterChecks,
}

/// What the evaluation gets to see while the job stabilizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StabilizingRule {
    /// No sample.
    Nothing,
    /// The samples; they are evaluated and reported, never acted on.
    Samples,
}

/// Which pool gets its share of the memory budget first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BudgetOrder {
    /// Heap, then metaspace (§7.2, 1.8).
    HeapFirst,
    /// Metaspace, then heap (§7.2, from 1.9 on).
    MetaspaceFirst,
}

/// The rules of a generation where the generations differ; options that exist in one of them only are not repeated here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rules {
    /// What the evaluation sees while the job stabilizes (§3.1).
    pub stabilizing: StabilizingRule,
    /// Least time between two samples that a rate is computed from, milliseconds (§3.2).
    pub least_rate_ms: i64,
    /// Numerator of the true processing rate (§4.7).
    pub input_rate: InputRateRule,
    /// NUM_SOURCE_PARTITIONS is a metric of its own; else partitions limit the max parallelism when collected (§2.3, §4.1).
    pub source_partitions: bool,
    /// Alignment to key groups or partitions (§5.3).
    pub alignment: AlignmentRule,
    /// When a scale-down is held back (§5.5, §5.7).
    pub scale_down: ScaleDownRule,
    /// What EXPECTED_PROCESSING_RATE is (§5.5, §5.7).
    pub expected_rate: ExpectedRateRule,
    /// When an executed scaling is reported (§6.1).
    pub report: ReportRule,
    /// Order of the memory budget (§7.2).
    pub budget: BudgetOrder,
}

const RULES_1_8: Rules = Rules {
    stabilizing: StabilizingRule::Nothing,
    least_rate_ms: 0,
    input_rate: InputRateRule::Accumulated,
    source_partitions: false,
    alignment: AlignmentRule::NextDivisor,
    scale_down: ScaleDownRule::GracePeriod,
    expected_rate: ExpectedRateRule::CappedFactor,
    report: ReportRule::BeforeChecks,
    budget: BudgetOrder::HeapFirst,
};

const RULES_MAIN: Rules = Rules {
    stabilizing: StabilizingRule::Samples,
    least_rate_ms: 1,
    input_rate: InputRateRule::Sampled,
    source_partitions: true,
    alignment: AlignmentRule::Modes,
    scale_down: ScaleDownRule::Delayed,
    expected_rate: ExpectedRateRule::PerSubtask,
    report: ReportRule::AfterChecks,
    budget: BudgetOrder::MetaspaceFirst,
};

impl Generation {
    /// The rules of this generation.
    pub const fn rules(self) -> &'static Rules {
        match self {
            Self::V1_8 => &RULES_1_8,
            Self::Main => &RULES_MAIN,
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no generation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no generation of rules: use \"1.8\" or \"main\"")]
pub struct UnknownGeneration(pub String);

impl FromStr for Generation {
    type Err = UnknownGeneration;

    fn from_str(text: &str) -> Result<Self, UnknownGeneration> {
        Self::ALL
            .into_iter()
            .find(|g| g.name() == text)
            .ok_or_else(|| UnknownGeneration(text.chars().take(64).collect()))
    }
}
