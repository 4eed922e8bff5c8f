//! Statements that the application wrote itself: perhaps several in one text, of which SQLite prepares one at a time.

use std::ffi::CString;
use std::ptr::{NonNull, null_mut};

use libsqlite3_sys as ffi;
use sqlx::sqlite::SqliteConnection;

use super::error::sqlite_error;
use super::raw::{last_error, stream_rows};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::{Collected, Fetched};
use crate::value::Value;

/// Runs every statement of a text; the rows of the last one that returns rows.
pub(super) async fn fetch(connection: &mut SqliteConnection, sql: &str, params: &[Value]) -> Result<Fetched> {
    let mut last = Fetched::default();
    for statement in statements(sql, params)? {
        if let Some(fetched) = run(connection, statement, params).await?
            && !fetched.columns.is_empty()
        {
            last = fetched;
        }
    }
    Ok(last)
}

/// Runs every statement of a text; how many rows they have changed together.
pub(super) async fn execute(connection: &mut SqliteConnection, sql: &str, params: &[Value]) -> Result<u64> {
    let mut changed = 0;
    for statement in statements(sql, params)? {
        let before = total_changes(connection).await?;
        run(connection, statement, params).await?;
        // A statement that changes no rows leaves the count of the one before it.
        if total_changes(connection).await? != before {
            changed += changes(connection).await?;
        }
    }
    Ok(changed)
}

/// The statements of a text. With parameters there can only be one, as on every database.
fn statements<'a>(sql: &'a str, params: &[Value]) -> Result<Vec<&'a str>> {
    if sql.contains('\0') {
        return Err(Error::new(ErrorKind::Statement, "a statement cannot hold a NUL character"));
    }
    let mut statements = Vec::new();
    let mut rest = sql;
    let mut searched = 0;
    while let Some(found) = rest[searched..].find(';') {
        let end = searched + found + 1;
        if is_complete(&rest[..end]) {
            statements.push(&rest[..end]);
            rest = &rest[end..];
            searched = 0;
        } else {
            searched = end;
        }
    }
    statements.push(rest);
    statements.retain(|statement| !is_blank(statement));
    if statements.len() > 1 && !params.is_empty() {
        return Err(Error::new(
            ErrorKind::Statement,
            "with parameters, a text can hold only one statement; this one holds several",
        ));
    }
    Ok(statements)
}

/// Whether a semicolon at the end of a text ends a statement: it does not within text, comments and triggers.
fn is_complete(sql: &str) -> bool {
    // SAFETY: SQLite reads the C string and keeps nothing of it.
    CString::new(sql).is_ok_and(|sql| unsafe { ffi::sqlite3_complete(sql.as_ptr()) } == 1)
}

/// Whether there is nothing but space and semicolons. Comments are found when the statement is prepared.
fn is_blank(sql: &str) -> bool {
    sql.trim_matches(|character: char| character.is_ascii_whitespace() || character == ';').is_empty()
}

/// Runs one statement; `None` if it is only a comment.
async fn run(connection: &mut SqliteConnection, sql: &str, params: &[Value]) -> Result<Option<Fetched>> {
    // A connection prepares a statement by the schema that it knows, and learns of changes by others when it reads.
    collect(connection, "SELECT 1 FROM sqlite_schema LIMIT 1", &[]).await?;
    match parameters(connection, sql).await? {
        None => Ok(None),
        Some(count) if count != params.len() => Err(Error::new(
            ErrorKind::Statement,
            format!("the statement has {count} parameters, and {} values were given", params.len()),
        )),
        Some(_) => collect(connection, sql, params).await.map(Some),
    }
}

async fn collect(connection: &mut SqliteConnection, sql: &str, params: &[Value]) -> Result<Fetched> {
    let mut rows = Collected::default();
    stream_rows(connection, sql, params, &mut rows).await?;
    Ok(rows.into_fetched())
}

/// How many parameters a statement has; `None` if it is only a comment.
async fn parameters(connection: &mut SqliteConnection, sql: &str) -> Result<Option<usize>> {
    let length = i32::try_from(sql.len())
        .map_err(|_| Error::new(ErrorKind::Statement, "the statement is too long for SQLite"))?;
    let mut locked = connection.lock_handle().await.map_err(sqlite_error)?;
    let database = locked.as_raw_handle();
    let mut handle = null_mut();
    // SAFETY: the handle is locked, and so valid and ours alone; SQLite reads `length` bytes, and what it has prepared is
    // finalized before the lock is given back.
    unsafe {
        let code = ffi::sqlite3_prepare_v2(
            database.as_ptr(),
            sql.as_ptr().cast(),
            length,
            &raw mut handle,
            null_mut(),
        );
        if code != ffi::SQLITE_OK {
            return Err(last_error(database));
        }
        let Some(statement) = NonNull::new(handle) else { return Ok(None) };
        let count = ffi::sqlite3_bind_parameter_count(statement.as_ptr());
        ffi::sqlite3_finalize(statement.as_ptr());
        Ok(Some(usize::try_from(count).unwrap_or(0)))
    }
}

/// How many rows this connection has changed since it was opened.
async fn total_changes(connection: &mut SqliteConnection) -> Result<i64> {
    let mut locked = connection.lock_handle().await.map_err(sqlite_error)?;
    // SAFETY: the handle is locked, and so valid and ours alone.
    Ok(unsafe { ffi::sqlite3_total_changes64(locked.as_raw_handle().as_ptr()) })
}

/// How many rows the last INSERT, UPDATE or DELETE has changed.
async fn changes(connection: &mut SqliteConnection) -> Result<u64> {
    let mut locked = connection.lock_handle().await.map_err(sqlite_error)?;
    // SAFETY: the handle is locked, and so valid and ours alone.
    let changed = unsafe { ffi::sqlite3_changes64(locked.as_raw_handle().as_ptr()) };
    Ok(u64::try_from(changed).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_divided_where_its_statements_end() {
        fn divided(sql: &str) -> Vec<&str> {
            statements(sql, &[]).unwrap()
        }
        assert_eq!(divided("SELECT ';' -- ;\n; SELECT 2;;"), ["SELECT ';' -- ;\n;", " SELECT 2;"]);
        let trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM b; DELETE FROM c; END;";
        assert_eq!(divided(&format!("{trigger} SELECT 1")), [trigger, " SELECT 1"]);
        assert!(divided(" ; \n").is_empty());
    }

    #[test]
    fn with_parameters_there_is_one_statement() {
        assert!(statements("SELECT ?;\n", &[Value::Null]).is_ok());
        let error = statements("SELECT ?; DELETE FROM a", &[Value::Null]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Statement);
    }
}
