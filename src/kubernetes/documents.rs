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
    /// Reads every object of a kind in a scope, whole.
    ///
    /// # Errors
    /// As any call.
    pub async fn documents(&self, kind: Kind, scope: &Scope) -> Result<Vec<Value>, KubeError> {
        let namespace = scope.namespace.as_deref();
        let ask = Ask::of("list", kind, namespace, None);
        let mut all = Vec::new();
        let mut token = String::new();
        loop {
            // The serializer is not Send: it must be gone before the await.
            let query = {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                scope.select(&mut query);
                query.append_pair("limit", &PAGE.to_string());
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
