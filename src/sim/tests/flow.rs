//! Records are neither made nor lost, time adds up, and capacity follows parallelism.

use proptest::prelude::*;

use super::super::flow::{Flow, Surroundings};
use super::super::graph::{Graph, shares};
use super::super::noise::Noise;
use super::super::rate::Rate;
use super::super::spec::{InputSpec, JobSpec, SourceSpec, VertexSpec};
use super::super::topic::{Cursor, Topic};
use crate::domain::topology::ShipStrategy;

struct Calm;

impl Surroundings for Calm {
    fn speed(&self, _: usize, _: usize) -> f64 {
        1.0
    }
}

#[derive(Debug, Clone)]
struct Stage {
    cost: f64,
    selectivity: f64,
    skew: f64,
    parallelism: u32,
    ship: ShipStrategy,
}

fn stage() -> impl Strategy<Value = Stage> {
    let ship = prop_oneof![
        Just(ShipStrategy::Hash),
        Just(ShipStrategy::Rebalance),
        Just(ShipStrategy::Forward),
        Just(ShipStrategy::Rescale)
    ];
    (20e-6..3e-3, 0.05..3.0, 0.0..0.3, 1u32..7, ship).prop_map(|(cost, selectivity, skew, parallelism, ship)| Stage {
        cost,
        selectivity,
        skew,
        parallelism,
        ship,
    })
}

/// A chain of stages; the last one also reads from the source directly, so that it has two inputs.
fn spec(stages: &[Stage], rate: f64) -> JobSpec {
    let vertices = stages.iter().enumerate().map(|(index, stage)| {
        let input = |from: usize, ship| InputSpec { from: format!("v{from}"), ship, ratio: 1.0 };
        let mut inputs = Vec::new();
        if index > 0 {
            inputs.push(input(index - 1, stage.ship));
        }
        if index > 1 && index == stages.len() - 1 {
            inputs.push(input(0, ShipStrategy::Rebalance));
        }
        VertexSpec {
            name: format!("v{index}"),
            id: None,
            parallelism: stage.parallelism,
            max_parallelism: None,
            cost: stage.cost,
            selectivity: if index == 0 { 1.0 } else { stage.selectivity },
            skew: stage.skew,
            record_size: 200,
            state: None,
            source: (index == 0).then_some(SourceSpec {
                rate: Rate::Constant { rate },
                partitions: 7,
                backlog: 0.0,
                reports_pending: true,
                legacy: false,
            }),
            inputs,
            slot_sharing_group: None,
        }
    });
    JobSpec {
        program: String::new(),
        name: "chain".to_owned(),
        max_parallelism: 120,
        checkpoints: Default::default(),
        failure: None,
        vertices: vertices.collect(),
    }
}

struct Run {
    graph: std::sync::Arc<Graph>,
    flow: Flow,
    topic: Topic,
    cursor: Cursor,
}

fn run(spec: JobSpec, seconds: f64, dt: f64) -> Run {
    let graph = Graph::new(spec).unwrap();
    let parallelism: Vec<u32> = graph.spec.vertices.iter().map(|v| v.parallelism).collect();
    let mut flow = Flow::new(&graph, &parallelism);
    let source = graph.spec.vertices[0].source.clone().unwrap();
    let mut topics = vec![Topic::new(source, Noise::new(1, "topic"))];
    let mut cursors: Vec<Option<Cursor>> = vec![None; parallelism.len()];
    cursors[0] = Some(Cursor { topic: 0, offsets: vec![0.0; 7] });
    let mut noise = Noise::new(1, "run");
    for step in 1..=(seconds / dt).round() as usize {
        topics[0].step(dt, step as f64 * dt);
        flow.step(&graph, dt, &mut cursors, &topics, &Calm, &mut noise);
    }
    Run { graph, flow, topic: topics.remove(0), cursor: cursors.remove(0).unwrap() }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * (1.0 + a.abs().max(b.abs()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn records_are_neither_made_nor_lost(
        stages in prop::collection::vec(stage(), 2..5),
        rate in 10.0..20_000.0,
        coarse in any::<bool>(),
    ) {
        let dt = if coarse { 1.0 } else { 0.1 };
        let run = run(spec(&stages, rate), 40.0, dt);
        prop_assert!(close(run.topic.total(), run.cursor.total() + run.cursor.lag(&run.topic)));
        let taken = |v: usize| run.flow.vertices[v].tasks.iter().map(|t| t.counters.records_in).sum::<f64>();
        let given = |v: usize| run.flow.vertices[v].tasks.iter().map(|t| t.counters.records_out).sum::<f64>();
        prop_assert!(close(run.cursor.total(), taken(0)));
        for (index, node) in run.graph.vertices.iter().enumerate().skip(1) {
            let vertex = &run.flow.vertices[index];
            let waiting: f64 = vertex.queues.iter().flat_map(|q| &q.waiting).sum();
            let sent: f64 = node.inputs.iter().map(|edge| given(edge.from) * edge.ratio).sum();
            prop_assert!(close(sent, taken(index) + waiting), "vertex {index}: {sent} sent, {} taken, {waiting} waiting", taken(index));
            let out = taken(index) * run.graph.spec.vertices[index].selectivity;
            prop_assert!(close(given(index), out));
        }
    }

    #[test]
    fn every_moment_is_busy_idle_or_back_pressured(
        stages in prop::collection::vec(stage(), 2..5),
        rate in 10.0..20_000.0,
    ) {
        let run = run(spec(&stages, rate), 20.0, 0.1);
        for task in run.flow.vertices.iter().flat_map(|v| &v.tasks) {
            let counters = &task.counters;
            prop_assert!(close(counters.lived(), 20.0), "{}", counters.lived());
            prop_assert!(counters.busy >= 0.0 && counters.idle >= 0.0 && counters.backpressured >= 0.0);
        }
    }

    #[test]
    fn queues_are_bounded(
        stages in prop::collection::vec(stage(), 2..5),
        rate in 10.0..20_000.0,
    ) {
        let run = run(spec(&stages, rate), 30.0, 0.1);
        for (vertex, stage) in run.flow.vertices.iter().zip(&stages) {
            for queue in &vertex.queues {
                // At most what fits, and what a task works off within one step.
                let most = queue.capacity + 0.1 / stage.cost * 1.2;
                prop_assert!(queue.waiting.iter().all(|w| *w <= most), "{:?} of {most}", queue.waiting);
            }
        }
    }

    #[test]
    fn shares_are_a_whole(parallelism in 1usize..40, skew in 0.0..0.9) {
        for ship in [ShipStrategy::Hash, ShipStrategy::Rebalance, ShipStrategy::Global] {
            let sum: f64 = shares(ship, parallelism, 128, skew).iter().sum();
            prop_assert!((sum - 1.0).abs() < 1e-9, "{ship:?} {sum}");
        }
    }

    #[test]
    fn more_subtasks_take_more(parallelism in 1u32..6, cost in 2e-4..2e-3) {
        let throughput = |parallelism: u32| {
            let stage = |cost, parallelism| Stage { cost, selectivity: 1.0, skew: 0.0, parallelism, ship: ShipStrategy::Rebalance };
            let mut spec = spec(&[stage(1e-6, 1), stage(cost, parallelism)], 100_000.0);
            spec.vertices[1].skew = 0.0;
            let run = run(spec, 60.0, 0.1);
            run.flow.vertices[1].tasks.iter().map(|t| t.counters.records_in).sum::<f64>() / 60.0
        };
        let (one, two) = (throughput(parallelism), throughput(parallelism * 2));
        // The true processing rate is parallelism / cost.
        prop_assert!((one * cost / f64::from(parallelism) - 1.0).abs() < 0.05, "{one}");
        prop_assert!((two / one - 2.0).abs() < 0.15, "{one} {two}");
    }
}

#[test]
fn back_pressure_travels_upstream_and_starves_downstream() {
    let stage = |cost| Stage { cost, selectivity: 1.0, skew: 0.0, parallelism: 2, ship: ShipStrategy::Hash };
    let stages = [stage(20e-6), stage(100e-6), stage(1e-3), stage(10e-6)];
    let mut spec = spec(&stages, 3000.0);
    spec.vertices[3].inputs.truncate(1);
    let run = run(spec, 120.0, 0.1);
    let share = |v: usize| {
        let c = &run.flow.vertices[v].tasks[0].counters;
        (c.busy / c.lived(), c.idle / c.lived(), c.backpressured / c.lived())
    };
    assert!(share(0).2 > 0.8, "source {:?}", share(0));
    assert!(share(1).2 > 0.7, "middle {:?}", share(1));
    assert!(share(2).0 > 0.97, "bottleneck {:?}", share(2));
    assert!(share(3).1 > 0.95, "downstream {:?}", share(3));
}

#[test]
fn a_hot_key_slows_its_whole_vertex() {
    let stage = |cost, skew| Stage { cost, selectivity: 1.0, skew, parallelism: 4, ship: ShipStrategy::Hash };
    let throughput = |skew| {
        let run = run(spec(&[stage(1e-6, 0.0), stage(1e-3, skew)], 50_000.0), 60.0, 0.1);
        run.flow.vertices[1].tasks.iter().map(|t| t.counters.records_in).sum::<f64>() / 60.0
    };
    assert!(throughput(0.0) > 3_800.0, "{}", throughput(0.0));
    assert!(throughput(0.5) < 1_900.0, "{}", throughput(0.5));
}

#[test]
fn rates_follow_their_kind() {
    let step = Rate::Step { from: 1.0, to: 2.0, at: 10.0 };
    assert_eq!((step.at(-5.0), step.at(9.9), step.at(10.0)), (1.0, 1.0, 2.0));
    let ramp = Rate::Ramp { from: 0.0, to: 10.0, at: 10.0, over: 10.0 };
    assert_eq!((ramp.at(0.0), ramp.at(15.0), ramp.at(99.0)), (0.0, 5.0, 10.0));
    let day = Rate::Diurnal { mean: 10.0, amplitude: 20.0, period: 100.0, offset: 0.0 };
    assert!((day.at(25.0) - 30.0).abs() < 1e-9);
    assert_eq!(day.at(75.0), 0.0, "never negative");
    let spike = Rate::Spike { base: 1.0, peak: 9.0, at: 10.0, lasts: 5.0, every: Some(60.0) };
    assert_eq!((spike.at(0.0), spike.at(12.0), spike.at(20.0), spike.at(71.0)), (1.0, 9.0, 1.0, 9.0));
}
