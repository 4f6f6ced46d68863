//! Schemas as JSON: for `kubectl explain` and its validation, and in CustomResourceDefinitions.

use serde_json::{Map, Value, json};

use super::model::{Field, Model, Type};
use crate::sim::operator::Release;

/// How a schema names the schemas of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// By `$ref`, as in OpenAPI documents.
    Referring,
    /// Whole, as in CustomResourceDefinitions, which describe no metadata.
    Structural,
}

/// The schema of a model.
pub fn model(model: &Model, release: Release, style: Style) -> Value {
    let mut properties = Map::new();
    for field in model.fields(release) {
        let schema = match (style, field.name) {
            (Style::Structural, "metadata") => json!({"type": "object"}),
            _ => described(field, release, style),
        };
        properties.insert(field.name.to_owned(), schema);
    }
    let mut schema = json!({"type": "object", "description": model.about});
    if !properties.is_empty() {
        schema["properties"] = properties.into();
    }
    let required: Vec<&str> = model.fields(release).filter(|f| f.required).map(|f| f.name).collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if model.open {
        schema["x-kubernetes-preserve-unknown-fields"] = true.into();
    }
    schema
}

fn described(field: &Field, release: Release, style: Style) -> Value {
    let mut schema = of(field.kind, release, style);
    if schema.get("$ref").is_some() {
        // A reference has no room for a description beside it.
        return json!({"description": field.about, "allOf": [schema]});
    }
    schema["description"] = field.about.into();
    schema
}

fn of(kind: Type, release: Release, style: Style) -> Value {
    let list = |items: Value, list: &str| json!({"type": "array", "items": items, "x-kubernetes-list-type": list});
    match kind.of(release) {
        Type::Text | Type::ByRelease(..) => json!({"type": "string"}),
        Type::Integer => json!({"type": "integer", "format": "int32"}),
        Type::Long => json!({"type": "integer", "format": "int64"}),
        Type::Number => json!({"type": "number"}),
        Type::Boolean => json!({"type": "boolean"}),
        Type::Time => json!({"type": "string", "format": "date-time"}),
        Type::Quantity => json!({"x-kubernetes-int-or-string": true}),
        Type::OneOf(words) => json!({"type": "string", "enum": words}),
        Type::Any => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
        Type::Map(inner) => json!({"type": "object", "additionalProperties": of(*inner, release, style)}),
        Type::AtomicMap(inner) => {
            json!({"type": "object", "additionalProperties": of(*inner, release, style), "x-kubernetes-map-type": "atomic"})
        }
        Type::List(inner) => list(of(*inner, release, style), "atomic"),
        Type::Set(inner) => list(of(*inner, release, style), "set"),
        Type::Keyed(inner, keys) => {
            let mut schema = list(of(Type::Object(inner), release, style), "map");
            schema["x-kubernetes-list-map-keys"] = json!(keys);
            if style == Style::Referring {
                schema["x-kubernetes-patch-strategy"] = "merge".into();
                schema["x-kubernetes-patch-merge-key"] = keys[0].into();
            }
            schema
        }
        Type::Object(inner) => match style {
            Style::Referring => json!({"$ref": format!("#/components/schemas/{}", inner.name)}),
            Style::Structural => model(inner, release, style),
        },
    }
}

/// The models that a model refers to, itself first.
pub fn parts(root: &'static Model, release: Release) -> Vec<&'static Model> {
    let mut all: Vec<&'static Model> = vec![root];
    let mut next = 0;
    while let Some(model) = all.get(next).copied() {
        next += 1;
        for field in model.fields(release) {
            if let Some(inner) = refers_to(field.kind, release)
                && all.iter().all(|m| m.name != inner.name)
            {
                all.push(inner);
            }
        }
    }
    all
}

fn refers_to(kind: Type, release: Release) -> Option<&'static Model> {
    match kind.of(release) {
        Type::Object(model) | Type::Keyed(model, _) => Some(model),
        Type::Map(inner) | Type::AtomicMap(inner) | Type::List(inner) | Type::Set(inner) => refers_to(*inner, release),
        _ => None,
    }
}
