//! The kinds of object that the embedded API server knows: how each is addressed, what can be done with it, how it is printed.
//!
//! Owns names and addresses. The columns of `kubectl get` are in [`columns`], the types of the fields in `super::schema`.

pub mod columns;
mod table;

use columns::Column;

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
    ResourceQuota,
    Lease,
    Deployment,
    ReplicaSet,
    HorizontalPodAutoscaler,
    CustomResourceDefinition,
    FlinkDeployment,
    FlinkSessionJob,
    FlinkStateSnapshot,
    FlinkBlueGreenDeployment,
    ScaledObject,
    VerticalPodAutoscaler,
}

/// Where the scale of an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScalePaths {
    /// JSON pointer of the wanted replicas.
    pub wanted: &'static str,
    /// JSON pointer of the replicas that exist.
    pub present: &'static str,
    /// JSON pointer of the label selector: a text, or an object with `matchLabels`.
    pub selector: &'static str,
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
    /// Words such as `all` that include it.
    pub categories: &'static [&'static str],
    /// Objects live in namespaces.
    pub namespaced: bool,
    /// There is a status subresource.
    pub status: bool,
    /// There is a scale subresource.
    pub scale: Option<ScalePaths>,
    /// `metadata.generation` counts the versions of the spec.
    pub generation: bool,
    /// Defined by a CustomResourceDefinition: served while that exists, unknown fields are dropped, no strategic merge.
    pub custom: bool,
    /// Columns of `kubectl get`.
    pub columns: &'static [Column],
}

/// The operator's group.
pub const FLINK_GROUP: &str = "flink.apache.org";
/// The newer group of events: another view of the same objects.
pub const EVENTS_GROUP: &str = "events.k8s.io";

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 18] = [
        Self::Namespace,
        Self::Node,
        Self::Pod,
        Self::Service,
        Self::ConfigMap,
        Self::Event,
        Self::ResourceQuota,
        Self::Lease,
        Self::Deployment,
        Self::ReplicaSet,
        Self::HorizontalPodAutoscaler,
        Self::CustomResourceDefinition,
        Self::FlinkDeployment,
        Self::FlinkSessionJob,
        Self::FlinkStateSnapshot,
        Self::FlinkBlueGreenDeployment,
        Self::ScaledObject,
        Self::VerticalPodAutoscaler,
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
        group_version(info.group, info.version)
    }

    /// `flinkdeployments.flink.apache.org`, as messages of the server call it.
    pub fn resource(self) -> String {
        let info = self.info();
        if info.group.is_empty() { info.plural.to_owned() } else { format!("{}.{}", info.plural, info.group) }
    }

    /// `FlinkDeployment.flink.apache.org`, as messages about invalid objects call it.
    pub fn qualified(self) -> String {
        let info = self.info();
        if info.group.is_empty() { info.name.to_owned() } else { format!("{}.{}", info.name, info.group) }
    }

    /// What is known of it.
    pub fn info(self) -> &'static Info {
        table::info(self)
    }
}

/// `v1` or `group/version`.
pub fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_path_and_has_words_of_its_own() {
        let mut words: Vec<&str> = Vec::new();
        for kind in Kind::ALL {
            let info = kind.info();
            assert_eq!(Kind::find(info.group, info.version, info.plural), Some(kind));
            assert_eq!(
                info.custom,
                info.group == FLINK_GROUP || info.group == "keda.sh" || info.group == "autoscaling.k8s.io"
            );
            for word in info.short.iter().chain([&info.plural, &info.singular]) {
                assert!(!words.contains(word), "{word} is ambiguous");
                words.push(word);
            }
        }
        assert_eq!(Kind::find("", "v1", "secrets"), None);
    }
}
