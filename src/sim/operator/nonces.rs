//! Savepoints and checkpoints that the spec asks for by a nonce (`operator.md` §4.5): a FlinkStateSnapshot, or fields of the status.

use serde_json::{Value, json};

use super::events::Event;
use super::rfc3339_millis;
use super::spec;
use super::status::{LegacySnapshot, LegacyTrigger};
use super::subject::{Around, OPERATOR, Subject};
use crate::sim::checkpoints::Kind as SnapshotKind;
use crate::sim::cluster::Progress;
use crate::sim::kubernetes::kinds::Kind;
use crate::sim::kubernetes::store::{Key, Part, Write};
use crate::sim::world::TriggerOptions;

/// The kinds of trigger: nonce, word, reason of the event when it fails, and what it makes.
const SORTS: [(&str, &str, &str, SnapshotKind); 2] = [
    ("savepointTriggerNonce", "savepoint", "SavepointError", SnapshotKind::Savepoint),
    ("checkpointTriggerNonce", "checkpoint", "CheckpointError", SnapshotKind::Checkpoint),
];

impl Subject {
    /// Snapshots are resources of their own.
    pub(super) fn uses_snapshots(&self, around: &Around<'_>, spec: &Value) -> bool {
        around.timing.release.snapshots() && self.options(around, spec).switch("snapshot.resource.enabled", true)
    }

    /// Starts what a new nonce asks for.
    pub(super) fn trigger_by_nonce(&mut self, around: &Around<'_>, spec: &Value, recorded: &Value, generation: i64) {
        for (nonce, word, reason, sort) in SORTS {
            let wanted = spec["job"][nonce].as_i64();
            if wanted.is_none() || wanted == recorded["job"][nonce].as_i64() {
                continue;
            }
            if self.status.job_state != Some("RUNNING") {
                continue;
            }
            if self.uses_snapshots(around, spec) {
                self.create_snapshot(around, spec, word, "manual", None);
                self.handled(around, nonce, wanted, generation);
                continue;
            }
            let pending =
                if sort == SnapshotKind::Savepoint { &self.status.savepoints } else { &self.status.checkpoints };
            if pending.pending.is_some() {
                continue;
            }
            let dir = self.options(around, spec).savepoint_dir().map(str::to_owned);
            if sort == SnapshotKind::Savepoint && dir.is_none() {
                self.say(around, &Event::warning(reason, OPERATOR, "Savepoint directory is not configured"));
                continue;
            }
            let (name, id) = (self.cluster(spec).to_owned(), self.status.job_id);
            let options = TriggerOptions {
                target: dir.filter(|_| word == "savepoint").unwrap_or_default(),
                ..TriggerOptions::default()
            };
            let trigger = around.server.world().with(|w| id.and_then(|id| w.trigger(&name, id, sort, options)));
            let Some(trigger) = trigger else { continue };
            let format = if sort == SnapshotKind::Savepoint { "CANONICAL" } else { "FULL" };
            let snapshot = LegacySnapshot { at: around.now, location: None, trigger: "MANUAL", format, nonce: wanted };
            let info = if sort == SnapshotKind::Savepoint {
                &mut self.status.savepoints
            } else {
                &mut self.status.checkpoints
            };
            info.pending = Some(LegacyTrigger { id: trigger, snapshot });
        }
    }

    /// Looks what became of a trigger in the status.
    pub(super) fn observe_snapshots(&mut self, around: &Around<'_>, spec: &Value) {
        for (nonce, word, reason, sort) in SORTS {
            let savepoint = sort == SnapshotKind::Savepoint;
            let info = if savepoint { &mut self.status.savepoints } else { &mut self.status.checkpoints };
            let Some(pending) = info.pending.clone() else { continue };
            let name = self.cluster(spec).to_owned();
            let progress = around.server.world().with(|w| w.operation(&name, pending.id).map(|o| o.progress.clone()));
            let info = if savepoint { &mut self.status.savepoints } else { &mut self.status.checkpoints };
            let wanted = pending.snapshot.nonce;
            match progress {
                Some(Progress::InProgress) => {}
                Some(Progress::Savepoint(path)) => {
                    info.complete(LegacySnapshot { location: Some(path), ..pending.snapshot });
                    self.handled(around, nonce, wanted, self.status.observed_generation.unwrap_or_default());
                }
                Some(Progress::Checkpoint(_)) => {
                    info.complete(pending.snapshot);
                    self.handled(around, nonce, wanted, self.status.observed_generation.unwrap_or_default());
                }
                Some(Progress::Disposed | Progress::Failed(..)) | None => {
                    info.pending = None;
                    let number = wanted.unwrap_or_default();
                    let sort = if savepoint { "Savepoint" } else { "Checkpoint" };
                    let why = format!("{sort} failed for {word}TriggerNonce: {number}");
                    self.say(around, &Event::warning(reason, OPERATOR, why));
                    // Within the grace period it is tried again, with a time of its own.
                    let grace = self.options(around, spec).millis(&format!("{word}.trigger.grace-period"), 60_000);
                    if around.now - pending.snapshot.at > grace {
                        self.handled(around, nonce, wanted, self.status.observed_generation.unwrap_or_default());
                    }
                }
            }
        }
    }

    /// The nonce is written into the record: DEPLOYED until the next observation.
    fn handled(&mut self, around: &Around<'_>, nonce: &str, value: Option<i64>, generation: i64) {
        let Some(mut recorded) = self.status.recorded_spec() else { return };
        recorded["job"][nonce] = value.map_or(Value::Null, Value::from);
        let first = self.status.first_deployment();
        self.status.record(&recorded, first, generation, around.now);
    }

    /// Creates a FlinkStateSnapshot of this job; one with a path only registers what exists.
    pub(super) fn create_snapshot(&self, around: &Around<'_>, spec: &Value, word: &str, why: &str, path: Option<&str>) {
        let snapshot = Kind::FlinkStateSnapshot;
        let name = format!("{}-{word}-{why}-{}", self.key.name, around.now);
        let target = self.key.kind.info().name;
        let mut body = json!({"jobReference": {"kind": target, "name": self.key.name}});
        if word == "savepoint" {
            let dispose = why != "upgrade" || self.options(around, spec).switch("savepoint.dispose-on-delete", false);
            body["savepoint"] =
                json!({"formatType": "CANONICAL", "disposeOnDelete": dispose, "alreadyExists": path.is_some()});
            if let Some(path) = path {
                body["savepoint"]["path"] = path.into();
            }
        } else {
            body["checkpoint"] = json!({});
        }
        let labels = json!({
            "snapshot.type": word.to_uppercase(), "snapshot.trigger-type": why.to_uppercase(),
            "job-reference.kind": target, "job-reference.name": self.key.name,
        });
        let key = Key::new(snapshot, &self.key.namespace, &name);
        let meta = json!({"labels": labels, "finalizers": [format!("{}/finalizer", snapshot.resource())]});
        around.server.with_store(|store, now| {
            if let Err(failure) = store.create(key.clone(), json!({"metadata": meta, "spec": body}), now, Write::Real) {
                tracing::debug!("{name} was not created: {}", failure.message);
                return;
            }
            let Some(path) = path else { return };
            let _ = store.update(&key, Part::Status, now, Write::Real, |object| {
                object["status"] = json!({
                    "state": "COMPLETED", "path": path, "failures": 0, "resultTimestamp": rfc3339_millis(now),
                });
                Ok(())
            });
        });
    }

    /// The job of the subject as a snapshot of it needs it: cluster and id, if it runs.
    pub(super) fn running_job(&self, object: &Value) -> Option<(String, crate::domain::ids::JobId)> {
        let running = self.status.job_state == Some("RUNNING");
        let name = self.cluster(&spec::complete(self.key.kind, &object["spec"])).to_owned();
        self.status.job_id.filter(|_| running).map(|id| (name, id))
    }
}
