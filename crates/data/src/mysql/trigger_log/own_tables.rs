//! The tables in which the triggers record, and what is kept there of readers.
//!
//! A trigger's row number is no order: it is given out when a row is inserted, and rows become visible when their
//! transactions commit. So triggers record in an inbox, from where what is committed moves on into the table of changes,
//! numbered as it comes; see [`super::sequence`]. The values of a change lie in a table of their own for each layout, in
//! columns of the same types, so that they are read as the table's own rows are.

use crate::error::{Error, ErrorKind, Result};
use crate::log::Position;
use crate::sql::Access;
use crate::value::Value;

pub(super) use super::super::catalog::text;
use super::super::pool::Link;
use super::super::session::{execute_on, fetch_on};
use super::super::syntax::quote;

/// What the triggers have recorded, as far as it is not numbered: one row a change.
pub(super) const INBOX: &str = "replicaverse_inbox";
/// The changes in the order in which they became visible.
pub(super) const CHANGE: &str = "replicaverse_change";
/// The layouts of captured tables.
pub(super) const SOURCE: &str = "replicaverse_source";
/// Who reads, and how far.
pub(super) const READER: &str = "replicaverse_reader";

pub(super) const OPERATION_INSERT: &str = "i";
pub(super) const OPERATION_UPDATE: &str = "u";
pub(super) const OPERATION_DELETE: &str = "d";
/// What stands first in the table of changes, so that there always is a last change.
const OPERATION_BEGIN: &str = "b";

/// The account that the connection has, in the form of a GRANT; the whole set of privileges, as a statement to run.
const ACCOUNT: &str = "SELECT CURRENT_USER(), DATABASE()";

/// A reader, as it is stored.
pub(super) struct StoredReader {
    pub(super) name: String,
    /// The names of the tables that it reads.
    pub(super) tables: Vec<String>,
    /// Why its changes are lost.
    pub(super) lost: Option<String>,
}

/// The table with the values of a layout's changes.
pub(super) fn values_table(source: i64) -> String {
    format!("replicaverse_values_{source}")
}

/// Whether the tables are there.
pub(super) async fn exist(link: &mut Link) -> Result<bool> {
    let sql = "SELECT count(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() \
               AND TABLE_NAME IN (?, ?, ?, ?)";
    let names: Vec<Value> = [INBOX, CHANGE, SOURCE, READER].map(Value::from).into();
    Ok(scalar(link, sql, &names).await? == Some(4))
}

/// Creates what is missing. If some tables have gone, so has what the others mean: all are made anew.
pub(super) async fn create(link: &mut Link) -> Result<()> {
    if exist(link).await? {
        return Ok(());
    }
    drop_all(link).await?;
    let options = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";
    let collation = link.server().kind.exact_collation();
    for sql in [
        format!(
            "CREATE TABLE {INBOX} (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, source INT NOT NULL, \
             operation CHAR(1) NOT NULL, bytes BIGINT UNSIGNED NOT NULL, at DATETIME(6) NOT NULL) {options}"
        ),
        format!(
            "CREATE TABLE {SOURCE} (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(64) NOT NULL, \
             layout LONGTEXT NOT NULL, is_current INT NOT NULL) {options} COLLATE={collation}"
        ),
        format!(
            "CREATE TABLE {READER} (name VARCHAR(64) NOT NULL PRIMARY KEY, acknowledged BIGINT UNSIGNED NOT NULL, \
             tables LONGTEXT NOT NULL, lost LONGTEXT) {options} COLLATE={collation}"
        ),
        // The last one: while it is missing, the others are made again.
        format!(
            "CREATE TABLE {CHANGE} (seq BIGINT UNSIGNED NOT NULL PRIMARY KEY, id BIGINT UNSIGNED NOT NULL, \
             source INT NOT NULL, operation CHAR(1) NOT NULL, bytes BIGINT UNSIGNED NOT NULL, \
             at DATETIME(6) NOT NULL, mark CHAR(32) NOT NULL) {options} \
             SELECT 1 AS seq, 0 AS id, 0 AS source, '{OPERATION_BEGIN}' AS operation, 0 AS bytes, \
             UTC_TIMESTAMP(6) AS at, REPLACE(UUID(), '-', '') AS mark"
        ),
    ] {
        link.run(&sql).await?;
    }
    Ok(())
}

/// Drops every trigger and every table of ours.
pub(super) async fn drop_all(link: &mut Link) -> Result<()> {
    let sql = "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() \
               AND TRIGGER_NAME REGEXP '^replicaverse_[0-9]+_(insert|update|delete)$'";
    for name in texts(link, sql, &[]).await? {
        link.run(&format!("DROP TRIGGER IF EXISTS {}", quote(&name))).await?;
    }
    let sql = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() \
               AND TABLE_NAME REGEXP '^replicaverse_values_[0-9]+$'";
    for name in texts(link, sql, &[]).await? {
        link.run(&format!("DROP TABLE IF EXISTS {}", quote(&name))).await?;
    }
    for table in [CHANGE, INBOX, SOURCE, READER] {
        link.run(&format!("DROP TABLE IF EXISTS {table}")).await?;
    }
    Ok(())
}

/// The position behind the last numbered change.
pub(super) async fn head(link: &mut Link) -> Result<Position> {
    let sql = format!("SELECT seq, mark FROM {CHANGE} ORDER BY seq DESC LIMIT 1");
    let rows = fetch_on(link, Access::Read, &sql, &[]).await?.rows;
    match rows.first().map(Vec::as_slice) {
        Some([seq, Value::Text(mark)]) => Ok(Position { order: order(seq), token: Some(mark.clone()) }),
        _ => Err(Error::new(ErrorKind::LogLost, "the table of changes holds nothing any more")),
    }
}

/// Every reader.
pub(super) async fn readers(link: &mut Link) -> Result<Vec<StoredReader>> {
    let sql = format!("SELECT name, tables, lost FROM {READER} ORDER BY name");
    let rows = fetch_on(link, Access::Read, &sql, &[]).await?.rows;
    Ok(rows
        .into_iter()
        .filter_map(|row| match <[Value; 3]>::try_from(row) {
            Ok([Value::Text(name), Value::Text(tables), lost]) => Some(StoredReader {
                name,
                // Nothing else can write there.
                tables: serde_json::from_str(&tables).unwrap_or_default(),
                lost: lost.as_text().map(str::to_owned),
            }),
            _ => None,
        })
        .collect())
}

/// Stores what a reader reads. A new one has acknowledged everything so far.
pub(super) async fn store_reader(link: &mut Link, name: &str, tables: &[String]) -> Result<()> {
    let sql = format!(
        "INSERT INTO {READER} (name, acknowledged, tables) SELECT ?, max(seq), ? FROM {CHANGE} \
         ON DUPLICATE KEY UPDATE tables = ?"
    );
    let tables = serde_json::to_string(tables)
        .map_err(|error| Error::new(ErrorKind::Internal, "names cannot be stored").with_source(error))?;
    let params = [name.into(), tables.as_str().into(), tables.as_str().into()];
    execute_on(link, Access::Write, &sql, &params).await.map(drop)
}

/// Notes for every reader of a table that its changes are lost.
pub(super) async fn lose(link: &mut Link, table: &str, reason: &str) -> Result<()> {
    for reader in readers(link).await? {
        if reader.tables.iter().any(|read| read == table) {
            let sql = format!("UPDATE {READER} SET lost = ? WHERE name = ? AND lost IS NULL");
            execute_on(link, Access::Write, &sql, &[reason.into(), reader.name.into()]).await?;
        }
    }
    Ok(())
}

/// The error that a privilege is missing, with the statement that gives it; other errors as they are.
pub(super) async fn with_grant(link: &mut Link, error: Error) -> Error {
    /// The number under which a server tells that triggers need a further privilege while it keeps a binary log.
    const NO_SUPER: &str = "1419";
    if error.code() == NO_SUPER {
        let message = format!(
            "changes cannot be captured, as the server lets nobody without SUPER create triggers while it keeps a binary \
             log: {error}; run: SET GLOBAL log_bin_trust_function_creators = 1"
        );
        return Error::new(ErrorKind::Capture, message).with_source(error);
    }
    if error.kind() != ErrorKind::Permission {
        return error;
    }
    let rows =
        fetch_on(link, Access::Read, ACCOUNT, &[]).await.map(|fetched| fetched.rows).unwrap_or_default();
    let account = match rows.first().map(Vec::as_slice) {
        Some([Value::Text(user), Value::Text(database)]) => {
            let (name, host) = user.rsplit_once('@').unwrap_or((user, "%"));
            let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
            format!("{}.* TO {}@{}", quote(database), quoted(name), quoted(host))
        }
        _ => "the database TO the user".to_owned(),
    };
    let message = format!(
        "changes cannot be captured by triggers, as a privilege is missing: {error}; run: GRANT SELECT, INSERT, UPDATE, \
         DELETE, CREATE, DROP, TRIGGER, LOCK TABLES ON {account}"
    );
    Error::new(ErrorKind::Capture, message).with_source(error)
}

/// The one number that a query gives.
pub(super) async fn scalar(link: &mut Link, sql: &str, params: &[Value]) -> Result<Option<i64>> {
    let value = fetch_on(link, Access::Read, sql, params).await?.into_scalar();
    Ok(value.map(|value| i64::try_from(order(&value)).unwrap_or(i64::MAX)))
}

/// The texts of a query's first column.
pub(super) async fn texts(link: &mut Link, sql: &str, params: &[Value]) -> Result<Vec<String>> {
    let rows = fetch_on(link, Access::Read, sql, params).await?.rows;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().and_then(text)).collect())
}

/// A number that is not negative.
pub(super) fn order(value: &Value) -> u64 {
    match value {
        Value::Decimal(text) => text.parse().unwrap_or(0),
        value => value.as_integer().and_then(|number| u64::try_from(number).ok()).unwrap_or(0),
    }
}

/// A number as a parameter.
pub(super) fn number(order: u64) -> Value {
    Value::Int64(i64::try_from(order).unwrap_or(i64::MAX))
}
