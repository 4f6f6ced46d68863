//! Commands: what a person (or the auto mode) wants done, with a frozen target and a life that can be followed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::decision::{DecisionId, Target};
use super::ids::{JobKey, SourceId, VertexId};
use super::plan::PlanOrder;
use super::pods::LogQuery;

/// Identity of a command within one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub u64);

/// Who gave a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Issuer {
    /// A person on the screen.
    Screen,
    /// A person or script on the command line.
    CommandLine,
    /// The auto mode.
    Auto,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "command")]
pub enum Intent {
    /// Apply a pending decision.
    Approve {
        /// Which.
        decision: DecisionId,
    },
    /// Turn a pending decision down.
    Reject {
        /// Which.
        decision: DecisionId,
        /// Why, in the person's words.
        reason: Option<String>,
    },
    /// Put a pending decision off.
    Snooze {
        /// Which.
        decision: DecisionId,
        /// For how long; the configured time if absent.
        time: Option<Duration>,
    },
    /// Make, carry out, resume or leave a plan.
    Plan(PlanOrder),
    /// Ask the sources of this job again now, without waiting for the next poll.
    Refresh {
        /// Which job.
        job: JobKey,
    },
    /// Try every source that does not answer again now, without waiting for the end of the pause between two attempts.
    Reconnect,
    /// Find out by a server-side dry run what applying a decision would do; nothing is written.
    Preview {
        /// Which.
        decision: DecisionId,
    },
    /// Propose what fits into the cluster instead of a pending decision that does not fit.
    Reduce {
        /// Which.
        decision: DecisionId,
    },
    /// Switch a job from the operator's autoscaler to manual, keeping what runs now.
    TakeOver {
        /// Which job.
        job: JobKey,
    },
    /// Give a job back to the operator's autoscaler, keeping what runs now.
    HandBack {
        /// Which job.
        job: JobKey,
    },
    /// Ask a Kubernetes cluster again what is allowed.
    AskRights {
        /// Which cluster.
        source: SourceId,
    },
    /// Look at another context or other namespaces from now on.
    SwitchContext {
        /// The Kubernetes cluster that is looked at now.
        source: SourceId,
        /// The context; the present one if absent.
        context: Option<String>,
        /// The namespaces; empty for all.
        namespaces: Vec<String>,
    },
}

/// A command as it is sent: the intent, its issuer and the frozen target the person saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Its id, unique among the commands of one issuer.
    pub id: CommandId,
    /// What is wanted.
    pub intent: Intent,
    /// Who gave it.
    pub issuer: Issuer,
    /// The target as it was when the person confirmed, where the intent has one.
    pub target: Option<Target>,
    /// When it was given.
    pub at: Timestamp,
}

/// Where a command is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "stage")]
pub enum CommandStage {
    /// Given, not sent yet.
    Requested,
    /// Sent to Flink or Kubernetes.
    Sent,
    /// Flink or Kubernetes took it. Not done yet.
    Accepted,
    /// The effect was seen. Done.
    Observed,
    /// It failed.
    Failed {
        /// What failed, on what, and what to do.
        why: String,
    },
    /// A guard refused it before anything was sent.
    Refused {
        /// Which guard, and why.
        why: String,
    },
    /// No effect was seen in time.
    TimedOut,
    /// Its target changed meanwhile; nothing was sent.
    Superseded {
        /// What changed.
        why: String,
    },
}

impl CommandStage {
    /// The word as shown.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Observed => "observed",
            Self::Failed { .. } => "failed",
            Self::Refused { .. } => "refused",
            Self::TimedOut => "timed out",
            Self::Superseded { .. } => "superseded",
        }
    }

    /// Nothing will happen to it any more.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Requested | Self::Sent | Self::Accepted => false,
            Self::Observed | Self::Failed { .. } | Self::Refused { .. } | Self::TimedOut | Self::Superseded { .. } => {
                true
            }
        }
    }
}

/// A command with its life so far, as it stands in a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandView {
    /// The command.
    pub command: Command,
    /// Where it is.
    pub stage: CommandStage,
    /// Since when.
    pub since: Timestamp,
    /// What is awaited next, in one sentence.
    pub waiting_for: Option<String>,
}

/// What somebody is looking at: only that is polled at the fast period.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Interest {
    /// A screen is visible at all.
    pub visible: bool,
    /// The job whose details are on screen.
    pub job: Option<JobKey>,
    /// Rows of the fleet that are on screen and have their numbers from nowhere else, in the order of their keys.
    #[serde(default)]
    pub rows: Vec<JobKey>,
    /// The vertex whose subtasks are on screen.
    pub vertex: Option<VertexId>,
    /// TaskManagers of the job's cluster are on screen.
    pub task_managers: bool,
    /// Problems of the job are on screen.
    pub problems: bool,
    /// Checkpoints of the job are on screen.
    pub checkpoints: bool,
    /// Events of the job's resource and pods are on screen.
    #[serde(default)]
    pub events: bool,
    /// Events of everything are on screen.
    #[serde(default)]
    pub all_events: bool,
    /// The job's documents (spec and status) are on screen.
    #[serde(default)]
    pub documents: bool,
    /// The room of the cluster is on screen.
    #[serde(default)]
    pub capacity: bool,
    /// The log that is on screen.
    #[serde(default)]
    pub log: Option<LogQuery>,
}
