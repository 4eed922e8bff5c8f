//! A connected database, or one transaction on it, as a JavaScript class.

pub mod batches;
mod create_each;
mod operations;
mod relations;
mod rows;
mod tables;

use std::future::Future;
use std::sync::Arc;

use data::{Dialect, DialectKind, Error, ErrorKind, Isolation, Transaction};
use napi::Env;
use napi::bindgen_prelude::{AsyncBlock, Either};
use napi_derive::napi;

use crate::connection_config::NativeConnectionConfig;
use crate::error::js_error;
use crate::statement_log::{StatementFunction, StatementLog};
use crate::task::{OnRuntime, outcome_or_promise, promise_of};
use crate::value::{read_list, write_records};

/// Bytes of an argument beyond which even the reading of it is left to another thread.
const MOST_BYTES_AT_ONCE: usize = 64 * 1024;

/// A connected database, or one transaction on it. Filters, options, records and values come as JSON text, rows leave
/// as JSON text; their encoding is described with the value conversion.
#[napi]
pub struct NativeDialect {
    session: OnRuntime<Session>,
    kind: DialectKind,
    statements: StatementLog,
}

#[derive(Clone)]
enum Session {
    Database(Arc<dyn Dialect>),
    Transaction(Arc<dyn Transaction>),
}

impl Session {
    fn dialect(&self) -> Arc<dyn Dialect> {
        match self {
            Self::Database(dialect) => Arc::clone(dialect),
            Self::Transaction(transaction) => Arc::clone(transaction) as Arc<dyn Dialect>,
        }
    }
}

/// Connects to a database; statements are reported to the function, if there is one.
///
/// # Errors
/// The promise rejects with kind `Config`, `UnknownDialect`, `Connection`, `Authentication` or `Timeout`.
#[napi]
pub fn open_dialect(
    env: &Env,
    config: NativeConnectionConfig,
    #[napi(ts_arg_type = "((statement: string) => void) | undefined | null")] on_statement: Option<
        StatementFunction,
    >,
) -> napi::Result<AsyncBlock<NativeDialect>> {
    let statements = StatementLog::new(on_statement);
    let config = config.read(statements.is_on());
    promise_of(env, async move {
        let dialect = statements.clone().record(async { data::connect(&config?).await }).await?;
        Ok(NativeDialect::new(Session::Database(dialect), statements))
    })
}

#[napi]
impl NativeDialect {
    fn new(session: Session, statements: StatementLog) -> Self {
        Self { kind: session.dialect().kind(), session: OnRuntime::new(session), statements }
    }

    /// A database that was connected elsewhere in the core.
    pub(crate) fn of_database(dialect: Arc<dyn Dialect>) -> Self {
        Self::new(Session::Database(dialect), StatementLog::default())
    }

    /// Runs an operation of the dialect and settles a promise with its outcome.
    fn run<T, F, O>(&self, env: &Env, operation: O) -> napi::Result<AsyncBlock<T>>
    where
        T: napi::bindgen_prelude::ToNapiValue + Send + 'static,
        F: Future<Output = data::Result<T>> + Send + 'static,
        O: FnOnce(Arc<dyn Dialect>) -> F,
    {
        let dialect = self.session.get()?.dialect();
        promise_of(env, self.statements.clone().record(operation(dialect)))
    }

    /// As [`run`](Self::run), for an operation on one row, whose first step is taken on this thread. A file of SQLite answers
    /// it in less time than handing it to another thread would take, and then the outcome is returned without a promise. To
    /// PostgreSQL the request is on its way before the runtime wakes up to wait for the answer.
    fn run_on_row<T, F, O>(
        &self,
        env: &Env,
        row_bytes: usize,
        operation: O,
    ) -> napi::Result<Either<T, AsyncBlock<T>>>
    where
        T: napi::bindgen_prelude::ToNapiValue + Send + 'static,
        F: Future<Output = data::Result<T>> + Send + 'static,
        O: FnOnce(Arc<dyn Dialect>) -> F,
    {
        let is_short =
            matches!(self.kind, DialectKind::Sqlite | DialectKind::Postgres | DialectKind::Cockroachdb);
        // The outcome must not overtake the statements that are reported.
        if !is_short || self.statements.is_on() || row_bytes > MOST_BYTES_AT_ONCE {
            return self.run(env, operation).map(Either::B);
        }
        let dialect = self.session.get()?.dialect();
        let future = self.statements.clone().record(operation(dialect));
        outcome_or_promise(env, self.session.runtime(), future)
    }

    /// The database itself.
    ///
    /// # Errors
    /// It is a transaction, or was dropped.
    pub(crate) fn database(&self) -> napi::Result<Arc<dyn Dialect>> {
        match self.session.get()? {
            Session::Database(dialect) => Ok(Arc::clone(dialect)),
            Session::Transaction(_) => {
                Err(js_error(&Error::new(ErrorKind::Transaction, "a transaction cannot be an end of a copy")))
            }
        }
    }

    fn transaction(&self) -> napi::Result<Arc<dyn Transaction>> {
        match self.session.get()? {
            Session::Transaction(transaction) => Ok(Arc::clone(transaction)),
            Session::Database(_) => {
                Err(js_error(&Error::new(ErrorKind::Transaction, "this is not a transaction")))
            }
        }
    }

    /// The name of the dialect, as configurations use it.
    #[napi(getter)]
    pub fn dialect_type(&self) -> &'static str {
        self.kind.name()
    }

    /// Makes one round trip.
    ///
    /// # Errors
    /// The promise of this and of every other method rejects with what the core reports.
    #[napi]
    pub fn test_connection(&self, env: &Env) -> napi::Result<AsyncBlock<()>> {
        self.run(env, |dialect| async move { dialect.test_connection().await })
    }

    /// Closes every connection.
    #[napi]
    pub fn disconnect(&self, env: &Env) -> napi::Result<AsyncBlock<()>> {
        self.run(env, |dialect| async move { dialect.disconnect().await })
    }

    /// Runs a statement in the database's own language and gives its rows.
    #[napi]
    pub fn execute_query(
        &self,
        env: &Env,
        statement: String,
        params: Option<String>,
    ) -> napi::Result<AsyncBlock<String>> {
        self.run(env, |dialect| async move {
            let params = read_list(params.as_deref())?;
            write_records(&dialect.execute_query(&statement, params).await?)
        })
    }

    /// Runs a statement in the database's own language and says how many rows it changed.
    #[napi]
    pub fn execute_run(
        &self,
        env: &Env,
        statement: String,
        params: Option<String>,
    ) -> napi::Result<AsyncBlock<f64>> {
        self.run(env, |dialect| async move {
            let params = read_list(params.as_deref())?;
            Ok(js_count(dialect.execute_run(&statement, params).await?))
        })
    }

    /// Starts a transaction pinned to one connection; within a transaction, a savepoint.
    #[napi]
    pub fn begin(&self, env: &Env, isolation: Option<String>) -> napi::Result<AsyncBlock<NativeDialect>> {
        let statements = self.statements.clone();
        self.run(env, |dialect| async move {
            let isolation = isolation.as_deref().map(Isolation::parse).transpose()?;
            let transaction = dialect.begin(isolation).await?;
            Ok(NativeDialect::new(Session::Transaction(transaction), statements))
        })
    }

    /// Makes the changes of this transaction permanent.
    ///
    /// # Errors
    /// Throws with kind `Transaction` if this is not a transaction.
    #[napi]
    pub fn commit(&self, env: &Env) -> napi::Result<AsyncBlock<()>> {
        let transaction = self.transaction()?;
        promise_of(env, self.statements.clone().record(async move { transaction.commit().await }))
    }

    /// Undoes the changes of this transaction.
    ///
    /// # Errors
    /// Throws with kind `Transaction` if this is not a transaction.
    #[napi]
    pub fn rollback(&self, env: &Env) -> napi::Result<AsyncBlock<()>> {
        let transaction = self.transaction()?;
        promise_of(env, self.statements.clone().record(async move { transaction.rollback().await }))
    }
}

/// Counts lie far below 2^53, up to which a double is exact.
#[expect(clippy::cast_precision_loss, reason = "no database holds 2^53 rows")]
fn js_count(count: u64) -> f64 {
    count as f64
}
