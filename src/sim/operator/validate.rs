//! The operator's default validator (`operator.md` §9.2): the same rules in the webhook and in every loop, the first that fails is told.

use serde_json::Value;

use super::options::{Options, Timing};
use super::spec;
use crate::sim::kubernetes::kinds::Kind;

/// A spec that wants to be accepted.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// FlinkDeployment or FlinkSessionJob.
    pub kind: Kind,
    /// Its name.
    pub name: &'a str,
    /// The complete spec.
    pub spec: &'a Value,
    /// The spec that was acted upon last, none before the first deployment.
    pub recorded: Option<&'a Value>,
    /// The complete spec of the session cluster of a session job, if there is one.
    pub session: Option<&'a Value>,
    /// The operator.
    pub timing: &'a Timing,
}

/// Why the spec is refused; none if it is not.
pub fn check(c: &Candidate<'_>) -> Option<String> {
    let options = c.timing.options(c.spec);
    match c.kind {
        Kind::FlinkSessionJob => session_job(c, &options),
        _ => deployment(c, &options),
    }
}

fn deployment(c: &Candidate<'_>, options: &Options) -> Option<String> {
    if !is_name(c.name) {
        return Some(format!(
            "The FlinkDeployment name: {} is invalid, must consist of lower case alphanumeric characters or '-', start with an \
             alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123'), and the length must be no \
             more than 45 characters.",
            c.name
        ));
    }
    let Some(version) = spec::text(c.spec, "/flinkVersion") else {
        return Some("Flink Version must be defined.".to_owned());
    };
    if matches!(version, "v1_13" | "v1_14") {
        return Some("Flink version is not supported by this operator version".to_owned());
    }
    for key in ["kubernetes.namespace", "kubernetes.cluster-id", "high-availability.cluster-id"] {
        if options.get(key).is_some() {
            return Some(format!("Forbidden Flink config key: {key}"));
        }
    }
    if options.switch("deployment.rollback.enabled", false) && !options.ha() {
        return Some("HA must be enabled for rollback support.".to_owned());
    }
    if options.switch("cluster.health-check.enabled", false) && !options.switch("jm-deployment-recovery.enabled", true)
    {
        return Some("Deployment recovery (kubernetes.operator.jm-deployment-recovery.enabled) must be enabled for cluster health check (kubernetes.operator.cluster.health-check.enabled)".to_owned());
    }
    if c.spec["ingress"].is_object() && spec::text(c.spec, "/ingress/template").is_none() {
        return Some("Ingress template must be defined".to_owned());
    }
    if c.spec["job"].is_object()
        && let Some(why) = job(c, options, "FlinkDeployment")
    {
        return Some(why);
    }
    for (who, name) in [("jobManager", "JobManager"), ("taskManager", "TaskManager")] {
        if let Some(why) = pods(c.spec, options, who, name) {
            return Some(why);
        }
    }
    if let Some(recorded) = c.recorded {
        match (recorded["job"].is_object(), c.spec["job"].is_object()) {
            (true, false) => return Some("Cannot switch from job to session cluster".to_owned()),
            (false, true) => return Some("Cannot switch from session to job cluster".to_owned()),
            _ => {}
        }
        let mode = |spec: &Value| spec::text(spec, "/mode").unwrap_or("native").to_owned();
        if mode(recorded) != mode(c.spec) {
            return Some(format!(
                "Cannot switch from {} kubernetes to {} kubernetes cluster",
                mode(recorded),
                mode(c.spec)
            ));
        }
        let nonce = |spec: &Value| spec.pointer("/job/savepointRedeployNonce").and_then(Value::as_i64);
        let path = spec::text(c.spec, "/job/initialSavepointPath").unwrap_or_default();
        if nonce(c.spec).is_some() && nonce(c.spec) != nonce(recorded) && path.trim().is_empty() {
            return Some("InitialSavepoint path must not be empty for savepoint redeploy".to_owned());
        }
    }
    if spec::text(c.spec, "/serviceAccount").is_none() {
        return Some("spec.serviceAccount must be defined. If you use helm, its value should be the same with the name of jobServiceAccount.".to_owned());
    }
    autoscaler(options)
}

fn session_job(c: &Candidate<'_>, options: &Options) -> Option<String> {
    let name = spec::text(c.spec, "/deploymentName").unwrap_or_default();
    if !is_name(name) {
        return Some(format!("The FlinkDeployment name: {name} is invalid"));
    }
    if !c.spec["job"].is_object() {
        return Some("The job spec should not be empty".to_owned());
    }
    if c.recorded.is_some_and(|r| spec::text(r, "/deploymentName") != Some(name)) {
        return Some("The deploymentName can't be changed".to_owned());
    }
    if !c.timing.release.snapshots() && spec::text(c.spec, "/job/upgradeMode") == Some("last-state") {
        return Some("The LAST_STATE upgrade mode is not supported in session job now.".to_owned());
    }
    let session = c.session?;
    if session["job"].is_object() {
        return Some("Can not submit session job to application cluster".to_owned());
    }
    let mut merged = session.clone();
    merged["job"] = c.spec["job"].clone();
    let mut config = spec::configuration(session);
    config.extend(spec::configuration(c.spec));
    merged["flinkConfiguration"] = config.into_iter().map(|(k, v)| (k, Value::String(v))).collect();
    let all = c.timing.options(&merged);
    job(&Candidate { spec: &merged, ..*c }, &all, "FlinkSessionJob").or_else(|| autoscaler(options))
}

fn job(c: &Candidate<'_>, options: &Options, _kind: &str) -> Option<String> {
    let mode = spec::text(c.spec, "/job/upgradeMode").unwrap_or("stateless");
    let release = c.timing.release;
    if mode == "last-state" && !release.snapshots() && !options.ha() {
        return Some("Job could not be upgraded with last-state while HA disabled".to_owned());
    }
    if mode != "stateless" && options.checkpoint_dir().is_none() {
        return Some("Checkpoint directory[execution.checkpointing.dir] must be defined for last-state and savepoint upgrade modes".to_owned());
    }
    if options.savepoint_dir().is_none() {
        let key = "execution.checkpointing.savepoint-dir";
        if mode == "savepoint" {
            return Some(format!("Job could not be upgraded with savepoint while config key[{key}] is not set"));
        }
        if c.spec.pointer("/job/savepointTriggerNonce").is_some_and(Value::is_number) {
            return Some(format!(
                "Savepoint could not be manually triggered for the running job while config key[{key}] is not set"
            ));
        }
        if options.get("kubernetes.operator.periodic.savepoint.interval").is_some() {
            return Some(format!("Periodic savepoints cannot be enabled when config key[{key}] is not set"));
        }
        if options.get("kubernetes.operator.job.upgrade.last-state.max.allowed.checkpoint.age").is_some() {
            return Some(format!(
                "In order to use max-checkpoint age functionality config key[{key}] must be set to allow triggering savepoint upgrades."
            ));
        }
    }
    let replicas = c.spec.pointer("/taskManager/replicas").and_then(Value::as_i64);
    match replicas {
        Some(replicas) if replicas < 1 => return Some("TaskManager replicas must be larger than 0".to_owned()),
        None if c.spec.pointer("/job/parallelism").and_then(Value::as_i64).unwrap_or_default() < 1 => {
            return Some("Job parallelism must be larger than 0".to_owned());
        }
        _ => {}
    }
    None
}

fn pods(spec: &Value, options: &Options, who: &str, name: &str) -> Option<String> {
    let memory = spec.pointer(&format!("/{who}/resource/memory")).and_then(Value::as_str);
    let prefix = who.to_lowercase();
    let derived =
        ["process.size", "flink.size"].iter().any(|key| options.get(&format!("{prefix}.memory.{key}")).is_some());
    match memory {
        None if !derived => {
            return Some(format!("{name} resource memory must be defined using `spec.{who}.resource.memory`"));
        }
        Some(text) if spec::bytes(text).is_none() => {
            return Some(format!("{name} resource memory parse error: Could not parse value '{text}'"));
        }
        _ => {}
    }
    let replicas = spec.pointer(&format!("/{who}/replicas")).and_then(Value::as_i64);
    if replicas.is_some_and(|r| r < 1) {
        return Some(format!("{name} replicas should not be configured less than one."));
    }
    if who == "jobManager" && replicas.is_some_and(|r| r > 1) && !options.ha() {
        return Some("High availability should be enabled when starting standby JobManagers.".to_owned());
    }
    None
}

fn autoscaler(options: &Options) -> Option<String> {
    if options.autoscaler("enabled").is_none_or(|on| on.trim() != "true") {
        return None;
    }
    let ranges: [(&str, f64, f64); 6] = [
        ("scale-down.max-factor", 0.0, f64::INFINITY),
        ("scale-up.max-factor", 0.0, f64::INFINITY),
        ("utilization.target", 0.0, 1.0),
        ("target.utilization", 0.0, 1.0),
        ("target.utilization.boundary", 0.0, f64::INFINITY),
        ("scaling.effectiveness.threshold", 0.0, 1.0),
    ];
    ranges.iter().find_map(|(key, least, most)| {
        let value: f64 = options.autoscaler(key)?.trim().parse().ok()?;
        (value < *least || value > *most).then(|| {
            format!(
                "The AutoScalerOption job.autoscaler.{key} is invalid, it should be a value within the range [{least:?}, {}]",
                if most.is_infinite() { "Infinity".to_owned() } else { format!("{most:?}") }
            )
        })
    })
}

/// `[a-z]([-a-z\d]{0,43}[a-z\d])?`
fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    bytes.len() <= 45 && first.is_ascii_lowercase() && fits(*last) && bytes.iter().all(|b| fits(*b) || *b == b'-')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sim::scenario::OperatorSpec;

    fn refused(spec: Value) -> Option<String> {
        refused_by("1.12", spec, None)
    }

    fn refused_by(release: &str, change: Value, recorded: Option<Value>) -> Option<String> {
        let version = super::super::release::Release::parse(release).unwrap();
        let timing = Timing::of(&OperatorSpec { version, ..OperatorSpec::default() });
        let mut spec = json!({
            "flinkVersion": "v1_20", "serviceAccount": "flink", "flinkConfiguration": {"execution.checkpointing.dir": "s3://c"},
            "jobManager": {"resource": {"memory": "1g"}}, "taskManager": {"resource": {"memory": "1g"}},
            "job": {"jarURI": "local:///a.jar", "parallelism": 2},
        });
        crate::sim::kubernetes::patch::merge(&mut spec, &change);
        let spec = spec::complete(Kind::FlinkDeployment, &spec);
        let recorded = recorded.map(|r| spec::complete(Kind::FlinkDeployment, &r));
        check(&Candidate {
            kind: Kind::FlinkDeployment,
            name: "orders",
            spec: &spec,
            recorded: recorded.as_ref(),
            session: None,
            timing: &timing,
        })
    }

    #[test]
    fn each_rule_has_its_words() {
        assert_eq!(refused(json!({})), None);
        let says = |change: Value, words: &str| {
            let why = refused(change).unwrap_or_default();
            assert!(why.contains(words), "{why:?} does not say {words:?}");
        };
        says(json!({"flinkVersion": null}), "Flink Version must be defined");
        says(json!({"serviceAccount": null}), "spec.serviceAccount must be defined");
        says(json!({"job": {"parallelism": 0}}), "Job parallelism must be larger than 0");
        says(json!({"job": {"upgradeMode": "savepoint"}}), "execution.checkpointing.savepoint-dir");
        says(json!({"job": {"upgradeMode": "last-state"}, "flinkConfiguration": null}), "Checkpoint directory");
        says(
            json!({"flinkConfiguration": {"kubernetes.cluster-id": "x"}}),
            "Forbidden Flink config key: kubernetes.cluster-id",
        );
        says(json!({"taskManager": {"resource": {"memory": "much"}}}), "TaskManager resource memory parse error");
        says(json!({"jobManager": {"replicas": 2}}), "High availability");
        says(
            json!({"flinkConfiguration": {"kubernetes.operator.deployment.rollback.enabled": "true"}}),
            "HA must be enabled",
        );
        let scaled = json!({"flinkConfiguration": {"job.autoscaler.enabled": "true", "job.autoscaler.utilization.target": "1.5"}});
        says(scaled, "within the range [0.0, 1.0]");
    }

    #[test]
    fn a_deployed_resource_may_not_become_another() {
        let old = json!({"job": {"parallelism": 2}, "flinkVersion": "v1_20"});
        let why = |change| refused_by("1.12", change, Some(old.clone())).unwrap_or_default();
        assert!(why(json!({"job": null})).contains("from job to session"));
        assert!(why(json!({"mode": "standalone"})).contains("native kubernetes to standalone"));
        assert!(
            why(json!({"job": {"savepointRedeployNonce": 3}})).contains("must not be empty for savepoint redeploy")
        );
        assert_eq!(why(json!({"job": {"savepointRedeployNonce": 3, "initialSavepointPath": "s3://x"}})), "");
    }

    #[test]
    fn last_state_needs_ha_before_1_10_only() {
        let change = json!({"job": {"upgradeMode": "last-state"}});
        assert_eq!(refused_by("1.10", change.clone(), None), None);
        assert!(refused_by("1.9", change, None).unwrap().contains("HA disabled"));
    }

    #[test]
    fn names_follow_the_rule() {
        for (name, fine) in [("a", true), ("a-1", true), ("1a", false), ("a-", false), ("A", false), ("", false)] {
            assert_eq!(is_name(name), fine, "{name}");
        }
        assert!(is_name(&"a".repeat(45)) && !is_name(&"a".repeat(46)));
    }
}
