//! Reading, inserting, changing and deleting the documents of an entity.

use indexmap::IndexMap;
use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use mongodb::options::ReturnDocument;

use super::MongoDialect;
use super::bson::{bson_of, document_of};
use super::cursor::{Failure, each_document, settle};
use super::error::malformed;
use super::fields::{Fields, KEY, Names};
use super::filter::compile;
use super::record::{document, key_of, record, stored_fields};
use super::rows::DocumentRows;
use super::transaction::Loan;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Direction, FieldPath, Filter, FindOptions};
use crate::record::{Record, identity_filter, implied_filter, prepare_insert, prepare_update};
use crate::rows::RowSink;
use crate::schema::{DELETED_AT, EntitySchema, ID};
use crate::value::{Object, ObjectId, Timestamp, Value};

impl MongoDialect {
    pub(super) async fn find_records(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        options: &FindOptions,
    ) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        let take = |document: &RawDocument| {
            records.push(record(schema, document, options)?);
            Ok(())
        };
        self.each_found(schema, filter, options, take).await?;
        Ok(records)
    }

    /// Hands the rows that pass the filter on as they are read.
    pub(super) async fn find_rows_into(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        options: &FindOptions,
        rows: &mut dyn RowSink,
    ) -> Result<()> {
        let mut rows = DocumentRows::new(schema, options, rows);
        self.each_found(schema, filter, options, |document| rows.take(document)).await
    }

    /// Hands on every document that passes the filter.
    async fn each_found(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        options: &FindOptions,
        take: impl FnMut(&RawDocument) -> Result<()> + Send,
    ) -> Result<()> {
        let mut loan = self.lend().await?;
        let filter = implied_filter(schema, filter.clone(), options.include_deleted);
        let fields = Fields::resolve(self, &mut loan, schema, &filter, options).await?;
        let query = compile(&fields, &filter)?;
        let sort = sort_document(&fields, &options.sort)?;
        let projection = projection(&fields, options)?;
        // To MongoDB this would be no limit.
        if options.limit == Some(0) {
            return Ok(());
        }
        let name = self.connection.collection_name(schema);
        self.connection.trace("find", &name);
        let collection = self.connection.collection(&name);
        let mut find = collection.find(query).sort(sort);
        if let Some(projection) = projection {
            find = find.projection(projection);
        }
        if let Some(skip) = options.skip {
            find = find.skip(skip);
        }
        if let Some(limit) = options.limit {
            find = find.limit(i64::try_from(limit).unwrap_or(i64::MAX));
        }
        let outcome = match loan.session() {
            None => match find.batch().await {
                Ok(cursor) => each_document(cursor, take).await,
                Err(error) => Err(Failure::Driver(error)),
            },
            Some(session) => match find.session(&mut *session).batch().await {
                Ok(mut cursor) => each_document(cursor.stream(session), take).await,
                Err(error) => Err(Failure::Driver(error)),
            },
        };
        settle(&mut loan, outcome)
    }

    pub(super) async fn count_records(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        deleted: bool,
    ) -> Result<u64> {
        let mut loan = self.lend().await?;
        let filter = implied_filter(schema, filter.clone(), deleted);
        let fields = Fields::resolve(self, &mut loan, schema, &filter, &FindOptions::default()).await?;
        let query = compile(&fields, &filter)?;
        let name = self.connection.collection_name(schema);
        self.connection.trace("count", &name);
        let collection = self.connection.collection(&name);
        let mut count = collection.count_documents(query);
        if let Some(session) = loan.session() {
            count = count.session(session);
        }
        let counted = count.await;
        loan.check(counted)
    }

    pub(super) async fn insert_record(&self, schema: &EntitySchema, given: Record) -> Result<Record> {
        let prepared = prepare_insert(schema, given)?;
        let id = match prepared.get(ID) {
            Some(id) => key_of(&format!("{}.{ID}", schema.name), id.clone())?,
            None => new_id(),
        };
        let document = document(&id, &stored_fields(schema, prepared)?)?;
        let name = self.connection.collection_name(schema);
        self.connection.trace("insert", &name);
        let collection = self.connection.collection(&name);
        let mut loan = self.lend().await?;
        let mut insert = collection.insert_one(&document);
        if let Some(session) = loan.session() {
            insert = insert.session(session);
        }
        let inserted = insert.await;
        loan.check(inserted).map_err(|error| error.in_context(&schema.name))?;
        record(schema, &document, &FindOptions::default())
    }

    pub(super) async fn update_record(
        &self,
        schema: &EntitySchema,
        id: &Value,
        changes: Record,
    ) -> Result<Option<Record>> {
        // Who writes `deletedAt` means to revive a deleted row.
        let deleted_too = changes.contains_key(DELETED_AT);
        let changes = Changes::of(stored_fields(schema, prepare_update(schema, changes)?)?)?;
        let mut loan = self.lend().await?;
        let query = self.identity_query(&mut loan, schema, id, deleted_too).await?;
        let name = self.connection.collection_name(schema);
        self.connection.trace("findAndModify", &name);
        let collection = self.connection.collection(&name);
        let found = if changes.is_empty() {
            let mut find = collection.find_one(query);
            if let Some(session) = loan.session() {
                find = find.session(session);
            }
            find.await
        } else {
            let mut update = collection
                .find_one_and_update(query, changes.document())
                .return_document(ReturnDocument::After);
            if let Some(session) = loan.session() {
                update = update.session(session);
            }
            update.await
        };
        let found: Option<RawDocumentBuf> =
            loan.check(found).map_err(|error| error.in_context(&schema.name))?;
        found.map(|document| record(schema, &document, &FindOptions::default())).transpose()
    }

    pub(super) async fn delete_record(&self, schema: &EntitySchema, id: &Value) -> Result<bool> {
        let mut loan = self.lend().await?;
        let query = self.identity_query(&mut loan, schema, id, true).await?;
        let name = self.connection.collection_name(schema);
        let collection = self.connection.collection(&name);
        if schema.soft_delete {
            self.connection.trace("update", &name);
            let now = bson_of(&Value::Timestamp(Timestamp::now()))?;
            // The moment of the first delete stands.
            let first = doc! {"$ifNull": [format!("${DELETED_AT}"), now]};
            let mut update = collection.update_one(query, vec![doc! {"$set": {DELETED_AT: first}}]);
            if let Some(session) = loan.session() {
                update = update.session(session);
            }
            let updated = update.await;
            return Ok(loan.check(updated)?.matched_count > 0);
        }
        self.connection.trace("delete", &name);
        let mut delete = collection.delete_one(query);
        if let Some(session) = loan.session() {
            delete = delete.session(session);
        }
        let deleted = delete.await;
        Ok(loan.check(deleted)?.deleted_count > 0)
    }

    /// The query for the row that an id, or the fields of a unique index, name.
    pub(super) async fn identity_query(
        &self,
        loan: &mut Loan<'_>,
        schema: &EntitySchema,
        id: &Value,
        deleted_too: bool,
    ) -> Result<Document> {
        if id.is_null() {
            return Err(Error::new(ErrorKind::Filter, format!("{}: an id is needed", schema.name)));
        }
        let filter = implied_filter(schema, identity_filter(schema, id)?, deleted_too);
        let fields = Fields::resolve(self, loan, schema, &filter, &FindOptions::default()).await?;
        compile(&fields, &filter)
    }
}

/// The update operators that bring about changes: null takes a field away.
pub(super) struct Changes {
    set: Document,
    unset: Document,
}

impl Changes {
    /// # Errors
    /// [`ErrorKind::Value`] for a value without an equivalent in BSON.
    pub(super) fn of(fields: Object) -> Result<Self> {
        let (null, set): (Object, Object) = fields.into_iter().partition(|(_, value)| value.is_null());
        let set = Document::try_from(document_of(&set)?).map_err(malformed)?;
        Ok(Self { set, unset: null.into_iter().map(|(name, _)| (name, Bson::Boolean(true))).collect() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.unset.is_empty()
    }

    /// Whether these changes concern a field.
    pub(super) fn mention(&self, name: &str) -> bool {
        self.set.contains_key(name) || self.unset.contains_key(name)
    }

    /// Whether these changes give a field a value.
    pub(super) fn sets(&self, name: &str) -> bool {
        self.set.contains_key(name)
    }

    /// The update document. The values stand beneath field names, where MongoDB takes them as they are.
    pub(super) fn document(&self) -> Document {
        let operators = [("$set", &self.set), ("$unset", &self.unset)];
        operators
            .into_iter()
            .filter(|(_, fields)| !fields.is_empty())
            .map(|(name, fields)| (name.to_owned(), Bson::Document(fields.clone())))
            .collect()
    }
}

/// A new key, as MongoDB's own clients make it.
pub(super) fn new_id() -> Value {
    Value::ObjectId(ObjectId(mongodb::bson::oid::ObjectId::new().bytes()))
}

/// The sort document of options.
pub(super) fn sort_document(names: &dyn Names, sort: &IndexMap<String, Direction>) -> Result<Document> {
    sort.iter()
        .map(|(path, direction)| {
            let place = names.place(&FieldPath::parse(path)?)?;
            let keys = std::iter::once(&place.stored).chain(&place.below).map(String::as_str);
            let order = if *direction == Direction::Ascending { 1 } else { -1 };
            Ok((keys.collect::<Vec<_>>().join("."), Bson::Int32(order)))
        })
        .collect()
}

/// The stage that orders documents, unless there is nothing to order them by.
pub(super) fn sort_stage(names: &dyn Names, sort: &IndexMap<String, Direction>) -> Result<Option<Document>> {
    let sort = sort_document(names, sort)?;
    Ok((!sort.is_empty()).then(|| doc! {"$sort": sort}))
}

/// The fields that the server sends; the key always is among them.
fn projection(fields: &Fields<'_>, options: &FindOptions) -> Result<Option<Document>> {
    if options.select.is_empty() {
        let mut excluded = Document::new();
        for path in options.exclude.iter().filter(|path| *path != ID) {
            // A field that nobody knows needs no exclusion.
            if let Ok(path) = fields.path(path) {
                excluded.insert(path, 0);
            }
        }
        return Ok((!excluded.is_empty()).then_some(excluded));
    }
    let mut selected = doc! {KEY: 1};
    for path in &options.select {
        let stored = fields.path(path)?;
        if !options.exclude.contains(path) {
            selected.insert(stored, 1);
        }
    }
    Ok(Some(selected))
}
