//! Specs: as recorded, compared, and read for the world (`operator.md` §1.2, §1.8, §2.4).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::domain::ids::VertexId;
use crate::sim::kubernetes::kinds::Kind;
use crate::sim::kubernetes::patch::merge;
use crate::sim::nodes::Toleration;
use crate::sim::spec::{ClusterSpec, FlinkVersion, JobSpec, Placement, Scheduler};

/// The key with the parallelism of every vertex.
pub const OVERRIDES: &str = "pipeline.jobvertex-parallelism-overrides";

/// What a change of the spec asks for, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Nothing now.
    Ignore,
    /// Another parallelism of vertices.
    Scale,
    /// A new deployment.
    Upgrade,
    /// A new deployment from a given savepoint.
    SavepointRedeploy,
}

impl Class {
    /// As in events.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ignore => "IGNORE",
            Self::Scale => "SCALE",
            Self::Upgrade => "UPGRADE",
            Self::SavepointRedeploy => "SAVEPOINT_REDEPLOY",
        }
    }
}

/// The differences of two specs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    changes: Vec<(String, Option<String>, Option<String>, Class)>,
}

impl Diff {
    /// From the spec recorded last to the one wanted.
    pub fn between(recorded: &Value, wanted: &Value) -> Self {
        let (before, after) = (leaves(recorded), leaves(wanted));
        let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
        names.sort();
        names.dedup();
        let changes = names
            .into_iter()
            .filter(|name| before.get(*name) != after.get(*name))
            .map(|name| {
                let (from, to) = (before.get(name).cloned(), after.get(name).cloned());
                let class = class(name, to.is_some());
                (name.clone(), from, to, class)
            })
            .collect();
        Self { changes }
    }

    /// The strongest class; none if nothing differs.
    pub fn class(&self) -> Option<Class> {
        self.changes.iter().map(|(.., class)| *class).max()
    }

    /// The wanted overrides drop a vertex, or everything: cannot be done in place.
    pub fn removes_overrides(&self) -> bool {
        self.changes.iter().any(|(name, from, to, _)| {
            name == &format!("flinkConfiguration.{OVERRIDES}") && {
                let after = to.as_deref().map(overrides).unwrap_or_default();
                from.as_deref().map(overrides).unwrap_or_default().keys().any(|v| !after.contains_key(v))
            }
        })
    }

    /// The message of a `SpecChanged` event.
    pub fn message(&self, kind: Kind) -> String {
        let word = self.class().unwrap_or(Class::Ignore).word();
        let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
        let all: Vec<String> = self
            .changes
            .iter()
            .filter(|(.., class)| *class != Class::Ignore)
            .map(|(name, from, to, _)| format!("{name} : {} -> {}", show(from), show(to)))
            .collect();
        let spec = format!("{}Spec", kind.info().name);
        format!("{word} change(s) detected (Diff: {spec}[{}]), starting reconciliation.", all.join(", "))
    }
}

fn class(name: &str, set: bool) -> Class {
    if let Some(key) = name.strip_prefix("flinkConfiguration.") {
        return match key {
            OVERRIDES => Class::Scale,
            "parallelism.default" => Class::Ignore,
            _ if key.starts_with("job.autoscaler") || key.starts_with("kubernetes.operator") => Class::Ignore,
            _ => Class::Upgrade,
        };
    }
    match name {
        "job.upgradeMode"
        | "job.initialSavepointPath"
        | "job.savepointTriggerNonce"
        | "job.checkpointTriggerNonce"
        | "job.allowNonRestoredState"
        | "job.autoscalerResetNonce" => Class::Ignore,
        "restartNonce" | "job.savepointRedeployNonce" if !set => Class::Ignore,
        "job.savepointRedeployNonce" => Class::SavepointRedeploy,
        _ => Class::Upgrade,
    }
}

fn leaves(spec: &Value) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    collect(spec, "", &mut all);
    all
}

fn collect(value: &Value, path: &str, all: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::Object(map) => {
            for (name, inner) in map {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(inner, &path, all);
            }
        }
        // The same number may be written with or without a fraction.
        Value::Number(n) => {
            all.insert(path.to_owned(), n.as_f64().map_or_else(|| n.to_string(), |f| f.to_string()));
        }
        Value::String(s) => {
            all.insert(path.to_owned(), s.clone());
        }
        Value::Bool(_) => {
            all.insert(path.to_owned(), value.to_string());
        }
        Value::Array(items) if path.starts_with("flinkConfiguration.") => {
            let texts: Vec<String> =
                items.iter().map(|i| i.as_str().map_or_else(|| i.to_string(), str::to_owned)).collect();
            all.insert(path.to_owned(), texts.join(";"));
        }
        Value::Array(items) if items.is_empty() => {}
        Value::Array(_) => {
            all.insert(path.to_owned(), value.to_string());
        }
    }
}

/// The spec with every field, absent ones as null, and the defaults that the operator applies in memory.
pub fn complete(kind: Kind, spec: &Value) -> Value {
    let job = json!({
        "jarURI": null, "parallelism": 0, "entryClass": null, "args": [], "state": "running", "savepointTriggerNonce": null,
        "initialSavepointPath": null, "checkpointTriggerNonce": null, "upgradeMode": "stateless", "allowNonRestoredState": null,
        "savepointRedeployNonce": null, "autoscalerResetNonce": null,
    });
    let pods = json!({"resource": {"cpu": null, "memory": null, "ephemeralStorage": null}, "replicas": null, "podTemplate": null});
    let mut all = match kind {
        Kind::FlinkSessionJob => {
            json!({"job": job, "restartNonce": null, "flinkConfiguration": {}, "deploymentName": null})
        }
        _ => json!({
            "job": if spec.get("job").is_some_and(Value::is_object) { job } else { Value::Null },
            "restartNonce": null, "flinkConfiguration": {}, "image": null, "imagePullPolicy": null, "serviceAccount": null,
            "flinkVersion": null, "ingress": null, "podTemplate": null, "jobManager": pods, "taskManager": pods,
            "logConfiguration": null, "mode": null,
        }),
    };
    overlay(&mut all, spec);
    all["flinkConfiguration"] = Value::Object(
        configuration(spec).into_iter().map(|(k, v)| (k, Value::String(v))).collect::<Map<String, Value>>(),
    );
    all
}

/// Like a merge patch, but absent and null leave what is there.
fn overlay(target: &mut Value, over: &Value) {
    match (target, over) {
        (_, Value::Null) => {}
        (Value::Object(map), Value::Object(over)) => {
            for (name, value) in over {
                overlay(map.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (target, over) => merge(target, over),
    }
}

/// The flattened `flinkConfiguration` of a spec.
pub fn configuration(spec: &Value) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    if let Some(config) = spec.get("flinkConfiguration") {
        let mut raw = BTreeMap::new();
        collect_raw(config, "", &mut raw);
        all.extend(raw);
    }
    all
}

fn collect_raw(value: &Value, path: &str, all: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect_raw(inner, &path, all);
            }
        }
        Value::Null => {}
        Value::String(s) => {
            all.insert(path.to_owned(), s.clone());
        }
        Value::Array(items) => {
            let texts: Vec<String> =
                items.iter().map(|i| i.as_str().map_or_else(|| i.to_string(), str::to_owned)).collect();
            all.insert(path.to_owned(), texts.join(";"));
        }
        Value::Bool(_) | Value::Number(_) => {
            all.insert(path.to_owned(), value.to_string());
        }
    }
}

/// A text of the spec.
pub fn text<'a>(spec: &'a Value, pointer: &str) -> Option<&'a str> {
    spec.pointer(pointer).and_then(Value::as_str)
}

/// Flink's map of vertex to parallelism; what cannot be read is left out.
pub fn overrides(map: &str) -> BTreeMap<VertexId, u32> {
    map.split(',')
        .filter_map(|entry| {
            let (vertex, parallelism) = entry.trim().split_once(':')?;
            Some((vertex.trim().parse().ok()?, parallelism.trim().parse().ok()?))
        })
        .collect()
}

/// The parallelism of the vertices that a (re)deployed job starts with: the overrides, and for vertices that follow the job's default
/// parallelism the one of the spec.
pub fn parallelism(spec: &Value, blueprint: &JobSpec) -> BTreeMap<VertexId, u32> {
    let default = default_parallelism(blueprint);
    let wanted = spec.pointer("/job/parallelism").and_then(Value::as_u64).and_then(|p| u32::try_from(p).ok());
    let mut all = BTreeMap::new();
    for vertex in &blueprint.vertices {
        if let Some(wanted) = wanted.filter(|w| *w > 0 && vertex.parallelism == default) {
            all.insert(blueprint.vertex_id(vertex), wanted);
        }
    }
    if let Some(map) = configuration(spec).get(OVERRIDES) {
        all.extend(overrides(map));
    }
    all
}

/// What stands in `job.parallelism` for a job of a scenario: the highest parallelism of its vertices.
pub fn default_parallelism(blueprint: &JobSpec) -> u32 {
    blueprint.vertices.iter().map(|v| v.parallelism).max().unwrap_or(1)
}

/// The cluster that a spec asks for. What a resource does not say (timings, limits) comes from the scenario.
pub fn cluster(name: &str, spec: &Value, blueprint: &ClusterSpec) -> ClusterSpec {
    let config = configuration(spec);
    let mut cluster = ClusterSpec { name: name.to_owned(), ..blueprint.clone() };
    if let Some((major, minor)) = text(spec, "/flinkVersion").and_then(flink_version)
        && (major, minor) != (cluster.version.major, cluster.version.minor)
    {
        cluster.version = FlinkVersion { major, minor, patch: 0 };
    }
    if let Some(slots) = config.get("taskmanager.numberOfTaskSlots").and_then(|s| s.parse().ok()) {
        cluster.taskmanagers.slots = slots;
    }
    if let Some(image) = text(spec, "/image") {
        cluster.image = image.to_owned();
    }
    if let Some(cpu) = spec.pointer("/jobManager/resource/cpu").and_then(Value::as_f64) {
        cluster.jobmanager.cpu = cpu;
    }
    if let Some(memory) = text(spec, "/jobManager/resource/memory").and_then(bytes) {
        cluster.jobmanager.memory = memory;
    }
    if spec.get("podTemplate").is_some_and(Value::is_object) {
        cluster.placement = placement(spec);
    }
    if let Some(cpu) = spec.pointer("/taskManager/resource/cpu").and_then(Value::as_f64) {
        cluster.taskmanagers.cpu = cpu;
    }
    if let Some(memory) = text(spec, "/taskManager/resource/memory").and_then(bytes) {
        cluster.taskmanagers.memory = memory;
    }
    cluster.scheduler = scheduler(&config);
    cluster.config = config;
    cluster
}

/// Where the pod template lets pods run.
fn placement(spec: &Value) -> Placement {
    let texts = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let selector = spec.pointer("/podTemplate/spec/nodeSelector").and_then(Value::as_object);
    let tolerations = spec.pointer("/podTemplate/spec/tolerations").and_then(Value::as_array);
    Placement {
        node_selector: selector
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
        tolerations: tolerations
            .into_iter()
            .flatten()
            .map(|t| Toleration {
                key: texts(t, "key").unwrap_or_default(),
                value: texts(t, "value"),
                effect: texts(t, "effect"),
            })
            .collect(),
    }
}

/// The scheduler that a configuration asks for.
pub fn scheduler(config: &BTreeMap<String, String>) -> Scheduler {
    match config.get("jobmanager.scheduler").map(|s| s.to_lowercase()) {
        Some(name) if name == "adaptive" => Scheduler::Adaptive,
        _ => Scheduler::Default,
    }
}

fn flink_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.strip_prefix('v')?.split_once('_')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// A size in Flink's or Kubernetes' units.
pub fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "ki" => 10,
        "m" | "mb" | "mi" => 20,
        "g" | "gb" | "gi" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class_of(from: Value, to: Value) -> Option<Class> {
        let full = |spec: &Value| complete(Kind::FlinkDeployment, spec);
        Diff::between(&full(&from), &full(&to)).class()
    }

    #[test]
    fn changes_have_the_class_of_the_operator() {
        let config = |value: Value| json!({"job": {"parallelism": 2}, "flinkConfiguration": value});
        assert_eq!(class_of(config(json!({})), config(json!({}))), None);
        assert_eq!(class_of(config(json!({})), config(json!({OVERRIDES: "a:1"}))), Some(Class::Scale));
        assert_eq!(class_of(config(json!({})), config(json!({"job.autoscaler.enabled": true}))), Some(Class::Ignore));
        assert_eq!(class_of(config(json!({})), config(json!({"state.backend.type": "rocksdb"}))), Some(Class::Upgrade));
        assert_eq!(class_of(json!({"restartNonce": 1}), json!({"restartNonce": 2})), Some(Class::Upgrade));
        assert_eq!(class_of(json!({"restartNonce": 1}), json!({})), Some(Class::Ignore));
        let nonce = |n: Value| json!({"job": {"savepointRedeployNonce": n}, "image": "x"});
        assert_eq!(class_of(nonce(json!(null)), nonce(json!(5))), Some(Class::SavepointRedeploy));
        assert_eq!(class_of(nonce(json!(5)), nonce(json!(null))), Some(Class::Ignore));
    }

    #[test]
    fn the_spelling_of_the_configuration_makes_no_difference() {
        let dotted = json!({"job": {}, "flinkConfiguration": {"a.b": "1", "c": "true"}});
        let nested = json!({"job": {}, "flinkConfiguration": {"a": {"b": 1}, "c": true}});
        assert_eq!(class_of(dotted, nested), None);
    }

    #[test]
    fn dropping_a_vertex_is_noticed() {
        let spec = |map: &str| json!({"flinkConfiguration": {OVERRIDES: map}});
        let (a, b) = ("0000000000000000000000000000000a", "0000000000000000000000000000000b");
        let both = spec(&format!("{a}:1,{b}:2"));
        assert!(Diff::between(&both, &spec(&format!("{a}:1"))).removes_overrides());
        assert!(!Diff::between(&both, &spec(&format!("{a}:4,{b}:2"))).removes_overrides());
        assert!(Diff::between(&both, &json!({})).removes_overrides());
    }

    #[test]
    fn sizes_are_read_in_both_unit_systems() {
        assert_eq!(bytes("2048m"), Some(2 << 30));
        assert_eq!(bytes("2Gi"), Some(2 << 30));
        assert_eq!(bytes("1073741824"), Some(1 << 30));
        assert_eq!(bytes("much"), None);
    }
}
