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
#[serde(from = "Sorted")]
pub struct Topology {
    vertices: Vec<Vertex>,
    /// Positions of the vertices, by id.
    #[serde(skip_serializing)]
    by_id: Vec<(VertexId, usize)>,
}

/// A topology as it is written: in order, without its index.
#[derive(Deserialize)]
struct Sorted {
    vertices: Vec<Vertex>,
}

impl From<Sorted> for Topology {
    fn from(Sorted { vertices }: Sorted) -> Self {
        let by_id = index(&vertices);
        Self { vertices, by_id }
    }
}

fn index(vertices: &[Vertex]) -> Vec<(VertexId, usize)> {
    let mut by_id: Vec<_> = vertices.iter().enumerate().map(|(at, vertex)| (vertex.id, at)).collect();
    by_id.sort_unstable();
    by_id
}

fn find(by_id: &[(VertexId, usize)], id: VertexId) -> Option<usize> {
    let at = by_id.partition_point(|(other, _)| *other < id);
    by_id.get(at).filter(|(other, _)| *other == id).map(|(_, at)| *at)
}

impl Topology {
    /// Sorts `vertices` topologically, keeping the given order among vertices that become ready together. Inputs that name
    /// no given vertex are dropped; vertices on a cycle (impossible in Flink) are appended in the given order.
    pub fn new(mut vertices: Vec<Vertex>) -> Self {
        let by_id = index(&vertices);
        let mut outputs: Vec<Vec<usize>> = vec![Vec::new(); vertices.len()];
        let mut waiting: Vec<usize> = Vec::with_capacity(vertices.len());
        for (at, vertex) in vertices.iter_mut().enumerate() {
            vertex.inputs.retain(|input| match find(&by_id, input.id) {
                Some(from) => {
                    outputs[from].push(at);
                    true
                }
                None => false,
            });
            waiting.push(vertex.inputs.len());
        }
        // The round in which a vertex becomes ready: one after the last of its inputs; never, if it hangs on a cycle.
        let mut rounds = vec![usize::MAX; vertices.len()];
        let mut ready: Vec<usize> = (0..vertices.len()).filter(|at| waiting[*at] == 0).collect();
        for round in 0.. {
            let mut next = Vec::new();
            for at in ready {
                rounds[at] = round;
                for &to in &outputs[at] {
                    waiting[to] -= 1;
                    if waiting[to] == 0 {
                        next.push(to);
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            ready = next;
        }
        let mut sorted: Vec<_> = rounds.into_iter().zip(vertices).collect();
        sorted.sort_by_key(|(round, _)| *round);
        Sorted { vertices: sorted.into_iter().map(|(_, vertex)| vertex).collect() }.into()
    }

    /// All vertices, in topological order.
    pub fn vertices(&self) -> &[Vertex] {
        &self.vertices
    }

    /// The vertex with this id.
    pub fn vertex(&self, id: VertexId) -> Option<&Vertex> {
        self.index_of(id).and_then(|at| self.vertices.get(at))
    }

    /// Position of a vertex in topological order.
    pub fn index_of(&self, id: VertexId) -> Option<usize> {
        find(&self.by_id, id)
    }

    /// Downstream vertices of `id`, in topological order.
    pub fn outputs(&self, id: VertexId) -> impl Iterator<Item = &Vertex> {
        self.vertices.iter().filter(move |v| v.inputs.iter().any(|input| input.id == id))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vertex(id: u128, inputs: &[u128]) -> Vertex {
        Vertex {
            id: VertexId::from_u128(id),
            name: String::new(),
            parallelism: 1,
            max_parallelism: 1,
            source_partitions: 0,
            finished: false,
            slot_sharing_group: None,
            inputs: inputs
                .iter()
                .map(|id| Input { id: VertexId::from_u128(*id), ship_strategy: ShipStrategy::Forward })
                .collect(),
        }
    }

    fn order(topology: &Topology) -> Vec<u128> {
        topology.vertices().iter().map(|v| v.id.as_u128()).collect()
    }

    #[test]
    fn vertices_stand_by_the_round_in_which_they_become_ready() {
        let topology = Topology::new(vec![
            vertex(5, &[3, 4]),
            vertex(4, &[2]),
            vertex(3, &[1, 77]),
            vertex(2, &[]),
            vertex(1, &[]),
        ]);
        assert_eq!(order(&topology), [2, 1, 4, 3, 5]);
        assert_eq!(topology.vertex(VertexId::from_u128(3)).unwrap().inputs.len(), 1, "an unknown input is dropped");
        assert_eq!(topology.index_of(VertexId::from_u128(77)), None);
    }

    #[test]
    fn what_hangs_on_a_cycle_comes_last_in_the_given_order() {
        let topology = Topology::new(vec![vertex(4, &[3]), vertex(3, &[2]), vertex(2, &[3, 1]), vertex(1, &[])]);
        assert_eq!(order(&topology), [1, 4, 3, 2]);
        assert_eq!(order(&Topology::new(vec![vertex(1, &[1])])), [1]);
    }

    #[test]
    fn a_topology_survives_being_written_and_read_with_its_index() {
        let topology = Topology::new(vec![vertex(2, &[1]), vertex(1, &[])]);
        let text = serde_json::to_string(&topology).unwrap();
        assert!(!text.contains("by_id"), "{text}");
        assert_eq!(serde_json::from_str::<Topology>(&text).unwrap(), topology);
    }

    proptest! {
        #[test]
        fn inputs_stand_before_their_outputs_and_everybody_is_found(
            edges in prop::collection::vec((0u128..40, 0u128..40), 0..120),
            shuffled in Just((0u128..40).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let inputs = |to: u128| -> Vec<u128> {
                edges.iter().filter(|(a, b)| a < b && *b == to).map(|(a, _)| *a).collect()
            };
            let topology = Topology::new(shuffled.iter().map(|id| vertex(*id, &inputs(*id))).collect());
            for (at, v) in topology.vertices().iter().enumerate() {
                prop_assert_eq!(topology.index_of(v.id), Some(at));
                for input in &v.inputs {
                    prop_assert!(topology.index_of(input.id).unwrap() < at);
                }
            }
        }
    }
}
