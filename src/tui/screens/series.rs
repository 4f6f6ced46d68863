//! Series for charts, taken from the metric window: seconds before its newest sample, and a value that is NaN where it is missing.

use crate::domain::Timestamp;
use crate::domain::ids::VertexId;
use crate::domain::topology::Topology;
use crate::domain::window::{MetricWindow, Sample, VertexSample};

/// Points of a chart.
pub(super) type Points = Vec<(f64, f64)>;

/// When the newest sample was taken.
pub(super) fn newest(window: &MetricWindow) -> Option<Timestamp> {
    window.samples().last().map(|sample| sample.at)
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to - from).as_seconds_f64()
}

/// A value of every sample.
fn each(window: &MetricWindow, value: impl Fn(&Sample) -> f64) -> Points {
    let Some(end) = newest(window) else { return Vec::new() };
    window.samples().iter().map(|sample| (seconds(end, sample.at), value(sample))).collect()
}

/// A value of every sample and one before it, at least `least` seconds earlier: what happened between them. Flink's totals are as
/// old as its last fetch of them, so over a shorter time than a few fetches a difference tells mostly when those were.
fn between(window: &MetricWindow, least: f64, value: impl Fn(&Sample, &Sample, f64) -> f64) -> Points {
    let Some(end) = newest(window) else { return Vec::new() };
    let samples = window.samples();
    let mut first = 0;
    let mut points = Vec::new();
    for after in samples {
        while samples.get(first + 1).is_some_and(|next| seconds(next.at, after.at) >= least && next.at < after.at) {
            first += 1;
        }
        let Some(before) = samples.get(first) else { break };
        let time = seconds(before.at, after.at);
        if time > 0.0 && time >= least {
            points.push((seconds(end, after.at), value(before, after, time)));
        }
    }
    points
}

/// Growth of a counter between two samples; NaN if it is missing, or fell because tasks were replaced.
fn growth(before: &Sample, after: &Sample, vertex: VertexId, counter: impl Fn(&VertexSample) -> f64) -> f64 {
    match (before.vertex(vertex), after.vertex(vertex)) {
        (Some(before), Some(after)) => {
            let grown = counter(after) - counter(before);
            if grown >= 0.0 { grown } else { f64::NAN }
        }
        _ => f64::NAN,
    }
}

/// Busy ratio of a vertex.
pub(super) fn load(window: &MetricWindow, vertex: VertexId) -> Points {
    each(window, |sample| sample.vertex(vertex).map_or(f64::NAN, |v| v.load))
}

/// Pending records of a source.
pub(super) fn lag(window: &MetricWindow, vertex: VertexId) -> Points {
    each(window, |sample| sample.vertex(vertex).map_or(f64::NAN, |v| v.lag()))
}

/// Records a second that a vertex read.
pub(super) fn rate(window: &MetricWindow, least: f64, vertex: VertexId) -> Points {
    between(window, least, |before, after, time| growth(before, after, vertex, |v| v.records_in) / time)
}

/// Records a second that a vertex could have read at 100 % busy: what it read for each second that a subtask was busy, times
/// its subtasks (`autoscaler.md` §4.4, without the averaging over the window).
pub(super) fn capacity(window: &MetricWindow, least: f64, vertex: VertexId, parallelism: i32) -> Points {
    between(window, least, |before, after, _| {
        let busy = growth(before, after, vertex, |v| v.accumulated_busy_time) / 1000.0;
        let capacity = growth(before, after, vertex, |v| v.records_in) / busy * f64::from(parallelism);
        if capacity.is_finite() { capacity } else { f64::NAN }
    })
}

/// Sum of a value of all sources; NaN only if every source lacks it.
fn sum_of_sources(topology: &Topology, value: impl Fn(VertexId) -> f64) -> f64 {
    let sources = topology.vertices().iter().filter(|vertex| vertex.is_source());
    sources
        .map(|vertex| value(vertex.id))
        .filter(|value| !value.is_nan())
        .fold(f64::NAN, |sum, value| if sum.is_nan() { value } else { sum + value })
}

/// Records a second that all sources read.
pub(super) fn job_rate(window: &MetricWindow, least: f64, topology: &Topology) -> Points {
    between(window, least, |before, after, time| {
        sum_of_sources(topology, |vertex| growth(before, after, vertex, |v| v.records_in)) / time
    })
}

/// Pending records of all sources.
pub(super) fn job_lag(window: &MetricWindow, topology: &Topology) -> Points {
    each(window, |sample| sum_of_sources(topology, |vertex| sample.vertex(vertex).map_or(f64::NAN, |v| v.lag())))
}

/// Busy ratio of the busiest vertex.
pub(super) fn job_load(window: &MetricWindow) -> Points {
    each(window, |sample| {
        sample.vertices.iter().map(|(_, v)| v.load).filter(|load| !load.is_nan()).fold(f64::NAN, f64::max)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::domain::window::GlobalSample;

    #[test]
    fn rates_come_from_counters_and_a_counter_that_fell_is_a_hole() {
        let vertex = VertexId::from_u128(1);
        let sample = |at: u64, records_in: f64, busy: f64| {
            let values = VertexSample { records_in, accumulated_busy_time: busy, ..VertexSample::MISSING };
            let at = Timestamp::UNIX_EPOCH + Duration::from_secs(at);
            Arc::new(Sample::new(at, vec![(vertex, values)], GlobalSample::MISSING))
        };
        let window = MetricWindow::from_samples(vec![
            sample(0, 0.0, 0.0),
            sample(10, 1_000.0, 5_000.0),
            sample(20, 100.0, 200.0),
        ]);
        let rates = rate(&window, 0.0, vertex);
        assert_eq!(rates[0], (-10.0, 100.0));
        assert!(rates[1].1.is_nan());
        assert_eq!(capacity(&window, 0.0, vertex, 2)[0], (-10.0, 400.0));
        assert!(load(&window, vertex).iter().all(|(_, load)| load.is_nan()));
        assert!(rate(&MetricWindow::new(), 0.0, vertex).is_empty());
    }

    #[test]
    fn a_rate_over_several_fetches_does_not_show_when_they_were() {
        let vertex = VertexId::from_u128(1);
        // Flink fetches every 10 s; so do we, now just before and now just after: nothing, then twice as much.
        let sample = |n: u64| {
            let values = VertexSample { records_in: (n / 2 * 2) as f64 * 1_000.0, ..VertexSample::MISSING };
            let at = Timestamp::UNIX_EPOCH + Duration::from_secs(n * 10);
            Arc::new(Sample::new(at, vec![(vertex, values)], GlobalSample::MISSING))
        };
        let window = MetricWindow::from_samples((0..13).map(sample).collect());
        let spread = |points: Points| points.iter().map(|(_, rate)| (rate - 100.0).abs()).fold(0.0, f64::max);
        assert_eq!(spread(rate(&window, 0.0, vertex)), 100.0);
        let smooth = rate(&window, 40.0, vertex);
        assert_eq!((smooth.len(), smooth[0].0), (9, -80.0));
        assert_eq!(spread(smooth), 0.0);
    }
}
