//! Bodies in Kubernetes' protobuf: as many kinds as `kubectl` sends in that form. Answers are JSON, which every client takes too.
//!
//! An envelope of four magic bytes and a message names the kind and holds the object; fields are known by their numbers in `generated.proto`.

use serde_json::{Map, Value, json};

const MAGIC: &[u8] = b"k8s\0";

/// The form of a value.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Int,
    Bool,
    Texts,
    /// Texts by name.
    Map,
    Message(&'static [Field]),
}

/// Number, name and form of a field.
type Field = (u64, &'static str, Form);

const META: Form = Form::Message(&[
    (1, "name", Form::Text),
    (2, "generateName", Form::Text),
    (3, "namespace", Form::Text),
    (5, "uid", Form::Text),
    (6, "resourceVersion", Form::Text),
    (7, "generation", Form::Int),
    (11, "labels", Form::Map),
    (12, "annotations", Form::Map),
    (14, "finalizers", Form::Texts),
]);
const RESOURCE: Form = Form::Message(&[
    (1, "namespace", Form::Text),
    (2, "verb", Form::Text),
    (3, "group", Form::Text),
    (4, "version", Form::Text),
    (5, "resource", Form::Text),
    (6, "subresource", Form::Text),
    (7, "name", Form::Text),
]);
const PATH: Form = Form::Message(&[(1, "path", Form::Text), (2, "verb", Form::Text)]);
const PRECONDITIONS: Form = Form::Message(&[(1, "uid", Form::Text), (2, "resourceVersion", Form::Text)]);

/// The fields of a kind; none if it is not known in this form.
fn fields(kind: &str) -> Option<&'static [Field]> {
    Some(match kind {
        "SelfSubjectAccessReview" => &[
            (1, "metadata", META),
            (2, "spec", Form::Message(&[(1, "resourceAttributes", RESOURCE), (2, "nonResourceAttributes", PATH)])),
        ],
        "SelfSubjectRulesReview" => {
            &[(1, "metadata", META), (2, "spec", Form::Message(&[(1, "namespace", Form::Text)]))]
        }
        "SelfSubjectReview" | "Namespace" => &[(1, "metadata", META)],
        "ConfigMap" => &[(1, "metadata", META), (2, "data", Form::Map), (4, "immutable", Form::Bool)],
        "Scale" => &[(1, "metadata", META), (2, "spec", Form::Message(&[(1, "replicas", Form::Int)]))],
        "DeleteOptions" => &[
            (1, "gracePeriodSeconds", Form::Int),
            (2, "preconditions", PRECONDITIONS),
            (3, "orphanDependents", Form::Bool),
            (4, "propagationPolicy", Form::Text),
            (5, "dryRun", Form::Texts),
        ],
        _ => return None,
    })
}

/// One field as it is on the wire.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7F) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], count: u64) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(usize::try_from(count).ok()?)?;
    *bytes = rest;
    Some(head)
}

fn next<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Wire<'a>)> {
    let tag = varint(bytes)?;
    let wire = match tag & 7 {
        0 => Wire::Number(varint(bytes)?),
        1 => Wire::Bytes(take(bytes, 8)?),
        2 => {
            let count = varint(bytes)?;
            Wire::Bytes(take(bytes, count)?)
        }
        5 => Wire::Bytes(take(bytes, 4)?),
        _ => return None,
    };
    Some((tag >> 3, wire))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn message(mut bytes: &[u8], fields: &[Field]) -> Option<Map<String, Value>> {
    let mut map = Map::new();
    while !bytes.is_empty() {
        let (number, wire) = next(&mut bytes)?;
        let Some((_, name, form)) = fields.iter().find(|(n, ..)| *n == number) else { continue };
        match (form, wire) {
            (Form::Text, Wire::Bytes(bytes)) => {
                // The empty text is how this form says that there is none.
                if let Some(text) = Some(text(bytes)?).filter(|t| !t.is_empty()) {
                    map.insert((*name).to_owned(), text.into());
                }
            }
            (Form::Int, Wire::Number(n)) => {
                map.insert((*name).to_owned(), n.cast_signed().into());
            }
            (Form::Bool, Wire::Number(n)) => {
                map.insert((*name).to_owned(), (n != 0).into());
            }
            (Form::Texts, Wire::Bytes(bytes)) => {
                if let Value::Array(all) = map.entry(*name).or_insert_with(|| json!([])) {
                    all.push(text(bytes)?.into());
                }
            }
            (Form::Map, Wire::Bytes(bytes)) => {
                let entry = message(bytes, &[(1, "key", Form::Text), (2, "value", Form::Text)])?;
                let part = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                if let Value::Object(all) = map.entry(*name).or_insert_with(|| json!({})) {
                    all.insert(part("key"), part("value").into());
                }
            }
            (Form::Message(inner), Wire::Bytes(bytes)) => {
                map.insert((*name).to_owned(), message(bytes, inner)?.into());
            }
            _ => return None,
        }
    }
    Some(map)
}

/// Reads a body; none if it is broken or of a kind that is not known in this form.
pub fn decode(body: &[u8]) -> Option<Value> {
    let mut bytes = body.strip_prefix(MAGIC)?;
    let (mut meta, mut raw) = (Map::new(), &[][..]);
    while !bytes.is_empty() {
        match next(&mut bytes)? {
            (1, Wire::Bytes(inner)) => {
                meta = message(inner, &[(1, "apiVersion", Form::Text), (2, "kind", Form::Text)])?
            }
            (2, Wire::Bytes(inner)) => raw = inner,
            _ => {}
        }
    }
    let mut object = meta.clone();
    object.extend(message(raw, fields(meta.get("kind")?.as_str()?)?)?);
    Some(object.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut all = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
        all.extend(bytes);
        all
    }

    fn envelope(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, version.as_bytes()), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &meta), field(2, raw), field(3, b""), field(4, b"")].concat()
    }

    #[test]
    fn a_review_and_options_are_read() {
        let asked = [field(2, b"patch"), field(3, b"flink.apache.org"), field(5, b"flinkdeployments")].concat();
        let raw = [field(1, b""), field(2, &field(1, &asked))].concat();
        assert_eq!(
            decode(&envelope("authorization.k8s.io/v1", "SelfSubjectAccessReview", &raw)),
            Some(json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {},
                "spec": {"resourceAttributes": {"verb": "patch", "group": "flink.apache.org", "resource": "flinkdeployments"}}}))
        );
        let raw = [vec![1 << 3, 30], field(4, b"Foreground"), field(5, b"All")].concat();
        assert_eq!(
            decode(&envelope("v1", "DeleteOptions", &raw)),
            Some(json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 30,
                "propagationPolicy": "Foreground", "dryRun": ["All"]}))
        );
    }

    #[test]
    fn maps_are_read_and_broken_bodies_are_not() {
        let entry = |k: &[u8], v: &[u8]| field(2, &[field(1, k), field(2, v)].concat());
        let raw = [entry(b"a", b"1"), entry(b"b", b"")].concat();
        let body = envelope("v1", "ConfigMap", &raw);
        assert_eq!(decode(&body).unwrap()["data"], json!({"a": "1", "b": ""}));
        for end in 0..body.len() - 5 {
            let _ = decode(&body[..end]);
        }
        assert_eq!(decode(&body[..20]), None);
        assert_eq!(decode(&envelope("v1", "Secret", &raw)), None);
    }
}
