//! The way of a batch from its source to its target: as tuples, packed, or value by value.

use data::Result;
use data::table::{Packing, RowBatch, TableStore};

use super::Collection;
use crate::stats::CollectionStats;

/// How tuples of PostgreSQL pass to the target.
pub(crate) enum Passage {
    /// As they are.
    AsTuples,
    /// In the form in which the target stores them.
    Packed(Packing),
    /// As values, each of which is looked at.
    AsValues,
}

impl Passage {
    /// The way that needs the least work.
    pub(crate) fn of(collection: &Collection) -> Result<Self> {
        let (mapping, target) = (&collection.mapping, collection.target.tables()?);
        // What the target holds already is compared value by value.
        if !collection.fresh {
            return Ok(Self::AsValues);
        }
        if mapping.takes_tuples(target) {
            return Ok(Self::AsTuples);
        }
        Ok(mapping.packing(target).map_or(Self::AsValues, Self::Packed))
    }

    /// How many rows are read at a time. Those that are packed take so little memory that a batch may be as large as the
    /// source makes it.
    pub(crate) fn batch_rows(&self, target: &dyn TableStore) -> Option<usize> {
        match self {
            Self::Packed(_) => None,
            Self::AsTuples | Self::AsValues => target.batch_rows(),
        }
    }

    /// Packs a batch, if it is to be packed and can be.
    pub(crate) fn pack(&self, batch: RowBatch) -> RowBatch {
        match self {
            Self::Packed(packing) => packing.pack(batch),
            Self::AsTuples | Self::AsValues => batch,
        }
    }

    /// Brings a batch into the form in which it is written. Rows that do not fit are counted as failed.
    pub(super) fn prepare(
        &self,
        collection: &Collection,
        batch: RowBatch,
        stats: &mut CollectionStats,
    ) -> Result<RowBatch> {
        Ok(match (self, self.pack(batch)) {
            (Self::AsTuples, tuples @ RowBatch::PgBinary { .. }) => tuples,
            (_, packed @ RowBatch::Packed(_)) => packed,
            (_, batch) => RowBatch::Rows(collection.mapping.convert(batch.into_rows()?, stats)),
        })
    }
}
