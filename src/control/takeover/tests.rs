use std::sync::Arc;

use super::*;
use crate::control::ownership::tests::resource;
use crate::domain::ids::VertexId;

const MAP: &str = "0000000000000000000000000000000b:2,0000000000000000000000000000000a:4";

fn vertex(n: u128) -> VertexId {
    VertexId::from_u128(n)
}

fn version(minor: u32) -> OperatorView {
    OperatorView { exact: Some(OperatorVersion { major: 1, minor }), ..OperatorView::default() }
}

/// A job that the operator scaled.
fn scaled(configuration: &[(&str, &str)]) -> Resource {
    let mut r = resource(configuration);
    let mut reconciled = r.configuration.clone();
    reconciled.insert(OVERRIDES_KEY.to_owned(), MAP.to_owned());
    r.reconciled = Some(Arc::new(reconciled));
    r.reset_nonce = Some(6);
    r
}

fn stored() -> OperatorState {
    OperatorState { overrides: [(vertex(10), 4), (vertex(11), 2)].into(), ..OperatorState::default() }
}

const ON: [(&str, &str); 1] = [("job.autoscaler.enabled", "true")];

fn set<'a>(patch: &'a ResourcePatch, key: &str) -> Option<&'a str> {
    patch.configuration.get(key).and_then(Option::as_deref)
}

#[test]
fn from_1_11_on_the_gate_is_closed_with_a_fresh_nonce_and_what_is_injected_becomes_the_spec() {
    let patch = take_over(&scaled(&ON), &stored(), &version(11), DecisionId(7)).unwrap();
    assert_eq!(set(&patch, OVERRIDES_KEY), Some(MAP), "verbatim, in the operator's own order");
    assert_eq!(set(&patch, "job.autoscaler.scaling.enabled"), Some("false"));
    assert_eq!(patch.reset_nonce, Some(7));
    assert!(!patch.configuration.contains_key("job.autoscaler.enabled"));
    assert_eq!(patch.annotation().unwrap().parallelism.len(), 2);
}

#[test]
fn before_1_11_and_when_it_is_not_known_the_autoscaler_is_switched_off_with_the_map() {
    for operator in [version(8), version(10), OperatorView::default()] {
        let patch = take_over(&scaled(&ON), &stored(), &operator, DecisionId(7)).unwrap();
        assert_eq!(set(&patch, OVERRIDES_KEY), Some(MAP));
        assert_eq!(set(&patch, "job.autoscaler.enabled"), Some("false"));
        assert_eq!(patch.reset_nonce, None, "the field would be pruned");
    }
}

#[test]
fn the_legacy_spelling_is_kept() {
    let legacy = [("kubernetes.operator.job.autoscaler.enabled", "true")];
    let patch = take_over(&scaled(&legacy), &stored(), &version(8), DecisionId(7)).unwrap();
    assert_eq!(set(&patch, "kubernetes.operator.job.autoscaler.enabled"), Some("false"));
    let patch = take_over(&scaled(&legacy), &stored(), &version(12), DecisionId(7)).unwrap();
    assert_eq!(set(&patch, "kubernetes.operator.job.autoscaler.scaling.enabled"), Some("false"));
}

#[test]
fn memory_that_was_injected_becomes_the_spec_as_well() {
    let mut r = scaled(&[("job.autoscaler.enabled", "true"), ("taskmanager.memory.size", "1g")]);
    let mut reconciled = (**r.reconciled.as_ref().unwrap()).clone();
    reconciled.insert("taskmanager.memory.managed.fraction".into(), "0.3".into());
    reconciled.remove("taskmanager.memory.size");
    r.reconciled = Some(Arc::new(reconciled));
    r.reconciled_memory = Some("3221225472".into());
    let mut state = stored();
    state.configuration.set.insert(PROCESS_SIZE.into(), "3221225472".into());
    state.configuration.set.insert("taskmanager.memory.managed.fraction".into(), "0.3".into());
    state.configuration.removed.push("taskmanager.memory.size".into());
    let patch = take_over(&r, &state, &version(12), DecisionId(7)).unwrap();
    assert_eq!(patch.task_manager_memory.as_deref(), Some("3221225472"));
    assert_eq!(set(&patch, "taskmanager.memory.managed.fraction"), Some("0.3"));
    assert_eq!(patch.configuration.get("taskmanager.memory.size"), Some(&None));
    r.kind = JobKind::FlinkSessionJob;
    let patch = take_over(&r, &state, &version(12), DecisionId(7)).unwrap();
    assert_eq!(patch.task_manager_memory, None, "a session job has no memory of its own");
}

#[test]
fn a_job_that_was_never_scaled_needs_no_map() {
    let mut r = resource(&ON);
    r.reconciled = Some(Arc::new(r.configuration.clone()));
    let patch = take_over(&r, &OperatorState::default(), &version(8), DecisionId(7)).unwrap();
    assert_eq!(patch.configuration.keys().collect::<Vec<_>>(), ["job.autoscaler.enabled"]);
}

#[test]
fn nothing_is_taken_over_while_the_operator_is_at_work() {
    let refused = |r: &Resource, state: &OperatorState| take_over(r, state, &version(12), DecisionId(7)).unwrap_err();
    let mut r = scaled(&ON);
    r.lifecycle = Some("UPGRADING".into());
    assert!(refused(&r, &stored()).contains("at work"));
    let mut r = scaled(&ON);
    r.generation = 3;
    assert!(refused(&r, &stored()).contains("at work"));
    let mut state = stored();
    state.overrides.insert(vertex(10), 5);
    assert!(refused(&scaled(&ON), &state).contains("about to rescale"));
    let mut r = scaled(&ON);
    r.reconciled = None;
    assert!(refused(&r, &stored()).contains("cannot be read"));
    assert!(refused(&resource(&[]), &OperatorState::default()).contains("nothing to take over"));
}

#[test]
fn overrides_that_are_still_injected_behind_a_closed_gate_can_be_taken_over() {
    let closed = [("job.autoscaler.enabled", "true"), ("job.autoscaler.scaling.enabled", "false")];
    assert!(can_take_over(&scaled(&closed), &stored()));
    assert!(!can_take_over(&scaled(&closed), &OperatorState::default()));
    assert!(!can_take_over(&resource(&[("job.autoscaler.enabled", "false")]), &stored()), "nothing is injected");
    // Switched on by the operator's own configuration, as its overrides show.
    let patch = take_over(&scaled(&[]), &stored(), &version(12), DecisionId(7)).unwrap();
    assert_eq!(set(&patch, "job.autoscaler.scaling.enabled"), Some("false"));
    let mut taken = resource(&[("job.autoscaler.scaling.enabled", "false")]);
    assert!(!can_hand_back(&taken), "somebody else closed it");
    taken.applied = patch.applied.flatten();
    assert_eq!(set(&hand_back(&taken).unwrap(), "job.autoscaler.scaling.enabled"), Some("true"));
}

#[test]
fn handing_back_opens_what_was_closed_and_leaves_the_map() {
    let closed =
        [("job.autoscaler.enabled", "true"), ("job.autoscaler.scaling.enabled", "false"), (OVERRIDES_KEY, MAP)];
    let patch = hand_back(&resource(&closed)).unwrap();
    assert_eq!(set(&patch, "job.autoscaler.scaling.enabled"), Some("true"));
    assert_eq!(patch.configuration.len(), 1, "the map stays as it is");
    assert_eq!(patch.applied, Some(None));
    // What an older operator's take-over switched off is switched on again.
    let mut r = resource(&[("job.autoscaler.enabled", "false")]);
    assert!(hand_back(&r).unwrap_err().contains("nobody to hand back to"), "the user switched it off");
    let configuration = [("job.autoscaler.enabled".to_owned(), Some("false".to_owned()))].into();
    r.applied = Some(Applied { decision: DecisionId(1), parallelism: BTreeMap::new(), configuration });
    assert_eq!(set(&hand_back(&r).unwrap(), "job.autoscaler.enabled"), Some("true"));
    assert!(hand_back(&resource(&ON)).unwrap_err().contains("acts already"));
}

#[test]
fn the_users_entries_of_excluded_and_unknown_vertices_stay() {
    let id = "0000000000000000000000000000000a";
    let r = resource(&[
        ("job.autoscaler.vertex.exclude.ids", id),
        (OVERRIDES_KEY, &format!("{id}:3,0000000000000000000000000000000c:9")),
    ]);
    let wanted = [(vertex(10), 8), (vertex(11), 6)].into();
    assert_eq!(complete_map(&r, &wanted), [(vertex(10), 3), (vertex(11), 6), (vertex(12), 9)].into());
}
