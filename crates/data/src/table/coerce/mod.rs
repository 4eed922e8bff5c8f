//! Bringing a value of one database into the type of another's column, without ever changing it in silence.

mod document;
mod moment;
mod number;
mod text;

pub use document::json_loss;
pub(super) use moment::cut_second;

use super::ColumnType;
use crate::error::{Error, ErrorKind, Result};
use crate::value::Value;
use document::{array, is_document, json};
use moment::timestamp;
use number::{bool, decimal, float, integer, narrow};
use text::{object_id, text};

/// What a database cannot hold although it has a column type for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Whether NaN can be stored.
    pub nan: bool,
    /// Whether ±Infinity can be stored as a number.
    pub infinity: bool,
    /// Whether moments keep microseconds; else milliseconds.
    pub microseconds: bool,
    /// Whether a moment can be `infinity`.
    pub infinite_timestamp: bool,
}

/// A value in the type of its new column.
#[derive(Debug, Clone, PartialEq)]
pub struct Coerced {
    /// The value.
    pub value: Value,
    /// What the documented conversion gave up, if anything; to be reported.
    pub loss: Option<Loss>,
}

/// What a documented conversion gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Loss {
    /// The digits of a moment beyond milliseconds.
    SubMillisecond,
    /// The digits of a moment or time of day that its column does not keep.
    SubSecond,
    /// NaN or an infinity, stored as NULL.
    NotFinite,
    /// Spaces at the end of a text, which its column does not keep.
    TrailingSpaces,
    /// Bytes within a document, written as text.
    BytesAsText,
    /// Where bytes end, which the column fills up with zeros.
    ZeroBytes,
}

impl Loss {
    /// One sentence for a report.
    pub fn describe(self) -> &'static str {
        match self {
            Self::SubMillisecond => "digits beyond milliseconds were dropped",
            Self::SubSecond => "digits of a second that the column does not keep were dropped",
            Self::NotFinite => "NaN or Infinity was stored as NULL",
            Self::TrailingSpaces => "spaces at the end that the column does not keep were dropped",
            Self::BytesAsText => "bytes within JSON were written as base64 text",
            Self::ZeroBytes => "zero bytes were added up to the length of the column",
        }
    }
}

impl From<Value> for Coerced {
    fn from(value: Value) -> Self {
        Self { value, loss: None }
    }
}

/// Brings a value into the type of a column.
///
/// # Errors
/// [`ErrorKind::Value`] if the column cannot hold it; the message says why, the caller adds the column's name.
pub fn coerce(value: Value, column_type: &ColumnType, limits: &Limits) -> Result<Coerced> {
    match (column_type, value) {
        (ColumnType::Json, Value::JsonNull) => Ok(Value::JsonNull.into()),
        (_, Value::Null | Value::JsonNull) => Ok(Value::Null.into()),
        (ColumnType::Timestamp { .. }, value) => timestamp(value, limits),
        (ColumnType::Float32 | ColumnType::Float64, value) => float(value, column_type, limits),
        (ColumnType::Any, Value::Timestamp(moment)) => timestamp(Value::Timestamp(moment), limits),
        (ColumnType::Any, Value::Float(number)) => float(Value::Float(number), column_type, limits),
        (ColumnType::Any, value) => Ok(value.into()),
        (ColumnType::Bool, value) => bool(value).map(Coerced::from),
        (ColumnType::Int16, value) => integer(value, i64::from(i16::MIN)..=i64::from(i16::MAX)).map(narrow),
        (ColumnType::Int32, value) => integer(value, i64::from(i32::MIN)..=i64::from(i32::MAX)).map(narrow),
        (ColumnType::Int64, value) => {
            integer(value, i64::MIN..=i64::MAX).map(|number| Value::Int64(number).into())
        }
        (ColumnType::Decimal(limit), value) => decimal(value, *limit).map(Coerced::from),
        (ColumnType::Date | ColumnType::Time | ColumnType::Interval, value @ Value::Timestamp(_)) => {
            Err(misfit(&value, "a day, a time or a span"))
        }
        (ColumnType::Text(longest), value) => {
            let loss = if is_document(&value) { json_loss(&value) } else { None };
            text(value, *longest).map(|value| Coerced { value, loss })
        }
        (
            ColumnType::Uuid
            | ColumnType::Date
            | ColumnType::Time
            | ColumnType::Interval
            | ColumnType::Native(_),
            value,
        ) => text(value, None).map(Coerced::from),
        (ColumnType::Json, value) => json(value),
        (ColumnType::Rest, value @ Value::Object(_)) => Ok(value.into()),
        (ColumnType::Rest, value) => Err(misfit(&value, "an object")),
        (ColumnType::Array(element), value) => array(value, element, limits),
        (ColumnType::Bytes, value @ Value::Bytes(_)) => Ok(value.into()),
        (ColumnType::ObjectId, value) => object_id(value).map(Coerced::from),
        (ColumnType::Bytes, value) => Err(misfit(&value, "bytes")),
    }
}

fn misfit(value: &Value, wanted: &str) -> Error {
    refuse(format!("this {} is not {wanted}, which the column holds", value.type_name()))
}

fn refuse(message: String) -> Error {
    Error::new(ErrorKind::Value, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Timestamp;

    const EVERYTHING: Limits =
        Limits { nan: true, infinity: true, microseconds: true, infinite_timestamp: true };
    const LITTLE: Limits =
        Limits { nan: false, infinity: true, microseconds: false, infinite_timestamp: false };

    fn fits(value: impl Into<Value>, column_type: ColumnType) -> Option<Value> {
        coerce(value.into(), &column_type, &EVERYTHING).ok().map(|coerced| coerced.value)
    }

    #[test]
    fn an_integer_goes_only_where_it_fits() {
        assert_eq!(fits(Value::Int64(40_000), ColumnType::Int16), None);
        assert_eq!(fits(Value::Int64(40_000), ColumnType::Int32), Some(Value::Int32(40_000)));
        assert_eq!(fits(Value::Float(3.0), ColumnType::Int64), Some(Value::Int64(3)));
        assert_eq!(fits(Value::Float(3.5), ColumnType::Int64), None);
        assert_eq!(fits(Value::Int64((1 << 53) + 1), ColumnType::Float64), None);
    }

    #[test]
    fn a_decimal_becomes_a_double_only_if_no_digit_is_lost() {
        let decimal = |text: &str| Value::Decimal(text.into());
        assert_eq!(fits(decimal("0.10"), ColumnType::Float64), Some(Value::Float(0.1)));
        assert_eq!(fits(decimal("-12345.678"), ColumnType::Float64), Some(Value::Float(-12345.678)));
        assert_eq!(fits(decimal("0.12345678901234567890"), ColumnType::Float64), None);
    }

    #[test]
    fn digits_that_a_column_does_not_keep_are_dropped_and_reported() {
        let moment = |micros| Value::Timestamp(Timestamp(micros));
        for (value, digits, kept) in
            [(moment(1_234_567), 3, moment(1_234_000)), (moment(-1), 0, moment(-1_000_000))]
        {
            let cut = cut_second(value.into(), digits);
            assert_eq!(cut, Coerced { value: kept, loss: Some(Loss::SubSecond) });
        }
        for value in [moment(1_234_000), Value::Timestamp(Timestamp::INFINITY), Value::Null] {
            assert_eq!(cut_second(value.clone().into(), 3), value.into());
        }
    }

    #[test]
    fn dropped_digits_of_a_moment_are_reported() {
        let coerced =
            coerce(Value::Timestamp(Timestamp(1_234_567)), &ColumnType::Timestamp { zoned: true }, &LITTLE);
        let expected =
            Coerced { value: Value::Timestamp(Timestamp(1_234_000)), loss: Some(Loss::SubMillisecond) };
        assert_eq!(coerced.unwrap(), expected);
    }

    #[test]
    fn not_a_number_becomes_null_and_is_reported_where_it_cannot_be_stored() {
        let coerced = coerce(Value::Float(f64::NAN), &ColumnType::Float64, &LITTLE).unwrap();
        assert_eq!(coerced, Coerced { value: Value::Null, loss: Some(Loss::NotFinite) });
    }

    #[test]
    fn text_longer_than_its_column_is_refused() {
        assert_eq!(fits("été", ColumnType::Text(Some(3))), Some(Value::from("été")));
        assert_eq!(fits("hiver", ColumnType::Text(Some(3))), None);
    }

    #[test]
    fn json_text_becomes_a_document_and_other_text_a_json_string() {
        assert_eq!(fits(r#"{"a":1}"#, ColumnType::Json), Some(Value::object([("a", Value::Int32(1))])));
        assert_eq!(fits("{not json", ColumnType::Json), Some(Value::from("{not json")));
    }
}
