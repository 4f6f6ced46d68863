//! Reading untrusted JSON: optional fields, lenient scalars, and errors that name the path.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::Timestamp;

/// A value of an unexpected type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: expected {expected}, found {found}")]
pub struct WrongShape {
    /// Where, e.g. `status.jobStatus.state`.
    pub path: String,
    /// What was expected.
    pub expected: &'static str,
    /// What was there.
    pub found: String,
}

/// A place in a JSON document. Absent and `null` are the same.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    value: Option<&'a Value>,
    name: &'a str,
    parent: Option<&'a At<'a>>,
}

impl<'a> At<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self { value: present(value), name: "", parent: None }
    }

    /// The field `name`; absent if this place is absent.
    ///
    /// # Errors
    /// This place is not an object.
    pub(super) fn field(&'a self, name: &'a str) -> Result<At<'a>, WrongShape> {
        let value = match self.value {
            None => None,
            Some(Value::Object(map)) => map.get(name).and_then(present),
            Some(_) => return Err(self.wrong("an object")),
        };
        Ok(At { value, name, parent: Some(self) })
    }

    pub(super) fn value(&self) -> Option<&'a Value> {
        self.value
    }

    pub(super) fn is_absent(&self) -> bool {
        self.value.is_none()
    }

    /// A text; numbers and booleans count as their text.
    pub(super) fn text(&self) -> Result<Option<String>, WrongShape> {
        match self.value {
            None => Ok(None),
            Some(value) => scalar(value).map(Some).ok_or_else(|| self.wrong("a text")),
        }
    }

    /// A whole number, also when written as text.
    pub(super) fn integer(&self) -> Result<Option<i64>, WrongShape> {
        match self.value {
            None => Ok(None),
            Some(Value::Number(n)) if n.is_i64() => Ok(n.as_i64()),
            Some(Value::String(s)) => s.parse().map(Some).map_err(|_| self.wrong("a whole number")),
            Some(_) => Err(self.wrong("a whole number")),
        }
    }

    /// A number, also when written as text.
    pub(super) fn number(&self) -> Result<Option<f64>, WrongShape> {
        match self.value {
            None => Ok(None),
            Some(Value::Number(n)) => Ok(n.as_f64()),
            Some(Value::String(s)) => s.parse().map(Some).map_err(|_| self.wrong("a number")),
            Some(_) => Err(self.wrong("a number")),
        }
    }

    /// Milliseconds since the epoch, as number or text; zero is "never" (`operator.md` §1.7).
    pub(super) fn epoch_millis(&self) -> Result<Option<Timestamp>, WrongShape> {
        match self.integer()? {
            None | Some(0) => Ok(None),
            Some(millis) => Timestamp::from_timestamp_millis(millis)
                .map(Some)
                .ok_or_else(|| self.wrong("milliseconds since the epoch")),
        }
    }

    /// An RFC 3339 instant.
    pub(super) fn instant(&self) -> Result<Option<Timestamp>, WrongShape> {
        match self.text()? {
            None => Ok(None),
            Some(text) => chrono::DateTime::parse_from_rfc3339(&text)
                .map(|at| Some(at.to_utc()))
                .map_err(|_| self.wrong("an RFC 3339 instant")),
        }
    }

    /// A map of texts; scalars count as their text.
    pub(super) fn text_map(&self) -> Result<BTreeMap<String, String>, WrongShape> {
        match self.value {
            None => Ok(BTreeMap::new()),
            Some(Value::Object(map)) => map
                .iter()
                .filter(|(_, v)| !v.is_null())
                .map(|(k, v)| match scalar(v) {
                    Some(text) => Ok((k.clone(), text)),
                    None => Err(At { value: Some(v), name: k, parent: Some(self) }.wrong("a text")),
                })
                .collect(),
            Some(_) => Err(self.wrong("an object")),
        }
    }

    /// The items of a list; empty if absent.
    pub(super) fn items(&self) -> Result<&'a [Value], WrongShape> {
        match self.value {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(self.wrong("a list")),
        }
    }

    /// An error at this place.
    pub(super) fn wrong(&self, expected: &'static str) -> WrongShape {
        let found = match self.value {
            None => "nothing".to_owned(),
            Some(Value::Null) => "null".to_owned(),
            Some(Value::Bool(_)) => "a boolean".to_owned(),
            Some(Value::Number(n)) => format!("the number {n}"),
            Some(Value::String(s)) => format!("the text {:?}", s.chars().take(40).collect::<String>()),
            Some(Value::Array(_)) => "a list".to_owned(),
            Some(Value::Object(_)) => "an object".to_owned(),
        };
        WrongShape { path: self.path(), expected, found }
    }

    fn path(&self) -> String {
        let mut names = vec![self.name];
        let mut place = self.parent;
        while let Some(at) = place {
            names.push(at.name);
            place = at.parent;
        }
        names.reverse();
        let path = names.into_iter().filter(|n| !n.is_empty()).collect::<Vec<_>>().join(".");
        if path.is_empty() { "the document".to_owned() } else { path }
    }
}

fn present(value: &Value) -> Option<&Value> {
    (!value.is_null()).then_some(value)
}

/// The text of a scalar; `None` for null, lists and objects.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
