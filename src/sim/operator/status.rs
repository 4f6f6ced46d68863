//! The status that the operator writes (`operator.md` §1.5–§1.11) and the summary it computes from it (§2.1).

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::release::Release;
use crate::domain::ids::JobId;

/// A savepoint that was triggered without a FlinkStateSnapshot (`operator.md` §1.7, §4.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacySnapshot {
    /// When it was triggered, epoch milliseconds.
    pub at: i64,
    /// Where it is; checkpoints have none here.
    pub location: Option<String>,
    /// `MANUAL`, `UPGRADE` or `UNKNOWN`.
    pub trigger: &'static str,
    /// Its format word.
    pub format: &'static str,
    /// The nonce that asked for it.
    pub nonce: Option<i64>,
}

impl LegacySnapshot {
    fn document(&self) -> Value {
        let mut document = json!({"timeStamp": self.at, "triggerType": self.trigger, "formatType": self.format});
        if let Some(location) = &self.location {
            document["location"] = location.as_str().into();
        }
        if let Some(nonce) = self.nonce {
            document["triggerNonce"] = nonce.into();
        }
        document
    }
}

/// A trigger that waits for its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyTrigger {
    /// Trigger id of the REST API.
    pub id: u128,
    /// What it will be, if it succeeds.
    pub snapshot: LegacySnapshot,
}

/// `savepointInfo` or `checkpointInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LegacyInfo {
    /// Under way.
    pub pending: Option<LegacyTrigger>,
    /// Done, oldest first, at most ten.
    pub history: VecDeque<LegacySnapshot>,
    /// The one that counts as last; on old releases a redeploy sets it without a trace in the history.
    pub last: Option<LegacySnapshot>,
}

impl LegacyInfo {
    /// Remembers one that is done.
    pub fn complete(&mut self, snapshot: LegacySnapshot) {
        self.last = Some(snapshot.clone());
        self.history.push_back(snapshot);
        while self.history.len() > 10 {
            self.history.pop_front();
        }
        self.pending = None;
    }

    fn document(&self, sort: &str) -> Value {
        let mut document = json!({format!("lastPeriodic{sort}Timestamp"): 0});
        if sort == "Savepoint" {
            document["savepointHistory"] = self.history.iter().map(LegacySnapshot::document).collect();
        }
        if let Some(last) = &self.last {
            document[format!("last{sort}")] = last.document();
        }
        if let Some(pending) = &self.pending {
            document["triggerId"] = format!("{:032x}", pending.id).into();
            document["triggerTimestamp"] = pending.snapshot.at.into();
            document["triggerType"] = pending.snapshot.trigger.into();
            document["formatType"] = pending.snapshot.format.into();
        }
        document
    }
}

/// The status of a FlinkDeployment or FlinkSessionJob as the operator keeps it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Status {
    /// Which release writes it.
    pub release: Release,
    /// `jobManagerDeploymentStatus`; FlinkDeployment only.
    pub job_manager: Option<&'static str>,
    /// `jobStatus.jobId`.
    pub job_id: Option<JobId>,
    /// `jobStatus.jobName`.
    pub job_name: Option<String>,
    /// `jobStatus.state`.
    pub job_state: Option<&'static str>,
    /// `jobStatus.startTime`, epoch milliseconds.
    pub start_time: Option<i64>,
    /// `jobStatus.updateTime`: the last state change that was *observed*, epoch milliseconds.
    pub update_time: Option<i64>,
    /// `jobStatus.upgradeSavepointPath`; before 1.10 it is kept but not written.
    pub upgrade_savepoint_path: Option<String>,
    /// `jobStatus.savepointInfo`.
    pub savepoints: LegacyInfo,
    /// `jobStatus.checkpointInfo`.
    pub checkpoints: LegacyInfo,
    /// `reconciliationStatus.state`.
    pub reconcile_state: &'static str,
    /// `reconciliationStatus.reconciliationTimestamp`, epoch milliseconds.
    pub reconciled_at: i64,
    /// `reconciliationStatus.lastReconciledSpec`.
    pub last_reconciled: Option<String>,
    /// `reconciliationStatus.lastStableSpec`.
    pub last_stable: Option<String>,
    /// `clusterInfo`.
    pub cluster_info: BTreeMap<&'static str, String>,
    /// `taskManager.labelSelector`.
    pub selector: String,
    /// `taskManager.replicas`.
    pub replicas: u64,
    /// `error`.
    pub error: Option<String>,
    /// `observedGeneration`.
    pub observed_generation: Option<i64>,
    /// The resource is being deleted, and the operator has to say so.
    pub deleting: bool,
    /// The `Running` condition: status, reason, message and the time of its last change, epoch milliseconds.
    condition: Option<(bool, String, String, i64)>,
}

impl Status {
    /// The status of a resource that was never deployed.
    pub fn fresh(release: Release, of_deployment: bool) -> Self {
        Self {
            release,
            job_manager: of_deployment.then_some("MISSING"),
            reconcile_state: "UPGRADING",
            ..Self::default()
        }
    }

    /// The recorded spec.
    pub fn recorded_spec(&self) -> Option<Value> {
        spec_of(self.last_reconciled.as_deref())
    }

    /// The spec that is known to run stably.
    pub fn stable_spec(&self) -> Option<Value> {
        spec_of(self.last_stable.as_deref())
    }

    /// Until the first upgrade.
    pub fn first_deployment(&self) -> bool {
        let Some(text) = self.last_reconciled.as_deref() else { return true };
        serde_json::from_str::<Value>(text)
            .ok()
            .and_then(|d| d.pointer("/resource_metadata/firstDeployment").and_then(Value::as_bool))
            .unwrap_or(false)
    }

    /// Records a spec as acted upon.
    pub fn record(&mut self, spec: &Value, first: bool, generation: i64, now: i64) {
        let mut metadata = json!({"apiVersion": "flink.apache.org/v1beta1"});
        if !self.release.snapshots() {
            metadata["metadata"] = json!({"generation": generation});
        }
        metadata["firstDeployment"] = first.into();
        self.last_reconciled = Some(json!({"spec": spec, "resource_metadata": metadata}).to_string());
        self.reconciled_at = now;
    }

    /// The recorded spec is known to run.
    pub fn mark_stable(&mut self) {
        self.last_stable.clone_from(&self.last_reconciled);
    }

    /// The recorded spec is known to run.
    pub fn is_stable(&self) -> bool {
        self.last_reconciled.is_some() && self.last_reconciled == self.last_stable
    }

    /// The job has ended for good.
    pub fn job_is_terminal(&self) -> bool {
        matches!(self.job_state, Some("FAILED" | "CANCELED" | "FINISHED"))
    }

    /// The job state as the operator itself sets it, without an observation: `updateTime` stays.
    pub fn assume(&mut self, state: &'static str) {
        self.job_state = Some(state);
    }

    /// `lifecycleState`: the first rule that holds.
    pub fn lifecycle(&self) -> &'static str {
        const UNRECOVERABLE: [&str; 3] = [
            "Manual restore required.",
            "It is possible that the job has finished or terminally failed, or the configmaps have been deleted.",
            "HA metadata is not available",
        ];
        if self.deleting && self.release.reset_nonce() {
            return "DELETING";
        }
        let Some(recorded) = &self.last_reconciled else {
            return if self.error.is_some() { "FAILED" } else { "CREATED" };
        };
        let suspended = || {
            serde_json::from_str::<Value>(recorded)
                .is_ok_and(|d| d.pointer("/spec/job/state").and_then(Value::as_str) == Some("suspended"))
        };
        let lost = || {
            self.release.lost_is_failed()
                && matches!(self.job_manager, Some("MISSING" | "ERROR"))
                && self.error.as_ref().is_some_and(|e| UNRECOVERABLE.iter().any(|marker| e.contains(marker)))
        };
        match self.reconcile_state {
            "UPGRADING" => "UPGRADING",
            "ROLLING_BACK" => "ROLLING_BACK",
            _ if suspended() => "SUSPENDED",
            _ if self.job_state == Some("FAILED") || lost() => "FAILED",
            "ROLLED_BACK" => "ROLLED_BACK",
            _ if self.is_stable() => "STABLE",
            _ => "DEPLOYED",
        }
    }

    /// Brings the condition up to date, at the end of a loop (`operator.md` §1.11).
    pub fn conclude(&mut self, has_job: bool, now: i64) {
        let Some(job_manager) = self.job_manager.filter(|_| self.release.conditions()) else { return };
        let (running, reason, message) = if has_job {
            let state = self.job_state.unwrap_or("UNKNOWN");
            (state == "RUNNING", camel_case(state), format!("Job status {state}"))
        } else {
            let (reason, message) = match job_manager {
                "READY" => ("JobManagerReady", "JobManager is running and ready to receive REST API calls"),
                "DEPLOYED_NOT_READY" => {
                    ("DeployedNotReady", "JobManager is running but not ready yet to receive REST API calls")
                }
                "DEPLOYING" => ("JobManagerIsDeploying", "JobManager process is starting up"),
                "MISSING" => ("JobManagerDeploymentMissing", "JobManager deployment not found"),
                _ => ("Error", "JobManager deployment failed"),
            };
            (job_manager == "READY", reason.to_owned(), message.to_owned())
        };
        let since = match &self.condition {
            Some((before, .., since)) if *before == running => *since,
            _ => now,
        };
        self.condition = Some((running, reason, message, since));
    }

    /// The status as it is written.
    pub fn document(&self, has_job: bool) -> Value {
        let mut job = json!({
            "checkpointInfo": self.checkpoints.document("Checkpoint"), "savepointInfo": self.savepoints.document("Savepoint"),
        });
        if let Some(id) = self.job_id {
            job["jobId"] = id.to_string().into();
        }
        let path = self.upgrade_savepoint_path.clone().filter(|_| self.release.snapshots());
        for (name, value) in [
            ("jobName", self.job_name.clone()),
            ("state", self.job_state.map(str::to_owned)),
            ("startTime", self.start_time.map(|t| t.to_string())),
            ("updateTime", self.update_time.map(|t| t.to_string())),
            ("upgradeSavepointPath", path),
        ] {
            if let Some(value) = value {
                job[name] = value.into();
            }
        }
        let mut reconciliation = json!({"state": self.reconcile_state, "reconciliationTimestamp": self.reconciled_at});
        if let Some(spec) = &self.last_reconciled {
            reconciliation["lastReconciledSpec"] = spec.as_str().into();
        }
        if let Some(spec) = &self.last_stable {
            reconciliation["lastStableSpec"] = spec.as_str().into();
        }
        let mut status = json!({
            "lifecycleState": self.lifecycle(), "jobStatus": job, "reconciliationStatus": reconciliation,
        });
        if let Some(job_manager) = self.job_manager {
            status["jobManagerDeploymentStatus"] = job_manager.into();
            if has_job {
                status["taskManager"] = json!({"labelSelector": self.selector, "replicas": self.replicas});
            }
            if !self.cluster_info.is_empty() {
                status["clusterInfo"] = json!(self.cluster_info);
            }
        }
        if let Some(error) = &self.error {
            status["error"] = error.as_str().into();
        }
        if let Some(generation) = self.observed_generation {
            status["observedGeneration"] = generation.into();
        }
        if let Some((running, reason, message, since)) = &self.condition {
            let at = chrono::DateTime::from_timestamp_millis(*since).unwrap_or_default();
            status["conditions"] = json!([{
                "type": "Running", "status": if *running { "True" } else { "False" }, "reason": reason, "message": message,
                "lastTransitionTime": at.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true),
            }]);
        }
        status
    }
}

fn spec_of(text: Option<&str>) -> Option<Value> {
    let document: Value = serde_json::from_str(text?).ok()?;
    document.get("spec").cloned()
}

fn camel_case(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().into_iter().chain(letters.flat_map(char::to_lowercase)).collect()
}

/// Longest text in an error, characters.
const LONGEST: usize = 2048;

/// An exception as `status.error` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trouble<'a> {
    /// Last part of the class, in the operator's package of exceptions.
    pub class: &'a str,
    /// One sentence.
    pub message: &'a str,
    /// Reason word of a container or condition.
    pub reason: Option<&'a str>,
    /// Causes, outermost first.
    pub causes: &'a [String],
}

impl Trouble<'_> {
    /// The text of `status.error`.
    pub fn document(&self) -> String {
        let class = if self.class.contains('.') {
            self.class.to_owned()
        } else {
            format!("org.apache.flink.kubernetes.operator.exception.{}", self.class)
        };
        let entry = |class: &str, message: &str| {
            let message: String = message.chars().take(LONGEST).collect();
            json!({"type": class, "message": message, "additionalMetadata": {}})
        };
        let mut document = entry(&class, self.message);
        if let Some(reason) = self.reason {
            document["additionalMetadata"]["reason"] = reason.into();
        }
        let list: Vec<Value> = match self.causes {
            [] => Vec::new(),
            [only] => vec![entry(&class, only)],
            [first, .., last] => vec![entry(&class, first), entry(&class, last)],
        };
        document["throwableList"] = list.into();
        document.to_string()
    }
}

/// Message and causes of a Java stack trace, outermost first.
pub fn causes_of(trace: &str) -> Vec<String> {
    trace
        .lines()
        .enumerate()
        .filter_map(|(n, line)| match line.strip_prefix("Caused by: ") {
            Some(cause) => Some(cause.to_owned()),
            None => (n == 0).then(|| line.to_owned()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lifecycle_follows_from_the_rest_of_the_status() {
        let mut status = Status::fresh(Release::DEFAULT, true);
        assert_eq!(status.lifecycle(), "CREATED");
        status.error = Some("no".into());
        assert_eq!(status.lifecycle(), "FAILED");
        status.error = None;
        status.record(&json!({"job": {"state": "running"}}), true, 1, 1);
        assert_eq!(status.lifecycle(), "UPGRADING");
        status.reconcile_state = "DEPLOYED";
        assert_eq!(status.lifecycle(), "DEPLOYED");
        status.mark_stable();
        assert_eq!(status.lifecycle(), "STABLE");
        status.job_state = Some("FAILED");
        assert_eq!(status.lifecycle(), "FAILED");
        status.record(&json!({"job": {"state": "suspended"}}), false, 2, 2);
        assert_eq!(status.lifecycle(), "SUSPENDED");
        status.deleting = true;
        assert_eq!(status.lifecycle(), "DELETING");
        status.release = Release::OLDEST;
        assert_eq!(status.lifecycle(), "SUSPENDED", "1.8 knows no DELETING");
    }

    #[test]
    fn a_lost_jobmanager_is_failed_from_1_13_on() {
        for (release, word) in [("1.12", "STABLE"), ("1.13", "FAILED")] {
            let mut status = Status::fresh(Release::parse(release).unwrap(), true);
            status.record(&json!({"job": {"state": "running"}}), true, 1, 1);
            status.reconcile_state = "DEPLOYED";
            status.mark_stable();
            status.error = Some("HA metadata is not available to restore from last state.".into());
            assert_eq!(status.lifecycle(), word, "{release}");
        }
    }

    #[test]
    fn the_generation_stands_in_the_record_before_1_10_only() {
        let text = |release: Release| {
            let mut status = Status::fresh(release, true);
            status.record(&json!({}), true, 7, 1);
            status.last_reconciled.unwrap()
        };
        let new = r#"{"spec":{},"resource_metadata":{"apiVersion":"flink.apache.org/v1beta1","firstDeployment":true}}"#;
        assert_eq!(text(Release::DEFAULT), new);
        assert!(text(Release::OLDEST).contains(r#""metadata":{"generation":7}"#));
    }

    #[test]
    fn the_causes_of_a_trace_are_found() {
        let trace = "a.B: outer\n\tat x\nCaused by: c.D: inner\n\tat y";
        assert_eq!(causes_of(trace), ["a.B: outer", "c.D: inner"]);
    }
}
