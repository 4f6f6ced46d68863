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

/// Why a pool is not proposed smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum PoolFloor {
    /// Its use is not measured: it stays as configured.
    NotMeasured,
    /// So many bytes were used on average; the rest is headroom.
    Used {
        /// Average use, bytes.
        average: u64,
    },
    /// The job graph needs these network buffers at its parallelism.
    Buffers,
    /// The state backend reserves what it is given: it stays as configured.
    Reserved,
    /// It takes what the other pools leave, as configured.
    Maximized,
    /// It is not used: nothing is proposed.
    Unused,
    /// There is not more: the TaskManager's memory is given away.
    Exhausted {
        /// What it should have, bytes.
        wanted: u64,
    },
}

/// One pool of a TaskManager as it is and as it could be. Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolAdvice {
    /// Which pool.
    pub pool: MemoryPool,
    /// Configured capacity.
    pub configured: u64,
    /// In use now, in the TaskManager that uses most, if there is a metric.
    pub used: Option<u64>,
    /// Highest use in the window, if there is a metric.
    pub peak: Option<u64>,
    /// The capacity that the rules of memory tuning give it.
    pub proposed: u64,
    /// Why not smaller.
    pub floor: PoolFloor,
}

impl PoolAdvice {
    /// What the proposal saves; negative if the pool should grow.
    pub fn saved(&self) -> i64 {
        difference(self.configured, self.proposed)
    }

    /// The proposal would not have held the peak of the window: it goes by average use, and garbage counts as use.
    pub fn below_peak(&self) -> bool {
        self.peak.is_some_and(|peak| peak > self.proposed)
    }
}

/// What the memory of each TaskManager could be, whether or not anything is scaled. Bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryAdvice {
    /// Time of the newest sample.
    pub at: super::Timestamp,
    /// Samples it was made from.
    pub samples: usize,
    /// Every pool, in the order in which they are drawn.
    pub pools: Vec<PoolAdvice>,
    /// The process as configured.
    pub configured: u64,
    /// The process as proposed: the sum of the pools.
    pub proposed: u64,
    /// The settings that bring it about.
    pub changes: super::decision::ConfigChanges,
}

impl MemoryAdvice {
    /// What the proposal saves per TaskManager; negative if it should grow.
    pub fn saved(&self) -> i64 {
        difference(self.configured, self.proposed)
    }

    /// Heap beyond its use with headroom: bytes, and as a share of the configured heap. `None` if there is none.
    pub fn heap_surplus(&self) -> Option<(u64, f64)> {
        let heap = self.pools.iter().find(|p| p.pool == MemoryPool::JvmHeap)?;
        let surplus = heap.configured.checked_sub(heap.proposed).filter(|bytes| *bytes > 0)?;
        Some((surplus, surplus as f64 / heap.configured as f64))
    }
}

/// What the loop can say of the memory of a job's TaskManagers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum MemoryOutlook {
    /// Advice from the newest window.
    Advised(MemoryAdvice),
    /// Nothing can be advised.
    Unknown {
        /// What is missing or wrong, as a sentence without its full stop.
        why: String,
    },
}

fn difference(before: u64, after: u64) -> i64 {
    let size = i64::try_from(before.abs_diff(after)).unwrap_or(i64::MAX);
    if before >= after { size } else { -size }
}
