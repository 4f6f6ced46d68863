//! The control loop: collects, evaluates, guards, asks for approval, applies, and publishes the snapshot.
//!
//! Owns one supervised task per job, the guards, the approval state machine, the realizers and the operations. It takes
//! Flink, Kubernetes, the state store and the clock as traits; `control::adapters` is the one place that joins those rooms.
//! It must not draw, and it knows nothing of the embedded cluster: it only sees URLs.

pub mod adapters;
pub mod board;
pub mod capacity;
mod cluster;
mod collect;
pub mod config;
pub mod conflicts;
pub mod decisions;
mod fleet;
pub mod guards;
pub mod handle;
pub mod health;
mod kube;
mod operations;
mod operator_state;
pub mod ownership;
mod pilot;
pub mod ports;
pub mod rates;
mod realize;
mod shared;
pub mod socket;
mod supervisor;
mod takeover;

pub use adapters::kubernetes::{KubernetesApi, WayChoice, Ways};
pub use config::{ControlConfig, FlinkSource, JobRule, KubernetesSource, Parts, Periods};
pub use handle::Handle;
pub use supervisor::start;

#[cfg(test)]
mod tests;
