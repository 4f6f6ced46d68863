//! One turn of the loop: collect → window → pass → guards → decision, with exactly one reason.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Pilot;
use crate::autoscaler::options::Options;
use crate::autoscaler::pass::{Pass, PassInput, ResourceCheck, TaskManager, pass};
use crate::autoscaler::{collect::CollectError, window};
use crate::control::capacity::{RoomCheck, need_of, preflight};
use crate::control::collect::{CollectFailure, Collected};
use crate::control::decisions::{Candidate, Filed};
use crate::control::guards::{self, Data, Standing};
use crate::control::ports::ApiError;
use crate::control::realize::field_hash;
use crate::domain::Timestamp;
use crate::domain::capacity::{CapacityAnswer, CapacityView, Need};
use crate::domain::decision::{DecisionState, Target, VertexChange};
use crate::domain::explanation::{Step, Verdict};
use crate::domain::job::{JobKind, Mode, Realization, TurnView};
use crate::domain::reason::{Reason, ReasonCode};
use crate::domain::units::Unit;
use crate::domain::window::WindowStatus;
use crate::flink::FlinkError;

/// The room that an approval is checked against is at most this old.
const APPROVED_ROOM: Duration = Duration::from_secs(5);
/// Attempts to find a parallelism that fits.
const REDUCTIONS: usize = 64;

/// What an evaluation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A turn of the loop: its sample and its state are kept.
    Turn,
    /// A look between two turns, before an approval is carried out: nothing is kept.
    Look,
}

/// What a turn evaluated.
pub(super) struct Evaluated {
    pub pass: Pass,
    /// Why its data must not decide, if they must not.
    pub unfit: Option<Reason>,
    /// Time of the newest sample.
    pub data_at: Timestamp,
    /// Whether what is proposed fits into the cluster, or why that is not known; `None` where nobody asks.
    pub room: Option<Result<Arc<CapacityAnswer>, String>>,
}

impl Evaluated {
    /// What is proposed is known to fit.
    pub fn has_room(&self) -> bool {
        matches!(&self.room, Some(Ok(answer)) if answer.fits())
    }
}

/// Why the room of the cluster forbids a proposal, if it does.
fn no_room(room: &Result<Arc<CapacityAnswer>, String>) -> Option<String> {
    match room {
        Ok(answer) if answer.fits() => None,
        Ok(answer) => Some(format!("there is no room for it: {}", answer.sentence())),
        Err(why) => Some(format!("whether it fits is not known: {why}")),
    }
}

/// The largest parallelism below what does not fit with which something that fits is proposed: the pass with every vertex held
/// down to it (`vertex.max-parallelism`), and the answer of the preflight. Nothing that runs is made smaller by it.
fn reduced(
    options: &Options,
    too_much: &CapacityAnswer,
    judge: impl Fn(&Options) -> (Pass, Option<CapacityAnswer>),
) -> Option<(Pass, CapacityAnswer)> {
    let most = i32::try_from(too_much.largest_parallelism).unwrap_or(i32::MAX);
    let mut limit = most.min(options.vertex_max_parallelism.saturating_sub(1));
    // Slots that are not shared take more TaskManagers than the largest parallelism says: lower until it fits.
    for _ in 0..REDUCTIONS {
        if limit < options.vertex_min_parallelism.max(1) {
            return None;
        }
        let (pass, answer) = judge(&options.held_down_to(limit));
        let answer = answer?;
        if answer.fits() {
            return pass
                .proposal
                .as_ref()
                .is_some_and(|p| !p.changes.is_empty())
                .then(|| (explained(pass, limit), answer));
        }
        let share = f64::from(answer.fitting) / f64::from(answer.needed.max(1));
        limit = (limit - 1).min((f64::from(limit) * share) as i32);
    }
    None
}

/// Says in the explanation that a person asked for what fits.
fn explained(mut pass: Pass, limit: i32) -> Pass {
    if let Some(explanation) = &mut pass.explanation {
        let step = Step::new("Reduced to what fits into the cluster")
            .formula("vertex.max-parallelism is held down to the largest parallelism that fits, as a person asked")
            .number(f64::from(limit), Unit::Subtasks)
            .verdict(Verdict::Limited);
        explanation.steps.insert(0, step);
    }
    pass
}

impl Pilot {
    /// Runs a turn and shows it.
    pub(super) async fn turn(&mut self) {
        if !self.recovered {
            self.recover().await;
        }
        let now = self.now();
        let mut explanation = None;
        self.told = self.standing();
        let reason = match self.told.clone() {
            // An observer's numbers are worth showing while somebody looks; they decide nothing.
            Some(reason) if reason.code == ReasonCode::Observing && self.selected() => {
                let _ = self.evaluate(Purpose::Turn).await;
                reason
            }
            Some(reason) => self.book.in_progress().and_then(|d| self.progress_reason(d, &reason)).unwrap_or(reason),
            None => match self.evaluate(Purpose::Turn).await {
                Err(reason) => reason,
                Ok(evaluated) => {
                    explanation = evaluated.pass.explanation.clone().map(Arc::new);
                    self.conclude(&evaluated, explanation.clone()).await
                }
            },
        };
        self.book.tick(self.now());
        self.give_up_measuring();
        let period = self.shared.config.periods.turn;
        let left = self.schedule.turn.saturating_duration_since(Instant::now()).min(period);
        let turn = TurnView { at: now, reason, explanation, next_at: self.now() + left };
        self.shared.board.update_job(&self.subject.key, |view| view.turn = Some(Arc::new(turn)));
        self.publish();
    }

    /// The reason why nothing can be collected, if nothing can.
    pub(super) fn standing(&self) -> Option<Reason> {
        guards::before(Standing {
            mode: self.mode,
            ownership: &self.ownership,
            resource_lost: self.subject.around.lost.as_ref().map(|(_, why)| why.as_str()),
            lost: self.cluster.lost.as_ref().filter(|_| self.link.is_ready()).map(|l| l.error.as_str()),
            state: self.state,
            tasks: self.tasks,
        })
    }

    /// A job that does not run because we are changing it is being changed.
    fn progress_reason(&self, decision: &crate::domain::decision::Decision, reason: &Reason) -> Option<Reason> {
        (reason.code == ReasonCode::NotRunning)
            .then(|| guards::in_progress(decision, self.progress.as_deref()))
            .flatten()
    }

    /// Collects and runs a pass over the window. A turn keeps the sample and what the pass keeps; a look in between does not:
    /// the rules of the window (§3.1) count on samples one period apart, and a sample off the beat, with the trim that follows
    /// it, would leave a full window short.
    pub(super) async fn evaluate(&mut self, purpose: Purpose) -> Result<Evaluated, Reason> {
        let Some(job) = self.subject.job else {
            return Err(Reason::new(ReasonCode::NotRunning, "Flink's id of the job is not known yet"));
        };
        let now = self.now();
        let periods = self.shared.config.periods;
        if purpose == Purpose::Turn {
            // Counted from the sample, so that two samples are never less than a period apart. A sample that came early would
            // leave a window that is a multiple of the period one sample short (§3.1), and so full only every other turn.
            self.schedule.turn = Instant::now() + periods.turn;
        }
        let shared = match purpose {
            Purpose::Turn => periods.turn,
            Purpose::Look => Duration::ZERO,
        };
        let collected = self
            .collecting
            .collect(&self.link, job, &self.options, now, &self.window, (shared, periods.names_again))
            .await
            .map_err(|failure| failed(&failure))?;
        let Collected { details, run, topology, sample, incomplete, gauges } = collected;
        let running = details.vertices.iter().all(|v| v.tasks.all_running());
        self.details_read(details);
        for (vertex, gauge) in gauges {
            self.readings.gauge(vertex, gauge);
        }
        self.topology_read(topology);
        self.reread();
        self.incomplete = incomplete;
        if self.window_run != Some(run) {
            self.window.clear();
            self.window_run = Some(run);
        }
        let mut window = self.window.clone();
        let full = self.status.clone().filter(|s| s.full && !window.samples().is_empty());
        let status = match (purpose, full) {
            (Purpose::Look, Some(full)) => {
                window.push(sample);
                WindowStatus { samples: window.samples().len(), ..full }
            }
            (Purpose::Look | Purpose::Turn, _) => {
                window::record(&mut window, sample, run.running_since, &self.options, periods.turn)
            }
        };
        let topology = self.topology.clone().unwrap_or_default();
        let handed = window::handed_on(&window, status.stable_at, now, self.options.generation);
        let resource = self.subject.resource.as_ref();
        let run_pass = |options: &Options, check: Option<&dyn ResourceCheck>| {
            pass(&PassInput {
                options,
                now,
                zone: (self.shared.config.zone)(now),
                running: running && self.tasks.all_running(),
                running_since: run.running_since,
                topology: &topology,
                window: handed,
                status: &status,
                state: &self.scaling,
                task_manager: TaskManager {
                    cpu: resource.and_then(|r| r.task_manager_cpu),
                    memory: resource.and_then(|r| r.task_manager_memory),
                },
                resource_check: check,
                explain: self.shared.config.explain,
            })
        };
        let mut pass = run_pass(&self.options, None);
        let mut room = None;
        // What fits by itself, or is not proposed at all, needs no reduction any more.
        let mut within_room = None;
        if let Some(proposal) = &pass.proposal
            && let Some(need) = self.need(!proposal.config.is_empty())
        {
            match self.room(now, purpose).await {
                Ok(None) => {}
                Ok(Some(view)) => {
                    let judge = |options: &Options| {
                        let checked = run_pass(options, Some(&RoomCheck { view: &view, need: need.clone() }));
                        let answer =
                            checked.resource_request.map(|request| preflight(&view, &need_of(&request, &need)));
                        (checked, answer)
                    };
                    let (mut checked, mut answer) = judge(&self.options);
                    let mut fits = answer.as_ref().is_none_or(CapacityAnswer::fits);
                    if let Some(too_much) = answer.clone().filter(|_| !fits && self.within_room == Some(run)) {
                        within_room = self.within_room;
                        if let Some((reduced, smaller)) = reduced(&self.options, &too_much, judge) {
                            (checked, answer, fits) = (reduced, Some(smaller), true);
                        }
                    }
                    // What does not fit is shown to a person with the answer, and never applied by itself.
                    if fits || self.mode == Mode::Auto {
                        pass = checked;
                    }
                    room = answer.map(|answer| Ok(Arc::new(answer)));
                }
                Err(error) => room = Some(Err(error.to_string())),
            }
        }
        let unfit = guards::data(Data {
            now: self.now(),
            period: periods.turn,
            status_at: self.cluster.at,
            run: self.run_seen(),
            window_run: self.window_run,
            window: &window,
            topology: &topology,
            incomplete: &self.incomplete,
        });
        if purpose == Purpose::Turn {
            self.within_room = within_room;
            self.memory_advice = Some(Arc::new(self.advise_on_memory(&topology, handed, run.running_since)));
            self.status = Some(status);
            self.window_shown = Some(Arc::new(window.clone()));
            self.window = window;
            if let Some(evaluation) = &pass.evaluation {
                self.evaluation = Some(Arc::new(evaluation.clone()));
            }
            self.scaling = pass.kept.clone();
            self.save().await;
        }
        if let Some(explanation) = &mut pass.explanation {
            let changes = pass.proposal.as_ref().map(|proposal| proposal.changes.as_slice()).unwrap_or_default();
            let blocked = self.blocked(changes, room.as_ref());
            explanation.steps.push(guards::explain(self.mode, &self.ownership, unfit.as_ref(), blocked.as_deref()));
        }
        Ok(Evaluated { pass, unfit, data_at: now, room })
    }

    /// What TaskManagers of this job need, but for the numbers; `None` where nobody asks (`operator.md` §8: not for session jobs).
    fn need(&self, memory_changes: bool) -> Option<Need> {
        let resource = self.subject.resource.as_ref().filter(|r| r.kind == JobKind::FlinkDeployment)?;
        let redeploys = memory_changes || crate::control::ownership::in_place(resource).is_err();
        let (node_selector, tolerations) = (*resource.placement).clone();
        Some(Need {
            namespace: resource.reference.namespace.clone(),
            slots: u32::try_from(self.options.number_of_task_slots).unwrap_or(1).max(1),
            releases: redeploys.then(|| resource.reference.name.clone()),
            node_selector,
            tolerations,
            ..Need::default()
        })
    }

    /// The room of the cluster, if it is to be asked for.
    async fn room(&self, now: Timestamp, purpose: Purpose) -> Result<Option<Arc<CapacityView>>, ApiError> {
        let Some(kube) = &self.subject.kube else { return Ok(None) };
        let at_most = match purpose {
            Purpose::Turn => Duration::MAX,
            Purpose::Look => APPROVED_ROOM,
        };
        Ok(kube.room(now, at_most).await?.map(|room| room.value))
    }

    /// The reason of a turn that evaluated, and what follows from it.
    async fn conclude(
        &mut self,
        evaluated: &Evaluated,
        explanation: Option<Arc<crate::domain::explanation::Explanation>>,
    ) -> Reason {
        self.measure(evaluated);
        if let Some(decision) = self.book.in_progress()
            && let Some(reason) = guards::in_progress(decision, self.progress.as_deref())
        {
            return reason;
        }
        let found = &evaluated.pass.reason;
        if let Some(unfit) = &evaluated.unfit
            && !matches!(
                found.code,
                ReasonCode::Stabilizing
                    | ReasonCode::WindowFilling
                    | ReasonCode::TooFewSamples
                    | ReasonCode::NotRunning
            )
        {
            return unfit.clone();
        }
        let Some(candidate) = self.candidate(evaluated, explanation) else { return found.clone() };
        let sentence = candidate.reason.sentence.clone();
        let vertex = candidate.reason.vertex;
        let blocked = candidate.blocked.clone();
        let health = self.health_word();
        let filed = self.book.propose(candidate, health, self.now());
        let of = |code, sentence: String, until| Reason { code, sentence, vertex, until };
        let id = match filed {
            Filed::Quiet { until } => {
                return of(
                    ReasonCode::Quiet,
                    format!("turned down before, nothing material changed: {sentence}"),
                    Some(until),
                );
            }
            Filed::Busy(id) => {
                return of(ReasonCode::Applying, format!("decision {id} is under way"), None);
            }
            Filed::New(id) | Filed::Refreshed(id) | Filed::Supersedes { new: id, .. } => id,
        };
        let advice = matches!(self.realization, Realization::AdviseOnly { .. }) || self.mode == Mode::Advise;
        match blocked {
            Some(why) if advice => of(ReasonCode::AdviseOnly, format!("{sentence} Advice only: {why}."), None),
            None if self.mode == Mode::Auto => {
                self.approve_by_itself(id, evaluated).await;
                let decision = self.book.get(id).filter(|d| !matches!(d.state, DecisionState::Pending));
                match decision.and_then(|d| guards::in_progress(d, self.progress.as_deref())) {
                    Some(reason) => reason,
                    None => of(ReasonCode::AwaitingApproval, sentence, None),
                }
            }
            _ => of(ReasonCode::AwaitingApproval, sentence, None),
        }
    }

    /// Why these changes could not be applied now, if they could not: the same words in the decision and in its explanation.
    fn blocked(&self, changes: &[VertexChange], room: Option<&Result<Arc<CapacityAnswer>, String>>) -> Option<String> {
        guards::blocked(&self.realization, self.mode, self.shared.config.read_only)
            .or_else(|| self.options_wrong.clone().map(|why| format!("an option is wrong: {why}")))
            .or_else(|| self.blocked_by_kubernetes(changes.iter().map(|c| c.vertex)))
            .or_else(|| no_room(room?))
    }

    /// The proposal of a pass as a candidate for a decision.
    pub(super) fn candidate(
        &self,
        evaluated: &Evaluated,
        explanation: Option<Arc<crate::domain::explanation::Explanation>>,
    ) -> Option<Candidate> {
        let proposal = evaluated.pass.proposal.as_ref().filter(|p| !p.changes.is_empty())?;
        let mut reason = evaluated.pass.reason.clone();
        reason.code = ReasonCode::Proposed;
        let blocked = self.blocked(&proposal.changes, evaluated.room.as_ref());
        Some(Candidate {
            target: self.target(),
            compat: self.options.generation.name().to_owned(),
            changes: proposal.changes.clone(),
            overrides: proposal.overrides.clone(),
            config: proposal.config.clone(),
            reason,
            explanation,
            prediction: proposal.prediction,
            data_at: evaluated.data_at,
            capacity: evaluated.room.as_ref().and_then(|room| room.as_ref().ok()).cloned(),
            blocked,
        })
    }

    /// The target as it is now.
    pub(super) fn target(&self) -> Target {
        let subject = &self.subject;
        let resource = subject.resource.as_ref();
        let map = match (resource, &self.details) {
            (Some(resource), _) => crate::control::ownership::overrides_in(resource),
            (None, Some(details)) => crate::control::adapters::flink::parallelism(&details.value),
            (None, None) => std::collections::BTreeMap::new(),
        };
        let job_id = subject.job.map(|j| j.to_string());
        Target {
            job: subject.key.clone(),
            context: self.link.source.to_string(),
            namespace: subject.namespace.clone(),
            name: subject.name.clone(),
            uid: resource.map(|r| r.uid.clone()).or(job_id).unwrap_or_default(),
            generation: resource.map(|r| r.generation),
            field_hash: field_hash(&map),
            run: self.run_seen(),
        }
    }
}

/// The reason of a turn that could not collect.
fn failed(failure: &CollectFailure) -> Reason {
    let code = match failure {
        CollectFailure::NotRunning => ReasonCode::NotRunning,
        CollectFailure::Pipeline(error) if error.is_not_ready() => ReasonCode::MetricsNotReady,
        CollectFailure::Pipeline(CollectError::NeverRunning) => ReasonCode::NotRunning,
        CollectFailure::Pipeline(_) => ReasonCode::EvaluationFailed,
        CollectFailure::Flink(FlinkError::Shape { .. }) => ReasonCode::EvaluationFailed,
        CollectFailure::Flink(error) if error.is_not_found() => ReasonCode::NotRunning,
        CollectFailure::Flink(_) => ReasonCode::SourceLost,
    };
    Reason::new(code, failure.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::VertexId;

    #[test]
    fn metrics_that_may_still_come_are_no_failure() {
        let missing = |not_ready| {
            let vertex = VertexId::from_u128(7);
            let name = "score".to_owned();
            failed(&CollectFailure::Pipeline(CollectError::MissingMetric {
                vertex,
                name,
                metric: "busyTime",
                not_ready,
            }))
        };
        assert_eq!(missing(true).code, ReasonCode::MetricsNotReady);
        assert!(missing(true).sentence.contains("score") && missing(true).sentence.contains("busyTime"));
        assert_eq!(missing(false).code, ReasonCode::EvaluationFailed);
        assert_eq!(failed(&CollectFailure::NotRunning).code, ReasonCode::NotRunning);
    }
}
