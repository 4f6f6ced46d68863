//! Asynchronous operations on a job: savepoint, stop, checkpoint, cancel (`flink-rest.md` §1.6).
//!
//! A trigger is answered 202 even for jobs that do not exist; success or failure is in the status answer alone, and COMPLETED is
//! not success.

use http::Method;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{JobId, TriggerId};
use crate::domain::plan::SavepointFormat;

use super::client::FlinkClient;
use super::error::{FlinkError, JavaError};

/// Where an operation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationState {
    /// It runs.
    InProgress,
    /// It succeeded.
    Succeeded {
        /// Where the savepoint is.
        location: Option<String>,
        /// Number of the checkpoint.
        checkpoint: Option<u64>,
    },
    /// It failed.
    Failed(JavaError),
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct SavepointBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    target_directory: Option<&'a str>,
    cancel_job: bool,
    #[serde(rename = "formatType")]
    format: SavepointFormat,
    #[serde(rename = "triggerId")]
    trigger: TriggerId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StopBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    target_directory: Option<&'a str>,
    drain: bool,
    #[serde(rename = "formatType")]
    format: SavepointFormat,
    trigger_id: TriggerId,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct DisposalBody<'a> {
    savepoint_path: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckpointBody {
    checkpoint_type: &'static str,
    trigger_id: TriggerId,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Triggered {
    request_id: TriggerId,
}

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
struct WireState {
    status: WireStatus,
    operation: Option<WireOperation>,
}

#[derive(Deserialize)]
struct WireStatus {
    id: WireStatusId,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum WireStatusId {
    InProgress,
    Completed,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WireOperation {
    location: Option<String>,
    #[serde(rename = "checkpointId")]
    checkpoint: Option<u64>,
    /// Checkpoints spell it `failureCause`.
    #[serde(alias = "failureCause")]
    failure_cause: Option<WireCause>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WireCause {
    class: String,
    #[serde(default)]
    stack_trace: String,
}

impl From<WireState> for OperationState {
    fn from(wire: WireState) -> Self {
        match (wire.status.id, wire.operation) {
            (WireStatusId::InProgress, _) => Self::InProgress,
            (WireStatusId::Completed, Some(WireOperation { failure_cause: Some(cause), .. })) => {
                let mut error = JavaError::parse(&cause.stack_trace);
                if error.class.is_empty() {
                    error.class = cause.class;
                }
                Self::Failed(error)
            }
            (WireStatusId::Completed, operation) => {
                let (location, checkpoint) = operation.map_or((None, None), |o| (o.location, o.checkpoint));
                Self::Succeeded { location, checkpoint }
            }
        }
    }
}

impl FlinkClient {
    /// `PATCH /jobs/:id?mode=cancel`. Accepted at once; the job is CANCELLING for up to minutes.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails: 409 if the job has ended otherwise, not found if there is no such job.
    pub async fn cancel(&self, job: JobId) -> Result<(), FlinkError> {
        self.write::<(), Nothing>(Method::PATCH, &format!("/jobs/{job}?mode=cancel"), None).await.map(|_| ())
    }

    /// `POST /jobs/:id/savepoints`: a savepoint of a job that goes on running. Without a directory the configured one is used.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn trigger_savepoint(
        &self,
        job: JobId,
        trigger: TriggerId,
        directory: Option<&str>,
        format: SavepointFormat,
    ) -> Result<TriggerId, FlinkError> {
        let body = SavepointBody { target_directory: directory, cancel_job: false, format, trigger };
        let path = format!("/jobs/{job}/savepoints");
        Ok(self.write::<_, Triggered>(Method::POST, &path, Some(&body)).await?.request_id)
    }

    /// `POST /jobs/:id/stop`: a savepoint, then the end of the job. Its state is that of a savepoint.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn trigger_stop(
        &self,
        job: JobId,
        trigger: TriggerId,
        directory: Option<&str>,
        format: SavepointFormat,
    ) -> Result<TriggerId, FlinkError> {
        let body = StopBody { target_directory: directory, drain: false, format, trigger_id: trigger };
        let path = format!("/jobs/{job}/stop");
        Ok(self.write::<_, Triggered>(Method::POST, &path, Some(&body)).await?.request_id)
    }

    /// `GET /jobs/:id/savepoints/:trigger`: how a savepoint or stop stands. Kept by Flink for 5 minutes.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood; a failed savepoint is not an error but
    /// [`OperationState::Failed`].
    pub async fn savepoint_state(&self, job: JobId, trigger: TriggerId) -> Result<OperationState, FlinkError> {
        Ok(self.get::<WireState>(&format!("/jobs/{job}/savepoints/{trigger}")).await?.into())
    }

    /// `POST /savepoint-disposal`: removes a savepoint. Its state is asked with [`disposal_state`](Self::disposal_state).
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn trigger_disposal(&self, savepoint: &str) -> Result<TriggerId, FlinkError> {
        let body = DisposalBody { savepoint_path: savepoint };
        Ok(self.write::<_, Triggered>(Method::POST, "/savepoint-disposal", Some(&body)).await?.request_id)
    }

    /// `GET /savepoint-disposal/:trigger`.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn disposal_state(&self, trigger: TriggerId) -> Result<OperationState, FlinkError> {
        Ok(self.get::<WireState>(&format!("/savepoint-disposal/{trigger}")).await?.into())
    }

    /// `DELETE /cluster`: ends the JobManager. The connection may break before or after the answer: look whether it is gone.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails; [`FlinkError::is_outcome_unknown`] if the connection broke.
    pub async fn shut_down_cluster(&self) -> Result<(), FlinkError> {
        self.write::<(), Nothing>(Method::DELETE, "/cluster", None).await.map(|_| ())
    }

    /// `POST /jobs/:id/checkpoints`: a full checkpoint now.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn trigger_checkpoint(&self, job: JobId, trigger: TriggerId) -> Result<TriggerId, FlinkError> {
        let body = CheckpointBody { checkpoint_type: "FULL", trigger_id: trigger };
        let path = format!("/jobs/{job}/checkpoints");
        Ok(self.write::<_, Triggered>(Method::POST, &path, Some(&body)).await?.request_id)
    }

    /// `GET /jobs/:id/checkpoints/:trigger`: how a triggered checkpoint stands.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood; a failed checkpoint is not an error but
    /// [`OperationState::Failed`].
    pub async fn checkpoint_state(&self, job: JobId, trigger: TriggerId) -> Result<OperationState, FlinkError> {
        Ok(self.get::<WireState>(&format!("/jobs/{job}/checkpoints/{trigger}")).await?.into())
    }
}
