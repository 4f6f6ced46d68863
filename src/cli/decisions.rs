//! `flightdeck decisions`: show, approve and reject without a screen, on the same command path as the screens.

use std::io::{BufRead, IsTerminal, Write};

use super::args::{DecisionCommand, Output};
use super::document;
use super::exit::{Done, Failure, printable};
use super::get::changes;
use super::reach::Reached;
use crate::domain::command::{CommandStage, Intent};
use crate::domain::decision::{Decision, DecisionState};
use crate::domain::explanation::{Step, Value};
use crate::domain::freshness::age;
use crate::domain::snapshot::Snapshot;
use crate::tui::format;

/// Runs one of the three.
///
/// # Errors
/// [`Failure::Refused`] if a guard refuses, [`Failure::Failed`] if there is no such decision or it fails.
pub async fn run(command: &DecisionCommand, reached: &Reached) -> Done {
    match command {
        DecisionCommand::Show { id, output, .. } => {
            let (snapshot, decision) = reached.decision(*id).await?;
            match output {
                Output::Json => document::print(&document::decision(&decision, true)),
                Output::Table => print!("{}", printable(&report(&decision, &snapshot))),
            }
            Ok(())
        }
        DecisionCommand::Approve { id, yes, .. } => {
            let (snapshot, decision) = reached.decision(*id).await?;
            must_be_open(&decision)?;
            if let Some(why) = &decision.blocked {
                return Err(Failure::Refused(format!("decision {id} cannot be approved: {why}")));
            }
            eprint!("{}", printable(&summary(&decision, &snapshot)));
            confirm(*yes, "approve")?;
            let stage = reached.command(Intent::Approve { decision: *id }, &decision).await?;
            ended(stage, &format!("decision {id}"))
        }
        DecisionCommand::Reduce { id, yes, .. } => {
            let (snapshot, decision) = reached.decision(*id).await?;
            must_be_open(&decision)?;
            eprint!("{}", printable(&summary(&decision, &snapshot)));
            confirm(*yes, "reduce to what fits")?;
            let stage = reached.command(Intent::Reduce { decision: *id }, &decision).await?;
            ended(stage, &format!("decision {id}"))
        }
        DecisionCommand::Reject { id, reason, yes, .. } => {
            let (snapshot, decision) = reached.decision(*id).await?;
            must_be_open(&decision)?;
            eprint!("{}", printable(&summary(&decision, &snapshot)));
            confirm(*yes, "reject")?;
            let intent = Intent::Reject { decision: *id, reason: reason.clone() };
            let stage = reached.command(intent, &decision).await?;
            ended(stage, &format!("decision {id}"))
        }
    }
}

fn must_be_open(decision: &Decision) -> Done {
    match &decision.state {
        DecisionState::Pending | DecisionState::Snoozed { .. } => Ok(()),
        other => Err(Failure::Refused(format!("decision {} is {}, not pending", decision.id, other.word()))),
    }
}

/// Asks on a terminal; without one `--yes` is needed. Only the word `yes` or `y` counts.
pub(super) fn confirm(yes: bool, verb: &str) -> Done {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("standard input is no terminal: add --yes to {verb} without being asked")));
    }
    eprint!("{verb}? [y/N] ");
    let failed = |e: std::io::Error| Failure::Failed(format!("cannot ask on this terminal: {e}; use --yes"));
    std::io::stderr().flush().map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    match answer.trim() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::Refused("not confirmed, nothing was sent".to_owned())),
    }
}

/// What a command came to, as the end of the program.
pub(super) fn ended(stage: CommandStage, subject: &str) -> Done {
    match stage {
        CommandStage::Observed => {
            println!("{subject}: done");
            Ok(())
        }
        CommandStage::Refused { why } => Err(Failure::Refused(format!("{subject}: refused: {why}"))),
        CommandStage::Superseded { why } => {
            Err(Failure::Refused(format!("{subject}: superseded, nothing was sent: {why}")))
        }
        CommandStage::Failed { why } => Err(Failure::Failed(format!("{subject}: failed: {why}"))),
        CommandStage::TimedOut => {
            Err(Failure::Failed(format!("{subject}: sent, but no effect was seen in time; look at the job")))
        }
        CommandStage::Requested | CommandStage::Sent | CommandStage::Accepted => {
            Err(Failure::Failed(format!("{subject}: {} and then the loop ended; look at the job", stage.word())))
        }
    }
}

/// What a person must know before confirming.
fn summary(d: &Decision, snapshot: &Snapshot) -> String {
    let namespace = d.target.namespace.as_ref().map_or(String::new(), |ns| format!("{ns}/"));
    let mut out = format!("decision {} for {namespace}{} on {}\n", d.id, d.target.name, d.target.context);
    out += &format!("  {}\n  {}\n", changes(d), d.reason.sentence);
    let measured = if d.prediction.downtime_measured { "measured" } else { "configured" };
    out += &format!("  expected downtime {} ({measured})", format::age(d.prediction.downtime));
    out += &d
        .prediction
        .catch_up
        .map_or(", backlog not expected to go".to_owned(), |c| format!(", caught up {} later", format::age(c)));
    if let Some(answer) = &d.capacity {
        out += &format!("\n  room: {}", answer.sentence());
    }
    out += &format!(
        "\n  data {} old, proposed {} ago\n",
        format::age(age(d.data_at, snapshot.at)),
        format::age(age(d.proposed_at, snapshot.at))
    );
    out
}

/// The whole decision for people.
fn report(d: &Decision, snapshot: &Snapshot) -> String {
    let mut out = summary(d, snapshot);
    out += &format!("  state {}", d.state.word());
    match &d.state {
        DecisionState::Failed { why }
        | DecisionState::Regressed { why }
        | DecisionState::Inconclusive { why }
        | DecisionState::Superseded { why, .. } => out += &format!(": {why}"),
        _ => {}
    }
    out.push('\n');
    for change in &d.changes {
        out += &format!(
            "  {} {} → {}: capacity {}/s, must handle {}/s, expected {}/s\n",
            change.name,
            change.from,
            change.to,
            format::count(change.true_processing_rate),
            format::count(change.target_rate),
            format::count(change.expected_rate),
        );
    }
    for (key, value) in &d.config.set {
        out += &format!("  set {key}: {value}\n");
    }
    for key in &d.config.removed {
        out += &format!("  remove {key}\n");
    }
    if let Some(explanation) = &d.explanation {
        out += "\nwhy\n";
        for step in &explanation.steps {
            explain(step, 1, &mut out);
        }
    }
    out
}

fn explain(step: &Step, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    out.push_str(&format!("{indent}{}", step.label));
    if !matches!(step.value, Value::Nothing) {
        out.push_str(&format!(" = {}", format::value(&step.value, true)));
    }
    out.push('\n');
    if let Some(formula) = &step.formula {
        out.push_str(&format!("{indent}  {formula}\n"));
    }
    for term in &step.inputs {
        out.push_str(&format!("{indent}    {} = {}\n", term.symbol, format::value(&term.value, true)));
    }
    for child in &step.children {
        explain(child, depth + 1, out);
    }
}
