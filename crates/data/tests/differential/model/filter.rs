//! Whether a row passes a filter.

use data::schema::FieldType;
use data::{Condition, EntitySchema, Filter, Record, Timestamp, Value};

use super::order::compare;
use crate::filters::member;

pub(super) fn passes(schema: &EntitySchema, row: &Record, filter: &Filter) -> bool {
    match filter {
        Filter::All(parts) => parts.iter().all(|part| passes(schema, row, part)),
        Filter::Any(parts) => parts.iter().any(|part| passes(schema, row, part)),
        Filter::Field(path, condition) => {
            let value = path.below.iter().fold(row[&path.field].clone(), |value, key| member(&value, key));
            let field_type = schema.column(&path.field).unwrap().field_type();
            let is_json = matches!(field_type, FieldType::Json | FieldType::Array);
            let is_list = field_type == FieldType::Array && path.below.is_empty();
            Test { value, is_json, is_list }.holds(condition)
        }
    }
}

/// A value that a condition is about.
struct Test {
    value: Value,
    is_json: bool,
    /// Whether it is a list field, which equals each of its items.
    is_list: bool,
}

impl Test {
    fn holds(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Eq(operand) => self.equals(operand),
            Condition::Ne(operand) => !self.equals(operand),
            Condition::Gt(operand) => self.compares(operand, std::cmp::Ordering::is_gt),
            Condition::Gte(operand) => self.compares(operand, std::cmp::Ordering::is_ge),
            Condition::Lt(operand) => self.compares(operand, std::cmp::Ordering::is_lt),
            Condition::Lte(operand) => self.compares(operand, std::cmp::Ordering::is_le),
            Condition::In(operands) => operands.iter().any(|operand| self.equals(operand)),
            Condition::Nin(operands) => !operands.iter().any(|operand| self.equals(operand)),
            Condition::Exists(expected) => self.value.is_null() != *expected,
            Condition::Regex { pattern, ignore_case } => {
                let expression =
                    regex::RegexBuilder::new(pattern).case_insensitive(*ignore_case).build().unwrap();
                let matches = |value: &Value| value.as_text().is_some_and(|text| expression.is_match(text));
                match &self.value {
                    Value::Array(items) => items.iter().any(matches),
                    value => matches(value),
                }
            }
        }
    }

    fn equals(&self, operand: &Value) -> bool {
        let operand = &self.in_field(operand);
        match (&self.value, operand) {
            (value, Value::Null) => value.is_null(),
            (Value::Array(items), single) if self.is_list && !matches!(single, Value::Array(_)) => {
                items.iter().any(|item| item.same_as(single))
            }
            (value, operand) => value.same_as(operand),
        }
    }

    /// Only values of one kind have an order.
    fn compares(&self, operand: &Value, expected: impl Fn(std::cmp::Ordering) -> bool) -> bool {
        compare(&self.value, &self.in_field(operand)).is_some_and(expected)
    }

    /// A date may be given as text.
    fn in_field(&self, operand: &Value) -> Value {
        match (&self.value, operand) {
            (Value::Timestamp(_), Value::Text(text)) if !self.is_json => {
                Timestamp::parse_iso(text).map_or(Value::Null, Value::Timestamp)
            }
            _ => operand.clone(),
        }
    }
}
