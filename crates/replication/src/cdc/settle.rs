//! What becomes of rows that the target refused: they are tried once more when the rest of the transaction is in place, and
//! else set aside.

use data::table::TableTransaction;
use data::{ErrorKind, Result};
use indexmap::IndexMap;

use super::apply::{Applier, Refused, RefusedRow};
use super::event::RowOperation;
use super::isolate::{Call, Prepared, write_rows};
use crate::untangle::{Tangled, may_be_rewritten, untangle};

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

    /// Takes rows away that keep each other from being changed, and writes them then; what is refused still.
    async fn untangle(
        &mut self,
        transaction: &mut dyn TableTransaction,
        refused: IndexMap<String, Refused>,
    ) -> Result<IndexMap<String, Refused>> {
        let (tangled, mut rest): (IndexMap<_, _>, IndexMap<_, _>) =
            refused.into_iter().partition(|(_, refused)| self.is_tangled(refused));
        let rows = tangled.values().filter_map(|refused| {
            let (route, RefusedRow::Target(row)) = (self.routes.list.get(refused.route)?, &refused.what)
            else {
                return None;
            };
            Some(Tangled {
                table: &route.collection.mapping.target,
                is_document: route.collection.target.is_schemaless(),
                key: &row.key,
                row: &row.row,
                missing: &row.missing,
                is_new: false,
            })
        });
        let is_written = untangle(transaction, &rows.collect::<Vec<_>>()).await?;
        for ((id, refused), is_written) in tangled.into_iter().zip(is_written) {
            match &refused.what {
                RefusedRow::Target(row) if is_written => {
                    self.count_retried(refused.route, Call::Upsert, 1, row.is_new);
                }
                _ => drop(rest.insert(id, refused)),
            }
        }
        Ok(rest)
    }

    fn is_tangled(&self, refused: &Refused) -> bool {
        let (Some(route), RefusedRow::Target(_)) = (self.routes.list.get(refused.route), &refused.what)
        else {
            return false;
        };
        let references =
            self.routes.list.iter().flat_map(|route| &route.collection.mapping.target.references);
        refused.error.kind() == ErrorKind::UniqueViolation
            && refused.operation != RowOperation::Delete
            && may_be_rewritten(&route.collection.target, &route.collection.mapping, references)
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
