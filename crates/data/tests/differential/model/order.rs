//! The order of values.

use std::cmp::Ordering;

use data::{Direction, Record, Value};
use indexmap::IndexMap;

/// The order of two values of one kind; others have none.
pub(super) fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
        (a, b) => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

/// An order in which no value comes first, and then the kinds one after another.
pub(crate) fn ordered(a: &Value, b: &Value) -> Ordering {
    kind(a).cmp(&kind(b)).then_with(|| compare(a, b).unwrap_or(Ordering::Equal))
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Text(_) => 2,
        Value::Object(_) => 3,
        Value::Array(_) => 4,
        Value::Bool(_) => 5,
        Value::Timestamp(_) => 6,
        _ => 1,
    }
}

pub(super) fn sort_rows(rows: &mut [Record], sort: &IndexMap<String, Direction>) {
    rows.sort_by(|a, b| {
        let orders = sort.iter().map(|(name, direction)| {
            let order = ordered(&a[name], &b[name]);
            if *direction == Direction::Ascending { order } else { order.reverse() }
        });
        orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
}
