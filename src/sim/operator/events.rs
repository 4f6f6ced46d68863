//! Events as the operator writes them (`operator.md` §10): one object a reason and message (or key), counted up.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::sim::kubernetes::ApiServer;
use crate::sim::kubernetes::kinds::Kind;
use crate::sim::kubernetes::store::{Key, Part, Write};

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// One word.
    pub reason: Cow<'static, str>,
    /// Which part of the operator says it.
    pub component: &'static str,
    /// One sentence.
    pub message: String,
    /// Events with the same key are one object, whatever they say.
    pub key: Option<&'static str>,
    /// Not said again within this time, milliseconds.
    pub interval: i64,
    /// Labels; other labels break the interval.
    pub labels: Map<String, Value>,
    annotations: Map<String, Value>,
}

impl Event {
    /// An ordinary event.
    pub fn normal(reason: &'static str, component: &'static str, message: impl Into<String>) -> Self {
        Self {
            warning: false,
            reason: reason.into(),
            component,
            message: message.into(),
            key: None,
            interval: 0,
            labels: Map::new(),
            annotations: Map::new(),
        }
    }

    /// A warning.
    pub fn warning(reason: impl Into<Cow<'static, str>>, component: &'static str, message: impl Into<String>) -> Self {
        Self { warning: true, reason: reason.into(), ..Self::normal("", component, message) }
    }

    /// Adds an annotation.
    pub fn annotate(&mut self, name: &str, value: String) {
        self.annotations.insert(name.to_owned(), value.into());
    }
}

/// Writes an event about an object.
pub fn emit(server: &ApiServer, about: &Key, uid: &str, event: &Event) {
    let kind = about.kind.info();
    let sort = if event.warning { "Warning" } else { "Normal" };
    let what = event.key.unwrap_or(&event.message);
    let text = format!("{}{what}{sort}{}{}{uid}", event.reason, kind.name, about.name);
    let name = format!("{}.{}", event.component, java_hash(&text));
    let key = Key::new(Kind::Event, &about.namespace, &name);
    server.with_store(|store, now| {
        let at = micros(now);
        let mut young = false;
        let again = store.update(&key, Part::Main, now, Write::Real, |object| {
            let last = object.get("lastTimestamp").and_then(Value::as_str).and_then(moment);
            let same = object.pointer("/metadata/labels").and_then(Value::as_object).is_none_or(|l| *l == event.labels);
            young = same && last.is_some_and(|last| now - last < event.interval);
            if young {
                return Ok(());
            }
            let count = object.get("count").and_then(Value::as_u64).unwrap_or_default();
            object["count"] = (count + 1).into();
            object["lastTimestamp"] = at.as_str().into();
            object["message"] = event.message.as_str().into();
            if !event.labels.is_empty() {
                object["metadata"]["labels"] = event.labels.clone().into();
            }
            Ok(())
        });
        if again.is_err() {
            let mut object = json!({
                "involvedObject": {
                    "apiVersion": about.kind.api_version(), "kind": kind.name, "name": about.name,
                    "namespace": about.namespace, "uid": uid,
                },
                "type": sort, "reason": event.reason, "message": event.message, "count": 1,
                "firstTimestamp": at, "lastTimestamp": at, "source": {"component": event.component},
            });
            if !event.labels.is_empty() {
                object["metadata"]["labels"] = event.labels.clone().into();
            }
            if !event.annotations.is_empty() {
                object["metadata"]["annotations"] = event.annotations.clone().into();
            }
            if let Err(failure) = store.create(key, object, now, Write::Real) {
                tracing::debug!("an event was not written: {}", failure.message);
            }
        }
    });
}

/// Writes an event as Kubernetes' own parts do: kubelet, scheduler, controllers.
pub fn of_core(server: &ApiServer, about: &Key, warning: bool, reason: &str, message: &str, from: &str) {
    let kind = about.kind.info();
    let sort = if warning { "Warning" } else { "Normal" };
    let namespace = if about.namespace.is_empty() { "default" } else { about.namespace.as_str() };
    server.with_store(|store, now| {
        let object = store.get(about);
        let text = |pointer: &str| {
            object.and_then(|o| o.pointer(pointer)).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (uid, node) = (text("/metadata/uid"), text("/spec/nodeName"));
        let hash = crate::sim::noise::hash128(&[kind.name, namespace, &about.name, &uid, reason, message, from]) as u64;
        let key = Key::new(Kind::Event, namespace, &format!("{}.{hash:016x}", about.name));
        let at = super::super::kubernetes::store::rfc3339(now);
        let again = store.update(&key, Part::Main, now, Write::Real, |object| {
            let count = object.get("count").and_then(Value::as_u64).unwrap_or_default();
            object["count"] = (count + 1).into();
            object["lastTimestamp"] = at.as_str().into();
            Ok(())
        });
        if again.is_ok() {
            return;
        }
        let mut involved = json!({
            "apiVersion": about.kind.api_version(), "kind": kind.name, "name": about.name, "uid": uid,
        });
        if !about.namespace.is_empty() {
            involved["namespace"] = namespace.into();
        }
        let mut source = json!({"component": from});
        if from == "kubelet" {
            source["host"] = node.into();
            if matches!(reason, "Pulled" | "Pulling" | "Created" | "Started" | "Killing" | "BackOff" | "Failed") {
                involved["fieldPath"] = "spec.containers{flink-main-container}".into();
            }
        }
        let object = json!({
            "involvedObject": involved, "type": sort, "reason": reason, "message": message, "count": 1, "firstTimestamp": at,
            "lastTimestamp": at, "source": source, "reportingComponent": from, "reportingInstance": "",
        });
        if let Err(failure) = store.create(key, object, now, Write::Real) {
            tracing::debug!("an event was not written: {}", failure.message);
        }
    });
}

/// Removes events that are older than an hour, as Kubernetes does.
pub fn forget_old(server: &ApiServer) {
    server.with_store(|store, now| {
        let old: Vec<Key> = store
            .list(Kind::Event, "")
            .filter(|(_, event)| {
                let at = event.get("lastTimestamp").and_then(Value::as_str).and_then(moment);
                at.is_some_and(|at| now - at > 3_600_000)
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in old {
            let _ = store.delete(&key, now, Write::Real);
        }
    });
}

fn micros(millis: i64) -> String {
    chrono::DateTime::from_timestamp_millis(millis)
        .unwrap_or_default()
        .to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

fn moment(text: &str) -> Option<i64> {
    chrono::DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp_millis())
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
