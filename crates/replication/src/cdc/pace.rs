//! How long batches are added to before they are written.

use std::time::Duration;

use data::Timestamp;
use data::log::Position;

/// How long a batch is added to while more changes are there, at the most.
const LONGEST: Duration = Duration::from_millis(50);
/// How long at the least.
const SHORTEST: Duration = Duration::from_millis(2);
/// A target that is behind by less than this, in microseconds, is up to date: then it counts more that changes are seen soon than
/// that many are written at once.
const UP_TO_DATE: i64 = 100_000;

/// How long batches are added to.
#[derive(Default)]
pub(super) struct Pace {
    /// By how many microseconds the clock of the source is ahead of ours, where that is known.
    pub(super) source_ahead: Option<i64>,
    /// How long it took to write and commit the last batch.
    pub(super) last_commit: Duration,
}

impl Pace {
    /// A target that is up to date is given the next batch when that has been added to for as long as the last one took to be
    /// written. One that is behind is given as many changes at once as there are.
    pub(super) fn longest(&self, ended: Option<&(Position, Timestamp)>) -> Duration {
        let (Some(ahead), Some((_, committed_at))) = (self.source_ahead, ended) else { return LONGEST };
        let behind = Timestamp::now().0.saturating_add(ahead).saturating_sub(committed_at.0);
        if behind < UP_TO_DATE { self.last_commit.clamp(SHORTEST, LONGEST) } else { LONGEST }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_added_to_for_long_only_while_the_target_is_behind() {
        let pace = Pace { source_ahead: Some(7_000_000), last_commit: Duration::from_millis(8) };
        let committed = |behind: i64| (Position::at(1), Timestamp(Timestamp::now().0 + 7_000_000 - behind));
        assert_eq!(pace.longest(Some(&committed(0))), Duration::from_millis(8));
        assert_eq!(pace.longest(Some(&committed(60_000_000))), LONGEST);
        let unknown = Pace { source_ahead: None, ..pace };
        assert_eq!(unknown.longest(Some(&committed(0))), LONGEST);
        let slow = Pace { source_ahead: Some(0), last_commit: Duration::from_secs(1) };
        assert_eq!(slow.longest(Some(&(Position::at(1), Timestamp::now()))), LONGEST);
        assert_eq!(Pace { source_ahead: Some(0), ..Pace::default() }.longest(None), LONGEST);
    }
}
