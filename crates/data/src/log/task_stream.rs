//! A stream whose events are received by a task of its own, ahead of the reader by as much as the channel between them holds.

use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::change_table::ActiveReader;
use super::{ChangeStream, EventReceiver, LogEvent, Position};
use crate::error::{Error, ErrorKind, Result};

/// How long the end of a stream may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Who is told what the reader has stored safely.
pub(crate) trait Acknowledged: Send {
    /// Whether the task is broken off when the reader leaves without closing the stream; else it ends by itself.
    const IS_BROKEN_OFF: bool;

    /// Everything up to here is stored.
    fn acknowledge(&mut self, position: &Position);
}

/// The database keeps its log for as long as it is set to, whoever reads it.
impl Acknowledged for Vec<ActiveReader> {
    const IS_BROKEN_OFF: bool = true;

    fn acknowledge(&mut self, _position: &Position) {}
}

/// A stream as its reader has it.
pub(crate) struct TaskStream<A: Acknowledged> {
    events: EventReceiver,
    acknowledged: A,
    /// Taken once its end was looked at.
    task: Option<JoinHandle<()>>,
}

impl<A: Acknowledged> TaskStream<A> {
    /// The stream of what a task sends.
    pub(crate) fn new(events: EventReceiver, task: JoinHandle<()>, acknowledged: A) -> Self {
        Self { events, acknowledged, task: Some(task) }
    }
}

#[async_trait]
impl<A: Acknowledged> ChangeStream for TaskStream<A> {
    async fn next(&mut self) -> Result<LogEvent> {
        if let Some(event) = self.events.recv().await {
            return event;
        }
        if let Some(task) = self.task.take()
            && task.await.is_err_and(|error| error.is_panic())
        {
            let message = "the stream of changes broke off by a defect in replicaverse, please report it";
            return Err(Error::new(ErrorKind::Internal, message));
        }
        Err(Error::new(ErrorKind::Connection, "the stream of changes is over"))
    }

    fn acknowledge(&mut self, position: &Position) {
        self.acknowledged.acknowledge(position);
    }

    async fn close(mut self: Box<Self>) {
        self.events.close();
        if let Some(mut task) = self.task.take()
            && timeout(CLOSE_TIMEOUT, &mut task).await.is_err()
        {
            task.abort();
        }
    }
}

impl<A: Acknowledged> Drop for TaskStream<A> {
    fn drop(&mut self) {
        if let Some(task) = self.task.as_ref().filter(|_| A::IS_BROKEN_OFF) {
            task.abort();
        }
    }
}
