use super::*;
use crate::control::ownership::tests::resource;

fn at(second: i64) -> Timestamp {
    chrono::DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
}

fn word(change: impl FnOnce(&mut Resource)) -> Option<HealthWord> {
    let mut r = resource(&[]);
    r.created_at = Some(at(0));
    change(&mut r);
    operator_word(&r, at(900), at(1000)).headline.map(|(word, _)| word)
}

fn status(lifecycle: &str, jm: &str, job: &str) -> impl FnOnce(&mut Resource) {
    let (lifecycle, jm, job) = (lifecycle.to_owned(), jm.to_owned(), job.to_owned());
    move |r| (r.lifecycle, r.job_manager, r.job_state) = (Some(lifecycle), Some(jm), Some(job))
}

#[test]
fn the_first_row_of_the_table_that_matches_is_the_headline() {
    assert_eq!(word(|_| {}), None, "all well: Flink's evidence decides");
    assert_eq!(word(|r| r.deleting = true), Some(HealthWord::Deleting));
    assert_eq!(word(|r| r.lifecycle = None), Some(HealthWord::NotReconciled));
    assert_eq!(
        word(|r| {
            r.lifecycle = None;
            r.created_at = Some(at(950));
        }),
        Some(HealthWord::Deploying)
    );
    assert_eq!(
        word(|r| {
            r.lifecycle = None;
            r.suspended = true;
        }),
        Some(HealthWord::Suspended)
    );
    assert_eq!(word(status("FAILED", "READY", "FAILED")), Some(HealthWord::Failed));
    assert_eq!(word(status("DEPLOYED", "ERROR", "RECONCILING")), Some(HealthWord::JobManagerLost));
    assert_eq!(word(status("STABLE", "MISSING", "RECONCILING")), Some(HealthWord::JobManagerLost));
    assert_eq!(word(status("UPGRADING", "MISSING", "FINISHED")), Some(HealthWord::Deploying));
    assert_eq!(word(|r| r.error = Some("x".into())), Some(HealthWord::OperatorError));
    assert_eq!(word(status("ROLLED_BACK", "READY", "RUNNING")), Some(HealthWord::RolledBack));
    assert_eq!(word(status("SUSPENDED", "MISSING", "FINISHED")), Some(HealthWord::Suspended));
    assert_eq!(word(status("STABLE", "DEPLOYING", "RECONCILING")), Some(HealthWord::Deploying));
    assert_eq!(word(status("STABLE", "READY", "CANCELED")), Some(HealthWord::Canceled));
    assert_eq!(word(|r| r.generation = 3), Some(HealthWord::ChangePending));
    assert_eq!(word(|r| r.kind = JobKind::SessionCluster), Some(HealthWord::Ready));
}

#[test]
fn an_upgrade_is_stuck_after_five_minutes() {
    let mut r = resource(&[]);
    status("UPGRADING", "MISSING", "FINISHED")(&mut r);
    let headline = |since| operator_word(&r, at(since), at(1000)).headline.map(|(word, _)| word);
    assert_eq!(headline(700), Some(HealthWord::Deploying));
    assert_eq!(headline(699), Some(HealthWord::UpgradeStuck));
}

#[test]
fn a_session_job_runs_on_the_configuration_of_its_cluster_but_has_its_own_map() {
    let cluster = resource(&[("jobmanager.scheduler", "adaptive"), (OVERRIDES_KEY, "x:1"), ("a", "cluster")]);
    let job = resource(&[("a", "job")]);
    let described = on_its_cluster(&job, &cluster);
    assert_eq!(described.configuration["jobmanager.scheduler"], "adaptive");
    assert_eq!(described.configuration["a"], "job");
    assert!(!described.configuration.contains_key(OVERRIDES_KEY));
}
