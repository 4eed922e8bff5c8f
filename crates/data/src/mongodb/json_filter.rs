//! Conditions on JSON and list fields, and on places within them.
//!
//! MongoDB's own queries look into every item of a list on the way, take an item for the list, and compare the keys of
//! objects in order. The filter language does not, so these conditions are expressions. Where MongoDB's own query finds
//! those documents and perhaps others, it stands beside the expression, because it can use an index.

use mongodb::bson::{Bson, Document, doc};

use super::bson::bson_of;
use super::expression::{compares, contains, depends_on_order, equals, has_value, matches, value_at};
use super::extended::is_regular_expression;
use super::fields::{FieldRole, Place};
use super::filter::nothing;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Condition, FieldPath};
use crate::schema::FieldType;
use crate::value::Value;

/// The query of a condition.
///
/// # Errors
/// [`ErrorKind::Filter`] for an operand that cannot be compared with.
pub(super) fn compile(path: &FieldPath, place: &Place, condition: &Condition) -> Result<Document> {
    let json = JsonPlace {
        name: &path.field,
        stored: std::iter::once(&place.stored)
            .chain(&place.below)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("."),
        value: value_at(place),
        is_list: place.role == FieldRole::Declared(FieldType::Array) && place.below.is_empty(),
        is_whole: place.below.is_empty(),
        has_own_path: !place.below.iter().any(|key| key.bytes().all(|byte| byte.is_ascii_digit())),
    };
    match condition {
        Condition::Exists(true) => Ok(json.present()),
        Condition::Exists(false) => Ok(doc! {"$nor": [json.present()]}),
        Condition::Eq(value) => json.one_of(std::slice::from_ref(value)),
        Condition::Ne(value) => json.none_of(std::slice::from_ref(value)),
        Condition::In(values) => json.one_of(values),
        Condition::Nin(values) => json.none_of(values),
        Condition::Gt(value) => json.ordered("$gt", value),
        Condition::Gte(value) => json.ordered("$gte", value),
        Condition::Lt(value) => json.ordered("$lt", value),
        Condition::Lte(value) => json.ordered("$lte", value),
        Condition::Regex { pattern, ignore_case } => {
            let options = if *ignore_case { "i" } else { "" };
            let own = doc! {"$regex": pattern, "$options": options};
            json.narrowed(Some(own.into()), matches(json.value.clone(), pattern, *ignore_case)?)
        }
    }
}

/// A JSON value in documents.
struct JsonPlace<'a> {
    name: &'a str,
    /// The path as MongoDB's own queries have it.
    stored: String,
    value: Bson,
    /// Whether it is a list field, which equals each of its items as well.
    is_list: bool,
    is_whole: bool,
    /// Whether MongoDB's own path leads there too. It does not look into a list that is an item of a list.
    has_own_path: bool,
}

impl JsonPlace<'_> {
    fn present(&self) -> Document {
        if self.is_whole {
            // A list that holds null is not null, which MongoDB's own test thinks.
            return doc! {"$or": [{&self.stored: {"$type": "array"}}, {&self.stored: {"$ne": Bson::Null}}]};
        }
        doc! {"$expr": has_value(self.value.clone())}
    }

    fn one_of(&self, values: &[Value]) -> Result<Document> {
        match values {
            [] => return Ok(nothing()),
            [Value::Null] => return Ok(doc! {"$nor": [self.present()]}),
            _ => self.check(values)?,
        }
        let plain =
            values.iter().all(|value| !value.is_null() && !depends_on_order(value) && !is_operator(value));
        let own = plain.then(|| values.iter().map(bson_of).collect::<Result<Vec<_>>>()).transpose()?;
        let own = own.map(|values| doc! {"$in": values});
        if self.is_list
            && let Some(own) = &own
            && values.iter().all(is_single)
        {
            return Ok(doc! {&self.stored: own.clone()});
        }
        self.narrowed(own.map(Bson::Document), self.any(values)?)
    }

    fn none_of(&self, values: &[Value]) -> Result<Document> {
        match values {
            [] => Ok(Document::new()),
            [Value::Null] => Ok(self.present()),
            _ => {
                self.check(values)?;
                Ok(doc! {"$expr": {"$not": [self.any(values)?]}})
            }
        }
    }

    fn any(&self, values: &[Value]) -> Result<Document> {
        let tests = values.iter().map(|value| match value {
            Value::Null => Ok(doc! {"$not": [has_value(self.value.clone())]}),
            Value::Array(_) => equals(self.value.clone(), value),
            item if self.is_list => contains(self.value.clone(), item),
            value => equals(self.value.clone(), value),
        });
        Ok(doc! {"$or": tests.collect::<Result<Vec<_>>>()?})
    }

    fn ordered(&self, operator: &str, value: &Value) -> Result<Document> {
        if !is_single(value) {
            return Ok(nothing());
        }
        let own = doc! {operator: bson_of(value)?};
        self.narrowed(Some(own.into()), compares(self.value.clone(), operator, value)?)
    }

    /// The expression, beside MongoDB's own test where there is one.
    fn narrowed(&self, own: Option<Bson>, expression: Document) -> Result<Document> {
        Ok(match own.filter(|_| self.has_own_path) {
            Some(own) => doc! {"$and": [{&self.stored: own}, {"$expr": expression}]},
            None => doc! {"$expr": expression},
        })
    }

    fn check(&self, values: &[Value]) -> Result<()> {
        if values.iter().any(is_regular_expression) {
            // MongoDB would search with it instead of comparing it.
            let message = format!("field \"{}\": a regular expression needs the operator $regex", self.name);
            return Err(Error::new(ErrorKind::Filter, message));
        }
        Ok(())
    }
}

fn is_single(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Array(_) | Value::Object(_))
}

/// Within a list of values MongoDB would take an object with a name such as `$gt` for an operator.
fn is_operator(value: &Value) -> bool {
    matches!(value, Value::Object(object) if object.keys().next().is_some_and(|name| name.starts_with('$')))
}

/// Whether a query contains an expression, which MongoDB does not take in an upsert.
pub(super) fn has_expression(query: &Document) -> bool {
    query.iter().any(|(name, value)| {
        name == "$expr"
            || value.as_array().is_some_and(|parts| {
                name.starts_with('$') && parts.iter().filter_map(Bson::as_document).any(has_expression)
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_seen_at_any_depth_but_not_in_values() {
        assert!(has_expression(&doc! {"$or": [{"a": 1}, {"$and": [{"$expr": true}]}]}));
        assert!(!has_expression(&doc! {"a": {"$in": [{"$expr": 1}]}, "b": [{"$expr": 1}]}));
    }
}
