//! The stream of a reader: a task receives ahead of it.

use std::sync::Arc;

use super::assemble::Assembler;
use super::cursor::{ChangeCursor, EventBatch, has_images};
use super::failure::check_server;
use crate::error::Result;
use crate::log::change_table::ActiveReader;
use crate::log::task_stream::TaskStream;
use crate::log::{ChangeStream, EventSender, LogEvent, Position, event_queue};
use crate::mongodb::connect::Connection;
use crate::table::Table;

/// What waits for the reader at the most.
const WAITING_BYTES: usize = 1 << 20;

/// Starts to read behind a position. A collection that is described several times is told of by each description.
pub(super) async fn start(
    connection: &Arc<Connection>,
    tables: &[&Arc<Table>],
    from: &Position,
    active: Vec<ActiveReader>,
) -> Result<Box<dyn ChangeStream>> {
    check_server(connection)?;
    let assembler = Assembler::new(Arc::clone(connection), tables, from)?;
    let names = assembler.names();
    let has_images = has_images(connection, &names).await;
    let cursor = ChangeCursor::open(connection, &names, has_images, from).await?;
    let (sender, events) = event_queue(WAITING_BYTES);
    let receiver = Receiver {
        connection: Arc::clone(connection),
        cursor,
        names,
        has_images,
        assembler,
        told: from.clone(),
        sender,
    };
    let task = tokio::spawn(receiver.run());
    Ok(Box::new(TaskStream::new(events, task, active)))
}

/// The task that receives.
struct Receiver {
    connection: Arc<Connection>,
    cursor: ChangeCursor,
    /// The collections that are read.
    names: Vec<String>,
    has_images: bool,
    assembler: Assembler,
    /// Up to where the reader was told of everything.
    told: Position,
    sender: EventSender,
}

impl Receiver {
    async fn run(mut self) {
        if let Err(error) = self.receive().await {
            // A reader that has left does not want to know.
            drop(self.sender.send(Err(error)).await);
        }
    }

    /// Receives until the reader has left.
    async fn receive(&mut self) -> Result<()> {
        let mut is_asked_again = false;
        loop {
            let batch = tokio::select! {
                biased;
                () = self.sender.closed() => return Ok(()),
                batch = self.cursor.next(&self.connection) => batch?,
            };
            let mut events = Vec::new();
            let outcome = self.take(&batch, is_asked_again, &mut events).await;
            let told = events.iter().rev().find_map(|event| match event {
                LogEvent::Commit(position) | LogEvent::Idle(position) => Some(position.clone()),
                _ => None,
            });
            self.told = told.unwrap_or_else(|| self.told.clone());
            for event in events {
                if self.sender.send(Ok(event)).await.is_err() {
                    return Ok(());
                }
            }
            outcome?;
            is_asked_again = false;
            if let Some(last) = self.assembler.open_session().filter(|_| self.is_to_ask(&batch)) {
                // A batch does not tell whether a transaction ends with it. A stream that begins anew behind its last event
                // tells at once whether there are more.
                self.cursor =
                    ChangeCursor::open(&self.connection, &self.names, self.has_images, &last).await?;
                is_asked_again = true;
            }
        }
    }

    /// Whether the end of an open transaction is to be asked for. Where several shards tell of it, only what comes behind
    /// shows its end.
    fn is_to_ask(&self, batch: &EventBatch) -> bool {
        !batch.may_be_cut() && !self.connection.is_sharded
    }

    async fn take(
        &mut self,
        batch: &EventBatch,
        is_asked_again: bool,
        out: &mut Vec<LogEvent>,
    ) -> Result<()> {
        let found = batch.events()?;
        let is_empty = found.is_empty();
        self.assembler.take(found, out).await?;
        let read_to = batch.read_to()?;
        if let Some(order) = self.assembler.open_order() {
            let is_behind = read_to.as_ref().is_some_and(|read_to| read_to.order > order);
            let is_over = self.assembler.open_session().is_none() || (is_asked_again && is_empty);
            if is_behind || is_over {
                self.assembler.end(out);
            } else {
                self.assembler.flush(out);
            }
        }
        if self.assembler.open_order().is_none()
            && let Some(read_to) = read_to
        {
            let told = out.iter().rev().find_map(|event| match event {
                LogEvent::Commit(position) => Some(position.order),
                _ => None,
            });
            if read_to.order > told.unwrap_or(self.told.order) {
                out.push(LogEvent::Idle(read_to));
            }
        }
        Ok(())
    }
}
