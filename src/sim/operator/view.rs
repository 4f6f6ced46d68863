//! What the operator can see of a cluster and its job: the Deployment, its pod, and what the REST API answers.

use std::collections::BTreeMap;

use crate::domain::ids::{JobId, VertexId};
use crate::sim::exceptions::Failure;
use crate::sim::job::Bounds;
use crate::sim::pod::Pod;
use crate::sim::world::World;

/// What is seen of a subject's cluster and job.
#[derive(Debug, Default)]
pub(super) struct View {
    /// There is a JobManager Deployment.
    pub cluster: bool,
    /// A REST call succeeds.
    pub rest: bool,
    /// The pod of the JobManager is available, whether or not REST answers the operator.
    pub available: bool,
    /// Why the JobManager cannot start: reason of a waiting container or of a failed condition, and message.
    pub trouble: Option<(String, String)>,
    /// The subject's job, if the JobManager knows it.
    pub job: Option<JobView>,
    /// Ids of other jobs that have not ended.
    pub unmanaged: Vec<JobId>,
    /// Registered TaskManagers.
    pub task_managers: u64,
    /// Flink's version.
    pub version: String,
    /// Cpu of a TaskManager.
    pub cpu: f64,
    /// Memory of a TaskManager, bytes.
    pub memory: u64,
}

/// What REST says of a job.
#[derive(Debug)]
pub(super) struct JobView {
    /// The state; RUNNING only when every task runs.
    pub state: &'static str,
    pub terminal: bool,
    pub name: String,
    pub start_time: i64,
    pub root_failure: Option<String>,
    /// Newest first.
    pub exceptions: Vec<Failure>,
    /// Newest checkpoint or savepoint that can be restored.
    pub restore_point: Option<String>,
    /// The same with its number, if it is a checkpoint.
    pub checkpoint: Option<(u64, String)>,
    pub requirements: BTreeMap<VertexId, Bounds>,
    pub state_size: u64,
}

/// Why a JobManager cannot start, as the operator words it.
fn trouble(pod: &Pod, namespace: &str) -> Option<(String, String)> {
    if let Some(why) = &pod.refused {
        return Some(("FailedCreate".to_owned(), why.clone()));
    }
    let (reason, message) = pod.waiting(namespace)?;
    Some((reason.to_owned(), format!("[flink-main-container] {}", message.replace("({uid})", ""))))
}

/// Looks at a cluster.
pub(super) fn look(world: &World, name: &str, id: Option<JobId>) -> View {
    let Some(cluster) = world.cluster(name) else { return View::default() };
    let reachable = cluster.is_up() && !world.faults().flink_gone(name);
    let known = |job: &&crate::sim::job::Job| Some(job.id) == id;
    let job = cluster.jobs.iter().find(known).filter(|_| reachable).map(|job| JobView {
        state: match job.status.name() {
            "RUNNING" if !job.all_running() && job.stopping.is_none() => "CREATED",
            other => other,
        },
        terminal: job.status.is_terminal(),
        name: job.name().to_owned(),
        start_time: job.start_time,
        root_failure: job.root_failure.as_ref().map(|(_, trace)| trace.clone()),
        exceptions: job.failures.iter().cloned().collect(),
        restore_point: job.checkpoints.restore_point().map(|(path, ..)| path),
        checkpoint: job.checkpoints.restore_point().map(|(path, id, _)| (id, path)),
        requirements: job.graph.vertices.iter().map(|n| n.id).zip(job.requirements.iter().copied()).collect(),
        state_size: job.checkpoints.completed.as_ref().map_or(0, |c| c.sum(world.now(), |part| part.state_size)),
    });
    View {
        cluster: !cluster.is_shutting_down(),
        rest: reachable,
        available: cluster.is_up(),
        trouble: cluster.jobmanager_pod.as_ref().and_then(|pod| trouble(pod, &cluster.spec.namespace)),
        job,
        unmanaged: cluster
            .jobs
            .iter()
            .filter(|j| reachable && !j.status.is_terminal() && Some(j.id) != id)
            .map(|j| j.id)
            .collect(),
        task_managers: cluster.taskmanagers.iter().filter(|t| t.lost.is_none()).count() as u64,
        version: cluster.spec.version.to_string(),
        cpu: cluster.spec.taskmanagers.cpu,
        memory: cluster.spec.taskmanagers.memory,
    }
}
