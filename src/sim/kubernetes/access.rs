//! Who may do what: a small role model that a scenario can restrict, and the reviews by which clients ask about it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::failure::Failure;

/// The user of every request.
pub const USER: &str = "flightdeck";

/// A rule of a scenario (`[[access]]`): it allows what its every list allows. Without any rule everything is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule {
    /// Verbs; `*` for all.
    pub verbs: Vec<String>,
    /// API groups, the core as the empty text; `*` for all.
    #[serde(default = "all")]
    pub groups: Vec<String>,
    /// Resources such as `pods` or `pods/log`; `*` for all.
    pub resources: Vec<String>,
    /// Namespaces; `*` for all and for what has none.
    #[serde(default = "all")]
    pub namespaces: Vec<String>,
    /// Names of objects; all if empty.
    #[serde(default)]
    pub names: Vec<String>,
}

fn all() -> Vec<String> {
    vec!["*".to_owned()]
}

/// What somebody wants to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Action {
    /// Kubernetes' verb.
    pub verb: String,
    /// API group.
    pub group: String,
    /// Plural name, with the subresource: `pods/log`.
    pub resource: String,
    /// Namespace; empty for all and for what has none.
    pub namespace: String,
    /// Name of the object; empty for collections.
    pub name: String,
}

impl Rule {
    fn allows(&self, action: &Action) -> bool {
        let has = |list: &[String], word: &str| list.iter().any(|w| w == "*" || w == word);
        let named = self.names.is_empty() || self.names.contains(&action.name);
        // A right in one namespace is none over all of them.
        let placed =
            self.namespaces.iter().any(|n| n == "*" || (!action.namespace.is_empty() && *n == action.namespace));
        named
            && placed
            && has(&self.verbs, &action.verb)
            && has(&self.groups, &action.group)
            && (has(&self.resources, &action.resource)
                || action.resource.split_once('/').is_some_and(|(_, sub)| self.resources.contains(&format!("*/{sub}"))))
    }
}

/// Whether rules allow an action.
pub fn allowed(rules: &[Rule], action: &Action) -> bool {
    rules.is_empty() || rules.iter().any(|r| r.allows(action))
}

impl Action {
    /// The refusal of it, in the words of the server.
    pub fn refused(&self) -> Failure {
        let resource = self.resource.split('/').next().unwrap_or_default();
        let of_group = if self.group.is_empty() { resource.to_owned() } else { format!("{resource}.{}", self.group) };
        let object = if self.name.is_empty() { of_group } else { format!("{of_group} {:?}", self.name) };
        let place = if self.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {:?}", self.namespace)
        };
        let message = format!(
            "{object} is forbidden: User {USER:?} cannot {} resource {:?} in API group {:?} {place}",
            self.verb, self.resource, self.group
        );
        Failure::forbidden(message, json!({"name": self.name, "group": self.group, "kind": resource}))
    }

    /// The action that a SelfSubjectAccessReview asks about; none if it asks about a path.
    fn of_review(review: &Value) -> Option<Self> {
        let asked = review.pointer("/spec/resourceAttributes")?;
        let text = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let resource = match text("subresource") {
            sub if sub.is_empty() => text("resource"),
            sub => format!("{}/{sub}", text("resource")),
        };
        Some(Self {
            verb: text("verb"),
            group: text("group"),
            resource,
            namespace: text("namespace"),
            name: text("name"),
        })
    }
}

/// Answers a SelfSubjectAccessReview; `allows` also knows of faults.
pub fn review(mut review: Value, allows: impl FnOnce(&Action) -> bool) -> Value {
    let allowed = Action::of_review(&review).is_none_or(|action| allows(&action));
    review["status"] = json!({"allowed": allowed});
    if allowed {
        review["status"]["reason"] = format!("RBAC: allowed to User {USER:?}").into();
    }
    review
}

/// Answers a SelfSubjectRulesReview.
pub fn rules_review(mut review: Value, rules: &[Rule]) -> Value {
    let namespace = review.pointer("/spec/namespace").and_then(Value::as_str).unwrap_or_default().to_owned();
    let everything = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
    let resources: Vec<Value> = match rules {
        [] => vec![everything],
        rules => rules
            .iter()
            .filter(|r| r.namespaces.iter().any(|n| n == "*" || *n == namespace))
            .map(|r| {
                let mut rule = json!({"verbs": r.verbs, "apiGroups": r.groups, "resources": r.resources});
                if !r.names.is_empty() {
                    rule["resourceNames"] = json!(r.names);
                }
                rule
            })
            .collect(),
    };
    let paths = json!([{"verbs": ["get"], "nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version"]}]);
    review["status"] = json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false});
    review
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(verb: &str, resource: &str, namespace: &str) -> Action {
        let words = [verb, "flink.apache.org", resource, namespace, ""].map(str::to_owned);
        let [verb, group, resource, namespace, name] = words;
        Action { verb, group, resource, namespace, name }
    }

    #[test]
    fn rules_allow_what_they_name_and_nothing_else() {
        let rule = |namespaces: &[&str]| Rule {
            verbs: vec!["get".to_owned(), "list".to_owned()],
            groups: vec!["flink.apache.org".to_owned()],
            resources: vec!["flinkdeployments".to_owned()],
            namespaces: namespaces.iter().map(|n| (*n).to_owned()).collect(),
            names: Vec::new(),
        };
        let one = [rule(&["flink"])];
        assert!(allowed(&[], &action("delete", "flinkdeployments", "")));
        assert!(allowed(&one, &action("list", "flinkdeployments", "flink")));
        assert!(!allowed(&one, &action("list", "flinkdeployments", "other")));
        assert!(!allowed(&one, &action("list", "flinkdeployments", "")), "one namespace is not all");
        assert!(!allowed(&one, &action("patch", "flinkdeployments", "flink")));
        assert!(!allowed(&one, &action("get", "flinkdeployments/scale", "flink")));
        assert!(allowed(&[rule(&["*"])], &action("list", "flinkdeployments", "")));
    }

    #[test]
    fn a_refusal_says_who_may_not_do_what_and_where() {
        let failure = action("list", "flinkdeployments", "").refused();
        assert_eq!((failure.code, failure.reason), (403, "Forbidden"));
        assert_eq!(
            failure.message,
            "flinkdeployments.flink.apache.org is forbidden: User \"flightdeck\" cannot list resource \"flinkdeployments\" in API group \"flink.apache.org\" at the cluster scope"
        );
        let log = Action { group: String::new(), name: "p".to_owned(), ..action("get", "pods/log", "flink") };
        assert_eq!(
            log.refused().message,
            "pods \"p\" is forbidden: User \"flightdeck\" cannot get resource \"pods/log\" in API group \"\" in the namespace \"flink\""
        );
    }

    #[test]
    fn a_review_is_answered_by_the_same_rules() {
        let asked = json!({"spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "subresource": "log", "namespace": "flink"}}});
        let answer = review(asked, |action| action.resource == "pods/log" && action.group.is_empty());
        assert_eq!(answer["status"]["allowed"], true);
        assert_eq!(review(json!({"spec": {"resourceAttributes": {}}}), |_| false)["status"]["allowed"], false);
    }
}
