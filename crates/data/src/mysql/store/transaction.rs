//! Transactions in which replication changes the rows of several tables.

use std::sync::Arc;

use async_trait::async_trait;

use super::super::error::ended_the_transaction;
use super::super::pool::{Link, Pooled};
use super::super::session::{execute_on, fetch_on};
use super::super::syntax::quote;
use super::described::DescribedTables;
use super::keys::Lookup;
use super::stored::StoredTable;
use super::write::Writing;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::Discriminator;
use crate::sql::Access;
use crate::table::{Row, RowBatch, RowPatch, Table, TableTransaction};
use crate::value::Value;

/// A new savepoint of the same name takes the place of the one of the last call.
const SAVEPOINT: &str = "SAVEPOINT replicaverse_call";
const UNDO: &str = "ROLLBACK TO SAVEPOINT replicaverse_call";

/// A transaction on a connection of the pool, in which foreign keys do not count: rows come and go in the order of the
/// source, whose own keys have seen to them.
pub(super) struct StoreTransaction {
    writing: Writing,
    described: Arc<DescribedTables>,
    /// Whether a call has not come to its end, or the server has ended the transaction. What is run then would be made
    /// permanent at once.
    is_lost: bool,
}

impl StoreTransaction {
    pub(super) async fn begin(link: Pooled, described: Arc<DescribedTables>) -> Result<Self> {
        Ok(Self { writing: Writing::begin(link, true).await?, described, is_lost: false })
    }

    fn check(&self) -> Result<()> {
        if self.is_lost {
            let message = "the database has ended the transaction after an error; start it again";
            return Err(Error::new(ErrorKind::Transaction, message));
        }
        Ok(())
    }

    /// Begins a call, which counts as failed until [`end`](Self::end).
    async fn start<'t>(&mut self, table: &'t Table) -> Result<StoredTable<'t>> {
        self.check()?;
        let stored = self.described.stored(self.writing.link(), table).await?;
        self.is_lost = true;
        self.writing.link().run(SAVEPOINT).await?;
        Ok(stored)
    }

    /// Ends a call, one that has failed by undoing it.
    async fn end<T>(&mut self, table: &Table, result: Result<T>) -> Result<T> {
        match &result {
            Ok(_) => self.is_lost = false,
            Err(error) => {
                if !error.kind().is_row_level() {
                    // Its columns may have changed.
                    self.described.forget(&table.name);
                }
                let is_over = ended_the_transaction(error) || self.writing.link().is_lost();
                self.is_lost = is_over || self.writing.link().run(UNDO).await.is_err();
            }
        }
        result
    }
}

#[async_trait]
impl TableTransaction for StoreTransaction {
    async fn fetch(&mut self, table: &Table, keys: &[Vec<Value>]) -> Result<Vec<Row>> {
        table.require_key()?;
        let stored = self.start(table).await?;
        let fetched = fetch(self.writing.link(), &stored, keys).await;
        self.end(table, fetched).await
    }

    async fn insert(&mut self, table: &Table, batch: &RowBatch) -> Result<()> {
        let stored = self.start(table).await?;
        let written = self.writing.insert_batch(&stored, batch).await;
        self.end(table, written).await
    }

    async fn upsert(&mut self, table: &Table, rows: &[Row]) -> Result<()> {
        table.require_key()?;
        let stored = self.start(table).await?;
        let written = self.writing.upsert(&stored, rows).await;
        self.end(table, written).await
    }

    async fn patch(&mut self, table: &Table, patches: &[RowPatch]) -> Result<u64> {
        table.require_key()?;
        let stored = self.start(table).await?;
        let found = patch(self.writing.link(), &stored, patches).await;
        self.end(table, found).await
    }

    async fn delete(&mut self, table: &Table, keys: &[Vec<Value>]) -> Result<u64> {
        table.require_key()?;
        let stored = self.start(table).await?;
        let deleted = self.writing.delete(&stored, keys).await;
        self.end(table, deleted).await
    }

    /// TRUNCATE would end the transaction.
    async fn truncate(&mut self, table: &Table) -> Result<Option<u64>> {
        self.start(table).await?;
        let deleted = self.writing.link().run(&format!("DELETE FROM {}", quote(&table.name))).await;
        self.end(table, deleted).await.map(Some)
    }

    async fn delete_part(&mut self, table: &Table, part: &Discriminator) -> Result<u64> {
        self.start(table).await?;
        let sql = format!("DELETE FROM {} WHERE {} = ?", quote(&table.name), quote(&part.column));
        let value = [Value::from(part.value.as_str())];
        let deleted = execute_on(self.writing.link(), Access::Write, &sql, &value).await;
        self.end(table, deleted).await
    }

    async fn delete_beginning(&mut self, table: &Table, beginning: &Discriminator) -> Result<u64> {
        self.start(table).await?;
        let sql = format!(
            "DELETE FROM {} WHERE LEFT({}, {}) = ? COLLATE utf8mb4_bin",
            quote(&table.name),
            quote(&beginning.column),
            beginning.value.chars().count()
        );
        let value = [Value::from(beginning.value.as_str())];
        let deleted = execute_on(self.writing.link(), Access::Write, &sql, &value).await;
        self.end(table, deleted).await
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.check()?;
        self.writing.end(Ok(())).await
    }

    /// On a lost connection the server rolls back.
    async fn rollback(self: Box<Self>) -> Result<()> {
        if self.is_lost { Ok(()) } else { self.writing.roll_back().await }
    }
}

/// The rows with these keys, which nobody else may change any more.
async fn fetch(link: &mut Link, stored: &StoredTable<'_>, keys: &[Vec<Value>]) -> Result<Vec<Row>> {
    let select = format!("SELECT {} FROM {} WHERE ", stored.selection(), quote(&stored.table.name));
    let mut rows = Vec::with_capacity(keys.len());
    for lookup in Lookup::of(stored, keys, link.server().kind) {
        let sql = format!("{select}{} FOR UPDATE", lookup.condition);
        let found = fetch_on(link, Access::Write, &sql, &lookup.params).await?.rows;
        rows.extend(found.into_iter().map(|row| stored.declare(row)));
    }
    Ok(rows)
}

/// Changes rows one by one; how many of them exist.
async fn patch(link: &mut Link, stored: &StoredTable<'_>, patches: &[RowPatch]) -> Result<u64> {
    let mut found = 0;
    for patch in patches {
        let (mut assignments, mut params) = (Vec::new(), Vec::new());
        for (position, value) in &patch.values {
            let Some(column) = stored.columns.get(*position).filter(|column| !column.declared.generated)
            else {
                continue;
            };
            assignments.push(format!("{} = {}", quote(&column.declared.name), column.placeholder(false)));
            params.push(column.bound(value).into_owned());
        }
        // Nothing is to change, and the row is only to be counted.
        if let (true, Some(column)) = (assignments.is_empty(), stored.key().first()) {
            assignments.push(format!("{0} = {0}", quote(&column.declared.name)));
        }
        for lookup in Lookup::of(stored, std::slice::from_ref(&patch.key), link.server().kind) {
            let (table, assignments) = (quote(&stored.table.name), assignments.join(", "));
            let sql = format!("UPDATE {table} SET {assignments} WHERE {}", lookup.condition);
            params.extend(lookup.params);
            found += execute_on(link, Access::Write, &sql, &params).await?;
        }
    }
    Ok(found)
}
