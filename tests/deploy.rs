//! The roles in `assets/deploy/` hold the rights that the client uses, and nothing about secrets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;

use flightdeck::domain::kubernetes::KubeAction;
use flightdeck::kubernetes::Kind;
use serde_json::Value;

/// Verb, API group, resource.
type Right = (String, String, String);

/// Every right of the roles in a file whose name is one of these; rules for named objects only are told apart by `!`.
fn rights(file: &str, roles: &[&str]) -> BTreeSet<Right> {
    let path = format!("{}/assets/deploy/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut found = BTreeSet::new();
    for document in text.split("\n---\n") {
        let role: Value = serde_saphyr::from_str(document).unwrap();
        assert_eq!(role["kind"], "ClusterRole", "{file}");
        if !roles.contains(&role["metadata"]["name"].as_str().unwrap()) {
            continue;
        }
        let texts = |rule: &Value, name: &str| -> Vec<String> {
            rule[name].as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
        };
        for rule in role["rules"].as_array().unwrap() {
            let named = if rule.get("resourceNames").is_some() { "!" } else { "" };
            for group in texts(rule, "apiGroups") {
                for resource in texts(rule, "resources") {
                    for verb in texts(rule, "verbs") {
                        found.insert((verb, group.clone(), format!("{named}{resource}")));
                    }
                }
            }
        }
    }
    found
}

fn right(verb: &str, group: &str, resource: &str) -> Right {
    (verb.to_owned(), group.to_owned(), resource.to_owned())
}

fn of_kind(verb: &str, kind: Kind) -> Right {
    let resource = kind.resource();
    let (plural, group) = resource.split_once('.').unwrap_or((&resource, ""));
    right(verb, group, plural)
}

/// What the client asks for while it looks: the watches, single reads, logs, and reads through the proxy.
fn looks() -> BTreeSet<Right> {
    let mut used = BTreeSet::new();
    for kind in [
        Kind::FlinkDeployment,
        Kind::FlinkSessionJob,
        Kind::FlinkStateSnapshot,
        Kind::FlinkBlueGreenDeployment,
        Kind::Pod,
        Kind::Deployment,
        Kind::ConfigMap,
        Kind::Event,
    ] {
        used.extend(["list", "watch"].map(|verb| of_kind(verb, kind)));
        used.insert(of_kind("get", kind));
    }
    used.insert(of_kind("list", Kind::ResourceQuota));
    for kind in [Kind::HorizontalPodAutoscaler, Kind::VerticalPodAutoscaler] {
        used.extend(["list", "watch"].map(|verb| of_kind(verb, kind)));
    }
    used.insert(right("get", "", "pods/log"));
    used.insert(right("get", "", "services/proxy"));
    used
}

#[test]
fn the_viewer_may_look_and_nothing_else() {
    assert_eq!(rights("viewer.yaml", &["flightdeck-viewer"]), looks());
    assert!(looks().iter().all(|(verb, ..)| matches!(verb.as_str(), "get" | "list" | "watch")));
}

#[test]
fn the_capacity_role_sees_nodes_and_what_pods_ask_for() {
    let used =
        BTreeSet::from([of_kind("list", Kind::Node), of_kind("list", Kind::Pod), right("get", "", "!configmaps")]);
    assert_eq!(rights("viewer.yaml", &["flightdeck-capacity"]), used);
}

#[test]
fn every_action_is_allowed_by_the_roles_and_the_pilot_has_no_more() {
    let mut all = rights("viewer.yaml", &["flightdeck-viewer", "flightdeck-capacity"]);
    let pilot = rights("pilot.yaml", &["flightdeck-pilot"]);
    all.extend(pilot.clone());
    for action in KubeAction::ALL {
        let (verb, group, resource) = action.right();
        assert!(all.contains(&right(verb, group, resource)), "{action:?}");
    }
    // Writes through the proxy keep the verb of their method (`operator.md` §12).
    let by_method = ["create", "update", "patch", "delete"].map(|verb| right(verb, "", "services/proxy"));
    let by_action = KubeAction::ALL.map(|action| {
        let (verb, group, resource) = action.right();
        right(verb, group, resource)
    });
    for held in &pilot {
        assert!(by_method.contains(held) || by_action.contains(held), "{held:?} is not used");
    }
    assert!(all.iter().all(|(_, _, resource)| !resource.contains("secret")));
    assert!(all.iter().all(|(verb, group, resource)| verb != "*" && group != "*" && resource != "*"));
}
