use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::autoscaler::generation::Generation;
use crate::autoscaler::options::Layer;

fn read(pairs: &[(&str, &str)]) -> Options {
    let map: BTreeMap<String, String> =
        pairs.iter().map(|(k, v)| (format!("taskmanager.memory.{k}"), (*v).to_owned())).collect();
    let (options, problems) = Options::from_layers(Generation::Main, &[(Layer::Job, &map)]);
    assert_eq!(problems, []);
    options
}

/// The breakdowns of §7.1: flink, overhead, task heap, network, managed.
#[test]
fn pools_follow_from_the_sizes_that_are_set() {
    type Row<'a> = (&'a [(&'a str, &'a str)], [u64; 5]);
    let table: [Row<'_>; 10] = [
        (&[("process.size", "1 gb")], [603_979_776, 201_326_592, 26_843_542, 67_108_864, 241_591_914]),
        (&[("process.size", "1728 mb")], [1_342_177_280, 201_326_592, 402_653_174, 134_217_730, 536_870_920]),
        (&[("process.size", "2 gb")], [1_664_299_824, 214_748_368, 563_714_445, 166_429_984, 665_719_939]),
        (&[("process.size", "4 gb")], [3_597_035_104, 429_496_736, 1_530_082_070, 359_703_515, 1_438_814_063]),
        (&[("process.size", "8 gb")], [7_462_505_664, 858_993_472, 3_462_817_321, 746_250_577, 2_985_002_310]),
        (&[("process.size", "30 gb")], [30_870_077_440, 1_073_741_824, 15_166_603_034, 3_087_007_790, 12_348_031_160]),
        (&[("flink.size", "4 gb")], [4_294_967_296, 507_044_758, 1_879_048_160, 429_496_736, 1_717_986_944]),
        (
            &[("task.heap.size", "1 gb"), ("managed.size", "1 gb")],
            [2_684_354_564, 328_087_785, 1_073_741_824, 268_435_460, 1_073_741_824],
        ),
        (
            &[("process.size", "4 gb"), ("managed.size", "1 gb")],
            [3_597_035_104, 429_496_736, 1_895_154_309, 359_703_515, 1_073_741_824],
        ),
        (
            &[("process.size", "4 gb"), ("task.heap.size", "1 gb")],
            [3_597_035_104, 429_496_736, 1_073_741_824, 816_043_761, 1_438_814_063],
        ),
    ];
    for (set, expected) in table {
        let m = derive(&read(set)).unwrap();
        assert_eq!([m.total_flink, m.overhead, m.task_heap, m.network, m.managed], expected, "{set:?}");
    }
}

#[test]
fn contradictions_are_named() {
    assert_eq!(derive(&read(&[])), Err(MemoryError::NotConfigured));
    let wrong = |set: &[(&str, &str)]| derive(&read(set)).unwrap_err().to_string();
    assert_eq!(
        wrong(&[("process.size", "300 mb")]),
        "the configured parts of TaskManager memory need more than the process of 300 mb"
    );
    let limits =
        [("task.heap.size", "1 gb"), ("managed.size", "1 gb"), ("flink.size", "4 gb"), ("network.max", "1 gb")];
    assert_eq!(wrong(&limits), "1792 mb would remain for network memory, which is limited to 64 mb to 1 gb");
    assert!(wrong(&[("process.size", "4 gb"), ("managed.fraction", "1.0")]).contains("managed memory"));
    assert!(wrong(&[("process.size", "4 gb"), ("network.min", "2 gb"), ("network.max", "1 gb")]).contains("network"));
}

#[test]
fn products_are_exact_in_decimal() {
    assert_eq!(multiply(3_597_035_104, f64::from(0.4_f32)), 1_438_814_063);
    assert_eq!(multiply(1000, 0.0), 0);
    assert_eq!(multiply(u64::MAX, 0.1), 1_844_674_407_370_955_161);
    assert_eq!(multiply(1_000_000_000, 1e-9), 1);
    assert_eq!(multiply(10, 1e-40), 0);
    assert_eq!(multiply(3, 2e3), 6000);
    assert_eq!(multiply(3, 1e300), u64::MAX);
}

proptest! {
    #[test]
    fn the_pools_always_add_up_to_the_process(
        process in proptest::option::of(0_u64..100 << 30),
        flink in proptest::option::of(0_u64..100 << 30),
        heap in proptest::option::of(0_u64..50 << 30),
        managed in proptest::option::of(0_u64..50 << 30),
        fraction in 0.0_f32..1.0,
    ) {
        let mut options = Options::built_in(Generation::Main);
        options.process_size = process.map(MemorySize);
        options.flink_size = flink.map(MemorySize);
        options.task_heap_size = heap.map(MemorySize);
        options.managed_size = managed.map(MemorySize);
        options.managed_fraction = fraction;
        if let Ok(m) = derive(&options) {
            let inner = flink_without_network(&m) + m.network;
            prop_assert_eq!(inner, m.total_flink);
            prop_assert_eq!(inner + m.metaspace + m.overhead, m.total_process);
            if let Some(size) = options.process_size {
                prop_assert_eq!(m.total_process, size.0);
            }
        }
    }
}
