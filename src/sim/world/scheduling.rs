//! The scheduler of the embedded Kubernetes cluster at work: quotas, nodes, and pods found by their name.

use std::collections::BTreeMap;

use super::World;
use crate::sim::cluster::Cluster;
use crate::sim::nodes::{Taken, place};
use crate::sim::pod::{Component, Container, Kubelet, Pod};

/// The node of pods in a world without nodes.
const ANY_NODE: &str = "node-1";

impl World {
    /// Gives nodes to pods: to new ones at once, to all that wait if it is time to try `again`.
    pub(super) fn schedule_pods(&mut self, again: bool) {
        if !self.clusters.iter().any(Cluster::waits_for_nodes) {
            return;
        }
        let fresh = |pod: &Pod| {
            again || matches!(&pod.container, Container::Unscheduled { why } if why.is_empty()) && pod.refused.is_none()
        };
        if !self
            .clusters
            .iter()
            .flat_map(Cluster::pods)
            .any(|p| matches!(p.container, Container::Unscheduled { .. }) && fresh(p))
        {
            return;
        }
        let mut taken = self.taken();
        let mut used = self.used();
        let Self { clusters, nodes, quotas, faults, now, .. } = self;
        for cluster in clusters.iter_mut().filter(|c| c.waits_for_nodes()) {
            let spec = cluster.spec.clone();
            let full = faults.no_capacity(&spec.name);
            let mut happenings = Vec::new();
            for pod in cluster.unscheduled().filter(|pod| fresh(pod)) {
                let mine = used.entry(spec.namespace.clone()).or_default();
                let quotas = quotas.iter().filter(|q| q.namespace.as_deref() == Some(&spec.namespace));
                pod.refused = quotas.into_iter().find_map(|quota| quota.refuses(&pod.name, &pod.needs, *mine));
                if pod.refused.is_some() {
                    continue;
                }
                let start = match pod.component {
                    Component::JobManager => spec.timings.jobmanager_start * 2 / 5,
                    Component::TaskManager => spec.timings.taskmanager_start * 2 / 5,
                };
                let kubelet = Kubelet {
                    now: *now,
                    namespace: &spec.namespace,
                    image: &spec.image,
                    no_image: false,
                    crashes: false,
                    start,
                };
                let found = match (full && pod.component == Component::TaskManager, nodes.is_empty()) {
                    (true, _) => Err(nobody(nodes.len().max(1))),
                    (false, true) => Ok(ANY_NODE),
                    (false, false) => place(nodes, &taken, &pod.needs).map(|node| node.name.as_str()),
                };
                match found {
                    Ok(node) => {
                        add(taken.entry(node.to_owned()).or_default(), pod);
                        add(mine, pod);
                        pod.place(node, &kubelet, &mut happenings);
                    }
                    Err(why) => pod.no_node(*now, why, &mut happenings),
                }
            }
            cluster.report(happenings);
        }
    }

    /// Gives nodes to pods that run from the beginning.
    pub(super) fn seat_running(&mut self) {
        let mut taken = self.taken();
        let Self { clusters, nodes, now, .. } = self;
        for cluster in clusters {
            for pod in cluster.pods_mut().filter(|pod| pod.node.is_none() && pod.is_running()) {
                let found = if nodes.is_empty() { None } else { place(nodes, &taken, &pod.needs).ok() };
                // A scenario that asks for more than its nodes have begins with a node that is too full.
                let node = found.or(nodes.first()).map_or(ANY_NODE, |node| node.name.as_str()).to_owned();
                add(taken.entry(node.clone()).or_default(), pod);
                pod.node = Some(node);
                pod.scheduled = Some(*now);
            }
        }
    }

    /// What is requested on each node.
    pub fn taken(&self) -> BTreeMap<String, Taken> {
        let mut all: BTreeMap<String, Taken> = BTreeMap::new();
        for node in &self.nodes {
            all.insert(node.name.clone(), Taken { cpu: node.others_cpu, memory: node.others_memory, pods: 1 });
        }
        for pod in self.clusters.iter().flat_map(Cluster::pods).filter(|pod| pod.occupies()) {
            if let Some(node) = &pod.node {
                add(all.entry(node.clone()).or_default(), pod);
            }
        }
        all
    }

    /// What is requested in each namespace.
    pub fn used(&self) -> BTreeMap<String, Taken> {
        let mut all: BTreeMap<String, Taken> = BTreeMap::new();
        for cluster in &self.clusters {
            for pod in cluster.pods().filter(|pod| pod.occupies()) {
                add(all.entry(cluster.spec.namespace.clone()).or_default(), pod);
            }
        }
        all
    }

    /// A pod by its name, with its namespace.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&Pod> {
        let here = self.clusters.iter().filter(|c| c.spec.namespace == namespace);
        here.flat_map(Cluster::pods).find(|pod| pod.name == name)
    }

    /// Somebody deleted a pod: it goes and is replaced. False if there is none.
    pub fn pod_deleted(&mut self, namespace: &str, name: &str) -> bool {
        let now = self.now;
        let mut here = self.clusters.iter_mut().filter(|c| c.spec.namespace == namespace);
        here.any(|cluster| cluster.pod_deleted(name, now))
    }
}

fn add(taken: &mut Taken, pod: &Pod) {
    taken.cpu += pod.needs.cpu;
    taken.memory += pod.needs.memory;
    taken.pods += 1;
}

fn nobody(total: usize) -> String {
    format!(
        "0/{total} nodes are available: {total} Insufficient cpu. preemption: 0/{total} nodes are available: {total} No preemption victims \
         found for incoming pod."
    )
}
