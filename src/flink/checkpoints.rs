//! Checkpoints of a job: counts, history, configuration. Cached by Flink for 3 s.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::domain::Timestamp;
use crate::domain::ids::{JobId, VertexId};
use crate::domain::job::{CheckpointEntry, CheckpointStatus, CheckpointsView};
use crate::domain::plan::SavepointFormat;

use super::client::FlinkClient;
use super::decode;
use super::error::FlinkError;

/// `GET /jobs/:id/checkpoints`.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoints {
    /// How many ended how.
    pub counts: CheckpointCounts,
    /// End-to-end durations of the completed ones; `None` while there is none.
    pub durations: Option<DurationSummary>,
    /// The newest completed checkpoint.
    pub latest_completed: Option<CheckpointEntry>,
    /// The newest savepoint.
    pub latest_savepoint: Option<CheckpointEntry>,
    /// The newest failed one.
    pub latest_failed: Option<CheckpointEntry>,
    /// From where the job was last restored.
    pub restored: Option<Restored>,
    /// Newest first.
    pub history: Vec<CheckpointEntry>,
}

/// How many checkpoints ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct CheckpointCounts {
    /// Restores, rescales included.
    pub restored: u64,
    /// All.
    pub total: u64,
    /// In progress.
    pub in_progress: u64,
    /// Completed.
    pub completed: u64,
    /// Failed.
    pub failed: u64,
}

/// End-to-end durations of completed checkpoints, milliseconds; NaN where Flink has no number.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct DurationSummary {
    /// The shortest.
    #[serde(deserialize_with = "decode::number", default = "decode::nan")]
    pub min: f64,
    /// The longest.
    #[serde(deserialize_with = "decode::number", default = "decode::nan")]
    pub max: f64,
    /// The mean.
    #[serde(deserialize_with = "decode::number", default = "decode::nan")]
    pub avg: f64,
    /// The median.
    #[serde(deserialize_with = "decode::number", default = "decode::nan")]
    pub p50: f64,
    /// 99 of 100 are shorter.
    #[serde(deserialize_with = "decode::number", default = "decode::nan")]
    pub p99: f64,
}

/// From where a job was last restored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Restored {
    /// Number of the checkpoint or savepoint.
    pub id: u64,
    /// When.
    #[serde(rename = "restore_timestamp", deserialize_with = "decode::instant")]
    pub at: Option<Timestamp>,
    /// It was a savepoint.
    pub is_savepoint: bool,
    /// Where it is.
    #[serde(default)]
    pub external_path: Option<String>,
}

/// `GET /jobs/:id/checkpoints/config`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CheckpointConfig {
    /// `exactly_once` or `at_least_once`.
    pub mode: String,
    /// Interval; `None` if checkpointing is off.
    #[serde(deserialize_with = "interval")]
    pub interval: Option<Duration>,
    /// Time-out.
    #[serde(deserialize_with = "decode::millis")]
    pub timeout: Option<Duration>,
    /// Pause that is kept between two.
    #[serde(deserialize_with = "decode::millis", default)]
    pub min_pause: Option<Duration>,
    /// At the same time.
    #[serde(default)]
    pub max_concurrent: u32,
    /// Failures in a row that do not fail the job.
    #[serde(default)]
    pub tolerable_failed_checkpoints: i64,
    /// Class of the state backend.
    #[serde(default)]
    pub state_backend: String,
    /// Class of the storage.
    #[serde(default)]
    pub checkpoint_storage: String,
    /// Barriers overtake buffers.
    #[serde(default)]
    pub unaligned_checkpoints: bool,
}

/// Flink says "off" with the largest long.
fn interval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let ms = i64::deserialize(deserializer)?;
    Ok((ms > 0 && ms < i64::MAX).then(|| Duration::from_millis(ms.unsigned_abs())))
}

/// One checkpoint with its vertices.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointDetails {
    /// The checkpoint.
    pub entry: CheckpointEntry,
    /// What each vertex did for it.
    pub vertices: BTreeMap<VertexId, VertexCheckpoint>,
}

/// What one vertex did for a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct VertexCheckpoint {
    /// How it ended.
    pub status: CheckpointStatus,
    /// From the trigger to the last acknowledgement.
    #[serde(deserialize_with = "decode::millis", default)]
    pub end_to_end_duration: Option<Duration>,
    /// Full size of its state, bytes.
    #[serde(deserialize_with = "decode::count")]
    pub state_size: u64,
    /// Subtasks that acknowledged.
    pub num_acknowledged_subtasks: u32,
    /// Subtasks asked.
    pub num_subtasks: u32,
}

/// What one subtask did for a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SubtaskCheckpoint {
    /// Its index.
    pub index: u32,
    /// `completed` or `pending_or_failed`.
    pub status: String,
    /// When it acknowledged.
    #[serde(rename = "ack_timestamp", deserialize_with = "decode::instant", default)]
    pub acknowledged_at: Option<Timestamp>,
    /// From the trigger to its acknowledgement.
    #[serde(deserialize_with = "decode::millis", default)]
    pub end_to_end_duration: Option<Duration>,
    /// How long the barrier needed to reach it.
    #[serde(deserialize_with = "decode::millis", default)]
    pub start_delay: Option<Duration>,
    /// Full size of its state, bytes.
    #[serde(deserialize_with = "optional_count", default)]
    pub state_size: Option<u64>,
}

fn optional_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::<i64>::deserialize(deserializer)?.and_then(|n| u64::try_from(n).ok()))
}

#[derive(Deserialize)]
struct WireSubtasks {
    subtasks: Vec<SubtaskCheckpoint>,
}

#[derive(Deserialize)]
struct Wire {
    counts: CheckpointCounts,
    summary: Option<WireSummary>,
    latest: WireLatest,
    #[serde(default)]
    history: Vec<WireEntry>,
}

#[derive(Deserialize)]
struct WireSummary {
    end_to_end_duration: Option<DurationSummary>,
}

#[derive(Deserialize)]
struct WireLatest {
    completed: Option<WireEntry>,
    savepoint: Option<WireEntry>,
    failed: Option<WireEntry>,
    restored: Option<Restored>,
}

#[derive(Deserialize)]
struct WireEntry {
    id: u64,
    status: CheckpointStatus,
    is_savepoint: bool,
    #[serde(default, rename = "savepointFormat")]
    format: Option<String>,
    #[serde(default)]
    checkpoint_type: String,
    #[serde(deserialize_with = "decode::instant_required")]
    trigger_timestamp: Timestamp,
    #[serde(deserialize_with = "decode::millis", default)]
    end_to_end_duration: Option<Duration>,
    #[serde(deserialize_with = "decode::count")]
    state_size: u64,
    // Until 1.16 there was no such field.
    #[serde(default)]
    checkpointed_size: Option<i64>,
    num_subtasks: u32,
    num_acknowledged_subtasks: u32,
    external_path: Option<String>,
    #[serde(default)]
    discarded: bool,
    failure_message: Option<String>,
    #[serde(default)]
    tasks: BTreeMap<VertexId, VertexCheckpoint>,
}

impl From<WireEntry> for CheckpointEntry {
    fn from(wire: WireEntry) -> Self {
        Self {
            id: wire.id,
            status: wire.status,
            is_savepoint: wire.is_savepoint,
            format: match wire.format.as_deref() {
                Some("CANONICAL") => Some(SavepointFormat::Canonical),
                Some("NATIVE") => Some(SavepointFormat::Native),
                _ => None,
            },
            kind: wire.checkpoint_type,
            triggered_at: wire.trigger_timestamp,
            duration: wire.end_to_end_duration,
            state_size: wire.state_size,
            checkpointed_size: wire.checkpointed_size.map_or(wire.state_size, |size| u64::try_from(size).unwrap_or(0)),
            acknowledged: wire.num_acknowledged_subtasks,
            subtasks: wire.num_subtasks,
            external_path: wire.external_path,
            discarded: wire.discarded,
            failure: wire.failure_message,
        }
    }
}

impl Checkpoints {
    /// Checkpointing as shown: this and the configuration in one. A job whose configuration is not known counts as
    /// checkpointing as soon as it has tried once.
    pub fn view(&self, config: Option<&CheckpointConfig>) -> CheckpointsView {
        CheckpointsView {
            enabled: config.map_or(self.counts.total > 0, |config| config.interval.is_some()),
            interval: config.and_then(|config| config.interval),
            timeout: config.and_then(|config| config.timeout),
            completed: self.counts.completed,
            failed: self.counts.failed,
            in_progress: self.counts.in_progress,
            restored: self.counts.restored,
            history: self.history.clone(),
            latest_completed_at: self.latest_completed.as_ref().map(|entry| entry.triggered_at),
            restored_from: self.restored.as_ref().map(|restored| match &restored.external_path {
                Some(path) => path.clone(),
                None => format!("{} {}", if restored.is_savepoint { "savepoint" } else { "checkpoint" }, restored.id),
            }),
        }
    }
}

impl FlinkClient {
    /// `GET /jobs/:id/checkpoints`.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn checkpoints(&self, job: JobId) -> Result<Checkpoints, FlinkError> {
        let wire: Wire = self.get(&format!("/jobs/{job}/checkpoints")).await?;
        Ok(Checkpoints {
            counts: wire.counts,
            durations: wire.summary.and_then(|s| s.end_to_end_duration).filter(|_| wire.counts.completed > 0),
            latest_completed: wire.latest.completed.map(Into::into),
            latest_savepoint: wire.latest.savepoint.map(Into::into),
            latest_failed: wire.latest.failed.map(Into::into),
            restored: wire.latest.restored,
            history: wire.history.into_iter().map(Into::into).collect(),
        })
    }

    /// `GET /jobs/:id/checkpoints/details/:n`. Old ones stay known for a while after they have left the history.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn checkpoint(&self, job: JobId, id: u64) -> Result<CheckpointDetails, FlinkError> {
        let mut wire: WireEntry = self.get(&format!("/jobs/{job}/checkpoints/details/{id}")).await?;
        let vertices = std::mem::take(&mut wire.tasks);
        Ok(CheckpointDetails { entry: wire.into(), vertices })
    }

    /// `GET /jobs/:id/checkpoints/details/:n/subtasks/:vid`.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn subtask_checkpoints(
        &self,
        job: JobId,
        id: u64,
        vertex: VertexId,
    ) -> Result<Vec<SubtaskCheckpoint>, FlinkError> {
        let path = format!("/jobs/{job}/checkpoints/details/{id}/subtasks/{vertex}");
        Ok(self.get::<WireSubtasks>(&path).await?.subtasks)
    }

    /// `GET /jobs/:id/checkpoints/config`. Some versions answer 404 where checkpointing is off: see
    /// [`FlinkError::is_not_found`].
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn checkpoint_config(&self, job: JobId) -> Result<CheckpointConfig, FlinkError> {
        self.get(&format!("/jobs/{job}/checkpoints/config")).await
    }
}
