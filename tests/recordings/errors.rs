//! Rules for refusals: the table of odd requests, and single refused answers.

use bytes::Bytes;
use flightdeck::domain::ids::TriggerId;
use flightdeck::flink::{Aggregate, FlinkError, JavaError};
use http::StatusCode;
use serde_json::Value;

use crate::Recording;

/// A GET that was refused: requirements of a job that has ended or that another scheduler runs.
pub async fn refused(r: &Recording) {
    let (client, replay) = r.replay();
    let job = r.route().split('/').nth(2).unwrap().parse().unwrap();
    let error = client.resource_requirements(job).await.unwrap_err();
    r.assert_asked(&replay);
    assert_eq!(error.is_unsupported(), r.file.starts_with("default-scheduler"), "{error}");
    assert_eq!(error.is_not_found(), r.file.starts_with("job-"), "{error}");
}

/// A message for people: no frames, no class names at its front, one line when shown.
#[track_caller]
pub fn is_clean(error: &JavaError) {
    assert!(!error.message.contains("\tat ") && !error.message.starts_with("org.apache."), "{error:?}");
    assert!(!error.to_string().contains('\n'), "{error}");
}

/// `errors.json`: each case through the client's call for it, or through any call where the client would never ask so.
pub async fn table(r: &Recording) {
    let cases: Vec<Value> = serde_json::from_slice(&r.body).unwrap();
    assert!(cases.len() >= 64);
    for case in &cases {
        let name = case["case"].as_str().unwrap();
        println!("  {name}");
        let one = Recording {
            version: r.version.clone(),
            file: r.file.clone(),
            method: case["method"].as_str().unwrap().to_owned(),
            path: case["path"].as_str().unwrap().to_owned(),
            status: StatusCode::from_u16(case["status"].as_u64().unwrap() as u16).unwrap(),
            request: case["request"].clone(),
            body: Bytes::from(case["response"].to_string()),
        };
        if one.status.is_success() {
            harmless(&one, name).await;
        } else {
            failing(&one, name).await;
        }
    }
}

/// Cases that Flink answers with a success although something is wrong.
async fn harmless(r: &Recording, name: &str) {
    let (client, _) = r.replay();
    let (job, vertex, trigger) =
        ("0".repeat(32).parse().unwrap(), "0".repeat(32).parse().unwrap(), TriggerId::from_u128(0));
    match r.json() {
        Value::Array(empty) if empty.is_empty() => {
            assert!(client.subtask_metrics(job, vertex, &["a"], &[Aggregate::Sum]).await.unwrap().is_empty());
            assert!(client.job_metrics(job, &["a"]).await.unwrap().is_empty());
            assert!(client.subtask_metric_names(job, vertex).await.unwrap().is_empty());
        }
        body if body["status"] == "deprecated" => {
            assert_eq!(client.back_pressure(job, vertex).await.unwrap(), None);
        }
        body if body["className"] == "completed" => {
            assert_eq!(client.checkpoint(job, 1).await.unwrap().entry.id, 1);
        }
        // A trigger is accepted whatever the job; a job from a bad savepoint has an id before it fails.
        body if body.get("request-id").is_some() => {
            assert_eq!(client.trigger_checkpoint(job, trigger).await.unwrap().to_string(), body["request-id"]);
        }
        body if body.get("jobid").is_some() => {
            assert_eq!(client.run_jar("x", &Default::default()).await.unwrap().to_string(), body["jobid"]);
        }
        other => panic!("no rule for {name}: {other}"),
    }
}

async fn failing(r: &Recording, name: &str) {
    let (client, _) = r.replay();
    let error = client.overview().await.unwrap_err();
    let FlinkError::Flink { status, error: java, .. } = &error else { panic!("{name}: {error:?}") };
    assert_eq!(*status, r.status);
    is_clean(java);
    let (class, start) = expected(name);
    assert_eq!(java.class_name(), class, "{name}: {java:?}");
    assert!(java.message.starts_with(start), "{name}: {:?}", java.message);

    let not_found = [
        "job-unknown",
        "job-plan-unknown",
        "job-status-unknown",
        "job-exceptions-unknown",
        "job-checkpoints-unknown",
        "vertex-unknown",
        "cancel-unknown-job",
        "taskmanager-unknown",
        "taskmanager-logs-unknown",
        "checkpoint-details-unknown",
        "checkpoint-trigger-status-unknown",
        "savepoint-status-unknown-trigger",
        "savepoint-disposal-status-unknown",
        "resource-requirements-unknown-job",
        "resource-requirements-put-unknown-job",
        "resource-requirements-put-finished",
        "subtask-out-of-range",
        "jobmanager-log-file-unknown",
    ];
    assert_eq!(error.is_not_found(), not_found.contains(&name), "{name}");
    let no_endpoint = ["unknown-path", "wrong-method", "request-line-longer-than-4096"];
    assert_eq!(error.is_no_such_endpoint(), no_endpoint.contains(&name), "{name}");
    assert_eq!(error.is_transient(), r.status == StatusCode::SERVICE_UNAVAILABLE, "{name}");
    assert!(!error.is_denied() && !error.is_unsupported(), "{name}");
    if r.status == StatusCode::BAD_REQUEST {
        assert!(error.is_refusal(), "{name}");
    }
    // One fault a line.
    let lines = java.message.lines().count();
    let several = ["put-missing-vertices", "put-zero", "put-lower-above-upper", "put-above-max"];
    assert_eq!(lines > 1, several.iter().any(|s| name.ends_with(s)), "{name}: {:?}", java.message);
}

/// Class and beginning of the message, as they should be shown.
fn expected(case: &str) -> (&'static str, &'static str) {
    const REST: &str = "RestHandlerException";
    match case {
        "job-unknown" | "job-plan-unknown" | "job-exceptions-unknown" | "job-checkpoints-unknown" => {
            ("NotFoundException", "Job 00000000000000000000000000000000 not found")
        }
        "vertex-unknown" => ("NotFoundException", "JobVertex 00000000000000000000000000000000 not found"),
        "savepoint-disposal-status-unknown" => ("NotFoundException", "Operation not found under key"),
        "job-status-unknown"
        | "resource-requirements-unknown-job"
        | "resource-requirements-put-unknown-job"
        | "resource-requirements-put-finished" => ("FlinkJobNotFoundException", "Could not find Flink job ("),
        "taskmanager-unknown" => ("UnknownTaskExecutorException", "No TaskExecutor registered under nosuch."),
        "jar-run-bad-entry" => {
            ("ProgramInvocationException", "The program's entry point class 'com.example.Nope' was not found")
        }
        "jar-run-unknown" => (REST, "Jar file /opt/flink/upload/flink-web-upload/nosuch.jar does not exist"),
        "jar-run-bad-arg" => (REST, "Could not execute application."),
        "jar-delete-unknown" => (REST, "File nosuch.jar does not exist in"),
        "body-not-json" | "savepoint-trigger-bad-format" => {
            (REST, "Request did not match expected format SavepointTriggerRequestBody.")
        }
        "cancel-finished-job" => (REST, "Job cancellation failed because the job has already reached another terminal"),
        "cancel-mode-bad" | "job-malformed-id" | "vertex-malformed-id" | "metric-bad-agg" => {
            (REST, "Bad request, could not parse parameters: Cannot resolve")
        }
        "cancel-mode-stop" => (REST, "The termination mode \"stop\" has been removed."),
        "cancel-unknown-job" => (REST, "Job could not be found."),
        "checkpoint-details-unknown" => (REST, "Could not find checkpointing statistics for checkpoint 99999."),
        "checkpoint-trigger-status-unknown" => (REST, "There is no checkpoint operation with triggerId="),
        "savepoint-status-unknown-trigger" => (REST, "There is no savepoint operation with triggerId="),
        "savepoint-disposal-no-path" => (REST, "Field savepoint-path must not be omitted or be null."),
        "subtask-out-of-range" => (REST, "Invalid subtask index for vertex f362c87ffabe89c8a91fa7d0a523ba6c"),
        "taskmanager-logs-unknown" => (REST, "Could not find TaskExecutor nosuch"),
        "rescaling-patch" | "rescaling-patch-no-param" | "rescaling-status" => {
            (REST, "Rescaling is temporarily disabled.")
        }
        "resource-requirements-put-above-max" => (REST, "The newly requested parallelism 500 for the job vertex"),
        "resource-requirements-put-empty" => (REST, "Request body does not specify resource requirements."),
        "resource-requirements-put-lower-above-upper" => (REST, "The requested lower bound [3] for job vertex"),
        "resource-requirements-put-missing-vertices" => (REST, "The request is incomplete, missing job vertex"),
        "resource-requirements-put-no-lower" => {
            (REST, "Request did not match expected format JobResourceRequirementsBody.")
        }
        "resource-requirements-put-unknown-vertex" => (REST, "Job vertex [00000000000000000000000000000000] was not"),
        "resource-requirements-put-zero" => (REST, "Both, the requested lower bound [0] and upper bound [0]"),
        // Sentences without a class.
        "jobmanager-log-file-unknown" => ("", "This file does not exist in JobManager log dir."),
        "unknown-path" => ("", "Unable to load requested file /nope."),
        "request-line-longer-than-4096" => ("", "Unable to load requested file /bad-request."),
        "wrong-method" => ("", "Not found: /overview"),
        other => panic!("no rule for the case {other}"),
    }
}
