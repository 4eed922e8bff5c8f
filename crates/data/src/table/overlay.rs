//! What an entity schema knows of a table beyond the catalogue.

use super::{ColumnType, Table, TableColumn};
use crate::schema::{Column, EntitySchema, FieldType, ID};
use crate::value::{Timestamp, Value, column_from_json_text};

/// Gives the columns of a table the types that its entity declares where the database has none of that kind (a
/// boolean in SQLite is an integer, a date text), and adds the columns that a catalogue made from sample documents
/// has not seen.
pub fn overlay_schema(table: &mut Table, schema: &EntitySchema, schemaless: bool) {
    for column in schema.columns() {
        match table.columns.iter_mut().find(|existing| existing.name == column.name()) {
            Some(existing) => existing.column_type = refine(&existing.column_type, column.field_type()),
            None if schemaless => table.columns.push(TableColumn {
                name: column.name().to_owned(),
                column_type: declared_type(column),
                nullable: column.name() != ID,
                generated: false,
            }),
            None => {}
        }
    }
}

/// A stored value as the type that an entity declares over its column. What does not fit stays as it is: whoever coerces it later
/// reports the row.
pub fn declared_value(value: Value, declared: &ColumnType) -> Value {
    match (declared, value) {
        (ColumnType::Bool, Value::Int32(number @ (0 | 1))) => Value::Bool(number == 1),
        (ColumnType::Bool, Value::Int64(number @ (0 | 1))) => Value::Bool(number == 1),
        (ColumnType::Timestamp { .. }, Value::Text(text)) => match Timestamp::parse_iso(&text) {
            Some(moment) => Value::Timestamp(moment),
            None => Value::Text(text),
        },
        (ColumnType::Json, Value::Text(text)) => match column_from_json_text(text.as_bytes()) {
            Ok(json) => json,
            Err(_) => Value::Text(text),
        },
        (_, value) => value,
    }
}

fn declared_type(column: Column<'_>) -> ColumnType {
    refine(&ColumnType::Any, column.field_type())
}

/// The declared type where the stored one only stands in for it.
fn refine(stored: &ColumnType, declared: FieldType) -> ColumnType {
    match (stored, declared) {
        (ColumnType::Int64 | ColumnType::Int32 | ColumnType::Int16 | ColumnType::Any, FieldType::Boolean) => {
            ColumnType::Bool
        }
        (ColumnType::Text(_) | ColumnType::Any, FieldType::Date) => ColumnType::Timestamp { zoned: true },
        (ColumnType::Text(_) | ColumnType::Any, FieldType::Json | FieldType::Array) => ColumnType::Json,
        (ColumnType::Any, FieldType::Number) => ColumnType::Float64,
        (ColumnType::Any, FieldType::String | FieldType::Text) => ColumnType::Text(None),
        (stored, _) => stored.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn stand_in_types_give_way_to_the_declared_ones() {
        let column = |name: &str, column_type| TableColumn {
            name: name.to_owned(),
            column_type,
            nullable: true,
            generated: false,
        };
        let mut table = Table {
            name: "users".to_owned(),
            columns: vec![
                column("id", ColumnType::Text(None)),
                column("active", ColumnType::Int64),
                column("born", ColumnType::Text(None)),
            ],
            key: vec![0],
            references: Vec::new(),
        };
        let schema = EntitySchema::from_json(&json!({"name": "User", "collection": "users", "fields": {
            "active": {"type": "boolean"}, "born": {"type": "date"}, "tags": {"type": "array"}
        }}))
        .unwrap();
        overlay_schema(&mut table, &schema, true);
        let types: Vec<_> = table.columns.iter().map(|column| &column.column_type).collect();
        let expected = [
            &ColumnType::Text(None),
            &ColumnType::Bool,
            &ColumnType::Timestamp { zoned: true },
            &ColumnType::Json,
        ];
        assert_eq!(types, expected);
    }
}
