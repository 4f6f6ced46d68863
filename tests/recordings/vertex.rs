//! Rules for answers about one vertex.

use flightdeck::domain::Timestamp;
use flightdeck::domain::ids::{JobId, VertexId};
use flightdeck::domain::job::Watermark;
use flightdeck::flink::{BackPressureLevel, Subtask, VertexTotals};
use serde_json::Value;

use crate::cluster::{int, same_tasks};
use crate::{Recording, list, ms, same};

fn ids(job: &str, vertex: &str) -> (JobId, VertexId) {
    (job.parse().unwrap(), vertex.parse().unwrap())
}

pub async fn subtasks(r: &Recording, job: &str, vertex: &str) {
    let (client, replay) = r.replay();
    let (job, vertex) = ids(job, vertex);
    let ours = client.vertex(job, vertex).await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    assert_eq!(ours.id, vertex);
    assert_eq!(ours.name, json["name"]);
    assert_eq!(i64::from(ours.parallelism), json["parallelism"].as_i64().unwrap());
    assert_eq!(i64::from(ours.max_parallelism), json["maxParallelism"].as_i64().unwrap());
    assert_eq!(Some(ours.now.timestamp_millis()), ms(&json["now"]));
    assert_eq!(ours.subtasks.len(), ours.parallelism as usize);
    for (index, (subtask, raw)) in ours.subtasks.iter().zip(list(&json["subtasks"])).enumerate() {
        assert_eq!(subtask.subtask as usize, index);
        same_subtask(r, subtask, raw);
    }
}

fn same_subtask(r: &Recording, ours: &Subtask, raw: &Value) {
    assert_eq!(ours.subtask, int(&raw["subtask"]));
    assert_eq!(ours.attempt, int(&raw["attempt"]));
    assert_eq!(ours.status, raw["status"]);
    assert_eq!(ours.task_manager, raw["taskmanager-id"]);
    assert_eq!(ours.start_time.map(|t| t.timestamp_millis()), ms(&raw["start-time"]));
    assert_eq!(ours.place(), raw["endpoint"], "the port belongs to it");
    assert_eq!(ours.host.is_none(), r.is_2x(), "gone in 2.0");
    same_totals(&ours.metrics, &raw["metrics"]);
    for (state, time) in raw["status-duration"].as_object().unwrap() {
        assert_eq!(ours.status_duration[state], time.as_i64().unwrap());
    }
    let view = ours.view(None);
    assert!(view.busy.is_nan() && view.idle.is_nan() && view.backpressured.is_nan());
    assert_eq!((view.index, view.records_out), (ours.subtask, ours.metrics.write_records));
}

#[track_caller]
pub fn same_totals(ours: &VertexTotals, raw: &Value) {
    assert_eq!(
        [ours.read_bytes, ours.write_bytes, ours.read_records, ours.write_records].map(Some),
        ["read-bytes", "write-bytes", "read-records", "write-records"].map(|k| raw[k].as_u64())
    );
    let complete = ["read-bytes", "write-bytes", "read-records", "write-records"]
        .map(|k| raw[format!("{k}-complete")].as_bool().unwrap());
    assert_eq!(ours.is_complete(), complete == [true; 4]);
    assert_eq!(ours.read_records_complete, complete[2]);
    same(ours.accumulated_busy_time, &raw["accumulated-busy-time"]);
    same(ours.accumulated_idle_time, &raw["accumulated-idle-time"]);
    same(ours.accumulated_backpressured_time, &raw["accumulated-backpressured-time"]);
}

pub async fn back_pressure(r: &Recording, job: &str, vertex: &str) {
    let (client, replay) = r.replay();
    let (job, vertex) = ids(job, vertex);
    let ours = client.back_pressure(job, vertex).await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    if json["status"] == "deprecated" {
        assert_eq!(ours, None);
        return;
    }
    let ours = ours.unwrap();
    let level = |raw: &Value| match raw.as_str().unwrap() {
        "ok" => BackPressureLevel::Ok,
        "low" => BackPressureLevel::Low,
        "high" => BackPressureLevel::High,
        other => panic!("level {other}"),
    };
    assert_eq!(ours.level, level(&json["backpressure-level"]));
    assert_eq!(ours.fetched_at.map(|t| t.timestamp_millis()), ms(&json["end-timestamp"]));
    assert_eq!(ours.subtasks.len(), list(&json["subtasks"]).len());
    for (subtask, raw) in ours.subtasks.iter().zip(list(&json["subtasks"])) {
        assert_eq!(subtask.subtask, int(&raw["subtask"]));
        assert_eq!(subtask.level, level(&raw["backpressure-level"]));
        same(subtask.backpressured, &raw["ratio"]);
        same(subtask.idle, &raw["idleRatio"]);
        same(subtask.busy, &raw["busyRatio"]);
    }
    assert_eq!(ours.subtasks.iter().map(|s| s.level).max(), Some(ours.level), "the worst subtask's");
    if r.file == "legacy-source/v0-backpressure.json" {
        assert!(ours.subtasks[0].busy.is_nan());
    }
}

pub async fn watermarks(r: &Recording, job: &str, vertex: &str) {
    let (client, replay) = r.replay();
    let (job, vertex) = ids(job, vertex);
    let ours = client.watermarks(job, vertex).await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    assert_eq!(ours.len(), list(&json).len());
    assert_eq!(ours.is_empty(), r.file.contains("v0-"), "sources have none");
    for raw in list(&json) {
        let (subtask, _) = raw["id"].as_str().unwrap().split_once('.').unwrap();
        let value: i64 = raw["value"].as_str().unwrap().parse().unwrap();
        let recorded = match value {
            i64::MIN => Watermark::NotYet,
            i64::MAX => Watermark::EndOfInput,
            millis => Watermark::At(Timestamp::from_timestamp_millis(millis).unwrap()),
        };
        assert_eq!(ours[&subtask.parse().unwrap()], recorded);
    }
}

pub async fn accumulators(r: &Recording, job: &str, vertex: &str) {
    let (client, replay) = r.replay();
    let (job, vertex) = ids(job, vertex);
    let ours = client.vertex_accumulators(job, vertex).await.unwrap();
    r.assert_asked(&replay);
    assert_eq!(ours.len(), list(&r.json()["user-accumulators"]).len());
}

pub async fn times(r: &Recording, job: &str, vertex: &str) {
    let (client, replay) = r.replay();
    let (job, vertex) = ids(job, vertex);
    let ours = client.subtask_times(job, vertex).await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    assert_eq!(ours.len(), list(&json["subtasks"]).len());
    for (subtask, raw) in ours.iter().zip(list(&json["subtasks"])) {
        assert_eq!(subtask.subtask, int(&raw["subtask"]));
        for (state, at) in raw["timestamps"].as_object().unwrap() {
            assert_eq!(subtask.timestamps[state], at.as_i64().unwrap());
        }
        assert!(subtask.timestamps["CREATED"] <= subtask.timestamps["RUNNING"]);
    }
}

pub async fn task_managers(r: &Recording, job: &str, vertex: &str) {
    let (client, replay) = r.replay();
    let (job, vertex) = ids(job, vertex);
    let ours = client.vertex_task_managers(job, vertex).await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    assert_eq!(ours.len(), list(&json["taskmanagers"]).len());
    for (there, raw) in ours.iter().zip(list(&json["taskmanagers"])) {
        assert_eq!(there.task_manager, raw["taskmanager-id"]);
        assert_eq!(there.endpoint.as_deref(), raw["endpoint"].as_str());
        assert_eq!(there.status, raw["status"]);
        same_totals(&there.metrics, &raw["metrics"]);
        same_tasks(&there.tasks, &raw["status-counts"]);
    }
}

pub async fn one_subtask(r: &Recording, job: &str, vertex: &str, route: &[&str]) {
    let (client, replay) = r.replay();
    let (job, vertex) = ids(job, vertex);
    let ours = match route {
        [.., "subtasks", n] => client.subtask(job, vertex, n.parse().unwrap()).await,
        [.., "subtasks", n, "attempts", attempt] => {
            client.attempt(job, vertex, n.parse().unwrap(), attempt.parse().unwrap()).await
        }
        other => panic!("no rule for {other:?}"),
    }
    .unwrap();
    r.assert_asked(&replay);
    same_subtask(r, &ours, &r.json());
}
