//! The port to a Kubernetes cluster, as the loop needs it: plain data of the resources, and the one write it makes.
//!
//! Implemented by `control::adapters::kubernetes`; tests may implement it themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::domain::Timestamp;
use crate::domain::decision::DecisionId;
use crate::domain::ids::{JobId, VertexId};
use crate::domain::job::JobKind;

/// Which resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// It is a FlinkSessionJob, not a FlinkDeployment.
    pub session_job: bool,
}

/// What an earlier approval wrote: the annotation `flightdeck/applied`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Applied {
    /// The decision.
    pub decision: DecisionId,
    /// The complete map that was written.
    pub parallelism: BTreeMap<VertexId, i32>,
}

/// A FlinkDeployment or FlinkSessionJob, reduced to what the loop judges by.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Which.
    pub reference: ResourceRef,
    /// What kind of row it is.
    pub kind: JobKind,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`, as last seen.
    pub resource_version: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// `status.observedGeneration`, where the operator writes one.
    pub observed_generation: Option<i64>,
    /// `metadata.creationTimestamp`.
    pub created_at: Option<Timestamp>,
    /// Being deleted.
    pub deleting: bool,
    /// `spec.flinkConfiguration`, flattened to dotted keys.
    pub configuration: BTreeMap<String, String>,
    /// Native mode (not standalone).
    pub native: bool,
    /// `spec.flinkVersion`, such as `v1_20`.
    pub flink_version: Option<String>,
    /// `spec.job.state` is suspended.
    pub suspended: bool,
    /// `spec.job.upgradeMode`, if there is a job.
    pub upgrade_mode: Option<String>,
    /// `spec.deploymentName`: the cluster of a session job.
    pub deployment_name: Option<String>,
    /// `taskManager.resource.cpu`, cores.
    pub task_manager_cpu: Option<f64>,
    /// `taskManager.resource.memory`, bytes.
    pub task_manager_memory: Option<u64>,
    /// Address of Flink's own page behind an ingress, if there is one.
    pub ingress: Option<String>,
    /// `status.lifecycleState`.
    pub lifecycle: Option<String>,
    /// `status.jobManagerDeploymentStatus`.
    pub job_manager: Option<String>,
    /// `status.jobStatus.state`.
    pub job_state: Option<String>,
    /// `status.jobStatus.jobId`.
    pub job_id: Option<JobId>,
    /// `status.error`, its message in one line, bounded.
    pub error: Option<String>,
    /// `status.error` is a ValidationException.
    pub invalid: bool,
    /// What an earlier approval of ours wrote.
    pub applied: Option<Applied>,
    /// Field managers that own `pipeline.jobvertex-parallelism-overrides`.
    pub override_managers: Vec<String>,
}

impl Resource {
    /// Memory limit of a TaskManager's container, bytes: what the resource asks for, by the factor that Flink's native mode sets
    /// limits with.
    pub fn task_manager_limit(&self) -> Option<u64> {
        let factor = self.configuration.get("kubernetes.taskmanager.memory.limit-factor").filter(|_| self.native);
        let factor = factor.and_then(|text| text.trim().parse::<f64>().ok()).filter(|factor| *factor >= 1.0);
        self.task_manager_memory.map(|bytes| (bytes as f64 * factor.unwrap_or(1.0)) as u64)
    }
}

/// A change of the resources of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum ResourceEvent {
    /// Everything that is there: what is not in it is gone.
    All(Vec<Resource>),
    /// One resource is new or changed.
    Changed(Box<Resource>),
    /// The resource with this uid is gone.
    Gone {
        /// Its uid.
        uid: String,
    },
    /// What is known is current.
    Current,
    /// The API server does not answer; the watch goes on trying.
    Lost {
        /// What failed, on what, and what to do.
        error: String,
        /// Attempts that failed in a row.
        attempt: u32,
        /// When the next one is made.
        next_attempt_at: Timestamp,
    },
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// Somebody wrote in between (409).
    #[error("{0}")]
    Conflict(String),
    /// Not allowed (401, 403).
    #[error("{0}")]
    Forbidden(String),
    /// No such resource (404).
    #[error("{0}")]
    NotFound(String),
    /// The server refuses the content (400, 422, admission).
    #[error("{0}")]
    Invalid(String),
    /// Sent, and no usable answer came: it may have been done.
    #[error("{0}")]
    Unknown(String),
    /// Anything else; nothing was done.
    #[error("{0}")]
    Other(String),
}

/// The one write of the loop: the complete map and the annotation in one patch.
#[derive(Debug, Clone, PartialEq)]
pub struct OverridePatch {
    /// Which resource.
    pub reference: ResourceRef,
    /// The resourceVersion that was freshly read.
    pub resource_version: String,
    /// The complete map.
    pub parallelism: BTreeMap<VertexId, i32>,
    /// What goes into the annotation.
    pub applied: Applied,
    /// Ask the server only whether it would take it.
    pub dry_run: bool,
}

/// A Kubernetes cluster with Flink resources.
pub trait ClusterApi: Send + Sync {
    /// Every resource and its changes, for ever; reconnects by itself.
    fn watch(&self) -> BoxStream<'static, ResourceEvent>;

    /// The REST API of a deployment's JobManager.
    fn job_manager(&self, deployment: &ResourceRef) -> Arc<dyn crate::flink::Transport>;

    /// Address of Flink's own page of a deployment, for people.
    fn page(&self, _deployment: &Resource) -> Option<String> {
        None
    }

    /// One resource, freshly read.
    fn get<'a>(&'a self, resource: &'a ResourceRef) -> BoxFuture<'a, Result<Resource, ApiError>>;

    /// Writes, or asks whether it could.
    fn patch_overrides<'a>(&'a self, patch: &'a OverridePatch) -> BoxFuture<'a, Result<Resource, ApiError>>;

    /// The overrides that the operator's autoscaler keeps in its ConfigMap for a resource; empty if it keeps none.
    fn stored_overrides<'a>(
        &'a self,
        resource: &'a ResourceRef,
    ) -> BoxFuture<'a, Result<BTreeMap<VertexId, i32>, ApiError>>;

    /// Ends the pauses of the watches between two attempts at once.
    fn retry_now(&self) {}

    /// The server's version, once known.
    fn version(&self) -> BoxFuture<'_, Result<String, ApiError>>;
}
