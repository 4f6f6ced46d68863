//! On plain Flink.

use super::fake::{Fault, JOB, SLOW, SOURCE};
use super::*;
use crate::clock::Clock as _;
use crate::control::cluster::ClusterLink;
use crate::domain::command::Interest;
use crate::domain::health::HealthWord;
use crate::domain::ids::ClusterKey;
use crate::domain::job::{Mode, Ownership, Realization};
use crate::domain::memory::MemoryOutlook;
use crate::domain::snapshot::SourceState;
use crate::flink::{ClientOptions, FlinkClient};
use crate::state::journal::{Closing, Opened, Record};
use crate::state::store::StateStore;

#[tokio::test(start_paused = true)]
async fn a_job_is_shown_before_its_first_turn() {
    let mut bench = Bench::start(Fake::new(100.0), config());
    bench.until(1, "loaded", |s| s.loaded && s.jobs.first().is_some_and(|j| j.observed_at.is_some())).await;
    let job = bench.job();
    assert_eq!(job.health.word, HealthWord::Healthy);
    assert!(matches!(job.ownership, Ownership::Pilot { .. }));
    assert_eq!(job.realization, Realization::ResourceRequirements);
    assert_eq!(bench.snapshot().clusters[0].flink_version.as_deref(), Some("1.20.5"));
    assert!(matches!(bench.snapshot().sources[0].state, SourceState::Live));
}

#[tokio::test(start_paused = true)]
async fn a_turn_says_how_full_the_window_is() {
    let mut bench = Bench::start(Fake::new(100.0), config());
    bench.until_code(20, ReasonCode::WindowFilling).await;
    bench.wait(15).await;
    let job = bench.job();
    let status = job.window_status.as_ref().unwrap();
    assert!(status.fill > 0.2 && !status.full, "{status:?}");
    let rates = &job.rates.as_ref().unwrap().value;
    assert!((rates.records_in - 100.0).abs() < 5.0, "{rates:?}");
    assert_eq!(rates.lag, 0.0);
}

#[tokio::test(start_paused = true)]
async fn in_steady_state_a_turn_costs_one_request_per_vertex_and_one_more() {
    let bench = Bench::start(Fake::new(100.0), config());
    bench.wait(62).await;
    let before = bench.fake.model().log.len();
    bench.fake.model().log.clear();
    bench.wait(50).await;
    // Ten turns of three vertices; three requests for the cluster, of which the lists come every 5 s while hidden.
    let model = bench.fake.model();
    let of = |part: &str| model.log.iter().filter(|l| l.contains(part)).count();
    assert_eq!(of("subtasks/metrics"), 30, "of {before} before: {:?}", model.log);
    assert_eq!(model.log.iter().filter(|l| l.ends_with(&format!("/jobs/{JOB}"))).count(), 10);
    assert_eq!((of("/taskmanagers/metrics"), of("GET /overview"), of("/jobs/overview")), (10, 10, 10));
    assert_eq!(model.log.len(), 10 * (3 + 1 + 3));
}

#[tokio::test(start_paused = true)]
async fn metric_names_are_listed_for_a_new_run_and_once_more_a_minute_later() {
    let bench = Bench::start(Fake::new(100.0), config());
    let listed = || bench.fake.requests("/names");
    bench.wait(100).await;
    assert_eq!(listed(), 3, "once for each vertex of a run that is old already");
    bench.fake.crash();
    bench.wait(30).await;
    assert_eq!(listed(), 6, "a new run");
    bench.wait(60).await;
    assert_eq!(listed(), 9, "what its metrics are named is known late");
    bench.wait(300).await;
    assert_eq!(listed(), 9);
    bench.fake.model().downtime = Duration::from_millis(500);
    bench.fake.rescale(3);
    bench.wait(100).await;
    assert_eq!(listed(), 15, "another parallelism, and a minute later");
}

/// A backlog and a meter that has only begun to count make a source look as if it could do next to nothing, and the average of
/// such looks would stay for as long as the window does.
#[tokio::test(start_paused = true)]
async fn no_capacity_is_observed_before_the_meters_have_ramped_up() {
    let bench = Bench::start(Fake::new(100.0), config());
    bench.wait(10).await;
    bench.fake.crash();
    bench.wait(10).await;
    bench.fake.model().lag = 20_000.0;
    let observed = || -> Vec<f64> {
        let job = bench.job();
        let samples = job.window.iter().flat_map(|w| w.samples());
        samples.filter_map(|s| s.vertex(SOURCE)).map(|v| v.observed_tpr).filter(|tpr| !tpr.is_nan()).collect()
    };
    bench.wait(40).await;
    assert_eq!(observed(), Vec::<f64>::new());
    bench.wait(40).await;
    // 200 records a second while it is held back for 98 % of the time.
    assert!(!observed().is_empty() && observed().iter().all(|tpr| (tpr - 10_000.0).abs() < 1.0), "{:?}", observed());
}

#[tokio::test(start_paused = true)]
async fn jobs_of_a_cluster_share_the_metrics_of_its_taskmanagers() {
    let fake = Fake::new(100.0);
    let client = FlinkClient::new(Arc::new(fake.clone()), ClientOptions::default());
    let key = ClusterKey::new("c");
    let link = ClusterLink::new(key, SourceId::new("s"), "c".into(), None, None, client, true);
    let clock = TokioClock::starting_at(Fake::start());
    let (period, jobs) = (Duration::from_secs(10), 20);
    for _ in 0..10 * jobs {
        link.task_manager_metrics(clock.now(), period).await.unwrap();
        tokio::time::sleep(period / jobs).await;
    }
    assert_eq!(fake.requests("/taskmanagers/metrics"), 10, "one a period for twenty jobs in ten periods");
    link.task_manager_metrics(clock.now(), period).await.unwrap();
    link.task_manager_metrics(clock.now(), Duration::ZERO).await.unwrap();
    assert_eq!(fake.requests("/taskmanagers/metrics"), 12, "a look before an approval takes nothing that is old");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_looks_at_is_not_asked_for() {
    let mut off = config();
    off.mode = Mode::Off;
    let bench = Bench::start(Fake::new(100.0), off);
    bench.wait(60).await;
    assert_eq!(bench.code(), ReasonCode::ModeOff);
    let (turn, revision) = (bench.job().turn.clone().unwrap(), bench.snapshot().revision);
    bench.wait(60).await;
    assert!(Arc::ptr_eq(&turn, bench.job().turn.as_ref().unwrap()), "nothing is new to say of it");
    let published = bench.snapshot().revision - revision;
    assert!(published <= 2 * 12, "{published} snapshots for twelve lists");
    bench.wait(2).await;
    let (job, revision) = (bench.job(), bench.snapshot().revision);
    bench.handle.interest.send(Interest { problems: true, ..Interest::default() }).unwrap();
    bench.wait(1).await;
    assert!(Arc::ptr_eq(&job, &bench.job()), "what somebody looks at elsewhere changes nothing here");
    assert_eq!(bench.snapshot().revision, revision);
    let asked = bench.fake.model().log.clone();
    let lists = |l: &&String| !l.contains("overview") && !l.contains("config");
    assert_eq!(asked.iter().filter(lists).collect::<Vec<_>>(), Vec::<&String>::new());
    let interest = Interest { visible: true, job: Some(Bench::key()), problems: true, ..Interest::default() };
    bench.handle.interest.send(interest).unwrap();
    bench.wait(7).await;
    assert!(bench.fake.requests(&format!("{JOB}/exceptions")) >= 3);
    assert!(bench.fake.requests(&format!("{JOB}/checkpoints")) >= 1);
    assert!(bench.job().vertices.is_some());
}

#[tokio::test(start_paused = true)]
async fn from_overload_to_a_confirmed_decision() {
    let mut bench = with_pending().await;
    let decision = bench.decision();
    let change = decision.changes.iter().find(|c| c.vertex == SLOW).unwrap();
    assert!(change.from == 2 && change.to >= 4, "{change:?}");
    assert_eq!(bench.code(), ReasonCode::AwaitingApproval);
    assert!(decision.explanation.is_some());

    let command = bench.approve().await;
    bench.until_decision(5, "applying").await;
    assert!(bench.job().progress.is_some());
    assert_eq!(bench.until_final(command).await, CommandStage::Observed);
    bench.until_decision(5, "applied").await;
    let put = bench.fake.model().puts.clone();
    assert_eq!(put.len(), 1);
    let bounds = &put[0][SLOW.to_string()]["parallelism"];
    assert_eq!((bounds["lowerBound"].as_i64(), bounds["upperBound"].as_i64()), (Some(1), Some(i64::from(change.to))));
    assert_eq!(put[0].as_object().unwrap().len(), 3, "all vertices");

    bench.until_code(20, ReasonCode::MeasuringOutcome).await;
    bench.until_decision(180, "confirmed").await;
    assert_eq!(bench.words(), ["pending", "approved", "applying", "applied", "confirmed"]);
    let outcome = bench.decision().outcome.clone().unwrap();
    let downtime = outcome.downtime.unwrap();
    assert!((2..=6).contains(&downtime.as_secs()), "{downtime:?}");
    assert!(outcome.catch_up.is_some(), "{outcome:?}");
    assert!(matches!(
        bench.journal.records()[..],
        [Record::Opened(_), Record::Closed { result: Closing::Accepted, .. }]
    ));
    let stored = bench.store.load(&Bench::key()).await.unwrap().unwrap();
    assert_eq!(stored.scaling.history[&SLOW].len(), 1);
    assert_eq!(stored.scaling.parallelism_overrides[&SLOW], change.to);
}

#[tokio::test(start_paused = true)]
async fn twenty_minutes_of_a_person_leave_the_history_clean() {
    let mut bench = with_pending_at(BUSY, config()).await;
    for minute in 0..20 {
        bench.wait(60).await;
        let stored = bench.store.load(&Bench::key()).await.unwrap().unwrap().scaling;
        assert!(stored.history.is_empty() && stored.restarts.is_empty(), "after {minute} min: {stored:?}");
        assert!(stored.parallelism_overrides.is_empty());
    }
    assert_eq!(bench.decision().state, DecisionState::Pending);
    let command = bench.approve().await;
    assert_eq!(bench.until_final(command).await, CommandStage::Observed);
    bench.until_code(30, ReasonCode::MeasuringOutcome).await;
    let stored = bench.store.load(&Bench::key()).await.unwrap().unwrap().scaling;
    let restart = stored.restarts[0].duration.unwrap();
    assert!(restart.num_seconds() < 10, "the person's minutes are not part of the restart: {restart}");
}

#[tokio::test(start_paused = true)]
async fn a_rejected_decision_is_quiet_and_leaves_no_trace() {
    let mut bench = with_pending_at(BUSY, config()).await;
    let id = bench.decision().id;
    let reason = Some("not during the sale".to_owned());
    let command = bench.send(Intent::Reject { decision: id, reason }, None).await;
    assert_eq!(bench.until_final(command).await, CommandStage::Observed);
    bench.until_code(20, ReasonCode::Quiet).await;
    assert!(matches!(&bench.decision().state, DecisionState::Rejected { reason: Some(r), .. } if r.contains("sale")));
    bench.wait(600).await;
    assert_eq!(bench.code(), ReasonCode::Quiet);
    let stored = bench.store.load(&Bench::key()).await.unwrap().unwrap().scaling;
    assert!(stored.history.is_empty() && bench.fake.model().puts.is_empty());
    // A new run wakes it.
    bench.fake.crash();
    bench.until_decision(120, "pending").await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_decision_leaves_no_trace() {
    let expiry = Duration::from_secs(60);
    let bench = with_pending_at(BUSY, ControlConfig { expiry, ..config() }).await;
    bench.wait(300).await;
    let decisions = &bench.snapshot().decisions;
    let expired = |d: &Arc<Decision>| d.life.iter().any(|event| event.state == DecisionState::Expired);
    assert!(decisions.iter().any(expired), "{decisions:?}");
    let stored = bench.store.load(&Bench::key()).await.unwrap().unwrap().scaling;
    assert!(stored.history.is_empty() && stored.restarts.is_empty() && stored.parallelism_overrides.is_empty());
    assert!(bench.fake.model().puts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_snoozed_decision_comes_back_by_itself() {
    let mut bench = with_pending_at(BUSY, config()).await;
    let id = bench.decision().id;
    bench.send(Intent::Snooze { decision: id, time: Some(Duration::from_secs(120)) }, None).await;
    bench.until_decision(5, "snoozed").await;
    bench.wait(100).await;
    assert_eq!(bench.decision().state.word(), "snoozed");
    bench.until_decision(40, "pending").await;
}

#[tokio::test(start_paused = true)]
async fn other_numbers_at_approval_are_asked_again() {
    let mut bench = with_pending().await;
    let old = bench.decision();
    // The rate doubles between the last turn and the approval; seen once the window moved on.
    bench.fake.model().rate = OVERLOAD * 3.0;
    bench.until(60, "another proposal", |s| s.decisions.first().is_some_and(|d| d.id != old.id)).await;
    let command = bench.send(Intent::Approve { decision: old.id }, Some(old.target.clone())).await;
    assert!(matches!(bench.until_final(command).await, CommandStage::Refused { .. }));
    assert!(bench.fake.model().puts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn approving_twice_writes_once() {
    let mut bench = with_pending().await;
    let first = bench.approve().await;
    let second = bench.approve().await;
    let stages = [bench.until_final(first).await, bench.until_final(second).await];
    assert_eq!(stages[0], CommandStage::Observed);
    assert!(matches!(&stages[1], CommandStage::Refused { why } if why.contains("appl")), "{stages:?}");
    assert_eq!(bench.fake.model().puts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_approve_and_reject_at_once_the_first_wins() {
    let mut bench = with_pending().await;
    let id = bench.decision().id;
    let reject = bench.send(Intent::Reject { decision: id, reason: None }, None).await;
    let approve = bench.approve().await;
    assert_eq!(bench.until_final(reject).await, CommandStage::Observed);
    assert!(matches!(bench.until_final(approve).await, CommandStage::Refused { .. }));
    assert!(bench.fake.model().puts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_same_command_twice_is_one_command() {
    let mut bench = with_pending().await;
    bench.approve().await;
    bench.next_command = 1;
    let id = bench.approve().await;
    assert_eq!(bench.until_final(id).await, CommandStage::Observed);
    assert_eq!(bench.snapshot().commands.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn read_only_refuses_and_auto_loses_to_it() {
    for mode in [Mode::Manual, Mode::Auto] {
        let mut bench = with_pending_by(ControlConfig { read_only: true, mode, ..config() }).await;
        assert!(bench.decision().blocked.as_ref().unwrap().contains("--read-only"));
        let command = bench.approve().await;
        assert!(matches!(bench.until_final(command).await, CommandStage::Refused { .. }));
        bench.wait(60).await;
        assert_eq!(bench.decision().state, DecisionState::Pending);
        assert!(bench.fake.model().puts.is_empty());
        assert!(bench.snapshot().read_only);
    }
}

#[tokio::test(start_paused = true)]
async fn the_auto_mode_applies_by_itself_and_advise_never() {
    let auto = ControlConfig {
        jobs: vec![JobRule { name: "job".to_owned(), mode: Some(Mode::Auto), ..JobRule::default() }],
        ..config()
    };
    let mut bench = Bench::start(Fake::new(OVERLOAD), auto);
    assert!(bench.snapshot().notices[0].text.contains("armed for job"));
    bench.until_decision(120, "confirmed").await;
    assert_eq!(bench.decision().life[1].by, "auto");
    assert_eq!(bench.snapshot().commands[0].command.issuer, Issuer::Auto);
    assert_eq!(bench.fake.model().puts.len(), 1);

    let mut bench = with_pending_by(ControlConfig { mode: Mode::Advise, ..config() }).await;
    bench.until_code(10, ReasonCode::AdviseOnly).await;
    let command = bench.approve().await;
    assert!(matches!(bench.until_final(command).await, CommandStage::Refused { .. }));
    assert!(bench.fake.model().puts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn memory_advice_comes_with_every_window_without_a_rescale_and_in_advise_mode() {
    let with_memory = |mode: Mode, size: Option<&str>| {
        let mut config = ControlConfig { mode, ..config() };
        let size = size.map(|size| ("taskmanager.memory.process.size".to_owned(), size.to_owned()));
        config.options.extend(size);
        config
    };
    let advised = |job: &JobView| match job.memory_advice.as_deref() {
        Some(MemoryOutlook::Advised(advice)) => Some(advice.clone()),
        Some(MemoryOutlook::Unknown { .. }) | None => None,
    };
    for mode in [Mode::Manual, Mode::Advise] {
        let mut bench = Bench::start(Fake::new(100.0), with_memory(mode, Some("4 gb")));
        // Long before the window is full, and nothing is to be scaled at this rate.
        bench.until_code(20, ReasonCode::WindowFilling).await;
        let first = advised(&bench.job()).unwrap();
        assert_eq!((first.configured, first.pools.len()), (4 << 30, 6));
        // The fake uses 100 bytes of everything, so nearly all of the heap is too much.
        assert!(first.heap_surplus().unwrap().1 > 0.99, "{first:?}");
        bench.until_code(120, ReasonCode::NoEffectiveChange).await;
        let later = advised(&bench.job()).unwrap();
        assert!(later.at > first.at && later.samples > first.samples, "{later:?}");
        assert!(bench.snapshot().decisions.is_empty());
        assert!(bench.fake.model().puts.is_empty(), "advice is never applied by itself");
    }
    let mut bench = Bench::start(Fake::new(100.0), with_memory(Mode::Manual, None));
    bench.until_code(20, ReasonCode::WindowFilling).await;
    let unknown = bench.job().memory_advice.as_deref().cloned();
    let Some(MemoryOutlook::Unknown { why }) = unknown else { panic!("{unknown:?}") };
    assert!(why.contains("taskmanager.memory.process.size"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn the_default_scheduler_gets_advice_with_its_reason() {
    let fake = Fake::new(OVERLOAD);
    fake.model().adaptive = false;
    let mut bench = Bench::start(fake, config());
    bench.until_code(120, ReasonCode::AdviseOnly).await;
    assert!(bench.sentence().contains("jobmanager.scheduler: adaptive"), "{}", bench.sentence());
    assert!(bench.decision().blocked.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_job_that_vanishes_in_the_middle_of_an_approval_ends_it() {
    let mut bench = with_pending().await;
    bench.fake.model().gone = true;
    let command = bench.approve().await;
    let stage = bench.until_final(command).await;
    assert!(matches!(&stage, CommandStage::Superseded { .. } | CommandStage::Refused { .. }), "{stage:?}");
    bench.until(10, "the job is gone", |s| s.jobs.is_empty()).await;
    bench.until_decision(5, "superseded").await;
    assert!(bench.fake.model().puts.is_empty());
    // It comes back under the same id: a new pilot flies it.
    bench.fake.model().gone = false;
    bench.until(10, "the job is back", |s| s.jobs.len() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_vanishes_while_it_is_changed_fails_the_change() {
    let mut bench = with_pending().await;
    bench.fake.model().downtime = Duration::from_secs(15);
    let command = bench.approve().await;
    bench.until_decision(5, "applying").await;
    bench.wait(2).await;
    bench.fake.model().gone = true;
    bench.until_decision(10, "failed").await;
    assert!(matches!(bench.until_final(command).await, CommandStage::Superseded { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_restart_between_proposal_and_approval_supersedes_it() {
    let mut bench = with_pending().await;
    let seen = bench.decision();
    bench.fake.model().downtime = Duration::from_millis(200);
    bench.fake.crash();
    bench.wait(1).await;
    let command = bench.send(Intent::Approve { decision: seen.id }, Some(seen.target.clone())).await;
    let stage = bench.until_final(command).await;
    assert!(matches!(&stage, CommandStage::Superseded { why } if why.contains("restarted")), "{stage:?}");
    assert!(bench.fake.model().puts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_jobmanager_that_goes_and_comes_back_loses_no_data_and_no_decision() {
    let mut bench = with_pending().await;
    bench.fake.fail("", usize::MAX, Fault::Refused);
    bench.until(20, "lost", |s| matches!(s.sources[0].state, SourceState::Lost { .. })).await;
    bench.until_code(10, ReasonCode::SourceLost).await;
    let job = bench.job();
    assert_eq!(job.health.word, HealthWord::Unreachable);
    assert!(job.vertices.is_some() && job.rates.is_some(), "the last good data stay");
    let command = bench.approve().await;
    let stage = bench.until_final(command).await;
    assert!(matches!(&stage, CommandStage::Refused { .. }), "{stage:?}");
    bench.fake.heal();
    bench.until(60, "back", |s| matches!(s.sources[0].state, SourceState::Live)).await;
    bench.until_decision(60, "pending").await;
}

#[tokio::test(start_paused = true)]
async fn an_html_page_is_named_and_the_last_good_data_stay() {
    let mut bench = Bench::start(Fake::new(100.0), config());
    bench.wait(30).await;
    bench.fake.fail("GET", usize::MAX, Fault::Html);
    bench.until_code(30, ReasonCode::SourceLost).await;
    let SourceState::Lost { error, .. } = &bench.snapshot().sources[0].state else { panic!() };
    assert!(error.contains("HTML") && error.contains("Sign in"), "{error}");
    assert!(bench.job().rates.is_some());
}

#[tokio::test(start_paused = true)]
async fn incomplete_data_never_decide() {
    let mut bench = with_pending().await;
    bench.fake.model().incomplete = true;
    bench.until_code(10, ReasonCode::IncompleteData).await;
    let command = bench.approve().await;
    let stage = bench.until_final(command).await;
    assert!(matches!(&stage, CommandStage::Refused { why } if why.contains("missing")), "{stage:?}");
    // Not refreshed any more, it expires.
    bench.until_decision(20, "expired").await;
    assert!(bench.fake.model().puts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn missing_and_nan_metrics_never_decide() {
    let fake = Fake::new(OVERLOAD);
    fake.model().no_metrics = true;
    let mut bench = Bench::start(fake, config());
    bench.until_code(60, ReasonCode::EvaluationFailed).await;
    assert!(bench.sentence().contains("busyTimeMsPerSecond"), "{}", bench.sentence());
    bench.fake.model().no_metrics = false;
    bench.fake.model().busy_nan = true;
    bench.wait(120).await;
    assert!(bench.snapshot().decisions.is_empty(), "{}", bench.describe());
}

#[tokio::test(start_paused = true)]
async fn flinks_refusal_fails_the_decision_and_the_journal_says_so() {
    let mut bench = with_pending().await;
    let body = r#"{"errors":["org.apache.flink.runtime.rest.handler.RestHandlerException: too many"]}"#;
    bench.fake.fail("PUT", 1, Fault::Status(400, body.into()));
    let command = bench.approve().await;
    let stage = bench.until_final(command).await;
    assert!(matches!(&stage, CommandStage::Failed { why } if why.contains("too many")), "{stage:?}");
    assert!(matches!(&bench.journal.records()[1], Record::Closed { result: Closing::Refused { .. }, .. }));
    let stored = bench.store.load(&Bench::key()).await.unwrap().unwrap().scaling;
    assert!(stored.history.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_after_the_write_is_settled_by_a_look() {
    let mut bench = with_pending().await;
    bench.fake.fail("PUT", 1, Fault::BrokenAfter);
    let command = bench.approve().await;
    assert_eq!(bench.until_final(command).await, CommandStage::Observed);
    assert!(matches!(&bench.journal.records()[1], Record::Closed { result: Closing::Accepted, .. }));
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_takes_twice_as_long_as_predicted_is_a_regression() {
    let mut bench = with_pending().await;
    bench.fake.model().downtime = Duration::from_secs(120);
    let command = bench.approve().await;
    bench.until_decision(60, "regressed").await;
    assert!(matches!(&bench.decision().state, DecisionState::Regressed { why } if why.contains("twice")));
    assert_eq!(bench.until_final(command).await, CommandStage::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_restart_while_the_outcome_is_measured_is_a_regression() {
    let mut bench = with_pending().await;
    let command = bench.approve().await;
    bench.until_final(command).await;
    bench.wait(10).await;
    bench.fake.crash();
    bench.until_decision(20, "regressed").await;
}

#[tokio::test(start_paused = true)]
async fn flink_2_waits_for_a_checkpoint_and_the_screen_says_so() {
    let fake = Fake::new(OVERLOAD);
    fake.model().version = "2.1.3";
    fake.model().rescale_delay = Duration::from_secs(20);
    let mut bench = Bench::start(fake, config());
    bench.until_decision(120, "pending").await;
    let command = bench.approve().await;
    bench.wait(10).await;
    let progress = bench.job().progress.clone().unwrap();
    assert!(progress.contains("checkpoint"), "{progress}");
    assert_eq!(bench.job().health.word, HealthWord::Rescaling);
    assert_eq!(bench.code(), ReasonCode::Applying);
    assert_eq!(bench.until_final(command).await, CommandStage::Observed);
}

#[tokio::test(start_paused = true)]
async fn without_an_effect_the_command_times_out() {
    let mut bench = with_pending().await;
    bench.fake.model().rescale_delay = Duration::from_secs(100_000);
    let command = bench.approve().await;
    assert_eq!(bench.until_final(command).await, CommandStage::TimedOut);
    assert!(matches!(&bench.decision().state, DecisionState::Failed { why } if why.contains("no effect")));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_keeps_failing_says_so() {
    let mut bench = Bench::start(Fake::new(100.0), config());
    bench.wait(20).await;
    for _ in 0..3 {
        bench.fake.crash();
        bench.wait(20).await;
    }
    bench.until(20, "failing", |s| s.jobs[0].health.word == HealthWord::Failing).await;
    assert!(bench.job().health.reason.contains("IOException: broken"));
}

#[tokio::test(start_paused = true)]
async fn a_defect_in_the_loop_of_a_job_is_shown_and_survived() {
    let mut bench = Bench::start(Fake::new(OVERLOAD), config());
    bench.wait(20).await;
    bench.fake.fail(&format!("{JOB}/vertices"), 1, Fault::Panic);
    bench.until(20, "shown", |s| s.jobs[0].progress.as_ref().is_some_and(|p| p.contains("failed"))).await;
    bench.until_decision(120, "pending").await;
}

fn left_open(wanted: i32) -> Recovery {
    let detail = serde_json::json!({"decision": "00000001", "job": JOB, "wanted": {SLOW.to_string(): wanted}});
    let open = Opened {
        id: "x".into(),
        at: Fake::start(),
        effect: "resource-requirements".into(),
        subject: Bench::key().to_string(),
        detail,
    };
    Recovery { open: vec![open], ..Recovery::default() }
}

#[tokio::test(start_paused = true)]
async fn an_effect_left_open_by_a_killed_process_is_compared_with_flink_and_closed() {
    for (wanted, applied) in [(2, true), (8, false)] {
        let bench = Bench::start_with(Fake::new(100.0), config(), left_open(wanted));
        bench.wait(12).await;
        let records = bench.journal.records();
        let [Record::Closed { id, result, .. }] = &records[..] else { panic!("{records:?}") };
        assert_eq!(id, "x");
        assert_eq!(*result == Closing::FoundApplied, applied, "{result:?}");
        assert!(bench.fake.model().puts.is_empty(), "nothing is done twice");
    }
    let gone = Fake::new(100.0);
    gone.model().gone = true;
    let bench = Bench::start_with(gone, config(), left_open(8));
    bench.wait(12).await;
    assert!(matches!(
        &bench.journal.records()[..],
        [Record::Closed { result: Closing::FoundNotApplied { why }, .. }] if why.contains("gone")
    ));
}

#[tokio::test(start_paused = true)]
async fn without_a_journal_nothing_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, recovery) = Journal::open(dir.path(), "me", Fake::start()).unwrap();
    drop((journal, recovery));
    let mut bench = with_pending().await;
    bench.journal.break_for_test();
    let command = bench.approve().await;
    let stage = bench.until_final(command).await;
    assert!(matches!(&stage, CommandStage::Failed { why } if why.contains("journal")), "{stage:?}");
    assert!(bench.fake.model().puts.is_empty());
    assert_eq!(bench.decision().state, DecisionState::Pending);
}

#[tokio::test(start_paused = true)]
async fn the_loop_ends_with_its_last_handle() {
    let bench = Bench::start(Fake::new(100.0), config());
    bench.wait(5).await;
    let Handle { commands, .. } = bench.handle.clone();
    let (closed, _) = tokio::sync::mpsc::channel(1);
    let mut bench = bench;
    bench.handle.commands = closed;
    drop(commands);
    bench.wait(1).await;
    let before = bench.fake.model().log.len();
    bench.wait(60).await;
    assert_eq!(bench.fake.model().log.len(), before);
    assert!(bench.task.is_finished());
}

fn full(snapshot: &Snapshot) -> bool {
    snapshot.jobs.first().and_then(|j| j.window_status.as_ref()).is_some_and(|w| w.full)
}

#[tokio::test(start_paused = true)]
async fn a_look_between_two_turns_finds_a_full_window_full_and_leaves_it_as_it_was() {
    let mut bench = with_pending_at(BUSY, config()).await;
    bench.until(120, "a full window", full).await;
    let before = bench.job().window.clone().unwrap();
    // One second after a turn: a trimmed window starts up to a period late, and its next turn is four seconds away.
    bench.wait(1).await;
    let command = bench.approve().await;
    assert_eq!(bench.until_final(command).await, CommandStage::Observed, "{:?}", bench.decision().state);
    let kept = bench.job().window.clone().unwrap_or_default();
    let beat: Vec<_> = before.samples().iter().map(|s| s.at).collect();
    assert!(kept.samples().iter().all(|s| beat.contains(&s.at) || s.at > *beat.last().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn slow_answers_to_other_questions_do_not_leave_a_full_window_short() {
    let mut bench = Bench::start(Fake::new(100.0), config());
    bench.fake.model().checkpoints_take = Duration::from_millis(700);
    let interest = Interest { visible: true, job: Some(Bench::key()), checkpoints: true, ..Interest::default() };
    bench.handle.interest.send(interest).unwrap();
    bench.until(120, "a full window", full).await;
    for second in 0..120 {
        bench.wait(1).await;
        let status = bench.job().window_status.clone().unwrap();
        assert!(status.full, "{second} s later: {status:?}");
    }
}
