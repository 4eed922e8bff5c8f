//! Values from the binary form in which PostgreSQL sends them (the send functions of each type).

use std::borrow::Cow;

use bytes::Bytes;

use super::json_numbers::plain_numbers;
use super::numeric::decimal_text;
use crate::error::{Error, ErrorKind, Result};
use crate::table::{ColumnType, Row, Table};
use crate::value::{Timestamp, Value, civil_from_days, column_from_json_text, json_text};

/// PostgreSQL counts from 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;
const EPOCH_MICROS: i64 = EPOCH_DAYS * 86_400_000_000;

/// Decodes tuples of the binary COPY format without header and trailer, read by the selection of
/// [`selected`](super::types::selected).
///
/// # Errors
/// [`ErrorKind::Internal`] if they are malformed.
pub(crate) fn decode_tuples(table: &Table, tuples: &Bytes) -> Result<Vec<Row>> {
    let mut reader = Reader(tuples);
    let mut rows = Vec::new();
    while !reader.0.is_empty() {
        let fields = reader.i16()?;
        if usize::try_from(fields) != Ok(table.columns.len()) {
            return Err(malformed());
        }
        let mut row = Vec::with_capacity(table.columns.len());
        for (position, column) in table.columns.iter().enumerate() {
            row.push(match reader.field()? {
                None => Value::Null,
                Some(field) if is_list_key(table, position) => decode_list_key(&column.column_type, field)?,
                Some(field) => decode(&column.column_type, field)?,
            });
        }
        rows.push(row);
    }
    Ok(rows)
}

/// One value of a column of this type, selected by [`selected`](super::types::selected).
///
/// # Errors
/// [`ErrorKind::Internal`] if it is malformed.
pub(super) fn decode(column_type: &ColumnType, field: &[u8]) -> Result<Value> {
    let mut reader = Reader(field);
    Ok(match column_type {
        ColumnType::Bool => Value::Bool(reader.u8()? != 0),
        ColumnType::Int16 => Value::Int32(reader.i16()?.into()),
        ColumnType::Int32 => Value::Int32(reader.i32()?),
        ColumnType::Int64 => Value::Int64(reader.i64()?),
        ColumnType::Float32 => Value::Float(single_as_double(f32::from_bits(reader.u32()?))),
        ColumnType::Float64 => Value::Float(f64::from_bits(reader.u64()?)),
        ColumnType::Decimal(_) => Value::Decimal(decimal_text(field).ok_or_else(malformed)?.into()),
        ColumnType::Uuid => Value::Text(uuid::Uuid::from_slice(field).map_err(|_| malformed())?.to_string()),
        ColumnType::Timestamp { .. } => Value::Timestamp(timestamp(reader.i64()?)),
        ColumnType::Date => Value::Text(date_text(reader.i32()?)),
        ColumnType::Time => Value::Text(time_text(reader.i64()?)),
        ColumnType::Json | ColumnType::Rest => json(field)?,
        ColumnType::Array(element) => array(element, &mut reader)?,
        ColumnType::Bytes => Value::Bytes(Bytes::copy_from_slice(field)),
        ColumnType::Text(_)
        | ColumnType::Interval
        | ColumnType::Native(_)
        | ColumnType::ObjectId
        | ColumnType::Any => Value::Text(text(field)?),
    })
}

/// Whether a column is a list in a primary key.
pub(super) fn is_list_key(table: &Table, position: usize) -> bool {
    let column = table.columns.get(position);
    column.is_some_and(|column| matches!(column.column_type, ColumnType::Array(_)))
        && table.key.contains(&position)
}

/// A list of a primary key. With lower bounds other than 1 it is another key than without, so that it stays a text with the bounds, which
/// no column of lists takes.
pub(super) fn decode_list_key(column_type: &ColumnType, field: &[u8]) -> Result<Value> {
    let value = decode(column_type, field)?;
    let mut reader = Reader(field);
    let dimensions = reader.i32()?;
    reader.i32()?;
    reader.i32()?;
    let (mut bounds, mut is_plain) = (String::new(), true);
    for _ in 0..dimensions {
        let (length, lower) = (reader.i32()?, reader.i32()?);
        is_plain &= lower == 1;
        bounds.push_str(&format!("[{lower}:{}]", i64::from(lower) + i64::from(length) - 1));
    }
    Ok(if is_plain { value } else { Value::Text(format!("{bounds}={}", json_text(&value))) })
}

/// The double with the same shortest decimal, so that 0.1 stays 0.1.
pub(super) fn single_as_double(single: f32) -> f64 {
    if single.is_finite() {
        single.to_string().parse().unwrap_or_else(|_| f64::from(single))
    } else {
        single.into()
    }
}

pub(super) fn timestamp(micros: i64) -> Timestamp {
    match micros {
        i64::MAX => Timestamp::INFINITY,
        i64::MIN => Timestamp::NEG_INFINITY,
        micros => Timestamp(micros.saturating_add(EPOCH_MICROS)),
    }
}

/// As `DateStyle` ISO writes it, with `BC` for years before 1.
pub(super) fn date_text(days: i32) -> String {
    match days {
        i32::MAX => return "infinity".to_owned(),
        i32::MIN => return "-infinity".to_owned(),
        _ => {}
    }
    let (year, month, day) = civil_from_days(i64::from(days) + EPOCH_DAYS);
    if year > 0 {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{:04}-{month:02}-{day:02} BC", 1 - year)
    }
}

pub(super) fn time_text(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    let text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    match micros % 1_000_000 {
        0 => text,
        fraction => format!("{text}.{}", format!("{fraction:06}").trim_end_matches('0')),
    }
}

/// `jsonb` has its version before the text, `json` nothing. The latter comes out as it would after a cast to `jsonb`.
pub(super) fn json(field: &[u8]) -> Result<Value> {
    let text = match field.strip_prefix(&[1]) {
        Some(text) => Cow::Borrowed(text),
        None => plain_numbers(field),
    };
    // PostgreSQL holds numbers and depths that serde_json does not read; that is the value's fault, not the server's.
    column_from_json_text(&text)
        .map_err(|error| Error::new(ErrorKind::Value, format!("a JSON value cannot be read: {error}")))
}

/// Dimensions, a flag, the element's oid, length and lower bound of each dimension, then the elements.
fn array(element: &ColumnType, reader: &mut Reader<'_>) -> Result<Value> {
    let dimensions = reader.i32()?;
    reader.i32()?;
    reader.i32()?;
    if !(0..=6).contains(&dimensions) {
        return Err(malformed());
    }
    let mut lengths = Vec::new();
    for _ in 0..dimensions {
        lengths.push(usize::try_from(reader.i32()?).map_err(|_| malformed())?);
        reader.i32()?;
    }
    match lengths.as_slice() {
        [] => Ok(Value::Array(Vec::new())),
        lengths => dimension(element, lengths, reader),
    }
}

fn dimension(element: &ColumnType, lengths: &[usize], reader: &mut Reader<'_>) -> Result<Value> {
    let Some((length, inner)) = lengths.split_first() else {
        return reader.field()?.map_or(Ok(Value::Null), |field| decode(element, field));
    };
    // Each element takes four bytes at the least, so that a false length cannot make us reserve much.
    let mut items = Vec::with_capacity((*length).min(reader.0.len() / 4));
    for _ in 0..*length {
        items.push(dimension(element, inner, reader)?);
    }
    Ok(Value::Array(items))
}

fn text(field: &[u8]) -> Result<String> {
    std::str::from_utf8(field).map(str::to_owned).map_err(|_| malformed())
}

fn malformed() -> Error {
    Error::new(ErrorKind::Internal, "the server sent a value in a form unknown to us")
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>().ok_or_else(malformed)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn u8(&mut self) -> Result<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn i16(&mut self) -> Result<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64> {
        self.take().map(i64::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.take().map(u64::from_be_bytes)
    }

    /// A length and as many bytes; -1 is NULL.
    fn field(&mut self) -> Result<Option<&'a [u8]>> {
        let length = self.i32()?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| malformed())?;
        let (field, rest) = self.0.split_at_checked(length).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(Some(field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_read_as_the_server_writes_them() {
        assert_eq!(date_text(0), "2000-01-01");
        assert_eq!(date_text(-730_119), "0001-01-01");
        assert_eq!(date_text(-730_120), "0001-12-31 BC");
        assert_eq!(date_text(i32::MAX), "infinity");
        assert_eq!(time_text(45_296_000_000), "12:34:56");
        assert_eq!(time_text(86_399_120_000), "23:59:59.12");
    }

    #[test]
    fn a_single_keeps_its_shortest_decimal() {
        assert_eq!(decode(&ColumnType::Float32, &0.1f32.to_be_bytes()).unwrap(), Value::Float(0.1));
    }

    #[test]
    fn a_field_cut_short_is_an_error() {
        for column_type in
            [ColumnType::Int32, ColumnType::Uuid, ColumnType::Array(Box::new(ColumnType::Int32))]
        {
            assert!(decode(&column_type, &[0, 0]).is_err());
        }
    }
}
