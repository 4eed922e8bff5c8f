//! The schema strategies: bringing the tables of registered entities into being.

use std::sync::Arc;

use super::ddl::{Ddl, ForeignKey};
use super::dialect::SqlDialect;
use super::junction::Junction;
use super::session::{Access, LiveColumns};
use crate::config::SchemaStrategy;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{Column, EntitySchema, FieldType, ID};

/// How often a change of the schema is tried again when another process makes the same one.
const ATTEMPTS: usize = 5;

impl SqlDialect {
    pub(super) async fn apply_strategy(&self, schemas: &[Arc<EntitySchema>]) -> Result<()> {
        let known = self.shared.registered();
        self.shared.register(schemas);
        let strategy = self.shared.config.schema_strategy;
        match strategy {
            SchemaStrategy::None => Ok(()),
            SchemaStrategy::Validate => self.validate(schemas).await,
            SchemaStrategy::Update | SchemaStrategy::Create | SchemaStrategy::CreateDrop => {
                self.check_names(schemas)?;
                let drop_first = strategy != SchemaStrategy::Update;
                self.change_schema(Change::Complete { schemas, known: &known, drop_first }).await
            }
        }
    }

    /// Drops the tables of these entities, with their junctions.
    pub(super) async fn drop_tables(&self, schemas: &[Arc<EntitySchema>]) -> Result<()> {
        self.change_schema(Change::Drop(schemas)).await
    }

    /// Adds a column that a written key asks for.
    pub(super) async fn add_column(&self, table: &str, name: &str, field_type: FieldType) -> Result<()> {
        self.check_new_column(table, name)?;
        self.change_schema(Change::AddColumn { table, name, field_type }).await
    }

    async fn add_live_column(&self, table: &str, name: &str, field_type: FieldType) -> Result<()> {
        let live = self.session.live_columns(table).await?.unwrap_or_default();
        let column_type = self.syntax.added_column_type(field_type);
        if !live.contains_key(name) {
            let (table, name) = (self.syntax.quote(table), self.syntax.quote(name));
            self.run(&format!("ALTER TABLE {table} ADD COLUMN {name} {column_type}")).await?;
        }
        self.columns.changed(table);
        Ok(())
    }

    async fn validate(&self, schemas: &[Arc<EntitySchema>]) -> Result<()> {
        for schema in schemas {
            let table = self.table(schema);
            if self.session.live_columns(&table).await?.is_none() {
                return Err(Error::new(
                    ErrorKind::UnknownTable,
                    format!("Schema validation failed: table \"{table}\" does not exist"),
                ));
            }
        }
        Ok(())
    }

    /// Creates what is missing: tables, columns, foreign keys of both, junctions and indexes.
    async fn complete(&self, schemas: &[Arc<EntitySchema>], known: &[Arc<EntitySchema>]) -> Result<()> {
        let prefix = self.shared.config.table_prefix.as_str();
        let mut foreign_keys = Vec::new();
        for schema in schemas {
            let ddl = Ddl { schema, prefix, syntax: self.syntax };
            let keys = self.foreign_keys(schema, schemas, known).await?;
            let added: Vec<String> = match self.session.live_columns(&ddl.table()).await? {
                None => {
                    self.run(&ddl.create_table(&keys)).await?;
                    keys.iter().map(|key| key.column.to_owned()).collect()
                }
                Some(live) => self.add_missing(&ddl, &live, &keys).await?,
            };
            if !self.syntax.inline_foreign_keys() {
                let new = keys.iter().filter(|key| added.iter().any(|column| column == key.column));
                foreign_keys.extend(new.map(|key| ddl.add_foreign_key(key)));
            }
            self.columns.changed(&ddl.table());
            for junction in ddl.junctions() {
                self.run(&junction).await?;
            }
            self.make_indexes(ddl.indexes()).await?;
        }
        // Only now every table exists, whatever the order and the cycles.
        for statement in foreign_keys {
            match self.run(&statement).await {
                // The table referred to was made by others, whose text sorts otherwise.
                Err(error) if self.syntax.cannot_refer(&error) => {
                    tracing::warn!(%error, "a reference is kept without a foreign key");
                }
                result => result?,
            }
        }
        Ok(())
    }

    async fn add_missing(
        &self,
        ddl: &Ddl<'_>,
        live: &LiveColumns,
        keys: &[ForeignKey<'_>],
    ) -> Result<Vec<String>> {
        let mut added = Vec::new();
        let missing = |column: &Column<'_>| !live.contains_key(column.name()) && *column != Column::Id;
        for column in ddl.schema.columns().into_iter().filter(missing) {
            self.run(&ddl.add_column(&column, keys)).await?;
            self.make_indexes(ddl.unique_index(&column)).await?;
            added.push(column.name().to_owned());
        }
        Ok(added)
    }

    async fn make_indexes(&self, statements: Vec<String>) -> Result<()> {
        for statement in statements {
            match self.run(&statement).await {
                Err(error) if self.syntax.is_made_already(&error) => {}
                result => result?,
            }
        }
        Ok(())
    }

    /// The references whose target is registered, or is a table already.
    async fn foreign_keys<'a>(
        &self,
        schema: &'a EntitySchema,
        schemas: &[Arc<EntitySchema>],
        known: &[Arc<EntitySchema>],
    ) -> Result<Vec<ForeignKey<'a>>> {
        let mut keys = Vec::new();
        for (name, relation) in schema.relations.iter().filter(|(_, relation)| relation.kind.has_column()) {
            let column = relation.column(name);
            let registered = |schemas: &[Arc<EntitySchema>]| {
                schemas.iter().find(|schema| schema.name == relation.target).map(|schema| self.table(schema))
            };
            let target = match registered(schemas) {
                Some(table) => Some(table),
                None => {
                    let unregistered =
                        format!("{}{}", self.shared.config.table_prefix, relation.target.to_lowercase());
                    let table = registered(known).unwrap_or(unregistered);
                    // An id of another type could not be referred to by a text column.
                    let live = self.session.live_columns(&table).await?;
                    live.is_some_and(|live| live.get(ID).is_some_and(|id| is_text(*id))).then_some(table)
                }
            };
            if let Some(target) = target {
                keys.push(ForeignKey { column, relation, target });
            }
        }
        Ok(keys)
    }

    async fn drop_each(&self, schemas: &[Arc<EntitySchema>]) -> Result<()> {
        for schema in schemas {
            for junction in Junction::all(schema, &self.shared.config.table_prefix) {
                self.drop_one(&junction.table).await?;
            }
            self.drop_one(&self.table(schema)).await?;
        }
        Ok(())
    }

    /// Drops a table, given with the prefix, if it exists. A change of the schema is under way.
    pub(super) async fn drop_one(&self, table: &str) -> Result<()> {
        self.run(&self.syntax.drop_table(&self.syntax.quote(table))).await?;
        self.columns.changed(table);
        Ok(())
    }

    async fn run(&self, sql: &str) -> Result<()> {
        self.report(sql);
        self.session.execute(Access::Write, sql, &[]).await.map(drop)
    }

    /// Makes a change of the schema in one transaction; if another process makes the same change, again.
    pub(super) async fn change_schema(&self, change: Change<'_>) -> Result<()> {
        let only_rows = matches!(change, Change::Empty(_));
        if self.is_transaction() && !self.syntax.transactional_ddl() && !only_rows {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "this database ends a transaction when a table is created, dropped or given a column; do that outside \
                 of the transaction",
            ));
        }
        let mut attempt = 1;
        loop {
            let inner = self.within(self.session.begin_schema_change().await?);
            let result = inner.apply(change).await;
            match inner.finish(result).await {
                Err(error) if is_overtaken(&error) && attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    async fn apply(&self, change: Change<'_>) -> Result<()> {
        match change {
            Change::Complete { schemas, known, drop_first } => {
                if drop_first {
                    self.drop_each(schemas).await?;
                }
                self.complete(schemas, known).await
            }
            Change::Drop(schemas) => self.drop_each(schemas).await,
            Change::DropTables(tables) => self.drop_named(tables).await,
            Change::DropEverything => self.drop_listed().await,
            Change::Empty(tables) => self.empty_named(tables).await,
            Change::AddColumn { table, name, field_type } => {
                self.add_live_column(table, name, field_type).await
            }
        }
    }
}

/// A change of the schema.
#[derive(Clone, Copy)]
pub(super) enum Change<'a> {
    /// Create what these entities lack, given those registered before; perhaps dropping their tables first.
    Complete {
        schemas: &'a [Arc<EntitySchema>],
        known: &'a [Arc<EntitySchema>],
        drop_first: bool,
    },
    Drop(&'a [Arc<EntitySchema>]),
    /// Drop the tables of these names.
    DropTables(&'a [String]),
    /// Drop every table of the application.
    DropEverything,
    /// Delete the rows of the tables of these names.
    Empty(&'a [String]),
    AddColumn {
        table: &'a str,
        name: &'a str,
        field_type: FieldType,
    },
}

/// Whether another process may just have made the same change. PostgreSQL reports that as a violated index of its
/// catalogue.
fn is_overtaken(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::UniqueViolation | ErrorKind::Conflict)
}

fn is_text(field_type: FieldType) -> bool {
    matches!(field_type, FieldType::String | FieldType::Text)
}
