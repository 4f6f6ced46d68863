//! What a loop sees first: JobManager, job, cluster (`operator.md` §1.5–§1.10, §2.4).

use serde_json::Value;

use super::events::Event;
use super::spec;
use super::status::{Trouble, causes_of};
use super::subject::{Around, JMD, JOB, Subject};
use super::view::{JobView, View};

/// Exceptions that become events in one loop.
const EXCEPTIONS: usize = 10;
/// Lines of a stack trace in such an event.
const LINES: usize = 5;

impl Subject {
    pub(super) fn observe(&mut self, around: &Around<'_>, spec: &Value) {
        let cancelling = self.status.job_state == Some("CANCELLING");
        if self.status.last_reconciled.is_none() || (self.status.reconcile_state == "UPGRADING" && !cancelling) {
            return;
        }
        let view = self.view(around, spec);
        let has_job = spec["job"].is_object();
        if self.owns_cluster() {
            self.observe_job_manager(around, spec, &view);
        } else if !self.session_is_ready(around, spec) {
            // While the cluster is not ready its jobs are not looked at.
            return;
        }
        let suspended = self.recorded_state() == "suspended" && !cancelling;
        let reachable = view.rest && (!self.owns_cluster() || self.status.job_manager == Some("READY"));
        if has_job && !suspended && reachable {
            match &view.job {
                Some(job) => self.observe_job(around, job),
                None if !self.owns_cluster() && !self.status.job_is_terminal() => self.job_not_found(around, spec),
                None => {}
            }
        }
        if self.owns_cluster() && self.status.job_manager == Some("READY") && view.rest {
            self.observe_cluster(around, spec, &view);
        }
        if has_job && !suspended {
            self.observe_snapshots(around, spec);
            self.keep_ha(around, spec);
        }
        let proven = if has_job { self.status.job_state == Some("RUNNING") } else { reachable };
        if proven && !suspended {
            match self.status.reconcile_state {
                "DEPLOYED" => self.status.mark_stable(),
                "ROLLING_BACK" => self.status.reconcile_state = "ROLLED_BACK",
                _ => {}
            }
        }
        // A deployment forgets an error when all is well again; a session job keeps it (`operator.md` §1.10).
        let well = self.status.job_manager != Some("ERROR")
            && self.status.job_state != Some("FAILED")
            && self.status.is_stable();
        if self.owns_cluster() && well {
            self.status.error = None;
        }
    }

    /// Sticky: while it is READY only a REST call that fails makes the operator look at the Deployment.
    fn observe_job_manager(&mut self, around: &Around<'_>, spec: &Value, view: &View) {
        let before = self.status.job_manager;
        if before == Some("READY") && view.rest {
            return;
        }
        let suspended = self.recorded_state() == "suspended";
        if before == Some("READY")
            && matches!(self.status.job_state, Some(s) if !self.status.job_is_terminal() && s != "RECONCILING")
        {
            // Losing sight of a job is not a change of the job: no event.
            self.status.job_state = Some("RECONCILING");
            self.status.update_time = Some(around.now);
        }
        let next = if !view.cluster {
            "MISSING"
        } else if before == Some("DEPLOYED_NOT_READY") && view.available {
            if self.ready_at.is_none_or(|at| around.now >= at) { "READY" } else { "DEPLOYED_NOT_READY" }
        } else if view.available {
            self.has_started = true;
            self.ready_at = Some(around.now + around.timing.rest_delay);
            "DEPLOYED_NOT_READY"
        } else if view.trouble.is_some() {
            "ERROR"
        } else {
            "DEPLOYING"
        };
        self.status.job_manager = Some(next);
        if next == "ERROR" && before != Some("ERROR") {
            let (reason, message) = view.trouble.clone().unwrap_or_default();
            let error = Trouble {
                class: "DeploymentFailedException",
                message: &message,
                reason: Some(&reason),
                ..Trouble::default()
            };
            self.status.error = Some(error.document());
            self.say(around, &Event::warning(reason, JMD, message));
        }
        if next == "MISSING" && before != Some("MISSING") && !suspended && !self.status.job_is_terminal() {
            let why = "Missing JobManager deployment";
            let error = Trouble { class: "MissingJobManagerException", message: why, ..Trouble::default() };
            self.status.error = Some(error.document());
            self.say(around, &Event::warning("Missing", JMD, why));
            if spec["job"].is_object() {
                self.status.assume("RECONCILING");
            }
        }
    }

    fn job_not_found(&mut self, around: &Around<'_>, spec: &Value) {
        if self.status.job_state == Some("CANCELLING") {
            self.set_state(around, "CANCELED");
            return;
        }
        let text = if around.timing.release.snapshots() { "Job Not Found" } else { "Missing Session Job" };
        if !around.timing.release.snapshots() && self.options(around, spec).ha() {
            return;
        }
        self.status.job_state = Some("RECONCILING");
        if self.status.error.as_deref() != Some(text) {
            self.status.error = Some(text.to_owned());
            self.say(around, &Event::warning("Missing", JOB, text));
        }
    }

    fn observe_job(&mut self, around: &Around<'_>, job: &JobView) {
        self.status.job_name = Some(job.name.clone());
        self.status.start_time = Some(job.start_time);
        if let Some(checkpoint) = &job.checkpoint {
            self.ha_checkpoint = Some(checkpoint.clone());
        }
        self.tell_exceptions(around, job);
        let was = self.status.job_state;
        self.set_state(around, job.state);
        if job.terminal && was != Some(job.state) {
            if let Some(path) =
                job.restore_point.clone().filter(|_| self.upgrade_mode != "stateless" || was != Some("CANCELLING"))
            {
                self.status.upgrade_savepoint_path = Some(path);
            }
            if job.state == "CANCELED" && was != Some("CANCELLING") && around.timing.release.snapshots() {
                self.cancelled_elsewhere(around);
            }
        }
        if job.state == "FAILED" && (was != Some("FAILED") || self.status.error.is_none()) {
            self.job_failed(around, job, was != Some("FAILED"));
        }
    }

    /// It counts as suspended, so that the same loop starts it again (`operator.md` §4.4).
    fn cancelled_elsewhere(&mut self, around: &Around<'_>) {
        let Some(mut recorded) = self.status.recorded_spec() else { return };
        recorded["job"]["state"] = "suspended".into();
        let (first, generation) = (self.status.first_deployment(), self.status.observed_generation.unwrap_or_default());
        self.status.record(&recorded, first, generation, around.now);
    }

    fn job_failed(&mut self, around: &Around<'_>, job: &JobView, now: bool) {
        let given = job.root_failure.as_deref().unwrap_or("org.apache.flink.util.FlinkException: The job failed.");
        let mut causes = causes_of(given);
        // Recovery that is suppressed names no cause itself: the last exception is it.
        if let (1, Some(last)) = (causes.len(), job.exceptions.iter().max_by_key(|f| f.at)) {
            causes.extend(causes_of(&last.trace).into_iter().filter(|c| !given.starts_with(c.as_str())));
        }
        let outer = causes.first().map_or("", String::as_str).to_owned();
        let error = Trouble { message: &outer, causes: &causes, ..Trouble::default() };
        self.status.error = Some(Trouble { class: "org.apache.flink.util.SerializedThrowable", ..error }.document());
        if now && around.timing.release.job_exceptions() {
            let told: Vec<String> = causes.iter().take(3).cloned().collect();
            self.say(around, &Event::warning("Error", JOB, told.join(" -> ")));
        }
    }

    fn tell_exceptions(&mut self, around: &Around<'_>, job: &JobView) {
        let fresh = job.exceptions.iter().filter(|f| f.at > self.exceptions_until);
        if around.timing.release.job_exceptions() {
            for failure in fresh.take(EXCEPTIONS) {
                let lines: Vec<&str> = failure.trace.lines().take(LINES).collect();
                let at = chrono::DateTime::from_timestamp_millis(failure.at).unwrap_or_default();
                let mut event = Event::warning("JobException", JOB, lines.join("\n"));
                event.annotate("exception-timestamp", at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
                if let Some(task) = &failure.task {
                    event.annotate("task-name", task.name.clone());
                    event.annotate("endpoint", task.endpoint.clone());
                    event.annotate("tm-id", task.taskmanager.clone());
                }
                self.say(around, &event);
            }
        }
        let newest = job.exceptions.iter().map(|f| f.at).max().unwrap_or(self.exceptions_until);
        self.exceptions_until = self.exceptions_until.max(newest);
    }

    fn observe_cluster(&mut self, around: &Around<'_>, spec: &Value, view: &View) {
        let cpu = spec.pointer("/jobManager/resource/cpu").and_then(Value::as_f64).unwrap_or(1.0);
        let replicas = spec.pointer("/jobManager/replicas").and_then(Value::as_u64).unwrap_or(1);
        let memory = spec::text(spec, "/jobManager/resource/memory").and_then(spec::bytes).unwrap_or(2 << 30);
        let info = &mut self.status.cluster_info;
        info.insert("flink-version", view.version.clone());
        info.insert("flink-revision", "embedded @ 2025-01-01T00:00:00+00:00".to_owned());
        info.insert("total-cpu", format!("{:?}", cpu * replicas as f64 + view.cpu * view.task_managers as f64));
        info.insert("total-memory", (memory * replicas + view.memory * view.task_managers).to_string());
        if let Some(job) = view.job.as_ref().filter(|_| around.timing.release.reset_nonce()) {
            info.insert("state-size", job.state_size.to_string());
        }
        let stopped = self.status.job_is_terminal() || self.status.reconcile_state == "UPGRADING";
        if spec["job"].is_object() && !stopped {
            self.expect_task_managers();
        }
    }

    /// The TaskManagers that the recorded spec should have: computed, not observed.
    pub(super) fn expect_task_managers(&mut self) {
        let recorded = self.status.recorded_spec().unwrap_or_default();
        if !recorded["job"].is_object() {
            return;
        }
        let slots = spec::configuration(&recorded).get("taskmanager.numberOfTaskSlots").and_then(|s| s.parse().ok());
        let parallelism = recorded.pointer("/job/parallelism").and_then(Value::as_u64).unwrap_or_default();
        let fixed = recorded.pointer("/taskManager/replicas").and_then(Value::as_u64);
        self.status.selector = format!("component=taskmanager,app={}", self.key.name);
        self.status.replicas = fixed.unwrap_or_else(|| parallelism.div_ceil(slots.unwrap_or(1_u64).max(1)));
    }

    pub(super) fn no_task_managers(&mut self) {
        (self.status.selector, self.status.replicas) = (String::new(), 0);
    }

    /// A state that was seen, with its event.
    pub(super) fn set_state(&mut self, around: &Around<'_>, state: &'static str) {
        if self.status.job_state == Some(state) {
            return;
        }
        let message = match self.status.job_state {
            Some(before) => format!("Job status changed from {before} to {state}"),
            None => format!("Job status changed to {state}"),
        };
        self.say(around, &Event::normal("JobStatusChanged", JOB, message));
        self.status.job_state = Some(state);
        self.status.update_time = Some(around.now);
    }
}
