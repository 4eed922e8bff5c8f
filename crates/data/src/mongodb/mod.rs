//! MongoDB, on the driver `mongodb`.

mod aggregate;
mod alter;
mod apply;
mod atomic;
mod bson;
mod bulk;
mod collections;
mod command;
mod connect;
mod crud;
mod cursor;
mod decimal;
mod error;
mod expression;
mod extended;
mod fields;
mod filter;
mod group;
mod identity;
mod index;
mod infer;
mod json_filter;
mod key;
mod log;
mod many;
mod pipeline;
mod plain_json;
mod record;
mod rows;
mod scan;
mod schema;
mod search;
mod tables;
mod transaction;
mod unlink;
mod upsert;
mod write;

use std::sync::Arc;

use ::mongodb::bson::doc;
use async_trait::async_trait;

use self::connect::Connection;
use self::tables::Tables;
use self::transaction::{Loan, PinnedSession};
use crate::aggregate::Pipeline;
use crate::config::ConnectionConfig;
use crate::dialect::{Dialect, DialectKind, Isolation, Transaction, Upserted};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Filter, FindOptions};
use crate::record::Record;
use crate::rows::RowSink;
use crate::schema::EntitySchema;
use crate::table::TableStore;
use crate::value::Value;

/// Connects to MongoDB and makes one round trip.
///
/// # Errors
/// [`ErrorKind::Config`], [`ErrorKind::Connection`], [`ErrorKind::Authentication`]; no message holds the password.
pub(crate) async fn open(config: &ConnectionConfig) -> Result<Arc<dyn Dialect>> {
    let connection = Arc::new(Connection::open(config).await?);
    let tables = Tables::new(Arc::clone(&connection));
    Ok(Arc::new(MongoDialect { connection, transaction: None, tables: Some(tables) }))
}

/// MongoDB as rows of entities: over the pool, or within one transaction.
struct MongoDialect {
    connection: Arc<Connection>,
    transaction: Option<PinnedSession>,
    tables: Option<Tables>,
}

impl MongoDialect {
    /// The session of the transaction for one operation, or none over the pool.
    async fn lend(&self) -> Result<Loan<'_>> {
        self.connection.check_open()?;
        let loan = match &self.transaction {
            Some(transaction) => transaction.lend().await?,
            None => Loan::pooled(),
        };
        Ok(loan.on(self.connection.slot().await?))
    }
}

#[async_trait]
impl Dialect for MongoDialect {
    fn kind(&self) -> DialectKind {
        DialectKind::Mongodb
    }

    async fn test_connection(&self) -> Result<()> {
        let mut loan = self.lend().await?;
        // A ping may not be part of a transaction; it shows as well that the server is there.
        let pong = self.connection.database.run_command(doc! {"ping": 1}).await;
        loan.check(pong).map(drop)
    }

    async fn disconnect(&self) -> Result<()> {
        match &self.transaction {
            Some(transaction) => transaction.rollback().await,
            None => self.connection.close().await,
        }
    }

    async fn init_schema(&self, schemas: &[Arc<EntitySchema>]) -> Result<()> {
        if self.transaction.is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "collections cannot be made within a transaction",
            ));
        }
        schema::init_schema(&self.connection, schemas).await
    }

    async fn find(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        options: &FindOptions,
    ) -> Result<Vec<Record>> {
        self.find_records(schema, filter, options).await
    }

    async fn find_into(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        options: &FindOptions,
        rows: &mut dyn RowSink,
    ) -> Result<()> {
        self.find_rows_into(schema, filter, options, rows).await
    }

    async fn count(&self, schema: &EntitySchema, filter: &Filter, include_deleted: bool) -> Result<u64> {
        self.count_records(schema, filter, include_deleted).await
    }

    async fn create(&self, schema: &EntitySchema, record: Record) -> Result<Record> {
        self.insert_record(schema, record).await
    }

    async fn update(&self, schema: &EntitySchema, id: &Value, changes: Record) -> Result<Option<Record>> {
        self.update_record(schema, id, changes).await
    }

    async fn delete(&self, schema: &EntitySchema, id: &Value) -> Result<bool> {
        self.delete_record(schema, id).await
    }

    async fn upsert(&self, schema: &EntitySchema, filter: &Filter, record: Record) -> Result<Upserted> {
        self.upsert_record(schema, filter, record).await
    }

    async fn update_many(&self, schema: &EntitySchema, filter: &Filter, changes: Record) -> Result<u64> {
        self.update_records(schema, filter, changes).await
    }

    async fn delete_many(&self, schema: &EntitySchema, filter: &Filter) -> Result<u64> {
        self.delete_records(schema, filter).await
    }

    async fn distinct(&self, schema: &EntitySchema, field: &str, filter: &Filter) -> Result<Vec<Value>> {
        self.distinct_values(schema, field, filter).await
    }

    async fn aggregate(&self, schema: &EntitySchema, pipeline: &Pipeline) -> Result<Vec<Record>> {
        self.aggregate_records(schema, pipeline).await
    }

    async fn increment(
        &self,
        schema: &EntitySchema,
        id: &Value,
        field: &str,
        amount: &Value,
    ) -> Result<Option<Record>> {
        self.add_to_number(schema, id, field, amount).await
    }

    async fn add_to_set(
        &self,
        schema: &EntitySchema,
        id: &Value,
        field: &str,
        value: Value,
    ) -> Result<Option<Record>> {
        self.add_item(schema, id, field, value).await
    }

    async fn pull(
        &self,
        schema: &EntitySchema,
        id: &Value,
        field: &str,
        value: &Value,
    ) -> Result<Option<Record>> {
        self.remove_items(schema, id, field, value).await
    }

    async fn search(
        &self,
        schema: &EntitySchema,
        text: &str,
        fields: &[String],
        options: &FindOptions,
    ) -> Result<Vec<Record>> {
        self.search_records(schema, text, fields, options).await
    }

    async fn links(
        &self,
        schema: &EntitySchema,
        relation: &str,
        ids: &[Value],
    ) -> Result<Vec<(Value, Value)>> {
        self.listed_ids(schema, relation, ids).await
    }

    async fn unlink(&self, schema: &EntitySchema, relation: &str, ids: &[Value]) -> Result<()> {
        self.unlink_ids(schema, relation, ids).await
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
        self.drop_all_collections().await
    }

    async fn execute_query(&self, statement: &str, params: Vec<Value>) -> Result<Vec<Record>> {
        self.run_for_records(statement, &params).await
    }

    async fn execute_run(&self, statement: &str, params: Vec<Value>) -> Result<u64> {
        self.run_for_count(statement, &params).await
    }

    async fn begin(&self, isolation: Option<Isolation>) -> Result<Arc<dyn Transaction>> {
        if self.transaction.is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "MongoDB has no savepoints: a transaction cannot be started within another",
            ));
        }
        let transaction = PinnedSession::begin(&self.connection, isolation).await?;
        let connection = Arc::clone(&self.connection);
        Ok(Arc::new(Self { connection, transaction: Some(transaction), tables: None }))
    }

    fn tables(&self) -> Option<&dyn TableStore> {
        self.tables.as_ref().map(|tables| tables as &dyn TableStore)
    }
}

#[async_trait]
impl Transaction for MongoDialect {
    async fn commit(&self) -> Result<()> {
        match &self.transaction {
            Some(transaction) => transaction.commit().await,
            None => Err(Error::new(ErrorKind::Transaction, "no transaction was started")),
        }
    }

    async fn rollback(&self) -> Result<()> {
        match &self.transaction {
            Some(transaction) => transaction.rollback().await,
            None => Ok(()),
        }
    }
}
