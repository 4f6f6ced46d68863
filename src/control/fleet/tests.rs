use super::*;
use crate::control::ownership::tests::resource;

#[test]
fn a_session_job_runs_on_the_configuration_of_its_cluster_but_has_its_own_map() {
    let cluster = resource(&[("jobmanager.scheduler", "adaptive"), (OVERRIDES_KEY, "x:1"), ("a", "cluster")]);
    let job = resource(&[("a", "job")]);
    let described = on_its_cluster(&job, &cluster);
    assert_eq!(described.configuration["jobmanager.scheduler"], "adaptive");
    assert_eq!(described.configuration["a"], "job");
    assert!(!described.configuration.contains_key(OVERRIDES_KEY));
}
