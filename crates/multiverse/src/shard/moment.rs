//! Dates and times as ISO 8601 writes them, as the numbers by which PostgreSQL stores them.

/// Days from the start of 1970 to that of 2000.
const DAYS_TO_2000: i64 = 10_957;
const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Days since 2000; a time of day is passed over, as the server does.
pub(crate) fn date_of(text: &str) -> Option<i32> {
    match text {
        "infinity" => return Some(i32::MAX),
        "-infinity" => return Some(i32::MIN),
        _ => {}
    }
    let (text, is_before_christ) = era_of(text);
    let (date, time) = split_time(text);
    if let Some(time) = time {
        time_of(time)?;
    }
    i32::try_from(days_of(date, is_before_christ)?).ok()
}

/// Microseconds since 2000. Of one with a time zone, the text must say how far from UTC it is; of one without, the server
/// passes that over.
pub(crate) fn timestamp_of(text: &str, is_zoned: bool) -> Option<i64> {
    match text {
        "infinity" => return Some(i64::MAX),
        "-infinity" => return Some(i64::MIN),
        _ => {}
    }
    let (text, is_before_christ) = era_of(text);
    let (date, time) = split_time(text);
    let days = days_of(date, is_before_christ)?;
    let (micros, distance) = match time {
        Some(time) => time_of(time)?,
        None => (0, None),
    };
    let distance = if is_zoned { distance? } else { 0 };
    days.checked_mul(MICROS_PER_DAY)?.checked_add(micros)?.checked_sub(distance * MICROS_PER_SECOND)
}

fn era_of(text: &str) -> (&str, bool) {
    match text.strip_suffix("BC") {
        Some(rest) => (rest.trim_end(), true),
        None => (text, false),
    }
}

fn split_time(text: &str) -> (&str, Option<&str>) {
    match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    }
}

fn number(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// Days since 2000 of `YYYY-MM-DD`.
fn days_of(date: &str, is_before_christ: bool) -> Option<i64> {
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, number(parts.next()?)?, number(parts.next()?)?);
    // A shorter year may be meant otherwise.
    if parts.next().is_some() || year.len() < 4 || year.len() > 7 {
        return None;
    }
    let year = number(year)?;
    if year == 0 {
        return None;
    }
    let year = if is_before_christ { 1 - year } else { year };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=longest).contains(&day) {
        return None;
    }
    // Years that begin in March have the leap day at their end.
    let year = if month <= 2 { year - 1 } else { year };
    let (century, of_century) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_centuries = of_century * 365 + of_century / 4 - of_century / 100 + of_year;
    Some(century * 146_097 + of_centuries - 719_468 - DAYS_TO_2000)
}

/// Microseconds since midnight, and the seconds that the time is ahead of UTC, where it says so.
fn time_of(time: &str) -> Option<(i64, Option<i64>)> {
    let end = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at_checked(end)?;
    let mut parts = clock.trim_end().split(':');
    let (hours, minutes) = (number(parts.next()?)?, number(parts.next()?)?);
    let seconds = parts.next().unwrap_or("0");
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let is_fine = parts.next().is_none() && hours < 24 && minutes < 60 && number(seconds)? < 60;
    if !is_fine || fraction.len() > 6 {
        return None;
    }
    let micros = number(&format!("{fraction:0<6}"))?;
    let seconds = hours * 3600 + minutes * 60 + number(seconds)?;
    let distance = match zone.split_at_checked(1) {
        None => None,
        Some(("Z" | "z", "")) => Some(0),
        Some((sign @ ("+" | "-"), distance)) => {
            let seconds = distance_of(distance)?;
            Some(if sign == "-" { -seconds } else { seconds })
        }
        Some(_) => return None,
    };
    Some((seconds * MICROS_PER_SECOND + micros, distance))
}

/// The seconds of `HH`, `HHMM`, `HH:MM` or `HH:MM:SS`.
fn distance_of(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let hours = parts.next()?;
    let (hours, minutes) = match hours.split_at_checked(2)? {
        (hours, "") => (number(hours)?, parts.next().map_or(Some(0), number)?),
        (hours, minutes) if minutes.len() == 2 => (number(hours)?, number(minutes)?),
        _ => return None,
    };
    let seconds = parts.next().map_or(Some(0), number)?;
    (parts.next().is_none() && hours < 16 && minutes < 60 && seconds < 60)
        .then_some(hours * 3600 + minutes * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_since_2000() {
        for (text, days) in [
            ("2000-01-01", 0),
            ("1999-12-31", -1),
            ("2000-03-01", 60),
            ("2024-02-29", 8825),
            ("0001-01-01", -730_119),
            ("0001-12-31 BC", -730_120),
            ("2020-01-01T23:59:59.999+02:00", 7305),
        ] {
            assert_eq!(date_of(text), Some(days), "{text}");
        }
        for text in ["2023-02-29", "20-01-01", "2020-13-01", "01/02/2020", "today", "2020-01-01 25:00"] {
            assert_eq!(date_of(text), None, "{text}");
        }
    }

    #[test]
    fn timestamps_are_microseconds_since_2000_and_say_their_distance_from_utc() {
        assert_eq!(timestamp_of("2000-01-01 00:00:01.5", false), Some(1_500_000));
        assert_eq!(timestamp_of("2000-01-01T01:00:00+01:00", true), Some(0));
        assert_eq!(timestamp_of("2000-01-01 00:00:00-00:30", true), Some(1_800_000_000));
        assert_eq!(timestamp_of("2000-01-01T00:00:00.000001Z", true), Some(1));
        assert_eq!(timestamp_of("2000-01-01T01:00:00+01:00", false), Some(3_600_000_000));
        assert_eq!(timestamp_of("2000-01-01 00:00:00", true), None);
        assert_eq!(timestamp_of("2000-01-01 00:00:00 Europe/Rome", true), None);
    }
}
