//! A request, taken apart, and the form in which its answer is wanted.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::Value;

use super::failure::Failure;
use super::managed::Author;
use super::protobuf;
use super::store::Write;
use super::table::Include;

/// Longest request body, bytes; as the real server's.
const MAX_BODY: usize = 3 << 20;
/// Longest name of a field manager.
const MAX_MANAGER: usize = 128;

/// A request, taken apart.
pub(super) struct Asked {
    pub method: Method,
    pub query: BTreeMap<String, String>,
    pub accept: String,
    pub content_type: String,
    pub user_agent: String,
    pub body: axum::body::Bytes,
}

/// In which form objects are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As they are.
    Whole,
    /// As rows of a table.
    Table(Include),
    /// Their metadata alone.
    Partial,
}

/// What happens to unknown fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// They go without a word.
    Ignored,
    /// They go with a warning.
    Warned,
    /// The request is refused.
    Refused,
}

impl Asked {
    pub(super) async fn read(request: Request<Body>) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let text = |name: header::HeaderName| {
            let all: Vec<&str> = parts.headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).collect();
            all.join(",")
        };
        let body = axum::body::to_bytes(body, MAX_BODY)
            .await
            .map_err(|e| Failure::bad_request(format!("the body cannot be read: {e}")))?;
        Ok(Self {
            query: url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
                .filter(|(name, _)| !name.is_empty())
                .map(|(k, v)| (k.into_owned(), v.into_owned()))
                .collect(),
            accept: text(header::ACCEPT),
            content_type: text(header::CONTENT_TYPE),
            user_agent: text(header::USER_AGENT),
            method: parts.method,
            body,
        })
    }

    pub(super) fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.parameter(name), "true" | "1")
    }

    /// The form of the answer: the first that the client takes and the server has.
    pub(super) fn form(&self) -> Result<Form, Failure> {
        if self.accept.trim().is_empty() {
            return Ok(Form::Whole);
        }
        for range in self.accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            if !matches!(media, "application/json" | "application/*" | "*/*") {
                continue;
            }
            let parameters: BTreeMap<&str, &str> = parts.filter_map(|p| p.split_once('=')).collect();
            let version_fits = parameters.get("v").is_none_or(|v| *v == "v1");
            match parameters.get("as").copied() {
                None => return Ok(Form::Whole),
                Some("Table") if version_fits => {
                    return Ok(Form::Table(Include::parse(self.parameter("includeObject"))));
                }
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") if version_fits => {
                    return Ok(Form::Partial);
                }
                Some(_) => {}
            }
        }
        Err(Failure::not_acceptable())
    }

    /// Whether what is written is stored.
    pub(super) fn write(&self) -> Result<Write, Failure> {
        match self.parameter("dryRun") {
            "" => Ok(Write::Real),
            "All" => Ok(Write::DryRun),
            other => {
                let why = format!(
                    "Invalid value: [{other:?}]: dryRun: Unsupported value: {other:?}: supported values: \"All\""
                );
                Err(Failure::bad_request(why))
            }
        }
    }

    /// Who writes: the field manager, else the program.
    pub(super) fn author(&self, subresource: &'static str) -> Result<Author, Failure> {
        let named = self.parameter("fieldManager");
        if named.len() > MAX_MANAGER {
            return Err(Failure::bad_request(format!(
                "fieldManager: Too long: may not be more than {MAX_MANAGER} bytes"
            )));
        }
        let program = self.user_agent.split('/').next().unwrap_or_default();
        let manager = [named, program, "unknown"].into_iter().find(|m| !m.is_empty()).unwrap_or_default();
        Ok(Author { manager: manager.to_owned(), subresource })
    }

    /// What happens to unknown fields.
    pub(super) fn unknown(&self) -> Result<Unknown, Failure> {
        match self.parameter("fieldValidation") {
            "Ignore" => Ok(Unknown::Ignored),
            "" | "Warn" => Ok(Unknown::Warned),
            "Strict" => Ok(Unknown::Refused),
            other => {
                let why = format!(
                    "fieldValidation: Unsupported value: {other:?}: supported values: \"Ignore\", \"Strict\", \"Warn\""
                );
                Err(Failure::bad_request(why))
            }
        }
    }

    /// The media type of the body.
    pub(super) fn media(&self) -> &str {
        self.content_type.split(';').next().unwrap_or_default().trim()
    }

    /// The body as a document.
    pub(super) fn document(&self) -> Result<Value, Failure> {
        if self.media() == "application/vnd.kubernetes.protobuf" {
            return protobuf::decode(&self.body).ok_or_else(|| Failure::unsupported_media_type(&self.content_type));
        }
        if self.content_type.contains("yaml") {
            let text = std::str::from_utf8(&self.body).map_err(|e| Failure::bad_request(e.to_string()))?;
            return serde_saphyr::from_str(text).map_err(|e| Failure::bad_request(format!("error decoding YAML: {e}")));
        }
        serde_json::from_slice(&self.body)
            .map_err(|e| Failure::bad_request(format!("couldn't get version/kind; json parse error: {e}")))
    }
}

/// A JSON answer.
pub(super) fn json_response(document: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(document.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A JSON answer to a creation.
pub(super) fn created(document: &Value) -> Response<Body> {
    let mut response = json_response(document);
    *response.status_mut() = StatusCode::CREATED;
    response
}

/// Adds warnings to an answer.
pub(super) fn warn(response: &mut Response<Body>, warnings: &[String]) {
    for warning in warnings {
        let text = format!("299 - {warning:?}");
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
}

/// A refusal as an answer.
pub(super) fn refuse(failure: &Failure) -> Response<Body> {
    let mut response = json_response(&failure.status());
    *response.status_mut() = StatusCode::from_u16(failure.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(seconds) = failure.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(accept: &str) -> Result<Form, Failure> {
        Asked {
            method: Method::GET,
            query: BTreeMap::new(),
            accept: accept.to_owned(),
            content_type: String::new(),
            user_agent: "kubectl/v1.32 (linux)".to_owned(),
            body: axum::body::Bytes::new(),
        }
        .form()
    }

    #[test]
    fn the_first_form_that_is_known_is_taken() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(form(kubectl), Ok(Form::Table(Include::Metadata)));
        assert_eq!(form("application/vnd.kubernetes.protobuf,application/json"), Ok(Form::Whole));
        assert_eq!(form("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"), Ok(Form::Partial));
        assert_eq!(form(""), Ok(Form::Whole));
        assert_eq!(form("application/vnd.kubernetes.protobuf").unwrap_err().code, 406);
    }
}
