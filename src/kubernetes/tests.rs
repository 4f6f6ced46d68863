use serde_json::{Value, json};

use super::objects::project;
use super::*;
use crate::domain::job::JobState;

/// A running application as operators 1.8 and 1.9 write it (values invented, shape by `operator.md` §1.14.1).
fn running_application() -> Value {
    let recorded = r#"{"spec":{"job":{"jarURI":"local:///opt/flink/usrlib/fraud.jar","parallelism":4,"args":["--env","prod"],"state":"running","savepointTriggerNonce":null,"upgradeMode":"last-state","savepointRedeployNonce":null},"restartNonce":null,"flinkConfiguration":{"taskmanager.numberOfTaskSlots":"2","pipeline.jobvertex-parallelism-overrides":"a:2"},"taskManager":{"resource":{"cpu":2.0,"memory":"4096m"},"replicas":null}},"resource_metadata":{"apiVersion":"flink.apache.org/v1beta1","metadata":{"generation":4},"firstDeployment":false}}"#;
    json!({
        "apiVersion": "flink.apache.org/v1beta1",
        "kind": "FlinkDeployment",
        "metadata": {
            "name": "fraud-scoring", "namespace": "payments", "uid": "6a3f0c52-0f7d-4c0e-9b0a-6a1de9a0c111",
            "resourceVersion": "884213", "generation": 4, "creationTimestamp": "2026-06-01T08:11:02Z",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "flightdeck/applied": "{}"},
            "managedFields": [
                {"manager": "argocd-controller", "operation": "Apply", "time": "2026-06-01T08:11:02Z",
                 "fieldsV1": {"f:spec": {"f:flinkConfiguration": {"f:pipeline.jobvertex-parallelism-overrides": {}, "f:state": {"f:backend": {}}}}}},
                {"manager": "okhttp", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}}
            ]
        },
        "spec": {
            "image": "registry.example.org/fraud:3.7.1", "flinkVersion": "v1_18", "serviceAccount": "flink",
            "flinkConfiguration": {"taskmanager.numberOfTaskSlots": 2, "jobmanager.scheduler": "adaptive"},
            "jobManager": {"resource": {"cpu": 1.0, "memory": "2048m"}},
            "taskManager": {"resource": {"cpu": 2, "memory": "4096m"}},
            "job": {"jarURI": "local:///opt/flink/usrlib/fraud.jar", "parallelism": 4, "state": "running", "upgradeMode": "last-state"},
            "podTemplate": {"spec": {"containers": []}}
        },
        "status": {
            "lifecycleState": "STABLE", "jobManagerDeploymentStatus": "READY", "observedGeneration": 4,
            "clusterInfo": {"flink-version": "1.18.1", "total-cpu": "5.0", "total-memory": "10737418240"},
            "taskManager": {"labelSelector": "component=taskmanager,app=fraud-scoring", "replicas": 2},
            "jobStatus": {"jobId": "3d1c7a0b9e4f4c1f8a52d7e6b0c19f44", "jobName": "fraud-scoring", "state": "RUNNING",
                "startTime": "1782894700123", "updateTime": "1782894731877",
                "savepointInfo": {"lastPeriodicSavepointTimestamp": 0, "savepointHistory": []}},
            "reconciliationStatus": {"state": "DEPLOYED", "reconciliationTimestamp": 1_782_894_688_012_i64,
                "lastReconciledSpec": recorded, "lastStableSpec": recorded}
        }
    })
}

#[test]
fn an_ingress_tells_the_address_of_the_page_if_it_names_a_host() {
    let page = |ingress: Value| {
        let mut object = running_application();
        object["spec"]["ingress"] = ingress;
        FlinkDeployment::project(&object).unwrap().ingress
    };
    assert_eq!(page(Value::Null), None);
    let by = |template: &str| page(json!({"template": template, "className": "nginx"}));
    assert_eq!(by("{{name}}.{{namespace}}.example.org").unwrap(), "http://fraud-scoring.payments.example.org/");
    assert_eq!(
        by("flink.example.org/{{namespace}}/{{name}}(/|$)(.*)").unwrap(),
        "http://flink.example.org/payments/fraud-scoring/"
    );
    assert_eq!(by("https://flink.example.org/{{name}}").unwrap(), "https://flink.example.org/fraud-scoring/");
    assert_eq!(by("/{{namespace}}/{{name}}(/|$)(.*)"), None, "the host is the controller's");
    let tls = json!({"template": "flink.example.org", "tls": [{"hosts": ["flink.example.org"], "secretName": "s"}]});
    assert_eq!(page(tls).unwrap(), "https://flink.example.org/");
}

#[test]
fn a_running_application_is_read() {
    let row = FlinkDeployment::project(&running_application()).unwrap();
    assert_eq!(row.reference().to_string(), "FlinkDeployment payments/fraud-scoring");
    assert_eq!(row.meta.generation, 4);
    assert_eq!(row.flink_minor(), Some((1, 18)));
    assert_eq!(row.flink_configuration.get("taskmanager.numberOfTaskSlots"), Some("2"));
    assert_eq!(row.task_manager.cpu, Some(2.0));
    assert!(!row.is_session_cluster());
    let status = row.status.unwrap();
    assert_eq!(status.lifecycle, Some(Lifecycle::Stable));
    assert_eq!(status.job_manager, Some(JmStatus::Ready));
    assert_eq!(status.job.state, Some(JobState::Running));
    assert_eq!(status.job.started_at.unwrap().timestamp_millis(), 1_782_894_700_123);
    assert!(status.is_stable_spec);
    let reconciled = status.reconciled.unwrap();
    assert_eq!(reconciled.flink_configuration.get(PARALLELISM_OVERRIDES), Some("a:2"));
    assert_eq!(reconciled.job_state.as_deref(), Some("running"));
    assert!(!reconciled.first_deployment);
    assert_eq!(status.error, None);
}

#[test]
fn managers_of_configuration_keys_are_known_and_the_copy_of_kubectl_is_dropped() {
    let row = FlinkDeployment::project(&running_application()).unwrap();
    assert_eq!(row.meta.annotations.keys().collect::<Vec<_>>(), ["flightdeck/applied"]);
    let [manager] = row.meta.managers.as_slice() else { panic!("{:?}", row.meta.managers) };
    assert_eq!(manager.name, "argocd-controller");
    assert_eq!(manager.configuration_keys, [PARALLELISM_OVERRIDES, "state.backend"]);
}

#[test]
fn a_resource_that_nobody_has_touched_yet_is_read() {
    let row = FlinkDeployment::project(&json!({"metadata": {"name": "n", "namespace": "d", "uid": "u"}, "spec": null}))
        .unwrap();
    assert_eq!(row.status, None);
    assert!(row.is_session_cluster());
    let row = FlinkSessionJob::project(&json!({
        "metadata": {"name": "n", "namespace": "d", "uid": "u"},
        "spec": {"deploymentName": "session", "job": {"state": "suspended", "parallelism": 2}},
        "status": {"error": "Job Not Found", "lifecycleState": "SOMETHING_NEW", "jobStatus": {"state": "NEW_STATE"}}
    }))
    .unwrap();
    assert!(row.job.wants_suspended());
    let status = row.status.unwrap();
    assert_eq!(status.lifecycle, Some(Lifecycle::Other("SOMETHING_NEW".into())));
    assert_eq!(status.job.state, Some(JobState::Unknown));
    assert_eq!(status.error.unwrap().sentence(), "Job Not Found");
}

#[test]
fn a_wrong_type_names_its_path_and_the_object() {
    let mut object = running_application();
    object["status"]["jobStatus"]["state"] = json!({"not": "a text"});
    let broken = project::<FlinkDeployment>(&object).unwrap_err();
    assert_eq!((broken.namespace.as_str(), broken.name.as_str()), ("payments", "fraud-scoring"));
    assert_eq!(broken.why.to_string(), "status.jobStatus.state: expected a text, found an object");
    let mut object = running_application();
    object["spec"]["job"]["parallelism"] = json!("many");
    let broken = project::<FlinkDeployment>(&object).unwrap_err();
    assert_eq!(broken.why.to_string(), "spec.job.parallelism: expected a whole number, found the text \"many\"");
}

#[test]
fn a_recorded_spec_that_cannot_be_read_does_not_hide_the_resource() {
    let mut object = running_application();
    object["status"]["reconciliationStatus"]["lastReconciledSpec"] = json!("{cut off");
    let status = FlinkDeployment::project(&object).unwrap().status.unwrap();
    assert_eq!(status.reconciled, None);
    assert!(!status.is_stable_spec);
    assert_eq!(status.lifecycle, Some(Lifecycle::Stable));
}

mod folding {
    use super::*;
    use crate::kubernetes::watch::{Collection, Contact, Update};
    use std::sync::Arc;

    fn row(uid: &str, version: &str) -> FlinkDeployment {
        let mut row = FlinkDeployment::default();
        row.meta.uid = uid.into();
        row.meta.resource_version = version.into();
        row
    }

    #[test]
    fn a_relist_replaces_everything_and_keeps_what_did_not_change() {
        let at = chrono::DateTime::from_timestamp(1000, 0).unwrap();
        let mut rows = Collection::default();
        rows.apply(Update::Listed { rows: vec![row("a", "1"), row("b", "1")], broken: vec![] }, at);
        let kept = rows.rows["a"].clone();
        rows.apply(Update::Listed { rows: vec![row("a", "1"), row("c", "7")], broken: vec![] }, at);
        assert!(Arc::ptr_eq(&kept, &rows.rows["a"]));
        assert_eq!(rows.rows.keys().collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn losing_contact_keeps_the_last_good_rows_and_the_time_since() {
        let at = |s| chrono::DateTime::from_timestamp(s, 0).unwrap();
        let error = KubeError::Unreachable { what: "list".into(), why: "refused".into() };
        let lost = |attempt| Update::Lost { error: error.clone(), attempt, next_attempt_at: at(2000) };
        let mut rows = Collection::default();
        rows.apply(Update::Listed { rows: vec![row("a", "1")], broken: vec![] }, at(1000));
        rows.apply(lost(1), at(1010));
        rows.apply(lost(2), at(1020));
        assert_eq!(rows.rows.len(), 1);
        assert_eq!(rows.current_at, Some(at(1000)));
        assert!(matches!(rows.contact, Contact::Lost { since, attempt: 2, .. } if since == at(1010)));
        rows.apply(Update::Current, at(1030));
        assert_eq!(rows.contact, Contact::Live);
    }
}
