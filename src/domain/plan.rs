//! Plans: an operation on state as named steps, shown before it starts and journaled before each effect.
//!
//! A [`Plan`] is data: made from the observed state, changed only by [`PlanEvent`]s, so that the journal can give it back after
//! a crash exactly as it stood.

mod step;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Timestamp;
use super::command::Issuer;
use super::ids::{ClusterKey, JobId, JobKey, RunId};
use super::kubernetes::FieldChange;
pub use step::{Action, Launch, Restore, Step, StepState, Wanted};

/// Identity of a plan, chosen by whoever asks for it. Shown as 8 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanId(pub u32);

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}
impl fmt::Debug for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}
impl FromStr for PlanId {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let wrong = || format!("a plan id has 8 hexadecimal digits, got {s:?}");
        if s.len() != 8 || !s.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        u32::from_str_radix(s, 16).map(Self).map_err(|_| wrong())
    }
}
impl Serialize for PlanId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for PlanId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// How much an operation can hurt, and so what confirms it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Danger {
    /// 1: an effect without a restart; `y`.
    Effect,
    /// 2: restarts or stops a job and keeps its state; a dialog, then `y`.
    Restart,
    /// 3: can lose state or removes something; the name is typed.
    Loss,
}

impl Danger {
    /// The level as a number.
    pub fn level(self) -> u8 {
        match self {
            Self::Effect => 1,
            Self::Restart => 2,
            Self::Loss => 3,
        }
    }
}

/// Format of a savepoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SavepointFormat {
    /// Independent of the state backend.
    #[default]
    Canonical,
    /// The state backend's own: faster.
    Native,
}

/// Where a redeploy starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "from", content = "path")]
pub enum Origin {
    /// A savepoint that is taken as the job is stopped: nothing is lost.
    Now,
    /// A savepoint or retained checkpoint.
    Path(String),
    /// Nothing: empty state.
    Empty,
}

/// How a cluster is shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shutdown {
    /// Jobs stop with their state; what describes them stays.
    Stop,
    /// Everything goes.
    Remove,
}

/// What is wanted of a job or cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "operation")]
pub enum Operation {
    /// A savepoint of a job that goes on running.
    Savepoint {
        /// Its format.
        format: SavepointFormat,
        /// Where; the configured place if absent.
        directory: Option<String>,
    },
    /// A checkpoint now.
    Checkpoint,
    /// A savepoint, then the end of the job.
    StopWithSavepoint {
        /// Its format.
        format: SavepointFormat,
        /// Where; the configured place if absent.
        directory: Option<String>,
    },
    /// The end of the job, without a savepoint.
    Cancel,
    /// Starts the job again from a savepoint or from nothing.
    Redeploy {
        /// From where.
        origin: Origin,
        /// State that the program no longer has may be dropped.
        allow_non_restored: bool,
        /// What to run, where the target does not say so itself; the configured launch if absent.
        launch: Option<Launch>,
    },
    /// Stops a job through its resource; the resource stays.
    Suspend,
    /// Starts a suspended job again.
    Resume,
    /// Stops and starts a job by its upgrade mode.
    Restart,
    /// Goes back to the parallelism before the last scaling.
    Rollback,
    /// Stops or removes a cluster with everything on it, in order.
    Shutdown {
        /// Which form.
        form: Shutdown,
        /// Every job takes a savepoint as it is stopped.
        savepoint: bool,
    },
}

impl Operation {
    /// Its name, as it is written on the command line.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Savepoint { .. } => "savepoint",
            Self::Checkpoint => "checkpoint",
            Self::StopWithSavepoint { .. } => "stop",
            Self::Cancel => "cancel",
            Self::Redeploy { .. } => "redeploy",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Restart => "restart",
            Self::Rollback => "rollback",
            Self::Shutdown { .. } => "shutdown",
        }
    }
}

/// Whom a plan touches, frozen when it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlanTarget {
    /// The job; none if the plan is about a cluster.
    pub job: Option<JobKey>,
    /// The cluster.
    pub cluster: ClusterKey,
    /// Kube context or Flink source, as shown.
    pub context: String,
    /// Namespace, if any.
    pub namespace: Option<String>,
    /// Name, as shown and as typed to confirm.
    pub name: String,
    /// `metadata.uid`, or Flink's job id, or the address of a cluster.
    pub uid: String,
    /// `metadata.generation`, if any.
    pub generation: Option<i64>,
    /// The run that was seen.
    pub run: Option<RunId>,
}

/// Where a plan is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum PlanState {
    /// Shown; nothing was done. It waits for a confirmation.
    Proposed,
    /// Its steps are carried out.
    Running,
    /// It stopped in the middle and can be resumed or abandoned.
    Interrupted {
        /// Why.
        why: String,
    },
    /// Every step is done.
    Done,
    /// A step failed for good.
    Failed {
        /// Why, and how things stand.
        why: String,
    },
    /// Cancelled by a person.
    Cancelled {
        /// How things stand.
        standing: String,
    },
    /// Left as it was by a person.
    Abandoned {
        /// How things stand.
        standing: String,
    },
}

impl PlanState {
    /// The word as shown.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Running => "running",
            Self::Interrupted { .. } => "interrupted",
            Self::Done => "done",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
            Self::Abandoned { .. } => "abandoned",
        }
    }

    /// Why it is so, or how things stand, where that was recorded.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Proposed | Self::Running | Self::Done => None,
            Self::Interrupted { why } | Self::Failed { why } => Some(why),
            Self::Cancelled { standing } | Self::Abandoned { standing } => Some(standing),
        }
    }

    /// Nothing will happen to it any more.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Proposed | Self::Running | Self::Interrupted { .. } => false,
            Self::Done | Self::Failed { .. } | Self::Cancelled { .. } | Self::Abandoned { .. } => true,
        }
    }

    /// It was confirmed and has not come to an end.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Running | Self::Interrupted { .. })
    }
}

/// An operation as named steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Plan {
    /// Identity.
    pub id: PlanId,
    /// What was asked for.
    pub operation: Operation,
    /// Whom it touches.
    pub target: PlanTarget,
    /// Who asked.
    pub issuer: Issuer,
    /// When it was made.
    pub made_at: Timestamp,
    /// How much it can hurt.
    pub danger: Danger,
    /// What will happen, in one sentence.
    pub summary: String,
    /// What is lost or done again.
    pub lost: Vec<String>,
    /// What is worth knowing before.
    pub notes: Vec<String>,
    /// What a redeploy could start from, newest usable first.
    pub choices: Vec<SnapshotFact>,
    /// What would change in resources, as the server answered to a dry run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChange>,
    /// What forbids it; with any of these it cannot be run.
    pub blocks: Vec<String>,
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// Where it is.
    pub state: PlanState,
    /// When it began.
    pub began_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// What happens to a plan; the only way it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum PlanEvent {
    /// It was confirmed with everything that was shown.
    Opened {
        /// As it was shown.
        plan: Box<Plan>,
    },
    /// A step begins.
    Began {
        /// Its index.
        step: usize,
    },
    /// The effect of a step is about to be sent.
    Sending {
        /// Its index.
        step: usize,
        /// The newest checkpoint of the job right before: what is newer came after.
        newest: Option<u64>,
    },
    /// A step ended.
    Ended {
        /// Its index.
        step: usize,
        /// How.
        state: StepState,
        /// What came of it.
        result: Option<String>,
        /// What was seen.
        note: Option<String>,
    },
    /// The plan goes on after it stood still.
    Resumed {
        /// By whom.
        issuer: Issuer,
    },
    /// The plan stands in another state.
    Became {
        /// Which.
        state: PlanState,
    },
}

impl Plan {
    /// Takes in what happened at an instant.
    pub fn take_in(&mut self, event: &PlanEvent, at: Timestamp) {
        match event {
            PlanEvent::Opened { .. } => {
                self.state = PlanState::Running;
                self.began_at = Some(at);
            }
            PlanEvent::Began { step } => {
                if let Some(step) = self.steps.get_mut(*step) {
                    step.state = StepState::Running;
                    step.began_at.get_or_insert(at);
                    step.ended_at = None;
                }
            }
            PlanEvent::Sending { step, newest } => {
                if let Some(step) = self.steps.get_mut(*step)
                    && step.sent_at.is_none()
                {
                    step.sent_at = Some(at);
                    step.newest_before = *newest;
                }
            }
            PlanEvent::Ended { step, state, result, note } => {
                if let Some(step) = self.steps.get_mut(*step) {
                    step.state = state.clone();
                    step.ended_at = Some(at);
                    step.result.clone_from(result);
                    step.note.clone_from(note);
                }
            }
            PlanEvent::Resumed { .. } => {
                self.state = PlanState::Running;
                self.ended_at = None;
            }
            PlanEvent::Became { state } => {
                self.state = state.clone();
                self.ended_at = state.is_final().then_some(at);
            }
        }
    }

    /// The first step that is not done.
    pub fn current(&self) -> Option<usize> {
        self.steps.iter().position(|step| step.state != StepState::Done)
    }

    /// The first step that is not done, with its number from 1.
    pub fn current_step(&self) -> Option<(usize, &Step)> {
        (1..).zip(&self.steps).find(|(_, step)| step.state != StepState::Done)
    }

    /// How things stand now, in one sentence.
    pub fn standing(&self) -> String {
        let Some(step) = self.current().and_then(|index| self.steps.get(index)) else { return "it is done".into() };
        let taken = self.steps.iter().rev().find_map(|s| s.result.as_deref());
        match taken {
            Some(path) => format!("{}; the savepoint that was taken: {path}", step.if_unfinished),
            None => step.if_unfinished.clone(),
        }
    }

    /// Why it must not be cancelled now, if so.
    pub fn must_go_on(&self) -> Option<String> {
        let step = self.current().and_then(|index| self.steps.get(index))?;
        let under_way = step.state != StepState::Waiting || self.steps.first().is_some_and(|s| s.began_at.is_some());
        (under_way && !step.cancel_safe)
            .then(|| format!("it cannot be cancelled safely at \"{}\": {}", step.name, step.if_unfinished))
    }

    /// How long it is expected to take, where every step says so or nothing is known of some: the sum of what is known.
    pub fn expected(&self) -> Option<Duration> {
        let known: Vec<Duration> = self.steps.iter().filter_map(|s| s.expected).collect();
        (!known.is_empty()).then(|| known.iter().sum())
    }

    /// The plan without what may be secret.
    pub fn redacted(&self) -> Self {
        let mut redacted = self.clone();
        for step in &mut redacted.steps {
            step.action = step.action.redacted();
        }
        if let Operation::Redeploy { launch: Some(launch), .. } = &mut redacted.operation {
            *launch = launch.redacted();
        }
        redacted
    }
}

/// Where it is known from that a snapshot exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotSource {
    /// Flink's checkpoint statistics.
    Flink,
    /// The operator's status of a resource.
    Status,
    /// A FlinkStateSnapshot resource.
    StateSnapshot,
    /// A plan of ours that took it.
    Journal,
}

/// Whether a snapshot can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Flink or the operator says that it is complete, and nothing says that it was removed.
    Verified,
    /// It was removed.
    Disposed,
    /// Nobody says.
    Unknown,
}

impl Standing {
    /// The word as shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Disposed => "disposed",
            Self::Unknown => "not verified",
        }
    }
}

/// A savepoint or checkpoint that a job can start from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SnapshotFact {
    /// Where it is.
    pub path: String,
    /// A savepoint, not a checkpoint.
    pub savepoint: bool,
    /// Its format, where it is told.
    pub format: Option<SavepointFormat>,
    /// When it was triggered.
    pub at: Timestamp,
    /// How long it took.
    pub took: Option<Duration>,
    /// Size of the state, bytes.
    pub size: Option<u64>,
    /// Of which job.
    pub job: Option<JobId>,
    /// Flink's number.
    pub number: Option<u64>,
    /// Where it is known from.
    pub source: SnapshotSource,
    /// Whether it can be relied on.
    pub standing: Standing,
}

/// Of whom a plan is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlanSubject {
    /// Of a job.
    Job(JobKey),
    /// Of a cluster with everything on it.
    Cluster(ClusterKey),
}

/// What somebody wants of plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "wanted")]
pub enum PlanOrder {
    /// Make a plan and show it; nothing is done.
    Propose {
        /// The id it gets.
        plan: PlanId,
        /// Of whom.
        subject: PlanSubject,
        /// What is wanted.
        operation: Operation,
    },
    /// Carry out a plan that was shown.
    Run {
        /// Which.
        plan: PlanId,
        /// What the person confirmed with.
        confirmation: Confirmation,
    },
    /// Go on with a plan that was interrupted.
    Resume {
        /// Which.
        plan: PlanId,
        /// What the person confirmed with.
        confirmation: Confirmation,
    },
    /// Leave an interrupted plan as it is.
    Abandon {
        /// Which.
        plan: PlanId,
    },
    /// End a running plan where that is safe, or put a proposed one away.
    Cancel {
        /// Which.
        plan: PlanId,
    },
}

impl PlanOrder {
    /// The order without what may be secret.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let mut redacted = self.clone();
        if let Self::Propose { operation: Operation::Redeploy { launch: Some(launch), .. }, .. } = &mut redacted {
            *launch = launch.redacted();
        }
        redacted
    }

    /// The plan it is about.
    pub fn plan(&self) -> PlanId {
        match self {
            Self::Propose { plan, .. }
            | Self::Run { plan, .. }
            | Self::Resume { plan, .. }
            | Self::Abandon { plan }
            | Self::Cancel { plan } => *plan,
        }
    }
}

/// What a person confirmed a plan with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "confirmed")]
pub enum Confirmation {
    /// With `y` or `--yes`: enough up to level 2.
    Yes,
    /// By typing a name: enough if it is the target's.
    Name {
        /// What was typed.
        name: String,
    },
}

impl Confirmation {
    /// Whether it is enough for this plan.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub fn suffices(&self, plan: &Plan) -> Result<(), String> {
        match (plan.danger, self) {
            (Danger::Effect | Danger::Restart, Self::Yes) => Ok(()),
            (_, Self::Name { name }) if *name == plan.target.name => Ok(()),
            (_, Self::Name { name }) => Err(format!("{name:?} is not the name of the target, {:?}", plan.target.name)),
            (Danger::Loss, Self::Yes) => {
                Err(format!("it can lose state or removes something: confirm with the name, {:?}", plan.target.name))
            }
        }
    }
}

#[cfg(test)]
pub(crate) use tests::example;

#[cfg(test)]
mod tests;
