//! FlinkStateSnapshots and triggers by nonce (`operator.md` §1.12, §4.5).

use super::*;
use crate::sim::fault::Fault;

fn create(bench: &Bench, name: &str, spec: Value) -> Key {
    let key = Key::new(Kind::FlinkStateSnapshot, "flink", name);
    bench.server.with_store(|s, now| s.create(key.clone(), json!({"spec": spec}), now, Write::Real)).unwrap();
    key
}

fn reference() -> Value {
    json!({"kind": "FlinkDeployment", "name": "orders"})
}

fn states(bench: &Bench, key: &Key, since: u64) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    bench.server.with_store(|store, _| {
        for change in store.since(since).unwrap().filter(|c| c.key == *key && !c.removed) {
            let state = spec::text(&change.after, "/status/state").unwrap_or("-").to_owned();
            if all.last() != Some(&state) {
                all.push(state);
            }
        }
    });
    all
}

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.run(15);
    bench
}

#[test]
fn a_savepoint_is_triggered_and_its_path_told() {
    let mut bench = bench();
    let mark = bench.mark();
    let key = create(&bench, "manual", json!({"jobReference": reference(), "savepoint": {}}));
    bench.wait("the end", |b| b.status(&key, "/state") == "COMPLETED");
    assert_eq!(states(&bench, &key, mark), ["-", "IN_PROGRESS", "COMPLETED"]);
    let path = bench.status(&key, "/path").as_str().unwrap().to_owned();
    assert!(path.starts_with("file:///flink-data/savepoints/orders/savepoint-"), "{path}");
    let labels = bench.object(&key)["metadata"]["labels"].clone();
    assert_eq!((&labels["snapshot.type"], &labels["snapshot.state"]), (&json!("SAVEPOINT"), &json!("COMPLETED")));
    assert_eq!(bench.state(&orders()), HEALTHY);
    // Deleting it disposes of the files.
    bench.server.with_store(|s, now| s.delete(&key, now, Write::Real)).unwrap();
    bench.wait("the removal", |b| b.server.get(&key).is_none());
    assert!(bench.server.world().with(|w| w.storage.get(&path).is_none()));
}

#[test]
fn a_checkpoint_has_a_path_too() {
    let mut bench = bench();
    let key = create(&bench, "manual", json!({"jobReference": reference(), "checkpoint": {}}));
    bench.wait("the end", |b| b.status(&key, "/state") == "COMPLETED");
    assert!(bench.status(&key, "/path").as_str().unwrap().contains("/chk-"), "{}", bench.status(&key, ""));
}

#[test]
fn failures_are_counted_until_the_limit() {
    let mut bench = bench();
    bench.fault(Fault::SavepointFailures { job: "orders".into() }, 1e6);
    let key = create(&bench, "limited", json!({"jobReference": reference(), "savepoint": {}, "backoffLimit": 1}));
    bench.wait("the first failure", |b| b.status(&key, "/failures") == 1);
    assert_eq!(bench.status(&key, "/state"), "TRIGGER_PENDING");
    bench.wait("the end", |b| b.status(&key, "/state") == "FAILED");
    assert_eq!(bench.status(&key, "/failures"), 2);
    assert!(bench.status(&key, "/error").as_str().unwrap().contains("checkpoint failed"));
    assert!(!bench.events("SavepointError").is_empty());
}

#[test]
fn one_without_a_running_job_is_abandoned_and_one_without_a_job_waits() {
    let mut bench = bench();
    let lost =
        create(&bench, "lost", json!({"jobReference": {"kind": "FlinkDeployment", "name": "nobody"}, "savepoint": {}}));
    bench.run(10);
    assert_eq!(bench.status(&lost, "/state"), "TRIGGER_PENDING");
    assert!(!bench.events("ValidationError").is_empty());
    bench.patch(&orders(), json!({"spec": {"job": {"state": "suspended"}}}));
    bench.until(&orders(), "SUSPENDED/READY/FINISHED");
    let key = create(&bench, "late", json!({"jobReference": reference(), "savepoint": {}}));
    bench.wait("the end", |b| b.status(&key, "/state") == "ABANDONED");
    assert!(!bench.events("SnapshotAbandoned").is_empty());
}

#[test]
fn a_savepoint_that_shall_be_disposed_of_holds_its_resource_while_the_job_is_stopped() {
    let mut bench = bench();
    let key = create(&bench, "manual", json!({"jobReference": reference(), "savepoint": {}}));
    bench.wait("the end", |b| b.status(&key, "/state") == "COMPLETED");
    bench.patch(&orders(), json!({"spec": {"job": {"state": "suspended"}}}));
    bench.until(&orders(), "SUSPENDED/READY/FINISHED");
    bench.server.with_store(|s, now| s.delete(&key, now, Write::Real)).unwrap();
    bench.run(20);
    assert!(bench.server.get(&key).is_some());
    assert!(!bench.events("CleanupFailed").is_empty());
    bench.patch(&orders(), json!({"spec": {"job": {"state": "running"}}}));
    bench.wait("the removal", |b| b.server.get(&key).is_none());
}

#[test]
fn a_nonce_makes_a_resource_or_fills_the_status() {
    let mut bench = bench();
    bench.patch(&orders(), json!({"spec": {"job": {"savepointTriggerNonce": 3}}}));
    bench.run(20);
    let name =
        bench.names(Kind::FlinkStateSnapshot).into_iter().find(|n| n.starts_with("orders-savepoint-manual-")).unwrap();
    assert_eq!(bench.status(&Key::new(Kind::FlinkStateSnapshot, "flink", &name), "/state"), "COMPLETED");
    assert_eq!(bench.recorded(&orders())["spec"]["job"]["savepointTriggerNonce"], 3);
    assert_eq!(bench.state(&orders()), HEALTHY);

    let scenario = SCENARIO.replacen("[operator]", "[operator]\nversion = \"1.9\"", 1);
    let mut old = Bench::of(&scenario);
    old.run(15);
    old.patch(&orders(), json!({"spec": {"job": {"savepointTriggerNonce": 3}}}));
    old.wait("the trigger", |b| b.status(&orders(), "/jobStatus/savepointInfo/triggerId").is_string());
    old.wait("the end", |b| b.status(&orders(), "/jobStatus/savepointInfo/lastSavepoint/triggerNonce") == 3);
    assert_eq!(old.status(&orders(), "/jobStatus/savepointInfo/triggerId"), Value::Null);
    old.run(10);
    assert_eq!(old.recorded(&orders())["spec"]["job"]["savepointTriggerNonce"], 3);
    assert_eq!(old.state(&orders()), HEALTHY);
}

#[test]
fn a_nonce_that_fails_quickly_is_tried_without_end() {
    let mut bench = Bench::of(&SCENARIO.replacen("[operator]", "[operator]\nversion = \"1.9\"", 1));
    bench.run(15);
    bench.fault(Fault::SavepointFailures { job: "orders".into() }, 1e6);
    bench.patch(&orders(), json!({"spec": {"job": {"savepointTriggerNonce": 3}}}));
    bench.wait("three failures", |b| b.events("SavepointError").iter().any(|(_, count)| *count >= 3));
    assert_eq!(bench.recorded(&orders())["spec"]["job"]["savepointTriggerNonce"], Value::Null);
    bench.patch(&orders(), json!({"spec": {"job": {"savepointTriggerNonce": null}}}));
    bench.run(10);
    let count = bench.events("SavepointError")[0].1;
    bench.run(20);
    assert_eq!(bench.events("SavepointError")[0].1, count, "taking the nonce back ends it");
}
