//! Scenario files: what a world is made of, as TOML. Owns their form and their errors; the embedded demo is one of them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use toml::Spanned;

use super::de;
use super::fault::FaultSpec;
use super::graph::Graph;
use super::job::Restore;
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
    /// Clusters that are not made by a workload.
    #[serde(default, rename = "cluster")]
    pub clusters: Vec<ClusterSpec>,
    /// Its jobs.
    #[serde(rename = "workload")]
    pub workloads: Vec<Workload>,
    /// What goes wrong, and when.
    #[serde(default, rename = "fault")]
    pub faults: Vec<FaultSpec>,
}

fn default_namespace() -> String {
    "default".to_owned()
}

/// The simulated operator. Milliseconds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct OperatorSpec {
    /// Its release, such as `1.11`: decides what it can do and which kinds of resource exist.
    pub version: Release,
    /// Period of its reconcile loop.
    #[serde(deserialize_with = "de::millis")]
    pub reconcile: i64,
    /// More of its configuration, by its own keys.
    pub config: BTreeMap<String, String>,
}

impl Default for OperatorSpec {
    fn default() -> Self {
        Self { version: Release::DEFAULT, reconcile: 60_000, config: BTreeMap::new() }
    }
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
            max_parallelism: self.max_parallelism,
            checkpoints: self.checkpoints.clone(),
            failure: self.failure.clone(),
            vertices: self.vertices.clone(),
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
            Graph::new(workload.job()).map_err(|why| (here, why))?;
        }
        Ok(())
    }

    /// The cluster of a workload that is an application, with its name and kind filled in.
    pub fn application_cluster(&self, workload: &Workload) -> Option<ClusterSpec> {
        workload.application.clone().map(|cluster| ClusterSpec {
            name: workload.name.get_ref().clone(),
            kind: ClusterKind::Application,
            ..cluster
        })
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
        for cluster in &self.clusters {
            world.create_cluster(cluster.clone(), true).map_err(error)?;
        }
        for workload in &self.workloads {
            if let Some(cluster) = self.application_cluster(workload) {
                world.create_cluster(cluster, true).map_err(error)?;
            }
            world.submit(workload.cluster_name(), workload.job(), &BTreeMap::new(), Restore::Nothing).map_err(error)?;
        }
        for fault in &self.faults {
            world.schedule(fault.clone()).map_err(error)?;
        }
        world.advance(now);
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
