//! What answers about a job are made of: a copy of the job that is as old as its cache, the metric store, and the time.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::dump::{Dump, SubtaskDump};
use super::metrics::number;
use crate::sim::cluster::Cluster;
use crate::sim::job::{Job, TaskStatus};

/// A job as a handler sees it.
pub struct View<'a> {
    /// Its cluster, for what does not change.
    pub cluster: &'a Cluster,
    /// The job at the time of the cache.
    pub job: Arc<Job>,
    /// That time, epoch milliseconds.
    pub at: i64,
    /// The time of the request, epoch milliseconds.
    pub now: i64,
    /// The metric store.
    pub dump: Arc<Dump>,
}

/// Input and output of one subtask or several.
#[derive(Debug, Clone, Copy, Default)]
pub struct Io {
    io: [i64; 4],
    times: (i64, i64),
    busy: f64,
    complete: bool,
}

impl Io {
    /// As in an answer.
    pub fn json(&self) -> Value {
        json!({
            "read-bytes": self.io[0],
            "read-bytes-complete": self.complete,
            "write-bytes": self.io[1],
            "write-bytes-complete": self.complete,
            "read-records": self.io[2],
            "read-records-complete": self.complete,
            "write-records": self.io[3],
            "write-records-complete": self.complete,
            "accumulated-backpressured-time": self.times.0,
            "accumulated-idle-time": self.times.1,
            "accumulated-busy-time": number(self.busy),
        })
    }

    /// The seven numbers with their names, for aggregates.
    pub fn numbers(&self) -> [(&'static str, i64); 7] {
        [
            ("write-records", self.io[3]),
            ("accumulated-backpressured-time", self.times.0),
            ("accumulated-idle-time", self.times.1),
            ("write-bytes", self.io[1]),
            ("read-bytes", self.io[0]),
            ("read-records", self.io[2]),
            ("accumulated-busy-time", self.busy as i64),
        ]
    }

    fn add(&mut self, other: Io) {
        for (sum, value) in self.io.iter_mut().zip(other.io) {
            *sum += value;
        }
        self.times.0 += other.times.0;
        self.times.1 += other.times.1;
        self.busy += other.busy;
        self.complete &= other.complete;
    }
}

impl View<'_> {
    /// Parallelism of a vertex in the copy.
    pub fn parallelism(&self, vertex: usize) -> usize {
        self.job.parallelism.get(vertex).copied().unwrap_or(1) as usize
    }

    /// State of a task in the copy.
    pub fn task(&self, vertex: usize, subtask: usize) -> TaskStatus {
        self.job.task_status(vertex, subtask, self.at)
    }

    /// What the metric store has of a subtask.
    pub fn dumped(&self, vertex: usize, subtask: usize) -> Option<&SubtaskDump> {
        let id = self.job.graph.vertices.get(vertex)?.id;
        self.dump.jobs.get(&self.job.id)?.vertices.get(&id)?.get(subtask)
    }

    /// Totals of one subtask: of a terminal job kept for good, else from the metric store.
    pub fn io(&self, vertex: usize, subtask: usize) -> Io {
        if self.job.status.is_terminal() {
            let Some(task) = self.job.flow.vertices.get(vertex).and_then(|v| v.tasks.get(subtask)) else {
                return Io { complete: true, ..Io::default() };
            };
            let source = self.job.graph.spec.vertices.get(vertex).is_some_and(|v| v.source.is_some());
            let sink = self.job.graph.vertices.get(vertex).is_some_and(|v| v.outputs.is_empty());
            let counters = &task.counters;
            return Io {
                io: [
                    counters.bytes_in as i64,
                    counters.bytes_out as i64,
                    if source { 0 } else { counters.records_in as i64 },
                    if sink { 0 } else { counters.records_out as i64 },
                ],
                times: ((counters.backpressured * 1000.0) as i64, (counters.idle * 1000.0) as i64),
                busy: (counters.busy * 1000.0).round(),
                complete: true,
            };
        }
        match self.dumped(vertex, subtask) {
            Some(dump) => Io { io: dump.io, times: (dump.times.0, dump.times.1), busy: dump.times.2, complete: true },
            None => Io::default(),
        }
    }

    /// Totals of some subtasks of a vertex.
    pub fn io_sum(&self, vertex: usize, subtasks: impl Iterator<Item = usize>) -> Io {
        let mut sum = Io { complete: true, ..Io::default() };
        for i in subtasks {
            sum.add(self.io(vertex, i));
        }
        sum
    }

    /// `{STATE: tasks}` of some subtasks; all zero while the job has no tasks.
    pub fn counts(&self, vertex: usize, subtasks: impl Iterator<Item = usize>) -> Value {
        let mut counts = [0; TaskStatus::ALL.len()];
        if self.job.has_tasks() {
            for i in subtasks {
                let status = self.task(vertex, i);
                if let Some(at) = TaskStatus::ALL.iter().position(|s| *s == status) {
                    counts[at] += 1;
                }
            }
        }
        let entries = TaskStatus::ALL.iter().zip(counts).map(|(status, n)| (status.name().to_owned(), json!(n)));
        Value::Object(entries.collect::<Map<_, _>>())
    }

    /// State of a vertex, from those of its tasks.
    pub fn vertex_status(&self, vertex: usize, subtasks: impl Iterator<Item = usize>) -> TaskStatus {
        if !self.job.has_tasks() {
            return TaskStatus::Created;
        }
        let states: Vec<TaskStatus> = subtasks.map(|i| self.task(vertex, i)).collect();
        let any = |status: TaskStatus| states.contains(&status);
        for status in [TaskStatus::Failed, TaskStatus::Canceling, TaskStatus::Canceled, TaskStatus::Initializing] {
            if any(status) {
                return status;
            }
        }
        if states.iter().all(|s| *s == TaskStatus::Finished) {
            TaskStatus::Finished
        } else if any(TaskStatus::Running) || any(TaskStatus::Finished) {
            TaskStatus::Running
        } else {
            TaskStatus::Created
        }
    }

    /// `start-time`, `end-time` and `duration` of tasks.
    pub fn times(&self) -> (i64, i64, i64) {
        if !self.job.has_tasks() {
            return (-1, -1, -1);
        }
        let start = self.job.times.deploying;
        match self.job.times.ended {
            -1 => (start, -1, self.now - start),
            end => (start, end, end - start),
        }
    }

    /// `{STATE: ms}` of one task.
    pub fn status_durations(&self, vertex: usize, subtask: usize) -> Map<String, Value> {
        let times = &self.job.times;
        let number = (vertex * 5 + subtask * 2) as i64 % 4;
        let end = if times.ended < 0 { self.now } else { times.ended };
        let running = self.job.task_running_at(vertex, subtask);
        let entries = [
            ("INITIALIZING", running.min(end) - times.initializing.min(end)),
            ("SCHEDULED", 8 + number),
            ("CREATED", 7 + number),
            ("DEPLOYING", (times.initializing.min(end) - times.deploying - 15 - 2 * number).max(0)),
            ("RUNNING", (end - running).max(0)),
        ];
        entries.into_iter().map(|(name, value)| (name.to_owned(), json!(value.max(0)))).collect()
    }

    /// TaskManager id, host and `host:port` of a subtask.
    pub fn place(&self, vertex: usize, subtask: usize) -> (String, String, String) {
        let tm = self.job.slot_of(vertex, subtask).and_then(|slot| self.cluster.taskmanager(slot.taskmanager));
        match tm {
            Some(tm) => (tm.id.clone(), tm.host.clone(), format!("{}:{}", tm.host, tm.data_port)),
            None => ("(unassigned)".to_owned(), "(unassigned)".to_owned(), "(unassigned)".to_owned()),
        }
    }

    /// One task, as in the list of subtasks.
    pub fn subtask(&self, vertex: usize, subtask: usize) -> Value {
        let (start, end, duration) = self.times();
        let (id, host, endpoint) = self.place(vertex, subtask);
        let mut out = Map::new();
        out.insert("subtask".to_owned(), json!(subtask));
        out.insert("status".to_owned(), json!(self.task(vertex, subtask).name()));
        out.insert("attempt".to_owned(), json!(self.job.attempt));
        let version = self.cluster.spec.version;
        if !version.at_least(2, 0) {
            out.insert("host".to_owned(), json!(host));
        }
        if version.at_least(1, 19) {
            out.insert("endpoint".to_owned(), json!(endpoint));
        }
        out.insert("start-time".to_owned(), json!(start));
        out.insert("end-time".to_owned(), json!(end));
        out.insert("duration".to_owned(), json!(duration));
        out.insert("metrics".to_owned(), self.io(vertex, subtask).json());
        out.insert("taskmanager-id".to_owned(), json!(id));
        out.insert("status-duration".to_owned(), Value::Object(self.status_durations(vertex, subtask)));
        out.insert("start_time".to_owned(), json!(start));
        Value::Object(out)
    }

    /// Aggregates of metrics and durations over some subtasks.
    pub fn aggregated(&self, vertex: usize, subtasks: &[usize]) -> Value {
        let ios: Vec<Io> = subtasks.iter().map(|i| self.io(vertex, *i)).collect();
        let names = Io::default().numbers().map(|(name, _)| name);
        let metrics: Map<String, Value> = names
            .iter()
            .enumerate()
            .map(|(at, name)| ((*name).to_owned(), spread(ios.iter().map(|io| io.numbers()[at].1).collect())))
            .collect();
        let durations: Vec<Map<String, Value>> = subtasks.iter().map(|i| self.status_durations(vertex, *i)).collect();
        let by_state: Map<String, Value> = ["CREATED", "RUNNING", "INITIALIZING", "SCHEDULED", "DEPLOYING"]
            .into_iter()
            .map(|state| {
                let values = durations.iter().filter_map(|d| d.get(state).and_then(Value::as_i64)).collect();
                (state.to_owned(), spread(values))
            })
            .collect();
        json!({ "metrics": metrics, "status-duration": by_state })
    }
}

/// Minimum, maximum, mean, sum and quantiles of whole numbers.
fn spread(mut values: Vec<i64>) -> Value {
    values.sort_unstable();
    let at = |q: f64| {
        // The estimate of R-6, which Flink's histograms use.
        let position = q * (values.len() as f64 + 1.0);
        let index = position.floor() as usize;
        let value =
            |i: usize| values.get(i.saturating_sub(1).min(values.len().saturating_sub(1))).copied().unwrap_or(0) as f64;
        let (low, high) = (value(index.max(1)), value(index + 1));
        if index < 1 { low as i64 } else { (low + (position - index as f64) * (high - low)) as i64 }
    };
    let sum: i64 = values.iter().sum();
    json!({
        "p25": at(0.25),
        "min": values.first().copied().unwrap_or(0),
        "avg": sum / (values.len() as i64).max(1),
        "median": at(0.5),
        "max": values.last().copied().unwrap_or(0),
        "sum": sum,
        "p95": at(0.95),
        "p75": at(0.75),
    })
}
