//! Answers about the cluster: configuration, overview, JobManager, TaskManagers.

use serde_json::{Map, Value, json};

use super::dump::{Dump, Metric, Metrics, direct};
use crate::sim::cluster::{Cluster, TaskManager};
use crate::sim::flow::SEGMENT;
use crate::sim::job::JobStatus;
use crate::sim::spec::Scheduler;

/// The commit that `/overview` and `/config` show: made up, but the same for a version.
fn commit(cluster: &Cluster) -> String {
    let version = cluster.spec.version.to_string();
    format!("{:07x}", crate::sim::noise::hash128(&["commit", &version]) as u32 >> 4)
}

/// `GET /config`.
pub fn config(cluster: &Cluster) -> Value {
    json!({
        "refresh-interval": cluster.spec.config_millis("web.refresh-interval", 3_000),
        "timezone-name": "Coordinated Universal Time",
        "timezone-offset": 0,
        "flink-version": cluster.spec.version.to_string(),
        "flink-revision": format!("{} @ 2026-06-08T09:21:06+02:00", commit(cluster)),
        "features": {
            "web-submit": super::jars::served(cluster),
            "web-cancel": true,
            "web-rescale": cluster.spec.scheduler == Scheduler::Adaptive,
            "web-history": false,
        },
    })
}

/// `GET /overview`.
pub fn overview(cluster: &Cluster) -> Value {
    let count = |status: JobStatus| cluster.jobs.iter().filter(|j| j.status == status).count();
    json!({
        "taskmanagers": cluster.taskmanagers.len(),
        "slots-total": cluster.slots_total(),
        "slots-available": cluster.slots_free(),
        "jobs-running": cluster.jobs.iter().filter(|j| !j.status.is_terminal()).count(),
        "jobs-finished": count(JobStatus::Finished),
        "jobs-cancelled": count(JobStatus::Canceled),
        "jobs-failed": count(JobStatus::Failed),
        "flink-version": cluster.spec.version.to_string(),
        "flink-commit": commit(cluster),
    })
}

/// `GET /jobmanager/config`: what was set, and what the start scripts derived.
pub fn jobmanager_config(cluster: &Cluster) -> Value {
    let mut entries: Vec<(String, String)> = vec![
        ("blob.server.port".to_owned(), "6124".to_owned()),
        ("jobmanager.memory.heap.size".to_owned(), "469762048b".to_owned()),
        ("jobmanager.memory.jvm-metaspace.size".to_owned(), "268435456b".to_owned()),
        ("jobmanager.memory.jvm-overhead.max".to_owned(), "201326592b".to_owned()),
        ("jobmanager.memory.jvm-overhead.min".to_owned(), "201326592b".to_owned()),
        ("jobmanager.memory.off-heap.size".to_owned(), "134217728b".to_owned()),
        ("jobmanager.rpc.address".to_owned(), cluster.name().to_owned()),
        (
            "jobmanager.scheduler".to_owned(),
            if cluster.spec.scheduler == Scheduler::Adaptive { "adaptive" } else { "default" }.to_owned(),
        ),
        ("taskmanager.memory.process.size".to_owned(), format!("{}b", cluster.pools.process)),
        ("taskmanager.numberOfTaskSlots".to_owned(), cluster.spec.taskmanagers.slots.to_string()),
    ];
    for (key, value) in &cluster.spec.config {
        let secret = ["password", "secret", "fs.azure.account.key", "apikey", "auth-params", "service-key", "token"]
            .iter()
            .any(|word| key.to_ascii_lowercase().contains(word));
        let shown = if secret { "******".to_owned() } else { value.clone() };
        match entries.iter_mut().find(|(known, _)| known == key) {
            Some(entry) => entry.1 = shown,
            None => entries.push((key.clone(), shown)),
        }
    }
    Value::Array(entries.into_iter().map(|(key, value)| json!({ "key": key, "value": value })).collect())
}

/// `GET /jobmanager/environment`.
pub fn environment() -> Value {
    json!({
        "jvm": {
            "version": "OpenJDK 64-Bit Server VM - Eclipse Adoptium - 11/11.0.24+8",
            "arch": "amd64",
            "options": ["-Xmx469762048", "-Xms469762048", "-XX:MaxMetaspaceSize=268435456"],
        },
        "classpath": ["/opt/flink/lib/flink-dist.jar"],
    })
}

/// `GET /taskmanagers`.
pub fn taskmanagers(cluster: &Cluster, now: i64) -> Value {
    let list: Vec<Value> = cluster.taskmanagers.iter().map(|tm| Value::Object(entry(cluster, tm, now))).collect();
    json!({ "taskmanagers": list })
}

fn resource(cluster: &Cluster, slots: usize) -> Value {
    let pools = &cluster.pools;
    let all = cluster.spec.taskmanagers.slots.max(1);
    let part = |bytes: u64| (bytes as f64 / all as f64 * slots as f64) as u64 >> 20;
    json!({
        "cpuCores": cluster.spec.taskmanagers.cpu / all as f64 * slots as f64,
        "taskHeapMemory": part(pools.task_heap),
        "taskOffHeapMemory": part(pools.task_off_heap),
        "managedMemory": part(pools.managed),
        "networkMemory": part(pools.network),
        "extendedResources": {},
    })
}

fn entry(cluster: &Cluster, tm: &TaskManager, now: i64) -> Map<String, Value> {
    let pools = &cluster.pools;
    let free = cluster.free_slots(tm.number);
    let beat = tm.lost.unwrap_or(now - (now - tm.registered).rem_euclid(10_000));
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    put("id", json!(tm.id));
    put("path", json!(format!("pekko.tcp://flink@{}:{}/user/rpc/taskmanager_0", tm.host, tm.rpc_port)));
    put("dataPort", json!(tm.data_port));
    put("jmxPort", json!(-1));
    put("timeSinceLastHeartbeat", json!(beat));
    put("slotsNumber", json!(tm.slots));
    put("freeSlots", json!(free));
    if cluster.spec.version.at_least(2, 3) {
        put("assignedTasks", json!(tasks_on(cluster, tm)));
    }
    put("totalResource", resource(cluster, tm.slots));
    put("freeResource", resource(cluster, free));
    put(
        "hardware",
        json!({
            "cpuCores": (cluster.spec.taskmanagers.cpu.ceil() as u64).max(1),
            "physicalMemory": 25_276_514_304_u64,
            "freeMemory": pools.heap(),
            "managedMemory": pools.managed,
        }),
    );
    put(
        "memoryConfiguration",
        json!({
            "frameworkHeap": pools.framework_heap,
            "taskHeap": pools.task_heap,
            "frameworkOffHeap": pools.framework_off_heap,
            "taskOffHeap": pools.task_off_heap,
            "networkMemory": pools.network,
            "managedMemory": pools.managed,
            "jvmMetaspace": pools.metaspace,
            "jvmOverhead": pools.overhead,
            "totalFlinkMemory": pools.flink,
            "totalProcessMemory": pools.process,
        }),
    );
    out
}

fn tasks_on(cluster: &Cluster, tm: &TaskManager) -> usize {
    cluster
        .jobs
        .iter()
        .filter(|job| job.has_tasks() && !job.status.is_terminal())
        .map(|job| {
            let places = job.parallelism.iter().enumerate().flat_map(|(v, p)| (0..*p as usize).map(move |i| (v, i)));
            places.filter(|(v, i)| job.slot_of(*v, *i).is_some_and(|s| s.taskmanager == tm.number)).count()
        })
        .sum()
}

/// `GET /taskmanagers/:id`.
pub fn taskmanager(cluster: &Cluster, tm: &TaskManager, dump: &Dump, now: i64) -> Value {
    let mut out = entry(cluster, tm, now);
    let slots: Vec<Value> = cluster
        .jobs
        .iter()
        .flat_map(|job| job.slots.iter().map(move |slot| (job, slot)))
        .filter(|(_, slot)| slot.taskmanager == tm.number)
        .map(|(job, _)| {
            let mut slot = Map::new();
            slot.insert("jobId".to_owned(), json!(job.id.to_string()));
            slot.insert("resource".to_owned(), resource(cluster, 1));
            if cluster.spec.version.at_least(2, 3) {
                slot.insert("assignedTasks".to_owned(), json!(job.parallelism.len()));
            }
            Value::Object(slot)
        })
        .collect();
    out.insert("allocatedSlots".to_owned(), Value::Array(slots));
    out.insert("metrics".to_owned(), metrics_block(cluster, dump.taskmanagers.get(&tm.id)));
    Value::Object(out)
}

/// The block of metrics: from the store, all zero before the first fetch.
fn metrics_block(cluster: &Cluster, metrics: Option<&Metrics>) -> Value {
    let get = |name: &str| {
        let found = metrics.and_then(|m| m.iter().find(|(known, _)| known == name));
        found.and_then(|(_, value)| Metric::number(value)).unwrap_or(0.0) as i64
    };
    let known = metrics.is_some();
    let direct = if known { direct(&cluster.pools) } else { 0 };
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    for (name, metric) in [
        ("heapUsed", "Heap.Used"),
        ("heapCommitted", "Heap.Committed"),
        ("heapMax", "Heap.Max"),
        ("nonHeapUsed", "NonHeap.Used"),
        ("nonHeapCommitted", "NonHeap.Committed"),
        ("nonHeapMax", "NonHeap.Max"),
        ("directCount", "Direct.Count"),
        ("directUsed", "Direct.MemoryUsed"),
    ] {
        put(name, json!(get(&format!("Status.JVM.Memory.{metric}"))));
    }
    put("directMax", json!(direct));
    for name in ["mappedCount", "mappedUsed", "mappedMax"] {
        put(name, json!(0));
    }
    let (available, total) =
        (get("Status.Shuffle.Netty.AvailableMemorySegments"), get("Status.Shuffle.Netty.TotalMemorySegments"));
    if !cluster.spec.version.at_least(2, 0) {
        put("memorySegmentsAvailable", json!(available));
        put("memorySegmentsTotal", json!(total));
    }
    let segment = SEGMENT as i64;
    put("nettyShuffleMemorySegmentsAvailable", json!(available));
    put("nettyShuffleMemorySegmentsUsed", json!(total - available));
    put("nettyShuffleMemorySegmentsTotal", json!(total));
    put("nettyShuffleMemoryAvailable", json!(available * segment));
    put("nettyShuffleMemoryUsed", json!((total - available) * segment));
    put("nettyShuffleMemoryTotal", json!(total * segment));
    let collectors: Vec<Value> = ["All", "G1_Young_Generation", "G1_Old_Generation"]
        .into_iter()
        .map(|name| {
            json!({
                "name": name,
                "count": get(&format!("Status.JVM.GarbageCollector.{name}.Count")),
                "time": get(&format!("Status.JVM.GarbageCollector.{name}.Time")),
            })
        })
        .collect();
    put("garbageCollectors", Value::Array(if known { collectors } else { Vec::new() }));
    Value::Object(out)
}
