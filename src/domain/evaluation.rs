//! Evaluated metrics: what the evaluator made of a window (`autoscaler.md` §4.1).

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::ids::VertexId;
use super::units::{Unit, nonfinite};

/// The operator's names of scaling metrics. The text form is the exact Java enum constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)] // the names are the contract's own; `autoscaler.md` §4.1 explains each
pub enum ScalingMetric {
    Load,
    TrueProcessingRate,
    ObservedTpr,
    TargetDataRate,
    CatchUpDataRate,
    Lag,
    Parallelism,
    RecommendedParallelism,
    MaxParallelism,
    NumSourcePartitions,
    ScaleUpRateThreshold,
    ScaleDownRateThreshold,
    ExpectedProcessingRate,
    NumRecordsIn,
    NumRecordsOut,
    NumRecordsInPerSecond,
    AccumulatedBusyTime,
    GcPressure,
    HeapMemoryUsed,
    HeapMaxUsageRatio,
    ManagedMemoryUsed,
    MetaspaceMemoryUsed,
    NumTaskSlotsUsed,
}

impl ScalingMetric {
    /// Every metric, in declaration order.
    pub const ALL: [Self; 23] = [
        Self::Load,
        Self::TrueProcessingRate,
        Self::ObservedTpr,
        Self::TargetDataRate,
        Self::CatchUpDataRate,
        Self::Lag,
        Self::Parallelism,
        Self::RecommendedParallelism,
        Self::MaxParallelism,
        Self::NumSourcePartitions,
        Self::ScaleUpRateThreshold,
        Self::ScaleDownRateThreshold,
        Self::ExpectedProcessingRate,
        Self::NumRecordsIn,
        Self::NumRecordsOut,
        Self::NumRecordsInPerSecond,
        Self::AccumulatedBusyTime,
        Self::GcPressure,
        Self::HeapMemoryUsed,
        Self::HeapMaxUsageRatio,
        Self::ManagedMemoryUsed,
        Self::MetaspaceMemoryUsed,
        Self::NumTaskSlotsUsed,
    ];

    /// The operator's name, e.g. `TRUE_PROCESSING_RATE`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Load => "LOAD",
            Self::TrueProcessingRate => "TRUE_PROCESSING_RATE",
            Self::ObservedTpr => "OBSERVED_TPR",
            Self::TargetDataRate => "TARGET_DATA_RATE",
            Self::CatchUpDataRate => "CATCH_UP_DATA_RATE",
            Self::Lag => "LAG",
            Self::Parallelism => "PARALLELISM",
            Self::RecommendedParallelism => "RECOMMENDED_PARALLELISM",
            Self::MaxParallelism => "MAX_PARALLELISM",
            Self::NumSourcePartitions => "NUM_SOURCE_PARTITIONS",
            Self::ScaleUpRateThreshold => "SCALE_UP_RATE_THRESHOLD",
            Self::ScaleDownRateThreshold => "SCALE_DOWN_RATE_THRESHOLD",
            Self::ExpectedProcessingRate => "EXPECTED_PROCESSING_RATE",
            Self::NumRecordsIn => "NUM_RECORDS_IN",
            Self::NumRecordsOut => "NUM_RECORDS_OUT",
            Self::NumRecordsInPerSecond => "NUM_RECORDS_IN_PER_SECOND",
            Self::AccumulatedBusyTime => "ACCUMULATED_BUSY_TIME",
            Self::GcPressure => "GC_PRESSURE",
            Self::HeapMemoryUsed => "HEAP_MEMORY_USED",
            Self::HeapMaxUsageRatio => "HEAP_MAX_USAGE_RATIO",
            Self::ManagedMemoryUsed => "MANAGED_MEMORY_USED",
            Self::MetaspaceMemoryUsed => "METASPACE_MEMORY_USED",
            Self::NumTaskSlotsUsed => "NUM_TASK_SLOTS_USED",
        }
    }

    /// The metric with the operator's name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }

    /// What it is measured in.
    pub fn unit(self) -> Unit {
        match self {
            Self::Load | Self::GcPressure | Self::HeapMaxUsageRatio => Unit::Ratio,
            Self::TrueProcessingRate
            | Self::ObservedTpr
            | Self::TargetDataRate
            | Self::CatchUpDataRate
            | Self::ScaleUpRateThreshold
            | Self::ScaleDownRateThreshold
            | Self::ExpectedProcessingRate
            | Self::NumRecordsInPerSecond => Unit::RecordsPerSecond,
            Self::Lag | Self::NumRecordsIn | Self::NumRecordsOut => Unit::Records,
            Self::Parallelism | Self::RecommendedParallelism | Self::MaxParallelism => Unit::Subtasks,
            Self::NumSourcePartitions => Unit::None,
            Self::AccumulatedBusyTime => Unit::MsPerSecond,
            Self::HeapMemoryUsed | Self::ManagedMemoryUsed | Self::MetaspaceMemoryUsed => Unit::Bytes,
            Self::NumTaskSlotsUsed => Unit::Slots,
        }
    }
}

/// The two numbers of an evaluated metric; an unknown one is NaN.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// The latest value.
    #[serde(with = "nonfinite")]
    pub current: f64,
    /// The average over the window.
    #[serde(with = "nonfinite")]
    pub average: f64,
}

/// Evaluated metrics of one subject (a vertex or the whole job); absent metrics are `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluatedMetrics {
    /// What is absent is zero here, so that equal metrics are equal.
    values: [Evaluated; ScalingMetric::ALL.len()],
    /// One bit for each metric that is present.
    present: u32,
}

impl Default for EvaluatedMetrics {
    fn default() -> Self {
        Self { values: [Evaluated { current: 0.0, average: 0.0 }; ScalingMetric::ALL.len()], present: 0 }
    }
}

impl EvaluatedMetrics {
    /// The evaluated pair of a metric.
    pub fn get(&self, metric: ScalingMetric) -> Option<Evaluated> {
        (self.present & (1 << metric as u32) != 0).then_some(self.values[metric as usize])
    }
    /// Its current value, NaN if absent.
    pub fn current(&self, metric: ScalingMetric) -> f64 {
        self.get(metric).map_or(f64::NAN, |e| e.current)
    }
    /// Its average, NaN if absent.
    pub fn average(&self, metric: ScalingMetric) -> f64 {
        self.get(metric).map_or(f64::NAN, |e| e.average)
    }
    /// Sets or removes a metric.
    pub fn set(&mut self, metric: ScalingMetric, value: Option<Evaluated>) {
        let bit = 1 << metric as u32;
        self.present = if value.is_some() { self.present | bit } else { self.present & !bit };
        self.values[metric as usize] = value.unwrap_or(Evaluated { current: 0.0, average: 0.0 });
    }
    /// The metrics that are present.
    pub fn iter(&self) -> impl Iterator<Item = (ScalingMetric, Evaluated)> + '_ {
        ScalingMetric::ALL.into_iter().filter_map(|m| self.get(m).map(|e| (m, e)))
    }
}

impl Serialize for EvaluatedMetrics {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for EvaluatedMetrics {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let map = std::collections::BTreeMap::<ScalingMetric, Option<Evaluated>>::deserialize(d)?;
        let mut metrics = Self::default();
        for (metric, value) in map {
            metrics.set(metric, value);
        }
        Ok(metrics)
    }
}

/// The result of evaluating one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Instant of the pass.
    pub at: Timestamp,
    /// Per vertex, in topological order.
    pub vertices: Vec<(VertexId, EvaluatedMetrics)>,
    /// Of the whole job.
    pub global: EvaluatedMetrics,
    /// Restart time used in the formulas, seconds.
    pub restart_time_seconds: f64,
    /// A backlog is being processed (§4.3).
    pub processing_backlog: bool,
}

impl Evaluation {
    /// The metrics of a vertex.
    pub fn vertex(&self, id: VertexId) -> Option<&EvaluatedMetrics> {
        self.vertices.iter().find(|(v, _)| *v == id).map(|(_, m)| m)
    }
}
