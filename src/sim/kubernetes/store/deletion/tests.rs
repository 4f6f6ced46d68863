use super::*;

fn store() -> Store {
    let mut store = Store::default();
    store.create(Key::new(Kind::Namespace, "", "flink"), json!({}), 0, Write::Real).unwrap();
    store
}

fn key(kind: Kind, name: &str) -> Key {
    Key::new(kind, "flink", name)
}

fn create(store: &mut Store, key: &Key, meta: Value) -> Arc<Value> {
    store.create(key.clone(), json!({"metadata": meta}), 0, Write::Real).unwrap()
}

fn owner(object: &Value, block: bool) -> Value {
    json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "name": object["metadata"]["name"],
        "uid": object["metadata"]["uid"], "blockOwnerDeletion": block})
}

fn with(propagation: Propagation) -> Deletion {
    Deletion { propagation, grace: None }
}

#[test]
fn finalizers_hold_an_object_and_what_it_owns_goes_with_it() {
    let mut store = store();
    let a = key(Kind::FlinkDeployment, "a");
    let object = create(&mut store, &a, json!({"finalizers": ["flinkdeployments.flink.apache.org/finalizer"]}));
    let owned = key(Kind::ConfigMap, "autoscaler-a");
    create(&mut store, &owned, json!({"ownerReferences": [owner(&object, true)]}));
    let held = store.delete(&a, 0, Write::Real).unwrap();
    assert!(held["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(held["metadata"]["generation"], 2);
    assert!(store.get(&owned).is_some());
    store
        .update(&a, super::super::Part::Main, 0, Write::Real, |o| {
            o["metadata"]["finalizers"] = json!([]);
            Ok(())
        })
        .unwrap();
    assert!(store.get(&a).is_none());
    assert!(store.get(&owned).is_none());
}

#[test]
fn in_the_foreground_the_owner_goes_last_and_only_what_blocks_it_is_waited_for() {
    let mut store = store();
    let (a, held, free) = (key(Kind::Deployment, "a"), key(Kind::Pod, "held"), key(Kind::Pod, "free"));
    let object = create(&mut store, &a, json!({}));
    create(&mut store, &held, json!({"ownerReferences": [owner(&object, true)], "finalizers": ["x/y"]}));
    create(&mut store, &free, json!({"ownerReferences": [owner(&object, false)]}));
    let left = store.delete_with(&a, with(Propagation::Foreground), 0, Write::Real).unwrap();
    assert_eq!(left["metadata"]["finalizers"], json!([FOREGROUND]));
    assert!(store.get(&free).is_none());
    assert!(store.get(&held).is_some_and(|o| o["metadata"]["deletionTimestamp"].is_string()));
    store
        .update(&held, super::super::Part::Main, 0, Write::Real, |o| {
            o["metadata"]["finalizers"] = json!([]);
            Ok(())
        })
        .unwrap();
    assert!(store.get(&held).is_none());
    assert!(store.get(&a).is_none(), "the owner goes with the last that blocked it");
}

#[test]
fn orphans_stay_without_an_owner() {
    let mut store = store();
    let (a, b) = (key(Kind::Deployment, "a"), key(Kind::Pod, "b"));
    let object = create(&mut store, &a, json!({}));
    create(&mut store, &b, json!({"ownerReferences": [owner(&object, true)]}));
    store.delete_with(&a, with(Propagation::Orphan), 0, Write::Real).unwrap();
    assert!(store.get(&a).is_none());
    assert_eq!(store.get(&b).unwrap()["metadata"].get("ownerReferences"), None);
}

#[test]
fn an_object_with_two_owners_stays_with_the_second() {
    let mut store = store();
    let (a, b, c) = (key(Kind::Deployment, "a"), key(Kind::Deployment, "b"), key(Kind::Pod, "c"));
    let (first, second) = (create(&mut store, &a, json!({})), create(&mut store, &b, json!({})));
    create(&mut store, &c, json!({"ownerReferences": [owner(&first, true), owner(&second, true)]}));
    store.delete(&a, 0, Write::Real).unwrap();
    assert_eq!(store.get(&c).unwrap()["metadata"]["ownerReferences"], json!([owner(&second, true)]));
    store.delete(&b, 0, Write::Real).unwrap();
    assert!(store.get(&c).is_none());
}

#[test]
fn a_pod_on_a_node_has_time_to_end() {
    let mut store = store();
    let pod = key(Kind::Pod, "p");
    let body = json!({"spec": {"nodeName": "n"}, "status": {"phase": "Running"}});
    store.create(pod.clone(), body, 0, Write::Real).unwrap();
    let ending = store.delete_with(&pod, Deletion::default(), 1_000, Write::Real).unwrap();
    assert_eq!(ending["metadata"]["deletionGracePeriodSeconds"], GRACE);
    assert_eq!(ending["metadata"]["deletionTimestamp"], rfc3339(31_000));
    let status = |o: &mut Value| {
        o["status"]["message"] = "ends".into();
        Ok(())
    };
    store.update(&pod, super::super::Part::Status, 1_000, Write::Real, status).unwrap();
    store.end_pods(1_000);
    assert!(store.get(&pod).is_some());
    store.end_pods(1_000 + OBEYS);
    assert!(store.get(&pod).is_none());
}

#[test]
fn a_namespace_goes_with_the_last_object_in_it() {
    let mut store = store();
    let namespace = Key::new(Kind::Namespace, "", "flink");
    let (free, held) = (key(Kind::ConfigMap, "free"), key(Kind::FlinkDeployment, "held"));
    create(&mut store, &free, json!({}));
    create(&mut store, &held, json!({"finalizers": ["x/y"]}));
    let ending = store.delete(&namespace, 0, Write::Real).unwrap();
    assert_eq!(ending["status"]["phase"], "Terminating");
    assert!(store.get(&free).is_none());
    let refused = store.create(free, json!({}), 0, Write::Real).unwrap_err();
    assert!(refused.message.contains("because it is being terminated"), "{}", refused.message);
    store
        .update(&held, super::super::Part::Main, 0, Write::Real, |o| {
            o["metadata"]["finalizers"] = json!([]);
            Ok(())
        })
        .unwrap();
    assert!(store.get(&namespace).is_none());
}
