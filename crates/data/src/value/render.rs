//! Values as JSON: how a document or array is written into a text or JSON column, and read back.

use serde_json::{Map, Number, Value as Json};

use super::{Object, Value};

/// The JSON of a value. Dates become ISO 8601 text, bytes base64, object ids and decimals text; NaN and the
/// infinities, which JSON does not know, become null.
pub fn json_from_value(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Int32(number) => Json::Number((*number).into()),
        Value::Int64(number) => Json::Number((*number).into()),
        Value::Float(number) => json_number(*number),
        Value::Decimal(text) => Json::String(text.to_string()),
        Value::Text(text) => Json::String(text.clone()),
        Value::Bytes(bytes) => Json::String(base64(bytes)),
        Value::Timestamp(moment) => Json::String(moment.to_iso()),
        Value::ObjectId(id) => Json::String(id.to_string()),
        Value::Array(items) => Json::Array(items.iter().map(json_from_value).collect()),
        Value::Object(object) => Json::Object(
            object.iter().map(|(name, value)| (name.clone(), json_from_value(value))).collect::<Map<_, _>>(),
        ),
    }
}

/// The JSON text of a value, by the rules of [`json_from_value`].
pub fn json_text(value: &Value) -> String {
    json_from_value(value).to_string()
}

/// The value of a JSON document. Integers that fit 64 bits stay integers.
pub fn value_from_json(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(flag),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => i32::try_from(integer).map_or(Value::Int64(integer), Value::Int32),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::Text(text),
        Json::Array(items) => Value::Array(items.into_iter().map(value_from_json).collect()),
        Json::Object(map) => Value::Object(Box::new(
            map.into_iter().map(|(name, json)| (name, value_from_json(json))).collect::<Object>(),
        )),
    }
}

/// Whole doubles are written without a fraction, as JavaScript does.
fn json_number(number: f64) -> Json {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT && !(number == 0.0 && number.is_sign_negative()) {
        #[expect(clippy::cast_possible_truncation, reason = "the guard keeps it within 53 bits")]
        return Json::Number((number as i64).into());
    }
    Number::from_f64(number).map_or(Json::Null, Json::Number)
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Timestamp;

    #[test]
    fn a_nested_document_is_written_as_javascript_would() {
        let value = Value::object([
            ("n", Value::Float(3.0)),
            ("half", Value::Float(0.5)),
            ("at", Value::Timestamp(Timestamp::from_millis(0))),
            ("list", Value::Array(vec![Value::Null, Value::Bool(true), Value::from("é\"")])),
        ]);
        assert_eq!(
            json_text(&value),
            r#"{"n":3,"half":0.5,"at":"1970-01-01T00:00:00.000Z","list":[null,true,"é\""]}"#
        );
    }

    #[test]
    fn numbers_that_json_lacks_become_null() {
        assert_eq!(json_text(&Value::Float(f64::NAN)), "null");
        assert_eq!(json_text(&Value::Float(f64::INFINITY)), "null");
    }
}
