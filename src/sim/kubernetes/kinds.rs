//! The kinds of object that the embedded API server knows, and how each is called, listed and printed.

/// How a column of `kubectl get` finds its cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// The name of the object.
    Name,
    /// Time since its creation.
    Age,
    /// The text at a JSON pointer.
    At(&'static str),
    /// Ready containers of all, as `1/1`.
    ReadyContainers,
    /// Sum of the restarts of all containers.
    Restarts,
    /// Number of entries of `data`.
    DataCount,
    /// Ports of a service.
    Ports,
    /// Ready replicas of wanted ones.
    ReadyReplicas,
    /// Kind and name of the object that an event is about.
    Involved,
    /// Time since the last occurrence of an event.
    LastSeen,
    /// Whether a node is ready.
    NodeReady,
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

const fn column(name: &'static str, cell: Cell) -> Column {
    Column { name, cell, priority: 0 }
}
const fn wide(name: &'static str, cell: Cell) -> Column {
    Column { name, cell, priority: 1 }
}

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // Kubernetes' own names
pub enum Kind {
    Namespace,
    Node,
    Pod,
    Service,
    ConfigMap,
    Event,
    Deployment,
    FlinkDeployment,
    FlinkSessionJob,
}

/// What is known of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// As in `kind:`.
    pub name: &'static str,
    /// API group; empty for the core.
    pub group: &'static str,
    /// Version of the group.
    pub version: &'static str,
    /// As in URLs.
    pub plural: &'static str,
    /// One of them.
    pub singular: &'static str,
    /// Short names.
    pub short: &'static [&'static str],
    /// Objects live in namespaces.
    pub namespaced: bool,
    /// There is a status subresource.
    pub status: bool,
    /// `all` includes it.
    pub in_all: bool,
    /// Columns of `kubectl get`.
    pub columns: &'static [Column],
}

/// The operator's group.
pub const FLINK_GROUP: &str = "flink.apache.org";

const NAME: Column = column("Name", Cell::Name);
const AGE: Column = column("Age", Cell::Age);
const FLINK_COLUMNS: &[Column] = &[
    NAME,
    column("Job Status", Cell::At("/status/jobStatus/state")),
    column("Lifecycle State", Cell::At("/status/lifecycleState")),
];

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Namespace,
        Self::Node,
        Self::Pod,
        Self::Service,
        Self::ConfigMap,
        Self::Event,
        Self::Deployment,
        Self::FlinkDeployment,
        Self::FlinkSessionJob,
    ];

    /// The kind with this group, version and plural name.
    pub fn find(group: &str, version: &str, plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| {
            let info = k.info();
            info.group == group && info.version == version && info.plural == plural
        })
    }

    /// `v1` or `group/version`.
    pub fn api_version(self) -> String {
        let info = self.info();
        if info.group.is_empty() { info.version.to_owned() } else { format!("{}/{}", info.group, info.version) }
    }

    /// `flinkdeployments.flink.apache.org`, as messages of the server call it.
    pub fn resource(self) -> String {
        let info = self.info();
        if info.group.is_empty() { info.plural.to_owned() } else { format!("{}.{}", info.plural, info.group) }
    }

    /// What is known of it.
    pub fn info(self) -> &'static Info {
        const CORE: Info = Info {
            name: "",
            group: "",
            version: "v1",
            plural: "",
            singular: "",
            short: &[],
            namespaced: true,
            status: false,
            in_all: false,
            columns: &[NAME, AGE],
        };
        match self {
            Self::Namespace => {
                const {
                    &Info {
                        name: "Namespace",
                        plural: "namespaces",
                        singular: "namespace",
                        short: &["ns"],
                        namespaced: false,
                        columns: &[NAME, column("Status", Cell::At("/status/phase")), AGE],
                        ..CORE
                    }
                }
            }
            Self::Node => {
                const {
                    &Info {
                        name: "Node",
                        plural: "nodes",
                        singular: "node",
                        short: &["no"],
                        namespaced: false,
                        columns: &[
                            NAME,
                            column("Status", Cell::NodeReady),
                            AGE,
                            column("Version", Cell::At("/status/nodeInfo/kubeletVersion")),
                        ],
                        ..CORE
                    }
                }
            }
            Self::Pod => {
                const {
                    &Info {
                        name: "Pod",
                        plural: "pods",
                        singular: "pod",
                        short: &["po"],
                        status: true,
                        in_all: true,
                        columns: &[
                            NAME,
                            column("Ready", Cell::ReadyContainers),
                            column("Status", Cell::At("/status/phase")),
                            column("Restarts", Cell::Restarts),
                            AGE,
                            wide("IP", Cell::At("/status/podIP")),
                            wide("Node", Cell::At("/spec/nodeName")),
                        ],
                        ..CORE
                    }
                }
            }
            Self::Service => {
                const {
                    &Info {
                        name: "Service",
                        plural: "services",
                        singular: "service",
                        short: &["svc"],
                        in_all: true,
                        columns: &[
                            NAME,
                            column("Type", Cell::At("/spec/type")),
                            column("Cluster-IP", Cell::At("/spec/clusterIP")),
                            column("Port(s)", Cell::Ports),
                            AGE,
                        ],
                        ..CORE
                    }
                }
            }
            Self::ConfigMap => {
                const {
                    &Info {
                        name: "ConfigMap",
                        plural: "configmaps",
                        singular: "configmap",
                        short: &["cm"],
                        columns: &[NAME, column("Data", Cell::DataCount), AGE],
                        ..CORE
                    }
                }
            }
            Self::Event => {
                const {
                    &Info {
                        name: "Event",
                        plural: "events",
                        singular: "event",
                        short: &["ev"],
                        columns: &[
                            column("Last Seen", Cell::LastSeen),
                            column("Type", Cell::At("/type")),
                            column("Reason", Cell::At("/reason")),
                            column("Object", Cell::Involved),
                            column("Message", Cell::At("/message")),
                            wide("Name", Cell::Name),
                        ],
                        ..CORE
                    }
                }
            }
            Self::Deployment => {
                const {
                    &Info {
                        name: "Deployment",
                        group: "apps",
                        plural: "deployments",
                        singular: "deployment",
                        short: &["deploy"],
                        status: true,
                        in_all: true,
                        columns: &[
                            NAME,
                            column("Ready", Cell::ReadyReplicas),
                            column("Available", Cell::At("/status/availableReplicas")),
                            AGE,
                        ],
                        ..CORE
                    }
                }
            }
            Self::FlinkDeployment => {
                const {
                    &Info {
                        name: "FlinkDeployment",
                        group: FLINK_GROUP,
                        version: "v1beta1",
                        plural: "flinkdeployments",
                        singular: "flinkdeployment",
                        short: &["flinkdep"],
                        status: true,
                        columns: FLINK_COLUMNS,
                        ..CORE
                    }
                }
            }
            Self::FlinkSessionJob => {
                const {
                    &Info {
                        name: "FlinkSessionJob",
                        group: FLINK_GROUP,
                        version: "v1beta1",
                        plural: "flinksessionjobs",
                        singular: "flinksessionjob",
                        short: &["sessionjob"],
                        status: true,
                        columns: FLINK_COLUMNS,
                        ..CORE
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_path() {
        for kind in Kind::ALL {
            let info = kind.info();
            assert_eq!(Kind::find(info.group, info.version, info.plural), Some(kind));
        }
        assert_eq!(Kind::find("", "v1", "secrets"), None);
    }
}
