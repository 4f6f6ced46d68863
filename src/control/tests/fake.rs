//! A small Flink in memory for the tests of the loop: one job of three vertices behind the transport port, in tokio's time.
//!
//! Far simpler than the embedded cluster, and independent of it: the loop's tests do not depend on its physics, and faults can be
//! put exactly where a test wants them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::domain::ids::{JobId, VertexId};
use crate::flink::{BoxFuture, Request, Response, Transport, TransportError};

pub const SOURCE: VertexId = VertexId::from_u128(1);
pub const SLOW: VertexId = VertexId::from_u128(2);
pub const SINK: VertexId = VertexId::from_u128(3);
pub const JOB: JobId = JobId::from_u128(0xabc);
/// Records per second that one subtask of the slow vertex can do.
pub const CAPACITY: f64 = 100.0;
pub const START_MS: i64 = 1_700_000_000_000;

/// What a matching request gets instead of an answer.
#[derive(Debug, Clone)]
pub enum Fault {
    Html,
    Refused,
    Status(u16, String),
    Panic,
    /// The request takes effect, and the connection breaks before the answer.
    BrokenAfter,
}

#[derive(Debug)]
pub struct Model {
    origin: Instant,
    stepped: Duration,
    /// Records per second that arrive.
    pub rate: f64,
    pub lag: f64,
    pub parallelism: i32,
    pub wanted: i32,
    pub source_records: f64,
    pub slow_records: f64,
    pub busy_ms: f64,
    pub running_since: Duration,
    /// Down until then.
    pub down_until: Option<Duration>,
    pub downtime: Duration,
    /// How long after a PUT the restart begins.
    pub rescale_delay: Duration,
    rescale_at: Option<Duration>,
    pub gone: bool,
    pub adaptive: bool,
    /// The configuration that the JobManager tells.
    pub settings: Vec<(&'static str, &'static str)>,
    pub version: &'static str,
    /// How long answers to checkpoint questions take.
    pub checkpoints_take: Duration,
    /// Busy time is NaN.
    pub busy_nan: bool,
    /// The slow vertex has no metrics.
    pub no_metrics: bool,
    pub incomplete: bool,
    pub failures: Vec<i64>,
    /// Every request: method and path without query; the list of the names of a vertex's metrics ends with `/names`.
    pub log: Vec<String>,
    pub puts: Vec<Value>,
    pub faults: VecDeque<(String, usize, Fault)>,
}

/// The cluster; clones share it.
#[derive(Debug, Clone)]
pub struct Fake {
    model: Arc<Mutex<Model>>,
}

impl Fake {
    /// A job that has been running with parallelism 2 for an hour.
    pub fn new(rate: f64) -> Self {
        let hour = Duration::from_secs(3600);
        let model = Model {
            origin: Instant::now(),
            stepped: hour,
            rate,
            lag: 0.0,
            parallelism: 2,
            wanted: 2,
            source_records: rate * 3600.0,
            slow_records: rate * 3600.0,
            busy_ms: 0.0,
            running_since: Duration::ZERO,
            down_until: None,
            downtime: Duration::from_secs(3),
            rescale_delay: Duration::ZERO,
            rescale_at: None,
            gone: false,
            adaptive: true,
            settings: Vec::new(),
            version: "1.20.5",
            checkpoints_take: Duration::ZERO,
            busy_nan: false,
            no_metrics: false,
            incomplete: false,
            failures: Vec::new(),
            log: Vec::new(),
            puts: Vec::new(),
            faults: VecDeque::new(),
        };
        Self { model: Arc::new(Mutex::new(model)) }
    }

    /// The wall clock when the test starts: an hour after the job.
    pub fn start() -> crate::domain::Timestamp {
        chrono::DateTime::from_timestamp_millis(START_MS + 3_600_000).unwrap()
    }

    pub fn model(&self) -> MutexGuard<'_, Model> {
        let mut model = self.model.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        model.advance();
        model
    }

    /// The next `times` requests whose line contains `part` fail.
    pub fn fail(&self, part: &str, times: usize, fault: Fault) {
        self.model().faults.push_back((part.to_owned(), times, fault));
    }

    pub fn heal(&self) {
        self.model().faults.clear();
    }

    /// Rescales the slow vertex as the operator would.
    pub fn rescale(&self, wanted: i32) {
        let mut model = self.model();
        model.wanted = wanted;
        model.rescale_at = Some(model.stepped + model.rescale_delay);
    }

    /// Restarts the job as after a failure.
    pub fn crash(&self) {
        let mut model = self.model();
        let now = model.stepped;
        model.failures.push(START_MS + now.as_millis() as i64);
        model.down_until = Some(now + model.downtime);
    }

    pub fn requests(&self, part: &str) -> usize {
        self.model().log.iter().filter(|l| l.contains(part)).count()
    }
}

impl Model {
    fn now(&self) -> Duration {
        Duration::from_secs(3600) + self.origin.elapsed()
    }

    fn advance(&mut self) {
        let now = self.now();
        while self.stepped < now {
            let step = (now - self.stepped).min(Duration::from_millis(100));
            self.stepped += step;
            if self.rescale_at.is_some_and(|at| self.stepped >= at) {
                self.rescale_at = None;
                self.down_until = Some(self.stepped + self.downtime);
            }
            let seconds = step.as_secs_f64();
            if let Some(until) = self.down_until {
                self.lag += self.rate * seconds;
                if self.stepped >= until {
                    self.down_until = None;
                    self.running_since = self.stepped;
                    self.parallelism = self.wanted;
                    (self.source_records, self.slow_records, self.busy_ms) = (0.0, 0.0, 0.0);
                }
                continue;
            }
            let capacity = CAPACITY * f64::from(self.parallelism);
            let done = (self.lag / seconds + self.rate).min(capacity);
            self.lag = (self.lag + (self.rate - done) * seconds).max(0.0);
            self.source_records += done * seconds;
            self.slow_records += done * seconds;
            self.busy_ms += 1000.0 * seconds * done / CAPACITY;
        }
    }

    fn done(&self) -> f64 {
        let capacity = CAPACITY * f64::from(self.parallelism);
        if self.lag > 1.0 { capacity } else { self.rate.min(capacity) }
    }

    /// Flink's meters count over 60 s.
    fn ramp(&self) -> f64 {
        (self.stepped.saturating_sub(self.running_since).as_secs_f64() / 60.0).min(1.0)
    }

    fn busy(&self) -> f64 {
        1000.0 * self.done() / (CAPACITY * f64::from(self.parallelism))
    }

    fn ms(&self, at: Duration) -> i64 {
        START_MS + at.as_millis() as i64
    }

    fn state(&self) -> &'static str {
        if self.down_until.is_some() { "RESTARTING" } else { "RUNNING" }
    }

    fn tasks(&self, total: i32) -> Value {
        let (up, down) = if self.down_until.is_none() { (total, 0) } else { (0, total) };
        json!({"total": total, "created": 0, "scheduled": 0, "deploying": 0, "running": up, "finished": 0, "canceling": 0,
            "canceled": down, "failed": 0, "reconciling": 0, "initializing": 0})
    }

    fn vertex(&self, id: VertexId) -> (&'static str, i32, f64, f64, f64) {
        match id {
            SOURCE => ("Source: in", 1, 0.0, self.source_records, 0.0),
            SLOW => ("slow", self.parallelism, self.slow_records, self.slow_records, self.busy_ms),
            _ => ("Sink: out", 1, self.slow_records, 0.0, 0.0),
        }
    }

    fn details(&self) -> Value {
        let vertices: Vec<Value> = [SOURCE, SLOW, SINK]
            .into_iter()
            .map(|id| {
                let (name, parallelism, read, written, busy) = self.vertex(id);
                let busy = if self.busy_nan { json!("NaN") } else { json!(busy) };
                json!({"id": id, "name": name, "parallelism": parallelism, "maxParallelism": 128, "status": "RUNNING",
                    "start-time": self.ms(self.running_since), "end-time": -1, "duration": 1,
                    "tasks": {"RUNNING": if self.down_until.is_none() { parallelism } else { 0 }, "CANCELED":
                        if self.down_until.is_none() { 0 } else { parallelism }},
                    "metrics": {"read-bytes": 1, "read-bytes-complete": true, "write-bytes": 1, "write-bytes-complete": true,
                        "read-records": read as u64, "read-records-complete": !self.incomplete,
                        "write-records": written as u64, "write-records-complete": true,
                        "accumulated-busy-time": busy, "accumulated-idle-time": 0,
                        "accumulated-backpressured-time": 0.0}})
            })
            .collect();
        let node = |id: VertexId, input: Option<VertexId>| {
            let (_, parallelism, ..) = self.vertex(id);
            let inputs: Vec<Value> =
                input.iter().map(|i| json!({"num": 0, "id": i, "ship_strategy": "REBALANCE"})).collect();
            let mut node = json!({"id": id, "parallelism": parallelism, "description": "x"});
            if !inputs.is_empty() {
                node["inputs"] = json!(inputs);
            }
            node
        };
        json!({"jid": JOB, "name": "job", "state": self.state(), "start-time": START_MS, "end-time": -1, "duration": 1,
            "now": self.ms(self.stepped), "timestamps": {"CREATED": START_MS, "RUNNING": self.ms(self.running_since)},
            "vertices": vertices, "status-counts": {},
            "plan": {"jid": JOB, "name": "job", "type": "STREAMING",
                "nodes": [node(SOURCE, None), node(SLOW, Some(SOURCE)), node(SINK, Some(SLOW))]}})
    }

    fn metrics(&self, id: VertexId, names: Option<&str>) -> Value {
        let busy = if id == SLOW { self.busy() } else { 10.0 };
        let mut all: BTreeMap<&str, f64> = BTreeMap::from([
            ("busyTimeMsPerSecond", if self.busy_nan { f64::NAN } else { busy }),
            ("backPressuredTimeMsPerSecond", if id == SOURCE && self.lag > 1.0 { 980.0 } else { 0.0 }),
            ("numRecordsInPerSecond", self.done()),
        ]);
        if id == SOURCE {
            all.insert("Source__in.numRecordsInPerSecond", self.done() * self.ramp());
            all.insert("Source__in.numRecordsIn", self.source_records);
            all.insert("Source__in.numRecordsOut", self.source_records);
            all.insert("Source__in.pendingRecords", self.lag);
        }
        if id == SLOW && self.no_metrics {
            all.clear();
        }
        let number = |v: f64| if v.is_nan() { json!("NaN") } else { json!(v) };
        match names {
            None => all.keys().map(|name| json!({"id": name})).collect(),
            Some(names) => {
                let wanted: Option<Vec<Value>> = names
                    .split(',')
                    .map(|n| {
                        let v = number(*all.get(n)?);
                        Some(json!({"id": n, "min": v, "max": v, "avg": v, "sum": v}))
                    })
                    .collect();
                json!(wanted.unwrap_or_default())
            }
        }
    }

    fn answer(&mut self, method: &str, path: &str, query: &str, body: &[u8]) -> (u16, Value) {
        let names = query.split('&').find_map(|p| p.strip_prefix("get="));
        let job = format!("/jobs/{JOB}");
        if self.gone && path.starts_with(&job) {
            let why = format!("org.apache.flink.runtime.rest.NotFoundException: Job {JOB} not found");
            return (404, json!({"errors": [why]}));
        }
        let of_vertex = |prefix: &str, suffix: &str| -> Option<VertexId> {
            path.strip_prefix(prefix)?.strip_suffix(suffix)?.parse().ok()
        };
        if let Some(id) = of_vertex(&format!("{job}/vertices/"), "/subtasks/metrics") {
            return (200, self.metrics(id, names));
        }
        if let Some(id) = of_vertex(&format!("{job}/vertices/"), "/watermarks") {
            let mark = |subtask: i32, value: i64| json!({"id": format!("{subtask}.currentInputWatermark"), "value": value.to_string()});
            let behind = |millis: i64| self.ms(self.stepped) - millis;
            return (
                200,
                match id {
                    SOURCE => json!([]),
                    SLOW => (0..self.parallelism).map(|n| mark(n, behind(4_000 + 1_000 * i64::from(n)))).collect(),
                    _ => json!([mark(0, i64::MIN)]),
                },
            );
        }
        match (method, path) {
            ("GET", "/config") => (
                200,
                json!({"refresh-interval": 3000, "timezone-name": "UTC", "timezone-offset": 0,
                "flink-version": self.version, "flink-revision": "x", "features": {"web-rescale": self.adaptive}}),
            ),
            ("GET", "/jobmanager/config") => {
                let entries = self.settings.iter().map(|(key, value)| json!({"key": key, "value": value}));
                (200, entries.collect())
            }
            ("GET", "/overview") => (
                200,
                json!({"taskmanagers": 1, "slots-total": 16, "slots-available": 8, "jobs-running": 1,
                "jobs-finished": 0, "jobs-cancelled": 0, "jobs-failed": 0, "flink-version": self.version, "flink-commit": "x"}),
            ),
            ("GET", "/jobs/overview") => {
                let jobs = if self.gone {
                    json!([])
                } else {
                    json!([{"jid": JOB, "name": "job", "state": self.state(), "start-time": START_MS, "end-time": -1,
                        "duration": 1, "last-modification": self.ms(self.running_since),
                        "tasks": self.tasks(self.parallelism + 2)}])
                };
                (200, json!({"jobs": jobs}))
            }
            ("GET", "/taskmanagers/metrics") => {
                let all: Vec<Value> = names
                    .unwrap_or_default()
                    .split(',')
                    .map(|n| json!({"id": n, "min": 100.0, "max": 100.0, "avg": 100.0, "sum": 100.0}))
                    .collect();
                (200, json!(all))
            }
            ("GET", p) if p == format!("{job}/exceptions") => {
                let entries: Vec<Value> = self
                    .failures
                    .iter()
                    .map(|at| {
                        json!({"exceptionName": "java.io.IOException", "stacktrace": "java.io.IOException: broken\n\tat a.b",
                            "timestamp": at, "taskName": "slow", "endpoint": "h:1", "taskManagerId": "tm", "failureLabels": {},
                            "concurrentExceptions": []})
                    })
                    .collect();
                (200, json!({"exceptionHistory": {"entries": entries, "truncated": false}}))
            }
            ("GET", p) if p == format!("{job}/checkpoints") => (
                200,
                json!({"counts": {"restored": 0, "total": 0, "in_progress": 0, "completed": 0, "failed": 0},
                "summary": null, "latest": {"completed": null, "savepoint": null, "failed": null, "restored": null},
                "history": []}),
            ),
            ("GET", p) if p == format!("{job}/resource-requirements") => {
                let of = |upper: i32| json!({"parallelism": {"lowerBound": 1, "upperBound": upper}});
                let all = BTreeMap::from([
                    (SOURCE.to_string(), of(1)),
                    (SLOW.to_string(), of(self.wanted)),
                    (SINK.to_string(), of(1)),
                ]);
                (200, json!(all))
            }
            ("PUT", p) if p == format!("{job}/resource-requirements") => {
                let body: Value = serde_json::from_slice(body).unwrap();
                let upper = body[SLOW.to_string()]["parallelism"]["upperBound"].as_i64().unwrap() as i32;
                self.puts.push(body);
                if upper != self.wanted {
                    self.wanted = upper;
                    self.rescale_at = Some(self.stepped + self.rescale_delay);
                }
                (200, json!({}))
            }
            ("GET", p) if p == job => (200, self.details()),
            _ => (404, json!({"errors": [format!("no such path {path}")]})),
        }
    }
}

impl Transport for Fake {
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        Box::pin(async move {
            // As over a wire, an answer takes time.
            let slow =
                if request.path.contains("/checkpoints") { self.model().checkpoints_take } else { Duration::ZERO };
            tokio::time::sleep(Duration::from_millis(2) + slow).await;
            let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
            let names = if path.ends_with("/subtasks/metrics") && query.is_empty() { "/names" } else { "" };
            let line = format!("{} {path}{names}", request.method);
            let mut model = self.model();
            model.log.push(line.clone());
            let fault = model.faults.iter_mut().find(|(part, times, _)| line.contains(part.as_str()) && *times > 0);
            let fault = fault.map(|(_, times, fault)| {
                *times -= 1;
                fault.clone()
            });
            let answer = |status: u16, body: Vec<u8>| Response {
                status: http::StatusCode::from_u16(status).unwrap(),
                headers: http::HeaderMap::new(),
                body: Bytes::from(body),
            };
            match fault {
                Some(Fault::Html) => {
                    return Ok(answer(200, b"<html><title>Sign in</title></html>".to_vec()));
                }
                Some(Fault::Refused) => return Err(TransportError::Connect("connection refused".into())),
                Some(Fault::Status(status, body)) => return Ok(answer(status, body.into_bytes())),
                Some(Fault::Panic) => {
                    drop(model);
                    panic!("a defect in {line}");
                }
                Some(Fault::BrokenAfter) => {
                    model.answer(request.method.as_str(), path, query, &request.body);
                    return Err(TransportError::Broken("reset by peer".into()));
                }
                None => {}
            }
            let (status, body) = model.answer(request.method.as_str(), path, query, &request.body);
            Ok(answer(status, body.to_string().into_bytes()))
        })
    }

    fn target(&self) -> &str {
        "http://fake:8081"
    }
}
