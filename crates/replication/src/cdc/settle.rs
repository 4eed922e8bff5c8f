//! What becomes of rows that the target refused: they are tried once more when the rest of the transaction is in place, and
//! else set aside.

use std::collections::HashSet;

use data::table::TableTransaction;
use data::{ErrorKind, Result};
use indexmap::IndexMap;

use super::apply::{Applier, Refused, RefusedRow};
use super::event::RowOperation;
use super::isolate::{Call, Prepared, write_rows};

impl Applier<'_> {
    /// Tries refused rows once more, and sets aside those that are refused again.
    pub(super) async fn settle(&mut self, transaction: &mut dyn TableTransaction) -> Result<()> {
        let mut refused = IndexMap::new();
        for (id, row) in std::mem::take(&mut self.work.refused) {
            if let Some(row) = self.retry(transaction, row).await? {
                refused.insert(id, row);
            }
        }
        let refused = self.untangle(transaction, refused).await?;
        let mut letters = Vec::with_capacity(refused.len());
        for (id, row) in refused {
            self.fail(&row);
            letters.extend(self.letter(id, row));
        }
        self.letters.store(transaction, &self.control.dead_letter, &letters).await
    }

    /// The row, if it is refused again.
    async fn retry(
        &mut self,
        transaction: &mut dyn TableTransaction,
        refused: Refused,
    ) -> Result<Option<Refused>> {
        let Refused { route: index, operation, source_key, what, .. } = refused;
        let (Some(route), RefusedRow::Target(row)) = (self.routes.list.get(index), &what) else {
            return Ok(Some(Refused { route: index, operation, source_key, what, error: refused.error }));
        };
        let call = call_of(operation, row);
        let target = &route.collection.mapping.target;
        let outcome = write_rows(transaction, target, call, vec![row.clone()]).await?;
        if let Some((row, error)) = outcome.refused.into_iter().next() {
            let what = RefusedRow::Target(row);
            return Ok(Some(Refused { route: index, operation, source_key, what, error }));
        }
        self.count_retried(index, call, outcome.rows, row.is_new);
        Ok(None)
    }

    fn count_retried(&mut self, route: usize, call: Call, rows: u64, is_new: bool) {
        let Some(stats) = self.routes.list.get(route).and_then(|route| self.work.stats.get_mut(route.stats))
        else {
            return;
        };
        match call {
            Call::Delete => stats.deleted += rows,
            _ if is_new => stats.created += 1,
            _ => stats.updated += 1,
        }
    }

    /// Rows that stand in each other's way, because they have exchanged values of a unique index, are deleted and then
    /// written. That is only done to whole rows of tables to which no other one of the rule refers, as deleting might take
    /// referring rows along.
    async fn untangle(
        &mut self,
        transaction: &mut dyn TableTransaction,
        refused: IndexMap<String, Refused>,
    ) -> Result<IndexMap<String, Refused>> {
        let referred: HashSet<&String> =
            self.routes.list.iter().flat_map(|route| &route.collection.mapping.target.references).collect();
        // Columns that only the target has would be lost with the row.
        let route_is_whole = |route: usize| {
            let route = self.routes.list.get(route);
            route.is_some_and(|route| !route.collection.mapping.target_has_own_columns)
        };
        let is_tangled = |refused: &Refused| {
            let RefusedRow::Target(row) = &refused.what else { return false };
            let target = self.routes.list.get(refused.route).map(|route| &route.collection.mapping.target);
            refused.error.kind() == ErrorKind::UniqueViolation
                && refused.operation != RowOperation::Delete
                && row.missing.is_empty()
                && route_is_whole(refused.route)
                && target.is_some_and(|target| !referred.contains(&target.name))
        };
        let (tangled, mut rest): (IndexMap<_, _>, IndexMap<_, _>) =
            refused.into_iter().partition(|(_, refused)| is_tangled(refused));
        if tangled.len() < 2 {
            rest.extend(tangled);
            return Ok(rest);
        }
        let mut own_rows = Vec::new();
        for refused in tangled.values() {
            let (Some(route), RefusedRow::Target(row)) = (self.routes.list.get(refused.route), &refused.what)
            else {
                continue;
            };
            let target = &route.collection.mapping.target;
            let keys = [row.key.clone()];
            own_rows.push(transaction.fetch(target, &keys).await?.into_iter().next());
            transaction.delete(target, &keys).await?;
        }
        for ((id, refused), own) in tangled.into_iter().zip(own_rows) {
            let Some(again) = self.retry(transaction, refused).await? else { continue };
            // What was there stays there. If its place is taken by now, the row that took it is the newer one.
            if let (Some(own), Some(route)) = (own, self.routes.list.get(again.route)) {
                let target = &route.collection.mapping.target;
                match transaction.upsert(target, &[own]).await {
                    Err(error) if !error.kind().is_row_level() => return Err(error),
                    _ => {}
                }
            }
            rest.insert(id, again);
        }
        Ok(rest)
    }

    fn fail(&mut self, refused: &Refused) {
        let Some(route) = self.routes.list.get(refused.route) else { return };
        if let Some(stats) = self.work.stats.get_mut(route.stats) {
            stats.fail(crate::snapshot::key_text(&refused.source_key), refused.error.to_string());
        }
    }
}

fn call_of(operation: RowOperation, row: &Prepared) -> Call {
    match operation {
        RowOperation::Delete => Call::Delete,
        _ if row.missing.is_empty() => Call::Upsert,
        _ => Call::Patch,
    }
}
