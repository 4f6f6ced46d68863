//! The explanation of a turn: a tree of steps, produced by the code that computes and read by screens, JSON and tests.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::ids::VertexId;
use super::units::{Unit, nonfinite};

/// A value inside an explanation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Value {
    /// A number with its unit.
    Number {
        /// The number.
        #[serde(with = "nonfinite")]
        value: f64,
        /// Its unit.
        unit: Unit,
    },
    /// Yes or no.
    Flag {
        /// The answer.
        value: bool,
    },
    /// A word or a name.
    Text {
        /// The text.
        value: Cow<'static, str>,
    },
    /// An instant.
    Instant {
        /// The instant.
        value: Timestamp,
    },
    /// Nothing was computed.
    Nothing,
}

impl Value {
    /// A number with its unit.
    pub fn number(value: f64, unit: Unit) -> Self {
        Self::Number { value, unit }
    }
    /// A text.
    pub fn text(value: impl Into<Cow<'static, str>>) -> Self {
        Self::Text { value: value.into() }
    }
}

/// Where an input of a formula came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum Origin {
    /// A metric of the window; `name` is Flink's or the operator's name.
    Metric {
        /// Name of the metric.
        name: Cow<'static, str>,
    },
    /// An option.
    Option {
        /// Its key without the `job.autoscaler.` prefix.
        key: Cow<'static, str>,
        /// The layer that set it: `built-in`, `file`, `cluster` or `job`.
        layer: Cow<'static, str>,
    },
    /// An earlier step of this explanation.
    Step,
    /// The job graph.
    Topology,
    /// The scaling history or restart tracking.
    History,
    /// The clock.
    Clock,
}

/// One input of a formula.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// Its symbol in the formula.
    pub symbol: Cow<'static, str>,
    /// Its value.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
    /// When it was observed, where that is known.
    pub at: Option<Timestamp>,
}

/// What a step did to the course of the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Computed a value.
    Computed,
    /// A check that passed.
    Passed,
    /// Limited a value.
    Limited,
    /// Called for a change.
    Acts,
    /// Ended the turn without a change.
    Blocks,
}

/// One step of an explanation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What was computed or checked, in the contract's words.
    pub label: Cow<'static, str>,
    /// The vertex it is about.
    pub vertex: Option<VertexId>,
    /// The formula in the field's notation, with symbols.
    pub formula: Option<Cow<'static, str>>,
    /// The inputs of the formula.
    pub inputs: Vec<Term>,
    /// The result.
    pub value: Value,
    /// What it did to the turn.
    pub verdict: Verdict,
    /// The steps it is made of.
    pub children: Vec<Step>,
}

impl Step {
    /// A step with this label that computed nothing yet.
    pub fn new(label: impl Into<Cow<'static, str>>) -> Self {
        Self {
            label: label.into(),
            vertex: None,
            formula: None,
            inputs: Vec::new(),
            value: Value::Nothing,
            verdict: Verdict::Computed,
            children: Vec::new(),
        }
    }
    /// The vertex it is about.
    pub fn about(mut self, vertex: VertexId) -> Self {
        self.vertex = Some(vertex);
        self
    }
    /// The formula in the field's notation.
    pub fn formula(mut self, formula: impl Into<Cow<'static, str>>) -> Self {
        self.formula = Some(formula.into());
        self
    }
    /// Adds an input of the formula.
    pub fn input(mut self, symbol: impl Into<Cow<'static, str>>, value: Value, origin: Origin) -> Self {
        self.inputs.push(Term { symbol: symbol.into(), value, origin, at: None });
        self
    }
    /// Adds an input of the formula with the time of its observation.
    pub fn observed(
        mut self,
        symbol: impl Into<Cow<'static, str>>,
        value: Value,
        origin: Origin,
        at: Option<Timestamp>,
    ) -> Self {
        self.inputs.push(Term { symbol: symbol.into(), value, origin, at });
        self
    }
    /// The result.
    pub fn value(mut self, value: Value) -> Self {
        self.value = value;
        self
    }
    /// A number with its unit as the result.
    pub fn number(self, value: f64, unit: Unit) -> Self {
        self.value(Value::number(value, unit))
    }
    /// What it did to the turn.
    pub fn verdict(mut self, verdict: Verdict) -> Self {
        self.verdict = verdict;
        self
    }
}

/// The explanation of one turn: what was seen, computed, limited, checked and done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Instant of the turn.
    pub at: Timestamp,
    /// Top-level steps, in the order in which they were taken.
    pub steps: Vec<Step>,
}
