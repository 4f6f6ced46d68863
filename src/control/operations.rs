//! Operations: savepoint, stop, redeploy, shutdown as plans that are shown, confirmed, journaled, carried out and resumed.
//!
//! Owns the desk, where every plan of this process lies, and the executors that carry plans out, one task each. A plan is made by a
//! pure function ([`propose`]) from a fresh look; before it is carried out the look is repeated and must come to the same
//! steps. Nothing here decides that something should be done: a person does.

mod document;
mod flink;
mod inventory;
mod make;
mod managed;
mod observe;
mod operator;
mod propose;
mod run;
mod steps;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::make::{Reach, launches, make};
use self::run::Executor;
use super::shared::Shared;
use crate::domain::command::{Command, CommandStage, Issuer};
use crate::domain::ids::{ClusterKey, JobKey, SourceId};
use crate::domain::plan::{
    Confirmation, Launch, Operation, Plan, PlanEvent, PlanId, PlanOrder, PlanState, PlanSubject, PlanTarget,
};
use crate::state::journal::Record;

/// Plans that are kept; final ones go first, oldest first.
const KEPT: usize = 50;

/// Where every plan of this process lies.
#[derive(Debug, Default)]
pub(super) struct Desk {
    slots: Mutex<BTreeMap<PlanId, Slot>>,
}

#[derive(Debug, Clone)]
struct Slot {
    plan: Plan,
    /// Makes the ids that the plan chooses.
    seed: u128,
    cancel: CancellationToken,
}

impl Desk {
    /// A desk with the plans that an earlier process left open, and with those it ended.
    pub fn with_recovered(open: Vec<Plan>, ended: Vec<Plan>) -> Self {
        let slots = ended.into_iter().chain(open).map(|mut plan| {
            if plan.state == PlanState::Running {
                plan.state = PlanState::Interrupted { why: "flightdeck ended while it was carried out".into() };
            }
            (plan.id, Slot { plan, seed: 0, cancel: CancellationToken::new() })
        });
        Self { slots: Mutex::new(slots.collect()) }
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<PlanId, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, id: PlanId) -> Option<Slot> {
        self.slots().get(&id).cloned()
    }

    fn plans(&self) -> Vec<Plan> {
        self.slots().values().map(|slot| slot.plan.clone()).collect()
    }

    /// Every plan, without what may be secret.
    pub fn shown(&self) -> Vec<Arc<Plan>> {
        self.slots().values().map(|slot| Arc::new(slot.plan.redacted())).collect()
    }

    /// A plan that runs on a target of this context.
    pub fn running(&self, context: &str) -> Option<(PlanId, &'static str)> {
        let slots = self.slots();
        let mut plans = slots.values().map(|slot| &slot.plan);
        let found = plans.find(|plan| plan.state == PlanState::Running && plan.target.context == context);
        found.map(|plan| (plan.id, plan.operation.word()))
    }

    /// The open plan that touches this job or its cluster as a whole.
    pub fn busy(&self, job: Option<&JobKey>, cluster: &ClusterKey) -> Option<(PlanId, &'static str)> {
        let slots = self.slots();
        let touches = |target: &PlanTarget| match (job, &target.job) {
            (Some(a), Some(b)) => a == b,
            (None, _) | (_, None) => *cluster == target.cluster,
        };
        let mut open =
            slots.values().map(|slot| &slot.plan).filter(|plan| plan.state.is_open() && touches(&plan.target));
        open.next().map(|plan| (plan.id, plan.operation.word()))
    }

    fn put(&self, slot: Slot) {
        let mut slots = self.slots();
        slots.insert(slot.plan.id, slot);
        while slots.len() > KEPT {
            // What was only shown goes before what was done.
            let rank = |s: &&Slot| (s.plan.state != PlanState::Proposed, s.plan.made_at);
            let oldest = slots.values().filter(|s| !s.plan.state.is_open()).min_by_key(rank);
            let Some(id) = oldest.map(|s| s.plan.id) else { return };
            slots.remove(&id);
        }
    }

    fn update(&self, plan: &Plan) {
        if let Some(slot) = self.slots().get_mut(&plan.id) {
            slot.plan.clone_from(plan);
        }
    }
}

/// Carries out an order about a plan.
pub(super) async fn carry_out(shared: Arc<Shared>, command: Command, order: PlanOrder) {
    let (issuer, id) = (command.issuer, command.id);
    let ended = match order {
        PlanOrder::Propose { plan, subject, operation } => {
            propose_plan(&shared, issuer, plan, subject, operation).await
        }
        PlanOrder::Run { plan, confirmation } => run_plan(&shared, &command, plan, &confirmation).await,
        PlanOrder::Resume { plan, confirmation } => resume_plan(&shared, &command, plan, &confirmation).await,
        PlanOrder::Abandon { plan } => abandon(&shared, plan).await,
        PlanOrder::Cancel { plan } => cancel(&shared, plan).await,
    };
    shared.board.stage(issuer, id, ended, None);
}

fn refused(why: impl Into<String>) -> CommandStage {
    CommandStage::Refused { why: why.into() }
}

fn unknown(plan: PlanId) -> CommandStage {
    refused(format!("there is no plan {plan}"))
}

fn publish(shared: &Shared) {
    shared.board.put_plans(shared.desk.shown());
}

async fn propose_plan(
    shared: &Arc<Shared>,
    issuer: Issuer,
    id: PlanId,
    subject: PlanSubject,
    operation: Operation,
) -> CommandStage {
    if shared.desk.get(id).is_some() {
        return refused(format!("there is a plan {id} already"));
    }
    let seed = fresh();
    match make(shared, issuer, id, seed, &subject, &operation).await {
        Ok((plan, _)) => {
            shared.desk.put(Slot { plan, seed, cancel: CancellationToken::new() });
            publish(shared);
            CommandStage::Observed
        }
        Err(why) => CommandStage::Failed { why },
    }
}

/// A number that nobody else has.
fn fresh() -> u128 {
    let part = || u128::from(std::hash::RandomState::new().build_hasher().finish());
    (part() << 64) | part()
}

/// Makes the plan again: what was shown must still be what would be done.
async fn run_plan(shared: &Arc<Shared>, command: &Command, id: PlanId, confirmation: &Confirmation) -> CommandStage {
    if shared.config.read_only {
        return refused("started with --read-only: nothing may be written");
    }
    let Some(slot) = shared.desk.get(id) else { return unknown(id) };
    if slot.plan.state != PlanState::Proposed {
        return refused(format!("plan {id} is {}, not proposed", slot.plan.state.word()));
    }
    if let Err(why) = confirmation.suffices(&slot.plan) {
        return refused(why);
    }
    let target = &slot.plan.target;
    let subject = match &target.job {
        Some(job) => PlanSubject::Job(job.clone()),
        None => PlanSubject::Cluster(target.cluster.clone()),
    };
    let (mut plan, reach) = match make(shared, slot.plan.issuer, id, slot.seed, &subject, &slot.plan.operation).await {
        Ok(made) => made,
        Err(why) => return CommandStage::Failed { why: format!("nothing was sent: {why}") },
    };
    if !plan.blocks.is_empty() {
        let why = plan.blocks.join("; ");
        shared.desk.update(&plan);
        publish(shared);
        return refused(why);
    }
    if let Some(why) = differs(&slot.plan, &plan) {
        shared.desk.update(&plan);
        publish(shared);
        return CommandStage::Superseded { why: format!("{why}: look at the plan again") };
    }
    // Only one of two confirmations may begin it.
    {
        let mut slots = shared.desk.slots();
        match slots.get_mut(&id) {
            Some(slot) if slot.plan.state == PlanState::Proposed => slot.plan.state = PlanState::Running,
            _ => return refused(format!("plan {id} was begun already")),
        }
    }
    plan.issuer = command.issuer;
    let at = shared.now();
    let event = PlanEvent::Opened { plan: Box::new(plan.redacted()) };
    if let Err(error) = shared.journal.append(Record::Plan { plan: id, at, event: event.clone() }).await {
        shared.desk.update(&plan);
        publish(shared);
        return CommandStage::Failed { why: format!("nothing was sent: {error}") };
    }
    plan.take_in(&event, at);
    execute(shared, command, plan, reach, slot.cancel).await
}

/// What is not as it was shown.
fn differs(shown: &Plan, now: &Plan) -> Option<String> {
    if shown.target != now.target {
        return Some("the target changed since the plan was shown (another run, or another object)".into());
    }
    if shown.danger != now.danger {
        return Some(format!("its danger is level {} now", now.danger.level()));
    }
    let actions = |plan: &Plan| plan.steps.iter().map(|step| step.action.clone()).collect::<Vec<_>>();
    (actions(shown) != actions(now)).then(|| "its steps changed since it was shown".into())
}

async fn resume_plan(shared: &Arc<Shared>, command: &Command, id: PlanId, confirmation: &Confirmation) -> CommandStage {
    if shared.config.read_only {
        return refused("started with --read-only: nothing may be written");
    }
    let Some(slot) = shared.desk.get(id) else { return unknown(id) };
    if !matches!(slot.plan.state, PlanState::Interrupted { .. }) {
        return refused(format!("plan {id} is {}, not interrupted", slot.plan.state.word()));
    }
    if let Err(why) = confirmation.suffices(&slot.plan) {
        return refused(why);
    }
    let cluster = &slot.plan.target.cluster;
    let source = SourceId::new(slot.plan.target.context.as_str());
    // A cluster that the plan deletes is not watched any more: what watched it is.
    let reach = Reach { link: shared.link(cluster), api: shared.api(&source) };
    if reach.link.is_none() && reach.api.is_none() {
        return refused(format!("the cluster {cluster} of the plan is not watched: start flightdeck with its address"));
    }
    {
        let mut slots = shared.desk.slots();
        match slots.get_mut(&id) {
            Some(slot) if matches!(slot.plan.state, PlanState::Interrupted { .. }) => {
                slot.plan.state = PlanState::Running
            }
            _ => return refused(format!("plan {id} goes on already")),
        }
    }
    let mut plan = slot.plan;
    let at = shared.now();
    let event = PlanEvent::Resumed { issuer: command.issuer };
    if let Err(error) = shared.journal.append(Record::Plan { plan: id, at, event: event.clone() }).await {
        shared.desk.update(&plan);
        publish(shared);
        return CommandStage::Failed { why: format!("nothing was sent: {error}") };
    }
    plan.take_in(&event, at);
    execute(shared, command, plan, reach, CancellationToken::new()).await
}

/// Carries a plan out in a task of its own and follows it.
async fn execute(
    shared: &Arc<Shared>,
    command: &Command,
    plan: Plan,
    reach: Reach,
    cancel: CancellationToken,
) -> CommandStage {
    let (issuer, command) = (command.issuer, command.id);
    let id = plan.id;
    shared.board.stage(issuer, command, CommandStage::Accepted, None);
    shared.desk.update(&plan);
    if let Some(slot) = shared.desk.slots().get_mut(&id) {
        slot.cancel = cancel.clone();
    }
    publish(shared);
    let told = Arc::clone(shared);
    let executor = Executor {
        shared: Arc::clone(shared),
        launches: slot_launches(shared, &plan),
        link: reach.link,
        api: reach.api,
        cancel,
        plan,
        publish: Box::new(move |plan| {
            told.desk.update(plan);
            publish(&told);
            let step = plan.current().and_then(|i| plan.steps.get(i).map(|step| (i, step)));
            let waiting = step.map(|(i, step)| match &step.note {
                Some(note) => format!("{}/{} {}: {note}", i + 1, plan.steps.len(), step.name),
                None => format!("{}/{} {}", i + 1, plan.steps.len(), step.name),
            });
            told.board.stage(issuer, command, CommandStage::Accepted, waiting);
        }),
    };
    let plan = match AbortOnDropHandle::new(tokio::spawn(executor.run())).await {
        Ok(plan) => plan,
        Err(error) => {
            tracing::error!(plan = %id, %error, "an executor failed");
            let Some(mut slot) = shared.desk.get(id) else { return unknown(id) };
            slot.plan.state = PlanState::Interrupted { why: "a defect in flightdeck stopped it".into() };
            slot.plan
        }
    };
    shared.desk.update(&plan);
    publish(shared);
    match plan.state {
        PlanState::Done => CommandStage::Observed,
        PlanState::Failed { why } => CommandStage::Failed { why },
        PlanState::Interrupted { why } => {
            CommandStage::Failed { why: format!("interrupted, to be resumed or abandoned (plan {id}): {why}") }
        }
        PlanState::Cancelled { standing } => CommandStage::Failed { why: format!("cancelled: {standing}") },
        PlanState::Abandoned { standing } => CommandStage::Failed { why: format!("abandoned: {standing}") },
        PlanState::Proposed | PlanState::Running => CommandStage::TimedOut,
    }
}

/// Whole launches that a redacted one of the plan may stand for.
fn slot_launches(shared: &Shared, plan: &Plan) -> Vec<Launch> {
    launches(shared, plan.target.namespace.as_deref(), &plan.target.name)
}

async fn abandon(shared: &Arc<Shared>, id: PlanId) -> CommandStage {
    let Some(mut slot) = shared.desk.get(id) else { return unknown(id) };
    if !matches!(slot.plan.state, PlanState::Interrupted { .. }) {
        return refused(format!("plan {id} is {}, not interrupted", slot.plan.state.word()));
    }
    let standing = slot.plan.standing();
    let at = shared.now();
    let event = PlanEvent::Became { state: PlanState::Abandoned { standing } };
    if let Err(error) = shared.journal.append(Record::Plan { plan: id, at, event: event.clone() }).await {
        return CommandStage::Failed { why: error.to_string() };
    }
    slot.plan.take_in(&event, at);
    shared.desk.update(&slot.plan);
    publish(shared);
    CommandStage::Observed
}

async fn cancel(shared: &Arc<Shared>, id: PlanId) -> CommandStage {
    let Some(slot) = shared.desk.get(id) else { return unknown(id) };
    match slot.plan.state {
        PlanState::Proposed => {
            // It was only shown: nothing is to be kept of it.
            shared.desk.slots().remove(&id);
            publish(shared);
            CommandStage::Observed
        }
        PlanState::Running => match slot.plan.must_go_on() {
            Some(why) => refused(why),
            None => {
                slot.cancel.cancel();
                CommandStage::Observed
            }
        },
        _ => refused(format!("plan {id} is {}", slot.plan.state.word())),
    }
}
