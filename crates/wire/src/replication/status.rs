//! The writer of a stream: a task that sends status updates, whatever the reader is doing.
//!
//! The server ends a stream of which it hears nothing for `wal_sender_timeout`. It listens also while it cannot
//! send, so a caller that does not read for minutes keeps its stream as long as this task runs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, WriteHalf};
use tokio::time::{Instant, timeout_at};

use super::acknowledge::{Standing, Wanted};
use super::message::{STATUS_UPDATE_LENGTH, status_update};
use super::timestamp::Timestamp;
use crate::protocol::frontend;
use crate::socket::Socket;

/// The least time between two updates that only acknowledge: a caller may acknowledge each of many small
/// transactions.
const SPACING: Duration = Duration::from_millis(10);

/// Sends an update each `interval`, and whenever one is wanted, until the end is. Then sends CopyDone and gives
/// the writing half back.
pub(super) async fn write_updates(
    mut socket: WriteHalf<Socket>,
    standing: Arc<Standing>,
    interval: Duration,
) -> io::Result<WriteHalf<Socket>> {
    let mut last_sent = Instant::now();
    loop {
        let mut wanted = wait(&standing, last_sent + interval, Wanted::NOTHING).await;
        if wanted == Wanted::ACKNOWLEDGED {
            wanted = wanted.and(wait(&standing, last_sent + SPACING, Wanted::ACKNOWLEDGED).await);
        }
        let mut message = bytes::BytesMut::with_capacity(STATUS_UPDATE_LENGTH + 5);
        let acknowledged = standing.acknowledged();
        // What was acknowledged was received, be it on an earlier connection.
        let written = standing.received().max(acknowledged);
        let is_question = wanted.contains(Wanted::QUESTION);
        status_update(written, acknowledged, acknowledged, Timestamp::now(), is_question, &mut message);
        if wanted.contains(Wanted::END) {
            frontend::copy_done(&mut message);
        }
        socket.write_all(&message).await?;
        socket.flush().await?;
        last_sent = Instant::now();
        if wanted.contains(Wanted::END) {
            return Ok(socket);
        }
    }
}

/// Waits until something besides `ignored` is wanted, at most until `deadline`. Returns all that was wanted.
async fn wait(standing: &Standing, deadline: Instant, ignored: Wanted) -> Wanted {
    let mut wanted = Wanted::NOTHING;
    loop {
        wanted = wanted.and(standing.take_wanted());
        if !ignored.contains(wanted) || timeout_at(deadline, standing.woken()).await.is_err() {
            return wanted.and(standing.take_wanted());
        }
    }
}
