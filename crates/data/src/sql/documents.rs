//! JSON fields of SQL databases: what they can hold, and what an application gets back.

use std::fmt::Display;

use crate::error::{Error, ErrorKind, Result};
use crate::value::{Value, document_from_json_text, json_text};

/// The JSON text of a value, as which it is bound.
///
/// # Errors
/// As [`check_json`], with [`ErrorKind::Value`].
pub(crate) fn store_json(place: &dyn Display, value: &Value) -> Result<Value> {
    check_json(place, value, ErrorKind::Value)?;
    Ok(Value::Text(json_text(value)))
}

/// What an application gets of a JSON text; text that is no JSON stays as it is.
pub(crate) fn restore_json(text: String) -> Value {
    document_from_json_text(text.as_bytes()).unwrap_or(Value::Text(text))
}

/// Refuses what would become something else in JSON: NaN and the infinities, which JSON lacks, and bytes.
///
/// # Errors
/// Of this kind, naming the place within the document.
pub(super) fn check_json(place: &dyn Display, value: &Value, kind: ErrorKind) -> Result<()> {
    match unfit(value) {
        None => Ok(()),
        Some((path, what)) => Err(Error::new(kind, format!("{place}{path}: JSON cannot hold {what}"))),
    }
}

/// The path to the first value that JSON cannot hold, and what that is.
fn unfit(value: &Value) -> Option<(String, &'static str)> {
    match value {
        Value::Float(number) if !number.is_finite() => Some((String::new(), "NaN or Infinity")),
        Value::Decimal(text) if !text.contains(|digit: char| digit.is_ascii_digit()) => {
            Some((String::new(), "NaN or Infinity"))
        }
        Value::Bytes(_) => Some((String::new(), "bytes; text can, such as their base64")),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(at, item)| unfit(item).map(|(path, what)| (format!("[{at}]{path}"), what))),
        Value::Object(object) => object
            .iter()
            .find_map(|(name, member)| unfit(member).map(|(path, what)| (format!(".{name}{path}"), what))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_cannot_hold_is_refused_by_its_place() {
        let document = Value::object([
            ("fine", Value::Array(vec![Value::Float(1.5), Value::Decimal("1e400".into()), Value::Null])),
            ("list", Value::Array(vec![Value::Int32(1), Value::object([("n", Value::Float(f64::NAN))])])),
        ]);
        let error = store_json(&"Doc.data", &document).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value);
        assert_eq!(error.to_string(), "Doc.data.list[1].n: JSON cannot hold NaN or Infinity");
        for value in [Value::Bytes(vec![1].into()), Value::Decimal("-Infinity".into())] {
            assert!(store_json(&"Doc.data", &value).is_err(), "{value:?}");
        }
    }
}
