//! A database of a test's own in the one cluster, its log, and what a stream of it delivers.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use data::log::{
    Change, ChangeLog, ChangeStream, LogEvent, LogKind, LogReader, LogSnapshot, LoggedTransaction, OpenedLog,
    Operation, Position,
};
use data::table::{ReadSnapshot, Row, RowBatch, ScanOptions, Table, TableStore};
use data::{ConnectionConfig, Dialect, DialectKind, Value};
use tokio::time::timeout;

#[path = "../../../wire/tests/support/mod.rs"]
#[allow(dead_code, reason = "the module serves other tests as well")]
pub(crate) mod support;

use support::Cluster;

/// What a test waits for comes well within this time, or never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const SETTINGS: &str = "
wal_level = logical
max_wal_senders = 60
max_replication_slots = 60
max_connections = 200
shared_buffers = 32MB
autovacuum = off
logical_decoding_work_mem = 64kB
";

pub(crate) const HBA: &str = "local all all trust\nlocal replication all trust\nhost all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n";

/// The cluster is stopped by its watchdog when the test process ends, as statics are never dropped.
pub(crate) fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(SETTINGS, HBA, |_| {}))
}

fn number() -> u32 {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// A database, and a connection to it.
pub(crate) struct Source {
    pub(crate) dialect: Arc<dyn Dialect>,
    pub(crate) database: String,
    port: u16,
}

impl Source {
    /// A new database in the cluster of all tests, in which these statements were run.
    pub(crate) async fn new(statements: &str) -> Self {
        Self::on(cluster(), statements).await
    }

    pub(crate) async fn on(cluster: &Cluster, statements: &str) -> Self {
        let database = format!("source_{}", number());
        cluster.psql(&format!("CREATE DATABASE {database} TEMPLATE template0"));
        let dialect = open(cluster.port(), &database, "postgres").await;
        let source = Self { dialect, database, port: cluster.port() };
        source.run(statements).await;
        source
    }

    /// A database that is there already.
    pub(crate) async fn beside(cluster: &Cluster, database: &str) -> Self {
        let port = cluster.port();
        Self { dialect: open(port, database, "postgres").await, database: database.to_owned(), port }
    }

    /// The same database as another user has it.
    pub(crate) async fn as_user(&self, user: &str) -> Self {
        Self {
            dialect: open(self.port, &self.database, user).await,
            database: self.database.clone(),
            port: self.port,
        }
    }

    pub(crate) async fn run(&self, statements: &str) {
        if !statements.trim().is_empty() {
            self.dialect.execute_run(statements, Vec::new()).await.unwrap();
        }
    }

    /// The first value of the first row.
    pub(crate) async fn value(&self, sql: &str) -> Value {
        let rows = self.dialect.execute_query(sql, Vec::new()).await.unwrap();
        rows.into_iter().next().and_then(|row| row.into_iter().next()).map(|(_, value)| value).unwrap()
    }

    pub(crate) fn store(&self) -> &dyn TableStore {
        self.dialect.tables().unwrap()
    }

    pub(crate) fn log(&self) -> &dyn ChangeLog {
        self.store().change_log(LogKind::Log).unwrap()
    }

    pub(crate) fn trigger_log(&self) -> &dyn ChangeLog {
        self.store().change_log(LogKind::Trigger).unwrap()
    }

    /// Opens the log of triggers for a reader of these tables and streams it.
    pub(crate) async fn trigger_feed(&self, tables: &[&str]) -> (LogReader, Feed) {
        let reader = self.reader(tables).await;
        let OpenedLog::Created(opened) = self.trigger_log().open(&reader).await.unwrap() else {
            panic!("the reader is known already")
        };
        let stream = self.trigger_log().stream(&reader, &opened.position).await.unwrap();
        (reader, Feed { stream })
    }

    pub(crate) async fn table(&self, name: &str) -> Arc<Table> {
        Arc::new(self.store().describe(name).await.unwrap().unwrap())
    }

    /// A reader of these tables with a name that no other test has.
    pub(crate) async fn reader(&self, tables: &[&str]) -> LogReader {
        let mut described = Vec::new();
        for name in tables {
            described.push(self.table(name).await);
        }
        LogReader { name: format!("replicaverse_test_{}", number()), tables: described }
    }

    /// Opens the log for a new reader.
    pub(crate) async fn create(&self, reader: &LogReader) -> LogSnapshot {
        match self.log().open(reader).await.unwrap() {
            OpenedLog::Created(snapshot) => snapshot,
            OpenedLog::Existing { .. } => panic!("the reader is known already"),
        }
    }

    /// Opens the log for a reader of these tables and streams it.
    pub(crate) async fn feed(&self, tables: &[&str]) -> (LogReader, Feed) {
        let reader = self.reader(tables).await;
        let position = self.create(&reader).await.position;
        let feed = self.stream(&reader, &position).await;
        (reader, feed)
    }

    pub(crate) async fn stream(&self, reader: &LogReader, from: &Position) -> Feed {
        Feed { stream: self.log().stream(reader, from).await.unwrap() }
    }
}

async fn open(port: u16, database: &str, user: &str) -> Arc<dyn Dialect> {
    let uri = format!("postgres://{user}@127.0.0.1:{port}/{database}");
    data::connect(&ConnectionConfig::new(DialectKind::Postgres, uri)).await.unwrap()
}

/// Every row of a table in a snapshot.
pub(crate) async fn rows(snapshot: &dyn ReadSnapshot, table: &Arc<Table>, options: ScanOptions) -> Vec<Row> {
    let mut stream = snapshot.scan(Arc::clone(table), options).await.unwrap();
    let mut rows = Vec::new();
    while let Some(batch) = stream.recv().await {
        match batch.unwrap() {
            RowBatch::Rows(batch) => rows.extend(batch),
            _ => panic!("rows were asked for"),
        }
    }
    rows
}

/// A transaction as it was delivered.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) begin: LoggedTransaction,
    pub(crate) changes: Vec<Change>,
    pub(crate) messages: Vec<(String, Vec<u8>)>,
    pub(crate) end: Position,
}

impl Delivered {
    pub(crate) fn operations(&self) -> Vec<Operation> {
        self.changes.iter().map(|change| change.operation.clone()).collect()
    }
}

/// A stream with patience.
pub(crate) struct Feed {
    pub(crate) stream: Box<dyn ChangeStream>,
}

impl Feed {
    pub(crate) async fn try_next(&mut self) -> data::Result<LogEvent> {
        timeout(PATIENCE, self.stream.next()).await.expect("the stream delivers something in time")
    }

    pub(crate) async fn next(&mut self) -> LogEvent {
        self.try_next().await.unwrap()
    }

    /// The next transaction.
    pub(crate) async fn transaction(&mut self) -> Delivered {
        let begin = loop {
            match self.next().await {
                LogEvent::Begin(begin) => break begin,
                LogEvent::Idle(_) => {}
                other => panic!("{other:?} stands outside of a transaction"),
            }
        };
        let (mut changes, mut messages) = (Vec::new(), Vec::new());
        loop {
            match self.next().await {
                LogEvent::Changes(more) => changes.extend(more),
                LogEvent::Message { prefix, content } => messages.push((prefix, content)),
                LogEvent::Commit(end) => return Delivered { begin, changes, messages, end },
                other => panic!("{other:?} stands within a transaction"),
            }
        }
    }

    /// The operations of the next transaction.
    pub(crate) async fn operations(&mut self) -> Vec<Operation> {
        self.transaction().await.operations()
    }

    /// Reads up to a position, in which nothing but empty room is expected.
    pub(crate) async fn idle_until(&mut self, position: &Position) -> Position {
        loop {
            match self.next().await {
                LogEvent::Idle(idle) if idle >= *position => return idle,
                LogEvent::Idle(_) => {}
                other => panic!("{other:?} was not expected"),
            }
        }
    }

    pub(crate) fn acknowledge(&mut self, position: &Position) {
        self.stream.acknowledge(position);
    }

    pub(crate) async fn close(self) {
        self.stream.close().await;
    }
}

/// Asks again and again until it is so.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let asked = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("it should come to be that {what}"));
}

pub(crate) fn insert(row: impl IntoIterator<Item = Value>) -> Operation {
    Operation::Insert { row: row.into_iter().collect() }
}

pub(crate) fn update(row: impl IntoIterator<Item = Value>) -> Operation {
    Operation::Update { old_key: None, row: row.into_iter().collect(), unchanged: Default::default() }
}

pub(crate) fn delete(key: impl IntoIterator<Item = Value>) -> Operation {
    Operation::Delete { key: key.into_iter().collect() }
}
