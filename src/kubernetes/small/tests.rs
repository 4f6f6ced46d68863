use serde_json::json;

use super::*;
use crate::domain::pods::PodTrouble;

fn read<T: Small>(object: &Value) -> T {
    T::read(object).unwrap()
}

/// A TaskManager's pod whose status is `status`.
fn pod(status: &Value) -> PodRow {
    read(&json!({
        "metadata": {"uid": "p-1", "namespace": "flink", "name": "orders-taskmanager-1-1", "resourceVersion": "7",
            "labels": {"app": "orders", "component": "taskmanager", "type": "flink-native-kubernetes"},
            "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"nodeName": "node-a", "containers": [
            {"name": "sidecar", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}},
            {"name": "flink-main-container", "resources": {"limits": {"cpu": "2", "memory": "4Gi"}, "requests": {"cpu": "1.5"}},
             "env": [{"name": "PASSWORD", "value": "never-kept"}]}]},
        "status": status,
    }))
}

#[test]
fn a_pod_is_a_small_row_with_what_it_asks_for() {
    let row = pod(&json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": "flink-main-container", "restartCount": 2, "state": {"running": {}},
            "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-01-01T00:10:00Z"}}}]}));
    assert_eq!(
        (row.app.as_str(), row.role, row.phase, row.ready),
        ("orders", PodRole::TaskManager, PodPhase::Running, true)
    );
    assert_eq!(row.containers, ["flink-main-container", "sidecar"]);
    assert_eq!(
        (row.cpu_request, row.memory_request),
        (1600, (4 << 30) + (64 << 20)),
        "without a request the limit counts"
    );
    assert_eq!(row.memory_limit, Some(4 << 30));
    assert_eq!(row.restarts, 2);
    assert!(row.last_termination.as_ref().unwrap().is_oom());
    assert_eq!(row.trouble(), None, "it runs again: the last end is history");
    assert!(!format!("{row:?}").contains("never-kept"));
}

#[test]
fn the_deepest_cause_of_a_pod_that_does_not_run_is_found() {
    let waiting = |reason: &str, last: Value| {
        json!({"phase": "Running", "containerStatuses": [{"name": "flink-main-container", "restartCount": 5,
            "state": {"waiting": {"reason": reason, "message": "back-off \u{1b}[31m5m0s"}}, "lastState": last}]})
    };
    let oom = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
    let error = json!({"terminated": {"exitCode": 239, "reason": "Error"}});
    let trouble = |status: &Value| pod(status).trouble().unwrap();
    assert_eq!(trouble(&waiting("CrashLoopBackOff", oom)).0, PodTrouble::OomKilled);
    let (what, why) = trouble(&waiting("CrashLoopBackOff", error));
    assert_eq!((what, why.as_str()), (PodTrouble::CrashLoop, "CrashLoopBackOff: Error (exit code 239)"));
    let (what, why) = trouble(&waiting("ImagePullBackOff", json!({})));
    assert_eq!(what, PodTrouble::ImagePull);
    assert!(!why.contains('\u{1b}'), "{why:?}");
    assert_eq!(trouble(&waiting("CreateContainerConfigError", json!({}))).0, PodTrouble::CannotCreate);
    assert_eq!(pod(&waiting("ContainerCreating", json!({}))).trouble(), None);
    let mut unbound = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
        "reason": "Unschedulable", "message": "0/3 nodes are available: 3 Insufficient memory."}]});
    assert_eq!(pod(&unbound).trouble(), None, "a bound pod is scheduled");
    let object = json!({"metadata": {"uid": "p"}, "spec": {}, "status": unbound.take()});
    let (what, why) = read::<PodRow>(&object).trouble().unwrap();
    assert_eq!((what, why.contains("Insufficient memory")), (PodTrouble::Unschedulable, true));
    assert_eq!(
        trouble(&json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory"})).0,
        PodTrouble::Evicted
    );
}

#[test]
fn events_are_read_in_every_way_they_write_their_time() {
    let event = |more: Value| {
        let mut object = json!({"metadata": {"uid": "e", "namespace": "flink", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "involvedObject": {"kind": "Pod", "name": "orders-1"}, "reason": "BackOff", "type": "Warning", "message": "a\nb"});
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        read::<EventRow>(&object)
    };
    let operator =
        event(json!({"firstTimestamp": "2026-01-01T00:01:00.123456Z", "lastTimestamp": "2026-01-01T00:05:00.5Z",
        "count": 3, "source": {"component": "Operator"}}));
    assert_eq!((operator.count, operator.component.as_str(), operator.message.as_str()), (3, "Operator", "a b"));
    assert_eq!(operator.last_at.unwrap().timestamp_subsec_millis(), 500);
    let newer = event(json!({"eventTime": "2026-01-01T00:02:00.000000Z", "reportingComponent": "kubelet",
        "series": {"count": 9, "lastObservedTime": "2026-01-01T00:09:00Z"}}));
    assert_eq!((newer.count, newer.component.as_str()), (9, "kubelet"));
    assert_eq!(newer.last_at.unwrap().to_rfc3339(), "2026-01-01T00:09:00+00:00");
    let strange = event(json!({"lastTimestamp": "yesterday"}));
    assert_eq!(strange.last_at.unwrap().to_rfc3339(), "2026-01-01T00:00:00+00:00");
}

#[test]
fn a_node_says_its_pool_room_and_taints() {
    let row: NodeRow = read(&json!({
        "metadata": {"uid": "n", "name": "node-a", "labels": {"cloud.google.com/gke-nodepool": "big", "disk": "ssd"}},
        "spec": {"unschedulable": true, "taints": [{"key": "flink", "value": "only", "effect": "NoSchedule"}]},
        "status": {"allocatable": {"cpu": "7910m", "memory": "29Gi", "pods": "58"},
            "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}]},
    }));
    assert_eq!((row.pool.as_deref(), row.ready, row.cordoned, row.pod_limit), (Some("big"), true, true, 58));
    assert_eq!(row.allocatable, Room { cpu: 7910, memory: 29 << 30 });
    assert_eq!(row.taints[0].effect, "NoSchedule");
}

#[test]
fn snapshots_and_blue_green_deployments_are_rows() {
    let row: StateSnapshotRow = read(&json!({
        "metadata": {"uid": "s", "namespace": "flink", "name": "orders-savepoint-manual-1", "labels": {"snapshot.trigger-type": "MANUAL"}},
        "spec": {"jobReference": {"kind": "FlinkDeployment", "name": "orders"}, "savepoint": {"disposeOnDelete": false}},
        "status": {"state": "FAILED", "failures": 2, "error": "no directory", "triggerTimestamp": "2026-01-01T00:00:00.000Z"},
    }));
    assert_eq!((row.state.as_str(), row.failures, row.savepoint, row.dispose_on_delete), ("FAILED", 2, true, false));
    assert_eq!(row.error.as_deref(), Some("no directory"));
    let fresh: StateSnapshotRow = read(&json!({"metadata": {"uid": "s"}, "spec": {"checkpoint": {}}}));
    assert_eq!((fresh.state.as_str(), fresh.savepoint), ("TRIGGER_PENDING", false));
    let row: BlueGreenRow = read(&json!({"metadata": {"uid": "b", "name": "shop"},
        "status": {"blueGreenState": "ACTIVE_GREEN", "jobStatus": {"state": "RUNNING"}}}));
    assert_eq!((row.state.as_str(), row.job_state.as_deref()), ("ACTIVE_GREEN", Some("RUNNING")));
}

#[test]
fn an_autoscaler_map_knows_whose_it_is() {
    let map = |owner: Value| {
        read::<AutoscalerMap>(
            &json!({"metadata": {"uid": "c", "namespace": "flink", "name": "autoscaler-orders", "ownerReferences": owner},
            "data": {"parallelismOverrides": "a:1"}}),
        )
    };
    assert_eq!(map(json!([])).session_job, None);
    let job = map(json!([{"kind": "FlinkSessionJob", "name": "orders"}]));
    assert_eq!((job.of.as_str(), job.session_job), ("orders", Some(true)));
    assert_eq!(map(json!([{"kind": "FlinkDeployment"}])).session_job, Some(false));
}
