//! Every recorded answer of a real JobManager is understood: the client asks the recorded path, and what it makes of the answer
//! is compared with the recorded JSON read independently. A recording that no rule covers fails the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod actions;
mod cluster;
mod errors;
mod job;
mod metrics;
mod vertex;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use flightdeck::flink::{BoxFuture, ClientOptions, FlinkClient, Request, Response, Transport, TransportError};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// Recordings of calls that the client does not make, and why.
const NOT_CALLED: &[(&str, &str)] = &[
    ("/datasets", "cluster data sets belong to batch jobs"),
    ("/applications", "one per job in a session cluster: says what the job says"),
    ("/run-application", "jobs are started by /run"),
    ("/rescales/summary", "statistics over the history, which is read itself"),
];

/// One recorded answer.
pub struct Recording {
    pub version: String,
    pub file: String,
    pub method: String,
    /// Path with query.
    pub path: String,
    pub status: StatusCode,
    pub request: Value,
    pub body: Bytes,
}

impl Recording {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
    /// The path alone.
    pub fn route(&self) -> &str {
        self.path.split('?').next().unwrap()
    }
    /// A parameter of the recorded query.
    pub fn query(&self, name: &str) -> Option<String> {
        let query = self.path.split_once('?')?.1;
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
    pub fn names(&self) -> Vec<String> {
        self.query("get").unwrap().split(',').map(str::to_owned).collect()
    }
    /// Part of `major.minor`, e.g. 20 of 1.20.
    pub fn is_2x(&self) -> bool {
        self.version.starts_with("flink-2")
    }
    /// A client that gets this recording as the answer to everything, and the record of what it asked.
    pub fn replay(&self) -> (FlinkClient, Arc<Replay>) {
        let replay = Arc::new(Replay { status: self.status, body: self.body.clone(), seen: Mutex::new(Vec::new()) });
        (FlinkClient::new(replay.clone(), ClientOptions::default()), replay)
    }
    /// The client asked what was recorded, once.
    pub fn assert_asked(&self, replay: &Replay) {
        let seen = replay.seen.lock().unwrap();
        assert_eq!(seen.len(), 1, "one request");
        assert_eq!(seen[0].method.as_str(), self.method);
        assert_eq!(seen[0].path.split('?').next().unwrap(), self.route());
    }
}

/// A transport that gives one answer to everything.
#[derive(Debug)]
pub struct Replay {
    status: StatusCode,
    body: Bytes,
    pub seen: Mutex<Vec<Request>>,
}

impl Transport for Replay {
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        self.seen.lock().unwrap().push(request);
        let answer = Response { status: self.status, headers: HeaderMap::new(), body: self.body.clone() };
        Box::pin(async move { Ok(answer) })
    }
    fn target(&self) -> &str {
        "the recording"
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings")
}

/// All recordings: those of the indexes, and each file must be in one of them.
fn recordings() -> Vec<Recording> {
    let mut all = Vec::new();
    for version in ["flink-1.20", "flink-2.1", "flink-2.3"] {
        let folder = root().join(version);
        let index: Vec<Value> = serde_json::from_slice(&std::fs::read(folder.join("index.json")).unwrap()).unwrap();
        let mut files = files_under(&folder);
        files.retain(|f| f != "index.json" && f != "README.md");
        for entry in index {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            let file = text("file");
            let known = files.iter().position(|f| *f == file);
            files.swap_remove(known.unwrap_or_else(|| panic!("{version}/index.json names {file}, which is not there")));
            let status = entry["status"].as_u64().map_or(StatusCode::OK, |s| StatusCode::from_u16(s as u16).unwrap());
            all.push(Recording {
                version: version.to_owned(),
                body: std::fs::read(folder.join(&file)).unwrap().into(),
                file,
                method: text("method"),
                path: text("path"),
                status,
                request: entry["body"].clone(),
            });
        }
        assert_eq!(files, Vec::<String>::new(), "files of {version} that its index does not name");
    }
    all
}

fn files_under(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

#[tokio::test]
async fn every_recording_is_understood() {
    let mut checked = 0;
    let mut failed = Vec::new();
    for recording in recordings() {
        let name = format!("{}/{} ({} {})", recording.version, recording.file, recording.method, recording.path);
        // In a task of its own, so that one misunderstanding does not hide the others.
        if tokio::spawn(async move { check(&recording).await }).await.is_err() {
            failed.push(name);
        }
        checked += 1;
    }
    assert!(failed.is_empty(), "not understood:\n{}", failed.join("\n"));
    assert_eq!(checked, 467, "recordings were added or lost");
}

async fn check(r: &Recording) {
    let route: Vec<&str> = r.route().split('/').skip(1).collect();
    let asks = r.query("get").is_some();
    if NOT_CALLED.iter().any(|(part, _)| r.route().contains(part)) {
        assert!(r.json().is_object() || r.json().is_array());
        return;
    }
    match (r.method.as_str(), route.as_slice()) {
        _ if r.file == "errors.json" => errors::table(r).await,
        ("-", _) => cluster::timeline(r),
        ("GET", _) if r.status != StatusCode::OK => errors::refused(r).await,

        ("GET", ["overview"]) => cluster::overview(r).await,
        ("GET", ["config"]) => cluster::config(r).await,
        ("GET", ["jobs", "overview"]) => cluster::jobs_overview(r).await,
        ("GET", ["jobs"]) => cluster::jobs(r).await,
        ("GET", ["jars"]) => cluster::jars(r).await,
        ("GET", ["jobmanager", "config"]) => cluster::jobmanager_config(r).await,
        ("GET", ["jobmanager", "environment"]) => cluster::environment(r).await,
        ("GET", ["jobmanager", "metrics"] | ["jobs", _, "metrics"]) if asks => metrics::plain(r, &route).await,
        ("GET", ["taskmanagers", _, "metrics"]) if asks => metrics::plain(r, &route).await,
        ("GET", ["jobs", _, "vertices", _, "metrics"]) if asks => metrics::plain(r, &route).await,
        ("GET", ["jobs" | "taskmanagers", "metrics"]) if asks => metrics::aggregated(r, &route).await,
        ("GET", ["jobs", _, "vertices", _, "subtasks", "metrics"]) if asks => metrics::aggregated(r, &route).await,
        ("GET", [.., "metrics" | "jm-operator-metrics"]) => metrics::names(r, &route).await,
        ("GET", ["jobmanager" | "taskmanagers", .., "logs"]) => cluster::logs(r, &route).await,
        ("GET", ["jobmanager" | "taskmanagers", .., "log"]) => cluster::log_text(r, &route).await,
        ("GET", ["jobmanager" | "taskmanagers", .., "thread-dump"]) => cluster::thread_dump(r, &route).await,
        ("GET", ["taskmanagers"]) => cluster::task_managers(r).await,
        ("GET", ["taskmanagers", id]) => cluster::task_manager(r, id).await,

        ("GET", ["jobs", id]) => job::details(r, id).await,
        ("GET", ["jobs", id, "plan"]) => job::plan(r, id).await,
        ("GET", ["jobs", id, "status"]) => job::status(r, id).await,
        ("GET", ["jobs", id, "config"]) => job::config(r, id).await,
        ("GET", ["jobs", id, "exceptions"]) => job::exceptions(r, id).await,
        ("GET", ["jobs", id, "accumulators"]) => job::accumulators(r, id).await,
        ("GET", ["jobs", id, "execution-result"]) => job::execution_result(r, id).await,
        ("GET", ["jobs", id, "checkpoints"]) => job::checkpoints(r, id).await,
        ("GET", ["jobs", id, "checkpoints", "config"]) => job::checkpoint_config(r, id).await,
        ("GET", ["jobs", id, "checkpoints", "details", n]) => job::checkpoint(r, id, n).await,
        ("GET", ["jobs", id, "checkpoints", "details", n, "subtasks", v]) => {
            job::subtask_checkpoints(r, id, n, v).await;
        }
        ("GET", ["jobs", id, "resource-requirements"]) => job::requirements(r, id).await,
        ("PUT", ["jobs", id, "resource-requirements"]) => actions::put_requirements(r, id).await,
        ("GET", ["jobs", id, "rescales", rest @ ..]) => job::rescales(r, id, rest).await,

        ("GET", ["jobs", id, "vertices", v]) => vertex::subtasks(r, id, v).await,
        ("GET", ["jobs", id, "vertices", v, "backpressure"]) => vertex::back_pressure(r, id, v).await,
        ("GET", ["jobs", id, "vertices", v, "watermarks"]) => vertex::watermarks(r, id, v).await,
        ("GET", ["jobs", id, "vertices", v, "accumulators"]) => vertex::accumulators(r, id, v).await,
        ("GET", ["jobs", id, "vertices", v, "subtasktimes"]) => vertex::times(r, id, v).await,
        ("GET", ["jobs", id, "vertices", v, "taskmanagers"]) => vertex::task_managers(r, id, v).await,
        ("GET", ["jobs", id, "vertices", v, "subtasks", _, ..]) => vertex::one_subtask(r, id, v, &route).await,

        ("PATCH", ["jobs", id]) => actions::cancel(r, id).await,
        ("POST", ["jars", id, "run"]) => actions::run_jar(r, id).await,
        ("DELETE", ["cluster"]) => actions::shut_down(r).await,
        ("POST, GET, GET", _) => actions::operation(r).await,
        ("GET", ["savepoint-disposal", id]) => actions::disposal_state(r, id).await,
        other => panic!("no rule covers {other:?} ({}/{})", r.version, r.file),
    }
}

/// A number as recorded: a JSON number, or the string Flink uses for it.
pub fn num(value: &Value) -> f64 {
    match value {
        Value::Number(n) => n.as_f64().unwrap(),
        Value::String(s) if s == "NaN" => f64::NAN,
        Value::String(s) => s.parse().unwrap(),
        Value::Null => f64::NAN,
        other => panic!("not a number: {other}"),
    }
}

/// Equal, or both NaN.
#[track_caller]
pub fn same(ours: f64, recorded: &Value) {
    let theirs = num(recorded);
    assert!(ours == theirs || (ours.is_nan() && theirs.is_nan()), "{ours} is not {recorded}");
}

/// Epoch milliseconds as recorded; -1 and 0 are "not yet".
pub fn ms(value: &Value) -> Option<i64> {
    value.as_i64().filter(|ms| *ms > 0)
}

pub fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect()
}

pub fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}
