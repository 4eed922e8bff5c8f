//! The type of a column that nothing declares, found from its values.

use super::cell::{Raw, bytes, number};
use crate::table::ColumnType;
use crate::value::{Timestamp, Value, value_from_json_text};

/// What the values of a column have been.
#[derive(Debug, Clone, Default)]
pub(super) struct Guess {
    kinds: Vec<Kind>,
    /// Whether a value had a type of its own, so that values of different types can be told apart.
    typed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Integer,
    Number,
    Decimal,
    Moment,
    Json,
    Bytes,
    Text,
}

impl Guess {
    /// Takes a value into account.
    pub(super) fn add(&mut self, raw: &Raw) {
        let kind = match raw {
            Raw::Null | Raw::Plain(Value::Null) => return,
            // Once a cell was text, the others cannot change that.
            Raw::Cell(_) if self.kinds.contains(&Kind::Text) => return,
            Raw::Cell(text) => kind_of_text(text),
            Raw::Plain(value) => {
                self.typed = true;
                kind_of_value(value)
            }
        };
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
        }
    }

    /// The one type that holds all the values as they are.
    pub(super) fn column_type(&self) -> ColumnType {
        let only = |allowed: &[Kind]| self.kinds.iter().all(|kind| allowed.contains(kind));
        match self.kinds.as_slice() {
            [] | [Kind::Text] => ColumnType::Text(None),
            [Kind::Bool] => ColumnType::Bool,
            [Kind::Integer] => ColumnType::Int64,
            [Kind::Moment] => ColumnType::Timestamp { zoned: true },
            [Kind::Json] => ColumnType::Json,
            [Kind::Bytes] => ColumnType::Bytes,
            _ if only(&[Kind::Integer, Kind::Number]) => ColumnType::Float64,
            _ if only(&[Kind::Integer, Kind::Number, Kind::Decimal]) => ColumnType::Decimal(None),
            _ if !self.typed || only(&[Kind::Text, Kind::Moment, Kind::Bytes]) => ColumnType::Text(None),
            _ => ColumnType::Any,
        }
    }
}

fn kind_of_value(value: &Value) -> Kind {
    match value {
        Value::Bool(_) => Kind::Bool,
        Value::Int32(_) | Value::Int64(_) => Kind::Integer,
        Value::Float(_) => Kind::Number,
        Value::Decimal(_) => Kind::Decimal,
        Value::Timestamp(_) => Kind::Moment,
        Value::Bytes(_) => Kind::Bytes,
        Value::Array(_) | Value::Object(_) => Kind::Json,
        Value::Text(text) => special_text(text).unwrap_or(Kind::Text),
        Value::Null | Value::JsonNull | Value::ObjectId(_) => Kind::Text,
    }
}

/// Only text that would come back as it was counts as another type: 007 is no number.
fn kind_of_text(text: &str) -> Kind {
    if text == "true" || text == "false" {
        return Kind::Bool;
    }
    if text.parse::<i64>().is_ok_and(|number| number.to_string() == text) {
        return Kind::Integer;
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let looks_numeric = match digits.as_bytes() {
        [b'0', b'.', ..] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')),
        _ => false,
    };
    if looks_numeric {
        match number(text) {
            Some(Value::Float(_)) => return Kind::Number,
            Some(_) => return Kind::Decimal,
            None => {}
        }
    }
    let is_document = text.starts_with(['{', '[']) && value_from_json_text(text.as_bytes()).is_ok();
    if is_document { Kind::Json } else { special_text(text).unwrap_or(Kind::Text) }
}

/// What a text has to be in JSON too: a moment as JavaScript writes it, and bytes behind their prefix.
fn special_text(text: &str) -> Option<Kind> {
    let is_moment =
        text.ends_with('Z') && Timestamp::parse_iso(text).is_some_and(|moment| moment.to_iso() == text);
    if is_moment {
        return Some(Kind::Moment);
    }
    (text.starts_with(super::cell::BASE64) && bytes(text).is_some()).then_some(Kind::Bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(cells: &[&str]) -> ColumnType {
        let mut guess = Guess::default();
        cells.iter().for_each(|cell| guess.add(&Raw::Cell((*cell).to_owned())));
        guess.column_type()
    }

    #[test]
    fn cells_have_the_narrowest_type_that_gives_them_back() {
        assert_eq!(guessed(&["1", "-20"]), ColumnType::Int64);
        assert_eq!(guessed(&["1", "2.5", "1e300"]), ColumnType::Float64);
        assert_eq!(guessed(&["1", "0.12345678901234567891"]), ColumnType::Decimal(None));
        assert_eq!(guessed(&["true", "false"]), ColumnType::Bool);
        assert_eq!(guessed(&["2024-01-01T00:00:00.000Z"]), ColumnType::Timestamp { zoned: true });
        assert_eq!(guessed(&["{\"a\":1}", "[]"]), ColumnType::Json);
        assert_eq!(guessed(&["base64:AA=="]), ColumnType::Bytes);
    }

    #[test]
    fn cells_that_would_come_back_otherwise_are_text() {
        for cells in [
            &["007"][..],
            &["+1"],
            &["2024-01-01"],
            &["1", "x"],
            &["{oops"],
            &["NaN"],
            &[".5"],
            &["true", "1"],
        ] {
            assert_eq!(guessed(cells), ColumnType::Text(None), "{cells:?}");
        }
    }

    #[test]
    fn values_of_several_types_stay_apart() {
        let mut guess = Guess::default();
        guess.add(&Raw::Plain(Value::Int32(1)));
        guess.add(&Raw::Plain(Value::from("1")));
        assert_eq!(guess.column_type(), ColumnType::Any);
    }
}
