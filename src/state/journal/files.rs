//! The files of a journal: one for each process that runs, and full ones that were set aside.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::chain::{self, Chain, Entry, Tip};
use super::recovery::Recovery;
use super::{Damage, JournalError, Record};
use crate::domain::Timestamp;
use crate::domain::plan::PlanEvent;

/// How many live files one folder holds at most: as many processes can run side by side.
pub(super) const MAX_FILES: u32 = 64;
/// A file of this size is set aside as soon as nothing in it is open.
const FULL: u64 = 8 << 20;
/// Files that were set aside and are kept; the oldest go first.
const KEPT: usize = 32;

/// The file that this process writes.
#[derive(Debug)]
pub(super) struct Live {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    by: String,
    tip: Tip,
    size: u64,
    full: u64,
    open: Recovery,
}

impl Live {
    pub(super) fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        if self.size >= self.full && self.open.is_settled() {
            self.set_aside(record.at())?;
        }
        self.write(record)?;
        self.open.take_in(record);
        Ok(())
    }

    fn write(&mut self, record: &Record) -> Result<(), JournalError> {
        let mut tip = self.tip.clone();
        let mut line = tip.next_line(&self.by, record)?;
        line.push(b'\n');
        if let Err(source) = self.file.write_all(&line).and_then(|()| self.file.sync_data()) {
            // Part of the line may be in the file: the next one must not continue it.
            let _ = self.file.write_all(b"\n");
            return Err(io(&self.path, "write a record")(source));
        }
        self.tip = tip;
        self.size += line.len() as u64;
        Ok(())
    }

    /// Gives the full file another name and goes on in a new one that names it.
    fn set_aside(&mut self, at: Timestamp) -> Result<(), JournalError> {
        let aside = self.path.with_extension(format!("{}.old.jsonl", at.format("%Y%m%dT%H%M%S%.6fZ")));
        std::fs::rename(&self.path, &aside).map_err(io(&self.path, "set it aside"))?;
        let mut next = first_free(&self.folder, &self.by)?;
        next.full = self.full;
        let file = aside.file_name().unwrap_or_default().to_string_lossy().into_owned();
        next.write(&Record::Continues { at, file, hash: self.tip.hash.clone() })?;
        sync(&self.folder)?;
        *self = next;
        for old in aside_files(&self.folder)?.iter().rev().skip(KEPT) {
            std::fs::remove_file(old).map_err(io(old, "remove it"))?;
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn full_at(&mut self, bytes: u64) {
        self.full = bytes;
    }
}

pub(super) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> JournalError {
    let path = path.to_path_buf();
    move |source| JournalError::Io { path, action, source }
}

/// A new file is durable only once its folder is.
fn sync(folder: &Path) -> Result<(), JournalError> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(io(folder, "sync the folder"))
}

/// Opens a journal file for appending and locks it; `None` if another process holds it.
fn open_locked(path: &Path) -> Result<Option<File>, JournalError> {
    let mut options = OpenOptions::new();
    options.create(true).read(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(io(path, "open it"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(source)) => Err(io(path, "lock it")(source)),
    }
}

/// Reads a locked file and makes it ready for more: a torn last line is ended, so that new records start on their own.
fn ready(folder: &Path, path: PathBuf, mut file: File, by: &str) -> Result<Live, JournalError> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(io(&path, "read it"))?;
    if bytes.last().is_some_and(|last| *last != b'\n') {
        file.write_all(b"\n").and_then(|()| file.sync_data()).map_err(io(&path, "end its torn last line"))?;
    }
    let Chain { entries, damage, tip } = chain::read(&bytes);
    for Damage { line, why } in &damage {
        tracing::warn!(journal = %path.display(), line, why, "damage in the journal");
    }
    let mut open = super::recover(entries.iter().map(|e| &e.record));
    open.damage = damage;
    let size = bytes.len() as u64;
    Ok(Live { folder: folder.to_path_buf(), path, file, by: by.to_owned(), tip, size, full: FULL, open })
}

fn live_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("journal-{number}.jsonl"))
}

fn first_free(folder: &Path, by: &str) -> Result<Live, JournalError> {
    for number in 0..MAX_FILES {
        let path = live_path(folder, number);
        if let Some(file) = open_locked(&path)? {
            return ready(folder, path, file, by);
        }
    }
    Err(JournalError::AllInUse { path: folder.to_path_buf() })
}

/// Opens the first free file and adopts what dead processes left open in the others.
pub(super) fn open(folder: &Path, by: &str, now: Timestamp) -> Result<(Live, Recovery), JournalError> {
    std::fs::create_dir_all(folder).map_err(io(folder, "create the folder"))?;
    let mut ours = first_free(folder, by)?;
    let mut damage = std::mem::take(&mut ours.open.damage);
    for number in 0..MAX_FILES {
        let path = live_path(folder, number);
        if path == ours.path || !path.exists() {
            continue;
        }
        let Some(file) = open_locked(&path)? else { continue };
        let mut other = ready(folder, path, file, by)?;
        damage.append(&mut other.open.damage);
        if other.open.is_settled() {
            continue;
        }
        // First ours, then theirs: a crash in between leaves both, and the same ids are adopted once more.
        for opened in &other.open.open {
            ours.append(&Record::Opened(opened.clone()))?;
        }
        for plan in &other.open.plans {
            let event = PlanEvent::Opened { plan: Box::new(plan.clone()) };
            ours.append(&Record::Plan { plan: plan.id, at: now, event })?;
        }
        let by = ours.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        other.append(&Record::Adopted { at: now, by })?;
    }
    sync(folder)?;
    let recovery = Recovery { damage, ..ours.open.clone() };
    Ok((ours, recovery))
}

fn aside_files(folder: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let is_aside = |path: &PathBuf| {
        path.file_name()
            .and_then(|n| n.to_str())
            .is_some_and(|n| n.starts_with("journal-") && n.ends_with(".old.jsonl"))
    };
    let mut found = listed(folder)?;
    found.retain(is_aside);
    // By the time in their names, whatever number they had.
    found.sort_by_key(|p| p.file_name().and_then(|n| n.to_str()?.split_once('.')).map(|(_, rest)| rest.to_owned()));
    Ok(found)
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(folder, "list the folder")(error)),
    };
    let paths = entries.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>();
    let mut paths = paths.map_err(io(folder, "list the folder"))?;
    paths.retain(|path| {
        let name = path.file_name().and_then(|n| n.to_str());
        name.is_some_and(|n| n.starts_with("journal-") && n.ends_with(".jsonl"))
    });
    paths.sort();
    Ok(paths)
}

/// One file of a journal as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct FileReport {
    /// Which.
    pub path: PathBuf,
    /// Its records, in order.
    pub entries: Vec<Entry>,
    /// Lines that could not be read, were changed or do not follow.
    pub damage: Vec<Damage>,
    /// What it goes on from is not there or ends otherwise.
    pub broken_link: Option<String>,
}

/// Reads every file of a folder, without taking part: nothing is locked, adopted or changed.
///
/// # Errors
/// If the folder or a file cannot be read. A folder that is not there has no files.
pub fn read_all(folder: &Path) -> Result<Vec<FileReport>, JournalError> {
    let mut reports = Vec::new();
    for path in listed(folder)? {
        let bytes = std::fs::read(&path).map_err(io(&path, "read it"))?;
        let Chain { entries, damage, .. } = chain::read(&bytes);
        reports.push(FileReport { path, entries, damage, broken_link: None });
    }
    let ends: Vec<(String, String)> = reports
        .iter()
        .filter_map(|r| {
            let name = r.path.file_name()?.to_str()?.to_owned();
            Some((name, r.entries.last().map_or_else(|| chain::ROOT.to_owned(), |e| e.hash.clone())))
        })
        .collect();
    for report in &mut reports {
        let links = report.entries.iter().filter_map(|e| match &e.record {
            Record::Continues { file, hash, .. } => Some((file, hash)),
            _ => None,
        });
        for (file, hash) in links {
            report.broken_link = match ends.iter().find(|(name, _)| name == file) {
                None => Some(format!("it goes on from {file}, which is not there any more")),
                Some((_, end)) if end != hash => Some(format!("it goes on from {file}, which ends otherwise now")),
                Some(_) => continue,
            };
        }
    }
    Ok(reports)
}
