//! The objects of the embedded API server: versions, generations, finalizers, owners, and the history that watches are served from.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use super::failure::Failure;
use super::kinds::Kind;
use super::schema;
use crate::sim::noise::hash128;

/// Changes kept for watches that resume.
const HISTORY: usize = 8_192;
/// The first version; not 1, so that nobody takes it for a counter of their own.
const FIRST_VERSION: u64 = 1_000;

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for kinds without.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// A key.
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// One change in the history.
#[derive(Debug, Clone)]
pub struct Change {
    /// Version of the change.
    pub version: u64,
    /// Which object.
    pub key: Key,
    /// The object before; none for a creation.
    pub before: Option<Arc<Value>>,
    /// The object after; of a removal the last state, with the version of the removal.
    pub after: Arc<Value>,
    /// It is gone.
    pub removed: bool,
}

/// Which part of an object a write may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything but the status, for kinds with a status subresource.
    Main,
    /// The status alone.
    Status,
}

/// Whether a write is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// It is.
    Real,
    /// It is only tried.
    DryRun,
}

/// All objects.
#[derive(Debug)]
pub struct Store {
    version: u64,
    forgotten: u64,
    created: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    history: VecDeque<Change>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            version: FIRST_VERSION,
            forgotten: FIRST_VERSION,
            created: 0,
            objects: BTreeMap::new(),
            history: VecDeque::new(),
        }
    }
}

impl Store {
    /// The newest version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Versions before this one cannot be resumed from.
    pub fn oldest(&self) -> u64 {
        self.forgotten
    }

    /// Forgets the history, as a compaction does.
    pub fn compact(&mut self) {
        self.history.clear();
        // The version itself moves on, so that nobody can resume from what was just seen.
        self.version += 1;
        self.forgotten = self.version;
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    /// Objects of a kind by namespace and name; an empty namespace means all.
    pub fn list<'a>(&'a self, kind: Kind, namespace: &'a str) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> + 'a {
        let from = Key::new(kind, namespace, "");
        self.objects
            .range(from..)
            .take_while(move |(k, _)| k.kind == kind)
            .filter(move |(k, _)| namespace.is_empty() || k.namespace == namespace)
    }

    /// Changes after `version`, oldest first.
    ///
    /// # Errors
    /// 410 if some of them are forgotten.
    pub fn since(&self, version: u64) -> Result<impl Iterator<Item = &Change>, Failure> {
        if version < self.forgotten {
            return Err(Failure::expired(version, self.forgotten));
        }
        let start = self.history.partition_point(|c| c.version <= version);
        Ok(self.history.range(start..))
    }

    /// Creates an object.
    ///
    /// # Errors
    /// 404 without its namespace, 409 if it exists, 422 if it is not valid.
    pub fn create(&mut self, key: Key, mut object: Value, now: i64, write: Write) -> Result<Arc<Value>, Failure> {
        if key.name.is_empty() {
            return Err(Failure::invalid(
                key.kind,
                "",
                "metadata.name",
                "Required value: name or generateName is required",
            ));
        }
        if key.kind.info().namespaced && self.get(&Key::new(Kind::Namespace, "", &key.namespace)).is_none() {
            return Err(Failure::not_found(Kind::Namespace, &key.namespace));
        }
        if self.objects.contains_key(&key) {
            return Err(Failure::already_exists(key.kind, &key.name));
        }
        schema::check(key.kind, &key.name, &object)?;
        self.created += 1;
        let uid = hash128(&[key.kind.info().plural, &key.namespace, &key.name, &self.created.to_string()]);
        let info = key.kind.info();
        object["apiVersion"] = key.kind.api_version().into();
        object["kind"] = info.name.into();
        if info.status
            && info.group == super::kinds::FLINK_GROUP
            && let Value::Object(map) = &mut object
        {
            map.shift_remove("status");
        }
        let meta = metadata(&mut object);
        meta["name"] = key.name.clone().into();
        if info.namespaced {
            meta["namespace"] = key.namespace.clone().into();
        }
        meta["uid"] = uuid(uid).into();
        meta["creationTimestamp"] = rfc3339(now).into();
        meta["generation"] = 1.into();
        Ok(self.put(key, object, write))
    }

    /// Changes an object by `change`.
    ///
    /// # Errors
    /// 404 without the object; 409 if the changed object carries another resourceVersion than the present one; 422 if it is not valid;
    /// what `change` returns.
    pub fn update(
        &mut self,
        key: &Key,
        part: Part,
        now: i64,
        write: Write,
        change: impl FnOnce(&mut Value) -> Result<(), Failure>,
    ) -> Result<Arc<Value>, Failure> {
        let before = self.get(key).cloned().ok_or_else(|| Failure::not_found(key.kind, &key.name))?;
        let mut after = (*before).clone();
        change(&mut after)?;
        let asked = after.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default();
        if !asked.is_empty() && Some(asked) != before.pointer("/metadata/resourceVersion").and_then(Value::as_str) {
            return Err(Failure::conflict(key.kind, &key.name));
        }
        if !after.is_object() {
            return Err(Failure::bad_request("the object must stay an object"));
        }
        self.settle(key, &before, &mut after, part);
        schema::check(key.kind, &key.name, &after)?;
        if after == *before {
            return Ok(before);
        }
        if before.get("spec") != after.get("spec") {
            let generation = before.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
            metadata(&mut after)["generation"] = (generation + 1).into();
        }
        let meta = metadata(&mut after);
        let deleting = meta.get("deletionTimestamp").is_some();
        let held = meta.get("finalizers").and_then(Value::as_array).is_some_and(|f| !f.is_empty());
        if deleting && !held {
            if write == Write::Real {
                self.remove(key, now);
            }
            return Ok(Arc::new(after));
        }
        Ok(self.put(key.clone(), after, write))
    }

    /// Puts back what a write may not change.
    fn settle(&self, key: &Key, before: &Value, after: &mut Value, part: Part) {
        let info = key.kind.info();
        let keep = |after: &mut Value, name: &str| match before.get(name) {
            Some(value) => after[name] = value.clone(),
            None => {
                if let Value::Object(map) = after {
                    map.shift_remove(name);
                }
            }
        };
        keep(after, "apiVersion");
        keep(after, "kind");
        match part {
            Part::Main if info.status => keep(after, "status"),
            Part::Main => {}
            Part::Status => {
                let status = after.get("status").cloned();
                *after = before.clone();
                match status {
                    Some(status) => after["status"] = status,
                    None => {
                        if let Value::Object(map) = after {
                            map.shift_remove("status");
                        }
                    }
                }
            }
        }
        let fixed = before.get("metadata").cloned().unwrap_or_default();
        let meta = metadata(after);
        for name in
            ["name", "namespace", "uid", "creationTimestamp", "generation", "deletionTimestamp", "resourceVersion"]
        {
            match fixed.get(name) {
                Some(value) => meta[name] = value.clone(),
                None => {
                    if let Value::Object(map) = meta {
                        map.shift_remove(name);
                    }
                }
            }
        }
    }

    /// Asks for the removal of an object: at once, or by a deletion time if finalizers hold it. Objects that it owns go with it.
    ///
    /// # Errors
    /// 404 without the object.
    pub fn delete(&mut self, key: &Key, now: i64, write: Write) -> Result<Arc<Value>, Failure> {
        let before = self.get(key).cloned().ok_or_else(|| Failure::not_found(key.kind, &key.name))?;
        let held = before.pointer("/metadata/finalizers").and_then(Value::as_array).is_some_and(|f| !f.is_empty());
        if !held {
            if write == Write::Real {
                self.remove(key, now);
            }
            return Ok(before);
        }
        if before.pointer("/metadata/deletionTimestamp").is_some() {
            return Ok(before);
        }
        let mut after = (*before).clone();
        let generation = before.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
        let meta = metadata(&mut after);
        meta["deletionTimestamp"] = rfc3339(now).into();
        meta["deletionGracePeriodSeconds"] = 0.into();
        meta["generation"] = (generation + 1).into();
        Ok(self.put(key.clone(), after, write))
    }

    fn remove(&mut self, key: &Key, now: i64) {
        let Some(before) = self.objects.remove(key) else { return };
        self.version += 1;
        let mut after = (*before).clone();
        metadata(&mut after)["resourceVersion"] = self.version.to_string().into();
        let uid = before.pointer("/metadata/uid").cloned();
        self.remember(Change {
            version: self.version,
            key: key.clone(),
            before: Some(before),
            after: Arc::new(after),
            removed: true,
        });
        let owned: Vec<Key> = self
            .objects
            .iter()
            .filter(|(k, o)| {
                k.namespace == key.namespace
                    && o.pointer("/metadata/ownerReferences")
                        .and_then(Value::as_array)
                        .is_some_and(|owners| owners.iter().any(|owner| owner.get("uid") == uid.as_ref()))
            })
            .map(|(k, _)| k.clone())
            .collect();
        for key in owned {
            let _ = self.delete(&key, now, Write::Real);
        }
        if key.kind == Kind::Namespace {
            let inside: Vec<Key> = self.objects.keys().filter(|k| k.namespace == key.name).cloned().collect();
            for key in inside {
                let _ = self.delete(&key, now, Write::Real);
            }
        }
    }

    fn put(&mut self, key: Key, mut object: Value, write: Write) -> Arc<Value> {
        if write == Write::DryRun {
            return Arc::new(object);
        }
        self.version += 1;
        metadata(&mut object)["resourceVersion"] = self.version.to_string().into();
        let after = Arc::new(object);
        let before = self.objects.insert(key.clone(), after.clone());
        self.remember(Change { version: self.version, key, before, after: after.clone(), removed: false });
        after
    }

    fn remember(&mut self, change: Change) {
        self.history.push_back(change);
        while self.history.len() > HISTORY {
            if let Some(old) = self.history.pop_front() {
                self.forgotten = old.version;
            }
        }
    }
}

/// The metadata of an object, made if it is not there.
fn metadata(object: &mut Value) -> &mut Value {
    if !object.get("metadata").is_some_and(Value::is_object) {
        object["metadata"] = json!({});
    }
    &mut object["metadata"]
}

/// An instant with whole seconds, as Kubernetes writes it.
pub fn rfc3339(millis: i64) -> String {
    chrono::DateTime::from_timestamp_millis(millis)
        .unwrap_or_default()
        .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn uuid(bits: u128) -> String {
    let hex = format!("{bits:032x}");
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Store {
        let mut store = Store::default();
        store.create(Key::new(Kind::Namespace, "", "flink"), json!({}), 0, Write::Real).unwrap();
        store
    }

    fn key() -> Key {
        Key::new(Kind::FlinkDeployment, "flink", "a")
    }

    fn number(object: &Value, pointer: &str) -> i64 {
        match object.pointer(pointer).unwrap() {
            Value::String(s) => s.parse().unwrap(),
            other => other.as_i64().unwrap(),
        }
    }

    #[test]
    fn generation_moves_with_the_spec_and_the_version_with_everything() {
        let mut store = store();
        let first = store.create(key(), json!({"spec": {"image": "a"}, "status": {"x": 1}}), 0, Write::Real).unwrap();
        assert_eq!(first.get("status"), None, "a create does not write the status");
        let status = |o: &mut Value| {
            o["status"] = json!({"lifecycleState": "STABLE"});
            o["spec"] = json!({});
            Ok(())
        };
        let second = store.update(&key(), Part::Status, 0, Write::Real, status).unwrap();
        assert_eq!(second["spec"], json!({"image": "a"}), "a status write does not write the spec");
        assert_eq!(number(&second, "/metadata/generation"), 1);
        assert!(number(&second, "/metadata/resourceVersion") > number(&first, "/metadata/resourceVersion"));
        let spec = |o: &mut Value| {
            o["spec"]["image"] = "b".into();
            o["status"] = json!({});
            Ok(())
        };
        let third = store.update(&key(), Part::Main, 0, Write::Real, spec).unwrap();
        assert_eq!(number(&third, "/metadata/generation"), 2);
        assert_eq!(third["status"]["lifecycleState"], "STABLE");
        let same = store.update(&key(), Part::Main, 0, Write::Real, |_| Ok(())).unwrap();
        assert_eq!(same, third, "a write that changes nothing is none");
    }

    #[test]
    fn a_stale_version_conflicts_and_a_dry_run_stores_nothing() {
        let mut store = store();
        store.create(key(), json!({"spec": {"image": "a"}}), 0, Write::Real).unwrap();
        let stale = |o: &mut Value| {
            o["metadata"]["resourceVersion"] = "7".into();
            Ok(())
        };
        assert_eq!(store.update(&key(), Part::Main, 0, Write::Real, stale).unwrap_err().reason, "Conflict");
        let version = store.version();
        let change = |o: &mut Value| {
            o["spec"]["image"] = "b".into();
            Ok(())
        };
        let tried = store.update(&key(), Part::Main, 0, Write::DryRun, change).unwrap();
        assert_eq!(tried["spec"]["image"], "b");
        assert_eq!(store.get(&key()).unwrap()["spec"]["image"], "a");
        assert_eq!(store.version(), version);
    }

    #[test]
    fn finalizers_hold_an_object_and_what_it_owns_goes_with_it() {
        let mut store = store();
        let object = store
            .create(
                key(),
                json!({"metadata": {"finalizers": ["flinkdeployments.flink.apache.org/finalizer"]}, "spec": {}}),
                0,
                Write::Real,
            )
            .unwrap();
        let owned = Key::new(Kind::ConfigMap, "flink", "autoscaler-a");
        let owner = json!([{"kind": "FlinkDeployment", "name": "a", "uid": object["metadata"]["uid"]}]);
        store.create(owned.clone(), json!({"metadata": {"ownerReferences": owner}}), 0, Write::Real).unwrap();
        let held = store.delete(&key(), 0, Write::Real).unwrap();
        assert!(held["metadata"]["deletionTimestamp"].is_string());
        assert!(store.get(&owned).is_some());
        let release = |o: &mut Value| {
            o["metadata"]["finalizers"] = json!([]);
            Ok(())
        };
        store.update(&key(), Part::Main, 0, Write::Real, release).unwrap();
        assert!(store.get(&key()).is_none());
        assert!(store.get(&owned).is_none());
    }

    #[test]
    fn the_history_tells_every_change_since_a_version_until_it_is_compacted() {
        let mut store = store();
        let from = store.version();
        store.create(key(), json!({"spec": {}}), 0, Write::Real).unwrap();
        store.delete(&key(), 0, Write::Real).unwrap();
        let changes: Vec<bool> = store.since(from).unwrap().map(|c| c.removed).collect();
        assert_eq!(changes, [false, true]);
        let seen = store.version();
        store.compact();
        assert_eq!(store.since(seen).err().map(|f| f.code), Some(410));
        assert_eq!(store.since(store.version()).unwrap().count(), 0);
    }

    #[test]
    fn a_long_history_forgets_its_beginning() {
        let mut store = store();
        store.create(key(), json!({"spec": {"n": 0}}), 0, Write::Real).unwrap();
        let from = store.version();
        for n in 1..=HISTORY + 1 {
            let change = |o: &mut Value| {
                o["spec"]["n"] = n.into();
                Ok(())
            };
            store.update(&key(), Part::Main, 0, Write::Real, change).unwrap();
        }
        assert_eq!(store.since(from).err().map(|f| f.code), Some(410));
        assert_eq!(store.since(from + 1).unwrap().count(), HISTORY);
    }
}
