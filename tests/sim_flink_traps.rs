//! What bites a client of a real JobManager bites a client of the embedded one: caches, lazy metrics, ramping meters,
//! vertices out of order, connections that break. And the served form on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use flightdeck::clock::{ManualClock, SystemClock};
use flightdeck::domain::Timestamp;
use flightdeck::sim::flink_face::{FlinkFace, Refused, Request};
use flightdeck::sim::scenario::Scenario;
use flightdeck::sim::world::SharedWorld;
use flightdeck::sim::{SimOptions, start};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SCENARIO: &str = r#"
name = "traps"
prerun = "90s"
[[cluster]]
name = "main"
taskmanagers = { count = 1, slots = 4 }
[[workload]]
name = "work"
cluster = "main"
max-parallelism = 24
[[workload.vertex]]
name = "Source: in: a.b"
cost = "50us"
source = { rate = { kind = "constant", rate = 600 } }
[[workload.vertex]]
name = "Work"
parallelism = 2
cost = "1ms"
inputs = [{ from = "Source: in: a.b", ship = "hash" }]
[[workload.vertex]]
name = "Sink: out"
cost = "50us"
inputs = [{ from = "Work" }]
"#;

struct Bench {
    face: FlinkFace,
    world: SharedWorld,
    clock: Arc<ManualClock>,
    job: String,
    vertices: Vec<String>,
}

impl Bench {
    fn new(text: &str) -> Self {
        let start = Timestamp::from_timestamp_millis(1_795_327_000_000).unwrap();
        let clock = Arc::new(ManualClock::at(start));
        let world = Scenario::parse("traps", text).unwrap().build(start).unwrap();
        let job = &world.clusters()[0].jobs[0];
        let (id, vertices) = (job.id.to_string(), job.graph.vertices.iter().map(|n| n.id.to_string()).collect());
        let world = SharedWorld::new(world, clock.clone());
        Self { face: FlinkFace::new(world.clone(), "main"), world, clock, job: id, vertices }
    }

    fn wait(&self, seconds: f64) {
        self.clock.advance(Duration::from_secs_f64(seconds));
    }

    fn get(&self, target: &str) -> Value {
        let target = target.replace("JOB", &self.job).replace("V1", &self.vertices[1]).replace("V0", &self.vertices[0]);
        let answer = self.face.answer(&Request::get(target)).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    /// One aggregate of the working vertex.
    fn metric(&self, name: &str, aggregation: &str) -> Option<f64> {
        let body = self.get(&format!("/jobs/JOB/vertices/V1/subtasks/metrics?get={name}&agg={aggregation}"));
        body[0][aggregation].as_f64()
    }

    /// Fetches metrics anew and reads one.
    fn fresh(&self, name: &str, aggregation: &str) -> Option<f64> {
        self.wait(10.1);
        self.metric(name, aggregation);
        self.wait(0.1);
        self.metric(name, aggregation)
    }

    fn rescale(&self, upper: [u32; 3]) {
        let body: serde_json::Map<String, Value> = self
            .vertices
            .iter()
            .zip(upper)
            .map(|(id, upper)| (id.clone(), json!({ "parallelism": { "lowerBound": 1, "upperBound": upper } })))
            .collect();
        let path = format!("/jobs/{}/resource-requirements", self.job);
        let answer = self.face.answer(&Request::with_body("PUT", path, &Value::Object(body))).unwrap();
        assert_eq!((answer.status, answer.body), (200, json!({})));
    }
}

#[test]
fn metrics_are_fetched_when_asked_for_and_shown_to_the_next() {
    let bench = Bench::new(SCENARIO);
    assert_eq!(bench.get("/jobs/JOB/vertices/V1/subtasks/metrics?get=numRecordsIn"), json!([]), "nobody asked yet");
    assert_eq!(bench.get("/jobs/JOB/vertices/V1/backpressure"), json!({ "status": "deprecated" }));
    bench.wait(0.1);
    let first = bench.metric("numRecordsIn", "sum").unwrap();
    assert!(first > 40_000.0, "{first}");
    bench.wait(9.0);
    assert_eq!(bench.metric("numRecordsIn", "sum"), Some(first), "within the interval: as it was");
    bench.wait(3600.0);
    assert_eq!(bench.metric("numRecordsIn", "sum"), Some(first), "an hour old: the request that starts the fetch");
    bench.wait(0.1);
    assert!(bench.metric("numRecordsIn", "sum").unwrap() > first + 3_500.0 * 600.0);
}

#[test]
fn one_unknown_name_empties_an_aggregate_and_is_left_out_elsewhere() {
    let bench = Bench::new(SCENARIO);
    bench.get("/jobs/JOB/metrics");
    bench.wait(0.1);
    assert_eq!(bench.get("/jobs/JOB/vertices/V1/subtasks/metrics?get=numRecordsIn,noSuchMetric"), json!([]));
    let partial = bench.get("/jobs/JOB/vertices/V1/metrics?get=0.numRecordsIn,0.noSuchMetric");
    assert_eq!(partial.as_array().unwrap().len(), 1);
    assert!(partial[0]["value"].is_string());
    let one = bench.get("/jobs/JOB/vertices/V1/subtasks/metrics?get=busyTimeMsPerSecond&agg=SUM");
    assert_eq!(one[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "sum"]);
    let names = bench.get("/jobs/JOB/vertices/V0/subtasks/metrics").to_string();
    assert!(names.contains("\"Source__in__a_b.pendingRecords\""), "{names}");
}

#[test]
fn the_details_of_a_job_are_frozen_for_three_seconds_while_its_status_is_fresh() {
    let bench = Bench::new(SCENARIO);
    let before = bench.get("/jobs/JOB");
    bench.rescale([1, 4, 1]);
    bench.wait(0.15);
    assert_eq!(bench.get("/jobs/JOB/status"), json!({ "status": "RESTARTING" }));
    let frozen = bench.get("/jobs/JOB");
    assert_eq!((&frozen["state"], &frozen["vertices"][1]["parallelism"]), (&json!("RUNNING"), &json!(2)));
    assert!(frozen["now"].as_i64() > before["now"].as_i64(), "but its clock goes on");
    bench.wait(3.0);
    let later = bench.get("/jobs/JOB");
    assert_eq!(later["vertices"][1]["parallelism"], 4);
    assert!(later["timestamps"]["RUNNING"].as_i64() > before["timestamps"]["RUNNING"].as_i64());
}

#[test]
fn a_job_that_waits_for_slots_has_no_plan_and_its_vertices_backwards() {
    let bench = Bench::new(SCENARIO);
    bench.rescale([1, 9, 1]);
    bench.wait(4.0);
    let body = bench.get("/jobs/JOB");
    assert_eq!(body["state"], "CREATED");
    assert_eq!(body["plan"], json!({}));
    let ids: Vec<&str> = body["vertices"].as_array().unwrap().iter().map(|v| v["id"].as_str().unwrap()).collect();
    assert_eq!(ids, bench.vertices.iter().rev().collect::<Vec<_>>());
    let counts = body["vertices"][0]["tasks"].as_object().unwrap();
    assert!(counts.values().all(|n| n == 0), "{counts:?}");
    bench.wait(12.0);
    assert_eq!(bench.get("/jobs/JOB")["vertices"][1]["parallelism"], 4, "the slots there are");
}

#[test]
fn meters_ramp_and_counters_begin_at_zero_after_a_restart() {
    let bench = Bench::new(&SCENARIO.replace("prerun = \"90s\"", "prerun = \"90s\"\n").replace(
        "taskmanagers = { count = 1, slots = 4 }",
        "taskmanagers = { count = 1, slots = 4 }\nconfig = { \"metrics.fetcher.update-interval\" = \"500 ms\" }",
    ));
    let read = |name: &str| {
        bench.metric(name, "sum");
        bench.wait(0.6);
        bench.metric(name, "sum");
        bench.wait(0.1);
        bench.metric(name, "sum").unwrap_or(f64::NAN)
    };
    assert!((read("numRecordsInPerSecond") - 600.0).abs() < 20.0);
    let before = read("numRecordsIn");
    bench.rescale([1, 4, 1]);
    bench.wait(1.0);
    // No sample has been taken of the new tasks, or none of a whole period.
    let (busy, rate) = (read("busyTimeMsPerSecond"), read("numRecordsInPerSecond"));
    assert!(busy > 900.0, "{busy}");
    assert!(rate < 300.0, "{rate}");
    assert!(read("numRecordsIn") < before / 4.0);
    bench.wait(70.0);
    let (busy, rate) = (read("busyTimeMsPerSecond"), read("numRecordsInPerSecond"));
    assert!((rate - 600.0).abs() < 20.0, "{rate}");
    assert!((busy - 600.0).abs() < 40.0, "{busy}");
    let sum: f64 = ["busyTimeMsPerSecond", "idleTimeMsPerSecond", "backPressuredTimeMsPerSecond"]
        .iter()
        .map(|n| bench.metric(n, "sum").unwrap())
        .sum();
    assert_eq!(sum, 4000.0);
}

#[test]
fn a_legacy_source_is_nan_everywhere() {
    let bench = Bench::new(&SCENARIO.replace("rate = 600 } }", "rate = 600 }, legacy = true }"));
    bench.get("/jobs/JOB");
    bench.wait(0.1);
    let busy = bench.get("/jobs/JOB/vertices/V0/subtasks/metrics?get=busyTimeMsPerSecond&agg=max");
    assert_eq!(busy[0]["max"], "NaN");
    assert_eq!(bench.get("/jobs/JOB")["vertices"][0]["metrics"]["accumulated-busy-time"], "NaN");
    assert_eq!(bench.get("/jobs/JOB/vertices/V0/backpressure")["subtasks"][0]["busyRatio"], "NaN");
    assert!(!bench.get("/jobs/JOB/vertices/V0/subtasks/metrics").to_string().contains("pendingRecords"));
    assert!(bench.fresh("busyTimeMsPerSecond", "max").unwrap() < 1000.0, "others are not");
}

#[test]
fn a_request_line_that_is_too_long_finds_no_file() {
    let bench = Bench::new(SCENARIO);
    let answer = bench.face.answer(&Request::get(format!("/jobs?x={}", "a".repeat(4096)))).unwrap();
    assert_eq!(answer.status, 404);
    assert_eq!(answer.body, json!({ "errors": ["Unable to load requested file /bad-request."] }));
}

#[tokio::test(start_paused = true)]
async fn faults_act_on_the_way_to_a_jobmanager() {
    let bench = Bench::new(SCENARIO);
    let inject = |fault: Value| {
        bench.world.with(|w| w.clear_faults());
        bench.world.with(|w| w.inject(serde_json::from_value(fault).unwrap())).unwrap();
        bench.wait(0.2);
    };
    inject(json!({ "kind": "flink-gone", "cluster": "main" }));
    assert_eq!(bench.face.call(&Request::get("/config")).await, Err(Refused));
    inject(json!({ "kind": "flink-errors", "cluster": "main", "status": 502 }));
    assert_eq!(bench.face.call(&Request::get("/config")).await.unwrap().status, 502);
    inject(json!({ "kind": "flink-slow", "cluster": "main", "delay": "7s" }));
    let before = tokio::time::Instant::now();
    assert_eq!(bench.face.call(&Request::get("/config")).await.unwrap().status, 200);
    assert_eq!(before.elapsed(), Duration::from_secs(7));
    inject(json!({ "kind": "job-manager-restart", "cluster": "main" }));
    assert_eq!(bench.face.call(&Request::get("/config")).await, Err(Refused));
    bench.wait(20.0);
    assert_eq!(bench.face.call(&Request::get("/jobs")).await.unwrap().body["jobs"][0]["status"], "RUNNING");
    let unknown = bench
        .world
        .with(|w| w.inject(serde_json::from_value(json!({ "kind": "oom-kill", "cluster": "mian" })).unwrap()));
    assert!(unknown.unwrap_err().contains("did you mean \"main\"?"));
}

/// One HTTP/1.1 request by hand; none if the connection breaks before there is an answer.
async fn exchange(url: &str, request: &str, body: &str) -> Option<String> {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let text = format!(
        "{request} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    (!answer.is_empty()).then_some(answer)
}

#[tokio::test]
async fn it_is_served_on_loopback_takes_faults_and_stops() {
    let scenario = Scenario::parse("traps", SCENARIO).unwrap();
    let sim = start(&scenario, SimOptions::new(Arc::new(SystemClock::new()))).await.unwrap();
    let (flink, kubernetes) = (sim.flink[0].url.clone(), sim.kubernetes.clone());
    let answer = exchange(&flink, "GET /config", "").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"flink-version\":\"1.20.5\""), "{answer}");
    assert!(answer.contains("content-type: application/json; charset=UTF-8\r\n"), "{answer}");
    assert!(exchange(&kubernetes, "GET /version", "").await.unwrap().starts_with("HTTP/1.1 200"));

    let fault = r#"{ "kind": "flink-gone", "cluster": "main", "for": "10m" }"#;
    assert!(exchange(&flink, "POST /sim/faults", fault).await.unwrap().starts_with("HTTP/1.1 200"));
    // It begins with the next step of the world.
    for _ in 0..100 {
        match exchange(&flink, "GET /config", "").await {
            None => break,
            Some(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    assert_eq!(exchange(&flink, "GET /config", "").await, None, "connections break");
    sim.world.with(|world| world.clear_faults());
    assert!(exchange(&flink, "GET /config", "").await.is_some());

    let wrong = exchange(&flink, "POST /sim/faults", r#"{ "kind": "flink-gnoe" }"#).await.unwrap();
    assert!(wrong.starts_with("HTTP/1.1 400") && wrong.contains("flink-gone"), "{wrong}");
    sim.stop().await;
    assert_eq!(exchange(&flink, "GET /config", "").await, None, "nobody listens");
    assert_eq!(exchange(&kubernetes, "GET /version", "").await, None, "nobody listens");
}
