//! A place inside a JSON document that knows its path, so that every error can name it.

use serde_json::Value;

use crate::domain::Timestamp;
use crate::domain::ids::VertexId;

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct JsonError {
    /// The place, e.g. `$.window[3].at`.
    pub path: String,
    /// What is wrong and what is expected.
    pub message: String,
}

/// The step that leads from a place to one inside it.
#[derive(Debug, Clone, Copy)]
enum Hop<'a> {
    Root,
    Member(&'a str),
    Item(usize),
}

/// A place inside a document.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    value: &'a Value,
    outer: Option<&'a At<'a>>,
    hop: Hop<'a>,
}

impl<'a> At<'a> {
    /// The whole document.
    pub fn root(value: &'a Value) -> Self {
        Self { value, outer: None, hop: Hop::Root }
    }

    /// The value as it is.
    pub fn raw(&self) -> &'a Value {
        self.value
    }

    /// The path, e.g. `$.window[3].at`.
    pub fn path(&self) -> String {
        let outer = self.outer.map(At::path).unwrap_or_default();
        match self.hop {
            Hop::Root => "$".to_owned(),
            Hop::Item(at) => format!("{outer}[{at}]"),
            Hop::Member(name) if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
                format!("{outer}.{name}")
            }
            Hop::Member(name) => format!("{outer}[{name:?}]"),
        }
    }

    /// An error at this place.
    pub fn error(&self, message: impl Into<String>) -> JsonError {
        JsonError { path: self.path(), message: message.into() }
    }

    fn expected(&self, what: &str) -> JsonError {
        let text = self.value.to_string();
        let shown: String = text.chars().take(60).collect();
        let more = if shown.len() < text.len() { "…" } else { "" };
        self.error(format!("expected {what}, found {shown}{more}"))
    }

    /// The member with this name, unless it is missing or null.
    pub fn find<'b>(&'b self, name: &'b str) -> Option<At<'b>> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(At { value, outer: Some(self), hop: Hop::Member(name) })
    }

    /// The member with this name.
    ///
    /// # Errors
    /// If it is missing or null.
    pub fn get<'b>(&'b self, name: &'b str) -> Result<At<'b>, JsonError> {
        match self.find(name) {
            Some(member) => Ok(member),
            None if self.value.is_object() => Err(self.error(format!("member {name:?} is missing"))),
            None => Err(self.expected("an object")),
        }
    }

    /// The items of an array.
    ///
    /// # Errors
    /// If it is none.
    pub fn items<'b>(&'b self) -> Result<impl Iterator<Item = At<'b>>, JsonError> {
        let items = self.value.as_array().ok_or_else(|| self.expected("an array"))?;
        Ok(items.iter().enumerate().map(|(at, value)| At { value, outer: Some(self), hop: Hop::Item(at) }))
    }

    /// The members of an object that are not null.
    ///
    /// # Errors
    /// If it is none.
    pub fn members<'b>(&'b self) -> Result<impl Iterator<Item = (&'b str, At<'b>)>, JsonError> {
        let members = self.value.as_object().ok_or_else(|| self.expected("an object"))?;
        let members = members.iter().filter(|(_, value)| !value.is_null());
        Ok(members.map(|(name, value)| (name.as_str(), At { value, outer: Some(self), hop: Hop::Member(name) })))
    }

    /// The members of an object keyed by vertex ids.
    ///
    /// # Errors
    /// If it is no object or a name is no id.
    pub fn by_vertex<'b>(&'b self) -> Result<impl Iterator<Item = Result<(VertexId, At<'b>), JsonError>>, JsonError> {
        Ok(self.members()?.map(|(name, member)| match name.parse() {
            Ok(id) => Ok((id, member)),
            Err(error) => Err(member.error(format!("{error}"))),
        }))
    }

    /// A text.
    ///
    /// # Errors
    /// If it is none.
    pub fn text(&self) -> Result<&'a str, JsonError> {
        self.value.as_str().ok_or_else(|| self.expected("a text"))
    }

    /// A double: a number or one of `"NaN"`, `"Infinity"`, `"-Infinity"`.
    ///
    /// # Errors
    /// If it is none.
    pub fn double(&self) -> Result<f64, JsonError> {
        let word = || match self.value.as_str()? {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        };
        let number = self.value.as_f64().or_else(word);
        number.ok_or_else(|| self.expected("a number, \"NaN\", \"Infinity\" or \"-Infinity\""))
    }

    /// A whole number of 64 bits.
    ///
    /// # Errors
    /// If it is none.
    pub fn long(&self) -> Result<i64, JsonError> {
        self.value.as_i64().ok_or_else(|| self.expected("a whole number"))
    }

    /// A whole number of 32 bits.
    ///
    /// # Errors
    /// If it is none.
    pub fn int(&self) -> Result<i32, JsonError> {
        i32::try_from(self.long()?).map_err(|_| self.expected("a whole number of 32 bits"))
    }

    /// True or false.
    ///
    /// # Errors
    /// If it is neither.
    pub fn flag(&self) -> Result<bool, JsonError> {
        self.value.as_bool().ok_or_else(|| self.expected("true or false"))
    }

    /// An instant in ISO-8601.
    ///
    /// # Errors
    /// If it is none.
    pub fn instant(&self) -> Result<Timestamp, JsonError> {
        let time = chrono::DateTime::parse_from_rfc3339(self.text()?);
        time.map(Into::into).map_err(|_| self.expected("an instant such as 2024-03-14T15:09:31.123Z"))
    }

    /// Anything that is written as a text, such as an id.
    ///
    /// # Errors
    /// If it is no text or not of this form.
    pub fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(&self) -> Result<T, JsonError> {
        self.text()?.parse().map_err(|error| self.error(format!("{error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_place() {
        let value: Value =
            serde_json::from_str(r#"{"a": [{"b-c": 1}, {"d": null}], "x": "NaN", "n": 5000000000}"#).unwrap();
        let root = At::root(&value);
        let list = root.get("a").unwrap();
        let first = list.items().unwrap().next().unwrap();
        let inner = first.get("b-c").unwrap();
        assert_eq!(inner.text().unwrap_err().to_string(), "$.a[0][\"b-c\"]: expected a text, found 1");
        let second = list.items().unwrap().nth(1).unwrap();
        assert_eq!(second.get("d").unwrap_err().to_string(), "$.a[1]: member \"d\" is missing");
        assert_eq!(list.get("d").unwrap_err().message, r#"expected an object, found [{"b-c":1},{"d":null}]"#);
        assert!(root.get("x").unwrap().double().unwrap().is_nan());
        assert!(root.get("n").unwrap().int().is_err());
        assert_eq!(root.get("n").unwrap().long(), Ok(5_000_000_000));
    }
}
