//! One stream for several readers of a log, so that the database decodes it once however many targets it has.
//!
//! Every reader begins with a stream of its own ([`member`]). Those that have come to where the log stands are found by
//! [`matching`] and give their streams up for a common one ([`group`]), which begins behind what the last of them has read and
//! tells each of its own tables only ([`seat`]). Whoever cannot keep up with the others, or does not get on with them for
//! whatever reason, goes on alone behind the last transaction that it was told whole, as it does when the common stream ends.

mod candidate;
mod group;
mod matching;
mod member;
mod progress;
mod seat;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::{ChangeLog, ChangeStream, LogReader, Position};
use crate::error::Result;
use candidate::Candidate;
use group::GroupHandle;
use member::Member;

/// A log that one stream can read for several readers.
#[async_trait]
pub(crate) trait SharedLog: ChangeLog {
    /// As [`ChangeLog::stream`], of what any of the readers reads. What the database keeps for the first one serves all of them.
    async fn stream_for(&self, readers: &[Arc<LogReader>], from: &Position) -> Result<Box<dyn ChangeStream>>;

    /// Whether what lies between both positions is what has to be read to come from the one to the other.
    fn leads_to(&self, from: &Position, to: &Position) -> bool {
        from.order <= to.order
    }

    /// The end of a transaction as it is told a reader, who may have been told nothing of it, or a part.
    fn passed(&self, end: &Position) -> Position {
        end.clone()
    }

    /// Whether the order of a position is a number of transactions, so that it says something only of positions all of whose
    /// transactions the server has: others were lost in a failover.
    fn counts_transactions(&self) -> bool {
        false
    }

    /// Whether readers may know a table by different descriptions, and the stream tells of it by each of them.
    fn tells_by_descriptions(&self) -> bool {
        false
    }

    /// Has the database no longer keep what a reader has acknowledged whose own stream is not open.
    async fn keep_up(&self, reader: &str, acknowledged: &Position) -> Result<()> {
        let _ = (reader, acknowledged);
        Ok(())
    }
}

/// The readers of one log that may be read for together.
#[derive(Default)]
pub(crate) struct Joint {
    standing: Mutex<Standing>,
    /// Told when a candidate comes.
    candidate_came: Notify,
}

#[derive(Default)]
struct Standing {
    candidates: Vec<Arc<Candidate>>,
    groups: Vec<Arc<GroupHandle>>,
    /// Whether a task looks for readers that fit together.
    is_matching: bool,
}

impl Standing {
    fn has_partners(&self) -> bool {
        !self.candidates.is_empty() && self.candidates.len() + self.groups.len() > 1
    }
}

impl Joint {
    /// Starts to read for a reader: by itself at first.
    pub(crate) async fn stream(
        self: &Arc<Self>,
        log: Arc<dyn SharedLog>,
        reader: &LogReader,
        from: &Position,
    ) -> Result<Box<dyn ChangeStream>> {
        let stream = log.stream(reader, from).await?;
        Ok(Box::new(Member::new(log, Arc::clone(self), Arc::new(reader.clone()), from.clone(), stream)))
    }

    /// Whether a reader is read for together with others.
    pub(crate) fn reads_for(&self, reader: &str) -> bool {
        self.standing().groups.iter().any(|group| group.has(reader))
    }

    /// Enters a reader that is read for by itself.
    fn enter(self: &Arc<Self>, log: &Arc<dyn SharedLog>, candidate: Arc<Candidate>) {
        let mut standing = self.standing();
        standing.candidates.push(candidate);
        if !standing.is_matching && standing.has_partners() {
            standing.is_matching = true;
            tokio::spawn(matching::run(Arc::clone(self), Arc::clone(log)));
        }
        self.candidate_came.notify_one();
    }

    /// Forgets a reader that is not read for by itself any more.
    fn withdraw(&self, candidate: &Arc<Candidate>) {
        self.standing().candidates.retain(|known| !Arc::ptr_eq(known, candidate));
    }

    fn enter_group(&self, group: Arc<GroupHandle>) {
        self.standing().groups.push(group);
    }

    fn forget_group(&self, group: &Arc<GroupHandle>) {
        self.standing().groups.retain(|known| !Arc::ptr_eq(known, group));
    }

    /// Whether there is anybody to be brought together; if not, the task that asks is over.
    fn goes_on_matching(&self) -> bool {
        let mut standing = self.standing();
        standing.is_matching = standing.has_partners();
        standing.is_matching
    }

    /// A thread that panicked while holding it leaves it whole, because every change is one insertion or removal.
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
