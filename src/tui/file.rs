//! Errors in files of users (themes, keymap): the file, the position, what is wrong and the nearest valid name.

use std::ops::Range;

use crate::domain::text::{nearest, position};

/// Something wrong in a file of a user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {what}")]
pub struct FileError {
    /// Name of the file as the user knows it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl FileError {
    /// An error at a byte range of `text`.
    pub fn at(file: &str, text: &str, span: Range<usize>, what: impl Into<String>) -> Self {
        let (line, column) = position(text, span.start);
        Self { file: file.to_owned(), line, column, what: what.into() }
    }

    /// What the TOML parser found wrong with `text`.
    pub fn of_toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        Self::at(file, text, error.span().unwrap_or(0..0), error.message().to_owned())
    }
}

/// `unknown <kind> "<name>"`, with the nearest valid name if one is near.
pub fn unknown<'a>(kind: &str, name: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(name, valid) {
        Some(near) => format!("unknown {kind} {name:?}; did you mean {near:?}?"),
        None => format!("unknown {kind} {name:?}"),
    }
}
