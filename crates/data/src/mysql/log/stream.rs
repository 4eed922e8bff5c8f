//! The stream of a reader: a task receives ahead of it.

use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use mysql_async::BinlogStream;
use mysql_async::binlog::events::Event;
use tokio::time::timeout;

use super::super::pool::Pool;
use super::assemble::Assembler;
use super::client::dump;
use super::failure::of_driver;
use super::place::Place;
use super::snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::log::change_table::ActiveReader;
use crate::log::task_stream::TaskStream;
use crate::log::{ChangeStream, EventSender, LogEvent, LogReader, Position, event_queue};

/// What waits for the reader at the most.
const WAITING_BYTES: usize = 1 << 20;
/// How long the server may say nothing; it says every few seconds that it is there.
pub(super) const SILENCE: Duration = Duration::from_secs(30);
/// How often a reader is told how far the log is read while nothing in it concerns it.
const IDLE_TOLD: Duration = Duration::from_millis(200);

/// Starts to read behind a position.
pub(super) async fn start(
    pool: &Pool,
    reader: &LogReader,
    from: &Position,
    active: Vec<ActiveReader>,
) -> Result<Box<dyn ChangeStream>> {
    let place = Place::of(from)?;
    let present = snapshot::head(&mut *pool.get().await?).await?;
    if std::mem::discriminant(&present) != std::mem::discriminant(&place) {
        let message = "the server numbers its transactions otherwise than when it was read; the tables must be synchronised anew";
        return Err(Error::new(ErrorKind::LogLost, message));
    }
    let begun = async {
        let mut log = dump(pool, &place).await?;
        // The server says first where it begins, or why it cannot.
        let first = received(log.next().await)?;
        Ok::<_, Error>((log, first))
    };
    let silent = |_| Error::new(ErrorKind::Connection, "the server has not begun to send its log in time");
    let (log, first) = tokio::time::timeout(SILENCE, begun).await.map_err(silent)??;
    let mut receiver = Receiver {
        log,
        assembler: Assembler::new(pool.clone(), reader, place),
        told: from.order,
        told_at: Instant::now(),
    };
    receiver.assembler.look_ahead().await?;
    let mut begun = Vec::new();
    receiver.assembler.take(&first, &mut begun).await?;
    let (sender, events) = event_queue(WAITING_BYTES);
    let task = tokio::spawn(receiver.run(sender));
    Ok(Box::new(TaskStream::new(events, task, active)))
}

/// The task that receives.
struct Receiver {
    log: BinlogStream,
    assembler: Assembler,
    /// The order up to which the reader was told of everything.
    told: u64,
    told_at: Instant,
}

impl Receiver {
    async fn run(mut self, sender: EventSender) {
        if let Err(error) = self.receive(&sender).await {
            // A reader that has left does not want to know.
            drop(sender.send(Err(error)).await);
        }
    }

    /// Receives until the reader has left.
    async fn receive(&mut self, sender: &EventSender) -> Result<()> {
        let mut events = Vec::new();
        loop {
            let event = match self.log.next().now_or_never() {
                Some(event) => event,
                None => {
                    self.idle(&mut events);
                    if !send(sender, &mut events).await {
                        return Ok(());
                    }
                    tokio::select! {
                        biased;
                        () = sender.closed() => return Ok(()),
                        event = timeout(SILENCE, self.log.next()) => event.map_err(|_| silent())?,
                    }
                }
            };
            let outcome = self.assembler.take(&received(event)?, &mut events).await;
            if self.told_at.elapsed() >= IDLE_TOLD {
                self.idle(&mut events);
            }
            if !send(sender, &mut events).await {
                return Ok(());
            }
            outcome?;
        }
    }

    /// Tells that nothing that concerns the reader lies up to here.
    fn idle(&mut self, events: &mut Vec<LogEvent>) {
        self.told_at = Instant::now();
        if let Some(LogEvent::Commit(position)) = events.last() {
            self.told = position.order;
        }
        let Some(position) = self.assembler.idle().filter(|position| position.order > self.told) else {
            return;
        };
        self.told = position.order;
        events.push(LogEvent::Idle(position));
    }
}

/// Hands events on; whether the reader is there.
async fn send(sender: &EventSender, events: &mut Vec<LogEvent>) -> bool {
    for event in events.drain(..) {
        if sender.send(Ok(event)).await.is_err() {
            return false;
        }
    }
    true
}

pub(super) fn received(event: Option<std::result::Result<Event, mysql_async::Error>>) -> Result<Event> {
    match event {
        Some(event) => event.map_err(of_driver),
        None => Err(Error::new(ErrorKind::Connection, "the server has ended its log")),
    }
}

fn silent() -> Error {
    let message = format!("the server has said nothing for {} s", SILENCE.as_secs());
    Error::new(ErrorKind::Connection, message)
}
