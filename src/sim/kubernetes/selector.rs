//! Label and field selectors of lists and watches.

use serde_json::Value;

use super::asked::Asked;
use super::failure::Failure;
use super::kinds::Kind;

/// What a list or watch is restricted to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Selector {
    /// Reads both selectors; empty texts select everything.
    ///
    /// # Errors
    /// 400 with what is wrong.
    pub fn parse(labels: &str, fields: &str) -> Result<Self, Failure> {
        Ok(Self { labels: requirements(labels)?, fields: requirements(fields)? })
    }

    /// The selectors of a request for objects of a kind.
    ///
    /// # Errors
    /// 400 with what is wrong, such as a field that objects of the kind are not selected by.
    pub(super) fn of(kind: Kind, asked: &Asked) -> Result<Self, Failure> {
        let mut selector = Self::parse(asked.parameter("labelSelector"), asked.parameter("fieldSelector"))?;
        for field in &mut selector.fields {
            if let (Kind::Event, Some(part)) = (kind, field.key.strip_prefix("regarding.")) {
                field.key = format!("involvedObject.{part}");
            }
            if !fields(kind).contains(&field.key.as_str()) {
                return Err(Failure::bad_request(format!(
                    "Unable to find {:?} that match label selector {:?}, field selector {:?}: field label not supported: {}",
                    kind.resource(),
                    asked.parameter("labelSelector"),
                    asked.parameter("fieldSelector"),
                    field.key
                )));
            }
        }
        Ok(selector)
    }

    /// Everything is selected.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object is selected.
    pub fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| object.pointer("/metadata/labels").and_then(|l| l.get(key)).and_then(Value::as_str);
        let field = |key: &str| {
            let pointer = format!("/{}", key.replace('.', "/"));
            match object.pointer(&pointer) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Bool(truth)) => Some(truth.to_string()),
                _ => None,
            }
        };
        self.labels.iter().all(|r| r.holds(label(&r.key)))
            // A field that is not there is the empty text.
            && self.fields.iter().all(|r| r.holds(Some(&field(&r.key).unwrap_or_default())))
    }
}

/// The fields that objects of a kind can be selected by.
fn fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Pod => &[
            "metadata.name",
            "metadata.namespace",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.nominatedNodeName",
            "status.phase",
            "status.podIP",
        ],
        Kind::Event => &[
            "metadata.name",
            "metadata.namespace",
            "involvedObject.apiVersion",
            "involvedObject.fieldPath",
            "involvedObject.kind",
            "involvedObject.name",
            "involvedObject.namespace",
            "involvedObject.resourceVersion",
            "involvedObject.uid",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        Kind::Node => &["metadata.name", "spec.unschedulable"],
        Kind::Namespace => &["metadata.name", "status.phase"],
        _ => &["metadata.name", "metadata.namespace"],
    }
}

impl Requirement {
    fn holds(&self, value: Option<&str>) -> bool {
        match &self.test {
            Test::In(values) => value.is_some_and(|v| values.iter().any(|w| w == v)),
            Test::NotIn(values) => value.is_none_or(|v| values.iter().all(|w| w != v)),
            Test::Exists => value.is_some(),
            Test::Absent => value.is_none(),
        }
    }
}

fn requirements(text: &str) -> Result<Vec<Requirement>, Failure> {
    let mut all = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        // A comma inside parentheses separates values, not requirements.
        let mut depth = 0;
        let end = rest
            .char_indices()
            .find(|(_, c)| {
                depth += i32::from(*c == '(') - i32::from(*c == ')');
                *c == ',' && depth == 0
            })
            .map_or(rest.len(), |(at, _)| at);
        all.push(requirement(rest[..end].trim())?);
        rest = rest.get(end + 1..).unwrap_or_default().trim();
    }
    Ok(all)
}

fn requirement(text: &str) -> Result<Requirement, Failure> {
    let make = |key: &str, test| Ok(Requirement { key: key.trim().to_owned(), test });
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some((key, value)) = text.split_once("!=") {
        return make(key, Test::NotIn(one(value)));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return make(key, Test::In(one(value)));
    }
    if let Some((head, values)) = text.strip_suffix(')').and_then(|t| t.split_once('(')) {
        let values = values.split(',').map(|v| v.trim().to_owned()).collect();
        let mut words = head.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(key), Some("in"), None) => make(key, Test::In(values)),
            (Some(key), Some("notin"), None) => make(key, Test::NotIn(values)),
            _ => Err(Failure::bad_request(format!("unable to parse requirement: {text:?}"))),
        };
    }
    match text.strip_prefix('!') {
        Some(key) if !key.trim().is_empty() => make(key, Test::Absent),
        None if !text.is_empty() && !text.contains(char::is_whitespace) => make(text, Test::Exists),
        _ => Err(Failure::bad_request(format!("unable to parse requirement: {text:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_select_as_kubernetes_does() {
        let object = json!({"metadata": {"name": "a-rest", "labels": {"app": "a", "component": "jobmanager"}}, "involvedObject": {"kind": "Pod"}});
        let selects = |labels: &str, fields: &str| Selector::parse(labels, fields).unwrap().matches(&object);
        assert!(selects("", ""));
        assert!(selects("app=a,component in (jobmanager, taskmanager)", "metadata.name=a-rest"));
        assert!(selects("app==a,component!=autoscaler,!missing,app", "involvedObject.kind=Pod,metadata.name!=b"));
        assert!(selects("missing notin (x)", "involvedObject.uid="));
        assert!(!selects("app=b", ""));
        assert!(!selects("missing", ""));
        assert!(!selects("", "involvedObject.kind=FlinkDeployment"));
        assert!(Selector::parse("a in b", "").is_err());
        let node = json!({"spec": {"unschedulable": true}});
        assert!(Selector::parse("", "spec.unschedulable=true").unwrap().matches(&node));
    }
}
