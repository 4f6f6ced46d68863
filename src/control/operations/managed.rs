//! Plans on what an operator manages, as a pure function of the resources as they were just read (`operator.md` §3–§5).

mod modes;
mod shutdown;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use self::modes::{Fate, mode_sentence};
use super::document::Document;
use super::inventory;
use super::observe::{ClusterSeen, JobSeen, SAVEPOINT_KEYS};
use super::propose::{Draft, Frame, rollback_draft};
use crate::control::adapters::kubernetes::APPLIED_ANNOTATION;
use crate::control::ownership::{OVERRIDES_KEY, format_overrides, parse_overrides};
use crate::domain::kubernetes::KubeFeatures;
use crate::domain::objects::{ObjectKind, ObjectName};
use crate::domain::plan::{Action, Danger, Operation, Origin, Restore, SavepointFormat, SnapshotFact, Step, Wanted};
use crate::domain::savepoint::check_path;

/// A write to the API server, conflicts included.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);
/// A savepoint, from the operator's next loop to its end: Flink itself gives up after 10 min.
const SAVEPOINT_PATIENCE: Duration = Duration::from_secs(780);
/// A stop with a savepoint blocks the operator up to the checkpoint's time-out (10 min), then the cluster is deleted (5 min).
const STOP_PATIENCE: Duration = Duration::from_secs(960);
/// A deployment with its pods, images and restore.
const START_PATIENCE: Duration = Duration::from_secs(900);
/// Flink waits so long for slots before a start fails (5 min).
const TASKS_PATIENCE: Duration = Duration::from_secs(360);
/// The first checkpoint of a job whose interval is not known.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(900);

/// What an operator manages, as it was just read.
#[derive(Debug)]
pub(super) struct Managed {
    pub frame: Frame,
    /// The resource that the plan is about.
    pub resource: Document,
    /// The session cluster of a session job.
    pub cluster: Option<Document>,
    /// The session jobs of a session cluster.
    pub session_jobs: Vec<Document>,
    pub features: KubeFeatures,
    /// The operator is known not to run: how that is known.
    pub dead: Option<String>,
    /// What Flink says, if it answers.
    pub flink: Option<ClusterSeen>,
    pub job: Option<JobSeen>,
    /// What it could start from, newest usable first.
    pub choices: Vec<SnapshotFact>,
}

impl Managed {
    /// A key of the configuration that a resource's job runs with, as far as it is known.
    fn setting(&self, of: &Document, key: &str) -> Option<String> {
        let cluster = self.cluster.as_ref().or((of.named != self.resource.named).then_some(&self.resource));
        let running = || self.flink.as_ref().and_then(|seen| seen.settings.get(key).cloned());
        of.setting(key).or_else(|| cluster.and_then(|cluster| cluster.setting(key))).or_else(running)
    }

    fn savepoint_directory(&self, of: &Document) -> Option<String> {
        SAVEPOINT_KEYS.iter().find_map(|key| self.setting(of, key))
    }

    fn savepoint_key(&self) -> &'static str {
        self.flink.as_ref().map_or(SAVEPOINT_KEYS[0], ClusterSeen::savepoint_key)
    }

    /// Snapshots are resources of their own here.
    fn uses_snapshots(&self, of: &Document) -> bool {
        let off = self.setting(of, "kubernetes.operator.snapshot.resource.enabled").is_some_and(|v| v == "false");
        self.features.state_snapshots && !off
    }
}

/// The plan of an operation on a resource, its dry runs still to come.
pub(super) fn propose(operation: &Operation, seen: &Managed) -> Draft {
    let resource = &seen.resource;
    let mut draft = match operation {
        Operation::Savepoint { format, directory } => savepoint(seen, *format, directory.as_deref()),
        Operation::Checkpoint => checkpoint(seen),
        Operation::Suspend => suspend(seen),
        Operation::Resume => resume(seen),
        Operation::Restart => restart(seen),
        Operation::Rollback => rollback(seen),
        Operation::Redeploy { origin, allow_non_restored, .. } => redeploy(seen, origin, *allow_non_restored),
        Operation::Shutdown { form, savepoint } => shutdown::shutdown(seen, *form, *savepoint),
        Operation::StopWithSavepoint { .. } | Operation::Cancel => {
            let mut draft =
                Draft::new(Danger::Loss, format!("{} the job behind the operator's back", operation.word()));
            draft.blocks.push("the operator would start the job again: use suspend, which keeps it stopped".to_owned());
            draft
        }
    };
    if !matches!(operation, Operation::Shutdown { .. }) && !resource.has_job() {
        draft.blocks.push(format!("{} is a session cluster: it has no job of its own", resource.name()));
    }
    if let Some(dead) = &seen.dead {
        draft.blocks.push(format!("{dead}: nothing would come of it; start the operator first"));
    }
    // The way out of a change that does not come to its end is another one.
    let way_out = matches!(operation, Operation::Redeploy { .. } | Operation::Resume);
    guard(&mut draft, resource, way_out);
    draft
}

/// What must be true of every resource that is acted on.
fn guard(draft: &mut Draft, resource: &Document, way_out: bool) {
    let name = resource.name();
    if resource.is_deleting() {
        draft.blocks.push(format!("{name} is being deleted: held by {}", resource.finalizers().join(", ")));
    }
    if let Some(owner) = resource.blue_green() {
        draft
            .blocks
            .push(format!("{name} belongs to the FlinkBlueGreenDeployment {owner}, which would undo it: change that"));
    }
    if resource.text("/status/reconciliationStatus/lastReconciledSpec").is_none() {
        draft
            .blocks
            .push(format!("the operator has never acted on {name}: is it running, and does it watch this namespace?"));
    } else if resource.is_behind() && !resource.is_suspended() {
        let what = format!(
            "the operator has not taken up the last change of {name} (generation {}, observed {}): {}",
            resource.generation(),
            resource.observed_generation().unwrap_or_default(),
            resource.error().unwrap_or_else(|| "it is at work, waits, or does not run".to_owned())
        );
        if way_out {
            draft.notes.push(what);
        } else {
            draft.blocks.push(what);
        }
    }
    let insists = resource.insists_on_job();
    if !insists.is_empty() {
        draft.notes.push(format!(
            "{} applies spec.job of {name} and may put it back: change it there too",
            insists.join(", ")
        ));
    }
}

/// A nonce that was not used.
fn nonce(resource: &Document, field: &str) -> i64 {
    let there = |spec: &Value| spec.pointer(field).and_then(Value::as_i64);
    let recorded = resource.reconciled().as_ref().and_then(there);
    there(resource.spec()).max(recorded).unwrap_or(0).max(0) + 1
}

/// A step that writes fields of the spec; `after` earlier patches of the plan.
fn patch(resource: &Document, name: &str, spec: Value, after: i64) -> Step {
    let action = Action::Patch {
        of: resource.named.clone(),
        uid: resource.uid().to_owned(),
        generation: resource.generation() + after,
        spec,
        path: None,
        annotations: BTreeMap::new(),
    };
    Step::new(name, action, WRITE_PATIENCE)
}

fn awaiting(resource: &Document, name: &str, wanted: Wanted, patience: Duration) -> Step {
    let action = Action::Await { of: resource.named.clone(), uid: resource.uid().to_owned(), wanted };
    Step::new(name, action, patience)
}

/// Where savepoints go and how they are taken; the steps that take one of a job that goes on running.
fn take_snapshot(
    draft: &mut Draft,
    seen: &Managed,
    of: &Document,
    checkpoint: bool,
    format: SavepointFormat,
    directory: Option<&str>,
) {
    let what = if checkpoint { "checkpoint" } else { "savepoint" };
    let name = of.name();
    if !of.runs() {
        draft.blocks.push(format!("{name} is {}; it must be RUNNING to take a {what}", of.job_state()));
    }
    if !checkpoint {
        match (directory.map(str::to_owned), seen.savepoint_directory(of)) {
            (Some(directory), _) => match check_path(&directory) {
                Ok(()) => draft.notes.push(format!("the savepoint goes to {directory}")),
                Err(why) => draft.blocks.push(why),
            },
            (None, Some(directory)) => draft.notes.push(format!("the savepoint goes to {directory}")),
            (None, None) => draft.notes.push(format!(
                "{} is not set in the resource: unless the operator's defaults set it, the savepoint will fail; set it or name a \
                 directory",
                seen.savepoint_key()
            )),
        }
    }
    if seen.uses_snapshots(of) {
        let resource = format!("{name}-{what}-flightdeck-{}", seen.frame.id);
        draft.notes.push(format!("it is the FlinkStateSnapshot {resource}; its files stay when that is deleted"));
        let action = Action::Snapshot {
            named: ObjectName::new(ObjectKind::FlinkStateSnapshot, &of.named.namespace, &resource),
            of: of.named.clone(),
            checkpoint,
            directory: directory.map(str::to_owned),
            format,
        };
        draft.steps.push(
            Step::new(format!("take a {what} of {name}"), action, SAVEPOINT_PATIENCE)
                .leaving(format!("the job goes on running; the operator may still complete the {what}")),
        );
        return;
    }
    let (field, info) = if checkpoint {
        ("checkpointTriggerNonce", "/status/jobStatus/checkpointInfo/triggerId")
    } else {
        ("savepointTriggerNonce", "/status/jobStatus/savepointInfo/triggerId")
    };
    if directory.is_some() {
        draft.blocks.push(
            "this operator takes savepoints by nonce, to the configured place only: name no directory".to_owned(),
        );
    }
    if of.text(info).is_some() {
        draft.blocks.push(format!("another {what} of {name} is in progress"));
    }
    if format == SavepointFormat::Native && !checkpoint {
        draft.notes.push("by nonce the format is what kubernetes.operator.savepoint.format.type says".to_owned());
    }
    let nonce = nonce(of, &format!("/job/{field}"));
    let spec = json!({"job": {field: nonce}});
    draft.steps.push(
        patch(of, &format!("write a fresh {field}"), spec, 0).leaving(format!("the operator may take the {what}")),
    );
    draft.steps.push(
        awaiting(
            of,
            &format!("wait for the {what} of {name}"),
            Wanted::ByNonce { nonce, checkpoint },
            SAVEPOINT_PATIENCE,
        )
        .leaving(format!("the job goes on running; the operator may still complete the {what}")),
    );
}

fn savepoint(seen: &Managed, format: SavepointFormat, directory: Option<&str>) -> Draft {
    let mut draft = Draft::new(Danger::Effect, "take a savepoint; the job goes on running");
    take_snapshot(&mut draft, seen, &seen.resource, false, format, directory);
    draft
}

fn checkpoint(seen: &Managed) -> Draft {
    let mut draft = Draft::new(Danger::Effect, "make a checkpoint now; the job goes on running");
    take_snapshot(&mut draft, seen, &seen.resource, true, SavepointFormat::Canonical, None);
    draft
}

/// What the upgrade mode makes of the job is said, and what is lost decides how it is confirmed.
fn by_mode(seen: &Managed, doing: &str) -> Draft {
    let (sentence, fate) = mode_sentence(seen, &seen.resource);
    let mut draft = Draft::new(Danger::Restart, format!("{doing}. {sentence}"));
    take_fate(&mut draft, seen.resource.name(), fate);
    draft
}

/// What becomes of a job's state.
fn take_fate(draft: &mut Draft, name: &str, fate: Fate) {
    match fate {
        Fate::Kept => {}
        Fate::Repeated(what) => draft.lost.push(what),
        Fate::Lost => {
            draft.danger = Danger::Loss;
            draft.lost.push(format!("all state of {name}"));
        }
        Fate::Waits(why) => draft.notes.push(why),
        Fate::Impossible(why) => draft.blocks.push(why),
    }
}

fn suspend(seen: &Managed) -> Draft {
    let resource = &seen.resource;
    let mut draft = by_mode(seen, "suspend the job; its resource stays");
    if resource.wants_suspended() {
        draft.blocks.push("it is suspended already".to_owned());
    }
    draft.notes.push(format!("to resume: flightdeck op run resume {}/{}", resource.named.namespace, resource.name()));
    suspend_steps(&mut draft, resource, json!({"job": {"state": "suspended"}}), false);
    draft
}

/// The steps that suspend a job; with `savepoint` it must have left a new one.
fn suspend_steps(draft: &mut Draft, resource: &Document, spec: Value, savepoint: bool) {
    let (name, before) = (resource.name(), resource.state_path().map(str::to_owned));
    draft.steps.push(patch(resource, &format!("suspend {name}"), spec, 0));
    draft.steps.push(
        awaiting(
            resource,
            &format!("wait until {name} is suspended"),
            Wanted::Suspended { savepoint, before },
            STOP_PATIENCE,
        )
        .unsafe_to_cancel(format!(
            "job.state of {name} is suspended: the operator stops the job, and tries on if that fails"
        )),
    );
}

fn resume(seen: &Managed) -> Draft {
    let resource = &seen.resource;
    let summary = match (resource.upgrade_mode(), resource.state_path()) {
        ("stateless", _) => "resume the job without state (upgradeMode stateless)".to_owned(),
        (_, Some(path)) => format!("resume the job from {path}"),
        (_, None) => "resume the job from the last state that the operator finds in its high availability".to_owned(),
    };
    let mut draft = Draft::new(Danger::Restart, summary);
    if !resource.wants_suspended() {
        draft.blocks.push("it is not suspended".to_owned());
    }
    let spec = json!({"job": {"state": "running"}});
    draft.steps.push(patch(resource, &format!("resume {}", resource.name()), spec.clone(), 0));
    follow(&mut draft, seen, spec, Restore::Nothing, START_PATIENCE);
    draft
}

fn restart(seen: &Managed) -> Draft {
    let resource = &seen.resource;
    let mut draft = by_mode(seen, "restart the job");
    if resource.wants_suspended() {
        draft.blocks.push("it is suspended: resume it instead".to_owned());
    }
    let spec = json!({"restartNonce": nonce(resource, "/restartNonce")});
    draft.steps.push(patch(resource, "write a fresh restartNonce", spec.clone(), 0));
    follow(&mut draft, seen, spec, Restore::Nothing, STOP_PATIENCE + START_PATIENCE);
    draft
}

/// Writes the map as it was. What an approval noted about its own map goes: the entries are nobody's claim any more.
fn rollback(seen: &Managed) -> Draft {
    let resource = &seen.resource;
    let mut draft = rollback_draft(seen.frame.scaling.as_ref());
    let Some(scaling) = &seen.frame.scaling else { return draft };
    let mut map = resource.setting(OVERRIDES_KEY).map(|text| parse_overrides(&text)).unwrap_or_default();
    if scaling.after.iter().any(|(vertex, to)| map.get(vertex) != Some(to)) {
        let decision = scaling.decision;
        draft
            .blocks
            .push(format!("the resource does not hold what decision {decision} wanted: there is nothing to take back"));
    }
    map.extend(scaling.before.iter().map(|(vertex, p)| (*vertex, *p)));
    let spec = json!({"flinkConfiguration": resource.spelled(OVERRIDES_KEY, &format_overrides(&map))});
    let mut step = patch(resource, "write the parallelism as it was", spec.clone(), 0);
    if let Action::Patch { annotations, .. } = &mut step.action {
        annotations.insert(APPLIED_ANNOTATION.to_owned(), None);
    }
    draft.steps.push(step);
    follow(&mut draft, seen, spec, Restore::Nothing, START_PATIENCE);
    draft
}

/// The steps that follow a start: the operator's word, every task, the first checkpoint.
fn follow(draft: &mut Draft, seen: &Managed, spec: Value, restore: Restore, patience: Duration) {
    let resource = &seen.resource;
    draft.steps.push(
        awaiting(resource, "wait until the operator says that the job runs", Wanted::Running { spec }, patience)
            .unsafe_to_cancel("the operator is at it and goes on by itself"),
    );
    draft.steps.push(
        awaiting(resource, "wait until every task runs", Wanted::Tasks { restore }, TASKS_PATIENCE)
            .leaving("the job is starting; Flink goes on by itself"),
    );
    let measured = seen.job.as_ref().and_then(|job| job.checkpointing.as_ref()).and_then(|c| c.interval);
    let configured = seen.setting(&seen.resource, "execution.checkpointing.interval").is_some();
    if measured.is_some() || configured {
        draft.steps.push(
            awaiting(resource, "wait for its first checkpoint", Wanted::Checkpoint, CHECKPOINT_PATIENCE)
                .taking(measured)
                .leaving("the job runs; it has no checkpoint of its own yet"),
        );
    }
}

fn redeploy(seen: &Managed, origin: &Origin, allow_non_restored: bool) -> Draft {
    let resource = &seen.resource;
    let summary = match origin {
        Origin::Now => "take a savepoint, then deploy the job again from it".to_owned(),
        Origin::Path(path) => format!("discard the present state and deploy the job again from {path}"),
        Origin::Empty => "deploy the job again without state".to_owned(),
    };
    let mut draft = Draft::new(Danger::Loss, summary);
    redeploy_guards(&mut draft, seen);
    let mut job = serde_json::Map::new();
    let nonce = nonce(resource, "/job/savepointRedeployNonce");
    job.insert("savepointRedeployNonce".to_owned(), nonce.into());
    if allow_non_restored {
        job.insert("allowNonRestoredState".to_owned(), true.into());
        draft.lost.push("state of operators that the program no longer has (allowNonRestoredState)".to_owned());
    }
    if resource.wants_suspended() {
        job.insert("state".to_owned(), "running".into());
        draft.notes.push("it is suspended: this starts it".to_owned());
    }
    let restore = match origin {
        Origin::Now => {
            take_snapshot(&mut draft, seen, resource, false, SavepointFormat::Canonical, None);
            draft.lost.push(
                "what the job does between the savepoint and its end is done again, and may reach sinks twice"
                    .to_owned(),
            );
            draft.notes.push(
                "restart with upgradeMode savepoint stops the job with its savepoint: nothing is done twice then"
                    .to_owned(),
            );
            Restore::OfStep { step: draft.steps.len() - 1 }
        }
        Origin::Path(path) => {
            if let Err(why) = check_path(path) {
                draft.blocks.push(why);
            }
            draft.notes.extend(inventory::known_of(path, &seen.choices));
            draft.lost.push(
                "the present state: what happened since that snapshot is read again where the sources allow it, and may reach sinks \
                 twice"
                    .to_owned(),
            );
            Restore::Path { path: path.clone() }
        }
        Origin::Empty => {
            draft.blocks.push(
                "the operator redeploys from a path only: without one a FlinkDeployment is refused and a FlinkSessionJob loses its \
                 state or fails"
                    .to_owned(),
            );
            Restore::Nothing
        }
    };
    draft.notes.push(
        "the operator takes no savepoint of its own for this, and its lifecycle stays STABLE meanwhile".to_owned(),
    );
    let earlier = draft.steps.iter().filter(|step| matches!(step.action, Action::Patch { .. })).count();
    let after = i64::try_from(earlier).unwrap_or_default();
    let spec = json!({ "job": job });
    let mut step = patch(resource, "write the path and a fresh savepointRedeployNonce", spec.clone(), after)
        .leaving("the job runs as before");
    if let Action::Patch { path, .. } = &mut step.action {
        *path = (restore != Restore::Nothing).then(|| restore.clone());
    }
    draft.steps.push(step);
    follow(&mut draft, seen, spec, restore, START_PATIENCE);
    draft
}

/// What forbids a redeploy of a resource in its present state (`operator.md` §3.1, §3.2).
fn redeploy_guards(draft: &mut Draft, seen: &Managed) {
    let resource = &seen.resource;
    if resource.named.kind == ObjectKind::FlinkSessionJob {
        if resource.wants_suspended() {
            draft.blocks.push(
                "it is suspended, and the operator cannot redeploy a suspended session job: resume it first".to_owned(),
            );
        } else if resource.job_id().is_none() {
            draft
                .blocks
                .push("the operator knows no job id of this session job: its redeploy would fail for ever".to_owned());
        }
        let ready = seen.cluster.as_ref().and_then(|c| c.text("/status/jobManagerDeploymentStatus")) == Some("READY");
        if !ready {
            draft.blocks.push("the JobManager of its session cluster is not READY: the operator would wait".to_owned());
        }
    }
    if resource.text("/status/reconciliationStatus/state") == Some("ROLLING_BACK") {
        draft
            .blocks
            .push("the operator is rolling it back and would swallow the redeploy: wait for its end".to_owned());
    }
    if resource.text("/status/jobStatus/savepointInfo/triggerId").is_some() {
        draft.notes.push("a savepoint is in progress: the operator waits for its end first".to_owned());
    }
}

/// The patches that are dry run before the plan is shown: the first of every resource, with a stand-in where a path is not known yet.
pub(super) fn rehearsals(steps: &[Step]) -> Vec<(ObjectName, Value)> {
    let mut all: Vec<(ObjectName, Value)> = Vec::new();
    for step in steps {
        if let Action::Patch { of, spec, path, .. } = &step.action
            && !all.iter().any(|(known, _)| known == of)
        {
            let mut spec = spec.clone();
            match path {
                Some(Restore::Path { path }) => spec["job"]["initialSavepointPath"] = path.as_str().into(),
                Some(Restore::OfStep { .. }) => spec["job"]["initialSavepointPath"] = STAND_IN.into(),
                Some(Restore::Nothing) | None => {}
            }
            all.push((of.clone(), spec));
        }
    }
    all
}

/// Stands for the path of a savepoint that is still to be taken.
const STAND_IN: &str = "savepoint:/of-this-plan";
