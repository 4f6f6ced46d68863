use super::*;
use crate::control::ports::{Applied, ResourceRef};
use crate::domain::decision::DecisionId;

pub(in crate::control) fn resource(configuration: &[(&str, &str)]) -> Resource {
    Resource {
        reference: ResourceRef { namespace: "shop".into(), name: "orders".into(), session_job: false },
        kind: JobKind::FlinkDeployment,
        uid: "u-1".into(),
        resource_version: "10".into(),
        generation: 2,
        observed_generation: Some(2),
        created_at: None,
        deleting: false,
        configuration: configuration.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        native: true,
        flink_version: Some("v1_20".into()),
        suspended: false,
        upgrade_mode: Some("savepoint".into()),
        deployment_name: None,
        task_manager_cpu: None,
        task_manager_memory: None,
        ingress: None,
        lifecycle: Some("STABLE".into()),
        job_manager: Some("READY".into()),
        job_state: Some("RUNNING".into()),
        job_id: None,
        error: None,
        invalid: false,
        applied: None,
        error_reason: None,
        managers: vec![],
        twins: vec![],
        canary: false,
        blue_green: None,
        reset_nonce: None,
        reconciled: None,
        reconciled_memory: None,
        placement: std::sync::Arc::default(),
        operator: None,
    }
}

fn vertex(n: u128) -> VertexId {
    VertexId::from_u128(n)
}

fn role(ownership: &Ownership) -> &'static str {
    match ownership {
        Ownership::Observer { .. } => "observer",
        Ownership::Pilot { .. } => "pilot",
        Ownership::Conflict { .. } => "conflict",
    }
}

#[test]
fn the_operators_options_decide_who_scales() {
    let role_with = |configuration: &[(&str, &str)]| role(&of_resource(&resource(configuration), &[]));
    assert_eq!(role_with(&[]), "pilot");
    assert_eq!(role_with(&[("job.autoscaler.enabled", "false")]), "pilot");
    assert_eq!(role_with(&[("job.autoscaler.enabled", "true")]), "observer");
    assert_eq!(role_with(&[("kubernetes.operator.job.autoscaler.enabled", "TRUE")]), "observer");
    let advises = [("job.autoscaler.enabled", "true"), ("job.autoscaler.scaling.enabled", "false")];
    assert_eq!(role_with(&advises), "pilot");
    assert_eq!(role(&of_plain_flink()), "pilot");
}

#[test]
fn an_entry_changed_after_we_wrote_it_is_theirs_and_a_conflict() {
    let ours = BTreeMap::from([(vertex(1), 4), (vertex(2), 2)]);
    let mut r = resource(&[(OVERRIDES_KEY, &format_overrides(&ours))]);
    r.applied = Some(Applied { decision: DecisionId(1), parallelism: ours.clone(), configuration: BTreeMap::new() });
    assert_eq!(role(&of_resource(&r, &[])), "pilot");
    let theirs = BTreeMap::from([(vertex(1), 4), (vertex(2), 3), (vertex(3), 1)]);
    r.configuration.insert(OVERRIDES_KEY.into(), format_overrides(&theirs));
    let Ownership::Conflict { why } = of_resource(&r, &[]) else { panic!() };
    assert!(why.contains(&vertex(2).to_string()), "{why}");
    r.configuration.remove(OVERRIDES_KEY);
    assert_eq!(role(&of_resource(&r, &[])), "pilot");
}

#[test]
fn overrides_kept_by_the_operator_stop_an_approval_that_touches_them() {
    let stored = BTreeMap::from([(vertex(1), 4)]);
    assert_eq!(overruled(&stored, [vertex(2)]), None);
    assert!(overruled(&stored, [vertex(2), vertex(1)]).unwrap().contains("take the job over"));
}

#[test]
fn the_map_text_is_read_and_written_as_flink_does_it() {
    let map = BTreeMap::from([(vertex(1), 4), (vertex(2), 2)]);
    let text = format_overrides(&map);
    assert_eq!(text, "00000000000000000000000000000001:4,00000000000000000000000000000002:2");
    assert_eq!(parse_overrides(&text), map);
    assert_eq!(parse_overrides(&format!(" '{}:4' , nonsense, {}:x", vertex(1), vertex(2))), [(vertex(1), 4)].into());
    assert_eq!(parse_overrides(""), BTreeMap::new());
}

#[test]
fn plain_flink_is_rescaled_only_where_it_says_it_can() {
    let why = |scheduler, rescale| match realization_of_flink(scheduler, rescale, Some("1.17.2")) {
        Realization::AdviseOnly { why } => why,
        other => format!("{other:?}"),
    };
    assert_eq!(why(Scheduler::Adaptive, true), "ResourceRequirements");
    assert!(why(Scheduler::Default, false).contains("jobmanager.scheduler: adaptive"));
    assert!(why(Scheduler::Adaptive, false).contains("1.18"));
}

#[test]
fn in_place_needs_native_mode_and_the_adaptive_scheduler() {
    let in_place = |r: &Resource| realization_of_resource(r) == Realization::PatchResource { in_place: true };
    let adaptive = [("jobmanager.scheduler", "Adaptive")];
    assert!(in_place(&resource(&adaptive)));
    assert!(!in_place(&resource(&[])));
    assert!(!in_place(&Resource { native: false, ..resource(&adaptive) }));
    assert!(!in_place(&Resource { flink_version: Some("v1_17".into()), ..resource(&adaptive) }));
    let forbidden = [adaptive[0], ("kubernetes.operator.job.upgrade.inplace-scaling.enabled", "false")];
    assert!(!in_place(&resource(&forbidden)));
    let deleting = Resource { deleting: true, ..resource(&adaptive) };
    assert!(matches!(realization_of_resource(&deleting), Realization::AdviseOnly { .. }));
}

#[test]
fn the_map_is_read_in_both_of_flinks_forms() {
    let id = "0000000000000000000000000000000a";
    let expected = BTreeMap::from([(vertex(10), 4), (vertex(11), 2)]);
    for text in [
        format!("{id}:4,0000000000000000000000000000000b:2"),
        format!("{{{id}: '4', 0000000000000000000000000000000b: '2'}}"),
        format!("{{'{id}': \"4\", \"0000000000000000000000000000000b\": 2}}"),
    ] {
        assert_eq!(parse_overrides(&text), expected, "{text}");
    }
    assert!(parse_overrides("{}").is_empty() && parse_overrides("").is_empty());
}
