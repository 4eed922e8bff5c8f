//! A bidirectional rule that streams: changes of both sides go to the other one as they are committed.
//!
//! # What is exchanged
//! The logs of both sides tell which keys have changed. What is written is not what the logs say but what the sides hold:
//! for each key that one of them names, the row of the source, the row of the target and the *version* are read. The
//! version is a row of `replicaverse_version` with fingerprints of what both sides held when they last agreed on the key.
//! A side whose row has another fingerprint has changed since. If one side has changed, its row goes to the other; if both
//! have and differ, that is a conflict, which the rule decides; if they are equal, they agree. A row that is not there
//! has no fingerprint, so that deletions are changes like any other ([`decide`]).
//!
//! # Why nothing is lost
//! A row is written in one transaction with its version ([`write`]). The transaction first locks the row and the version,
//! and leaves the key for another round if they are no longer what the decision was made of. The other side is not
//! locked: what is committed there after it was read comes by its log, and is then a change against the version that
//! names what was read. A position in a log is stored once every key that it told up to there is settled. After a crash
//! they are told again, and settling a key twice changes nothing.
//!
//! Before anything is written that was decided by what a side held, that side keeps a mark, which the other one names in the
//! transaction of the write. A side that lacks the mark afterwards has lost what was committed there, and its rows were not
//! deleted ([`mark`]).
//!
//! Both sides may hold a version of a key; the one with the higher number counts. It stands where the row was written, so
//! that neither is ever there without the other.
//!
//! # Why nothing comes back
//! What the rule writes is told by the log of that side too. By then both sides are what the version says, and nothing is
//! written; the version, committed together with the row, is the mark of the rule's own writing. It needs no privilege and is
//! the same on every database. What other rules write has no version of this one, and goes on to the other side.
//!
//! # Why both sides come to be equal
//! A key is decided in one place, by the process that holds the leases of both sides, so that there are no two decisions
//! that could differ. After a round either both sides and the version agree, or one of them has changed once more, and its
//! log tells so. When writing ends, the last round of every key leaves it equal on both sides, and the exchange is at rest.
//!
//! # The first exchange
//! It is made of the same rounds, with every key of both sides: the logs are opened before, so that what changes meanwhile
//! is told again. Keys without a version have never been agreed on; a row that only one side has goes to the other.

mod begin;
mod count;
mod decide;
mod dirty;
mod full;
mod keep;
mod letters;
mod mark;
mod merge;
mod open;
mod read;
mod record;
mod removal;
mod settle;
mod side;
mod stream;
mod unheld;
mod untangle;
mod version;
mod work;
mod write;

pub(super) use open::exchange;
pub(crate) use removal::{has_streamed, letters_of_both, remove_both};

use std::sync::Arc;

use data::Timestamp;
use tokio::time::Instant;

use super::shared::Shared;
use crate::bidirectional::Pair;
use crate::rule::Rule;
use crate::stats::CollectionStats;
use side::{Side, Which};
use unheld::Unheld;

/// A bidirectional rule being streamed.
struct Exchange {
    rule: Rule,
    shared: Arc<Shared>,
    source: Side,
    target: Side,
    /// The collections, parents before children.
    pairs: Vec<Pair>,
    /// What was done since it was last told.
    stats: Vec<CollectionStats>,
    /// For each collection whose columns have changed since both sides agreed, those that it had already. Empty once every row
    /// has been compared.
    former: Vec<Option<Vec<String>>>,
    /// The name under which the versions of the rule are kept.
    name: String,
    /// How many rows were written since it was last told.
    changes: u64,
    /// How many transactions of either side have been read since then.
    transactions: u64,
    told_at: Instant,
    /// When the transaction that was read last had been committed.
    committed_at: Timestamp,
    /// Keys that are to be set aside because the other side cannot hold them, or no longer.
    unheld: Vec<Unheld>,
    /// Up to where the logs of the source and of the target have been read.
    seen: [u64; 2],
    /// Whether the source and the target have kept anything since they were read last.
    is_marked: [bool; 2],
}

impl Exchange {
    fn side(&self, which: Which) -> &Side {
        match which {
            Which::Source => &self.source,
            Which::Target => &self.target,
        }
    }

    fn side_mut(&mut self, which: Which) -> &mut Side {
        match which {
            Which::Source => &mut self.source,
            Which::Target => &mut self.target,
        }
    }
}
