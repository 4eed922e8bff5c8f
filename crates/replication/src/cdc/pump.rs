//! Reading a log in a task of its own, a few events ahead of whoever uses them.

use data::log::{ChangeStream, LogEvent, Position};
use data::{Error, ErrorKind, Result};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How many events are read ahead of a stream that applies them; each is bounded in size by its log.
pub(super) const EVENTS_AHEAD: usize = 8;

/// A stream that is read ahead. Dropped, it breaks the stream off.
pub(super) struct Pump {
    events: mpsc::Receiver<Result<LogEvent>>,
    acknowledged: Option<watch::Sender<Option<Position>>>,
    task: JoinHandle<()>,
}

impl Pump {
    /// Starts to read, so many events ahead at the most.
    pub(super) fn start(stream: Box<dyn ChangeStream>, ahead: usize) -> Self {
        let (sender, events) = mpsc::channel(ahead);
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
            Ok(event) => Some(event),
            Err(mpsc::error::TryRecvError::Empty) => None,
            Err(mpsc::error::TryRecvError::Disconnected) => Some(Err(ended())),
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
    events: mpsc::Sender<Result<LogEvent>>,
    mut acknowledgements: watch::Receiver<Option<Position>>,
) {
    // An event that waits for room; while there is one, no other is read.
    let mut waiting: Option<Result<LogEvent>> = None;
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
            permit = events.reserve(), if waiting.is_some() => {
                let (Ok(permit), Some(event)) = (permit, waiting.take()) else { break };
                failed = event.is_err();
                permit.send(event);
            }
            event = stream.next(), if waiting.is_none() && !failed => waiting = Some(event),
            () = events.closed(), if failed => break,
        }
    }
    stream.close().await;
}
