//! Snapshots as a real fleet gives them, for tests of what is drawn: a night with one of every kind of trouble.

pub(crate) mod frames;
mod kubernetes;
pub(crate) mod plans;

use std::sync::Arc;
use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::decision::*;
use crate::domain::evaluation::{Evaluated, EvaluatedMetrics, Evaluation, ScalingMetric};
use crate::domain::explanation::{Explanation, Origin, Step, Term, Value, Verdict};
use crate::domain::freshness::Observed;
use crate::domain::health::{Health, HealthWord};
use crate::domain::ids::*;
use crate::domain::job::*;
use crate::domain::memory::{
    MemoryAdvice, MemoryConfiguration, MemoryOutlook, MemoryPool, PoolAdvice, PoolFloor, PoolUsage,
};
use crate::domain::reason::{Reason, ReasonCode};
use crate::domain::snapshot::{Notice, Snapshot, SourceKind, SourceState, SourceView};
use crate::domain::topology::{Input, ShipStrategy, Topology, Vertex};
use crate::domain::units::Unit;
use crate::domain::window::{GlobalSample, MetricWindow, Sample, VertexSample, WindowStatus};

pub(crate) use kubernetes::{on_kubernetes, preview};

pub(crate) fn now() -> Timestamp {
    "2026-03-01T03:12:40Z".parse().unwrap()
}

pub(crate) fn ago(seconds: u64) -> Timestamp {
    now() - Duration::from_secs(seconds)
}

pub(crate) fn vertex_id(n: u128) -> VertexId {
    VertexId::from_u128(0xcbc3_57cc_0000_0000_0000_0000_0000_0000 + n)
}

pub(crate) fn key(name: &str) -> JobKey {
    JobKey::new(format!("k8s:{name}"))
}

const NAMES: [&str; 5] = [
    "Source: payments -> Timestamps/Watermarks",
    "enrich-with-customer -> filter-internal",
    "Source: rules",
    "score (keyed by account)",
    "Sink: alerts",
];
const INPUTS: [&[u128]; 5] = [&[], &[0], &[], &[1, 2], &[3]];

fn vertices(parallelism: [i32; 5], busy: [f64; 5], rate: f64) -> (Topology, Vec<VertexView>) {
    let vertex = |n: usize| Vertex {
        id: vertex_id(n as u128),
        name: NAMES[n].to_owned(),
        parallelism: parallelism[n],
        max_parallelism: 128,
        source_partitions: if INPUTS[n].is_empty() { 12 } else { 0 },
        finished: false,
        slot_sharing_group: None,
        inputs: INPUTS[n].iter().map(|id| Input { id: vertex_id(*id), ship_strategy: ShipStrategy::Hash }).collect(),
    };
    let topology = Topology::new((0..5).map(vertex).collect());
    let views = topology
        .vertices()
        .iter()
        .map(|v| {
            let n = (v.id.as_u128() - vertex_id(0).as_u128()) as usize;
            let total = u32::try_from(v.parallelism).unwrap();
            let factor = [1.0, 1.0, 0.001, 0.92, 0.04][n];
            let backpressured = if n < 3 && busy[3] > 0.9 { 1.0 - busy[n] } else { 0.0 };
            VertexView {
                id: v.id,
                name: v.name.clone(),
                parallelism: v.parallelism,
                max_parallelism: 128,
                status: "RUNNING".into(),
                tasks: TaskCounts { total, running: total, ..TaskCounts::default() },
                records_in: rate * factor,
                records_out: if n == 4 { f64::NAN } else { rate * factor * 0.98 },
                busy: busy[n],
                busy_max: (busy[n] * 1.06).min(1.0),
                backpressured,
                idle: (1.0 - busy[n] - backpressured).max(0.0),
                lag: [182_400.0, f64::NAN, 0.0, f64::NAN, f64::NAN][n],
                watermark: [
                    None,
                    Some(Watermark::At(ago(7))),
                    None,
                    Some(Watermark::At(ago(312))),
                    Some(Watermark::NotYet),
                ][n],
                incomplete: false,
            }
        })
        .collect();
    (topology, views)
}

/// A window of four minutes with a hole of 45 seconds, in which the rate rises.
fn window(parallelism: [i32; 5], busy: [f64; 5], rate: f64) -> MetricWindow {
    let mut totals = [0.0f64; 5];
    let mut busy_time = [0.0f64; 5];
    let samples = (0..49).filter_map(|i| {
        let at = ago(240 - i * 5);
        let growth = 0.55 + 0.45 * (i as f64 / 20.0).min(1.0);
        for n in 0..5 {
            let wobble = 1.0 + 0.03 * ((i * 7 + n as u64 * 3) % 5) as f64 / 4.0;
            totals[n] += 5.0 * rate * growth * wobble * [1.0, 1.0, 0.001, 0.92, 0.04][n];
            busy_time[n] += 5000.0 * busy[n] * growth * f64::from(parallelism[n]);
        }
        let vertex = |n: usize| {
            let sample = VertexSample {
                load: busy[n] * growth,
                accumulated_busy_time: busy_time[n],
                records_in: totals[n],
                records_out: totals[n],
                lag: (n == 0).then(|| (i as f64 - 12.0).max(0.0) * 5000.0),
                observed_tpr: f64::NAN,
                records_in_per_second: f64::NAN,
            };
            (vertex_id(n as u128), sample)
        };
        let hole = (22..31).contains(&i);
        (!hole).then(|| Arc::new(Sample::new(at, (0..5).map(vertex).collect(), GlobalSample::MISSING)))
    });
    MetricWindow::from_samples(samples.collect())
}

fn evaluation(busy: [f64; 5], rate: f64) -> Evaluation {
    let metrics = |n: usize| {
        let mut metrics = EvaluatedMetrics::default();
        let target = rate * [1.0, 1.0, 0.001, 0.92, 0.04][n];
        let mut set = |metric, value| metrics.set(metric, Some(Evaluated { current: value, average: value }));
        set(ScalingMetric::Load, busy[n]);
        set(ScalingMetric::TrueProcessingRate, target / busy[n].max(0.01));
        set(ScalingMetric::TargetDataRate, target);
        set(ScalingMetric::ScaleUpRateThreshold, target * 1.18);
        set(ScalingMetric::ScaleDownRateThreshold, target * 2.5);
        set(ScalingMetric::ExpectedProcessingRate, target * 1.5);
        (vertex_id(n as u128), metrics)
    };
    Evaluation {
        at: ago(4),
        vertices: (0..5).map(metrics).collect(),
        global: EvaluatedMetrics::default(),
        restart_time_seconds: 10.0,
        processing_backlog: true,
    }
}

fn explanation() -> Explanation {
    let term = |symbol: &'static str, value: f64, unit, origin, at| Term {
        symbol: symbol.into(),
        value: Value::number(value, unit),
        origin,
        at,
    };
    let step = |label: &'static str, vertex, formula: Option<&'static str>, inputs, value, verdict, children| Step {
        label: label.into(),
        vertex,
        formula: formula.map(Into::into),
        inputs,
        value,
        verdict,
        children,
    };
    let score = Some(vertex_id(3));
    let metric = |name: &'static str| Origin::Metric { name: name.into() };
    let option = |key: &'static str| Origin::Option { key: key.into(), layer: "job".into() };
    let target = step(
        "target data rate",
        score,
        Some("rate_in + lag / catch_up"),
        vec![
            term("rate_in", 11_040.0, Unit::RecordsPerSecond, metric("NUM_RECORDS_IN"), Some(ago(4))),
            term("lag", 182_400.0, Unit::Records, metric("LAG"), Some(ago(4))),
            term("catch_up", 120.0, Unit::Seconds, option("catch-up.duration"), None),
        ],
        Value::number(12_560.0, Unit::RecordsPerSecond),
        Verdict::Computed,
        vec![],
    );
    let scale = step(
        "wanted parallelism",
        score,
        Some("ceil(parallelism * target / (utilization * capacity))"),
        vec![
            term("parallelism", 4.0, Unit::Subtasks, Origin::Topology, None),
            term("target", 12_560.0, Unit::RecordsPerSecond, Origin::Step, None),
            term("utilization", 0.7, Unit::Ratio, option("utilization.target"), None),
            term("capacity", 11_383.5, Unit::RecordsPerSecond, metric("TRUE_PROCESSING_RATE"), Some(ago(4))),
        ],
        Value::number(7.0, Unit::Subtasks),
        Verdict::Acts,
        vec![step(
            "aligned to key groups",
            score,
            None,
            vec![],
            Value::number(8.0, Unit::Subtasks),
            Verdict::Limited,
            vec![],
        )],
    );
    Explanation {
        at: ago(4),
        steps: vec![
            step(
                "metric window is full",
                None,
                None,
                vec![],
                Value::text("49 samples in 4m00s"),
                Verdict::Passed,
                vec![],
            ),
            step("vertex", score, None, vec![], Value::number(8.0, Unit::Subtasks), Verdict::Acts, vec![target, scale]),
            step("slots are there", None, None, vec![], Value::text("24 of 32 needed"), Verdict::Passed, vec![]),
        ],
    }
}

fn checkpoints(failing: bool) -> CheckpointsView {
    let entry = |i: u64| {
        let failed = failing && i.is_multiple_of(3);
        CheckpointEntry {
            id: 1840 - i,
            status: match (i, failed) {
                (0, false) => CheckpointStatus::InProgress,
                (_, true) => CheckpointStatus::Failed,
                (_, false) => CheckpointStatus::Completed,
            },
            is_savepoint: i == 5,
            format: None,
            kind: if i == 5 { "SAVEPOINT" } else { "CHECKPOINT" }.into(),
            triggered_at: ago(8 + i * 30),
            duration: (i > 0).then(|| Duration::from_millis(1_200 + (i * 373) % 900)),
            state_size: 4_812_000_000 - i * 1_000_000,
            checkpointed_size: 212_000_000 + i * 77_000,
            acknowledged: if failed || i == 0 { 17 } else { 24 },
            subtasks: 24,
            external_path: (i > 0 && !failed)
                .then(|| format!("s3://flink-state/prod/fraud-detection/chk-{}", 1840 - i)),
            discarded: i > 9,
            failure: failed.then(|| "Checkpoint expired before completing: 17 of 24 subtasks acknowledged".into()),
        }
    };
    CheckpointsView {
        enabled: true,
        interval: Some(Duration::from_secs(30)),
        timeout: Some(Duration::from_secs(600)),
        completed: 1836,
        failed: if failing { 3 } else { 0 },
        in_progress: 1,
        restored: 2,
        history: (0..10).map(entry).collect(),
        latest_completed_at: Some(ago(38)),
        restored_from: Some("s3://flink-state/prod/fraud-detection/savepoint-cbc357-9a1f".into()),
    }
}

fn problems() -> ProblemsView {
    let entry = |i: u64| ProblemEntry {
        at: ago(37 + i * 61),
        root_class: "java.net.ConnectException".into(),
        root_message: "Connection refused: ledger-db.prod.svc/10.12.0.7:5432".into(),
        class: "org.apache.flink.runtime.JobException".into(),
        stack: {
            let frames = (0..40).map(|n| format!("\tat com.example.ledger.Sink.write{n}(Sink.java:{})", 100 + n));
            let head = [
                "org.apache.flink.runtime.JobException: Recovery is suppressed by FixedDelayRestartBackoffTimeStrategy"
                    .to_owned(),
                "Caused by: java.net.ConnectException: Connection refused: ledger-db.prod.svc/10.12.0.7:5432"
                    .to_owned(),
            ];
            head.into_iter().chain(frames).collect::<Vec<_>>().join("\n")
        },
        task: Some("Sink: ledger (3/4)".into()),
        endpoint: Some("10.12.4.19:6122".into()),
        task_manager: Some("ledger-export-taskmanager-1-3".into()),
        concurrent: if i == 0 { 2 } else { 0 },
    };
    ProblemsView { entries: (0..6).map(entry).collect(), truncated: true, restarts: Some(14) }
}

fn job(name: &str, word: HealthWord, why: &str) -> JobView {
    let id = JobId::from_u128(0x7f3a_0000_0000_0000_0000_0000_0000_0000 + u128::from(name.len() as u32));
    JobView {
        key: key(name),
        revision: 1,
        kind: JobKind::FlinkDeployment,
        source: SourceId::new("prod-eu"),
        cluster: ClusterKey::new("k8s:cluster"),
        namespace: Some("payments".into()),
        name: name.into(),
        generation: Some(7),
        job_id: Some(id),
        state: JobState::Running,
        tasks: TaskCounts { total: 24, running: 24, ..TaskCounts::default() },
        run: Some(RunId { job: id, running_since: ago(7_400) }),
        started_at: Some(ago(7_420)),
        health: Health { word, reason: why.into(), operator: Some("STABLE, RUNNING".into()) },
        ownership: Ownership::Pilot { why: "job.autoscaler.enabled is not set".into() },
        mode: Mode::Manual,
        realization: Realization::PatchResource { in_place: true },
        options: Arc::new(vec![("utilization.target".into(), "0.7".into(), "job".into())]),
        rates: Some(Observed::new(
            JobRates {
                records_in: 12_012.0,
                records_out: 442.0,
                lag: 0.0,
                lag_rate: 0.0,
                lag_seconds: 0.0,
                catch_up_seconds: 0.0,
                utilization: 0.62,
                band_low: 0.4,
                band_high: 0.85,
                backpressure: 0.0,
            },
            ago(4),
        )),
        topology: None,
        vertices: None,
        subtasks: None,
        window: None,
        window_status: Some(WindowStatus {
            samples: 49,
            stable_at: ago(7_000),
            full_at: ago(6_900),
            fill: 1.0,
            full: true,
            length: Duration::from_secs(240),
            period: Duration::from_secs(5),
        }),
        evaluation: None,
        memory_advice: None,
        checkpoints: Some(Observed::new(Arc::new(checkpoints(false)), ago(3))),
        problems: None,
        turn: Some(Arc::new(TurnView {
            at: ago(4),
            reason: Reason::new(
                ReasonCode::WithinBand,
                "every vertex is inside its bounds: busiest is score at 62 % of 70 %",
            ),
            explanation: None,
            next_at: now() + Duration::from_secs(1),
        })),
        observed_at: Some(ago(1)),
        resource: None,
        progress: None,
    }
    .with_graph([4, 4, 1, 4, 2], [0.31, 0.44, 0.02, 0.62, 0.12], 12_012.0)
}

impl JobView {
    fn with_graph(mut self, parallelism: [i32; 5], busy: [f64; 5], rate: f64) -> Self {
        let (topology, views) = vertices(parallelism, busy, rate);
        let subtasks = (0..u32::try_from(parallelism[3]).unwrap()).map(|index| SubtaskView {
            index,
            status: "RUNNING".into(),
            attempt: 2,
            endpoint: format!("10.12.4.{}:6122", 17 + index / 2),
            task_manager: format!("{}-taskmanager-1-{}", self.name, 1 + index / 2),
            records_in: 91_000_000 + u64::from(index) * 2_200_000,
            records_out: 3_400_000 + u64::from(index) * 80_000,
            busy: (busy[3] * (0.7 + 0.15 * f64::from(index))).min(1.0),
            backpressured: 0.01,
            idle: 0.02,
        });
        self.subtasks =
            Some(Observed::new(Arc::new(SubtasksView { vertex: vertex_id(3), subtasks: subtasks.collect() }), ago(2)));
        self.topology = Some(Arc::new(topology));
        self.vertices = Some(Observed::new(Arc::new(views), ago(2)));
        self.window = Some(Arc::new(window(parallelism, busy, rate)));
        self.evaluation = Some(Arc::new(evaluation(busy, rate)));
        self
    }

    fn reason(mut self, code: ReasonCode, sentence: &str, until: Option<Timestamp>) -> Self {
        self.turn = Some(Arc::new(TurnView {
            at: ago(4),
            reason: Reason { code, sentence: sentence.into(), vertex: None, until },
            explanation: Some(Arc::new(explanation())),
            next_at: now() + Duration::from_secs(1),
        }));
        self
    }

    fn rates(mut self, change: impl FnOnce(&mut JobRates)) -> Self {
        change(&mut self.rates.as_mut().unwrap().value);
        self
    }
}

fn change(n: usize, from: i32, to: i32, rate: f64) -> VertexChange {
    let capacity = rate * 0.94;
    VertexChange {
        vertex: vertex_id(n as u128),
        name: NAMES[n].into(),
        from,
        to,
        true_processing_rate: capacity,
        target_rate: rate * 1.13,
        expected_rate: capacity / f64::from(from) * f64::from(to),
    }
}

fn decision(id: u32, name: &str, changes: Vec<VertexChange>, state: DecisionState) -> Decision {
    Decision {
        id: DecisionId(id),
        revision: 3,
        target: Target {
            job: key(name),
            context: "prod-eu".into(),
            namespace: Some("payments".into()),
            name: name.into(),
            uid: "3b0c6d9e-8c7e-4b43-9d0c-0a9e0a4f7a11".into(),
            generation: Some(7),
            field_hash: 99,
            run: None,
        },
        compat: "main".into(),
        changes,
        config: ConfigChanges::default(),
        reason: Reason::new(
            ReasonCode::Proposed,
            "score (keyed by account) can handle 11.4k rec/s, 12.6k are needed to read what arrives and the lag of 182k within 2 min",
        ),
        explanation: Some(Arc::new(explanation())),
        prediction: Prediction {
            downtime: Duration::from_secs(10),
            downtime_measured: true,
            catch_up: Some(Duration::from_secs(94)),
            task_managers: Some(6),
            slots: 24,
        },
        proposed_at: ago(94),
        refreshed_at: ago(4),
        expires_at: now() + Duration::from_secs(1_706),
        data_at: ago(4),
        life: vec![
            DecisionEvent { at: ago(94), state: DecisionState::Pending, by: "loop".into() },
            DecisionEvent { at: ago(40), state: state.clone(), by: "a person at the screen".into() },
        ],
        state,
        outcome: None,
        capacity: None,
        blocked: None,
    }
}

fn cluster() -> ClusterView {
    const GIB: u64 = 1 << 30;
    const MIB: u64 = 1 << 20;
    let memory = MemoryConfiguration {
        framework_heap: 128 * MIB,
        task_heap: 1_408 * MIB,
        framework_off_heap: 128 * MIB,
        task_off_heap: 0,
        network: 343 * MIB,
        managed: 1_372 * MIB,
        metaspace: 256 * MIB,
        overhead: 410 * MIB,
        total_flink: 3_380 * MIB,
        total_process: 4 * GIB,
    };
    let tm = |n: u64| TaskManagerView {
        id: format!("fraud-detection-taskmanager-1-{n}"),
        slots: 4,
        free_slots: u32::from(n == 4) * 3,
        allocated: vec![(JobId::from_u128(1), if n == 4 { 1 } else { 4 })],
        heartbeat_at: Some(ago(n)),
        cpu_cores: 2.0,
        cpu_load: 0.2 * n as f64,
        memory: Some(memory),
        pools: MemoryPool::ALL
            .iter()
            .map(|pool| {
                let configured = memory.capacity(*pool);
                let (used, peak) = match pool {
                    MemoryPool::JvmHeap => (Some(configured / 10 * (5 + n)), Some(configured / 100 * (62 + n * 9))),
                    MemoryPool::Managed => (Some(0), Some(0)),
                    MemoryPool::Network => (Some(configured / 3), Some(configured / 2)),
                    MemoryPool::DirectOther => (Some(12 * MIB), Some(15 * MIB)),
                    MemoryPool::Metaspace => (Some(121 * MIB), Some(122 * MIB)),
                    MemoryPool::Overhead => (None, None),
                };
                PoolUsage { pool: *pool, configured: Some(configured), used, peak }
            })
            .collect(),
        gc: if n == 3 { 0.14 } else { 0.02 },
        container_limit: Some(4 * GIB),
    };
    ClusterView {
        key: ClusterKey::new("k8s:cluster"),
        revision: 1,
        source: SourceId::new("prod-eu"),
        name: "fraud-detection".into(),
        namespace: Some("payments".into()),
        ui_url: Some("https://flink.example/fraud-detection".into()),
        flink_version: Some("2.1.0".into()),
        scheduler: Scheduler::Adaptive,
        slots_total: 16,
        slots_available: 3,
        task_managers: Some(Observed::new(Arc::new((1..5).map(tm).collect()), ago(6))),
        pods: None,
        way: None,
        metric_interval: Duration::from_secs(10),
        observed_at: Some(ago(1)),
    }
}

/// A heap that is a little too large and was nearly full, managed memory that nothing uses.
pub(crate) fn memory_advice() -> MemoryAdvice {
    const MIB: u64 = 1 << 20;
    let of = |pool, configured, used: Option<u64>, peak: Option<u64>, proposed, floor| PoolAdvice {
        pool,
        configured: configured * MIB,
        used: used.map(|n| n * MIB),
        peak: peak.map(|n| n * MIB),
        proposed: proposed * MIB,
        floor,
    };
    let average = |mib: u64| PoolFloor::Used { average: mib * MIB };
    let pools = vec![
        of(MemoryPool::JvmHeap, 1_536, Some(1_382), Some(1_505), 1_440, average(1_200)),
        of(MemoryPool::Managed, 1_372, Some(0), Some(0), 0, PoolFloor::Unused),
        of(MemoryPool::Network, 343, None, None, 27, PoolFloor::Buffers),
        of(MemoryPool::DirectOther, 128, None, None, 128, PoolFloor::NotMeasured),
        of(MemoryPool::Metaspace, 256, Some(121), Some(122), 145, average(121)),
        of(MemoryPool::Overhead, 410, None, None, 410, PoolFloor::NotMeasured),
    ];
    MemoryAdvice {
        at: ago(4),
        samples: 49,
        configured: pools.iter().map(|pool| pool.configured).sum(),
        proposed: pools.iter().map(|pool| pool.proposed).sum(),
        pools,
        changes: ConfigChanges::default(),
    }
}

/// As a snapshot has them.
fn by_key(jobs: impl IntoIterator<Item = JobView>) -> Vec<Arc<JobView>> {
    let mut jobs: Vec<_> = jobs.into_iter().map(Arc::new).collect();
    jobs.sort_by(|a, b| a.key.cmp(&b.key));
    jobs
}

/// A night with one of every kind of trouble.
pub(crate) fn fleet() -> Snapshot {
    use HealthWord::*;
    let busy = [0.38, 0.51, 0.02, 0.97, 0.2];
    let mut fraud = job("fraud-detection", Lagging, "lag 182k grows by 1.2k a second: score is 97 % busy")
        .with_graph([4, 4, 1, 4, 2], busy, 12_012.0)
        .reason(
            ReasonCode::AwaitingApproval,
            "score can handle 11.4k rec/s, 12.6k are needed: 4 → 8 waits for approval",
            Some(now() + Duration::from_secs(1_706)),
        )
        .rates(|r| {
            (r.lag, r.lag_rate, r.lag_seconds, r.catch_up_seconds) = (182_400.0, 1_210.0, 15.2, f64::INFINITY);
            (r.utilization, r.backpressure) = (0.97, 0.62);
        });
    fraud.memory_advice = Some(Arc::new(MemoryOutlook::Advised(memory_advice())));
    fraud.checkpoints = Some(Observed::new(Arc::new(checkpoints(true)), ago(3)));
    let mut ledger = job("ledger-export", Failing, "14 restarts, last 37 s ago: ConnectException: Connection refused")
        .reason(ReasonCode::NotRunning, "the job is RESTARTING: nothing is decided until all tasks run", None);
    ledger.state = JobState::Restarting;
    ledger.problems = Some(Observed::new(Arc::new(problems()), ago(5)));
    ledger.rates = None;
    ledger.checkpoints = None;
    ledger.progress = Some("restarting: 3 of 24 tasks run, 12 s".into());
    let mut lost = job(
        "inventory-cdc",
        Unreachable,
        "flink-dr does not answer: connection timed out after 5 s (try 4)",
    )
    .reason(ReasonCode::SourceLost, "flink-dr does not answer since 4m10s: nothing is decided", None);
    lost.source = SourceId::new("flink-dr");
    lost.observed_at = Some(ago(250));
    lost.rates.as_mut().unwrap().at = ago(250);
    lost.namespace = None;
    lost.kind = JobKind::FlinkJob;
    let sessions = job("sessions", Backpressured, "Sink: alerts holds back 4 vertices, 81 % of the time")
        .rates(|r| (r.backpressure, r.utilization, r.lag) = (0.81, 0.99, 44_000.0))
        .reason(ReasonCode::Ineffective, "the last scale-up of Sink: alerts brought 2 % of what was expected", None);
    let mut rescaling = job("fx-rates", Rescaling, "new parallelism requested, waiting for a checkpoint").reason(
        ReasonCode::Applying,
        "decision 0badcafe is being applied",
        None,
    );
    rescaling.progress = Some("rescaling: waiting for a checkpoint, 12 s".into());
    let mut filling = job("feature-store", Healthy, "all 24 tasks run").reason(
        ReasonCode::WindowFilling,
        "the metric window is 60 % full: decisions from 03:14:16 on",
        Some(now() + Duration::from_secs(96)),
    );
    filling.window_status = filling.window_status.map(|w| WindowStatus {
        fill: 0.6,
        full: false,
        samples: 29,
        full_at: ago(0) + Duration::from_secs(96),
        ..w
    });
    let mut session = job("adhoc-session", Ready, "a session cluster with 3 free slots");
    session.kind = JobKind::SessionCluster;
    (session.rates, session.turn, session.checkpoints, session.topology) = (None, None, None, None);
    let mut finished = job("backfill-2025", Finished, "ended by itself");
    finished.state = JobState::Finished;
    (finished.rates, finished.turn) = (None, None);
    let clicks = job("clickstream", Healthy, "all 24 tasks run").rates(|r| r.utilization = 0.21).reason(
        ReasonCode::Quiet,
        "decision 5e55102e was snoozed for 15 min",
        Some(now() + Duration::from_secs(400)),
    );
    let orders = job("orders-enrichment", Healthy, "all 24 tasks run");
    let mut catching = job("invoices", CatchingUp, "lag 20k shrinks by 400 a second").rates(|r| {
        (r.lag, r.lag_rate, r.lag_seconds, r.catch_up_seconds) = (20_000.0, -400.0, 1.7, 50.0);
    });
    catching.mode = Mode::Auto;

    let mut outcome =
        decision("0x".len() as u32 + 0x0c0_ffee0, "invoices", vec![change(3, 4, 6, 9_000.0)], DecisionState::Confirmed);
    outcome.outcome = Some(Outcome {
        at: ago(300),
        downtime: Some(Duration::from_millis(7_400)),
        catch_up: Some(Duration::from_secs(81)),
        vertices: vec![VertexOutcome {
            vertex: vertex_id(3),
            expected_rate: 12_690.0,
            target_rate: 10_170.0,
            measured_rate: 12_210.0,
            handled_rate: 9_010.0,
        }],
        lag_before: 96_000.0,
        lag_after: 1_200.0,
    });
    outcome.proposed_at = ago(900);
    let mut tuned = decision(
        0x5e55_102e,
        "clickstream",
        vec![change(1, 4, 2, 3_000.0), change(3, 4, 3, 2_800.0)],
        DecisionState::Snoozed { until: now() + Duration::from_secs(400) },
    );
    tuned.config.set.insert("taskmanager.memory.managed.fraction".into(), "0.1".into());
    tuned.config.set.insert("taskmanager.memory.process.size".into(), "3221225472 bytes".into());
    tuned.config.removed.push("taskmanager.memory.size".into());
    tuned.reason.sentence = "two vertices are less than 40 % busy: 5 subtasks are enough for what arrives".into();
    tuned.prediction.catch_up = None;
    let mut failed = decision(
        0x0dd_ba11,
        "sessions",
        vec![change(4, 2, 4, 800.0)],
        DecisionState::Failed {
            why: "PUT resource-requirements on sessions: 409 Conflict; ask again after the restart".into(),
        },
    );
    failed.proposed_at = ago(5_000);

    Snapshot {
        revision: 41,
        at: now(),
        read_only: false,
        notices: Arc::new(vec![Notice { short: "windows shortened".into(), text: "metric windows are shortened".into() }]),
        sources: vec![
            Arc::new(SourceView {
                id: SourceId::new("prod-eu"),
                kind: SourceKind::Kubernetes,
                address: "https://10.0.0.1:6443".into(),
                state: SourceState::Live,
                last_ok: Some(ago(1)),
                version: Some("v1.33.1".into()),
                insecure: false,
            }),
            Arc::new(SourceView {
                id: SourceId::new("flink-dr"),
                kind: SourceKind::Flink,
                address: "http://flink-dr:8081".into(),
                state: SourceState::Lost {
                    since: ago(250),
                    attempt: 4,
                    next_attempt_at: now() + Duration::from_secs(8),
                    error: "GET /jobs/overview on flink-dr: connection timed out after 5 s; check the address and the network".into(),
                },
                last_ok: Some(ago(250)),
                version: None,
                insecure: false,
            }),
        ],
        kubernetes: vec![Arc::new(crate::domain::kubernetes::KubeView::new(SourceId::new("prod-eu")))],
        clusters: vec![Arc::new(cluster())],
        jobs: by_key([orders, fraud, ledger, lost, sessions, rescaling, filling, session, finished, clicks, catching]),
        decisions: [
            decision(0x1f2e_3d4c, "fraud-detection", vec![change(0, 4, 6, 12_012.0), change(3, 4, 8, 11_040.0)], DecisionState::Pending),
            decision(0x0bad_cafe, "fx-rates", vec![change(3, 4, 6, 700.0)], DecisionState::Applying),
            tuned,
            outcome,
            failed,
        ]
        .into_iter()
        .map(Arc::new)
        .collect(),
        commands: Vec::new(),
        plans: Vec::new(),
        log: None,
        loaded: true,
    }
}

/// Nothing has answered yet.
pub(crate) fn loading() -> Snapshot {
    let mut snapshot = Snapshot::empty(now());
    snapshot.sources = fleet().sources[..1]
        .iter()
        .map(|s| Arc::new(SourceView { state: SourceState::Connecting, last_ok: None, version: None, ..(**s).clone() }))
        .collect();
    snapshot
}

/// The only source is lost; what was seen before stays.
pub(crate) fn lost() -> Snapshot {
    let mut snapshot = fleet();
    let state = SourceState::Lost {
        since: ago(250),
        attempt: 4,
        next_attempt_at: now() + Duration::from_secs(8),
        error: "list flinkdeployments on prod-eu: connection refused; is the API server up?".into(),
    };
    snapshot.sources =
        snapshot.sources[..1].iter().map(|s| Arc::new(SourceView { state: state.clone(), ..(**s).clone() })).collect();
    for job in &mut snapshot.jobs {
        let job = Arc::make_mut(job);
        (job.source, job.observed_at) = (SourceId::new("prod-eu"), Some(ago(250)));
        if let Some(rates) = &mut job.rates {
            rates.at = ago(255);
        }
    }
    snapshot
}

/// Many jobs.
pub(crate) fn many(count: u32) -> Snapshot {
    let mut snapshot = fleet();
    let templates = snapshot.jobs.clone();
    snapshot.jobs = by_key((0..count).map(|n| {
        let mut job = (*templates[n as usize % templates.len()]).clone();
        job.name = format!("{}-{n:05}", job.name);
        job.key = key(&job.name);
        job
    }));
    snapshot
}

/// Names and texts that nobody should have written.
pub(crate) fn hostile() -> Snapshot {
    let mut snapshot = on_kubernetes();
    let names = [
        "\u{1b}[2Jpwned\u{7}",
        "請求書処理パイプライン請求書処理パイプライン請求書処理",
        "evil\u{202e}gnp.bat",
        &"x".repeat(9_000),
        "",
        "👩‍👩‍👧 family",
    ];
    for (job, name) in snapshot.jobs.iter_mut().zip(names.iter().cycle()) {
        let job = Arc::make_mut(job);
        job.name = (*name).into();
        job.namespace = Some((*name).into());
        job.health.reason = format!("line one\r\nline two {name}");
        job.progress = Some((*name).into());
        if let Some(observed) = &mut job.vertices {
            for vertex in Arc::make_mut(&mut observed.value) {
                vertex.name = (*name).into();
                (vertex.records_in, vertex.busy, vertex.lag) = (f64::NAN, f64::NEG_INFINITY, f64::INFINITY);
            }
        }
        if let Some(rates) = &mut job.rates {
            (rates.value.records_in, rates.value.utilization, rates.value.lag) = (f64::INFINITY, -3.0, f64::NAN);
        }
        if let Some(problems) = &mut job.problems {
            let problems = Arc::make_mut(&mut problems.value);
            problems
                .entries
                .iter_mut()
                .for_each(|p| (p.root_message, p.stack) = ((*name).into(), format!("{name}\n\t{name}")));
        }
    }
    kubernetes::make_hostile(&mut snapshot, &names);
    for (decision, name) in snapshot.decisions.iter_mut().zip(names.iter().cycle()) {
        let decision = Arc::make_mut(decision);
        decision.target.name = (*name).into();
        decision.reason.sentence = (*name).into();
        decision.changes.iter_mut().for_each(|c| c.name = (*name).into());
        decision.config.set.insert((*name).into(), (*name).into());
    }
    snapshot.plans = plans::all();
    for (plan, name) in snapshot.plans.iter_mut().zip(names.iter().cycle()) {
        let plan = Arc::make_mut(plan);
        // None is open: rows and header keep what else there is to show.
        plan.state = crate::domain::plan::PlanState::Failed { why: (*name).into() };
        plan.target.name = (*name).into();
        plan.lost.push((*name).into());
        for step in &mut plan.steps {
            (step.name, step.note) = ((*name).into(), Some((*name).into()));
        }
    }
    snapshot
}
