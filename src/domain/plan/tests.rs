use super::*;

fn at(second: i64) -> Timestamp {
    chrono::DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
}

/// A plan that stops and starts a job.
pub(crate) fn example() -> Plan {
    plan(Danger::Restart)
}

fn plan(danger: Danger) -> Plan {
    let job = JobId::from_u128(1);
    let secret = "--password=hunter2";
    let launch = Launch { jar: "a.jar".into(), args: vec![secret.into()], ..Launch::default() };
    Plan {
        id: PlanId(0xab),
        operation: Operation::Redeploy { origin: Origin::Now, allow_non_restored: false, launch: Some(launch.clone()) },
        target: PlanTarget {
            job: Some(JobKey::new("flink:a:1")),
            cluster: ClusterKey::new("flink:a"),
            context: "a".into(),
            namespace: None,
            name: "orders".into(),
            uid: job.to_string(),
            generation: None,
            run: None,
        },
        issuer: Issuer::Screen,
        made_at: at(0),
        danger,
        summary: "stop and start".into(),
        lost: vec![],
        notes: vec![],
        choices: vec![],
        changes: vec![],
        blocks: vec![],
        steps: vec![
            Step::new("stop", Action::Cancel { job }, Duration::from_secs(60))
                .unsafe_to_cancel("the job is being stopped"),
            Step::new(
                "start",
                Action::Run { job, launch, restore: Restore::OfStep { step: 0 }, allow_non_restored: false },
                Duration::from_secs(60),
            )
            .leaving("the job is stopped"),
        ],
        state: PlanState::Proposed,
        began_at: None,
        ended_at: None,
    }
}

#[test]
fn a_name_is_needed_where_state_can_be_lost_and_only_the_right_one_counts() {
    let named = |name: &str| Confirmation::Name { name: name.into() };
    assert!(Confirmation::Yes.suffices(&plan(Danger::Effect)).is_ok());
    assert!(Confirmation::Yes.suffices(&plan(Danger::Restart)).is_ok());
    assert!(Confirmation::Yes.suffices(&plan(Danger::Loss)).is_err());
    assert!(named("orders").suffices(&plan(Danger::Loss)).is_ok());
    for danger in [Danger::Effect, Danger::Restart, Danger::Loss] {
        for wrong in ["", "order", "Orders", "orders "] {
            assert!(named(wrong).suffices(&plan(danger)).is_err(), "{wrong:?}");
        }
    }
}

#[test]
fn a_redacted_plan_holds_no_argument_and_is_told_apart_from_others() {
    let whole = plan(Danger::Restart);
    let redacted = whole.redacted();
    let text = serde_json::to_string(&redacted).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    assert!(!format!("{whole:?}").contains("hunter2"), "neither does a log line");
    let launch = |plan: &Plan| match &plan.steps[1].action {
        Action::Run { launch, .. } => launch.clone(),
        other => panic!("{other:?}"),
    };
    assert!(launch(&redacted).is(&launch(&whole)));
    let other = Launch { args: vec!["--password=other".into()], ..launch(&whole) };
    assert!(!launch(&redacted).is(&other));
    // Moving a word between arguments and configuration is another launch.
    let moved = Launch {
        args: vec![],
        configuration: [("--password=hunter2".to_owned(), String::new())].into(),
        ..launch(&whole)
    };
    assert!(!launch(&redacted).is(&moved));
}

#[test]
fn the_current_step_is_the_first_that_is_not_done_and_is_counted_from_one() {
    let mut plan = plan(Danger::Restart);
    let current = |plan: &Plan| plan.current_step().map(|(number, step)| (number, step.name.clone()));
    assert_eq!(current(&plan), Some((1, "stop".to_owned())));
    plan.steps[0].state = StepState::Done;
    plan.steps[1].state = StepState::Failed { why: "x".into() };
    assert_eq!(current(&plan), Some((2, "start".to_owned())));
    plan.steps[1].state = StepState::Done;
    assert_eq!(current(&plan), None);
}

#[test]
fn events_rebuild_a_plan_and_say_how_things_stand() {
    let mut plan = plan(Danger::Restart);
    let opened = PlanEvent::Opened { plan: Box::new(plan.clone()) };
    plan.take_in(&opened, at(1));
    assert!(plan.state.is_open() && plan.must_go_on().is_none(), "nothing was done yet");
    plan.take_in(&PlanEvent::Began { step: 0 }, at(2));
    plan.take_in(&PlanEvent::Sending { step: 0, newest: None }, at(3));
    plan.take_in(&PlanEvent::Sending { step: 0, newest: None }, at(9));
    assert_eq!(plan.steps[0].sent_at, Some(at(3)), "the first time counts");
    assert!(plan.must_go_on().is_some());
    let ended = PlanEvent::Ended { step: 0, state: StepState::Done, result: Some("s3://sp".into()), note: None };
    plan.take_in(&ended, at(10));
    assert_eq!(plan.current(), Some(1));
    assert!(plan.must_go_on().is_none());
    assert_eq!(plan.standing(), "the job is stopped; the savepoint that was taken: s3://sp");
    plan.take_in(&PlanEvent::Became { state: PlanState::Interrupted { why: "x".into() } }, at(11));
    assert!(plan.state.is_open() && plan.ended_at.is_none());
    let again: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
    assert_eq!(again, plan);
}
