//! Values as the text of a cell, and back by the type of its column.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::table::ColumnType;
use crate::value::{
    ObjectId, Timestamp, Value, column_from_json_text, json_text, normal_decimal, value_from_json_text,
};

/// Stands before bytes in base64.
pub(super) const BASE64: &str = "base64:";

/// A value as a file gives it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    /// NULL.
    Null,
    /// Text that stands for a value of its column's type.
    Cell(String),
    /// A value that has a type of its own.
    Plain(Value),
}

impl Raw {
    /// The value in a column. What is not in the form of the column's type stays as it is: whether the target can hold
    /// that is decided where it is converted.
    pub(super) fn in_column(self, column_type: &ColumnType) -> Value {
        match (self, column_type) {
            (Self::Null, _) => Value::Null,
            (Self::Cell(text), column_type) => value_of(text, column_type),
            // JSON knows neither dates nor bytes; in a JSON column a string is one.
            (
                Self::Plain(Value::Text(text)),
                ColumnType::Timestamp { .. }
                | ColumnType::Bytes
                | ColumnType::ObjectId
                | ColumnType::Decimal(_),
            ) => value_of(text, column_type),
            (Self::Plain(value), _) => value,
        }
    }
}

/// The text of a cell; `None` for NULL.
pub(super) fn text_of<'a>(value: &'a Value, column_type: &ColumnType) -> Option<Cow<'a, str>> {
    Some(match (value, column_type) {
        (Value::Null, _) => return None,
        (Value::Bytes(bytes), _) => format!("{BASE64}{}", STANDARD.encode(bytes)).into(),
        (value @ Value::JsonNull, _) | (value, ColumnType::Json | ColumnType::Any) => json_text(value).into(),
        (Value::Text(text), _) => text.into(),
        (Value::Bool(flag), _) => if *flag { "true" } else { "false" }.into(),
        (Value::Int32(number), _) => number.to_string().into(),
        (Value::Int64(number), _) => number.to_string().into(),
        (Value::Float(number), _) => number_text(*number).into(),
        (Value::Decimal(text), _) => text.as_ref().into(),
        (Value::Timestamp(moment), _) => moment.to_iso().into(),
        (Value::ObjectId(id), _) => id.to_string().into(),
        (value @ (Value::Array(_) | Value::Object(_)), _) => json_text(value).into(),
    })
}

/// A double by its shortest decimal, whole numbers without a point.
pub(super) fn number_text(number: f64) -> String {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else if number.fract() == 0.0 && number.abs() < EXACT && (number != 0.0 || number.is_sign_positive()) {
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        (number as i64).to_string()
    } else {
        format!("{number:?}")
    }
}

/// The value that a text stands for in a column; the text itself where it stands for none.
pub(super) fn value_of(text: String, column_type: &ColumnType) -> Value {
    let read = match column_type {
        ColumnType::Bool => boolean(&text),
        ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 => integer(&text),
        ColumnType::Float32 | ColumnType::Float64 => number(&text),
        ColumnType::Decimal(_) => text.trim().parse::<f64>().ok().map(|_| Value::Decimal(text.trim().into())),
        ColumnType::Timestamp { .. } => moment(&text).map(Value::Timestamp),
        ColumnType::Json => column_from_json_text(text.as_bytes()).ok(),
        ColumnType::Array(element) => value_from_json_text(text.as_bytes())
            .ok()
            .filter(|value| matches!(value, Value::Array(_)))
            .or_else(|| crate::postgres::array_literal(&text).map(|list| items_in(list, element))),
        ColumnType::Bytes => bytes(&text),
        ColumnType::ObjectId => ObjectId::parse(&text).map(Value::ObjectId),
        _ => None,
    };
    read.unwrap_or(Value::Text(text))
}

/// A list whose items are text, with the items in the type of its elements.
fn items_in(list: Value, element: &ColumnType) -> Value {
    match list {
        Value::Array(items) => Value::Array(items.into_iter().map(|item| items_in(item, element)).collect()),
        Value::Text(text) => value_of(text, element),
        other => other,
    }
}

fn boolean(text: &str) -> Option<Value> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Some(Value::Bool(true)),
        "false" | "f" | "0" => Some(Value::Bool(false)),
        _ => None,
    }
}

fn integer(text: &str) -> Option<Value> {
    text.trim().parse::<i64>().ok().map(Value::Int64)
}

/// A double where it is this number to the last digit, else the decimal.
pub(super) fn number(text: &str) -> Option<Value> {
    let text = text.trim();
    let number: f64 = text.parse().ok()?;
    if !number.is_finite() {
        // Digits beyond the range of a double are no infinity.
        let is_word = text.ends_with(|last: char| last.is_ascii_alphabetic());
        return Some(if is_word { Value::Float(number) } else { Value::Decimal(text.into()) });
    }
    let is_exact = normal_decimal(text) == normal_decimal(&format!("{number:?}"));
    Some(if is_exact { Value::Float(number) } else { Value::Decimal(text.into()) })
}

fn moment(text: &str) -> Option<Timestamp> {
    match text.trim() {
        "infinity" => Some(Timestamp::INFINITY),
        "-infinity" => Some(Timestamp::NEG_INFINITY),
        text => Timestamp::parse_iso(text),
    }
}

/// Bytes in base64 behind their prefix, or in PostgreSQL's hexadecimal form.
pub(super) fn bytes(text: &str) -> Option<Value> {
    if let Some(encoded) = text.strip_prefix(BASE64) {
        return STANDARD.decode(encoded).ok().map(|bytes| Value::Bytes(bytes.into()));
    }
    text.strip_prefix("\\x").and_then(hexadecimal).map(|bytes| Value::Bytes(bytes.into()))
}

/// The bytes that pairs of hexadecimal digits stand for.
pub(super) fn hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let nibble = |digit: &u8| char::from(*digit).to_digit(16).and_then(|nibble| u8::try_from(nibble).ok());
    let pairs = digits.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(nibble(high)? << 4 | nibble(low)?),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_survives_as_the_text_of_a_cell() {
        let zoned = ColumnType::Timestamp { zoned: true };
        let json = Value::object([("a", Value::Array(vec![Value::Null, Value::from("")]))]);
        for (value, column_type) in [
            (Value::from(""), ColumnType::Text(None)),
            (Value::from("base64:AA=="), ColumnType::Text(None)),
            (Value::Bool(false), ColumnType::Bool),
            (Value::Int64(i64::MIN), ColumnType::Int64),
            (Value::Float(-0.0), ColumnType::Float64),
            (Value::Float(5e-324), ColumnType::Float64),
            (Value::Float(f64::MAX), ColumnType::Float64),
            (Value::Float(f64::NEG_INFINITY), ColumnType::Float64),
            (Value::Decimal("0.12345678901234567890".into()), ColumnType::Decimal(None)),
            (Value::Timestamp(Timestamp(-1)), zoned.clone()),
            (Value::Timestamp(Timestamp::INFINITY), zoned),
            (json, ColumnType::Json),
            (Value::from("12"), ColumnType::Json),
            (Value::Bytes(vec![0, 255].into()), ColumnType::Bytes),
            (Value::Array(vec![Value::from("a,b")]), ColumnType::Array(Box::new(ColumnType::Text(None)))),
        ] {
            let text = text_of(&value, &column_type).unwrap().into_owned();
            let back = value_of(text.clone(), &column_type);
            assert!(back == value, "{value:?} became {back:?} by {text}");
        }
    }

    #[test]
    fn digits_that_a_double_lacks_are_not_dropped() {
        assert_eq!(
            value_of("0.12345678901234567891".into(), &ColumnType::Float64),
            Value::Decimal("0.12345678901234567891".into())
        );
        assert_eq!(value_of("1e400".into(), &ColumnType::Float64), Value::Decimal("1e400".into()));
        assert_eq!(value_of(" 1.50 ".into(), &ColumnType::Float64), Value::Float(1.5));
    }

    #[test]
    fn text_that_is_not_of_the_type_stays_text() {
        for column_type in [ColumnType::Int64, ColumnType::Float64, ColumnType::Bool, ColumnType::Bytes] {
            assert_eq!(value_of("n/a".into(), &column_type), Value::from("n/a"));
        }
    }
}
