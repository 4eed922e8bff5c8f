//! Values as the text that PostgreSQL's input functions read.

use std::fmt::Write as _;

use crate::table::ColumnType;
use crate::value::{Timestamp, Value, json_text};

/// The text of a value for a column of this type; `None` is NULL. Without a type, a list is a PostgreSQL array.
pub(super) fn text_of(value: &Value, column_type: Option<&ColumnType>) -> Option<String> {
    let is_json = matches!(column_type, Some(ColumnType::Json | ColumnType::Any));
    Some(match value {
        Value::Null => return None,
        value if is_json => json_text(value),
        Value::Bool(flag) => if *flag { "t" } else { "f" }.to_owned(),
        Value::Int32(number) => number.to_string(),
        Value::Int64(number) => number.to_string(),
        Value::Float(number) => float_text(*number),
        Value::Decimal(text) => text.to_string(),
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => hex(bytes),
        Value::Timestamp(moment) => timestamp_text(*moment),
        Value::ObjectId(id) => id.to_string(),
        Value::Array(items) => array_text(items, column_type),
        Value::JsonNull | Value::Object(_) => json_text(value),
    })
}

fn float_text(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        format!("{number:?}")
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + bytes.len() * 2);
    text.push_str("\\x");
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A moment in UTC, with `BC` for years before 1, since PostgreSQL knows no signed years.
pub(super) fn timestamp_text(moment: Timestamp) -> String {
    if moment.is_infinite() {
        return moment.to_string();
    }
    let (year, month, day, micros) = moment.civil();
    let seconds = micros / 1_000_000;
    let (hour, minute, second, fraction) =
        (seconds / 3600, seconds / 60 % 60, seconds % 60, micros % 1_000_000);
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{fraction:06}+00{era}")
}

/// An array literal. Every element is quoted, so that none is taken for NULL, a nested array or a separator.
fn array_text(items: &[Value], column_type: Option<&ColumnType>) -> String {
    let element = match column_type {
        Some(ColumnType::Array(element)) => Some(element.as_ref()),
        _ => None,
    };
    let is_json = matches!(element, Some(ColumnType::Json));
    let mut text = String::from("{");
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        match item {
            Value::Array(inner) if !is_json => text.push_str(&array_text(inner, column_type)),
            item => match text_of(item, element) {
                None => text.push_str("NULL"),
                Some(element) => {
                    text.push('"');
                    text.push_str(&element.replace('\\', "\\\\").replace('"', "\\\""));
                    text.push('"');
                }
            },
        }
    }
    text.push('}');
    text
}

/// Appends a row in the text format of COPY: values between tabs, `\N` for NULL, a backslash before what would end a
/// value.
pub(super) fn push_copy_row<'a>(
    buffer: &mut Vec<u8>,
    row: impl Iterator<Item = (&'a Value, &'a ColumnType)>,
) {
    for (position, (value, column_type)) in row.enumerate() {
        if position > 0 {
            buffer.push(b'\t');
        }
        match text_of(value, Some(column_type)) {
            None => buffer.extend_from_slice(b"\\N"),
            Some(text) => push_escaped(buffer, &text),
        }
    }
    buffer.push(b'\n');
}

fn push_escaped(buffer: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'\\' => buffer.extend_from_slice(b"\\\\"),
            b'\n' => buffer.extend_from_slice(b"\\n"),
            b'\r' => buffer.extend_from_slice(b"\\r"),
            b'\t' => buffer.extend_from_slice(b"\\t"),
            byte => buffer.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn array_elements_are_quoted() {
        let array = Value::Array(vec![
            Value::from("a,\"b\""),
            Value::Null,
            Value::from("NULL"),
            Value::Array(vec![Value::Int32(1)]),
        ]);
        assert_eq!(text_of(&array, None).unwrap(), r#"{"a,\"b\"",NULL,"NULL",{"1"}}"#);
    }

    #[test]
    fn moments_before_christ_have_their_era() {
        assert_eq!(timestamp_text(Timestamp(-62_167_305_600_000_000)), "0002-12-31 00:00:00.000000+00 BC");
        assert_eq!(timestamp_text(Timestamp(1)), "1970-01-01 00:00:00.000001+00");
    }

    #[test]
    fn copy_rows_escape_what_would_end_a_value() {
        let mut buffer = Vec::new();
        let values = [Value::from("a\tb\\\n"), Value::Null];
        push_copy_row(&mut buffer, values.iter().map(|value| (value, &ColumnType::Text(None))));
        assert_eq!(buffer, b"a\\tb\\\\\\n\t\\N\n");
    }
}
