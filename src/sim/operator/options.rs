//! The operator's configuration: its own options under those of a resource (`operator.md` §11).

use std::collections::BTreeMap;

use serde_json::Value;

use super::release::Release;
use super::spec;
use crate::sim::de;
use crate::sim::scenario::OperatorSpec;

/// How long the steps of the operator take, milliseconds (`operator.md` §14.1), and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// Which release it is.
    pub release: Release,
    /// Between loops of a resource at rest.
    pub reconcile: i64,
    /// Between loops while a JobManager starts.
    pub progress: i64,
    /// From an available JobManager to READY.
    pub rest_delay: i64,
    /// From a change in the API to its loop, and from a stop to the deployment.
    pub immediately: i64,
    /// Between looks at something that the operator waits for.
    pub poll: i64,
    /// Submitting a job.
    pub submit: i64,
    config: BTreeMap<String, String>,
}

impl Timing {
    /// From the operator's configuration, by its own keys.
    pub fn of(spec: &OperatorSpec) -> Self {
        let option = |key: &str, default: i64| {
            let found = spec.config.get(&format!("kubernetes.operator.{key}"));
            found.and_then(|text| de::parse_flink_millis(text)).unwrap_or(default)
        };
        Self {
            release: spec.version,
            reconcile: spec.reconcile,
            progress: option("observer.progress-check.interval", (spec.reconcile / 3).clamp(500, 10_000)),
            rest_delay: option("observer.rest-ready.delay", (spec.reconcile / 2).clamp(500, 10_000)),
            immediately: 200,
            poll: 500,
            submit: (spec.reconcile / 10).clamp(200, 1_500),
            config: spec.config.clone(),
        }
    }

    /// The options that hold for a resource.
    pub fn options(&self, spec: &Value) -> Options {
        let mut all = self.config.clone();
        all.extend(spec::configuration(spec));
        Options(all)
    }

    /// Wait before attempt `n` (from 1) of a loop that failed; none when it is given up (`operator.md` §2.4).
    pub fn retry(&self, n: u32) -> Option<i64> {
        (n <= 15).then(|| (5_000.0 * 1.5_f64.powi(n.saturating_sub(1).min(14) as i32)) as i64)
    }
}

/// Options of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options(BTreeMap<String, String>);

impl Options {
    /// By its whole key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// `kubernetes.operator.<key>` as a switch.
    pub fn switch(&self, key: &str, default: bool) -> bool {
        self.0.get(&format!("kubernetes.operator.{key}")).map_or(default, |text| text.trim() == "true")
    }

    /// `kubernetes.operator.<key>` as a duration, milliseconds.
    pub fn millis(&self, key: &str, default: i64) -> i64 {
        let text = self.0.get(&format!("kubernetes.operator.{key}"));
        text.and_then(|text| de::parse_flink_millis(text)).unwrap_or(default)
    }

    /// `job.autoscaler.<key>`, under its old prefix too.
    pub fn autoscaler(&self, key: &str) -> Option<&str> {
        self.get(&format!("job.autoscaler.{key}"))
            .or_else(|| self.get(&format!("kubernetes.operator.job.autoscaler.{key}")))
    }

    /// High availability by Kubernetes or ZooKeeper.
    pub fn ha(&self) -> bool {
        let kind = self.get("high-availability.type").or_else(|| self.get("high-availability"));
        kind.is_some_and(|kind| !kind.is_empty() && !kind.eq_ignore_ascii_case("none"))
    }

    /// Where savepoints go.
    pub fn savepoint_dir(&self) -> Option<&str> {
        self.get("execution.checkpointing.savepoint-dir").or_else(|| self.get("state.savepoints.dir"))
    }

    /// Where checkpoints go.
    pub fn checkpoint_dir(&self) -> Option<&str> {
        self.get("execution.checkpointing.dir").or_else(|| self.get("state.checkpoints.dir"))
    }
}
