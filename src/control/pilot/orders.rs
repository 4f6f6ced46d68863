//! Commands on a job: approve, reject, snooze, refresh.

use tokio::time::Instant;

use super::Pilot;
use super::turn::{Evaluated, Purpose};
use crate::control::decisions::Reevaluated;
use crate::domain::command::{Command, CommandId, CommandStage, Intent, Issuer};
use crate::domain::decision::{DecisionId, Target};
use crate::domain::reason::{Reason, ReasonCode};

/// Who gave a command, as it stands in the life of a decision.
fn by(issuer: Issuer) -> &'static str {
    match issuer {
        Issuer::Screen => "screen",
        Issuer::CommandLine => "command line",
        Issuer::Auto => "auto",
    }
}

impl Pilot {
    /// Carries out a command.
    pub(super) async fn carry_out(&mut self, command: Command) {
        // The world may have moved while the command waited.
        if self.absorb() {
            self.stage_of(&command, CommandStage::Superseded { why: "the job is gone".into() }, None);
            return;
        }
        let now = self.now();
        let health = self.health_word();
        match command.intent.clone() {
            Intent::Approve { decision } => self.approve(decision, &command).await,
            Intent::Reject { decision, reason } => {
                let done = self.book.reject(decision, reason, health, by(command.issuer), now);
                self.done(&command, done.map_err(|refusal| refusal.to_string()));
            }
            Intent::Snooze { decision, time } => {
                let done = self.book.snooze(decision, time, health, by(command.issuer), now);
                self.done(&command, done.map_err(|refusal| refusal.to_string()));
            }
            Intent::Preview { decision } => {
                let done = self.rehearse(decision).await;
                self.done(&command, done);
            }
            Intent::Reduce { decision } => self.reduce(decision, &command).await,
            Intent::TakeOver { .. } => self.take_over(&command).await,
            Intent::HandBack { .. } => self.hand_back(&command).await,
            Intent::Reconnect | Intent::AskRights { .. } | Intent::SwitchContext { .. } | Intent::Plan(_) => {
                self.done(&command, Err("this is no command about a job".into()));
            }
            Intent::Refresh { .. } => {
                self.link.hurry();
                let soon = Instant::now();
                self.schedule.details = soon;
                self.schedule.checkpoints = soon;
                self.owe_problems();
                self.schedule.subtasks = soon;
                self.schedule.watermarks = soon;
                self.refresh_details().await;
                self.done(&command, Ok(()));
            }
        }
        self.publish();
    }

    /// Why nothing else may change the job: an operation is not over.
    pub(super) fn plan_open(&self) -> Option<String> {
        let (plan, word) = self.shared.desk.busy(Some(&self.subject.key), &self.link.key)?;
        Some(format!("plan {plan} ({word}) is open on this job: let it end, resume it or abandon it first"))
    }

    /// A person approves: the target must be what was seen, and the evaluation with fresh data must come to the same numbers.
    async fn approve(&mut self, id: DecisionId, command: &Command) {
        let now = self.now();
        if self.shared.config.read_only {
            let why = "started with --read-only: nothing may be written".into();
            return self.stage_of(command, CommandStage::Refused { why }, None);
        }
        if let Some(why) = self.plan_open() {
            return self.stage_of(command, CommandStage::Refused { why }, None);
        }
        let shown = command.target.clone().or_else(|| self.book.get(id).map(|d| d.target.clone()));
        if let Err(refusal) = self.book.approve(id, by(command.issuer), now) {
            return self.stage_of(command, CommandStage::Refused { why: refusal.to_string() }, None);
        }
        self.publish();
        self.stage_of(command, CommandStage::Requested, Some("evaluating again with fresh data".into()));
        if let Some(why) = shown.as_ref().and_then(|shown| changed(shown, &self.target())) {
            return self.superseded(id, command, why);
        }
        let evaluated = match self.standing() {
            Some(reason) => Err(reason),
            None => self.evaluate(Purpose::Look).await,
        };
        let evaluated = match evaluated.and_then(|e| match e.unfit.clone() {
            Some(unfit) => Err(unfit),
            None => Ok(e),
        }) {
            Ok(evaluated) => evaluated,
            Err(reason) => return self.not_evaluated(id, command, &reason),
        };
        // The details that were just read may show a run or a spec that the list does not show yet.
        if let Some(why) = shown.as_ref().and_then(|shown| changed(shown, &self.target())) {
            return self.superseded(id, command, why);
        }
        let explanation = evaluated.pass.explanation.clone().map(std::sync::Arc::new);
        let candidate = self.candidate(&evaluated, explanation);
        let blocked = candidate.as_ref().and_then(|candidate| candidate.blocked.clone());
        let why = format!("it is not proposed any more: {}", evaluated.pass.reason.sentence);
        match self.book.reevaluate(id, candidate, &why, self.now()) {
            // The same numbers, and something has come in between since they were shown: no room, a right that is gone.
            Ok(Reevaluated::Same) => match blocked {
                None => self.apply(id, &evaluated, (command.issuer, command.id)).await,
                // The same numbers, and something has come in between since they were shown: no room, a right that is gone.
                Some(why) => {
                    let _ = self.book.back_to_pending(id, self.now());
                    self.book.block(Some(why.clone()));
                    self.stage_of(command, CommandStage::Refused { why }, None);
                }
            },
            Ok(Reevaluated::Changed(new)) => {
                let why = format!("its numbers changed since it was shown: decision {new} waits for approval");
                self.stage_of(command, CommandStage::Superseded { why }, None);
            }
            Ok(Reevaluated::Gone) => self.stage_of(command, CommandStage::Superseded { why }, None),
            Err(refusal) => self.stage_of(command, CommandStage::Refused { why: refusal.to_string() }, None),
        }
    }

    /// A person wants what fits: evaluated again with fresh data and the parallelism held down, and proposed in place of the
    /// decision that does not fit. Nothing is written; the new decision waits for its own approval.
    async fn reduce(&mut self, id: DecisionId, command: &Command) {
        let refused = |pilot: &Self, why: String| pilot.stage_of(command, CommandStage::Refused { why }, None);
        if self.shared.config.read_only {
            return refused(self, "started with --read-only: nothing may be decided".into());
        }
        let Some(decision) = self.book.get(id).cloned() else {
            return refused(self, format!("there is no decision {id}"));
        };
        match &decision.capacity {
            None => return refused(self, format!("whether decision {id} fits is not known")),
            Some(answer) if answer.fits() => return refused(self, format!("decision {id} fits as it is")),
            Some(_) => {}
        }
        if let Some(why) = command.target.as_ref().and_then(|shown| changed(shown, &self.target())) {
            return self.stage_of(command, CommandStage::Superseded { why }, None);
        }
        self.stage_of(command, CommandStage::Requested, Some("evaluating again with fresh data".into()));
        let run = self.run_seen();
        let before = std::mem::replace(&mut self.within_room, run);
        let evaluated = match self.standing() {
            Some(reason) => Err(reason),
            None => self.evaluate(Purpose::Look).await,
        };
        let evaluated = evaluated.and_then(|e| match e.unfit.clone() {
            Some(unfit) => Err(unfit),
            None => Ok(e),
        });
        let found = match evaluated {
            Err(reason) => Err(format!("it could not be evaluated with fresh data: {}", reason.sentence)),
            Ok(evaluated) => {
                let explanation = evaluated.pass.explanation.clone().map(std::sync::Arc::new);
                match self.candidate(&evaluated, explanation) {
                    None => Err(format!("it is not proposed any more: {}", evaluated.pass.reason.sentence)),
                    Some(candidate) if evaluated.has_room() => Ok(candidate),
                    Some(_) => Err("nothing that fits is more than what runs now".to_owned()),
                }
            }
        };
        let by = by(command.issuer);
        let at = self.now();
        match found.and_then(|c| self.book.reduce(id, c, by, at).map_err(|refusal| refusal.to_string())) {
            Ok(_) => self.stage_of(command, CommandStage::Observed, None),
            Err(why) => {
                self.within_room = before;
                refused(self, why);
            }
        }
    }

    /// The auto mode approves what this very turn proposes: its data could not be fresher.
    pub(super) async fn approve_by_itself(&mut self, id: DecisionId, evaluated: &Evaluated) {
        let busy = self.shared.desk.busy(Some(&self.subject.key), &self.link.key).is_some();
        if self.shared.config.read_only || busy || self.failed_lately(id) {
            return;
        }
        let now = self.now();
        let command = Command {
            id: self.shared.next_id(),
            intent: Intent::Approve { decision: id },
            issuer: Issuer::Auto,
            target: Some(self.target()),
            at: now,
        };
        if self.book.approve(id, by(Issuer::Auto), now).is_ok() {
            self.shared.board.put_command(command.clone(), CommandStage::Requested);
            self.apply(id, evaluated, (Issuer::Auto, command.id)).await;
        }
    }

    /// This decision failed within the snooze time: the auto mode does not try it again so soon.
    fn failed_lately(&self, id: DecisionId) -> bool {
        use crate::domain::decision::DecisionState::Failed;
        let since = self.now() - self.shared.config.snooze;
        let lately = |d: &&std::sync::Arc<crate::domain::decision::Decision>| {
            d.life.iter().any(|e| matches!(e.state, Failed { .. }) && e.at >= since)
        };
        self.book.get(id).filter(lately).is_some()
    }

    fn superseded(&mut self, id: DecisionId, command: &Command, why: String) {
        // Approved or pending a moment ago, so the step is allowed; a refusal would only mean that it ended already.
        let _ = self.book.supersede(id, why.clone(), self.now());
        self.stage_of(command, CommandStage::Superseded { why }, None);
    }

    /// The evaluation at approval came to no result: a new run ends the decision, a passing trouble lets it wait again.
    fn not_evaluated(&mut self, id: DecisionId, command: &Command, reason: &Reason) {
        if reason.code == ReasonCode::EarlierRun {
            return self.superseded(id, command, reason.sentence.clone());
        }
        let _ = self.book.back_to_pending(id, self.now());
        let why = format!("it could not be evaluated with fresh data: {}", reason.sentence);
        self.stage_of(command, CommandStage::Refused { why }, None);
    }

    fn done(&self, command: &Command, done: Result<(), String>) {
        match done {
            Ok(()) => self.stage_of(command, CommandStage::Observed, None),
            Err(why) => self.stage_of(command, CommandStage::Refused { why }, None),
        }
    }

    pub(super) fn stage_of(&self, command: &Command, stage: CommandStage, waiting_for: Option<String>) {
        self.stage((command.issuer, command.id), stage, waiting_for);
    }

    pub(super) fn stage(&self, (issuer, id): (Issuer, CommandId), stage: CommandStage, waiting_for: Option<String>) {
        self.shared.board.stage(issuer, id, stage, waiting_for);
    }
}

/// What changed between the target that was shown and the present one.
pub(super) fn changed(shown: &Target, now: &Target) -> Option<String> {
    if shown.job != now.job || shown.uid != now.uid {
        return Some("it is another job now".into());
    }
    if shown.run != now.run {
        return Some("the job was restarted since it was shown".into());
    }
    if shown.generation != now.generation {
        return Some("the resource's spec was changed since it was shown".into());
    }
    (shown.field_hash != now.field_hash).then(|| "its parallelism was changed since it was shown".into())
}
