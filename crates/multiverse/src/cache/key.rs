//! Keys of results: the full text of what was asked, and where.

use std::borrow::Borrow;
use std::sync::Arc;

use bytes::Buf;

use crate::request::BindParameters;

const NAMED: u8 = 1;
const FULL_TEXT: u8 = 2;

/// What a result is found by: the cluster, the schema, and either a name that the caller gave or the statement's text
/// with the bytes of its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey(Arc<[u8]>);

impl Borrow<[u8]> for CacheKey {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for CacheKey {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

/// Writes the key of a name that the caller gave.
pub(crate) fn write_named(key: &mut Vec<u8>, cluster: &str, schema: Option<&str>, name: &str) {
    key.clear();
    key.push(NAMED);
    write_place(key, cluster, schema);
    key.extend_from_slice(name.as_bytes());
}

/// Writes the key of a statement and its parameters.
pub(crate) fn write_full(
    key: &mut Vec<u8>,
    cluster: &str,
    schema: Option<&str>,
    sql: &str,
    parameters: &BindParameters,
) {
    key.clear();
    key.push(FULL_TEXT);
    write_place(key, cluster, schema);
    write_part(key, sql.as_bytes());
    write_part(key, parameters.section());
    for oid in parameters.types() {
        key.extend_from_slice(&oid.to_be_bytes());
    }
}

fn write_place(key: &mut Vec<u8>, cluster: &str, schema: Option<&str>) {
    write_part(key, cluster.as_bytes());
    // No schema is something else than one without a name.
    key.push(schema.is_some().into());
    write_part(key, schema.unwrap_or_default().as_bytes());
}

/// Each part has its length before it, so that no two keys are the same bytes.
fn write_part(key: &mut Vec<u8>, part: &[u8]) {
    key.extend_from_slice(&(part.len() as u64).to_be_bytes());
    key.extend_from_slice(part);
}

impl CacheKey {
    /// The bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A text that stands for the key where the key itself is too long: its SHA-256, in hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.0);
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The key as applications see it: the name they gave, or cluster, schema, statement and parameters.
    #[must_use]
    pub fn text(&self) -> String {
        self.read().unwrap_or_else(|| String::from_utf8_lossy(&self.0).into_owned())
    }

    fn read(&self) -> Option<String> {
        let (kind, mut rest) = self.0.split_first()?;
        let cluster = text_part(&mut rest)?;
        let (_, after) = rest.split_first()?;
        rest = after;
        let schema = text_part(&mut rest)?;
        if *kind == NAMED {
            return Some(String::from_utf8_lossy(rest).into_owned());
        }
        let sql = text_part(&mut rest)?;
        let parameters = parameters_text(part(&mut rest)?)?;
        Some(format!("{cluster}:{schema}:{sql}:{parameters}"))
    }
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<8>()?;
    let (part, after) = after.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
    *rest = after;
    Some(part)
}

fn text_part(rest: &mut &[u8]) -> Option<String> {
    part(rest).map(|part| String::from_utf8_lossy(part).into_owned())
}

/// The parameters as a JSON array of texts, those in binary form as hexadecimal digits.
fn parameters_text(mut section: &[u8]) -> Option<String> {
    let formats: Vec<u16> =
        (0..section.try_get_u16().ok()?).map(|_| section.try_get_u16().ok()).collect::<Option<_>>()?;
    let count = section.try_get_u16().ok()?;
    let mut values = Vec::with_capacity(count.into());
    for at in 0..usize::from(count) {
        let length = section.try_get_i32().ok()?;
        let Ok(length) = usize::try_from(length) else {
            values.push(serde_json::Value::Null);
            continue;
        };
        let (value, after) = section.split_at_checked(length)?;
        section = after;
        let is_binary = formats.get(at).or(formats.first().filter(|_| formats.len() == 1)) == Some(&1);
        values.push(if is_binary {
            value.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
        } else {
            String::from_utf8_lossy(value).into()
        });
    }
    Some(serde_json::Value::from(values).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(cluster: &str, schema: Option<&str>, sql: &str, values: &[Option<&str>]) -> CacheKey {
        let mut key = Vec::new();
        write_full(&mut key, cluster, schema, sql, &BindParameters::from_texts(values));
        CacheKey::from(&*key)
    }

    #[test]
    fn keys_of_different_questions_differ_however_their_texts_run_together() {
        let keys = [
            full("a", Some("b"), "c", &[]),
            full("ab", Some(""), "c", &[]),
            full("a", None, "bc", &[]),
            full("a", Some(""), "bc", &[]),
            full("a", None, "b", &[Some("c")]),
            full("a", None, "b", &[None, Some("c")]),
            full("a", None, "b", &[Some(""), Some("c")]),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(keys.iter().skip(at + 1).all(|other| other != key), "{}", key.text());
        }
    }

    #[test]
    fn a_key_is_shown_as_what_was_asked_or_as_its_name() {
        let key = full("us", Some("shop"), "SELECT $1, $2", &[Some("it's"), None]);
        assert_eq!(key.text(), r#"us:shop:SELECT $1, $2:["it's",null]"#);
        let mut named = Vec::new();
        write_named(&mut named, "us", None, "top sellers");
        assert_eq!(CacheKey::from(&*named).text(), "top sellers");
    }
}
