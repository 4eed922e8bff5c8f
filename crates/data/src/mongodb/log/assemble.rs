//! Events put together to transactions. All events of one cluster time are one: what was committed at the same moment.

use std::collections::HashMap;
use std::sync::Arc;

use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};

use super::collection::{LoggedCollection, Told, id_bytes};
use super::event::{Event, What};
use super::place::token_text;
use super::renamed::Contents;
use crate::error::{Error, ErrorKind, Result};
use crate::log::change_table::{EVENT_BYTES, EVENT_CHANGES};
use crate::log::{Change, LogEvent, LoggedTransaction, Operation, Position};
use crate::mongodb::connect::Connection;
use crate::mongodb::cursor::each_document;
use crate::mongodb::error::{driver_error, malformed};
use crate::mongodb::fields::KEY;
use crate::table::Table;

/// The documents that are looked up by one query.
const LOOKED_UP_AT_ONCE: usize = 1000;

/// Documents by their collections and the bytes of their keys.
type Documents = HashMap<(String, Vec<u8>), RawDocumentBuf>;

/// Puts events together.
pub(super) struct Assembler {
    connection: Arc<Connection>,
    /// By their names, by each description that a reader has of them.
    collections: HashMap<String, Vec<LoggedCollection>>,
    /// Events up to this order were handed on before.
    passed: u64,
    open: Option<OpenTransaction>,
    changes: Vec<Change>,
    bytes: usize,
}

/// A transaction of which more may come.
struct OpenTransaction {
    order: u64,
    /// The token of its last event.
    token: String,
    /// Whether it consists of several operations, so that its events may come in several batches.
    is_session: bool,
}

impl Assembler {
    /// # Errors
    /// Of a table that is none of MongoDB's.
    pub(super) fn new(connection: Arc<Connection>, tables: &[&Arc<Table>], from: &Position) -> Result<Self> {
        let mut collections: HashMap<String, Vec<LoggedCollection>> = HashMap::with_capacity(tables.len());
        for table in tables {
            let described = collections.entry(table.name.clone()).or_default();
            described.push(LoggedCollection::new(table)?);
        }
        // Behind a token, events of the same moment may come.
        let passed = if from.token.is_some() { 0 } else { from.order };
        Ok(Self { connection, collections, passed, open: None, changes: Vec::new(), bytes: 0 })
    }

    /// The names of the collections.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.collections.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Takes the events of a batch.
    pub(super) async fn take(&mut self, events: Vec<&RawDocument>, out: &mut Vec<LogEvent>) -> Result<()> {
        let events = events.into_iter().map(Event::of).collect::<Result<Vec<Event<'_>>>>()?;
        let documents = self.look_up(&events).await?;
        let passed = self.passed;
        for event in events.into_iter().filter(|event| event.order > passed) {
            if matches!(event.what, What::Invalidate) {
                self.end(out);
                let message = "the database was dropped, and with it what its log told of it; the tables must be synchronised anew";
                return Err(Error::new(ErrorKind::LogLost, message));
            }
            self.begin(&event, out)?;
            self.add(event, &documents, out).await?;
        }
        Ok(())
    }

    /// The position of the open transaction's last event, if more of it may come in another batch.
    pub(super) fn open_session(&self) -> Option<Position> {
        let open = self.open.as_ref().filter(|open| open.is_session)?;
        Some(Position { order: open.order, token: Some(open.token.clone()) })
    }

    /// Ends the open transaction.
    pub(super) fn end(&mut self, out: &mut Vec<LogEvent>) {
        self.flush(out);
        if let Some(open) = self.open.take() {
            out.push(LogEvent::Commit(Position { order: open.order, token: Some(open.token) }));
        }
    }

    /// Hands on what was taken.
    pub(super) fn flush(&mut self, out: &mut Vec<LogEvent>) {
        if !self.changes.is_empty() {
            out.push(LogEvent::Changes(std::mem::take(&mut self.changes)));
        }
        self.bytes = 0;
    }

    /// The order of the open transaction.
    pub(super) fn open_order(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.order)
    }

    fn begin(&mut self, event: &Event<'_>, out: &mut Vec<LogEvent>) -> Result<()> {
        let token = token_text(event.token)?;
        if let Some(open) = self.open.as_mut().filter(|open| open.order == event.order) {
            open.token = token;
            return Ok(());
        }
        self.end(out);
        out.push(LogEvent::Begin(LoggedTransaction {
            position: Position::at(event.order),
            committed_at: event.committed_at,
            id: event.transaction.clone().unwrap_or_else(|| event.order.to_string()),
            origin: None,
        }));
        let is_session = event.transaction.is_some();
        self.open = Some(OpenTransaction { order: event.order, token, is_session });
        Ok(())
    }

    async fn add(&mut self, event: Event<'_>, documents: &Documents, out: &mut Vec<LogEvent>) -> Result<()> {
        let Some(name) = event.collection else { return Ok(()) };
        if let What::Rename { to } = &event.what {
            self.take_contents(to, event.order, out).await?;
        }
        for logged in self.collections.get(name).map(Vec::as_slice).unwrap_or_default() {
            let operation = match &event.what {
                What::Insert(document) => {
                    self.bytes += document.as_bytes().len();
                    Some(logged.insert(document)?)
                }
                What::Replace(document) | What::Update { image: Some(document), .. } => {
                    self.bytes += document.as_bytes().len();
                    Some(logged.replace(document)?)
                }
                What::Update { key, image: None, description } => match logged.update(key, description)? {
                    Told::Columns(operation) => {
                        self.bytes += description.as_bytes().len();
                        Some(operation)
                    }
                    // A document that is not there any more was deleted meanwhile. It counts as one change all the same, as a
                    // reader that goes on within a transaction counts them.
                    Told::Parts => {
                        let document = documents.get(&(name.to_owned(), id_bytes(key)?));
                        self.bytes += document.map_or(0, |document| document.as_bytes().len());
                        Some(match document {
                            Some(document) => logged.replace(document)?,
                            None => logged.delete(key)?,
                        })
                    }
                },
                What::Delete { key } => Some(logged.delete(key)?),
                What::Drop | What::Rename { .. } => Some(Operation::Truncate),
                What::Invalidate | What::Other => None,
            };
            self.changes.extend(operation.map(|operation| logged.change(operation)));
        }
        if self.changes.len() >= EVENT_CHANGES || self.bytes >= EVENT_BYTES {
            self.flush(out);
        }
        Ok(())
    }

    /// What a collection holds from now on that has taken this name, which is not told by any insert.
    async fn take_contents(&mut self, name: &str, order: u64, out: &mut Vec<LogEvent>) -> Result<()> {
        for at in 0..self.collections.get(name).map_or(0, Vec::len) {
            let described = |all: &HashMap<String, Vec<LoggedCollection>>| {
                all.get(name).and_then(|described| described.get(at)).map(|logged| Arc::clone(logged.table()))
            };
            let Some(table) = described(&self.collections) else { continue };
            let mut contents = Contents::read(&self.connection, &table, order).await?;
            let change = |operation| Change { table: Arc::clone(&table), operation };
            self.changes.push(change(Operation::Truncate));
            while let Some(operations) = contents.next().await? {
                self.changes.extend(operations.into_iter().map(change));
                self.flush(out);
            }
        }
        Ok(())
    }

    /// The documents, as they are now, of updates that tell parts of values.
    async fn look_up(&self, events: &[Event<'_>]) -> Result<Documents> {
        let mut wanted: HashMap<&str, HashMap<Vec<u8>, Bson>> = HashMap::new();
        for event in events {
            let (Some(name), What::Update { key, image: None, description }) =
                (event.collection, &event.what)
            else {
                continue;
            };
            let mut told_in_parts = false;
            for logged in self.collections.get(name).map(Vec::as_slice).unwrap_or_default() {
                told_in_parts |= matches!(logged.update(key, description)?, Told::Parts);
            }
            if told_in_parts && let Some(id) = key.get(KEY).map_err(malformed)? {
                let id = Bson::try_from(id).map_err(malformed)?;
                wanted.entry(name).or_default().insert(id_bytes(key)?, id);
            }
        }
        let mut documents = Documents::new();
        for (name, ids) in wanted {
            let ids: Vec<Bson> = ids.into_values().collect();
            for ids in ids.chunks(LOOKED_UP_AT_ONCE) {
                self.connection.trace("find", name);
                let query: Document = doc! {KEY: {"$in": ids}};
                let concern = mongodb::options::ReadConcern::majority();
                let found = self.connection.collection(name).find(query).read_concern(concern).batch().await;
                each_document(found.map_err(|error| driver_error(&error))?, |document| {
                    documents.insert((name.to_owned(), id_bytes(document)?), document.to_owned());
                    Ok(())
                })
                .await?;
            }
        }
        Ok(documents)
    }
}
