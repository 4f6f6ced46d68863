//! Plans on plain Flink, as a pure function of what was just seen: what will happen, what is lost, how long it takes, what forbids
//! it (`flink-rest.md` §6).

use std::collections::BTreeMap;
use std::time::Duration;

use super::observe::{ClusterSeen, JobSeen, LaunchSeen};
use crate::domain::Timestamp;
use crate::domain::command::Issuer;
use crate::domain::decision::DecisionId;
use crate::domain::freshness::age;
use crate::domain::ids::{JobId, TriggerId, VertexId};
use crate::domain::job::JobState;
use crate::domain::kubernetes::FieldChange;
use crate::domain::plan::{
    Action, Danger, Launch, Operation, Origin, Plan, PlanId, PlanState, PlanTarget, Restore, SavepointFormat, Shutdown,
    SnapshotFact, Step, StepState,
};

/// A job answers a cancellation within `task.cancellation.timeout` (180 s), or its TaskManager is killed.
const CANCEL_PATIENCE: Duration = Duration::from_secs(240);
/// Flink waits so long for slots before a start fails (`submission.resource-wait-timeout`, `slot.request.timeout`: 5 min).
const START_PATIENCE: Duration = Duration::from_secs(360);
/// A checkpoint's time-out unless configured (`execution.checkpointing.timeout`).
const CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(600);
/// A JobManager that was told to end is gone within this time.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(60);
/// Requests that only ask.
const ASK_PATIENCE: Duration = Duration::from_secs(60);
/// What is added to a time-out of Flink's before it is held to be broken.
const SLACK: Duration = Duration::from_secs(30);

/// What every plan is made with, whatever it acts on.
#[derive(Debug)]
pub(super) struct Frame {
    pub id: PlanId,
    /// Makes the ids that the plan chooses.
    pub seed: u128,
    pub issuer: Issuer,
    pub now: Timestamp,
    pub target: PlanTarget,
    /// Plans of this process and of earlier ones.
    pub plans: Vec<Plan>,
    /// Why nothing may be done on the target now, as the loop knows it: read-only, another plan, a scaling under way.
    pub standing: Vec<String>,
    /// The last scaling of the job, if this process made one.
    pub scaling: Option<Scaling>,
}

/// A scaling that was carried out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scaling {
    pub decision: DecisionId,
    /// What came of it, in one sentence.
    pub outcome: String,
    /// Its vertices: name, parallelism before and after.
    pub changes: Vec<(String, i32, i32)>,
    /// The parallelism before.
    pub before: BTreeMap<VertexId, i32>,
    /// The parallelism it wanted.
    pub after: BTreeMap<VertexId, i32>,
}

/// The draft of a way back to the parallelism before the last scaling, its steps still to come.
pub(super) fn rollback_draft(scaling: Option<&Scaling>) -> Draft {
    let Some(scaling) = scaling else {
        let mut draft = Draft::new(Danger::Restart, "go back to the parallelism before the last scaling");
        draft.blocks.push("no scaling of this job by this flightdeck is known".to_owned());
        return draft;
    };
    let back: Vec<String> = scaling.changes.iter().map(|(name, from, to)| format!("{name} {to} → {from}")).collect();
    let summary = format!("go back to the parallelism before decision {}: {}", scaling.decision, back.join(", "));
    let mut draft = Draft::new(Danger::Restart, summary);
    draft.notes.push(scaling.outcome.clone());
    draft
}

impl Frame {
    pub fn trigger(&self, index: u128) -> TriggerId {
        TriggerId::from_u128(self.seed.wrapping_add(index))
    }

    /// Plans on the same target, whatever run of it.
    pub fn of_target(&self) -> impl Iterator<Item = &Plan> {
        let (cluster, name) = (&self.target.cluster, &self.target.name);
        self.plans.iter().filter(move |plan| plan.target.cluster == *cluster && plan.target.name == *name)
    }

    /// The draft as a plan, with the times that the same steps took before on this target.
    pub fn finish(self, operation: &Operation, mut draft: Draft, choices: Vec<SnapshotFact>) -> Plan {
        for step in &mut draft.steps {
            step.expected = step.expected.or_else(|| took_before(self.of_target(), step.action.word()));
        }
        draft.blocks.extend(self.standing);
        Plan {
            id: self.id,
            operation: operation.clone(),
            target: self.target,
            issuer: self.issuer,
            made_at: self.now,
            danger: draft.danger,
            summary: draft.summary,
            lost: draft.lost,
            notes: draft.notes,
            choices,
            changes: draft.changes,
            blocks: draft.blocks,
            steps: draft.steps,
            state: PlanState::Proposed,
            began_at: None,
            ended_at: None,
        }
    }
}

/// How long a kind of step took in earlier plans: the median of those that were done.
fn took_before<'a>(plans: impl Iterator<Item = &'a Plan>, word: &str) -> Option<Duration> {
    let done = |step: &&Step| step.state == StepState::Done && step.action.word() == word;
    let took = |step: &Step| (step.ended_at? - step.began_at?).to_std().ok();
    let mut all: Vec<Duration> = plans.flat_map(|plan| plan.steps.iter().filter(done).filter_map(took)).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied()
}

/// Everything a plan on plain Flink is made from.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub frame: Frame,
    pub cluster: &'a ClusterSeen,
    pub job: Option<&'a JobSeen>,
    pub launch: Option<&'a LaunchSeen>,
}

impl Seen<'_> {
    fn trigger(&self, index: u128) -> TriggerId {
        self.frame.trigger(index)
    }

    fn new_job(&self) -> JobId {
        JobId::from_u128(!self.frame.seed)
    }
}

/// A plan that is being made.
#[derive(Debug)]
pub(super) struct Draft {
    pub danger: Danger,
    pub summary: String,
    pub lost: Vec<String>,
    pub notes: Vec<String>,
    pub changes: Vec<FieldChange>,
    pub blocks: Vec<String>,
    pub steps: Vec<Step>,
}

impl Draft {
    pub fn new(danger: Danger, summary: impl Into<String>) -> Self {
        Self {
            danger,
            summary: summary.into(),
            lost: Vec::new(),
            notes: Vec::new(),
            changes: Vec::new(),
            blocks: Vec::new(),
            steps: Vec::new(),
        }
    }
}

/// The plan of an operation on plain Flink.
pub(super) fn propose(operation: &Operation, seen: Seen<'_>) -> Plan {
    let draft = match (operation, seen.job) {
        (Operation::Shutdown { form, savepoint }, _) => shutdown(*form, *savepoint, &seen),
        (_, None) => {
            let mut draft = Draft::new(Danger::Loss, format!("{} a whole cluster", operation.word()));
            draft.blocks.push(format!("{} is about one job: say which", operation.word()));
            draft
        }
        (Operation::Savepoint { format, directory }, Some(job)) => savepoint(*format, directory.as_deref(), job, &seen),
        (Operation::Checkpoint, Some(job)) => checkpoint(job, &seen),
        (Operation::StopWithSavepoint { format, directory }, Some(job)) => {
            let mut draft = Draft::new(Danger::Restart, "take a savepoint and stop the job with it");
            must_run(&mut draft, job, "stop it with a savepoint");
            stop(&mut draft, *format, directory.as_deref(), job, &seen, 0);
            draft.notes.push(WAY_BACK.to_owned());
            draft
        }
        (Operation::Cancel, Some(job)) => {
            let mut draft = Draft::new(Danger::Loss, "cancel the job without a savepoint");
            if job.summary.state.is_terminal() {
                draft.blocks.push(format!("the job has ended already: it is {}", job.summary.state.name()));
            }
            lost_since_checkpoint(&mut draft, job, seen.frame.now);
            cancel(&mut draft, job, "");
            draft
        }
        (Operation::Redeploy { origin, allow_non_restored, .. }, Some(job)) => {
            redeploy(origin, *allow_non_restored, job, &seen)
        }
        (Operation::Rollback, Some(job)) => rollback(job, &seen),
        (Operation::Suspend | Operation::Resume | Operation::Restart, Some(_)) => {
            let mut draft = Draft::new(Danger::Restart, format!("{} the job", operation.word()));
            draft.blocks.push(
                "no operator describes this job; on plain Flink use stop and redeploy, which keep its state".to_owned(),
            );
            draft
        }
    };
    let choices = match (operation, seen.job) {
        (Operation::Redeploy { .. }, Some(job)) => choices(job, &seen),
        _ => Vec::new(),
    };
    seen.frame.finish(operation, draft, choices)
}

/// Snapshots that are offered at most.
pub(super) const CHOICES: usize = 20;

/// What the job could start from.
fn choices(job: &JobSeen, seen: &Seen<'_>) -> Vec<SnapshotFact> {
    let flink = job.checkpoints.as_ref().map(|checkpoints| (job.id(), checkpoints));
    let mut all = super::inventory::of_job(flink, None, seen.frame.of_target());
    all.truncate(CHOICES);
    all
}

const WAY_BACK: &str = "the way back: redeploy the job from the savepoint that is taken";

fn must_run(draft: &mut Draft, job: &JobSeen, to: &str) {
    let (state, tasks) = (job.summary.state, job.tasks());
    if state != JobState::Running {
        draft.blocks.push(format!("the job is {}; it must be RUNNING to {to}", state.name()));
    } else if tasks.running != tasks.total {
        draft.notes.push(format!(
            "only {} of {} tasks run; Flink refuses savepoints until all do",
            tasks.running, tasks.total
        ));
    }
}

/// Where savepoints go, and what is known of how long one takes.
fn savepoint_facts(draft: &mut Draft, directory: Option<&str>, job: &JobSeen, seen: &Seen<'_>) {
    match (directory, seen.cluster.savepoint_directory()) {
        (Some(directory), _) => match crate::domain::savepoint::check_path(directory) {
            Ok(()) => draft.notes.push(format!("the savepoint goes to {directory}")),
            Err(why) => draft.blocks.push(why),
        },
        (None, Some(directory)) => draft.notes.push(format!("the savepoint goes to {directory}")),
        (None, None) => draft.notes.push(format!(
            "{} is not set on the cluster: unless the job's own configuration sets it, Flink will refuse; name a directory",
            seen.cluster.savepoint_key()
        )),
    }
    let checkpoints = job.checkpoints.as_ref();
    let measured = checkpoints.and_then(|c| c.latest_savepoint.as_ref()).and_then(|s| s.duration);
    match (measured, checkpoints.and_then(|c| c.durations)) {
        (Some(took), _) => draft.notes.push(format!("the last savepoint took {}", seconds(took))),
        (None, Some(d)) => draft.notes.push(format!(
            "no savepoint of this run was measured; its checkpoints take {} (p99 {})",
            seconds(Duration::from_millis(d.avg.max(0.0) as u64)),
            seconds(Duration::from_millis(d.p99.max(0.0) as u64))
        )),
        (None, None) => draft.notes.push("how long it takes is not known: nothing was measured yet".to_owned()),
    }
}

fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} s", time.as_secs())
    }
}

/// The last savepoint's time, if one was measured.
fn measured(job: &JobSeen) -> Option<Duration> {
    job.checkpoints.as_ref()?.latest_savepoint.as_ref()?.duration
}

/// Flink itself ends a savepoint that takes longer.
fn savepoint_patience(job: &JobSeen) -> Duration {
    job.checkpointing.as_ref().and_then(|c| c.timeout).unwrap_or(CHECKPOINT_TIMEOUT) + SLACK
}

fn savepoint(format: SavepointFormat, directory: Option<&str>, job: &JobSeen, seen: &Seen<'_>) -> Draft {
    let mut draft = Draft::new(Danger::Effect, "take a savepoint; the job goes on running");
    must_run(&mut draft, job, "take a savepoint");
    savepoint_facts(&mut draft, directory, job, seen);
    let action =
        Action::Savepoint { job: job.id(), trigger: seen.trigger(0), directory: directory.map(str::to_owned), format };
    draft.steps.push(
        Step::new("take a savepoint", action, savepoint_patience(job))
            .taking(measured(job))
            .leaving("the job goes on running; Flink may still complete the savepoint"),
    );
    draft
}

fn checkpoint(job: &JobSeen, seen: &Seen<'_>) -> Draft {
    let mut draft = Draft::new(Danger::Effect, "make a full checkpoint now; the job goes on running");
    must_run(&mut draft, job, "make a checkpoint");
    let action = Action::Checkpoint { job: job.id(), trigger: seen.trigger(0) };
    let taking =
        job.checkpoints.as_ref().and_then(|c| c.durations).map(|d| Duration::from_millis(d.avg.max(0.0) as u64));
    draft.steps.push(
        Step::new("make a checkpoint", action, savepoint_patience(job))
            .taking(taking)
            .leaving("the job goes on running; Flink may still complete the checkpoint"),
    );
    draft
}

fn stop(
    draft: &mut Draft,
    format: SavepointFormat,
    directory: Option<&str>,
    job: &JobSeen,
    seen: &Seen<'_>,
    index: u128,
) {
    savepoint_facts(draft, directory, job, seen);
    let action =
        Action::Stop { job: job.id(), trigger: seen.trigger(index), directory: directory.map(str::to_owned), format };
    let name = format!("stop {} with a savepoint", job.summary.name);
    draft.steps.push(
        Step::new(name, action, savepoint_patience(job) + CANCEL_PATIENCE).taking(measured(job)).unsafe_to_cancel(
            "the job may be stopping: if its savepoint fails it goes on running, else it is FINISHED",
        ),
    );
}

fn rollback(job: &JobSeen, seen: &Seen<'_>) -> Draft {
    let scaling = seen.frame.scaling.as_ref();
    let mut draft = rollback_draft(scaling);
    if job.summary.state.is_terminal() {
        draft.blocks.push(format!("the job has ended: it is {}", job.summary.state.name()));
    }
    let Some(scaling) = scaling else { return draft };
    if scaling.before.keys().any(|vertex| !job.vertices.contains(vertex)) {
        draft.blocks.push("the job has other vertices now".to_owned());
    }
    let action = Action::Rescale { job: job.id(), parallelism: scaling.before.clone() };
    draft.steps.push(
        Step::new("give the vertices their parallelism back", action, START_PATIENCE)
            .leaving("Flink may have taken the parallelism and rescales by itself"),
    );
    draft.steps.push(
        Step::new(
            "wait until every task runs",
            Action::AwaitRunning { job: job.id(), restore: Restore::Nothing },
            START_PATIENCE,
        )
        .leaving("Flink rescales the job by itself"),
    );
    draft
}

fn cancel(draft: &mut Draft, job: &JobSeen, after: &str) {
    let name = format!("cancel {}{after}", job.summary.name);
    draft.steps.push(
        Step::new(name, Action::Cancel { job: job.id() }, CANCEL_PATIENCE)
            .unsafe_to_cancel("the job may be cancelling: that cannot be taken back"),
    );
}

/// What a cancellation gives up, and what is left to come back to.
fn lost_since_checkpoint(draft: &mut Draft, job: &JobSeen, now: Timestamp) {
    if job.summary.state.is_terminal() {
        return;
    }
    let last = job.checkpoints.as_ref().and_then(|c| c.latest_completed.as_ref());
    match last {
        None => draft.lost.push("all state: the job has no completed checkpoint".to_owned()),
        Some(last) => {
            let old = age(last.triggered_at, now).as_secs();
            draft.lost.push(format!("the state since the last completed checkpoint, {old} s ago"));
            if let Some(path) = &last.external_path {
                draft.notes.push(format!(
                    "that checkpoint stays at {path} only if the job retains checkpoints on cancellation"
                ));
            }
        }
    }
}

fn redeploy(origin: &Origin, allow_non_restored: bool, job: &JobSeen, seen: &Seen<'_>) -> Draft {
    let ended = job.summary.state.is_terminal();
    let summary = match origin {
        Origin::Now => "stop the job with a savepoint and start it again from it".to_owned(),
        Origin::Path(path) => format!("discard the present state and start the job again from {path}"),
        Origin::Empty => "discard all state and start the job again from nothing".to_owned(),
    };
    let mut draft = Draft::new(Danger::Loss, summary);
    let launch = launch(&mut draft, job, seen);
    draft.steps.push(
        Step::new(
            "check what would be started",
            Action::CheckLaunch { launch: launch.clone(), vertices: job.vertices.clone() },
            ASK_PATIENCE,
        )
        .leaving("nothing has changed: the job runs as before"),
    );
    let restore = match origin {
        Origin::Now if ended => {
            draft.blocks.push(format!(
                "the job is {}: no savepoint can be taken of it; name one to start from",
                job.summary.state.name()
            ));
            Restore::Nothing
        }
        Origin::Now => {
            must_run(&mut draft, job, "take its savepoint");
            stop(&mut draft, SavepointFormat::Canonical, None, job, seen, 0);
            Restore::OfStep { step: draft.steps.len() - 1 }
        }
        Origin::Path(path) => {
            if let Err(why) = crate::domain::savepoint::check_path(path) {
                draft.blocks.push(why);
            }
            draft.notes.extend(super::inventory::known_of(path, &choices(job, seen)));
            Restore::Path { path: path.clone() }
        }
        Origin::Empty => Restore::Nothing,
    };
    if *origin != Origin::Now && !ended {
        lost_since_checkpoint(&mut draft, job, seen.frame.now);
        draft.lost.push(match origin {
            Origin::Empty => "everything the job has computed; sources begin where the program says".to_owned(),
            _ => {
                "what happened since that snapshot is read again where the sources allow it, and may reach sinks twice"
                    .to_owned()
            }
        });
        cancel(&mut draft, job, ", discarding its state");
    }
    if allow_non_restored {
        draft.lost.push("state of operators that the program no longer has (allowNonRestoredState)".to_owned());
    }
    start(&mut draft, launch, restore, allow_non_restored, job, seen);
    draft
}

/// The launch that will be used; without a sound one the plan is blocked.
fn launch(draft: &mut Draft, job: &JobSeen, seen: &Seen<'_>) -> Launch {
    if !seen.cluster.jars {
        draft.blocks.push(
            "this cluster does not serve /jars (web.submit.enable is false, or it runs a single application): it cannot start a \
             job"
                .to_owned(),
        );
        return Launch::default();
    }
    match seen.launch {
        Some(LaunchSeen::Runs { launch, vertices }) => {
            let missing = job.vertices.iter().filter(|v| !vertices.contains(v)).count();
            if missing > 0 {
                draft.blocks.push(format!(
                    "{missing} of the job's {} vertices are not in what {} would run: it is another program, or the graph changed",
                    job.vertices.len(),
                    launch.jar
                ));
            }
            launch.clone()
        }
        Some(LaunchSeen::Refused(why)) => {
            draft.blocks.push(format!("the cluster would not start it: {why}"));
            Launch::default()
        }
        Some(LaunchSeen::Unknown { jars }) => {
            let there = if jars.is_empty() { "no jars".to_owned() } else { jars.join(", ") };
            draft.blocks.push(format!(
                "Flink does not tell how the job was started: set launch in [[job]] of the config file, or name the jar and its \
                 arguments (uploaded: {there})"
            ));
            Launch::default()
        }
        None => {
            draft.blocks.push("what would be started was not looked at".to_owned());
            Launch::default()
        }
    }
}

fn start(
    draft: &mut Draft,
    launch: Launch,
    restore: Restore,
    allow_non_restored: bool,
    job: &JobSeen,
    seen: &Seen<'_>,
) {
    let new = seen.new_job();
    let needed = job.tasks().total;
    let from = match &restore {
        Restore::Nothing => "without state".to_owned(),
        Restore::Path { .. } | Restore::OfStep { .. } => "from the savepoint".to_owned(),
    };
    let run = Action::Run { job: new, launch, restore: restore.clone(), allow_non_restored };
    draft.steps.push(
        Step::new(format!("start {} {from}", job.summary.name), run, ASK_PATIENCE)
            .unsafe_to_cancel("the job is stopped and the new one may be starting"),
    );
    draft.steps.push(
        Step::new("wait until every task runs", Action::AwaitRunning { job: new, restore }, START_PATIENCE)
            .leaving(format!("the new job {new} is starting; Flink goes on by itself")),
    );
    if job.checkpointing.as_ref().is_some_and(|c| c.interval.is_some()) {
        let interval = job.checkpointing.as_ref().and_then(|c| c.interval).unwrap_or_default();
        draft.steps.push(
            Step::new(
                "wait for its first checkpoint",
                Action::AwaitCheckpoint { job: new },
                interval + savepoint_patience(job),
            )
            .taking(Some(interval))
            .leaving(format!("the new job {new} runs; it has no checkpoint of its own yet")),
        );
    }
    draft.notes.push(format!("the new job gets the id {new}"));
    if needed > 0 && seen.cluster.task_managers == 0 {
        draft.notes.push("the cluster has no TaskManager now: the start waits for one".to_owned());
    }
}

fn shutdown(form: Shutdown, savepoint: bool, seen: &Seen<'_>) -> Draft {
    let mut draft = Draft::new(Danger::Loss, "");
    let alive: Vec<_> = seen.cluster.jobs.iter().filter(|j| !j.state.is_terminal()).collect();
    draft.summary = match form {
        Shutdown::Stop => format!("stop {} jobs; the cluster stays", alive.len()),
        Shutdown::Remove => format!("stop {} jobs, then end the JobManager", alive.len()),
    };
    if form == Shutdown::Stop && savepoint {
        draft.danger = Danger::Restart;
    }
    if !savepoint && !alive.is_empty() {
        draft.lost.push(format!("the state of {} jobs since their last retained checkpoints", alive.len()));
    }
    let busy: Vec<&str> =
        alive.iter().filter(|j| savepoint && j.state != JobState::Running).map(|j| j.name.as_str()).collect();
    if !busy.is_empty() {
        draft.blocks.push(format!("{} cannot take a savepoint now: not RUNNING", busy.join(", ")));
    }
    if savepoint && seen.cluster.savepoint_directory().is_none() && !alive.is_empty() {
        draft.notes.push(format!(
            "{} is not set on the cluster: jobs that do not set it themselves cannot be stopped with a savepoint",
            seen.cluster.savepoint_key()
        ));
    }
    for (index, job) in (0_u128..).zip(&alive) {
        let step = if savepoint {
            let (directory, format) = (None, SavepointFormat::Canonical);
            let action = Action::Stop { job: job.id, trigger: seen.trigger(index), directory, format };
            Step::new(format!("stop {} with a savepoint", job.name), action, CHECKPOINT_TIMEOUT + CANCEL_PATIENCE)
        } else {
            Step::new(format!("cancel {}", job.name), Action::Cancel { job: job.id }, CANCEL_PATIENCE)
        };
        draft
            .steps
            .push(step.unsafe_to_cancel(format!("{index} of {} jobs are stopped, one may be stopping", alive.len())));
    }
    if form == Shutdown::Remove {
        draft.steps.push(
            Step::new("end the JobManager", Action::ShutDownCluster, SHUTDOWN_PATIENCE)
                .unsafe_to_cancel("the jobs are stopped and the JobManager may be ending"),
        );
        draft.notes.push(format!(
            "TaskManagers that were started by hand stay and look for a JobManager: {} run now; stop them where they were \
             started",
            seen.cluster.task_managers
        ));
        draft.notes.push("files of high availability and of checkpoints stay where they are".to_owned());
    }
    if draft.steps.is_empty() {
        draft.blocks.push("no job runs on the cluster: there is nothing to stop".to_owned());
    }
    draft
}
