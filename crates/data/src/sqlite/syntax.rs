//! The SQL of SQLite.

use std::fmt::Display;

use super::json;
use super::moment;
use super::value::parse_moment;
use crate::dialect::DialectKind;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Direction;
use crate::rows::Cell;
use crate::schema::{Column, FieldType};
use crate::sql::{
    JsonTest, SqlSyntax, Statement, extreme_of_ordered, restore_json, restore_number, restore_number_cell,
    store_json, store_number,
};
use crate::value::{Value, is_plain_json, json_text};

/// More values than this are handed over as one JSON list; SQLite takes 32,766 parameters at most.
const MOST_PLACEHOLDERS: usize = 500;

pub(super) static SQLITE: SqliteSyntax = SqliteSyntax;

pub(super) struct SqliteSyntax;

impl SqlSyntax for SqliteSyntax {
    fn kind(&self) -> DialectKind {
        DialectKind::Sqlite
    }

    fn placeholder(&self, text: &mut String, _position: usize) {
        text.push('?');
    }

    fn column_type(&self, column: &Column<'_>) -> &'static str {
        if let Column::Discriminator(_) = column {
            return "VARCHAR(100)";
        }
        match column.field_type() {
            FieldType::Number => "REAL",
            FieldType::Boolean => "INTEGER",
            FieldType::String | FieldType::Text | FieldType::Date | FieldType::Json | FieldType::Array => {
                "TEXT"
            }
        }
    }

    /// No schema declares such a column, so its type must tell what its values are. The first word decides how
    /// SQLite stores them, as for declared fields.
    fn added_column_type(&self, field_type: FieldType) -> &'static str {
        match field_type {
            FieldType::Number => "REAL",
            FieldType::Boolean => "INTEGER BOOLEAN",
            FieldType::Date => "TEXT DATETIME",
            FieldType::Json | FieldType::Array => "TEXT JSON",
            FieldType::String | FieldType::Text => "TEXT",
        }
    }

    fn store(&self, place: &dyn Display, field_type: FieldType, value: Value) -> Result<Value> {
        Ok(match (field_type, value) {
            (_, Value::Null) => Value::Null,
            (FieldType::Boolean, Value::Bool(flag)) => Value::Int32(i32::from(flag)),
            (FieldType::Date, Value::Timestamp(moment)) => Value::Text(moment.to_iso()),
            (FieldType::Json | FieldType::Array, value) => store_json(place, &value)?,
            (FieldType::Number, value) => match store_number(place, value)? {
                Value::Float(number) if number.is_nan() => {
                    return Err(Error::new(ErrorKind::Value, format!("{place}: SQLite cannot hold NaN")));
                }
                number => number,
            },
            (field_type, value) => crate::record::fit(place, field_type, value)?,
        })
    }

    fn restore(&self, field_type: FieldType, value: Value) -> Value {
        match (field_type, value) {
            (FieldType::Boolean, Value::Int32(number)) => Value::Bool(number != 0),
            (FieldType::Number, number) => restore_number(number),
            (FieldType::Date, Value::Text(text)) => match parse_moment(&text) {
                Some(moment) => Value::Timestamp(moment),
                None => Value::Text(text),
            },
            (FieldType::Json | FieldType::Array, Value::Text(text)) => restore_json(text),
            (_, value) => value,
        }
    }

    fn restore_cell<'a>(&self, field_type: FieldType, cell: Cell<'a>) -> Option<Cell<'a>> {
        match (field_type, cell) {
            (FieldType::Boolean, Cell::Integer(number)) if i32::try_from(number).is_ok() => {
                Some(Cell::Bool(number != 0))
            }
            (FieldType::Number, number) => restore_number_cell(number),
            (FieldType::Date, Cell::Text(text)) => Some(parse_moment(text).map_or(cell, Cell::Timestamp)),
            (FieldType::Json | FieldType::Array, Cell::Text(text)) => {
                is_plain_json(text).then_some(Cell::Json(text))
            }
            (_, cell) => Some(cell),
        }
    }

    /// SQLite holds NULL for the smallest value anyway.
    fn order(&self, direction: Direction) -> &'static str {
        match direction {
            Direction::Ascending => " ASC",
            Direction::Descending => " DESC",
        }
    }

    fn order_by(&self, sql: &mut Statement, column: &str, field_type: FieldType, direction: Direction) {
        match field_type {
            FieldType::Date => moment::push_ordered(sql, column),
            _ => drop(sql.push(column)),
        }
        sql.push(self.order(direction));
    }

    fn has_unordered_dates(&self, table: &str, column: &str) -> Option<String> {
        Some(moment::has_extraordinary(table, column))
    }

    fn unlimited(&self) -> Option<&'static str> {
        Some("-1")
    }

    fn inline_foreign_keys(&self) -> bool {
        true
    }

    fn drop_table(&self, quoted: &str) -> String {
        format!("DROP TABLE IF EXISTS {quoted}")
    }

    fn compare_date(
        &self,
        sql: &mut Statement,
        column: &str,
        operator: &str,
        value: Value,
        upper: Option<&Value>,
    ) {
        let moment = value.as_text().filter(|_| operator.trim() != "=").and_then(parse_moment);
        match moment {
            Some(moment) => {
                let upper = upper.and_then(Value::as_text).and_then(parse_moment);
                moment::push_compare(sql, column, operator, moment, upper);
            }
            None => self.compare(sql, column, operator, value),
        }
    }

    fn one_of(&self, sql: &mut Statement, column: &str, values: Vec<Value>) {
        sql.push(column).push(" IN (");
        let as_json = values.len() > MOST_PLACEHOLDERS && values.iter().all(survives_json);
        if as_json {
            sql.push("SELECT value FROM json_each(")
                .bind(Value::Text(json_text(&Value::Array(values))))
                .push(")");
        } else {
            sql.list(values, ", ", |sql, value| {
                sql.bind(value);
            });
        }
        sql.push(")");
    }

    fn matches(&self, sql: &mut Statement, column: &str, pattern: &str, ignore_case: bool) {
        sql.push(column).push(" REGEXP ").bind(Value::Text(expression(pattern, ignore_case)));
    }

    fn check_pattern(&self, pattern: &str) -> Result<()> {
        regex::Regex::new(pattern).map(drop).map_err(|error| {
            Error::new(ErrorKind::Filter, format!("$regex {pattern:?} is no valid expression: {error}"))
        })
    }

    fn json_test(&self, sql: &mut Statement, column: &str, below: &[String], test: &JsonTest) {
        json::push_test(sql, column, below, test);
    }

    fn json_order(&self, sql: &mut Statement, column: &str, below: &[String], direction: Direction) {
        json::push_order(sql, column, below);
        sql.push(self.order(direction));
    }

    /// One connection writes at a time, so no row needs a lock.
    fn lock_rows(&self) -> &'static str {
        ""
    }

    fn double_type(&self) -> &'static str {
        "REAL"
    }

    fn json_value(&self, sql: &mut Statement, column: &str, below: &[String]) {
        json::push_value(sql, column, below);
    }

    fn json_number(&self, sql: &mut Statement, column: &str) {
        sql.push(&format!("CASE WHEN typeof({column}) <> 'text' THEN {column} END"));
    }

    fn extreme(&self, sql: &mut Statement, column: &str, field_type: FieldType, largest: bool) {
        match field_type {
            FieldType::Json | FieldType::Array => json::push_extreme(sql, column, largest),
            FieldType::Date => {
                sql.push(if largest { "max(" } else { "min(" });
                moment::push_ordered(sql, column);
                sql.push(")");
            }
            _ => extreme_of_ordered(sql, column, largest),
        }
    }
}

fn survives_json(value: &Value) -> bool {
    match value {
        Value::Text(_) | Value::Int32(_) | Value::Int64(_) => true,
        Value::Float(number) => number.is_finite(),
        _ => false,
    }
}

/// A pattern with its flag, as the regular expression engine reads it.
pub(super) fn expression(pattern: &str, ignore_case: bool) -> String {
    if ignore_case { format!("(?i){pattern}") } else { pattern.to_owned() }
}
