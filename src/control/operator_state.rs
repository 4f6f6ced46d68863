//! What the operator's autoscaler keeps of a job in its ConfigMap (`operator.md` §7.4), read and never written.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decisions::StableHash;
use super::ownership::parse_overrides;
use super::ports::AutoscalerState;
use crate::domain::decision::ConfigChanges;
use crate::domain::ids::VertexId;
use crate::domain::kubernetes::OperatorScaling;
use crate::domain::scaling::ScalingState;
use crate::state::documents::{self, DocumentError};

/// Keys of the ConfigMap that are known.
const OVERRIDES: &str = "parallelismOverrides";
const CONFIGURATION: &str = "configOverrides";
const KNOWN: [&str; 6] =
    [OVERRIDES, CONFIGURATION, "scalingHistory", "scalingTracking", "collectedMetrics", "delayedScaleDown"];

/// The part that decides what the operator injects, and all of it for people.
#[derive(Debug, Clone, Default)]
pub(super) struct OperatorState {
    /// Overrides that it injects into the spec.
    pub overrides: BTreeMap<VertexId, i32>,
    /// Configuration that it injects.
    pub configuration: ConfigChanges,
    /// Everything for a screen.
    pub shown: Arc<OperatorScaling>,
    /// Of the documents as stored: numbers that are none are never equal.
    pub print: u64,
}

impl PartialEq for OperatorState {
    fn eq(&self, other: &Self) -> bool {
        self.print == other.print && self.overrides == other.overrides && self.configuration == other.configuration
    }
}

/// A document, if it is there and can be read; else it is named among the broken ones.
fn read<T>(
    state: &AutoscalerState,
    key: &str,
    read: impl Fn(&str) -> Result<T, DocumentError>,
    broken: &mut Vec<(String, String)>,
) -> Option<T> {
    match read(state.data.get(key)?) {
        Ok(found) => Some(found),
        Err(error) => {
            broken.push((key.to_owned(), error.to_string()));
            None
        }
    }
}

impl OperatorState {
    /// Reads the documents.
    pub fn read(state: &AutoscalerState) -> Self {
        let mut broken = Vec::new();
        let overrides = state.data.get(OVERRIDES).map(|text| parse_overrides(text)).unwrap_or_default();
        let entry = |e: &&str| !e.trim_matches([' ', '\n', '{', '}']).is_empty();
        let entries = state.data.get(OVERRIDES).map_or(0, |t| t.split(',').filter(entry).count());
        if entries != overrides.len() {
            broken.push((OVERRIDES.to_owned(), "an entry is not vertex:parallelism".to_owned()));
        }
        let configuration = match state.data.get(CONFIGURATION).map(|text| config_changes(text)) {
            None => ConfigChanges::default(),
            Some(Ok(changes)) => changes,
            Some(Err(why)) => {
                broken.push((CONFIGURATION.to_owned(), why));
                ConfigChanges::default()
            }
        };
        let unknown = state.data.keys().filter(|key| !KNOWN.contains(&key.as_str())).cloned().collect();
        let kept = ScalingState {
            history: read(state, "scalingHistory", documents::scaling_history, &mut broken).unwrap_or_default(),
            restarts: read(state, "scalingTracking", documents::scaling_tracking, &mut broken).unwrap_or_default(),
            delayed_scale_down: read(state, "delayedScaleDown", documents::delayed_scale_down, &mut broken)
                .unwrap_or_default(),
            parallelism_overrides: overrides.clone(),
            config_overrides: configuration.clone(),
        };
        let window = read(state, "collectedMetrics", documents::collected_metrics, &mut broken).map(Arc::new);
        let shown = Arc::new(OperatorScaling { state: Arc::new(kept), window, unknown, broken });
        let mut print = StableHash::new();
        for (key, text) in state.data.iter() {
            print = print.field(key.as_bytes()).field(text.as_bytes());
        }
        Self { overrides, configuration, shown, print: print.finish() }
    }
}

/// `overrides:` and `removals:` in YAML.
fn config_changes(text: &str) -> Result<ConfigChanges, String> {
    #[derive(serde::Deserialize, Default)]
    #[serde(default)]
    struct Document {
        overrides: Option<BTreeMap<String, serde_json::Value>>,
        removals: Option<Vec<String>>,
    }
    if text.len() > 1 << 20 {
        return Err("it is too long".to_owned());
    }
    let document: Document =
        serde_saphyr::from_str(text).map_err(|e| e.to_string().lines().next().unwrap_or_default().to_owned())?;
    let plain = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(ConfigChanges {
        set: document.overrides.unwrap_or_default().into_iter().map(|(k, v)| (k, plain(v))).collect(),
        removed: document.removals.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(data: &[(&str, &str)]) -> OperatorState {
        let data = data.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        OperatorState::read(&AutoscalerState { data: Arc::new(data), ..AutoscalerState::default() })
    }

    #[test]
    fn what_is_injected_is_read_and_unknown_keys_are_named() {
        let found = state(&[
            (OVERRIDES, "0000000000000000000000000000000a:4,0000000000000000000000000000000b:2"),
            (CONFIGURATION, "removals: [a.b]\noverrides: {taskmanager.memory.process.size: 2147483648}\n"),
            ("brandNew", "x"),
        ]);
        assert_eq!(found.overrides.len(), 2);
        assert_eq!(found.configuration.set["taskmanager.memory.process.size"], "2147483648");
        assert_eq!(found.configuration.removed, ["a.b"]);
        assert_eq!(found.shown.unknown, ["brandNew"]);
        assert!(found.shown.broken.is_empty());
    }

    #[test]
    fn a_broken_document_is_named_and_the_others_are_read() {
        let found =
            state(&[(OVERRIDES, "0000000000000000000000000000000a:4,nonsense"), (CONFIGURATION, "overrides: [")]);
        let names: Vec<_> = found.shown.broken.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(names, [OVERRIDES, CONFIGURATION]);
        assert_eq!(found.overrides.len(), 1);
        assert!(state(&[]).overrides.is_empty() && state(&[]).shown.broken.is_empty());
    }
}
