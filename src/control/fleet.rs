//! The fleet of a Kubernetes cluster: its resources, the Flink clusters behind them, and the jobs on those.

use std::sync::Arc;

use super::config::KubernetesSource;
use super::health::OperatorWord;
use super::ports::Resource;
use super::shared::Shared;
use crate::domain::Timestamp;

/// Watches a Kubernetes cluster until it is aborted.
pub(super) async fn watch_kubernetes(shared: Arc<Shared>, source: KubernetesSource) {
    let _ = (shared, source);
}

/// What the operator says of a resource (`operator.md` §2.3).
pub(super) fn operator_word(resource: &Resource, now: Timestamp) -> OperatorWord {
    let _ = now;
    OperatorWord { text: resource.lifecycle.clone().unwrap_or_default(), headline: None }
}
