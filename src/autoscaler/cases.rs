//! Recorded cases: JSON Lines with the inputs of the autoscaler, answered with what it makes of them.
//!
//! Owns the text form of cases and answers (`flightdeck eval` reads and prints them) and how a case is run. It computes
//! nothing itself and reads no files: a line comes in as text, an answer goes out as a JSON value.

pub mod collect;
pub mod history;
pub mod json;
pub mod pass;
mod report;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::json::{At, JsonError};
use super::generation::Generation;
use super::options::{Layer, OptionProblem, Options, ProblemKind};
use super::pass::Pass;
use crate::domain::evaluation::Evaluation;
use crate::domain::explanation::Explanation;
use crate::domain::topology::Topology;

/// A line that is no case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaseError {
    /// It is no JSON.
    #[error("{path}: column {column}: {message}")]
    Syntax {
        /// The member in which it breaks off, e.g. `$.window[3].at`.
        path: String,
        /// Where in the line, counted from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// It is JSON, but not a case.
    #[error(transparent)]
    Shape(#[from] JsonError),
}

/// What a case asks.
#[derive(Debug, Clone)]
enum Question {
    /// Evaluated metrics of one window.
    Evaluate(Box<pass::PassCase>),
    /// One whole pass after collection.
    Decide(Box<pass::PassCase>),
    /// Clamp and alignment of one vertex.
    Align(history::AlignCase),
    /// Window bookkeeping over several loops.
    Loops(history::LoopsCase),
    /// Rate and average of one series.
    Series(history::SeriesCase),
    /// Restart tracking over scalings and loops.
    Restart(history::RestartCase),
    /// Collection over several loops.
    Collect(collect::CollectCase),
}

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its id.
    pub id: String,
    /// The options, which carry the generation of rules.
    pub options: Options,
    /// What is wrong with the options.
    pub problems: Vec<OptionProblem>,
    question: Question,
}

/// The answer to a case.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The id of the case.
    pub id: String,
    /// The answer in the shape of the case's `expect`.
    pub expect: Value,
    /// The evaluated window, where the case asks for one and it could be evaluated.
    pub evaluation: Option<Evaluation>,
    /// The pass, where the case asks for one and it was run.
    pub pass: Option<Box<Pass>>,
    /// The explanation, if it was asked for and the case has one.
    pub explanation: Option<Explanation>,
}

impl Answer {
    fn plain(expect: Value) -> Self {
        Self { id: String::new(), expect, evaluation: None, pass: None, explanation: None }
    }

    /// The answer as it is printed: `id`, `expect`, and `explanation` if there is one.
    pub fn to_json(&self) -> Value {
        let mut value = json!({"id": self.id, "expect": self.expect});
        if let Some(explanation) = &self.explanation {
            value["explanation"] = json!(explanation);
        }
        value
    }
}

impl Case {
    /// Reads a case from one line. Members that are not inputs, `expect` among them, are ignored.
    ///
    /// # Errors
    /// If the line is no JSON or lacks something that a case of its kind needs.
    pub fn parse(line: &str) -> Result<Self, CaseError> {
        let line = line.trim_end();
        let value: Value = serde_json::from_str(line).map_err(|error| syntax(line, &error))?;
        let root = At::root(&value);
        let id = root.get("id")?.text()?.to_owned();
        let generation: Generation = root.get("compat")?.parse()?;
        let options = match root.find("options") {
            Some(options) => texts(&options)?,
            None => BTreeMap::new(),
        };
        let (options, problems) = Options::from_layers(generation, &[(Layer::Job, &options)]);
        let question = if let Some(align) = root.find("align") {
            Question::Align(history::AlignCase::read(&align)?)
        } else if let Some(loops) = root.find("loops") {
            Question::Loops(history::LoopsCase::read(&loops)?)
        } else if root.find("series").is_some() {
            Question::Series(history::SeriesCase::read(&root)?)
        } else if let Some(steps) = root.find("steps") {
            Question::Restart(history::RestartCase::read(&steps)?)
        } else if let Some(observations) = root.find("observations") {
            Question::Collect(collect::CollectCase::read(&observations)?)
        } else if root.find("restart_time_seconds").is_some() {
            Question::Evaluate(Box::new(pass::PassCase::read(&root, &options)?))
        } else {
            Question::Decide(Box::new(pass::PassCase::read(&root, &options)?))
        };
        Ok(Self { id, options, problems, question })
    }

    /// Answers the case.
    pub fn answer(&self, explain: bool) -> Answer {
        let unparsable = self.problems.iter().find(|problem| problem.kind == ProblemKind::Unparsable);
        let options = &self.options;
        let answer = match (&self.question, unparsable) {
            // With an option that cannot be read the operator fails whatever needs it.
            (Question::Decide(_), Some(problem)) => Answer::plain(pass::failed(problem)),
            (_, Some(problem)) => Answer::plain(json!({"error": problem.to_string()})),
            (Question::Decide(case), None) => pass::decide(case, options, explain),
            (Question::Evaluate(case), None) => pass::evaluate(case, options, explain),
            (Question::Align(case), None) => Answer::plain(case.answer(options)),
            (Question::Loops(case), None) => Answer::plain(case.answer(options)),
            (Question::Series(case), None) => Answer::plain(case.answer(options.generation)),
            (Question::Restart(case), None) => Answer::plain(case.answer(options)),
            (Question::Collect(case), None) => Answer::plain(case.answer(options)),
        };
        Answer { id: self.id.clone(), ..answer }
    }

    /// The answer as a report for people.
    pub fn report(&self, answer: &Answer) -> String {
        report::report(self, answer)
    }

    /// The topology of a case about a window.
    fn topology(&self) -> Option<&Topology> {
        match &self.question {
            Question::Evaluate(case) | Question::Decide(case) => Some(case.topology()),
            _ => None,
        }
    }
}

/// What breaks a line that is no JSON. The line is read once more, for the path that nobody needs of a good one.
fn syntax(line: &str, error: &serde_json::Error) -> CaseError {
    let read = serde_path_to_error::deserialize::<_, Value>(&mut serde_json::Deserializer::from_str(line));
    let path = match read.map_err(|error| error.path().to_string()) {
        Err(path) if path == "." => "$".to_owned(),
        Err(path) if path.starts_with('[') => format!("${path}"),
        Err(path) => format!("$.{path}"),
        // What follows the value is wrong.
        Ok(_) => "$".to_owned(),
    };
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
    CaseError::Syntax { path, column: error.column(), message }
}

/// An object of texts.
fn texts(at: &At<'_>) -> Result<BTreeMap<String, String>, JsonError> {
    at.members()?.map(|(name, member)| Ok((name.to_owned(), member.text()?.to_owned()))).collect()
}

/// A double as cases write it: NaN and the infinities are texts.
fn number(value: f64) -> Value {
    match value {
        _ if value.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        _ => json!(value),
    }
}

/// An instant as cases write it.
fn instant(at: crate::domain::Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
