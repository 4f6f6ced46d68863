//! The columns of `kubectl get`: their heads, and how each finds its cell.

/// How a column finds its cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// The name of the object.
    Name,
    /// Time since its creation.
    Age,
    /// Time since the instant at a JSON pointer.
    Since(&'static str),
    /// The text at a JSON pointer; `<none>` for the second if there is none.
    At(&'static str, &'static str),
    /// The number at a JSON pointer; 0 if there is none.
    Count(&'static str),
    /// Ready containers of all, as `1/1`.
    ReadyContainers,
    /// What a pod does: its phase, or the reason of the container that keeps it from working.
    PodStatus,
    /// Restarts of all containers, and how long ago the last was.
    Restarts,
    /// Passed readiness gates of all.
    ReadinessGates,
    /// Number of entries of `data`.
    DataCount,
    /// Ports of a service.
    Ports,
    /// Outer address of a service.
    ServiceAddress,
    /// Labels of the selector at a JSON pointer.
    Selector(&'static str),
    /// Ready replicas of wanted ones.
    ReadyReplicas,
    /// Names of the containers of a pod template.
    Containers,
    /// Images of the containers of a pod template.
    Images,
    /// Kind and name of the object that an event is about.
    Involved,
    /// Part of that object.
    Subobject,
    /// Who wrote an event.
    Source,
    /// Time since the first occurrence of an event.
    FirstSeen,
    /// Time since the last occurrence of an event.
    LastSeen,
    /// Occurrences of an event.
    Occurrences,
    /// Whether a node is ready and takes pods.
    NodeStatus,
    /// Roles of a node.
    NodeRoles,
    /// An address of a node, by type.
    NodeAddress(&'static str),
    /// Used of hard limits of a quota: requests (false) or limits (true).
    Quota(bool),
    /// Kind and name of what an autoscaler scales.
    ScaleTarget,
    /// Present and wanted metrics of an autoscaler.
    Metrics,
}

/// A column of `kubectl get`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its head.
    pub name: &'static str,
    /// Its cell.
    pub cell: Cell,
    /// 0: always shown; 1: with `-o wide`.
    pub priority: u8,
}

impl Column {
    /// The type of its cells.
    pub fn json_type(&self) -> &'static str {
        match self.cell {
            Cell::DataCount | Cell::Occurrences | Cell::Count(_) => "integer",
            _ => "string",
        }
    }
}

const fn column(name: &'static str, cell: Cell) -> Column {
    Column { name, cell, priority: 0 }
}
const fn wide(name: &'static str, cell: Cell) -> Column {
    Column { name, cell, priority: 1 }
}

const NAME: Column = column("Name", Cell::Name);
const AGE: Column = column("Age", Cell::Age);
const NONE: &str = "<none>";
const UNKNOWN: &str = "<unknown>";

pub(super) const PLAIN: &[Column] = &[NAME, AGE];
pub(super) const NAMESPACE: &[Column] = &[NAME, column("Status", Cell::At("/status/phase", "")), AGE];
pub(super) const NODE: &[Column] = &[
    NAME,
    column("Status", Cell::NodeStatus),
    column("Roles", Cell::NodeRoles),
    AGE,
    column("Version", Cell::At("/status/nodeInfo/kubeletVersion", "")),
    wide("Internal-IP", Cell::NodeAddress("InternalIP")),
    wide("External-IP", Cell::NodeAddress("ExternalIP")),
    wide("OS-Image", Cell::At("/status/nodeInfo/osImage", UNKNOWN)),
    wide("Kernel-Version", Cell::At("/status/nodeInfo/kernelVersion", UNKNOWN)),
    wide("Container-Runtime", Cell::At("/status/nodeInfo/containerRuntimeVersion", UNKNOWN)),
];
pub(super) const POD: &[Column] = &[
    NAME,
    column("Ready", Cell::ReadyContainers),
    column("Status", Cell::PodStatus),
    column("Restarts", Cell::Restarts),
    AGE,
    wide("IP", Cell::At("/status/podIP", NONE)),
    wide("Node", Cell::At("/spec/nodeName", NONE)),
    wide("Nominated Node", Cell::At("/status/nominatedNodeName", NONE)),
    wide("Readiness Gates", Cell::ReadinessGates),
];
pub(super) const SERVICE: &[Column] = &[
    NAME,
    column("Type", Cell::At("/spec/type", "ClusterIP")),
    column("Cluster-IP", Cell::At("/spec/clusterIP", NONE)),
    column("External-IP", Cell::ServiceAddress),
    column("Port(s)", Cell::Ports),
    AGE,
    wide("Selector", Cell::Selector("/spec/selector")),
];
pub(super) const CONFIG_MAP: &[Column] = &[NAME, column("Data", Cell::DataCount), AGE];
pub(super) const EVENT: &[Column] = &[
    column("Last Seen", Cell::LastSeen),
    column("Type", Cell::At("/type", "")),
    column("Reason", Cell::At("/reason", "")),
    column("Object", Cell::Involved),
    wide("Subobject", Cell::Subobject),
    wide("Source", Cell::Source),
    column("Message", Cell::At("/message", "")),
    wide("First Seen", Cell::FirstSeen),
    wide("Count", Cell::Occurrences),
    wide("Name", Cell::Name),
];
pub(super) const RESOURCE_QUOTA: &[Column] =
    &[NAME, column("Request", Cell::Quota(false)), column("Limit", Cell::Quota(true)), AGE];
pub(super) const LEASE: &[Column] = &[NAME, column("Holder", Cell::At("/spec/holderIdentity", "")), AGE];
pub(super) const DEPLOYMENT: &[Column] = &[
    NAME,
    column("Ready", Cell::ReadyReplicas),
    column("Up-to-date", Cell::Count("/status/updatedReplicas")),
    column("Available", Cell::Count("/status/availableReplicas")),
    AGE,
    wide("Containers", Cell::Containers),
    wide("Images", Cell::Images),
    wide("Selector", Cell::Selector("/spec/selector/matchLabels")),
];
pub(super) const REPLICA_SET: &[Column] = &[
    NAME,
    column("Desired", Cell::Count("/spec/replicas")),
    column("Current", Cell::Count("/status/replicas")),
    column("Ready", Cell::Count("/status/readyReplicas")),
    AGE,
    wide("Containers", Cell::Containers),
    wide("Images", Cell::Images),
    wide("Selector", Cell::Selector("/spec/selector/matchLabels")),
];
pub(super) const HORIZONTAL_POD_AUTOSCALER: &[Column] = &[
    NAME,
    column("Reference", Cell::ScaleTarget),
    column("Targets", Cell::Metrics),
    column("MinPods", Cell::At("/spec/minReplicas", "<unset>")),
    column("MaxPods", Cell::Count("/spec/maxReplicas")),
    column("Replicas", Cell::Count("/status/currentReplicas")),
    AGE,
];
pub(super) const CUSTOM_RESOURCE_DEFINITION: &[Column] =
    &[NAME, column("Created At", Cell::At("/metadata/creationTimestamp", ""))];
pub(super) const FLINK_JOB: &[Column] = &[
    NAME,
    column("Job Status", Cell::At("/status/jobStatus/state", "")),
    column("Lifecycle State", Cell::At("/status/lifecycleState", "")),
];
pub(super) const FLINK_STATE_SNAPSHOT: &[Column] = &[
    NAME,
    column("Path", Cell::At("/status/path", "")),
    column("Result Timestamp", Cell::At("/status/resultTimestamp", "")),
    column("Snapshot State", Cell::At("/status/state", "")),
];
pub(super) const FLINK_BLUE_GREEN: &[Column] = &[NAME, column("Job Status", Cell::At("/status/jobStatus/state", ""))];
