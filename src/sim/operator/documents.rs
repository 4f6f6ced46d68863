//! Objects of a Flink cluster as Kubernetes shows them (`operator.md` §6.1): pure functions from the world to JSON.

use serde_json::{Map, Value, json};

use super::spec;
use crate::sim::kubernetes::kinds::Kind;
use crate::sim::kubernetes::store::{Key, rfc3339};
use crate::sim::nodes::{cores, mebibytes};
use crate::sim::pod::{Component, Container, Pod, Termination};

/// Name of the one container of every Flink pod.
pub(super) const CONTAINER: &str = "flink-main-container";

/// How far a cluster is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Going {
    /// It is not.
    No,
    /// The JobManager is scaled to zero.
    JobManager,
    /// The Deployment is deleted in the foreground.
    Deployment,
}

/// A cluster as the world has it.
#[derive(Debug)]
pub(super) struct Picture {
    pub name: String,
    pub namespace: String,
    pub image: String,
    pub replica_set: String,
    pub going: Going,
    /// The JobManager answers.
    pub up: bool,
    /// Pods that exist.
    pub pods: Vec<Pod>,
    /// Why the JobManager's pod may not be created.
    pub refused: Option<String>,
}

pub(super) fn labels(name: &str, component: &str) -> Value {
    let mut labels = json!({"app": name, "type": "flink-native-kubernetes"});
    if !component.is_empty() {
        labels["component"] = component.into();
    }
    labels
}

/// A reference to an owner.
pub(super) fn owner_of(key: &Key, uid: &str, controller: bool) -> Value {
    json!({
        "apiVersion": key.kind.api_version(), "kind": key.kind.info().name, "name": key.name, "uid": uid,
        "blockOwnerDeletion": true, "controller": controller,
    })
}

fn resources(pod: &Pod) -> Value {
    let all = json!({"cpu": cores(pod.needs.cpu), "memory": mebibytes(pod.needs.memory)});
    json!({"requests": all, "limits": all})
}

fn pod_spec(picture: &Picture, pod: &Pod, service_account: &str) -> Value {
    let job_manager = pod.component == Component::JobManager;
    let ports = if job_manager {
        json!([{"name": "rest", "containerPort": 8081, "protocol": "TCP"}, {"name": "jobmanager-rpc", "containerPort": 6123, "protocol": "TCP"},
            {"name": "blobserver", "containerPort": 6124, "protocol": "TCP"}])
    } else {
        json!([{"name": "taskmanager-rpc", "containerPort": 6122, "protocol": "TCP"}])
    };
    let mut container = json!({
        "name": CONTAINER, "image": picture.image, "imagePullPolicy": "IfNotPresent", "command": ["/docker-entrypoint.sh"],
        "args": ["bash", "-c", if job_manager { "kubernetes-jobmanager.sh kubernetes-application" } else { "kubernetes-taskmanager.sh" }],
        "ports": ports, "resources": resources(pod),
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
    });
    if job_manager {
        container["startupProbe"] = json!({
            "httpGet": {"path": "/config", "port": "rest", "scheme": "HTTP"}, "periodSeconds": 1, "failureThreshold": 2_147_483_647,
            "successThreshold": 1, "timeoutSeconds": 1,
        });
    }
    let mut spec = json!({
        "containers": [container], "restartPolicy": if job_manager { "Always" } else { "Never" }, "serviceAccountName": service_account,
        "serviceAccount": service_account, "schedulerName": "default-scheduler", "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst", "securityContext": {}, "enableServiceLinks": true, "priority": 0,
    });
    if !pod.needs.selector.is_empty() {
        spec["nodeSelector"] = json!(pod.needs.selector);
    }
    let tolerations: Vec<Value> = pod
        .needs
        .tolerations
        .iter()
        .map(|t| {
            let mut all = json!({"key": t.key, "operator": if t.value.is_some() { "Equal" } else { "Exists" }});
            if let Some(value) = &t.value {
                all["value"] = value.as_str().into();
            }
            if let Some(effect) = &t.effect {
                all["effect"] = effect.as_str().into();
            }
            all
        })
        .collect();
    if !tolerations.is_empty() {
        spec["tolerations"] = tolerations.into();
    }
    spec
}

/// A pod.
pub(super) fn pod(picture: &Picture, pod: &Pod, owner: &Value, service_account: &str, uid: &str) -> Value {
    let mut spec = pod_spec(picture, pod, service_account);
    if let Some(node) = &pod.node {
        spec["nodeName"] = node.as_str().into();
    }
    let mut labels = labels(&picture.name, pod.component.word());
    if pod.component == Component::JobManager {
        labels["pod-template-hash"] = picture.replica_set.as_str().into();
    }
    json!({
        "metadata": {"labels": labels, "ownerReferences": [owner]}, "spec": spec,
        "status": pod_status(picture, pod, uid),
    })
}

fn pod_status(picture: &Picture, pod: &Pod, uid: &str) -> Value {
    let ready = pod.is_running() && (pod.component == Component::TaskManager || picture.up);
    let at = |millis: i64| rfc3339(millis);
    let since = match &pod.container {
        Container::Running { since } => *since,
        Container::Terminated(how) => how.finished,
        _ => pod.scheduled.unwrap_or(pod.created),
    };
    let condition = |kind: &str, holds: bool, at: i64, why: Option<(&str, &str)>| {
        let mut condition = json!({
            "type": kind, "status": if holds { "True" } else { "False" }, "lastProbeTime": null, "lastTransitionTime": rfc3339(at),
        });
        if let Some((reason, message)) = why {
            condition["reason"] = reason.into();
            condition["message"] = message.into();
        }
        condition
    };
    let mut status = json!({"phase": pod.phase(), "qosClass": "Guaranteed"});
    if let Container::Unscheduled { why } = &pod.container {
        let told = (!why.is_empty()).then_some(("Unschedulable", why.as_str()));
        status["conditions"] = json!([condition("PodScheduled", false, pod.created, told)]);
        return status;
    }
    let scheduled = pod.scheduled.unwrap_or(pod.created);
    let unready = (!ready).then_some(("ContainersNotReady", "containers with unready status: [flink-main-container]"));
    status["conditions"] = json!([
        condition("Initialized", true, scheduled, None),
        condition("Ready", ready, since, unready),
        condition("ContainersReady", ready, since, unready),
        condition("PodScheduled", true, scheduled, None),
    ]);
    status["startTime"] = at(scheduled).into();
    status["hostIP"] = "10.0.0.10".into();
    status["podIP"] = address(&pod.name).into();
    status["podIPs"] = json!([{"ip": address(&pod.name)}]);
    let state = match &pod.container {
        Container::Running { since } => json!({"running": {"startedAt": at(*since)}}),
        Container::Terminated(how) => json!({"terminated": terminated(how)}),
        _ => match pod.waiting(&picture.namespace) {
            Some((reason, message)) => {
                json!({"waiting": {"reason": reason, "message": message.replace("{uid}", uid)}})
            }
            None => json!({"waiting": {"reason": "ContainerCreating"}}),
        },
    };
    let last = match (&pod.last, &pod.container) {
        (Some(how), container) if !matches!(container, Container::Terminated(_)) => {
            json!({"terminated": terminated(how)})
        }
        _ => json!({}),
    };
    status["containerStatuses"] = json!([{
        "name": CONTAINER, "image": picture.image, "imageID": "", "ready": ready, "started": pod.is_running(),
        "restartCount": pod.restarts, "state": state, "lastState": last,
    }]);
    status
}

fn terminated(how: &Termination) -> Value {
    json!({
        "exitCode": how.exit_code, "reason": how.reason, "startedAt": rfc3339(how.started), "finishedAt": rfc3339(how.finished),
    })
}

/// An address that follows from the name.
fn address(name: &str) -> String {
    let hash = crate::sim::noise::hash128(&["address", name]) as u32;
    format!("10.{}.{}.{}", 1 + (hash >> 16 & 0x3f), hash >> 8 & 0xff, 1 + hash % 250)
}

/// The Deployment of the JobManager.
pub(super) fn deployment(picture: &Picture, object: &Value, owner: &Value) -> Value {
    let generation = object.pointer("/metadata/generation").cloned().unwrap_or_default();
    let wanted = u8::from(picture.going == Going::No);
    let running = picture.pods.iter().any(|p| p.component == Component::JobManager && p.deleted.is_none());
    let available = u8::from(picture.up && running);
    let template = picture.pods.iter().find(|p| p.component == Component::JobManager).map(|pod| {
        json!({
            "metadata": {"labels": labels(&picture.name, "jobmanager")},
            "spec": pod_spec(picture, pod, service_account(object)),
        })
    });
    let condition = |kind: &str, status: bool, reason: &str, message: &str| json!({"type": kind, "status": if status { "True" } else { "False" }, "reason": reason, "message": message});
    let mut conditions = vec![match available {
        1 => condition("Available", true, "MinimumReplicasAvailable", "Deployment has minimum availability."),
        _ => condition(
            "Available",
            false,
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        ),
    }];
    if let Some(why) = &picture.refused {
        conditions.push(condition("ReplicaFailure", true, "FailedCreate", why));
    }
    let mut status = json!({"observedGeneration": 1, "conditions": conditions});
    if running {
        for name in ["replicas", "updatedReplicas"] {
            status[name] = 1.into();
        }
        if available == 1 {
            status["readyReplicas"] = 1.into();
            status["availableReplicas"] = 1.into();
        } else {
            status["unavailableReplicas"] = 1.into();
        }
    }
    let mut spec = json!({
        "replicas": wanted, "selector": {"matchLabels": labels(&picture.name, "jobmanager")}, "strategy": {"type": "Recreate"},
        "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
    });
    if let Some(template) = template {
        spec["template"] = template;
    }
    json!({
        "metadata": {"labels": labels(&picture.name, "jobmanager"), "ownerReferences": [owner], "annotations": {
            "deployment.kubernetes.io/revision": "1", "flinkdeployment.flink.apache.org/generation": generation.to_string(),
        }},
        "spec": spec, "status": status,
    })
}

/// The ReplicaSet of the JobManager.
pub(super) fn replica_set(picture: &Picture, owner: &Value) -> Value {
    let wanted = u8::from(picture.going == Going::No);
    let running = u8::from(picture.pods.iter().any(|p| p.component == Component::JobManager));
    let mut all = labels(&picture.name, "jobmanager");
    all["pod-template-hash"] = picture.replica_set.as_str().into();
    json!({
        "metadata": {"labels": all, "ownerReferences": [owner], "annotations": {
            "deployment.kubernetes.io/desired-replicas": "1", "deployment.kubernetes.io/revision": "1"}},
        "spec": {"replicas": wanted, "selector": {"matchLabels": all}},
        "status": {"replicas": running, "fullyLabeledReplicas": running, "readyReplicas": u8::from(picture.up), "availableReplicas": u8::from(picture.up)},
    })
}

/// Services and ConfigMaps that the JobManager's Deployment owns, made once.
pub(super) fn fixtures(picture: &Picture, object: &Value, owner: &Value) -> Vec<(Key, Value)> {
    let (name, namespace) = (picture.name.as_str(), picture.namespace.as_str());
    let meta = json!({"labels": labels(name, ""), "ownerReferences": [owner]});
    let selector = labels(name, "jobmanager");
    let port = |name: &str, port: u16| json!({"name": name, "port": port, "protocol": "TCP", "targetPort": port});
    let config = spec::configuration(&object["spec"]);
    let lines: Vec<String> = config.iter().map(|(k, v)| format!("{k}: {v}")).collect();
    let new = spec::text(object, "/spec/flinkVersion").is_some_and(|v| v.starts_with("v2"));
    let file = if new { "config.yaml" } else { "flink-conf.yaml" };
    let mut data = Map::new();
    data.insert(file.to_owned(), lines.join("\n").into());
    data.insert("log4j-console.properties".to_owned(), "rootLogger.level = INFO".into());
    data.insert("logback-console.xml".to_owned(), "<configuration/>".into());
    let key = |kind, name: &str| Key::new(kind, namespace, name);
    let ha = config.get("high-availability.type").is_some_and(|t| !t.eq_ignore_ascii_case("none"));
    let mut all = vec![
        (
            key(Kind::Service, &format!("{name}-rest")),
            json!({"metadata": meta, "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.10", "selector": selector, "ports": [port("rest", 8081)]}}),
        ),
        (key(Kind::ConfigMap, &format!("flink-config-{name}")), json!({"metadata": meta, "data": data})),
        (
            key(Kind::ConfigMap, &format!("pod-template-{name}")),
            json!({"metadata": meta, "data": {"taskmanager-pod-template.yaml": "---\napiVersion: \"v1\"\nkind: \"Pod\"\n"}}),
        ),
    ];
    if !ha {
        all.push((
            key(Kind::Service, name),
            json!({"metadata": meta, "spec": {"type": "ClusterIP", "clusterIP": "None", "selector": selector,
                "ports": [port("jobmanager-rpc", 6123), port("blobserver", 6124)]}}),
        ));
    }
    all
}

/// The account that the pods run as.
pub(super) fn service_account(object: &Value) -> &str {
    spec::text(object, "/spec/serviceAccount").unwrap_or("default")
}
