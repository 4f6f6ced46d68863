//! The identity of a decision: what must be equal for two proposals to be the same one.

use crate::domain::decision::{ConfigChanges, DecisionId, VertexChange};
use crate::domain::ids::RunId;

/// A 64-bit FNV-1a hash over length-prefixed fields: the same on every machine and in every release, unlike the standard hasher.
#[derive(Debug, Clone, Copy)]
pub struct StableHash(u64);

impl StableHash {
    /// The hash of nothing.
    pub fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds one field; its length keeps neighbours apart.
    pub fn field(mut self, bytes: &[u8]) -> Self {
        for byte in (bytes.len() as u64).to_le_bytes().iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self
    }

    /// The hash of the fields so far.
    pub fn finish(self) -> u64 {
        self.0
    }
}

impl Default for StableHash {
    fn default() -> Self {
        Self::new()
    }
}

/// The identity: a hash of target uid, run, rule generation, vertex → from → to, and config changes.
pub fn identity(
    uid: &str,
    run: Option<RunId>,
    compat: &str,
    changes: &[VertexChange],
    config: &ConfigChanges,
) -> DecisionId {
    let mut hash = StableHash::new().field(uid.as_bytes()).field(compat.as_bytes());
    if let Some(run) = run {
        hash = hash.field(&run.job.as_u128().to_le_bytes()).field(&run.running_since.timestamp_millis().to_le_bytes());
    }
    let mut sorted: Vec<&VertexChange> = changes.iter().collect();
    sorted.sort_by_key(|c| c.vertex);
    for change in sorted {
        hash = hash
            .field(&change.vertex.as_u128().to_le_bytes())
            .field(&change.from.to_le_bytes())
            .field(&change.to.to_le_bytes());
    }
    for (key, value) in &config.set {
        hash = hash.field(b"set").field(key.as_bytes()).field(value.as_bytes());
    }
    let mut removed: Vec<&String> = config.removed.iter().collect();
    removed.sort();
    for key in removed {
        hash = hash.field(b"removed").field(key.as_bytes());
    }
    let full = hash.finish();
    // Both halves count in the eight digits that are shown.
    DecisionId((full >> 32) as u32 ^ full as u32)
}
