//! The services proxy: the way to a JobManager through the API server.

use axum::body::Body;
use axum::http::{Method, Request, Response, header};
use serde_json::Value;
use tower::ServiceExt;

use super::ApiServer;
use super::access::Action;
use super::failure::Failure;
use super::kinds::Kind;
use super::store::Key;

/// Forwards to the Flink face behind a service (`operator.md` §6.4): `NAME`, `NAME:PORT` or `SCHEME:NAME:PORT`.
pub(super) async fn forward(
    server: &ApiServer,
    namespace: &str,
    service: &str,
    request: Request<Body>,
) -> Result<Response<Body>, Failure> {
    let mut parts = service.split(':');
    let (name, port) = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) => (name, ""),
        (Some(name), Some(port), None) => (name, port),
        (Some("http" | ""), Some(name), Some(port)) => (name, port),
        _ => return Err(Failure::bad_request(format!("invalid service request {service:?}"))),
    };
    let verb = match *request.method() {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "get",
    };
    let action = Action {
        verb: verb.to_owned(),
        group: String::new(),
        resource: "services/proxy".to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    if !server.allows(&action) {
        return Err(action.refused());
    }
    let key = Key::new(Kind::Service, namespace, name);
    let object = server.get(&key).ok_or_else(|| Failure::not_found(Kind::Service, name))?;
    let ports = object.pointer("/spec/ports").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let known = ports.iter().any(|p| {
        port.is_empty() || p["name"] == port || p["port"].as_u64().is_some_and(|number| port.parse() == Ok(number))
    });
    let cluster = name.strip_suffix("-rest").filter(|_| known);
    let up =
        |cluster: &str| server.world().with(|w| w.cluster(cluster).is_some_and(crate::sim::cluster::Cluster::is_up));
    let face = cluster.filter(|c| up(c)).and_then(|c| server.flink(c));
    let Some(face) = face else { return Err(Failure::no_endpoints(name)) };
    let inner = request.uri().path_and_query().map_or("", axum::http::uri::PathAndQuery::as_str);
    let inner = inner.split_once("/proxy").map_or("/", |(_, rest)| rest);
    let inner = if inner.starts_with('/') { inner.to_owned() } else { format!("/{inner}") };
    let (mut parts, body) = request.into_parts();
    parts.uri = inner.parse().map_err(|e| Failure::bad_request(format!("invalid path: {e}")))?;
    // The credentials are for the API server, not for what is behind it.
    parts.headers.remove(header::AUTHORIZATION);
    match face.oneshot(Request::from_parts(parts, body)).await {
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}
