//! The embedded cluster: a simulator of Flink clusters with real faces.
//!
//! Owns the physics of workloads ([`world`]), scenario files, faults, and the HTTP faces through which everybody else
//! meets them. It must not be known by `control` or `tui`, which only see URLs, and it shares no wire types with the clients.

pub mod checkpoints;
pub mod cluster;
mod de;
pub mod exceptions;
pub mod fault;
pub mod flink_face;
pub mod flow;
pub mod graph;
pub mod job;
pub mod kubernetes;
pub mod memory;
pub mod meters;
pub mod nodes;
pub mod noise;
pub mod operator;
pub mod pod;
pub mod rate;
pub mod scenario;
pub mod serve;
pub mod spec;
pub mod storage;
pub mod topic;
pub mod world;

pub use serve::{Sim, SimError, SimOptions, start};

#[cfg(test)]
mod tests;
