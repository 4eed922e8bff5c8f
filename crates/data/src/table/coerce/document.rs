//! Values that become JSON and lists.

use super::{Coerced, Limits, Loss, coerce, misfit};
use crate::error::Result;
use crate::table::ColumnType;
use crate::value::{Value, value_from_json_text};

/// Text that holds a JSON object or list is taken as that, because databases without a JSON type keep it so.
pub(super) fn json(value: Value) -> Result<Coerced> {
    match value {
        Value::Text(text) if text.starts_with(['{', '[']) => match value_from_json_text(text.as_bytes()) {
            Ok(json) => Ok(json.into()),
            Err(_) => Ok(Value::Text(text).into()),
        },
        Value::Bytes(_) => Err(misfit(&value, "JSON")),
        value => {
            let loss = json_loss(&value);
            Ok(Coerced { value, loss })
        }
    }
}

/// Whether the value becomes JSON text where there is no JSON.
pub(super) fn is_document(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_))
}

/// What is given up when a value becomes JSON.
pub fn json_loss(value: &Value) -> Option<Loss> {
    match value {
        Value::Float(number) if !number.is_finite() => Some(Loss::NotFinite),
        Value::Bytes(_) => Some(Loss::BytesAsText),
        Value::Array(items) => items.iter().find_map(json_loss),
        Value::Object(object) => object.values().find_map(json_loss),
        _ => None,
    }
}

pub(super) fn array(value: Value, element: &ColumnType, limits: &Limits) -> Result<Coerced> {
    let items = match value {
        Value::Array(items) => items,
        Value::Text(text) => match value_from_json_text(text.as_bytes()) {
            Ok(Value::Array(items)) => items,
            _ => return Err(misfit(&Value::Text(text), "a list")),
        },
        other => return Err(misfit(&other, "a list")),
    };
    let mut loss = None;
    let mut coerced = Vec::with_capacity(items.len());
    for item in items {
        // A list of lists has the element type of the innermost ones, as in PostgreSQL.
        let item = match item {
            Value::Array(_) if !matches!(element, ColumnType::Json | ColumnType::Any) => {
                array(item, element, limits)?
            }
            item => coerce(item, element, limits)?,
        };
        loss = loss.or(item.loss);
        coerced.push(item.value);
    }
    Ok(Coerced { value: Value::Array(coerced), loss })
}
