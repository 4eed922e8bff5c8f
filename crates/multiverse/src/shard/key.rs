//! The values of a shard key, by the type that its column has in the catalogue.

use std::cmp::Ordering;

use super::decimal::Decimal;
use super::hash;
use super::moment::{date_of, timestamp_of};

/// The types that a shard key may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyType {
    Int2,
    Int4,
    Int8,
    Text,
    Uuid,
    Bytea,
    Bool,
    Date,
    Timestamp,
    Timestamptz,
    Numeric,
    Float4,
    Float8,
}

/// A value of a shard key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum KeyValue {
    Null,
    Int(i64),
    Bool(bool),
    Text(String),
    Bytes(Vec<u8>),
    /// Days since 2000.
    Date(i32),
    /// Microseconds since 2000.
    Timestamp(i64),
    Numeric(Decimal),
    Float(f64),
}

impl KeyType {
    /// The type with this oid, if a key may have it.
    pub(crate) fn of_oid(oid: u32) -> Option<Self> {
        Some(match oid {
            21 => Self::Int2,
            23 => Self::Int4,
            20 => Self::Int8,
            25 | 1043 => Self::Text,
            2950 => Self::Uuid,
            17 => Self::Bytea,
            16 => Self::Bool,
            1082 => Self::Date,
            1114 => Self::Timestamp,
            1184 => Self::Timestamptz,
            1700 => Self::Numeric,
            700 => Self::Float4,
            701 => Self::Float8,
            _ => return None,
        })
    }

    /// Whether equal values of both types have the same shard.
    pub(crate) fn agrees_with(self, other: Self) -> bool {
        let is_integer = |each| matches!(each, Self::Int2 | Self::Int4 | Self::Int8);
        self == other || is_integer(self) && is_integer(other)
    }

    /// Of types whose equal values have the same shard, the one that has the values of both.
    pub(crate) fn wider(self, other: Self) -> Option<Self> {
        let order = [Self::Int2, Self::Int4, Self::Int8];
        let rank = |each: Self| order.iter().position(|known| *known == each);
        self.agrees_with(other).then(|| if rank(self) >= rank(other) { self } else { other })
    }

    /// Whether a cast to the type of this name leaves values of this type what they are.
    pub(crate) fn is_called(self, name: &str) -> bool {
        match self {
            // A value that does not fit is refused by the server.
            Self::Int2 | Self::Int4 | Self::Int8 => matches!(name, "int2" | "int4" | "int8"),
            Self::Text => matches!(name, "text" | "varchar"),
            Self::Uuid => name == "uuid",
            Self::Bytea => name == "bytea",
            Self::Bool => name == "bool",
            Self::Date => name == "date",
            Self::Timestamp => name == "timestamp",
            Self::Timestamptz => name == "timestamptz",
            Self::Numeric => name == "numeric",
            Self::Float4 => name == "float4",
            Self::Float8 => name == "float8",
        }
    }

    /// The name for messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Text => "text",
            Self::Uuid => "uuid",
            Self::Bytea => "bytea",
            Self::Bool => "boolean",
            Self::Date => "date, as ISO 8601",
            Self::Timestamp => "timestamp, as ISO 8601",
            Self::Timestamptz => "timestamp with time zone, as ISO 8601 with its distance from UTC",
            Self::Numeric => "numeric",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
        }
    }

    /// Reads a value as the server would; `None` where it would not, or where its settings decide what the text means.
    pub(crate) fn parse(self, text: &str) -> Option<KeyValue> {
        let trimmed = text.trim_matches(|each: char| each.is_ascii_whitespace());
        Some(match self {
            Self::Int2 => KeyValue::Int(trimmed.parse::<i16>().ok()?.into()),
            Self::Int4 => KeyValue::Int(trimmed.parse::<i32>().ok()?.into()),
            Self::Int8 => KeyValue::Int(trimmed.parse().ok()?),
            Self::Text => KeyValue::Text(text.to_owned()),
            Self::Uuid => KeyValue::Bytes(uuid_of(trimmed)?),
            Self::Bytea => KeyValue::Bytes(bytes_of(text)?),
            Self::Bool => KeyValue::Bool(bool_of(trimmed)?),
            Self::Date => KeyValue::Date(date_of(trimmed)?),
            Self::Timestamp => KeyValue::Timestamp(timestamp_of(trimmed, false)?),
            Self::Timestamptz => KeyValue::Timestamp(timestamp_of(trimmed, true)?),
            Self::Numeric => KeyValue::Numeric(Decimal::parse(trimmed)?),
            Self::Float4 => KeyValue::Float(float_of::<f32>(trimmed)?.into()),
            Self::Float8 => KeyValue::Float(float_of::<f64>(trimmed)?),
        })
    }

    /// Reads a parameter in the binary form, which applications only use for bytes.
    pub(crate) fn parse_binary(self, bytes: &[u8]) -> Option<KeyValue> {
        match self {
            Self::Bytea => Some(KeyValue::Bytes(bytes.to_vec())),
            Self::Uuid if bytes.len() == 16 => Some(KeyValue::Bytes(bytes.to_vec())),
            Self::Text => str::from_utf8(bytes).ok().map(|text| KeyValue::Text(text.to_owned())),
            _ => None,
        }
    }
}

impl KeyValue {
    /// The hash by which hash partitioning places the value; `None` for NULL.
    pub(crate) fn hash(&self, key: KeyType) -> Option<u64> {
        Some(match self {
            Self::Null => return None,
            Self::Int(value) if key == KeyType::Int8 => hash::of_int8(*value),
            // It was read as one that fits.
            Self::Int(value) => hash::of_int4(i32::try_from(*value).unwrap_or(0)),
            Self::Bool(value) => hash::of_int4(i32::from(*value)),
            Self::Text(text) => hash::of_bytes(text.as_bytes()),
            Self::Bytes(bytes) => hash::of_bytes(bytes),
            Self::Date(days) => hash::of_int4(*days),
            Self::Timestamp(micros) => hash::of_int8(*micros),
            Self::Numeric(number) => number.hash(),
            Self::Float(number) => hash::of_float(*number),
        })
    }

    /// The order of two values of one type: that of the server, of text that of its bytes.
    pub(crate) fn order(&self, other: &Self) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Int(one), Self::Int(other)) => one.cmp(other),
            (Self::Bool(one), Self::Bool(other)) => one.cmp(other),
            (Self::Text(one), Self::Text(other)) => one.as_bytes().cmp(other.as_bytes()),
            (Self::Bytes(one), Self::Bytes(other)) => one.cmp(other),
            (Self::Date(one), Self::Date(other)) => one.cmp(other),
            (Self::Timestamp(one), Self::Timestamp(other)) => one.cmp(other),
            (Self::Numeric(one), Self::Numeric(other)) => one.order(other),
            (Self::Float(one), Self::Float(other)) => order_of_floats(*one, *other),
            _ => return None,
        })
    }
}

/// The server's order of floats: NaN is equal to itself and above all others, and both zeros are equal.
pub(crate) fn order_of_floats(one: f64, other: f64) -> Ordering {
    one.partial_cmp(&other).unwrap_or_else(|| one.is_nan().cmp(&other.is_nan()))
}

fn float_of<F: std::str::FromStr>(text: &str) -> Option<F> {
    // The words for what is no number are read alike; the rest of what Rust reads, the server reads too.
    text.parse().ok()
}

fn bool_of(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let is_start_of = |word: &str, least: usize| lower.len() >= least && word.starts_with(&lower);
    if is_start_of("true", 1) || is_start_of("yes", 1) || lower == "on" || lower == "1" {
        Some(true)
    } else if is_start_of("false", 1) || is_start_of("no", 1) || is_start_of("off", 2) || lower == "0" {
        Some(false)
    } else {
        None
    }
}

fn uuid_of(text: &str) -> Option<Vec<u8>> {
    let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    let digits: String = inner.chars().filter(|each| *each != '-').collect();
    if digits.len() == 32 { hex_of(&digits) } else { None }
}

fn bytes_of(text: &str) -> Option<Vec<u8>> {
    match text.strip_prefix("\\x") {
        Some(digits) => hex_of(digits),
        None => (!text.contains('\\')).then(|| text.as_bytes().to_vec()),
    }
}

/// Bytes written as two hexadecimal digits each.
pub(crate) fn hex_of(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes = pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok());
    if rest.is_empty() { bytes.collect() } else { None }
}
