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
            let loss = holds_non_finite(&value).then_some(Loss::NotFinite);
            Ok(Coerced { value, loss })
        }
    }
}

/// Within a list or document, which becomes JSON text.
pub(super) fn holds_non_finite_within(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_)) && holds_non_finite(value)
}

/// What is given up when a value becomes JSON.
pub fn json_loss(value: &Value) -> Option<Loss> {
    holds_non_finite(value).then_some(Loss::NotFinite)
}

fn holds_non_finite(value: &Value) -> bool {
    match value {
        Value::Float(number) => !number.is_finite(),
        Value::Array(items) => items.iter().any(holds_non_finite),
        Value::Object(object) => object.values().any(holds_non_finite),
        _ => false,
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
