//! Keeps the objects of every Flink cluster in line with the world, and tells the world of what people delete: the part of Kubernetes'
//! controllers, scheduler and kubelets.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use super::documents::{self, Going, Picture, owner_of};
use super::{events, spec};
use crate::sim::cluster::{Cluster, JobManager};
use crate::sim::kubernetes::ApiServer;
use crate::sim::kubernetes::kinds::Kind;
use crate::sim::kubernetes::store::deletion::{Deletion, Propagation};
use crate::sim::kubernetes::store::{Key, Part, Store, Write};
use crate::sim::pod::{Component, Container, Happening, Logged};
use crate::sim::spec::ClusterKind;

/// What is known of a cluster's objects.
#[derive(Debug)]
struct Known {
    namespace: String,
    replica_set: String,
    looks: u64,
    /// Uid of its Deployment, once there is one.
    deployment: Option<String>,
}

/// The objects of all clusters.
#[derive(Debug, Default)]
pub(super) struct Objects {
    known: BTreeMap<String, Known>,
}

impl Objects {
    /// Writes what changed since the last call.
    pub fn sync(&mut self, server: &ApiServer) {
        let known = &self.known;
        let (pictures, gone, told, logged) = server.world().with(|world| {
            let mut pictures = Vec::new();
            let mut told: Vec<(String, String, Vec<Happening>)> = Vec::new();
            let mut logged: Vec<(String, String, Vec<Logged>)> = Vec::new();
            let stuck: Vec<bool> = world.clusters().iter().map(|c| world.faults().pods_stuck(c.name())).collect();
            for (cluster, stuck) in world.clusters_mut().iter_mut().zip(stuck) {
                if cluster.spec.kind == ClusterKind::Plain {
                    continue;
                }
                if cluster.is_resting() && known.contains_key(cluster.name()) {
                    continue;
                }
                let looks = looks(cluster, stuck);
                if known.get(cluster.name()).is_none_or(|k| k.looks != looks) {
                    pictures.push((picture(cluster), looks, stuck));
                }
                let happenings = cluster.take_happenings();
                if !happenings.is_empty() {
                    told.push((cluster.name().to_owned(), cluster.spec.namespace.clone(), happenings));
                }
                let namespace = cluster.spec.namespace.clone();
                for pod in cluster.pods_mut().filter(|pod| !pod.log.is_empty()) {
                    logged.push((namespace.clone(), pod.name.clone(), pod.log.drain(..).collect()));
                }
            }
            let gone: Vec<String> = known.keys().filter(|name| world.cluster(name).is_none()).cloned().collect();
            (pictures, gone, told, logged)
        });
        for (picture, looks, stuck) in pictures {
            self.draw(server, &picture, looks, stuck);
        }
        for name in gone {
            self.erase(server, &name);
        }
        for (cluster, namespace, happenings) in told {
            for happening in happenings {
                tell(server, &cluster, &namespace, &happening);
            }
        }
        for (namespace, pod, lines) in logged {
            for line in lines {
                match line {
                    Logged::Line { at, text } => server.logs().write(&namespace, &pod, documents::CONTAINER, at, &text),
                    Logged::Restarted => server.logs().restart(&namespace, &pod, documents::CONTAINER),
                }
            }
        }
    }

    fn draw(&mut self, server: &ApiServer, picture: &Picture, looks: u64, stuck: bool) {
        let (name, namespace) = (picture.name.as_str(), picture.namespace.as_str());
        let key = |kind, name: &str| Key::new(kind, namespace, name);
        let owner_key = key(Kind::FlinkDeployment, name);
        let Some(owner) = server.get(&owner_key) else { return };
        let uid = spec::text(&owner, "/metadata/uid").unwrap_or_default();
        let mut known = self.known.remove(name).unwrap_or_else(|| Known {
            namespace: namespace.to_owned(),
            replica_set: String::new(),
            looks: 0,
            deployment: None,
        });
        if known.replica_set != picture.replica_set {
            // Another cluster of the same name.
            known = Known { replica_set: picture.replica_set.clone(), deployment: None, ..known };
        }
        known.looks = looks;
        let deployment_key = key(Kind::Deployment, name);
        let first = known.deployment.is_none();
        server.with_store(|store, now| {
            let document = documents::deployment(picture, &owner, &owner_of(&owner_key, uid, false));
            put(store, &deployment_key, now, document, first);
            let deployment_uid = uid_of(store, &deployment_key);
            if first {
                known.deployment.clone_from(&deployment_uid);
            }
            let Some(deployment_uid) = deployment_uid.filter(|uid| known.deployment.as_ref() == Some(uid)) else {
                return;
            };
            let by_deployment = owner_of(&deployment_key, &deployment_uid, true);
            let set_key = key(Kind::ReplicaSet, &format!("{name}-{}", picture.replica_set));
            put(store, &set_key, now, documents::replica_set(picture, &by_deployment), first);
            let by_set = uid_of(store, &set_key).map(|uid| owner_of(&set_key, &uid, true));
            if first {
                for (key, document) in documents::fixtures(picture, &owner, &by_deployment) {
                    ensure(store, &key, now, || document);
                }
            }
            draw_pods(store, picture, &owner, (&by_deployment, by_set.as_ref()), stuck, now);
            if picture.going == Going::Deployment {
                let deletion = Deletion { propagation: Propagation::Foreground, grace: None };
                let _ = store.delete_with(&deployment_key, deletion, now, Write::Real);
            }
        });
        if first {
            announce(server, picture);
        }
        if let Some(why) = &picture.refused {
            let set = key(Kind::ReplicaSet, &format!("{name}-{}", picture.replica_set));
            events::of_core(
                server,
                &set,
                true,
                "FailedCreate",
                &format!("Error creating: {why}"),
                "replicaset-controller",
            );
        }
        self.known.insert(name.to_owned(), known);
    }

    /// The cluster is gone, and so is what is left of its objects.
    fn erase(&mut self, server: &ApiServer, name: &str) {
        let Some(known) = self.known.remove(name) else { return };
        let key = Key::new(Kind::Deployment, &known.namespace, name);
        server.with_store(|store, now| {
            for pod in pods_of(store, &known.namespace, name, &known.replica_set) {
                free(store, &pod, now);
                let _ = store.delete(&pod, now, Write::Real);
            }
            if uid_of(store, &key) == known.deployment {
                let _ = store.delete(&key, now, Write::Real);
            }
        });
    }

    /// Somebody deleted an object: the world follows.
    pub fn deleted(&self, server: &ApiServer, key: &Key, object: &Value, removed: bool) {
        match key.kind {
            Kind::Pod => {
                server.world().with(|world| world.pod_deleted(&key.namespace, &key.name));
            }
            Kind::Deployment if removed => {
                let ours = self.known.get(&key.name).is_some_and(|known| {
                    known.namespace == key.namespace
                        && known.deployment.as_deref() == spec::text(object, "/metadata/uid")
                });
                if ours {
                    server.world().with(|world| world.shut_down(&key.name));
                }
            }
            _ => {}
        }
    }
}

fn draw_pods(
    store: &mut Store,
    picture: &Picture,
    owner: &Value,
    owners: (&Value, Option<&Value>),
    stuck: bool,
    now: i64,
) {
    let namespace = picture.namespace.as_str();
    for pod in &picture.pods {
        let key = Key::new(Kind::Pod, namespace, &pod.name);
        let uid = uid_of(store, &key).unwrap_or_default();
        let by = if pod.component == Component::JobManager { owners.1.unwrap_or(owners.0) } else { owners.0 };
        let mut document = documents::pod(picture, pod, by, documents::service_account(owner), &uid);
        document["metadata"]["finalizers"] = if stuck { json!([STUCK]) } else { json!([]) };
        put(store, &key, now, document, pod.deleted.is_none());
        if pod.deleted.is_some() {
            let _ = store.delete_with(&key, Deletion::default(), now, Write::Real);
        }
    }
    let superfluous: Vec<Key> = pods_of(store, namespace, &picture.name, &picture.replica_set)
        .into_iter()
        .filter(|key| picture.pods.iter().all(|pod| pod.name != key.name))
        .collect();
    for key in superfluous {
        free(store, &key, now);
        let _ = store.delete_with(&key, Deletion::AT_ONCE, now, Write::Real);
    }
}

/// What holds a pod that does not go.
const STUCK: &str = "storage.example.com/detach";

fn free(store: &mut Store, key: &Key, now: i64) {
    let _ = store.update(key, Part::Main, now, Write::Real, |object| {
        object["metadata"]["finalizers"] = json!([]);
        Ok(())
    });
}

/// The pods that a cluster's Deployment and ReplicaSet own.
fn pods_of(store: &Store, namespace: &str, cluster: &str, replica_set: &str) -> Vec<Key> {
    let owners = [(Kind::Deployment, cluster.to_owned()), (Kind::ReplicaSet, format!("{cluster}-{replica_set}"))];
    owners
        .into_iter()
        .filter_map(|(kind, name)| store.get(&Key::new(kind, namespace, &name)))
        .flat_map(|owner| store.owned_by(owner))
        .filter(|key| key.kind == Kind::Pod)
        .collect()
}

fn uid_of(store: &Store, key: &Key) -> Option<String> {
    store.get(key).and_then(|o| spec::text(o, "/metadata/uid").map(str::to_owned))
}

/// What can be seen of a cluster from outside, as one number: objects are written when it changes.
fn looks(cluster: &Cluster, stuck: bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    (going(cluster), cluster.is_up(), stuck, &cluster.replica_set).hash(&mut hasher);
    for pod in cluster.pods() {
        (&pod.name, &pod.node, pod.restarts, pod.deleted, &pod.refused).hash(&mut hasher);
        match &pod.container {
            Container::Unscheduled { why } => why.hash(&mut hasher),
            Container::Pulling { failures, fresh, .. } => (failures, fresh).hash(&mut hasher),
            Container::Creating { .. } => 1.hash(&mut hasher),
            Container::Running { since } => since.hash(&mut hasher),
            Container::BackOff { until } => (2, until).hash(&mut hasher),
            Container::Terminated(how) => (3, how.finished).hash(&mut hasher),
        }
    }
    hasher.finish()
}

fn going(cluster: &Cluster) -> Going {
    match cluster.jobmanager {
        JobManager::Stopping { .. } => Going::JobManager,
        JobManager::Gone { .. } => Going::Deployment,
        JobManager::Starting { .. } | JobManager::Up { .. } => Going::No,
    }
}

fn picture(cluster: &Cluster) -> Picture {
    Picture {
        name: cluster.name().to_owned(),
        namespace: cluster.spec.namespace.clone(),
        image: cluster.spec.image.clone(),
        replica_set: cluster.replica_set.clone(),
        going: going(cluster),
        up: cluster.is_up(),
        pods: cluster.pods().filter(|pod| pod.refused.is_none()).cloned().collect(),
        refused: cluster.jobmanager_pod.as_ref().and_then(|pod| pod.refused.clone()),
    }
}

/// The events of the controllers when a cluster is made.
fn announce(server: &ApiServer, picture: &Picture) {
    let key = |kind, name: &str| Key::new(kind, &picture.namespace, name);
    let set = format!("{}-{}", picture.name, picture.replica_set);
    let scaled = format!("Scaled up replica set {set} from 0 to 1");
    events::of_core(
        server,
        &key(Kind::Deployment, &picture.name),
        false,
        "ScalingReplicaSet",
        &scaled,
        "deployment-controller",
    );
    if let Some(pod) = picture.pods.iter().find(|p| p.component == Component::JobManager) {
        let created = format!("Created pod: {}", pod.name);
        events::of_core(
            server,
            &key(Kind::ReplicaSet, &set),
            false,
            "SuccessfulCreate",
            &created,
            "replicaset-controller",
        );
    }
}

fn tell(server: &ApiServer, _cluster: &str, namespace: &str, happening: &Happening) {
    let about = match happening.from {
        "kernel-monitor" => Key::new(Kind::Node, "", &happening.pod),
        _ => Key::new(Kind::Pod, namespace, &happening.pod),
    };
    let uid = server.get(&about).and_then(|o| spec::text(&o, "/metadata/uid").map(str::to_owned)).unwrap_or_default();
    let message = happening.message.replace("{uid}", &uid);
    events::of_core(server, &about, happening.warning, happening.reason, &message, happening.from);
}

/// Creates an object if it is not there.
pub(super) fn ensure(store: &mut Store, key: &Key, now: i64, object: impl FnOnce() -> Value) {
    if store.get(key).is_none()
        && let Err(failure) = store.create(key.clone(), object(), now, Write::Real)
    {
        tracing::debug!("{} was not created: {}", key.name, failure.message);
    }
}

/// Changes an object, or creates it if it may be; one that is as it should be is left alone.
pub(super) fn put(store: &mut Store, key: &Key, now: i64, desired: Value, create: bool) {
    if store.get(key).is_none() {
        if create {
            let status = desired.get("status").cloned();
            ensure(store, key, now, || desired);
            if let Some(status) = status.filter(|_| key.kind.info().status) {
                let _ = store.update(key, Part::Status, now, Write::Real, |object| {
                    object["status"] = status;
                    Ok(())
                });
            }
        }
        return;
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
                    if name == "finalizers" {
                        merge_finalizers(object, value);
                    } else {
                        object["metadata"][name] = value.clone();
                    }
                }
            }
            Ok(())
        });
        if let Err(failure) = result {
            tracing::debug!("{} was not changed: {}", key.name, failure.message);
        }
    }
}

/// Our finalizer comes and goes; those of others stay.
fn merge_finalizers(object: &mut Value, ours: &Value) {
    let mut all: Vec<Value> =
        object.pointer("/metadata/finalizers").and_then(Value::as_array).cloned().unwrap_or_default();
    let before = all.clone();
    all.retain(|f| f != STUCK);
    all.extend(ours.as_array().into_iter().flatten().cloned());
    if all != before {
        object["metadata"]["finalizers"] = all.into();
    }
}
