//! Tests on JSON text, by SQLite's `json_each`, whose rows tell the type of a value apart from the value.

use super::syntax::expression;
use crate::sql::{JsonTest, Statement};
use crate::value::{Value, json_from_value, json_text, value_from_json};

/// The expressions for the type and the value of a JSON element; the value of a list or object is its JSON text.
struct Element {
    type_: String,
    value: String,
}

impl Element {
    fn root(column: &str) -> Self {
        let json = valid(column);
        Self { type_: format!("json_type({json})"), value: format!("json_extract({json}, '$')") }
    }

    fn row(alias: &str) -> Self {
        Self { type_: format!("{alias}.type"), value: format!("{alias}.value") }
    }

    /// The JSON text of a list or object, else NULL: other text would be taken for malformed JSON.
    fn container(&self) -> String {
        format!("CASE WHEN {} IN ('object', 'array') THEN {} END", self.type_, self.value)
    }

    fn array(&self) -> String {
        format!("CASE WHEN {} = 'array' THEN {} END", self.type_, self.value)
    }

    /// The same for equal values: a number is a number, so that 7 and 7.0 are one and no digit is lost; anything else
    /// is its JSON text.
    fn canonical(&self) -> String {
        let Self { type_, value } = self;
        format!(
            "CASE WHEN {type_} IN ('integer', 'real', 'object', 'array') THEN {value} \
             WHEN {type_} = 'text' THEN json_quote({value}) \
             WHEN {type_} IN ('true', 'false') THEN {type_} END"
        )
    }
}

fn valid(column: &str) -> String {
    format!("CASE WHEN json_valid({column}) THEN {column} END")
}

/// Appends the condition that the JSON in `column` below the keys passes the test.
pub(super) fn push_test(sql: &mut Statement, column: &str, below: &[String], test: &JsonTest) {
    if below.is_empty() {
        return push_element_test(sql, &Element::root(column), test);
    }
    sql.push("EXISTS (SELECT 1");
    let element = push_path(sql, column, below);
    sql.push(" AND ");
    push_element_test(sql, &element, test);
    sql.push(")");
}

/// Appends an expression for the value in `column` below the keys.
pub(super) fn push_order(sql: &mut Statement, column: &str, below: &[String]) {
    if below.is_empty() {
        sql.push(&Element::root(column).value);
        return;
    }
    let last = below.len() - 1;
    sql.push(&format!("(SELECT p{last}.value"));
    push_path(sql, column, below);
    sql.push(" LIMIT 1)");
}

/// Appends an expression for the value in `column` below the keys, in its canonical form.
pub(super) fn push_value(sql: &mut Statement, column: &str, below: &[String]) {
    if below.is_empty() {
        sql.push(&Element::root(column).canonical());
        return;
    }
    let last = Element::row(&format!("p{}", below.len() - 1));
    sql.push(&format!("(SELECT {}", last.canonical()));
    push_path(sql, column, below);
    sql.push(" LIMIT 1)");
}

/// Appends the smallest or largest canonical value in a group. Numbers are smaller than anything else.
pub(super) fn push_extreme(sql: &mut Statement, column: &str, largest: bool) {
    let (function, direction) = if largest { ("max", " DESC") } else { ("min", "") };
    let numbers = format!("{function}(CASE WHEN typeof({column}) <> 'text' THEN {column} END)");
    let others = format!(
        "json_group_array(json({column}) ORDER BY json_extract({column}, '$'){direction}) \
         FILTER (WHERE typeof({column}) = 'text') -> '$[0]'"
    );
    let (first, second) = if largest { (others, numbers) } else { (numbers, others) };
    sql.push(&format!("coalesce({first}, {second})"));
}

/// Appends ` FROM … WHERE …` that leads down to one element.
fn push_path(sql: &mut Statement, column: &str, below: &[String]) -> Element {
    let mut element = Element { type_: String::new(), value: String::new() };
    sql.push(" FROM ");
    for depth in 0..below.len() {
        let source = if depth == 0 { valid(column) } else { element.container() };
        sql.push(if depth == 0 { "" } else { ", " }).push(&format!("json_each({source}) AS p{depth}"));
        element = Element::row(&format!("p{depth}"));
    }
    sql.push(" WHERE ");
    sql.list(below.iter().enumerate(), " AND ", |sql, (depth, key)| {
        let key_column = format!("p{depth}.key");
        sql.push("(").push(&key_column).push(" = ").bind(Value::Text(key.clone()));
        // A number is a place in a list, or the key of an object.
        if let Ok(place) = key.parse::<i64>() {
            sql.push(" OR ").push(&key_column).push(" = ").bind(Value::Int64(place));
        }
        sql.push(")");
    });
    element
}

fn push_element_test(sql: &mut Statement, element: &Element, test: &JsonTest) {
    match test {
        JsonTest::HasValue => {
            sql.push(&format!("{} <> 'null'", element.type_));
        }
        JsonTest::Equals(value) => push_equals(sql, element, &plain(value), 0),
        JsonTest::Contains(value) => {
            sql.push(&format!("EXISTS (SELECT 1 FROM json_each({}) AS item WHERE ", element.array()));
            push_equals(sql, &Element::row("item"), &plain(value), 0);
            sql.push(")");
        }
        JsonTest::Compare(operator, value) => push_compare(sql, element, operator, &plain(value)),
        JsonTest::Matches { pattern, ignore_case } => {
            let pattern = Value::Text(expression(pattern, *ignore_case));
            sql.push(&format!("({0} = 'text' AND {1} REGEXP ", element.type_, element.value))
                .bind(pattern.clone());
            sql.push(&format!(
                " OR EXISTS (SELECT 1 FROM json_each({}) AS item WHERE item.type = 'text' AND item.value REGEXP ",
                element.array()
            ));
            sql.bind(pattern).push("))");
        }
    }
}

/// The value as JSON would hold it: dates and the like are text there.
fn plain(value: &Value) -> Value {
    value_from_json(json_from_value(value))
}

fn push_compare(sql: &mut Statement, element: &Element, operator: &str, value: &Value) {
    let types = match value {
        Value::Bool(_) => "'true', 'false'",
        Value::Text(_) => "'text'",
        Value::Int32(_) | Value::Int64(_) | Value::Float(_) => "'integer', 'real'",
        _ => "''",
    };
    sql.push(&format!("({} IN ({types}) AND {} {operator} ", element.type_, element.value));
    match value {
        // SQLite does not read every number to its last bit, so both are read by it.
        Value::Float(_) => sql.push("json_extract(").bind(Value::Text(json_text(value))).push(", '$')"),
        value => sql.bind(value.clone()),
    };
    sql.push(")");
}

fn push_equals(sql: &mut Statement, element: &Element, value: &Value, depth: usize) {
    match value {
        Value::Null => {
            sql.push(&format!("{} = 'null'", element.type_));
        }
        Value::Array(items) => {
            let list = element.array();
            sql.push(&format!(
                "({} = 'array' AND json_array_length({list}) = {}",
                element.type_,
                items.len()
            ));
            for (i, item) in items.iter().enumerate() {
                push_member(sql, &list, Value::Int64(i64::try_from(i).unwrap_or(i64::MAX)), item, depth);
            }
            sql.push(")");
        }
        Value::Object(members) => {
            let object = format!("CASE WHEN {} = 'object' THEN {} END", element.type_, element.value);
            sql.push(&format!(
                "({} = 'object' AND (SELECT count(*) FROM json_each({object})) = {}",
                element.type_,
                members.len()
            ));
            for (key, member) in members.iter() {
                push_member(sql, &object, Value::Text(key.clone()), member, depth);
            }
            sql.push(")");
        }
        scalar => push_compare(sql, element, "=", scalar),
    }
}

fn push_member(sql: &mut Statement, container: &str, key: Value, member: &Value, depth: usize) {
    let alias = format!("e{depth}");
    sql.push(&format!(" AND EXISTS (SELECT 1 FROM json_each({container}) AS {alias} WHERE {alias}.key = "));
    sql.bind(key).push(" AND ");
    push_equals(sql, &Element::row(&alias), member, depth + 1);
    sql.push(")");
}
