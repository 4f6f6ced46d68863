//! Operations on state as actions: whom they would touch, in which ways they can be done, and why not now.
//!
//! Whether an operation is sound is said by its plan, which is made from a fresh look. Here stands only what a plan is not needed
//! for.

use crate::domain::ids::JobKey;
use crate::domain::job::{JobKind, JobState, JobView};
use crate::domain::plan::{Operation, Origin, Plan, PlanId, PlanState, SavepointFormat, Shutdown};
use crate::tui::action::{Action, Target, Unavailable, no};
use crate::tui::model::Model;
use crate::tui::screens::Screen;

/// One way in which an operation can be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Way {
    /// Its name.
    pub word: &'static str,
    /// What it means.
    pub about: &'static str,
    /// What is wanted then.
    pub operation: Operation,
}

fn savepoints(of: impl Fn(SavepointFormat) -> Operation) -> Vec<Way> {
    vec![
        Way {
            word: "canonical",
            about: "the same format for every state backend; may be rescaled and moved",
            operation: of(SavepointFormat::Canonical),
        },
        Way {
            word: "native",
            about: "the state backend's own format: faster, for the same backend only",
            operation: of(SavepointFormat::Native),
        },
    ]
}

fn only(operation: Operation) -> Vec<Way> {
    vec![Way { word: operation.word(), about: "", operation }]
}

/// The ways in which an action can be done on a job, the usual one first. None for what is no operation on jobs, and for a
/// redeploy: that begins with a choice of what to start from.
pub fn ways(action: Action, job: &JobView) -> Vec<Way> {
    let resource = is_described(job);
    match action {
        Action::Savepoint => savepoints(|format| Operation::Savepoint { format, directory: None }),
        Action::Checkpoint => only(Operation::Checkpoint),
        Action::StopJob if resource => only(Operation::Suspend),
        Action::StopJob => savepoints(|format| Operation::StopWithSavepoint { format, directory: None }),
        Action::ResumeJob => only(Operation::Resume),
        Action::RestartJob if resource => only(Operation::Restart),
        Action::RestartJob => {
            only(Operation::Redeploy { origin: Origin::Now, allow_non_restored: false, launch: None })
        }
        Action::CancelJob => only(Operation::Cancel),
        Action::Shutdown => {
            let way =
                |word, about, form, savepoint| Way { word, about, operation: Operation::Shutdown { form, savepoint } };
            vec![
                way(
                    "stop, with savepoints",
                    "every job stops with its state; what describes them stays",
                    Shutdown::Stop,
                    true,
                ),
                way("stop, without", "jobs stop without a savepoint; what describes them stays", Shutdown::Stop, false),
                way(
                    "remove, with savepoints",
                    "a last savepoint of every job, then everything goes",
                    Shutdown::Remove,
                    true,
                ),
                way("remove, without", "everything goes, and the state with it", Shutdown::Remove, false),
            ]
        }
        _ => Vec::new(),
    }
}

/// A resource of the operator describes this job.
fn is_described(job: &JobView) -> bool {
    match job.kind {
        JobKind::FlinkDeployment | JobKind::FlinkSessionJob => true,
        JobKind::SessionCluster | JobKind::FlinkJob => false,
    }
}

/// A plan touches this job, or its whole cluster.
pub fn touches(plan: &Plan, job: &JobView) -> bool {
    match &plan.target.job {
        Some(key) => *key == job.key,
        None => plan.target.cluster == job.cluster,
    }
}

/// Whether an operation on jobs can be asked for now: of all that are marked, or else of the one in question.
pub(super) fn on_jobs(action: Action, model: &Model) -> Result<(), Unavailable> {
    let jobs = model.jobs();
    match jobs.as_slice() {
        [] => no("no job is selected"),
        [job] => on_job(action, model, job),
        several if action.needs_target() != Target::Jobs => {
            let key = model.keymap().key_text(Action::Back);
            no(format!("it is about one job, and {} are marked; {key} takes the marks away", several.len()))
        }
        several => several.iter().try_for_each(|job| {
            on_job(action, model, job).map_err(|why| Unavailable(format!("{}: {}", job.name, why.0).into()))
        }),
    }
}

fn on_job(action: Action, model: &Model, job: &JobView) -> Result<(), Unavailable> {
    let snapshot = model.latest();
    let key = |action| model.keymap().key_text(action);
    if let Some(plan) = snapshot.plans.iter().find(|plan| plan.state.is_open() && touches(plan, job)) {
        return no(format!(
            "plan {} ({}) is open on it; {} shows it",
            plan.id,
            plan.operation.word(),
            key(Action::Operations)
        ));
    }
    if model.asked_of(&job.key) {
        return no("another operation on it was just given");
    }
    if job.kind == JobKind::SessionCluster && action != Action::Shutdown {
        return no(format!("a session cluster has no job of its own; {} shuts it down", key(Action::Shutdown)));
    }
    let resource = is_described(job);
    let suspended = job.state == JobState::Suspended
        || job.resource.as_ref().and_then(|r| r.lifecycle.as_deref()).is_some_and(|word| word == "SUSPENDED");
    let state = job.state.name();
    match action {
        Action::ResumeJob if !resource => {
            return no(format!("no operator describes this job; {} starts it again", key(Action::Redeploy)));
        }
        Action::ResumeJob if !suspended => return no(format!("the job is {state}, not suspended")),
        Action::StopJob if resource && suspended => return no("the job is suspended already"),
        Action::Savepoint | Action::Checkpoint if suspended => return no("the job is suspended"),
        Action::CancelJob if resource => {
            return no(format!("the operator would start it again; {} suspends it", key(Action::StopJob)));
        }
        Action::CancelJob if job.state.is_terminal() => return no(format!("the job has ended already: it is {state}")),
        Action::Savepoint | Action::Checkpoint | Action::StopJob if job.state.is_terminal() && !resource => {
            return no(format!("the job is {state}"));
        }
        Action::RestartJob if job.state.is_terminal() && !resource => {
            return no(format!("the job is {state}; {} starts it again", key(Action::Redeploy)));
        }
        _ => {}
    }
    let patches = matches!(action, Action::StopJob | Action::ResumeJob | Action::RestartJob | Action::Redeploy);
    if resource
        && patches
        && let Some(missing) = snapshot.missing_right(job, job.patch_right())
    {
        return no(missing);
    }
    Ok(())
}

/// Whether a plan can be gone on with, left or ended now.
pub(super) fn on_plan(action: Action, model: &Model) -> Result<(), Unavailable> {
    match model.plan().map(|plan| plan.id) {
        Some(id) => on_this_plan(action, model, id),
        None => no("no operation is selected"),
    }
}

/// Whether this plan can be gone on with, left or ended now.
///
/// # Errors
/// Why not.
pub fn on_this_plan(action: Action, model: &Model, id: PlanId) -> Result<(), Unavailable> {
    let Some(plan) = model.latest().plan(id) else { return no(format!("plan {id} is gone")) };
    match (action, &plan.state) {
        (Action::CancelPlan, PlanState::Running) => match plan.must_go_on() {
            Some(why) => no(why),
            None => Ok(()),
        },
        (Action::CancelPlan, state) => no(format!("plan {} is {}, not running", plan.id, state.word())),
        (_, PlanState::Interrupted { .. }) => {
            if action == Action::ResumePlan && model.latest().cluster(&plan.target.cluster).is_none() {
                return no("its cluster is not watched: start flightdeck with its address");
            }
            Ok(())
        }
        (_, state) => no(format!("plan {} is {}, not interrupted", plan.id, state.word())),
    }
}

impl Model {
    /// The jobs in question: on the fleet the marked ones, else the screen's or the selected one.
    pub fn jobs(&self) -> Vec<&std::sync::Arc<JobView>> {
        let marked = &self.views.fleet.marked;
        if *self.screen() == Screen::Fleet && !marked.is_empty() {
            let jobs: Vec<_> = marked.iter().filter_map(|key| self.latest().job(key)).collect();
            if !jobs.is_empty() {
                return jobs;
            }
        }
        self.job().into_iter().collect()
    }

    /// The plan in question: the screen's or the selected one.
    pub fn plan(&self) -> Option<&std::sync::Arc<Plan>> {
        match self.screen() {
            Screen::Operations => self.shown().plan(self.views.operations.list.selected?),
            Screen::Plan(id) => self.shown().plan(*id),
            _ => None,
        }
    }

    /// A plan on this job was confirmed and is not in a snapshot as open yet.
    fn asked_of(&self, job: &JobKey) -> bool {
        self.in_flight.iter().any(|flight| flight.plan_on.as_ref() == Some(job))
    }
}
