//! Reading the table of changes: a task looks for new ones, and deletes what every reader has acknowledged.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use wire::{Connection, Param};

use super::change_row::{ChangeRow, Tables};
use super::decided::Decided;
use super::objects::Objects;
use super::{STREAM_LOCK, value};
use crate::error::{Error, ErrorKind, Result};
use crate::log::task_stream::{Acknowledged, TaskStream};
use crate::log::{ChangeStream, EventSender, LogEvent, LogReader, LoggedTransaction, Position, event_queue};
use crate::postgres::encode::text_of;
use crate::postgres::pool::Pool;
use crate::value::Timestamp;

/// What waits for the reader at the most.
const WAITING_BYTES: usize = 1 << 20;
/// So many changes, or bytes of them as they are stored, are read at a time.
const PAGE_ROWS: u32 = 1000;
const PAGE_BYTES: u32 = 1 << 20;
/// Transactions are put together within ranges of so many numbers.
const RANGE: u32 = 2000;
/// How long it is waited between two looks where nothing is new; twice as long each time, up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// For how long it is waited that of the transactions which run at the same time none is cut in two.
const WHOLE_PATIENCE: Duration = Duration::from_secs(1);
/// How often acknowledgements are stored, and how many changes are then deleted at a time.
const ACKNOWLEDGE_INTERVAL: Duration = Duration::from_secs(1);
const DELETED_ROWS: u32 = 5000;

/// Starts to read behind a position.
pub(super) async fn start(pool: &Pool, reader: &LogReader, from: &Position) -> Result<Box<dyn ChangeStream>> {
    let mut connection = pool.connect_to_copy().await?;
    let objects = check_kept(&mut connection, &reader.name, from.order).await?;
    let locked = value(
        &mut connection,
        &format!("SELECT pg_try_advisory_lock({STREAM_LOCK})"),
        &[Param::text(&*reader.name)],
    )
    .await?;
    if locked.as_deref() != Some("t") {
        let message = format!("another connection reads the log as reader \"{}\" at present", reader.name);
        return Err(Error::new(ErrorKind::Conflict, message));
    }
    let tables = Tables::find(&mut connection, &reader.tables).await?;
    let (sender, events) = event_queue(WAITING_BYTES);
    let (acknowledge, acknowledged) = watch::channel(0);
    let reading = Reading {
        connection,
        objects,
        name: reader.name.clone(),
        tables,
        decided: Decided::default(),
        position: from.order,
        cut_since: None,
        acknowledged,
        stored: 0,
        stored_at: Instant::now(),
        sender,
    };
    let task = tokio::spawn(reading.run());
    Ok(Box::new(TaskStream::new(events, task, acknowledge)))
}

/// Fails unless the changes behind this position are kept.
async fn check_kept(connection: &mut Connection, name: &str, from: u64) -> Result<Objects> {
    let lost = |message: String| Err(Error::new(ErrorKind::LogLost, message));
    let Some(objects) = Objects::find(connection).await? else {
        return lost("the table of changes does not exist, so that changes are missing".to_owned());
    };
    match objects.reader_position(connection, name).await? {
        None => lost(format!("the table of changes does not know the reader \"{name}\"")),
        Some(kept) if kept > from => {
            lost(format!("the changes are kept from number {kept} on, and those since {from} are needed"))
        }
        Some(_) if objects.last_number(connection).await? < from => {
            lost(format!("the table of changes has not come to number {from}: the database is another one"))
        }
        Some(_) => Ok(objects),
    }
}

impl Acknowledged for watch::Sender<u64> {
    /// The task stores what was acknowledged.
    const IS_BROKEN_OFF: bool = false;

    fn acknowledge(&mut self, position: &Position) {
        self.send_if_modified(|acknowledged| {
            let is_further = position.order > *acknowledged;
            *acknowledged = position.order.max(*acknowledged);
            is_further
        });
    }
}

/// The reader has left.
struct Left;

/// The task that reads.
struct Reading {
    connection: Connection,
    objects: Objects,
    name: String,
    tables: Tables,
    decided: Decided,
    /// The number up to which everything was handed on.
    position: u64,
    /// Since when no place was found between transactions.
    cut_since: Option<Instant>,
    acknowledged: watch::Receiver<u64>,
    stored: u64,
    stored_at: Instant,
    sender: EventSender,
}

impl Reading {
    async fn run(mut self) {
        let ended = match self.read().await {
            Ok(Left) => self.store_acknowledged().await,
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            let error = match error.kind() {
                ErrorKind::UnknownTable => {
                    Error::new(ErrorKind::LogLost, "the table of changes was dropped").with_source(error)
                }
                _ => error,
            };
            // A reader that has left does not want to know.
            drop(self.sender.send(Err(error)).await);
        }
    }

    async fn read(&mut self) -> Result<Left> {
        let mut pause = SHORTEST_PAUSE;
        loop {
            if self.stored_at.elapsed() >= ACKNOWLEDGE_INTERVAL {
                self.store_acknowledged().await?;
            }
            let before = self.position;
            if let Some(left) = self.read_decided().await? {
                return Ok(left);
            }
            if self.position > before {
                pause = SHORTEST_PAUSE;
                continue;
            }
            tokio::select! {
                () = self.sender.closed() => return Ok(Left),
                () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    /// Hands on what is decided.
    async fn read_decided(&mut self) -> Result<Option<Left>> {
        let decided = self.decided.up_to(&mut self.connection, &self.objects, self.position).await?;
        if decided == self.position {
            return Ok(None);
        }
        let (mut ends, last) = self.whole_transactions(decided).await?;
        if ends.last() == last.as_ref() {
            // Numbers behind it were given in vain.
            ends.pop();
            ends.push(decided);
            self.cut_since = None;
        } else if ends.is_empty() {
            let since = *self.cut_since.get_or_insert_with(Instant::now);
            if since.elapsed() < WHOLE_PATIENCE {
                return Ok(None);
            }
            ends.push(decided);
        } else {
            self.cut_since = None;
        }
        for end in ends {
            if let Some(left) = self.hand_on(end).await? {
                return Ok(Some(left));
            }
        }
        Ok(None)
    }

    /// The numbers up to `decided` between which whole transactions lie, one or none for each range; and the last number
    /// of a change.
    async fn whole_transactions(&mut self, decided: u64) -> Result<(Vec<u64>, Option<u64>)> {
        let sql = format!(
            "WITH open AS (SELECT number, max(number) OVER (PARTITION BY transaction) AS last FROM {0}
                           WHERE number > $1::bigint),
                  reached AS (SELECT number, max(last) OVER (ORDER BY number) AS reach FROM open)
             SELECT max(number) FROM reached WHERE reach = number AND number <= $2::bigint GROUP BY number / {RANGE}
             ORDER BY 1",
            self.objects.changes()
        );
        let parameters: [Param<'_>; 2] = [self.position.to_string().into(), decided.to_string().into()];
        let result = self.connection.query(&sql, &parameters).await?;
        let mut ends = Vec::with_capacity(result.rows.len());
        for row in result.rows.iter() {
            ends.extend(row.get_str(0)?.and_then(|number| number.parse::<u64>().ok()));
        }
        let sql = format!(
            "SELECT max(number) FROM {} WHERE number > $1::bigint AND number <= $2::bigint",
            self.objects.changes()
        );
        let last = value(&mut self.connection, &sql, &parameters).await?;
        Ok((ends, last.and_then(|number| number.parse().ok())))
    }

    /// Hands the changes up to a number on, as one transaction.
    async fn hand_on(&mut self, end: u64) -> Result<Option<Left>> {
        let mut is_told = false;
        let mut after = self.position;
        loop {
            let (changes, last) = self.page(after, end).await?;
            if changes.is_empty() {
                break;
            }
            if !is_told {
                is_told = true;
                let begin = self.transaction(end).await?;
                if self.sender.send(Ok(LogEvent::Begin(begin))).await.is_err() {
                    return Ok(Some(Left));
                }
            }
            after = last;
            if self.sender.send(Ok(LogEvent::Changes(changes))).await.is_err() {
                return Ok(Some(Left));
            }
        }
        self.position = end;
        let position = Position::at(end);
        let event = if is_told { LogEvent::Commit(position) } else { LogEvent::Idle(position) };
        Ok(self.sender.send(Ok(event)).await.is_err().then_some(Left))
    }

    /// The changes of the reader's tables behind a number, as many as are handed on at a time, and the last number of
    /// them.
    async fn page(&mut self, after: u64, end: u64) -> Result<(Vec<crate::log::Change>, u64)> {
        let sql = format!(
            "SELECT number, relation, operation, structure, old_row, new_row
             FROM (SELECT *, sum(coalesce(pg_column_size(old_row), 0) + coalesce(pg_column_size(new_row), 0))
                             OVER (ORDER BY number ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS size,
                          row_number() OVER (ORDER BY number) AS place
                   FROM (SELECT * FROM {} WHERE number > $1::bigint AND number <= $2::bigint AND relation = ANY ($3::oid[])
                         ORDER BY number LIMIT {PAGE_ROWS}) AS c) AS s
             WHERE size <= {PAGE_BYTES} OR place = 1 ORDER BY number",
            self.objects.changes()
        );
        let parameters: [Param<'_>; 3] =
            [after.to_string().into(), end.to_string().into(), text_of(&self.tables.oids(), None).into()];
        let result = self.connection.query(&sql, &parameters).await?;
        let mut changes = Vec::with_capacity(result.rows.len());
        let mut last = after;
        for row in result.rows.iter() {
            let text = |column: usize| -> Result<&str> { Ok(row.get_str(column)?.unwrap_or_default()) };
            last = text(0)?.parse().unwrap_or(last);
            let change_row = ChangeRow {
                relation: text(1)?.parse().unwrap_or_default(),
                operation: text(2)?,
                structure: text(3)?,
                old_row: row.get_str(4)?,
                new_row: row.get_str(5)?,
            };
            changes.push(self.tables.change(&mut self.connection, &self.objects, &change_row).await?);
        }
        Ok((changes, last))
    }

    /// What is told of the transactions up to a number, which are handed on as one.
    async fn transaction(&mut self, end: u64) -> Result<LoggedTransaction> {
        let sql = format!(
            "SELECT max(transaction), floor(extract(epoch FROM max(at)) * 1000000)::bigint FROM {}
             WHERE number > $1::bigint AND number <= $2::bigint",
            self.objects.changes()
        );
        let parameters: [Param<'_>; 2] = [self.position.to_string().into(), end.to_string().into()];
        let result = self.connection.query(&sql, &parameters).await?;
        let row = result.rows.get(0);
        let text = |column: usize| -> Result<&str> {
            Ok(row.map(|row| row.get_str(column)).transpose()?.flatten().unwrap_or_default())
        };
        Ok(LoggedTransaction {
            position: Position::at(end),
            committed_at: Timestamp(text(1)?.parse().unwrap_or_default()),
            id: text(0)?.to_owned(),
            origin: None,
        })
    }

    /// Stores what was acknowledged, and deletes what every reader has acknowledged.
    async fn store_acknowledged(&mut self) -> Result<()> {
        self.stored_at = Instant::now();
        let acknowledged = *self.acknowledged.borrow_and_update();
        if acknowledged <= self.stored {
            return Ok(());
        }
        let (changes, readers) = (self.objects.changes(), self.objects.readers());
        let sql = format!("UPDATE {readers} SET position = greatest(position, $2::bigint) WHERE name = $1");
        let parameters = [Param::text(&*self.name), acknowledged.to_string().into()];
        if self.connection.execute(&sql, &parameters).await? == 0 {
            let message = format!("the table of changes does not know the reader \"{}\" any more", self.name);
            return Err(Error::new(ErrorKind::LogLost, message));
        }
        self.stored = acknowledged;
        let sql = format!(
            "DELETE FROM {changes} WHERE number IN (SELECT number FROM {changes}
               WHERE number <= (SELECT min(position) FROM {readers}) ORDER BY number LIMIT {DELETED_ROWS})"
        );
        while self.connection.execute(&sql, &[]).await? == u64::from(DELETED_ROWS) {}
        Ok(())
    }
}
