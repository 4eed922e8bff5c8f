//! Changing the first document that passes a filter, or inserting one, in a single command.

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};

use super::MongoDialect;
use super::bson::document_of;
use super::crud::{Changes, new_id};
use super::error::{driver_error, is_duplicate_key, malformed};
use super::fields::{Fields, KEY};
use super::filter::{compile, nothing};
use super::json_filter::has_expression;
use super::record::{key_of, record, stored_fields};
use super::transaction::Loan;
use crate::dialect::Upserted;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Condition, Filter, FindOptions};
use crate::record::{Record, implied_filter, prepare_insert, prepare_update};
use crate::schema::{EntitySchema, ID};
use crate::value::Object;

/// How often an upsert is tried again when another one inserts the same unique key at the same moment; each failure
/// means that the other has succeeded, so that the next attempt normally finds its document.
const ATTEMPTS: usize = 5;

impl MongoDialect {
    pub(super) async fn upsert_record(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        given: Record,
    ) -> Result<Upserted> {
        let mut merged = given.clone();
        add_equalities(filter, &mut merged);
        let insert = prepare_insert(schema, merged);
        let changes = Changes::of(stored_fields(schema, prepare_update(schema, given)?)?)?;
        let (insert, missing) = match insert {
            Ok(insert) => (Some(inserted_fields(schema, insert)?), None),
            // A record that is too incomplete to be inserted may still change an existing document.
            Err(error) if error.kind() == ErrorKind::NotNullViolation => (None, Some(error)),
            Err(error) => return Err(error),
        };
        let mut loan = self.lend().await?;
        let filter = implied_filter(schema, filter.clone(), false);
        let fields = Fields::resolve(self, &mut loan, schema, &filter, &FindOptions::default()).await?;
        let upsert = Upsert {
            collection: self.connection.collection_name(schema),
            query: compile(&fields, &filter)?,
            changes,
            insert,
        };
        let mut attempt = 1;
        loop {
            match self.attempt(&mut loan, &upsert).await.map_err(|error| error.in_context(&schema.name))? {
                Attempt::Done { document, created } => {
                    let record = record(schema, &document, &FindOptions::default())?;
                    return Ok(Upserted { record, created });
                }
                Attempt::Overtaken(error) if attempt == ATTEMPTS => {
                    return Err(error.in_context(&schema.name));
                }
                Attempt::Overtaken(_) => attempt += 1,
                Attempt::Incomplete => {
                    return Err(missing.unwrap_or_else(|| {
                        Error::new(ErrorKind::Internal, "MongoDB returned no upserted document")
                    }));
                }
            }
        }
    }

    async fn attempt(&self, loan: &mut Loan<'_>, upsert: &Upsert) -> Result<Attempt> {
        let query = self.upsert_query(loan, &upsert.collection, &upsert.query).await?;
        let mut update = upsert.changes.document();
        let Some(insert) = &upsert.insert else {
            return self.find_and_modify(loan, upsert, query, update, false).await;
        };
        let only_inserted = insert.iter().filter(|(name, _)| !upsert.changes.mention(name));
        let only_inserted: Document =
            only_inserted.map(|(name, value)| (name.clone(), value.clone())).collect();
        if insert.keys().all(|name| only_inserted.contains_key(name) || upsert.changes.sets(name)) {
            update.insert("$setOnInsert", only_inserted);
            return self.find_and_modify(loan, upsert, query, update, true).await;
        }
        // A field that the changes take away has a default, which only an insert gives it: MongoDB does not take both
        // in one command.
        match self.find_and_modify(loan, upsert, query.clone(), update, false).await? {
            Attempt::Incomplete => {}
            done => return Ok(done),
        }
        let inserting = doc! {"$setOnInsert": insert.clone()};
        match self.find_and_modify(loan, upsert, query, inserting, true).await? {
            Attempt::Done { created: false, .. } => Ok(Attempt::Overtaken(Error::new(
                ErrorKind::Conflict,
                "others kept on inserting and deleting the same document",
            ))),
            outcome => Ok(outcome),
        }
    }

    async fn find_and_modify(
        &self,
        loan: &mut Loan<'_>,
        upsert: &Upsert,
        query: Document,
        update: Document,
        inserts: bool,
    ) -> Result<Attempt> {
        let mut command = doc! {
            "findAndModify": &upsert.collection, "query": query, "update": update, "upsert": inserts, "new": true,
        };
        if loan.session().is_none()
            && let Some(concern) = self.connection.write_concern()
        {
            command.insert("writeConcern", concern);
        }
        self.connection.trace("findAndModify", &upsert.collection);
        let mut run = self.connection.database.run_command(command);
        let mut pinned = false;
        if let Some(session) = loan.session() {
            run = run.session(session);
            pinned = true;
        }
        let reply = match run.await {
            // Within a transaction the server has aborted everything, so that only the caller can try again.
            Err(error) if is_duplicate_key(&error) && !pinned => {
                return Ok(Attempt::Overtaken(driver_error(&error)));
            }
            outcome => loan.check(outcome)?,
        };
        let existed = reply.get_document("lastErrorObject").and_then(|last| last.get_bool("updatedExisting"));
        match reply.get_document("value") {
            Ok(document) => Ok(Attempt::Done {
                document: RawDocumentBuf::try_from(document).map_err(malformed)?,
                created: !existed.unwrap_or(true),
            }),
            Err(_) => Ok(Attempt::Incomplete),
        }
    }

    /// The query in a form that an upsert may have. Expressions are not, so that a document that passes one is looked up
    /// and named by its key; where there is none, a key is named that no document has, and the upsert inserts.
    async fn upsert_query(&self, loan: &mut Loan<'_>, name: &str, query: &Document) -> Result<Document> {
        if !has_expression(query) {
            return Ok(query.clone());
        }
        let collection = self.connection.collection(name);
        let mut find = collection.find_one(query.clone()).projection(doc! {KEY: 1});
        if let Some(session) = loan.session() {
            find = find.session(session);
        }
        let found = find.await;
        Ok(match loan.check(found)? {
            Some(document) => {
                let document = Document::try_from(document).map_err(malformed)?;
                doc! {KEY: {"$eq": document.get(KEY).cloned().unwrap_or(Bson::Null)}}
            }
            None => nothing(),
        })
    }
}

/// An upsert in the terms of MongoDB.
struct Upsert {
    collection: String,
    query: Document,
    changes: Changes,
    /// All fields of the document to insert, unless it would be incomplete.
    insert: Option<Document>,
}

/// What became of an upsert.
enum Attempt {
    Done {
        document: RawDocumentBuf,
        created: bool,
    },
    /// There was no document to change, and none to insert.
    Incomplete,
    /// Another one inserted the same key at the same moment.
    Overtaken(Error),
}

/// What the filter says a field equals, an inserted record has, unless the record itself says otherwise.
fn add_equalities(filter: &Filter, record: &mut Record) {
    match filter {
        Filter::All(parts) => parts.iter().for_each(|part| add_equalities(part, record)),
        Filter::Field(path, Condition::Eq(value)) if path.below.is_empty() && !value.is_null() => {
            record.entry(path.field.clone()).or_insert_with(|| value.clone());
        }
        Filter::Any(_) | Filter::Field(..) => {}
    }
}

/// The fields of a document to be inserted, with its key.
fn inserted_fields(schema: &EntitySchema, insert: Record) -> Result<Document> {
    let id = match insert.get(ID) {
        Some(id) => key_of(&format!("{}.{ID}", schema.name), id.clone())?,
        None => new_id(),
    };
    let mut fields = Object::from_iter([(KEY.to_owned(), id)]);
    fields.extend(stored_fields(schema, insert)?.into_iter().filter(|(_, value)| !value.is_null()));
    Document::try_from(document_of(&fields)?).map_err(malformed)
}
