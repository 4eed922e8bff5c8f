//! The place of a reader in a group, from both sides: what it is told of the common stream, and what it acknowledges.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;

use super::SharedLog;
use crate::log::{Change, LogEvent, LogReader, LoggedTransaction, Position};
use crate::table::Table;

/// Events that wait for a reader.
const WAITING_EVENTS: usize = 4;
/// How long leaving may take.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);

/// What both sides share.
#[derive(Default)]
struct Slip {
    acknowledged: Mutex<Option<Position>>,
    /// Wakes the group.
    group: Mutex<Option<Arc<Notify>>>,
}

impl Slip {
    fn wake_group(&self) {
        if let Some(group) = &*self.group.lock().unwrap_or_else(PoisonError::into_inner) {
            group.notify_one();
        }
    }
}

/// Makes a place for a reader that was told everything up to a boundary: its own side, and that of the group.
pub(super) fn seat(
    reader: Arc<LogReader>,
    boundary: Position,
    acknowledged: Option<Position>,
) -> (Taken, Entry) {
    let (sender, events) = mpsc::channel(WAITING_EVENTS);
    let (released, release) = oneshot::channel();
    let slip = Arc::new(Slip { acknowledged: Mutex::new(acknowledged), group: Mutex::default() });
    let taken = Taken { events, slip: Arc::clone(&slip), release: Some(release) };
    (taken, Entry { reader, boundary, events: sender, slip, _released: released })
}

/// The side of the reader. When the group lets it go, there are no more events.
pub(super) struct Taken {
    events: mpsc::Receiver<LogEvent>,
    slip: Arc<Slip>,
    release: Option<oneshot::Receiver<()>>,
}

impl Taken {
    /// The next event; none once the reader is to go on alone.
    pub(super) async fn next(&mut self) -> Option<LogEvent> {
        self.events.recv().await
    }

    pub(super) fn acknowledge(&self, position: &Position) {
        *self.slip.acknowledged.lock().unwrap_or_else(PoisonError::into_inner) = Some(position.clone());
        self.slip.wake_group();
    }

    /// Leaves the group, and waits until nothing that is kept for the reader is in use there.
    pub(super) async fn leave(mut self) {
        self.events.close();
        self.slip.wake_group();
        if let Some(release) = self.release.take() {
            // A group that is over has released everything.
            drop(timeout(LEAVE_TIMEOUT, release).await);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.events.close();
        self.slip.wake_group();
    }
}

/// A reader that wants to be read for by a group. Dropped, it goes on alone.
pub(super) struct Entry {
    pub(super) reader: Arc<LogReader>,
    /// Behind the last whole transaction that it was told.
    pub(super) boundary: Position,
    events: mpsc::Sender<LogEvent>,
    slip: Arc<Slip>,
    /// Dropped with the rest.
    _released: oneshot::Sender<()>,
}

/// The side of the group.
pub(super) struct Seat {
    entry: Entry,
    tables: HashMap<String, Arc<Table>>,
    /// The table that was told of last, and how the reader knows it if it does.
    last: Option<(Arc<Table>, Option<Arc<Table>>)>,
    /// Transactions up to this order were told before.
    seen: Option<u64>,
    /// The open transaction, until the first change in it that concerns the reader.
    silent: Option<LoggedTransaction>,
    /// Whether the reader knows of the open transaction.
    is_told: bool,
    /// Up to where nothing concerns the reader, until there is room to tell it.
    idle: Option<Position>,
    /// For how long the others have waited for this one since it had nothing to do.
    pub(super) held_up: Duration,
    /// The order up to which the database was told of what is acknowledged.
    kept_up: u64,
}

impl Seat {
    /// Gives a reader its place.
    pub(super) fn new(entry: Entry, group: &Arc<Notify>) -> Self {
        *entry.slip.group.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(group));
        let tables = entry.reader.tables.iter().map(|table| (table.name.clone(), Arc::clone(table)));
        Self {
            tables: tables.collect(),
            entry,
            last: None,
            seen: None,
            silent: None,
            is_told: false,
            idle: None,
            held_up: Duration::ZERO,
            kept_up: 0,
        }
    }

    pub(super) fn reader(&self) -> &Arc<LogReader> {
        &self.entry.reader
    }

    /// Behind the last whole transaction that it was told when the stream of the group was begun.
    pub(super) fn boundary(&self) -> &Position {
        &self.entry.boundary
    }

    /// The stream of the group is begun anew, and has been read up to here.
    pub(super) fn note_boundary(&mut self, boundary: &Position) {
        if self.seen.is_none() {
            self.entry.boundary.clone_from(boundary);
        }
    }

    /// The stream of the group begins here, and repeats what was told before.
    pub(super) fn begin_behind(&mut self, from: &Position) {
        self.last = None;
        self.seen = (self.entry.boundary != *from).then_some(self.entry.boundary.order);
    }

    /// Whether the reader has left.
    pub(super) fn is_left(&self) -> bool {
        self.entry.events.is_closed()
    }

    /// Whether the reader waits for something to do.
    pub(super) fn is_waiting(&self) -> bool {
        self.entry.events.capacity() == self.entry.events.max_capacity()
    }

    /// A reader that waits holds nobody up.
    pub(super) fn note_whether_it_waits(&mut self) {
        if self.is_waiting() {
            self.held_up = Duration::ZERO;
        }
    }

    /// What the reader has acknowledged since the database was last told; counted as told.
    pub(super) fn take_acknowledged(&mut self) -> Option<Position> {
        let acknowledged = self.entry.slip.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        let position = acknowledged.as_ref().filter(|position| position.order > self.kept_up)?;
        self.kept_up = position.order;
        Some(position.clone())
    }

    /// A way to send events while others are looked at.
    pub(super) fn events(&self) -> mpsc::Sender<LogEvent> {
        self.entry.events.clone()
    }

    pub(super) fn begin(&mut self, transaction: &LoggedTransaction) {
        if self.seen.is_some_and(|seen| transaction.position.order <= seen) {
            return;
        }
        self.seen = None;
        self.silent = Some(transaction.clone());
    }

    /// Whether any change of the open transaction may concern the reader.
    pub(super) fn listens(&self) -> bool {
        (self.is_told || self.silent.is_some()) && !self.is_left()
    }

    /// How the reader knows the table of a change; none if the change does not concern it.
    pub(super) fn known(&mut self, table: &Arc<Table>, by_description: bool) -> Option<&Arc<Table>> {
        if !self.last.as_ref().is_some_and(|(last, _)| Arc::ptr_eq(last, table)) {
            let known = match self.tables.get(&table.name) {
                // Its reader may know it by being the same.
                Some(known) if **known == **table => Some(Arc::clone(known)),
                Some(_) if !by_description => Some(Arc::clone(table)),
                _ => None,
            };
            self.last = Some((Arc::clone(table), known));
        }
        self.last.as_ref().and_then(|(_, known)| known.as_ref())
    }

    /// The events that tell these changes of the open transaction.
    pub(super) fn tell(&mut self, changes: Vec<Change>) -> Vec<LogEvent> {
        if changes.is_empty() {
            return Vec::new();
        }
        let begin = self.silent.take().map(LogEvent::Begin);
        if begin.is_some() {
            self.is_told = true;
            self.idle = None;
        }
        begin.into_iter().chain([LogEvent::Changes(changes)]).collect()
    }

    /// The event that ends the open transaction, if the reader knows of it.
    pub(super) fn end(&mut self, end: &Position, log: &dyn SharedLog) -> Option<LogEvent> {
        if std::mem::take(&mut self.is_told) {
            return Some(LogEvent::Commit(log.passed(end)));
        }
        self.silent = None;
        self.pass(log.passed(end));
        None
    }

    /// Nothing that concerns the reader lies up to here.
    pub(super) fn pass(&mut self, position: Position) {
        if self.seen.is_some_and(|seen| position.order <= seen) {
            return;
        }
        self.seen = None;
        self.idle = Some(position);
    }

    /// Tells the reader how far the log is read, if there is room.
    pub(super) fn tell_idle(&mut self) {
        if self.is_told {
            return;
        }
        if let Some(idle) = self.idle.take()
            && let Err(TrySendError::Full(LogEvent::Idle(idle))) =
                self.entry.events.try_send(LogEvent::Idle(idle))
        {
            self.idle = Some(idle);
        }
    }
}
