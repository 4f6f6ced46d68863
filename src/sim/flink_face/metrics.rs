//! The metrics query language (`flink-rest.md` §1.8): names, values, aggregates.

use serde_json::{Map, Value, json};

use super::dump::{Metric, Metrics};
use super::request::Query;

/// A JSON number, or the string `"NaN"` as Flink writes what is none.
pub fn number(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { Value::String(super::dump::java_double(value)) }
}

/// The aggregations, in the order of an answer to a request that names none.
const AGGREGATIONS: [&str; 5] = ["min", "max", "avg", "sum", "skew"];

/// Which aggregations a request wants.
///
/// # Errors
/// The unknown name.
pub fn wanted_aggregations(query: &Query, skew: bool) -> Result<Vec<&'static str>, String> {
    let asked = query.list("agg");
    if asked.is_empty() {
        return Ok(AGGREGATIONS.into_iter().filter(|name| skew || *name != "skew").collect());
    }
    asked
        .iter()
        .map(|name| {
            let lower = name.to_ascii_lowercase();
            AGGREGATIONS.into_iter().find(|a| *a == lower && (skew || *a != "skew")).ok_or_else(|| name.clone())
        })
        .collect()
}

/// Names only.
pub fn names<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    Value::Array(names.map(|id| json!({ "id": id })).collect())
}

/// Names, or the wanted values as strings; unknown names are left out.
pub fn values(metrics: &Metrics, query: &Query) -> Value {
    if !query.has("get") {
        return names(metrics.iter().map(|(name, _)| name.as_ref()));
    }
    let found = query.list("get").into_iter().filter_map(|wanted| {
        let (name, value) = metrics.iter().find(|(name, _)| *name == wanted)?;
        Some(json!({ "id": name, "value": value.text() }))
    });
    Value::Array(found.collect())
}

/// Names, or aggregates over several owners; one name that none of them has empties the answer.
///
/// # Errors
/// The name of an unknown aggregation.
pub fn aggregates(owners: &[&Metrics], query: &Query, skew: bool) -> Result<Value, String> {
    if !query.has("get") {
        let mut all: Vec<&str> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for (name, _) in owners.iter().flat_map(|m| m.iter()) {
            if seen.insert(name.as_ref()) {
                all.push(name.as_ref());
            }
        }
        return Ok(names(all.into_iter()));
    }
    let aggregations = wanted_aggregations(query, skew)?;
    let mut out = Vec::new();
    for wanted in query.list("get") {
        let found: Vec<&Metric> =
            owners.iter().filter_map(|m| m.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value)).collect();
        if found.is_empty() {
            return Ok(Value::Array(Vec::new()));
        }
        let numbers: Vec<f64> = found.iter().filter_map(|value| value.number()).collect();
        if numbers.is_empty() {
            continue;
        }
        let mut entry = Map::new();
        entry.insert("id".to_owned(), Value::String(wanted));
        for name in &aggregations {
            entry.insert((*name).to_owned(), number(aggregate(name, &numbers)));
        }
        out.push(Value::Object(entry));
    }
    Ok(Value::Array(out))
}

/// One aggregate; a NaN among the numbers makes it NaN.
fn aggregate(name: &str, numbers: &[f64]) -> f64 {
    if numbers.iter().any(|n| n.is_nan()) {
        return f64::NAN;
    }
    let count = numbers.len() as f64;
    let sum: f64 = numbers.iter().sum();
    let mean = sum / count;
    match name {
        "min" => numbers.iter().copied().fold(f64::INFINITY, f64::min),
        "max" => numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        "avg" => mean,
        "sum" => sum,
        // Mean deviation from the mean, in percent of it.
        _ if mean == 0.0 => 0.0,
        _ => numbers.iter().map(|n| (n - mean).abs()).sum::<f64>() / count / mean * 100.0,
    }
}

/// Subtasks that a range such as `0,2-4` selects; one part that is out of bounds or unreadable selects nothing.
pub fn subtask_range(text: &str, parallelism: usize) -> Vec<usize> {
    let mut out = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        match (from.trim().parse::<usize>(), to.trim().parse::<usize>()) {
            (Ok(from), Ok(to)) if from <= to && to < parallelism => out.extend(from..=to),
            _ => return Vec::new(),
        }
    }
    out.sort_unstable();
    out.dedup();
    out
}
