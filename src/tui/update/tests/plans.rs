//! What keys do with plans, and the proof that no plan is begun by accident.

use super::*;
use crate::domain::ids::{JobId, RunId};
use crate::domain::job::{JobKind, JobState};
use crate::domain::plan::{self, Confirmation, Operation, Origin, Plan, PlanId, PlanState, PlanSubject, StepState};
use crate::tui::fixtures::plans;
use crate::tui::overlays::plan::Purpose;

/// A job of plain Flink: more can be done to it than to one that an operator describes.
fn plain() -> Snapshot {
    let mut snapshot = fixtures::fleet();
    for job in &mut snapshot.jobs {
        if job.kind != JobKind::SessionCluster {
            Arc::make_mut(job).kind = JobKind::FlinkJob;
        }
    }
    snapshot
}

impl Desk {
    fn at_job(snapshot: Snapshot) -> Self {
        let mut desk = Self::with(snapshot);
        desk.model.places.jump(Screen::Job(plans::fraud()));
        desk.model.refresh_rows();
        desk
    }

    /// The loop answers: plans that were asked for are there, those that were put away are gone.
    fn answer(&mut self, sent: &[Command], change: impl Fn(&mut Plan)) {
        self.publish(|snapshot| answer(snapshot, sent, &change));
    }

    /// Presses keys, each answered by the loop, and waits until keys count. Gives what was sent besides.
    fn ask(&mut self, keys: &str, change: impl Fn(&mut Plan)) -> Vec<Command> {
        let mut rest = Vec::new();
        for key in keys.split_whitespace() {
            let sent = self.press(key);
            self.answer(&sent, &change);
            rest.extend(sent.into_iter().filter(|command| !is_talk(command)));
        }
        self.wait(400);
        rest
    }

    fn question(&self) -> Option<&crate::tui::overlays::PlanDialog> {
        match self.model.overlay() {
            Some(Overlay::Plan(dialog)) => Some(dialog),
            _ => None,
        }
    }
}

fn answer(snapshot: &mut Snapshot, sent: &[Command], change: &impl Fn(&mut Plan)) {
    for command in sent {
        match &command.intent {
            Intent::Plan(PlanOrder::Propose { plan, subject, operation }) => {
                let mut made = plans::plan(plan.0, subject, operation.clone(), snapshot);
                change(&mut made);
                snapshot.plans.push(Arc::new(made));
            }
            Intent::Plan(PlanOrder::Cancel { plan }) => {
                snapshot.plans.retain(|known| known.id != *plan || known.state != PlanState::Proposed);
            }
            _ => {}
        }
    }
}

/// Making plans, and putting away what was only shown.
fn is_talk(command: &Command) -> bool {
    matches!(command.intent, Intent::Plan(PlanOrder::Propose { .. } | PlanOrder::Cancel { .. }))
}

fn intents(sent: Vec<Command>) -> Vec<Intent> {
    sent.into_iter().map(|command| command.intent).collect()
}

fn run(plan: PlanId, confirmation: Confirmation) -> Intent {
    Intent::Plan(PlanOrder::Run { plan, confirmation })
}

#[test]
fn a_savepoint_is_shown_and_then_begun_with_y() {
    let mut desk = Desk::at_job(fixtures::fleet());
    let sent = desk.press("s p enter");
    let [Command { intent: Intent::Plan(PlanOrder::Propose { plan, subject, operation }), issuer, .. }] = &sent[..]
    else {
        panic!("{sent:?}")
    };
    assert_eq!((subject, *issuer), (&PlanSubject::Job(plans::fraud()), Issuer::Screen));
    assert!(matches!(operation, Operation::Savepoint { .. }));
    desk.wait(400);
    assert!(desk.press("y enter y").is_empty(), "nothing is shown yet");
    desk.answer(&sent, |_| {});
    assert!(desk.press("y").is_empty(), "keys within the guard are dropped");
    desk.wait(400);
    assert!(desk.press("enter").is_empty() && desk.question().is_some(), "enter does not confirm");
    assert_eq!(intents(desk.press("y")), [run(*plan, Confirmation::Yes)]);
    assert_eq!(desk.model.screen(), &Screen::Plan(*plan));
}

#[test]
fn a_redeploy_takes_three_keys_and_the_name() {
    let mut desk = Desk::at_job(fixtures::fleet());
    assert!(desk.ask("R enter", |_| {}).is_empty());
    let plan = desk.question().unwrap().asked[0].plan;
    let shown = desk.model.latest().plan(plan).unwrap();
    let newest = "s3://flink-state/prod/fraud-detection/savepoint-cbc357-3".to_owned();
    assert!(matches!(&shown.operation, Operation::Redeploy { origin: Origin::Path(path), .. } if *path == newest));
    assert_eq!(desk.model.latest().plans.len(), 1, "the look that told what there is was put away");
    assert!(desk.press("y").is_empty());
    assert!(desk.event(Event::Paste("fraud-detection".into())).is_empty());
    assert!(desk.press("y").is_empty(), "a pasted name counts for nothing");
    desk.press("ctrl-u");
    desk.typed("fraud-detectio");
    assert!(desk.press("y").is_empty());
    desk.press("ctrl-u");
    desk.typed("fraud-detection");
    assert_eq!(intents(desk.press("y")), [run(plan, Confirmation::Name { name: "fraud-detection".into() })]);
}

#[test]
fn a_path_is_checked_before_a_plan_is_made_of_it() {
    let mut desk = Desk::at_job(fixtures::fleet());
    desk.ask("R G up", |_| {});
    desk.typed("savepoint-1");
    assert!(desk.press("enter").is_empty(), "it has no scheme");
    desk.press("ctrl-u");
    desk.event(Event::Paste("  s3://bucket/sp-1\n".into()));
    let sent = desk.press("enter");
    let origin = sent.iter().find_map(|command| match &command.intent {
        Intent::Plan(PlanOrder::Propose { operation: Operation::Redeploy { origin, .. }, .. }) => Some(origin.clone()),
        _ => None,
    });
    assert_eq!(origin, Some(Origin::Path("s3://bucket/sp-1".into())));
}

#[test]
fn what_changed_since_it_was_shown_closes_the_question_and_is_put_away() {
    type Change = fn(&mut Snapshot);
    fn plan_of(snapshot: &mut Snapshot) -> &mut Plan {
        Arc::make_mut(&mut snapshot.plans[0])
    }
    fn job_of(snapshot: &mut Snapshot) -> &mut crate::domain::job::JobView {
        let job = snapshot.jobs.iter_mut().find(|job| job.key == plans::fraud()).unwrap();
        Arc::make_mut(job)
    }
    let changes: [(&str, Change); 10] = [
        ("is gone", |s| s.plans.clear()),
        ("is running", |s| plan_of(s).state = PlanState::Running),
        ("target", |s| plan_of(s).target.uid = "another".into()),
        ("target", |s| plan_of(s).danger = plan::Danger::Loss),
        ("changed", |s| plan_of(s).steps.truncate(1)),
        ("changed", |s| plan_of(s).blocks.push("no".into())),
        ("its job is gone", |s| s.jobs.clear()),
        ("runs anew", |s| job_of(s).job_id = Some(JobId::from_u128(9))),
        ("runs anew", |s| {
            let job = job_of(s);
            job.run = job.run.map(|run| RunId { running_since: fixtures::now(), ..run });
        }),
        ("was changed", |s| job_of(s).generation = Some(8)),
    ];
    for (why, change) in changes {
        let mut desk = Desk::at_job(fixtures::fleet());
        desk.ask("s t", |_| {});
        let plan = desk.question().unwrap().asked[0].plan;
        let effects = desk.publish(change);
        assert!(desk.question().is_none(), "{why}");
        assert!(desk.toasts().contains(why) && desk.toasts().contains("nothing was sent"), "{why}: {}", desk.toasts());
        let away = |effect: &Effect| matches!(effect, Effect::Send(command) if command.intent == Intent::Plan(PlanOrder::Cancel { plan }));
        assert!(effects.iter().any(away), "{why}");
        assert!(desk.press("y").is_empty());
    }
}

/// A plan is made from a newer look than the row: a row that catches up is no change.
#[test]
fn a_row_that_catches_up_with_the_plan_keeps_the_question_open() {
    let mut desk = Desk::at_job(fixtures::fleet());
    let newer = RunId { job: JobId::from_u128(9), running_since: fixtures::now() };
    desk.ask("s t", |plan| {
        plan.target.run = Some(newer);
        plan.target.uid = newer.job.to_string();
    });
    desk.publish(|s| {
        let job = s.jobs.iter_mut().find(|job| job.key == plans::fraud()).unwrap();
        let job = Arc::make_mut(job);
        (job.run, job.job_id) = (Some(newer), Some(newer.job));
    });
    assert!(desk.question().is_some(), "{}", desk.toasts());
    assert_eq!(desk.press("y").len(), 1);
}

#[test]
fn a_blocked_plan_cannot_be_begun() {
    let mut desk = Desk::at_job(fixtures::fleet());
    desk.ask("s t", |plan| plan.blocks = vec!["an operator is dead".into()]);
    assert!(desk.press("y").is_empty() && desk.question().is_some());
    assert!(desk.ask("esc", |_| {}).is_empty());
    assert!(desk.question().is_none() && desk.model.latest().plans.is_empty());
}

#[test]
fn a_plan_that_cannot_be_made_says_why() {
    let mut desk = Desk::at_job(fixtures::fleet());
    let command = desk.press("s c").remove(0);
    desk.publish(|s| stage(s, &command, CommandStage::Failed { why: "connection refused".into() }));
    assert_eq!(desk.question().unwrap().asked[0].failed(), Some("connection refused"));
    desk.wait(400);
    assert!(desk.press("y").is_empty());
    let mut desk = Desk::at_job(fixtures::fleet());
    let command = desk.press("s c").remove(0);
    desk.event(Event::NotSent(command.id));
    assert!(desk.question().unwrap().asked[0].failed().is_some());
}

#[test]
fn marked_jobs_are_one_question_and_what_can_lose_state_is_left_out() {
    let mut desk = Desk::with(plain());
    desk.model.views.fleet.marked.extend(["fraud-detection", "ledger-export"].map(fixtures::key));
    let marked: Vec<_> = desk.model.views.fleet.marked.iter().cloned().collect();
    assert_eq!(marked.len(), 2);
    let name = |n: usize| desk.model.latest().job(&marked[n]).unwrap().name.clone();
    let (first, second) = (name(0), name(1));
    desk.publish(|s| {
        for job in &mut s.jobs {
            Arc::make_mut(job).state = JobState::Running;
        }
    });
    desk.press("R");
    assert!(
        desk.question().is_none() && desk.toasts().contains("about one job, and 2 are marked"),
        "{}",
        desk.toasts()
    );
    assert!(
        desk.ask("s t", |plan| if plan.target.name == second {
            plan.danger = plan::Danger::Loss
        })
        .is_empty()
    );
    assert!(desk.question().is_some(), "{}", desk.toasts());
    let sent = desk.press("y");
    let begun: Vec<_> = sent.iter().filter(|command| !is_talk(command)).cloned().collect();
    let left: Vec<_> = sent.iter().filter(|command| is_talk(command)).collect();
    assert_eq!((begun.len(), left.len()), (1, 1), "{sent:?}");
    let of = |intent: &Intent| match intent {
        Intent::Plan(order) => desk.model.latest().plan(order.plan()).unwrap().target.name.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((of(&begun[0].intent), of(&left[0].intent)), (first, second));
    assert!(desk.model.views.fleet.marked.is_empty());
    assert_eq!(
        desk.model.screen(),
        &Screen::Plan(match begun[0].intent {
            Intent::Plan(ref order) => order.plan(),
            _ => unreachable!("a plan was begun"),
        })
    );
}

#[test]
fn marks_go_with_esc_before_the_filter_does() {
    let mut desk = Desk::with(fixtures::fleet());
    desk.press("/");
    desk.typed("fraud");
    desk.press("enter space");
    assert_eq!(desk.model.views.fleet.marked.len(), 1);
    desk.press("esc");
    assert!(desk.model.views.fleet.marked.is_empty() && desk.model.filter().text == "fraud");
    desk.press("esc");
    assert_eq!(desk.model.filter().text, "");
}

#[test]
fn what_cannot_be_done_says_why_without_asking_anybody() {
    let why = |keys: &str, change: fn(&mut Snapshot)| {
        let mut desk = Desk::at_job(fixtures::fleet());
        desk.publish(change);
        assert!(desk.press(keys).is_empty(), "{keys}");
        desk.toasts()
    };
    assert!(why("s p", |s| s.read_only = true).contains("read-only"));
    assert!(why("s r", |_| {}).contains("not suspended"));
    assert!(why("s x", |_| {}).contains("the operator would start it again; s s suspends it"));
    assert!(
        why("R", |s| s.plans = vec![Arc::new(plans::running(7))]).contains("plan 00000007 (redeploy) is open on it")
    );
    assert!(why("R", |s| s.jobs.clear()).contains("no job is selected"));
    assert!(why("P r", |_| {}).contains("no operation is selected"));
}

#[test]
fn an_unfinished_plan_is_offered_once_and_goes_on_with_its_own_confirmation() {
    let found = |desk: &mut Desk| desk.publish(|s| s.plans = vec![Arc::new(plans::interrupted(0xab))]);
    let mut desk = Desk::with(fixtures::fleet());
    found(&mut desk);
    assert!(matches!(desk.model.overlay(), Some(Overlay::Unfinished(_))));
    desk.wait(400);
    desk.press("r");
    desk.wait(400);
    assert!(desk.press("y ctrl-u").is_empty());
    desk.typed("fraud-detection");
    let confirmation = Confirmation::Name { name: "fraud-detection".into() };
    assert_eq!(intents(desk.press("y")), [Intent::Plan(PlanOrder::Resume { plan: PlanId(0xab), confirmation })]);
    let mut desk = Desk::with(fixtures::fleet());
    found(&mut desk);
    desk.wait(400);
    desk.press("esc");
    desk.publish(|s| s.revision += 1);
    assert!(desk.model.overlay().is_none(), "once is enough");
    desk.press("9");
    desk.press("P a");
    desk.wait(400);
    assert_eq!(intents(desk.press("y")), [Intent::Plan(PlanOrder::Abandon { plan: PlanId(0xab) })]);
    let mut desk = Desk::with(fixtures::fleet());
    desk.publish(|s| s.plans = vec![Arc::new(plans::running(0xab))]);
    found(&mut desk);
    assert!(desk.model.overlay().is_none(), "its end in this program is told as it comes");
}

#[test]
fn keys_typed_as_an_unfinished_plan_is_offered_do_nothing() {
    let mut desk = Desk::with(fixtures::fleet());
    desk.publish(|s| s.plans = vec![Arc::new(plans::interrupted(0xab))]);
    let offers = |desk: &Desk| matches!(desk.model.overlay(), Some(Overlay::Unfinished(_)));
    assert!(desk.press("a y").is_empty());
    assert!(offers(&desk));
    desk.wait(200);
    assert!(desk.press("a y enter esc").is_empty());
    assert!(offers(&desk), "each key starts the guard anew");
    desk.wait(400);
    assert!(desk.press("a y").is_empty(), "the question has a guard of its own");
    assert!(desk.question().is_some());
    desk.wait(400);
    assert_eq!(intents(desk.press("y")), [Intent::Plan(PlanOrder::Abandon { plan: PlanId(0xab) })]);
}

#[test]
fn the_context_stays_while_an_operation_runs_on_it() {
    let mut desk = on(Screen::Cluster, |_| {});
    assert!(Action::Contexts.available(&desk.model).is_ok());
    desk.publish(|s| s.plans = vec![Arc::new(plans::running(0xab))]);
    let why = Action::Contexts.available(&desk.model).unwrap_err();
    assert!(why.0.contains("an operation runs on this one"), "{why:?}");
}

#[test]
fn a_plan_ends_where_that_is_safe_and_says_where_it_is_not() {
    let running = |safe: bool| {
        let mut desk = Desk::with(fixtures::fleet());
        let mut plan = plans::running(0xab);
        if safe {
            plan.steps[1].state = StepState::Done;
        }
        desk.publish(|s| s.plans = vec![Arc::new(plan)]);
        desk.press("9 enter");
        assert_eq!(desk.model.screen(), &Screen::Plan(PlanId(0xab)));
        desk.press("P c");
        desk.wait(400);
        let sent = intents(desk.press("y"));
        (sent, desk.toasts())
    };
    assert_eq!(running(true).0, [Intent::Plan(PlanOrder::Cancel { plan: PlanId(0xab) })]);
    let (sent, said) = running(false);
    assert!(sent.is_empty() && said.contains("cannot be cancelled safely"), "{said}");
}

#[test]
fn the_end_of_a_plan_is_told() {
    let mut desk = Desk::at_job(fixtures::fleet());
    desk.ask("s c", |_| {});
    let command = desk.press("y").remove(0);
    desk.publish(|s| stage(s, &command, CommandStage::Observed));
    assert!(desk.toasts().contains("checkpoint fraud-detection: done"), "{}", desk.toasts());
}

#[test]
fn leaving_while_a_plan_runs_asks_once() {
    let mut desk = Desk::with(Snapshot { plans: vec![Arc::new(plans::running(0xab))], ..fixtures::fleet() });
    assert!(!desk.event(Event::Key(Key::char('q'))).contains(&Effect::Quit));
    assert!(matches!(desk.model.overlay(), Some(Overlay::Quit)));
    assert!(desk.event(Event::Key(Key::char('y'))).contains(&Effect::Quit));
}

// --- the proof ---

#[derive(Debug, Clone)]
enum Move {
    Key(Key),
    /// The name of some job, key by key.
    Name(usize),
    Paste(usize),
    Wait(u64),
    /// The loop answers what it was asked.
    Answer,
    /// Some plan is not any more what it was.
    Change(usize, usize),
    Resize(u16, u16),
}

fn moves() -> impl Strategy<Value = Move> {
    let keys = "s p c t r x X R P a space enter esc y down up tab 1 2 9 q j :";
    let keys: Vec<Key> = keys.split_whitespace().map(|key| key.parse().unwrap()).collect();
    let begin = ["s p", "s s", "s t", "R", "X", "s x", "P r", "P a", "P c"].map(str::to_owned).to_vec();
    let begin = prop::sample::select(begin).prop_flat_map(|keys| {
        let keys: Vec<Key> = keys.split_whitespace().map(|key| key.parse().unwrap()).collect();
        prop::sample::select(keys)
    });
    prop_oneof![
        8 => prop::sample::select(keys).prop_map(Move::Key),
        4 => begin.prop_map(Move::Key),
        3 => Just(Move::Key(Key::char('y'))),
        2 => (0usize..3).prop_map(Move::Name),
        1 => (0usize..3).prop_map(Move::Paste),
        4 => (0u64..500).prop_map(Move::Wait),
        6 => Just(Move::Answer),
        1 => (0usize..4, 0usize..4).prop_map(|(which, how)| Move::Change(which, how)),
        1 => prop::sample::select(vec![(120, 40), (20, 5)]).prop_map(|(c, l)| Move::Resize(c, l)),
    ]
}

const NAMES: [&str; 3] = ["fraud-detection", "shared-session", "fraud-detectio"];

/// A desk with a loop behind it that carries nothing out.
struct Bench {
    desk: Desk,
    unanswered: Vec<Command>,
}

impl Bench {
    fn new(read_only: bool) -> Self {
        let plans = vec![Arc::new(plans::interrupted(0xab)), Arc::new(plans::running(0xcd))];
        let mut desk = Desk::at_job(Snapshot { read_only, ..plain() });
        // Another job's, so that operations on this one stay possible.
        desk.publish(|s| {
            s.plans = plans
                .into_iter()
                .map(|mut plan| {
                    Arc::make_mut(&mut plan).target.job = Some(crate::domain::ids::JobKey::new("k8s:other"));
                    plan
                })
                .collect();
        });
        Self { desk, unanswered: Vec::new() }
    }

    fn events(&mut self, step: &Move) -> Vec<Event> {
        match step {
            Move::Key(key) => vec![Event::Key(*key)],
            Move::Name(n) => NAMES[*n].chars().map(|c| Event::Key(Key::char(c))).collect(),
            Move::Paste(n) => vec![Event::Paste(format!("{}y", NAMES[*n]))],
            Move::Wait(millis) => {
                self.desk.wait(*millis);
                Vec::new()
            }
            Move::Answer => {
                let mut snapshot = Snapshot::clone(self.desk.model.latest());
                snapshot.revision += 1;
                answer(&mut snapshot, &std::mem::take(&mut self.unanswered), &|_| {});
                vec![Event::Snapshot(Arc::new(snapshot))]
            }
            Move::Change(which, how) => {
                let mut snapshot = Snapshot::clone(self.desk.model.latest());
                snapshot.revision += 1;
                let count = snapshot.plans.len().max(1);
                if let Some(plan) = snapshot.plans.get_mut(which % count) {
                    let plan = Arc::make_mut(plan);
                    match how {
                        0 => plan.target.uid.push('x'),
                        1 => plan.danger = plan::Danger::Loss,
                        2 => plan.blocks.push("blocked".into()),
                        _ => plan.steps.truncate(2),
                    }
                }
                vec![Event::Snapshot(Arc::new(snapshot))]
            }
            Move::Resize(columns, lines) => vec![Event::Resize { columns: *columns, lines: *lines }],
        }
    }
}

/// What a command may do outside.
fn level(command: &Command, snapshot: &Snapshot) -> Danger {
    match &command.intent {
        Intent::Plan(PlanOrder::Propose { .. }) => Danger::Local,
        Intent::Plan(PlanOrder::Cancel { plan }) => match snapshot.plan(*plan) {
            Some(plan) if plan.state.is_open() => Danger::Effect,
            _ => Danger::Local,
        },
        Intent::Plan(PlanOrder::Abandon { .. }) => Danger::Effect,
        Intent::Plan(PlanOrder::Run { plan, .. } | PlanOrder::Resume { plan, .. }) => {
            snapshot.plan(*plan).map_or(Danger::Loses, |plan| plan.danger.into())
        }
        other => super::danger_of(&Effect::Send(Command { intent: other.clone(), ..command.clone() })),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// What changes anything follows only from `y` on a question in front, whose guard had passed, about a plan that is exactly
    /// what was shown; what can lose state only with its target's name, typed key by key while the question was in front.
    #[test]
    fn no_keys_without_its_confirmation_begin_a_plan(steps in prop::collection::vec(moves(), 1..90)) {
        let mut bench = Bench::new(false);
        let mut typed = String::new();
        for step in &steps {
            for event in bench.events(step) {
                let shown = bench.desk.question().map(|question| {
                    let plans: Vec<Arc<Plan>> = question.startable().cloned().collect();
                    (question.purpose, question.danger(), question.guard_until, plans)
                });
                let before = Arc::clone(bench.desk.model.latest());
                let key = match &event { Event::Key(key) => Some(*key), _ => None };
                let sent: Vec<Command> = bench.desk.event(event).into_iter().filter_map(|effect| match effect {
                    Effect::Send(command) => Some(command),
                    _ => None,
                }).collect();
                for command in &sent {
                    let level = level(command, &before);
                    // Decisions have their own proof.
                    if level == Danger::Local || !matches!(command.intent, Intent::Plan(_)) {
                        continue;
                    }
                    let (purpose, danger, guard_until, plans) = shown.clone().expect("a question was in front");
                    prop_assert_eq!(key, Some(Key::char('y')));
                    prop_assert!(bench.desk.monotonic >= guard_until);
                    prop_assert!(level <= danger);
                    prop_assert!(bench.desk.model.size.0 >= 60 && !before.read_only);
                    let Intent::Plan(order) = &command.intent else { panic!("{command:?}") };
                    let plan = plans.iter().find(|plan| plan.id == order.plan()).expect("it was shown");
                    let now = before.plan(plan.id).expect("it is there");
                    prop_assert_eq!(&now.target, &plan.target);
                    match (purpose, order) {
                        (Purpose::Run, PlanOrder::Run { confirmation, .. }) => {
                            prop_assert_eq!(now, plan);
                            prop_assert!(plan.blocks.is_empty());
                            prop_assert!(confirmation.suffices(plan).is_ok());
                        }
                        (Purpose::Resume, PlanOrder::Resume { confirmation, .. }) => {
                            prop_assert!(confirmation.suffices(plan).is_ok());
                        }
                        (Purpose::Abandon, PlanOrder::Abandon { .. }) | (Purpose::Cancel, PlanOrder::Cancel { .. }) => {}
                        other => prop_assert!(false, "{:?}", other),
                    }
                    if level == Danger::Loses {
                        prop_assert!(typed.ends_with(&plan.target.name), "{:?}", typed);
                    }
                }
                bench.unanswered.extend(sent);
                // What was typed counts from when the question came up.
                match (bench.desk.question().is_some(), key.and_then(Key::typed)) {
                    (true, Some(c)) if shown.is_some() => typed.push(c),
                    (true, _) if shown.is_some() => {}
                    _ => typed.clear(),
                }
            }
        }
    }

    /// Read-only, no sequence of keys has any effect, nor asks for a plan.
    #[test]
    fn read_only_nothing_is_sent_at_all(steps in prop::collection::vec(moves(), 1..90)) {
        let mut bench = Bench::new(true);
        for step in &steps {
            for event in bench.events(step) {
                for effect in bench.desk.event(event) {
                    if let Effect::Send(command) = &effect {
                        prop_assert!(matches!(command.intent, Intent::Refresh { .. } | Intent::Reconnect), "{:?}", command);
                    }
                }
            }
        }
    }

    /// Type-ahead: a burst of keys never begins a plan, however quickly the loop answers.
    #[test]
    fn a_burst_of_keys_never_begins_a_plan(keys in prop::collection::vec(moves(), 1..90)) {
        let mut bench = Bench::new(false);
        for step in keys.iter().filter(|step| !matches!(step, Move::Wait(_))) {
            for step in [step, &Move::Answer] {
                for event in bench.events(step) {
                    let before = Arc::clone(bench.desk.model.latest());
                    for effect in bench.desk.event(event) {
                        if let Effect::Send(command) = effect {
                            prop_assert_eq!(level(&command, &before), Danger::Local);
                            bench.unanswered.push(command);
                        }
                    }
                }
            }
            bench.desk.wait(20);
        }
    }
}
