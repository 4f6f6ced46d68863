//! Patches: merge patch (RFC 7386), JSON patch (RFC 6902), and apply patches, which are merged.

use serde_json::{Map, Value};

use super::failure::Failure;

/// Merges `patch` into `target`: `null` removes, objects merge, everything else replaces.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(map) = target {
        for (name, value) in patch {
            if value.is_null() {
                map.shift_remove(name);
            } else {
                merge(map.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

/// Carries out the operations of a JSON patch.
///
/// # Errors
/// 400 if the patch is not one, 422 if it does not fit the object.
pub fn json_patch(target: &mut Value, patch: &Value) -> Result<(), Failure> {
    let operations = patch.as_array().ok_or_else(|| Failure::bad_request("a JSON patch is a list of operations"))?;
    for operation in operations {
        let text = |name: &str| {
            operation
                .get(name)
                .and_then(Value::as_str)
                .ok_or_else(|| Failure::bad_request(format!("a JSON patch operation needs {name:?}")))
        };
        let value = || {
            operation
                .get("value")
                .cloned()
                .ok_or_else(|| Failure::bad_request("a JSON patch operation needs \"value\""))
        };
        let (op, path) = (text("op")?, text("path")?);
        match op {
            "add" => add(target, path, value()?)?,
            "remove" => {
                remove(target, path)?;
            }
            "replace" => {
                remove(target, path)?;
                add(target, path, value()?)?;
            }
            "move" => {
                let moved = remove(target, text("from")?)?;
                add(target, path, moved)?;
            }
            "copy" => {
                let copied = target.pointer(text("from")?).cloned().ok_or_else(|| does_not_fit(path))?;
                add(target, path, copied)?;
            }
            "test" => {
                if target.pointer(path) != Some(&value()?) {
                    return Err(Failure::bad_request(format!("testing value {path} failed: test failed")));
                }
            }
            other => return Err(Failure::bad_request(format!("unexpected JSON patch operation {other:?}"))),
        }
    }
    Ok(())
}

fn does_not_fit(path: &str) -> Failure {
    let mut failure = Failure::bad_request(format!("the JSON patch does not fit: nothing is at {path:?}"));
    (failure.code, failure.reason) = (422, "Invalid");
    failure
}

fn split(path: &str) -> Option<(&str, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    Some((parent, last.replace("~1", "/").replace("~0", "~")))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), Failure> {
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    let (parent, last) = split(path).ok_or_else(|| does_not_fit(path))?;
    match target.pointer_mut(parent) {
        Some(Value::Object(map)) => {
            map.insert(last, value);
        }
        Some(Value::Array(items)) => {
            let at = if last == "-" { items.len() } else { last.parse().map_err(|_| does_not_fit(path))? };
            if at > items.len() {
                return Err(does_not_fit(path));
            }
            items.insert(at, value);
        }
        _ => return Err(does_not_fit(path)),
    }
    Ok(())
}

fn remove(target: &mut Value, path: &str) -> Result<Value, Failure> {
    let (parent, last) = split(path).ok_or_else(|| does_not_fit(path))?;
    let removed = match target.pointer_mut(parent) {
        Some(Value::Object(map)) => map.shift_remove(&last),
        Some(Value::Array(items)) => match last.parse::<usize>() {
            Ok(at) if at < items.len() => Some(items.remove(at)),
            _ => None,
        },
        _ => None,
    };
    removed.ok_or_else(|| does_not_fit(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_merge_patch_merges_objects_and_removes_nulls() {
        let mut target = json!({"a": {"b": 1, "c": 2}, "list": [1, 2]});
        merge(&mut target, &json!({"a": {"b": null, "d": {"e": 3}}, "list": [9]}));
        assert_eq!(target, json!({"a": {"c": 2, "d": {"e": 3}}, "list": [9]}));
    }

    #[test]
    fn a_json_patch_does_its_operations_in_order_or_fails() {
        let mut target = json!({"a": {"x/y": 1}, "list": [1, 2]});
        let patch = json!([
            {"op": "test", "path": "/a/x~1y", "value": 1},
            {"op": "replace", "path": "/a/x~1y", "value": 5},
            {"op": "add", "path": "/list/-", "value": 3},
            {"op": "remove", "path": "/list/0"},
            {"op": "copy", "from": "/list", "path": "/copied"},
            {"op": "move", "from": "/a", "path": "/b"}
        ]);
        json_patch(&mut target, &patch).unwrap();
        assert_eq!(target, json!({"list": [2, 3], "copied": [2, 3], "b": {"x/y": 5}}));
        assert_eq!(json_patch(&mut target, &json!([{"op": "remove", "path": "/none"}])).unwrap_err().code, 422);
        assert_eq!(
            json_patch(&mut target, &json!([{"op": "test", "path": "/list", "value": []}])).unwrap_err().code,
            400
        );
    }
}
