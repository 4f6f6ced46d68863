//! TaskManagers: slots, resources, configured memory and the metrics that come with them; and the pools made of them
//! (`flink-rest.md` §1.2, §4).

use serde::Deserialize;

use crate::domain::Timestamp;
use crate::domain::ids::JobId;
use crate::domain::memory::{MemoryConfiguration, MemoryPool, PoolUsage};

use super::client::{FlinkClient, encode};
use super::decode;
use super::error::FlinkError;

/// A TaskManager, as in `GET /taskmanagers` and `GET /taskmanagers/:id`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskManager {
    /// Its resource id: free text such as a pod name.
    pub id: String,
    /// Its RPC address.
    #[serde(default)]
    pub path: String,
    /// When its last heartbeat came. (Flink's field is called `timeSinceLastHeartbeat` and holds an instant.)
    #[serde(rename = "timeSinceLastHeartbeat", deserialize_with = "decode::instant", default)]
    pub last_heartbeat: Option<Timestamp>,
    /// Slots in all.
    #[serde(rename = "slotsNumber")]
    pub slots: u32,
    /// Free slots.
    pub free_slots: u32,
    /// What it offers.
    #[serde(default)]
    pub total_resource: Resources,
    /// What of it is free.
    #[serde(default)]
    pub free_resource: Resources,
    /// Its machine.
    #[serde(default)]
    pub hardware: Option<Hardware>,
    /// Its configured memory, if Flink knows it.
    #[serde(deserialize_with = "memory", default)]
    pub memory_configuration: Option<MemoryConfiguration>,
    /// It is on the block list.
    #[serde(default)]
    pub blocked: bool,
    /// Slots in use (only of one TaskManager).
    #[serde(default)]
    pub allocated_slots: Vec<AllocatedSlot>,
    /// Its metrics (only of one TaskManager); all 0 before the JobManager's first metric fetch.
    #[serde(default)]
    pub metrics: Option<TaskManagerMetrics>,
}

/// Resources of a TaskManager or slot. Sizes in MiB, rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// Cpu cores; the number of slots unless configured.
    pub cpu_cores: f64,
    /// Task heap, MiB.
    pub task_heap_memory: u64,
    /// Task off-heap, MiB.
    pub task_off_heap_memory: u64,
    /// Managed, MiB.
    pub managed_memory: u64,
    /// Network, MiB.
    pub network_memory: u64,
}

/// The machine of a TaskManager.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hardware {
    /// Its cpu cores.
    pub cpu_cores: u32,
    /// Its memory, bytes.
    pub physical_memory: u64,
}

/// One slot in use.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllocatedSlot {
    /// By which job.
    pub job_id: JobId,
    /// With which part of the TaskManager.
    #[serde(default)]
    pub resource: Resources,
}

/// The metrics that come with a TaskManager. Bytes and counts; old by up to the metric fetch interval.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskManagerMetrics {
    /// Heap in use.
    pub heap_used: u64,
    /// Heap committed.
    pub heap_committed: u64,
    /// Heap limit.
    pub heap_max: u64,
    /// Code cache, metaspace and class space in use.
    pub non_heap_used: u64,
    /// Direct memory in use, network buffers included.
    pub direct_used: u64,
    /// Mapped memory in use.
    pub mapped_used: u64,
    /// Network buffers, bytes in all.
    pub netty_shuffle_memory_total: u64,
    /// Network buffers, bytes in use.
    pub netty_shuffle_memory_used: u64,
    /// Garbage collectors; an entry `All` sums them up from 1.19 on.
    pub garbage_collectors: Vec<GarbageCollector>,
}

/// One garbage collector.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct GarbageCollector {
    /// Its name.
    pub name: String,
    /// Collections so far.
    pub count: u64,
    /// Milliseconds spent so far.
    pub time: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMemory {
    framework_heap: Option<u64>,
    task_heap: Option<u64>,
    framework_off_heap: Option<u64>,
    task_off_heap: Option<u64>,
    network_memory: Option<u64>,
    managed_memory: Option<u64>,
    jvm_metaspace: Option<u64>,
    jvm_overhead: Option<u64>,
    total_flink_memory: Option<u64>,
    total_process_memory: Option<u64>,
}

/// A local executor has nulls: then nothing is known.
fn memory<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<MemoryConfiguration>, D::Error> {
    Ok(Option::<WireMemory>::deserialize(deserializer)?.and_then(|m| {
        Some(MemoryConfiguration {
            framework_heap: m.framework_heap?,
            task_heap: m.task_heap?,
            framework_off_heap: m.framework_off_heap?,
            task_off_heap: m.task_off_heap?,
            network: m.network_memory?,
            managed: m.managed_memory?,
            metaspace: m.jvm_metaspace?,
            overhead: m.jvm_overhead?,
            total_flink: m.total_flink_memory?,
            total_process: m.total_process_memory?,
        })
    }))
}

/// The pools of a TaskManager with what is in use now (`flink-rest.md` §4.3): capacities from its configuration, use from its
/// metrics and, where those lack it, from the metrics `managed_used` and `metaspace_used`
/// ([`names::MANAGED_USED`](super::names::MANAGED_USED), [`names::METASPACE_USED`](super::names::METASPACE_USED)). Peaks are
/// for those who look more than once.
pub fn pool_usages(
    task_manager: &TaskManager,
    managed_used: Option<u64>,
    metaspace_used: Option<u64>,
) -> Vec<PoolUsage> {
    // All 0 is what is served before the first metric fetch: a running JVM always uses some heap.
    let metrics = task_manager.metrics.as_ref().filter(|metrics| metrics.heap_used > 0);
    MemoryPool::ALL
        .into_iter()
        .map(|pool| PoolUsage {
            pool,
            configured: task_manager.memory_configuration.map(|configured| configured.capacity(pool)),
            used: match pool {
                MemoryPool::JvmHeap => metrics.map(|m| m.heap_used),
                MemoryPool::Managed => managed_used,
                MemoryPool::Network => metrics.map(|m| m.netty_shuffle_memory_used),
                // An estimate: network buffers are direct memory from the start on.
                MemoryPool::DirectOther => metrics.map(|m| m.direct_used.saturating_sub(m.netty_shuffle_memory_total)),
                MemoryPool::Metaspace => metaspace_used,
                MemoryPool::Overhead => None,
            },
            peak: None,
        })
        .collect()
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "taskmanagers")]
    task_managers: Vec<TaskManager>,
}

impl FlinkClient {
    /// `GET /taskmanagers`, sorted by id. Without slots and metrics.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn task_managers(&self) -> Result<Vec<TaskManager>, FlinkError> {
        let mut all = self.get::<Wire>("/taskmanagers").await?.task_managers;
        all.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(all)
    }

    /// `GET /taskmanagers/:id`. An unknown one is a 500 that [`FlinkError::is_not_found`] recognises.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn task_manager(&self, id: &str) -> Result<TaskManager, FlinkError> {
        self.get(&format!("/taskmanagers/{}", encode(id))).await
    }
}
