//! FlinkStateSnapshots (`operator.md` §1.12): triggered, polled, retried with back-off, abandoned, disposed of when deleted.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::events::{Event, emit};
use super::status::Trouble;
use super::subject::{Around, Subject};
use super::{rfc3339_millis, spec};
use crate::sim::checkpoints::Kind as SnapshotKind;
use crate::sim::cluster::Progress;
use crate::sim::kubernetes::kinds::Kind;
use crate::sim::kubernetes::store::{Key, Part, Write};
use crate::sim::world::TriggerOptions;

/// Component of its events.
const SNAPSHOT: &str = "Snapshot";

/// One snapshot under reconciliation.
#[derive(Debug)]
pub(super) struct Snapshot {
    key: Key,
    pub uid: String,
    pub seen_generation: i64,
    /// When its next loop is due, epoch milliseconds.
    pub due: i64,
    trigger: Option<u128>,
}

impl Snapshot {
    pub(super) fn new(key: Key, uid: String, seen_generation: i64, due: i64) -> Self {
        Self { key, uid, seen_generation, due, trigger: None }
    }

    fn say(&self, around: &Around<'_>, event: &Event) {
        emit(around.server, &self.key, &self.uid, event);
    }

    /// One loop.
    pub(super) fn turn(&mut self, around: &Around<'_>, object: &Value, subjects: &BTreeMap<Key, Subject>) {
        self.due = around.now + around.timing.reconcile;
        let target = self.target(object).and_then(|key| {
            let resource = around.server.get(&key)?;
            Some((subjects.get(&key)?, resource))
        });
        if object.pointer("/metadata/deletionTimestamp").is_some() {
            return self.delete(around, object, target.as_ref().map(|(s, o)| (*s, &**o)));
        }
        let mut status = object.get("status").and_then(Value::as_object).cloned().unwrap_or_default();
        let state = status.get("state").and_then(Value::as_str).unwrap_or("TRIGGER_PENDING").to_owned();
        if !matches!(state.as_str(), "TRIGGER_PENDING" | "IN_PROGRESS") {
            self.due = i64::MAX / 4;
            return self.write(around, object, status);
        }
        status.insert("state".into(), state.as_str().into());
        status.entry("failures").or_insert_with(|| 0.into());
        if let Some(why) = self.invalid(object, target.is_some() || state != "TRIGGER_PENDING") {
            let error = Trouble { class: "ValidationException", message: &why, ..Trouble::default() };
            status.insert("error".into(), error.document().into());
            self.say(around, &Event::warning("ValidationError", SNAPSHOT, why));
            return self.write(around, object, status);
        }
        let exists = object.pointer("/spec/savepoint/alreadyExists").and_then(Value::as_bool).unwrap_or(false);
        if exists {
            let path = spec::text(object, "/spec/savepoint/path").unwrap_or_default();
            self.complete(around, &mut status, path);
            return self.write(around, object, status);
        }
        let job = target.as_ref().and_then(|(subject, resource)| subject.running_job(resource));
        let Some((cluster, id)) = job else {
            let (kind, name) =
                (spec::text(object, "/spec/jobReference/kind"), spec::text(object, "/spec/jobReference/name"));
            let why =
                format!("Snapshot abandoned: {} {} is not running", kind.unwrap_or_default(), name.unwrap_or_default());
            status.insert("state".into(), "ABANDONED".into());
            self.say(around, &Event::warning("SnapshotAbandoned", SNAPSHOT, why));
            return self.write(around, object, status);
        };
        if state == "TRIGGER_PENDING" {
            self.trigger(around, object, &mut status, &cluster, id, target.as_ref().map(|(s, o)| (*s, &**o)));
        } else {
            self.poll(around, object, &mut status, &cluster);
        }
        self.write(around, object, status);
    }

    fn trigger(
        &mut self,
        around: &Around<'_>,
        object: &Value,
        status: &mut Map<String, Value>,
        cluster: &str,
        id: crate::domain::ids::JobId,
        target: Option<(&Subject, &Value)>,
    ) {
        let checkpoint = object.pointer("/spec/checkpoint").is_some_and(|c| !c.is_null());
        let asked = spec::text(object, "/spec/savepoint/path").map(str::to_owned);
        let configured = target.and_then(|(subject, resource)| {
            let options = subject.options(around, &resource["spec"]);
            options.savepoint_dir().map(str::to_owned)
        });
        let folder = asked.or(configured);
        if !checkpoint && folder.is_none() {
            let why = "Either the savepoint path in the spec or configuration execution.checkpointing.savepoint-dir in the Flink resource has to be supplied";
            return self.failed(around, object, status, why);
        }
        let options = TriggerOptions {
            target: folder.filter(|_| !checkpoint).unwrap_or_default(),
            native: spec::text(object, "/spec/savepoint/formatType") == Some("NATIVE"),
            ..TriggerOptions::default()
        };
        let sort = if checkpoint { SnapshotKind::Checkpoint } else { SnapshotKind::Savepoint };
        match around.server.world().with(|world| world.trigger(cluster, id, sort, options)) {
            None => self.failed(around, object, status, "java.net.ConnectException: Connection refused"),
            Some(trigger) => {
                self.trigger = Some(trigger);
                status.insert("state".into(), "IN_PROGRESS".into());
                status.insert("triggerId".into(), format!("{trigger:032x}").into());
                status.insert("triggerTimestamp".into(), rfc3339_millis(around.now).into());
                status.remove("error");
                self.due = around.now + around.timing.progress;
            }
        }
    }

    fn poll(&mut self, around: &Around<'_>, object: &Value, status: &mut Map<String, Value>, cluster: &str) {
        let known = status.get("triggerId").and_then(Value::as_str);
        let trigger = self.trigger.or_else(|| u128::from_str_radix(known?, 16).ok());
        let progress =
            around.server.world().with(|w| trigger.and_then(|t| w.operation(cluster, t)).map(|o| o.progress.clone()));
        self.due = around.now + around.timing.progress;
        match progress {
            Some(Progress::InProgress) => {}
            Some(Progress::Savepoint(path)) => self.complete(around, status, &path),
            Some(Progress::Checkpoint(number)) => {
                let path = around.server.world().with(|w| {
                    let jobs = w.cluster(cluster).map(|c| c.jobs.as_slice()).unwrap_or_default();
                    let found =
                        jobs.iter().filter_map(|j| j.checkpoints.restore_point()).find(|(_, id, _)| *id == number);
                    found.map(|(path, ..)| path)
                });
                if path.is_none() {
                    let why = format!("Could not find the external path of checkpoint {number}");
                    self.say(around, &Event::warning("CheckpointError", SNAPSHOT, why));
                }
                self.complete(around, status, &path.unwrap_or_default());
            }
            Some(Progress::Failed(class, message)) => {
                self.failed(around, object, status, &format!("{class}: {message}"));
            }
            Some(Progress::Disposed) | None => self.failed(around, object, status, "The trigger is not known any more"),
        }
    }

    fn complete(&mut self, around: &Around<'_>, status: &mut Map<String, Value>, path: &str) {
        status.insert("state".into(), "COMPLETED".into());
        status.insert("path".into(), path.into());
        status.insert("resultTimestamp".into(), rfc3339_millis(around.now).into());
        status.remove("error");
        self.due = i64::MAX / 4;
    }

    /// One more failure: tried again after 10 s, 20 s, 40 s …, until the back-off limit is passed.
    fn failed(&mut self, around: &Around<'_>, object: &Value, status: &mut Map<String, Value>, why: &str) {
        let failures = status.get("failures").and_then(Value::as_u64).unwrap_or_default() + 1;
        let limit = object.pointer("/spec/backoffLimit").and_then(Value::as_i64).unwrap_or(-1);
        let savepoint = object.pointer("/spec/savepoint").is_some_and(|s| !s.is_null());
        let reason = if savepoint { "SavepointError" } else { "CheckpointError" };
        let error = Trouble { class: "ReconciliationException", message: why, ..Trouble::default() };
        status.insert("failures".into(), failures.into());
        status.insert("error".into(), error.document().into());
        self.say(around, &Event::warning(reason, SNAPSHOT, why));
        self.trigger = None;
        if limit >= 0 && failures > limit.unsigned_abs() {
            status.insert("state".into(), "FAILED".into());
            self.due = i64::MAX / 4;
        } else {
            status.insert("state".into(), "TRIGGER_PENDING".into());
            self.due = around.now + 10_000 * (1_i64 << (failures - 1).min(16));
        }
    }

    fn invalid(&self, object: &Value, target: bool) -> Option<String> {
        let has = |name: &str| object.pointer(&format!("/spec/{name}")).is_some_and(|v| !v.is_null());
        if has("savepoint") == has("checkpoint") {
            return Some("Exactly one of checkpoint or savepoint specifications has to be defined.".to_owned());
        }
        if object.pointer("/spec/savepoint/alreadyExists").and_then(Value::as_bool) == Some(true) {
            return None;
        }
        if self.target(object).is_none() {
            return Some("Job reference must be supplied for this snapshot".to_owned());
        }
        let (kind, name) =
            (spec::text(object, "/spec/jobReference/kind"), spec::text(object, "/spec/jobReference/name"));
        (!target).then(|| {
            format!("Target for snapshot {} {} was not found", kind.unwrap_or_default(), name.unwrap_or_default())
        })
    }

    fn target(&self, object: &Value) -> Option<Key> {
        let kind = match spec::text(object, "/spec/jobReference/kind")? {
            "FlinkDeployment" => Kind::FlinkDeployment,
            "FlinkSessionJob" => Kind::FlinkSessionJob,
            _ => return None,
        };
        Some(Key::new(kind, &self.key.namespace, spec::text(object, "/spec/jobReference/name")?))
    }

    fn delete(&mut self, around: &Around<'_>, object: &Value, target: Option<(&Subject, &Value)>) {
        self.due = around.now + around.timing.progress;
        let state = spec::text(object, "/status/state").unwrap_or("TRIGGER_PENDING");
        if state == "IN_PROGRESS" {
            let mut status = object.get("status").and_then(Value::as_object).cloned().unwrap_or_default();
            match target.and_then(|(subject, resource)| subject.running_job(resource)) {
                Some((cluster, _)) => self.poll(around, object, &mut status, &cluster),
                None => {
                    status.insert("state".into(), "ABANDONED".into());
                }
            }
            return self.write(around, object, status);
        }
        let dispose = object.pointer("/spec/savepoint/disposeOnDelete").and_then(Value::as_bool).unwrap_or(true);
        let savepoint = object.pointer("/spec/savepoint").is_some_and(|s| !s.is_null());
        if state == "COMPLETED" && savepoint && dispose {
            let path = spec::text(object, "/status/path").unwrap_or_default().to_owned();
            let Some((cluster, _)) = target.and_then(|(subject, resource)| subject.running_job(resource)) else {
                let why = "The savepoint cannot be disposed of while its job is not running";
                return self.say(around, &Event::warning("CleanupFailed", SNAPSHOT, why));
            };
            around.server.world().with(|world| world.dispose(&cluster, &path, None));
        }
        let finalizer = json!(format!("{}/finalizer", self.key.kind.resource()));
        around.server.with_store(|store, now| {
            let _ = store.update(&self.key, Part::Main, now, Write::Real, |object| {
                if let Some(all) = object.pointer_mut("/metadata/finalizers").and_then(Value::as_array_mut) {
                    all.retain(|f| *f != finalizer);
                }
                Ok(())
            });
        });
    }

    /// Writes the status, and the labels and the finalizer that the operator maintains.
    fn write(&self, around: &Around<'_>, object: &Value, status: Map<String, Value>) {
        let savepoint = object.pointer("/spec/savepoint").is_some_and(|s| !s.is_null());
        let reference =
            |name: &str| spec::text(object, &format!("/spec/jobReference/{name}")).unwrap_or_default().to_owned();
        let state = status.get("state").cloned().unwrap_or_default();
        let finalizer = json!(format!("{}/finalizer", self.key.kind.resource()));
        let deleting = object.pointer("/metadata/deletionTimestamp").is_some();
        around.server.with_store(|store, now| {
            let _ = store.update(&self.key, Part::Main, now, Write::Real, |object| {
                let labels = &mut object["metadata"]["labels"];
                labels["snapshot.type"] = if savepoint { "SAVEPOINT" } else { "CHECKPOINT" }.into();
                if labels.get("snapshot.trigger-type").is_none() {
                    labels["snapshot.trigger-type"] = "MANUAL".into();
                }
                labels["snapshot.state"] = state.clone();
                labels["job-reference.kind"] = reference("kind").into();
                labels["job-reference.name"] = reference("name").into();
                let held = object.pointer("/metadata/finalizers").and_then(Value::as_array);
                if !deleting && held.is_none_or(|f| !f.contains(&finalizer)) {
                    object["metadata"]["finalizers"] = json!([finalizer]);
                }
                Ok(())
            });
            let _ = store.update(&self.key, Part::Status, now, Write::Real, |object| {
                object["status"] = status.clone().into();
                Ok(())
            });
        });
    }
}
