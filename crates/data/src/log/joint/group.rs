//! Readers that share a stream, and the task that reads it for them.
//!
//! The stream is that of the first of them, the lead: what the database keeps for it serves the others, whose own log it is told
//! now and then that it need not keep. When the lead leaves, or the stream fails, the group is over and everybody goes on
//! alone.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, timeout};

use super::matching::Tables;
use super::seat::{Entry, Seat};
use super::{Joint, SharedLog};
use crate::error::Result;
use crate::log::{Change, ChangeStream, LogEvent, LogReader, Position};

/// For how long all others may wait for a reader whose target is slow before it has to go on alone.
const MOST_HELD_UP: Duration = Duration::from_millis(500);
/// How often it is looked meanwhile whether they wait.
const HELD_UP_ASKED: Duration = Duration::from_millis(20);
/// How often it is looked whether anything falls due.
const TICK: Duration = Duration::from_millis(100);
/// How long those who join wait for a transaction to end that is being read.
const END_AWAITED: Duration = Duration::from_secs(1);
/// How long everybody waits for that when the stream begins or has ended.
const KEEPING_UP_AWAITED: Duration = Duration::from_secs(3);
/// How often the database is told what the others than the lead have acknowledged.
const KEPT_UP: Duration = Duration::from_secs(5);

/// A group as others see it.
pub(super) struct GroupHandle {
    members: Mutex<(Tables, HashSet<String>)>,
    /// The order up to which its stream was read.
    told: AtomicU64,
    joining: mpsc::Sender<Vec<Entry>>,
}

impl GroupHandle {
    pub(super) fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// The tables that are read.
    pub(super) fn tables(&self) -> Tables {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Whether a reader is one of its members.
    pub(super) fn has(&self, reader: &str) -> bool {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).1.contains(reader)
    }

    /// Has readers join; whether the group is still there.
    pub(super) async fn join(&self, entries: Vec<Entry>) -> bool {
        self.joining.send(entries).await.is_ok()
    }
}

/// Begins a group.
pub(super) fn begin(joint: &Arc<Joint>, log: &Arc<dyn SharedLog>, entries: Vec<Entry>) {
    let (sender, joining) = mpsc::channel(1);
    let handle =
        Arc::new(GroupHandle { members: Mutex::default(), told: AtomicU64::new(0), joining: sender });
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let group = Group {
        joint: Arc::clone(joint),
        log: Arc::clone(log),
        handle: Arc::clone(&handle),
        seats: Vec::new(),
        wake: Arc::new(Notify::new()),
        tick,
        read_to: None,
        is_within: false,
        waiting: None,
        kept_up_at: Instant::now(),
        keeping_up: None,
    };
    joint.enter_group(handle);
    tokio::spawn(group.run(entries, joining));
}

struct Group {
    joint: Arc<Joint>,
    log: Arc<dyn SharedLog>,
    handle: Arc<GroupHandle>,
    /// The lead comes first.
    seats: Vec<Seat>,
    wake: Arc<Notify>,
    tick: Interval,
    /// Behind the last whole transaction that was read.
    read_to: Option<Position>,
    /// Whether a transaction was read in part.
    is_within: bool,
    /// Who waits to join, and since when.
    waiting: Option<(Vec<Entry>, Instant)>,
    kept_up_at: Instant,
    /// Telling the database what was acknowledged.
    keeping_up: Option<JoinHandle<()>>,
}

impl Drop for Group {
    fn drop(&mut self) {
        self.joint.forget_group(&self.handle);
    }
}

impl Group {
    /// Reads until the group is over.
    async fn run(mut self, entries: Vec<Entry>, mut joining: mpsc::Receiver<Vec<Entry>>) {
        let mut entries = Some(entries);
        while let Some(joined) = entries.take() {
            let mut stream = match self.admit(joined).await {
                Ok(Some(stream)) => stream,
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!("readers go on alone, as their common stream did not begin: {error}");
                    break;
                }
            };
            entries = self.read(stream.as_mut(), &mut joining).await;
            stream.close().await;
            // What is kept for a member is to be free when it goes on.
            self.end_keeping_up().await;
        }
        self.end_keeping_up().await;
    }

    /// Takes readers in and begins the stream of all, from the lowest of their positions.
    async fn admit(&mut self, entries: Vec<Entry>) -> Result<Option<Box<dyn ChangeStream>>> {
        if let Some(read_to) = &self.read_to {
            self.seats.iter_mut().for_each(|seat| seat.note_boundary(read_to));
        }
        self.seats.extend(entries.into_iter().map(|entry| Seat::new(entry, &self.wake)));
        self.seats.retain(|seat| !seat.is_left());
        if self.log.counts_transactions() {
            let head = self.log.head().await?;
            let log = Arc::clone(&self.log);
            self.seats.retain(|seat| log.leads_to(seat.boundary(), &head));
        }
        let mut lead = 0;
        for (at, seat) in self.seats.iter().enumerate() {
            if self.seats.get(lead).is_some_and(|lowest| seat.boundary().order < lowest.boundary().order) {
                lead = at;
            }
        }
        if self.seats.len() < 2 {
            return Ok(None);
        }
        self.seats.swap(0, lead);
        let Some(from) = self.seats.first().map(|lead| lead.boundary().clone()) else { return Ok(None) };
        let log = Arc::clone(&self.log);
        self.seats.retain(|seat| log.leads_to(&from, seat.boundary()));
        if self.seats.len() < 2 {
            return Ok(None);
        }
        self.seats.iter_mut().for_each(|seat| seat.begin_behind(&from));
        let readers: Vec<Arc<LogReader>> = self.seats.iter().map(|seat| Arc::clone(seat.reader())).collect();
        self.note_members(&readers);
        self.handle.told.store(from.order, Ordering::Relaxed);
        self.is_within = false;
        self.end_keeping_up().await;
        let stream = self.log.stream_for(&readers, &from).await?;
        self.read_to = Some(from);
        Ok(Some(stream))
    }

    fn note_members(&self, readers: &[Arc<LogReader>]) {
        let mut members = self.handle.members.lock().unwrap_or_else(PoisonError::into_inner);
        let tables = readers.iter().flat_map(|reader| &reader.tables);
        members.0 = tables.map(|table| (table.name.clone(), Arc::clone(table))).collect();
        members.1 = readers.iter().map(|reader| reader.name.clone()).collect();
    }

    /// Reads until others join, who are given; none if the group is over.
    async fn read(
        &mut self,
        stream: &mut dyn ChangeStream,
        joining: &mut mpsc::Receiver<Vec<Entry>>,
    ) -> Option<Vec<Entry>> {
        loop {
            self.settle(stream)?;
            if !self.is_within
                && let Some((entries, _)) = self.waiting.take()
            {
                return Some(entries);
            }
            tokio::select! {
                biased;
                () = self.wake.notified() => {}
                Some(entries) = joining.recv(), if self.waiting.is_none() => {
                    self.waiting = Some((entries, Instant::now()));
                }
                _ = self.tick.tick() => self.see_to_what_is_due(),
                event = stream.next() => {
                    let event = match event {
                        Ok(event) => event,
                        Err(error) => {
                            tracing::debug!("readers go on alone, as their common stream has ended: {error}");
                            return None;
                        }
                    };
                    self.hand_on(event, stream).await?;
                }
            }
        }
    }

    /// Passes on what was acknowledged and lets those go who have left; none if the group is over.
    fn settle(&mut self, stream: &mut dyn ChangeStream) -> Option<()> {
        let lead = self.seats.first_mut()?;
        if let Some(acknowledged) = lead.take_acknowledged() {
            stream.acknowledge(&acknowledged);
        }
        if lead.is_left() {
            return None;
        }
        // The lead may leave at any moment; its place ends with the stream only.
        while let Some(behind) = self.seats.iter().skip(1).position(Seat::is_left) {
            let left = self.seats.remove(behind + 1);
            self.keep_up(vec![left]);
        }
        (self.seats.len() > 1).then_some(())
    }

    fn see_to_what_is_due(&mut self) {
        self.seats.iter_mut().for_each(Seat::tell_idle);
        // A long transaction of the group is no matter of those who would join it.
        self.waiting = self.waiting.take().filter(|(_, since)| since.elapsed() < END_AWAITED);
        if self.kept_up_at.elapsed() >= KEPT_UP
            && self.keeping_up.as_ref().is_none_or(JoinHandle::is_finished)
        {
            self.kept_up_at = Instant::now();
            self.keep_up(Vec::new());
        }
    }

    /// Tells the database what those who are not the lead have acknowledged, and those who have left, who are released with that.
    fn keep_up(&mut self, mut left: Vec<Seat>) {
        let staying = self.seats.iter_mut().skip(1);
        let acknowledged: Vec<_> = staying
            .chain(left.iter_mut())
            .filter_map(|seat| Some((Arc::clone(seat.reader()), seat.take_acknowledged()?)))
            .collect();
        let (log, before) = (Arc::clone(&self.log), self.keeping_up.take());
        self.keeping_up = Some(tokio::spawn(async move {
            if let Some(before) = before {
                // One that was broken off has ended as well.
                drop(before.await);
            }
            for (reader, position) in acknowledged {
                // What could not be told is told with what is acknowledged next, and at the latest by a stream of its own.
                if let Err(error) = log.keep_up(&reader.name, &position).await {
                    tracing::debug!(reader = reader.name, "its log could not follow it: {error}");
                }
            }
            drop(left);
        }));
    }

    /// Waits until the database has been told, though not for long: everybody waits for this.
    async fn end_keeping_up(&mut self) {
        if let Some(task) = self.keeping_up.take() {
            // One that was broken off has ended as well. Who meets one that goes on tries again.
            drop(timeout(KEEPING_UP_AWAITED, task).await);
        }
    }

    /// Tells everybody what concerns them; none if the group is over.
    async fn hand_on(&mut self, event: LogEvent, stream: &mut dyn ChangeStream) -> Option<()> {
        match event {
            LogEvent::Begin(transaction) => {
                self.is_within = true;
                self.seats.iter_mut().for_each(|seat| seat.begin(&transaction));
            }
            LogEvent::Changes(changes) => self.distribute(changes, stream).await?,
            LogEvent::Message { .. } => {}
            LogEvent::Commit(end) => {
                self.is_within = false;
                let mut at = 0;
                while let Some(seat) = self.seats.get_mut(at) {
                    let last = seat.end(&end, self.log.as_ref());
                    at = self.send(at, last, stream).await?;
                }
                self.note_read(end);
            }
            LogEvent::Idle(position) => {
                self.seats.iter_mut().for_each(|seat| seat.pass(position.clone()));
                self.note_read(position);
            }
        }
        Some(())
    }

    fn note_read(&mut self, position: Position) {
        self.seats.iter_mut().for_each(|seat| {
            seat.tell_idle();
            seat.note_whether_it_waits();
        });
        self.handle.told.store(position.order, Ordering::Relaxed);
        self.read_to = Some(position);
    }

    /// Tells everybody the changes of their tables.
    async fn distribute(&mut self, changes: Vec<Change>, stream: &mut dyn ChangeStream) -> Option<()> {
        let by_description = self.log.tells_by_descriptions();
        let last = self.seats.iter().rposition(Seat::listens);
        let mut changes = Some(changes);
        let mut at = 0;
        while let Some(seat) = self.seats.get_mut(at) {
            if !seat.listens() {
                at += 1;
                continue;
            }
            // The last one need not leave them for others. Somebody may have left the group meanwhile.
            let is_last = last.is_some_and(|last| at >= last);
            let own = match if is_last { changes.take() } else { None } {
                Some(whole) => chosen(seat, whole, by_description),
                None => {
                    changes.as_ref().map(|changes| copied(seat, changes, by_description)).unwrap_or_default()
                }
            };
            let events = seat.tell(own);
            at = self.send(at, events, stream).await?;
        }
        Some(())
    }

    /// Sends events to one of the members; which one comes next. None if the group is over.
    async fn send(
        &mut self,
        at: usize,
        events: impl IntoIterator<Item = LogEvent>,
        stream: &mut dyn ChangeStream,
    ) -> Option<usize> {
        for event in events {
            if !self.send_one(at, event, stream).await {
                // The stream of the lead ends with its place.
                return (at > 0 && self.seats.len() > 1).then_some(at);
            }
        }
        Some(at + 1)
    }

    /// Sends an event, when there is room for it. Whether the member has its place still: one that all others wait for has to
    /// go.
    async fn send_one(&mut self, at: usize, event: LogEvent, stream: &mut dyn ChangeStream) -> bool {
        let Some(seat) = self.seats.get_mut(at) else { return true };
        seat.note_whether_it_waits();
        let events = seat.events();
        let event = match events.try_send(event) {
            Err(TrySendError::Full(event)) => event,
            // One that has left is seen to afterwards.
            Ok(()) | Err(TrySendError::Closed(_)) => return true,
        };
        let reserved = events.reserve();
        tokio::pin!(reserved);
        loop {
            let asked_at = Instant::now();
            let permit = tokio::select! {
                biased;
                permit = &mut reserved => Some(permit),
                () = self.wake.notified() => None,
                () = sleep(HELD_UP_ASKED) => None,
            };
            let mut others = self.seats.iter().enumerate().filter(|(other, _)| *other != at);
            let others_wait = others.any(|(_, seat)| seat.is_waiting() || seat.is_left());
            let Some(seat) = self.seats.get_mut(at) else { return true };
            if others_wait {
                seat.held_up += asked_at.elapsed();
            }
            let is_too_slow = seat.held_up >= MOST_HELD_UP;
            match permit {
                Some(permit) => {
                    if let Ok(permit) = permit {
                        permit.send(event);
                    }
                    return true;
                }
                None if is_too_slow => break,
                None => {}
            }
            self.waiting = self.waiting.take().filter(|(_, since)| since.elapsed() < END_AWAITED);
            if let Some(acknowledged) = self.seats.first_mut().and_then(Seat::take_acknowledged) {
                stream.acknowledge(&acknowledged);
            }
        }
        if let Some(slow) = self.seats.get(at) {
            let reader = &slow.reader().name;
            tracing::debug!(reader, "a reader goes on alone, as the others would wait for it");
        }
        if at > 0 {
            self.seats.remove(at);
        }
        false
    }
}

/// The changes that concern a member, as it knows their tables.
fn chosen(seat: &mut Seat, changes: Vec<Change>, by_description: bool) -> Vec<Change> {
    let own = changes.into_iter().filter_map(|change| {
        let table = Arc::clone(seat.known(&change.table, by_description)?);
        Some(Change { table, operation: change.operation })
    });
    own.collect()
}

/// As [`chosen`], of changes that concern others too.
fn copied(seat: &mut Seat, changes: &[Change], by_description: bool) -> Vec<Change> {
    let own = changes.iter().filter_map(|change| {
        let table = Arc::clone(seat.known(&change.table, by_description)?);
        Some(Change { table, operation: change.operation.clone() })
    });
    own.collect()
}
