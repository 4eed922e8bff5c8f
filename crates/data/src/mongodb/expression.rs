//! Aggregation expressions: a place in a document, and values that are taken as they are.

use mongodb::bson::{Bson, doc};

use super::bson::bson_of;
use super::fields::Place;
use crate::error::Result;
use crate::value::Value;

/// A value that MongoDB does not interpret, whatever it looks like.
///
/// # Errors
/// [`ErrorKind::Value`](crate::ErrorKind::Value) for a value without an equivalent in BSON.
pub(super) fn literal(value: &Value) -> Result<Bson> {
    Ok(Bson::Document(doc! {"$literal": bson_of(value)?}))
}

/// The value of a field; missing where the document has none. The name begins with no dollar sign and has no dot.
pub(super) fn field(name: &str) -> Bson {
    Bson::String(format!("${name}"))
}

/// The value at a place, null where there is none. Other than MongoDB's own paths this one leads into objects by their
/// keys and into lists by the position only, never into every item.
pub(super) fn value_at(place: &Place) -> Bson {
    let value = place.below.iter().fold(field(&place.stored), |value, key| step(value, key));
    Bson::Document(doc! {"$ifNull": [value, Bson::Null]})
}

fn step(value: Bson, key: &str) -> Bson {
    let is_object = doc! {"$eq": [{"$type": "$$it"}, "object"]};
    let mut branches = vec![doc! {"case": is_object, "then": format!("$$it.{key}")}];
    if let Ok(position) = key.parse::<u32>()
        && let Ok(position) = i32::try_from(position)
    {
        branches.push(doc! {"case": {"$isArray": "$$it"}, "then": {"$arrayElemAt": ["$$it", position]}});
    }
    let below = doc! {"$switch": {"branches": branches, "default": Bson::Null}};
    Bson::Document(doc! {"$let": {"vars": {"it": value}, "in": below}})
}

/// Whether an expression has a value.
pub(super) fn has_value(value: Bson) -> Bson {
    Bson::Document(doc! {"$ne": [{"$ifNull": [value, Bson::Null]}, Bson::Null]})
}
