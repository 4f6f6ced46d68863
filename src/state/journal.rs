//! The journal of effects: an append-only file of JSON lines, one record before and one after each effect on a cluster.
//!
//! The record before is on disk (fsync) before the effect is attempted. After a crash an opened record without its closing one
//! says that the effect may or may not have happened: the owner of the effect compares it with the cluster and closes it.
//! A damaged tail (a torn last line, or bytes that are no record) is reported and survived. What another process left open in
//! its own file is adopted: copied into ours, and only then is that file emptied.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;

/// How many journal files one folder holds at most: as many processes can run side by side.
const MAX_FILES: u32 = 64;
/// A line longer than this is damage.
const MAX_LINE: usize = 1 << 20;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "record")]
pub enum Record {
    /// An effect is about to be attempted.
    Opened(Opened),
    /// What came of it.
    Closed {
        /// The id of the opened record.
        id: String,
        /// When.
        at: Timestamp,
        /// What came of it.
        result: Closing,
    },
}

/// An effect that is about to be attempted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// Identity of the record within the journal.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// What kind of effect; its owner's word, such as `resource-requirements`.
    pub effect: String,
    /// Whom it touches; its owner's key, such as a job key.
    pub subject: String,
    /// Everything its owner needs to find out later whether it happened. No secrets.
    pub detail: serde_json::Value,
}

/// What came of an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum Closing {
    /// It was accepted.
    Accepted,
    /// It was refused or could not be sent; nothing changed.
    Refused {
        /// Why.
        why: String,
    },
    /// It is not known whether it was accepted.
    Unknown {
        /// Why.
        why: String,
    },
    /// After a restart the cluster was found in the wanted state.
    FoundApplied,
    /// After a restart the cluster was not found in the wanted state.
    FoundNotApplied {
        /// What was found.
        why: String,
    },
}

/// A journal that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The folder or file cannot be created, read, locked or written.
    #[error("journal {path}: cannot {action}: {source}; check the folder's permissions and free space")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What failed.
        action: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// All files of the folder are in use by other processes.
    #[error("journal {path}: all {MAX_FILES} journal files are in use by other processes; stop some of them")]
    AllInUse {
        /// The folder.
        path: PathBuf,
    },
    /// A record cannot be written as JSON.
    #[error("journal: cannot encode a record: {0}")]
    Encode(#[from] serde_json::Error),
}

/// Damage that was found when a journal was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// What a journal held when it was opened.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recovery {
    /// Effects without a closing record, oldest first.
    pub open: Vec<Opened>,
    /// Lines that could not be read.
    pub damage: Vec<Damage>,
}

/// An append-only journal. Cloning shares the file.
#[derive(Debug, Clone)]
pub struct Journal {
    sink: Arc<Mutex<Sink>>,
}

#[derive(Debug)]
enum Sink {
    File {
        path: PathBuf,
        file: File,
    },
    Memory(Vec<Record>),
    #[cfg(test)]
    Broken,
}

impl Journal {
    /// A journal that is forgotten with the process (tests, demos).
    pub fn in_memory() -> Self {
        Self { sink: Arc::new(Mutex::new(Sink::Memory(Vec::new()))) }
    }

    /// Opens the first journal of `folder` that no other process holds, reads what it left open and adopts what dead processes
    /// left open in the other files. The file is locked for as long as the journal lives. A torn last line is ended, so that new
    /// records start on a line of their own.
    ///
    /// # Errors
    /// If the folder or file cannot be created, locked, read or written, or all files are in use.
    pub fn open(folder: &Path) -> Result<(Self, Recovery), JournalError> {
        std::fs::create_dir_all(folder).map_err(io(folder, "create the folder"))?;
        let mut ours: Option<(PathBuf, File, Recovery)> = None;
        for number in 0..MAX_FILES {
            let path = folder.join(format!("journal-{number}.jsonl"));
            if ours.is_some() && !path.exists() {
                break;
            }
            let Some(mut file) = open_locked(&path)? else { continue };
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(io(&path, "read it"))?;
            let found = recover(&bytes);
            for damage in &found.damage {
                tracing::warn!(journal = %path.display(), line = damage.line, why = %damage.why, "damaged journal line skipped");
            }
            match &mut ours {
                None => {
                    if bytes.last().is_some_and(|last| *last != b'\n') {
                        file.write_all(b"\n")
                            .and_then(|()| file.sync_data())
                            .map_err(io(&path, "end its torn last line"))?;
                    }
                    ours = Some((path, file, found));
                }
                Some((own_path, own, recovery)) => {
                    for record in &found.open {
                        write_record(own_path, own, &Record::Opened(record.clone()))?;
                    }
                    file.set_len(0).and_then(|()| file.sync_data()).map_err(io(&path, "empty it"))?;
                    recovery.open.extend(found.open);
                    recovery.damage.extend(found.damage);
                }
            }
        }
        // A new file is durable only once its folder is.
        File::open(folder).and_then(|f| f.sync_all()).map_err(io(folder, "sync the folder"))?;
        match ours {
            Some((path, file, recovery)) => {
                Ok((Self { sink: Arc::new(Mutex::new(Sink::File { path, file })) }, recovery))
            }
            None => Err(JournalError::AllInUse { path: folder.to_path_buf() }),
        }
    }

    /// Appends a record and returns when it is on disk.
    ///
    /// # Errors
    /// If it cannot be encoded or written: then the effect must not be attempted.
    pub async fn append(&self, record: Record) -> Result<(), JournalError> {
        let sink = Arc::clone(&self.sink);
        match tokio::task::spawn_blocking(move || append(&sink, record)).await {
            Ok(result) => result,
            Err(_) => Err(JournalError::Io {
                path: PathBuf::new(),
                action: "write a record",
                source: std::io::Error::other("the process is shutting down"),
            }),
        }
    }

    /// The records of an in-memory journal; empty for a file.
    pub fn records(&self) -> Vec<Record> {
        match &*lock(&self.sink) {
            Sink::Memory(records) => records.clone(),
            Sink::File { .. } => Vec::new(),
            #[cfg(test)]
            Sink::Broken => Vec::new(),
        }
    }

    /// From now on nothing can be written, as on a full disk.
    #[cfg(test)]
    pub(crate) fn break_for_test(&self) {
        *lock(&self.sink) = Sink::Broken;
    }
}

fn lock(sink: &Mutex<Sink>) -> MutexGuard<'_, Sink> {
    sink.lock().unwrap_or_else(PoisonError::into_inner)
}

fn append(sink: &Mutex<Sink>, record: Record) -> Result<(), JournalError> {
    match &mut *lock(sink) {
        Sink::Memory(records) => records.push(record),
        Sink::File { path, file } => write_record(path, file, &record)?,
        #[cfg(test)]
        Sink::Broken => return Err(io(Path::new("x"), "write a record")(std::io::Error::other("disk full"))),
    }
    Ok(())
}

fn write_record(path: &Path, file: &mut File, record: &Record) -> Result<(), JournalError> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    file.write_all(&line).and_then(|()| file.sync_data()).map_err(io(path, "write a record"))
}

fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> JournalError {
    let path = path.to_path_buf();
    move |source| JournalError::Io { path, action, source }
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

/// Reads the records of a journal; lines that are no record are damage, wherever they stand.
fn recover(bytes: &[u8]) -> Recovery {
    let mut recovery = Recovery::default();
    for (index, line) in bytes.split(|b| *b == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let damage = |why: String| Damage { line: index + 1, why };
        if line.len() > MAX_LINE {
            recovery.damage.push(damage(format!("{} bytes are too long for a record", line.len())));
            continue;
        }
        match serde_json::from_slice::<Record>(line) {
            Ok(Record::Opened(opened)) => recovery.open.push(opened),
            Ok(Record::Closed { id, .. }) => recovery.open.retain(|o| o.id != id),
            Err(e) => recovery.damage.push(damage(format!("not a record: {e}"))),
        }
    }
    recovery
}

#[cfg(test)]
mod tests;
