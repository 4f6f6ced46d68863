//! Names of Kubernetes objects that operations read and change.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)] // Kubernetes' own names
pub enum ObjectKind {
    FlinkDeployment,
    FlinkSessionJob,
    FlinkStateSnapshot,
    Deployment,
    Pod,
    Event,
}

impl ObjectKind {
    /// As in `kind:`.
    pub fn name(self) -> &'static str {
        match self {
            Self::FlinkDeployment => "FlinkDeployment",
            Self::FlinkSessionJob => "FlinkSessionJob",
            Self::FlinkStateSnapshot => "FlinkStateSnapshot",
            Self::Deployment => "Deployment",
            Self::Pod => "Pod",
            Self::Event => "Event",
        }
    }
}

/// Names one object of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ObjectName {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ObjectName {
    /// The object with this name.
    pub fn new(kind: ObjectKind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.name(), self.namespace, self.name)
    }
}
