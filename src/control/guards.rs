//! The guards between the pipeline and a decision: mode, ownership, source, freshness, run, completeness. Pure.
//!
//! Each guard that stops a turn gives its one reason. Data that are too old, incomplete or of an earlier run never decide.

use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::decision::{Decision, DecisionState};
use crate::domain::explanation::{Step, Value, Verdict};
use crate::domain::freshness::age;
use crate::domain::ids::{RunId, VertexId};
use crate::domain::job::{JobState, Mode, Ownership, Realization, TaskCounts};
use crate::domain::reason::{Reason, ReasonCode};
use crate::domain::topology::Topology;
use crate::domain::window::{MetricWindow, Sample};

/// A sample older than this many periods is too old.
const STALE_PERIODS: f64 = 2.5;

/// What is known before anything is collected.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// Flightdeck's mode.
    pub mode: Mode,
    /// Who scales the job.
    pub ownership: &'a Ownership,
    /// The source does not answer: why.
    pub lost: Option<&'a str>,
    /// The API server does not answer about the job's resource: why.
    pub resource_lost: Option<&'a str>,
    /// Flink's state of the job.
    pub state: JobState,
    /// Its tasks.
    pub tasks: TaskCounts,
}

/// The reason why a turn ends before it collects, if it does.
pub fn before(s: Standing<'_>) -> Option<Reason> {
    if s.mode == Mode::Off {
        return Some(Reason::new(ReasonCode::ModeOff, "the mode of this job is off: no loop runs for it"));
    }
    match s.ownership {
        Ownership::Observer { why } => {
            return Some(Reason::new(ReasonCode::Observing, format!("only observing: {why}")));
        }
        Ownership::Conflict { why } => return Some(Reason::new(ReasonCode::Conflict, why.clone())),
        Ownership::Pilot { .. } => {}
    }
    if let Some(why) = s.resource_lost {
        let sentence = format!("the API server does not answer about this resource: {why}");
        return Some(Reason::new(ReasonCode::SourceLost, sentence));
    }
    if let Some(why) = s.lost {
        return Some(Reason::new(ReasonCode::SourceLost, format!("the JobManager does not answer: {why}")));
    }
    if s.state != JobState::Running || !s.tasks.all_running() {
        let tasks = format!("{} of {} tasks run", s.tasks.running + s.tasks.finished, s.tasks.total);
        return Some(Reason::new(ReasonCode::NotRunning, format!("the job is {}, {tasks}", s.state.name())));
    }
    None
}

/// The data that a pass was made from.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    /// Now.
    pub now: Timestamp,
    /// Period of the loop.
    pub period: Duration,
    /// When the job list last answered.
    pub status_at: Option<Timestamp>,
    /// The run that is there now.
    pub run: Option<RunId>,
    /// The run that the window was collected in.
    pub window_run: Option<RunId>,
    /// The window.
    pub window: &'a MetricWindow,
    /// The graph.
    pub topology: &'a Topology,
    /// Vertices that Flink itself marks as incomplete.
    pub incomplete: &'a [VertexId],
}

/// The reason why these data must not decide, if they must not.
pub fn data(d: Data<'_>) -> Option<Reason> {
    let limit = d.period.mul_f64(STALE_PERIODS);
    let Some(sample) = d.window.samples().last() else {
        return Some(Reason::new(ReasonCode::IncompleteData, "nothing was collected yet"));
    };
    for (at, what) in [(Some(sample.at), "the newest sample"), (d.status_at, "the job's state")] {
        let old = at.map(|at| age(at, d.now));
        if old.is_none_or(|old| old > limit) {
            let old = old.map_or_else(|| "missing".into(), |o| format!("{} s old", o.as_secs()));
            return Some(Reason::new(
                ReasonCode::StaleData,
                format!("{what} is {old}, the limit is {} s", limit.as_secs()),
            ));
        }
    }
    let earlier = d.run.zip(d.window_run).is_none_or(|(now, then)| now != then)
        || d.run.is_some_and(|run| d.window.samples().first().is_some_and(|first| first.at < run.running_since));
    if earlier {
        return Some(Reason::new(ReasonCode::EarlierRun, "the window holds samples of an earlier run of the job"));
    }
    incomplete(sample, d.topology, d.incomplete)
}

fn incomplete(sample: &Sample, topology: &Topology, marked: &[VertexId]) -> Option<Reason> {
    let says = |vertex: &crate::domain::topology::Vertex, what: &str| {
        let mut reason = Reason::new(ReasonCode::IncompleteData, format!("{what} of {}", vertex.name));
        reason.vertex = Some(vertex.id);
        Some(reason)
    };
    for vertex in topology.vertices().iter().filter(|v| !v.finished) {
        let Some(found) = sample.vertex(vertex.id) else {
            return says(vertex, "no metrics");
        };
        if marked.contains(&vertex.id) {
            return says(vertex, "metrics of some subtasks are missing");
        }
        if !found.records_in.is_finite() || !found.records_out.is_finite() {
            return says(vertex, "record counts are missing");
        }
    }
    (topology.vertices().is_empty()).then(|| Reason::new(ReasonCode::IncompleteData, "the job graph is empty"))
}

/// The reason of a turn while a decision is being applied or measured.
pub fn in_progress(decision: &Decision, progress: Option<&str>) -> Option<Reason> {
    match decision.state {
        DecisionState::Approved | DecisionState::Applying => Some(Reason::new(
            ReasonCode::Applying,
            format!(
                "decision {} is being applied{}",
                decision.id,
                progress.map_or_else(String::new, |p| format!(": {p}"))
            ),
        )),
        DecisionState::Applied => {
            Some(Reason::new(ReasonCode::MeasuringOutcome, format!("measuring what decision {} brought", decision.id)))
        }
        _ => None,
    }
}

/// Why a proposal cannot be approved here and now, if it cannot: realization, mode, read-only.
pub fn blocked(realization: &Realization, mode: Mode, read_only: bool) -> Option<String> {
    if let Realization::AdviseOnly { why } = realization {
        return Some(why.clone());
    }
    if mode == Mode::Advise {
        return Some("the mode of this job is advise".into());
    }
    read_only.then(|| "started with --read-only: nothing may be written".into())
}

/// The guards as the last step of an explanation.
pub fn explain(mode: Mode, ownership: &Ownership, unfit: Option<&Reason>, blocked: Option<&str>) -> Step {
    let check = |label: &'static str, rule: &'static str, value: String, passed: bool| {
        let verdict = if passed { Verdict::Passed } else { Verdict::Blocks };
        Step::new(label).formula(rule).value(Value::text(value)).verdict(verdict)
    };
    let (pilot, owner) = match ownership {
        Ownership::Pilot { why } => (true, why),
        Ownership::Observer { why } | Ownership::Conflict { why } => (false, why),
    };
    let fit = unfit.map_or_else(|| "fresh, complete, of this run".to_owned(), |reason| reason.sentence.clone());
    let applicable = blocked.map_or_else(|| "can be applied".to_owned(), str::to_owned);
    let children = vec![
        check("mode", "mode is not off", mode.word().to_owned(), mode != Mode::Off),
        check("ownership", "flightdeck pilots the job", owner.clone(), pilot),
        check("data", "fresh, complete and of this run", fit, unfit.is_none()),
        check("realization", "the change can be applied and may be written", applicable, blocked.is_none()),
    ];
    let passed = children.iter().all(|step| step.verdict == Verdict::Passed);
    let word = if passed { "all passed" } else { "stopped" };
    Step { children, ..check("guards", "every check passes", word.to_owned(), passed) }
}

#[cfg(test)]
mod tests;
