//! Values out of rows of the log, the same as a query gives.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes as SharedBytes;
use uuid::Uuid;

use super::super::cell::{Civil, clock_text, date_text, moment, narrow, single_as_double, unsigned};
use super::bytes::{Bytes, big_endian, malformed};
use super::charset::Charset;
use super::decimal::{decimal_text, stored_size};
use super::json_binary::json_text_of;
use super::table_map::{MappedColumn, types};
use crate::error::{Error, ErrorKind, Result};
use crate::value::{Timestamp, Value, column_from_json_text};

/// What the catalogue says of a column that the log does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing.
    Plain,
    /// Its integers have no sign.
    Unsigned,
    Text(Charset),
    /// Bytes, all values of the same length, at whose end zeros are left out.
    FixedBytes(usize),
    Enum(Vec<String>),
    Set(Vec<String>),
    Uuid,
    Inet4,
    Inet6,
}

/// The years of dates begin there.
const FIRST_YEAR: u64 = 1900;

/// Reads a value.
///
/// # Errors
/// That the bytes are none of this type, or the type is not known.
pub(super) fn value(kind: &Kind, column: MappedColumn, bytes: &mut Bytes<'_>) -> Result<Value> {
    Ok(match column.type_number {
        types::TINY => integer(kind, bytes, 1)?,
        types::SHORT => integer(kind, bytes, 2)?,
        types::INT24 => integer(kind, bytes, 3)?,
        types::LONG => integer(kind, bytes, 4)?,
        types::LONGLONG => integer(kind, bytes, 8)?,
        types::FLOAT => {
            let own = bytes.take(4)?.try_into().map_err(|_| malformed())?;
            Value::Float(single_as_double(f32::from_le_bytes(own)))
        }
        types::DOUBLE => {
            let own = bytes.take(8)?.try_into().map_err(|_| malformed())?;
            Value::Float(f64::from_le_bytes(own))
        }
        types::NEWDECIMAL => Value::Decimal(decimal_text(bytes, column.first, column.second)?.into()),
        types::YEAR => match bytes.little_endian(1)? {
            0 => Value::Int32(0),
            year => unsigned(FIRST_YEAR + year),
        },
        types::DATE | types::NEWDATE => {
            let own = bytes.little_endian(3)?;
            Value::Text(date_text(&Civil::day(own >> 9, own >> 5 & 15, own & 31)))
        }
        types::TIME => {
            let own = bytes.little_endian(3)?;
            // The upper bit of the three bytes is a sign.
            let is_negative = own >> 23 == 1;
            let own = if is_negative { (1 << 24) - own } else { own };
            Value::Text(clock_text(is_negative, own / 10_000, own / 100 % 100, own % 100, 0))
        }
        types::DATETIME => {
            let own = bytes.little_endian(8)?;
            let (day, clock) = (own / 1_000_000, own % 1_000_000);
            let civil = Civil::day(day / 10_000, day / 100 % 100, day % 100);
            moment(&civil.at(clock / 10_000, clock / 100 % 100, clock % 100, 0))
        }
        types::TIMESTAMP => epoch(bytes.little_endian(4)?, 0)?,
        types::TIMESTAMP2 => {
            let seconds = bytes.big_endian(4)?;
            epoch(seconds, micros(bytes, column.first)?)?
        }
        types::DATETIME2 => {
            let packed = bytes.big_endian(5)? & 0x7f_ffff_ffff;
            let micros = micros(bytes, column.first)?;
            let (months, day) = (packed >> 22, packed >> 17 & 31);
            let civil = Civil::day(months / 13, months % 13, day);
            moment(&civil.at(packed >> 12 & 31, packed >> 6 & 63, packed & 63, micros))
        }
        types::TIME2 => Value::Text(time(bytes, column.first)?),
        types::BIT => {
            let width = usize::from(column.second) * 8 + usize::from(column.first);
            unsigned(bytes.big_endian(width.div_ceil(8))?)
        }
        types::ENUM => {
            let number = bytes.length(usize::from(column.first))?;
            let Kind::Enum(names) = kind else { return Err(malformed()) };
            let name = number.checked_sub(1).and_then(|at| names.get(at));
            Value::Text(name.cloned().unwrap_or_default())
        }
        types::SET => {
            let chosen = bytes.little_endian(usize::from(column.first))?;
            let Kind::Set(names) = kind else { return Err(malformed()) };
            let named = names.iter().enumerate().filter(|(at, _)| *at < 64 && chosen >> at & 1 == 1);
            Value::Text(named.map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(","))
        }
        types::JSON => {
            let length = bytes.length(usize::from(column.first.clamp(1, 4)))?;
            let text = json_text_of(bytes.take(length)?)?;
            column_from_json_text(text.as_bytes()).map_err(|_| malformed())?
        }
        types::VARCHAR | types::VAR_STRING | types::STRING => {
            let length = bytes.length(if column.longest() < 256 { 1 } else { 2 })?;
            string(kind, bytes.take(length)?)?
        }
        types::TINY_BLOB..=types::BLOB | types::GEOMETRY | types::VECTOR => {
            let length = bytes.length(usize::from(column.first.clamp(1, 4)))?;
            string(kind, bytes.take(length)?)?
        }
        other => return Err(unknown(other)),
    })
}

/// Passes over a value that nobody wants to know.
///
/// # Errors
/// As [`value`].
pub(super) fn pass_over(column: MappedColumn, bytes: &mut Bytes<'_>) -> Result<()> {
    let digits = || usize::from(column.first.min(6)).div_ceil(2);
    let width = match column.type_number {
        types::TINY | types::YEAR => 1,
        types::SHORT => 2,
        types::INT24 | types::DATE | types::NEWDATE | types::TIME => 3,
        types::LONG | types::FLOAT | types::TIMESTAMP => 4,
        types::LONGLONG | types::DOUBLE | types::DATETIME => 8,
        types::NEWDECIMAL => stored_size(column.first, column.second)?,
        types::TIMESTAMP2 => 4 + digits(),
        types::DATETIME2 => 5 + digits(),
        types::TIME2 => 3 + digits(),
        types::BIT => (usize::from(column.second) * 8 + usize::from(column.first)).div_ceil(8),
        types::ENUM | types::SET => usize::from(column.first),
        types::VARCHAR | types::VAR_STRING | types::STRING => {
            bytes.length(if column.longest() < 256 { 1 } else { 2 })?
        }
        types::TINY_BLOB..=types::BLOB | types::GEOMETRY | types::VECTOR | types::JSON => {
            bytes.length(usize::from(column.first.clamp(1, 4)))?
        }
        other => return Err(unknown(other)),
    };
    bytes.take(width).map(drop)
}

fn unknown(type_number: u8) -> Error {
    let message = format!("values of a column of the type {type_number} are not read from the log");
    Error::new(ErrorKind::Capture, message)
}

fn integer(kind: &Kind, bytes: &mut Bytes<'_>, width: usize) -> Result<Value> {
    let number = bytes.little_endian(width)?;
    if *kind == Kind::Unsigned {
        return Ok(unsigned(number));
    }
    let unused = 64 - 8 * width;
    // Shifting the sign up and back down again fills the upper bits with it.
    Ok(narrow((number << unused).cast_signed() >> unused))
}

/// A moment by seconds since the epoch; no seconds at all are no moment.
fn epoch(seconds: u64, micros: u64) -> Result<Value> {
    if seconds == 0 && micros == 0 {
        return Ok(moment(&Civil::default()));
    }
    let micros = seconds.saturating_mul(1_000_000).saturating_add(micros);
    Ok(Value::Timestamp(Timestamp(i64::try_from(micros).map_err(|_| malformed())?)))
}

/// The digits of a second: two of them in each byte.
fn micros(bytes: &mut Bytes<'_>, digits: u8) -> Result<u64> {
    let width = usize::from(digits.min(6)).div_ceil(2);
    let factor = [1, 10_000, 100, 1].get(width).copied().unwrap_or(1);
    Ok((bytes.big_endian(width)? * factor).min(999_999))
}

/// A time: one number of three bytes and those of the digits, above half of what it can hold if it is positive.
fn time(bytes: &mut Bytes<'_>, digits: u8) -> Result<String> {
    let width = usize::from(digits.min(6)).div_ceil(2);
    let number = big_endian(bytes.take(3 + width)?);
    let half = 1_u64 << (8 * (3 + width) - 1);
    let (is_negative, distance) = (number < half, number.abs_diff(half));
    let (clock, fraction) = (distance >> (8 * width), distance & ((1 << (8 * width)) - 1));
    let factor = [1, 10_000, 100, 1].get(width).copied().unwrap_or(1);
    let micros = (fraction * factor).min(999_999);
    Ok(clock_text(is_negative, clock >> 12 & 0x3ff, clock >> 6 & 63, clock & 63, micros))
}

fn string(kind: &Kind, own: &[u8]) -> Result<Value> {
    Ok(match kind {
        Kind::Text(charset) => Value::Text(charset.decode(own)?),
        Kind::FixedBytes(length) => Value::Bytes(padded(own, *length).into()),
        Kind::Uuid => Value::Text(Uuid::from_bytes(uuid_bytes(own)?).hyphenated().to_string()),
        Kind::Inet4 => {
            let own: [u8; 4] = padded(own, 4).try_into().map_err(|_| malformed())?;
            Value::Text(Ipv4Addr::from(own).to_string())
        }
        Kind::Inet6 => {
            let own: [u8; 16] = padded(own, 16).try_into().map_err(|_| malformed())?;
            Value::Text(inet6_text(own))
        }
        _ => Value::Bytes(SharedBytes::copy_from_slice(own)),
    })
}

fn padded(own: &[u8], length: usize) -> Vec<u8> {
    let mut own = own.to_vec();
    if own.len() < length {
        own.resize(length, 0);
    }
    own
}

/// MariaDB keeps UUIDs whose first part is a time with their parts in reverse, so that they are sorted by where they were made.
fn uuid_bytes(own: &[u8]) -> Result<[u8; 16]> {
    let stored: [u8; 16] = padded(own, 16).try_into().map_err(|_| malformed())?;
    let [n0, n1, n2, n3, n4, n5, s0, s1, v0, v1, m0, m1, l0, l1, l2, l3] = stored;
    let turned = [l0, l1, l2, l3, m0, m1, v0, v1, s0, s1, n0, n1, n2, n3, n4, n5];
    // The version and the variant stand where they would if it was kept in reverse.
    let is_turned = (1..6).contains(&(v0 >> 4)) && s0 & 0x80 != 0;
    Ok(if is_turned { turned } else { stored })
}

/// The text of an address, as MariaDB writes it: those that hold one of four bytes end with that.
fn inet6_text(own: [u8; 16]) -> String {
    let address = Ipv6Addr::from(own);
    match own {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] if a != 0 || b != 0 => {
            format!("::{}", Ipv4Addr::new(a, b, c, d))
        }
        _ => address.to_string(),
    }
}
