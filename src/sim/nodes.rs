//! The nodes of the embedded Kubernetes cluster and its scheduler: where a pod fits by what it *requests*, and the scheduler's words if nowhere.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::de;

/// What a pod requests, and where it may run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// Thousandths of a core.
    pub cpu: u64,
    /// Bytes.
    pub memory: u64,
    /// Labels that its node must have.
    pub selector: BTreeMap<String, String>,
    /// Taints that it bears.
    pub tolerations: Vec<Toleration>,
}

/// A taint that a pod bears.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Toleration {
    /// Key; empty for every taint.
    pub key: String,
    /// Value; absent for every value.
    pub value: Option<String>,
    /// Effect; absent for every effect.
    pub effect: Option<String>,
}

/// What keeps pods off a node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    #[serde(default = "no_schedule")]
    pub effect: String,
}

fn no_schedule() -> String {
    "NoSchedule".to_owned()
}

impl Toleration {
    fn bears(&self, taint: &Taint) -> bool {
        (self.key.is_empty() || self.key == taint.key)
            && self.value.as_ref().is_none_or(|v| *v == taint.value)
            && self.effect.as_ref().is_none_or(|e| *e == taint.effect)
    }
}

/// Nodes of a scenario: one, or several alike.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct NodeSpec {
    /// Name; with `count` the beginning of the names.
    pub name: String,
    /// How many of them.
    pub count: u32,
    /// Node pool, told as the label `cloud.google.com/gke-nodepool`, or under the key of `pool-label`.
    pub pool: String,
    /// Key of the label that names the pool.
    pub pool_label: String,
    /// The most nodes that the pool may have, for the Cluster Autoscaler's status; none if nothing adds nodes.
    pub pool_max: Option<u32>,
    /// Cores; a part of them is kept for the system.
    pub cpu: f64,
    /// Memory.
    #[serde(deserialize_with = "de::size")]
    pub memory: u64,
    /// Pods that it takes.
    pub pods: u32,
    /// More labels.
    pub labels: BTreeMap<String, String>,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// Cordoned.
    pub unschedulable: bool,
    /// Cores that pods of others request there.
    pub others_cpu: f64,
    /// Memory that pods of others request there.
    #[serde(deserialize_with = "de::size")]
    pub others_memory: u64,
}

impl Default for NodeSpec {
    fn default() -> Self {
        Self {
            name: "node".to_owned(),
            count: 1,
            pool: "default-pool".to_owned(),
            pool_label: "cloud.google.com/gke-nodepool".to_owned(),
            pool_max: None,
            cpu: 16.0,
            memory: 64 << 30,
            pods: 110,
            labels: BTreeMap::new(),
            taints: Vec::new(),
            unschedulable: false,
            others_cpu: 0.2,
            others_memory: 256 << 20,
        }
    }
}

/// One node.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// Cordoned.
    pub unschedulable: bool,
    /// Thousandths of cores that pods may request.
    pub cpu: u64,
    /// Bytes that pods may request.
    pub memory: u64,
    /// Cores as installed.
    pub cpu_capacity: u64,
    /// Bytes as installed.
    pub memory_capacity: u64,
    /// Pods that it takes.
    pub pods: u32,
    /// Thousandths of cores that pods of others request.
    pub others_cpu: u64,
    /// Bytes that pods of others request.
    pub others_memory: u64,
}

/// What is taken on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    /// Thousandths of cores.
    pub cpu: u64,
    /// Bytes.
    pub memory: u64,
    /// Pods.
    pub pods: u32,
}

impl Node {
    /// The nodes that a spec describes.
    pub fn of(spec: &NodeSpec) -> Vec<Self> {
        (1..=spec.count.max(1))
            .map(|n| {
                let name = if spec.count > 1 { format!("{}-{n}", spec.name) } else { spec.name.clone() };
                let mut labels = spec.labels.clone();
                labels.insert("kubernetes.io/hostname".to_owned(), name.clone());
                labels.insert("kubernetes.io/os".to_owned(), "linux".to_owned());
                labels.insert("kubernetes.io/arch".to_owned(), "amd64".to_owned());
                labels.insert(spec.pool_label.clone(), spec.pool.clone());
                let cpu = (spec.cpu * 1_000.0) as u64;
                Self {
                    name,
                    labels,
                    taints: spec.taints.clone(),
                    unschedulable: spec.unschedulable,
                    cpu: cpu.saturating_sub(80),
                    memory: spec.memory.saturating_sub(spec.memory / 20),
                    cpu_capacity: cpu,
                    memory_capacity: spec.memory,
                    pods: spec.pods,
                    others_cpu: (spec.others_cpu * 1_000.0) as u64,
                    others_memory: spec.others_memory,
                }
            })
            .collect()
    }

    /// What keeps a pod off, in the scheduler's words; empty if nothing does.
    fn objections(&self, needs: &Needs, taken: Taken) -> Vec<String> {
        if self.unschedulable {
            return vec!["node(s) were unschedulable".to_owned()];
        }
        let unborne = self.taints.iter().find(|t| {
            t.effect != "PreferNoSchedule" && !needs.tolerations.iter().any(|toleration| toleration.bears(t))
        });
        if let Some(taint) = unborne {
            return vec![format!("node(s) had untolerated taint {{{}: {}}}", taint.key, taint.value)];
        }
        if needs.selector.iter().any(|(key, value)| self.labels.get(key) != Some(value)) {
            return vec!["node(s) didn't match Pod's node affinity/selector".to_owned()];
        }
        let mut all = Vec::new();
        if taken.pods >= self.pods {
            all.push("Too many pods".to_owned());
        }
        if taken.cpu + needs.cpu > self.cpu {
            all.push("Insufficient cpu".to_owned());
        }
        if taken.memory + needs.memory > self.memory {
            all.push("Insufficient memory".to_owned());
        }
        all
    }
}

/// A ResourceQuota.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct QuotaSpec {
    /// Its name.
    pub name: String,
    /// Its namespace; the scenario's if absent.
    #[serde(default)]
    pub namespace: Option<String>,
    /// `requests.cpu` in cores.
    #[serde(default)]
    pub cpu: Option<f64>,
    /// `requests.memory`.
    #[serde(default, deserialize_with = "de::maybe_size")]
    pub memory: Option<u64>,
    /// `pods`.
    #[serde(default)]
    pub pods: Option<u32>,
}

impl QuotaSpec {
    /// Why a pod of this name may not be created, in the words of the admission.
    pub fn refuses(&self, pod: &str, needs: &Needs, used: Taken) -> Option<String> {
        let mut over = Vec::new();
        if let Some(hard) = self.cpu.filter(|hard| (used.cpu + needs.cpu) as f64 > hard * 1_000.0) {
            over.push(("requests.cpu", cores(needs.cpu), cores(used.cpu), cores((hard * 1_000.0) as u64)));
        }
        if let Some(hard) = self.memory.filter(|hard| used.memory + needs.memory > *hard) {
            over.push(("requests.memory", mebibytes(needs.memory), mebibytes(used.memory), mebibytes(hard)));
        }
        if let Some(hard) = self.pods.filter(|hard| used.pods >= *hard) {
            over.push(("pods", "1".to_owned(), used.pods.to_string(), hard.to_string()));
        }
        if over.is_empty() {
            return None;
        }
        let list =
            |pick: fn(&(&str, String, String, String)) -> String| over.iter().map(pick).collect::<Vec<_>>().join(",");
        Some(format!(
            "pods \"{pod}\" is forbidden: exceeded quota: {}, requested: {}, used: {}, limited: {}",
            self.name,
            list(|o| format!("{}={}", o.0, o.1)),
            list(|o| format!("{}={}", o.0, o.2)),
            list(|o| format!("{}={}", o.0, o.3)),
        ))
    }
}

/// A quantity of cores.
pub fn cores(thousandths: u64) -> String {
    if thousandths.is_multiple_of(1_000) { (thousandths / 1_000).to_string() } else { format!("{thousandths}m") }
}

/// A quantity of memory.
pub fn mebibytes(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) { format!("{}Mi", bytes >> 20) } else { bytes.to_string() }
}

/// The node that takes a pod: the one with the largest share of cpu free, as the scheduler spreads by default.
///
/// # Errors
/// The message of `FailedScheduling`.
pub fn place<'a>(nodes: &'a [Node], taken: &BTreeMap<String, Taken>, needs: &Needs) -> Result<&'a Node, String> {
    let mut objections: BTreeMap<String, usize> = BTreeMap::new();
    let mut best: Option<(u64, &Node)> = None;
    let mut could_evict = 0;
    for node in nodes {
        let taken = taken.get(&node.name).copied().unwrap_or_default();
        let found = node.objections(needs, taken);
        if found.is_empty() {
            let free = (node.cpu - taken.cpu - needs.cpu) * 1_000 / node.cpu.max(1);
            if best.is_none_or(|(most, _)| free > most) {
                best = Some((free, node));
            }
            continue;
        }
        could_evict +=
            usize::from(found.iter().any(|why| why.starts_with("Insufficient") || why.starts_with("Too many")));
        for why in found {
            *objections.entry(why).or_default() += 1;
        }
    }
    if let Some((_, node)) = best {
        return Ok(node);
    }
    let total = nodes.len();
    let mut reasons: Vec<String> = objections.iter().map(|(why, count)| format!("{count} {why}")).collect();
    reasons.sort();
    let mut preemption = Vec::new();
    if could_evict > 0 {
        preemption.push(format!("{could_evict} No preemption victims found for incoming pod"));
    }
    if total > could_evict {
        preemption.push(format!("{} Preemption is not helpful for scheduling", total - could_evict));
    }
    preemption.sort();
    Err(format!(
        "0/{total} nodes are available: {}. preemption: 0/{total} nodes are available: {}.",
        reasons.join(", "),
        preemption.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes() -> Vec<Node> {
        let small = NodeSpec { name: "small".into(), count: 2, cpu: 4.0, memory: 16 << 30, ..NodeSpec::default() };
        let taints = vec![Taint { key: "dedicated".into(), value: "gpu".into(), effect: "NoSchedule".into() }];
        let gpu = NodeSpec { name: "gpu".into(), taints, ..NodeSpec::default() };
        Node::of(&small).into_iter().chain(Node::of(&gpu)).collect()
    }

    fn needs(cpu: u64, gigabytes: u64) -> Needs {
        Needs { cpu, memory: gigabytes << 30, ..Needs::default() }
    }

    #[test]
    fn pods_are_spread_over_the_nodes_that_have_room() {
        let nodes = nodes();
        let mut taken = BTreeMap::new();
        assert_eq!(place(&nodes, &taken, &needs(1_000, 2)).unwrap().name, "small-1");
        taken.insert("small-1".to_owned(), Taken { cpu: 1_000, memory: 2 << 30, pods: 1 });
        assert_eq!(place(&nodes, &taken, &needs(1_000, 2)).unwrap().name, "small-2");
    }

    #[test]
    fn the_scheduler_says_why_in_its_own_words() {
        let nodes = nodes();
        let mut taken = BTreeMap::new();
        taken.insert("small-1".to_owned(), Taken { cpu: 3_900, memory: 2 << 30, pods: 3 });
        taken.insert("small-2".to_owned(), Taken { cpu: 3_000, memory: 15 << 30, pods: 110 });
        let why = place(&nodes, &taken, &needs(500, 2)).unwrap_err();
        assert_eq!(
            why,
            "0/3 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 Too many pods, 1 node(s) had untolerated taint \
             {dedicated: gpu}. preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims \
             found for incoming pod."
        );
    }

    #[test]
    fn selectors_cordons_and_tolerations_count() {
        let mut nodes = nodes();
        let taken = BTreeMap::new();
        let bears = Needs {
            tolerations: vec![Toleration { key: "dedicated".into(), ..Toleration::default() }],
            ..needs(8_000, 2)
        };
        assert_eq!(place(&nodes, &taken, &bears).unwrap().name, "gpu");
        nodes[2].unschedulable = true;
        assert!(place(&nodes, &taken, &bears).unwrap_err().contains("1 node(s) were unschedulable"));
        let selects = Needs { selector: BTreeMap::from([("zone".into(), "b".into())]), ..needs(100, 1) };
        assert!(
            place(&nodes, &taken, &selects)
                .unwrap_err()
                .contains("2 node(s) didn't match Pod's node affinity/selector")
        );
    }

    #[test]
    fn a_quota_refuses_what_goes_over_it() {
        let quota = QuotaSpec { name: "team".into(), namespace: None, cpu: Some(4.0), memory: None, pods: Some(9) };
        let used = Taken { cpu: 3_500, memory: 0, pods: 2 };
        assert_eq!(quota.refuses("a", &needs(500, 1), used), None);
        assert_eq!(
            quota.refuses("a", &needs(1_000, 1), used).unwrap(),
            "pods \"a\" is forbidden: exceeded quota: team, requested: requests.cpu=1, used: requests.cpu=3500m, limited: requests.cpu=4"
        );
    }
}
