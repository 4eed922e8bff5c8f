//! Values as shards send them: read, compared, added, and written as the type of a column.

use std::cmp::Ordering;

use wire::{Column, Format};

use crate::shard::decimal::Decimal;
use crate::shard::key::{hex_of, order_of_floats};
use crate::shard::moment::{date_of, timestamp_of};

const BOOL: u32 = 16;
const BYTEA: u32 = 17;
const CHAR: u32 = 18;
const NAME: u32 = 19;
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const TEXT: u32 = 25;
const OID: u32 = 26;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const BPCHAR: u32 = 1042;
const VARCHAR: u32 = 1043;
const DATE: u32 = 1082;
const TIME: u32 = 1083;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;
const NUMERIC: u32 = 1700;
const UUID: u32 = 2950;

/// A value of which this crate knows when it equals another, and which is the larger.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Decimal(Decimal),
    /// A date or a time, by the number that stands for it.
    Moment(i64),
    /// What is compared byte by byte.
    Bytes(Vec<u8>),
}

/// Whether the order of a type depends on a collation.
pub(super) fn is_collated(type_oid: u32) -> bool {
    matches!(type_oid, TEXT | VARCHAR | BPCHAR)
}

/// Whether sums of the type have lost digits that a mean needs.
pub(super) fn is_short_float(type_oid: u32) -> bool {
    type_oid == FLOAT4
}

impl Value {
    /// Reads a cell; `None` where its type is not known here.
    pub(super) fn read(cell: Option<&[u8]>, column: &Column) -> Option<Self> {
        let Some(bytes) = cell else {
            return is_known(column.type_oid).then_some(Self::Null);
        };
        let is_binary = column.format == Format::Binary;
        let text = || str::from_utf8(bytes).ok();
        Some(match column.type_oid {
            BOOL if is_binary => Self::Bool(bytes == [1]),
            BOOL => Self::Bool(bytes == b"t"),
            INT2 | INT4 | INT8 | OID if is_binary => Self::Int(match column.type_oid {
                OID => u32::from_be_bytes(bytes.try_into().ok()?).into(),
                INT2 => i16::from_be_bytes(bytes.try_into().ok()?).into(),
                INT4 => i32::from_be_bytes(bytes.try_into().ok()?).into(),
                _ => i64::from_be_bytes(bytes.try_into().ok()?).into(),
            }),
            INT2 | INT4 | INT8 | OID => Self::Int(text()?.parse().ok()?),
            FLOAT4 if is_binary => Self::Float(f32::from_be_bytes(bytes.try_into().ok()?).into()),
            FLOAT8 if is_binary => Self::Float(f64::from_be_bytes(bytes.try_into().ok()?)),
            FLOAT4 | FLOAT8 => Self::Float(text()?.parse().ok()?),
            NUMERIC if !is_binary => Self::Decimal(Decimal::parse(text()?)?),
            DATE if is_binary => Self::Moment(i32::from_be_bytes(bytes.try_into().ok()?).into()),
            DATE => Self::Moment(date_of(text()?)?.into()),
            TIMESTAMP | TIMESTAMPTZ if is_binary => Self::Moment(i64::from_be_bytes(bytes.try_into().ok()?)),
            TIMESTAMP | TIMESTAMPTZ => Self::Moment(timestamp_of(text()?, column.type_oid == TIMESTAMPTZ)?),
            BYTEA if !is_binary => Self::Bytes(hex_of(text()?.strip_prefix("\\x")?)?),
            BPCHAR => Self::Bytes(bytes.trim_suffix_spaces().to_vec()),
            TIME if !is_binary => Self::Bytes(bytes.to_vec()),
            CHAR => Self::Bytes(vec![single_byte(bytes)]),
            BYTEA | TEXT | VARCHAR | NAME | UUID => Self::Bytes(bytes.to_vec()),
            _ => return None,
        })
    }

    /// The order of two values of one type, neither of which is NULL.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => one.cmp(other),
            (Self::Int(one), Self::Int(other)) => one.cmp(other),
            (Self::Float(one), Self::Float(other)) => order_of_floats(*one, *other),
            (Self::Decimal(one), Self::Decimal(other)) => one.order(other),
            (Self::Moment(one), Self::Moment(other)) => one.cmp(other),
            (Self::Bytes(one), Self::Bytes(other)) => one.cmp(other),
            _ => Ordering::Equal,
        }
    }

    /// Bytes that are equal where values of one type are.
    pub(super) fn write_key(&self, key: &mut Vec<u8>) {
        let mut write = |kind: u8, bytes: &[u8]| {
            key.push(kind);
            key.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            key.extend_from_slice(bytes);
        };
        match self {
            Self::Null => write(0, &[]),
            Self::Bool(value) => write(1, &[u8::from(*value)]),
            Self::Int(value) => write(2, &value.to_le_bytes()),
            Self::Float(value) if value.is_nan() => write(3, b"NaN"),
            // Both zeros are equal.
            Self::Float(value) => write(3, &(value + 0.0).to_le_bytes()),
            Self::Decimal(value) => write(4, value.normal().as_bytes()),
            Self::Moment(value) => write(5, &value.to_le_bytes()),
            Self::Bytes(value) => write(6, value),
        }
    }

    /// The sum; NULL adds nothing. `None` for what is no number.
    pub(super) fn add(&self, other: &Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Null, other) | (other, Self::Null) => other.clone(),
            (Self::Int(one), Self::Int(other)) => Self::Int(one.checked_add(*other)?),
            (Self::Decimal(one), Self::Decimal(other)) => Self::Decimal(one.add(other)),
            (Self::Float(one), Self::Float(other)) => Self::Float(one + other),
            _ => return None,
        })
    }

    /// The mean of so many values whose sum this is; `None` for what is no number.
    pub(super) fn mean(&self, count: i64) -> Option<Self> {
        if count == 0 {
            return Some(Self::Null);
        }
        Some(match self {
            Self::Null => Self::Null,
            Self::Int(sum) => Self::Decimal(Decimal::from_integer(*sum).divided_by(count)),
            Self::Decimal(sum) => Self::Decimal(sum.divided_by(count)),
            Self::Float(sum) => Self::Float(sum / count as f64),
            _ => return None,
        })
    }

    /// The value as a cell of a column.
    pub(super) fn write(&self, column: &Column) -> Result<Option<Vec<u8>>, Unwritable> {
        let is_binary = column.format == Format::Binary;
        let float = |value: f64| match column.type_oid {
            FLOAT8 if is_binary => Ok(value.to_be_bytes().to_vec()),
            FLOAT4 if is_binary => Ok((value as f32).to_be_bytes().to_vec()),
            FLOAT4 => Ok(float_text(f64::from(value as f32), &(value as f32).to_string())),
            FLOAT8 => Ok(float_text(value, &value.to_string())),
            _ => Err(Unwritable::Type),
        };
        let has_modifier = column.type_modifier != -1;
        Ok(Some(match self {
            Self::Null => return Ok(None),
            Self::Int(value) => match column.type_oid {
                INT2 | INT4 | INT8 | OID => integer(*value, column.type_oid, is_binary)?,
                NUMERIC if !has_modifier => Decimal::from_integer(*value).to_text().into_bytes(),
                FLOAT4 | FLOAT8 => float(*value as f64)?,
                _ => return Err(Unwritable::Type),
            },
            Self::Decimal(value) => match column.type_oid {
                NUMERIC if !has_modifier => value.to_text().into_bytes(),
                FLOAT8 => float(value.to_text().parse().map_err(|_| Unwritable::Type)?)?,
                _ => return Err(Unwritable::Type),
            },
            Self::Float(value) => float(*value)?,
            Self::Bool(value) if column.type_oid == BOOL => match (is_binary, value) {
                (true, value) => vec![u8::from(*value)],
                (false, true) => b"t".to_vec(),
                (false, false) => b"f".to_vec(),
            },
            _ => return Err(Unwritable::Type),
        }))
    }
}

/// The byte that a `"char"` is: nothing stands for a zero, and a backslash before octal digits for one above 127.
fn single_byte(text: &[u8]) -> u8 {
    let octal = text.strip_prefix(b"\\").and_then(|digits| str::from_utf8(digits).ok());
    let escaped = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
    escaped.or(text.first().copied()).unwrap_or(0)
}

/// Why a value cannot be a cell of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwritable {
    /// The column is of a type that is not made here.
    Type,
    /// The type has no number so large.
    Range,
}

/// The text of a cell in binary form, for the types that come so.
pub(super) fn binary_of(text: &[u8], type_oid: u32) -> Option<Vec<u8>> {
    let text = str::from_utf8(text).ok()?;
    Some(match type_oid {
        BOOL => vec![u8::from(text == "t")],
        BYTEA => hex_of(text.strip_prefix("\\x")?)?,
        INT2 => text.parse::<i16>().ok()?.to_be_bytes().to_vec(),
        INT4 => text.parse::<i32>().ok()?.to_be_bytes().to_vec(),
        OID => text.parse::<u32>().ok()?.to_be_bytes().to_vec(),
        FLOAT8 => text.parse::<f64>().ok()?.to_be_bytes().to_vec(),
        DATE => date_of(text)?.to_be_bytes().to_vec(),
        TIMESTAMP | TIMESTAMPTZ => timestamp_of(text, type_oid == TIMESTAMPTZ)?.to_be_bytes().to_vec(),
        _ => return None,
    })
}

fn is_known(type_oid: u32) -> bool {
    matches!(
        type_oid,
        BOOL | BYTEA
            | CHAR
            | NAME
            | INT8
            | INT2
            | INT4
            | TEXT
            | OID
            | FLOAT4
            | FLOAT8
            | BPCHAR
            | VARCHAR
            | DATE
            | TIME
            | TIMESTAMP
            | TIMESTAMPTZ
            | NUMERIC
            | UUID
    )
}

fn integer(value: i128, type_oid: u32, is_binary: bool) -> Result<Vec<u8>, Unwritable> {
    let range = |_| Unwritable::Range;
    let bytes = match type_oid {
        INT2 => i16::try_from(value).map_err(range)?.to_be_bytes().to_vec(),
        INT4 => i32::try_from(value).map_err(range)?.to_be_bytes().to_vec(),
        OID => u32::try_from(value).map_err(range)?.to_be_bytes().to_vec(),
        _ => i64::try_from(value).map_err(range)?.to_be_bytes().to_vec(),
    };
    Ok(if is_binary { bytes } else { value.to_string().into_bytes() })
}

/// A float as the server writes those that are no finite numbers; of others the text is given.
fn float_text(value: f64, text: &str) -> Vec<u8> {
    let text = if value.is_nan() {
        "NaN"
    } else if value == f64::INFINITY {
        "Infinity"
    } else if value == f64::NEG_INFINITY {
        "-Infinity"
    } else {
        text
    };
    text.as_bytes().to_vec()
}

trait TrimSpaces {
    fn trim_suffix_spaces(&self) -> &[u8];
}

impl TrimSpaces for [u8] {
    /// Without the spaces at the end, which char(n) does not count.
    fn trim_suffix_spaces(&self) -> &[u8] {
        let end = self.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
        self.get(..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_bytes_are_ordered_by_their_values_and_not_by_their_texts() {
        let column = Column {
            name: "c".into(),
            table_oid: 0,
            column_id: 0,
            type_oid: CHAR,
            type_size: 1,
            type_modifier: -1,
            format: Format::Text,
        };
        let read = |text: &str| Value::read(Some(text.as_bytes()), &column).unwrap();
        let in_order = ["", "Z", "\\", "a", "\u{7f}", "\\200", "\\377"].map(read);
        for pair in in_order.windows(2) {
            assert_eq!(pair[0].order(&pair[1]), Ordering::Less, "{pair:?}");
        }
    }
}
