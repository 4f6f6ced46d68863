//! The end of a resource: what blocks it, what is stopped first, and when its finalizer goes (`operator.md` §5).

use serde_json::Value;

use super::events::Event;
use super::spec;
use super::subject::{Around, OPERATOR, Phase, Plan, Subject};
use crate::domain::ids::JobId;
use crate::sim::kubernetes::kinds::Kind;

impl Subject {
    /// A loop of the deletion; false when the resource is gone.
    pub(super) fn delete(&mut self, around: &Around<'_>, object: &Value) -> bool {
        let spec = spec::complete(self.key.kind, &object["spec"]);
        self.say(around, &Event::normal("Cleanup", OPERATOR, format!("Cleaning up {}", self.key.kind.info().name)));
        self.observe(around, &spec);
        self.remember(&spec, object);
        if self.owns_cluster() { self.delete_deployment(around, &spec) } else { self.delete_session_job(around, &spec) }
    }

    fn delete_deployment(&mut self, around: &Around<'_>, spec: &Value) -> bool {
        if !spec["job"].is_object()
            && let Some(why) = self.blocked(around, spec)
        {
            self.say(around, &Event::warning("CleanupFailed", OPERATOR, why));
            return true;
        }
        if !self.status.job_is_terminal() && self.asks_for_savepoint(around, spec) {
            return self.savepoint_first(around, spec);
        }
        self.cancel(around, spec);
        self.tear_down(around, spec, Plan::Delete, false);
        true
    }

    fn asks_for_savepoint(&self, around: &Around<'_>, spec: &Value) -> bool {
        spec["job"].is_object()
            && self.status.last_reconciled.is_some()
            && self.options(around, spec).switch("job.savepoint-on-deletion", false)
    }

    /// A job that does not run blocks the deletion: nothing but the `Cleanup` event tells of it.
    fn savepoint_first(&mut self, around: &Around<'_>, spec: &Value) -> bool {
        if self.status.job_state != Some("RUNNING") {
            return true;
        }
        if let Some(trigger) = self.trigger_stop(around, spec) {
            self.phase = Phase::Stopping { trigger, deadline: around.now + 600_000, plan: Plan::Delete };
        }
        true
    }

    /// The savepoint of a deletion is there: a deployment's cluster goes by garbage collection and its HA metadata stay.
    pub(super) fn leave(&mut self, around: &Around<'_>, spec: &Value) {
        self.status.assume("FINISHED");
        self.phase = Phase::Steady;
        if self.owns_cluster() {
            self.tear_down(around, spec, Plan::Delete, true);
        }
    }

    fn delete_session_job(&mut self, around: &Around<'_>, spec: &Value) -> bool {
        let release = around.timing.release;
        let lost = self.status.error.as_deref() == Some("Job Not Found");
        let idle = self.status.last_reconciled.is_none()
            || self.status.job_is_terminal()
            || lost
            || self.status.job_id.is_none()
            || (self.recorded_state() == "suspended" && self.status.job_state != Some("CANCELLING"))
            || !self.session_exists(around, spec);
        if idle {
            self.release(around);
            return false;
        }
        if !self.session_is_ready(around, spec) {
            if release.conditions() && !self.options(around, spec).ha() {
                self.release(around);
                return false;
            }
            if !release.conditions() {
                self.say(around, &Event::warning("CleanupFailed", OPERATOR, "The session cluster is not ready"));
            }
            return true;
        }
        if self.asks_for_savepoint(around, spec) && self.status.job_state != Some("CANCELLING") {
            return self.savepoint_first(around, spec);
        }
        self.cancel(around, spec);
        if !release.snapshots() {
            self.release(around);
            return false;
        }
        self.status.assume("CANCELLING");
        self.status.deleting = true;
        self.write(around, true);
        true
    }

    fn session_exists(&self, around: &Around<'_>, spec: &Value) -> bool {
        let key = crate::sim::kubernetes::store::Key::new(
            Kind::FlinkDeployment,
            &self.key.namespace,
            spec::text(spec, "/deploymentName").unwrap_or_default(),
        );
        around.server.get(&key).is_some()
    }

    /// What keeps a session cluster (`operator.md` §5.3).
    fn blocked(&self, around: &Around<'_>, spec: &Value) -> Option<String> {
        let (release, options) = (around.timing.release, self.options(around, spec));
        if release.conditions() && !options.switch("session.deletion.block-on-session-jobs", true) {
            return None;
        }
        let names: Vec<String> = around.server.with_store(|store, _| {
            store
                .list(Kind::FlinkSessionJob, &self.key.namespace)
                .filter(|(_, job)| spec::text(job, "/spec/deploymentName") == Some(&self.key.name))
                .map(|(key, _)| key.name.clone())
                .collect()
        });
        if !names.is_empty() {
            return Some(format!("The session jobs [{}] should be deleted first", names.join(", ")));
        }
        let key = if release.conditions() {
            "session.deletion.block-on-unmanaged-jobs"
        } else {
            "session.block-on-unmanaged-jobs"
        };
        if !release.lost_is_failed() || !options.switch(key, true) {
            return None;
        }
        let ids: Vec<String> = self.view(around, spec).unmanaged.iter().map(JobId::to_string).collect();
        (!ids.is_empty()).then(|| {
            format!("The session cluster has non terminated jobs [{}] that should be cancelled first", ids.join(", "))
        })
    }
}
