//! The metric window: samples of one run of a job, oldest first.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::ids::VertexId;
use super::units::{nonfinite, nonfinite_option};

/// What was collected of one vertex at one instant (`autoscaler.md` §2.6). A missing value is NaN.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct VertexSample {
    /// LOAD: busy ratio 0..=1 by the configured aggregator.
    #[serde(with = "nonfinite")]
    pub load: f64,
    /// ACCUMULATED_BUSY_TIME: milliseconds, summed over subtasks, since the run began.
    #[serde(with = "nonfinite")]
    pub accumulated_busy_time: f64,
    /// NUM_RECORDS_IN: records since the run began.
    #[serde(with = "nonfinite")]
    pub records_in: f64,
    /// NUM_RECORDS_OUT: records since the run began.
    #[serde(with = "nonfinite")]
    pub records_out: f64,
    /// LAG: pending records (sources only). NaN: the source could not tell; `None`: there is no such metric at all.
    #[serde(with = "nonfinite_option", default)]
    pub lag: Option<f64>,
    /// OBSERVED_TPR: records per second while catching up (sources only).
    #[serde(with = "nonfinite")]
    pub observed_tpr: f64,
    /// NUM_RECORDS_IN_PER_SECOND: sampled input rate (other vertices, generation main only).
    #[serde(with = "nonfinite")]
    pub records_in_per_second: f64,
}

impl VertexSample {
    /// A sample in which everything is missing.
    pub const MISSING: Self = Self {
        load: f64::NAN,
        accumulated_busy_time: f64::NAN,
        records_in: f64::NAN,
        records_out: f64::NAN,
        lag: None,
        observed_tpr: f64::NAN,
        records_in_per_second: f64::NAN,
    };

    /// LAG as a number: NaN also where there is none.
    pub fn lag(&self) -> f64 {
        self.lag.unwrap_or(f64::NAN)
    }
}

/// What was collected of the whole job at one instant (`autoscaler.md` §2.5). A missing value is NaN.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GlobalSample {
    /// GC_PRESSURE: share of time in garbage collection, worst TaskManager.
    #[serde(with = "nonfinite")]
    pub gc_pressure: f64,
    /// HEAP_MEMORY_USED: bytes, largest TaskManager.
    #[serde(with = "nonfinite")]
    pub heap_used: f64,
    /// HEAP_MAX_USAGE_RATIO: 0..=1.
    #[serde(with = "nonfinite")]
    pub heap_max_usage_ratio: f64,
    /// MANAGED_MEMORY_USED: bytes, largest TaskManager.
    #[serde(with = "nonfinite")]
    pub managed_used: f64,
    /// METASPACE_MEMORY_USED: bytes, largest TaskManager.
    #[serde(with = "nonfinite")]
    pub metaspace_used: f64,
    /// NUM_TASK_SLOTS_USED: slots.
    #[serde(with = "nonfinite")]
    pub slots_used: f64,
}

impl GlobalSample {
    /// A sample in which everything is missing.
    pub const MISSING: Self = Self {
        gc_pressure: f64::NAN,
        heap_used: f64::NAN,
        heap_max_usage_ratio: f64::NAN,
        managed_used: f64::NAN,
        metaspace_used: f64::NAN,
        slots_used: f64::NAN,
    };
}

/// Everything collected of a job at one instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Start of the loop that collected it.
    pub at: Timestamp,
    /// One entry per vertex, sorted by id.
    pub vertices: Vec<(VertexId, VertexSample)>,
    /// Metrics of the whole job.
    pub global: GlobalSample,
}

impl Sample {
    /// A sample; sorts the vertices by id.
    pub fn new(at: Timestamp, mut vertices: Vec<(VertexId, VertexSample)>, global: GlobalSample) -> Self {
        vertices.sort_by_key(|(id, _)| *id);
        Self { at, vertices, global }
    }

    /// What was collected of this vertex.
    pub fn vertex(&self, id: VertexId) -> Option<&VertexSample> {
        let at = self.vertices.binary_search_by_key(&id, |(v, _)| *v).ok()?;
        self.vertices.get(at).map(|(_, sample)| sample)
    }
}

/// Samples of one run of a job, oldest first. Cloning shares the samples.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MetricWindow {
    samples: Vec<Arc<Sample>>,
}

impl MetricWindow {
    /// An empty window.
    pub fn new() -> Self {
        Self::default()
    }

    /// A window of these samples; they are put in order of time.
    pub fn from_samples(mut samples: Vec<Arc<Sample>>) -> Self {
        samples.sort_by_key(|s| s.at);
        Self { samples }
    }

    /// The samples, oldest first.
    pub fn samples(&self) -> &[Arc<Sample>] {
        &self.samples
    }

    /// Appends a sample; one at the same instant is replaced, as a map keyed by instant would do.
    pub fn push(&mut self, sample: Arc<Sample>) {
        let at = self.samples.partition_point(|s| s.at < sample.at);
        match self.samples.get_mut(at) {
            Some(old) if old.at == sample.at => *old = sample,
            _ => self.samples.insert(at, sample),
        }
    }

    /// Drops every sample older than `oldest` (one exactly at `oldest` stays).
    pub fn trim_before(&mut self, oldest: Timestamp) {
        self.samples.retain(|s| s.at >= oldest);
    }

    /// Drops all samples.
    pub fn clear(&mut self) {
        self.samples.clear();
    }
}

/// How full the window is, for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowStatus {
    /// Samples in the window.
    pub samples: usize,
    /// Until when samples count as stabilizing.
    pub stable_at: Timestamp,
    /// When the window is (or was) full.
    pub full_at: Timestamp,
    /// 0..=1.
    pub fill: f64,
    /// The window is full: decisions may be made.
    pub full: bool,
    /// The configured length (`metrics.window`).
    pub length: std::time::Duration,
    /// The period of the loop: gaps longer than one and a half of it are holes.
    pub period: std::time::Duration,
}
