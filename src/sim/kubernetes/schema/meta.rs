//! What every object has: its metadata.

use super::model::{Field, Model, Type, field, required};

pub(super) const TEXTS: Type = Type::Map(&Type::Text);

const OWNER: Model = Model {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference",
    about: "An object that owns this one.",
    open: true,
    fields: &[
        required("apiVersion", Type::Text, "API version of the owner."),
        required("kind", Type::Text, "Kind of the owner."),
        required("name", Type::Text, "Name of the owner."),
        required("uid", Type::Text, "UID of the owner."),
        field("controller", Type::Boolean, "The owner manages this object."),
        field("blockOwnerDeletion", Type::Boolean, "A foreground deletion of the owner waits for this object."),
    ],
};

pub(super) const METADATA: Model = Model {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
    about: "What every object has.",
    open: false,
    fields: &[
        field("name", Type::Text, "Name, unique in its namespace."),
        field("generateName", Type::Text, "Beginning of a name that the server completes."),
        field("namespace", Type::Text, "Namespace of the object."),
        field("selfLink", Type::Text, "No longer set."),
        field("uid", Type::Text, "Identity in time and space; never used again."),
        field("resourceVersion", Type::Text, "Version of the object, for optimistic locking and for watches."),
        field("generation", Type::Long, "Counts the versions of the spec."),
        field("creationTimestamp", Type::Time, "When it was created."),
        field("deletionTimestamp", Type::Time, "When it is to go."),
        field("deletionGracePeriodSeconds", Type::Long, "Seconds that it gets to end."),
        field("labels", TEXTS, "Labels to select it by."),
        field("annotations", TEXTS, "Notes of tools."),
        field("ownerReferences", Type::Keyed(&OWNER, &["uid"]), "Objects that own it."),
        field("finalizers", Type::Set(&Type::Text), "What must be done before it can go."),
        field("managedFields", Type::Any, "Who manages which fields."),
    ],
};

pub(super) const API_VERSION: Field = field("apiVersion", Type::Text, "Group and version of the kind.");
pub(super) const KIND: Field = field("kind", Type::Text, "Kind of the object.");
pub(super) const META: Field = field("metadata", Type::Object(&METADATA), "What every object has.");

/// The root of a kind.
macro_rules! root {
    ($name:literal, $about:literal, $open:literal, [$($field:expr),* $(,)?]) => {
        Model {
            name: $name,
            about: $about,
            open: $open,
            fields: &[$crate::sim::kubernetes::schema::meta::API_VERSION, $crate::sim::kubernetes::schema::meta::KIND,
                $crate::sim::kubernetes::schema::meta::META, $($field),*],
        }
    };
}
pub(super) use root;
