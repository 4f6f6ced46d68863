//! Quiet time: a rejected or snoozed proposal does not come back until its time is over or the inputs changed materially.

use std::collections::BTreeMap;

use crate::domain::Timestamp;
use crate::domain::health::{HealthWord, Severity};
use crate::domain::ids::{RunId, VertexId};

/// Relative difference of a target that counts as material.
const MATERIAL: f64 = 0.2;

/// What was turned down, and until when it stays quiet.
#[derive(Debug, Clone, PartialEq)]
pub struct Quiet {
    /// End of the quiet time.
    pub until: Timestamp,
    /// The run it was about.
    pub run: Option<RunId>,
    /// Parallelism then and wanted, of every vertex.
    pub targets: BTreeMap<VertexId, (i32, i32)>,
    /// The job's status word then.
    pub health: HealthWord,
}

/// The same facts of the present proposal.
#[derive(Debug, Clone, Copy)]
pub struct Present<'a> {
    /// The present run.
    pub run: Option<RunId>,
    /// Parallelism now and wanted, of every vertex.
    pub targets: &'a BTreeMap<VertexId, (i32, i32)>,
    /// The job's status word now.
    pub health: HealthWord,
}

impl Quiet {
    /// Why the quiet time is over before its end: a new run, a changed direction, a target at least 20 % off at any vertex,
    /// or a new critical status word. `None` while nothing material changed.
    pub fn material_change(&self, present: Present<'_>) -> Option<String> {
        if present.run != self.run {
            return Some("the job runs anew".into());
        }
        if present.health.severity() == Severity::Critical && present.health != self.health {
            return Some(format!("the job is now {}", present.health.word()));
        }
        for (vertex, (from, to)) in present.targets {
            let Some((_, before)) = self.targets.get(vertex) else {
                return Some(format!("vertex {vertex} is new"));
            };
            let (was, _) = self.targets.get(vertex).copied().unwrap_or((*from, *from));
            let (old, new) = ((before - was).signum(), (to - from).signum());
            if old * new < 0 {
                return Some(format!("the direction of vertex {vertex} changed"));
            }
            let off = f64::from((to - before).abs()) / f64::from((*before).max(1));
            if off >= MATERIAL {
                return Some(format!("the target of vertex {vertex} moved from {before} to {to}"));
            }
        }
        None
    }
}
