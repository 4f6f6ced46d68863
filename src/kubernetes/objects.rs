//! Which objects are read: kinds, namespaces, identities, and what becomes of an object that cannot be read.

use serde_json::Value;

use super::json::{At, WrongShape};

/// The kinds that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An application or session cluster.
    FlinkDeployment,
    /// A job on a session cluster.
    FlinkSessionJob,
    /// A savepoint or checkpoint as an object.
    FlinkStateSnapshot,
    /// Two deployments of which one is active.
    FlinkBlueGreenDeployment,
    /// A pod.
    Pod,
    /// A Deployment.
    Deployment,
    /// A ConfigMap.
    ConfigMap,
    /// An event.
    Event,
    /// A node.
    Node,
    /// A quota of a namespace.
    ResourceQuota,
    /// A HorizontalPodAutoscaler.
    HorizontalPodAutoscaler,
    /// `verticalpodautoscalers`, where the Vertical Pod Autoscaler is installed.
    VerticalPodAutoscaler,
}

impl Kind {
    /// The API group of the operator's kinds.
    pub const GROUP: &'static str = "flink.apache.org";
    /// The version of the operator's kinds.
    pub const VERSION: &'static str = "v1beta1";

    /// As in `kind:`.
    pub fn name(self) -> &'static str {
        match self {
            Self::FlinkDeployment => "FlinkDeployment",
            Self::FlinkSessionJob => "FlinkSessionJob",
            Self::FlinkStateSnapshot => "FlinkStateSnapshot",
            Self::FlinkBlueGreenDeployment => "FlinkBlueGreenDeployment",
            Self::Pod => "Pod",
            Self::Deployment => "Deployment",
            Self::ConfigMap => "ConfigMap",
            Self::Event => "Event",
            Self::Node => "Node",
            Self::ResourceQuota => "ResourceQuota",
            Self::HorizontalPodAutoscaler => "HorizontalPodAutoscaler",
            Self::VerticalPodAutoscaler => "VerticalPodAutoscaler",
        }
    }

    /// As in URLs.
    pub fn plural(self) -> &'static str {
        match self {
            Self::FlinkDeployment => "flinkdeployments",
            Self::FlinkSessionJob => "flinksessionjobs",
            Self::FlinkStateSnapshot => "flinkstatesnapshots",
            Self::FlinkBlueGreenDeployment => "flinkbluegreendeployments",
            Self::Pod => "pods",
            Self::Deployment => "deployments",
            Self::ConfigMap => "configmaps",
            Self::Event => "events",
            Self::Node => "nodes",
            Self::ResourceQuota => "resourcequotas",
            Self::HorizontalPodAutoscaler => "horizontalpodautoscalers",
            Self::VerticalPodAutoscaler => "verticalpodautoscalers",
        }
    }

    /// Group (empty for the core) and version.
    fn api(self) -> (&'static str, &'static str) {
        match self {
            Self::FlinkDeployment
            | Self::FlinkSessionJob
            | Self::FlinkStateSnapshot
            | Self::FlinkBlueGreenDeployment => (Self::GROUP, Self::VERSION),
            Self::Pod | Self::ConfigMap | Self::Event | Self::Node | Self::ResourceQuota => ("", "v1"),
            Self::Deployment => ("apps", "v1"),
            Self::HorizontalPodAutoscaler => ("autoscaling", "v2"),
            Self::VerticalPodAutoscaler => ("autoscaling.k8s.io", "v1"),
        }
    }

    /// As in RBAC rules and `kubectl`.
    pub fn resource(self) -> String {
        match self.api() {
            ("", _) => self.plural().to_owned(),
            (group, _) => format!("{}.{group}", self.plural()),
        }
    }

    /// The path of the collection, in one namespace or in all.
    pub(super) fn path(self, namespace: Option<&str>) -> String {
        let root = match self.api() {
            ("", version) => format!("/api/{version}"),
            (group, version) => format!("/apis/{group}/{version}"),
        };
        match namespace {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{}", self.plural()),
            None => format!("{root}/{}", self.plural()),
        }
    }
}

/// Which objects of a kind: a namespace (`None`: all), and selectors.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Scope {
    /// Namespace; `None` is the whole cluster.
    pub namespace: Option<String>,
    /// Label selector; empty for every object.
    pub labels: String,
    /// Field selector; empty for every object.
    pub fields: String,
}

impl From<Option<String>> for Scope {
    fn from(namespace: Option<String>) -> Self {
        Self { namespace, ..Self::default() }
    }
}

impl Scope {
    /// Adds the selectors to a query.
    pub(super) fn select(&self, query: &mut url::form_urlencoded::Serializer<'_, String>) {
        for (name, selector) in [("labelSelector", &self.labels), ("fieldSelector", &self.fields)] {
            if !selector.is_empty() {
                query.append_pair(name, selector);
            }
        }
    }
}

/// Which namespaces are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Namespaces {
    /// All: needs rights in the whole cluster.
    #[default]
    All,
    /// These; rights in each of them are enough.
    Only(Vec<String>),
}

impl Namespaces {
    /// One scope per watch: `None` is the whole cluster.
    pub fn scopes(&self) -> Vec<Option<String>> {
        match self {
            Self::All => vec![None],
            Self::Only(names) => {
                let mut names: Vec<_> = names.iter().cloned().map(Some).collect();
                names.sort();
                names.dedup();
                names
            }
        }
    }
}

/// Names one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceRef {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ResourceRef {
    /// The path of the object.
    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.kind.path(Some(&self.namespace)), self.name)
    }
}

impl std::fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind.name(), self.namespace, self.name)
    }
}

/// An object that is there and cannot be read. It never hides the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Namespace, as far as readable.
    pub namespace: String,
    /// Name, as far as readable.
    pub name: String,
    /// Uid, as far as readable.
    pub uid: String,
    /// What is wrong, with the path.
    pub why: WrongShape,
}

/// A small row made of an API object.
pub trait Projection: Sized + Send + Sync + 'static {
    /// The kind of object.
    const KIND: Kind;

    /// Projects an object.
    ///
    /// # Errors
    /// A field that is needed has another type than the API promises.
    fn project(object: &Value) -> Result<Self, WrongShape>;

    /// `metadata.uid`.
    fn uid(&self) -> &str;

    /// `metadata.resourceVersion`.
    fn resource_version(&self) -> &str;
}

/// Projects an object or says what is wrong with it.
pub(super) fn project<R: Projection>(object: &Value) -> Result<R, Box<Broken>> {
    R::project(object).map_err(|why| {
        let text = |name: &str| {
            object
                .get("metadata")
                .and_then(|m| m.get(name))
                .and_then(Value::as_str)
                .unwrap_or_default()
                .chars()
                .take(253)
                .collect()
        };
        Box::new(Broken { namespace: text("namespace"), name: text("name"), uid: text("uid"), why })
    })
}

/// The uid of an object, if it has one.
pub(super) fn uid_of(object: &Value) -> Result<String, WrongShape> {
    let root = At::root(object);
    let meta = root.field("metadata")?;
    let uid = meta.field("uid")?;
    uid.text()?.ok_or_else(|| uid.wrong("a uid"))
}
