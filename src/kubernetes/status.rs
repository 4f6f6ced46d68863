//! The status of the operator's resources (`operator.md` §1.5–§1.11), as rows for the health algorithm.

use std::collections::BTreeMap;

use crate::domain::Timestamp;
use crate::domain::ids::JobId;
use crate::domain::job::JobState;

use super::configuration::FlinkConfiguration;
use super::failure::Failure;
use super::json::{At, WrongShape};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A word that is not known here, kept as it is.
            Other(String),
        }

        impl $name {
            /// The value for the operator's word.
            pub fn parse(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    other => Self::Other(other.chars().take(64).collect()),
                }
            }
            /// The operator's word.
            pub fn word(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }
    };
}

words! {
    /// `status.lifecycleState` (`operator.md` §2.2).
    #[allow(missing_docs)] // the operator's own words
    Lifecycle {
        Created = "CREATED",
        Upgrading = "UPGRADING",
        Deployed = "DEPLOYED",
        Stable = "STABLE",
        Suspended = "SUSPENDED",
        Failed = "FAILED",
        RollingBack = "ROLLING_BACK",
        RolledBack = "ROLLED_BACK",
        Deleting = "DELETING",
        Deleted = "DELETED",
    }
}

words! {
    /// `status.jobManagerDeploymentStatus`.
    JmStatus {
        /// Its REST port answered or is assumed to.
        Ready = "READY",
        /// The pod is there, the operator waits before it asks.
        DeployedNotReady = "DEPLOYED_NOT_READY",
        /// Created, not available.
        Deploying = "DEPLOYING",
        /// There is no Deployment.
        Missing = "MISSING",
        /// A failure of container, pod or Deployment was seen.
        Error = "ERROR",
    }
}

words! {
    /// `status.reconciliationStatus.state`.
    #[allow(missing_docs)] // the operator's own words
    ReconcileState {
        Deployed = "DEPLOYED",
        Upgrading = "UPGRADING",
        RollingBack = "ROLLING_BACK",
        RolledBack = "ROLLED_BACK",
    }
}

/// `status.jobStatus`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobStatus {
    /// Flink's id; assigned before submission, absent for a suspended session job.
    pub job_id: Option<JobId>,
    /// The job's name in Flink.
    pub job_name: Option<String>,
    /// The observed state; `None` if absent.
    pub state: Option<JobState>,
    /// When Flink started it.
    pub started_at: Option<Timestamp>,
    /// When its state was last seen to change.
    pub updated_at: Option<Timestamp>,
    /// State for the next restore: a path or the operator's marker for "take it from the HA metadata".
    pub upgrade_savepoint_path: Option<String>,
}

/// What the operator acted upon last: decoded `lastReconciledSpec`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reconciled {
    /// Its flinkConfiguration, with everything the operator injected.
    pub flink_configuration: FlinkConfiguration,
    /// `spec.job.state`.
    pub job_state: Option<String>,
    /// `spec.job.parallelism`.
    pub parallelism: Option<i64>,
    /// `spec.job.upgradeMode` really used.
    pub upgrade_mode: Option<String>,
    /// `spec.taskManager.resource.memory`.
    pub task_manager_memory: Option<String>,
    /// `spec.restartNonce`.
    pub restart_nonce: Option<i64>,
    /// `spec.job.savepointRedeployNonce`.
    pub savepoint_redeploy_nonce: Option<i64>,
    /// `spec.job.autoscalerResetNonce`.
    pub autoscaler_reset_nonce: Option<i64>,
    /// Nothing was upgraded since the first deployment.
    pub first_deployment: bool,
}

/// The condition `Running` (operator ≥ 1.15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word.
    pub reason: String,
    /// One sentence.
    pub message: String,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// `status` of a FlinkDeployment or FlinkSessionJob; fields that a kind does not have stay absent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Status {
    /// The operator's summary.
    pub lifecycle: Option<Lifecycle>,
    /// The JobManager's Deployment (FlinkDeployment only).
    pub job_manager: Option<JmStatus>,
    /// The job.
    pub job: JobStatus,
    /// Where reconciliation stands.
    pub reconcile_state: Option<ReconcileState>,
    /// When a spec was last acted upon.
    pub reconciled_at: Option<Timestamp>,
    /// The spec last acted upon; `None` if there is none or it cannot be read.
    pub reconciled: Option<Reconciled>,
    /// A spec was acted upon and is known to run stably (the two recorded specs are equal).
    pub is_stable_spec: bool,
    /// `metadata.generation` of the last spec that was accepted.
    pub observed_generation: Option<i64>,
    /// Expected TaskManagers, from the spec and not from reality.
    pub task_managers: Option<i64>,
    /// `flink-version`, `total-cpu`, … ; may be old when the cluster is down.
    pub cluster_info: BTreeMap<String, String>,
    /// What went wrong.
    pub error: Option<Failure>,
    /// The condition `Running`.
    pub running: Option<Condition>,
}

impl Status {
    /// Reads the object at `at`.
    pub(super) fn read(at: &At<'_>) -> Result<Self, WrongShape> {
        let word = |name: &str| at.field(name).and_then(|f| f.text());
        let reconciliation = at.field("reconciliationStatus")?;
        let last = reconciliation.field("lastReconciledSpec")?.text()?;
        let stable = reconciliation.field("lastStableSpec")?.text()?;
        let task_manager = at.field("taskManager")?;
        Ok(Self {
            lifecycle: word("lifecycleState")?.map(|w| Lifecycle::parse(&w)),
            job_manager: word("jobManagerDeploymentStatus")?.map(|w| JmStatus::parse(&w)),
            job: job_status(&at.field("jobStatus")?)?,
            reconcile_state: reconciliation.field("state")?.text()?.map(|w| ReconcileState::parse(&w)),
            reconciled_at: reconciliation.field("reconciliationTimestamp")?.epoch_millis()?,
            is_stable_spec: last.is_some() && last == stable,
            reconciled: last.as_deref().and_then(Reconciled::decode),
            observed_generation: at.field("observedGeneration")?.integer()?,
            task_managers: task_manager.field("replicas")?.integer()?,
            cluster_info: cluster_info(&at.field("clusterInfo")?)?,
            error: word("error")?.as_deref().and_then(Failure::decode),
            running: running(&at.field("conditions")?)?,
        })
    }
}

fn job_status(at: &At<'_>) -> Result<JobStatus, WrongShape> {
    let text = |name: &str| at.field(name).and_then(|f| f.text());
    Ok(JobStatus {
        job_id: text("jobId")?.and_then(|id| id.parse().ok()),
        job_name: text("jobName")?,
        state: text("state")?.map(|s| JobState::parse(&s)),
        started_at: at.field("startTime")?.epoch_millis()?,
        updated_at: at.field("updateTime")?.epoch_millis()?,
        upgrade_savepoint_path: text("upgradeSavepointPath")?,
    })
}

/// Keeps short values only: `ClusterHealthInfo` is a document that no row needs.
fn cluster_info(at: &At<'_>) -> Result<BTreeMap<String, String>, WrongShape> {
    let mut info = at.text_map()?;
    info.retain(|key, value| key.len() <= 64 && value.len() <= 256);
    Ok(info)
}

fn running(at: &At<'_>) -> Result<Option<Condition>, WrongShape> {
    for item in at.items()? {
        let item = At::root(item);
        if item.field("type")?.text()?.as_deref() == Some("Running") {
            let text = |name: &str| item.field(name).and_then(|f| f.text()).map(Option::unwrap_or_default);
            return Ok(Some(Condition {
                status: text("status")?,
                reason: text("reason")?,
                message: text("message")?,
                since: item.field("lastTransitionTime")?.instant().unwrap_or(None),
            }));
        }
    }
    Ok(None)
}

impl Reconciled {
    /// Decodes the recorded spec; leniently, since its form changes between releases (`operator.md` §1.8).
    pub fn decode(text: &str) -> Option<Self> {
        let document: serde_json::Value = serde_json::from_str(text).ok()?;
        let root = At::root(&document);
        let read = || -> Result<Self, WrongShape> {
            let spec = root.field("spec")?;
            let job = spec.field("job")?;
            let task_manager = spec.field("taskManager")?;
            let meta = root.field("resource_metadata")?;
            Ok(Self {
                flink_configuration: FlinkConfiguration::read(&spec.field("flinkConfiguration")?)?,
                job_state: job.field("state")?.text()?,
                parallelism: job.field("parallelism")?.integer()?,
                upgrade_mode: job.field("upgradeMode")?.text()?,
                task_manager_memory: task_manager.field("resource")?.field("memory")?.text()?,
                restart_nonce: spec.field("restartNonce")?.integer()?,
                savepoint_redeploy_nonce: job.field("savepointRedeployNonce")?.integer()?,
                autoscaler_reset_nonce: job.field("autoscalerResetNonce")?.integer()?,
                first_deployment: meta.field("firstDeployment")?.text()?.as_deref() == Some("true"),
            })
        };
        read().ok()
    }
}
