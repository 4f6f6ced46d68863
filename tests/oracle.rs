//! Answers recorded cases and compares them with what the Java autoscaler made of the same inputs.
//!
//! `tests/data/oracle` holds a subset of every family and both generations; `mutated-*` are such cases with numbers, options and
//! answers at the edge of what occurs (lags that are no number, plans without vertices, rates beyond 2^54). Any other file or folder of cases
//! (`.jsonl`, `.jsonl.gz`) is run with
//!
//! ```text
//! FLIGHTDECK_ORACLE=path cargo test --test oracle
//! ```
//!
//! Doubles are equal up to a relative error of 1e-9, everything else exactly; of event texts other than the scaling report
//! only the facts count (ids, numbers, enabled or disabled).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use flightdeck::autoscaler::cases::Case;
use serde_json::Value;

#[test]
fn every_committed_case_matches() {
    let checked = check(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/oracle")));
    assert!(checked >= 300, "only {checked} cases were found");
}

#[test]
fn every_case_of_the_given_path_matches() {
    if let Some(path) = std::env::var_os("FLIGHTDECK_ORACLE") {
        assert!(check(Path::new(&path)) > 0, "no cases at {}", path.display());
    }
}

/// Checks all cases of a file or folder; returns how many there were.
fn check(path: &Path) -> usize {
    let mut files: Vec<PathBuf> = match path.is_dir() {
        true => std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect(),
        false => vec![path.to_owned()],
    };
    files.retain(|file| [".jsonl", ".jsonl.gz"].iter().any(|end| file.to_string_lossy().ends_with(end)));
    files.sort();
    let mut checked = 0;
    let mut wrong = Vec::new();
    for file in files {
        for line in read(&file).lines().filter(|line| !line.trim().is_empty()) {
            checked += 1;
            wrong.extend(difference(line));
        }
    }
    let shown = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {checked} cases differ:\n{shown}", wrong.len());
    checked
}

fn read(file: &Path) -> String {
    let bytes = std::fs::read(file).unwrap();
    let mut text = String::new();
    match file.extension().is_some_and(|e| e == "gz") {
        true => flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap(),
        false => (&*bytes).read_to_string(&mut text).unwrap(),
    };
    text
}

/// The first difference between the answer and what is expected.
fn difference(line: &str) -> Option<String> {
    let expected: Value = serde_json::from_str(line).unwrap();
    let id = expected["id"].as_str().unwrap();
    let case = match Case::parse(line) {
        Ok(case) => case,
        Err(error) => return Some(format!("{id}: {error}")),
    };
    let answer = case.answer(false);
    // An explanation must not change the answer, and a second run must give the same.
    let again = case.answer(true);
    if answer.expect != again.expect {
        return Some(format!("{id}: the answer with explanation differs"));
    }
    compare("", &expected["expect"], &answer.expect, false).err().map(|text| format!("{id}: {text}"))
}

const DOUBLES: [&str; 7] =
    ["current", "average", "rate", "restart_time_seconds", "restart_duration_seconds", "interval_seconds", "cpu"];

fn is_id(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Nothing, or a pair without any number.
fn is_unknown(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(pair) => {
            pair.keys().all(|k| k == "current" || k == "average")
                && pair.values().all(|v| v.is_null() || v.as_str() == Some("NaN"))
        }
        _ => false,
    }
}

fn compare(path: &str, a: &Value, b: &Value, double: bool) -> Result<(), String> {
    let last = path.rsplit('.').next().unwrap_or_default();
    let differ = || Err(format!("{path}: expected {a}, got {b}"));
    if last == "error" {
        return if a.is_null() == b.is_null() { Ok(()) } else { differ() };
    }
    if is_unknown(a) && is_unknown(b) {
        return Ok(());
    }
    match (a, b) {
        (Value::Array(x), Value::Array(y)) if last == "events" => compare_events(path, x, y),
        (Value::Object(x), Value::Object(y)) => {
            let names: BTreeSet<&String> = x.keys().chain(y.keys()).collect();
            names.into_iter().try_for_each(|name| {
                let in_metrics = double || last == "global";
                let upper = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
                let double =
                    DOUBLES.contains(&name.as_str()) || (in_metrics && upper) || (last == "vertices" && is_id(name));
                let null = Value::Null;
                let path = format!("{path}.{name}");
                compare(&path, x.get(name).unwrap_or(&null), y.get(name).unwrap_or(&null), double)
            })
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            x.iter().zip(y).enumerate().try_for_each(|(at, (x, y))| compare(&format!("{path}[{at}]"), x, y, double))
        }
        (Value::Number(x), Value::Number(y)) => {
            let (x, y) = (x.as_f64().unwrap(), y.as_f64().unwrap());
            let near = x == y || (double && (x - y).abs() <= 1e-9 * x.abs().max(1.0));
            if near { Ok(()) } else { differ() }
        }
        _ if a == b => Ok(()),
        _ => differ(),
    }
}

fn compare_events(path: &str, a: &[Value], b: &[Value]) -> Result<(), String> {
    let text = |event: &Value, name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let sorted = |events: &[Value]| {
        let mut events = events.to_vec();
        events.sort_by_key(|e| (text(e, "reason"), text(e, "key"), report(&text(e, "message"))));
        events
    };
    let (a, b) = (sorted(a), sorted(b));
    let names = |events: &[Value]| events.iter().map(|e| (text(e, "reason"), text(e, "key"))).collect::<Vec<_>>();
    if names(&a) != names(&b) {
        return Err(format!("{path}: expected {:?}, got {:?}", names(&a), names(&b)));
    }
    for (x, y) in a.iter().zip(&b) {
        for part in ["type", "interval_seconds"] {
            compare(&format!("{path}.{part}"), &x[part], &y[part], true)?;
        }
        let (m, n) = (text(x, "message"), text(y, "message"));
        let same = match text(x, "reason").as_str() {
            "ScalingReport" => report(&m) == report(&n),
            "Configuration recommendation" => facts(m.lines().next().unwrap()) == facts(n.lines().next().unwrap()),
            "AutoscalerError" => true,
            _ => facts(&m) == facts(&n),
        };
        if !same {
            return Err(format!("{path}: expected {m:?}, got {n:?}"));
        }
    }
    Ok(())
}

/// A scaling report with its entries in order.
fn report(message: &str) -> String {
    let Some(at) = message.find("{ Vertex ID") else { return message.to_owned() };
    let (head, entries) = message.split_at(at);
    let mut entries: Vec<&str> = entries.split_inclusive('}').collect();
    entries.sort_unstable();
    head.to_owned() + &entries.concat()
}

/// Ids, numbers and the words enabled and disabled of a text, in order.
fn facts(message: &str) -> Vec<String> {
    let pattern = r"[0-9a-f]{32}|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|NaN|-?Infinity|\benabled\b|\bdisabled\b";
    let pattern = regex::Regex::new(pattern).unwrap();
    pattern.find_iter(message).map(|m| m.as_str().to_owned()).collect()
}
