//! Values on their way into SQLite, and back out by storage class.

use bytes::Bytes;
use sqlx::sqlite::{SqliteArguments, SqliteRow, SqliteValueRef};
use sqlx::{Arguments, Decode, Row, Sqlite, TypeInfo, ValueRef};

use super::error::sqlite_error;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Fetched;
use crate::table::{self, ColumnType, Table};
use crate::value::{Timestamp, Value, column_from_json_text, json_text};

/// The parameters of a statement.
pub(super) fn arguments<'a>(params: impl IntoIterator<Item = &'a Value>) -> Result<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    for param in params {
        add(&mut arguments, param)
            .map_err(|error| Error::new(ErrorKind::Value, format!("a parameter cannot be bound: {error}")))?;
    }
    Ok(arguments)
}

fn add(arguments: &mut SqliteArguments, value: &Value) -> Result<(), sqlx::error::BoxDynError> {
    match value {
        Value::Null => arguments.add(Option::<i32>::None),
        Value::Bool(flag) => arguments.add(i32::from(*flag)),
        Value::Int32(number) => arguments.add(*number),
        Value::Int64(number) => arguments.add(*number),
        Value::Float(number) => arguments.add(*number),
        Value::Decimal(text) => arguments.add(text.as_ref()),
        Value::Text(text) => arguments.add(text.as_str()),
        Value::Bytes(bytes) => arguments.add(bytes.as_ref()),
        Value::Timestamp(moment) => arguments.add(moment.to_iso()),
        Value::ObjectId(id) => arguments.add(id.to_string()),
        Value::JsonNull | Value::Array(_) | Value::Object(_) => arguments.add(json_text(value)),
    }
}

/// Rows by storage class.
pub(super) fn fetched(rows: &[SqliteRow]) -> Result<Fetched> {
    use sqlx::Column;
    let Some(first) = rows.first() else { return Ok(Fetched::default()) };
    let columns = first.columns().iter().map(|column| column.name().to_owned()).collect();
    let rows =
        rows.iter().map(|row| (0..row.len()).map(|i| cell(row, i)).collect()).collect::<Result<_>>()?;
    Ok(Fetched { columns, rows })
}

fn cell(row: &SqliteRow, index: usize) -> Result<Value> {
    Ok(match by_storage_class(row, index)? {
        Value::Int64(number) => narrow(number),
        value => value,
    })
}

/// An integer as the smaller of the two types that hold it.
pub(super) fn narrow(number: i64) -> Value {
    i32::try_from(number).map_or(Value::Int64(number), Value::Int32)
}

/// A cell by its storage class; integers are always 64 bits wide.
pub(super) fn by_storage_class(row: &SqliteRow, index: usize) -> Result<Value> {
    let raw = row.try_get_raw(index).map_err(sqlite_error)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let class = raw.type_info();
    match class.name() {
        "INTEGER" => decode::<i64>(raw).map(Value::Int64),
        "REAL" => decode::<f64>(raw).map(Value::Float),
        "TEXT" => match row.try_get_raw(index).map_err(sqlite_error).and_then(decode::<String>) {
            Ok(text) => Ok(Value::Text(text)),
            // SQLite does not check its text; what is no UTF-8 is shown as the bytes it is.
            Err(_) => decode::<Vec<u8>>(raw).map(|bytes| Value::Bytes(Bytes::from(bytes))),
        },
        _ => decode::<Vec<u8>>(raw).map(|bytes| Value::Bytes(Bytes::from(bytes))),
    }
}

fn decode<'r, T: Decode<'r, Sqlite>>(raw: SqliteValueRef<'r>) -> Result<T> {
    T::decode(raw)
        .map_err(|error| Error::new(ErrorKind::Value, format!("a stored value cannot be read: {error}")))
}

/// A stored value as its column declares it. What does not fit stays as it is: SQLite lets any column hold anything,
/// and whoever coerces it later reports the row.
pub(super) fn as_declared(column_type: &ColumnType, value: Value) -> Value {
    match (column_type, value) {
        (ColumnType::Bool, Value::Int64(number @ (0 | 1))) => Value::Bool(number == 1),
        (ColumnType::Timestamp { .. }, Value::Text(text)) => match parse_moment(&text) {
            Some(moment) => Value::Timestamp(moment),
            None => Value::Text(text),
        },
        (ColumnType::Json | ColumnType::Array(_), Value::Text(text)) => {
            match column_from_json_text(text.as_bytes()) {
                Ok(json) => json,
                Err(_) => Value::Text(text),
            }
        }
        (ColumnType::Int16 | ColumnType::Int32, Value::Int64(number)) => {
            i32::try_from(number).map_or(Value::Int64(number), Value::Int32)
        }
        (ColumnType::Decimal(_), Value::Text(text)) => Value::Decimal(text.into()),
        // A whole number in a REAL column may be stored as an integer.
        (ColumnType::Float64 | ColumnType::Float32, Value::Int64(number)) => {
            crate::sql::restore_number(Value::Int64(number))
        }
        (_, value) => value,
    }
}

/// A stored value of a key as its column declares it. A moment that is written otherwise than we would write it stays the text by which
/// its row is found.
pub(super) fn key_as_declared(column_type: &ColumnType, value: Value) -> Value {
    match (column_type, value) {
        (ColumnType::Timestamp { .. }, Value::Text(text)) => match parse_moment(&text) {
            Some(moment) if moment.to_iso() == text => Value::Timestamp(moment),
            _ => Value::Text(text),
        },
        (column_type, value) => as_declared(column_type, value),
    }
}

/// The values of a row as its table declares them.
pub(super) fn row_as_declared(table: &Table, values: impl IntoIterator<Item = Value>) -> table::Row {
    let typed = table.columns.iter().zip(values).enumerate();
    typed
        .map(|(position, (column, value))| match table.key.contains(&position) {
            true => key_as_declared(&column.column_type, value),
            false => as_declared(&column.column_type, value),
        })
        .collect()
}

/// A moment as we write it, which includes PostgreSQL's infinities.
pub(super) fn parse_moment(text: &str) -> Option<Timestamp> {
    match text {
        "infinity" => Some(Timestamp::INFINITY),
        "-infinity" => Some(Timestamp::NEG_INFINITY),
        iso => Timestamp::parse_iso(iso),
    }
}
