//! Some of the faults over sockets, in real time with short limits: what a listener, a kubeconfig and a connection add.

use std::sync::Arc;
use std::time::Duration;

use flightdeck::clock::{Clock, SystemClock};
use flightdeck::kubernetes::watch::{Collection, Contact, run};
use flightdeck::kubernetes::{ConnectOptions, FlinkDeployment, Limits, Places, connect};
use flightdeck::sim::fault::{Fault, FaultSpec};
use flightdeck::sim::kubernetes::kinds::Kind;
use flightdeck::sim::kubernetes::store::{Key, Part, Write};
use flightdeck::sim::scenario::Scenario;
use flightdeck::sim::{Sim, SimOptions};
use tokio::sync::mpsc;

const SCENARIO: &str = r#"
name = "sockets"
namespace = "flink"
[[workload]]
name = "orders"
[workload.application]
taskmanagers = { count = 1, max = 2, slots = 1 }
[[workload.vertex]]
name = "Source: orders"
cost = "90us"
source = { rate = { kind = "constant", rate = 5 } }
"#;

fn limits() -> Limits {
    let millis = Duration::from_millis;
    Limits {
        deadline: millis(1_500),
        watch: Duration::from_secs(60),
        silence: millis(1_500),
        heartbeat: millis(200),
        heartbeat_deadline: millis(400),
        back_off: (millis(50), millis(300)),
        ..Limits::default()
    }
}

fn inject(sim: &Sim, fault: Fault, seconds: f64) {
    sim.world.with(|w| w.inject(FaultSpec { at: 0.0, lasts: seconds, fault })).unwrap();
}

fn live(rows: &Collection<FlinkDeployment>) -> bool {
    rows.loaded && rows.contact == Contact::Live
}

/// A kubeconfig for the embedded cluster.
fn kubeconfig(sim: &Sim, dir: &tempfile::TempDir) -> std::path::PathBuf {
    let file = dir.path().join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: \"{}\"}}}}]\n\
         users: [{{name: u, user: {{token: secret-token}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u, namespace: flink}}}}]\n",
        sim.kubernetes
    );
    std::fs::write(&file, text).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn get_events_prints_what_kubernetes_says_newest_first_and_names_a_missing_right() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let scenario = Scenario::parse("sockets", SCENARIO).unwrap();
    let sim = flightdeck::sim::start(&scenario, SimOptions::new(clock)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = kubeconfig(&sim, &dir);
    let get = async |output: &str| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_flightdeck"));
        command.args(["get", "events", "-n", "flink", "-o", output]).env("KUBECONFIG", &config);
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"] {
            command.env(name, dir.path());
        }
        let ended = tokio::time::timeout(Duration::from_secs(120), command.kill_on_drop(true).output()).await;
        let ended = ended.expect("it ends").unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (ended.status.code(), text(&ended.stdout), text(&ended.stderr))
    };
    let (code, out, err) = get("json").await;
    assert_eq!(code, Some(0), "{err}");
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    let events = document["items"].as_array().unwrap();
    let time = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap();
    let times: Vec<_> = events.iter().filter_map(|e| e["last_at"].as_str()).map(time).collect();
    assert!(!events.is_empty() && times.is_sorted_by(|a, b| a >= b), "{out}");
    assert!(events.iter().any(|e| e["kind"] == "FlinkDeployment" && e["name"] == "orders"), "{out}");
    let (code, out, _) = get("table").await;
    assert!(code == Some(0) && out.contains("orders"), "{out}");

    let forbidden =
        |verb: &str| Fault::Forbidden { verb: verb.into(), resource: "events".into(), namespace: "*".into() };
    for verb in ["list", "watch"] {
        inject(&sim, forbidden(verb), 600.0);
    }
    let (code, out, err) = get("json").await;
    assert_ne!(code, Some(0), "{out}");
    assert!(err.contains("missing right") && err.contains("events"), "{err}");
    sim.stop().await;
}

#[tokio::test]
async fn a_connection_that_breaks_hangs_or_is_refused_is_said_and_comes_back() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let sim =
        flightdeck::sim::start(&Scenario::parse("sockets", SCENARIO).unwrap(), SimOptions::new(Arc::clone(&clock)))
            .await
            .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = kubeconfig(&sim, &dir);
    let options = ConnectOptions { kubeconfig: Some(kubeconfig), context: None, limits: limits() };
    let client = connect(&options, &Places::default()).await.unwrap().client;
    let (out, mut updates) = mpsc::channel(64);
    let _watch = tokio::spawn(run::<FlinkDeployment>(client.clone(), None, Arc::clone(&clock), Arc::default(), out));
    let mut rows = Collection::default();
    let mut until = async |what: &str, done: &dyn Fn(&Collection<FlinkDeployment>) -> bool| {
        let work = async {
            while !done(&rows) {
                rows.apply(updates.recv().await.expect("the watch goes on"), clock.now());
            }
            rows.clone()
        };
        // Long enough for any machine: nothing here measures time.
        tokio::time::timeout(Duration::from_secs(60), work).await.unwrap_or_else(|_| panic!("never: {what}"))
    };
    let first = until("rows", &live).await;
    assert_eq!(first.rows.len(), 1);
    for (fault, words) in [
        (Fault::ApiGone, "does not answer"),
        (Fault::ApiSlow { delay: 60_000 }, "no complete answer"),
        (Fault::ApiErrors { status: 503 }, "failed with 503"),
        (Fault::TokenExpired, "not authenticated"),
    ] {
        inject(&sim, fault.clone(), 600.0);
        let lost = until(&format!("{fault:?}"), &|rows| matches!(rows.contact, Contact::Lost { .. })).await;
        let Contact::Lost { error, .. } = &lost.contact else { panic!() };
        let said = error.to_string();
        assert!(said.contains(words) && !said.contains("secret-token"), "{fault:?}: {said}");
        assert_eq!(lost.rows.len(), 1, "{fault:?}: the last good rows stay");
        sim.world.with(flightdeck::sim::world::World::clear_faults);
        until(&format!("back from {fault:?}"), &live).await;
    }
    inject(&sim, Fault::WatchDropped, 0.2);
    let orders = Key::new(Kind::FlinkDeployment, "flink", "orders");
    let changed = sim.api.with_store(|store, now| {
        store.update(&orders, Part::Main, now, Write::Real, |object| {
            object["spec"]["image"] = "flink:after-the-cut".into();
            Ok(())
        })
    });
    changed.unwrap();
    let image = |row: &FlinkDeployment| row.image.clone();
    until("a change at the cut", &|rows| {
        live(rows) && rows.rows.values().any(|row| image(row).as_deref() == Some("flink:after-the-cut"))
    })
    .await;
    sim.stop().await;
}
