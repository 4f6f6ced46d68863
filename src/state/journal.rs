//! The journal of effects: append-only files of JSON lines, each linked to the one before by its hash.
//!
//! A record is on disk (fsync) before the effect it announces is attempted, and another one says what came of it. After a crash
//! a record without its end says that the effect may or may not have happened: the owner of the effect compares it with the
//! cluster and closes it. Nothing is ever removed from a file: a full one is set aside under another name, what another process
//! left open in its own file is adopted by a record in both, and a damaged tail stays where it is, is reported, and is followed by new
//! records. No secrets are written: owners leave them out of what they hand over.

mod chain;
mod files;
mod recovery;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

pub use self::chain::Entry;
pub use self::files::{FileReport, read_all};
pub use self::recovery::{Recovery, recover};
use crate::domain::Timestamp;
use crate::domain::plan::{PlanEvent, PlanId};

/// What is recorded.
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
    /// Something happened to a plan.
    Plan {
        /// Which.
        plan: PlanId,
        /// When.
        at: Timestamp,
        /// What.
        event: PlanEvent,
    },
    /// This file goes on where another one was set aside.
    Continues {
        /// When.
        at: Timestamp,
        /// The name of the other file.
        file: String,
        /// The hash of its last record.
        hash: String,
    },
    /// What was open here is looked after in another file from now on.
    Adopted {
        /// When.
        at: Timestamp,
        /// The name of the other file.
        by: String,
    },
}

impl Record {
    /// When it was made.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Opened(opened) => opened.at,
            Self::Closed { at, .. } | Self::Plan { at, .. } | Self::Continues { at, .. } | Self::Adopted { at, .. } => {
                *at
            }
        }
    }
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
    #[error("journal {path}: all {} journal files are in use by other processes; stop some of them", files::MAX_FILES)]
    AllInUse {
        /// The folder.
        path: PathBuf,
    },
    /// A record cannot be written as JSON.
    #[error("journal: cannot encode a record: {0}")]
    Encode(#[from] serde_json::Error),
}

/// Damage that was found in a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// Told before (`false`) and after (`true`) each record is written; the write waits for it. For tests that end a process around a
/// write.
pub type Tap = Arc<dyn Fn(&Record, bool) -> BoxFuture<'static, ()> + Send + Sync>;

/// An append-only journal. Cloning shares the file.
#[derive(Clone)]
pub struct Journal {
    sink: Arc<Mutex<Sink>>,
    tap: Option<Tap>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Sink {
    File(files::Live),
    Memory(Vec<Record>),
    #[cfg(test)]
    Broken,
}

impl Journal {
    /// A journal that is forgotten with the process (tests, demos).
    pub fn in_memory() -> Self {
        Self { sink: Arc::new(Mutex::new(Sink::Memory(Vec::new()))), tap: None }
    }

    /// Opens the first journal of `folder` that no other process holds, reads what it left open and adopts what dead processes
    /// left open in the other files. The file is locked for as long as the journal lives. `by` stands in every record: who
    /// this process is.
    ///
    /// # Errors
    /// If the folder or file cannot be created, locked, read or written, or all files are in use.
    pub fn open(folder: &Path, by: &str, now: Timestamp) -> Result<(Self, Recovery), JournalError> {
        let (live, recovery) = files::open(folder, by, now)?;
        Ok((Self { sink: Arc::new(Mutex::new(Sink::File(live))), tap: None }, recovery))
    }

    /// The same journal, with a tap at every write.
    #[must_use]
    pub fn tapped(mut self, tap: Tap) -> Self {
        self.tap = Some(tap);
        self
    }

    /// Appends a record and returns when it is on disk.
    ///
    /// # Errors
    /// If it cannot be encoded or written: then the effect must not be attempted.
    pub async fn append(&self, record: Record) -> Result<(), JournalError> {
        let copy = self.tap.as_ref().map(|tap| (Arc::clone(tap), record.clone()));
        if let Some((tap, record)) = &copy {
            tap(record, false).await;
        }
        self.write(record).await?;
        if let Some((tap, record)) = &copy {
            tap(record, true).await;
        }
        Ok(())
    }

    async fn write(&self, record: Record) -> Result<(), JournalError> {
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
            Sink::File(_) => Vec::new(),
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
        Sink::File(live) => live.append(&record)?,
        #[cfg(test)]
        Sink::Broken => {
            return Err(files::io(Path::new("x"), "write a record")(std::io::Error::other("disk full")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
