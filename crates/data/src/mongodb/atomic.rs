//! Changes that depend on the value that is there, in one command: adding to a number, to a list, taking from a list.
//!
//! They are written as pipelines, because the operators `$inc`, `$addToSet` and `$pull` refuse a field that is null.

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::ReturnDocument;

use super::MongoDialect;
use super::bson::bson_of;
use super::expression::{contains, equals, field as field_value, literal};
use super::fields::{FieldRole, Fields, Names};
use super::filter::identity_forms;
use super::record::{listed_ids, record, stored_number};
use super::transaction::Loan;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{FieldPath, FindOptions};
use crate::record::{Record, fit};
use crate::schema::{EntitySchema, FieldType, RelationKind, UPDATED_AT};
use crate::value::{ObjectId, Timestamp, Value};

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
        if !amount.as_f64().is_some_and(f64::is_finite) {
            return Err(Error::new(ErrorKind::Value, format!("{place} must be a finite number")));
        }
        let sum = doc! {"$add": [{"$ifNull": [field_value(&stored), 0.0]}, literal(&amount)?]};
        self.change_field(
            loan,
            schema,
            id,
            FieldChange { field, stored: &stored, to: sum, unless: false.into() },
        )
        .await
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
        let present = doc! {"$ifNull": [field_value(&list.stored), []]};
        let mut parts = vec![present.clone().into()];
        let mut all_there = Vec::new();
        for item in &list.items {
            let is_there = item.is_in(present.clone().into())?;
            parts.push(Bson::Document(doc! {"$cond": [is_there.clone(), [], [item.stored.clone()]]}));
            all_there.push(is_there);
        }
        let to = doc! {"$concatArrays": parts};
        let unless = doc! {"$and": all_there}.into();
        self.change_field(loan, schema, id, FieldChange { field, stored: &list.stored, to, unless }).await
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
        let (mut differs, mut none_there) = (Vec::new(), Vec::new());
        for item in &list.items {
            differs.push(doc! {"$not": [item.is("$$item".into())?]});
            none_there.push(doc! {"$not": [item.is_in(field_value(&list.stored))?]});
        }
        let kept =
            doc! {"$filter": {"input": field_value(&list.stored), "as": "item", "cond": {"$and": differs}}};
        // A list that is missing stays so.
        let to = doc! {"$ifNull": [kept, "$$REMOVE"]};
        let unless = doc! {"$and": none_there}.into();
        self.change_field(loan, schema, id, FieldChange { field, stored: &list.stored, to, unless }).await
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
            let items =
                listed_ids(value).into_iter().map(|id| Item::id(field, &id)).collect::<Result<_>>()?;
            return Ok(ListField { stored, items });
        }
        let takes_lists = FieldRole::Declared(FieldType::Array) == role
            || FieldRole::Declared(FieldType::Json) == role
            || FieldRole::Undeclared == role;
        if !takes_lists {
            return Err(unfit(schema, field, "is neither an array field nor a many-to-many relation"));
        }
        Ok(ListField { stored, items: vec![Item { stored: literal(&value)?, equal: vec![value] }] })
    }

    /// Sets a field of one row to what an expression makes of the row; the row as it now is.
    async fn change_field(
        &self,
        mut loan: Loan<'_>,
        schema: &EntitySchema,
        id: &Value,
        change: FieldChange<'_>,
    ) -> Result<Option<Record>> {
        let FieldChange { field, stored, to, unless } = change;
        let query = self.identity_query(&mut loan, schema, id, false).await?;
        let mut set = doc! {stored: to};
        if schema.timestamps {
            let now = bson_of(&Value::Timestamp(Timestamp::now()))?;
            let before = doc! {"$ifNull": [field_value(UPDATED_AT), "$$REMOVE"]};
            set.insert(UPDATED_AT, doc! {"$cond": [unless, before, now]});
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

/// What a field of one row becomes.
struct FieldChange<'a> {
    /// The field as the caller names it.
    field: &'a str,
    stored: &'a str,
    to: Document,
    /// Whether the row stays as it is.
    unless: Bson,
}

/// A list, and the items to be added to it or taken from it.
struct ListField {
    stored: String,
    items: Vec<Item>,
}

/// An item of a list.
struct Item {
    stored: Bson,
    /// Every form in which the list may hold it.
    equal: Vec<Value>,
}

impl Item {
    /// A reference, which lists hold as text, or as the object id or the number that the text stands for.
    fn id(field: &str, id: &Value) -> Result<Self> {
        let forms = identity_forms(field, id)?.into_iter().map(|form| match form {
            Bson::Int64(number) => Value::Int64(number),
            Bson::ObjectId(id) => Value::ObjectId(ObjectId(id.bytes())),
            other => other.as_str().map_or(Value::Null, Value::from),
        });
        Ok(Self { stored: literal(id)?, equal: forms.collect() })
    }

    /// Whether an expression is this item.
    fn is(&self, given: Bson) -> Result<Document> {
        let forms = self.equal.iter().map(|form| equals(given.clone(), form));
        Ok(doc! {"$or": forms.collect::<Result<Vec<_>>>()?})
    }

    /// Whether an expression is a list with this item.
    fn is_in(&self, list: Bson) -> Result<Document> {
        let forms = self.equal.iter().map(|form| contains(list.clone(), form));
        Ok(doc! {"$or": forms.collect::<Result<Vec<_>>>()?})
    }
}

fn unfit(schema: &EntitySchema, field: &str, what: &str) -> Error {
    Error::new(ErrorKind::Value, format!("{}.{field} {what}", schema.name))
}
