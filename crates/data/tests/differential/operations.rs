//! Operations with their arguments, and what they give.

use data::{Dialect, EntitySchema, ErrorKind, Filter, FindOptions, Pipeline, Record, Value};

use crate::handed_on::found;

/// An operation on the rows of one entity.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Create(Record),
    Find(Filter, FindOptions),
    Count(Filter, bool),
    Update(Value, Record),
    Upsert(Filter, Record),
    UpdateMany(Filter, Record),
    Delete(Value),
    DeleteMany(Filter),
    Distinct(String, Filter),
    Increment(Value, String, Value),
    AddToSet(Value, String, Value),
    Pull(Value, String, Value),
    Search(String, Vec<String>, FindOptions),
    Aggregate(Pipeline),
}

/// What an operation gives.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Rows(Vec<Record>),
    Row(Option<Record>),
    /// The row, and whether it was inserted.
    Upserted(Record, bool),
    Count(u64),
    Flag(bool),
    Values(Vec<Value>),
    /// What aggregations compute, which may differ in the last digit.
    Computed(Vec<Record>),
}

impl Operation {
    pub(crate) async fn run(
        &self,
        dialect: &dyn Dialect,
        schema: &EntitySchema,
    ) -> Result<Outcome, data::Error> {
        Ok(match self.clone() {
            Self::Create(record) => Outcome::Row(Some(dialect.create(schema, record).await?)),
            Self::Find(filter, options) => Outcome::Rows(found(dialect, schema, &filter, &options).await?),
            Self::Count(filter, deleted) => Outcome::Count(dialect.count(schema, &filter, deleted).await?),
            Self::Update(id, changes) => Outcome::Row(dialect.update(schema, &id, changes).await?),
            Self::Upsert(filter, record) => {
                let upserted = dialect.upsert(schema, &filter, record).await?;
                Outcome::Upserted(upserted.record, upserted.created)
            }
            Self::UpdateMany(filter, changes) => {
                Outcome::Count(dialect.update_many(schema, &filter, changes).await?)
            }
            Self::Delete(id) => Outcome::Flag(dialect.delete(schema, &id).await?),
            Self::DeleteMany(filter) => Outcome::Count(dialect.delete_many(schema, &filter).await?),
            Self::Distinct(field, filter) => {
                Outcome::Values(dialect.distinct(schema, &field, &filter).await?)
            }
            Self::Increment(id, field, amount) => {
                Outcome::Row(dialect.increment(schema, &id, &field, &amount).await?)
            }
            Self::AddToSet(id, field, value) => {
                Outcome::Row(dialect.add_to_set(schema, &id, &field, value).await?)
            }
            Self::Pull(id, field, value) => Outcome::Row(dialect.pull(schema, &id, &field, &value).await?),
            Self::Search(text, fields, options) => {
                Outcome::Rows(dialect.search(schema, &text, &fields, &options).await?)
            }
            Self::Aggregate(pipeline) => Outcome::Computed(dialect.aggregate(schema, &pipeline).await?),
        })
    }

    /// Whether rows may be other ones afterwards.
    pub(crate) fn writes(&self) -> bool {
        !matches!(
            self,
            Self::Find(..) | Self::Count(..) | Self::Distinct(..) | Self::Search(..) | Self::Aggregate(_)
        )
    }
}

/// What is expected of an operation: an outcome, or an error of a kind.
pub(crate) type Expected = Result<Outcome, ErrorKind>;
