//! Calls about one vertex: its subtasks, back pressure and watermarks.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::domain::Timestamp;
use crate::domain::ids::{JobId, VertexId};
use crate::domain::job::{SubtaskView, Watermark};

use super::client::FlinkClient;
use super::decode;
use super::error::FlinkError;
use super::job::VertexTotals;

/// `GET /jobs/:id/vertices/:vid`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VertexSubtasks {
    /// The vertex.
    pub id: VertexId,
    /// Its name.
    pub name: String,
    /// Subtasks.
    pub parallelism: i32,
    /// Key groups.
    pub max_parallelism: i32,
    /// The time at the JobManager when it answered.
    #[serde(deserialize_with = "decode::instant_required")]
    pub now: Timestamp,
    /// Its subtasks.
    pub subtasks: Vec<Subtask>,
}

/// One subtask.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Subtask {
    /// Its index, from 0.
    pub subtask: u32,
    /// Flink's execution state.
    pub status: String,
    /// Its attempt.
    pub attempt: u32,
    /// Host and port of its TaskManager (1.19 and later).
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Host of its TaskManager (until 1.20).
    #[serde(default)]
    pub host: Option<String>,
    /// Id of its TaskManager.
    #[serde(rename = "taskmanager-id", default)]
    pub task_manager: String,
    /// When the attempt started.
    #[serde(deserialize_with = "decode::instant")]
    pub start_time: Option<Timestamp>,
    /// Its totals.
    pub metrics: VertexTotals,
    /// Milliseconds spent in each execution state.
    #[serde(default)]
    pub status_duration: BTreeMap<String, i64>,
}

impl Subtask {
    /// Where it runs, in the words of this Flink version.
    pub fn place(&self) -> &str {
        self.endpoint.as_deref().or(self.host.as_deref()).unwrap_or_default()
    }

    /// The subtask as shown; its busy, back pressured and idle ratios come from the vertex's back pressure answer.
    pub fn view(&self, pressure: Option<&SubtaskPressure>) -> SubtaskView {
        SubtaskView {
            index: self.subtask,
            status: self.status.clone(),
            attempt: self.attempt,
            endpoint: self.place().to_owned(),
            task_manager: self.task_manager.clone(),
            records_in: self.metrics.read_records,
            records_out: self.metrics.write_records,
            busy: pressure.map_or(f64::NAN, |p| p.busy),
            backpressured: pressure.map_or(f64::NAN, |p| p.backpressured),
            idle: pressure.map_or(f64::NAN, |p| p.idle),
        }
    }
}

/// When a subtask's attempt came into each execution state.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SubtaskTimes {
    /// Its index.
    pub subtask: u32,
    /// Milliseconds since the epoch by state; 0 for states it was never in.
    pub timestamps: BTreeMap<String, i64>,
}

#[derive(Deserialize)]
struct WireTimes {
    subtasks: Vec<SubtaskTimes>,
}

/// The subtasks of a vertex on one TaskManager, together.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VertexTaskManager {
    /// Id of the TaskManager.
    #[serde(rename = "taskmanager-id")]
    pub task_manager: String,
    /// Host and port (1.19 and later).
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Flink's execution state.
    pub status: String,
    /// Sums over the subtasks there.
    pub metrics: VertexTotals,
    /// The subtasks there by state.
    #[serde(rename = "status-counts", deserialize_with = "decode::tasks")]
    pub tasks: crate::domain::job::TaskCounts,
}

#[derive(Deserialize)]
struct WireTaskManagers {
    #[serde(rename = "taskmanagers")]
    task_managers: Vec<VertexTaskManager>,
}

/// `GET /jobs/:id/vertices/:vid/backpressure`.
#[derive(Debug, Clone, PartialEq)]
pub struct BackPressure {
    /// The worst subtask's level.
    pub level: BackPressureLevel,
    /// When the JobManager last fetched metrics: the age of every metric it serves (`flink-rest.md` §0.4).
    pub fetched_at: Option<Timestamp>,
    /// Its subtasks.
    pub subtasks: Vec<SubtaskPressure>,
}

/// Flink's word for a degree of back pressure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackPressureLevel {
    /// At most 10 % of the time.
    Ok,
    /// At most 50 %.
    Low,
    /// More.
    High,
}

/// Back pressure of one subtask. Ratios 0..=1, NaN where Flink has no number.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct SubtaskPressure {
    /// Its index.
    pub subtask: u32,
    /// Its level.
    #[serde(rename = "backpressureLevel")]
    pub level: BackPressureLevel,
    /// Share of time back pressured.
    #[serde(rename = "ratio", deserialize_with = "decode::number", default = "decode::nan")]
    pub backpressured: f64,
    /// Share of time idle.
    #[serde(rename = "idleRatio", deserialize_with = "decode::number", default = "decode::nan")]
    pub idle: f64,
    /// Share of time busy; NaN for legacy sources.
    #[serde(rename = "busyRatio", deserialize_with = "decode::number", default = "decode::nan")]
    pub busy: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WireBackPressure {
    status: String,
    #[serde(rename = "backpressureLevel")]
    level: Option<BackPressureLevel>,
    #[serde(deserialize_with = "decode::instant", default)]
    end_timestamp: Option<Timestamp>,
    #[serde(default)]
    subtasks: Vec<SubtaskPressure>,
}

#[derive(Deserialize)]
struct WireWatermark {
    id: String,
    #[serde(deserialize_with = "watermark")]
    value: Watermark,
}

fn watermark<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Watermark, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Watermark::from_millis).map_err(|_| {
        serde::de::Error::invalid_value(serde::de::Unexpected::Str(&text), &"epoch milliseconds in a string")
    })
}

/// Watermarks at the input, by subtask.
pub type Watermarks = BTreeMap<u32, Watermark>;

impl FlinkClient {
    /// `GET /jobs/:id/vertices/:vid`.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn vertex(&self, job: JobId, vertex: VertexId) -> Result<VertexSubtasks, FlinkError> {
        self.get(&format!("/jobs/{job}/vertices/{vertex}")).await
    }

    /// `GET /jobs/:id/vertices/:vid/subtasks/:i`: its current attempt.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn subtask(&self, job: JobId, vertex: VertexId, subtask: u32) -> Result<Subtask, FlinkError> {
        self.get(&format!("/jobs/{job}/vertices/{vertex}/subtasks/{subtask}")).await
    }

    /// `GET /jobs/:id/vertices/:vid/subtasks/:i/attempts/:n`. After a restart under the adaptive scheduler only the current
    /// attempt is known.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn attempt(&self, job: JobId, vertex: VertexId, subtask: u32, n: u32) -> Result<Subtask, FlinkError> {
        self.get(&format!("/jobs/{job}/vertices/{vertex}/subtasks/{subtask}/attempts/{n}")).await
    }

    /// `GET /jobs/:id/vertices/:vid/subtasktimes`.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn subtask_times(&self, job: JobId, vertex: VertexId) -> Result<Vec<SubtaskTimes>, FlinkError> {
        Ok(self.get::<WireTimes>(&format!("/jobs/{job}/vertices/{vertex}/subtasktimes")).await?.subtasks)
    }

    /// `GET /jobs/:id/vertices/:vid/taskmanagers`.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn vertex_task_managers(
        &self,
        job: JobId,
        vertex: VertexId,
    ) -> Result<Vec<VertexTaskManager>, FlinkError> {
        Ok(self.get::<WireTaskManagers>(&format!("/jobs/{job}/vertices/{vertex}/taskmanagers")).await?.task_managers)
    }

    /// `GET /jobs/:id/vertices/:vid/backpressure`; `None` if Flink has no metrics of it: just started, finished, or no such
    /// vertex (Flink does not tell them apart).
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn back_pressure(&self, job: JobId, vertex: VertexId) -> Result<Option<BackPressure>, FlinkError> {
        let wire: WireBackPressure = self.get(&format!("/jobs/{job}/vertices/{vertex}/backpressure")).await?;
        Ok(match (wire.status.as_str(), wire.level) {
            ("ok", Some(level)) => {
                Some(BackPressure { level, fetched_at: wire.end_timestamp, subtasks: wire.subtasks })
            }
            _ => None,
        })
    }

    /// `GET /jobs/:id/vertices/:vid/watermarks`; empty for sources.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn watermarks(&self, job: JobId, vertex: VertexId) -> Result<Watermarks, FlinkError> {
        let wire: Vec<WireWatermark> = self.get(&format!("/jobs/{job}/vertices/{vertex}/watermarks")).await?;
        // Names are `<subtask>.currentInputWatermark`.
        Ok(wire.into_iter().filter_map(|w| Some((w.id.split('.').next()?.parse().ok()?, w.value))).collect())
    }
}
