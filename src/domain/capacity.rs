//! Room in a Kubernetes cluster: nodes with what is promised on them, quotas, what could still be added, and the answer of a preflight.
//!
//! Cpu is in thousandths of a core, memory in bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Cpu and memory together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Room {
    /// Thousandths of a core.
    pub cpu: u64,
    /// Bytes.
    pub memory: u64,
}

impl Room {
    /// What is left of `self` after `used`; never below zero.
    pub fn less(self, used: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(used.cpu), memory: self.memory.saturating_sub(used.memory) }
    }

    /// Both together.
    pub fn plus(self, more: Self) -> Self {
        Self { cpu: self.cpu.saturating_add(more.cpu), memory: self.memory.saturating_add(more.memory) }
    }
}

/// A taint of a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value, empty for none.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRow {
    /// Identity.
    pub uid: String,
    /// Name.
    pub name: String,
    /// Its pool, by the labels of the known providers.
    pub pool: Option<String>,
    /// It is ready.
    pub ready: bool,
    /// It takes no new pods.
    pub cordoned: bool,
    /// What pods may ask for.
    pub allocatable: Room,
    /// How many pods it takes.
    pub pod_limit: u32,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// Its labels: what node selectors choose by.
    pub labels: BTreeMap<String, String>,
}

/// What is promised on a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeUse {
    /// Requests of all pods that are bound to it and have not ended.
    pub requested: Room,
    /// How many pods that are.
    pub pods: u32,
    /// Who asks for how much: namespace and Flink cluster (or pod), largest memory first.
    pub users: Vec<NodeUser>,
}

/// Somebody who has requests on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeUser {
    /// Namespace.
    pub namespace: String,
    /// The Flink cluster of TaskManagers by its label `app`, or the pod.
    pub name: String,
    /// They are TaskManagers of a Flink cluster.
    pub flink: bool,
    /// Its pods there.
    pub pods: u32,
    /// Their requests.
    pub requested: Room,
}

/// A node with its use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// The node.
    pub node: Arc<NodeRow>,
    /// What is promised on it; `None` if the pods of other namespaces may not be read.
    pub usage: Option<NodeUse>,
}

/// One limit of a ResourceQuota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaRow {
    /// Namespace.
    pub namespace: String,
    /// Name of the ResourceQuota.
    pub name: String,
    /// `requests.cpu`, `requests.memory`, `limits.cpu`, `limits.memory` or `pods`.
    pub resource: String,
    /// The limit: thousandths of a core, bytes or pods.
    pub hard: u64,
    /// What is used of it.
    pub used: u64,
}

/// A group of nodes that a Cluster Autoscaler can enlarge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeGroup {
    /// Name.
    pub name: String,
    /// Nodes it is meant to have now.
    pub current: u32,
    /// Nodes it may have.
    pub max: u32,
    /// It cannot grow at present: why (`BackedOff` and the provider's words).
    pub held_back: Option<String>,
}

/// Everything known of a cluster's room.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CapacityView {
    /// Nodes, by pool and name.
    pub nodes: Vec<NodeView>,
    /// Quotas of the namespaces that are looked at.
    pub quotas: Vec<QuotaRow>,
    /// Groups that can grow; empty if no Cluster Autoscaler says anything.
    pub groups: Vec<NodeGroup>,
    /// What could not be seen and why: a missing right, a status that cannot be read.
    pub gaps: Vec<String>,
}

/// What the pods of a change need.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Need {
    /// Namespace the pods are created in.
    pub namespace: String,
    /// TaskManagers after the change.
    pub task_managers: u32,
    /// TaskManagers that run now; they stay unless something is released.
    pub running: u32,
    /// The Flink cluster whose pods are released first, if all are replaced.
    pub releases: Option<String>,
    /// What one TaskManager asks for.
    pub each: Room,
    /// Slots of one TaskManager.
    pub slots: u32,
    /// Node selector of its pods.
    pub node_selector: BTreeMap<String, String>,
    /// Taints its pods tolerate.
    pub tolerations: Vec<Toleration>,
}

/// A toleration of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Toleration {
    /// Key; empty with `exists` tolerates everything.
    pub key: String,
    /// The value does not matter.
    pub exists: bool,
    /// Value.
    pub value: String,
    /// Effect; empty for every one.
    pub effect: String,
}

/// What stops the first TaskManager that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blocker {
    /// Cpu on the nodes.
    Cpu,
    /// Memory on the nodes.
    Memory,
    /// Pods per node.
    Pods,
    /// A ResourceQuota.
    Quota,
    /// Every node is tainted, cordoned or not ready.
    Taints,
    /// No node has the labels of the node selector.
    NodeSelector,
}

impl Blocker {
    /// The word as shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Pods => "pods per node",
            Self::Quota => "quota",
            Self::Taints => "taints",
            Self::NodeSelector => "node selector",
        }
    }
}

/// The answer of a capacity preflight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityAnswer {
    /// TaskManagers that are needed.
    pub needed: u32,
    /// TaskManagers that fit.
    pub fitting: u32,
    /// Nodes that a Cluster Autoscaler must add for that.
    pub new_nodes: u32,
    /// What stops the first one that does not fit, and where.
    pub blocker: Option<(Blocker, String)>,
    /// Slots of the TaskManagers that fit: the largest parallelism with slot sharing.
    pub largest_parallelism: u32,
    /// What could not be seen: the answer may be too good by that.
    pub gaps: Vec<String>,
}

impl CapacityAnswer {
    /// All of them fit.
    pub fn fits(&self) -> bool {
        self.fitting >= self.needed
    }

    /// The answer in one sentence.
    pub fn sentence(&self) -> String {
        let added = match self.new_nodes {
            0 => String::new(),
            1 => ", with 1 node that must be added first".to_owned(),
            n => format!(", with {n} nodes that must be added first"),
        };
        if self.fits() {
            return format!("fits{added}");
        }
        let blocker = self.blocker.as_ref().map_or_else(String::new, |(what, place)| {
            if place.is_empty() {
                format!(", first blocker {}", what.word())
            } else {
                format!(", first blocker {} on {place}", what.word())
            }
        });
        format!(
            "fits {} of {} TaskManagers{added}{blocker}, largest parallelism that fits: {}",
            self.fitting, self.needed, self.largest_parallelism
        )
    }
}
