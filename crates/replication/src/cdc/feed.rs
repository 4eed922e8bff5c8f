//! The changes of a rule for an application that reads them itself.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use data::log::{
    Change, LogEvent, LogKind, LogReader, LoggedTransaction, OpenedLog, Operation, Position, PositionForm,
};
use data::table::{ColumnType, Table};
use data::{ErrorKind, Record, Value};

use super::Ends;
use super::event::RowOperation;
use super::identity::{Purpose, reader_name};
use super::pump::Pump;
use super::run::log_of;
use super::runner::log_kind;
use crate::error::{Error, Result};
use crate::rule::Rule;
use crate::snapshot::{End, resolve};

/// Of the log one event is read ahead of an application, which may not ask for the next one for long.
const BYTES_AHEAD: usize = 1;

/// About how many bytes of changes are handed out at a time, as they leave the bounded buffers with that.
const MOST_BYTES: usize = 1 << 20;

/// How long is waited before a lost connection is made again.
const PAUSE: Duration = Duration::from_millis(500);

/// How many feeds of one rule or project may be open at a time.
const MOST_FEEDS: usize = 16;

/// The column of fields that a collection did not have when it was described; no field is called so.
const FURTHER_FIELDS: &str = "$rest";

/// The names of the readers of this process.
static NAMES_IN_USE: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// A change as an application reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedChange {
    /// The collection, as the rule names it.
    pub collection: String,
    /// What happened.
    pub operation: RowOperation,
    /// The primary key by column; empty for a truncation.
    pub key: Record,
    /// The primary key before, if it changed.
    pub old_key: Option<Record>,
    /// The row by column, if there is one.
    pub row: Option<Record>,
    /// The columns that an update left as they were and that the log does not tell; they are not part of `row`.
    pub unchanged: Vec<String>,
    /// Where in the log its transaction lies.
    pub position: String,
    /// When its transaction was committed at the source, in ms since the epoch.
    pub committed_at: i64,
    /// The source's name for its transaction.
    pub transaction: String,
}

/// The changes of a rule's collections, in their order, from when it was opened. It reads no further ahead than a few
/// megabytes: who does not ask for changes leaves them in the log of the source.
pub struct ChangeFeed {
    rule: String,
    source: End,
    kind: LogKind,
    reader: LogReader,
    /// Its name, which no other feed of this process takes meanwhile.
    _name: NameInUse,
    /// The collections of each table.
    labels: HashMap<String, Vec<String>>,
    /// How positions are written.
    positions: PositionForm,
    pump: Option<Pump>,
    /// Changes that were read and not asked for, each with about how many bytes of memory its values take.
    waiting: VecDeque<(usize, FeedChange)>,
    /// The end of the last transaction that was read, from where the log is read again.
    read_to: Position,
    current: Option<LoggedTransaction>,
    /// How many changes of the current transaction were read, and how many are to be skipped as it is read again.
    read: usize,
    to_skip: usize,
    /// The ends of transactions whose changes have not all been handed out, each with how many were handed out before it.
    ends: VecDeque<(u64, Position)>,
    queued: u64,
    handed_out: u64,
}

impl ChangeFeed {
    pub(crate) async fn open(rule: &Rule, (source, target): Ends) -> Result<Self> {
        let kind = log_kind(rule, &source)?;
        let in_rule = || Error::database_in(format!("rule \"{}\"", rule.name));
        let name = reader_name(&rule.name, &source, &target, Purpose::Changes).await.map_err(in_rule())?;
        let mut labels: HashMap<String, Vec<String>> = HashMap::new();
        let mut tables: Vec<Arc<Table>> = Vec::new();
        for plan in resolve(rule, &source, &target).await.map_err(in_rule())? {
            let described = source.tables().map_err(in_rule())?.describe(&plan.source_table).await;
            let Some(table) = described.map_err(in_rule())? else { continue };
            labels.entry(table.name.clone()).or_default().push(plan.label);
            // Documents are told with every field that they have.
            let table = if source.is_schemaless() { table.with_rest(FURTHER_FIELDS) } else { table };
            if !tables.iter().any(|known| known.name == table.name) {
                tables.push(Arc::new(table));
            }
        }
        let positions = log_of(&source, kind)?.position_form();
        let (reader, in_use, read_to) = begin(&source, kind, name, tables).await.map_err(in_rule())?;
        Ok(Self {
            rule: rule.name.clone(),
            source,
            kind,
            reader,
            _name: in_use,
            labels,
            positions,
            pump: None,
            waiting: VecDeque::new(),
            read_to,
            current: None,
            read: 0,
            to_skip: 0,
            ends: VecDeque::new(),
            queued: 0,
            handed_out: 0,
        })
    }

    /// Waits for changes and hands out at most so many, and of large ones fewer; none if the source was closed. What the call before handed out is
    /// acknowledged: the source need not keep it. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Error::LogLost`], or [`Error::Database`]. A lost connection is made again.
    pub async fn next(&mut self, max: usize) -> Result<Vec<FeedChange>> {
        self.acknowledge();
        while self.waiting.is_empty() {
            match self.event().await {
                Ok(event) => self.take(event),
                Err(error) if error.kind() == ErrorKind::Closed => return Ok(Vec::new()),
                Err(error) if error.kind().is_retryable() => {
                    self.pump = None;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) if error.kind() == ErrorKind::LogLost => {
                    return Err(Error::LogLost { rule: self.rule.clone(), reason: error.to_string() });
                }
                Err(error) => return Err(Error::database_in(format!("rule \"{}\"", self.rule))(error)),
            }
        }
        while self.waiting.len() < max {
            match self.pump.as_mut().and_then(Pump::next_ready) {
                Some(Ok(event)) => self.take(event),
                // It shows again when reading begins anew; the pump reads no further.
                Some(Err(_)) => {
                    self.pump = None;
                    break;
                }
                None => break,
            }
        }
        let mut bytes = 0;
        let within = self.waiting.iter().take(max).take_while(|(weight, _)| {
            let before = bytes;
            bytes += weight;
            before < MOST_BYTES
        });
        let count = within.count().max(1);
        self.handed_out += u64::try_from(count).unwrap_or(u64::MAX);
        Ok(self.waiting.drain(..count).map(|(_, change)| change).collect())
    }

    /// Ends reading and removes what was created for it at the source.
    ///
    /// # Errors
    /// [`Error::Database`] with the statements to run.
    pub async fn close(mut self) -> Result<()> {
        if let Some(pump) = self.pump.take() {
            pump.close().await;
        }
        let removed = log_of(&self.source, self.kind)?.remove(&self.reader.name).await;
        removed.map_err(Error::database_in(format!("rule \"{}\"", self.rule)))
    }

    async fn event(&mut self) -> data::Result<LogEvent> {
        if self.pump.is_none() {
            let log = self.source.tables()?.change_log(self.kind);
            let log =
                log.ok_or_else(|| data::Error::new(ErrorKind::Closed, "the source has lost its log"))?;
            let stream = log.stream(&self.reader, &self.read_to).await?;
            // The transaction that was being read comes again from its beginning.
            self.to_skip = self.to_skip.max(self.read);
            self.read = 0;
            self.pump = Some(Pump::start(stream, BYTES_AHEAD));
        }
        match &mut self.pump {
            Some(pump) => pump.next().await,
            None => Err(data::Error::new(ErrorKind::Internal, "the log is not read")),
        }
    }

    fn take(&mut self, event: LogEvent) {
        match event {
            LogEvent::Begin(transaction) => {
                self.current = Some(transaction);
                self.read = 0;
            }
            LogEvent::Changes(changes) => {
                let Some(current) = self.current.clone() else { return };
                for change in changes {
                    self.read += 1;
                    if self.read > self.to_skip {
                        self.queue(change, &current);
                    }
                }
            }
            LogEvent::Message { .. } => {}
            LogEvent::Commit(position) => {
                if self.read > 0 {
                    self.to_skip = 0;
                }
                self.read = 0;
                self.current = None;
                self.end(position);
            }
            LogEvent::Idle(position) => self.end(position),
        }
    }

    fn end(&mut self, position: Position) {
        self.read_to = position.clone();
        // Ends between which nothing was queued are one.
        if self.ends.back().is_some_and(|(queued, _)| *queued == self.queued) {
            self.ends.pop_back();
        }
        self.ends.push_back((self.queued, position));
    }

    fn acknowledge(&mut self) {
        let mut done = None;
        while let Some((queued, position)) = self.ends.pop_front() {
            if queued > self.handed_out {
                self.ends.push_front((queued, position));
                break;
            }
            done = Some(position);
        }
        if let (Some(position), Some(pump)) = (done, &self.pump) {
            pump.acknowledge(&position);
        }
    }

    fn queue(&mut self, change: Change, current: &LoggedTransaction) {
        let Some(labels) = self.labels.get(&change.table.name) else { return };
        let weight = change.operation.weight();
        for label in labels {
            self.waiting.push_back((weight, feed_change(label, &change, current, self.positions)));
            self.queued += 1;
        }
    }
}

/// A name that is taken in this process for as long as this is held.
struct NameInUse(String);

impl NameInUse {
    /// Takes a name, unless it is taken.
    fn take(name: &str) -> Option<Self> {
        let mut names = NAMES_IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        names.get_or_insert_default().insert(name.to_owned()).then(|| Self(name.to_owned()))
    }
}

impl Drop for NameInUse {
    fn drop(&mut self) {
        let mut names = NAMES_IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(names) = names.as_mut() {
            names.remove(&self.0);
        }
    }
}

/// Creates a reader under the first name that no feed uses. What a feed of a process that died has left under it is removed.
async fn begin(
    source: &End,
    kind: LogKind,
    name: String,
    tables: Vec<Arc<Table>>,
) -> data::Result<(LogReader, NameInUse, Position)> {
    let log = source.tables()?.change_log(kind);
    let log = log.ok_or_else(|| data::Error::new(ErrorKind::Closed, "the source has lost its log"))?;
    let mut reader = LogReader { name, tables };
    let first_name = reader.name.clone();
    for number in 0..MOST_FEEDS {
        if number > 0 {
            reader.name = format!("{first_name}_{number}");
        }
        let Some(in_use) = NameInUse::take(&reader.name) else { continue };
        match log.status(&reader.name).await? {
            Some(status) if status.active => continue,
            Some(_) => log.remove(&reader.name).await?,
            None => {}
        }
        if let OpenedLog::Created(view) = log.open(&reader).await? {
            return Ok((reader, in_use, view.position));
        }
    }
    let message = format!("{MOST_FEEDS} loops read these changes already; end one of them");
    Err(data::Error::new(ErrorKind::Capture, message))
}

fn feed_change(
    label: &str,
    change: &Change,
    current: &LoggedTransaction,
    positions: PositionForm,
) -> FeedChange {
    let table = &change.table;
    let (operation, key, old_key, row, unchanged) = match &change.operation {
        Operation::Insert { row } => (RowOperation::Insert, table.key_of(row), None, Some(row), None),
        Operation::Update { old_key, row, unchanged } => {
            (RowOperation::Update, table.key_of(row), old_key.as_ref(), Some(row), Some(unchanged))
        }
        Operation::Delete { key } => (RowOperation::Delete, key.clone(), None, None, None),
        Operation::Truncate => (RowOperation::Truncate, Vec::new(), None, None, None),
    };
    let is_told = |position: usize| unchanged.is_none_or(|unchanged| !unchanged.contains(position));
    let name = |position: usize| {
        let column = table.columns.get(position).filter(|column| column.column_type != ColumnType::Rest);
        column.map(|column| column.name.clone())
    };
    FeedChange {
        collection: label.to_owned(),
        operation,
        key: key_by_column(table, &key),
        old_key: old_key.map(|key| key_by_column(table, key)),
        row: row.map(|row| {
            let told = row.iter().enumerate().filter(|(position, _)| is_told(*position));
            let mut told: Record =
                told.filter_map(|(position, value)| Some((name(position)?, value.clone()))).collect();
            if let Some(Value::Object(further)) = table.rest().and_then(|rest| row.get(rest)) {
                told.extend(further.iter().map(|(field, value)| (field.clone(), value.clone())));
            }
            told
        }),
        unchanged: unchanged.map(|unchanged| unchanged.iter().filter_map(name).collect()).unwrap_or_default(),
        position: positions.text(current.position.order),
        committed_at: current.committed_at.millis(),
        transaction: current.id.clone(),
    }
}

fn key_by_column(table: &Table, key: &[Value]) -> Record {
    let columns = table.key.iter().filter_map(|position| table.columns.get(*position));
    columns.zip(key).map(|(column, value)| (column.name.clone(), value.clone())).collect()
}
