//! The one registry of actions: what a person can do, how dangerous it is, what it needs, its default keys, and whether it
//! can be done now. Keys, help, palette, hints and the names in `keymap.toml` all come from here, so they cannot drift.

use std::borrow::Cow;

use crate::domain::decision::DecisionState;
use crate::domain::job::{Ownership, Realization};
use crate::domain::kubernetes::KubeAction;
use crate::domain::plan::{self, PlanState};

use super::model::Model;
use super::screens::Screen;

pub mod operate;

/// The consequence of an action, and thereby its confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Danger {
    /// Level 0, local: look, filter, pause. No confirmation.
    Local,
    /// Level 1: an effect without a restart. `y`.
    Effect,
    /// Level 2: restarts or stops a job and keeps its state. A dialog, then `y`.
    Restarts,
    /// Level 3: can lose state or removes a resource. The name is typed, then `y`.
    Loses,
}

impl From<plan::Danger> for Danger {
    fn from(danger: plan::Danger) -> Self {
        match danger {
            plan::Danger::Effect => Self::Effect,
            plan::Danger::Restart => Self::Restarts,
            plan::Danger::Loss => Self::Loses,
        }
    }
}

/// What an action works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// Nothing in particular.
    Nothing,
    /// A job: the screen's, or the selected one.
    Job,
    /// A decision: the screen's, the selected one, or that of the job.
    Decision,
    /// The job, or every marked one on the fleet.
    Jobs,
    /// A plan: the screen's, or the selected one.
    Plan,
}

/// Where an action stands in help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Group {
    Decide,
    Operate,
    Move,
    Go,
    View,
    Copy,
    Program,
}

impl Group {
    /// All groups, in the order of help.
    pub const ALL: [Self; 7] =
        [Self::Decide, Self::Operate, Self::Move, Self::Go, Self::View, Self::Copy, Self::Program];

    /// The heading in help.
    pub fn title(self) -> &'static str {
        match self {
            Self::Decide => "Decide",
            Self::Operate => "Operate",
            Self::Move => "Move",
            Self::Go => "Go to",
            Self::View => "View",
            Self::Copy => "Copy",
            Self::Program => "Program",
        }
    }
}

/// Why an action cannot be done now, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable(pub Cow<'static, str>);

fn no(why: impl Into<Cow<'static, str>>) -> Result<(), Unavailable> {
    Err(Unavailable(why.into()))
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident $id:literal $title:literal $group:ident $danger:ident $target:ident [$($keys:literal),*]),* $(,)?) => {
        /// Everything a person can do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action { $(#[doc = $title] $(#[$doc])* $name),* }

        impl Action {
            /// Every action, in the order of help.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name in `keymap.toml` and logs.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id),* }
            }

            /// What it does, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }

            /// Where it stands in help.
            pub fn group(self) -> Group {
                match self { $(Self::$name => Group::$group),* }
            }

            /// Its consequence.
            pub fn danger(self) -> Danger {
                match self { $(Self::$name => Danger::$danger),* }
            }

            /// What it works on.
            pub fn needs_target(self) -> Target {
                match self { $(Self::$name => Target::$target),* }
            }

            /// The keys unless `keymap.toml` says otherwise; keys of one sequence are separated by blanks.
            pub fn default_keys(self) -> &'static [&'static str] {
                match self { $(Self::$name => &[$($keys),*]),* }
            }
        }
    };
}

actions! {
    Approve "approve" "approve" Decide Restarts Decision ["a"],
    Reject "reject" "reject with a reason" Decide Effect Decision ["x"],
    Reduce "reduce" "reduce to what fits" Decide Effect Decision ["F"],
    TakeOver "take-over" "take over from the operator's autoscaler" Decide Restarts Job ["t"],
    HandBack "hand-back" "hand back to the operator's autoscaler" Decide Effect Job ["b"],

    Snooze "snooze" "snooze" Decide Effect Decision ["S"],

    Savepoint "savepoint" "take a savepoint" Operate Effect Jobs ["s p"],
    Checkpoint "checkpoint" "make a checkpoint now" Operate Effect Jobs ["s c"],
    StopJob "stop" "stop the job, keeping its state" Operate Restarts Jobs ["s s"],
    ResumeJob "resume" "resume the suspended job" Operate Restarts Jobs ["s r"],
    RestartJob "restart" "restart the job, keeping its state" Operate Restarts Jobs ["s t"],
    CancelJob "cancel" "cancel the job without a savepoint" Operate Loses Job ["s x"],
    Redeploy "redeploy" "redeploy from a savepoint" Operate Loses Job ["R"],
    Shutdown "shutdown" "stop or remove the cluster, in order" Operate Loses Job ["X"],
    ResumePlan "resume-plan" "go on with the unfinished operation" Operate Loses Plan ["P r"],
    AbandonPlan "abandon-plan" "leave the unfinished operation as it is" Operate Effect Plan ["P a"],
    CancelPlan "cancel-plan" "end the operation that runs, where that is safe" Operate Effect Plan ["P c"],
    Mark "mark" "mark the job for an operation, or not" Operate Local Nothing ["space"],

    Up "up" "up" Move Local Nothing ["k", "up"],
    Down "down" "down" Move Local Nothing ["j", "down"],
    Left "left" "fold, or to the left" Move Local Nothing ["h", "left"],
    Right "right" "unfold, or to the right" Move Local Nothing ["l", "right"],
    Top "top" "to the top" Move Local Nothing ["g g", "home"],
    Bottom "bottom" "to the bottom" Move Local Nothing ["G", "end"],
    HalfUp "half-up" "half a page up" Move Local Nothing ["ctrl-u", "pageup"],
    HalfDown "half-down" "half a page down" Move Local Nothing ["ctrl-d", "pagedown"],
    Open "open" "open" Move Local Nothing ["enter"],
    NextPane "next-pane" "next pane" Move Local Nothing ["tab"],

    Back "back" "one level back" Go Local Nothing ["esc"],
    Leave "leave" "one level back; ends the program on the fleet" Go Local Nothing ["q"],
    Fleet "fleet" "fleet" Go Local Nothing ["1", "g f"],
    Job "job" "job" Go Local Job ["2", "g j"],
    Memory "memory" "memory" Go Local Job ["3", "g m"],
    Problems "problems" "problems" Go Local Job ["4", "g p"],
    Checkpoints "checkpoints" "checkpoints" Go Local Job ["5", "g c"],
    TaskManagers "task-managers" "TaskManagers" Go Local Job ["6", "g t"],
    Pods "pods" "pods" Go Local Job ["0", "g P"],
    PodLog "pod-log" "log of the selected pod, or of the JobManager" Go Local Job ["L", "g L"],
    Events "events" "events of the job and its pods" Go Local Job ["E", "g e"],
    AllEvents "all-events" "events of everything" Go Local Nothing ["g E"],
    Resource "resource" "resource: what differs, spec, status" Go Local Job ["y", "g y"],
    Ownership "ownership" "ownership: who scales this job" Go Local Job ["w", "g w"],
    Contexts "contexts" "another context or all namespaces" Go Local Nothing ["g x"],
    Capacity "capacity" "capacity: nodes and who uses them" Go Local Nothing ["C", "g n"],
    Cluster "kubernetes" "Kubernetes: operator, watches, rights" Go Local Nothing ["K", "g k"],
    Decisions "decisions" "decisions" Go Local Nothing ["7", "g i"],
    Decision "decision" "decision of this job" Go Local Decision ["d", "g d"],
    Operations "operations" "operations" Go Local Nothing ["9", "g o"],
    Log "log" "the program's log" Go Local Nothing ["8", "g l"],
    LastView "last-view" "the view before" Go Local Nothing ["-"],
    Earlier "earlier" "earlier in the history of views" Go Local Nothing ["["],
    Later "later" "later in the history of views" Go Local Nothing ["]"],

    Filter "filter" "filter" View Local Nothing ["/"],
    Sort "sort" "sort by the next column" View Local Nothing ["o"],
    Reverse "reverse" "turn the order round" View Local Nothing ["O"],
    Pause "pause" "freeze the picture, or go on" View Local Nothing ["p"],
    Expand "expand" "pane over the whole screen" View Local Nothing ["e"],
    Chart "chart" "next metric of the chart" View Local Nothing ["m"],
    NextMatch "next-match" "next place of what is searched for" View Local Nothing ["n"],
    PreviousMatch "previous-match" "the place before" View Local Nothing ["N"],
    Follow "follow" "hold the log of a pod, or follow it" View Local Nothing ["f"],
    Previous "previous" "log of the container before its restart" View Local Nothing ["B"],
    UnfoldAll "unfold-all" "unfold everything" View Local Nothing ["z o"],
    FoldAll "fold-all" "fold everything" View Local Nothing ["z c"],
    Refresh "refresh" "ask the sources again now" View Local Nothing ["r"],
    Utc "utc" "times in UTC or local" View Local Nothing ["u"],
    Theme "theme" "next theme" View Local Nothing ["T"],

    CopyId "copy-id" "copy the id" Copy Local Nothing ["c i"],
    CopyName "copy-name" "copy the name" Copy Local Nothing ["c n"],
    CopyVertex "copy-vertex" "copy the id of the selected vertex" Copy Local Nothing ["c v"],
    CopyUrl "copy-url" "copy the address of the Flink page" Copy Local Job ["c u"],

    Help "help" "help" Program Local Nothing ["?"],
    Palette "palette" "every action by name" Program Local Nothing [":"],
    Notices "notices" "what the header's notices mean" Program Local Nothing ["!"],
    Mouse "mouse" "mouse wheel on or off" Program Local Nothing ["M"],
    Counters "counters" "counters of the program itself" Program Local Nothing ["f12"],
    Redraw "redraw" "draw everything again" Program Local Nothing ["ctrl-l"],
    Suspend "suspend" "suspend the program" Program Local Nothing ["ctrl-z"],
    Quit "quit" "end the program" Program Local Nothing ["ctrl-c"],
}

impl Action {
    /// The action with this id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.id() == id)
    }

    /// Whether it can be done now.
    ///
    /// # Errors
    /// Why not, for people.
    pub fn available(self, model: &Model) -> Result<(), Unavailable> {
        if self.danger() > Danger::Local {
            model.may_act()?;
        }
        match self.needs_target() {
            Target::Nothing => {}
            Target::Job if model.job().is_none() => return no(no_job(model)),
            Target::Jobs if model.jobs().is_empty() => return no(no_job(model)),
            Target::Decision if model.decision().is_none() => {
                return no(if model.job().is_some() { "this job has no decision" } else { "no decision is selected" });
            }
            Target::Plan if model.plan().is_none() => return no("no operation is selected"),
            Target::Job | Target::Decision | Target::Jobs | Target::Plan => {}
        }
        match self {
            Self::Savepoint
            | Self::Checkpoint
            | Self::StopJob
            | Self::ResumeJob
            | Self::RestartJob
            | Self::CancelJob
            | Self::Redeploy
            | Self::Shutdown => operate::on_jobs(self, model),
            Self::ResumePlan | Self::AbandonPlan | Self::CancelPlan => operate::on_plan(self, model),
            Self::Mark => match model.screen() {
                Screen::Fleet if model.job().is_some() => Ok(()),
                Screen::Fleet => no("no job is selected"),
                _ => no("only on the fleet"),
            },
            Self::Approve | Self::Reject | Self::Snooze | Self::Reduce => decide(self, model),
            Self::TakeOver | Self::HandBack => ownership(self, model),
            Self::Contexts => match model.latest().kubernetes.first() {
                None => no("no Kubernetes cluster is looked at"),
                Some(kube) if kube.contexts.is_empty() => no("no kubeconfig with contexts is in use"),
                Some(_) if !model.in_flight.is_empty() => no("commands are under way on this one"),
                Some(_) if model.latest().plans.iter().any(|plan| plan.state == PlanState::Running) => {
                    no("an operation runs on this one")
                }
                Some(_) => Ok(()),
            },
            Self::Up | Self::Down | Self::Top | Self::Bottom | Self::HalfUp | Self::HalfDown => Ok(()),
            Self::Left | Self::Right | Self::UnfoldAll | Self::FoldAll => match model.screen() {
                Screen::Job(_) | Screen::Decision(_) | Screen::Problems(_) | Screen::Checkpoints(_) => Ok(()),
                Screen::PodLog(_) | Screen::Resource(_) if matches!(self, Self::Left | Self::Right) => Ok(()),
                Screen::Fleet
                | Screen::Memory(_)
                | Screen::TaskManagers(_)
                | Screen::Pods(_)
                | Screen::PodLog(_)
                | Screen::Events(_)
                | Screen::AllEvents
                | Screen::Resource(_)
                | Screen::Ownership(_)
                | Screen::Capacity
                | Screen::Cluster
                | Screen::Decisions
                | Screen::Operations
                | Screen::Plan(_)
                | Screen::Log => no("nothing to unfold on this screen"),
            },
            Self::Open => match model.screen() {
                Screen::Fleet | Screen::Decisions | Screen::Operations | Screen::Pods(_) if !model.has_selection() => {
                    no("nothing is selected")
                }
                Screen::Fleet if model.job().is_none() => no(ONLY_TO_LOOK_AT),
                Screen::Pods(_) => Self::PodLog.available(model),
                Screen::Memory(_)
                | Screen::TaskManagers(_)
                | Screen::PodLog(_)
                | Screen::Events(_)
                | Screen::AllEvents
                | Screen::Resource(_)
                | Screen::Ownership(_)
                | Screen::Capacity
                | Screen::Cluster
                | Screen::Plan(_)
                | Screen::Log => no("nothing to open on this screen"),
                _ => Ok(()),
            },
            Self::NextPane => match model.screen() {
                Screen::Job(_) | Screen::Memory(_) | Screen::PodLog(_) | Screen::Resource(_) => Ok(()),
                _ => no("this screen has one pane only"),
            },
            Self::Expand | Self::Chart => match model.screen() {
                Screen::Job(_) => Ok(()),
                _ => no("only on the screen of a job"),
            },
            Self::Filter => match model.screen() {
                Screen::Decision(_) | Screen::Ownership(_) | Screen::Cluster | Screen::Plan(_) | Screen::Log => {
                    no("nothing to filter on this screen")
                }
                _ => Ok(()),
            },
            Self::Sort | Self::Reverse => match model.screen() {
                Screen::Fleet | Screen::Decisions | Screen::Operations => Ok(()),
                _ => no("only on the fleet, the decisions and the operations"),
            },
            Self::Back => {
                if model.can_go_back() {
                    Ok(())
                } else {
                    no(format!("this is the first level; {} ends the program", model.keymap().key_text(Self::Leave)))
                }
            }
            Self::LastView => {
                if model.has_last_view() {
                    Ok(())
                } else {
                    no("there was no other view yet")
                }
            }
            Self::Earlier => {
                if model.has_earlier() {
                    Ok(())
                } else {
                    no("nothing earlier")
                }
            }
            Self::Later => {
                if model.has_later() {
                    Ok(())
                } else {
                    no("nothing later")
                }
            }
            Self::CopyId | Self::CopyName | Self::CopyVertex => match model.copyable(self) {
                Some(_) => Ok(()),
                None => no("nothing is selected"),
            },
            Self::CopyUrl => match model.copyable(self) {
                Some(_) => Ok(()),
                None => no("the address of this cluster's Flink page is not known"),
            },
            Self::Refresh => match () {
                () if model.loop_ended() => no("the control loop has ended"),
                () if *model.screen() == Screen::Cluster => Ok(()),
                () if model.job().is_none() && !model.some_source_is_lost() => no("no job is selected"),
                () => Ok(()),
            },
            Self::PodLog => pod_log(model),
            Self::NextMatch | Self::PreviousMatch => match model.screen() {
                Screen::Resource(_) if model.filter().text.is_empty() => {
                    no(format!("nothing is searched for; {} searches", model.keymap().key_text(Self::Filter)))
                }
                Screen::Resource(_) => Ok(()),
                _ => no("only on the screen of a resource"),
            },
            Self::Follow | Self::Previous => match model.screen() {
                Screen::PodLog(_) => Ok(()),
                _ => no("only on the log of a pod"),
            },
            Self::Notices => {
                if model.shown().notices.is_empty() {
                    no("the header shows no notice")
                } else {
                    Ok(())
                }
            }
            Self::Leave
            | Self::Fleet
            | Self::Job
            | Self::Memory
            | Self::Problems
            | Self::Checkpoints
            | Self::TaskManagers
            | Self::Pods
            | Self::Events
            | Self::AllEvents
            | Self::Resource
            | Self::Ownership
            | Self::Capacity
            | Self::Cluster
            | Self::Decisions
            | Self::Decision
            | Self::Operations
            | Self::Log
            | Self::Pause
            | Self::Utc
            | Self::Theme
            | Self::Help
            | Self::Palette
            | Self::Mouse
            | Self::Counters
            | Self::Redraw
            | Self::Suspend
            | Self::Quit => Ok(()),
        }
    }

    /// The most useful actions of a screen with a word for each, for the hint line.
    pub fn hints(screen: &Screen) -> &'static [(Self, &'static str)] {
        const BACK: (Action, &str) = (Action::Back, "back");
        const APPROVE: (Action, &str) = (Action::Approve, "approve");
        const REJECT: (Action, &str) = (Action::Reject, "reject");
        const SNOOZE: (Action, &str) = (Action::Snooze, "snooze");
        const OPEN: (Action, &str) = (Action::Open, "open");
        const FILTER: (Action, &str) = (Action::Filter, "filter");
        const SORT: (Action, &str) = (Action::Sort, "sort");
        const JOB: (Action, &str) = (Action::Job, "job");
        const COPY: (Action, &str) = (Action::CopyId, "copy id");
        match screen {
            Screen::Fleet => &[
                OPEN,
                (Self::Decision, "decision"),
                APPROVE,
                FILTER,
                SORT,
                (Self::Decisions, "all decisions"),
                (Self::Pause, "freeze"),
            ],
            Screen::Job(_) => &[
                (Self::Decision, "decision"),
                APPROVE,
                (Self::NextPane, "pane"),
                (Self::Chart, "chart"),
                (Self::Memory, "memory"),
                (Self::Problems, "problems"),
                (Self::Checkpoints, "checkpoints"),
                (Self::Pods, "pods"),
                (Self::Ownership, "who scales"),
                BACK,
            ],
            Screen::Memory(_) => &[(Self::NextPane, "advice"), JOB, COPY, FILTER, BACK],
            Screen::TaskManagers(_) => &[JOB, COPY, FILTER, BACK],
            Screen::Pods(_) => &[
                (Self::Open, "log"),
                (Self::Events, "events"),
                (Self::Resource, "resource"),
                (Self::CopyName, "copy name"),
                FILTER,
                JOB,
                BACK,
            ],
            Screen::PodLog(_) => &[
                (Self::Filter, "filter"),
                (Self::Follow, "hold/follow"),
                (Self::Previous, "previous"),
                (Self::NextPane, "container"),
                (Self::Bottom, "newest"),
                (Self::Right, "pan"),
                BACK,
            ],
            Screen::Events(_) => &[
                FILTER,
                (Self::Pods, "pods"),
                (Self::Resource, "resource"),
                (Self::AllEvents, "of everything"),
                JOB,
                BACK,
            ],
            Screen::AllEvents => &[FILTER, BACK],
            Screen::Ownership(_) => &[
                (Self::TakeOver, "take over"),
                (Self::HandBack, "hand back"),
                (Self::Resource, "resource"),
                (Self::Events, "events"),
                JOB,
                BACK,
            ],
            Screen::Capacity => &[FILTER, (Self::Cluster, "Kubernetes"), (Self::Decisions, "decisions"), BACK],
            Screen::Cluster => &[
                (Self::Refresh, "ask again"),
                (Self::Contexts, "contexts"),
                (Self::Capacity, "capacity"),
                (Self::AllEvents, "events"),
                BACK,
            ],
            Screen::Resource(_) => &[
                (Self::Filter, "search"),
                (Self::NextMatch, "next"),
                (Self::NextPane, "part"),
                (Self::Right, "pan"),
                (Self::Events, "events"),
                (Self::Pods, "pods"),
                BACK,
            ],
            Screen::Problems(_) | Screen::Checkpoints(_) => &[OPEN, JOB, COPY, FILTER, BACK],
            Screen::Decisions => &[OPEN, APPROVE, REJECT, SNOOZE, FILTER, SORT, BACK],
            Screen::Decision(_) => {
                &[APPROVE, REJECT, SNOOZE, (Self::Right, "unfold"), (Self::UnfoldAll, "unfold all"), JOB, BACK]
            }
            Screen::Operations => &[OPEN, (Self::ResumePlan, "resume"), (Self::AbandonPlan, "abandon"), SORT, BACK],
            Screen::Plan(_) => &[
                (Self::ResumePlan, "resume"),
                (Self::AbandonPlan, "abandon"),
                (Self::CancelPlan, "cancel"),
                JOB,
                (Self::Operations, "all operations"),
                BACK,
            ],
            Screen::Log => &[(Self::HalfUp, "older"), (Self::HalfDown, "newer"), (Self::Bottom, "newest"), BACK],
        }
    }
}

/// What is said of a row without actions.
const ONLY_TO_LOOK_AT: &str = "a FlinkBlueGreenDeployment is only to look at: its deployments have rows of their own";

/// Why there is no job to do anything with.
fn no_job(model: &Model) -> &'static str {
    if model.on_blue_green() { ONLY_TO_LOOK_AT } else { "no job is selected" }
}

/// Whether a job can be given to somebody else now.
fn ownership(action: Action, model: &Model) -> Result<(), Unavailable> {
    let Some(job) = model.job().and_then(|job| model.latest().job(&job.key)) else { return no("no job is selected") };
    let Some(resource) = &job.resource else { return no("no operator manages this job") };
    if let Some(owner) = &resource.owned_by {
        return no(format!("FlinkBlueGreenDeployment {owner} owns it: it must be changed there"));
    }
    let possible = if action == Action::TakeOver { resource.can_take_over } else { resource.can_hand_back };
    match (possible, action) {
        (false, Action::TakeOver) => return no("the operator's autoscaler does not act on this job"),
        (false, _) => return no("the operator's autoscaler acts already, or is not set up for this job"),
        (true, _) => {}
    }
    if model.in_flight.iter().any(|f| f.command.target.as_ref().is_some_and(|target| target.job == job.key)) {
        return no("a command on this job is under way");
    }
    model.latest().missing_right(job, job.patch_right()).map_or(Ok(()), no)
}

/// Whether a log can be read.
fn pod_log(model: &Model) -> Result<(), Unavailable> {
    let Some(job) = model.job() else { return no("no job is selected") };
    if let Some(why) = model.shown().missing_right(job, KubeAction::ReadLogs) {
        return no(why);
    }
    match model.pod() {
        Some(_) => Ok(()),
        None => no("no pod of this job is known"),
    }
}

/// Whether the decision in question can be decided on now.
fn decide(action: Action, model: &Model) -> Result<(), Unavailable> {
    let Some(decision) = model.decision() else { return no("no decision is selected") };
    match &decision.state {
        DecisionState::Pending => {}
        DecisionState::Snoozed { .. } if action == Action::Approve || action == Action::Reject => {}
        state => return no(format!("decision {} is {}", decision.id, state.word())),
    }
    if let Some(under_way) = model.in_flight_on(decision.id) {
        return no(format!("{under_way} of decision {} is under way", decision.id));
    }
    if action == Action::Reduce {
        return match &decision.capacity {
            None => no("whether it fits is not known"),
            Some(answer) if answer.fits() => no("it fits as it is"),
            Some(answer) if answer.fitting == 0 => no("nothing of it fits"),
            Some(_) => Ok(()),
        };
    }
    if action != Action::Approve {
        return Ok(());
    }
    if let Some(why) = &decision.blocked {
        return no(why.clone());
    }
    let job = model.latest().job(&decision.target.job);
    if let Some(job) = job.filter(|job| matches!(job.realization, Realization::PatchResource { .. }))
        && let Some(why) = model.latest().missing_right(job, job.patch_right())
    {
        return no(why);
    }
    match job.map(|job| &job.ownership) {
        Some(Ownership::Observer { why } | Ownership::Conflict { why }) => return no(why.clone()),
        Some(Ownership::Pilot { .. }) | None => {}
    }
    match job.map(|job| &job.realization) {
        None => no("its job is gone"),
        Some(Realization::AdviseOnly { why }) => no(why.clone()),
        Some(Realization::PatchResource { .. } | Realization::ResourceRequirements) => Ok(()),
    }
}
