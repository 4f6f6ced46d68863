//! The steps of a plan: what each does, enough to do it and to find out whether it is done.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SavepointFormat;
use crate::domain::Timestamp;
use crate::domain::ids::{JobId, TriggerId, VertexId};
use crate::domain::objects::ObjectName;

/// What to run on a session cluster. Arguments and configuration may hold secrets: the journal keeps [`redacted`](Self::redacted)
/// ones, told apart by their hash.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Launch {
    /// The jar's id on the cluster (`/jars`), or the name it was uploaded by.
    pub jar: String,
    /// The class, if the jar names none.
    pub entry_class: Option<String>,
    /// The program's arguments.
    pub args: Vec<String>,
    /// Configuration of the job.
    pub configuration: BTreeMap<String, String>,
    /// Default parallelism.
    pub parallelism: Option<i32>,
    /// Hash of arguments and configuration where they were left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<u64>,
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Launch({}, {} arguments)", self.jar, self.args.len())
    }
}

impl Launch {
    /// Hash of what [`redacted`](Self::redacted) leaves out (FNV-1a, stable across releases).
    pub fn secret_hash(&self) -> u64 {
        if let Some(hash) = self.left_out {
            return hash;
        }
        let pairs = self.configuration.iter().flat_map(|(k, v)| [k.as_str(), v.as_str()]);
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for part in self.args.iter().map(String::as_str).chain(["\u{0}"]).chain(pairs) {
            for byte in part.bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        hash
    }

    /// The launch without its arguments and configuration.
    pub fn redacted(&self) -> Self {
        Self { left_out: Some(self.secret_hash()), args: Vec::new(), configuration: BTreeMap::new(), ..self.clone() }
    }

    /// This redacted launch is that whole one.
    pub fn is(&self, whole: &Self) -> bool {
        self.jar == whole.jar
            && self.entry_class == whole.entry_class
            && self.parallelism == whole.parallelism
            && self.secret_hash() == whole.secret_hash()
    }
}

/// From where a start restores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "restore")]
pub enum Restore {
    /// From this path.
    Path {
        /// The path.
        path: String,
    },
    /// From the savepoint that an earlier step of the plan took.
    OfStep {
        /// Its index.
        step: usize,
    },
    /// From nothing.
    Nothing,
}

/// What a step does; enough to do it, and to find out whether it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Action {
    /// Asks the cluster what this launch would run: it must have these vertices. Changes nothing.
    CheckLaunch {
        /// What would be run.
        launch: Launch,
        /// The vertices that the state belongs to; empty if not known.
        vertices: Vec<VertexId>,
    },
    /// `POST /jobs/:id/savepoints`.
    Savepoint {
        /// The job.
        job: JobId,
        /// Makes a repeated request safe.
        trigger: TriggerId,
        /// Where.
        directory: Option<String>,
        /// Its format.
        format: SavepointFormat,
    },
    /// `POST /jobs/:id/checkpoints`.
    Checkpoint {
        /// The job.
        job: JobId,
        /// Makes a repeated request safe.
        trigger: TriggerId,
    },
    /// `POST /jobs/:id/stop`, to the end of the job.
    Stop {
        /// The job.
        job: JobId,
        /// Makes a repeated request safe.
        trigger: TriggerId,
        /// Where.
        directory: Option<String>,
        /// Its format.
        format: SavepointFormat,
    },
    /// `PATCH /jobs/:id?mode=cancel`, to the end of the job.
    Cancel {
        /// The job.
        job: JobId,
    },
    /// `POST /jars/:id/run`.
    Run {
        /// The new job's id: makes a repeated request safe.
        job: JobId,
        /// What is run.
        launch: Launch,
        /// From where.
        restore: Restore,
        /// State that the program no longer has may be dropped.
        allow_non_restored: bool,
    },
    /// Waits until every task of a job runs.
    AwaitRunning {
        /// The job.
        job: JobId,
        /// It must have been restored from here.
        restore: Restore,
    },
    /// Waits for the first completed checkpoint of a job.
    AwaitCheckpoint {
        /// The job.
        job: JobId,
    },
    /// `PUT /jobs/:id/resource-requirements`, until the job has this parallelism.
    Rescale {
        /// The job.
        job: JobId,
        /// Upper bounds of these vertices.
        parallelism: BTreeMap<VertexId, i32>,
    },
    /// `DELETE /cluster`, until it does not answer any more.
    ShutDownCluster,
    /// Writes fields of a resource's spec in one patch, to the very object and generation that were seen.
    Patch {
        /// The resource.
        of: ObjectName,
        /// `metadata.uid`, as seen.
        uid: String,
        /// `metadata.generation` that it must have; earlier patches of the plan are counted in.
        generation: i64,
        /// The fields, as a merge patch of the spec.
        spec: Value,
        /// What goes into `job.initialSavepointPath` besides.
        path: Option<Restore>,
        /// Annotations that go with it: the value, or none where one is removed.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        annotations: BTreeMap<String, Option<String>>,
    },
    /// Creates a FlinkStateSnapshot and follows it to its end. Its name makes a repeated request safe.
    Snapshot {
        /// The FlinkStateSnapshot.
        named: ObjectName,
        /// The resource whose job it is of.
        of: ObjectName,
        /// A checkpoint, not a savepoint.
        checkpoint: bool,
        /// Where; the configured place if absent.
        directory: Option<String>,
        /// Its format.
        format: SavepointFormat,
    },
    /// Waits for what the operator makes of a resource.
    Await {
        /// The resource.
        of: ObjectName,
        /// `metadata.uid`, as seen.
        uid: String,
        /// What is awaited.
        wanted: Wanted,
    },
    /// Deletes a resource and follows the operator's steps until it and its pods are gone.
    Delete {
        /// The resource.
        of: ObjectName,
        /// `metadata.uid`, as seen: another object of that name is left alone.
        uid: String,
    },
}

/// What is awaited of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "await")]
pub enum Wanted {
    /// Its job is stopped.
    Suspended {
        /// By a savepoint, or it has failed.
        savepoint: bool,
        /// The path that was recorded before: what is the same is no new savepoint.
        before: Option<String>,
    },
    /// The operator has carried out these fields of the spec, and says that the job runs.
    Running {
        /// The fields.
        spec: Value,
    },
    /// Flink says that every task of its job runs.
    Tasks {
        /// It must have been restored from here.
        restore: Restore,
    },
    /// The first completed checkpoint of its job.
    Checkpoint,
    /// A savepoint or checkpoint that was asked for by a nonce.
    ByNonce {
        /// The nonce.
        nonce: i64,
        /// A checkpoint, not a savepoint.
        checkpoint: bool,
    },
}

impl Action {
    /// The action without what may be secret, for the journal.
    pub fn redacted(&self) -> Self {
        let mut redacted = self.clone();
        if let Self::CheckLaunch { launch, .. } | Self::Run { launch, .. } = &mut redacted {
            *launch = launch.redacted();
        }
        redacted
    }

    /// It changes something.
    pub fn has_effect(&self) -> bool {
        match self {
            Self::CheckLaunch { .. }
            | Self::AwaitRunning { .. }
            | Self::AwaitCheckpoint { .. }
            | Self::Await { .. } => false,
            Self::Savepoint { .. }
            | Self::Checkpoint { .. }
            | Self::Stop { .. }
            | Self::Cancel { .. }
            | Self::Run { .. }
            | Self::Rescale { .. }
            | Self::ShutDownCluster
            | Self::Patch { .. }
            | Self::Snapshot { .. }
            | Self::Delete { .. } => true,
        }
    }

    /// What kind of step it is: those of one kind take about as long as each other on one target.
    pub fn word(&self) -> &'static str {
        match self {
            Self::CheckLaunch { .. } => "check-launch",
            Self::Savepoint { .. } => "savepoint",
            Self::Checkpoint { .. } => "checkpoint",
            Self::Stop { .. } => "stop",
            Self::Cancel { .. } => "cancel",
            Self::Run { .. } => "run",
            Self::AwaitRunning { .. } => "await-running",
            Self::AwaitCheckpoint { .. } => "await-checkpoint",
            Self::Rescale { .. } => "rescale",
            Self::ShutDownCluster => "shut-down-cluster",
            Self::Patch { .. } => "patch",
            Self::Snapshot { checkpoint: false, .. } => "savepoint-resource",
            Self::Snapshot { checkpoint: true, .. } => "checkpoint-resource",
            Self::Await { wanted: Wanted::Suspended { .. }, .. } => "await-suspended",
            Self::Await { wanted: Wanted::Running { .. }, .. } => "await-resource",
            Self::Await { wanted: Wanted::Tasks { .. }, .. } => "await-tasks",
            Self::Await { wanted: Wanted::Checkpoint, .. } => "await-first-checkpoint",
            Self::Await { wanted: Wanted::ByNonce { .. }, .. } => "await-nonce",
            Self::Delete { .. } => "delete",
        }
    }
}

/// Where a step is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum StepState {
    /// Its turn has not come.
    Waiting,
    /// It is looked at, or its effect is awaited.
    Running,
    /// Its effect was seen.
    Done,
    /// It cannot succeed any more.
    Failed {
        /// Why, in Flink's or Kubernetes' words where they gave one.
        why: String,
    },
    /// Its effect did not show in time; it may still come.
    TimedOut {
        /// What was awaited.
        waiting_for: String,
    },
}

impl StepState {
    /// The word as shown.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed { .. } => "failed",
            Self::TimedOut { .. } => "timed out",
        }
    }
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Step {
    /// What it does, in the imperative: `stop the job with a savepoint`.
    pub name: String,
    /// What it does, for the machine.
    pub action: Action,
    /// How long it is expected to take.
    pub expected: Option<Duration>,
    /// Given up after this time.
    pub patience: Duration,
    /// The plan may be cancelled while this step runs.
    pub cancel_safe: bool,
    /// How things stand if the plan ends here unfinished.
    pub if_unfinished: String,
    /// Where it is.
    pub state: StepState,
    /// When it began.
    pub began_at: Option<Timestamp>,
    /// When its effect was first about to be sent: from then on it may have happened.
    pub sent_at: Option<Timestamp>,
    /// The newest checkpoint of the job right before its effect was sent.
    pub newest_before: Option<u64>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What came of it that later steps or people need: the path of a savepoint.
    pub result: Option<String>,
    /// What is awaited, or what was seen.
    pub note: Option<String>,
}

impl Step {
    /// A step that has not begun.
    pub fn new(name: impl Into<String>, action: Action, patience: Duration) -> Self {
        Self {
            name: name.into(),
            action,
            expected: None,
            patience,
            cancel_safe: true,
            if_unfinished: "nothing has changed".into(),
            state: StepState::Waiting,
            began_at: None,
            sent_at: None,
            newest_before: None,
            ended_at: None,
            result: None,
            note: None,
        }
    }

    /// Expected to take so long.
    #[must_use]
    pub fn taking(mut self, expected: Option<Duration>) -> Self {
        self.expected = expected;
        self
    }

    /// Must not be cancelled once it runs; if the plan ends here, this is how things stand.
    #[must_use]
    pub fn unsafe_to_cancel(mut self, if_unfinished: impl Into<String>) -> Self {
        self.cancel_safe = false;
        self.if_unfinished = if_unfinished.into();
        self
    }

    /// How things stand if the plan ends here.
    #[must_use]
    pub fn leaving(mut self, if_unfinished: impl Into<String>) -> Self {
        self.if_unfinished = if_unfinished.into();
        self
    }
}
