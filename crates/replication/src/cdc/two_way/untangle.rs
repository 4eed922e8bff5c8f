//! Rows that stand in each other's way, because they have exchanged values of a unique index.

use data::ErrorKind;
use data::table::TableTransaction;

use super::Exchange;
use super::side::Which;
use super::write::Refusal;
use crate::cdc::isolate::Call;
use crate::untangle::{Tangled, may_be_rewritten, untangle};

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

    /// Takes rows away that keep each other from being changed, and writes them then; what is refused still.
    async fn untangle(
        &self,
        transaction: &mut dyn TableTransaction,
        which: Which,
        refused: Vec<Refusal>,
    ) -> data::Result<Vec<Refusal>> {
        let (tangled, mut rest): (Vec<_>, Vec<_>) =
            refused.into_iter().partition(|refusal| self.is_tangled(which, refusal));
        let rows = tangled.iter().filter_map(|refusal| {
            Some(Tangled {
                table: which.written_table(self.pairs.get(refusal.index)?),
                is_document: self.side(which).end.is_schemaless(),
                key: &refusal.row.key,
                row: &refusal.row.row,
                missing: &refusal.row.missing,
                is_new: false,
            })
        });
        let is_written = untangle(transaction, &rows.collect::<Vec<_>>()).await?;
        let left = tangled.into_iter().zip(is_written).filter(|(_, is_written)| !is_written);
        rest.extend(left.map(|(refusal, _)| refusal));
        Ok(rest)
    }

    fn is_tangled(&self, which: Which, refusal: &Refusal) -> bool {
        let Some(pair) = self.pairs.get(refusal.index) else { return false };
        let mapping = if which == Which::Source { &pair.to_source.mapping } else { &pair.to_target.mapping };
        let references = self.pairs.iter().flat_map(|other| &which.written_table(other).references);
        matches!(refusal.call, Call::Upsert | Call::Patch)
            && refusal.error.kind() == ErrorKind::UniqueViolation
            && may_be_rewritten(&self.side(which).end, mapping, references)
    }
}
