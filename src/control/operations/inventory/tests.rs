use super::*;
use crate::domain::plan::example;
use crate::domain::savepoint::LAST_STATE;
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
    let marker = entry(7, Some(LAST_STATE), true);
    let found = of_job(
        Some((
            JOB,
            &checkpoints(vec![
                removed,
                failed,
                marker,
                entry(6, None, false),
                entry(5, Some("s3://b/sp-5"), true),
                entry(3, Some("s3://b/chk-3"), false),
            ]),
        )),
        None,
        std::iter::empty(),
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
    assert_eq!(of_job(Some((JOB, &known)), None, [&plan].into_iter()).len(), 1);
    let [only] = &of_job(None, None, [&plan].into_iter())[..] else { panic!() };
    assert_eq!((only.source, only.standing), (SnapshotSource::Journal, Standing::Unknown));
    assert_eq!(only.job, Some(JOB));
}

/// A resource and its FlinkStateSnapshots, each savepoint known from more than one place.
#[test]
fn what_the_operator_keeps_is_joined_with_flink_and_the_journal() {
    let named =
        crate::domain::objects::ObjectName::new(crate::domain::objects::ObjectKind::FlinkDeployment, "shop", "orders");
    let millis = |second: i64| at(second).timestamp_millis();
    let resource = Document {
        named,
        value: serde_json::json!({"status": {
            "jobStatus": {
                "upgradeSavepointPath": LAST_STATE,
                "savepointInfo": {
                    "lastSavepoint": {"timeStamp": millis(4), "location": "s3://b/sp-4", "formatType": "NATIVE"},
                    "savepointHistory": [
                        {"timeStamp": millis(2), "location": "s3://b/sp-2", "formatType": "CANONICAL"},
                        {"timeStamp": millis(4), "location": "s3://b/sp-4", "formatType": "NATIVE"},
                    ],
                },
            },
            "reconciliationStatus": {"reconciliationTimestamp": millis(9)},
        }}),
    };
    let snapshot = |job: &str, state: &str, path: &str, deleting: bool| {
        let mut snapshot = serde_json::json!({
            "spec": {"jobReference": {"kind": "FlinkDeployment", "name": job}, "savepoint": {"formatType": "CANONICAL"}},
            "status": {"state": state, "path": path,
                "triggerTimestamp": at(6).to_rfc3339(), "resultTimestamp": at(7).to_rfc3339()},
        });
        if deleting {
            snapshot["metadata"]["deletionTimestamp"] = at(8).to_rfc3339().into();
        }
        snapshot
    };
    let snapshots = [
        snapshot("orders", "COMPLETED", "s3://b/sp-6", false),
        snapshot("orders", "COMPLETED", "s3://b/sp-2", true),
        snapshot("orders", "FAILED", "s3://b/sp-failed", false),
        snapshot("other", "COMPLETED", "s3://b/sp-other", false),
    ];
    let known = checkpoints(vec![entry(5, Some("s3://b/chk-5"), false), entry(4, Some("s3://b/sp-4/"), true)]);
    let found = of_job(Some((JOB, &known)), Some((&resource, &snapshots)), std::iter::empty());
    let brief: Vec<_> = found.iter().map(|f| (f.path.as_str(), f.source, f.standing)).collect();
    let (good, gone) = (Standing::Verified, Standing::Disposed);
    assert_eq!(
        brief,
        [
            ("s3://b/sp-6", SnapshotSource::StateSnapshot, good),
            ("s3://b/chk-5", SnapshotSource::Flink, good),
            ("s3://b/sp-4/", SnapshotSource::Flink, good),
            ("s3://b/sp-2", SnapshotSource::StateSnapshot, gone),
        ]
    );
    assert_eq!(found[0].took, Some(std::time::Duration::from_secs(1)));
    assert!(known_of("s3://b/sp-2", &found)[0].contains("was removed"), "{:?}", known_of("s3://b/sp-2", &found));
    assert!(known_of("s3://b/sp-6/", &found)[0].contains("FlinkStateSnapshot"));
}
