//! Values as JSON that loses nothing: each names its type, so that it is read back as it was.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data::{Object, ObjectId, Timestamp, Value};
use serde_json::{Value as Json, json};

/// The JSON of a value: `[type, content]`, or `null`.
pub(super) fn to_typed_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::JsonNull => json!(["json-null"]),
        Value::Bool(flag) => json!(["bool", flag]),
        Value::Int32(number) => json!(["int32", number]),
        Value::Int64(number) => json!(["int64", number.to_string()]),
        // The bits, because JSON has no NaN and no infinities.
        Value::Float(number) => json!(["float", number.to_bits().to_string()]),
        Value::Decimal(text) => json!(["decimal", text]),
        Value::Text(text) => json!(["text", text]),
        Value::Bytes(bytes) => json!(["bytes", STANDARD.encode(bytes)]),
        Value::Timestamp(moment) => json!(["timestamp", moment.0.to_string()]),
        Value::ObjectId(id) => json!(["object-id", id.to_string()]),
        Value::Array(items) => json!(["array", items.iter().map(to_typed_json).collect::<Vec<_>>()]),
        Value::Object(object) => {
            // A list of pairs keeps the order of the names.
            let pairs = object.iter().map(|(name, value)| json!([name, to_typed_json(value)]));
            json!(["object", pairs.collect::<Vec<_>>()])
        }
    }
}

/// The value of such JSON; `None` if it is malformed.
pub(super) fn from_typed_json(json: &Json) -> Option<Value> {
    if json.is_null() {
        return Some(Value::Null);
    }
    let parts = json.as_array()?;
    let content = parts.get(1).unwrap_or(&Json::Null);
    let number = || content.as_str()?.parse::<i64>().ok();
    Some(match parts.first()?.as_str()? {
        "json-null" => Value::JsonNull,
        "bool" => Value::Bool(content.as_bool()?),
        "int32" => Value::Int32(i32::try_from(content.as_i64()?).ok()?),
        "int64" => Value::Int64(number()?),
        "float" => Value::Float(f64::from_bits(content.as_str()?.parse().ok()?)),
        "decimal" => Value::Decimal(content.as_str()?.into()),
        "text" => Value::Text(content.as_str()?.to_owned()),
        "bytes" => Value::Bytes(STANDARD.decode(content.as_str()?).ok()?.into()),
        "timestamp" => Value::Timestamp(Timestamp(number()?)),
        "object-id" => Value::ObjectId(ObjectId::parse(content.as_str()?)?),
        "array" => Value::Array(content.as_array()?.iter().map(from_typed_json).collect::<Option<_>>()?),
        "object" => {
            let pair =
                |pair: &Json| Some((pair.get(0)?.as_str()?.to_owned(), from_typed_json(pair.get(1)?)?));
            Value::Object(Box::new(content.as_array()?.iter().map(pair).collect::<Option<Object>>()?))
        }
        _ => return None,
    })
}

/// The text of several values.
pub(super) fn typed_text(values: &[Value]) -> String {
    Json::Array(values.iter().map(to_typed_json).collect()).to_string()
}

/// The values of such a text; `None` if it is malformed.
pub(super) fn values_of_typed_text(text: &str) -> Option<Vec<Value>> {
    let json: Json = serde_json::from_str(text).ok()?;
    json.as_array()?.iter().map(from_typed_json).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back_as_it_was() {
        let id = ObjectId::parse("65a1f0c2d4e5b6a798897766").unwrap();
        let values = [
            Value::Null,
            Value::JsonNull,
            Value::Bool(true),
            Value::Int32(-7),
            Value::Int64(i64::MAX),
            Value::Float(f64::NEG_INFINITY),
            Value::Float(-0.0),
            Value::Decimal("1.50".into()),
            Value::from("a \"b\" \u{0}"),
            Value::Bytes(vec![0, 255].into()),
            Value::Timestamp(Timestamp::INFINITY),
            Value::ObjectId(id),
            Value::Array(vec![Value::Null, Value::from("x")]),
            Value::object([("b", Value::Int32(1)), ("a", Value::Null)]),
        ];
        let back = values_of_typed_text(&typed_text(&values)).unwrap();
        assert_eq!(format!("{back:?}"), format!("{values:?}"));
        let nan = from_typed_json(&to_typed_json(&Value::Float(f64::NAN)));
        assert!(matches!(nan, Some(Value::Float(number)) if number.is_nan()));
    }

    #[test]
    fn malformed_text_is_refused() {
        for text in ["", "{}", "[[\"int32\", \"1\"]]", "[[\"colour\", 1]]", "[1]"] {
            assert_eq!(values_of_typed_text(text), None, "{text}");
        }
    }
}
