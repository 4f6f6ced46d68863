//! The one status word of a job, from evidence. Pure; the first rule that matches gives the word.
//!
//! Flink's own evidence follows `flink-rest.md` §6; what an operator says comes first and follows `operator.md` §2.3.

pub(super) mod operator;

use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::freshness::age;
use crate::domain::health::{Health, HealthWord, Severity};
use crate::domain::job::{CheckpointStatus, CheckpointsView, JobRates, JobState, TaskCounts};

/// Failures within this time count as one spell.
pub const FAILING_SPELL: Duration = Duration::from_secs(600);
/// So many restarts within a spell are "again and again".
const FAILING_RESTARTS: usize = 3;
/// A job that waits for slots this long is not just starting.
const SLOT_PATIENCE: Duration = Duration::from_secs(60);
/// Sources held back for this share of the time are backpressured.
const BACKPRESSURED: f64 = 0.5;
/// Work that a lag must stand for to be called a backlog, seconds.
const BACKLOG_SECONDS: f64 = 30.0;
/// So many checkpoints in a row must fail.
const FAILED_CHECKPOINTS: usize = 2;

/// What the operator says of a job: its own word, and the headline that it makes, if it makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorWord {
    /// Lifecycle state and job state, as shown.
    pub text: String,
    /// The headline by `operator.md` §2.3 with its reason; `None` if the operator sees nothing special.
    pub headline: Option<(HealthWord, String)>,
}

/// What is known of a job when its word is chosen.
#[derive(Debug, Clone)]
pub struct Evidence<'a> {
    /// Now.
    pub now: Timestamp,
    /// The source does not answer: since when, and why.
    pub lost: Option<(Timestamp, &'a str)>,
    /// Flink's state.
    pub state: JobState,
    /// Since when it is in that state, as far as it was seen.
    pub state_since: Timestamp,
    /// Its tasks.
    pub tasks: TaskCounts,
    /// It ran before in this process or by its start time.
    pub ran_before: bool,
    /// Instants of failures, newest last; rescales are not failures.
    pub failures: &'a [Timestamp],
    /// The newest failure in one line.
    pub problem: Option<&'a str>,
    /// Free slots of the cluster, if known.
    pub free_slots: Option<u32>,
    /// Why TaskManagers are missing, by their pods.
    pub missing_task_managers: Option<&'a str>,
    /// How a TaskManager ended lately, if badly.
    pub ended_task_manager: Option<&'a str>,
    /// A change of ours that is under way, in one sentence.
    pub progress: Option<&'a str>,
    /// Numbers.
    pub rates: Option<&'a JobRates>,
    /// A source is backpressured for this share of the time; NaN if unknown.
    pub source_backpressure: f64,
    /// Checkpointing.
    pub checkpoints: Option<&'a CheckpointsView>,
    /// What the operator says, if one manages the job.
    pub operator: Option<&'a OperatorWord>,
}

/// The status word with its evidence.
pub fn health(e: &Evidence<'_>) -> Health {
    let (word, reason) = word(e);
    Health { word, reason, operator: e.operator.map(|o| o.text.clone()) }
}

fn word(e: &Evidence<'_>) -> (HealthWord, String) {
    let headline = e.operator.and_then(|o| o.headline.clone());
    // The operator's troubles and transitions come first; its "all well" and its soft words yield to Flink's evidence.
    if let Some((word, reason)) = &headline
        && (word.severity() >= Severity::Error || matches!(word, HealthWord::Deleting | HealthWord::Suspended))
    {
        return (*word, reason.clone());
    }
    if let Some((since, why)) = e.lost {
        return (HealthWord::Unreachable, format!("no answer for {} s: {why}", age(since, e.now).as_secs()));
    }
    if let Some(ended) = ended(e) {
        return ended;
    }
    if let Some(failing) = failing(e) {
        return failing;
    }
    let up = e.state == JobState::Running && e.tasks.all_running();
    if let Some(progress) = e.progress.filter(|_| !up || headline.is_none()) {
        // What keeps a change waiting is as good to know as how far it is.
        let reason = e.missing_task_managers.map_or_else(|| progress.to_owned(), |why| format!("{progress}; {why}"));
        return (HealthWord::Rescaling, reason);
    }
    if !up {
        return not_up(e, headline);
    }
    if let Some(headline) = headline {
        return headline;
    }
    if let Some(held) = held_back(e) {
        return held;
    }
    if let Some(overdue) = e.checkpoints.and_then(|c| checkpoints_failing(c, e.state_since, e.now)) {
        return (HealthWord::CheckpointsFailing, overdue);
    }
    match e.rates {
        Some(r) if r.lag_seconds >= BACKLOG_SECONDS && r.lag_rate < 0.0 => (
            HealthWord::CatchingUp,
            format!("{:.0} records behind, gone in {:.0} s at this pace", r.lag, r.catch_up_seconds),
        ),
        _ => (HealthWord::Healthy, format!("all {} tasks run", e.tasks.total)),
    }
}

fn ended(e: &Evidence<'_>) -> Option<(HealthWord, String)> {
    let last = || e.problem.map_or_else(String::new, |p| format!(": {p}"));
    match e.state {
        JobState::Failed => Some((HealthWord::Failed, format!("the job failed for good{}", last()))),
        JobState::Finished => Some((HealthWord::Finished, "the job ended by itself".into())),
        JobState::Canceled => Some((HealthWord::Canceled, "the job was cancelled".into())),
        JobState::Suspended => Some((HealthWord::Suspended, "the job is suspended".into())),
        JobState::Cancelling => Some((HealthWord::Deleting, "the job is being cancelled".into())),
        JobState::Initializing
        | JobState::Created
        | JobState::Running
        | JobState::Failing
        | JobState::Restarting
        | JobState::Reconciling
        | JobState::Unknown => None,
    }
}

fn failing(e: &Evidence<'_>) -> Option<(HealthWord, String)> {
    let recent = e.failures.iter().filter(|at| age(**at, e.now) <= FAILING_SPELL).count();
    let last = || e.problem.map_or_else(String::new, |p| format!(": {p}"));
    if recent >= FAILING_RESTARTS {
        let minutes = FAILING_SPELL.as_secs() / 60;
        return Some((HealthWord::Failing, format!("{recent} failures in {minutes} min{}", last())));
    }
    (e.state == JobState::Failing).then(|| (HealthWord::Failing, format!("the job is failing{}", last())))
}

fn not_up(e: &Evidence<'_>, headline: Option<(HealthWord, String)>) -> (HealthWord, String) {
    let since = age(e.state_since, e.now).as_secs();
    let tasks = format!("{} of {} tasks run", e.tasks.running, e.tasks.total);
    let waits = matches!(e.state, JobState::Created | JobState::Restarting)
        || (e.state == JobState::Running && e.tasks.scheduled > 0);
    // Pods that do not come up are why there are no slots.
    if let Some(why) = e.missing_task_managers
        && (waits || matches!(e.state, JobState::Initializing | JobState::Reconciling | JobState::Unknown))
    {
        return (HealthWord::NoResources, format!("waits for slots for {since} s: {why}"));
    }
    if waits && e.free_slots == Some(0) && age(e.state_since, e.now) > SLOT_PATIENCE {
        return (HealthWord::NoResources, format!("waits for slots for {since} s and none is free; {tasks}"));
    }
    if let Some(headline) = headline {
        return headline;
    }
    match e.state {
        JobState::Restarting => {
            let last = e.ended_task_manager.or(e.problem).map_or_else(String::new, |p| format!(": {p}"));
            (HealthWord::Restarting, format!("restarting for {since} s{last}"))
        }
        JobState::Running | JobState::Created | JobState::Initializing if e.ran_before => {
            (HealthWord::Restarting, format!("{} for {since} s, {tasks}", e.state.name()))
        }
        JobState::Running | JobState::Created | JobState::Initializing => {
            (HealthWord::Deploying, format!("{} for {since} s, {tasks}", e.state.name()))
        }
        JobState::Reconciling => (HealthWord::Restarting, "the JobManager takes the job over".into()),
        JobState::Unknown
        | JobState::Failing
        | JobState::Failed
        | JobState::Cancelling
        | JobState::Canceled
        | JobState::Finished
        | JobState::Suspended => (HealthWord::Unknown, "not observed yet".into()),
    }
}

fn held_back(e: &Evidence<'_>) -> Option<(HealthWord, String)> {
    let rates = e.rates?;
    let grows = super::decisions::outcome::lag_grows(rates.lag_rate, rates.records_in);
    let percent = (e.source_backpressure * 100.0).round();
    if e.source_backpressure >= BACKPRESSURED && (grows || rates.lag.is_nan()) {
        let lag = if grows {
            format!("the backlog grows by {:.0} records/s", rates.lag_rate)
        } else {
            "no source reports its backlog".into()
        };
        return Some((HealthWord::Backpressured, format!("sources are held back {percent:.0} % of the time, {lag}")));
    }
    let shrinking = rates.lag_rate < 0.0;
    (rates.lag_seconds >= BACKLOG_SECONDS && !shrinking).then(|| {
        (
            HealthWord::Lagging,
            match rates.lag_seconds.is_finite() {
                true => format!("{:.0} records behind ({:.0} s of input), not shrinking", rates.lag, rates.lag_seconds),
                false => format!("{:.0} records behind and none is read", rates.lag),
            },
        )
    })
}

/// Why checkpoints are not well: the newest ones failed, or none completed for three intervals and a time-out.
fn checkpoints_failing(c: &CheckpointsView, running_since: Timestamp, now: Timestamp) -> Option<String> {
    if !c.enabled {
        return None;
    }
    let ended = c.history.iter().filter(|h| h.status != CheckpointStatus::InProgress && !h.is_savepoint);
    let failed: Vec<_> = ended.take_while(|h| h.status == CheckpointStatus::Failed).collect();
    if failed.len() >= FAILED_CHECKPOINTS {
        let why = failed.first().and_then(|h| h.failure.as_deref()).unwrap_or("no reason given");
        return Some(format!("the last {} checkpoints failed: {why}", failed.len()));
    }
    let interval = c.interval?;
    let limit = interval * 3 + c.timeout.unwrap_or(Duration::from_secs(600)).min(interval * 3);
    let since = c.latest_completed_at.map_or(running_since, |at| at.max(running_since));
    let overdue = age(since, now);
    (overdue > limit)
        .then(|| format!("no checkpoint completed for {} s, interval {} s", overdue.as_secs(), interval.as_secs()))
}

#[cfg(test)]
mod tests;
