//! Whole documents for people: what differs between two of them, and spec and status as YAML without secrets.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::domain::kubernetes::{FieldChange, ResourceDocuments};

/// Differences that are kept.
const CHANGES: usize = 200;
/// Longest value that is shown.
const VALUE: usize = 400;
/// Longest document, bytes.
const DOCUMENT: usize = 256 << 10;
/// Stands where a secret was.
const HIDDEN: &str = "******";
/// Parts of a key that make its value a secret, as Flink itself hides them.
const SECRET: [&str; 11] = [
    "password",
    "secret",
    "fs.azure.account.key",
    "apikey",
    "api-key",
    "auth-params",
    "service-key",
    "token",
    "basic-auth",
    "jaas.config",
    "http-headers",
];

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('_', "-");
    SECRET.iter().any(|part| key.contains(part))
}

/// The path of what stands below `path` under this name.
fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Replaces every text, number and boolean whose dotted path is that of a secret: a key spelled with dots and a nested one are the
/// same, and everything below a secret key is one. The value of an environment variable stands under the variable's name.
fn redact(value: &mut Value, path: &str) {
    match value {
        Value::Object(map) => {
            let variable = map.get("name").and_then(Value::as_str).map(str::to_owned);
            for (key, value) in map.iter_mut() {
                let name = variable.as_deref().filter(|_| key == "value").unwrap_or(key);
                redact(value, &below(path, name));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redact(item, path)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) if is_secret(path) => *value = Value::from(HIDDEN),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Every leaf by its dotted path: a key spelled with dots and a nested one are the same.
fn leaves(value: &Value, path: &str, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| leaves(value, &below(path, name), into)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| leaves(value, &below(path, &n.to_string()), into));
        }
        Value::Null => {}
        Value::String(text) => {
            into.insert(path.to_owned(), text.chars().take(VALUE).collect());
        }
        Value::Bool(_) | Value::Number(_) => {
            into.insert(path.to_owned(), value.to_string());
        }
    }
}

/// What differs between two documents, by path. Numbers and booleans equal their texts.
pub(super) fn differences(before: &Value, after: &Value) -> Vec<FieldChange> {
    let (mut before_redacted, mut after_redacted) = (before.clone(), after.clone());
    redact(&mut before_redacted, "");
    redact(&mut after_redacted, "");
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    leaves(&before_redacted, "", &mut old);
    leaves(&after_redacted, "", &mut new);
    let mut paths: Vec<&String> = old.keys().chain(new.keys().filter(|p| !old.contains_key(*p))).collect();
    paths.sort();
    let change = |path: &String| {
        let (before, after) = (old.get(path), new.get(path));
        (before != after).then(|| FieldChange { path: path.clone(), before: before.cloned(), after: after.cloned() })
    };
    paths.into_iter().filter_map(change).take(CHANGES).collect()
}

/// What a person or a program may change: the spec and the annotations.
pub(super) fn writable(object: &Value) -> Value {
    let mut part = Map::new();
    if let Some(spec) = object.get("spec") {
        part.insert("spec".to_owned(), spec.clone());
    }
    let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
    let kept: Map<String, Value> = annotations
        .into_iter()
        .flatten()
        .filter(|(key, _)| *key != "kubectl.kubernetes.io/last-applied-configuration")
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !kept.is_empty() {
        part.insert("annotations".to_owned(), Value::Object(kept));
    }
    Value::Object(part)
}

/// The documents of an object for people.
pub(super) fn documents(object: &Value) -> ResourceDocuments {
    let part = |name: &str| {
        let mut value = object.get(name).cloned().unwrap_or(Value::Null);
        redact(&mut value, "");
        value
    };
    let (spec, mut status) = (part("spec"), part("status"));
    let recorded = object.pointer("/status/reconciliationStatus/lastReconciledSpec").and_then(Value::as_str);
    let recorded: Option<Value> = recorded.and_then(|text| serde_json::from_str(text).ok());
    if let Some(Value::Object(reconciliation)) = status.get_mut("reconciliationStatus") {
        // Documents inside a document: what matters of them is in the differences.
        reconciliation.retain(|key, _| key != "lastReconciledSpec" && key != "lastStableSpec");
    }
    let acted_upon = recorded.as_ref().and_then(|r| r.get("spec"));
    let differs = acted_upon.map(|old| differences(old, &spec)).unwrap_or_default();
    ResourceDocuments { spec: yaml(&spec), status: yaml(&status), differs }
}

fn yaml(value: &Value) -> String {
    if value.is_null() {
        return String::new();
    }
    let text = serde_saphyr::to_string(value).unwrap_or_else(|e| format!("# cannot be shown: {e}\n"));
    let text: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    match text.char_indices().find(|(at, _)| *at >= DOCUMENT) {
        Some((at, _)) => format!("{}\n# longer than is shown\n", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_are_leaves_whatever_their_spelling() {
        let before =
            json!({"flinkConfiguration": {"a": {"b": "1"}, "gone": true, "s3.secret-key": "old"}, "list": [1, 2]});
        let after = json!({"flinkConfiguration": {"a.b": 1, "new": "x", "s3.secret-key": "fresh"}, "list": [1, 3]});
        let found = differences(&before, &after);
        let paths: Vec<&str> = found.iter().map(|c| c.path.as_str()).collect();
        assert_eq!(paths, ["flinkConfiguration.gone", "flinkConfiguration.new", "list.1"]);
        assert_eq!((found[0].before.as_deref(), found[0].after.as_deref()), (Some("true"), None));
        assert!(differences(&before, &before).is_empty());
    }

    #[test]
    fn a_secret_is_hidden_whatever_its_type() {
        let mut value = json!({"flinkConfiguration": {
            "db.password": 4711, "api-key": true, "s3.secret-key": ["hush", 7],
            "parallelism.default": 2, "env": [{"name": "DB_PASSWORD", "value": 4712}, {"name": "A", "value": 1}]}});
        redact(&mut value, "");
        let shown = json!({"flinkConfiguration": {
            "db.password": HIDDEN, "api-key": HIDDEN, "s3.secret-key": [HIDDEN, HIDDEN],
            "parallelism.default": 2, "env": [{"name": "DB_PASSWORD", "value": HIDDEN}, {"name": "A", "value": 1}]}});
        assert_eq!(value, shown);
        let change = |pin: u32| json!({"flinkConfiguration": {"db.password": pin}});
        assert!(differences(&change(1), &change(2)).is_empty());
    }

    #[test]
    fn a_secret_is_hidden_however_its_key_is_nested() {
        let mut value = json!({"flinkConfiguration": {
            "fs": {"azure": {"account": {"key": {"store.blob": "hush"}, "provider": "shown"}}},
            "fs.azure.account": {"key.other": "hush"},
            "security": {"jaas": {"config": "hush"}},
            "s3": {"secret": {"of": {"team": "hush"}}},
        }});
        redact(&mut value, "");
        let shown = json!({"flinkConfiguration": {
            "fs": {"azure": {"account": {"key": {"store.blob": HIDDEN}, "provider": "shown"}}},
            "fs.azure.account": {"key.other": HIDDEN},
            "security": {"jaas": {"config": HIDDEN}},
            "s3": {"secret": {"of": {"team": HIDDEN}}},
        }});
        assert_eq!(value, shown);
    }

    #[test]
    fn documents_show_no_secret_and_no_recorded_spec() {
        let object = json!({
            "spec": {"flinkConfiguration": {"s3.secret-key": "hush", "taskmanager.numberOfTaskSlots": "2"},
                "podTemplate": {"spec": {"containers": [{"env": [{"name": "DB_PASSWORD", "value": "hush"}, {"name": "A", "value": "b\u{1b}[0m"}]}]}}},
            "status": {"lifecycleState": "STABLE", "reconciliationStatus": {"state": "DEPLOYED",
                "lastReconciledSpec": "{\"spec\":{\"flinkConfiguration\":{\"taskmanager.numberOfTaskSlots\":\"4\",\"s3.secret-key\":\"hush\"}}}",
                "lastStableSpec": "{}"}},
        });
        let shown = documents(&object);
        assert!(!format!("{shown:?}").contains("hush"), "{shown:?}");
        assert!(!shown.spec.contains('\u{1b}'));
        assert!(shown.spec.contains("numberOfTaskSlots") && shown.status.contains("STABLE"), "{shown:?}");
        assert!(!shown.status.contains("lastStableSpec"), "{}", shown.status);
        let slots = shown.differs.iter().find(|d| d.path.ends_with("numberOfTaskSlots")).unwrap();
        assert_eq!((slots.before.as_deref(), slots.after.as_deref()), (Some("4"), Some("2")));
    }
}
