//! The form of objects: what fields a kind has, which types they are of, and what the server does with an object that does not fit.
//!
//! [`model`] says what a schema is made of, `core` and `flink` describe the kinds, [`openapi`] writes them down for others.

pub mod model;
pub mod openapi;

mod core;
mod flink;
mod meta;

use serde_json::Value;

use super::failure::{Cause, Failure};
use super::kinds::Kind;
use crate::sim::operator::Release;
use model::{Model, Type};

const CUSTOM_RESOURCE_DEFINITION: Model = meta::root!(
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
    "Defines a kind.",
    true,
    []
);
const SCALED_OBJECT: Model = meta::root!("sh.keda.v1alpha1.ScaledObject", "Scales by events.", true, []);
const VERTICAL_POD_AUTOSCALER: Model =
    meta::root!("io.k8s.autoscaling.v1.VerticalPodAutoscaler", "Sets requests by use.", true, []);

/// The form of a kind.
pub fn of(kind: Kind) -> &'static Model {
    match kind {
        Kind::Namespace => &core::NAMESPACE,
        Kind::Node => &core::NODE,
        Kind::Pod => &core::POD,
        Kind::Service => &core::SERVICE,
        Kind::ConfigMap => &core::CONFIG_MAP,
        Kind::Event => &core::EVENT,
        Kind::ResourceQuota => &core::RESOURCE_QUOTA,
        Kind::Lease => &core::LEASE,
        Kind::Deployment => &core::DEPLOYMENT,
        Kind::ReplicaSet => &core::REPLICA_SET,
        Kind::HorizontalPodAutoscaler => &core::HORIZONTAL_POD_AUTOSCALER,
        Kind::CustomResourceDefinition => &CUSTOM_RESOURCE_DEFINITION,
        Kind::FlinkDeployment => &flink::DEPLOYMENT,
        Kind::FlinkSessionJob => &flink::SESSION_JOB,
        Kind::FlinkStateSnapshot => &flink::STATE_SNAPSHOT,
        Kind::FlinkBlueGreenDeployment => &flink::BLUE_GREEN,
        Kind::ScaledObject => &SCALED_OBJECT,
        Kind::VerticalPodAutoscaler => &VERTICAL_POD_AUTOSCALER,
    }
}

/// Checks the types of an object.
///
/// # Errors
/// 422 that names every field for a custom kind, 400 that names the first for a built-in one.
pub fn check(kind: Kind, name: &str, object: &Value, release: Release) -> Result<(), Failure> {
    let mut causes = Vec::new();
    fits(object, Type::Object(of(kind)), "", release, &mut causes);
    match causes.first() {
        None => Ok(()),
        Some(first) if !kind.info().custom => {
            Err(Failure::undecodable(kind, &format!("{}: {}", first.field, first.message)))
        }
        Some(_) => Err(Failure::invalid_fields(kind, name, causes)),
    }
}

fn fits(value: &Value, kind: Type, path: &str, release: Release, causes: &mut Vec<Cause>) {
    let kind = kind.of(release);
    let right = match (kind, value) {
        // A null is the same as no value.
        (_, Value::Null) | (Type::Any | Type::ByRelease(..), _) => return,
        (Type::Text | Type::Time, value) => value.is_string(),
        (Type::OneOf(words), Value::String(word)) => {
            if !words.contains(&word.as_str()) {
                causes.push(Cause::unsupported(path, word, words));
            }
            return;
        }
        (Type::Integer, value) => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        (Type::Long, value) => value.is_i64() || value.is_u64(),
        (Type::Number, value) => value.is_number(),
        (Type::Boolean, value) => value.is_boolean(),
        (Type::Quantity, value) => value.is_string() || value.is_number(),
        (Type::Object(model), Value::Object(map)) => {
            for field in model.fields(release) {
                let inner = join(path, field.name);
                match map.get(field.name) {
                    Some(value) => fits(value, field.kind, &inner, release, causes),
                    None if field.required => causes.push(Cause::required(&inner)),
                    None => {}
                }
            }
            return;
        }
        (Type::Map(inner) | Type::AtomicMap(inner), Value::Object(map)) => {
            for (name, value) in map {
                fits(value, *inner, &join(path, name), release, causes);
            }
            return;
        }
        (Type::List(_) | Type::Set(_) | Type::Keyed(..), Value::Array(items)) => {
            for (n, item) in items.iter().enumerate() {
                fits(item, item_type(kind), &format!("{path}[{n}]"), release, causes);
            }
            return;
        }
        _ => false,
    };
    if !right {
        causes.push(Cause::wrong_type(path, word(kind), value));
    }
}

/// The type of the items of a list.
pub fn item_type(kind: Type) -> Type {
    match kind {
        Type::List(inner) | Type::Set(inner) => *inner,
        Type::Keyed(model, _) => Type::Object(model),
        _ => Type::Any,
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn word(kind: Type) -> &'static str {
    match kind {
        Type::Text | Type::OneOf(_) | Type::Time | Type::Quantity => "string",
        Type::Integer | Type::Long => "integer",
        Type::Number => "number",
        Type::Boolean => "boolean",
        Type::List(_) | Type::Set(_) | Type::Keyed(..) => "array",
        Type::Any | Type::Map(_) | Type::AtomicMap(_) | Type::Object(_) | Type::ByRelease(..) => "object",
    }
}

/// Removes the fields that a custom kind does not have; returns their paths.
pub fn prune(kind: Kind, object: &mut Value, release: Release) -> Vec<String> {
    let mut unknown = Vec::new();
    if kind.info().custom {
        cut(object, Type::Object(of(kind)), "", release, &mut unknown);
    }
    unknown
}

fn cut(value: &mut Value, kind: Type, path: &str, release: Release, unknown: &mut Vec<String>) {
    match (kind.of(release), value) {
        (Type::Object(model), Value::Object(map)) => {
            if !model.open {
                map.retain(|name, _| {
                    let known = model.fields(release).any(|f| f.name == name);
                    if !known {
                        unknown.push(join(path, name));
                    }
                    known
                });
            }
            for field in model.fields(release) {
                if let Some(value) = map.get_mut(field.name) {
                    cut(value, field.kind, &join(path, field.name), release, unknown);
                }
            }
        }
        (list @ (Type::List(_) | Type::Set(_) | Type::Keyed(..)), Value::Array(items)) => {
            for (n, item) in items.iter_mut().enumerate() {
                cut(item, item_type(list), &format!("{path}[{n}]"), release, unknown);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(kind: Kind, spec: Value) -> Failure {
        check(kind, "a", &json!({"spec": spec}), Release::MAIN).unwrap_err()
    }

    #[test]
    fn a_wrong_type_is_refused_in_the_words_of_the_server() {
        let failure = refused(Kind::FlinkDeployment, json!({"job": {"parallelism": "four"}}));
        assert_eq!(failure.code, 422);
        assert_eq!(
            failure.message,
            "FlinkDeployment.flink.apache.org \"a\" is invalid: spec.job.parallelism: Invalid value: \"string\": spec.job.parallelism in body must be of type integer: \"string\""
        );
        let state = refused(Kind::FlinkDeployment, json!({"job": {"state": "paused"}}));
        assert!(
            state.message.ends_with(
                "spec.job.state: Unsupported value: \"paused\": supported values: \"running\", \"suspended\""
            ),
            "{}",
            state.message
        );
        let two = refused(Kind::FlinkDeployment, json!({"image": 5, "taskManager": {"resource": {"memory": 5}}}));
        assert!(two.message.contains("is invalid: [spec.image: "), "{}", two.message);
        assert_eq!(two.status()["details"]["causes"].as_array().map(Vec::len), Some(2));
        assert!(refused(Kind::FlinkDeployment, json!([])).message.contains("of type object"));
        let fine = json!({"spec": {"job": null, "flinkConfiguration": {"a": {"b": 1}}, "flinkVersion": "v1_20"}});
        assert_eq!(check(Kind::FlinkDeployment, "a", &fine, Release::MAIN), Ok(()));
    }

    #[test]
    fn a_release_knows_what_it_knows() {
        let nested = json!({"spec": {"flinkConfiguration": {"a": {"b": 1}}}});
        assert!(check(Kind::FlinkDeployment, "a", &nested, Release::OLDEST).is_err());
        let mut object = json!({"spec": {"job": {"autoscalerResetNonce": 1, "state": "running"}}});
        assert_eq!(prune(Kind::FlinkDeployment, &mut object, Release::OLDEST), ["spec.job.autoscalerResetNonce"]);
        assert_eq!(object, json!({"spec": {"job": {"state": "running"}}}));
    }

    #[test]
    fn unknown_fields_are_cut_but_not_where_anything_may_be() {
        let mut object = json!({"spec": {"imege": "x", "podTemplate": {"anything": 1}, "flinkConfiguration": {"a": 1}}, "status": {"new": 1}});
        assert_eq!(prune(Kind::FlinkDeployment, &mut object, Release::MAIN), ["spec.imege"]);
        assert_eq!(object["spec"]["podTemplate"], json!({"anything": 1}));
        let mut pod = json!({"spec": {"new": 1}});
        assert!(prune(Kind::Pod, &mut pod, Release::MAIN).is_empty());
    }

    #[test]
    fn a_built_in_object_that_does_not_decode_is_a_bad_request() {
        let failure = refused(Kind::Deployment, json!({"replicas": "two"}));
        assert_eq!(failure.code, 400);
        assert!(
            failure.message.starts_with("Deployment in version \"v1\" cannot be handled as a Deployment: "),
            "{}",
            failure.message
        );
    }

    #[test]
    fn every_part_of_every_kind_has_a_name_of_its_own() {
        for kind in Kind::ALL {
            let parts = openapi::parts(of(kind), Release::MAIN);
            let names: std::collections::BTreeSet<&str> = parts.iter().map(|m| m.name).collect();
            assert_eq!(names.len(), parts.len());
            assert_eq!(parts[0].name, of(kind).name);
        }
    }
}
