//! Cases about collection: from answers of Flink's REST API to samples.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::json::{At, JsonError};
use super::{history, number};
use crate::autoscaler::collect::{
    Aggregates, CollectError, Collected, Collector, IoMetrics, JobDetails, ObservedVertex, RawMetrics, collect, names,
};
use crate::autoscaler::options::Options;
use crate::domain::Timestamp;
use crate::domain::evaluation::ScalingMetric;
use crate::domain::ids::VertexId;
use crate::domain::topology::{Input, ShipStrategy, Vertex};
use crate::domain::window::{GlobalSample, MetricWindow, VertexSample};

/// What the cluster knows at one loop.
#[derive(Debug, Clone)]
struct Observation {
    at: Timestamp,
    job: JobDetails,
    vertex_metrics: BTreeMap<VertexId, BTreeMap<String, Aggregates>>,
    task_managers: BTreeMap<String, Aggregates>,
    slots_total: Option<i32>,
    slots_available: Option<i32>,
}

/// Collection over several loops.
#[derive(Debug, Clone)]
pub struct CollectCase {
    observations: Vec<Observation>,
}

impl CollectCase {
    /// Reads the member `observations`.
    pub(super) fn read(at: &At<'_>) -> Result<Self, JsonError> {
        Ok(Self { observations: at.items()?.map(|one| read_observation(&one)).collect::<Result<_, _>>()? })
    }

    pub(super) fn answer(&self, options: &Options) -> Value {
        let mut collector = Collector::new();
        let mut window = MetricWindow::new();
        let mut loops = Vec::with_capacity(self.observations.len());
        for observation in &self.observations {
            let answer = match observe(observation, options, &mut collector, &window) {
                Ok((collected, raw)) => loop_answer(observation, &collected, &raw, options, &mut window),
                Err(error) if error.is_not_ready() => json!({"error": "not_ready"}),
                Err(_) => json!({"error": "failed"}),
            };
            loops.push(answer);
        }
        json!({ "loops": loops })
    }
}

/// One collection, asking the recorded cluster what a client would ask the real one.
fn observe(
    observation: &Observation,
    options: &Options,
    collector: &mut Collector,
    window: &MetricWindow,
) -> Result<(Collected, RawMetrics), CollectError> {
    let Observation { at, job, vertex_metrics, .. } = observation;
    collector.begin(job, window);
    let known = |id: &VertexId| vertex_metrics.get(id).map(|m| m.keys().cloned().collect()).unwrap_or_default();
    let lists = collector.names_wanted(job).into_iter().map(|id| (id, known(&id))).collect();
    collector.learn_names(options, *at, job, &lists)?;

    let value = |id: &VertexId, name: &str| vertex_metrics.get(id)?.get(name).map(|v| (name.to_owned(), *v));
    let vertices = collector.queries().map(|(id, names)| (id, names.iter().filter_map(|n| value(&id, n)).collect()));
    let vertices = vertices.collect();
    let task_managers = loop {
        let names = collector.task_manager_names();
        let values = names.iter().map(|name| observation.task_managers.get_key_value(*name));
        // One unknown name, and Flink answers with nothing.
        let answer: Option<BTreeMap<_, _>> = values.map(|v| v.map(|(name, value)| (name.clone(), *value))).collect();
        let answer = answer.unwrap_or_default();
        if collector.learn_task_managers(&answer)? {
            break answer;
        }
    };
    let Observation { slots_total, slots_available, .. } = *observation;
    let raw = RawMetrics { vertices, task_managers, slots_total, slots_available, rates_ramping: false };
    Ok((collect(options, *at, job, collector, &raw, window)?, raw))
}

fn loop_answer(
    observation: &Observation,
    collected: &Collected,
    raw: &RawMetrics,
    options: &Options,
    window: &mut MetricWindow,
) -> Value {
    let since = observation.job.running_since.unwrap_or(observation.at);
    let mut answer = history::keep(window, Arc::new(collected.sample.clone()), since, options);
    let topology: Map<String, Value> = collected
        .topology
        .vertices()
        .iter()
        .map(|v| {
            let mut entry = json!({"max_parallelism": v.max_parallelism});
            if options.generation.rules().source_partitions {
                entry["source_partitions"] = json!(v.source_partitions);
            }
            (v.id.to_string(), entry)
        })
        .collect();
    let vertices: Map<String, Value> = collected
        .topology
        .vertices()
        .iter()
        .filter_map(|v| Some((v, collected.sample.vertex(v.id)?)))
        .map(|(v, sample)| (v.id.to_string(), vertex_answer(v, sample, collected, options)))
        .collect();
    answer["topology"] = Value::Object(topology);
    let excluded = options.excluded_vertices().into_iter().chain(collected.excluded.iter().copied());
    answer["excluded"] = excluded.collect::<BTreeSet<_>>().iter().map(ToString::to_string).collect();
    answer["vertices"] = Value::Object(vertices);
    answer["global"] = global_answer(&collected.sample.global, raw);
    answer
}

fn vertex_answer(vertex: &Vertex, sample: &VertexSample, collected: &Collected, options: &Options) -> Value {
    use crate::autoscaler::generation::InputRateRule;
    use ScalingMetric as M;
    let mut metrics = vec![
        (M::Load, sample.load),
        (M::AccumulatedBusyTime, sample.accumulated_busy_time),
        (M::NumRecordsIn, sample.records_in),
        (M::NumRecordsOut, sample.records_out),
    ];
    if vertex.is_source() {
        metrics.extend([(M::Lag, sample.lag()), (M::ObservedTpr, sample.observed_tpr)]);
    } else if options.generation.rules().input_rate == InputRateRule::Sampled {
        metrics.push((M::NumRecordsInPerSecond, sample.records_in_per_second));
    }
    let present = metrics.into_iter().filter(|(metric, _)| !collected.absent.contains(&(vertex.id, *metric)));
    Value::Object(present.map(|(metric, value)| (metric.name().to_owned(), number(value))).collect())
}

/// The metrics whose raw values were there; one that was there and is no number is kept as NaN.
fn global_answer(global: &GlobalSample, raw: &RawMetrics) -> Value {
    use ScalingMetric as M;
    let has = |names: &[&str]| names.iter().all(|name| raw.task_managers.contains_key(*name));
    let heap = has(&[names::HEAP_MAX, names::HEAP_USED]);
    let slots = raw.slots_total.is_some() && raw.slots_available.is_some();
    let metrics = [
        (M::GcPressure, global.gc_pressure, has(&[names::GC_TIME])),
        (M::HeapMemoryUsed, global.heap_used, heap),
        (M::HeapMaxUsageRatio, global.heap_max_usage_ratio, heap),
        (M::ManagedMemoryUsed, global.managed_used, has(&[names::MANAGED_USED])),
        (M::MetaspaceMemoryUsed, global.metaspace_used, has(&[names::METASPACE_USED])),
        (M::NumTaskSlotsUsed, global.slots_used, slots),
    ];
    let present = metrics.into_iter().filter(|(_, _, present)| *present);
    Value::Object(present.map(|(metric, value, _)| (metric.name().to_owned(), number(value))).collect())
}

fn read_observation(at: &At<'_>) -> Result<Observation, JsonError> {
    let mut vertex_metrics = BTreeMap::new();
    if let Some(metrics) = at.find("vertex_metrics") {
        for entry in metrics.by_vertex()? {
            let (id, metrics) = entry?;
            vertex_metrics.insert(id, read_aggregates(&metrics)?);
        }
    }
    let task_managers = at.find("taskmanager_metrics").map_or(Ok(BTreeMap::new()), |m| read_aggregates(&m))?;
    // A text that is no number counts as missing, as in the operator.
    let slots = |name: &str| at.find("jobmanager_metrics")?.find(name)?.text().ok()?.parse().ok();
    Ok(Observation {
        at: at.get("at")?.instant()?,
        job: read_job(&at.get("job")?)?,
        vertex_metrics,
        task_managers,
        slots_total: slots("taskSlotsTotal"),
        slots_available: slots("taskSlotsAvailable"),
    })
}

fn read_aggregates(at: &At<'_>) -> Result<BTreeMap<String, Aggregates>, JsonError> {
    let metrics = at.members()?.map(|(name, metric)| {
        let part = |part: &str| metric.find(part).map_or(Ok(f64::NAN), |value| value.double());
        let aggregates = Aggregates { min: part("min")?, max: part("max")?, avg: part("avg")?, sum: part("sum")? };
        Ok((name.to_owned(), aggregates))
    });
    metrics.collect()
}

/// Reads the answer of `GET /jobs/:id` (§2.2).
fn read_job(job: &At<'_>) -> Result<JobDetails, JsonError> {
    let running_since = match job.find("timestamps") {
        Some(timestamps) => match timestamps.find("RUNNING") {
            Some(millis) => Timestamp::from_timestamp_millis(millis.long()?),
            None => None,
        },
        None => None,
    };
    let details = job.get("vertices")?;
    let details: Vec<(VertexId, At<'_>)> =
        details.items()?.map(|v| Ok((v.get("id")?.parse()?, v))).collect::<Result<_, JsonError>>()?;
    let plan = job.get("plan")?;
    let mut vertices = Vec::new();
    if let Some(nodes) = plan.find("nodes") {
        for node in nodes.items()? {
            let id: VertexId = node.get("id")?.parse()?;
            let detail = details.iter().find(|(other, _)| *other == id).map(|(_, detail)| detail);
            let detail =
                detail.ok_or_else(|| node.error(format!("vertex {id} is not among the vertices of the job")))?;
            vertices.push(read_vertex(id, &node, detail)?);
        }
    }
    Ok(JobDetails { running_since, vertices })
}

fn read_vertex(id: VertexId, node: &At<'_>, detail: &At<'_>) -> Result<ObservedVertex, JsonError> {
    let mut inputs: Vec<Input> = Vec::new();
    if let Some(list) = node.find("inputs") {
        for input in list.items()? {
            let upstream = input.get("id")?.parse()?;
            let ship_strategy = input.find("ship_strategy").map_or(Ok(""), |name| name.text())?;
            let input = Input { id: upstream, ship_strategy: ShipStrategy::parse(ship_strategy) };
            // Of several edges from one vertex the last one counts.
            match inputs.iter_mut().find(|known| known.id == upstream) {
                Some(known) => *known = input,
                None => inputs.push(input),
            }
        }
    }
    let metrics = detail.find("metrics");
    let count = |name: &str| match metrics.as_ref().and_then(|m| m.find(name)) {
        Some(value) => value.long(),
        None => Ok(0),
    };
    let busy = match metrics.as_ref().and_then(|m| m.find("accumulated-busy-time")) {
        Some(value) => value.double()?,
        None => f64::NAN,
    };
    let io = IoMetrics {
        read_records: count("read-records")?,
        write_records: count("write-records")?,
        accumulated_busy_time: busy,
    };
    let vertex = Vertex {
        id,
        name: detail.find("name").map_or(Ok(""), |name| name.text())?.to_owned(),
        parallelism: node.get("parallelism")?.int()?,
        max_parallelism: detail.get("maxParallelism")?.int()?,
        source_partitions: 0,
        finished: detail.find("status").map_or(Ok(""), |status| status.text())? == "FINISHED",
        slot_sharing_group: match detail.find("slotSharingGroupId") {
            Some(group) => Some(group.parse()?),
            None => None,
        },
        inputs,
    };
    Ok(ObservedVertex { vertex, io })
}
