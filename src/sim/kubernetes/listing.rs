//! Lists: pages of one version, older versions, and the three forms of an answer.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};

use super::ApiServer;
use super::asked::{Asked, Form, json_response};
use super::failure::Failure;
use super::kinds::Kind;
use super::requests::Target;
use super::selector::Selector;
use super::store::{Key, Store};
use super::table::{partial, table};

type Objects = Vec<(Key, Arc<Value>)>;

/// Which version a list is of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Of {
    /// The newest, which must not be older than this one.
    Newest(u64),
    /// This one.
    Exactly(u64),
}

/// A page that is asked for.
struct Page {
    of: Of,
    /// Objects up to this one were on earlier pages.
    after: Option<Key>,
    limit: usize,
}

/// A token says which version the list is of (0: the newest) and which object was last.
fn token(version: u64, last: &Key) -> String {
    format!("{version}~{}~{}", last.namespace, last.name)
}

impl Page {
    fn parse(kind: Kind, asked: &Asked) -> Result<Self, Failure> {
        let limit = match asked.parameter("limit") {
            "" | "0" => usize::MAX,
            text => text.parse().map_err(|_| Failure::bad_request(format!("invalid limit {text:?}")))?,
        };
        let version = version(asked.parameter("resourceVersion"))?;
        let matching = asked.parameter("resourceVersionMatch");
        if !asked.parameter("continue").is_empty() {
            if version.is_some_and(|v| v > 0) {
                return Err(Failure::bad_request("specifying resource version is not allowed when using continue"));
            }
            let mut parts = asked.parameter("continue").splitn(3, '~');
            let of = parts.next().and_then(|v| v.parse::<u64>().ok());
            let (Some(of), Some(namespace), Some(name)) = (of, parts.next(), parts.next()) else {
                return Err(Failure::bad_request("continue key is not valid"));
            };
            let of = if of == 0 { Of::Newest(0) } else { Of::Exactly(of) };
            return Ok(Self { of, after: Some(Key::new(kind, namespace, name)), limit });
        }
        let of = match (matching, version) {
            ("", None) => Of::Newest(0),
            // Without a match, a page of a version is of that version.
            ("", Some(v)) if v > 0 && limit != usize::MAX => Of::Exactly(v),
            ("" | "NotOlderThan", Some(v)) => Of::Newest(v),
            ("Exact", Some(v)) if v > 0 => Of::Exactly(v),
            ("Exact" | "NotOlderThan", None) => {
                return Err(invalid(
                    "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
                ));
            }
            ("Exact", _) => {
                return Err(invalid(
                    "resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
                ));
            }
            (other, _) => {
                return Err(invalid(&format!(
                    "resourceVersionMatch: Unsupported value: {other:?}: supported values: \"Exact\", \"NotOlderThan\", \"\""
                )));
            }
        };
        Ok(Self { of, after: None, limit })
    }
}

/// Answers a list.
pub(super) fn list(server: &ApiServer, target: &Target, asked: &Asked) -> Result<Response<Body>, Failure> {
    let form = asked.form()?;
    let selector = Selector::of(target.kind, asked)?;
    let page = Page::parse(target.kind, asked)?;
    let storm = server.storm();
    let (mut objects, version) = server.with_store(|store, _| page.read(store, target, &selector, storm))?;
    let remaining = objects.len().saturating_sub(page.limit);
    objects.truncate(page.limit);
    let mut meta = json!({"resourceVersion": version.to_string()});
    if remaining > 0
        && let Some((last, _)) = objects.last()
    {
        meta["continue"] = token(version, last).into();
        if selector.is_empty() {
            meta["remainingItemCount"] = remaining.into();
        }
    }
    Ok(json_response(&document(server, target, form, meta, objects.iter().map(|(_, o)| o.as_ref()))))
}

/// A list of objects in a form.
pub(super) fn document<'a>(
    server: &ApiServer,
    target: &Target,
    form: Form,
    meta: Value,
    objects: impl Iterator<Item = &'a Value>,
) -> Value {
    let kind = target.kind;
    match form {
        Form::Table(include) => table(kind, objects, meta, include, server.world().now()),
        Form::Partial => json!({
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta,
            "items": objects.map(partial).collect::<Vec<_>>(),
        }),
        Form::Whole => json!({
            "kind": format!("{}List", kind.info().name), "apiVersion": target.view.api_version(kind), "metadata": meta,
            "items": objects.map(|o| target.view.show(o.clone())).collect::<Vec<_>>(),
        }),
    }
}

impl Page {
    /// The objects from the page on, and the version that they are of.
    fn read(
        &self,
        store: &Store,
        target: &Target,
        selector: &Selector,
        storm: bool,
    ) -> Result<(Objects, u64), Failure> {
        let after = self.after.as_ref();
        let mut objects = Vec::new();
        let mut take = |key: &Key, object: &Arc<Value>| {
            if after.is_none_or(|after| key > after) && selector.matches(object) {
                objects.push((key.clone(), object.clone()));
            }
        };
        let version = match self.of {
            Of::Newest(least) if least > store.version() => return Err(Failure::too_large(least, store.version())),
            Of::Newest(_) => {
                store.list(target.kind, &target.namespace).for_each(|(key, object)| take(key, object));
                store.version()
            }
            Of::Exactly(version) if version > store.version() => {
                return Err(Failure::too_large(version, store.version()));
            }
            Of::Exactly(version) => {
                let past = store.list_at(target.kind, &target.namespace, version);
                match (past, after) {
                    (Ok(past), _) if !storm => past.iter().for_each(|(key, object)| take(key, object)),
                    (_, Some(after)) => return Err(Failure::token_expired(&token(0, after))),
                    (_, None) => return Err(Failure::expired(version, store.oldest())),
                }
                version
            }
        };
        Ok((objects, version))
    }
}

/// Reads a resourceVersion.
pub(super) fn version(text: &str) -> Result<Option<u64>, Failure> {
    match text {
        "" => Ok(None),
        text => match text.parse::<u64>() {
            Ok(version) => Ok(Some(version)),
            Err(_) => Err(invalid(&format!("resourceVersion: Invalid value: {text:?}: must be a number"))),
        },
    }
}

/// Options of a list or watch that make no sense.
pub(super) fn invalid(why: &str) -> Failure {
    let mut failure = Failure::bad_request(format!("ListOptions.meta.k8s.io \"\" is invalid: {why}"));
    (failure.code, failure.reason) = (422, "Invalid");
    failure
}
