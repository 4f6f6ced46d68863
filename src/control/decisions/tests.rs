use proptest::prelude::*;

use super::*;
use crate::domain::ids::{JobId, JobKey, RunId};
use crate::domain::reason::ReasonCode;

const MIN: u64 = 60;

pub(in crate::control) fn at(second: u64) -> Timestamp {
    chrono::DateTime::from_timestamp(1_700_000_000 + second as i64, 0).unwrap()
}

fn vertex(n: u128) -> VertexId {
    VertexId::from_u128(n)
}

fn rules() -> Rules {
    Rules {
        expiry: Duration::from_secs(30 * MIN),
        unrefreshed: Duration::from_secs(30),
        reject_quiet: Duration::from_secs(60 * MIN),
        snooze: Duration::from_secs(15 * MIN),
    }
}

pub(in crate::control) fn change(n: u128, from: i32, to: i32) -> VertexChange {
    VertexChange {
        vertex: vertex(n),
        name: format!("v{n}"),
        from,
        to,
        true_processing_rate: 100.0,
        target_rate: 300.0,
        expected_rate: 350.0,
    }
}

fn candidate_in(run: u64, changes: &[(u128, i32, i32)]) -> Candidate {
    let run = RunId { job: JobId::from_u128(7), running_since: at(run) };
    let mut overrides: BTreeMap<VertexId, i32> = (1..=3).map(|n| (vertex(n), 4)).collect();
    overrides.extend(changes.iter().map(|(n, _, to)| (vertex(*n), *to)));
    Candidate {
        target: Target {
            job: JobKey::new("flink:a:7"),
            context: "a".into(),
            namespace: None,
            name: "job".into(),
            uid: "7".into(),
            generation: None,
            field_hash: 0,
            run: Some(run),
        },
        compat: "main".into(),
        changes: changes.iter().map(|(n, from, to)| change(*n, *from, *to)).collect(),
        overrides,
        config: ConfigChanges::default(),
        reason: Reason::new(ReasonCode::Proposed, "because"),
        explanation: None,
        prediction: Prediction {
            downtime: Duration::from_secs(10),
            downtime_measured: false,
            catch_up: None,
            task_managers: None,
            slots: 4,
        },
        data_at: at(0),
        capacity: None,
        blocked: None,
    }
}

fn candidate(to: i32) -> Candidate {
    candidate_in(0, &[(1, 4, to)])
}

fn filed(book: &mut Book, candidate: Candidate, second: u64) -> Filed {
    book.propose(candidate, HealthWord::Healthy, at(second))
}

fn pending(to: i32) -> (Book, DecisionId) {
    let mut book = Book::new(rules());
    let id = candidate(to).id();
    assert_eq!(filed(&mut book, candidate(to), 0), Filed::New(id));
    (book, id)
}

fn state(book: &Book, id: DecisionId) -> &'static str {
    book.get(id).unwrap().state.word()
}

fn outcome() -> Outcome {
    Outcome { at: at(0), downtime: None, catch_up: None, vertices: vec![], lag_before: 0.0, lag_after: 0.0 }
}

#[test]
fn the_identity_depends_on_every_part_and_on_nothing_else() {
    let base = candidate(8);
    let mut others = vec![candidate(9), candidate_in(1, &[(1, 4, 8)]), candidate_in(0, &[(2, 4, 8)])];
    let mut from = candidate(8);
    from.changes[0].from = 3;
    let mut uid = candidate(8);
    uid.target.uid = "8".into();
    let mut compat = candidate(8);
    compat.compat = "1.8".into();
    let mut set = candidate(8);
    set.config.set.insert("a".into(), "b".into());
    let mut removed = candidate(8);
    removed.config.removed.push("a".into());
    others.extend([from, uid, compat, set, removed]);
    let ids: std::collections::HashSet<DecisionId> = others.iter().map(Candidate::id).chain([base.id()]).collect();
    assert_eq!(ids.len(), others.len() + 1);

    let mut same = candidate(8);
    same.reason = Reason::new(ReasonCode::Proposed, "other words");
    same.data_at = at(99);
    same.changes[0].expected_rate = 1.0;
    same.target.generation = Some(4);
    assert_eq!(same.id(), base.id());
    let two = candidate_in(0, &[(1, 4, 8), (2, 4, 6)]);
    let turned = candidate_in(0, &[(2, 4, 6), (1, 4, 8)]);
    assert_eq!(two.id(), turned.id());
    // Stable across releases: scripts and journals keep it.
    assert_eq!(base.id().to_string(), "9794240b");
}

#[test]
fn the_same_proposal_refreshes_and_another_supersedes() {
    let (mut book, id) = pending(8);
    let mut again = candidate(8);
    again.data_at = at(10);
    assert_eq!(filed(&mut book, again, 10), Filed::Refreshed(id));
    let decision = book.get(id).unwrap();
    assert_eq!((decision.proposed_at, decision.refreshed_at, decision.data_at), (at(0), at(10), at(10)));
    assert_eq!(decision.life.len(), 1);
    let new = candidate(9).id();
    assert_eq!(filed(&mut book, candidate(9), 20), Filed::Supersedes { new, old: id });
    assert_eq!((state(&book, id), state(&book, new)), ("superseded", "pending"));
    assert!(matches!(&book.get(id).unwrap().state, DecisionState::Superseded { by: Some(by), .. } if *by == new));
    assert_eq!(book.decisions().next().unwrap().id, new);
}

#[test]
fn a_proposal_that_comes_back_is_the_same_decision_with_its_life_so_far() {
    let (mut book, id) = pending(8);
    filed(&mut book, candidate(9), 10);
    filed(&mut book, candidate(8), 20);
    assert_eq!(book.decisions().count(), 2);
    let words: Vec<_> = book.get(id).unwrap().life.iter().map(|e| e.state.word()).collect();
    assert_eq!(words, ["pending", "superseded", "pending"]);
}

#[test]
fn unapproved_for_half_an_hour_it_expires() {
    let (mut book, id) = pending(8);
    for second in (0..1800).step_by(10) {
        filed(&mut book, candidate(8), second);
        book.tick(at(second));
        assert_eq!(state(&book, id), "pending", "at {second}");
    }
    filed(&mut book, candidate(8), 1800);
    book.tick(at(1800));
    assert_eq!(state(&book, id), "expired");
}

#[test]
fn not_refreshed_for_three_intervals_it_expires() {
    let (mut book, id) = pending(8);
    book.tick(at(29));
    assert_eq!(state(&book, id), "pending");
    book.tick(at(30));
    assert_eq!(state(&book, id), "expired");
}

#[test]
fn rejected_it_stays_quiet_for_an_hour_and_snoozed_for_a_quarter() {
    for (rejects, quiet) in [(true, 3600), (false, 900)] {
        let (mut book, id) = pending(8);
        if rejects {
            book.reject(id, Some("not now".into()), HealthWord::Healthy, "screen", at(0)).unwrap();
        } else {
            book.snooze(id, None, HealthWord::Healthy, "screen", at(0)).unwrap();
        }
        // A slightly other target is not material.
        assert_eq!(filed(&mut book, candidate(9), quiet - 1), Filed::Quiet { until: at(quiet) });
        assert_eq!(filed(&mut book, candidate(8), quiet), Filed::New(id));
        assert_eq!(state(&book, id), "pending");
    }
}

#[test]
fn a_snooze_may_have_its_own_time_and_expires_if_nothing_is_proposed_any_more() {
    let (mut book, id) = pending(8);
    book.snooze(id, Some(Duration::from_secs(60)), HealthWord::Healthy, "screen", at(0)).unwrap();
    book.tick(at(59));
    assert_eq!(state(&book, id), "snoozed");
    book.tick(at(60));
    assert_eq!(state(&book, id), "expired");
}

#[test]
fn quiet_decisions_wake_on_material_changes_only() {
    let wakes = |changed: Candidate, health: HealthWord| {
        let (mut book, id) = pending(10);
        book.snooze(id, None, HealthWord::Lagging, "screen", at(0)).unwrap();
        !matches!(book.propose(changed, health, at(10)), Filed::Quiet { .. })
    };
    let lagging = HealthWord::Lagging;
    assert!(!wakes(candidate(10), lagging));
    assert!(!wakes(candidate(11), lagging), "10 % off");
    assert!(wakes(candidate(12), lagging), "20 % off");
    assert!(wakes(candidate(8), lagging), "20 % off the other way");
    assert!(!wakes(candidate(9), lagging));
    assert!(wakes(candidate(2), lagging), "another direction");
    assert!(wakes(candidate_in(5, &[(1, 4, 10)]), lagging), "a new run");
    assert!(wakes(candidate(10), HealthWord::Failing), "a new critical word");
    assert!(!wakes(candidate(10), HealthWord::Backpressured), "a word that is not critical");
    assert!(wakes(candidate_in(0, &[(1, 4, 10), (2, 4, 5)]), lagging), "25 % off at another vertex");
    assert!(wakes(candidate_in(0, &[(2, 4, 4)]), lagging), "the vertex is wanted as it is");
}

#[test]
fn a_direction_that_turns_is_material_however_small() {
    let quiet =
        Quiet { until: at(100), run: None, targets: [(vertex(1), (100, 105))].into(), health: HealthWord::Healthy };
    let present = |to| {
        let targets = [(vertex(1), (100, to))].into();
        quiet.material_change(Present { run: None, targets: &targets, health: HealthWord::Healthy })
    };
    assert_eq!(present(103), None);
    assert!(present(98).unwrap().contains("direction"));
}

#[test]
fn a_critical_word_that_was_there_before_does_not_wake_again() {
    let (mut book, id) = pending(10);
    book.reject(id, None, HealthWord::Failing, "screen", at(0)).unwrap();
    let filed = book.propose(candidate(10), HealthWord::Failing, at(10));
    assert!(matches!(filed, Filed::Quiet { .. }));
}

#[test]
fn a_snoozed_decision_that_wakes_with_other_numbers_is_superseded() {
    let (mut book, id) = pending(10);
    book.snooze(id, None, HealthWord::Healthy, "screen", at(0)).unwrap();
    let new = candidate(20).id();
    assert_eq!(filed(&mut book, candidate(20), 10), Filed::New(new));
    assert_eq!(state(&book, id), "superseded");
}

#[test]
fn an_approval_of_the_same_numbers_goes_through_to_its_end() {
    let (mut book, id) = pending(8);
    book.approve(id, "screen", at(5)).unwrap();
    assert_eq!(book.reevaluate(id, Some(candidate(8)), "", at(6)).unwrap(), Reevaluated::Same);
    book.applying(id, at(6)).unwrap();
    assert_eq!(filed(&mut book, candidate(9), 10), Filed::Busy(id));
    book.applied(id, at(20)).unwrap();
    assert_eq!(filed(&mut book, candidate(9), 30), Filed::Busy(id));
    book.judge(id, DecisionState::Confirmed, outcome(), at(99)).unwrap();
    let words: Vec<_> = book.get(id).unwrap().life.iter().map(|e| (e.state.word(), e.by.as_str())).collect();
    assert_eq!(
        words,
        [("pending", "loop"), ("approved", "screen"), ("applying", "loop"), ("applied", "loop"), ("confirmed", "loop")]
    );
}

#[test]
fn other_numbers_at_approval_are_asked_again() {
    let (mut book, id) = pending(8);
    book.approve(id, "screen", at(5)).unwrap();
    let new = candidate(9).id();
    assert_eq!(book.reevaluate(id, Some(candidate(9)), "", at(6)).unwrap(), Reevaluated::Changed(new));
    assert_eq!((state(&book, id), state(&book, new)), ("superseded", "pending"));
    assert!(book.applying(new, at(6)).is_err(), "the new one was never approved");
}

#[test]
fn nothing_proposed_at_approval_ends_it() {
    let (mut book, id) = pending(8);
    book.approve(id, "screen", at(5)).unwrap();
    assert_eq!(book.reevaluate(id, None, "every vertex is inside its bounds", at(6)).unwrap(), Reevaluated::Gone);
    assert_eq!(state(&book, id), "superseded");
}

#[test]
fn approving_twice_is_refused_the_second_time() {
    let (mut book, id) = pending(8);
    book.approve(id, "screen", at(5)).unwrap();
    let refusal = book.approve(id, "command line", at(5)).unwrap_err();
    assert_eq!(refusal, Refusal::State { id, state: "approved", wanted: "approved" });
    assert!(book.reject(id, None, HealthWord::Healthy, "screen", at(5)).is_err());
}

#[test]
fn what_is_blocked_cannot_be_approved_and_says_why() {
    let mut book = Book::new(rules());
    let blocked = Candidate { blocked: Some("default scheduler".into()), ..candidate(8) };
    let id = blocked.id();
    filed(&mut book, blocked, 0);
    let refusal = book.approve(id, "screen", at(1)).unwrap_err().to_string();
    assert!(refusal.contains("default scheduler"), "{refusal}");
    assert_eq!(state(&book, id), "pending");
}

/// A step of anybody, in any order.
#[derive(Debug, Clone)]
enum Op {
    Propose(i32, u64),
    Tick,
    Approve(usize),
    Reject(usize),
    Snooze(usize),
    Reevaluate(usize, Option<i32>),
    BackToPending(usize),
    Applying(usize),
    Applied(usize),
    Failed(usize),
    Judge(usize),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let n = 0usize..3;
    prop_oneof![
        (1..6i32, 0..2u64).prop_map(|(to, run)| Op::Propose(to, run)),
        Just(Op::Tick),
        n.clone().prop_map(Op::Approve),
        n.clone().prop_map(Op::Reject),
        n.clone().prop_map(Op::Snooze),
        (n.clone(), proptest::option::of(1..6i32)).prop_map(|(n, to)| Op::Reevaluate(n, to)),
        n.clone().prop_map(Op::BackToPending),
        n.clone().prop_map(Op::Applying),
        n.clone().prop_map(Op::Applied),
        n.clone().prop_map(Op::Failed),
        n.prop_map(Op::Judge),
        (1..2000u64).prop_map(Op::Wait),
    ]
}

/// The arrows of the issue, and the way back from an approval that could not be evaluated.
fn may_follow(from: &str, to: &str) -> bool {
    matches!(
        (from, to),
        ("pending", "approved" | "rejected" | "snoozed" | "expired" | "superseded")
            | ("snoozed", "expired" | "superseded" | "pending")
            | ("rejected" | "expired" | "superseded" | "failed", "pending")
            | ("approved", "applying" | "superseded" | "pending")
            | ("applying", "applied" | "failed" | "regressed" | "superseded")
            | ("applied", "confirmed" | "regressed" | "inconclusive")
            | ("confirmed" | "regressed" | "inconclusive", "pending")
    )
}

proptest! {
    #[test]
    fn no_sequence_of_steps_leaves_the_arrows_or_applies_what_was_not_approved(ops in prop::collection::vec(op(), 1..80)) {
        let mut book = Book::new(rules());
        let mut now = 0;
        for op in ops {
            let ids: Vec<DecisionId> = book.decisions().map(|d| d.id).collect();
            let id = |n: usize| ids.get(n).copied().unwrap_or(DecisionId(1));
            let t = at(now);
            match op {
                Op::Propose(to, run) => { filed(&mut book, candidate_in(run, &[(1, 4, to)]), now); }
                Op::Tick => book.tick(t),
                Op::Approve(n) => { let _ = book.approve(id(n), "screen", t); }
                Op::Reject(n) => { let _ = book.reject(id(n), None, HealthWord::Healthy, "screen", t); }
                Op::Snooze(n) => { let _ = book.snooze(id(n), None, HealthWord::Healthy, "screen", t); }
                Op::Reevaluate(n, to) => { let _ = book.reevaluate(id(n), to.map(candidate), "gone", t); }
                Op::BackToPending(n) => { let _ = book.back_to_pending(id(n), t); }
                Op::Applying(n) => { let _ = book.applying(id(n), t); }
                Op::Applied(n) => { let _ = book.applied(id(n), t); }
                Op::Failed(n) => { let _ = book.failed(id(n), "x".into(), t); }
                Op::Judge(n) => { let _ = book.judge(id(n), DecisionState::Confirmed, outcome(), t); }
                Op::Wait(by) => now += by,
            }
            let current = book.decisions().filter(|d| is_current(&d.state)).count();
            prop_assert!(current <= 1, "{current} current decisions");
            for decision in book.decisions() {
                let words: Vec<&str> = decision.life.iter().map(|e| e.state.word()).collect();
                prop_assert_eq!(words.last().copied(), Some(decision.state.word()));
                prop_assert_eq!(words[0], "pending");
                for pair in words.windows(2) {
                    prop_assert!(may_follow(pair[0], pair[1]), "{:?}", words);
                }
                prop_assert!(decision.life.windows(2).all(|w| w[0].at <= w[1].at));
            }
            let unique: std::collections::HashSet<_> = book.decisions().map(|d| d.id).collect();
            prop_assert_eq!(unique.len(), book.decisions().count());
        }
    }
}
