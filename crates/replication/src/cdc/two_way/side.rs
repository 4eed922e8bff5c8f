//! A side of the exchange: its database, its log, and the tables that are kept there.

use std::sync::Arc;

use data::Timestamp;
use data::log::{ChangeLog, LogKind, LogReader, Position};
use data::table::{Table, TableTransaction};

use super::super::checkpoint::Checkpoint;
use super::super::control_tables::ControlTables;
use super::super::dead_letter::Letters;
use super::super::history::History;
use super::super::lease::Lease;
use super::super::run::log_of;
use super::Exchange;
use crate::bidirectional::Pair;
use crate::error::{Error, Result};
use crate::snapshot::End;
use crate::stats::Winner;

/// One of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// The source of the rule.
    Source,
    /// The target of the rule.
    Target,
}

impl Which {
    /// Both, the source first.
    pub(super) const BOTH: [Self; 2] = [Self::Source, Self::Target];

    /// The side that has won a row.
    pub(super) fn of(winner: Winner) -> Self {
        if winner == Winner::Target { Self::Target } else { Self::Source }
    }

    pub(super) fn winner(self) -> Winner {
        match self {
            Self::Source => Winner::Source,
            Self::Target => Winner::Target,
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Source => Self::Target,
            Self::Target => Self::Source,
        }
    }

    /// The table of a pair at this side, as it is read.
    pub(super) fn read_table(self, pair: &Pair) -> &Arc<Table> {
        match self {
            Self::Source => &pair.to_target.mapping.source,
            Self::Target => &pair.to_source.mapping.source,
        }
    }

    /// The table of a pair at this side, as it is written.
    pub(super) fn written_table(self, pair: &Pair) -> &Arc<Table> {
        match self {
            Self::Source => &pair.to_source.mapping.target,
            Self::Target => &pair.to_target.mapping.target,
        }
    }

    /// The database of a pair at this side.
    pub(super) fn end(self, pair: &Pair) -> &End {
        match self {
            Self::Source => &pair.to_target.source,
            Self::Target => &pair.to_target.target,
        }
    }
}

/// A side of the exchange.
pub(super) struct Side {
    pub(super) end: End,
    pub(super) kind: LogKind,
    /// The reader of its log.
    pub(super) reader: LogReader,
    pub(super) control: Arc<ControlTables>,
    pub(super) versions: Table,
    pub(super) conflicts: Table,
    /// Kept at this side; who holds it may write here.
    pub(super) lease: Arc<Lease>,
    /// The rows that this side has refused.
    pub(super) letters: Letters,
    /// The last of them that was settled once more, if others lie behind it that were not.
    pub(super) touched_letter: Option<String>,
    /// Whether that was the last one of this round through the letters of both sides.
    pub(super) has_touched_letters: bool,
    /// How far its log is settled. It is kept at the other side.
    pub(super) checkpoint: Checkpoint,
}

impl Side {
    pub(super) fn log(&self) -> Result<&dyn ChangeLog> {
        log_of(&self.end, self.kind)
    }
}

impl Exchange {
    pub(super) fn in_rule(&self) -> impl FnOnce(data::Error) -> Error + use<> {
        Error::database_in(format!("rule \"{}\"", self.rule.name))
    }

    /// Begins a transaction at a side, unless another process may write there by now.
    pub(super) async fn begin_fenced(&self, which: Which) -> Result<Box<dyn TableTransaction>> {
        let (side, kept) = (self.side(which), &self.side(which.other()).checkpoint);
        let lost = || Error::LeaseLost(self.rule.name.clone());
        if side.lease.is_lost() {
            return Err(lost());
        }
        let mut transaction = side.lease.begin().await.map_err(self.in_rule())?;
        let found = Checkpoint::load(transaction.as_mut(), &side.control.checkpoint, &kept.reader).await;
        if found.map_err(self.in_rule())?.is_some_and(|found| found.epoch == kept.epoch) {
            return Ok(transaction);
        }
        Err(lost())
    }

    /// What the checkpoint of the log of a side is to tell when it is written next.
    pub(super) fn next_history(&self, which: Which) -> History {
        let other = &self.side(which.other()).checkpoint.history;
        self.side(which).checkpoint.history.next(other)
    }

    /// Stores that the log of a side is settled up to a position.
    pub(super) async fn store_position(
        &mut self,
        which: Which,
        position: Position,
        committed_at: Timestamp,
    ) -> Result<()> {
        self.mark(which).await?;
        let marked = self.marked(which.other());
        let next = Checkpoint {
            from: marked.position.order,
            position,
            committed_at: committed_at.max(marked.committed_at),
            applied_at: Timestamp::now(),
            ..marked
        };
        let mut transaction = self.begin_fenced(which.other()).await?;
        let table = &self.side(which.other()).control.checkpoint;
        next.advance(transaction.as_mut(), table).await.map_err(self.in_rule())?;
        transaction.commit().await.map_err(self.in_rule())?;
        self.keep(which.other(), next);
        Ok(())
    }
}
