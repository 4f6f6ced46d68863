//! Rules for answers about a whole cluster, its jars and its processes.

use flightdeck::domain::job::{JobState, Scheduler, TaskCounts};
use flightdeck::domain::memory::MemoryPool;
use flightdeck::flink::{Process, TaskManager, metric_fetch_interval, pool_usages, scheduler_of};
use serde_json::Value;

use crate::{Recording, list, ms, strings};

pub async fn overview(r: &Recording) {
    let (client, replay) = r.replay();
    let ours = client.overview().await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    assert_eq!(
        (ours.task_managers, ours.slots_total, ours.slots_available),
        (int(&json["taskmanagers"]), int(&json["slots-total"]), int(&json["slots-available"]))
    );
    assert_eq!(
        [ours.jobs_running, ours.jobs_finished, ours.jobs_cancelled, ours.jobs_failed],
        ["running", "finished", "cancelled", "failed"].map(|s| int(&json[format!("jobs-{s}")]))
    );
    assert!(ours.slots_available <= ours.slots_total);
    assert!(ours.flink_version.starts_with(r.version.trim_start_matches("flink-")));
    assert_eq!(ours.flink_commit, json["flink-commit"]);
}

pub async fn config(r: &Recording) {
    let (client, replay) = r.replay();
    let ours = client.config().await.unwrap();
    r.assert_asked(&replay);
    let default_scheduler = r.file.starts_with("default-scheduler");
    assert_eq!(ours.features.web_rescale, !default_scheduler);
    let expected = if default_scheduler { Scheduler::Default } else { Scheduler::Adaptive };
    assert_eq!(scheduler_of(&ours), expected);
    assert_eq!(ours.refresh_interval_ms, 3000);
    assert!(ours.features.web_submit && ours.features.web_cancel && !ours.features.web_history);
    assert!(ours.flink_version.starts_with(r.version.trim_start_matches("flink-")));
    assert_eq!(ours.flink_revision, r.json()["flink-revision"]);
}

pub async fn jobs_overview(r: &Recording) {
    let (client, replay) = r.replay();
    let ours = client.jobs_overview().await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    assert_eq!(ours.len(), list(&json["jobs"]).len());
    assert!(ours.is_sorted_by_key(|job| job.id));
    for raw in list(&json["jobs"]) {
        let job = ours.iter().find(|job| job.id.to_string() == raw["jid"]).unwrap();
        assert_eq!(job.name, raw["name"]);
        assert_eq!(job.state.name(), raw["state"]);
        assert_eq!(job.start_time.map(|t| t.timestamp_millis()), ms(&raw["start-time"]));
        assert_eq!(job.end_time.map(|t| t.timestamp_millis()), ms(&raw["end-time"]));
        assert_eq!(job.last_modification.map(|t| t.timestamp_millis()), ms(&raw["last-modification"]));
        assert_eq!(job.end_time.is_some(), job.state.is_terminal());
        same_tasks(&job.tasks, &raw["tasks"]);
        assert_eq!(job.tasks.total, int(&raw["tasks"]["total"]));
        let adaptive = raw.get("schedulerType").is_some();
        assert_eq!(job.scheduler, if adaptive { Scheduler::Adaptive } else { Scheduler::Unknown });
        assert_eq!(job.job_type.as_deref(), raw["jobType"].as_str());
    }
}

pub async fn jobs(r: &Recording) {
    let (client, replay) = r.replay();
    let ours = client.jobs().await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    let recorded: std::collections::BTreeMap<&str, &str> =
        list(&json["jobs"]).iter().map(|job| (job["id"].as_str().unwrap(), job["status"].as_str().unwrap())).collect();
    assert_eq!(ours.len(), recorded.len());
    for (id, state) in ours {
        assert_eq!(state.name(), recorded[id.to_string().as_str()]);
    }
}

pub async fn jars(r: &Recording) {
    let (client, replay) = r.replay();
    let ours = client.jars().await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    assert_eq!(ours.len(), list(&json["files"]).len());
    for (jar, raw) in ours.iter().zip(list(&json["files"])) {
        assert_eq!((jar.id.as_str(), jar.name.as_str()), (raw["id"].as_str().unwrap(), raw["name"].as_str().unwrap()));
        assert_eq!(jar.uploaded.map(|t| t.timestamp_millis()), ms(&raw["uploaded"]));
        assert_eq!(jar.entry[0].name, raw["entry"][0]["name"]);
    }
}

pub async fn jobmanager_config(r: &Recording) {
    let (client, replay) = r.replay();
    let ours = client.jobmanager_config().await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    assert_eq!(ours.len(), list(&json).len());
    for raw in list(&json) {
        assert_eq!(ours[raw["key"].as_str().unwrap()], raw["value"]);
    }
    assert_eq!(ours["jobmanager.scheduler"].to_lowercase(), "adaptive");
    assert_eq!(metric_fetch_interval(&ours).as_secs(), 10, "it is not set in the recorded clusters");
}

pub async fn environment(r: &Recording) {
    let (client, replay) = r.replay();
    let ours = client.jobmanager_jvm().await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    assert_eq!(ours.version, json["jvm"]["version"]);
    assert_eq!(ours.arch, "amd64");
    assert_eq!(ours.options, strings(&json["jvm"]["options"]));
}

fn process<'a>(route: &[&'a str]) -> Process<'a> {
    match route {
        ["taskmanagers", id, ..] => Process::TaskManager(id),
        _ => Process::JobManager,
    }
}

/// The client encodes the colon in a TaskManager's id; the recorder did not need to.
fn asked(r: &Recording, replay: &crate::Replay) {
    let seen = replay.seen.lock().unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].path.replace("%3A", ":"), r.path);
}

pub async fn logs(r: &Recording, route: &[&str]) {
    let (client, replay) = r.replay();
    let ours = client.logs(process(route)).await.unwrap();
    asked(r, &replay);
    let json = r.json();
    assert_eq!(ours.len(), list(&json["logs"]).len());
    for (file, raw) in ours.iter().zip(list(&json["logs"])) {
        assert_eq!(file.name, raw["name"]);
        assert_eq!(Some(file.size), raw["size"].as_u64());
        assert_eq!(file.modified.map(|t| t.timestamp_millis()), ms(&raw["mtime"]));
    }
}

pub async fn log_text(r: &Recording, route: &[&str]) {
    let (client, replay) = r.replay();
    let ours = client.log_text(process(route), None).await.unwrap();
    asked(r, &replay);
    assert_eq!(ours.as_bytes(), r.body);
    assert!(ours.contains(" INFO "), "it is a log");
}

pub async fn thread_dump(r: &Recording, route: &[&str]) {
    let (client, replay) = r.replay();
    let ours = client.thread_dump(process(route)).await.unwrap();
    asked(r, &replay);
    let json = r.json();
    assert_eq!(ours.len(), list(&json["threadInfos"]).len());
    for (thread, raw) in ours.iter().zip(list(&json["threadInfos"])) {
        assert_eq!(thread.name, raw["threadName"]);
        assert_eq!(thread.text, raw["stringifiedThreadInfo"]);
        assert!(thread.text.starts_with(&format!("\"{}\"", thread.name)));
    }
}

pub async fn task_managers(r: &Recording) {
    let (client, replay) = r.replay();
    let ours = client.task_managers().await.unwrap();
    r.assert_asked(&replay);
    let json = r.json();
    assert_eq!(ours.len(), list(&json["taskmanagers"]).len());
    assert!(ours.is_sorted_by(|a, b| a.id < b.id));
    for raw in list(&json["taskmanagers"]) {
        let ours = ours.iter().find(|t| t.id == raw["id"]).unwrap();
        same_task_manager(ours, raw);
        assert!(ours.allocated_slots.is_empty() && ours.metrics.is_none(), "they come with one TaskManager only");
    }
}

pub async fn task_manager(r: &Recording, id: &str) {
    let (client, replay) = r.replay();
    let ours = client.task_manager(id).await.unwrap();
    asked(r, &replay);
    let json = r.json();
    assert_eq!(ours.id, id);
    same_task_manager(&ours, &json);
    let slots = list(&json["allocatedSlots"]);
    assert_eq!(ours.allocated_slots.len(), slots.len());
    for (slot, raw) in ours.allocated_slots.iter().zip(slots) {
        assert_eq!(slot.job_id.to_string(), raw["jobId"]);
        assert_eq!(Some(slot.resource.managed_memory), raw["resource"]["managedMemory"].as_u64());
    }
    let metrics = ours.metrics.as_ref().unwrap();
    let raw = &json["metrics"];
    assert_eq!(
        [metrics.heap_used, metrics.heap_committed, metrics.heap_max, metrics.non_heap_used, metrics.direct_used]
            .map(Some),
        ["heapUsed", "heapCommitted", "heapMax", "nonHeapUsed", "directUsed"].map(|k| raw[k].as_u64())
    );
    assert_eq!(
        [metrics.netty_shuffle_memory_used, metrics.netty_shuffle_memory_total].map(Some),
        ["nettyShuffleMemoryUsed", "nettyShuffleMemoryTotal"].map(|k| raw[k].as_u64())
    );
    assert_eq!(metrics.garbage_collectors.len(), list(&raw["garbageCollectors"]).len());
    assert_eq!(metrics.garbage_collectors[0].name, "All");

    // The pools add up to the process, and what is used fits into what is configured.
    let pools = pool_usages(&ours, Some(0), Some(50_000_000));
    let sum: u64 = pools.iter().map(|p| p.configured.unwrap()).sum();
    let process = ours.memory_configuration.unwrap().total_process;
    assert!(process.abs_diff(sum) <= 64, "{sum} of {process}: Flink rounds each pool for itself");
    for pool in pools {
        match pool.pool {
            MemoryPool::Overhead => assert_eq!(pool.used, None),
            _ => assert!(pool.used.unwrap() <= pool.configured.unwrap(), "{pool:?}"),
        }
    }
}

fn same_task_manager(ours: &TaskManager, raw: &Value) {
    assert_eq!(ours.id, raw["id"]);
    assert_eq!((ours.slots, ours.free_slots), (int(&raw["slotsNumber"]), int(&raw["freeSlots"])));
    assert_eq!(ours.last_heartbeat.map(|t| t.timestamp_millis()), ms(&raw["timeSinceLastHeartbeat"]));
    assert_eq!(Some(ours.total_resource.cpu_cores), raw["totalResource"]["cpuCores"].as_f64());
    assert_eq!(Some(ours.hardware.unwrap().physical_memory), raw["hardware"]["physicalMemory"].as_u64());
    let memory = ours.memory_configuration.unwrap();
    let configured = &raw["memoryConfiguration"];
    assert_eq!(
        [
            memory.framework_heap,
            memory.task_heap,
            memory.framework_off_heap,
            memory.task_off_heap,
            memory.network,
            memory.managed,
            memory.metaspace,
            memory.overhead,
            memory.total_flink,
            memory.total_process
        ]
        .map(Some),
        [
            "frameworkHeap",
            "taskHeap",
            "frameworkOffHeap",
            "taskOffHeap",
            "networkMemory",
            "managedMemory",
            "jvmMetaspace",
            "jvmOverhead",
            "totalFlinkMemory",
            "totalProcessMemory"
        ]
        .map(|k| configured[k].as_u64())
    );
}

/// Timelines were made by polling; every state and task state in them must be one that we know.
pub fn timeline(r: &Recording) {
    let json = r.json();
    assert!(!list(&json).is_empty());
    let mut earlier = i64::MIN;
    for entry in list(&json) {
        let at = entry["t_ms"].as_i64().unwrap();
        assert!(at >= earlier, "in order of time");
        earlier = at;
        let state = entry["value"].as_str().or_else(|| entry["value"]["state"].as_str());
        if let Some(state) = state {
            assert_ne!(JobState::parse(state), JobState::Unknown, "{state}");
        }
        if let Some(tasks) = entry["value"]["tasks"].as_object().filter(|tasks| !tasks.is_empty()) {
            let total: u32 = tasks.iter().filter(|(k, _)| *k != "total").map(|(_, n)| int(n)).sum();
            assert_eq!(tasks.get("total").map(int), Some(total));
        }
    }
}

pub fn int(value: &Value) -> u32 {
    value.as_u64().unwrap() as u32
}

/// Tasks by state; the recorded keys are in lower or upper case.
#[track_caller]
pub fn same_tasks(ours: &TaskCounts, raw: &Value) {
    let recorded = |name: &str| raw.get(name).or_else(|| raw.get(name.to_ascii_uppercase())).map_or(0, int);
    for (name, count) in [
        ("running", ours.running),
        ("finished", ours.finished),
        ("created", ours.created),
        ("scheduled", ours.scheduled),
        ("deploying", ours.deploying),
        ("initializing", ours.initializing),
        ("canceling", ours.canceling),
        ("canceled", ours.canceled),
        ("failed", ours.failed),
        ("reconciling", ours.reconciling),
    ] {
        assert_eq!(count, recorded(name), "{name}");
    }
    let sum: u64 =
        raw.as_object().unwrap().iter().filter(|(k, _)| *k != "total").map(|(_, n)| n.as_u64().unwrap()).sum();
    assert_eq!(u64::from(ours.total), sum);
}
