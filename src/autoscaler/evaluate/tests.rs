//! The evaluator against the facts of the contract's test table (§14.4); whole windows are judged by recorded cases.

use super::super::fixture::{at, id, options, vertex};
use super::super::generation::Generation;
use super::*;
use crate::domain::topology::ShipStrategy::Rebalance;

/// One vertex in one sample: its id, records in and out, and the other metrics.
type Row = (u128, f64, f64, VertexSample);

fn gauge(load: f64) -> VertexSample {
    VertexSample { load, ..VertexSample::MISSING }
}

fn source(load: f64, lag: f64) -> VertexSample {
    VertexSample { lag: Some(lag), ..gauge(load) }
}

/// Samples a second apart.
fn window(rows: &[&[Row]]) -> Vec<Arc<Sample>> {
    let sample = |(t, rows): (usize, &&[Row])| {
        let vertices = rows.iter().map(|(n, records_in, records_out, sample)| {
            (id(*n), VertexSample { records_in: *records_in, records_out: *records_out, ..*sample })
        });
        Arc::new(Sample::new(at(i64::try_from(t).unwrap()), vertices.collect(), GlobalSample::MISSING))
    };
    rows.iter().enumerate().map(sample).collect()
}

fn run(options: &Options, topology: &Topology, samples: &[Arc<Sample>]) -> EvaluatedWindow {
    evaluate(options, topology, samples, Duration::from_secs(1), at(9), &mut Explain::off()).unwrap()
}

#[test]
fn target_and_catch_up_rates_flow_downstream() {
    let topology = Topology::new(vec![vertex(1, "source", 1, &[]), vertex(2, "sink", 1, &[(1, Rebalance)])]);
    let samples = window(&[
        &[(1, 0.0, 0.0, source(0.8, 950.0)), (2, 0.0, 0.0, gauge(0.4))],
        &[(1, 100.0, 0.0, source(0.6, 1000.0)), (2, 200.0, 0.0, gauge(0.3))],
    ]);
    for (catch_up, source_rate, sink_rate) in [("2 s", 500.0, 1000.0), ("1 s", 1000.0, 2000.0), ("0 s", 0.0, 0.0)] {
        for generation in Generation::ALL {
            let evaluated = run(&options(generation, &[("catch-up.duration", catch_up)]), &topology, &samples);
            let [(_, source), (_, sink)] = &evaluated.evaluation.vertices[..] else { panic!("two vertices") };
            assert_eq!((source.average(M::TargetDataRate), source.current(M::CatchUpDataRate)), (150.0, source_rate));
            assert_eq!((sink.average(M::TargetDataRate), sink.current(M::CatchUpDataRate)), (300.0, sink_rate));
            assert_eq!((source.average(M::Load), sink.average(M::Load)), (0.7, 0.35));
            assert_eq!((source.current(M::Lag), sink.get(M::Lag)), (1000.0, None));
            assert_eq!(evaluated.backlog, [1000.0, 2000.0]);
        }
    }
}

#[test]
fn a_lag_that_is_no_number_makes_the_need_unknown_and_no_lag_makes_it_nothing() {
    let topology = Topology::new(vec![vertex(1, "source", 1, &[]), vertex(2, "sink", 1, &[(1, Rebalance)])]);
    let options = options(Generation::Main, &[("catch-up.duration", "2 s")]);
    let evaluated = |newest: VertexSample| {
        let samples = window(&[
            &[(1, 0.0, 0.0, source(0.8, 900.0)), (2, 0.0, 0.0, gauge(0.4))],
            &[(1, 100.0, 0.0, source(0.8, 950.0)), (2, 100.0, 0.0, gauge(0.4))],
            &[(1, 200.0, 0.0, newest), (2, 200.0, 0.0, gauge(0.3))],
        ]);
        let [(_, source), (_, sink)] = &run(&options, &topology, &samples).evaluation.vertices[..] else { panic!() };
        assert_eq!((source.average(M::TargetDataRate), source.get(M::Lag)), (150.0, None));
        [source, sink].map(|v| (v.current(M::CatchUpDataRate), v.current(M::ScaleUpRateThreshold)))
    };
    assert!(
        evaluated(source(0.8, f64::NAN)).iter().all(|(catch_up, threshold)| catch_up.is_nan() && threshold.is_nan())
    );
    assert_eq!(evaluated(gauge(0.8)), [(0.0, 150.0); 2]);
}

#[test]
fn output_ratios_of_joined_and_crossed_inputs() {
    let ratio = |topology: &Topology, samples: &[Arc<Sample>], from: u128, to: u128| {
        let graph = Graph::new(topology);
        let rates: Vec<Rates> = series(&graph, samples, 1).unwrap().iter().map(Rates::of).collect();
        output_ratio(&graph, topology.index_of(id(from)).unwrap(), topology.index_of(id(to)).unwrap(), &rates)
    };
    let idle = gauge(0.0);
    let zero: Vec<Row> = [1, 2, 3, 4].map(|n| (n, 0.0, 0.0, idle)).to_vec();
    let joined = Topology::new(vec![
        vertex(1, "s1", 1, &[]),
        vertex(2, "s2", 1, &[]),
        vertex(3, "op1", 1, &[(1, Rebalance), (2, Rebalance)]),
        vertex(4, "sink1", 1, &[(3, Rebalance)]),
    ]);
    let samples = window(&[
        &zero,
        &[(1, 100.0, 200.0, idle), (2, 100.0, 50.0, idle), (3, 250.0, 0.0, idle), (4, 50.0, 0.0, idle)],
    ]);
    assert_eq!(ratio(&joined, &samples, 1, 3), 2.0);
    assert_eq!(ratio(&joined, &samples, 2, 3), 0.5);
    assert_eq!(ratio(&joined, &samples, 3, 4), 0.2);
    let both = [(1, Rebalance), (2, Rebalance)];
    let crossed = Topology::new(vec![
        vertex(1, "s1", 1, &[]),
        vertex(2, "s2", 1, &[]),
        vertex(3, "op1", 1, &both),
        vertex(4, "op2", 1, &both),
    ]);
    let samples =
        window(&[&zero, &[(1, 100.0, 200.0, idle), (2, 100.0, 50.0, idle), (3, 0.0, 0.0, idle), (4, 0.0, 0.0, idle)]]);
    assert_eq!([(1, 3), (1, 4), (2, 3), (2, 4)].map(|(u, v)| ratio(&crossed, &samples, u, v)), [2.0, 2.0, 0.5, 0.5]);
}

#[test]
fn capacities_for_a_utilization() {
    let metrics = |target: f64, catch_up: f64| {
        let mut metrics = EvaluatedMetrics::default();
        metrics.set(M::TargetDataRate, averaged(target));
        metrics.set(M::CatchUpDataRate, current(catch_up));
        metrics
    };
    let table = [
        (700.0, 0.0, 0.9, None, "0 s", 778.0),
        (700.0, 0.0, 0.7, Some(1.0), "0 s", 1000.0),
        (700.0, 350.0, 0.9, None, "2 s", 1128.0),
        (700.0, 350.0, 0.7, Some(1.0), "2 s", 1700.0),
        (100.0, 0.0, 0.7, Some(300.0), "1800 s", 160.0),
        (100.0, 0.0, 1.0, None, "1800 s", 100.0),
        (100.0, 0.0, 0.39999999999999997, Some(300.0), "1800 s", 267.0),
        (100.0, 0.0, 1.5, Some(300.0), "1800 s", 117.0),
        (0.2, 0.0, 0.7, None, "1500 ms", 0.0),
        (100.0, 0.0, -1.0, None, "1 s", f64::INFINITY),
    ];
    for (target, catch_up, utilization, restart, duration, expected) in table {
        let options = options(Generation::Main, &[("catch-up.duration", duration)]);
        assert_eq!(required_capacity(&options, &metrics(target, catch_up), utilization, restart), expected);
    }
    let options = options(Generation::Main, &[]);
    assert!(required_capacity(&options, &metrics(f64::NAN, 0.0), 0.0, None).is_nan());
}

#[test]
fn true_processing_rate_by_generation_and_aggregator() {
    let topology = Topology::new(vec![vertex(1, "source", 1, &[]), vertex(2, "map", 2, &[(1, Rebalance)])]);
    let map = |load: f64, busy: f64, sampled: f64| VertexSample {
        accumulated_busy_time: busy,
        records_in_per_second: sampled,
        ..gauge(load)
    };
    let samples = window(&[
        &[(1, 0.0, 0.0, source(1.0, 0.0)), (2, 0.0, 0.0, map(0.5, 0.0, 40.0))],
        &[(1, 100.0, 0.0, source(1.0, 0.0)), (2, 100.0, 0.0, map(0.5, 1000.0, 60.0))],
    ]);
    let tpr = |generation, aggregator| {
        let options = options(generation, &[("metrics.busy-time.aggregator", aggregator)]);
        run(&options, &topology, &samples).evaluation.vertices[1].1.average(M::TrueProcessingRate)
    };
    assert_eq!(tpr(Generation::Main, "MAX"), 100.0);
    assert_eq!(tpr(Generation::V1_8, "MAX"), 200.0);
    assert_eq!(tpr(Generation::Main, "AVG"), 200.0);
}

#[test]
fn a_sample_without_a_vertex_fails_the_evaluation() {
    let topology = Topology::new(vec![vertex(1, "source", 1, &[])]);
    let full: Row = (1, 0.0, 0.0, source(1.0, 0.0));
    let samples = window(&[&[full], &[], &[full]]);
    let result =
        evaluate(&options(Generation::Main, &[]), &topology, &samples, Duration::ZERO, at(9), &mut Explain::off());
    assert_eq!(result, Err(EvaluateError::MissingVertex { vertex: id(1), at: at(1) }));
}

#[test]
fn a_capacity_exactly_at_a_threshold_is_inside_the_bounds() {
    let judged = |tpr: f64, up: f64, down: f64| {
        let mut metrics = EvaluatedMetrics::default();
        metrics.set(M::TrueProcessingRate, averaged(tpr));
        metrics.set(M::ScaleUpRateThreshold, current(up));
        metrics.set(M::ScaleDownRateThreshold, current(down));
        outside_bounds(&metrics)
    };
    assert!(judged(99.999, 100.0, 250.0) && judged(250.001, 100.0, 250.0));
    assert!(!judged(100.0, 100.0, 250.0) && !judged(250.0, 100.0, 250.0));
    assert!(!judged(f64::NAN, 100.0, 250.0), "an unknown capacity is inside");
    assert!(!judged(f64::INFINITY, 100.0, f64::INFINITY), "none is more than infinite");
    assert!(judged(f64::INFINITY, 100.0, 250.0));
}
