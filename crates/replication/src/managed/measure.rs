//! How far a slave that this library feeds has come: by the stream of this process, or the checkpoint of another one.

use std::sync::Arc;
use std::time::Duration;

use data::DialectKind;
use data::log::Position;
use data::progress::{Progress, ServerRole};

use super::feed::{ManagedFeed, Run};
use crate::cdc::{RunState, head_of};

/// How long a stream may take at the most to come to where the log of the master was at the same look.
const CATCHING_UP: Duration = Duration::from_millis(250);

/// Where the log of a master stands, from which slaves are fed.
#[derive(Debug, Clone)]
pub(crate) struct FeedHead {
    pub(crate) position: Position,
    /// The present of the master, in microseconds.
    now: i64,
}

/// A look at a slave that this library feeds.
pub(crate) struct FeedLook {
    pub(crate) slave: Progress,
}

impl FeedHead {
    /// The master as its slaves see it.
    pub(crate) fn master(&self) -> Progress {
        Progress {
            written: Some(self.position.order),
            now: Some(self.now),
            ..Progress::of(ServerRole::Primary)
        }
    }
}

/// Where the log stands from which this feed reads; `None` if it does not run, or the master does not tell.
pub(crate) async fn head_for(feed: &ManagedFeed) -> Option<FeedHead> {
    let run = feed.inner.run()?;
    let (position, now) = head_of(&run.source, run.kind).await.ok()??;
    Some(FeedHead { position, now: now.0 })
}

/// Looks at how far a slave has come; `None` if it is not fed at present.
pub(crate) async fn look_at_feed(
    feed: &ManagedFeed,
    head: Option<&FeedHead>,
    most: Duration,
) -> Option<FeedLook> {
    let run = feed.inner.run()?;
    let state = run.shared.state().state;
    let (applied, committed_at) = match state {
        RunState::Standby => stored(&run).await?,
        _ => own(&run, head, most.min(CATCHING_UP)).await,
    };
    let is_postgres = run.source.dialect().is_some_and(|dialect| dialect.kind() == DialectKind::Postgres);
    let slave = Progress {
        applied,
        received: applied,
        applied_at: committed_at,
        receiving: matches!(state, RunState::Streaming | RunState::Standby),
        // Positions of triggers count changes, not bytes.
        byte_bits: if is_postgres { u64::BITS } else { 0 },
        ..Progress::of(ServerRole::Replica)
    };
    Some(FeedLook { slave })
}

/// What this process has applied. What was committed just before is given the time that it takes.
async fn own(run: &Run, head: Option<&FeedHead>, most: Duration) -> (Option<u64>, Option<i64>) {
    let mut reached = run.shared.reached();
    if let Some(head) = head {
        let has_reached =
            |at: &Option<Position>| at.as_ref().is_some_and(|at| at.order >= head.position.order);
        // One that does not get there is behind.
        drop(tokio::time::timeout(most, reached.wait_for(has_reached)).await);
    }
    let applied = reached.borrow().as_ref().map(|at| at.order);
    (applied, run.shared.applied_up_to().map(|committed| committed.0))
}

/// What another process has applied.
async fn stored(run: &Arc<Run>) -> Option<(Option<u64>, Option<i64>)> {
    let found = run.checkpoints().await?.position(&run.reader).await.ok()??;
    found.is_streaming.then_some((Some(found.position.order), Some(found.committed_at.0)))
}
