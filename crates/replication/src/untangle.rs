//! Rows that stand in each other's way, because they have exchanged values of a unique index.
//!
//! No order of writing lets them pass, as most databases look at each row by itself. So they are taken away together, and then
//! written.

use std::collections::HashSet;
use std::sync::Arc;

use data::table::{Row, Table, TableColumn, TableTransaction};
use data::{Result, Value};

use crate::snapshot::{End, Mapping};

/// The column of fields that the rule does not know; no field is called so.
const FURTHER_FIELDS: &str = "$rest";

/// A row that was refused for the sake of a unique value.
pub(crate) struct Tangled<'a> {
    pub(crate) table: &'a Arc<Table>,
    /// Whether it may hold fields that the rule does not know.
    pub(crate) is_document: bool,
    pub(crate) key: &'a [Value],
    pub(crate) row: &'a Row,
    /// The columns whose values are not known, and stay.
    pub(crate) missing: &'a [usize],
    /// Whether no row may be there under its key.
    pub(crate) is_new: bool,
}

/// A row that was taken away.
struct Taken {
    index: usize,
    table: Arc<Table>,
    key: [Vec<Value>; 1],
    before: Option<Row>,
}

/// Whether rows may be taken away and written again: nothing of them would be lost, and no other table refers to them, whose rows
/// might go with them.
pub(crate) fn may_be_rewritten<'a>(
    target: &End,
    mapping: &Mapping,
    mut references: impl Iterator<Item = &'a String>,
) -> bool {
    let is_whole = target.is_schemaless() || !mapping.target_has_own_columns;
    is_whole && !references.any(|name| *name == mapping.target.name)
}

/// Writes rows whose way is free once all of them have been taken away; which of them. The others are left as they were.
///
/// # Errors
/// What does not concern single rows.
pub(crate) async fn untangle(
    transaction: &mut dyn TableTransaction,
    rows: &[Tangled<'_>],
) -> Result<Vec<bool>> {
    let mut candidates: Vec<usize> = (0..rows.len()).collect();
    // A single row would have been taken by now.
    while candidates.len() > 1 {
        let taken = take_away(transaction, rows, &candidates).await?;
        let mut refused = Vec::new();
        for Taken { index, table, before, .. } in &taken {
            let Some(row) = rows.get(*index) else { continue };
            let is_written = match row.over(table, before.as_ref()) {
                Some(row) => is_taken(transaction.upsert(table, &[row]).await)?,
                None => false,
            };
            if !is_written {
                refused.push(*index);
            }
        }
        if refused.is_empty() {
            let written: HashSet<usize> = candidates.into_iter().collect();
            return Ok((0..rows.len()).map(|index| written.contains(&index)).collect());
        }
        put_back(transaction, &taken).await?;
        candidates.retain(|index| !refused.contains(index));
    }
    Ok(vec![false; rows.len()])
}

async fn take_away(
    transaction: &mut dyn TableTransaction,
    rows: &[Tangled<'_>],
    candidates: &[usize],
) -> Result<Vec<Taken>> {
    let mut taken = Vec::with_capacity(candidates.len());
    for index in candidates {
        let Some(row) = rows.get(*index) else { continue };
        let (table, key) = (row.whole_table(), [row.key.to_vec()]);
        let before = transaction.fetch(&table, &key).await?.into_iter().next();
        if before.is_some() && !row.is_new {
            transaction.delete(&table, &key).await?;
        }
        taken.push(Taken { index: *index, table, key, before });
    }
    Ok(taken)
}

/// Leaves rows as they were before they were taken away.
async fn put_back(transaction: &mut dyn TableTransaction, taken: &[Taken]) -> Result<()> {
    for Taken { table, key, .. } in taken {
        transaction.delete(table, key).await?;
    }
    for Taken { table, before, .. } in taken {
        if let Some(before) = before {
            transaction.upsert(table, std::slice::from_ref(before)).await?;
        }
    }
    Ok(())
}

fn is_taken(outcome: Result<()>) -> Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.kind().is_row_level() => Ok(false),
        Err(error) => Err(error),
    }
}

impl Tangled<'_> {
    /// The table with everything that a row of it holds.
    fn whole_table(&self) -> Arc<Table> {
        match self.is_document {
            true => Arc::new(self.table.as_ref().clone().with_rest(FURTHER_FIELDS)),
            false => Arc::clone(self.table),
        }
    }

    /// The row with what the one before it holds beyond the values that are known; nothing, if there is none that it needs, or
    /// one where there must be none.
    fn over(&self, whole: &Table, before: Option<&Row>) -> Option<Row> {
        let is_hindered =
            if self.is_new { before.is_some() } else { before.is_none() && !self.missing.is_empty() };
        if is_hindered {
            return None;
        }
        let value = |(position, column): (usize, &TableColumn)| {
            let own = self.table.position(&column.name).filter(|own| !self.missing.contains(own));
            match own {
                Some(own) => self.row.get(own).cloned(),
                None => before.and_then(|before| before.get(position)).cloned(),
            }
        };
        Some(whole.columns.iter().enumerate().map(|place| value(place).unwrap_or_default()).collect())
    }
}
