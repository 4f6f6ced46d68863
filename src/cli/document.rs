//! The JSON documents that `-o json` prints. Their shape is part of the interface: see `assets/json.md`.

use serde_json::{Value, json};

use crate::domain::decision::Decision;
use crate::domain::job::{ClusterView, JobView};
use crate::domain::snapshot::Snapshot;

/// The version that stands in every document.
pub const API_VERSION: &str = "flightdeck/v1";

/// A list document: `kind` ends in `List`, `items` holds the objects, `snapshot` says how old they are.
pub fn list(kind: &str, snapshot: &Snapshot, items: Vec<Value>) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": kind,
        "snapshot": {
            "revision": snapshot.revision,
            "at": snapshot.at,
            "readOnly": snapshot.read_only,
            "notices": snapshot.notices.iter().map(|n| n.text.clone()).collect::<Vec<_>>(),
            "sources": snapshot.sources,
        },
        "items": items,
    })
}

/// A job. The samples of its window and its explanation are left out: `decisions show` has the explanation.
pub fn job(job: &JobView) -> Value {
    let mut value = without(to_value(job), &["window", "subtasks"]);
    if let Some(turn) = value.get_mut("turn") {
        *turn = without(turn.take(), &["explanation"]);
    }
    value
}

/// A cluster.
pub fn cluster(cluster: &ClusterView) -> Value {
    to_value(cluster)
}

/// A decision; with its explanation only if asked for.
pub fn decision(decision: &Decision, explained: bool) -> Value {
    let value = to_value(decision);
    if explained { value } else { without(value, &["explanation"]) }
}

fn to_value(object: &impl serde::Serialize) -> Value {
    // Domain types have string keys only, so this cannot fail; null would be visible at once.
    serde_json::to_value(object).unwrap_or(Value::Null)
}

fn without(value: Value, members: &[&str]) -> Value {
    let Value::Object(mut map) = value else { return value };
    map.retain(|key, _| !members.contains(&key.as_str()));
    Value::Object(map)
}

/// Prints a document to standard output.
pub fn print(document: &Value) {
    println!("{document:#}");
}
