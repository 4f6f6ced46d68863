//! Answers about jobs: overview, details, plan, exceptions, configuration.

use serde_json::{Map, Value, json};

use super::view::View;
use crate::sim::cluster::Cluster;
use crate::sim::exceptions::Failure;
use crate::sim::job::{Job, JobStatus, TaskStatus};
use crate::sim::spec::{FlinkVersion, Scheduler};

fn scheduler_name(cluster: &Cluster) -> &'static str {
    match cluster.spec.scheduler {
        Scheduler::Adaptive => "Adaptive",
        Scheduler::Default => "Default",
    }
}

/// `GET /jobs`.
pub fn list(cluster: &Cluster) -> Value {
    let jobs: Vec<Value> =
        cluster.jobs.iter().map(|job| json!({ "id": job.id.to_string(), "status": job.status.name() })).collect();
    json!({ "jobs": jobs })
}

/// `GET /jobs/overview`: in no order, fresh.
pub fn overview(cluster: &Cluster, now: i64) -> Value {
    let mut jobs: Vec<&Job> = cluster.jobs.iter().collect();
    jobs.sort_by_key(|job| job.id);
    let jobs: Vec<Value> = jobs.into_iter().map(|job| overview_entry(cluster, job, now)).collect();
    json!({ "jobs": jobs })
}

/// One job of the overview.
pub fn overview_entry(cluster: &Cluster, job: &Job, now: i64) -> Value {
    let mut counts = [0u32; TaskStatus::ALL.len()];
    let mut total = 0;
    if job.has_tasks() {
        for (vertex, parallelism) in job.parallelism.iter().enumerate() {
            for i in 0..*parallelism as usize {
                total += 1;
                let status = job.task_status(vertex, i, now);
                if let Some(at) = TaskStatus::ALL.iter().position(|s| *s == status) {
                    counts[at] += 1;
                }
            }
        }
    }
    let count = |status: TaskStatus| TaskStatus::ALL.iter().position(|s| *s == status).map_or(0, |at| counts[at]);
    let end = if job.end_time < 0 { now } else { job.end_time };
    let mut out = Map::new();
    out.insert("jid".to_owned(), json!(job.id.to_string()));
    out.insert("name".to_owned(), json!(job.name()));
    if cluster.spec.version.at_least(2, 3) {
        out.insert("jobType".to_owned(), json!("STREAMING"));
        out.insert("schedulerType".to_owned(), json!(scheduler_name(cluster)));
    }
    out.insert("start-time".to_owned(), json!(job.start_time));
    out.insert("end-time".to_owned(), json!(job.end_time));
    out.insert("duration".to_owned(), json!(end - job.start_time));
    out.insert("state".to_owned(), json!(job.status.name()));
    out.insert("last-modification".to_owned(), json!(job.last_modification));
    out.insert(
        "tasks".to_owned(),
        json!({
            "running": count(TaskStatus::Running),
            "canceling": count(TaskStatus::Canceling),
            "canceled": count(TaskStatus::Canceled),
            "total": total,
            "created": count(TaskStatus::Created),
            "scheduled": count(TaskStatus::Scheduled),
            "deploying": count(TaskStatus::Deploying),
            "reconciling": count(TaskStatus::Reconciling),
            "finished": count(TaskStatus::Finished),
            "initializing": count(TaskStatus::Initializing),
            "failed": count(TaskStatus::Failed),
        }),
    );
    if cluster.spec.version.at_least(2, 0) {
        out.insert("pending-operators".to_owned(), json!(0));
    }
    Value::Object(out)
}

/// `GET /jobs/:id`.
pub fn details(view: &View<'_>) -> Value {
    let job = &view.job;
    let version = view.cluster.spec.version;
    let end = if job.end_time < 0 { view.now } else { job.end_time };
    let timestamps: Map<String, Value> =
        JobStatus::ALL.iter().zip(job.timestamps).map(|(status, at)| (status.name().to_owned(), json!(at))).collect();
    let mut vertices: Vec<usize> = match job.status {
        JobStatus::Initializing => Vec::new(),
        _ => (0..job.graph.vertices.len()).collect(),
    };
    if job.status == JobStatus::Created {
        vertices.reverse();
    }
    let mut states = [0; TaskStatus::ALL.len()];
    for vertex in &vertices {
        let status = view.vertex_status(*vertex, 0..view.parallelism(*vertex));
        if let Some(at) = TaskStatus::ALL.iter().position(|s| *s == status) {
            states[at] += 1;
        }
    }
    let status_counts: Map<String, Value> =
        TaskStatus::ALL.iter().zip(states).map(|(status, n)| (status.name().to_owned(), json!(n))).collect();
    let mut out = Map::new();
    out.insert("jid".to_owned(), json!(job.id.to_string()));
    if version.at_least(2, 3) {
        out.insert("application-id".to_owned(), json!(job.id.to_string()));
    }
    out.insert("name".to_owned(), json!(job.name()));
    out.insert("isStoppable".to_owned(), json!(false));
    out.insert("state".to_owned(), json!(job.status.name()));
    if version.at_least(1, 20) {
        out.insert("job-type".to_owned(), json!("STREAMING"));
    }
    if version.at_least(2, 3) {
        out.insert("schedulerType".to_owned(), json!(scheduler_name(view.cluster)));
    }
    out.insert("start-time".to_owned(), json!(job.start_time));
    out.insert("end-time".to_owned(), json!(job.end_time));
    out.insert("duration".to_owned(), json!(end - job.start_time));
    out.insert("maxParallelism".to_owned(), json!(job.graph.spec.max_parallelism));
    out.insert("now".to_owned(), json!(view.now));
    out.insert("timestamps".to_owned(), Value::Object(timestamps));
    out.insert("vertices".to_owned(), vertices.iter().map(|v| vertex_entry(view, *v, version)).collect());
    out.insert("status-counts".to_owned(), Value::Object(status_counts));
    out.insert("plan".to_owned(), plan_body(view));
    if version.at_least(2, 0) {
        out.insert("pending-operators".to_owned(), json!(0));
    }
    Value::Object(out)
}

fn vertex_entry(view: &View<'_>, vertex: usize, version: FlinkVersion) -> Value {
    let job = &view.job;
    let (Some(node), Some(spec)) = (job.graph.vertices.get(vertex), job.graph.spec.vertices.get(vertex)) else {
        return Value::Null;
    };
    let (start, end, duration) = view.times();
    let subtasks = || 0..view.parallelism(vertex);
    let mut out = Map::new();
    out.insert("id".to_owned(), json!(node.id.to_string()));
    if version.at_least(1, 20) {
        out.insert("slotSharingGroupId".to_owned(), json!(node.group.to_string()));
    }
    out.insert("name".to_owned(), json!(spec.name));
    out.insert("maxParallelism".to_owned(), json!(node.max_parallelism));
    out.insert("parallelism".to_owned(), json!(view.parallelism(vertex)));
    out.insert("status".to_owned(), json!(view.vertex_status(vertex, subtasks()).name()));
    out.insert("start-time".to_owned(), json!(start));
    out.insert("end-time".to_owned(), json!(end));
    out.insert("duration".to_owned(), json!(duration));
    out.insert("tasks".to_owned(), view.counts(vertex, subtasks()));
    out.insert("metrics".to_owned(), view.io_sum(vertex, subtasks()).json());
    Value::Object(out)
}

/// `GET /jobs/:id/plan`.
pub fn plan(view: &View<'_>) -> Value {
    json!({ "plan": plan_body(view) })
}

/// The plan; empty while the adaptive scheduler waits for slots.
fn plan_body(view: &View<'_>) -> Value {
    let job = &view.job;
    if matches!(job.status, JobStatus::Created | JobStatus::Initializing) {
        return json!({});
    }
    let nodes: Vec<Value> = job
        .graph
        .vertices
        .iter()
        .zip(&job.graph.spec.vertices)
        .enumerate()
        .map(|(index, (node, spec))| {
            let mut out = Map::new();
            out.insert("id".to_owned(), json!(node.id.to_string()));
            out.insert("parallelism".to_owned(), json!(view.parallelism(index)));
            out.insert("operator".to_owned(), json!(""));
            out.insert("operator_strategy".to_owned(), json!(""));
            out.insert("description".to_owned(), json!(description(&spec.name)));
            if !node.inputs.is_empty() {
                let inputs: Vec<Value> = node
                    .inputs
                    .iter()
                    .enumerate()
                    .map(|(num, edge)| {
                        json!({
                            "num": num,
                            "id": job.graph.vertices[edge.from].id.to_string(),
                            "ship_strategy": format!("{:?}", edge.ship).to_ascii_uppercase(),
                            "exchange": "pipelined_bounded",
                        })
                    })
                    .collect();
                out.insert("inputs".to_owned(), Value::Array(inputs));
            }
            out.insert("optimizer_properties".to_owned(), json!({}));
            Value::Object(out)
        })
        .collect();
    json!({ "jid": job.id.to_string(), "name": job.name(), "type": "STREAMING", "nodes": nodes })
}

/// The chain of operators as the plan draws it: one a line, each under its predecessor.
fn description(name: &str) -> String {
    let escaped = name.replace('&', "&amp;").replace('<', "&lt;").replace("->", "\u{1}").replace('>', "&gt;");
    let lines = escaped.split(" \u{1} ").enumerate().map(|(depth, operator)| match depth {
        0 => format!("{operator}<br/>"),
        _ => format!("{}+- {operator}<br/>", "   ".repeat(depth - 1)),
    });
    lines.collect()
}

/// `GET /jobs/:id/config`.
pub fn config(view: &View<'_>) -> Value {
    let parallelism = view.job.parallelism.iter().max().copied().unwrap_or(1);
    let mut execution = Map::new();
    if !view.cluster.spec.version.at_least(2, 0) {
        execution.insert("execution-mode".to_owned(), json!("PIPELINED"));
    }
    execution.insert("restart-strategy".to_owned(), json!("Cluster level default restart strategy"));
    execution.insert("job-parallelism".to_owned(), json!(parallelism));
    execution.insert("object-reuse-mode".to_owned(), json!(false));
    execution.insert("user-config".to_owned(), json!({}));
    json!({ "jid": view.job.id.to_string(), "name": view.job.name(), "execution-config": execution })
}

/// `GET /jobs/:id/exceptions`.
pub fn exceptions(view: &View<'_>, most: usize) -> Value {
    let version = view.cluster.spec.version;
    let adaptive = view.cluster.spec.scheduler == Scheduler::Adaptive;
    let failures = &view.job.failures;
    let shown: Vec<&Failure> = failures.iter().take(most).collect();
    let truncated = shown.len() < failures.len();
    let entries: Vec<Value> = shown
        .iter()
        .map(|failure| {
            let mut out = Map::new();
            out.insert("exceptionName".to_owned(), json!(failure.class));
            out.insert("stacktrace".to_owned(), json!(failure.trace));
            out.insert("timestamp".to_owned(), json!(failure.at));
            out.insert("failureLabels".to_owned(), json!({}));
            // The adaptive scheduler of these versions does not say which task it was.
            if let Some(task) = failure.task.as_ref().filter(|_| !adaptive) {
                out.insert("taskName".to_owned(), json!(format!("{} - execution #{}", task.name, view.job.attempt)));
                if !version.at_least(2, 0) {
                    out.insert("location".to_owned(), json!(task.endpoint));
                }
                if version.at_least(1, 19) {
                    out.insert("endpoint".to_owned(), json!(task.endpoint));
                }
                out.insert("taskManagerId".to_owned(), json!(task.taskmanager));
            }
            out.insert("concurrentExceptions".to_owned(), json!([]));
            Value::Object(out)
        })
        .collect();
    let history = json!({ "entries": entries, "truncated": truncated });
    if version.at_least(2, 0) {
        return json!({ "exceptionHistory": history });
    }
    let root = view.job.root_failure.as_ref();
    let all: Vec<Value> = match (root, failures.front()) {
        (Some(_), Some(failure)) => {
            let task = failure.task.as_ref();
            vec![json!({
                "exception": failure.trace,
                "task": task.map(|t| t.name.clone()),
                "location": task.map(|t| t.endpoint.clone()),
                "endpoint": task.map(|t| t.endpoint.clone()),
                "timestamp": failure.at,
                "taskManagerId": task.map(|t| t.taskmanager.clone()),
            })]
        }
        _ => Vec::new(),
    };
    json!({
        "root-exception": root.map(|(_, text)| text.clone()),
        "timestamp": root.map(|(at, _)| *at),
        "all-exceptions": all,
        "truncated": false,
        "exceptionHistory": history,
    })
}

/// `GET /jobs/:id/execution-result`.
pub fn execution_result(view: &View<'_>) -> Value {
    let job = &view.job;
    let status = match job.status {
        JobStatus::Finished => "SUCCEEDED",
        JobStatus::Canceled => "CANCELED",
        JobStatus::Failed => "FAILED",
        _ => return json!({ "status": { "id": "IN_PROGRESS" } }),
    };
    let mut result = Map::new();
    result.insert("id".to_owned(), json!(job.id.to_string()));
    result.insert("application-status".to_owned(), json!(status));
    result.insert("accumulator-results".to_owned(), json!({}));
    result.insert("net-runtime".to_owned(), json!(job.end_time - job.start_time));
    if let Some((_, trace)) = &job.root_failure {
        let class = trace.split(':').next().unwrap_or("java.lang.Exception");
        result.insert(
            "failure-cause".to_owned(),
            json!({ "class": class, "stack-trace": trace, "serialized-throwable": "" }),
        );
    }
    json!({ "status": { "id": "COMPLETED" }, "job-execution-result": result })
}
