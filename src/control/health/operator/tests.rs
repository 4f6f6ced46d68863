use std::sync::Arc;

use super::*;
use crate::control::ownership::tests::resource;

fn at(second: i64) -> Timestamp {
    chrono::DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
}

fn word(change: impl FnOnce(&mut Resource)) -> Option<HealthWord> {
    let mut r = resource(&[]);
    r.created_at = Some(at(0));
    change(&mut r);
    operator_word(&r, None, at(900), at(1000)).headline.map(|(word, _)| word)
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
    let headline = |since| operator_word(&r, None, at(since), at(1000)).headline.map(|(word, _)| word);
    assert_eq!(headline(700), Some(HealthWord::Deploying));
    assert_eq!(headline(699), Some(HealthWord::UpgradeStuck));
}

fn pod(name: &str, role: PodRole, phase: PodPhase) -> PodRow {
    PodRow {
        uid: name.into(),
        namespace: "shop".into(),
        name: name.into(),
        app: "orders".into(),
        role,
        phase,
        ready: phase == PodPhase::Running,
        node: None,
        created_at: Some(at(0)),
        deleting_since: None,
        restarts: 0,
        waiting: None,
        last_termination: None,
        unschedulable: None,
        failure: None,
        containers: vec![],
        cpu_request: 0,
        memory_request: 0,
        memory_limit: None,
    }
}

fn pods(rows: impl IntoIterator<Item = PodRow>) -> PodsView {
    PodsView { pods: rows.into_iter().map(Arc::new).collect(), deployment: None }
}

#[test]
fn the_jobmanagers_pod_is_the_deepest_cause() {
    let mut r = resource(&[]);
    status("DEPLOYED", "DEPLOYING", "RECONCILING")(&mut r);
    let mut jm = pod("orders-1", PodRole::JobManager, PodPhase::Pending);
    jm.waiting = Some(("ImagePullBackOff".into(), "no such image".into()));
    let headline = |r: &Resource, pods: &PodsView| operator_word(r, Some(pods), at(900), at(1000)).headline.unwrap();
    let (word, why) = headline(&r, &pods([jm.clone()]));
    assert_eq!(word, HealthWord::JobManagerLost);
    assert_eq!(why, "the JobManager's pod orders-1 does not run (image pull): ImagePullBackOff: no such image");
    let well = pod("orders-2", PodRole::JobManager, PodPhase::Running);
    assert_eq!(headline(&r, &pods([jm, well])).0, HealthWord::Deploying, "an old pod may still be there");
    let deployment = crate::domain::pods::DeploymentRow {
        uid: "d".into(),
        namespace: "shop".into(),
        name: "orders".into(),
        wanted: 1,
        available: 0,
        failure: Some(("FailedCreate".into(), "exceeded quota: team".into())),
        deleting_since: None,
    };
    let none = PodsView { pods: vec![], deployment: Some(Arc::new(deployment)) };
    let (word, why) = headline(&r, &none);
    assert_eq!((word, why.contains("exceeded quota")), (HealthWord::JobManagerLost, true));
}

#[test]
fn missing_taskmanagers_are_told_by_the_deepest_cause_and_their_number() {
    let mut unbound = pod("tm-1", PodRole::TaskManager, PodPhase::Pending);
    unbound.unschedulable = Some("0/3 nodes are available: 3 Insufficient memory.".into());
    let second = PodRow { name: "tm-2".into(), uid: "tm-2".into(), ..unbound.clone() };
    let told = task_manager_trouble(&pods([unbound.clone(), second]), at(1000)).unwrap();
    assert_eq!(
        told,
        "2 TaskManager pods do not run (unschedulable), such as tm-1: 0/3 nodes are available: 3 Insufficient memory."
    );
    let mut image = pod("tm-3", PodRole::TaskManager, PodPhase::Pending);
    image.waiting = Some(("ErrImagePull".into(), String::new()));
    let told = task_manager_trouble(&pods([unbound.clone(), image]), at(1000)).unwrap();
    assert!(told.contains("tm-3") && told.contains("image pull"), "{told}");
    assert_eq!(task_manager_trouble(&pods([unbound]), at(10)), None, "it may still find its node");
    let mut killed = pod("tm-4", PodRole::TaskManager, PodPhase::Failed);
    killed.last_termination = Some(crate::domain::pods::Termination {
        exit_code: 137,
        reason: "OOMKilled".into(),
        message: String::new(),
        at: None,
    });
    let told = task_manager_end(&pods([killed])).unwrap();
    assert_eq!(told, "TaskManager tm-4 ended (out of memory): OOMKilled (exit code 137)");
}
