use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::capacity::{NodeGroup, NodeUse, NodeUser, QuotaRow};

const GIB: u64 = 1 << 30;

fn node(name: &str, pool: &str, cpu: u64, gib: u64) -> NodeRow {
    NodeRow {
        uid: name.to_owned(),
        name: name.to_owned(),
        pool: Some(pool.to_owned()),
        ready: true,
        cordoned: false,
        allocatable: Room { cpu, memory: gib * GIB },
        pod_limit: 110,
        taints: vec![],
        labels: [("disk".to_owned(), "ssd".to_owned())].into(),
    }
}

fn with(node: NodeRow, used: Room, pods: u32) -> NodeView {
    NodeView { node: Arc::new(node), usage: Some(NodeUse { requested: used, pods, users: vec![] }) }
}

fn view(nodes: Vec<NodeView>) -> CapacityView {
    CapacityView { nodes, ..CapacityView::default() }
}

fn need(task_managers: u32, running: u32) -> Need {
    Need {
        namespace: "shop".to_owned(),
        task_managers,
        running,
        each: Room { cpu: 1000, memory: 4 * GIB },
        slots: 2,
        ..Need::default()
    }
}

#[test]
fn the_answer_says_how_many_fit_what_blocks_and_the_largest_parallelism() {
    // Twelve run; two more find room, then memory is short although cpu is free.
    let nodes = view(vec![
        with(node("a-1", "a", 4000, 64), Room { cpu: 4000, memory: 40 * GIB }, 10),
        with(node("b-1", "b", 16_000, 32), Room { cpu: 2000, memory: 22 * GIB }, 10),
    ]);
    let answer = preflight(&nodes, &need(20, 12));
    assert_eq!((answer.needed, answer.fitting, answer.fits()), (20, 14, false));
    assert_eq!(answer.blocker, Some((Blocker::Memory, "node-pool b".to_owned())));
    assert_eq!(
        answer.sentence(),
        "fits 14 of 20 TaskManagers, first blocker memory on node-pool b, largest parallelism that fits: 28"
    );
    assert_eq!(preflight(&nodes, &need(14, 12)).sentence(), "fits");
    assert!(preflight(&nodes, &need(3, 12)).fits(), "fewer than run need nothing");
}

#[test]
fn taints_selectors_cordons_and_pods_per_node_count() {
    let mut tainted = node("t", "a", 8000, 64);
    tainted.taints = vec![Taint { key: "gpu".into(), value: "yes".into(), effect: "NoSchedule".into() }];
    let one = |node: NodeRow| view(vec![with(node, Room::default(), 0)]);
    let blocked = |view: &CapacityView, need: &Need| preflight(view, need).blocker.map(|(what, _)| what);
    assert_eq!(blocked(&one(tainted.clone()), &need(1, 0)), Some(Blocker::Taints));
    let exists = Toleration { key: "gpu".into(), exists: true, ..Toleration::default() };
    let equal = Toleration { key: "gpu".into(), value: "yes".into(), effect: "NoSchedule".into(), exists: false };
    let everything = Toleration { exists: true, ..Toleration::default() };
    for toleration in [exists, equal, everything] {
        assert!(preflight(&one(tainted.clone()), &Need { tolerations: vec![toleration], ..need(1, 0) }).fits());
    }
    let other = Toleration { key: "gpu".into(), value: "no".into(), ..Toleration::default() };
    assert!(!preflight(&one(tainted.clone()), &Need { tolerations: vec![other], ..need(1, 0) }).fits());
    tainted.taints[0].effect = "PreferNoSchedule".into();
    assert!(preflight(&one(tainted), &need(1, 0)).fits());
    assert_eq!(
        blocked(&one(NodeRow { cordoned: true, ..node("c", "a", 8000, 64) }), &need(1, 0)),
        Some(Blocker::Taints)
    );
    let selector = Need { node_selector: [("disk".to_owned(), "hdd".to_owned())].into(), ..need(1, 0) };
    assert_eq!(blocked(&one(node("a", "a", 8000, 64)), &selector), Some(Blocker::NodeSelector));
    let few = NodeRow { pod_limit: 2, ..node("p", "a", 80_000, 640) };
    let answer = preflight(&one(few), &need(3, 0));
    assert_eq!((answer.fitting, answer.blocker.map(|(what, _)| what)), (2, Some(Blocker::Pods)));
}

#[test]
fn quotas_of_the_namespace_count_and_of_others_do_not() {
    let mut room = view(vec![with(node("a", "a", 64_000, 512), Room::default(), 0)]);
    let quota = |namespace: &str, resource: &str, hard, used| QuotaRow {
        namespace: namespace.to_owned(),
        name: "team".to_owned(),
        resource: resource.to_owned(),
        hard,
        used,
    };
    room.quotas = vec![quota("other", "pods", 0, 0), quota("shop", "requests.memory", 20 * GIB, 8 * GIB)];
    let answer = preflight(&room, &need(5, 0));
    assert_eq!(
        (answer.fitting, answer.blocker),
        (3, Some((Blocker::Quota, "requests.memory of ResourceQuota team".to_owned())))
    );
    room.quotas.push(quota("shop", "pods", 10, 9));
    assert_eq!(preflight(&room, &need(5, 0)).fitting, 1);
}

#[test]
fn nodes_that_can_be_added_are_counted_and_said() {
    let mut room = view(vec![with(node("a-1", "ng-a", 4000, 16), Room { cpu: 3000, memory: 12 * GIB }, 5)]);
    room.groups = vec![NodeGroup { name: "ng-a".into(), current: 1, max: 3, held_back: None }];
    let answer = preflight(&room, &need(6, 0));
    assert_eq!((answer.fitting, answer.new_nodes), (6, 2));
    assert_eq!(answer.sentence(), "fits, with 2 nodes that must be added first");
    assert_eq!(preflight(&room, &need(1, 0)).new_nodes, 0, "no node is added for what fits");
    assert_eq!(preflight(&room, &need(20, 0)).fitting, 9);
    room.groups[0].held_back = Some("out of quota".into());
    assert_eq!(preflight(&room, &need(6, 0)).fitting, 1);
}

#[test]
fn a_redeploy_releases_what_the_cluster_holds() {
    let user = NodeUser {
        namespace: "shop".into(),
        name: "orders".into(),
        flink: true,
        pods: 3,
        requested: Room { cpu: 3000, memory: 12 * GIB },
    };
    let usage = NodeUse { requested: Room { cpu: 4000, memory: 16 * GIB }, pods: 4, users: vec![user] };
    let room = view(vec![NodeView { node: Arc::new(node("a", "a", 4000, 16)), usage: Some(usage) }]);
    assert_eq!(preflight(&room, &need(3, 0)).fitting, 0);
    assert!(preflight(&room, &Need { releases: Some("orders".into()), ..need(3, 0) }).fits());
}

#[test]
fn what_cannot_be_seen_is_said() {
    let none = preflight(&CapacityView::default(), &need(5, 0));
    assert!(none.fits() && none.gaps[0].contains("no node can be seen"), "{none:?}");
    let blind = view(vec![NodeView { node: Arc::new(node("a", "a", 64_000, 512)), usage: None }]);
    assert!(preflight(&blind, &need(5, 0)).gaps[0].contains("taken for empty"));
}

#[test]
fn the_check_of_a_pass_gives_the_sentence() {
    let view = view(vec![with(node("a", "a", 2000, 64), Room::default(), 0)]);
    let check = RoomCheck { view: &view, need: need(0, 0) };
    let request = |task_managers| ResourceRequest {
        current_slots: 2,
        new_slots: 2 * task_managers,
        current_task_managers: 1,
        new_task_managers: task_managers,
        cpu: 1.0,
        memory_bytes: GIB,
    };
    assert_eq!(check.try_schedule(&request(3)), Ok(()));
    assert!(check.try_schedule(&request(4)).unwrap_err().starts_with("fits 3 of 4"));
}

fn rooms() -> impl Strategy<Value = CapacityView> {
    let one = (1u64..20, 1u64..80, 0u64..20, 0u64..80, 0u32..12, any::<bool>());
    prop::collection::vec(one, 1..8).prop_map(|nodes| {
        let node = |(n, (cpu, gib, used_cpu, used_gib, pods, ready)): (usize, (u64, u64, u64, u64, u32, bool))| {
            let row = NodeRow { ready, pod_limit: 12, ..node(&format!("n{n}"), "p", cpu * 1000, gib) };
            with(row, Room { cpu: used_cpu * 1000, memory: used_gib * GIB }, pods)
        };
        view(nodes.into_iter().enumerate().map(node).collect())
    })
}

proptest! {
    /// A plain placing of one pod after the other finds room for exactly as many.
    #[test]
    fn the_sum_over_the_nodes_is_what_a_scheduler_places(room in rooms(), wanted in 0u32..40) {
        let need = need(wanted, 0);
        let answer = preflight(&room, &need);
        let mut free: Vec<(u64, u64, u32)> = room.nodes.iter().filter(|n| n.node.ready).map(|n| {
            let used = n.usage.as_ref().unwrap();
            let left = n.node.allocatable.less(used.requested);
            (left.cpu, left.memory, n.node.pod_limit.saturating_sub(used.pods))
        }).collect();
        let mut placed = 0;
        while placed < wanted {
            let Some(node) = free.iter_mut().find(|n| n.0 >= need.each.cpu && n.1 >= need.each.memory && n.2 > 0) else { break };
            *node = (node.0 - need.each.cpu, node.1 - need.each.memory, node.2 - 1);
            placed += 1;
        }
        prop_assert_eq!(answer.fitting, placed);
        prop_assert_eq!(answer.fits(), answer.blocker.is_none());
    }

    /// More room never holds fewer, and larger pods never more.
    #[test]
    fn it_is_monotonic(room in rooms(), wanted in 0u32..40, extra in 0u64..8) {
        let small = preflight(&room, &need(wanted, 0)).fitting;
        let mut larger = room.clone();
        for view in &mut larger.nodes {
            let node = Arc::make_mut(&mut view.node);
            node.allocatable = node.allocatable.plus(Room { cpu: extra * 500, memory: extra * GIB });
        }
        prop_assert!(preflight(&larger, &need(wanted, 0)).fitting >= small);
        let mut heavy = need(wanted, 0);
        heavy.each = heavy.each.plus(Room { cpu: extra * 100, memory: extra * GIB / 4 });
        prop_assert!(preflight(&room, &heavy).fitting <= small);
    }

    /// What was said to fit does fit when it is asked for.
    #[test]
    fn the_largest_that_fits_fits(room in rooms(), wanted in 0u32..40, running in 0u32..10) {
        let answer = preflight(&room, &need(wanted, running));
        let again = preflight(&room, &need(answer.fitting, running));
        prop_assert!(again.fits());
        prop_assert_eq!(answer.largest_parallelism, answer.fitting * 2);
    }
}
