//! Rows of a target that its source does not have, when everything has been copied: those that the rule had brought and that were
//! deleted unseen are deleted; the others are kept and told of, as the source may never have had them.

use std::collections::{HashMap, HashSet};

use super::checkpoint::Phase;
use super::isolate::{Call, Prepared, write_rows};
use super::provenance::{Orphan, brought, copied, is_told, survey};
use super::run::{Session, check_fence};
use crate::error::{Error, Result};
use crate::rule::ConflictResolution;
use crate::snapshot::{key_text, orphans_among};
use crate::stats::CollectionStats;

const UNKNOWN_TO_SOURCE: &str = "the source does not have this row; it is kept, as it may never have had it";

/// How many rows are deleted in one transaction.
const DELETED_AT_ONCE: usize = 1000;

/// What is about to be copied.
pub(super) struct Copied {
    /// The tables of which some rows are.
    pub(super) tables: HashSet<String>,
    /// Those of which all are.
    whole: HashSet<String>,
    /// Of the collections of which it can be told, the rows that were deleted unseen.
    deleted_unseen: HashMap<usize, Vec<Orphan>>,
}

impl Session {
    /// Looks, before anything is copied, which rows of the target were deleted at the source unseen.
    pub(super) async fn before_copy(&self) -> Result<Copied> {
        let mut tables: HashSet<String> =
            self.chunks.iter().filter(|chunk| !chunk.is_copied).map(|chunk| chunk.table.clone()).collect();
        if self.checkpoint.phase == Phase::Copy {
            // Some may have been copied before the copy was broken off.
            tables.extend(self.own_rows_before.keys().cloned());
        }
        let begun = self.chunks.iter().filter(|chunk| chunk.is_copied).map(|chunk| chunk.table.as_str());
        let begun: HashSet<&str> = begun.collect();
        let whole = tables.iter().filter(|table| !begun.contains(table.as_str())).cloned().collect();
        let mut deleted_unseen = HashMap::new();
        for (index, route) in self.routes.list.iter().enumerate() {
            let Some(own) = self.own_rows_before.get(&route.captured.name) else { continue };
            if tables.contains(&route.captured.name) && !route.collection.fresh && is_told(route) {
                let found = survey(&route.collection, true, |_| {}).await.map_err(self.in_rule())?;
                deleted_unseen.extend(brought(own, found).map(|rows| (index, rows)));
            }
        }
        Ok(Copied { tables, whole, deleted_unseen })
    }

    /// Deletes what was deleted unseen, counts what else the source does not have, and takes stock of what the rule has brought.
    pub(super) async fn after_copy(&mut self, done: &Copied, stats: &mut [CollectionStats]) -> Result<()> {
        // Children before parents.
        for index in (0..self.routes.list.len()).rev() {
            if let Some(rows) = done.deleted_unseen.get(&index) {
                self.delete_unseen(index, rows, stats).await?;
            }
        }
        let keeps = self.keeps_own_rows();
        let mut kept = 0;
        for (index, route) in self.routes.list.iter().enumerate() {
            let table = &route.captured.name;
            let Some(stats) = stats.get_mut(route.stats).filter(|_| done.tables.contains(table)) else {
                continue;
            };
            let takes_stock = keeps && is_told(route) && done.whole.contains(table) && stats.errors == 0;
            let is_fresh = route.collection.fresh;
            if is_fresh && !takes_stock {
                continue;
            }
            let rows = stats.created + stats.updated + stats.skipped;
            let looks_up = !is_fresh;
            let told = |key: &[data::Value]| stats.skip(key_text(key), UNKNOWN_TO_SOURCE);
            let found = survey(&route.collection, looks_up, told)
                .await
                .map_err(Error::database_in(format!("rule \"{}\"", self.rule.name)))?;
            if !done.deleted_unseen.contains_key(&index) {
                kept += found.orphans();
            }
            match copied(&found, rows).filter(|_| takes_stock) {
                Some(own) => self.checkpoint.own_rows.insert(table.clone(), own),
                None => self.checkpoint.own_rows.shift_remove(table),
            };
        }
        let was_replaced = self.shared.takes_replacement() | std::mem::take(&mut self.has_replaced_tables);
        if was_replaced && kept > 0 {
            self.shared.tell_of_kept_rows(kept);
        }
        Ok(())
    }

    /// Whether it is kept with the checkpoint which rows the rule has brought.
    pub(super) fn keeps_own_rows(&self) -> bool {
        // Whether a row is newer than its deletion cannot be told of one that was deleted unseen.
        self.shared.keeps_own_rows() && self.rule.conflict_resolution != ConflictResolution::Timestamp
    }

    async fn delete_unseen(
        &self,
        index: usize,
        rows: &[Orphan],
        stats: &mut [CollectionStats],
    ) -> Result<()> {
        let Some(route) = self.routes.list.get(index) else { return Ok(()) };
        let Some(stats) = stats.get_mut(route.stats) else { return Ok(()) };
        let mapping = &route.collection.mapping;
        for rows in rows.chunks(DELETED_AT_ONCE) {
            let keys = rows.iter().map(|row| row.key.clone()).collect();
            // Some may have been inserted again.
            let gone =
                orphans_among(mapping, &route.collection.source, keys).await.map_err(self.in_rule())?;
            let mut transaction = self.lease.begin().await.map_err(self.in_rule())?;
            check_fence(&self.rule.name, transaction.as_mut(), &self.control, &self.checkpoint).await?;
            let gone = gone.into_iter().map(Prepared::key_only).collect();
            let outcome = write_rows(transaction.as_mut(), &mapping.target, Call::Delete, gone).await;
            let outcome = outcome.map_err(self.in_rule())?;
            transaction.commit().await.map_err(self.in_rule())?;
            stats.deleted += outcome.rows;
            for (row, error) in outcome.refused {
                stats.fail(key_text(&row.key), error.to_string());
            }
        }
        Ok(())
    }
}
