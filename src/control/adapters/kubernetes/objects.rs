//! The Kubernetes client as the port of operations: whole objects.

use futures::future::BoxFuture;
use serde_json::Value;

use super::{KubernetesApi, api_error, documents, unsent};
use crate::control::ports::{ApiError, Objects, OperatorLife, Write};
use crate::domain::kubernetes::FieldChange;
use crate::domain::objects::{ObjectKind, ObjectName};
use crate::kubernetes::{Kind, KubeError, ResourceRef, Scope, WriteMode};

/// The label of the operator's Deployment.
const OPERATOR: &str = "app.kubernetes.io/name=flink-kubernetes-operator";

fn kind(kind: ObjectKind) -> Kind {
    match kind {
        ObjectKind::FlinkDeployment => Kind::FlinkDeployment,
        ObjectKind::FlinkSessionJob => Kind::FlinkSessionJob,
        ObjectKind::FlinkStateSnapshot => Kind::FlinkStateSnapshot,
        ObjectKind::Deployment => Kind::Deployment,
        ObjectKind::Pod => Kind::Pod,
        ObjectKind::Event => Kind::Event,
    }
}

fn reference(object: &ObjectName) -> ResourceRef {
    ResourceRef { kind: kind(object.kind), namespace: object.namespace.clone(), name: object.name.clone() }
}

fn mode(write: Write) -> WriteMode {
    match write {
        Write::DryRun => WriteMode::DryRun,
        Write::Real => WriteMode::Real,
    }
}

/// The error of a write; a rehearsal changes nothing, whatever became of its answer.
fn failed(error: KubeError, write: Write) -> ApiError {
    match write {
        Write::DryRun => unsent(error),
        Write::Real => api_error(error),
    }
}

impl Objects for KubernetesApi {
    fn read<'a>(&'a self, object: &'a ObjectName) -> BoxFuture<'a, Result<Value, ApiError>> {
        Box::pin(async move { self.client.document(&reference(object)).await.map_err(unsent) })
    }

    fn list<'a>(
        &'a self,
        of: ObjectKind,
        namespace: &'a str,
        labels: &'a str,
        fields: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Value>, ApiError>> {
        let scope =
            Scope { namespace: Some(namespace.to_owned()), labels: labels.to_owned(), fields: fields.to_owned() };
        Box::pin(async move { self.client.documents(kind(of), &scope).await.map_err(unsent) })
    }

    fn create<'a>(
        &'a self,
        object: &'a ObjectName,
        body: &'a Value,
        write: Write,
    ) -> BoxFuture<'a, Result<Value, ApiError>> {
        Box::pin(async move {
            let made = self.client.create_document(&reference(object), body, mode(write)).await;
            made.map_err(|error| failed(error, write))
        })
    }

    fn merge<'a>(
        &'a self,
        object: &'a ObjectName,
        patch: &'a Value,
        write: Write,
    ) -> BoxFuture<'a, Result<(Value, Vec<FieldChange>), ApiError>> {
        Box::pin(async move {
            let reference = reference(object);
            // Read for the difference, which only a rehearsal is asked for: the patch goes through on the version that it names or
            // not at all.
            let before = match write {
                Write::DryRun => Some(self.client.document(&reference).await.map_err(unsent)?),
                Write::Real => None,
            };
            let after = self.client.merge_patch_document(&reference, patch, mode(write)).await;
            let after = after.map_err(|error| failed(error, write))?;
            let differences =
                |before: &Value| documents::differences(&documents::writable(before), &documents::writable(&after));
            let changes = before.as_ref().map(differences).unwrap_or_default();
            Ok((after, changes))
        })
    }

    fn delete<'a>(&'a self, object: &'a ObjectName, uid: &'a str) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(async move { self.client.delete_document(&reference(object), uid).await.map_err(api_error) })
    }

    fn operators(&self) -> BoxFuture<'_, Result<Vec<OperatorLife>, ApiError>> {
        Box::pin(async move {
            let scope = Scope { labels: OPERATOR.to_owned(), ..Scope::default() };
            match self.client.documents(Kind::Deployment, &scope).await {
                Ok(all) => Ok(all.iter().map(life).collect()),
                Err(KubeError::Forbidden { .. }) => Ok(Vec::new()),
                Err(error) => Err(unsent(error)),
            }
        })
    }
}

fn life(deployment: &Value) -> OperatorLife {
    let text = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let ready = deployment.pointer("/status/readyReplicas").and_then(Value::as_u64).unwrap_or_default();
    OperatorLife {
        named: ObjectName::new(ObjectKind::Deployment, text("/metadata/namespace"), text("/metadata/name")),
        ready: u32::try_from(ready).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use http::{Method, Request, Response};
    use http_body_util::Full;
    use serde_json::json;

    use super::*;
    use crate::clock::SystemClock;
    use crate::kubernetes::{KubeClient, Limits, Namespaces};

    /// A server whose object asks for one TaskManager when it is read and for two after a patch. It notes what it was asked.
    fn server(asked: &Arc<Mutex<Vec<Method>>>) -> KubernetesApi {
        let asked = Arc::clone(asked);
        let server = tower::service_fn(move |request: Request<_>| {
            asked.lock().unwrap().push(request.method().clone());
            let replicas = if request.method() == Method::GET { 1 } else { 2 };
            let body = json!({"metadata": {"name": "orders"}, "spec": {"taskManager": {"replicas": replicas}}});
            async move { Response::builder().body(Full::new(Bytes::from(body.to_string()))) }
        });
        let client = KubeClient::from_service(server, "https://api", Limits::default());
        KubernetesApi::new(client, Namespaces::All, Arc::new(SystemClock::new()))
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_rehearsal_reads_what_was_there_before() {
        let asked = Arc::default();
        let api = server(&asked);
        let orders = ObjectName::new(ObjectKind::FlinkDeployment, "shop", "orders");
        let patch = json!({"spec": {"taskManager": {"replicas": 2}}});
        let (_, changes) = api.merge(&orders, &patch, Write::DryRun).await.unwrap();
        let paths: Vec<_> = changes.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, ["spec.taskManager.replicas"]);
        let (after, changes) = api.merge(&orders, &patch, Write::Real).await.unwrap();
        assert_eq!((&after["spec"]["taskManager"]["replicas"], changes.len()), (&json!(2), 0));
        assert_eq!(*asked.lock().unwrap(), [Method::GET, Method::PATCH, Method::PATCH]);
    }
}
