//! Strategic merge patches of the built-in kinds: keyed lists merge by item, with the directives that `kubectl` sends.

use serde_json::{Map, Value};

use super::failure::Failure;
use super::schema::item_type;
use super::schema::model::Type;
use crate::sim::operator::Release;

/// Names of directives begin so.
const DIRECTIVE: char = '$';

/// Merges a strategic merge patch into a value of a type.
///
/// # Errors
/// 400 if a directive makes no sense.
pub fn merge(target: &mut Value, patch: &Value, kind: Type, release: Release) -> Result<(), Failure> {
    let kind = kind.of(release);
    match (&mut *target, patch) {
        (_, Value::Object(patch)) => {
            if !target.is_object() {
                *target = Value::Object(Map::new());
            }
            let Value::Object(map) = target else { return Ok(()) };
            merge_maps(map, patch, kind, release)
        }
        (Value::Array(old), Value::Array(new)) => merge_lists(old, new, kind, release),
        (target, patch) => {
            *target = without_directives(patch);
            Ok(())
        }
    }
}

fn merge_maps(
    map: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    kind: Type,
    release: Release,
) -> Result<(), Failure> {
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            map.clear();
            map.extend(
                patch
                    .iter()
                    .filter(|(n, _)| !n.starts_with(DIRECTIVE))
                    .map(|(n, v)| (n.clone(), without_directives(v))),
            );
            return Ok(());
        }
        Some("delete") => {
            map.clear();
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => return Err(Failure::bad_request(format!("unknown patch type: {other}"))),
    }
    if let Some(retained) = patch.get("$retainKeys").and_then(Value::as_array) {
        map.retain(|name, _| retained.iter().any(|r| r == name));
    }
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(old)), Some(gone)) = (map.get_mut(list), value.as_array()) {
                old.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if name.starts_with(DIRECTIVE) {
            continue;
        }
        if value.is_null() {
            map.shift_remove(name);
            continue;
        }
        match map.get_mut(name) {
            Some(present) => merge(present, value, kind.inside(name, release), release)?,
            None => {
                let mut fresh = if value.is_array() { Value::Array(Vec::new()) } else { Value::Null };
                merge(&mut fresh, value, kind.inside(name, release), release)?;
                map.insert(name.clone(), fresh);
            }
        }
    }
    for (name, order) in patch {
        if let (Some(list), Some(order)) = (name.strip_prefix("$setElementOrder/"), order.as_array())
            && let Some(Value::Array(items)) = map.get_mut(list)
        {
            sort(items, order, kind.inside(list, release));
        }
    }
    Ok(())
}

fn merge_lists(old: &mut Vec<Value>, new: &[Value], kind: Type, release: Release) -> Result<(), Failure> {
    match kind {
        Type::Keyed(_, keys) => {
            let replace = new.iter().any(|i| i.get("$patch").is_some_and(|p| p == "replace"));
            if replace {
                *old = new.iter().filter(|i| i.get("$patch").is_none()).map(without_directives).collect();
                return Ok(());
            }
            let key = keys.first().copied().unwrap_or_default();
            for item in new {
                let Some(id) = item.get(key) else {
                    return Err(Failure::bad_request(format!(
                        "map: {item} does not contain declared merge key: {key}"
                    )));
                };
                let at = old.iter().position(|o| o.get(key) == Some(id));
                if item.get("$patch").is_some_and(|p| p == "delete") {
                    if let Some(at) = at {
                        old.remove(at);
                    }
                    continue;
                }
                match at {
                    Some(at) => merge(&mut old[at], item, item_type(kind), release)?,
                    None => old.push(without_directives(item)),
                }
            }
        }
        Type::Set(_) => {
            for item in new {
                if !old.contains(item) {
                    old.push(item.clone());
                }
            }
        }
        _ => *old = new.iter().map(without_directives).collect(),
    }
    Ok(())
}

/// The order that a patch asks for; items that it does not name stay behind those before them.
fn sort(items: &mut [Value], order: &[Value], kind: Type) {
    let key = match kind {
        Type::Keyed(_, keys) => keys.first().copied(),
        _ => None,
    };
    let id = |item: &Value| match key {
        Some(key) => item.get(key).cloned().unwrap_or_default(),
        None => item.clone(),
    };
    let place = |item: &Value| order.iter().position(|o| id(o) == id(item));
    let mut last = 0;
    let mut keyed: Vec<(usize, Value)> = items
        .iter()
        .map(|item| {
            last = place(item).unwrap_or(last);
            (last, item.clone())
        })
        .collect();
    keyed.sort_by_key(|(place, _)| *place);
    for (slot, (_, item)) in items.iter_mut().zip(keyed) {
        *slot = item;
    }
}

fn without_directives(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(name, value)| !name.starts_with(DIRECTIVE) && !value.is_null())
                .map(|(name, value)| (name.clone(), without_directives(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_directives).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::kubernetes::kinds::Kind;
    use crate::sim::kubernetes::schema;
    use serde_json::json;

    fn patched(mut object: Value, patch: Value) -> Value {
        merge(&mut object, &patch, Type::Object(schema::of(Kind::Deployment)), Release::DEFAULT).unwrap();
        object
    }

    fn containers(list: Value) -> Value {
        json!({"spec": {"template": {"spec": {"containers": list}}}})
    }

    #[test]
    fn containers_merge_by_name_and_can_be_deleted_and_ordered() {
        let before = containers(json!([{"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "1"}]));
        let after =
            patched(before.clone(), containers(json!([{"name": "b", "image": "2"}, {"name": "c", "image": "1"}])));
        assert_eq!(
            after,
            containers(
                json!([{"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "2"}, {"name": "c", "image": "1"}])
            )
        );
        let deleted = patched(before.clone(), containers(json!([{"name": "a", "$patch": "delete"}])));
        assert_eq!(deleted, containers(json!([{"name": "b", "image": "1"}])));
        let mut order = containers(json!([]));
        order["spec"]["template"]["spec"]["$setElementOrder/containers"] = json!([{"name": "b"}, {"name": "a"}]);
        let sorted = patched(before, order);
        assert_eq!(sorted.pointer("/spec/template/spec/containers/0/name"), Some(&json!("b")));
        assert_eq!(sorted["spec"]["template"]["spec"].get("$setElementOrder/containers"), None);
    }

    #[test]
    fn finalizers_are_a_set_maps_merge_and_nulls_remove() {
        let before = json!({"metadata": {"finalizers": ["a", "b"], "labels": {"x": "1", "y": "1"}}, "spec": {"strategy": {"type": "Recreate"}}});
        let patch = json!({"metadata": {"finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"], "labels": {"x": null}},
            "spec": {"strategy": {"$patch": "replace", "type": "RollingUpdate"}}});
        let after = patched(before, patch);
        assert_eq!(after["metadata"]["labels"], json!({"y": "1"}));
        let finalizers: Vec<&str> =
            after["metadata"]["finalizers"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(finalizers.contains(&"b") && finalizers.contains(&"c") && !finalizers.contains(&"a"), "{finalizers:?}");
        assert_eq!(after["spec"]["strategy"], json!({"type": "RollingUpdate"}));
    }
}
