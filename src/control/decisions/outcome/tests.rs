use super::*;
use crate::control::decisions::tests::{at, change};
use crate::domain::evaluation::Evaluated;
use crate::domain::ids::JobId;

fn run(second: u64) -> Option<RunId> {
    Some(RunId { job: JobId::from_u128(1), running_since: at(second) })
}

fn pursuit() -> Pursuit {
    Pursuit {
        accepted_at: at(100),
        run_before: run(0),
        wanted: BTreeMap::from([(VertexId::from_u128(1), 4)]),
        changes: vec![change(1, 2, 4)],
        predicted: Duration::from_secs(10),
        lag_before: 500.0,
        patience: Duration::from_secs(600),
        waits_for: "waiting for a checkpoint".into(),
        down_since: None,
        applied: None,
        caught_up_at: None,
    }
}

fn sight(second: u64, state: JobState, running: u32, of_run: u64, parallelism: i32) -> Sight {
    Sight {
        at: at(second),
        state,
        tasks: TaskCounts { total: 4, running, ..TaskCounts::default() },
        run: run(of_run),
        parallelism: BTreeMap::from([(VertexId::from_u128(1), parallelism)]),
        free_slots: Some(0),
    }
}

#[test]
fn the_effect_is_seen_when_all_tasks_of_a_new_run_have_the_new_parallelism() {
    let mut p = pursuit();
    let waiting = p.look(&sight(105, JobState::Running, 4, 0, 2));
    assert_eq!(waiting, Effect::Waiting("rescaling: waiting for a checkpoint, 5 s".into()));
    assert!(
        matches!(p.look(&sight(110, JobState::Restarting, 0, 0, 2)), Effect::Waiting(w) if w.contains("RESTARTING"))
    );
    // RUNNING is not enough, and neither is the cached graph of before.
    assert!(matches!(p.look(&sight(115, JobState::Running, 3, 114, 4)), Effect::Waiting(_)));
    assert_eq!(
        p.look(&sight(116, JobState::Running, 4, 0, 2)),
        Effect::Waiting("restarted: reading the new parallelism, 16 s".into())
    );
    assert_eq!(p.look(&sight(117, JobState::Running, 4, 114, 4)), Effect::Applied);
    let outcome = unmeasured(&p, at(200), 0.0);
    assert_eq!(outcome.downtime, Some(Duration::from_secs(7)));
}

#[test]
fn twice_the_predicted_downtime_is_a_regression_and_waiting_before_it_is_not() {
    let mut p = pursuit();
    assert!(matches!(p.look(&sight(180, JobState::Running, 4, 0, 2)), Effect::Waiting(_)));
    assert!(matches!(p.look(&sight(200, JobState::Restarting, 0, 0, 2)), Effect::Waiting(_)));
    assert!(matches!(p.look(&sight(220, JobState::Created, 0, 0, 2)), Effect::Waiting(_)));
    assert!(matches!(p.look(&sight(221, JobState::Created, 0, 0, 2)), Effect::Regressed(_)));
}

#[test]
fn without_an_effect_in_time_it_failed() {
    let mut p = pursuit();
    assert!(matches!(p.look(&sight(700, JobState::Running, 4, 0, 2)), Effect::Waiting(_)));
    assert!(matches!(p.look(&sight(701, JobState::Running, 4, 0, 2)), Effect::Failed(w) if w.contains("no effect")));
}

#[test]
fn a_rescale_in_part_is_named() {
    let mut p = pursuit();
    let effect = p.look(&sight(150, JobState::Running, 4, 140, 3));
    assert_eq!(effect, Effect::Waiting("rescaled in part: v1 runs with 3 of 4 subtasks, no slot is free, 50 s".into()));
    assert!(matches!(p.look(&sight(800, JobState::Running, 4, 140, 3)), Effect::Failed(w) if w.contains("3 of 4")));
}

#[test]
fn a_job_that_ends_fails_the_change() {
    let mut p = pursuit();
    assert!(matches!(p.look(&sight(105, JobState::Failed, 0, 0, 2)), Effect::Failed(_)));
}

#[test]
fn a_second_restart_is_a_regression() {
    let mut p = pursuit();
    assert_eq!(p.look(&sight(117, JobState::Running, 4, 114, 4)), Effect::Applied);
    assert!(matches!(p.look(&sight(120, JobState::Running, 4, 114, 4)), Effect::Waiting(_)));
    assert!(matches!(p.clone().look(&sight(130, JobState::Restarting, 0, 114, 4)), Effect::Regressed(_)));
    assert!(matches!(p.look(&sight(140, JobState::Running, 4, 139, 4)), Effect::Regressed(_)));
}

fn verdict(tpr: f64, handled: f64, lag_rate: f64) -> DecisionState {
    let mut metrics = EvaluatedMetrics::default();
    metrics.set(ScalingMetric::TrueProcessingRate, Some(Evaluated { current: tpr, average: tpr }));
    let evaluation = Evaluation {
        at: at(300),
        vertices: vec![(VertexId::from_u128(1), metrics)],
        global: EvaluatedMetrics::default(),
        restart_time_seconds: 10.0,
        processing_backlog: false,
    };
    let handled = BTreeMap::from([(VertexId::from_u128(1), handled)]);
    let measured =
        Measured { at: at(300), evaluation: &evaluation, handled: &handled, lag: 0.0, lag_rate, input_rate: 300.0 };
    judge(&pursuit(), measured).0
}

// The changed vertex is expected to reach 350 records/s and must handle 300.
#[test]
fn ninety_percent_of_the_expected_rate_confirm() {
    assert_eq!(verdict(315.0, 200.0, 0.0), DecisionState::Confirmed);
}

#[test]
fn the_target_rate_confirms_even_below_ninety_percent_of_the_expected_one() {
    assert_eq!(verdict(200.0, 300.0, 0.0), DecisionState::Confirmed);
    assert_eq!(verdict(301.0, f64::NAN, -50.0), DecisionState::Confirmed);
}

#[test]
fn neither_rate_reached_is_inconclusive_and_says_why() {
    let DecisionState::Inconclusive { why } = verdict(280.0, 250.0, 0.0) else { panic!() };
    assert_eq!(why, "v1 reaches 280 records/s, expected 350, target 300");
    assert!(matches!(verdict(f64::NAN, f64::NAN, 0.0), DecisionState::Inconclusive { .. }));
}

#[test]
fn a_growing_backlog_is_a_regression_whatever_the_rates() {
    assert!(matches!(verdict(400.0, 400.0, 20.0), DecisionState::Regressed { .. }));
    // 1 % of what the sources read is noise.
    assert_eq!(verdict(400.0, 400.0, 3.0), DecisionState::Confirmed);
}

#[test]
fn an_unknown_course_of_a_known_backlog_is_inconclusive() {
    assert!(matches!(verdict(400.0, 400.0, f64::NAN), DecisionState::Inconclusive { .. }));
}
