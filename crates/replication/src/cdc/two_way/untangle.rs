//! Rows that stand in each other's way, because they have exchanged values of a unique index.

use data::ErrorKind;
use data::table::TableTransaction;

use super::Exchange;
use super::side::Which;
use super::write::Refusal;
use crate::cdc::isolate::Call;

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
            let (table, keys) = (which.written_table(pair), [refusal.row.key.clone()]);
            before.push((table, keys.clone(), transaction.fetch(table, &keys).await?));
            transaction.delete(table, &keys).await?;
        }
        let mut again = Vec::new();
        for Refusal { index, call, row, .. } in &tangled {
            self.put(transaction, which, *index, *call, vec![row.clone()], &mut again).await?;
        }
        if again.is_empty() {
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

    /// Whether a row may be taken away and written again: nothing of it is known to this side alone, and no other table of the rule
    /// refers to it, whose rows might go with it.
    fn is_tangled(&self, which: Which, refusal: &Refusal) -> bool {
        let Some(pair) = self.pairs.get(refusal.index) else { return false };
        let mapping = if which == Which::Source { &pair.to_source.mapping } else { &pair.to_target.mapping };
        let mut references = self.pairs.iter().flat_map(|other| &which.written_table(other).references);
        refusal.call == Call::Upsert
            && refusal.error.kind() == ErrorKind::UniqueViolation
            && !mapping.target_has_own_columns
            && !references.any(|name| *name == mapping.target.name)
    }
}
