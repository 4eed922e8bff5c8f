//! Transactions in which replication changes the rows of several tables.

mod array;
mod statement;
mod target;

pub(super) use target::Targets;

use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use wire::{Connection, Param, QueryOptions, QueryResult, TransactionStatus};

use super::catalog::quoted;
use super::decode::decode;
use super::load;
use super::pool::{Pooled, roll_back_later};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::Discriminator;
use crate::table::{ColumnType, Row, RowBatch, RowPatch, Table, TableTransaction};
use crate::value::Value;
use statement::{Prepared, portions, size_of};
use target::Target;

const SAVEPOINT: &str = "SAVEPOINT replicaverse_call";
const RELEASE: &str = "RELEASE SAVEPOINT replicaverse_call";
const UNDO: &str = "ROLLBACK TO SAVEPOINT replicaverse_call; RELEASE SAVEPOINT replicaverse_call";
/// From so many rows on, COPY is faster than a statement with arrays.
const COPY_ROWS: usize = 200;
/// Up to what size the rows of a table are counted before it is truncated.
const COUNTED_BYTES: u32 = 64 << 20;

/// A transaction on a connection of the pool. Whatever begins it, and the savepoint around each call, is sent along with
/// the statements of the calls, so that it costs no round trip.
pub(super) struct ApplyTransaction {
    /// Gone after the end.
    connection: Option<Pooled>,
    targets: Arc<Targets>,
    /// What goes before the next statement.
    ahead: Vec<&'static str>,
    is_begun: bool,
    /// Whether a call has not come to its end, so that its changes may stand half done: the call was abandoned, or it could
    /// not be undone.
    is_torn: bool,
}

impl ApplyTransaction {
    /// A transaction that begins with its first call, before which `ahead` begins it.
    pub(super) fn new(connection: Pooled, targets: Arc<Targets>, ahead: Vec<&'static str>) -> Self {
        Self { connection: Some(connection), targets, ahead, is_begun: false, is_torn: false }
    }

    fn connection(&mut self) -> Result<&mut Connection> {
        if self.is_torn {
            let message = "a call of the transaction failed half-way and could not be undone; start it again";
            return Err(Error::new(ErrorKind::Transaction, message));
        }
        self.connection.as_deref_mut().ok_or_else(ended)
    }

    async fn target(&mut self, table: &Table) -> Result<Arc<Target>> {
        table.require_key()?;
        let targets = Arc::clone(&self.targets);
        targets.get(self.connection()?, table).await
    }

    /// Runs statements of which all take effect or none.
    async fn call(
        &mut self,
        table: &Table,
        count: usize,
        make: impl Fn(usize) -> Result<Prepared> + Send + Sync,
    ) -> Result<Vec<QueryResult>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let results = match self.attempt(count, &make).await {
            // The table has changed since the statement was prepared, which is forgotten now.
            Err(error) if is_outdated(&error) => self.attempt(count, &make).await,
            results => results,
        };
        if results.as_ref().is_err_and(|error| !error.kind().is_row_level()) {
            // Its columns may have changed.
            self.targets.forget(&table.name);
        }
        results
    }

    async fn attempt(
        &mut self,
        count: usize,
        make: &(impl Fn(usize) -> Result<Prepared> + Send + Sync),
    ) -> Result<Vec<QueryResult>> {
        self.connection()?;
        let mut results = Vec::with_capacity(count);
        for number in 0..count {
            let sent = match make(number) {
                Ok(prepared) => self.send(&prepared, number == 0, number + 1 == count).await,
                Err(error) => Err(error),
            };
            match sent {
                Ok(result) => results.extend(result),
                Err(error) => {
                    self.undo().await;
                    return Err(error);
                }
            }
        }
        Ok(results)
    }

    /// Runs one statement of a call. Until the last one has run, the call counts as torn.
    async fn send(
        &mut self,
        prepared: &Prepared,
        is_first: bool,
        is_last: bool,
    ) -> Result<Option<QueryResult>> {
        let ahead = std::mem::take(&mut self.ahead);
        let connection = self.connection.as_deref_mut().ok_or_else(ended)?;
        let mut batch: Vec<(&str, &[Param<'_>])> = Vec::with_capacity(ahead.len() + 3);
        batch.extend(ahead.iter().map(|sql| (*sql, &[][..])));
        if is_first {
            batch.push((SAVEPOINT, &[]));
        }
        let place = batch.len();
        batch.push((&prepared.sql, &prepared.parameters));
        if is_last {
            batch.push((RELEASE, &[]));
        }
        self.is_torn = true;
        let sent = connection.query_batch_with(&batch, &QueryOptions::binary()).await;
        let is_idle = connection.transaction_status() == TransactionStatus::Idle;
        match sent {
            Ok(mut results) => {
                self.is_begun = true;
                self.is_torn = !is_last;
                Ok((place < results.len()).then(|| results.swap_remove(place)))
            }
            // Nothing was sent, or the connection is lost.
            Err(failure) if is_idle => {
                self.ahead = ahead;
                Err(failure.error.into())
            }
            Err(failure) => {
                self.is_begun = true;
                Err(failure.error.into())
            }
        }
    }

    /// Undoes the call that has failed, so that the transaction can go on.
    async fn undo(&mut self) {
        let Some(connection) = self.connection.as_deref_mut() else { return };
        if connection.is_broken() || !self.is_torn {
            return;
        }
        if connection.transaction_status() == TransactionStatus::Idle {
            // Not even the savepoint was set.
            self.is_torn = self.is_begun;
            return;
        }
        match connection.simple_query(UNDO).await {
            Ok(_) => self.is_torn = false,
            Err(error) => {
                tracing::debug!(%error, "a failed call could not be undone; its transaction is lost")
            }
        }
    }

    /// Inserts a batch by COPY.
    async fn copy(&mut self, target: &Target, table: &Table, batch: &RowBatch) -> Result<()> {
        self.connection()?;
        let opening = Prepared { sql: SAVEPOINT.to_owned(), parameters: Vec::new() };
        if let Err(error) = self.send(&opening, false, false).await {
            self.undo().await;
            return Err(error);
        }
        let connection = self.connection.as_deref_mut().ok_or_else(ended)?;
        match load::insert(connection, &target.relation, table, batch).await {
            Ok(()) => {
                self.ahead.push(RELEASE);
                self.is_torn = false;
                Ok(())
            }
            Err(error) => {
                self.undo().await;
                if !error.kind().is_row_level() {
                    self.targets.forget(&table.name);
                }
                Err(error)
            }
        }
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Transaction, "the transaction has ended")
}

/// Whether a statement kept from before is the only thing that was wrong.
fn is_outdated(error: &Error) -> bool {
    match error.code() {
        "26000" => true,
        "0A000" => error.kind() == ErrorKind::Conflict,
        _ => false,
    }
}

fn affected(results: &[QueryResult]) -> u64 {
    results.iter().map(|result| result.rows_affected).sum()
}

#[async_trait]
impl TableTransaction for ApplyTransaction {
    async fn fetch(&mut self, table: &Table, keys: &[Vec<Value>]) -> Result<Vec<Row>> {
        let target = self.target(table).await?;
        let stored = target.stored(table);
        let selection = stored.selection();
        let portions = portions(keys, |key| size_of(key));
        let make =
            |number: usize| Ok(statement::fetch(&target, table, of(keys, &portions, number), &selection));
        let results = self.call(table, portions.len(), make).await?;
        if results.iter().any(|result| !target.reads(stored.table(), &result.columns)) {
            self.targets.forget(&table.name);
            let message = format!("the columns of table \"{}\" have changed; try again", table.name);
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let mut rows = Vec::with_capacity(keys.len());
        for row in results.iter().flat_map(|result| result.rows.iter()) {
            let values = row.iter().zip(&stored.table().columns).map(|(field, column)| {
                field.map_or(Ok(Value::Null), |field| decode(&column.column_type, field))
            });
            rows.push(values.collect::<Result<Row>>()?);
        }
        Ok(stored.declare(rows))
    }

    async fn insert(&mut self, table: &Table, batch: &RowBatch) -> Result<()> {
        let targets = Arc::clone(&self.targets);
        let target = targets.get(self.connection()?, table).await?;
        match batch {
            RowBatch::Rows(rows) if rows.len() < COPY_ROWS => {
                let portions = portions(rows, |row| size_of(row));
                let make =
                    |number: usize| statement::insert(&target, table, of(rows, &portions, number), false);
                self.call(table, portions.len(), make).await.map(drop)
            }
            batch => self.copy(&target, table, batch).await,
        }
    }

    async fn upsert(&mut self, table: &Table, rows: &[Row]) -> Result<()> {
        let target = self.target(table).await?;
        let portions = portions(rows, |row| size_of(row));
        let make = |number: usize| statement::insert(&target, table, of(rows, &portions, number), true);
        self.call(table, portions.len(), make).await.map(drop)
    }

    async fn patch(&mut self, table: &Table, patches: &[RowPatch]) -> Result<u64> {
        let target = self.target(table).await?;
        let mut groups: Vec<(Vec<usize>, Vec<&RowPatch>)> = Vec::new();
        for (changed, patches) in by_columns(table, patches) {
            let size =
                |patch: &&RowPatch| size_of(patch.key.iter().chain(patch.values.iter().map(|(_, v)| v)));
            for portion in portions(&patches, size) {
                groups.push((changed.clone(), patches.get(portion).unwrap_or_default().to_vec()));
            }
        }
        let make = |number: usize| {
            let (changed, patches) = groups.get(number).ok_or_else(ended)?;
            Ok(statement::patch(&target, table, changed, patches))
        };
        Ok(affected(&self.call(table, groups.len(), make).await?))
    }

    async fn delete(&mut self, table: &Table, keys: &[Vec<Value>]) -> Result<u64> {
        let target = self.target(table).await?;
        let portions = portions(keys, |key| size_of(key));
        let make = |number: usize| Ok(statement::delete(&target, table, of(keys, &portions, number)));
        Ok(affected(&self.call(table, portions.len(), make).await?))
    }

    /// TRUNCATE takes no time, but is refused to users without that privilege and where a foreign key leads to the table. It does
    /// not tell how many rows there were, so that those of a table that is quickly read are counted before.
    async fn truncate(&mut self, table: &Table) -> Result<Option<u64>> {
        const REFUSED: [&str; 3] = ["0A000", "42501", "55006"];
        let targets = Arc::clone(&self.targets);
        let relation = targets.get(self.connection()?, table).await?.relation.clone();
        let rows = relation.own_rows();
        let statement = |sql: String| Prepared { sql, parameters: Vec::new() };
        let counting = format!(
            "SELECT CASE WHEN relkind = 'r' AND pg_relation_size(oid) <= {COUNTED_BYTES} THEN (SELECT count(*) FROM {rows}) END \
             FROM pg_class WHERE oid = {}",
            relation.oid()
        );
        let counted = self.call(table, 1, |_| Ok(statement(counting.clone()))).await?;
        let count =
            counted.first().and_then(|result| result.rows.get(0)).and_then(|row| row.iter().next()).flatten();
        let count = count.map(|count| decode(&ColumnType::Int64, count)).transpose()?;
        match self.call(table, 1, |_| Ok(statement(format!("TRUNCATE TABLE {rows}")))).await {
            Err(error) if REFUSED.contains(&error.code()) => {
                let deleted = self.call(table, 1, |_| Ok(statement(format!("DELETE FROM {rows}")))).await?;
                Ok(Some(affected(&deleted)))
            }
            Err(error) => Err(error),
            Ok(_) => match count {
                Some(Value::Int64(count)) => Ok(u64::try_from(count).ok()),
                _ => Ok(None),
            },
        }
    }

    async fn delete_part(&mut self, table: &Table, part: &Discriminator) -> Result<u64> {
        let target = self.target(table).await?;
        let sql = format!("DELETE FROM {} WHERE {} = $1", target.relation.own_rows(), quoted(&part.column));
        let make = |_| Ok(Prepared { sql: sql.clone(), parameters: vec![Param::text(part.value.clone())] });
        Ok(affected(&self.call(table, 1, make).await?))
    }

    async fn delete_beginning(&mut self, table: &Table, beginning: &Discriminator) -> Result<u64> {
        let target = self.target(table).await?;
        let sql = format!(
            "DELETE FROM {} WHERE left({}::text, {}) = $1",
            target.relation.own_rows(),
            quoted(&beginning.column),
            beginning.value.chars().count()
        );
        let make =
            |_| Ok(Prepared { sql: sql.clone(), parameters: vec![Param::text(beginning.value.clone())] });
        Ok(affected(&self.call(table, 1, make).await?))
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        let is_begun = self.is_begun;
        let result = if is_begun { self.connection()?.commit().await } else { Ok(()) };
        // A commit that failed has rolled back; on a broken connection the server does.
        self.connection = None;
        Ok(result?)
    }

    async fn rollback(mut self: Box<Self>) -> Result<()> {
        let Some(mut connection) = self.connection.take() else { return Ok(()) };
        if !connection.is_broken() && (self.is_begun || self.is_torn) {
            connection.rollback().await?;
        }
        Ok(())
    }
}

fn of<'i, T>(items: &'i [T], portions: &[std::ops::Range<usize>], number: usize) -> &'i [T] {
    portions.get(number).and_then(|portion| items.get(portion.clone())).unwrap_or_default()
}

/// The patches that change the same columns, together; without those that change nothing.
fn by_columns<'p>(table: &Table, patches: &'p [RowPatch]) -> IndexMap<Vec<usize>, Vec<&'p RowPatch>> {
    let mut groups: IndexMap<Vec<usize>, Vec<&RowPatch>> = IndexMap::new();
    for patch in patches {
        let is_written =
            |position: &usize| table.columns.get(*position).is_some_and(|column| !column.generated);
        let mut changed: Vec<usize> =
            patch.values.iter().map(|(position, _)| *position).filter(is_written).collect();
        changed.sort_unstable();
        changed.dedup();
        groups.entry(changed).or_default().push(patch);
    }
    groups
}

impl Drop for ApplyTransaction {
    /// A transaction that is dropped must not hold its locks until its connection is used again.
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|_| self.is_begun || self.is_torn) {
            roll_back_later(connection);
        }
    }
}
