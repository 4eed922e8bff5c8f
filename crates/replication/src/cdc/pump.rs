//! Reading a log in a task of its own, a few events ahead of whoever uses them.

use data::log::{Arrived, ChangeStream, EventReceiver, EventSender, LogEvent, Position, event_queue};
use data::{Error, ErrorKind, Result};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How many bytes are read ahead of a stream that applies them.
pub(super) const BYTES_AHEAD: usize = 2 << 20;

/// A stream that is read ahead. Dropped, it breaks the stream off.
pub(super) struct Pump {
    events: EventReceiver,
    acknowledged: Option<watch::Sender<Option<Position>>>,
    task: JoinHandle<()>,
}

impl Pump {
    /// Starts to read, so many bytes ahead at the most.
    pub(super) fn start(stream: Box<dyn ChangeStream>, ahead: usize) -> Self {
        let (sender, events) = event_queue(ahead);
        let (acknowledged, acknowledgements) = watch::channel(None);
        let task = tokio::spawn(read(stream, sender, acknowledgements));
        Self { events, acknowledged: Some(acknowledged), task }
    }

    /// Waits for the next event. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<LogEvent> {
        self.events.recv().await.unwrap_or_else(|| Err(ended()))
    }

    /// The next event, if it has been read already.
    pub(super) fn next_ready(&mut self) -> Option<Result<LogEvent>> {
        match self.events.try_recv() {
            Arrived::Event(event) => Some(event),
            Arrived::Nothing => None,
            Arrived::Over => Some(Err(ended())),
        }
    }

    /// Says that everything up to a position is stored safely.
    pub(super) fn acknowledge(&self, position: &Position) {
        if let Some(acknowledged) = &self.acknowledged {
            acknowledged.send_replace(Some(position.clone()));
        }
    }

    /// Ends reading in good order.
    pub(super) async fn close(mut self) {
        self.acknowledged = None;
        self.events.close();
        // A task that was cut off has ended as well.
        drop((&mut self.task).await);
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Connection, "the log is no longer read")
}

async fn read(
    mut stream: Box<dyn ChangeStream>,
    events: EventSender,
    mut acknowledgements: watch::Receiver<Option<Position>>,
) {
    // While there is none, nothing is read.
    let mut has_room = true;
    let mut failed = false;
    loop {
        tokio::select! {
            biased;
            changed = acknowledgements.changed() => {
                let position = acknowledgements.borrow_and_update().clone();
                if let Some(position) = position {
                    stream.acknowledge(&position);
                }
                if changed.is_err() {
                    break;
                }
            }
            room = events.room(), if !has_room && !failed => match room {
                Ok(()) => has_room = true,
                Err(_) => break,
            },
            event = stream.next(), if has_room && !failed => {
                failed = event.is_err();
                let Ok(room) = events.push(event) else { break };
                has_room = room;
            }
            () = events.closed(), if failed => break,
        }
    }
    stream.close().await;
}
