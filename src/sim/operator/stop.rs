//! Stopping a job for an upgrade or a suspend (`operator.md` §4.2, §4.3).

use serde_json::Value;

use super::decide::{self, Situation, Stop};
use super::events::Event;
use super::status::{LegacySnapshot, Trouble};
use super::subject::{Around, JMD, LAST_STATE, Phase, Plan, Purpose, Subject};
use crate::sim::checkpoints::Kind as SnapshotKind;
use crate::sim::cluster::Progress;
use crate::sim::world::TriggerOptions;

/// How long a savepoint that stops a job may take, if `execution.checkpointing.timeout` does not say, milliseconds.
const STOP_TIMEOUT: i64 = 600_000;

impl Subject {
    /// Begins to stop the job, keeping its state as the upgrade mode says.
    pub(super) fn stop(&mut self, around: &Around<'_>, spec: &Value, generation: i64, suspends: bool) {
        let plan = if suspends { Plan::Suspend } else { Plan::Upgrade };
        if !spec["job"].is_object() {
            return self.tear_down(around, spec, plan, true);
        }
        if self.recorded_state() == "suspended" {
            // It is stopped already; what it restores from was recorded then.
            return self.resume(around, spec, generation, suspends);
        }
        let decided = decide::stop(&self.situation(around, spec));
        if !matches!(decided, Stop::Wait | Stop::Impossible | Stop::Ended) {
            self.say(around, &Event::normal("Suspended", JMD, "Suspending existing deployment."));
        }
        match decided {
            Stop::Wait => {}
            Stop::Impossible => self.impossible(around),
            Stop::Stateless if self.status.job_is_terminal() => {
                self.restore_nothing();
                self.stopped(around, spec, generation, plan);
            }
            Stop::Stateless => {
                self.restore_nothing();
                self.cancel(around, spec);
                if self.owns_cluster() {
                    self.tear_down(around, spec, plan, false);
                } else {
                    self.await_cancel(around, spec, generation, plan);
                }
            }
            Stop::Ended => {
                self.upgrade_mode = "savepoint".to_owned();
                self.stopped(around, spec, generation, plan);
            }
            Stop::Savepoint => self.stop_with_savepoint(around, spec, plan),
            Stop::KeepHa => {
                self.upgrade_mode = "last-state".to_owned();
                self.status.upgrade_savepoint_path = Some(LAST_STATE.to_owned());
                self.tear_down(around, spec, plan, true);
            }
            Stop::Cancel => {
                self.upgrade_mode = "last-state".to_owned();
                self.status.upgrade_savepoint_path = None;
                self.cancel(around, spec);
                self.await_cancel(around, spec, generation, plan);
            }
            Stop::NeverStarted => {
                self.upgrade_mode =
                    if self.status.upgrade_savepoint_path.is_some() { "savepoint" } else { "stateless" }.to_owned();
                self.status.assume("FAILED");
                self.tear_down(around, spec, plan, true);
            }
        }
    }

    fn situation<'a>(&'a self, around: &Around<'_>, spec: &'a Value) -> Situation<'a> {
        let view = self.view(around, spec);
        let recorded = self.status.recorded_spec().unwrap_or_default();
        let options = self.options(around, spec);
        let deployed = self.options(around, &recorded);
        Situation {
            release: around.timing.release,
            mode: self.mode_of(spec),
            application: self.owns_cluster(),
            state: self.status.job_state,
            rest: view.rest && (!self.owns_cluster() || self.status.job_manager == Some("READY")),
            job_manager: self.status.job_manager,
            ha_metadata: deployed.ha() && self.owns_cluster() && self.ha_metadata(around),
            known_path: self.status.upgrade_savepoint_path.as_deref().is_some_and(|p| p != LAST_STATE),
            fallback: options.switch("job.upgrade.last-state-fallback.enabled", true),
            prefers_cancel: options.switch("job.upgrade.last-state.job-cancel.enabled", false),
            version_changed: recorded.get("flinkVersion") != spec.get("flinkVersion"),
            savepoint_dir: deployed.savepoint_dir().or(options.savepoint_dir()).is_some(),
            never_started: !self.has_started && view.trouble.is_some(),
        }
    }

    /// A change of a suspended job: recorded, or the way back to running.
    fn resume(&mut self, around: &Around<'_>, spec: &Value, generation: i64, suspends: bool) {
        if suspends {
            let recorded = self.between(spec);
            self.record(around, &recorded, false, generation);
            self.status.mark_stable();
            return;
        }
        if self.mode_of(spec) == "stateless" {
            self.restore_nothing();
        } else if self.upgrade_mode == "stateless" && self.status.upgrade_savepoint_path.is_some() {
            self.upgrade_mode = "savepoint".to_owned();
        }
        self.status.reconcile_state = "UPGRADING";
        self.status.error = None;
        let recorded = self.between(spec);
        self.record(around, &recorded, false, generation);
    }

    fn restore_nothing(&mut self) {
        self.upgrade_mode = "stateless".to_owned();
        self.status.upgrade_savepoint_path = None;
    }

    fn impossible(&mut self, around: &Around<'_>) {
        let class =
            if around.timing.release.snapshots() { "UpgradeFailureException" } else { "RecoveryFailureException" };
        let why = "Latest checkpoint not found and HA metadata is not available. Manual restore required.";
        self.status.error = Some(Trouble { class, message: why, ..Trouble::default() }.document());
        self.say(around, &Event::warning("UpgradeFailed", JMD, why));
    }

    /// Asks Flink to stop the job with a savepoint; `None` if there is no job.
    pub(super) fn trigger_stop(&self, around: &Around<'_>, spec: &Value) -> Option<u128> {
        let (name, id) = (self.cluster(spec), self.status.job_id?);
        let target = self.options(around, spec).savepoint_dir().unwrap_or_default().to_owned();
        let options = TriggerOptions { target, ..TriggerOptions::default() };
        around.server.world().with(|world| world.trigger(name, id, SnapshotKind::SyncSavepoint, options))
    }

    fn stop_with_savepoint(&mut self, around: &Around<'_>, spec: &Value, plan: Plan) {
        let timeout = self.options(around, spec).get("execution.checkpointing.timeout").map(str::to_owned);
        let timeout = timeout.and_then(|t| crate::sim::de::parse_flink_millis(&t)).unwrap_or(STOP_TIMEOUT);
        if let Some(trigger) = self.trigger_stop(around, spec) {
            self.phase = Phase::Stopping { trigger, deadline: around.now + timeout, plan };
        }
    }

    /// Waits for the savepoint that stops the job.
    pub(super) fn stopping(
        &mut self,
        around: &Around<'_>,
        spec: &Value,
        generation: i64,
        trigger: u128,
        deadline: i64,
        plan: Plan,
    ) {
        let name = self.cluster(spec).to_owned();
        let progress = around.server.world().with(|world| world.operation(&name, trigger).map(|o| o.progress.clone()));
        match progress {
            Some(Progress::InProgress) if around.now < deadline => {}
            Some(Progress::InProgress) => {
                self.stop_failed(
                    around,
                    "SavepointError",
                    format!("Timed out stopping the job {name} in {STOP_TIMEOUT} ms"),
                    plan,
                );
            }
            Some(Progress::Savepoint(path)) => {
                self.upgrade_mode = "savepoint".to_owned();
                self.status.upgrade_savepoint_path = Some(path.clone());
                self.remember_upgrade_savepoint(around, spec, &path);
                if plan == Plan::Delete {
                    return self.leave(around, spec);
                }
                self.stopped(around, spec, generation, plan);
            }
            failed => {
                let why = match failed {
                    Some(Progress::Failed(class, message)) => format!("{class}: {message}"),
                    _ => "java.net.ConnectException: Connection refused".to_owned(),
                };
                self.stop_failed(around, "SavepointError", format!("Savepoint Error -> {why}"), plan);
            }
        }
    }

    fn stop_failed(&mut self, around: &Around<'_>, reason: &'static str, why: String, plan: Plan) {
        self.phase = Phase::Steady;
        if plan == Plan::Delete {
            return;
        }
        if around.timing.release.snapshots() && self.owns_cluster() {
            let error = Trouble { class: "UpgradeFailureException", message: &why, ..Trouble::default() };
            self.status.error = Some(error.document());
            self.say(around, &Event::warning(reason, JMD, why));
            self.write(around, true);
        } else {
            self.fail(around, &why);
            self.write(around, true);
        }
    }

    /// Where the savepoint of an upgrade is shown: a FlinkStateSnapshot, or the history in the status.
    fn remember_upgrade_savepoint(&mut self, around: &Around<'_>, spec: &Value, path: &str) {
        if self.uses_snapshots(around, spec) {
            self.create_snapshot(around, spec, "savepoint", "upgrade", Some(path));
        } else {
            self.status.savepoints.complete(LegacySnapshot {
                at: around.now,
                location: Some(path.to_owned()),
                trigger: "UPGRADE",
                format: "CANONICAL",
                nonce: None,
            });
        }
    }

    /// The REST call to cancel is made. From 1.10 on nobody waits for it; before, the loop does.
    fn await_cancel(&mut self, around: &Around<'_>, spec: &Value, generation: i64, plan: Plan) {
        if !around.timing.release.snapshots() {
            self.phase = Phase::Cancelling { plan };
            return;
        }
        self.status.assume("CANCELLING");
        self.status.reconcile_state = "UPGRADING";
        self.status.error = None;
        self.no_task_managers();
        let (recorded, observed) = (self.between(spec), self.status.observed_generation);
        self.record(around, &recorded, false, generation);
        self.status.observed_generation = observed;
    }

    /// Waits until the job is cancelled.
    pub(super) fn cancelling(&mut self, around: &Around<'_>, spec: &Value, generation: i64, plan: Plan) {
        let view = self.view(around, spec);
        if view.job.as_ref().is_some_and(|j| !j.terminal) {
            return;
        }
        if plan == Plan::Delete {
            self.phase = Phase::Steady;
            return;
        }
        self.stopped(around, spec, generation, plan);
    }

    /// The cluster is gone.
    pub(super) fn torn(&mut self, around: &Around<'_>, spec: &Value, generation: i64, plan: Plan) {
        self.phase = Phase::Steady;
        self.status.job_manager = Some("MISSING");
        match plan {
            Plan::Upgrade | Plan::Suspend => self.stopped(around, spec, generation, plan),
            Plan::Expire | Plan::Delete => {
                self.no_task_managers();
                self.write(around, true);
            }
            Plan::Deploy(purpose) => {
                if spec["job"].is_object() && !self.status.job_is_terminal() {
                    self.status.assume("FINISHED");
                }
                self.no_task_managers();
                if purpose == Purpose::Redeploy && around.timing.release.snapshots() {
                    self.assign_job_id();
                    self.write(around, true);
                } else if purpose != Purpose::Redeploy {
                    self.write(around, spec["job"].is_object());
                }
                self.start_submitting(around, purpose);
            }
        }
    }

    /// The job is stopped, to be deployed in the next loop or to stay so.
    fn stopped(&mut self, around: &Around<'_>, spec: &Value, generation: i64, plan: Plan) {
        self.phase = Phase::Steady;
        if spec["job"].is_object() && !self.status.job_is_terminal() {
            self.status.assume("FINISHED");
        }
        self.no_task_managers();
        self.status.error = None;
        let first = self.status.first_deployment() && !spec["job"].is_object();
        let recorded = self.between(spec);
        self.record(around, &recorded, first, generation);
        if plan == Plan::Suspend {
            self.status.reconcile_state = "DEPLOYED";
            if !self.owns_cluster() {
                self.status.job_id = None;
            }
            self.status.mark_stable();
        } else {
            self.status.reconcile_state = "UPGRADING";
        }
        self.write(around, spec["job"].is_object());
    }
}
