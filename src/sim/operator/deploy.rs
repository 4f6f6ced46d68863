//! Submitting a job, with the cluster it needs (`operator.md` §4.2, §4.7), and the HA metadata of a cluster (§6.1).

use serde_json::{Value, json};

use super::events::Event;
use super::spec;
use super::subject::{Around, LAST_STATE, Phase, Purpose, Subject};
use crate::sim::cluster::Cluster;
use crate::sim::job::Restore;
use crate::sim::kubernetes::kinds::Kind;
use crate::sim::kubernetes::store::{Key, Part, Write};
use crate::sim::world::Submission;

impl Subject {
    /// Assigns the job id and begins to submit; what it is to be is written before.
    pub(super) fn start_submitting(&mut self, around: &Around<'_>, purpose: Purpose) {
        let by_ha = self.status.upgrade_savepoint_path.as_deref() == Some(LAST_STATE);
        let anew = match purpose {
            // The redeploy of a deployment assigned it when its cluster was gone.
            Purpose::Redeploy => around.timing.release.snapshots() && !self.owns_cluster(),
            Purpose::Ordinary | Purpose::Recover | Purpose::Rollback if by_ha => false,
            _ if around.timing.release.snapshots() => true,
            _ => self.upgrade_mode == "stateless",
        };
        let has_job = self.has_job(around);
        if has_job && (anew || self.status.job_id.is_none()) {
            self.assign_job_id();
            if purpose != Purpose::Redeploy {
                self.write(around, has_job);
            }
        }
        self.say(around, &Event::normal("Submit", self.component(), "Starting deployment"));
        self.phase = Phase::Submitting { at: around.now + around.timing.submit, purpose };
    }

    fn has_job(&self, around: &Around<'_>) -> bool {
        around.server.get(&self.key).is_some_and(|o| o.pointer("/spec/job").is_some_and(Value::is_object))
    }

    /// Creates the cluster (of a session job: nothing) and submits the job.
    pub(super) fn submit(&mut self, around: &Around<'_>, wanted: &Value, generation: i64, purpose: Purpose) {
        self.phase = Phase::Steady;
        let stable = (purpose == Purpose::Rollback).then(|| self.status.stable_spec()).flatten();
        let spec = stable.as_ref().unwrap_or(wanted);
        let (owns, name) = (self.owns_cluster(), self.cluster(spec).to_owned());
        let first = self.status.first_deployment() && self.status.last_stable.is_none();
        let blueprint = around.blueprints.cluster(&name);
        let has_job = spec["job"].is_object();
        let program = if has_job { around.blueprints.job(spec).cloned() } else { None };
        if !owns && !around.server.world().with(|w| w.cluster(&name).is_some_and(Cluster::is_up)) {
            return;
        }
        let path = self.restore_path();
        let id = self.status.job_id.filter(|_| has_job);
        let namespace = self.key.namespace.clone();
        let outcome = around.server.world().with(|world| {
            if owns {
                if world.cluster(&name).is_some() {
                    return Err(format!("deployments.apps \"{name}\" already exists"));
                }
                let mut cluster = spec::cluster(&name, spec, &blueprint);
                cluster.namespace.clone_from(&namespace);
                world.create_cluster(cluster, false)?;
            }
            match &program {
                None => Ok(None),
                Some(program) => {
                    // `pipeline.name` of an application is the name of its resource.
                    let mut program = program.clone();
                    if owns && program.name != name {
                        program.program = std::mem::replace(&mut program.name, name.clone());
                    }
                    let restore = path.as_ref().map_or(Restore::Nothing, |path| world.restore_from(path));
                    let overrides = spec::parallelism(spec, &program);
                    world.submit_as(&name, program, Submission { id, overrides, restore }).map(Some)
                }
            }
        });
        if let Err(why) = outcome {
            self.fail(around, &why);
            return self.write(around, has_job);
        }
        if has_job {
            self.status.assume("RECONCILING");
        }
        if owns {
            self.status.job_manager = Some("DEPLOYING");
            self.ready_at = None;
            self.has_started = false;
        }
        self.exceptions_until = around.now;
        if purpose == Purpose::Rollback {
            return self.write(around, has_job);
        }
        self.status.reconcile_state = "DEPLOYED";
        self.status.error = None;
        let recorded = self.with_mode(spec);
        self.record(around, &recorded, first, generation);
        if purpose == Purpose::Redeploy {
            // Stable at once: no automatic rollback after a redeploy (`operator.md` §3.2).
            self.status.mark_stable();
        }
        if owns {
            self.expect_task_managers();
        }
        self.write(around, has_job);
    }

    /// The path that the next deployment restores.
    fn restore_path(&self) -> Option<String> {
        match self.status.upgrade_savepoint_path.as_deref() {
            _ if self.upgrade_mode == "stateless" => None,
            Some(LAST_STATE) => self.ha_checkpoint.as_ref().map(|(_, path)| path.clone()),
            path => path.map(str::to_owned),
        }
    }

    /// The autoscaler's ConfigMap: there for every job, empty while nothing is scaled (`operator.md` §7.4).
    pub(super) fn keep_autoscaler_map(&self, around: &Around<'_>) {
        let name = format!("autoscaler-{}", self.key.name);
        let owner = super::documents::owner_of(&self.key, &self.uid, false);
        let labels = json!({"app": self.key.name, "component": "autoscaler"});
        around.server.with_store(|store, now| {
            super::objects::ensure(
                store,
                &Key::new(Kind::ConfigMap, &self.key.namespace, &name),
                now,
                || json!({"metadata": {"labels": labels, "ownerReferences": [owner]}, "data": {}}),
            );
        });
    }

    fn ha_map(&self) -> Option<Key> {
        let id = self.status.job_id?;
        Some(Key::new(Kind::ConfigMap, &self.key.namespace, &format!("{}-{id}-config-map", self.key.name)))
    }

    /// The job's HA metadata are there.
    pub(super) fn ha_metadata(&self, around: &Around<'_>) -> bool {
        self.ha_map().is_some_and(|key| around.server.get(&key).is_some())
    }

    /// Writes the HA metadata as the JobManager does, while the job runs with high availability.
    pub(super) fn keep_ha(&self, around: &Around<'_>, spec: &Value) {
        let alive = self.status.job_manager == Some("READY") && !self.status.job_is_terminal();
        let Some(job_map) = self.ha_map().filter(|_| alive && self.owns_cluster() && self.options(around, spec).ha())
        else {
            return;
        };
        let (name, id) = (&self.key.name, self.status.job_id.map(|id| id.to_string()).unwrap_or_default());
        let labels = json!({"app": name, "configmap-type": "high-availability", "type": "flink-native-kubernetes"});
        let mut data = json!({"counter": "1"});
        if let Some((number, path)) = &self.ha_checkpoint {
            data["counter"] = (number + 1).to_string().into();
            data[format!("checkpointID-{number:019}")] = path.as_str().into();
        }
        let cluster_map = Key::new(Kind::ConfigMap, &self.key.namespace, &format!("{name}-cluster-config-map"));
        let graph = if spec::text(spec, "/flinkVersion").is_some_and(|v| v.starts_with("v2")) {
            "executionPlan"
        } else {
            "jobGraph"
        };
        let cluster_data = json!({format!("{graph}-{id}"): format!("{id}.graph"), "org.apache.flink.k8s.leader.restserver": format!("{name}-rest")});
        for (key, data) in [(job_map, data), (cluster_map, cluster_data)] {
            around.server.with_store(|store, now| {
                let changed = store.update(&key, Part::Main, now, Write::Real, |object| {
                    object["data"] = data.clone();
                    Ok(())
                });
                if changed.is_err() {
                    let _ = store.create(key, json!({"metadata": {"labels": labels}, "data": data}), now, Write::Real);
                }
            });
        }
    }

    /// Deletes the HA metadata, and whatever else has the labels that the operator goes by (`operator.md` §5.2).
    pub(super) fn forget_ha(&mut self, around: &Around<'_>) {
        let wanted = |labels: &Value| {
            let is = |name: &str, value: &str| labels.get(name).and_then(Value::as_str) == Some(value);
            is("app", &self.key.name)
                && is("type", "flink-native-kubernetes")
                && if around.timing.release.reset_nonce() {
                    !is("component", "autoscaler")
                } else {
                    is("configmap-type", "high-availability")
                }
        };
        around.server.with_store(|store, now| {
            let all: Vec<Key> = store
                .list(Kind::ConfigMap, &self.key.namespace)
                .filter(|(_, map)| map.pointer("/metadata/labels").is_some_and(wanted))
                .map(|(key, _)| key.clone())
                .collect();
            for key in all {
                let _ = store.delete(&key, now, Write::Real);
            }
        });
        self.ha_checkpoint = None;
    }
}
