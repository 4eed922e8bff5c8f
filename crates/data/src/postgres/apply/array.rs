//! Columns of many rows as binary arrays, one parameter each, so that a statement has the same text for any number of rows.

use super::super::encode::text_of;
use crate::table::ColumnType;
use crate::value::{Timestamp, Value};

/// PostgreSQL counts microseconds from 2000-01-01.
const EPOCH_MICROS: i64 = 10_957 * 86_400_000_000;

/// What the elements of an array are sent as. Types without a binary form here go as text, which the statement casts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Bool,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Timestamp,
    ZonedTimestamp,
    Uuid,
    Bytes,
    Text,
}

impl Element {
    /// The form of values of one of PostgreSQL's types, by its oid in `pg_type.dat`.
    pub(super) fn of_type(oid: u32) -> Self {
        match oid {
            16 => Self::Bool,
            17 => Self::Bytes,
            20 => Self::Int64,
            21 => Self::Int16,
            23 => Self::Int32,
            700 => Self::Float32,
            701 => Self::Float64,
            1114 => Self::Timestamp,
            1184 => Self::ZonedTimestamp,
            2950 => Self::Uuid,
            _ => Self::Text,
        }
    }

    fn oid(self) -> u32 {
        match self {
            Self::Bool => 16,
            Self::Bytes => 17,
            Self::Int64 => 20,
            Self::Int16 => 21,
            Self::Int32 => 23,
            Self::Text => 25,
            Self::Float32 => 700,
            Self::Float64 => 701,
            Self::Timestamp => 1114,
            Self::ZonedTimestamp => 1184,
            Self::Uuid => 2950,
        }
    }

    /// The type of the whole array in SQL.
    pub(super) fn array_sql(self) -> &'static str {
        match self {
            Self::Bool => "bool[]",
            Self::Bytes => "bytea[]",
            Self::Int64 => "int8[]",
            Self::Int16 => "int2[]",
            Self::Int32 => "int4[]",
            Self::Text => "text[]",
            Self::Float32 => "float4[]",
            Self::Float64 => "float8[]",
            Self::Timestamp => "timestamp[]",
            Self::ZonedTimestamp => "timestamptz[]",
            Self::Uuid => "uuid[]",
        }
    }
}

/// A column of some rows.
pub(super) struct ArrayColumn {
    /// What its elements are; text where one of the values has no binary form of the column's type, about which the server
    /// then has its say.
    pub(super) element: Element,
    /// The array in its binary form.
    pub(super) bytes: Vec<u8>,
}

impl ArrayColumn {
    /// The array of these values. Text is written for a column of the declared type.
    pub(super) fn of<'v>(
        values: impl ExactSizeIterator<Item = &'v Value> + Clone,
        element: Element,
        declared: &ColumnType,
    ) -> Self {
        if element != Element::Text
            && let Some(bytes) =
                array(values.clone(), element, |value, bytes| push_binary(value, element, bytes))
        {
            return Self { element, bytes };
        }
        let is_json = matches!(declared, ColumnType::Json | ColumnType::Any);
        let text = array(values, Element::Text, |value, bytes| {
            match value {
                Value::Text(text) if !is_json => push(text.as_bytes(), bytes),
                value => push(text_of(value, Some(declared)).unwrap_or_default().as_bytes(), bytes),
            }
            Some(())
        });
        Self { element: Element::Text, bytes: text.unwrap_or_default() }
    }
}

/// The header of the array, then its elements. `None` if one of them cannot be written.
fn array<'v>(
    values: impl ExactSizeIterator<Item = &'v Value>,
    element: Element,
    write: impl Fn(&Value, &mut Vec<u8>) -> Option<()>,
) -> Option<Vec<u8>> {
    const DIMENSIONS: i32 = 1;
    const MAY_HOLD_NULL: i32 = 1;
    const LOWER_BOUND: i32 = 1;
    let count = values.len();
    let mut bytes = Vec::with_capacity(20 + count * 12);
    bytes.extend_from_slice(&DIMENSIONS.to_be_bytes());
    bytes.extend_from_slice(&MAY_HOLD_NULL.to_be_bytes());
    bytes.extend_from_slice(&element.oid().to_be_bytes());
    bytes.extend_from_slice(&i32::try_from(count).ok()?.to_be_bytes());
    bytes.extend_from_slice(&LOWER_BOUND.to_be_bytes());
    for value in values {
        match value {
            Value::Null => bytes.extend_from_slice(&(-1i32).to_be_bytes()),
            value => write(value, &mut bytes)?,
        }
    }
    Some(bytes)
}

/// An element of a length that the server checks against its own limit of 1 GiB.
fn push(element: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&i32::try_from(element.len()).unwrap_or(i32::MAX).to_be_bytes());
    bytes.extend_from_slice(element);
}

/// Appends an element in the binary form of its type; `None` if the value is none of that type.
fn push_binary(value: &Value, element: Element, bytes: &mut Vec<u8>) -> Option<()> {
    match (element, value) {
        (Element::Bool, Value::Bool(flag)) => push(&[u8::from(*flag)], bytes),
        (Element::Int16, value) => push(&i16::try_from(integer(value)?).ok()?.to_be_bytes(), bytes),
        (Element::Int32, value) => push(&i32::try_from(integer(value)?).ok()?.to_be_bytes(), bytes),
        (Element::Int64, value) => push(&integer(value)?.to_be_bytes(), bytes),
        (Element::Float32, Value::Float(number)) => push(&single(*number)?.to_be_bytes(), bytes),
        (Element::Float64, Value::Float(number)) => push(&number.to_be_bytes(), bytes),
        (Element::Timestamp | Element::ZonedTimestamp, Value::Timestamp(moment)) => {
            push(&since_epoch(*moment)?.to_be_bytes(), bytes);
        }
        (Element::Uuid, Value::Text(text)) if text.len() == uuid::fmt::Hyphenated::LENGTH => {
            push(uuid::Uuid::parse_str(text).ok()?.as_bytes(), bytes);
        }
        (Element::Bytes, Value::Bytes(own)) => push(own, bytes),
        _ => return None,
    }
    Some(())
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int32(number) => Some(i64::from(*number)),
        Value::Int64(number) => Some(*number),
        _ => None,
    }
}

/// The single nearest to a double; none that would become 0 or infinite by that, which the server refuses.
fn single(number: f64) -> Option<f32> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounding is what is wanted, and the extremes are looked at"
    )]
    let single = number as f32;
    let is_lost = (single == 0.0 && number != 0.0) || (single.is_infinite() && number.is_finite());
    (!is_lost).then_some(single)
}

fn since_epoch(moment: Timestamp) -> Option<i64> {
    match moment {
        Timestamp::INFINITY => Some(i64::MAX),
        Timestamp::NEG_INFINITY => Some(i64::MIN),
        Timestamp(micros) => micros.checked_sub(EPOCH_MICROS).filter(|micros| *micros != i64::MIN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element_of(values: &[Value], element: Element) -> Element {
        ArrayColumn::of(values.iter(), element, &ColumnType::Int32).element
    }

    #[test]
    fn an_array_has_its_header_and_elements() {
        let values = [Value::Int32(7), Value::Null];
        let column = ArrayColumn::of(values.iter(), Element::Int32, &ColumnType::Int32);
        let words = [1u32, 1, 23, 2, 1, 4, 7, u32::MAX];
        assert_eq!(column.bytes, words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>());
    }

    #[test]
    fn values_that_are_not_of_the_type_go_as_text() {
        assert_eq!(element_of(&[Value::Int64(1 << 40)], Element::Int32), Element::Text);
        assert_eq!(element_of(&[Value::from("x")], Element::Uuid), Element::Text);
        assert_eq!(element_of(&[Value::Float(1e300)], Element::Float32), Element::Text);
        assert_eq!(element_of(&[Value::Float(f64::INFINITY)], Element::Float32), Element::Float32);
    }
}
