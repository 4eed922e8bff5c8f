//! A dialect that an application brings: an object in JavaScript, seen by the core as a database.
//!
//! Only what replication needs goes this way. The rows of entities are reached through the object itself.

mod call;
mod tables;

use std::sync::Arc;

use async_trait::async_trait;
use data::table::TableStore;
use data::{
    Dialect, DialectKind, EntitySchema, Error, ErrorKind, Filter, FindOptions, Isolation, Record, Result,
    Transaction, Upserted, Value,
};

use call::{ForeignCall, Request};
use tables::ForeignTables;

pub(crate) use call::ForeignFunction;

/// A database behind an object in JavaScript.
pub(crate) struct ForeignDialect {
    call: Arc<ForeignCall>,
    tables: ForeignTables,
}

impl ForeignDialect {
    /// Has the object connected and the tables of its entities brought into being.
    ///
    /// # Errors
    /// What the object says.
    pub(crate) async fn connect(
        function: ForeignFunction,
        schemas: Vec<Arc<EntitySchema>>,
    ) -> Result<Arc<dyn Dialect>> {
        let call = Arc::new(ForeignCall::new(function));
        call.run("connect", &Request::default()).await?;
        Ok(Arc::new(Self { tables: ForeignTables::new(Arc::clone(&call), schemas), call }))
    }
}

#[async_trait]
impl Dialect for ForeignDialect {
    fn kind(&self) -> DialectKind {
        DialectKind::Foreign
    }

    async fn test_connection(&self) -> Result<()> {
        self.call.run("testConnection", &Request::default()).await
    }

    async fn disconnect(&self) -> Result<()> {
        self.call.run("disconnect", &Request::default()).await
    }

    /// The object has done it as it connected.
    async fn init_schema(&self, _schemas: &[Arc<EntitySchema>]) -> Result<()> {
        Ok(())
    }

    async fn find(&self, schema: &EntitySchema, _: &Filter, _: &FindOptions) -> Result<Vec<Record>> {
        Err(through_the_object(&schema.name))
    }

    async fn count(&self, schema: &EntitySchema, _: &Filter, _: bool) -> Result<u64> {
        Err(through_the_object(&schema.name))
    }

    async fn create(&self, schema: &EntitySchema, _: Record) -> Result<Record> {
        Err(through_the_object(&schema.name))
    }

    async fn update(&self, schema: &EntitySchema, _: &Value, _: Record) -> Result<Option<Record>> {
        Err(through_the_object(&schema.name))
    }

    async fn delete(&self, schema: &EntitySchema, _: &Value) -> Result<bool> {
        Err(through_the_object(&schema.name))
    }

    async fn upsert(&self, schema: &EntitySchema, _: &Filter, _: Record) -> Result<Upserted> {
        Err(through_the_object(&schema.name))
    }

    async fn execute_query(&self, _: &str, _: Vec<Value>) -> Result<Vec<Record>> {
        Err(through_the_object("a statement"))
    }

    async fn execute_run(&self, _: &str, _: Vec<Value>) -> Result<u64> {
        Err(through_the_object("a statement"))
    }

    async fn begin(&self, _: Option<Isolation>) -> Result<Arc<dyn Transaction>> {
        Err(through_the_object("a transaction"))
    }

    fn tables(&self) -> Option<&dyn TableStore> {
        Some(&self.tables)
    }
}

fn through_the_object(what: &str) -> Error {
    let message = format!("{what}: a dialect of the application's own is used through its own object");
    Error::new(ErrorKind::Unsupported, message)
}
