//! The Kubernetes client against the embedded API server, as a service in this process and in paused time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "support/embedded.rs"]
mod embedded;

use std::sync::Arc;
use std::time::Duration;

use embedded::Embedded;
use flightdeck::clock::{Clock, TokioClock};
use flightdeck::domain::pods::{DeploymentRow, PodRole, PodRow};
use flightdeck::kubernetes::watch::{Collection, Contact, Update, run};
use flightdeck::kubernetes::{
    FlinkDeployment, FlinkSessionJob, KubeClient, KubeError, Lifecycle, Limits, PARALLELISM_OVERRIDES, Row, Scope,
    Small, WriteMode, proxy,
};
use flightdeck::sim::fault::Fault;
use flightdeck::sim::kubernetes::kinds::Kind;
use flightdeck::sim::kubernetes::store::{Key, Write};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

const SCENARIO: &str = r#"
name = "client"
prerun = "30s"
namespace = "flink"
[operator]
reconcile = "5s"
[[cluster]]
name = "session"
kind = "session"
[[workload]]
name = "orders"
[workload.application]
taskmanagers = { count = 1, max = 6, slots = 2 }
[[workload.vertex]]
name = "Source: orders"
cost = "90us"
source = { rate = { kind = "constant", rate = 500 } }
[[workload]]
name = "clicks"
cluster = "session"
[[workload.vertex]]
name = "Source: clicks"
cost = "90us"
source = { rate = { kind = "constant", rate = 500 } }
"#;

/// Short periods with the proportions of the defaults.
fn limits() -> Limits {
    Limits { page: 2, streaming: false, ..Limits::default() }
}

struct Bench {
    embedded: Embedded,
    client: KubeClient,
}

/// A server with the resources of the scenario; the operator runs in the background.
fn bench() -> Bench {
    bench_with(limits())
}

fn bench_with(limits: Limits) -> Bench {
    let embedded = Embedded::parse(SCENARIO);
    let client = embedded.client(limits);
    Bench { embedded, client }
}

impl Bench {
    fn fault(&self, fault: Fault, seconds: f64) {
        self.embedded.inject(fault, seconds);
    }

    fn change(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        self.embedded.change(Kind::FlinkDeployment, "flink", name, edit);
    }

    fn create(&self, name: &str, spec: Value) {
        self.embedded.create(Kind::FlinkDeployment, "flink", name, json!({"spec": spec}));
    }

    fn watch(&self) -> Watcher {
        let (out, updates) = mpsc::channel(64);
        let retry = Arc::new(Notify::new());
        tokio::spawn(run::<FlinkDeployment>(
            self.client.clone(),
            None,
            self.embedded.clock.clone(),
            retry.clone(),
            out,
        ));
        Watcher { updates, rows: Collection::default(), listed: 0, clock: self.embedded.clock.clone(), retry }
    }
}

struct Watcher {
    updates: mpsc::Receiver<Update<FlinkDeployment>>,
    rows: Collection<FlinkDeployment>,
    listed: usize,
    clock: Arc<TokioClock>,
    retry: Arc<Notify>,
}

impl Watcher {
    /// Folds updates until `done`, for at most `seconds` of virtual time.
    async fn until(&mut self, what: &str, seconds: u64, done: impl Fn(&Collection<FlinkDeployment>) -> bool) {
        let work = async {
            while !done(&self.rows) {
                let update = self.updates.recv().await.expect("the watch goes on");
                self.listed += usize::from(matches!(update, Update::Listed { .. }));
                self.rows.apply(update, self.clock.now());
            }
        };
        let finished = tokio::time::timeout(Duration::from_secs(seconds), work).await.is_ok();
        assert!(finished, "{what}: not within {seconds} s; contact {:?}", self.rows.contact);
    }

    fn named<'a>(rows: &'a Collection<FlinkDeployment>, name: &str) -> Option<&'a FlinkDeployment> {
        rows.rows.values().map(Arc::as_ref).find(|r| r.meta.name == name)
    }
}

fn live(rows: &Collection<FlinkDeployment>) -> bool {
    rows.loaded && rows.contact == Contact::Live
}

fn lost(rows: &Collection<FlinkDeployment>) -> bool {
    matches!(rows.contact, Contact::Lost { .. })
}

#[tokio::test(start_paused = true)]
async fn kinds_version_and_objects_are_read() {
    let bench = bench();
    let features = bench.client.features().await.unwrap();
    assert!(features.deployments && features.session_jobs && features.state_snapshots && !features.blue_green);
    assert_eq!(bench.client.version().await.unwrap(), "v1.33.1");
    let orders: FlinkDeployment = bench.client.get("flink", "orders").await.unwrap();
    let reference = orders.reference();
    let status = orders.status.unwrap();
    assert_eq!(status.lifecycle, Some(Lifecycle::Stable));
    assert!(status.is_stable_spec && status.job.job_id.is_some());
    let clicks: FlinkSessionJob = bench.client.get("flink", "clicks").await.unwrap();
    assert_eq!(clicks.deployment_name, "session");
    let error = bench.client.get::<FlinkDeployment>("flink", "none").await.unwrap_err();
    assert!(matches!(error, KubeError::NotFound { .. }), "{error:?}");
    let map = bench.client.autoscaler_config_map(&reference).await.unwrap().unwrap();
    assert!(map.data.is_empty());
}

#[tokio::test(start_paused = true)]
async fn lists_come_in_pages_and_one_broken_object_hides_no_other() {
    let bench = bench();
    for n in 0..5 {
        bench.create(&format!("extra-{n}"), json!({"job": {"state": "suspended"}}));
    }
    bench.change("extra-3", |o| o["metadata"]["managedFields"] = "odd".into());
    let (rows, broken) = bench.client.list_rows::<FlinkDeployment>(&Some("flink".to_owned()).into()).await.unwrap();
    assert_eq!(rows.len(), 6, "orders, session and four of five");
    assert_eq!(broken.len(), 1);
    assert_eq!(broken[0].name, "extra-3");
    assert_eq!(broken[0].why.path, "metadata.managedFields");
}

#[tokio::test(start_paused = true)]
async fn a_watch_follows_every_change() {
    let bench = bench();
    let mut watch = bench.watch();
    watch.until("first list", 5, live).await;
    assert!(Watcher::named(&watch.rows, "orders").is_some());
    bench.create("extra", json!({"job": {"state": "suspended"}}));
    watch.until("created", 5, |r| Watcher::named(r, "extra").is_some()).await;
    bench.change("extra", |o| o["spec"]["image"] = "flink:2.1".into());
    watch
        .until("changed", 5, |r| Watcher::named(r, "extra").is_some_and(|e| e.image.as_deref() == Some("flink:2.1")))
        .await;
    let key = Key::new(Kind::FlinkDeployment, "flink", "extra");
    bench.embedded.server.with_store(|s, now| s.delete(&key, now, Write::Real)).unwrap();
    watch.until("deleted", 30, |r| Watcher::named(r, "extra").is_none()).await;
    assert_eq!(watch.listed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_watch_goes_on_without_a_list_and_without_a_word() {
    let bench = bench();
    let mut watch = bench.watch();
    watch.until("first list", 5, live).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    bench.fault(Fault::WatchDropped, 1.0);
    bench.create("extra", json!({"job": {"state": "suspended"}}));
    watch
        .until("seen after the cut", 10, |r| {
            assert!(!lost(r), "a cut watch is not a loss: {:?}", r.contact);
            Watcher::named(r, "extra").is_some()
        })
        .await;
    assert_eq!(watch.listed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_version_leads_to_one_list_that_replaces_all_at_once() {
    let bench = bench();
    bench.create("extra", json!({"job": {"state": "suspended"}}));
    let mut watch = bench.watch();
    watch.until("first list", 5, live).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = watch.rows.rows.len();
    bench.embedded.server.with_store(|s, _| s.compact());
    bench.fault(Fault::WatchExpired, 1.0);
    bench.create("later", json!({"job": {"state": "suspended"}}));
    watch
        .until("listed again", 10, |r| {
            assert!(r.rows.len() >= before, "rows never vanish in between");
            Watcher::named(r, "later").is_some()
        })
        .await;
    assert_eq!(watch.listed, 2);
}

/// Rows of any kind, until `done`.
async fn rows_until<T: Small>(
    bench: &Bench,
    scope: Scope,
    done: impl Fn(&Collection<Row<T>>) -> bool,
) -> Collection<Row<T>> {
    let (out, mut updates) = mpsc::channel(64);
    tokio::spawn(run::<Row<T>>(bench.client.clone(), scope, bench.embedded.clock.clone(), Arc::default(), out));
    let mut rows = Collection::default();
    let work = async {
        while !done(&rows) {
            rows.apply(updates.recv().await.expect("the watch goes on"), bench.embedded.clock.now());
        }
    };
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("in time");
    rows
}

#[tokio::test(start_paused = true)]
async fn a_collection_that_streams_arrives_whole_follows_changes_and_survives_a_compaction() {
    let bench = bench_with(Limits::default());
    bench.create("extra", json!({"job": {"state": "suspended"}}));
    let mut watch = bench.watch();
    watch
        .until("everything at once", 5, |r| {
            assert!(r.rows.is_empty() || r.rows.len() == 3, "half a collection is never told");
            live(r) && r.loaded
        })
        .await;
    assert_eq!((watch.rows.rows.len(), watch.listed), (3, 1));
    bench.create("later", json!({"job": {"state": "suspended"}}));
    watch.until("a change", 10, |r| Watcher::named(r, "later").is_some()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    bench.embedded.server.with_store(|s, _| s.compact());
    bench.fault(Fault::WatchExpired, 1.0);
    tokio::time::sleep(Duration::from_secs(3)).await;
    bench.create("last", json!({"job": {"state": "suspended"}}));
    watch
        .until("streamed again", 10, |r| {
            assert!(r.rows.len() >= 4, "rows never vanish in between");
            Watcher::named(r, "last").is_some()
        })
        .await;
    assert_eq!(watch.listed, 2, "one beginning more");
    let asked = bench.embedded.requests();
    assert!(asked.iter().all(|(_, to)| !to.contains("flinkdeployments") || to.contains("watch=true")), "{asked:?}");
}

/// Loss within 15 s by everything that is no answer, whatever an open watch still tells; none by a refusal.
#[tokio::test(start_paused = true)]
async fn what_is_no_answer_is_a_loss_although_the_watch_goes_on_telling() {
    for (fault, is_lost) in [
        (Fault::ApiErrors { status: 503 }, true),
        (Fault::ApiErrors { status: 500 }, true),
        (Fault::TokenExpired, true),
        (Fault::ApiErrors { status: 403 }, false),
        (Fault::ApiErrors { status: 429 }, false),
    ] {
        let bench = bench_with(Limits::default());
        let mut watch = bench.watch();
        watch.until("first list", 5, live).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        bench.fault(fault.clone(), 40.0);
        // Something changes every second: the open watch is never quiet.
        let server = bench.embedded.server.clone();
        tokio::spawn(async move {
            for n in 0..40 {
                let key = Key::new(Kind::FlinkDeployment, "flink", "orders");
                server
                    .with_store(|s, now| {
                        s.update(&key, flightdeck::sim::kubernetes::store::Part::Main, now, Write::Real, |object| {
                            object["metadata"]["labels"]["beat"] = n.to_string().into();
                            Ok(())
                        })
                    })
                    .unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        if is_lost {
            watch.until(&format!("{fault:?} is said"), 15, lost).await;
            watch.until("back", 120, live).await;
        } else {
            let refused = tokio::time::timeout(Duration::from_secs(35), watch.until("a loss", 60, lost)).await;
            assert!(refused.is_err(), "{fault:?} is an answer: {:?}", watch.rows.contact);
        }
    }
}

/// Many watches of one server ask it together: none of them waits for the others' questions.
#[tokio::test(start_paused = true)]
async fn every_watch_of_a_server_that_hangs_is_lost_within_fifteen_seconds() {
    let bench = bench_with(Limits::default());
    let mut watches: Vec<Watcher> = (0..12).map(|_| bench.watch()).collect();
    for watch in &mut watches {
        watch.until("first list", 5, live).await;
    }
    tokio::time::sleep(Duration::from_secs(9)).await;
    bench.embedded.requests();
    bench.fault(Fault::ApiSlow { delay: 3_600_000 }, 30.0);
    let all = watches.iter_mut().map(|watch| watch.until("loss", 15, lost));
    futures::future::join_all(all).await;
    let asked = bench.embedded.requests();
    assert!(asked.iter().filter(|(_, to)| to == "/version").count() <= 2, "one question for all: {asked:?}");
}

#[tokio::test(start_paused = true)]
async fn pods_deployments_and_autoscaler_maps_are_small_rows_chosen_by_label() {
    let bench = bench_with(Limits::default());
    let labels = |labels: &str| Scope { namespace: None, labels: labels.to_owned(), fields: String::new() };
    let flink = labels("type in (flink-native-kubernetes,flink-standalone-kubernetes)");
    let pods = rows_until::<PodRow>(&bench, flink, |r| r.rows.len() >= 3).await;
    let roles: Vec<_> = pods.rows.values().map(|r| (r.row.app.clone(), r.row.role)).collect();
    assert!(roles.contains(&("orders".to_owned(), PodRole::JobManager)), "{roles:?}");
    assert!(roles.contains(&("orders".to_owned(), PodRole::TaskManager)), "{roles:?}");
    let job_managers = rows_until::<DeploymentRow>(&bench, labels("component=jobmanager"), |r| r.rows.len() >= 2).await;
    assert!(job_managers.rows.values().any(|r| r.row.name == "orders"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_gone_is_said_with_the_next_attempt_and_old_rows_stay() {
    let bench = bench();
    let mut watch = bench.watch();
    watch.until("first list", 5, live).await;
    bench.fault(Fault::ApiGone, 60.0);
    let gone_at = bench.embedded.clock.now();
    watch.until("loss", 15, lost).await;
    let Contact::Lost { attempt, next_attempt_at, error, .. } = watch.rows.contact.clone() else { panic!() };
    assert_eq!(attempt, 1);
    assert!(next_attempt_at > bench.embedded.clock.now());
    assert!(error.to_string().contains("does not answer"), "{error}");
    assert_eq!(watch.rows.rows.len(), 2, "the last good rows stay");
    watch.until("more attempts", 60, |r| matches!(r.contact, Contact::Lost { attempt, .. } if attempt >= 3)).await;
    let Contact::Lost { since, .. } = watch.rows.contact.clone() else { panic!() };
    assert!((since - gone_at).num_seconds() <= 15);
    watch.until("back", 120, live).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_is_noticed_within_fifteen_seconds() {
    let bench = bench();
    let mut watch = bench.watch();
    watch.until("first list", 5, live).await;
    bench.fault(Fault::ApiSlow { delay: 3_600_000 }, 40.0);
    watch.until("loss", 15, lost).await;
    let Contact::Lost { error, .. } = watch.rows.contact.clone() else { panic!() };
    assert!(matches!(error, KubeError::Timeout { .. }), "{error:?}");
    watch.until("back", 120, live).await;
}

#[tokio::test(start_paused = true)]
async fn a_person_can_end_the_pause_between_attempts() {
    let bench = bench();
    bench.fault(Fault::ApiErrors { status: 403 }, 1.0);
    let mut watch = bench.watch();
    watch.until("refused", 5, lost).await;
    let Contact::Lost { next_attempt_at, error, .. } = watch.rows.contact.clone() else { panic!() };
    assert!(
        matches!(&error, KubeError::Forbidden { verb, resource, namespace: None, .. }
        if verb == "list" && resource == "flinkdeployments.flink.apache.org"),
        "{error:?}"
    );
    assert!((next_attempt_at - bench.embedded.clock.now()).num_seconds() >= 25, "nobody but a person can mend that");
    tokio::time::sleep(Duration::from_secs(2)).await;
    watch.retry.notify_waiters();
    watch.until("listed", 2, live).await;
}

#[tokio::test(start_paused = true)]
async fn faults_of_the_server_have_errors_of_their_own() {
    let bench = bench();
    let get = async || bench.client.get::<FlinkDeployment>("flink", "orders").await.unwrap_err();
    bench.fault(Fault::ApiErrors { status: 429 }, 1.0);
    let error = get().await;
    assert!(
        matches!(error, KubeError::TooManyRequests { retry_after: Some(t), .. } if t == Duration::from_secs(1)),
        "{error:?}"
    );
    bench.embedded.clear_faults();
    bench.fault(Fault::ApiErrors { status: 401 }, 1.0);
    assert!(matches!(get().await, KubeError::Unauthorized { .. }));
    bench.embedded.clear_faults();
    bench.fault(Fault::ApiErrors { status: 500 }, 1.0);
    assert!(matches!(get().await, KubeError::ServerError { code: 500, .. }));
    bench.embedded.clear_faults();
    bench.fault(Fault::ApiSlow { delay: 60_000 }, 1.0);
    assert!(matches!(get().await, KubeError::Timeout { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_patch_is_rehearsed_guarded_by_its_version_and_seen_by_the_operator() {
    let bench = bench();
    let orders: FlinkDeployment = bench.client.get("flink", "orders").await.unwrap();
    let vertex = bench.embedded.server.world().with(|w| w.cluster("orders").unwrap().jobs[0].graph.vertices[0].id);
    let map = format!("{vertex}:2");
    let body = |version: &str| {
        let config = orders.flink_configuration.merge_patch([(PARALLELISM_OVERRIDES, Some(map.as_str()))]);
        json!({"metadata": {"resourceVersion": version}, "spec": {"flinkConfiguration": config}})
    };
    let patch = async |version: &str, mode| {
        bench.client.merge_patch::<FlinkDeployment>("flink", "orders", &body(version), mode).await
    };
    let tried = patch(&orders.meta.resource_version, WriteMode::DryRun).await.unwrap();
    assert_eq!(tried.flink_configuration.get(PARALLELISM_OVERRIDES), Some(map.as_str()));
    let unchanged: FlinkDeployment = bench.client.get("flink", "orders").await.unwrap();
    assert_eq!(unchanged.flink_configuration.get(PARALLELISM_OVERRIDES), None);
    let stale = patch("1", WriteMode::Real).await.unwrap_err();
    assert!(matches!(stale, KubeError::Conflict { .. }), "{stale:?}");
    let done = patch(&unchanged.meta.resource_version, WriteMode::Real).await.unwrap();
    assert_eq!(done.meta.generation, orders.meta.generation + 1);
    let mut watch = bench.watch();
    watch
        .until("accepted and stable", 90, |rows| {
            Watcher::named(rows, "orders").and_then(|o| o.status.as_ref()).is_some_and(|s| {
                s.observed_generation == Some(done.meta.generation)
                    && s.lifecycle == Some(Lifecycle::Stable)
                    && s.reconciled.as_ref().and_then(|r| r.flink_configuration.get(PARALLELISM_OVERRIDES))
                        == Some(map.as_str())
            })
        })
        .await;
    let wrong = json!({"spec": {"job": {"parallelism": "many"}}});
    let error =
        bench.client.merge_patch::<FlinkDeployment>("flink", "orders", &wrong, WriteMode::DryRun).await.unwrap_err();
    assert!(
        matches!(&error, KubeError::Refused { code: 422, .. }) && error.to_string().contains("spec.job.parallelism"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_jobmanager_is_reached_through_the_api_server() {
    let bench = bench();
    let request = |path: &str| proxy::ProxyRequest {
        method: http::Method::GET,
        path: path.to_owned(),
        headers: http::HeaderMap::new(),
        body: bytes::Bytes::new(),
        deadline: Duration::from_secs(5),
        limit: 1 << 20,
    };
    let jm = proxy::JobManagerProxy::new(bench.client.clone(), "flink", "orders");
    let answer = jm.send(request("/jobs/overview")).await.unwrap();
    assert_eq!(answer.status, 200);
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(document["jobs"][0]["name"], "orders");
    let missing = jm.send(request("/jobs/00000000000000000000000000000000")).await.unwrap();
    assert_eq!(missing.status, 404, "an error of Flink is an answer");
    let nobody = proxy::JobManagerProxy::new(bench.client.clone(), "flink", "nobody");
    assert!(matches!(nobody.send(request("/config")).await.unwrap_err(), KubeError::NotFound { .. }));
    bench.fault(Fault::JobManagerRestart { cluster: "orders".into() }, 1.0);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let error = jm.send(request("/config")).await.unwrap_err();
    assert!(matches!(error, KubeError::ServerError { code: 503, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn without_the_operators_definitions_there_are_no_features() {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": "404 page not found"});
    let empty = axum::Router::new().fallback(move || async move { (http::StatusCode::NOT_FOUND, body.to_string()) });
    let client = KubeClient::from_service(empty, "http://empty", limits());
    assert_eq!(client.features().await.unwrap(), flightdeck::kubernetes::Features::default());
}
