//! When the log of a master was where, by our own clock, which never runs backwards.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Positions kept; when there are more, every second one of the older half is given up.
const MOST_SAMPLES: usize = 1024;

/// A position, and when the log was seen there.
#[derive(Debug, Clone, Copy)]
struct Sample {
    position: u64,
    first_seen: Instant,
    last_seen: Instant,
}

/// The positions at which the log of a master was seen.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    samples: VecDeque<Sample>,
}

/// How long ago the log was at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Age {
    /// At least this long ago.
    pub(super) least: Duration,
    /// Probably this long ago.
    pub(super) likely: Duration,
    /// At most this long ago; `None` where nothing older has been seen.
    pub(super) most: Option<Duration>,
}

impl Timeline {
    /// Notes where the log is now. A position before the last one is another log, or one whose end was lost.
    pub(crate) fn saw(&mut self, position: u64, now: Instant) {
        match self.samples.back_mut() {
            Some(last) if last.position == position => last.last_seen = now,
            // A look that was overtaken by a later one.
            Some(last) if last.position > position && now < last.last_seen => return,
            Some(last) if last.position > position => {
                self.samples.clear();
                self.samples.push_back(Sample { position, first_seen: now, last_seen: now });
            }
            _ => self.samples.push_back(Sample { position, first_seen: now, last_seen: now }),
        }
        if self.samples.len() > MOST_SAMPLES {
            self.thin_out();
        }
    }

    /// Notes that the log has reached a position, which may have been asked for before the last look.
    pub(crate) fn reached(&mut self, position: u64, now: Instant) {
        if self.end().is_none_or(|end| end < position) {
            self.saw(position, now);
        }
    }

    /// The last position that was seen.
    pub(crate) fn end(&self) -> Option<u64> {
        self.samples.back().map(|sample| sample.position)
    }

    /// How long ago the log left this position; `None` if it has not, as far as is known.
    pub(super) fn age(&self, position: u64, now: Instant) -> Option<Age> {
        let beyond = self.samples.partition_point(|sample| sample.position <= position);
        let after = self.samples.get(beyond)?;
        let least = now.saturating_duration_since(after.first_seen);
        let Some(before) = beyond.checked_sub(1).and_then(|at| self.samples.get(at)) else {
            return Some(Age { least, likely: least, most: None });
        };
        let most = now.saturating_duration_since(before.last_seen);
        // Between two looks the log is taken to have grown evenly.
        let span = after.first_seen.saturating_duration_since(before.last_seen);
        let left = ratio(after.position - position, after.position - before.position);
        Some(Age { least, likely: least + span.mul_f64(left), most: Some(most) })
    }

    fn thin_out(&mut self) {
        let half = self.samples.len() / 2;
        let mut at = 0;
        self.samples.retain(|_| {
            at += 1;
            at > half || at % 2 == 1
        });
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share of time need not be exact")]
fn ratio(part: u64, whole: u64) -> f64 {
    (part as f64 / whole as f64).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_position_is_as_old_as_the_moment_the_log_left_it() {
        let start = Instant::now();
        let mut timeline = Timeline::default();
        timeline.saw(100, start);
        timeline.saw(100, start + seconds(60));
        timeline.saw(300, start + seconds(62));
        let now = start + seconds(65);
        assert_eq!(timeline.age(300, now), None);
        assert_eq!(timeline.age(400, now), None);
        assert_eq!(
            timeline.age(100, now).unwrap(),
            Age { least: seconds(3), likely: seconds(5), most: Some(seconds(5)) }
        );
        assert_eq!(timeline.age(200, now).unwrap().likely, seconds(4));
        assert_eq!(
            timeline.age(50, now).unwrap(),
            Age { least: seconds(65), likely: seconds(65), most: None }
        );
    }

    #[test]
    fn a_log_that_starts_anew_forgets_the_old_one() {
        let start = Instant::now();
        let mut timeline = Timeline::default();
        timeline.saw(500, start);
        timeline.saw(20, start + seconds(1));
        assert_eq!(timeline.end(), Some(20));
        assert_eq!(timeline.age(20, start + seconds(9)), None);
    }

    #[test]
    fn memory_is_bounded_and_the_newest_positions_are_kept() {
        let start = Instant::now();
        let mut timeline = Timeline::default();
        for step in 0..10_000 {
            timeline.saw(step, start + seconds(step));
        }
        assert!(timeline.samples.len() <= MOST_SAMPLES);
        assert_eq!(timeline.end(), Some(9_999));
        assert_eq!(timeline.age(9_998, start + seconds(10_000)).unwrap().least, seconds(1));
        assert!(timeline.samples.iter().is_sorted_by_key(|sample| sample.position));
    }
}
