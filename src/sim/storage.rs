//! Durable storage of the embedded world: what savepoints and checkpoints hold, found by their path. Outlives clusters.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::topic::Cursor;
use crate::domain::ids::VertexId;

/// Savepoints kept at most; the oldest go first.
const MAX_SNAPSHOTS: usize = 2_000;

/// The content of a savepoint or checkpoint.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Positions of the sources.
    pub cursors: BTreeMap<VertexId, Cursor>,
    /// Bytes of state, per vertex.
    pub state: BTreeMap<VertexId, f64>,
    /// A savepoint, not a checkpoint.
    pub savepoint: bool,
}

impl Snapshot {
    /// Bytes of state in sum.
    pub fn size(&self) -> f64 {
        self.state.values().sum()
    }
}

/// Everything that is stored.
#[derive(Debug, Clone, Default)]
pub struct Storage {
    snapshots: BTreeMap<String, Arc<Snapshot>>,
    order: VecDeque<String>,
}

impl Storage {
    /// What is stored at this path.
    pub fn get(&self, path: &str) -> Option<Arc<Snapshot>> {
        self.snapshots.get(path).cloned()
    }

    pub(super) fn put(&mut self, path: &str, snapshot: Arc<Snapshot>) {
        if self.snapshots.insert(path.to_owned(), snapshot).is_none() {
            self.order.push_back(path.to_owned());
        }
        while self.order.len() > MAX_SNAPSHOTS {
            if let Some(oldest) = self.order.pop_front() {
                self.snapshots.remove(&oldest);
            }
        }
    }

    /// Removes what is stored at this path; false if nothing was.
    pub fn dispose(&mut self, path: &str) -> bool {
        self.order.retain(|p| p != path);
        self.snapshots.remove(path).is_some()
    }
}
