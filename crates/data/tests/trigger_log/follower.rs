//! A reader of a log that keeps copies of the tables, by what the log tells alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use data::log::{
    Change, ChangeLog, ChangeStream, LogEvent, LogKind, LogReader, OpenedLog, Operation, Position,
};
use data::table::{Row, RowBatch, ScanOptions, Table};
use data::{Dialect, Value};

const DEADLINE: Duration = Duration::from_secs(60);

/// The rows of a table by their keys.
pub(crate) type Copy = BTreeMap<String, Row>;

pub(crate) struct Follower {
    dialect: Arc<dyn Dialect>,
    pub(crate) reader: LogReader,
    stream: Option<Box<dyn ChangeStream>>,
    pub(crate) copies: BTreeMap<String, Copy>,
    pub(crate) position: Position,
    /// What was told, in short.
    pub(crate) told: Vec<String>,
    /// The tables of the changes, in their order.
    pub(crate) changes: Vec<Change>,
    pub(crate) most_in_an_event: usize,
    pub(crate) transactions: usize,
    /// Whether rows may be inserted that exist.
    pub(crate) inserts_again: bool,
}

pub(crate) fn log(dialect: &Arc<dyn Dialect>) -> &dyn ChangeLog {
    dialect.tables().unwrap().change_log(crate::LOG_KIND).unwrap()
}

pub(crate) async fn run(dialect: &Arc<dyn Dialect>, statements: &[&str]) {
    for sql in statements {
        if let Err(error) = dialect.execute_run(sql, Vec::new()).await {
            panic!("{sql}: {error}");
        }
    }
}

pub(crate) async fn count(dialect: &Arc<dyn Dialect>, sql: &str) -> i64 {
    let rows = dialect.execute_query(sql, Vec::new()).await.unwrap();
    rows[0].values().next().and_then(Value::as_integer).unwrap()
}

pub(crate) async fn reader(dialect: &Arc<dyn Dialect>, name: &str, tables: &[&str]) -> LogReader {
    let mut described = Vec::new();
    for table in tables {
        described.push(Arc::new(dialect.tables().unwrap().describe(table).await.unwrap().unwrap()));
    }
    LogReader { name: format!("replicaverse_{name}"), tables: described }
}

impl Follower {
    /// Opens the log for a new reader, copies the tables, and starts to stream.
    pub(crate) async fn new(dialect: &Arc<dyn Dialect>, name: &str, tables: &[&str]) -> Self {
        let reader = reader(dialect, name, tables).await;
        let mut opened = log(dialect).open(&reader).await.unwrap();
        if crate::LOG_KIND == LogKind::Log {
            // A log that knows nothing of its readers takes each for known.
            log(dialect).remove(&reader.name).await.unwrap();
            opened = log(dialect).open(&reader).await.unwrap();
        }
        let OpenedLog::Created(snapshot) = opened else { panic!("the reader {name} exists") };
        let mut follower = Self {
            dialect: Arc::clone(dialect),
            reader,
            stream: None,
            copies: BTreeMap::new(),
            position: snapshot.position,
            told: Vec::new(),
            changes: Vec::new(),
            most_in_an_event: 0,
            transactions: 0,
            inserts_again: false,
        };
        for table in follower.reader.tables.clone() {
            let mut batches =
                snapshot.snapshot.scan(Arc::clone(&table), ScanOptions::default()).await.unwrap();
            let mut copy = Copy::new();
            while let Some(batch) = batches.recv().await {
                let RowBatch::Rows(rows) = batch.unwrap() else { panic!("rows were asked for") };
                copy.extend(rows.into_iter().map(|row| (key_text(&table.key_of(&row)), row)));
            }
            follower.copies.insert(table.name.clone(), copy);
        }
        follower.start().await;
        follower
    }

    /// Starts to stream from where it stands.
    pub(crate) async fn start(&mut self) {
        self.stream = Some(log(&self.dialect).stream(&self.reader, &self.position).await.unwrap());
    }

    /// Goes on with another connection to the same database.
    pub(crate) async fn restart(&mut self, dialect: &Arc<dyn Dialect>) {
        self.close().await;
        self.dialect = Arc::clone(dialect);
        let opened = log(dialect).open(&self.reader).await.unwrap();
        assert!(matches!(opened, OpenedLog::Existing { added } if added.is_empty()));
        self.start().await;
    }

    pub(crate) async fn close(&mut self) {
        if let Some(stream) = self.stream.take() {
            stream.close().await;
        }
    }

    pub(crate) async fn next(&mut self) -> data::Result<LogEvent> {
        let stream = self.stream.as_mut().unwrap();
        tokio::time::timeout(DEADLINE, stream.next()).await.expect("the log goes on")
    }

    /// Says that everything is stored.
    pub(crate) fn acknowledge(&mut self) {
        self.stream.as_mut().unwrap().acknowledge(&self.position);
    }

    /// Reads everything that has been committed, and compares the copies with the tables.
    pub(crate) async fn catch_up(&mut self) {
        self.read_to_head().await;
        self.compare().await;
    }

    /// Reads everything that has been committed. The look at tables that have changed may record rows once more, behind
    /// the head that was seen before.
    pub(crate) async fn read_to_head(&mut self) {
        loop {
            let head = log(&self.dialect).head().await.unwrap();
            if self.position >= head {
                return;
            }
            while self.position < head {
                self.read_event().await;
            }
        }
    }

    /// Reads until a query gives 1.
    pub(crate) async fn read_until(&mut self, sql: &str) {
        let deadline = Instant::now() + DEADLINE;
        while count(&self.dialect, sql).await != 1 {
            assert!(Instant::now() < deadline, "{sql} never gives 1");
            let next = self.stream.as_mut().unwrap().next();
            if let Ok(event) = tokio::time::timeout(Duration::from_millis(50), next).await {
                self.take(event.unwrap());
            }
        }
    }

    async fn read_event(&mut self) {
        let event = self.next().await.unwrap();
        self.take(event);
    }

    fn take(&mut self, event: LogEvent) {
        match event {
            LogEvent::Begin(_) => self.transactions += 1,
            LogEvent::Message { .. } => panic!("nobody writes messages"),
            LogEvent::Commit(position) | LogEvent::Idle(position) => {
                assert!(position.order >= self.position.order, "positions grow");
                self.position = position;
            }
            LogEvent::Changes(changes) => {
                self.most_in_an_event = self.most_in_an_event.max(changes.len());
                changes.into_iter().for_each(|change| self.apply(change));
            }
        }
    }

    fn apply(&mut self, change: Change) {
        let table = &change.table;
        let copy = self.copies.get_mut(&table.name).expect("only the reader's tables are told of");
        match &change.operation {
            Operation::Insert { row } => {
                let key = key_text(&table.key_of(row));
                self.told.push(format!("+{key}"));
                let is_new = copy.insert(key.clone(), row.clone()).is_none();
                assert!(is_new || self.inserts_again, "row {key} is inserted and exists");
            }
            Operation::Update { old_key, row, unchanged } => {
                assert!(unchanged.is_empty(), "every column is told");
                let key = key_text(&table.key_of(row));
                let old = old_key.as_deref().map(key_text);
                self.told.push(format!("{}={key}", old.as_deref().unwrap_or("")));
                if let Some(old) = old {
                    copy.remove(&old);
                }
                copy.insert(key, row.clone());
            }
            Operation::Delete { key } => {
                self.told.push(format!("-{}", key_text(key)));
                copy.remove(&key_text(key));
            }
            Operation::Truncate => {
                self.told.push("0".to_owned());
                copy.clear();
            }
        }
        self.changes.push(change);
    }

    /// The names of the columns of the last change.
    pub(crate) fn last_columns(&self) -> Vec<&str> {
        self.changes.last().unwrap().table.columns.iter().map(|column| column.name.as_str()).collect()
    }

    /// The row of the last change.
    pub(crate) fn last_row(&self) -> &[Value] {
        match &self.changes.last().unwrap().operation {
            Operation::Insert { row } | Operation::Update { row, .. } => row,
            other => panic!("{other:?} has no row"),
        }
    }

    /// The error with which the log ends, before anything else is told.
    pub(crate) async fn loss(&mut self) -> data::Error {
        loop {
            match self.next().await {
                Ok(LogEvent::Idle(_)) => {}
                Ok(event) => panic!("{event:?}"),
                Err(error) => break error,
            }
        }
    }

    /// Compares the copies with the tables as they are now.
    pub(crate) async fn compare(&self) {
        for (name, copy) in &self.copies {
            let Some(table) = self.dialect.tables().unwrap().describe(name).await.unwrap() else { continue };
            assert_eq!(copy, &scan(&self.dialect, table).await, "table {name}, told: {:?}", self.told);
        }
    }
}

/// The rows of a table as they are now.
pub(crate) async fn scan(dialect: &Arc<dyn Dialect>, table: Table) -> Copy {
    let table = Arc::new(table);
    let snapshot = dialect.tables().unwrap().snapshot().await.unwrap();
    let mut batches = snapshot.scan(Arc::clone(&table), ScanOptions::default()).await.unwrap();
    let mut copy = Copy::new();
    while let Some(batch) = batches.recv().await {
        let rows = batch.unwrap().into_rows().unwrap();
        copy.extend(rows.into_iter().map(|row| (key_text(&table.key_of(&row)), row)));
    }
    copy
}

pub(crate) fn key_text(key: &[Value]) -> String {
    let parts: Vec<String> = key
        .iter()
        .map(|value| match value {
            Value::Text(text) => text.clone(),
            Value::Int32(number) => number.to_string(),
            Value::Int64(number) => number.to_string(),
            other => format!("{other:?}"),
        })
        .collect();
    parts.join("/")
}
