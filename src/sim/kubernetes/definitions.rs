//! CustomResourceDefinitions: which custom kinds the server serves, by the release of the operator that was installed.

use serde_json::{Value, json};

use super::ApiServer;
use super::kinds::Kind;
use super::kinds::columns::Cell;
use super::schema;
use super::schema::openapi::Style;
use super::store::{Key, Store, Write};
use crate::sim::operator::Release;

/// The kinds that a release of the operator brings (`operator.md` §1.1).
pub fn of_release(release: Release) -> impl Iterator<Item = Kind> {
    Kind::ALL.into_iter().filter(move |kind| match kind {
        Kind::FlinkDeployment | Kind::FlinkSessionJob => true,
        Kind::FlinkStateSnapshot => release.snapshots(),
        Kind::FlinkBlueGreenDeployment => release.blue_green(),
        _ => false,
    })
}

/// Where the definition of a kind is.
pub fn key(kind: Kind) -> Key {
    Key::new(Kind::CustomResourceDefinition, "", &kind.resource())
}

/// A kind is built in, or its definition exists.
pub fn served(store: &Store, kind: Kind) -> bool {
    !kind.info().custom || store.get(&key(kind)).is_some()
}

/// Installs the definition of a kind.
pub fn install(server: &ApiServer, kind: Kind) {
    // It may exist already.
    let _ = server.with_store(|store, now| {
        let body = definition(kind, store.release(), super::store::rfc3339(now));
        store.create(key(kind), body, now, Write::Real)
    });
}

/// The spec of the definition of a kind, as a release of the operator has it.
pub(super) fn spec(kind: Kind, release: Release) -> Value {
    let info = kind.info();
    let mut subresources = json!({});
    if info.status {
        subresources["status"] = json!({});
    }
    if let Some(scale) = info.scale {
        let path = |pointer: &str| pointer.replace('/', ".");
        subresources["scale"] = json!({
            "specReplicasPath": path(scale.wanted), "statusReplicasPath": path(scale.present),
            "labelSelectorPath": path(scale.selector),
        });
    }
    let columns: Vec<Value> = info
        .columns
        .iter()
        .filter_map(|column| match column.cell {
            Cell::At(pointer, _) => {
                Some(json!({"name": column.name, "type": "string", "jsonPath": pointer.replace('/', ".")}))
            }
            _ => None,
        })
        .collect();
    let schema = schema::openapi::model(schema::of(kind), release, Style::Structural);
    json!({
        "group": info.group, "scope": if info.namespaced { "Namespaced" } else { "Cluster" }, "names": names(kind),
        "versions": [{
            "name": info.version, "served": true, "storage": true, "subresources": subresources,
            "additionalPrinterColumns": columns, "schema": {"openAPIV3Schema": schema},
        }],
    })
}

fn names(kind: Kind) -> Value {
    let info = kind.info();
    json!({
        "plural": info.plural, "singular": info.singular, "kind": info.name, "listKind": format!("{}List", info.name),
        "shortNames": info.short,
    })
}

fn definition(kind: Kind, release: Release, at: String) -> Value {
    let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "lastTransitionTime": at, "reason": reason, "message": message});
    json!({
        "spec": spec(kind, release),
        "status": {
            "acceptedNames": names(kind), "storedVersions": [kind.info().version],
            "conditions": [
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_bring_their_kinds() {
        let count = |text: &str| of_release(Release::parse(text).unwrap()).count();
        assert_eq!([count("1.8"), count("1.9.0"), count("1.10"), count("1.14.0"), count("main")], [2, 2, 3, 4, 4]);
    }
}
