//! The way to a JobManager through the API server: `…/services/{name}-rest:8081/proxy/…` (`operator.md` §6.4), authenticated as any other
//! call, bounded, with a deadline.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};

use super::client::{Ask, KubeClient, invalid, refusal};
use super::error::KubeError;

/// One JobManager behind its REST service.
#[derive(Debug, Clone)]
pub struct JobManagerProxy {
    client: KubeClient,
    namespace: String,
    base: String,
    target: String,
}

/// What came back from the JobManager: any status, the headers, the whole bounded body.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxyAnswer {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// A request to the JobManager.
#[derive(Debug, Clone)]
pub struct ProxyRequest {
    /// Method.
    pub method: Method,
    /// Path and query, percent-encoded, from `/`.
    pub path: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Body; empty for none.
    pub body: Bytes,
    /// How long the whole call may take.
    pub deadline: Duration,
    /// Longest body accepted, bytes.
    pub limit: usize,
}

impl JobManagerProxy {
    /// The JobManager of the cluster `name` in `namespace`, at its REST port 8081. For a FlinkSessionJob give its cluster's name.
    pub fn new(client: KubeClient, namespace: &str, name: &str) -> Self {
        let base = format!("/api/v1/namespaces/{namespace}/services/{name}-rest:8081/proxy");
        let target = format!("{}{base}", client.address());
        Self { client, namespace: namespace.to_owned(), base, target }
    }

    /// The address for messages, without credentials.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Flink's own page. It needs the rights of the kube context, as every call through the API server does.
    pub fn page(&self) -> String {
        format!("{}/", self.target)
    }

    /// Sends a request. An answer of Flink with an error status is an answer; an answer of the API server itself that says the
    /// JobManager cannot be reached is an error.
    ///
    /// # Errors
    /// [`KubeError::Forbidden`] without the right to `services/proxy`, [`KubeError::ServerError`] 503 when the service has no endpoints
    /// (the JobManager is not ready), else as any call.
    pub async fn send(&self, request: ProxyRequest) -> Result<ProxyAnswer, KubeError> {
        let ask = Ask {
            what: format!("{} {}{}", request.method, self.base, path_only(&request.path)),
            verb: verb(&request.method),
            resource: "services/proxy".to_owned(),
            namespace: Some(self.namespace.clone()),
        };
        let mut outgoing = Request::builder()
            .method(request.method)
            .uri(format!("{}{}", self.base, request.path))
            .body(request.body)
            .map_err(|e| invalid(&ask, &e))?;
        *outgoing.headers_mut() = request.headers;
        let (status, headers, body) = self.client.call(&ask, outgoing, request.deadline, request.limit).await?;
        if !status.is_success() && is_status(&body) {
            return Err(refusal(&ask, status, &headers, &body));
        }
        Ok(ProxyAnswer { status, headers, body })
    }
}

/// The API server answers for itself with a `Status` object; Flink never does.
fn is_status(body: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(body)
        .is_ok_and(|d| d.get("kind").and_then(|k| k.as_str()) == Some("Status") && d.get("apiVersion").is_some())
}

/// RBAC's verb for a method (`operator.md` §12).
fn verb(method: &Method) -> &'static str {
    match method.as_str() {
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "get",
    }
}

fn path_only(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}
