//! The snapshot: everything a screen or a script may know, immutable and structurally shared.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::command::CommandView;
use super::decision::{Decision, DecisionId};
use super::ids::{ClusterKey, JobKey, SourceId};
use super::job::{ClusterView, JobView};
use super::kubernetes::{KubeAction, KubeView};
use super::plan::{Plan, PlanId};
use super::pods::LogView;

/// What a source of data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// A Kubernetes API server.
    Kubernetes,
    /// A Flink JobManager behind a URL.
    Flink,
}

/// How the connection to a source is, or one watch of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum SourceState {
    /// Never answered yet, first attempt under way.
    Connecting,
    /// Answers.
    Live,
    /// Does not answer.
    Lost {
        /// Since when.
        since: Timestamp,
        /// How many attempts were made.
        attempt: u32,
        /// When the next one is due.
        next_attempt_at: Timestamp,
        /// What failed, on what, and what to do.
        error: String,
    },
}

/// A source with the state of its connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceView {
    /// Identity.
    pub id: SourceId,
    /// What it is.
    pub kind: SourceKind,
    /// Its address, without credentials.
    pub address: String,
    /// The connection.
    pub state: SourceState,
    /// When it last answered.
    pub last_ok: Option<Timestamp>,
    /// Its version, once known.
    pub version: Option<String>,
    /// Certificates are not verified.
    pub insecure: bool,
}

/// Something that stands in the header for as long as it is true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Short form for the header, e.g. `windows shortened`.
    pub short: String,
    /// The whole sentence.
    pub text: String,
}

/// Everything that is known at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Grows with every published snapshot.
    pub revision: u64,
    /// When it was published.
    pub at: Timestamp,
    /// Nothing may be written.
    pub read_only: bool,
    /// Facts for the header (shortened windows, insecure connections, armed auto mode).
    pub notices: Arc<Vec<Notice>>,
    /// Where data come from.
    pub sources: Vec<Arc<SourceView>>,
    /// What Kubernetes clusters say besides jobs and Flink clusters.
    pub kubernetes: Vec<Arc<KubeView>>,
    /// Flink clusters.
    pub clusters: Vec<Arc<ClusterView>>,
    /// Jobs, sorted by key.
    pub jobs: Vec<Arc<JobView>>,
    /// Decisions, newest proposal first.
    pub decisions: Vec<Arc<Decision>>,
    /// Commands, newest first, bounded.
    pub commands: Vec<Arc<CommandView>>,
    /// Plans, newest first, bounded.
    #[serde(default)]
    pub plans: Vec<Arc<Plan>>,
    /// The log somebody reads.
    pub log: Option<Arc<LogView>>,
    /// The first answer of every source has arrived or failed.
    pub loaded: bool,
}

impl Snapshot {
    /// A snapshot before anything was seen.
    pub fn empty(at: Timestamp) -> Self {
        Self {
            revision: 0,
            at,
            read_only: false,
            notices: Arc::default(),
            sources: Vec::new(),
            kubernetes: Vec::new(),
            clusters: Vec::new(),
            jobs: Vec::new(),
            decisions: Vec::new(),
            commands: Vec::new(),
            plans: Vec::new(),
            log: None,
            loaded: false,
        }
    }

    /// The job with this key.
    pub fn job(&self, key: &JobKey) -> Option<&Arc<JobView>> {
        self.jobs.binary_search_by(|job| job.key.cmp(key)).ok().and_then(|at| self.jobs.get(at))
    }
    /// The cluster with this key.
    pub fn cluster(&self, key: &ClusterKey) -> Option<&Arc<ClusterView>> {
        self.clusters.iter().find(|c| c.key == *key)
    }
    /// The source with this id.
    pub fn source(&self, id: &SourceId) -> Option<&Arc<SourceView>> {
        self.sources.iter().find(|s| s.id == *id)
    }
    /// What this Kubernetes cluster says.
    pub fn kube(&self, source: &SourceId) -> Option<&Arc<KubeView>> {
        self.kubernetes.iter().find(|k| k.source == *source)
    }
    /// The right that is known to be missing for an action on this job, in one sentence.
    pub fn missing_right(&self, job: &JobView, action: KubeAction) -> Option<String> {
        self.kube(&job.source)?.missing_right(action, job.namespace.as_deref())
    }
    /// The plan with this id.
    pub fn plan(&self, id: PlanId) -> Option<&Arc<Plan>> {
        self.plans.iter().find(|p| p.id == id)
    }
    /// The decision with this id.
    pub fn decision(&self, id: DecisionId) -> Option<&Arc<Decision>> {
        self.decisions.iter().find(|d| d.id == id)
    }
    /// The decision of this job that is not final, if there is one; else its newest.
    pub fn decision_of(&self, job: &JobKey) -> Option<&Arc<Decision>> {
        let mut of_job = self.decisions.iter().filter(|d| d.target.job == *job);
        let newest = of_job.clone().next();
        of_job.find(|d| !d.state.is_final()).or(newest)
    }
}
