//! Reading whole tables in one consistent view, by COPY.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use tokio::sync::Mutex;
use wire::{Connection, IsolationLevel};

use super::catalog::{self, quoted};
use super::decode::decode_tuples;
use super::encode::{text_of, timestamp_text};
use super::stored::StoredTypes;
use crate::error::{Error, ErrorKind, Result};
use crate::table::{
    BatchSender, BatchStream, ColumnType, ReadSnapshot, RowBatch, ScanOptions, Table, TableColumn, spawn_scan,
};
use crate::value::Value;

/// A batch is handed on when it has this many rows or bytes.
const BATCH_ROWS: usize = 10_000;
const BATCH_BYTES: usize = 4 << 20;
/// The first batch has this many rows, and each further one twice as many as the one before, so that whoever writes them
/// need not wait long for the first.
const FIRST_ROWS: usize = 1_000;
/// Batches that wait for their reader.
const WAITING_BATCHES: usize = 2;
/// What a binary COPY begins with: signature, flags, and the length of an extension that the server never sends.
const HEADER_BYTES: usize = 19;

/// A transaction that sees the database as it was when it began. Dropping it closes its connection.
pub(super) struct Snapshot {
    connection: Arc<Mutex<Connection>>,
}

impl Snapshot {
    pub(super) async fn begin(mut connection: Connection) -> Result<Self> {
        connection.begin(Some(IsolationLevel::RepeatableRead), true).await?;
        Ok(Self::begun(connection))
    }

    /// The view of a transaction that the caller has begun.
    pub(super) fn begun(connection: Connection) -> Self {
        Self { connection: Arc::new(Mutex::new(connection)) }
    }
}

#[async_trait]
impl ReadSnapshot for Snapshot {
    async fn scan(&self, table: Arc<Table>, options: ScanOptions) -> Result<BatchStream> {
        let mut connection = Arc::clone(&self.connection).lock_owned().await;
        let Some(relation) = catalog::find(&mut connection, &table.name).await? else {
            let message = format!("table \"{}\" does not exist", table.name);
            return Err(Error::new(ErrorKind::UnknownTable, message));
        };
        // A reader that leaves early has the COPY cancelled, which must not end the whole snapshot.
        connection.simple_query("SAVEPOINT scan").await?;
        let key = key_table(&table).columns;
        let layout = if options.keys_only { Arc::new(key_table(&table)) } else { table };
        let catalogued = catalog::describe(&mut connection, &relation).await?.table;
        let stored = StoredTypes::of(&catalogued, &layout);
        let statement = copy_statement(&relation.own_rows(), &catalogued, &stored, &options, &key);
        // Tuples are decoded by the table they are handed over with, so its types must be the stored ones.
        let binary_tuples = options.binary_tuples && stored.are_declared();
        let most_rows = options.batch_rows.unwrap_or(BATCH_ROWS).clamp(1, BATCH_ROWS);
        Ok(spawn_scan(WAITING_BATCHES, |sender| async move {
            let copied = copy_batches(
                &mut connection,
                &statement,
                &layout,
                &stored,
                binary_tuples,
                most_rows,
                &sender,
            )
            .await;
            match copied {
                Ok(Ended::Complete) => Ok(()),
                Ok(Ended::Left) => {
                    leave(&mut connection).await;
                    Ok(())
                }
                Err(error) => {
                    recover(&mut connection).await;
                    Err(error)
                }
            }
        }))
    }
}

/// Why a scan ended.
enum Ended {
    Complete,
    Left,
}

async fn copy_batches(
    connection: &mut Connection,
    statement: &str,
    table: &Arc<Table>,
    stored: &StoredTypes,
    binary_tuples: bool,
    most_rows: usize,
    sender: &BatchSender,
) -> Result<Ended> {
    let mut copy = connection.copy_out(statement).await?;
    let mut pending = Tuples::in_batches_of(most_rows);
    loop {
        let piece = copy.next().await?;
        let is_last = piece.is_none();
        if let Some(piece) = piece {
            pending.push(&piece);
        }
        pending.find_tuples()?;
        while pending.is_full() || (is_last && pending.rows > 0) {
            let (rows, tuples) = pending.take();
            let batch = if binary_tuples {
                RowBatch::PgBinary { rows, tuples, table: Arc::clone(table) }
            } else {
                RowBatch::Rows(stored.declare(decode_tuples(stored.table(), &tuples)?))
            };
            if sender.send(Ok(batch)).await.is_err() {
                return Ok(Ended::Left);
            }
            pending.find_tuples()?;
        }
        if is_last {
            return Ok(Ended::Complete);
        }
    }
}

/// Stops a COPY whose reader has left, and makes the snapshot ready for the next scan. If that fails the next scan
/// tells.
async fn leave(connection: &mut Connection) {
    let token = connection.cancel_token();
    if let Err(error) = token.cancel().await {
        tracing::debug!("a scan could not be cancelled and is read to its end: {error}");
    }
    recover(connection).await;
}

/// Makes the snapshot ready for the next scan after one that failed or was left. If that fails the next scan tells.
async fn recover(connection: &mut Connection) {
    if let Err(error) = connection.simple_query("ROLLBACK TO SAVEPOINT scan").await {
        tracing::debug!("a snapshot was lost: {error}");
    }
}

/// COPY takes no parameters, so that values stand in the statement.
fn copy_statement(
    relation: &str,
    catalogued: &Table,
    stored: &StoredTypes,
    options: &ScanOptions,
    key: &[TableColumn],
) -> String {
    let columns = stored.selection();
    let mut conditions = Vec::new();
    if let Some(discriminator) = &options.discriminator {
        // Quotes are doubled, and standard_conforming_strings leaves backslashes alone.
        let value = discriminator.value.replace('\'', "''");
        conditions.push(format!("{} = '{value}'", quoted(&discriminator.column)));
    }
    if let Some(since) = &options.changed_since {
        // Text and numbers are not moments here, whatever an entity takes them for; then every row is read.
        let is_moment = |name: &String| {
            let column = catalogued.columns.iter().find(|column| column.name == *name);
            column
                .is_some_and(|own| matches!(own.column_type, ColumnType::Timestamp { .. } | ColumnType::Date))
        };
        if std::iter::once(&since.column).chain(&since.or_column).all(is_moment) {
            let (column, moment) = (quoted(&since.column), timestamp_text(since.moment));
            let further = since.or_column.iter().map(|name| format!(" OR {} >= '{moment}'", quoted(name)));
            let further: String = further.collect();
            conditions.push(format!("({column} >= '{moment}' OR {column} IS NULL{further})"));
        }
    }
    if let Some(range) = &options.range {
        conditions.extend(range.after.iter().map(|bound| key_condition(key, ">", bound)));
        conditions.extend(range.up_to.iter().map(|bound| key_condition(key, "<=", bound)));
    }
    let condition =
        if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    format!("COPY (SELECT {columns} FROM {relation}{condition}) TO STDOUT (FORMAT binary)")
}

/// Compares the key with a bound, as the database orders both. The values take the types of the columns.
fn key_condition(key: &[TableColumn], comparison: &str, bound: &[Value]) -> String {
    let names: Vec<_> = key.iter().map(|column| quoted(&column.name)).collect();
    let literals: Vec<_> = key
        .iter()
        .zip(bound)
        .map(|(column, value)| match text_of(value, Some(&column.column_type)) {
            Some(text) => format!("'{}'", text.replace('\'', "''")),
            None => "NULL".to_owned(),
        })
        .collect();
    format!("({}) {comparison} ({})", names.join(", "), literals.join(", "))
}

fn key_table(table: &Table) -> Table {
    Table {
        name: table.name.clone(),
        columns: table.key.iter().map(|position| table.columns[*position].clone()).collect(),
        key: (0..table.key.len()).collect(),
        references: Vec::new(),
    }
}

/// Whole tuples that have been read and not been handed on.
#[derive(Default)]
struct Tuples {
    bytes: BytesMut,
    rows: usize,
    /// How many rows make up the batch that is being collected.
    batch_rows: usize,
    /// How many rows make up the largest batch.
    most_rows: usize,
    /// How many bytes of `bytes` are whole tuples.
    whole: usize,
    /// Whether the header of the COPY has been passed.
    begun: bool,
}

impl Tuples {
    fn in_batches_of(most_rows: usize) -> Self {
        Self { batch_rows: FIRST_ROWS.min(most_rows), most_rows, ..Self::default() }
    }

    fn push(&mut self, piece: &Bytes) {
        self.bytes.extend_from_slice(piece);
    }

    /// Finds where whole tuples end, as far as a batch reaches.
    fn find_tuples(&mut self) -> Result<()> {
        if !self.begun {
            if self.bytes.len() < HEADER_BYTES {
                return Ok(());
            }
            let _header = self.bytes.split_to(HEADER_BYTES);
            self.begun = true;
        }
        while !self.is_full()
            && let Some(length) = tuple_length(&self.bytes[self.whole..])?
        {
            self.whole += length;
            self.rows += 1;
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.rows >= self.batch_rows || self.whole >= BATCH_BYTES
    }

    fn take(&mut self) -> (usize, Bytes) {
        let tuples = self.bytes.split_to(self.whole).freeze();
        self.whole = 0;
        self.batch_rows = (self.batch_rows * 2).min(self.most_rows);
        (std::mem::take(&mut self.rows), tuples)
    }
}

/// The length of the tuple at the start; `None` if it is cut off or the end of the COPY is reached.
fn tuple_length(bytes: &[u8]) -> Result<Option<usize>> {
    let Some((fields, _)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
    let fields = i16::from_be_bytes(*fields);
    if fields == -1 {
        return Ok(None);
    }
    let mut length = 2;
    for _ in 0..fields {
        let Some((field, _)) = bytes.get(length..).and_then(<[u8]>::split_first_chunk::<4>) else {
            return Ok(None);
        };
        length += 4 + match i32::from_be_bytes(*field) {
            -1 => 0,
            field => {
                usize::try_from(field).map_err(|_| Error::new(ErrorKind::Internal, "a COPY is malformed"))?
            }
        };
    }
    Ok((length <= bytes.len()).then_some(length))
}
