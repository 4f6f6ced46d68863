//! The Cluster Autoscaler's status in both of its forms (`operator.md` §8.4): text up to 1.29, YAML from 1.30 on.

use serde_json::Value;

use crate::domain::capacity::NodeGroup;

/// Longest status that is read, bytes.
const LONGEST: usize = 1 << 20;

/// Reads the key `status` of the ConfigMap.
///
/// # Errors
/// What is wrong with it, in one sentence.
pub fn node_groups(status: &str) -> Result<Vec<NodeGroup>, String> {
    if status.len() > LONGEST {
        return Err("the Cluster Autoscaler's status is too long".to_owned());
    }
    let document: Option<Value> = serde_saphyr::from_str(status).ok();
    if let Some(document) = document.filter(Value::is_object)
        && document.get("nodeGroups").is_some_and(|g| g.is_array() || g.is_null())
    {
        return Ok(of_yaml(&document));
    }
    let groups = of_text(status);
    if groups.is_empty() && status.contains("maxSize=") {
        return Err("the Cluster Autoscaler's status cannot be read".to_owned());
    }
    Ok(groups)
}

fn of_yaml(document: &Value) -> Vec<NodeGroup> {
    let groups = document.get("nodeGroups").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    groups
        .iter()
        .filter_map(|group| {
            let number =
                |pointer: &str| group.pointer(pointer).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
            let word = |pointer: &str| group.pointer(pointer).and_then(Value::as_str);
            let held_back = match word("/scaleUp/status") {
                Some("Backoff") => Some(word("/scaleUp/backoffInfo/errorMessage").unwrap_or("Backoff").to_owned()),
                _ => None,
            };
            let registered = number("/health/nodeCounts/registered/total");
            Some(NodeGroup {
                name: word("/name")?.to_owned(),
                current: number("/health/cloudProviderTarget").or(registered).unwrap_or_default(),
                max: number("/health/maxSize")?,
                held_back,
            })
        })
        .collect()
}

/// Each block from one `Name:` to the next, whatever its line breaks.
fn of_text(status: &str) -> Vec<NodeGroup> {
    let Some((_, groups)) = status.split_once("NodeGroups:") else { return Vec::new() };
    groups
        .split("Name:")
        .skip(1)
        .filter_map(|block| {
            let scale_up = block.split_once("ScaleUp:").map(|(_, rest)| rest.trim_start());
            Some(NodeGroup {
                name: block.split_whitespace().next()?.to_owned(),
                current: number_after(block, "cloudProviderTarget=")
                    .or_else(|| number_after(block, "registered="))
                    .unwrap_or_default(),
                max: number_after(block, "maxSize=")?,
                held_back: scale_up.filter(|s| s.starts_with("Backoff")).map(|_| "Backoff".to_owned()),
            })
        })
        .collect()
}

fn number_after(text: &str, name: &str) -> Option<u32> {
    let (_, rest) = text.split_once(name)?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, current: u32, max: u32, held_back: Option<&str>) -> NodeGroup {
        NodeGroup { name: name.to_owned(), current, max, held_back: held_back.map(str::to_owned) }
    }

    #[test]
    fn the_text_form_is_read_wrapped_and_unwrapped() {
        let one_line = "Cluster-autoscaler status at 2024-01-16 16:05:52 +0000 UTC:\nCluster-wide:\n  Health:      Healthy (ready=4 unready=0 registered=4)\n  ScaleUp:     NoActivity (ready=4)\nNodeGroups:\n  Name:        ng-a\n  Health:      Healthy (ready=1 unready=0 (resourceUnready=0) notStarted=0 registered=1 longUnregistered=0 cloudProviderTarget=1 (minSize=1, maxSize=22))\n               LastProbeTime:      x\n  ScaleUp:     NoActivity (ready=1 cloudProviderTarget=1)\n\n  Name:        ng-b\n  Health:      Healthy (ready=2 registered=2 cloudProviderTarget=3 (minSize=0, maxSize=5))\n  ScaleUp:     Backoff (ready=2 cloudProviderTarget=3)\n";
        let expected = vec![group("ng-a", 1, 22, None), group("ng-b", 3, 5, Some("Backoff"))];
        assert_eq!(node_groups(one_line), Ok(expected));
        let wrapped = "NodeGroups:\n      Name:        ng-a\n      Health:      Healthy (ready=1 cloudProviderTarget=1\n        (minSize=1, maxSize=22))\n";
        assert_eq!(node_groups(wrapped), Ok(vec![group("ng-a", 1, 22, None)]));
    }

    #[test]
    fn the_yaml_form_is_read_with_the_reason_of_a_back_off() {
        let yaml = "time: 2024-06-01\nautoscalerStatus: Running\nclusterWide: {}\nnodeGroups:\n- name: ng-a\n  health: {status: Healthy, nodeCounts: {registered: {total: 2}}, cloudProviderTarget: 2, minSize: 1, maxSize: 4}\n  scaleUp: {status: NoActivity}\n- name: ng-b\n  health: {nodeCounts: {registered: {total: 1}}, maxSize: 3}\n  scaleUp: {status: Backoff, backoffInfo: {errorCode: QUOTA_EXCEEDED, errorMessage: out of quota}}\n";
        let expected = vec![group("ng-a", 2, 4, None), group("ng-b", 1, 3, Some("out of quota"))];
        assert_eq!(node_groups(yaml), Ok(expected));
        assert_eq!(node_groups("autoscalerStatus: Initializing\nnodeGroups: []\n"), Ok(vec![]));
    }

    #[test]
    fn nonsense_is_said_and_nothing_is_nothing() {
        assert_eq!(node_groups(""), Ok(vec![]));
        assert!(node_groups("Name: x maxSize=3").is_err());
        assert!(node_groups(&"x".repeat(LONGEST + 1)).is_err());
    }
}
