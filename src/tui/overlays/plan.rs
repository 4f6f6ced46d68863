//! The question before a plan is carried out, gone on with, left or ended: what would happen, shown whole, then confirmed by its
//! danger level. Nothing here can be answered by accident.
//!
//! A plan is made by the control loop from a fresh look, so the question first waits for it. It is about exactly the plan that is
//! shown: if that plan, its target or the run of its job changes meanwhile, the question closes. Levels 1 and 2 are answered with
//! `y`, level 3 with the name, typed, and then `y`. Enter and paste never confirm. Keys that arrive in the first 300 ms after the
//! plan is shown are dropped, and each of them starts the 300 ms anew.

mod draw;

use std::sync::Arc;
use std::time::Duration;

use super::confirm::GUARD;
use super::{Line, Reply};
use crate::domain::Timestamp;
use crate::domain::command::{CommandId, CommandStage, Issuer};
use crate::domain::ids::{JobId, RunId};
use crate::domain::plan::{Confirmation, Plan, PlanId, PlanState};
use crate::domain::snapshot::Snapshot;
use crate::tui::action::{Action, Danger};
use crate::tui::event::{Code, Key};
use crate::tui::screens::Scroll;

/// What is wanted of plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Carry them out.
    Run,
    /// Go on with one that stands still.
    Resume,
    /// Leave one that stands still as it is.
    Abandon,
    /// End one that runs.
    Cancel,
}

/// What a job was when its plan was shown.
type Seen = (Option<JobId>, Option<RunId>, Option<i64>);

/// A plan that was asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its id.
    pub plan: PlanId,
    /// The name of its target, as it stood on the row.
    pub name: String,
    /// The command that asked for it; none if the plan was there before.
    command: Option<CommandId>,
    answer: Answer,
}

#[derive(Debug, Clone)]
enum Answer {
    /// It is being made.
    Waiting,
    /// It cannot be made.
    Failed(String),
    /// It is shown.
    Shown { plan: Arc<Plan>, seen: Option<Seen> },
}

impl Asked {
    /// A plan that is being made.
    pub fn for_new(plan: PlanId, name: String, command: CommandId) -> Self {
        Self { plan, name, command: Some(command), answer: Answer::Waiting }
    }

    /// A plan that is there.
    pub fn about(plan: Arc<Plan>, snapshot: &Snapshot) -> Self {
        let seen = seen(&plan, snapshot);
        Self { plan: plan.id, name: plan.target.name.clone(), command: None, answer: Answer::Shown { plan, seen } }
    }

    /// The plan as it is shown.
    pub fn shown(&self) -> Option<&Arc<Plan>> {
        match &self.answer {
            Answer::Shown { plan, .. } => Some(plan),
            Answer::Waiting | Answer::Failed(_) => None,
        }
    }

    /// Why it could not be made.
    pub fn failed(&self) -> Option<&str> {
        match &self.answer {
            Answer::Failed(why) => Some(why),
            Answer::Waiting | Answer::Shown { .. } => None,
        }
    }

    /// It is still being made.
    pub fn is_awaited(&self) -> bool {
        matches!(self.answer, Answer::Waiting)
    }

    /// Looks for the plan, and for the end of the command that asked for it. True if it was awaited and is not any more.
    pub fn take_in(&mut self, snapshot: &Snapshot) -> bool {
        if !self.is_awaited() {
            return false;
        }
        if let Some(plan) = snapshot.plan(self.plan) {
            self.answer = Answer::Shown { plan: Arc::clone(plan), seen: seen(plan, snapshot) };
            return true;
        }
        let command = snapshot
            .commands
            .iter()
            .find(|view| Some(view.command.id) == self.command && view.command.issuer == Issuer::Screen);
        let why = match command.map(|view| &view.stage) {
            Some(CommandStage::Refused { why } | CommandStage::Failed { why } | CommandStage::Superseded { why }) => {
                why.clone()
            }
            Some(CommandStage::TimedOut) => "no plan was made in time".to_owned(),
            Some(CommandStage::Requested | CommandStage::Sent | CommandStage::Accepted | CommandStage::Observed)
            | None => return false,
        };
        self.answer = Answer::Failed(why);
        true
    }

    /// It could not even be asked for.
    pub fn not_sent(&mut self, command: CommandId) {
        if self.command == Some(command) && self.is_awaited() {
            self.answer = Answer::Failed("the control loop does not take commands any more".to_owned());
        }
    }

    /// Whether the plan is still what is shown, and its target what it was then.
    fn still_true(&self, purpose: Purpose, snapshot: &Snapshot) -> Result<(), String> {
        let Answer::Shown { plan, seen: before } = &self.answer else { return Ok(()) };
        let id = plan.id;
        let Some(now) = snapshot.plan(id) else { return Err(format!("plan {id} is gone")) };
        let fits = match (purpose, &now.state) {
            (Purpose::Run, PlanState::Proposed)
            | (Purpose::Resume | Purpose::Abandon, PlanState::Interrupted { .. })
            | (Purpose::Cancel, PlanState::Running) => true,
            (Purpose::Run | Purpose::Resume | Purpose::Abandon | Purpose::Cancel, _) => false,
        };
        if !fits {
            return Err(format!("plan {id} is {}", now.state.word()));
        }
        if now.target != plan.target || now.danger != plan.danger {
            return Err(format!("the target of plan {id} changed"));
        }
        match purpose {
            Purpose::Cancel => now.must_go_on().map_or(Ok(()), Err),
            Purpose::Resume | Purpose::Abandon => Ok(()),
            Purpose::Run => {
                if now.steps != plan.steps
                    || now.blocks != plan.blocks
                    || now.lost != plan.lost
                    || now.changes != plan.changes
                {
                    return Err(format!("plan {id} changed since it was shown"));
                }
                let Some(key) = &plan.target.job else { return Ok(()) };
                let Some(job) = snapshot.job(key) else { return Err("its job is gone".to_owned()) };
                // The plan was made from a newer look than the row: only what moves away from both is a change.
                let same_job = before.is_none_or(|(id, _, _)| job.job_id == id)
                    || Some(plan.target.uid.clone()) == job.job_id.map(|id| id.to_string());
                let same_run =
                    before.is_none_or(|(_, run, _)| job.run == run) || job.run.is_none() || job.run == plan.target.run;
                let same_spec = before.is_none_or(|(_, _, generation)| job.generation == generation)
                    || job.generation == plan.target.generation;
                match (same_job && same_run, same_spec) {
                    (false, _) => Err(format!("{} runs anew since the plan was shown", job.name)),
                    (true, false) => Err(format!("the resource of {} was changed since the plan was shown", job.name)),
                    (true, true) => Ok(()),
                }
            }
        }
    }
}

fn seen(plan: &Plan, snapshot: &Snapshot) -> Option<Seen> {
    let job = snapshot.job(plan.target.job.as_ref()?)?;
    Some((job.job_id, job.run, job.generation))
}

/// The question about one or several plans.
#[derive(Debug)]
pub struct PlanDialog {
    /// What was pressed.
    pub action: Action,
    /// What is wanted.
    pub purpose: Purpose,
    /// The plans, each of another target.
    pub asked: Vec<Asked>,
    /// Since when they are awaited.
    since: Timestamp,
    /// Keys are dropped until then, in monotonic time.
    pub guard_until: Duration,
    /// The guard is still drawn.
    pub guarded: bool,
    typed: Line,
    note: Option<&'static str>,
    /// Position in what is shown.
    pub scroll: Scroll,
}

impl PlanDialog {
    /// The question, at an instant of both clocks.
    pub fn new(action: Action, purpose: Purpose, asked: Vec<Asked>, now: Timestamp, monotonic: Duration) -> Self {
        Self {
            action,
            purpose,
            asked,
            since: now,
            guard_until: monotonic + GUARD,
            guarded: true,
            typed: Line::default(),
            note: None,
            scroll: Scroll::default(),
        }
    }

    /// Some plan is still being made.
    pub fn is_awaited(&self) -> bool {
        self.asked.iter().any(Asked::is_awaited)
    }

    /// The plans that a confirmation would be about. What can lose state is confirmed alone, by its name.
    pub fn startable(&self) -> impl Iterator<Item = &Arc<Plan>> {
        let alone = self.asked.len() == 1;
        let fits = move |plan: &&Arc<Plan>| match self.purpose {
            Purpose::Run => plan.blocks.is_empty() && (alone || self.danger_of(plan) < Danger::Loses),
            Purpose::Resume | Purpose::Abandon | Purpose::Cancel => true,
        };
        self.asked.iter().filter_map(Asked::shown).filter(fits)
    }

    fn danger_of(&self, plan: &Plan) -> Danger {
        match self.purpose {
            Purpose::Run | Purpose::Resume => plan.danger.into(),
            // The journal and the course of a plan change; Flink and Kubernetes are sent nothing.
            Purpose::Abandon | Purpose::Cancel => Danger::Effect,
        }
    }

    /// What a confirmation would do at worst; local if nothing can be confirmed.
    pub fn danger(&self) -> Danger {
        if self.is_awaited() {
            return Danger::Local;
        }
        self.startable().map(|plan| self.danger_of(plan)).max().unwrap_or(Danger::Local)
    }

    /// The name that is to be typed.
    fn name(&self) -> Option<&str> {
        self.startable().next().map(|plan| plan.target.name.as_str())
    }

    fn name_is_typed(&self) -> bool {
        self.name() == Some(self.typed.value())
    }

    /// What the person confirmed with.
    pub fn confirmation(&self) -> Confirmation {
        match self.danger() {
            Danger::Loses => Confirmation::Name { name: self.typed.value().to_owned() },
            Danger::Local | Danger::Effect | Danger::Restarts => Confirmation::Yes,
        }
    }

    /// Takes a newer snapshot: plans arrive. True if something is shown now that was not before.
    pub fn take_in(&mut self, snapshot: &Snapshot, monotonic: Duration) -> bool {
        let mut news = false;
        for asked in &mut self.asked {
            news |= asked.take_in(snapshot);
        }
        if news {
            self.guard(monotonic);
        }
        news
    }

    /// A command was not handed over.
    pub fn not_sent(&mut self, command: CommandId) {
        for asked in &mut self.asked {
            asked.not_sent(command);
        }
    }

    fn guard(&mut self, monotonic: Duration) {
        self.guard_until = monotonic + GUARD;
        self.guarded = true;
    }

    /// Whether what is asked about is still what it was.
    ///
    /// # Errors
    /// What changed.
    pub fn still_true(&self, snapshot: &Snapshot) -> Result<(), String> {
        self.asked.iter().try_for_each(|asked| asked.still_true(self.purpose, snapshot))
    }

    /// Takes a key at an instant of monotonic time.
    pub fn key(&mut self, key: Key, monotonic: Duration) -> Reply {
        let danger = self.danger();
        // What cannot confirm anything may be closed at once, also while a plan is being made.
        if danger > Danger::Local && monotonic < self.guard_until {
            self.guard(monotonic);
            return Reply::Stay;
        }
        let types_name = danger == Danger::Loses;
        match (key.code, key.typed()) {
            (Code::Esc, _) => return Reply::Close,
            (Code::Up, _) => self.scroll.move_by(-1),
            (Code::Down, _) => self.scroll.move_by(1),
            (Code::PageUp, _) => self.scroll.move_by(-10),
            (Code::PageDown, _) => self.scroll.move_by(10),
            (Code::Enter, _) if danger == Danger::Effect => self.note = Some("enter does not confirm"),
            (Code::Enter, _) if self.is_awaited() => {}
            (Code::Enter, _) => return Reply::Close,
            (_, Some('y')) if danger > Danger::Local && (!types_name || self.name_is_typed()) => {
                return Reply::PlanConfirmed;
            }
            (_, Some('n' | 'q')) if !types_name => return Reply::Close,
            (_, Some('k')) if !types_name => self.scroll.move_by(-1),
            (_, Some('j')) if !types_name => self.scroll.move_by(1),
            _ if types_name => {
                self.typed.key(key);
                self.note = None;
            }
            _ => {}
        }
        Reply::Stay
    }

    /// Text was pasted: it counts for nothing.
    pub fn pasted(&mut self) {
        self.note = Some("pasted text does not confirm");
    }
}
