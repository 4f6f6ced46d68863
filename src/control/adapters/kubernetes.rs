//! The Kubernetes client as the port of the loop: resources as plain data, the way to a JobManager, and the one patch.

mod documents;
mod objects;
mod room;
mod rows;
mod watching;
mod ways;

use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, watch as signal};

use crate::clock::Clock;
use crate::control::ports::{
    ApiError, AutoscalerState, ClusterApi, Objects, PatchOf, Patched, Resource, ResourceEvent, ResourceRef, Wanted, Way,
};
use crate::domain::capacity::CapacityView;
use crate::domain::kubernetes::{KubeAction, ResourceDocuments};
use crate::domain::pods::LogQuery;
use crate::kubernetes::proxy::JobManagerProxy;
use crate::kubernetes::{
    self, FlinkConfiguration, FlinkDeployment, FlinkSessionJob, Kind, KubeClient, KubeError, LogAsk, Namespaces,
    Projection, Right, WriteMode,
};

pub use ways::{WayChoice, Ways};

/// The annotation that says what an approval wrote.
pub const APPLIED_ANNOTATION: &str = "flightdeck/applied";
/// Most lines of a log that are asked for at first.
const LONGEST_TAIL: u32 = 5_000;

/// A Kubernetes cluster through [`KubeClient`].
#[derive(Debug, Clone)]
pub struct KubernetesApi {
    client: KubeClient,
    namespaces: Namespaces,
    clock: Arc<dyn Clock>,
    ways: Ways,
    /// Ends the pauses of every watch early.
    retry_now: Arc<Notify>,
}

impl KubernetesApi {
    /// The cluster behind `client`, looked at in `namespaces`.
    pub fn new(client: KubeClient, namespaces: Namespaces, clock: Arc<dyn Clock>) -> Self {
        Self { client, namespaces, clock, ways: Ways::default(), retry_now: Arc::default() }
    }

    /// The same with another choice of the way to JobManagers.
    #[must_use]
    pub fn with_ways(self, ways: Ways) -> Self {
        Self { ways, ..self }
    }
}

fn api_error(error: KubeError) -> ApiError {
    let text = error.to_string();
    match error {
        KubeError::Conflict { .. } => ApiError::Conflict(text),
        KubeError::Forbidden { .. } | KubeError::Unauthorized { .. } => ApiError::Forbidden(text),
        KubeError::NotFound { .. } => ApiError::NotFound(text),
        KubeError::Refused { .. } => ApiError::Invalid(text),
        KubeError::Timeout { .. } | KubeError::ServerError { .. } | KubeError::Malformed { .. } => {
            ApiError::Unknown(text)
        }
        KubeError::TooLarge { .. } | KubeError::Unreachable { .. } => ApiError::Unknown(text),
        KubeError::NotConfigured { .. }
        | KubeError::BadConfiguration { .. }
        | KubeError::Expired { .. }
        | KubeError::TooManyRequests { .. } => ApiError::Other(text),
    }
}

/// The body of the patch: only to the version that was read, keys in the spelling that the resource uses.
fn body(of: &PatchOf, configuration: &FlinkConfiguration) -> Result<Value, ApiError> {
    let patch = &of.patch;
    let mut metadata = json!({ "resourceVersion": of.resource_version });
    if let Some(applied) = &patch.applied {
        let text = applied.as_ref().map(serde_json::to_string).transpose();
        let text = text.map_err(|e| ApiError::Other(e.to_string()))?;
        metadata["annotations"] = json!({ APPLIED_ANNOTATION: text });
    }
    let mut spec = Map::new();
    if !patch.configuration.is_empty() {
        let changes = patch.configuration.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
        spec.insert("flinkConfiguration".to_owned(), configuration.merge_patch(changes));
    }
    if let Some(memory) = &patch.task_manager_memory {
        spec.insert("taskManager".to_owned(), json!({ "resource": { "memory": memory } }));
    }
    if let Some(nonce) = patch.reset_nonce {
        spec.insert("job".to_owned(), json!({ "autoscalerResetNonce": nonce }));
    }
    Ok(json!({ "metadata": metadata, "spec": spec }))
}

fn reference(resource: &ResourceRef) -> kubernetes::ResourceRef {
    let kind = if resource.session_job { Kind::FlinkSessionJob } else { Kind::FlinkDeployment };
    kubernetes::ResourceRef { kind, namespace: resource.namespace.clone(), name: resource.name.clone() }
}

/// The resource in a document, and its configuration as written.
fn read(resource: &ResourceRef, document: &Value) -> Result<(Resource, FlinkConfiguration), ApiError> {
    let wrong = |e: kubernetes::WrongShape| {
        ApiError::Other(format!("{}/{} cannot be read: {e}", resource.namespace, resource.name))
    };
    if resource.session_job {
        let row = FlinkSessionJob::project(document).map_err(wrong)?;
        Ok((rows::of_session_job(&row), row.flink_configuration))
    } else {
        let row = FlinkDeployment::project(document).map_err(wrong)?;
        Ok((rows::of_deployment(&row), row.flink_configuration))
    }
}

impl ClusterApi for KubernetesApi {
    fn namespaces(&self) -> Vec<String> {
        self.namespaces.scopes().into_iter().flatten().collect()
    }

    fn watch(&self, wanted: signal::Receiver<Wanted>) -> BoxStream<'static, ResourceEvent> {
        let watching = watching::Watching::start(self, wanted);
        Box::pin(stream::unfold(watching, |mut watching| async move {
            watching.next().await.map(|event| (event, watching))
        }))
    }

    fn job_manager(&self, deployment: &Resource) -> Way {
        self.ways.to(&self.client, deployment)
    }

    fn page(&self, deployment: &Resource) -> Option<String> {
        let ResourceRef { namespace, name, .. } = &deployment.reference;
        let proxied = || JobManagerProxy::new(self.client.clone(), namespace, name).page();
        Some(deployment.ingress.clone().unwrap_or_else(proxied))
    }

    fn objects(&self) -> Option<&dyn Objects> {
        Some(self)
    }

    fn retry_now(&self) {
        self.retry_now.notify_waiters();
    }

    fn get<'a>(&'a self, resource: &'a ResourceRef) -> BoxFuture<'a, Result<Resource, ApiError>> {
        Box::pin(async move {
            let document = self.client.document(&reference(resource)).await.map_err(unsent)?;
            read(resource, &document).map(|(resource, _)| resource)
        })
    }

    fn patch<'a>(&'a self, patch: &'a PatchOf) -> BoxFuture<'a, Result<Patched, ApiError>> {
        let mode = if patch.dry_run { WriteMode::DryRun } else { WriteMode::Real };
        Box::pin(async move {
            // Read for its spelling of the keys and for the difference: the patch goes through on the given version or not at all.
            let reference = reference(&patch.reference);
            let before = self.client.document(&reference).await.map_err(unsent)?;
            let (_, configuration) = read(&patch.reference, &before)?;
            let body = body(patch, &configuration)?;
            let after = self.client.merge_patch_document(&reference, &body, mode).await.map_err(api_error)?;
            let changes = documents::differences(&documents::writable(&before), &documents::writable(&after));
            // An answer that cannot be read came after a write that was done.
            let (resource, _) = read(&patch.reference, &after).map_err(|e| ApiError::Unknown(e.to_string()))?;
            Ok(Patched { resource, changes })
        })
    }

    fn stored<'a>(&'a self, resource: &'a ResourceRef) -> BoxFuture<'a, Result<Option<AutoscalerState>, ApiError>> {
        Box::pin(async move {
            let found = self.client.autoscaler_config_map(&reference(resource)).await.map_err(unsent)?;
            Ok(found.map(|map| AutoscalerState {
                uid: String::new(),
                namespace: resource.namespace.clone(),
                name: resource.name.clone(),
                session_job: (!map.owners.is_empty()).then_some(resource.session_job),
                data: Arc::new(map.data),
            }))
        })
    }

    fn version(&self) -> BoxFuture<'_, Result<String, ApiError>> {
        Box::pin(async move { self.client.version().await.map_err(unsent) })
    }

    fn allowed<'a>(
        &'a self,
        action: KubeAction,
        namespace: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(bool, String), ApiError>> {
        Box::pin(async move {
            let (verb, group, resource) = action.right();
            let right = Right { verb, group, resource, namespace: namespace.map(str::to_owned) };
            self.client.access(&right).await.map(|access| (access.allowed, access.reason)).map_err(unsent)
        })
    }

    fn capacity(&self) -> BoxFuture<'_, Result<CapacityView, ApiError>> {
        Box::pin(async move { room::read(&self.client, &self.namespaces).await.map_err(unsent) })
    }

    fn documents<'a>(&'a self, resource: &'a ResourceRef) -> BoxFuture<'a, Result<ResourceDocuments, ApiError>> {
        Box::pin(async move {
            let document = self.client.document(&reference(resource)).await.map_err(unsent)?;
            Ok(documents::documents(&document))
        })
    }

    fn log(&self, query: LogQuery) -> BoxStream<'static, Result<String, ApiError>> {
        let client = self.client.clone();
        let lines = async move {
            let ask = LogAsk {
                namespace: &query.namespace,
                pod: &query.pod,
                container: query.container.as_deref(),
                previous: query.previous,
                follow: query.follow,
                tail: query.tail.min(LONGEST_TAIL),
            };
            client.log(&ask).await
        };
        // One line after the other; an error is the last thing that is said.
        let lines = stream::once(lines).flat_map(|opened| match opened {
            Ok(lines) => stream::unfold(Some(lines), |lines| async move {
                let mut lines = lines?;
                match lines.next().await {
                    Ok(Some(line)) => Some((Ok(line), Some(lines))),
                    Ok(None) => None,
                    Err(error) => Some((Err(unsent(error)), None)),
                }
            })
            .boxed(),
            Err(error) => stream::iter([Err(unsent(error))]).boxed(),
        });
        lines.boxed()
    }
}

/// The error of a read: whatever happened, nothing was written.
fn unsent(error: KubeError) -> ApiError {
    match api_error(error) {
        ApiError::Unknown(why) => ApiError::Other(why),
        other => other,
    }
}
