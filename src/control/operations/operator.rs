//! The steps that act through the operator's resources: how one is found done or not, and how its effect is sent
//! (`operator.md` §3–§5).
//!
//! A patch is done when the spec holds it, whoever wrote it; what the operator makes of it is a step of its own.

mod deleting;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::document::{Document, holds, one_line, sentence, text};
use super::flink;
use super::steps::{Look, Sent, done};
use crate::control::ports::{ApiError, Objects, Write};
use crate::domain::Timestamp;
use crate::domain::objects::{ObjectKind, ObjectName};
use crate::domain::plan::{Action, Plan, Restore, SavepointFormat, Step, Wanted};
use crate::flink::FlinkClient;

/// How often a patch is tried again when somebody else writes in between.
const CONFLICTS: usize = 3;
/// How the trigger of a savepoint, and how one of a checkpoint is called in spec, status and events.
const BY_NONCE: [(&str, &str, &str, &str); 2] = [
    ("savepointTriggerNonce", "/status/jobStatus/savepointInfo", "lastSavepoint", "SavepointError"),
    ("checkpointTriggerNonce", "/status/jobStatus/checkpointInfo", "lastCheckpoint", "CheckpointError"),
];

/// A look that failed: what is not allowed now may be allowed again before the step's patience ends.
fn blind(error: ApiError) -> Look {
    Look::Blind(error.to_string())
}

fn sent(result: Result<(), ApiError>) -> Sent {
    match result {
        Ok(()) => Sent::Taken,
        // Somebody wrote in between, or the server is away: a look decides whether it is still what was confirmed.
        Err(ApiError::Conflict(why) | ApiError::Unknown(why) | ApiError::Other(why)) => Sent::Unclear(why),
        Err(ApiError::Forbidden(why) | ApiError::NotFound(why) | ApiError::Invalid(why)) => Sent::Refused(why),
    }
}

async fn read(objects: &dyn Objects, named: &ObjectName) -> Result<Document, ApiError> {
    objects.read(named).await.map(|value| Document { named: named.clone(), value })
}

/// Looks whether a step is done.
pub(super) async fn look(objects: &dyn Objects, flink: Option<&FlinkClient>, plan: &Plan, step: &Step) -> Look {
    match &step.action {
        Action::Patch { of, uid, generation, spec, path, .. } => {
            let spec = match with_path(spec, path.as_ref(), plan) {
                Ok(spec) => spec,
                Err(why) => return Look::Failed(why),
            };
            match read(objects, of).await {
                Ok(found) => patched(&found, uid, *generation, &spec),
                Err(ApiError::NotFound(_)) => Look::Failed(format!("{of} is gone")),
                Err(error) => blind(error),
            }
        }
        Action::Await { of, uid, wanted } => match read(objects, of).await {
            Ok(found) if found.uid() != uid => Look::Failed(format!("{of} was deleted and made anew")),
            Ok(found) => awaited(objects, flink, plan, step, &found, wanted).await,
            Err(ApiError::NotFound(_)) => Look::Failed(format!("{of} is gone")),
            Err(error) => blind(error),
        },
        Action::Snapshot { named, .. } => match objects.read(named).await {
            Ok(found) => snapshot(&found),
            Err(ApiError::NotFound(_)) => Look::Absent("there is no such FlinkStateSnapshot yet".into()),
            Err(error) => blind(error),
        },
        Action::Delete { of, uid } => deleting::look(objects, of, uid).await,
        _ => Look::Failed("this step does not act on a resource".into()),
    }
}

/// Sends the effect of a step.
pub(super) async fn send(objects: &dyn Objects, plan: &Plan, step: &Step) -> Sent {
    sent(match &step.action {
        Action::Patch { of, uid, generation, spec, path, annotations } => match with_path(spec, path.as_ref(), plan) {
            Ok(spec) => patch(objects, of, uid, *generation, &spec, annotations).await,
            Err(why) => return Sent::Refused(why),
        },
        Action::Snapshot { named, of, checkpoint, directory, format } => {
            let body = snapshot_body(named, of, *checkpoint, directory.as_deref(), *format, &plan.id.to_string());
            match objects.create(named, &body, Write::Real).await {
                // Ours, by its name: an earlier request arrived.
                Ok(_) | Err(ApiError::Conflict(_)) => Ok(()),
                Err(error) => Err(error),
            }
        }
        Action::Delete { of, uid } => match objects.delete(of, uid).await {
            Err(ApiError::NotFound(_)) => Ok(()),
            other => other,
        },
        _ => return Sent::Refused("this step does not act on a resource".into()),
    })
}

/// The patch of a spec, with the path of a savepoint that the plan took.
pub(super) fn with_path(spec: &Value, path: Option<&Restore>, plan: &Plan) -> Result<Value, String> {
    let mut spec = spec.clone();
    if let Some(path) = path.map(|restore| flink::path_of(restore, plan)).transpose()?.flatten() {
        spec["job"]["initialSavepointPath"] = path.into();
    }
    Ok(spec)
}

/// One patch of a spec under optimistic lock, after the server took the same as a dry run. When somebody else writes in between,
/// which the operator's status writes do all the time, it is tried again as long as uid and generation are those that were seen.
async fn patch(
    objects: &dyn Objects,
    of: &ObjectName,
    uid: &str,
    generation: i64,
    spec: &Value,
    annotations: &BTreeMap<String, Option<String>>,
) -> Result<(), ApiError> {
    let mut last = ApiError::Conflict(String::new());
    for _ in 0..=CONFLICTS {
        let found = read(objects, of).await?;
        if holds(found.spec(), spec) && found.uid() == uid {
            return Ok(());
        }
        if found.uid() != uid || found.generation() != generation {
            return Err(ApiError::Invalid(format!(
                "{of} was changed by somebody since the plan was made: nothing is written over it"
            )));
        }
        let mut body = json!({"metadata": {"resourceVersion": found.resource_version()}, "spec": spec});
        if !annotations.is_empty() {
            body["metadata"]["annotations"] = json!(annotations);
        }
        for write in [Write::DryRun, Write::Real] {
            match objects.merge(of, &body, write).await {
                Ok((after, _)) => {
                    if let Some(why) = dropped(&after, spec) {
                        return Err(ApiError::Invalid(why));
                    }
                    if write == Write::Real {
                        return Ok(());
                    }
                }
                Err(error @ ApiError::Conflict(_)) => {
                    last = error;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
    }
    Err(last)
}

/// A server whose definitions do not know a field drops it without a word.
pub(super) fn dropped(after: &Value, spec: &Value) -> Option<String> {
    let kept = holds(after.get("spec").unwrap_or(&Value::Null), spec);
    (!kept).then(|| {
        "the API server drops fields of the change: the installed definitions of the operator's kinds are too old for it".into()
    })
}

fn patched(found: &Document, uid: &str, generation: i64, spec: &Value) -> Look {
    if found.uid() != uid {
        return Look::Failed(format!("{} was deleted and made anew: nothing is written to it", found.named));
    }
    let now = found.generation();
    if holds(found.spec(), spec) {
        return done(format!("the spec says so (generation {now})"));
    }
    if now != generation {
        return Look::Failed(format!(
            "somebody changed the spec of {} since the plan was made (generation {generation} is {now} now): nothing is written over it",
            found.named
        ));
    }
    Look::Absent("the spec does not say so yet".into())
}

async fn awaited(
    objects: &dyn Objects,
    flink: Option<&FlinkClient>,
    plan: &Plan,
    step: &Step,
    found: &Document,
    wanted: &Wanted,
) -> Look {
    match wanted {
        Wanted::Suspended { savepoint, before } => {
            with_life(objects, found, suspended(found, *savepoint, before.as_deref())).await
        }
        Wanted::Running { spec } => with_life(objects, found, running(found, spec)).await,
        Wanted::Tasks { .. } | Wanted::Checkpoint => at_flink(flink, plan, found, wanted).await,
        Wanted::ByNonce { nonce, checkpoint } => {
            let began = plan.steps.iter().filter_map(|s| s.sent_at).min().or(step.began_at);
            by_nonce(objects, found, *nonce, *checkpoint, began).await
        }
    }
}

/// What is pending may be so because nobody is there to do it.
async fn with_life(objects: &dyn Objects, found: &Document, look: Look) -> Look {
    let Look::Pending(what) = look else { return look };
    if !found.is_behind() {
        return Look::Pending(what);
    }
    Look::Pending(match dead(objects).await {
        Some(dead) => format!("{dead}; {what}"),
        None => what,
    })
}

/// The operator that is known not to run.
pub(super) async fn dead(objects: &dyn Objects) -> Option<String> {
    let all = objects.operators().await.unwrap_or_default();
    let first = all.first()?;
    all.iter()
        .all(|operator| operator.ready == 0)
        .then(|| format!("the operator does not run: {} has no ready pod", first.named))
}

fn suspended(found: &Document, savepoint: bool, before: Option<&str>) -> Look {
    if !found.wants_suspended() {
        return Look::Failed(format!(
            "somebody put job.state of {} back: it is not to be suspended any more",
            found.named
        ));
    }
    if !found.is_suspended() {
        return Look::Pending(found.word());
    }
    let path = found.state_path();
    if savepoint && path.is_none_or(|path| Some(path) == before) {
        return Look::Failed(format!(
            "the job is {}, but the operator recorded no new savepoint of it{}",
            found.job_state(),
            found.error().map_or(String::new(), |error| format!(": {error}"))
        ));
    }
    let from = path.map_or(String::new(), |path| format!("; its state is in {path}"));
    Look::Done { result: path.map(str::to_owned), note: format!("suspended, job {}{from}", found.job_state()) }
}

fn running(found: &Document, wanted: &Value) -> Look {
    if !holds(found.spec(), wanted) {
        return Look::Failed(format!(
            "somebody changed the spec of {} again: what is awaited will not come",
            found.named
        ));
    }
    // The lifecycle stays STABLE during a redeploy: what the operator recorded is what counts (`operator.md` §3.3).
    if !found.has_carried_out(wanted) {
        return Look::Pending(found.word());
    }
    match found.job_state() {
        "RUNNING" => {
            let id = found.job_id().map_or(String::new(), |id| format!(" with the id {id}"));
            done(format!("the operator says that the job runs{id}"))
        }
        "FAILED" => Look::Failed(format!("the job does not start: {}", found.word())),
        _ => Look::Pending(found.word()),
    }
}

/// What Flink says of the job that the operator named.
async fn at_flink(flink: Option<&FlinkClient>, plan: &Plan, found: &Document, wanted: &Wanted) -> Look {
    let Some(client) = flink else { return Look::Blind("the JobManager is not known yet".into()) };
    let Some(job) = found.job_id() else { return Look::Pending(format!("no job yet: {}", found.word())) };
    if found.job_state() == "FAILED" {
        return Look::Failed(found.word());
    }
    match flink::job_of(client, job).await {
        Ok(Some(_)) => {}
        Ok(None) => return Look::Pending(format!("Flink does not list the job {job} yet: {}", found.word())),
        Err(error) => return Look::Blind(error.to_string()),
    }
    let look = match wanted {
        Wanted::Tasks { restore } => flink::running(client, job, restore, plan).await,
        _ => flink::first_checkpoint(client, job).await,
    };
    look.unwrap_or_else(|error| Look::Blind(error.to_string()))
}

async fn by_nonce(
    objects: &dyn Objects,
    found: &Document,
    nonce: i64,
    checkpoint: bool,
    began: Option<Timestamp>,
) -> Look {
    let (field, info, last, reason) = BY_NONCE[usize::from(checkpoint)];
    let info = found.value.pointer(info);
    let last = info
        .and_then(|info| info.get(last))
        .filter(|last| last.get("triggerNonce").and_then(Value::as_i64) == Some(nonce));
    if let Some(last) = last {
        return Look::Done { result: text(last, "/location").map(str::to_owned), note: "it is complete".into() };
    }
    let cause = last_event(objects, found, reason, began).await;
    let recorded = found.reconciled().and_then(|spec| spec.pointer(&format!("/job/{field}")).and_then(Value::as_i64));
    if let Some(cause) = cause {
        let back = recorded.map_or_else(|| "remove it".to_owned(), |n| format!("set it back to {n}"));
        let more = if recorded == Some(nonce) {
            "the operator has given up".to_owned()
        } else {
            format!("the operator goes on trying as long as spec.job.{field} is {nonce}: {back} to end that")
        };
        return Look::Failed(format!("it failed: {}; {more}", with_key(&cause)));
    }
    if info.and_then(|info| text(info, "/triggerId")).is_some() {
        return Look::Pending("in progress".into());
    }
    if recorded == Some(nonce) {
        return Look::Failed("the operator has dealt with the nonce, and its status shows no such snapshot".into());
    }
    Look::Pending(format!("the operator has not begun: {}", found.word()))
}

/// The newest event of a reason about a resource, if it came after an instant.
async fn last_event(objects: &dyn Objects, found: &Document, reason: &str, after: Option<Timestamp>) -> Option<String> {
    let fields = format!("involvedObject.name={},reason={reason}", found.name());
    let all = objects.list(ObjectKind::Event, &found.named.namespace, "", &fields).await.ok()?;
    let at = |event: &Value| text(event, "/lastTimestamp").and_then(|at| at.parse::<Timestamp>().ok());
    let ours = all.iter().filter(|event| text(event, "/involvedObject/uid").is_none_or(|uid| uid == found.uid()));
    // Events have whole seconds in some releases.
    let late =
        |event: &&Value| after.is_none_or(|after| at(event).is_some_and(|at| at.timestamp() >= after.timestamp()));
    let newest = ours.filter(late).max_by_key(|event| at(event))?;
    text(newest, "/message").map(one_line)
}

/// A savepoint that has no place to go to: which key says where.
fn with_key(cause: &str) -> String {
    let lower = cause.to_lowercase();
    let names_key = lower.contains("savepoint-dir") || lower.contains("savepoints.dir");
    if !names_key && lower.contains("directory") && lower.contains("savepoint") {
        return format!("{cause} (set execution.checkpointing.savepoint-dir, before Flink 1.20 state.savepoints.dir)");
    }
    cause.to_owned()
}

/// The FlinkStateSnapshot that is created: its files stay when it is deleted, and one failure ends it.
pub(super) fn snapshot_body(
    named: &ObjectName,
    of: &ObjectName,
    checkpoint: bool,
    directory: Option<&str>,
    format: SavepointFormat,
    plan: &str,
) -> Value {
    let mut spec = json!({
        "jobReference": {"kind": of.kind.name(), "name": of.name},
        "backoffLimit": 0,
    });
    if checkpoint {
        spec["checkpoint"] = json!({});
    } else {
        let format = match format {
            SavepointFormat::Canonical => "CANONICAL",
            SavepointFormat::Native => "NATIVE",
        };
        spec["savepoint"] = json!({"formatType": format, "disposeOnDelete": false});
        if let Some(directory) = directory {
            spec["savepoint"]["path"] = directory.into();
        }
    }
    json!({
        "apiVersion": "flink.apache.org/v1beta1", "kind": ObjectKind::FlinkStateSnapshot.name(),
        "metadata": {"name": named.name, "namespace": named.namespace, "labels": {"flightdeck/plan": plan}},
        "spec": spec,
    })
}

fn snapshot(found: &Value) -> Look {
    let error = text(found, "/status/error").map(sentence);
    let cause = || error.as_deref().map_or_else(|| "no cause is told".to_owned(), with_key);
    match text(found, "/status/state") {
        Some("COMPLETED") => {
            Look::Done { result: text(found, "/status/path").map(str::to_owned), note: "it is complete".into() }
        }
        Some("FAILED") => Look::Failed(format!("it failed: {}", cause())),
        Some("ABANDONED") => Look::Failed("the operator abandoned it: the job does not run".into()),
        Some("IN_PROGRESS") => Look::Pending("in progress".into()),
        _ if error.is_some() => Look::Pending(format!("the operator has not begun it: {}", cause())),
        _ => Look::Pending("the operator has not taken it up yet".into()),
    }
}
