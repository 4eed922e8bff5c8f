//! Bringing a value of one database into the type of another's column, without ever changing it in silence.

use super::ColumnType;
use crate::error::{Error, ErrorKind, Result};
use crate::value::{ObjectId, Timestamp, Value, fits_precision, json_text, value_from_json_text};

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
    /// Bytes within a document, written as text.
    BytesAsText,
}

impl Loss {
    /// One sentence for a report.
    pub fn describe(self) -> &'static str {
        match self {
            Self::SubMillisecond => "digits beyond milliseconds were dropped",
            Self::SubSecond => "digits of a second that the column does not keep were dropped",
            Self::NotFinite => "NaN or Infinity was stored as NULL",
            Self::BytesAsText => "bytes within JSON were written as base64 text",
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
        (ColumnType::Array(element), value) => array(value, element, limits),
        (ColumnType::Bytes, value @ Value::Bytes(_)) => Ok(value.into()),
        (ColumnType::ObjectId, value) => object_id(value).map(Coerced::from),
        (ColumnType::Bytes, value) => Err(misfit(&value, "bytes")),
    }
}

/// Drops the digits of a second that a column does not keep, which its database would drop or round in silence.
pub fn cut_second(coerced: Coerced, digits: u32) -> Coerced {
    let Coerced { value, loss } = coerced;
    match value {
        Value::Timestamp(moment) if !moment.is_infinite() => {
            let unit = 10_i64.pow(6_u32.saturating_sub(digits));
            let cut = Timestamp(moment.0.div_euclid(unit) * unit);
            let loss = if cut == moment { loss } else { Some(Loss::SubSecond) };
            Coerced { value: Value::Timestamp(cut), loss }
        }
        Value::Text(text) => {
            let longest = text.find('.').map_or(text.len(), |point| match digits {
                0 => point,
                digits => point + 1 + digits as usize,
            });
            match text.get(..longest).filter(|cut| cut.len() < text.len()) {
                Some(cut) => Coerced { value: Value::from(cut), loss: Some(Loss::SubSecond) },
                None => Coerced { value: Value::Text(text), loss },
            }
        }
        value => Coerced { value, loss },
    }
}

fn narrow(number: i64) -> Coerced {
    i32::try_from(number).map_or(Value::Int64(number), Value::Int32).into()
}

fn bool(value: Value) -> Result<Value> {
    match value {
        Value::Bool(_) => Ok(value),
        Value::Int32(number @ (0 | 1)) => Ok(Value::Bool(number == 1)),
        Value::Int64(number @ (0 | 1)) => Ok(Value::Bool(number == 1)),
        other => Err(misfit(&other, "a boolean")),
    }
}

fn integer(value: Value, range: std::ops::RangeInclusive<i64>) -> Result<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number = match &value {
        Value::Bool(flag) => Some(i64::from(*flag)),
        Value::Int32(number) => Some(i64::from(*number)),
        Value::Int64(number) => Some(*number),
        #[expect(clippy::cast_possible_truncation, reason = "the guard keeps it within 53 bits")]
        Value::Float(number) if number.fract() == 0.0 && number.abs() <= EXACT => Some(*number as i64),
        Value::Decimal(text) => whole_decimal(text),
        // Text that the number would not give back, such as 007, is no number.
        Value::Text(text) => text.parse().ok().filter(|number: &i64| number.to_string() == *text),
        _ => None,
    };
    match number {
        Some(number) if range.contains(&number) => Ok(number),
        Some(number) => {
            Err(refuse(format!("{number} is out of range, which is {} to {}", range.start(), range.end())))
        }
        None => Err(misfit(&value, "an integer")),
    }
}

fn whole_decimal(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    fraction.bytes().all(|digit| digit == b'0').then(|| whole.parse().ok()).flatten()
}

fn float(value: Value, column_type: &ColumnType, limits: &Limits) -> Result<Coerced> {
    let number = match &value {
        Value::Float(number) => *number,
        Value::Int32(number) => f64::from(*number),
        Value::Int64(number) => exact_double(*number).ok_or_else(|| inexact(&value))?,
        Value::Bool(flag) => f64::from(u8::from(*flag)),
        Value::Decimal(text) => decimal_double(text).ok_or_else(|| inexact(&value))?,
        Value::Text(text) => decimal_double(text).ok_or_else(|| misfit(&value, "a number"))?,
        _ => return Err(misfit(&value, "a number")),
    };
    if (number.is_nan() && !limits.nan) || (number.is_infinite() && !limits.infinity) {
        return Ok(Coerced { value: Value::Null, loss: Some(Loss::NotFinite) });
    }
    if *column_type == ColumnType::Float32 && number.is_finite() && !fits_single(number) {
        return Err(refuse(format!("{number} cannot be held exactly by a single-precision column")));
    }
    Ok(Value::Float(number).into())
}

/// A double that a single-precision column gives back as the same shortest decimal.
fn fits_single(number: f64) -> bool {
    #[expect(clippy::cast_possible_truncation, reason = "the comparison below finds what the cast lost")]
    let single = number as f32;
    f64::from(single) == number || single.to_string().parse() == Ok(number)
}

fn exact_double(number: i64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "the bound keeps it exact")]
    (number.unsigned_abs() <= 1 << 53).then_some(number as f64)
}

/// The double whose shortest decimal is this one; `None` where digits would be lost.
fn decimal_double(text: &str) -> Option<f64> {
    let number: f64 = text.trim().parse().ok()?;
    if !number.is_finite() {
        return Some(number);
    }
    (significant_digits(&format!("{number}")) == significant_digits(text)).then_some(number)
}

/// Sign and digits of a decimal in plain notation without leading and trailing zeros, and the point's place.
fn significant_digits(text: &str) -> (bool, String, usize) {
    let text = text.trim();
    let negative = text.starts_with('-');
    let unsigned = text.trim_start_matches(['-', '+']);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}");
    let zero = digits.is_empty();
    (negative && !zero, digits, fraction.len())
}

fn decimal(value: Value, limit: Option<(u32, u32)>) -> Result<Value> {
    let text = match &value {
        Value::Decimal(text) => text.to_string(),
        Value::Int32(number) => number.to_string(),
        Value::Int64(number) => number.to_string(),
        Value::Float(number) if number.is_nan() => "NaN".to_owned(),
        Value::Float(number) if number.is_infinite() => {
            if *number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
        }
        Value::Float(number) => number.to_string(),
        Value::Text(text) if text.trim().parse::<f64>().is_ok() => text.trim().to_owned(),
        _ => return Err(misfit(&value, "a decimal")),
    };
    match limit {
        Some((precision, scale)) if !fits_precision(&text, precision, scale) => {
            Err(refuse(format!("{text} would be rounded to fit numeric({precision}, {scale})")))
        }
        _ => Ok(Value::Decimal(text.into())),
    }
}

fn text(value: Value, longest: Option<u32>) -> Result<Value> {
    let text = match value {
        Value::Text(text) => text,
        Value::Bool(flag) => flag.to_string(),
        Value::Int32(number) => number.to_string(),
        Value::Int64(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Decimal(text) => text.into(),
        Value::Timestamp(moment) => moment.to_iso(),
        Value::ObjectId(id) => id.to_string(),
        Value::Array(_) | Value::Object(_) => json_text(&value),
        other => return Err(misfit(&other, "text")),
    };
    match longest {
        Some(longest) if text.len() > longest as usize && text.chars().count() > longest as usize => {
            Err(refuse(format!("{} characters do not fit a column of {longest}", text.chars().count())))
        }
        _ => Ok(Value::Text(text)),
    }
}

fn timestamp(value: Value, limits: &Limits) -> Result<Coerced> {
    let moment = match &value {
        Value::Timestamp(moment) => *moment,
        Value::Text(text) => Timestamp::parse_iso(text).ok_or_else(|| misfit(&value, "a date"))?,
        _ => return Err(misfit(&value, "a date")),
    };
    if moment.is_infinite() && !limits.infinite_timestamp {
        return Err(refuse(format!("the date {moment} has no equivalent")));
    }
    if !limits.microseconds && !moment.is_infinite() && moment.sub_millis() != 0 {
        let value = Value::Timestamp(Timestamp::from_millis(moment.millis()));
        return Ok(Coerced { value, loss: Some(Loss::SubMillisecond) });
    }
    Ok(Value::Timestamp(moment).into())
}

/// Text that holds a JSON object or list is taken as that, because databases without a JSON type keep it so.
fn json(value: Value) -> Result<Coerced> {
    match value {
        Value::Text(text) if text.starts_with(['{', '[']) => match value_from_json_text(text.as_bytes()) {
            Ok(json) => Ok(json.into()),
            Err(_) => Ok(Value::Text(text).into()),
        },
        Value::Bytes(_) => Err(misfit(&value, "JSON")),
        value => {
            let loss = json_loss(&value);
            Ok(Coerced { value, loss })
        }
    }
}

/// Whether the value becomes JSON text where there is no JSON.
fn is_document(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_))
}

/// What is given up when a value becomes JSON.
pub fn json_loss(value: &Value) -> Option<Loss> {
    match value {
        Value::Float(number) if !number.is_finite() => Some(Loss::NotFinite),
        Value::Bytes(_) => Some(Loss::BytesAsText),
        Value::Array(items) => items.iter().find_map(json_loss),
        Value::Object(object) => object.values().find_map(json_loss),
        _ => None,
    }
}

fn array(value: Value, element: &ColumnType, limits: &Limits) -> Result<Coerced> {
    let items = match value {
        Value::Array(items) => items,
        Value::Text(text) => match value_from_json_text(text.as_bytes()) {
            Ok(Value::Array(items)) => items,
            _ => return Err(misfit(&Value::Text(text), "a list")),
        },
        other => return Err(misfit(&other, "a list")),
    };
    let mut loss = None;
    let mut coerced = Vec::with_capacity(items.len());
    for item in items {
        // A list of lists has the element type of the innermost ones, as in PostgreSQL.
        let item = match item {
            Value::Array(_) if !matches!(element, ColumnType::Json | ColumnType::Any) => {
                array(item, element, limits)?
            }
            item => coerce(item, element, limits)?,
        };
        loss = loss.or(item.loss);
        coerced.push(item.value);
    }
    Ok(Coerced { value: Value::Array(coerced), loss })
}

fn object_id(value: Value) -> Result<Value> {
    match value {
        Value::ObjectId(_) => Ok(value),
        Value::Text(text) => match ObjectId::parse(&text) {
            Some(id) => Ok(Value::ObjectId(id)),
            None => Err(misfit(&Value::Text(text), "an object id")),
        },
        other => Err(misfit(&other, "an object id")),
    }
}

fn misfit(value: &Value, wanted: &str) -> Error {
    refuse(format!("this {} is not {wanted}, which the column holds", value.type_name()))
}

fn inexact(value: &Value) -> Error {
    refuse(format!("{} cannot be held exactly by a double", json_text(value)))
}

fn refuse(message: String) -> Error {
    Error::new(ErrorKind::Value, message)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for (value, digits, kept) in [
            (moment(1_234_567), 3, moment(1_234_000)),
            (moment(-1), 0, moment(-1_000_000)),
            ("12:30:00.56".into(), 1, "12:30:00.5".into()),
            ("12:30:00.5".into(), 0, "12:30:00".into()),
        ] {
            let cut = cut_second(value.into(), digits);
            assert_eq!(cut, Coerced { value: kept, loss: Some(Loss::SubSecond) });
        }
        for value in
            [moment(1_234_000), Value::Timestamp(Timestamp::INFINITY), "12:30:00.123".into(), Value::Null]
        {
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
