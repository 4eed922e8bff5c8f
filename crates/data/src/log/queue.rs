//! Events on their way from the task that reads them to whoever uses them, as many as a number of bytes allows.
//!
//! Waking a task costs more than a transaction of one row does, so that whoever uses events takes all that have come at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::LogEvent;
use crate::error::Result;

/// What an event takes besides the values of its changes, in bytes.
const EVENT_WEIGHT: usize = 128;

/// Makes a queue that holds about so many bytes at the most, and one event at least; as much again is held by the receiver.
pub fn event_queue(most: usize) -> (EventSender, EventReceiver) {
    let queue = Arc::new(Queue {
        state: Mutex::default(),
        arrived: Notify::new(),
        room: Notify::new(),
        left: Notify::new(),
        most,
    });
    let receiver = EventReceiver { queue: Arc::clone(&queue), taken: VecDeque::new() };
    (EventSender { queue }, receiver)
}

struct Queue {
    state: Mutex<State>,
    /// Told when there is something in the queue again.
    arrived: Notify,
    /// Told when the queue was emptied.
    room: Notify,
    /// Told when the receiver has left.
    left: Notify,
    most: usize,
}

#[derive(Default)]
struct State {
    events: VecDeque<Result<LogEvent>>,
    weight: usize,
    is_sender_gone: bool,
    is_receiver_gone: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().is_receiver_gone = true;
        self.room.notify_one();
        self.left.notify_waiters();
    }
}

/// The end at which events are put in. One task uses it.
pub struct EventSender {
    queue: Arc<Queue>,
}

/// The receiver has left, and with it the event.
#[derive(Debug, PartialEq, Eq)]
pub struct ReceiverLeft;

impl EventSender {
    /// Puts an event in when there is room. Dropping the future loses the event.
    ///
    /// # Errors
    /// [`ReceiverLeft`].
    pub async fn send(&self, event: Result<LogEvent>) -> std::result::Result<(), ReceiverLeft> {
        self.room().await?;
        self.push(event).map(drop)
    }

    /// Waits until there is room. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`ReceiverLeft`].
    pub async fn room(&self) -> std::result::Result<(), ReceiverLeft> {
        loop {
            {
                let state = self.queue.lock();
                if state.is_receiver_gone {
                    return Err(ReceiverLeft);
                }
                if state.weight < self.queue.most {
                    return Ok(());
                }
            }
            // What was told since is kept for the one who waits.
            self.queue.room.notified().await;
        }
    }

    /// Puts an event in, whether there is room or not; whether there is room still.
    ///
    /// # Errors
    /// [`ReceiverLeft`].
    pub fn push(&self, event: Result<LogEvent>) -> std::result::Result<bool, ReceiverLeft> {
        let weight = event.as_ref().map_or(0, weight_of) + EVENT_WEIGHT;
        let mut state = self.queue.lock();
        if state.is_receiver_gone {
            return Err(ReceiverLeft);
        }
        let was_empty = state.events.is_empty();
        state.events.push_back(event);
        state.weight += weight;
        let has_room = state.weight < self.queue.most;
        drop(state);
        if was_empty {
            self.queue.arrived.notify_one();
        }
        Ok(has_room)
    }

    /// Waits until the receiver has left.
    pub async fn closed(&self) {
        loop {
            let left = self.queue.left.notified();
            if self.queue.lock().is_receiver_gone {
                return;
            }
            left.await;
        }
    }
}

impl Drop for EventSender {
    fn drop(&mut self) {
        self.queue.lock().is_sender_gone = true;
        self.queue.arrived.notify_one();
    }
}

/// The end at which events are taken out.
pub struct EventReceiver {
    queue: Arc<Queue>,
    /// What was taken from the queue, and not from here.
    taken: VecDeque<Result<LogEvent>>,
}

/// What has come to a queue.
#[derive(Debug)]
pub enum Arrived {
    /// The next event.
    Event(Result<LogEvent>),
    /// Nothing has come.
    Nothing,
    /// Nothing comes any more.
    Over,
}

impl EventReceiver {
    /// Waits for the next event; `None` when the sender has left and everything was taken. Dropping the future loses nothing.
    pub async fn recv(&mut self) -> Option<Result<LogEvent>> {
        loop {
            match self.try_recv() {
                Arrived::Event(event) => return Some(event),
                Arrived::Over => return None,
                Arrived::Nothing => self.queue.arrived.notified().await,
            }
        }
    }

    /// The next event, if it has come.
    pub fn try_recv(&mut self) -> Arrived {
        if let Some(event) = self.taken.pop_front() {
            return Arrived::Event(event);
        }
        let mut state = self.queue.lock();
        std::mem::swap(&mut self.taken, &mut state.events);
        let was_full = state.weight >= self.queue.most;
        state.weight = 0;
        let is_over = state.is_sender_gone;
        drop(state);
        if was_full {
            self.queue.room.notify_one();
        }
        match self.taken.pop_front() {
            Some(event) => Arrived::Event(event),
            None if is_over => Arrived::Over,
            None => Arrived::Nothing,
        }
    }

    /// Lets the sender know that nothing more is taken.
    pub fn close(&mut self) {
        self.queue.close();
    }
}

impl Drop for EventReceiver {
    fn drop(&mut self) {
        self.queue.close();
    }
}

fn weight_of(event: &LogEvent) -> usize {
    match event {
        LogEvent::Changes(changes) => changes.iter().map(|change| change.operation.weight()).sum(),
        LogEvent::Message { content, .. } => content.len(),
        LogEvent::Begin(_) | LogEvent::Commit(_) | LogEvent::Idle(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::time::timeout;

    use super::*;
    use crate::log::{Change, Operation, Position};
    use crate::table::Table;
    use crate::value::Value;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn event(number: u64) -> Result<LogEvent> {
        Ok(LogEvent::Commit(Position::at(number)))
    }

    fn heavy() -> Result<LogEvent> {
        let table =
            Table { name: "t".to_owned(), columns: Vec::new(), key: Vec::new(), references: Vec::new() };
        let row = vec![Value::from("x".repeat(5000))];
        Ok(LogEvent::Changes(vec![Change { table: Arc::new(table), operation: Operation::Insert { row } }]))
    }

    fn number(event: Option<Result<LogEvent>>) -> u64 {
        match event {
            Some(Ok(LogEvent::Commit(position))) => position.order,
            other => panic!("{other:?} is no end of a transaction"),
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn everything_comes_in_its_order_however_small_the_queue_is() {
        for most in [1, 300, 1 << 20] {
            let (sender, mut receiver) = event_queue(most);
            let sent = tokio::spawn(async move {
                for at in 0..20_000 {
                    sender.send(event(at)).await.unwrap();
                }
            });
            for at in 0..20_000 {
                assert_eq!(number(timeout(PATIENCE, receiver.recv()).await.unwrap()), at);
            }
            assert!(receiver.recv().await.is_none());
            sent.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_queue_is_full_by_what_its_events_hold_and_has_room_when_they_are_taken() {
        let (sender, mut receiver) = event_queue(4096);
        for at in 0..10 {
            assert_eq!(sender.push(event(at)), Ok(true));
        }
        assert_eq!(sender.push(heavy()), Ok(false));
        assert!(sender.room().now_or_never().is_none());
        assert_eq!(number(receiver.recv().await), 0);
        assert_eq!(sender.room().now_or_never(), Some(Ok(())));
    }

    #[tokio::test]
    async fn a_receiver_that_leaves_is_noticed_by_whoever_waits_for_room_or_for_that() {
        let (sender, mut receiver) = event_queue(1);
        assert_eq!(sender.push(event(1)), Ok(false));
        let waiting = tokio::spawn(async move {
            let room = sender.room().await;
            sender.closed().await;
            (room, sender.push(event(2)))
        });
        tokio::task::yield_now().await;
        receiver.close();
        assert_eq!(
            timeout(PATIENCE, waiting).await.unwrap().unwrap(),
            (Err(ReceiverLeft), Err(ReceiverLeft))
        );
    }

    #[tokio::test]
    async fn what_was_sent_before_the_sender_left_is_still_there() {
        let (sender, mut receiver) = event_queue(1 << 20);
        assert!(matches!(receiver.try_recv(), Arrived::Nothing));
        sender.send(event(7)).await.unwrap();
        drop(sender);
        assert_eq!(number(receiver.recv().await), 7);
        assert!(matches!(receiver.try_recv(), Arrived::Over));
    }
}
