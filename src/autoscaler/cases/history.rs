//! Cases about one rule over time: alignment of one vertex, window bookkeeping, one series, restart tracking.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::json::{At, JsonError};
use super::{instant, number};
use crate::autoscaler::alignment::{Shape, clamp_and_align};
use crate::autoscaler::explain::Explain;
use crate::autoscaler::generation::Generation;
use crate::autoscaler::options::Options;
use crate::autoscaler::{events, restart, window};
use crate::domain::Timestamp;
use crate::domain::evaluation::EvaluatedMetrics;
use crate::domain::ids::VertexId;
use crate::domain::scaling::{RestartRecord, ScalingState, ScalingSummary};
use crate::domain::topology::{ShipStrategy, Topology, Vertex};
use crate::domain::window::{GlobalSample, MetricWindow, Sample};

/// Clamp and alignment of one vertex.
#[derive(Debug, Clone)]
pub struct AlignCase {
    shape: Shape,
    factor: f64,
}

impl AlignCase {
    /// Reads the member `align`.
    pub(super) fn read(at: &At<'_>) -> Result<Self, JsonError> {
        let inputs = at.get("inputs")?;
        let mut is_source = true;
        let mut keyed = false;
        for input in inputs.items()? {
            is_source = false;
            keyed |= ShipStrategy::parse(input.text()?) == ShipStrategy::Hash;
        }
        let shape = Shape {
            vertex: at.get("vertex")?.parse()?,
            current: at.get("current")?.int()?,
            max_parallelism: at.get("max_parallelism")?.int()?,
            source_partitions: at.get("source_partitions")?.int()?,
            is_source,
            keyed,
            lower: at.get("min")?.int()?,
            upper: at.get("max")?.int()?,
        };
        Ok(Self { shape, factor: at.get("factor")?.double()? })
    }

    pub(super) fn answer(&self, options: &Options) -> Value {
        match clamp_and_align(options, &self.shape, self.factor, &mut Explain::off()) {
            Ok(aligned) => {
                let events =
                    aligned.limited.map(|limited| events::scaling_limited(options, self.shape.vertex, &limited));
                let events: Vec<Value> = events.iter().map(super::pass::event).collect();
                json!({"parallelism": aligned.parallelism, "events": events})
            }
            Err(error) => json!({"error": error.to_string()}),
        }
    }
}

/// Window bookkeeping over several loops.
#[derive(Debug, Clone)]
pub struct LoopsCase {
    loops: Vec<(Timestamp, Timestamp)>,
}

impl LoopsCase {
    /// Reads the member `loops`.
    pub(super) fn read(at: &At<'_>) -> Result<Self, JsonError> {
        let loops = at.items()?.map(|one| Ok((one.get("at")?.instant()?, one.get("running_since")?.instant()?)));
        Ok(Self { loops: loops.collect::<Result<_, _>>()? })
    }

    pub(super) fn answer(&self, options: &Options) -> Value {
        let mut window = MetricWindow::new();
        let loops = self.loops.iter().map(|(at, running_since)| {
            let sample = Arc::new(Sample::new(*at, Vec::new(), GlobalSample::MISSING));
            keep(&mut window, sample, *running_since, options)
        });
        json!({"loops": loops.collect::<Vec<_>>()})
    }
}

/// Adds a sample to the window and tells its state, as the cases of families `window` and `collect` expect it.
pub(super) fn keep(
    window: &mut MetricWindow,
    sample: Arc<Sample>,
    running_since: Timestamp,
    options: &Options,
) -> Value {
    let at = sample.at;
    let status = window::record(window, sample, running_since, options, Duration::from_secs(60));
    let handed_on = window::handed_on(window, status.stable_at, at, options.generation).len();
    let stored = window.samples();
    json!({
        "stored": stored.len(),
        "handed_on": handed_on,
        "fully_collected": status.full,
        "first": stored.first().map(|s| instant(s.at)),
        "last": stored.last().map(|s| instant(s.at)),
    })
}

/// Rate and average of one series.
#[derive(Debug, Clone)]
pub struct SeriesCase {
    points: Vec<(Timestamp, f64)>,
    min_observations: i32,
}

impl SeriesCase {
    /// Reads the members `series` and `min_observations`.
    pub(super) fn read(root: &At<'_>) -> Result<Self, JsonError> {
        let series = root.get("series")?;
        let points = series.items()?.map(|point| {
            let value = point.find("value").map_or(Ok(f64::NAN), |value| value.double())?;
            Ok((point.get("at")?.instant()?, value))
        });
        let points = points.collect::<Result<_, _>>()?;
        let min_observations = root.find("min_observations").map_or(Ok(1), |n| n.int())?;
        Ok(Self { points, min_observations })
    }

    pub(super) fn answer(&self, generation: Generation) -> Value {
        let rate = window::rate(self.points.iter().copied(), generation.rules().least_rate_ms);
        let average = window::average(self.points.iter().map(|(_, value)| *value), self.min_observations);
        json!({"rate": number(rate), "average": number(average)})
    }
}

/// One step of a restart case.
#[derive(Debug, Clone)]
enum RestartStep {
    Scaled { at: Timestamp, changes: Vec<(VertexId, i32, i32)> },
    Loop { at: Timestamp, running_since: Timestamp, topology: Topology },
}

/// Restart tracking over scalings and loops.
#[derive(Debug, Clone)]
pub struct RestartCase {
    steps: Vec<RestartStep>,
}

impl RestartCase {
    /// Reads the member `steps`.
    pub(super) fn read(at: &At<'_>) -> Result<Self, JsonError> {
        Ok(Self { steps: at.items()?.map(|step| Self::step(&step)).collect::<Result<_, _>>()? })
    }

    fn step(step: &At<'_>) -> Result<RestartStep, JsonError> {
        let at = step.get("at")?.instant()?;
        if let Some(scaled) = step.find("scaled") {
            let changes = scaled.by_vertex()?.map(|entry| {
                let (id, change) = entry?;
                Ok((id, change.get("from")?.int()?, change.get("to")?.int()?))
            });
            return Ok(RestartStep::Scaled { at, changes: changes.collect::<Result<_, _>>()? });
        }
        let parallelism = step.get("parallelism")?;
        let vertices = parallelism.by_vertex()?.map(|entry| {
            let (id, parallelism) = entry?;
            Ok(bare_vertex(id, parallelism.int()?))
        });
        let topology = Topology::new(vertices.collect::<Result<_, _>>()?);
        Ok(RestartStep::Loop { at, running_since: step.get("running_since")?.instant()?, topology })
    }

    pub(super) fn answer(&self, options: &Options) -> Value {
        let mut state = ScalingState::default();
        let mut loops = Vec::new();
        for step in &self.steps {
            match step {
                RestartStep::Scaled { at, changes } => {
                    // A scaling comes after its loop: nothing it knows of has vanished since.
                    let known = state.history.keys().map(|id| bare_vertex(*id, 0)).collect();
                    restart::trim(&mut state, &Topology::new(known), options, *at);
                    let summaries = changes.iter().map(|&(id, from, to)| {
                        (id, ScalingSummary { at: *at, from, to, metrics: EvaluatedMetrics::default() })
                    });
                    restart::remember(&mut state, *at, summaries);
                }
                RestartStep::Loop { at, running_since, topology } => {
                    restart::trim(&mut state, topology, options, *at);
                    let recorded = restart::record(&mut state, topology, *running_since);
                    let time = restart::estimate(&state.restarts, options).time;
                    loops.push(json!({
                        "recorded": recorded,
                        "restarts": restarts(&state.restarts),
                        "restart_time_seconds": time.as_secs_f64(),
                    }));
                }
            }
        }
        json!({ "loops": loops })
    }
}

fn bare_vertex(id: VertexId, parallelism: i32) -> Vertex {
    Vertex {
        id,
        name: String::new(),
        parallelism,
        max_parallelism: i32::MAX,
        source_partitions: 0,
        finished: false,
        slot_sharing_group: None,
        inputs: Vec::new(),
    }
}

/// Restart records as cases write them.
pub(super) fn restarts(records: &[RestartRecord]) -> Value {
    let record = |record: &RestartRecord| {
        let seconds = record.duration.map(|d| d.as_seconds_f64());
        json!({"at": instant(record.at), "restart_duration_seconds": seconds})
    };
    records.iter().map(record).collect()
}

/// Reads restart records, oldest first.
pub(super) fn read_restarts(at: &At<'_>) -> Result<Vec<RestartRecord>, JsonError> {
    let read = |record: At<'_>| {
        let duration = match record.find("restart_duration_seconds") {
            Some(seconds) => Some(chrono::TimeDelta::milliseconds((seconds.double()? * 1000.0).round() as i64)),
            None => None,
        };
        Ok(RestartRecord { at: record.get("at")?.instant()?, duration })
    };
    at.items()?.map(read).collect()
}

/// Reads the stored history of executed scalings.
pub(super) fn read_scalings(at: &At<'_>) -> Result<BTreeMap<VertexId, Vec<ScalingSummary>>, JsonError> {
    let mut history = BTreeMap::new();
    for entry in at.by_vertex()? {
        let (id, summaries) = entry?;
        let read = |summary: At<'_>| {
            Ok(ScalingSummary {
                at: summary.get("at")?.instant()?,
                from: summary.get("from")?.int()?,
                to: summary.get("to")?.int()?,
                metrics: match summary.find("metrics") {
                    Some(metrics) => super::pass::read_evaluated(&metrics)?,
                    None => EvaluatedMetrics::default(),
                },
            })
        };
        let summaries: Result<Vec<_>, JsonError> = summaries.items()?.map(read).collect();
        history.insert(id, summaries?);
    }
    Ok(history)
}
