//! CustomResourceDefinitions: which custom kinds the server serves, by the release of the operator that was installed.

use std::fmt;

use serde_json::{Value, json};

use super::ApiServer;
use super::kinds::Kind;
use super::store::{Key, Store, Write};

/// A release of the operator, as far as its resources differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(u8);

impl Release {
    /// The first minor release of a line `1.x`.
    pub const fn minor(minor: u8) -> Self {
        Self(minor)
    }

    /// Reads `1.8`, `1.12.0` or `main`; what cannot be read is the newest.
    pub fn parse(text: &str) -> Self {
        let minor = text.trim().trim_start_matches('v').strip_prefix("1.");
        let minor = minor.and_then(|m| m.split(['.', '-']).next()).and_then(|m| m.parse().ok());
        Self(minor.unwrap_or(u8::MAX))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            u8::MAX => f.write_str("main"),
            minor => write!(f, "1.{minor}"),
        }
    }
}

/// The kinds that a release of the operator brings (`operator.md` §1.1).
pub fn of_release(release: Release) -> impl Iterator<Item = Kind> {
    [
        (Kind::FlinkDeployment, 0),
        (Kind::FlinkSessionJob, 0),
        (Kind::FlinkStateSnapshot, 10),
        (Kind::FlinkBlueGreenDeployment, 14),
    ]
    .into_iter()
    .filter(move |(_, since)| release >= Release::minor(*since))
    .map(|(kind, _)| kind)
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
        let body = definition(kind, super::store::rfc3339(now));
        store.create(key(kind), body, now, Write::Real)
    });
}

fn definition(kind: Kind, at: String) -> Value {
    let info = kind.info();
    let names = json!({
        "plural": info.plural, "singular": info.singular, "kind": info.name, "listKind": format!("{}List", info.name),
        "shortNames": info.short,
    });
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
    let condition = |kind: &str, reason: &str| json!({"type": kind, "status": "True", "lastTransitionTime": at, "reason": reason, "message": "the initial names have been accepted"});
    json!({
        "spec": {
            "group": info.group, "scope": if info.namespaced { "Namespaced" } else { "Cluster" }, "names": names,
            "versions": [{
                "name": info.version, "served": true, "storage": true, "subresources": subresources,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
        "status": {
            "acceptedNames": names, "storedVersions": [info.version],
            "conditions": [condition("NamesAccepted", "NoConflicts"), condition("Established", "InitialNamesAccepted")],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_bring_their_kinds() {
        let count = |text: &str| of_release(Release::parse(text)).count();
        assert_eq!([count("1.8"), count("1.9.0"), count("1.10"), count("1.14.0"), count("main")], [2, 2, 3, 4, 4]);
        assert_eq!(Release::parse("v1.11").to_string(), "1.11");
    }
}
