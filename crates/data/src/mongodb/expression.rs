//! Aggregation expressions: a place in a document, values that are taken as they are, and comparisons that mean what
//! the filter language says.

use mongodb::bson::{Bson, Document, doc};

use super::bson::bson_of;
use super::fields::Place;
use crate::error::Result;
use crate::value::Value;

/// A value that MongoDB does not interpret, whatever it looks like.
///
/// # Errors
/// [`ErrorKind::Value`](crate::ErrorKind::Value) for a value without an equivalent in BSON.
pub(super) fn literal(value: &Value) -> Result<Bson> {
    Ok(doc! {"$literal": bson_of(value)?}.into())
}

/// The value of a field; missing where the document has none. The name begins with no dollar sign and has no dot.
pub(super) fn field(name: &str) -> Bson {
    Bson::String(format!("${name}"))
}

/// The value at a place, null where there is none. Other than MongoDB's own paths this one leads into objects by their
/// keys and into lists by the position only, never into every item.
pub(super) fn value_at(place: &Place) -> Bson {
    let value = place.below.iter().fold(field(&place.stored), |value, key| step(value, key));
    doc! {"$ifNull": [value, Bson::Null]}.into()
}

fn step(value: Bson, key: &str) -> Bson {
    let mut branches = vec![doc! {"case": has_type("$$it".into(), "object"), "then": format!("$$it.{key}")}];
    if let Ok(position) = key.parse::<u32>()
        && let Ok(position) = i32::try_from(position)
    {
        branches.push(doc! {"case": {"$isArray": "$$it"}, "then": {"$arrayElemAt": ["$$it", position]}});
    }
    let below = doc! {"$switch": {"branches": branches, "default": Bson::Null}};
    doc! {"$let": {"vars": {"it": value}, "in": below}}.into()
}

/// Whether an expression has a value.
pub(super) fn has_value(value: Bson) -> Document {
    doc! {"$ne": [{"$ifNull": [value, Bson::Null]}, Bson::Null]}
}

pub(super) fn has_type(value: Bson, type_name: &str) -> Document {
    doc! {"$eq": [{"$type": value}, type_name]}
}

/// Whether an expression equals a value: numbers by their worth, the keys of objects in any order.
///
/// # Errors
/// As [`literal`].
pub(super) fn equals(given: Bson, value: &Value) -> Result<Document> {
    if !depends_on_order(value) {
        return Ok(doc! {"$eq": [given, literal(value)?]});
    }
    match value {
        Value::Array(items) => {
            let mut tests = vec![doc! {"$eq": [{"$size": "$$list"}, count(items.len())]}];
            for (position, item) in items.iter().enumerate() {
                tests.push(equals(doc! {"$arrayElemAt": ["$$list", count(position)]}.into(), item)?);
            }
            let same = doc! {"$cond": [{"$isArray": "$$list"}, {"$and": tests}, false]};
            Ok(doc! {"$let": {"vars": {"list": given}, "in": same}})
        }
        Value::Object(members) => {
            let mut tests = vec![doc! {"$eq": [{"$size": "$$members"}, count(members.len())]}];
            for (name, member) in members.iter() {
                let name = literal(&Value::Text(name.clone()))?;
                let same =
                    doc! {"$and": [{"$eq": ["$$member.k", name]}, equals("$$member.v".into(), member)?]};
                let any = doc! {"$map": {"input": "$$members", "as": "member", "in": same}};
                tests.push(doc! {"$anyElementTrue": [any]});
            }
            let members =
                doc! {"$let": {"vars": {"members": {"$objectToArray": "$$object"}}, "in": {"$and": tests}}};
            let same = doc! {"$cond": [has_type("$$object".into(), "object"), members, false]};
            Ok(doc! {"$let": {"vars": {"object": given}, "in": same}})
        }
        // Only lists and objects have an order.
        single => Ok(doc! {"$eq": [given, literal(single)?]}),
    }
}

/// Whether MongoDB's own comparison would look at the order of an object's keys.
pub(super) fn depends_on_order(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(depends_on_order),
        Value::Object(members) => members.len() > 1 || members.values().any(depends_on_order),
        _ => false,
    }
}

/// Whether an expression is a list with an item that equals a value.
///
/// # Errors
/// As [`literal`].
pub(super) fn contains(list: Bson, value: &Value) -> Result<Document> {
    let any = doc! {"$anyElementTrue": [{"$map": {"input": "$$items", "as": "one", "in": equals("$$one".into(), value)?}}]};
    let any = doc! {"$cond": [{"$isArray": "$$items"}, any, false]};
    Ok(doc! {"$let": {"vars": {"items": list}, "in": any}})
}

/// Whether an expression has the type of a value and compares so with it, such as by `$gt`.
///
/// # Errors
/// As [`literal`].
pub(super) fn compares(given: Bson, operator: &str, value: &Value) -> Result<Document> {
    let types: &[&str] = match value {
        Value::Int32(_) | Value::Int64(_) | Value::Float(_) | Value::Decimal(_) => {
            &["int", "long", "double", "decimal"]
        }
        Value::Text(_) => &["string"],
        Value::Bool(_) => &["bool"],
        Value::Timestamp(_) => &["date"],
        Value::ObjectId(_) => &["objectId"],
        Value::Bytes(_) => &["binData"],
        Value::Null | Value::JsonNull | Value::Array(_) | Value::Object(_) => &[],
    };
    let compared = doc! {operator: ["$$given", literal(value)?]};
    let same_type = doc! {"$in": [{"$type": "$$given"}, types.to_vec()]};
    Ok(doc! {"$let": {"vars": {"given": given}, "in": {"$and": [same_type, compared]}}})
}

/// Whether an expression is text that matches, or a list with such a text.
///
/// # Errors
/// As [`literal`].
pub(super) fn matches(given: Bson, pattern: &str, ignore_case: bool) -> Result<Document> {
    let pattern = literal(&Value::from(pattern))?;
    let one = |text: &str| {
        let matched = doc! {"$regexMatch": {
            "input": text, "regex": pattern.clone(), "options": if ignore_case { "i" } else { "" },
        }};
        doc! {"$cond": [has_type(text.into(), "string"), matched, false]}
    };
    let items = doc! {"$map": {"input": "$$given", "as": "item", "in": one("$$item")}};
    let any = doc! {"$cond": [{"$isArray": "$$given"}, {"$anyElementTrue": [items]}, one("$$given")]};
    Ok(doc! {"$let": {"vars": {"given": given}, "in": any}})
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
