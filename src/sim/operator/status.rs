//! The status that the operator writes (`operator.md` §1.5–§1.11) and the summary it computes from it (§2.1).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::ids::JobId;

/// The status of a FlinkDeployment or FlinkSessionJob as the operator keeps it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Status {
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
    /// `jobStatus.updateTime`, epoch milliseconds.
    pub update_time: Option<i64>,
    /// `jobStatus.upgradeSavepointPath`.
    pub upgrade_savepoint_path: Option<String>,
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
}

impl Status {
    /// The status of a resource that was never deployed.
    pub fn fresh(of_deployment: bool) -> Self {
        Self { job_manager: of_deployment.then_some("MISSING"), reconcile_state: "UPGRADING", ..Self::default() }
    }

    /// The recorded spec.
    pub fn recorded_spec(&self) -> Option<Value> {
        let document: Value = serde_json::from_str(self.last_reconciled.as_deref()?).ok()?;
        document.get("spec").cloned()
    }

    /// Records a spec as acted upon.
    pub fn record(&mut self, spec: &Value, first: bool, now: i64) {
        let document = json!({
            "spec": spec,
            "resource_metadata": {"apiVersion": "flink.apache.org/v1beta1", "firstDeployment": first},
        });
        self.last_reconciled = Some(document.to_string());
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

    /// `lifecycleState`: the first rule that holds.
    pub fn lifecycle(&self) -> &'static str {
        const UNRECOVERABLE: [&str; 2] = ["Manual restore required.", "HA metadata is not available"];
        let Some(recorded) = &self.last_reconciled else {
            return if self.error.is_some() { "FAILED" } else { "CREATED" };
        };
        let suspended = || {
            serde_json::from_str::<Value>(recorded)
                .is_ok_and(|d| d.pointer("/spec/job/state").and_then(Value::as_str) == Some("suspended"))
        };
        let lost = matches!(self.job_manager, Some("MISSING" | "ERROR"))
            && self.error.as_ref().is_some_and(|e| UNRECOVERABLE.iter().any(|marker| e.contains(marker)));
        match self.reconcile_state {
            "UPGRADING" => "UPGRADING",
            "ROLLING_BACK" => "ROLLING_BACK",
            _ if suspended() => "SUSPENDED",
            _ if self.job_state == Some("FAILED") || lost => "FAILED",
            "ROLLED_BACK" => "ROLLED_BACK",
            _ if self.is_stable() => "STABLE",
            _ => "DEPLOYED",
        }
    }

    /// The status as it is written.
    pub fn document(&self, has_job: bool) -> Value {
        let mut job = json!({
            "checkpointInfo": {"lastPeriodicCheckpointTimestamp": 0},
            "savepointInfo": {"lastPeriodicSavepointTimestamp": 0, "savepointHistory": []},
        });
        if let Some(id) = self.job_id {
            job["jobId"] = id.to_string().into();
        }
        for (name, value) in [
            ("jobName", self.job_name.clone()),
            ("state", self.job_state.map(str::to_owned)),
            ("startTime", self.start_time.map(|t| t.to_string())),
            ("updateTime", self.update_time.map(|t| t.to_string())),
            ("upgradeSavepointPath", self.upgrade_savepoint_path.clone()),
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
        status
    }
}

/// Longest text in an error, characters.
const LONGEST: usize = 2048;

/// The text of `status.error` for an exception with its causes, outermost first.
pub fn error_document(class: &str, message: &str, causes: &[(&str, &str)]) -> String {
    let entry = |class: &str, message: &str| {
        let message: String = message.chars().take(LONGEST).collect();
        json!({"type": class, "message": message, "additionalMetadata": {}})
    };
    let mut document = entry(class, message);
    let list: Vec<Value> = causes.iter().take(2).map(|(c, m)| entry(c, m)).collect();
    document["throwableList"] = list.into();
    document.to_string()
}

/// Message and deepest cause of a Java stack trace.
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
        let mut status = Status::fresh(true);
        assert_eq!(status.lifecycle(), "CREATED");
        status.error = Some("no".into());
        assert_eq!(status.lifecycle(), "FAILED");
        status.error = None;
        status.record(&json!({"job": {"state": "running"}}), true, 1);
        assert_eq!(status.lifecycle(), "UPGRADING");
        status.reconcile_state = "DEPLOYED";
        assert_eq!(status.lifecycle(), "DEPLOYED");
        status.mark_stable();
        assert_eq!(status.lifecycle(), "STABLE");
        status.job_state = Some("FAILED");
        assert_eq!(status.lifecycle(), "FAILED");
        status.record(&json!({"job": {"state": "suspended"}}), false, 2);
        assert_eq!(status.lifecycle(), "SUSPENDED");
    }

    #[test]
    fn the_causes_of_a_trace_are_found() {
        let trace = "a.B: outer\n\tat x\nCaused by: c.D: inner\n\tat y";
        assert_eq!(causes_of(trace), ["a.B: outer", "c.D: inner"]);
    }
}
