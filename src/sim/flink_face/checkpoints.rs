//! Answers about checkpoints.

use serde_json::{Map, Value, json};

use super::metrics::number;
use super::view::View;
use crate::domain::ids::VertexId;
use crate::sim::checkpoints::{Checkpoint, Kind, Numbers, Outcome, VertexPart};
use crate::sim::spec::StateBackend;

/// `GET /jobs/:id/checkpoints`.
pub fn overview(view: &View<'_>) -> Value {
    let checkpoints = &view.job.checkpoints;
    let numbers: Vec<Numbers> = checkpoints.numbers.iter().copied().collect();
    let stat = |value: fn(&Numbers) -> u64| statistics(numbers.iter().map(value).collect(), true);
    let running = checkpoints.running.iter().rev().map(|c| entry(c, view.at));
    let most = view.cluster.spec.config_number("web.checkpoints.history", 10);
    let history: Vec<Value> = running.chain(checkpoints.history.iter().map(|c| entry(c, view.at))).take(most).collect();
    let latest = |c: &Option<std::sync::Arc<Checkpoint>>| c.as_ref().map(|c| entry(c, view.at));
    let restored = checkpoints.restored.as_ref().map(
        |r| json!({ "id": r.id, "restore_timestamp": r.at, "is_savepoint": r.is_savepoint, "external_path": r.path }),
    );
    json!({
        "counts": {
            "restored": checkpoints.restored_count,
            "total": checkpoints.total(),
            "in_progress": checkpoints.running.len(),
            "completed": checkpoints.completed_count,
            "failed": checkpoints.failed_count,
        },
        "summary": {
            "checkpointed_size": stat(|n| n.checkpointed),
            "state_size": stat(|n| n.state),
            "end_to_end_duration": stat(|n| n.duration),
            "alignment_buffered": stat(|_| 0),
            "processed_data": stat(|n| n.processed),
            "persisted_data": stat(|_| 0),
        },
        "latest": {
            "completed": latest(&checkpoints.completed),
            "savepoint": latest(&checkpoints.savepoint),
            "failed": latest(&checkpoints.failed),
            "restored": restored,
        },
        "history": history,
    })
}

/// Minimum, maximum, mean and percentiles; `"NaN"` percentiles when there is nothing, or when they are not computed.
fn statistics(mut values: Vec<u64>, percentiles: bool) -> Value {
    values.sort_unstable();
    let at = |q: f64| {
        if values.is_empty() || !percentiles {
            return number(f64::NAN);
        }
        let position = (q * (values.len() as f64 + 1.0)).clamp(1.0, values.len() as f64);
        let low = values[position.floor() as usize - 1] as f64;
        let high = values[(position.ceil() as usize).min(values.len()) - 1] as f64;
        number(low + position.fract() * (high - low))
    };
    let sum: u64 = values.iter().sum();
    json!({
        "min": values.first().copied().unwrap_or(0),
        "max": values.last().copied().unwrap_or(0),
        "avg": sum / (values.len() as u64).max(1),
        "p50": at(0.5),
        "p90": at(0.9),
        "p95": at(0.95),
        "p99": at(0.99),
        "p999": at(0.999),
    })
}

fn status(outcome: &Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::InProgress => ("in_progress", "IN_PROGRESS"),
        Outcome::Completed { .. } => ("completed", "COMPLETED"),
        Outcome::Failed { .. } => ("failed", "FAILED"),
    }
}

fn entry(checkpoint: &Checkpoint, at: i64) -> Value {
    Value::Object(entry_with(checkpoint, at, Map::new()))
}

fn entry_with(checkpoint: &Checkpoint, at: i64, tasks: Map<String, Value>) -> Map<String, Value> {
    // What ended is complete whatever the time of the cache.
    let at = if checkpoint.outcome == Outcome::InProgress { at } else { at.max(checkpoint.done_at()) };
    let at = match checkpoint.outcome {
        Outcome::Failed { at: failed, .. } => failed,
        _ => at,
    };
    let (class, name) = status(&checkpoint.outcome);
    let sum = |value: fn(&VertexPart) -> u64| checkpoint.sum(at, value);
    let format = match (checkpoint.is_savepoint(), checkpoint.native) {
        (false, _) => Value::Null,
        (true, true) => json!("NATIVE"),
        (true, false) => json!("CANONICAL"),
    };
    let kind = match checkpoint.kind {
        Kind::Checkpoint => "CHECKPOINT",
        Kind::Savepoint => "SAVEPOINT",
        Kind::SyncSavepoint => "SYNC_SAVEPOINT",
    };
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    put("className", json!(class));
    put("id", json!(checkpoint.id));
    put("status", json!(name));
    put("is_savepoint", json!(checkpoint.is_savepoint()));
    put("savepointFormat", format);
    put("trigger_timestamp", json!(checkpoint.triggered));
    put("latest_ack_timestamp", json!(if checkpoint.acknowledged(at) == 0 { -1 } else { checkpoint.latest_ack(at) }));
    put("checkpointed_size", json!(sum(|p| p.checkpointed)));
    put("state_size", json!(sum(|p| p.state_size)));
    put("end_to_end_duration", json!(checkpoint.duration(at)));
    put("alignment_buffered", json!(0));
    put("processed_data", json!(sum(|p| p.processed)));
    put("persisted_data", json!(0));
    put("num_subtasks", json!(checkpoint.subtasks()));
    put("num_acknowledged_subtasks", json!(checkpoint.acknowledged(at)));
    put("checkpoint_type", json!(kind));
    put("tasks", Value::Object(tasks));
    match &checkpoint.outcome {
        Outcome::InProgress => {}
        Outcome::Completed { path } => {
            put("external_path", json!(path));
            put("discarded", json!(checkpoint.discarded));
        }
        Outcome::Failed { at, message } => {
            put("failure_timestamp", json!(at));
            put("failure_message", json!(message));
        }
    }
    out
}

fn find<'a>(view: &'a View<'_>, id: u64) -> Option<&'a Checkpoint> {
    let checkpoints = &view.job.checkpoints;
    let old = || [&checkpoints.completed, &checkpoints.savepoint, &checkpoints.failed].into_iter().flatten();
    let all = checkpoints.running.iter().chain(checkpoints.history.iter().chain(old()).map(AsRef::as_ref));
    let mut all = all;
    all.find(|c| c.id == id)
}

fn task(checkpoint: &Checkpoint, part: &VertexPart, at: i64) -> Map<String, Value> {
    let done = part.ack_at <= at || checkpoint.outcome != Outcome::InProgress;
    let value = |v: u64| if done { v } else { 0 };
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    put("id", json!(checkpoint.id));
    put("status", json!(if done { status(&checkpoint.outcome).1 } else { "IN_PROGRESS" }));
    put("latest_ack_timestamp", json!(if done { part.ack_at } else { -1 }));
    put("checkpointed_size", json!(value(part.checkpointed)));
    put("state_size", json!(value(part.state_size)));
    put("end_to_end_duration", json!(if done { part.ack_at - checkpoint.triggered } else { -1 }));
    put("alignment_buffered", json!(0));
    put("processed_data", json!(value(part.processed)));
    put("persisted_data", json!(0));
    put("num_subtasks", json!(part.subtasks));
    put("num_acknowledged_subtasks", json!(if done { part.subtasks } else { 0 }));
    out
}

/// `GET .../checkpoints/details/:cid`; none if there is no such checkpoint.
pub fn details(view: &View<'_>, id: u64) -> Option<Value> {
    let checkpoint = find(view, id)?;
    let tasks =
        checkpoint.parts.iter().map(|p| (p.id.to_string(), Value::Object(task(checkpoint, p, view.at)))).collect();
    Some(Value::Object(entry_with(checkpoint, view.at, tasks)))
}

/// `GET .../checkpoints/details/:cid/subtasks/:vid`.
pub fn subtasks(view: &View<'_>, id: u64, vertex: VertexId) -> Option<Value> {
    let checkpoint = find(view, id)?;
    let part = checkpoint.parts.iter().find(|p| p.id == vertex)?;
    let n = u64::from(part.subtasks.max(1));
    let done = part.ack_at <= view.at || checkpoint.outcome != Outcome::InProgress;
    let each = |total: u64| total / n;
    let delay = (part.barrier_at - checkpoint.triggered).max(0);
    let total = part.ack_at - checkpoint.triggered;
    let same = |value: i64| statistics(vec![u64::try_from(value).unwrap_or(0); n as usize], false);
    let asynchronous = (part.ack_at - part.barrier_at - 2).max(0);
    let rows: Vec<Value> = (0..part.subtasks)
        .map(|index| {
            if !done {
                return json!({ "className": "pending", "index": index, "status": "pending_or_failed" });
            }
            json!({
                "className": "completed",
                "index": index,
                "ack_timestamp": part.ack_at - i64::from(index % 3),
                "end_to_end_duration": total - i64::from(index % 3),
                "checkpointed_size": each(part.checkpointed),
                "state_size": each(part.state_size),
                "checkpoint": { "sync": 2, "async": asynchronous },
                "alignment": { "buffered": 0, "processed": each(part.processed), "persisted": 0, "duration": 1 },
                "start_delay": delay,
                "unaligned_checkpoint": false,
                "aborted": false,
                "status": "completed",
            })
        })
        .collect();
    let mut out = task(checkpoint, part, view.at);
    let whole = |value: u64| same(i64::try_from(each(value)).unwrap_or(i64::MAX));
    out.insert(
        "summary".to_owned(),
        json!({
            "checkpointed_size": whole(part.checkpointed),
            "state_size": whole(part.state_size),
            "end_to_end_duration": same(total),
            "checkpoint_duration": { "sync": same(2), "async": same(asynchronous) },
            "alignment": {
                "buffered": statistics(vec![0; n as usize], true),
                "processed": whole(part.processed),
                "persisted": same(0),
                "duration": same(1),
            },
            "start_delay": same(delay),
        }),
    );
    out.insert("subtasks".to_owned(), Value::Array(rows));
    Some(Value::Object(out))
}

/// `GET .../checkpoints/config`.
pub fn config(view: &View<'_>) -> Value {
    let spec = &view.job.graph.spec.checkpoints;
    let rocks = view
        .job
        .graph
        .spec
        .vertices
        .iter()
        .any(|v| v.state.as_ref().is_some_and(|s| s.backend == StateBackend::RocksDb));
    json!({
        "mode": "exactly_once",
        "interval": spec.interval.unwrap_or(i64::MAX),
        "timeout": spec.timeout,
        "min_pause": spec.min_pause,
        "max_concurrent": 1,
        "externalization": { "enabled": true, "delete_on_cancellation": false },
        "state_backend": if rocks { "EmbeddedRocksDBStateBackend" } else { "HashMapStateBackend" },
        "checkpoint_storage": "FileSystemCheckpointStorage",
        "unaligned_checkpoints": false,
        "tolerable_failed_checkpoints": 0,
        "aligned_checkpoint_timeout": 0,
        "checkpoints_after_tasks_finish": true,
        "state_changelog_enabled": false,
        "changelog_periodic_materialization_interval": 600_000,
        "changelog_storage": "memory",
    })
}
