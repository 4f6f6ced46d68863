//! `Table` answers: what `kubectl get` prints is computed by the server.

use serde_json::{Value, json};

use super::kinds::{Cell, Column, Kind};

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
            let cells: Vec<Value> = kind.info().columns.iter().map(|c| cell(c.cell, object, now)).collect();
            let mut row = json!({"cells": cells});
            match include {
                Include::None => {}
                Include::Object => row["object"] = object.clone(),
                Include::Metadata => {
                    row["object"] = json!({
                        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                        "metadata": object.get("metadata").cloned().unwrap_or_default(),
                    });
                }
            }
            row
        })
        .collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "columnDefinitions": columns, "rows": rows})
}

impl Column {
    fn json_type(&self) -> &'static str {
        match self.cell {
            Cell::Restarts | Cell::DataCount => "integer",
            _ => "string",
        }
    }
}

fn cell(cell: Cell, object: &Value, now: i64) -> Value {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let list = |pointer: &str| object.pointer(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    match cell {
        Cell::Name => text("/metadata/name").unwrap_or_default().into(),
        Cell::Age => since(text("/metadata/creationTimestamp"), now),
        Cell::At(pointer) => match object.pointer(pointer) {
            None | Some(Value::Null) => "".into(),
            Some(Value::String(s)) => s.as_str().into(),
            Some(other) => other.to_string().into(),
        },
        Cell::ReadyContainers => {
            let all = list("/status/containerStatuses");
            let ready = all.iter().filter(|c| c["ready"] == true).count();
            format!("{ready}/{}", all.len().max(list("/spec/containers").len())).into()
        }
        Cell::Restarts => {
            list("/status/containerStatuses").iter().filter_map(|c| c["restartCount"].as_u64()).sum::<u64>().into()
        }
        Cell::DataCount => object.get("data").and_then(Value::as_object).map_or(0, serde_json::Map::len).into(),
        Cell::Ports => list("/spec/ports")
            .iter()
            .map(|p| format!("{}/{}", p["port"], p["protocol"].as_str().unwrap_or("TCP")))
            .collect::<Vec<_>>()
            .join(",")
            .into(),
        Cell::ReadyReplicas => {
            let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
            format!("{}/{}", number("/status/readyReplicas"), number("/spec/replicas")).into()
        }
        Cell::Involved => {
            let kind = text("/involvedObject/kind").unwrap_or_default().to_lowercase();
            format!("{kind}/{}", text("/involvedObject/name").unwrap_or_default()).into()
        }
        Cell::LastSeen => since(text("/lastTimestamp"), now),
        Cell::NodeReady => {
            let ready = list("/status/conditions").iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
            if ready { "Ready".into() } else { "NotReady".into() }
        }
    }
}

/// Time since an instant, as kubectl prints ages.
fn since(at: Option<&str>, now: i64) -> Value {
    let Some(at) = at.and_then(|t| chrono::DateTime::parse_from_rfc3339(t).ok()) else { return "<unknown>".into() };
    let seconds = (now - at.timestamp_millis()).max(0) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let pair = |major: i64, major_unit: &str, minor: i64, minor_unit: &str| {
        if minor == 0 { format!("{major}{major_unit}") } else { format!("{major}{major_unit}{minor}{minor_unit}") }
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => pair(days, "d", hours % 24, "h"),
        () => format!("{days}d"),
    }
    .into()
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

    #[test]
    fn ages_read_as_kubectl_writes_them() {
        let age = |seconds: i64| since(Some("1970-01-01T00:00:00Z"), seconds * 1000);
        assert_eq!(age(5), "5s");
        assert_eq!(age(150), "2m30s");
        assert_eq!(age(3600 * 3), "3h");
        assert_eq!(age(86_400 * 3 + 3600), "3d1h");
        assert_eq!(since(None, 0), "<unknown>");
    }
}
