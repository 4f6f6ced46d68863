//! The objects of the embedded API server: versions, generations, owners, and the history that watches are served from.
//!
//! This is also the way in for what simulates a cluster (`sim::operator` and its like): inside [`super::ApiServer::with_store`] it creates,
//! updates, deletes and lists objects by [`Key`], sees what changed with [`Store::since`], and every watch learns of what it did. How objects
//! go (finalizers, graceful ends, owners) is in [`deletion`], what is remembered of the past in [`history`].

pub mod deletion;
pub mod history;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use super::failure::Failure;
use super::kinds::{FLINK_GROUP, Kind};
use super::managed::{self, Author};
use super::schema;
use crate::sim::noise::hash128;
use crate::sim::operator::Release;
pub use history::Change;
use history::History;

/// Field manager of the operator: the name of its HTTP client, as it names none.
const OPERATOR: &str = "fabric8-kubernetes-client";
/// Events kept at most; the oldest go first.
const EVENTS: usize = 20_000;

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
#[derive(Debug, Default)]
pub struct Store {
    created: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    history: History,
    /// By the uid of an owner: the objects that name it.
    dependents: HashMap<String, BTreeSet<Key>>,
    /// Objects in each namespace.
    population: HashMap<String, usize>,
    /// Pods whose containers were told to end, by the time when they have.
    ending: BTreeSet<(i64, Key)>,
    /// Events in the order of their creation.
    events: VecDeque<Key>,
    /// Pods that went since the last look.
    gone_pods: Vec<Key>,
    /// Release of the operator whose definitions are installed.
    release: Release,
    /// Who writes at the moment.
    author: Option<Author>,
}

impl Store {
    /// The newest version.
    pub fn version(&self) -> u64 {
        self.history.version()
    }

    /// Versions before this one cannot be begun from.
    pub fn oldest(&self) -> u64 {
        self.history.oldest()
    }

    /// Forgets the past, as a compaction does: nobody can begin from a version that was seen up to now, open watches go on.
    pub fn compact(&mut self) {
        self.history.compact();
    }

    /// Release of the operator whose definitions are installed.
    pub(super) fn release(&self) -> Release {
        self.release
    }

    pub(super) fn set_release(&mut self, release: Release) {
        self.release = release;
    }

    pub(super) fn set_author(&mut self, author: Option<Author>) {
        self.author = author;
    }

    /// Who is told to have written: the named author, else for the operator's kinds the operator. Other controllers leave no trace.
    fn author(&self, kind: Kind, part: Part) -> Option<Author> {
        let subresource = if part == Part::Status { "status" } else { "" };
        let operator = || Author { manager: OPERATOR.to_owned(), subresource };
        self.author.clone().or_else(|| (kind.info().group == FLINK_GROUP).then(operator))
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    /// Objects of a kind by namespace and name; an empty namespace means all.
    pub fn list<'a>(&'a self, kind: Kind, namespace: &'a str) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> + 'a {
        self.objects
            .range(Key::new(kind, namespace, "")..)
            .take_while(move |(k, _)| k.kind == kind && (namespace.is_empty() || k.namespace == namespace))
    }

    /// Objects as they were at a version, by namespace and name.
    ///
    /// # Errors
    /// 410 if that version is forgotten.
    pub fn list_at(&self, kind: Kind, namespace: &str, version: u64) -> Result<BTreeMap<Key, Arc<Value>>, Failure> {
        let mut all: BTreeMap<Key, Arc<Value>> =
            self.list(kind, namespace).map(|(k, o)| (k.clone(), o.clone())).collect();
        for (key, past) in self.history.undo(version)? {
            if key.kind != kind || !(namespace.is_empty() || key.namespace == namespace) {
                continue;
            }
            match past {
                Some(object) => all.insert(key.clone(), object.clone()),
                None => all.remove(key),
            };
        }
        Ok(all)
    }

    /// Changes after `version`, oldest first.
    ///
    /// # Errors
    /// 410 if some of them are forgotten.
    pub fn since(&self, version: u64) -> Result<impl Iterator<Item = &Change>, Failure> {
        self.history.since(version)
    }

    /// Changes after `version` for an open watch; none if it is so far behind that it must begin anew.
    pub fn following(&self, version: u64) -> Option<impl Iterator<Item = &Change>> {
        self.history.following(version)
    }

    /// Creates an object.
    ///
    /// # Errors
    /// 404 without its namespace, 403 if that is being deleted, 409 if it exists, 422 if it is not valid.
    pub fn create(&mut self, key: Key, mut object: Value, now: i64, write: Write) -> Result<Arc<Value>, Failure> {
        if key.name.is_empty() {
            return Err(Failure::invalid(
                key.kind,
                "",
                "metadata.name",
                "Required value: name or generateName is required",
            ));
        }
        if key.kind.info().namespaced {
            let Some(namespace) = self.get(&Key::new(Kind::Namespace, "", &key.namespace)) else {
                return Err(Failure::not_found(Kind::Namespace, &key.namespace));
            };
            if namespace.pointer("/metadata/deletionTimestamp").is_some() {
                return Err(Failure::namespace_ends(&key));
            }
        }
        if self.objects.contains_key(&key) {
            return Err(Failure::already_exists(key.kind, &key.name));
        }
        if key.kind.info().custom {
            schema::check(key.kind, &key.name, &object, self.release)?;
        }
        self.created += 1;
        let uid = hash128(&[key.kind.info().plural, &key.namespace, &key.name, &self.created.to_string()]);
        let info = key.kind.info();
        object["apiVersion"] = key.kind.api_version().into();
        object["kind"] = info.name.into();
        if let (true, true, Value::Object(map)) = (info.status, info.custom, &mut object) {
            map.shift_remove("status");
        }
        let meta = metadata(&mut object);
        meta["name"] = key.name.clone().into();
        if info.namespaced {
            meta["namespace"] = key.namespace.clone().into();
        }
        meta["uid"] = uuid(uid).into();
        meta["creationTimestamp"] = rfc3339(now).into();
        if info.generation {
            meta["generation"] = 1.into();
        }
        if object.pointer("/metadata/managedFields").is_none()
            && let Some(author) = self.author(key.kind, Part::Main)
        {
            managed::updated(key.kind, None, &mut object, Some(&author), self.release, now);
        }
        if let (Kind::Event, Write::Real) = (key.kind, write) {
            self.events.push_back(key.clone());
        }
        let object = self.put(key, object, write);
        while self.events.len() > EVENTS {
            let Some(oldest) = self.events.pop_front() else { break };
            self.remove(&oldest, now);
        }
        Ok(object)
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
        settle(key, &before, &mut after, part);
        if key.kind.info().custom {
            schema::check(key.kind, &key.name, &after, self.release)?;
        }
        if after == *before {
            return Ok(before);
        }
        // Entries that the change itself wrote are right already.
        let managers = |object: &Value| object.pointer("/metadata/managedFields").cloned();
        let author = self.author(key.kind, part);
        if managers(&after) == managers(&before)
            && managed::is_sound(&before)
            && (author.is_some() || managers(&before).is_some())
        {
            managed::updated(key.kind, Some(&before), &mut after, author.as_ref(), self.release, now);
        }
        if key.kind.info().generation && before.get("spec") != after.get("spec") {
            let generation = before.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
            metadata(&mut after)["generation"] = (generation + 1).into();
        }
        let ends = after.pointer("/metadata/deletionTimestamp").is_some() && !held(&after);
        let graceful = after.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64) > Some(0);
        if ends && !graceful && key.kind != Kind::Namespace {
            if write == Write::Real {
                self.remove(key, now);
            }
            return Ok(Arc::new(after));
        }
        Ok(self.put(key.clone(), after, write))
    }

    fn put(&mut self, key: Key, mut object: Value, write: Write) -> Arc<Value> {
        if write == Write::DryRun {
            return Arc::new(object);
        }
        let version = self.history.next_version();
        metadata(&mut object)["resourceVersion"] = version.to_string().into();
        let after = Arc::new(object);
        let before = self.objects.insert(key.clone(), after.clone());
        let (was, is) = (before.as_deref().map(owner_uids).unwrap_or_default(), owner_uids(&after));
        for uid in was.difference(&is) {
            self.forget_dependent(uid, &key);
        }
        for uid in is {
            self.dependents.entry(uid).or_default().insert(key.clone());
        }
        if before.is_none() {
            *self.population.entry(key.namespace.clone()).or_default() += 1;
        }
        self.history.remember(Change { version, key, before, after: after.clone(), removed: false });
        after
    }

    /// Takes an object out, with its place in the indexes.
    fn take(&mut self, key: &Key) -> Option<Arc<Value>> {
        let before = self.objects.remove(key)?;
        let version = self.history.next_version();
        let mut after = (*before).clone();
        metadata(&mut after)["resourceVersion"] = version.to_string().into();
        for uid in owner_uids(&before) {
            self.forget_dependent(&uid, key);
        }
        if let Some(count) = self.population.get_mut(&key.namespace) {
            *count = count.saturating_sub(1);
        }
        let change =
            Change { version, key: key.clone(), before: Some(before.clone()), after: Arc::new(after), removed: true };
        self.history.remember(change);
        if key.kind == Kind::Pod {
            self.gone_pods.push(key.clone());
        }
        Some(before)
    }

    /// Pods that went since the last look.
    pub(super) fn take_gone_pods(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.gone_pods)
    }

    fn forget_dependent(&mut self, uid: &str, key: &Key) {
        if let Some(keys) = self.dependents.get_mut(uid) {
            keys.remove(key);
            if keys.is_empty() {
                self.dependents.remove(uid);
            }
        }
    }
}

/// Puts back what a write may not change.
fn settle(key: &Key, before: &Value, after: &mut Value, part: Part) {
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
            let (status, managers) = (after.get("status").cloned(), after.pointer("/metadata/managedFields").cloned());
            *after = before.clone();
            if let Some(managers) = managers {
                metadata(after)["managedFields"] = managers;
            }
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
    for name in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "resourceVersion",
    ] {
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

/// Finalizers hold the object.
fn held(object: &Value) -> bool {
    object.pointer("/metadata/finalizers").and_then(Value::as_array).is_some_and(|f| !f.is_empty())
}

fn owner_uids(object: &Value) -> BTreeSet<String> {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let uids = owners.into_iter().flatten().filter_map(|o| o.get("uid").and_then(Value::as_str));
    uids.map(str::to_owned).collect()
}

/// The metadata of an object, made if it is not there.
pub(super) fn metadata(object: &mut Value) -> &mut Value {
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
        for n in 1..=history::CHANGES + 1 {
            let change = |o: &mut Value| {
                o["spec"]["n"] = n.into();
                Ok(())
            };
            store.update(&key(), Part::Main, 0, Write::Real, change).unwrap();
        }
        assert_eq!(store.since(from).err().map(|f| f.code), Some(410));
        assert_eq!(store.since(from + 1).unwrap().count(), history::CHANGES);
    }

    #[test]
    fn after_a_compaction_open_watches_go_on() {
        let mut store = store();
        let seen = store.version();
        store.compact();
        store.create(key(), json!({"spec": {}}), 0, Write::Real).unwrap();
        assert_eq!(store.since(seen).err().map(|f| f.code), Some(410));
        assert_eq!(store.following(seen).map(Iterator::count), Some(1));
    }

    #[test]
    fn the_past_can_be_listed() {
        let mut store = store();
        let (a, b) = (key(), Key::new(Kind::FlinkDeployment, "flink", "b"));
        store.create(a.clone(), json!({"spec": {"image": "1"}}), 0, Write::Real).unwrap();
        let then = store.version();
        let image = |o: &mut Value| {
            o["spec"]["image"] = "2".into();
            Ok(())
        };
        store.update(&a, Part::Main, 0, Write::Real, image).unwrap();
        store.create(b.clone(), json!({}), 0, Write::Real).unwrap();
        let later = store.version();
        store.delete(&a, 0, Write::Real).unwrap();
        let names = |version: u64| -> Vec<String> {
            let all = store.list_at(Kind::FlinkDeployment, "flink", version).unwrap();
            all.iter().map(|(k, o)| format!("{}:{}", k.name, o["spec"]["image"].as_str().unwrap_or("-"))).collect()
        };
        assert_eq!(names(then), ["a:1"]);
        assert_eq!(names(later), ["a:2", "b:-"]);
        assert_eq!(names(store.version()), ["b:-"]);
    }

    #[test]
    fn the_oldest_events_go_first() {
        let mut store = store();
        let event = |n: usize| Key::new(Kind::Event, "flink", &format!("e{n:06}"));
        for n in 0..=EVENTS {
            store.create(event(n), json!({}), 0, Write::Real).unwrap();
        }
        assert_eq!(store.list(Kind::Event, "").count(), EVENTS);
        assert!(store.get(&event(0)).is_none() && store.get(&event(EVENTS)).is_some());
    }
}
