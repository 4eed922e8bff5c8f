//! Writing a row together with the rows that its relations hold.
//!
//! What the row refers to is written before it, what refers to the row after it.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::cascade::Cascade;
use super::link::{Link, link_of};
use super::nested::{concerns_others, id_of, items, needs_cascade};
use super::schemas::{Declared, Schemas};
use crate::dialect::{Dialect, Upserted};
use crate::error::Result;
use crate::filter::{Filter, FindOptions};
use crate::record::{Record, identity_filter};
use crate::schema::{DELETED_AT, EntitySchema, ID, RelationKind};
use crate::value::Value;

/// Writes rows with those of their relations. It is used within a transaction.
#[derive(Clone, Copy)]
pub(super) struct Writer<'a> {
    pub(super) dialect: &'a dyn Dialect,
    pub(super) schemas: &'a Schemas,
}

/// What is left to be done after a row has been written.
pub(super) enum Pending<'a> {
    /// The rows of the other side whose column refers to the row are to be these.
    Children { declared: Declared<'a>, column: String, items: Vec<Value> },
    /// The rows of the other side whose list refers to the row are to be those of these ids.
    Listed { declared: Declared<'a>, list: String, ids: Vec<Value> },
    /// A row that the row referred to until now is to go, if it is another one.
    Orphan { declared: Declared<'a>, former: Value },
}

impl<'a> Writer<'a> {
    /// Inserts a row.
    pub(super) fn create<'f>(
        &'f self,
        schema: &'f EntitySchema,
        record: Record,
    ) -> BoxFuture<'f, Result<Record>> {
        async move {
            let (record, pending) = self.before(schema, record, None).await?;
            let stored = self.dialect.create(schema, record).await?;
            self.after(&stored, pending, false).await?;
            Ok(stored)
        }
        .boxed()
    }

    /// Changes the row of an id; `None` if there is none.
    pub(super) fn update<'f>(
        &'f self,
        schema: &'f EntitySchema,
        id: &'f Value,
        changes: Record,
    ) -> BoxFuture<'f, Result<Option<Record>>> {
        async move {
            if !concerns_others(schema, &changes, true) {
                return self.dialect.update(schema, id, changes).await;
            }
            // Nothing may be written for the sake of a row that does not exist.
            let revives = changes.contains_key(DELETED_AT);
            let Some(old) = self.first_locked(schema, &identity_filter(schema, id)?, revives).await? else {
                return Ok(None);
            };
            let (changes, pending) = self.before(schema, changes, Some(&old)).await?;
            let Some(stored) = self.dialect.update(schema, id, changes).await? else { return Ok(None) };
            self.after(&stored, pending, true).await?;
            Ok(Some(stored))
        }
        .boxed()
    }

    /// Changes the first row that passes the filter, or inserts one.
    pub(super) async fn upsert(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        record: Record,
    ) -> Result<Upserted> {
        let old = self.first_locked(schema, filter, false).await?;
        let (record, pending) = self.before(schema, record, old.as_ref()).await?;
        let upserted = self.dialect.upsert(schema, filter, record).await?;
        self.after(&upserted.record, pending, !upserted.created).await?;
        Ok(upserted)
    }

    /// The first row that passes a filter.
    pub(super) async fn first(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        include_deleted: bool,
    ) -> Result<Option<Record>> {
        let options = FindOptions { limit: Some(1), include_deleted, ..FindOptions::default() };
        Ok(self.dialect.find(schema, filter, &options).await?.pop())
    }

    /// As [`first`](Self::first), with the row kept from others until the end of the transaction: what belongs to it is looked for
    /// below, and they might be changing that.
    async fn first_locked(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        include_deleted: bool,
    ) -> Result<Option<Record>> {
        let options = FindOptions { limit: Some(1), include_deleted, lock: true, ..FindOptions::default() };
        Ok(self.dialect.find(schema, filter, &options).await?.pop())
    }

    /// Writes what the record refers to, so that only ids are left in it, and takes out what must wait.
    async fn before<'s>(
        &'s self,
        schema: &'s EntitySchema,
        mut record: Record,
        old: Option<&Record>,
    ) -> Result<(Record, Vec<Pending<'s>>)> {
        let mut pending = Vec::new();
        for (name, relation) in &schema.relations {
            let declared = Declared { schema, name, relation };
            let column = relation.kind.has_column().then(|| relation.column(name));
            let given = record.shift_remove(name);
            let given = given.or_else(|| column.and_then(|column| record.shift_remove(column)));
            let Some(value) = given else { continue };
            match link_of(self.schemas, schema, name, relation)? {
                Link::Column(column) => {
                    if let Some(former) =
                        old.and_then(|old| old.get(&column)).filter(|_| relation.orphan_removal)
                        && relation.kind == RelationKind::OneToOne
                    {
                        pending.push(Pending::Orphan { declared, former: former.clone() });
                    }
                    record.insert(column, self.reference(declared, value).await?);
                }
                Link::List => {
                    let list = self.references(declared, value).await?;
                    record.insert(name.clone(), list);
                }
                // Null stands in every row that is read, and says nothing.
                Link::TargetColumn(_) if relation.kind == RelationKind::OneToOne && value.is_null() => {}
                Link::TargetColumn(column) => {
                    pending.push(Pending::Children { declared, column, items: items(value) });
                }
                Link::TargetList(list) => {
                    let Value::Array(ids) = self.references(declared, Value::Array(items(value))).await?
                    else {
                        continue;
                    };
                    pending.push(Pending::Listed { declared, list, ids });
                }
            }
        }
        Ok((record, pending))
    }

    /// Rows among references become their ids; a text of ids with commas stays as it is.
    async fn references(&self, declared: Declared<'_>, value: Value) -> Result<Value> {
        let Value::Array(given) = value else { return self.reference(declared, value).await };
        let mut ids = Vec::with_capacity(given.len());
        for item in given {
            ids.push(self.reference(declared, item).await?);
        }
        Ok(Value::Array(ids))
    }

    /// The id of a row that a relation refers to, which is written first where the relation says so.
    async fn reference(&self, declared: Declared<'_>, value: Value) -> Result<Value> {
        let Value::Object(row) = value else { return Ok(value) };
        let Declared { schema, name, relation } = declared;
        let cascade = Cascade::of(relation);
        let id = id_of(&row).cloned();
        match id {
            None if !cascade.persist => Err(needs_cascade(schema, name)),
            Some(id) if !cascade.writes() => Ok(id),
            id => {
                let target = self.schemas.target(schema, name, relation)?;
                self.write_nested(target, id, *row, cascade).await
            }
        }
    }

    /// Writes a row of the other side and gives its id: with `merge` an existing one is changed, and in any case one
    /// that does not exist is inserted.
    async fn write_nested(
        &self,
        target: &EntitySchema,
        id: Option<Value>,
        row: Record,
        cascade: Cascade,
    ) -> Result<Value> {
        if let Some(id) = id {
            // Nothing but an id is no change.
            let exists = if cascade.merge && row.len() > 1 {
                self.update(target, &id, row.clone()).await?.is_some()
            } else {
                self.first(target, &identity_filter(target, &id)?, false).await?.is_some()
            };
            if exists {
                return Ok(id);
            }
        }
        let stored = self.create(target, row).await?;
        Ok(stored.get(ID).cloned().unwrap_or_default())
    }
}
