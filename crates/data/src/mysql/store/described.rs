//! The tables described so far.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::catalog::{self, Described};
use super::super::pool::Link;
use super::stored::StoredTable;
use crate::error::{Error, ErrorKind, Result};
use crate::table::Table;

/// Tables as the catalogue has them, by name.
#[derive(Default)]
pub(super) struct DescribedTables(Mutex<HashMap<String, Arc<Described>>>);

impl DescribedTables {
    /// Describes a table anew.
    pub(super) async fn describe(&self, link: &mut Link, name: &str) -> Result<Option<Arc<Described>>> {
        let Some(described) = catalog::describe(link, name).await?.map(Arc::new) else { return Ok(None) };
        self.lock().insert(described.table.name.clone(), Arc::clone(&described));
        Ok(Some(described))
    }

    /// The last description of a table.
    pub(super) fn known(&self, name: &str) -> Option<Arc<Described>> {
        self.lock().get(name).cloned()
    }

    /// Has a table described anew the next time.
    pub(super) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    /// How the columns of a table are stored.
    pub(super) async fn stored<'a>(&self, link: &mut Link, table: &'a Table) -> Result<StoredTable<'a>> {
        let described = match self.known(&table.name) {
            Some(described) => described,
            None => self.describe(link, &table.name).await?.ok_or_else(|| unknown_table(&table.name))?,
        };
        Ok(StoredTable::new(table, &described))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Described>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn unknown_table(name: &str) -> Error {
    Error::new(ErrorKind::UnknownTable, format!("table \"{name}\" does not exist"))
}
