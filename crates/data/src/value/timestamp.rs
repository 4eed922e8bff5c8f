//! A moment in microseconds, and its ISO 8601 form.

use std::fmt;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Microseconds since 1970-01-01T00:00:00Z. `i64::MAX` and `i64::MIN` are PostgreSQL's `infinity` and `-infinity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// PostgreSQL's `infinity`.
    pub const INFINITY: Self = Self(i64::MAX);
    /// PostgreSQL's `-infinity`.
    pub const NEG_INFINITY: Self = Self(i64::MIN);

    /// The present moment, cut to milliseconds as JavaScript's dates are.
    pub fn now() -> Self {
        let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self::from_millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    }

    /// From milliseconds since the epoch; beyond the range it saturates.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// Milliseconds since the epoch, rounded down.
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The microseconds that milliseconds cannot hold, 0 to 999.
    pub fn sub_millis(self) -> i64 {
        self.0.rem_euclid(1000)
    }

    /// Whether this is one of PostgreSQL's infinities.
    pub fn is_infinite(self) -> bool {
        self == Self::INFINITY || self == Self::NEG_INFINITY
    }

    /// Reads ISO 8601: `YYYY-MM-DD`, with `T` or a space and `HH:MM[:SS[.ffffff]]`, and `Z`, `+HH`, `+HH:MM` or
    /// nothing, which means UTC. Years beyond 9999 or before 0 carry a sign, as in JavaScript. Digits beyond
    /// microseconds are refused, because they would be lost.
    pub fn parse_iso(text: &str) -> Option<Self> {
        let mut cursor = Cursor(text.as_bytes());
        let year = cursor.year()?;
        cursor.require(b'-')?;
        let month = cursor.digits(2)?;
        cursor.require(b'-')?;
        let day = cursor.digits(2)?;
        if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
            return None;
        }
        let mut micros_of_day = 0;
        let mut offset_minutes = 0;
        if cursor.take(b'T') || cursor.take(b' ') {
            micros_of_day = cursor.time_of_day()?;
            offset_minutes = cursor.offset()?;
        }
        if !cursor.0.is_empty() {
            return None;
        }
        days_from_civil(year, month, day)
            .checked_mul(MICROS_PER_DAY)?
            .checked_add(micros_of_day)?
            .checked_sub(offset_minutes * 60 * MICROS_PER_SECOND)
            .map(Self)
    }

    /// ISO 8601 with milliseconds and `Z`, as `Date.prototype.toISOString` writes it; microseconds are added where
    /// there are any.
    pub fn to_iso(self) -> String {
        self.to_string()
    }

    /// Appends day and time of day in UTC, with milliseconds, and microseconds where there are any. `None`, and nothing is
    /// appended, outside of the years 1 to 9999.
    pub(crate) fn append_clock(self, between: u8, out: &mut Vec<u8>) -> Option<()> {
        let (year, month, day, micros) = self.civil();
        if self.is_infinite() || !(1..=9999).contains(&year) {
            return None;
        }
        let (seconds, fraction) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
        let parts = [
            (year, 1000, b'-'),
            (month, 10, b'-'),
            (day, 10, between),
            (seconds / 3600, 10, b':'),
            (seconds / 60 % 60, 10, b':'),
            (seconds % 60, 10, b'.'),
        ];
        for (number, unit, behind) in parts {
            append_digits(number, unit, out);
            out.push(behind);
        }
        match fraction % 1000 {
            0 => append_digits(fraction / 1000, 100, out),
            _ => append_digits(fraction, 100_000, out),
        }
        Some(())
    }

    /// Year, month, day and microseconds of the day.
    pub fn civil(self) -> (i64, i64, i64, i64) {
        let (year, month, day) = civil_from_days(self.0.div_euclid(MICROS_PER_DAY));
        (year, month, day, self.0.rem_euclid(MICROS_PER_DAY))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::INFINITY => return f.write_str("infinity"),
            Self::NEG_INFINITY => return f.write_str("-infinity"),
            _ => {}
        }
        let (year, month, day, micros) = self.civil();
        match year {
            0..=9999 => write!(f, "{year:04}")?,
            _ => write!(f, "{}{:06}", if year < 0 { '-' } else { '+' }, year.abs())?,
        }
        let seconds = micros / MICROS_PER_SECOND;
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        let fraction = micros % MICROS_PER_SECOND;
        if fraction % 1000 == 0 {
            write!(f, ".{:03}Z", fraction / 1000)
        } else {
            write!(f, ".{fraction:06}Z")
        }
    }
}

/// Appends a number that is not negative in as many digits as the unit of the first one has.
fn append_digits(number: i64, first_unit: i64, out: &mut Vec<u8>) {
    let mut unit = first_unit;
    while unit > 0 {
        // The remainder is a single digit.
        out.push(b'0' + u8::try_from(number / unit % 10).unwrap_or(0));
        unit /= 10;
    }
}

/// What is left to read of a date's text.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn take(&mut self, byte: u8) -> bool {
        let found = self.0.first() == Some(&byte);
        if found {
            self.0 = &self.0[1..];
        }
        found
    }

    fn require(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let number = digits.iter().try_fold(0i64, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
        })?;
        self.0 = rest;
        Some(number)
    }

    fn year(&mut self) -> Option<i64> {
        if self.take(b'+') {
            self.digits(6)
        } else if self.take(b'-') {
            self.digits(6).map(|year| -year)
        } else {
            self.digits(4)
        }
    }

    fn time_of_day(&mut self) -> Option<i64> {
        let hour = self.digits(2)?;
        self.require(b':')?;
        let minute = self.digits(2)?;
        let mut second = 0;
        let mut micros = 0;
        if self.take(b':') {
            second = self.digits(2)?;
            if self.take(b'.') {
                micros = self.fraction()?;
            }
        }
        let valid = hour < 24 && minute < 60 && second < 60;
        valid.then_some(((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + micros)
    }

    fn fraction(&mut self) -> Option<i64> {
        let length = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(length);
        let significant = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        if length == 0 || significant > 6 {
            return None;
        }
        self.0 = rest;
        Some((0..6).fold(0, |micros, place| {
            micros * 10 + digits.get(place).map_or(0, |digit| i64::from(digit - b'0'))
        }))
    }

    /// The offset from UTC in minutes.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.0.first() {
            None => return Some(0),
            Some(b'Z') => {
                self.0 = &self.0[1..];
                return Some(0);
            }
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(_) => return None,
        };
        self.0 = &self.0[1..];
        let hours = self.digits(2)?;
        let minutes = if self.take(b':') || !self.0.is_empty() { self.digits(2)? } else { 0 };
        (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
    }
}

/// Days from 1970-01-01 to a day of the proleptic Gregorian calendar, by counting eras of 400 years from March.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_text_is_read_and_written_like_javascript_does() {
        for (text, micros) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("2024-02-29T12:34:56.789Z", 1_709_210_096_789_000),
            ("1969-12-31T23:59:59.999Z", -1000),
            ("+010000-01-01T00:00:00.000Z", 253_402_300_800_000_000),
            ("-000001-12-31T00:00:00.000Z", -62_167_305_600_000_000),
            ("2024-01-01T00:00:00.000001Z", 1_704_067_200_000_001),
        ] {
            assert_eq!(Timestamp::parse_iso(text), Some(Timestamp(micros)), "{text}");
            assert_eq!(Timestamp(micros).to_iso(), text);
        }
    }

    #[test]
    fn day_and_time_are_appended_as_iso_text_has_them() {
        for text in [
            "1970-01-01T00:00:00.000Z",
            "2024-02-29T12:34:56.789Z",
            "1969-12-31T23:59:59.999999Z",
            "0001-01-01T00:00:00.000Z",
            "9999-12-31T23:59:59.000001Z",
        ] {
            let mut out = Vec::new();
            Timestamp::parse_iso(text).unwrap().append_clock(b'T', &mut out).unwrap();
            out.push(b'Z');
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
        for text in ["+010000-01-01T00:00:00Z", "0000-12-31T00:00:00Z"] {
            assert_eq!(Timestamp::parse_iso(text).unwrap().append_clock(b'T', &mut Vec::new()), None);
        }
        assert_eq!(Timestamp::INFINITY.append_clock(b'T', &mut Vec::new()), None);
    }

    #[test]
    fn offsets_spaces_and_missing_parts_are_understood() {
        let noon = Timestamp::parse_iso("2024-05-01T12:00:00Z");
        for text in ["2024-05-01 12:00", "2024-05-01T14:00:00+02:00", "2024-05-01T07:00:00.000-05"] {
            assert_eq!(Timestamp::parse_iso(text), noon, "{text}");
        }
        assert_eq!(Timestamp::parse_iso("2024-05-01"), Timestamp::parse_iso("2024-05-01T00:00Z"));
    }

    #[test]
    fn text_that_is_no_date_is_refused() {
        for text in [
            "",
            "2024",
            "2024-13-01",
            "2023-02-29",
            "2024-01-01T25:00",
            "2024-01-01x",
            "now",
            "2024-01-01T00:00:00.0000001Z",
        ] {
            assert_eq!(Timestamp::parse_iso(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_of_eight_centuries_survives_the_calendar() {
        for day in -146_097..146_097 {
            let (year, month, date) = civil_from_days(day);
            assert_eq!(days_from_civil(year, month, date), day);
        }
    }
}
