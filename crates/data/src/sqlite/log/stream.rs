//! Streaming changes: looks for new ones now and then, and hands on what was committed since as one transaction.
//!
//! SQLite has one writer at a time, so that the changes of a transaction stand one behind the other, and those of two are
//! never mixed. What is committed between two looks becomes one transaction: whoever applies it sees the tables as they
//! were at the second. Changes that were read once as committed never change, so that a transaction of any size is read
//! in parts, without holding a view of the database open meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::super::pool::SqlitePools;
use super::super::session::{ForeignKeys, WriteTransaction, fetch_on};
use super::acknowledge::Acknowledger;
use super::active::ActiveReader;
use super::capture::{follow, set_verified, sources};
use super::own_tables::{CHANGE, LOG, READER, SOURCE, position};
use super::read::{ReadLayouts, first_row};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{ChangeStream, LogEvent, LogReader, LoggedTransaction, Position};
use crate::value::{Timestamp, Value};

/// Between two looks while there are changes, and at first when there are none.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
/// Between two looks when there have been none for some time.
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// The stream of one reader.
pub(super) struct SqliteStream {
    pools: Arc<SqlitePools>,
    reader: LogReader,
    layouts: ReadLayouts,
    /// The newest layout that was there when they were read.
    newest_layout: i64,
    /// Everything up to here was handed on.
    handed_on: Position,
    transaction: Option<OpenTransaction>,
    pending: VecDeque<LogEvent>,
    acknowledger: Acknowledger,
    wait: Duration,
    /// Whether the reader was told that it has everything.
    told_idle: bool,
    _active: ActiveReader,
}

/// Changes that are being read.
struct OpenTransaction {
    end: Position,
    committed_at: Timestamp,
    /// The number of the last change that was read.
    read: u64,
    /// Whether the reader knows of it.
    has_begun: bool,
}

/// What a look at the database showed.
struct Look {
    end: Position,
    committed_at: Timestamp,
    newest_layout: i64,
    /// Whether the tables are as the triggers know them.
    is_verified: bool,
}

impl SqliteStream {
    pub(super) async fn start(
        pools: Arc<SqlitePools>,
        reader: &LogReader,
        from: &Position,
        active: ActiveReader,
    ) -> Result<Self> {
        let mut stream = Self {
            acknowledger: Acknowledger::new(Arc::clone(&pools), reader.name.clone()),
            pools,
            reader: reader.clone(),
            layouts: ReadLayouts::new(reader, &[]),
            newest_layout: -1,
            handed_on: from.clone(),
            transaction: None,
            pending: VecDeque::new(),
            wait: SHORTEST_WAIT,
            told_idle: false,
            _active: active,
        };
        stream.check_start().await?;
        Ok(stream)
    }

    /// Whether the change at which the reader stands is still there, and nothing behind it is deleted.
    async fn check_start(&mut self) -> Result<()> {
        let connection = &mut *self.pools.read().await?;
        let sql = format!("SELECT acknowledged FROM {READER} WHERE name = ?");
        let name = Value::from(self.reader.name.as_str());
        let row = first_row(fetch_on(connection, &sql, &[name]).await.map_err(lost_table)?);
        let acknowledged = row.and_then(|row| row.first().and_then(Value::as_integer));
        let acknowledged = acknowledged.ok_or_else(unknown_reader)?;
        let acknowledged = u64::try_from(acknowledged).unwrap_or(0);
        if acknowledged > self.handed_on.order {
            return Err(lost(&format!(
                "changes up to {acknowledged} were acknowledged and deleted, and are asked for from {} on",
                self.handed_on.order
            )));
        }
        self.look(connection).await.map(drop)
    }

    /// Looks at how far the log goes, and that it is the one that was read before.
    async fn look(&self, connection: &mut sqlx::SqliteConnection) -> Result<Look> {
        let sql = format!(
            "SELECT c.seq, c.mark, c.at, (SELECT coalesce(max(id), 0) FROM {SOURCE}), \
             l.schema_version = (SELECT schema_version FROM pragma_schema_version), r.lost, \
             (SELECT mark FROM {CHANGE} WHERE seq = ?) \
             FROM {CHANGE} AS c, {LOG} AS l, {READER} AS r \
             WHERE c.seq = (SELECT max(seq) FROM {CHANGE}) AND r.name = ?"
        );
        let from = Value::Int64(i64::try_from(self.handed_on.order).unwrap_or(i64::MAX));
        let params = [from, self.reader.name.as_str().into()];
        let row = first_row(fetch_on(connection, &sql, &params).await.map_err(lost_table)?);
        let row = row.ok_or_else(unknown_reader)?;
        let [seq, Value::Text(mark), at, newest, is_verified, reason, own_mark] = row.as_slice() else {
            return Err(lost("the table of changes is malformed"));
        };
        if let Some(reason) = reason.as_text() {
            return Err(lost(reason));
        }
        let is_same = own_mark
            .as_text()
            .is_some_and(|own| self.handed_on.token.as_ref().is_none_or(|token| token == own));
        if !is_same {
            return Err(lost(
                "the database is another one, or an older copy of it, than the one that was read before",
            ));
        }
        Ok(Look {
            end: position(seq, mark),
            committed_at: Timestamp::from_millis(at.as_integer().unwrap_or(0)),
            newest_layout: newest.as_integer().unwrap_or(0),
            is_verified: is_verified.as_integer() == Some(1),
        })
    }

    /// Looks for new changes; whether there are any.
    async fn poll(&mut self) -> Result<bool> {
        let mut connection = self.pools.read().await?;
        let mut look = self.look(&mut connection).await?;
        if !look.is_verified {
            drop(connection);
            self.follow().await?;
            connection = self.pools.read().await?;
            look = self.look(&mut connection).await?;
            if !look.is_verified {
                // It has changed once more.
                return Ok(true);
            }
        }
        if look.newest_layout != self.newest_layout {
            self.layouts = ReadLayouts::new(&self.reader, &sources(&mut connection).await?);
            self.newest_layout = look.newest_layout;
        }
        if look.end.order <= self.handed_on.order {
            return Ok(false);
        }
        self.transaction = Some(OpenTransaction {
            read: self.handed_on.order,
            end: look.end,
            committed_at: look.committed_at,
            has_begun: false,
        });
        Ok(true)
    }

    /// Has the triggers follow the tables. Nothing that was recorded since is handed on before.
    async fn follow(&self) -> Result<()> {
        let mut transaction = WriteTransaction::begin(&self.pools, ForeignKeys::Enforced).await?;
        follow(transaction.connection()?, self.handed_on.order).await?;
        set_verified(transaction.connection()?).await?;
        transaction.commit().await
    }

    /// Reads the next part of the open transaction.
    async fn read_on(&mut self) -> Result<()> {
        let Some(open) = &self.transaction else { return Ok(()) };
        let mut connection = self.pools.read().await?;
        let chunk =
            self.layouts.read(&mut connection, open.read, open.end.order).await.map_err(lost_table)?;
        drop(connection);
        let Some(open) = &mut self.transaction else { return Ok(()) };
        open.read = chunk.last;
        if !chunk.changes.is_empty() {
            if !open.has_begun {
                open.has_begun = true;
                self.pending.push_back(LogEvent::Begin(LoggedTransaction {
                    position: open.end.clone(),
                    committed_at: open.committed_at,
                    id: open.end.order.to_string(),
                    origin: None,
                }));
            }
            self.pending.push_back(LogEvent::Changes(chunk.changes));
        }
        if !chunk.is_cut {
            let end = open.end.clone();
            let event = if open.has_begun { LogEvent::Commit } else { LogEvent::Idle };
            self.pending.push_back(event(end.clone()));
            self.handed_on = end;
            self.transaction = None;
            self.told_idle = true;
        }
        Ok(())
    }

    async fn advance(&mut self) -> Result<()> {
        if self.transaction.is_some() {
            return self.read_on().await;
        }
        if self.poll().await? {
            self.wait = SHORTEST_WAIT;
            return Ok(());
        }
        if !self.told_idle {
            self.told_idle = true;
            self.pending.push_back(LogEvent::Idle(self.handed_on.clone()));
            return Ok(());
        }
        tokio::time::sleep(self.wait).await;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        Ok(())
    }
}

#[async_trait]
impl ChangeStream for SqliteStream {
    async fn next(&mut self) -> Result<LogEvent> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Ok(event);
            }
            self.acknowledger.flush_if_due();
            match self.advance().await {
                // The application holds the connections; they will be free again.
                Err(error) if matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Conflict) => {
                    tracing::debug!(%error, "the table of changes could not be looked at");
                    tokio::time::sleep(SHORTEST_WAIT).await;
                }
                result => result?,
            }
        }
    }

    fn acknowledge(&mut self, position: &Position) {
        self.acknowledger.acknowledge(position.order);
    }

    async fn close(self: Box<Self>) {
        self.acknowledger.close().await;
    }
}

fn unknown_reader() -> Error {
    lost("the database knows nothing of the reader")
}

/// That the changes behind the reader's position are not to be had any more.
fn lost(reason: &str) -> Error {
    let message =
        format!("the log of changes is of no use any more, the tables must be synchronised anew: {reason}");
    Error::new(ErrorKind::LogLost, message)
}

fn lost_table(error: Error) -> Error {
    if error.kind() != ErrorKind::UnknownTable {
        return error;
    }
    lost("its tables were dropped").with_source(error)
}
