//! How far a rule that polls has come. It is kept in memory: a new process begins with everything, which it finds equal.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use data::{Dialect, Timestamp, Value};
use indexmap::IndexMap;

use crate::snapshot::End;

/// How far each collection of a rule has come.
#[derive(Default)]
pub(crate) struct PollState {
    /// The connections it was reached over. Another master may hold other rows, so that with one everything begins anew.
    ends: Option<[Weak<dyn Dialect>; 2]>,
    collections: HashMap<String, CollectionState>,
}

impl PollState {
    /// Begins a run between two ends.
    pub(crate) fn begin(&mut self, source: &End, target: &End) {
        let ends = source.dialect().zip(target.dialect());
        let ends = ends.map(|(source, target)| [Arc::downgrade(source), Arc::downgrade(target)]);
        let same = match (&self.ends, &ends) {
            (Some(known), Some(ends)) => known.iter().zip(ends).all(|(known, end)| known.ptr_eq(end)),
            _ => false,
        };
        if !same {
            self.collections.clear();
        }
        self.ends = ends;
    }

    pub(super) fn collection(&mut self, label: &str) -> &mut CollectionState {
        self.collections.entry(label.to_owned()).or_default()
    }

    /// From which `updatedAt` on the next run reads each collection, in ms since the epoch.
    pub(crate) fn cursors(&self) -> IndexMap<String, u64> {
        let cursors = self.collections.iter().filter_map(|(label, state)| {
            let millis = state.cursor?.millis().max(0);
            Some((label.clone(), u64::try_from(millis).unwrap_or(0)))
        });
        cursors.collect()
    }
}

/// How far a collection has come.
#[derive(Default)]
pub(super) struct CollectionState {
    cursor: Option<Timestamp>,
    /// The latest `updatedAt` that was ever read.
    newest: Option<Timestamp>,
    /// The keys, at the source, of rows that could not be written.
    failed: Vec<Vec<Value>>,
}

impl CollectionState {
    /// From which `updatedAt` on rows are read. While no row has had one there is no telling how the clock that sets it
    /// goes, and everything is read.
    pub(super) fn read_from(&self) -> Option<Timestamp> {
        self.newest.and(self.cursor)
    }

    /// The keys of the rows that failed last time.
    pub(super) fn failed(&self) -> &[Vec<Value>] {
        &self.failed
    }

    /// Enters the outcome of a run that began at this moment of the source's clock and read rows up to `newest`.
    pub(super) fn advance(
        &mut self,
        begun: Timestamp,
        newest: Option<Timestamp>,
        overlap_ms: u64,
        failed: Vec<Vec<Value>>,
    ) {
        self.newest = self.newest.max(newest);
        let reached = self.newest.map_or(begun, |newest| newest.min(begun));
        // A row keeps the milliseconds of its moment, which so seems to lie before the start of its transaction.
        let reached = Timestamp(reached.0.saturating_sub(reached.0.rem_euclid(1000)));
        let overlap = i64::try_from(overlap_ms).unwrap_or(i64::MAX).saturating_mul(1000);
        self.cursor = Some(Timestamp(reached.0.saturating_sub(overlap)));
        self.failed = failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    fn cursor_after(runs: &[(i64, Option<i64>)]) -> Option<Timestamp> {
        let mut state = CollectionState::default();
        for (begun, newest) in runs {
            state.advance(at(*begun), newest.map(at), 5000, Vec::new());
        }
        state.read_from()
    }

    #[test]
    fn an_application_whose_clock_is_behind_loses_no_rows() {
        assert_eq!(cursor_after(&[(1000, Some(400))]), Some(at(395)));
        assert_eq!(cursor_after(&[(1000, Some(400)), (2000, Some(410))]), Some(at(405)));
    }

    #[test]
    fn a_row_from_the_future_does_not_hide_those_that_are_written_before_then() {
        assert_eq!(cursor_after(&[(1000, Some(9_000_000))]), Some(at(995)));
    }

    #[test]
    fn everything_is_read_while_no_row_has_told_the_time() {
        assert_eq!(cursor_after(&[(1000, None), (2000, None)]), None);
    }

    #[test]
    fn a_run_that_reads_nothing_new_keeps_what_was_reached() {
        assert_eq!(cursor_after(&[(1000, Some(900)), (2000, None)]), Some(at(895)));
    }
}
