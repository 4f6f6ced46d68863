//! Rates: what a job and its vertices do now, from differences of counters that Flink keeps per attempt.
//!
//! Pure. Flink's own `*PerSecond` metrics ramp for a minute after every start (`flink-rest.md` §0.7, §0.8), so throughput and
//! time shares are differences of totals between two metric fetches.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::ids::{RunId, VertexId};
use crate::domain::job::{JobRates, TaskCounts, VertexView, Watermark};
use crate::domain::topology::Topology;
use crate::domain::window::Sample;

/// Readings are compared over at most this time: long enough for a slow metric fetcher, short enough to follow a change.
const SPAN: Duration = Duration::from_secs(30);

/// Totals of one vertex since its attempts began. A missing value is NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct VertexTotals {
    /// The vertex.
    pub id: VertexId,
    /// Its name.
    pub name: String,
    /// Subtasks.
    pub parallelism: i32,
    /// Key groups.
    pub max_parallelism: i32,
    /// Flink's execution state.
    pub status: String,
    /// Its tasks.
    pub tasks: TaskCounts,
    /// Records read.
    pub records_in: f64,
    /// Records written.
    pub records_out: f64,
    /// Milliseconds busy, summed over subtasks.
    pub busy_ms: f64,
    /// Milliseconds held back by slower vertices, summed over subtasks.
    pub backpressured_ms: f64,
    /// Milliseconds idle, summed over subtasks.
    pub idle_ms: f64,
    /// Some subtask's numbers are missing.
    pub incomplete: bool,
}

/// What the aggregated metrics of a vertex say besides its totals. A missing value is NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VertexGauges {
    /// Busy ratio of the busiest subtask.
    pub busy_max: f64,
    /// Pending records of a source.
    pub lag: f64,
}

impl VertexGauges {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { busy_max: f64::NAN, lag: f64::NAN };
}

/// One reading of all vertices.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// When it was read.
    pub at: Timestamp,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// The vertices.
    pub vertices: Vec<VertexTotals>,
}

/// The latest readings of one run that differ from one another.
#[derive(Debug, Clone, Default)]
pub struct Readings {
    kept: VecDeque<Reading>,
    gauges: BTreeMap<VertexId, VertexGauges>,
    watermarks: BTreeMap<VertexId, Watermark>,
}

impl Readings {
    /// Takes a reading. One of another run or parallelism drops the earlier ones; one that equals the last (the JobManager did
    /// not fetch metrics in between) adds nothing to difference.
    pub fn push(&mut self, reading: Reading) {
        if let Some(last) = self.kept.back() {
            let same_shape = last.run == reading.run
                && last.vertices.len() == reading.vertices.len()
                && last
                    .vertices
                    .iter()
                    .all(|v| reading.vertices.iter().any(|w| w.id == v.id && w.parallelism == v.parallelism));
            let went_back = || last.vertices.iter().zip(&reading.vertices).any(|(a, b)| b.records_out < a.records_out);
            if !same_shape || went_back() {
                *self = Self::default();
            } else if last.vertices.iter().zip(&reading.vertices).all(|(a, b)| same_counters(a, b)) {
                // The newest states and task counts still count.
                if let Some(last) = self.kept.back_mut() {
                    last.vertices = reading.vertices;
                }
                return;
            }
        }
        while self.kept.len() > 2 && self.kept.get(1).is_some_and(|r| r.at + SPAN <= reading.at) {
            self.kept.pop_front();
        }
        self.kept.push_back(reading);
    }

    /// Takes what the aggregated metrics say of a vertex.
    pub fn gauge(&mut self, vertex: VertexId, gauges: VertexGauges) {
        self.gauges.insert(vertex, gauges);
    }

    /// Takes the watermarks as they are now, in place of all earlier ones.
    pub fn watermarks(&mut self, watermarks: BTreeMap<VertexId, Watermark>) {
        self.watermarks = watermarks;
    }

    /// The vertices as they are now, in topological order where a topology is known.
    pub fn vertices(&self, topology: Option<&Topology>) -> Vec<VertexView> {
        let (Some(first), Some(last)) = (self.kept.front(), self.kept.back()) else { return Vec::new() };
        let seconds = (last.at - first.at).as_seconds_f64();
        let mut views: Vec<VertexView> = last
            .vertices
            .iter()
            .map(|now| {
                let before = first.vertices.iter().find(|v| v.id == now.id).filter(|_| seconds > 0.0);
                let rate = |total: fn(&VertexTotals) -> f64| {
                    before.map_or(f64::NAN, |b| ((total(now) - total(b)) / seconds).max(0.0))
                };
                // The three shares of a subtask's time are never more than the whole of it, although Flink fetched the totals at
                // other instants than we read them. A sum that is unknown says nothing.
                let times = [rate(|v| v.busy_ms), rate(|v| v.backpressured_ms), rate(|v| v.idle_ms)];
                let whole = (1000.0 * f64::from(now.parallelism.max(1))).max(times.iter().sum());
                let [busy, backpressured, idle] = times.map(|time| (time / whole).clamp(0.0, 1.0));
                let gauges = self.gauges.get(&now.id).copied().unwrap_or(VertexGauges::UNKNOWN);
                VertexView {
                    id: now.id,
                    name: now.name.clone(),
                    parallelism: now.parallelism,
                    max_parallelism: now.max_parallelism,
                    status: now.status.clone(),
                    tasks: now.tasks,
                    records_in: rate(|v| v.records_in),
                    records_out: rate(|v| v.records_out),
                    busy,
                    // The two are of different instants: no subtask is less busy than the busiest.
                    busy_max: if gauges.busy_max < busy { busy } else { gauges.busy_max },
                    backpressured,
                    idle,
                    lag: gauges.lag,
                    watermark: self.watermarks.get(&now.id).copied(),
                    incomplete: now.incomplete,
                }
            })
            .collect();
        if let Some(topology) = topology {
            views.sort_by_key(|v| topology.index_of(v.id).unwrap_or(usize::MAX));
            // What a source reads is not counted at task level (`flink-rest.md` §0.11): what it emits stands for it.
            for view in &mut views {
                let source = topology.vertex(view.id).is_some_and(crate::domain::topology::Vertex::is_source);
                if source && (view.records_in.is_nan() || view.records_in <= 0.0) {
                    view.records_in = view.records_out;
                }
            }
        }
        views
    }

    /// When the newest reading was taken.
    pub fn at(&self) -> Option<Timestamp> {
        self.kept.back().map(|r| r.at)
    }
}

fn same_counters(a: &VertexTotals, b: &VertexTotals) -> bool {
    let bits =
        |v: &VertexTotals| [v.records_in, v.records_out, v.busy_ms, v.backpressured_ms, v.idle_ms].map(f64::to_bits);
    bits(a) == bits(b)
}

/// The course of the lag over a series of samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LagTrend {
    /// The newest lag, records; NaN if no source reports one.
    pub lag: f64,
    /// Growth, records per second by least squares; NaN with fewer than two samples.
    pub per_second: f64,
}

/// The lag of all sources over the samples not older than `since`. Sources that report none count as zero if another does.
pub fn lag_trend<'a>(samples: impl IntoIterator<Item = &'a Sample>, since: Timestamp) -> LagTrend {
    let points: Vec<(f64, f64)> = samples
        .into_iter()
        .filter(|s| s.at >= since)
        .filter_map(|s| {
            let lags: Vec<f64> = s.vertices.iter().map(|(_, v)| v.lag()).filter(|l| l.is_finite()).collect();
            (!lags.is_empty()).then(|| ((s.at - since).as_seconds_f64(), lags.iter().sum()))
        })
        .collect();
    let lag = points.last().map_or(f64::NAN, |(_, lag)| *lag);
    if points.len() < 2 {
        return LagTrend { lag, per_second: f64::NAN };
    }
    let n = points.len() as f64;
    let (mean_t, mean_l) = points.iter().fold((0.0, 0.0), |(t, l), p| (t + p.0 / n, l + p.1 / n));
    let (cov, var) =
        points.iter().fold((0.0, 0.0), |(c, v), p| (c + (p.0 - mean_t) * (p.1 - mean_l), v + (p.0 - mean_t).powi(2)));
    LagTrend { lag, per_second: if var > 0.0 { cov / var } else { f64::NAN } }
}

/// What a vertex handled per second between the first and the last sample not older than `since`; NaN if unknown.
pub fn handled<'a>(samples: impl IntoIterator<Item = &'a Sample>, vertex: VertexId, since: Timestamp) -> f64 {
    let points: Vec<(Timestamp, f64)> = samples
        .into_iter()
        .filter(|s| s.at >= since)
        .filter_map(|s| s.vertex(vertex).map(|v| (s.at, v.records_in)))
        .filter(|(_, records)| records.is_finite())
        .collect();
    match (points.first(), points.last()) {
        (Some(first), Some(last)) if last.0 > first.0 => (last.1 - first.1) / (last.0 - first.0).as_seconds_f64(),
        _ => f64::NAN,
    }
}

/// The numbers of a job in one line.
pub fn job_rates(vertices: &[VertexView], topology: Option<&Topology>, trend: LagTrend, band: (f64, f64)) -> JobRates {
    let is_source = |v: &VertexView| topology.and_then(|t| t.vertex(v.id)).is_some_and(|v| v.is_source());
    let is_sink = |v: &VertexView| topology.is_some_and(|t| t.outputs(v.id).next().is_none());
    let sum = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::NAN, |a, b| if a.is_nan() { b } else { a + b });
    let highest = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::NAN, f64::max);
    let records_in = sum(&mut vertices.iter().filter(|v| is_source(v)).map(|v| v.records_in));
    let records_out = sum(&mut vertices.iter().filter(|v| is_sink(v)).map(|v| v.records_in));
    let current = sum(&mut vertices.iter().map(|v| v.lag).filter(|l| l.is_finite()));
    let lag = if current.is_nan() { trend.lag } else { current };
    // The lag grows by what arrives minus what is read; what is read is known.
    let arriving = records_in + if trend.per_second.is_nan() { 0.0 } else { trend.per_second };
    let lag_seconds = match lag {
        0.0 => 0.0,
        l if arriving > 0.0 => l / arriving,
        l if l.is_nan() => f64::NAN,
        _ => f64::INFINITY,
    };
    let catch_up_seconds = match (lag, trend.per_second) {
        (0.0, _) => 0.0,
        (l, r) if l.is_nan() || r.is_nan() => f64::NAN,
        (l, r) if r < 0.0 => l / -r,
        _ => f64::INFINITY,
    };
    JobRates {
        records_in,
        records_out,
        lag,
        lag_rate: trend.per_second,
        lag_seconds,
        catch_up_seconds,
        utilization: highest(&mut vertices.iter().map(|v| v.busy)),
        band_low: band.0,
        band_high: band.1,
        backpressure: highest(&mut vertices.iter().map(|v| v.backpressured)),
    }
}

#[cfg(test)]
mod tests;
