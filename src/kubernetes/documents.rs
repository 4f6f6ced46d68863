//! Whole objects as they are: for operations that read and change single fields of them.

use bytes::Bytes;
use http::{Method, Request, header};
use serde_json::{Value, json};

use super::client::{Ask, FieldManager, KubeClient, WriteMode, get, invalid, page_of};
use super::error::KubeError;
use super::objects::{Kind, ResourceRef, Scope};

/// Objects that are asked for at a time.
const PAGE: usize = 250;

impl KubeClient {
    /// Reads every object of a kind in a scope, whole. A page that came too late starts the list again, once and in one piece.
    ///
    /// # Errors
    /// As any call.
    pub async fn documents(&self, kind: Kind, scope: &Scope) -> Result<Vec<Value>, KubeError> {
        match self.documents_paged(kind, scope, Some(PAGE)).await {
            Err(KubeError::Expired { .. }) => self.documents_paged(kind, scope, None).await,
            other => other,
        }
    }

    async fn documents_paged(&self, kind: Kind, scope: &Scope, page: Option<usize>) -> Result<Vec<Value>, KubeError> {
        let namespace = scope.namespace.as_deref();
        let ask = Ask::of("list", kind, namespace, None);
        let mut all = Vec::new();
        let mut token = String::new();
        loop {
            // The serializer is not Send: it must be gone before the await.
            let query = {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                scope.select(&mut query);
                if let Some(page) = page {
                    query.append_pair("limit", &page.to_string());
                }
                if !token.is_empty() {
                    query.append_pair("continue", &token);
                }
                query.finish()
            };
            let document = self.json(&ask, get(&kind.path(namespace), &query)?).await?;
            let (items, _, next) = page_of(&document).map_err(|wrong| KubeError::malformed(&ask.what, &wrong))?;
            all.extend_from_slice(items);
            if next.is_empty() {
                return Ok(all);
            }
            token = next;
        }
    }

    /// Creates an object as field manager `flightdeck`.
    ///
    /// # Errors
    /// [`KubeError::Conflict`] if there is one of that name, [`KubeError::Refused`] if admission denies it, else as any call.
    pub async fn create_document(
        &self,
        reference: &ResourceRef,
        body: &Value,
        mode: WriteMode,
    ) -> Result<Value, KubeError> {
        let ask = Ask::of("create", reference.kind, Some(&reference.namespace), Some(&reference.name));
        let path = reference.kind.path(Some(&reference.namespace));
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{path}?fieldManager={}{}", FieldManager::NAME, mode.query()))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Bytes::from(body.to_string()))
            .map_err(|e| invalid(&ask, &e))?;
        self.json(&ask, request).await
    }

    /// Asks for the deletion of the object with this uid. Its finalizers decide when it is gone; what it owns goes after it.
    ///
    /// # Errors
    /// [`KubeError::Conflict`] if another object has the name by now, else as any call.
    pub async fn delete_document(&self, reference: &ResourceRef, uid: &str) -> Result<(), KubeError> {
        let ask = Ask::of("delete", reference.kind, Some(&reference.namespace), Some(&reference.name));
        let options = json!({
            "kind": "DeleteOptions", "apiVersion": "v1",
            "preconditions": {"uid": uid}, "propagationPolicy": "Background",
        });
        let request = Request::builder()
            .method(Method::DELETE)
            .uri(reference.path())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Bytes::from(options.to_string()))
            .map_err(|e| invalid(&ask, &e))?;
        self.json(&ask, request).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use http::{Response, StatusCode};
    use http_body_util::Full;

    use super::super::client::Limits;
    use super::*;

    /// A server whose continue tokens are always too old; without a limit it lists two pods if `whole`, else that is too late as well.
    fn forgetful(whole: bool) -> KubeClient {
        let server = tower::service_fn(move |request: Request<_>| {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let list = |token: &str, names: &[&str]| {
                let items: Vec<Value> = names.iter().map(|name| json!({"metadata": {"name": name}})).collect();
                (StatusCode::OK, json!({"metadata": {"resourceVersion": "9", "continue": token}, "items": items}))
            };
            let too_old = || (StatusCode::GONE, json!({"code": 410, "reason": "Expired", "message": "too old"}));
            let (status, body) = match (query.contains("continue="), query.contains("limit=")) {
                (true, _) => too_old(),
                (false, true) => list("next", &["old"]),
                (false, false) if whole => list("", &["a", "b"]),
                (false, false) => too_old(),
            };
            let answer = Response::builder().status(status).body(Full::new(Bytes::from(body.to_string())));
            async move { answer }
        });
        KubeClient::from_service(server, "https://forgetful", Limits::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_came_too_late_starts_the_list_again_once() {
        let found = forgetful(true).documents(Kind::Pod, &Scope::default()).await.unwrap();
        let names: Vec<_> =
            found.iter().filter_map(|pod| pod.pointer("/metadata/name").and_then(Value::as_str)).collect();
        assert_eq!(names, ["a", "b"], "nothing of the first attempt is kept");
        let error = forgetful(false).documents(Kind::Pod, &Scope::default()).await.unwrap_err();
        assert!(matches!(error, KubeError::Expired { .. }), "{error:?}");
    }
}
