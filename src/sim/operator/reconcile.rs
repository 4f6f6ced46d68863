//! What a loop does about a difference between spec and record (`operator.md` §2.4, §4), and what it mends by itself (§4.6, §4.7).

use std::collections::BTreeMap;

use serde_json::Value;

use super::events::Event;
use super::spec::{self, Class, Diff};
use super::status::Trouble;
use super::subject::{Around, JMD, JOB, LAST_STATE, Phase, Plan, Purpose, Subject};
use crate::domain::ids::VertexId;
use crate::sim::job::Bounds;
use crate::sim::kubernetes::kinds::Kind;
use crate::sim::kubernetes::store::Key;

/// How long a cluster may take to go before the operator gives up waiting, milliseconds.
const CLEANUP_TIMEOUT: i64 = 300_000;

impl Subject {
    pub(super) fn reconcile(&mut self, around: &Around<'_>, spec: &Value, generation: i64) {
        let wants_suspended = spec::text(spec, "/job/state") == Some("suspended");
        let Some(recorded) = self.status.recorded_spec() else {
            if !wants_suspended {
                self.begin(around, spec, generation);
            }
            return;
        };
        if !self.owns_cluster() && !self.session_is_ready(around, spec) {
            return;
        }
        if self.status.reconcile_state == "ROLLING_BACK" && self.status.job_manager == Some("MISSING") {
            return self.start_submitting(around, Purpose::Rollback);
        }
        let diff = Diff::between(&recorded, spec);
        if self.status.reconcile_state == "UPGRADING" {
            self.continue_upgrade(around, spec, generation, &diff);
            return;
        }
        match diff.class() {
            None | Some(Class::Ignore) => {
                self.accept(around, &recorded, spec, generation);
                self.mend(around, spec);
            }
            Some(class) => {
                if self.announced != generation {
                    self.announced = generation;
                    self.say(around, &Event::normal("SpecChanged", JMD, diff.message(self.key.kind)));
                }
                self.act(around, spec, generation, class, &diff);
            }
        }
    }

    /// A change that needs no action now: seen. Before 1.10 it is written down, for the generation is part of the record.
    fn accept(&mut self, around: &Around<'_>, recorded: &Value, spec: &Value, generation: i64) {
        if self.status.observed_generation != Some(generation) {
            self.status.observed_generation = Some(generation);
            if !around.timing.release.snapshots() {
                let mut written = self.with_mode(spec);
                for nonce in ["savepointTriggerNonce", "checkpointTriggerNonce"] {
                    written["job"][nonce] = recorded["job"][nonce].clone();
                }
                let first = self.status.first_deployment();
                self.status.record(&written, first, generation, around.now);
            }
        }
        if spec["job"].is_object() && self.recorded_state() == "running" {
            self.trigger_by_nonce(around, spec, recorded, generation);
        }
    }

    fn act(&mut self, around: &Around<'_>, spec: &Value, generation: i64, class: Class, diff: &Diff) {
        let suspends = spec::text(spec, "/job/state") == Some("suspended");
        if self.status.savepoints.pending.is_some()
            && !self.options(around, spec).switch("job.upgrade.ignore-pending-savepoint", false)
        {
            return;
        }
        match class {
            Class::Ignore => {}
            Class::Scale if self.scale(around, spec, generation, diff) => {}
            Class::Scale | Class::Upgrade => self.stop(around, spec, generation, suspends),
            Class::SavepointRedeploy => self.redeploy(around, spec, generation, suspends),
        }
    }

    /// Between the stop and the deployment, also if the stop took a loop of its own.
    fn continue_upgrade(&mut self, around: &Around<'_>, spec: &Value, generation: i64, diff: &Diff) {
        let suspends = spec::text(spec, "/job/state") == Some("suspended");
        if diff.class() == Some(Class::SavepointRedeploy) && !self.status.first_deployment() {
            return self.redeploy(around, spec, generation, suspends);
        }
        if self.status.job_state == Some("CANCELLING") {
            if self.upgrade_mode == "stateless" {
                self.say(around, &Event::normal("Suspended", JMD, "Suspending existing deployment."));
            }
            return;
        }
        if suspends {
            return;
        }
        self.status.error = None;
        if self.owns_cluster() && self.cluster_exists(around, spec) {
            let keep_ha = self.upgrade_mode == "last-state";
            self.tear_down(around, spec, Plan::Deploy(Purpose::Ordinary), keep_ha);
        } else {
            self.start_submitting(around, Purpose::Ordinary);
        }
    }

    /// First deployment: recorded as suspended, submitted in the same loop.
    fn begin(&mut self, around: &Around<'_>, spec: &Value, generation: i64) {
        if spec["job"].is_object() && around.blueprints.job(spec).is_none() {
            let jar = spec::text(spec, "/job/jarURI").unwrap_or_default();
            self.fail(
                around,
                &format!("java.io.FileNotFoundException: {jar}: the embedded cluster has no such program"),
            );
            return;
        }
        if !self.owns_cluster() && !self.session_is_ready(around, spec) {
            return;
        }
        let path = spec::text(spec, "/job/initialSavepointPath").filter(|p| !p.trim().is_empty());
        self.status.upgrade_savepoint_path = path.map(str::to_owned);
        self.upgrade_mode = if path.is_some() { "savepoint" } else { "stateless" }.to_owned();
        let between = self.between(spec);
        self.record(around, &between, true, generation);
        self.status.error = None;
        self.start_submitting(around, Purpose::Ordinary);
    }

    /// Rescales in place if all conditions hold (`operator.md` §7.3).
    fn scale(&mut self, around: &Around<'_>, spec: &Value, generation: i64, diff: &Diff) -> bool {
        let view = self.view(around, spec);
        let (Some(job), Some(id)) = (&view.job, self.status.job_id) else { return false };
        let options = self.options(around, spec);
        let standalone = spec::text(spec, "/mode") == Some("standalone");
        if !options.switch("job.upgrade.inplace-scaling.enabled", true)
            || standalone
            || job.terminal
            || self.status.job_state == Some("RECONCILING")
            || diff.removes_overrides()
        {
            return false;
        }
        let wanted = options.get(spec::OVERRIDES).map(spec::overrides).unwrap_or_default();
        let bounds: BTreeMap<VertexId, Bounds> = job
            .requirements
            .iter()
            .map(|(vertex, present)| {
                let upper = wanted.get(vertex).copied().unwrap_or(present.upper);
                (*vertex, Bounds { lower: present.lower.min(upper), upper })
            })
            .collect();
        if bounds != job.requirements {
            let name = self.cluster(spec).to_owned();
            let done = around.server.world().with(|world| world.set_requirements(&name, id, &bounds));
            if let Err(refused) = done {
                tracing::debug!(?refused, "in-place scaling was refused");
                return false;
            }
            self.say(around, &Event::normal("Scaling", JOB, "In-place scaling triggered"));
        }
        let recorded = self.with_mode(spec);
        let first = self.status.first_deployment();
        self.record(around, &recorded, first, generation);
        true
    }

    /// From a given savepoint, whatever the job does now (`operator.md` §3.2).
    fn redeploy(&mut self, around: &Around<'_>, spec: &Value, generation: i64, suspends: bool) {
        if !self.owns_cluster() && self.status.job_id.is_none() {
            self.fail(around, "java.lang.IllegalArgumentException: Cannot parse JobID from \"null\".");
            return;
        }
        let path = spec::text(spec, "/job/initialSavepointPath").filter(|p| !p.trim().is_empty());
        if path.is_none() && !around.timing.release.snapshots() {
            self.fail(around, "java.lang.NullPointerException");
            return;
        }
        self.cancel(around, spec);
        self.status.upgrade_savepoint_path = path.map(str::to_owned);
        self.upgrade_mode = if path.is_some() { "savepoint" } else { "stateless" }.to_owned();
        if suspends {
            let recorded = self.between(spec);
            if self.owns_cluster() {
                self.tear_down(around, spec, Plan::Suspend, false);
            } else {
                self.record(around, &recorded, false, generation);
                self.status.mark_stable();
            }
        } else if self.owns_cluster() {
            self.tear_down(around, spec, Plan::Deploy(Purpose::Redeploy), false);
        } else {
            self.start_submitting(around, Purpose::Redeploy);
        }
    }

    /// What is not asked for by a change: lost JobManagers, failed jobs, specs that do not come up, JobManagers kept too long.
    fn mend(&mut self, around: &Around<'_>, spec: &Value) {
        let options = self.options(around, spec);
        let has_job = spec["job"].is_object();
        let running = self.recorded_state() == "running";
        if !has_job {
            if self.status.job_manager == Some("MISSING") && options.switch("jm-deployment-recovery.enabled", true) {
                self.say(around, &Event::warning("RecoverDeployment", JOB, "Recovering lost deployment"));
                self.start_submitting(around, Purpose::Recover);
            }
            return;
        }
        if !self.owns_cluster() {
            let lost =
                self.status.error.as_deref() == Some("Job Not Found") && self.status.job_state == Some("RECONCILING");
            if lost && self.mode_of(spec) == "stateless" {
                self.status.error = None;
                self.status.upgrade_savepoint_path = None;
                self.upgrade_mode = "stateless".to_owned();
                self.start_submitting(around, Purpose::Recover);
            }
            return;
        }
        if self.rolls_back(around, spec) {
            self.say(around, &Event::normal("Rollback", JMD, "Rolling back failed deployment."));
            self.status.reconcile_state = "ROLLING_BACK";
            self.upgrade_mode = "last-state".to_owned();
            self.status.upgrade_savepoint_path = Some(LAST_STATE.to_owned());
            self.status.assume("FINISHED");
            self.no_task_managers();
            return self.tear_down(around, spec, Plan::Deploy(Purpose::Rollback), true);
        }
        if running
            && self.status.job_manager == Some("MISSING")
            && !self.status.job_is_terminal()
            && options.switch("jm-deployment-recovery.enabled", true)
        {
            return self.recover(around, spec);
        }
        if self.status.job_state == Some("FAILED") && running && options.switch("job.restart.failed", false) {
            self.upgrade_mode = self.mode_of(spec).to_owned();
            self.status.error = None;
            return self.tear_down(around, spec, Plan::Deploy(Purpose::Recover), true);
        }
        let over = self.status.job_is_terminal() && self.cluster_exists(around, spec);
        let ttl = options.millis("jm-deployment.shutdown-ttl", 86_400_000);
        if over && self.status.update_time.is_some_and(|at| around.now >= at + ttl) {
            self.tear_down(around, spec, Plan::Expire, true);
        }
    }

    /// A Deployment that vanished comes back from the HA metadata, or without state.
    fn recover(&mut self, around: &Around<'_>, spec: &Value) {
        let stateless = self.mode_of(spec) == "stateless";
        let ha = self.options(around, spec).ha();
        if !ha && !stateless {
            return;
        }
        if ha && !stateless && !self.ha_metadata(around) {
            let class =
                if around.timing.release.snapshots() { "UpgradeFailureException" } else { "RecoveryFailureException" };
            let why = "HA metadata is not available to restore from last state. It is possible that the job has finished or \
                       terminally failed, or the configmaps have been deleted. ";
            self.status.error = Some(Trouble { class, message: why, ..Trouble::default() }.document());
            self.say(around, &Event::warning("RestoreFailed", JMD, why));
            return;
        }
        self.say(around, &Event::warning("RecoverDeployment", JOB, "Recovering lost deployment"));
        self.upgrade_mode = if stateless { "stateless" } else { "last-state" }.to_owned();
        self.status.upgrade_savepoint_path = (!stateless).then(|| LAST_STATE.to_owned());
        self.start_submitting(around, Purpose::Recover);
    }

    /// Opt-in: the new spec has not become stable in time, and an older one was (`operator.md` §4.6).
    fn rolls_back(&self, around: &Around<'_>, spec: &Value) -> bool {
        let options = self.options(around, spec);
        let patience = options.millis("deployment.readiness.timeout", 300_000);
        if !options.switch("deployment.rollback.enabled", false)
            || self.status.reconcile_state != "DEPLOYED"
            || self.status.is_stable()
            || around.now < self.status.reconciled_at + patience
        {
            return false;
        }
        let Some(stable) = self.status.stable_spec() else { return false };
        let same_version = stable.get("flinkVersion") == spec.get("flinkVersion");
        let suspended = spec::text(&stable, "/job/state") == Some("suspended");
        let started = !self.has_started && self.status.upgrade_savepoint_path.is_some();
        same_version && !suspended && options.ha() && (self.ha_metadata(around) || started)
    }

    pub(super) fn mode_of<'a>(&self, spec: &'a Value) -> &'a str {
        spec::text(spec, "/job/upgradeMode").unwrap_or("stateless")
    }

    pub(super) fn cluster_exists(&self, around: &Around<'_>, spec: &Value) -> bool {
        let name = self.cluster(spec).to_owned();
        around.server.world().with(|w| w.cluster(&name).is_some())
    }

    /// Its cluster's JobManager is READY by the cluster's own status.
    pub(super) fn session_is_ready(&self, around: &Around<'_>, spec: &Value) -> bool {
        let name = self.cluster(spec);
        let session = around.server.get(&Key::new(Kind::FlinkDeployment, &self.key.namespace, name));
        session.is_some_and(|s| spec::text(&s, "/status/jobManagerDeploymentStatus") == Some("READY"))
            && around.server.world().with(|w| w.cluster(name).is_some_and(crate::sim::cluster::Cluster::is_up))
    }

    pub(super) fn cancel(&self, around: &Around<'_>, spec: &Value) {
        let (name, id) = (self.cluster(spec).to_owned(), self.status.job_id);
        around.server.world().with(|world| id.and_then(|id| world.cancel(&name, id)));
    }

    /// Begins to delete the cluster; the loop waits for its end.
    pub(super) fn tear_down(&mut self, around: &Around<'_>, spec: &Value, plan: Plan, keep_ha: bool) {
        let name = self.cluster(spec).to_owned();
        around.server.world().with(|world| world.shut_down(&name));
        let timeout = self.options(around, spec).millis("resource.cleanup.timeout", CLEANUP_TIMEOUT);
        self.phase = Phase::Tearing { plan, keep_ha, deadline: around.now + timeout };
    }
}
