//! Autotuning: TaskManager memory from measured use and the new parallelism (`autoscaler.md` §7).
//!
//! Owns the budget, the size of every pool, and the configuration changes that bring them about. What Flink makes of a
//! configuration is [`memory`](super::memory)'s.

use std::collections::BTreeMap;

use super::generation::BudgetOrder;
use super::memory::{MemoryError, derive};
use super::number::{Rounding, float_text, round_decimal};
use super::options::{MemorySize, Options};
use crate::domain::decision::ConfigChanges;
use crate::domain::evaluation::{EvaluatedMetrics, ScalingMetric};
use crate::domain::ids::VertexId;
use crate::domain::memory::MemoryConfiguration;
use crate::domain::topology::{ShipStrategy, Topology};

mod explain;
#[cfg(test)]
mod tests;

/// What tuning needs to know of a scaling.
#[derive(Debug, Clone, Copy)]
pub struct TuningInput<'a> {
    /// The options as the user configured them, never tuned ones.
    pub options: &'a Options,
    /// The job graph.
    pub topology: &'a Topology,
    /// Every vertex with its parallelism after the scaling.
    pub parallelism: &'a BTreeMap<VertexId, i32>,
    /// Evaluated metrics of the whole job.
    pub global: &'a EvaluatedMetrics,
    /// Memory of a TaskManager as the cluster gives it, bytes.
    pub task_manager_memory: Option<u64>,
    /// Slots needed after the scaling (`slots_after`, §6.4).
    pub slots_after: i32,
}

/// Why nothing is recommended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTuning {
    /// Flink would reject the user's configuration.
    #[error(transparent)]
    Invalid(#[from] MemoryError),
    /// The memory of a TaskManager is not known.
    #[error("the memory of a TaskManager is not known")]
    UnknownMemory,
    /// Nothing would remain.
    #[error("no memory would remain for the TaskManager")]
    Nothing,
    /// A size below zero: Flink has no such sizes, and the operator fails the whole pass.
    #[error("a measured use of memory, or the need of network buffers, is below zero")]
    Negative,
}

/// What one pool asked for and got from the budget, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Grant {
    /// Asked for.
    pub wanted: i64,
    /// Got: not more than was left.
    pub granted: i64,
    /// Left afterwards.
    pub left: i64,
}

/// The budget of a TaskManager: what is left of its memory (§7.2).
#[derive(Debug, Clone, Copy)]
struct Budget {
    left: i64,
}

impl Budget {
    fn take(&mut self, wanted: i64) -> Grant {
        let granted = wanted.min(self.left);
        self.left -= granted;
        Grant { wanted, granted, left: self.left }
    }
}

/// The tuned memory of a TaskManager: every grant, and what follows from them. Bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemoryPlan {
    /// What the user's configuration gives to each pool.
    pub spec: MemoryConfiguration,
    /// What a TaskManager may have at most.
    pub max: i64,
    /// The order of heap and metaspace.
    pub order: BudgetOrder,
    /// Framework off-heap, kept as it is.
    pub framework_off_heap: Grant,
    /// Task off-heap, kept as it is.
    pub task_off_heap: Grant,
    /// JVM overhead, kept as it is.
    pub overhead: Grant,
    /// Network memory (§7.3).
    pub network: Grant,
    /// Heap, by use.
    pub heap: Grant,
    /// Metaspace, by use.
    pub metaspace: Grant,
    /// Managed memory (§7.4).
    pub managed: Grant,
    /// More heap for fewer TaskManagers (§7.5).
    pub compensation: Grant,
    /// Measured use of heap, metaspace and managed memory: averages, NaN if unknown.
    pub used: PoolUse,
    /// Headroom on top of measured use (`memory.tuning.overhead`).
    pub headroom: f64,
    /// What fewer TaskManagers make of the heap; 1 without compensation.
    pub compensation_factor: f64,
    /// The whole TaskManager.
    pub total: i64,
    /// Flink memory inside it.
    pub flink: i64,
}

/// Measured average use, bytes; NaN if unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoolUse {
    /// HEAP_MEMORY_USED.
    pub heap: f64,
    /// METASPACE_MEMORY_USED.
    pub metaspace: f64,
    /// MANAGED_MEMORY_USED.
    pub managed: f64,
}

/// Sizes every pool for a scaling (§7.2).
///
/// # Errors
/// If nothing can be recommended; the change set is empty then.
pub fn tune(input: &TuningInput<'_>) -> Result<MemoryPlan, NoTuning> {
    let options = input.options;
    let spec = derive(options)?;
    let max = input.task_manager_memory.map_or(0, signed);
    if max <= 0 {
        return Err(NoTuning::UnknownMemory);
    }
    let used = PoolUse {
        heap: input.global.average(ScalingMetric::HeapMemoryUsed),
        metaspace: input.global.average(ScalingMetric::MetaspaceMemoryUsed),
        managed: input.global.average(ScalingMetric::ManagedMemoryUsed),
    };
    let need = network_need(options, input.topology, input.parallelism);
    if [used.heap as i64, used.metaspace as i64, used.managed as i64, need].into_iter().any(|bytes| bytes < 0) {
        return Err(NoTuning::Negative);
    }
    let headroom = options.memory_tuning_overhead;
    let order = options.generation.rules().budget;

    let mut budget = Budget { left: max };
    let framework_off_heap = budget.take(signed(spec.framework_off_heap));
    let task_off_heap = budget.take(signed(spec.task_off_heap));
    let overhead = budget.take(signed(spec.overhead));
    let network = budget.take(need);
    // Whoever is first wins when the measured use exceeds the budget.
    let (heap, metaspace) = match order {
        BudgetOrder::HeapFirst => {
            let heap = budget.take(grown(used.heap, headroom));
            (heap, budget.take(grown(used.metaspace, headroom)))
        }
        BudgetOrder::MetaspaceFirst => {
            let metaspace = budget.take(grown(used.metaspace, headroom));
            (budget.take(grown(used.heap, headroom)), metaspace)
        }
    };
    let managed = budget.take(managed_need(options, &spec, used.managed, budget.left));
    let compensation_factor = compensation_factor(input);
    let compensation = budget.take((compensation_factor * heap.granted as f64) as i64 - heap.granted);

    let total = max - budget.left;
    if total <= 0 {
        return Err(NoTuning::Nothing);
    }
    let kept = signed(spec.framework_off_heap).saturating_add(signed(spec.task_off_heap));
    let flink =
        [heap, compensation, managed, network].iter().fold(kept, |sum, grant| sum.saturating_add(grant.granted));
    Ok(MemoryPlan {
        spec,
        max,
        order,
        framework_off_heap,
        task_off_heap,
        overhead,
        network,
        heap,
        metaspace,
        managed,
        compensation,
        used,
        headroom,
        compensation_factor,
        total,
        flink,
    })
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// `grow` of §7.2: measured use with headroom, whole bytes. The casts are Java's: they truncate, and NaN gives 0.
fn grown(used: f64, headroom: f64) -> i64 {
    (used as i64 as f64 * (1.0 + headroom)) as i64
}

/// Managed memory: none for a heap state backend, else as configured, or all that is left (§7.4).
fn managed_need(options: &Options, spec: &MemoryConfiguration, used: f64, left: i64) -> i64 {
    if used as i64 <= 0 {
        0
    } else if options.maximize_managed_memory {
        left
    } else {
        signed(spec.managed)
    }
}

/// With fewer TaskManagers each holds more state: the heap grows in proportion (§7.5).
fn compensation_factor(input: &TuningInput<'_>) -> f64 {
    if !input.options.scale_down_compensation_enabled {
        return 1.0;
    }
    let slots = f64::from(input.options.number_of_task_slots);
    let used = f64::from(input.global.current(ScalingMetric::NumTaskSlotsUsed) as i32);
    let before = (used / slots).ceil();
    let after = (f64::from(input.slots_after) / slots).ceil();
    super::number::max(1.0, before / after)
}

/// Network buffers that the topology needs, bytes (§7.3).
fn network_need(options: &Options, topology: &Topology, parallelism: &BTreeMap<VertexId, i32>) -> i64 {
    let of = |id| parallelism.get(&id).copied().unwrap_or(1);
    let segment = signed(options.segment_size.0);
    let bytes = |own, other, ship| i64::from(segments(options, own, other, ship)).saturating_mul(segment);
    let mut need = 0_i64;
    for vertex in topology.vertices() {
        for input in &vertex.inputs {
            let (up, down) = (of(input.id), of(vertex.id));
            // Both ends of an edge have a gate: the input of one, the output of the other.
            need = need.saturating_add(bytes(down, up, input.ship_strategy));
            need = need.saturating_add(bytes(up, down, input.ship_strategy));
        }
    }
    need.saturating_mul(i64::from(options.number_of_task_slots))
}

/// Network buffers of one gate. Java's 32-bit arithmetic, which wraps.
fn segments(options: &Options, own: i32, other: i32, ship: ShipStrategy) -> i32 {
    let channels = match ship {
        ShipStrategy::Forward if own == other => 1,
        ShipStrategy::Forward | ShipStrategy::Rescale => (f64::from(other) / f64::from(own)).ceil() as i32,
        ShipStrategy::Hash
        | ShipStrategy::Rebalance
        | ShipStrategy::Custom
        | ShipStrategy::Broadcast
        | ShipStrategy::Global
        | ShipStrategy::Shuffle
        | ShipStrategy::Unknown => other,
    };
    channels.wrapping_mul(options.buffers_per_channel).wrapping_add(options.floating_buffers_per_gate)
}

impl MemoryPlan {
    /// The heap with its compensation.
    pub fn heap_size(&self) -> i64 {
        self.heap.granted.saturating_add(self.compensation.granted)
    }

    /// The configuration that brings the plan about (§7.6).
    pub fn changes(&self) -> ConfigChanges {
        let size = |bytes: i64| MemorySize(u64::try_from(bytes).unwrap_or(0)).to_string();
        let set = [
            ("process.size", size(self.total)),
            // All heap is accounted for as task heap.
            ("framework.heap.size", size(0)),
            ("managed.fraction", fraction(self.managed.granted, self.flink)),
            ("network.min", size(self.network.granted)),
            ("network.max", size(self.network.granted)),
            ("jvm-overhead.fraction", fraction(signed(self.spec.overhead), self.total)),
            ("jvm-metaspace.size", size(self.metaspace.granted)),
        ];
        let removed = ["flink.size", "managed.size", "size", "task.heap.size"];
        let key = |name: &str| format!("taskmanager.memory.{name}");
        ConfigChanges {
            set: set.into_iter().map(|(name, value)| (key(name), value)).collect(),
            removed: removed.into_iter().map(key).collect(),
        }
    }
}

/// A part of a whole, rounded up to three decimals, as a 32-bit float.
fn fraction(part: i64, whole: i64) -> String {
    float_text(round_decimal(part as f64 / whole as f64, 3, Rounding::Ceiling) as f32)
}
