//! SQLite's result codes as kinds of error.

use sqlx::error::DatabaseError;

use crate::error::{DatabaseReport, Error, ErrorKind};

/// The extended result codes that have names of their own here; the others are named by their primary code.
const CONSTRAINTS: [(i32, &str, ErrorKind); 6] = [
    (2067, "SQLITE_CONSTRAINT_UNIQUE", ErrorKind::UniqueViolation),
    (1555, "SQLITE_CONSTRAINT_PRIMARYKEY", ErrorKind::UniqueViolation),
    (2579, "SQLITE_CONSTRAINT_ROWID", ErrorKind::UniqueViolation),
    (1299, "SQLITE_CONSTRAINT_NOTNULL", ErrorKind::NotNullViolation),
    (787, "SQLITE_CONSTRAINT_FOREIGNKEY", ErrorKind::ForeignKeyViolation),
    (3091, "SQLITE_CONSTRAINT_DATATYPE", ErrorKind::Value),
];

const PRIMARY: [(i32, &str, ErrorKind); 15] = [
    (1, "SQLITE_ERROR", ErrorKind::Statement),
    (3, "SQLITE_PERM", ErrorKind::Permission),
    (5, "SQLITE_BUSY", ErrorKind::Conflict),
    (6, "SQLITE_LOCKED", ErrorKind::Conflict),
    (8, "SQLITE_READONLY", ErrorKind::ReadOnly),
    (9, "SQLITE_INTERRUPT", ErrorKind::Timeout),
    (10, "SQLITE_IOERR", ErrorKind::Connection),
    (11, "SQLITE_CORRUPT", ErrorKind::Statement),
    (13, "SQLITE_FULL", ErrorKind::DiskFull),
    (14, "SQLITE_CANTOPEN", ErrorKind::Connection),
    (18, "SQLITE_TOOBIG", ErrorKind::Value),
    (19, "SQLITE_CONSTRAINT", ErrorKind::CheckViolation),
    (20, "SQLITE_MISMATCH", ErrorKind::Value),
    (23, "SQLITE_AUTH", ErrorKind::Permission),
    (26, "SQLITE_NOTADB", ErrorKind::Config),
];

/// An error of sqlx as one of ours.
pub(super) fn sqlite_error(error: sqlx::Error) -> Error {
    let kind = match &error {
        sqlx::Error::Database(database) => return reported(database.as_ref()),
        sqlx::Error::PoolTimedOut => {
            let message = "pool exhausted: no connection to the SQLite database became free within 30 s";
            return Error::new(ErrorKind::Timeout, message);
        }
        sqlx::Error::PoolClosed => return Error::new(ErrorKind::Closed, "the connection is closed"),
        sqlx::Error::Configuration(_) => ErrorKind::Config,
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => ErrorKind::Connection,
        sqlx::Error::Decode(_) | sqlx::Error::Encode(_) | sqlx::Error::ColumnDecode { .. } => {
            ErrorKind::Value
        }
        _ => ErrorKind::Statement,
    };
    Error::new(kind, error.to_string()).with_source(error)
}

fn reported(error: &dyn DatabaseError) -> Error {
    result_code_error(error.code().and_then(|code| code.parse().ok()).unwrap_or(1), error.message())
}

/// The error that SQLite reports by an extended result code and a message.
pub(super) fn result_code_error(number: i32, message: &str) -> Error {
    let named = |codes: &[(i32, &'static str, ErrorKind)], number: i32| {
        codes.iter().find(|(code, ..)| *code == number).map(|(_, name, kind)| (*name, *kind))
    };
    let (name, kind) = named(&CONSTRAINTS, number)
        .or_else(|| named(&PRIMARY, number & 0xff))
        .unwrap_or(("", ErrorKind::Statement));
    let kind = match message {
        _ if message.starts_with("no such table") => ErrorKind::UnknownTable,
        // RESTRICT reports the violation as that of a trigger.
        "FOREIGN KEY constraint failed" => ErrorKind::ForeignKeyViolation,
        _ => kind,
    };
    let code = if name.is_empty() { number.to_string() } else { name.to_owned() };
    let (table, column) = failed_place(message);
    let constraint = message.strip_prefix("CHECK constraint failed: ").map(str::to_owned);
    Error::new(kind, message).with_report(DatabaseReport {
        code,
        table,
        column,
        constraint,
        ..DatabaseReport::default()
    })
}

/// Table and column out of `UNIQUE constraint failed: users.email, users.name`.
fn failed_place(message: &str) -> (Option<String>, Option<String>) {
    let place = ["UNIQUE constraint failed: ", "NOT NULL constraint failed: "]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix))
        .and_then(|places| places.split(", ").next())
        .and_then(|place| place.rsplit_once('.'));
    match place {
        Some((table, column)) => (Some(table.to_owned()), Some(column.to_owned())),
        None => (None, None),
    }
}
