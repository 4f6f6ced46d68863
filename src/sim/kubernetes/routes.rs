//! From a path to an answer.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, header};
use serde_json::{Value, json};

use super::access::{self, USER};
use super::asked::{Asked, json_response};
use super::failure::Failure;
use super::kinds::Kind;
use super::requests::{self, Place, Target, reviewed};
use super::store::Key;
use super::view::View;
use super::{ApiServer, definitions, discovery, openapi, proxy};
use crate::sim::fault::FaultSpec;

/// Answers a request.
pub(super) async fn answer(server: ApiServer, request: Request<Body>) -> Result<Response<Body>, Failure> {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    if let ["api", "v1", "namespaces", namespace, "services", service, "proxy", ..] = segments.as_slice() {
        return proxy::forward(&server, namespace, service, request).await;
    }
    let asked = Asked::read(request).await?;
    let found = |document: Option<Value>| document.map(|d| json_response(&d)).ok_or_else(Failure::no_such_path);
    let served = server.served();
    let release = server.release();
    match segments.as_slice() {
        [] => Ok(json_response(&json!({
            "paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"],
        }))),
        ["healthz" | "livez" | "readyz", ..] => Ok(Response::new(Body::from("ok"))),
        ["version"] => Ok(json_response(&discovery::version())),
        ["api"] => Ok(groups(&served, &asked, true)),
        ["apis"] => Ok(groups(&served, &asked, false)),
        ["api", version] => found(discovery::resource_list(&served, "", version)),
        ["apis", group] => found(discovery::group(&served, group)),
        ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"] => {
            reviewed(&asked, |review| access::review(review, |action| server.allows(action)))
        }
        ["apis", "authorization.k8s.io", "v1", "selfsubjectrulesreviews"] => {
            reviewed(&asked, |review| access::rules_review(review, &server.rules()))
        }
        ["apis", "authentication.k8s.io", "v1", "selfsubjectreviews"] => reviewed(&asked, |mut review| {
            review["status"] = json!({"userInfo": {"username": USER, "groups": ["system:authenticated"]}});
            review
        }),
        ["apis", group, version] => found(discovery::resource_list(&served, group, version)),
        ["openapi", "v2"] => Ok(json_response(&openapi::v2(&served, release))),
        ["openapi", "v3"] => Ok(json_response(&openapi::index(&served))),
        ["openapi", "v3", "api", version] => found(openapi::v3(&served, release, "", version)),
        ["openapi", "v3", "apis", group, version] => found(openapi::v3(&served, release, group, version)),
        ["sim", "faults"] => faults(&server, &asked),
        ["sim", "compact"] => compact(&server, &asked),
        ["sim", "logs", namespace, pod, container, rest @ ..] => {
            write_log(&server, (namespace, pod, container), rest, &asked)
        }
        ["api", version, rest @ ..] => objects(server, "", version, rest, &asked),
        ["apis", group, version, rest @ ..] => objects(server, group, version, rest, &asked),
        _ => Err(Failure::no_such_path()),
    }
}

fn objects(
    server: ApiServer,
    group: &str,
    version: &str,
    rest: &[&str],
    asked: &Asked,
) -> Result<Response<Body>, Failure> {
    let (namespace, plural, tail): (&str, &str, &[&str]) = match rest {
        ["namespaces"] => ("", "namespaces", &[]),
        ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => ("", "namespaces", &rest[1..]),
        ["namespaces", namespace, plural, tail @ ..] => (namespace, plural, tail),
        [plural, tail @ ..] => ("", plural, tail),
        [] => return Err(Failure::no_such_path()),
    };
    let (kind, view) = View::find(group, version, plural).ok_or_else(Failure::no_such_path)?;
    let info = kind.info();
    if !server.with_store(|store, _| definitions::served(store, kind)) || (!info.namespaced && !namespace.is_empty()) {
        return Err(Failure::no_such_path());
    }
    let key = |name: &str| Key::new(kind, namespace, name);
    let place = match tail {
        [] => Place::Collection,
        // A namespaced object has no address without its namespace.
        [_, ..] if info.namespaced && namespace.is_empty() => return Err(Failure::no_such_path()),
        [name] => Place::Object(key(name)),
        [name, "status"] if info.status => Place::Status(key(name)),
        [name, "scale"] if info.scale.is_some() => Place::Scale(key(name)),
        [name, "log"] if kind == Kind::Pod => Place::Log(key(name)),
        _ => return Err(Failure::no_such_path()),
    };
    let target = Target { kind, view, namespace: namespace.to_owned() };
    requests::answer(server, &target, place, asked)
}

fn groups(served: &[Kind], asked: &Asked, core: bool) -> Response<Body> {
    if asked.accept.contains("as=APIGroupDiscoveryList") && asked.accept.contains("v=v2;") {
        let mut response = json_response(&discovery::aggregated(served, core));
        let media = HeaderValue::from_static("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
        response.headers_mut().insert(header::CONTENT_TYPE, media);
        return response;
    }
    json_response(&if core { discovery::core_versions() } else { discovery::group_list(served) })
}

/// Faults by request: `GET` lists, `POST` lets one begin (the form of a scenario's `[[fault]]`, as JSON), `DELETE` ends all that act.
fn faults(server: &ApiServer, asked: &Asked) -> Result<Response<Body>, Failure> {
    match asked.method {
        Method::GET => {
            let all: Vec<Value> = server.world().with(|world| {
                let all = world.faults().all().iter();
                all.map(|f| json!({"fault": format!("{:?}", f.fault), "from": f.from, "until": f.until})).collect()
            });
            Ok(json_response(&json!(all)))
        }
        Method::POST => {
            let spec: FaultSpec =
                serde_json::from_slice(&asked.body).map_err(|e| Failure::bad_request(e.to_string()))?;
            server.world().with(|world| world.inject(spec)).map_err(Failure::bad_request)?;
            Ok(json_response(&json!({"status": "Success"})))
        }
        Method::DELETE => {
            server.world().with(crate::sim::world::World::clear_faults);
            Ok(json_response(&json!({"status": "Success"})))
        }
        _ => Err(Failure::method_not_allowed()),
    }
}

/// `POST` of a text to a container adds it to its log; to `/restart` below that, lets the container begin a new one.
fn write_log(
    server: &ApiServer,
    (namespace, pod, container): (&str, &str, &str),
    rest: &[&str],
    asked: &Asked,
) -> Result<Response<Body>, Failure> {
    if server.get(&Key::new(Kind::Pod, namespace, pod)).is_none() {
        return Err(Failure::not_found(Kind::Pod, pod));
    }
    match (asked.method.as_str(), rest) {
        ("POST", []) => {
            let text = String::from_utf8_lossy(&asked.body);
            server.logs().write(namespace, pod, container, server.world().now(), &text);
        }
        ("POST", ["restart"]) => server.logs().restart(namespace, pod, container),
        _ => return Err(Failure::method_not_allowed()),
    }
    Ok(json_response(&json!({"status": "Success"})))
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
    Ok(json_response(&json!({"status": "Success", "resourceVersion": version.to_string()})))
}
