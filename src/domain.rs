//! The words of the trade as types: what every other room speaks.
//!
//! Owns ids, units, topology, the metric window, evaluated metrics, memory pools, reason codes, explanations, decisions,
//! health words, freshness, the [`Snapshot`](snapshot::Snapshot) and commands. It does no I/O, reads no clock and is not async.
//! Everything here is plain data: `Clone`, serializable, and comparable where a screen or a test needs it.

pub mod capacity;
pub mod command;
pub mod decision;
pub mod evaluation;
pub mod explanation;
pub mod freshness;
pub mod health;
pub mod ids;
pub mod job;
pub mod kubernetes;
pub mod memory;
pub mod objects;
pub mod plan;
pub mod pods;
pub mod reason;
pub mod savepoint;
pub mod scaling;
pub mod snapshot;
pub mod text;
pub mod topology;
pub mod units;
pub mod window;

/// A wall-clock instant in UTC.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
