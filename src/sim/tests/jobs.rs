//! How jobs move: rescaling by version, restarts and restores, faults, savepoints.

use std::collections::BTreeMap;

use super::super::checkpoints::Kind;
use super::super::cluster::{Progress, Refused};
use super::super::fault::{Fault, FaultSpec};
use super::super::job::{Bounds, Job, JobStatus, Restore};
use super::super::world::{TriggerOptions, World};
use super::{after, job, world};

/// One job of three vertices on a fixed cluster of two TaskManagers with three slots each.
fn bench(version: &str) -> World {
    world(&format!(
        r#"
name = "bench"
prerun = "60s"
[[cluster]]
name = "main"
version = "{version}"
taskmanagers = {{ count = 2, slots = 3 }}
[[workload]]
name = "work"
cluster = "main"
max-parallelism = 24
[[workload.vertex]]
name = "Source: in"
cost = "50us"
source = {{ rate = {{ kind = "constant", rate = 1500 }} }}
[[workload.vertex]]
name = "Work"
parallelism = 2
cost = "1ms"
inputs = [{{ from = "Source: in", ship = "hash" }}]
state = {{ per-record = "100b", max = "10m" }}
[[workload.vertex]]
name = "Sink: out"
cost = "50us"
inputs = [{{ from = "Work" }}]
"#
    ))
}

fn ask(world: &mut World, wanted: [(u32, u32); 3]) -> Result<(), Refused> {
    let the = job(world, "work");
    let id = the.id;
    let bounds = the
        .graph
        .vertices
        .iter()
        .zip(wanted)
        .map(|(node, (lower, upper))| (node.id, Bounds { lower, upper }))
        .collect::<BTreeMap<_, _>>();
    world.set_requirements("main", id, &bounds)
}

/// The states that a job goes through until `seconds`, as seen every 100 ms.
fn watch(world: &mut World, from: f64, seconds: f64) -> Vec<(f64, JobStatus, Vec<u32>)> {
    let mut seen: Vec<(f64, JobStatus, Vec<u32>)> = Vec::new();
    for step in 1..=(seconds * 10.0) as usize {
        let at = step as f64 / 10.0;
        world.advance(after(from + at));
        let the = job(world, "work");
        let now = (the.status, the.parallelism.clone());
        if seen.last().is_none_or(|(_, status, p)| (*status, p.clone()) != now) {
            seen.push((at, now.0, now.1));
        }
    }
    seen
}

fn statuses(seen: &[(f64, JobStatus, Vec<u32>)]) -> Vec<JobStatus> {
    let mut out: Vec<JobStatus> = seen.iter().map(|(_, status, _)| *status).collect();
    out.dedup();
    out
}

#[test]
fn flink_1_rescales_at_once_when_slots_are_free() {
    let mut world = bench("1.20.5");
    ask(&mut world, [(1, 1), (1, 4), (1, 1)]).unwrap();
    let seen = watch(&mut world, 0.0, 5.0);
    assert_eq!(statuses(&seen), [JobStatus::Restarting, JobStatus::Running]);
    assert_eq!(job(&world, "work").parallelism, [1, 4, 1]);
    assert!(seen.last().unwrap().0 < 1.0, "{seen:?}");
    assert_eq!(job(&world, "work").checkpoints.restored_count, 1);
    assert_eq!((job(&world, "work").restarts, job(&world, "work").rescales), (1, 1));
}

#[test]
fn flink_1_waits_in_created_for_slots_that_do_not_exist() {
    let mut world = bench("1.20.5");
    ask(&mut world, [(1, 1), (1, 12), (1, 1)]).unwrap();
    let seen = watch(&mut world, 0.0, 15.0);
    assert_eq!(statuses(&seen), [JobStatus::Restarting, JobStatus::Created, JobStatus::Running]);
    assert_eq!(job(&world, "work").parallelism, [1, 6, 1], "what the slots allow, never an error");
    let back = seen.iter().find(|(_, status, p)| *status == JobStatus::Running && p[1] == 6).unwrap().0;
    assert!((10.0..11.5).contains(&back), "{seen:?}");
}

#[test]
fn a_lower_bound_out_of_reach_changes_nothing() {
    let mut world = bench("1.20.5");
    ask(&mut world, [(1, 1), (12, 12), (1, 1)]).unwrap();
    assert_eq!(statuses(&watch(&mut world, 0.0, 20.0)), [JobStatus::Running]);
    assert_eq!(job(&world, "work").parallelism, [1, 2, 1]);
}

#[test]
fn the_same_bounds_again_and_bounds_within_the_cool_down_wait() {
    let mut world = bench("1.20.5");
    ask(&mut world, [(1, 1), (1, 2), (1, 1)]).unwrap();
    assert_eq!(statuses(&watch(&mut world, 0.0, 5.0)), [JobStatus::Running], "the same again: nothing");
    ask(&mut world, [(1, 1), (1, 4), (1, 1)]).unwrap();
    watch(&mut world, 5.0, 2.0);
    assert_eq!(job(&world, "work").parallelism, [1, 4, 1]);
    ask(&mut world, [(1, 1), (1, 3), (1, 1)]).unwrap();
    watch(&mut world, 7.0, 20.0);
    assert_eq!(job(&world, "work").parallelism, [1, 4, 1], "thirty seconds of cool-down");
    watch(&mut world, 27.0, 15.0);
    assert_eq!(job(&world, "work").parallelism, [1, 3, 1]);
}

#[test]
fn flink_2_waits_for_the_next_checkpoint() {
    let mut world = bench("2.1.3");
    ask(&mut world, [(1, 1), (1, 4), (1, 1)]).unwrap();
    let before = job(&world, "work").checkpoints.completed_count;
    let seen = watch(&mut world, 0.0, 15.0);
    assert_eq!(statuses(&seen), [JobStatus::Running, JobStatus::Restarting, JobStatus::Running]);
    let the = job(&world, "work");
    assert_eq!(the.parallelism, [1, 4, 1]);
    // The restart came right after a checkpoint: next to nothing is processed twice.
    let restored = the.checkpoints.restored.as_ref().unwrap();
    let completed = the.checkpoints.history.iter().find(|c| c.id == restored.id).unwrap();
    assert!(completed.id > before, "{} after {before}", completed.id);
    assert!(restored.at - completed.triggered < 1_000, "{} {}", restored.at, completed.triggered);
}

#[test]
fn flink_2_keeps_running_while_it_waits_for_slots() {
    let mut world = bench("2.1.3");
    ask(&mut world, [(1, 1), (1, 12), (1, 1)]).unwrap();
    assert_eq!(statuses(&watch(&mut world, 0.0, 59.0)), [JobStatus::Running]);
    watch(&mut world, 59.0, 25.0);
    assert_eq!(job(&world, "work").parallelism, [1, 6, 1]);
}

#[test]
fn slots_come_back_late_after_a_scale_down() {
    let mut world = bench("1.20.5");
    ask(&mut world, [(1, 1), (1, 6), (1, 1)]).unwrap();
    watch(&mut world, 0.0, 35.0);
    assert_eq!(world.cluster("main").unwrap().slots_free(), 0);
    ask(&mut world, [(1, 1), (1, 2), (1, 1)]).unwrap();
    watch(&mut world, 35.0, 20.0);
    assert_eq!(job(&world, "work").parallelism, [1, 2, 1]);
    assert_eq!(world.cluster("main").unwrap().slots_free(), 0, "idle slots stay for 50 s");
    watch(&mut world, 55.0, 60.0);
    assert_eq!(world.cluster("main").unwrap().slots_free(), 4);
}

#[test]
fn wrong_bounds_are_refused_with_a_line_each() {
    let mut world = bench("1.20.5");
    let Err(Refused::Bounds(lines)) = ask(&mut world, [(1, 99), (3, 2), (0, 0)]) else { panic!("accepted") };
    assert_eq!(lines.len(), 3, "{lines:?}");
    let id = job(&world, "work").id;
    let Err(Refused::Bounds(lines)) = world.set_requirements("main", id, &BTreeMap::new()) else { panic!("accepted") };
    assert!(lines.iter().all(|l| l.contains("missing job vertex")), "{lines:?}");
}

fn read(the: &Job) -> f64 {
    the.cursors[0].as_ref().unwrap().total()
}

#[test]
fn a_restart_loses_no_records_but_replays_since_the_checkpoint() {
    let mut world = bench("1.20.5");
    world.advance(after(7.0));
    let before = read(job(&world, "work"));
    let saved = job(&world, "work").checkpoints.restore_point().unwrap().2;
    let saved = saved.cursors.values().map(super::super::topic::Cursor::total).sum::<f64>();
    assert!(saved < before);
    world.inject(fault(Fault::TaskManagerLost { cluster: "main".to_owned() })).unwrap();
    world.advance(after(8.0));
    let the = job(&world, "work");
    assert_eq!(the.status, JobStatus::Restarting);
    assert!(the.failures[0].trace.contains("is no longer reachable"));
    while !job(&world, "work").all_running() {
        let next = world.now() + 100;
        world.advance(crate::domain::Timestamp::from_timestamp_millis(next).unwrap());
    }
    let the = job(&world, "work");
    // It has read for one step since; every record is either read or still waiting.
    assert!(read(the) - saved < 500.0, "{} after {saved}", read(the));
    assert!(read(the) < before);
    let cursor = the.cursors[0].as_ref().unwrap();
    let topic = world.topic(cursor).unwrap();
    assert!((topic.total() - cursor.total() - cursor.lag(topic)).abs() < 1e-3);
}

fn fault(fault: Fault) -> FaultSpec {
    FaultSpec { at: 0.0, lasts: 30.0, fault }
}

#[test]
fn a_lost_taskmanager_is_replaced_and_the_job_takes_its_slots_again() {
    let mut world = bench("1.20.5");
    ask(&mut world, [(1, 1), (1, 5), (1, 1)]).unwrap();
    world.advance(after(5.0));
    assert_eq!(job(&world, "work").parallelism, [1, 5, 1]);
    world.inject(fault(Fault::OomKill { cluster: "main".to_owned() })).unwrap();
    world.advance(after(6.0));
    assert_eq!(world.cluster("main").unwrap().taskmanagers.len(), 2, "listed until its heartbeat times out");
    world.advance(after(90.0));
    assert_eq!(world.cluster("main").unwrap().slots_total(), 6);
    assert_eq!(job(&world, "work").parallelism, [1, 5, 1]);
    assert_eq!(job(&world, "work").status, JobStatus::Running);
}

#[test]
fn without_capacity_no_taskmanager_comes() {
    let mut world = bench("1.20.5");
    world.inject(fault(Fault::NoCapacity { cluster: None })).unwrap();
    world.inject(fault(Fault::TaskManagerLost { cluster: "main".to_owned() })).unwrap();
    world.advance(after(25.0));
    assert_eq!(world.cluster("main").unwrap().taskmanagers.len(), 1);
    world.advance(after(35.0));
    assert_eq!(world.cluster("main").unwrap().taskmanagers.len(), 2, "once the fault is over");
}

#[test]
fn a_jobmanager_that_restarts_recovers_its_job_from_the_checkpoint() {
    let mut world = bench("1.20.5");
    world.advance(after(5.0));
    let (id, before) = (job(&world, "work").id, read(job(&world, "work")));
    world.inject(fault(Fault::JobManagerRestart { cluster: "main".to_owned() })).unwrap();
    world.advance(after(6.0));
    assert!(!world.cluster("main").unwrap().is_up());
    world.advance(after(20.0));
    let the = job(&world, "work");
    assert_eq!((the.id, the.status), (id, JobStatus::Running));
    assert!(the.start_time > after(6.0).timestamp_millis());
    assert_eq!(the.checkpoints.restored_count, 1);
    assert!(read(the) > before);
}

#[test]
fn checkpoints_fail_while_the_fault_lasts() {
    let mut world = bench("1.20.5");
    let completed = job(&world, "work").checkpoints.completed_count;
    world.inject(fault(Fault::CheckpointFailures { job: "work".to_owned() })).unwrap();
    world.advance(after(29.0));
    let checkpoints = &job(&world, "work").checkpoints;
    assert_eq!(checkpoints.completed_count, completed);
    assert!(checkpoints.failed_count >= 2);
    world.advance(after(60.0));
    assert!(job(&world, "work").checkpoints.completed_count > completed);
}

#[test]
fn a_stop_ends_the_job_and_a_new_one_reads_on_from_its_savepoint() {
    let mut world = bench("1.20.5");
    let id = job(&world, "work").id;
    let trigger = world.trigger("main", id, Kind::SyncSavepoint, TriggerOptions::default()).unwrap();
    assert_eq!(world.operation("main", trigger).unwrap().progress, Progress::InProgress);
    world.advance(after(3.0));
    let Progress::Savepoint(path) = world.operation("main", trigger).unwrap().progress.clone() else {
        panic!("not done")
    };
    assert_eq!(job(&world, "work").status, JobStatus::Finished);
    let (read_then, spec) = (read(job(&world, "work")), job(&world, "work").graph.spec.clone());
    let vertex = job(&world, "work").graph.vertices[1].id;
    world.advance(after(10.0));
    let restore = world.restore_from(&path);
    let Restore::From { snapshot, .. } = &restore else { panic!("nothing is stored") };
    let saved: f64 = snapshot.cursors.values().map(super::super::topic::Cursor::total).sum();
    let new = world.submit("main", spec, &BTreeMap::from([(vertex, 4)]), restore).unwrap();
    world.advance(after(11.0));
    let the = world.job("main", new).unwrap();
    assert_eq!(the.parallelism, [1, 4, 1]);
    assert!(the.checkpoints.restored.as_ref().unwrap().is_savepoint);
    // The old job went on for a moment after its barrier; the new one has read on since.
    assert!((0.0..3_000.0).contains(&(read_then - saved)), "{saved} saved, {read_then} read");
    assert!(read(the) > read_then);
}

#[test]
fn a_savepoint_of_nothing_fails_in_its_result_and_a_missing_one_fails_the_job() {
    let mut world = bench("1.20.5");
    let unknown = crate::domain::ids::JobId::from_u128(7);
    let trigger = world.trigger("main", unknown, Kind::Savepoint, TriggerOptions::default()).unwrap();
    assert!(matches!(world.operation("main", trigger).unwrap().progress, Progress::Failed(..)));
    let spec = job(&world, "work").graph.spec.clone();
    let restore = world.restore_from("file:/nowhere");
    assert!(matches!(restore, Restore::Missing { .. }));
    let id = world.submit("main", spec, &BTreeMap::new(), restore).unwrap();
    world.advance(after(2.0));
    let the = world.job("main", id).unwrap();
    assert_eq!(the.status, JobStatus::Failed);
    assert!(the.failures[0].trace.contains("Cannot find checkpoint or savepoint"));
}

#[test]
fn a_repeated_trigger_id_starts_nothing_new() {
    let mut world = bench("1.20.5");
    let id = job(&world, "work").id;
    let options = TriggerOptions { trigger: Some(42), ..TriggerOptions::default() };
    for _ in 0..2 {
        assert_eq!(world.trigger("main", id, Kind::Savepoint, options.clone()), Some(42));
        world.advance(after(2.0));
    }
    let checkpoints = &job(&world, "work").checkpoints;
    assert_eq!(checkpoints.history.iter().filter(|c| c.is_savepoint()).count(), 1);
}

#[test]
fn the_same_calls_give_the_same_world() {
    let print = |world: &World| {
        let the = job(world, "work");
        let counters: Vec<_> = the.flow.vertices.iter().flat_map(|v| &v.tasks).map(|t| t.counters.clone()).collect();
        format!("{:?} {:?} {counters:?}", the.id, the.checkpoints.completed)
    };
    let (mut a, mut b) = (bench("1.20.5"), bench("1.20.5"));
    a.advance(after(20.0));
    for step in 1..=200 {
        b.advance(after(f64::from(step) / 10.0));
    }
    assert_eq!(print(&a), print(&b), "in one stride or in many");
}

#[test]
fn a_heap_that_cannot_hold_the_state_kills_its_taskmanager() {
    let mut world = world(
        r#"
name = "heap"
[[cluster]]
name = "main"
taskmanagers = { count = 1, slots = 1, memory = "1g" }
[[workload]]
name = "work"
cluster = "main"
[[workload.vertex]]
name = "Source: in"
cost = "50us"
source = { rate = { kind = "constant", rate = 4000 } }
[[workload.vertex]]
name = "Hoard"
cost = "50us"
inputs = [{ from = "Source: in", ship = "hash" }]
state = { per-record = "3k", max = "4g" }
"#,
    );
    world.advance(after(20.0));
    let used = world.cluster("main").unwrap().taskmanagers[0].jvm.heap_used();
    world.advance(after(120.0));
    let the = job(&world, "work");
    assert!(the.restarts >= 1, "heap used {used}");
    assert!(the.failures.iter().any(|f| f.class == "java.lang.OutOfMemoryError"), "{:?}", the.failures);
}
