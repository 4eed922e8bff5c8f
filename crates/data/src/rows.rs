//! The rows of a read on their way out: handed over cell by cell, each borrowed from where the driver holds it.

use crate::error::Result;
use crate::record::Record;
use crate::value::{Timestamp, Value, value_from_json_text};

/// One value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// SQL NULL, or a missing or null field.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A double.
    Float(f64),
    /// An exact decimal, as [`Value::Decimal`] has it.
    Decimal(&'a str),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A moment.
    Timestamp(Timestamp),
    /// A well-formed JSON text whose numbers doubles hold exactly, and in which no name begins with `$$`.
    Json(&'a str),
    /// Any value.
    Value(&'a Value),
}

impl Cell<'_> {
    /// The value by itself.
    pub fn to_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(flag),
            Self::Integer(number) => i32::try_from(number).map_or(Value::Int64(number), Value::Int32),
            Self::Float(number) => Value::Float(number),
            Self::Decimal(text) => Value::Decimal(text.into()),
            Self::Text(text) => Value::Text(text.to_owned()),
            Self::Bytes(bytes) => Value::Bytes(bytes.to_vec().into()),
            Self::Timestamp(moment) => Value::Timestamp(moment),
            // It is well-formed, so that it is never shown as text.
            Self::Json(text) => {
                value_from_json_text(text.as_bytes()).unwrap_or_else(|_| Value::Text(text.to_owned()))
            }
            Self::Value(value) => value.clone(),
        }
    }
}

impl<'a> From<&'a Value> for Cell<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Int32(number) => Self::Integer(i64::from(*number)),
            Value::Int64(number) => Self::Integer(*number),
            Value::Float(number) => Self::Float(*number),
            Value::Decimal(text) => Self::Decimal(text),
            Value::Text(text) => Self::Text(text),
            Value::Bytes(bytes) => Self::Bytes(bytes),
            Value::Timestamp(moment) => Self::Timestamp(*moment),
            Value::JsonNull | Value::ObjectId(_) | Value::Array(_) | Value::Object(_) => Self::Value(value),
        }
    }
}

/// Takes rows that have the same columns.
pub trait CellSink: Send {
    /// Names the columns of the rows that follow, each once. It comes before the first row, also where there is none,
    /// and again when the columns change.
    ///
    /// # Errors
    /// Nobody wants the rows any more.
    fn columns(&mut self, names: &[&str]) -> Result<()>;

    /// Takes the next cell of the row, in the order of the columns.
    fn cell(&mut self, cell: Cell<'_>);

    /// Ends a row, which has had as many cells as there are columns.
    ///
    /// # Errors
    /// Nobody wants the rows any more.
    fn end_row(&mut self) -> Result<()>;
}

/// Takes the rows of a read.
pub trait RowSink: CellSink {
    /// Takes a row that has fields of its own.
    ///
    /// # Errors
    /// Nobody wants the rows any more.
    fn record(&mut self, record: Record) -> Result<()>;
}
