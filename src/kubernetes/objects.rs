//! Which objects are read: kinds, namespaces, identities, and what becomes of an object that cannot be read.

use serde_json::Value;

use super::json::{At, WrongShape};

/// The kinds of the operator that are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An application or session cluster.
    FlinkDeployment,
    /// A job on a session cluster.
    FlinkSessionJob,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::FlinkDeployment, Self::FlinkSessionJob];
    /// The API group of all of them.
    pub const GROUP: &'static str = "flink.apache.org";
    /// The version of all of them.
    pub const VERSION: &'static str = "v1beta1";

    /// As in `kind:`.
    pub fn name(self) -> &'static str {
        match self {
            Self::FlinkDeployment => "FlinkDeployment",
            Self::FlinkSessionJob => "FlinkSessionJob",
        }
    }

    /// As in URLs.
    pub fn plural(self) -> &'static str {
        match self {
            Self::FlinkDeployment => "flinkdeployments",
            Self::FlinkSessionJob => "flinksessionjobs",
        }
    }

    /// As in RBAC rules and `kubectl`.
    pub fn resource(self) -> String {
        format!("{}.{}", self.plural(), Self::GROUP)
    }

    /// The path of the collection, in one namespace or in all.
    pub(super) fn path(self, namespace: Option<&str>) -> String {
        match namespace {
            Some(namespace) => {
                format!("/apis/{}/{}/namespaces/{namespace}/{}", Self::GROUP, Self::VERSION, self.plural())
            }
            None => format!("/apis/{}/{}/{}", Self::GROUP, Self::VERSION, self.plural()),
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
