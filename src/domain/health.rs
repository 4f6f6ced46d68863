//! One status word per job, with its severity and the evidence.

use serde::{Deserialize, Serialize};

/// How bad a status is; the fleet is sorted by it, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nobody needs to look.
    Muted,
    /// All well.
    Ok,
    /// In transition.
    Info,
    /// Should be looked at today.
    Warning,
    /// Something failed, the job may still run.
    Error,
    /// Wake somebody.
    Critical,
}

/// The one status word of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthWord {
    /// The job is FAILED for good.
    Failed,
    /// The job restarts again and again.
    Failing,
    /// The JobManager is gone or its pod does not start.
    JobManagerLost,
    /// The job waits for slots.
    NoResources,
    /// The source of its data does not answer.
    Unreachable,
    /// The operator reports an error, the job may still run.
    OperatorError,
    /// Nobody reconciles the resource.
    NotReconciled,
    /// The spec was rejected or rolled back.
    RolledBack,
    /// An upgrade takes too long.
    UpgradeStuck,
    /// A restart is in progress.
    Restarting,
    /// Sources are held back by a slow vertex and lag grows.
    Backpressured,
    /// A backlog is there and is not shrinking.
    Lagging,
    /// Checkpoints fail or are overdue.
    CheckpointsFailing,
    /// A change of parallelism or an upgrade is in progress.
    Rescaling,
    /// Being deployed or created.
    Deploying,
    /// A backlog is there and is shrinking.
    CatchingUp,
    /// Waits for a change to be picked up.
    ChangePending,
    /// Being deleted.
    Deleting,
    /// Running, all tasks, no problem known.
    Healthy,
    /// A cluster without a job of its own, ready.
    Ready,
    /// Suspended on request.
    Suspended,
    /// Ended by itself.
    Finished,
    /// Ended by a cancel.
    Canceled,
    /// Not observed yet.
    Unknown,
}

impl HealthWord {
    /// The severity that the word stands for.
    pub fn severity(self) -> Severity {
        match self {
            Self::Failed | Self::Failing | Self::JobManagerLost | Self::NoResources => Severity::Critical,
            Self::Unreachable | Self::OperatorError | Self::NotReconciled | Self::RolledBack | Self::UpgradeStuck => {
                Severity::Error
            }
            Self::Restarting | Self::Backpressured | Self::Lagging | Self::CheckpointsFailing => Severity::Warning,
            Self::Rescaling | Self::Deploying | Self::CatchingUp | Self::ChangePending | Self::Deleting => {
                Severity::Info
            }
            Self::Healthy | Self::Ready => Severity::Ok,
            Self::Suspended | Self::Finished | Self::Canceled => Severity::Muted,
            Self::Unknown => Severity::Info,
        }
    }

    /// The word as shown on screen and in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "FAILED",
            Self::Failing => "FAILING",
            Self::JobManagerLost => "JM LOST",
            Self::NoResources => "NO SLOTS",
            Self::Unreachable => "UNREACHABLE",
            Self::OperatorError => "OPERATOR ERROR",
            Self::NotReconciled => "NOT RECONCILED",
            Self::RolledBack => "ROLLED BACK",
            Self::UpgradeStuck => "UPGRADE STUCK",
            Self::Restarting => "RESTARTING",
            Self::Backpressured => "BACKPRESSURED",
            Self::Lagging => "LAGGING",
            Self::CheckpointsFailing => "CHECKPOINTS",
            Self::Rescaling => "RESCALING",
            Self::Deploying => "DEPLOYING",
            Self::CatchingUp => "CATCHING UP",
            Self::ChangePending => "CHANGE PENDING",
            Self::Deleting => "DELETING",
            Self::Healthy => "HEALTHY",
            Self::Ready => "READY",
            Self::Suspended => "SUSPENDED",
            Self::Finished => "FINISHED",
            Self::Canceled => "CANCELED",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// The status word of a job with its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The one word.
    pub word: HealthWord,
    /// One sentence: why this word.
    pub reason: String,
    /// The operator's own word (lifecycle state and job state), when an operator manages the job.
    pub operator: Option<String>,
}
