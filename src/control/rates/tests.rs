use super::*;
use crate::domain::ids::JobId;
use crate::domain::topology::{Input, ShipStrategy, Vertex};
use crate::domain::window::{GlobalSample, VertexSample};

fn at(second: i64) -> Timestamp {
    chrono::DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
}

fn id(n: u128) -> VertexId {
    VertexId::from_u128(n)
}

fn totals(n: u128, records_in: f64, records_out: f64, busy_ms: f64) -> VertexTotals {
    VertexTotals {
        id: id(n),
        name: format!("v{n}"),
        parallelism: 2,
        max_parallelism: 128,
        status: "RUNNING".into(),
        tasks: TaskCounts::default(),
        records_in,
        records_out,
        busy_ms,
        backpressured_ms: 0.0,
        idle_ms: 1.0,
        incomplete: false,
    }
}

fn reading(second: i64, run: i64, records: f64) -> Reading {
    let run = Some(RunId { job: JobId::from_u128(1), running_since: at(run) });
    Reading { at: at(second), run, vertices: vec![totals(1, 0.0, records, 0.0), totals(2, records, 0.0, records)] }
}

fn topology() -> Topology {
    let vertex = |n, inputs: &[u128]| Vertex {
        id: id(n),
        name: String::new(),
        parallelism: 2,
        max_parallelism: 128,
        source_partitions: 0,
        finished: false,
        slot_sharing_group: None,
        inputs: inputs.iter().map(|n| Input { id: id(*n), ship_strategy: ShipStrategy::Hash }).collect(),
    };
    Topology::new(vec![vertex(2, &[1]), vertex(1, &[])])
}

#[test]
fn rates_are_differences_and_a_source_reads_what_it_emits() {
    let mut readings = Readings::default();
    readings.push(reading(0, 0, 1000.0));
    assert!(readings.vertices(Some(&topology())).iter().all(|v| v.records_out.is_nan() && v.busy.is_nan()));
    readings.push(reading(10, 0, 6000.0));
    let views = readings.vertices(Some(&topology()));
    assert_eq!(views.iter().map(|v| v.id).collect::<Vec<_>>(), [id(1), id(2)]);
    assert_eq!((views[0].records_in, views[0].records_out), (500.0, 500.0));
    assert_eq!((views[1].records_in, views[1].records_out), (500.0, 0.0));
    // 5000 ms of work by two subtasks within 10 s.
    assert_eq!(views[1].busy, 0.25);
}

#[test]
fn a_reading_between_two_metric_fetches_does_not_show_as_a_standstill() {
    let mut readings = Readings::default();
    readings.push(reading(0, 0, 1000.0));
    readings.push(reading(10, 0, 6000.0));
    readings.push(reading(13, 0, 6000.0));
    assert_eq!(readings.vertices(Some(&topology()))[1].records_in, 500.0);
}

#[test]
fn readings_follow_a_change_within_half_a_minute() {
    let mut readings = Readings::default();
    for n in 0..20 {
        readings.push(reading(n * 10, 0, n as f64 * 1000.0));
    }
    for n in 0..4 {
        readings.push(reading(200 + n * 10, 0, 19_000.0 + (n + 1) as f64 * 5000.0));
    }
    let rate = readings.vertices(Some(&topology()))[1].records_in;
    assert!((rate - 500.0).abs() < 1.0, "{rate}");
}

#[test]
fn a_new_run_or_counters_that_went_back_start_anew() {
    let mut readings = Readings::default();
    readings.push(reading(0, 0, 1000.0));
    readings.push(reading(10, 0, 6000.0));
    readings.gauge(id(1), VertexGauges { busy_max: 0.5, lag: 7.0 });
    assert_eq!(readings.vertices(None)[0].lag, 7.0);
    readings.push(reading(20, 15, 100.0));
    let views = readings.vertices(None);
    assert!(views[1].records_in.is_nan() && views[0].lag.is_nan());
    readings.push(reading(30, 15, 50.0));
    assert!(readings.vertices(None)[1].records_in.is_nan());
}

fn samples(lags: &[(i64, f64)]) -> Vec<Sample> {
    lags.iter()
        .map(|(second, lag)| {
            let source = VertexSample { lag: Some(*lag), records_in: *second as f64 * 10.0, ..VertexSample::MISSING };
            Sample::new(at(*second), vec![(id(1), source), (id(2), VertexSample::MISSING)], GlobalSample::MISSING)
        })
        .collect()
}

#[test]
fn the_trend_of_the_lag_is_its_slope() {
    let trend = lag_trend(&samples(&[(0, 100.0), (10, 200.0), (20, 300.0)]), at(0));
    assert_eq!((trend.lag, trend.per_second), (300.0, 10.0));
    let since = lag_trend(&samples(&[(0, 9999.0), (10, 200.0), (20, 100.0)]), at(10));
    assert_eq!((since.lag, since.per_second), (100.0, -10.0));
    let one = lag_trend(&samples(&[(0, 100.0)]), at(0));
    assert!(one.lag == 100.0 && one.per_second.is_nan());
    let none = lag_trend(&samples(&[(0, f64::NAN), (10, f64::NAN)]), at(0));
    assert!(none.lag.is_nan() && none.per_second.is_nan());
}

#[test]
fn what_a_vertex_handled_is_its_records_over_the_time() {
    assert_eq!(handled(&samples(&[(0, 0.0), (10, 0.0), (20, 0.0)]), id(1), at(10)), 10.0);
    assert!(handled(&samples(&[(0, 0.0)]), id(1), at(0)).is_nan());
    assert!(handled(&samples(&[(0, 0.0), (10, 0.0)]), id(2), at(0)).is_nan());
}

#[test]
fn the_line_of_a_job_knows_when_its_backlog_is_gone() {
    let mut readings = Readings::default();
    readings.push(reading(0, 0, 0.0));
    readings.push(reading(10, 0, 5000.0));
    readings.gauge(id(1), VertexGauges { busy_max: 0.9, lag: 2000.0 });
    let topology = topology();
    let views = readings.vertices(Some(&topology));
    let of = |per_second| job_rates(&views, Some(&topology), LagTrend { lag: 9.0, per_second }, (0.5, 0.9));
    let shrinking = of(-100.0);
    assert_eq!((shrinking.records_in, shrinking.records_out, shrinking.lag), (500.0, 500.0, 2000.0));
    assert_eq!((shrinking.catch_up_seconds, shrinking.lag_seconds), (20.0, 5.0));
    assert_eq!(of(100.0).catch_up_seconds, f64::INFINITY);
    assert!(of(f64::NAN).catch_up_seconds.is_nan());
    assert_eq!(shrinking.utilization, 0.25);
    let nothing = job_rates(&[], None, LagTrend { lag: f64::NAN, per_second: f64::NAN }, (0.5, 0.9));
    assert!(nothing.records_in.is_nan() && nothing.lag_seconds.is_nan() && nothing.utilization.is_nan());
}
