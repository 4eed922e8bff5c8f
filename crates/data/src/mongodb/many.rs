//! Changing and deleting every document that passes a filter, and the different values of a field.

use mongodb::bson::{Bson, Document, doc};
use mongodb::options::UpdateModifications;

use super::MongoDialect;
use super::bson::{bson_of, value_of};
use super::crud::Changes;
use super::error::{driver_error, malformed};
use super::expression::value_at;
use super::fields::{FieldRole, Fields, KEY, Names, collect_names};
use super::filter::compile;
use super::index::index_models;
use super::record::{shown, shown_id, stored_fields};
use super::transaction::{Loan, commit, start};
use crate::error::{ErrorKind, Result};
use crate::filter::{FieldPath, Filter, FindOptions};
use crate::record::{Record, implied_filter, prepare_update};
use crate::schema::{DELETED_AT, EntitySchema, FieldType};
use crate::value::{Timestamp, Value};

/// How often a change of many documents that collided with another transaction is tried again.
const ATTEMPTS: usize = 5;

impl MongoDialect {
    /// Changes every row that passes the filter; how many passed it.
    pub(super) async fn update_records(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        changes: Record,
    ) -> Result<u64> {
        // Who writes `deletedAt` means to revive deleted rows.
        let deleted_too = changes.contains_key(DELETED_AT);
        let changes = Changes::of(stored_fields(schema, prepare_update(schema, changes)?)?)?;
        if changes.is_empty() {
            return self.count_records(schema, filter, deleted_too).await;
        }
        let filter = implied_filter(schema, filter.clone(), deleted_too);
        let mut loan = self.lend().await?;
        let query = self.query(&mut loan, schema, &filter).await?;
        let name = self.connection.collection_name(schema);
        let update = changes.document();
        // Where another row may hold the same unique value, some rows would be changed before the error.
        let changed = if concerns_unique_index(schema, &changes)
            && loan.session().is_none()
            && self.connection.has_transactions
        {
            self.update_in_transaction(&name, query, update).await
        } else {
            self.update_each(&mut loan, &name, query, update).await
        };
        changed.map_err(|error| error.in_context(&schema.name))
    }

    /// Deletes every row that passes the filter, or marks those as deleted that are not yet.
    pub(super) async fn delete_records(&self, schema: &EntitySchema, filter: &Filter) -> Result<u64> {
        let mut filter = implied_filter(schema, filter.clone(), true);
        if schema.soft_delete {
            filter = filter.and(Filter::eq(DELETED_AT, Value::Null));
        }
        let mut loan = self.lend().await?;
        let query = self.query(&mut loan, schema, &filter).await?;
        let name = self.connection.collection_name(schema);
        if schema.soft_delete {
            let now = bson_of(&Value::Timestamp(Timestamp::now()))?;
            return self.update_each(&mut loan, &name, query, doc! {"$set": {DELETED_AT: now}}).await;
        }
        self.connection.trace("delete", &name);
        let collection = self.connection.collection(&name);
        let mut delete = collection.delete_many(query);
        if let Some(session) = loan.session() {
            delete = delete.session(session);
        }
        let deleted = delete.await;
        Ok(loan.check(deleted)?.deleted_count)
    }

    /// The different values of a field in ascending order, of a list field its items.
    pub(super) async fn distinct_values(
        &self,
        schema: &EntitySchema,
        field: &str,
        filter: &Filter,
    ) -> Result<Vec<Value>> {
        let path = FieldPath::parse(field)?;
        let filter = implied_filter(schema, filter.clone(), false);
        let mut loan = self.lend().await?;
        let mut names = std::collections::BTreeSet::from([path.field.as_str()]);
        collect_names(&filter, &mut names);
        let fields = Fields::resolve_names(self, &mut loan, schema, names).await?;
        let place = fields.place(&path)?;
        let mut stages = Vec::new();
        let query = compile(&fields, &filter)?;
        if !query.is_empty() {
            stages.push(doc! {"$match": query});
        }
        let is_plain = place.below.is_empty()
            && match place.role {
                FieldRole::Identity => {
                    schema.relations.get(field).is_none_or(|relation| relation.kind.has_column())
                }
                FieldRole::Declared(declared) => !matches!(declared, FieldType::Json | FieldType::Array),
                FieldRole::Undeclared => false,
            };
        if is_plain {
            stages.push(doc! {"$group": {KEY: value_at(&place)}});
        } else {
            // Of lists the items count; what is no list is taken for its only item.
            stages.push(doc! {"$project": {"value": value_at(&place)}});
            stages.push(doc! {"$unwind": "$value"});
            stages.push(doc! {"$group": {KEY: "$value"}});
        }
        // A query on `_id` would look into lists as well.
        stages.push(doc! {"$match": {"$expr": {"$ne": [format!("${KEY}"), Bson::Null]}}});
        let is_id = place.role == FieldRole::Identity;
        let mut values = Vec::new();
        self.run_pipeline(&mut loan, &self.connection.collection_name(schema), stages, |document| {
            if let Some(value) = document.get(KEY).map_err(malformed)? {
                let value = value_of(value)?;
                values.push(if is_id { shown_id(value) } else { shown(value) });
            }
            Ok(())
        })
        .await?;
        // MongoDB tells objects apart by the order of their keys, and orders lists by one of their items.
        values.sort_by(Value::order);
        values.dedup_by(|a, b| a.same_as(b));
        Ok(values)
    }

    /// The query of a filter that is complete.
    pub(super) async fn query(
        &self,
        loan: &mut Loan<'_>,
        schema: &EntitySchema,
        filter: &Filter,
    ) -> Result<Document> {
        let fields = Fields::resolve(self, loan, schema, filter, &FindOptions::default()).await?;
        compile(&fields, filter)
    }

    pub(super) async fn update_each(
        &self,
        loan: &mut Loan<'_>,
        name: &str,
        query: Document,
        update: Document,
    ) -> Result<u64> {
        self.connection.trace("update", name);
        let collection = self.connection.collection(name);
        let mut many = collection.update_many(query, UpdateModifications::Document(update));
        if let Some(session) = loan.session() {
            many = many.session(session);
        }
        let updated = many.await;
        Ok(loan.check(updated)?.matched_count)
    }

    async fn update_in_transaction(&self, name: &str, query: Document, update: Document) -> Result<u64> {
        let collection = self.connection.collection(name);
        let mut attempt = 1;
        loop {
            let mut session = start(&self.connection, None).await?;
            self.connection.trace("update", name);
            let updated = collection.update_many(query.clone(), update.clone()).session(&mut session).await;
            match updated {
                Ok(updated) => {
                    commit(&mut session).await?;
                    return Ok(updated.matched_count);
                }
                Err(error) => {
                    let error = driver_error(&error);
                    // The server may have done this already; then there is nothing left to abort.
                    drop(session.abort_transaction().await);
                    if error.kind() != ErrorKind::Conflict || attempt == ATTEMPTS {
                        return Err(error);
                    }
                    attempt += 1;
                }
            }
        }
    }
}

fn concerns_unique_index(schema: &EntitySchema, changes: &Changes) -> bool {
    let concerned = |index: &Document| {
        let fields = [index.get_document("key"), index.get_document("partialFilterExpression")];
        fields.into_iter().flatten().any(|fields| fields.keys().any(|name| changes.mention(name)))
    };
    index_models(schema, "").iter().any(|index| index.get_bool("unique").unwrap_or(false) && concerned(index))
}
