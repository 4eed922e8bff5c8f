//! Up to which number every change is known: its transaction has ended, so that nothing can appear before it any more.
//!
//! Numbers are given when rows are changed, and appear when transactions end, so that they appear out of order. A number
//! was given to a transaction that had begun by then. So once every transaction has ended that had begun when a number
//! was the last one, all up to it are decided: what does not appear then was rolled back.

use std::collections::VecDeque;

use wire::{Connection, Param};

use super::objects::Objects;
use super::value;
use crate::error::{Error, ErrorKind, Result};

/// Whether all numbers appear is looked up for so many at the most.
const LOOKED_UP: u64 = 10_000;
/// So many barriers are kept at the most.
const MOST_BARRIERS: usize = 64;

/// A number that was the last one while these transactions were the latest.
#[derive(Debug, Clone, Copy)]
struct Barrier {
    number: u64,
    /// The first transaction that had not begun.
    next_transaction: u64,
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
        // The order matters: the transactions are looked at after the number.
        let sql =
            "SELECT txid_snapshot_xmin(s) || ' ' || txid_snapshot_xmax(s) FROM txid_current_snapshot() AS s";
        let unknown =
            || Error::new(ErrorKind::Internal, "the server told its transactions in an unknown form");
        let text = value(connection, sql, &[]).await?.ok_or_else(unknown)?;
        let (oldest, next) = text.split_once(' ').ok_or_else(unknown)?;
        let oldest: u64 = oldest.parse().map_err(|_| unknown())?;
        let next_transaction: u64 = next.parse().map_err(|_| unknown())?;
        if self.barriers.back().is_none_or(|last| last.number < number) && self.barriers.len() < MOST_BARRIERS
        {
            self.barriers.push_back(Barrier { number, next_transaction });
        }
        let mut decided = position;
        while let Some(barrier) = self.barriers.front().copied()
            && barrier.next_transaction <= oldest
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
