//! Reading a filter from its JavaScript form.

use super::{Condition, FieldPath, Filter};
use crate::error::{Error, ErrorKind, Result};
use crate::value::{Object, Value};

const OPERATORS: &str = "$eq $ne $gt $gte $lt $lte $in $nin $regex $exists, and $or, $and around conditions";

impl Filter {
    /// Reads a filter such as `{age: {$gte: 18}, $or: [{name: 'a'}, {name: 'b'}]}`.
    ///
    /// # Errors
    /// [`ErrorKind::Filter`] naming the operator and the field.
    pub fn parse(object: &Object) -> Result<Self> {
        let mut parts = Vec::with_capacity(object.len());
        for (key, value) in object {
            match key.as_str() {
                "$and" => parts.push(Self::All(parse_list(key, value)?)),
                "$or" => parts.push(Self::Any(parse_list(key, value)?)),
                operator if operator.starts_with('$') => {
                    return Err(unknown_operator(operator, "the filter"));
                }
                path => parse_field(path, value, &mut parts)?,
            }
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Self::All(parts) })
    }
}

fn parse_list(key: &str, value: &Value) -> Result<Vec<Filter>> {
    let expected = || {
        Error::new(
            ErrorKind::Filter,
            format!("{key}: expected a list of filters, found {}", value.type_name()),
        )
    };
    let Value::Array(items) = value else {
        return Err(expected());
    };
    items
        .iter()
        .map(|item| match item {
            Value::Object(object) => Filter::parse(object),
            _ => Err(expected()),
        })
        .collect()
}

fn parse_field(path: &str, value: &Value, parts: &mut Vec<Filter>) -> Result<()> {
    let path = FieldPath::parse(path)?;
    match value {
        Value::Object(object) if object.keys().any(|key| key.starts_with('$')) => {
            for (operator, operand) in object.iter() {
                if let Some(condition) = parse_condition(&path.field, operator, operand, object)? {
                    parts.push(Filter::Field(path.clone(), condition));
                }
            }
        }
        equal => parts.push(Filter::Field(path, Condition::Eq(equal.clone()))),
    }
    Ok(())
}

impl FieldPath {
    /// Reads a path such as `address.city`.
    ///
    /// # Errors
    /// [`ErrorKind::Filter`] if it is no field name.
    pub(crate) fn parse(path: &str) -> Result<Self> {
        let mut segments = path.split('.').map(str::to_owned);
        let field = segments.next().unwrap_or_default();
        let below: Vec<String> = segments.collect();
        let valid = !field.is_empty()
            && !path.contains('\0')
            && below.iter().all(|key| !key.is_empty() && !key.starts_with('$'));
        if !valid {
            return Err(Error::new(ErrorKind::Filter, format!("{path:?} is no field name")));
        }
        Ok(Self { field, below })
    }
}

fn parse_condition(field: &str, operator: &str, operand: &Value, all: &Object) -> Result<Option<Condition>> {
    let condition = match operator {
        "$eq" => Condition::Eq(operand.clone()),
        "$ne" => Condition::Ne(operand.clone()),
        "$gt" => Condition::Gt(ordered(field, operator, operand)?),
        "$gte" => Condition::Gte(ordered(field, operator, operand)?),
        "$lt" => Condition::Lt(ordered(field, operator, operand)?),
        "$lte" => Condition::Lte(ordered(field, operator, operand)?),
        "$in" => Condition::In(list(field, operator, operand)?),
        "$nin" => Condition::Nin(list(field, operator, operand)?),
        "$exists" => {
            Condition::Exists(!matches!(operand, Value::Bool(false) | Value::Int32(0) | Value::Null))
        }
        "$regex" => regex(field, operand, all)?,
        // Read together with $regex.
        "$regexFlags" | "$options" if all.contains_key("$regex") => return Ok(None),
        other => return Err(unknown_operator(other, &format!("field \"{field}\""))),
    };
    Ok(Some(condition))
}

fn ordered(field: &str, operator: &str, operand: &Value) -> Result<Value> {
    match operand {
        Value::Null | Value::Array(_) | Value::Object(_) => Err(Error::new(
            ErrorKind::Filter,
            format!(
                "field \"{field}\": {operator} compares with a single value, found {}",
                operand.type_name()
            ),
        )),
        value => Ok(value.clone()),
    }
}

fn list(field: &str, operator: &str, operand: &Value) -> Result<Vec<Value>> {
    match operand {
        Value::Array(items) => Ok(items.clone()),
        other => Err(Error::new(
            ErrorKind::Filter,
            format!("field \"{field}\": {operator} expects a list, found {}", other.type_name()),
        )),
    }
}

fn regex(field: &str, operand: &Value, all: &Object) -> Result<Condition> {
    let Some(pattern) = operand.as_text() else {
        return Err(Error::new(
            ErrorKind::Filter,
            format!(
                "field \"{field}\": $regex expects the text of an expression, found {}",
                operand.type_name()
            ),
        ));
    };
    let flags = all.get("$regexFlags").or_else(|| all.get("$options")).and_then(Value::as_text).unwrap_or("");
    if let Some(flag) = flags.chars().find(|flag| !matches!(flag, 'i' | 'g' | 'u')) {
        return Err(Error::new(
            ErrorKind::Filter,
            format!("field \"{field}\": regular expression flag \"{flag}\" is not known; known is i"),
        ));
    }
    Ok(Condition::Regex { pattern: pattern.to_owned(), ignore_case: flags.contains('i') })
}

fn unknown_operator(operator: &str, place: &str) -> Error {
    Error::new(ErrorKind::Filter, format!("{place}: unknown operator \"{operator}\"; known are {OPERATORS}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::value::value_from_json;

    fn parse(json: Json) -> Result<Filter> {
        match value_from_json(json) {
            Value::Object(object) => Filter::parse(&object),
            _ => panic!("tests pass objects"),
        }
    }

    fn field(name: &str, condition: Condition) -> Filter {
        Filter::Field(FieldPath { field: name.to_owned(), below: Vec::new() }, condition)
    }

    #[test]
    fn several_operators_on_one_field_all_hold() {
        let filter = parse(json!({"age": {"$gte": 18, "$lt": 65}})).unwrap();
        let expected = [field("age", Condition::Gte(18.into())), field("age", Condition::Lt(65.into()))];
        assert_eq!(filter, Filter::All(expected.to_vec()));
    }

    #[test]
    fn or_and_and_nest() {
        let filter = parse(json!({"$or": [{"a": 1}, {"$and": [{"b": null}, {"c": {"$in": []}}]}]})).unwrap();
        let inner =
            Filter::All(vec![field("b", Condition::Eq(Value::Null)), field("c", Condition::In(vec![]))]);
        // A list of one filter per entry stays as it is; {$and: [..]} is the only part of its object.
        assert_eq!(filter, Filter::Any(vec![field("a", Condition::Eq(1.into())), inner]));
    }

    #[test]
    fn a_plain_object_is_compared_as_a_value() {
        let filter = parse(json!({"address": {"city": "Oran"}})).unwrap();
        assert_eq!(filter, field("address", Condition::Eq(Value::object([("city", Value::from("Oran"))]))));
    }

    #[test]
    fn a_regular_expression_takes_its_flags_along() {
        let filter = parse(json!({"name": {"$regex": "^a", "$regexFlags": "i"}})).unwrap();
        assert_eq!(filter, field("name", Condition::Regex { pattern: "^a".into(), ignore_case: true }));
    }

    #[test]
    fn an_operator_that_does_not_exist_is_named() {
        for json in [json!({"age": {"$near": 1}}), json!({"$where": "1"}), json!({"$or": [{"a": {"$x": 1}}]})]
        {
            let error = parse(json).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Filter);
            assert!(error.to_string().contains("unknown operator \"$"), "{error}");
        }
    }
}
