//! The peer for MySQL and MariaDB: a prepared INSERT of several rows, run in a loop over ready values.

use std::time::Instant;

use data::{Value, json_text};
use sqlx::mysql::MySqlArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection, MySql, MySqlConnection};

use crate::job::{Failure, Outcome};
use crate::ready::Ready;

/// Rows of one transaction.
const TRANSACTION: usize = 10_000;
/// Rows of one statement.
const STATEMENT: usize = 500;

/// Inserts the rows into a table that exists.
pub(crate) async fn insert(uri: &str, ready: &Ready) -> Result<Outcome, Failure> {
    let rows: Vec<Vec<Stored>> = ready
        .rows
        .iter()
        .map(|row| row.iter().map(stored).collect::<Result<_, _>>())
        .collect::<Result<_, _>>()?;
    let uri = uri.replacen("mariadb://", "mysql://", 1);
    let mut connection = MySqlConnection::connect(&uri).await?;

    let start = Instant::now();
    let full = ready.insert_of(STATEMENT, '`');
    for transaction in rows.chunks(TRANSACTION) {
        let mut open = connection.begin().await?;
        for chunk in transaction.chunks(STATEMENT) {
            let rest = ready.insert_of(chunk.len(), '`');
            let sql = if chunk.len() == STATEMENT { &full } else { &rest };
            let query = chunk.iter().flatten().fold(sqlx::query(AssertSqlSafe(sql.as_str())), bind);
            query.execute(&mut *open).await?;
        }
        open.commit().await?;
    }
    Ok(Outcome::of(rows.len(), start.elapsed()))
}

/// A value in the form in which it is sent.
enum Stored {
    Null,
    Integer(i64),
    Double(f64),
    Text(String),
}

fn bind<'q>(query: Query<'q, MySql, MySqlArguments>, value: &'q Stored) -> Query<'q, MySql, MySqlArguments> {
    match value {
        Stored::Null => query.bind(Option::<i64>::None),
        Stored::Integer(number) => query.bind(number),
        Stored::Double(number) => query.bind(number),
        Stored::Text(text) => query.bind(text),
    }
}

fn stored(value: &Value) -> Result<Stored, Failure> {
    Ok(match value {
        Value::Null | Value::JsonNull => Stored::Null,
        Value::Bool(flag) => Stored::Integer(i64::from(*flag)),
        Value::Int32(number) => Stored::Integer(i64::from(*number)),
        Value::Int64(number) => Stored::Integer(*number),
        Value::Float(number) => Stored::Double(*number),
        Value::Decimal(text) => Stored::Text(text.to_string()),
        Value::Text(text) => Stored::Text(text.clone()),
        Value::Timestamp(moment) => Stored::Text(moment.to_iso().replace('T', " ").replace('Z', "")),
        Value::Array(_) | Value::Object(_) => Stored::Text(json_text(value)),
        Value::Bytes(_) | Value::ObjectId(_) => return Err(Failure::Value(json_text(value))),
    })
}
