//! Writing rows to either side of a bidirectional rule.

use std::sync::Arc;

use data::table::Row;
use data::{Result, Value};

use super::pair::Pair;
use crate::snapshot::{Collection, Refused, Write, write_again, write_isolating};
use crate::stats::CollectionStats;

/// How many refused rows are kept to be tried again at the end of the collection.
const RETRIED_ROWS: usize = 1000;

/// The side that is written to.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Source,
    Target,
}

/// Rows that were refused, with the side that refused them.
#[derive(Default)]
pub(super) struct Pending {
    rows: Vec<(Side, Write, Refused)>,
    /// Those that need not be tried again.
    failed: Vec<(Vec<Value>, String)>,
}

impl Side {
    pub(super) fn collection(self, pair: &Pair) -> &Collection {
        match self {
            Self::Source => &pair.to_source,
            Self::Target => &pair.to_target,
        }
    }

    pub(super) fn collection_mut(self, pair: &mut Pair) -> &mut Arc<Collection> {
        match self {
            Self::Source => &mut pair.to_source,
            Self::Target => &mut pair.to_target,
        }
    }

    /// Inserts rows of the other side; how many this side took.
    pub(super) async fn create(
        self,
        pair: &Pair,
        rows: Vec<Row>,
        pending: &mut Pending,
        stats: &mut CollectionStats,
    ) -> Result<u64> {
        let collection = self.collection(pair);
        let rows = collection.mapping.convert(rows, stats);
        // A row that has appeared under the same key meanwhile must not be overwritten unseen.
        let written = write_isolating(collection, Write::Insert, rows).await?;
        pending.add(self, pair, Write::Insert, written.refused);
        Ok(written.rows)
    }

    /// Writes rows over those that this side holds; how many it took.
    pub(super) async fn overwrite(self, pair: &Pair, rows: Vec<Row>, pending: &mut Pending) -> Result<u64> {
        let written = write_isolating(self.collection(pair), Write::Upsert, rows).await?;
        pending.add(self, pair, Write::Upsert, written.refused);
        Ok(written.rows)
    }

    /// The key of a row that was to be written to this side, as the source has it.
    fn source_key(self, pair: &Pair, row: &[Value]) -> Vec<Value> {
        let key = self.collection(pair).mapping.target.key_of(row);
        match self {
            Self::Source => key,
            Self::Target => pair.to_target.mapping.source_key(&key).unwrap_or(key),
        }
    }
}

impl Pending {
    fn add(&mut self, side: Side, pair: &Pair, write: Write, refused: Vec<Refused>) {
        for refused in refused {
            if refused.may_fit_later() && self.rows.len() < RETRIED_ROWS {
                self.rows.push((side, write, refused));
            } else {
                self.failed.push((side.source_key(pair, &refused.row), refused.error.to_string()));
            }
        }
    }

    /// Counts the rows that failed, and first tries those once more that were refused for the sake of other rows, which
    /// may have moved by now.
    pub(super) async fn retry(self, pair: &Pair, stats: &mut CollectionStats) -> Result<()> {
        for (key, reason) in self.failed {
            stats.fail_row(key, reason);
        }
        let (at_source, at_target): (Vec<_>, Vec<_>) =
            self.rows.into_iter().partition(|(side, ..)| matches!(side, Side::Source));
        for (side, rows) in [(Side::Source, at_source), (Side::Target, at_target)] {
            let rows: Vec<_> = rows.into_iter().map(|(_, write, refused)| (write, refused.row)).collect();
            let tried: Vec<_> =
                rows.iter().map(|(write, row)| (*write, side.source_key(pair, row))).collect();
            let refused = write_again(side.collection(pair), rows).await?;
            for (error, (write, key)) in refused.into_iter().zip(tried) {
                match (error, write) {
                    (Some(error), _) => stats.fail_row(key, error.to_string()),
                    (None, Write::Insert) => stats.created += 1,
                    (None, Write::Upsert) => stats.updated += 1,
                }
            }
        }
        Ok(())
    }
}
