//! What an upgrade mode means for a job now (`operator.md` §4.2).

use super::Managed;
use crate::control::operations::document::Document;
use crate::domain::freshness::age;
use crate::domain::objects::ObjectKind;

/// What becomes of a job's state when it is stopped by its upgrade mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// All of it comes back, and nothing is done twice.
    Kept,
    /// It comes back as it was some time ago.
    Repeated(String),
    /// It is gone.
    Lost,
    /// The operator waits before it stops the job.
    Waits(String),
    /// The operator cannot do it.
    Impossible(String),
}

/// What the upgrade mode of this job means for it now, in one sentence, and what becomes of its state.
pub(super) fn mode_sentence(seen: &Managed, of: &Document) -> (String, Fate) {
    let (name, mode, state) = (of.name(), of.upgrade_mode(), of.job_state());
    if mode == "stateless" {
        return (format!("upgradeMode stateless: {name} loses all its state"), Fate::Lost);
    }
    if matches!(state, "FINISHED" | "CANCELED" | "FAILED") {
        let from = match of.state_path() {
            Some(path) => format!("it comes back from {path}"),
            None if has_ha(seen, of) => {
                "it comes back from its high availability, if that still knows the job".to_owned()
            }
            None => "no state of it is known: the operator may ask for a manual restore".to_owned(),
        };
        return (format!("{name} is {state}, so nothing is stopped: {from}"), Fate::Kept);
    }
    if mode == "savepoint" && of.runs() {
        return (
            format!(
                "upgradeMode savepoint: {name} is stopped with a savepoint and comes back from it; if the savepoint fails it goes on running"
            ),
            Fate::Kept,
        );
    }
    if mode == "savepoint" && seen.setting(of, FALLBACK).is_some_and(|v| v == "false") {
        let why = format!("the operator waits until {name} runs ({FALLBACK} is false)");
        return (format!("upgradeMode savepoint, but {name} is {state}"), Fate::Waits(why));
    }
    let fallen =
        if mode == "savepoint" { format!("upgradeMode savepoint, but {name} is {state}: ") } else { String::new() };
    let repeated = Fate::Repeated(match last_checkpoint(seen, of) {
        Some(seconds) => format!(
            "what {name} did since its last checkpoint, {seconds} s ago, is done again and may reach sinks twice"
        ),
        None => format!("what {name} did since its last checkpoint is done again and may reach sinks twice"),
    });
    let session_job = of.named.kind == ObjectKind::FlinkSessionJob;
    if !session_job && has_ha(seen, of) {
        let sentence = format!(
            "{fallen}last-state: the cluster of {name} is deleted, and it comes back from its last checkpoint by its high availability"
        );
        return (sentence, repeated);
    }
    let old = !seen.features.state_snapshots;
    let dead = matches!(of.text("/status/jobManagerDeploymentStatus"), Some("MISSING" | "ERROR"));
    if old || dead {
        let why = if old {
            format!("{name} has no high availability, which this operator needs for last-state")
        } else {
            format!(
                "{name} has no high availability and its JobManager is gone: the operator would ask for a manual restore; redeploy it from a savepoint"
            )
        };
        return (format!("{fallen}last-state"), Fate::Impossible(why));
    }
    (format!("{fallen}last-state: {name} is cancelled and comes back from its last checkpoint"), repeated)
}

const FALLBACK: &str = "kubernetes.operator.job.upgrade.last-state-fallback.enabled";

fn has_ha(seen: &Managed, of: &Document) -> bool {
    let keys = ["high-availability.type", "high-availability"];
    keys.iter().find_map(|key| seen.setting(of, key)).is_some_and(|v| !v.is_empty() && !v.eq_ignore_ascii_case("none"))
}

/// How old the last checkpoint is, seconds.
fn last_checkpoint(seen: &Managed, of: &Document) -> Option<u64> {
    let job = seen.job.as_ref().filter(|job| Some(job.id()) == of.job_id())?;
    let last = job.checkpoints.as_ref()?.latest_completed.as_ref()?;
    Some(age(last.triggered_at, seen.frame.now).as_secs())
}
