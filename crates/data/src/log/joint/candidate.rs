//! A reader that has a stream of its own and would rather share one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::seat::Entry;
use super::{Joint, SharedLog};
use crate::log::{LogReader, Position};

/// A reader, as those see it who look for others that fit to it.
pub(super) struct Candidate {
    pub(super) reader: Arc<LogReader>,
    /// The order up to which it was told.
    told: AtomicU64,
    /// Before this moment it is left alone.
    not_before: Instant,
    called: watch::Sender<bool>,
    /// Who has called it.
    caller: Mutex<Option<oneshot::Sender<Entry>>>,
}

impl Candidate {
    pub(super) fn new(reader: Arc<LogReader>, boundary: &Position, not_before: Instant) -> Arc<Self> {
        Arc::new(Self {
            reader,
            told: AtomicU64::new(boundary.order),
            not_before,
            called: watch::Sender::new(false),
            caller: Mutex::default(),
        })
    }

    /// Whether it may be called by now.
    pub(super) fn is_ready(&self) -> bool {
        self.not_before <= Instant::now()
    }

    /// The order up to which it was told.
    pub(super) fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    pub(super) fn note_told(&self, boundary: &Position) {
        self.told.store(boundary.order, Ordering::Relaxed);
    }

    /// Asks it to give its stream up for a common one.
    pub(super) fn call(&self) -> oneshot::Receiver<Entry> {
        let (sender, receiver) = oneshot::channel();
        *self.caller.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        self.called.send_replace(true);
        receiver
    }

    /// Who has called it, if anybody still waits for it; told once.
    pub(super) fn take_caller(&self) -> Option<oneshot::Sender<Entry>> {
        self.called.send_replace(false);
        let caller = self.caller.lock().unwrap_or_else(PoisonError::into_inner).take();
        caller.filter(|caller| !caller.is_closed())
    }

    /// Waits until it is called. Dropping the future loses nothing.
    pub(super) async fn called(&self) {
        // The sender lives as long as this.
        drop(self.called.subscribe().wait_for(|called| *called).await);
    }
}

/// A reader is a candidate for as long as it holds this.
pub(super) struct Candidacy {
    joint: Arc<Joint>,
    pub(super) candidate: Arc<Candidate>,
}

impl Candidacy {
    pub(super) fn new(joint: &Arc<Joint>, log: &Arc<dyn SharedLog>, candidate: Arc<Candidate>) -> Self {
        joint.enter(log, Arc::clone(&candidate));
        Self { joint: Arc::clone(joint), candidate }
    }
}

impl Drop for Candidacy {
    fn drop(&mut self) {
        self.joint.withdraw(&self.candidate);
    }
}
