//! How a job moves: from submission to running, through restarts and failures, to its end.

use super::{Job, JobStatus, Phase, RunTimes, rescale::affordable};
use crate::sim::checkpoints::{Kind, Trigger, VertexPart};
use crate::sim::cluster::TaskManager;
use crate::sim::exceptions::{self, Failure};
use crate::sim::fault::Faults;
use crate::sim::flow::{Flow, Surroundings};
use crate::sim::spec::{ClusterSpec, Scheduler};
use crate::sim::storage::{Snapshot, Storage};
use crate::sim::topic::Topic;

/// What a job finds around itself in one step.
pub struct Around<'a> {
    /// End of the step, epoch milliseconds.
    pub now: i64,
    /// Length of the step, seconds.
    pub dt: f64,
    /// A meter sample is due.
    pub sample: bool,
    /// Its cluster.
    pub cluster: &'a ClusterSpec,
    /// What its sources read.
    pub topics: &'a [Topic],
    /// What goes wrong.
    pub faults: &'a Faults,
    /// Savepoints and checkpoints.
    pub storage: &'a mut Storage,
    /// Speed of each of its slots.
    pub speeds: &'a [f64],
    /// The TaskManagers of its cluster.
    pub taskmanagers: &'a [TaskManager],
}

struct Speeds<'a> {
    slots: &'a [f64],
    bases: Vec<usize>,
    slowness: Vec<f64>,
}

impl Surroundings for Speeds<'_> {
    fn speed(&self, vertex: usize, subtask: usize) -> f64 {
        let slot = self.bases.get(vertex).map_or(subtask, |base| base + subtask);
        let speed = self.slots.get(slot).copied().unwrap_or(1.0);
        speed / self.slowness.get(vertex).copied().unwrap_or(1.0)
    }
}

impl Job {
    /// Moves the job to `around.now`.
    pub(in crate::sim) fn step(&mut self, around: &mut Around<'_>) {
        let now = around.now;
        match self.phase.clone() {
            Phase::Initializing { until } if now >= until => self.initialized(now, around.cluster),
            Phase::Waiting { since } => self.wait_for_slots(since, around),
            Phase::Deploying { running, .. } if now >= running => self.start_running(around),
            Phase::Running => self.run(around),
            Phase::Restarting { until, .. } if now >= until => {
                self.enter(JobStatus::Created, now);
                self.phase = Phase::Waiting { since: now };
                self.wait_for_slots(now, around);
            }
            Phase::Failing { until } if now >= until => self.end(JobStatus::Failed, now),
            Phase::Cancelling { until } if now >= until => self.end(JobStatus::Canceled, now),
            Phase::Finishing { until, .. } if now >= until => self.end(JobStatus::Finished, now),
            Phase::Initializing { .. }
            | Phase::Deploying { .. }
            | Phase::Restarting { .. }
            | Phase::Failing { .. }
            | Phase::Cancelling { .. }
            | Phase::Finishing { .. }
            | Phase::Terminal => {}
        }
    }

    fn initialized(&mut self, now: i64, cluster: &ClusterSpec) {
        if let Some(path) = self.missing_savepoint.take() {
            let (class, trace) = exceptions::savepoint_missing(&path);
            self.note(Failure { class, trace: trace.clone(), at: now, task: None });
            self.root_failure = Some((now, trace));
            return self.end(JobStatus::Failed, now);
        }
        let status = if cluster.scheduler == Scheduler::Adaptive { JobStatus::Created } else { JobStatus::Running };
        self.enter(status, now);
        self.phase = Phase::Waiting { since: now };
    }

    fn wait_for_slots(&mut self, since: i64, around: &mut Around<'_>) {
        let now = around.now;
        let timings = &around.cluster.timings;
        let adaptive = around.cluster.scheduler == Scheduler::Adaptive;
        let enough = self.slots.len() >= self.demand();
        let patience =
            if around.cluster.version.at_least(2, 0) { 10_000 } else { timings.stabilization.unwrap_or(10_000) };
        let settles = adaptive && now - since >= patience;
        if (enough || settles)
            && let Some(parallelism) = affordable(&self.graph, &self.requirements, self.slots.len())
        {
            self.deploy(parallelism, around);
        } else if now - since >= timings.resource_wait {
            let (class, trace) = exceptions::no_resources();
            self.note(Failure { class, trace: trace.clone(), at: now, task: None });
            self.root_failure = Some((now, trace));
            self.end(JobStatus::Failed, now);
        }
    }

    fn deploy(&mut self, parallelism: Vec<u32>, around: &Around<'_>) {
        let now = around.now;
        let timings = &around.cluster.timings;
        if self.status != JobStatus::Running {
            self.enter(JobStatus::Running, now);
        }
        self.flow = Flow::new(&self.graph, &parallelism);
        self.parallelism = parallelism;
        self.failed_task = None;
        self.rescale = None;
        self.classes_loaded = false;
        let mut restored = 0.0;
        if let Some((_, _, snapshot)) = self.checkpoints.restore_point() {
            for ((node, cursor), state) in self.graph.vertices.iter().zip(&mut self.cursors).zip(&mut self.state) {
                if let (Some(cursor), Some(saved)) = (cursor, snapshot.cursors.get(&node.id)) {
                    cursor.offsets.clone_from(&saved.offsets);
                }
                *state = snapshot.state.get(&node.id).copied().unwrap_or(0.0);
            }
            restored = snapshot.size();
            self.checkpoints.restored(now);
        } else {
            self.state.iter_mut().for_each(|state| *state = 0.0);
        }
        let slots = self.slots_in_use().max(1) as f64;
        let restore = (restored / slots / timings.restore_rate.max(1) as f64 * 1000.0) as i64;
        let initializing = now + timings.deploy;
        let running = initializing + timings.initialize + restore;
        self.times = RunTimes { created: now, deploying: now, initializing, running, ended: -1 };
        self.phase = Phase::Deploying { initializing, running };
    }

    fn start_running(&mut self, around: &Around<'_>) {
        let now = around.now;
        self.phase = Phase::Running;
        self.last_modification = now;
        self.rates_at = now;
        self.checkpoints.running_from(now, &self.graph.spec.checkpoints);
        let jitter = self.noise.unit();
        self.fail_at = self.graph.spec.failure.as_ref().map(|f| now + f.after + (f.after as f64 * 0.3 * jitter) as i64);
    }

    fn run(&mut self, around: &mut Around<'_>) {
        let now = around.now;
        let graph = self.graph.clone();
        let name = graph.spec.name.as_str();
        let speeds = Speeds {
            slots: around.speeds,
            bases: (0..self.graph.vertices.len()).map(|v| self.slot_index(v, 0)).collect(),
            slowness: graph.spec.vertices.iter().map(|v| around.faults.slowness(name, &v.name)).collect(),
        };
        let before: Vec<f64> = self.flow.vertices.iter().map(records_in).collect();
        self.flow.step(&graph, around.dt, &mut self.cursors, around.topics, &speeds, &mut self.noise);
        for (((state, vertex), spec), before) in
            self.state.iter_mut().zip(&self.flow.vertices).zip(&graph.spec.vertices).zip(before)
        {
            if let Some(kept) = &spec.state
                && kept.max > 0
            {
                let records = records_in(vertex) - before;
                let room = (1.0 - *state / kept.max as f64).max(0.0);
                *state = (*state + records * kept.per_record as f64 * room).min(kept.max as f64);
            }
        }
        if around.sample {
            self.flow.sample_meters();
        }
        if now - self.rates_at >= 1_000 {
            self.flow.remember_rates((now - self.rates_at) as f64 / 1000.0);
            self.rates_at = now;
        }
        self.checkpoint(around);
        if self.stopping.is_some() {
            self.finish_stop(around);
        } else if self.fail_at.is_some_and(|at| now >= at) {
            self.fail_by_itself(around);
        } else if self.rescales_now(now, around.cluster) {
            self.rescales += 1;
            self.restart(now, 0, around.cluster, "Checkpoint Coordinator is suspending.");
        }
    }

    fn checkpoint(&mut self, around: &mut Around<'_>) {
        let graph = self.graph.clone();
        let name = graph.spec.name.as_str();
        let trigger = Trigger {
            job: self.id,
            now: around.now,
            spec: &graph.spec.checkpoints,
            cluster: around.cluster,
            fail: around.faults.checkpoints_fail(name),
            fail_savepoints: around.faults.savepoints_fail(name),
        };
        let mut checkpoints = std::mem::take(&mut self.checkpoints);
        let upload = around.cluster.timings.upload_rate.max(1) as f64;
        let last = checkpoints.newest();
        let answers = checkpoints
            .step(&trigger, around.storage, &mut |kind| self.begin(kind, around.now, upload, last.as_deref()));
        self.checkpoints = checkpoints;
        self.answers.extend(answers);
    }

    /// What a checkpoint that is triggered now will hold and how long each vertex takes: the barrier waits in the queues,
    /// then state is written.
    fn begin(&mut self, kind: Kind, now: i64, upload: f64, last: Option<&Snapshot>) -> (Vec<VertexPart>, Snapshot) {
        let travel = self.flow.barrier_travel(&self.graph);
        let incremental = kind == Kind::Checkpoint && self.graph.spec.checkpoints.incremental;
        let mut snapshot = Snapshot::default();
        let mut parts = Vec::with_capacity(self.graph.vertices.len());
        for (index, node) in self.graph.vertices.iter().enumerate() {
            let state = self.state.get(index).copied().unwrap_or(0.0);
            let subtasks = self.parallelism.get(index).copied().unwrap_or(1);
            let own = 2_000.0 * f64::from(subtasks);
            let written = if incremental {
                let new = state - last.and_then(|s| s.state.get(&node.id)).copied().unwrap_or(0.0);
                new.max(state * 0.05) + own
            } else {
                state + own
            };
            let rate =
                self.flow.vertices.get(index).map_or(0.0, |v| v.tasks.iter().map(|t| t.counters.recent_rate()).sum());
            let barrier = travel.get(index).copied().unwrap_or(0.0);
            let seconds = written / f64::from(subtasks.max(1)) / upload;
            let jitter = 20.0 + 30.0 * self.noise.unit();
            let barrier_at = now + (barrier * 1000.0) as i64 + 2 * index as i64;
            let size = self.graph.spec.vertices.get(index).map_or(200, |v| v.record_size) as f64;
            parts.push(VertexPart {
                id: node.id,
                subtasks,
                barrier_at,
                ack_at: barrier_at + (seconds * 1000.0 + jitter) as i64,
                state_size: (state + own) as u64,
                checkpointed: written as u64,
                processed: if node.inputs.is_empty() { 0 } else { (rate * 0.01 * size) as u64 },
            });
            snapshot.state.insert(node.id, state);
            if let Some(Some(cursor)) = self.cursors.get(index) {
                snapshot.cursors.insert(node.id, cursor.clone());
            }
        }
        (parts, snapshot)
    }

    fn finish_stop(&mut self, around: &mut Around<'_>) {
        let Some(operation) = self.stopping else { return };
        match self.answers.iter().find(|a| a.operation == operation) {
            Some(answer) if answer.result.is_ok() => {
                let now = around.now;
                self.phase = Phase::Finishing { from: now, until: now + around.cluster.timings.cancel };
                self.last_modification = now;
            }
            Some(_) => self.stopping = None,
            None => {}
        }
    }

    fn fail_by_itself(&mut self, around: &Around<'_>) {
        let graph = self.graph.clone();
        let Some(spec) = &graph.spec.failure else { return };
        let vertex = spec
            .vertex
            .as_ref()
            .and_then(|name| graph.spec.vertices.iter().position(|v| v.name == *name))
            .unwrap_or(graph.vertices.len() - 1);
        let parallelism = self.parallelism.get(vertex).copied().unwrap_or(1).max(1);
        let subtask = (self.noise.bits() % u64::from(parallelism)) as usize;
        let (class, trace) = exceptions::thrown(spec.exception, self.restarts);
        self.failed_runs += 1;
        let lasting = spec.attempts.is_none_or(|attempts| self.failed_runs <= attempts);
        self.task_failed(vertex, subtask, class, trace, around);
        if lasting {
            self.restart(around.now, spec.restart_delay, around.cluster, "Checkpoint Coordinator is suspending.");
            self.failed_task = Some((vertex, subtask));
        } else {
            let suppressed = exceptions::recovery_suppressed(spec.attempts.unwrap_or(0), spec.restart_delay);
            self.root_failure = Some((around.now, suppressed));
            self.abort("The job has failed.", around.now, 10);
            self.times.ended = around.now;
            self.enter(JobStatus::Failing, around.now);
            self.phase = Phase::Failing { until: around.now + around.cluster.timings.cancel };
        }
    }

    fn task_failed(&mut self, vertex: usize, subtask: usize, class: String, trace: String, around: &Around<'_>) {
        let slot = self.slot_of(vertex, subtask);
        let place = slot.and_then(|slot| around.taskmanagers.iter().find(|tm| tm.number == slot.taskmanager));
        let task =
            place.map(|tm| self.failed_task_of(vertex, subtask, &tm.id, &format!("{}:{}", tm.host, tm.data_port)));
        self.failed_task = Some((vertex, subtask));
        self.note(Failure { class, trace, at: around.now, task });
    }

    /// A TaskManager on which tasks of the job ran is gone: they fail and the job starts again.
    pub(in crate::sim) fn taskmanager_lost(&mut self, class: String, trace: String, now: i64, cluster: &ClusterSpec) {
        if self.status.is_terminal() {
            return;
        }
        self.note(Failure { class, trace, at: now, task: None });
        if self.has_tasks() && !matches!(self.phase, Phase::Restarting { .. }) {
            let delay = self.graph.spec.failure.as_ref().map_or(1_000, |f| f.restart_delay);
            self.restart(now, delay, cluster, "Checkpoint Coordinator is suspending.");
            self.failed_task = Some((0, 0));
        }
    }

    /// Cancels the tasks, to start again after `delay` milliseconds.
    pub(in crate::sim) fn restart(&mut self, now: i64, delay: i64, cluster: &ClusterSpec, why: &str) {
        self.restarts += 1;
        self.attempt += 1;
        self.abort(why, now, cluster.config_number("web.checkpoints.history", 10));
        self.times.ended = now;
        self.failed_task = None;
        self.enter(JobStatus::Restarting, now);
        let cancelled = now + cluster.timings.cancel;
        self.phase = Phase::Restarting { cancelled, until: cancelled.max(now + delay) };
    }

    /// Cancels the job for good. False if it had ended before.
    pub(in crate::sim) fn cancel(&mut self, now: i64, cluster: &ClusterSpec) -> bool {
        match self.status {
            JobStatus::Failed | JobStatus::Finished | JobStatus::Suspended => false,
            JobStatus::Canceled | JobStatus::Cancelling => true,
            _ => {
                self.abort("The job was cancelled.", now, 10);
                self.enter(JobStatus::Cancelling, now);
                self.times.ended = now;
                self.phase = Phase::Cancelling { until: now + cluster.timings.cancel };
                true
            }
        }
    }

    /// The JobManager that ran the job is new: it starts over from the last checkpoint and knows nothing of before.
    pub(in crate::sim) fn recover(&mut self, now: i64) {
        if self.status.is_terminal() {
            return;
        }
        let restore = self.checkpoints.restore_point();
        self.checkpoints = crate::sim::checkpoints::Checkpoints::default();
        if let Some((path, _, snapshot)) = restore {
            self.checkpoints.start_from(path, snapshot);
        }
        self.failures.clear();
        self.answers.clear();
        self.timestamps = [0; 11];
        self.restarts = 0;
        self.rescales = 0;
        self.attempt = 0;
        self.slots.clear();
        self.stopping = None;
        self.rescale = None;
        self.failed_task = None;
        self.start_time = now;
        self.times = RunTimes { ended: -1, ..RunTimes::default() };
        self.enter(JobStatus::Initializing, now);
        self.phase = Phase::Initializing { until: now + 300 };
    }

    fn end(&mut self, status: JobStatus, now: i64) {
        self.abort("The job has ended.", now, 10);
        self.times.ended = now;
        self.enter(status, now);
        self.phase = Phase::Terminal;
        self.slots.clear();
    }

    fn abort(&mut self, why: &str, now: i64, history: usize) {
        let answers = self.checkpoints.abort(now, why, history);
        self.answers.extend(answers);
        self.fail_at = None;
    }
}

fn records_in(vertex: &crate::sim::flow::VertexFlow) -> f64 {
    vertex.tasks.iter().map(|t| t.counters.records_in).sum()
}
