//! The scenario `kubernetes.toml`, the operator's own autoscaler, and worlds of many clusters alike.

use std::io::Read;

use super::*;

const KUBERNETES: &str = include_str!("../../../../assets/scenarios/kubernetes.toml");

fn key(name: &str) -> Key {
    Key::new(Kind::FlinkDeployment, "flink", name)
}

fn data(bench: &Bench, name: &str) -> Value {
    bench.object(&Key::new(Kind::ConfigMap, "flink", &format!("autoscaler-{name}")))["data"].clone()
}

/// Base64 and gzip undone.
fn unpacked(text: &str) -> String {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for chunk in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = chunk.iter().enumerate().fold(0_u32, |bits, (i, b)| bits | u32::from(value(*b)) << (18 - 6 * i));
        bytes.extend(&bits.to_be_bytes()[1..chunk.len()]);
    }
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_scenario_has_everything_it_promises() {
    let mut bench = Bench::of(KUBERNETES);
    bench.run(20);
    for name in ["adhoc-session", "ad-clicks", "orders"] {
        assert!(bench.state(&key(name)).starts_with("STABLE/READY/"), "{name}: {}", bench.state(&key(name)));
    }
    assert_eq!(bench.names(Kind::FlinkSessionJob), ["daily-funnel", "device-counts"]);
    let unmanaged = bench.server.world().with(|w| w.cluster("adhoc-session").unwrap().jobs.len());
    assert_eq!(unmanaged, 3, "one of them nobody's");
    let state = |bench: &Bench, name: &str| bench.status(&Key::new(Kind::FlinkStateSnapshot, "flink", name), "/state");
    assert_eq!(state(&bench, "orders-before-release"), "COMPLETED");
    assert_eq!(state(&bench, "orders-checkpoint"), "COMPLETED");
    assert_eq!(state(&bench, "of-a-job-that-is-gone"), "TRIGGER_PENDING");
    let nodes: Vec<String> =
        bench.server.with_store(|s, _| s.list(Kind::Node, "").map(|(k, _)| k.name.clone()).collect());
    assert_eq!(nodes, ["batch-1", "stream-1", "stream-2", "stream-3"]);
    let status = bench.object(&Key::new(Kind::ConfigMap, "kube-system", "cluster-autoscaler-status"));
    assert!(status["data"]["status"].as_str().unwrap().contains("maxSize: 5"));
    let misplaced = bench.server.with_store(|s, _| {
        s.list(Kind::Pod, "flink").filter(|(_, p)| spec::text(p, "/spec/nodeName") == Some("batch-1")).count()
    });
    assert_eq!(misplaced, 0, "its taint keeps pods away");
}

#[test]
fn an_operator_that_scales_by_itself_stores_what_it_did_in_the_java_form() {
    let mut bench = Bench::of(KUBERNETES);
    bench.wait("a scaling", |b| data(b, "ad-clicks").get("parallelismOverrides").is_some());
    let stored = data(&bench, "ad-clicks");
    let history = unpacked(stored["scalingHistory"].as_str().unwrap());
    assert!(
        history.starts_with("---\n") && history.contains("    currentParallelism: 2\n    newParallelism: "),
        "{history}"
    );
    assert!(
        unpacked(stored["collectedMetrics"].as_str().unwrap()).contains("vertexMetrics") || history.contains("metrics")
    );
    let told = bench.events("ScalingReport");
    assert!(
        told.iter().any(|(m, _)| m.starts_with("Scaling execution enabled, begin scaling vertices:{ Vertex ID ")),
        "{told:?}"
    );
    bench.wait("the rescale", |b| b.events("Scaling").iter().any(|(m, _)| m == "In-place scaling triggered"));
    bench.run(60);
    let parallelism = bench.parallelism("ad-clicks");
    assert!(parallelism[1] > 2, "{parallelism:?}");
    let map = stored["parallelismOverrides"].as_str().unwrap();
    let recorded = bench.recorded(&key("ad-clicks"))["spec"]["flinkConfiguration"][spec::OVERRIDES].clone();
    assert_eq!(spec::overrides(recorded.as_str().unwrap()).len(), 2, "the record shows what was injected: {map}");
    assert_eq!(
        bench.object(&key("ad-clicks"))["spec"]["flinkConfiguration"].get(spec::OVERRIDES),
        None,
        "the spec does not"
    );
    assert!(unpacked(data(&bench, "ad-clicks")["scalingTracking"].as_str().unwrap()).contains("restartDuration: "));
    // A client's own entry is overruled while overrides are stored, until a reset.
    let clients = format!("{}:1", spec::overrides(map).keys().last().unwrap());
    bench.patch(&key("ad-clicks"), json!({"spec": {"flinkConfiguration": {spec::OVERRIDES: clients}}}));
    bench.run(20);
    assert_eq!(bench.parallelism("ad-clicks"), parallelism);
    bench.patch(&key("ad-clicks"), json!({"spec": {"job": {"autoscalerResetNonce": 9}, "flinkConfiguration": {"job.autoscaler.scaling.enabled": "false"}}}));
    bench.run(10);
    assert_eq!(data(&bench, "ad-clicks").get("parallelismOverrides"), None);
    // Switched off, nothing is left.
    bench.patch(&key("ad-clicks"), json!({"spec": {"flinkConfiguration": {"job.autoscaler.enabled": "false"}}}));
    bench.run(10);
    assert_eq!(data(&bench, "ad-clicks"), json!({}));
}

#[test]
fn an_operator_that_only_advises_reports_and_stores_no_overrides() {
    let mut bench = Bench::of(KUBERNETES);
    bench.wait("a report", |b| b.events("ScalingReport").iter().any(|(m, _)| m.contains("scaling.enabled:false")));
    assert_eq!(data(&bench, "orders").get("parallelismOverrides"), None);
    assert_eq!(bench.parallelism("orders"), [1, 2]);
    bench.run(60);
    let told = bench.events("ScalingReport");
    let advised: Vec<_> = told.iter().filter(|(m, _)| m.contains("scaling.enabled:false")).collect();
    assert!(advised.len() == 1 && advised[0].1 < 6, "the same is not said in every loop: {advised:?}");
}

#[test]
fn many_clusters_alike_rest_until_somebody_looks() {
    let scenario = SCENARIO.replacen("upgrade-mode = \"savepoint\"", "copies = 40\nupgrade-mode = \"savepoint\"", 1);
    let mut bench = Bench::of(&scenario);
    let third = key("orders-3");
    assert_eq!(bench.state(&third), HEALTHY);
    assert_eq!(bench.names(Kind::FlinkDeployment).len(), 41);
    let resting = |b: &Bench| b.server.world().with(|w| w.clusters().iter().filter(|c| c.is_resting()).count());
    assert_eq!(resting(&bench), 40);
    let ids: std::collections::BTreeSet<String> =
        (1..=40).map(|n| bench.job_id(&key(&format!("orders-{n}")))).collect();
    assert_eq!(ids.len(), 40, "each job is its own");
    bench.run(30);
    // One is looked at: it catches up and goes on.
    let read = |b: &Bench| {
        b.server.world().with(|w| {
            w.cluster("orders-3").unwrap().jobs[0].cursors[0].as_ref().map_or(0.0, crate::sim::topic::Cursor::total)
        })
    };
    let before = read(&bench);
    bench.server.world().with(|w| w.wake("orders-3"));
    let caught_up = read(&bench) - before;
    assert!((caught_up / (500.0 * 30.0) - 1.0).abs() < 0.1, "{caught_up}");
    assert_eq!(resting(&bench), 39);
    bench.patch(&third, json!({"spec": {"restartNonce": 3}}));
    bench.wait("the loop", |b| b.state(&third) != HEALTHY);
    bench.until(&third, HEALTHY);
    assert_eq!(bench.state(&key("orders-4")), HEALTHY);
    let name = bench.server.world().with(|w| w.cluster("orders-3").unwrap().jobs[0].name().to_owned());
    assert_eq!(name, "orders-3");
    for _ in 0..340 {
        bench.run(1);
    }
    assert_eq!(resting(&bench), 40, "nobody looks any more");
}
