//! Whether two values mean the same, across the types that databases give them.

use super::{Value, normal_decimal};

impl Value {
    /// Whether two values mean the same: numbers by their worth whatever their width, NaN like NaN, objects without
    /// regard to the order of their keys.
    pub fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Self::Decimal(a), Self::Decimal(b)) => a == b || normal_decimal(a) == normal_decimal(b),
            (Self::Array(a), Self::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same_as(b))
            }
            (Self::Object(a), Self::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| a.same_as(b)))
            }
            (a, b) => match (a.as_integer(), b.as_integer()) {
                (Some(a), Some(b)) => a == b,
                _ => match (a.exact_text(), b.exact_text()) {
                    (Some(a), Some(b)) => a == b,
                    _ if a.is_number() && b.is_number() => a.as_f64() == b.as_f64(),
                    _ => a == b,
                },
            },
        }
    }

    /// The value as an integer, if it is one by type.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Int32(number) => Some(i64::from(*number)),
            Self::Int64(number) => Some(*number),
            _ => None,
        }
    }

    /// All digits of a finite number; of a double the fewest that tell it from every other one.
    fn exact_text(&self) -> Option<String> {
        match self {
            Self::Int32(number) => Some(number.to_string()),
            Self::Int64(number) => Some(number.to_string()),
            Self::Float(number) if number.is_finite() => Some(normal_decimal(&number.to_string())),
            Self::Decimal(text) => Some(normal_decimal(text)),
            _ => None,
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Int32(_) | Self::Int64(_) | Self::Float(_) | Self::Decimal(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_worth() {
        assert!(Value::Int32(1).same_as(&Value::Int64(1)));
        assert!(Value::Int32(1).same_as(&Value::Float(1.0)));
        assert!(!Value::Int64(1).same_as(&Value::Float(1.5)));
        assert!(Value::Float(f64::NAN).same_as(&Value::Float(f64::NAN)));
        assert!(!Value::from("1").same_as(&Value::Int32(1)));
    }

    #[test]
    fn integers_beyond_a_double_are_told_apart() {
        assert!(!Value::Int64(i64::MAX).same_as(&Value::Int64(i64::MAX - 1)));
        let (beyond, decimal) = (9_007_199_254_740_993, |text: &str| Value::Decimal(text.into()));
        assert!(!Value::Int64(beyond).same_as(&Value::Float(9_007_199_254_740_992.0)));
        assert!(!Value::Int64(beyond).same_as(&decimal("9007199254740992.0001")));
        assert!(Value::Int64(beyond).same_as(&decimal("9007199254740993.0")));
    }

    #[test]
    fn digits_that_a_double_does_not_hold_count() {
        let decimal = |text: &str| Value::Decimal(text.into());
        assert!(!Value::Float(0.1).same_as(&decimal("0.1000000000000000055511151231257827")));
        assert!(Value::Float(0.1).same_as(&decimal("0.10")) && Value::Float(-0.0).same_as(&decimal("0")));
        assert!(Value::Float(1e22).same_as(&decimal("10000000000000000000000")));
        assert!(Value::Float(f64::INFINITY).same_as(&decimal("Infinity")));
    }

    #[test]
    fn objects_are_the_same_in_any_order() {
        let a = Value::object([("x", Value::Int32(1)), ("y", Value::Null)]);
        let b = Value::object([("y", Value::Null), ("x", Value::Float(1.0))]);
        assert!(a.same_as(&b));
    }
}
