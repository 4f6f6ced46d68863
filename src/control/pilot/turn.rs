//! One turn of the loop: collect → window → pass → guards → decision, with exactly one reason.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Pilot;
use crate::autoscaler::pass::{Pass, PassInput, TaskManager, pass};
use crate::autoscaler::{collect::CollectError, window};
use crate::control::collect::{CollectFailure, Collected};
use crate::control::decisions::{Candidate, Filed};
use crate::control::guards::{self, Data, Standing};
use crate::control::realize::field_hash;
use crate::domain::Timestamp;
use crate::domain::decision::{DecisionState, Target};
use crate::domain::job::{Mode, Realization, TurnView};
use crate::domain::reason::{Reason, ReasonCode};
use crate::domain::window::WindowStatus;
use crate::flink::FlinkError;

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
        let mut pass = pass(&PassInput {
            options: &self.options,
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
            resource_check: None,
            explain: self.shared.config.explain,
        });
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
            let read_only = self.shared.config.read_only;
            let blocked =
                guards::blocked(&self.realization, self.mode, read_only).or_else(|| self.options_wrong.clone());
            explanation.steps.push(guards::explain(self.mode, &self.ownership, unfit.as_ref(), blocked.as_deref()));
        }
        Ok(Evaluated { pass, unfit, data_at: now })
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

    /// The proposal of a pass as a candidate for a decision.
    pub(super) fn candidate(
        &self,
        evaluated: &Evaluated,
        explanation: Option<Arc<crate::domain::explanation::Explanation>>,
    ) -> Option<Candidate> {
        let proposal = evaluated.pass.proposal.as_ref().filter(|p| !p.changes.is_empty())?;
        let mut reason = evaluated.pass.reason.clone();
        reason.code = ReasonCode::Proposed;
        let read_only = self.shared.config.read_only;
        let blocked = guards::blocked(&self.realization, self.mode, read_only)
            .or_else(|| self.options_wrong.clone().map(|why| format!("an option is wrong: {why}")));
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
            capacity: None,
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
