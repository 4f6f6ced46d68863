//! OpenAPI documents: enough for `kubectl explain`, and for it to leave validation and dry runs to the server.

use serde_json::{Map, Value, json};

use super::discovery::{VERSION, groups};
use super::kinds::Kind;
use super::schema;
use super::schema::openapi::{Style, model, parts};
use crate::sim::operator::Release;

/// Answer to `/openapi/v3`.
pub fn index(served: &[Kind]) -> Value {
    let mut paths = Map::new();
    for (group, version) in std::iter::once(("", "v1")).chain(groups(served)) {
        let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
        paths.insert(path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}")}));
    }
    json!({"paths": paths})
}

/// Answer to `/openapi/v3/...`; none for a group that is not there.
pub fn v3(served: &[Kind], release: Release, group: &str, version: &str) -> Option<Value> {
    groups(served).into_iter().chain([("", "v1")]).find(|pair| *pair == (group, version))?;
    let kinds = served.iter().filter(|k| k.info().group == group && k.info().version == version);
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for kind in kinds {
        paths.extend(operations(*kind, true));
        schemas.extend(definitions(*kind, release));
    }
    Some(json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": VERSION}, "paths": paths,
        "components": {"schemas": schemas},
    }))
}

/// Answer to `/openapi/v2`.
pub fn v2(served: &[Kind], release: Release) -> Value {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for kind in served {
        paths.extend(operations(*kind, false));
        schemas.extend(definitions(*kind, release));
    }
    let text = json!(schemas).to_string().replace("#/components/schemas/", "#/definitions/");
    let schemas: Value = serde_json::from_str(&text).unwrap_or_default();
    json!({
        "swagger": "2.0", "info": {"title": "Kubernetes", "version": VERSION}, "paths": paths, "definitions": schemas,
    })
}

fn definitions(kind: Kind, release: Release) -> Vec<(String, Value)> {
    let info = kind.info();
    let all = parts(schema::of(kind), release).into_iter().map(|part| {
        let mut document = model(part, release, Style::Referring);
        if part.name == schema::of(kind).name {
            document["x-kubernetes-group-version-kind"] =
                json!([{"group": info.group, "version": info.version, "kind": info.name}]);
        }
        (part.name.to_owned(), document)
    });
    all.collect()
}

/// The writes of a kind, with the parameters that clients look for before they use them.
fn operations(kind: Kind, third: bool) -> Vec<(String, Value)> {
    let info = kind.info();
    let gvk = json!({"group": info.group, "version": info.version, "kind": info.name});
    let root = if info.group.is_empty() {
        format!("/api/{}", info.version)
    } else {
        format!("/apis/{}/{}", info.group, info.version)
    };
    let place = if info.namespaced {
        format!("{root}/namespaces/{{namespace}}/{}", info.plural)
    } else {
        format!("{root}/{}", info.plural)
    };
    let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation"]
        .iter()
        .map(|name| match third {
            true => json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}),
            false => json!({"name": name, "in": "query", "type": "string", "uniqueItems": true}),
        })
        .collect();
    let write = |action: &str| {
        json!({
            "parameters": parameters, "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk,
        })
    };
    vec![
        (place.clone(), json!({"post": write("post")})),
        (format!("{place}/{{name}}"), json!({"patch": write("patch"), "put": write("put"), "delete": write("delete")})),
    ]
}
