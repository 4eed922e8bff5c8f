//! Values as JSON: how a document or array is written into a text or JSON column, and read back.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value as Json};

use super::{Object, Value};

/// The JSON of a value. Dates become ISO 8601 text, bytes base64, object ids and decimals text; NaN and the
/// infinities, which JSON does not know, become null.
pub fn json_from_value(value: &Value) -> Json {
    match value {
        Value::Null | Value::JsonNull => Json::Null,
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

/// The value with nothing that JSON does not know, by the rules of [`json_from_value`]; decimals stay decimals.
pub fn plain_value(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(plain_value).collect()),
        Value::Object(object) => Value::Object(Box::new(
            object.into_iter().map(|(name, value)| (name, plain_value(value))).collect::<Object>(),
        )),
        rare @ (Value::Bytes(_) | Value::Timestamp(_) | Value::ObjectId(_)) => {
            value_from_json(json_from_value(&rare))
        }
        Value::Float(number) if !number.is_finite() => Value::Null,
        plain => plain,
    }
}

/// The JSON text of a value, by the rules of [`json_from_value`], but decimals are numbers with all their digits.
pub fn json_text(value: &Value) -> String {
    // Writing into a String cannot fail, and the names of an object are text.
    serde_json::to_string(&AsJson(value)).unwrap_or_default()
}

/// A value that is written by the rules of [`json_text`], without a copy of it being made.
struct AsJson<'a>(&'a Value);

impl Serialize for AsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Int32(number) => serializer.serialize_i32(*number),
            Value::Int64(number) => serializer.serialize_i64(*number),
            // NaN and Infinity, which are no JSON, are written as text.
            Value::Decimal(text) => match RawValue::from_string(text.to_string()) {
                Ok(number) => number.serialize(serializer),
                Err(_) => serializer.serialize_str(text),
            },
            Value::Text(text) => serializer.serialize_str(text),
            Value::Array(items) => serializer.collect_seq(items.iter().map(AsJson)),
            Value::Object(object) => {
                serializer.collect_map(object.iter().map(|(name, value)| (name, AsJson(value))))
            }
            rare => json_from_value(rare).serialize(serializer),
        }
    }
}

/// Reads what [`value_from_json`] gives, without the JSON in between.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E: Error>(self, integer: i64) -> Result<Value, E> {
        Ok(i32::try_from(integer).map_or(Value::Int64(integer), Value::Int32))
    }

    fn visit_u64<E: Error>(self, integer: u64) -> Result<Value, E> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "documented: an integer beyond 64 bits becomes a double"
        )]
        match i64::try_from(integer) {
            Ok(integer) => self.visit_i64(integer),
            Err(_) => Ok(Value::Float(integer as f64)),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Object::new();
        while let Some((name, value)) = entries.next_entry()? {
            object.insert(name, value);
        }
        Ok(Value::Object(Box::new(object)))
    }
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
