//! Flink's answers as plain inputs: of the pipeline's collection, of the rates, and of the views.

use std::collections::BTreeMap;

use futures::future::join_all;

use crate::autoscaler::collect::{self, Aggregates, Collector, IoMetrics, ObservedVertex};
use crate::control::rates::{Reading, VertexTotals};
use crate::domain::Timestamp;
use crate::domain::ids::{JobId, VertexId};
use crate::domain::job::{SubtasksView, TaskManagerView, Watermark};
use crate::domain::topology::Topology;
use crate::flink::{Aggregate, Aggregated, FlinkClient, FlinkError, JobDetails, TaskManager, names, pool_usages};

/// TaskManagers whose details are asked in one round.
const TASK_MANAGERS: usize = 64;

/// Vertices whose watermarks are asked in one round.
const WATERMARKS: usize = 64;

/// Metrics of all TaskManagers of a cluster, by name.
pub(in crate::control) type TaskManagerMetrics = BTreeMap<String, Aggregates>;

/// Remembers which TaskManager metrics the cluster has.
#[derive(Debug, Default)]
pub(in crate::control) struct TaskManagerCollector {
    names: Collector,
}

impl TaskManagerCollector {
    /// Asks for them: one request, two the first time with an older Flink.
    pub async fn collect(&mut self, client: &FlinkClient) -> Result<TaskManagerMetrics, FlinkError> {
        let mut metrics = BTreeMap::new();
        for _ in 0..2 {
            let wanted = self.names.task_manager_names();
            let answer = client
                .task_managers_metrics(wanted, &[Aggregate::Min, Aggregate::Max, Aggregate::Avg, Aggregate::Sum])
                .await?;
            metrics = answer.into_iter().map(|(name, value)| (name, aggregates(value))).collect();
            if self.names.learn_task_managers(&metrics) == Ok(true) {
                break;
            }
        }
        Ok(metrics)
    }
}

/// An aggregated metric in the pipeline's words.
pub(in crate::control) fn aggregates(value: Aggregated) -> Aggregates {
    Aggregates { min: value.min, max: value.max, avg: value.avg, sum: value.sum }
}

/// The job details in the pipeline's words; `None` while Flink gives no plan.
pub(in crate::control) fn observed_job(details: &JobDetails) -> Option<collect::JobDetails> {
    let topology = details.topology()?;
    let vertices = topology
        .vertices()
        .iter()
        .filter_map(|vertex| {
            let found = details.vertices.iter().find(|v| v.id == vertex.id)?;
            let io = IoMetrics {
                read_records: i64::try_from(found.metrics.read_records).unwrap_or(i64::MAX),
                write_records: i64::try_from(found.metrics.write_records).unwrap_or(i64::MAX),
                accumulated_busy_time: found.metrics.accumulated_busy_time,
            };
            Some(ObservedVertex { vertex: vertex.clone(), io })
        })
        .collect();
    Some(collect::JobDetails { running_since: details.timestamps.running, vertices })
}

/// Vertices that run and of which some subtask's numbers are missing.
pub(in crate::control) fn incomplete(details: &JobDetails) -> Vec<VertexId> {
    let unfinished = details.vertices.iter().filter(|v| v.status != "FINISHED");
    unfinished.filter(|v| !v.metrics.is_complete()).map(|v| v.id).collect()
}

/// The job details as one reading of totals.
pub(in crate::control) fn reading(details: &JobDetails, at: Timestamp) -> Reading {
    let vertices = details
        .vertices
        .iter()
        .map(|v| VertexTotals {
            id: v.id,
            name: v.name.clone(),
            parallelism: v.parallelism,
            max_parallelism: v.max_parallelism,
            status: v.status.clone(),
            tasks: v.tasks,
            records_in: v.metrics.read_records as f64,
            records_out: v.metrics.write_records as f64,
            busy_ms: v.metrics.accumulated_busy_time,
            backpressured_ms: v.metrics.accumulated_backpressured_time,
            idle_ms: v.metrics.accumulated_idle_time,
            incomplete: v.status != "FINISHED" && !v.metrics.is_complete(),
        })
        .collect();
    Reading { at, run: details.run(), vertices }
}

/// Parallelism by vertex.
pub(in crate::control) fn parallelism(details: &JobDetails) -> BTreeMap<VertexId, i32> {
    details.vertices.iter().map(|v| (v.id, v.parallelism)).collect()
}

/// The subtasks of a vertex with their pressure: two requests.
pub(in crate::control) async fn subtasks(
    client: &FlinkClient,
    job: JobId,
    vertex: VertexId,
) -> Result<SubtasksView, FlinkError> {
    let (found, pressure) = tokio::join!(client.vertex(job, vertex), client.back_pressure(job, vertex));
    let found = found?;
    // The first answer after a quiet time has none: the ratios are unknown then.
    let pressure = pressure.ok().flatten();
    let of = |index: u32| pressure.as_ref().and_then(|p| p.subtasks.iter().find(|s| s.subtask == index));
    let mut subtasks: Vec<_> = found.subtasks.iter().map(|s| s.view(of(s.subtask))).collect();
    subtasks.sort_by_key(|s| s.index);
    Ok(SubtasksView { vertex, subtasks })
}

/// The lowest watermark at the input of each of the first 64 vertices that have an input: one request each. A vertex that gives
/// no answer is left out.
pub(in crate::control) async fn watermarks(
    client: &FlinkClient,
    job: JobId,
    topology: &Topology,
) -> BTreeMap<VertexId, Watermark> {
    let with_input = topology.vertices().iter().filter(|v| !v.is_source()).map(|v| v.id).take(WATERMARKS);
    let asked = with_input.map(|vertex| async move {
        let by_subtask = client.watermarks(job, vertex).await.ok()?;
        Some((vertex, by_subtask.into_values().min()?))
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// All TaskManagers: one request, and two for each of the first 64.
pub(in crate::control) async fn task_managers(client: &FlinkClient) -> Result<Vec<TaskManagerView>, FlinkError> {
    let listed = client.task_managers().await?;
    let views = listed.iter().enumerate().map(|(index, listed)| async move {
        if index >= TASK_MANAGERS {
            return task_manager_view(listed, &BTreeMap::new());
        }
        let wanted = [names::MANAGED_USED, names::METASPACE_USED, names::CPU_LOAD, names::GC_TIME];
        let (details, metrics) =
            tokio::join!(client.task_manager(&listed.id), client.task_manager_metrics(&listed.id, &wanted));
        // One that left in between is shown as it was listed.
        let details = details.unwrap_or_else(|_| listed.clone());
        let metrics = metrics.unwrap_or_default().into_iter().map(|(name, value)| (name, value.number())).collect();
        task_manager_view(&details, &metrics)
    });
    Ok(join_all(views).await)
}

fn task_manager_view(found: &TaskManager, metrics: &BTreeMap<String, f64>) -> TaskManagerView {
    let metric = |name: &str| metrics.get(name).copied().unwrap_or(f64::NAN);
    let bytes = |name: &str| Some(metric(name)).filter(|v| v.is_finite() && *v >= 0.0).map(|v| v as u64);
    let mut allocated: BTreeMap<JobId, u32> = BTreeMap::new();
    for slot in &found.allocated_slots {
        *allocated.entry(slot.job_id).or_default() += 1;
    }
    TaskManagerView {
        id: found.id.clone(),
        slots: found.slots,
        free_slots: found.free_slots,
        allocated: allocated.into_iter().collect(),
        heartbeat_at: found.last_heartbeat,
        cpu_cores: found.total_resource.cpu_cores,
        cpu_load: metric(names::CPU_LOAD),
        memory: found.memory_configuration,
        pools: pool_usages(found, bytes(names::MANAGED_USED), bytes(names::METASPACE_USED)),
        gc: metric(names::GC_TIME) / 1000.0,
        container_limit: None,
    }
}
