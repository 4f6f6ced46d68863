//! What helps to find out why something is as it is: logs, thread dumps, environment, how a job was configured and how it ended.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::domain::Timestamp;
use crate::domain::ids::{JobId, VertexId};

use super::client::{FlinkClient, encode};
use super::decode;
use super::error::{FlinkError, JavaError};

/// Whose logs and threads: the JobManager's or a TaskManager's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process<'a> {
    /// The JobManager.
    JobManager,
    /// The TaskManager with this id.
    TaskManager(&'a str),
}

impl Process<'_> {
    fn path(self) -> String {
        match self {
            Self::JobManager => "/jobmanager".to_owned(),
            Self::TaskManager(id) => format!("/taskmanagers/{}", encode(id)),
        }
    }
}

/// A log file of a process.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LogFile {
    /// Its name.
    pub name: String,
    /// Its size, bytes. There is no way to read only its end: look at this first.
    #[serde(deserialize_with = "decode::count")]
    pub size: u64,
    /// When it was last written (`mtime`; older versions do not say).
    #[serde(rename = "mtime", deserialize_with = "decode::instant", default)]
    pub modified: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Logs {
    logs: Vec<LogFile>,
}

/// One thread of a process.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ThreadInfo {
    /// Its name.
    #[serde(rename = "threadName")]
    pub name: String,
    /// State and stack as text.
    #[serde(rename = "stringifiedThreadInfo")]
    pub text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThreadDump {
    thread_infos: Vec<ThreadInfo>,
}

/// The JVM of the JobManager.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Jvm {
    /// Name and version.
    pub version: String,
    /// Processor architecture.
    pub arch: String,
    /// Its options. May hold secrets given by `-D`.
    pub options: Vec<String>,
}

#[derive(Deserialize)]
struct Environment {
    jvm: Jvm,
}

/// How a job was configured by its program.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExecutionConfig {
    /// The restart strategy in words.
    pub restart_strategy: String,
    /// Default parallelism; -1 if it is not set.
    pub job_parallelism: i32,
    /// Records are handed on without a copy.
    pub object_reuse_mode: bool,
    /// Parameters that the program published.
    #[serde(default)]
    pub user_config: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct JobConfig {
    // Absent where a program hides it.
    execution_config: Option<ExecutionConfig>,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionResult {
    /// `SUCCEEDED`, `FAILED`, `CANCELED` or `UNKNOWN`.
    pub status: String,
    /// How long it ran, restarts included.
    pub runtime: Option<Duration>,
    /// Why it failed.
    pub failure: Option<JavaError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WireResult {
    job_execution_result: Option<WireJobResult>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WireJobResult {
    application_status: String,
    #[serde(deserialize_with = "decode::millis", default)]
    net_runtime: Option<Duration>,
    failure_cause: Option<WireCause>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WireCause {
    stack_trace: String,
}

/// An accumulator of a user's program.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Accumulator {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its value as text.
    pub value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct JobAccumulators {
    user_task_accumulators: Vec<Accumulator>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct VertexAccumulators {
    user_accumulators: Vec<Accumulator>,
}

impl FlinkClient {
    /// `GET …/logs`: the log files of a process.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn logs(&self, process: Process<'_>) -> Result<Vec<LogFile>, FlinkError> {
        Ok(self.get::<Logs>(&format!("{}/logs", process.path())).await?.logs)
    }

    /// `GET …/log`, or `GET …/logs/:name`: a whole log file as text; bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails, [`FlinkError::TooLarge`] if the file is larger than the limit of bodies.
    pub async fn log_text(&self, process: Process<'_>, name: Option<&str>) -> Result<String, FlinkError> {
        let path = match name {
            Some(name) => format!("{}/logs/{}", process.path(), encode(name)),
            None => format!("{}/log", process.path()),
        };
        self.get_text(&path).await
    }

    /// `GET …/thread-dump`.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn thread_dump(&self, process: Process<'_>) -> Result<Vec<ThreadInfo>, FlinkError> {
        Ok(self.get::<ThreadDump>(&format!("{}/thread-dump", process.path())).await?.thread_infos)
    }

    /// `GET /jobmanager/environment`.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn jobmanager_jvm(&self) -> Result<Jvm, FlinkError> {
        Ok(self.get::<Environment>("/jobmanager/environment").await?.jvm)
    }

    /// `GET /jobs/:id/config`.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn job_config(&self, job: JobId) -> Result<Option<ExecutionConfig>, FlinkError> {
        Ok(self.get::<JobConfig>(&format!("/jobs/{job}/config")).await?.execution_config)
    }

    /// `GET /jobs/:id/execution-result`; `None` while it runs.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn execution_result(&self, job: JobId) -> Result<Option<ExecutionResult>, FlinkError> {
        let wire: WireResult = self.get(&format!("/jobs/{job}/execution-result")).await?;
        Ok(wire.job_execution_result.map(|result| ExecutionResult {
            status: result.application_status,
            runtime: result.net_runtime,
            failure: result.failure_cause.map(|cause| JavaError::parse(&cause.stack_trace)),
        }))
    }

    /// `GET /jobs/:id/accumulators`: those of the user's program.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn accumulators(&self, job: JobId) -> Result<Vec<Accumulator>, FlinkError> {
        Ok(self.get::<JobAccumulators>(&format!("/jobs/{job}/accumulators")).await?.user_task_accumulators)
    }

    /// `GET /jobs/:id/vertices/:vid/accumulators`.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn vertex_accumulators(&self, job: JobId, vertex: VertexId) -> Result<Vec<Accumulator>, FlinkError> {
        let path = format!("/jobs/{job}/vertices/{vertex}/accumulators");
        Ok(self.get::<VertexAccumulators>(&path).await?.user_accumulators)
    }
}
