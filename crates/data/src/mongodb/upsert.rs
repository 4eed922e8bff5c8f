//! Changing the first document that passes a filter, or inserting one, in a single command.

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};

use super::MongoDialect;
use super::bson::document_of;
use super::crud::{Changes, new_id};
use super::error::{is_duplicate_key, malformed};
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
        let mut update = changes.document();
        let missing = match insert {
            Ok(insert) => {
                update.insert("$setOnInsert", insert_only(schema, insert, &changes)?);
                None
            }
            // A record that is too incomplete to be inserted may still change an existing document.
            Err(error) if error.kind() == ErrorKind::NotNullViolation => Some(error),
            Err(error) => return Err(error),
        };
        let mut loan = self.lend().await?;
        let filter = implied_filter(schema, filter.clone(), false);
        let fields = Fields::resolve(self, &mut loan, schema, &filter, &FindOptions::default()).await?;
        let name = self.connection.collection_name(schema);
        let query = self.upsert_query(&mut loan, &name, compile(&fields, &filter)?).await?;
        let mut command = doc! {
            "findAndModify": &name, "query": query, "update": update,
            "upsert": missing.is_none(), "new": true,
        };
        if loan.session().is_none()
            && let Some(concern) = self.connection.write_concern()
        {
            command.insert("writeConcern", concern);
        }
        let mut attempt = 1;
        let reply = loop {
            self.connection.trace("findAndModify", &name);
            let mut run = self.connection.database.run_command(command.clone());
            let pinned = match loan.session() {
                Some(session) => {
                    run = run.session(session);
                    true
                }
                None => false,
            };
            match run.await {
                // Within a transaction the server has aborted everything, so that only the caller can try again.
                Err(error) if is_duplicate_key(&error) && !pinned && attempt < ATTEMPTS => attempt += 1,
                outcome => break loan.check(outcome).map_err(|error| error.in_context(&schema.name))?,
            }
        };
        let document = match (reply.get_document("value"), missing) {
            (Ok(document), _) => RawDocumentBuf::try_from(document).map_err(malformed)?,
            (Err(_), Some(missing)) => return Err(missing),
            (Err(_), None) => {
                return Err(Error::new(ErrorKind::Internal, "MongoDB returned no upserted document"));
            }
        };
        let existed = reply.get_document("lastErrorObject").and_then(|last| last.get_bool("updatedExisting"));
        Ok(Upserted {
            record: record(schema, &document, &FindOptions::default())?,
            created: !existed.unwrap_or(true),
        })
    }
}

impl MongoDialect {
    /// The query in a form that an upsert may have. Expressions are not, so that a document that passes one is looked up
    /// and named by its key; where there is none, a key is named that no document has, and the upsert inserts.
    async fn upsert_query(&self, loan: &mut Loan<'_>, name: &str, query: Document) -> Result<Document> {
        if !has_expression(&query) {
            return Ok(query);
        }
        let collection = self.connection.collection(name);
        let mut find = collection.find_one(query).projection(doc! {KEY: 1});
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

/// The fields that only an insert sets: the key, and whatever the changes do not set anyway.
fn insert_only(schema: &EntitySchema, insert: Record, changes: &Changes) -> Result<Document> {
    let id = match insert.get(ID) {
        Some(id) => key_of(&format!("{}.{ID}", schema.name), id.clone())?,
        None => new_id(),
    };
    let mut fields = Object::from_iter([(KEY.to_owned(), id)]);
    fields.extend(
        stored_fields(schema, insert)?
            .into_iter()
            .filter(|(name, value)| !value.is_null() && !changes.mention(name)),
    );
    Document::try_from(document_of(&fields)?).map_err(malformed)
}
