//! Ordered shutdown of what an operator manages: session jobs before their cluster, everything through its resource
//! (`operator.md` §5).

use std::time::Duration;

use serde_json::json;

use super::modes::mode_sentence;
use super::{Managed, guard, suspend_steps, take_fate};
use crate::control::operations::document::Document;
use crate::control::operations::propose::Draft;
use crate::domain::objects::ObjectKind;
use crate::domain::plan::{Action, Danger, SavepointFormat, Shutdown, Step};
use crate::flink::JobSummary;

/// A deletion with all the operator's waits (`operator.md` §5.2: 5 min), and its next loop.
const DELETE_PATIENCE: Duration = Duration::from_secs(600);
/// A job answers a cancellation within `task.cancellation.timeout` (180 s), or its TaskManager is killed.
const CANCEL_PATIENCE: Duration = Duration::from_secs(240);
/// A stop with a savepoint, by Flink's own time-out (10 min).
const STOP_PATIENCE: Duration = Duration::from_secs(870);

/// Stops or removes a resource with everything that depends on it.
pub(super) fn shutdown(seen: &Managed, form: Shutdown, savepoint: bool) -> Draft {
    let resource = &seen.resource;
    let jobs: Vec<&Document> = if resource.has_job() { vec![resource] } else { seen.session_jobs.iter().collect() };
    let mut draft = match form {
        Shutdown::Stop => stop(seen, &jobs, savepoint),
        Shutdown::Remove => remove(seen, &jobs, savepoint),
    };
    for job in jobs.iter().filter(|job| job.named != resource.named) {
        guard(&mut draft, job, false);
    }
    draft
}

/// Jobs of the cluster that no resource describes.
fn by_hand<'a>(seen: &'a Managed, jobs: &[&Document]) -> Vec<&'a JobSummary> {
    if seen.resource.has_job() {
        return Vec::new();
    }
    let described: Vec<_> = jobs.iter().filter_map(|job| job.job_id()).collect();
    let all = seen.flink.as_ref().map(|flink| flink.jobs.as_slice()).unwrap_or_default();
    all.iter().filter(|job| !job.state.is_terminal() && !described.contains(&job.id)).collect()
}

/// Stops a job that no resource describes; `index` tells the savepoints of one plan apart.
fn stop_by_hand(seen: &Managed, index: u128, job: &JobSummary) -> Step {
    let action = Action::Stop {
        job: job.id,
        trigger: seen.frame.trigger(index),
        directory: None,
        format: SavepointFormat::Canonical,
    };
    Step::new(format!("stop {} with a savepoint", job.name), action, STOP_PATIENCE)
        .unsafe_to_cancel("the job may be stopping: if its savepoint fails it goes on running")
}

fn stop(seen: &Managed, jobs: &[&Document], savepoint: bool) -> Draft {
    let name = seen.resource.name();
    let alive: Vec<_> = jobs.iter().filter(|job| !job.wants_suspended()).collect();
    let by_hand = by_hand(seen, jobs);
    let mut draft = Draft::new(
        Danger::Restart,
        format!("suspend {} of {name}; the resources stay", count(alive.len() + by_hand.len(), "job")),
    );
    for job in &alive {
        let (sentence, fate) = mode_sentence(seen, job);
        draft.notes.push(sentence);
        take_fate(&mut draft, job.name(), fate);
        if savepoint && !(job.upgrade_mode() == "savepoint" && job.runs()) {
            draft.blocks.push(format!(
                "{} would not leave a savepoint: it is {} with upgradeMode {}",
                job.name(),
                job.job_state(),
                job.upgrade_mode()
            ));
        }
        suspend_steps(&mut draft, job, json!({"job": {"state": "suspended"}}), savepoint);
    }
    for (index, job) in (0_u128..).zip(by_hand) {
        draft.notes.push(format!(
            "{} was submitted by hand: it is stopped with a savepoint, nobody starts it again",
            job.name
        ));
        draft.steps.push(stop_by_hand(seen, index, job));
    }
    if draft.steps.is_empty() {
        draft.blocks.push("no job of it runs: there is nothing to stop".to_owned());
    }
    draft
}

fn remove(seen: &Managed, jobs: &[&Document], savepoint: bool) -> Draft {
    let resource = &seen.resource;
    let name = resource.name();
    let by_hand = by_hand(seen, jobs);
    let mut draft = Draft::new(Danger::Loss, format!("delete {name}"));
    if !resource.has_job() {
        draft.summary = format!(
            "delete the session cluster {name} with everything on it: {}, {} submitted by hand",
            count(jobs.len(), "session job"),
            count(by_hand.len(), "job")
        );
    }
    let ended = |job: &Document| job.is_suspended() || matches!(job.job_state(), "FINISHED" | "CANCELED" | "FAILED");
    if savepoint {
        for job in jobs.iter().filter(|job| !ended(job)) {
            if !job.runs() {
                draft.blocks.push(format!("{} is {}: no savepoint can be taken of it", job.name(), job.job_state()));
            }
            // The resource goes afterwards: that its upgrade mode changes hurts nobody.
            suspend_steps(&mut draft, job, json!({"job": {"state": "suspended", "upgradeMode": "savepoint"}}), true);
        }
    } else {
        for job in jobs.iter().filter(|job| !ended(job)) {
            draft.lost.push(format!("the state of {} since its last retained checkpoint or savepoint", job.name()));
        }
    }
    let session_jobs = jobs.iter().filter(|job| job.named != resource.named);
    draft.steps.extend(session_jobs.map(|job| delete(job)));
    // Jobs that were submitted by hand hold a session cluster from operator 1.13 on.
    for (index, job) in (0_u128..).zip(&by_hand) {
        if savepoint {
            draft.steps.push(stop_by_hand(seen, index, job));
        } else {
            draft.lost.push(format!("the state of {}, which no resource describes", job.name));
            draft.steps.push(
                Step::new(format!("cancel {}", job.name), Action::Cancel { job: job.id }, CANCEL_PATIENCE)
                    .unsafe_to_cancel("the job may be cancelling: that cannot be taken back"),
            );
        }
    }
    if !resource.has_job() && seen.flink.is_none() {
        draft.notes.push(
            "its JobManager does not answer: jobs that were submitted by hand are not known, and may hold the deletion"
                .to_owned(),
        );
    }
    if resource.named.kind == ObjectKind::FlinkDeployment {
        draft.lost.push("the metadata of high availability, which the operator deletes with the resource".to_owned());
    }
    if seen.setting(resource, ON_DELETION).is_some_and(|v| v == "true")
        && resource.has_job()
        && !ended(resource)
        && !savepoint
    {
        draft.notes.push(format!(
            "{ON_DELETION} is true: the operator takes a savepoint first, and waits as long as the job does not run"
        ));
    }
    draft.notes.push("checkpoints and savepoints stay on their storage".to_owned());
    draft.steps.push(delete(resource));
    draft
}

const ON_DELETION: &str = "kubernetes.operator.job.savepoint-on-deletion";

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn delete(resource: &Document) -> Step {
    let action = Action::Delete { of: resource.named.clone(), uid: resource.uid().to_owned() };
    let named = format!("{} {}", resource.named.kind.name(), resource.name());
    Step::new(format!("delete the {named}"), action, DELETE_PATIENCE)
        .unsafe_to_cancel(format!("the deletion of {named} cannot be taken back; the operator carries it on by itself"))
}
