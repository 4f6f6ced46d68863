//! Answers about one vertex: subtasks, back pressure, watermarks, times.

use serde_json::{Map, Value, json};

use super::dump::Metric;
use super::metrics::number;
use super::view::View;

/// `GET .../vertices/:vid`.
pub fn details(view: &View<'_>, vertex: usize) -> Value {
    let subtasks: Vec<usize> = if view.job.has_tasks() { (0..view.parallelism(vertex)).collect() } else { Vec::new() };
    let entries: Vec<Value> = subtasks.iter().map(|i| view.subtask(vertex, *i)).collect();
    let mut out = head(view, vertex);
    out.insert("parallelism".to_owned(), json!(view.parallelism(vertex)));
    out.insert("maxParallelism".to_owned(), json!(view.job.graph.vertices.get(vertex).map(|n| n.max_parallelism)));
    out.insert("now".to_owned(), json!(view.now));
    out.insert("subtasks".to_owned(), Value::Array(entries));
    out.insert("aggregated".to_owned(), view.aggregated(vertex, &subtasks));
    Value::Object(out)
}

fn head(view: &View<'_>, vertex: usize) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("id".to_owned(), json!(view.job.graph.vertices.get(vertex).map(|n| n.id.to_string())));
    out.insert("name".to_owned(), json!(view.job.graph.spec.vertices.get(vertex).map(|v| v.name.clone())));
    out
}

/// `GET .../backpressure`; `deprecated` while no metrics are known.
pub fn backpressure(view: &View<'_>, vertex: usize) -> Value {
    let level = |ratio: f64| match ratio {
        r if r <= 0.1 => "ok",
        r if r <= 0.5 => "low",
        _ => "high",
    };
    let known: Vec<_> = (0..view.parallelism(vertex)).filter_map(|i| view.dumped(vertex, i).map(|d| (i, d))).collect();
    if known.is_empty() {
        return deprecated();
    }
    let worst = known.iter().map(|(_, d)| d.ratios.0 / 1000.0).fold(0.0, f64::max);
    let subtasks: Vec<Value> = known
        .iter()
        .map(|(i, dump)| {
            let (backpressured, idle, busy) = dump.ratios;
            let ratio = backpressured / 1000.0;
            json!({
                "subtask": i,
                "backpressureLevel": level(ratio),
                "ratio": number(ratio),
                "idleRatio": number(idle / 1000.0),
                "busyRatio": number(busy / 1000.0),
                "backpressure-level": level(ratio),
            })
        })
        .collect();
    json!({
        "status": "ok",
        "backpressureLevel": level(worst),
        "end-timestamp": view.dump.at,
        "subtasks": subtasks,
        "backpressure-level": level(worst),
    })
}

/// The answer about back pressure when nothing is known.
pub fn deprecated() -> Value {
    json!({ "status": "deprecated" })
}

/// `GET .../watermarks`.
pub fn watermarks(view: &View<'_>, vertex: usize) -> Value {
    let entries = (0..view.parallelism(vertex)).filter_map(|i| {
        let (_, value) = view.dumped(vertex, i)?.metrics.iter().find(|(name, _)| name == "currentInputWatermark")?;
        Some(json!({ "id": format!("{i}.currentInputWatermark"), "value": Metric::text(value) }))
    });
    Value::Array(entries.collect())
}

/// `GET .../subtasktimes`.
pub fn subtask_times(view: &View<'_>, vertex: usize) -> Value {
    let (_, _, duration) = view.times();
    let times = &view.job.times;
    let subtasks: Vec<Value> = (0..view.parallelism(vertex))
        .map(|i| {
            let (_, host, endpoint) = view.place(vertex, i);
            let mut out = Map::new();
            out.insert("subtask".to_owned(), json!(i));
            let version = view.cluster.spec.version;
            if !version.at_least(2, 0) {
                out.insert("host".to_owned(), json!(host));
            }
            if version.at_least(1, 19) {
                out.insert("endpoint".to_owned(), json!(endpoint));
            }
            out.insert("duration".to_owned(), json!(duration));
            out.insert(
                "timestamps".to_owned(),
                json!({
                    "INITIALIZING": times.initializing,
                    "SCHEDULED": times.created + 7,
                    "CREATED": times.created,
                    "CANCELED": 0,
                    "RECONCILING": 0,
                    "FAILED": 0,
                    "DEPLOYING": times.deploying + 15,
                    "RUNNING": view.job.task_running_at(vertex, i),
                    "FINISHED": 0,
                    "CANCELING": 0,
                }),
            );
            Value::Object(out)
        })
        .collect();
    let mut out = head(view, vertex);
    out.insert("now".to_owned(), json!(view.now));
    out.insert("subtasks".to_owned(), Value::Array(subtasks));
    Value::Object(out)
}

/// `GET .../taskmanagers` of a vertex.
pub fn taskmanagers(view: &View<'_>, vertex: usize) -> Value {
    let version = view.cluster.spec.version;
    let mut places: Vec<(String, String, Vec<usize>)> = Vec::new();
    for i in 0..view.parallelism(vertex) {
        let (id, _, endpoint) = view.place(vertex, i);
        match places.iter_mut().find(|(known, _, _)| *known == id) {
            Some((_, _, subtasks)) => subtasks.push(i),
            None => places.push((id, endpoint, vec![i])),
        }
    }
    let (start, end, duration) = view.times();
    let entries: Vec<Value> = places
        .iter()
        .map(|(id, endpoint, subtasks)| {
            let all = || subtasks.iter().copied();
            let mut out = Map::new();
            if !version.at_least(2, 0) {
                out.insert("host".to_owned(), json!(endpoint));
            }
            if version.at_least(1, 19) {
                out.insert("endpoint".to_owned(), json!(endpoint));
            }
            out.insert("status".to_owned(), json!(view.vertex_status(vertex, all()).name()));
            out.insert("start-time".to_owned(), json!(start));
            out.insert("end-time".to_owned(), json!(end));
            out.insert("duration".to_owned(), json!(duration));
            out.insert("metrics".to_owned(), view.io_sum(vertex, all()).json());
            out.insert("status-counts".to_owned(), view.counts(vertex, all()));
            out.insert("taskmanager-id".to_owned(), json!(id));
            out.insert("aggregated".to_owned(), view.aggregated(vertex, subtasks));
            Value::Object(out)
        })
        .collect();
    let mut out = head(view, vertex);
    out.insert("now".to_owned(), json!(view.now));
    out.insert("taskmanagers".to_owned(), Value::Array(entries));
    Value::Object(out)
}
