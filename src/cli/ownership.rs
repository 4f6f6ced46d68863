//! `flightdeck ownership`: who scales a job, and taking it over or handing it back, on the same command path as the screens.

use clap::{Args, Subcommand};

use super::args::Reach;
use super::decisions::{confirm, ended};
use super::exit::{Done, Failure, printable};
use super::op::job_named;
use super::reach::Reached;
use crate::domain::command::Intent;
use crate::domain::job::{JobView, Ownership};
use crate::domain::kubernetes::ResourceView;
use crate::domain::snapshot::Snapshot;

/// `flightdeck ownership`.
#[derive(Debug, Clone, Subcommand)]
pub enum OwnershipCommand {
    /// Print who scales a job, who else writes the same fields, and what can be done about it
    Show(JobArgs),
    /// Switch a job from the operator's autoscaler to manual: nothing is rescaled
    TakeOver(JobArgs),
    /// Give a job back to the operator's autoscaler: nothing is rescaled by that itself
    HandBack(JobArgs),
}

/// Which job.
#[derive(Debug, Clone, Args)]
pub struct JobArgs {
    /// The job: name, namespace/name or Flink's id
    pub name: String,
    /// Do not ask; needed when standard input is no terminal
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// How to reach a control loop
    #[command(flatten)]
    pub reach: Reach,
}

impl OwnershipCommand {
    fn args(&self) -> &JobArgs {
        match self {
            Self::Show(args) | Self::TakeOver(args) | Self::HandBack(args) => args,
        }
    }

    /// How to reach a control loop.
    pub fn reach(&self) -> &Reach {
        &self.args().reach
    }
}

/// Runs one of the three.
///
/// # Errors
/// [`Failure::Refused`] if it cannot be done now, [`Failure::Failed`] if there is no such job or it fails.
pub async fn run(command: &OwnershipCommand, reached: &Reached) -> Done {
    let args = command.args();
    let snapshot = reached.loaded().await?;
    let job = job_named(&args.name, &snapshot)?;
    let report = report(&snapshot, job);
    let (verb, possible, intent): (_, fn(&ResourceView) -> bool, _) = match command {
        OwnershipCommand::Show(_) => {
            print!("{}", printable(&report));
            return Ok(());
        }
        OwnershipCommand::TakeOver(_) => {
            ("take over", |resource| resource.can_take_over, Intent::TakeOver { job: job.key.clone() })
        }
        OwnershipCommand::HandBack(_) => {
            ("hand back", |resource| resource.can_hand_back, Intent::HandBack { job: job.key.clone() })
        }
    };
    let name = &job.name;
    let Some(resource) = &job.resource else {
        return Err(Failure::Refused(format!("no operator manages {name}: there is nothing to {verb}")));
    };
    if !possible(resource) {
        return Err(Failure::Refused(format!(
            "{name} cannot be given to anybody else now: see `flightdeck ownership show {name}`"
        )));
    }
    if let Some(why) = snapshot.missing_right(job, job.patch_right()) {
        return Err(Failure::Refused(why));
    }
    let Some(target) = resource.target.clone() else {
        return Err(Failure::Failed(format!("what {name} is now is not known yet; try again")));
    };
    eprint!("{}", printable(&report));
    confirm(args.yes, verb)?;
    ended(reached.about(intent, target).await?, name)
}

fn report(snapshot: &Snapshot, job: &JobView) -> String {
    let namespace = job.namespace.as_ref().map(|ns| format!("{ns}/")).unwrap_or_default();
    let (who, why) = match &job.ownership {
        Ownership::Observer { why } => ("the operator's autoscaler scales it", why),
        Ownership::Pilot { why } => ("flightdeck computes, a person approves", why),
        Ownership::Conflict { why } => ("conflict: somebody else writes the same", why),
    };
    let mut out = format!("{namespace}{} on {}\n  {who}: {why}\n", job.name, job.source);
    if let Some(word) = &job.health.operator {
        out += &format!("  the operator says {word}\n");
    }
    if let Some(kube) = snapshot.kube(&job.source) {
        out += &format!("  operator {} ({})\n", kube.operator.text(), kube.operator.evidence);
    }
    if let Some(way) = snapshot.cluster(&job.cluster).and_then(|cluster| cluster.way.as_ref()) {
        out += &format!("  way to the JobManager: {way}\n");
    }
    let Some(resource) = &job.resource else { return out };
    for conflict in resource.conflicts.iter() {
        let blocks = if conflict.blocks { "forbids approvals" } else { "worth knowing" };
        out += &format!("  conflict, {blocks}: {}\n", conflict.what);
    }
    if let Some(kept) = &resource.operator_scaling {
        let state = &kept.value.state;
        let scalings: usize = state.history.values().map(Vec::len).sum();
        out +=
            &format!("  the operator keeps {} overrides and {scalings} scalings\n", state.parallelism_overrides.len());
        for (key, why) in &kept.value.broken {
            out += &format!("  its document {key} cannot be read: {why}\n");
        }
    }
    if resource.can_take_over {
        out += "  it can be taken over: flightdeck ownership take-over\n";
    }
    if resource.can_hand_back {
        out += "  it can be handed back: flightdeck ownership hand-back\n";
    }
    out
}
