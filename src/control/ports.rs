//! The port to a Kubernetes cluster, as the loop needs it: plain data of the resources and of what belongs to them, and the one write
//! it makes.
//!
//! Implemented by `control::adapters::kubernetes`; tests may implement it themselves.

mod objects;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::sync::watch;

pub use self::objects::{Objects, OperatorLife, Write};
use crate::domain::Timestamp;
use crate::domain::capacity::{CapacityView, Toleration};
use crate::domain::decision::DecisionId;
use crate::domain::ids::{JobId, SourceId, VertexId};
use crate::domain::job::JobKind;
use crate::domain::kubernetes::{
    BlueGreenRow, ContextRow, FieldChange, KubeAction, KubeFeatures, OperatorVersion, OperatorView, ResourceDocuments,
    StateSnapshotRow, WatchView,
};
use crate::domain::pods::{DeploymentRow, EventRow, LogQuery, PodRow};

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
    /// Configuration keys that were written with it: the value, or none where the key was removed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub configuration: BTreeMap<String, Option<String>>,
}

/// Who owns fields of a resource's spec, by `metadata.managedFields`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    /// Its name.
    pub name: String,
    /// When it last wrote.
    pub at: Option<Timestamp>,
    /// Keys of `spec.flinkConfiguration` that it owns.
    pub configuration_keys: Vec<String>,
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
    /// `status.error` is about the JobManager's pod: Kubernetes' reason (`CrashLoopBackOff`, …).
    pub error_reason: Option<String>,
    /// What an earlier approval of ours wrote.
    pub applied: Option<Applied>,
    /// Who owns which keys of the configuration.
    pub managers: Vec<Manager>,
    /// Keys of the configuration that stand there in two spellings.
    pub twins: Vec<String>,
    /// The label of a canary: it never has a status.
    pub canary: bool,
    /// A FlinkBlueGreenDeployment that owns it.
    pub blue_green: Option<String>,
    /// `spec.job.autoscalerResetNonce`.
    pub reset_nonce: Option<i64>,
    /// The configuration that the operator acted upon last, with everything it injected.
    pub reconciled: Option<Arc<BTreeMap<String, String>>>,
    /// `spec.taskManager.resource.memory` of what was acted upon last, as written.
    pub reconciled_memory: Option<String>,
    /// Node selector and tolerations of TaskManager pods.
    pub placement: Arc<(BTreeMap<String, String>, Vec<Toleration>)>,
    /// The operator is at least this release, by what it wrote.
    pub operator: Option<OperatorVersion>,
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

/// A change of rows of one kind.
#[derive(Debug, Clone, PartialEq)]
pub enum RowEvent<T> {
    /// Everything that is there: what is not in it is gone.
    All(Vec<Arc<T>>),
    /// One row is new or changed.
    Changed(Arc<T>),
    /// The row with this uid is gone.
    Gone {
        /// Its uid.
        uid: String,
    },
    /// Nobody looks any more: nothing is known.
    Stopped,
}

/// A change in a cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum ResourceEvent {
    /// Everything that is there: what is not in it is gone.
    All(Vec<Arc<Resource>>),
    /// One resource is new or changed.
    Changed(Arc<Resource>),
    /// The resource with this uid is gone.
    Gone {
        /// Its uid.
        uid: String,
    },
    /// What is known is current.
    Current,
    /// The API server does not answer about any resource; the watches go on trying.
    Lost {
        /// What failed, on what, and what to do.
        error: String,
        /// Attempts that failed in a row.
        attempt: u32,
        /// When the next one is made.
        next_attempt_at: Timestamp,
    },
    /// Which kinds it serves.
    Features(KubeFeatures),
    /// What is known of the operator, but for what its resources tell.
    Operator(OperatorView),
    /// How every watch stands.
    Watches(Vec<WatchView>),
    /// Pods of Flink clusters.
    Pods(RowEvent<PodRow>),
    /// Deployments of JobManagers.
    JobManagers(RowEvent<DeploymentRow>),
    /// State documents of the operator's autoscaler.
    Autoscalers(RowEvent<AutoscalerState>),
    /// Everything that scales pods beside Flink.
    Scalers(Vec<ScalerRow>),
    /// FlinkStateSnapshots.
    Snapshots(RowEvent<StateSnapshotRow>),
    /// FlinkBlueGreenDeployments.
    BlueGreen(RowEvent<BlueGreenRow>),
    /// Events, while somebody looks.
    Events(RowEvent<EventRow>),
}

/// What is looked at besides the resources and their pods: only that is watched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Wanted {
    /// Nothing.
    #[default]
    Nothing,
    /// Events of one namespace.
    EventsIn(String),
    /// Events of every namespace that is looked at.
    AllEvents,
}

/// The ConfigMap of the operator's autoscaler for one resource (`operator.md` §7.4), its documents as stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AutoscalerState {
    /// Identity.
    pub uid: String,
    /// Namespace.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
    /// It belongs to a FlinkSessionJob; `None` if nothing says whose it is.
    pub session_job: Option<bool>,
    /// Documents by key.
    pub data: Arc<BTreeMap<String, String>>,
}

impl AutoscalerState {
    /// It is the state of this resource: the name alone does not tell, a FlinkDeployment and a FlinkSessionJob may share it.
    pub fn is_of(&self, resource: &ResourceRef) -> bool {
        self.namespace == resource.namespace
            && self.name == resource.name
            && self.session_job.is_none_or(|session_job| session_job == resource.session_job)
    }
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

/// The one write of the loop: what changes in the spec and the annotation, in one patch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ResourcePatch {
    /// Keys of `spec.flinkConfiguration`: the value, or none to remove the key.
    pub configuration: BTreeMap<String, Option<String>>,
    /// `spec.taskManager.resource.memory`, as it is to be written.
    pub task_manager_memory: Option<String>,
    /// `spec.job.autoscalerResetNonce`.
    pub reset_nonce: Option<i64>,
    /// The annotation `flightdeck/applied`: set, removed, or left alone.
    pub applied: Option<Option<Applied>>,
}

impl ResourcePatch {
    /// What is written into the annotation.
    pub fn annotation(&self) -> Option<&Applied> {
        self.applied.as_ref().and_then(Option::as_ref)
    }
}

/// A patch on its way to one version of a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchOf {
    /// Which resource.
    pub reference: ResourceRef,
    /// The resourceVersion that was freshly read.
    pub resource_version: String,
    /// What changes.
    pub patch: ResourcePatch,
    /// Ask the server only whether it would take it.
    pub dry_run: bool,
}

/// A resource after a patch, or as it would be after one.
#[derive(Debug, Clone, PartialEq)]
pub struct Patched {
    /// The resource.
    pub resource: Resource,
    /// What really differs in spec and annotations, by the server's answer.
    pub changes: Vec<FieldChange>,
}

/// What scales pods beside Flink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScalerKind {
    /// A HorizontalPodAutoscaler.
    Horizontal,
    /// A HorizontalPodAutoscaler that KEDA made.
    Keda,
    /// A VerticalPodAutoscaler that acts.
    Vertical,
}

/// An autoscaler of Kubernetes and what it scales.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalerRow {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Kind of its target.
    pub target_kind: String,
    /// Name of its target.
    pub target: String,
    /// What it is.
    pub kind: ScalerKind,
}

/// The way to a JobManager.
#[derive(Clone)]
pub struct Way {
    /// The way.
    pub transport: Arc<dyn crate::flink::Transport>,
    /// Which way it is and why, in one sentence.
    pub why: String,
}

/// A Kubernetes cluster with Flink resources.
pub trait ClusterApi: Send + Sync {
    /// The namespaces that are looked at; empty for all.
    fn namespaces(&self) -> Vec<String> {
        Vec::new()
    }

    /// Every resource and its changes, for ever; reconnects by itself. Details are watched as `wanted` says.
    fn watch(&self, wanted: watch::Receiver<Wanted>) -> BoxStream<'static, ResourceEvent>;

    /// The way to the REST API of a deployment's JobManager.
    fn job_manager(&self, deployment: &Resource) -> Way;

    /// Address of Flink's own page of a deployment, for people.
    fn page(&self, _deployment: &Resource) -> Option<String> {
        None
    }

    /// One resource, freshly read.
    fn get<'a>(&'a self, resource: &'a ResourceRef) -> BoxFuture<'a, Result<Resource, ApiError>>;

    /// Writes, or asks whether it could.
    fn patch<'a>(&'a self, patch: &'a PatchOf) -> BoxFuture<'a, Result<Patched, ApiError>>;

    /// What the operator's autoscaler keeps of a resource, freshly read; `None` if it keeps nothing.
    fn stored<'a>(&'a self, resource: &'a ResourceRef) -> BoxFuture<'a, Result<Option<AutoscalerState>, ApiError>>;

    /// Whole objects, if operations may act on them.
    fn objects(&self) -> Option<&dyn Objects> {
        None
    }

    /// Ends the pauses of the watches between two attempts at once.
    fn retry_now(&self) {}

    /// The server's version, once known.
    fn version(&self) -> BoxFuture<'_, Result<String, ApiError>>;

    /// Whether an action is allowed in a namespace (`None`: in the whole cluster), with the server's words.
    fn allowed<'a>(
        &'a self,
        action: KubeAction,
        namespace: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(bool, String), ApiError>>;

    /// The room of the cluster, read now.
    fn capacity(&self) -> BoxFuture<'_, Result<CapacityView, ApiError>>;

    /// Spec and status of a resource for people.
    fn documents<'a>(&'a self, resource: &'a ResourceRef) -> BoxFuture<'a, Result<ResourceDocuments, ApiError>>;

    /// The lines of a log, as they come; ends with the log or after an error.
    fn log(&self, query: LogQuery) -> BoxStream<'static, Result<String, ApiError>>;
}

/// The contexts that can be looked at, and the way to each.
pub trait Contexts: Send + Sync {
    /// Every context; `current` is the one in use.
    fn list(&self, current: &SourceId) -> Vec<ContextRow>;

    /// A source for a context (the present one if `None`) and namespaces (all if empty).
    fn connect<'a>(
        &'a self,
        current: &'a SourceId,
        context: Option<&'a str>,
        namespaces: &'a [String],
    ) -> BoxFuture<'a, Result<super::config::KubernetesSource, String>>;
}
