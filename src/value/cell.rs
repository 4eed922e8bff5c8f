//! One value of a row as JSON text, and what JavaScript has to do with it.

use data::{Cell, Value};
use serde::Serialize;

use super::finish::{Finish, is_exact};
use super::write::{Bare, Tagged};

/// How a value is finished, if `JSON.parse` alone does not get it right.
pub(super) fn finish_of_cell(cell: Cell<'_>) -> Option<Finish> {
    match cell {
        Cell::Integer(number) if !is_exact(number) => Some(Finish::Number),
        Cell::Float(number) if !number.is_finite() => Some(Finish::Number),
        Cell::Bytes(_) => Some(Finish::Bytes),
        Cell::Timestamp(_) => Some(Finish::Date),
        Cell::Value(value) => Finish::of(value),
        _ => None,
    }
}

/// Appends a value, bare or in a tag where JSON lacks the type.
pub(super) fn push_cell(cell: Cell<'_>, is_tagged: bool, text: &mut Vec<u8>) {
    match cell {
        Cell::Null => text.extend_from_slice(b"null"),
        Cell::Bool(flag) => text.extend_from_slice(if flag { b"true" } else { b"false" }),
        Cell::Integer(number) if is_exact(number) => push_json(&number, text),
        Cell::Text(characters) | Cell::Decimal(characters) => push_string(characters, text),
        Cell::Json(json) => text.extend_from_slice(json.as_bytes()),
        Cell::Value(value) => push_value(value, is_tagged, text),
        Cell::Integer(_) | Cell::Float(_) | Cell::Bytes(_) | Cell::Timestamp(_) => {
            push_value(&cell.to_value(), is_tagged, text);
        }
    }
}

fn push_value(value: &Value, is_tagged: bool, text: &mut Vec<u8>) {
    if is_tagged { push_json(&Tagged(value), text) } else { push_json(&Bare(value), text) }
}

/// Appends a text in quotes.
pub(super) fn push_string(characters: &str, text: &mut Vec<u8>) {
    let bytes = characters.as_bytes();
    let is_special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    // Without an early end, many bytes are looked at at once.
    if bytes.iter().fold(false, |any, byte| any | is_special(*byte)) {
        push_json(characters, text);
        return;
    }
    text.reserve(bytes.len() + 2);
    text.push(b'"');
    text.extend_from_slice(bytes);
    text.push(b'"');
}

/// Writing to memory cannot fail, and every value has a form in JSON.
fn push_json<T: Serialize + ?Sized>(value: &T, text: &mut Vec<u8>) {
    if serde_json::to_writer(text, value).is_err() {
        debug_assert!(false, "a value without a form in JSON");
    }
}
