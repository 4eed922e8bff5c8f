//! Streaming changes: looks for new ones now and then, and hands on what was committed since as one transaction.
//!
//! What is committed between two looks becomes one transaction: whoever applies it sees the tables as they were at the
//! second. What was seen once as committed never changes, so that a transaction of any size is read in parts, without
//! holding a view of the database open meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::acknowledge::Acknowledger;
use super::{ActiveReader, ChangeTable, lost};
use crate::error::{ErrorKind, Result};
use crate::log::{ChangeStream, LogEvent, LogReader, LoggedTransaction, Position};
use crate::value::Timestamp;

/// Between two looks while there are changes, and at first when there are none.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
/// Between two looks when there have been none for some time.
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// The stream of one reader.
pub(crate) struct TableStream<T: ChangeTable> {
    table: Arc<T>,
    reader: LogReader,
    layouts: Option<T::Layouts>,
    /// The newest layout that was there when they were read.
    newest_layout: i64,
    /// Everything up to here was handed on.
    handed_on: Position,
    transaction: Option<OpenTransaction>,
    pending: VecDeque<LogEvent>,
    acknowledger: Acknowledger<T>,
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

impl<T: ChangeTable> TableStream<T> {
    /// Starts behind a position.
    ///
    /// # Errors
    /// [`ErrorKind::LogLost`] if the change at which the reader stands has gone, or one behind it.
    pub(crate) async fn start(
        table: Arc<T>,
        reader: &LogReader,
        from: &Position,
        active: ActiveReader,
    ) -> Result<Self> {
        let look = table.look(reader, from).await?;
        if look.acknowledged > from.order {
            return Err(lost(&format!(
                "changes up to {} were acknowledged and deleted, and are asked for from {} on",
                look.acknowledged, from.order
            )));
        }
        Ok(Self {
            acknowledger: Acknowledger::new(Arc::clone(&table), reader.name.clone()),
            table,
            reader: reader.clone(),
            layouts: None,
            newest_layout: 0,
            handed_on: from.clone(),
            transaction: None,
            pending: VecDeque::new(),
            wait: SHORTEST_WAIT,
            told_idle: false,
            _active: active,
        })
    }

    /// Looks for new changes; whether there are any.
    async fn poll(&mut self) -> Result<bool> {
        let mut look = self.table.look(&self.reader, &self.handed_on).await?;
        if !look.is_verified {
            // Nothing that was recorded since is handed on before.
            self.table.follow(self.handed_on.order).await?;
            look = self.table.look(&self.reader, &self.handed_on).await?;
            if !look.is_verified {
                // They have changed once more.
                return Ok(true);
            }
        }
        if self.layouts.is_none() || look.newest_layout != self.newest_layout {
            self.layouts = Some(self.table.layouts(&self.reader).await?);
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

    /// Reads the next part of the open transaction.
    async fn read_on(&mut self) -> Result<()> {
        let (Some(open), Some(layouts)) = (&mut self.transaction, &self.layouts) else { return Ok(()) };
        let chunk = self.table.read(layouts, open.read, open.end.order).await?;
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
impl<T: ChangeTable> ChangeStream for TableStream<T> {
    async fn next(&mut self) -> Result<LogEvent> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Ok(event);
            }
            self.acknowledger.flush_if_due();
            match self.advance().await {
                // The application holds the connections, or the right to write; it will let go of them.
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
