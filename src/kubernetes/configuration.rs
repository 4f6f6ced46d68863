//! `spec.flinkConfiguration`: read in any of its spellings, patched in the spelling its author used.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::json::{At, WrongShape, scalar};

/// The key that carries the parallelism of every vertex (`operator.md` §7.2).
pub const PARALLELISM_OVERRIDES: &str = "pipeline.jobvertex-parallelism-overrides";

/// The flattened configuration of a resource (`operator.md` §1.2): nested keys are joined with `.`, lists with `;`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlinkConfiguration {
    values: BTreeMap<String, String>,
    /// Where a key stands, for keys that are not simply spelled with dots at the top.
    places: BTreeMap<String, Vec<String>>,
    /// Keys that are spelled in more than one way; which one the operator takes is not defined.
    twins: Vec<String>,
}

impl FlinkConfiguration {
    /// Reads the object at `at`; absent is empty.
    pub(super) fn read(at: &At<'_>) -> Result<Self, WrongShape> {
        let mut config = Self::default();
        match at.value() {
            None => {}
            Some(Value::Object(map)) => config.take(map, &mut Vec::new()),
            Some(_) => return Err(at.wrong("an object")),
        }
        Ok(config)
    }

    /// A configuration of these flat values.
    pub fn flat<K: Into<String>, V: Into<String>>(values: impl IntoIterator<Item = (K, V)>) -> Self {
        let values = values.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Self { values, ..Self::default() }
    }

    fn take(&mut self, map: &Map<String, Value>, above: &mut Vec<String>) {
        for (name, value) in map {
            above.push(name.clone());
            match value {
                Value::Object(inner) => self.take(inner, above),
                Value::Array(items) => {
                    let joined = items.iter().filter_map(scalar).collect::<Vec<_>>().join(";");
                    self.put(above, joined);
                }
                Value::Null => {}
                Value::String(_) | Value::Number(_) | Value::Bool(_) => {
                    self.put(above, scalar(value).unwrap_or_default());
                }
            }
            above.pop();
        }
    }

    fn put(&mut self, place: &[String], value: String) {
        let key = place.join(".");
        if self.values.insert(key.clone(), value).is_some() && !self.twins.contains(&key) {
            self.twins.push(key.clone());
        }
        if place.len() > 1 {
            self.places.insert(key, place.to_vec());
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// All keys and values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// All values.
    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// Keys that stand in the resource in two spellings: a patch of either may have no effect.
    pub fn twins(&self) -> &[String] {
        &self.twins
    }

    /// The body of `spec.flinkConfiguration` in a merge patch that makes `changes` (`None` removes a key), each in the spelling that the
    /// resource uses now; new keys are spelled with dots.
    pub fn merge_patch<'k>(&self, changes: impl IntoIterator<Item = (&'k str, Option<&'k str>)>) -> Value {
        let mut root = Map::new();
        for (key, value) in changes {
            let value = value.map_or(Value::Null, Value::from);
            match self.places.get(key) {
                Some(place) => insert(&mut root, place, value),
                None => {
                    root.insert(key.to_owned(), value);
                }
            }
        }
        Value::Object(root)
    }
}

fn insert(map: &mut Map<String, Value>, place: &[String], value: Value) {
    match place {
        [] => {}
        [last] => {
            map.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            if let Value::Object(inner) = map.entry(first.clone()).or_insert_with(|| Value::Object(Map::new())) {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: &Value) -> FlinkConfiguration {
        FlinkConfiguration::read(&At::root(value)).unwrap()
    }

    #[test]
    fn every_spelling_reads_as_the_same_key() {
        let config = read(&json!({
            "taskmanager": {"numberOfTaskSlots": 2, "memory": {"process": {"size": "2g"}}},
            "job.autoscaler.enabled": true,
            "state": {"backend.type": "rocksdb"},
            "env.java.opts": ["-Da", "-Db"],
            "nothing": null,
        }));
        assert_eq!(config.get("taskmanager.numberOfTaskSlots"), Some("2"));
        assert_eq!(config.get("taskmanager.memory.process.size"), Some("2g"));
        assert_eq!(config.get("job.autoscaler.enabled"), Some("true"));
        assert_eq!(config.get("state.backend.type"), Some("rocksdb"));
        assert_eq!(config.get("env.java.opts"), Some("-Da;-Db"));
        assert_eq!(config.get("nothing"), None);
        assert!(config.twins().is_empty());
    }

    #[test]
    fn a_patch_uses_the_spelling_of_the_resource() {
        let config =
            read(&json!({"pipeline": {"jobvertex-parallelism-overrides": "a:1"}, "job.autoscaler.enabled": "true"}));
        let patch = config.merge_patch([
            (PARALLELISM_OVERRIDES, Some("a:2")),
            ("job.autoscaler.enabled", Some("false")),
            ("restart-strategy.type", None),
        ]);
        assert_eq!(
            patch,
            json!({
                "pipeline": {"jobvertex-parallelism-overrides": "a:2"},
                "job.autoscaler.enabled": "false",
                "restart-strategy.type": null,
            })
        );
    }

    #[test]
    fn a_key_in_two_spellings_is_reported() {
        let config = read(&json!({"a.b": "1", "a": {"b": "2"}}));
        assert_eq!(config.twins(), ["a.b"]);
    }
}
