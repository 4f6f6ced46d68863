//! Savepoints and checkpoints that a job can start from: what is known of them, and whether a typed path can be one.

use std::path::Path;

use serde_json::Value;

use super::document::{Document, text};
use crate::domain::Timestamp;
use crate::domain::ids::JobId;
use crate::domain::job::{CheckpointEntry, CheckpointStatus};
use crate::domain::plan::{
    Action, Plan, SavepointFormat, SnapshotFact, SnapshotSource, Standing, Step, StepState, Wanted,
};
use crate::domain::savepoint::check_path;
use crate::flink::Checkpoints;

/// Two spellings of one path: `file:/x`, `file:///x` and `/x`, with or without a slash at the end.
pub(super) fn same_path(a: &str, b: &str) -> bool {
    fn bare(path: &str) -> (&str, &str) {
        let (scheme, rest) = path.split_once(':').unwrap_or(("file", path));
        let rest = if scheme == "file" { rest.trim_start_matches('/') } else { rest };
        (scheme, rest.trim_end_matches('/'))
    }
    bare(a) == bare(b)
}

/// What is known of a path that somebody typed: nothing of it is certain but what somebody tells who should know.
pub(super) fn known_of(path: &str, facts: &[SnapshotFact]) -> Vec<String> {
    match facts.iter().find(|fact| same_path(&fact.path, path)) {
        Some(fact) => {
            let what = if fact.savepoint { "savepoint" } else { "checkpoint" };
            let who = match fact.source {
                SnapshotSource::Flink => "Flink knows it",
                SnapshotSource::Status => "the operator's status names it",
                SnapshotSource::StateSnapshot => "a FlinkStateSnapshot names it",
                SnapshotSource::Journal => "a plan of flightdeck took it",
            };
            let number = fact.number.map_or(String::new(), |n| format!(" {n}"));
            let at = fact.at.format("%Y-%m-%d %H:%M:%S UTC");
            match fact.standing {
                Standing::Disposed => vec![format!("this snapshot was removed: {what}{number} of {at}")],
                Standing::Verified => vec![format!("{who}: {what}{number} of {at}")],
                Standing::Unknown => {
                    vec![format!("{who}: {what}{number} of {at}; whether it is still there is not known")]
                }
            }
        }
        None => match local(path) {
            Some(true) => {
                vec!["it is there on this machine; whether the cluster's machines see it is not known".into()]
            }
            Some(false) => {
                vec!["it is not there on this machine; the cluster's machines may see it all the same".into()]
            }
            None => vec!["whether it exists cannot be checked from here: its storage is not readable".into()],
        },
    }
}

/// Whether a file path exists on this machine; `None` for other schemes.
fn local(path: &str) -> Option<bool> {
    let path = match path.split_once(':') {
        None => path,
        Some(("file", rest)) => rest.strip_prefix("//").unwrap_or(rest),
        Some(_) => return None,
    };
    Some(Path::new(path).join("_metadata").exists())
}

/// Every entry that Flink tells of, each once.
fn entries(checkpoints: &Checkpoints) -> Vec<&CheckpointEntry> {
    let latest = [&checkpoints.latest_completed, &checkpoints.latest_savepoint];
    let mut all: Vec<&CheckpointEntry> = latest.into_iter().flatten().chain(&checkpoints.history).collect();
    all.sort_by_key(|e| std::cmp::Reverse(e.id));
    all.dedup_by_key(|e| e.id);
    all
}

/// What one job can start from, newest usable first: from Flink's statistics, from what the operator keeps of it, and from plans on
/// the job or one of the same name before it that took a savepoint. Who is nearest to the snapshot is believed first.
pub(super) fn of_job<'a>(
    flink: Option<(JobId, &Checkpoints)>,
    operator: Option<(&Document, &[Value])>,
    plans: impl Iterator<Item = &'a Plan>,
) -> Vec<SnapshotFact> {
    let mut all: Vec<SnapshotFact> = Vec::new();
    let told = flink.into_iter().flat_map(|(job, checkpoints)| of_flink(job, checkpoints));
    let (resources, status) = match operator {
        Some((resource, snapshots)) => (of_snapshots(resource, snapshots), of_status(resource)),
        None => (Vec::new(), Vec::new()),
    };
    for fact in told.chain(resources).chain(status).chain(plans.flat_map(taken)) {
        if check_path(&fact.path).is_err() {
            continue;
        }
        match all.iter_mut().find(|known| same_path(&known.path, &fact.path)) {
            // Whoever says that it was removed is right.
            Some(known) if fact.standing == Standing::Disposed => known.standing = Standing::Disposed,
            Some(_) => {}
            None => all.push(fact),
        }
    }
    all.sort_by_key(|fact| (fact.standing == Standing::Disposed, std::cmp::Reverse((fact.at, fact.number))));
    all
}

fn of_flink(job: JobId, checkpoints: &Checkpoints) -> Vec<SnapshotFact> {
    let fact = |entry: &CheckpointEntry| {
        let path = entry.external_path.clone().filter(|_| entry.status == CheckpointStatus::Completed)?;
        Some(SnapshotFact {
            path,
            savepoint: entry.is_savepoint,
            format: entry.format,
            at: entry.triggered_at,
            took: entry.duration,
            size: Some(entry.state_size),
            job: Some(job),
            number: Some(entry.id),
            source: SnapshotSource::Flink,
            standing: if entry.discarded { Standing::Disposed } else { Standing::Verified },
        })
    };
    entries(checkpoints).into_iter().filter_map(fact).collect()
}

fn format(word: Option<&str>) -> Option<SavepointFormat> {
    match word? {
        "CANONICAL" => Some(SavepointFormat::Canonical),
        "NATIVE" => Some(SavepointFormat::Native),
        _ => None,
    }
}

/// Of the FlinkStateSnapshots of a resource (`operator.md` §1.12).
fn of_snapshots(resource: &Document, snapshots: &[Value]) -> Vec<SnapshotFact> {
    let fact = |snapshot: &Value| {
        let ours = text(snapshot, "/spec/jobReference/kind") == Some(resource.named.kind.name())
            && text(snapshot, "/spec/jobReference/name") == Some(resource.name());
        if !ours || text(snapshot, "/status/state") != Some("COMPLETED") {
            return None;
        }
        let at = |pointer: &str| text(snapshot, pointer)?.parse::<Timestamp>().ok();
        let (began, ended) = (at("/status/triggerTimestamp"), at("/status/resultTimestamp"));
        let disposed = text(snapshot, "/metadata/deletionTimestamp").is_some()
            && snapshot.pointer("/spec/savepoint/disposeOnDelete").and_then(Value::as_bool).unwrap_or(true);
        Some(SnapshotFact {
            path: text(snapshot, "/status/path")?.to_owned(),
            savepoint: snapshot.pointer("/spec/savepoint").is_some(),
            format: format(text(snapshot, "/spec/savepoint/formatType")),
            at: began.or(ended).or_else(|| at("/metadata/creationTimestamp"))?,
            took: began.zip(ended).and_then(|(began, ended)| (ended - began).to_std().ok()),
            size: None,
            job: None,
            number: None,
            source: SnapshotSource::StateSnapshot,
            standing: if disposed { Standing::Disposed } else { Standing::Verified },
        })
    };
    snapshots.iter().filter_map(fact).collect()
}

/// Of the status of a resource (`operator.md` §1.7): its history, and what it would restore from.
fn of_status(resource: &Document) -> Vec<SnapshotFact> {
    let info = resource.value.pointer("/status/jobStatus/savepointInfo");
    let history = info.and_then(|info| info.get("savepointHistory")).and_then(Value::as_array);
    let millis = |value: &Value| chrono::DateTime::from_timestamp_millis(value.as_i64()?);
    let fact = |path: &str, savepoint: bool, at: Timestamp, form: Option<&str>| SnapshotFact {
        path: path.to_owned(),
        savepoint,
        format: format(form),
        at,
        took: None,
        size: None,
        job: None,
        number: None,
        source: SnapshotSource::Status,
        standing: Standing::Verified,
    };
    let savepoints = history.into_iter().flatten().chain(info.and_then(|info| info.get("lastSavepoint")));
    let mut all: Vec<SnapshotFact> = savepoints
        .filter_map(|one| {
            let at = millis(one.get("timeStamp")?)?;
            Some(fact(text(one, "/location")?, true, at, text(one, "/formatType")))
        })
        .collect();
    let recorded = resource.value.pointer("/status/reconciliationStatus/reconciliationTimestamp").and_then(millis);
    if let (Some(path), Some(at)) = (resource.state_path(), recorded) {
        all.push(fact(path, !path.contains("/chk-"), at, None));
    }
    all
}

/// Savepoints that a plan took.
fn taken(plan: &Plan) -> Vec<SnapshotFact> {
    let sent = plan.steps.iter().filter_map(|step| step.sent_at).min();
    let fact = |step: &Step| {
        let (job, format) = match &step.action {
            Action::Savepoint { job, format, .. } | Action::Stop { job, format, .. } => (Some(*job), Some(*format)),
            Action::Snapshot { checkpoint: false, format, .. } => (None, Some(*format)),
            Action::Await {
                wanted: Wanted::ByNonce { checkpoint: false, .. } | Wanted::Suspended { savepoint: true, .. },
                ..
            } => (None, None),
            _ => return None,
        };
        let (path, at) = (step.result.clone()?, step.sent_at.or(sent)?);
        (step.state == StepState::Done).then_some(SnapshotFact {
            path,
            savepoint: true,
            format,
            at,
            took: step.ended_at.and_then(|end| (end - at).to_std().ok()),
            size: None,
            job,
            number: None,
            source: SnapshotSource::Journal,
            standing: Standing::Unknown,
        })
    };
    plan.steps.iter().filter_map(fact).collect()
}

#[cfg(test)]
mod tests;
