//! The job graph as the autoscaler needs it: vertices in topological order and the edges between them.

use serde::{Deserialize, Serialize};

use super::ids::{SlotSharingGroupId, VertexId};

/// How records are distributed over an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ShipStrategy {
    /// By key.
    Hash,
    /// Round robin to all.
    Rebalance,
    /// Round robin to a local group.
    Rescale,
    /// One to one.
    Forward,
    /// By a user's partitioner.
    Custom,
    /// To all subtasks.
    Broadcast,
    /// To the first subtask.
    Global,
    /// Random.
    Shuffle,
    /// Any name not known here.
    Unknown,
}

impl ShipStrategy {
    /// The strategy with Flink's name, whatever its case; unknown names give [`ShipStrategy::Unknown`].
    pub fn parse(name: &str) -> Self {
        match name.to_ascii_uppercase().as_str() {
            "HASH" => Self::Hash,
            "REBALANCE" => Self::Rebalance,
            "RESCALE" => Self::Rescale,
            "FORWARD" => Self::Forward,
            "CUSTOM" => Self::Custom,
            "BROADCAST" => Self::Broadcast,
            "GLOBAL" => Self::Global,
            "SHUFFLE" => Self::Shuffle,
            _ => Self::Unknown,
        }
    }
}

/// One incoming edge of a vertex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The upstream vertex.
    pub id: VertexId,
    /// How records arrive from it.
    pub ship_strategy: ShipStrategy,
}

/// One vertex of the job graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vertex {
    /// Its id.
    pub id: VertexId,
    /// Its name: the operator chain joined by ` -> `.
    pub name: String,
    /// Parallel subtasks now.
    pub parallelism: i32,
    /// Key groups (autoscaler 1.8: already limited by source partitions).
    pub max_parallelism: i32,
    /// Partitions of its source, 0 if unknown.
    pub source_partitions: i32,
    /// All of its tasks are FINISHED.
    pub finished: bool,
    /// Its slot sharing group (Flink 1.20 and later).
    pub slot_sharing_group: Option<SlotSharingGroupId>,
    /// Incoming edges, each upstream vertex once, in the order of the plan. Empty for a source.
    pub inputs: Vec<Input>,
}

impl Vertex {
    /// A vertex without inputs is a source.
    pub fn is_source(&self) -> bool {
        self.inputs.is_empty()
    }
}

/// The vertices of a job in topological order (sources first).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Topology {
    vertices: Vec<Vertex>,
}

impl Topology {
    /// Sorts `vertices` topologically, keeping the given order among vertices that become ready together. Inputs that name
    /// no given vertex are dropped; vertices on a cycle (impossible in Flink) are appended in the given order.
    pub fn new(mut vertices: Vec<Vertex>) -> Self {
        let known: std::collections::HashSet<VertexId> = vertices.iter().map(|v| v.id).collect();
        for vertex in &mut vertices {
            vertex.inputs.retain(|input| known.contains(&input.id));
        }
        let mut sorted: Vec<Vertex> = Vec::with_capacity(vertices.len());
        let mut done = std::collections::HashSet::new();
        while !vertices.is_empty() {
            let (ready, rest): (Vec<_>, Vec<_>) =
                vertices.into_iter().partition(|v| v.inputs.iter().all(|input| done.contains(&input.id)));
            if ready.is_empty() {
                sorted.extend(rest);
                break;
            }
            done.extend(ready.iter().map(|v| v.id));
            sorted.extend(ready);
            vertices = rest;
        }
        Self { vertices: sorted }
    }

    /// All vertices, in topological order.
    pub fn vertices(&self) -> &[Vertex] {
        &self.vertices
    }

    /// The vertex with this id.
    pub fn vertex(&self, id: VertexId) -> Option<&Vertex> {
        self.vertices.iter().find(|v| v.id == id)
    }

    /// Position of a vertex in topological order.
    pub fn index_of(&self, id: VertexId) -> Option<usize> {
        self.vertices.iter().position(|v| v.id == id)
    }

    /// Downstream vertices of `id`, in topological order.
    pub fn outputs(&self, id: VertexId) -> impl Iterator<Item = &Vertex> {
        self.vertices.iter().filter(move |v| v.inputs.iter().any(|input| input.id == id))
    }
}
