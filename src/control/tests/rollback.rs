//! The way back from a scaling, on plain Flink.

use super::*;
use crate::domain::plan::{Confirmation, Operation, Plan, PlanId, PlanOrder, PlanState, PlanSubject};
use crate::state::journal::Record;

const ID: PlanId = PlanId(7);

async fn propose(bench: &mut Bench) -> Arc<Plan> {
    let subject = PlanSubject::Job(Bench::key());
    let order = PlanOrder::Propose { plan: ID, subject, operation: Operation::Rollback };
    let command = bench.send(Intent::Plan(order), None).await;
    assert_eq!(bench.until_final(command).await, CommandStage::Observed);
    bench.snapshot().plan(ID).unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn a_scaling_that_regressed_is_taken_back_in_one_operation() {
    let mut bench = with_pending().await;
    let decision = bench.decision();
    let command = bench.approve().await;
    assert_eq!(bench.until_final(command).await, CommandStage::Observed);
    let plan = propose(&mut bench).await;
    assert_eq!(plan.blocks, Vec::<String>::new());
    assert!(plan.summary.contains(&decision.id.to_string()), "{}", plan.summary);
    let order = PlanOrder::Run { plan: ID, confirmation: Confirmation::Yes };
    let command = bench.send(Intent::Plan(order), None).await;
    assert_eq!(bench.until_final(command).await, CommandStage::Observed, "{:#?}", bench.snapshot().plans);
    assert_eq!(bench.snapshot().plan(ID).unwrap().state, PlanState::Done);
    let puts = bench.fake.model().puts.clone();
    assert_eq!(puts.len(), 2, "there and back");
    for change in &decision.changes {
        let upper = puts[1][change.vertex.to_string()]["parallelism"]["upperBound"].as_i64();
        assert_eq!(upper, Some(i64::from(change.from)), "{change:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_journal_keeps_what_was_shown_of_a_scaling() {
    let mut bench = with_pending().await;
    let decision = bench.decision();
    let command = bench.approve().await;
    assert_eq!(bench.until_final(command).await, CommandStage::Observed);
    let records = bench.journal.records();
    let Some(Record::Opened(opened)) = records.first() else { panic!("{records:?}") };
    let shown = &opened.detail["shown"];
    assert_eq!(shown["reason"], decision.reason.sentence.as_str());
    let change = &decision.changes[0];
    assert_eq!(shown["changes"][0], serde_json::json!([change.name, change.from, change.to]));
    assert!(shown["downtime"]["secs"].is_number(), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn without_a_scaling_there_is_no_way_back() {
    let mut bench = with_pending().await;
    let plan = propose(&mut bench).await;
    assert!(plan.blocks.iter().any(|b| b.contains("no scaling of this job")), "{:?}", plan.blocks);
}
