//! Label and field selectors of lists and watches.

use serde_json::Value;

use super::failure::Failure;

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

    /// Whether an object is selected.
    pub fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| object.pointer("/metadata/labels").and_then(|l| l.get(key)).and_then(Value::as_str);
        let field = |key: &str| {
            let pointer = format!("/{}", key.replace('.', "/"));
            object.pointer(&pointer).and_then(Value::as_str)
        };
        self.labels.iter().all(|r| r.holds(label(&r.key)))
            // A field that is not there is the empty text.
            && self.fields.iter().all(|r| r.holds(Some(field(&r.key).unwrap_or_default())))
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
    }
}
