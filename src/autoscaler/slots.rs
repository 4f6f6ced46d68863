//! Slots and TaskManagers that a parallelism needs (`autoscaler.md` §6.4, §6.5).

use std::collections::BTreeMap;

use super::options::Options;
use crate::domain::decision::VertexChange;
use crate::domain::ids::{SlotSharingGroupId, VertexId};
use crate::domain::topology::Topology;

/// Slots after a scaling as the operator estimates them, `slots_after` of §6.4: if the largest parallelism is the number of
/// slots in use, all vertices are taken to share slots, else none.
pub fn after(topology: &Topology, parallelism: &BTreeMap<VertexId, i32>, slots_used: i32) -> i32 {
    let largest = topology.vertices().iter().map(|v| v.parallelism).max();
    let new = parallelism.values().copied();
    match largest == Some(slots_used) {
        true => new.max().unwrap_or(0),
        false => new.fold(0, i32::saturating_add),
    }
}

/// Slots after a scaling: exactly, by slot sharing groups, where they are known; else as [`after`] estimates.
pub fn needed(topology: &Topology, parallelism: &BTreeMap<VertexId, i32>, estimate: i32) -> i32 {
    let mut groups: BTreeMap<SlotSharingGroupId, i32> = BTreeMap::new();
    for vertex in topology.vertices() {
        let (Some(group), Some(new)) = (vertex.slot_sharing_group, parallelism.get(&vertex.id)) else {
            return estimate;
        };
        let most = groups.entry(group).or_default();
        *most = (*most).max(*new);
    }
    groups.values().copied().fold(0, i32::saturating_add)
}

/// TaskManagers that hold so many slots.
pub fn task_managers(slots: i32, per_task_manager: i32) -> i32 {
    (f64::from(slots) / f64::from(per_task_manager)).ceil() as i32
}

/// What a job may use at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    /// Cores.
    pub cpu: Option<f64>,
    /// Bytes.
    pub memory: Option<u64>,
}

/// TaskManagers before and after as the quota counts them: changing vertices only, by slot sharing group, truncated (§6.5,
/// §15.3 no. 3). `None` where there is nothing to check.
pub fn quota_task_managers(
    topology: &Topology,
    changes: &[VertexChange],
    quota: Quota,
    options: &Options,
) -> Option<(i32, i32)> {
    if quota.cpu.is_none() && quota.memory.is_none() {
        return None;
    }
    // Changes stand in topological order, as the vertices.
    let mut changes = changes.iter().peekable();
    let mut groups: BTreeMap<SlotSharingGroupId, (i32, i32)> = BTreeMap::new();
    for vertex in topology.vertices() {
        let change = changes.next_if(|change| change.vertex == vertex.id);
        let Some(group) = vertex.slot_sharing_group else { continue };
        let (now, after) = groups.entry(group).or_default();
        if let Some(change) = change {
            *now = (*now).max(change.from);
            *after = (*after).max(change.to);
        }
    }
    if groups.is_empty() {
        return None;
    }
    let per_task_manager = options.number_of_task_slots.max(1);
    let sum = |of: fn(&(i32, i32)) -> i32| groups.values().map(of).fold(0, i32::saturating_add) / per_task_manager;
    Some((sum(|g| g.0), sum(|g| g.1)))
}
