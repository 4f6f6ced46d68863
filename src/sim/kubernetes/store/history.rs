//! The changes that watches and lists of older versions are served from, bounded in number and in size.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::Key;
use crate::sim::kubernetes::failure::Failure;

/// Changes kept at most.
pub(super) const CHANGES: usize = 8_192;
/// Size of the changes kept, bytes, as estimated by [`size`].
const BYTES: usize = 48 << 20;
/// The first version; not 1, so that nobody takes it for a counter of their own.
const FIRST_VERSION: u64 = 1_000;

/// One change in the history.
#[derive(Debug, Clone)]
pub struct Change {
    /// Version of the change.
    pub version: u64,
    /// Which object.
    pub key: Key,
    /// The object before; none for a creation.
    pub before: Option<Arc<Value>>,
    /// The object after; of a removal the last state, with the version of the removal.
    pub after: Arc<Value>,
    /// It is gone.
    pub removed: bool,
}

/// All changes that are still known.
#[derive(Debug)]
pub(super) struct History {
    changes: VecDeque<(Change, usize)>,
    bytes: usize,
    version: u64,
    /// Changes up to this version are gone from memory.
    evicted: u64,
    /// Nobody new may begin before this version.
    compacted: u64,
}

impl Default for History {
    fn default() -> Self {
        Self {
            changes: VecDeque::new(),
            bytes: 0,
            version: FIRST_VERSION,
            evicted: FIRST_VERSION,
            compacted: FIRST_VERSION,
        }
    }
}

impl History {
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// The oldest version that one can begin from.
    pub(super) fn oldest(&self) -> u64 {
        self.evicted.max(self.compacted)
    }

    /// Nobody can begin from a version that was seen up to now. Open watches go on: they have got it already.
    pub(super) fn compact(&mut self) {
        self.compacted = self.next_version();
    }

    pub(super) fn remember(&mut self, change: Change) {
        let bytes = size(&change.after);
        self.bytes += bytes;
        self.changes.push_back((change, bytes));
        while self.changes.len() > CHANGES || self.bytes > BYTES {
            let Some((old, bytes)) = self.changes.pop_front() else { break };
            self.evicted = old.version;
            self.bytes -= bytes;
        }
    }

    /// Changes after `version`, oldest first, for somebody who begins there.
    ///
    /// # Errors
    /// 410 if some of them are forgotten.
    pub(super) fn since(&self, version: u64) -> Result<impl Iterator<Item = &Change>, Failure> {
        if version < self.oldest() {
            return Err(Failure::expired(version, self.oldest()));
        }
        Ok(self.after(version))
    }

    /// Changes after `version` for an open watch; none if it was too slow to be served on.
    pub(super) fn following(&self, version: u64) -> Option<impl Iterator<Item = &Change>> {
        (version >= self.evicted).then(|| self.after(version))
    }

    fn after(&self, version: u64) -> impl Iterator<Item = &Change> {
        let start = self.changes.partition_point(|(c, _)| c.version <= version);
        self.changes.range(start..).map(|(change, _)| change)
    }

    /// What the objects that changed after `version` were at that version; none: it was not there.
    ///
    /// # Errors
    /// 410 if that is forgotten.
    pub(super) fn undo(&self, version: u64) -> Result<HashMap<&Key, Option<&Arc<Value>>>, Failure> {
        let mut past = HashMap::new();
        for change in self.since(version)? {
            past.entry(&change.key).or_insert(change.before.as_ref());
        }
        Ok(past)
    }
}

/// About how much memory a document takes, bytes.
fn size(value: &Value) -> usize {
    let inner = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        // The map keeps an index, a hash and the name of each entry.
        Value::Object(map) => map.iter().map(|(name, value)| name.len() + 48 + size(value)).sum(),
    };
    std::mem::size_of::<Value>() + inner
}
