//! The Flink face of the embedded cluster against recordings of real JobManagers: path, status, keys, types, and whether a
//! value is a string or a number.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flightdeck::clock::ManualClock;
use flightdeck::domain::Timestamp;
use flightdeck::domain::ids::JobId;
use flightdeck::sim::checkpoints::Kind;
use flightdeck::sim::flink_face::{Answer, FlinkFace, Request};
use flightdeck::sim::job::Restore;
use flightdeck::sim::scenario::Scenario;
use flightdeck::sim::world::{SharedWorld, TriggerOptions};
use serde_json::Value;

/// The program under observation, with the names and vertex ids of the recordings.
const GRAPH: &str = r#"
[[workload.vertex]]
name = "Source: Source: events"
id = "f362c87ffabe89c8a91fa7d0a523ba6c"
parallelism = P
cost = "20us"
record-size = "47b"
source = { rate = { kind = "constant", rate = RATE }, partitions = 8 }
[[workload.vertex]]
name = "Enrich"
id = "9c32e3838cee893dbb2fc90ccad79598"
parallelism = P
cost = "150us"
record-size = "47b"
inputs = [{ from = "Source: Source: events", ship = "hash" }]
state = { per-record = "256b", max = "500k" }
[[workload.vertex]]
name = "Score (model v2)"
id = "857f407b0f317b9a9f938362a2c2d026"
parallelism = P
cost = "SCORE"
record-size = "47b"
inputs = [{ from = "Enrich", ship = "rebalance" }]
[[workload.vertex]]
name = "Window 5s -> Sink: discard"
id = "1fda57489fc99cc8f66c9108fd52ccef"
parallelism = P
cost = "10us"
inputs = [{ from = "Score (model v2)", ship = "hash" }]
"#;

struct Bench {
    face: FlinkFace,
    world: SharedWorld,
    clock: Arc<ManualClock>,
}

impl Bench {
    fn new(version: &str, scheduler: &str) -> Self {
        let job = |name: &str, rate: u32, score: &str, parallelism: u32, extra: &str| {
            let graph = GRAPH.replace("RATE", &rate.to_string()).replace("SCORE", score);
            let graph = graph.replace("= P\n", &format!("= {parallelism}\n"));
            format!("[[workload]]\nname = \"{name}\"\ncluster = \"main\"\nmax-parallelism = 24\n{extra}\n{graph}")
        };
        let text = format!(
            "name = \"bench\"\nseed = 1\nprerun = \"2min\"\n[[cluster]]\nname = \"main\"\nversion = \"{version}\"\n\
             scheduler = \"{scheduler}\"\ntaskmanagers = {{ count = 2, slots = 4, memory = \"1728m\" }}\n{}{}{}{}",
            job("orders-enrichment", 1500, "250us", 2, ""),
            job("clicks-sessionizer", 3000, "1ms", 2, ""),
            job(
                "bad-parser",
                1000,
                "100us",
                1,
                "failure = { after = \"4s\", vertex = \"Enrich\", exception = \"null-pointer\", restart-delay = \"3s\", attempts = 2 }\n\
                 checkpoints = { interval = \"2s\" }"
            ),
            job("daily-report", 1000, "100us", 1, ""),
        );
        let start = Timestamp::from_timestamp_millis(1_795_327_000_000).unwrap();
        let scenario = Scenario::parse("bench", &text).unwrap();
        let world = scenario.build(start).unwrap();
        let clock = Arc::new(ManualClock::at(start));
        let world = SharedWorld::new(world, clock.clone());
        let bench = Self { face: FlinkFace::new(world.clone(), "main"), world, clock };
        // A bounded job that has ended: here, one that was stopped.
        let id = bench.job("daily-report");
        bench.world.with(|w| w.trigger("main", id, Kind::SyncSavepoint, TriggerOptions::default()));
        bench.wait(12.0);
        // The first request starts a fetch of metrics, the next one sees it.
        bench.get("/jobmanager/metrics");
        bench.wait(0.2);
        bench
    }

    fn wait(&self, seconds: f64) {
        self.clock.advance(Duration::from_secs_f64(seconds));
    }

    fn job(&self, name: &str) -> JobId {
        self.world.with(|w| w.clusters()[0].jobs.iter().find(|j| j.name() == name).unwrap().id)
    }

    fn ask(&self, request: &Request) -> Answer {
        self.face.answer(request).unwrap()
    }

    fn get(&self, target: &str) -> Answer {
        self.ask(&Request::get(target))
    }

    /// A recorded path with the ids of this world.
    fn translate(&self, file: &str, path: &str) -> String {
        let name = match file.split('/').next().unwrap() {
            "job-backpressured" => "clicks-sessionizer",
            "job-failed" => "bad-parser",
            "job-finished" => "daily-report",
            _ => "orders-enrichment",
        };
        let mut out = path.to_owned();
        if let Some(id) = path.strip_prefix("/jobs/").map(|rest| &rest[..rest.len().min(32)])
            && id.parse::<JobId>().is_ok()
        {
            out = out.replace(id, &self.job(name).to_string());
        }
        if let Some(rest) = path.strip_prefix("/taskmanagers/127")
            && let Some(id) = rest.split(['/', '?']).next()
        {
            let ours = self.world.with(|w| w.clusters()[0].taskmanagers[0].id.clone());
            out = out.replace(&format!("127{id}"), &ours);
        }
        if let Some((head, tail)) = out.clone().split_once("/checkpoints/details/") {
            let newest = self.get(&format!("{head}/checkpoints")).body["latest"]["completed"]["id"].to_string();
            let rest = tail.split_once('/').map_or(String::new(), |(_, rest)| format!("/{rest}"));
            out = format!("{head}/checkpoints/details/{newest}{rest}");
        }
        out
    }
}

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings")
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What differs between an answer of ours and a recorded one.
fn differences(at: &str, ours: &Value, theirs: &Value, out: &mut Vec<String>) {
    const OPTIONAL: [&str; 9] = [
        "completed",
        "savepoint",
        "failed",
        "restored",
        "savepointFormat",
        "root-exception",
        "timestamp",
        "operation",
        "tasks",
    ];
    let key = at.rsplit('.').next().unwrap_or_default();
    match (ours, theirs) {
        (Value::Null, other) | (other, Value::Null) => {
            if !other.is_null() && !OPTIONAL.contains(&key) {
                out.push(format!("{at}: null against something"));
            }
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            let names = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<BTreeSet<_>>();
            if key != "user-config" && !(key == "tasks" && (ours.is_empty() || theirs.is_empty())) {
                let (ours, theirs) = (names(ours), names(theirs));
                out.extend(theirs.difference(&ours).map(|k| format!("{at}.{k}: missing")));
                out.extend(ours.difference(&theirs).map(|k| format!("{at}.{k}: not in the recording")));
            }
            for (name, value) in ours {
                if let Some(other) = theirs.get(name) {
                    differences(&format!("{at}.{name}"), value, other, out);
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            if theirs.is_empty() {
                return;
            }
            for value in ours {
                let found = theirs.iter().map(|other| {
                    let mut differ = Vec::new();
                    differences(&format!("{at}[]"), value, other, &mut differ);
                    differ
                });
                out.extend(found.min_by_key(Vec::len).unwrap_or_default());
            }
        }
        (Value::Number(a), Value::Number(b)) => {
            if a.is_f64() != b.is_f64() {
                out.push(format!("{at}: {a} against {b}"));
            }
        }
        (Value::Number(a), Value::String(nan)) | (Value::String(nan), Value::Number(a)) => {
            if nan != "NaN" || !a.is_f64() {
                out.push(format!("{at}: {a} against {nan:?}"));
            }
        }
        (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => {}
        _ => out.push(format!("{at}: {ours} against {theirs}")),
    }
}

/// Lists of metrics: the same names (but for what depends on connectors), and values of the same form.
fn metric_differences(at: &str, ours: &Value, theirs: &Value, out: &mut Vec<String>) {
    let names = |v: &Value| -> BTreeMap<String, Value> {
        let list = v.as_array().into_iter().flatten();
        list.map(|m| (m["id"].as_str().unwrap_or_default().to_owned(), m.clone())).collect()
    };
    let (ours, theirs) = (names(ours), names(theirs));
    let form = |value: &Value| match value.as_str().unwrap_or_default() {
        "true" | "false" => "bool",
        text if text.parse::<i64>().is_ok() => "whole",
        text if text.parse::<f64>().is_ok() => "double",
        _ => "text",
    };
    for (name, value) in &theirs {
        if name.contains(".split.") {
            continue;
        }
        let Some(mine) = ours.get(name) else {
            out.push(format!("{at}.{name}: missing"));
            continue;
        };
        differences(&format!("{at}.{name}"), mine, value, out);
        if let (Some(mine), Some(value)) = (mine.get("value"), value.get("value"))
            && form(mine) != form(value)
        {
            out.push(format!("{at}.{name}: {mine} against {value}"));
        }
    }
    for name in ours.keys().filter(|name| !theirs.contains_key(*name)) {
        out.push(format!("{at}.{name}: not in the recording"));
    }
}

/// Answers that this face does not give, by the end of their recorded paths.
fn is_out_of_scope(path: &str) -> bool {
    ["/log", "/logs", "/stdout", "/thread-dump", "/environment", "/jars"].iter().any(|end| path.ends_with(end))
        || path.starts_with("/applications")
        || path.contains("/rescales/")
        || path.starts_with("/jars")
}

fn compare(version: &str, folder: &str, scheduler: &str, folders: &[&str]) {
    let bench = Bench::new(version, scheduler);
    let index = read(&recordings().join(folder).join("index.json"));
    let mut wrong = Vec::new();
    let mut compared = 0;
    for entry in index.as_array().unwrap() {
        let (file, path) = (entry["file"].as_str().unwrap(), entry["path"].as_str().unwrap());
        let top = file.split_once('/').map_or("", |(top, _)| top);
        // Whether the store still has the metrics of a job that has just failed is a matter of seconds.
        if file.starts_with("job-failed/job-metrics") {
            continue;
        }
        if entry["method"] != "GET" || is_out_of_scope(path) || !file.ends_with(".json") || !folders.contains(&top) {
            continue;
        }
        let recorded = read(&recordings().join(folder).join(file));
        let target = bench.translate(file, path);
        let answer = bench.get(&target);
        let at = format!("{file} {}", target.split('?').next().unwrap());
        compared += 1;
        if u64::from(answer.status) != entry["status"].as_u64().unwrap() {
            wrong.push(format!("{at}: status {} against {}", answer.status, entry["status"]));
            continue;
        }
        let before = wrong.len();
        if path.contains("metrics") && !path.contains("jm-operator") {
            metric_differences(&at, &answer.body, &recorded, &mut wrong);
        } else if path.contains("/jobmanager/config") {
            differences(&at, &answer.body[0], &recorded[0], &mut wrong);
        } else {
            differences(&at, &answer.body, &recorded, &mut wrong);
        }
        wrong.truncate(before + 6);
    }
    assert!(compared > 0, "nothing was compared");
    assert!(wrong.is_empty(), "{} of {compared} answers compared:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn answers_of_1_20_have_the_shape_of_recorded_ones() {
    compare(
        "1.20.5",
        "flink-1.20",
        "adaptive",
        &["cluster", "job-running", "job-backpressured", "job-failed", "job-finished"],
    );
}

#[test]
fn answers_of_2_1_have_the_shape_of_recorded_ones() {
    compare(
        "2.1.3",
        "flink-2.1",
        "adaptive",
        &["cluster", "job-running", "job-backpressured", "job-failed", "job-finished"],
    );
}

#[test]
fn answers_of_2_3_have_the_shape_of_recorded_ones() {
    compare("2.3.0", "flink-2.3", "adaptive", &[""]);
}

#[test]
fn answers_of_the_default_scheduler_have_the_shape_of_recorded_ones() {
    compare("1.20.5", "flink-1.20", "default", &["default-scheduler"]);
}

/// First line of what an error says.
fn first_line(body: &Value) -> String {
    let last = body["errors"].as_array().and_then(|e| e.last()).and_then(Value::as_str).unwrap_or_default();
    let last = last.strip_prefix("<Exception on server side:\n").unwrap_or(last);
    last.split('\n').next().unwrap_or_default().to_owned()
}

#[test]
fn refusals_say_what_real_ones_say() {
    let bench = Bench::new("1.20.5", "adaptive");
    let mut wrong = Vec::new();
    let mut compared = 0;
    for entry in read(&recordings().join("flink-1.20/errors.json")).as_array().unwrap() {
        let (case, path) = (entry["case"].as_str().unwrap(), entry["path"].as_str().unwrap());
        if path.starts_with("/jars") || case.contains("expired") {
            continue;
        }
        let (running, finished) = (bench.job("clicks-sessionizer").to_string(), bench.job("daily-report").to_string());
        let ours = |text: &str| {
            text.replace("0a6af3dad853d2fb46b42f16be646fd4", &running)
                .replace("ddf8d80135e6d35969a0bde3b65341fd", &finished)
        };
        let mut request = Request::get(ours(path));
        request.method = entry["method"].as_str().unwrap().to_owned();
        request.body = match &entry["request"] {
            Value::Null if case == "body-not-json" => b"not json".to_vec(),
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        let answer = bench.ask(&request);
        compared += 1;
        let recorded = ours(&first_line(&entry["response"]));
        let said = first_line(&answer.body);
        // Which of several faults comes first is a matter of hash order; disposal keys are object ids.
        let same = said == recorded || said.get(..60) == recorded.get(..60) || case.contains("disposal-status");
        if u64::from(answer.status) != entry["status"].as_u64().unwrap() || !same {
            wrong.push(format!("{case}: {} {said:?} against {} {recorded:?}", answer.status, entry["status"]));
        }
        if !entry["response"].is_object() || entry["response"].get("errors").is_none() {
            differences(case, &answer.body, &entry["response"], &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_savepoint_goes_through_the_answers_of_a_real_one() {
    let bench = Bench::new("1.20.5", "adaptive");
    let id = bench.job("orders-enrichment");
    let recorded = read(&recordings().join("flink-1.20/actions/savepoint-calm.json"));
    let trigger = bench.ask(&Request::with_body(
        "POST",
        format!("/jobs/{id}/savepoints"),
        &serde_json::json!({ "cancel-job": false, "formatType": "CANONICAL" }),
    ));
    let mut wrong = Vec::new();
    assert_eq!(trigger.status, 202);
    differences("trigger", &trigger.body, &recorded["trigger"]["response"], &mut wrong);
    let path = format!("/jobs/{id}/savepoints/{}", trigger.body["request-id"].as_str().unwrap());
    let first = bench.get(&path);
    differences("first", &first.body, &recorded["status-first"]["response"], &mut wrong);
    assert_eq!(first.body["status"]["id"], "IN_PROGRESS");
    bench.wait(2.0);
    let last = bench.get(&path);
    differences("last", &last.body, &recorded["status-last"]["response"], &mut wrong);
    assert_eq!(last.body["status"]["id"], "COMPLETED");
    let location = last.body["operation"]["location"].as_str().unwrap().to_owned();
    assert!(bench.world.with(|w| matches!(w.restore_from(&location), Restore::From { .. })));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    bench.wait(301.0);
    assert_eq!(bench.get(&path).status, 404, "results live five minutes");
}
