//! A connection by SQLite's own interface, for statements of one row that are prepared once and run often.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::num::NonZeroUsize;
use std::path::Path;
use std::ptr::{NonNull, null, null_mut};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering};

use libsqlite3_sys as ffi;
use lru::LruCache;
use sqlx::SqliteConnection;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::error::{result_code_error, sqlite_error};
use crate::error::{Error, ErrorKind, Result};
use crate::rows::{Cell, CellSink};
use crate::sql::Collected;
use crate::value::{Value, json_text};

/// The options under which SQLite takes a name in double quotes for text where no column has it. A connection that has
/// not noticed a new column yet would answer with the column's name for its value.
pub(super) const QUOTED_TEXT: [c_int; 2] = [ffi::SQLITE_DBCONFIG_DQS_DML, ffi::SQLITE_DBCONFIG_DQS_DDL];
/// Statements that stay prepared. A constant of 0 would not compile.
const PREPARED: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// What a connection may keep in memory, in KiB because it is negative. Rows by keys that come in no order touch the whole
/// index again and again, which would be read from the file all the time with SQLite's 2,000 KiB.
const CACHE_SIZE: &str = "PRAGMA cache_size = -16000";

/// Has SQLite not count the memory that it takes, for which it would lock a mutex that all connections share with each
/// piece. It obeys only before its first use in the process.
pub(super) fn count_no_memory() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: SQLite refuses the call once it is in use. The option takes one int.
        let code = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0 as c_int) };
        if code != ffi::SQLITE_OK {
            tracing::debug!(code, "SQLite counts its memory");
        }
    });
}

/// What came of a statement.
pub(super) enum Step {
    /// It ran to its end.
    Done,
    /// A row is larger than was asked for; only statements that read are given up on.
    TooLarge,
    /// It failed when rows had been handed on already.
    Broken(Error),
}

/// Reads all rows of a statement on a connection of the pool, and hands them on. sqlx would copy every value twice, and
/// hand every row from its thread to this one.
pub(super) async fn stream_rows(
    connection: &mut SqliteConnection,
    sql: &str,
    params: &[Value],
    rows: &mut dyn CellSink,
) -> Result<()> {
    let mut locked = connection.lock_handle().await.map_err(sqlite_error)?;
    let database = locked.as_raw_handle();
    // The connection stays locked until the statement has been finalized.
    match blocking(|| Statement::prepare(database, sql)?.run(database, params, usize::MAX, rows))? {
        Step::Done => Ok(()),
        Step::Broken(error) => Err(error),
        Step::TooLarge => Err(Error::new(ErrorKind::Internal, "a row without a limit was too large")),
    }
}

/// Runs work that keeps a thread busy for some ten milliseconds, without holding up the tasks of this thread where the
/// runtime has others.
pub(super) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// A connection that no other thread uses at the same time. It never waits for a lock.
pub(super) struct RawConnection {
    database: NonNull<ffi::sqlite3>,
    statements: LruCache<String, Statement>,
}

// SAFETY: SQLite's connections may be used by any thread, though by one at a time; whoever has the connection as `&mut`
// is the only one.
unsafe impl Send for RawConnection {}

impl RawConnection {
    /// Opens a file that exists, with foreign keys enforced.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let name = path.to_str().and_then(|path| CString::new(path).ok());
        let name = name.ok_or_else(|| Error::new(ErrorKind::Config, "sqlite: the path is no UTF-8 text"))?;
        let mode = ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_NOMUTEX;
        let mut handle = null_mut();
        // SAFETY: the name is a C string, and SQLite writes a handle even where it fails, unless memory is short.
        let code = unsafe { ffi::sqlite3_open_v2(name.as_ptr(), &raw mut handle, mode, null()) };
        let database =
            NonNull::new(handle).ok_or_else(|| Error::new(ErrorKind::Connection, "sqlite: out of memory"))?;
        let mut connection = Self { database, statements: LruCache::new(PREPARED) };
        connection.check(code)?;
        // SAFETY: the handle is open and ours alone.
        let names_are_names = unsafe {
            ffi::sqlite3_extended_result_codes(database.as_ptr(), 1);
            QUOTED_TEXT.into_iter().all(|option| set_flag(database, option, false))
        };
        if !names_are_names {
            return Err(last_error(database));
        }
        for pragma in [
            "PRAGMA foreign_keys = ON",
            "PRAGMA synchronous = NORMAL",
            "PRAGMA wal_autocheckpoint = 0",
            CACHE_SIZE,
        ] {
            connection.run(pragma)?;
        }
        Ok(connection)
    }

    /// Counts the pages of the write-ahead log into `pages` with each commit. The counter must outlive the connection.
    pub(super) fn count_log_pages(&self, pages: &AtomicI32) {
        unsafe extern "C" fn committed(
            pages: *mut c_void,
            _database: *mut ffi::sqlite3,
            _name: *const c_char,
            count: c_int,
        ) -> c_int {
            // SAFETY: the pointer is that of the counter below, which outlives the connection.
            unsafe { &*pages.cast::<AtomicI32>() }.store(count, Ordering::Relaxed);
            ffi::SQLITE_OK
        }
        let pages = std::ptr::from_ref(pages).cast_mut().cast();
        // SAFETY: the handle is open; SQLite hands the pointer to the hook and does nothing else with it.
        unsafe { ffi::sqlite3_wal_hook(self.database.as_ptr(), Some(committed), pages) };
    }

    /// Runs a statement to its end. After [`Step::TooLarge`], and after an error outside of a transaction, nothing has been
    /// written once [`undo`](Self::undo) was called.
    pub(super) fn fetch(
        &mut self,
        sql: &str,
        params: &[Value],
        most_bytes: usize,
        rows: &mut dyn CellSink,
    ) -> Result<Step> {
        let database = self.database;
        let statement =
            self.statements.try_get_or_insert_mut_ref(sql, || Statement::prepare(database, sql))?;
        let outcome = statement.run(database, params, most_bytes, rows);
        statement.reset();
        outcome
    }

    /// Runs a statement that has neither parameters nor rows.
    pub(super) fn run(&mut self, sql: &'static str) -> Result<()> {
        match self.fetch(sql, &[], usize::MAX, &mut Collected::default())? {
            Step::Broken(error) => Err(error),
            Step::Done | Step::TooLarge => Ok(()),
        }
    }

    /// Rolls back, if anything is open.
    pub(super) fn undo(&mut self) {
        if self.is_in_transaction()
            && let Err(error) = self.run("ROLLBACK")
        {
            tracing::debug!(%error, "a transaction could not be rolled back");
        }
    }

    /// Whether a transaction is open.
    pub(super) fn is_in_transaction(&self) -> bool {
        // SAFETY: the handle is open.
        unsafe { ffi::sqlite3_get_autocommit(self.database.as_ptr()) == 0 }
    }

    /// Whether the transaction has written a row that refers to another that is not there yet.
    pub(super) fn defers_references(&self) -> bool {
        let (mut unresolved, mut unused) = (0, 0);
        // SAFETY: the handle is open, and both places can be written to.
        let code = unsafe {
            ffi::sqlite3_db_status(
                self.database.as_ptr(),
                ffi::SQLITE_DBSTATUS_DEFERRED_FKS,
                &raw mut unresolved,
                &raw mut unused,
                0,
            )
        };
        code != ffi::SQLITE_OK || unresolved != 0
    }

    fn check(&self, code: c_int) -> Result<()> {
        if code == ffi::SQLITE_OK { Ok(()) } else { Err(last_error(self.database)) }
    }
}

impl Drop for RawConnection {
    fn drop(&mut self) {
        self.statements.clear();
        // SAFETY: it was opened, is closed only here, and has no statements left.
        unsafe { ffi::sqlite3_close(self.database.as_ptr()) };
    }
}

/// A prepared statement; it is finalized before its connection is closed.
struct Statement {
    handle: NonNull<ffi::sqlite3_stmt>,
    columns: Vec<String>,
}

impl Statement {
    fn prepare(database: NonNull<ffi::sqlite3>, sql: &str) -> Result<Self> {
        let length = c_int::try_from(sql.len())
            .map_err(|_| Error::new(ErrorKind::Statement, "the statement is too long for SQLite"))?;
        let mut handle = null_mut();
        // SAFETY: the connection is open, and SQLite reads `length` bytes of the SQL, which it copies.
        let code = unsafe {
            let flags = ffi::SQLITE_PREPARE_PERSISTENT;
            ffi::sqlite3_prepare_v3(
                database.as_ptr(),
                sql.as_ptr().cast(),
                length,
                flags,
                &raw mut handle,
                null_mut(),
            )
        };
        let handle = match NonNull::new(handle) {
            Some(handle) if code == ffi::SQLITE_OK => handle,
            _ => return Err(last_error(database)),
        };
        // SAFETY: the statement is valid, and the position is below the number of its columns.
        let columns = unsafe {
            let count = ffi::sqlite3_column_count(handle.as_ptr());
            (0..count).map(|at| text_of(ffi::sqlite3_column_name(handle.as_ptr(), at))).collect()
        };
        Ok(Self { handle, columns })
    }

    /// Hands the rows on. A first row of more bytes than `most_bytes` ends it before anything was handed on.
    fn run(
        &mut self,
        database: NonNull<ffi::sqlite3>,
        params: &[Value],
        most_bytes: usize,
        rows: &mut dyn CellSink,
    ) -> Result<Step> {
        self.bind_all(database, params)?;
        let mut has_row = self.step(database)?;
        if has_row && most_bytes < usize::MAX && self.row_bytes() > most_bytes {
            return Ok(Step::TooLarge);
        }
        rows.columns(&self.columns.iter().map(String::as_str).collect::<Vec<_>>())?;
        while has_row {
            (0..).take(self.columns.len()).for_each(|at| rows.cell(self.cell(at)));
            rows.end_row()?;
            has_row = match self.step(database) {
                Ok(has_row) => has_row,
                Err(error) => return Ok(Step::Broken(error)),
            };
        }
        Ok(Step::Done)
    }

    /// Takes a step; whether there is a row.
    fn step(&mut self, database: NonNull<ffi::sqlite3>) -> Result<bool> {
        // SAFETY: the statement is valid until drop.
        match unsafe { ffi::sqlite3_step(self.handle.as_ptr()) } {
            ffi::SQLITE_ROW => Ok(true),
            ffi::SQLITE_DONE => Ok(false),
            _ => Err(last_error(database)),
        }
    }

    fn bind_all(&mut self, database: NonNull<ffi::sqlite3>, params: &[Value]) -> Result<()> {
        for (value, at) in params.iter().zip(1..) {
            if self.bind(at, value) != ffi::SQLITE_OK {
                return Err(last_error(database));
            }
        }
        Ok(())
    }

    /// SQLite copies only what is made for the call. The texts of the values it reads where they are: they stay until the
    /// statement is reset or finalized, and one that is run again has other values before its first step.
    fn bind(&mut self, at: c_int, value: &Value) -> c_int {
        let statement = self.handle.as_ptr();
        // SAFETY: the statement is valid until drop. A parameter number out of range is refused by SQLite.
        unsafe {
            match value {
                Value::Null => ffi::sqlite3_bind_null(statement, at),
                Value::Bool(flag) => ffi::sqlite3_bind_int(statement, at, c_int::from(*flag)),
                Value::Int32(number) => ffi::sqlite3_bind_int(statement, at, *number),
                Value::Int64(number) => ffi::sqlite3_bind_int64(statement, at, *number),
                Value::Float(number) => ffi::sqlite3_bind_double(statement, at, *number),
                Value::Text(text) => self.bind_text(at, text, ffi::SQLITE_STATIC()),
                Value::Decimal(text) => self.bind_text(at, text, ffi::SQLITE_STATIC()),
                Value::Bytes(bytes) => {
                    let length = bytes.len() as ffi::sqlite3_uint64;
                    let start = bytes.as_ptr().cast();
                    ffi::sqlite3_bind_blob64(statement, at, start, length, ffi::SQLITE_TRANSIENT())
                }
                Value::Timestamp(moment) => self.bind_text(at, &moment.to_iso(), ffi::SQLITE_TRANSIENT()),
                Value::ObjectId(id) => self.bind_text(at, &id.to_string(), ffi::SQLITE_TRANSIENT()),
                Value::JsonNull | Value::Array(_) | Value::Object(_) => {
                    self.bind_text(at, &json_text(value), ffi::SQLITE_TRANSIENT())
                }
            }
        }
    }

    /// # Safety
    /// Unless SQLite is to copy it, the text stays where it is until the statement is reset or finalized.
    unsafe fn bind_text(&mut self, at: c_int, text: &str, keep: ffi::sqlite3_destructor_type) -> c_int {
        let length = text.len() as ffi::sqlite3_uint64;
        let utf8 = ffi::SQLITE_UTF8 as u8;
        // SAFETY: SQLite reads `length` bytes, which stay there as the caller says.
        unsafe {
            ffi::sqlite3_bind_text64(self.handle.as_ptr(), at, text.as_ptr().cast(), length, keep, utf8)
        }
    }

    /// The bytes of the row at hand that are text or blobs.
    fn row_bytes(&self) -> usize {
        let statement = self.handle.as_ptr();
        let length = |at| {
            // SAFETY: there is a row, and the position is below the number of columns.
            let bytes = unsafe {
                match ffi::sqlite3_column_type(statement, at) {
                    ffi::SQLITE_TEXT | ffi::SQLITE_BLOB => ffi::sqlite3_column_bytes(statement, at),
                    _ => 0,
                }
            };
            usize::try_from(bytes).unwrap_or(0)
        };
        (0..).take(self.columns.len()).map(length).sum()
    }

    /// A cell by its storage class.
    fn cell(&self, at: c_int) -> Cell<'_> {
        let statement = self.handle.as_ptr();
        // SAFETY: there is a row, and the position is below the number of columns. What SQLite points to stays until the
        // column is asked for in another form, which nobody does, or the statement takes its next step, for which it has to
        // be borrowed as `&mut`.
        unsafe {
            match ffi::sqlite3_column_type(statement, at) {
                ffi::SQLITE_NULL => Cell::Null,
                ffi::SQLITE_INTEGER => Cell::Integer(ffi::sqlite3_column_int64(statement, at)),
                ffi::SQLITE_FLOAT => Cell::Float(ffi::sqlite3_column_double(statement, at)),
                class => {
                    let start: *const u8 = if class == ffi::SQLITE_TEXT {
                        ffi::sqlite3_column_text(statement, at)
                    } else {
                        ffi::sqlite3_column_blob(statement, at).cast()
                    };
                    let length = usize::try_from(ffi::sqlite3_column_bytes(statement, at)).unwrap_or(0);
                    let bytes =
                        if start.is_null() { &[][..] } else { std::slice::from_raw_parts(start, length) };
                    match std::str::from_utf8(bytes) {
                        Ok(text) if class == ffi::SQLITE_TEXT => Cell::Text(text),
                        // SQLite does not check its text; what is no UTF-8 is shown as the bytes it is.
                        _ => Cell::Bytes(bytes),
                    }
                }
            }
        }
    }

    /// Makes the statement ready to be run again, and lets go of the locks that it holds.
    fn reset(&mut self) {
        // SAFETY: the statement is valid until drop. The code of a reset only repeats that of the last step.
        unsafe {
            ffi::sqlite3_reset(self.handle.as_ptr());
            ffi::sqlite3_clear_bindings(self.handle.as_ptr());
        }
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        // SAFETY: it was prepared, is finalized only here, and its connection is still open.
        unsafe { ffi::sqlite3_finalize(self.handle.as_ptr()) };
    }
}

/// Sets an option of a connection; whether SQLite agreed.
///
/// # Safety
/// The connection is open, nobody else uses it meanwhile, and the option is one that takes an int and a pointer that may
/// be null.
pub(super) unsafe fn set_flag(database: NonNull<ffi::sqlite3>, option: c_int, on: bool) -> bool {
    // SAFETY: as the caller says.
    let code =
        unsafe { ffi::sqlite3_db_config(database.as_ptr(), option, c_int::from(on), null_mut::<c_int>()) };
    code == ffi::SQLITE_OK
}

/// What SQLite says of the call that has just failed.
pub(super) fn last_error(database: NonNull<ffi::sqlite3>) -> Error {
    // SAFETY: the connection is open and ours alone. SQLite's message is valid until the next call, and is copied before.
    unsafe {
        let message = text_of(ffi::sqlite3_errmsg(database.as_ptr()));
        result_code_error(ffi::sqlite3_extended_errcode(database.as_ptr()), &message)
    }
}

/// # Safety
/// The pointer is null or to a C string.
unsafe fn text_of(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: it is a C string, as the caller says.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
