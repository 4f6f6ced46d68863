//! The capacity preflight: whether the TaskManagers of a change find room, before it is proposed or approved. Pure.
//!
//! It counts what the scheduler counts, requests and not use (`operator.md` §8.5): allocatable minus requests of every node that the pods
//! may run on, pods per node, quotas of the namespace, and the nodes that a Cluster Autoscaler may still add. All TaskManagers of a job ask
//! for the same, so the sum over the nodes of what each can hold is exact, whatever the order.

use crate::autoscaler::pass::{ResourceCheck, ResourceRequest};
use crate::domain::capacity::{
    Blocker, CapacityAnswer, CapacityView, Need, NodeRow, NodeView, Room, Taint, Toleration,
};

/// Whether the TaskManagers of `need` find room.
pub fn preflight(view: &CapacityView, need: &Need) -> CapacityAnswer {
    // What is released first has to find room again.
    let staying = if need.releases.is_some() { 0 } else { need.running };
    let more = need.task_managers.saturating_sub(staying);
    let (by_quota, quota) = quota_limit(view, need, more);
    let nodes = node_limit(view, need, more);
    let found = by_quota.min(nodes.existing.saturating_add(nodes.added)).min(more);
    let new_nodes = nodes.new_nodes_for(found);
    let blocker = (found < more).then(|| match quota {
        Some(quota) if by_quota <= nodes.existing.saturating_add(nodes.added) => (Blocker::Quota, quota),
        _ => nodes.blocker.clone().unwrap_or((Blocker::Memory, String::new())),
    });
    let fitting = staying.min(need.task_managers) + found;
    CapacityAnswer {
        needed: need.task_managers,
        fitting,
        new_nodes,
        blocker,
        largest_parallelism: fitting.saturating_mul(need.slots),
        gaps: gaps(view),
    }
}

/// What the answer does not know.
fn gaps(view: &CapacityView) -> Vec<String> {
    let mut gaps = view.gaps.clone();
    if view.nodes.is_empty() {
        gaps.push("no node can be seen: only quotas were counted".to_owned());
    } else if view.nodes.iter().any(|n| n.usage.is_none()) {
        gaps.push("what other pods ask for cannot be seen: nodes were taken for empty".to_owned());
    }
    gaps
}

/// How many of `more` pods the quotas of the namespace allow, and which quota says so.
fn quota_limit(view: &CapacityView, need: &Need, more: u32) -> (u32, Option<String>) {
    let released = released_all(view, need);
    let mut limit = (u32::MAX, None);
    for quota in view.quotas.iter().filter(|q| q.namespace == need.namespace) {
        let (each, back) = match quota.resource.as_str() {
            "requests.cpu" | "limits.cpu" => (need.each.cpu, released.0.cpu),
            "requests.memory" | "limits.memory" => (need.each.memory, released.0.memory),
            "pods" => (1, u64::from(released.1)),
            _ => continue,
        };
        let left = quota.hard.saturating_sub(quota.used.saturating_sub(back));
        let fits = times(left, each);
        if fits < limit.0 {
            limit = (fits, Some(format!("{} of ResourceQuota {}", quota.resource, quota.name)));
        }
    }
    if limit.0 >= more { (more, None) } else { limit }
}

/// How often `each` goes into `left`.
fn times(left: u64, each: u64) -> u32 {
    left.checked_div(each).map_or(u32::MAX, |n| u32::try_from(n).unwrap_or(u32::MAX))
}

/// What is released on all nodes together: room and pods.
fn released_all(view: &CapacityView, need: &Need) -> (Room, u32) {
    if need.releases.is_some() && view.nodes.iter().all(|n| n.usage.is_none()) {
        // Nodes or what runs on them cannot be seen: what a quota gets back is what runs now, by the size it is to have.
        let back = u64::from(need.running);
        return (
            Room { cpu: need.each.cpu.saturating_mul(back), memory: need.each.memory.saturating_mul(back) },
            need.running,
        );
    }
    view.nodes
        .iter()
        .map(|n| released(n, need))
        .fold((Room::default(), 0), |(room, pods), r| (room.plus(r.0), pods + r.1))
}

fn released(node: &NodeView, need: &Need) -> (Room, u32) {
    let users = node.usage.iter().flat_map(|u| &u.users);
    let ours = |name: &String, user: &crate::domain::capacity::NodeUser| {
        user.flink && user.namespace == need.namespace && user.name == *name
    };
    let found = need.releases.as_ref().and_then(|name| users.into_iter().find(|user| ours(name, user)));
    found.map_or((Room::default(), 0), |user| (user.requested, user.pods))
}

/// What the nodes hold.
struct Nodes {
    existing: u32,
    /// On nodes that could be added.
    added: u32,
    /// Pods per added node, and how many such nodes, group by group, largest first.
    groups: Vec<(u32, u32)>,
    blocker: Option<(Blocker, String)>,
}

impl Nodes {
    /// Nodes that must be added so that `found` pods fit.
    fn new_nodes_for(&self, found: u32) -> u32 {
        let mut left = found.saturating_sub(self.existing);
        let mut nodes = 0;
        for (each, count) in &self.groups {
            if left == 0 {
                break;
            }
            let taken = left.div_ceil((*each).max(1)).min(*count);
            nodes += taken;
            left = left.saturating_sub(taken.saturating_mul(*each));
        }
        nodes
    }
}

fn node_limit(view: &CapacityView, need: &Need, more: u32) -> Nodes {
    if view.nodes.is_empty() {
        return Nodes { existing: more, added: 0, groups: Vec::new(), blocker: None };
    }
    let mut existing = 0u32;
    let (mut tainted, mut unselected) = (0, 0);
    // The node that is nearest to holding one more: what it lacks is the first blocker.
    let mut nearest: Option<(f64, Blocker, String)> = None;
    for node in &view.nodes {
        match may_run(&node.node, need) {
            Err(Blocker::NodeSelector) => unselected += 1,
            Err(_) => tainted += 1,
            Ok(()) => {
                let (room, pods) = free(node, need);
                let holds = holds(room, pods, need);
                existing = existing.saturating_add(holds);
                let (lack, what) = lacks(room, pods, holds, need);
                if nearest.as_ref().is_none_or(|(least, ..)| lack < *least) {
                    nearest = Some((lack, what, place(&node.node)));
                }
            }
        }
    }
    let mut groups: Vec<(u32, u32)> = view
        .groups
        .iter()
        .filter(|group| group.held_back.is_none() && group.max > group.current)
        .filter_map(|group| {
            let node = view.nodes.iter().find(|n| n.node.pool.as_deref() == Some(group.name.as_str()))?;
            // A new node comes untaken, ready and open.
            let fresh = NodeRow { ready: true, cordoned: false, ..(*node.node).clone() };
            may_run(&fresh, need).ok()?;
            let each = holds(fresh.allocatable, fresh.pod_limit, need);
            (each > 0).then_some((each, group.max - group.current))
        })
        .collect();
    groups.sort_by_key(|(each, _)| std::cmp::Reverse(*each));
    let added = groups.iter().fold(0u32, |sum, (each, count)| sum.saturating_add(each.saturating_mul(*count)));
    let blocker = match nearest {
        Some((_, what, place)) => Some((what, place)),
        None if tainted > 0 => Some((Blocker::Taints, format!("{tainted} nodes"))),
        None => Some((Blocker::NodeSelector, format!("{unselected} nodes"))),
    };
    Nodes { existing, added, groups, blocker }
}

fn place(node: &NodeRow) -> String {
    node.pool.as_ref().map_or_else(|| format!("node {}", node.name), |pool| format!("node-pool {pool}"))
}

/// What is free for the pods on a node.
fn free(node: &NodeView, need: &Need) -> (Room, u32) {
    let back = released(node, need);
    let used = node.usage.as_ref().map_or((Room::default(), 0), |u| (u.requested, u.pods));
    let taken = (used.0.less(back.0), used.1.saturating_sub(back.1));
    (node.node.allocatable.less(taken.0), node.node.pod_limit.saturating_sub(taken.1))
}

/// How many pods this much room holds.
fn holds(room: Room, pods: u32, need: &Need) -> u32 {
    times(room.cpu, need.each.cpu).min(times(room.memory, need.each.memory)).min(pods)
}

/// How far the rest of a node is from one more pod (0 near, 1 far), and what lacks most.
fn lacks(room: Room, pods: u32, holds: u32, need: &Need) -> (f64, Blocker) {
    if pods <= holds {
        return (1.0, Blocker::Pods);
    }
    let rest = |left: u64, each: u64| {
        let left = left.saturating_sub(each.saturating_mul(u64::from(holds)));
        if each == 0 { 0.0 } else { (1.0 - left as f64 / each as f64).max(0.0) }
    };
    let (cpu, memory) = (rest(room.cpu, need.each.cpu), rest(room.memory, need.each.memory));
    if cpu > memory { (cpu, Blocker::Cpu) } else { (memory, Blocker::Memory) }
}

/// Whether the pods may run on a node, whatever its room.
fn may_run(node: &NodeRow, need: &Need) -> Result<(), Blocker> {
    if need.node_selector.iter().any(|(key, value)| node.labels.get(key) != Some(value)) {
        return Err(Blocker::NodeSelector);
    }
    let taints =
        |taint: &Taint| taint.effect != "PreferNoSchedule" && !need.tolerations.iter().any(|t| tolerates(t, taint));
    if !node.ready || node.cordoned || node.taints.iter().any(taints) {
        return Err(Blocker::Taints);
    }
    Ok(())
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.is_empty() || toleration.effect == taint.effect;
    let key = (toleration.key.is_empty() && toleration.exists) || toleration.key == taint.key;
    effect && key && (toleration.exists || toleration.value == taint.value)
}

/// The preflight as the check of a pass: what the pass asks for, with the rest from the resource.
#[derive(Debug)]
pub struct RoomCheck<'a> {
    /// The room, read before.
    pub view: &'a CapacityView,
    /// Namespace, slots and placement of the job; the numbers come from the pass.
    pub need: Need,
}

/// What a pass asks for, on top of what is known of the job.
pub fn need_of(request: &ResourceRequest, job: &Need) -> Need {
    let whole = |n: i32| u32::try_from(n).unwrap_or_default();
    Need {
        task_managers: whole(request.new_task_managers),
        running: whole(request.current_task_managers),
        each: Room { cpu: (request.cpu * 1000.0).ceil() as u64, memory: request.memory_bytes },
        ..job.clone()
    }
}

impl ResourceCheck for RoomCheck<'_> {
    fn try_schedule(&self, request: &ResourceRequest) -> Result<(), String> {
        let answer = preflight(self.view, &need_of(request, &self.need));
        if answer.fits() { Ok(()) } else { Err(answer.sentence()) }
    }
}

#[cfg(test)]
mod tests;
