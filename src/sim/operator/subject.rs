//! One resource under reconciliation: what was done, what is under way, and what its status says (`operator.md` §2.4, §4.2, §14.2).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::events::{Event, emit};
use super::spec::{self, Class, Diff};
use super::status::{Status, causes_of, error_document};
use super::{Blueprints, Timing};
use crate::domain::ids::{JobId, VertexId};
use crate::sim::checkpoints::Kind as SnapshotKind;
use crate::sim::cluster::Progress;
use crate::sim::job::{Bounds, Restore};
use crate::sim::kubernetes::ApiServer;
use crate::sim::kubernetes::kinds::Kind;
use crate::sim::kubernetes::store::{Key, Part, Write};
use crate::sim::world::TriggerOptions;

/// The marker in `upgradeSavepointPath` for "from the HA metadata".
const LAST_STATE: &str = "KUBERNETES_OPERATOR_LAST_STATE";
/// Component names in events.
const JMD: &str = "JobManagerDeployment";
const JOB: &str = "Job";
const OPERATOR: &str = "Operator";

/// What follows when a job has been stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    Upgrade,
    Suspend,
    Redeploy,
}

/// What is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// Nothing: observe and compare.
    Steady,
    /// A savepoint that stops the job; the loop waits for it.
    Stopping { trigger: u128, plan: Plan },
    /// The job is cancelled through REST.
    Cancelling { plan: Plan },
    /// The cluster is being deleted; the loop waits for it.
    Tearing { until: i64, plan: Plan },
    /// Deployed anew from a given savepoint in the next loop.
    Redeploying,
    /// The resource is being deleted.
    Deleting { until: i64 },
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
    phase: Phase,
    ready_at: Option<i64>,
    announced: i64,
    restore: Option<String>,
    upgrade_mode: String,
    exceptions_until: i64,
}

/// What the world says of a subject's cluster and job.
#[derive(Debug, Default)]
struct View {
    cluster: bool,
    up: bool,
    job: Option<JobView>,
    task_managers: usize,
    version: String,
    cpu: f64,
    memory: u64,
}

#[derive(Debug)]
struct JobView {
    state: &'static str,
    terminal: bool,
    running: bool,
    name: String,
    start_time: i64,
    root_failure: Option<String>,
    exceptions: Vec<(i64, String, Option<String>)>,
    restore_point: Option<String>,
    requirements: BTreeMap<VertexId, Bounds>,
    state_size: u64,
}

impl Subject {
    pub(super) fn new(key: Key, uid: String, now: i64) -> Self {
        let status = Status::fresh(key.kind == Kind::FlinkDeployment);
        Self {
            key,
            uid,
            status,
            due: now,
            seen_generation: 0,
            phase: Phase::Steady,
            ready_at: None,
            announced: 0,
            restore: None,
            upgrade_mode: "stateless".to_owned(),
            exceptions_until: now,
        }
    }

    /// A resource that has been running for long: as the scenario says its jobs have.
    pub(super) fn adopted(key: Key, uid: String, object: &Value, job: Option<JobId>, now: i64) -> Self {
        let mut subject = Self::new(key, uid, now);
        let spec = spec::complete(subject.key.kind, &object["spec"]);
        let status = &mut subject.status;
        status.reconcile_state = "DEPLOYED";
        status.job_id = job;
        status.record(&spec, false, now);
        status.mark_stable();
        status.observed_generation = object.pointer("/metadata/generation").and_then(Value::as_i64);
        if status.job_manager.is_some() {
            status.job_manager = Some("READY");
        }
        subject.seen_generation = status.observed_generation.unwrap_or_default();
        subject
    }

    /// The subject has a cluster of its own.
    fn owns_cluster(&self) -> bool {
        self.key.kind == Kind::FlinkDeployment
    }

    /// The name of its cluster in the world.
    pub(super) fn cluster<'a>(&'a self, spec: &'a Value) -> &'a str {
        if self.owns_cluster() { &self.key.name } else { spec::text(spec, "/deploymentName").unwrap_or_default() }
    }

    fn say(&self, around: &Around<'_>, event: &Event) {
        emit(around.server, &self.key, &self.uid, event);
    }

    /// One loop. False when the resource is gone.
    pub(super) fn turn(&mut self, around: &Around<'_>, object: &Value) -> bool {
        let spec = spec::complete(self.key.kind, &object["spec"]);
        let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
        self.seen_generation = generation;
        if object.pointer("/metadata/deletionTimestamp").is_some() {
            let stays = self.delete(around, &spec);
            self.due = around.now + around.timing.progress;
            return stays;
        }
        self.hold(around, object);
        match self.phase.clone() {
            Phase::Steady => {
                self.observe(around, &spec);
                self.reconcile(around, &spec, generation);
            }
            Phase::Stopping { trigger, plan } => self.stopping(around, &spec, generation, trigger, plan),
            Phase::Cancelling { plan } => self.cancelling(around, &spec, plan),
            Phase::Tearing { until, plan } if around.now >= until => self.torn(around, &spec, generation, plan),
            Phase::Redeploying => self.redeploy(around, &spec, generation),
            Phase::Tearing { .. } | Phase::Deleting { .. } => {}
        }
        self.write(around, spec["job"].is_object());
        self.due = around.now + self.delay(around.timing);
        true
    }

    /// Time to the next loop (`operator.md` §2.4).
    fn delay(&self, timing: &Timing) -> i64 {
        match &self.phase {
            Phase::Steady if self.status.reconcile_state == "UPGRADING" && self.status.last_reconciled.is_some() => {
                timing.immediately
            }
            Phase::Steady => match self.status.job_manager {
                Some("DEPLOYING") => timing.progress,
                Some("DEPLOYED_NOT_READY") => timing.rest_delay,
                _ => timing.reconcile,
            },
            Phase::Redeploying => timing.immediately,
            _ => timing.poll,
        }
    }

    /// The finalizer keeps the resource until its cluster is gone.
    fn hold(&self, around: &Around<'_>, object: &Value) {
        let finalizer = format!("{}/finalizer", self.key.kind.resource());
        let held = object
            .pointer("/metadata/finalizers")
            .and_then(Value::as_array)
            .is_some_and(|f| f.contains(&json!(finalizer)));
        if !held {
            self.set_finalizers(around, &json!([finalizer]));
        }
    }

    fn set_finalizers(&self, around: &Around<'_>, finalizers: &Value) {
        let set = around.server.with_store(|store, now| {
            store.update(&self.key, Part::Main, now, Write::Real, |object| {
                object["metadata"]["finalizers"] = finalizers.clone();
                Ok(())
            })
        });
        if let Err(failure) = set {
            tracing::debug!("finalizers were not written: {}", failure.message);
        }
    }

    fn write(&self, around: &Around<'_>, has_job: bool) {
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

    fn view(&self, around: &Around<'_>, spec: &Value) -> View {
        let name = self.cluster(spec).to_owned();
        let id = self.status.job_id;
        around.server.world().with(|world| {
            let Some(cluster) = world.cluster(&name) else { return View::default() };
            let job = id.and_then(|id| cluster.job(id)).map(|job| JobView {
                state: match job.status.name() {
                    // Reported as RUNNING only when every task runs.
                    "RUNNING" if !job.all_running() => "CREATED",
                    other => other,
                },
                terminal: job.status.is_terminal(),
                running: job.all_running(),
                name: job.name().to_owned(),
                start_time: job.start_time,
                root_failure: job.root_failure.as_ref().map(|(_, trace)| trace.clone()),
                exceptions: job
                    .failures
                    .iter()
                    .map(|f| (f.at, f.trace.clone(), f.task.as_ref().map(|t| t.name.clone())))
                    .collect(),
                restore_point: job.checkpoints.restore_point().map(|(path, ..)| path),
                requirements: job.graph.vertices.iter().map(|n| n.id).zip(job.requirements.iter().copied()).collect(),
                state_size: job
                    .checkpoints
                    .completed
                    .as_ref()
                    .map_or(0, |c| c.sum(world.now(), |part| part.state_size)),
            });
            View {
                cluster: true,
                up: cluster.is_up(),
                job,
                task_managers: cluster.taskmanagers.iter().filter(|t| t.lost.is_none()).count(),
                version: cluster.spec.version.to_string(),
                cpu: cluster.spec.taskmanagers.cpu,
                memory: cluster.spec.taskmanagers.memory,
            }
        })
    }

    fn observe(&mut self, around: &Around<'_>, spec: &Value) {
        if self.status.last_reconciled.is_none() || self.status.reconcile_state == "UPGRADING" {
            return;
        }
        let view = self.view(around, spec);
        let has_job = spec["job"].is_object();
        if self.owns_cluster() {
            self.observe_job_manager(around, &view);
        }
        let suspended = self.recorded_state() == "suspended";
        let reachable = if self.owns_cluster() { self.status.job_manager == Some("READY") } else { view.up };
        if has_job && !suspended && (self.owns_cluster() || reachable) {
            match &view.job {
                Some(job) if reachable => self.observe_job(around, job),
                None if reachable && !self.owns_cluster() => {
                    self.set_state(around, "RECONCILING");
                    if self.status.error.as_deref() != Some("Job Not Found") {
                        self.status.error = Some("Job Not Found".to_owned());
                        self.say(around, &Event::warning("Missing", JOB, "Job Not Found"));
                    }
                }
                _ if self.status.job_state == Some("RUNNING") || self.status.job_state == Some("CREATED") => {
                    self.set_state(around, "RECONCILING");
                }
                _ => {}
            }
        }
        if self.owns_cluster() && self.status.job_manager == Some("READY") {
            self.observe_cluster(spec, &view);
        }
        let proven = if has_job { self.status.job_state == Some("RUNNING") } else { reachable };
        if proven && self.status.reconcile_state == "DEPLOYED" && !suspended {
            self.status.mark_stable();
        }
        // A deployment forgets an error when all is well again; a session job keeps it (`operator.md` §1.10).
        let well = self.status.job_manager != Some("ERROR")
            && self.status.job_state != Some("FAILED")
            && self.status.is_stable();
        if self.owns_cluster() && well {
            self.status.error = None;
        }
    }

    fn observe_job_manager(&mut self, around: &Around<'_>, view: &View) {
        let next = match (view.cluster, view.up, self.status.job_manager) {
            (false, ..) => "MISSING",
            (true, false, _) => "DEPLOYING",
            (true, true, Some("READY")) => "READY",
            (true, true, Some("DEPLOYED_NOT_READY")) => {
                if self.ready_at.is_none_or(|at| around.now >= at) {
                    "READY"
                } else {
                    "DEPLOYED_NOT_READY"
                }
            }
            (true, true, _) => {
                self.ready_at = Some(around.now + around.timing.rest_delay);
                "DEPLOYED_NOT_READY"
            }
        };
        self.status.job_manager = Some(next);
    }

    fn observe_job(&mut self, around: &Around<'_>, job: &JobView) {
        self.status.job_name = Some(job.name.clone());
        self.status.start_time = Some(job.start_time);
        for (at, trace, task) in job.exceptions.iter().filter(|(at, ..)| *at > self.exceptions_until).take(10) {
            let lines: Vec<&str> = trace.lines().take(5).collect();
            let task = task.as_ref().map_or(String::new(), |t| format!("{t}: "));
            self.say(around, &Event::warning("JobException", JOB, format!("{task}{}", lines.join("\n"))));
            tracing::trace!(at, "an exception of a job became an event");
        }
        let newest = job.exceptions.iter().map(|(at, ..)| *at).max().unwrap_or(self.exceptions_until);
        self.exceptions_until = self.exceptions_until.max(newest);
        let failed_now = job.state == "FAILED" && self.status.job_state != Some("FAILED");
        self.set_state(around, job.state);
        if job.state == "FAILED" && (failed_now || self.status.error.is_none()) {
            let given = job.root_failure.as_deref().unwrap_or("org.apache.flink.util.FlinkException: The job failed.");
            let mut causes = causes_of(given);
            // Recovery that is suppressed names no cause itself: the last exception is it.
            if let (1, Some((_, trace, _))) = (causes.len(), job.exceptions.iter().max_by_key(|(at, ..)| *at)) {
                causes.extend(causes_of(trace).into_iter().filter(|c| !given.starts_with(c.as_str())));
            }
            let class = "org.apache.flink.util.SerializedThrowable";
            let list: Vec<(&str, &str)> = match causes.as_slice() {
                [only] => vec![(class, only.as_str())],
                all => all.iter().take(1).chain(all.last()).map(|c| (class, c.as_str())).collect(),
            };
            let outer = causes.first().map_or("", String::as_str);
            self.status.error = Some(error_document(class, outer, &list));
            if failed_now {
                self.say(around, &Event::warning("Error", JOB, causes.join(" -> ")));
            }
        }
    }

    fn observe_cluster(&mut self, spec: &Value, view: &View) {
        let cpu = spec.pointer("/jobManager/resource/cpu").and_then(Value::as_f64).unwrap_or(1.0);
        let memory = spec::text(spec, "/jobManager/resource/memory").and_then(spec::bytes).unwrap_or(2 << 30);
        let info = &mut self.status.cluster_info;
        let tms = view.task_managers as u64;
        info.insert("flink-version", view.version.clone());
        info.insert("flink-revision", "embedded @ 2025-01-01T00:00:00+00:00".to_owned());
        info.insert("total-cpu", format!("{:?}", cpu + view.cpu * tms as f64));
        info.insert("total-memory", (memory + view.memory * tms).to_string());
        if let Some(job) = &view.job {
            info.insert("state-size", job.state_size.to_string());
        }
        let slots = spec::configuration(spec)
            .get("taskmanager.numberOfTaskSlots")
            .and_then(|s| s.parse().ok())
            .unwrap_or(1_u64);
        let parallelism = spec.pointer("/job/parallelism").and_then(Value::as_u64).unwrap_or_default();
        if spec["job"].is_object() {
            self.status.selector = format!("component=taskmanager,app={}", self.key.name);
            self.status.replicas = parallelism.div_ceil(slots.max(1));
        }
    }

    fn set_state(&mut self, around: &Around<'_>, state: &'static str) {
        if self.status.job_state == Some(state) {
            return;
        }
        // Losing sight of a job is not a change of the job.
        if state != "RECONCILING" {
            let message = match self.status.job_state {
                Some(before) => format!("Job status changed from {before} to {state}"),
                None => format!("Job status changed to {state}"),
            };
            self.say(around, &Event::normal("JobStatusChanged", JOB, message));
        }
        self.status.job_state = Some(state);
        self.status.update_time = Some(around.now);
    }

    fn recorded_state(&self) -> String {
        let recorded = self.status.recorded_spec().unwrap_or_default();
        spec::text(&recorded, "/job/state").unwrap_or("running").to_owned()
    }

    fn reconcile(&mut self, around: &Around<'_>, spec: &Value, generation: i64) {
        let wants_suspended = spec::text(spec, "/job/state") == Some("suspended");
        let Some(recorded) = self.status.recorded_spec() else {
            if !wants_suspended {
                self.begin(around, spec, generation);
            }
            return;
        };
        if self.status.reconcile_state == "UPGRADING" {
            if !wants_suspended {
                self.deploy(around, spec, generation);
            }
            return;
        }
        let diff = Diff::between(&recorded, spec);
        let Some(class) = diff.class().filter(|c| *c != Class::Ignore) else {
            self.status.observed_generation = Some(generation);
            return;
        };
        if self.announced != generation {
            self.announced = generation;
            self.say(around, &Event::normal("SpecChanged", JMD, diff.message(self.key.kind)));
        }
        match class {
            Class::Scale if self.scale(around, spec, generation, &diff) => {}
            Class::Ignore => {}
            Class::Scale | Class::Upgrade => {
                let plan = if wants_suspended { Plan::Suspend } else { Plan::Upgrade };
                self.stop(around, spec, generation, plan);
            }
            Class::SavepointRedeploy => {
                let path = spec::text(spec, "/job/initialSavepointPath").unwrap_or_default();
                if path.trim().is_empty() && self.owns_cluster() {
                    let why = "InitialSavepoint path must not be empty for savepoint redeploy";
                    let class = "org.apache.flink.kubernetes.operator.exception.ValidationException";
                    self.status.error = Some(error_document(class, why, &[]));
                    self.say(around, &Event::warning("ValidationError", OPERATOR, why));
                    return;
                }
                self.restore = Some(path.to_owned()).filter(|p| !p.is_empty());
                self.cancel(around, spec);
                self.phase = if self.owns_cluster() {
                    Phase::Tearing { until: around.now + around.timing.teardown, plan: Plan::Redeploy }
                } else {
                    Phase::Redeploying
                };
            }
        }
    }

    /// First deployment: recorded as suspended, deployed in the next loop.
    fn begin(&mut self, around: &Around<'_>, spec: &Value, generation: i64) {
        if spec["job"].is_object() && around.blueprints.job(spec).is_none() {
            let jar = spec::text(spec, "/job/jarURI").unwrap_or_default();
            let why = format!("java.io.FileNotFoundException: {jar}: the embedded cluster has no such program");
            let class = "org.apache.flink.kubernetes.operator.exception.ReconciliationException";
            let document = error_document(class, &why, &[]);
            if self.status.error.as_ref() != Some(&document) {
                self.say(around, &Event::warning("Error", JMD, why));
            }
            self.status.error = Some(document);
            return;
        }
        let path = spec::text(spec, "/job/initialSavepointPath");
        self.restore = path.map(str::to_owned);
        self.upgrade_mode = if path.is_some() { "savepoint" } else { "stateless" }.to_owned();
        self.status.record(&self.between(spec), true, around.now);
        self.status.observed_generation = Some(generation);
        self.status.error = None;
    }

    /// The spec as recorded between suspend and deployment.
    fn between(&self, spec: &Value) -> Value {
        let mut recorded = spec.clone();
        if recorded["job"].is_object() {
            recorded["job"]["state"] = "suspended".into();
            recorded["job"]["upgradeMode"] = self.upgrade_mode.as_str().into();
        }
        recorded
    }

    /// Rescales in place if all conditions hold (`operator.md` §7.3).
    fn scale(&mut self, around: &Around<'_>, spec: &Value, generation: i64, diff: &Diff) -> bool {
        let view = self.view(around, spec);
        let (Some(job), Some(id)) = (&view.job, self.status.job_id) else { return false };
        let config = spec::configuration(spec);
        let allowed =
            config.get("kubernetes.operator.job.upgrade.inplace-scaling.enabled").is_none_or(|v| v != "false");
        let standalone = spec::text(spec, "/mode") == Some("standalone");
        if !allowed
            || standalone
            || job.terminal
            || self.status.job_state == Some("RECONCILING")
            || diff.removes_overrides()
        {
            return false;
        }
        let wanted = config.get(spec::OVERRIDES).map(|m| spec::overrides(m)).unwrap_or_default();
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
        self.status.record(spec, false, around.now);
        self.status.observed_generation = Some(generation);
        true
    }

    fn cancel(&self, around: &Around<'_>, spec: &Value) {
        let (name, id) = (self.cluster(spec).to_owned(), self.status.job_id);
        around.server.world().with(|world| id.and_then(|id| world.cancel(&name, id)));
    }

    /// Begins to stop the job, keeping its state as the upgrade mode says.
    fn stop(&mut self, around: &Around<'_>, spec: &Value, generation: i64, plan: Plan) {
        let tearing = Phase::Tearing { until: around.now + around.timing.teardown, plan };
        if !spec["job"].is_object() {
            self.phase = tearing;
            return;
        }
        if self.recorded_state() == "suspended" {
            // It is stopped already; what it restores from was recorded then.
            if plan == Plan::Suspend {
                self.status.record(spec, false, around.now);
                self.status.mark_stable();
                self.status.observed_generation = Some(generation);
            } else {
                self.phase = if self.owns_cluster() { tearing } else { self.upgrading(around, spec, generation) };
            }
            return;
        }
        let view = self.view(around, spec);
        if self.owns_cluster() && view.cluster && !view.up {
            // The JobManager is on its way: its job cannot be asked, and what it wrote cannot be known.
            return;
        }
        let mode = spec::text(spec, "/job/upgradeMode").unwrap_or("stateless").to_owned();
        self.say(around, &Event::normal("Suspended", JMD, "Suspending existing deployment."));
        let running = view.job.as_ref().is_some_and(|j| j.running);
        let point = view.job.as_ref().and_then(|j| j.restore_point.clone());
        let terminal = view.job.as_ref().is_none_or(|j| j.terminal);
        match mode.as_str() {
            "stateless" => {
                self.restore = None;
                self.upgrade_mode = mode;
                self.cancel(around, spec);
                self.phase = if self.owns_cluster() { tearing } else { Phase::Cancelling { plan } };
            }
            "savepoint" if running => {
                let (name, id) = (self.cluster(spec).to_owned(), self.status.job_id);
                let trigger = around.server.world().with(|world| {
                    id.and_then(|id| world.trigger(&name, id, SnapshotKind::SyncSavepoint, TriggerOptions::default()))
                });
                self.upgrade_mode = mode;
                if let Some(trigger) = trigger {
                    self.phase = Phase::Stopping { trigger, plan };
                }
            }
            _ => {
                self.restore = point;
                self.upgrade_mode = "last-state".to_owned();
                let ha = spec::configuration(spec)
                    .get("high-availability.type")
                    .is_some_and(|t| t.to_lowercase() == "kubernetes");
                if self.owns_cluster() && (ha || terminal) {
                    self.status.upgrade_savepoint_path =
                        if ha { Some(LAST_STATE.to_owned()) } else { self.restore.clone() };
                    self.phase = tearing;
                } else {
                    self.status.upgrade_savepoint_path.clone_from(&self.restore);
                    if !terminal {
                        self.cancel(around, spec);
                        self.set_state(around, "CANCELLING");
                    }
                    self.status.reconcile_state = "UPGRADING";
                    self.phase = Phase::Cancelling { plan };
                }
            }
        }
    }

    /// Waits for the savepoint that stops the job.
    fn stopping(&mut self, around: &Around<'_>, spec: &Value, generation: i64, trigger: u128, plan: Plan) {
        let name = self.cluster(spec).to_owned();
        let progress = around.server.world().with(|world| world.operation(&name, trigger).map(|o| o.progress.clone()));
        match progress {
            Some(Progress::InProgress) => {}
            Some(Progress::Savepoint(path)) => {
                self.restore = Some(path.clone());
                self.status.upgrade_savepoint_path = Some(path);
                self.set_state(around, "FINISHED");
                self.status.error = None;
                (self.status.selector, self.status.replicas) = (String::new(), 0);
                self.phase = match plan {
                    Plan::Suspend => self.suspended(around, spec, generation),
                    _ => {
                        let next = self.upgrading(around, spec, generation);
                        if self.owns_cluster() {
                            Phase::Tearing { until: around.now + around.timing.teardown, plan }
                        } else {
                            next
                        }
                    }
                };
            }
            failed => {
                let why = match failed {
                    Some(Progress::Failed(class, message)) => format!("{class}: {message}"),
                    _ => "the savepoint was lost with its JobManager".to_owned(),
                };
                let class = "org.apache.flink.kubernetes.operator.exception.UpgradeFailureException";
                self.status.error = Some(error_document(class, &format!("Savepoint Error -> {why}"), &[]));
                self.say(around, &Event::warning("SavepointError", JMD, format!("Savepoint Error -> {why}")));
                self.phase = Phase::Steady;
            }
        }
    }

    /// Waits until the job is cancelled.
    fn cancelling(&mut self, around: &Around<'_>, spec: &Value, plan: Plan) {
        let view = self.view(around, spec);
        if view.job.as_ref().is_some_and(|j| !j.terminal) {
            return;
        }
        self.set_state(around, view.job.as_ref().map_or("CANCELED", |j| j.state));
        self.phase = Phase::Tearing { until: around.now, plan };
        if self.owns_cluster() {
            self.phase = Phase::Tearing { until: around.now + around.timing.teardown, plan };
        }
    }

    /// The cluster (of a session job: its job) is gone.
    fn torn(&mut self, around: &Around<'_>, spec: &Value, generation: i64, plan: Plan) {
        if self.owns_cluster() {
            let name = self.key.name.clone();
            around.server.world().with(|world| world.delete_cluster(&name));
            self.status.job_manager = Some("MISSING");
            (self.status.selector, self.status.replicas) = (String::new(), 0);
        }
        if spec["job"].is_object() && !matches!(self.status.job_state, Some("FAILED" | "CANCELED" | "FINISHED")) {
            self.status.job_state = Some("FINISHED");
            self.status.update_time = Some(around.now);
        }
        self.phase = match plan {
            Plan::Upgrade => self.upgrading(around, spec, generation),
            Plan::Suspend => self.suspended(around, spec, generation),
            Plan::Redeploy => {
                self.status.upgrade_savepoint_path.clone_from(&self.restore);
                Phase::Redeploying
            }
        };
    }

    /// Stopped, to be deployed in the next loop.
    fn upgrading(&mut self, around: &Around<'_>, spec: &Value, generation: i64) -> Phase {
        self.status.reconcile_state = "UPGRADING";
        self.status.error = None;
        self.status.record(&self.between(spec), false, around.now);
        self.status.observed_generation = Some(generation);
        Phase::Steady
    }

    /// Stopped, to stay so.
    fn suspended(&mut self, around: &Around<'_>, spec: &Value, generation: i64) -> Phase {
        self.status.reconcile_state = "DEPLOYED";
        self.status.error = None;
        if !self.owns_cluster() {
            self.status.job_id = None;
        }
        self.status.record(&self.between(spec), false, around.now);
        self.status.mark_stable();
        self.status.observed_generation = Some(generation);
        Phase::Steady
    }

    fn redeploy(&mut self, around: &Around<'_>, spec: &Value, generation: i64) {
        self.phase = Phase::Steady;
        self.upgrade_mode = "savepoint".to_owned();
        self.deploy(around, spec, generation);
        if self.status.error.is_none() {
            // Stable at once: no automatic rollback after a redeploy (`operator.md` §3.2).
            self.status.mark_stable();
        }
    }

    /// Creates the cluster (of a session job: nothing) and submits the job.
    fn deploy(&mut self, around: &Around<'_>, spec: &Value, generation: i64) {
        let (owns, name) = (self.owns_cluster(), self.cluster(spec).to_owned());
        let first = self.status.last_stable.is_none();
        let blueprint = around.blueprints.cluster(&name);
        let program = if spec["job"].is_object() { around.blueprints.job(spec).cloned() } else { None };
        if !owns && !around.server.world().with(|w| w.cluster(&name).is_some_and(crate::sim::cluster::Cluster::is_up)) {
            return;
        }
        let event = Event::normal("Submit", if owns { JMD } else { JOB }, "Starting deployment");
        self.say(around, &event);
        let restore = self.restore.clone();
        let outcome = around.server.world().with(|world| {
            if owns {
                world.delete_cluster(&name);
                world.create_cluster(spec::cluster(&name, spec, &blueprint), false)?;
            }
            match &program {
                None => Ok(None),
                Some(program) => {
                    let restore = restore.as_ref().map_or(Restore::Nothing, |path| world.restore_from(path));
                    world.submit(&name, program.clone(), &spec::parallelism(spec, program), restore).map(Some)
                }
            }
        });
        match outcome {
            Ok(id) => {
                self.status.job_id = id;
                if id.is_some() {
                    self.status.job_state = Some("RECONCILING");
                    self.status.update_time = Some(around.now);
                }
                if owns {
                    self.status.job_manager = Some("DEPLOYING");
                    self.ready_at = None;
                }
                self.status.reconcile_state = "DEPLOYED";
                self.status.error = None;
                let mut recorded = spec.clone();
                if recorded["job"].is_object() {
                    recorded["job"]["upgradeMode"] = self.upgrade_mode.as_str().into();
                }
                self.status.record(&recorded, first, around.now);
                self.status.observed_generation = Some(generation);
                self.exceptions_until = around.now;
            }
            Err(why) => {
                let class = "org.apache.flink.kubernetes.operator.exception.ReconciliationException";
                self.say(around, &Event::warning("Error", if owns { JMD } else { JOB }, why.clone()));
                self.status.error = Some(error_document(class, &why, &[]));
            }
        }
    }

    /// A step of the deletion; false when the resource is gone (`operator.md` §5).
    fn delete(&mut self, around: &Around<'_>, spec: &Value) -> bool {
        let Phase::Deleting { until } = self.phase else {
            self.say(around, &Event::normal("Cleanup", OPERATOR, format!("Cleaning up {}", self.key.kind.info().name)));
            if let Some(blocking) = self.blocking_jobs(around, spec) {
                let why = format!("The session jobs [{}] should be deleted first", blocking.join(", "));
                self.say(around, &Event::warning("CleanupFailed", OPERATOR, why));
                return true;
            }
            self.cancel(around, spec);
            self.phase = Phase::Deleting { until: around.now + around.timing.teardown };
            return true;
        };
        if around.now < until {
            return true;
        }
        if self.owns_cluster() {
            let name = self.key.name.clone();
            around.server.world().with(|world| world.delete_cluster(&name));
        }
        self.set_finalizers(around, &json!([]));
        false
    }

    fn blocking_jobs(&self, around: &Around<'_>, spec: &Value) -> Option<Vec<String>> {
        if !self.owns_cluster() || spec["job"].is_object() {
            return None;
        }
        let names: Vec<String> = around.server.with_store(|store, _| {
            store
                .list(Kind::FlinkSessionJob, &self.key.namespace)
                .filter(|(_, job)| spec::text(job, "/spec/deploymentName") == Some(&self.key.name))
                .map(|(key, _)| key.name.clone())
                .collect()
        });
        (!names.is_empty()).then_some(names)
    }
}
