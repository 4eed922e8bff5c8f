//! Reading whole collections: documents become rows in the order of a table's columns.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use mongodb::bson::{Document, RawBsonRef, RawDocument, doc};
use mongodb::error::{Error as DriverError, ErrorKind as DriverErrorKind};
use mongodb::options::{ReadPreference, SelectionCriteria};
use mongodb::raw_batch_cursor::RawBatchCursor;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::bson::value_of;
use super::connect::Connection;
use super::decimal;
use super::error::{driver_error, id_for_message, malformed, number};
use super::fields::KEY;
use super::key::Layout;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::Discriminator;
use crate::table::{
    BatchSender, BatchStream, ChangedSince, ColumnType, OWN_TABLE_PREFIX, ReadSnapshot, Row, RowBatch,
    ScanOptions, Table, TableColumn, spawn_scan,
};
use crate::value::{Object, Value};

pub(super) const BATCH_ROWS: usize = 10_000;
const BATCH_BYTES: usize = 4 << 20;
/// Batches that wait for the reader, beside the one that is being made.
pub(super) const BATCHES_AHEAD: usize = 2;

/// Reads each collection as it is when its scan gets there. One scan runs at a time.
pub(super) struct CollectionReader {
    connection: Arc<Connection>,
    turn: Arc<Mutex<()>>,
}

impl CollectionReader {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self { connection, turn: Arc::default() }
    }
}

#[async_trait]
impl ReadSnapshot for CollectionReader {
    async fn scan(&self, table: Arc<Table>, options: ScanOptions) -> Result<BatchStream> {
        self.connection.check_open()?;
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let decoder =
            Decoder::new(&table, if options.keys_only { Unknown::Ignore } else { Unknown::Refuse })?;
        let cursor = open_cursor(&self.connection, &table, &options).await?;
        let most_rows = options.batch_rows.unwrap_or(BATCH_ROWS).clamp(1, BATCH_ROWS);
        Ok(spawn_scan(BATCHES_AHEAD, |sender| {
            feed(cursor, decoder, options.keys_only, most_rows, sender, turn, driver_error)
        }))
    }
}

/// Reads by which it is decided what is written must be of the present, whatever the URI says of reading.
pub(super) fn primary() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Primary)
}

/// The query for the rows of an entity, or of all.
pub(super) fn entity_query(discriminator: Option<&Discriminator>) -> Document {
    discriminator.map_or_else(Document::new, |d| doc! {&d.column: {"$eq": &d.value}})
}

/// The query for the rows of a scan.
pub(super) fn scan_query(options: &ScanOptions) -> Document {
    let mut query = entity_query(options.discriminator.as_ref());
    if let Some(ChangedSince { column, or_column, moment }) = &options.changed_since {
        let moment = mongodb::bson::DateTime::from_millis(moment.millis());
        // A field that holds no date cannot be compared with one.
        let mut changed = vec![doc! {column: {"$gte": moment}}, doc! {column: {"$not": {"$type": "date"}}}];
        changed.extend(or_column.iter().map(|column| doc! {column: {"$gte": moment}}));
        query.insert("$or", changed);
    }
    query
}

async fn open_cursor(
    connection: &Connection,
    table: &Table,
    options: &ScanOptions,
) -> Result<RawBatchCursor> {
    connection.trace("find", &table.name);
    let batch_size = batch_size(connection, &table.name, options.keys_only).await;
    let collection = connection.collection(&table.name);
    let open = |may_pause: bool| {
        let mut find = collection.find(scan_query(options)).batch_size(batch_size);
        if may_pause {
            find = find.no_cursor_timeout(true);
        }
        if options.keys_only {
            find = find.projection(doc! {KEY: 1});
        }
        if options.keys_only || table.name.starts_with(OWN_TABLE_PREFIX) {
            // What decides which rows are there, and how far a reader has come, must not be older than what was read before.
            find = find.selection_criteria(primary());
        }
        find.batch()
    };
    // A slow reader may pause for longer than the ten minutes after which the server forgets a cursor; one of a time series may not.
    let opened = match open(true).await {
        Err(error) if matches!(*error.kind, DriverErrorKind::Command(_)) => open(false).await,
        opened => opened,
    };
    opened.map_err(|error| driver_error(&error).in_context(&table.name))
}

/// How many documents make up a batch of the size that rows are handed on in.
pub(super) async fn batch_size(connection: &Connection, name: &str, keys_only: bool) -> u32 {
    let largest = u32::try_from(BATCH_ROWS).unwrap_or(u32::MAX);
    if keys_only {
        return largest;
    }
    // Where the statistics may not be read, a thousand rows are a safe size.
    let stats = connection.database.run_command(doc! {"collStats": name}).await.unwrap_or_default();
    let average = number(&stats, "avgObjSize")
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(BATCH_BYTES / 1000);
    u32::try_from(BATCH_BYTES / average.max(1)).unwrap_or(largest).clamp(1, largest)
}

/// Turns batches of documents into batches of rows until the end, an error, or nobody reads any more. `told` says what an
/// error of the cursor means.
pub(super) async fn feed(
    mut cursor: RawBatchCursor,
    decoder: Decoder,
    keys_only: bool,
    most_rows: usize,
    sender: BatchSender,
    _turn: OwnedMutexGuard<()>,
    told: fn(&DriverError) -> Error,
) -> Result<()> {
    while let Some(batch) = cursor.next().await {
        let documents = match &batch {
            Ok(batch) => batch.doc_slices(),
            Err(error) => Err(error.clone()),
        };
        let mut documents = documents.map_err(|error| told(&error))?.into_iter();
        loop {
            let rows = decoder.batch(&mut documents, keys_only, most_rows)?;
            if rows.is_empty() {
                break;
            }
            if sender.send(Ok(RowBatch::Rows(rows))).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What happens to a field that the table does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// It is left out, because only some of the document is asked for.
    Ignore,
    /// It is an error, because it would be lost: the collection has to be described again.
    Refuse,
}

/// Makes rows of documents.
pub(super) struct Decoder {
    names: Vec<String>,
    types: Vec<ColumnType>,
    positions: HashMap<String, usize>,
    key: Vec<usize>,
    only_key: Option<usize>,
    /// The column that takes the fields that no other one does.
    rest: Option<usize>,
    unknown: Unknown,
}

impl Decoder {
    /// # Errors
    /// As [`Layout::of`].
    pub(super) fn new(table: &Table, unknown: Unknown) -> Result<Self> {
        let layout = Layout::of(table)?;
        let rest = table.rest();
        // No field is called so.
        let name = |column: &TableColumn| match column.column_type {
            ColumnType::Rest => "\0".to_owned(),
            _ => column.name.clone(),
        };
        Ok(Self {
            names: table.columns.iter().map(name).collect(),
            types: table.columns.iter().map(|column| column.column_type.clone()).collect(),
            positions: table.columns.iter().enumerate().map(|(i, column)| (name(column), i)).collect(),
            key: table.key.clone(),
            only_key: layout.only_key(),
            rest,
            unknown,
        })
    }

    /// The next rows, as many as make up a batch; none at the end.
    fn batch<'d>(
        &self,
        documents: &mut impl Iterator<Item = mongodb::bson::error::Result<RawBsonRef<'d>>>,
        keys_only: bool,
        most_rows: usize,
    ) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let mut bytes = 0;
        while rows.len() < most_rows && bytes < BATCH_BYTES {
            let Some(document) = documents.next() else { break };
            let document = document
                .map_err(malformed)?
                .as_document()
                .ok_or_else(|| malformed("no document in a batch"))?;
            bytes += document.as_bytes().len();
            rows.push(if keys_only { self.key_row(document)? } else { self.row(document)? });
        }
        Ok(rows)
    }

    /// The row of a document.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] for a field that appeared after the collection was described.
    pub(super) fn row(&self, document: &RawDocument) -> Result<Row> {
        let mut row = vec![Value::Null; self.names.len()];
        let mut id = None;
        let mut rest = Object::new();
        // Documents mostly hold their fields in the order of the columns.
        let mut expected = 0;
        for entry in document {
            let (name, element) = entry.map_err(malformed)?;
            let name = name.as_str();
            if name == KEY {
                id = Some(element);
                continue;
            }
            if self.only_key == Some(expected) {
                expected += 1;
            }
            let position = match self.names.get(expected) {
                Some(next) if next == name => Some(expected),
                _ => self.position(name),
            };
            match position {
                Some(position) => {
                    expected = position + 1;
                    self.put(&mut row, position, element)?;
                }
                None if self.rest.is_some() => {
                    rest.insert(name.to_owned(), value_of(element)?);
                }
                None if self.unknown == Unknown::Ignore => {}
                None => return Err(unknown_field(document, name)),
            }
        }
        if let Some(id) = id {
            self.put_key(&mut row, id)?;
        }
        if let Some(slot) = self.rest.and_then(|rest| row.get_mut(rest))
            && !rest.is_empty()
        {
            *slot = Value::Object(Box::new(rest));
        }
        Ok(row)
    }

    /// The column that holds a field other than the key.
    pub(super) fn position(&self, field: &str) -> Option<usize> {
        self.positions.get(field).copied().filter(|position| self.only_key != Some(*position))
    }

    /// Whether there is a column for fields that have none of their own.
    pub(super) fn has_rest(&self) -> bool {
        self.rest.is_some()
    }

    /// The column that is the `_id` of documents and nothing else.
    pub(super) fn only_key(&self) -> Option<usize> {
        self.only_key
    }

    /// The key of a document, in the order of the table's key.
    pub(super) fn key_row(&self, document: &RawDocument) -> Result<Row> {
        let mut row = vec![Value::Null; self.names.len()];
        if let Some(id) = document.get(KEY).map_err(malformed)? {
            self.put_key(&mut row, id)?;
        }
        Ok(self
            .key
            .iter()
            .map(|position| row.get_mut(*position).map(std::mem::take).unwrap_or_default())
            .collect())
    }

    /// Fills in from the `_id` what the fields have not said.
    fn put_key(&self, row: &mut Row, id: RawBsonRef<'_>) -> Result<()> {
        if let [single] = self.key.as_slice() {
            return if row.get(*single).is_none_or(Value::is_null) {
                self.put(row, *single, id)
            } else {
                Ok(())
            };
        }
        let parts = match id.as_document() {
            Some(parts) if self.is_composite_key(parts)? => parts,
            _ => return self.put_foreign_key(row, id),
        };
        for position in &self.key {
            let name = self.names.get(*position).map_or("", String::as_str);
            if let Some(part) = parts.get(name).map_err(malformed)? {
                self.put(row, *position, part)?;
            }
        }
        Ok(())
    }

    /// Whether an `_id` is one that rows of this table have: the columns of the key in their order, and nothing else.
    fn is_composite_key(&self, parts: &RawDocument) -> Result<bool> {
        let mut names = self.key.iter().map(|position| self.names.get(*position).map(String::as_str));
        for part in parts {
            let (name, value) = part.map_err(malformed)?;
            if names.next().flatten() != Some(name.as_str()) || value == RawBsonRef::Null {
                return Ok(false);
            }
        }
        Ok(names.next().is_none())
    }

    /// The `_id` of a document that came from elsewhere stands for the whole key, so that the document can be found and deleted.
    fn put_foreign_key(&self, row: &mut Row, id: RawBsonRef<'_>) -> Result<()> {
        let mut parts = std::iter::once(value_of(id)?);
        for position in &self.key {
            if let Some(slot) = row.get_mut(*position) {
                *slot = parts.next().unwrap_or_default();
            }
        }
        Ok(())
    }

    /// Puts the value of a field into its column.
    pub(super) fn put(&self, row: &mut Row, position: usize, element: RawBsonRef<'_>) -> Result<()> {
        let (Some(slot), Some(column_type)) = (row.get_mut(position), self.types.get(position)) else {
            return Ok(());
        };
        *slot = match (column_type, value_of(element)?) {
            // These were written here, in place of what the column's type says.
            (ColumnType::Text(_), Value::ObjectId(id)) => Value::Text(id.to_string()),
            (ColumnType::Decimal(_), Value::Text(text)) if is_long_decimal(&text) => {
                Value::Decimal(text.into())
            }
            (_, value) => value,
        };
        Ok(())
    }
}

/// Whether text is a decimal that only its length kept from being stored as one.
fn is_long_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && decimal::encode(text).is_none()
}

fn unknown_field(document: &RawDocument, name: &str) -> Error {
    let id = id_for_message(document);
    let message = format!(
        "document {id} has the field \"{name}\", which it had not when the collection was described; try again"
    );
    Error::new(ErrorKind::Conflict, message)
}
