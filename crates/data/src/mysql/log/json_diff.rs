//! Changes of documents that MySQL tells in place of the whole (`binlog_row_value_options = PARTIAL_JSON`).

use super::bytes::{Bytes, malformed};
use super::json_binary::json_text_of;
use crate::error::Result;
use crate::value::{Value, column_from_json_text};

/// What happens at a place of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Replace,
    Insert,
    Remove,
}

/// A step on the way to a place.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
}

/// Makes changes to a document.
///
/// # Errors
/// That the changes cannot be read, or are none of this document.
pub(super) fn changed(mut document: Value, changes: &[u8]) -> Result<Value> {
    let mut bytes = Bytes(changes);
    while !bytes.is_empty() {
        let operation = match bytes.u8()? {
            0 => Operation::Replace,
            1 => Operation::Insert,
            2 => Operation::Remove,
            _ => return Err(malformed()),
        };
        let length = bytes.packed()?;
        let path = steps(std::str::from_utf8(bytes.take(length)?).map_err(|_| malformed())?)?;
        let value = match operation {
            Operation::Remove => Value::Null,
            Operation::Replace | Operation::Insert => {
                let length = bytes.packed()?;
                let text = json_text_of(bytes.take(length)?)?;
                column_from_json_text(text.as_bytes()).map_err(|_| malformed())?
            }
        };
        apply(&mut document, operation, &path, value)?;
    }
    Ok(document)
}

fn apply(document: &mut Value, operation: Operation, path: &[Step], value: Value) -> Result<()> {
    let Some((last, way)) = path.split_last() else {
        if operation == Operation::Replace {
            *document = value;
            return Ok(());
        }
        return Err(malformed());
    };
    let mut place = document;
    for step in way {
        place = match (place, step) {
            (Value::Object(object), Step::Key(key)) => object.get_mut(key),
            (Value::Array(items), Step::Item(at)) => items.get_mut(*at),
            // A value that is no list counts as a list of it alone.
            (single, Step::Item(0)) => Some(single),
            _ => None,
        }
        .ok_or_else(malformed)?;
    }
    match (place, last, operation) {
        (Value::Object(object), Step::Key(key), Operation::Remove) => {
            object.shift_remove(key);
        }
        (Value::Object(object), Step::Key(key), _) => {
            object.insert(key.clone(), value);
        }
        (Value::Array(items), Step::Item(at), Operation::Remove) if *at < items.len() => {
            items.remove(*at);
        }
        (Value::Array(items), Step::Item(at), Operation::Insert) => {
            items.insert((*at).min(items.len()), value)
        }
        (Value::Array(items), Step::Item(at), Operation::Replace) => {
            *items.get_mut(*at).ok_or_else(malformed)? = value;
        }
        (single, Step::Item(0), Operation::Replace) => *single = value,
        _ => return Err(malformed()),
    }
    Ok(())
}

/// The steps of a path such as `$.a."b c"[3]`.
fn steps(path: &str) -> Result<Vec<Step>> {
    let mut rest = path.strip_prefix('$').ok_or_else(malformed)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(item) = rest.strip_prefix('[') {
            let (number, behind) = item.split_once(']').ok_or_else(malformed)?;
            steps.push(Step::Item(number.trim().parse().map_err(|_| malformed())?));
            rest = behind;
            continue;
        }
        let key = rest.strip_prefix('.').ok_or_else(malformed)?;
        let length = if key.starts_with('"') {
            quoted_length(key)?
        } else {
            key.find(['.', '[']).unwrap_or(key.len())
        };
        let (key, behind) = key.split_at_checked(length).ok_or_else(malformed)?;
        let key = if key.starts_with('"') {
            serde_json::from_str(key).map_err(|_| malformed())?
        } else {
            key.to_owned()
        };
        steps.push(Step::Key(key));
        rest = behind;
    }
    Ok(steps)
}

/// How long a text in quotes is, with its quotes.
fn quoted_length(text: &str) -> Result<usize> {
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            '"' if !is_escaped => return Ok(at + 1),
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    Err(malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(operation: u8, path: &str, value: &[u8]) -> Vec<u8> {
        let mut bytes = vec![operation, u8::try_from(path.len()).unwrap()];
        bytes.extend(path.as_bytes());
        if operation != 2 {
            bytes.push(u8::try_from(value.len()).unwrap());
            bytes.extend(value);
        }
        bytes
    }

    #[test]
    fn changes_of_documents_are_made_at_their_places() {
        let document = |text: &str| column_from_json_text(text.as_bytes()).unwrap();
        let seven = [5, 7, 0];
        for (before, changes, after) in [
            (r#"{"a": 1, "b": [1, 2]}"#, diff(0, "$.a", &seven), r#"{"a": 7, "b": [1, 2]}"#),
            (r#"{"a": 1, "b": [1, 2]}"#, diff(1, "$.b[1]", &seven), r#"{"a": 1, "b": [1, 7, 2]}"#),
            (r#"{"a": 1, "b": [1, 2]}"#, diff(2, "$.b[0]", &[]), r#"{"a": 1, "b": [2]}"#),
            (r#"{"a": 1, "b": 2}"#, diff(2, "$.a", &[]), r#"{"b": 2}"#),
            (r#"{"a.b": {"c\"": 1}}"#, diff(0, r#"$."a.b"."c\"""#, &seven), r#"{"a.b": {"c\"": 7}}"#),
            (r#"[1]"#, [diff(1, "$[9]", &seven), diff(0, "$[0]", &seven)].concat(), "[7, 7]"),
        ] {
            assert_eq!(changed(document(before), &changes).unwrap(), document(after), "{before}");
        }
        assert!(changed(document("{}"), &diff(0, "$.a.b", &seven)).is_err());
        assert!(changed(document("{}"), &diff(0, "a", &seven)).is_err());
    }
}
