//! The pure autoscaling pipeline: collect → window → evaluate → decide → tune, with exactly the operator's numbers.
//!
//! Owns options, window arithmetic, the evaluator, the vertex scaler, alignment, the executor rules, memory tuning, the
//! restart estimate and the explanation of all of them. It does no I/O, reads no clock, is not async, and knows nothing of
//! Kubernetes, HTTP or a screen. `autoscaler.md` of the references is its contract; two generations of rules are supported.

pub mod advice;
pub mod alignment;
pub mod cases;
pub mod collect;
pub mod evaluate;
pub mod events;
pub mod excluded;
pub mod execute;
pub mod explain;
pub mod generation;
mod graph;
pub mod memory;
pub mod number;
pub mod options;
pub mod overrides;
pub mod pass;
mod predict;
mod reasons;
pub mod restart;
pub mod slots;
mod time;
pub mod tuning;
pub mod vertex;
pub mod window;

#[cfg(test)]
pub(crate) mod fixture;
