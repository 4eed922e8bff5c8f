//! The stream of a reader as it has it: its own, or what it is told of a common one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::candidate::{Candidacy, Candidate};
use super::progress::Progress;
use super::seat::{Taken, seat};
use super::{Joint, SharedLog};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{ChangeStream, LogEvent, LogReader, Position};

/// How long a reader is left alone before it may share a stream.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// How long at the most, when it has had to leave the others again and again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A reader that has shared a stream for so long gets on with the others.
const GETS_ON: Duration = Duration::from_secs(30);
/// How long it is tried to begin a stream of one's own after the common one has ended, which may still be ending.
const BEGIN_PATIENCE: Duration = Duration::from_secs(2);
/// How long is waited between two attempts.
const BEGIN_INTERVAL: Duration = Duration::from_millis(50);
/// How long the end of a stream that is just beginning may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A stream that its reader shares with others where it can.
pub(super) struct Member {
    log: Arc<dyn SharedLog>,
    joint: Arc<Joint>,
    reader: Arc<LogReader>,
    reading: Reading,
    progress: Progress,
    acknowledged: Option<Position>,
    pause: Duration,
}

/// From where events come.
enum Reading {
    Alone {
        stream: Box<dyn ChangeStream>,
        candidacy: Candidacy,
    },
    Together {
        seat: Taken,
        since: Instant,
    },
    /// A stream of its own is being begun.
    Beginning(JoinHandle<Result<Box<dyn ChangeStream>>>),
    Over,
}

impl Member {
    pub(super) fn new(
        log: Arc<dyn SharedLog>,
        joint: Arc<Joint>,
        reader: Arc<LogReader>,
        from: Position,
        stream: Box<dyn ChangeStream>,
    ) -> Self {
        let mut member = Self {
            log,
            joint,
            reader,
            reading: Reading::Over,
            progress: Progress::from(from),
            acknowledged: None,
            pause: FIRST_PAUSE,
        };
        member.read_alone(stream);
        member
    }

    fn read_alone(&mut self, stream: Box<dyn ChangeStream>) {
        let not_before = Instant::now() + self.pause;
        let candidate = Candidate::new(Arc::clone(&self.reader), self.progress.boundary(), not_before);
        let candidacy = Candidacy::new(&self.joint, &self.log, candidate);
        self.reading = Reading::Alone { stream, candidacy };
    }

    /// Gives its own stream up for a common one, if somebody still waits for that.
    fn take_seat(&mut self) {
        let Reading::Alone { stream, candidacy } = std::mem::replace(&mut self.reading, Reading::Over) else {
            return;
        };
        let Some(caller) = candidacy.candidate.take_caller() else {
            self.reading = Reading::Alone { stream, candidacy };
            return;
        };
        drop(candidacy);
        let boundary = self.progress.boundary().clone();
        let (taken, entry) = seat(Arc::clone(&self.reader), boundary, self.acknowledged.clone());
        tokio::spawn(async move {
            // What the database keeps for the reader is to be free for the common stream.
            stream.close().await;
            // Whoever called may have gone on without this one, which then goes on alone.
            drop(caller.send(entry));
        });
        self.reading = Reading::Together { seat: taken, since: Instant::now() };
    }

    /// Begins a stream of its own behind the last whole transaction.
    fn leave_seat(&mut self) {
        if let Reading::Together { since, .. } = &self.reading {
            let gets_on = since.elapsed() >= GETS_ON;
            self.pause = if gets_on { FIRST_PAUSE } else { (self.pause * 2).min(LONGEST_PAUSE) };
        }
        self.progress.begin_anew();
        let (log, reader) = (Arc::clone(&self.log), Arc::clone(&self.reader));
        let boundary = self.progress.boundary().clone();
        self.reading = Reading::Beginning(tokio::spawn(begin(log, reader, boundary)));
    }

    /// Goes on with the stream that was begun.
    fn begun(&mut self, mut stream: Box<dyn ChangeStream>) {
        if let Some(acknowledged) = &self.acknowledged {
            stream.acknowledge(acknowledged);
        }
        self.read_alone(stream);
    }
}

/// Begins a stream of a reader.
async fn begin(
    log: Arc<dyn SharedLog>,
    reader: Arc<LogReader>,
    from: Position,
) -> Result<Box<dyn ChangeStream>> {
    let patient_until = Instant::now() + BEGIN_PATIENCE;
    loop {
        match log.stream(&reader, &from).await {
            Err(error) if error.kind().is_retryable() && Instant::now() < patient_until => {
                sleep(BEGIN_INTERVAL).await;
            }
            outcome => return outcome,
        }
    }
}

#[async_trait]
impl ChangeStream for Member {
    async fn next(&mut self) -> Result<LogEvent> {
        loop {
            match &mut self.reading {
                Reading::Alone { stream, candidacy } => {
                    let event = tokio::select! {
                        biased;
                        () = candidacy.candidate.called(), if self.progress.is_between_transactions() => None,
                        event = stream.next() => Some(event?),
                    };
                    let Some(event) = event else {
                        self.take_seat();
                        continue;
                    };
                    if let Some(event) = self.progress.take(event)? {
                        candidacy.candidate.note_told(self.progress.boundary());
                        return Ok(event);
                    }
                }
                Reading::Together { seat, .. } => match seat.next().await {
                    Some(event) => {
                        if let Some(event) = self.progress.take(event)? {
                            return Ok(event);
                        }
                    }
                    None => self.leave_seat(),
                },
                Reading::Beginning(task) => {
                    let begun = task.await;
                    self.reading = Reading::Over;
                    let broken_off =
                        |_| Error::new(ErrorKind::Connection, "the stream of changes is broken off");
                    self.begun(begun.map_err(broken_off)??);
                }
                Reading::Over => {
                    return Err(Error::new(ErrorKind::Connection, "the stream of changes is over"));
                }
            }
        }
    }

    fn acknowledge(&mut self, position: &Position) {
        self.acknowledged = Some(position.clone());
        match &mut self.reading {
            Reading::Alone { stream, .. } => stream.acknowledge(position),
            Reading::Together { seat, .. } => seat.acknowledge(position),
            Reading::Beginning(_) | Reading::Over => {}
        }
    }

    async fn close(mut self: Box<Self>) {
        match std::mem::replace(&mut self.reading, Reading::Over) {
            Reading::Alone { stream, candidacy } => {
                drop(candidacy);
                stream.close().await;
            }
            Reading::Together { seat, .. } => seat.leave().await,
            Reading::Beginning(mut task) => match timeout(CLOSE_TIMEOUT, &mut task).await {
                Ok(Ok(Ok(stream))) => stream.close().await,
                Ok(_) => {}
                Err(_) => task.abort(),
            },
            Reading::Over => {}
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Reading::Beginning(task) = &self.reading {
            task.abort();
        }
    }
}
