//! Changes of objects: update, the three kinds of patch, server-side apply.

use axum::body::Body;
use axum::http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::ApiServer;
use super::asked::{Asked, warn};
use super::failure::Failure;
use super::managed::Author;
use super::managed::apply::apply;
use super::requests::{Target, admit, fits_address, one};
use super::schema;
use super::schema::model::Type;
use super::store::{Key, Part};
use super::{managed, patch, strategic};
use crate::sim::operator::Release;

const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: [&str; 2] = ["application/apply-patch+yaml", "application/apply-patch+json"];

/// Changes an object, or creates it if it is applied.
pub(super) fn change(
    server: &ApiServer,
    target: &Target,
    key: &Key,
    part: Part,
    asked: &Asked,
) -> Result<Response<Body>, Failure> {
    let author = asked.author(if part == Part::Status { "status" } else { "" })?;
    let document = asked.document()?;
    if asked.method == Method::PATCH && APPLY.contains(&asked.media()) {
        return applied(server, target, key, part, &document, author, asked);
    }
    if asked.method == Method::PUT {
        fits_address(target, &document)?;
    }
    // Asked before the store is taken: it is the store that knows.
    let (write, release) = (asked.write()?, server.release());
    let mut warnings = Vec::new();
    let changed = server.with_store_as(author, |store, now| {
        store.update(key, part, now, write, |object| {
            let before = object.clone();
            edit(target, object, &document, asked, release)?;
            if object.pointer("/metadata/name").and_then(Value::as_str) != Some(&key.name) {
                let why = "the name of the object does not match the name on the URL";
                return Err(Failure::bad_request(why));
            }
            keep_managers(&before, object);
            warnings = admit(key.kind, object, asked, release)?;
            Ok(())
        })
    })?;
    let mut response = one(server, target, &changed, asked)?;
    warn(&mut response, &warnings);
    Ok(response)
}

fn edit(target: &Target, object: &mut Value, document: &Value, asked: &Asked, release: Release) -> Result<(), Failure> {
    if asked.method == Method::PUT {
        *object = target.view.store(document.clone());
        return Ok(());
    }
    let mut shown = target.view.show(std::mem::take(object));
    match asked.media() {
        "application/json-patch+json" => patch::json_patch(&mut shown, document)?,
        "application/merge-patch+json" => patch::merge(&mut shown, document),
        STRATEGIC if !target.kind.info().custom => {
            strategic::merge(&mut shown, document, Type::Object(schema::of(target.kind)), release)?;
        }
        other => return Err(Failure::unsupported_media_type(other)),
    }
    *object = target.view.store(shown);
    Ok(())
}

/// A client can wipe out the entries of `managedFields` or hand in others that are well-formed; left out or broken ones stay as they were.
fn keep_managers(before: &Value, after: &mut Value) {
    let given = after.pointer("/metadata/managedFields").and_then(Value::as_array);
    let wiped = given.is_some_and(|all| all.iter().all(|e| e.as_object().is_some_and(serde_json::Map::is_empty)));
    let sound = given.is_some_and(|all| all.len() == managed::entries(after).len());
    let Some(Value::Object(meta)) = after.get_mut("metadata") else { return };
    match before.pointer("/metadata/managedFields") {
        _ if wiped => {
            meta.shift_remove("managedFields");
        }
        _ if sound => {}
        Some(entries) => {
            meta.insert("managedFields".to_owned(), entries.clone());
        }
        None => {
            meta.shift_remove("managedFields");
        }
    }
}

fn applied(
    server: &ApiServer,
    target: &Target,
    key: &Key,
    part: Part,
    document: &Value,
    author: Author,
    asked: &Asked,
) -> Result<Response<Body>, Failure> {
    if asked.parameter("fieldManager").is_empty() {
        let why = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
        let mut failure = Failure::bad_request(why);
        (failure.code, failure.reason) = (422, "Invalid");
        return Err(failure);
    }
    fits_address(target, document)?;
    for field in ["apiVersion", "kind"] {
        if document.get(field).is_none() {
            return Err(Failure::bad_request(format!("the applied object has no {field}")));
        }
    }
    if document.pointer("/metadata/managedFields").is_some_and(|m| !m.is_null()) {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    let (write, force) = (asked.write()?, asked.flag("force"));
    let mut document = target.view.store(document.clone());
    document["metadata"]["name"] = key.name.clone().into();
    let release = server.release();
    let warnings = admit(key.kind, &mut document, asked, release)?;
    let asked_version = document.pointer("/metadata/resourceVersion").cloned();
    // Only what is written through this address is applied.
    if let Value::Object(map) = &mut document {
        match part {
            Part::Main if key.kind.info().status => {
                map.shift_remove("status");
            }
            Part::Main => {}
            Part::Status => map.retain(|name, _| name == "status"),
        }
    }
    let (object, fresh) = server.with_store_as(author.clone(), |store, now| {
        if store.get(key).is_some() {
            let changed = store.update(key, part, now, write, |object| {
                apply(key.kind, object, &document, &author, force, (release, now))?;
                if let Some(version) = asked_version.filter(|v| !v.is_null()) {
                    object["metadata"]["resourceVersion"] = version;
                }
                Ok(())
            });
            return changed.map(|object| (object, false));
        }
        if part == Part::Status {
            return Err(Failure::not_found(key.kind, &key.name));
        }
        let mut object = json!({});
        apply(key.kind, &mut object, &document, &author, force, (release, now))?;
        store.create(key.clone(), object, now, write).map(|object| (object, true))
    })?;
    let mut response = one(server, target, &object, asked)?;
    if fresh {
        *response.status_mut() = StatusCode::CREATED;
    }
    warn(&mut response, &warnings);
    Ok(response)
}
