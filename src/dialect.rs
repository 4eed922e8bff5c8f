//! A connected database, or one transaction on it, as a JavaScript class.

use std::future::Future;
use std::sync::Arc;

use data::record::identity_filter;
use data::{Dialect, DialectKind, Error, ErrorKind, Isolation, Transaction};
use napi::Env;
use napi::bindgen_prelude::AsyncBlock;
use napi_derive::napi;

use crate::connection_config::NativeConnectionConfig;
use crate::error::js_error;
use crate::schema::NativeSchema;
use crate::statement_log::{StatementFunction, StatementLog};
use crate::task::{OnRuntime, promise_of};
use crate::value::{read_filter, read_list, read_options, read_record, read_value, write_records};

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

    /// Brings the tables of these entities into being, as the schema strategy says.
    #[napi]
    pub fn init_schema(&self, env: &Env, schemas: Vec<&NativeSchema>) -> napi::Result<AsyncBlock<()>> {
        let schemas: Vec<_> = schemas.into_iter().map(|native| Arc::clone(&native.schema)).collect();
        self.run(env, |dialect| async move { dialect.init_schema(&schemas).await })
    }

    /// The rows that pass the filter.
    #[napi]
    pub fn find(
        &self,
        env: &Env,
        schema: &NativeSchema,
        filter: Option<String>,
        options: Option<String>,
    ) -> napi::Result<AsyncBlock<String>> {
        let schema = Arc::clone(&schema.schema);
        self.run(env, |dialect| async move {
            let filter = read_filter(filter.as_deref())?;
            let options = read_options(options.as_deref())?;
            write_records(&dialect.find(&schema, &filter, &options).await?)
        })
    }

    /// The row, if there is one, of an id, of `{id}`, or of the fields of a unique index.
    #[napi]
    pub fn find_by_id(
        &self,
        env: &Env,
        schema: &NativeSchema,
        identity: String,
        options: Option<String>,
    ) -> napi::Result<AsyncBlock<String>> {
        let schema = Arc::clone(&schema.schema);
        self.run(env, |dialect| async move {
            let filter = identity_filter(&schema, &read_value(&identity)?)?;
            let mut options = read_options(options.as_deref())?;
            options.limit = Some(1);
            write_records(&dialect.find(&schema, &filter, &options).await?)
        })
    }

    /// How many rows pass the filter.
    #[napi]
    pub fn count(
        &self,
        env: &Env,
        schema: &NativeSchema,
        filter: Option<String>,
        options: Option<String>,
    ) -> napi::Result<AsyncBlock<f64>> {
        let schema = Arc::clone(&schema.schema);
        self.run(env, |dialect| async move {
            let filter = read_filter(filter.as_deref())?;
            let options = read_options(options.as_deref())?;
            Ok(js_count(dialect.count(&schema, &filter, options.include_deleted).await?))
        })
    }

    /// Inserts a row and gives it as stored.
    #[napi]
    pub fn create(
        &self,
        env: &Env,
        schema: &NativeSchema,
        record: String,
    ) -> napi::Result<AsyncBlock<String>> {
        let schema = Arc::clone(&schema.schema);
        self.run(env, |dialect| async move {
            let record = dialect.create(&schema, read_record(&record)?).await?;
            write_records(&[record])
        })
    }

    /// Changes the row of an id and gives it as stored, if there is one.
    #[napi]
    pub fn update(
        &self,
        env: &Env,
        schema: &NativeSchema,
        id: String,
        changes: String,
    ) -> napi::Result<AsyncBlock<String>> {
        let schema = Arc::clone(&schema.schema);
        self.run(env, |dialect| async move {
            let record = dialect.update(&schema, &read_value(&id)?, read_record(&changes)?).await?;
            write_records(record.as_slice())
        })
    }

    /// Deletes the row of an id; whether there was one.
    #[napi]
    pub fn delete(&self, env: &Env, schema: &NativeSchema, id: String) -> napi::Result<AsyncBlock<bool>> {
        let schema = Arc::clone(&schema.schema);
        self.run(env, |dialect| async move { dialect.delete(&schema, &read_value(&id)?).await })
    }

    /// Changes the first row that passes the filter or inserts one, and gives it as stored.
    #[napi]
    pub fn upsert(
        &self,
        env: &Env,
        schema: &NativeSchema,
        filter: Option<String>,
        record: String,
    ) -> napi::Result<AsyncBlock<String>> {
        let schema = Arc::clone(&schema.schema);
        self.run(env, |dialect| async move {
            let filter = read_filter(filter.as_deref())?;
            let upserted = dialect.upsert(&schema, &filter, read_record(&record)?).await?;
            write_records(&[upserted.record])
        })
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
