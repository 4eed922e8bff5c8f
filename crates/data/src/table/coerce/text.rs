//! Values that become text and object ids.

use super::{misfit, refuse};
use crate::error::Result;
use crate::value::{ObjectId, Value, json_text};

pub(super) fn text(value: Value, longest: Option<u32>) -> Result<Value> {
    let text = match value {
        Value::Text(text) => text,
        Value::Bool(flag) => flag.to_string(),
        Value::Int32(number) => number.to_string(),
        Value::Int64(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Decimal(text) => text.into(),
        Value::Timestamp(moment) => moment.to_iso(),
        Value::ObjectId(id) => id.to_string(),
        Value::Array(_) | Value::Object(_) => json_text(&value),
        other => return Err(misfit(&other, "text")),
    };
    match longest {
        Some(longest) if text.len() > longest as usize && text.chars().count() > longest as usize => {
            Err(refuse(format!("{} characters do not fit a column of {longest}", text.chars().count())))
        }
        _ => Ok(Value::Text(text)),
    }
}

pub(super) fn object_id(value: Value) -> Result<Value> {
    match value {
        Value::ObjectId(_) => Ok(value),
        Value::Text(text) => match ObjectId::parse(&text) {
            Some(id) => Ok(Value::ObjectId(id)),
            None => Err(misfit(&Value::Text(text), "an object id")),
        },
        other => Err(misfit(&other, "an object id")),
    }
}
