//! What the API server says of itself: version, groups, kinds (in the old and the aggregated form).

use serde_json::{Value, json};

use super::kinds::{EVENTS_GROUP, Kind, group_version};

/// Version of the API server.
pub const VERSION: &str = "v1.33.1";

const VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const CHANGES: &[&str] = &["get", "patch", "update"];

/// Answer to `/version`.
pub fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "gitVersion": VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2025-05-15T08:19:00Z", "goVersion": "go1.24.2", "compiler": "gc", "platform": "linux/amd64",
    })
}

/// Group, version and kind.
type Body = (&'static str, &'static str, &'static str);

/// A resource as discovery tells of it.
struct Resource {
    name: &'static str,
    singular: &'static str,
    namespaced: bool,
    /// Group, version and kind of its bodies.
    body: Body,
    verbs: &'static [&'static str],
    short: &'static [&'static str],
    categories: &'static [&'static str],
    /// The same of its subresources, each with its name.
    inside: Vec<(&'static str, Body, &'static [&'static str])>,
}

impl Resource {
    fn of(kind: Kind) -> Self {
        let info = kind.info();
        let body = (info.group, info.version, info.name);
        let mut inside = Vec::new();
        if info.status {
            inside.push(("status", body, CHANGES));
        }
        if info.scale.is_some() {
            inside.push(("scale", ("autoscaling", "v1", "Scale"), CHANGES));
        }
        match kind {
            Kind::Pod => inside.push(("log", body, &["get"])),
            Kind::Service => {
                let verbs: &[&str] = &["create", "delete", "get", "patch", "update"];
                inside.push(("proxy", ("", "v1", "ServiceProxyOptions"), verbs));
            }
            _ => {}
        }
        Self {
            name: info.plural,
            singular: info.singular,
            namespaced: info.namespaced,
            body,
            verbs: VERBS,
            short: info.short,
            categories: info.categories,
            inside,
        }
    }

    /// A kind whose objects are answers only.
    fn review(group: &'static str, name: &'static str, singular: &'static str, kind: &'static str) -> Self {
        Self {
            name,
            singular,
            namespaced: false,
            body: (group, "v1", kind),
            verbs: &["create"],
            short: &[],
            categories: &[],
            inside: Vec::new(),
        }
    }
}

/// Groups with their version, core excepted, in the order of their first kind.
pub(super) fn groups(served: &[Kind]) -> Vec<(&'static str, &'static str)> {
    let mut groups: Vec<(&str, &str)> = Vec::new();
    for kind in served {
        let pair = (kind.info().group, kind.info().version);
        if !pair.0.is_empty() && !groups.contains(&pair) {
            groups.push(pair);
        }
    }
    groups.extend([(EVENTS_GROUP, "v1"), ("authorization.k8s.io", "v1"), ("authentication.k8s.io", "v1")]);
    groups
}

fn resources(served: &[Kind], group: &str, version: &str) -> Vec<Resource> {
    match group {
        EVENTS_GROUP if version == "v1" => {
            let event = Resource::of(Kind::Event);
            vec![Resource { body: (EVENTS_GROUP, "v1", "Event"), ..event }]
        }
        "authorization.k8s.io" if version == "v1" => {
            let review = |name, singular, kind| Resource::review("authorization.k8s.io", name, singular, kind);
            vec![
                review("selfsubjectaccessreviews", "selfsubjectaccessreview", "SelfSubjectAccessReview"),
                review("selfsubjectrulesreviews", "selfsubjectrulesreview", "SelfSubjectRulesReview"),
            ]
        }
        "authentication.k8s.io" if version == "v1" => {
            vec![Resource::review(
                "authentication.k8s.io",
                "selfsubjectreviews",
                "selfsubjectreview",
                "SelfSubjectReview",
            )]
        }
        _ => {
            let of_group = served.iter().filter(|k| k.info().group == group && k.info().version == version);
            of_group.copied().map(Resource::of).collect()
        }
    }
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
    let mut list = Vec::new();
    for resource in resources(served, group, version) {
        let mut one = json!({
            "name": resource.name, "singularName": resource.singular, "namespaced": resource.namespaced,
            "kind": resource.body.2, "verbs": resource.verbs,
        });
        if !resource.short.is_empty() {
            one["shortNames"] = json!(resource.short);
        }
        if !resource.categories.is_empty() {
            one["categories"] = json!(resource.categories);
        }
        list.push(one);
        for (name, body, verbs) in &resource.inside {
            let mut one = json!({
                "name": format!("{}/{name}", resource.name), "singularName": "", "namespaced": resource.namespaced,
                "kind": body.2, "verbs": verbs,
            });
            if (body.0, body.1) != (group, version) {
                (one["group"], one["version"]) = (body.0.into(), body.1.into());
            }
            list.push(one);
        }
    }
    let group_version = group_version(group, version);
    let document =
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list});
    (!list.is_empty()).then_some(document)
}

/// Answer to `/api` (`core`) and `/apis` in the aggregated form.
pub fn aggregated(served: &[Kind], core: bool) -> Value {
    let groups = if core { vec![("", "v1")] } else { groups(served) };
    let items: Vec<Value> = groups
        .into_iter()
        .map(|(group, version)| {
            let resources: Vec<Value> = resources(served, group, version).iter().map(aggregated_resource).collect();
            json!({
                "metadata": {"name": group, "creationTimestamp": null},
                "versions": [{"version": version, "resources": resources, "freshness": "Current"}],
            })
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_resource(resource: &Resource) -> Value {
    let response = |body: &(&str, &str, &str)| json!({"group": body.0, "version": body.1, "kind": body.2});
    let mut one = json!({
        "resource": resource.name, "responseKind": response(&resource.body),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": resource.verbs,
    });
    if !resource.short.is_empty() {
        one["shortNames"] = json!(resource.short);
    }
    if !resource.categories.is_empty() {
        one["categories"] = json!(resource.categories);
    }
    if !resource.inside.is_empty() {
        let inside = resource
            .inside
            .iter()
            .map(|(name, body, verbs)| json!({"subresource": name, "responseKind": response(body), "verbs": verbs}));
        one["subresources"] = inside.collect::<Vec<_>>().into();
    }
    one
}
