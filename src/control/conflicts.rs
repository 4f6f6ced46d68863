//! Who else writes or scales the same thing: field managers, autoscalers of Kubernetes, another flightdeck. Pure.

use std::time::Duration;

use super::ownership::{FIELD_MANAGER, OVERRIDES_KEY};
use super::ports::{Resource, ScalerKind, ScalerRow};
use crate::domain::Timestamp;
use crate::domain::kubernetes::{ConflictKind, ConflictRow};

/// Field managers that write their resources again and again: what they own, they will overwrite.
const REWRITING: [(&str, &str, ConflictKind); 9] = [
    ("argocd", "Argo CD", ConflictKind::GitOps),
    ("kustomize-controller", "Flux", ConflictKind::GitOps),
    ("helm-controller", "Flux", ConflictKind::GitOps),
    ("flux", "Flux", ConflictKind::GitOps),
    ("fleetagent", "Rancher Fleet", ConflictKind::GitOps),
    ("keda", "KEDA", ConflictKind::Keda),
    ("vpa", "the Vertical Pod Autoscaler", ConflictKind::VerticalPodAutoscaler),
    ("recommender", "the Vertical Pod Autoscaler", ConflictKind::VerticalPodAutoscaler),
    ("horizontal-pod-autoscaler", "the Horizontal Pod Autoscaler", ConflictKind::HorizontalPodAutoscaler),
];

/// Another flightdeck that has not written for so long is taken to be gone.
pub const ANOTHER: Duration = Duration::from_secs(600);

/// Keys that an approval may write, beside `taskmanager.memory.`.
fn is_ours(key: &str) -> bool {
    key == OVERRIDES_KEY || key.starts_with("taskmanager.memory.")
}

/// Every conflict of a resource, those that forbid approvals first; `another`: when another flightdeck was seen to write it lately.
pub fn conflicts(resource: &Resource, scalers: &[ScalerRow], another: Option<Timestamp>) -> Vec<ConflictRow> {
    let mut found = Vec::new();
    if let Some(at) = another {
        let minutes = ANOTHER.as_secs() / 60;
        found.push(ConflictRow {
            kind: ConflictKind::Flightdeck,
            who: FIELD_MANAGER.to_owned(),
            what: format!(
                "another flightdeck scales this job: it wrote the map meanwhile; let one of them do it (this lapses after {minutes} minutes without a write)"
            ),
            at: Some(at),
            blocks: true,
        });
    }
    for manager in &resource.managers {
        let keys: Vec<&str> = manager.configuration_keys.iter().map(String::as_str).filter(|k| is_ours(k)).collect();
        // The operator itself writes the status only.
        if keys.is_empty() || manager.name == FIELD_MANAGER {
            continue;
        }
        let lower = manager.name.to_ascii_lowercase();
        let known = REWRITING.iter().find(|(prefix, ..)| lower.starts_with(prefix));
        let keys = keys.join(", ");
        found.push(match known {
            Some((_, who, kind)) => ConflictRow {
                kind: *kind,
                who: manager.name.clone(),
                what: format!("{who} (field manager {}) writes {keys} and will write it again", manager.name),
                at: manager.at,
                blocks: true,
            },
            None => ConflictRow {
                kind: ConflictKind::Person,
                who: manager.name.clone(),
                what: format!("{} wrote {keys}", manager.name),
                at: manager.at,
                blocks: false,
            },
        });
    }
    for key in resource.twins.iter().filter(|key| is_ours(key)) {
        found.push(ConflictRow {
            kind: ConflictKind::Person,
            who: "the resource".to_owned(),
            what: format!("{key} stands in the resource in two spellings; which one counts is not defined"),
            at: None,
            blocks: true,
        });
    }
    let name = &resource.reference.name;
    for scaler in scalers.iter().filter(|s| s.namespace == resource.reference.namespace) {
        let ours = match scaler.target_kind.as_str() {
            "FlinkDeployment" => !resource.reference.session_job && scaler.target == *name,
            "Deployment" => {
                let cluster = resource.deployment_name.as_ref().unwrap_or(name);
                scaler.target == *cluster || scaler.target == format!("{cluster}-taskmanager")
            }
            _ => false,
        };
        if ours {
            let (name, target) = (&scaler.name, format!("{} {}", scaler.target_kind, scaler.target));
            let (kind, what) = match scaler.kind {
                ScalerKind::Keda => {
                    (ConflictKind::Keda, format!("KEDA (HorizontalPodAutoscaler {name}) scales {target}"))
                }
                ScalerKind::Horizontal => (
                    ConflictKind::HorizontalPodAutoscaler,
                    format!("a HorizontalPodAutoscaler ({name}) scales {target}"),
                ),
                ScalerKind::Vertical => (
                    ConflictKind::VerticalPodAutoscaler,
                    format!("a VerticalPodAutoscaler ({name}) resizes the pods of {target}"),
                ),
            };
            found.push(ConflictRow { kind, who: name.clone(), what, at: None, blocks: true });
        }
    }
    if let Some(owner) = &resource.blue_green {
        found.push(ConflictRow {
            kind: ConflictKind::GitOps,
            who: owner.clone(),
            what: format!("the FlinkBlueGreenDeployment {owner} overwrites this resource; change it there"),
            at: None,
            blocks: true,
        });
    }
    found.sort_by_key(|c| !c.blocks);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ownership::tests::resource;
    use crate::control::ports::Manager;

    fn manager(name: &str, keys: &[&str]) -> Manager {
        let configuration_keys = keys.iter().map(|k| (*k).to_owned()).collect();
        Manager { name: name.to_owned(), at: None, configuration_keys }
    }

    #[test]
    fn managers_of_the_same_fields_are_named_and_those_who_rewrite_block() {
        let mut r = resource(&[]);
        r.managers = vec![
            manager(FIELD_MANAGER, &[OVERRIDES_KEY]),
            manager("kubectl-edit", &[OVERRIDES_KEY, "state.backend.type"]),
            manager("argocd-controller", &["taskmanager.memory.managed.fraction"]),
            manager("kubectl-client-side-apply", &["job.autoscaler.enabled"]),
        ];
        let found = conflicts(&r, &[], None);
        let seen: Vec<_> = found.iter().map(|c| (c.who.as_str(), c.kind, c.blocks)).collect();
        assert_eq!(
            seen,
            [("argocd-controller", ConflictKind::GitOps, true), ("kubectl-edit", ConflictKind::Person, false)]
        );
        assert!(found[0].what.contains("Argo CD") && found[0].what.contains("taskmanager.memory.managed.fraction"));
        assert!(!found[1].what.contains("state.backend"), "{}", found[1].what);
    }

    #[test]
    fn autoscalers_of_kubernetes_are_found_by_their_target() {
        let scaler = |target_kind: &str, target: &str, kind| ScalerRow {
            namespace: "shop".to_owned(),
            name: format!("hpa-{target}"),
            target_kind: target_kind.to_owned(),
            target: target.to_owned(),
            kind,
        };
        let all = [
            scaler("FlinkDeployment", "orders", ScalerKind::Keda),
            scaler("Deployment", "orders-taskmanager", ScalerKind::Horizontal),
            scaler("Deployment", "web", ScalerKind::Horizontal),
            ScalerRow { namespace: "other".to_owned(), ..scaler("FlinkDeployment", "orders", ScalerKind::Horizontal) },
            scaler("Deployment", "orders", ScalerKind::Vertical),
        ];
        let found = conflicts(&resource(&[]), &all, None);
        assert_eq!(found.len(), 3);
        assert_eq!(found[2].what, "a VerticalPodAutoscaler (hpa-orders) resizes the pods of Deployment orders");
        assert_eq!(found[0].what, "KEDA (HorizontalPodAutoscaler hpa-orders) scales FlinkDeployment orders");
        assert_eq!(
            found[1].what,
            "a HorizontalPodAutoscaler (hpa-orders-taskmanager) scales Deployment orders-taskmanager"
        );
        assert!(found.iter().all(|c| c.blocks));
    }

    #[test]
    fn two_spellings_of_one_key_and_a_parent_block() {
        let mut r = resource(&[]);
        r.twins = vec![OVERRIDES_KEY.to_owned(), "state.backend".to_owned()];
        r.blue_green = Some("shop".to_owned());
        let found = conflicts(&r, &[], None);
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|c| c.blocks));
    }
}
