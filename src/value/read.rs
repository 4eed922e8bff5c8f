//! Values from JavaScript's JSON text.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data::{Error, ErrorKind, Filter, FindOptions, Object, Record, Timestamp, Value};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{BIGINT, BYTES, DATE, NUMBER, OBJECT, TAG};

/// One value.
///
/// # Errors
/// [`ErrorKind::Value`] if the text is not of the encoding.
pub(crate) fn read_value(text: &str) -> data::Result<Value> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = ValueSeed.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    value
        .map_err(|error| Error::new(ErrorKind::Value, format!("malformed value: {error}")).with_source(error))
}

/// A record.
///
/// # Errors
/// [`ErrorKind::Value`] if the text is not an object.
pub(crate) fn read_record(text: &str) -> data::Result<Record> {
    match read_value(text)? {
        Value::Object(record) => Ok(*record),
        other => Err(Error::new(ErrorKind::Value, format!("expected a record, found {}", other.type_name()))),
    }
}

/// A list of parameters; none if there is no text.
///
/// # Errors
/// [`ErrorKind::Value`] if the text is not a list.
pub(crate) fn read_list(text: Option<&str>) -> data::Result<Vec<Value>> {
    match text.map(read_value).transpose()? {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => Ok(items),
        Some(other) => {
            Err(Error::new(ErrorKind::Value, format!("expected a list, found {}", other.type_name())))
        }
    }
}

/// A filter; every row if there is no text.
///
/// # Errors
/// [`ErrorKind::Filter`].
pub(crate) fn read_filter(text: Option<&str>) -> data::Result<Filter> {
    match text {
        None => Ok(Filter::everything()),
        Some(text) => Filter::parse(&read_object(text, "filter")?),
    }
}

/// The options of a read; the defaults if there is no text.
///
/// # Errors
/// [`ErrorKind::Filter`].
pub(crate) fn read_options(text: Option<&str>) -> data::Result<FindOptions> {
    match text {
        None => Ok(FindOptions::default()),
        Some(text) => FindOptions::parse(&read_object(text, "options")?),
    }
}

fn read_object(text: &str, what: &str) -> data::Result<Object> {
    match read_value(text)? {
        Value::Object(object) => Ok(*object),
        other => Err(Error::new(
            ErrorKind::Filter,
            format!("{what}: expected an object, found {}", other.type_name()),
        )),
    }
}

/// Reads any value.
struct ValueSeed;

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(i32::try_from(number).map_or(Value::Int64(number), Value::Int32))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Value, E> {
        // JavaScript wrote a double that happens to be whole.
        #[expect(clippy::cast_precision_loss, reason = "what was a double becomes the same double again")]
        i64::try_from(number).map_or(Ok(Value::Float(number as f64)), |number| self.visit_i64(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::with_capacity(items.size_hint().unwrap_or(0));
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        match map.next_key::<String>()? {
            None => Ok(Value::Object(Box::default())),
            Some(key) if key.starts_with(TAG) => tagged(&key, &mut map),
            first => object_of(first, map).map(|object| Value::Object(Box::new(object))),
        }
    }
}

/// Reads an object whose keys mean nothing.
struct ObjectSeed;

impl<'de> DeserializeSeed<'de> for ObjectSeed {
    type Value = Object;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Object, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed {
    type Value = Object;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object, A::Error> {
        object_of(None, map)
    }
}

/// The object of a map of which the first key may already have been read.
fn object_of<'de, A: MapAccess<'de>>(first: Option<String>, mut map: A) -> Result<Object, A::Error> {
    let mut object = Object::with_capacity(map.size_hint().unwrap_or(0));
    if let Some(key) = first {
        object.insert(key, map.next_value_seed(ValueSeed)?);
    }
    while let Some(key) = map.next_key::<String>()? {
        object.insert(key, map.next_value_seed(ValueSeed)?);
    }
    Ok(object)
}

fn tagged<'de, A: MapAccess<'de>>(tag: &str, map: &mut A) -> Result<Value, A::Error> {
    let value = match tag {
        DATE => Value::Timestamp(Timestamp::from_millis(map.next_value()?)),
        BYTES => {
            let text: String = map.next_value()?;
            Value::Bytes(STANDARD.decode(text).map_err(A::Error::custom)?.into())
        }
        BIGINT => {
            let digits: String = map.next_value()?;
            digits.parse().map_or_else(|_| Value::Decimal(digits.into()), Value::Int64)
        }
        NUMBER => Value::Float(map.next_value::<String>()?.parse().map_err(A::Error::custom)?),
        OBJECT => Value::Object(Box::new(map.next_value_seed(ObjectSeed)?)),
        other => return Err(A::Error::custom(format_args!("unknown tag {other}"))),
    };
    match map.next_key::<String>()? {
        None => Ok(value),
        Some(key) => Err(A::Error::custom(format_args!("{key} beside {tag}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_is_understood_at_any_depth() {
        let text = r#"[{"a":{"$$date":-5}},{"$$bytes":"AP8="},{"$$bigint":"9007199254740993"},
            {"$$bigint":"9223372036854775808"},{"$$number":"-Infinity"},{"$$object":{"$$date":{"$$date":1}}}]"#;
        let expected = Value::Array(vec![
            Value::object([("a", Value::Timestamp(Timestamp(-5000)))]),
            Value::Bytes(vec![0, 255].into()),
            Value::Int64(9_007_199_254_740_993),
            Value::Decimal("9223372036854775808".into()),
            Value::Float(f64::NEG_INFINITY),
            Value::object([("$$date", Value::Timestamp(Timestamp(1000)))]),
        ]);
        assert_eq!(read_value(text).unwrap(), expected);
    }

    #[test]
    fn negative_zero_and_nan_survive() {
        let zero = read_value(r#"{"$$number":"-0"}"#).unwrap();
        assert!(matches!(zero, Value::Float(number) if number == 0.0 && number.is_sign_negative()));
        assert!(
            matches!(read_value(r#"{"$$number":"NaN"}"#).unwrap(), Value::Float(number) if number.is_nan())
        );
    }

    #[test]
    fn whole_numbers_are_integers_while_they_fit_and_doubles_beyond() {
        assert_eq!(read_value("2147483647").unwrap(), Value::Int32(i32::MAX));
        assert_eq!(read_value("-2147483649").unwrap(), Value::Int64(-2_147_483_649));
        assert_eq!(read_value("10000000000000000000").unwrap(), Value::Float(1e19));
        assert_eq!(read_value("1e300").unwrap(), Value::Float(1e300));
    }

    #[test]
    fn text_that_is_not_of_the_encoding_is_an_error() {
        for text in
            ["", "{", "1 2", r#"{"$$what":1}"#, r#"{"$$date":1,"b":2}"#, r#"{"$$bytes":"?"}"#, r#""\ud800""#]
        {
            assert_eq!(read_value(text).unwrap_err().kind(), ErrorKind::Value, "{text}");
        }
    }

    #[test]
    fn a_missing_filter_is_every_row_and_a_list_is_no_filter() {
        assert_eq!(read_filter(None).unwrap(), Filter::everything());
        assert_eq!(read_filter(Some("[]")).unwrap_err().kind(), ErrorKind::Filter);
    }
}
