//! The operations on an entity whose relations are seen to.

use std::borrow::Cow;
use std::sync::Arc;

use super::cascade::Cascade;
use super::consequence::has_consequences;
use super::link::{Link, is_owning, link_of};
use super::load::fill;
use super::mirror::with_mirrored_junctions;
use super::nested::{concerns_others, without_bare_rows};
use super::plan::branches;
use super::projection::Projection;
use super::schemas::Schemas;
use super::unit::atomically;
use super::works::{Create, Delete, Update, Upsert};
use super::write::Writer;
use crate::dialect::{Dialect, SharedTransaction, Upserted};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Filter, FindOptions};
use crate::record::{Record, identity_filter};
use crate::rows::RowSink;
use crate::schema::{EntitySchema, ID};
use crate::value::Value;

/// An entity together with the entities that it is related to, in either direction. Its operations do on any dialect,
/// or transaction, what the dialect's own do, and see to relations besides.
///
/// Where a write concerns rows of several entities it is one transaction, so that an error leaves nothing half done. In
/// a transaction of MongoDB, which has no savepoints, what was written before the error stays until the caller rolls
/// back; a standalone MongoDB server has no transactions at all.
#[derive(Debug, Clone)]
pub struct Entity {
    pub(super) schema: Arc<EntitySchema>,
    pub(super) schemas: Arc<Schemas>,
}

impl Entity {
    /// An entity with those that its relations lead to, and those whose relations lead to it, at any distance.
    pub fn new(schema: Arc<EntitySchema>, related: &[Arc<EntitySchema>]) -> Self {
        let schemas = Arc::new(Schemas::of(related.iter().chain([&schema])));
        Self { schema, schemas }
    }

    /// The entity itself.
    pub fn schema(&self) -> &Arc<EntitySchema> {
        &self.schema
    }

    /// The rows that pass the filter, with what their eager relations lead to.
    ///
    /// # Errors
    /// As [`Dialect::find`]; [`ErrorKind::UnknownEntity`] if an eager relation leads to an entity that is not given.
    pub async fn find(
        &self,
        dialect: &dyn Dialect,
        filter: &Filter,
        options: &FindOptions,
    ) -> Result<Vec<Record>> {
        self.find_with_relations(dialect, filter, &[], options).await
    }

    /// As [`find`](Self::find), with the rows handed on as they are read; those with relations only when all are there.
    ///
    /// # Errors
    /// As [`find`](Self::find). The rows handed on before stand, but there are others.
    pub async fn find_into(
        &self,
        dialect: &dyn Dialect,
        filter: &Filter,
        options: &FindOptions,
        rows: &mut dyn RowSink,
    ) -> Result<()> {
        if branches(&self.schemas, &self.schema, &[], options)?.is_empty() {
            return dialect.find_into(&self.schema, filter, options, rows).await;
        }
        let found = self.find(dialect, filter, options).await?;
        found.into_iter().try_for_each(|record| rows.record(record))
    }

    /// The rows that pass the filter, with what these relations and the eager ones lead to: under the name of a
    /// relation stands the row, or null, or the list of rows ordered by their ids. Names such as `author.company` lead
    /// further. The options are those of the rows themselves; a relation's `select` limits the fields of its rows.
    ///
    /// # Errors
    /// As [`find`](Self::find); [`ErrorKind::Filter`] for a name that is no relation.
    pub async fn find_with_relations(
        &self,
        dialect: &dyn Dialect,
        filter: &Filter,
        relations: &[String],
        options: &FindOptions,
    ) -> Result<Vec<Record>> {
        let branches = branches(&self.schemas, &self.schema, relations, options)?;
        if branches.is_empty() {
            return dialect.find(&self.schema, filter, options).await;
        }
        let projection = Projection::new(&self.schema, options, &branches, &[]);
        let mut rows = dialect.find(&self.schema, filter, &projection.options).await?;
        fill(dialect, &self.schema, &mut rows, &branches).await?;
        rows.iter_mut().for_each(|row| projection.strip(row));
        Ok(rows)
    }

    /// Puts what eager relations lead to into rows that were just written.
    async fn with_eager(&self, dialect: &dyn Dialect, mut rows: Vec<Record>) -> Result<Vec<Record>> {
        let branches = branches(&self.schemas, &self.schema, &[], &FindOptions::default())?;
        fill(dialect, &self.schema, &mut rows, &branches).await?;
        Ok(rows)
    }

    async fn with_eager_one(&self, dialect: &dyn Dialect, row: Option<Record>) -> Result<Option<Record>> {
        Ok(self.with_eager(dialect, row.into_iter().collect()).await?.pop())
    }

    /// Inserts a row, together with the rows that relations with cascade `persist` or `merge` hold, and returns it as
    /// stored.
    ///
    /// # Errors
    /// As [`Dialect::create`]; [`ErrorKind::Value`] for a row without an id in a relation that does not cascade.
    pub async fn create(&self, dialect: &dyn Dialect, record: Record) -> Result<Record> {
        let stored = if concerns_others(&self.schema, &record, false) {
            atomically(dialect, &Create { entity: self, record }).await?
        } else {
            dialect.create(&self.schema, record).await?
        };
        let stored = self.with_eager_one(dialect, Some(stored)).await?;
        stored.ok_or_else(|| Error::new(ErrorKind::Internal, "a stored row was lost"))
    }

    /// As [`create`](Self::create), with the row handed on.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn create_into(
        &self,
        dialect: &dyn Dialect,
        record: Record,
        row: &mut dyn RowSink,
    ) -> Result<()> {
        let is_alone = !concerns_others(&self.schema, &record, false)
            && branches(&self.schemas, &self.schema, &[], &FindOptions::default())?.is_empty();
        if is_alone {
            return dialect.create_into(&self.schema, record, row).await;
        }
        row.record(self.create(dialect, record).await?)
    }

    /// As [`Dialect::share_transaction`], for rows of this entity. Those that are read again for their eager relations, after
    /// they were written, share none.
    pub fn share_transaction<'d>(&self, dialect: &'d dyn Dialect) -> Option<Box<dyn SharedTransaction + 'd>> {
        if self.schema.relations.values().any(|relation| relation.eager) {
            return None;
        }
        dialect.share_transaction()
    }

    /// Changes the row of an id, together with the rows that relations with cascade `persist` or `merge` hold; with
    /// `orphanRemoval`, children that are no longer listed are deleted.
    ///
    /// # Errors
    /// As [`Dialect::update`] and [`create`](Self::create).
    pub async fn update(&self, dialect: &dyn Dialect, id: &Value, changes: Record) -> Result<Option<Record>> {
        let stored = if concerns_others(&self.schema, &changes, true) {
            atomically(dialect, &Update { entity: self, id, changes }).await?
        } else {
            dialect.update(&self.schema, id, changes).await?
        };
        self.with_eager_one(dialect, stored).await
    }

    /// Changes the first row that passes the filter or inserts one, as [`create`](Self::create) and
    /// [`update`](Self::update) do.
    ///
    /// # Errors
    /// As theirs.
    pub async fn upsert(&self, dialect: &dyn Dialect, filter: &Filter, record: Record) -> Result<Upserted> {
        let mut upserted = if concerns_others(&self.schema, &record, true) {
            atomically(dialect, &Upsert { entity: self, filter, record }).await?
        } else {
            dialect.upsert(&self.schema, filter, record).await?
        };
        if let Some(record) = self.with_eager_one(dialect, Some(upserted.record.clone())).await? {
            upserted.record = record;
        }
        Ok(upserted)
    }

    /// Changes every row that passes the filter; how many there were.
    ///
    /// # Errors
    /// As [`Dialect::update_many`]; [`ErrorKind::Unsupported`] for changes that would be passed on to other rows.
    pub async fn update_many(&self, dialect: &dyn Dialect, filter: &Filter, changes: Record) -> Result<u64> {
        let changes = without_bare_rows(&self.schema, changes);
        if concerns_others(&self.schema, &changes, true) {
            let message = format!(
                "{}: rows of other entities can only be written with one row at a time",
                self.schema.name
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        dialect.update_many(&self.schema, filter, changes).await
    }

    /// Deletes the row of an id; whether there was one. With it go the rows of relations with cascade `remove`, the
    /// junction rows that refer to it, and where the database has no foreign keys `onDelete` is carried out.
    ///
    /// # Errors
    /// As [`Dialect::delete`]; [`ErrorKind::ForeignKeyViolation`] if a row refers to it that forbids the delete.
    pub async fn delete(&self, dialect: &dyn Dialect, id: &Value) -> Result<bool> {
        if !self.deletes_others(dialect) {
            return dialect.delete(&self.deleted_schema(), id).await;
        }
        let filter = identity_filter(&self.schema, id)?;
        // A row that is softly deleted already is one.
        atomically(dialect, &Delete { entity: self, filter: &filter, include_deleted: true })
            .await
            .map(|deleted| deleted > 0)
    }

    /// Deletes every row that passes the filter, as [`delete`](Self::delete) does; how many there were.
    ///
    /// # Errors
    /// As its.
    pub async fn delete_many(&self, dialect: &dyn Dialect, filter: &Filter) -> Result<u64> {
        if !self.deletes_others(dialect) {
            return dialect.delete_many(&self.deleted_schema(), filter).await;
        }
        atomically(dialect, &Delete { entity: self, filter, include_deleted: false }).await
    }

    fn deletes_others(&self, dialect: &dyn Dialect) -> bool {
        self.schema.relations.values().any(|relation| Cascade::of(relation).remove)
            || (!self.schema.soft_delete && has_consequences(dialect, &self.schemas, &self.schema))
    }

    /// The entity as a delete sees it.
    fn deleted_schema(&self) -> Cow<'_, EntitySchema> {
        if self.schema.soft_delete {
            return Cow::Borrowed(&self.schema);
        }
        with_mirrored_junctions(&self.schemas, &self.schema)
    }

    /// Adds a number to a field of one row, as [`Dialect::increment`].
    ///
    /// # Errors
    /// As its.
    pub async fn increment(
        &self,
        dialect: &dyn Dialect,
        id: &Value,
        field: &str,
        amount: &Value,
    ) -> Result<Option<Record>> {
        let stored = dialect.increment(&self.schema, id, field, amount).await?;
        self.with_eager_one(dialect, stored).await
    }

    /// Adds a value to a list of one row, as [`Dialect::add_to_set`]; also to a many-to-many relation that the other
    /// side declares.
    ///
    /// # Errors
    /// As its.
    pub async fn add_to_set(
        &self,
        dialect: &dyn Dialect,
        id: &Value,
        field: &str,
        value: Value,
    ) -> Result<Option<Record>> {
        let stored = match self.listed_elsewhere(field)? {
            None => dialect.add_to_set(&self.schema, id, field, value).await?,
            Some((target, list)) => {
                let own = self.row(dialect, id).await?;
                if let Some(own) = own.as_ref().and_then(|row| row.get(ID)) {
                    dialect.add_to_set(target, &value, &list, own.clone()).await?;
                }
                own
            }
        };
        self.with_eager_one(dialect, stored).await
    }

    /// Removes a value from a list of one row, as [`Dialect::pull`]; also from a many-to-many relation that the other
    /// side declares.
    ///
    /// # Errors
    /// As its.
    pub async fn pull(
        &self,
        dialect: &dyn Dialect,
        id: &Value,
        field: &str,
        value: &Value,
    ) -> Result<Option<Record>> {
        let stored = match self.listed_elsewhere(field)? {
            None => dialect.pull(&self.schema, id, field, value).await?,
            Some((target, list)) => {
                let own = self.row(dialect, id).await?;
                if let Some(own) = own.as_ref().and_then(|row| row.get(ID)) {
                    dialect.pull(target, value, &list, own).await?;
                }
                own
            }
        };
        self.with_eager_one(dialect, stored).await
    }

    /// The other side and its relation, for a many-to-many relation that is declared there.
    fn listed_elsewhere(&self, field: &str) -> Result<Option<(&EntitySchema, String)>> {
        let Some(relation) = self.schema.relations.get(field) else { return Ok(None) };
        if is_owning(relation) {
            return Ok(None);
        }
        match link_of(&self.schemas, &self.schema, field, relation)? {
            Link::TargetList(list) => Ok(Some((self.schemas.target(&self.schema, field, relation)?, list))),
            _ => Ok(None),
        }
    }

    async fn row(&self, dialect: &dyn Dialect, id: &Value) -> Result<Option<Record>> {
        Writer { dialect, schemas: &self.schemas }
            .first(&self.schema, &identity_filter(&self.schema, id)?, false)
            .await
    }
}
