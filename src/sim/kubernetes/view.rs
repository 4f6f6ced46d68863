//! The same object in another version: events as `events.k8s.io/v1` has them.

use serde_json::{Map, Value};

use super::kinds::{EVENTS_GROUP, Kind};

/// How objects of a kind are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// As they are stored.
    Stored,
    /// Events of the core as those of their own group.
    Events,
}

/// Fields of a core event and how the other group calls them.
const NAMES: [(&str, &str); 6] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

impl View {
    /// The kind and its view behind a group, a version and a plural.
    pub fn find(group: &str, version: &str, plural: &str) -> Option<(Kind, Self)> {
        if (group, version, plural) == (EVENTS_GROUP, "v1", "events") {
            return Some((Kind::Event, Self::Events));
        }
        Kind::find(group, version, plural).map(|kind| (kind, Self::Stored))
    }

    /// The API version that it shows.
    pub fn api_version(self, kind: Kind) -> String {
        match self {
            Self::Stored => kind.api_version(),
            Self::Events => format!("{EVENTS_GROUP}/v1"),
        }
    }

    /// The group that it shows.
    pub fn group(self, kind: Kind) -> &'static str {
        match self {
            Self::Stored => kind.info().group,
            Self::Events => EVENTS_GROUP,
        }
    }

    /// A stored object as it is shown.
    pub fn show(self, object: Value) -> Value {
        match self {
            Self::Stored => object,
            Self::Events => renamed(object, Some("events.k8s.io/v1"), |name| {
                NAMES.iter().find(|(core, _)| *core == name).map(|(_, new)| *new)
            }),
        }
    }

    /// An object that was sent as it is stored.
    pub fn store(self, object: Value) -> Value {
        match self {
            Self::Stored => object,
            Self::Events => {
                renamed(object, Some("v1"), |name| NAMES.iter().find(|(_, new)| *new == name).map(|(core, _)| *core))
            }
        }
    }
}

fn renamed(object: Value, version: Option<&str>, rename: impl Fn(&str) -> Option<&'static str>) -> Value {
    let Value::Object(map) = object else { return object };
    let mut out: Map<String, Value> =
        map.into_iter().map(|(name, value)| (rename(&name).map_or(name, str::to_owned), value)).collect();
    if let (Some(version), true) = (version, out.contains_key("apiVersion")) {
        out.insert("apiVersion".to_owned(), version.into());
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_reads_the_same_in_both_groups() {
        let core = json!({"apiVersion": "v1", "kind": "Event", "message": "hello", "involvedObject": {"kind": "Pod"}, "reason": "X"});
        let new = View::Events.show(core.clone());
        assert_eq!(new["note"], "hello");
        assert_eq!(new["regarding"], json!({"kind": "Pod"}));
        assert_eq!(new["apiVersion"], "events.k8s.io/v1");
        assert_eq!(View::Events.store(new), core);
        assert_eq!(View::find("events.k8s.io", "v1", "events"), Some((Kind::Event, View::Events)));
    }
}
