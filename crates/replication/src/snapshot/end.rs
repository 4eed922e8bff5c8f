//! One end of a rule.

use std::sync::Arc;

use data::table::{BatchStream, ReadSnapshot, ScanOptions, Table, TableStore};
use data::{Dialect, DialectKind, EntitySchema, Error, ErrorKind, Result, SchemaStrategy};

use super::links::{Link, LinkedTables};

/// One end of a rule or copy: tables, and the entities registered on them.
#[derive(Clone)]
pub(crate) struct End {
    place: Place,
    pub(crate) schemas: Vec<Arc<EntitySchema>>,
    /// The tables as a collection sees them whose many-to-many links stand in junctions.
    linked: Option<Arc<LinkedTables>>,
    /// Whether its tables may be changed after those of the other end.
    follows_schema: bool,
}

/// Where the tables are.
#[derive(Clone)]
enum Place {
    Database(Arc<dyn Dialect>),
    Files(Arc<dyn TableStore>),
}

impl End {
    /// A database.
    pub(crate) fn database(dialect: Arc<dyn Dialect>, schemas: Vec<Arc<EntitySchema>>) -> Self {
        Self { place: Place::Database(dialect), schemas, linked: None, follows_schema: true }
    }

    /// Files that are read or written.
    pub(crate) fn files(files: Arc<dyn TableStore>, schemas: Vec<Arc<EntitySchema>>) -> Self {
        Self { place: Place::Files(files), schemas, linked: None, follows_schema: true }
    }

    /// The same end with what its schema strategy says of changes to its tables.
    pub(crate) fn with_strategy(self, strategy: SchemaStrategy) -> Self {
        let follows_schema = !matches!(strategy, SchemaStrategy::Validate | SchemaStrategy::None);
        Self { follows_schema, ..self }
    }

    /// Whether its tables may be changed after those of the other end.
    pub(crate) fn follows_schema(&self) -> bool {
        self.follows_schema
    }

    /// The database, if it is one.
    pub(crate) fn dialect(&self) -> Option<&Arc<dyn Dialect>> {
        match &self.place {
            Place::Database(dialect) => Some(dialect),
            Place::Files(_) => None,
        }
    }

    /// The same end for one table, whose rows have the lists of these links as further columns.
    pub(super) fn with_links(&self, table: &str, links: Vec<Link>) -> Self {
        let Some(dialect) = self.dialect().filter(|_| !links.is_empty()) else {
            return self.clone();
        };
        let linked = LinkedTables::new(Arc::clone(dialect), table.to_owned(), links);
        Self { linked: Some(Arc::new(linked)), ..self.clone() }
    }

    /// The tables of the database, or those in the files.
    pub(crate) fn tables(&self) -> Result<&dyn TableStore> {
        match (&self.linked, &self.place) {
            (Some(linked), _) => Ok(linked.as_ref()),
            (None, Place::Database(dialect)) => dialect.tables().ok_or_else(|| {
                Error::new(ErrorKind::Unsupported, "a transaction cannot be an end of a replication rule")
            }),
            (None, Place::Files(files)) => Ok(files.as_ref()),
        }
    }

    /// Reads a table of this end in a snapshot that was opened for all of its tables.
    pub(crate) async fn scan_in(
        &self,
        snapshot: &dyn ReadSnapshot,
        table: Arc<Table>,
        options: ScanOptions,
    ) -> Result<BatchStream> {
        match &self.linked {
            Some(linked) => linked.scan_in(snapshot, table, options).await,
            None => snapshot.scan(table, options).await,
        }
    }

    /// Whether rows may have any fields.
    pub(crate) fn is_schemaless(&self) -> bool {
        self.dialect().is_some_and(|dialect| dialect.kind().is_schemaless())
    }

    /// Whether the null of JSON is another value than a missing one here.
    pub(super) fn holds_json_null(&self) -> bool {
        self.dialect().is_none_or(|dialect| dialect.kind().has_json_null())
    }

    /// Whether links of a many-to-many relation are rows of a junction table here.
    pub(crate) fn has_junctions(&self) -> bool {
        self.dialect().is_some_and(|dialect| dialect.kind().has_junctions())
    }

    /// Whether links of a many-to-many relation are lists within the rows here.
    pub(super) fn has_lists(&self) -> bool {
        self.is_schemaless() || self.is_foreign()
    }

    /// Whether this is a dialect that an application brings.
    pub(super) fn is_foreign(&self) -> bool {
        self.dialect().is_some_and(|dialect| dialect.kind() == DialectKind::Foreign)
    }
}
