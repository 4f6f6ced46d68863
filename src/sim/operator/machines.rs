//! What is around the Flink clusters: nodes, quotas, the Cluster Autoscaler's status, and the operator's own Deployment, pod and lease.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::objects::{ensure, put};
use super::release::Release;
use super::spec;
use crate::sim::kubernetes::ApiServer;
use crate::sim::kubernetes::kinds::Kind;
use crate::sim::kubernetes::store::{Change, Key, Part, Write, rfc3339};
use crate::sim::nodes::{Node, QuotaSpec, Taint, cores, mebibytes};
use crate::sim::scenario::{CaStatus, Scenario};

/// Name of the operator's Deployment.
const OPERATOR: &str = "flink-kubernetes-operator";
/// How often the operator renews its lease, milliseconds.
const RENEW: i64 = 10_000;

/// Everything around the clusters.
#[derive(Debug)]
pub(super) struct Machines {
    namespace: String,
    release: Release,
    lives: bool,
    renewed: i64,
    used: BTreeMap<String, (u64, u64, u32)>,
}

impl Machines {
    /// Installs the objects of a scenario.
    pub fn install(server: &ApiServer, scenario: &Scenario) -> Self {
        for namespace in [&scenario.operator.namespace, &scenario.namespace] {
            server.create_namespace(namespace);
        }
        let nodes = server.world().with(|world| world.nodes.clone());
        server.with_store(|store, now| {
            for node in &nodes {
                put(store, &Key::new(Kind::Node, "", &node.name), now, node_document(node, now), true);
                let key = Key::new(Kind::Pod, "kube-system", &format!("system-{}", node.name));
                put(store, &key, now, system_pod(node, now), true);
            }
            for quota in &scenario.quotas {
                let quota = scenario.quota(quota);
                let namespace = quota.namespace.clone().unwrap_or_default();
                let mut hard = json!({});
                for (name, value) in hard_of(&quota) {
                    hard[name] = value.into();
                }
                let key = Key::new(Kind::ResourceQuota, &namespace, &quota.name);
                ensure(store, &key, now, || json!({"spec": {"hard": hard}, "status": {"hard": hard, "used": {}}}));
            }
            if let Some(text) = autoscaler_status(scenario, now) {
                let key = Key::new(Kind::ConfigMap, "kube-system", "cluster-autoscaler-status");
                ensure(store, &key, now, || json!({"data": {"status": text}}));
            }
        });
        let mut machines = Self {
            namespace: scenario.operator.namespace.clone(),
            release: scenario.operator.version,
            lives: true,
            renewed: 0,
            used: BTreeMap::new(),
        };
        machines.operator(server, server.world().now());
        machines
    }

    /// The operator does its work.
    pub fn operator_lives(&self) -> bool {
        self.lives
    }

    /// Brings the operator's objects and what quotas count in line with the world.
    pub fn sync(&mut self, server: &ApiServer, now: i64) {
        let (gone, used, quotas) = server.world().with(|w| {
            (w.faults().operator_gone(), if w.quotas.is_empty() { BTreeMap::new() } else { w.used() }, w.quotas.clone())
        });
        if gone == self.lives {
            self.lives = !gone;
            self.operator(server, now);
        } else if self.lives && now - self.renewed >= RENEW {
            self.lease(server, now);
        }
        for quota in quotas {
            let namespace = quota.namespace.clone().unwrap_or_default();
            let taken = used.get(&namespace).copied().unwrap_or_default();
            let seen = (taken.cpu, taken.memory, taken.pods);
            if self.used.insert(quota.name.clone(), seen) == Some(seen) {
                continue;
            }
            let all = json!({"requests.cpu": cores(taken.cpu), "requests.memory": mebibytes(taken.memory), "pods": taken.pods.to_string()});
            let mut counted = json!({});
            for (name, _) in hard_of(&quota) {
                counted[name] = all[name].clone();
            }
            server.with_store(|store, now| {
                let key = Key::new(Kind::ResourceQuota, &namespace, &quota.name);
                for part in [Part::Main, Part::Status] {
                    let _ = store.update(&key, part, now, Write::Real, |object| {
                        object["status"]["used"] = counted.clone();
                        object["status"]["hard"] = object["spec"]["hard"].clone();
                        Ok(())
                    });
                }
            });
        }
    }

    /// A node or a quota was changed through the API.
    pub fn changed(&self, server: &ApiServer, change: &Change) {
        let (name, object) = (change.key.name.as_str(), &change.after);
        server.world().with(|world| match change.key.kind {
            Kind::Node if change.removed => world.nodes.retain(|node| node.name != name),
            Kind::Node => match world.nodes.iter_mut().find(|node| node.name == name) {
                Some(node) => read_node(node, object),
                None => {
                    let mut node = Node { name: name.to_owned(), ..Node::of(&Default::default()).remove(0) };
                    read_node(&mut node, object);
                    world.nodes.push(node);
                }
            },
            Kind::ResourceQuota => {
                world
                    .quotas
                    .retain(|quota| quota.name != name || quota.namespace.as_deref() != Some(&change.key.namespace));
                if !change.removed {
                    world.quotas.push(read_quota(&change.key, object));
                }
            }
            _ => {}
        });
    }

    fn operator(&mut self, server: &ApiServer, now: i64) {
        let (namespace, ready) = (self.namespace.as_str(), u8::from(self.lives));
        let labels = json!({"app.kubernetes.io/name": OPERATOR});
        let version = self.release.to_string();
        let image = format!("apache/flink-kubernetes-operator:{version}");
        let container =
            json!({"name": OPERATOR, "image": image, "resources": {"requests": {"cpu": "200m", "memory": "512Mi"}}});
        let pod = Key::new(Kind::Pod, namespace, &format!("{OPERATOR}-6c9f7d5b8-x2k4q"));
        let node = server.world().with(|w| w.nodes.first().map(|n| n.name.clone()));
        server.with_store(|store, now| {
            let mut meta = labels.clone();
            meta["app.kubernetes.io/version"] = version.as_str().into();
            put(store, &Key::new(Kind::Deployment, namespace, OPERATOR), now, json!({
                "metadata": {"labels": meta},
                "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}},
                "status": {"replicas": 1, "updatedReplicas": 1, "readyReplicas": ready, "availableReplicas": ready, "unavailableReplicas": 1 - ready},
            }), true);
            if self.lives {
                put(store, &pod, now, json!({
                    "metadata": {"labels": labels},
                    "spec": {"nodeName": node, "containers": [container]},
                    "status": {"phase": "Running", "startTime": rfc3339(now), "containerStatuses": [{
                        "name": OPERATOR, "image": image, "imageID": "", "ready": true, "started": true, "restartCount": 0,
                        "state": {"running": {"startedAt": rfc3339(now)}}, "lastState": {}}]},
                }), true);
            } else {
                let _ = store.delete(&pod, now, Write::Real);
            }
        });
        if self.lives {
            self.lease(server, now);
        }
    }

    /// Held as long as the operator lives; one that is not renewed tells of its death.
    fn lease(&mut self, server: &ApiServer, now: i64) {
        self.renewed = now;
        let at = chrono::DateTime::from_timestamp_millis(now).unwrap_or_default();
        let at = at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let key = Key::new(Kind::Lease, &self.namespace, "flink-operator-lease");
        server.with_store(|store, now| {
            let holder = format!("{OPERATOR}-6c9f7d5b8-x2k4q");
            let body = json!({"spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": at, "leaseTransitions": 0}});
            put(store, &key, now, body, true);
        });
    }
}

fn read_node(node: &mut Node, object: &Value) {
    let amount = |name: &str| object.pointer(&format!("/status/allocatable/{name}")).and_then(Value::as_str);
    node.unschedulable = object.pointer("/spec/unschedulable").and_then(Value::as_bool).unwrap_or(false);
    if let Some(cpu) = amount("cpu").and_then(read_cores) {
        node.cpu = cpu;
    }
    if let Some(memory) = amount("memory").and_then(spec::bytes) {
        node.memory = memory;
    }
    if let Some(pods) = amount("pods").and_then(|p| p.parse().ok()) {
        node.pods = pods;
    }
    let taints = object.pointer("/spec/taints").and_then(Value::as_array);
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    node.taints = taints
        .into_iter()
        .flatten()
        .map(|t| Taint { key: text(t, "key"), value: text(t, "value"), effect: text(t, "effect") })
        // A cordon shows as a taint too.
        .filter(|t| t.key != "node.kubernetes.io/unschedulable")
        .collect();
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    node.labels = labels.into_iter().flatten().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect();
}

fn read_cores(text: &str) -> Option<u64> {
    match text.strip_suffix('m') {
        Some(thousandths) => thousandths.parse().ok(),
        None => text.parse::<f64>().ok().map(|cores| (cores * 1_000.0) as u64),
    }
}

fn read_quota(key: &Key, object: &Value) -> QuotaSpec {
    let hard = |names: [&str; 2]| {
        let all = object.pointer("/spec/hard")?;
        names.iter().find_map(|name| all.get(name)).and_then(Value::as_str).map(str::to_owned)
    };
    QuotaSpec {
        name: key.name.clone(),
        namespace: Some(key.namespace.clone()),
        cpu: hard(["requests.cpu", "cpu"]).and_then(|t| read_cores(&t)).map(|c| c as f64 / 1_000.0),
        memory: hard(["requests.memory", "memory"]).and_then(|t| spec::bytes(&t)),
        pods: hard(["pods", "count/pods"]).and_then(|t| t.parse().ok()),
    }
}

fn hard_of(quota: &QuotaSpec) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    all.extend(quota.cpu.map(|cpu| ("requests.cpu", cores((cpu * 1_000.0) as u64))));
    all.extend(quota.memory.map(|memory| ("requests.memory", mebibytes(memory))));
    all.extend(quota.pods.map(|pods| ("pods", pods.to_string())));
    all
}

fn node_document(node: &Node, now: i64) -> Value {
    let amounts = |cpu: u64, memory: u64| json!({"cpu": cores(cpu), "memory": format!("{}Ki", memory >> 10), "pods": node.pods.to_string(), "ephemeral-storage": "100Gi"});
    let taints: Vec<Value> =
        node.taints.iter().map(|t| json!({"key": t.key, "value": t.value, "effect": t.effect})).collect();
    let mut spec = json!({});
    if !taints.is_empty() {
        spec["taints"] = taints.into();
    }
    if node.unschedulable {
        spec["unschedulable"] = true.into();
    }
    let condition = |kind: &str, status: &str, reason: &str| json!({"type": kind, "status": status, "reason": reason, "lastHeartbeatTime": rfc3339(now), "lastTransitionTime": rfc3339(now)});
    json!({
        "metadata": {"labels": node.labels}, "spec": spec,
        "status": {
            "capacity": amounts(node.cpu_capacity, node.memory_capacity), "allocatable": amounts(node.cpu, node.memory),
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID"), condition("Ready", "True", "KubeletReady"),
            ],
            "addresses": [{"type": "Hostname", "address": node.name}],
            "nodeInfo": {"kubeletVersion": "v1.33.1", "osImage": "embedded", "architecture": "amd64", "operatingSystem": "linux",
                "containerRuntimeVersion": "containerd://2.0.5", "kernelVersion": "6.6.0"},
        },
    })
}

/// What others request on a node, as one pod.
fn system_pod(node: &Node, now: i64) -> Value {
    let requests = json!({"cpu": cores(node.others_cpu), "memory": mebibytes(node.others_memory)});
    json!({
        "metadata": {"labels": {"k8s-app": "system"}},
        "spec": {"nodeName": node.name, "containers": [{"name": "system", "image": "registry.k8s.io/pause:3.10", "resources": {"requests": requests}}],
            "tolerations": [{"operator": "Exists"}]},
        "status": {"phase": "Running", "startTime": rfc3339(now), "containerStatuses": [{
            "name": "system", "image": "registry.k8s.io/pause:3.10", "imageID": "", "ready": true, "started": true, "restartCount": 0,
            "state": {"running": {"startedAt": rfc3339(now)}}, "lastState": {}}]},
    })
}

/// The status of a Cluster Autoscaler whose pools can grow (`operator.md` §8.4); none if no pool can.
fn autoscaler_status(scenario: &Scenario, now: i64) -> Option<String> {
    let mut pools: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for node in &scenario.nodes {
        let Some(most) = node.pool_max else { continue };
        let pool = pools.entry(&node.pool).or_default();
        *pool = (pool.0 + node.count.max(1), pool.1.max(most));
    }
    if pools.is_empty() {
        return None;
    }
    let at = chrono::DateTime::from_timestamp_millis(now).unwrap_or_default();
    let total: u32 = pools.values().map(|(size, _)| size).sum();
    match scenario.cluster_autoscaler {
        CaStatus::Text => {
            let counts = |n: u32| {
                format!(
                    "ready={n} unready=0 (resourceUnready=0) notStarted=0 longNotStarted=0 registered={n} longUnregistered=0"
                )
            };
            let when = at.format("%Y-%m-%d %H:%M:%S +0000 UTC");
            let mut text = format!(
                "Cluster-autoscaler status at {when}:\nCluster-wide:\n  Health:      Healthy ({})\nNodeGroups:\n",
                counts(total)
            );
            for (name, (size, most)) in pools {
                text.push_str(&format!(
                    "  Name:        {name}\n  Health:      Healthy ({} cloudProviderTarget={size} (minSize=0, maxSize={most}))\n  \
                     ScaleUp:     NoActivity (ready={size} cloudProviderTarget={size})\n  ScaleDown:   NoCandidates (candidates=0)\n\n",
                    counts(size)
                ));
            }
            Some(text)
        }
        CaStatus::Yaml => {
            let when = at.format("%Y-%m-%d %H:%M:%S.%9f +0000 UTC");
            let mut text = format!(
                "time: {when}\nautoscalerStatus: Running\nclusterWide:\n  health:\n    status: Healthy\nnodeGroups:\n"
            );
            for (name, (size, most)) in pools {
                text.push_str(&format!(
                    "- name: {name}\n  health:\n    status: Healthy\n    nodeCounts:\n      registered:\n        total: {size}\n        ready: {size}\n        \
                     notStarted: 0\n      longUnregistered: 0\n      unregistered: 0\n    cloudProviderTarget: {size}\n    minSize: 0\n    \
                     maxSize: {most}\n  scaleUp:\n    status: NoActivity\n  scaleDown:\n    status: NoCandidates\n"
                ));
            }
            Some(text)
        }
    }
}
