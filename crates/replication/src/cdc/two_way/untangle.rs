//! Rows that stand in each other's way, because they have exchanged values of a unique index.

use std::sync::Arc;

use data::ErrorKind;
use data::table::{Row, Table, TableColumn, TableTransaction};

use super::Exchange;
use super::side::Which;
use super::write::Refusal;
use crate::bidirectional::Pair;
use crate::cdc::isolate::{Call, Prepared, write_rows};

/// The column of fields that the rule does not know; no field is called so.
const FURTHER_FIELDS: &str = "$rest";

impl Exchange {
    /// Writes refused rows until none is taken any more: the one that stood in the way may have moved by now, or moves when those
    /// that have exchanged their values are taken away first. What is refused still.
    pub(super) async fn retry(
        &self,
        transaction: &mut dyn TableTransaction,
        which: Which,
        mut refused: Vec<Refusal>,
    ) -> data::Result<Vec<Refusal>> {
        let mut is_untangled = false;
        loop {
            let before = refused.len();
            for Refusal { index, call, row, .. } in std::mem::take(&mut refused) {
                self.put(transaction, which, index, call, vec![row], &mut refused).await?;
            }
            if refused.is_empty() || (refused.len() == before && is_untangled) {
                return Ok(refused);
            }
            if refused.len() == before {
                refused = self.untangle(transaction, which, refused).await?;
                is_untangled = true;
            }
        }
    }

    /// Takes rows away that keep each other from being changed, and writes them then. If one is refused even so, all of them are
    /// left as they were.
    async fn untangle(
        &self,
        transaction: &mut dyn TableTransaction,
        which: Which,
        refused: Vec<Refusal>,
    ) -> data::Result<Vec<Refusal>> {
        let (tangled, mut rest): (Vec<_>, Vec<_>) =
            refused.into_iter().partition(|refusal| self.is_tangled(which, refusal));
        if tangled.len() < 2 {
            rest.extend(tangled);
            return Ok(rest);
        }
        let mut before = Vec::with_capacity(tangled.len());
        for refusal in &tangled {
            let Some(pair) = self.pairs.get(refusal.index) else { continue };
            let (table, keys) = (self.whole_table(which, pair), [refusal.row.key.clone()]);
            let rows = transaction.fetch(&table, &keys).await?;
            transaction.delete(&table, &keys).await?;
            before.push((table, keys, rows));
        }
        let mut refused = 0;
        for (refusal, (table, _, rows)) in tangled.iter().zip(&before) {
            let Some(pair) = self.pairs.get(refusal.index) else { continue };
            let again = vec![changed(refusal, which.written_table(pair), table, rows.first())];
            refused += write_rows(transaction, table, Call::Upsert, again).await?.refused.len();
        }
        if refused == 0 {
            return Ok(rest);
        }
        for (table, keys, _) in &before {
            transaction.delete(table, keys).await?;
        }
        for (table, _, rows) in before.iter().filter(|(_, _, rows)| !rows.is_empty()) {
            transaction.upsert(table, rows).await?;
        }
        rest.extend(tangled);
        Ok(rest)
    }

    /// The table with everything that a row of it holds: documents may have fields that the rule does not know.
    fn whole_table(&self, which: Which, pair: &Pair) -> Arc<Table> {
        let table = which.written_table(pair);
        match self.side(which).end.is_schemaless() {
            true => Arc::new(table.as_ref().clone().with_rest(FURTHER_FIELDS)),
            false => Arc::clone(table),
        }
    }

    /// Whether a row may be taken away and written again: nothing of it would be lost, and no other table of the rule refers to it,
    /// whose rows might go with it.
    fn is_tangled(&self, which: Which, refusal: &Refusal) -> bool {
        let Some(pair) = self.pairs.get(refusal.index) else { return false };
        let mapping = if which == Which::Source { &pair.to_source.mapping } else { &pair.to_target.mapping };
        let mut references = self.pairs.iter().flat_map(|other| &which.written_table(other).references);
        let is_whole = self.side(which).end.is_schemaless() || !mapping.target_has_own_columns;
        matches!(refusal.call, Call::Upsert | Call::Patch)
            && refusal.error.kind() == ErrorKind::UniqueViolation
            && is_whole
            && !references.any(|name| *name == mapping.target.name)
    }
}

/// The row that was refused, with what the one before it holds beyond the columns that are written.
fn changed(refusal: &Refusal, written: &Table, whole: &Table, before: Option<&Row>) -> Prepared {
    let value = |(position, column): (usize, &TableColumn)| match written.position(&column.name) {
        Some(own) => refusal.row.row.get(own).cloned(),
        None => before.and_then(|before| before.get(position)).cloned(),
    };
    let row = whole.columns.iter().enumerate().map(|place| value(place).unwrap_or_default()).collect();
    Prepared::whole(refusal.row.key.clone(), row)
}
