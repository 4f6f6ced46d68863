//! One frame of the fleet with 1,000 jobs: `cargo bench --bench draw`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use flightdeck::domain::Timestamp;
use flightdeck::domain::freshness::Observed;
use flightdeck::domain::health::{Health, HealthWord};
use flightdeck::domain::ids::{ClusterKey, JobId, JobKey, SourceId};
use flightdeck::domain::job::{JobKind, JobRates, JobState, JobView, Mode, Ownership, Realization, TaskCounts};
use flightdeck::domain::snapshot::Snapshot;
use flightdeck::tui::draw::draw;
use flightdeck::tui::event::{Event, Key};
use flightdeck::tui::keymap::Keymap;
use flightdeck::tui::model::{Model, Setup};
use flightdeck::tui::theme::{ColourLevel, UNICODE, load};
use flightdeck::tui::update::update;

fn job(n: u32, now: Timestamp) -> JobView {
    let words = [HealthWord::Healthy, HealthWord::Lagging, HealthWord::Backpressured, HealthWord::Failing];
    JobView {
        key: JobKey::new(format!("k8s:{n}")),
        revision: 1,
        kind: JobKind::FlinkDeployment,
        source: SourceId::new("bench"),
        cluster: ClusterKey::new(format!("k8s:{n}")),
        namespace: Some(format!("team-{}", n % 17)),
        name: format!("pipeline-{n:04}"),
        generation: Some(1),
        job_id: Some(JobId::from_u128(u128::from(n))),
        state: JobState::Running,
        tasks: TaskCounts { total: 24, running: 24, ..TaskCounts::default() },
        run: None,
        started_at: Some(now - Duration::from_secs(7200)),
        health: Health { word: words[n as usize % words.len()], reason: "as measured".to_owned(), operator: None },
        ownership: Ownership::Pilot { why: "bench".to_owned() },
        mode: Mode::Manual,
        realization: Realization::PatchResource { in_place: true },
        options: Arc::default(),
        rates: Some(Observed::new(
            JobRates {
                records_in: 12_000.0 + f64::from(n),
                records_out: 6_000.0,
                lag: f64::from(n) * 100.0,
                lag_rate: -3.0,
                lag_seconds: f64::from(n) / 10.0,
                catch_up_seconds: 94.0,
                utilization: f64::from(n % 100) / 100.0,
                band_low: 0.4,
                band_high: 0.8,
                backpressure: 0.1,
            },
            now - Duration::from_secs(2),
        )),
        topology: None,
        vertices: None,
        subtasks: None,
        window: None,
        window_status: None,
        evaluation: None,
        memory_advice: None,
        checkpoints: None,
        problems: None,
        turn: None,
        observed_at: Some(now - Duration::from_secs(2)),
        resource: None,
        progress: None,
    }
}

fn model(columns: u16, lines: u16) -> (Model, Terminal<TestBackend>) {
    let now = Timestamp::UNIX_EPOCH + Duration::from_secs(1_772_334_760);
    let mut snapshot = Snapshot::empty(now);
    snapshot.jobs = (0..1000).map(|n| Arc::new(job(n, now))).collect();
    snapshot.loaded = true;
    let setup = Setup {
        themes: vec![load("dark", None, ColourLevel::True, &UNICODE).unwrap()],
        keymap: Keymap::default(),
        utc: true,
        mouse: false,
        warnings: Vec::new(),
    };
    let mut model = Model::new(setup, Arc::new(snapshot), now, Duration::ZERO);
    update(&mut model, Event::Resize { columns, lines });
    (model, Terminal::new(TestBackend::new(columns, lines)).unwrap())
}

fn frames(criterion: &mut Criterion) {
    for (columns, lines) in [(120, 40), (200, 60)] {
        let (mut model, mut terminal) = model(columns, lines);
        criterion.bench_function(&format!("frame {columns}x{lines}, 1000 jobs, one key"), |bench| {
            let mut down = true;
            bench.iter(|| {
                update(&mut model, Event::Key(Key::char(if down { 'j' } else { 'k' })));
                down = !down;
                terminal.draw(|frame| draw(frame, black_box(&mut model))).unwrap();
            });
        });
    }
    let (mut model, _) = model(120, 40);
    criterion.bench_function("a newer snapshot of 1000 jobs", |bench| {
        bench.iter(|| {
            let mut snapshot = Snapshot::clone(model.latest());
            snapshot.revision += 1;
            update(&mut model, Event::Snapshot(Arc::new(snapshot)));
        });
    });
}

criterion_group!(benches, frames);
criterion_main!(benches);
