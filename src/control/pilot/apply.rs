//! Applying an approved decision, following its effect, and judging its outcome.

use std::sync::Arc;
use std::time::Duration;

use super::turn::Evaluated;
use super::{Chase, Pilot};
use crate::control::adapters::flink as adapter;
use crate::control::decisions::outcome::{Effect, Measured, Pursuit, Sight, judge, unmeasured};
use crate::control::rates::{handled, lag_trend};
use crate::control::realize::{self, Detail, Written};
use crate::domain::command::{CommandId, CommandStage, Issuer};
use crate::domain::decision::{DecisionId, DecisionState};
use crate::domain::freshness::age;
use crate::domain::job::{JobState, Realization};
use crate::domain::text::parse_duration;

/// Flink's pause between two rescales unless configured (`flink-rest.md` §6.3).
const COOL_DOWN: Duration = Duration::from_secs(30);
/// A backlog is gone when it stands for less work than this, seconds.
const CAUGHT_UP_SECONDS: f64 = 1.0;
/// Measuring is given up after so many windows.
const PATIENT_WINDOWS: u32 = 3;

impl Pilot {
    /// Writes an approved decision.
    pub(super) async fn apply(&mut self, id: DecisionId, evaluated: &Evaluated, command: (Issuer, CommandId)) {
        let (Some(decision), Some(wanted)) = (self.book.get(id).cloned(), self.book.overrides(id).cloned()) else {
            return;
        };
        let detail = Detail::of(&decision, self.subject.job, wanted.clone());
        let lag_before = self.lag();
        let written = self.write(&decision.target, &detail, id, command).await;
        let now = self.now();
        match written {
            Written::Accepted => {
                self.scaling = evaluated.pass.applied(now);
                self.save().await;
                let pursuit = Pursuit {
                    accepted_at: now,
                    run_before: decision.target.run,
                    wanted,
                    changes: decision.changes.clone(),
                    predicted: decision.prediction.downtime,
                    lag_before,
                    patience: self.shared.config.effect_patience,
                    waits_for: String::new(),
                    down_since: None,
                    applied: None,
                    caught_up_at: None,
                };
                let close_watch = Some(self.link.watch_closely());
                self.chase = Some(Chase { decision: id, command, pursuit, close_watch });
                self.schedule.details = tokio::time::Instant::now();
                self.stage(command, CommandStage::Accepted, Some("all tasks with the new parallelism".into()));
                self.look();
            }
            Written::Refused(why) => self.not_written(id, command, &why, CommandStage::Failed { why: why.clone() }),
            Written::Unknown(why) => {
                let why = format!("it is not known whether the change was accepted: {why}");
                self.not_written(id, command, &why, CommandStage::Failed { why: why.clone() });
            }
            Written::Superseded(why) => {
                let _ = self.book.supersede(id, why.clone(), now);
                self.stage(command, CommandStage::Superseded { why }, None);
            }
            Written::NotTried(why) => {
                if self.book.back_to_pending(id, now).is_err() {
                    let _ = self.book.failed(id, why.clone(), now);
                }
                self.stage(command, CommandStage::Failed { why }, None);
            }
        }
        self.publish();
    }

    async fn write(
        &mut self,
        target: &crate::domain::decision::Target,
        detail: &Detail,
        id: DecisionId,
        command: (Issuer, CommandId),
    ) -> Written {
        let shared = Arc::clone(&self.shared);
        let link = Arc::clone(&self.link);
        let realization = self.realization.clone();
        let key = self.subject.key.clone();
        let changed: Vec<_> =
            self.book.get(id).map(|d| d.changes.iter().map(|c| c.vertex).collect()).unwrap_or_default();
        let (resource, kube) = (self.subject.resource.clone(), self.subject.kube.clone());
        let mut sent = || {
            // Approved, so the step is allowed.
            let _ = self.book.applying(id, shared.now());
            shared.board.put_decisions(&key, self.book.decisions());
            shared.board.stage(command.0, command.1, CommandStage::Sent, Some("the answer".into()));
        };
        match (realization, resource, kube) {
            (Realization::ResourceRequirements, ..) => {
                realize::put_requirements(&shared, &link.client, &key, detail, &mut sent).await
            }
            (Realization::PatchResource { .. }, Some(resource), Some(kube)) => {
                self.ours.insert(detail.decision);
                let reference = &resource.reference;
                realize::patch_overrides(&shared, &*kube.api, reference, target, detail, &changed, &mut sent).await
            }
            (Realization::AdviseOnly { why }, ..) => Written::NotTried(why),
            (Realization::PatchResource { .. }, ..) => Written::NotTried("its resource is not known".into()),
        }
    }

    fn not_written(&mut self, id: DecisionId, command: (Issuer, CommandId), why: &str, stage: CommandStage) {
        let now = self.now();
        if self.book.failed(id, why.to_owned(), now).is_err() {
            // It was refused before it was sent: the decision waits on, with the reason in front of it.
            let _ = self.book.back_to_pending(id, now);
            self.book.block(Some(why.to_owned()));
        }
        self.stage(command, stage, None);
    }

    /// Looks whether the change under way had its effect.
    pub(super) fn look(&mut self) {
        let waits_for = self.awaited();
        let Some(sight) = self.sight() else { return };
        let Some(chase) = &mut self.chase else { return };
        chase.pursuit.waits_for = waits_for;
        let measuring = chase.pursuit.applied.is_some();
        let effect = chase.pursuit.look(&sight);
        let (id, command) = (chase.decision, chase.command);
        match effect {
            Effect::Waiting(what) => {
                self.progress = (!measuring).then(|| what.clone());
                if !measuring {
                    self.stage(command, CommandStage::Accepted, Some(what));
                }
            }
            Effect::Applied => {
                chase.close_watch = None;
                self.progress = None;
                let _ = self.book.applied(id, sight.at);
                self.stage(command, CommandStage::Observed, None);
            }
            Effect::Failed(why) => {
                let _ = self.book.failed(id, why.clone(), sight.at);
                let timed_out = age(chase.pursuit.accepted_at, sight.at) > chase.pursuit.patience;
                self.stage(
                    command,
                    if timed_out { CommandStage::TimedOut } else { CommandStage::Failed { why } },
                    None,
                );
                self.end_chase();
            }
            Effect::Regressed(why) => {
                let lag = self.lag();
                let outcome = self.chase.as_ref().map(|c| unmeasured(&c.pursuit, sight.at, lag));
                if let Some(outcome) = outcome {
                    let _ = self.book.judge(id, DecisionState::Regressed { why }, outcome, sight.at);
                }
                self.stage(command, CommandStage::TimedOut, None);
                self.end_chase();
            }
        }
    }

    fn end_chase(&mut self) {
        self.chase = None;
        self.progress = None;
    }

    fn lag(&self) -> f64 {
        self.rates().map_or(f64::NAN, |r| r.lag)
    }

    /// The job as it stands now; `None` while its source does not answer.
    fn sight(&self) -> Option<Sight> {
        if self.cluster.lost.is_some() {
            return None;
        }
        let details = self.details.as_ref().map(|d| &d.value);
        // The list is fresher, the details are of one piece: the job is up only if both say so.
        let mut tasks = self.tasks;
        if let Some(details) = details
            && details.state == JobState::Running
            && !details.vertices.iter().all(|v| v.tasks.all_running())
        {
            tasks.running = details.vertices.iter().map(|v| v.tasks.running).sum();
            tasks.finished = 0;
        }
        Some(Sight {
            at: self.now(),
            state: self.state,
            tasks,
            run: self.run_seen(),
            parallelism: details.map(adapter::parallelism).unwrap_or_default(),
            free_slots: self.cluster.free_slots(),
        })
    }

    /// What Flink or the operator waits for before a rescale begins, as far as it can be told (`flink-rest.md` §6.3).
    fn awaited(&self) -> String {
        if self.subject.resource.is_some() {
            return "waiting for the operator to carry out the change".into();
        }
        let version = self.cluster.version().unwrap_or_default();
        let mut numbers = version.split(['.', '-']).map(|n| n.parse::<u32>().unwrap_or(0));
        let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let keys = [
            "jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling",
            "jobmanager.adaptive-scheduler.scaling-interval.min",
        ];
        let configured = keys.iter().find_map(|key| self.cluster.settings.get(*key));
        let cool_down = configured.and_then(|text| parse_duration(text).ok()).unwrap_or(COOL_DOWN);
        let has_cool_down = major >= 2 || minor >= 19;
        let before = self.chase.as_ref().and_then(|c| c.pursuit.run_before);
        let ran = before.map_or(Duration::MAX, |run| age(run.running_since, self.now()));
        if has_cool_down && ran < cool_down {
            return format!("cool-down of Flink, {} s left", (cool_down - ran).as_secs());
        }
        match (major >= 2, self.cluster.free_slots()) {
            (true, _) => "waiting for the next completed checkpoint".into(),
            (false, Some(0)) => "waiting for slots".into(),
            (false, _) => "waiting for the scheduler".into(),
        }
    }

    /// Follows the backlog of an applied decision and judges it when one full window of the new run is there.
    pub(super) fn measure(&mut self, evaluated: &Evaluated) {
        let rates = self.rates();
        let Some(chase) = &mut self.chase else { return };
        let Some((_, run)) = chase.pursuit.applied else { return };
        let now = evaluated.data_at;
        if let Some(rates) = rates
            && rates.lag_seconds <= CAUGHT_UP_SECONDS
            && chase.pursuit.caught_up_at.is_none()
        {
            chase.pursuit.caught_up_at = Some(now);
        }
        let Some(status) = self.status.as_ref().filter(|s| s.full) else { return };
        let Some(evaluation) = &evaluated.pass.evaluation else { return };
        if self.window_run != run || evaluated.unfit.is_some() {
            return;
        }
        let since = now - status.length;
        let samples = || self.window.samples().iter().map(Arc::as_ref);
        let trend = lag_trend(samples(), since);
        let of = |vertex| handled(samples(), vertex, since);
        let handled = chase.pursuit.changes.iter().map(|c| (c.vertex, of(c.vertex))).collect();
        let sources = self.topology.iter().flat_map(|t| t.vertices()).filter(|v| v.is_source());
        let input_rate = sources.map(|v| of(v.id)).filter(|r| r.is_finite()).sum();
        let measured =
            Measured { at: now, evaluation, handled: &handled, lag: trend.lag, lag_rate: trend.per_second, input_rate };
        let (verdict, outcome) = judge(&chase.pursuit, measured);
        let _ = self.book.judge(chase.decision, verdict, outcome, now);
        self.end_chase();
    }

    /// A job of which no full window comes is not measured for ever.
    pub(super) fn give_up_measuring(&mut self) {
        let now = self.now();
        let lag = self.lag();
        let Some(chase) = &self.chase else { return };
        let Some((applied_at, _)) = chase.pursuit.applied else { return };
        let patience = self.options.stabilization_interval + self.options.metrics_window * PATIENT_WINDOWS;
        if age(applied_at, now) > patience {
            let why = format!("no full window of measurements within {} s", patience.as_secs());
            let outcome = unmeasured(&chase.pursuit, now, lag);
            let _ = self.book.judge(chase.decision, DecisionState::Inconclusive { why }, outcome, now);
            self.end_chase();
        }
    }

    /// The job is gone: whatever was under way ends.
    pub(super) fn land(&mut self) {
        let now = self.now();
        let why = "the job is gone";
        if let Some(chase) = self.chase.take() {
            let superseded = CommandStage::Superseded { why: why.into() };
            if chase.pursuit.applied.is_some() {
                let outcome = unmeasured(&chase.pursuit, now, f64::NAN);
                let verdict = DecisionState::Inconclusive { why: why.into() };
                let _ = self.book.judge(chase.decision, verdict, outcome, now);
            } else {
                let _ = self.book.failed(chase.decision, why.into(), now);
            }
            self.stage(chase.command, superseded, None);
        }
        if let Some(id) = self.book.current().map(|d| d.id) {
            let _ = self.book.supersede(id, why.into(), now);
        }
        while let Ok(order) = self.orders.try_recv() {
            self.stage((order.issuer, order.id), CommandStage::Superseded { why: why.into() }, None);
        }
        self.shared.board.put_decisions(&self.subject.key, self.book.decisions());
    }

    /// Closes what an earlier process left open about this job, by what Flink says.
    pub(super) async fn recover(&mut self) {
        let key = self.subject.key.clone();
        let open = self.shared.take_recovered(|o| o.subject == key.as_str());
        self.recovered = true;
        for record in open {
            let Ok(detail) = serde_json::from_value::<Detail>(record.detail.clone()) else {
                let why = "the record cannot be read".into();
                realize::close(&self.shared, record.id, crate::state::journal::Closing::FoundNotApplied { why }).await;
                continue;
            };
            let found = match (record.effect.as_str(), &self.subject.resource) {
                (realize::REQUIREMENTS, _) => realize::found_requirements(&self.link.client, &detail).await.ok(),
                (realize::OVERRIDES, Some(resource)) => Some(realize::found_overrides(resource, &detail)),
                (realize::TAKE_OVER | realize::HAND_BACK, Some(resource)) => Some(found_switch(resource, &detail)),
                _ => None,
            };
            match found {
                Some(result) => {
                    tracing::warn!(job = %key, decision = %detail.decision, ?result, "an effect left open by an earlier process was closed");
                    realize::close(&self.shared, record.id, result).await;
                }
                // It does not answer now: the next turn asks again.
                None => {
                    self.shared.give_back(record);
                    self.recovered = false;
                }
            }
        }
    }
}

/// What a resource says of a take-over or hand-back that an earlier process left open: the configuration that was to be written.
fn found_switch(resource: &crate::control::ports::Resource, detail: &Detail) -> crate::state::journal::Closing {
    use crate::state::journal::Closing;
    match realize::differing(resource, &detail.configuration) {
        None => Closing::FoundApplied,
        Some((key, value)) => {
            let is = resource.configuration.get(key);
            Closing::FoundNotApplied { why: format!("{key} is {is:?}, {value:?} was wanted") }
        }
    }
}
