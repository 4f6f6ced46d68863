//! An answer as a report for people: a table of the vertices, what was decided and why, and the explanation as a tree.

use std::fmt::Write as _;

use super::{Answer, Case};
use crate::autoscaler::pass::Pass;
use crate::domain::evaluation::{EvaluatedMetrics, Evaluation, ScalingMetric};
use crate::domain::explanation::{Step, Value};
use crate::domain::topology::Topology;
use crate::domain::units::Unit;

/// Longest vertex name that is shown whole.
const NAME_WIDTH: usize = 40;

const MIB: f64 = 1_048_576.0;

pub(super) fn report(case: &Case, answer: &Answer) -> String {
    let mut text = format!("{} (rules of {})\n", clean(&case.id), case.options.generation);
    for problem in &case.problems {
        let _ = writeln!(text, "  option {}", clean(&problem.to_string()));
    }
    if let (Some(evaluation), Some(topology)) = (&answer.evaluation, case.topology()) {
        text.push_str(&table(evaluation, topology));
    }
    match &answer.pass {
        Some(pass) => decision(&mut text, pass, case.topology()),
        None if answer.evaluation.is_none() => plain(&mut text, &answer.expect, 1),
        None => {}
    }
    if let Some(explanation) = &answer.explanation {
        text.push_str("  explanation\n");
        for step in &explanation.steps {
            tree(&mut text, step, 2, case.topology());
        }
    }
    text
}

/// Text of a case without control characters: it goes to a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn short(name: &str) -> String {
    let name = clean(name);
    if name.chars().count() <= NAME_WIDTH {
        return name;
    }
    let head: String = name.chars().take(NAME_WIDTH - 1).collect();
    format!("{head}…")
}

fn table(evaluation: &Evaluation, topology: &Topology) -> String {
    use ScalingMetric as M;
    let headers = [
        "vertex",
        "parallelism",
        "wanted",
        "busy",
        "capacity/s",
        "target/s",
        "catch-up/s",
        "lag",
        "up below",
        "down above",
    ];
    let row = |(id, m): &(crate::domain::ids::VertexId, EvaluatedMetrics)| -> Vec<String> {
        let name = topology.vertex(*id).map_or_else(|| id.to_string(), |v| short(&v.name));
        vec![
            name,
            count(m.current(M::Parallelism)),
            count(m.current(M::RecommendedParallelism)),
            percent(m.average(M::Load)),
            rate(m.average(M::TrueProcessingRate)),
            rate(m.average(M::TargetDataRate)),
            rate(m.current(M::CatchUpDataRate)),
            count(m.current(M::Lag)),
            count(m.current(M::ScaleUpRateThreshold)),
            count(m.current(M::ScaleDownRateThreshold)),
        ]
    };
    let mut rows = vec![headers.map(str::to_owned).to_vec()];
    rows.extend(evaluation.vertices.iter().map(row));
    let width = |column: usize| rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..headers.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        text.push(' ');
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(text, " {cell:<width$}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        text.push('\n');
    }
    text
}

fn count(value: f64) -> String {
    if value.is_finite() { format!("{value:.0}") } else { word(value) }
}

fn rate(value: f64) -> String {
    if value.is_finite() { format!("{value:.1}") } else { word(value) }
}

fn percent(ratio: f64) -> String {
    if ratio.is_finite() { format!("{:.0} %", ratio * 100.0) } else { word(ratio) }
}

fn word(value: f64) -> String {
    (if value.is_nan() { "–" } else { "∞" }).to_owned()
}

fn decision(text: &mut String, pass: &Pass, topology: Option<&Topology>) {
    let _ = writeln!(text, "  reason      {}", pass.reason.code.id());
    let _ = writeln!(text, "              {}", clean(&pass.reason.sentence));
    let name = |id| topology.and_then(|t| t.vertex(id)).map_or_else(String::new, |v| short(&v.name));
    for change in &pass.changes {
        let _ = writeln!(text, "  change      {}: {} → {}", name(change.vertex), change.from, change.to);
    }
    for id in &pass.excluded {
        let _ = writeln!(text, "  excluded    {id} {}", name(*id));
    }
    if let Some(recommendation) = &pass.recommendation {
        for (key, value) in &recommendation.set {
            let _ = writeln!(text, "  memory      {key}: {value}");
        }
        for key in &recommendation.removed {
            let _ = writeln!(text, "  memory      remove {key}");
        }
    }
    for event in &pass.events {
        let _ = writeln!(text, "  event       {} {}: {}", event.kind, event.reason, clean(&event.message));
    }
}

/// An answer that is no table, as `path: value` lines.
fn plain(text: &mut String, value: &serde_json::Value, depth: usize) {
    let indent = "  ".repeat(depth);
    let mut line = |name: &str, value: &serde_json::Value| match value {
        serde_json::Value::Object(_) | serde_json::Value::Array(_) => {
            let _ = writeln!(text, "{indent}{}", clean(name));
            plain(text, value, depth + 1);
        }
        serde_json::Value::String(word) => {
            let _ = writeln!(text, "{indent}{}: {}", clean(name), clean(word));
        }
        other => {
            let _ = writeln!(text, "{indent}{}: {other}", clean(name));
        }
    };
    match value {
        serde_json::Value::Object(members) => members.iter().for_each(|(name, value)| line(name, value)),
        serde_json::Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, value)| line(&format!("{}.", at + 1), value));
        }
        other => line("answer", other),
    }
}

fn tree(text: &mut String, step: &Step, depth: usize, topology: Option<&Topology>) {
    let _ = write!(text, "{}{}", "  ".repeat(depth), clean(&step.label));
    let vertex = step.vertex.and_then(|id| topology.and_then(|t| t.vertex(id)));
    if let Some(vertex) = vertex.filter(|v| !step.label.contains(&v.name)) {
        let _ = write!(text, " of {}", short(&vertex.name));
    }
    if step.value != Value::Nothing {
        let _ = write!(text, " = {}", value_text(&step.value));
    }
    if let Some(formula) = &step.formula {
        let _ = write!(text, "   [{}]", clean(formula));
    }
    for (at, term) in step.inputs.iter().enumerate() {
        let lead = if at == 0 { "   " } else { ", " };
        let _ = write!(text, "{lead}{} = {}", clean(&term.symbol), value_text(&term.value));
    }
    text.push('\n');
    for child in &step.children {
        tree(text, child, depth + 1, topology);
    }
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Number { value, .. } if !value.is_finite() => word(*value),
        Value::Number { value, unit } => match unit {
            Unit::RecordsPerSecond => format!("{value}/s"),
            Unit::Records => format!("{value} records"),
            Unit::Ratio | Unit::None | Unit::Subtasks => value.to_string(),
            Unit::MsPerSecond => format!("{value} ms/s"),
            Unit::Bytes if *value >= MIB => format!("{:.1} MiB", value / MIB),
            Unit::Bytes => format!("{value} bytes"),
            Unit::TaskManagers => format!("{value} TaskManagers"),
            Unit::Slots => format!("{value} slots"),
            Unit::Cores => format!("{value} cores"),
            Unit::Seconds => format!("{value} s"),
        },
        Value::Flag { value } => (if *value { "yes" } else { "no" }).to_owned(),
        Value::Text { value } => clean(value),
        Value::Instant { value } => super::instant(*value),
        Value::Nothing => "nothing".to_owned(),
    }
}
