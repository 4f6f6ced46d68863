//! A resource of the operator as it was just read: what operations need of its spec and status (`operator.md` §1).

use serde_json::Value;

use crate::domain::ids::JobId;
use crate::domain::objects::ObjectName;
use crate::domain::savepoint::LAST_STATE;

/// Longest text of an error that is shown.
const LONGEST: usize = 400;

/// A resource as it was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document {
    pub named: ObjectName,
    pub value: Value,
}

/// Text at a JSON pointer.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Every value that the patch sets stands in the document, and nothing stands where it removes.
pub(super) fn holds(document: &Value, patch: &Value) -> bool {
    match patch {
        Value::Object(fields) => fields.iter().all(|(key, wanted)| match document.get(key) {
            Some(found) => holds(found, wanted),
            None => wanted.is_null(),
        }),
        value => document == value,
    }
}

/// A key of a configuration in any mixture of dotted and nested spelling: the names that lead to it, and what stands there. What is
/// absent may be written as `null`, and an object holds other keys.
fn find<'a, 'k>(all: &'a Value, key: &'k str) -> Option<(Vec<&'k str>, &'a Value)> {
    if let Some(found) = all.get(key).filter(|found| !found.is_null() && !found.is_object()) {
        return Some((vec![key], found));
    }
    key.match_indices('.').find_map(|(at, _)| {
        let (mut place, found) = find(all.get(&key[..at])?, &key[at + 1..])?;
        place.insert(0, &key[..at]);
        Some((place, found))
    })
}

impl Document {
    pub fn text(&self, pointer: &str) -> Option<&str> {
        text(&self.value, pointer)
    }

    pub fn number(&self, pointer: &str) -> Option<i64> {
        self.value.pointer(pointer).and_then(Value::as_i64)
    }

    pub fn spec(&self) -> &Value {
        self.value.get("spec").unwrap_or(&Value::Null)
    }

    pub fn uid(&self) -> &str {
        self.text("/metadata/uid").unwrap_or_default()
    }

    pub fn resource_version(&self) -> &str {
        self.text("/metadata/resourceVersion").unwrap_or_default()
    }

    pub fn generation(&self) -> i64 {
        self.number("/metadata/generation").unwrap_or_default()
    }

    pub fn observed_generation(&self) -> Option<i64> {
        self.number("/status/observedGeneration")
    }

    pub fn name(&self) -> &str {
        &self.named.name
    }

    /// It has a job of its own.
    pub fn has_job(&self) -> bool {
        self.spec().get("job").is_some_and(Value::is_object)
    }

    pub fn wants_suspended(&self) -> bool {
        text(self.spec(), "/job/state") == Some("suspended")
    }

    pub fn upgrade_mode(&self) -> &str {
        text(self.spec(), "/job/upgradeMode").unwrap_or("stateless")
    }

    /// State of its job, as the operator says.
    pub fn job_state(&self) -> &str {
        self.text("/status/jobStatus/state").unwrap_or("not known")
    }

    pub fn runs(&self) -> bool {
        self.job_state() == "RUNNING"
    }

    pub fn job_id(&self) -> Option<JobId> {
        self.text("/status/jobStatus/jobId")?.parse().ok()
    }

    pub fn lifecycle(&self) -> &str {
        self.text("/status/lifecycleState").unwrap_or("CREATED")
    }

    pub fn is_deleting(&self) -> bool {
        self.text("/metadata/deletionTimestamp").is_some()
    }

    pub fn finalizers(&self) -> Vec<&str> {
        let all = self.value.pointer("/metadata/finalizers").and_then(Value::as_array);
        all.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The spec that the operator last carried out.
    pub fn reconciled(&self) -> Option<Value> {
        let recorded = self.text("/status/reconciliationStatus/lastReconciledSpec")?;
        let document: Value = serde_json::from_str(recorded).ok()?;
        document.get("spec").cloned()
    }

    /// The operator has carried out these fields of the spec and is not at it any more.
    pub fn has_carried_out(&self, spec: &Value) -> bool {
        self.text("/status/reconciliationStatus/state") != Some("UPGRADING")
            && self.reconciled().is_some_and(|recorded| holds(&recorded, spec))
    }

    /// Suspended, by the spec and by what the operator did. A cancellation that nobody waits for leaves the lifecycle at UPGRADING
    /// (`operator.md` §4.3).
    pub fn is_suspended(&self) -> bool {
        let recorded = self.reconciled().is_some_and(|spec| text(&spec, "/job/state") == Some("suspended"));
        let ended = matches!(self.job_state(), "CANCELED" | "FINISHED" | "FAILED");
        self.wants_suspended() && recorded && (self.lifecycle() == "SUSPENDED" || ended)
    }

    /// The state that the operator would restore from, if it has a path.
    pub fn state_path(&self) -> Option<&str> {
        let places =
            ["/status/jobStatus/upgradeSavepointPath", "/status/jobStatus/savepointInfo/lastSavepoint/location"];
        places.iter().find_map(|place| self.text(place)).filter(|path| *path != LAST_STATE)
    }

    /// What the operator complains of: its outermost words and the deepest cause, in one line.
    pub fn error(&self) -> Option<String> {
        self.text("/status/error").map(sentence)
    }

    /// A key of its `flinkConfiguration`, in whatever spelling.
    pub fn setting(&self, key: &str) -> Option<String> {
        let (_, value) = find(self.spec().get("flinkConfiguration")?, key)?;
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
            _ => None,
        }
    }

    /// A key of its `flinkConfiguration` with a value, in the spelling in which [`setting`](Self::setting) finds it; flat if it is not
    /// there.
    pub fn spelled(&self, key: &str, value: &str) -> Value {
        let found = self.spec().get("flinkConfiguration").and_then(|all| find(all, key));
        let place = found.map_or_else(|| vec![key], |(place, _)| place);
        place.into_iter().rev().fold(Value::from(value), |inner, part| serde_json::json!({ part: inner }))
    }

    /// How it stands, in the operator's words.
    pub fn word(&self) -> String {
        let mut word = match (self.has_job(), self.text("/status/jobManagerDeploymentStatus")) {
            (true, Some(job_manager)) => {
                format!("{} · JobManager {job_manager} · job {}", self.lifecycle(), self.job_state())
            }
            (true, None) => format!("{} · job {}", self.lifecycle(), self.job_state()),
            (false, job_manager) => format!("{} · JobManager {}", self.lifecycle(), job_manager.unwrap_or("not known")),
        };
        if let Some(error) = self.error() {
            word.push_str(": ");
            word.push_str(&error);
        }
        if self.is_behind() {
            word.push_str("; the operator has not taken up the change yet");
        }
        word
    }

    /// The spec was changed and the operator has not said that it saw it.
    pub fn is_behind(&self) -> bool {
        self.observed_generation().is_some_and(|observed| observed != self.generation())
    }

    /// A FlinkBlueGreenDeployment that owns it.
    pub fn blue_green(&self) -> Option<&str> {
        let owners = self.value.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        let owner = owners?.iter().find(|o| text(o, "/kind") == Some("FlinkBlueGreenDeployment"))?;
        text(owner, "/name")
    }

    /// Who applies fields of `spec.job` on the server's side and will insist on them.
    pub fn insists_on_job(&self) -> Vec<&str> {
        let all = self.value.pointer("/metadata/managedFields").and_then(Value::as_array);
        let owns = |m: &&Value| {
            text(m, "/operation") == Some("Apply")
                && m.pointer("/fieldsV1/f:spec/f:job").is_some()
                && text(m, "/manager") != Some("flightdeck")
        };
        all.into_iter().flatten().filter(owns).filter_map(|m| text(m, "/manager")).collect()
    }
}

/// The operator's error document in one line (`operator.md` §1.10); plain text as it is.
pub(super) fn sentence(error: &str) -> String {
    let document: Option<Value> = serde_json::from_str(error).ok();
    let message = |value: &Value| text(value, "/message").map(str::to_owned);
    let told = document.as_ref().and_then(|document| {
        let outer = message(document)?;
        let causes = document.get("throwableList").and_then(Value::as_array);
        let deepest = causes.and_then(|causes| causes.last()).and_then(message);
        Some(match deepest.filter(|deepest| !outer.contains(deepest.as_str())) {
            Some(deepest) => format!("{outer}: {deepest}"),
            None => outer,
        })
    });
    one_line(&told.unwrap_or_else(|| error.to_owned()))
}

/// One line of bounded length without control characters.
pub(super) fn one_line(text: &str) -> String {
    text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_is_held_when_each_of_its_fields_is_as_it_says() {
        let document = json!({"job": {"state": "running", "nonce": 7}, "image": "a"});
        assert!(holds(&document, &json!({"job": {"nonce": 7}})));
        assert!(holds(&document, &json!({"job": {"gone": null}})));
        assert!(!holds(&document, &json!({"job": {"nonce": 8}})));
        assert!(!holds(&document, &json!({"job": {"state": null}})));
        assert!(!holds(&document, &json!({"job": {"path": "s3://a"}})));
    }

    #[test]
    fn an_error_is_its_outermost_words_and_its_deepest_cause() {
        let error = json!({"type": "X", "message": "Savepoint failed", "throwableList": [
            {"message": "Savepoint failed"}, {"message": "no such\nbucket"}]});
        assert_eq!(sentence(&error.to_string()), "Savepoint failed: no such bucket");
        assert_eq!(sentence("Job Not Found"), "Job Not Found");
    }

    #[test]
    fn a_setting_is_found_and_written_in_every_spelling() {
        let of = |configuration: Value| Document {
            named: ObjectName::new(crate::domain::objects::ObjectKind::FlinkDeployment, "a", "b"),
            value: json!({"spec": {"flinkConfiguration": configuration}}),
        };
        let key = "execution.checkpointing.savepoint-dir";
        for (configuration, written) in [
            (json!({key: "s3://a"}), json!({key: "s3://b"})),
            (
                json!({"execution": {"checkpointing": {"savepoint-dir": "s3://a"}}}),
                json!({"execution": {"checkpointing": {"savepoint-dir": "s3://b"}}}),
            ),
            (
                json!({"execution": {"checkpointing.savepoint-dir": "s3://a"}}),
                json!({"execution": {"checkpointing.savepoint-dir": "s3://b"}}),
            ),
            (
                json!({"execution": {"checkpointing": null}, "execution.checkpointing": {"savepoint-dir": "s3://a"}}),
                json!({"execution.checkpointing": {"savepoint-dir": "s3://b"}}),
            ),
            (
                json!({key: null, "execution": {"checkpointing.savepoint-dir": "s3://a"}}),
                json!({"execution": {"checkpointing.savepoint-dir": "s3://b"}}),
            ),
        ] {
            let document = of(configuration);
            assert_eq!(document.setting(key).as_deref(), Some("s3://a"), "{document:?}");
            assert_eq!(document.spelled(key, "s3://b"), written, "{document:?}");
        }
        let mixed = of(
            json!({"kubernetes": {"operator.savepoint.cleanup.enabled": false}, "state": {"backend.type": "rocksdb"}}),
        );
        assert_eq!(mixed.setting("kubernetes.operator.savepoint.cleanup.enabled").as_deref(), Some("false"));
        assert_eq!(mixed.setting("state.backend.type").as_deref(), Some("rocksdb"));
        assert_eq!(mixed.setting("state.backend"), None);
        assert_eq!(mixed.spelled("state.backend", "hashmap"), json!({"state.backend": "hashmap"}));
        assert_eq!(of(Value::Null).spelled(key, "s3://b"), json!({key: "s3://b"}));
    }

    #[test]
    fn the_mark_for_the_last_state_is_no_path() {
        let of = |status: Value| Document {
            named: ObjectName::new(crate::domain::objects::ObjectKind::FlinkDeployment, "a", "b"),
            value: json!({"status": {"jobStatus": status}}),
        };
        assert_eq!(of(json!({"upgradeSavepointPath": "KUBERNETES_OPERATOR_LAST_STATE"})).state_path(), None);
        let both =
            json!({"upgradeSavepointPath": LAST_STATE, "savepointInfo": {"lastSavepoint": {"location": "s3://old"}}});
        assert_eq!(of(both).state_path(), None, "what is older is not what it would restore");
        assert_eq!(of(json!({"upgradeSavepointPath": "s3://a"})).state_path(), Some("s3://a"));
        assert_eq!(
            of(json!({"savepointInfo": {"lastSavepoint": {"location": "s3://b"}}})).state_path(),
            Some("s3://b")
        );
    }
}
