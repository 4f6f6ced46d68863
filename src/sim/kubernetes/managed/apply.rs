//! Server-side apply: a document says which fields its manager wants to have, and no others.

use serde_json::{Value, json};

use super::fields::{self, Fields, key_step, split};
use super::{Author, Entry, entries, put};
use crate::sim::kubernetes::failure::{Cause, Failure};
use crate::sim::kubernetes::kinds::Kind;
use crate::sim::kubernetes::schema;
use crate::sim::kubernetes::schema::item_type;
use crate::sim::kubernetes::schema::model::Type;
use crate::sim::operator::Release;

/// Applies a document to an object (an empty one if it is to be created).
///
/// # Errors
/// 409 with every field that another manager has with another value, unless `force`.
pub fn apply(
    kind: Kind,
    object: &mut Value,
    document: &Value,
    author: &Author,
    force: bool,
    (release, now): (Release, i64),
) -> Result<(), Failure> {
    let root = Type::Object(schema::of(kind));
    let before = object.clone();
    let mut all = entries(object);
    let wanted = fields::named(document, root, release);
    merge(object, document, root, release);
    // What the manager applied before and no longer names goes, unless somebody else has it too.
    let mut gone = all.iter().find(|e| e.is_of(author, true)).map(|e| e.fields.clone()).unwrap_or_default();
    gone.take(&wanted);
    for other in all.iter().filter(|e| !e.is_of(author, true)) {
        gone.take(&other.fields);
    }
    remove(object, &gone, root, release);
    let (changed, removed) = fields::compare(&before, object, root, release);
    let mut conflicts = Vec::new();
    for entry in all.iter_mut().filter(|e| !e.is_of(author, true)) {
        let taken = entry.fields.common(&changed).common(&wanted);
        if !taken.is_empty() && !force {
            conflicts.push((manager(entry), taken.paths()));
        }
        entry.fields.take(&taken);
        entry.fields.take(&removed);
    }
    if !conflicts.is_empty() {
        return Err(refuse(conflicts));
    }
    let old = all.iter().find(|e| e.is_of(author, true)).cloned();
    all.retain(|e| !e.is_of(author, true));
    let mut own = Entry::new(kind, author, true, now);
    own.fields = wanted;
    // An apply that changes nothing leaves the time of the last one.
    if let Some(old) = old.filter(|old| old.fields == own.fields && changed.is_empty() && removed.is_empty()) {
        own.time = old.time;
    }
    all.push(own);
    put(object, all);
    Ok(())
}

fn manager(entry: &Entry) -> String {
    let mut text = format!("{:?}", entry.author.0);
    if !entry.author.1.is_empty() {
        text = format!("{text} with subresource {:?}", entry.author.1);
    }
    if !entry.applies {
        text = format!("{text} using {}", entry.api_version);
        if !entry.time.is_empty() {
            text = format!("{text} at {}", entry.time);
        }
    }
    text
}

fn refuse(mut conflicts: Vec<(String, Vec<String>)>) -> Failure {
    conflicts.sort();
    let all = || conflicts.iter().flat_map(|(manager, paths)| paths.iter().map(move |path| (manager, path)));
    let causes = all()
        .map(|(manager, path)| Cause {
            reason: "FieldManagerConflict",
            message: format!("conflict with {manager}"),
            field: path.clone(),
        })
        .collect();
    let count = all().count();
    let message = match (count, all().next()) {
        (1, Some((manager, path))) => format!("Apply failed with 1 conflict: conflict with {manager}: {path}"),
        _ => {
            let parts: Vec<String> = conflicts
                .iter()
                .map(|(manager, paths)| format!("conflicts with {manager}:\n- {}", paths.join("\n- ")))
                .collect();
            format!("Apply failed with {count} conflicts: {}", parts.join("\n"))
        }
    };
    Failure::apply_conflict(message, causes)
}

/// Merges a document into an object: maps by name, keyed lists and sets by item, everything else as a whole.
fn merge(target: &mut Value, document: &Value, kind: Type, release: Release) {
    let kind = kind.of(release);
    match (&mut *target, document, kind) {
        (Value::Object(old), Value::Object(new), kind) if kind.granular() => {
            for (name, value) in new {
                match old.get_mut(name) {
                    Some(present) => merge(present, value, kind.inside(name, release), release),
                    None => {
                        old.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        (Value::Array(old), Value::Array(new), Type::Keyed(_, keys)) => {
            for item in new {
                let step = key_step(item, keys);
                match old.iter_mut().find(|o| key_step(o, keys) == step) {
                    Some(present) => merge(present, item, item_type(kind), release),
                    None => old.push(item.clone()),
                }
            }
        }
        (Value::Array(old), Value::Array(new), Type::Set(_)) => {
            for item in new {
                if !old.contains(item) {
                    old.push(item.clone());
                }
            }
        }
        (target, document, _) => *target = document.clone(),
    }
}

/// Takes fields out of an object; what becomes empty by that goes too.
fn remove(object: &mut Value, gone: &Fields, kind: Type, release: Release) {
    if gone.is_empty() {
        return;
    }
    let Some(parts) = split(object, kind, release) else { return };
    let steps: Vec<(String, Type)> = parts.into_iter().map(|(step, _, kind)| (step, kind)).collect();
    for (n, (step, kind)) in steps.iter().enumerate().rev() {
        let Some(inner) = gone.get(step) else { continue };
        let child = match object {
            Value::Object(map) => map.get_mut(step.strip_prefix("f:").unwrap_or(step)),
            Value::Array(items) => items.get_mut(n),
            _ => None,
        };
        let Some(child) = child else { continue };
        remove(child, inner, *kind, release);
        let emptied = child.as_object().is_some_and(serde_json::Map::is_empty)
            || child.as_array().is_some_and(Vec::is_empty)
            || *child == json!(null);
        let whole = inner.is_here() && split(child, *kind, release).is_none();
        let item = inner.is_here() && !step.starts_with("f:");
        if emptied || whole || item {
            match object {
                Value::Object(map) => {
                    map.shift_remove(step.strip_prefix("f:").unwrap_or(step));
                }
                Value::Array(items) => {
                    items.remove(n);
                }
                _ => {}
            }
        }
    }
}
