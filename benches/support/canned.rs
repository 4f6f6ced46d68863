//! A JobManager in memory with one job of many vertices: its answers are made beforehand, so that a bench measures the loop alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use flightdeck::domain::ids::{JobId, VertexId};
use flightdeck::flink::{BoxFuture, Request, Response, Transport, TransportError};
use serde_json::{Value, json};
use tokio::time::Instant;

const JOB: JobId = JobId::from_u128(0xabc);
/// When the job began to run.
pub const START_MS: i64 = 1_700_000_000_000;
/// How long it has run when the bench begins.
pub const AGE: Duration = Duration::from_secs(3600);

/// The JobManager.
#[derive(Debug)]
pub struct Canned {
    origin: Instant,
    period: Duration,
    answers: BTreeMap<String, Bytes>,
    /// The details of the job by the period in which they are asked for.
    details: Vec<Bytes>,
    asked: AtomicUsize,
}

fn id(n: usize) -> VertexId {
    VertexId::from_u128(0x9e37_79b9_7f4a_7c15_u128 * (n as u128 + 1))
}

fn bytes(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

fn tasks(running: usize) -> Value {
    json!({"total": running, "created": 0, "scheduled": 0, "deploying": 0, "running": running, "finished": 0, "canceling": 0,
        "canceled": 0, "failed": 0, "reconciling": 0, "initializing": 0})
}

/// A chain of operators under one vertex has a name like this.
fn name(n: usize) -> String {
    if n == 0 { "Source: orders[1]".to_owned() } else { format!("Enrich step {n}[{n}] -> Calc[{}]", n + 1) }
}

fn details(vertices: usize, after: Duration) -> Bytes {
    let seconds = (AGE + after).as_secs_f64();
    let list: Vec<Value> = (0..vertices)
        .map(|n| {
            let busy = 8.0 * 1000.0 * (0.68 + 0.002 * (n % 7) as f64) * seconds;
            json!({"id": id(n), "slotSharingGroupId": "a0b1c2d3a0b1c2d3a0b1c2d3a0b1c2d3", "name": name(n), "maxParallelism": 720, "parallelism": 8,
                "status": "RUNNING", "start-time": START_MS, "end-time": -1, "duration": (seconds * 1e3) as i64,
                "tasks": {"CREATED": 0, "SCHEDULED": 0, "DEPLOYING": 0, "RUNNING": 8, "FINISHED": 0, "CANCELING": 0,
                    "CANCELED": 0, "FAILED": 0, "RECONCILING": 0, "INITIALIZING": 0},
                "metrics": {"read-bytes": 1_000_000, "read-bytes-complete": true, "write-bytes": 1_000_000,
                    "write-bytes-complete": true, "read-records": if n == 0 { 0 } else { (1234.5 * seconds) as u64 },
                    "read-records-complete": true, "write-records": (1234.5 * seconds) as u64,
                    "write-records-complete": true, "accumulated-backpressured-time": 0,
                    "accumulated-idle-time": (8.0 * 320.0 * seconds) as u64, "accumulated-busy-time": busy}})
        })
        .collect();
    let nodes: Vec<Value> = (0..vertices)
        .map(|n| {
            let inputs: Vec<Value> = (n > 0)
                .then(|| json!({"num": 0, "id": id(n - 1), "ship_strategy": "HASH", "exchange": "pipelined_bounded"}))
                .into_iter()
                .collect();
            json!({"id": id(n), "parallelism": 8, "operator": "", "operator_strategy": "", "description": name(n),
                "inputs": inputs, "optimizer_properties": {}})
        })
        .collect();
    bytes(&json!({"jid": JOB, "name": "orders", "isStoppable": false, "state": "RUNNING", "job-type": "STREAMING",
        "start-time": START_MS, "end-time": -1, "duration": 1, "maxParallelism": -1, "now": START_MS,
        "timestamps": {"CREATED": START_MS - 900, "RUNNING": START_MS}, "vertices": list,
        "status-counts": {"RUNNING": vertices}, "plan": {"jid": JOB, "name": "orders", "type": "STREAMING", "nodes": nodes}}))
}

impl Canned {
    /// A job of so many vertices in a chain, for so many periods.
    pub fn new(vertices: usize, period: Duration, periods: u32) -> Self {
        let mut answers = BTreeMap::new();
        let mut put = |path: String, value: Value| answers.insert(path, bytes(&value));
        put(
            "/config".into(),
            json!({"refresh-interval": 3000, "timezone-name": "UTC", "timezone-offset": 0, "flink-version": "1.20.5",
                "flink-revision": "x", "features": {"web-submit": true, "web-cancel": true, "web-rescale": true}}),
        );
        put("/jobmanager/config".into(), json!([]));
        put(
            "/overview".into(),
            json!({"taskmanagers": 2, "slots-total": 16, "slots-available": 8, "jobs-running": 1, "jobs-finished": 0,
                "jobs-cancelled": 0, "jobs-failed": 0, "flink-version": "1.20.5", "flink-commit": "x"}),
        );
        put(
            "/jobs/overview".into(),
            json!({"jobs": [{"jid": JOB, "name": "orders", "start-time": START_MS, "end-time": -1, "duration": 1,
                "state": "RUNNING", "last-modification": START_MS, "tasks": tasks(8 * vertices)}]}),
        );
        put(format!("/jobs/{JOB}/exceptions"), json!({"exceptionHistory": {"entries": [], "truncated": false}}));
        for n in 0..vertices {
            let busy = 680.0 + 2.0 * (n % 7) as f64;
            let mut values = vec![("busyTimeMsPerSecond", busy), ("numRecordsInPerSecond", 1234.5)];
            if n == 0 {
                values = vec![
                    ("busyTimeMsPerSecond", busy),
                    ("backPressuredTimeMsPerSecond", 0.0),
                    ("Source__orders[1].numRecordsInPerSecond", 1234.5),
                    ("Source__orders[1].numRecordsIn", 4_444_444.0),
                    ("Source__orders[1].numRecordsOut", 4_444_444.0),
                    ("Source__orders[1].pendingRecords", 20.0),
                ];
            }
            let of = |name: &str, v: f64| json!({"id": name, "min": v, "max": v, "avg": v, "sum": 8.0 * v});
            let path = format!("/jobs/{JOB}/vertices/{}/subtasks/metrics", id(n));
            put(format!("{path}?"), values.iter().map(|(name, v)| of(name, *v)).collect());
            put(path, values.iter().map(|(name, _)| json!({"id": name})).collect());
        }
        let memory = [
            "Status.JVM.Memory.Heap.Max",
            "Status.JVM.Memory.Heap.Used",
            "Status.Flink.Memory.Managed.Used",
            "Status.JVM.Memory.Metaspace.Used",
            "Status.JVM.GarbageCollector.All.TimeMsPerSecond",
        ];
        let of = |name: &str| json!({"id": name, "min": 1e8, "max": 2e8, "avg": 1.5e8, "sum": 3e8});
        put("/taskmanagers/metrics?".into(), memory.iter().map(|name| of(name)).collect());
        let details = (0..=periods).map(|n| details(vertices, period * n)).collect();
        Self { origin: Instant::now(), period, answers, details, asked: AtomicUsize::new(0) }
    }

    /// Requests so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn answer(&self, path: &str) -> Option<Bytes> {
        if path.strip_prefix("/jobs/").and_then(|rest| rest.parse().ok()) == Some(JOB) {
            let period = self.origin.elapsed().as_nanos() / self.period.as_nanos();
            return self.details.get(usize::try_from(period).ok()?).or(self.details.last()).cloned();
        }
        // What is asked for by name is what there is: the names do not matter.
        match path.split_once("?get=") {
            Some((path, _)) => self.answers.get(&format!("{path}?")).cloned(),
            None => self.answers.get(path.split('?').next().unwrap_or(path)).cloned(),
        }
    }
}

/// Clones share the JobManager.
#[derive(Debug, Clone)]
pub struct ToCanned(pub Arc<Canned>);

impl Transport for ToCanned {
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        let (status, body) = match self.0.answer(&request.path) {
            Some(body) => (http::StatusCode::OK, body),
            None => (http::StatusCode::NOT_FOUND, Bytes::from_static(b"{\"errors\":[\"no such path\"]}")),
        };
        Box::pin(async move { Ok(Response { status, headers: http::HeaderMap::new(), body }) })
    }

    fn target(&self) -> &str {
        "http://in-memory"
    }
}
