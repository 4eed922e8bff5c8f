//! When a cluster's catalogue is to be read again.

use std::time::{Duration, Instant};

/// How old a catalogue may get.
const READ_EVERY: Duration = Duration::from_secs(60);

/// The pause after a reading, in multiples of the time it took, so that definitions that change all the time do not keep the
/// server busy.
const PAUSE_PER_READING: u32 = 5;

/// The bounds of that pause.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// The wait after a reading that failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// When a catalogue was read and what has happened since.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    last: Option<Instant>,
    /// When the reading that is under way, or was the last, began.
    began: Option<Instant>,
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
            (false, true) => self.pause(last),
            (false, false) => READ_EVERY,
        };
        Some(Due::At(last + wait))
    }

    /// The pause after the last reading.
    fn pause(&self, last: Instant) -> Duration {
        let took = self.began.map_or(Duration::ZERO, |began| last.saturating_duration_since(began));
        (took * PAUSE_PER_READING).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
    }

    /// Whether a reading for something that has happened is under way, or begins before a moment. One that has failed may
    /// fail again.
    pub(super) fn is_awaited(&self, until: Instant) -> bool {
        if self.failed {
            return false;
        }
        match self.due() {
            None | Some(Due::Now) => true,
            Some(Due::At(moment)) => self.wanted && moment < until,
        }
    }

    /// Whether there was no reading yet.
    pub(super) fn is_new(&self) -> bool {
        self.last.is_none()
    }

    pub(super) fn begin(&mut self, now: Instant) {
        self.reading = true;
        self.wanted = false;
        self.began = Some(now);
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
