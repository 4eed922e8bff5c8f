//! One end of a rule.

use std::sync::Arc;

use data::table::{BatchStream, ReadSnapshot, ScanOptions, Table, TableStore};
use data::{Dialect, EntitySchema, Error, ErrorKind, Result};

use super::links::{Link, LinkedTables};

/// One end of a rule: a database and the entities registered on it.
#[derive(Clone)]
pub(crate) struct End {
    pub(crate) dialect: Arc<dyn Dialect>,
    pub(crate) schemas: Vec<Arc<EntitySchema>>,
    /// The tables as a collection sees them whose many-to-many links stand in junctions.
    linked: Option<Arc<LinkedTables>>,
}

impl End {
    pub(crate) fn new(dialect: Arc<dyn Dialect>, schemas: Vec<Arc<EntitySchema>>) -> Self {
        Self { dialect, schemas, linked: None }
    }

    /// The same end for one table, whose rows have the lists of these links as further columns.
    pub(super) fn with_links(&self, table: &str, links: Vec<Link>) -> Self {
        if links.is_empty() {
            return self.clone();
        }
        let linked = LinkedTables::new(Arc::clone(&self.dialect), table.to_owned(), links);
        Self { linked: Some(Arc::new(linked)), ..self.clone() }
    }

    /// The tables of the database.
    pub(crate) fn tables(&self) -> Result<&dyn TableStore> {
        match &self.linked {
            Some(linked) => Ok(linked.as_ref()),
            None => self.dialect.tables().ok_or_else(|| {
                Error::new(ErrorKind::Unsupported, "a transaction cannot be an end of a replication rule")
            }),
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

    /// Whether links of a many-to-many relation are rows of a junction table here.
    pub(super) fn has_junctions(&self) -> bool {
        self.dialect.kind().has_junctions()
    }

    /// Whether links of a many-to-many relation are lists within documents here.
    pub(super) fn has_lists(&self) -> bool {
        self.dialect.kind().is_schemaless()
    }
}
