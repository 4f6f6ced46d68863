//! The life of the decisions of one job: a pure state machine.
//!
//! `pending → approved | rejected | snoozed | expired | superseded → applying → applied | failed → confirmed | regressed |
//! inconclusive`. Owns identity, refresh, superseding, expiry and quiet time. It reads no clock (every step is given its instant)
//! and does no I/O; whoever drives it writes to the cluster.

mod identity;
pub mod outcome;
mod quiet;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use identity::{StableHash, identity};
pub use quiet::{Present, Quiet};

use crate::domain::Timestamp;
use crate::domain::capacity::CapacityAnswer;
use crate::domain::decision::{
    ConfigChanges, Decision, DecisionEvent, DecisionId, DecisionState, Outcome, Prediction, Target, VertexChange,
};
use crate::domain::explanation::Explanation;
use crate::domain::health::HealthWord;
use crate::domain::ids::VertexId;
use crate::domain::reason::Reason;

/// Decisions that are remembered of a job.
const REMEMBERED: usize = 20;
/// Who steps when no person does.
pub const LOOP: &str = "loop";

/// Times that rule the life of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// A pending decision expires this long after it was proposed.
    pub expiry: Duration,
    /// A pending decision expires this long after the last turn that came to the same result.
    pub unrefreshed: Duration,
    /// A rejected decision stays quiet for this long.
    pub reject_quiet: Duration,
    /// A snoozed decision stays quiet for this long, unless the person says otherwise.
    pub snooze: Duration,
}

/// What a turn proposes: a decision that has no life yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// What it is about.
    pub target: Target,
    /// Rule generation.
    pub compat: String,
    /// Vertices that change.
    pub changes: Vec<VertexChange>,
    /// Every vertex with its parallelism after the change.
    pub overrides: BTreeMap<VertexId, i32>,
    /// Changes of configuration.
    pub config: ConfigChanges,
    /// The reason.
    pub reason: Reason,
    /// The whole explanation.
    pub explanation: Option<Arc<Explanation>>,
    /// Cost and benefit as predicted.
    pub prediction: Prediction,
    /// Time of the newest sample.
    pub data_at: Timestamp,
    /// Whether its TaskManagers fit.
    pub capacity: Option<Arc<CapacityAnswer>>,
    /// Why it cannot be approved now, if it cannot.
    pub blocked: Option<String>,
}

impl Candidate {
    /// Its identity.
    pub fn id(&self) -> DecisionId {
        identity(&self.target.uid, self.target.run, &self.compat, &self.changes, &self.config)
    }

    /// Parallelism now and wanted, of every vertex.
    fn targets(&self) -> BTreeMap<VertexId, (i32, i32)> {
        let from: BTreeMap<VertexId, i32> = self.changes.iter().map(|c| (c.vertex, c.from)).collect();
        let mut all: BTreeMap<VertexId, (i32, i32)> =
            self.overrides.iter().map(|(v, to)| (*v, (from.get(v).copied().unwrap_or(*to), *to))).collect();
        for change in &self.changes {
            all.entry(change.vertex).or_insert((change.from, change.to));
        }
        all
    }
}

/// What a book made of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filed {
    /// It waits for approval, new or woken.
    New(DecisionId),
    /// The same proposal as before: refreshed.
    Refreshed(DecisionId),
    /// It took the place of another one.
    Supersedes {
        /// The new one.
        new: DecisionId,
        /// The other one.
        old: DecisionId,
    },
    /// It was turned down before and nothing material changed.
    Quiet {
        /// Until when.
        until: Timestamp,
    },
    /// Another decision is being applied or measured.
    Busy(DecisionId),
}

/// What the evaluation at approval came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reevaluated {
    /// The same decision: it may be sent.
    Same,
    /// Another decision: the person is asked again.
    Changed(DecisionId),
    /// Nothing is proposed any more.
    Gone,
}

/// A step that the state of a decision does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such decision.
    #[error("there is no decision {0}; it may be too old to be remembered")]
    Unknown(DecisionId),
    /// Its state does not allow it.
    #[error("decision {id} is {state} and cannot be {wanted}")]
    State {
        /// Which.
        id: DecisionId,
        /// The word of its state.
        state: &'static str,
        /// What was wanted.
        wanted: &'static str,
    },
    /// It cannot be approved now.
    #[error("decision {id} cannot be approved: {why}")]
    Blocked {
        /// Which.
        id: DecisionId,
        /// Why.
        why: String,
    },
}

#[derive(Debug, Clone)]
struct Entry {
    decision: Arc<Decision>,
    overrides: BTreeMap<VertexId, i32>,
}

/// The decisions of one job, newest proposal first.
#[derive(Debug, Clone)]
pub struct Book {
    rules: Rules,
    entries: Vec<Entry>,
    quiet: Option<(DecisionId, Quiet)>,
}

impl Book {
    /// A book without decisions.
    pub fn new(rules: Rules) -> Self {
        Self { rules, entries: Vec::new(), quiet: None }
    }

    /// All remembered decisions, newest proposal first.
    pub fn decisions(&self) -> impl Iterator<Item = &Arc<Decision>> {
        self.entries.iter().map(|e| &e.decision)
    }

    /// The decision with this id.
    pub fn get(&self, id: DecisionId) -> Option<&Arc<Decision>> {
        self.entry(id).map(|e| &e.decision)
    }

    /// The complete map that is written if this decision is applied.
    pub fn overrides(&self, id: DecisionId) -> Option<&BTreeMap<VertexId, i32>> {
        self.entry(id).map(|e| &e.overrides)
    }

    /// The decision that is pending, approved, being applied or measured; at most one is.
    pub fn current(&self) -> Option<&Arc<Decision>> {
        self.decisions().find(|d| is_current(&d.state))
    }

    /// The decision that is being applied or measured.
    pub fn in_progress(&self) -> Option<&Arc<Decision>> {
        self.decisions().find(|d| matches!(d.state, DecisionState::Applying | DecisionState::Applied))
    }

    /// Files what a turn proposes.
    pub fn propose(&mut self, candidate: Candidate, health: HealthWord, at: Timestamp) -> Filed {
        let id = candidate.id();
        if let Some(busy) = self.current().filter(|d| !matches!(d.state, DecisionState::Pending)) {
            return Filed::Busy(busy.id);
        }
        let mut woken = None;
        if let Some((quiet_id, quiet)) = self.quiet.take() {
            let targets = candidate.targets();
            let present = Present { run: candidate.target.run, targets: &targets, health };
            let material = quiet.material_change(present);
            match material {
                None if at < quiet.until => {
                    let until = quiet.until;
                    self.quiet = Some((quiet_id, quiet));
                    return Filed::Quiet { until };
                }
                why => woken = Some((quiet_id, why.unwrap_or_else(|| "the quiet time is over".into()))),
            }
        }
        let pending = self.current().map(|d| d.id);
        match pending {
            Some(pending) if pending == id => {
                self.refresh(id, candidate, at);
                return Filed::Refreshed(id);
            }
            Some(old) => {
                let why = "a turn came to another result".to_owned();
                self.enter(old, DecisionState::Superseded { by: Some(id), why }, at, LOOP);
            }
            None => {
                // A snoozed decision that wakes with other numbers is not the one that was put off.
                if let Some((snoozed, why)) = woken
                    && snoozed != id
                    && self.get(snoozed).is_some_and(|d| !d.state.is_final())
                {
                    self.enter(snoozed, DecisionState::Superseded { by: Some(id), why }, at, LOOP);
                }
            }
        }
        self.open(id, candidate, at);
        match pending {
            Some(old) => Filed::Supersedes { new: id, old },
            None => Filed::New(id),
        }
    }

    /// Ends what has waited too long: pending decisions expire, a snoozed one whose time is over and that is not proposed any
    /// more expires too. To be called after the turn's proposal was filed.
    pub fn tick(&mut self, at: Timestamp) {
        let over: Vec<DecisionId> = self
            .decisions()
            .filter(|d| match &d.state {
                DecisionState::Pending => at >= d.expires_at || at >= d.refreshed_at + self.rules.unrefreshed,
                DecisionState::Snoozed { until } => at >= *until,
                _ => false,
            })
            .map(|d| d.id)
            .collect();
        for id in over {
            self.enter(id, DecisionState::Expired, at, LOOP);
        }
        if self.quiet.as_ref().is_some_and(|(_, q)| at >= q.until) {
            self.quiet = None;
        }
    }

    /// A person (or the auto mode) approves a pending decision.
    ///
    /// # Errors
    /// If there is no such decision, it is not pending, or something blocks it.
    pub fn approve(&mut self, id: DecisionId, by: &str, at: Timestamp) -> Result<(), Refusal> {
        let decision = self.pending(id, "approved")?;
        if let Some(why) = &decision.blocked {
            return Err(Refusal::Blocked { id, why: why.clone() });
        }
        self.enter(id, DecisionState::Approved, at, by);
        Ok(())
    }

    /// A person turns a pending decision down.
    ///
    /// # Errors
    /// If there is no such decision or it is not pending.
    pub fn reject(
        &mut self,
        id: DecisionId,
        reason: Option<String>,
        health: HealthWord,
        by: &str,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        self.pending(id, "rejected")?;
        let until = at + self.rules.reject_quiet;
        self.silence(id, until, health);
        self.enter(id, DecisionState::Rejected { reason, until }, at, by);
        Ok(())
    }

    /// A person puts a pending decision off.
    ///
    /// # Errors
    /// If there is no such decision or it is not pending.
    pub fn snooze(
        &mut self,
        id: DecisionId,
        time: Option<Duration>,
        health: HealthWord,
        by: &str,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        self.pending(id, "snoozed")?;
        let until = at + time.unwrap_or(self.rules.snooze);
        self.silence(id, until, health);
        self.enter(id, DecisionState::Snoozed { until }, at, by);
        Ok(())
    }

    /// A person asks for what fits instead: the pending decision gives way to the reduced one.
    ///
    /// # Errors
    /// If there is no such decision, or it is not pending.
    pub fn reduce(
        &mut self,
        id: DecisionId,
        candidate: Candidate,
        by: &str,
        at: Timestamp,
    ) -> Result<DecisionId, Refusal> {
        self.pending(id, "reduced")?;
        let new = candidate.id();
        if new == id {
            self.refresh(id, candidate, at);
            return Ok(id);
        }
        let why = "reduced to what fits into the cluster".to_owned();
        self.enter(id, DecisionState::Superseded { by: Some(new), why }, at, by);
        self.open(new, candidate, at);
        Ok(new)
    }

    /// The evaluation with fresh data that follows an approval: `None` if nothing is proposed any more, with `why`.
    pub fn reevaluate(
        &mut self,
        id: DecisionId,
        candidate: Option<Candidate>,
        why: &str,
        at: Timestamp,
    ) -> Result<Reevaluated, Refusal> {
        self.in_state(id, "evaluated again", |s| matches!(s, DecisionState::Approved))?;
        let Some(candidate) = candidate else {
            self.enter(id, DecisionState::Superseded { by: None, why: why.to_owned() }, at, LOOP);
            return Ok(Reevaluated::Gone);
        };
        let new = candidate.id();
        if new == id {
            self.refresh(id, candidate, at);
            return Ok(Reevaluated::Same);
        }
        let why = "its numbers changed since it was shown".to_owned();
        self.enter(id, DecisionState::Superseded { by: Some(new), why }, at, LOOP);
        self.open(new, candidate, at);
        Ok(Reevaluated::Changed(new))
    }

    /// The approval could not be carried out for a passing reason: the decision waits again.
    ///
    /// # Errors
    /// If it is not approved.
    pub fn back_to_pending(&mut self, id: DecisionId, at: Timestamp) -> Result<(), Refusal> {
        self.step(id, DecisionState::Pending, "pending", at, |s| matches!(s, DecisionState::Approved))
    }

    /// The target is not what was approved any more; nothing was sent.
    ///
    /// # Errors
    /// If it is not approved or pending.
    pub fn supersede(&mut self, id: DecisionId, why: String, at: Timestamp) -> Result<(), Refusal> {
        self.step(id, DecisionState::Superseded { by: None, why }, "superseded", at, |s| {
            matches!(s, DecisionState::Approved | DecisionState::Pending | DecisionState::Applying)
        })
    }

    /// The write is about to be sent.
    ///
    /// # Errors
    /// If it is not approved.
    pub fn applying(&mut self, id: DecisionId, at: Timestamp) -> Result<(), Refusal> {
        self.step(id, DecisionState::Applying, "applied", at, |s| matches!(s, DecisionState::Approved))
    }

    /// The effect was seen.
    ///
    /// # Errors
    /// If it is not being applied.
    pub fn applied(&mut self, id: DecisionId, at: Timestamp) -> Result<(), Refusal> {
        self.step(id, DecisionState::Applied, "applied", at, |s| matches!(s, DecisionState::Applying))
    }

    /// The write or its effect failed.
    ///
    /// # Errors
    /// If it is not being applied.
    pub fn failed(&mut self, id: DecisionId, why: String, at: Timestamp) -> Result<(), Refusal> {
        self.step(id, DecisionState::Failed { why }, "failed", at, |s| matches!(s, DecisionState::Applying))
    }

    /// The outcome was judged: `verdict` is confirmed, regressed or inconclusive.
    ///
    /// # Errors
    /// If it is not being applied or measured, or the verdict is no verdict.
    pub fn judge(
        &mut self,
        id: DecisionId,
        verdict: DecisionState,
        outcome: Outcome,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        let word = verdict.word();
        let allowed = |s: &DecisionState| {
            use DecisionState::{Applied, Applying, Confirmed, Inconclusive, Regressed};
            matches!((&verdict, s), (Confirmed | Inconclusive { .. }, Applied) | (Regressed { .. }, Applying | Applied))
        };
        self.in_state(id, word, allowed)?;
        if let Some(entry) = self.entry_mut(id) {
            Arc::make_mut(&mut entry.decision).outcome = Some(outcome);
        }
        self.enter(id, verdict, at, LOOP);
        Ok(())
    }

    /// Sets or clears what blocks the pending decision.
    pub fn block(&mut self, why: Option<String>) {
        let Some(entry) = self.entries.iter_mut().find(|e| matches!(e.decision.state, DecisionState::Pending)) else {
            return;
        };
        if entry.decision.blocked != why {
            let decision = Arc::make_mut(&mut entry.decision);
            decision.blocked = why;
            decision.revision += 1;
        }
    }

    fn entry(&self, id: DecisionId) -> Option<&Entry> {
        self.entries.iter().find(|e| e.decision.id == id)
    }

    fn entry_mut(&mut self, id: DecisionId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|e| e.decision.id == id)
    }

    fn pending(&self, id: DecisionId, wanted: &'static str) -> Result<&Arc<Decision>, Refusal> {
        self.in_state(id, wanted, |s| matches!(s, DecisionState::Pending))
    }

    fn in_state(
        &self,
        id: DecisionId,
        wanted: &'static str,
        allowed: impl Fn(&DecisionState) -> bool,
    ) -> Result<&Arc<Decision>, Refusal> {
        let decision = self.get(id).ok_or(Refusal::Unknown(id))?;
        if allowed(&decision.state) {
            Ok(decision)
        } else {
            Err(Refusal::State { id, state: decision.state.word(), wanted })
        }
    }

    fn step(
        &mut self,
        id: DecisionId,
        to: DecisionState,
        wanted: &'static str,
        at: Timestamp,
        allowed: impl Fn(&DecisionState) -> bool,
    ) -> Result<(), Refusal> {
        self.in_state(id, wanted, allowed)?;
        self.enter(id, to, at, LOOP);
        Ok(())
    }

    fn enter(&mut self, id: DecisionId, state: DecisionState, at: Timestamp, by: &str) {
        if let Some(entry) = self.entry_mut(id) {
            let decision = Arc::make_mut(&mut entry.decision);
            decision.revision += 1;
            decision.life.push(DecisionEvent { at, state: state.clone(), by: by.to_owned() });
            decision.state = state;
        }
    }

    fn silence(&mut self, id: DecisionId, until: Timestamp, health: HealthWord) {
        let Some(entry) = self.entry(id) else { return };
        let from: BTreeMap<VertexId, i32> = entry.decision.changes.iter().map(|c| (c.vertex, c.from)).collect();
        let targets = entry.overrides.iter().map(|(v, to)| (*v, (from.get(v).copied().unwrap_or(*to), *to))).collect();
        self.quiet = Some((id, Quiet { until, run: entry.decision.target.run, targets, health }));
    }

    /// Files a pending decision: a new one, or one of the same identity that comes back.
    fn open(&mut self, id: DecisionId, candidate: Candidate, at: Timestamp) {
        let (mut life, revision) = match self.entries.iter().position(|e| e.decision.id == id) {
            Some(index) => {
                let old = self.entries.remove(index).decision;
                (old.life.clone(), old.revision + 1)
            }
            None => (Vec::new(), 0),
        };
        life.push(DecisionEvent { at, state: DecisionState::Pending, by: LOOP.to_owned() });
        let Candidate {
            target,
            compat,
            changes,
            overrides,
            config,
            reason,
            explanation,
            prediction,
            data_at,
            capacity,
            blocked,
        } = candidate;
        let decision = Decision {
            id,
            revision,
            target,
            compat,
            changes,
            config,
            reason,
            explanation,
            prediction,
            proposed_at: at,
            refreshed_at: at,
            expires_at: at + self.rules.expiry,
            data_at,
            state: DecisionState::Pending,
            life,
            outcome: None,
            capacity,
            blocked,
        };
        self.entries.insert(0, Entry { decision: Arc::new(decision), overrides });
        while self.entries.len() > REMEMBERED
            && self.entries.last().is_some_and(|e| e.decision.state.is_final() || self.entries.len() > 2 * REMEMBERED)
        {
            self.entries.pop();
        }
    }

    fn refresh(&mut self, id: DecisionId, candidate: Candidate, at: Timestamp) {
        if let Some(entry) = self.entry_mut(id) {
            let decision = Arc::make_mut(&mut entry.decision);
            decision.revision += 1;
            decision.target = candidate.target;
            decision.changes = candidate.changes;
            decision.reason = candidate.reason;
            decision.explanation = candidate.explanation;
            decision.prediction = candidate.prediction;
            decision.refreshed_at = at;
            decision.data_at = candidate.data_at;
            decision.capacity = candidate.capacity;
            decision.blocked = candidate.blocked;
            entry.overrides = candidate.overrides;
        }
    }
}

/// Pending, approved, being applied or measured.
fn is_current(state: &DecisionState) -> bool {
    match state {
        DecisionState::Pending | DecisionState::Approved | DecisionState::Applying | DecisionState::Applied => true,
        DecisionState::Snoozed { .. }
        | DecisionState::Rejected { .. }
        | DecisionState::Expired
        | DecisionState::Superseded { .. }
        | DecisionState::Failed { .. }
        | DecisionState::Confirmed
        | DecisionState::Regressed { .. }
        | DecisionState::Inconclusive { .. } => false,
    }
}

#[cfg(test)]
mod tests;
