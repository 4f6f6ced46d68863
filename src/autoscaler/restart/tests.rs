use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::super::generation::Generation;
use super::super::options::Layer;
use super::*;
use crate::domain::evaluation::EvaluatedMetrics;
use crate::domain::topology::Vertex;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::seconds(1_700_000_000 + seconds)
}

fn options(texts: &[(&str, &str)]) -> Options {
    let texts: BTreeMap<String, String> =
        texts.iter().map(|(k, v)| (format!("job.autoscaler.{k}"), (*v).to_owned())).collect();
    Options::from_layers(Generation::Main, &[(Layer::Job, &texts)]).0
}

fn closed(seconds: i64, duration: i64) -> RestartRecord {
    RestartRecord { at: at(seconds), duration: Some(TimeDelta::seconds(duration)) }
}

fn topology(parallelism: &[(u128, i32)]) -> Topology {
    let vertex = |(id, parallelism): &(u128, i32)| Vertex {
        id: VertexId::from_u128(*id),
        name: String::new(),
        parallelism: *parallelism,
        max_parallelism: 128,
        source_partitions: 0,
        finished: false,
        slot_sharing_group: None,
        inputs: Vec::new(),
    };
    Topology::new(parallelism.iter().map(vertex).collect())
}

fn summary(seconds: i64, from: i32, to: i32) -> ScalingSummary {
    ScalingSummary { at: at(seconds), from, to, metrics: EvaluatedMetrics::default() }
}

#[test]
fn configured_time_counts_unless_tracking_is_on_and_has_a_record() {
    let fixed = |records: &[RestartRecord], texts: &[(&str, &str)]| {
        let estimate = estimate(records, &options(texts));
        (estimate.time.as_secs(), estimate.measured)
    };
    let on = ("restart.time-tracking.enabled", "true");
    assert_eq!(fixed(&[], &[on]), (300, false));
    assert_eq!(fixed(&[closed(0, 180), closed(1, 299)], &[]), (300, false));
    assert_eq!(fixed(&[], &[("restart.time", "901 s")]), (901, false));
    assert_eq!(fixed(&[closed(0, 180), closed(1, 899)], &[on]), (899, true));
    assert_eq!(fixed(&[closed(0, 180), closed(1, 901)], &[on]), (900, true));
    assert_eq!(fixed(&[closed(0, -5)], &[on]), (300, false));
}

#[test]
fn the_newest_record_is_closed_when_every_scaled_vertex_runs_as_wanted() {
    let mut state = ScalingState::default();
    let (a, b) = (VertexId::from_u128(1), VertexId::from_u128(2));
    remember(&mut state, at(0), [(a, summary(0, 1, 2)), (b, summary(0, 3, 4))]);
    assert!(!record(&mut state, &topology(&[(1, 2), (2, 3)]), at(60)));
    assert!(!record(&mut state, &topology(&[(1, 2)]), at(60)));
    assert!(record(&mut state, &topology(&[(1, 2), (2, 4)]), at(60)));
    assert_eq!(state.restarts, [closed(0, 60)]);
    assert!(!record(&mut state, &topology(&[(1, 2), (2, 4)]), at(99)), "a duration is recorded once");
}

#[test]
fn trimming_keeps_the_edge_the_count_and_the_newest_restart() {
    let hour = 3600;
    let topology = topology(&[(1, 2)]);
    let mut state = ScalingState {
        restarts: vec![closed(-3 * hour, 1), closed(-2 * hour, 1), closed(-hour, 1)],
        ..ScalingState::default()
    };
    let id = VertexId::from_u128(1);
    state.history.insert(id, vec![summary(-2 * hour, 1, 2), summary(-hour, 2, 1), summary(0, 1, 2)]);
    state.history.insert(VertexId::from_u128(9), vec![summary(0, 1, 2)]);
    trim(&mut state, &topology, &options(&[("history.max.age", "1 h"), ("history.max.count", "9")]), at(0));
    assert_eq!(state.restarts, [closed(-hour, 1)]);
    assert_eq!(state.history.get(&id).map(Vec::len), Some(2));
    assert_eq!(state.history.len(), 1, "vanished vertices are forgotten");
    trim(&mut state, &topology, &options(&[("history.max.count", "1")]), at(86_400 * 2));
    assert_eq!(state.restarts, [closed(-hour, 1)], "the newest record stays");
    assert!(state.history.is_empty());
}
