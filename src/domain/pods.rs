//! What an on-call engineer opens first: pods, events and logs, as small rows.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::ids::SourceId;

/// What a pod of a Flink cluster is, by its label `component`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PodRole {
    /// A JobManager.
    JobManager,
    /// A TaskManager.
    TaskManager,
    /// Neither.
    Other,
}

/// `status.phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)] // Kubernetes' own names
pub enum PodPhase {
    Pending,
    Running,
    Succeeded,
    Failed,
    Unknown,
}

impl PodPhase {
    /// The phase with Kubernetes' name.
    pub fn parse(name: &str) -> Self {
        match name {
            "Pending" => Self::Pending,
            "Running" => Self::Running,
            "Succeeded" => Self::Succeeded,
            "Failed" => Self::Failed,
            _ => Self::Unknown,
        }
    }

    /// Kubernetes' name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Unknown => "Unknown",
        }
    }
}

/// How a container ended last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Termination {
    /// Its exit code.
    pub exit_code: i64,
    /// One word: `OOMKilled`, `Error`, `Completed`.
    pub reason: String,
    /// What it left to say, bounded.
    pub message: String,
    /// When it ended.
    pub at: Option<Timestamp>,
}

impl Termination {
    /// The kernel killed it because its memory limit was reached.
    pub fn is_oom(&self) -> bool {
        self.reason == "OOMKilled"
    }

    /// One sentence.
    pub fn sentence(&self) -> String {
        format!("{} (exit code {})", if self.reason.is_empty() { "ended" } else { &self.reason }, self.exit_code)
    }
}

/// What keeps a pod from running, deepest cause first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PodTrouble {
    /// Its image cannot be pulled.
    ImagePull,
    /// Its container cannot be created (a ConfigMap, a Secret or a volume is missing).
    CannotCreate,
    /// It was killed because its memory limit was reached.
    OomKilled,
    /// Its container ends again and again.
    CrashLoop,
    /// No node has room for it.
    Unschedulable,
    /// It was evicted or its node was lost.
    Evicted,
    /// It ended with an error.
    Failed,
}

impl PodTrouble {
    /// The word as shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::ImagePull => "image pull",
            Self::CannotCreate => "cannot create",
            Self::OomKilled => "out of memory",
            Self::CrashLoop => "crash loop",
            Self::Unschedulable => "unschedulable",
            Self::Evicted => "evicted",
            Self::Failed => "failed",
        }
    }
}

/// One pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodRow {
    /// Identity.
    pub uid: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The Flink cluster it belongs to, by its label `app`.
    pub app: String,
    /// What it is.
    pub role: PodRole,
    /// Its phase.
    pub phase: PodPhase,
    /// All its containers are ready.
    pub ready: bool,
    /// The node it runs on.
    pub node: Option<String>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Deletion was asked for then.
    pub deleting_since: Option<Timestamp>,
    /// Restarts of all its containers.
    pub restarts: u32,
    /// Why a container waits: reason and message.
    pub waiting: Option<(String, String)>,
    /// How its main container ended last.
    pub last_termination: Option<Termination>,
    /// Why no node takes it.
    pub unschedulable: Option<String>,
    /// Why it failed as a whole (`Evicted`, `NodeLost`): reason and message.
    pub failure: Option<(String, String)>,
    /// Names of its containers, the main one first.
    pub containers: Vec<String>,
    /// Requested cpu of all its containers, thousandths of a core.
    pub cpu_request: u64,
    /// Requested memory of all its containers, bytes.
    pub memory_request: u64,
    /// Memory limit of its main container, bytes.
    pub memory_limit: Option<u64>,
}

impl PodRow {
    /// What keeps it from running, with one sentence; `None` if nothing does.
    pub fn trouble(&self) -> Option<(PodTrouble, String)> {
        if let Some((reason, message)) = &self.waiting {
            let found = match reason.as_str() {
                "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" => {
                    Some(PodTrouble::ImagePull)
                }
                "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                    Some(PodTrouble::CannotCreate)
                }
                "CrashLoopBackOff" => Some(PodTrouble::CrashLoop),
                _ => None,
            };
            if let Some(trouble) = found {
                // The kernel's word is the cause, the loop its consequence.
                return Some(match (&self.last_termination, trouble) {
                    (Some(last), PodTrouble::CrashLoop) if last.is_oom() => (PodTrouble::OomKilled, last.sentence()),
                    (Some(last), PodTrouble::CrashLoop) => (trouble, format!("{reason}: {}", last.sentence())),
                    _ if message.is_empty() => (trouble, reason.clone()),
                    _ => (trouble, format!("{reason}: {message}")),
                });
            }
        }
        if let Some(why) = &self.unschedulable {
            return Some((PodTrouble::Unschedulable, why.clone()));
        }
        match (self.phase, &self.failure, &self.last_termination) {
            (PodPhase::Failed, _, Some(last)) if last.is_oom() => Some((PodTrouble::OomKilled, last.sentence())),
            (PodPhase::Failed, Some((reason, message)), _) => {
                let trouble = match reason.as_str() {
                    "Evicted" | "NodeLost" | "Preempting" | "Shutdown" | "NodeShutdown" => PodTrouble::Evicted,
                    _ => PodTrouble::Failed,
                };
                Some((trouble, if message.is_empty() { reason.clone() } else { format!("{reason}: {message}") }))
            }
            (PodPhase::Failed, None, last) => {
                let why = last.as_ref().map_or_else(|| "it failed".to_owned(), Termination::sentence);
                Some((PodTrouble::Failed, why))
            }
            (PodPhase::Pending | PodPhase::Running | PodPhase::Succeeded | PodPhase::Unknown, ..) => None,
        }
    }
}

/// The JobManager's Deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentRow {
    /// Identity.
    pub uid: String,
    /// Namespace.
    pub namespace: String,
    /// Name: that of the Flink cluster.
    pub name: String,
    /// Wanted replicas.
    pub wanted: u32,
    /// Available replicas.
    pub available: u32,
    /// A condition that failed: reason and message (`FailedCreate` for an exceeded quota).
    pub failure: Option<(String, String)>,
    /// Deletion was asked for then.
    pub deleting_since: Option<Timestamp>,
}

/// One event of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// Identity.
    pub uid: String,
    /// Namespace.
    pub namespace: String,
    /// Kind of the object it is about.
    pub kind: String,
    /// Name of the object it is about.
    pub name: String,
    /// Uid of the object it is about, if the event says it.
    pub object_uid: String,
    /// One word.
    pub reason: String,
    /// One sentence or more, bounded.
    pub message: String,
    /// Who reports it.
    pub component: String,
    /// It is a warning.
    pub warning: bool,
    /// How often it happened, as far as Kubernetes remembers.
    pub count: u32,
    /// When it was first seen.
    pub first_at: Option<Timestamp>,
    /// When it was last seen.
    pub last_at: Option<Timestamp>,
}

impl EventRow {
    /// What it is about, as it is written after `kubectl get`: `pod/orders-1`.
    pub fn object(&self) -> String {
        format!("{}/{}", self.kind.to_lowercase(), self.name)
    }
}

/// Which log somebody reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogQuery {
    /// The Kubernetes cluster.
    pub source: SourceId,
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Container; the only one or the main one if absent.
    pub container: Option<String>,
    /// The container before its last restart.
    pub previous: bool,
    /// Goes on as lines are written.
    pub follow: bool,
    /// Only lines that hold this text, whatever its case; empty for all.
    pub filter: String,
    /// So many lines from the end at first.
    pub tail: u32,
}

/// A log as far as it was read: the newest lines, bounded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogView {
    /// Which.
    pub query: LogQuery,
    /// Lines that passed the filter, oldest first, control characters removed.
    pub lines: Arc<Vec<Arc<str>>>,
    /// Lines that were read and dropped from the start because there were too many.
    pub dropped: u64,
    /// Lines that the filter held back.
    pub filtered: u64,
    /// More lines will come.
    pub open: bool,
    /// Why it ended or does not begin, if by an error.
    pub error: Option<String>,
}

/// Pods of one Flink cluster, its JobManager first, then by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PodsView {
    /// The pods.
    pub pods: Vec<Arc<PodRow>>,
    /// The JobManager's Deployment, if it is there.
    pub deployment: Option<Arc<DeploymentRow>>,
}
