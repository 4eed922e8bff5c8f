//! Writing a group of changes into a transaction of the target.

use data::log::Position;
use data::table::{Row, TableTransaction};
use data::{Result, Timestamp, Value};
use indexmap::IndexMap;

use super::coalesce::RowChanges;
use super::conflict::Existing;
use super::control_tables::ControlTables;
use super::dead_letter::{Content, DeadLetter, Letters};
use super::event::RowOperation;
use super::isolate::{Call, Outcome, Prepared, count, write_rows, write_whole};
use super::prepare::Ready;
use super::routes::{Route, Routes};
use crate::error::Error;
use crate::rule::{OnRowError, Rule};
use crate::snapshot::key_text;
use crate::stats::CollectionStats;

/// How many refused rows a transaction keeps in memory before they are settled.
const WAITING_REFUSED: usize = 1000;

/// Applies groups of changes within one transaction of the target.
pub(super) struct Applier<'a> {
    pub(super) routes: &'a Routes,
    pub(super) control: &'a ControlTables,
    pub(super) letters: &'a mut Letters,
    /// What the transaction has done so far.
    pub(super) work: Work,
    /// Where in the log the changes lie.
    pub(super) position: Position,
}

/// What a transaction has done so far.
pub(super) struct Work {
    /// For each collection.
    pub(super) stats: Vec<CollectionStats>,
    /// Rows that were refused, by the ids of their letters; they are tried again before the end.
    pub(super) refused: IndexMap<String, Refused>,
}

impl Work {
    pub(super) fn none(routes: &Routes) -> Self {
        Self { stats: routes.no_stats(), refused: IndexMap::new() }
    }

    /// Fails if rows were refused for good and the rule is to stop then.
    pub(super) fn check(&self, rule: &Rule) -> crate::error::Result<()> {
        let failed = self.stats.iter().find_map(|stats| Some((stats, stats.failures.first()?)));
        match failed.filter(|_| rule.on_row_error == OnRowError::Stop) {
            Some((stats, failure)) => Err(Error::RowRefused {
                rule: rule.name.clone(),
                collection: stats.collection.clone(),
                key: failure.key.clone(),
                reason: failure.reason.clone(),
            }),
            None => Ok(()),
        }
    }
}

/// A row that the target refused, or that does not fit it.
pub(super) struct Refused {
    pub(super) route: usize,
    pub(super) operation: RowOperation,
    pub(super) source_key: Vec<Value>,
    pub(super) what: RefusedRow,
    pub(super) error: data::Error,
}

/// What there is of a refused row.
pub(super) enum RefusedRow {
    /// It could not be brought into the types of the target.
    Source(Row),
    /// The target refused it.
    Target(Prepared),
    /// No change told the whole row.
    Lost,
}

impl<'a> Applier<'a> {
    pub(super) fn new(
        routes: &'a Routes,
        control: &'a ControlTables,
        letters: &'a mut Letters,
        work: Work,
        position: Position,
    ) -> Self {
        Self { routes, control, letters, work, position }
    }

    /// Writes changes, given for each collection: deletes children before parents, then rows parents before children.
    pub(super) async fn apply(
        &mut self,
        transaction: &mut dyn TableTransaction,
        changes: &mut [RowChanges],
    ) -> Result<()> {
        let routes = self.routes;
        let mut ready = Vec::with_capacity(changes.len());
        for (index, (route, changes)) in routes.list.iter().zip(changes.iter_mut()).enumerate() {
            let changes = std::mem::take(changes);
            ready.push(match changes.is_empty() {
                true => (false, Ready::default()),
                false => (changes.truncated, self.prepare(transaction, index, route, changes).await?),
            });
        }
        for (index, route) in routes.list.iter().enumerate().rev() {
            let Some((truncated, ready)) = ready.get_mut(index) else { continue };
            if *truncated {
                let mapping = &route.collection.mapping;
                let deleted = match (mapping.part_of_target(), mapping.beginning_of_keys()) {
                    (Some(mark), _) => Some(transaction.delete_part(&mapping.target, mark).await?),
                    (None, Some(beginning)) => {
                        Some(transaction.delete_beginning(&mapping.target, &beginning).await?)
                    }
                    (None, None) => transaction.truncate(&mapping.target).await?,
                };
                if let Some(stats) = self.work.stats.get_mut(route.stats) {
                    stats.deleted += deleted.unwrap_or(0);
                }
                self.letters.remove_all(transaction, &self.control.dead_letter, route.label()).await?;
            }
            self.delete(transaction, index, route, std::mem::take(&mut ready.deletes)).await?;
        }
        for (index, (route, (_, ready))) in routes.list.iter().zip(ready).enumerate() {
            self.write(transaction, index, route, ready.upserts).await?;
            self.patch(transaction, index, route, ready.patches).await?;
        }
        if self.work.refused.len() > WAITING_REFUSED {
            self.settle(transaction).await?;
        }
        Ok(())
    }

    pub(super) async fn delete(
        &mut self,
        transaction: &mut dyn TableTransaction,
        index: usize,
        route: &Route,
        keys: Vec<Prepared>,
    ) -> Result<()> {
        let outcome = write_rows(transaction, &route.collection.mapping.target, Call::Delete, keys).await?;
        if let Some(stats) = self.work.stats.get_mut(route.stats) {
            stats.deleted += outcome.rows;
        }
        self.refuse_all(index, RowOperation::Delete, outcome.refused);
        Ok(())
    }

    async fn write(
        &mut self,
        transaction: &mut dyn TableTransaction,
        index: usize,
        route: &Route,
        rows: Vec<Prepared>,
    ) -> Result<()> {
        let target = &route.collection.mapping.target;
        let outcome = write_whole(transaction, target, &route.takes_inserts, rows).await?;
        self.count_written(route, &outcome.done);
        self.refuse_all(index, RowOperation::Update, outcome.refused);
        Ok(())
    }

    /// Changes the columns that are known. Rows that the target lacks are read whole at the source.
    async fn patch(
        &mut self,
        transaction: &mut dyn TableTransaction,
        index: usize,
        route: &Route,
        rows: Vec<Prepared>,
    ) -> Result<()> {
        let target = &route.collection.mapping.target;
        let Outcome { mut done, rows: existed, refused } =
            write_rows(transaction, target, Call::Patch, rows).await?;
        self.refuse_all(index, RowOperation::Update, refused);
        if existed < count(done.len()) {
            let keys: Vec<_> = done.iter().map(|row| row.key.clone()).collect();
            let existing = Existing::fetch(transaction, &route.collection.mapping, &keys).await?;
            let (there, missing) = done.into_iter().partition(|row| existing.row(&row.key).is_some());
            done = there;
            let missing: Vec<Prepared> = missing;
            let lost = missing.into_iter().map(|row| (row.source_key, true)).collect();
            let mut ready = Ready::default();
            self.complete(index, route, lost, &mut ready).await?;
            self.write(transaction, index, route, ready.upserts).await?;
        }
        self.count_written(route, &done);
        Ok(())
    }

    pub(super) fn count_written(&mut self, route: &Route, rows: &[Prepared]) {
        let Some(stats) = self.work.stats.get_mut(route.stats) else { return };
        let created = count(rows.iter().filter(|row| row.is_new).count());
        stats.created += created;
        stats.updated += count(rows.len()) - created;
    }

    pub(super) fn refuse(&mut self, refused: Refused) {
        let Some(route) = self.routes.list.get(refused.route) else { return };
        let id = self.letters.id(route.label(), &refused.source_key);
        self.work.refused.insert(id, refused);
    }

    pub(super) fn refuse_all(
        &mut self,
        route: usize,
        operation: RowOperation,
        refused: Vec<(Prepared, data::Error)>,
    ) {
        for (row, error) in refused {
            let operation = if row.is_new { RowOperation::Insert } else { operation };
            let source_key = row.source_key.clone();
            self.refuse(Refused { route, operation, source_key, what: RefusedRow::Target(row), error });
        }
    }

    /// The letter of a refused row.
    pub(super) fn letter(&self, id: String, refused: Refused) -> Option<DeadLetter> {
        let route = self.routes.list.get(refused.route)?;
        let mapping = &route.collection.mapping;
        let content = match refused.what {
            RefusedRow::Source(row) => Content::Source(Content::columns(&mapping.source, &row, &[])),
            RefusedRow::Lost => Content::Lost(refused.source_key.clone()),
            RefusedRow::Target(row) if refused.operation == RowOperation::Delete => Content::Key(row.key),
            RefusedRow::Target(row) => {
                Content::Target(Content::columns(&mapping.target, &row.row, &row.missing))
            }
        };
        let now = Timestamp::now();
        Some(DeadLetter {
            id,
            collection: route.label().to_owned(),
            row_key: key_text(&refused.source_key),
            operation: refused.operation,
            content,
            error_code: refused.error.code().to_owned(),
            error: refused.error.to_string(),
            position: self.position.order,
            attempts: 1,
            first_at: now,
            last_at: now,
        })
    }
}
