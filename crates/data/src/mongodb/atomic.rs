//! Changes that depend on the value that is there, in one command: adding to a number, to a list, taking from a list.
//!
//! They are written as pipelines, because the operators `$inc`, `$addToSet` and `$pull` refuse a field that is null.

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::ReturnDocument;

use super::MongoDialect;
use super::bson::bson_of;
use super::expression::{field as field_value, literal};
use super::fields::{FieldRole, Fields, Names};
use super::filter::identity_forms;
use super::record::{listed_id, record, stored_number};
use super::transaction::Loan;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{FieldPath, FindOptions};
use crate::record::{Record, fit};
use crate::schema::{EntitySchema, FieldType, RelationKind, UPDATED_AT};
use crate::value::{Timestamp, Value};

impl MongoDialect {
    /// Adds an amount to a number field; no value counts as 0.
    pub(super) async fn add_to_number(
        &self,
        schema: &EntitySchema,
        id: &Value,
        field: &str,
        amount: &Value,
    ) -> Result<Option<Record>> {
        let mut loan = self.lend().await?;
        let (stored, role) = self.whole_field(&mut loan, schema, field).await?;
        if !matches!(role, FieldRole::Declared(FieldType::Number) | FieldRole::Undeclared) {
            return Err(unfit(schema, field, "is no number field and cannot be incremented"));
        }
        let place = format!("{}.{field}: the amount", schema.name);
        let amount = stored_number(&place, fit(&place, FieldType::Number, amount.clone())?)?;
        if amount.is_null() {
            return Err(Error::new(ErrorKind::Value, format!("{place} is missing")));
        }
        let sum = doc! {"$add": [{"$ifNull": [field_value(&stored), 0.0]}, literal(&amount)?]};
        self.change_field(loan, schema, id, field, &stored, sum).await
    }

    /// Adds an item to a list unless it is there.
    pub(super) async fn add_item(
        &self,
        schema: &EntitySchema,
        id: &Value,
        field: &str,
        value: Value,
    ) -> Result<Option<Record>> {
        let mut loan = self.lend().await?;
        let list = self.list_field(&mut loan, schema, field, value).await?;
        let with_item = doc! {"$concatArrays": ["$$list", [list.item]]};
        let changed = doc! {"$let": {
            "vars": {"list": {"$ifNull": [field_value(&list.stored), []]}},
            "in": {"$cond": [{"$or": is_item(&list.equal, "$$list")}, "$$list", with_item]},
        }};
        self.change_field(loan, schema, id, field, &list.stored, changed).await
    }

    /// Removes every item that equals a value from a list.
    pub(super) async fn remove_items(
        &self,
        schema: &EntitySchema,
        id: &Value,
        field: &str,
        value: &Value,
    ) -> Result<Option<Record>> {
        let mut loan = self.lend().await?;
        let list = self.list_field(&mut loan, schema, field, value.clone()).await?;
        let differs: Vec<_> = list.equal.iter().map(|form| doc! {"$ne": ["$$item", form.clone()]}).collect();
        let kept =
            doc! {"$filter": {"input": field_value(&list.stored), "as": "item", "cond": {"$and": differs}}};
        // A list that is missing stays so.
        let kept = doc! {"$ifNull": [kept, "$$REMOVE"]};
        self.change_field(loan, schema, id, field, &list.stored, kept).await
    }

    /// The stored name and the role of a field that is named without anything below it.
    async fn whole_field(
        &self,
        loan: &mut Loan<'_>,
        schema: &EntitySchema,
        field: &str,
    ) -> Result<(String, FieldRole)> {
        let fields =
            Fields::resolve_names(self, loan, schema, std::collections::BTreeSet::from([field])).await?;
        let place = fields.place(&FieldPath { field: field.to_owned(), below: Vec::new() })?;
        Ok((place.stored, place.role))
    }

    async fn list_field(
        &self,
        loan: &mut Loan<'_>,
        schema: &EntitySchema,
        field: &str,
        value: Value,
    ) -> Result<ListField> {
        let (stored, role) = self.whole_field(loan, schema, field).await?;
        if schema.relations.get(field).is_some_and(|relation| relation.kind == RelationKind::ManyToMany) {
            let id = listed_id(value).ok_or_else(|| unfit(schema, field, "lists ids, and this is none"))?;
            let equal =
                identity_forms(field, &id)?.into_iter().map(|form| Bson::Document(doc! {"$literal": form}));
            return Ok(ListField { stored, item: literal(&id)?, equal: equal.collect() });
        }
        if !matches!(role, FieldRole::Declared(FieldType::Array) | FieldRole::Undeclared) {
            return Err(unfit(schema, field, "is no array field"));
        }
        let item = literal(&value)?;
        Ok(ListField { stored, equal: vec![item.clone()], item })
    }

    /// Sets a field of one row to what an expression makes of the row; the row as it now is.
    async fn change_field(
        &self,
        mut loan: Loan<'_>,
        schema: &EntitySchema,
        id: &Value,
        field: &str,
        stored: &str,
        expression: Document,
    ) -> Result<Option<Record>> {
        let query = self.identity_query(&mut loan, schema, id, false).await?;
        let mut set = doc! {stored: expression};
        if schema.timestamps {
            set.insert(UPDATED_AT, bson_of(&Value::Timestamp(Timestamp::now()))?);
        }
        let name = self.connection.collection_name(schema);
        self.connection.trace("findAndModify", &name);
        let collection = self.connection.collection(&name);
        let mut update = collection
            .find_one_and_update(query, vec![doc! {"$set": set}])
            .return_document(ReturnDocument::After);
        if let Some(session) = loan.session() {
            update = update.session(session);
        }
        let changed = update.await;
        let changed: Option<RawDocumentBuf> = loan.check(changed).map_err(|error| match error.kind() {
            // Another application has stored something else in the field.
            ErrorKind::Statement => unfit(schema, field, "holds a value of another type").with_source(error),
            _ => error.in_context(&schema.name),
        })?;
        changed.map(|document| record(schema, &document, &FindOptions::default())).transpose()
    }
}

/// A list, and an item to be added to it or taken from it.
struct ListField {
    stored: String,
    /// The item as it is stored.
    item: Bson,
    /// Every form in which the list may hold the item.
    equal: Vec<Bson>,
}

fn is_item(forms: &[Bson], list: &str) -> Vec<Document> {
    forms.iter().map(|form| doc! {"$in": [form.clone(), list]}).collect()
}

fn unfit(schema: &EntitySchema, field: &str, what: &str) -> Error {
    Error::new(ErrorKind::Value, format!("{}.{field} {what}", schema.name))
}
