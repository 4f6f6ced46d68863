//! The room of a cluster, read in a few lists: nodes, what pods ask for, quotas, and the Cluster Autoscaler's status.
//!
//! What may not be read is a gap that is said, never a reason to show nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::capacity::{CapacityView, NodeRow, NodeUse, NodeUser, NodeView, Room};
use crate::kubernetes::{KubeClient, KubeError, Namespaces, PodRoom, Quota, Row, Scope, node_groups};

/// Where the Cluster Autoscaler keeps its status unless told otherwise.
const STATUS: (&str, &str) = ("kube-system", "cluster-autoscaler-status");
/// Pods that have ended take no room.
const ALIVE: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// Reads the room. A call that is forbidden leaves a gap.
///
/// # Errors
/// The server does not answer.
pub(super) async fn read(client: &KubeClient, namespaces: &Namespaces) -> Result<CapacityView, KubeError> {
    let mut view = CapacityView::default();
    let mut gaps = BTreeSet::new();
    let everywhere = Scope::default();
    let alive = Scope { fields: ALIVE.to_owned(), ..Scope::default() };
    let nodes = allowed(client.rows::<Row<NodeRow>>(&everywhere).await, &mut gaps)?.unwrap_or_default();
    let pods = match nodes.is_empty() {
        true => None,
        false => allowed(client.rows::<PodRoom>(&alive).await, &mut gaps)?,
    };
    let used = pods.map(|pods| usage(&pods));
    view.nodes = nodes
        .into_iter()
        .map(|node| NodeView {
            usage: used.as_ref().map(|used| used.get(&node.row.name).cloned().unwrap_or_default()),
            node: node.row,
        })
        .collect();
    view.nodes.sort_by(|a, b| (&a.node.pool, &a.node.name).cmp(&(&b.node.pool, &b.node.name)));
    for namespace in namespaces.scopes() {
        let quotas = allowed(client.rows::<Quota>(&namespace.into()).await, &mut gaps)?.unwrap_or_default();
        view.quotas.extend(quotas.into_iter().flat_map(|q| q.rows));
    }
    match client.config_map(STATUS.0, STATUS.1).await {
        Ok(None) => {}
        Ok(Some(map)) => match map.data.get("status").map(|status| node_groups(status)) {
            Some(Ok(groups)) => view.groups = groups,
            Some(Err(why)) => drop(gaps.insert(why)),
            None => drop(gaps.insert("the Cluster Autoscaler's ConfigMap has no status".to_owned())),
        },
        Err(error @ KubeError::Forbidden { .. }) => drop(gaps.insert(error.to_string())),
        Err(error) => return Err(error),
    }
    view.gaps = gaps.into_iter().collect();
    Ok(view)
}

/// What was read; `None` and a gap where a right is missing.
fn allowed<T>(read: Result<T, KubeError>, gaps: &mut BTreeSet<String>) -> Result<Option<T>, KubeError> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(error @ (KubeError::Forbidden { .. } | KubeError::NotFound { .. })) => {
            gaps.insert(error.to_string());
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What is promised on each node, by its name.
fn usage(pods: &[PodRoom]) -> BTreeMap<String, NodeUse> {
    type Users<'a> = BTreeMap<(&'a str, &'a str, bool), (u32, Room)>;
    let mut nodes: BTreeMap<&str, Users<'_>> = BTreeMap::new();
    for pod in pods.iter().filter(|p| !p.ended && !p.node.is_empty()) {
        let name = pod.flink.as_deref().unwrap_or(&pod.name);
        let user = nodes.entry(&pod.node).or_default().entry((&pod.namespace, name, pod.flink.is_some())).or_default();
        *user = (user.0 + 1, user.1.plus(pod.requested));
    }
    let view = |users: Users<'_>| {
        let mut users: Vec<NodeUser> = users
            .into_iter()
            .map(|((namespace, name, flink), (pods, requested))| NodeUser {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                flink,
                pods,
                requested,
            })
            .collect();
        users.sort_by_key(|u| std::cmp::Reverse(u.requested.memory));
        let requested = users.iter().fold(Room::default(), |sum, u| sum.plus(u.requested));
        NodeUse { requested, pods: users.iter().map(|u| u.pods).sum(), users }
    };
    nodes.into_iter().map(|(node, users)| (node.to_owned(), view(users))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_promised_to_everyone_who_is_bound_to_it_and_has_not_ended() {
        let pod = |name: &str, flink: Option<&str>, node: &str, memory, ended| PodRoom {
            uid: name.to_owned(),
            resource_version: "1".to_owned(),
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            flink: flink.map(str::to_owned),
            node: node.to_owned(),
            requested: Room { cpu: 100, memory },
            ended,
        };
        let used = usage(&[
            pod("orders-1", Some("orders"), "a", 10, false),
            pod("orders-2", Some("orders"), "a", 10, false),
            pod("dns", None, "a", 50, false),
            pod("waits", Some("orders"), "", 10, false),
            pod("done", None, "a", 10, true),
        ]);
        assert_eq!(used.len(), 1);
        assert_eq!((used["a"].pods, used["a"].requested), (3, Room { cpu: 300, memory: 70 }));
        let users: Vec<_> = used["a"].users.iter().map(|u| (u.name.as_str(), u.flink, u.pods)).collect();
        assert_eq!(users, [("dns", false, 1), ("orders", true, 2)]);
    }
}
