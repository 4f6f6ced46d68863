//! Objects around Flink's resources as small rows, made while they are read: a store of thousands of pods stays small.
//!
//! Texts are bounded and without control characters. Secrets are never asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::domain::Timestamp;
use crate::domain::capacity::{NodeRow, Room, Taint};
use crate::domain::kubernetes::{BlueGreenRow, StateSnapshotRow};
use crate::domain::pods::{DeploymentRow, EventRow, PodPhase, PodRole, PodRow, Termination};

use super::failure::Failure;
use super::json::{At, WrongShape};
use super::objects::{Kind, Projection};
use super::quantity;

/// Longest text of a message that is kept.
const MESSAGE: usize = 512;
/// The container of JobManagers and TaskManagers.
pub const MAIN_CONTAINER: &str = "flink-main-container";
/// Labels that name the pool of a node, by provider.
const POOL_LABELS: [&str; 6] = [
    "eks.amazonaws.com/nodegroup",
    "cloud.google.com/gke-nodepool",
    "kubernetes.azure.com/agentpool",
    "agentpool",
    "karpenter.sh/nodepool",
    "alpha.eksctl.io/nodegroup-name",
];

/// What a small row is made of.
pub trait Small: Sized + Send + Sync + 'static {
    /// The kind of object.
    const KIND: Kind;

    /// Reads an object.
    ///
    /// # Errors
    /// A field that is needed has another type than the API promises.
    fn read(object: &Value) -> Result<Self, WrongShape>;

    /// `metadata.uid`.
    fn uid(&self) -> &str;
}

/// A small row with the version of its object.
#[derive(Debug, Clone, PartialEq)]
pub struct Row<T> {
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// The row.
    pub row: Arc<T>,
}

impl<T: Small> Projection for Row<T> {
    const KIND: Kind = T::KIND;

    fn project(object: &Value) -> Result<Self, WrongShape> {
        let root = At::root(object);
        let meta = root.field("metadata")?;
        let resource_version = meta.field("resourceVersion")?.text()?.unwrap_or_default();
        Ok(Self { resource_version, row: Arc::new(T::read(object)?) })
    }

    fn uid(&self) -> &str {
        self.row.uid()
    }

    fn resource_version(&self) -> &str {
        &self.resource_version
    }
}

/// One line of at most `limit` characters.
pub(super) fn line(text: &str, limit: usize) -> String {
    let mut kept = String::new();
    for c in text.chars().take(limit) {
        kept.push(if c.is_control() { ' ' } else { c });
    }
    kept.trim().to_owned()
}

/// The metadata that every row has.
struct Head {
    uid: String,
    namespace: String,
    name: String,
    created_at: Option<Timestamp>,
    deleting_since: Option<Timestamp>,
    labels: BTreeMap<String, String>,
}

fn head(root: &At<'_>) -> Result<Head, WrongShape> {
    let meta = root.field("metadata")?;
    let text = |name: &str| meta.field(name).and_then(|f| f.text()).map(Option::unwrap_or_default);
    let uid = meta.field("uid")?;
    Ok(Head {
        uid: uid.text()?.ok_or_else(|| uid.wrong("a uid"))?,
        namespace: text("namespace")?,
        name: text("name")?,
        created_at: meta.field("creationTimestamp")?.instant()?,
        deleting_since: meta.field("deletionTimestamp")?.instant()?,
        labels: meta.field("labels")?.text_map()?,
    })
}

fn bounded(at: &At<'_>, name: &str, limit: usize) -> Result<String, WrongShape> {
    Ok(at.field(name)?.text()?.map(|t| line(&t, limit)).unwrap_or_default())
}

fn present(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn count(at: &At<'_>, name: &str) -> Result<u32, WrongShape> {
    Ok(at.field(name)?.integer()?.and_then(|n| u32::try_from(n).ok()).unwrap_or_default())
}

/// Cpu and memory of a map of quantities; what cannot be read counts as nothing.
pub(super) fn room(at: &At<'_>) -> Result<Room, WrongShape> {
    let text = |name: &str| at.field(name).and_then(|f| f.text());
    Ok(Room {
        cpu: text("cpu")?.as_deref().and_then(quantity::milli_cores).unwrap_or_default(),
        memory: text("memory")?.as_deref().and_then(quantity::whole).unwrap_or_default(),
    })
}

impl Small for PodRow {
    const KIND: Kind = Kind::Pod;

    fn read(object: &Value) -> Result<Self, WrongShape> {
        let root = &At::root(object);
        let Head { uid, namespace, name, created_at, deleting_since, labels } = head(root)?;
        let (spec, status) = (root.field("spec")?, root.field("status")?);
        let mut containers = Vec::new();
        let (mut asked, mut memory_limit) = (Room::default(), None);
        for item in spec.field("containers")?.items()? {
            let container = At::root(item);
            let called = bounded(&container, "name", 253)?;
            let resources = container.field("resources")?;
            let (requests, limits) = (room(&resources.field("requests")?)?, room(&resources.field("limits")?)?);
            // Without a request the limit is the request.
            asked.cpu += if requests.cpu == 0 { limits.cpu } else { requests.cpu };
            asked.memory += if requests.memory == 0 { limits.memory } else { requests.memory };
            if (called == MAIN_CONTAINER || memory_limit.is_none()) && limits.memory > 0 {
                memory_limit = Some(limits.memory);
            }
            if called == MAIN_CONTAINER {
                containers.insert(0, called);
            } else {
                containers.push(called);
            }
        }
        let mut row = Self {
            uid,
            namespace,
            name,
            app: labels.get("app").cloned().unwrap_or_default(),
            role: match labels.get("component").map(String::as_str) {
                Some("jobmanager") => PodRole::JobManager,
                Some("taskmanager") => PodRole::TaskManager,
                _ => PodRole::Other,
            },
            phase: PodPhase::parse(&bounded(&status, "phase", 32)?),
            ready: false,
            node: present(bounded(&spec, "nodeName", 253)?),
            created_at,
            deleting_since,
            restarts: 0,
            waiting: None,
            last_termination: None,
            unschedulable: None,
            failure: present(bounded(&status, "reason", 64)?)
                .map(|reason| Ok((reason, bounded(&status, "message", MESSAGE)?)))
                .transpose()?,
            containers,
            cpu_request: asked.cpu,
            memory_request: asked.memory,
            memory_limit,
        };
        row.take_conditions(&status)?;
        row.take_containers(&status)?;
        Ok(row)
    }

    fn uid(&self) -> &str {
        &self.uid
    }
}

impl PodRow {
    fn take_conditions(&mut self, status: &At<'_>) -> Result<(), WrongShape> {
        for item in status.field("conditions")?.items()? {
            let condition = At::root(item);
            let holds = bounded(&condition, "status", 16)? == "True";
            match bounded(&condition, "type", 64)?.as_str() {
                "Ready" => self.ready = holds,
                "PodScheduled" if !holds && self.node.is_none() => {
                    let why = bounded(&condition, "message", MESSAGE)?;
                    let reason = bounded(&condition, "reason", 64)?;
                    if reason == "Unschedulable" {
                        self.unschedulable = Some(if why.is_empty() { reason } else { why });
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn take_containers(&mut self, status: &At<'_>) -> Result<(), WrongShape> {
        for list in ["initContainerStatuses", "containerStatuses"] {
            for item in status.field(list)?.items()? {
                let container = At::root(item);
                let main = bounded(&container, "name", 253)? == MAIN_CONTAINER;
                self.restarts += count(&container, "restartCount")?;
                let (now, before) = (container.field("state")?, container.field("lastState")?);
                let waiting = now.field("waiting")?;
                if let Some(reason) = present(bounded(&waiting, "reason", 64)?)
                    && (main || self.waiting.is_none())
                {
                    self.waiting = Some((reason, bounded(&waiting, "message", MESSAGE)?));
                }
                for ended in [now.field("terminated")?, before.field("terminated")?] {
                    if !ended.is_absent() && (main || self.last_termination.is_none()) {
                        let termination = Termination {
                            exit_code: ended.field("exitCode")?.integer()?.unwrap_or_default(),
                            reason: bounded(&ended, "reason", 64)?,
                            message: bounded(&ended, "message", MESSAGE)?,
                            at: ended.field("finishedAt")?.instant().unwrap_or(None),
                        };
                        // An init container that did its work is no news.
                        if list == "containerStatuses" || termination.exit_code != 0 {
                            self.last_termination = Some(termination);
                        }
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Small for DeploymentRow {
    const KIND: Kind = Kind::Deployment;

    fn read(object: &Value) -> Result<Self, WrongShape> {
        let root = &At::root(object);
        let Head { uid, namespace, name, deleting_since, .. } = head(root)?;
        let (spec, status) = (root.field("spec")?, root.field("status")?);
        let mut failure = None;
        for item in status.field("conditions")?.items()? {
            let condition = At::root(item);
            if bounded(&condition, "type", 64)? == "ReplicaFailure" && bounded(&condition, "status", 16)? == "True" {
                failure = Some((bounded(&condition, "reason", 64)?, bounded(&condition, "message", MESSAGE)?));
            }
        }
        let wanted = spec.field("replicas")?;
        Ok(Self {
            uid,
            namespace,
            name,
            wanted: if wanted.is_absent() { 1 } else { count(&spec, "replicas")? },
            available: count(&status, "availableReplicas")?,
            failure,
            deleting_since,
        })
    }

    fn uid(&self) -> &str {
        &self.uid
    }
}

impl Small for EventRow {
    const KIND: Kind = Kind::Event;

    fn read(object: &Value) -> Result<Self, WrongShape> {
        let root = &At::root(object);
        let Head { uid, namespace, created_at, .. } = head(root)?;
        let about = root.field("involvedObject")?;
        let (series, source) = (root.field("series")?, root.field("source")?);
        // Events of the operator and of the kubelet write their instants differently; a strange one is no reason to lose the event.
        let instant = |at: &At<'_>, name: &str| at.field(name).and_then(|f| f.instant()).unwrap_or(None);
        let newer = instant(root, "eventTime");
        let last = instant(root, "lastTimestamp").or_else(|| instant(&series, "lastObservedTime"));
        let component = present(bounded(&source, "component", 128)?);
        Ok(Self {
            uid,
            namespace,
            kind: bounded(&about, "kind", 64)?,
            name: bounded(&about, "name", 253)?,
            object_uid: bounded(&about, "uid", 64)?,
            reason: bounded(root, "reason", 128)?,
            message: root.field("message")?.text()?.map(|t| line(&t, 2 * MESSAGE)).unwrap_or_default(),
            component: match component {
                Some(component) => component,
                None => bounded(root, "reportingComponent", 128)?,
            },
            warning: bounded(root, "type", 32)? == "Warning",
            count: count(root, "count")?.max(count(&series, "count")?).max(1),
            first_at: instant(root, "firstTimestamp").or(newer).or(created_at),
            last_at: last.or(newer).or(created_at),
        })
    }

    fn uid(&self) -> &str {
        &self.uid
    }
}

impl Small for NodeRow {
    const KIND: Kind = Kind::Node;

    fn read(object: &Value) -> Result<Self, WrongShape> {
        let root = &At::root(object);
        let Head { uid, name, labels, .. } = head(root)?;
        let (spec, status) = (root.field("spec")?, root.field("status")?);
        let mut taints = Vec::new();
        for item in spec.field("taints")?.items()? {
            let taint = At::root(item);
            taints.push(Taint {
                key: bounded(&taint, "key", 317)?,
                value: bounded(&taint, "value", 63)?,
                effect: bounded(&taint, "effect", 32)?,
            });
        }
        let mut ready = false;
        for item in status.field("conditions")?.items()? {
            let condition = At::root(item);
            if bounded(&condition, "type", 64)? == "Ready" {
                ready = bounded(&condition, "status", 16)? == "True";
            }
        }
        let allocatable = status.field("allocatable")?;
        let pods = allocatable.field("pods")?.text()?;
        Ok(Self {
            uid,
            name,
            pool: POOL_LABELS.iter().find_map(|label| labels.get(*label)).cloned(),
            ready,
            cordoned: spec.field("unschedulable")?.text()?.as_deref() == Some("true"),
            allocatable: room(&allocatable)?,
            pod_limit: pods.and_then(|p| p.parse().ok()).unwrap_or(110),
            taints,
            labels,
        })
    }

    fn uid(&self) -> &str {
        &self.uid
    }
}

/// A state document of the operator's autoscaler: a ConfigMap with the label `component=autoscaler`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoscalerMap {
    /// Identity.
    pub uid: String,
    /// Namespace.
    pub namespace: String,
    /// Name of the resource it belongs to.
    pub of: String,
    /// It belongs to a FlinkSessionJob; `None` if it has no owner.
    pub session_job: Option<bool>,
    /// Its documents as stored.
    pub data: Arc<BTreeMap<String, String>>,
}

impl Small for AutoscalerMap {
    const KIND: Kind = Kind::ConfigMap;

    fn read(object: &Value) -> Result<Self, WrongShape> {
        let root = &At::root(object);
        let Head { uid, namespace, name, .. } = head(root)?;
        let meta = root.field("metadata")?;
        let owners = meta.field("ownerReferences")?;
        let kinds: Vec<&str> = owners.items()?.iter().filter_map(|o| o.get("kind").and_then(Value::as_str)).collect();
        Ok(Self {
            uid,
            namespace,
            of: name.strip_prefix("autoscaler-").unwrap_or(&name).to_owned(),
            session_job: (!kinds.is_empty()).then(|| kinds.contains(&"FlinkSessionJob")),
            data: Arc::new(root.field("data")?.text_map()?),
        })
    }

    fn uid(&self) -> &str {
        &self.uid
    }
}

impl Small for StateSnapshotRow {
    const KIND: Kind = Kind::FlinkStateSnapshot;

    fn read(object: &Value) -> Result<Self, WrongShape> {
        let root = &At::root(object);
        let Head { uid, namespace, name, created_at, deleting_since, labels } = head(root)?;
        let (spec, status) = (root.field("spec")?, root.field("status")?);
        let job = spec.field("jobReference")?;
        let savepoint = spec.field("savepoint")?;
        let error = status.field("error")?.text()?;
        let state = bounded(&status, "state", 32)?;
        Ok(Self {
            uid,
            namespace,
            name,
            job_kind: bounded(&job, "kind", 64)?,
            job: bounded(&job, "name", 253)?,
            savepoint: !savepoint.is_absent(),
            trigger: labels.get("snapshot.trigger-type").map(|t| line(t, 32)),
            state: if state.is_empty() { "TRIGGER_PENDING".to_owned() } else { state },
            path: present(bounded(&status, "path", 1024)?),
            failures: count(&status, "failures")?,
            error: error.as_deref().and_then(Failure::decode).map(|f| line(&f.sentence(), MESSAGE)),
            created_at,
            triggered_at: status.field("triggerTimestamp")?.instant().unwrap_or(None),
            ended_at: status.field("resultTimestamp")?.instant().unwrap_or(None),
            dispose_on_delete: savepoint.field("disposeOnDelete")?.text()?.as_deref() != Some("false"),
            deleting_since,
        })
    }

    fn uid(&self) -> &str {
        &self.uid
    }
}

impl Small for BlueGreenRow {
    const KIND: Kind = Kind::FlinkBlueGreenDeployment;

    fn read(object: &Value) -> Result<Self, WrongShape> {
        let root = &At::root(object);
        let Head { uid, namespace, name, created_at, .. } = head(root)?;
        let status = root.field("status")?;
        let job = status.field("jobStatus")?;
        let error = status.field("error")?.text()?;
        Ok(Self {
            uid,
            namespace,
            name,
            state: bounded(&status, "blueGreenState", 64)?,
            job_state: present(bounded(&job, "state", 64)?),
            error: error.as_deref().and_then(Failure::decode).map(|f| line(&f.sentence(), MESSAGE)),
            created_at,
            abort_at: status.field("abortTimestamp")?.instant().unwrap_or(None),
        })
    }

    fn uid(&self) -> &str {
        &self.uid
    }
}

#[cfg(test)]
mod tests;
