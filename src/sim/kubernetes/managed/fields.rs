//! Sets of fields, in the form `FieldsV1`: `f:name` for a field, `k:{…}` for an item of a keyed list, `v:…` for an item of a set.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::sim::kubernetes::schema::item_type;
use crate::sim::kubernetes::schema::model::{Type, item_key};
use crate::sim::operator::Release;

/// A set of fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields {
    /// This node itself is in the set.
    here: bool,
    inside: BTreeMap<String, Fields>,
}

/// Fields that nobody manages.
const IDENTITY: [&str; 11] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
    "generateName",
];

impl Fields {
    /// Nothing is in the set.
    pub fn is_empty(&self) -> bool {
        !self.here && self.inside.values().all(Self::is_empty)
    }

    /// Adds what is in another set.
    pub fn add(&mut self, other: &Self) {
        self.here |= other.here;
        for (name, inner) in &other.inside {
            self.inside.entry(name.clone()).or_default().add(inner);
        }
    }

    /// Takes out what is in another set.
    pub fn take(&mut self, other: &Self) {
        self.here &= !other.here;
        for (name, inner) in &other.inside {
            if let Some(mine) = self.inside.get_mut(name) {
                mine.take(inner);
                if mine.is_empty() {
                    self.inside.remove(name);
                }
            }
        }
    }

    /// What is in both sets.
    pub fn common(&self, other: &Self) -> Self {
        let inside = self.inside.iter().filter_map(|(name, mine)| {
            let both = mine.common(other.inside.get(name)?);
            (!both.is_empty()).then(|| (name.clone(), both))
        });
        Self { here: self.here && other.here, inside: inside.collect() }
    }

    /// The set as `fieldsV1`.
    pub fn document(&self) -> Value {
        let mut map = Map::new();
        if self.here && !self.inside.is_empty() {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (name, inner) in &self.inside {
            map.insert(name.clone(), inner.document());
        }
        map.into()
    }

    /// Reads `fieldsV1`.
    pub fn parse(document: &Value) -> Option<Self> {
        let map = document.as_object()?;
        let mut fields = Self { here: map.is_empty() || map.contains_key("."), inside: BTreeMap::new() };
        for (name, inner) in map.iter().filter(|(name, _)| *name != ".") {
            fields.inside.insert(name.clone(), Self::parse(inner)?);
        }
        Some(fields)
    }

    /// Every field of the set as the server writes paths: `.spec.containers[name="a"].image`.
    pub fn paths(&self) -> Vec<String> {
        let mut all = Vec::new();
        self.collect("", &mut all);
        all
    }

    fn collect(&self, path: &str, all: &mut Vec<String>) {
        if self.here {
            all.push(path.to_owned());
        }
        for (name, inner) in &self.inside {
            let step = match name.split_once(':') {
                Some(("k", key)) => {
                    let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
                    let parts: Vec<String> = key.iter().map(|(k, v)| format!("{k}={v}")).collect();
                    format!("[{}]", parts.join(","))
                }
                Some(("v", value)) => format!("[={value}]"),
                Some((_, field)) => format!(".{field}"),
                None => String::new(),
            };
            inner.collect(&format!("{path}{step}"), all);
        }
    }

    fn child(&mut self, step: String) -> &mut Self {
        self.inside.entry(step).or_default()
    }

    /// The set under a step.
    pub(super) fn get(&self, step: &str) -> Option<&Self> {
        self.inside.get(step)
    }

    /// This node itself is in the set.
    pub(super) fn is_here(&self) -> bool {
        self.here
    }
}

/// The parts of a value that are owned one by one, each with its step and its type; none if it is owned as a whole.
pub(super) fn split(value: &Value, kind: Type, release: Release) -> Option<Vec<(String, &Value, Type)>> {
    let kind = kind.of(release);
    match (value, kind) {
        (Value::Object(map), kind) if kind.granular() => {
            Some(map.iter().map(|(name, v)| (format!("f:{name}"), v, kind.inside(name, release))).collect())
        }
        (Value::Array(items), Type::Keyed(_, keys)) => {
            Some(items.iter().map(|item| (key_step(item, keys), item, item_type(kind))).collect())
        }
        (Value::Array(items), Type::Set(inner)) => {
            Some(items.iter().map(|item| (format!("v:{item}"), item, *inner)).collect())
        }
        _ => None,
    }
}

/// The step to an item of a keyed list.
pub(super) fn key_step(item: &Value, keys: &[&str]) -> String {
    let mut pairs = item_key(item, keys);
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    format!("k:{}", Value::Object(pairs.into_iter().collect()))
}

/// Fields of the object itself, identity left out.
fn managed(object: &Value) -> Value {
    let mut object = object.clone();
    if let Value::Object(map) = &mut object {
        map.shift_remove("apiVersion");
        map.shift_remove("kind");
        if let Some(Value::Object(meta)) = map.get_mut("metadata") {
            meta.retain(|name, _| !IDENTITY.contains(&name.as_str()));
            if meta.is_empty() {
                map.shift_remove("metadata");
            }
        }
    }
    object
}

/// What an applied document names: leaves, and the items of keyed lists and sets.
pub fn named(document: &Value, kind: Type, release: Release) -> Fields {
    let mut fields = Fields::default();
    name_all(&managed(document), kind, release, &mut fields);
    fields
}

fn name_all(value: &Value, kind: Type, release: Release, fields: &mut Fields) {
    match split(value, kind, release) {
        Some(parts) if !parts.is_empty() => {
            for (step, value, kind) in parts {
                let item = !step.starts_with("f:");
                let child = fields.child(step);
                child.here |= item;
                name_all(value, kind, release, child);
            }
        }
        _ => fields.here = true,
    }
}

/// Fields that a change made or changed (with everything that is new in between), and those that it removed.
pub fn compare(before: &Value, after: &Value, kind: Type, release: Release) -> (Fields, Fields) {
    let (mut changed, mut removed) = (Fields::default(), Fields::default());
    differ(Some(&managed(before)), Some(&managed(after)), kind, release, (&mut changed, &mut removed));
    (changed.here, removed.here) = (false, false);
    // The metadata as such is nobody's.
    for fields in [&mut changed, &mut removed] {
        if let Some(meta) = fields.inside.get_mut("f:metadata") {
            meta.here = false;
        }
        fields.inside.retain(|_, inner| !inner.is_empty());
    }
    (changed, removed)
}

fn differ(
    before: Option<&Value>,
    after: Option<&Value>,
    kind: Type,
    release: Release,
    (changed, removed): (&mut Fields, &mut Fields),
) {
    if before == after {
        return;
    }
    let parts = |value: Option<&Value>| -> Option<BTreeMap<String, (Value, Type)>> {
        let parts = split(value?, kind, release)?;
        Some(parts.into_iter().map(|(step, value, kind)| (step, (value.clone(), kind))).collect())
    };
    let (old, new) = (parts(before), parts(after));
    match (before, after) {
        (None, Some(_)) => changed.here = true,
        (Some(_), None) => removed.here = true,
        // One of them is owned as a whole.
        _ if old.is_none() || new.is_none() => changed.here = true,
        _ => {}
    }
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    for (step, (value, kind)) in &new {
        let was = old.get(step).map(|(value, _)| value);
        if was != Some(value) {
            differ(was, Some(value), *kind, release, (changed.child(step.clone()), removed.child(step.clone())));
        }
    }
    for (step, (value, kind)) in &old {
        if !new.contains_key(step) {
            differ(Some(value), None, *kind, release, (changed.child(step.clone()), removed.child(step.clone())));
        }
    }
    changed.inside.retain(|_, inner| !inner.is_empty());
    removed.inside.retain(|_, inner| !inner.is_empty());
}
