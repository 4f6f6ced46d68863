//! One resource under reconciliation: what is under way, one loop after the other (`operator.md` §2.4).
//!
//! A loop that blocks in the real operator (stopping with a savepoint, deleting a cluster, submitting a job) is a [`Phase`] here: nothing is
//! written and no change of the spec is looked at until it is over.

use serde_json::{Value, json};

use super::Blueprints;
use super::autoscaler::Scaler;
use super::events::{Event, emit};
use super::options::{Options, Timing};
use super::spec;
use super::status::{Status, Trouble};
use super::validate;
use super::view::{View, look};
use crate::domain::ids::JobId;
use crate::sim::cluster::Cluster;
use crate::sim::kubernetes::ApiServer;
use crate::sim::kubernetes::kinds::Kind;
use crate::sim::kubernetes::store::{Key, Part, Write};
use crate::sim::noise::hash128;

/// The marker in `upgradeSavepointPath` for "from the HA metadata".
pub(super) const LAST_STATE: &str = "KUBERNETES_OPERATOR_LAST_STATE";
/// How long a submission waits for an old cluster that is going, milliseconds.
const PATIENCE: i64 = 20_000;
/// Component names in events.
pub(super) const JMD: &str = "JobManagerDeployment";
pub(super) const JOB: &str = "Job";
pub(super) const OPERATOR: &str = "Operator";

/// Why a job is submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A spec is deployed.
    Ordinary,
    /// From a given savepoint (`savepointRedeployNonce`).
    Redeploy,
    /// The stable spec, because the new one did not come up.
    Rollback,
    /// What was lost or had failed.
    Recover,
}

/// What follows when a job has been stopped, or its cluster deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// It is upgraded in the next loop.
    Upgrade,
    /// It stays stopped.
    Suspend,
    /// It is submitted at once.
    Deploy(Purpose),
    /// The JobManager of a job that ended was kept long enough.
    Expire,
    /// The resource goes.
    Delete,
}

/// What is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing: observe and compare.
    Steady,
    /// The job is being submitted.
    Submitting { at: i64, purpose: Purpose },
    /// A savepoint that stops the job.
    Stopping { trigger: u128, deadline: i64, plan: Plan },
    /// The job is cancelled and the loop waits for it (session jobs before 1.10).
    Cancelling { plan: Plan },
    /// The cluster is being deleted.
    Tearing { plan: Plan, keep_ha: bool, deadline: i64 },
}

/// What a loop has at hand.
pub(super) struct Around<'a> {
    pub server: &'a ApiServer,
    pub timing: &'a Timing,
    pub blueprints: &'a Blueprints,
    pub now: i64,
}

/// A resource with what the operator knows of it.
#[derive(Debug)]
pub(super) struct Subject {
    pub key: Key,
    pub uid: String,
    pub status: Status,
    /// When its next loop is due, epoch milliseconds.
    pub due: i64,
    /// The generation that was last looked at.
    pub seen_generation: i64,
    pub(super) phase: Phase,
    /// Spec and generation that the present phase acts for.
    acting: (Value, i64),
    pub(super) ready_at: Option<i64>,
    /// The generation whose `SpecChanged` was said.
    pub(super) announced: i64,
    /// The mode really used for the last stop or restore.
    pub(super) upgrade_mode: String,
    pub(super) exceptions_until: i64,
    /// What the HA metadata hold: number and path of the last checkpoint.
    pub(super) ha_checkpoint: Option<(u64, String)>,
    /// The JobManager of this deployment has been available.
    pub(super) has_started: bool,
    /// What the operator's own autoscaler knows of the job.
    pub(super) scaler: Scaler,
    /// Loops in a row that ended in an error.
    attempts: u32,
    assigned: u64,
}

impl Subject {
    pub(super) fn new(key: Key, uid: String, timing: &Timing, now: i64) -> Self {
        let status = Status::fresh(timing.release, key.kind == Kind::FlinkDeployment);
        Self {
            key,
            uid,
            status,
            due: now,
            seen_generation: 0,
            phase: Phase::Steady,
            acting: (Value::Null, 0),
            ready_at: None,
            announced: 0,
            upgrade_mode: "stateless".to_owned(),
            exceptions_until: now,
            ha_checkpoint: None,
            has_started: false,
            scaler: Scaler::default(),
            attempts: 0,
            assigned: 0,
        }
    }

    /// A resource that has been running for long: as the scenario says its jobs have.
    pub(super) fn adopted(
        key: Key,
        uid: String,
        object: &Value,
        job: Option<JobId>,
        timing: &Timing,
        now: i64,
    ) -> Self {
        let mut subject = Self::new(key, uid, timing, now);
        let spec = spec::complete(subject.key.kind, &object["spec"]);
        let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
        let recorded = subject.with_mode(&spec);
        let status = &mut subject.status;
        status.reconcile_state = "DEPLOYED";
        status.job_id = job;
        status.record(&recorded, true, generation, now);
        status.mark_stable();
        status.observed_generation = Some(generation);
        if status.job_manager.is_some() {
            status.job_manager = Some("READY");
        }
        subject.has_started = true;
        subject.seen_generation = generation;
        subject
    }

    /// The subject has a cluster of its own.
    pub(super) fn owns_cluster(&self) -> bool {
        self.key.kind == Kind::FlinkDeployment
    }

    /// The name of its cluster in the world.
    pub(super) fn cluster<'a>(&'a self, spec: &'a Value) -> &'a str {
        if self.owns_cluster() { &self.key.name } else { spec::text(spec, "/deploymentName").unwrap_or_default() }
    }

    /// The component that events about its deployment come from.
    pub(super) fn component(&self) -> &'static str {
        if self.owns_cluster() { JMD } else { JOB }
    }

    /// It is a session job of this cluster.
    pub(super) fn runs_in(&self, cluster: &str) -> bool {
        !self.owns_cluster() && spec::text(&self.acting.0, "/deploymentName").is_none_or(|name| name == cluster)
    }

    /// Its next loop comes no later than this, unless it is blocked.
    pub(super) fn hurry(&mut self, at: i64) {
        self.due = self.due.min(at);
    }

    /// What a phase of the deletion acts for.
    pub(super) fn remember(&mut self, spec: &Value, object: &Value) {
        let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
        self.acting = (spec.clone(), generation);
    }

    pub(super) fn say(&self, around: &Around<'_>, event: &Event) {
        emit(around.server, &self.key, &self.uid, event);
    }

    /// One loop. False when the resource is gone.
    pub(super) fn turn(&mut self, around: &Around<'_>, object: &Value) -> bool {
        let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
        self.seen_generation = generation;
        let stays = match self.phase.clone() {
            Phase::Steady if object.pointer("/metadata/deletionTimestamp").is_some() => self.delete(around, object),
            Phase::Steady => {
                self.hold(around, object);
                self.pass(around, object, generation);
                true
            }
            _ => {
                let (spec, generation) = self.acting.clone();
                self.go_on(around, &spec, generation)
            }
        };
        self.due = around.now + self.delay(around.timing, object.pointer("/metadata/deletionTimestamp").is_some());
        stays
    }

    /// Observe, validate, reconcile.
    fn pass(&mut self, around: &Around<'_>, object: &Value, generation: i64) {
        let mut spec = spec::complete(self.key.kind, &object["spec"]);
        let has_job = spec["job"].is_object();
        if has_job {
            self.keep_autoscaler_map(around);
        }
        self.observe(around, &spec);
        let mut generation = generation;
        if let Some(why) = self.invalid(around, &spec) {
            let error = Trouble { class: "ValidationException", message: &why, ..Trouble::default() };
            self.status.error = Some(error.document());
            self.say(around, &Event::warning("ValidationError", OPERATOR, why));
            let Some(mut recorded) = self.status.recorded_spec() else {
                self.write(around, has_job);
                return;
            };
            if matches!(self.status.reconcile_state, "UPGRADING" | "ROLLING_BACK") && recorded["job"].is_object() {
                recorded["job"]["state"] = "running".into();
            }
            spec = recorded;
            generation = self.status.observed_generation.unwrap_or_default();
        }
        if has_job {
            self.autoscale(around, &mut spec);
        }
        self.write(around, has_job);
        self.acting = (spec.clone(), generation);
        self.reconcile(around, &spec, generation);
        if self.phase == Phase::Steady {
            self.status.conclude(has_job, around.now);
            self.write(around, has_job);
        }
    }

    fn invalid(&self, around: &Around<'_>, spec: &Value) -> Option<String> {
        let name = self.cluster(spec);
        let session = (!self.owns_cluster())
            .then(|| around.server.get(&Key::new(Kind::FlinkDeployment, &self.key.namespace, name)))
            .flatten()
            .map(|session| spec::complete(Kind::FlinkDeployment, &session["spec"]));
        let recorded = self.status.recorded_spec();
        validate::check(&validate::Candidate {
            kind: self.key.kind,
            name: &self.key.name,
            spec,
            recorded: recorded.as_ref(),
            session: session.as_ref(),
            timing: around.timing,
        })
    }

    /// A step of something that takes several.
    fn go_on(&mut self, around: &Around<'_>, spec: &Value, generation: i64) -> bool {
        match self.phase.clone() {
            Phase::Submitting { at, purpose } => {
                // What somebody else deleted has a while to go; then it is in the way.
                let name = self.cluster(spec).to_owned();
                let going = || around.server.world().with(|w| w.cluster(&name).is_some_and(Cluster::is_shutting_down));
                let waits = self.owns_cluster() && around.now < at + PATIENCE && going();
                if around.now >= at && !waits {
                    self.submit(around, spec, generation, purpose);
                }
            }
            Phase::Stopping { trigger, deadline, plan } => {
                self.stopping(around, spec, generation, trigger, deadline, plan)
            }
            Phase::Cancelling { plan } => self.cancelling(around, spec, generation, plan),
            Phase::Tearing { plan, keep_ha, deadline } => {
                let name = self.cluster(spec).to_owned();
                let gone = around.server.world().with(|w| w.cluster(&name).is_none());
                if gone || around.now >= deadline {
                    if !keep_ha {
                        self.forget_ha(around);
                    }
                    if plan == Plan::Delete {
                        self.release(around);
                        return false;
                    }
                    self.torn(around, spec, generation, plan);
                }
            }
            Phase::Steady => {}
        }
        true
    }

    /// Time to the next loop (`operator.md` §2.4).
    fn delay(&self, timing: &Timing, deleting: bool) -> i64 {
        match &self.phase {
            Phase::Steady if self.attempts > 0 => timing.retry(self.attempts).unwrap_or(i64::MAX / 4),
            Phase::Steady if deleting => timing.progress,
            Phase::Steady if self.status.job_state == Some("CANCELLING") => timing.progress,
            Phase::Steady if self.status.reconcile_state == "UPGRADING" && self.is_about_to_deploy() => {
                timing.immediately
            }
            Phase::Steady => match self.status.job_manager {
                Some("DEPLOYING") => timing.progress,
                Some("DEPLOYED_NOT_READY") => timing.rest_delay,
                Some("READY") if self.status.savepoints.pending.is_some() => timing.progress,
                _ if self.status.savepoints.pending.is_some() || self.status.checkpoints.pending.is_some() => {
                    timing.progress
                }
                _ => timing.reconcile,
            },
            Phase::Submitting { at, .. } => (at - self.due).clamp(50, timing.submit.max(50)),
            _ => timing.poll,
        }
    }

    /// An upgrade is under way that nothing holds up.
    fn is_about_to_deploy(&self) -> bool {
        let wants = spec::text(&self.acting.0, "/job/state") != Some("suspended");
        wants && self.status.last_reconciled.is_some() && self.status.error.is_none()
    }

    /// A loop ended in an error that the operator does not handle: said, written, and tried again later and later.
    pub(super) fn fail(&mut self, around: &Around<'_>, why: &str) {
        self.attempts += 1;
        let error = Trouble { class: "ReconciliationException", message: why, ..Trouble::default() };
        self.status.error = Some(error.document());
        let reason = match (around.timing.release.job_exceptions(), self.owns_cluster()) {
            (true, _) => "Error",
            (false, true) => "ClusterDeploymentException",
            (false, false) => "SessionJobException",
        };
        self.say(around, &Event::warning(reason, self.component(), why));
    }

    /// A spec is recorded: what went wrong before is past.
    pub(super) fn record(&mut self, around: &Around<'_>, spec: &Value, first: bool, generation: i64) {
        self.attempts = 0;
        self.status.record(spec, first, generation, around.now);
        self.status.observed_generation = Some(generation);
    }

    /// The spec with the upgrade mode that was really used.
    pub(super) fn with_mode(&self, spec: &Value) -> Value {
        let mut recorded = spec.clone();
        if recorded["job"].is_object() {
            recorded["job"]["upgradeMode"] = self.upgrade_mode.as_str().into();
        }
        recorded
    }

    /// The spec as recorded between suspend and deployment.
    pub(super) fn between(&self, spec: &Value) -> Value {
        let mut recorded = self.with_mode(spec);
        if recorded["job"].is_object() {
            recorded["job"]["state"] = "suspended".into();
        }
        recorded
    }

    pub(super) fn recorded_state(&self) -> String {
        let recorded = self.status.recorded_spec().unwrap_or_default();
        spec::text(&recorded, "/job/state").unwrap_or("running").to_owned()
    }

    /// A new id for the job, before it is submitted.
    pub(super) fn assign_job_id(&mut self) {
        self.assigned += 1;
        self.status.job_id = Some(JobId::from_u128(hash128(&["job", &self.uid, &self.assigned.to_string()])));
    }

    /// The finalizer keeps the resource until its cluster is gone.
    fn hold(&self, around: &Around<'_>, object: &Value) {
        let finalizer = format!("{}/finalizer", self.key.kind.resource());
        let held = object.pointer("/metadata/finalizers").and_then(Value::as_array);
        if !held.is_some_and(|f| f.contains(&json!(finalizer))) {
            self.set_finalizers(around, |all| all.push(json!(finalizer)));
        }
    }

    /// Lets the resource go.
    pub(super) fn release(&self, around: &Around<'_>) {
        let finalizer = format!("{}/finalizer", self.key.kind.resource());
        self.set_finalizers(around, |all| all.retain(|f| f != &json!(finalizer)));
    }

    fn set_finalizers(&self, around: &Around<'_>, change: impl FnOnce(&mut Vec<Value>)) {
        let set = around.server.with_store(|store, now| {
            store.update(&self.key, Part::Main, now, Write::Real, |object| {
                let mut all =
                    object.pointer("/metadata/finalizers").and_then(Value::as_array).cloned().unwrap_or_default();
                change(&mut all);
                object["metadata"]["finalizers"] = all.into();
                Ok(())
            })
        });
        if let Err(failure) = set {
            tracing::debug!("finalizers were not written: {}", failure.message);
        }
    }

    pub(super) fn write(&self, around: &Around<'_>, has_job: bool) {
        let document = self.status.document(has_job);
        let written = around.server.with_store(|store, now| {
            store.update(&self.key, Part::Status, now, Write::Real, |object| {
                object["status"] = document;
                Ok(())
            })
        });
        if let Err(failure) = written {
            tracing::debug!("a status was not written: {}", failure.message);
        }
    }

    pub(super) fn options(&self, around: &Around<'_>, spec: &Value) -> Options {
        around.timing.options(spec)
    }

    pub(super) fn view(&self, around: &Around<'_>, spec: &Value) -> View {
        let name = self.cluster(spec).to_owned();
        let id = self.status.job_id;
        around.server.world().with(|world| look(world, &name, id))
    }
}
