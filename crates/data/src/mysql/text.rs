//! Text in conditions: compared character by character, whatever the collation of a column.

use super::server::ServerKind;
use crate::sql::Statement;
use crate::value::{Value, json_text};

/// More values than this are handed over as one JSON list, as a statement takes 65,535 parameters.
const MOST_PLACEHOLDERS: usize = 250;

/// An expression for text of which every character counts, whatever the collation of its column.
pub(super) fn exact(server: ServerKind, expression: &str) -> String {
    format!("CONVERT({expression} USING utf8mb4) COLLATE {}", server.exact_collation())
}

/// Appends the condition that a text matches a regular expression.
pub(super) fn push_match(
    server: ServerKind,
    sql: &mut Statement,
    text: Statement,
    pattern: &str,
    ignore_case: bool,
) {
    let expression = exact(server, text.text());
    match server {
        ServerKind::Mariadb => {
            let pattern = if ignore_case { format!("(?i){pattern}") } else { pattern.to_owned() };
            sql.append(&expression, text);
            sql.push(" REGEXP ").bind(Value::Text(pattern));
        }
        ServerKind::Mysql => {
            sql.push("REGEXP_LIKE(");
            sql.append(&expression, text);
            sql.push(", ").bind(Value::from(pattern)).push(if ignore_case { ", 'i')" } else { ", 'c')" });
        }
    }
}

/// Appends the condition that a column compares so with a value. Text is compared twice: as the column does it, so that its
/// index is used, and then character by character.
pub(super) fn push_compare(
    server: ServerKind,
    sql: &mut Statement,
    column: &str,
    operator: &str,
    value: Value,
) {
    match value {
        Value::Text(_) if operator.trim() == "=" => {
            let exact = exact(server, column);
            sql.push("(").push(column).push(" = ").bind(value.clone());
            sql.push(" AND ").push(&exact).push(" = ").bind(value).push(")");
        }
        Value::Text(_) => {
            let collation = server.exact_collation();
            sql.push(column).push(operator).bind(value).push(" COLLATE ").push(collation);
        }
        value => drop(sql.push(column).push(operator).bind(value)),
    }
}

/// Appends the condition that a column is one of these values.
pub(super) fn push_one_of(server: ServerKind, sql: &mut Statement, column: &str, values: Vec<Value>) {
    let is_text = values.iter().any(|value| matches!(value, Value::Text(_)));
    if values.len() > MOST_PLACEHOLDERS && values.iter().all(survives_json) {
        // As text, or as the number that MySQL makes of it where it compares numbers with text.
        let expression = if is_text { exact(server, "j.v") } else { "j.v".to_owned() };
        let column_type = if is_text { "LONGTEXT" } else { "DOUBLE" };
        sql.push(column).push(" IN (SELECT ").push(&expression).push(" FROM JSON_TABLE(");
        sql.bind(Value::Text(json_text(&Value::Array(values))));
        sql.push(&format!(", '$[*]' COLUMNS (v {column_type} PATH '$')) AS j)"));
        return;
    }
    let push_list = |sql: &mut Statement, column: &str| {
        sql.push(column).push(" IN (");
        sql.list(&values, ", ", |sql, value| {
            sql.bind(value.clone());
        });
        sql.push(")");
    };
    if is_text {
        sql.push("(");
        push_list(sql, column);
        sql.push(" AND ");
        push_list(sql, &exact(server, column));
        sql.push(")");
    } else {
        push_list(sql, column);
    }
}

fn survives_json(value: &Value) -> bool {
    match value {
        Value::Text(_) | Value::Int32(_) => true,
        Value::Float(number) => number.is_finite(),
        _ => false,
    }
}
