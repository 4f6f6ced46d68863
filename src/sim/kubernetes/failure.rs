//! Refusals of the API server: `Status` objects with the server's reasons and kind of words.

use serde_json::{Value, json};

use super::kinds::Kind;
use super::store::Key;

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Kubernetes' word for it.
    pub reason: &'static str,
    /// Why.
    pub message: String,
    /// Path of the field; empty if it is about none.
    pub field: String,
}

impl Cause {
    /// The value is of another type than the field.
    pub fn wrong_type(field: &str, wanted: &str, value: &Value) -> Self {
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(n) if n.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let message = format!("Invalid value: {found:?}: {field} in body must be of type {wanted}: {found:?}");
        Self { reason: "FieldValueTypeInvalid", message, field: field.to_owned() }
    }

    /// The value is none of those that there are.
    pub fn unsupported(field: &str, value: &str, supported: &[&str]) -> Self {
        let quoted: Vec<String> = supported.iter().map(|w| format!("{w:?}")).collect();
        let message = format!("Unsupported value: {value:?}: supported values: {}", quoted.join(", "));
        Self { reason: "FieldValueNotSupported", message, field: field.to_owned() }
    }

    /// There is no value.
    pub fn required(field: &str) -> Self {
        Self { reason: "FieldValueRequired", message: "Required value".to_owned(), field: field.to_owned() }
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status.
    pub code: u16,
    /// Kubernetes' reason word.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
    /// Seconds after which to try again.
    pub retry_after: Option<u32>,
    details: Option<Box<Value>>,
    next: Option<String>,
}

impl Failure {
    fn new(code: u16, reason: &'static str, message: String) -> Self {
        Self { code, reason, message, retry_after: None, details: None, next: None }
    }

    fn about(mut self, kind: Kind, name: &str) -> Self {
        let info = kind.info();
        self.details = Some(Box::new(json!({"name": name, "group": info.group, "kind": info.plural})));
        self
    }

    /// The object does not exist.
    pub fn not_found(kind: Kind, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", kind.resource())).about(kind, name)
    }

    /// The path leads nowhere.
    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource".to_owned())
    }

    /// The object exists already.
    pub fn already_exists(kind: Kind, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", kind.resource())).about(kind, name)
    }

    /// The version that the write was made for is not the present one.
    pub fn conflict(kind: Kind, name: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: the object has been modified; please apply your changes to the latest version and try again",
            kind.resource()
        );
        Self::new(409, "Conflict", message).about(kind, name)
    }

    /// Nothing new is made in a namespace that is being deleted.
    pub fn namespace_ends(key: &Key) -> Self {
        let message = format!(
            "{} {:?} is forbidden: unable to create new content in namespace {} because it is being terminated",
            key.kind.resource(),
            key.name,
            key.namespace
        );
        let mut failure = Self::new(403, "Forbidden", message).about(key.kind, &key.name);
        if let Some(details) = &mut failure.details {
            let cause = format!("namespace {} is being terminated", key.namespace);
            details["causes"] =
                json!([{"reason": "NamespaceTerminating", "message": cause, "field": "metadata.namespace"}]);
        }
        failure
    }

    /// The object is not the one that the request is for.
    pub fn precondition(kind: Kind, name: &str, field: &str, wanted: Option<&Value>, is: Option<&Value>) -> Self {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let what = if field == "uid" { "UID" } else { "ResourceVersion" };
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: the {what} in the precondition ({}) does not match the {what} in record ({}). The object might have been deleted and then recreated",
            kind.resource(),
            text(wanted),
            text(is)
        );
        Self::new(409, "Conflict", message).about(kind, name)
    }

    /// A version is no longer known.
    pub fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    /// A continue token is no longer good; `next` is one that goes on with the objects as they are now.
    pub fn token_expired(next: &str) -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.";
        Self { next: Some(next.to_owned()), ..Self::new(410, "Expired", message.to_owned()) }
    }

    /// The request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message.into())
    }

    /// A field of the object is not valid.
    pub fn invalid(kind: Kind, name: &str, field: &str, why: &str) -> Self {
        let cause = Cause { reason: "FieldValueInvalid", message: why.to_owned(), field: field.to_owned() };
        Self::invalid_fields(kind, name, vec![cause])
    }

    /// Fields of the object are not valid.
    pub fn invalid_fields(kind: Kind, name: &str, causes: Vec<Cause>) -> Self {
        let all: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        let all = if let [one] = all.as_slice() { one.clone() } else { format!("[{}]", all.join(", ")) };
        let message = format!("{} {name:?} is invalid: {all}", kind.qualified());
        let mut failure = Self::new(422, "Invalid", message).about(kind, name);
        if let Some(details) = &mut failure.details {
            details["kind"] = kind.info().name.into();
        }
        failure.because(causes)
    }

    /// The body is not an object of the kind.
    pub fn undecodable(kind: Kind, why: &str) -> Self {
        let info = kind.info();
        Self::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: {why}",
            info.name, info.version, info.name
        ))
    }

    /// Other managers have fields that are applied.
    pub fn apply_conflict(message: String, causes: Vec<Cause>) -> Self {
        Self::new(409, "Conflict", message).because(causes)
    }

    /// Somebody may not do this.
    pub fn forbidden(message: String, details: Value) -> Self {
        Self { details: Some(Box::new(details)), ..Self::new(403, "Forbidden", message) }
    }

    /// A webhook said no (`operator.md` §9.1).
    pub fn denied(why: &str) -> Self {
        let message = format!("admission webhook \"validationwebhook.flink.apache.org\" denied the request: {why}");
        Self::new(403, "Forbidden", message)
    }

    /// The version that is asked for is not there yet.
    pub fn too_large(asked: u64, present: u64) -> Self {
        let message = format!("Too large resource version: {asked}, current: {present}");
        let cause = Cause {
            reason: "ResourceVersionTooLarge",
            message: "Too large resource version".to_owned(),
            field: String::new(),
        };
        let mut failure = Self::new(504, "Timeout", message).because(vec![cause]);
        failure.retry_after = Some(1);
        failure
    }

    /// No answer in a form that the client takes.
    pub fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json";
        Self::new(406, "NotAcceptable", message.to_owned())
    }

    fn because(mut self, causes: Vec<Cause>) -> Self {
        let causes: Vec<Value> = causes
            .into_iter()
            .map(|c| {
                let mut cause = json!({"reason": c.reason, "message": c.message});
                if !c.field.is_empty() {
                    cause["field"] = c.field.into();
                }
                cause
            })
            .collect();
        self.details.get_or_insert_with(|| Box::new(json!({})))["causes"] = causes.into();
        self
    }

    /// The body is of a type that the server does not take here.
    pub fn unsupported_media_type(given: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml (got {given:?})"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// The method does not go with the path.
    pub fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource".to_owned())
    }

    /// The JobManager behind a service is not there.
    pub fn no_endpoints(service: &str) -> Self {
        Self::new(503, "ServiceUnavailable", format!("no endpoints available for service {service:?}"))
    }

    /// A failure by order: a fault of the scenario. `wait`: seconds after which to try again.
    pub fn ordered(code: u16, wait: Option<u32>) -> Self {
        let (reason, message) = match code {
            401 => ("Unauthorized", "Unauthorized"),
            403 => ("Forbidden", "forbidden: User \"system:anonymous\" cannot do this"),
            429 => ("TooManyRequests", "too many requests, please try again later"),
            500 => ("InternalError", "Internal error occurred"),
            503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
            504 => (
                "Timeout",
                "the server was unable to return a response in the time allotted, but may still be processing the request",
            ),
            _ => ("InternalError", "Internal error occurred"),
        };
        let mut failure = Self::new(code, reason, message.to_owned());
        failure.retry_after = wait.or((code == 429).then_some(1));
        failure
    }

    /// The `Status` object.
    pub fn status(&self) -> Value {
        let mut details = self.details.as_deref().cloned();
        if let Some(seconds) = self.retry_after {
            details.get_or_insert_with(|| json!({}))["retryAfterSeconds"] = seconds.into();
        }
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if let Some(details) = details {
            status["details"] = details;
        }
        if let Some(next) = &self.next {
            status["metadata"]["continue"] = next.as_str().into();
        }
        status
    }
}
