//! What a FlinkDeployment brings along (`operator.md` §6.1): Deployment, pods, services and ConfigMaps, as the world has them.

use serde_json::{Value, json};

use super::spec;
use crate::sim::kubernetes::ApiServer;
use crate::sim::kubernetes::kinds::Kind;
use crate::sim::kubernetes::store::{Key, Part, Store, Write, rfc3339};

/// A pod as the world has it.
struct Pod {
    name: String,
    component: &'static str,
    since: Option<i64>,
    cpu: f64,
    memory: u64,
    ip: String,
}

/// Brings the objects of a cluster in line with the world.
pub(super) fn sync(server: &ApiServer, owner: &Key, uid: &str, object: &Value) {
    let name = owner.name.clone();
    let cluster = server.world().with(|world| {
        world.cluster(&name).map(|cluster| {
            let job_manager = (cluster.is_up(), world.now());
            let tm = &cluster.spec.taskmanagers;
            let mut pods: Vec<Pod> = cluster
                .taskmanagers
                .iter()
                .filter(|t| t.lost.is_none())
                .map(|t| Pod {
                    name: t.id.clone(),
                    component: "taskmanager",
                    since: Some(t.registered),
                    cpu: tm.cpu,
                    memory: tm.memory,
                    ip: t.host.replace('-', "."),
                })
                .collect();
            let next = cluster.taskmanagers.iter().map(|t| t.number).max().unwrap_or_default() + 1;
            for (n, _) in cluster.starting.iter().enumerate() {
                pods.push(Pod {
                    name: format!("{name}-taskmanager-1-{}", next + n as u64),
                    component: "taskmanager",
                    since: None,
                    cpu: tm.cpu,
                    memory: tm.memory,
                    ip: String::new(),
                });
            }
            (job_manager, pods)
        })
    });
    let key = |kind, name: &str| Key::new(kind, &owner.namespace, name);
    let deployment = key(Kind::Deployment, &name);
    server.with_store(|store, now| {
        let has_job = object.pointer("/spec/job").is_some_and(Value::is_object);
        if has_job || owner.kind == Kind::FlinkSessionJob {
            ensure(store, &key(Kind::ConfigMap, &format!("autoscaler-{name}")), now, || {
                json!({"metadata": {"labels": {"app": name, "component": "autoscaler"}, "ownerReferences": [owner_of(owner, uid)]}, "data": {}})
            });
        }
        if owner.kind != Kind::FlinkDeployment {
            return;
        }
        let Some(((up, _), mut pods)) = cluster else {
            // What the Deployment owns goes with it.
            let _ = store.delete(&deployment, now, Write::Real);
            return;
        };
        let labels = |component: &str| {
            let mut labels = json!({"app": name, "type": "flink-native-kubernetes"});
            if !component.is_empty() {
                labels["component"] = component.into();
            }
            labels
        };
        let generation = object.pointer("/metadata/generation").cloned().unwrap_or_default();
        let ready = u8::from(up);
        put(
            store,
            &deployment,
            now,
            json!({
                "metadata": {"labels": labels("jobmanager"), "ownerReferences": [owner_of(owner, uid)],
                    "annotations": {"flinkdeployment.flink.apache.org/generation": generation.to_string()}},
                "spec": {"replicas": 1, "selector": {"matchLabels": labels("jobmanager")}},
                "status": {"replicas": 1, "readyReplicas": ready, "availableReplicas": ready},
            }),
        );
        let Some(deployment_uid) = store.get(&deployment).and_then(|d| spec::text(d, "/metadata/uid")).map(str::to_owned) else {
            return;
        };
        let by_deployment = json!([owner_of(&deployment, &deployment_uid)]);
        let resource = |pointer: &str| spec::text(object, pointer).and_then(spec::bytes).unwrap_or(2 << 30);
        pods.push(Pod {
            name: format!("{name}-{}", &deployment_uid.replace('-', "")[..10]),
            component: "jobmanager",
            since: up.then_some(now),
            cpu: object.pointer("/spec/jobManager/resource/cpu").and_then(Value::as_f64).unwrap_or(1.0),
            memory: resource("/spec/jobManager/resource/memory"),
            ip: "10.1.0.2".to_owned(),
        });
        for pod in &pods {
            let started = store.get(&key(Kind::Pod, &pod.name)).and_then(|p| p.pointer("/status/startTime").cloned());
            let started = started.unwrap_or_else(|| rfc3339(pod.since.unwrap_or(now)).into());
            let phase = if pod.since.is_some() { "Running" } else { "Pending" };
            let memory = format!("{}Mi", pod.memory >> 20);
            let limits = json!({"cpu": pod.cpu.to_string(), "memory": memory});
            put(
                store,
                &key(Kind::Pod, &pod.name),
                now,
                json!({
                    "metadata": {"labels": labels(pod.component), "ownerReferences": by_deployment},
                    "spec": {"containers": [{"name": "flink-main-container", "image": object.pointer("/spec/image"),
                        "resources": {"requests": limits, "limits": limits}}],
                        "restartPolicy": if pod.component == "jobmanager" { "Always" } else { "Never" }},
                    "status": {"phase": phase, "podIP": pod.ip, "startTime": started, "containerStatuses": [{
                        "name": "flink-main-container", "ready": pod.since.is_some(), "restartCount": 0,
                        "state": if pod.since.is_some() { json!({"running": {"startedAt": started}}) }
                            else { json!({"waiting": {"reason": "ContainerCreating"}}) }}]},
                }),
            );
        }
        let superfluous: Vec<Key> = store
            .list(Kind::Pod, &owner.namespace)
            .filter(|(k, pod)| {
                spec::text(pod, "/metadata/ownerReferences/0/uid") == Some(&deployment_uid)
                    && pods.iter().all(|p| p.name != k.name)
            })
            .map(|(k, _)| k.clone())
            .collect();
        for pod in superfluous {
            let _ = store.delete(&pod, now, Write::Real);
        }
        ensure(store, &key(Kind::Service, &format!("{name}-rest")), now, || {
            json!({"metadata": {"labels": labels(""), "ownerReferences": by_deployment},
                "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.10", "selector": labels("jobmanager"),
                    "ports": [{"name": "rest", "port": 8081, "protocol": "TCP", "targetPort": 8081}]}})
        });
        let config: Vec<String> =
            spec::configuration(&object["spec"]).iter().map(|(k, v)| format!("{k}: {v}")).collect();
        put(
            store,
            &key(Kind::ConfigMap, &format!("flink-config-{name}")),
            now,
            json!({"metadata": {"labels": labels(""), "ownerReferences": by_deployment},
                "data": {"flink-conf.yaml": config.join("\n")}}),
        );
    });
}

fn owner_of(key: &Key, uid: &str) -> Value {
    json!({
        "apiVersion": key.kind.api_version(), "kind": key.kind.info().name, "name": key.name, "uid": uid,
        "blockOwnerDeletion": true, "controller": false,
    })
}

/// Creates an object if it is not there.
fn ensure(store: &mut Store, key: &Key, now: i64, object: impl FnOnce() -> Value) {
    if store.get(key).is_none()
        && let Err(failure) = store.create(key.clone(), object(), now, Write::Real)
    {
        tracing::debug!("{} was not created: {}", key.name, failure.message);
    }
}

/// Creates or changes an object; one that is as it should be is left alone.
fn put(store: &mut Store, key: &Key, now: i64, desired: Value) {
    if store.get(key).is_none() {
        return ensure(store, key, now, || desired);
    }
    for part in [Part::Main, Part::Status] {
        let desired = &desired;
        let result = store.update(key, part, now, Write::Real, |object| {
            for name in ["spec", "status", "data"] {
                if let Some(value) = desired.get(name) {
                    object[name] = value.clone();
                }
            }
            if let Some(meta) = desired.get("metadata").and_then(Value::as_object) {
                for (name, value) in meta {
                    object["metadata"][name] = value.clone();
                }
            }
            Ok(())
        });
        if let Err(failure) = result {
            tracing::debug!("{} was not changed: {}", key.name, failure.message);
        }
    }
}
