//! The tables of a PostgreSQL database, for replication.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::OnceCell;
use wire::{Connection, QueryResult};

use super::alter;
use super::apply::{ApplyTransaction, Targets};
use super::catalog::{self, Described, Relation, quoted};
use super::create_like;
use super::identity;
use super::load;
use super::log::PostgresLog;
use super::pool::{Pool, Pooled};
use super::scan::Snapshot;
use super::stored::StoredTypes;
use super::trigger_log::TriggerLog;
use super::types::has_binary_form;
use crate::dialect::DialectKind;
use crate::error::{Error, ErrorKind, Result};
use crate::log::{ChangeLog, LogKind};
use crate::schema::Discriminator;
use crate::table::{
    ColumnChange, Limits, ReadSnapshot, Row, RowBatch, StoredForm, Table, TableStore, TableTransaction,
};
use crate::value::{Timestamp, Value};

/// Up to this size a table is counted; above, only the planner's estimate is used.
const COUNTED_BYTES: i64 = 1 << 30;

/// The tables of a database.
pub(super) struct PostgresTables {
    pool: Pool,
    /// Whether this user may switch off triggers and foreign key checks, as replication of one's own rows needs.
    may_skip_triggers: OnceCell<bool>,
    /// The tables described so far, by name.
    described: Mutex<HashMap<String, Arc<Described>>>,
    kind: DialectKind,
    /// The tables that transactions write.
    targets: Arc<Targets>,
    /// The logs of changes; none on CockroachDB, which has others.
    log: Option<PostgresLog>,
    trigger_log: Option<TriggerLog>,
}

impl PostgresTables {
    pub(super) fn new(pool: Pool, kind: DialectKind) -> Self {
        let is_postgres = kind == DialectKind::Postgres;
        let log = is_postgres.then(|| PostgresLog::new(pool.clone()));
        let trigger_log = is_postgres.then(|| TriggerLog::new(pool.clone()));
        Self {
            pool,
            may_skip_triggers: OnceCell::new(),
            described: Mutex::default(),
            kind,
            targets: Arc::default(),
            log,
            trigger_log,
        }
    }

    async fn describe_on(&self, connection: &mut Connection, relation: &Relation) -> Result<Arc<Described>> {
        catalog::require_all_rows(connection, relation).await?;
        let described = Arc::new(catalog::describe(connection, relation).await?);
        let mut known = self.described.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(described.table.name.clone(), Arc::clone(&described));
        self.targets.forget(&described.table.name);
        Ok(described)
    }

    fn known(&self, table: &Table) -> Option<Arc<Described>> {
        self.described.lock().unwrap_or_else(PoisonError::into_inner).get(&table.name).cloned()
    }

    async fn connection_to(&self, table: &Table) -> Result<(Pooled, Relation)> {
        let mut connection = self.pool.get().await?;
        let relation = catalog::find(&mut connection, &table.name).await?;
        Ok((connection, relation.ok_or_else(|| unknown_table(&table.name))?))
    }

    async fn may_skip_triggers(&self, connection: &mut Connection) -> Result<bool> {
        self.may_skip_triggers.get_or_try_init(|| may_skip_triggers(connection)).await.copied()
    }

    /// Begins a transaction in which rows are written as they come: in whatever order, and without setting off triggers
    /// that have already run at the source.
    async fn begin_write(&self, connection: &mut Connection) -> Result<()> {
        let may_skip = self.may_skip_triggers(connection).await?;
        connection.begin(None, false).await?;
        if may_skip {
            connection.simple_query(SKIP_TRIGGERS).await?;
        }
        Ok(())
    }
}

/// The start of the oldest transaction on this database, or the present, in microseconds. Transactions of other users
/// are seen by superusers and members of pg_read_all_stats alone.
const OLDEST_TRANSACTION: &str = "
    SELECT floor(extract(epoch FROM least(clock_timestamp(), min(xact_start))) * 1000000)::bigint
    FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
const PRESENT: &str = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

const SKIP_TRIGGERS: &str = "SET LOCAL session_replication_role = replica";
/// Of those who may not skip triggers, at least the keys that can wait do.
const DEFER_KEYS: &str = "SET CONSTRAINTS ALL DEFERRED";

/// Tries it, since who may depends on the version and on grants.
async fn may_skip_triggers(connection: &mut Connection) -> Result<bool> {
    connection.begin(None, true).await?;
    let tried = connection.simple_query(SKIP_TRIGGERS).await;
    connection.rollback().await?;
    match tried {
        Ok(_) => Ok(true),
        Err(wire::Error::Server(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn unknown_table(name: &str) -> Error {
    Error::new(ErrorKind::UnknownTable, format!("table \"{name}\" does not exist"))
}

fn told_time(result: &QueryResult) -> Result<Timestamp> {
    let micros = result.rows.get(0).map(|row| row.get_str(0)).transpose()?.flatten();
    micros.and_then(|micros| micros.parse().ok()).map(Timestamp).ok_or_else(|| {
        Error::new(ErrorKind::Internal, "the server told the time in a form that is not known")
    })
}

/// Commits, or rolls back and passes the error on. If the rollback fails the pool drops the connection.
async fn end<T>(connection: &mut Connection, written: Result<T>) -> Result<T> {
    match written {
        Ok(value) => {
            connection.commit().await?;
            Ok(value)
        }
        Err(error) => {
            if let Err(rollback) = connection.rollback().await {
                tracing::debug!("a failed batch could not be rolled back in good order: {rollback}");
            }
            Err(error)
        }
    }
}

#[async_trait]
impl TableStore for PostgresTables {
    fn limits(&self) -> Limits {
        Limits { nan: true, infinity: true, microseconds: true, infinite_timestamp: true }
    }

    fn stored_forms(&self, table: &Table) -> Vec<StoredForm> {
        let known = self.known(table);
        let form = |name: &str| {
            let known = known.as_ref()?;
            known.forms.get(known.table.position(name)?).cloned()
        };
        table.columns.iter().map(|column| form(&column.name).unwrap_or_default()).collect()
    }

    async fn list_tables(&self) -> Result<Vec<String>> {
        catalog::list_tables(&mut *self.pool.get().await?).await
    }

    async fn describe(&self, name: &str) -> Result<Option<Table>> {
        let mut connection = self.pool.get().await?;
        match catalog::find(&mut connection, name).await? {
            Some(relation) => Ok(Some(self.describe_on(&mut connection, &relation).await?.table.clone())),
            None => Ok(None),
        }
    }

    async fn create_like(&self, source: &Table) -> Result<Table> {
        source.require_key()?;
        let mut connection = self.pool.get().await?;
        let relation = create_like::create_like(&mut connection, source).await?;
        Ok(self.describe_on(&mut connection, &relation).await?.table.clone())
    }

    async fn snapshot(&self) -> Result<Box<dyn ReadSnapshot>> {
        Ok(Box::new(Snapshot::begin(self.pool.connect_apart().await?).await?))
    }

    async fn estimate_rows(&self, table: &Table) -> Result<Option<u64>> {
        let (mut connection, relation) = self.connection_to(table).await?;
        let sql = format!(
            "SELECT CASE WHEN pg_table_size(c.oid) < {COUNTED_BYTES} THEN (SELECT count(*) FROM {0})
                         WHEN c.reltuples >= 0 THEN c.reltuples::bigint END
             FROM pg_class c WHERE c.oid = '{1}'::regclass",
            relation.own_rows(),
            relation.quoted.replace('\'', "''")
        );
        let result = connection.query(&sql, &[]).await?;
        let count = result.rows.get(0).map(|row| row.get_str(0)).transpose()?.flatten().map(str::parse);
        Ok(count.and_then(Result::ok))
    }

    async fn clock(&self) -> Result<Timestamp> {
        let mut connection = self.pool.get().await?;
        match connection.query(OLDEST_TRANSACTION, &[]).await {
            // CockroachDB does not list transactions so.
            Err(wire::Error::Server(_)) => told_time(&connection.query(PRESENT, &[]).await?),
            result => told_time(&result?),
        }
    }

    async fn now(&self) -> Result<Timestamp> {
        told_time(&self.pool.get().await?.query(PRESENT, &[]).await?)
    }

    async fn identity(&self) -> Result<String> {
        identity::identity(&self.pool, self.kind).await
    }

    async fn alter(&self, table: &str, changes: &[ColumnChange]) -> Result<Table> {
        let mut connection = self.pool.get().await?;
        let relation = catalog::find(&mut connection, table).await?.ok_or_else(|| unknown_table(table))?;
        connection.begin(None, false).await?;
        let altered = async {
            // CockroachDB has no such locks, and restarts one of two transactions instead.
            if self.kind == DialectKind::Postgres {
                let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", relation.quoted);
                connection.simple_query(&lock).await?;
            }
            alter::alter(&mut connection, &relation, changes).await
        };
        let altered = altered.await;
        end(&mut connection, altered).await?;
        Ok(self.describe_on(&mut connection, &relation).await?.table.clone())
    }

    async fn begin(&self) -> Result<Box<dyn TableTransaction>> {
        let mut connection = self.pool.get().await?;
        let mut settings = vec!["BEGIN ISOLATION LEVEL READ COMMITTED"];
        if self.may_skip_triggers(&mut connection).await? {
            settings.push(SKIP_TRIGGERS);
        } else if self.kind == DialectKind::Postgres {
            settings.push(DEFER_KEYS);
        }
        Ok(Box::new(ApplyTransaction::new(connection, Arc::clone(&self.targets), settings)))
    }

    async fn is_empty(&self, table: &Table, discriminator: Option<&Discriminator>) -> Result<bool> {
        let (mut connection, relation) = self.connection_to(table).await?;
        let (condition, parameters) = match discriminator {
            Some(own) => (format!(" WHERE {} = $1", quoted(&own.column)), vec![own.value.as_str().into()]),
            None => (String::new(), Vec::new()),
        };
        let sql = format!("SELECT 1 FROM {}{condition} LIMIT 1", relation.own_rows());
        Ok(connection.query(&sql, &parameters).await?.rows.is_empty())
    }

    async fn fetch(&self, table: &Table, keys: &[Vec<Value>]) -> Result<Vec<Row>> {
        let (mut connection, relation) = self.connection_to(table).await?;
        let described = match self.known(table) {
            Some(described) => described,
            None => self.describe_on(&mut connection, &relation).await?,
        };
        load::fetch(&mut connection, &relation, &StoredTypes::of(&described.table, table), keys).await
    }

    fn takes_binary_tuples(&self, source: &Table, target: &Table) -> bool {
        let same = |(source, target): (&crate::table::TableColumn, &crate::table::TableColumn)| {
            source.name == target.name
                && source.column_type == target.column_type
                && has_binary_form(&source.column_type)
                && !target.generated
        };
        let is_stored_so = self.known(target).is_some_and(|described| {
            !described.has_plain_json && StoredTypes::of(&described.table, target).are_declared()
        });
        let cuts = |form: &StoredForm| match form {
            StoredForm::Seconds(_) => true,
            StoredForm::Time(digits) => *digits < 6,
            _ => false,
        };
        let cuts_seconds = self.stored_forms(target).iter().any(cuts);
        is_stored_so
            && !cuts_seconds
            && source.columns.len() == target.columns.len()
            && source.columns.iter().zip(&target.columns).all(same)
    }

    async fn insert(&self, table: &Table, batch: &RowBatch) -> Result<()> {
        let (mut connection, relation) = self.connection_to(table).await?;
        self.begin_write(&mut connection).await?;
        let written = load::insert(&mut connection, &relation, table, batch).await;
        end(&mut connection, written).await
    }

    async fn upsert(&self, table: &Table, rows: &[Row]) -> Result<()> {
        let (mut connection, relation) = self.connection_to(table).await?;
        self.begin_write(&mut connection).await?;
        let written = load::upsert(&mut connection, &relation, table, rows).await;
        end(&mut connection, written).await
    }

    async fn delete(&self, table: &Table, keys: &[Vec<Value>]) -> Result<u64> {
        let (mut connection, relation) = self.connection_to(table).await?;
        // Foreign keys count here: a row that another table still refers to must not vanish beneath it.
        connection.begin(None, false).await?;
        let deleted = load::delete(&mut connection, &relation, table, keys).await;
        end(&mut connection, deleted).await
    }

    async fn delete_together(&self, rows: &[(Arc<Table>, Vec<Vec<Value>>)]) -> Result<Vec<u64>> {
        let mut connection = self.pool.get().await?;
        let mut parts = Vec::with_capacity(rows.len());
        for (table, keys) in rows {
            let relation = catalog::find(&mut connection, &table.name).await?;
            parts.push((
                relation.ok_or_else(|| unknown_table(&table.name))?,
                table.as_ref(),
                keys.as_slice(),
            ));
        }
        load::delete_together(&mut connection, &parts).await
    }

    fn change_log(&self, kind: LogKind) -> Option<&dyn ChangeLog> {
        match kind {
            LogKind::Log => self.log.as_ref().map(|log| log as &dyn ChangeLog),
            LogKind::Trigger => self.trigger_log.as_ref().map(|log| log as &dyn ChangeLog),
        }
    }
}
