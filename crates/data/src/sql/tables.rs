//! Dropping and emptying tables: one by name, those of entities, or all.
//!
//! All of it happens in one transaction in which foreign keys do not count, so the order does not matter, and other
//! tables that refer to these keep their rows.

use std::sync::Arc;

use super::dialect::SqlDialect;
use super::junction::Junction;
use super::strategy::Change;
use crate::error::Result;
use crate::schema::EntitySchema;

impl SqlDialect {
    pub(super) async fn drop_collection(&self, collection: &str) -> Result<()> {
        self.change_schema(Change::DropTables(&[self.prefixed(collection)])).await
    }

    pub(super) async fn empty_collection(&self, collection: &str) -> Result<()> {
        self.change_schema(Change::Empty(&[self.prefixed(collection)])).await
    }

    /// Drops the tables of these entities that exist; their names without the prefix, junctions first.
    pub(super) async fn drop_entities(&self, schemas: &[Arc<EntitySchema>]) -> Result<Vec<String>> {
        let names = self.existing(schemas).await?;
        let tables: Vec<String> = names.iter().map(|name| self.prefixed(name)).collect();
        self.change_schema(Change::DropTables(&tables)).await?;
        Ok(names)
    }

    /// Empties the tables of these entities that exist; their names without the prefix, junctions first.
    pub(super) async fn empty_entities(&self, schemas: &[Arc<EntitySchema>]) -> Result<Vec<String>> {
        let names = self.existing(schemas).await?;
        let tables: Vec<String> = names.iter().map(|name| self.prefixed(name)).collect();
        self.change_schema(Change::Empty(&tables)).await?;
        Ok(names)
    }

    /// Drops every table in the connection's own schema; with a prefix, those that carry it.
    pub(super) async fn drop_everything(&self) -> Result<()> {
        self.change_schema(Change::DropEverything).await
    }

    /// The tables of these entities that exist, each once, without the prefix.
    async fn existing(&self, schemas: &[Arc<EntitySchema>]) -> Result<Vec<String>> {
        let junctions = schemas.iter().flat_map(|schema| Junction::all(schema, ""));
        let junctions = junctions.map(|junction| junction.table);
        let collections = schemas.iter().map(|schema| schema.collection.clone());
        let mut names: Vec<String> = Vec::new();
        for name in junctions.chain(collections) {
            let is_new = !names.contains(&name);
            if is_new && self.session.live_columns(&self.prefixed(&name)).await?.is_some() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn prefixed(&self, name: &str) -> String {
        format!("{}{name}", self.shared.config.table_prefix)
    }

    /// Drops tables. A change of the schema is under way, here and in what follows.
    pub(super) async fn drop_named(&self, tables: &[String]) -> Result<()> {
        for table in tables {
            self.drop_one(table).await?;
        }
        Ok(())
    }

    pub(super) async fn drop_listed(&self) -> Result<()> {
        let mut tables = self.session.list_tables().await?;
        tables.retain(|table| table.starts_with(&self.shared.config.table_prefix));
        self.drop_named(&tables).await
    }

    pub(super) async fn empty_named(&self, tables: &[String]) -> Result<()> {
        let quoted: Vec<String> = tables.iter().map(|table| self.syntax.quote(table)).collect();
        self.session.empty_tables(&quoted).await
    }
}
