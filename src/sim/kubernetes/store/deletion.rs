//! How objects go: finalizers, graceful ends of pods, owners and what they own, namespaces and definitions with what is in them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Key, Store, Write, held, metadata, rfc3339};
use crate::sim::kubernetes::failure::Failure;
use crate::sim::kubernetes::kinds::Kind;

/// Held while what an object owns goes first.
const FOREGROUND: &str = "foregroundDeletion";
/// Grace of a pod that does not say, seconds.
const GRACE: i64 = 30;
/// How long the containers of a pod take to obey, milliseconds.
const OBEYS: i64 = 1_500;

/// What happens to the objects that a deleted one owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Propagation {
    /// They go after it.
    #[default]
    Background,
    /// It goes after them.
    Foreground,
    /// They stay, without an owner.
    Orphan,
}

/// How an object is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deletion {
    /// What happens to the objects that it owns.
    pub propagation: Propagation,
    /// Seconds that a pod gets to end; its own if absent, 0: at once.
    pub grace: Option<i64>,
}

impl Deletion {
    /// At once, what it owns after it: how controllers of the simulation delete.
    pub const AT_ONCE: Self = Self { propagation: Propagation::Background, grace: Some(0) };
}

impl Store {
    /// Asks for the removal of an object: at once, or by a deletion time if finalizers hold it. Objects that it owns go with it.
    ///
    /// # Errors
    /// 404 without the object.
    pub fn delete(&mut self, key: &Key, now: i64, write: Write) -> Result<Arc<Value>, Failure> {
        self.delete_with(key, Deletion::AT_ONCE, now, write)
    }

    /// Asks for the removal of an object. What is returned has a deletion time if something holds it.
    ///
    /// # Errors
    /// 404 without the object.
    pub fn delete_with(
        &mut self,
        key: &Key,
        deletion: Deletion,
        now: i64,
        write: Write,
    ) -> Result<Arc<Value>, Failure> {
        let before = self.get(key).cloned().ok_or_else(|| Failure::not_found(key.kind, &key.name))?;
        let owned = self.owned_by(&before);
        let mut after = (*before).clone();
        let foreground = deletion.propagation == Propagation::Foreground && !owned.is_empty();
        if foreground {
            add_finalizer(&mut after, FOREGROUND);
        }
        let grace = grace(key.kind, &before, deletion);
        let waits = held(&after) || grace > 0 || key.kind == Kind::Namespace;
        if write == Write::DryRun || !waits {
            if write == Write::Real {
                if deletion.propagation == Propagation::Orphan {
                    self.orphan(&before, &owned);
                }
                self.remove(key, now);
            }
            return Ok(before);
        }
        if before.pointer("/metadata/deletionTimestamp").is_none() {
            let generation = after.pointer("/metadata/generation").and_then(Value::as_i64);
            let meta = metadata(&mut after);
            meta["deletionTimestamp"] = rfc3339(now + grace * 1000).into();
            meta["deletionGracePeriodSeconds"] = grace.into();
            if let Some(generation) = generation.filter(|_| key.kind.info().generation) {
                meta["generation"] = (generation + 1).into();
            }
            if key.kind == Kind::Namespace {
                after["status"]["phase"] = "Terminating".into();
            }
            if grace > 0 {
                self.ending.insert((now + OBEYS.min(grace * 1000), key.clone()));
            }
        }
        let mut object = if after == *before { before.clone() } else { self.put(key.clone(), after, Write::Real) };
        if deletion.propagation == Propagation::Orphan {
            self.orphan(&before, &owned);
        }
        if foreground {
            for dependent in &owned {
                let _ = self.delete_with(dependent, Deletion::default(), now, Write::Real);
            }
            self.release_foreground(key, now);
        }
        if key.kind == Kind::Namespace {
            for inside in self.inside(&key.name) {
                let _ = self.delete_with(&inside, Deletion::default(), now, Write::Real);
            }
            self.end_namespace(&key.name, now);
        }
        if let Some(present) = self.get(key) {
            object = present.clone();
        }
        Ok(object)
    }

    /// Removes the pods whose containers have ended by now.
    pub(crate) fn end_pods(&mut self, now: i64) {
        while let Some((due, _)) = self.ending.first() {
            if *due > now {
                return;
            }
            let Some((_, key)) = self.ending.pop_first() else { return };
            let Some(pod) = self.get(&key) else { continue };
            if pod.pointer("/metadata/deletionTimestamp").is_none() {
                continue;
            }
            if held(pod) {
                let mut after = (**pod).clone();
                metadata(&mut after)["deletionGracePeriodSeconds"] = 0.into();
                self.put(key, after, Write::Real);
            } else {
                self.remove(&key, now);
            }
        }
    }

    /// Takes an object away, and what goes with it.
    pub(super) fn remove(&mut self, key: &Key, now: i64) {
        let Some(before) = self.take(key) else { return };
        for owned in self.owned_by(&before) {
            // One that has another owner stays with it.
            if !self.lose_owner(&owned, &before) {
                let _ = self.delete_with(&owned, Deletion::default(), now, Write::Real);
            }
        }
        for owner in owners(&before) {
            let found = self.get(&owner_key(&owner, &key.namespace)).cloned();
            if let Some(found) = found.filter(|o| o.pointer("/metadata/uid") == owner.get("uid")) {
                let name = found.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
                self.release_foreground(&Key { name, ..owner_key(&owner, &key.namespace) }, now);
            }
        }
        match key.kind {
            Kind::CustomResourceDefinition => {
                let kind = Kind::ALL.into_iter().find(|k| k.info().custom && k.resource() == key.name);
                let of_kind: Vec<Key> =
                    kind.map_or_else(Vec::new, |k| self.list(k, "").map(|(k, _)| k.clone()).collect());
                for object in of_kind {
                    let _ = self.delete_with(&object, Deletion::default(), now, Write::Real);
                }
            }
            _ if key.kind.info().namespaced => self.end_namespace(&key.namespace, now),
            _ => {}
        }
    }

    /// Keys of the objects that this one owns.
    pub fn owned_by(&self, owner: &Value) -> Vec<Key> {
        let uid = owner.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
        self.dependents.get(uid).map_or_else(Vec::new, |keys| keys.iter().cloned().collect())
    }

    fn inside(&self, namespace: &str) -> Vec<Key> {
        Kind::ALL
            .into_iter()
            .filter(|k| k.info().namespaced)
            .flat_map(|k| self.list(k, namespace).map(|(key, _)| key.clone()).collect::<Vec<_>>())
            .collect()
    }

    /// A namespace that is being deleted goes with the last object in it.
    fn end_namespace(&mut self, name: &str, now: i64) {
        let key = Key::new(Kind::Namespace, "", name);
        let ending = self.get(&key).is_some_and(|n| n.pointer("/metadata/deletionTimestamp").is_some() && !held(n));
        if ending && self.population.get(name).copied().unwrap_or_default() == 0 {
            self.remove(&key, now);
        }
    }

    /// Lets an object go that waits for what it owns, if nothing of that is left that blocks it.
    fn release_foreground(&mut self, key: &Key, now: i64) {
        let Some(object) = self.get(key).cloned() else { return };
        let waits = finalizers(&object).any(|f| f == FOREGROUND);
        let uid = object.pointer("/metadata/uid").cloned().unwrap_or_default();
        let blocks = |dependent: &Key| {
            self.get(dependent).is_some_and(|d| {
                owners(d)
                    .iter()
                    .any(|o| o.get("uid") == Some(&uid) && o.get("blockOwnerDeletion") == Some(&json!(true)))
            })
        };
        if !waits || self.owned_by(&object).iter().any(blocks) {
            return;
        }
        let mut after = (*object).clone();
        let left: Vec<Value> = finalizers(&object).filter(|f| *f != FOREGROUND).map(Value::from).collect();
        metadata(&mut after)["finalizers"] = left.into();
        if held(&after) {
            self.put(key.clone(), after, Write::Real);
        } else {
            self.remove(key, now);
        }
    }

    /// Removes an owner that is gone from an object that has others; false if it has none.
    fn lose_owner(&mut self, key: &Key, owner: &Value) -> bool {
        let uid = owner.pointer("/metadata/uid");
        let Some(object) = self.get(key).cloned() else { return true };
        let left: Vec<Value> = owners(&object).into_iter().filter(|o| o.get("uid") != uid).collect();
        let others = left.iter().any(|o| {
            let present = self.get(&owner_key(o, &key.namespace));
            present.is_some_and(|p| p.pointer("/metadata/uid") == o.get("uid"))
        });
        if others {
            let mut after = (*object).clone();
            metadata(&mut after)["ownerReferences"] = left.into();
            self.put(key.clone(), after, Write::Real);
        }
        others
    }

    fn orphan(&mut self, owner: &Value, owned: &[Key]) {
        let uid = owner.pointer("/metadata/uid");
        for key in owned {
            let Some(object) = self.get(key).cloned() else { continue };
            let mut after = (*object).clone();
            let left: Vec<Value> = owners(&object).into_iter().filter(|o| o.get("uid") != uid).collect();
            match (&mut after["metadata"], left.is_empty()) {
                (Value::Object(meta), true) => {
                    meta.shift_remove("ownerReferences");
                }
                (meta, _) => meta["ownerReferences"] = left.into(),
            }
            self.put(key.clone(), after, Write::Real);
        }
    }
}

/// Seconds that a pod gets before it goes; 0 for everything else.
fn grace(kind: Kind, object: &Value, deletion: Deletion) -> i64 {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let runs = kind == Kind::Pod
        && !text("/spec/nodeName").is_empty()
        && !matches!(text("/status/phase"), "Succeeded" | "Failed");
    if !runs {
        return 0;
    }
    let own = object.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64);
    deletion.grace.or(own).unwrap_or(GRACE).max(0)
}

fn owners(object: &Value) -> Vec<Value> {
    object.pointer("/metadata/ownerReferences").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Where an owner is; of a kind that is not known, nowhere.
fn owner_key(owner: &Value, namespace: &str) -> Key {
    let text = |name: &str| owner.get(name).and_then(Value::as_str).unwrap_or_default();
    let group = text("apiVersion").split_once('/').map(|(group, _)| group);
    let kind =
        Kind::ALL.into_iter().find(|k| k.info().name == text("kind") && group.is_none_or(|g| g == k.info().group));
    match kind {
        Some(kind) if kind.info().namespaced => Key::new(kind, namespace, text("name")),
        Some(kind) => Key::new(kind, "", text("name")),
        None => Key::new(Kind::Namespace, "", ""),
    }
}

fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    let all = object.pointer("/metadata/finalizers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    all.iter().filter_map(Value::as_str)
}

fn add_finalizer(object: &mut Value, name: &str) {
    if finalizers(object).all(|f| f != name) {
        let mut all: Vec<Value> = finalizers(object).map(Value::from).collect();
        all.push(name.into());
        metadata(object)["finalizers"] = all.into();
    }
}

#[cfg(test)]
mod tests;
