//! `Table` answers, and the answers with metadata alone: what `kubectl get` prints is computed by the server.

mod cells;

use serde_json::{Value, json};

use super::kinds::Kind;
use super::kinds::columns::Cell;

/// How the objects of a table are included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    /// Metadata alone.
    Metadata,
    /// The whole object.
    Object,
    /// Nothing.
    None,
}

impl Include {
    /// Reads the parameter `includeObject`.
    pub fn parse(text: &str) -> Self {
        match text {
            "Object" => Self::Object,
            "None" => Self::None,
            _ => Self::Metadata,
        }
    }
}

/// A table of objects. `meta` is the metadata of the list.
pub fn table<'a>(
    kind: Kind,
    objects: impl Iterator<Item = &'a Value>,
    meta: Value,
    include: Include,
    now: i64,
) -> Value {
    let columns: Vec<Value> = kind
        .info()
        .columns
        .iter()
        .map(|c| {
            let format = if c.cell == Cell::Name { "name" } else { "" };
            json!({"name": c.name, "type": c.json_type(), "format": format, "description": c.name, "priority": c.priority})
        })
        .collect();
    let rows: Vec<Value> = objects
        .map(|object| {
            let values: Vec<Value> = kind.info().columns.iter().map(|c| cells::cell(c.cell, object, now)).collect();
            let mut row = json!({"cells": values});
            match include {
                Include::None => {}
                Include::Object => row["object"] = object.clone(),
                Include::Metadata => row["object"] = partial(object),
            }
            row
        })
        .collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "columnDefinitions": columns, "rows": rows})
}

/// An object with its metadata alone.
pub fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": object.get("metadata").cloned().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_prints_the_columns_of_its_definition() {
        let object = json!({"metadata": {"name": "a"}, "status": {"lifecycleState": "STABLE", "jobStatus": {"state": "RUNNING"}}});
        let table = table(Kind::FlinkDeployment, [&object].into_iter(), json!({}), Include::Metadata, 0);
        assert_eq!(table["rows"][0]["cells"], json!(["a", "RUNNING", "STABLE"]));
        assert_eq!(table["columnDefinitions"][2]["name"], "Lifecycle State");
        assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    }
}
