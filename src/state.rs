//! What outlives a turn: the state store of the autoscaler and the journal of effects.
//!
//! Owns the [`StateStore`] port with its in-memory implementation, and the append-only [`Journal`]
//! (hash-chained, fsynced) that is written before and after every effect on a cluster, and reads the documents of the operator's
//! autoscaler ([`documents`]). It does not know the control loop, Kubernetes or Flink.

pub mod documents;
pub mod journal;
pub mod store;

pub use journal::{Journal, JournalError, Recovery};
pub use store::{MemoryStore, StateStore, StoreError, StoredJob};
