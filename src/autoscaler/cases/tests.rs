use super::*;

/// A source that is too slow feeds a sink with room.
fn decide_case() -> Value {
    let sample = |seconds: i64| {
        json!({
            "at": format!("2024-03-14T00:{:02}:{:02}.000Z", seconds / 60, seconds % 60),
            "vertices": {
                "00000000000000000000000000000001": {
                    "LOAD": 1.0, "ACCUMULATED_BUSY_TIME": seconds * 1000, "NUM_RECORDS_IN": seconds * 100,
                    "NUM_RECORDS_OUT": seconds * 100, "LAG": seconds * 50, "OBSERVED_TPR": "NaN"
                },
                "00000000000000000000000000000002": {
                    "LOAD": 0.3, "ACCUMULATED_BUSY_TIME": seconds * 300, "NUM_RECORDS_IN": seconds * 100,
                    "NUM_RECORDS_OUT": 0, "NUM_RECORDS_IN_PER_SECOND": 100.0
                }
            },
            "global": {"NUM_TASK_SLOTS_USED": 1, "HEAP_MEMORY_USED": 500_000_000, "METASPACE_MEMORY_USED": 90_000_000}
        })
    };
    json!({
        "id": "main-decide-000001", "compat": "main",
        "options": {"job.autoscaler.enabled": "true", "taskmanager.memory.process.size": "4 gb"},
        "now": "2024-03-14T00:10:00.000Z", "running_since": "2024-03-13T00:00:00.000Z",
        "topology": {"vertices": [
            {"id": "00000000000000000000000000000001", "name": "Source: clicks", "parallelism": 1, "max_parallelism": 128,
             "source_partitions": 0, "finished": false, "slot_sharing_group": null, "inputs": []},
            {"id": "00000000000000000000000000000002", "name": "sink", "parallelism": 1, "max_parallelism": 128,
             "source_partitions": 0, "finished": false, "slot_sharing_group": null,
             "inputs": [{"id": "00000000000000000000000000000001", "ship_strategy": "HASH"}]}
        ]},
        "window": [sample(0), sample(300), sample(600)],
        "fully_collected": true
    })
}

#[test]
fn a_pass_is_answered_in_full() {
    let case = Case::parse(&decide_case().to_string()).unwrap();
    let answer = case.answer(true);
    assert_eq!(answer.expect["decision"]["outcome"], "scaled");
    assert_eq!(answer.expect["restart_time_seconds"], 300.0);
    let recommended = &answer.expect["decision"]["recommended_parallelism"]["00000000000000000000000000000001"];
    assert!(recommended.as_i64().unwrap() > 1);
    assert!(answer.to_json()["explanation"]["steps"].as_array().is_some_and(|steps| !steps.is_empty()));
    assert!(case.answer(false).to_json().get("explanation").is_none());
}

#[test]
fn the_report_names_vertices_reason_and_changes() {
    let case = Case::parse(&decide_case().to_string()).unwrap();
    let report = case.report(&case.answer(true));
    for part in ["main-decide-000001 (rules of main)", "Source: clicks", "reason      proposed", "→", "explanation"] {
        assert!(report.contains(part), "{part} is not in\n{report}");
    }
}

#[test]
fn errors_name_the_place_in_the_case() {
    let error = |change: &dyn Fn(&mut Value)| {
        let mut case = decide_case();
        change(&mut case);
        Case::parse(&case.to_string()).unwrap_err().to_string()
    };
    let missing =
        error(&|case| case["topology"]["vertices"][1]["inputs"] = json!([{"id": 3, "ship_strategy": "HASH"}]));
    assert_eq!(missing, "$.topology.vertices[1].inputs[0].id: expected a text, found 3");
    let unknown = error(&|case| case["window"][2]["vertices"] = json!({"xyz": {}}));
    assert!(unknown.starts_with("$.window[2].vertices.xyz: a vertex id must be 32 hexadecimal digits"), "{unknown}");
    let value = error(&|case| {
        case["window"][0]["vertices"]["00000000000000000000000000000002"]["LOAD"] = json!("much");
    });
    assert!(value.contains("00000000000000000000000000000002"), "{value}");
    assert!(value.contains(".LOAD: expected a number"), "{value}");
}

#[test]
fn an_unreadable_option_fails_the_pass() {
    let mut case = decide_case();
    case["options"]["job.autoscaler.restart.time"] = json!("PT5M");
    let answer = Case::parse(&case.to_string()).unwrap().answer(false);
    assert_eq!(answer.expect["decision"]["outcome"], "error");
    assert_eq!(answer.expect["decision"]["events"][0]["reason"], "AutoscalerError");
}
