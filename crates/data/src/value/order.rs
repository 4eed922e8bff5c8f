//! An order of all values, the same whatever database they come from.

use std::cmp::Ordering;

use super::Value;

impl Value {
    /// Orders values by their kind (null, numbers, text, documents, lists, bytes, booleans, dates), and within a kind
    /// by worth: numbers whatever their width, with NaN first, and text by its code points. Values that are
    /// [`same_as`](Self::same_as) each other are equal here.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        self.kind_rank().cmp(&other.kind_rank()).then_with(|| self.order_within_kind(other))
    }

    fn kind_rank(&self) -> u8 {
        match self {
            Self::Null | Self::JsonNull => 0,
            Self::Int32(_) | Self::Int64(_) | Self::Float(_) | Self::Decimal(_) => 1,
            Self::Text(_) => 2,
            Self::Object(_) => 3,
            Self::Array(_) => 4,
            Self::Bytes(_) => 5,
            Self::ObjectId(_) => 6,
            Self::Bool(_) => 7,
            Self::Timestamp(_) => 8,
        }
    }

    fn order_within_kind(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::Timestamp(a), Self::Timestamp(b)) => a.cmp(b),
            (Self::ObjectId(a), Self::ObjectId(b)) => a.to_string().cmp(&b.to_string()),
            (Self::Array(a), Self::Array(b)) => {
                let different = a.iter().zip(b).map(|(a, b)| a.order(b)).find(|order| order.is_ne());
                different.unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (Self::Object(a), Self::Object(b)) => {
                let (mut a, mut b): (Vec<_>, Vec<_>) = (a.iter().collect(), b.iter().collect());
                a.sort_by_key(|(name, _)| *name);
                b.sort_by_key(|(name, _)| *name);
                let entries = a.iter().zip(&b);
                let orders = entries.map(|((m, a), (n, b))| m.cmp(n).then_with(|| a.order(b)));
                orders.into_iter().find(|order| order.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (a, b) => match (a.as_integer(), b.as_integer()) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => order_doubles(a.as_f64(), b.as_f64()),
            },
        }
    }
}

/// NaN, and what is no number, comes first.
fn order_doubles(a: Option<f64>, b: Option<f64>) -> Ordering {
    let given = |number: Option<f64>| number.filter(|number| !number.is_nan());
    given(a).partial_cmp(&given(b)).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Timestamp;

    #[test]
    fn values_of_every_kind_have_an_order() {
        let ascending = [
            Value::Null,
            Value::Float(f64::NAN),
            Value::Float(f64::NEG_INFINITY),
            Value::Int32(-1),
            Value::Decimal("0.5".into()),
            Value::Int64(i64::MAX - 1),
            Value::Int64(i64::MAX),
            Value::from(""),
            Value::from("Z"),
            Value::from("a"),
            Value::from("é"),
            Value::object([("a", Value::Int32(1))]),
            Value::object([("a", Value::Int32(2))]),
            Value::Array(vec![]),
            Value::Array(vec![1.into()]),
            Value::Array(vec![1.into(), 0.into()]),
            Value::Bool(false),
            Value::Bool(true),
            Value::Timestamp(Timestamp::from_millis(-1)),
            Value::Timestamp(Timestamp::from_millis(1)),
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(a.order(b), i.cmp(&j), "{a:?} and {b:?}");
            }
        }
    }

    #[test]
    fn what_is_the_same_is_equal() {
        assert_eq!(Value::Int32(1).order(&Value::Float(1.0)), Ordering::Equal);
        let a = Value::object([("x", Value::Int32(1)), ("y", Value::Null)]);
        let b = Value::object([("y", Value::Null), ("x", Value::Float(1.0))]);
        assert_eq!(a.order(&b), Ordering::Equal);
    }
}
