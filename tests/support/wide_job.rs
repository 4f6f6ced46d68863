//! A job of any width for benches and allocation counts: chains behind sources, every vertex in need of another parallelism.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use flightdeck::autoscaler::excluded::Zone;
use flightdeck::autoscaler::generation::Generation;
use flightdeck::autoscaler::options::{Layer, Options};
use flightdeck::autoscaler::pass::{Pass, PassInput, TaskManager, pass};
use flightdeck::domain::Timestamp;
use flightdeck::domain::ids::VertexId;
use flightdeck::domain::scaling::ScalingState;
use flightdeck::domain::topology::{Input, ShipStrategy, Topology, Vertex};
use flightdeck::domain::window::{GlobalSample, Sample, VertexSample, WindowStatus};

/// A job with everything a pass needs.
pub struct WideJob {
    options: Options,
    topology: Topology,
    samples: Vec<Arc<Sample>>,
    state: ScalingState,
    status: WindowStatus,
}

impl WideJob {
    /// So many vertices in chains of five, and so many samples ten seconds apart.
    pub fn new(vertices: usize, samples: usize) -> Self {
        let texts = BTreeMap::from(
            [
                ("job.autoscaler.enabled", "true"),
                ("job.autoscaler.scale-down.interval", "0 s"),
                ("job.autoscaler.utilization.max", "0.75"),
                ("job.autoscaler.memory.tuning.enabled", "true"),
                ("taskmanager.memory.process.size", "8 gb"),
                ("taskmanager.numberOfTaskSlots", "4"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        let (options, problems) = Options::from_layers(Generation::Main, &[(Layer::Job, &texts)]);
        assert_eq!(problems, []);
        let id = |n: usize| VertexId::from_u128(0x9e37_79b9_7f4a_7c15_u128 * (n as u128 + 1));
        let vertex = |n: usize| Vertex {
            id: id(n),
            name: format!("vertex {n}"),
            parallelism: 8,
            max_parallelism: 720,
            source_partitions: 0,
            finished: false,
            slot_sharing_group: None,
            inputs: match n % 5 {
                0 => Vec::new(),
                _ => vec![Input { id: id(n - 1), ship_strategy: ShipStrategy::Hash }],
            },
        };
        let start = Timestamp::UNIX_EPOCH + TimeDelta::days(20_000);
        let sample = |t: usize| {
            let seconds = t as f64 * 10.0;
            let vertices = (0..vertices).map(|n| {
                let source = n % 5 == 0;
                let values = VertexSample {
                    load: 0.7 + 0.01 * (t % 7) as f64 + 0.001 * (n % 11) as f64,
                    accumulated_busy_time: 7_000.3 * seconds,
                    records_in: 1_234.567 * seconds,
                    records_out: 1_234.567 * seconds,
                    lag: source.then_some(100_000.0 + 31.7 * seconds),
                    observed_tpr: if source { 1_500.123 } else { f64::NAN },
                    records_in_per_second: if source { f64::NAN } else { 1_234.5 + 0.1 * (t % 3) as f64 },
                };
                (id(n), values)
            });
            let global = GlobalSample {
                gc_pressure: 0.01,
                heap_used: 2e9,
                heap_max_usage_ratio: 0.5,
                managed_used: 1e9,
                metaspace_used: 1e8,
                slots_used: 8.0,
            };
            Arc::new(Sample::new(start + TimeDelta::seconds(10 * t as i64), vertices.collect(), global))
        };
        let status = WindowStatus {
            samples,
            stable_at: start,
            full_at: start,
            fill: 1.0,
            full: true,
            length: Duration::from_secs(600),
            period: Duration::from_secs(10),
        };
        Self {
            options,
            topology: Topology::new((0..vertices).map(vertex).collect()),
            samples: (0..samples).map(sample).collect(),
            state: ScalingState::default(),
            status,
        }
    }

    /// One pass over it.
    pub fn pass(&self, explain: bool) -> Pass {
        let now = self.samples.last().unwrap().at;
        pass(&PassInput {
            options: &self.options,
            now,
            zone: Zone::utc(),
            running: true,
            running_since: self.status.stable_at,
            topology: &self.topology,
            window: &self.samples,
            status: &self.status,
            state: &self.state,
            task_manager: TaskManager { cpu: Some(2.0), memory: Some(8 << 30) },
            resource_check: None,
            explain,
        })
    }
}
