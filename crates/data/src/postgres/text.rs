//! Values from the text form in which PostgreSQL sends them.

use bytes::Bytes;

use super::decode;
use super::types::column_type;
use crate::error::{Error, ErrorKind, Result};
use crate::rows::Cell;
use crate::table::ColumnType;
use crate::value::{Timestamp, Value, document_from_json_text, is_plain_json, json_text};

/// The value of a cell, by the oid of its type. Types that have no value of their own here, and text that is not
/// understood, stay text.
pub(super) fn decode_text(oid: u32, text: &str) -> Value {
    match element_type(oid) {
        Some(element) => ArrayText::of(text).read(&|item| Some(decode_text(element, item))),
        None => scalar(oid, text),
    }
    .unwrap_or_else(|| Value::Text(text.to_owned()))
}

/// As [`decode_text`], for the types that entities are mostly made of, where the text needs no copy.
pub(super) fn plain_cell<'a>(column_type: &ColumnType, text: &'a str) -> Option<Cell<'a>> {
    match column_type {
        ColumnType::Bool => Some(Cell::Bool(text == "t")),
        ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 => text.parse().ok().map(Cell::Integer),
        ColumnType::Float32 | ColumnType::Float64 => text.parse().ok().map(Cell::Float),
        ColumnType::Decimal(_) => Some(Cell::Decimal(text)),
        ColumnType::Timestamp { .. } => timestamp(text).map(Cell::Timestamp),
        ColumnType::Json => is_plain_json(text).then_some(Cell::Json(text)),
        ColumnType::Text(_) | ColumnType::Uuid => Some(Cell::Text(text)),
        _ => None,
    }
}

/// The list that an array literal stands for, its items as text.
pub(crate) fn array_literal(text: &str) -> Option<Value> {
    let as_text = |item: &str| Some(Value::Text(item.to_owned()));
    text.starts_with(['{', '[']).then(|| ArrayText::of(text).read(&as_text)).flatten()
}

/// A list of a primary key: the same as [`decode_list_key`](super::decode::decode_list_key) gives of the binary form.
///
/// # Errors
/// As [`decode_column_text`].
pub(super) fn decode_list_key_text(column_type: &ColumnType, text: &str) -> Result<Value> {
    let value = decode_column_text(column_type, text)?;
    Ok(match text.split_once('=').filter(|_| text.starts_with('[')) {
        Some((bounds, _)) => Value::Text(format!("{bounds}={}", json_text(&value))),
        None => value,
    })
}

/// A value of a column of this type: the same as [`decode`](super::decode::decode) gives of the binary form, or of what
/// [`selected`](super::types::selected) makes of the column.
///
/// # Errors
/// [`ErrorKind::Internal`] if it is malformed; [`ErrorKind::Value`] if it is JSON that cannot be read.
pub(super) fn decode_column_text(column_type: &ColumnType, text: &str) -> Result<Value> {
    let malformed = || Error::new(ErrorKind::Internal, "the server sent a value in a form unknown to us");
    match column_type {
        ColumnType::Bool => match text {
            "t" => Some(Value::Bool(true)),
            "f" => Some(Value::Bool(false)),
            _ => None,
        },
        ColumnType::Int16 | ColumnType::Int32 => text.parse().ok().map(Value::Int32),
        ColumnType::Int64 => text.parse().ok().map(Value::Int64),
        // The server does not always write the fewest digits.
        ColumnType::Float32 => text.parse().ok().map(decode::single_as_double).map(Value::Float),
        ColumnType::Float64 => text.parse().ok().map(Value::Float),
        ColumnType::Decimal(_) => Some(Value::Decimal(text.into())),
        ColumnType::Timestamp { .. } => timestamp(text).map(Value::Timestamp),
        ColumnType::Json | ColumnType::Rest => return decode::json(text.as_bytes()),
        ColumnType::Bytes => hex(text).map(Value::Bytes),
        ColumnType::Array(element) => {
            let mut array = ArrayText::of(text);
            if **element == ColumnType::Native("box".to_owned()) {
                array.separator = ';';
            }
            array.read(&|item| decode_column_text(element, item).ok())
        }
        ColumnType::Uuid
        | ColumnType::Text(_)
        | ColumnType::Date
        | ColumnType::Time
        | ColumnType::Interval
        | ColumnType::Native(_)
        | ColumnType::ObjectId
        | ColumnType::Any => Some(Value::Text(text.to_owned())),
    }
    .ok_or_else(malformed)
}

fn scalar(oid: u32, text: &str) -> Option<Value> {
    match column_type(oid, -1, "") {
        ColumnType::Bool => Some(Value::Bool(text == "t")),
        ColumnType::Int16 | ColumnType::Int32 => text.parse().ok().map(Value::Int32),
        ColumnType::Int64 => text.parse().ok().map(Value::Int64),
        ColumnType::Float32 | ColumnType::Float64 => text.parse().ok().map(Value::Float),
        ColumnType::Decimal(_) => Some(Value::Decimal(text.into())),
        ColumnType::Timestamp { .. } => timestamp(text).map(Value::Timestamp),
        ColumnType::Json => document_from_json_text(text.as_bytes()).ok(),
        ColumnType::Bytes => hex(text).map(Value::Bytes),
        _ => None,
    }
}

/// The element type of PostgreSQL's own array types, by their oids in `pg_type.dat`.
fn element_type(oid: u32) -> Option<u32> {
    Some(match oid {
        199 => 114,
        1000 => 16,
        1001 => 17,
        1003 => 19,
        1005 => 21,
        1007 => 23,
        1009 => 25,
        1014 => 1042,
        1015 => 1043,
        1016 => 20,
        1021 => 700,
        1022 => 701,
        1115 => 1114,
        1182 => 1082,
        1183 => 1083,
        1185 => 1184,
        1187 => 1186,
        1231 => 1700,
        2951 => 2950,
        3807 => 3802,
        _ => return None,
    })
}

/// A moment in style ISO: the year has as many digits as it needs, and `BC` stands at the end.
fn timestamp(text: &str) -> Option<Timestamp> {
    match text {
        "infinity" => return Some(Timestamp::INFINITY),
        "-infinity" => return Some(Timestamp::NEG_INFINITY),
        _ => {}
    }
    let (text, before_christ) = text.strip_suffix(" BC").map_or((text, false), |text| (text, true));
    let (year, rest) = text.split_once('-')?;
    if year.len() == 4 && !before_christ {
        return Timestamp::parse_iso(text);
    }
    let year: i64 = year.parse().ok()?;
    let year = if before_christ { 1 - year } else { year };
    let sign = if year < 0 { '-' } else { '+' };
    Timestamp::parse_iso(&format!("{sign}{:06}-{rest}", year.abs()))
}

fn hex(text: &str) -> Option<Bytes> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|nibble| u8::try_from(nibble).ok());
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
            _ => None,
        })
        .collect::<Option<Vec<u8>>>()
        .map(Bytes::from)
}

/// Reads an item of an array.
type ReadItem<'a> = dyn Fn(&str) -> Option<Value> + 'a;

/// An array literal, and what of it is left to read.
struct ArrayText<'a> {
    rest: &'a str,
    /// What stands between items: a comma, but for boxes.
    separator: char,
}

impl<'a> ArrayText<'a> {
    fn of(text: &'a str) -> Self {
        Self { rest: text, separator: ',' }
    }

    fn read(mut self, item: &ReadItem<'_>) -> Option<Value> {
        // Lower bounds other than 1 stand before, as in `[0:1]={a,b}`.
        if self.rest.starts_with('[') {
            self.rest = self.rest.split_once('=')?.1;
        }
        let array = self.array(item)?;
        self.rest.is_empty().then_some(array)
    }

    fn array(&mut self, item: &ReadItem<'_>) -> Option<Value> {
        self.take('{')?;
        let mut items = Vec::new();
        if self.take('}').is_some() {
            return Some(Value::Array(items));
        }
        loop {
            items.push(self.item(item)?);
            if self.take('}').is_some() {
                return Some(Value::Array(items));
            }
            self.take(self.separator)?;
        }
    }

    fn item(&mut self, item: &ReadItem<'_>) -> Option<Value> {
        match self.rest.as_bytes().first()? {
            b'{' => self.array(item),
            b'"' => {
                let text = self.quoted()?;
                item(&text)
            }
            _ => {
                let end = self.rest.find([self.separator, '}'])?;
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                if text == "NULL" { Some(Value::Null) } else { item(text) }
            }
        }
    }

    fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = self.rest.get(at + 1..)?;
                    return Some(text);
                }
                '\\' => text.push(characters.next()?.1),
                character => text.push(character),
            }
        }
        None
    }

    fn take(&mut self, character: char) -> Option<()> {
        self.rest = self.rest.strip_prefix(character)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_read_with_quotes_nulls_and_dimensions() {
        let text = Value::from;
        assert_eq!(
            decode_text(1009, r#"{a,"b,\"c\\","NULL",NULL}"#),
            Value::Array(vec![text("a"), text("b,\"c\\"), text("NULL"), Value::Null])
        );
        let row = |a, b| Value::Array(vec![Value::Int32(a), Value::Int32(b)]);
        assert_eq!(decode_text(1007, "[0:1][1:2]={{1,2},{3,4}}"), Value::Array(vec![row(1, 2), row(3, 4)]));
        assert_eq!(decode_text(1007, "{}"), Value::Array(Vec::new()));
        assert_eq!(decode_text(1007, "{1,2"), text("{1,2"));
    }

    #[test]
    fn moments_of_every_era_are_read() {
        for (text, iso) in [
            ("2024-02-29 12:00:00.5+00", "2024-02-29T12:00:00.500Z"),
            ("2024-02-29 12:00:00", "2024-02-29T12:00:00.000Z"),
            ("0044-03-15 00:00:00+00 BC", "-000043-03-15T00:00:00.000Z"),
            ("0001-01-01 00:00:00+00 BC", "0000-01-01T00:00:00.000Z"),
            ("294246-12-31 23:59:59.999999+00", "+294246-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(timestamp(text).map(Timestamp::to_iso).as_deref(), Some(iso), "{text}");
        }
        assert_eq!(decode_text(1184, "-infinity"), Value::Timestamp(Timestamp::NEG_INFINITY));
    }

    #[test]
    fn bytes_come_as_hexadecimal() {
        assert_eq!(decode_text(17, "\\x00ff10"), Value::Bytes(Bytes::from_static(&[0, 255, 16])));
        assert_eq!(decode_text(17, "\\x0"), Value::from("\\x0"));
    }
}
