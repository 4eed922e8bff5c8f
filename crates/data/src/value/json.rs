//! Reading JSON without losing digits.

use indexmap::IndexMap;
use serde_json::value::RawValue;

use super::{Value, normal_decimal};

/// Up to so many digits a double gives back every number.
const DIGITS_OF_A_DOUBLE: usize = 15;

/// The value of a JSON text. A number that neither 64 bits nor a double hold becomes a [`Value::Decimal`].
///
/// # Errors
/// The text is no JSON, or nested deeper than the parser goes.
pub(crate) fn value_from_json_text(text: &[u8]) -> serde_json::Result<Value> {
    if has_long_number(text) {
        exact(serde_json::from_slice::<&RawValue>(text)?)
    } else {
        serde_json::from_slice(text)
    }
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

fn exact(raw: &RawValue) -> serde_json::Result<Value> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => {
            let entries = serde_json::from_str::<IndexMap<String, &RawValue>>(text)?;
            let entries = entries.into_iter().map(|(name, raw)| Ok((name, exact(raw)?)));
            Ok(Value::Object(Box::new(entries.collect::<serde_json::Result<_>>()?)))
        }
        Some(b'[') => {
            let items = serde_json::from_str::<Vec<&RawValue>>(text)?;
            Ok(Value::Array(items.into_iter().map(exact).collect::<serde_json::Result<_>>()?))
        }
        Some(b'-' | b'0'..=b'9') => Ok(exact_number(text)),
        _ => serde_json::from_str(text),
    }
}

fn exact_number(text: &str) -> Value {
    if let Ok(integer) = text.parse::<i64>() {
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
}
