//! The physics: properties, and the behaviour of the demo.

use std::collections::BTreeMap;

use super::job::JobStatus;
use super::scenario::Scenario;
use super::world::World;
use crate::domain::Timestamp;

fn start() -> Timestamp {
    Timestamp::from_timestamp_millis(1_795_400_000_000).unwrap()
}

fn after(seconds: f64) -> Timestamp {
    start() + chrono::Duration::milliseconds((seconds * 1000.0) as i64)
}

fn job<'a>(world: &'a World, name: &str) -> &'a super::job::Job {
    world.clusters().iter().flat_map(|c| &c.jobs).find(|j| j.name() == name).unwrap()
}

#[test]
fn the_demo_parses_and_its_jobs_have_run_for_two_hours() {
    let world = Scenario::demo().unwrap().build(start()).unwrap();
    for name in ["orders-enrichment", "clickstream-sessions", "inventory-sync", "payments-ledger"] {
        let job = job(&world, name);
        assert_eq!(job.status, JobStatus::Running, "{name}");
        assert!(world.now() - job.timestamp(JobStatus::Running) > 7_100_000, "{name}");
        for (vertex, spec) in job.flow.vertices.iter().zip(&job.graph.spec.vertices) {
            for task in &vertex.tasks {
                let lived = task.counters.lived();
                assert!((lived - 7_198.0).abs() < 10.0, "{name} {} lived {lived}", spec.name);
            }
        }
    }
    assert!(job(&world, "fraud-scoring").restarts > 100);
}

#[test]
fn a_step_of_the_rate_makes_a_backlog_and_more_subtasks_work_it_off() {
    let mut world = Scenario::demo().unwrap().build(start()).unwrap();
    world.advance(after(60.0));
    let behind = world.lag(job(&world, "orders-enrichment"));
    assert!(behind > 30_000.0, "{behind}");
    let id = job(&world, "orders-enrichment").id;
    let wanted: BTreeMap<_, _> = job(&world, "orders-enrichment")
        .graph
        .vertices
        .iter()
        .zip([1, 6, 2])
        .map(|(node, upper)| (node.id, super::job::Bounds { lower: 1, upper }))
        .collect();
    world.set_requirements("orders-enrichment", id, &wanted).unwrap();
    world.advance(after(80.0));
    let job = |world: &World| job(world, "orders-enrichment").clone();
    assert_eq!(job(&world).parallelism, [1, 6, 2]);
    assert_eq!(job(&world).status, JobStatus::Running);
    world.advance(after(240.0));
    let left = world.lag(&job(&world));
    assert!(left < 1_000.0, "{left}");
}
