//! What is known of the columns that tables have now.
//!
//! Statements name their columns one by one: with `*`, a statement prepared before another process added a column
//! would be refused by PostgreSQL within a transaction, and misread by sqlx's SQLite driver.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::fields::Fields;
use super::session::{LiveColumns, SqlSession};
use crate::error::Result;
use crate::schema::EntitySchema;

/// How long a column that another process adds may go unnoticed.
const FRESH: Duration = Duration::from_secs(2);

/// The columns of tables as they were read lately. A transaction has a view of its own, because what it changes may
/// be undone.
#[derive(Default)]
pub(super) struct ColumnCache {
    known: Mutex<Known>,
    outer: Option<Arc<ColumnCache>>,
}

#[derive(Default)]
struct Known {
    tables: HashMap<String, (Instant, Arc<LiveColumns>)>,
    /// The tables that were changed through this view.
    changed: HashSet<String>,
    /// The fields of entities as they were made last, by the entity's name.
    fields: HashMap<String, EntityFields>,
}

/// What the fields of an entity were made of, and what came of it.
struct EntityFields {
    schema: EntitySchema,
    live: Arc<LiveColumns>,
    fields: Arc<Fields>,
}

impl ColumnCache {
    /// The view of a transaction within this one.
    pub(super) fn inner(self: &Arc<Self>) -> Arc<Self> {
        let known = Known { tables: self.lock().tables.clone(), ..Known::default() };
        Arc::new(Self { known: Mutex::new(known), outer: Some(Arc::clone(self)) })
    }

    /// The columns of a table; `None` if there is no such table.
    pub(super) async fn get(
        &self,
        session: &dyn SqlSession,
        table: &str,
    ) -> Result<Option<Arc<LiveColumns>>> {
        match self.lock().tables.get(table) {
            Some((read, columns)) if read.elapsed() < FRESH => return Ok(Some(Arc::clone(columns))),
            _ => {}
        }
        self.reload(session, table).await
    }

    /// The columns of a table as the database has them at this moment.
    pub(super) async fn reload(
        &self,
        session: &dyn SqlSession,
        table: &str,
    ) -> Result<Option<Arc<LiveColumns>>> {
        let read = Instant::now();
        let Some(columns) = session.live_columns(table).await?.map(Arc::new) else {
            self.forget(table);
            return Ok(None);
        };
        self.lock().tables.insert(table.to_owned(), (read, Arc::clone(&columns)));
        Ok(Some(columns))
    }

    /// The fields of an entity whose table has these columns.
    pub(super) fn fields(&self, schema: &EntitySchema, live: &Arc<LiveColumns>) -> Arc<Fields> {
        let mut known = self.lock();
        match known.fields.get(&schema.name) {
            Some(made) if Arc::ptr_eq(&made.live, live) && made.schema.is_same_as(schema) => {
                Arc::clone(&made.fields)
            }
            _ => {
                let fields = Arc::new(Fields::declared(schema).with_live(live));
                let made = EntityFields {
                    schema: schema.clone(),
                    live: Arc::clone(live),
                    fields: Arc::clone(&fields),
                };
                known.fields.insert(schema.name.clone(), made);
                fields
            }
        }
    }

    pub(super) fn forget(&self, table: &str) {
        self.lock().tables.remove(table);
    }

    /// Notes that a table was changed.
    pub(super) fn changed(&self, table: &str) {
        let mut known = self.lock();
        known.tables.remove(table);
        known.changed.insert(table.to_owned());
    }

    /// Passes on what a committed transaction has changed.
    pub(super) fn committed(&self) {
        let Some(outer) = &self.outer else { return };
        let changed = std::mem::take(&mut self.lock().changed);
        changed.iter().for_each(|table| outer.changed(table));
    }

    /// Forgets everything, as it seems to be wrong.
    pub(super) fn forget_all(&self) {
        self.lock().tables.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
