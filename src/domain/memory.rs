//! Memory pools of TaskManagers: what Flink divides a process into, and what each part holds.

use serde::{Deserialize, Serialize};

/// A pool as it is drawn: something with a capacity and, mostly, a use (`flink-rest.md` §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryPool {
    /// Framework heap and task heap together: they cannot be told apart.
    JvmHeap,
    /// Managed memory; its use is a reservation by slots.
    Managed,
    /// Network buffers.
    Network,
    /// Framework and task off-heap; its use is an estimate.
    DirectOther,
    /// JVM metaspace.
    Metaspace,
    /// JVM overhead; has no metric.
    Overhead,
}

impl MemoryPool {
    /// All pools, in the order in which they are drawn; their capacities add up to the process.
    pub const ALL: [Self; 6] =
        [Self::JvmHeap, Self::Managed, Self::Network, Self::DirectOther, Self::Metaspace, Self::Overhead];

    /// The name as shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::JvmHeap => "JVM heap",
            Self::Managed => "managed",
            Self::Network => "network",
            Self::DirectOther => "direct other",
            Self::Metaspace => "metaspace",
            Self::Overhead => "overhead",
        }
    }
}

/// The configured sizes of one TaskManager, bytes (REST: `memoryConfiguration`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemoryConfiguration {
    /// Framework heap.
    pub framework_heap: u64,
    /// Task heap.
    pub task_heap: u64,
    /// Framework off-heap.
    pub framework_off_heap: u64,
    /// Task off-heap.
    pub task_off_heap: u64,
    /// Network.
    pub network: u64,
    /// Managed.
    pub managed: u64,
    /// JVM metaspace.
    pub metaspace: u64,
    /// JVM overhead.
    pub overhead: u64,
    /// Total Flink memory.
    pub total_flink: u64,
    /// Total process memory: what the container gets.
    pub total_process: u64,
}

impl MemoryConfiguration {
    /// Capacity of a drawn pool.
    pub fn capacity(&self, pool: MemoryPool) -> u64 {
        match pool {
            MemoryPool::JvmHeap => self.framework_heap + self.task_heap,
            MemoryPool::Managed => self.managed,
            MemoryPool::Network => self.network,
            MemoryPool::DirectOther => self.framework_off_heap + self.task_off_heap,
            MemoryPool::Metaspace => self.metaspace,
            MemoryPool::Overhead => self.overhead,
        }
    }
}

/// One drawn pool of one TaskManager, or of several in sum. Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolUsage {
    /// Which pool.
    pub pool: MemoryPool,
    /// Configured capacity, if known.
    pub configured: Option<u64>,
    /// In use now, if there is a metric.
    pub used: Option<u64>,
    /// Highest use seen in this run, if there is a metric.
    pub peak: Option<u64>,
}
