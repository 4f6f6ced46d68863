//! What goes wrong and how it shows (`operator.md` §14.3).

use super::*;
use crate::sim::fault::Fault;

fn error(bench: &Bench, key: &Key) -> Value {
    let text = bench.status(key, "/error");
    text.as_str().map_or(Value::Null, |t| serde_json::from_str(t).unwrap_or_else(|_| json!({"message": t})))
}

fn with(release: &str, config: &str) -> Bench {
    let scenario = SCENARIO.replacen("[operator]", &format!("[operator]\nversion = \"{release}\""), 1).replacen(
        "[[workload.vertex]]",
        &format!("[workload.application.config]\n{config}\n[[workload.vertex]]"),
        1,
    );
    // Slow enough that a loop comes while it is away.
    let scenario =
        scenario.replacen("taskmanager-start = \"2s\"", "taskmanager-start = \"2s\", jobmanager-start = \"8s\"", 1);
    let mut bench = Bench::of(&scenario);
    bench.run(15);
    bench
}

fn pod(bench: &Bench, part: &str) -> Value {
    bench.server.with_store(|store, _| {
        let all = store.list(Kind::Pod, "flink").find(|(k, _)| k.name.starts_with("orders-") && k.name.contains(part));
        all.map(|(_, pod)| (**pod).clone()).unwrap_or_default()
    })
}

fn job_manager(bench: &Bench) -> Value {
    bench.server.with_store(|store, _| {
        let is = |pod: &Value| {
            spec::text(pod, "/metadata/labels/component") == Some("jobmanager")
                && spec::text(pod, "/metadata/labels/app") == Some("orders")
        };
        store.list(Kind::Pod, "flink").find(|(_, pod)| is(pod)).map(|(_, pod)| (**pod).clone()).unwrap_or_default()
    })
}

#[test]
fn a_savepoint_that_fails_leaves_the_job_running_and_is_tried_again() {
    let mut bench = with("1.12", "");
    bench.fault(Fault::SavepointFailures { job: "orders".into() }, 30.0);
    bench.patch(&orders(), json!({"spec": {"restartNonce": 7}}));
    bench.wait("a failure", |b| !b.events("SavepointError").is_empty());
    assert_eq!(bench.state(&orders()), HEALTHY);
    assert!(error(&bench, &orders())["type"].as_str().unwrap().ends_with(".UpgradeFailureException"));
    assert_eq!(bench.status(&orders(), "/observedGeneration"), 1);
    bench.wait("another try", |b| b.events("Suspended").iter().any(|(_, count)| *count > 1));
    assert_eq!(bench.events("SpecChanged").len(), 1);
    bench.until(&orders(), "UPGRADING/READY/FINISHED");
    bench.until(&orders(), HEALTHY);
}

#[test]
fn an_image_that_cannot_be_pulled_is_an_error_of_the_jobmanager() {
    let mut bench = with("1.12", "");
    bench.fault(Fault::ImagePullError { cluster: "orders".into() }, 1e6);
    bench.patch(&orders(), json!({"spec": {"image": "flink:nonsense"}}));
    bench.until(&orders(), "DEPLOYED/ERROR/RECONCILING");
    let found = error(&bench, &orders());
    assert!(found["type"].as_str().unwrap().ends_with(".DeploymentFailedException"), "{found}");
    let reason = found["additionalMetadata"]["reason"].as_str().unwrap();
    assert!(["ErrImagePull", "ImagePullBackOff"].contains(&reason), "{reason}");
    let state = job_manager(&bench)["status"]["containerStatuses"][0]["state"].clone();
    assert!(state["waiting"]["reason"].as_str().unwrap().contains("ImagePull"), "{state}");
    let path = bench.status(&orders(), "/jobStatus/upgradeSavepointPath");
    assert!(path.as_str().unwrap().contains("savepoint"), "{path}");
    bench.server.world().with(crate::sim::world::World::clear_faults);
    bench.patch(&orders(), json!({"spec": {"image": "flink:1.20"}}));
    bench.until(&orders(), HEALTHY);
    let restored = bench.server.world().with(|w| w.cluster("orders").unwrap().jobs[0].checkpoints.restored.clone());
    assert_eq!(path, restored.unwrap().path, "from the savepoint of the first attempt");
}

#[test]
fn a_jobmanager_that_crashes_again_and_again_is_between_starting_and_error() {
    let mut bench = with("1.12", "");
    bench.fault(Fault::CrashLoop { cluster: "orders".into() }, 1e6);
    bench.until(&orders(), "STABLE/ERROR/RECONCILING");
    let status = job_manager(&bench)["status"]["containerStatuses"][0].clone();
    assert_eq!(status["state"]["waiting"]["reason"], "CrashLoopBackOff", "{status}");
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 1, "{status}");
    assert!(!bench.events("CrashLoopBackOff").is_empty() && !bench.events("BackOff").is_empty());
    bench.server.world().with(crate::sim::world::World::clear_faults);
    bench.until(&orders(), HEALTHY);
    let status = job_manager(&bench)["status"]["containerStatuses"][0].clone();
    assert!(status["restartCount"].as_u64().unwrap() >= 1, "{status}");
    assert_eq!(status["ready"], true);
}

#[test]
fn a_jobmanager_that_restarts_is_seen_at_the_next_look_only() {
    let mut bench = with("1.12", "");
    let id = bench.job_id(&orders());
    bench.fault(Fault::JobManagerRestart { cluster: "orders".into() }, 1.0);
    let mark = bench.mark();
    bench.wait("the look", |b| b.state(&orders()) != HEALTHY);
    bench.until(&orders(), HEALTHY);
    let story = bench.main_story(&orders(), mark);
    assert_eq!(story[0], "STABLE/DEPLOYING/RECONCILING/DEPLOYED", "{story:?}");
    assert_eq!(bench.job_id(&orders()), id);
    let status = job_manager(&bench)["status"]["containerStatuses"][0].clone();
    assert_eq!((&status["restartCount"], &status["lastState"]["terminated"]["exitCode"]), (&json!(1), &json!(239)));
    let told = bench.events("JobStatusChanged");
    assert!(!told.iter().any(|(m, _)| m.ends_with("to RECONCILING")), "losing sight is no event: {told:?}");
}

#[test]
fn a_taskmanager_out_of_memory_is_killed_and_replaced() {
    let mut bench = with("1.12", "");
    bench.fault(Fault::OomKill { cluster: "orders".into() }, 1.0);
    bench.run(1);
    let state = pod(&bench, "taskmanager-1-1")["status"]["containerStatuses"][0]["state"].clone();
    assert_eq!((&state["terminated"]["exitCode"], &state["terminated"]["reason"]), (&json!(137), &json!("OOMKilled")));
    assert_eq!(pod(&bench, "taskmanager-1-1")["status"]["phase"], "Failed");
    bench.wait("another one", |b| pod(b, "taskmanager-1-2")["status"]["phase"] == "Running");
    bench.wait("the exception", |b| !b.events("JobException").is_empty());
    bench.run(30);
    assert_eq!(bench.state(&orders()), HEALTHY);
    assert!(!bench.events("OOMKilling").is_empty(), "the node tells of it");
}

#[test]
fn pods_wait_while_there_is_no_room_and_the_scheduler_says_why() {
    let scenario = format!("{SCENARIO}\n[[node]]\nname = \"small\"\ncpu = 6.0\nmemory = \"16g\"\nothers-cpu = 1.0\n");
    let mut bench = Bench::of(&scenario);
    bench.run(10);
    let (source, enrich) = (bench.vertex("orders", "Source: orders"), bench.vertex("orders", "Enrich"));
    let map = format!("{source}:1,{enrich}:8");
    bench.patch(&orders(), json!({"spec": {"flinkConfiguration": {spec::OVERRIDES: map}}}));
    bench.wait("a pod without a node", |b| !b.events("FailedScheduling").is_empty());
    let told = bench.events("FailedScheduling")[0].0.clone();
    assert_eq!(
        told,
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    );
    let pending = bench.server.with_store(|store, _| {
        store.list(Kind::Pod, "flink").filter(|(_, p)| spec::text(p, "/status/phase") == Some("Pending")).count()
    });
    assert!(pending > 0);
    bench.run(10);
    assert_eq!(bench.state(&orders()), HEALTHY, "the operator sees nothing of it");
    // A larger node joins.
    let node = Key::new(Kind::Node, "", "large");
    let body = json!({"metadata": {"labels": {}}, "spec": {}, "status": {"allocatable": {"cpu": "32", "memory": "64Gi", "pods": "110"}}});
    bench.server.with_store(|store, now| store.create(node.clone(), body.clone(), now, Write::Real)).unwrap();
    bench
        .server
        .with_store(|store, now| {
            store.update(&node, Part::Status, now, Write::Real, |o| {
                o["status"] = body["status"].clone();
                Ok(())
            })
        })
        .unwrap();
    bench.run(60);
    assert_eq!(bench.parallelism("orders"), [1, 8]);
}

#[test]
fn a_quota_keeps_the_jobmanager_from_being_created() {
    let scenario = format!("{SCENARIO}\n[[quota]]\nname = \"team\"\ncpu = 5.5\n");
    let mut bench = Bench::of(&scenario);
    bench.run(10);
    let key = Key::new(Kind::FlinkDeployment, "flink", "second");
    let mut spec = bench.object(&orders())["spec"].clone();
    spec["jobManager"]["resource"]["cpu"] = 4.0.into();
    bench.server.with_store(|s, now| s.create(key.clone(), json!({"spec": spec}), now, Write::Real)).unwrap();
    bench.until(&key, "DEPLOYED/ERROR/RECONCILING");
    assert_eq!(error(&bench, &key)["additionalMetadata"]["reason"], "FailedCreate");
    let told = bench.events("FailedCreate");
    assert!(told.iter().any(|(m, _)| m.contains("exceeded quota: team")), "{told:?}");
    let quota = bench.server.get(&Key::new(Kind::ResourceQuota, "flink", "team")).unwrap();
    assert_eq!(quota["status"]["hard"]["requests.cpu"], "5500m");
    assert!(quota["status"]["used"]["requests.cpu"].is_string(), "{quota}");
}

#[test]
fn a_deployment_deleted_by_hand_comes_back_with_its_state_or_stays_away() {
    let deployment = Key::new(Kind::Deployment, "flink", "orders");
    let delete =
        |bench: &Bench| bench.server.with_store(|store, now| store.delete(&deployment, now, Write::Real)).unwrap();
    let mut bench = with("1.12", "\"high-availability.type\" = \"kubernetes\"");
    bench.run(20);
    delete(&bench);
    bench.wait("the look", |b| b.state(&orders()) != HEALTHY);
    bench.until(&orders(), HEALTHY);
    for reason in ["Missing", "RecoverDeployment", "Submit"] {
        assert!(!bench.events(reason).is_empty(), "{reason}");
    }
    let mut bench = with("1.12", "");
    delete(&bench);
    bench.until(&orders(), "STABLE/MISSING/RECONCILING");
    bench.run(40);
    assert_eq!(bench.state(&orders()), "STABLE/MISSING/RECONCILING", "without HA nobody knows from where");
}

#[test]
fn a_pod_deleted_by_hand_is_replaced() {
    let mut bench = with("1.12", "");
    let first = job_manager(&bench)["metadata"]["name"].as_str().unwrap().to_owned();
    let key = Key::new(Kind::Pod, "flink", &first);
    bench.server.with_store(|store, now| store.delete(&key, now, Write::Real)).unwrap();
    bench.wait("the look", |b| b.state(&orders()) != HEALTHY);
    bench.until(&orders(), HEALTHY);
    assert_ne!(job_manager(&bench)["metadata"]["name"], json!(first));
    let tm = pod(&bench, "taskmanager")["metadata"]["name"].as_str().unwrap().to_owned();
    bench.server.with_store(|store, now| store.delete(&Key::new(Kind::Pod, "flink", &tm), now, Write::Real)).unwrap();
    bench.run(30);
    assert!(!bench.names(Kind::Pod).contains(&tm));
    assert_eq!(bench.state(&orders()), HEALTHY);
}

#[test]
fn a_session_job_whose_cluster_forgot_it_says_so_or_is_started_again() {
    for (mode, stays) in [("stateless", false), ("last-state", true)] {
        let mut bench =
            Bench::of(&SCENARIO.replacen("upgrade-mode = \"stateless\"", &format!("upgrade-mode = \"{mode}\""), 1));
        bench.run(10);
        bench.server.world().with(|w| w.cluster_mut("session").unwrap().jobs.clear());
        bench.wait("the look", |b| !b.events("Missing").is_empty());
        bench.run(20);
        assert_eq!(bench.state(&clicks()), if stays { "STABLE/-/RECONCILING" } else { "STABLE/-/RUNNING" }, "{mode}");
        assert_eq!(bench.status(&clicks(), "/error") == "Job Not Found", stays, "{mode}");
    }
}

#[test]
fn pods_that_do_not_go_hold_an_upgrade_up_until_the_operator_gives_up_waiting() {
    let mut bench = with("1.12", "\"kubernetes.operator.resource.cleanup.timeout\" = \"10s\"");
    bench.fault(Fault::PodsStuck { cluster: "orders".into() }, 40.0);
    bench.patch(&orders(), json!({"spec": {"restartNonce": 7}}));
    bench.wait("the collision", |b| b.events("Error").iter().any(|(m, _)| m.contains("already exists")));
    let stuck = pod(&bench, "taskmanager");
    assert!(stuck.pointer("/metadata/deletionTimestamp").is_some(), "{stuck}");
    assert_eq!(stuck["metadata"]["finalizers"], json!(["storage.example.com/detach"]));
    bench.until(&orders(), HEALTHY);
}

#[test]
fn an_operator_that_is_gone_does_nothing_and_its_deployment_shows_it() {
    let mut bench = with("1.12", "");
    bench.fault(Fault::OperatorGone, 60.0);
    bench.patch(&orders(), json!({"spec": {"restartNonce": 7}}));
    bench.run(50);
    assert_eq!(bench.state(&orders()), HEALTHY);
    assert_eq!(bench.status(&orders(), "/observedGeneration"), 1);
    let deployment = Key::new(Kind::Deployment, "flink-operator", "flink-kubernetes-operator");
    assert_eq!(bench.status(&deployment, "/readyReplicas"), 0);
    let lease = bench.object(&Key::new(Kind::Lease, "flink-operator", "flink-operator-lease"));
    let renewed = chrono::DateTime::parse_from_rfc3339(lease["spec"]["renewTime"].as_str().unwrap()).unwrap();
    assert!(bench.server.world().now() - renewed.timestamp_millis() > 40_000);
    bench.until(&orders(), "UPGRADING/READY/FINISHED");
}

#[test]
fn an_operator_that_is_slow_comes_later() {
    let mut bench = with("1.12", "");
    bench.fault(Fault::OperatorSlow { delay: 20_000 }, 1e6);
    bench.run(6);
    bench.patch(&orders(), json!({"spec": {"restartNonce": 7}}));
    bench.run(15);
    assert_eq!(bench.state(&orders()), HEALTHY);
    assert_eq!(bench.status(&orders(), "/observedGeneration"), 1);
    bench.until(&orders(), "UPGRADING/READY/FINISHED");
}

#[test]
fn jobmanager_and_taskmanagers_log_what_happens() {
    let start = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let mut world = Scenario::parse("test", SCENARIO).unwrap().build(start).unwrap();
    let spec = crate::sim::fault::FaultSpec {
        at: 0.0,
        lasts: 1.0,
        fault: Fault::TaskManagerLost { cluster: "orders".into() },
    };
    world.inject(spec).unwrap();
    world.advance(start + chrono::Duration::seconds(30));
    let cluster = world.cluster("orders").unwrap();
    let text = |pod: &crate::sim::pod::Pod| {
        let lines = pod.log.iter().filter_map(|l| match l {
            crate::sim::pod::Logged::Line { text, .. } => Some(text.as_str()),
            crate::sim::pod::Logged::Restarted => None,
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let (jm, tm) = (
        text(cluster.jobmanager_pod.as_ref().unwrap()),
        text(cluster.taskmanagers.last().unwrap().pod.as_ref().unwrap()),
    );
    for part in [
        "switched from state RUNNING to RESTARTING.",
        "Completed checkpoint",
        "Worker orders-taskmanager-1-1 is terminated",
    ] {
        assert!(jm.contains(part), "{part} is not in\n{jm}");
    }
    for part in ["Successful registration at resource manager", "Enrich (1/2)#1 switched from INITIALIZING to RUNNING."]
    {
        assert!(tm.contains(part), "{part} is not in\n{tm}");
    }
}
