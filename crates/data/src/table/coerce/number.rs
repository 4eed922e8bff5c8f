//! Values that become booleans, integers, doubles and decimals.

use super::{Coerced, Limits, Loss, misfit, refuse};
use crate::error::{Error, Result};
use crate::table::ColumnType;
use crate::value::{Value, fits_precision, json_text};

pub(super) fn narrow(number: i64) -> Coerced {
    i32::try_from(number).map_or(Value::Int64(number), Value::Int32).into()
}

pub(super) fn bool(value: Value) -> Result<Value> {
    match value {
        Value::Bool(_) => Ok(value),
        Value::Int32(number @ (0 | 1)) => Ok(Value::Bool(number == 1)),
        Value::Int64(number @ (0 | 1)) => Ok(Value::Bool(number == 1)),
        other => Err(misfit(&other, "a boolean")),
    }
}

pub(super) fn integer(value: Value, range: std::ops::RangeInclusive<i64>) -> Result<i64> {
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

pub(super) fn float(value: Value, column_type: &ColumnType, limits: &Limits) -> Result<Coerced> {
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

pub(super) fn decimal(value: Value, limit: Option<(u32, u32)>) -> Result<Value> {
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

fn inexact(value: &Value) -> Error {
    refuse(format!("{} cannot be held exactly by a double", json_text(value)))
}
