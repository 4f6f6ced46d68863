//! The port to whole objects of a Kubernetes cluster, as operations need it: read, list, create, patch, delete.

use futures::future::BoxFuture;
use serde_json::Value;

use super::ApiError;
use crate::domain::kubernetes::FieldChange;
use crate::domain::objects::{ObjectKind, ObjectName};

/// Whether a write is for real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// The server only says whether it would take it.
    DryRun,
    /// It is done.
    Real,
}

/// The operator's Deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorLife {
    /// Namespace and name.
    pub named: ObjectName,
    /// Its pods that are ready.
    pub ready: u32,
}

/// Objects of a Kubernetes cluster as documents.
pub trait Objects: Send + Sync {
    /// One object, freshly read.
    fn read<'a>(&'a self, object: &'a ObjectName) -> BoxFuture<'a, Result<Value, ApiError>>;

    /// Every object of a kind in a namespace that a label selector and a field selector let through (empty: all).
    fn list<'a>(
        &'a self,
        kind: ObjectKind,
        namespace: &'a str,
        labels: &'a str,
        fields: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Value>, ApiError>>;

    /// Creates an object; [`ApiError::Conflict`] if there is one of that name.
    fn create<'a>(
        &'a self,
        object: &'a ObjectName,
        body: &'a Value,
        write: Write,
    ) -> BoxFuture<'a, Result<Value, ApiError>>;

    /// Sends a merge patch. One that carries `metadata.resourceVersion` is applied only to that version. Gives the object as it is
    /// afterwards, or would be, and what a rehearsal would change in it; of a real write no changes are told.
    fn merge<'a>(
        &'a self,
        object: &'a ObjectName,
        patch: &'a Value,
        write: Write,
    ) -> BoxFuture<'a, Result<(Value, Vec<FieldChange>), ApiError>>;

    /// Asks for the deletion of the object with this uid. Its finalizers decide when it is gone.
    fn delete<'a>(&'a self, object: &'a ObjectName, uid: &'a str) -> BoxFuture<'a, Result<(), ApiError>>;

    /// The operator's Deployments, where they may be read; empty where they may not.
    fn operators(&self) -> BoxFuture<'_, Result<Vec<OperatorLife>, ApiError>>;
}
