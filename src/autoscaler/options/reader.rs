//! Reading options from layers: which key of which layer gives the value, and what is wrong with it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::table::{OptionId, OptionSpec, TABLE};
use super::value::OptionValue;
use crate::autoscaler::generation::Generation;

/// Where a value was configured; a later layer wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The default of the table.
    BuiltIn,
    /// Flightdeck's own configuration.
    File,
    /// The configuration of the cluster or of the operator.
    Cluster,
    /// The configuration of the job.
    Job,
}

impl Layer {
    /// The name as shown: `built-in`, `file`, `cluster` or `job`.
    pub fn name(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::File => "file",
            Self::Cluster => "cluster",
            Self::Job => "job",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the value of an option came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The layer.
    pub layer: Layer,
    /// The key under which it was found, which may be a fallback or a deprecated one.
    pub key: String,
    /// The text as configured.
    pub text: String,
}

/// What is wrong with a configured option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// The text has not the expected form. The operator fails every pass that reads the option.
    Unparsable,
    /// The value is outside the allowed range (§13.3). The operator rejects the resource.
    Invalid,
    /// No option has this key.
    Unknown,
    /// The option exists in the other generation only and has no effect.
    OtherGeneration,
    /// The key is an old one; it is still read.
    Deprecated,
    /// The option is known and has no effect in flightdeck.
    NoEffect,
}

impl ProblemKind {
    /// With this problem the operator would not run the autoscaler as configured.
    pub fn is_error(self) -> bool {
        match self {
            Self::Unparsable | Self::Invalid => true,
            Self::Unknown | Self::OtherGeneration | Self::Deprecated | Self::NoEffect => false,
        }
    }
}

/// One problem with one configured key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{key} = {value:?} ({layer}): {message}")]
pub struct OptionProblem {
    /// What kind of problem.
    pub kind: ProblemKind,
    /// The key as configured.
    pub key: String,
    /// The layer that holds it.
    pub layer: Layer,
    /// The text as configured, cut at 200 characters.
    pub value: String,
    /// What is wrong and what is expected.
    pub message: String,
}

impl OptionProblem {
    pub(super) fn new(kind: ProblemKind, key: &str, layer: Layer, value: &str, message: impl Into<String>) -> Self {
        let value = value.chars().take(200).collect();
        Self { kind, key: key.to_owned(), layer, value, message: message.into() }
    }
}

/// Reads typed values from the merged layers and remembers sources and problems.
#[derive(Debug)]
pub struct Reader<'a> {
    generation: Generation,
    merged: BTreeMap<&'a str, (Layer, &'a str)>,
    pub(super) sources: BTreeMap<OptionId, Source>,
    pub(super) problems: Vec<OptionProblem>,
}

impl<'a> Reader<'a> {
    /// Merges the layers key by key, as Flink merges configurations: the later layer wins.
    pub(super) fn new(generation: Generation, layers: &[(Layer, &'a BTreeMap<String, String>)]) -> Self {
        let mut sorted: Vec<_> = layers.iter().collect();
        sorted.sort_by_key(|(layer, _)| *layer);
        let mut merged = BTreeMap::new();
        for (layer, map) in sorted {
            merged.extend(map.iter().map(|(key, value)| (key.as_str(), (*layer, value.as_str()))));
        }
        Self { generation, merged, sources: BTreeMap::new(), problems: Vec::new() }
    }

    /// The configured keys with layer and text.
    pub(super) fn configured(&self) -> impl Iterator<Item = (&'a str, Layer, &'a str)> + '_ {
        self.merged.iter().map(|(key, (layer, text))| (*key, *layer, *text))
    }

    /// The typed value of an option.
    pub(super) fn read<T: OptionValue>(&mut self, id: OptionId) -> T {
        let spec: &OptionSpec = &TABLE[id as usize];
        if spec.exists_in(self.generation)
            && let Some((key, deprecated, layer, text)) = self.find(spec)
        {
            match T::parse(text, self.generation) {
                Some(value) => {
                    if deprecated {
                        let message = format!("this key is deprecated, use {}", spec.key(self.generation));
                        self.problems.push(OptionProblem::new(ProblemKind::Deprecated, &key, layer, text, message));
                    }
                    self.sources.insert(id, Source { layer, key, text: text.to_owned() });
                    return value;
                }
                None => {
                    let message = format!("expected {}", T::EXPECTED);
                    self.problems.push(OptionProblem::new(ProblemKind::Unparsable, &key, layer, text, message));
                }
            }
        }
        T::parse(spec.default, self.generation).unwrap_or_default()
    }

    fn find(&self, spec: &OptionSpec) -> Option<(String, bool, Layer, &'a str)> {
        spec.names(self.generation).into_iter().find_map(|(name, deprecated)| {
            let (layer, text) = self.merged.get(name.as_ref())?;
            Some((name.into_owned(), deprecated, *layer, *text))
        })
    }
}
