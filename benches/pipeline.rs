//! Speed of the pipeline, without sockets: `cargo bench --bench pipeline`.
//!
//! A pass (evaluate, decide and tune) with explanation off and on, by number of vertices and of samples: goal 50 µs for 20 vertices
//! and 60 samples with explanation off, and linear in the vertices. Then a whole turn of the loop: every answer of the JobManager
//! decoded, window, pass, guards, decision and the snapshot. Allocations are counted by `cargo test --test allocations`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, missing_docs)]

#[path = "support/canned.rs"]
mod canned;
#[path = "../tests/support/wide_job.rs"]
mod wide_job;

use std::sync::Arc;
use std::time::{Duration, Instant};

use canned::{AGE, Canned, START_MS, ToCanned};
use criterion::{BenchmarkId, Criterion, Throughput};
use flightdeck::clock::TokioClock;
use flightdeck::control::{ControlConfig, FlinkSource, Parts, start};
use flightdeck::domain::Timestamp;
use flightdeck::domain::ids::SourceId;
use flightdeck::domain::reason::ReasonCode;
use flightdeck::state::journal::{Journal, Recovery};
use flightdeck::state::store::MemoryStore;
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

/// The whole loop over one job in paused time, where nothing waits: what passes on the clock of the wall is work.
async fn turns(vertices: usize, explain: bool) {
    const TURNS: u32 = 1_000;
    // Ten minutes of window after three of stabilization, at ten seconds each.
    const WARM_UP: u32 = 90;
    let config = ControlConfig { explain, ..ControlConfig::default() };
    let period = config.periods.turn;
    let canned = Arc::new(Canned::new(vertices, period, WARM_UP + TURNS + 2));
    let now = Timestamp::from_timestamp_millis(START_MS).unwrap() + AGE;
    let parts = Parts {
        contexts: None,
        clock: Arc::new(TokioClock::starting_at(now)),
        store: Arc::new(MemoryStore::new()),
        journal: Journal::in_memory(),
        recovery: Recovery::default(),
        flink: vec![FlinkSource {
            id: SourceId::new("canned"),
            transport: Arc::new(ToCanned(Arc::clone(&canned))),
            ui_url: None,
            insecure: false,
        }],
        kubernetes: Vec::new(),
    };
    let (handle, task) = start(config, parts);
    tokio::time::sleep(period * WARM_UP).await;
    let reason = handle.snapshots.borrow().jobs[0].turn.as_ref().unwrap().reason.clone();
    let all_the_way = matches!(reason.code, ReasonCode::WithinBand | ReasonCode::NoEffectiveChange);
    assert!(all_the_way, "a turn ends early: {reason:?}");
    let (asked, begin) = (canned.asked(), Instant::now());
    tokio::time::sleep(period * TURNS).await;
    let each = begin.elapsed() / TURNS;
    let requests = (canned.asked() - asked) as f64 / f64::from(TURNS);
    let explained = if explain { "explained" } else { "plain" };
    println!("turn/{explained}/{vertices:<4} {:>8.1} µs, {requests:.2} requests", each.as_secs_f64() * 1e6);
    task.abort();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    passes(&mut criterion);
    criterion.final_summary();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    for (vertices, explain) in [(5, false), (5, true), (20, false), (20, true), (100, false), (100, true)] {
        runtime.block_on(turns(vertices, explain));
    }
    runtime.shutdown_timeout(Duration::ZERO);
}
