//! The filter `/`: plain words, and typed conditions such as `lag>10s`, `util>0.8`, `state:failing`, `ns:payments`.
//!
//! Owns the language and what it matches. Parts are separated by blanks and all must hold; `!` before a part turns it round.
//! Parsed once per change of the text, never while drawing. A value that is not known satisfies no comparison.

use std::time::Duration;

use crate::domain::decision::Decision;
use crate::domain::job::JobView;
use crate::domain::plan::Plan;
use crate::domain::text::parse_duration;
use crate::tui::file::unknown;

/// A parsed filter. The empty filter matches everything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
struct Part {
    negated: bool,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    /// Part of any text, in lower case.
    Word(String),
    /// Part of the text of a field, in lower case.
    Contains(TextField, String),
    /// A number compared.
    Compare(NumberField, Comparison, f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextField {
    Name,
    Namespace,
    State,
    Mode,
    Source,
    Id,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NumberField {
    LagRecords,
    LagSeconds,
    CatchUp,
    Utilization,
    Backpressure,
    Rate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl Comparison {
    /// Longer texts first, so that `>=` is not read as `>`.
    const ALL: [(&'static str, Self); 4] =
        [(">=", Self::AtLeast), ("<=", Self::AtMost), (">", Self::Above), ("<", Self::Below)];

    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Above => value > limit,
            Self::AtLeast => value >= limit,
            Self::Below => value < limit,
            Self::AtMost => value <= limit,
        }
    }
}

const TEXT_FIELDS: [(&str, TextField); 7] = [
    ("name", TextField::Name),
    ("ns", TextField::Namespace),
    ("namespace", TextField::Namespace),
    ("state", TextField::State),
    ("mode", TextField::Mode),
    ("source", TextField::Source),
    ("id", TextField::Id),
];
const NUMBER_FIELDS: [&str; 5] = ["lag", "catchup", "util", "bp", "rate"];

impl Filter {
    /// Parses a filter.
    ///
    /// # Errors
    /// A sentence that says which condition is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split_whitespace().map(Part::parse).collect::<Result<_, _>>()?;
        Ok(Self { parts })
    }

    /// It lets everything pass.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// A job passes.
    pub fn job(&self, job: &JobView) -> bool {
        let rates = job.rates.as_ref().map(|rates| &rates.value);
        let namespace = job.namespace.as_deref().unwrap_or_default();
        self.holds(
            &[&job.name, namespace, job.health.word.word()],
            |field, word| match field {
                TextField::Name => has(&job.name, word),
                TextField::Namespace => has(namespace, word),
                TextField::State => {
                    has(job.health.word.word(), word)
                        || has(job.state.name(), word)
                        || job.health.operator.as_deref().is_some_and(|operator| has(operator, word))
                }
                TextField::Mode => has(job.mode.word(), word),
                TextField::Source => has(job.source.as_str(), word),
                TextField::Id => has(job.key.as_str(), word) || job.job_id.is_some_and(|id| has(&id.to_string(), word)),
            },
            |field| {
                rates.map_or(f64::NAN, |rates| match field {
                    NumberField::LagRecords => rates.lag,
                    NumberField::LagSeconds => rates.lag_seconds,
                    NumberField::CatchUp => rates.catch_up_seconds,
                    NumberField::Utilization => rates.utilization,
                    NumberField::Backpressure => rates.backpressure,
                    NumberField::Rate => rates.records_in,
                })
            },
        )
    }

    /// A plan passes. It has no rates, so no comparison holds.
    pub fn plan(&self, plan: &Plan) -> bool {
        let target = &plan.target;
        let namespace = target.namespace.as_deref().unwrap_or_default();
        let id = plan.id.to_string();
        self.holds(
            &[&target.name, namespace, plan.state.word(), plan.operation.word(), &id],
            |field, word| match field {
                TextField::Name => has(&target.name, word),
                TextField::Namespace => has(namespace, word),
                TextField::State => has(plan.state.word(), word),
                TextField::Mode => has(plan.operation.word(), word),
                TextField::Source => has(&target.context, word),
                TextField::Id => has(&id, word),
            },
            |_| f64::NAN,
        )
    }

    /// A decision passes. It has no rates, so no comparison holds.
    pub fn decision(&self, decision: &Decision) -> bool {
        let target = &decision.target;
        let namespace = target.namespace.as_deref().unwrap_or_default();
        let id = decision.id.to_string();
        self.holds(
            &[&target.name, namespace, decision.state.word(), &id],
            |field, word| match field {
                TextField::Name => has(&target.name, word),
                TextField::Namespace => has(namespace, word),
                TextField::State => has(decision.state.word(), word),
                TextField::Mode => false,
                TextField::Source => has(&target.context, word),
                TextField::Id => has(&id, word),
            },
            |_| f64::NAN,
        )
    }

    /// Every plain word (and every `name:`) is part of one of these texts, whatever its case. Other conditions do not hold.
    pub fn text(&self, texts: &[&str]) -> bool {
        let any = |word: &str| texts.iter().any(|text| has(text, word));
        self.holds(texts, |field, word| field == TextField::Name && any(word), |_| f64::NAN)
    }

    fn holds(
        &self,
        texts: &[&str],
        contains: impl Fn(TextField, &str) -> bool,
        number: impl Fn(NumberField) -> f64,
    ) -> bool {
        self.parts.iter().all(|part| {
            let holds = match &part.test {
                Test::Word(word) => texts.iter().any(|text| has(text, word)),
                Test::Contains(field, word) => contains(*field, word),
                Test::Compare(field, comparison, limit) => comparison.holds(number(*field), *limit),
            };
            holds != part.negated
        })
    }
}

/// `word` (in lower case) is part of `text`.
fn has(text: &str, word: &str) -> bool {
    text.to_lowercase().contains(word)
}

impl Part {
    fn parse(text: &str) -> Result<Self, String> {
        let (negated, rest) = match text.strip_prefix('!') {
            Some(rest) if !rest.is_empty() => (true, rest),
            _ => (false, text),
        };
        Ok(Self { negated, test: Test::parse(rest)? })
    }
}

impl Test {
    fn parse(text: &str) -> Result<Self, String> {
        let field_names = || NUMBER_FIELDS.into_iter().chain(TEXT_FIELDS.iter().map(|(name, _)| *name));
        if let Some((at, _)) = text.char_indices().find(|(_, c)| matches!(c, '<' | '>')) {
            let (name, rest) = text.split_at(at);
            let Some((sign, comparison)) = Comparison::ALL.iter().find(|(sign, _)| rest.starts_with(sign)) else {
                return Ok(Self::Word(text.to_lowercase()));
            };
            let (field, limit) = number(&name.to_lowercase(), &rest[sign.len()..], field_names)?;
            return Ok(Self::Compare(field, *comparison, limit));
        }
        match text.split_once([':', '=']) {
            Some((name, value)) if !name.is_empty() => {
                let name = name.to_lowercase();
                match TEXT_FIELDS.iter().find(|(known, _)| *known == name) {
                    Some((_, field)) => Ok(Self::Contains(*field, value.to_lowercase())),
                    None if NUMBER_FIELDS.contains(&name.as_str()) => Err(format!("compare {name} with > or <")),
                    None => Err(unknown("field", &name, field_names())),
                }
            }
            _ => Ok(Self::Word(text.to_lowercase())),
        }
    }
}

fn number<'a, I: Iterator<Item = &'a str>>(
    name: &str,
    value: &str,
    fields: impl Fn() -> I,
) -> Result<(NumberField, f64), String> {
    let seconds = |time: Duration| time.as_secs_f64();
    let wrong = |example: &str| format!("{name} is compared with {example}, got {value:?}");
    match name {
        "lag" => match (parse_duration(value), records(value)) {
            (Ok(time), _) => Ok((NumberField::LagSeconds, seconds(time))),
            (_, Some(records)) => Ok((NumberField::LagRecords, records)),
            _ => Err(wrong("a time (10s) or records (5000, 5k)")),
        },
        "catchup" => match parse_duration(value) {
            Ok(time) => Ok((NumberField::CatchUp, seconds(time))),
            Err(_) => Err(wrong("a time (5min)")),
        },
        "rate" => {
            records(value).map(|rate| (NumberField::Rate, rate)).ok_or_else(|| wrong("records a second (5000, 5k)"))
        }
        "util" | "bp" => {
            let field = if name == "util" { NumberField::Utilization } else { NumberField::Backpressure };
            let ratio = match value.strip_suffix('%') {
                Some(percent) => percent.parse::<f64>().map(|percent| percent / 100.0),
                None => value.parse(),
            };
            match ratio {
                Ok(ratio) if ratio.is_finite() => Ok((field, ratio)),
                _ => Err(wrong("a ratio (0.8 or 80%)")),
            }
        }
        _ if TEXT_FIELDS.iter().any(|(known, _)| *known == name) => Err(format!("write {name}:{value}")),
        _ => Err(unknown("field", name, fields())),
    }
}

/// A count with an optional k, M or G.
fn records(text: &str) -> Option<f64> {
    let (digits, factor) = match text.char_indices().last()? {
        (at, 'k' | 'K') => (&text[..at], 1e3),
        (at, 'M') => (&text[..at], 1e6),
        (at, 'G') => (&text[..at], 1e9),
        _ => (text, 1.0),
    };
    digits.parse::<f64>().ok().filter(|value| value.is_finite()).map(|value| value * factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tui::fixtures;

    fn passes(text: &str, job: &JobView) -> bool {
        Filter::parse(text).unwrap().job(job)
    }

    /// `fraud-detection` of `payments`: LAGGING, 182,400 records or 15.2 s behind and not catching up, 97 % busy.
    fn sample() -> JobView {
        JobView::clone(fixtures::fleet().job(&fixtures::key("fraud-detection")).unwrap())
    }

    #[test]
    fn words_are_parts_of_name_namespace_or_status() {
        let job = sample();
        for text in ["", "fraud", "FRAUD pay", "lagging", "!orders"] {
            assert!(passes(text, &job), "{text}");
        }
        for text in ["orders", "fraud orders", "!fraud"] {
            assert!(!passes(text, &job), "{text}");
        }
    }

    #[test]
    fn typed_conditions_compare_what_they_name() {
        let job = sample();
        for text in [
            "lag>10s",
            "lag>=15s",
            "lag<1min",
            "lag>180k",
            "lag<=182400",
            "util>0.8",
            "util>80%",
            "bp>0.5",
            "catchup>5min",
            "state:lag",
            "state:running",
            "ns:pay",
            "name=fraud",
            "mode:manual",
            "!util>0.98",
            "ns:pay lag>10s",
        ] {
            assert!(passes(text, &job), "{text}");
        }
        for text in ["lag>16s", "lag>1M", "util>97%", "ns:orders", "mode:auto", "!lag>10s"] {
            assert!(!passes(text, &job), "{text}");
        }
    }

    #[test]
    fn an_unknown_number_satisfies_no_comparison() {
        let mut job = sample();
        job.rates = None;
        assert!(!passes("lag>0", &job) && !passes("lag<1G", &job) && passes("!lag>0", &job));
    }

    #[test]
    fn decisions_are_found_by_name_state_and_id() {
        let fleet = fixtures::fleet();
        let found = |text: &str| {
            let filter = Filter::parse(text).unwrap();
            fleet.decisions.iter().filter(|d| filter.decision(d)).map(|d| d.target.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(found("state:pending"), ["fraud-detection"]);
        assert_eq!(found("id:0badcafe"), ["fx-rates"]);
        assert_eq!(found("5e55"), ["clickstream"]);
        assert!(found("lag>0").is_empty());
    }

    #[test]
    fn a_wrong_condition_says_what_would_be_right() {
        let error = |text: &str| Filter::parse(text).unwrap_err();
        assert_eq!(error("lga>10s"), "unknown field \"lga\"; did you mean \"lag\"?");
        assert_eq!(error("stat:failing"), "unknown field \"stat\"; did you mean \"state\"?");
        assert_eq!(error("util>much"), "util is compared with a ratio (0.8 or 80%), got \"much\"");
        assert_eq!(error("lag>"), "lag is compared with a time (10s) or records (5000, 5k), got \"\"");
        assert_eq!(error("lag:10s"), "compare lag with > or <");
        assert_eq!(error("ns>a"), "write ns:a");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_fail_otherwise_than_with_a_sentence(text in ".{0,40}") {
            match Filter::parse(&text) {
                Ok(filter) => prop_assert_eq!(filter.is_empty(), text.split_whitespace().next().is_none()),
                Err(error) => prop_assert!(!error.is_empty()),
            }
        }
    }
}
