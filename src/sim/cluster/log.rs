//! What JobManager and TaskManagers log: the lines that an engineer looks for, in Flink's layout.

use crate::sim::cluster::TaskManager;
use crate::sim::job::Job;
use crate::sim::pod::Pod;
use crate::sim::spec::ClusterSpec;

const ENTRYPOINT: &str = "org.apache.flink.runtime.entrypoint.ClusterEntrypoint";
const GRAPH: &str = "org.apache.flink.runtime.executiongraph.ExecutionGraph";
const COORDINATOR: &str = "org.apache.flink.runtime.checkpoint.CheckpointCoordinator";
const MANAGER: &str = "org.apache.flink.runtime.resourcemanager.active.ActiveResourceManager";
const RUNNER: &str = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner";
const EXECUTOR: &str = "org.apache.flink.runtime.taskexecutor.TaskExecutor";
const TASK: &str = "org.apache.flink.runtime.taskmanager.Task";

/// Something that a job wants logged by its JobManager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// When, epoch milliseconds.
    pub at: i64,
    /// What happened.
    pub what: NoteKind,
}

/// What a note is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoteKind {
    /// The state changed.
    Switched {
        /// State before.
        from: &'static str,
        /// State after.
        to: &'static str,
    },
    /// A task failed, with its stack trace.
    Failed(String),
}

/// The first lines of a JobManager.
pub fn jobmanager_starts(pod: &mut Pod, at: i64, spec: &ClusterSpec) {
    let entry = match spec.kind {
        super::ClusterKind::Application => "KubernetesApplicationClusterEntrypoint",
        _ => "KubernetesSessionClusterEntrypoint",
    };
    pod.write(
        at,
        "INFO",
        ENTRYPOINT,
        "--------------------------------------------------------------------------------",
    );
    pod.write(at, "INFO", ENTRYPOINT, &format!(" Starting {entry} (Version: {}, Scala: 2.12)", spec.version));
    pod.write(at, "INFO", ENTRYPOINT, &format!("Starting {entry}."));
    for (key, value) in &spec.config {
        let line = format!("Loading configuration property: {key}, {value}");
        pod.write(at, "INFO", "org.apache.flink.configuration.GlobalConfiguration", &line);
    }
    let rest = "org.apache.flink.runtime.dispatcher.DispatcherRestEndpoint";
    pod.write(at, "INFO", rest, "Rest endpoint listening at 0.0.0.0:8081");
}

/// The first lines of a TaskManager.
pub fn taskmanager_starts(pod: &mut Pod, at: i64, spec: &ClusterSpec) {
    let name = pod.name.clone();
    pod.write(
        at,
        "INFO",
        RUNNER,
        &format!(" Starting Kubernetes TaskExecutor runner (Version: {}, Scala: 2.12)", spec.version),
    );
    pod.write(at, "INFO", RUNNER, &format!("Starting TaskManager with ResourceID: {name}"));
}

/// A TaskManager registers.
pub fn registered(jobmanager: Option<&mut Pod>, taskmanager: Option<&mut Pod>, at: i64, slots: usize) {
    let Some(pod) = taskmanager else { return };
    pod.write(at, "INFO", EXECUTOR, "Successful registration at resource manager under registration id 1.");
    if let Some(jobmanager) = jobmanager {
        let line = format!("Worker {} is registered, {slots} slots.", pod.name);
        jobmanager.write(at, "INFO", MANAGER, &line);
    }
}

/// A TaskManager is lost.
pub fn lost(jobmanager: Option<&mut Pod>, id: &str, at: i64, why: &str) {
    if let Some(pod) = jobmanager {
        pod.write(at, "WARN", MANAGER, &format!("Worker {id} is terminated. Diagnostics: {why}"));
    }
}

/// What a job noted in its last step.
pub fn job(pod: &mut Pod, job: &Job, notes: &[Note]) {
    let (name, id) = (job.name(), job.id);
    for note in notes {
        match &note.what {
            NoteKind::Switched { from, to } => {
                pod.write(note.at, "INFO", GRAPH, &format!("Job {name} ({id}) switched from state {from} to {to}."));
            }
            NoteKind::Failed(trace) => {
                let line =
                    format!("A task of job {name} ({id}) switched from RUNNING to FAILED:\n{}", trace.trim_end());
                pod.write(note.at, "WARN", GRAPH, &line);
            }
        }
    }
}

/// Counts of checkpoints, to see what was done in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    completed: u64,
    failed: u64,
    running: bool,
}

impl Counted {
    /// What there is now.
    pub fn of(job: &Job) -> Self {
        Self {
            completed: job.checkpoints.completed_count,
            failed: job.checkpoints.failed_count,
            running: job.all_running(),
        }
    }
}

/// Checkpoints that ended in a step.
pub fn checkpoints(pod: &mut Pod, job: &Job, before: Counted, at: i64) {
    let id = job.id;
    if job.checkpoints.completed_count > before.completed
        && let Some(done) = job.checkpoints.history.front()
    {
        let (size, took) = (done.sum(at, |p| p.checkpointed), done.duration(at));
        let line = format!(
            "Completed checkpoint {} for job {id} ({size} bytes, checkpointDuration={took} ms, finalizationTime=3 ms).",
            done.id
        );
        pod.write(at, "INFO", COORDINATOR, &line);
    }
    if job.checkpoints.failed_count > before.failed
        && let Some(failed) = &job.checkpoints.failed
    {
        let why = match &failed.outcome {
            crate::sim::checkpoints::Outcome::Failed { message, .. } => message.as_str(),
            _ => "",
        };
        let line = format!("Failed to trigger or complete checkpoint {} for job {id}. ({why})", failed.id);
        pod.write(at, "WARN", COORDINATOR, &line);
    }
}

/// The tasks of a job began to run in this step: each TaskManager tells of its own.
pub fn tasks_run(taskmanagers: &mut [TaskManager], job: &Job, before: Counted, at: i64) {
    if before.running || !job.all_running() {
        return;
    }
    for (vertex, spec) in job.graph.spec.vertices.iter().enumerate() {
        let parallelism = job.parallelism.get(vertex).copied().unwrap_or(0);
        for subtask in 0..parallelism as usize {
            let Some(slot) = job.slot_of(vertex, subtask) else { continue };
            let found = taskmanagers.iter_mut().find(|tm| tm.number == slot.taskmanager);
            let Some(pod) = found.and_then(|tm| tm.pod.as_mut()) else { continue };
            let name = format!("{} ({}/{parallelism})#{}", spec.name, subtask + 1, job.attempt);
            pod.write(
                job.times.deploying,
                "INFO",
                EXECUTOR,
                &format!("Received task {name}, deploy into slot {}.", slot.slot),
            );
            pod.write(at, "INFO", TASK, &format!("{name} switched from INITIALIZING to RUNNING."));
        }
    }
}
