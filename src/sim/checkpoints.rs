//! The checkpoint coordinator of one job: triggers, acknowledges, completes and counts checkpoints and savepoints.

use std::collections::VecDeque;
use std::sync::Arc;

use super::spec::{CheckpointSpec, ClusterSpec};
use super::storage::{Snapshot, Storage};
use crate::domain::ids::{JobId, VertexId};

/// Sort of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Triggered by the interval or by request.
    Checkpoint,
    /// By request, the job goes on.
    Savepoint,
    /// By request, the job stops.
    SyncSavepoint,
}

/// How a checkpoint ended, if it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Still running.
    InProgress,
    /// Done; restorable from `path` unless discarded.
    Completed {
        /// Where it is.
        path: String,
    },
    /// Not done.
    Failed {
        /// When, epoch milliseconds.
        at: i64,
        /// Why.
        message: String,
    },
}

/// Part of one vertex in a checkpoint.
#[derive(Debug, Clone)]
pub struct VertexPart {
    /// The vertex.
    pub id: VertexId,
    /// Its subtasks.
    pub subtasks: u32,
    /// When the barrier reached it, epoch milliseconds.
    pub barrier_at: i64,
    /// When its last subtask has acknowledged, epoch milliseconds.
    pub ack_at: i64,
    /// Bytes of state.
    pub state_size: u64,
    /// Bytes written.
    pub checkpointed: u64,
    /// Bytes of records processed while barriers aligned.
    pub processed: u64,
}

/// One checkpoint or savepoint.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Counts from 1.
    pub id: u64,
    /// What sort.
    pub kind: Kind,
    /// NATIVE rather than CANONICAL (savepoints).
    pub native: bool,
    /// Trigger, epoch milliseconds.
    pub triggered: i64,
    /// Per vertex.
    pub parts: Vec<VertexPart>,
    /// How it ended.
    pub outcome: Outcome,
    /// Removed from storage.
    pub discarded: bool,
    target: String,
    operation: Option<u128>,
    snapshot: Arc<Snapshot>,
}

impl Checkpoint {
    /// When the last acknowledgement has come by `now`, epoch milliseconds; the trigger if none has.
    pub fn latest_ack(&self, now: i64) -> i64 {
        self.parts.iter().map(|p| p.ack_at).filter(|at| *at <= now).max().unwrap_or(self.triggered)
    }

    /// When all will have acknowledged.
    pub fn done_at(&self) -> i64 {
        self.parts.iter().map(|p| p.ack_at).max().unwrap_or(self.triggered)
    }

    /// Subtasks.
    pub fn subtasks(&self) -> u32 {
        self.parts.iter().map(|p| p.subtasks).sum()
    }

    /// Subtasks that have acknowledged by `now`.
    pub fn acknowledged(&self, now: i64) -> u32 {
        self.parts.iter().filter(|p| p.ack_at <= now).map(|p| p.subtasks).sum()
    }

    /// Milliseconds from the trigger to the last acknowledgement by `now`.
    pub fn duration(&self, now: i64) -> i64 {
        self.latest_ack(now) - self.triggered
    }

    /// Sum over the vertices that have acknowledged by `now`.
    pub fn sum(&self, now: i64, value: impl Fn(&VertexPart) -> u64) -> u64 {
        self.parts.iter().filter(|p| p.ack_at <= now).map(value).sum()
    }

    /// A savepoint of either sort.
    pub fn is_savepoint(&self) -> bool {
        self.kind != Kind::Checkpoint
    }
}

/// A restore of the job.
#[derive(Debug, Clone)]
pub struct Restored {
    /// Id of the checkpoint.
    pub id: u64,
    /// When, epoch milliseconds.
    pub at: i64,
    /// From a savepoint.
    pub is_savepoint: bool,
    /// Where it was.
    pub path: String,
}

/// A savepoint or checkpoint that somebody asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The asynchronous operation that waits for it.
    pub operation: u128,
    /// What sort.
    pub kind: Kind,
    /// Folder; the default one if empty.
    pub target: String,
    /// NATIVE rather than CANONICAL.
    pub native: bool,
}

/// What came of a request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The operation.
    pub operation: u128,
    /// What sort.
    pub kind: Kind,
    /// Path and id of the checkpoint, or why it failed.
    pub result: Result<(String, u64), String>,
}

/// Numbers of one completed checkpoint, for the summary.
#[derive(Debug, Clone, Copy)]
pub struct Numbers {
    /// Bytes written.
    pub checkpointed: u64,
    /// Bytes of state.
    pub state: u64,
    /// Milliseconds.
    pub duration: u64,
    /// Bytes processed during alignment.
    pub processed: u64,
}

/// The coordinator.
#[derive(Debug, Clone, Default)]
pub struct Checkpoints {
    /// Newest first.
    pub history: VecDeque<Arc<Checkpoint>>,
    /// Running ones.
    pub running: Vec<Checkpoint>,
    /// Restores.
    pub restored_count: u64,
    /// Completed ones.
    pub completed_count: u64,
    /// Failed ones.
    pub failed_count: u64,
    /// Newest completed checkpoint (not savepoint).
    pub completed: Option<Arc<Checkpoint>>,
    /// Newest savepoint.
    pub savepoint: Option<Arc<Checkpoint>>,
    /// Newest failed one.
    pub failed: Option<Arc<Checkpoint>>,
    /// Newest restore.
    pub restored: Option<Restored>,
    /// Numbers of the latest completed ones, oldest first.
    pub numbers: VecDeque<Numbers>,
    /// Failures since the last completed one.
    pub failures_in_row: u32,
    next_id: u64,
    next_trigger: i64,
    requests: VecDeque<Request>,
    restore_from: Option<(String, u64, Arc<Snapshot>)>,
}

/// Completed checkpoints that the summary is made of.
const SUMMARY: usize = 200;

/// What the coordinator needs to know to trigger.
pub struct Trigger<'a> {
    /// The job.
    pub job: JobId,
    /// Milliseconds since the epoch.
    pub now: i64,
    /// How the job checkpoints.
    pub spec: &'a CheckpointSpec,
    /// Its cluster, for folders and the length of the history.
    pub cluster: &'a ClusterSpec,
    /// Checkpoints are made to fail.
    pub fail: bool,
    /// Savepoints are made to fail.
    pub fail_savepoints: bool,
}

impl Checkpoints {
    /// The path and snapshot that a restart goes back to.
    pub fn restore_point(&self) -> Option<(String, u64, Arc<Snapshot>)> {
        self.restore_from.clone()
    }

    /// What the newest checkpoint holds.
    pub(super) fn newest(&self) -> Option<Arc<Snapshot>> {
        self.restore_from.as_ref().map(|(_, _, snapshot)| snapshot.clone())
    }

    /// Sets what the first start goes back to.
    pub fn start_from(&mut self, path: String, snapshot: Arc<Snapshot>) {
        self.restore_from = Some((path, 0, snapshot));
    }

    /// The job runs again from its restore point, if it has one.
    pub fn restored(&mut self, now: i64) {
        if let Some((path, id, snapshot)) = &self.restore_from {
            self.restored_count += 1;
            self.restored = Some(Restored { id: *id, at: now, is_savepoint: snapshot.savepoint, path: path.clone() });
        }
    }

    /// All tasks run: the next trigger is one interval away.
    pub fn running_from(&mut self, now: i64, spec: &CheckpointSpec) {
        self.next_trigger = now + spec.interval.unwrap_or(0);
    }

    /// Asks for a savepoint or checkpoint; it is triggered when none is running.
    pub fn request(&mut self, request: Request) {
        self.requests.push_back(request);
    }

    /// The tasks are gone: what runs fails, what was asked for fails.
    pub fn abort(&mut self, now: i64, why: &str, history: usize) -> Vec<Answer> {
        let mut answers = Vec::new();
        for mut checkpoint in std::mem::take(&mut self.running) {
            checkpoint.outcome = Outcome::Failed { at: now, message: why.to_owned() };
            answers.extend(self.finish(checkpoint, Err(why.to_owned()), history));
        }
        answers.extend(self.requests.drain(..).map(|request| Answer {
            operation: request.operation,
            kind: request.kind,
            result: Err(why.to_owned()),
        }));
        answers
    }

    /// Completes, fails and triggers. `begin` makes the parts and the content of a checkpoint that is triggered now.
    pub fn step(
        &mut self,
        trigger: &Trigger<'_>,
        storage: &mut Storage,
        begin: &mut dyn FnMut(Kind) -> (Vec<VertexPart>, Snapshot),
    ) -> Vec<Answer> {
        let mut answers = Vec::new();
        let now = trigger.now;
        let (ended, running): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|c| c.done_at() <= now || now - c.triggered >= trigger.spec.timeout);
        self.running = running;
        for mut checkpoint in ended {
            let fails = if checkpoint.is_savepoint() { trigger.fail_savepoints } else { trigger.fail };
            let result = if now - checkpoint.triggered >= trigger.spec.timeout {
                Err("Checkpoint expired before completing.".to_owned())
            } else if fails {
                Err("Asynchronous task checkpoint failed. IO-problem detected.".to_owned())
            } else {
                let path = path_of(&checkpoint, trigger);
                storage.put(&path, checkpoint.snapshot.clone());
                Ok(path)
            };
            checkpoint.outcome = match &result {
                Ok(path) => Outcome::Completed { path: path.clone() },
                Err(message) => Outcome::Failed { at: now, message: message.clone() },
            };
            let from_interval = checkpoint.operation.is_none();
            if let Ok(path) = &result
                && !checkpoint.is_savepoint()
            {
                self.forget_checkpoint(storage);
                self.restore_from = Some((path.clone(), checkpoint.id, checkpoint.snapshot.clone()));
            }
            answers.extend(self.finish(
                checkpoint,
                result,
                trigger.cluster.config_number("web.checkpoints.history", 10),
            ));
            if from_interval {
                self.next_trigger = self.next_trigger.max(now + trigger.spec.min_pause);
            }
        }
        if self.running.is_empty() {
            if let Some(request) = self.requests.pop_front() {
                let (parts, snapshot) = begin(request.kind);
                let checkpoint = self.make(request.kind, now, parts, snapshot);
                self.running.push(Checkpoint {
                    native: request.native,
                    target: request.target,
                    operation: Some(request.operation),
                    ..checkpoint
                });
            } else if let Some(interval) = trigger.spec.interval
                && now >= self.next_trigger
            {
                let (parts, snapshot) = begin(Kind::Checkpoint);
                let checkpoint = self.make(Kind::Checkpoint, now, parts, snapshot);
                self.running.push(checkpoint);
                self.next_trigger = now + interval.max(1);
            }
        }
        answers
    }

    fn make(&mut self, kind: Kind, now: i64, parts: Vec<VertexPart>, snapshot: Snapshot) -> Checkpoint {
        self.next_id += 1;
        Checkpoint {
            id: self.next_id,
            kind,
            native: false,
            triggered: now,
            parts,
            outcome: Outcome::InProgress,
            discarded: false,
            target: String::new(),
            operation: None,
            snapshot: Arc::new(Snapshot { savepoint: kind != Kind::Checkpoint, ..snapshot }),
        }
    }

    fn finish(&mut self, checkpoint: Checkpoint, result: Result<String, String>, history: usize) -> Option<Answer> {
        let answer = checkpoint.operation.map(|operation| Answer {
            operation,
            kind: checkpoint.kind,
            result: result.clone().map(|path| (path, checkpoint.id)),
        });
        let checkpoint = Arc::new(checkpoint);
        match result {
            Ok(_) => {
                let end = checkpoint.done_at();
                self.completed_count += 1;
                self.failures_in_row = 0;
                self.numbers.push_back(Numbers {
                    checkpointed: checkpoint.sum(end, |p| p.checkpointed),
                    state: checkpoint.sum(end, |p| p.state_size),
                    duration: u64::try_from(end - checkpoint.triggered).unwrap_or(0),
                    processed: checkpoint.sum(end, |p| p.processed),
                });
                if self.numbers.len() > SUMMARY {
                    self.numbers.pop_front();
                }
                if checkpoint.is_savepoint() {
                    self.savepoint = Some(checkpoint.clone());
                } else {
                    self.completed = Some(checkpoint.clone());
                }
            }
            Err(_) => {
                self.failed_count += 1;
                self.failures_in_row += 1;
                self.failed = Some(checkpoint.clone());
            }
        }
        self.history.push_front(checkpoint);
        self.history.truncate(history.max(1));
        answer
    }

    /// The checkpoint before the newest one is removed from storage; savepoints stay.
    fn forget_checkpoint(&mut self, storage: &mut Storage) {
        let Some((path, id, snapshot)) = &self.restore_from else { return };
        if snapshot.savepoint {
            return;
        }
        storage.dispose(path);
        for entry in &mut self.history {
            if entry.id == *id {
                entry_mut(entry).discarded = true;
            }
        }
    }

    /// All ever triggered.
    pub fn total(&self) -> u64 {
        self.completed_count + self.failed_count + self.running.len() as u64
    }
}

fn entry_mut(entry: &mut Arc<Checkpoint>) -> &mut Checkpoint {
    Arc::make_mut(entry)
}

fn path_of(checkpoint: &Checkpoint, trigger: &Trigger<'_>) -> String {
    let job = trigger.job.to_string();
    let folder = |keys: [&str; 2], default: &'static str| {
        let set = keys.iter().find_map(|key| trigger.cluster.config.get(*key));
        set.map_or(default, String::as_str).trim_end_matches('/').to_owned()
    };
    if checkpoint.is_savepoint() {
        let default =
            || folder(["execution.checkpointing.savepoint-dir", "state.savepoints.dir"], "file:/data/savepoints");
        let target = checkpoint.target.trim_end_matches('/');
        let folder = if target.is_empty() { default() } else { target.to_owned() };
        let unique = super::noise::hash128(&[&job, &checkpoint.id.to_string()]) as u64 & 0xffff_ffff_ffff;
        format!("{folder}/savepoint-{}-{unique:012x}", job.get(..6).unwrap_or_default())
    } else {
        let folder = folder(["execution.checkpointing.dir", "state.checkpoints.dir"], "file:/data/checkpoints");
        format!("{folder}/{job}/chk-{}", checkpoint.id)
    }
}
