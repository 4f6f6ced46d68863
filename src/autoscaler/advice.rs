//! Continuous memory advice: the rules of memory tuning applied to each window, also when nothing is scaled.
//!
//! It goes beyond the operator, which tunes only with a scaling. The numbers are those of [`tune`](super::tuning::tune) at
//! the parallelism that runs now; nothing here is ever applied by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::evaluate::{current, global_metrics};
use super::options::Options;
use super::tuning::{Grant, MemoryPlan, NoTuning, TuningInput, tune};
use crate::domain::evaluation::ScalingMetric;
use crate::domain::ids::VertexId;
use crate::domain::memory::{MemoryAdvice, MemoryConfiguration, MemoryPool, PoolAdvice, PoolFloor};
use crate::domain::topology::Topology;
use crate::domain::window::{GlobalSample, Sample};

#[cfg(test)]
mod tests;

/// What advice is made from.
#[derive(Debug, Clone, Copy)]
pub struct AdviceInput<'a> {
    /// The options as the user configured them.
    pub options: &'a Options,
    /// The job graph.
    pub topology: &'a Topology,
    /// The samples of the window, oldest first.
    pub samples: &'a [Arc<Sample>],
    /// Memory of a TaskManager as the cluster gives it, bytes.
    pub task_manager_memory: Option<u64>,
    /// The sizes that a TaskManager reports of itself; `None`: they are derived from the options.
    pub configured: Option<&'a MemoryConfiguration>,
}

/// Sizes every pool by what the window has seen. `Ok(None)` without a sample or
/// while the use of a pool is not known.
///
/// # Errors
/// If nothing can be proposed: the configuration is invalid or the memory of a TaskManager is not known.
pub fn advise(input: &AdviceInput<'_>) -> Result<Option<MemoryAdvice>, NoTuning> {
    let Some(newest) = input.samples.last() else { return Ok(None) };
    let mut global = global_metrics(input.samples, &newest.global);
    let unknown = [ScalingMetric::HeapMemoryUsed, ScalingMetric::MetaspaceMemoryUsed, ScalingMetric::ManagedMemoryUsed]
        .into_iter()
        .any(|metric| !global.average(metric).is_finite());
    if unknown {
        // Tuning takes an unknown use for none (§15.3 no. 11); as advice that would be a lie.
        return Ok(None);
    }
    // As many slots before and after: there is nothing to compensate. Their number does not matter, and it may be unknown,
    // which tuning would take for a loss of the whole heap.
    global.set(ScalingMetric::NumTaskSlotsUsed, current(1.0));
    let parallelism: BTreeMap<VertexId, i32> =
        input.topology.vertices().iter().map(|v| (v.id, v.parallelism)).collect();
    let plan = tune(&TuningInput {
        options: input.options,
        topology: input.topology,
        parallelism: &parallelism,
        global: &global,
        task_manager_memory: input.task_manager_memory,
        slots_after: 1,
    })?;
    let configured = input.configured.unwrap_or(&plan.spec);
    let pools: Vec<PoolAdvice> =
        MemoryPool::ALL.iter().map(|pool| pool_advice(*pool, &plan, configured, input)).collect();
    Ok(Some(MemoryAdvice {
        at: newest.at,
        samples: input.samples.len(),
        configured: pools.iter().map(|p| p.configured).sum(),
        proposed: pools.iter().map(|p| p.proposed).sum(),
        pools,
        changes: plan.changes(),
    }))
}

fn pool_advice(
    pool: MemoryPool,
    plan: &MemoryPlan,
    configured: &MemoryConfiguration,
    input: &AdviceInput<'_>,
) -> PoolAdvice {
    let (proposed, floor) = match pool {
        MemoryPool::JvmHeap => (plan.heap_size(), by_use(&plan.heap, plan.used.heap)),
        MemoryPool::Metaspace => (plan.metaspace.granted, by_use(&plan.metaspace, plan.used.metaspace)),
        MemoryPool::Managed => (plan.managed.granted, managed_floor(plan, input.options)),
        MemoryPool::Network => (plan.network.granted, floor(&plan.network, PoolFloor::Buffers)),
        MemoryPool::DirectOther => {
            let both = Grant {
                wanted: plan.framework_off_heap.wanted.saturating_add(plan.task_off_heap.wanted),
                granted: plan.framework_off_heap.granted.saturating_add(plan.task_off_heap.granted),
                left: plan.task_off_heap.left,
            };
            (both.granted, floor(&both, PoolFloor::NotMeasured))
        }
        MemoryPool::Overhead => (plan.overhead.granted, floor(&plan.overhead, PoolFloor::NotMeasured)),
    };
    let measured: Option<fn(&GlobalSample) -> f64> = match pool {
        MemoryPool::JvmHeap => Some(|g| g.heap_used),
        MemoryPool::Metaspace => Some(|g| g.metaspace_used),
        MemoryPool::Managed => Some(|g| g.managed_used),
        MemoryPool::Network | MemoryPool::DirectOther | MemoryPool::Overhead => None,
    };
    let known = |value: f64| value.is_finite().then_some(value as u64);
    let used = measured.and_then(|of| known(of(&input.samples.last()?.global)));
    let peak = measured.and_then(|of| input.samples.iter().filter_map(|s| known(of(&s.global))).max());
    PoolAdvice { pool, configured: configured.capacity(pool), used, peak, proposed: unsigned(proposed), floor }
}

fn unsigned(bytes: i64) -> u64 {
    u64::try_from(bytes).unwrap_or(0)
}

/// The reason of a pool, unless it did not even get what it wanted.
fn floor(grant: &Grant, otherwise: PoolFloor) -> PoolFloor {
    if grant.granted < grant.wanted { PoolFloor::Exhausted { wanted: unsigned(grant.wanted) } } else { otherwise }
}

fn by_use(grant: &Grant, average: f64) -> PoolFloor {
    floor(grant, PoolFloor::Used { average: average as u64 })
}

fn managed_floor(plan: &MemoryPlan, options: &Options) -> PoolFloor {
    let otherwise = match (plan.used.managed as i64 > 0, options.maximize_managed_memory) {
        (false, _) => PoolFloor::Unused,
        (true, true) => PoolFloor::Maximized,
        (true, false) => PoolFloor::Reserved,
    };
    floor(&plan.managed, otherwise)
}
