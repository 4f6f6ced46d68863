//! A fleet of any size, made up.

use std::sync::Arc;
use std::time::Duration;

use flightdeck::domain::Timestamp;
use flightdeck::domain::freshness::Observed;
use flightdeck::domain::health::{Health, HealthWord};
use flightdeck::domain::ids::{ClusterKey, JobId, JobKey, SourceId};
use flightdeck::domain::job::{JobKind, JobRates, JobState, JobView, Mode, Ownership, Realization, TaskCounts};
use flightdeck::domain::snapshot::Snapshot;

/// A snapshot of so many jobs.
pub fn snapshot(jobs: u32, now: Timestamp) -> Snapshot {
    let mut snapshot = Snapshot::empty(now);
    snapshot.jobs = (0..jobs).map(|n| Arc::new(job(n, now))).collect();
    snapshot.jobs.sort_by(|a, b| a.key.cmp(&b.key));
    snapshot.loaded = true;
    snapshot
}

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
