//! The JSON documents that `-o json` prints. Their shape is part of the interface: see `assets/json.md`.

use serde_json::{Value, json};

use crate::domain::decision::Decision;
use crate::domain::job::{ClusterView, JobView};
use crate::domain::memory::{MemoryAdvice, MemoryOutlook};
use crate::domain::pods::EventRow;
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
    if let (Some(turn), Some(shown)) = (&job.turn, value.pointer_mut("/turn/reason")) {
        shown["event"] = turn.reason.code.operator_event().into();
    }
    if let (Some(MemoryOutlook::Advised(advice)), Some(shown)) =
        (job.memory_advice.as_deref(), value.get_mut("memory_advice"))
    {
        add_savings(shown, advice);
    }
    value
}

/// What follows from the sizes of an advice, so that no script has to work it out.
fn add_savings(shown: &mut Value, advice: &MemoryAdvice) {
    shown["saved"] = advice.saved().into();
    shown["heap_surplus"] =
        advice.heap_surplus().map_or(Value::Null, |(bytes, ratio)| json!({"bytes": bytes, "ratio": ratio}));
    for (pool, shown) in advice.pools.iter().zip(shown["pools"].as_array_mut().into_iter().flatten()) {
        shown["saved"] = pool.saved().into();
        shown["below_peak"] = pool.below_peak().into();
    }
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

/// An event of Kubernetes.
pub fn event(event: &EventRow) -> Value {
    to_value(event)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::tui::fixtures;

    #[test]
    fn memory_advice_says_what_it_saves() {
        let fleet = fixtures::fleet();
        let fraud = fleet.job(&fixtures::key("fraud-detection")).unwrap();
        let advice = &job(fraud)["memory_advice"];
        assert_eq!(advice["state"], "advised");
        assert_eq!(advice["saved"], advice["configured"].as_i64().unwrap() - advice["proposed"].as_i64().unwrap());
        assert_eq!(advice["heap_surplus"], json!({"bytes": 96 << 20, "ratio": 0.0625}));
        let heap = &advice["pools"][0];
        assert_eq!(
            (&heap["pool"], &heap["saved"], &heap["below_peak"]),
            (&json!("jvm-heap"), &json!(96 << 20), &json!(true))
        );
        assert_eq!(heap["floor"], json!({"why": "used", "average": 1_200 << 20}));
        assert_eq!(advice["pools"][2]["used"], Value::Null);

        let reason = &job(fraud)["turn"]["reason"];
        assert_eq!((&reason["code"], &reason["event"]), (&json!("awaiting-approval"), &Value::Null));
        let sessions = job(fleet.job(&fixtures::key("sessions")).unwrap());
        assert_eq!(sessions["turn"]["reason"]["event"], "IneffectiveScaling");

        let mut unknown = JobView::clone(fraud);
        unknown.memory_advice = Some(Arc::new(MemoryOutlook::Unknown { why: "no metric".into() }));
        assert_eq!(job(&unknown)["memory_advice"], json!({"state": "unknown", "why": "no metric"}));
        unknown.memory_advice = None;
        assert_eq!(job(&unknown)["memory_advice"], Value::Null);
    }
}
