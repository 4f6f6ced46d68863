//! What the operator and its pods say of a job, by the table of `operator.md` §2.3. Pure.

use std::time::Duration;

use super::OperatorWord;
use crate::control::ports::Resource;
use crate::domain::Timestamp;
use crate::domain::freshness::age;
use crate::domain::health::HealthWord;
use crate::domain::job::JobKind;
use crate::domain::pods::{PodPhase, PodRole, PodRow, PodsView};

/// A resource without a status is new for this long: two of the operator's reconcile intervals.
const NEW: Duration = Duration::from_secs(120);
/// An upgrade that takes longer is stuck.
const UPGRADE: Duration = Duration::from_secs(300);
/// A TaskManager that waits for a node this long waits for room.
const PLACE: Duration = Duration::from_secs(20);

/// What the operator says of a resource, by the table of `operator.md` §2.3; `since`: since when its lifecycle is as it is.
pub(in crate::control) fn operator_word(
    resource: &Resource,
    pods: Option<&PodsView>,
    since: Timestamp,
    now: Timestamp,
) -> OperatorWord {
    let lifecycle = resource.lifecycle.as_deref().unwrap_or("no status");
    let text = match (resource.kind, resource.job_state.as_deref()) {
        (JobKind::SessionCluster, _) | (_, None) => lifecycle.to_owned(),
        (_, Some(job)) => format!("{lifecycle} / {job}"),
    };
    OperatorWord { text, headline: headline(resource, pods, since, now) }
}

fn headline(r: &Resource, pods: Option<&PodsView>, since: Timestamp, now: Timestamp) -> Option<(HealthWord, String)> {
    let jm = r.job_manager.as_deref().unwrap_or_default();
    let job = r.job_state.as_deref().unwrap_or_default();
    let lifecycle = r.lifecycle.as_deref().unwrap_or("CREATED");
    let session = r.kind == JobKind::SessionCluster;
    let lasts = age(since, now);
    let error = || match (&r.error, &r.error_reason) {
        (Some(error), Some(reason)) if !error.contains(reason.as_str()) => format!("{reason}: {error}"),
        (Some(error), _) => error.clone(),
        (None, _) => "no error is reported".into(),
    };
    if r.deleting {
        return Some((HealthWord::Deleting, "the resource is being deleted".into()));
    }
    if lifecycle == "CREATED" {
        let young = r.created_at.is_none_or(|at| age(at, now) < NEW);
        return Some(match (young, r.suspended) {
            (_, true) => (HealthWord::Suspended, "created suspended".into()),
            (true, false) => (HealthWord::Deploying, "new, not deployed yet".into()),
            (false, false) => (
                HealthWord::NotReconciled,
                "the operator does not act on it: is it running and watching this namespace?".into(),
            ),
        });
    }
    if lifecycle == "FAILED" {
        return Some((HealthWord::Failed, error()));
    }
    // The pod's own trouble is the deepest cause; the operator tells it later and in fewer words.
    if jm != "READY"
        && !r.suspended
        && let Some(why) = pods.and_then(job_manager_trouble)
    {
        return Some((HealthWord::JobManagerLost, why));
    }
    if jm == "ERROR" {
        return Some((HealthWord::JobManagerLost, format!("the JobManager's pod does not start: {}", error())));
    }
    if jm == "MISSING"
        && !r.suspended
        && !r.reference.session_job
        && lifecycle != "UPGRADING"
        && lifecycle != "SUSPENDED"
    {
        return Some((HealthWord::JobManagerLost, "the JobManager's Deployment is gone".into()));
    }
    if r.invalid {
        return Some((HealthWord::OperatorError, format!("the spec was rejected, the old one goes on: {}", error())));
    }
    if let Some(error) = &r.error {
        return Some((HealthWord::OperatorError, error.clone()));
    }
    match lifecycle {
        "ROLLING_BACK" | "ROLLED_BACK" => {
            return Some((HealthWord::RolledBack, "the new spec did not come up".into()));
        }
        "UPGRADING" if lasts > UPGRADE => {
            return Some((HealthWord::UpgradeStuck, format!("upgrading for {} s", lasts.as_secs())));
        }
        "UPGRADING" => return Some((HealthWord::Deploying, "an upgrade is in progress".into())),
        "SUSPENDED" => return Some((HealthWord::Suspended, "suspended on request".into())),
        _ => {}
    }
    if jm == "DEPLOYING" || jm == "DEPLOYED_NOT_READY" {
        return Some((HealthWord::Deploying, "the JobManager is coming up".into()));
    }
    if session {
        return Some((HealthWord::Ready, "the session cluster is ready".into()));
    }
    if matches!(job, "RECONCILING") && lasts > NEW {
        return Some((HealthWord::Unreachable, "the operator cannot reach the JobManager".into()));
    }
    if matches!(job, "CANCELED" | "FINISHED" | "CANCELLING") && !r.suspended {
        let word = if job == "FINISHED" { HealthWord::Finished } else { HealthWord::Canceled };
        return Some((word, format!("the job is {job} though it is wanted running")));
    }
    match r.observed_generation {
        Some(observed) if observed != r.generation => {
            Some((HealthWord::ChangePending, format!("generation {}, observed {observed}", r.generation)))
        }
        _ => None,
    }
}

/// Why the JobManager does not come up, by its pods and its Deployment.
fn job_manager_trouble(pods: &PodsView) -> Option<String> {
    let job_managers = || pods.pods.iter().filter(|p| p.role == PodRole::JobManager && p.deleting_since.is_none());
    // One that is well is enough: an old pod may still be there.
    if job_managers().any(|p| p.phase == PodPhase::Running && p.ready) {
        return None;
    }
    let trouble = job_managers().filter_map(|p| p.trouble().map(|(what, why)| (what, &p.name, why))).min();
    if let Some((what, pod, why)) = trouble {
        return Some(format!("the JobManager's pod {pod} does not run ({}): {why}", what.word()));
    }
    let failure = pods.deployment.as_ref().and_then(|d| d.failure.as_ref());
    failure.map(|(reason, why)| format!("the JobManager's pod is not created ({reason}): {why}"))
}

/// Why TaskManagers are missing, by their pods: the deepest cause, and how many have it.
pub(in crate::control) fn task_manager_trouble(pods: &PodsView, now: Timestamp) -> Option<String> {
    let task_managers = || pods.pods.iter().filter(|p| p.role == PodRole::TaskManager && p.deleting_since.is_none());
    // A pod that was just made may still find its node.
    let waits = |p: &PodRow| p.created_at.is_none_or(|at| age(at, now) >= PLACE);
    let alive = |p: &&std::sync::Arc<PodRow>| p.phase != PodPhase::Failed && waits(p);
    let (what, pod, why) =
        task_managers().filter(alive).filter_map(|p| p.trouble().map(|(what, why)| (what, &p.name, why))).min()?;
    let same = task_managers().filter(alive).filter(|p| p.trouble().is_some_and(|(w, _)| w == what)).count();
    Some(match same {
        1 => format!("TaskManager pod {pod} does not run ({}): {why}", what.word()),
        n => format!("{n} TaskManager pods do not run ({}), such as {pod}: {why}", what.word()),
    })
}

/// How the newest TaskManager that ended lately ended, if badly: what a restart is often about.
pub(in crate::control) fn task_manager_end(pods: &PodsView) -> Option<String> {
    let ended = |p: &&std::sync::Arc<PodRow>| p.role == PodRole::TaskManager && p.phase == PodPhase::Failed;
    let newest = pods.pods.iter().filter(ended).max_by_key(|p| p.created_at)?;
    newest.trouble().map(|(what, why)| format!("TaskManager {} ended ({}): {why}", newest.name, what.word()))
}

#[cfg(test)]
mod tests;
