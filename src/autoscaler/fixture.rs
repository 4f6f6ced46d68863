//! Jobs for the tests of this room: the worked example of the contract (`autoscaler.md` §4.11), and arbitrary ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::excluded::Zone;
use super::generation::Generation;
use super::options::{Layer, Options};
use super::pass::{Pass, PassInput, ResourceCheck, TaskManager, pass};
use crate::domain::Timestamp;
use crate::domain::ids::{SlotSharingGroupId, VertexId};
use crate::domain::scaling::ScalingState;
use crate::domain::topology::{Input, ShipStrategy, Topology, Vertex};
use crate::domain::window::{GlobalSample, Sample, VertexSample, WindowStatus};

/// Options of a job from texts without the prefix `job.autoscaler.`.
pub fn options(generation: Generation, texts: &[(&str, &str)]) -> Options {
    let texts: BTreeMap<String, String> =
        texts.iter().map(|(key, value)| (format!("job.autoscaler.{key}"), (*value).to_owned())).collect();
    Options::from_layers(generation, &[(Layer::Job, &texts)]).0
}

/// An instant so many seconds after the jobs of this file started.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::seconds(1_710_000_000 + seconds)
}

pub fn id(n: u128) -> VertexId {
    VertexId::from_u128(n)
}

pub fn vertex(n: u128, name: &str, parallelism: i32, inputs: &[(u128, ShipStrategy)]) -> Vertex {
    Vertex {
        id: id(n),
        name: name.to_owned(),
        parallelism,
        max_parallelism: 128,
        source_partitions: 0,
        finished: false,
        slot_sharing_group: None,
        inputs: inputs.iter().map(|(n, ship_strategy)| Input { id: id(*n), ship_strategy: *ship_strategy }).collect(),
    }
}

/// Everything a pass needs, owned.
#[derive(Debug, Clone)]
pub struct Job {
    pub options: Options,
    pub topology: Topology,
    pub samples: Vec<Arc<Sample>>,
    pub state: ScalingState,
    pub task_manager: TaskManager,
    pub running: bool,
    pub running_since: Timestamp,
    pub full: bool,
}

pub const S1: u128 = 1;
pub const S2: u128 = 2;
pub const MAP: u128 = 3;
pub const SINK: u128 = 4;

/// The job of §4.11 at t = 270 s, with these options on top of those of the example.
pub fn worked_example(generation: Generation, texts: &[(&str, &str)]) -> Job {
    let texts: Vec<(&str, &str)> =
        [("enabled", "true"), ("stabilization.interval", "1 min"), ("metrics.window", "3 min")]
            .into_iter()
            .chain(texts.iter().copied())
            .collect();
    let topology = Topology::new(vec![
        vertex(S1, "s1", 4, &[]),
        vertex(S2, "s2", 2, &[]),
        vertex(MAP, "map", 6, &[(S1, ShipStrategy::Hash), (S2, ShipStrategy::Hash)]),
        vertex(SINK, "sink", 3, &[(MAP, ShipStrategy::Rebalance)]),
    ]);
    let sample = |load: f64, records_in: f64, records_out: f64, lag: f64| VertexSample {
        load,
        records_in,
        records_out,
        lag: Some(lag),
        ..VertexSample::MISSING
    };
    let none = f64::NAN;
    let rows = [
        (90, [(0.7, 90000.0, 8000.0), (0.21, 27000.0, 0.0), (0.45, 72000.0, none), (0.95, 36000.0, none)]),
        (150, [(0.65, 153000.0, 12000.0), (0.19, 45000.0, 0.0), (0.5, 121500.0, none), (0.98, 60750.0, none)]),
        (210, [(0.72, 216000.0, 11000.0), (0.205, 63000.0, 0.0), (0.48, 171000.0, none), (1.0, 85500.0, none)]),
        (270, [(0.68, 282000.0, 9500.0), (0.195, 81000.0, 0.0), (0.46, 222000.0, none), (0.99, 111000.0, none)]),
    ];
    let samples = rows.iter().map(|(t, vertices)| {
        let [s1, s2, map, sink] = *vertices;
        let vertices = vec![
            (id(S1), sample(s1.0, s1.1, s1.1 / 2.0, s1.2)),
            (id(S2), sample(s2.0, s2.1, s2.1, s2.2)),
            (id(MAP), sample(map.0, map.1, map.1 / 2.0, map.2)),
            (id(SINK), sample(sink.0, sink.1, 0.0, sink.2)),
        ];
        Arc::new(Sample::new(at(*t), vertices, GlobalSample::MISSING))
    });
    Job {
        options: options(generation, &texts),
        topology,
        samples: samples.collect(),
        state: ScalingState::default(),
        task_manager: TaskManager::default(),
        running: true,
        running_since: at(0),
        full: true,
    }
}

impl Job {
    pub fn now(&self) -> Timestamp {
        self.samples.last().map_or(at(0), |sample| sample.at)
    }

    pub fn pass(&self) -> Pass {
        self.pass_with(None, false)
    }

    pub fn pass_with(&self, resource_check: Option<&dyn ResourceCheck>, explain: bool) -> Pass {
        let stable_at = self.running_since + TimeDelta::minutes(1);
        let status = WindowStatus {
            samples: self.samples.len(),
            stable_at,
            full_at: stable_at + TimeDelta::minutes(3),
            fill: if self.full { 1.0 } else { 0.5 },
            full: self.full,
            length: Duration::from_secs(180),
            period: Duration::from_secs(60),
        };
        pass(&PassInput {
            options: &self.options,
            now: self.now(),
            zone: Zone::utc(),
            running: self.running,
            running_since: self.running_since,
            topology: &self.topology,
            window: &self.samples,
            status: &status,
            state: &self.state,
            task_manager: self.task_manager,
            resource_check,
            explain,
        })
    }

    /// Changes every sample of one vertex.
    pub fn each_sample(&mut self, vertex: VertexId, change: impl Fn(&mut VertexSample)) {
        for sample in &mut self.samples {
            let vertices = &mut Arc::make_mut(sample).vertices;
            vertices.iter_mut().filter(|(id, _)| *id == vertex).for_each(|(_, sample)| change(sample));
        }
    }

    /// The same job with changed vertices.
    pub fn with_vertices(mut self, change: impl Fn(&mut Vertex)) -> Self {
        let mut vertices = self.topology.vertices().to_vec();
        vertices.iter_mut().for_each(change);
        self.topology = Topology::new(vertices);
        self
    }
}

/// A value that is mostly `common`, sometimes something a gauge should not say.
fn spoiled(common: impl Strategy<Value = f64> + 'static) -> BoxedStrategy<f64> {
    prop_oneof![30 => common, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY), 1 => Just(0.0)].boxed()
}

fn any_options() -> impl Strategy<Value = Options> {
    let texts = (
        prop::sample::select(vec!["MAX", "AVG", "MIN"]),
        prop::sample::select(vec!["0.3", "0.7", "0.95"]),
        prop::sample::select(vec!["0.05", "0.3"]),
        prop::sample::select(vec!["0 s", "10 min"]),
        prop::sample::select(vec!["0 s", "1 h"]),
        prop::sample::select(vec!["1", "3"]),
        prop::sample::select(vec!["4", "50", "200"]),
        prop::sample::select(vec!["BALANCED", "EVENLY_SPREAD", "OFF"]),
    );
    (prop::sample::select(Generation::ALL.to_vec()), texts).prop_map(|(generation, t)| {
        options(
            generation,
            &[
                ("enabled", "true"),
                ("metrics.busy-time.aggregator", t.0),
                ("target.utilization", t.1),
                ("target.utilization.boundary", t.2),
                ("catch-up.duration", t.3),
                ("scale-down.interval", t.4),
                ("vertex.min-parallelism", t.5),
                ("vertex.max-parallelism", t.6),
                ("scaling.parallelism-alignment.mode", t.7),
            ],
        )
    })
}

/// Of one sample: busy time, records in, selectivity, lag, observed rate and sampled rate.
type Gauges = (f64, f64, f64, f64, f64, f64);

/// What is random of one vertex: parallelism, key groups, group, ship strategy, edges, and its samples.
type AnyVertex = ((i32, i32, bool, usize, Vec<bool>), Vec<Gauges>);

fn any_vertex(samples: usize) -> impl Strategy<Value = AnyVertex> {
    let shape = (1..60i32, 1..256i32, any::<bool>(), 0..8usize, prop::collection::vec(any::<bool>(), 8));
    let sample = (
        spoiled(0.0..1.2f64),
        spoiled((0..200_000i64).prop_map(|n| n as f64)),
        0.0..3.0f64,
        spoiled((0..5_000_000i64).prop_map(|n| n as f64)),
        spoiled(0.0..20_000.0f64),
        spoiled(0.0..20_000.0f64),
    );
    (shape, prop::collection::vec(sample, samples))
}

/// Any job: up to six vertices, two to seven samples, metrics that are sometimes missing, idle or infinite.
pub fn any_job() -> impl Strategy<Value = Job> {
    (any_options(), 1..6usize, 2..7usize)
        .prop_flat_map(|(options, vertices, samples)| {
            (Just(options), prop::collection::vec(any_vertex(samples), vertices), Just(samples))
        })
        .prop_map(|(options, vertices, samples)| build(options, &vertices, samples))
}

fn build(options: Options, random: &[AnyVertex], samples: usize) -> Job {
    const SHIPS: [ShipStrategy; 8] = [
        ShipStrategy::Hash,
        ShipStrategy::Rebalance,
        ShipStrategy::Rescale,
        ShipStrategy::Forward,
        ShipStrategy::Custom,
        ShipStrategy::Broadcast,
        ShipStrategy::Global,
        ShipStrategy::Shuffle,
    ];
    let number = |at: usize| u128::try_from(at).unwrap() + 1;
    let vertices = random.iter().enumerate().map(|(at, ((parallelism, max, group, ship, edges), _))| {
        let inputs: Vec<_> = (0..at).filter(|from| edges[*from]).map(|from| (number(from), SHIPS[*ship])).collect();
        Vertex {
            max_parallelism: (*max).max(*parallelism),
            slot_sharing_group: Some(SlotSharingGroupId::from_u128(u128::from(*group))),
            ..vertex(number(at), &format!("v{at}"), *parallelism, &inputs)
        }
    });
    let topology = Topology::new(vertices.collect());
    let sources: Vec<bool> =
        (0..random.len()).map(|at| topology.vertex(id(number(at))).is_some_and(Vertex::is_source)).collect();
    let samples = (0..samples).map(|n| {
        let vertices = random.iter().enumerate().map(|(at, (_, samples))| {
            // Counters grow: the sum of what came so far. What is not finite stays as the gauge said it.
            let total = |of: fn(&Gauges) -> f64| {
                let newest = of(&samples[n]);
                let sum: f64 = samples[..=n].iter().map(of).filter(|v| v.is_finite()).sum();
                if newest.is_finite() { sum } else { newest }
            };
            let (load, _, _, lag, observed, sampled) = samples[n];
            let sample = VertexSample {
                load,
                accumulated_busy_time: total(|s| s.0 * 1000.0),
                records_in: total(|s| s.1),
                records_out: total(|s| s.1 * s.2),
                lag: sources[at].then_some(lag),
                observed_tpr: if sources[at] { observed } else { f64::NAN },
                records_in_per_second: if sources[at] { f64::NAN } else { sampled },
            };
            (id(number(at)), sample)
        });
        let seconds = i64::try_from(n).unwrap() * 10;
        Arc::new(Sample::new(at(300 + seconds), vertices.collect(), GlobalSample::MISSING))
    });
    Job {
        options,
        topology,
        samples: samples.collect(),
        state: ScalingState::default(),
        task_manager: TaskManager::default(),
        running: true,
        running_since: at(0),
        full: true,
    }
}
