//! Plans: an operation on state as named steps, shown before it starts and journaled before each effect.
//!
//! A [`Plan`] is data: made from the observed state, changed only by [`PlanEvent`]s, so that the journal can give it back after
//! a crash exactly as it stood.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Timestamp;
use super::command::Issuer;
use super::ids::{ClusterKey, JobId, JobKey, RunId, TriggerId, VertexId};

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
            Self::Shutdown { .. } => "shutdown",
        }
    }
}

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
    pub configuration: std::collections::BTreeMap<String, String>,
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
        Self {
            left_out: Some(self.secret_hash()),
            args: Vec::new(),
            configuration: std::collections::BTreeMap::new(),
            ..self.clone()
        }
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
    /// `DELETE /cluster`, until it does not answer any more.
    ShutDownCluster,
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
            Self::CheckLaunch { .. } | Self::AwaitRunning { .. } | Self::AwaitCheckpoint { .. } => false,
            Self::Savepoint { .. }
            | Self::Checkpoint { .. }
            | Self::Stop { .. }
            | Self::Cancel { .. }
            | Self::Run { .. }
            | Self::ShutDownCluster => true,
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
