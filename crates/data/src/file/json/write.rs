//! Writing rows as JSON objects.

use std::io::Write as _;

use super::super::cell::text_of;
use crate::table::{Row, Table};
use crate::value::{Value, json_text};

/// Appends a row as an object. Dates are ISO text, bytes base64 behind a prefix; numbers keep every digit.
pub(in super::super) fn write_object(output: &mut Vec<u8>, table: &Table, row: &Row) {
    output.push(b'{');
    for (position, (column, value)) in table.columns.iter().zip(row).enumerate() {
        if position > 0 {
            output.push(b',');
        }
        let text = match value {
            Value::Bytes(_) => {
                json_text(&Value::Text(text_of(value, &column.column_type).unwrap_or_default().into_owned()))
            }
            value => json_text(value),
        };
        // Writing into a vector cannot fail.
        let _ = write!(output, "{}:{text}", json_text(&Value::from(column.name.as_str())));
    }
    output.push(b'}');
}
