//! A database value, independent of any database.

mod compact;
mod compare;
mod decimal;
mod json;
mod object_id;
mod order;
mod plain_json;
mod render;
mod timestamp;

pub(crate) use compact::append_compact_json;
pub use decimal::normal_decimal;
pub(crate) use decimal::{fits_precision, order_decimals};
pub(crate) use json::{column_from_json_text, document_from_json_text, value_from_json_text};
pub use object_id::ObjectId;
pub(crate) use plain_json::is_plain_json;
pub use render::{json_from_value, json_text, plain_value, value_from_json};
pub use timestamp::Timestamp;
pub(crate) use timestamp::{civil_from_days, days_from_civil};

use bytes::Bytes;
use indexmap::IndexMap;

/// A document: names to values, in the order they were given.
pub type Object = IndexMap<String, Value>;

/// One value of a row or document.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// SQL NULL, or a missing or null field.
    #[default]
    Null,
    /// The null of JSON where it is the whole value of a column, which is not NULL then. Within documents it is
    /// [`Null`](Self::Null).
    JsonNull,
    /// True or false.
    Bool(bool),
    /// An integer of at most 32 bits.
    Int32(i32),
    /// An integer of at most 64 bits.
    Int64(i64),
    /// A double, with NaN and both infinities.
    Float(f64),
    /// An exact decimal in plain or scientific notation, also `NaN` and `Infinity`.
    Decimal(Box<str>),
    /// Text. Also dates without time, times, intervals, UUIDs and types unknown to us, in PostgreSQL's notation.
    Text(String),
    /// Bytes.
    Bytes(Bytes),
    /// A moment, in microseconds.
    Timestamp(Timestamp),
    /// A MongoDB object id.
    ObjectId(ObjectId),
    /// A list.
    Array(Vec<Value>),
    /// A JSON object or a document.
    Object(Box<Object>),
}

impl Value {
    /// Whether this is [`Value::Null`].
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text of a [`Value::Text`].
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// An object of these entries.
    pub fn object<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Object(Box::new(entries.into_iter().map(|(key, value)| (key.into(), value)).collect()))
    }

    /// The name of the variant, for messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::JsonNull => "JSON null",
            Self::Bool(_) => "boolean",
            Self::Int32(_) | Self::Int64(_) => "integer",
            Self::Float(_) => "number",
            Self::Decimal(_) => "decimal",
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Timestamp(_) => "date",
            Self::ObjectId(_) => "object id",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// The value as a double where it is a number that a double holds exactly enough (integers beyond 2^53 round).
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int32(number) => Some(f64::from(*number)),
            #[expect(clippy::cast_precision_loss, reason = "documented: integers beyond 2^53 round")]
            Self::Int64(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Decimal(text) => text.parse().ok(),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Int32(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int64(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
