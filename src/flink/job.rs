//! `GET /jobs/:id`: state, vertices with their totals, and the plan; and the topology made of them.

use serde::{Deserialize, Deserializer};

use crate::domain::Timestamp;
use crate::domain::ids::{JobId, RunId, SlotSharingGroupId, VertexId};
use crate::domain::job::{JobState, Scheduler, TaskCounts};
use crate::domain::topology::{Input, ShipStrategy, Topology, Vertex};

use super::client::FlinkClient;
use super::decode;
use super::error::FlinkError;

/// `GET /jobs/:id`. Served from a cache of `web.refresh-interval` (3 s): state, tasks and parallelism may be that old, while
/// [`now`](JobDetails::now) and the vertices' totals are of the request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobDetails {
    /// Its id.
    #[serde(rename = "jid")]
    pub id: JobId,
    /// Its name.
    pub name: String,
    /// Its state.
    #[serde(deserialize_with = "decode::job_state")]
    pub state: JobState,
    /// When it was submitted.
    #[serde(deserialize_with = "decode::instant")]
    pub start_time: Option<Timestamp>,
    /// When it ended.
    #[serde(deserialize_with = "decode::instant")]
    pub end_time: Option<Timestamp>,
    /// The time at the JobManager when it answered: the clock of this sample.
    #[serde(deserialize_with = "decode::instant_required")]
    pub now: Timestamp,
    /// `STREAMING` or `BATCH` (1.20 and later).
    #[serde(default)]
    pub job_type: Option<String>,
    /// Its scheduler (2.3 and later).
    #[serde(rename = "schedulerType", deserialize_with = "decode::scheduler", default = "decode::unknown_scheduler")]
    pub scheduler: Scheduler,
    /// When it last came into each state.
    pub timestamps: StateTimestamps,
    /// Its vertices, in no stable order: use their ids.
    pub vertices: Vec<VertexDetails>,
    /// Its plan; without nodes while the job waits for slots under the adaptive scheduler.
    #[serde(default)]
    pub plan: Plan,
}

/// When a job last came into each state that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct StateTimestamps {
    /// Latest CREATED.
    #[serde(deserialize_with = "decode::instant", default)]
    pub created: Option<Timestamp>,
    /// Latest RUNNING: the run of [`RunId`].
    #[serde(deserialize_with = "decode::instant", default)]
    pub running: Option<Timestamp>,
    /// Latest RESTARTING.
    #[serde(deserialize_with = "decode::instant", default)]
    pub restarting: Option<Timestamp>,
    /// FAILED.
    #[serde(deserialize_with = "decode::instant", default)]
    pub failed: Option<Timestamp>,
    /// FINISHED.
    #[serde(deserialize_with = "decode::instant", default)]
    pub finished: Option<Timestamp>,
    /// CANCELED.
    #[serde(deserialize_with = "decode::instant", default)]
    pub canceled: Option<Timestamp>,
}

/// One of `vertices`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VertexDetails {
    /// Its id. The same program run twice has the same vertex ids.
    pub id: VertexId,
    /// Its name: the chain joined by ` -> `.
    pub name: String,
    /// Subtasks.
    pub parallelism: i32,
    /// Key groups.
    #[serde(rename = "maxParallelism")]
    pub max_parallelism: i32,
    /// Flink's execution state of the vertex.
    pub status: String,
    /// When it started; moves with every restart.
    #[serde(deserialize_with = "decode::instant")]
    pub start_time: Option<Timestamp>,
    /// Its tasks by state.
    #[serde(deserialize_with = "decode::tasks")]
    pub tasks: TaskCounts,
    /// Sums over its subtasks.
    pub metrics: VertexTotals,
    /// Its slot sharing group (1.20 and later).
    #[serde(rename = "slotSharingGroupId", default)]
    pub slot_sharing_group: Option<SlotSharingGroupId>,
}

/// Totals since the attempts started; all begin at 0 again after a restart or rescale.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VertexTotals {
    /// Bytes read from the network; 0 for sources.
    #[serde(deserialize_with = "decode::count")]
    pub read_bytes: u64,
    /// Bytes written to the network; 0 for sinks.
    #[serde(deserialize_with = "decode::count")]
    pub write_bytes: u64,
    /// Records read; 0 for sources.
    #[serde(deserialize_with = "decode::count")]
    pub read_records: u64,
    /// Records written; 0 for sinks.
    #[serde(deserialize_with = "decode::count")]
    pub write_records: u64,
    /// Every subtask's value is in `read_bytes`.
    #[serde(default)]
    pub read_bytes_complete: bool,
    /// Every subtask's value is in `write_bytes`.
    #[serde(default)]
    pub write_bytes_complete: bool,
    /// Every subtask's value is in `read_records`.
    #[serde(default)]
    pub read_records_complete: bool,
    /// Every subtask's value is in `write_records`.
    #[serde(default)]
    pub write_records_complete: bool,
    /// Milliseconds spent busy, summed over subtasks; NaN for legacy sources.
    #[serde(deserialize_with = "decode::number", default = "decode::nan")]
    pub accumulated_busy_time: f64,
    /// Milliseconds spent idle.
    #[serde(deserialize_with = "decode::number", default = "decode::nan")]
    pub accumulated_idle_time: f64,
    /// Milliseconds spent back pressured.
    #[serde(deserialize_with = "decode::number", default = "decode::nan")]
    pub accumulated_backpressured_time: f64,
}

impl VertexTotals {
    /// No subtask's value is missing: the totals are not too small.
    pub fn is_complete(&self) -> bool {
        self.read_bytes_complete
            && self.write_bytes_complete
            && self.read_records_complete
            && self.write_records_complete
    }
}

/// The plan: nodes with their incoming edges.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Plan {
    /// Sources first.
    #[serde(default)]
    pub nodes: Vec<PlanNode>,
}

/// One node of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PlanNode {
    /// The vertex.
    pub id: VertexId,
    /// Its parallelism.
    pub parallelism: i32,
    /// Its chain as HTML.
    #[serde(default)]
    pub description: String,
    /// Incoming edges; none for sources.
    #[serde(default)]
    pub inputs: Vec<PlanInput>,
}

/// One incoming edge of a node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PlanInput {
    /// The upstream vertex.
    pub id: VertexId,
    /// How records arrive from it.
    #[serde(deserialize_with = "ship_strategy", default = "unknown_strategy")]
    pub ship_strategy: ShipStrategy,
}

fn ship_strategy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ShipStrategy, D::Error> {
    Ok(ShipStrategy::parse(&Option::<String>::deserialize(deserializer)?.unwrap_or_default()))
}

fn unknown_strategy() -> ShipStrategy {
    ShipStrategy::Unknown
}

#[derive(Deserialize)]
pub(super) struct PlanAnswer {
    #[serde(default)]
    pub(super) plan: Plan,
}

impl JobDetails {
    /// The run: job id and RUNNING time stamp; `None` if it never ran.
    pub fn run(&self) -> Option<RunId> {
        self.timestamps.running.map(|running_since| RunId { job: self.id, running_since })
    }

    /// The graph; `None` while Flink gives no plan, or a plan that lacks one of the vertices.
    ///
    /// Names, parallelism and key groups come from `vertices`, edges and their order from `plan`.
    pub fn topology(&self) -> Option<Topology> {
        if self.vertices.is_empty() || self.plan.nodes.len() < self.vertices.len() {
            return None;
        }
        let vertices = self
            .plan
            .nodes
            .iter()
            .map(|node| {
                let details = self.vertices.iter().find(|vertex| vertex.id == node.id)?;
                let mut inputs: Vec<Input> = Vec::with_capacity(node.inputs.len());
                for input in &node.inputs {
                    if !inputs.iter().any(|known| known.id == input.id) {
                        inputs.push(Input { id: input.id, ship_strategy: input.ship_strategy });
                    }
                }
                Some(Vertex {
                    id: node.id,
                    name: details.name.clone(),
                    parallelism: details.parallelism,
                    max_parallelism: details.max_parallelism,
                    source_partitions: 0,
                    finished: details.status == "FINISHED",
                    slot_sharing_group: details.slot_sharing_group,
                    inputs,
                })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Topology::new(vertices))
    }
}

impl FlinkClient {
    /// `GET /jobs/:id`.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn job(&self, job: JobId) -> Result<JobDetails, FlinkError> {
        self.get(&format!("/jobs/{job}")).await
    }

    /// `GET /jobs/:id/plan`.
    ///
    /// # Errors
    /// [`FlinkError`] if it fails or its answer is not understood.
    pub async fn job_plan(&self, job: JobId) -> Result<Plan, FlinkError> {
        Ok(self.get::<PlanAnswer>(&format!("/jobs/{job}/plan")).await?.plan)
    }
}
