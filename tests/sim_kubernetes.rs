//! The Kubernetes face of the embedded cluster as a service: what an API server promises to every client. `tests/kubectl.sh` asks the real kubectl.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use flightdeck::clock::TokioClock;
use flightdeck::domain::Timestamp;
use flightdeck::sim::kubernetes::kinds::Kind;
use flightdeck::sim::kubernetes::store::{Key, Part, Write};
use flightdeck::sim::kubernetes::{ApiServer, KubernetesFace, definitions};
use flightdeck::sim::scenario::Scenario;
use flightdeck::sim::world::SharedWorld;
use futures::StreamExt;
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt;

const SCENARIO: &str = r#"
name = "api"
prerun = "2s"
namespace = "flink"
[[workload]]
name = "orders"
[workload.application]
taskmanagers = { count = 1, max = 2, slots = 1 }
[[workload.vertex]]
name = "Source: orders"
cost = "90us"
source = { rate = { kind = "constant", rate = 5 } }
"#;
const FLINK: &str = "/apis/flink.apache.org/v1beta1/namespaces/flink/flinkdeployments";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

struct Api(ApiServer);

fn api() -> Api {
    api_of(SCENARIO)
}

/// A server without an operator: nothing changes but by the test.
fn api_of(scenario: &str) -> Api {
    let scenario = Scenario::parse("test", scenario).unwrap();
    let start = Timestamp::from_timestamp(1_800_000_000, 0).unwrap();
    let world = SharedWorld::new(scenario.build(start).unwrap(), Arc::new(TokioClock::starting_at(start)));
    let server = ApiServer::new(world, Arc::new(|_: &str| None));
    server.create_namespace("flink");
    server.configure(&scenario);
    Api(server)
}

struct Got {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Value,
}

impl Got {
    fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    fn names(&self) -> Vec<&str> {
        self.body["items"].as_array().unwrap().iter().map(|o| o["metadata"]["name"].as_str().unwrap()).collect()
    }
}

impl Api {
    async fn open(&self, method: &str, path: &str, media: &str, accept: &str, body: &Value) -> http::Response<Body> {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder().method(method).uri(path).header(header::ACCEPT, accept);
        let request = request.header(header::CONTENT_TYPE, media).header(header::USER_AGENT, "test/1.0 (linux)");
        KubernetesFace::new(self.0.clone()).oneshot(request.body(body).unwrap()).await.unwrap()
    }

    async fn send(&self, method: &str, path: &str, media: &str, accept: &str, body: Value) -> Got {
        let (parts, body) = self.open(method, path, media, accept, &body).await.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Got { status: parts.status, headers: parts.headers, body }
    }

    async fn get(&self, path: &str) -> Got {
        self.send("GET", path, "", "application/json", Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> Got {
        self.send("POST", path, "application/json", "application/json", body).await
    }

    async fn patch(&self, path: &str, media: &str, body: Value) -> Got {
        self.send("PATCH", path, media, "application/json", body).await
    }

    async fn delete(&self, path: &str, body: Value) -> Got {
        self.send("DELETE", path, "application/json", "application/json", body).await
    }

    async fn make(&self, name: &str) -> Got {
        self.post(FLINK, json!({"metadata": {"name": name}, "spec": {"image": "flink:1.20"}})).await
    }

    async fn watch(&self, query: &str) -> Watch {
        let response =
            self.open("GET", &format!("{FLINK}?watch=1&{query}"), "", "application/json", &Value::Null).await;
        assert_eq!(response.status(), StatusCode::OK);
        Watch { body: response.into_body().into_data_stream(), lines: Vec::new() }
    }

    async fn fault(&self, fault: Value) {
        assert_eq!(self.post("/sim/faults", fault).await.status, StatusCode::OK);
    }
}

struct Watch {
    body: axum::body::BodyDataStream,
    lines: Vec<Value>,
}

impl Watch {
    /// The next event; none at the end or if nothing comes for two minutes.
    async fn next(&mut self) -> Option<Value> {
        while self.lines.is_empty() {
            let chunk = tokio::time::timeout(Duration::from_secs(120), self.body.next()).await.ok()??.ok()?;
            let text = String::from_utf8(chunk.to_vec()).unwrap();
            self.lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        }
        Some(self.lines.remove(0))
    }

    async fn expect(&mut self, word: &str) -> Value {
        let event = self.next().await.unwrap_or_else(|| panic!("{word} did not come"));
        assert_eq!(event["type"], word, "{event}");
        event["object"].clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_in_pages_is_of_one_version_and_ends_with_a_compaction() {
    let api = api();
    for name in ["a", "b", "c", "d"] {
        assert_eq!(api.make(name).await.status, StatusCode::CREATED);
    }
    let first = api.get(&format!("{FLINK}?limit=2")).await;
    assert_eq!(first.names(), ["a", "b"]);
    assert_eq!(first.body["metadata"]["remainingItemCount"], 2);
    let version = first.body["metadata"]["resourceVersion"].clone();
    api.delete(&format!("{FLINK}/c"), Value::Null).await;
    api.make("e").await;
    let next = format!("{FLINK}?limit=2&continue={}", first.body["metadata"]["continue"].as_str().unwrap());
    let second = api.get(&next).await;
    assert_eq!(second.names(), ["c", "d"], "as they were when the list began");
    assert_eq!(second.body["metadata"]["resourceVersion"], version);
    assert_eq!(second.body["metadata"].get("continue"), None);
    assert_eq!(api.get(FLINK).await.names(), ["a", "b", "d", "e"]);
    assert_eq!(api.post("/sim/compact", Value::Null).await.status, StatusCode::OK);
    let expired = api.get(&next).await;
    assert_eq!((expired.status, &expired.body["reason"]), (StatusCode::GONE, &json!("Expired")));
    let rest = expired.body["metadata"]["continue"].as_str().unwrap();
    assert_eq!(api.get(&format!("{FLINK}?continue={rest}")).await.names(), ["d", "e"], "the rest of what is there now");
}

#[tokio::test(start_paused = true)]
async fn versions_of_lists_mean_what_they_say() {
    let api = api();
    let old = api.make("a").await.body["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    api.make("b").await;
    let exact = api.get(&format!("{FLINK}?resourceVersion={old}&resourceVersionMatch=Exact")).await;
    assert_eq!(exact.names(), ["a"]);
    assert_eq!(
        api.get(&format!("{FLINK}?resourceVersion={old}&resourceVersionMatch=NotOlderThan")).await.names(),
        ["a", "b"]
    );
    assert_eq!(api.get(&format!("{FLINK}?resourceVersion=0")).await.names(), ["a", "b"]);
    let future = api.get(&format!("{FLINK}?resourceVersion=99999999")).await;
    assert_eq!(future.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(future.body["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    let alone = api.get(&format!("{FLINK}?resourceVersionMatch=Exact")).await;
    assert!(alone.message().contains("forbidden unless resourceVersion is provided"), "{}", alone.message());
}

#[tokio::test(start_paused = true)]
async fn selectors_choose_and_unknown_fields_are_refused() {
    let api = api();
    api.post(FLINK, json!({"metadata": {"name": "a", "labels": {"team": "x"}}})).await;
    api.make("b").await;
    assert_eq!(api.get(&format!("{FLINK}?labelSelector=team%3Dx")).await.names(), ["a"]);
    assert_eq!(api.get(&format!("{FLINK}?fieldSelector=metadata.name%21%3Da")).await.names(), ["b"]);
    let refused = api.get(&format!("{FLINK}?fieldSelector=spec.image%3Dx")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.message().ends_with("field label not supported: spec.image"), "{}", refused.message());
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_changes_bookmarks_and_the_end_of_what_was_there() {
    let api = api();
    api.make("a").await;
    let mut watch =
        api.watch("sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true").await;
    assert_eq!(watch.expect("ADDED").await["metadata"]["name"], "a");
    let end = watch.expect("BOOKMARK").await;
    assert_eq!(end["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    api.patch(&format!("{FLINK}/a"), MERGE, json!({"spec": {"image": "b"}})).await;
    assert_eq!(watch.expect("MODIFIED").await["spec"]["image"], "b");
    api.delete(&format!("{FLINK}/a"), Value::Null).await;
    let gone = watch.expect("DELETED").await;
    let bookmark = watch.expect("BOOKMARK").await;
    assert_eq!(bookmark["metadata"]["resourceVersion"], gone["metadata"]["resourceVersion"]);
    assert_eq!(bookmark["metadata"].get("annotations"), None);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_leaves_the_selection_is_deleted_for_the_watch() {
    let api = api();
    api.make("a").await;
    let mut watch = api.watch("labelSelector=team%3Dx").await;
    let label = |team: Value| json!({"metadata": {"labels": {"team": team}}});
    api.patch(&format!("{FLINK}/a"), MERGE, label(json!("x"))).await;
    watch.expect("ADDED").await;
    api.patch(&format!("{FLINK}/a"), MERGE, label(json!("y"))).await;
    assert_eq!(watch.expect("DELETED").await["metadata"]["labels"]["team"], "y");
}

#[tokio::test(start_paused = true)]
async fn after_a_compaction_an_open_watch_goes_on_and_a_new_one_is_told_410() {
    let api = api();
    let old = api.make("a").await.body["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let mut open = api.watch(&format!("resourceVersion={old}")).await;
    api.make("b").await;
    api.post("/sim/compact", Value::Null).await;
    assert_eq!(open.expect("ADDED").await["metadata"]["name"], "b");
    api.make("c").await;
    assert_eq!(open.expect("ADDED").await["metadata"]["name"], "c");
    let mut new = api.watch(&format!("resourceVersion={old}")).await;
    let error = new.expect("ERROR").await;
    assert_eq!((&error["code"], &error["reason"]), (&json!(410), &json!("Expired")));
    assert!(error["message"].as_str().unwrap().starts_with(&format!("too old resource version: {old} (")), "{error}");
    assert_eq!(new.next().await, None, "and that is its end");
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_says_nothing_until_the_fault_is_over() {
    let api = api();
    let mut watch = api.watch("allowWatchBookmarks=true").await;
    api.fault(json!({"kind": "watch-silent", "for": "90s"})).await;
    let before = tokio::time::Instant::now();
    api.make("a").await;
    watch.expect("ADDED").await;
    assert!(before.elapsed() >= Duration::from_secs(89), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_when_its_time_is_over() {
    let api = api();
    let mut watch = api.watch("timeoutSeconds=5&resourceVersion=0").await;
    assert_eq!(watch.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn writes_are_locked_by_version_and_dry_runs_store_nothing() {
    let api = api();
    let made = api
        .post(FLINK, json!({"metadata": {"generateName": "job-"}, "spec": {"image": "a"}, "status": {"error": "x"}}))
        .await;
    let name = made.body["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("job-") && name.len() == 9, "{name}");
    assert_eq!(made.body.get("status"), None, "a create does not write the status");
    let path = format!("{FLINK}/{name}");
    assert_eq!(api.post(FLINK, json!({"metadata": {"name": name}})).await.body["reason"], "AlreadyExists");
    let mut replaced = made.body.clone();
    replaced["spec"]["image"] = "b".into();
    let put = api.send("PUT", &path, "application/json", "", replaced.clone()).await;
    assert_eq!((put.status, &put.body["metadata"]["generation"]), (StatusCode::OK, &json!(2)));
    let stale = api.send("PUT", &path, "application/json", "", replaced).await;
    assert_eq!((stale.status, &stale.body["reason"]), (StatusCode::CONFLICT, &json!("Conflict")));
    let tried = api.patch(&format!("{path}?dryRun=All"), MERGE, json!({"spec": {"image": "c"}})).await;
    assert_eq!((&tried.body["spec"]["image"], &tried.body["metadata"]["generation"]), (&json!("c"), &json!(3)));
    assert_eq!(api.get(&path).await.body["spec"]["image"], "b");
    let label = api.patch(&path, MERGE, json!({"metadata": {"labels": {"a": "b"}}})).await;
    assert_eq!(label.body["metadata"]["generation"], 2, "a label is no change of the spec");
    let status =
        api.patch(&format!("{path}/status"), MERGE, json!({"spec": {"image": "z"}, "status": {"error": "x"}})).await;
    assert_eq!((&status.body["spec"]["image"], &status.body["status"]["error"]), (&json!("b"), &json!("x")));
    let main = api.patch(&path, MERGE, json!({"status": {"error": "y"}})).await;
    assert_eq!(main.body["status"]["error"], "x");
    let wrong = api.delete(&path, json!({"preconditions": {"uid": "other"}})).await;
    assert!(wrong.message().contains("the UID in the precondition (other) does not match"), "{}", wrong.message());
    assert_eq!(api.delete(&path, json!({"dryRun": ["All"]})).await.body["status"], "Success");
    assert_eq!(api.get(&path).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn who_manages_what_is_told_by_every_kind_of_write() {
    let api = api();
    api.post(&format!("{FLINK}?fieldManager=person"), json!({"metadata": {"name": "a"}, "spec": {"image": "a"}})).await;
    let path = format!("{FLINK}/a");
    api.patch(
        &path,
        "application/json-patch+json",
        json!([{"op": "add", "path": "/spec/serviceAccount", "value": "s"}]),
    )
    .await;
    api.patch(&format!("{path}/status?fieldManager=operator"), MERGE, json!({"status": {"error": "x"}})).await;
    let document = json!({"apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkDeployment", "spec": {"image": "b"}});
    let refused = api.patch(&format!("{path}?fieldManager=pilot"), APPLY, document.clone()).await;
    assert_eq!(
        (refused.status, &refused.body["details"]["causes"][0]["field"]),
        (StatusCode::CONFLICT, &json!(".spec.image"))
    );
    assert!(
        refused.message().starts_with("Apply failed with 1 conflict: conflict with \"person\" using"),
        "{}",
        refused.message()
    );
    let forced = api.patch(&format!("{path}?fieldManager=pilot&force=true"), APPLY, document).await;
    assert_eq!(forced.body["spec"], json!({"image": "b", "serviceAccount": "s"}));
    let managers: Vec<(String, String, String)> = forced.body["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            let text = |name: &str| e[name].as_str().unwrap_or_default().to_owned();
            (text("manager"), text("operation"), text("subresource"))
        })
        .collect();
    let has = |manager: &str, operation: &str, sub: &str| {
        managers.contains(&(manager.to_owned(), operation.to_owned(), sub.to_owned()))
    };
    assert!(
        has("test", "Update", "") && has("operator", "Update", "status") && has("pilot", "Apply", ""),
        "{managers:?}"
    );
    let nameless =
        api.patch(&path, APPLY, json!({"apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkDeployment"})).await;
    assert!(nameless.message().contains("fieldManager: Required value"), "{}", nameless.message());
    let document =
        json!({"apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkDeployment", "metadata": {"name": "new"}});
    assert_eq!(api.patch(&format!("{FLINK}/new?fieldManager=x"), APPLY, document).await.status, StatusCode::CREATED);
}

#[tokio::test(start_paused = true)]
async fn unknown_fields_are_warned_of_refused_or_dropped() {
    let api = api();
    let body = json!({"metadata": {"name": "a"}, "spec": {"imege": "x", "job": {"state": "running", "foo": 1}}});
    let strict = api.post(&format!("{FLINK}?fieldValidation=Strict"), body.clone()).await;
    assert_eq!(
        (strict.status, strict.message()),
        (
            StatusCode::BAD_REQUEST,
            "FlinkDeployment in version \"v1beta1\" cannot be handled as a FlinkDeployment: strict decoding error: unknown field \"spec.imege\", unknown field \"spec.job.foo\""
        )
    );
    let ignored = api.post(&format!("{FLINK}?fieldValidation=Ignore&dryRun=All"), body.clone()).await;
    assert_eq!(ignored.headers.get(header::WARNING), None);
    let warned = api.post(FLINK, body).await;
    assert_eq!(warned.body["spec"], json!({"job": {"state": "running"}}));
    let warnings: Vec<_> = warned.headers.get_all(header::WARNING).iter().collect();
    assert_eq!(
        warnings,
        ["299 - \"unknown field \\\"spec.imege\\\"\"", "299 - \"unknown field \\\"spec.job.foo\\\"\""]
    );
}

#[tokio::test(start_paused = true)]
async fn the_scale_is_a_view_of_the_replicas() {
    let api = api();
    api.post(FLINK, json!({"metadata": {"name": "a"}, "spec": {"taskManager": {"replicas": 2}}})).await;
    let path = format!("{FLINK}/a/scale");
    let scale = api.get(&path).await.body;
    assert_eq!(
        (&scale["kind"], &scale["apiVersion"], &scale["spec"]["replicas"]),
        (&json!("Scale"), &json!("autoscaling/v1"), &json!(2))
    );
    let more = api.patch(&path, MERGE, json!({"spec": {"replicas": 5}})).await;
    assert_eq!(more.body["spec"]["replicas"], 5);
    let object = api.get(&format!("{FLINK}/a")).await.body;
    assert_eq!((&object["spec"]["taskManager"]["replicas"], &object["metadata"]["generation"]), (&json!(5), &json!(2)));
    let mut stale = scale;
    stale["spec"]["replicas"] = 9.into();
    assert_eq!(api.send("PUT", &path, "application/json", "", stale).await.status, StatusCode::CONFLICT);
    assert_eq!(
        api.patch(&path, MERGE, json!({"spec": {"replicas": -1}})).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
}

#[tokio::test(start_paused = true)]
async fn a_collection_is_deleted_by_selector() {
    let api = api();
    api.post(FLINK, json!({"metadata": {"name": "a", "labels": {"team": "x"}}})).await;
    api.make("b").await;
    let gone = api.delete(&format!("{FLINK}?labelSelector=team%3Dx"), Value::Null).await;
    assert_eq!(gone.names(), ["a"]);
    assert_eq!(api.get(FLINK).await.names(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn answers_come_in_the_form_that_is_asked_for() {
    let api = api();
    api.make("a").await;
    let table = api.send("GET", FLINK, "", TABLE, Value::Null).await.body;
    assert_eq!((&table["kind"], &table["rows"][0]["cells"]), (&json!("Table"), &json!(["a", "", ""])));
    let form = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let partial = api.send("GET", FLINK, "", form, Value::Null).await.body;
    assert_eq!((&partial["kind"], partial["items"][0].get("spec")), (&json!("PartialObjectMetadataList"), None));
    let protobuf = api.send("GET", FLINK, "", "application/vnd.kubernetes.protobuf", Value::Null).await;
    assert_eq!(protobuf.status, StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test(start_paused = true)]
async fn kinds_come_with_the_release_and_go_with_their_definition() {
    let old = api_of(&SCENARIO.replace("[[workload]]\n", "[operator]\nversion = \"1.8\"\n[[workload]]\n"));
    let group = "/apis/flink.apache.org/v1beta1";
    assert_eq!(old.get(&format!("{group}/flinkstatesnapshots")).await.status, StatusCode::NOT_FOUND);
    let api = api();
    assert_eq!(api.get(&format!("{group}/flinkstatesnapshots")).await.status, StatusCode::OK);
    assert_eq!(api.get(&format!("{group}/flinkbluegreendeployments")).await.status, StatusCode::NOT_FOUND);
    let names = |list: Value| -> Vec<String> {
        list["resources"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap().to_owned()).collect()
    };
    assert!(names(api.get(group).await.body).contains(&"flinkdeployments/scale".to_owned()));
    api.make("a").await;
    let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/flinkdeployments.flink.apache.org";
    let schema = api.get(definition).await.body;
    let job = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/job/properties/parallelism/type";
    assert_eq!(schema.pointer(job), Some(&json!("integer")));
    assert_eq!(api.delete(definition, Value::Null).await.status, StatusCode::OK);
    assert_eq!(api.get(FLINK).await.status, StatusCode::NOT_FOUND);
    definitions::install(&api.0, Kind::FlinkDeployment);
    assert!(api.get(FLINK).await.names().is_empty(), "its objects went with it");
}

#[tokio::test(start_paused = true)]
async fn roles_of_the_scenario_are_enforced_and_asked_about() {
    let rule = "[[access]]\nverbs = [\"get\", \"list\"]\nresources = [\"flinkdeployments\"]\nnamespaces = [\"flink\"]\n[[workload]]\n";
    let api = api_of(&SCENARIO.replacen("[[workload]]\n", rule, 1));
    assert_eq!(api.get(FLINK).await.status, StatusCode::OK);
    let everywhere = api.get("/apis/flink.apache.org/v1beta1/flinkdeployments").await;
    assert_eq!(
        (everywhere.status, everywhere.message()),
        (
            StatusCode::FORBIDDEN,
            "flinkdeployments.flink.apache.org is forbidden: User \"flightdeck\" cannot list resource \"flinkdeployments\" in API group \"flink.apache.org\" at the cluster scope"
        )
    );
    assert_eq!(api.make("a").await.body["reason"], "Forbidden");
    let asked = async |verb: &str| {
        let review = json!({"spec": {"resourceAttributes": {"verb": verb, "group": "flink.apache.org", "resource": "flinkdeployments", "namespace": "flink"}}});
        let answer = api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review).await;
        answer.body["status"]["allowed"].as_bool().unwrap()
    };
    assert!(asked("list").await && !asked("patch").await);
    let rules = api
        .post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", json!({"spec": {"namespace": "flink"}}))
        .await;
    assert_eq!(rules.body["status"]["resourceRules"][0]["verbs"], json!(["get", "list"]));
}

#[tokio::test(start_paused = true)]
async fn faults_by_request_are_answered_in_the_words_of_the_server() {
    let api = api();
    api.make("a").await;
    let path = format!("{FLINK}/a");
    let calm = async || assert_eq!(api.delete("/sim/faults", Value::Null).await.status, StatusCode::OK);
    api.fault(json!({"kind": "api-busy", "wait": "7s"})).await;
    let busy = api.get(&path).await;
    assert_eq!(
        (busy.status, busy.headers[header::RETRY_AFTER].to_str().unwrap()),
        (StatusCode::TOO_MANY_REQUESTS, "7")
    );
    calm().await;
    api.fault(json!({"kind": "token-expired"})).await;
    assert_eq!(api.get(&path).await.body["reason"], "Unauthorized");
    calm().await;
    api.fault(json!({"kind": "write-conflicts"})).await;
    assert_eq!(api.patch(&path, MERGE, json!({"spec": {"image": "x"}})).await.status, StatusCode::CONFLICT);
    assert_eq!(api.get(&path).await.status, StatusCode::OK);
    calm().await;
    api.fault(json!({"kind": "webhook-denied", "message": "no"})).await;
    let denied = api.patch(&path, MERGE, json!({"spec": {"image": "x"}})).await;
    assert_eq!(
        (denied.status, denied.message()),
        (StatusCode::FORBIDDEN, "admission webhook \"validationwebhook.flink.apache.org\" denied the request: no")
    );
    let status = api.patch(&format!("{path}/status"), MERGE, json!({"status": {"error": "x"}})).await;
    assert_eq!(status.status, StatusCode::OK, "the status is not validated");
    calm().await;
    api.fault(json!({"kind": "forbidden", "verb": "patch", "resource": "flinkdeployments"})).await;
    assert!(api.patch(&path, MERGE, json!({})).await.message().contains("cannot patch resource"));
    assert_eq!(api.get(&path).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn logs_are_cut_as_asked_and_followed_to_the_end_of_their_container() {
    let api = api();
    let key = Key::new(Kind::Pod, "flink", "p");
    let pod = json!({"spec": {"containers": [{"name": "main"}, {"name": "side"}]}, "status": {"phase": "Running"}});
    api.0.with_store(|s, now| s.create(key.clone(), pod, now, Write::Real)).unwrap();
    let now = api.0.world().now();
    api.0.logs().write("flink", "p", "main", now - 60_000, "one");
    api.0.logs().write("flink", "p", "main", now, "two\nthree");
    let path = "/api/v1/namespaces/flink/pods/p/log";
    let refused = api.get(path).await;
    assert_eq!(refused.message(), "a container name must be specified for pod p, choose one of: [main side]");
    let log = async |query: &str| api.get(&format!("{path}?container=main&{query}")).await.body;
    assert_eq!(log("").await, "one\ntwo\nthree\n");
    assert_eq!(log("tailLines=1").await, "three\n".to_owned());
    assert_eq!(log("sinceSeconds=30&limitBytes=5").await, "two\nt");
    assert!(log("timestamps=true&tailLines=1").await.as_str().unwrap().ends_with("Z three\n"));
    assert!(
        api.get(&format!("{path}?container=main&previous=true"))
            .await
            .message()
            .contains("previous terminated container")
    );
    let follow = api.open("GET", &format!("{path}?container=main&follow=true&tailLines=1"), "", "", &Value::Null).await;
    let mut follow = follow.into_body().into_data_stream();
    assert_eq!(follow.next().await.unwrap().unwrap(), "three\n");
    api.0.logs().write("flink", "p", "main", now, "four");
    assert_eq!(follow.next().await.unwrap().unwrap(), "four\n");
    api.0.logs().restart("flink", "p", "main");
    assert!(follow.next().await.is_none());
    assert_eq!(log("previous=true&tailLines=1").await, "four\n");
    api.0.with_store(|s, now| s.delete(&key, now, Write::Real)).unwrap();
    assert_eq!(api.0.logs().bytes(), 0, "the log goes with its pod");
}

#[tokio::test(start_paused = true)]
async fn events_are_the_same_in_both_groups() {
    let api = api();
    let event = json!({"metadata": {"name": "e"}, "regarding": {"kind": "Pod", "name": "p"}, "note": "hello", "reason": "X", "type": "Normal"});
    let made = api.post("/apis/events.k8s.io/v1/namespaces/flink/events", event).await;
    assert_eq!((made.status, &made.body["note"]), (StatusCode::CREATED, &json!("hello")));
    let core = api.get("/api/v1/namespaces/flink/events?fieldSelector=involvedObject.name%3Dp").await;
    assert_eq!(core.body["items"][0]["message"], "hello");
    let new = api.get("/apis/events.k8s.io/v1/namespaces/flink/events?fieldSelector=regarding.name%3Dp").await;
    assert_eq!((&new.body["items"][0]["note"], new.names()), (&json!("hello"), vec!["e"]));
}

/// The indexes of the store keep the cost of one change apart from the number of objects.
#[tokio::test(start_paused = true)]
async fn thousands_of_objects_are_kept_listed_and_collected() {
    let api = api();
    api.0.with_store(|store, now| {
        for n in 0..3_000 {
            let owner = Key::new(Kind::Deployment, "flink", &format!("d{n}"));
            let made = store.create(owner, json!({"spec": {"replicas": 1}}), now, Write::Real).unwrap();
            let owners = json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": format!("d{n}"), "uid": made["metadata"]["uid"]}]);
            let pod = Key::new(Kind::Pod, "flink", &format!("p{n}"));
            store.create(pod, json!({"metadata": {"ownerReferences": owners}}), now, Write::Real).unwrap();
        }
        for n in 0..3_000 {
            let key = Key::new(Kind::Deployment, "flink", &format!("d{n}"));
            store
                .update(&key, Part::Status, now, Write::Real, |o| {
                    o["status"]["replicas"] = 1.into();
                    Ok(())
                })
                .unwrap();
        }
    });
    let page = api.get("/api/v1/namespaces/flink/pods?limit=500").await;
    assert_eq!((page.names().len(), &page.body["metadata"]["remainingItemCount"]), (500, &json!(2_500)));
    api.delete("/apis/apps/v1/namespaces/flink/deployments", Value::Null).await;
    assert!(api.get("/api/v1/namespaces/flink/pods").await.names().is_empty(), "the pods went with their owners");
}
