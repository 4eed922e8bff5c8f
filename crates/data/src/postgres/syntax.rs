//! The SQL of PostgreSQL and CockroachDB.

use std::fmt::Display;
use std::fmt::Write as _;

use crate::dialect::DialectKind;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Direction;
use crate::rows::Cell;
use crate::schema::{Column, FieldType};
use crate::sql::{
    JsonTest, SqlSyntax, Statement, extreme_of_ordered, restore_number, restore_number_cell, shortened,
    store_json, store_number,
};
use crate::value::{Timestamp, Value, json_text};

/// The bytes that a name may have; the server cuts longer ones.
const MOST_NAME_BYTES: usize = 63;
/// 4714-11-24 BC, where the server's dates begin.
const EARLIEST: Timestamp = Timestamp(-210_866_803_200_000_000);

static POSTGRES: PostgresSyntax = PostgresSyntax(DialectKind::Postgres);
static COCKROACHDB: PostgresSyntax = PostgresSyntax(DialectKind::Cockroachdb);

/// The syntax of one of the two.
pub(super) fn syntax_of(kind: DialectKind) -> &'static dyn SqlSyntax {
    if kind == DialectKind::Cockroachdb { &COCKROACHDB } else { &POSTGRES }
}

struct PostgresSyntax(DialectKind);

impl SqlSyntax for PostgresSyntax {
    fn kind(&self) -> DialectKind {
        self.0
    }

    fn placeholder(&self, text: &mut String, position: usize) {
        // Writing to a string cannot fail.
        let _ = write!(text, "${position}");
    }

    fn column_type(&self, column: &Column<'_>) -> &'static str {
        match column {
            Column::Discriminator(_) => "VARCHAR(100)",
            column => self.added_column_type(column.field_type()),
        }
    }

    fn added_column_type(&self, field_type: FieldType) -> &'static str {
        match field_type {
            FieldType::String | FieldType::Text => "TEXT",
            FieldType::Number => "DOUBLE PRECISION",
            FieldType::Boolean => "BOOLEAN",
            FieldType::Date => "TIMESTAMPTZ",
            FieldType::Json | FieldType::Array => "JSONB",
        }
    }

    fn object_name(&self, name: String) -> String {
        shortened(name, MOST_NAME_BYTES, char::len_utf8)
    }

    fn longest_name(&self) -> Option<usize> {
        Some(MOST_NAME_BYTES)
    }

    fn store(&self, place: &dyn Display, field_type: FieldType, value: Value) -> Result<Value> {
        let refuse = |what: &str| Err(Error::new(ErrorKind::Value, format!("{place}: {what}")));
        let stored = match (field_type, value) {
            (_, Value::Null) => Value::Null,
            (FieldType::Json | FieldType::Array, value) if holds_nul(&value) => {
                return refuse("PostgreSQL's JSON cannot hold the character NUL");
            }
            (FieldType::Json | FieldType::Array, value) => store_json(place, &value)?,
            (FieldType::Number, value) => whole_as_integer(store_number(place, value)?),
            (field_type, value) => crate::record::fit(place, field_type, value)?,
        };
        match &stored {
            Value::Text(text) if text.contains('\0') => {
                refuse("PostgreSQL's text cannot hold the character NUL")
            }
            Value::Timestamp(moment) if *moment < EARLIEST && !moment.is_infinite() => {
                refuse(&format!("{moment} is before 4714 BC, where PostgreSQL's dates begin"))
            }
            _ => Ok(stored),
        }
    }

    fn restore(&self, field_type: FieldType, value: Value) -> Value {
        match (field_type, value) {
            (FieldType::Number, number) => restore_number(number),
            (FieldType::Date, Value::Text(text)) => match Timestamp::parse_iso(&text) {
                Some(moment) => Value::Timestamp(moment),
                None => Value::Text(text),
            },
            (_, value) => value,
        }
    }

    fn restore_cell<'a>(&self, field_type: FieldType, cell: Cell<'a>) -> Option<Cell<'a>> {
        match (field_type, cell) {
            (FieldType::Number, number) => restore_number_cell(number),
            (FieldType::Date, Cell::Text(_)) => None,
            (_, cell) => Some(cell),
        }
    }

    fn order(&self, direction: Direction) -> &'static str {
        match direction {
            Direction::Ascending => " ASC NULLS FIRST",
            Direction::Descending => " DESC NULLS LAST",
        }
    }

    fn unlimited(&self) -> Option<&'static str> {
        None
    }

    fn inline_foreign_keys(&self) -> bool {
        false
    }

    fn drop_table(&self, quoted: &str) -> String {
        format!("DROP TABLE IF EXISTS {quoted} CASCADE")
    }

    /// One parameter for the whole list, so that lists of any length share a prepared statement.
    fn one_of(&self, sql: &mut Statement, column: &str, values: Vec<Value>) {
        sql.push(column).push(" = ANY(").bind(Value::Array(values)).push(")");
    }

    fn matches(&self, sql: &mut Statement, column: &str, pattern: &str, ignore_case: bool) {
        sql.push(column).push(match_operator(ignore_case)).bind(Value::Text(pattern.to_owned()));
    }

    fn json_test(&self, sql: &mut Statement, column: &str, below: &[String], test: &JsonTest) {
        match test {
            JsonTest::HasValue => {
                sql.push("jsonb_typeof(");
                push_json(sql, column, below);
                sql.push(") <> 'null'");
            }
            JsonTest::Equals(value) => push_comparison(sql, column, below, "=", value),
            JsonTest::Contains(value) => {
                push_items(sql, column, below);
                sql.push("item.value = ").bind(Value::Text(json_text(value))).push("::jsonb)");
            }
            JsonTest::Compare(operator, value) => {
                sql.push("(jsonb_typeof(");
                push_json(sql, column, below);
                sql.push(&format!(") = '{}' AND ", json_type(value)));
                push_comparison(sql, column, below, operator, value);
                sql.push(")");
            }
            JsonTest::Matches { pattern, ignore_case } => {
                let (pattern, operator) = (Value::Text(pattern.clone()), match_operator(*ignore_case));
                sql.push("(jsonb_typeof(");
                push_json(sql, column, below);
                sql.push(") = 'string' AND (");
                push_json(sql, column, below);
                sql.push(" #>> '{}')").push(operator).bind(pattern.clone()).push(" OR ");
                push_items(sql, column, below);
                sql.push("jsonb_typeof(item.value) = 'string' AND (item.value #>> '{}')").push(operator);
                sql.bind(pattern).push("))");
            }
        }
    }

    /// One parameter for all: a subquery for each of many values would take longer to plan than the table to read.
    fn json_contains_any(
        &self,
        sql: &mut Statement,
        column: &str,
        below: &[String],
        values: &[Value],
    ) -> bool {
        let texts = values.iter().map(|value| Value::Text(json_text(value))).collect();
        push_items(sql, column, below);
        sql.push("item.value = ANY(").bind(Value::Array(texts)).push("::text[]::jsonb[]))");
        true
    }

    fn json_order(&self, sql: &mut Statement, column: &str, below: &[String], direction: Direction) {
        sql.push("nullif(");
        push_json(sql, column, below);
        sql.push(", 'null'::jsonb)").push(self.order(direction));
    }

    fn lock_rows(&self) -> &'static str {
        " FOR UPDATE"
    }

    fn double_type(&self) -> &'static str {
        "DOUBLE PRECISION"
    }

    fn json_value(&self, sql: &mut Statement, column: &str, below: &[String]) {
        sql.push("nullif(");
        push_json(sql, column, below);
        sql.push(", 'null'::jsonb)");
    }

    fn json_number(&self, sql: &mut Statement, column: &str) {
        sql.push(&format!(
            "CASE WHEN jsonb_typeof({column}) = 'number' THEN ({column} #>> '{{}}')::double precision END"
        ));
    }

    /// PostgreSQL orders booleans and JSON, but has no such aggregate functions for them; nor for UUIDs, which are text
    /// like anything that has no field type of its own.
    fn extreme(&self, sql: &mut Statement, column: &str, field_type: FieldType, largest: bool) {
        match field_type {
            FieldType::Boolean => {
                sql.push(if largest { "bool_or(" } else { "bool_and(" }).push(column).push(")");
            }
            FieldType::Json | FieldType::Array => {
                let direction = if largest { " DESC" } else { "" };
                sql.push(&format!(
                    "(array_agg({column} ORDER BY {column}{direction}) FILTER (WHERE {column} IS NOT NULL))[1]"
                ));
            }
            FieldType::String | FieldType::Text => {
                extreme_of_ordered(sql, &format!("{column}::text"), largest);
            }
            FieldType::Number | FieldType::Date => extreme_of_ordered(sql, column, largest),
        }
    }
}

/// Whether a text or a name within a value has the character NUL.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(object) => object.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

/// The column may be an integer, which does not read `5.0`.
fn whole_as_integer(number: Value) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number {
        #[expect(clippy::cast_possible_truncation, reason = "the guard keeps it within 53 bits")]
        Value::Float(number)
            if number.fract() == 0.0
                && number.abs() <= EXACT
                && (number != 0.0 || number.is_sign_positive()) =>
        {
            Value::Int64(number as i64)
        }
        number => number,
    }
}

fn match_operator(ignore_case: bool) -> &'static str {
    if ignore_case { " ~* " } else { " ~ " }
}

/// The JSON in a column below some keys; NULL where there is none.
fn push_json(sql: &mut Statement, column: &str, below: &[String]) {
    if below.is_empty() {
        sql.push(column).push("::jsonb");
        return;
    }
    let path = below.iter().map(|key| Value::Text(key.clone())).collect();
    sql.push("(").push(column).push("::jsonb #> ").bind(Value::Array(path)).push("::text[])");
}

/// Appends `EXISTS (… AND ` over the items of a list, to be completed by a condition on `item.value` and `)`.
fn push_items(sql: &mut Statement, column: &str, below: &[String]) {
    sql.push("EXISTS (SELECT 1 FROM jsonb_array_elements(CASE WHEN jsonb_typeof(");
    push_json(sql, column, below);
    sql.push(") = 'array' THEN ");
    push_json(sql, column, below);
    sql.push(" ELSE '[]'::jsonb END) AS item(value) WHERE ");
}

fn push_comparison(sql: &mut Statement, column: &str, below: &[String], operator: &str, value: &Value) {
    push_json(sql, column, below);
    sql.push(&format!(" {operator} ")).bind(Value::Text(json_text(value))).push("::jsonb");
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "boolean",
        Value::Int32(_) | Value::Int64(_) | Value::Float(_) => "number",
        _ => "string",
    }
}
