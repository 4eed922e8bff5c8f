//! Values on their way into a statement.

use sqlx::Arguments;
use sqlx::mysql::MySqlArguments;

use crate::error::{Error, ErrorKind, Result};
use crate::table::PackedValue;
use crate::value::{Timestamp, Value, json_text};

/// What a packet holds besides its parameters' bytes, at the most: the statement's number, and two bytes of type and a
/// length for each parameter.
const OVERHEAD: usize = 1024;
const OVERHEAD_OF_PARAMETER: usize = 12;

/// The parameters of a statement.
///
/// # Errors
/// [`ErrorKind::Value`] if a value has no form in MySQL, or all together are longer than the server takes.
pub(super) fn arguments<'a>(
    params: impl IntoIterator<Item = &'a Value>,
    max_packet: usize,
) -> Result<MySqlArguments> {
    let mut arguments = MySqlArguments::default();
    let mut size = OVERHEAD;
    for param in params {
        size += add(&mut arguments, param)? + OVERHEAD_OF_PARAMETER;
    }
    if size > max_packet {
        return Err(too_long(size, max_packet));
    }
    Ok(arguments)
}

/// The error that values are longer than the server takes.
pub(super) fn too_long(size: usize, max_packet: usize) -> Error {
    Error::new(
        ErrorKind::Value,
        format!(
            "{size} bytes are more than the server takes at once; its max_allowed_packet is {max_packet} and can be raised"
        ),
    )
}

/// About how many bytes a parameter takes.
pub(super) fn size_of(value: &Value) -> usize {
    OVERHEAD_OF_PARAMETER
        + match value {
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Decimal(text) => text.len(),
            Value::Array(_) | Value::Object(_) => json_text(value).len(),
            _ => 26,
        }
}

/// Adds a parameter; how many bytes its value has.
pub(super) fn add(arguments: &mut MySqlArguments, value: &Value) -> Result<usize> {
    let text = |arguments: &mut MySqlArguments, text: &str| (arguments.add(text), text.len());
    let (added, size) = match value {
        Value::Null => (arguments.add(Option::<i32>::None), 0),
        Value::Bool(flag) => (arguments.add(i8::from(*flag)), 1),
        Value::Int32(number) => (arguments.add(*number), 4),
        Value::Int64(number) => (arguments.add(*number), 8),
        Value::Float(number) if number.is_finite() => (arguments.add(*number), 8),
        Value::Float(_) => return Err(refuse("NaN and Infinity cannot be held by MySQL")),
        Value::Decimal(digits) => text(arguments, digits),
        Value::Text(own) => text(arguments, own),
        Value::Bytes(bytes) => (arguments.add(bytes.as_ref()), bytes.len()),
        Value::Timestamp(moment) => text(arguments, &datetime_text(*moment)?),
        Value::ObjectId(id) => text(arguments, &id.to_string()),
        Value::JsonNull | Value::Array(_) | Value::Object(_) => text(arguments, &json_text(value)),
    };
    added.map_err(|error| refuse(&format!("a parameter cannot be bound: {error}")))?;
    Ok(size)
}

/// About how many bytes a packed parameter takes.
pub(super) fn packed_size(value: PackedValue<'_>) -> usize {
    OVERHEAD_OF_PARAMETER
        + match value {
            PackedValue::Text(bytes) | PackedValue::Bytes(bytes) => bytes.len(),
            _ => 8,
        }
}

/// Adds a packed parameter.
pub(super) fn add_packed(arguments: &mut MySqlArguments, value: PackedValue<'_>) -> Result<()> {
    let added = match value {
        PackedValue::Null => arguments.add(Option::<i32>::None),
        PackedValue::Integer(number) => arguments.add(number),
        PackedValue::Double(number) => arguments.add(number),
        PackedValue::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => arguments.add(text),
            Err(error) => Err(error.into()),
        },
        PackedValue::Bytes(bytes) => arguments.add(bytes),
    };
    added.map_err(|error| refuse(&format!("a parameter cannot be bound: {error}")))
}

/// A moment as `DATETIME` reads it: UTC, with milliseconds, and microseconds where there are any.
///
/// # Errors
/// [`ErrorKind::Value`] outside of the years 1 to 9999.
pub(super) fn datetime_text(moment: Timestamp) -> Result<String> {
    const MICROS_PER_SECOND: i64 = 1_000_000;
    let (year, month, day, micros) = moment.civil();
    if moment.is_infinite() || !(1..=9999).contains(&year) {
        return Err(refuse(&format!("{moment} is outside of the years 1 to 9999, which a DATETIME holds")));
    }
    let seconds = micros / MICROS_PER_SECOND;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = micros % MICROS_PER_SECOND;
    let whole = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
    Ok(if fraction % 1000 == 0 {
        format!("{whole}.{:03}", fraction / 1000)
    } else {
        format!("{whole}.{fraction:06}")
    })
}

fn refuse(message: &str) -> Error {
    Error::new(ErrorKind::Value, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_with_the_digits_it_has() {
        for (iso, text) in [
            ("2024-02-29T12:34:56.789Z", "2024-02-29 12:34:56.789"),
            ("1969-12-31T23:59:59.999999Z", "1969-12-31 23:59:59.999999"),
            ("0001-01-01T00:00:00Z", "0001-01-01 00:00:00.000"),
        ] {
            assert_eq!(datetime_text(Timestamp::parse_iso(iso).unwrap()).unwrap(), text);
        }
        for iso in ["+010000-01-01T00:00:00Z", "-000001-01-01T00:00:00Z"] {
            assert_eq!(
                datetime_text(Timestamp::parse_iso(iso).unwrap()).unwrap_err().kind(),
                ErrorKind::Value
            );
        }
        assert!(datetime_text(Timestamp::INFINITY).is_err());
    }

    #[test]
    fn values_that_the_server_would_not_take_are_refused() {
        let long = Value::Text("x".repeat(5000));
        assert_eq!(arguments([&long], 4096).unwrap_err().kind(), ErrorKind::Value);
        assert!(arguments([&long], 8192).is_ok());
        assert_eq!(arguments([&Value::Float(f64::NAN)], 8192).unwrap_err().kind(), ErrorKind::Value);
    }
}
