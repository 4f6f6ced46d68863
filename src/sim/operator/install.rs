//! The resources of a scenario, as somebody applied them long ago.

use serde_json::{Value, json};

use super::Blueprints;
use super::spec::default_parallelism;
use crate::sim::kubernetes::ApiServer;
use crate::sim::kubernetes::kinds::Kind;
use crate::sim::kubernetes::managed::Author;
use crate::sim::kubernetes::store::{Key, Write};
use crate::sim::scenario::{Scenario, UpgradeMode, Workload};
use crate::sim::spec::{ClusterKind, ClusterSpec, Scheduler};

/// Field manager of whoever applied them.
const APPLIED: &str = "kubectl-client-side-apply";

/// Creates every resource of the scenario; returns each with the name of the job that it runs, if it runs one.
pub(super) fn resources(server: &ApiServer, scenario: &Scenario) -> Vec<(Key, Option<String>)> {
    server.create_namespace(&scenario.namespace);
    let mut all = Vec::new();
    for cluster in scenario.clusters.iter().filter(|c| c.kind == ClusterKind::Session) {
        all.push((create(server, scenario, Kind::FlinkDeployment, &cluster.name, deployment(cluster, None)), None));
    }
    for workload in scenario.workloads.iter().filter(|w| !w.unmanaged) {
        let name = workload.name.get_ref().clone();
        if let Some(cluster) = scenario.application_cluster(workload).filter(|_| workload.copies > 0) {
            for copy in workload.deployments() {
                let spec = deployment(&ClusterSpec { name: copy.clone(), ..cluster.clone() }, Some(workload));
                all.push((create(server, scenario, Kind::FlinkDeployment, &copy, spec), Some(copy)));
            }
            continue;
        }
        let (kind, spec) = match scenario.application_cluster(workload) {
            Some(cluster) => (Kind::FlinkDeployment, deployment(&cluster, Some(workload))),
            None => {
                let session = scenario.clusters.iter().find(|c| c.name == workload.cluster_name());
                if session.is_none_or(|c| c.kind != ClusterKind::Session) {
                    continue;
                }
                let spec = json!({
                    "deploymentName": workload.cluster_name(), "job": job(workload),
                    "flinkConfiguration": {
                        "job.autoscaler.enabled": "false",
                        "execution.checkpointing.dir": format!("file:///flink-data/checkpoints/{name}"),
                        "execution.checkpointing.savepoint-dir": format!("file:///flink-data/savepoints/{name}"),
                    },
                });
                (Kind::FlinkSessionJob, spec)
            }
        };
        all.push((create(server, scenario, kind, &name, spec), Some(name)));
    }
    for snapshot in &scenario.snapshots {
        let kind = if scenario.workloads.iter().any(|w| *w.name.get_ref() == snapshot.job && w.cluster.is_some()) {
            "FlinkSessionJob"
        } else {
            "FlinkDeployment"
        };
        let mut spec = json!({"jobReference": {"kind": kind, "name": snapshot.job}});
        spec[if snapshot.checkpoint { "checkpoint" } else { "savepoint" }] = json!({});
        create(server, scenario, Kind::FlinkStateSnapshot, &snapshot.name, spec);
    }
    all
}

/// What the scenario knows beyond the resources.
pub(super) fn blueprints(scenario: &Scenario) -> Blueprints {
    let mut blueprints = Blueprints::default();
    for cluster in &scenario.clusters {
        blueprints.clusters.insert(cluster.name.clone(), cluster.clone());
    }
    for workload in &scenario.workloads {
        let name = workload.name.get_ref().clone();
        if let Some(cluster) = scenario.application_cluster(workload) {
            for deployment in workload.deployments() {
                blueprints.clusters.insert(deployment, cluster.clone());
            }
        }
        blueprints.jobs.insert(name, workload.job());
    }
    blueprints
}

fn create(server: &ApiServer, scenario: &Scenario, kind: Kind, name: &str, spec: Value) -> Key {
    let key = Key::new(kind, &scenario.namespace, name);
    let mut meta = json!({"finalizers": [format!("{}/finalizer", kind.resource())]});
    if let Some(session) = spec.get("deploymentName") {
        meta["labels"] = json!({"target.session": session});
    }
    let created = server.with_store_as(Author::new(APPLIED), |store, now| {
        store.create(key.clone(), json!({"metadata": meta, "spec": spec}), now, Write::Real)
    });
    if let Err(failure) = created {
        tracing::warn!("{name} of the scenario was not created: {}", failure.message);
    }
    key
}

fn deployment(cluster: &ClusterSpec, workload: Option<&Workload>) -> Value {
    let version = cluster.version;
    let mut config = serde_json::Map::new();
    let mut set = |key: &str, value: String| {
        config.entry(key.to_owned()).or_insert(Value::String(value));
    };
    for (key, value) in &cluster.config {
        set(key, value.clone());
    }
    set("taskmanager.numberOfTaskSlots", cluster.taskmanagers.slots.to_string());
    if cluster.scheduler == Scheduler::Adaptive {
        set("jobmanager.scheduler", "adaptive".to_owned());
    }
    if let Some(workload) = workload {
        set("execution.checkpointing.dir", format!("file:///flink-data/checkpoints/{}", cluster.name));
        set("execution.checkpointing.savepoint-dir", format!("file:///flink-data/savepoints/{}", cluster.name));
        if let Some(interval) = workload.job().checkpoints.interval {
            set("execution.checkpointing.interval", format!("{interval} ms"));
        }
    }
    let memory = |bytes: u64| format!("{}m", bytes >> 20);
    let mut spec = json!({
        "image": format!("flink:{}.{}", version.major, version.minor), "flinkVersion": format!("v{}_{}", version.major, version.minor),
        "serviceAccount": "flink", "flinkConfiguration": config,
        "jobManager": {"resource": {"cpu": 1.0, "memory": "2048m"}},
        "taskManager": {"resource": {"cpu": cluster.taskmanagers.cpu, "memory": memory(cluster.taskmanagers.memory)}},
    });
    if let Some(workload) = workload {
        spec["job"] = job(workload);
    }
    spec
}

fn job(workload: &Workload) -> Value {
    let name = workload.name.get_ref();
    let mode = match workload.upgrade_mode {
        UpgradeMode::Stateless => "stateless",
        UpgradeMode::LastState => "last-state",
        UpgradeMode::Savepoint => "savepoint",
    };
    json!({
        "jarURI": format!("local:///opt/flink/usrlib/{name}.jar"), "parallelism": default_parallelism(&workload.job()),
        "state": "running", "upgradeMode": mode,
    })
}
