//! Speed of one pass: evaluate, decide and tune, with explanation off and on, by number of vertices.
//!
//! `cargo bench --bench pipeline`. Allocations are counted by `cargo test --test allocations -- --nocapture`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../tests/support/wide_job.rs"]
mod wide_job;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use wide_job::WideJob;

fn passes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pass");
    for vertices in [5, 20, 100, 500] {
        let job = WideJob::new(vertices, 60);
        group.throughput(Throughput::Elements(vertices as u64));
        for (name, explain) in [("plain", false), ("explained", true)] {
            group.bench_with_input(BenchmarkId::new(name, vertices), &job, |bench, job| {
                bench.iter(|| job.pass(explain))
            });
        }
    }
    group.finish();

    let mut group = criterion.benchmark_group("samples");
    for samples in [15, 60, 240] {
        let job = WideJob::new(20, samples);
        group.throughput(Throughput::Elements(samples as u64));
        group.bench_with_input(BenchmarkId::new("plain", samples), &job, |bench, job| bench.iter(|| job.pass(false)));
    }
    group.finish();
}

criterion_group!(benches, passes);
criterion_main!(benches);
