//! The cells of tables, in the words of Kubernetes' printers.

use serde_json::Value;

use crate::sim::kubernetes::kinds::columns::Cell;

/// The cell of an object.
pub(super) fn cell(cell: Cell, object: &Value, now: i64) -> Value {
    let text = |pointer: &str| text(object, pointer);
    match cell {
        Cell::Name => text("/metadata/name").unwrap_or_default().into(),
        Cell::Age => since(text("/metadata/creationTimestamp"), now).into(),
        Cell::Since(pointer) => since(text(pointer), now).into(),
        Cell::At(pointer, otherwise) => match object.pointer(pointer) {
            None | Some(Value::Null) => otherwise.into(),
            Some(Value::String(s)) if s.is_empty() => otherwise.into(),
            Some(Value::String(s)) => s.as_str().into(),
            Some(other) => other.to_string().into(),
        },
        Cell::Count(pointer) => object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default().into(),
        Cell::ReadyContainers => {
            let all = list(object, "/status/containerStatuses");
            let ready = all.iter().filter(|c| c["ready"] == true && c["state"].get("running").is_some()).count();
            format!("{ready}/{}", list(object, "/spec/containers").len().max(all.len())).into()
        }
        Cell::PodStatus => pod_status(object).into(),
        Cell::Restarts => restarts(object, now).into(),
        Cell::ReadinessGates => gates(object).into(),
        Cell::DataCount => ["data", "binaryData"]
            .iter()
            .filter_map(|name| object.get(name).and_then(Value::as_object))
            .map(serde_json::Map::len)
            .sum::<usize>()
            .into(),
        Cell::Ports => none_if_empty(ports(object)),
        Cell::ServiceAddress => none_if_empty(
            list(object, "/status/loadBalancer/ingress")
                .iter()
                .filter_map(|i| i.get("ip").or(i.get("hostname")).and_then(Value::as_str))
                .collect::<Vec<_>>()
                .join(","),
        ),
        Cell::Selector(pointer) => none_if_empty(pairs(object.pointer(pointer), "=")),
        Cell::ReadyReplicas => {
            let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
            format!("{}/{}", number("/status/readyReplicas"), number("/spec/replicas")).into()
        }
        Cell::Containers => of_containers(object, "name").into(),
        Cell::Images => of_containers(object, "image").into(),
        Cell::Involved => {
            let kind = text("/involvedObject/kind").unwrap_or_default().to_lowercase();
            match text("/involvedObject/name").unwrap_or_default() {
                "" => kind.into(),
                name => format!("{kind}/{name}").into(),
            }
        }
        Cell::Subobject => text("/involvedObject/fieldPath").unwrap_or_default().into(),
        Cell::Source => {
            let component = text("/source/component").or(text("/reportingComponent")).unwrap_or_default();
            match text("/source/host") {
                Some(host) => format!("{component}, {host}").into(),
                None => component.into(),
            }
        }
        Cell::FirstSeen => since(text("/firstTimestamp").or(text("/eventTime")), now).into(),
        Cell::LastSeen => {
            let at = text("/series/lastObservedTime").or(text("/lastTimestamp")).or(text("/firstTimestamp"));
            since(at.or(text("/eventTime")), now).into()
        }
        Cell::Occurrences => {
            let count = object.pointer("/series/count").or(object.get("count")).and_then(Value::as_u64);
            count.unwrap_or(1).max(1).into()
        }
        Cell::NodeStatus => node_status(object).into(),
        Cell::NodeRoles => none_if_empty(roles(object)),
        Cell::NodeAddress(kind) => {
            let all = list(object, "/status/addresses");
            let found = all.iter().find(|a| a["type"] == kind).and_then(|a| a["address"].as_str());
            found.unwrap_or("<none>").into()
        }
        Cell::Quota(limits) => quota(object, limits).into(),
        Cell::ScaleTarget => {
            let part = |name: &str| text(&format!("/spec/scaleTargetRef/{name}")).unwrap_or_default();
            format!("{}/{}", part("kind"), part("name")).into()
        }
        Cell::Metrics => metrics(object).into(),
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer).and_then(Value::as_str)
}

fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn none_if_empty(text: String) -> Value {
    if text.is_empty() { "<none>".into() } else { text.into() }
}

fn pod_status(pod: &Value) -> String {
    let phase = text(pod, "/status/phase").unwrap_or("Unknown");
    let mut reason = text(pod, "/status/reason").filter(|r| !r.is_empty()).unwrap_or(phase).to_owned();
    let mut running = false;
    for container in list(pod, "/status/containerStatuses").iter().rev() {
        let state = |pointer: &str| text(container, pointer).filter(|r| !r.is_empty());
        if let Some(waiting) = state("/state/waiting/reason") {
            reason = waiting.to_owned();
        } else if let Some(ended) = container.pointer("/state/terminated") {
            reason = match (state("/state/terminated/reason"), ended["signal"].as_i64(), ended["exitCode"].as_i64()) {
                (Some(reason), _, _) => reason.to_owned(),
                (None, Some(signal), _) if signal != 0 => format!("Signal:{signal}"),
                (None, _, code) => format!("ExitCode:{}", code.unwrap_or_default()),
            };
        } else if container["ready"] == true && container.pointer("/state/running").is_some() {
            running = true;
        }
    }
    if reason == "Completed" && running {
        reason = "Running".to_owned();
    }
    if pod.pointer("/metadata/deletionTimestamp").is_some() {
        return if text(pod, "/status/reason") == Some("NodeLost") { "Unknown" } else { "Terminating" }.to_owned();
    }
    reason
}

fn restarts(pod: &Value, now: i64) -> String {
    let containers = list(pod, "/status/containerStatuses");
    let count: u64 = containers.iter().filter_map(|c| c["restartCount"].as_u64()).sum();
    let last = containers.iter().filter_map(|c| text(c, "/lastState/terminated/finishedAt")).max();
    match last {
        Some(at) if count > 0 => format!("{count} ({} ago)", since(Some(at), now)),
        _ => count.to_string(),
    }
}

fn gates(pod: &Value) -> String {
    let gates = list(pod, "/spec/readinessGates");
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let conditions = list(pod, "/status/conditions");
    let passed = gates
        .iter()
        .filter(|gate| conditions.iter().any(|c| c["type"] == gate["conditionType"] && c["status"] == "True"));
    format!("{}/{}", passed.count(), gates.len())
}

fn ports(service: &Value) -> String {
    let one = |port: &Value| {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        match port["nodePort"].as_u64().filter(|p| *p > 0) {
            Some(node) => format!("{}:{node}/{protocol}", port["port"]),
            None => format!("{}/{protocol}", port["port"]),
        }
    };
    list(service, "/spec/ports").iter().map(one).collect::<Vec<_>>().join(",")
}

/// `name=value` of a map of texts, by name.
fn pairs(map: Option<&Value>, between: &str) -> String {
    let mut all: Vec<String> = map
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}{between}{}", value.as_str().unwrap_or_default()))
        .collect();
    all.sort();
    all.join(",")
}

fn of_containers(object: &Value, field: &str) -> String {
    let containers = list(object, "/spec/template/spec/containers");
    containers.iter().filter_map(|c| c[field].as_str()).collect::<Vec<_>>().join(",")
}

fn node_status(node: &Value) -> String {
    let ready = list(node, "/status/conditions").iter().find(|c| c["type"] == "Ready");
    let mut status = match ready.and_then(|c| c["status"].as_str()) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if node.pointer("/spec/unschedulable") == Some(&Value::Bool(true)) {
        status.push_str(",SchedulingDisabled");
    }
    status
}

fn roles(node: &Value) -> String {
    let labels = node.pointer("/metadata/labels").and_then(Value::as_object);
    let mut roles: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| match name.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None if name == "kubernetes.io/role" => value.as_str(),
            None => None,
        })
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    roles.join(",")
}

fn quota(quota: &Value, limits: bool) -> String {
    let hard = quota.pointer("/status/hard").or(quota.pointer("/spec/hard")).and_then(Value::as_object);
    let used = quota.pointer("/status/used");
    let mut all: Vec<String> = hard
        .into_iter()
        .flatten()
        .filter(|(name, _)| name.starts_with("limits.") == limits)
        .map(|(name, hard)| {
            let used = used.and_then(|u| u.get(name)).map_or("0".to_owned(), plain);
            format!("{name}: {used}/{}", plain(hard))
        })
        .collect();
    all.sort();
    all.join(", ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn metrics(autoscaler: &Value) -> String {
    let present = list(autoscaler, "/status/currentMetrics");
    let all: Vec<String> = list(autoscaler, "/spec/metrics")
        .iter()
        .filter_map(|metric| {
            let name = metric.pointer("/resource/name")?.as_str()?;
            let of = |metric: &Value, side: &str| {
                let utilization =
                    metric.pointer(&format!("/resource/{side}/averageUtilization")).and_then(Value::as_i64);
                let value = metric.pointer(&format!("/resource/{side}/averageValue")).map(plain);
                utilization.map(|u| format!("{u}%")).or(value)
            };
            let now = present.iter().find(|m| m.pointer("/resource/name") == metric.pointer("/resource/name"));
            let now = now.and_then(|m| of(m, "current")).unwrap_or_else(|| "<unknown>".to_owned());
            Some(format!("{name}: {now}/{}", of(metric, "target").unwrap_or_default()))
        })
        .collect();
    if all.is_empty() { "<none>".to_owned() } else { all.join(", ") }
}

/// Time since an instant, as kubectl prints ages.
fn since(at: Option<&str>, now: i64) -> String {
    let Some(at) = at.and_then(|t| chrono::DateTime::parse_from_rfc3339(t).ok()) else {
        return "<unknown>".to_owned();
    };
    let seconds = (now - at.timestamp_millis()).max(0) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let pair = |major: i64, major_unit: &str, minor: i64, minor_unit: &str| {
        if minor == 0 { format!("{major}{major_unit}") } else { format!("{major}{major_unit}{minor}{minor_unit}") }
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => pair(days, "d", hours % 24, "h"),
        () if days < 730 => format!("{days}d"),
        () => pair(days / 365, "y", days % 365, "d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ages_read_as_kubectl_writes_them() {
        let age = |seconds: i64| since(Some("1970-01-01T00:00:00Z"), seconds * 1000);
        assert_eq!(age(5), "5s");
        assert_eq!(age(150), "2m30s");
        assert_eq!(age(3600 * 3), "3h");
        assert_eq!(age(86_400 * 3 + 3600), "3d1h");
        assert_eq!(since(None, 0), "<unknown>");
    }

    #[test]
    fn a_pod_says_what_keeps_it_from_working() {
        let pod = |state: Value, ready: bool| {
            json!({"status": {"phase": "Running", "containerStatuses": [{"state": state, "ready": ready, "restartCount": 2,
                "lastState": {"terminated": {"finishedAt": "1970-01-01T00:00:10Z"}}}]}})
        };
        let running = pod(json!({"running": {}}), true);
        assert_eq!(cell(Cell::PodStatus, &running, 0), "Running");
        assert_eq!(cell(Cell::ReadyContainers, &running, 0), "1/1");
        assert_eq!(cell(Cell::Restarts, &running, 40_000), "2 (30s ago)");
        let waiting = pod(json!({"waiting": {"reason": "CrashLoopBackOff"}}), false);
        assert_eq!(cell(Cell::PodStatus, &waiting, 0), "CrashLoopBackOff");
        let killed = pod(json!({"terminated": {"reason": "OOMKilled", "exitCode": 137}}), false);
        assert_eq!(cell(Cell::PodStatus, &killed, 0), "OOMKilled");
        assert_eq!(cell(Cell::PodStatus, &pod(json!({"terminated": {"exitCode": 2}}), false), 0), "ExitCode:2");
        let mut ending = running;
        ending["metadata"] = json!({"deletionTimestamp": "1970-01-01T00:00:10Z"});
        assert_eq!(cell(Cell::PodStatus, &ending, 0), "Terminating");
    }

    #[test]
    fn nodes_quotas_and_autoscalers_print_as_the_server_prints_them() {
        let node = json!({"metadata": {"labels": {"node-role.kubernetes.io/worker": ""}}, "spec": {"unschedulable": true},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        assert_eq!(cell(Cell::NodeStatus, &node, 0), "Ready,SchedulingDisabled");
        assert_eq!(cell(Cell::NodeRoles, &node, 0), "worker");
        let quota = json!({"spec": {"hard": {"limits.cpu": "8", "pods": "10"}}, "status": {"used": {"pods": "4"}}});
        assert_eq!(cell(Cell::Quota(false), &quota, 0), "pods: 4/10");
        assert_eq!(cell(Cell::Quota(true), &quota, 0), "limits.cpu: 0/8");
        let hpa = json!({"spec": {"metrics": [{"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": 80}}}]}});
        assert_eq!(cell(Cell::Metrics, &hpa, 0), "cpu: <unknown>/80%");
    }
}
