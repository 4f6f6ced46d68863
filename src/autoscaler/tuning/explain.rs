//! How a memory plan reads: one step per pool, in the order in which the budget was given out.

use super::{Grant, MemoryPlan};
use crate::autoscaler::generation::BudgetOrder;
use crate::autoscaler::options::{OptionId, Options};
use crate::domain::Timestamp;
use crate::domain::evaluation::ScalingMetric;
use crate::domain::explanation::{Origin, Step, Value, Verdict};
use crate::domain::units::Unit;

fn bytes(value: i64) -> Value {
    Value::number(value as f64, Unit::Bytes)
}

impl MemoryPlan {
    /// The explanation: the budget, every pool with what it asked for and got, and the sum. `at` is the instant of the newest sample.
    pub fn explain(&self, options: &Options, at: Option<Timestamp>) -> Step {
        let heap = self.by_use("Heap", &self.heap, self.used.heap, ScalingMetric::HeapMemoryUsed, options, at);
        let metaspace = self.by_use(
            "Metaspace",
            &self.metaspace,
            self.used.metaspace,
            ScalingMetric::MetaspaceMemoryUsed,
            options,
            at,
        );
        let (first, second) = match self.order {
            BudgetOrder::HeapFirst => (heap, metaspace),
            BudgetOrder::MetaspaceFirst => (metaspace, heap),
        };
        let mut step = Step::new("TaskManager memory")
            .formula("total = max - left: every pool takes its part of the budget in this order")
            .input("max", bytes(self.max), Origin::Topology)
            .input("left", bytes(self.compensation.left), Origin::Step)
            .value(bytes(self.total))
            .verdict(if self.compensation.left == 0 { Verdict::Limited } else { Verdict::Computed });
        step.children = vec![
            kept("Framework off-heap", &self.framework_off_heap, options, OptionId::FrameworkOffHeapSize),
            kept("Task off-heap", &self.task_off_heap, options, OptionId::TaskOffHeapSize),
            kept("JVM overhead", &self.overhead, options, OptionId::OverheadFraction),
            self.network_step(options),
            first,
            second,
            self.managed_step(options, at),
            self.compensation_step(options),
        ];
        step
    }

    /// A pool that follows measured use.
    fn by_use(
        &self,
        label: &'static str,
        grant: &Grant,
        used: f64,
        metric: ScalingMetric,
        options: &Options,
        at: Option<Timestamp>,
    ) -> Step {
        pool(label, grant)
            .formula("min(used * (1 + overhead), left)")
            .observed("used", Value::number(used, Unit::Bytes), Origin::Metric { name: metric.name().into() }, at)
            .input(
                "overhead",
                Value::number(self.headroom, Unit::Ratio),
                options.origin(OptionId::MemoryTuningOverhead),
            )
    }

    fn network_step(&self, options: &Options) -> Step {
        let number = |n: i32| Value::number(f64::from(n), Unit::None);
        pool("Network", &self.network)
            .formula("slots * sum over gates of (channels * per-channel + per-gate) * segment")
            .input("slots", number(options.number_of_task_slots), options.origin(OptionId::NumberOfTaskSlots))
            .input("per-channel", number(options.buffers_per_channel), options.origin(OptionId::BuffersPerChannel))
            .input(
                "per-gate",
                number(options.floating_buffers_per_gate),
                options.origin(OptionId::FloatingBuffersPerGate),
            )
            .input("segment", bytes(super::signed(options.segment_size.0)), options.origin(OptionId::SegmentSize))
    }

    fn managed_step(&self, options: &Options, at: Option<Timestamp>) -> Step {
        let used = Value::number(self.used.managed, Unit::Bytes);
        let formula = match (self.used.managed as i64 <= 0, options.maximize_managed_memory) {
            (true, _) => "0, because none is used: the state is on the heap",
            (false, true) => "all that is left",
            (false, false) => "min(configured, left)",
        };
        pool("Managed memory", &self.managed)
            .formula(formula)
            .observed("used", used, Origin::Metric { name: ScalingMetric::ManagedMemoryUsed.name().into() }, at)
            .input("configured", bytes(super::signed(self.spec.managed)), options.origin(OptionId::ManagedFraction))
            .input(
                "maximize",
                Value::Flag { value: options.maximize_managed_memory },
                options.origin(OptionId::MaximizeManagedMemory),
            )
    }

    fn compensation_step(&self, options: &Options) -> Step {
        pool("More heap for fewer TaskManagers", &self.compensation)
            .formula("min(factor * heap - heap, left)")
            .input("factor", Value::number(self.compensation_factor, Unit::Ratio), Origin::Step)
            .input("heap", bytes(self.heap.granted), Origin::Step)
            .input(
                "enabled",
                Value::Flag { value: options.scale_down_compensation_enabled },
                options.origin(OptionId::ScaleDownCompensationEnabled),
            )
    }
}

/// A pool that stays as configured.
fn kept(label: &'static str, grant: &Grant, options: &Options, id: OptionId) -> Step {
    pool(label, grant).formula("min(configured, left)").input("configured", bytes(grant.wanted), options.origin(id))
}

fn pool(label: &'static str, grant: &Grant) -> Step {
    let limited = grant.granted < grant.wanted;
    Step::new(label)
        .input("left", bytes(grant.left.saturating_add(grant.granted)), Origin::Step)
        .value(bytes(grant.granted))
        .verdict(if limited { Verdict::Limited } else { Verdict::Computed })
}
