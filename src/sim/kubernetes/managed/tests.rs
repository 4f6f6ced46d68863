use super::apply::apply;
use super::*;

const KIND: Kind = Kind::FlinkDeployment;

fn write(object: &Value, manager: &str, edit: impl FnOnce(&mut Value)) -> Value {
    let mut after = object.clone();
    edit(&mut after);
    updated(KIND, Some(object), &mut after, Some(&Author::new(manager)), Release::DEFAULT, 0);
    after
}

fn applied(
    object: &Value,
    manager: &str,
    spec: Value,
    force: bool,
) -> Result<Value, crate::sim::kubernetes::failure::Failure> {
    let mut after = object.clone();
    let document = json!({"apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkDeployment", "metadata": {"name": "a"}, "spec": spec});
    apply(KIND, &mut after, &document, &Author::new(manager), force, (Release::DEFAULT, 0))?;
    Ok(after)
}

fn fields_of(object: &Value, manager: &str) -> Value {
    entries(object).iter().find(|e| e.author.0 == manager).map_or(Value::Null, |e| e.fields.document())
}

#[test]
fn an_update_owns_what_it_changed_and_others_lose_it() {
    let made = write(&json!({}), "one", |o| o["spec"] = json!({"image": "a", "job": {"parallelism": 2}}));
    assert_eq!(
        fields_of(&made, "one"),
        json!({"f:spec": {".": {}, "f:image": {}, "f:job": {".": {}, "f:parallelism": {}}}})
    );
    let changed = write(&made, "two", |o| o["spec"]["job"]["parallelism"] = 4.into());
    assert_eq!(fields_of(&changed, "two"), json!({"f:spec": {"f:job": {"f:parallelism": {}}}}));
    assert_eq!(fields_of(&changed, "one"), json!({"f:spec": {".": {}, "f:image": {}, "f:job": {}}}));
    let removed = write(&changed, "three", |o| {
        o["spec"].as_object_mut().unwrap().shift_remove("job");
    });
    assert_eq!(fields_of(&removed, "two"), Value::Null, "nothing is left to own");
    assert_eq!(fields_of(&removed, "one"), json!({"f:spec": {".": {}, "f:image": {}}}));
}

#[test]
fn a_conflict_names_the_manager_and_the_field_and_force_takes_it() {
    let made = write(&json!({}), "kubectl-edit", |o| o["spec"] = json!({"image": "a", "job": {"parallelism": 2}}));
    let same = applied(&made, "me", json!({"image": "a"}), false).unwrap();
    assert_eq!(fields_of(&same, "me"), json!({"f:spec": {"f:image": {}}}), "the same value is shared");
    assert!(!fields_of(&same, "kubectl-edit")["f:spec"]["f:image"].is_null());
    let refused = applied(&made, "me", json!({"image": "b"}), false).unwrap_err();
    assert_eq!((refused.code, refused.reason), (409, "Conflict"));
    assert_eq!(
        refused.message,
        "Apply failed with 1 conflict: conflict with \"kubectl-edit\" using flink.apache.org/v1beta1 at 1970-01-01T00:00:00Z: .spec.image"
    );
    assert_eq!(refused.status()["details"]["causes"][0]["reason"], "FieldManagerConflict");
    let two = applied(&made, "me", json!({"image": "b", "job": {"parallelism": 3}}), false).unwrap_err();
    assert!(
        two.message.starts_with("Apply failed with 2 conflicts: conflicts with \"kubectl-edit\" using"),
        "{}",
        two.message
    );
    assert!(two.message.ends_with(":\n- .spec.image\n- .spec.job.parallelism"), "{}", two.message);
    let forced = applied(&made, "me", json!({"image": "b"}), true).unwrap();
    assert_eq!(forced["spec"]["image"], "b");
    assert!(fields_of(&forced, "kubectl-edit")["f:spec"]["f:image"].is_null());
}

#[test]
fn what_an_apply_no_longer_names_goes_unless_somebody_else_has_it() {
    let first =
        applied(&json!({}), "me", json!({"image": "a", "flinkConfiguration": {"x": "1", "y": "1"}}), false).unwrap();
    let shared = applied(&first, "you", json!({"flinkConfiguration": {"y": "1"}}), false).unwrap();
    let second = applied(&shared, "me", json!({"image": "a"}), false).unwrap();
    assert_eq!(second["spec"], json!({"image": "a", "flinkConfiguration": {"y": "1"}}));
    let third = applied(&second, "you", json!({"serviceAccount": "flink"}), false).unwrap();
    assert_eq!(third["spec"], json!({"image": "a", "serviceAccount": "flink"}));
}

#[test]
fn items_of_keyed_lists_have_owners_of_their_own() {
    let pod = |containers: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}});
    let mut object = json!({});
    let act = |object: &mut Value, manager: &str, document: Value| {
        apply(Kind::Pod, object, &document, &Author::new(manager), false, (Release::DEFAULT, 0))
    };
    act(&mut object, "one", pod(json!([{"name": "a", "image": "1"}]))).unwrap();
    act(&mut object, "two", pod(json!([{"name": "b", "image": "1"}]))).unwrap();
    assert_eq!(object["spec"]["containers"], json!([{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]));
    assert_eq!(
        fields_of(&object, "two"),
        json!({"f:spec": {"f:containers": {"k:{\"name\":\"b\"}": {".": {}, "f:image": {}, "f:name": {}}}}})
    );
    let refused = act(&mut object.clone(), "two", pod(json!([{"name": "a", "image": "2"}]))).unwrap_err();
    assert!(refused.message.ends_with(": .spec.containers[name=\"a\"].image"), "{}", refused.message);
    act(&mut object, "one", pod(json!([]))).unwrap();
    assert_eq!(object["spec"]["containers"], json!([{"name": "b", "image": "1"}]));
}

#[test]
fn the_entries_of_updates_are_bounded() {
    let mut object = json!({});
    for n in 0..20 {
        object = write(&object, &format!("m{n:02}"), |o| o["spec"][format!("f{n}")] = n.into());
    }
    let all = entries(&object);
    assert_eq!(all.len(), UPDATERS);
    assert_eq!(all[0].author.0, "ancient-changes");
    assert!(!fields_of(&object, "ancient-changes")["f:spec"]["f:f0"].is_null(), "what they own is still owned");
}

#[test]
fn odd_entries_of_others_do_no_harm() {
    let object = json!({"metadata": {"managedFields": "odd"}, "spec": {}});
    assert_eq!(
        write(&object, "me", |o| o["spec"]["image"] = "a".into())["metadata"]["managedFields"].as_array().map(Vec::len),
        Some(1)
    );
}
