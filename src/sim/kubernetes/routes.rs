//! From a path to an answer.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::failure::Failure;
use super::kinds::Kind;
use super::requests::{self, Place};
use super::store::Key;
use super::{ApiServer, definitions, discovery, logs};
use crate::sim::fault::FaultSpec;

/// Longest request body, bytes; as the real server's.
const MAX_BODY: usize = 3 << 20;

/// A request, taken apart.
pub(super) struct Asked {
    pub method: Method,
    pub query: BTreeMap<String, String>,
    pub accept: String,
    pub content_type: String,
    pub user_agent: String,
    pub body: axum::body::Bytes,
}

impl Asked {
    pub(super) fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.parameter(name), "true" | "1")
    }

    pub(super) fn wants_table(&self) -> bool {
        self.accept.split(',').next().is_some_and(|first| first.contains("as=Table"))
    }
}

/// Answers a request.
pub(super) async fn answer(server: ApiServer, request: Request<Body>) -> Result<Response<Body>, Failure> {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    if let ["api", "v1", "namespaces", namespace, "services", service, "proxy", ..] = segments.as_slice() {
        return proxy(&server, namespace, service, request).await;
    }
    let (parts, body) = request.into_parts();
    let text =
        |name: header::HeaderName| parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let query = parts.uri.query().unwrap_or_default();
    let body = axum::body::to_bytes(body, MAX_BODY)
        .await
        .map_err(|e| Failure::bad_request(format!("the body cannot be read: {e}")))?;
    let asked = Asked {
        query: url::form_urlencoded::parse(query.as_bytes())
            .filter(|(name, _)| !name.is_empty())
            .map(|(k, v)| (k.into_owned(), v.into_owned()))
            .collect(),
        accept: text(header::ACCEPT),
        content_type: text(header::CONTENT_TYPE),
        user_agent: text(header::USER_AGENT),
        method: parts.method,
        body,
    };
    let found = |document: Option<Value>| document.map(json_response).ok_or_else(Failure::no_such_path);
    let served = server.served();
    match segments.as_slice() {
        [] => Ok(json_response(
            json!({"paths": ["/api", "/apis", "/openapi/v3", "/version", "/healthz", "/livez", "/readyz"]}),
        )),
        ["healthz" | "livez" | "readyz", ..] => Ok(Response::new(Body::from("ok"))),
        ["version"] => Ok(json_response(discovery::version())),
        ["api"] => Ok(groups(&served, &asked, true)),
        ["apis"] => Ok(groups(&served, &asked, false)),
        ["api", version] => found(discovery::resource_list(&served, "", version)),
        ["apis", group] => found(discovery::group(&served, group)),
        ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"] => Ok(created(access_review(&asked)?)),
        ["apis", group, version] => found(discovery::resource_list(&served, group, version)),
        ["openapi", "v3"] => Ok(json_response(discovery::openapi_index(&served))),
        ["openapi", "v3", "api", version] => found(discovery::openapi(&served, "", version)),
        ["openapi", "v3", "apis", group, version] => found(discovery::openapi(&served, group, version)),
        ["sim", "faults"] => faults(&server, &asked),
        ["sim", "compact"] => compact(&server, &asked),
        ["api", version, rest @ ..] => objects(server, "", version, rest, asked),
        ["apis", group, version, rest @ ..] => objects(server, group, version, rest, asked),
        _ => Err(Failure::no_such_path()),
    }
}

fn objects(
    server: ApiServer,
    group: &str,
    version: &str,
    rest: &[&str],
    asked: Asked,
) -> Result<Response<Body>, Failure> {
    let (namespace, plural, tail): (&str, &str, &[&str]) = match rest {
        ["namespaces"] => ("", "namespaces", &[]),
        ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => ("", "namespaces", &rest[1..]),
        ["namespaces", namespace, plural, tail @ ..] => (namespace, plural, tail),
        [plural, tail @ ..] => ("", plural, tail),
        [] => return Err(Failure::no_such_path()),
    };
    let kind = Kind::find(group, version, plural).ok_or_else(Failure::no_such_path)?;
    if !server.with_store(|store, _| definitions::served(store, kind)) {
        return Err(Failure::no_such_path());
    }
    if !kind.info().namespaced && !namespace.is_empty() {
        return Err(Failure::no_such_path());
    }
    let place = match tail {
        [] => Place::Collection,
        // A namespaced object has no address without its namespace.
        [_, ..] if kind.info().namespaced && namespace.is_empty() => return Err(Failure::no_such_path()),
        [name] => Place::Object(Key::new(kind, namespace, name)),
        [name, "log"] if kind == Kind::Pod && asked.method == Method::GET => {
            return logs::answer(&server, &Key::new(kind, namespace, name), &asked);
        }
        [name, "status"] if kind.info().status => Place::Status(Key::new(kind, namespace, name)),
        _ => return Err(Failure::no_such_path()),
    };
    requests::answer(server, kind, namespace, place, &asked)
}

fn groups(served: &[Kind], asked: &Asked, core: bool) -> Response<Body> {
    if asked.accept.contains("as=APIGroupDiscoveryList") && asked.accept.contains("v=v2;") {
        let mut response = json_response(discovery::aggregated(served, core));
        let media = HeaderValue::from_static("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
        response.headers_mut().insert(header::CONTENT_TYPE, media);
        return response;
    }
    json_response(if core { discovery::core_versions() } else { discovery::group_list(served) })
}

/// Everything is allowed here; a scenario takes rights away by a fault.
fn access_review(asked: &Asked) -> Result<Value, Failure> {
    if asked.method != Method::POST {
        return Err(Failure::method_not_allowed());
    }
    let mut review: Value = serde_json::from_slice(&asked.body).map_err(|e| Failure::bad_request(e.to_string()))?;
    review["status"] = json!({"allowed": true, "reason": "the embedded cluster allows everything"});
    Ok(review)
}

/// Faults by request: `GET` lists, `POST` lets one begin (the form of a scenario's `[[fault]]`, as JSON), `DELETE` ends all that act.
fn faults(server: &ApiServer, asked: &Asked) -> Result<Response<Body>, Failure> {
    match asked.method {
        Method::GET => {
            let all: Vec<Value> = server.world().with(|world| {
                let all = world.faults().all().iter();
                all.map(|f| json!({"fault": format!("{:?}", f.fault), "from": f.from, "until": f.until})).collect()
            });
            Ok(json_response(json!(all)))
        }
        Method::POST => {
            let spec: FaultSpec =
                serde_json::from_slice(&asked.body).map_err(|e| Failure::bad_request(e.to_string()))?;
            server.world().with(|world| world.inject(spec)).map_err(Failure::bad_request)?;
            Ok(json_response(json!({"status": "Success"})))
        }
        Method::DELETE => {
            server.world().with(crate::sim::world::World::clear_faults);
            Ok(json_response(json!({"status": "Success"})))
        }
        _ => Err(Failure::method_not_allowed()),
    }
}

/// `POST`: nobody can begin a watch or go on with a list from a version that was seen up to now; open watches go on.
fn compact(server: &ApiServer, asked: &Asked) -> Result<Response<Body>, Failure> {
    if asked.method != Method::POST {
        return Err(Failure::method_not_allowed());
    }
    let version = server.with_store(|store, _| {
        store.compact();
        store.version()
    });
    Ok(json_response(json!({"status": "Success", "resourceVersion": version.to_string()})))
}

/// Forwards to the Flink face behind a service (`operator.md` §6.4): `NAME`, `NAME:PORT` or `SCHEME:NAME:PORT`.
async fn proxy(
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

/// A JSON answer.
pub(super) fn json_response(document: Value) -> Response<Body> {
    let mut response = Response::new(Body::from(document.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) fn created(document: Value) -> Response<Body> {
    let mut response = json_response(document);
    *response.status_mut() = StatusCode::CREATED;
    response
}

/// A refusal as an answer.
pub(super) fn refuse(failure: &Failure) -> Response<Body> {
    let mut response = json_response(failure.status());
    *response.status_mut() = StatusCode::from_u16(failure.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(seconds) = failure.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
