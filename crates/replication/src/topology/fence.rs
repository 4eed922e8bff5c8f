//! The fence around a database that must not be written any more, because another one is the master.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use data::record::Record;
use data::table::TableStore;
use data::{
    Dialect, DialectKind, EntitySchema, Error, ErrorKind, Filter, FindOptions, Isolation, Pipeline, Result,
    RowSink, Transaction, Upserted, Value,
};
use tokio::sync::Notify;

/// Whether a database may be written, and how many writes are under way.
#[derive(Default)]
pub(crate) struct Fence {
    closed: AtomicBool,
    /// Whether the time is over in which writes that were under way could end.
    drained: AtomicBool,
    /// Until when writes are let through, in microseconds of [`clock`]; 0 for ever.
    lease: AtomicU64,
    writes: AtomicUsize,
    write_ended: Notify,
}

/// A clock of this process that never runs backwards, in microseconds.
fn clock(at: Instant) -> u64 {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    let beginning = *BEGINNING.get_or_init(Instant::now);
    // 0 is taken.
    u64::try_from(at.saturating_duration_since(beginning).as_micros()).unwrap_or(u64::MAX).max(1)
}

/// A write under way.
pub(crate) struct Write {
    fence: Arc<Fence>,
}

impl Fence {
    /// Refuses every write from now on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Refuses also to commit the transactions that are still open.
    pub(crate) fn end_drain(&self) {
        self.drained.store(true, Ordering::SeqCst);
    }

    /// Lets writes through again.
    pub(crate) fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
        self.drained.store(false, Ordering::SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Lets writes through until a moment, or without one for as long as it is open.
    pub(crate) fn lease_until(&self, until: Option<Instant>) {
        self.lease.store(until.map_or(0, clock), Ordering::SeqCst);
    }

    /// Lets writes through until a moment, unless such a moment is set already.
    pub(crate) fn limit(&self, until: Instant) {
        // Whoever has set one meanwhile knew more.
        let _ = self.lease.compare_exchange(0, clock(until), Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Whether the time is over for which writes were let through.
    pub(crate) fn is_lapsed(&self) -> bool {
        match self.lease.load(Ordering::SeqCst) {
            0 => false,
            until => clock(Instant::now()) >= until,
        }
    }

    /// Waits until no write is under way.
    pub(crate) async fn idle(&self) {
        loop {
            let ended = self.write_ended.notified();
            if self.writes.load(Ordering::SeqCst) == 0 {
                return;
            }
            ended.await;
        }
    }

    fn enter(self: &Arc<Self>) -> Result<Write> {
        // Counted before the look at the fence, so that whoever closes it sees every write that still passes.
        self.writes.fetch_add(1, Ordering::SeqCst);
        let write = Write { fence: Arc::clone(self) };
        if self.is_closed() {
            return Err(refused());
        }
        if self.is_lapsed() { Err(cut_off()) } else { Ok(write) }
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        if self.fence.writes.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.fence.write_ended.notify_waiters();
        }
    }
}

fn refused() -> Error {
    let message =
        "this replica is not the master any more; writes go to the service that resolveWriteService gives";
    Error::new(ErrorKind::ReadOnly, message)
}

fn cut_off() -> Error {
    let message = "this process does not reach a majority of the project's replicas, so that another one may have made another \
                   replica the master; writes are refused until it does";
    Error::new(ErrorKind::ReadOnly, message)
}

/// A database, or a transaction on it, within a fence.
pub(crate) struct Fenced<D: ?Sized> {
    inner: Arc<D>,
    fence: Arc<Fence>,
    /// The write that a transaction is until its end.
    transaction: Mutex<Option<Write>>,
    is_transaction: bool,
}

impl<D: Dialect + ?Sized> Fenced<D> {
    /// Puts a database within a fence.
    pub(crate) fn new(inner: Arc<D>, fence: Arc<Fence>) -> Self {
        Self { inner, fence, transaction: Mutex::new(None), is_transaction: false }
    }

    /// Admits a write. One within a transaction was admitted with it.
    fn write(&self) -> Result<Option<Write>> {
        if self.is_transaction { Ok(None) } else { self.fence.enter().map(Some) }
    }

    /// Runs a statement that looks as if it only read. What it calls may write, so the server sees to it that nothing is written.
    async fn query_read_only(&self, statement: &str, params: Vec<Value>) -> Result<Vec<Record>> {
        let read_only = match self.inner.kind() {
            DialectKind::Postgres | DialectKind::Cockroachdb => "SET TRANSACTION READ ONLY",
            // It ends the transaction before, in which nothing was done.
            DialectKind::Mysql | DialectKind::Mariadb => "START TRANSACTION READ ONLY",
            // Their queries cannot call what writes.
            _ => return self.inner.execute_query(statement, params).await,
        };
        let transaction = self.inner.begin(None).await?;
        let queried = async {
            transaction.execute_run(read_only, Vec::new()).await?;
            transaction.execute_query(statement, params).await
        };
        let queried = queried.await;
        transaction.rollback().await?;
        queried
    }

    fn end(&self) {
        drop(self.transaction.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Whether a statement of the application's own can only read, as far as its first word tells.
fn only_reads(statement: &str) -> bool {
    const READING: [&str; 5] = ["select", "show", "explain", "values", "table"];
    let word: String = statement.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    let is_one_statement = !statement.trim_end().trim_end_matches(';').contains(';');
    is_one_statement && READING.iter().any(|known| word.eq_ignore_ascii_case(known))
}

#[async_trait]
impl<D: Dialect + ?Sized> Dialect for Fenced<D> {
    fn kind(&self) -> DialectKind {
        self.inner.kind()
    }

    async fn test_connection(&self) -> Result<()> {
        self.inner.test_connection().await
    }

    async fn disconnect(&self) -> Result<()> {
        self.inner.disconnect().await
    }

    async fn init_schema(&self, schemas: &[Arc<EntitySchema>]) -> Result<()> {
        let _write = self.write()?;
        self.inner.init_schema(schemas).await
    }

    async fn find(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        options: &FindOptions,
    ) -> Result<Vec<Record>> {
        self.inner.find(schema, filter, options).await
    }

    async fn find_into(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        options: &FindOptions,
        rows: &mut dyn RowSink,
    ) -> Result<()> {
        self.inner.find_into(schema, filter, options, rows).await
    }

    async fn count(&self, schema: &EntitySchema, filter: &Filter, include_deleted: bool) -> Result<u64> {
        self.inner.count(schema, filter, include_deleted).await
    }

    async fn create(&self, schema: &EntitySchema, record: Record) -> Result<Record> {
        let _write = self.write()?;
        self.inner.create(schema, record).await
    }

    async fn create_into(&self, schema: &EntitySchema, record: Record, row: &mut dyn RowSink) -> Result<()> {
        let _write = self.write()?;
        self.inner.create_into(schema, record, row).await
    }

    async fn update(&self, schema: &EntitySchema, id: &Value, changes: Record) -> Result<Option<Record>> {
        let _write = self.write()?;
        self.inner.update(schema, id, changes).await
    }

    async fn delete(&self, schema: &EntitySchema, id: &Value) -> Result<bool> {
        let _write = self.write()?;
        self.inner.delete(schema, id).await
    }

    async fn upsert(&self, schema: &EntitySchema, filter: &Filter, record: Record) -> Result<Upserted> {
        let _write = self.write()?;
        self.inner.upsert(schema, filter, record).await
    }

    async fn update_many(&self, schema: &EntitySchema, filter: &Filter, changes: Record) -> Result<u64> {
        let _write = self.write()?;
        self.inner.update_many(schema, filter, changes).await
    }

    async fn delete_many(&self, schema: &EntitySchema, filter: &Filter) -> Result<u64> {
        let _write = self.write()?;
        self.inner.delete_many(schema, filter).await
    }

    async fn distinct(&self, schema: &EntitySchema, field: &str, filter: &Filter) -> Result<Vec<Value>> {
        self.inner.distinct(schema, field, filter).await
    }

    async fn aggregate(&self, schema: &EntitySchema, pipeline: &Pipeline) -> Result<Vec<Record>> {
        self.inner.aggregate(schema, pipeline).await
    }

    async fn increment(
        &self,
        schema: &EntitySchema,
        id: &Value,
        field: &str,
        amount: &Value,
    ) -> Result<Option<Record>> {
        let _write = self.write()?;
        self.inner.increment(schema, id, field, amount).await
    }

    async fn add_to_set(
        &self,
        schema: &EntitySchema,
        id: &Value,
        field: &str,
        value: Value,
    ) -> Result<Option<Record>> {
        let _write = self.write()?;
        self.inner.add_to_set(schema, id, field, value).await
    }

    async fn pull(
        &self,
        schema: &EntitySchema,
        id: &Value,
        field: &str,
        value: &Value,
    ) -> Result<Option<Record>> {
        let _write = self.write()?;
        self.inner.pull(schema, id, field, value).await
    }

    async fn search(
        &self,
        schema: &EntitySchema,
        text: &str,
        fields: &[String],
        options: &FindOptions,
    ) -> Result<Vec<Record>> {
        self.inner.search(schema, text, fields, options).await
    }

    async fn links(
        &self,
        schema: &EntitySchema,
        relation: &str,
        ids: &[Value],
    ) -> Result<Vec<(Value, Value)>> {
        self.inner.links(schema, relation, ids).await
    }

    async fn unlink(&self, schema: &EntitySchema, relation: &str, ids: &[Value]) -> Result<()> {
        let _write = self.write()?;
        self.inner.unlink(schema, relation, ids).await
    }

    async fn drop_table(&self, collection: &str) -> Result<()> {
        let _write = self.write()?;
        self.inner.drop_table(collection).await
    }

    async fn truncate_table(&self, collection: &str) -> Result<()> {
        let _write = self.write()?;
        self.inner.truncate_table(collection).await
    }

    async fn drop_schema(&self, schemas: &[Arc<EntitySchema>]) -> Result<Vec<String>> {
        let _write = self.write()?;
        self.inner.drop_schema(schemas).await
    }

    async fn truncate_all(&self, schemas: &[Arc<EntitySchema>]) -> Result<Vec<String>> {
        let _write = self.write()?;
        self.inner.truncate_all(schemas).await
    }

    async fn drop_all_tables(&self) -> Result<()> {
        let _write = self.write()?;
        self.inner.drop_all_tables().await
    }

    async fn execute_query(&self, statement: &str, params: Vec<Value>) -> Result<Vec<Record>> {
        match self.write() {
            // What reads is not waited for when the fence closes.
            Ok(write) => {
                let _write = write.filter(|_| !only_reads(statement));
                self.inner.execute_query(statement, params).await
            }
            Err(_) if only_reads(statement) => self.query_read_only(statement, params).await,
            Err(refused) => Err(refused),
        }
    }

    async fn execute_run(&self, statement: &str, params: Vec<Value>) -> Result<u64> {
        let _write = self.write()?;
        self.inner.execute_run(statement, params).await
    }

    async fn begin(&self, isolation: Option<Isolation>) -> Result<Arc<dyn Transaction>> {
        let write = self.write()?;
        let inner = self.inner.begin(isolation).await?;
        let fence = Arc::clone(&self.fence);
        Ok(Arc::new(Fenced { inner, fence, transaction: Mutex::new(write), is_transaction: true }))
    }

    async fn begin_step(&self) -> Result<Arc<dyn Transaction>> {
        let write = self.write()?;
        let inner = self.inner.begin_step().await?;
        let fence = Arc::clone(&self.fence);
        Ok(Arc::new(Fenced { inner, fence, transaction: Mutex::new(write), is_transaction: true }))
    }

    fn tables(&self) -> Option<&dyn TableStore> {
        self.inner.tables()
    }
}

#[async_trait]
impl Transaction for Fenced<dyn Transaction> {
    /// A transaction that outlives the time in which a master is drained is rolled back.
    async fn commit(&self) -> Result<()> {
        let outcome = if self.fence.drained.load(Ordering::SeqCst) {
            self.inner.rollback().await.and(Err(refused()))
        } else if self.fence.is_lapsed() {
            self.inner.rollback().await.and(Err(cut_off()))
        } else {
            self.inner.commit().await
        };
        self.end();
        outcome
    }

    async fn rollback(&self) -> Result<()> {
        let outcome = self.inner.rollback().await;
        self.end();
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_fence_refuses_writes_and_lets_those_under_way_end() {
        let fence = Arc::new(Fence::default());
        let write = fence.enter().unwrap();
        fence.close();
        assert_eq!(fence.enter().err().unwrap().kind(), ErrorKind::ReadOnly);
        let draining = tokio::spawn({
            let fence = Arc::clone(&fence);
            async move { fence.idle().await }
        });
        tokio::task::yield_now().await;
        assert!(!draining.is_finished());
        drop(write);
        draining.await.unwrap();
        fence.open();
        assert!(fence.enter().is_ok());
    }

    #[test]
    fn a_fence_whose_lease_has_lapsed_refuses_writes_until_it_is_renewed() {
        let fence = Arc::new(Fence::default());
        // The clock begins with its first use.
        clock(Instant::now());
        fence.lease_until(Some(Instant::now()));
        assert_eq!(fence.enter().err().unwrap().kind(), ErrorKind::ReadOnly);
        fence.lease_until(Some(Instant::now() + std::time::Duration::from_secs(60)));
        assert!(fence.enter().is_ok());
        fence.lease_until(None);
        assert!(fence.enter().is_ok());
    }

    #[test]
    fn a_statement_reads_only_if_it_is_one_and_begins_so() {
        assert!(only_reads("  SELECT 1;"));
        for statement in
            ["WITH x AS (DELETE FROM t RETURNING 1) SELECT 1", "SELECT 1; DELETE FROM t", "{\"insert\": 1}"]
        {
            assert!(!only_reads(statement), "{statement}");
        }
    }
}
