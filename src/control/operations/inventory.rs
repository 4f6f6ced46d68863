//! Savepoints and checkpoints that a job can start from: what is known of them, and whether a typed path can be one.

use std::path::Path;
use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::job::{CheckpointEntry, CheckpointStatus};
use crate::domain::plan::{Action, Plan, SnapshotFact, SnapshotSource, Standing, StepState};
use crate::flink::Checkpoints;

/// What the operator writes where it has no path to show (`operator.md` §4.2).
pub(super) const MARKER: &str = "KUBERNETES_OPERATOR_LAST_STATE";
/// A path longer than this is none.
const LONGEST: usize = 2048;

/// Whether a text has the shape of a savepoint's path: a scheme and a path, or an absolute path.
///
/// # Errors
/// A sentence that says what is wrong.
pub(super) fn check_shape(path: &str) -> Result<(), String> {
    let wrong = |why: &str| {
        Err(format!("{:?} is not the path of a savepoint: {why}", path.chars().take(80).collect::<String>()))
    };
    if path == MARKER {
        return wrong("it is the operator's mark for \"the last state, wherever it is\"");
    }
    if path.is_empty() || path.len() > LONGEST {
        return wrong("it is empty or too long");
    }
    if path.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return wrong("it has blanks or control characters");
    }
    let (scheme, rest) = match path.split_once(':') {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, path),
    };
    let scheme_ok = scheme.is_none_or(|s| {
        s.starts_with(|c: char| c.is_ascii_alphabetic())
            && s.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    });
    if !scheme_ok {
        return wrong("what stands before the colon is no scheme such as s3 or file");
    }
    if !rest.starts_with('/') {
        return wrong("write it with its scheme, such as s3://bucket/savepoint-1, or as an absolute path");
    }
    if rest.trim_start_matches('/').is_empty() {
        return wrong("it names only a root");
    }
    Ok(())
}

/// Two spellings of one path: `file:/x`, `file:///x` and `/x`, with or without a slash at the end.
pub(super) fn same_path(a: &str, b: &str) -> bool {
    fn bare(path: &str) -> (&str, &str) {
        let (scheme, rest) = path.split_once(':').unwrap_or(("file", path));
        let rest = if scheme == "file" { rest.trim_start_matches('/') } else { rest };
        (scheme, rest.trim_end_matches('/'))
    }
    bare(a) == bare(b)
}

/// What is known of a path that somebody typed: nothing of it is certain but what Flink says.
pub(super) fn known_of(path: &str, checkpoints: Option<&Checkpoints>) -> Vec<String> {
    let all = checkpoints.map(entries).unwrap_or_default();
    let known = all.iter().find(|e| e.external_path.as_deref().is_some_and(|p| same_path(p, path)));
    match known {
        Some(entry) if entry.discarded => {
            vec![format!("Flink says that this snapshot was removed: checkpoint {}", entry.id)]
        }
        Some(entry) => {
            let what = if entry.is_savepoint { "savepoint" } else { "checkpoint" };
            vec![format!(
                "Flink knows it: {what} {} of {}",
                entry.id,
                entry.triggered_at.format("%Y-%m-%d %H:%M:%S UTC")
            )]
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

/// What one job can start from, newest usable first: from Flink's statistics and from plans on the job or one of the same name
/// before it that took a savepoint.
pub(in crate::control) fn of_job(
    job: crate::domain::ids::JobId,
    checkpoints: Option<&Checkpoints>,
    plans: &[Plan],
) -> Vec<SnapshotFact> {
    let mut all: Vec<SnapshotFact> = Vec::new();
    for entry in checkpoints.map(entries).unwrap_or_default() {
        let Some(path) = entry.external_path.clone().filter(|path| path != MARKER) else { continue };
        if entry.status != CheckpointStatus::Completed || check_shape(&path).is_err() {
            continue;
        }
        all.push(SnapshotFact {
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
        });
    }
    for (path, format, at, took, of) in plans.iter().flat_map(taken) {
        if !all.iter().any(|known| same_path(&known.path, &path)) {
            all.push(SnapshotFact {
                path,
                savepoint: true,
                format: Some(format),
                at,
                took,
                size: None,
                job: Some(of),
                number: None,
                source: SnapshotSource::Journal,
                standing: Standing::Unknown,
            });
        }
    }
    sort(&mut all);
    all
}

/// Newest usable first; what was removed last.
fn sort(all: &mut [SnapshotFact]) {
    all.sort_by_key(|fact| (fact.standing == Standing::Disposed, std::cmp::Reverse((fact.at, fact.number))));
}

type Taken = (String, crate::domain::plan::SavepointFormat, Timestamp, Option<Duration>, crate::domain::ids::JobId);

/// Savepoints that a plan took.
fn taken(plan: &Plan) -> Vec<Taken> {
    let step = |step: &crate::domain::plan::Step| {
        let (format, job) = match &step.action {
            Action::Savepoint { job, format, .. } | Action::Stop { job, format, .. } => (*format, *job),
            _ => return None,
        };
        let (path, at) = (step.result.clone()?, step.sent_at?);
        let took = step.ended_at.and_then(|end| (end - at).to_std().ok());
        (step.state == StepState::Done).then_some((path, format, at, took, job))
    };
    plan.steps.iter().filter_map(step).collect()
}

#[cfg(test)]
mod tests;
