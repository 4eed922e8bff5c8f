//! The timelines of a cluster: each promotion of a standby begins one. A position means nothing without its own.

use wire::Connection;
use wire::replication::Lsn;

use crate::error::{Error, ErrorKind, Result};
use crate::log::Position;

/// A position of the log of a server that is on this timeline.
pub(super) fn position_on(timeline: u32, lsn: Lsn) -> Position {
    Position { order: lsn.into(), token: Some(timeline.to_string()) }
}

/// Fails if a position lies on a timeline that the server has left before it: there the log of the server is another one than
/// what was read, and going on would pass over what it holds up to the same position.
pub(super) async fn check(connection: &mut Connection, present: u32, from: &Position) -> Result<()> {
    // Older versions kept none.
    let Some(read_on) = from.token.as_deref().and_then(|token| token.parse::<u32>().ok()) else {
        return Ok(());
    };
    if read_on == present {
        return Ok(());
    }
    let former = match connection.timeline_history(present).await {
        // A server that has lost its history cannot tell that nothing is missing.
        Err(wire::Error::Server(error)) if !error.is_retryable() => {
            tracing::debug!(%error, "the history of timeline {present} could not be read");
            Vec::new()
        }
        told => told?,
    };
    let left = former.iter().find(|former| former.timeline == read_on).map(|former| former.end);
    let from = Lsn::from(from.order);
    let message = match left {
        Some(left) if from <= left => return Ok(()),
        Some(left) => format!(
            "a standby was promoted that has the log up to {left}, and changes up to {from} had been read; the tables must be \
             synchronised anew"
        ),
        None => format!("the server is on timeline {present}, which does not come from timeline {read_on}"),
    };
    Err(Error::new(ErrorKind::LogLost, message))
}
