//! Events as the operator writes them (`operator.md` §10): one object a reason and message, counted up.

use serde_json::{Value, json};

use crate::sim::kubernetes::ApiServer;
use crate::sim::kubernetes::kinds::Kind;
use crate::sim::kubernetes::store::{Key, Part, Write};

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `Normal` or `Warning`.
    pub warning: bool,
    /// One word.
    pub reason: &'static str,
    /// Which part of the operator says it.
    pub component: &'static str,
    /// One sentence.
    pub message: String,
}

impl Event {
    /// An ordinary event.
    pub fn normal(reason: &'static str, component: &'static str, message: impl Into<String>) -> Self {
        Self { warning: false, reason, component, message: message.into() }
    }

    /// A warning.
    pub fn warning(reason: &'static str, component: &'static str, message: impl Into<String>) -> Self {
        Self { warning: true, reason, component, message: message.into() }
    }
}

/// Writes an event about an object.
pub fn emit(server: &ApiServer, about: &Key, uid: &str, event: &Event) {
    let kind = about.kind.info();
    let sort = if event.warning { "Warning" } else { "Normal" };
    let text = format!("{}{}{sort}{}{}{uid}", event.reason, event.message, kind.name, about.name);
    let name = format!("{}.{}", event.component, java_hash(&text));
    let key = Key::new(Kind::Event, &about.namespace, &name);
    server.with_store(|store, now| {
        let at = chrono::DateTime::from_timestamp_millis(now)
            .unwrap_or_default()
            .to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let again = store.update(&key, Part::Main, now, Write::Real, |object| {
            let count = object.get("count").and_then(Value::as_u64).unwrap_or_default();
            object["count"] = (count + 1).into();
            object["lastTimestamp"] = at.as_str().into();
            Ok(())
        });
        if again.is_err() {
            let object = json!({
                "involvedObject": {
                    "apiVersion": about.kind.api_version(), "kind": kind.name, "name": about.name,
                    "namespace": about.namespace, "uid": uid,
                },
                "type": sort, "reason": event.reason, "message": event.message, "count": 1,
                "firstTimestamp": at, "lastTimestamp": at, "source": {"component": event.component},
            });
            if let Err(failure) = store.create(key, object, now, Write::Real) {
                tracing::debug!("an event was not written: {}", failure.message);
            }
        }
    });
}

/// Removes events that are older than an hour, as Kubernetes does.
pub fn forget_old(server: &ApiServer) {
    server.with_store(|store, now| {
        let old: Vec<Key> = store
            .list(Kind::Event, "")
            .filter(|(_, event)| {
                let at = event.get("lastTimestamp").and_then(Value::as_str);
                let at = at.and_then(|t| chrono::DateTime::parse_from_rfc3339(t).ok());
                at.is_some_and(|at| now - at.timestamp_millis() > 3_600_000)
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in old {
            let _ = store.delete(&key, now, Write::Real);
        }
    });
}

/// `String.hashCode`, without its sign.
fn java_hash(text: &str) -> u32 {
    text.encode_utf16().fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit))) & 0x7FFF_FFFF
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_javas() {
        assert_eq!(java_hash("hello"), 99_162_322);
        assert_eq!(java_hash(""), 0);
    }
}
