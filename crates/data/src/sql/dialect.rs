//! The dialect of every SQL database: [`Dialect`] over a session, be it a pool or a transaction.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::atomic::ItemChange;
use super::columns::ColumnCache;
use super::session::{Access, Fetched, SqlSession};
use super::statement::Statement;
use super::syntax::SqlSyntax;
use crate::aggregate::Pipeline;
use crate::config::{ConnectionConfig, SchemaStrategy};
use crate::dialect::{Dialect, DialectKind, Isolation, SharedTransaction, Transaction, Upserted};
use crate::error::{ErrorKind, Result};
use crate::filter::{Filter, FindOptions};
use crate::record::{Record, identity_filter};
use crate::rows::{CellSink, RowSink};
use crate::schema::EntitySchema;
use crate::table::TableStore;
use crate::value::Value;

/// The target of the events that report statements.
const SQL_EVENTS: &str = "replicaverse::sql";

/// What a dialect and its transactions have in common.
pub(crate) struct Shared {
    pub(super) config: ConnectionConfig,
    /// Every schema that was registered, by entity name.
    registered: Mutex<Vec<Arc<EntitySchema>>>,
    disconnected: AtomicBool,
}

impl Shared {
    pub(crate) fn new(config: &ConnectionConfig) -> Arc<Self> {
        Arc::new(Self {
            config: config.clone(),
            registered: Mutex::new(Vec::new()),
            disconnected: AtomicBool::new(false),
        })
    }

    /// The schemas registered so far.
    pub(super) fn registered(&self) -> Vec<Arc<EntitySchema>> {
        self.registered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds schemas; one of a known entity takes its place.
    pub(super) fn register(&self, schemas: &[Arc<EntitySchema>]) {
        let mut registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        for schema in schemas {
            registered.retain(|known| known.name != schema.name);
            registered.push(Arc::clone(schema));
        }
    }
}

/// A SQL database, or a transaction on it.
pub(crate) struct SqlDialect {
    pub(super) session: Arc<dyn SqlSession>,
    pub(super) syntax: &'static dyn SqlSyntax,
    pub(super) shared: Arc<Shared>,
    pub(super) columns: Arc<ColumnCache>,
    store: Option<Arc<dyn TableStore>>,
}

impl SqlDialect {
    pub(crate) fn new(
        session: Arc<dyn SqlSession>,
        syntax: &'static dyn SqlSyntax,
        shared: Arc<Shared>,
        store: Arc<dyn TableStore>,
    ) -> Self {
        Self { session, syntax, shared, columns: Arc::default(), store: Some(store) }
    }

    /// The same dialect within a transaction.
    pub(super) fn within(&self, session: Arc<dyn SqlSession>) -> Self {
        Self {
            session,
            syntax: self.syntax,
            shared: Arc::clone(&self.shared),
            columns: self.columns.inner(),
            store: None,
        }
    }

    /// Whether this is a transaction, or a savepoint within one.
    pub(super) fn is_transaction(&self) -> bool {
        self.store.is_none()
    }

    /// The table of an entity, with the prefix.
    pub(super) fn table(&self, schema: &EntitySchema) -> String {
        format!("{}{}", self.shared.config.table_prefix, schema.collection)
    }

    pub(super) async fn fetch(&self, access: Access, sql: &Statement) -> Result<Fetched> {
        self.report(sql.text());
        self.noticed(self.session.fetch(access, sql.text(), sql.params()).await)
    }

    /// As [`fetch`](Self::fetch), with the rows handed on as they are read.
    pub(super) async fn fetch_into(
        &self,
        access: Access,
        sql: &Statement,
        rows: &mut dyn CellSink,
    ) -> Result<()> {
        self.report(sql.text());
        self.noticed(self.session.fetch_into(access, sql.text(), sql.params(), rows).await)
    }

    /// The outcome of reading. Another process may have dropped a column that is still known here.
    fn noticed<T>(&self, outcome: Result<T>) -> Result<T> {
        if outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Statement) {
            self.columns.forget_all();
        }
        outcome
    }

    pub(super) async fn execute(&self, access: Access, sql: &Statement) -> Result<u64> {
        self.report(sql.text());
        self.session.execute(access, sql.text(), sql.params()).await
    }

    /// The same dialect in a transaction of its own, or under a savepoint within one.
    pub(super) async fn begin_inner(&self) -> Result<Self> {
        Ok(self.within(self.session.begin_step(self.syntax.operation_isolation()).await?))
    }

    /// Ends what [`begin_inner`](Self::begin_inner) began: a result is kept, an error undoes it.
    pub(super) async fn finish<T>(self, result: Result<T>) -> Result<T> {
        match result {
            Ok(result) => {
                self.session.commit().await?;
                self.columns.committed();
                Ok(result)
            }
            Err(error) => {
                // The error that matters is the first one; a failed rollback leaves a broken connection, which
                // its pool drops.
                if let Err(failure) = self.session.rollback().await {
                    tracing::warn!(error = %failure, "a transaction could not be rolled back");
                }
                Err(error)
            }
        }
    }

    pub(super) fn report(&self, sql: &str) {
        if self.shared.config.show_sql {
            tracing::info!(target: SQL_EVENTS, sql);
        }
    }
}

#[async_trait]
impl Dialect for SqlDialect {
    fn kind(&self) -> DialectKind {
        self.syntax.kind()
    }

    async fn test_connection(&self) -> Result<()> {
        self.session.fetch(Access::Read, "SELECT 1", &[]).await.map(drop)
    }

    async fn disconnect(&self) -> Result<()> {
        if self.shared.disconnected.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let dropped = match self.shared.config.schema_strategy {
            SchemaStrategy::CreateDrop => self.drop_tables(&self.shared.registered()).await,
            _ => Ok(()),
        };
        self.session.close().await;
        dropped
    }

    async fn init_schema(&self, schemas: &[Arc<EntitySchema>]) -> Result<()> {
        self.apply_strategy(schemas).await
    }

    async fn find(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        options: &FindOptions,
    ) -> Result<Vec<Record>> {
        self.select(schema, filter, options).await
    }

    async fn find_into(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        options: &FindOptions,
        rows: &mut dyn RowSink,
    ) -> Result<()> {
        self.select_into(schema, filter, options, rows).await
    }

    async fn count(&self, schema: &EntitySchema, filter: &Filter, include_deleted: bool) -> Result<u64> {
        self.select_count(schema, filter, include_deleted).await
    }

    async fn create(&self, schema: &EntitySchema, record: Record) -> Result<Record> {
        self.insert(schema, record).await
    }

    async fn create_into(&self, schema: &EntitySchema, record: Record, row: &mut dyn RowSink) -> Result<()> {
        self.insert_into(schema, record, row).await
    }

    async fn update(&self, schema: &EntitySchema, id: &Value, changes: Record) -> Result<Option<Record>> {
        self.change(schema, identity_filter(schema, id)?, changes).await
    }

    async fn delete(&self, schema: &EntitySchema, id: &Value) -> Result<bool> {
        self.remove(schema, id).await
    }

    async fn upsert(&self, schema: &EntitySchema, filter: &Filter, record: Record) -> Result<Upserted> {
        self.upsert_row(schema, filter, record).await
    }

    async fn update_many(&self, schema: &EntitySchema, filter: &Filter, changes: Record) -> Result<u64> {
        self.change_all(schema, filter, changes).await
    }

    async fn delete_many(&self, schema: &EntitySchema, filter: &Filter) -> Result<u64> {
        self.remove_all(schema, filter).await
    }

    async fn distinct(&self, schema: &EntitySchema, field: &str, filter: &Filter) -> Result<Vec<Value>> {
        self.distinct_values(schema, field, filter).await
    }

    async fn aggregate(&self, schema: &EntitySchema, pipeline: &Pipeline) -> Result<Vec<Record>> {
        self.aggregate_rows(schema, pipeline).await
    }

    async fn increment(
        &self,
        schema: &EntitySchema,
        id: &Value,
        field: &str,
        amount: &Value,
    ) -> Result<Option<Record>> {
        self.add_amount(schema, id, field, amount).await
    }

    async fn add_to_set(
        &self,
        schema: &EntitySchema,
        id: &Value,
        field: &str,
        value: Value,
    ) -> Result<Option<Record>> {
        self.change_items(schema, id, field, ItemChange::Add, value).await
    }

    async fn pull(
        &self,
        schema: &EntitySchema,
        id: &Value,
        field: &str,
        value: &Value,
    ) -> Result<Option<Record>> {
        self.change_items(schema, id, field, ItemChange::Pull, value.clone()).await
    }

    async fn search(
        &self,
        schema: &EntitySchema,
        text: &str,
        fields: &[String],
        options: &FindOptions,
    ) -> Result<Vec<Record>> {
        self.select(schema, &super::search::containing(schema, text, fields)?, options).await
    }

    async fn links(
        &self,
        schema: &EntitySchema,
        relation: &str,
        ids: &[Value],
    ) -> Result<Vec<(Value, Value)>> {
        self.read_links(schema, relation, ids).await
    }

    async fn drop_table(&self, collection: &str) -> Result<()> {
        self.drop_collection(collection).await
    }

    async fn truncate_table(&self, collection: &str) -> Result<()> {
        self.empty_collection(collection).await
    }

    async fn drop_schema(&self, schemas: &[Arc<EntitySchema>]) -> Result<Vec<String>> {
        self.drop_entities(schemas).await
    }

    async fn truncate_all(&self, schemas: &[Arc<EntitySchema>]) -> Result<Vec<String>> {
        self.empty_entities(schemas).await
    }

    async fn drop_all_tables(&self) -> Result<()> {
        self.drop_everything().await
    }

    async fn execute_query(&self, statement: &str, params: Vec<Value>) -> Result<Vec<Record>> {
        self.report(statement);
        Ok(self.session.fetch(Access::Raw, statement, &params).await?.into_records())
    }

    async fn execute_run(&self, statement: &str, params: Vec<Value>) -> Result<u64> {
        self.report(statement);
        self.session.execute(Access::Raw, statement, &params).await
    }

    async fn begin(&self, isolation: Option<Isolation>) -> Result<Arc<dyn Transaction>> {
        let session = self.session.begin(isolation).await?;
        Ok(Arc::new(self.within(session)))
    }

    async fn begin_step(&self) -> Result<Arc<dyn Transaction>> {
        let session = self.session.begin_step(None).await?;
        Ok(Arc::new(self.within(session)))
    }

    fn share_transaction(&self) -> Option<Box<dyn SharedTransaction + '_>> {
        self.session.share_transaction()
    }

    fn tables(&self) -> Option<&dyn TableStore> {
        self.store.as_deref()
    }
}

#[async_trait]
impl Transaction for SqlDialect {
    async fn commit(&self) -> Result<()> {
        self.session.commit().await?;
        self.columns.committed();
        Ok(())
    }

    async fn rollback(&self) -> Result<()> {
        self.session.rollback().await
    }
}
