//! Dropping and emptying collections.

use std::collections::HashSet;
use std::sync::Arc;

use mongodb::bson::Document;

use super::MongoDialect;
use super::schema::{collection_names, drop_collections};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::EntitySchema;
use crate::table::TableStore;

impl MongoDialect {
    pub(super) async fn drop_collection(&self, collection: &str) -> Result<()> {
        self.check_no_transaction()?;
        drop_collections(&self.connection, &[self.connection.prefixed(collection)?]).await
    }

    pub(super) async fn empty_collection(&self, collection: &str) -> Result<()> {
        let name = self.connection.prefixed(collection)?;
        let mut loan = self.lend().await?;
        self.connection.trace("delete", &name);
        let collection = self.connection.collection(&name);
        let mut delete = collection.delete_many(Document::new());
        if let Some(session) = loan.session() {
            delete = delete.session(session);
        }
        let deleted = delete.await;
        loan.check(deleted).map(drop).map_err(|error| error.in_context(&name))
    }

    /// Drops the collections of entities; the names, without the prefix, of those that were there.
    pub(super) async fn drop_entities(&self, schemas: &[Arc<EntitySchema>]) -> Result<Vec<String>> {
        self.check_no_transaction()?;
        let collections = self.existing(schemas).await?;
        for collection in &collections {
            self.drop_collection(collection).await?;
        }
        Ok(collections)
    }

    /// Empties the collections of entities; the names, without the prefix, of those that were there.
    pub(super) async fn empty_entities(&self, schemas: &[Arc<EntitySchema>]) -> Result<Vec<String>> {
        self.connection.check_open()?;
        let collections = self.existing(schemas).await?;
        for collection in &collections {
            self.empty_collection(collection).await?;
        }
        Ok(collections)
    }

    /// Drops every collection with the prefix.
    pub(super) async fn drop_all_collections(&self) -> Result<()> {
        self.check_no_transaction()?;
        let Some(tables) = &self.tables else { return Ok(()) };
        let mut names = tables.list_tables().await?;
        names.retain(|name| name.starts_with(self.connection.prefix()));
        drop_collections(&self.connection, &names).await
    }

    async fn existing(&self, schemas: &[Arc<EntitySchema>]) -> Result<Vec<String>> {
        let existing = collection_names(&self.connection).await?;
        let mut seen = HashSet::new();
        let of_entities = schemas.iter().filter(|schema| {
            existing.contains(&self.connection.collection_name(schema)) && seen.insert(&schema.collection)
        });
        Ok(of_entities.map(|schema| schema.collection.clone()).collect())
    }

    fn check_no_transaction(&self) -> Result<()> {
        self.connection.check_open()?;
        if self.transaction.is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "MongoDB cannot drop collections within a transaction",
            ));
        }
        Ok(())
    }
}
