//! Calls about a whole cluster: overview, configuration, the list of jobs, JobManager configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::domain::Timestamp;
use crate::domain::ids::JobId;
use crate::domain::job::{JobState, Scheduler, TaskCounts};

use super::client::FlinkClient;
use super::decode;
use super::error::FlinkError;

/// `GET /overview`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Overview {
    /// Registered TaskManagers.
    #[serde(rename = "taskmanagers")]
    pub task_managers: u32,
    /// Slots in all.
    pub slots_total: u32,
    /// Free slots.
    pub slots_available: u32,
    /// Jobs in any state that is not terminal.
    pub jobs_running: u32,
    /// Jobs FINISHED.
    pub jobs_finished: u32,
    /// Jobs CANCELED.
    pub jobs_cancelled: u32,
    /// Jobs FAILED.
    pub jobs_failed: u32,
    /// Flink's version.
    pub flink_version: String,
    /// The commit it was built from.
    #[serde(default)]
    pub flink_commit: String,
}

/// What a cluster offers (`features` of `GET /config`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Features {
    /// Jars can be uploaded and run.
    pub web_submit: bool,
    /// Flink's page offers to cancel.
    pub web_cancel: bool,
    /// Jobs can be rescaled: only with the adaptive scheduler, 1.18 and later.
    pub web_rescale: bool,
    /// It is a history server.
    pub web_history: bool,
}

/// `GET /config`: the cheapest call that tells a JobManager from something else.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClusterConfig {
    /// For how long answers about jobs are cached, milliseconds (`web.refresh-interval`).
    #[serde(rename = "refresh-interval", deserialize_with = "decode::count")]
    pub refresh_interval_ms: u64,
    /// Flink's version.
    pub flink_version: String,
    /// Commit and date it was built from.
    #[serde(default)]
    pub flink_revision: String,
    /// What it offers.
    #[serde(default)]
    pub features: Features,
}

/// Which scheduler a cluster with this configuration runs. `web.rescale.enable: false` hides the feature too, so "default" may
/// be an adaptive cluster whose owner wants no rescaling.
pub fn scheduler_of(config: &ClusterConfig) -> Scheduler {
    if config.features.web_rescale { Scheduler::Adaptive } else { Scheduler::Default }
}

/// One entry of `GET /jobs/overview`. Fresh, never cached.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobSummary {
    /// Its id.
    #[serde(rename = "jid")]
    pub id: JobId,
    /// Its name.
    pub name: String,
    /// Its state.
    #[serde(deserialize_with = "decode::job_state")]
    pub state: JobState,
    /// When it was submitted.
    #[serde(deserialize_with = "decode::instant")]
    pub start_time: Option<Timestamp>,
    /// When it ended.
    #[serde(deserialize_with = "decode::instant")]
    pub end_time: Option<Timestamp>,
    /// When the state of one of its tasks last changed.
    #[serde(deserialize_with = "decode::instant", default)]
    pub last_modification: Option<Timestamp>,
    /// Its tasks by state.
    #[serde(deserialize_with = "decode::tasks", default)]
    pub tasks: TaskCounts,
    /// Its scheduler (2.3 and later).
    #[serde(rename = "schedulerType", deserialize_with = "decode::scheduler", default = "decode::unknown_scheduler")]
    pub scheduler: Scheduler,
    /// `STREAMING` or `BATCH` (2.3 and later).
    #[serde(rename = "jobType", default)]
    pub job_type: Option<String>,
}

#[derive(Deserialize)]
struct JobsOverview {
    jobs: Vec<JobSummary>,
}

#[derive(Deserialize)]
struct Jobs {
    jobs: Vec<JobStatus>,
}

#[derive(Deserialize)]
struct JobStatus {
    id: JobId,
    #[serde(deserialize_with = "decode::job_state")]
    status: JobState,
}

#[derive(Deserialize)]
struct Status {
    #[serde(deserialize_with = "decode::job_state")]
    status: JobState,
}

#[derive(Deserialize)]
struct Entry {
    key: String,
    value: String,
}

impl FlinkClient {
    /// `GET /overview`.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn overview(&self) -> Result<Overview, FlinkError> {
        self.get("/overview").await
    }

    /// `GET /config`.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn config(&self) -> Result<ClusterConfig, FlinkError> {
        self.get("/config").await
    }

    /// `GET /jobs/overview`, sorted by id (Flink keeps no order).
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn jobs_overview(&self) -> Result<Vec<JobSummary>, FlinkError> {
        let mut jobs = self.get::<JobsOverview>("/jobs/overview").await?.jobs;
        jobs.sort_by_key(|job| job.id);
        Ok(jobs)
    }

    /// `GET /jobs`: only ids and states, about 60 bytes a job.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn jobs(&self) -> Result<BTreeMap<JobId, JobState>, FlinkError> {
        Ok(self.get::<Jobs>("/jobs").await?.jobs.into_iter().map(|job| (job.id, job.status)).collect())
    }

    /// `GET /jobs/:id/status`: fresh, 20 bytes. An unknown job is a 500 that [`FlinkError::is_not_found`] recognises.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn job_status(&self, job: JobId) -> Result<JobState, FlinkError> {
        Ok(self.get::<Status>(&format!("/jobs/{job}/status")).await?.status)
    }

    /// `GET /jobmanager/config`: the keys that were set, secrets as `******`.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn jobmanager_config(&self) -> Result<BTreeMap<String, String>, FlinkError> {
        let entries: Vec<Entry> = self.get("/jobmanager/config").await?;
        Ok(entries.into_iter().map(|entry| (entry.key, entry.value)).collect())
    }
}

/// How long the metrics that a cluster serves may be old: `metrics.fetcher.update-interval` of its configuration, 10 s if it is
/// not set or not understood.
pub fn metric_fetch_interval(jobmanager_config: &BTreeMap<String, String>) -> Duration {
    const DEFAULT: Duration = Duration::from_secs(10);
    let Some(text) = jobmanager_config.get("metrics.fetcher.update-interval").map(|text| text.trim()) else {
        return DEFAULT;
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let Ok(number) = number.parse::<u64>() else {
        return DEFAULT;
    };
    match unit.trim() {
        "" | "ms" => Duration::from_millis(number),
        "s" | "sec" | "second" | "seconds" => Duration::from_secs(number),
        "min" | "m" | "minute" | "minutes" => Duration::from_secs(number.saturating_mul(60)),
        _ => DEFAULT,
    }
}
