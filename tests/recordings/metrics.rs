//! Rules for metric queries: names, values, aggregates.

use std::collections::BTreeSet;

use flightdeck::domain::ids::{JobId, VertexId};
use flightdeck::flink::{Aggregate, names as metric};
use serde_json::Value;

use crate::{Recording, list, same};

/// The path that was asked, with the query of names and aggregates in the same order, undoing the client's encoding.
fn asked(r: &Recording, replay: &crate::Replay) {
    let seen = replay.seen.lock().unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].path.replace("%3A", ":"), r.path);
}

pub async fn names(r: &Recording, route: &[&str]) {
    let (client, replay) = r.replay();
    let ours = match route {
        ["jobmanager", _] => client.jobmanager_metric_names().await,
        ["taskmanagers", "metrics"] => client.task_managers_metric_names().await,
        ["taskmanagers", id, _] => client.task_manager_metric_names(id).await,
        ["jobs", "metrics"] => client.jobs_metric_names().await,
        ["jobs", job, "metrics"] => client.job_metric_names(id(job)).await,
        ["jobs", job, "vertices", v, "metrics"] => client.vertex_metric_names(id(job), vertex(v)).await,
        ["jobs", job, "vertices", v, "jm-operator-metrics"] => {
            client.coordinator_metric_names(id(job), vertex(v)).await
        }
        ["jobs", job, "vertices", v, "subtasks", "metrics"] => client.subtask_metric_names(id(job), vertex(v)).await,
        ["jobs", job, "vertices", v, "subtasks", n, "metrics"] => {
            client.one_subtask_metric_names(id(job), vertex(v), n.parse().unwrap()).await
        }
        other => panic!("no rule for names of {other:?}"),
    }
    .unwrap();
    asked(r, &replay);
    let json = r.json();
    let recorded: BTreeSet<&str> = list(&json).iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(ours, recorded.into_iter().collect::<Vec<_>>());

    if r.route().ends_with("/subtasks/metrics") && r.file.contains("v0-") {
        // What the autoscaler looks for at a source, if its connector reports it.
        let legacy = r.file.starts_with("legacy-source");
        let found: Vec<&str> = metric::of_source(&ours, metric::PENDING_RECORDS).collect();
        let expected: &[&str] = if legacy { &[] } else { &["Source__Source__events.pendingRecords"] };
        assert_eq!(found, expected);
        assert!(ours.iter().any(|name| name == metric::BUSY_TIME));
    }
}

pub async fn plain(r: &Recording, route: &[&str]) {
    let (client, replay) = r.replay();
    let names = r.names();
    let ours = match route {
        ["jobmanager", _] => client.jobmanager_metrics(&names).await,
        ["taskmanagers", id, _] => client.task_manager_metrics(id, &names).await,
        ["jobs", job, "metrics"] => client.job_metrics(id(job), &names).await,
        ["jobs", job, "vertices", v, "metrics"] => client.vertex_metrics(id(job), vertex(v), &names).await,
        other => panic!("no rule for values of {other:?}"),
    }
    .unwrap();
    asked(r, &replay);
    let json = r.json();
    assert_eq!(ours.len(), list(&json).len());
    for raw in list(&json) {
        let value = &ours[raw["id"].as_str().unwrap()];
        let text = raw["value"].as_str().unwrap();
        assert_eq!(value.as_str(), text);
        match text.parse::<f64>() {
            Ok(number) if !number.is_nan() => assert_eq!(value.number(), number),
            _ => assert!(value.number().is_nan(), "{text} is no number"),
        }
        assert_eq!(value.count(), text.parse().ok());
    }
    // Only asked names come back; missing ones are left out.
    assert!(ours.keys().all(|name| names.contains(name)));
}

pub async fn aggregated(r: &Recording, route: &[&str]) {
    let (client, replay) = r.replay();
    let names = r.names();
    let aggregates: Vec<Aggregate> = match r.query("agg").as_deref() {
        None => Vec::new(),
        Some("max,sum") => vec![Aggregate::Max, Aggregate::Sum],
        Some(other) => panic!("aggregates {other}"),
    };
    let ours = match route {
        ["taskmanagers", _] => client.task_managers_metrics(&names, &aggregates).await,
        ["jobs", "metrics"] => client.jobs_metrics(&names, &aggregates).await,
        ["jobs", job, "vertices", v, ..] => client.subtask_metrics(id(job), vertex(v), &names, &aggregates).await,
        other => panic!("no rule for aggregates of {other:?}"),
    }
    .unwrap();
    asked(r, &replay);
    let json = r.json();
    assert_eq!(ours.len(), list(&json).len());
    for raw in list(&json) {
        let values = &ours[raw["id"].as_str().unwrap()];
        let field = |name: &str| raw.get(name).unwrap_or(&Value::Null);
        same(values.min, field("min"));
        same(values.max, field("max"));
        same(values.avg, field("avg"));
        same(values.sum, field("sum"));
        same(values.skew, field("skew"));
        if !aggregates.is_empty() {
            assert!(values.min.is_nan() && values.avg.is_nan() && values.skew.is_nan(), "not asked for");
        }
    }
    if r.file == "legacy-source/v0-subtasks-metrics-agg.json" {
        assert!(ours[metric::BUSY_TIME].avg.is_nan(), "legacy sources have no busy time");
    }
}

fn id(text: &str) -> JobId {
    text.parse().unwrap()
}

fn vertex(text: &str) -> VertexId {
    text.parse().unwrap()
}
