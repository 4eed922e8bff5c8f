//! The running stream of a slot.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::WriteHalf;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, sleep};

use super::acknowledge::{Acknowledger, Standing, Wanted};
use super::lsn::Lsn;
use super::message::StreamMessage;
use super::status::write_updates;
use crate::connection::{Connection, CopyBothReader};
use crate::error::{Error, Result};
use crate::socket::Socket;

/// The parts into which the limit of silence is divided. The server is asked for an answer after each.
const QUESTIONS: u32 = 4;

/// The running stream of a slot.
///
/// Messages are read from the socket only when they are asked for, so a slow caller slows the server and costs no
/// memory: what is kept is one read of the socket, or one message where that is longer. Meanwhile a task of the
/// stream's own reports to the server, so that a caller may take its time, as long as it does not block the thread
/// the runtime needs.
///
/// Once a call has failed the stream is over. Dropping it closes the connection; what was not acknowledged comes
/// again when the slot is streamed the next time.
pub struct ReplicationStream {
    reader: CopyBothReader,
    writer: Writer,
    standing: Arc<Standing>,
    silence: Option<Silence>,
    /// Why nothing more can be read.
    over: Option<String>,
}

impl ReplicationStream {
    pub(super) fn new(
        reader: CopyBothReader,
        writer: WriteHalf<Socket>,
        update_interval: Duration,
        silence_limit: Option<Duration>,
    ) -> Self {
        let standing = Arc::new(Standing::new());
        let task = tokio::spawn(write_updates(writer, Arc::clone(&standing), update_interval));
        Self { reader, writer: Writer(task), standing, silence: silence_limit.map(Silence::new), over: None }
    }

    /// The next message. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Error::Server`] where the server reports why it ends the stream, as 57P01 when it is stopped or the slot
    /// is taken away; [`Error::Closed`] where it ends it without a reason, as it does at the end of a shutdown that
    /// waited for everything to be acknowledged; [`Error::Timeout`] where it is silent for too long.
    pub async fn next(&mut self) -> Result<StreamMessage> {
        loop {
            if let Some(message) = self.next_received()? {
                return Ok(message);
            }
            let received = self.receive().await;
            self.note(received)?;
        }
    }

    /// The next of the messages received so far, without waiting: for callers that work in batches.
    ///
    /// # Errors
    /// As for [`ReplicationStream::next`].
    pub fn next_received(&mut self) -> Result<Option<StreamMessage>> {
        if let Some(reason) = &self.over {
            return Err(Error::Closed(reason.clone()));
        }
        let message = self.reader.next_data().and_then(|data| data.map(StreamMessage::parse).transpose());
        let message = self.note(message)?;
        match &message {
            Some(StreamMessage::Data(data)) => self.standing.receive(data.start),
            Some(StreamMessage::Keepalive(keepalive)) => {
                self.standing.receive(keepalive.wal_end);
                if keepalive.reply_requested {
                    self.standing.want(Wanted::ANSWER);
                }
            }
            None => {}
        }
        Ok(message)
    }

    /// Waits for more bytes, and asks the server whether it is still there when none come.
    async fn receive(&mut self) -> Result<()> {
        let Some(silence) = &mut self.silence else { return self.reader.receive().await };
        loop {
            tokio::select! {
                biased;
                received = self.reader.receive() => {
                    silence.heard = true;
                    return received;
                }
                () = silence.tick.as_mut() => silence.part_has_passed(&self.standing)?,
            }
        }
    }

    fn note<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.over = Some(error.to_string());
        }
        result
    }

    /// Tells the server that everything before `lsn` is safe. See [`Acknowledger::acknowledge`].
    pub fn acknowledge(&self, lsn: Lsn) {
        self.acknowledger().acknowledge(lsn);
    }

    /// What it takes to acknowledge, from anywhere.
    pub fn acknowledger(&self) -> Acknowledger {
        Acknowledger { standing: Arc::clone(&self.standing) }
    }

    /// The furthest position received.
    pub fn received(&self) -> Lsn {
        self.standing.received()
    }

    /// Ends the stream in order: reports the last acknowledgement, reads and forgets what the server still sends,
    /// and returns the connection for other commands. Not for another stream: servers end a second one on the same
    /// connection as soon as it begins.
    ///
    /// A server that is in the middle of a transaction sends it to its end first. Where that may be long, give
    /// this a limit of time and drop it: that closes the connection, and an acknowledgement that was not yet
    /// reported is lost.
    ///
    /// # Errors
    /// The stream was over, or the server ended it by itself.
    pub async fn finish(mut self) -> Result<Connection> {
        if let Some(reason) = self.over {
            return Err(Error::Closed(reason));
        }
        self.standing.want(Wanted::END);
        self.reader.drain().await?;
        match (&mut self.writer.0).await {
            Ok(Ok(writer)) => Ok(self.reader.reunite(writer)),
            Ok(Err(error)) => Err(Error::io("ending the stream", error)),
            Err(_) => Err(Error::Closed("the runtime has ended the stream's task".to_owned())),
        }
    }
}

impl fmt::Debug for ReplicationStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ReplicationStream")
            .field("received", &self.standing.received())
            .field("acknowledged", &self.standing.acknowledged())
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

/// The task that writes. It ends with the stream.
struct Writer(JoinHandle<io::Result<WriteHalf<Socket>>>);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How long nothing was heard of the server while the caller waited. The clock is not read for each message.
struct Silence {
    limit: Duration,
    tick: Pin<Box<Sleep>>,
    /// Whether anything was received since the last tick.
    heard: bool,
    /// The ticks since anything was received.
    silent_ticks: u32,
}

impl Silence {
    fn new(limit: Duration) -> Self {
        Self { limit, tick: Box::pin(sleep(limit / QUESTIONS)), heard: true, silent_ticks: 0 }
    }

    /// # Errors
    /// The server was asked in vain. The first tick does not count: it may be one that was due while the caller
    /// was not waiting.
    fn part_has_passed(&mut self, standing: &Standing) -> Result<()> {
        self.tick.as_mut().reset(Instant::now() + self.limit / QUESTIONS);
        self.silent_ticks = if std::mem::take(&mut self.heard) { 0 } else { self.silent_ticks + 1 };
        if self.silent_ticks > QUESTIONS {
            let context = "waiting for the replication stream".to_owned();
            return Err(Error::Timeout { context, limit: self.limit });
        }
        standing.want(Wanted::QUESTION);
        Ok(())
    }
}
