//! Writing rows in bulk, all of a batch in one transaction.

use std::borrow::Cow;
use std::collections::HashSet;

use indexmap::IndexMap;
use sqlx::mysql::MySqlArguments;
use sqlx::{AssertSqlSafe, Executor};

use super::super::parameters::{add, add_packed, packed_size, size_of, too_long};
use super::super::pool::{Link, Pooled};
use super::super::session::{execute_on, fetch_on};
use super::super::syntax::quote;
use super::keys::{Lookup, identity};
use super::stored::{StoredColumn, StoredTable};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Access;
use crate::table::{PackedRows, Row, RowBatch};
use crate::value::Value;

/// Rows of one statement at the most; more are not faster.
const ROWS: usize = 500;
/// The protocol counts parameters in 16 bits.
const MOST_PARAMETERS: usize = 65_535;
/// Bytes of one statement at the most, but for a single row that is longer.
const STATEMENT_BYTES: usize = 2 << 20;
/// What a statement's text takes of a packet, at the most: some characters for each parameter.
const TEXT_OF_PARAMETER: usize = 24;

/// A transaction that writes rows. Dropped before its end, it ends with its connection.
pub(super) struct Writing {
    link: Pooled,
    is_open: bool,
}

impl Writing {
    /// Begins; rows may come in any order where foreign keys do not count, and zero is no request for a new number.
    pub(super) async fn begin(link: Pooled, in_any_order: bool) -> Result<Self> {
        let mut writing = Self { link, is_open: true };
        let settings = if in_any_order {
            "SET foreign_key_checks = 0, sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO'); "
        } else {
            ""
        };
        let begin = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION";
        writing.link.run(&format!("{settings}{begin}")).await?;
        Ok(writing)
    }

    /// Makes the rows permanent, or undoes them after an error.
    pub(super) async fn end<T>(self, written: Result<T>) -> Result<T> {
        match written {
            Ok(written) => self.finish("COMMIT").await.map(|()| written),
            Err(error) => {
                if let Err(rollback) = self.roll_back().await {
                    tracing::debug!(%rollback, "a failed batch ends with its connection");
                }
                Err(error)
            }
        }
    }

    /// Undoes what was written.
    pub(super) async fn roll_back(self) -> Result<()> {
        self.finish("ROLLBACK").await
    }

    /// Ends the transaction, and leaves the connection as it was found.
    async fn finish(mut self, last: &str) -> Result<()> {
        let settings = self.link.server().session_settings();
        let ended = self.link.run(&format!("{last}; SET foreign_key_checks = 1; {settings}")).await;
        self.is_open = ended.is_err();
        ended.map(drop)
    }

    /// The connection, to run further statements of the transaction on.
    pub(super) fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// Inserts rows that do not exist yet.
    pub(super) async fn insert_batch(&mut self, stored: &StoredTable<'_>, batch: &RowBatch) -> Result<()> {
        let load = Load::insert(stored);
        match batch {
            RowBatch::Rows(rows) => self.insert(&load, rows.iter()).await,
            RowBatch::Packed(packed) => self.insert_packed(&load, packed).await,
            RowBatch::PgBinary { .. } => Err(Error::new(
                ErrorKind::Internal,
                "tuples of PostgreSQL were handed to MySQL, which does not take them",
            )),
        }
    }

    /// Inserts rows as the load says.
    async fn insert<'r>(&mut self, load: &Load<'_>, rows: impl IntoIterator<Item = &'r Row>) -> Result<()> {
        if load.columns.is_empty() {
            return Ok(());
        }
        let mut chunk = Chunk::default();
        for row in rows {
            let values = load.values(row)?;
            let size = values.iter().map(|value| size_of(value)).sum();
            self.make_room(load, &mut chunk, size).await?;
            for value in &values {
                add(&mut chunk.arguments, value)?;
            }
        }
        self.run(load, chunk).await
    }

    /// Inserts rows that only have to be bound.
    async fn insert_packed(&mut self, load: &Load<'_>, packed: &PackedRows) -> Result<()> {
        if packed.width != load.width || packed.width != load.columns.len() {
            return Err(load.wrong_width(packed.width));
        }
        let mut chunk = Chunk::default();
        for row in packed.each_row() {
            self.make_room(load, &mut chunk, row.clone().map(packed_size).sum()).await?;
            for value in row {
                add_packed(&mut chunk.arguments, value)?;
            }
        }
        self.run(load, chunk).await
    }

    /// Counts a further row of so many bytes into a chunk, which is sent before if it is full.
    async fn make_room(&mut self, load: &Load<'_>, chunk: &mut Chunk, size: usize) -> Result<()> {
        let most_bytes = self.link.server().max_packet;
        let room = most_bytes.saturating_sub(load.text_bytes());
        if size > room {
            return Err(too_long(size, most_bytes));
        }
        let is_full = chunk.rows == load.most_rows || chunk.bytes + size > STATEMENT_BYTES.min(room);
        if chunk.rows > 0 && is_full {
            self.run(load, std::mem::take(chunk)).await?;
        }
        chunk.rows += 1;
        chunk.bytes += size;
        Ok(())
    }

    async fn run(&mut self, load: &Load<'_>, chunk: Chunk) -> Result<()> {
        if chunk.rows == 0 {
            return Ok(());
        }
        let is_full = chunk.rows == load.most_rows;
        let sql = if is_full { Cow::Borrowed(&load.full) } else { Cow::Owned(load.statement(chunk.rows)) };
        let query = sqlx::query_with(AssertSqlSafe(sql.to_string()), chunk.arguments).persistent(is_full);
        let result = self.link.start().execute(query).await;
        self.link.done(result, &sql).map(drop)
    }

    /// Overwrites the rows that exist under the same key, and inserts the others. MySQL's own upsert overwrites whatever row
    /// collides on any unique index; so it is only used for rows whose key exists, on which it collides first.
    pub(super) async fn upsert(&mut self, stored: &StoredTable<'_>, rows: &[Row]) -> Result<()> {
        let rows = last_of_each_key(stored, rows);
        let keys: Vec<Vec<Value>> = rows.values().map(|row| stored.table.key_of(row)).collect();
        let existing = self.existing(stored, &keys).await?;
        let (mut known, mut new) = (Vec::new(), Vec::new());
        for (key, row) in &rows {
            if existing.contains(key) { known.push(*row) } else { new.push(*row) }
        }
        let overwrite = Load::overwrite(stored);
        if overwrite.changes_something {
            self.insert(&overwrite, known).await?;
        }
        self.insert(&Load::insert(stored), new).await
    }

    /// Those of the keys that exist; their rows are locked.
    async fn existing(
        &mut self,
        stored: &StoredTable<'_>,
        keys: &[Vec<Value>],
    ) -> Result<HashSet<Vec<String>>> {
        let columns = stored.key();
        let names: Vec<_> = columns.iter().map(|column| quote(&column.declared.name)).collect();
        let mut existing = HashSet::with_capacity(keys.len());
        for lookup in Lookup::of(stored, keys, self.link.server().kind) {
            let sql = format!(
                "SELECT {} FROM {} WHERE {} FOR UPDATE",
                names.join(", "),
                quote(&stored.table.name),
                lookup.condition
            );
            for row in fetch_on(&mut self.link, Access::Write, &sql, &lookup.params).await?.rows {
                let key: Row = columns.iter().zip(row).map(|(column, value)| column.declare(value)).collect();
                existing.insert(identity(&key));
            }
        }
        Ok(existing)
    }

    /// Deletes the rows with these keys; how many there were.
    pub(super) async fn delete(&mut self, stored: &StoredTable<'_>, keys: &[Vec<Value>]) -> Result<u64> {
        let mut deleted = 0;
        for lookup in Lookup::of(stored, keys, self.link.server().kind) {
            let sql = format!("DELETE FROM {} WHERE {}", quote(&stored.table.name), lookup.condition);
            deleted += execute_on(&mut self.link, Access::Write, &sql, &lookup.params).await?;
        }
        Ok(deleted)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if self.is_open {
            self.link.break_off();
        }
    }
}

/// The rows without those that a later one overwrites.
fn last_of_each_key<'r>(stored: &StoredTable<'_>, rows: &'r [Row]) -> IndexMap<Vec<String>, &'r Row> {
    let key = |row: &'r Row| stored.table.key.iter().filter_map(|position| row.get(*position));
    rows.iter().map(|row| (identity(key(row)), row)).collect()
}

/// Rows that wait to be sent.
#[derive(Default)]
struct Chunk {
    arguments: MySqlArguments,
    rows: usize,
    bytes: usize,
}

/// How rows are written into a table.
struct Load<'a> {
    table: String,
    /// The columns that can be written, with their positions.
    columns: Vec<(usize, &'a StoredColumn<'a>)>,
    width: usize,
    on_duplicate: String,
    changes_something: bool,
    most_rows: usize,
    /// The statement for as many rows as one takes.
    full: String,
}

impl<'a> Load<'a> {
    /// Inserts rows that do not exist yet.
    fn insert(stored: &'a StoredTable<'a>) -> Self {
        Self::new(stored, String::new(), true)
    }

    /// Overwrites rows that exist.
    fn overwrite(stored: &'a StoredTable<'a>) -> Self {
        let changed: Vec<_> = writable(stored)
            .filter(|(position, _)| !stored.table.key.contains(position))
            .map(|(_, column)| quote(&column.declared.name))
            .map(|name| format!("{name} = VALUES({name})"))
            .collect();
        Self::new(stored, format!(" ON DUPLICATE KEY UPDATE {}", changed.join(", ")), !changed.is_empty())
    }

    fn new(stored: &'a StoredTable<'a>, on_duplicate: String, changes_something: bool) -> Self {
        let columns: Vec<_> = writable(stored).collect();
        let mut load = Self {
            table: quote(&stored.table.name),
            most_rows: ROWS.min(MOST_PARAMETERS / columns.len().max(1)).max(1),
            width: stored.columns.len(),
            columns,
            on_duplicate,
            changes_something,
            full: String::new(),
        };
        load.full = load.statement(load.most_rows);
        load
    }

    fn statement(&self, rows: usize) -> String {
        let names: Vec<_> = self.columns.iter().map(|(_, column)| quote(&column.declared.name)).collect();
        let places: Vec<_> = self.columns.iter().map(|(_, column)| column.placeholder(false)).collect();
        let tuple = format!("({})", places.join(", "));
        let tuples = vec![tuple.as_str(); rows].join(", ");
        format!("INSERT INTO {} ({}) VALUES {tuples}{}", self.table, names.join(", "), self.on_duplicate)
    }

    fn text_bytes(&self) -> usize {
        1024 + self.columns.len() * TEXT_OF_PARAMETER
    }

    fn wrong_width(&self, width: usize) -> Error {
        let message = format!("table {}: a row has {width} values, not {}", self.table, self.width);
        Error::new(ErrorKind::Internal, message)
    }

    /// The values of a row in the form in which they are bound.
    fn values<'r>(&self, row: &'r Row) -> Result<Vec<Cow<'r, Value>>> {
        if row.len() != self.width {
            return Err(self.wrong_width(row.len()));
        }
        let value = |(position, column): &(usize, &StoredColumn<'_>)| {
            row.get(*position).map_or(Cow::Owned(Value::Null), |value| column.bound(value))
        };
        Ok(self.columns.iter().map(value).collect())
    }
}

fn writable<'a>(stored: &'a StoredTable<'a>) -> impl Iterator<Item = (usize, &'a StoredColumn<'a>)> {
    stored.columns.iter().enumerate().filter(|(_, column)| !column.declared.generated)
}
