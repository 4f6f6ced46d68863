//! The one place that joins the rooms below with the loop: answers of Flink and Kubernetes become the plain inputs of the
//! pipeline, the guards and the views, and the loop's one write becomes a request.

pub(super) mod flink;
pub mod kubernetes;
