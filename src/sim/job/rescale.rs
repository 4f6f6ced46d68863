//! When a running job takes another parallelism (`flink-rest.md` §6.3): cool-down, waiting for slots, waiting for a
//! checkpoint, by version.

use super::{Bounds, Job};
use crate::sim::graph::Graph;
use crate::sim::spec::{ClusterSpec, Scheduler};

/// A rescale that was asked for and has not happened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    target: Vec<u32>,
    since: i64,
    armed: Option<Armed>,
}

/// A rescale that waits for a checkpoint (from 2.0 on).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Armed {
    at: i64,
    completed: u64,
    failed: u64,
}

/// The parallelisms that `slots` slots allow, never above what is wanted; none if they are below the lower bounds.
pub fn affordable(graph: &Graph, bounds: &[Bounds], slots: usize) -> Option<Vec<u32>> {
    let mut groups: Vec<(crate::domain::ids::SlotSharingGroupId, u32)> = Vec::new();
    for (node, bound) in graph.vertices.iter().zip(bounds) {
        match groups.iter_mut().find(|(group, _)| *group == node.group) {
            Some((_, want)) => *want = (*want).max(bound.upper),
            None => groups.push((node.group, bound.upper)),
        }
    }
    // Each group gets its even part of what is left, from the smallest wish upwards, so that nothing is wasted.
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_key(|&g| groups[g].1);
    let mut left = slots as u32;
    for (done, &g) in order.iter().enumerate() {
        let part = left / (groups.len() - done) as u32;
        groups[g].1 = groups[g].1.min(part);
        left -= groups[g].1;
    }
    graph
        .vertices
        .iter()
        .zip(bounds)
        .map(|(node, bound)| {
            let slots = groups.iter().find(|(group, _)| *group == node.group).map_or(0, |(_, s)| *s);
            let parallelism = bound.upper.min(slots);
            (parallelism >= bound.lower.max(1)).then_some(parallelism)
        })
        .collect()
}

impl Job {
    /// Whether the running job restarts now to take another parallelism.
    pub(super) fn rescales_now(&mut self, now: i64, spec: &ClusterSpec) -> bool {
        if spec.scheduler == Scheduler::Default {
            return false;
        }
        let target = match affordable(&self.graph, &self.requirements, self.slots.len()) {
            Some(target) if target != self.parallelism => target,
            _ => {
                self.rescale = None;
                return false;
            }
        };
        let have_all = self.slots.len() >= self.demand();
        let fresh = self.rescale.as_ref().is_none_or(|pending| pending.target != target);
        if fresh {
            let since = self.rescale.as_ref().map_or(now, |pending| pending.since);
            self.rescale = Some(Pending { target, since, armed: None });
        }
        let cooled = now - self.times.running >= spec.timings.cooldown;
        let Some(pending) = self.rescale.as_mut() else { return false };
        if !cooled {
            return false;
        }
        if !spec.version.at_least(2, 0) {
            return true;
        }
        if !have_all && now - pending.since < spec.timings.stabilization.unwrap_or(60_000) {
            return false;
        }
        let Some(interval) = self.graph.spec.checkpoints.interval else { return true };
        let armed = pending.armed.get_or_insert(Armed {
            at: now,
            completed: self.checkpoints.completed_count,
            failed: self.checkpoints.failed_count,
        });
        self.checkpoints.completed_count > armed.completed
            || self.checkpoints.failed_count >= armed.failed + 2
            || now - armed.at >= 3 * interval
    }
}
