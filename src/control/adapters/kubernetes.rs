//! The Kubernetes client as the port of the loop: resources as plain data, the way to a JobManager, and the one patch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio_util::task::AbortOnDropHandle;

use crate::clock::Clock;
use crate::control::ownership::{OVERRIDES_KEY, format_overrides, parse_overrides};
use crate::control::ports::{ApiError, ClusterApi, OverridePatch, Resource, ResourceEvent, ResourceRef};
use crate::domain::ids::VertexId;
use crate::domain::job::JobKind;
use crate::flink::{self, Transport, TransportError};
use crate::kubernetes::proxy::{JobManagerProxy, ProxyRequest};
use crate::kubernetes::watch::{self, Collection, Update};
use crate::kubernetes::{
    FlinkConfiguration, FlinkDeployment, FlinkSessionJob, Kind, KubeClient, KubeError, Meta, Namespaces, Projection,
    Status, WriteMode,
};

/// The annotation that says what an approval wrote.
pub const APPLIED_ANNOTATION: &str = "flightdeck/applied";
/// Updates that wait to be taken.
const UPDATES: usize = 64;
/// Pause before the server is asked again which kinds it knows.
const FEATURES_PAUSE: Duration = Duration::from_secs(10);
/// Longest error text that is kept.
const MAX_ERROR: usize = 400;

/// A Kubernetes cluster through [`KubeClient`].
#[derive(Debug, Clone)]
pub struct KubernetesApi {
    client: KubeClient,
    namespaces: Namespaces,
    clock: Arc<dyn Clock>,
    /// Ends the pauses of the watches.
    retry: Arc<Notify>,
}

impl KubernetesApi {
    /// The cluster behind `client`, looked at in `namespaces`.
    pub fn new(client: KubeClient, namespaces: Namespaces, clock: Arc<dyn Clock>) -> Self {
        Self { client, namespaces, clock, retry: Arc::default() }
    }
}

/// An update of one of the watches.
enum Heard {
    Deployments(usize, Update<FlinkDeployment>),
    SessionJobs(usize, Update<FlinkSessionJob>),
    NoKinds(KubeError),
}

/// Every watch of a cluster, folded.
struct Watching {
    heard: mpsc::Receiver<Heard>,
    deployments: BTreeMap<usize, Collection<FlinkDeployment>>,
    session_jobs: BTreeMap<usize, Collection<FlinkSessionJob>>,
    clock: Arc<dyn Clock>,
    attempt: u32,
    _tasks: AbortOnDropHandle<()>,
}

impl Watching {
    fn start(api: &KubernetesApi) -> Self {
        let (say, heard) = mpsc::channel(UPDATES);
        let task = tokio::spawn(watch_all(api.clone(), say));
        Self {
            heard,
            deployments: BTreeMap::new(),
            session_jobs: BTreeMap::new(),
            clock: Arc::clone(&api.clock),
            attempt: 0,
            _tasks: AbortOnDropHandle::new(task),
        }
    }

    async fn next(&mut self) -> Option<ResourceEvent> {
        let heard = self.heard.recv().await?;
        let at = self.clock.now();
        Some(match heard {
            Heard::Deployments(scope, update) => {
                let event = event(&update, of_deployment);
                self.deployments.entry(scope).or_default().apply(update, at);
                event.unwrap_or_else(|| self.all())
            }
            Heard::SessionJobs(scope, update) => {
                let event = event(&update, of_session_job);
                self.session_jobs.entry(scope).or_default().apply(update, at);
                event.unwrap_or_else(|| self.all())
            }
            Heard::NoKinds(error) => {
                self.attempt += 1;
                let next_attempt_at = at + FEATURES_PAUSE;
                ResourceEvent::Lost { error: error.to_string(), attempt: self.attempt, next_attempt_at }
            }
        })
    }

    fn all(&self) -> ResourceEvent {
        let deployments = self.deployments.values().flat_map(|c| c.rows.values()).map(|row| of_deployment(row));
        let jobs = self.session_jobs.values().flat_map(|c| c.rows.values()).map(|row| of_session_job(row));
        ResourceEvent::All(deployments.chain(jobs).collect())
    }
}

/// The event of an update; `None` if the whole collection is to be told.
fn event<R: Projection>(update: &Update<R>, of: impl Fn(&R) -> Resource) -> Option<ResourceEvent> {
    match update {
        Update::Listed { broken, .. } => {
            for broken in broken {
                tracing::warn!(namespace = broken.namespace, name = broken.name, why = %broken.why, "a resource cannot be read");
            }
            None
        }
        Update::Applied(row) => Some(ResourceEvent::Changed(Box::new(of(row)))),
        Update::Broken(broken) => {
            tracing::warn!(namespace = broken.namespace, name = broken.name, why = %broken.why, "a resource cannot be read");
            Some(ResourceEvent::Gone { uid: broken.uid.clone() })
        }
        Update::Deleted { uid } => Some(ResourceEvent::Gone { uid: uid.clone() }),
        Update::Current => Some(ResourceEvent::Current),
        Update::Lost { error, attempt, next_attempt_at } => {
            Some(ResourceEvent::Lost { error: error.to_string(), attempt: *attempt, next_attempt_at: *next_attempt_at })
        }
    }
}

/// Watches every kind that the server knows, in every scope.
async fn watch_all(api: KubernetesApi, say: mpsc::Sender<Heard>) {
    let features = loop {
        match api.client.features().await {
            Ok(features) if features.deployments => break features,
            Ok(_) => {
                let what = "watch Flink's resources".to_owned();
                let message = "the Flink operator's resource definitions are not installed".to_owned();
                if say.send(Heard::NoKinds(KubeError::NotFound { what, message })).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                if say.send(Heard::NoKinds(error)).await.is_err() {
                    return;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(FEATURES_PAUSE) => {}
            () = api.retry.notified() => {}
        }
    };
    let mut watches = tokio::task::JoinSet::new();
    for (scope, namespace) in api.namespaces.scopes().into_iter().enumerate() {
        let deployments = say.clone();
        watch_one::<FlinkDeployment>(&mut watches, &api, namespace.clone(), deployments, move |update| {
            Heard::Deployments(scope, update)
        });
        if features.has(Kind::FlinkSessionJob) {
            let jobs = say.clone();
            watch_one::<FlinkSessionJob>(&mut watches, &api, namespace, jobs, move |update| {
                Heard::SessionJobs(scope, update)
            });
        }
    }
    while watches.join_next().await.is_some() {}
}

fn watch_one<R: Projection>(
    watches: &mut tokio::task::JoinSet<()>,
    api: &KubernetesApi,
    namespace: Option<String>,
    say: mpsc::Sender<Heard>,
    wrap: impl Fn(Update<R>) -> Heard + Send + 'static,
) {
    let (out, mut updates) = mpsc::channel(UPDATES);
    let retry = Arc::clone(&api.retry);
    watches.spawn(watch::run::<R>(api.client.clone(), namespace, Arc::clone(&api.clock), retry, out));
    watches.spawn(async move {
        while let Some(update) = updates.recv().await {
            if say.send(wrap(update)).await.is_err() {
                return;
            }
        }
    });
}

fn of_deployment(row: &FlinkDeployment) -> Resource {
    let kind = if row.is_session_cluster() { JobKind::SessionCluster } else { JobKind::FlinkDeployment };
    let job = row.job.as_ref();
    let mut resource = base(&row.meta, kind, &row.flink_configuration, row.status.as_ref());
    resource.native = row.mode.as_deref() != Some("standalone");
    resource.flink_version.clone_from(&row.flink_version);
    resource.suspended = job.is_some_and(|j| j.wants_suspended());
    resource.upgrade_mode = job.map(|j| j.upgrade_mode.clone().unwrap_or_else(|| "stateless".into()));
    resource.ingress.clone_from(&row.ingress);
    resource.task_manager_cpu = row.task_manager.cpu;
    resource.task_manager_memory = row.task_manager.memory.as_deref().and_then(memory_bytes);
    resource
}

fn of_session_job(row: &FlinkSessionJob) -> Resource {
    let mut resource = base(&row.meta, JobKind::FlinkSessionJob, &row.flink_configuration, row.status.as_ref());
    resource.suspended = row.job.wants_suspended();
    resource.upgrade_mode = Some(row.job.upgrade_mode.clone().unwrap_or_else(|| "stateless".into()));
    resource.deployment_name = Some(row.deployment_name.clone());
    resource
}

fn base(meta: &Meta, kind: JobKind, configuration: &FlinkConfiguration, status: Option<&Status>) -> Resource {
    let owns = |m: &&crate::kubernetes::Manager| m.configuration_keys.iter().any(|k| k == OVERRIDES_KEY);
    let error = status.and_then(|s| s.error.as_ref());
    Resource {
        reference: ResourceRef {
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            session_job: kind == JobKind::FlinkSessionJob,
        },
        kind,
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        generation: meta.generation,
        observed_generation: status.and_then(|s| s.observed_generation),
        created_at: meta.created_at,
        deleting: meta.deletion_at.is_some(),
        configuration: configuration.values().clone(),
        native: true,
        flink_version: None,
        suspended: false,
        upgrade_mode: None,
        deployment_name: None,
        task_manager_cpu: None,
        task_manager_memory: None,
        ingress: None,
        lifecycle: status.and_then(|s| s.lifecycle.as_ref()).map(|l| l.word().to_owned()),
        job_manager: status.and_then(|s| s.job_manager.as_ref()).map(|j| j.word().to_owned()),
        job_state: status.and_then(|s| s.job.state).map(|s| s.name().to_owned()),
        job_id: status.and_then(|s| s.job.job_id),
        error: error.map(|e| e.sentence().chars().take(MAX_ERROR).collect()),
        invalid: error.is_some_and(|e| e.class().ends_with("ValidationException")),
        applied: meta.annotations.get(APPLIED_ANNOTATION).and_then(|text| serde_json::from_str(text).ok()),
        override_managers: meta.managers.iter().filter(owns).map(|m| m.name.clone()).collect(),
    }
}

/// A memory size in Flink's units (powers of 1024) or as a Kubernetes quantity, bytes.
fn memory_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "ki" => 10,
        "m" | "mb" | "mi" => 20,
        "g" | "gb" | "gi" => 30,
        "t" | "tb" | "ti" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
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

/// The body of the patch: only to the version that was read.
fn body(patch: &OverridePatch, configuration: &FlinkConfiguration) -> Result<Value, ApiError> {
    let applied = serde_json::to_string(&patch.applied).map_err(|e| ApiError::Other(e.to_string()))?;
    let map = format_overrides(&patch.parallelism);
    Ok(json!({
        "metadata": {
            "resourceVersion": patch.resource_version,
            "annotations": { APPLIED_ANNOTATION: applied },
        },
        "spec": { "flinkConfiguration": configuration.merge_patch([(OVERRIDES_KEY, Some(map.as_str()))]) },
    }))
}

impl ClusterApi for KubernetesApi {
    fn watch(&self) -> BoxStream<'static, ResourceEvent> {
        let watching = Watching::start(self);
        Box::pin(stream::unfold(watching, |mut watching| async move {
            watching.next().await.map(|event| (event, watching))
        }))
    }

    fn job_manager(&self, deployment: &ResourceRef) -> Arc<dyn Transport> {
        let proxy = JobManagerProxy::new(self.client.clone(), &deployment.namespace, &deployment.name);
        Arc::new(ProxyTransport { proxy })
    }

    fn page(&self, deployment: &Resource) -> Option<String> {
        let ResourceRef { namespace, name, .. } = &deployment.reference;
        let proxied = || JobManagerProxy::new(self.client.clone(), namespace, name).page();
        Some(deployment.ingress.clone().unwrap_or_else(proxied))
    }

    fn get<'a>(&'a self, resource: &'a ResourceRef) -> BoxFuture<'a, Result<Resource, ApiError>> {
        let ResourceRef { namespace, name, session_job } = resource;
        Box::pin(async move {
            if *session_job {
                let row = self.client.get::<FlinkSessionJob>(namespace, name).await.map_err(api_error)?;
                Ok(of_session_job(&row))
            } else {
                let row = self.client.get::<FlinkDeployment>(namespace, name).await.map_err(api_error)?;
                Ok(of_deployment(&row))
            }
        })
    }

    fn patch_overrides<'a>(&'a self, patch: &'a OverridePatch) -> BoxFuture<'a, Result<Resource, ApiError>> {
        let ResourceRef { namespace, name, session_job } = &patch.reference;
        let mode = if patch.dry_run { WriteMode::DryRun } else { WriteMode::Real };
        Box::pin(async move {
            // Read for its spelling of the key only: the patch goes through on the given version or not at all.
            if *session_job {
                let now = self.client.get::<FlinkSessionJob>(namespace, name).await.map_err(unsent)?;
                let body = body(patch, &now.flink_configuration)?;
                let row = self.client.merge_patch::<FlinkSessionJob>(namespace, name, &body, mode).await;
                row.map(|row| of_session_job(&row)).map_err(api_error)
            } else {
                let now = self.client.get::<FlinkDeployment>(namespace, name).await.map_err(unsent)?;
                let body = body(patch, &now.flink_configuration)?;
                let row = self.client.merge_patch::<FlinkDeployment>(namespace, name, &body, mode).await;
                row.map(|row| of_deployment(&row)).map_err(api_error)
            }
        })
    }

    fn stored_overrides<'a>(
        &'a self,
        resource: &'a ResourceRef,
    ) -> BoxFuture<'a, Result<BTreeMap<VertexId, i32>, ApiError>> {
        Box::pin(async move {
            let name = format!("autoscaler-{}", resource.name);
            let found = self.client.config_map(&resource.namespace, &name).await.map_err(unsent)?;
            let text = found.and_then(|map| map.data.get("parallelismOverrides").cloned());
            Ok(text.map(|text| parse_overrides(&text)).unwrap_or_default())
        })
    }

    fn retry_now(&self) {
        self.retry.notify_waiters();
    }

    fn version(&self) -> BoxFuture<'_, Result<String, ApiError>> {
        Box::pin(async move { self.client.version().await.map_err(unsent) })
    }
}

/// The error of a read: whatever happened, nothing was written.
fn unsent(error: KubeError) -> ApiError {
    match api_error(error) {
        ApiError::Unknown(why) => ApiError::Other(why),
        other => other,
    }
}

/// The way to a JobManager through the API server's services proxy.
#[derive(Debug)]
struct ProxyTransport {
    proxy: JobManagerProxy,
}

impl Transport for ProxyTransport {
    fn call(&self, request: flink::Request) -> flink::BoxFuture<'_, Result<flink::Response, TransportError>> {
        let flink::Request { method, path, headers, body, deadline, body_limit } = request;
        Box::pin(async move {
            let request = ProxyRequest { method, path, headers, body, deadline, limit: body_limit };
            match self.proxy.send(request).await {
                Ok(answer) => Ok(flink::Response { status: answer.status, headers: answer.headers, body: answer.body }),
                Err(KubeError::Timeout { after, .. }) => Err(TransportError::Timeout(after)),
                Err(KubeError::TooLarge { limit, .. }) => Err(TransportError::TooLarge(limit)),
                Err(error @ (KubeError::Unreachable { .. } | KubeError::Malformed { .. })) => {
                    Err(TransportError::Broken(error.to_string()))
                }
                // The API server answered for itself: the JobManager was never asked.
                Err(error) => Err(TransportError::Connect(error.to_string())),
            }
        })
    }

    fn target(&self) -> &str {
        self.proxy.target()
    }
}

#[cfg(test)]
mod tests;
