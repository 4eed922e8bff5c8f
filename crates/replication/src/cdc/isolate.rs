//! Writing rows within a transaction and, if some are refused, finding them by halving. A refused call leaves nothing, and
//! the transaction goes on.

use std::sync::atomic::{AtomicBool, Ordering};

use data::table::{Row, RowBatch, RowPatch, Table, TableTransaction};
use data::{Error, Result, Value};

/// A row on its way to the target.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// Its key at the source.
    pub(super) source_key: Vec<Value>,
    /// Its key at the target.
    pub(super) key: Vec<Value>,
    /// The row, in the types of the target.
    pub(super) row: Row,
    /// The columns of the target whose values are not known, in ascending order.
    pub(super) missing: Vec<usize>,
    /// Whether the target is thought not to have it yet.
    pub(super) is_new: bool,
}

impl Prepared {
    /// A row that is to be deleted.
    pub(super) fn key_only(key: Vec<Value>) -> Self {
        Self { source_key: Vec::new(), key, row: Vec::new(), missing: Vec::new(), is_new: false }
    }

    /// A row of which every value is known.
    pub(super) fn whole(key: Vec<Value>, row: Row) -> Self {
        Self { row, ..Self::key_only(key) }
    }
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Whole rows that are not there yet.
    Insert,
    /// Whole rows.
    Upsert,
    /// The columns that are known.
    Patch,
    /// The keys are deleted.
    Delete,
}

/// What became of rows.
#[derive(Default)]
pub(super) struct Outcome {
    /// Those that were written; of some only the key is left.
    pub(super) done: Vec<Prepared>,
    /// How many rows there were to be changed or deleted, where the target tells.
    pub(super) rows: u64,
    /// Those that were refused, and why.
    pub(super) refused: Vec<(Prepared, Error)>,
}

/// Writes every row that the target takes.
///
/// # Errors
/// What does not concern single rows.
pub(super) async fn write_rows(
    transaction: &mut dyn TableTransaction,
    table: &Table,
    call: Call,
    rows: Vec<Prepared>,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut pending = if rows.is_empty() { Vec::new() } else { vec![rows] };
    while let Some(mut rows) = pending.pop() {
        match write_once(transaction, table, call, &mut rows).await {
            Ok(changed) => {
                outcome.rows += changed;
                outcome.done.append(&mut rows);
            }
            Err(error) if !error.kind().is_row_level() => return Err(error),
            Err(error) if rows.len() == 1 => {
                outcome.refused.extend(rows.pop().map(|row| (row, error)));
            }
            Err(_) => {
                let second_half = rows.split_off(rows.len() / 2);
                pending.push(second_half);
                pending.push(rows);
            }
        }
    }
    Ok(outcome)
}

/// Writes whole rows. Those that the target is thought not to have are inserted, which costs a fraction; once that proves
/// wrong, `takes_inserts` is cleared, and they are upserted as the others are.
///
/// # Errors
/// What does not concern single rows.
pub(super) async fn write_whole(
    transaction: &mut dyn TableTransaction,
    table: &Table,
    takes_inserts: &AtomicBool,
    rows: Vec<Prepared>,
) -> Result<Outcome> {
    let inserts = takes_inserts.load(Ordering::Relaxed);
    let (mut new, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| inserts && row.is_new);
    // A new row may have taken a value of a unique index that another row has given up.
    let mut outcome = write_rows(transaction, table, Call::Upsert, others).await?;
    if new.is_empty() {
        return Ok(outcome);
    }
    let batch = RowBatch::Rows(new.iter_mut().map(|row| std::mem::take(&mut row.row)).collect());
    match transaction.insert(table, &batch).await {
        Ok(()) => {
            outcome.rows += count(new.len());
            outcome.done.append(&mut new);
            Ok(outcome)
        }
        Err(error) if !error.kind().is_row_level() => Err(error),
        Err(_) => {
            takes_inserts.store(false, Ordering::Relaxed);
            for (row, taken) in new.iter_mut().zip(batch.into_rows()?) {
                row.row = taken;
            }
            let upserted = write_rows(transaction, table, Call::Upsert, new).await?;
            outcome.rows += upserted.rows;
            outcome.done.extend(upserted.done);
            outcome.refused.extend(upserted.refused);
            Ok(outcome)
        }
    }
}

async fn write_once(
    transaction: &mut dyn TableTransaction,
    table: &Table,
    call: Call,
    rows: &mut [Prepared],
) -> Result<u64> {
    match call {
        Call::Insert => {
            let batch = RowBatch::Rows(rows.iter_mut().map(|row| std::mem::take(&mut row.row)).collect());
            let written = transaction.insert(table, &batch).await;
            for (row, taken) in rows.iter_mut().zip(batch.into_rows()?) {
                row.row = taken;
            }
            written.map(|()| count(rows.len()))
        }
        Call::Upsert => {
            let mut taken: Vec<Row> = rows.iter_mut().map(|row| std::mem::take(&mut row.row)).collect();
            let written = transaction.upsert(table, &taken).await;
            for (row, taken) in rows.iter_mut().zip(&mut taken) {
                row.row = std::mem::take(taken);
            }
            written.map(|()| count(rows.len()))
        }
        Call::Patch => {
            let patches: Vec<RowPatch> = rows.iter().map(|row| patch_of(table, row)).collect();
            transaction.patch(table, &patches).await
        }
        Call::Delete => {
            let keys: Vec<_> = rows.iter().map(|row| row.key.clone()).collect();
            transaction.delete(table, &keys).await
        }
    }
}

fn patch_of(table: &Table, row: &Prepared) -> RowPatch {
    let values = row.row.iter().enumerate();
    let known = values.filter(|(column, _)| !row.missing.contains(column) && !table.key.contains(column));
    RowPatch { key: row.key.clone(), values: known.map(|(column, value)| (column, value.clone())).collect() }
}

pub(super) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
