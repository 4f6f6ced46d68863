//! What a plan on plain Flink is made from: one fresh look at the cluster and, if there is one, at the job.

use std::collections::BTreeMap;

use crate::control::cluster::ClusterLink;
use crate::domain::Timestamp;
use crate::domain::ids::{JobId, VertexId};
use crate::domain::job::TaskCounts;
use crate::domain::plan::{Launch, PlanTarget};
use crate::flink::{CheckpointConfig, Checkpoints, FlinkClient, FlinkError, Jar, JobDetails, JobSummary, RunJar};

/// Keys of the configured place of savepoints, the present one first.
pub(super) const SAVEPOINT_KEYS: [&str; 2] = ["execution.checkpointing.savepoint-dir", "state.savepoints.dir"];

/// A cluster as it was just seen.
#[derive(Debug, Clone)]
pub(super) struct ClusterSeen {
    pub version: String,
    /// `/jars` is served.
    pub jars: bool,
    /// Configuration of the JobManager; empty where it may not be read.
    pub settings: BTreeMap<String, String>,
    pub jobs: Vec<JobSummary>,
    pub task_managers: u32,
}

/// A job as it was just seen.
#[derive(Debug, Clone)]
pub(super) struct JobSeen {
    pub summary: JobSummary,
    pub vertices: Vec<VertexId>,
    pub running_since: Option<Timestamp>,
    pub checkpoints: Option<Checkpoints>,
    pub checkpointing: Option<CheckpointConfig>,
}

/// What a launch would run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LaunchSeen {
    /// Nothing says what to run.
    Unknown {
        /// The jars there are, by name.
        jars: Vec<String>,
    },
    /// The cluster would not run it.
    Refused(String),
    /// It would run these vertices.
    Runs { launch: Launch, vertices: Vec<VertexId> },
}

impl ClusterSeen {
    pub(super) async fn look(link: &ClusterLink) -> Result<Self, FlinkError> {
        let client = &link.client;
        let (config, overview, jobs) = tokio::try_join!(client.config(), client.overview(), client.jobs_overview())?;
        Ok(Self {
            version: config.flink_version.clone(),
            jars: config.features.web_submit,
            // Some proxies let this one not through.
            settings: client.jobmanager_config().await.unwrap_or_default(),
            jobs,
            task_managers: overview.task_managers,
        })
    }

    /// The place where savepoints go unless a job or a request says otherwise.
    pub(super) fn savepoint_directory(&self) -> Option<&str> {
        SAVEPOINT_KEYS.iter().find_map(|key| self.settings.get(*key)).map(String::as_str)
    }

    /// The key that names it in this version.
    pub(super) fn savepoint_key(&self) -> &'static str {
        let old = self.version.strip_prefix("1.").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
        if old.is_some_and(|minor| minor < 20) { SAVEPOINT_KEYS[1] } else { SAVEPOINT_KEYS[0] }
    }
}

impl JobSeen {
    pub(super) async fn look(client: &FlinkClient, summary: JobSummary) -> Result<Self, FlinkError> {
        let job = summary.id;
        let (details, checkpoints, checkpointing) =
            tokio::join!(client.job(job), client.checkpoints(job), client.checkpoint_config(job));
        let details: JobDetails = details?;
        Ok(Self {
            summary,
            vertices: details.vertices.iter().map(|v| v.id).collect(),
            running_since: details.timestamps.running,
            // A job without checkpointing answers otherwise in some versions.
            checkpoints: checkpoints.ok(),
            checkpointing: checkpointing.ok(),
        })
    }

    pub(super) fn id(&self) -> JobId {
        self.summary.id
    }

    pub(super) fn tasks(&self) -> TaskCounts {
        self.summary.tasks
    }
}

/// The newest jar with this id or name.
pub(super) fn find_jar<'a>(jars: &'a [Jar], wanted: &str) -> Option<&'a Jar> {
    let named = jars.iter().filter(|jar| jar.name == wanted).max_by_key(|jar| jar.uploaded);
    jars.iter().find(|jar| jar.id == wanted).or(named)
}

/// A launch as the client takes it.
pub(super) fn run_jar(launch: &Launch) -> RunJar {
    RunJar {
        entry_class: launch.entry_class.clone(),
        program_args_list: launch.args.clone(),
        parallelism: launch.parallelism,
        flink_configuration: launch.configuration.clone(),
        ..RunJar::default()
    }
}

/// Asks the cluster what a launch would run. Nothing is started.
pub(super) async fn look_at_launch(client: &FlinkClient, launch: Option<&Launch>) -> Result<LaunchSeen, FlinkError> {
    let jars = client.jars().await?;
    let names = || jars.iter().map(|jar| jar.name.clone()).collect::<Vec<_>>();
    let Some(launch) = launch else { return Ok(LaunchSeen::Unknown { jars: names() }) };
    let Some(jar) = find_jar(&jars, &launch.jar) else {
        let there = if jars.is_empty() { "none".to_owned() } else { names().join(", ") };
        return Ok(LaunchSeen::Refused(format!("the cluster has no jar {:?}; there are: {there}", launch.jar)));
    };
    match client.plan_jar(&jar.id, &run_jar(launch)).await {
        Ok(plan) => {
            let launch = Launch { jar: jar.id.clone(), ..launch.clone() };
            Ok(LaunchSeen::Runs { launch, vertices: plan.nodes.iter().map(|node| node.id).collect() })
        }
        Err(error) if error.is_transient() => Err(error),
        Err(error) => Ok(LaunchSeen::Refused(error.to_string())),
    }
}

/// The target of a plan on a job of plain Flink.
pub(super) fn job_target(link: &ClusterLink, key: crate::domain::ids::JobKey, job: &JobSeen) -> PlanTarget {
    PlanTarget {
        job: Some(key),
        cluster: link.key.clone(),
        context: link.source.to_string(),
        namespace: link.namespace.clone(),
        name: job.summary.name.clone(),
        uid: job.id().to_string(),
        generation: None,
        run: job.running_since.map(|running_since| crate::domain::ids::RunId { job: job.id(), running_since }),
    }
}

/// The target of a plan on a whole cluster.
pub(super) fn cluster_target(link: &ClusterLink) -> PlanTarget {
    PlanTarget {
        job: None,
        cluster: link.key.clone(),
        context: link.source.to_string(),
        namespace: link.namespace.clone(),
        name: link.name.clone(),
        uid: link.client.target().to_owned(),
        generation: None,
        run: None,
    }
}
