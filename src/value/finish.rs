//! Which columns of a result JavaScript must finish after `JSON.parse`, and how.

use data::{Record, Value};

use super::write::has_tag_key;

/// The greatest integer up to which JavaScript's numbers are exact.
const MAX_EXACT: i64 = 1 << 53;

/// How a column that needs more than `JSON.parse` is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// Every value is a moment: milliseconds, or text where JavaScript has no such date.
    Date,
    /// Every value is a number: text is a big integer, NaN or an infinity.
    Number,
    /// Every value is bytes, in base64.
    Bytes,
    /// Values may hold tags.
    Tagged,
}

impl Finish {
    /// The name that JavaScript knows it by.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Number => "number",
            Self::Bytes => "bytes",
            Self::Tagged => "tagged",
        }
    }

    /// How a value must be finished, if `JSON.parse` alone does not get it right.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Timestamp(_) => Some(Self::Date),
            Value::Bytes(_) => Some(Self::Bytes),
            Value::Int64(number) if !is_exact(*number) => Some(Self::Number),
            Value::Float(number) if !number.is_finite() => Some(Self::Number),
            Value::Array(_) | Value::Object(_) if holds_tags(value) => Some(Self::Tagged),
            _ => None,
        }
    }

    /// Whether a value can stand in a column that is finished so.
    fn suits(self, value: &Value) -> bool {
        match self {
            Self::Tagged => true,
            _ if value.is_null() => true,
            Self::Date => matches!(value, Value::Timestamp(_)),
            Self::Bytes => matches!(value, Value::Bytes(_)),
            Self::Number => matches!(value, Value::Int32(_) | Value::Int64(_) | Value::Float(_)),
        }
    }
}

/// How a column of these values is finished, if `JSON.parse` alone does not get it right. One of mixed values gets tags.
pub(super) fn finish_of<'a>(values: impl Iterator<Item = &'a Value> + Clone) -> Option<Finish> {
    let mut needed = values.clone().filter_map(Finish::of);
    let first = needed.next()?;
    let is_one = needed.all(|other| other == first);
    Some(if is_one && values.into_iter().all(|value| first.suits(value)) { first } else { Finish::Tagged })
}

/// The columns that `JSON.parse` does not get right.
pub(super) fn columns_to_finish(records: &[Record]) -> Vec<(&str, Finish)> {
    let mut columns: Vec<(&str, Finish)> = Vec::new();
    for (name, value) in records.iter().flatten() {
        if Finish::of(value).is_some() && !columns.iter().any(|(known, _)| known == name) {
            let finish = finish_of(records.iter().filter_map(|record| record.get(name)));
            columns.push((name, finish.unwrap_or(Finish::Tagged)));
        }
    }
    columns
}

/// Whether JavaScript's numbers hold this integer, and no other comes out as the same number.
pub(super) fn is_exact(number: i64) -> bool {
    (-MAX_EXACT..=MAX_EXACT).contains(&number)
}

/// Whether these are the digits of an integer, more of them than JavaScript's numbers hold.
pub(super) fn is_large_integer(digits: &str) -> bool {
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    digits.len() > 15 && digits.bytes().all(|digit| digit.is_ascii_digit())
}

fn holds_tags(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(holds_tags),
        Value::Object(object) => has_tag_key(object) || object.values().any(holds_tags),
        Value::Decimal(digits) => is_large_integer(digits),
        other => Finish::of(other).is_some(),
    }
}
