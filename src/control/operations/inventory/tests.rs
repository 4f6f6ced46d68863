use super::*;
use crate::domain::ids::JobId;
use crate::domain::plan::{SavepointFormat, example};
use crate::flink::CheckpointCounts;

const JOB: JobId = JobId::from_u128(1);

fn at(second: i64) -> Timestamp {
    chrono::DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
}

fn entry(id: u64, path: Option<&str>, is_savepoint: bool) -> CheckpointEntry {
    CheckpointEntry {
        id,
        status: CheckpointStatus::Completed,
        is_savepoint,
        format: is_savepoint.then_some(SavepointFormat::Native),
        kind: String::new(),
        triggered_at: at(i64::try_from(id).unwrap()),
        duration: None,
        state_size: 7,
        checkpointed_size: 7,
        acknowledged: 1,
        subtasks: 1,
        external_path: path.map(str::to_owned),
        discarded: false,
        failure: None,
    }
}

fn checkpoints(history: Vec<CheckpointEntry>) -> Checkpoints {
    Checkpoints {
        counts: CheckpointCounts { restored: 0, total: 9, in_progress: 0, completed: 9, failed: 0 },
        durations: None,
        latest_completed: history.iter().find(|e| !e.is_savepoint).cloned(),
        latest_savepoint: history.iter().find(|e| e.is_savepoint).cloned(),
        latest_failed: None,
        restored: None,
        history,
    }
}

#[test]
fn a_path_has_a_scheme_or_is_absolute() {
    for good in [
        "s3://bucket/sp/savepoint-a-1",
        "file:///data/sp",
        "file:/data/sp",
        "/data/sp",
        "abfss://c@a.net/sp",
        "gs://b/x",
    ] {
        assert_eq!(check_shape(good), Ok(()), "{good}");
    }
    let long = format!("/{}", "x".repeat(5000));
    for bad in [
        "",
        "savepoint-1",
        "KUBERNETES_OPERATOR_LAST_STATE",
        "s3:bucket/x",
        "s3://",
        "/",
        "/a b",
        "/a\u{1b}[2J",
        "1:/x",
        "a b:/x",
        &long,
    ] {
        assert!(check_shape(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn spellings_of_one_path_are_one() {
    assert!(same_path("file:/data/sp", "file:///data/sp/"));
    assert!(same_path("/data/sp", "file:///data/sp"));
    assert!(!same_path("s3://a/sp", "s3://b/sp"));
    assert!(!same_path("s3://a/sp", "/a/sp"));
    assert!(!same_path("s3://a/sp-1", "s3://a/sp-10"));
}

#[test]
fn the_newest_usable_is_first_and_what_was_removed_last() {
    let mut removed = entry(9, Some("s3://b/chk-9"), false);
    removed.discarded = true;
    let mut failed = entry(8, Some("s3://b/chk-8"), false);
    failed.status = CheckpointStatus::Failed;
    let marker = entry(7, Some(MARKER), true);
    let found = of_job(
        JOB,
        Some(&checkpoints(vec![
            removed,
            failed,
            marker,
            entry(6, None, false),
            entry(5, Some("s3://b/sp-5"), true),
            entry(3, Some("s3://b/chk-3"), false),
        ])),
        &[],
    );
    let paths: Vec<_> = found.iter().map(|f| (f.path.as_str(), f.standing)).collect();
    let (good, gone) = (Standing::Verified, Standing::Disposed);
    assert_eq!(paths, [("s3://b/sp-5", good), ("s3://b/chk-3", good), ("s3://b/chk-9", gone)]);
    assert_eq!(found[0].format, Some(SavepointFormat::Native));
}

#[test]
fn a_savepoint_that_flink_forgot_is_known_from_the_plan_that_took_it_once() {
    let mut plan = example();
    plan.steps[0].action = Action::Stop {
        job: JOB,
        trigger: crate::domain::ids::TriggerId::from_u128(1),
        directory: None,
        format: SavepointFormat::Canonical,
    };
    plan.steps[0].state = StepState::Done;
    plan.steps[0].sent_at = Some(at(4));
    plan.steps[0].result = Some("file:/data/sp-4".into());
    let known = checkpoints(vec![entry(5, Some("file:///data/sp-4"), true)]);
    assert_eq!(of_job(JOB, Some(&known), std::slice::from_ref(&plan)).len(), 1);
    let [only] = &of_job(JOB, None, std::slice::from_ref(&plan))[..] else { panic!() };
    assert_eq!((only.source, only.standing), (SnapshotSource::Journal, Standing::Unknown));
    assert_eq!(only.job, Some(JOB));
}
