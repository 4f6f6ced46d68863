//! The lines of a journal: each holds the hash of the one before and ends with its own.
//!
//! A line is `{"seq":…,"at":…,"by":…,"prev":…,"record":…,"hash":…}`. The hash is SHA-256 over everything before `,"hash":`, so it is
//! checked on the bytes as they stand, whatever order of keys or spelling of numbers a later version would choose.

use serde::{Deserialize, Serialize};

use super::{Damage, Record};

/// A line longer than this is damage.
const MAX_LINE: usize = 4 << 20;
/// What `prev` says in the first line of a chain.
pub(super) const ROOT: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const MARK: &[u8] = b",\"hash\":\"";

/// A line as it is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts the lines of one chain, from 1.
    pub seq: u64,
    /// Who wrote it: user, host and process.
    pub by: String,
    /// Hash of the line before.
    pub prev: String,
    /// What is recorded.
    pub record: Record,
    /// Hash of this line.
    pub hash: String,
}

#[derive(Serialize)]
struct Unhashed<'a> {
    seq: u64,
    by: &'a str,
    prev: &'a str,
    record: &'a Record,
}

/// The end of a chain, where the next line is linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tip {
    pub seq: u64,
    pub hash: String,
}

impl Default for Tip {
    fn default() -> Self {
        Self { seq: 0, hash: ROOT.to_owned() }
    }
}

impl Tip {
    /// The next line, without its line end; the chain goes on from it.
    pub fn next_line(&mut self, by: &str, record: &Record) -> Result<Vec<u8>, serde_json::Error> {
        let mut line = serde_json::to_vec(&Unhashed { seq: self.seq + 1, by, prev: &self.hash, record })?;
        line.pop();
        let hash = sha256(&line);
        line.extend_from_slice(MARK);
        line.extend_from_slice(hash.as_bytes());
        line.extend_from_slice(b"\"}");
        *self = Self { seq: self.seq + 1, hash };
        Ok(line)
    }
}

fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Reads one line and checks its own hash.
fn parse(line: &[u8]) -> Result<Entry, String> {
    if line.len() > MAX_LINE {
        return Err(format!("{} bytes are too long for a record", line.len()));
    }
    let entry: Entry = serde_json::from_slice(line).map_err(|e| format!("not a record: {e}"))?;
    let signed = line.len().saturating_sub(MARK.len() + 64 + 2);
    let (body, end) = line.split_at(signed);
    if !end.starts_with(MARK) || sha256(body) != entry.hash {
        return Err("its hash does not fit: the line was changed".into());
    }
    Ok(entry)
}

/// What a journal file holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Chain {
    /// Records that can be read and were not changed, with their line.
    pub entries: Vec<Entry>,
    /// Everything else.
    pub damage: Vec<Damage>,
    /// Where the next line is linked.
    pub tip: Tip,
}

/// Reads a file: a line that is no record, was changed, or does not follow the one before is damage. Records behind damage
/// count all the same: what is open must be found.
pub(super) fn read(bytes: &[u8]) -> Chain {
    let mut chain = Chain::default();
    for (index, line) in bytes.split(|b| *b == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let line_number = index + 1;
        match parse(line) {
            Err(why) => chain.damage.push(Damage { line: line_number, why }),
            Ok(entry) => {
                if entry.prev != chain.tip.hash || entry.seq != chain.tip.seq + 1 {
                    let why = format!(
                        "it does not follow record {}: lines in between were removed, added or moved",
                        chain.tip.seq
                    );
                    chain.damage.push(Damage { line: line_number, why });
                }
                chain.tip = Tip { seq: entry.seq, hash: entry.hash.clone() };
                chain.entries.push(entry);
            }
        }
    }
    chain
}
