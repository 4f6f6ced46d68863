//! The room of a cluster, read in a few lists: nodes, what pods ask for, quotas, and the Cluster Autoscaler's status.
//!
//! What may not or cannot be read is a gap that is said, never a reason to show nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::capacity::{CapacityView, NodeRow, NodeUse, NodeUser, NodeView, Room};
use crate::kubernetes::{
    Broken, Kind, KubeClient, KubeError, Namespaces, PodRoom, Projection, Quota, Row, Scope, node_groups,
};

/// Where the Cluster Autoscaler keeps its status unless told otherwise.
const STATUS: (&str, &str) = ("kube-system", "cluster-autoscaler-status");
/// Pods that have ended take no room.
const ALIVE: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// Reads the room. A call that is forbidden leaves a gap, and so do objects that cannot be read.
///
/// # Errors
/// The server does not answer.
pub(super) async fn read(client: &KubeClient, namespaces: &Namespaces) -> Result<CapacityView, KubeError> {
    let mut view = CapacityView::default();
    let mut gaps = BTreeSet::new();
    let everywhere = Scope::default();
    let alive = Scope { fields: ALIVE.to_owned(), ..Scope::default() };
    let nodes = listed::<Row<NodeRow>>(client, &everywhere, &mut gaps).await?.unwrap_or_default();
    let pods = match nodes.is_empty() {
        true => None,
        false => listed::<PodRoom>(client, &alive, &mut gaps).await?,
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
        let quotas = listed::<Quota>(client, &namespace.into(), &mut gaps).await?.unwrap_or_default();
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

/// What could be read of a collection; `None` and a gap where a right is missing.
async fn listed<R: Projection>(
    client: &KubeClient,
    scope: &Scope,
    gaps: &mut BTreeSet<String>,
) -> Result<Option<Vec<R>>, KubeError> {
    match client.list_rows::<R>(scope).await {
        Ok((rows, broken)) => {
            gaps.extend(unreadable(R::KIND, &broken));
            Ok(Some(rows))
        }
        Err(error @ (KubeError::Forbidden { .. } | KubeError::NotFound { .. })) => {
            gaps.insert(error.to_string());
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The gap that objects leave which are there and cannot be read.
fn unreadable(kind: Kind, broken: &[Broken]) -> Option<String> {
    let first = broken.first()?;
    let place = match first.namespace.as_str() {
        "" => first.name.clone(),
        namespace => format!("{namespace}/{}", first.name),
    };
    let (kind, count, why) = (kind.plural(), broken.len(), &first.why);
    Some(format!("{kind} that cannot be read are not counted: {count}, such as {place} ({why})"))
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
    use bytes::Bytes;
    use http::{Request, Response, StatusCode};
    use http_body_util::Full;
    use serde_json::{Value, json};

    use super::*;
    use crate::kubernetes::Limits;

    /// A server with one good and one odd object of every kind, and without a Cluster Autoscaler.
    fn half_readable() -> KubeClient {
        let server = tower::service_fn(|request: Request<_>| {
            let path = request.uri().path().to_owned();
            let list = |items: Value| (StatusCode::OK, json!({"metadata": {"resourceVersion": "9"}, "items": items}));
            let odd = json!({"metadata": {"uid": "o", "namespace": "shop", "name": "odd"}, "spec": "odd"});
            let (status, body) = match path.as_str() {
                "/api/v1/nodes" => list(json!([
                    {"metadata": {"uid": "n", "name": "a"}, "status": {"allocatable": {"cpu": "4", "memory": "8Gi"}}},
                    {"metadata": {"uid": "m", "name": "b"}, "spec": "odd"},
                ])),
                "/api/v1/pods" => {
                    list(json!([{"metadata": {"uid": "p", "name": "dns"}, "spec": {"nodeName": "a"}}, odd]))
                }
                "/api/v1/resourcequotas" => list(json!([odd])),
                _ => (StatusCode::NOT_FOUND, json!({"message": "not here"})),
            };
            let answer = Response::builder().status(status).body(Full::new(Bytes::from(body.to_string())));
            async move { answer }
        });
        KubeClient::from_service(server, "https://half-readable", Limits::default())
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_read_is_a_gap_and_hides_nothing_else() {
        let view = read(&half_readable(), &Namespaces::All).await.unwrap();
        let nodes: Vec<_> =
            view.nodes.iter().map(|n| (n.node.name.as_str(), n.usage.as_ref().map(|u| u.pods))).collect();
        assert_eq!(nodes, [("a", Some(1))]);
        let said = |what: &str| view.gaps.iter().any(|gap| gap.contains(what));
        assert_eq!(view.gaps.len(), 3, "{:?}", view.gaps);
        assert!(said("nodes that cannot be read are not counted: 1, such as b ("), "{:?}", view.gaps);
        assert!(said("pods that cannot be read are not counted: 1, such as shop/odd ("), "{:?}", view.gaps);
        assert!(said("resourcequotas that cannot be read"), "{:?}", view.gaps);
        assert_eq!(unreadable(Kind::Pod, &[]), None);
    }

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
