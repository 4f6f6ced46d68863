//! What the API server says of itself: version, groups, kinds (in the old and the aggregated form), and as much OpenAPI as `kubectl` asks for.

use serde_json::{Value, json};

use super::kinds::Kind;

/// Version of the API server.
pub const VERSION: &str = "v1.33.1";

const VERBS: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];

/// Answer to `/version`.
pub fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "gitVersion": VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2025-05-15T08:19:00Z", "goVersion": "go1.24.2", "compiler": "gc", "platform": "linux/amd64",
    })
}

/// Groups with their version, core excepted, in the order of their first kind.
fn groups(served: &[Kind]) -> Vec<(&'static str, &'static str)> {
    let mut groups = Vec::new();
    for kind in served {
        let pair = (kind.info().group, kind.info().version);
        if !pair.0.is_empty() && !groups.contains(&pair) {
            groups.push(pair);
        }
    }
    groups
}

fn kinds_of(served: &[Kind], group: &str, version: &str) -> Vec<Kind> {
    served.iter().copied().filter(|k| k.info().group == group && k.info().version == version).collect()
}

/// Answer to `/api`, old form.
pub fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// Answer to `/apis`, old form.
pub fn group_list(served: &[Kind]) -> Value {
    let groups: Vec<Value> = groups(served).into_iter().map(|(group, version)| group_of(group, version)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// Answer to `/apis/<group>`; none for a group that is not there.
pub fn group(served: &[Kind], name: &str) -> Option<Value> {
    let (group, version) = groups(served).into_iter().find(|(group, _)| *group == name)?;
    let mut answer = group_of(group, version);
    answer["kind"] = "APIGroup".into();
    answer["apiVersion"] = "v1".into();
    Some(answer)
}

fn group_of(group: &str, version: &str) -> Value {
    let version = json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({"name": group, "versions": [version], "preferredVersion": version})
}

/// Answer to `/api/v1` and `/apis/<group>/<version>`; none for a group that is not there.
pub fn resource_list(served: &[Kind], group: &str, version: &str) -> Option<Value> {
    let kinds = kinds_of(served, group, version);
    if kinds.is_empty() {
        return None;
    }
    let mut resources = Vec::new();
    for kind in kinds {
        let info = kind.info();
        let mut resource = json!({
            "name": info.plural, "singularName": info.singular, "namespaced": info.namespaced, "kind": info.name,
            "verbs": VERBS, "shortNames": info.short,
        });
        if !info.categories.is_empty() {
            resource["categories"] = json!(info.categories);
        }
        resources.push(resource);
        if info.status {
            resources.push(json!({
                "name": format!("{}/status", info.plural), "singularName": "", "namespaced": info.namespaced, "kind": info.name,
                "verbs": ["get", "patch", "update"],
            }));
        }
        if kind == Kind::Service {
            resources.push(json!({
                "name": "services/proxy", "singularName": "", "namespaced": true, "kind": "ServiceProxyOptions",
                "verbs": ["create", "delete", "get", "patch", "update"],
            }));
        }
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}))
}

/// Answer to `/api` (`core`) and `/apis` in the aggregated form.
pub fn aggregated(served: &[Kind], core: bool) -> Value {
    let groups = if core { vec![("", "v1")] } else { groups(served) };
    let items: Vec<Value> = groups
        .into_iter()
        .map(|(group, version)| {
            let resources: Vec<Value> = kinds_of(served, group, version).into_iter().map(aggregated_kind).collect();
            json!({
                "metadata": {"name": group, "creationTimestamp": null},
                "versions": [{"version": version, "resources": resources, "freshness": "Current"}],
            })
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_kind(kind: Kind) -> Value {
    let info = kind.info();
    let response = json!({"group": info.group, "version": info.version, "kind": info.name});
    let mut resource = json!({
        "resource": info.plural, "responseKind": response, "scope": if info.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": info.singular, "verbs": VERBS, "shortNames": info.short,
    });
    if !info.categories.is_empty() {
        resource["categories"] = json!(info.categories);
    }
    if info.status {
        resource["subresources"] =
            json!([{"subresource": "status", "responseKind": response, "verbs": ["get", "patch", "update"]}]);
    }
    resource
}

/// Answer to `/openapi/v3`.
pub fn openapi_index(served: &[Kind]) -> Value {
    let mut paths = serde_json::Map::new();
    let core = ("", "v1");
    for (group, version) in std::iter::once(core).chain(groups(served)) {
        let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
        paths.insert(path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash=1")}));
    }
    json!({"paths": paths})
}

/// Answer to `/openapi/v3/...`: schemas that allow everything, so that `kubectl` leaves validation to the server.
pub fn openapi(served: &[Kind], group: &str, version: &str) -> Option<Value> {
    let kinds = kinds_of(served, group, version);
    if kinds.is_empty() {
        return None;
    }
    let (mut paths, mut schemas) = (serde_json::Map::new(), serde_json::Map::new());
    for kind in kinds {
        let info = kind.info();
        let gvk = json!({"group": info.group, "version": info.version, "kind": info.name});
        let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        let path = if info.namespaced {
            format!("{root}/namespaces/{{namespace}}/{}/{{name}}", info.plural)
        } else {
            format!("{root}/{}/{{name}}", info.plural)
        };
        let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation"]
            .iter()
            .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}))
            .collect();
        let write = json!({"parameters": parameters, "responses": {}, "x-kubernetes-group-version-kind": gvk});
        paths.insert(path, json!({"patch": write, "put": write}));
        let name =
            format!("{}.{}.{}", if group.is_empty() { "io.k8s.api.core" } else { group }, info.version, info.name);
        schemas.insert(
            name,
            json!({
                "type": "object", "x-kubernetes-preserve-unknown-fields": true, "x-kubernetes-group-version-kind": [gvk],
                "description": format!("{} of the embedded cluster.", info.name),
                "properties": {
                    "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
                    "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                },
            }),
        );
    }
    Some(json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": VERSION}, "paths": paths,
        "components": {"schemas": schemas},
    }))
}
