//! A row as an application sees it, and how one is made ready before a write.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::schema::{CREATED_AT, Column, DELETED_AT, EntitySchema, Field, FieldType, ID, UPDATED_AT};
use crate::value::{Object, Timestamp, Value};

/// A row as an application sees it: field names to values, with `id`.
pub type Record = Object;

/// Makes a record ready to be inserted: trims and lowers text, fills in defaults, the discriminator and the managed
/// dates, and checks what is required and allowed. `id` stays as given; an empty one is removed, so that each
/// dialect can make its own. Managed dates that the caller gives are kept, as a copy needs.
///
/// # Errors
/// [`ErrorKind::NotNullViolation`] or [`ErrorKind::Value`], naming entity and field.
pub fn prepare_insert(schema: &EntitySchema, mut record: Record) -> Result<Record> {
    if record.get(ID).is_some_and(|id| id.is_null() || id.as_text() == Some("")) {
        record.shift_remove(ID);
    }
    let now = Value::Timestamp(Timestamp::now());
    for (name, field) in &schema.fields {
        if record.get(name).is_none_or(Value::is_null) {
            match default_of(field, &now) {
                Some(default) => drop(record.insert(name.clone(), default)),
                None if field.required => return Err(required(schema, name)),
                None => {}
            }
        }
    }
    for (name, relation) in &schema.relations {
        let missing =
            || [name.as_str(), relation.column(name)].iter().all(|key| record.get(*key).is_none_or(is_blank));
        if relation.kind.has_column() && relation.required && missing() {
            return Err(required(schema, name));
        }
    }
    normalise(schema, &mut record)?;
    if let Some(discriminator) = &schema.discriminator {
        record.insert(discriminator.column.clone(), Value::from(discriminator.value.as_str()));
    }
    if schema.timestamps {
        for name in [CREATED_AT, UPDATED_AT] {
            if record.get(name).is_none_or(Value::is_null) {
                record.insert(name.to_owned(), now.clone());
            }
        }
    }
    Ok(record)
}

/// Makes changes ready to be applied to a row: as [`prepare_insert`], but without defaults, and `id`, the
/// discriminator and `createdAt` cannot be changed. `updatedAt` becomes the present unless the caller gives one.
///
/// # Errors
/// [`ErrorKind::NotNullViolation`] or [`ErrorKind::Value`], naming entity and field.
pub fn prepare_update(schema: &EntitySchema, mut changes: Record) -> Result<Record> {
    changes.shift_remove(ID);
    if let Some(discriminator) = &schema.discriminator {
        changes.shift_remove(&discriminator.column);
    }
    for (name, field) in &schema.fields {
        if field.required && changes.get(name).is_some_and(Value::is_null) {
            return Err(required(schema, name));
        }
    }
    normalise(schema, &mut changes)?;
    if schema.timestamps {
        changes.shift_remove(CREATED_AT);
        if changes.get(UPDATED_AT).is_none_or(Value::is_null) {
            changes.insert(UPDATED_AT.to_owned(), Value::Timestamp(Timestamp::now()));
        }
    }
    Ok(changes)
}

fn default_of(field: &Field, now: &Value) -> Option<Value> {
    match (&field.default, field.field_type) {
        (Some(Value::Text(word)), FieldType::Date) if word == "now" => Some(now.clone()),
        (default, _) => default.clone().filter(|default| !default.is_null()),
    }
}

/// Brings every given value into the type of its field, and a reference under the name of its column.
fn normalise(schema: &EntitySchema, record: &mut Record) -> Result<()> {
    for (name, relation) in schema.relations.iter().filter(|(_, relation)| relation.kind.has_column()) {
        let column = relation.column(name);
        if column != name
            && let Some(reference) = record.shift_remove(name)
        {
            record.insert(column.to_owned(), reference);
        }
        if let Some(reference) = record.get_mut(column) {
            *reference = reference_id(std::mem::take(reference));
        }
    }
    for column in schema.columns() {
        let Some(slot) = record.get_mut(column.name()) else {
            continue;
        };
        let value = std::mem::take(slot);
        *slot = match column {
            Column::Field(name, field) => {
                let value = fit_field(schema, name, field, value)?;
                check_allowed(schema, name, field, &value)?;
                value
            }
            Column::ManagedDate(name) => fit(&place(schema, name), FieldType::Date, value)?,
            Column::Id | Column::Reference(..) | Column::Discriminator(_) => value,
        };
    }
    Ok(())
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_text() == Some("")
}

/// An application may give the row itself in place of its id.
fn reference_id(reference: Value) -> Value {
    match reference {
        Value::Object(mut row) => row.shift_remove(ID).unwrap_or_default(),
        blank if is_blank(&blank) => Value::Null,
        id => id,
    }
}

fn fit_field(schema: &EntitySchema, name: &str, field: &Field, value: Value) -> Result<Value> {
    let value = fit(&place(schema, name), field.field_type, value)?;
    Ok(match value {
        Value::Text(text) if field.trim || field.lowercase => {
            let text = if field.trim { text.trim().to_owned() } else { text };
            Value::Text(if field.lowercase { text.to_lowercase() } else { text })
        }
        value => value,
    })
}

/// A number as text, as JavaScript's `String(number)` has it: with all digits below 10^21.
fn number_text(number: f64) -> String {
    let plain = number == 0.0 || (1e-6..1e21).contains(&number.abs());
    if plain { (number + 0.0).to_string() } else { crate::value::json_text(&Value::Float(number)) }
}

/// The value in the form of a field type, where that loses nothing: a number given as text is read, a date as ISO
/// text or milliseconds too, and anything simple becomes text in a text field.
///
/// # Errors
/// [`ErrorKind::Value`] naming the place.
pub fn fit(place: &dyn fmt::Display, field_type: FieldType, value: Value) -> Result<Value> {
    let refuse = |value: &Value| {
        let article = if field_type == FieldType::Array { "an" } else { "a" };
        let message =
            format!("{place}: {article} {} field cannot hold {}", field_type.name(), describe(value));
        Err(Error::new(ErrorKind::Value, message))
    };
    Ok(match (field_type, value) {
        (_, Value::Null) => Value::Null,
        (FieldType::String | FieldType::Text, value) => match value {
            Value::Text(_) => value,
            Value::Bool(flag) => Value::Text(flag.to_string()),
            Value::Int32(number) => Value::Text(number.to_string()),
            Value::Int64(number) => Value::Text(number.to_string()),
            Value::Float(number) => Value::Text(number_text(number)),
            Value::Decimal(text) => Value::Text(text.into()),
            Value::Timestamp(moment) => Value::Text(moment.to_iso()),
            Value::ObjectId(id) => Value::Text(id.to_string()),
            Value::Null | Value::JsonNull | Value::Bytes(_) | Value::Array(_) | Value::Object(_) => {
                return refuse(&value);
            }
        },
        (FieldType::Number, value) => match &value {
            Value::Int32(_) | Value::Int64(_) | Value::Float(_) | Value::Decimal(_) => value,
            Value::Bool(flag) => Value::Int32(i32::from(*flag)),
            Value::Text(text) => match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => Value::Float(number),
                _ => return refuse(&value),
            },
            _ => return refuse(&value),
        },
        (FieldType::Boolean, value) => match &value {
            Value::Bool(_) => value,
            Value::Int32(number @ (0 | 1)) => Value::Bool(*number == 1),
            Value::Text(text) if text == "true" || text == "1" => Value::Bool(true),
            Value::Text(text) if text == "false" || text == "0" => Value::Bool(false),
            _ => return refuse(&value),
        },
        (FieldType::Date, value) => match &value {
            Value::Timestamp(_) => value,
            Value::Text(text) => match Timestamp::parse_iso(text) {
                Some(moment) => Value::Timestamp(moment),
                None => return refuse(&value),
            },
            number => match number.as_f64() {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "dates of JavaScript lie within 8.64e15 ms"
                )]
                Some(millis) if millis.fract() == 0.0 && millis.abs() <= 8.64e15 => {
                    Value::Timestamp(Timestamp::from_millis(millis as i64))
                }
                _ => return refuse(&value),
            },
        },
        (FieldType::Json, value) => value,
        (FieldType::Array, value) => match value {
            Value::Array(_) => value,
            other => return refuse(&other),
        },
    })
}

fn check_allowed(schema: &EntitySchema, name: &str, field: &Field, value: &Value) -> Result<()> {
    let same = |allowed: &Value| match (allowed.as_f64(), value.as_f64()) {
        (Some(allowed), Some(given)) => allowed == given,
        _ => allowed == value,
    };
    if value.is_null() || field.allowed.is_empty() || field.allowed.iter().any(same) {
        return Ok(());
    }
    let allowed = field.allowed.iter().map(crate::value::json_text).collect::<Vec<_>>().join(", ");
    let message =
        format!("{}: {} is not allowed; allowed are {allowed}", place(schema, name), describe(value));
    Err(Error::new(ErrorKind::Value, message))
}

/// A value for a message: its type, and its text where that is short.
fn describe(value: &Value) -> String {
    match value {
        Value::Text(text) if text.chars().count() <= 40 => format!("{text:?}"),
        Value::Bool(_) | Value::Int32(_) | Value::Int64(_) | Value::Float(_) => {
            crate::value::json_text(value)
        }
        Value::Bytes(_) => "bytes".to_owned(),
        other => format!("this {}", other.type_name()),
    }
}

fn place<'a>(schema: &'a EntitySchema, name: &'a str) -> impl fmt::Display {
    struct Place<'a>(&'a str, &'a str);
    impl fmt::Display for Place<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}.{}", self.0, self.1)
        }
    }
    Place(&schema.name, name)
}

fn required(schema: &EntitySchema, name: &str) -> Error {
    Error::new(ErrorKind::NotNullViolation, format!("{}: a value is required", place(schema, name)))
}

/// Adds to a filter what every read of the entity implies: its discriminator, and that rows are not softly deleted
/// unless the filter names `deletedAt` or the caller asks for them.
pub fn implied_filter(schema: &EntitySchema, filter: crate::Filter, include_deleted: bool) -> crate::Filter {
    let mut filter = filter;
    if schema.soft_delete && !include_deleted && !filter.mentions(DELETED_AT) {
        filter = filter.and(crate::Filter::eq(DELETED_AT, Value::Null));
    }
    if let Some(discriminator) = &schema.discriminator {
        filter = filter.and(crate::Filter::eq(&discriminator.column, discriminator.value.as_str()));
    }
    filter
}

/// The filter with softly deleted rows among those it finds, where the entity has such.
pub fn including_deleted(schema: &EntitySchema, filter: crate::Filter) -> crate::Filter {
    if !schema.soft_delete || filter.mentions(DELETED_AT) {
        return filter;
    }
    // Every row passes this, and it mentions the field, which takes the place of the implied condition.
    let deleted = crate::FieldPath { field: DELETED_AT.to_owned(), below: Vec::new() };
    let either =
        [true, false].map(|exists| crate::Filter::Field(deleted.clone(), crate::Condition::Exists(exists)));
    filter.and(crate::Filter::Any(either.into()))
}

/// The filter that finds one row: by an id, by `{id}`, or by the fields of a unique index.
///
/// # Errors
/// [`ErrorKind::Filter`] if an object names no unique index.
pub fn identity_filter(schema: &EntitySchema, identity: &Value) -> Result<crate::Filter> {
    let Value::Object(fields) = identity else {
        return Ok(crate::Filter::eq(ID, identity.clone()));
    };
    if let Some(id) = fields.get(ID) {
        return Ok(crate::Filter::eq(ID, id.clone()));
    }
    let unique_field = |name: &String| schema.fields.get(name).is_some_and(|field| field.unique);
    let unique_index = schema.indexes.iter().any(|index| {
        index.unique
            && index.fields.len() == fields.len()
            && index.fields.iter().all(|(name, _)| fields.contains_key(name))
    });
    if unique_index || (fields.len() == 1 && fields.keys().all(unique_field)) {
        // A value that came from outside must not become a condition that other rows pass as well.
        let is_operator = |value: &Value| matches!(value, Value::Object(object) if object.iter().any(|(name, _)| name.starts_with('$')));
        if let Some((name, _)) = fields.iter().find(|(_, value)| is_operator(value)) {
            return Err(Error::new(
                ErrorKind::Filter,
                format!("{}.{name}: expected a value to find one row by, found operators", schema.name),
            ));
        }
        return crate::Filter::parse(fields);
    }
    let named = fields.keys().cloned().collect::<Vec<_>>().join(", ");
    Err(Error::new(
        ErrorKind::Filter,
        format!("{}: expected an id, {{id}} or the fields of a unique index, found {{{named}}}", schema.name),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_in_a_text_field_has_the_text_that_javascript_gives_it() {
        for (number, text) in [
            (5.0, "5"),
            (-0.0, "0"),
            (0.1, "0.1"),
            (1e17, "100000000000000000"),
            (1_152_921_504_606_846_976.0, "1152921504606847000"),
            (1e21, "1e+21"),
            (1e-7, "1e-7"),
        ] {
            let fitted = fit(&"v", FieldType::String, Value::Float(number)).unwrap();
            assert_eq!(fitted, Value::Text(text.to_owned()));
        }
    }
}
