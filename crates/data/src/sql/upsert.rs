//! Update the first row that passes a filter, else insert one.

use super::dialect::SqlDialect;
use crate::dialect::Upserted;
use crate::error::{ErrorKind, Result};
use crate::filter::{Condition, Filter};
use crate::record::{Record, implied_filter};
use crate::schema::EntitySchema;

/// How often an insert that another one overtook is tried again as an update.
const ATTEMPTS: usize = 3;
/// How often a transaction of its own is tried again that the database ended in favour of another one.
const COLLISION_ATTEMPTS: usize = 10;

impl SqlDialect {
    pub(super) async fn upsert_row(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        record: Record,
    ) -> Result<Upserted> {
        let inserted = with_equalities(filter, record.clone());
        let filter = implied_filter(schema, filter.clone(), false);
        self.prepare_columns(schema, &inserted).await?;
        let mut attempt = 1;
        loop {
            let inner = self.begin_inner().await?;
            let result = inner.update_or_insert(schema, &filter, record.clone(), inserted.clone()).await;
            match inner.finish(result).await {
                // MySQL ends one of several transactions that insert the same key as a deadlock. Within a transaction of
                // the caller, only the caller can begin again.
                Err(error)
                    if error.kind() == ErrorKind::Conflict
                        && !self.is_transaction()
                        && attempt < COLLISION_ATTEMPTS =>
                {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn update_or_insert(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        changes: Record,
        inserted: Record,
    ) -> Result<Upserted> {
        let mut attempt = 1;
        loop {
            if let Some(record) = self.change_first(schema, filter, changes.clone()).await? {
                return Ok(Upserted { record, created: false });
            }
            // The insert runs under a savepoint: if another process inserts the same key first, only the insert is
            // undone, and its row is updated in the next turn.
            let nested = self.begin_inner().await?;
            let result = nested.insert(schema, inserted.clone()).await;
            match nested.finish(result).await {
                Ok(record) => return Ok(Upserted { record, created: true }),
                Err(error) if error.kind() == ErrorKind::UniqueViolation && attempt < ATTEMPTS => {
                    attempt += 1
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// The record, completed by what the filter says it must equal.
fn with_equalities(filter: &Filter, mut record: Record) -> Record {
    fill(filter, &mut record);
    record
}

fn fill(filter: &Filter, record: &mut Record) {
    match filter {
        Filter::All(parts) => parts.iter().for_each(|part| fill(part, record)),
        Filter::Field(path, Condition::Eq(value)) if path.below.is_empty() && !value.is_null() => {
            record.entry(path.field.clone()).or_insert_with(|| value.clone());
        }
        Filter::Any(_) | Filter::Field(..) => {}
    }
}
