//! The values of fields as these servers keep them, and back.

use std::fmt::Display;

use super::parameters::datetime_text;
use super::server::ServerKind;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::FieldType;
use crate::sql::{restore_json, restore_number, store_json, store_number};
use crate::value::{Timestamp, Value};

/// How deep a document may be nested.
const MARIADB_JSON_DEPTH: usize = 31;
const MYSQL_JSON_DEPTH: usize = 100;

/// The form in which a field of this type is bound.
///
/// # Errors
/// [`ErrorKind::Value`] for what a server cannot hold, naming the place.
pub(super) fn store(
    server: ServerKind,
    place: &dyn Display,
    field_type: FieldType,
    value: Value,
) -> Result<Value> {
    let refuse = |what: &str| Err(Error::new(ErrorKind::Value, format!("{place}: {what}")));
    Ok(match (field_type, value) {
        (_, Value::Null) => Value::Null,
        (FieldType::Boolean, Value::Bool(flag)) => Value::Int32(i32::from(flag)),
        (FieldType::Date, Value::Timestamp(moment)) => {
            datetime_text(moment).map_err(|error| error.in_context(place.to_string()))?;
            if moment.sub_millis() != 0 {
                return refuse("digits beyond milliseconds would be lost");
            }
            Value::Timestamp(moment)
        }
        (FieldType::Json | FieldType::Array, value) => {
            check_depth(server, place, &value)?;
            store_json(place, &value)?
        }
        (FieldType::Number, value) => match store_number(place, value)? {
            Value::Float(number) if !number.is_finite() => {
                return refuse("NaN and Infinity cannot be held by MySQL");
            }
            number => number,
        },
        (field_type, value) => crate::record::fit(place, field_type, value)?,
    })
}

/// The value of a field as it was fetched.
pub(super) fn restore(field_type: FieldType, value: Value) -> Value {
    match (field_type, value) {
        (FieldType::Boolean, Value::Int32(number)) => Value::Bool(number != 0),
        (FieldType::Boolean, Value::Int64(number)) => Value::Bool(number != 0),
        (_, Value::JsonNull) => Value::Null,
        (FieldType::Number, number) => restore_number(number),
        (FieldType::Date, Value::Text(text)) => match Timestamp::parse_iso(&text) {
            Some(moment) => Value::Timestamp(moment),
            None => Value::Text(text),
        },
        (FieldType::Json | FieldType::Array, Value::Text(text)) => restore_json(text),
        (_, value) => value,
    }
}

fn check_depth(server: ServerKind, place: &dyn Display, value: &Value) -> Result<()> {
    let most = match server {
        ServerKind::Mysql => MYSQL_JSON_DEPTH,
        ServerKind::Mariadb => MARIADB_JSON_DEPTH,
    };
    if depth(value) <= most {
        return Ok(());
    }
    let message =
        format!("{place}: JSON is nested deeper than {most} levels, which is what this server holds");
    Err(Error::new(ErrorKind::Value, message))
}

/// How many lists and objects lie within each other.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(object) => 1 + object.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
