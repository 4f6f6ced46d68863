//! The autoscaler's options: typed, layered, each value with the layer that set it.
//!
//! Owns every `job.autoscaler.*` option and the Flink options the autoscaler reads: key, type, default per generation,
//! fallback and deprecated keys, parsing as Flink does it, and validation. It reads no files: layers come as maps of texts.

mod check;
mod reader;
mod table;
mod value;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use reader::{Layer, OptionProblem, ProblemKind, Source};
pub use table::{AUTOSCALER_PREFIX, OptionId, OptionSpec, Options, Since, TABLE};
pub use value::{BusyTimeAggregator, KeyGroupAdjustMode, MemorySize, OptionValue};

use super::generation::Generation;
use crate::domain::explanation::Origin;
use crate::domain::ids::VertexId;
use reader::Reader;

impl Options {
    /// Reads the options of a job from its layers, in any order; a later [`Layer`] wins key by key.
    ///
    /// Problems never stop the reading: an unparsable value is replaced by the built-in one. Whoever acts on the options
    /// must refuse to when a problem [is an error](ProblemKind::is_error). Ranges are checked if the autoscaler is enabled.
    pub fn from_layers(
        generation: Generation,
        layers: &[(Layer, &BTreeMap<String, String>)],
    ) -> (Self, Vec<OptionProblem>) {
        let mut reader = Reader::new(generation, layers);
        let options = Self::read(generation, &mut reader);
        let unknown = check::unknown_keys(generation, &reader);
        let mut problems = reader.problems;
        problems.extend(unknown);
        if options.enabled {
            problems.extend(check::out_of_range(&options));
        }
        (options, problems)
    }

    /// The built-in values of a generation.
    pub fn built_in(generation: Generation) -> Self {
        Self::read(generation, &mut Reader::new(generation, &[]))
    }

    /// Where a value came from; `None` for a built-in one.
    pub fn source(&self, id: OptionId) -> Option<&Source> {
        self.sources.get(&id)
    }

    /// The value was configured in some layer.
    pub fn is_set(&self, id: OptionId) -> bool {
        self.sources.contains_key(&id)
    }

    /// The layer that set a value.
    pub fn layer(&self, id: OptionId) -> Layer {
        self.source(id).map_or(Layer::BuiltIn, |source| source.layer)
    }

    /// The origin of a value for an explanation: its key without the autoscaler's prefix, and its layer.
    pub fn origin(&self, id: OptionId) -> Origin {
        let key = id.spec().key(self.generation);
        Origin::Option {
            key: key.strip_prefix(AUTOSCALER_PREFIX).unwrap_or(key).into(),
            layer: self.layer(id).name().into(),
        }
    }

    /// The effective value as text: as configured, else the built-in one.
    pub fn text(&self, id: OptionId) -> &str {
        self.source(id).map_or(id.spec().default, |source| source.text.as_str())
    }

    /// The same, with no vertex allowed above this parallelism.
    pub fn held_down_to(&self, parallelism: i32) -> Self {
        let mut options = self.clone();
        options.vertex_max_parallelism = options.vertex_max_parallelism.min(parallelism);
        options
    }

    /// The vertices the user excluded from scaling. Texts that are no id match no vertex, as in the operator.
    pub fn excluded_vertices(&self) -> BTreeSet<VertexId> {
        let ids = self.vertex_exclude_ids.iter();
        ids.filter(|id| !id.bytes().any(|b| b.is_ascii_uppercase())).filter_map(|id| id.parse().ok()).collect()
    }
}

impl OptionId {
    /// The row of the table.
    pub fn spec(self) -> &'static OptionSpec {
        // The table and the enum are written by one macro, in the same order.
        &TABLE[self as usize]
    }
}
