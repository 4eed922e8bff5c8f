//! SQLite's tables as replication sees them.

mod alter;
mod bulk;
mod columns;
mod declaration;
mod identity;
mod scan;
mod transaction;
mod write;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;

use super::catalog::{self, Described};
use super::log::SqliteLog;
use super::pool::SqlitePools;
use super::session::{ForeignKeys, WriteTransaction, execute_on, fetch_on};
use super::value::row_as_declared;
use crate::error::{Error, ErrorKind, Result};
use crate::log::{ChangeLog, LogKind};
use crate::schema::Discriminator;
use crate::sql::double_quoted as quote;
use crate::table::{
    ColumnChange, ColumnType, Form, Limits, MomentForm, Packing, ReadSnapshot, Row, RowBatch, StoredForm,
    Table, TableStore, TableTransaction,
};
use crate::value::Value;
use columns::{declared_type, selected};
pub(super) use scan::SqliteSnapshot;
use transaction::StoreTransaction;

/// Keys looked up by one statement.
const KEYS_PER_STATEMENT: usize = 500;
/// Rows of a transaction, unless they are packed. With twice as many, fewer pages are written again and again, but the rows
/// hold twice the memory.
const WRITE_ROWS: usize = 4_000;

/// The tables of one SQLite database.
pub(super) struct SqliteStore {
    pools: Arc<SqlitePools>,
    /// The name of a database in memory, which has no other.
    name: uuid::Uuid,
    log: SqliteLog,
    /// The tables described so far, by name.
    described: Mutex<HashMap<String, Arc<Described>>>,
}

impl SqliteStore {
    pub(super) fn new(pools: Arc<SqlitePools>) -> Self {
        Self {
            log: SqliteLog::new(Arc::clone(&pools)),
            pools,
            name: uuid::Uuid::new_v4(),
            described: Mutex::default(),
        }
    }

    async fn describe_existing(&self, name: &str) -> Result<Table> {
        self.describe(name)
            .await?
            .ok_or_else(|| Error::new(ErrorKind::UnknownTable, format!("table \"{name}\" does not exist")))
    }
}

/// Deletes the rows with these keys.
async fn delete_on(connection: &mut SqliteConnection, table: &Table, keys: &[Vec<Value>]) -> Result<u64> {
    let mut deleted = 0;
    for keys in keys.chunks(KEYS_PER_STATEMENT) {
        let condition = columns::key_condition(table, keys.len());
        let sql = format!("DELETE FROM {} WHERE {condition}", quote(&table.name));
        let params: Vec<Value> = keys.iter().flatten().cloned().collect();
        deleted += execute_on(connection, &sql, &params).await?;
    }
    Ok(deleted)
}

#[async_trait]
impl TableStore for SqliteStore {
    fn limits(&self) -> Limits {
        Limits { nan: false, infinity: true, microseconds: true, infinite_timestamp: true }
    }

    fn stored_forms(&self, table: &Table) -> Vec<StoredForm> {
        let known = self.described.lock().unwrap_or_else(PoisonError::into_inner).get(&table.name).cloned();
        let form = |name: &str| {
            let known = known.as_ref()?;
            known.forms.get(known.table.position(name)?).cloned()
        };
        table.columns.iter().map(|column| form(&column.name).unwrap_or_default()).collect()
    }

    async fn list_tables(&self) -> Result<Vec<String>> {
        catalog::list_tables(&mut *self.pools.read().await?).await
    }

    async fn describe(&self, name: &str) -> Result<Option<Table>> {
        let described = catalog::describe_whole(&mut *self.pools.read().await?, name).await?;
        let Some(described) = described.map(Arc::new) else { return Ok(None) };
        let mut known = self.described.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(described.table.name.clone(), Arc::clone(&described));
        Ok(Some(described.table.clone()))
    }

    async fn create_like(&self, source: &Table) -> Result<Table> {
        let mut transaction = WriteTransaction::begin(&self.pools, ForeignKeys::Ignored).await?;
        let connection = transaction.connection()?;
        match catalog::describe(connection, &source.name).await? {
            None => drop(execute_on(connection, &create_statement(source), &[]).await?),
            Some(existing) => {
                let missing = |name: &str| {
                    !existing.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name))
                };
                for column in source.columns.iter().filter(|column| missing(&column.name)) {
                    let sql = format!(
                        "ALTER TABLE {} ADD COLUMN {} {}",
                        quote(&existing.name),
                        quote(&column.name),
                        declared_type(&column.column_type)
                    );
                    execute_on(connection, &sql, &[]).await?;
                }
            }
        }
        transaction.commit().await?;
        self.describe_existing(&source.name).await
    }

    async fn snapshot(&self) -> Result<Box<dyn ReadSnapshot>> {
        Ok(Box::new(SqliteSnapshot::new(self.pools.snapshot().await?)))
    }

    /// Counting reads an index from end to end, which SQLite does at millions of rows per second.
    async fn estimate_rows(&self, table: &Table) -> Result<Option<u64>> {
        let sql = format!("SELECT count(*) FROM {}", quote(&table.name));
        let counted = fetch_on(&mut *self.pools.read().await?, &sql, &[]).await?.into_scalar();
        Ok(counted.and_then(|count| count.as_integer()).and_then(|count| u64::try_from(count).ok()))
    }

    async fn is_empty(&self, table: &Table, discriminator: Option<&Discriminator>) -> Result<bool> {
        let mut sql = format!("SELECT 1 FROM {}", quote(&table.name));
        let mut params = Vec::new();
        if let Some(discriminator) = discriminator {
            sql.push_str(&format!(" WHERE {} = ?", quote(&discriminator.column)));
            params.push(Value::Text(discriminator.value.clone()));
        }
        sql.push_str(" LIMIT 1");
        Ok(fetch_on(&mut *self.pools.read().await?, &sql, &params).await?.rows.is_empty())
    }

    async fn fetch(&self, table: &Table, keys: &[Vec<Value>]) -> Result<Vec<Row>> {
        table.require_key()?;
        fetch_keys(&mut *self.pools.read().await?, table, keys).await
    }

    fn packing(&self, source: &Table, target: &Table, positions: &[usize]) -> Option<Packing> {
        let form = |column: usize, own: &ColumnType| {
            Form::between(own, &target.columns.get(column)?.column_type, MomentForm::Iso)
        };
        let makes_numbers = self.stored_forms(target).contains(&StoredForm::NumericAffinity);
        Packing::between(source, target, positions, form).filter(|_| !makes_numbers)
    }

    fn batch_rows(&self) -> Option<usize> {
        Some(WRITE_ROWS)
    }

    async fn insert(&self, table: &Table, batch: &RowBatch) -> Result<()> {
        write::insert(&self.pools, table, batch).await
    }

    async fn upsert(&self, table: &Table, rows: &[Row]) -> Result<()> {
        table.require_key()?;
        write::upsert(&self.pools, table, rows).await
    }

    async fn delete(&self, table: &Table, keys: &[Vec<Value>]) -> Result<u64> {
        table.require_key()?;
        // A row that another table still refers to must not vanish beneath it.
        let mut transaction = WriteTransaction::begin(&self.pools, ForeignKeys::Enforced).await?;
        let deleted = delete_on(transaction.connection()?, table, keys).await?;
        transaction.commit().await?;
        Ok(deleted)
    }

    async fn delete_together(&self, rows: &[(Arc<Table>, Vec<Vec<Value>>)]) -> Result<Vec<u64>> {
        let mut transaction = WriteTransaction::begin(&self.pools, ForeignKeys::Enforced).await?;
        let mut deleted = Vec::with_capacity(rows.len());
        // Until the end of this transaction, which looks at all of them.
        execute_on(transaction.connection()?, "PRAGMA defer_foreign_keys = ON", &[]).await?;
        for (table, keys) in rows {
            table.require_key()?;
            deleted.push(delete_on(transaction.connection()?, table, keys).await?);
        }
        transaction.commit().await?;
        Ok(deleted)
    }

    async fn identity(&self) -> Result<String> {
        identity::identity(&mut *self.pools.read().await?, self.name).await
    }

    async fn alter(&self, table: &str, changes: &[ColumnChange]) -> Result<Table> {
        let mut transaction = WriteTransaction::begin(&self.pools, ForeignKeys::Ignored).await?;
        alter::alter(transaction.connection()?, table, changes).await?;
        transaction.commit().await?;
        self.describe_existing(table).await
    }

    async fn begin(&self) -> Result<Box<dyn TableTransaction>> {
        Ok(Box::new(StoreTransaction::begin(&self.pools).await?))
    }

    fn change_log(&self, kind: LogKind) -> Option<&dyn ChangeLog> {
        match kind {
            LogKind::Log => None,
            LogKind::Trigger => Some(&self.log),
        }
    }
}

/// The rows with these keys.
async fn fetch_keys(
    connection: &mut SqliteConnection,
    table: &Table,
    keys: &[Vec<Value>],
) -> Result<Vec<Row>> {
    let select = format!("SELECT {} FROM {} WHERE ", selected(&table.columns), quote(&table.name));
    let mut found = Vec::with_capacity(keys.len());
    for keys in keys.chunks(KEYS_PER_STATEMENT) {
        let sql = format!("{select}{}", columns::key_condition(table, keys.len()));
        let params: Vec<Value> = keys.iter().flatten().cloned().collect();
        for row in fetch_on(connection, &sql, &params).await?.rows {
            found.push(row_as_declared(table, row.into_iter().map(widen)));
        }
    }
    Ok(found)
}

/// Tables hold 64-bit integers; the narrow form is for applications.
fn widen(value: Value) -> Value {
    match value {
        Value::Int32(number) => Value::Int64(i64::from(number)),
        value => value,
    }
}

/// `CREATE TABLE` with the nearest types and the same key.
fn create_statement(source: &Table) -> String {
    let mut parts: Vec<String> = source
        .columns
        .iter()
        .enumerate()
        .map(|(i, column)| {
            let required = if column.nullable && !source.key.contains(&i) { "" } else { " NOT NULL" };
            format!("{} {}{required}", quote(&column.name), declared_type(&column.column_type))
        })
        .collect();
    let key: Vec<_> = source
        .key
        .iter()
        .filter_map(|position| source.columns.get(*position))
        .map(|column| quote(&column.name))
        .collect();
    if !key.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    format!("CREATE TABLE {} ({})", quote(&source.name), parts.join(", "))
}
