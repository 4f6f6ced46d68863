//! `flightdeck journal`: what was done, and whether the record of it is whole.

use std::path::Path;

use clap::{Args, Subcommand};

use super::args::Output;
use super::document::{API_VERSION, print};
use super::exit::{Done, Failure};
use super::start::env;
use super::table::Table;
use crate::config::paths;
use crate::domain::plan::PlanEvent;
use crate::state::journal::{Closing, Entry, FileReport, Record, read_all};

/// `flightdeck journal`.
#[derive(Debug, Clone, Subcommand)]
pub enum JournalCommand {
    /// Print what was done: who, when, on what, what was sent, what came of it
    Show(ShowArgs),
    /// Check that no record was changed, removed or added; exit code 1 if one was
    Verify,
}

/// `flightdeck journal show`.
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// Only the last so many records
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub last: usize,
    /// Output format
    #[arg(long, short = 'o', value_enum, default_value_t)]
    pub output: Output,
}

/// Runs one of the two on the journal of this user.
///
/// # Errors
/// [`Failure::Failed`] if it cannot be read, or if `verify` finds damage.
pub fn run(command: &JournalCommand) -> Done {
    let Some(folder) = paths::state_dir(&env) else {
        return Err(Failure::Failed("there is no place for a journal: set HOME or XDG_STATE_HOME".to_owned()));
    };
    let files = read_all(&folder).map_err(|e| Failure::Failed(e.to_string()))?;
    match command {
        JournalCommand::Show(args) => show(args, &files),
        JournalCommand::Verify => verify(&folder, &files),
    }
}

fn show(args: &ShowArgs, files: &[FileReport]) -> Done {
    let mut entries: Vec<&Entry> = files.iter().flat_map(|f| &f.entries).collect();
    entries.sort_by_key(|e| e.record.at());
    let entries = entries.get(entries.len().saturating_sub(args.last)..).unwrap_or_default();
    match args.output {
        Output::Json => {
            print(&serde_json::json!({ "apiVersion": API_VERSION, "kind": "JournalEntryList", "items": entries }));
        }
        Output::Table => {
            let mut table = Table::new(["WHEN", "BY", "WHAT", "ON", "DETAIL"]);
            for entry in entries {
                let (what, on, detail) = words(&entry.record);
                let at = entry.record.at().format("%Y-%m-%d %H:%M:%S%.3f").to_string();
                table.row([at, entry.by.clone(), what, on, detail]);
            }
            print!("{}", table.render());
        }
    }
    for (file, damage) in files.iter().flat_map(|f| f.damage.iter().map(move |d| (f, d))) {
        eprintln!("{}: line {}: {}", file.path.display(), damage.line, super::exit::printable(&damage.why));
    }
    Ok(())
}

fn verify(folder: &Path, files: &[FileReport]) -> Done {
    let mut wrong = Vec::new();
    for file in files {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        wrong.extend(file.damage.iter().map(|d| format!("{name}: line {}: {}", d.line, d.why)));
        wrong.extend(file.broken_link.iter().map(|why| format!("{name}: {why}")));
    }
    let records: usize = files.iter().map(|f| f.entries.len()).sum();
    if wrong.is_empty() {
        println!("{} files, {records} records: every one is linked to the one before", files.len());
        // A hash proves what stands there, not what was cut off at the end.
        return Ok(());
    }
    Err(Failure::Failed(format!("journal in {}:\n  {}", folder.display(), wrong.join("\n  "))))
}

/// A record in three words: what, on what, detail.
fn words(record: &Record) -> (String, String, String) {
    match record {
        Record::Opened(opened) => (format!("{} …", opened.effect), opened.subject.clone(), opened.detail.to_string()),
        Record::Closed { id, result, .. } => {
            let (word, why) = match result {
                Closing::Accepted => ("accepted", ""),
                Closing::Refused { why } => ("refused", why.as_str()),
                Closing::Unknown { why } => ("outcome not known", why.as_str()),
                Closing::FoundApplied => ("found applied", ""),
                Closing::FoundNotApplied { why } => ("found not applied", why.as_str()),
            };
            (word.to_owned(), id.clone(), why.to_owned())
        }
        Record::Plan { plan, event, .. } => {
            let on = format!("plan {plan}");
            match event {
                PlanEvent::Opened { plan } => {
                    let what = format!("{} confirmed", plan.operation.word());
                    (what, format!("{on} {}", plan.target.name), plan.summary.clone())
                }
                PlanEvent::Began { step } => (format!("step {} began", step + 1), on, String::new()),
                PlanEvent::Sending { step, .. } => (format!("step {} sends", step + 1), on, String::new()),
                PlanEvent::Ended { step, result, note, state } => {
                    let detail =
                        [result.as_deref(), note.as_deref()].into_iter().flatten().collect::<Vec<_>>().join("; ");
                    (format!("step {} {}", step + 1, state.word()), on, detail)
                }
                PlanEvent::Resumed { .. } => ("resumed".to_owned(), on, String::new()),
                PlanEvent::Became { state } => {
                    (state.word().to_owned(), on, state.why().unwrap_or_default().to_owned())
                }
            }
        }
        Record::Continues { file, .. } => ("continues".to_owned(), file.clone(), String::new()),
        Record::Adopted { by, .. } => ("adopted".to_owned(), by.clone(), String::new()),
    }
}
