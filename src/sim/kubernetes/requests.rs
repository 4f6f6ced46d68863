//! Requests on objects: list, get, create, update, patch, delete.

use std::ops::Bound;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Response};
use serde_json::{Value, json};

use super::failure::Failure;
use super::kinds::Kind;
use super::patch;
use super::routes::{Asked, created, json_response};
use super::selector::Selector;
use super::store::{Key, Part, Write};
use super::table::{Include, table};
use super::{ApiServer, watching};

/// What a request is about.
pub(super) enum Place {
    /// All objects of a kind.
    Collection,
    /// One.
    Object(Key),
    /// The status of one.
    Status(Key),
}

pub(super) fn answer(
    server: ApiServer,
    kind: Kind,
    namespace: &str,
    place: Place,
    asked: &Asked,
) -> Result<Response<Body>, Failure> {
    let write = match asked.parameter("dryRun") {
        "" => Write::Real,
        "All" => Write::DryRun,
        other => {
            return Err(Failure::bad_request(format!("Invalid value: [{other:?}]: dryRun: Unsupported value")));
        }
    };
    match place {
        Place::Collection => match asked.method {
            Method::GET if asked.flag("watch") => watching::watch(server, kind, namespace, asked),
            Method::GET => list(&server, kind, namespace, asked),
            Method::POST => create(&server, kind, namespace, asked, write),
            _ => Err(Failure::method_not_allowed()),
        },
        Place::Object(key) => match asked.method {
            Method::GET => {
                let object = server.get(&key).ok_or_else(|| Failure::not_found(kind, &key.name))?;
                Ok(one(&server, kind, &object, asked))
            }
            Method::DELETE => delete(&server, &key, asked, write),
            _ => change(&server, &key, Part::Main, asked, write),
        },
        Place::Status(key) => match asked.method {
            Method::GET => {
                let object = server.get(&key).ok_or_else(|| Failure::not_found(kind, &key.name))?;
                Ok(one(&server, kind, &object, asked))
            }
            _ => change(&server, &key, Part::Status, asked, write),
        },
    }
}

fn one(server: &ApiServer, kind: Kind, object: &Value, asked: &Asked) -> Response<Body> {
    if asked.wants_table() {
        let meta = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
        let include = Include::parse(asked.parameter("includeObject"));
        return json_response(table(kind, [object].into_iter(), meta, include, server.world().now()));
    }
    json_response(object.clone())
}

/// A token says which version the list is of and which object comes next.
fn token(version: u64, after: &Key) -> String {
    format!("{version}~{}~{}", after.namespace, after.name)
}

fn list(server: &ApiServer, kind: Kind, namespace: &str, asked: &Asked) -> Result<Response<Body>, Failure> {
    let selector = Selector::parse(asked.parameter("labelSelector"), asked.parameter("fieldSelector"))?;
    let limit = match asked.parameter("limit") {
        "" | "0" => usize::MAX,
        text => text.parse().map_err(|_| Failure::bad_request(format!("invalid limit {text:?}")))?,
    };
    let from = match asked.parameter("continue") {
        "" => None,
        text => {
            let mut parts = text.splitn(3, '~');
            let version = parts.next().and_then(|v| v.parse::<u64>().ok());
            match (version, parts.next(), parts.next()) {
                (Some(version), Some(namespace), Some(name)) => Some((version, Key::new(kind, namespace, name))),
                _ => return Err(Failure::bad_request("continue key is not valid")),
            }
        }
    };
    let (mut objects, version) = server.with_store(|store, _| {
        let version = from.as_ref().map_or(store.version(), |(version, _)| *version);
        if version < store.oldest() {
            return Err(Failure::token_expired());
        }
        let after = from.as_ref().map_or(Bound::Unbounded, |(_, key)| Bound::Excluded(key));
        let objects: Vec<(Key, Arc<Value>)> = store
            .list(kind, namespace)
            .filter(|(key, _)| match after {
                Bound::Excluded(after) => *key > after,
                _ => true,
            })
            .filter(|(_, object)| selector.matches(object))
            .map(|(key, object)| (key.clone(), object.clone()))
            .collect();
        Ok((objects, version))
    })?;
    let remaining = objects.len().saturating_sub(limit);
    objects.truncate(limit);
    let mut meta = json!({"resourceVersion": version.to_string()});
    if remaining > 0
        && let Some((last, _)) = objects.last()
    {
        meta["continue"] = token(version, last).into();
        meta["remainingItemCount"] = remaining.into();
    }
    if asked.wants_table() {
        let include = Include::parse(asked.parameter("includeObject"));
        let rows = objects.iter().map(|(_, o)| o.as_ref());
        return Ok(json_response(table(kind, rows, meta, include, server.world().now())));
    }
    let items: Vec<&Value> = objects.iter().map(|(_, o)| o.as_ref()).collect();
    Ok(json_response(json!({
        "kind": format!("{}List", kind.info().name), "apiVersion": kind.api_version(), "metadata": meta, "items": items,
    })))
}

fn body(asked: &Asked) -> Result<Value, Failure> {
    if asked.content_type.contains("yaml") {
        let text = std::str::from_utf8(&asked.body).map_err(|e| Failure::bad_request(e.to_string()))?;
        return serde_saphyr::from_str(text).map_err(|e| Failure::bad_request(format!("the body is not YAML: {e}")));
    }
    if asked.content_type.contains("protobuf") {
        return Err(Failure::unsupported_media_type(&asked.content_type));
    }
    serde_json::from_slice(&asked.body).map_err(|e| Failure::bad_request(format!("the body is not JSON: {e}")))
}

fn name_of(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

fn create(
    server: &ApiServer,
    kind: Kind,
    namespace: &str,
    asked: &Asked,
    write: Write,
) -> Result<Response<Body>, Failure> {
    let mut object = body(asked)?;
    if !object.is_object() {
        return Err(Failure::bad_request("the body is not an object"));
    }
    if kind.info().namespaced && namespace.is_empty() {
        return Err(Failure::bad_request("an object of this kind is created in a namespace"));
    }
    let created_object = server.with_store(|store, now| {
        let mut name = name_of(&object).to_owned();
        if let (true, Some(prefix)) =
            (name.is_empty(), object.pointer("/metadata/generateName").and_then(Value::as_str))
        {
            name = format!("{prefix}{:05x}", store.version());
            object["metadata"]["name"] = name.clone().into();
        }
        store.create(Key::new(kind, namespace, &name), object, now, write)
    })?;
    Ok(created((*created_object).clone()))
}

fn change(server: &ApiServer, key: &Key, part: Part, asked: &Asked, write: Write) -> Result<Response<Body>, Failure> {
    let document = body(asked)?;
    let media = asked.content_type.split(';').next().unwrap_or_default().trim();
    let apply = media == "application/apply-patch+yaml";
    let result = server.with_store(|store, now| {
        if apply && store.get(key).is_none() {
            return store.create(key.clone(), document.clone(), now, write).map(|object| (object, true));
        }
        let edit = |object: &mut Value| match (asked.method.as_str(), media) {
            ("PUT", _) => {
                if name_of(&document) != key.name {
                    let why = "the name of the object does not match the name on the URL";
                    return Err(Failure::bad_request(why));
                }
                *object = document.clone();
                Ok(())
            }
            ("PATCH", "application/json-patch+json") => patch::json_patch(object, &document),
            ("PATCH", "application/merge-patch+json" | "application/apply-patch+yaml") => {
                patch::merge(object, &document);
                Ok(())
            }
            ("PATCH", "application/strategic-merge-patch+json") if key.kind.info().group.contains('.') => {
                Err(Failure::unsupported_media_type(media))
            }
            // Lists of the few core objects here are small: merging as a merge patch does is near enough.
            ("PATCH", "application/strategic-merge-patch+json") => {
                patch::merge(object, &document);
                Ok(())
            }
            ("PATCH", other) => Err(Failure::unsupported_media_type(other)),
            _ => Err(Failure::method_not_allowed()),
        };
        store.update(key, part, now, write, edit).map(|object| (object, false))
    });
    match result {
        Ok((object, true)) => Ok(created((*object).clone())),
        Ok((object, false)) => {
            tracing::debug!(agent = asked.user_agent, name = key.name, "changed");
            Ok(one(server, key.kind, &object, asked))
        }
        Err(failure) => Err(failure),
    }
}

fn delete(server: &ApiServer, key: &Key, asked: &Asked, write: Write) -> Result<Response<Body>, Failure> {
    let options: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let write = if options.get("dryRun").is_some_and(|d| *d == json!(["All"])) { Write::DryRun } else { write };
    let object = server.with_store(|store, now| {
        let present = store.get(key).ok_or_else(|| Failure::not_found(key.kind, &key.name))?;
        for (wanted, field) in [("/preconditions/uid", "uid"), ("/preconditions/resourceVersion", "resourceVersion")] {
            if options.pointer(wanted).is_some_and(|w| Some(w) != present.pointer(&format!("/metadata/{field}"))) {
                return Err(Failure::conflict(key.kind, &key.name));
            }
        }
        store.delete(key, now, write)
    })?;
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        return Ok(json_response((*object).clone()));
    }
    let info = key.kind.info();
    Ok(json_response(json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": key.name, "group": info.group, "kind": info.plural, "uid": object["metadata"]["uid"]},
    })))
}
