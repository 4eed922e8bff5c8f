//! Up to which number every change is known: its transaction has ended, so that nothing can appear before it any more.
//!
//! Numbers are given when rows are changed, and appear when transactions end, so that they appear out of order. Whoever is
//! given a number holds a lock on the table of changes before, and until its transaction has ended and can be seen. So
//! once none of those holds the lock any more that held it when a number was the last one, all up to it are decided:
//! what does not appear then was rolled back. The transactions of a snapshot would not do in place of the locks, as it
//! does not tell of those that began after the last one that ended.

use std::collections::{HashSet, VecDeque};

use wire::{Connection, Param};

use super::objects::Objects;
use super::value;
use crate::error::Result;

/// Whether all numbers appear is looked up for so many at the most.
const LOOKED_UP: u64 = 10_000;
/// So many barriers are kept at the most.
const MOST_BARRIERS: usize = 64;

/// A number that was the last one while these transactions were writing changes.
#[derive(Debug)]
struct Barrier {
    number: u64,
    writers: HashSet<String>,
}

/// The numbers that are decided, and those that are waited for.
#[derive(Debug, Default)]
pub(super) struct Decided {
    barriers: VecDeque<Barrier>,
}

impl Decided {
    /// The greatest number from `position` on up to which all are decided.
    pub(super) async fn up_to(
        &mut self,
        connection: &mut Connection,
        objects: &Objects,
        position: u64,
    ) -> Result<u64> {
        let number = objects.last_number(connection).await?;
        if number <= position {
            self.barriers.clear();
            return Ok(position);
        }
        // The order matters: the writers are looked at after the number.
        let writers = writers(connection, objects).await?;
        for barrier in &mut self.barriers {
            barrier.writers.retain(|writer| writers.contains(writer));
        }
        if self.barriers.back().is_none_or(|last| last.number < number) && self.barriers.len() < MOST_BARRIERS
        {
            self.barriers.push_back(Barrier { number, writers });
        }
        let mut decided = position;
        while let Some(barrier) = self.barriers.front()
            && barrier.writers.is_empty()
        {
            decided = decided.max(barrier.number);
            self.barriers.pop_front();
        }
        if decided == position && number - position <= LOOKED_UP {
            decided = self.gapless(connection, objects, position, number).await?;
        }
        Ok(decided)
    }

    /// Up to where no number is missing.
    async fn gapless(
        &self,
        connection: &mut Connection,
        objects: &Objects,
        position: u64,
        last: u64,
    ) -> Result<u64> {
        let sql = format!(
            "SELECT max(number) FROM (SELECT number, row_number() OVER (ORDER BY number) AS place FROM {}
                                      WHERE number > $1::bigint AND number <= $2::bigint) AS n
             WHERE number - place = $1::bigint",
            objects.changes()
        );
        let parameters: [Param<'_>; 2] = [position.to_string().into(), last.to_string().into()];
        let number = value(connection, &sql, &parameters).await?;
        Ok(number.and_then(|number| number.parse().ok()).unwrap_or(position))
    }
}

/// The transactions that have written changes and have not ended, prepared ones included.
async fn writers(connection: &mut Connection, objects: &Objects) -> Result<HashSet<String>> {
    let sql = "
        SELECT virtualtransaction FROM pg_locks
        WHERE locktype = 'relation' AND relation = $1::text::regclass AND mode = 'RowExclusiveLock' AND granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND pid IS DISTINCT FROM pg_backend_pid()";
    let result = connection.query(sql, &[Param::text(objects.changes())]).await?;
    result.rows.iter().map(|row| Ok(row.get_str(0)?.unwrap_or_default().to_owned())).collect()
}
