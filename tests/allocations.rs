//! Allocations of one pass. They are counted, not timed, so they are the same on every machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "support/wide_job.rs"]
mod wide_job;

use flightdeck::autoscaler::pass::Pass;
use wide_job::WideJob;

/// Allocations of a pass, its result included, and the result.
fn allocations(job: &WideJob, explain: bool) -> (u64, Pass) {
    let mut result = None;
    let info = allocation_counter::measure(|| result = Some(job.pass(explain)));
    (info.count_total, result.unwrap())
}

#[test]
fn a_pass_allocates_by_vertices_not_by_samples_and_an_explanation_only_when_asked() {
    let mut counts = Vec::new();
    for vertices in [5, 20, 100, 500] {
        let job = WideJob::new(vertices, 60);
        let (plain, pass) = allocations(&job, false);
        let (explained, _) = allocations(&job, true);
        assert_eq!(pass.changes.len(), vertices, "every vertex is worked on: {}", pass.reason.sentence);
        println!("{vertices} vertices: {plain} allocations, with explanation {explained}");
        counts.push((vertices as u64, plain, explained));
    }
    let (samples_few, _) = allocations(&WideJob::new(20, 15), false);
    let (samples_many, _) = allocations(&WideJob::new(20, 240), false);
    // 225 more samples; only the texts of other numbers may take another allocation here and there.
    assert!(samples_few.abs_diff(samples_many) < 20, "samples cost no allocation: {samples_few} and {samples_many}");
    let per_vertex = |a: (u64, u64, u64), b: (u64, u64, u64)| (b.1 - a.1) as f64 / (b.0 - a.0) as f64;
    let (low, high) = (per_vertex(counts[0], counts[1]), per_vertex(counts[2], counts[3]));
    assert!(high <= low + 1.0, "linear: {low} and {high} per vertex");
    // Names of the changed vertices, twice, the event's text and the map of overrides; an explanation has dozens of steps.
    assert!(high <= 12.0, "{high} per vertex");
    assert!(counts.iter().all(|(n, plain, explained)| explained - plain > 20 * n));
}
