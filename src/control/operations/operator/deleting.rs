//! The end of a resource: what of it is still there, who holds it, and what is left behind (`operator.md` §5).

use serde_json::Value;

use super::super::document::{Document, text};
use super::super::steps::{Look, done};
use super::{blind, dead, last_event, read};
use crate::control::ports::{ApiError, Objects};
use crate::domain::objects::{ObjectKind, ObjectName};

/// Pods that are named at most.
const NAMED: usize = 3;

/// Pods of a Flink cluster.
struct Pods {
    job_managers: usize,
    task_managers: usize,
    /// Those that are being deleted, and since when.
    terminating: Vec<String>,
}

impl Pods {
    fn any(&self) -> bool {
        self.job_managers + self.task_managers > 0
    }

    fn word(&self) -> String {
        let mut word = format!("{} JobManager and {} TaskManager pods", self.job_managers, self.task_managers);
        if let Some(first) = self.terminating.first() {
            let more = self.terminating.len() - 1;
            word.push_str(&format!("; terminating: {first}"));
            for other in self.terminating.iter().skip(1).take(NAMED - 1) {
                word.push_str(&format!(", {other}"));
            }
            if more >= NAMED {
                word.push_str(&format!(" and {} more", more + 1 - NAMED));
            }
        }
        word
    }
}

async fn pods(objects: &dyn Objects, namespace: &str, cluster: &str) -> Result<Pods, ApiError> {
    let all = objects.list(ObjectKind::Pod, namespace, &format!("app={cluster}"), "").await?;
    let count =
        |component: &str| all.iter().filter(|p| text(p, "/metadata/labels/component") == Some(component)).count();
    let since = |pod: &Value| {
        let at = text(pod, "/metadata/deletionTimestamp")?;
        Some(format!("{} since {at}", text(pod, "/metadata/name").unwrap_or_default()))
    };
    Ok(Pods {
        job_managers: count("jobmanager"),
        task_managers: count("taskmanager"),
        terminating: all.iter().filter_map(since).collect(),
    })
}

/// Looks whether a resource is gone with its pods.
pub(super) async fn look(objects: &dyn Objects, of: &ObjectName, uid: &str) -> Look {
    match read(objects, of).await {
        Ok(found) if found.uid() == uid => {
            if !found.is_deleting() {
                return Look::Absent("it is there".into());
            }
            Look::Pending(under_way(objects, &found).await)
        }
        Ok(_) => done("it is gone; another object has its name"),
        Err(ApiError::NotFound(_)) => match of.kind {
            ObjectKind::FlinkDeployment | ObjectKind::Deployment => {
                match pods(objects, &of.namespace, &of.name).await {
                    Ok(pods) if pods.any() => Look::Pending(format!("it is gone; still there: {}", pods.word())),
                    Ok(_) => done("it is gone, and its pods too"),
                    Err(ApiError::Forbidden(why)) => {
                        done(format!("it is gone; whether its pods are is not known: {why}"))
                    }
                    Err(error) => blind(error),
                }
            }
            _ => done("it is gone"),
        },
        Err(error) => blind(error),
    }
}

/// What of a deletion is still to come, with counts, and what holds it.
async fn under_way(objects: &dyn Objects, found: &Document) -> String {
    let (namespace, name) = (&found.named.namespace, found.name());
    let since = found.text("/metadata/deletionTimestamp").unwrap_or_default();
    let mut parts = Vec::new();
    if found.named.kind == ObjectKind::FlinkSessionJob {
        parts.push(format!("job {}", found.job_state()));
    } else {
        parts.push(deployment(objects, namespace, name).await);
        if let Ok(pods) = pods(objects, namespace, name).await {
            parts.push(pods.word());
        }
    }
    if !found.finalizers().is_empty() {
        parts.push(format!("held by {}", found.finalizers().join(", ")));
    }
    parts.extend(last_event(objects, found, "CleanupFailed", since.parse().ok()).await);
    parts.extend(dead(objects).await);
    format!("being deleted since {since}: {}", parts.join("; "))
}

/// Where the Deployment of a JobManager is on its way out.
async fn deployment(objects: &dyn Objects, namespace: &str, name: &str) -> String {
    let named = ObjectName::new(ObjectKind::Deployment, namespace, name);
    match read(objects, &named).await {
        Ok(found) if found.is_deleting() => "its Deployment is being deleted".into(),
        Ok(found) => match found.number("/spec/replicas") {
            Some(0) => "its JobManager is scaled to 0".into(),
            _ => "its Deployment is up".into(),
        },
        Err(ApiError::NotFound(_)) => "its Deployment is gone".into(),
        Err(error) => error.to_string(),
    }
}
