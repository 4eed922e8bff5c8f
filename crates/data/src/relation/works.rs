//! The writes of an entity that concern rows of several entities, each as one unit.

use async_trait::async_trait;

use super::delete::Remover;
use super::entity::Entity;
use super::link::distinct_ids;
use super::unit::Work;
use super::write::Writer;
use crate::dialect::{Dialect, Upserted};
use crate::error::Result;
use crate::filter::{Filter, FindOptions};
use crate::record::Record;
use crate::schema::ID;
use crate::value::Value;

pub(super) struct Create<'e> {
    pub(super) entity: &'e Entity,
    pub(super) record: Record,
}

#[async_trait]
impl Work for Create<'_> {
    type Output = Record;

    async fn run(&self, dialect: &dyn Dialect) -> Result<Record> {
        let writer = Writer { dialect, schemas: &self.entity.schemas };
        writer.create(&self.entity.schema, self.record.clone()).await
    }
}

pub(super) struct Update<'e> {
    pub(super) entity: &'e Entity,
    pub(super) id: &'e Value,
    pub(super) changes: Record,
}

#[async_trait]
impl Work for Update<'_> {
    type Output = Option<Record>;

    async fn run(&self, dialect: &dyn Dialect) -> Result<Option<Record>> {
        let writer = Writer { dialect, schemas: &self.entity.schemas };
        writer.update(&self.entity.schema, self.id, self.changes.clone()).await
    }
}

pub(super) struct Upsert<'e> {
    pub(super) entity: &'e Entity,
    pub(super) filter: &'e Filter,
    pub(super) record: Record,
}

#[async_trait]
impl Work for Upsert<'_> {
    type Output = Upserted;

    async fn run(&self, dialect: &dyn Dialect) -> Result<Upserted> {
        let writer = Writer { dialect, schemas: &self.entity.schemas };
        writer.upsert(&self.entity.schema, self.filter, self.record.clone()).await
    }
}

pub(super) struct Delete<'e> {
    pub(super) entity: &'e Entity,
    pub(super) filter: &'e Filter,
    pub(super) include_deleted: bool,
}

#[async_trait]
impl Work for Delete<'_> {
    type Output = u64;

    async fn run(&self, dialect: &dyn Dialect) -> Result<u64> {
        let Entity { schema, schemas } = self.entity;
        let options = FindOptions {
            select: vec![ID.to_owned()],
            include_deleted: self.include_deleted,
            ..FindOptions::default()
        };
        let rows = dialect.find(schema, self.filter, &options).await?;
        let ids = distinct_ids(rows.iter().filter_map(|row| row.get(ID)));
        let count = ids.len() as u64;
        Remover::new(dialect, schemas).remove(schema, ids).await?;
        Ok(count)
    }
}
