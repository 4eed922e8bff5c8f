//! What is to happen at a certain time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::Token;

/// Something that is due at some time. Whatever it concerns may be gone by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    /// A request has had the time it was given.
    Deadline { request: usize, id: u64 },
    /// A request is tried again.
    Retry { request: usize, id: u64 },
    /// The first in a pool's queue may have waited for long enough.
    Acquire { pool: usize },
    /// The first of those held back may have waited for a catalogue for long enough.
    Held,
    /// A pool may open connections again.
    Grow { pool: usize },
    /// A pool's connections are looked through. `number` tells it from those that had its key before.
    Maintain { pool: usize, number: u64 },
    /// A statement that was cancelled, or stands at the head of a pipeline although nobody waits for it any more, is
    /// cancelled, again if need be.
    Cancel { token: Token, request: usize, id: u64 },
    /// A connection that was to be reset is given up when that has not ended by now.
    Reset { token: Token },
    /// Something the engine does regularly, see `own_query`.
    Routine(Routine),
}

/// Something the engine does regularly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Routine {
    /// Asking a standby how far it has replayed.
    Replay { pool: usize },
    /// Reading the catalogues that have become old.
    Catalogues,
    /// Asking all servers for a sign of life.
    Check,
    /// Looking whether a server on which something runs has fallen silent. `number` tells its pool from those that had its
    /// key before.
    Silence { pool: usize, number: u64 },
    /// Looking whether a standby can be promoted, as was asked for.
    Promotion { pool: usize },
    /// Asking the servers of a cluster again which changes of a log they show, given by its number.
    Shown { log: u64 },
    /// Dropping what has been in the cache for long enough.
    CacheEntries,
}

#[derive(Debug, PartialEq, Eq)]
struct Due {
    at: Instant,
    order: u64,
    timer: Timer,
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The timers of an engine, the next one first.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<Due>>,
    order: u64,
}

impl Timers {
    pub(crate) fn add(&mut self, at: Instant, timer: Timer) {
        self.order += 1;
        self.heap.push(Reverse(Due { at, order: self.order, timer }));
    }

    /// When the next timer is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(due)| due.at)
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Drops the timers of requests that have ended.
    pub(crate) fn drop_ended(&mut self, mut is_alive: impl FnMut(usize, u64) -> bool) {
        self.heap.retain(|Reverse(due)| match due.timer {
            Timer::Deadline { request, id } => is_alive(request, id),
            _ => true,
        });
    }

    /// Takes the next timer that is due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(due)| due.timer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timers_come_in_the_order_of_their_times_and_not_before() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.add(start + Duration::from_secs(2), Timer::Grow { pool: 2 });
        timers.add(start + Duration::from_secs(1), Timer::Grow { pool: 1 });
        assert_eq!(timers.take_due(start), None);
        let later = start + Duration::from_secs(5);
        assert_eq!(timers.take_due(later), Some(Timer::Grow { pool: 1 }));
        assert_eq!(timers.take_due(later), Some(Timer::Grow { pool: 2 }));
        assert_eq!(timers.take_due(later), None);
    }
}
