//! The peer for SQLite: a prepared INSERT of several rows, run in a loop over ready values.

use std::time::Instant;

use data::{Value, json_text};
use rusqlite::types::Value as Stored;
use rusqlite::{Connection, Statement};

use crate::job::{Failure, Outcome};
use crate::ready::Ready;

/// Rows of one transaction.
const TRANSACTION: usize = 10_000;
/// Rows of one statement.
const STATEMENT: usize = 50;

/// Inserts the rows into a file whose table exists.
pub(crate) fn insert(file: &str, ready: &Ready) -> Result<Outcome, Failure> {
    let rows: Vec<Vec<Stored>> = ready
        .rows
        .iter()
        .map(|row| row.iter().map(stored).collect::<Result<_, _>>())
        .collect::<Result<_, _>>()?;
    let connection = Connection::open(file)?;
    // As the library's own connections have it.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -16_000)?;
    connection.pragma_update(None, "wal_autocheckpoint", 4096)?;

    let start = Instant::now();
    let mut full = connection.prepare(&ready.insert_of(STATEMENT, '"'))?;
    for transaction in rows.chunks(TRANSACTION) {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for chunk in transaction.chunks(STATEMENT) {
            if chunk.len() == STATEMENT {
                execute(&mut full, chunk)?;
            } else {
                execute(&mut connection.prepare(&ready.insert_of(chunk.len(), '"'))?, chunk)?;
            }
        }
        connection.execute_batch("COMMIT")?;
    }
    Ok(Outcome::of(rows.len(), start.elapsed()))
}

/// Counts the rows of a table.
pub(crate) fn count(file: &str, table: &str) -> Result<Outcome, Failure> {
    let connection = Connection::open(file)?;
    let start = Instant::now();
    let query = format!("SELECT count(*) FROM {}", quote(table));
    let rows: u32 = connection.query_row(&query, [], |row| row.get(0))?;
    Ok(Outcome { rows: rows.into(), elapsed: start.elapsed() })
}

fn execute(statement: &mut Statement<'_>, rows: &[Vec<Stored>]) -> Result<(), Failure> {
    for (position, value) in rows.iter().flatten().enumerate() {
        statement.raw_bind_parameter(position + 1, value)?;
    }
    statement.raw_execute()?;
    Ok(())
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The value as the library's own SQLite dialect stores it.
fn stored(value: &Value) -> Result<Stored, Failure> {
    Ok(match value {
        Value::Null | Value::JsonNull => Stored::Null,
        Value::Bool(flag) => Stored::Integer(i64::from(*flag)),
        Value::Int32(number) => Stored::Integer(i64::from(*number)),
        Value::Int64(number) => Stored::Integer(*number),
        Value::Float(number) => Stored::Real(*number),
        Value::Decimal(text) => Stored::Text(text.to_string()),
        Value::Text(text) => Stored::Text(text.clone()),
        Value::Timestamp(moment) => Stored::Text(moment.to_iso()),
        Value::Array(_) | Value::Object(_) => Stored::Text(json_text(value)),
        Value::Bytes(_) | Value::ObjectId(_) => return Err(Failure::Value(json_text(value))),
    })
}
