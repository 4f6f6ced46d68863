//! The complete map of parallelism overrides that a realizer writes (`autoscaler.md` §1.5).

use std::collections::{BTreeMap, BTreeSet};

use super::options::Options;
use crate::domain::ids::VertexId;

/// The stored overrides on top of the user's: ours win, except for excluded vertices, and what the user says of vertices
/// that are not known is kept. `None` if there are none of ours: then nothing is written.
///
/// `excluded` holds the vertices excluded in this pass besides the user's list.
pub fn merge_overrides(
    options: &Options,
    stored: &BTreeMap<VertexId, i32>,
    excluded: &BTreeSet<VertexId>,
) -> Option<BTreeMap<String, String>> {
    if stored.is_empty() {
        return None;
    }
    let users = options.excluded_vertices();
    let mut merged = options.parallelism_overrides.clone();
    for (id, parallelism) in stored {
        let (key, value) = (id.to_string(), parallelism.to_string());
        if users.contains(id) || excluded.contains(id) {
            merged.entry(key).or_insert(value);
        } else {
            merged.insert(key, value);
        }
    }
    Some(merged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autoscaler::generation::Generation;
    use crate::autoscaler::options::Layer;

    #[test]
    fn ours_win_but_for_excluded_vertices() {
        let [v1, v2] = [1, 2].map(VertexId::from_u128);
        let text = |pairs: &[(VertexId, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(id, p)| (id.to_string(), (*p).to_owned())).collect()
        };
        let key = "pipeline.jobvertex-parallelism-overrides".to_owned();
        let user = [(key, format!("{v1}:1,{v2}:4"))].into();
        let (options, _) = Options::from_layers(Generation::Main, &[(Layer::Job, &user)]);
        let stored = [(v1, 2)].into();
        assert_eq!(merge_overrides(&options, &stored, &[].into()), Some(text(&[(v1, "2"), (v2, "4")])));
        assert_eq!(merge_overrides(&options, &stored, &[v1].into()), Some(text(&[(v1, "1"), (v2, "4")])));
        assert_eq!(merge_overrides(&options, &BTreeMap::new(), &[].into()), None);
    }
}
