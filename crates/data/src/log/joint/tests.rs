//! Readers of a log of numbers, read by streams that are counted.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::error::{Error, ErrorKind};
use crate::log::{Change, LogEvent, LogSnapshot, LogStatus, LoggedTransaction, OpenedLog, Operation};
use crate::table::Table;
use crate::value::{Timestamp, Value};

/// What a test waits for comes well within this time, or never.
const PATIENCE: Duration = Duration::from_secs(20);
/// The events with changes of one transaction.
const PARTS: u64 = 3;

/// A log whose transactions are numbered, each with a change of every table in each of its parts.
#[derive(Default)]
struct Numbers {
    last: Mutex<u64>,
    /// Where it is said to stand, if that is not where it does.
    head: Mutex<Option<u64>>,
    open_streams: AtomicUsize,
    joint: Arc<Joint>,
}

impl Numbers {
    fn last(&self) -> u64 {
        *self.last.lock().unwrap()
    }

    fn append(&self) {
        *self.last.lock().unwrap() += 1;
    }

    fn open_streams(&self) -> usize {
        self.open_streams.load(Ordering::Relaxed)
    }

    async fn until_open_streams(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.open_streams() != count {
            assert!(Instant::now() < deadline, "{} streams are open", self.open_streams());
            // The head moves on, as it does where others write.
            self.append();
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn read(self: &Arc<Self>, tables: Vec<Arc<Table>>, from: &Position) -> Box<dyn ChangeStream> {
        self.open_streams.fetch_add(1, Ordering::Relaxed);
        Box::new(NumberStream { log: Arc::clone(self), tables, number: from.order, step: 0 })
    }
}

/// The handle by which the log is known.
#[derive(Clone, Default)]
struct NumberLog(Arc<Numbers>);

struct NumberStream {
    log: Arc<Numbers>,
    tables: Vec<Arc<Table>>,
    /// The last whole transaction.
    number: u64,
    /// How many events of the next one were told.
    step: u64,
}

#[async_trait]
impl ChangeStream for NumberStream {
    async fn next(&mut self) -> Result<LogEvent> {
        while self.log.last() <= self.number {
            sleep(Duration::from_millis(1)).await;
        }
        let number = self.number + 1;
        self.step += 1;
        Ok(match self.step {
            1 => LogEvent::Begin(LoggedTransaction {
                position: Position::at(number),
                committed_at: Timestamp(0),
                id: number.to_string(),
                origin: None,
            }),
            step if step <= PARTS + 1 => {
                let key = i64::try_from(number * 10 + step).unwrap();
                let change = |table: &Arc<Table>| Change {
                    table: Arc::clone(table),
                    operation: Operation::Delete { key: vec![Value::from(key)] },
                };
                LogEvent::Changes(self.tables.iter().map(change).collect())
            }
            _ => {
                self.number = number;
                self.step = 0;
                LogEvent::Commit(Position::at(number))
            }
        })
    }

    fn acknowledge(&mut self, _position: &Position) {}

    async fn close(self: Box<Self>) {}
}

impl Drop for NumberStream {
    fn drop(&mut self) {
        self.log.open_streams.fetch_sub(1, Ordering::Relaxed);
    }
}

fn unused() -> Error {
    Error::new(ErrorKind::Internal, "no test does this")
}

#[async_trait]
impl ChangeLog for NumberLog {
    async fn open(&self, _reader: &LogReader) -> Result<OpenedLog> {
        Err(unused())
    }

    async fn snapshot(&self, _reader: &LogReader) -> Result<LogSnapshot> {
        Err(unused())
    }

    async fn stream(&self, reader: &LogReader, from: &Position) -> Result<Box<dyn ChangeStream>> {
        Ok(self.0.read(reader.tables.clone(), from))
    }

    async fn stream_jointly(&self, reader: &LogReader, from: &Position) -> Result<Box<dyn ChangeStream>> {
        self.0.joint.stream(Arc::new(self.clone()), reader, from).await
    }

    async fn head(&self) -> Result<Position> {
        let said = *self.0.head.lock().unwrap();
        Ok(Position::at(said.unwrap_or_else(|| self.0.last())))
    }

    async fn status(&self, _name: &str) -> Result<Option<LogStatus>> {
        Err(unused())
    }

    async fn remove(&self, _name: &str) -> Result<()> {
        Err(unused())
    }
}

#[async_trait]
impl SharedLog for NumberLog {
    async fn stream_for(&self, readers: &[Arc<LogReader>], from: &Position) -> Result<Box<dyn ChangeStream>> {
        let mut tables: Vec<Arc<Table>> = Vec::new();
        for table in readers.iter().flat_map(|reader| &reader.tables) {
            if !tables.contains(table) {
                tables.push(Arc::clone(table));
            }
        }
        Ok(self.0.read(tables, from))
    }
}

/// A reader that fails unless it is told every change of its table once and in order.
struct Strict {
    stream: Box<dyn ChangeStream>,
    table: String,
    number: u64,
    step: u64,
}

impl Strict {
    async fn begin(log: &NumberLog, table: &str) -> Self {
        let described =
            Table { name: table.to_owned(), columns: Vec::new(), key: Vec::new(), references: Vec::new() };
        let reader = LogReader { name: format!("reader of {table}"), tables: vec![Arc::new(described)] };
        let stream = log.stream_jointly(&reader, &Position::at(0)).await.unwrap();
        Self { stream, table: table.to_owned(), number: 0, step: 0 }
    }

    /// Reads one event.
    async fn read(&mut self) {
        let event = timeout(PATIENCE, self.stream.next()).await.expect("nothing comes").unwrap();
        let (number, step) = (self.number + 1, self.step + 1);
        match event {
            LogEvent::Begin(transaction) => {
                assert_eq!((transaction.position.order, step), (number, 1), "{}", self.table);
            }
            LogEvent::Changes(changes) => {
                let keys: Vec<_> = changes.iter().map(|change| change.operation.clone()).collect();
                let key = i64::try_from(number * 10 + step).unwrap();
                assert_eq!(keys, [Operation::Delete { key: vec![Value::from(key)] }], "{}", self.table);
                assert!(changes.iter().all(|change| change.table.name == self.table));
            }
            LogEvent::Commit(position) => {
                assert_eq!((position.order, step), (number, PARTS + 2), "{}", self.table);
                self.stream.acknowledge(&position);
                (self.number, self.step) = (number, 0);
                return;
            }
            other => panic!("{other:?}"),
        }
        self.step = step;
    }

    async fn read_up_to(&mut self, number: u64) {
        while self.number < number {
            self.read().await;
        }
    }

    /// Reads in a task of its own until that is ended by what it gives.
    fn read_on(mut self) -> (tokio::sync::oneshot::Sender<()>, tokio::task::JoinHandle<Self>) {
        let (end, mut ended) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    _ = &mut ended => return self,
                    () = self.read() => {}
                }
            }
        });
        (end, task)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_come_and_go_are_told_everything_once() {
    let log = NumberLog::default();
    let mut reading = Vec::new();
    for table in ["a", "b", "c"] {
        log.0.append();
        reading.push(Strict::begin(&log, table).await.read_on());
    }
    log.0.until_open_streams(1).await;
    for round in 0..4 {
        // The first of them may be the lead, or not.
        let (end, task) = reading.remove(round % 2);
        end.send(()).unwrap();
        let gone = task.await.unwrap();
        let table = gone.table.clone();
        gone.stream.close().await;
        reading.push(Strict::begin(&log, &table).await.read_on());
        log.0.until_open_streams(1).await;
    }
    let last = log.0.last();
    for (end, task) in reading {
        drop(end);
        let mut reader = task.await.unwrap();
        reader.read_up_to(last).await;
        reader.stream.close().await;
    }
    log.0.until_open_streams(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_pauses_within_a_transaction_holds_up_no_other() {
    let log = NumberLog::default();
    let mut reading = Vec::new();
    for table in ["a", "b", "c"] {
        reading.push(Strict::begin(&log, table).await.read_on());
    }
    log.0.until_open_streams(1).await;
    for paused in 0..3 {
        let (end, task) = reading.remove(0);
        end.send(()).unwrap();
        let mut slow = task.await.unwrap();
        // At another place of a transaction each time.
        for _ in 0..=paused {
            log.0.append();
            slow.read().await;
        }
        for _ in 0..20 {
            log.0.append();
        }
        let last = log.0.last();
        let mut others = Vec::new();
        for (end, task) in reading.drain(..) {
            drop(end);
            others.push(task.await.unwrap());
        }
        let [first, second] = others.as_mut_slice() else { panic!("two are left") };
        tokio::join!(first.read_up_to(last), second.read_up_to(last));
        assert!(slow.number < last);
        slow.read_up_to(last).await;
        reading.extend(others.into_iter().chain([slow]).map(Strict::read_on));
        log.0.until_open_streams(1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_ahead_of_the_other_is_told_nothing_twice() {
    let log = NumberLog::default();
    (0..30).for_each(|_| log.0.append());
    *log.0.head.lock().unwrap() = Some(1);
    let mut ahead = Strict::begin(&log, "a").await;
    let mut behind = Strict::begin(&log, "b").await;
    ahead.read_up_to(30).await;
    behind.read_up_to(5).await;
    let (end, reading) = ahead.read_on();
    let deadline = Instant::now() + PATIENCE;
    while log.0.open_streams() > 1 {
        assert!(Instant::now() < deadline, "nobody was called");
        sleep(Duration::from_millis(5)).await;
    }
    behind.read_up_to(30).await;
    (0..5).for_each(|_| log.0.append());
    behind.read_up_to(35).await;
    assert_eq!(log.0.open_streams(), 1);
    drop(end);
    let mut ahead = reading.await.unwrap();
    ahead.read_up_to(35).await;
}
