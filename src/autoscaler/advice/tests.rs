use proptest::prelude::*;

use super::*;
use crate::autoscaler::generation::Generation;
use crate::autoscaler::memory::MemoryError;
use crate::autoscaler::options::MemorySize;
use crate::domain::Timestamp;
use crate::domain::topology::{Input, ShipStrategy, Vertex};

const MIB: u64 = 1 << 20;

fn options() -> Options {
    Options { process_size: Some(MemorySize(4 << 30)), ..Options::built_in(Generation::Main) }
}

fn topology() -> Topology {
    let vertex = |id, inputs| Vertex {
        id: VertexId::from_u128(id),
        name: String::new(),
        parallelism: 4,
        max_parallelism: 128,
        source_partitions: 0,
        finished: false,
        slot_sharing_group: None,
        inputs,
    };
    let input = Input { id: VertexId::from_u128(1), ship_strategy: ShipStrategy::Hash };
    Topology::new(vec![vertex(1, Vec::new()), vertex(2, vec![input])])
}

/// One sample per triple of heap, managed and metaspace use.
fn samples(uses: &[(f64, f64, f64)]) -> Vec<Arc<Sample>> {
    let sample = |(at, &(heap_used, managed_used, metaspace_used)): (usize, &(f64, f64, f64))| {
        let at = Timestamp::from_timestamp(at as i64 * 60, 0).unwrap();
        let global = GlobalSample { heap_used, managed_used, metaspace_used, slots_used: 4.0, ..GlobalSample::MISSING };
        Arc::new(Sample::new(at, Vec::new(), global))
    };
    uses.iter().enumerate().map(sample).collect()
}

fn advice(options: &Options, uses: &[(f64, f64, f64)]) -> Result<Option<MemoryAdvice>, NoTuning> {
    let memory = options.process_size.map(|size| size.0);
    advise(&AdviceInput {
        options,
        topology: &topology(),
        samples: &samples(uses),
        task_manager_memory: memory,
        configured: None,
    })
}

fn pool(advice: &MemoryAdvice, pool: MemoryPool) -> PoolAdvice {
    *advice.pools.iter().find(|p| p.pool == pool).unwrap()
}

#[test]
fn a_heap_that_is_too_large_is_named_in_bytes_and_share() {
    let m = MIB as f64;
    let advice = advice(&options(), &[(100.0 * m, 0.0, 50.0 * m), (300.0 * m, 0.0, 50.0 * m)]).unwrap().unwrap();
    let heap = pool(&advice, MemoryPool::JvmHeap);
    assert_eq!((heap.used, heap.peak), (Some(300 * MIB), Some(300 * MIB)));
    assert_eq!(heap.proposed, 240 * MIB);
    assert_eq!(heap.floor, PoolFloor::Used { average: 200 * MIB });
    assert!(heap.below_peak());
    let (bytes, share) = advice.heap_surplus().unwrap();
    assert_eq!(bytes, heap.configured - 240 * MIB);
    assert!((share - bytes as f64 / heap.configured as f64).abs() < 1e-12 && share > 0.8);
    let managed = pool(&advice, MemoryPool::Managed);
    assert_eq!((managed.proposed, managed.floor), (0, PoolFloor::Unused));
    assert_eq!(pool(&advice, MemoryPool::Network).floor, PoolFloor::Buffers);
    assert_eq!(pool(&advice, MemoryPool::Overhead).saved(), 0);
    assert_eq!(advice.configured, 4 << 30);
    assert!(advice.saved() > 0);
}

#[test]
fn reserved_managed_memory_stays_unless_it_shall_take_the_rest() {
    let uses = [(100e6, 1e9, 50e6)];
    let kept = advice(&options(), &uses).unwrap().unwrap();
    let managed = pool(&kept, MemoryPool::Managed);
    assert_eq!((managed.saved(), managed.floor), (0, PoolFloor::Reserved));
    let maximized = Options { maximize_managed_memory: true, ..options() };
    let advice = advice(&maximized, &uses).unwrap().unwrap();
    assert_eq!(pool(&advice, MemoryPool::Managed).floor, PoolFloor::Maximized);
    assert_eq!(advice.saved(), 0);
}

#[test]
fn a_heap_that_is_too_small_asks_for_more() {
    let advice = advice(&options(), &[(8e9, 0.0, 50e6)]).unwrap().unwrap();
    let heap = pool(&advice, MemoryPool::JvmHeap);
    assert_eq!(heap.floor, PoolFloor::Exhausted { wanted: 9_600_000_000 });
    assert!(heap.saved() < 0);
    assert_eq!(advice.heap_surplus(), None);
}

#[test]
fn an_unknown_number_of_slots_costs_no_heap() {
    let known = samples(&[(1e9, 0.0, 50e6)]);
    let mut unknown = known.clone();
    Arc::make_mut(&mut unknown[0]).global.slots_used = f64::NAN;
    let [known, unknown] = [&known, &unknown].map(|samples| {
        let (options, topology) = (options(), topology());
        let memory = Some(4 << 30);
        advise(&AdviceInput {
            options: &options,
            topology: &topology,
            samples,
            task_manager_memory: memory,
            configured: None,
        })
    });
    assert_eq!(pool(&known.clone().unwrap().unwrap(), MemoryPool::JvmHeap).proposed, 1_200_000_000);
    assert_eq!(known, unknown);
}

#[test]
fn what_a_task_manager_reports_is_what_is_configured() {
    let reported = MemoryConfiguration { task_heap: 3 << 30, network: 1 << 20, ..MemoryConfiguration::default() };
    let (options, topology, samples) = (options(), topology(), samples(&[(1e9, 0.0, 50e6)]));
    let memory = Some(4 << 30);
    let input = AdviceInput {
        options: &options,
        topology: &topology,
        samples: &samples,
        task_manager_memory: memory,
        configured: Some(&reported),
    };
    let advice = advise(&input).unwrap().unwrap();
    assert_eq!(advice.configured, (3 << 30) + (1 << 20));
    assert_eq!(pool(&advice, MemoryPool::JvmHeap).configured, 3 << 30);
    // 4 subtasks read from 4: 2 gates of 4 channels with 2 buffers each and 8 that float, of 32 KiB.
    assert_eq!(pool(&advice, MemoryPool::Network).proposed, 2 * 16 * (32 << 10));
    assert!(pool(&advice, MemoryPool::Network).saved() == 0);
}

#[test]
fn nothing_is_said_without_a_basis() {
    assert_eq!(advice(&options(), &[]), Ok(None));
    assert_eq!(advice(&options(), &[(f64::NAN, 0.0, 50e6)]), Ok(None));
    let none = Options { process_size: None, ..options() };
    assert_eq!(advice(&none, &[(1e8, 0.0, 5e7)]), Err(NoTuning::Invalid(MemoryError::NotConfigured)));
}

proptest! {
    #[test]
    fn the_proposal_is_never_larger_than_the_task_manager(
        heap in 0.0_f64..20e9,
        managed in 0.0_f64..20e9,
        metaspace in 0.0_f64..2e9,
        size in 700_u64..20_000,
        maximize: bool,
    ) {
        let options = Options {
            process_size: Some(MemorySize(size * MIB)),
            maximize_managed_memory: maximize,
            ..options()
        };
        if let Ok(Some(advice)) = advice(&options, &[(heap, managed, metaspace)]) {
            prop_assert!(advice.proposed <= size * MIB);
            prop_assert_eq!(advice.proposed, advice.pools.iter().map(|p| p.proposed).sum::<u64>());
            let whole = MemorySize(advice.proposed).to_string();
            prop_assert_eq!(advice.changes.set.get("taskmanager.memory.process.size"), Some(&whole));
            prop_assert_eq!(advice.configured, size * MIB);
        }
    }
}
