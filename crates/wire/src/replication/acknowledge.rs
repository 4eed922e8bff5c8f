//! How far the stream was received and acknowledged, shared by its reader, its writer and whoever acknowledges.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use tokio::sync::Notify;

use super::lsn::Lsn;

/// Why the writer is to send a status update before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted(u8);

impl Wanted {
    pub(super) const NOTHING: Self = Self(0);
    /// The caller has acknowledged something. It can wait a moment for more.
    pub(super) const ACKNOWLEDGED: Self = Self(1);
    /// The server wants an answer.
    pub(super) const ANSWER: Self = Self(2);
    /// The server has been silent for long, so that it is asked for an answer.
    pub(super) const QUESTION: Self = Self(4);
    /// The stream is to end.
    pub(super) const END: Self = Self(8);

    pub(super) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// How far the stream has come, and what its writer is to do about it.
#[derive(Debug)]
pub(super) struct Standing {
    received: AtomicU64,
    acknowledged: AtomicU64,
    wanted: AtomicU8,
    wake: Notify,
}

impl Standing {
    pub(super) fn new() -> Self {
        Self {
            received: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            wanted: AtomicU8::new(0),
            wake: Notify::new(),
        }
    }

    pub(super) fn received(&self) -> Lsn {
        self.received.load(Ordering::Acquire).into()
    }

    /// Only the reader of the stream calls it, so that it need not be one step.
    pub(super) fn receive(&self, lsn: Lsn) {
        if lsn > self.received() {
            self.received.store(lsn.into(), Ordering::Release);
        }
    }

    pub(super) fn acknowledged(&self) -> Lsn {
        self.acknowledged.load(Ordering::Acquire).into()
    }

    fn acknowledge(&self, lsn: Lsn) {
        if self.acknowledged.fetch_max(lsn.into(), Ordering::AcqRel) < lsn.into() {
            self.want(Wanted::ACKNOWLEDGED);
        }
    }

    pub(super) fn want(&self, wanted: Wanted) {
        self.wanted.fetch_or(wanted.0, Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// What has been wanted since the last time.
    pub(super) fn take_wanted(&self) -> Wanted {
        Wanted(self.wanted.swap(0, Ordering::AcqRel))
    }

    /// Returns after [`Standing::want`] was called, perhaps before this was.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }
}

/// The right to acknowledge what a stream has delivered. It can be cloned and sent anywhere.
#[derive(Debug, Clone)]
pub struct Acknowledger {
    pub(super) standing: Arc<Standing>,
}

impl Acknowledger {
    /// Tells the server that everything before `lsn` is safe and will not be asked for again.
    ///
    /// The server hears of it within some milliseconds. Positions that are not beyond the last one have no effect.
    /// Use the `end_lsn` of transactions and, when nothing delivered is left to do, the position of a
    /// [keepalive](crate::replication::Keepalive).
    pub fn acknowledge(&self, lsn: Lsn) {
        self.standing.acknowledge(lsn);
    }

    /// The last position acknowledged; [`Lsn::ZERO`] where none was.
    pub fn acknowledged(&self) -> Lsn {
        self.standing.acknowledged()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_only_move_forward() {
        let acknowledger = Acknowledger { standing: Arc::new(Standing::new()) };
        let standing = &acknowledger.standing;
        for (lsn, expected) in [(5, 5), (3, 5), (7, 7)] {
            acknowledger.acknowledge(lsn.into());
            standing.receive(lsn.into());
            assert_eq!(
                (acknowledger.acknowledged(), standing.received()),
                (expected.into(), expected.into())
            );
        }
    }

    #[test]
    fn what_is_wanted_is_collected_and_taken_once() {
        let acknowledger = Acknowledger { standing: Arc::new(Standing::new()) };
        acknowledger.acknowledge(1.into());
        acknowledger.standing.want(Wanted::ANSWER);
        let wanted = acknowledger.standing.take_wanted();
        assert!(wanted.contains(Wanted::ACKNOWLEDGED) && wanted.contains(Wanted::ANSWER));
        assert!(!wanted.contains(Wanted::END));
        acknowledger.acknowledge(1.into());
        assert_eq!(acknowledger.standing.take_wanted(), Wanted::NOTHING);
    }
}
