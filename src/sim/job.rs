//! One job in a cluster: its state, tasks, slots, restores and failures. How it moves between states is in `lifecycle`.

mod lifecycle;
mod rescale;

use std::collections::VecDeque;
use std::sync::Arc;

pub use lifecycle::Around;

use super::checkpoints::{Answer, Checkpoints, Request};
use super::cluster::{Note, NoteKind};
use super::exceptions::{FailedTask, Failure};
use super::flow::Flow;
use super::graph::Graph;
use super::noise::Noise;
use super::storage::Snapshot;
use super::topic::Cursor;
use crate::domain::ids::JobId;

/// State of a job, with Flink's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobStatus {
    /// Being set up.
    Initializing,
    /// Waiting for slots.
    Created,
    /// Tasks are deployed or run.
    Running,
    /// Going to be FAILED.
    Failing,
    /// Failed for good.
    Failed,
    /// Going to be CANCELED.
    Cancelling,
    /// Cancelled.
    Canceled,
    /// Ended.
    Finished,
    /// Tasks are cancelled, to be started again.
    Restarting,
    /// Given up by this JobManager.
    Suspended,
    /// Never used here; part of every answer.
    Reconciling,
}

impl JobStatus {
    /// All states.
    pub const ALL: [Self; 11] = [
        Self::Initializing,
        Self::Created,
        Self::Running,
        Self::Failing,
        Self::Failed,
        Self::Cancelling,
        Self::Canceled,
        Self::Finished,
        Self::Restarting,
        Self::Suspended,
        Self::Reconciling,
    ];

    /// Flink's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Initializing => "INITIALIZING",
            Self::Created => "CREATED",
            Self::Running => "RUNNING",
            Self::Failing => "FAILING",
            Self::Failed => "FAILED",
            Self::Cancelling => "CANCELLING",
            Self::Canceled => "CANCELED",
            Self::Finished => "FINISHED",
            Self::Restarting => "RESTARTING",
            Self::Suspended => "SUSPENDED",
            Self::Reconciling => "RECONCILING",
        }
    }

    /// No way leads out of it.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Failed | Self::Canceled | Self::Finished | Self::Suspended)
    }
}

/// State of a task, with Flink's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskStatus {
    /// Known.
    Created,
    /// Waits for a slot.
    Scheduled,
    /// On its way to a TaskManager.
    Deploying,
    /// Restoring state.
    Initializing,
    /// At work.
    Running,
    /// Ended.
    Finished,
    /// Being cancelled.
    Canceling,
    /// Cancelled.
    Canceled,
    /// Failed.
    Failed,
    /// Never used here; part of every answer.
    Reconciling,
}

impl TaskStatus {
    /// All states.
    pub const ALL: [Self; 10] = [
        Self::Initializing,
        Self::Scheduled,
        Self::Created,
        Self::Canceled,
        Self::Reconciling,
        Self::Failed,
        Self::Deploying,
        Self::Running,
        Self::Finished,
        Self::Canceling,
    ];

    /// Flink's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Scheduled => "SCHEDULED",
            Self::Deploying => "DEPLOYING",
            Self::Initializing => "INITIALIZING",
            Self::Running => "RUNNING",
            Self::Finished => "FINISHED",
            Self::Canceling => "CANCELING",
            Self::Canceled => "CANCELED",
            Self::Failed => "FAILED",
            Self::Reconciling => "RECONCILING",
        }
    }
}

/// Parallelism that a job may have at one vertex (`resource-requirements`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The least it runs with.
    pub lower: u32,
    /// What it wants.
    pub upper: u32,
}

/// A slot of a TaskManager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotRef {
    /// Number of the TaskManager, unique in its cluster for all time.
    pub taskmanager: u64,
    /// Slot on it.
    pub slot: usize,
}

/// Where a job is, with the times at which it goes on. Epoch milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Phase {
    /// Being set up.
    Initializing { until: i64 },
    /// Waits for slots.
    Waiting { since: i64 },
    /// Tasks are on their way.
    Deploying { initializing: i64, running: i64 },
    /// Tasks run.
    Running,
    /// Tasks are being cancelled and the restart delay passes.
    Restarting { cancelled: i64, until: i64 },
    /// Will be FAILED.
    Failing { until: i64 },
    /// Will be CANCELED.
    Cancelling { until: i64 },
    /// The savepoint of a stop is done; tasks finish one by one.
    Finishing { from: i64, until: i64 },
    /// Over.
    Terminal,
}

/// When the tasks of the present run entered their states, epoch milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunTimes {
    /// Created.
    pub created: i64,
    /// Deploying.
    pub deploying: i64,
    /// Initializing.
    pub initializing: i64,
    /// Running; in the future while they initialize.
    pub running: i64,
    /// Ended, or -1.
    pub ended: i64,
}

/// One job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Its graph.
    pub graph: Arc<Graph>,
    /// Its state.
    pub status: JobStatus,
    /// Last entry into each state, by position in [`JobStatus::ALL`]; 0 if never. Epoch milliseconds.
    pub timestamps: [i64; 11],
    /// Submission.
    pub start_time: i64,
    /// End, or -1.
    pub end_time: i64,
    /// Last change of a task.
    pub last_modification: i64,
    /// Subtasks per vertex in this run.
    pub parallelism: Vec<u32>,
    /// Subtasks that it may have.
    pub requirements: Vec<Bounds>,
    /// Slots that it holds; the first ones are in use.
    pub slots: Vec<SlotRef>,
    /// Its tasks at work.
    pub flow: Flow,
    /// When its tasks changed state.
    pub times: RunTimes,
    /// How far its sources have read.
    pub cursors: Vec<Option<Cursor>>,
    /// Bytes of state per vertex.
    pub state: Vec<f64>,
    /// Its checkpoints.
    pub checkpoints: Checkpoints,
    /// Failures, newest first, at most [`MAX_EXCEPTIONS`].
    pub failures: VecDeque<Failure>,
    /// What made it FAILED, if it is: the last word of the scheduler.
    pub root_failure: Option<(i64, String)>,
    /// Starts after the first, rescales among them.
    pub restarts: u64,
    /// Starts with another parallelism.
    pub rescales: u64,
    /// The attempt number of its tasks.
    pub attempt: u32,
    pub(super) phase: Phase,
    pub(super) failed_task: Option<(usize, usize)>,
    pub(super) fail_at: Option<i64>,
    pub(super) failed_runs: u32,
    pub(super) surplus_since: Option<i64>,
    pub(super) rescale: Option<rescale::Pending>,
    pub(super) missing_savepoint: Option<String>,
    pub(super) stopping: Option<u128>,
    pub(super) answers: Vec<Answer>,
    pub(super) notes: Vec<Note>,
    pub(super) noise: Noise,
    pub(super) rates_at: i64,
    pub(super) classes_loaded: bool,
}

/// Entries of the exception history (`web.exception-history-size`).
pub const MAX_EXCEPTIONS: usize = 16;

/// What a job starts from.
#[derive(Debug, Clone, Default)]
pub enum Restore {
    /// The ends of its topics, less the backlog of the scenario.
    #[default]
    Nothing,
    /// A savepoint or checkpoint.
    From {
        /// Where it is.
        path: String,
        /// What it holds.
        snapshot: Arc<Snapshot>,
    },
    /// A path where nothing is: the job will fail.
    Missing {
        /// The path.
        path: String,
    },
}

impl Job {
    /// A job that was submitted at `now`.
    pub(super) fn submitted(
        id: JobId,
        graph: Arc<Graph>,
        cursors: Vec<Option<Cursor>>,
        parallelism: Vec<u32>,
        restore: Restore,
        noise: Noise,
        now: i64,
    ) -> Self {
        let requirements = parallelism.iter().map(|&upper| Bounds { lower: 1, upper }).collect();
        let mut job = Self {
            id,
            status: JobStatus::Initializing,
            timestamps: [0; 11],
            start_time: now,
            end_time: -1,
            last_modification: now,
            requirements,
            slots: Vec::new(),
            flow: Flow::new(&graph, &parallelism),
            times: RunTimes { ended: -1, ..RunTimes::default() },
            cursors,
            state: vec![0.0; parallelism.len()],
            checkpoints: Checkpoints::default(),
            failures: VecDeque::new(),
            root_failure: None,
            restarts: 0,
            rescales: 0,
            attempt: 0,
            parallelism,
            graph,
            phase: Phase::Initializing { until: now + 150 },
            failed_task: None,
            fail_at: None,
            failed_runs: 0,
            surplus_since: None,
            rescale: None,
            missing_savepoint: None,
            stopping: None,
            answers: Vec::new(),
            notes: Vec::new(),
            noise,
            rates_at: now,
            classes_loaded: false,
        };
        job.enter(JobStatus::Initializing, now);
        match restore {
            Restore::Nothing => {}
            Restore::From { path, snapshot } => job.checkpoints.start_from(path, snapshot),
            Restore::Missing { path } => job.missing_savepoint = Some(path),
        }
        job
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.graph.spec.name
    }

    /// All tasks run.
    pub fn all_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// Last entry into a state, epoch milliseconds; 0 if never.
    pub fn timestamp(&self, status: JobStatus) -> i64 {
        JobStatus::ALL.iter().position(|s| *s == status).map_or(0, |at| self.timestamps[at])
    }

    /// The slots that it wants.
    pub fn demand(&self) -> usize {
        if self.status.is_terminal() {
            return 0;
        }
        self.graph.slots_for(|v| self.requirements.get(v).map_or(1, |b| b.upper))
    }

    /// The slots that its present run uses.
    pub fn slots_in_use(&self) -> usize {
        self.graph.slots_for(|v| self.parallelism.get(v).copied().unwrap_or(1))
    }

    /// Position in [`slots`](Self::slots) of a subtask: subtask i of each vertex of a group shares the group's slot i.
    pub fn slot_index(&self, vertex: usize, subtask: usize) -> usize {
        let Some(node) = self.graph.vertices.get(vertex) else { return subtask };
        let mut seen = Vec::new();
        let mut base = 0;
        for other in &self.graph.vertices {
            if other.group == node.group {
                break;
            }
            if !seen.contains(&other.group) {
                seen.push(other.group);
                base += self
                    .graph
                    .vertices
                    .iter()
                    .zip(&self.parallelism)
                    .filter(|(n, _)| n.group == other.group)
                    .map(|(_, p)| *p as usize)
                    .max()
                    .unwrap_or(0);
            }
        }
        base + subtask
    }

    /// The slot of a subtask, if it has one.
    pub fn slot_of(&self, vertex: usize, subtask: usize) -> Option<SlotRef> {
        self.slots.get(self.slot_index(vertex, subtask)).copied()
    }

    /// The state of a task at `now`.
    pub fn task_status(&self, vertex: usize, subtask: usize, now: i64) -> TaskStatus {
        let failed = self.failed_task == Some((vertex, subtask));
        let ended = if failed { TaskStatus::Failed } else { TaskStatus::Canceled };
        match self.phase {
            Phase::Initializing { .. } | Phase::Waiting { .. } => TaskStatus::Created,
            Phase::Deploying { initializing, running } => {
                let spread = self.spread(vertex, subtask, running - initializing);
                if now < initializing {
                    TaskStatus::Deploying
                } else if now < running - spread {
                    TaskStatus::Initializing
                } else {
                    TaskStatus::Running
                }
            }
            Phase::Running => TaskStatus::Running,
            Phase::Restarting { cancelled, .. } => {
                if now < cancelled && !failed {
                    TaskStatus::Canceling
                } else {
                    ended
                }
            }
            Phase::Failing { until } => {
                if now < until && !failed {
                    TaskStatus::Canceling
                } else {
                    ended
                }
            }
            Phase::Cancelling { .. } => TaskStatus::Canceling,
            Phase::Finishing { from, until } => {
                let spread = self.spread(vertex, subtask, until - from);
                if now < until - spread { TaskStatus::Running } else { TaskStatus::Finished }
            }
            Phase::Terminal => match self.status {
                JobStatus::Finished => TaskStatus::Finished,
                _ => ended,
            },
        }
    }

    /// When a task began to run, epoch milliseconds.
    pub fn task_running_at(&self, vertex: usize, subtask: usize) -> i64 {
        self.times.running - self.spread(vertex, subtask, self.times.running - self.times.initializing)
    }

    /// Tasks do not change state all at once: each is a little before the last one.
    fn spread(&self, vertex: usize, subtask: usize, span: i64) -> i64 {
        let number = (vertex * 7 + subtask * 3) as i64 % 5;
        (span * number / 10).max(0)
    }

    /// Tasks exist: those of a job that waits for slots do not.
    pub fn has_tasks(&self) -> bool {
        !matches!(self.phase, Phase::Initializing { .. } | Phase::Waiting { .. }) && self.times.created > 0
    }

    /// Asks for a savepoint or checkpoint.
    pub(super) fn request(&mut self, request: Request) {
        if self.all_running() {
            self.checkpoints.request(request);
        } else {
            let why = format!("Checkpoint Coordinator is suspending. The job is {}.", self.status.name());
            self.answers.push(Answer { operation: request.operation, kind: request.kind, result: Err(why) });
        }
    }

    pub(super) fn enter(&mut self, status: JobStatus, now: i64) {
        if status != self.status {
            let what = NoteKind::Switched { from: self.status.name(), to: status.name() };
            self.notes.push(Note { at: now, what });
        }
        self.status = status;
        self.last_modification = now;
        if let Some(at) = JobStatus::ALL.iter().position(|s| *s == status) {
            self.timestamps[at] = now;
        }
        if status.is_terminal() {
            self.end_time = now;
        }
    }

    pub(super) fn note(&mut self, failure: Failure) {
        self.notes.push(Note { at: failure.at, what: NoteKind::Failed(failure.trace.clone()) });
        self.failures.push_front(failure);
        self.failures.truncate(MAX_EXCEPTIONS);
    }

    pub(super) fn task_name(&self, vertex: usize, subtask: usize) -> String {
        let name = self.graph.spec.vertices.get(vertex).map_or("", |v| v.name.as_str());
        let parallelism = self.parallelism.get(vertex).copied().unwrap_or(1);
        format!("{name} ({}/{parallelism})", subtask + 1)
    }

    pub(super) fn failed_task_of(
        &self,
        vertex: usize,
        subtask: usize,
        taskmanager: &str,
        endpoint: &str,
    ) -> FailedTask {
        FailedTask {
            name: self.task_name(vertex, subtask),
            taskmanager: taskmanager.to_owned(),
            endpoint: endpoint.to_owned(),
        }
    }
}

impl Job {
    /// Gives back slots that neither the present run nor the requirements need, after they were idle for a while.
    pub(super) fn release_slots(&mut self, now: i64, idle: i64) {
        let needed = if self.has_tasks() { self.slots_in_use().max(self.demand()) } else { self.demand() };
        if self.slots.len() <= needed {
            self.surplus_since = None;
        } else if now - *self.surplus_since.get_or_insert(now) >= idle {
            self.slots.truncate(needed);
            self.surplus_since = None;
        }
    }

    /// It may be given slots now.
    pub(super) fn takes_slots(&self) -> bool {
        !matches!(
            self.phase,
            Phase::Initializing { .. }
                | Phase::Failing { .. }
                | Phase::Cancelling { .. }
                | Phase::Finishing { .. }
                | Phase::Terminal
        )
    }

    pub(super) fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    pub(super) fn take_answers(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.answers)
    }

    /// Adds what its tasks on a TaskManager did in the last step; returns the network buffers they use there.
    pub(super) fn load_on(&self, taskmanager: u64, work: &mut super::memory::Work) -> f64 {
        let mut buffers = 0.0;
        for (index, (vertex, spec)) in self.flow.vertices.iter().zip(&self.graph.spec.vertices).enumerate() {
            let subtasks = vertex.tasks.len().max(1) as f64;
            let on_heap = spec.state.as_ref().is_some_and(|s| s.backend == super::spec::StateBackend::HashMap);
            let state = if on_heap { self.state.get(index).copied().unwrap_or(0.0) / subtasks } else { 0.0 };
            let base = self.slot_index(index, 0);
            for (i, task) in vertex.tasks.iter().enumerate() {
                if self.slots.get(base + i).is_none_or(|s| s.taskmanager != taskmanager) {
                    continue;
                }
                work.tasks += 1;
                work.allocated += task.moved * (300.0 + 3.0 * spec.record_size as f64);
                work.live += 1.5e6 + 1.4 * state;
                work.cpu += task.moved * spec.cost;
                for queue in &vertex.queues {
                    let fill = queue.waiting.get(i).copied().unwrap_or(0.0) / queue.capacity.max(1.0);
                    buffers += 3.0 + fill.min(1.0) * queue.capacity * 200.0 / super::flow::SEGMENT as f64;
                }
            }
        }
        buffers
    }
}
