//! The scale subresource: replicas of any kind behind one form.

use axum::body::Body;
use axum::http::{Method, Response};
use serde_json::{Value, json};

use super::ApiServer;
use super::asked::{Asked, json_response};
use super::failure::Failure;
use super::kinds::ScalePaths;
use super::schema::model::Type;
use super::store::{Key, Part};
use super::{patch, strategic};

/// Answers a request for the scale of an object.
pub(super) fn answer(server: &ApiServer, key: &Key, asked: &Asked) -> Result<Response<Body>, Failure> {
    let Some(paths) = key.kind.info().scale else { return Err(Failure::no_such_path()) };
    let object = server.get(key).ok_or_else(|| Failure::not_found(key.kind, &key.name))?;
    if asked.method == Method::GET {
        return Ok(json_response(&scale(&object, paths)));
    }
    let (write, author, document) = (asked.write()?, asked.author("scale")?, asked.document()?);
    let release = server.release();
    let changed = server.with_store_as(author, |store, now| {
        store.update(key, Part::Main, now, write, |object| {
            let mut wanted = scale(object, paths);
            match (asked.method.as_str(), asked.media()) {
                ("PUT", _) => wanted = document.clone(),
                (_, "application/json-patch+json") => patch::json_patch(&mut wanted, &document)?,
                (_, "application/merge-patch+json") => patch::merge(&mut wanted, &document),
                (_, "application/strategic-merge-patch+json") => {
                    strategic::merge(&mut wanted, &document, Type::Any, release)?;
                }
                (_, other) => return Err(Failure::unsupported_media_type(other)),
            }
            let replicas = wanted.pointer("/spec/replicas").cloned().unwrap_or_else(|| 0.into());
            if replicas.as_i64().is_none_or(|n| n < 0) {
                let why = format!("Invalid value: {replicas}: must be greater than or equal to 0");
                return Err(Failure::invalid(key.kind, &key.name, "spec.replicas", &why));
            }
            if let Some(version) = wanted.pointer("/metadata/resourceVersion") {
                object["metadata"]["resourceVersion"] = version.clone();
            }
            set(object, paths.wanted, replicas);
            Ok(())
        })
    })?;
    Ok(json_response(&scale(&changed, paths)))
}

fn scale(object: &Value, paths: ScalePaths) -> Value {
    let meta = &object["metadata"];
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    let selector = match object.pointer(paths.selector) {
        Some(Value::String(text)) => text.clone(),
        Some(selector) => {
            let labels = selector.get("matchLabels").and_then(Value::as_object);
            let pairs = labels.into_iter().flatten().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()));
            pairs.collect::<Vec<_>>().join(",")
        }
        None => String::new(),
    };
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"], "resourceVersion": meta["resourceVersion"],
            "creationTimestamp": meta["creationTimestamp"],
        },
        "spec": {"replicas": number(paths.wanted)},
        "status": {"replicas": number(paths.present), "selector": selector},
    })
}

/// Sets the value at a pointer; objects on the way are made.
fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut at = object;
    for name in pointer.split('/').skip(1) {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[name];
    }
    *at = value;
}
