//! The job graph by position: edges as indices into the topological order, so that a pass is linear in vertices and edges.

use crate::domain::ids::VertexId;
use crate::domain::topology::{Topology, Vertex};

/// Positions of the inputs of every vertex, and how many outputs each has.
#[derive(Debug)]
pub struct Graph<'a> {
    vertices: &'a [Vertex],
    /// Inputs of vertex `v` are `inputs[first[v]..first[v + 1]]`, in the order of its edges.
    first: Vec<usize>,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

impl<'a> Graph<'a> {
    /// The graph of a topology.
    pub fn new(topology: &'a Topology) -> Self {
        let vertices = topology.vertices();
        let mut by_id: Vec<(VertexId, usize)> = vertices.iter().enumerate().map(|(at, v)| (v.id, at)).collect();
        by_id.sort_unstable();
        let mut graph = Self {
            vertices,
            first: Vec::with_capacity(vertices.len() + 1),
            inputs: Vec::with_capacity(vertices.iter().map(|v| v.inputs.len()).sum()),
            outputs: vec![0; vertices.len()],
        };
        for vertex in vertices {
            graph.first.push(graph.inputs.len());
            for input in &vertex.inputs {
                if let Ok(found) = by_id.binary_search_by_key(&input.id, |(id, _)| *id) {
                    let (_, at) = by_id[found];
                    graph.inputs.push(at);
                    graph.outputs[at] += 1;
                }
            }
        }
        graph.first.push(graph.inputs.len());
        graph
    }

    /// The vertices, in topological order.
    pub fn vertices(&self) -> &'a [Vertex] {
        self.vertices
    }

    /// Positions of the inputs of the vertex at this position.
    pub fn inputs(&self, vertex: usize) -> &[usize] {
        &self.inputs[self.first[vertex]..self.first[vertex + 1]]
    }

    /// How many vertices read from the vertex at this position.
    pub fn outputs(&self, vertex: usize) -> usize {
        self.outputs[vertex]
    }
}
