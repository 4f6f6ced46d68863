//! The state store and the journal.
