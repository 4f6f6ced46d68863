//! The history of rescales that Flink 2.3 and later keeps if it is configured to (`flink-rest.md` §1.7).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::domain::Timestamp;
use crate::domain::ids::{JobId, VertexId};

use super::client::FlinkClient;
use super::decode;
use super::error::FlinkError;

/// One rescale.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rescale {
    /// Its id.
    #[serde(rename = "rescaleUuid")]
    pub id: String,
    /// When it began.
    #[serde(rename = "startTimestampInMillis", deserialize_with = "decode::instant")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(rename = "endTimestampInMillis", deserialize_with = "decode::instant")]
    pub ended_at: Option<Timestamp>,
    /// `COMPLETED`, `FAILED` or `IGNORED`; `None` while it runs.
    #[serde(default)]
    pub terminal_state: Option<String>,
    /// What caused it, e.g. `UPDATE_REQUIREMENT`.
    #[serde(default)]
    pub trigger_cause: Option<String>,
    /// Why it ended, e.g. `SUCCEEDED`.
    #[serde(default)]
    pub terminated_reason: Option<String>,
    /// Its vertices (only in details).
    #[serde(default)]
    pub vertices: BTreeMap<VertexId, RescaledVertex>,
    /// The scheduler's states on the way (only in details).
    #[serde(default)]
    pub scheduler_states: Vec<SchedulerSpan>,
}

/// A vertex in a rescale.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RescaledVertex {
    /// Its name.
    #[serde(rename = "jobVertexName")]
    pub name: String,
    /// Parallelism asked for.
    pub desired_parallelism: i32,
    /// Parallelism before; `None` for the first start.
    #[serde(default)]
    pub pre_rescale_parallelism: Option<i32>,
    /// Parallelism after; `None` while it runs.
    #[serde(default)]
    pub post_rescale_parallelism: Option<i32>,
}

/// A time the scheduler spent in one state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SchedulerSpan {
    /// The state, e.g. `WaitingForResources`.
    pub state: String,
    /// When it was entered.
    #[serde(rename = "enterTimestampInMillis", deserialize_with = "decode::instant", default)]
    pub entered_at: Option<Timestamp>,
    /// When it was left.
    #[serde(rename = "leaveTimestampInMillis", deserialize_with = "decode::instant", default)]
    pub left_at: Option<Timestamp>,
}

/// How many rescales ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RescaleCounts {
    /// Nothing changed.
    pub ignored: u64,
    /// Under way.
    pub in_progress: u64,
    /// Done.
    pub completed: u64,
    /// Failed.
    pub failed: u64,
}

/// The timings in force for rescales of a job; absent ones are `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct RescaleTimings {
    /// Rescales kept in the history; 0 means none.
    #[serde(rename = "rescaleHistoryMax")]
    pub history: u32,
    /// Time after a (re)start in which nothing is rescaled.
    #[serde(rename = "executingCooldownTimeoutInMillis", deserialize_with = "decode::millis", default)]
    pub cooldown: Option<std::time::Duration>,
    /// Wait for more slots while running.
    #[serde(rename = "executingResourceStabilizationTimeoutInMillis", deserialize_with = "decode::millis", default)]
    pub stabilization: Option<std::time::Duration>,
    /// Longest wait for a checkpoint.
    #[serde(rename = "maximumDelayForTriggeringRescaleInMillis", deserialize_with = "decode::millis", default)]
    pub maximum_delay: Option<std::time::Duration>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireOverview {
    rescales_counts: RescaleCounts,
}

impl FlinkClient {
    /// `GET /jobs/:id/rescales/overview` (2.3 and later).
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn rescale_counts(&self, job: JobId) -> Result<RescaleCounts, FlinkError> {
        Ok(self.get::<WireOverview>(&format!("/jobs/{job}/rescales/overview")).await?.rescales_counts)
    }

    /// `GET /jobs/:id/rescales/history` (2.3 and later): newest first, without vertices and states.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn rescales(&self, job: JobId) -> Result<Vec<Rescale>, FlinkError> {
        self.get(&format!("/jobs/{job}/rescales/history")).await
    }

    /// `GET /jobs/:id/rescales/details/:id` (2.3 and later).
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn rescale(&self, job: JobId, id: &str) -> Result<Rescale, FlinkError> {
        self.get(&format!("/jobs/{job}/rescales/details/{}", super::client::encode(id))).await
    }

    /// `GET /jobs/:id/rescales/config` (2.3 and later).
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn rescale_timings(&self, job: JobId) -> Result<RescaleTimings, FlinkError> {
        self.get(&format!("/jobs/{job}/rescales/config")).await
    }
}
