//! Requests on objects: what may be done, then get, create, delete. Lists are in `listing`, changes in `changing`, watches in `watching`.

use axum::body::Body;
use axum::http::{Method, Response};
use serde_json::{Value, json};

use super::access::Action;
use super::asked::{Asked, Form, Unknown, created, json_response, warn};
use super::failure::Failure;
use super::kinds::Kind;
use super::selector::Selector;
use super::store::deletion::{Deletion, Propagation};
use super::store::{Key, Part, Write};
use super::table::{partial, table};
use super::view::View;
use super::{ApiServer, changing, listing, logs, scale, schema, watching};
use crate::sim::operator::Release;

/// The collection that a request is about.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub kind: Kind,
    pub view: View,
    /// Empty for all, and for kinds without.
    pub namespace: String,
}

/// What of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// All objects.
    Collection,
    /// One.
    Object(Key),
    /// The status of one.
    Status(Key),
    /// The scale of one.
    Scale(Key),
    /// The log of a pod.
    Log(Key),
}

impl Place {
    fn parts(&self) -> (&str, &str) {
        match self {
            Self::Collection => ("", ""),
            Self::Object(key) => (&key.name, ""),
            Self::Status(key) => (&key.name, "/status"),
            Self::Scale(key) => (&key.name, "/scale"),
            Self::Log(key) => (&key.name, "/log"),
        }
    }
}

/// What a request wants to do, in Kubernetes' words.
fn action(target: &Target, place: &Place, asked: &Asked) -> Result<Action, Failure> {
    let collection = *place == Place::Collection;
    let verb = match asked.method {
        Method::GET | Method::HEAD if !collection => "get",
        Method::GET if asked.flag("watch") => "watch",
        Method::GET => "list",
        Method::POST if collection => "create",
        Method::PUT if !collection => "update",
        Method::PATCH if !collection => "patch",
        Method::DELETE if collection => "deletecollection",
        Method::DELETE => "delete",
        _ => return Err(Failure::method_not_allowed()),
    };
    let (name, sub) = place.parts();
    Ok(Action {
        verb: verb.to_owned(),
        group: target.view.group(target.kind).to_owned(),
        resource: format!("{}{sub}", target.kind.info().plural),
        namespace: target.namespace.clone(),
        name: name.to_owned(),
    })
}

pub(super) fn answer(
    server: ApiServer,
    target: &Target,
    place: Place,
    asked: &Asked,
) -> Result<Response<Body>, Failure> {
    let action = action(target, &place, asked)?;
    server.admit(&action, target.kind)?;
    match (place, action.verb.as_str()) {
        (Place::Collection, "watch") => watching::watch(server, target, asked),
        (Place::Collection, "list") => listing::list(&server, target, asked),
        (Place::Collection, "create") => create(&server, target, asked),
        (Place::Collection, _) => delete_collection(&server, target, asked),
        (Place::Object(key) | Place::Status(key), "get") => {
            let object = server.get(&key).ok_or_else(|| Failure::not_found(key.kind, &key.name))?;
            one(&server, target, &object, asked)
        }
        (Place::Object(key), "delete") => delete(&server, target, &key, asked),
        (Place::Object(key), _) => changing::change(&server, target, &key, Part::Main, asked),
        (Place::Status(key), "update" | "patch") => changing::change(&server, target, &key, Part::Status, asked),
        (Place::Scale(key), "get" | "update" | "patch") => scale::answer(&server, &key, asked),
        (Place::Log(key), "get") => logs::answer(&server, &key, asked),
        _ => Err(Failure::method_not_allowed()),
    }
}

/// An answer with one object in the form that is wanted.
pub(super) fn one(
    server: &ApiServer,
    target: &Target,
    object: &Value,
    asked: &Asked,
) -> Result<Response<Body>, Failure> {
    Ok(json_response(&match asked.form()? {
        Form::Whole => target.view.show(object.clone()),
        Form::Partial => partial(object),
        Form::Table(include) => {
            let meta = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
            table(target.kind, [object].into_iter(), meta, include, server.world().now())
        }
    }))
}

/// Checks an object that came from outside, and takes out what its kind does not have; returns what to warn of.
pub(super) fn admit(kind: Kind, object: &mut Value, asked: &Asked, release: Release) -> Result<Vec<String>, Failure> {
    let unknown: Vec<String> =
        schema::prune(kind, object, release).iter().map(|path| format!("unknown field {path:?}")).collect();
    if asked.unknown()? == Unknown::Refused && !unknown.is_empty() {
        return Err(Failure::undecodable(kind, &format!("strict decoding error: {}", unknown.join(", "))));
    }
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    schema::check(kind, &name, object, release)?;
    Ok(if asked.unknown()? == Unknown::Warned { unknown } else { Vec::new() })
}

/// The kind and the version of a body must be those of the address.
pub(super) fn fits_address(target: &Target, object: &Value) -> Result<(), Failure> {
    if !object.is_object() {
        return Err(Failure::bad_request("the body is not an object"));
    }
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let (name, version) = (target.kind.info().name, target.view.api_version(target.kind));
    if !text("kind").is_empty() && text("kind") != name {
        return Err(Failure::bad_request(format!(
            "{} in version {:?} cannot be handled as a {name}: no kind {:?} is registered for it here",
            text("kind"),
            text("apiVersion"),
            text("kind")
        )));
    }
    if !text("apiVersion").is_empty() && text("apiVersion") != version {
        return Err(Failure::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({version})",
            text("apiVersion")
        )));
    }
    let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
    if !namespace.is_empty() && namespace != target.namespace {
        return Err(Failure::bad_request(format!(
            "the namespace of the provided object does not match the namespace sent on the request ({namespace} and {})",
            target.namespace
        )));
    }
    Ok(())
}

fn create(server: &ApiServer, target: &Target, asked: &Asked) -> Result<Response<Body>, Failure> {
    let (kind, write, author) = (target.kind, asked.write()?, asked.author("")?);
    let object = asked.document()?;
    fits_address(target, &object)?;
    let mut object = target.view.store(object);
    if kind.info().namespaced && target.namespace.is_empty() {
        return Err(Failure::bad_request("an empty namespace may not be set during creation"));
    }
    let warnings = admit(kind, &mut object, asked, server.release())?;
    if let (Value::Object(map), true) = (&mut object, kind.info().status) {
        map.shift_remove("status");
    }
    if let Some(Value::Object(meta)) = object.get_mut("metadata") {
        for name in
            ["managedFields", "deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "uid", "generation"]
        {
            meta.shift_remove(name);
        }
    }
    if kind == Kind::Namespace {
        object["status"] = json!({"phase": "Active"});
    }
    let made = server.with_store_as(author, |store, now| {
        let text = |object: &Value, name: &str| {
            object["metadata"].get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let mut name = text(&object, "name");
        if name.is_empty() && !text(&object, "generateName").is_empty() {
            name = format!("{}{}", text(&object, "generateName"), suffix(store.version()));
        }
        store.create(Key::new(kind, &target.namespace, &name), object, now, write)
    })?;
    let mut response = one(server, target, &made, asked)?;
    *response.status_mut() = axum::http::StatusCode::CREATED;
    warn(&mut response, &warnings);
    Ok(response)
}

/// Five characters that make a name unique.
fn suffix(version: u64) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut n = u128::from(version).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (0..5)
        .map(|_| {
            let letter = LETTERS[(n % LETTERS.len() as u128) as usize];
            n /= LETTERS.len() as u128;
            char::from(letter)
        })
        .collect()
}

/// `DeleteOptions`, from the body or the query.
struct Options {
    deletion: Deletion,
    write: Write,
    preconditions: Value,
}

impl Options {
    fn parse(asked: &Asked) -> Result<Self, Failure> {
        let body: Value = if asked.body.is_empty() { json!({}) } else { asked.document()? };
        let write =
            if body.get("dryRun").is_some_and(|d| *d == json!(["All"])) { Write::DryRun } else { asked.write()? };
        let word =
            body.get("propagationPolicy").and_then(Value::as_str).unwrap_or(asked.parameter("propagationPolicy"));
        let propagation = match word {
            "" | "Background" => Propagation::Background,
            "Foreground" => Propagation::Foreground,
            "Orphan" => Propagation::Orphan,
            other => {
                let why = format!(
                    "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: {other:?}: supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
                );
                return Err(Failure::bad_request(why));
            }
        };
        let grace = body.get("gracePeriodSeconds").and_then(Value::as_i64);
        let grace = grace.or_else(|| asked.parameter("gracePeriodSeconds").parse().ok());
        let preconditions = body.get("preconditions").cloned().unwrap_or_default();
        Ok(Self { deletion: Deletion { propagation, grace }, write, preconditions })
    }
}

fn delete(server: &ApiServer, target: &Target, key: &Key, asked: &Asked) -> Result<Response<Body>, Failure> {
    let options = Options::parse(asked)?;
    let object = server.with_store(|store, now| {
        let present = store.get(key).ok_or_else(|| Failure::not_found(key.kind, &key.name))?;
        for field in ["uid", "resourceVersion"] {
            let (wanted, is) = (options.preconditions.get(field), present["metadata"].get(field));
            if wanted.is_some_and(|w| !w.is_null()) && wanted != is {
                return Err(Failure::precondition(key.kind, &key.name, field, wanted, is));
            }
        }
        store.delete_with(key, options.deletion, now, options.write)
    })?;
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        return one(server, target, &object, asked);
    }
    let info = key.kind.info();
    Ok(json_response(&json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": key.name, "group": info.group, "kind": info.plural, "uid": object["metadata"]["uid"]},
    })))
}

fn delete_collection(server: &ApiServer, target: &Target, asked: &Asked) -> Result<Response<Body>, Failure> {
    let options = Options::parse(asked)?;
    let selector = Selector::of(target.kind, asked)?;
    let objects: Vec<_> = server.with_store(|store, now| {
        let chosen: Vec<Key> = store
            .list(target.kind, &target.namespace)
            .filter(|(_, object)| selector.matches(object))
            .map(|(key, _)| key.clone())
            .collect();
        // One that went meanwhile with its owner is gone as wanted.
        chosen.iter().filter_map(|key| store.delete_with(key, options.deletion, now, options.write).ok()).collect()
    });
    let meta = json!({"resourceVersion": server.with_store(|store, _| store.version()).to_string()});
    let objects = objects.iter().map(AsRef::as_ref);
    Ok(json_response(&listing::document(server, target, asked.form()?, meta, objects)))
}

/// Answers a review: an object that is not stored.
pub(super) fn reviewed(asked: &Asked, answer: impl FnOnce(Value) -> Value) -> Result<Response<Body>, Failure> {
    if asked.method != Method::POST {
        return Err(Failure::method_not_allowed());
    }
    Ok(created(&answer(asked.document()?)))
}
