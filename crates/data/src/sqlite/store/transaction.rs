//! Transactions in which replication changes the rows of several SQLite tables.

use async_trait::async_trait;
use indexmap::IndexMap;
use sqlx::sqlite::LockedSqliteHandle;

use super::super::error::sqlite_error;
use super::super::pool::SqlitePools;
use super::super::raw::blocking;
use super::super::session::{ForeignKeys, WriteTransaction};
use super::bulk::{BulkStatement, is_in_transaction};
use super::columns::key_condition;
use super::write::{insert_on, upsert_on, writable};
use super::{KEYS_PER_STATEMENT, fetch_keys};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::Discriminator;
use crate::sql::double_quoted as quote;
use crate::table::{Row, RowBatch, RowPatch, Table, TableTransaction};
use crate::value::Value;

/// The writing connection with a transaction open on it, in which foreign keys do not count: rows come and go in the order
/// of the source, whose own keys have seen to them.
pub(super) struct StoreTransaction {
    transaction: WriteTransaction,
    /// Whether SQLite has ended the transaction after an error. What is run then would be made permanent at once.
    is_lost: bool,
}

impl StoreTransaction {
    pub(super) async fn begin(pools: &SqlitePools) -> Result<Self> {
        let transaction = WriteTransaction::begin(pools, ForeignKeys::Ignored).await?;
        Ok(Self { transaction, is_lost: false })
    }

    fn check(&self) -> Result<()> {
        if self.is_lost {
            let message = "SQLite has rolled the transaction back after an error; start it again";
            return Err(Error::new(ErrorKind::Transaction, message));
        }
        Ok(())
    }

    /// Runs a call within a savepoint, to which a failed one goes back.
    async fn call<T>(
        &mut self,
        run: impl FnOnce(&mut LockedSqliteHandle<'_>) -> Result<T> + Send,
    ) -> Result<T> {
        self.check()?;
        let mut connection = self.transaction.connection()?.lock_handle().await.map_err(sqlite_error)?;
        blocking(|| {
            run_sql(&mut connection, "SAVEPOINT replicaverse_call")?;
            let result = run(&mut connection);
            if result.is_err() {
                let undone = is_in_transaction(&mut connection)
                    && run_sql(&mut connection, "ROLLBACK TO replicaverse_call").is_ok();
                self.is_lost = !undone;
            }
            if !self.is_lost {
                run_sql(&mut connection, "RELEASE replicaverse_call")?;
            }
            result
        })
    }
}

fn run_sql(connection: &mut LockedSqliteHandle<'_>, sql: &str) -> Result<()> {
    BulkStatement::prepare(connection, sql)?.run()
}

#[async_trait]
impl TableTransaction for StoreTransaction {
    async fn fetch(&mut self, table: &Table, keys: &[Vec<Value>]) -> Result<Vec<Row>> {
        table.require_key()?;
        self.check()?;
        fetch_keys(self.transaction.connection()?, table, keys).await
    }

    async fn insert(&mut self, table: &Table, batch: &RowBatch) -> Result<()> {
        self.call(|connection| insert_on(connection, table, batch)).await
    }

    async fn upsert(&mut self, table: &Table, rows: &[Row]) -> Result<()> {
        table.require_key()?;
        self.call(|connection| upsert_on(connection, table, rows)).await
    }

    async fn patch(&mut self, table: &Table, patches: &[RowPatch]) -> Result<u64> {
        table.require_key()?;
        self.call(|connection| patch(connection, table, patches)).await
    }

    async fn delete(&mut self, table: &Table, keys: &[Vec<Value>]) -> Result<u64> {
        table.require_key()?;
        self.call(|connection| delete(connection, table, keys)).await
    }

    async fn truncate(&mut self, table: &Table) -> Result<Option<u64>> {
        let sql = format!("DELETE FROM {}", quote(&table.name));
        let deleted = self.call(|connection| {
            let mut statement = BulkStatement::prepare(connection, &sql)?;
            statement.run()?;
            Ok(statement.changed())
        });
        deleted.await.map(Some)
    }

    async fn delete_part(&mut self, table: &Table, part: &Discriminator) -> Result<u64> {
        let sql = format!("DELETE FROM {} WHERE {} = ?", quote(&table.name), quote(&part.column));
        let value = Value::from(part.value.as_str());
        self.call(|connection| {
            let mut statement = BulkStatement::prepare(connection, &sql)?;
            statement.bind(&value)?;
            statement.run()?;
            Ok(statement.changed())
        })
        .await
    }

    async fn delete_beginning(&mut self, table: &Table, beginning: &Discriminator) -> Result<u64> {
        let length = beginning.value.chars().count();
        let (name, column) = (quote(&table.name), quote(&beginning.column));
        let sql = format!("DELETE FROM {name} WHERE substr({column}, 1, {length}) = ?");
        let value = Value::from(beginning.value.as_str());
        self.call(|connection| {
            let mut statement = BulkStatement::prepare(connection, &sql)?;
            statement.bind(&value)?;
            statement.run()?;
            Ok(statement.changed())
        })
        .await
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.check()?;
        self.transaction.commit().await
    }

    async fn rollback(self: Box<Self>) -> Result<()> {
        self.transaction.rollback().await
    }
}

fn delete(connection: &mut LockedSqliteHandle<'_>, table: &Table, keys: &[Vec<Value>]) -> Result<u64> {
    let mut deleted = 0;
    let (full, rest) = keys.split_at(keys.len() - keys.len() % KEYS_PER_STATEMENT);
    for (keys, count) in [(full, KEYS_PER_STATEMENT), (rest, rest.len())] {
        if keys.is_empty() {
            continue;
        }
        let condition = key_condition(table, count);
        let sql = format!("DELETE FROM {} WHERE {condition}", quote(&table.name));
        let mut statement = BulkStatement::prepare(connection, &sql)?;
        for keys in keys.chunks(count) {
            for key in keys {
                bind_key(&mut statement, table, key)?;
            }
            statement.run()?;
            deleted += statement.changed();
        }
    }
    Ok(deleted)
}

/// Changes the rows one by one, by as many statements as there are sets of columns.
fn patch(connection: &mut LockedSqliteHandle<'_>, table: &Table, patches: &[RowPatch]) -> Result<u64> {
    let mut groups: IndexMap<Vec<usize>, Vec<&RowPatch>> = IndexMap::new();
    for patch in patches {
        let changed = patch.values.iter().map(|(position, _)| *position).collect();
        groups.entry(changed).or_default().push(patch);
    }
    let mut found = 0;
    for (changed, patches) in groups {
        let mut statement = BulkStatement::prepare(connection, &patch_statement(table, &changed))?;
        for patch in patches {
            let values = patch.values.iter().filter(|(position, _)| is_writable(table, *position));
            for (position, value) in values {
                bind_at(&mut statement, table, *position, value)?;
            }
            bind_key(&mut statement, table, &patch.key)?;
            statement.run()?;
            found += statement.changed();
        }
    }
    Ok(found)
}

fn bind_key<'values>(
    statement: &mut BulkStatement<'_, 'values>,
    table: &Table,
    key: &'values [Value],
) -> Result<()> {
    table.key.iter().zip(key).try_for_each(|(position, value)| bind_at(statement, table, *position, value))
}

fn bind_at<'values>(
    statement: &mut BulkStatement<'_, 'values>,
    table: &Table,
    position: usize,
    value: &'values Value,
) -> Result<()> {
    match table.columns.get(position) {
        Some(column) => statement.bind_as(&column.column_type, value),
        None => statement.bind(value),
    }
}

fn is_writable(table: &Table, position: usize) -> bool {
    writable(table).any(|(own, _)| own == position)
}

fn patch_statement(table: &Table, changed: &[usize]) -> String {
    let name = |position: &usize| table.columns.get(*position).map(|column| quote(&column.name));
    let key: Vec<_> = table.key.iter().filter_map(name).collect();
    let written = changed.iter().filter(|position| is_writable(table, **position));
    let mut assignments: Vec<_> = written.filter_map(name).map(|name| format!("{name} = ?")).collect();
    // Nothing is to change, and the rows that exist are only to be counted.
    if let (true, Some(name)) = (assignments.is_empty(), key.first()) {
        assignments.push(format!("{name} = {name}"));
    }
    let conditions: Vec<_> = key.iter().map(|name| format!("{name} = ?")).collect();
    let (table, assignments) = (quote(&table.name), assignments.join(", "));
    format!("UPDATE {table} SET {assignments} WHERE {}", conditions.join(" AND "))
}
