//! The tables of a MySQL or MariaDB database, as replication sees them.

mod alter;
mod create_like;
mod described;
mod identity;
mod keys;
mod scan;
mod stored;
mod transaction;
mod write;

use std::sync::Arc;

use async_trait::async_trait;

use super::catalog;
use super::log::MysqlLog;
use super::pool::Pool;
use super::session::fetch_on;
use super::syntax::quote;
use super::trigger_log::MysqlTriggerLog;
use crate::error::{Error, ErrorKind, Result};
use crate::log::{ChangeLog, LogKind};
use crate::schema::Discriminator;
use crate::sql::{Access, Fetched};
use crate::table::{
    ColumnChange, ColumnType, Limits, Packing, ReadSnapshot, Row, RowBatch, StoredForm, Table, TableStore,
    TableTransaction,
};
use crate::value::{Timestamp, Value};
use described::{DescribedTables, unknown_table};
use keys::Lookup;
pub(super) use scan::MysqlSnapshot;
pub(super) use stored::{Declaration, StoredTable};
use transaction::StoreTransaction;
use write::Writing;

/// Up to so many estimated rows a table is counted.
const COUNTED_ROWS: u64 = 200_000;

/// The present, or when the oldest transaction began that may still write. InnoDB tells that in the zone of the system and
/// without the second's digits, and takes a transaction for begun with its first statement, whose values were made before.
/// It looks at them again when nobody has asked for a tenth of a second; one that it does not show yet counts as not begun.
const OLDEST_TRANSACTION: &str = "
    SELECT LEAST(UTC_TIMESTAMP(6),
        COALESCE(MIN(CONVERT_TZ(trx_started, 'SYSTEM', '+00:00')) - INTERVAL 1 SECOND, UTC_TIMESTAMP(6)))
    FROM information_schema.INNODB_TRX
    WHERE trx_is_read_only = 0 AND trx_mysql_thread_id <> CONNECTION_ID()";
const PRESENT: &str = "SELECT UTC_TIMESTAMP(6)";

/// The tables of one database.
pub(super) struct MysqlStore {
    pool: Pool,
    described: Arc<DescribedTables>,
    log: MysqlLog,
    trigger_log: Arc<MysqlTriggerLog>,
}

impl MysqlStore {
    pub(super) async fn open(pool: Pool) -> Result<Self> {
        let trigger_log = Arc::new(MysqlTriggerLog::new(pool.clone()));
        let log = MysqlLog::new(pool.clone(), Arc::clone(&trigger_log)).await?;
        Ok(Self { log, trigger_log, pool, described: Arc::default() })
    }
}

#[async_trait]
impl TableStore for MysqlStore {
    fn limits(&self) -> Limits {
        Limits { nan: false, infinity: false, microseconds: true, infinite_timestamp: false }
    }

    fn stored_forms(&self, table: &Table) -> Vec<StoredForm> {
        let known = self.described.known(&table.name);
        let form = |name: &str| {
            let column = known.as_ref()?.columns.iter().find(|own| own.column.name == name)?;
            Some(column.form.clone())
        };
        table.columns.iter().map(|column| form(&column.name).unwrap_or_default()).collect()
    }

    async fn list_tables(&self) -> Result<Vec<String>> {
        catalog::list_tables(&mut *self.pool.get().await?).await
    }

    async fn describe(&self, name: &str) -> Result<Option<Table>> {
        let described = self.described.describe(&mut *self.pool.get().await?, name).await?;
        Ok(described.map(|described| described.table.clone()))
    }

    async fn create_like(&self, source: &Table) -> Result<Table> {
        source.require_key()?;
        let mut link = self.pool.get().await?;
        create_like::create_like(&mut link, source).await?;
        let described = self.described.describe(&mut link, &source.name).await?;
        described.map(|described| described.table.clone()).ok_or_else(|| unknown_table(&source.name))
    }

    async fn snapshot(&self) -> Result<Box<dyn ReadSnapshot>> {
        Ok(Box::new(MysqlSnapshot::begin(self.pool.clone()).await?))
    }

    async fn estimate_rows(&self, table: &Table) -> Result<Option<u64>> {
        let mut link = self.pool.get().await?;
        let sql = "SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?";
        let name = Value::from(table.name.as_str());
        let estimate = fetch_on(&mut link, Access::Read, sql, &[name]).await?.into_scalar();
        let estimate = estimate.and_then(|rows| rows.as_integer()).and_then(|rows| u64::try_from(rows).ok());
        if estimate.is_some_and(|rows| rows > COUNTED_ROWS) {
            return Ok(estimate);
        }
        let sql = format!("SELECT count(*) FROM {}", quote(&table.name));
        let counted = fetch_on(&mut link, Access::Read, &sql, &[]).await?.into_scalar();
        Ok(counted.and_then(|rows| rows.as_integer()).and_then(|rows| u64::try_from(rows).ok()))
    }

    async fn clock(&self) -> Result<Timestamp> {
        let mut link = self.pool.get().await?;
        let told = match fetch_on(&mut link, Access::Read, OLDEST_TRANSACTION, &[]).await {
            // Transactions are only listed for those who may see all processes.
            Err(error) if error.kind() != ErrorKind::Connection => {
                fetch_on(&mut link, Access::Read, PRESENT, &[]).await?
            }
            told => told?,
        };
        told_time(told)
    }

    async fn now(&self) -> Result<Timestamp> {
        told_time(fetch_on(&mut *self.pool.get().await?, Access::Read, PRESENT, &[]).await?)
    }

    async fn is_empty(&self, table: &Table, discriminator: Option<&Discriminator>) -> Result<bool> {
        let mut link = self.pool.get().await?;
        let mut sql = format!("SELECT 1 FROM {}", quote(&table.name));
        let mut params = Vec::new();
        if let Some(discriminator) = discriminator {
            sql.push_str(&format!(" WHERE {} = ?", quote(&discriminator.column)));
            params.push(Value::Text(discriminator.value.clone()));
        }
        sql.push_str(" LIMIT 1");
        Ok(fetch_on(&mut link, Access::Read, &sql, &params).await?.rows.is_empty())
    }

    async fn fetch(&self, table: &Table, keys: &[Vec<Value>]) -> Result<Vec<Row>> {
        table.require_key()?;
        let mut link = self.pool.get().await?;
        let stored = self.described.stored(&mut link, table).await?;
        let select = format!("SELECT {} FROM {} WHERE ", stored.selection(), quote(&table.name));
        let mut rows = Vec::with_capacity(keys.len());
        for lookup in Lookup::of(&stored, keys, link.server().kind) {
            let sql = format!("{select}{}", lookup.condition);
            let found = fetch_on(&mut link, Access::Write, &sql, &lookup.params).await?.rows;
            rows.extend(found.into_iter().map(|row| stored.declare(row)));
        }
        Ok(rows)
    }

    fn packing(&self, source: &Table, target: &Table, positions: &[usize]) -> Option<Packing> {
        let known = self.described.known(&target.name)?;
        let forms = self.stored_forms(target);
        // PostgreSQL gives values of these types as they are kept.
        let is_kept = |(column, form): (usize, &StoredForm)| match form {
            StoredForm::Same => true,
            StoredForm::Date | StoredForm::Span(6) | StoredForm::Uuid => {
                let own = positions.get(column).and_then(|position| source.columns.get(*position));
                own.zip(target.columns.get(column)).is_some_and(|(a, b)| a.column_type == b.column_type)
            }
            _ => false,
        };
        let has_forms = !forms.iter().enumerate().all(is_kept);
        let stored = StoredTable::new(target, &known);
        let form = |column: usize, own: &ColumnType| stored.columns.get(column)?.form_of(own);
        Packing::between(source, target, positions, form).filter(|_| !has_forms)
    }

    async fn insert(&self, table: &Table, batch: &RowBatch) -> Result<()> {
        let mut link = self.pool.get().await?;
        let stored = self.described.stored(&mut link, table).await?;
        let mut writing = Writing::begin(link, true).await?;
        let written = writing.insert_batch(&stored, batch).await;
        writing.end(written).await
    }

    async fn upsert(&self, table: &Table, rows: &[Row]) -> Result<()> {
        table.require_key()?;
        let mut link = self.pool.get().await?;
        let stored = self.described.stored(&mut link, table).await?;
        let mut writing = Writing::begin(link, true).await?;
        let written = writing.upsert(&stored, rows).await;
        writing.end(written).await
    }

    async fn delete(&self, table: &Table, keys: &[Vec<Value>]) -> Result<u64> {
        table.require_key()?;
        let mut link = self.pool.get().await?;
        let stored = self.described.stored(&mut link, table).await?;
        // A row that another table still refers to must not vanish beneath it.
        let mut writing = Writing::begin(link, false).await?;
        let deleted = writing.delete(&stored, keys).await;
        writing.end(deleted).await
    }

    fn change_log(&self, kind: LogKind) -> Option<&dyn ChangeLog> {
        match kind {
            LogKind::Log => Some(&self.log),
            LogKind::Trigger => Some(self.trigger_log.as_ref()),
        }
    }

    async fn identity(&self) -> Result<String> {
        identity::identity(&mut *self.pool.get().await?).await
    }

    async fn alter(&self, table: &str, changes: &[ColumnChange]) -> Result<Table> {
        let mut link = self.pool.get().await?;
        let altered = alter::alter(&mut link, table, changes).await;
        // Also after an error, before which some of the changes may have been made.
        let described = self.described.describe(&mut link, table).await;
        altered?;
        described?.map(|described| described.table.clone()).ok_or_else(|| unknown_table(table))
    }

    async fn begin(&self) -> Result<Box<dyn TableTransaction>> {
        let link = self.pool.get().await?;
        Ok(Box::new(StoreTransaction::begin(link, Arc::clone(&self.described)).await?))
    }
}

fn told_time(told: Fetched) -> Result<Timestamp> {
    match told.into_scalar() {
        Some(Value::Timestamp(moment)) => Ok(moment),
        _ => Err(Error::new(ErrorKind::Internal, "the server told the time in a form that is not known")),
    }
}
