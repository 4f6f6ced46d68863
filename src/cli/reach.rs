//! A control loop that was reached: one that runs elsewhere and was attached to, or one that runs here in the foreground.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::exit::{Failure, printable};
use crate::clock::Clock;
use crate::control::handle::Handle;
use crate::control::socket::{Attached, Running, SocketError, attach, list_running};
use crate::domain::Timestamp;
use crate::domain::command::{Command, CommandId, CommandStage, CommandView, Intent, Interest, Issuer};
use crate::domain::decision::{Decision, DecisionId, DecisionState, Target};
use crate::domain::ids::{JobKey, SourceId};
use crate::domain::job::{JobKind, JobState, Mode, TurnView};
use crate::domain::kubernetes::KubeView;
use crate::domain::plan::{Plan, PlanId, PlanOrder};
use crate::domain::reason::ReasonCode;
use crate::domain::snapshot::{Snapshot, SourceState, SourceView};

/// How long the first answers may take when nothing else was said.
const FIRST_ANSWER: Duration = Duration::from_secs(15);

/// How long the first look at each job may take once its source has answered.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// The loop itself gives every command a deadline; this one only guards against a loop that does not.
const COMMAND_LIMIT: Duration = Duration::from_secs(1800);

/// Where the loop runs.
#[derive(Debug)]
pub enum Loop {
    /// In this process.
    Here(Handle),
    /// In another process of this user.
    There(Running),
}

/// A loop that was reached.
#[derive(Debug)]
pub struct Reached {
    /// Where it runs.
    pub at: Loop,
    /// The clock for command time stamps.
    pub clock: Arc<dyn Clock>,
    /// How long a decision may take to come up; nothing when attached.
    pub wait: Duration,
    commands: AtomicU64,
}

/// The running process to attach to: the one with this pid, or the only one there is; `None` if none runs.
///
/// # Errors
/// [`Failure::Usage`] if several run and none was named, [`Failure::Failed`] if the named one does not.
pub async fn running(folder: &Path, pid: Option<u32>) -> Result<Option<Running>, Failure> {
    let all = list_running(folder).await.map_err(lost)?;
    let pids = all.iter().map(|r| r.pid.to_string()).collect::<Vec<_>>().join(", ");
    match pid {
        Some(pid) => match all.into_iter().find(|r| r.pid == pid) {
            Some(found) => Ok(Some(found)),
            None if pids.is_empty() => Err(Failure::Failed(format!("no flightdeck runs, so none with pid {pid}"))),
            None => Err(Failure::Failed(format!("no flightdeck with pid {pid} runs; there are: {pids}"))),
        },
        None if all.len() > 1 => {
            Err(Failure::Usage(format!("several flightdecks run: say which with --attach PID, one of {pids}")))
        }
        None => Ok(all.into_iter().next()),
    }
}

fn lost(error: SocketError) -> Failure {
    Failure::Failed(error.to_string())
}

fn ended() -> Failure {
    Failure::Failed("the control loop ended".to_owned())
}

/// Snapshots of a loop, the present one first.
enum Snapshots {
    Here { receiver: tokio::sync::watch::Receiver<Arc<Snapshot>>, first: bool },
    There(Box<Attached>),
}

impl Snapshots {
    async fn next(&mut self) -> Result<Arc<Snapshot>, Failure> {
        match self {
            Self::Here { receiver, first } => {
                if !std::mem::take(first) {
                    receiver.changed().await.map_err(|_| ended())?;
                }
                Ok(Arc::clone(&receiver.borrow_and_update()))
            }
            Self::There(attached) => attached.next_snapshot().await.map(Arc::new).map_err(lost),
        }
    }
}

impl Reached {
    /// A loop at this place.
    pub fn new(at: Loop, clock: Arc<dyn Clock>, wait: Duration) -> Self {
        Self { at, clock, wait, commands: AtomicU64::new(1) }
    }

    async fn snapshots(&self) -> Result<Snapshots, Failure> {
        match &self.at {
            Loop::Here(handle) => Ok(Snapshots::Here { receiver: handle.snapshots.clone(), first: true }),
            Loop::There(running) => {
                let mut attached = attach(running).await.map_err(lost)?;
                attached.follow().await.map_err(lost)?;
                Ok(Snapshots::There(Box::new(attached)))
            }
        }
    }

    /// The first answer that `pick` gives to a snapshot, the present one first; the last snapshot if the time is over.
    async fn until<T>(
        &self,
        limit: Duration,
        mut pick: impl FnMut(&Arc<Snapshot>) -> Option<T>,
    ) -> Result<Result<T, Arc<Snapshot>>, Failure> {
        let mut snapshots = self.snapshots().await?;
        let mut last = snapshots.next().await?;
        if let Some(found) = pick(&last) {
            return Ok(Ok(found));
        }
        let search = async {
            loop {
                last = snapshots.next().await?;
                if let Some(found) = pick(&last) {
                    return Ok(found);
                }
            }
        };
        match tokio::time::timeout(limit, search).await {
            Ok(found) => found.map(Ok),
            Err(_) => Ok(Err(last)),
        }
    }

    /// The first snapshot in which every source has answered or failed.
    ///
    /// # Errors
    /// If that takes too long, the loop ends, or not a single source answers.
    pub async fn loaded(&self) -> Result<Arc<Snapshot>, Failure> {
        let limit = FIRST_ANSWER.max(self.wait);
        let snapshot = self.until(limit, |s| s.loaded.then(|| Arc::clone(s))).await?.map_err(|_| {
            Failure::Failed(format!("no source answered within {} s; check the addresses", limit.as_secs()))
        })?;
        let error = |s: &Arc<SourceView>| match &s.state {
            SourceState::Lost { error, .. } => Some(format!("{}: {error}", s.id)),
            SourceState::Connecting | SourceState::Live => None,
        };
        let errors: Vec<String> = snapshot.sources.iter().filter_map(error).collect();
        if !errors.is_empty() && errors.len() == snapshot.sources.len() && snapshot.jobs.is_empty() {
            return Err(Failure::Failed(errors.join("\n")));
        }
        // A source lists its jobs before the first look at each of them.
        let observed = |s: &Arc<Snapshot>| s.jobs.iter().all(|j| j.observed_at.is_some()).then(|| Arc::clone(s));
        Ok(self.until(FIRST_LOOK, observed).await?.unwrap_or_else(|last| last))
    }

    /// A snapshot with the events of every Kubernetes cluster that answers. They are watched only while somebody looks, so a loop that
    /// runs elsewhere has them only while its screen shows them.
    ///
    /// # Errors
    /// If no source answers, there is no Kubernetes cluster, or the loop runs elsewhere and nobody looks at events there.
    pub async fn events(&self) -> Result<Arc<Snapshot>, Failure> {
        let snapshot = self.loaded().await?;
        if snapshot.kubernetes.is_empty() {
            return Err(Failure::Failed("no Kubernetes cluster is looked at: Flink itself has no events".to_owned()));
        }
        if let Loop::Here(handle) = &self.at {
            handle.interest.send_replace(Interest { visible: true, all_events: true, ..Interest::default() });
        }
        let all = |s: &Arc<Snapshot>| {
            let lost =
                |id: &SourceId| s.source(id).is_some_and(|source| matches!(source.state, SourceState::Lost { .. }));
            let there = |k: &Arc<KubeView>| k.events.is_some() || lost(&k.source) || missing_events(k).is_some();
            s.kubernetes.iter().all(there).then(|| Arc::clone(s))
        };
        let limit = match &self.at {
            Loop::Here(_) => FIRST_ANSWER.max(self.wait),
            Loop::There(_) => FIRST_LOOK,
        };
        let snapshot = self.until(limit, all).await?.map_err(|_| match &self.at {
            Loop::Here(_) => Failure::Failed(format!("no events were told within {} s", limit.as_secs())),
            Loop::There(running) => Failure::Failed(format!(
                "the flightdeck with pid {} looks at no events now; use --wait 5s to look from here",
                running.pid
            )),
        })?;
        match snapshot.kubernetes.iter().find(|k| k.events.is_none()).and_then(|k| missing_events(k)) {
            Some(why) => Err(Failure::Failed(why)),
            None => Ok(snapshot),
        }
    }

    /// Waits until a decision is pending, showing how the windows fill; the last snapshot if none came in time.
    ///
    /// # Errors
    /// If no source answers or the loop ends.
    pub async fn wait_for_decision(&self) -> Result<Arc<Snapshot>, Failure> {
        self.loaded().await?;
        let mut progress = Progress::default();
        let pending = |s: &Arc<Snapshot>| {
            progress.show(s);
            s.decisions.iter().any(|d| matches!(d.state, DecisionState::Pending)).then(|| Arc::clone(s))
        };
        Ok(self.until(self.wait, pending).await?.unwrap_or_else(|last| last))
    }

    /// The decision with this id; where the loop runs here it may still have to be made.
    ///
    /// # Errors
    /// If there is none, naming those there are.
    pub async fn decision(&self, id: DecisionId) -> Result<(Arc<Snapshot>, Arc<Decision>), Failure> {
        self.loaded().await?;
        let mut progress = Progress::default();
        let found = |s: &Arc<Snapshot>| {
            if !self.wait.is_zero() {
                progress.show(s);
            }
            let named = s.decision(id).map(|d| Ok((Arc::clone(s), Arc::clone(d))));
            named.or_else(|| decided_otherwise(s).then(|| Err(Arc::clone(s))))
        };
        self.until(self.wait, found).await?.and_then(|found| found).map_err(|last| {
            let others: Vec<String> = last.decisions.iter().map(|d| format!("{} ({})", d.id, d.state.word())).collect();
            let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
            Failure::Failed(format!("there is no decision {id}; there are: {others}"))
        })
    }

    /// Gives a command about a decision and follows it to its end.
    ///
    /// # Errors
    /// If the loop ends first.
    pub async fn command(&self, intent: Intent, decision: &Decision) -> Result<CommandStage, Failure> {
        self.give(intent, Some(decision.target.clone())).await
    }

    /// Gives a command about a job as it was seen and follows it to its end.
    ///
    /// # Errors
    /// If the loop ends first.
    pub async fn about(&self, intent: Intent, target: Target) -> Result<CommandStage, Failure> {
        self.give(intent, Some(target)).await
    }

    /// Gives an order about a plan and follows it to its end.
    ///
    /// # Errors
    /// If the loop ends first.
    pub async fn order(&self, order: PlanOrder) -> Result<CommandStage, Failure> {
        self.give(Intent::Plan(order), None).await
    }

    /// The loop runs in this process.
    pub fn is_here(&self) -> bool {
        matches!(self.at, Loop::Here(_))
    }

    /// The plan with this id, as it stands now.
    ///
    /// # Errors
    /// If there is none.
    pub async fn plan(&self, id: PlanId) -> Result<Arc<Plan>, Failure> {
        let found = self.until(FIRST_LOOK, |s| s.plan(id).cloned()).await?;
        found.map_err(|_| Failure::Failed(format!("there is no plan {id}")))
    }

    async fn give(&self, intent: Intent, target: Option<Target>) -> Result<CommandStage, Failure> {
        let at = self.clock.now();
        // A plan that is only made has no steps to tell of.
        let quiet = matches!(intent, Intent::Plan(PlanOrder::Propose { .. }));
        let mut steps = Steps { quiet, ..Steps::default() };
        match &self.at {
            Loop::Here(handle) => {
                let id = CommandId(self.commands.fetch_add(1, Ordering::Relaxed));
                let command = Command { id, intent, issuer: Issuer::CommandLine, target, at };
                handle.commands.send(command).await.map_err(|_| ended())?;
                let stage = |s: &Arc<Snapshot>| {
                    let mine = |c: &&Arc<CommandView>| c.command.id == id && c.command.issuer == Issuer::CommandLine;
                    steps.show(s.commands.iter().find(mine)?)
                };
                let stage = self.until(COMMAND_LIMIT, stage).await?;
                stage.map_err(|_| Failure::Failed("the command did not end; look at the job".to_owned()))
            }
            Loop::There(running) => {
                let mut attached = attach(running).await.map_err(lost)?;
                attached.command(intent, target, at).await.map_err(lost)?;
                loop {
                    if let Some(stage) = steps.show(&attached.next_stage().await.map_err(lost)?) {
                        return Ok(stage);
                    }
                }
            }
        }
    }
}

/// Whether it is known that the decision which somebody asks for is not proposed: something else is, and no job's first
/// answer is still to come.
fn decided_otherwise(snapshot: &Snapshot) -> bool {
    let answered = |turn: Option<&Arc<TurnView>>| turn.is_some_and(|turn| !comes_later(turn.reason.code));
    snapshot.decisions.iter().any(|d| matches!(d.state, DecisionState::Pending))
        && snapshot.jobs.iter().all(|job| {
            let asked = job.mode != Mode::Off && job.state == JobState::Running && job.kind != JobKind::SessionCluster;
            !asked || answered(job.turn.as_ref())
        })
}

/// Whether a loop that has just begun gives this reason until it has seen enough.
fn comes_later(reason: ReasonCode) -> bool {
    use ReasonCode::{MetricsNotReady, Stabilizing, TooFewSamples, WindowFilling};
    matches!(reason, MetricsNotReady | Stabilizing | TooFewSamples | WindowFilling)
}

/// The watch of events that is forbidden, in its own words.
fn missing_events(kube: &KubeView) -> Option<String> {
    kube.watches.iter().find_map(|watch| match &watch.state {
        SourceState::Lost { error, .. } if watch.forbidden && watch.resource == "events" => Some(error.clone()),
        _ => None,
    })
}

/// Prints each stage of a command once, and what is awaited whenever its words change: a clock that runs in them is no news.
#[derive(Default)]
struct Steps {
    quiet: bool,
    last: Option<(&'static str, String)>,
}

impl Steps {
    /// Prints the stage if it is new; gives it if it is final.
    fn show(&mut self, view: &CommandView) -> Option<CommandStage> {
        let waiting = view.waiting_for.as_deref().unwrap_or_default();
        let step = (view.stage.word(), waiting.chars().filter(|c| !c.is_ascii_digit()).collect());
        if !self.quiet && self.last.as_ref() != Some(&step) {
            let separator = if waiting.is_empty() { "" } else { ": " };
            eprintln!("{}{separator}{}", step.0, printable(waiting));
            self.last = Some(step);
        }
        view.stage.is_final().then(|| view.stage.clone())
    }
}

/// Prints each turn of each job once while something is waited for: how full its window is, and its reason.
#[derive(Default)]
struct Progress {
    seen: HashMap<JobKey, Timestamp>,
}

impl Progress {
    fn show(&mut self, snapshot: &Snapshot) {
        for job in &snapshot.jobs {
            let Some(turn) = &job.turn else { continue };
            if self.seen.insert(job.key.clone(), turn.at) == Some(turn.at) {
                continue;
            }
            let fill =
                job.window_status.as_ref().map_or(String::new(), |w| format!("window {:.0} %, ", w.fill * 100.0));
            eprintln!("{}: {fill}{}", printable(&job.name), printable(&turn.reason.sentence));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixtures;

    /// The fleet of the screens' tests with every job's last turn ending with this reason.
    fn fleet(reason: ReasonCode) -> Snapshot {
        let mut fleet = fixtures::fleet();
        let turn = fleet.jobs.iter().find_map(|job| job.turn.clone()).unwrap();
        for job in &mut fleet.jobs {
            let turn = Arc::make_mut(Arc::make_mut(job).turn.get_or_insert_with(|| Arc::clone(&turn)));
            turn.reason.code = reason;
        }
        fleet
    }

    #[test]
    fn a_decision_is_not_awaited_once_every_job_has_answered_otherwise() {
        assert!(decided_otherwise(&fleet(ReasonCode::AwaitingApproval)));
        assert!(!decided_otherwise(&fleet(ReasonCode::WindowFilling)));
        let mut nothing_pending = fleet(ReasonCode::WithinBand);
        nothing_pending.decisions.clear();
        assert!(!decided_otherwise(&nothing_pending));
        let mut unseen = fleet(ReasonCode::AwaitingApproval);
        let scaled = unseen.jobs.iter().position(|job| job.name == "orders-enrichment").unwrap();
        Arc::make_mut(&mut unseen.jobs[scaled]).turn = None;
        assert!(!decided_otherwise(&unseen));
        Arc::make_mut(&mut unseen.jobs[scaled]).mode = Mode::Off;
        assert!(decided_otherwise(&unseen));
    }
}
