//! Who manages which fields of an object: `metadata.managedFields`, kept by every write, and server-side apply, which is made of it.
//!
//! Sets of fields are in [`fields`], apply in [`apply`]. Objects are plain documents; their [`super::schema`] says what is owned as a whole.

pub mod apply;
pub mod fields;

use serde_json::{Value, json};

use super::kinds::Kind;
use super::schema;
use super::schema::model::Type;
use super::store::{metadata, rfc3339};
use crate::sim::operator::Release;
use fields::Fields;

/// Managers kept of updates; older ones are merged, as the real server does.
const UPDATERS: usize = 10;

/// Who writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// Name of the field manager.
    pub manager: String,
    /// The subresource that is written through; empty for the object itself.
    pub subresource: &'static str,
}

impl Author {
    /// A manager that writes the object itself.
    pub fn new(manager: impl Into<String>) -> Self {
        Self { manager: manager.into(), subresource: "" }
    }
}

/// An entry of `managedFields`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) author: (String, String),
    pub(super) applies: bool,
    pub(super) api_version: String,
    pub(super) time: String,
    pub(super) fields: Fields,
}

impl Entry {
    fn new(kind: Kind, author: &Author, applies: bool, now: i64) -> Self {
        Self {
            author: (author.manager.clone(), author.subresource.to_owned()),
            applies,
            api_version: kind.api_version(),
            time: rfc3339(now),
            fields: Fields::default(),
        }
    }

    fn is_of(&self, author: &Author, applies: bool) -> bool {
        self.author.0 == author.manager && self.author.1 == author.subresource && self.applies == applies
    }

    fn parse(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(Self {
            author: (text("manager"), text("subresource")),
            applies: text("operation") == "Apply",
            api_version: text("apiVersion"),
            time: text("time"),
            fields: Fields::parse(value.get("fieldsV1")?)?,
        })
    }

    fn document(&self) -> Value {
        let mut entry = json!({
            "manager": self.author.0, "operation": if self.applies { "Apply" } else { "Update" },
            "apiVersion": self.api_version, "time": self.time, "fieldsType": "FieldsV1", "fieldsV1": self.fields.document(),
        });
        if !self.author.1.is_empty() {
            entry["subresource"] = self.author.1.as_str().into();
        }
        entry
    }
}

/// The entries of an object; what is not one is dropped.
pub(super) fn entries(object: &Value) -> Vec<Entry> {
    let all = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    all.into_iter().flatten().filter_map(Entry::parse).collect()
}

/// The entries are in order; a test may write others, which stay.
pub(super) fn is_sound(object: &Value) -> bool {
    match object.pointer("/metadata/managedFields") {
        None => true,
        Some(all) => all.as_array().is_some_and(|all| all.len() == entries(object).len()),
    }
}

/// Writes the entries into an object.
pub(super) fn put(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|e| !e.fields.is_empty());
    let mut updates = entries.iter().filter(|e| !e.applies).count();
    while updates > UPDATERS {
        let mut of_updates = (0..entries.len()).filter(|n| !entries[*n].applies);
        let (Some(first), Some(second)) = (of_updates.next(), of_updates.next()) else { break };
        let old = entries.remove(first);
        let merged = &mut entries[second - 1];
        merged.fields.add(&old.fields);
        merged.author.0 = "ancient-changes".to_owned();
        updates -= 1;
    }
    let meta = metadata(object);
    if entries.is_empty() {
        if let Value::Object(map) = meta {
            map.shift_remove("managedFields");
        }
    } else {
        meta["managedFields"] = entries.iter().map(Entry::document).collect::<Vec<_>>().into();
    }
}

/// An update or patch turned `before` (none: it is new) into `after`: its author owns what it changed, others lose that.
pub(super) fn updated(
    kind: Kind,
    before: Option<&Value>,
    after: &mut Value,
    author: Option<&Author>,
    release: Release,
    now: i64,
) {
    let root = Type::Object(schema::of(kind));
    let nothing = json!({});
    let (changed, removed) = fields::compare(before.unwrap_or(&nothing), after, root, release);
    let mut all = before.map(entries).unwrap_or_default();
    if changed.is_empty() && removed.is_empty() {
        put(after, all);
        return;
    }
    let mut own = None;
    all.retain_mut(|entry| {
        entry.fields.take(&changed);
        entry.fields.take(&removed);
        let mine = author.is_some_and(|a| entry.is_of(a, false));
        if mine {
            own = Some(entry.fields.clone());
        }
        !mine
    });
    // An author that also applies keeps what it applied; the rest is an update of the same name.
    if let Some(author) = author {
        let mut entry = Entry::new(kind, author, false, now);
        entry.fields = own.unwrap_or_default();
        entry.fields.add(&changed);
        all.push(entry);
    }
    put(after, all);
}

#[cfg(test)]
mod tests;
