//! The Kubernetes client: the way to the operator's resources and, through the API server, to a JobManager.
//!
//! Owns the connection ([`connect`]), one bounded request path with deadlines ([`KubeClient`]), the projections of the operator's
//! resources to small rows ([`FlinkDeployment`], [`FlinkSessionJob`]), watches ([`watch`]) and raw authenticated requests through the
//! services proxy ([`proxy`]). It reports facts and decides nothing: health words, ownership and retries of writes belong to `control`.
//!
//! `kube` brings configuration, TLS, proxies and authentication; bodies are read here, so that every answer is bounded, every call
//! has a deadline and every error says what failed, on what, and what to do.

mod client;
mod configuration;
mod connect;
mod error;
mod failure;
mod json;
mod objects;
pub mod proxy;
mod resource;
mod status;
pub mod watch;

pub use client::{ConfigMap, Features, FieldManager, KubeClient, Limits, WriteMode};
pub use configuration::{FlinkConfiguration, PARALLELISM_OVERRIDES};
pub use connect::{ConnectOptions, Connection, Places, connect};
pub use error::KubeError;
pub use failure::{Cause, Failure};
pub use json::WrongShape;
pub use objects::{Broken, Kind, Namespaces, Projection, ResourceRef};
pub use resource::{FlinkDeployment, FlinkSessionJob, JobSpec, Manager, Meta, PodResources};
pub use status::{Condition, JmStatus, JobStatus, Lifecycle, ReconcileState, Reconciled, Status};

#[cfg(test)]
mod tests;
