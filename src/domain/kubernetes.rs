//! What is known of a Kubernetes cluster and of the operator on it: features, version, watches, rights, conflicts, previews, and the
//! rows of the kinds that have no job of their own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::capacity::CapacityView;
use super::decision::{DecisionId, Target};
use super::freshness::Observed;
use super::ids::{SourceId, VertexId};
use super::pods::EventRow;
use super::scaling::ScalingState;
use super::snapshot::SourceState;
use super::window::MetricWindow;

/// Which of the operator's kinds a cluster serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KubeFeatures {
    /// FlinkDeployment.
    pub deployments: bool,
    /// FlinkSessionJob.
    pub session_jobs: bool,
    /// FlinkStateSnapshot (operator ≥ 1.10).
    pub state_snapshots: bool,
    /// FlinkBlueGreenDeployment (operator ≥ 1.14).
    pub blue_green: bool,
}

/// A release of the operator: major and minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperatorVersion {
    /// Major.
    pub major: u32,
    /// Minor.
    pub minor: u32,
}

impl OperatorVersion {
    /// The release that brought FlinkStateSnapshot.
    pub const V1_10: Self = Self { major: 1, minor: 10 };
    /// The release that brought `autoscalerResetNonce`.
    pub const V1_11: Self = Self { major: 1, minor: 11 };
    /// The release that brought FlinkBlueGreenDeployment.
    pub const V1_14: Self = Self { major: 1, minor: 14 };
    /// The release that brought status conditions.
    pub const V1_15: Self = Self { major: 1, minor: 15 };

    /// Reads `1.12`, `v1.12.1`, `1.16-SNAPSHOT` or `release-1.12.0`; `None` for anything else (`latest`, a commit).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches("release-").trim_start_matches('v');
        let mut parts = text.split(['.', '-', '_', '+']);
        let (major, minor) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        // A commit such as `6e9caeb` or a date is no release.
        (major < 100 && minor < 1000).then_some(Self { major, minor })
    }
}

impl fmt::Display for OperatorVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What is known of the operator's release.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OperatorView {
    /// The release, if its Deployment says it.
    pub exact: Option<OperatorVersion>,
    /// It is at least this one, by what it writes and serves.
    pub at_least: Option<OperatorVersion>,
    /// How that was found out, in one sentence.
    pub evidence: String,
}

impl OperatorView {
    /// It is known to be `version` or newer.
    pub fn is_at_least(&self, version: OperatorVersion) -> bool {
        self.exact.map_or_else(|| self.at_least.is_some_and(|v| v >= version), |v| v >= version)
    }

    /// As shown: `1.12`, `≥ 1.10` or `unknown`.
    pub fn text(&self) -> String {
        match (self.exact, self.at_least) {
            (Some(exact), _) => exact.to_string(),
            (None, Some(least)) => format!("≥ {least}"),
            (None, None) => "unknown".to_owned(),
        }
    }
}

/// One watch: a kind of object in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchView {
    /// What is watched, as in RBAC rules: `pods`, `flinkdeployments.flink.apache.org`.
    pub resource: String,
    /// Where; `None` is all namespaces.
    pub namespace: Option<String>,
    /// How it stands.
    pub state: SourceState,
    /// It is lost because a right is missing: time alone will not mend it.
    pub forbidden: bool,
    /// Rows it holds.
    pub rows: usize,
    /// Objects that cannot be read: namespace/name and why.
    pub broken: Vec<(String, String)>,
    /// When the rows were last known to be current.
    pub current_at: Option<Timestamp>,
}

/// Something a person may want to do, and so a set of rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KubeAction {
    /// Approve, take over, hand back, restart, suspend, redeploy of a FlinkDeployment.
    PatchDeployment,
    /// The same of a FlinkSessionJob.
    PatchSessionJob,
    /// Delete a FlinkDeployment.
    DeleteDeployment,
    /// Delete a FlinkSessionJob.
    DeleteSessionJob,
    /// Take a savepoint as a FlinkStateSnapshot.
    CreateSnapshot,
    /// Read what a JobManager says through the API server.
    ReadJobManager,
    /// Change something at a JobManager through the API server.
    WriteJobManager,
    /// See pods.
    WatchPods,
    /// See events.
    WatchEvents,
    /// Read logs.
    ReadLogs,
    /// See the operator's autoscaler state.
    ReadConfigMaps,
    /// See nodes.
    ListNodes,
}

impl KubeAction {
    /// Every action.
    pub const ALL: [Self; 12] = [
        Self::PatchDeployment,
        Self::PatchSessionJob,
        Self::DeleteDeployment,
        Self::DeleteSessionJob,
        Self::CreateSnapshot,
        Self::ReadJobManager,
        Self::WriteJobManager,
        Self::WatchPods,
        Self::WatchEvents,
        Self::ReadLogs,
        Self::ReadConfigMaps,
        Self::ListNodes,
    ];

    /// Verb, API group and resource (with its subresource) that it takes.
    pub fn right(self) -> (&'static str, &'static str, &'static str) {
        const FLINK: &str = "flink.apache.org";
        match self {
            Self::PatchDeployment => ("patch", FLINK, "flinkdeployments"),
            Self::PatchSessionJob => ("patch", FLINK, "flinksessionjobs"),
            Self::DeleteDeployment => ("delete", FLINK, "flinkdeployments"),
            Self::DeleteSessionJob => ("delete", FLINK, "flinksessionjobs"),
            Self::CreateSnapshot => ("create", FLINK, "flinkstatesnapshots"),
            Self::ReadJobManager => ("get", "", "services/proxy"),
            Self::WriteJobManager => ("patch", "", "services/proxy"),
            Self::WatchPods => ("watch", "", "pods"),
            Self::WatchEvents => ("watch", "", "events"),
            Self::ReadLogs => ("get", "", "pods/log"),
            Self::ReadConfigMaps => ("watch", "", "configmaps"),
            Self::ListNodes => ("list", "", "nodes"),
        }
    }

    /// It is about the whole cluster, whatever the namespace.
    pub fn is_cluster_wide(self) -> bool {
        self == Self::ListNodes
    }
}

/// Whether an action is allowed in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RightRow {
    /// The action.
    pub action: KubeAction,
    /// Where; `None` is the whole cluster.
    pub namespace: Option<String>,
    /// It is allowed.
    pub allowed: bool,
    /// What the server adds, bounded.
    pub reason: String,
}

/// Somebody else who writes or scales the same thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictKind {
    /// A HorizontalPodAutoscaler.
    HorizontalPodAutoscaler,
    /// KEDA.
    Keda,
    /// A VerticalPodAutoscaler.
    VerticalPodAutoscaler,
    /// Argo CD, Flux or Helm writes the same fields.
    GitOps,
    /// A person wrote the same fields.
    Person,
    /// Another flightdeck.
    Flightdeck,
    /// The operator's autoscaler keeps overrides of its own.
    Operator,
}

/// One conflict, named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictRow {
    /// What it is.
    pub kind: ConflictKind,
    /// Who: the field manager or the object.
    pub who: String,
    /// One sentence: what they write, and what that means.
    pub what: String,
    /// When they last wrote.
    pub at: Option<Timestamp>,
    /// It forbids approvals; otherwise it is only worth knowing.
    pub blocks: bool,
}

/// A field before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Its path, dotted.
    pub path: String,
    /// Before; `None` if it was not there.
    pub before: Option<String>,
    /// After; `None` if it is removed.
    pub after: Option<String>,
}

/// What the operator will do about a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "effect")]
pub enum RolloutEffect {
    /// Nothing happens to the job.
    None,
    /// The job is rescaled in place: pods stay.
    InPlace,
    /// The cluster is stopped and started anew.
    Redeploy {
        /// Why it is not in place.
        why: String,
    },
}

/// What a write would do, found out by a server-side dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangePreview {
    /// The decision it is about; `None` for a take-over or a hand-back.
    pub decision: Option<DecisionId>,
    /// What would change in the resource, as the server answered.
    pub changes: Vec<FieldChange>,
    /// What the operator will do.
    pub effect: RolloutEffect,
    /// Pods that would be stopped or restarted.
    pub pods_replaced: Vec<String>,
    /// TaskManagers that would be added (positive) or removed (negative); `None` if not known.
    pub task_managers: Option<i64>,
    /// What a person should know besides: a session job gets no memory, an excluded vertex keeps its value.
    pub notes: Vec<String>,
    /// Why the server would refuse it, if it would.
    pub refused: Option<String>,
}

/// What the operator's autoscaler keeps of a job in its ConfigMap.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OperatorScaling {
    /// History, tracked restarts, overrides and delayed scale-downs.
    pub state: Arc<ScalingState>,
    /// Its metric window.
    pub window: Option<Arc<MetricWindow>>,
    /// Keys that are not known here; they are left alone.
    pub unknown: Vec<String>,
    /// Documents that cannot be read: key and why.
    pub broken: Vec<(String, String)>,
}

/// The spec and status of a resource for people, as YAML, bounded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceDocuments {
    /// `spec`.
    pub spec: String,
    /// `status`, without the recorded specs.
    pub status: String,
    /// What differs between the spec and the one the operator acted upon last.
    pub differs: Vec<FieldChange>,
}

/// What Kubernetes says of one job: the parts of a resource that a screen shows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ResourceView {
    /// `metadata.uid`.
    pub uid: String,
    /// `status.lifecycleState`.
    pub lifecycle: Option<String>,
    /// `status.jobManagerDeploymentStatus`.
    pub job_manager: Option<String>,
    /// `status.jobStatus.state`.
    pub job_state: Option<String>,
    /// `status.observedGeneration`.
    pub observed_generation: Option<i64>,
    /// `status.error`, its message in one line.
    pub error: Option<String>,
    /// The session cluster of a session job.
    pub session: Option<String>,
    /// A FlinkBlueGreenDeployment that owns it: it must be changed there.
    pub owned_by: Option<String>,
    /// The map of parallelism in the spec.
    pub overrides: BTreeMap<VertexId, i32>,
    /// What the operator's autoscaler keeps, while it is on or keeps overrides.
    pub operator_scaling: Option<Observed<Arc<OperatorScaling>>>,
    /// Who else writes or scales the same.
    pub conflicts: Arc<Vec<ConflictRow>>,
    /// What the change somebody asks about would do.
    pub preview: Option<Observed<Arc<ChangePreview>>>,
    /// Events about it and its pods, newest first, while somebody looks.
    pub events: Option<Observed<Arc<Vec<Arc<EventRow>>>>>,
    /// Its documents, while somebody looks.
    pub documents: Option<Observed<Arc<ResourceDocuments>>>,
    /// What a take-over or a hand-back is about, as it is now.
    pub target: Option<Target>,
    /// It can be taken over to manual now.
    pub can_take_over: bool,
    /// It can be handed back to the operator's autoscaler now.
    pub can_hand_back: bool,
}

/// One FlinkStateSnapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSnapshotRow {
    /// Identity.
    pub uid: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// `FlinkDeployment` or `FlinkSessionJob`.
    pub job_kind: String,
    /// Name of the job.
    pub job: String,
    /// It is a savepoint, else a checkpoint.
    pub savepoint: bool,
    /// `MANUAL`, `PERIODIC` or `UPGRADE`.
    pub trigger: Option<String>,
    /// `TRIGGER_PENDING`, `IN_PROGRESS`, `COMPLETED`, `FAILED`, `ABANDONED`.
    pub state: String,
    /// Where it is.
    pub path: Option<String>,
    /// Failures so far.
    pub failures: u32,
    /// What went wrong last, in one line.
    pub error: Option<String>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// When it was triggered.
    pub triggered_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Its files are removed with it.
    pub dispose_on_delete: bool,
    /// Deletion was asked for then.
    pub deleting_since: Option<Timestamp>,
}

/// One FlinkBlueGreenDeployment: to look at only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlueGreenRow {
    /// Identity.
    pub uid: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// `ACTIVE_BLUE`, `TRANSITIONING_TO_GREEN`, …
    pub state: String,
    /// State of its job.
    pub job_state: Option<String>,
    /// What went wrong, in one line.
    pub error: Option<String>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// When a transition is given up.
    pub abort_at: Option<Timestamp>,
}

/// A context of the kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextRow {
    /// Its name.
    pub name: String,
    /// The namespace it names.
    pub namespace: Option<String>,
    /// It is the one in use.
    pub current: bool,
}

/// Everything known of one Kubernetes cluster but for its jobs and Flink clusters. Every list is one `Arc`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KubeView {
    /// Which cluster.
    pub source: SourceId,
    /// Grows with every change.
    pub revision: u64,
    /// Namespaces that are looked at; empty for all.
    pub namespaces: Arc<Vec<String>>,
    /// Which kinds it serves; `None` until it was asked.
    pub features: Option<KubeFeatures>,
    /// The operator.
    pub operator: Arc<OperatorView>,
    /// Its watches.
    pub watches: Arc<Vec<WatchView>>,
    /// Rights; `None` until they were asked for.
    pub rights: Option<Observed<Arc<Vec<RightRow>>>>,
    /// Snapshots, newest first.
    pub state_snapshots: Arc<Vec<Arc<StateSnapshotRow>>>,
    /// Blue/green deployments.
    pub blue_green: Arc<Vec<Arc<BlueGreenRow>>>,
    /// Events of all that is looked at, newest first, while somebody looks.
    pub events: Option<Observed<Arc<Vec<Arc<EventRow>>>>>,
    /// Its room, while somebody looks or a decision needs it.
    pub capacity: Option<Observed<Arc<CapacityView>>>,
    /// Contexts that can be switched to.
    pub contexts: Arc<Vec<ContextRow>>,
}

impl KubeView {
    /// A view before anything was seen.
    pub fn new(source: SourceId) -> Self {
        Self {
            source,
            revision: 0,
            namespaces: Arc::default(),
            features: None,
            operator: Arc::default(),
            watches: Arc::default(),
            rights: None,
            state_snapshots: Arc::default(),
            blue_green: Arc::default(),
            events: None,
            capacity: None,
            contexts: Arc::default(),
        }
    }

    /// The right that is known to be missing for an action in a namespace, in one sentence; `None` if it is there or not known.
    pub fn missing_right(&self, action: KubeAction, namespace: Option<&str>) -> Option<String> {
        let rights = &self.rights.as_ref()?.value;
        let place = namespace.filter(|_| !action.is_cluster_wide());
        let row = |place: Option<&str>| rights.iter().find(|r| r.action == action && r.namespace.as_deref() == place);
        let row = row(place).or_else(|| row(None))?;
        if row.allowed {
            return None;
        }
        let (verb, group, resource) = action.right();
        let resource = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
        let place = place.map_or_else(|| "in the whole cluster".to_owned(), |ns| format!("in namespace {ns}"));
        Some(format!("missing right: {verb} {resource} {place}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_and_other_tags_are_not() {
        let version = |major, minor| Some(OperatorVersion { major, minor });
        for (text, expected) in [
            ("1.12.1", version(1, 12)),
            ("v1.8.0", version(1, 8)),
            ("release-1.10.0", version(1, 10)),
            ("1.16-SNAPSHOT", version(1, 16)),
            ("latest", None),
            ("6e9caeb", None),
            ("20260720.1", None),
            ("", None),
        ] {
            assert_eq!(OperatorVersion::parse(text), expected, "{text}");
        }
        assert!(OperatorVersion { major: 1, minor: 9 } < OperatorVersion::V1_10);
    }

    #[test]
    fn a_missing_right_names_verb_resource_and_namespace() {
        let row = |action, namespace: Option<&str>, allowed| RightRow {
            action,
            namespace: namespace.map(str::to_owned),
            allowed,
            reason: String::new(),
        };
        let mut view = KubeView::new(SourceId::new("kind"));
        assert_eq!(view.missing_right(KubeAction::PatchDeployment, Some("a")), None, "not known is not missing");
        let rights = vec![
            row(KubeAction::PatchDeployment, Some("a"), false),
            row(KubeAction::PatchDeployment, Some("b"), true),
            row(KubeAction::ListNodes, None, false),
        ];
        view.rights = Some(Observed::new(Arc::new(rights), chrono::DateTime::UNIX_EPOCH));
        assert_eq!(
            view.missing_right(KubeAction::PatchDeployment, Some("a")).as_deref(),
            Some("missing right: patch flinkdeployments.flink.apache.org in namespace a")
        );
        assert_eq!(view.missing_right(KubeAction::PatchDeployment, Some("b")), None);
        assert_eq!(
            view.missing_right(KubeAction::ListNodes, Some("b")).as_deref(),
            Some("missing right: list nodes in the whole cluster")
        );
    }
}
