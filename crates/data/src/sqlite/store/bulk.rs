//! A prepared INSERT that is run over and over, by SQLite's own interface.
//!
//! sqlx copies every value twice and hands every statement to another thread and back, which halves the speed of a
//! bulk load. Here values are bound where they lie, and a batch is one visit to the database.

use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::ptr::{NonNull, null_mut};

use libsqlite3_sys as ffi;
use sqlx::sqlite::LockedSqliteHandle;

use super::super::error::result_code_error;
use crate::error::{Error, ErrorKind, Result};
use crate::table::{ColumnType, PackedValue};
use crate::value::{Value, json_text};

/// A prepared statement on a locked connection. The values bound live longer than it does.
pub(super) struct BulkStatement<'connection, 'values> {
    statement: NonNull<ffi::sqlite3_stmt>,
    database: NonNull<ffi::sqlite3>,
    bound: c_int,
    connection: PhantomData<&'connection ()>,
    values: PhantomData<&'values Value>,
}

impl<'connection, 'values> BulkStatement<'connection, 'values> {
    /// Prepares a statement.
    pub(super) fn prepare(connection: &'connection mut LockedSqliteHandle<'_>, sql: &str) -> Result<Self> {
        let database = connection.as_raw_handle();
        let length = c_int::try_from(sql.len())
            .map_err(|_| Error::new(ErrorKind::Statement, "the statement is too long for SQLite"))?;
        let mut statement = null_mut();
        // SAFETY: the handle stays locked, and so valid and ours alone, for 'connection. SQLite copies the SQL, of
        // which it reads `length` bytes.
        let code = unsafe {
            ffi::sqlite3_prepare_v3(
                database.as_ptr(),
                sql.as_ptr().cast(),
                length,
                ffi::SQLITE_PREPARE_PERSISTENT,
                &raw mut statement,
                null_mut(),
            )
        };
        match NonNull::new(statement) {
            Some(statement) if code == ffi::SQLITE_OK => {
                Ok(Self { statement, database, bound: 0, connection: PhantomData, values: PhantomData })
            }
            _ => Err(last_error(database)),
        }
    }

    /// Binds the next parameter.
    pub(super) fn bind(&mut self, value: &'values Value) -> Result<()> {
        self.bound += 1;
        let (statement, at) = (self.statement.as_ptr(), self.bound);
        // SAFETY: the statement is valid until drop. A parameter number out of range is refused by SQLite.
        let code = unsafe {
            match value {
                Value::Null => ffi::sqlite3_bind_null(statement, at),
                Value::Bool(flag) => ffi::sqlite3_bind_int(statement, at, c_int::from(*flag)),
                Value::Int32(number) => ffi::sqlite3_bind_int(statement, at, *number),
                Value::Int64(number) => ffi::sqlite3_bind_int64(statement, at, *number),
                Value::Float(number) => ffi::sqlite3_bind_double(statement, at, *number),
                Value::Text(text) => self.bind_text(text.as_bytes(), ffi::SQLITE_STATIC()),
                Value::Decimal(text) => self.bind_text(text.as_bytes(), ffi::SQLITE_STATIC()),
                // The bytes live for 'values, which outlasts the binding.
                Value::Bytes(bytes) => self.bind_blob(bytes),
                Value::Timestamp(moment) => {
                    self.bind_text(moment.to_iso().as_bytes(), ffi::SQLITE_TRANSIENT())
                }
                Value::ObjectId(id) => self.bind_text(id.to_string().as_bytes(), ffi::SQLITE_TRANSIENT()),
                Value::JsonNull | Value::Array(_) | Value::Object(_) => {
                    self.bind_text(json_text(value).as_bytes(), ffi::SQLITE_TRANSIENT())
                }
            }
        };
        if code == ffi::SQLITE_OK { Ok(()) } else { Err(last_error(self.database)) }
    }

    /// Binds the next parameter, as a column of this type holds it: JSON is text, and so tells `false` from 0 and `"1"` from 1.
    pub(super) fn bind_as(&mut self, column_type: &ColumnType, value: &'values Value) -> Result<()> {
        if *column_type != ColumnType::Json || value.is_null() {
            return self.bind(value);
        }
        self.bound += 1;
        // SAFETY: the statement is valid until drop, and SQLite copies the text.
        let code = unsafe { self.bind_text(json_text(value).as_bytes(), ffi::SQLITE_TRANSIENT()) };
        if code == ffi::SQLITE_OK { Ok(()) } else { Err(last_error(self.database)) }
    }

    /// Binds the next parameter.
    pub(super) fn bind_packed(&mut self, value: PackedValue<'values>) -> Result<()> {
        self.bound += 1;
        let (statement, at) = (self.statement.as_ptr(), self.bound);
        // SAFETY: the statement is valid until drop. A parameter number out of range is refused by SQLite. Texts and bytes
        // live for 'values, which outlasts the binding.
        let code = unsafe {
            match value {
                PackedValue::Null => ffi::sqlite3_bind_null(statement, at),
                PackedValue::Integer(number) => ffi::sqlite3_bind_int64(statement, at, number),
                PackedValue::Double(number) => ffi::sqlite3_bind_double(statement, at, number),
                PackedValue::Text(text) => self.bind_text(text, ffi::SQLITE_STATIC()),
                PackedValue::Bytes(bytes) => self.bind_blob(bytes),
            }
        };
        if code == ffi::SQLITE_OK { Ok(()) } else { Err(last_error(self.database)) }
    }

    /// # Safety
    /// The bytes must live until the parameter is bound anew or the statement is dropped.
    unsafe fn bind_blob(&self, bytes: &[u8]) -> c_int {
        let length = bytes.len() as ffi::sqlite3_uint64;
        let statement = self.statement.as_ptr();
        // SAFETY: SQLite reads `length` bytes; the caller answers for how long they live.
        unsafe {
            ffi::sqlite3_bind_blob64(
                statement,
                self.bound,
                bytes.as_ptr().cast(),
                length,
                ffi::SQLITE_STATIC(),
            )
        }
    }

    /// Binds UTF-8.
    ///
    /// # Safety
    /// With `SQLITE_STATIC` the text must live until the parameter is bound anew or the statement is dropped; with
    /// `SQLITE_TRANSIENT` SQLite copies it.
    unsafe fn bind_text(&self, text: &[u8], lifetime: ffi::sqlite3_destructor_type) -> c_int {
        let length = text.len() as ffi::sqlite3_uint64;
        let utf8 = ffi::SQLITE_UTF8 as u8;
        // SAFETY: SQLite reads `length` bytes; the caller answers for how long they live.
        unsafe {
            ffi::sqlite3_bind_text64(
                self.statement.as_ptr(),
                self.bound,
                text.as_ptr().cast(),
                length,
                lifetime,
                utf8,
            )
        }
    }

    /// How many rows the statement changed when it was run last.
    pub(super) fn changed(&self) -> u64 {
        // SAFETY: the connection is locked.
        let changed = unsafe { ffi::sqlite3_changes64(self.database.as_ptr()) };
        u64::try_from(changed).unwrap_or(0)
    }

    /// Runs the statement with what has been bound, and makes it ready to be bound from the first parameter again.
    pub(super) fn run(&mut self) -> Result<()> {
        self.bound = 0;
        // SAFETY: the statement is valid until drop, and the values bound to it live at least as long.
        let code = unsafe { ffi::sqlite3_step(self.statement.as_ptr()) };
        let result = if code == ffi::SQLITE_DONE { Ok(()) } else { Err(last_error(self.database)) };
        // SAFETY: as above. The code only repeats that of the step.
        unsafe { ffi::sqlite3_reset(self.statement.as_ptr()) };
        result
    }
}

impl Drop for BulkStatement<'_, '_> {
    fn drop(&mut self) {
        // SAFETY: it was prepared, is finalized only here, and its connection is still locked.
        unsafe { ffi::sqlite3_finalize(self.statement.as_ptr()) };
    }
}

/// Whether the connection is within a transaction; some errors, as that of a full disk, end it.
pub(super) fn is_in_transaction(connection: &mut LockedSqliteHandle<'_>) -> bool {
    // SAFETY: the handle stays locked, and so valid and ours alone, for the call.
    unsafe { ffi::sqlite3_get_autocommit(connection.as_raw_handle().as_ptr()) == 0 }
}

/// What SQLite says of the call that has just failed.
fn last_error(database: NonNull<ffi::sqlite3>) -> Error {
    // SAFETY: the connection is locked. SQLite's message is a C string that is valid until the next call, and is copied
    // before.
    let (code, message) = unsafe {
        let message = CStr::from_ptr(ffi::sqlite3_errmsg(database.as_ptr()));
        (ffi::sqlite3_extended_errcode(database.as_ptr()), message.to_string_lossy().into_owned())
    };
    result_code_error(code, &message)
}
