//! Random filters, mostly about values that some row has.

use data::schema::{EntitySchema, FieldType, ID};
use data::{Condition, FieldPath, Filter, Record, Value};

use crate::random::Random;
use crate::values::{random_given, random_json};

/// Expressions that every engine reads alike.
const PATTERNS: [&str; 8] = ["a", "^a", "b$", "^$", "[A-Z]", "^(a|b)", "\\.y", "r.*h"];

pub(crate) fn random_filter(random: &mut Random, schema: &EntitySchema, rows: &[Record]) -> Filter {
    match random.below(10) {
        0 => Filter::everything(),
        1 => Filter::Any(several(random, schema, rows)),
        2 => Filter::All(several(random, schema, rows)),
        3 if schema.soft_delete => {
            let condition =
                if random.percent(50) { Condition::Exists(true) } else { Condition::Eq(Value::Null) };
            Filter::Field(path("deletedAt"), condition).and(random_condition(random, schema, rows))
        }
        _ => random_condition(random, schema, rows),
    }
}

fn several(random: &mut Random, schema: &EntitySchema, rows: &[Record]) -> Vec<Filter> {
    (0..random.below(4)).map(|_| random_condition(random, schema, rows)).collect()
}

fn random_condition(random: &mut Random, schema: &EntitySchema, rows: &[Record]) -> Filter {
    if random.percent(2) {
        return Filter::eq("no such field", 1);
    }
    if random.percent(5) {
        return Filter::Field(path(ID), plain_condition(random, FieldType::String, ID, rows));
    }
    let names: Vec<&String> = schema.fields.keys().collect();
    let name = *random.pick(&names);
    let field_type = schema.fields[name].field_type;
    match field_type {
        FieldType::Json | FieldType::Array => {
            let below = if random.percent(50) { random_path(random, name, rows) } else { Vec::new() };
            let condition = json_condition(random, name, &below, rows);
            Filter::Field(FieldPath { field: name.clone(), below }, condition)
        }
        plain => Filter::Field(path(name), plain_condition(random, plain, name, rows)),
    }
}

pub(crate) fn path(field: &str) -> FieldPath {
    FieldPath { field: field.to_owned(), below: Vec::new() }
}

/// The keys that lead to some value within a field of some row.
pub(crate) fn random_path(random: &mut Random, field: &str, rows: &[Record]) -> Vec<String> {
    let mut below = Vec::new();
    let mut value = some_value(random, field, rows);
    for _ in 0..random.below(3) + 1 {
        let (key, next) = match value {
            Value::Object(object) if !object.is_empty() => {
                let (key, value) = object.get_index(random.below(object.len())).unwrap();
                (key.clone(), value.clone())
            }
            Value::Array(items) if !items.is_empty() => {
                let place = random.below(items.len());
                (place.to_string(), items[place].clone())
            }
            _ => (random.pick(&["a", "0", "é"]).to_string(), Value::Null),
        };
        // Such keys cannot be part of a path.
        if key.is_empty() || key.starts_with('$') || key.contains('.') {
            break;
        }
        below.push(key);
        value = next;
    }
    below
}

fn some_value(random: &mut Random, field: &str, rows: &[Record]) -> Value {
    match rows {
        [] => Value::Null,
        rows => random.pick(rows).get(field).cloned().unwrap_or_default(),
    }
}

fn plain_condition(random: &mut Random, field_type: FieldType, field: &str, rows: &[Record]) -> Condition {
    let operand = |random: &mut Random| match some_value(random, field, rows) {
        Value::Null => random_given(random, field_type),
        known if random.percent(70) => known,
        _ => random_given(random, field_type),
    };
    let is_text = matches!(field_type, FieldType::String | FieldType::Text);
    match random.below(10) {
        0 => Condition::Gt(operand(random)),
        1 => Condition::Gte(operand(random)),
        2 => Condition::Lt(operand(random)),
        3 => Condition::Lte(operand(random)),
        4 => Condition::In(with_null(random, operand)),
        5 => Condition::Nin(with_null(random, operand)),
        6 if is_text => random_regex(random),
        7 => Condition::Exists(random.percent(50)),
        8 => Condition::Ne(if random.percent(20) { Value::Null } else { operand(random) }),
        _ => Condition::Eq(if random.percent(20) { Value::Null } else { operand(random) }),
    }
}

fn json_condition(random: &mut Random, field: &str, below: &[String], rows: &[Record]) -> Condition {
    let operand = |random: &mut Random| {
        let found = below.iter().fold(some_value(random, field, rows), |value, key| member(&value, key));
        match found {
            // A list field is often asked for one of its items.
            Value::Array(items) if !items.is_empty() && random.percent(60) => random.pick(&items).clone(),
            Value::Null => random_json(random, 1),
            known if random.percent(80) => known,
            _ => random_json(random, 1),
        }
    };
    let single = |random: &mut Random| match operand(random) {
        Value::Null | Value::Array(_) | Value::Object(_) => Value::from(1),
        single => single,
    };
    match random.below(10) {
        0 => Condition::Gt(single(random)),
        1 => Condition::Gte(single(random)),
        2 => Condition::Lt(single(random)),
        3 => Condition::Lte(single(random)),
        4 => Condition::In(with_null(random, operand)),
        5 => Condition::Nin(with_null(random, operand)),
        6 => random_regex(random),
        7 => Condition::Exists(random.percent(50)),
        8 => Condition::Ne(operand(random)),
        _ => Condition::Eq(operand(random)),
    }
}

pub(crate) fn member(value: &Value, key: &str) -> Value {
    match value {
        Value::Object(object) => object.get(key).cloned().unwrap_or_default(),
        Value::Array(items) => {
            key.parse::<usize>().ok().and_then(|place| items.get(place)).cloned().unwrap_or_default()
        }
        _ => Value::Null,
    }
}

fn with_null(random: &mut Random, operand: impl Fn(&mut Random) -> Value) -> Vec<Value> {
    (0..random.below(4)).map(|_| if random.percent(15) { Value::Null } else { operand(random) }).collect()
}

fn random_regex(random: &mut Random) -> Condition {
    Condition::Regex { pattern: random.pick(&PATTERNS).to_string(), ignore_case: random.percent(50) }
}
