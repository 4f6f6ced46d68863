//! The demo behaves as its description says, and scenario files say what is wrong with them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::super::job::{Bounds, Job, JobStatus};
use super::super::scenario::{DEMO, Scenario};
use super::super::world::World;
use super::{after, job, start};

fn demo() -> World {
    static BUILT: LazyLock<World> = LazyLock::new(|| Scenario::demo().unwrap().build(start()).unwrap());
    BUILT.clone()
}

/// Share of the last seconds that all subtasks of a vertex spent busy and back pressured, and records per second.
fn lately(world: &mut World, name: &str, vertex: usize, from: f64, to: f64) -> (f64, f64, f64) {
    let read = |the: &Job| {
        let tasks = the.flow.vertices[vertex].tasks.iter().map(|t| &t.counters);
        tasks.fold((0.0, 0.0, 0.0), |s, c| (s.0 + c.busy, s.1 + c.backpressured, s.2 + c.records_in))
    };
    world.advance(after(from));
    let before = read(job(world, name));
    world.advance(after(to));
    let the = job(world, name);
    let now = read(the);
    let seconds = (to - from) * the.flow.vertices[vertex].tasks.len() as f64;
    ((now.0 - before.0) / seconds, (now.1 - before.1) / seconds, (now.2 - before.2) / (to - from))
}

#[test]
fn its_jobs_have_run_for_two_hours_with_full_meters() {
    let world = demo();
    for name in ["orders-enrichment", "clickstream-sessions", "inventory-sync", "payments-ledger"] {
        let the = job(&world, name);
        assert_eq!(the.status, JobStatus::Running, "{name}");
        assert!(world.now() - the.timestamp(JobStatus::Running) > 7_100_000, "{name}");
        assert!(the.checkpoints.completed_count > 300, "{name}: {}", the.checkpoints.completed_count);
        for (vertex, spec) in the.flow.vertices.iter().zip(&the.graph.spec.vertices) {
            for task in &vertex.tasks {
                let (lived, meters) = (task.counters.lived(), &task.meters);
                assert!((lived - 7_198.0).abs() < 10.0, "{name} {} lived {lived}", spec.name);
                let rate = task.counters.records_in / lived;
                assert!(
                    (meters.records_in / rate - 1.0).abs() < 0.2,
                    "{name} {}: {} {rate}",
                    spec.name,
                    meters.records_in
                );
                assert_eq!(meters.busy() + meters.idle + meters.backpressured, 1000);
            }
        }
    }
    assert!(job(&world, "fraud-scoring").restarts > 100);
}

#[test]
fn the_step_makes_one_job_fall_behind_and_more_subtasks_work_it_off() {
    let mut world = demo();
    let (busy, _, rate) = lately(&mut world, "orders-enrichment", 1, 0.0, 20.0);
    assert!((0.55..0.75).contains(&busy) && (rate - 1450.0).abs() < 60.0, "before: {busy} {rate}");
    let (busy, _, _) = lately(&mut world, "orders-enrichment", 1, 40.0, 60.0);
    assert!(busy > 0.98, "after: {busy}");
    let behind = world.lag(job(&world, "orders-enrichment"));
    assert!(behind > 8_000.0, "{behind}");
    let the = job(&world, "orders-enrichment");
    let id = the.id;
    let wanted: BTreeMap<_, _> =
        the.graph.vertices.iter().zip([1, 4, 1]).map(|(node, upper)| (node.id, Bounds { lower: 1, upper })).collect();
    world.set_requirements("orders-enrichment", id, &wanted).unwrap();
    world.advance(after(80.0));
    assert_eq!(job(&world, "orders-enrichment").parallelism, [1, 4, 1]);
    assert_eq!(job(&world, "orders-enrichment").status, JobStatus::Running);
    world.advance(after(240.0));
    let left = world.lag(job(&world, "orders-enrichment"));
    assert!(left < 1_000.0, "{left}");
}

#[test]
fn the_others_are_as_described() {
    let mut world = demo();
    let (busy, back, _) = lately(&mut world, "clickstream-sessions", 1, 0.0, 10.0);
    assert!(busy < 0.35 && back < 0.01, "too many subtasks: {busy} {back}");
    for vertex in 0..3 {
        let (busy, back, _) =
            lately(&mut world, "inventory-sync", vertex, 10.0 + 10.0 * vertex as f64, 20.0 + 10.0 * vertex as f64);
        assert!((0.55..0.8).contains(&busy) && back < 0.01, "well: {vertex} {busy} {back}");
    }
    let (busy, _, _) = lately(&mut world, "payments-ledger", 2, 40.0, 50.0);
    let (_, back, _) = lately(&mut world, "payments-ledger", 1, 50.0, 60.0);
    assert!(busy > 0.98 && back > 0.5, "slow sink: {busy} {back}");
    let before = world.lag(job(&world, "payments-ledger"));
    world.advance(after(90.0));
    assert!(world.lag(job(&world, "payments-ledger")) > before);
    let failing = job(&world, "fraud-scoring");
    assert!(
        failing.failures.len() >= 3 && failing.failures.iter().all(|f| f.trace.matches("Caused by: ").count() == 2)
    );
}

#[test]
fn another_step_needs_another_parallelism() {
    let needed = |to: &str| {
        let text = DEMO.replace("to = 2600", to);
        assert_ne!(text, DEMO);
        let mut world = Scenario::parse("demo", &text).unwrap().build(start()).unwrap();
        let (busy, _, rate) = lately(&mut world, "orders-enrichment", 1, 50.0, 80.0);
        let the = job(&world, "orders-enrichment");
        let topic = world.topic(the.cursors[0].as_ref().unwrap()).unwrap();
        // Records per second of one subtask that is always busy; target utilisation 0.7.
        let true_rate = rate / (busy * f64::from(the.parallelism[1]));
        (topic.rate / (true_rate * 0.7)).ceil() as u32
    };
    assert_eq!((needed("to = 2000"), needed("to = 6000")), (3, 8));
}

#[test]
fn memory_responds_to_load_and_does_not_grow_without_end() {
    let mut world = demo();
    let mut lowest = f64::INFINITY;
    let mut highest = 0.0_f64;
    for step in 0..120 {
        world.advance(after(f64::from(step)));
        let jvm = &world.cluster("orders-enrichment").unwrap().taskmanagers[0].jvm;
        (lowest, highest) = (lowest.min(jvm.heap_used()), highest.max(jvm.heap_used()));
    }
    assert!(highest / lowest > 1.3, "a saw-tooth: {lowest} {highest}");
    let cluster = world.cluster("orders-enrichment").unwrap();
    assert!(highest < cluster.pools.heap() as f64);
    assert!(cluster.taskmanagers[0].jvm.young.count > 100);
    assert_eq!(cluster.taskmanagers[0].managed_used, 0, "state on the heap");
    let rocks = world.cluster("clickstream-sessions").unwrap();
    assert_eq!(rocks.taskmanagers[0].managed_used, rocks.pools.managed / 2 * 2, "both slots reserve their share");
    for the in world.clusters().iter().flat_map(|c| &c.jobs) {
        assert!(
            the.failures.len() <= 16 && the.checkpoints.history.len() <= 10 && the.checkpoints.numbers.len() <= 200
        );
    }
}

fn fault_of(text: &str) -> String {
    Scenario::parse("mine.toml", text).unwrap_err().to_string()
}

#[test]
fn a_typo_is_reported_with_its_position_and_the_nearest_name() {
    let fault = fault_of(&DEMO.replacen("record-size", "record-siez", 1));
    let line = DEMO.lines().position(|l| l.starts_with("record-size")).unwrap() + 1;
    assert!(fault.starts_with(&format!("scenario mine.toml:{line}:1: ")), "{fault}");
    assert!(fault.contains("did you mean \"record-size\"?"), "{fault}");
    let fault = fault_of(&DEMO.replacen("cluster = \"shared-session\"", "cluster = \"shared-sesion\"", 1));
    assert!(fault.contains("no cluster is named") && fault.contains("did you mean \"shared-session\"?"), "{fault}");
    let fault = fault_of(&DEMO.replacen("from = \"Deduplicate\"", "from = \"Dedupliacte\"", 1));
    assert!(fault.contains("did you mean \"Deduplicate\"?"), "{fault}");
    let fault = fault_of(&DEMO.replacen("kind = \"slow\"", "kind = \"slwo\"", 1));
    assert!(fault.contains("did you mean \"slow\"?"), "{fault}");
    let fault = fault_of(&DEMO.replacen("cost = \"90us\"", "cost = \"90 parsecs\"", 1));
    assert!(fault.contains("is not a time per record"), "{fault}");
    assert!(fault_of("name = ").contains("mine.toml:1:"));
    let fault = fault_of(&DEMO.replacen("factor = 3.0", "factro = 3.0", 1));
    assert!(fault.contains("did you mean \"factor\"?"), "{fault}");
}

#[test]
fn what_makes_no_sense_is_refused_when_the_world_is_built() {
    let build = |from: &str, to: &str| {
        let text = DEMO.replacen(from, to, 1);
        assert_ne!(text, DEMO);
        Scenario::parse("demo", &text).unwrap().build(start()).unwrap_err().to_string()
    };
    assert!(
        build("job = \"payments-ledger\"", "job = \"payment-ledger\"").contains("did you mean \"payments-ledger\"?")
    );
    assert!(build("memory = \"1728m\"", "memory = \"600m\"").contains("exceed configured Total Flink Memory"));
    assert!(build("factor = 3.0", "factor = 0.5").contains("1 or more"));
}
