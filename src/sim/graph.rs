//! A job's graph, resolved: edges by index, key-group shares, queue capacities. Static while a job lives.

use std::sync::Arc;

use super::spec::{JobSpec, VertexSpec};
use crate::domain::ids::{SlotSharingGroupId, VertexId};
use crate::domain::topology::ShipStrategy;

/// A job's graph in the order of its file, which is topological.
#[derive(Debug)]
pub struct Graph {
    /// The job as written.
    pub spec: JobSpec,
    /// Its vertices.
    pub vertices: Vec<Node>,
}

/// One vertex of a graph.
#[derive(Debug)]
pub struct Node {
    /// Its id.
    pub id: VertexId,
    /// Key groups.
    pub max_parallelism: u32,
    /// Incoming edges.
    pub inputs: Vec<Edge>,
    /// Outgoing edges: (vertex, index among its inputs).
    pub outputs: Vec<(usize, usize)>,
    /// Its slot sharing group.
    pub group: SlotSharingGroupId,
}

/// One edge of a graph.
#[derive(Debug, Clone, Copy)]
pub struct Edge {
    /// Index of the upstream vertex.
    pub from: usize,
    /// How records are distributed.
    pub ship: ShipStrategy,
    /// Share of the upstream's records that takes this edge.
    pub ratio: f64,
}

impl Edge {
    /// Subtask i feeds subtask i only. Flink chains a forward edge between equal parallelisms and rebalances others.
    pub fn is_pointwise(&self, from_parallelism: usize, to_parallelism: usize) -> bool {
        self.ship == ShipStrategy::Forward && from_parallelism == to_parallelism
    }
}

impl Graph {
    /// Resolves a job.
    ///
    /// # Errors
    /// A sentence that names the vertex and what is wrong with it.
    pub fn new(spec: JobSpec) -> Result<Arc<Self>, String> {
        if spec.vertices.is_empty() {
            return Err(format!("job {:?} has no vertex", spec.name));
        }
        let mut vertices: Vec<Node> = Vec::with_capacity(spec.vertices.len());
        for (index, vertex) in spec.vertices.iter().enumerate() {
            let at = |text: &str| format!("vertex {:?} of job {:?}: {text}", vertex.name, spec.name);
            check(vertex).map_err(|text| at(&text))?;
            let mut inputs = Vec::new();
            for (number, input) in vertex.inputs.iter().enumerate() {
                let before = spec.vertices.get(..index).unwrap_or_default();
                let Some(from) = before.iter().position(|v| v.name == input.from) else {
                    let names = before.iter().map(|v| v.name.as_str());
                    let hint = crate::domain::text::nearest(&input.from, names)
                        .map_or(String::new(), |near| format!("; did you mean {near:?}?"));
                    return Err(at(&format!("no vertex before it is named {:?}{hint}", input.from)));
                };
                if inputs.iter().any(|edge: &Edge| edge.from == from) {
                    return Err(at(&format!("{:?} is an input twice", input.from)));
                }
                if !(input.ratio > 0.0 && input.ratio.is_finite()) {
                    return Err(at("the ratio of an input must be above zero"));
                }
                inputs.push(Edge { from, ship: input.ship, ratio: input.ratio });
                if let Some(node) = vertices.get_mut(from) {
                    node.outputs.push((index, number));
                }
            }
            let id = spec.vertex_id(vertex);
            if vertices.iter().any(|node| node.id == id) {
                return Err(at("another vertex has the same name or id"));
            }
            let group = vertex.slot_sharing_group.as_deref().unwrap_or("default");
            let max_parallelism = vertex.max_parallelism.unwrap_or(spec.max_parallelism);
            if vertex.parallelism > max_parallelism {
                return Err(at("its parallelism is above its max-parallelism"));
            }
            vertices.push(Node {
                id,
                max_parallelism,
                inputs,
                outputs: Vec::new(),
                group: SlotSharingGroupId::from_u128(super::noise::hash128(&[&spec.name, "group", group])),
            });
        }
        Ok(Arc::new(Self { spec, vertices }))
    }

    /// Position of the vertex with this id.
    pub fn index_of(&self, id: VertexId) -> Option<usize> {
        self.vertices.iter().position(|node| node.id == id)
    }

    /// The slots that these parallelisms need: per slot sharing group the largest, summed.
    pub fn slots_for(&self, parallelism: impl Fn(usize) -> u32) -> usize {
        let mut groups: Vec<(SlotSharingGroupId, u32)> = Vec::new();
        for (index, node) in self.vertices.iter().enumerate() {
            let p = parallelism(index);
            match groups.iter_mut().find(|(group, _)| *group == node.group) {
                Some((_, max)) => *max = (*max).max(p),
                None => groups.push((node.group, p)),
            }
        }
        groups.iter().map(|(_, p)| *p as usize).sum()
    }
}

fn check(vertex: &VertexSpec) -> Result<(), String> {
    let fault = |text: &str| Err(text.to_owned());
    if vertex.inputs.is_empty() != vertex.source.is_some() {
        return fault("a vertex has either inputs or a source");
    }
    if vertex.parallelism == 0 {
        return fault("parallelism must be at least 1");
    }
    if !(0.0..1.0).contains(&vertex.skew) {
        return fault("skew must be from 0 to below 1");
    }
    if !(vertex.selectivity >= 0.0 && vertex.selectivity.is_finite()) {
        return fault("selectivity must be zero or more");
    }
    if vertex.record_size == 0 {
        return fault("record-size must be above zero");
    }
    if let Some(source) = &vertex.source {
        if let Some(text) = source.rate.fault() {
            return fault(text);
        }
        if source.partitions == 0 || source.partitions > 10_000 {
            return fault("partitions must be from 1 to 10000");
        }
    }
    Ok(())
}

/// The share of a vertex's records that each subtask gets over an edge, as parts of 1 (broadcast: each gets all).
///
/// HASH follows Flink's key groups: subtask i owns the groups `ceil(i*max/p) ..= floor(((i+1)*max-1)/p)`, so parallelisms
/// that do not divide the key groups are uneven by nature; a hot key adds its share to the subtask that owns its group.
pub fn shares(ship: ShipStrategy, parallelism: usize, max_parallelism: u32, skew: f64) -> Vec<f64> {
    let p = parallelism.max(1);
    let even = vec![1.0 / p as f64; p];
    match ship {
        ShipStrategy::Hash => {
            let groups = (max_parallelism as usize).max(p);
            let first = |i: usize| (i * groups).div_ceil(p);
            let hot = groups / 3;
            (0..p)
                .map(|i| {
                    let (from, to) = (first(i), first(i + 1));
                    let own = (to - from) as f64 / groups as f64;
                    own * (1.0 - skew) + if (from..to).contains(&hot) { skew } else { 0.0 }
                })
                .collect()
        }
        ShipStrategy::Broadcast => vec![1.0; p],
        ShipStrategy::Global => (0..p).map(|i| if i == 0 { 1.0 } else { 0.0 }).collect(),
        ShipStrategy::Rebalance
        | ShipStrategy::Rescale
        | ShipStrategy::Forward
        | ShipStrategy::Custom
        | ShipStrategy::Shuffle
        | ShipStrategy::Unknown => {
            if skew == 0.0 {
                return even;
            }
            (0..p).map(|i| (1.0 - skew) / p as f64 + if i == 0 { skew } else { 0.0 }).collect()
        }
    }
}
