use super::*;
use crate::domain::job::CheckpointEntry;

fn at(second: i64) -> Timestamp {
    chrono::DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
}

fn tasks(running: u32, scheduled: u32) -> TaskCounts {
    TaskCounts { total: 4, running, scheduled, ..TaskCounts::default() }
}

fn evidence<'a>() -> Evidence<'a> {
    Evidence {
        now: at(1000),
        lost: None,
        state: JobState::Running,
        state_since: at(900),
        tasks: tasks(4, 0),
        ran_before: true,
        failures: &[],
        problem: Some("IOException: broken"),
        free_slots: Some(2),
        missing_task_managers: None,
        ended_task_manager: None,
        progress: None,
        rates: None,
        source_backpressure: f64::NAN,
        checkpoints: None,
        operator: None,
    }
}

fn rates(lag: f64, lag_rate: f64) -> JobRates {
    let unknown = f64::NAN;
    JobRates {
        records_in: 100.0,
        records_out: 100.0,
        lag,
        lag_rate,
        lag_seconds: lag / 100.0,
        catch_up_seconds: unknown,
        utilization: unknown,
        band_low: unknown,
        band_high: unknown,
        backpressure: unknown,
    }
}

fn word_of(e: &Evidence<'_>) -> HealthWord {
    let health = health(e);
    assert!(!health.reason.is_empty());
    health.word
}

#[test]
fn pods_that_do_not_come_up_are_why_a_job_waits() {
    let why = "TaskManager pod tm-1 does not run (unschedulable): no room";
    let waiting = Evidence { state: JobState::Created, missing_task_managers: Some(why), ..evidence() };
    let found = health(&waiting);
    assert_eq!(found.word, HealthWord::NoResources);
    assert!(found.reason.contains("no room"), "{}", found.reason);
    assert_eq!(word_of(&Evidence { missing_task_managers: Some(why), ..evidence() }), HealthWord::Healthy);
    let ended = Some("TaskManager tm-4 ended (out of memory)");
    let restarting =
        Evidence { state: JobState::Restarting, tasks: tasks(0, 0), ended_task_manager: ended, ..evidence() };
    assert!(health(&restarting).reason.contains("out of memory"), "the pod's end is deeper than Flink's words");
}

#[test]
fn a_running_job_without_troubles_is_healthy() {
    assert_eq!(health(&evidence()).reason, "all 4 tasks run");
    let caught_up = rates(0.0, 0.0);
    assert_eq!(word_of(&Evidence { rates: Some(&caught_up), ..evidence() }), HealthWord::Healthy);
}

#[test]
fn a_lost_source_hides_what_it_said_last() {
    let e = Evidence { lost: Some((at(990), "connection refused")), state: JobState::Failed, ..evidence() };
    assert_eq!(word_of(&e), HealthWord::Unreachable);
    assert!(health(&e).reason.contains("10 s: connection refused"));
}

#[test]
fn ended_jobs_say_how_they_ended() {
    let of = |state| word_of(&Evidence { state, tasks: tasks(0, 0), ..evidence() });
    assert_eq!(of(JobState::Failed), HealthWord::Failed);
    assert_eq!(of(JobState::Finished), HealthWord::Finished);
    assert_eq!(of(JobState::Canceled), HealthWord::Canceled);
    assert_eq!(of(JobState::Cancelling), HealthWord::Deleting);
    assert_eq!(of(JobState::Suspended), HealthWord::Suspended);
    let failed = Evidence { state: JobState::Failed, ..evidence() };
    assert!(health(&failed).reason.contains("IOException"));
}

#[test]
fn three_failures_in_ten_minutes_are_failing_even_while_it_runs() {
    let recent = [at(500), at(700), at(950)];
    assert_eq!(word_of(&Evidence { failures: &recent, ..evidence() }), HealthWord::Failing);
    let old = [at(300), at(700), at(950)];
    assert_eq!(word_of(&Evidence { failures: &old, ..evidence() }), HealthWord::Healthy);
    assert_eq!(word_of(&Evidence { state: JobState::Failing, ..evidence() }), HealthWord::Failing);
}

#[test]
fn a_restart_is_told_from_a_start_a_rescale_and_a_wait_for_slots() {
    let down = Evidence { state: JobState::Restarting, tasks: tasks(0, 0), ..evidence() };
    assert_eq!(word_of(&down), HealthWord::Restarting);
    assert_eq!(word_of(&Evidence { progress: Some("rescaling"), ..down.clone() }), HealthWord::Rescaling);
    assert_eq!(word_of(&Evidence { free_slots: Some(0), ..down.clone() }), HealthWord::NoResources);
    let just = Evidence { free_slots: Some(0), state_since: at(950), ..down };
    assert_eq!(word_of(&just), HealthWord::Restarting);
    let starting = Evidence { tasks: tasks(1, 0), ran_before: false, ..evidence() };
    assert_eq!(word_of(&starting), HealthWord::Deploying);
    // The default scheduler says RUNNING while tasks wait for slots.
    let waits = Evidence { tasks: tasks(1, 3), free_slots: Some(0), ..evidence() };
    assert_eq!(word_of(&waits), HealthWord::NoResources);
}

#[test]
fn backlogs_are_lagging_catching_up_or_held_back() {
    let with = |rates: &JobRates, backpressure| {
        word_of(&Evidence { rates: Some(rates), source_backpressure: backpressure, ..evidence() })
    };
    assert_eq!(with(&rates(10_000.0, 0.0), 0.1), HealthWord::Lagging);
    assert_eq!(with(&rates(10_000.0, -20.0), 0.1), HealthWord::CatchingUp);
    assert_eq!(with(&rates(10_000.0, 50.0), 0.8), HealthWord::Backpressured);
    assert_eq!(with(&rates(10_000.0, 50.0), 0.2), HealthWord::Lagging);
    assert_eq!(with(&rates(f64::NAN, f64::NAN), 0.8), HealthWord::Backpressured);
    assert_eq!(with(&rates(100.0, 0.0), 0.8), HealthWord::Healthy);
    assert_eq!(with(&rates(f64::NAN, f64::NAN), f64::NAN), HealthWord::Healthy);
}

fn checkpoints(statuses: &[CheckpointStatus]) -> CheckpointsView {
    CheckpointsView {
        enabled: true,
        interval: Some(Duration::from_secs(10)),
        timeout: Some(Duration::from_secs(60)),
        completed: 1,
        failed: 1,
        in_progress: 0,
        restored: 0,
        history: statuses
            .iter()
            .enumerate()
            .map(|(n, status)| CheckpointEntry {
                id: n as u64,
                status: *status,
                is_savepoint: false,
                format: None,
                kind: "CHECKPOINT".into(),
                triggered_at: at(0),
                duration: None,
                state_size: 0,
                checkpointed_size: 0,
                acknowledged: 0,
                subtasks: 4,
                external_path: None,
                discarded: false,
                failure: Some("expired".into()),
            })
            .collect(),
        latest_completed_at: Some(at(995)),
        restored_from: None,
    }
}

#[test]
fn checkpoints_that_fail_or_do_not_come_are_a_warning() {
    use CheckpointStatus::{Completed, Failed, InProgress};
    let of = |view: CheckpointsView| word_of(&Evidence { checkpoints: Some(&view), ..evidence() });
    assert_eq!(of(checkpoints(&[InProgress, Failed, Failed, Completed])), HealthWord::CheckpointsFailing);
    assert_eq!(of(checkpoints(&[Failed, Completed, Failed])), HealthWord::Healthy);
    let overdue = CheckpointsView { latest_completed_at: Some(at(930)), ..checkpoints(&[Completed]) };
    assert_eq!(of(overdue.clone()), HealthWord::CheckpointsFailing);
    let fine = CheckpointsView { latest_completed_at: Some(at(945)), ..checkpoints(&[Completed]) };
    assert_eq!(of(fine), HealthWord::Healthy);
    assert_eq!(of(CheckpointsView { enabled: false, ..overdue }), HealthWord::Healthy);
    let never = CheckpointsView { latest_completed_at: None, ..checkpoints(&[]) };
    assert_eq!(of(never), HealthWord::CheckpointsFailing);
}

#[test]
fn the_operators_errors_come_first_and_its_soft_words_yield() {
    let word = |headline: Option<(HealthWord, &str)>| OperatorWord {
        text: "STABLE / RUNNING".into(),
        headline: headline.map(|(w, r)| (w, r.to_owned())),
    };
    let error = word(Some((HealthWord::OperatorError, "ReconciliationException")));
    let e = Evidence { operator: Some(&error), ..evidence() };
    assert_eq!(word_of(&e), HealthWord::OperatorError);
    assert_eq!(health(&e).operator.as_deref(), Some("STABLE / RUNNING"));
    let pending = word(Some((HealthWord::ChangePending, "generation 3, observed 2")));
    assert_eq!(word_of(&Evidence { operator: Some(&pending), ..evidence() }), HealthWord::ChangePending);
    let deploying = word(Some((HealthWord::Deploying, "UPGRADING")));
    let down = Evidence { operator: Some(&deploying), tasks: tasks(0, 0), state: JobState::Created, ..evidence() };
    assert_eq!(word_of(&down), HealthWord::Deploying);
    let failures = [at(950), at(960), at(970)];
    assert_eq!(word_of(&Evidence { failures: &failures, ..down }), HealthWord::Failing);
    assert_eq!(word_of(&Evidence { operator: Some(&word(None)), ..evidence() }), HealthWord::Healthy);
}
