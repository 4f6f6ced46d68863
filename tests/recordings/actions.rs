//! Rules for what changes something: rescale, cancel, savepoint, stop, checkpoint, run.

use std::collections::BTreeMap;

use bytes::Bytes;
use flightdeck::domain::ids::TriggerId;
use flightdeck::domain::ids::VertexId;
use flightdeck::domain::plan::SavepointFormat;
use flightdeck::flink::{OperationState, ParallelismBounds, RunJar};
use http::StatusCode;
use serde_json::Value;

use crate::{Recording, errors};

/// The body the client sends is the one that was recorded, and the answer is taken for what it is.
pub async fn put_requirements(r: &Recording, job: &str) {
    let (client, replay) = r.replay();
    let requirements: BTreeMap<VertexId, ParallelismBounds> = r
        .request
        .as_object()
        .unwrap()
        .iter()
        .map(|(vertex, raw)| {
            let bound = |key: &str| i32::try_from(raw["parallelism"][key].as_i64().unwrap()).unwrap();
            let bounds = ParallelismBounds { lower_bound: bound("lowerBound"), upper_bound: bound("upperBound") };
            (vertex.parse().unwrap(), bounds)
        })
        .collect();
    let result = client.put_resource_requirements(job.parse().unwrap(), &requirements).await;
    r.assert_asked(&replay);
    assert_eq!(sent(&replay), r.request);
    if r.status == StatusCode::OK {
        result.unwrap();
    } else {
        let error = result.unwrap_err();
        assert!(error.is_unsupported() && error.is_refusal() && !error.is_transient(), "{error}");
        assert!(
            error.to_string().contains("The DefaultScheduler does not support changing the parallelism"),
            "{error}"
        );
    }
}

fn sent(replay: &crate::Replay) -> Value {
    let seen = replay.seen.lock().unwrap();
    assert_eq!(seen[0].headers["content-type"], "application/json");
    serde_json::from_slice(&seen[0].body).unwrap()
}

pub async fn cancel(r: &Recording, job: &str) {
    let (client, replay) = r.replay();
    client.cancel(job.parse().unwrap()).await.unwrap();
    r.assert_asked(&replay);
    assert!(replay.seen.lock().unwrap()[0].path.ends_with("?mode=cancel"));
}

pub async fn shut_down(r: &Recording) {
    let (client, replay) = r.replay();
    client.shut_down_cluster().await.unwrap();
    r.assert_asked(&replay);
}

pub async fn run_jar(r: &Recording, jar: &str) {
    let (client, replay) = r.replay();
    let raw = &r.request;
    let text = |key: &str| raw[key].as_str().map(str::to_owned);
    let run = RunJar {
        entry_class: text("entryClass"),
        program_args_list: raw["programArgsList"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| a.as_str().unwrap().to_owned())
            .collect(),
        parallelism: raw["parallelism"].as_i64().map(|p| p as i32),
        job_id: None,
        savepoint_path: text("savepointPath"),
        allow_non_restored_state: false,
        flink_configuration: raw["flinkConfiguration"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned()))
            .collect(),
    };
    let job = client.run_jar(jar, &run).await.unwrap();
    r.assert_asked(&replay);
    assert_eq!(job.to_string(), r.json()["jobid"]);
    let sent = sent(&replay);
    for key in ["programArgsList", "parallelism", "savepointPath", "flinkConfiguration"] {
        assert_eq!(sent[key], raw[key], "{key}");
    }
}

/// One request within a recording of several.
fn step(r: &Recording, raw: &Value) -> Recording {
    Recording {
        version: r.version.clone(),
        file: r.file.clone(),
        method: raw["method"].as_str().unwrap().to_owned(),
        path: raw["path"].as_str().unwrap().to_owned(),
        status: StatusCode::from_u16(raw["status"].as_u64().unwrap() as u16).unwrap(),
        request: raw["request"].clone(),
        body: Bytes::from(raw["response"].to_string()),
    }
}

/// An asynchronous action: the trigger, then the first and last status.
pub async fn operation(r: &Recording) {
    let json = r.json();
    let trigger = step(r, &json["trigger"]);
    let request_id = json["trigger"]["response"]["request-id"].as_str().unwrap();
    let (client, replay) = trigger.replay();
    let route: Vec<&str> = trigger.route().split('/').skip(1).collect();
    let format = match trigger.request["formatType"].as_str() {
        Some("NATIVE") => SavepointFormat::Native,
        _ => SavepointFormat::Canonical,
    };
    let directory = trigger.request["target-directory"].as_str().or(trigger.request["targetDirectory"].as_str());
    let chosen = TriggerId::from_u128(7);
    let id = match route.as_slice() {
        ["jobs", job, "savepoints"] => client.trigger_savepoint(job.parse().unwrap(), chosen, directory, format).await,
        ["jobs", job, "stop"] => client.trigger_stop(job.parse().unwrap(), chosen, directory, format).await,
        ["jobs", job, "checkpoints"] => client.trigger_checkpoint(job.parse().unwrap(), chosen).await,
        ["savepoint-disposal"] => client.trigger_disposal(trigger.request["savepoint-path"].as_str().unwrap()).await,
        other => panic!("no rule for {other:?}"),
    }
    .unwrap();
    trigger.assert_asked(&replay);
    assert_eq!(id.to_string(), request_id);
    let body = sent(&replay);
    for (key, value) in trigger.request.as_object().unwrap() {
        if key != "triggerId" {
            assert_eq!(body[key], *value, "{key}");
        }
    }
    if route != ["savepoint-disposal"] {
        assert_eq!(body["triggerId"], chosen.to_string(), "a repeated trigger starts nothing new");
    }

    for name in ["status-first", "status-last"] {
        let Some(raw) = json.get(name) else { continue };
        let status = step(r, raw);
        assert!(status.path.ends_with(request_id));
        let (client, replay) = status.replay();
        let state = match route.as_slice() {
            ["jobs", job, "savepoints" | "stop"] => client.savepoint_state(job.parse().unwrap(), id).await,
            ["jobs", job, "checkpoints"] => client.checkpoint_state(job.parse().unwrap(), id).await,
            _ => client.disposal_state(id).await,
        }
        .unwrap();
        status.assert_asked(&replay);
        same_state(&state, &raw["response"]);
    }
}

pub async fn disposal_state(r: &Recording, id: &str) {
    let (client, replay) = r.replay();
    let trigger = id.parse().unwrap();
    let state = client.disposal_state(trigger).await.unwrap();
    r.assert_asked(&replay);
    same_state(&state, &r.json());
}

fn same_state(ours: &OperationState, raw: &Value) {
    let operation = &raw["operation"];
    let cause = operation.get("failure-cause").or_else(|| operation.get("failureCause"));
    match (raw["status"]["id"].as_str().unwrap(), cause) {
        ("IN_PROGRESS", _) => assert_eq!(*ours, OperationState::InProgress),
        ("COMPLETED", None) => {
            let OperationState::Succeeded { location, checkpoint } = ours else { panic!("{ours:?}") };
            assert_eq!(location.as_deref(), operation["location"].as_str());
            assert_eq!(*checkpoint, operation["checkpointId"].as_u64());
        }
        ("COMPLETED", Some(cause)) => {
            let OperationState::Failed(error) = ours else { panic!("{ours:?}") };
            let trace = cause["stack-trace"].as_str().unwrap();
            // The outer CompletionException says nothing; what it wraps is named.
            assert!(trace.contains(&format!("{}: {}", error.class, error.message)), "{error:?}");
            assert_ne!(error.class_name(), "CompletionException");
            errors::is_clean(error);
        }
        other => panic!("{other:?}"),
    }
}
