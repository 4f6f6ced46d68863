//! Carries out a plan: step by step, each looked at before it is sent, journaled before its effect, with a time-out and a clock
//! of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::flink;
use super::steps::{self, Look, Sent, Ways};
use crate::control::cluster::ClusterLink;
use crate::control::ports::ClusterApi;
use crate::control::shared::Shared;
use crate::domain::plan::{Action, Launch, Plan, PlanEvent, PlanState, StepState, Wanted};
use crate::state::journal::Record;

/// Pause between two looks.
const POLL: Duration = Duration::from_millis(500);
/// Longest pause, once a step takes long.
const LONGEST_POLL: Duration = Duration::from_secs(2);
/// A look that takes longer is given up; it is repeated.
const LOOK_LIMIT: Duration = Duration::from_secs(30);
/// An effect that was taken and does not show for this long is sent again: ids that the plan chose make that safe.
const SEND_AGAIN: Duration = Duration::from_secs(15);

/// The task that carries out one plan.
pub(super) struct Executor {
    pub shared: Arc<Shared>,
    /// The Flink cluster, while it is watched.
    pub link: Option<Arc<ClusterLink>>,
    /// The Kubernetes cluster, if there is one.
    pub api: Option<Arc<dyn ClusterApi>>,
    /// Configured launches that a redacted one may stand for.
    pub launches: Vec<Launch>,
    pub cancel: CancellationToken,
    pub plan: Plan,
    /// Told of every change.
    pub publish: Box<dyn Fn(&Plan) + Send + Sync>,
}

/// Why a plan stands still.
enum Halt {
    /// For good.
    End(PlanState),
    /// It can be resumed.
    Interrupt(String),
    /// The journal cannot be written.
    Journal(String),
}

impl Executor {
    /// Carries the plan on from where it stands to its end; gives it as it stands then.
    pub async fn run(mut self) -> Plan {
        let _close_watch = self.link.as_ref().map(ClusterLink::watch_closely);
        let ended = loop {
            let Some(index) = self.plan.current() else { break Halt::End(PlanState::Done) };
            if self.cancel.is_cancelled() && self.plan.must_go_on().is_none() {
                break Halt::End(PlanState::Cancelled { standing: self.plan.standing() });
            }
            if let Err(halt) = self.step(index).await {
                break halt;
            }
        };
        let state = match ended {
            Halt::End(state) => state,
            Halt::Interrupt(why) | Halt::Journal(why) => PlanState::Interrupted { why },
        };
        if let Err(Halt::Journal(why)) = self.record(PlanEvent::Became { state: state.clone() }).await {
            tracing::error!(plan = %self.plan.id, why, "the end of a plan could not be journaled");
            let at = self.shared.now();
            self.plan.take_in(&PlanEvent::Became { state: PlanState::Interrupted { why } }, at);
            (self.publish)(&self.plan);
        }
        self.plan
    }

    /// Writes what happens, then lets it be so.
    async fn record(&mut self, event: PlanEvent) -> Result<(), Halt> {
        let at = self.shared.now();
        let record = Record::Plan { plan: self.plan.id, at, event: event.clone() };
        match self.shared.journal.append(record).await {
            Ok(()) => {
                self.plan.take_in(&event, at);
                (self.publish)(&self.plan);
                Ok(())
            }
            Err(error) => Err(Halt::Journal(format!("nothing more is sent: {error}"))),
        }
    }

    fn note(&mut self, index: usize, note: &str) {
        if let Some(step) = self.plan.steps.get_mut(index)
            && step.note.as_deref() != Some(note)
        {
            step.note = Some(note.to_owned());
            (self.publish)(&self.plan);
        }
    }

    async fn step(&mut self, index: usize) -> Result<(), Halt> {
        if self.plan.steps.get(index).is_none_or(|step| step.state != StepState::Running) {
            self.record(PlanEvent::Began { step: index }).await?;
        }
        let began = Instant::now();
        let patience = self.plan.steps.get(index).map_or(Duration::ZERO, |step| step.patience);
        let mut sent: Option<Instant> = None;
        loop {
            let mut waiting_for = match self.look(index).await {
                Look::Done { result, note } => {
                    return self.end(index, StepState::Done, result, Some(note)).await;
                }
                Look::Failed(why) => return self.fail(index, why).await,
                Look::Pending(what) | Look::Blind(what) => what,
                Look::Absent(what) => {
                    if sent.is_none_or(|at| at.elapsed() >= self.again(index)) && began.elapsed() < patience {
                        match self.send(index).await? {
                            Sent::Taken => {
                                sent = Some(Instant::now());
                                what
                            }
                            Sent::Unclear(why) => why,
                            Sent::Refused(why) => return self.fail(index, why).await,
                        }
                    } else {
                        what
                    }
                }
            };
            if began.elapsed() >= patience {
                waiting_for = format!("{waiting_for} (given up after {} s)", patience.as_secs());
                let state = StepState::TimedOut { waiting_for: waiting_for.clone() };
                self.end(index, state, None, Some(waiting_for.clone())).await?;
                return Err(Halt::Interrupt(format!("{waiting_for}; {}", self.plan.standing())));
            }
            self.note(index, &waiting_for);
            if self.cancel.is_cancelled() && self.plan.must_go_on().is_none() {
                return Ok(());
            }
            let pause = if began.elapsed() < Duration::from_secs(20) { POLL } else { LONGEST_POLL };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.cancel.cancelled(), if !self.cancel.is_cancelled() => {}
            }
        }
    }

    fn ways(&self) -> Ways<'_> {
        Ways {
            flink: self.link.as_ref().map(|link| &link.client),
            objects: self.api.as_ref().and_then(|api| api.objects()),
        }
    }

    /// How long a taken effect may stay unseen before it is sent again.
    fn again(&self, index: usize) -> Duration {
        match self.plan.steps.get(index).map(|step| &step.action) {
            // Something may have started the JobManager again: that is not for us to fight.
            Some(Action::ShutDownCluster) | None => Duration::MAX,
            Some(_) => SEND_AGAIN,
        }
    }

    async fn look(&self, index: usize) -> Look {
        let Some(step) = self.plan.steps.get(index) else { return Look::Failed("there is no such step".into()) };
        let mut step = step.clone();
        if let Action::CheckLaunch { launch, .. } = &mut step.action {
            match self.whole(launch) {
                Ok(whole) => *launch = whole,
                Err(why) => return Look::Failed(why),
            }
        }
        match tokio::time::timeout(LOOK_LIMIT, steps::look(self.ways(), &self.plan, &step)).await {
            Ok(look) => look,
            Err(_) => Look::Blind(format!("no answer within {} s", LOOK_LIMIT.as_secs())),
        }
    }

    /// Journals that the effect may happen from now on, and sends it.
    async fn send(&mut self, index: usize) -> Result<Sent, Halt> {
        let Some(step) = self.plan.steps.get(index) else { return Ok(Sent::Refused("there is no such step".into())) };
        if !step.action.has_effect() {
            return Ok(Sent::Unclear("nothing is to be sent".into()));
        }
        if step.sent_at.is_none() {
            let newest = match &self.link {
                Some(link) => flink::newest(&link.client, step).await,
                None => Ok(None),
            };
            let newest = match newest {
                Ok(newest) => newest,
                Err(error) if error.is_transient() => return Ok(Sent::Unclear(error.to_string())),
                // Without checkpoint statistics what is newer cannot be told; the trigger id remains.
                Err(_) => None,
            };
            self.record(PlanEvent::Sending { step: index, newest }).await?;
        }
        let Some(mut step) = self.plan.steps.get(index).cloned() else {
            return Ok(Sent::Refused("no such step".into()));
        };
        if let Action::Run { launch, .. } = &mut step.action {
            match self.whole(launch) {
                Ok(whole) => *launch = whole,
                Err(why) => return Ok(Sent::Refused(why)),
            }
        }
        Ok(steps::send(self.ways(), &self.plan, &step).await)
    }

    /// The launch with its arguments, which the journal does not keep.
    fn whole(&self, launch: &Launch) -> Result<Launch, String> {
        if launch.left_out.is_none() {
            return Ok(launch.clone());
        }
        let bare = Launch { left_out: None, ..launch.clone() };
        let configured = self.launches.iter().map(|known| Launch { jar: launch.jar.clone(), ..known.clone() });
        configured.chain([bare]).find(|whole| launch.is(whole)).ok_or_else(|| {
            "the arguments of the program are not kept in the journal, and what the config file says now is not what was \
             confirmed: restore the launch in [[job]], or abandon this plan and redeploy from the savepoint"
                .to_owned()
        })
    }

    async fn end(
        &mut self,
        index: usize,
        state: StepState,
        result: Option<String>,
        note: Option<String>,
    ) -> Result<(), Halt> {
        self.record(PlanEvent::Ended { step: index, state, result, note }).await
    }

    async fn fail(&mut self, index: usize, why: String) -> Result<(), Halt> {
        self.end(index, StepState::Failed { why: why.clone() }, None, Some(why.clone())).await?;
        Err(Halt::End(PlanState::Failed { why: format!("{why}; {}", self.after_failure(index)) }))
    }

    /// How things stand after a step failed: one that failed left things as the one before did, or as it says.
    fn after_failure(&self, index: usize) -> String {
        let Some(step) = self.plan.steps.get(index) else { return String::new() };
        let taken = self.plan.steps.iter().rev().find_map(|s| s.result.as_deref());
        let standing = match &step.action {
            Action::CheckLaunch { .. } | Action::Savepoint { .. } | Action::Checkpoint { .. } => {
                "the job was not touched".to_owned()
            }
            Action::Stop { .. } => "look at the job: it goes on running unless it says otherwise".to_owned(),
            Action::Cancel { .. } => "the job was not cancelled".to_owned(),
            Action::Rescale { .. } => "look at the job: its parallelism is not what was wanted".to_owned(),
            Action::Run { .. } => "the job is stopped and was not started again".to_owned(),
            Action::AwaitRunning { .. } => "the old job is stopped and the new one does not run".to_owned(),
            Action::Snapshot { .. } => "the job was not touched".to_owned(),
            Action::Patch { of, .. } if step.sent_at.is_none() => format!("{of} was not changed by this step"),
            Action::Await { wanted: Wanted::ByNonce { .. }, .. } => "the job goes on running".to_owned(),
            Action::Delete { of, .. } if step.sent_at.is_none() => format!("{of} was not deleted"),
            Action::AwaitCheckpoint { .. }
            | Action::ShutDownCluster
            | Action::Patch { .. }
            | Action::Await { .. }
            | Action::Delete { .. } => step.if_unfinished.clone(),
        };
        match taken {
            Some(path) => format!("{standing}; its state is in {path}: redeploy from there"),
            None => standing,
        }
    }
}
