//! Points in time as the server sends them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// From 1970-01-01 to 2000-01-01, where PostgreSQL's time begins, in microseconds.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A point in time, in microseconds since 2000-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point in time that many microseconds after 2000-01-01 00:00 UTC.
    pub(crate) fn from_epoch_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// This moment, by the clock of this machine.
    pub(crate) fn now() -> Self {
        let since_unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(i64::try_from(since_unix.as_micros()).unwrap_or(i64::MAX).saturating_sub(EPOCH_MICROS))
    }

    /// Microseconds since 2000-01-01 00:00 UTC, negative before it.
    pub fn epoch_micros(self) -> i64 {
        self.0
    }

    /// Microseconds since 1970-01-01 00:00 UTC, negative before it.
    pub fn unix_micros(self) -> i64 {
        self.0.saturating_add(EPOCH_MICROS)
    }

    /// The same as the standard library's time; 1970-01-01 for what is earlier.
    pub fn system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(u64::try_from(self.unix_micros()).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_year_2000_is_the_beginning() {
        assert_eq!(Timestamp::from_epoch_micros(0).unix_micros(), 946_684_800_000_000);
        let second = Timestamp::from_epoch_micros(1_000_000).system_time();
        assert_eq!(second.duration_since(UNIX_EPOCH).unwrap(), Duration::from_secs(946_684_801));
    }

    #[test]
    fn impossible_times_stay_within_the_range() {
        assert_eq!(Timestamp::from_epoch_micros(i64::MIN).system_time(), UNIX_EPOCH);
        assert_eq!(Timestamp::from_epoch_micros(i64::MAX).unix_micros(), i64::MAX);
        assert!(Timestamp::now() > Timestamp::from_epoch_micros(0));
    }
}
