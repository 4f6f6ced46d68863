//! Rules for answers about one job.

use flightdeck::domain::ids::{JobId, VertexId};
use flightdeck::domain::job::{CheckpointEntry, CheckpointStatus, JobState, Scheduler};
use flightdeck::domain::topology::ShipStrategy;
use flightdeck::flink::Plan;
use serde_json::Value;

use crate::cluster::{int, same_tasks};
use crate::vertex::same_totals;
use crate::{Recording, list, ms, same};

fn id(text: &str) -> JobId {
    text.parse().unwrap()
}

pub async fn details(r: &Recording, job: &str) {
    let (client, replay) = r.replay();
    let ours = client.job(id(job)).await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    assert_eq!(ours.id.to_string(), job);
    assert_eq!(ours.name, json["name"]);
    assert_eq!(ours.state.name(), json["state"]);
    assert_eq!(Some(ours.now.timestamp_millis()), ms(&json["now"]));
    assert_eq!(ours.start_time.map(|t| t.timestamp_millis()), ms(&json["start-time"]));
    assert_eq!(ours.end_time.map(|t| t.timestamp_millis()), ms(&json["end-time"]));
    assert_eq!(ours.job_type.as_deref(), json["job-type"].as_str());
    let has_scheduler = r.version == "flink-2.3";
    assert_eq!(ours.scheduler, if has_scheduler { Scheduler::Adaptive } else { Scheduler::Unknown });

    let stamps = &json["timestamps"];
    let t = ours.timestamps;
    for (name, time) in [
        ("CREATED", t.created),
        ("RUNNING", t.running),
        ("RESTARTING", t.restarting),
        ("FAILED", t.failed),
        ("FINISHED", t.finished),
        ("CANCELED", t.canceled),
    ] {
        assert_eq!(time.map(|t| t.timestamp_millis()), ms(&stamps[name]), "{name}");
    }
    let run = ours.run().expect("every recorded job has run");
    assert_eq!(Some(run.running_since.timestamp_millis()), ms(&stamps["RUNNING"]));

    assert_eq!(ours.vertices.len(), list(&json["vertices"]).len());
    for (vertex, raw) in ours.vertices.iter().zip(list(&json["vertices"])) {
        assert_eq!(vertex.id.to_string(), raw["id"]);
        assert_eq!(vertex.name, raw["name"]);
        assert_eq!(i64::from(vertex.parallelism), raw["parallelism"].as_i64().unwrap());
        assert_eq!(i64::from(vertex.max_parallelism), raw["maxParallelism"].as_i64().unwrap());
        assert_eq!(vertex.status, raw["status"]);
        assert_eq!(vertex.start_time.map(|t| t.timestamp_millis()), ms(&raw["start-time"]));
        assert_eq!(vertex.slot_sharing_group.map(|g| g.to_string()).as_deref(), raw["slotSharingGroupId"].as_str());
        same_tasks(&vertex.tasks, &raw["tasks"]);
        same_totals(&vertex.metrics, &raw["metrics"]);
        if ours.state == JobState::Running {
            assert_eq!(i64::from(vertex.tasks.total), i64::from(vertex.parallelism));
        }
    }
    if r.file.starts_with("legacy-source") {
        assert!(ours.vertices.iter().any(|v| v.metrics.accumulated_busy_time.is_nan()));
    }
    assert!(!ours.vertices.iter().any(|v| v.metrics.is_complete() && v.status == "CREATED"));

    let nodes = json["plan"]["nodes"].as_array().map_or(0, Vec::len);
    let Some(topology) = ours.topology() else {
        assert_eq!(nodes, 0, "a plan with nodes gives a topology");
        return;
    };
    same_edges(&ours.plan, &json["plan"]);
    assert_eq!(topology.vertices().len(), nodes);
    for (at, vertex) in topology.vertices().iter().enumerate() {
        assert_eq!(vertex.is_source(), vertex.name.starts_with("Source"), "{}", vertex.name);
        for input in &vertex.inputs {
            assert!(topology.index_of(input.id).unwrap() < at, "sources first");
        }
        let details = ours.vertices.iter().find(|v| v.id == vertex.id).unwrap();
        assert_eq!((vertex.parallelism, vertex.max_parallelism), (details.parallelism, details.max_parallelism));
        assert_eq!(vertex.finished, details.status == "FINISHED");
    }
    if nodes == 4 {
        let order: Vec<&str> = topology.vertices().iter().map(|v| v.name.as_str()).collect();
        assert_eq!(order, ["Source: Source: events", "Enrich", "Score (model v2)", "Window 5s -> Sink: discard"]);
        let ways: Vec<ShipStrategy> =
            topology.vertices().iter().flat_map(|v| &v.inputs).map(|i| i.ship_strategy).collect();
        assert_eq!(ways, [ShipStrategy::Hash, ShipStrategy::Rebalance, ShipStrategy::Hash]);
    }
}

fn same_edges(ours: &Plan, raw: &Value) {
    for (node, raw) in ours.nodes.iter().zip(list(&raw["nodes"])) {
        assert_eq!(node.id.to_string(), raw["id"]);
        assert_eq!(i64::from(node.parallelism), raw["parallelism"].as_i64().unwrap());
        assert_eq!(node.description, raw["description"]);
        let inputs = raw["inputs"].as_array().cloned().unwrap_or_default();
        assert_eq!(node.inputs.len(), inputs.len());
        for (input, raw) in node.inputs.iter().zip(&inputs) {
            assert_eq!(input.id.to_string(), raw["id"]);
            assert_eq!(input.ship_strategy, ShipStrategy::parse(raw["ship_strategy"].as_str().unwrap()));
            assert_ne!(input.ship_strategy, ShipStrategy::Unknown);
        }
    }
}

pub async fn plan(r: &Recording, job: &str) {
    let (client, replay) = r.replay();
    let ours = client.job_plan(id(job)).await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    assert_eq!(ours.nodes.len(), list(&json["plan"]["nodes"]).len());
    assert!(!ours.nodes.is_empty());
    same_edges(&ours, &json["plan"]);
}

pub async fn status(r: &Recording, job: &str) {
    let (client, replay) = r.replay();
    let ours = client.job_status(id(job)).await.unwrap();
    r.assert_asked(&replay);
    assert_eq!(ours.name(), r.json()["status"]);
    assert_ne!(ours, JobState::Unknown);
}

pub async fn config(r: &Recording, job: &str) {
    let (client, replay) = r.replay();
    let ours = client.job_config(id(job)).await.unwrap().unwrap();
    r.assert_asked(&replay);
    let raw = &r.json()["execution-config"];
    assert_eq!(ours.restart_strategy, raw["restart-strategy"]);
    assert_eq!(i64::from(ours.job_parallelism), raw["job-parallelism"].as_i64().unwrap());
    assert_eq!(Some(ours.object_reuse_mode), raw["object-reuse-mode"].as_bool());
    let parameters = raw["user-config"].as_object().unwrap();
    assert_eq!(ours.user_config.len(), parameters.len());
    for (key, value) in parameters {
        assert_eq!(ours.user_config[key], *value);
    }
}

pub async fn exceptions(r: &Recording, job: &str) {
    let (client, replay) = r.replay();
    let ours = client.exceptions(id(job), 20).await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    let entries = list(&json["exceptionHistory"]["entries"]);
    assert_eq!(ours.entries.len(), entries.len());
    assert_eq!(Some(ours.truncated), json["exceptionHistory"]["truncated"].as_bool());
    assert_eq!(ours.restarts, None);
    assert!(ours.entries.is_sorted_by(|a, b| a.at >= b.at), "newest first");
    for (problem, raw) in ours.entries.iter().zip(entries) {
        assert_eq!(Some(problem.at.timestamp_millis()), ms(&raw["timestamp"]));
        assert_eq!(problem.class, raw["exceptionName"]);
        assert!(problem.stack.starts_with(raw["stacktrace"].as_str().unwrap()));
        assert_eq!(problem.concurrent, list(&raw["concurrentExceptions"]).len());
        assert!(!problem.root_message.contains("\tat "), "no frames in a message");
        // Whatever the shape: the true cause of the failing program is named.
        if problem.stack.contains("cannot parse record") {
            assert_eq!(problem.root_class, "java.lang.IllegalStateException");
            assert!(problem.root_message.starts_with("cannot parse record: payload-7-"), "{}", problem.root_message);
        }
        if let Some(task) = raw["taskName"].as_str() {
            assert_eq!(problem.task.as_deref(), Some(task));
            assert_eq!(problem.endpoint.as_deref(), raw["endpoint"].as_str());
            assert_eq!(problem.task_manager.as_deref(), raw["taskManagerId"].as_str());
        }
    }
    if r.file.contains("default-scheduler/failed") {
        let newest = &ours.entries[0];
        assert_eq!(newest.class, "org.apache.flink.runtime.JobException", "restarts used up");
        assert_eq!(newest.root_class, "java.lang.IllegalStateException", "found beside it");
        assert!(newest.task.as_deref().unwrap().starts_with("Enrich (1/1)"));
    }
    let failed = r.file.contains("failed") || r.file.contains("killed") || r.file.contains("unreachable");
    if !failed {
        assert!(ours.entries.is_empty(), "a rescale leaves no entry");
    }
    if r.file == "actions/taskmanager-killed-exceptions.json" {
        let oldest = ours.entries.last().unwrap();
        assert!(oldest.root_class.ends_with(".RemoteTransportException"));
        assert!(oldest.root_message.starts_with("Connection unexpectedly closed by remote task manager"));
    }
}

pub async fn accumulators(r: &Recording, job: &str) {
    let (client, replay) = r.replay();
    let ours = client.accumulators(id(job)).await.unwrap();
    r.assert_asked(&replay);
    assert_eq!(ours.len(), list(&r.json()["user-task-accumulators"]).len());
}

pub async fn execution_result(r: &Recording, job: &str) {
    let (client, replay) = r.replay();
    let ours = client.execution_result(id(job)).await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    let Some(ours) = ours else {
        assert_eq!(json["status"]["id"], "IN_PROGRESS");
        return;
    };
    let raw = &json["job-execution-result"];
    assert_eq!(ours.status, raw["application-status"]);
    assert_eq!(ours.runtime.map(|t| t.as_millis() as u64), raw["net-runtime"].as_u64());
    assert_eq!(ours.failure.is_some(), raw.get("failure-cause").is_some());
    if r.file.starts_with("job-failed") {
        let failure = ours.failure.unwrap();
        assert_eq!(failure.class_name(), "JobException");
        assert!(failure.message.starts_with("Recovery is suppressed by"));
    }
}

fn same_checkpoint(ours: &CheckpointEntry, raw: &Value) {
    assert_eq!(Some(ours.id), raw["id"].as_u64());
    let status = match raw["className"].as_str().unwrap() {
        "completed" => CheckpointStatus::Completed,
        "in_progress" => CheckpointStatus::InProgress,
        "failed" => CheckpointStatus::Failed,
        other => panic!("class {other}"),
    };
    assert_eq!(ours.status, status);
    assert_eq!(Some(ours.is_savepoint), raw["is_savepoint"].as_bool());
    assert_eq!(ours.kind.contains("SAVEPOINT"), ours.is_savepoint);
    assert_eq!(ours.kind, raw["checkpoint_type"]);
    assert_eq!(Some(ours.triggered_at.timestamp_millis()), ms(&raw["trigger_timestamp"]));
    assert_eq!(ours.duration.map(|d| d.as_millis() as i64), raw["end_to_end_duration"].as_i64().filter(|d| *d >= 0));
    assert_eq!(
        [ours.state_size, ours.checkpointed_size].map(Some),
        ["state_size", "checkpointed_size"].map(|k| raw[k].as_u64())
    );
    assert_eq!((ours.acknowledged, ours.subtasks), (int(&raw["num_acknowledged_subtasks"]), int(&raw["num_subtasks"])));
    assert_eq!(ours.external_path.as_deref(), raw["external_path"].as_str());
    assert_eq!(ours.discarded, raw["discarded"].as_bool().unwrap_or(false));
    assert_eq!(ours.failure.as_deref(), raw["failure_message"].as_str());
    assert_eq!(ours.failure.is_some(), status == CheckpointStatus::Failed);
    assert_eq!(ours.external_path.is_some(), status == CheckpointStatus::Completed);
}

pub async fn checkpoints(r: &Recording, job: &str) {
    let (client, replay) = r.replay();
    let ours = client.checkpoints(id(job)).await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    let c = ours.counts;
    assert_eq!(
        [c.restored, c.total, c.in_progress, c.completed, c.failed].map(Some),
        ["restored", "total", "in_progress", "completed", "failed"].map(|k| json["counts"][k].as_u64())
    );
    let durations = &json["summary"]["end_to_end_duration"];
    match &ours.durations {
        None => assert_eq!(c.completed, 0),
        Some(ours) => {
            same(ours.min, &durations["min"]);
            same(ours.max, &durations["max"]);
            same(ours.avg, &durations["avg"]);
            same(ours.p50, &durations["p50"]);
            same(ours.p99, &durations["p99"]);
        }
    }
    let latest = &json["latest"];
    for (entry, key) in
        [(&ours.latest_completed, "completed"), (&ours.latest_savepoint, "savepoint"), (&ours.latest_failed, "failed")]
    {
        assert_eq!(entry.is_none(), latest[key].is_null(), "{key}");
        if let Some(entry) = entry {
            same_checkpoint(entry, &latest[key]);
        }
    }
    let restored = &latest["restored"];
    assert_eq!(ours.restored.is_none(), restored.is_null());
    if let Some(ours) = &ours.restored {
        assert_eq!(Some(ours.id), restored["id"].as_u64());
        assert_eq!(ours.at.map(|t| t.timestamp_millis()), ms(&restored["restore_timestamp"]));
        assert_eq!(Some(ours.is_savepoint), restored["is_savepoint"].as_bool());
        assert_eq!(ours.external_path.as_deref(), restored["external_path"].as_str());
    }
    assert_eq!(ours.history.len(), list(&json["history"]).len());
    for (entry, raw) in ours.history.iter().zip(list(&json["history"])) {
        same_checkpoint(entry, raw);
    }
    assert!(ours.history.is_sorted_by(|a, b| a.id > b.id), "newest first");

    let view = ours.view(None);
    assert_eq!(view.enabled, c.total > 0);
    assert_eq!(view.latest_completed_at, ours.latest_completed.as_ref().map(|e| e.triggered_at));
    assert_eq!(view.restored_from.is_some(), ours.restored.is_some());
    if r.file == "actions/rocksdb-checkpoints.json" {
        let newest = ours.latest_completed.unwrap();
        assert!(newest.checkpointed_size < newest.state_size, "incremental");
    }
    if r.file == "actions/stopped-checkpoints.json" {
        assert!(ours.history.iter().any(|e| e.kind == "SYNC_SAVEPOINT"));
    }
}

pub async fn checkpoint_config(r: &Recording, job: &str) {
    let (client, replay) = r.replay();
    let ours = client.checkpoint_config(id(job)).await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    assert_eq!(ours.mode, json["mode"]);
    let interval = json["interval"].as_u64().unwrap();
    let off = interval == i64::MAX as u64;
    assert_eq!(ours.interval.map(|d| d.as_millis() as u64), (!off).then_some(interval));
    assert_eq!(ours.timeout.map(|d| d.as_millis() as u64), json["timeout"].as_u64());
    assert_eq!(ours.min_pause.map(|d| d.as_millis() as u64), json["min_pause"].as_u64());
    assert_eq!(ours.max_concurrent, int(&json["max_concurrent"]));
    assert_eq!(Some(ours.tolerable_failed_checkpoints), json["tolerable_failed_checkpoints"].as_i64());
    assert_eq!(ours.state_backend, json["state_backend"]);
    assert_eq!(ours.checkpoint_storage, json["checkpoint_storage"]);
    assert_eq!(Some(ours.unaligned_checkpoints), json["unaligned_checkpoints"].as_bool());
}

pub async fn checkpoint(r: &Recording, job: &str, n: &str) {
    let (client, replay) = r.replay();
    let ours = client.checkpoint(id(job), n.parse().unwrap()).await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    same_checkpoint(&ours.entry, &json);
    let tasks = json["tasks"].as_object().unwrap();
    assert_eq!(ours.vertices.len(), tasks.len());
    for (vertex, raw) in tasks {
        let ours = ours.vertices[&vertex.parse::<VertexId>().unwrap()];
        assert_eq!(Some(ours.state_size), raw["state_size"].as_u64());
        assert_eq!(
            ours.end_to_end_duration.map(|d| d.as_millis() as i64),
            raw["end_to_end_duration"].as_i64().filter(|d| *d >= 0)
        );
        assert_eq!(
            (ours.num_acknowledged_subtasks, ours.num_subtasks),
            (int(&raw["num_acknowledged_subtasks"]), int(&raw["num_subtasks"]))
        );
    }
    let asked: u32 = ours.vertices.values().map(|v| v.num_subtasks).sum();
    assert_eq!(asked, ours.entry.subtasks);
}

pub async fn subtask_checkpoints(r: &Recording, job: &str, n: &str, vertex: &str) {
    let (client, replay) = r.replay();
    let ours = client.subtask_checkpoints(id(job), n.parse().unwrap(), vertex.parse().unwrap()).await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    assert_eq!(ours.len(), list(&json["subtasks"]).len());
    for (subtask, raw) in ours.iter().zip(list(&json["subtasks"])) {
        assert_eq!(subtask.index, int(&raw["index"]));
        assert_eq!(subtask.status, raw["status"]);
        assert_eq!(subtask.acknowledged_at.map(|t| t.timestamp_millis()), ms(&raw["ack_timestamp"]));
        assert_eq!(subtask.end_to_end_duration.map(|d| d.as_millis() as u64), raw["end_to_end_duration"].as_u64());
        assert_eq!(subtask.start_delay.map(|d| d.as_millis() as u64), raw["start_delay"].as_u64());
        assert_eq!(subtask.state_size, raw["state_size"].as_u64());
    }
}

pub async fn requirements(r: &Recording, job: &str) {
    let (client, replay) = r.replay();
    let ours = client.resource_requirements(id(job)).await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    let raw = json.as_object().unwrap();
    assert_eq!(ours.len(), raw.len());
    for (vertex, raw) in raw {
        let bounds = ours[&vertex.parse::<VertexId>().unwrap()];
        assert_eq!(Some(i64::from(bounds.lower_bound)), raw["parallelism"]["lowerBound"].as_i64());
        assert_eq!(Some(i64::from(bounds.upper_bound)), raw["parallelism"]["upperBound"].as_i64());
        assert!(bounds.lower_bound >= 1 && bounds.lower_bound <= bounds.upper_bound);
    }
}

pub async fn rescales(r: &Recording, job: &str, rest: &[&str]) {
    let (client, replay) = r.replay();
    let json = r.json();
    match rest {
        ["overview"] => {
            let ours = client.rescale_counts(id(job)).await.unwrap();
            let raw = &json["rescalesCounts"];
            assert_eq!(
                [ours.ignored, ours.in_progress, ours.completed, ours.failed].map(Some),
                ["ignored", "inProgress", "completed", "failed"].map(|k| raw[k].as_u64())
            );
        }
        ["history"] => {
            let ours = client.rescales(id(job)).await.unwrap();
            assert_eq!(ours.len(), list(&json).len());
            for (rescale, raw) in ours.iter().zip(list(&json)) {
                assert_eq!(rescale.id, raw["rescaleUuid"]);
                assert_eq!(rescale.started_at.map(|t| t.timestamp_millis()), ms(&raw["startTimestampInMillis"]));
                assert_eq!(rescale.ended_at.map(|t| t.timestamp_millis()), ms(&raw["endTimestampInMillis"]));
                assert_eq!(rescale.terminal_state.as_deref(), raw["terminalState"].as_str());
                assert_eq!(rescale.trigger_cause.as_deref(), raw["triggerCause"].as_str());
                assert_eq!(rescale.terminated_reason.as_deref(), raw["terminatedReason"].as_str());
            }
        }
        ["details", rescale] => {
            let ours = client.rescale(id(job), rescale).await.unwrap();
            let raw = json["vertices"].as_object().unwrap();
            assert_eq!(ours.vertices.len(), raw.len());
            for (vertex, raw) in raw {
                let ours = &ours.vertices[&vertex.parse::<VertexId>().unwrap()];
                assert_eq!(ours.name, raw["jobVertexName"]);
                assert_eq!(i64::from(ours.desired_parallelism), raw["desiredParallelism"].as_i64().unwrap());
                assert_eq!(ours.pre_rescale_parallelism.map(i64::from), raw["preRescaleParallelism"].as_i64());
                assert_eq!(ours.post_rescale_parallelism.map(i64::from), raw["postRescaleParallelism"].as_i64());
            }
            assert_eq!(ours.scheduler_states.len(), list(&json["schedulerStates"]).len());
            assert_eq!(ours.scheduler_states[0].state, json["schedulerStates"][0]["state"]);
            assert!(ours.scheduler_states.iter().all(|s| s.entered_at <= s.left_at));
        }
        ["config"] => {
            let ours = client.rescale_timings(id(job)).await.unwrap();
            assert_eq!(ours.history, 10);
            assert_eq!(ours.cooldown.unwrap().as_secs(), 30);
            assert_eq!(ours.stabilization.unwrap().as_secs(), 60);
            assert_eq!(ours.maximum_delay.unwrap().as_secs(), 30);
        }
        other => panic!("no rule for rescales/{other:?}"),
    }
    r.assert_asked(&replay);
}
