use proptest::prelude::*;

use super::*;
use crate::autoscaler::generation::Generation;
use crate::autoscaler::options::Layer;
use crate::domain::evaluation::Evaluated;
use crate::domain::topology::{Input, Vertex};

const MIB: f64 = 1_048_576.0;

fn vertex(id: u128, inputs: &[(u128, ShipStrategy)]) -> Vertex {
    Vertex {
        id: VertexId::from_u128(id),
        name: format!("v{id}"),
        parallelism: 50,
        max_parallelism: 128,
        source_partitions: 0,
        finished: false,
        slot_sharing_group: None,
        inputs: inputs
            .iter()
            .map(|&(id, ship_strategy)| Input { id: VertexId::from_u128(id), ship_strategy })
            .collect(),
    }
}

/// The case of §7.7, with some options changed.
struct Case {
    options: Options,
    topology: Topology,
    parallelism: BTreeMap<VertexId, i32>,
    global: EvaluatedMetrics,
    memory: Option<u64>,
}

impl Case {
    fn new(generation: Generation, changed: &[(&str, &str)]) -> Self {
        let mut set: BTreeMap<String, String> = [
            ("job.autoscaler.memory.tuning.enabled", "true"),
            ("job.autoscaler.memory.tuning.scale-down-compensation.enabled", "false"),
            ("taskmanager.numberOfTaskSlots", "5"),
            ("taskmanager.memory.process.size", "30 gb"),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
        set.extend(changed.iter().map(|(k, v)| (format!("job.autoscaler.memory.tuning.{k}"), (*v).to_owned())));
        let (options, problems) = Options::from_layers(generation, &[(Layer::Job, &set)]);
        assert_eq!(problems, []);
        let mut case = Self {
            options,
            topology: Topology::new(vec![vertex(1, &[]), vertex(2, &[(1, ShipStrategy::Rebalance)])]),
            parallelism: [(VertexId::from_u128(1), 25), (VertexId::from_u128(2), 10)].into(),
            global: EvaluatedMetrics::default(),
            memory: Some(30 << 30),
        };
        case.set(ScalingMetric::HeapMemoryUsed, 5096.0 * MIB);
        case.set(ScalingMetric::ManagedMemoryUsed, 10000.0 * MIB);
        case.set(ScalingMetric::MetaspaceMemoryUsed, 100.0 * MIB);
        case.set(ScalingMetric::NumTaskSlotsUsed, 50.0);
        case
    }

    fn set(&mut self, metric: ScalingMetric, value: f64) {
        self.global.set(metric, Some(Evaluated { current: value, average: value }));
    }

    fn tune(&self) -> Result<MemoryPlan, NoTuning> {
        tune(&TuningInput {
            options: &self.options,
            topology: &self.topology,
            parallelism: &self.parallelism,
            global: &self.global,
            task_manager_memory: self.memory,
            slots_after: 25,
        })
    }

    /// managed fraction, network, metaspace, overhead fraction, total
    fn texts(&self) -> [String; 5] {
        let changes = self.tune().unwrap().changes();
        ["managed.fraction", "network.max", "jvm-metaspace.size", "jvm-overhead.fraction", "process.size"]
            .map(|key| changes.set[&format!("taskmanager.memory.{key}")].clone())
    }
}

#[test]
fn the_worked_example_comes_out_in_both_generations() {
    for generation in Generation::ALL {
        let case = Case::new(generation, &[]);
        let plan = case.tune().unwrap();
        assert_eq!(plan.network.left, 30_990_204_928);
        assert_eq!((plan.heap.granted, plan.metaspace.granted), (6_412_251_955, 125_829_120));
        assert_eq!((plan.managed.granted, plan.managed.left), (12_348_031_160, 12_104_092_693));
        assert_eq!(plan.flink, 18_908_591_083);
        assert_eq!(case.texts(), ["0.654", "13760 kb", "120 mb", "0.054", "20108162027 bytes"]);
    }
}

#[test]
fn the_exact_keys_are_set_and_removed() {
    let changes = Case::new(Generation::Main, &[]).tune().unwrap().changes();
    let keys: Vec<_> = changes.set.keys().map(|k| k.strip_prefix("taskmanager.memory.").unwrap()).collect();
    assert_eq!(
        keys,
        [
            "framework.heap.size",
            "jvm-metaspace.size",
            "jvm-overhead.fraction",
            "managed.fraction",
            "network.max",
            "network.min",
            "process.size"
        ]
    );
    assert_eq!(changes.set["taskmanager.memory.framework.heap.size"], "0 bytes");
    let removed: Vec<_> = changes.removed.iter().map(|k| k.strip_prefix("taskmanager.memory.").unwrap()).collect();
    assert_eq!(removed, ["flink.size", "managed.size", "size", "task.heap.size"]);
}

#[test]
fn maximized_managed_memory_takes_what_is_left() {
    let case = Case::new(Generation::Main, &[("maximize-managed-memory", "true")]);
    let [managed, _, _, overhead, total] = case.texts();
    assert_eq!([managed, overhead, total], ["0.789", "0.034", "30 gb"]);
}

#[test]
fn unused_managed_memory_is_given_back() {
    let mut case = Case::new(Generation::Main, &[("maximize-managed-memory", "true")]);
    case.set(ScalingMetric::ManagedMemoryUsed, 0.0);
    let [managed, _, _, overhead, total] = case.texts();
    assert_eq!([managed, overhead, total], ["0.0", "0.139", "7760130867 bytes"]);
}

#[test]
fn fewer_task_managers_get_more_heap() {
    let mut case = Case::new(
        Generation::Main,
        &[("maximize-managed-memory", "true"), ("scale-down-compensation.enabled", "true")],
    );
    case.set(ScalingMetric::ManagedMemoryUsed, 0.0);
    let [_, _, _, overhead, total] = case.texts();
    assert_eq!([overhead, total], ["0.076", "14172382822 bytes"]);
    assert_eq!(case.tune().unwrap().compensation_factor, 2.0);
}

#[test]
fn the_generation_says_which_pool_goes_first_when_memory_is_short() {
    let sizes = |generation| {
        let mut case = Case::new(generation, &[("maximize-managed-memory", "true")]);
        case.set(ScalingMetric::HeapMemoryUsed, 30_812_254_720.0);
        case.set(ScalingMetric::MetaspaceMemoryUsed, 268_435_456.0);
        let plan = case.tune().unwrap();
        (plan.metaspace.granted, plan.heap.granted, plan.managed.granted, case.texts())
    };
    let (metaspace, heap, managed, texts) = sizes(Generation::Main);
    assert_eq!((metaspace, heap, managed), (322_122_547, 30_668_082_381, 0));
    assert_eq!([&texts[0], &texts[3], &texts[4]], ["0.0", "0.034", "30 gb"]);
    let (metaspace, heap, _, _) = sizes(Generation::V1_8);
    assert_eq!((metaspace, heap), (0, 30_990_204_928));
}

#[test]
fn network_segments_depend_on_the_ship_strategy() {
    let options = Options::built_in(Generation::Main);
    let of = |own, other, ship| segments(&options, own, other, ship);
    assert_eq!(of(10, 10, ShipStrategy::Forward), 10);
    assert_eq!(of(10, 15, ShipStrategy::Forward), 12);
    assert_eq!(of(10, 15, ShipStrategy::Rescale), 12);
    assert_eq!(of(10, 15, ShipStrategy::Rebalance), 38);
    assert_eq!(of(10, 15, ShipStrategy::Unknown), 38);
}

#[test]
fn nothing_is_recommended_without_a_basis() {
    let mut case = Case::new(Generation::Main, &[]);
    case.memory = None;
    assert_eq!(case.tune(), Err(NoTuning::UnknownMemory));
    case.memory = Some(30 << 30);
    case.options.process_size = None;
    assert_eq!(case.tune(), Err(NoTuning::Invalid(MemoryError::NotConfigured)));
}

#[test]
fn the_explanation_tells_the_pools_in_the_order_of_the_budget() {
    let labels = |generation| {
        let case = Case::new(generation, &[]);
        let step = case.tune().unwrap().explain(&case.options, None);
        step.children.iter().map(|s| s.label.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(labels(Generation::V1_8)[4..6], ["Heap", "Metaspace"]);
    assert_eq!(labels(Generation::Main)[4..6], ["Metaspace", "Heap"]);
}

proptest! {
    #[test]
    fn pools_never_exceed_the_maximum_and_add_up_to_the_total(
        memory in 1_u64..64 << 30,
        process in 0_u64..64 << 30,
        heap in 0.0_f64..64e9,
        managed in 0.0_f64..64e9,
        metaspace in 0.0_f64..4e9,
        slots in 0.0_f64..200.0,
        maximize: bool,
        compensate: bool,
        old: bool,
    ) {
        let generation = if old { Generation::V1_8 } else { Generation::Main };
        let mut case = Case::new(generation, &[
            ("maximize-managed-memory", if maximize { "true" } else { "false" }),
            ("scale-down-compensation.enabled", if compensate { "true" } else { "false" }),
        ]);
        case.memory = Some(memory);
        case.options.process_size = Some(MemorySize(process));
        case.set(ScalingMetric::HeapMemoryUsed, heap);
        case.set(ScalingMetric::ManagedMemoryUsed, managed);
        case.set(ScalingMetric::MetaspaceMemoryUsed, metaspace);
        case.set(ScalingMetric::NumTaskSlotsUsed, slots);
        if let Ok(plan) = case.tune() {
            let grants = [
                plan.framework_off_heap, plan.task_off_heap, plan.overhead, plan.network,
                plan.heap, plan.metaspace, plan.managed, plan.compensation,
            ];
            prop_assert!(plan.total <= plan.max);
            prop_assert_eq!(grants.iter().map(|g| g.granted).sum::<i64>(), plan.total);
            for grant in grants {
                prop_assert!(grant.granted >= 0 && grant.left >= 0, "{:?}", grant);
                prop_assert!(grant.granted == grant.wanted.min(grant.granted + grant.left), "{:?}", grant);
            }
        }
    }
}
