//! The Kubernetes client: the way to the operator's resources and, through the API server, to a JobManager.
//!
//! Owns the connection ([`connect`]), one bounded request path with deadlines ([`KubeClient`]), the projections of the operator's
//! resources to small rows ([`FlinkDeployment`], [`FlinkSessionJob`]) and of what belongs to them ([`Row`]), watches ([`watch`]) and raw authenticated requests through the
//! services proxy ([`proxy`]). It reports facts and decides nothing: health words, ownership and retries of writes belong to `control`.
//!
//! `kube` brings configuration, TLS, proxies and authentication; bodies are read here, so that every answer is bounded, every call
//! has a deadline and every error says what failed, on what, and what to do.

mod access;
mod client;
mod configuration;
mod connect;
mod documents;
mod error;
mod failure;
mod groups;
mod json;
mod objects;
pub mod proxy;
mod quantity;
mod resource;
mod small;
mod status;
pub mod watch;

pub use access::{
    Access, LogAsk, LogLines, OperatorDeployment, PodRoom, Quota, Right, Scaler, VerticalScaler, tolerations,
};
pub use client::{ConfigMap, Features, FieldManager, KubeClient, Limits, WriteMode};
pub use configuration::{FlinkConfiguration, PARALLELISM_OVERRIDES};
pub use connect::{ConnectOptions, Connection, Places, connect, contexts};
pub use error::KubeError;
pub use failure::{Cause, Failure};
pub use groups::node_groups;
pub use json::WrongShape;
pub use objects::{Broken, Kind, Namespaces, Projection, ResourceRef, Scope};
pub use quantity::{milli_cores, whole};
pub use resource::{FlinkDeployment, FlinkSessionJob, JobSpec, Manager, Meta, Placement, PodResources};
pub use small::{AutoscalerMap, MAIN_CONTAINER, Row, Small};
pub use status::{Condition, JmStatus, JobStatus, Lifecycle, ReconcileState, Reconciled, Status};

#[cfg(test)]
mod tests;
