//! When a cluster's catalogue is to be read again.

use std::time::{Duration, Instant};

/// How old a catalogue may get.
const READ_EVERY: Duration = Duration::from_secs(60);

/// The least time between two readings, so that definitions that change all the time do not keep the server busy.
const READ_AT_MOST_EVERY: Duration = Duration::from_millis(200);

/// The wait after a reading that failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// When a catalogue was read and what has happened since.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    last: Option<Instant>,
    failed: bool,
    /// Whether something has happened that the catalogue cannot know: a definition changed, a new name was met.
    wanted: bool,
    /// Whether a reading is under way.
    reading: bool,
}

impl Freshness {
    /// Asks for a reading soon.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// When the next reading is due; `None` while one is under way.
    pub(super) fn due(&self) -> Option<Due> {
        if self.reading {
            return None;
        }
        let Some(last) = self.last else { return Some(Due::Now) };
        let wait = match (self.failed, self.wanted) {
            (true, _) => RETRY_AFTER,
            (false, true) => READ_AT_MOST_EVERY,
            (false, false) => READ_EVERY,
        };
        Some(Due::At(last + wait))
    }

    pub(super) fn begin(&mut self) {
        self.reading = true;
        self.wanted = false;
    }

    pub(super) fn end(&mut self, now: Instant, failed: bool) {
        (self.reading, self.failed, self.last) = (false, failed, Some(now));
    }
}

/// When a reading is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// At once: the catalogue was never read.
    Now,
    /// From this moment on.
    At(Instant),
}
