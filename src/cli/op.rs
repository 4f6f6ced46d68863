//! `flightdeck op`: operations on state without a screen: the same plans, confirmations and guards.

use std::io::{BufRead, IsTerminal, Write};
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};

use super::args::{Output, Reach};
use super::document::{API_VERSION, print};
use super::exit::{Done, Failure, printable};
use super::reach::Reached;
use super::table::Table;
use crate::domain::command::CommandStage;
use crate::domain::freshness::age;
use crate::domain::job::{JobKind, JobView};
use crate::domain::plan::{
    Confirmation, Danger, Launch, Operation, Origin, Plan, PlanId, PlanOrder, PlanState, PlanSubject, SavepointFormat,
    Shutdown, Standing, StepState,
};
use crate::domain::snapshot::Snapshot;
use crate::tui::format;

/// `flightdeck op`.
#[derive(Debug, Clone, Subcommand)]
pub enum OpCommand {
    /// Show what an operation would do, lose and take; nothing is done
    Plan(PlanArgs),
    /// Carry an operation out, after showing its plan and asking
    Run(RunArgs),
    /// Go on with a plan that was interrupted
    Resume(ResumeArgs),
    /// Leave an interrupted plan as it is
    Abandon(IdArgs),
    /// End a running plan, where that is safe
    Cancel(IdArgs),
    /// Print all plans: open ones first
    List(ListArgs),
}

impl OpCommand {
    /// How to reach a control loop.
    pub fn reach(&self) -> &Reach {
        match self {
            Self::Plan(args) => &args.reach,
            Self::Run(args) => &args.reach,
            Self::Resume(args) => &args.reach,
            Self::Abandon(args) | Self::Cancel(args) => &args.reach,
            Self::List(args) => &args.reach,
        }
    }
}

/// What is wanted, and of whom.
#[derive(Debug, Clone, Args)]
pub struct Request {
    /// The operation
    pub operation: Verb,
    /// The job: name, namespace/name or Flink's id; for shutdown the cluster, or a FlinkSessionJob
    pub name: String,
    /// Format of a savepoint
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Where the savepoint goes; the configured place if absent
    #[arg(long, value_name = "URI")]
    pub directory: Option<String>,
    /// Redeploy from: `now` (a savepoint taken as the job stops), `empty` (no state), or the path of a savepoint
    #[arg(long, value_name = "PATH")]
    pub from: Option<String>,
    /// Redeploy: state that the program no longer has may be dropped
    #[arg(long)]
    pub allow_non_restored_state: bool,
    /// Redeploy on plain Flink: id or file name of the jar; the configured launch if absent
    #[arg(long, value_name = "JAR")]
    pub jar: Option<String>,
    /// Redeploy on plain Flink: the class to start
    #[arg(long, value_name = "CLASS", requires = "jar")]
    pub entry_class: Option<String>,
    /// Redeploy on plain Flink: an argument of the program (repeatable)
    #[arg(long = "arg", value_name = "TEXT", requires = "jar", allow_hyphen_values = true)]
    pub args: Vec<String>,
    /// Shutdown: every job takes a savepoint as it stops
    #[arg(long)]
    pub savepoint: bool,
    /// Shutdown: remove the cluster too, not only stop its jobs
    #[arg(long)]
    pub remove: bool,
}

/// The operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Verb {
    /// Take a savepoint; the job goes on running
    Savepoint,
    /// Make a checkpoint now
    Checkpoint,
    /// Take a savepoint and stop the job with it
    Stop,
    /// Cancel the job without a savepoint
    Cancel,
    /// Start the job again from a savepoint or from nothing
    Redeploy,
    /// Stop the job through its resource
    Suspend,
    /// Start a suspended job again
    Resume,
    /// Stop and start the job by its upgrade mode
    Restart,
    /// Go back to the parallelism before the last scaling
    Rollback,
    /// Stop everything on a cluster, in order
    Shutdown,
}

/// Formats of a savepoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Independent of the state backend
    #[default]
    Canonical,
    /// The state backend's own: faster
    Native,
}

/// `flightdeck op plan`.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// What is wanted.
    #[command(flatten)]
    pub request: Request,
    /// Output format
    #[arg(long, short = 'o', value_enum, default_value_t)]
    pub output: Output,
    /// How to reach a control loop
    #[command(flatten)]
    pub reach: Reach,
}

/// What confirms a plan.
#[derive(Debug, Clone, Args)]
pub struct Confirm {
    /// Do not ask; enough where no state can be lost and nothing is removed
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// Do not ask; the name of the target, for what can lose state or removes something
    #[arg(long, value_name = "NAME")]
    pub confirm: Option<String>,
}

/// `flightdeck op run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// What is wanted.
    #[command(flatten)]
    pub request: Request,
    /// What confirms it.
    #[command(flatten)]
    pub confirm: Confirm,
    /// How to reach a control loop
    #[command(flatten)]
    pub reach: Reach,
}

/// `flightdeck op resume`.
#[derive(Debug, Clone, Args)]
pub struct ResumeArgs {
    /// The plan: 8 hexadecimal digits
    pub id: PlanId,
    /// What confirms it.
    #[command(flatten)]
    pub confirm: Confirm,
    /// How to reach a control loop
    #[command(flatten)]
    pub reach: Reach,
}

/// A plan by its id.
#[derive(Debug, Clone, Args)]
pub struct IdArgs {
    /// The plan: 8 hexadecimal digits
    pub id: PlanId,
    /// How to reach a control loop
    #[command(flatten)]
    pub reach: Reach,
}

/// `flightdeck op list`.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Output format
    #[arg(long, short = 'o', value_enum, default_value_t)]
    pub output: Output,
    /// How to reach a control loop
    #[command(flatten)]
    pub reach: Reach,
}

/// Runs one of them.
///
/// # Errors
/// [`Failure::Refused`] if a guard or the person refuses, [`Failure::Failed`] if the plan fails or is interrupted,
/// [`Failure::Usage`] if the words do not fit together.
pub async fn run(command: &OpCommand, reached: &Reached) -> Done {
    match command {
        OpCommand::Plan(args) => {
            let plan = propose(&args.request, reached).await?;
            match args.output {
                Output::Json => print(&document(&plan)),
                Output::Table => print!("{}", printable(&report(&plan))),
            }
            Ok(())
        }
        OpCommand::Run(args) => {
            let plan = propose(&args.request, reached).await?;
            eprint!("{}", printable(&report(&plan)));
            if !plan.blocks.is_empty() {
                return Err(Failure::Refused(format!("{}: {}", plan.operation.word(), plan.blocks.join("; "))));
            }
            let confirmation = confirm(&args.confirm, &plan)?;
            follow(reached, PlanOrder::Run { plan: plan.id, confirmation }, &plan).await
        }
        OpCommand::Resume(args) => {
            let plan = known(reached, args.id).await?;
            eprint!("{}", printable(&report(&plan)));
            let confirmation = confirm(&args.confirm, &plan)?;
            follow(reached, PlanOrder::Resume { plan: plan.id, confirmation }, &plan).await
        }
        OpCommand::Abandon(args) => {
            let plan = known(reached, args.id).await?;
            ended(reached.order(PlanOrder::Abandon { plan: args.id }).await?, &plan, "abandoned")
        }
        OpCommand::Cancel(args) => {
            let plan = known(reached, args.id).await?;
            ended(reached.order(PlanOrder::Cancel { plan: args.id }).await?, &plan, "being cancelled")
        }
        OpCommand::List(args) => {
            let snapshot = reached.loaded().await?;
            match args.output {
                Output::Json => {
                    let items: Vec<_> = snapshot.plans.iter().collect();
                    print(&serde_json::json!({ "apiVersion": API_VERSION, "kind": "PlanList", "items": items }));
                }
                Output::Table => print!("{}", list(&snapshot)),
            }
            Ok(())
        }
    }
}

async fn known(reached: &Reached, id: PlanId) -> Result<Arc<Plan>, Failure> {
    let snapshot = reached.loaded().await?;
    snapshot.plan(id).cloned().ok_or_else(|| Failure::Failed(format!("there is no plan {id}; see: flightdeck op list")))
}

/// Has the plan made and gives it.
async fn propose(request: &Request, reached: &Reached) -> Result<Arc<Plan>, Failure> {
    let operation = operation(request)?;
    let snapshot = reached.loaded().await?;
    let subject = subject(request, &snapshot)?;
    let plan = PlanId(fresh());
    match reached.order(PlanOrder::Propose { plan, subject, operation }).await? {
        CommandStage::Observed => reached.plan(plan).await,
        CommandStage::Refused { why } | CommandStage::Superseded { why } => Err(Failure::Refused(why)),
        CommandStage::Failed { why } => Err(Failure::Failed(why)),
        other => Err(Failure::Failed(format!("the plan was not made: {}", other.word()))),
    }
}

fn fresh() -> u32 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish() as u32
}

/// The operation that the words mean.
fn operation(request: &Request) -> Result<Operation, Failure> {
    let verb = request.operation;
    let only = |given: bool, flag: &str, verbs: &[Verb]| {
        if given && !verbs.contains(&verb) {
            let word = verb.to_possible_value().map_or(String::new(), |v| v.get_name().to_owned());
            return Err(Failure::Usage(format!("{flag} says nothing to {word}")));
        }
        Ok(())
    };
    only(request.format == Format::Native, "--format", &[Verb::Savepoint, Verb::Stop])?;
    only(request.directory.is_some(), "--directory", &[Verb::Savepoint, Verb::Stop])?;
    only(request.from.is_some(), "--from", &[Verb::Redeploy])?;
    only(request.allow_non_restored_state, "--allow-non-restored-state", &[Verb::Redeploy])?;
    only(request.jar.is_some(), "--jar", &[Verb::Redeploy])?;
    only(request.savepoint, "--savepoint", &[Verb::Shutdown])?;
    only(request.remove, "--remove", &[Verb::Shutdown])?;
    let format = match request.format {
        Format::Canonical => SavepointFormat::Canonical,
        Format::Native => SavepointFormat::Native,
    };
    let directory = request.directory.clone();
    Ok(match verb {
        Verb::Savepoint => Operation::Savepoint { format, directory },
        Verb::Checkpoint => Operation::Checkpoint,
        Verb::Stop => Operation::StopWithSavepoint { format, directory },
        Verb::Cancel => Operation::Cancel,
        Verb::Redeploy => Operation::Redeploy {
            origin: match request.from.as_deref() {
                None => {
                    return Err(Failure::Usage("say from where: --from now, --from empty or --from PATH".to_owned()));
                }
                Some("now") => Origin::Now,
                Some("empty") => Origin::Empty,
                Some(path) => Origin::Path(path.to_owned()),
            },
            allow_non_restored: request.allow_non_restored_state,
            launch: request.jar.clone().map(|jar| Launch {
                jar,
                entry_class: request.entry_class.clone(),
                args: request.args.clone(),
                ..Launch::default()
            }),
        },
        Verb::Suspend => Operation::Suspend,
        Verb::Resume => Operation::Resume,
        Verb::Restart => Operation::Restart,
        Verb::Rollback => Operation::Rollback,
        Verb::Shutdown => Operation::Shutdown {
            form: if request.remove { Shutdown::Remove } else { Shutdown::Stop },
            savepoint: request.savepoint,
        },
    })
}

/// Whether a name as it was given means what has this name: by itself, or as namespace/name.
fn means(wanted: &str, namespace: Option<&str>, name: &str) -> bool {
    name == wanted
        || namespace.is_some_and(|ns| wanted.strip_prefix(ns).and_then(|w| w.strip_prefix('/')) == Some(name))
}

/// The one job that a name, namespace/name or Flink's id means; what has ended counts only where nothing else has the name.
///
/// # Errors
/// None or several are meant: the choices are named.
pub(super) fn job_named<'a>(wanted: &str, snapshot: &'a Snapshot) -> Result<&'a Arc<JobView>, Failure> {
    let named: Vec<&Arc<JobView>> = snapshot
        .jobs
        .iter()
        .filter(|j| {
            means(wanted, j.namespace.as_deref(), &j.name) || j.job_id.is_some_and(|id| id.to_string() == wanted)
        })
        .collect();
    let alive: Vec<&Arc<JobView>> = named.iter().copied().filter(|j| !j.state.is_terminal()).collect();
    let found = if alive.is_empty() { &named } else { &alive };
    match found.as_slice() {
        [one] => Ok(*one),
        [] => {
            let all: Vec<&str> = snapshot.jobs.iter().map(|j| j.name.as_str()).collect();
            Err(Failure::Failed(format!("there is no job {wanted:?}; there are: {}", all.join(", "))))
        }
        several => {
            let ids: Vec<String> = several
                .iter()
                .map(|j| {
                    format!("{} ({})", j.job_id.map_or_else(|| j.key.to_string(), |id| id.to_string()), j.state.name())
                })
                .collect();
            Err(Failure::Usage(format!(
                "{} jobs are named {wanted:?}: say which by id: {}",
                several.len(),
                ids.join(", ")
            )))
        }
    }
}

/// Whom a name means: exactly one, else the choices are named.
fn subject(request: &Request, snapshot: &Snapshot) -> Result<PlanSubject, Failure> {
    let wanted = request.name.as_str();
    if request.operation == Verb::Shutdown {
        let found: Vec<_> =
            snapshot.clusters.iter().filter(|c| means(wanted, c.namespace.as_deref(), &c.name)).collect();
        let session_jobs: Vec<_> = snapshot
            .jobs
            .iter()
            .filter(|j| j.kind == JobKind::FlinkSessionJob && means(wanted, j.namespace.as_deref(), &j.name))
            .collect();
        return match (found.as_slice(), session_jobs.as_slice()) {
            ([], [job]) => Ok(PlanSubject::Job(job.key.clone())),
            ([one], []) => Ok(PlanSubject::Cluster(one.key.clone())),
            ([], []) => {
                let all: Vec<&str> = snapshot.clusters.iter().map(|c| c.name.as_str()).collect();
                Err(Failure::Failed(format!("there is no cluster {wanted:?}; there are: {}", all.join(", "))))
            }
            (clusters, jobs) => Err(Failure::Usage(format!(
                "{} clusters and session jobs are named {wanted:?}: say namespace/name",
                clusters.len() + jobs.len()
            ))),
        };
    }
    Ok(PlanSubject::Job(job_named(wanted, snapshot)?.key.clone()))
}

/// Asks on a terminal, or takes what the flags say. A name is needed where state can be lost.
fn confirm(given: &Confirm, plan: &Plan) -> Result<Confirmation, Failure> {
    let confirmation = match (&given.confirm, given.yes) {
        (Some(name), _) => Some(Confirmation::Name { name: name.clone() }),
        (None, true) => Some(Confirmation::Yes),
        (None, false) => None,
    };
    if let Some(confirmation) = confirmation {
        return confirmation.suffices(plan).map(|()| confirmation).map_err(|why| {
            Failure::Refused(format!("{why}{}", if given.confirm.is_none() { "; use --confirm NAME" } else { "" }))
        });
    }
    let flag = if plan.danger == Danger::Loss { "--confirm NAME" } else { "--yes" };
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("standard input is no terminal: add {flag} to go on without being asked")));
    }
    let name = printable(&plan.target.name);
    match plan.danger {
        Danger::Loss => eprint!("type the name of the target ({name}) to go on: "),
        Danger::Effect | Danger::Restart => eprint!("{} {name}? [y/N] ", plan.operation.word()),
    }
    let failed = |e: std::io::Error| Failure::Failed(format!("cannot ask on this terminal: {e}; use {flag}"));
    std::io::stderr().flush().map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    let answer = answer.trim_end_matches(['\r', '\n']);
    let confirmation = match plan.danger {
        Danger::Loss => Confirmation::Name { name: answer.to_owned() },
        Danger::Effect | Danger::Restart if matches!(answer, "y" | "yes") => Confirmation::Yes,
        Danger::Effect | Danger::Restart => {
            return Err(Failure::Refused("not confirmed, nothing was sent".to_owned()));
        }
    };
    confirmation
        .suffices(plan)
        .map(|()| confirmation)
        .map_err(|why| Failure::Refused(format!("{why}; nothing was sent")))
}

/// Gives the order and says what happens until the plan stands still. An interrupt from the keyboard leaves the plan open, and
/// says so.
async fn follow(reached: &Reached, order: PlanOrder, plan: &Plan) -> Done {
    let id = plan.id;
    let stage = tokio::select! {
        stage = reached.order(order) => stage?,
        _ = tokio::signal::ctrl_c() => {
            return Err(Failure::Failed(if reached.is_here() {
                format!("interrupted: plan {id} is open; flightdeck op resume {id} goes on, flightdeck op abandon {id} leaves it")
            } else {
                format!("plan {id} goes on in the flightdeck that carries it out; see: flightdeck op list")
            }));
        }
    };
    let plan = reached.plan(id).await?;
    for (step, path) in plan.steps.iter().filter_map(|s| Some((s, s.result.as_ref()?))) {
        println!("{}: {}", printable(&step.name), printable(path));
    }
    ended(stage, &plan, "done")
}

fn ended(stage: CommandStage, plan: &Plan, word: &str) -> Done {
    let subject = format!("{} {} (plan {})", plan.operation.word(), plan.target.name, plan.id);
    match stage {
        CommandStage::Observed => {
            println!("{}: {word}", printable(&subject));
            Ok(())
        }
        CommandStage::Refused { why } => Err(Failure::Refused(format!("{subject}: refused: {why}"))),
        CommandStage::Superseded { why } => Err(Failure::Refused(format!("{subject}: nothing was sent: {why}"))),
        CommandStage::Failed { why } => Err(Failure::Failed(format!("{subject}: {why}"))),
        CommandStage::TimedOut | CommandStage::Requested | CommandStage::Sent | CommandStage::Accepted => {
            Err(Failure::Failed(format!("{subject}: {}; see: flightdeck op list", stage.word())))
        }
    }
}

fn document(plan: &Plan) -> serde_json::Value {
    serde_json::json!({ "apiVersion": API_VERSION, "kind": "Plan", "plan": plan })
}

/// A plan for people: everything that must be known before it is confirmed.
fn report(plan: &Plan) -> String {
    let namespace = plan.target.namespace.as_ref().map_or(String::new(), |ns| format!("{ns}/"));
    let mut out = format!(
        "plan {} · {} {namespace}{} on {} · danger level {}\n  {}\n",
        plan.id,
        plan.operation.word(),
        plan.target.name,
        plan.target.context,
        plan.danger.level(),
        plan.summary
    );
    if let Some(why) = plan.state.why() {
        out += &format!("  {}: {why}\n", plan.state.word());
    }
    for (index, step) in plan.steps.iter().enumerate() {
        let mark = match &step.state {
            StepState::Waiting => " ",
            StepState::Running => ">",
            StepState::Done => "+",
            StepState::Failed { .. } => "x",
            StepState::TimedOut { .. } => "?",
        };
        let expected = step.expected.map_or(String::new(), |e| format!(", about {}", format::age(e)));
        let safe = if step.cancel_safe { "" } else { ", cannot be cancelled" };
        out += &format!(
            "  {mark} {}. {} (at most {}{expected}{safe})\n",
            index + 1,
            step.name,
            format::age(step.patience)
        );
    }
    for (title, lines) in [("lost", &plan.lost), ("note", &plan.notes), ("blocked", &plan.blocks)] {
        for line in lines {
            out += &format!("  {title}: {line}\n");
        }
    }
    for change in &plan.changes {
        let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "absent".to_owned());
        out += &format!("  change: {}: {} → {}\n", change.path, side(&change.before), side(&change.after));
    }
    for fact in plan.choices.iter().filter(|fact| fact.standing != Standing::Disposed).take(10) {
        let kind = if fact.savepoint { "savepoint" } else { "checkpoint" };
        let at = fact.at.format("%Y-%m-%d %H:%M:%S UTC");
        out += &format!("  to start from: {} ({kind} of {at}, {})\n", fact.path, fact.standing.word());
    }
    out
}

fn list(snapshot: &Snapshot) -> String {
    let mut table = Table::new(["ID", "OPERATION", "ON", "STATE", "STEP", "AGE", "DETAIL"]);
    let mut plans: Vec<_> = snapshot.plans.iter().collect();
    plans.sort_by_key(|plan| !plan.state.is_open());
    for plan in plans {
        let current = plan.current_step();
        let step = current.map_or(plan.steps.len(), |(number, _)| number);
        let detail = match (&plan.state, current) {
            (PlanState::Running, Some((_, step))) => step.note.clone().unwrap_or_else(|| step.name.clone()),
            (state, _) => state.why().unwrap_or(&plan.summary).to_owned(),
        };
        table.row([
            plan.id.to_string(),
            plan.operation.word().to_owned(),
            plan.target.name.clone(),
            plan.state.word().to_owned(),
            format!("{step}/{}", plan.steps.len()),
            format::age(age(plan.made_at, snapshot.at)),
            detail,
        ]);
    }
    table.render()
}
