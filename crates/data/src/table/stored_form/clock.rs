//! Days, times of day and intervals as the databases write them.

use std::fmt::Write as _;

use super::super::coerce::{Coerced, Loss};
use crate::value::{Timestamp, Value};

/// A day of any year, those before Christ with that mark, or one of PostgreSQL's infinities.
pub(super) fn is_day(text: &str) -> bool {
    let day = text.strip_suffix(" BC").unwrap_or(text);
    let parts: Vec<_> = day.split('-').collect();
    let is_number = |part: &&str, digits: std::ops::RangeInclusive<usize>| {
        digits.contains(&part.len()) && is_digits(part)
    };
    match parts.as_slice() {
        [year, month, day] => is_number(year, 4..=7) && is_number(month, 2..=2) && is_number(day, 2..=2),
        _ => matches!(text, "infinity" | "-infinity"),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit())
}

/// A time of day, or where `is_span` one of more hours and with a sign, as a column with so many digits of a second gives it back;
/// `None` if the text is none.
pub(super) fn time(text: &str, digits: u32, is_span: bool) -> Option<Coerced> {
    let (sign, unsigned) = match text.strip_prefix('-').filter(|_| is_span) {
        Some(unsigned) => ("-", unsigned),
        None => ("", text),
    };
    let (clock, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let parts: Vec<_> = clock.split(':').collect();
    let longest = if is_span { 3 } else { 2 };
    let (hours, rest) = parts.split_first()?;
    let is_time = (1..=2).contains(&rest.len())
        && (2..=longest).contains(&hours.len())
        && rest.iter().all(|part| part.len() == 2)
        && parts.iter().all(|part| is_digits(part))
        && is_digits(fraction);
    if !is_time {
        return None;
    }
    let (kept, dropped) = fraction.split_at(fraction.len().min(digits as usize));
    let mut told = clock.to_owned();
    if rest.len() == 1 {
        told.push_str(":00");
    }
    let kept = kept.trim_end_matches('0');
    if !kept.is_empty() {
        told.push('.');
        told.push_str(kept);
    }
    let is_zero = !told.contains(|letter: char| matches!(letter, '1'..='9'));
    let value = if is_zero { Value::Text(told) } else { Value::Text(format!("{sign}{told}")) };
    let loss = dropped.contains(|digit| digit != '0').then_some(Loss::SubSecond);
    Some(Coerced { value, loss })
}

/// A moment in the notation of the text of another one: a day alone, or with a time of whole seconds; `None` if it has further digits.
pub(super) fn moment_like(moment: Timestamp, sample: &str) -> Option<String> {
    let iso = moment.to_iso();
    let day = iso.get(..10)?;
    let text = match sample.len() {
        10 => day.to_owned(),
        _ => {
            let zone = if sample.ends_with('Z') { "Z" } else { "" };
            format!("{day}{}{}{zone}", sample.get(10..11)?, iso.get(11..19)?)
        }
    };
    (Timestamp::parse_iso(&text) == Some(moment)).then_some(text)
}

/// The smallest part of an interval that a column keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IntervalPart {
    /// `interval year`.
    Year,
    /// `interval month` and `interval year to month`.
    Month,
    /// `interval day`.
    Day,
    /// `interval hour` and `interval day to hour`.
    Hour,
    /// `interval minute` and those to it.
    Minute,
    /// Everything, with so many digits of a second.
    Second(u32),
}

/// What is wrong with a text for a column of PostgreSQL that holds intervals down to such a part, if anything is.
pub(super) fn interval_fault(text: &str, smallest: IntervalPart) -> Option<&'static str> {
    let interval = match text {
        "infinity" | "-infinity" => return None,
        text => Interval::parse(text).filter(|interval| interval.to_string() == text),
    };
    match interval {
        None => Some("an interval in the notation of PostgreSQL, such as 1 day 02:03:04"),
        Some(interval) if interval.smallest() > smallest => {
            Some("an interval without smaller parts than those")
        }
        Some(_) => None,
    }
}

/// An interval in its parts.
#[derive(Default)]
struct Interval<'a> {
    years: i64,
    months: i64,
    days: i64,
    is_back: bool,
    hours: u64,
    minutes: u64,
    seconds: u64,
    fraction: &'a str,
}

impl<'a> Interval<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut interval = Self::default();
        let mut words = text.split(' ').peekable();
        while let Some(word) = words.next() {
            if words.peek().is_none() && word.contains(':') {
                interval.parse_time(word)?;
                break;
            }
            let number = word.parse().ok()?;
            match words.next()?.trim_end_matches('s') {
                "year" => interval.years = number,
                "mon" => interval.months = number,
                "day" => interval.days = number,
                _ => return None,
            }
        }
        let is_carried = interval.months.abs() > 11
            || interval.minutes > 59
            || interval.seconds > 59
            || (interval.years.signum() * interval.months.signum() < 0);
        (!is_carried).then_some(interval)
    }

    fn parse_time(&mut self, word: &'a str) -> Option<()> {
        self.is_back = word.starts_with('-');
        let (clock, fraction) = word
            .trim_start_matches(['-', '+'])
            .split_once('.')
            .unwrap_or((word.trim_start_matches(['-', '+']), ""));
        let mut parts = clock.split(':');
        self.hours = parts.next()?.parse().ok()?;
        self.minutes = parts.next()?.parse().ok()?;
        self.seconds = parts.next()?.parse().ok()?;
        self.fraction = fraction;
        let is_whole = parts.next().is_none() && fraction.bytes().all(|digit| digit.is_ascii_digit());
        (is_whole && fraction.len() <= 6 && !fraction.ends_with('0')).then_some(())
    }

    fn has_time(&self) -> bool {
        self.hours > 0 || self.minutes > 0 || self.seconds > 0 || !self.fraction.is_empty()
    }

    fn smallest(&self) -> IntervalPart {
        let digits = u32::try_from(self.fraction.len()).unwrap_or(u32::MAX);
        if self.seconds > 0 || digits > 0 {
            IntervalPart::Second(digits)
        } else if self.minutes > 0 {
            IntervalPart::Minute
        } else if self.hours > 0 {
            IntervalPart::Hour
        } else if self.days != 0 {
            IntervalPart::Day
        } else if self.months != 0 {
            IntervalPart::Month
        } else {
            IntervalPart::Year
        }
    }
}

/// As the server writes it, which puts a sign before what follows a negative part.
impl std::fmt::Display for Interval<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut told = String::new();
        let mut is_behind_negative = false;
        for (number, unit) in [(self.years, "year"), (self.months, "mon"), (self.days, "day")] {
            if number == 0 {
                continue;
            }
            let space = if told.is_empty() { "" } else { " " };
            let sign = if is_behind_negative && number > 0 { "+" } else { "" };
            let plural = if number == 1 { "" } else { "s" };
            write!(told, "{space}{sign}{number} {unit}{plural}")?;
            is_behind_negative = number < 0;
        }
        if told.is_empty() || self.has_time() {
            let space = if told.is_empty() { "" } else { " " };
            let sign = match (self.is_back, is_behind_negative) {
                (true, _) => "-",
                (false, true) => "+",
                (false, false) => "",
            };
            write!(told, "{space}{sign}{:02}:{:02}:{:02}", self.hours, self.minutes, self.seconds)?;
            if !self.fraction.is_empty() {
                write!(told, ".{}", self.fraction)?;
            }
        }
        formatter.write_str(&told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_read_as_the_server_writes_it() {
        let seconds = IntervalPart::Second(6);
        for text in [
            "1 year 2 mons 3 days 04:05:06.789",
            "-1 years -2 mons +3 days -04:05:06",
            "-1 days +02:03:00",
            "00:00:00",
            "-00:00:01",
            "100:00:00",
            "infinity",
        ] {
            assert_eq!(interval_fault(text, seconds), None, "{text}");
        }
        for text in
            ["P1D", "36 hours", "1 days", "14 mons", "00:90:00", "1 day 00:00:00", "00:00:01.50", "", "1"]
        {
            assert!(interval_fault(text, seconds).is_some(), "{text}");
        }
    }

    #[test]
    fn a_moment_is_written_as_another_one() {
        let moment = |text: &str| Timestamp::parse_iso(text).unwrap();
        for (sample, text) in [
            ("2024-01-01", "2020-02-29"),
            ("2024-01-01 00:00:00", "2020-02-29 12:30:01"),
            ("2024-01-01T00:00:00", "2020-02-29T12:30:01"),
            ("2024-01-01T00:00:00Z", "2020-02-29T12:30:01Z"),
        ] {
            assert_eq!(moment_like(moment(text), sample).as_deref(), Some(text));
        }
        assert_eq!(moment_like(moment("2020-02-29T12:30:01Z"), "2024-01-01"), None);
        assert_eq!(moment_like(moment("2020-02-29T12:30:01.5Z"), "2024-01-01 00:00:00"), None);
    }

    #[test]
    fn an_interval_keeps_no_parts_below_the_smallest() {
        use IntervalPart::{Day, Hour, Minute, Month, Second, Year};
        for (text, smallest) in [
            ("1 year", Year),
            ("1 year 2 mons", Month),
            ("1 day", Day),
            ("1 day 02:00:00", Hour),
            ("02:03:00", Minute),
            ("00:00:01", Second(0)),
            ("00:00:01.25", Second(2)),
        ] {
            assert_eq!(interval_fault(text, smallest), None, "{text}");
        }
        for (text, smallest) in
            [("1 mon", Year), ("1 day", Month), ("01:00:00", Day), ("00:01:00", Hour), ("00:00:01", Minute)]
        {
            assert!(interval_fault(text, smallest).is_some(), "{text}");
        }
        assert!(interval_fault("00:00:01.25", Second(1)).is_some());
    }
}
