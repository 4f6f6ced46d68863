//! Operations: from a key to a plan that is shown, from its confirmation to the command, and its course to the end.
//!
//! Asking for a plan does nothing but look; only [`confirmed`] gives a command that has an effect.

use std::sync::Arc;

use crate::domain::command::{Command, Intent, Issuer};
use crate::domain::ids::JobKey;
use crate::domain::job::JobView;
use crate::domain::plan::{Operation, Origin, Plan, PlanId, PlanOrder, PlanState, PlanSubject};
use crate::domain::snapshot::Snapshot;
use crate::tui::action::Action;
use crate::tui::action::operate::ways;
use crate::tui::model::{InFlight, Model, Owed};
use crate::tui::overlays::plan::{Asked, PlanDialog, Purpose};
use crate::tui::overlays::{Choose, Overlay, Snapshots, Unfinished};
use crate::tui::screens::Screen;
use crate::tui::theme::Slot;

use super::{Effect, refuse};

fn order(model: &mut Model, order: PlanOrder, effects: &mut Vec<Effect>) -> Command {
    let command = Command {
        id: model.next_command_id(),
        intent: Intent::Plan(order),
        issuer: Issuer::Screen,
        target: None,
        at: model.now(),
    };
    effects.push(Effect::Send(command.clone()));
    command
}

/// Has a plan made; nothing is done.
fn propose(model: &mut Model, job: &JobView, operation: Operation, effects: &mut Vec<Effect>) -> Asked {
    let plan = model.fresh_plan();
    let (subject, name) = match &operation {
        Operation::Shutdown { .. } => (PlanSubject::Cluster(job.cluster.clone()), cluster_name(model, job)),
        _ => (PlanSubject::Job(job.key.clone()), job.name.clone()),
    };
    let command = order(model, PlanOrder::Propose { plan, subject, operation }, effects);
    Asked::for_new(plan, name, command.id)
}

fn cluster_name(model: &Model, job: &JobView) -> String {
    model.latest().cluster(&job.cluster).map_or_else(|| job.name.clone(), |cluster| cluster.name.clone())
}

/// Begins an operation on the jobs in question: with a choice where there is one, else with its plan.
pub(super) fn operate(model: &mut Model, action: Action, effects: &mut Vec<Effect>) {
    let jobs: Vec<Arc<JobView>> = model.jobs().into_iter().cloned().collect();
    let [job] = jobs.as_slice() else {
        let asked = jobs
            .iter()
            .filter_map(|job| ways(action, job).into_iter().next().map(|way| (job, way.operation)))
            .map(|(job, operation)| propose(model, job, operation, effects))
            .collect();
        return open(model, action, asked);
    };
    if action == Action::Redeploy {
        // What there is to start from is told by any plan of a redeploy; this one is never carried out.
        let survey = Operation::Redeploy { origin: Origin::Empty, allow_non_restored: false, launch: None };
        let asked = propose(model, job, survey, effects);
        let picker = Snapshots::new(job.key.clone(), job.name.clone(), asked, model.now());
        model.overlays.push(Overlay::Snapshots(Box::new(picker)));
        return;
    }
    let ways = ways(action, job);
    match ways.as_slice() {
        [] => {}
        [way] => {
            let asked = propose(model, job, way.operation.clone(), effects);
            open(model, action, vec![asked]);
        }
        _ => {
            let name = if action == Action::Shutdown { cluster_name(model, job) } else { job.name.clone() };
            let choose = Choose { action, job: job.key.clone(), name, ways, selected: 0 };
            model.overlays.push(Overlay::Choose(choose));
        }
    }
}

fn open(model: &mut Model, action: Action, asked: Vec<Asked>) {
    let dialog = PlanDialog::new(action, Purpose::Run, asked, model.now(), model.monotonic);
    model.overlays.push(Overlay::Plan(Box::new(dialog)));
}

/// The job of a choice, if the action may still be asked for.
fn still(model: &mut Model, action: Action, key: &JobKey) -> Option<Arc<JobView>> {
    let job = model.latest().job(key).cloned();
    match (model.may_act(), job) {
        (Ok(()), Some(job)) => Some(job),
        (Err(why), _) => {
            refuse(model, action, &why.0);
            None
        }
        (Ok(()), None) => {
            refuse(model, action, "its job is gone");
            None
        }
    }
}

/// Goes on from a chosen way to its plan.
pub(super) fn chosen(model: &mut Model, choose: Choose, index: usize, effects: &mut Vec<Effect>) {
    let Some(job) = still(model, choose.action, &choose.job) else { return };
    let Some(way) = choose.ways.into_iter().nth(index) else { return };
    let asked = propose(model, &job, way.operation, effects);
    open(model, choose.action, vec![asked]);
}

/// Goes on from what was picked to the plan of the redeploy.
pub(super) fn picked(
    model: &mut Model,
    picker: Snapshots,
    origin: Origin,
    allow_non_restored: bool,
    effects: &mut Vec<Effect>,
) {
    put_away(model, &picker.asked, effects);
    let Some(job) = still(model, Action::Redeploy, &picker.job) else { return };
    let operation = Operation::Redeploy { origin, allow_non_restored, launch: None };
    let asked = propose(model, &job, operation, effects);
    open(model, Action::Redeploy, vec![asked]);
}

/// Asks whether to go on with, leave or end the plan in question.
pub(super) fn about(model: &mut Model, action: Action, plan: Option<PlanId>) {
    let plan = plan.or_else(|| model.plan().map(|plan| plan.id)).and_then(|id| model.latest().plan(id)).cloned();
    let Some(plan) = plan else { return };
    let purpose = match action {
        Action::AbandonPlan => Purpose::Abandon,
        Action::CancelPlan => Purpose::Cancel,
        _ => Purpose::Resume,
    };
    let asked = vec![Asked::about(plan, model.latest())];
    let dialog = PlanDialog::new(action, purpose, asked, model.now(), model.monotonic);
    match dialog.still_true(model.latest()) {
        Ok(()) => model.overlays.push(Overlay::Plan(Box::new(dialog))),
        Err(why) => refuse(model, action, &why),
    }
}

/// Sends what was confirmed, if everything is still as it was shown.
pub(super) fn confirmed(model: &mut Model, dialog: PlanDialog, effects: &mut Vec<Effect>) {
    let allowed = model.may_act().map_err(|why| why.0.into_owned());
    if let Err(why) = allowed.and_then(|()| dialog.still_true(model.latest())) {
        refuse(model, dialog.action, &why);
        closed(model, &Overlay::Plan(Box::new(dialog)), effects);
        return;
    }
    let confirmation = dialog.confirmation();
    let plans: Vec<Arc<Plan>> = dialog.startable().cloned().collect();
    for plan in &plans {
        let confirmation = confirmation.clone();
        let wanted = match dialog.purpose {
            Purpose::Run => PlanOrder::Run { plan: plan.id, confirmation },
            Purpose::Resume => PlanOrder::Resume { plan: plan.id, confirmation },
            Purpose::Abandon => PlanOrder::Abandon { plan: plan.id },
            Purpose::Cancel => PlanOrder::Cancel { plan: plan.id },
        };
        let word = match dialog.purpose {
            Purpose::Run => plan.operation.word().to_owned(),
            Purpose::Resume => format!("going on with {}", plan.operation.word()),
            Purpose::Abandon => format!("leaving {}", plan.operation.word()),
            Purpose::Cancel => format!("ending {}", plan.operation.word()),
        };
        let command = order(model, wanted, effects);
        let what = format!("{word} {}", plan.target.name);
        model.toast(Slot::Toast, format!("{what}: given"));
        let plan_on = plan.target.job.clone();
        model.in_flight.push(InFlight { command, action: dialog.action, what, plan_on, stage: None });
    }
    // Those that are not among them are put away.
    let left: Vec<Asked> =
        dialog.asked.iter().filter(|asked| !plans.iter().any(|plan| plan.id == asked.plan)).cloned().collect();
    for asked in &left {
        put_away(model, asked, effects);
    }
    model.views.fleet.marked.clear();
    match (dialog.purpose, plans.as_slice()) {
        (Purpose::Run | Purpose::Resume, [plan]) => to(model, Screen::Plan(plan.id)),
        (Purpose::Run | Purpose::Resume, _) => to(model, Screen::Operations),
        (Purpose::Abandon | Purpose::Cancel, _) => {}
    }
}

fn to(model: &mut Model, screen: Screen) {
    model.places.open(screen);
    model.pending.clear();
    model.refresh_rows();
}

/// Shows a plan.
pub(super) fn show(model: &mut Model, plan: PlanId) {
    model.places.jump(Screen::Plan(plan));
    model.pending.clear();
    model.refresh_rows();
}

/// Puts a plan away that was only shown.
fn put_away(model: &mut Model, asked: &Asked, effects: &mut Vec<Effect>) {
    if asked.failed().is_none() {
        order(model, PlanOrder::Cancel { plan: asked.plan }, effects);
    }
}

/// What follows from an overlay that closed without an answer.
pub(super) fn closed(model: &mut Model, overlay: &Overlay, effects: &mut Vec<Effect>) {
    match overlay {
        Overlay::Plan(dialog) if dialog.purpose == Purpose::Run => {
            for asked in &dialog.asked {
                put_away(model, asked, effects);
            }
        }
        Overlay::Snapshots(picker) => put_away(model, &picker.asked, effects),
        _ => {}
    }
}

/// Plans that were asked for arrive in the questions about them.
pub(super) fn take_in(model: &mut Model, snapshot: &Snapshot) {
    let monotonic = model.monotonic;
    let mut news = false;
    for overlay in &mut model.overlays {
        news |= match overlay {
            Overlay::Plan(dialog) => dialog.take_in(snapshot, monotonic),
            Overlay::Snapshots(picker) => picker.asked.take_in(snapshot),
            _ => false,
        };
    }
    if news {
        model.owe(Owed::Data);
    }
}

/// Offers a plan that an earlier process left unfinished, once, when nothing else is asked.
pub(super) fn offer(model: &mut Model, snapshot: &Snapshot) {
    if !snapshot.loaded || !model.overlays.is_empty() || model.frozen.is_some() {
        return;
    }
    let stands = |plan: &&Arc<Plan>| matches!(plan.state, PlanState::Interrupted { .. });
    let found = snapshot.plans.iter().filter(stands).find(|plan| !model.offered.contains(&plan.id));
    let Some(plan) = found.map(|plan| plan.id) else { return };
    model.offered.insert(plan);
    model.overlays.push(Overlay::Unfinished(Unfinished::new(plan, model.monotonic)));
    model.owe(Owed::Now);
}

/// Plans that run here and stand still later were not left by an earlier process: their end is told as it comes.
pub(super) fn watch(model: &mut Model, snapshot: &Snapshot) {
    let running = snapshot.plans.iter().filter(|plan| plan.state == PlanState::Running).map(|plan| plan.id);
    model.offered.extend(running);
}

/// A command could not be handed over: a plan that was awaited does not come.
pub(super) fn not_sent(model: &mut Model, id: crate::domain::command::CommandId) {
    for overlay in &mut model.overlays {
        match overlay {
            Overlay::Plan(dialog) => dialog.not_sent(id),
            Overlay::Snapshots(picker) => picker.asked.not_sent(id),
            _ => {}
        }
    }
}
