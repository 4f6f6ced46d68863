//! What a schema is made of: fields with types. Everything that depends on the form of an object (validation, pruning, merging, ownership of
//! fields, OpenAPI) walks these.

use serde_json::Value;

use crate::sim::operator::Release;

/// The type of a value.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    /// A text.
    Text,
    /// A whole number of 32 bits.
    Integer,
    /// A whole number of 64 bits.
    Long,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// An instant, RFC 3339.
    Time,
    /// A number or a text such as `500m`, `2Gi`.
    Quantity,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// Anything: unknown fields are kept.
    Any,
    /// Names with values of a type, each with an owner of its own.
    Map(&'static Self),
    /// The same, owned as a whole.
    AtomicMap(&'static Self),
    /// Values of a type, owned as a whole.
    List(&'static Self),
    /// Values of a type without order, each with an owner of its own.
    Set(&'static Self),
    /// Objects that are told apart by these fields; the first is the key of a strategic merge.
    Keyed(&'static Model, &'static [&'static str]),
    /// An object.
    Object(&'static Model),
    /// The first type from a release of the operator on, else the second.
    ByRelease(fn(Release) -> bool, &'static Self, &'static Self),
}

/// An object with fields.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// Its name in OpenAPI.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// What it may hold.
    pub fields: &'static [Field],
    /// It may hold more: this is not all of it.
    pub open: bool,
}

/// A field of an object.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// What it means.
    pub about: &'static str,
    /// It must be there.
    pub required: bool,
    /// Releases of the operator that have it; all if absent.
    pub since: Option<fn(Release) -> bool>,
}

/// A field.
pub(super) const fn field(name: &'static str, kind: Type, about: &'static str) -> Field {
    Field { name, kind, about, required: false, since: None }
}

/// A field that must be there.
pub(super) const fn required(name: &'static str, kind: Type, about: &'static str) -> Field {
    Field { name, kind, about, required: true, since: None }
}

/// A field of newer releases.
pub(super) const fn since(release: fn(Release) -> bool, name: &'static str, kind: Type, about: &'static str) -> Field {
    Field { name, kind, about, required: false, since: Some(release) }
}

impl Model {
    /// The fields that a release has.
    pub fn fields(&self, release: Release) -> impl Iterator<Item = &'static Field> {
        self.fields.iter().filter(move |f| f.since.is_none_or(|has| has(release)))
    }

    /// The type of a field; of a field that is not described, anything.
    pub fn of(&self, name: &str, release: Release) -> Type {
        self.fields(release).find(|f| f.name == name).map_or(Type::Any, |f| f.kind.of(release))
    }
}

impl Type {
    /// The type in a release.
    pub fn of(self, release: Release) -> Self {
        match self {
            Self::ByRelease(has, new, old) => if has(release) { *new } else { *old }.of(release),
            other => other,
        }
    }

    /// The type of the value under a name.
    pub fn inside(self, name: &str, release: Release) -> Self {
        match self.of(release) {
            Self::Object(model) => model.of(name, release),
            Self::Map(inner) | Self::AtomicMap(inner) => inner.of(release),
            _ => Self::Any,
        }
    }

    /// A map or object that is owned field by field.
    pub fn granular(self) -> bool {
        !matches!(self, Self::AtomicMap(_))
    }
}

/// The key of an item of a keyed list: its key fields, where they are there.
pub fn item_key(item: &Value, keys: &[&str]) -> Vec<(String, Value)> {
    // A port without a protocol is one of TCP.
    let default = |key: &str| (key == "protocol").then(|| Value::from("TCP"));
    keys.iter()
        .filter_map(|key| item.get(*key).cloned().or_else(|| default(key)).map(|v| ((*key).to_owned(), v)))
        .collect()
}
