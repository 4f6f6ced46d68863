//! The types of the operator's fields (`operator.md` §1.2–§1.4): a wrong one is refused as a structural schema refuses it.

use serde_json::Value;

use super::failure::Failure;
use super::kinds::Kind;

#[derive(Clone, Copy)]
enum Type {
    Text,
    Integer,
    Number,
    Boolean,
    Object,
    List,
    OneOf(&'static [&'static str]),
}

const JOB: &[(&str, Type)] = &[
    ("jarURI", Type::Text),
    ("parallelism", Type::Integer),
    ("entryClass", Type::Text),
    ("args", Type::List),
    ("state", Type::OneOf(&["running", "suspended"])),
    ("upgradeMode", Type::OneOf(&["savepoint", "last-state", "stateless"])),
    ("initialSavepointPath", Type::Text),
    ("allowNonRestoredState", Type::Boolean),
    ("savepointTriggerNonce", Type::Integer),
    ("checkpointTriggerNonce", Type::Integer),
    ("savepointRedeployNonce", Type::Integer),
    ("autoscalerResetNonce", Type::Integer),
];

const VERSIONS: &[&str] =
    &["v1_13", "v1_14", "v1_15", "v1_16", "v1_17", "v1_18", "v1_19", "v1_20", "v2_0", "v2_1", "v2_2", "v2_3", "v2_4"];

const DEPLOYMENT: &[(&str, Type)] = &[
    ("image", Type::Text),
    ("imagePullPolicy", Type::Text),
    ("serviceAccount", Type::Text),
    ("flinkVersion", Type::OneOf(VERSIONS)),
    ("ingress", Type::Object),
    ("podTemplate", Type::Object),
    ("jobManager", Type::Object),
    ("taskManager", Type::Object),
    ("logConfiguration", Type::Object),
    ("mode", Type::OneOf(&["native", "standalone"])),
    ("job", Type::Object),
    ("restartNonce", Type::Integer),
    ("flinkConfiguration", Type::Object),
];

const PODS: &[(&str, Type)] = &[("resource", Type::Object), ("replicas", Type::Integer), ("podTemplate", Type::Object)];
const RESOURCE: &[(&str, Type)] = &[("cpu", Type::Number), ("memory", Type::Text), ("ephemeralStorage", Type::Text)];

const SESSION_JOB: &[(&str, Type)] = &[
    ("deploymentName", Type::Text),
    ("job", Type::Object),
    ("restartNonce", Type::Integer),
    ("flinkConfiguration", Type::Object),
];

/// Checks the spec of an object.
///
/// # Errors
/// 422 that names the field.
pub fn check(kind: Kind, name: &str, object: &Value) -> Result<(), Failure> {
    let places: &[(&str, &[(&str, Type)])] = match kind {
        Kind::FlinkDeployment => &[
            ("spec", DEPLOYMENT),
            ("spec.job", JOB),
            ("spec.jobManager", PODS),
            ("spec.taskManager", PODS),
            ("spec.jobManager.resource", RESOURCE),
            ("spec.taskManager.resource", RESOURCE),
        ],
        Kind::FlinkSessionJob => &[("spec", SESSION_JOB), ("spec.job", JOB)],
        _ => &[],
    };
    for (place, fields) in places {
        let Some(parent) = object.pointer(&format!("/{}", place.replace('.', "/"))) else { continue };
        if !parent.is_object() && !parent.is_null() {
            return Err(wrong(kind, name, place, "object", parent));
        }
        for (field, wanted) in *fields {
            let Some(value) = parent.get(field).filter(|v| !v.is_null()) else { continue };
            let path = format!("{place}.{field}");
            let fits = match wanted {
                Type::Text => value.is_string(),
                Type::Integer => value.is_i64() || value.is_u64(),
                Type::Number => value.is_number(),
                Type::Boolean => value.is_boolean(),
                Type::Object => value.is_object(),
                Type::List => value.is_array(),
                Type::OneOf(words) => match value.as_str() {
                    Some(word) if !words.contains(&word) => {
                        let quoted: Vec<_> = words.iter().map(|w| format!("{w:?}")).collect();
                        let why = format!("Unsupported value: {word:?}: supported values: {}", quoted.join(", "));
                        return Err(Failure::invalid(kind, name, &path, &why));
                    }
                    word => word.is_some(),
                },
            };
            if !fits {
                return Err(wrong(kind, name, &path, wanted.word(), value));
            }
        }
    }
    Ok(())
}

impl Type {
    fn word(self) -> &'static str {
        match self {
            Self::Text | Self::OneOf(_) => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Object => "object",
            Self::List => "array",
        }
    }
}

fn wrong(kind: Kind, name: &str, path: &str, wanted: &str, value: &Value) -> Failure {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let why = format!("Invalid value: {found:?}: {path} in body must be of type {wanted}: {found:?}");
    Failure::invalid(kind, name, path, &why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_wrong_type_is_refused_in_the_words_of_the_server() {
        let refused = |spec: Value| check(Kind::FlinkDeployment, "a", &json!({"spec": spec})).unwrap_err();
        let failure = refused(json!({"job": {"parallelism": "four"}}));
        assert_eq!(failure.code, 422);
        assert!(
            failure.message.contains("spec.job.parallelism in body must be of type integer: \"string\""),
            "{}",
            failure.message
        );
        assert!(refused(json!({"job": {"state": "paused"}})).message.contains("Unsupported value: \"paused\""));
        assert!(
            refused(json!({"taskManager": {"resource": {"memory": 5}}}))
                .message
                .contains("spec.taskManager.resource.memory")
        );
        assert!(refused(json!([])).message.contains("of type object"));
        let fine = json!({"spec": {"job": null, "flinkConfiguration": {"a": {"b": 1}}, "flinkVersion": "v1_20"}});
        assert_eq!(check(Kind::FlinkDeployment, "a", &fine), Ok(()));
    }
}
