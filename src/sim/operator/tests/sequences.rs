//! Status sequences, write by write, against the tables of `operator.md` §3.3, §4.3, §14.2.

use super::*;

fn with(release: &str, config: &str, mode: &str) -> Bench {
    let scenario = SCENARIO
        .replacen("[operator]", &format!("[operator]\nversion = \"{release}\""), 1)
        .replacen("upgrade-mode = \"savepoint\"", &format!("upgrade-mode = \"{mode}\""), 1)
        .replacen("[[workload.vertex]]", &format!("[workload.application.config]\n{config}\n[[workload.vertex]]"), 1);
    let mut bench = Bench::of(&scenario);
    bench.run(20);
    bench
}

const HA: &str = "\"high-availability.type\" = \"kubernetes\"";

fn restart(bench: &mut Bench) -> (u64, String) {
    let mark = (bench.mark(), bench.job_id(&orders()));
    bench.patch(&orders(), json!({"spec": {"restartNonce": 7}}));
    bench.wait("the loop", |b| b.state(&orders()) != HEALTHY);
    bench.until(&orders(), HEALTHY);
    mark
}

#[test]
fn a_new_resource_is_created_then_deployed_then_stable() {
    let mut bench = Bench::new();
    let mark = bench.mark();
    let key = Key::new(Kind::FlinkDeployment, "flink", "second");
    let mut spec = bench.object(&orders())["spec"].clone();
    spec["job"]["initialSavepointPath"] = Value::Null;
    bench.server.with_store(|s, now| s.create(key.clone(), json!({"spec": spec}), now, Write::Real)).unwrap();
    bench.until(&key, HEALTHY);
    assert_eq!(
        bench.main_story(&key, mark),
        [
            "-/-/-/-",
            "CREATED/MISSING/-/UPGRADING",
            "UPGRADING/MISSING/-/UPGRADING",
            "DEPLOYED/DEPLOYING/RECONCILING/DEPLOYED",
            "DEPLOYED/DEPLOYED_NOT_READY/RECONCILING/DEPLOYED",
            "STABLE/READY/RUNNING/DEPLOYED",
        ]
    );
    assert_eq!(bench.recorded(&key)["resource_metadata"]["firstDeployment"], true);
    assert_eq!(bench.recorded(&key)["spec"]["job"]["upgradeMode"], "stateless", "nothing was restored");
    assert_eq!(
        bench.status(&key, "/reconciliationStatus/lastReconciledSpec"),
        bench.status(&key, "/reconciliationStatus/lastStableSpec")
    );
}

#[test]
fn a_resource_created_suspended_is_left_alone() {
    let mut bench = Bench::new();
    let key = Key::new(Kind::FlinkDeployment, "flink", "second");
    let mut spec = bench.object(&orders())["spec"].clone();
    spec["job"]["state"] = "suspended".into();
    bench.server.with_store(|s, now| s.create(key.clone(), json!({"spec": spec}), now, Write::Real)).unwrap();
    bench.run(20);
    assert_eq!(bench.state(&key), "CREATED/MISSING/-");
}

#[test]
fn an_upgrade_with_a_savepoint_keeps_the_jobmanager_until_the_savepoint_is_there() {
    let mut bench = with("1.12", "", "savepoint");
    let (mark, id) = restart(&mut bench);
    assert_eq!(
        bench.main_story(&orders(), mark),
        [
            "STABLE/READY/RUNNING/DEPLOYED",
            "UPGRADING/READY/FINISHED/UPGRADING",
            "UPGRADING/MISSING/FINISHED/UPGRADING",
            "DEPLOYED/DEPLOYING/RECONCILING/DEPLOYED",
            "DEPLOYED/DEPLOYED_NOT_READY/RECONCILING/DEPLOYED",
            "STABLE/READY/RUNNING/DEPLOYED",
        ]
    );
    assert_ne!(bench.job_id(&orders()), id);
    assert_eq!(bench.recorded(&orders())["spec"]["job"]["upgradeMode"], "savepoint");
    let snapshots = bench.names(Kind::FlinkStateSnapshot);
    assert!(snapshots.iter().any(|n| n.starts_with("orders-savepoint-upgrade-")), "{snapshots:?}");
}

#[test]
fn before_1_10_the_job_keeps_its_id_and_the_status_has_the_history() {
    let mut bench = with("1.9", "", "savepoint");
    let (_, id) = restart(&mut bench);
    assert_eq!(bench.job_id(&orders()), id);
    assert_eq!(bench.status(&orders(), "/jobStatus/upgradeSavepointPath"), Value::Null);
    let last = bench.status(&orders(), "/jobStatus/savepointInfo/lastSavepoint");
    assert_eq!((&last["triggerType"], &last["formatType"]), (&json!("UPGRADE"), &json!("CANONICAL")));
    assert_eq!(bench.status(&orders(), "/jobStatus/savepointInfo/savepointHistory"), json!([last]));
    assert_eq!(bench.names(Kind::FlinkStateSnapshot), [""; 0]);
    assert_eq!(bench.recorded(&orders())["resource_metadata"]["metadata"]["generation"], 2);
}

#[test]
fn last_state_with_high_availability_leaves_the_metadata_and_the_id() {
    let mut bench = with("1.12", HA, "last-state");
    bench.run(20);
    let id = bench.job_id(&orders());
    let map = format!("orders-{id}-config-map");
    assert!(bench.names(Kind::ConfigMap).contains(&map));
    let mark = bench.mark();
    bench.patch(&orders(), json!({"spec": {"restartNonce": 7}}));
    bench.until(&orders(), "UPGRADING/MISSING/FINISHED");
    assert!(bench.names(Kind::ConfigMap).contains(&map), "HA metadata outlive the cluster");
    assert_eq!(bench.status(&orders(), "/jobStatus/upgradeSavepointPath"), "KUBERNETES_OPERATOR_LAST_STATE");
    bench.until(&orders(), HEALTHY);
    assert_eq!(
        bench.main_story(&orders(), mark)[..3],
        [
            "STABLE/READY/RUNNING/DEPLOYED",
            "UPGRADING/MISSING/FINISHED/UPGRADING",
            "DEPLOYED/DEPLOYING/RECONCILING/DEPLOYED"
        ]
    );
    assert_eq!(bench.job_id(&orders()), id);
    let restored = bench.server.world().with(|w| w.cluster("orders").unwrap().jobs[0].checkpoints.restored.clone());
    assert!(restored.is_some_and(|r| !r.is_savepoint), "from the last checkpoint");
}

#[test]
fn last_state_without_high_availability_cancels_first() {
    let mut bench = with("1.12", "", "last-state");
    bench.run(20);
    let (mark, id) = restart(&mut bench);
    assert_eq!(
        bench.main_story(&orders(), mark)[..4],
        [
            "STABLE/READY/RUNNING/DEPLOYED",
            "UPGRADING/READY/CANCELLING/UPGRADING",
            "UPGRADING/READY/CANCELED/UPGRADING",
            "UPGRADING/MISSING/CANCELED/UPGRADING",
        ]
    );
    assert_ne!(bench.job_id(&orders()), id);
    let restored = bench.server.world().with(|w| w.cluster("orders").unwrap().jobs[0].checkpoints.restored.clone());
    assert!(restored.is_some(), "from the last checkpoint");
}

#[test]
fn a_stateless_upgrade_forgets_everything() {
    let mut bench = with("1.12", HA, "stateless");
    let map = format!("orders-{}-config-map", bench.job_id(&orders()));
    let (mark, _) = restart(&mut bench);
    assert_eq!(bench.main_story(&orders(), mark)[1], "UPGRADING/MISSING/FINISHED/UPGRADING");
    assert!(!bench.names(Kind::ConfigMap).contains(&map));
    let restored = bench.server.world().with(|w| w.cluster("orders").unwrap().jobs[0].checkpoints.restored.clone());
    assert!(restored.is_none());
}

#[test]
fn a_redeploy_is_stable_all_the_way() {
    for (release, first) in [("1.12", Some("STABLE/MISSING/FINISHED/DEPLOYED")), ("1.9", None)] {
        let mut bench = with(release, "", "savepoint");
        bench.patch(&orders(), json!({"spec": {"job": {"savepointTriggerNonce": 1}}}));
        bench.run(20);
        let path = bench.server.world().with(|w| {
            w.cluster("orders").unwrap().jobs[0].checkpoints.savepoint.clone().map(|s| match &s.outcome {
                crate::sim::checkpoints::Outcome::Completed { path } => path.clone(),
                _ => String::new(),
            })
        });
        let path = path.expect("a savepoint by nonce");
        let (mark, id) = (bench.mark(), bench.job_id(&orders()));
        bench.patch(&orders(), json!({"spec": {"job": {"initialSavepointPath": path, "savepointRedeployNonce": 5}}}));
        bench.wait("the loop", |b| b.state(&orders()) != HEALTHY);
        bench.until(&orders(), HEALTHY);
        let mut expected = vec!["STABLE/READY/RUNNING/DEPLOYED"];
        expected.extend(first);
        expected.extend([
            "STABLE/DEPLOYING/RECONCILING/DEPLOYED",
            "STABLE/DEPLOYED_NOT_READY/RECONCILING/DEPLOYED",
            "STABLE/READY/RUNNING/DEPLOYED",
        ]);
        assert_eq!(bench.main_story(&orders(), mark), expected, "{release}");
        assert_eq!(bench.job_id(&orders()) == id, release == "1.9", "{release}");
        assert_eq!(bench.recorded(&orders())["spec"]["job"]["savepointRedeployNonce"], 5);
        assert_eq!(bench.recorded(&orders())["spec"]["job"]["upgradeMode"], "savepoint");
        let restored = bench.server.world().with(|w| w.cluster("orders").unwrap().jobs[0].checkpoints.restored.clone());
        assert_eq!(restored.unwrap().path, path);
        assert!(
            bench.events("SpecChanged").iter().any(|(m, _)| m.starts_with("SAVEPOINT_REDEPLOY change(s) detected"))
        );
    }
}

#[test]
fn a_redeploy_from_nothing_is_refused_before_anything_is_stopped() {
    let mut bench = Bench::new();
    bench.patch(&orders(), json!({"spec": {"job": {"savepointRedeployNonce": 5}}}));
    bench.run(20);
    assert_eq!(bench.state(&orders()), HEALTHY);
    let error: Value = serde_json::from_str(bench.status(&orders(), "/error").as_str().unwrap()).unwrap();
    assert!(error["type"].as_str().unwrap().ends_with(".ValidationException"), "{error}");
    assert_eq!(bench.status(&orders(), "/observedGeneration"), 1, "the change was not accepted");
    assert!(!bench.events("ValidationError").is_empty());
}

#[test]
fn suspending_keeps_the_jobmanager_or_not_as_the_mode_says() {
    for (mode, config, state) in [
        ("savepoint", "", "SUSPENDED/READY/FINISHED"),
        ("stateless", "", "SUSPENDED/MISSING/FINISHED"),
        ("last-state", HA, "SUSPENDED/MISSING/FINISHED"),
        ("last-state", "", "UPGRADING/READY/CANCELED"),
    ] {
        let mut bench = with("1.12", config, mode);
        bench.run(15);
        bench.patch(&orders(), json!({"spec": {"job": {"state": "suspended"}}}));
        bench.until(&orders(), state);
        bench.run(40);
        assert_eq!(bench.state(&orders()), state, "{mode} {config}");
        assert_eq!(bench.status(&orders(), "/taskManager/replicas"), 0, "{mode} {config}");
        bench.patch(&orders(), json!({"spec": {"job": {"state": "running"}}}));
        bench.until(&orders(), HEALTHY);
        let restored = bench.server.world().with(|w| w.cluster("orders").unwrap().jobs[0].checkpoints.restored.clone());
        assert_eq!(restored.is_some(), mode != "stateless", "{mode} {config}");
    }
}

#[test]
fn the_jobmanager_of_a_suspended_job_goes_after_a_while() {
    let mut bench = with("1.12", "\"kubernetes.operator.jm-deployment.shutdown-ttl\" = \"60s\"", "savepoint");
    bench.patch(&orders(), json!({"spec": {"job": {"state": "suspended"}}}));
    bench.until(&orders(), "SUSPENDED/READY/FINISHED");
    bench.until(&orders(), "SUSPENDED/MISSING/FINISHED");
    bench.patch(&orders(), json!({"spec": {"job": {"state": "running"}}}));
    bench.until(&orders(), HEALTHY);
}

#[test]
fn a_change_that_needs_nothing_is_seen_only() {
    for (release, passing) in [("1.12", false), ("1.9", true)] {
        let mut bench = with(release, "", "savepoint");
        let mark = bench.mark();
        bench.patch(&orders(), json!({"spec": {"flinkConfiguration": {"job.autoscaler.enabled": "false"}}}));
        bench.run(20);
        let story = bench.story(&orders(), mark);
        assert_eq!(story.contains(&"DEPLOYED/READY/RUNNING/DEPLOYED".to_owned()), passing, "{release}: {story:?}");
        assert_eq!(bench.state(&orders()), HEALTHY);
        assert_eq!(bench.status(&orders(), "/observedGeneration"), 2);
    }
}

#[test]
fn a_job_cancelled_by_hand_is_started_again_or_stays_cancelled() {
    let mut bench = with("1.12", "", "savepoint");
    let cancel = |bench: &Bench| {
        bench.server.world().with(|w| {
            let id = w.cluster("orders").unwrap().jobs[0].id;
            w.cancel("orders", id)
        })
    };
    cancel(&bench);
    bench.wait("the loop", |b| b.state(&orders()) != HEALTHY);
    bench.until(&orders(), HEALTHY);
    let told = bench.events("SpecChanged");
    assert!(told.iter().any(|(m, _)| m.contains("job.state : suspended -> running")), "{told:?}");
    let mut old = with("1.9", "", "savepoint");
    cancel(&old);
    old.run(40);
    assert_eq!(old.state(&orders()), "STABLE/READY/CANCELED");
}

#[test]
fn a_spec_that_does_not_come_up_is_rolled_back() {
    let config = format!(
        "{HA}\n\"kubernetes.operator.deployment.rollback.enabled\" = \"true\"\n\"kubernetes.operator.deployment.readiness.timeout\" = \"30s\""
    );
    let mut bench = with("1.12", &config, "last-state");
    bench.run(15);
    bench.fault(crate::sim::fault::Fault::ImagePullError { cluster: "orders".into() }, 60.0);
    bench.patch(&orders(), json!({"spec": {"image": "flink:nonsense"}}));
    bench.wait("a rollback", |b| b.state(&orders()).starts_with("ROLLING_BACK"));
    bench.until(&orders(), "ROLLED_BACK/READY/RUNNING");
    assert_eq!(bench.object(&orders())["spec"]["image"], "flink:nonsense", "an operator never changes a spec");
    assert!(!bench.events("Rollback").is_empty());
    bench.patch(&orders(), json!({"spec": {"image": "flink:1.20.6"}}));
    bench.until(&orders(), HEALTHY);
}

#[test]
fn the_condition_tells_the_state_from_1_15_on() {
    let mut bench = with("1.15", "", "savepoint");
    bench.run(10);
    let condition = bench.status(&orders(), "/conditions/0");
    assert_eq!(
        (&condition["type"], &condition["status"], &condition["reason"]),
        (&json!("Running"), &json!("True"), &json!("Running"))
    );
    assert_eq!(condition["message"], "Job status RUNNING");
    let session = Key::new(Kind::FlinkDeployment, "flink", "session");
    assert_eq!(bench.status(&session, "/conditions/0/reason"), "JobManagerReady");
    assert_eq!(with("1.14", "", "savepoint").status(&orders(), "/conditions"), Value::Null);
}

#[test]
fn deletion_goes_step_by_step() {
    let mut bench = with("1.12", HA, "last-state");
    bench.run(15);
    let deployment = Key::new(Kind::Deployment, "flink", "orders");
    let pods = |b: &Bench, component: &str| {
        let of = |n: &&String| n.starts_with("orders-") && n.contains("taskmanager") == (component == "tm");
        b.names(Kind::Pod).iter().filter(of).count()
    };
    let mut steps: Vec<String> = Vec::new();
    bench.server.with_store(|store, now| store.delete(&orders(), now, Write::Real)).unwrap();
    for _ in 0..80 {
        bench.clock.advance(TICK);
        bench.operator.tick();
        let step = match bench.server.get(&deployment) {
            None => "gone".to_owned(),
            Some(d) if d.pointer("/metadata/deletionTimestamp").is_some() => {
                format!("deleting, {} TM", pods(&bench, "tm").min(1))
            }
            Some(d) => format!("replicas {}, {} JM", d["spec"]["replicas"], pods(&bench, "jm")),
        };
        if steps.last() != Some(&step) {
            steps.push(step);
        }
    }
    assert_eq!(steps, ["replicas 1, 1 JM", "replicas 0, 1 JM", "deleting, 1 TM", "gone"]);
    assert!(bench.server.get(&orders()).is_none());
    assert_eq!(bench.names(Kind::ConfigMap).iter().filter(|n| n.contains("orders")).count(), 0, "HA metadata go too");
}

#[test]
fn a_deletion_that_wants_a_savepoint_waits_for_a_job_that_runs() {
    let mut bench = with("1.12", "\"kubernetes.operator.job.savepoint-on-deletion\" = \"true\"", "savepoint");
    bench.fault(crate::sim::fault::Fault::NoCapacity { cluster: Some("orders".into()) }, 60.0);
    bench.fault(crate::sim::fault::Fault::TaskManagerLost { cluster: "orders".into() }, 1.0);
    bench.wait("the loss", |b| b.state(&orders()) != HEALTHY);
    bench.server.with_store(|store, now| store.delete(&orders(), now, Write::Real)).unwrap();
    bench.run(30);
    assert!(bench.server.get(&orders()).is_some(), "it hangs");
    assert!(bench.events("Cleanup")[0].1 > 1, "and only this event tells");
    bench.wait("the end", |b| b.server.get(&orders()).is_none());
    let snapshots = bench.names(Kind::FlinkStateSnapshot);
    assert!(snapshots.iter().any(|n| n.contains("savepoint-upgrade")), "{snapshots:?}");
}

#[test]
fn a_session_job_is_cancelled_before_it_goes() {
    let mut bench = with("1.12", "", "savepoint");
    let mark = bench.mark();
    bench.server.with_store(|store, now| store.delete(&clicks(), now, Write::Real)).unwrap();
    bench.wait("the end", |b| b.server.get(&clicks()).is_none());
    assert!(bench.story(&clicks(), mark).contains(&"DELETING/-/CANCELLING/DEPLOYED".to_owned()));
    let left = bench.server.world().with(|w| w.cluster("session").unwrap().jobs[0].status.is_terminal());
    assert!(left);
}

#[test]
fn jobs_of_others_hold_a_session_cluster_from_1_13_on() {
    for (release, held) in [("1.12", false), ("1.13", true)] {
        let mut bench = with(release, "", "savepoint");
        let blueprint = bench.operator.blueprints.jobs["clicks"].clone();
        let job = crate::sim::spec::JobSpec { name: "by hand".into(), ..blueprint };
        bench.server.world().with(|w| w.submit("session", job, &Default::default(), Default::default())).unwrap();
        let session = Key::new(Kind::FlinkDeployment, "flink", "session");
        bench.server.with_store(|store, now| store.delete(&clicks(), now, Write::Real)).unwrap();
        bench.wait("the session job goes", |b| b.server.get(&clicks()).is_none());
        bench.server.with_store(|store, now| store.delete(&session, now, Write::Real)).unwrap();
        bench.run(20);
        assert_eq!(bench.server.get(&session).is_some(), held, "{release}");
        let told = bench.events("CleanupFailed");
        assert_eq!(told.iter().any(|(m, _)| m.contains("non terminated jobs")), held, "{release}: {told:?}");
    }
}
