//! Values out of rows, in the binary form of prepared statements and the text form of others.

use bytes::Bytes;
use sqlx::mysql::{MySqlRow, MySqlTypeInfo};
use sqlx::{Column, Decode, MySql, Row, Type, TypeInfo};

use crate::error::{Error, ErrorKind, Result};
use crate::value::{Timestamp, Value, column_from_json_text, days_from_civil};

/// The form in which a statement's rows come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Of a prepared statement.
    Binary,
    /// Of a statement that was sent as text.
    Text,
}

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CellKind {
    Integer,
    Unsigned,
    Year,
    Single,
    Double,
    Decimal,
    Date,
    Moment,
    Time,
    Bits,
    Json,
    Text,
    Bytes,
}

impl CellKind {
    /// The kinds of a row's columns.
    pub(super) fn of_row(row: &MySqlRow) -> Vec<Self> {
        row.columns().iter().map(|column| Self::of(column.type_info())).collect()
    }

    fn of(type_info: &MySqlTypeInfo) -> Self {
        match type_info.name() {
            "BOOLEAN" | "TINYINT" | "SMALLINT" | "INT" | "MEDIUMINT" | "BIGINT" | "TINYINT UNSIGNED"
            | "SMALLINT UNSIGNED" | "INT UNSIGNED" | "MEDIUMINT UNSIGNED" | "BIGINT UNSIGNED" => {
                if <u8 as Type<MySql>>::compatible(type_info) {
                    Self::Unsigned
                } else {
                    Self::Integer
                }
            }
            "YEAR" => Self::Year,
            "FLOAT" => Self::Single,
            "DOUBLE" => Self::Double,
            "DECIMAL" => Self::Decimal,
            "DATE" => Self::Date,
            "DATETIME" | "TIMESTAMP" => Self::Moment,
            "TIME" => Self::Time,
            "BIT" => Self::Bits,
            "JSON" => Self::Json,
            // A binary collation of text sets the same flag as bytes have; only the character set tells them apart.
            _ if <str as Type<MySql>>::compatible(type_info) => Self::Text,
            _ => Self::Bytes,
        }
    }
}

/// The cell of a row.
///
/// # Errors
/// [`ErrorKind::Value`] if it is malformed.
pub(super) fn cell(row: &MySqlRow, index: usize, kind: CellKind, form: Form) -> Result<Value> {
    let raw = row.try_get_raw(index).map_err(|_| malformed())?;
    // NULL has no bytes. What the row itself calls NULL includes dates of only zeros.
    let Ok(bytes) = <&[u8] as Decode<MySql>>::decode(raw) else { return Ok(Value::Null) };
    match form {
        Form::Binary => binary(kind, bytes),
        Form::Text => text(kind, bytes),
    }
}

fn binary(kind: CellKind, bytes: &[u8]) -> Result<Value> {
    Ok(match kind {
        CellKind::Integer => {
            let number = signed(bytes)?;
            if bytes.len() < 8 { narrow(number) } else { Value::Int64(number) }
        }
        CellKind::Unsigned | CellKind::Year => unsigned(little_endian(bytes)?),
        CellKind::Single => {
            Value::Float(single_as_double(f32::from_le_bytes(bytes.try_into().map_err(|_| malformed())?)))
        }
        CellKind::Double => Value::Float(f64::from_le_bytes(bytes.try_into().map_err(|_| malformed())?)),
        CellKind::Date => Value::Text(date_text(&civil(bytes)?)),
        CellKind::Moment => moment(&civil(bytes)?),
        CellKind::Time => Value::Text(time_text(bytes)?),
        kind => text(kind, bytes)?,
    })
}

fn text(kind: CellKind, bytes: &[u8]) -> Result<Value> {
    if kind == CellKind::Bytes {
        return Ok(Value::Bytes(Bytes::copy_from_slice(bytes)));
    }
    if kind == CellKind::Bits {
        return Ok(unsigned(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| malformed())?;
    let number = |parsed: Option<Value>| parsed.ok_or_else(malformed);
    Ok(match kind {
        CellKind::Integer => number(text.parse().ok().map(narrow))?,
        CellKind::Unsigned | CellKind::Year => number(text.parse().ok().map(unsigned))?,
        CellKind::Single => number(text.parse().ok().map(|single| Value::Float(single_as_double(single))))?,
        CellKind::Double => number(text.parse().ok().map(Value::Float))?,
        CellKind::Decimal => Value::Decimal(text.into()),
        CellKind::Json => column_from_json_text(bytes).map_err(|_| malformed())?,
        CellKind::Moment => match Timestamp::parse_iso(text) {
            Some(moment) => Value::Timestamp(moment),
            None => Value::Text(text.to_owned()),
        },
        CellKind::Time => Value::Text(without_idle_zeros(text)),
        CellKind::Date | CellKind::Text | CellKind::Bytes | CellKind::Bits => Value::Text(text.to_owned()),
    })
}

/// An integer in the smallest form.
pub(super) fn narrow(number: i64) -> Value {
    i32::try_from(number).map_or(Value::Int64(number), Value::Int32)
}

/// An integer without a sign in the smallest form.
pub(super) fn unsigned(number: u64) -> Value {
    i64::try_from(number).map_or_else(|_| Value::Decimal(number.to_string().into()), narrow)
}

fn signed(bytes: &[u8]) -> Result<i64> {
    let number = little_endian(bytes)?;
    let unused = 64 - 8 * u32::try_from(bytes.len()).map_err(|_| malformed())?;
    // Shifting the sign up and back down again fills the upper bits with it.
    Ok((number << unused).cast_signed() >> unused)
}

fn little_endian(bytes: &[u8]) -> Result<u64> {
    if bytes.is_empty() || bytes.len() > 8 {
        return Err(malformed());
    }
    Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// The double with the same shortest decimal.
pub(super) fn single_as_double(single: f32) -> f64 {
    single.to_string().parse().unwrap_or_else(|_| f64::from(single))
}

/// A date and time in parts. A date of only zeros, which is no day, comes without any.
#[derive(Debug, Default)]
pub(super) struct Civil {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    micros: u32,
}

impl Civil {
    /// The beginning of a day. Parts that no calendar has become those of no day.
    pub(super) fn day(year: u64, month: u64, day: u64) -> Self {
        let year = u16::try_from(year).unwrap_or_default();
        Self { year, month: part(month), day: part(day), ..Self::default() }
    }

    /// A time of this day.
    pub(super) fn at(self, hour: u64, minute: u64, second: u64, micros: u64) -> Self {
        let micros = u32::try_from(micros).unwrap_or_default();
        Self { hour: part(hour), minute: part(minute), second: part(second), micros, ..self }
    }
}

impl Civil {
    /// The moment of a day that every month has, for which no calendar needs to be asked.
    fn plain_moment(&self) -> Option<Timestamp> {
        let is_plain = (1..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=28).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60
            && self.micros < 1_000_000;
        let days = days_from_civil(self.year.into(), self.month.into(), self.day.into());
        let seconds = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        is_plain.then(|| Timestamp((days * 86_400 + seconds) * 1_000_000 + i64::from(self.micros)))
    }
}

fn part(number: u64) -> u8 {
    u8::try_from(number).unwrap_or_default()
}

/// Reads a length, and then year, month and day, perhaps the time, perhaps microseconds.
fn civil(bytes: &[u8]) -> Result<Civil> {
    let mut civil = Civil::default();
    let rest = bytes.get(1..).ok_or_else(malformed)?;
    if let [low, high, month, day, rest @ ..] = rest {
        (civil.year, civil.month, civil.day) = (u16::from_le_bytes([*low, *high]), *month, *day);
        if let [hour, minute, second, rest @ ..] = rest {
            (civil.hour, civil.minute, civil.second) = (*hour, *minute, *second);
            if let Some((micros, _)) = rest.split_first_chunk::<4>() {
                civil.micros = u32::from_le_bytes(*micros);
            }
        }
    }
    Ok(civil)
}

/// A day as text.
pub(super) fn date_text(civil: &Civil) -> String {
    format!("{:04}-{:02}-{:02}", civil.year, civil.month, civil.day)
}

/// What is no day, such as one of only zeros, stays text.
pub(super) fn moment(civil: &Civil) -> Value {
    if let Some(moment) = civil.plain_moment() {
        return Value::Timestamp(moment);
    }
    let Civil { hour, minute, second, micros, .. } = civil;
    let text = format!("{} {hour:02}:{minute:02}:{second:02}.{micros:06}", date_text(civil));
    match Timestamp::parse_iso(&text) {
        Some(moment) => Value::Timestamp(moment),
        None => Value::Text(without_idle_zeros(&text)),
    }
}

/// A length, and then a sign, days, hours, minutes and seconds, perhaps microseconds. Days are shown as hours.
fn time_text(bytes: &[u8]) -> Result<String> {
    let Some(rest @ [_, ..]) = bytes.get(1..) else { return Ok("00:00:00".to_owned()) };
    let (is_negative, rest) = rest.split_first().ok_or_else(malformed)?;
    let (days, rest) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
    let [hour, minute, second, rest @ ..] = rest else { return Err(malformed()) };
    let micros = rest.split_first_chunk::<4>().map_or(0, |(micros, _)| u32::from_le_bytes(*micros));
    let hours = u64::from(u32::from_le_bytes(*days)) * 24 + u64::from(*hour);
    let (minute, second) = (u64::from(*minute), u64::from(*second));
    Ok(clock_text(*is_negative == 1, hours, minute, second, u64::from(micros)))
}

/// A time, which may have any number of hours.
pub(super) fn clock_text(is_negative: bool, hours: u64, minute: u64, second: u64, micros: u64) -> String {
    let sign = if is_negative { "-" } else { "" };
    without_idle_zeros(&format!("{sign}{hours:02}:{minute:02}:{second:02}.{micros:06}"))
}

/// A time without the zeros at the end of its fraction, as PostgreSQL writes it.
fn without_idle_zeros(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

fn malformed() -> Error {
    Error::new(ErrorKind::Value, "a stored value cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_every_width_keep_their_sign() {
        for (bytes, number) in [
            (&[0xff][..], Value::Int32(-1)),
            (&[0x00, 0x80], Value::Int32(-32_768)),
            (&[0xff, 0xff, 0xff, 0x7f], Value::Int32(i32::MAX)),
            (&[0, 0, 0, 0, 0, 0, 0, 0x80], Value::Int64(i64::MIN)),
        ] {
            assert_eq!(binary(CellKind::Integer, bytes).unwrap(), number);
        }
        assert_eq!(binary(CellKind::Unsigned, &[0xff]).unwrap(), Value::Int32(255));
        assert_eq!(
            binary(CellKind::Unsigned, &[0xff; 8]).unwrap(),
            Value::Decimal("18446744073709551615".into())
        );
        assert!(binary(CellKind::Integer, &[]).is_err());
    }

    #[test]
    fn moments_and_times_come_in_every_length() {
        let moment = |iso: &str| Value::Timestamp(Timestamp::parse_iso(iso).unwrap());
        let day = [4, 0xe8, 0x07, 2, 29];
        assert_eq!(binary(CellKind::Date, &day).unwrap(), Value::from("2024-02-29"));
        assert_eq!(binary(CellKind::Moment, &day).unwrap(), moment("2024-02-29T00:00:00Z"));
        let full = [11, 0xe8, 0x07, 2, 29, 12, 30, 1, 0x40, 0xe2, 0x01, 0];
        assert_eq!(binary(CellKind::Moment, &full).unwrap(), moment("2024-02-29T12:30:01.123456Z"));
        for (day, hour) in [(1, 0), (28, 23), (29, 23)] {
            let bytes = [7, 0xe8, 0x07, 2, day, hour, 59, 58];
            let expected = moment(&format!("2024-02-{day:02}T{hour:02}:59:58Z"));
            assert_eq!(binary(CellKind::Moment, &bytes).unwrap(), expected);
        }
        assert_eq!(binary(CellKind::Moment, &[0]).unwrap(), Value::from("0000-00-00 00:00:00"));
        assert_eq!(binary(CellKind::Time, &[0]).unwrap(), Value::from("00:00:00"));
        let time = [12, 1, 1, 0, 0, 0, 2, 30, 0, 0x20, 0xa1, 0x07, 0];
        assert_eq!(binary(CellKind::Time, &time).unwrap(), Value::from("-26:30:00.5"));
    }
}
