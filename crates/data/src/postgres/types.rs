//! PostgreSQL's types and the column types of this crate.

use std::sync::Arc;

use crate::table::{ColumnType, IntervalPart, StoredForm};

/// The column type of one of PostgreSQL's own types, by its oid in `pg_type.dat`.
///
/// `modifier` is `atttypmod`, -1 without one; `name` is what `format_type` says, for the types that have no equivalent.
pub(super) fn column_type(oid: u32, modifier: i32, name: &str) -> ColumnType {
    match oid {
        16 => ColumnType::Bool,
        17 => ColumnType::Bytes,
        20 => ColumnType::Int64,
        21 => ColumnType::Int16,
        23 => ColumnType::Int32,
        // The name of an object, which would be cut.
        19 => ColumnType::Text(Some(63)),
        25 => ColumnType::Text(None),
        1042 | 1043 => ColumnType::Text(u32::try_from(modifier - 4).ok()),
        114 | 3802 => ColumnType::Json,
        700 => ColumnType::Float32,
        701 => ColumnType::Float64,
        1082 => ColumnType::Date,
        1083 => ColumnType::Time,
        1114 => ColumnType::Timestamp { zoned: false },
        1184 => ColumnType::Timestamp { zoned: true },
        1186 => ColumnType::Interval,
        1700 => ColumnType::Decimal(precision_and_scale(modifier)),
        2950 => ColumnType::Uuid,
        _ => ColumnType::Native(name.to_owned()),
    }
}

/// The oid of `money`, whose text depends on the server's settings.
pub(super) const MONEY_OID: u32 = 790;

/// In which form a column of such a type and `atttypmod` keeps its values. A moment or time has its digits of a second as modifier;
/// `money` is told of by `sample`.
pub(super) fn stored_form(oid: u32, modifier: i32, sample: &Arc<str>) -> StoredForm {
    let modifier = u32::try_from(modifier).ok();
    match (oid, modifier) {
        (1083, digits) => StoredForm::Time(digits.unwrap_or(SECOND_DIGITS).min(SECOND_DIGITS)),
        (1114 | 1184, Some(digits)) if digits < SECOND_DIGITS => StoredForm::Seconds(digits),
        (1082, _) => StoredForm::Date,
        (1042, Some(length)) => StoredForm::Padded(length.saturating_sub(4)),
        (1186, modifier) => StoredForm::Interval(smallest_part(modifier)),
        (2950, _) => StoredForm::Uuid,
        (869, _) => StoredForm::Address,
        (829, _) => StoredForm::HardwareAddress(6),
        (774, _) => StoredForm::HardwareAddress(8),
        // oid, xid and cid.
        (26 | 28 | 29, _) => StoredForm::Unsigned,
        (18, _) => StoredForm::SingleByte,
        (1560 | 1562, length) => StoredForm::Bits { length, is_varying: oid == 1562 },
        (MONEY_OID, _) => StoredForm::Money(Arc::clone(sample)),
        // timetz, cidr, pg_lsn, tsvector, tsquery, the ranges and the multiranges.
        (1266 | 650 | 3220 | 3614 | 3615, _) => StoredForm::Notations,
        (3904 | 3906 | 3908 | 3910 | 3912 | 3926 | 4451 | 4532..=4536, _) => StoredForm::Notations,
        _ => StoredForm::Same,
    }
}

/// The digits of a second that the server keeps.
const SECOND_DIGITS: u32 = 6;

/// The smallest part of an interval that is kept, by the modifier: the digits of a second in its lower half, and above a mask of the
/// parts that were declared, if any were.
fn smallest_part(modifier: Option<u32>) -> IntervalPart {
    const EVERYTHING: u32 = 0x7fff;
    let Some(modifier) = modifier else { return IntervalPart::Second(SECOND_DIGITS) };
    let parts = [
        (11, IntervalPart::Minute),
        (10, IntervalPart::Hour),
        (3, IntervalPart::Day),
        (1, IntervalPart::Month),
        (2, IntervalPart::Year),
    ];
    let mask = modifier >> 16;
    let is_declared = |bit: u32| mask != EVERYTHING && mask & (1 << bit) != 0;
    let smallest = parts.into_iter().find(|(bit, _)| is_declared(*bit)).filter(|_| !is_declared(12));
    let seconds = IntervalPart::Second((modifier & 0xffff).min(SECOND_DIGITS));
    smallest.map_or(seconds, |(_, part)| part)
}

/// How `numeric(p, s)` packs its two numbers. A negative scale, which no other database knows, counts as none declared.
fn precision_and_scale(modifier: i32) -> Option<(u32, u32)> {
    let packed = u32::try_from(modifier - 4).ok()?;
    let scale = packed & 0x7ff;
    (scale < 0x400).then_some((packed >> 16, scale))
}

/// The type in DDL. A type of another database's own, and one that no other has, is kept as text.
pub(super) fn ddl_type(column_type: &ColumnType) -> String {
    match column_type {
        ColumnType::Bool => "boolean".to_owned(),
        ColumnType::Int16 => "smallint".to_owned(),
        ColumnType::Int32 => "integer".to_owned(),
        ColumnType::Int64 => "bigint".to_owned(),
        ColumnType::Decimal(None) => "numeric".to_owned(),
        ColumnType::Decimal(Some((precision, scale))) => format!("numeric({precision}, {scale})"),
        ColumnType::Float32 => "real".to_owned(),
        ColumnType::Float64 => "double precision".to_owned(),
        ColumnType::Text(Some(longest)) => format!("varchar({longest})"),
        ColumnType::Text(None) | ColumnType::ObjectId | ColumnType::Native(_) => "text".to_owned(),
        ColumnType::Uuid => "uuid".to_owned(),
        ColumnType::Timestamp { zoned: true } => "timestamptz".to_owned(),
        ColumnType::Timestamp { zoned: false } => "timestamp".to_owned(),
        ColumnType::Date => "date".to_owned(),
        ColumnType::Time => "time".to_owned(),
        ColumnType::Interval => "interval".to_owned(),
        ColumnType::Json | ColumnType::Any | ColumnType::Rest => "jsonb".to_owned(),
        ColumnType::Array(element) => format!("{}[]", ddl_type(element)),
        ColumnType::Bytes => "bytea".to_owned(),
    }
}

/// Whether [`decode`](super::decode::decode) reads the binary form that the server sends.
pub(super) fn has_binary_form(column_type: &ColumnType) -> bool {
    match column_type {
        ColumnType::Array(element) => !matches!(**element, ColumnType::Array(_)) && has_binary_form(element),
        ColumnType::Interval
        | ColumnType::Native(_)
        | ColumnType::ObjectId
        | ColumnType::Any
        | ColumnType::Rest => false,
        _ => true,
    }
}

/// How a column is selected so that it can be decoded: as it is, or as text. `json` is read as `jsonb`, which has the
/// binary form.
pub(super) fn selected(quoted_name: &str, column_type: &ColumnType) -> String {
    match column_type {
        ColumnType::Json => format!("{quoted_name}::jsonb"),
        ColumnType::Array(element) if **element == ColumnType::Json => format!("{quoted_name}::jsonb[]"),
        // A cast adds the mask of a single address, which neither the server's output nor its log has.
        ColumnType::Native(name) if name == "inet" => format!("abbrev({quoted_name})"),
        ColumnType::Array(element) if **element == ColumnType::Native("inet".to_owned()) => {
            format!("{quoted_name}::text::text[]")
        }
        ColumnType::Array(_) if !has_binary_form(column_type) => format!("{quoted_name}::text[]"),
        _ if !has_binary_form(column_type) => format!("{quoted_name}::text"),
        _ => quoted_name.to_owned(),
    }
}
