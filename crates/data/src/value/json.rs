//! Reading JSON without losing digits.

use indexmap::IndexMap;
use serde_json::value::RawValue;

use super::{Value, normal_decimal};

/// Up to this integer a double tells each from its neighbours.
const LARGEST_EXACT: u64 = 1 << 53;
/// How many lists and objects may lie within one another; `serde_json` goes as deep.
const DEEPEST: usize = 127;
/// Up to so many digits a double gives back every number.
const DIGITS_OF_A_DOUBLE: usize = 15;

/// The value of a JSON text. A number that neither 64 bits nor a double hold becomes a [`Value::Decimal`].
///
/// # Errors
/// The text is no JSON, or nested deeper than the parser goes.
pub(crate) fn value_from_json_text(text: &[u8]) -> serde_json::Result<Value> {
    parse(text, Integers::Kept)
}

/// The value of a JSON text as an application gets it: an integer beyond 2^53 becomes a double where that has the same
/// digits, because then it may well have been one.
///
/// # Errors
/// As [`value_from_json_text`].
pub(crate) fn document_from_json_text(text: &[u8]) -> serde_json::Result<Value> {
    parse(text, Integers::Doubles)
}

/// What integers become that doubles do not tell apart from their neighbours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Integers {
    /// Integers of 64 bits.
    Kept,
    /// Doubles, where these have the same digits.
    Doubles,
}

fn parse(text: &[u8], integers: Integers) -> serde_json::Result<Value> {
    if has_long_number(text) {
        exact(serde_json::from_slice::<&RawValue>(text)?, integers, DEEPEST)
    } else {
        serde_json::from_slice(text)
    }
}

/// The value of a column that holds a JSON text: a whole value of `null` is told from NULL.
///
/// # Errors
/// As [`value_from_json_text`].
pub(crate) fn column_from_json_text(text: &[u8]) -> serde_json::Result<Value> {
    value_from_json_text(text).map(|value| if value.is_null() { Value::JsonNull } else { value })
}

/// Whether a number outside of strings has many digits or an exponent, so that it must be looked at more closely.
fn has_long_number(text: &[u8]) -> bool {
    let (mut digits, mut in_string, mut escaped) = (0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'0'..=b'9' => digits += 1,
            b'.' | b'-' | b'+' => {}
            // Only a number has this letter after a digit.
            b'e' | b'E' if digits > 0 => return true,
            _ => digits = 0,
        }
        if digits > DIGITS_OF_A_DOUBLE {
            return true;
        }
    }
    false
}

/// Reads a value with at most so many lists and objects in one another.
fn exact(raw: &RawValue, integers: Integers, levels: usize) -> serde_json::Result<Value> {
    let text = raw.get();
    let is_scalar = !text.starts_with(['{', '[']);
    let Some(below) = levels.checked_sub(usize::from(!is_scalar)) else {
        return Err(serde::de::Error::custom("it is nested too deep"));
    };
    match text.as_bytes().first() {
        Some(b'{') => {
            let entries = serde_json::from_str::<IndexMap<String, &RawValue>>(text)?;
            let entries = entries.into_iter().map(|(name, raw)| Ok((name, exact(raw, integers, below)?)));
            Ok(Value::Object(Box::new(entries.collect::<serde_json::Result<_>>()?)))
        }
        Some(b'[') => {
            let items = serde_json::from_str::<Vec<&RawValue>>(text)?;
            Ok(Value::Array(
                items
                    .into_iter()
                    .map(|raw| exact(raw, integers, below))
                    .collect::<serde_json::Result<_>>()?,
            ))
        }
        Some(b'-' | b'0'..=b'9') => Ok(exact_number(text, integers)),
        _ => serde_json::from_str(text),
    }
}

fn exact_number(text: &str, integers: Integers) -> Value {
    if let Ok(integer) = text.parse::<i64>() {
        #[expect(clippy::cast_precision_loss, reason = "the comparison finds what the cast lost")]
        let double = integer as f64;
        if integers == Integers::Doubles
            && integer.unsigned_abs() > LARGEST_EXACT
            && double.to_string() == text
        {
            return Value::Float(double);
        }
        return i32::try_from(integer).map_or(Value::Int64(integer), Value::Int32);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && normal_decimal(text) == normal_decimal(&number.to_string()) => {
            Value::Float(number)
        }
        _ => Value::Decimal(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::json_text;

    #[test]
    fn every_number_keeps_its_digits() {
        for text in [
            r#"{"a":[12345678901234567890,0.12345678901234567891],"b":"1e400"}"#,
            "[18446744073709551615,1e400,-9223372036854775808]",
            r#"{"long \" 12345678901234567890":0.1}"#,
        ] {
            assert_eq!(json_text(&value_from_json_text(text.as_bytes()).unwrap()), text);
        }
    }

    #[test]
    fn numbers_that_a_double_holds_stay_numbers() {
        let value = value_from_json_text(b"[1e3, 9007199254740993, 0.1, 1234567890.123456]").unwrap();
        let expected = [
            Value::Float(1000.0),
            Value::Int64(9_007_199_254_740_993),
            0.1.into(),
            1_234_567_890.123_456.into(),
        ];
        assert_eq!(value, Value::Array(expected.to_vec()));
    }

    #[test]
    fn a_large_integer_is_a_double_for_an_application_where_that_has_its_digits() {
        let shown = |text: &str| document_from_json_text(text.as_bytes()).unwrap();
        assert_eq!(shown("100000000000000000"), Value::Float(1e17));
        assert_eq!(shown("[1152921504606847000]"), Value::Array(vec![Value::Float(2f64.powi(60))]));
        for text in ["9007199254740993", "-9223372036854775808", "1152921504606846976"] {
            assert_eq!(shown(text), Value::Int64(text.parse().unwrap()));
        }
        assert_eq!(value_from_json_text(b"100000000000000000").unwrap(), Value::Int64(10_i64.pow(17)));
    }

    #[test]
    fn text_that_is_nested_very_deep_is_an_error_and_no_overflow() {
        for number in ["1", "12345678901234567890"] {
            for (depth, is_read) in [(127, true), (128, false), (100_000, false)] {
                let text = format!("{}{number}{}", "[".repeat(depth), "]".repeat(depth));
                assert_eq!(value_from_json_text(text.as_bytes()).is_ok(), is_read, "{number} {depth}");
            }
        }
    }
}
