//! Scenario files: what a world is made of, as TOML. Owns their form and their errors; the embedded demo is one of them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use toml::Spanned;

use super::de;
use super::fault::FaultSpec;
use super::graph::Graph;
use super::job::Restore;
use super::kubernetes::access::Rule;
use super::nodes::{Node, NodeSpec, QuotaSpec};
use super::operator::Release;
use super::spec::{CheckpointSpec, ClusterKind, ClusterSpec, FailureSpec, JobSpec, VertexSpec};
use super::world::World;
use crate::domain::Timestamp;
use crate::domain::text::{nearest, position};

/// The scenario of `flightdeck demo`.
pub const DEMO: &str = include_str!("../../assets/scenarios/demo.toml");

/// A scenario file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What it shows, in a sentence or two.
    #[serde(default)]
    pub description: String,
    /// Seed of everything that varies.
    #[serde(default)]
    pub seed: u64,
    /// How long its jobs have run when it starts, milliseconds.
    #[serde(default, deserialize_with = "de::millis")]
    pub prerun: i64,
    /// Kubernetes namespace of its deployments.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// Options for the control loop that watches it: `job.autoscaler.*` and the program's own, as in its configuration.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// The simulated Kubernetes operator.
    #[serde(default)]
    pub operator: OperatorSpec,
    /// Who may do what through the Kubernetes API; everything if there is no rule.
    #[serde(default)]
    pub access: Vec<Rule>,
    /// Clusters that are not made by a workload.
    #[serde(default, rename = "cluster")]
    pub clusters: Vec<ClusterSpec>,
    /// Its jobs.
    #[serde(rename = "workload")]
    pub workloads: Vec<Workload>,
    /// Nodes of its Kubernetes cluster; enough for everything if there are none.
    #[serde(default, rename = "node")]
    pub nodes: Vec<NodeSpec>,
    /// What its namespaces may request.
    #[serde(default, rename = "quota")]
    pub quotas: Vec<QuotaSpec>,
    /// Form of the Cluster Autoscaler's status, where a pool of nodes can grow.
    #[serde(default)]
    pub cluster_autoscaler: CaStatus,
    /// Savepoints and checkpoints that somebody asked for by a resource.
    #[serde(default, rename = "snapshot")]
    pub snapshots: Vec<SnapshotSpec>,
    /// What goes wrong, and when.
    #[serde(default, rename = "fault")]
    pub faults: Vec<FaultSpec>,
}

fn default_namespace() -> String {
    "default".to_owned()
}

/// Form of the Cluster Autoscaler's status ConfigMap (`operator.md` §8.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaStatus {
    /// As from 1.30 on.
    #[default]
    Yaml,
    /// As before.
    Text,
}

/// The simulated operator. Milliseconds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct OperatorSpec {
    /// Its release, such as `1.11`: decides what it can do and which kinds of resource exist.
    pub version: Release,
    /// The namespace it runs in.
    pub namespace: String,
    /// Period of its reconcile loop.
    #[serde(deserialize_with = "de::millis")]
    pub reconcile: i64,
    /// More of its configuration, by its own keys.
    pub config: BTreeMap<String, String>,
}

impl Default for OperatorSpec {
    fn default() -> Self {
        Self {
            version: Release::DEFAULT,
            namespace: "flink-operator".to_owned(),
            reconcile: 60_000,
            config: BTreeMap::new(),
        }
    }
}

/// A FlinkStateSnapshot.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SnapshotSpec {
    /// Its name.
    pub name: String,
    /// Name of the job's resource.
    pub job: String,
    /// A checkpoint rather than a savepoint.
    #[serde(default)]
    pub checkpoint: bool,
}

/// A job and how it is deployed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Workload {
    /// Name of the job and of its Kubernetes resource.
    pub name: Spanned<String>,
    /// The `[[cluster]]` it runs in: a FlinkSessionJob in a session cluster, a plain job in a plain one.
    #[serde(default)]
    pub cluster: Option<Spanned<String>>,
    /// Its own cluster, if it is a FlinkDeployment in application mode.
    #[serde(default)]
    pub application: Option<ClusterSpec>,
    /// It was submitted by hand: no resource stands for it (only with a session cluster).
    #[serde(default)]
    pub unmanaged: bool,
    /// As many deployments of this application, `<name>-1` and so on, all alike; the physics of those that nobody looks at rests.
    #[serde(default)]
    pub copies: u32,
    /// `upgradeMode` of its resource: `stateless`, `last-state` or `savepoint`.
    #[serde(default)]
    pub upgrade_mode: UpgradeMode,
    /// Key groups of vertices that set none.
    #[serde(default = "default_max_parallelism")]
    max_parallelism: u32,
    #[serde(default)]
    checkpoints: CheckpointSpec,
    #[serde(default)]
    failure: Option<FailureSpec>,
    #[serde(rename = "vertex")]
    vertices: Vec<VertexSpec>,
}

fn default_max_parallelism() -> u32 {
    128
}

/// How the operator carries state over an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpgradeMode {
    /// Not at all.
    Stateless,
    /// From the last checkpoint.
    #[default]
    LastState,
    /// From a savepoint.
    Savepoint,
}

impl Workload {
    /// The job.
    pub fn job(&self) -> JobSpec {
        JobSpec {
            name: self.name.get_ref().clone(),
            program: String::new(),
            max_parallelism: self.max_parallelism,
            checkpoints: self.checkpoints.clone(),
            failure: self.failure.clone(),
            vertices: self.vertices.clone(),
        }
    }

    /// Names of its deployments: its own, or those of the copies.
    pub fn deployments(&self) -> Vec<String> {
        let name = self.name.get_ref();
        match self.copies {
            0 => vec![name.clone()],
            copies => (1..=copies).map(|n| format!("{name}-{n}")).collect(),
        }
    }

    /// The name of the cluster that it runs in.
    pub fn cluster_name(&self) -> &str {
        self.cluster.as_ref().unwrap_or(&self.name).get_ref()
    }
}

/// A scenario file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ScenarioError {
    /// The file, or `demo` for the embedded one.
    pub file: String,
    /// Line and column, from 1, if the fault has a place.
    pub at: Option<(usize, usize)>,
    /// What is wrong and, where one is near, the valid name.
    pub message: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "scenario {}:{line}:{column}: {}", self.file, self.message),
            None => write!(f, "scenario {}: {}", self.file, self.message),
        }
    }
}

impl Scenario {
    /// The embedded demo.
    ///
    /// # Errors
    /// Never for a released binary: a test reads it.
    pub fn demo() -> Result<Self, ScenarioError> {
        Self::parse("demo", DEMO)
    }

    /// Reads a scenario; `file` names it in errors.
    ///
    /// # Errors
    /// If it is not TOML, has unknown or missing fields, wrong values, or names that lead nowhere; with the position.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScenarioError> {
        let error = |span: Option<std::ops::Range<usize>>, message: String| ScenarioError {
            file: file.to_owned(),
            at: span.map(|span| position(text, span.start)),
            message,
        };
        let scenario: Self = toml::from_str(text).map_err(|e| error(e.span(), explain(e.message())))?;
        scenario.check().map_err(|(span, message)| error(span, message))?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), (Option<std::ops::Range<usize>>, String)> {
        let mut names: Vec<&str> = Vec::new();
        for cluster in &self.clusters {
            if cluster.name.is_empty() {
                return Err((None, "a cluster has no name".to_owned()));
            }
            if cluster.kind == ClusterKind::Application {
                let why = format!("cluster {:?}: an application cluster belongs to its workload", cluster.name);
                return Err((None, why));
            }
            if names.contains(&cluster.name.as_str()) {
                return Err((None, format!("two clusters are named {:?}", cluster.name)));
            }
            names.push(&cluster.name);
        }
        let mut jobs: Vec<&str> = Vec::new();
        for workload in &self.workloads {
            let name = workload.name.get_ref().as_str();
            let here = Some(workload.name.span());
            if jobs.contains(&name) {
                return Err((here, format!("two workloads are named {name:?}")));
            }
            jobs.push(name);
            match (&workload.cluster, &workload.application) {
                (Some(cluster), None) => {
                    if !names.contains(&cluster.get_ref().as_str()) {
                        let hint = nearest(cluster.get_ref(), names.iter().copied())
                            .map_or(String::new(), |near| format!("; did you mean {near:?}?"));
                        let why = format!("no cluster is named {:?}{hint}", cluster.get_ref());
                        return Err((Some(cluster.span()), why));
                    }
                }
                (None, Some(_)) => {
                    if names.contains(&name) {
                        return Err((here, format!("workload {name:?} has the name of a cluster")));
                    }
                }
                _ => {
                    let why =
                        format!("workload {name:?} needs either a cluster to run in or an application of its own");
                    return Err((here, why));
                }
            }
            let session =
                self.clusters.iter().any(|c| c.name == workload.cluster_name() && c.kind == ClusterKind::Session);
            if workload.unmanaged && !session {
                return Err((here, format!("workload {name:?} is unmanaged but does not run in a session cluster")));
            }
            if workload.copies > 0 && workload.application.is_none() {
                return Err((here, format!("workload {name:?} has copies but is no application")));
            }
            Graph::new(workload.job()).map_err(|why| (here, why))?;
        }
        Ok(())
    }

    /// The cluster of a workload that is an application, with its name and kind filled in.
    pub fn application_cluster(&self, workload: &Workload) -> Option<ClusterSpec> {
        workload.application.clone().map(|cluster| {
            self.at_home(ClusterSpec {
                name: workload.name.get_ref().clone(),
                kind: ClusterKind::Application,
                ..cluster
            })
        })
    }

    /// A cluster in its namespace.
    fn at_home(&self, cluster: ClusterSpec) -> ClusterSpec {
        let namespace = if cluster.namespace.is_empty() { self.namespace.clone() } else { cluster.namespace };
        ClusterSpec { namespace, ..cluster }
    }

    /// A quota in its namespace.
    pub fn quota(&self, quota: &QuotaSpec) -> QuotaSpec {
        QuotaSpec {
            namespace: Some(quota.namespace.clone().unwrap_or_else(|| self.namespace.clone())),
            ..quota.clone()
        }
    }

    /// Its nodes; if it names none, as many as everything in it could ever need.
    pub fn all_nodes(&self) -> Vec<Node> {
        if !self.nodes.is_empty() {
            return self.nodes.iter().flat_map(Node::of).collect();
        }
        let applications = self.workloads.iter().filter_map(|w| self.application_cluster(w));
        let on_kubernetes = self.clusters.iter().filter(|c| c.kind != ClusterKind::Plain).cloned().chain(applications);
        let (mut cpu, mut memory) = (0.0, 0);
        for cluster in on_kubernetes {
            let most = cluster.taskmanagers.max.max(cluster.taskmanagers.count) as u64;
            let copies =
                self.workloads.iter().find(|w| *w.name.get_ref() == cluster.name).map_or(1, |w| w.copies.max(1));
            cpu += f64::from(copies) * (cluster.jobmanager.cpu + cluster.taskmanagers.cpu * most as f64);
            memory += u64::from(copies) * (cluster.jobmanager.memory + cluster.taskmanagers.memory * most);
        }
        let one = NodeSpec::default();
        let count = (cpu / (0.75 * one.cpu)).max(memory as f64 / (0.75 * one.memory as f64)).ceil() as u32;
        Node::of(&NodeSpec { count: count.max(3), ..one })
    }

    /// Builds the world and lets it run up to `now`, the start of the scenario: all jobs have been running for the time of
    /// the pre-run.
    ///
    /// # Errors
    /// If something in it makes no sense (memory sizes, faults that name nothing).
    pub fn build(&self, now: Timestamp) -> Result<World, ScenarioError> {
        let error = |message: String| ScenarioError { file: self.name.clone(), at: None, message };
        let begin = now - chrono::Duration::milliseconds(self.prerun);
        let mut world = World::new(begin, now, self.seed);
        world.nodes = self.all_nodes();
        world.quotas = self.quotas.iter().map(|quota| self.quota(quota)).collect();
        for cluster in &self.clusters {
            world.create_cluster(self.at_home(cluster.clone()), true).map_err(error)?;
        }
        for workload in &self.workloads {
            if let Some(cluster) = self.application_cluster(workload) {
                world.create_cluster(cluster, true).map_err(error)?;
            }
            world.submit(workload.cluster_name(), workload.job(), &BTreeMap::new(), Restore::Nothing).map_err(error)?;
        }
        let templates: Vec<&Workload> = self.workloads.iter().filter(|w| w.copies > 0).collect();
        for fault in &self.faults {
            world.schedule(fault.clone()).map_err(error)?;
        }
        world.advance(now);
        for workload in templates {
            world.multiply(workload.name.get_ref(), workload.deployments()).map_err(error)?;
        }
        Ok(world)
    }
}

/// Adds the nearest valid name to serde's words about an unknown one.
fn explain(message: &str) -> String {
    let message = message.trim_end();
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = message.contains("unknown field") || message.contains("unknown variant");
    match quoted.next() {
        Some(name) if unknown => match nearest(name, quoted) {
            Some(near) => format!("{message}; did you mean {near:?}?"),
            None => message.to_owned(),
        },
        _ => message.to_owned(),
    }
}
