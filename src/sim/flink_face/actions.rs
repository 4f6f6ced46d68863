//! Requests that change something: requirements, savepoints, stop, cancel.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::errors;
use super::request::{Answer, Query, Request};
use crate::domain::ids::{JobId, VertexId};
use crate::sim::checkpoints::Kind;
use crate::sim::cluster::{Cluster, Operation, Progress, Refused};
use crate::sim::job::{Bounds, JobStatus};
use crate::sim::spec::Scheduler;
use crate::sim::world::{TriggerOptions, World};

fn no_rescale() -> Answer {
    errors::internal(
        "java.lang.UnsupportedOperationException",
        "The DefaultScheduler does not support changing the parallelism without a job restart. This feature is currently only \
         expected to work with the AdaptiveScheduler.",
        "scheduler.SchedulerNG.updateJobResourceRequirements(SchedulerNG.java:228)",
    )
}

/// `GET /jobs/:id/resource-requirements`.
pub fn get_requirements(cluster: &Cluster, id: JobId) -> Answer {
    let Some(job) = cluster.job(id).filter(|job| !job.status.is_terminal()) else { return errors::job_not_found(id) };
    if cluster.spec.scheduler == Scheduler::Default {
        return no_rescale();
    }
    let bounds = job.graph.vertices.iter().zip(&job.requirements).map(|(node, bounds)| {
        let parallelism = json!({ "lowerBound": bounds.lower, "upperBound": bounds.upper });
        (node.id.to_string(), json!({ "parallelism": parallelism }))
    });
    Answer::ok(Value::Object(bounds.collect::<Map<_, _>>()))
}

/// `PUT /jobs/:id/resource-requirements`.
pub fn put_requirements(world: &mut World, cluster: &str, id: JobId, request: &Request) -> Answer {
    const FORMAT: &str = "JobResourceRequirementsBody";
    let Some(body) = body(request) else { return errors::format(FORMAT) };
    let mut wanted = BTreeMap::new();
    for (vertex, value) in &body {
        let bound = |name: &str| {
            let number = value.get("parallelism")?.get(name)?.as_i64()?;
            u32::try_from(number.max(0)).ok()
        };
        match (vertex.parse::<VertexId>(), bound("lowerBound"), bound("upperBound")) {
            (Ok(vertex), Some(lower), Some(upper)) => {
                wanted.insert(vertex, Bounds { lower, upper });
            }
            _ => return errors::format(FORMAT),
        }
    }
    if wanted.is_empty() {
        return errors::handler(400, "Request body does not specify resource requirements.");
    }
    match world.set_requirements(cluster, id, &wanted) {
        Ok(()) => Answer::ok(json!({})),
        Err(Refused::NoJob) => errors::job_not_found(id),
        Err(Refused::Scheduler) => no_rescale(),
        Err(Refused::Bounds(faults)) => errors::handler(400, &faults.join("\n")),
    }
}

fn body(request: &Request) -> Option<Map<String, Value>> {
    if request.body.is_empty() {
        return Some(Map::new());
    }
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    }
}

fn trigger_id(body: &Map<String, Value>) -> Result<Option<u128>, ()> {
    match body.get("triggerId") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => text.parse::<JobId>().map(|id| Some(id.as_u128())).map_err(|_| ()),
        Some(_) => Err(()),
    }
}

/// `POST /jobs/:id/savepoints`, `.../stop`, `.../checkpoints`: always 202, the result tells the rest.
pub fn trigger(world: &mut World, cluster: &str, id: JobId, kind: Kind, request: &Request) -> Answer {
    let (format, directory) = match kind {
        Kind::Savepoint => ("SavepointTriggerRequestBody", "target-directory"),
        Kind::SyncSavepoint => ("StopWithSavepointRequestBody", "targetDirectory"),
        Kind::Checkpoint => ("CheckpointTriggerRequestBody", ""),
    };
    let Some(body) = body(request) else { return errors::format(format) };
    let Ok(trigger) = trigger_id(&body) else { return errors::format(format) };
    let native = match (kind, body.get("formatType").and_then(Value::as_str)) {
        (_, None) => false,
        (Kind::Savepoint | Kind::SyncSavepoint, Some("CANONICAL")) => false,
        (Kind::Savepoint | Kind::SyncSavepoint, Some("NATIVE")) => true,
        _ => return errors::format(format),
    };
    if let Some(sort) = body.get("checkpointType")
        && kind == Kind::Checkpoint
        && !["CONFIGURED", "FULL", "INCREMENTAL"].iter().any(|known| sort == known)
    {
        return errors::format(format);
    }
    let target = body.get(directory).and_then(Value::as_str).unwrap_or_default().to_owned();
    let cancels = body.get("cancel-job").and_then(Value::as_bool).unwrap_or(false);
    let kind = if kind == Kind::Savepoint && cancels { Kind::SyncSavepoint } else { kind };
    match world.trigger(cluster, id, kind, TriggerOptions { trigger, target, native }) {
        Some(trigger) => Answer::accepted(json!({ "request-id": format!("{trigger:032x}") })),
        None => errors::job_not_found(id),
    }
}

/// Result of a savepoint, stop or checkpoint.
pub fn operation(cluster: &Cluster, id: JobId, trigger: &str, checkpoint: bool) -> Answer {
    let Ok(key) = trigger.parse::<JobId>() else { return errors::parameter("path", "triggerid", trigger) };
    let found = cluster
        .operation(key.as_u128())
        .filter(|op| op.job == Some(id) && (op.kind == Some(Kind::Checkpoint)) == checkpoint);
    match found {
        Some(op) => Answer::ok(result(op, if checkpoint { "failureCause" } else { "failure-cause" })),
        None => {
            let what = if checkpoint { "checkpoint" } else { "savepoint" };
            errors::handler(404, &format!("There is no {what} operation with triggerId={trigger} for job {id}."))
        }
    }
}

fn result(op: &Operation, cause: &str) -> Value {
    let operation = match &op.progress {
        Progress::InProgress => return json!({ "status": { "id": "IN_PROGRESS" }, "operation": null }),
        Progress::Savepoint(path) => json!({ "location": path }),
        Progress::Checkpoint(id) => json!({ "checkpointId": id }),
        Progress::Disposed => json!({}),
        Progress::Failed(class, why) => {
            let trace = format!(
                "java.util.concurrent.CompletionException: {class}: {why}\n\tat \
                 java.base/java.util.concurrent.CompletableFuture.encodeThrowable(CompletableFuture.java:331)\nCaused by: \
                 {class}: {why}\n\t... 12 more\n"
            );
            let failure = json!({
                "class": "java.util.concurrent.CompletionException",
                "stack-trace": trace,
                "serialized-throwable": "",
            });
            Value::Object([(cause.to_owned(), failure)].into_iter().collect())
        }
    };
    json!({ "status": { "id": "COMPLETED" }, "operation": operation })
}

/// `POST /savepoint-disposal`.
pub fn dispose(world: &mut World, cluster: &str, request: &Request) -> Answer {
    let Some(body) = body(request) else { return errors::format("SavepointDisposalRequest") };
    let Some(path) = body.get("savepoint-path").and_then(Value::as_str) else {
        return errors::handler(400, "Field savepoint-path must not be omitted or be null.");
    };
    let Ok(trigger) = trigger_id(&body) else { return errors::format("SavepointDisposalRequest") };
    match world.dispose(cluster, path, trigger) {
        Some(trigger) => Answer::ok(json!({ "request-id": format!("{trigger:032x}") })),
        None => errors::plain(503, "Service temporarily unavailable."),
    }
}

/// `GET /savepoint-disposal/:trigger`.
pub fn disposal(cluster: &Cluster, trigger: &str) -> Answer {
    let Ok(key) = trigger.parse::<JobId>() else { return errors::parameter("path", "triggerid", trigger) };
    match cluster.operation(key.as_u128()).filter(|op| op.kind.is_none()) {
        Some(op) => Answer::ok(result(op, "failure-cause")),
        None => errors::handler(404, &format!("Operation not found under key: {trigger}")),
    }
}

/// `PATCH /jobs/:id?mode=cancel`.
pub fn cancel(world: &mut World, cluster: &str, id: JobId, query: &Query) -> Answer {
    match query.first("mode") {
        None | Some("cancel" | "CANCEL") => {}
        Some("stop" | "STOP") => {
            return errors::handler(
                308,
                "The termination mode \"stop\" has been removed. For an ungraceful shutdown, please use \"cancel\" instead. For a \
                 graceful shutdown, please use \"jobs/:jobId/stop\" instead.",
            );
        }
        Some(other) => return errors::parameter("query", "mode", other),
    }
    match world.cancel(cluster, id) {
        Some(true) => Answer::accepted(json!({})),
        None => errors::handler(404, "Job could not be found."),
        Some(false) => {
            let state = world.job(cluster, id).map_or(JobStatus::Finished, |job| job.status).name();
            errors::handler(
                409,
                &format!(
                    "Job cancellation failed because the job has already reached another terminal state ({state})."
                ),
            )
        }
    }
}
