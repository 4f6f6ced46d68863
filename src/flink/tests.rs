//! Pure parts of the client: error texts, decoding with paths, names, and answers that no recording has.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::*;
use crate::domain::ids::JobId;

/// A transport that answers the same to everything.
#[derive(Debug)]
struct Fixed(StatusCode, Bytes);

impl Transport for Fixed {
    fn call(&self, _: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        let answer = Response { status: self.0, headers: HeaderMap::new(), body: self.1.clone() };
        Box::pin(async move { Ok(answer) })
    }
    fn target(&self) -> &str {
        "http://jm:8081"
    }
}

fn answering(body: impl Into<Bytes>) -> FlinkClient {
    FlinkClient::new(Arc::new(Fixed(StatusCode::OK, body.into())), ClientOptions::default())
}

fn job() -> JobId {
    JobId::from_u128(0xA)
}

/// A job with one vertex whose parallelism is written as given.
fn job_with(parallelism: &str, name: &[u8]) -> Vec<u8> {
    let mut body = format!(
        r#"{{"jid":"0000000000000000000000000000000a","name":"j","state":"DREAMING","start-time":1,"end-time":-1,"now":5,
        "timestamps":{{"RUNNING":0}},"vertices":[{{"id":"0000000000000000000000000000000b","parallelism":{parallelism},
        "maxParallelism":128,"status":"RUNNING","start-time":-1,"tasks":{{"RUNNING":1}},"metrics":{{"read-bytes":-1,
        "write-bytes":0,"read-records":0,"write-records":0,"accumulated-busy-time":"NaN"}},"name":""#
    )
    .into_bytes();
    body.extend(name);
    body.extend(br#""}]}"#);
    body
}

#[tokio::test]
async fn a_wrong_type_is_named_with_its_path() {
    let error = answering(job_with("\"x\"", b"v")).job(job()).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("GET /jobs/0000000000000000000000000000000a on http://jm:8081: $.vertices[0].parallelism: "),
        "{text}"
    );
    assert!(text.contains("invalid type: string \"x\", expected i32"), "{text}");
    assert!(matches!(error, FlinkError::Shape { .. }) && !error.is_transient());

    let error = answering("[{\"id\":\"a\",\"value\":1}]").job_metrics(job(), &["a"]).await.unwrap_err();
    assert!(matches!(&error, FlinkError::Shape { path, .. } if path == "$[0].value"), "{error}");
    let error = answering("{\"jobs\":[").jobs().await.unwrap_err();
    assert!(error.to_string().contains("EOF while parsing"), "{error}");
    let error = answering("{}").overview().await.unwrap_err();
    assert!(error.to_string().contains("$: missing field `taskmanagers`"), "{error}");
}

#[tokio::test]
async fn odd_values_are_borne() {
    let details = answering(job_with("3", b"caf\xe9 \\u001b[31m")).job(job()).await.unwrap();
    assert_eq!(
        details.vertices[0].name, "caf\u{fffd} \u{1b}[31m",
        "not UTF-8 is replaced; control characters are the screen's"
    );
    assert_eq!(details.state, crate::domain::job::JobState::Unknown);
    assert_eq!(details.run(), None, "it has not run");
    assert_eq!(details.topology(), None, "there is no plan yet");
    assert_eq!(details.vertices[0].metrics.read_bytes, 0);
    assert!(!details.vertices[0].metrics.is_complete());
    assert!(details.vertices[0].metrics.accumulated_busy_time.is_nan());
    assert!(details.vertices[0].metrics.accumulated_idle_time.is_nan(), "absent");
}

#[tokio::test]
async fn a_plan_that_lacks_a_vertex_is_no_topology() {
    let mut details = answering(job_with("3", b"v")).job(job()).await.unwrap();
    let node = |id: u128, inputs: &[u128]| PlanNode {
        id: crate::domain::ids::VertexId::from_u128(id),
        parallelism: 3,
        description: String::new(),
        inputs: inputs
            .iter()
            .map(|id| PlanInput {
                id: crate::domain::ids::VertexId::from_u128(*id),
                ship_strategy: crate::domain::topology::ShipStrategy::Hash,
            })
            .collect(),
    };
    details.plan.nodes = vec![node(0xC, &[])];
    assert_eq!(details.topology(), None);
    let mut second = details.vertices[0].clone();
    second.id = crate::domain::ids::VertexId::from_u128(0xC);
    second.status = "FINISHED".to_owned();
    details.vertices.push(second);
    // A self-join: two edges from the same vertex are one input. The plan need not be in order.
    details.plan.nodes = vec![node(0xB, &[0xC, 0xC]), node(0xC, &[])];
    let topology = details.topology().unwrap();
    assert_eq!(topology.vertices()[0].id.as_u128(), 0xC);
    assert!(topology.vertices()[0].finished && !topology.vertices()[1].finished);
    assert_eq!(topology.vertices()[1].inputs.len(), 1);
}

#[test]
fn numbers_are_read_as_java_writes_them() {
    for (text, number) in [("12", 12.0), ("0.0", 0.0), ("-3", -3.0), ("1.5E9", 1.5e9), ("Infinity", f64::INFINITY)] {
        assert_eq!(MetricValue::new(text).number(), number);
    }
    for text in ["NaN", "true", "file:/data/chk-6", "", "inf", "nan", "1.5f"] {
        assert!(MetricValue::new(text).number().is_nan(), "{text}");
    }
    assert_eq!(MetricValue::new("-9223372036854775808").count(), None);
    assert_eq!(MetricValue::new("536870920").count(), Some(536_870_920));
}

#[test]
fn root_causes_are_found_at_the_margin() {
    let stack = "org.apache.flink.runtime.JobException: Recovery is suppressed\n\tat a.B.c(B.java:1)\n\
        Caused by: java.util.concurrent.CompletionException: org.apache.flink.util.SerializedThrowable: \
        java.lang.IllegalStateException: cannot parse:\nline two\n\tat x.Y.z(Y.java:2)\n\t... 12 more\n\
        \tSuppressed: java.lang.RuntimeException: not this\n\t\tat q.R.s(R.java:3)\n\tCaused by: java.io.IOException: nor this\n";
    assert_eq!(root_cause(stack), ("java.lang.IllegalStateException".to_owned(), "cannot parse:\nline two".to_owned()));
    let error = JavaError::parse(stack);
    assert_eq!((error.class_name(), error.message.as_str()), ("JobException", "Recovery is suppressed"));
    assert_eq!(error.to_string(), "Recovery is suppressed (cause: IllegalStateException: cannot parse:; line two)");
}

#[test]
fn texts_without_an_exception_are_kept() {
    let error = JavaError::parse("Not found: /overview");
    assert_eq!((error.class.as_str(), error.to_string().as_str()), ("", "Not found: /overview"));
    let bare = JavaError::parse("java.lang.NullPointerException\n\tat a.B.c(B.java:1)");
    assert_eq!(bare.to_string(), "NullPointerException");
    // A host name or a path is no class.
    assert_eq!(JavaError::parse("host.example.com: no route").class, "");
    assert_eq!(JavaError::parse("").to_string(), "an error without a text");
}

#[test]
fn operators_are_found_by_suffix_only() {
    let names: Vec<String> = [
        "pendingRecords",
        "Source__orders.pendingRecords",
        "Source__orders.KafkaSourceReader.pendingRecordsLag",
        "Map.pendingRecords",
        "Source__orders.notpendingRecords",
    ]
    .map(String::from)
    .to_vec();
    let all: Vec<&str> = names::with_suffix(&names, names::PENDING_RECORDS).collect();
    assert_eq!(all, ["Source__orders.pendingRecords", "Map.pendingRecords"]);
    let sources: Vec<&str> = names::of_source(&names, names::PENDING_RECORDS).collect();
    assert_eq!(sources, ["Source__orders.pendingRecords"]);
    assert_eq!(names::mangle("Source: a, b.c (x)"), "Source__a__b_c_(x)");
}

#[test]
fn the_fetch_interval_is_read_in_any_unit() {
    let interval = |text: &str| {
        metric_fetch_interval(&[("metrics.fetcher.update-interval".to_owned(), text.to_owned())].into()).as_millis()
    };
    assert_eq!(["5000", "5 s", "250ms", "2min", "soon"].map(interval), [5000, 5000, 250, 120_000, 10_000]);
}

#[tokio::test]
async fn checkpointing_that_is_off_reads_as_off() {
    let config = r#"{"mode":"exactly_once","interval":9223372036854775807,"timeout":600000}"#;
    assert_eq!(answering(config).checkpoint_config(job()).await.unwrap().interval, None);
}

#[tokio::test]
async fn a_long_stack_keeps_its_ends() {
    let stack = format!("a.b.Top: it\n{}Caused by: a.b.Deep: why", "\tat x.Y.ü(Y.java:1)\n".repeat(20_000));
    let body = serde_json::json!({"exceptionHistory": {"truncated": true, "entries": [
        {"exceptionName": "a.b.Top", "stacktrace": stack, "timestamp": 7}]}});
    let problems = answering(body.to_string()).exceptions(job(), 5).await.unwrap();
    let entry = &problems.entries[0];
    assert!(problems.truncated);
    assert!(entry.stack.len() < 66_000);
    assert!(entry.stack.starts_with("a.b.Top: it\n") && entry.stack.ends_with("Caused by: a.b.Deep: why"));
    assert_eq!((entry.root_class.as_str(), entry.root_message.as_str()), ("a.b.Deep", "why"));
}

#[tokio::test]
async fn a_root_exception_without_history_is_not_lost() {
    let body = r#"{"root-exception":"a.b.C: gone\n\tat x","timestamp":9,"all-exceptions":[],
        "exceptionHistory":{"entries":[],"truncated":false}}"#;
    let problems = answering(body).exceptions(job(), 5).await.unwrap();
    assert_eq!(problems.entries.len(), 1);
    assert_eq!(problems.entries[0].root_message, "gone");
    let calm = r#"{"root-exception":null,"timestamp":null,"all-exceptions":[],"exceptionHistory":{"entries":[],"truncated":false}}"#;
    assert!(answering(calm).exceptions(job(), 5).await.unwrap().entries.is_empty());
}

#[tokio::test]
async fn the_bound_of_a_body_is_kept_chunk_by_chunk() {
    let chunks = |sizes: &[usize]| {
        let all: Vec<Result<Bytes, String>> = sizes.iter().map(|n| Ok(Bytes::from(vec![b'x'; *n]))).collect();
        futures::stream::iter(all)
    };
    assert_eq!(collect_bounded(chunks(&[3, 0, 4]), 7).await.unwrap().len(), 7);
    assert_eq!(collect_bounded(chunks(&[3, 5]), 7).await, Err(TransportError::TooLarge(7)));
    assert_eq!(collect_bounded(chunks(&[]), 0).await.unwrap().len(), 0);
    let broken = futures::stream::iter([Err::<Bytes, _>("cut")]);
    assert_eq!(collect_bounded(broken, 7).await, Err(TransportError::Broken("cut".to_owned())));
}
