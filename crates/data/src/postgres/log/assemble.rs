//! The messages of the stream put together to the events of a log.

use std::collections::HashMap;
use std::sync::Arc;

use wire::replication::pgoutput::{Begin, Commit, LogicalMessage, Message, Relation};
use wire::replication::{Keepalive, Lsn};

use super::OWN_MESSAGE_PREFIX;
use super::generated::{Pending, complete};
use super::logged_table::LoggedTable;
use super::timeline::position_on;
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Change, LogEvent, LoggedTransaction, Operation};
use crate::postgres::pool::Pool;
use crate::table::Table;
use crate::value::Timestamp;

/// So many changes, or bytes of them, are handed on at a time.
const BATCH_CHANGES: usize = 1000;
const BATCH_BYTES: usize = 1 << 20;

/// A table that the reader wants, and where its changes are found.
#[derive(Debug)]
pub(super) struct ReadTable {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) relation: String,
    /// As the reader knows it; later, as the stream described it last.
    pub(super) table: Arc<Table>,
}

/// The transaction that is being received.
enum Receiving {
    /// None.
    Nothing,
    /// One that the reader has seen before.
    Seen,
    /// One of which nothing has been handed on, as nothing in it concerns the reader so far.
    Silent(LoggedTransaction),
    /// One whose beginning has been handed on.
    Told,
}

/// Makes events of messages.
pub(super) struct Assembler {
    pool: Pool,
    tables: Vec<ReadTable>,
    /// The tables that the stream has described, by their oids; `None` for one that the reader does not want.
    logged: HashMap<u32, Option<Arc<LoggedTable>>>,
    from: Lsn,
    /// The timeline of the server.
    timeline: u32,
    /// How far the reader was told.
    told: Lsn,
    receiving: Receiving,
    pending: Vec<Pending>,
    pending_bytes: usize,
}

impl Assembler {
    pub(super) fn new(pool: Pool, tables: Vec<ReadTable>, from: Lsn, timeline: u32) -> Self {
        Self {
            pool,
            tables,
            logged: HashMap::new(),
            from,
            timeline,
            told: from,
            receiving: Receiving::Nothing,
            pending: Vec::new(),
            pending_bytes: 0,
        }
    }

    /// Whether a batch should be handed on before more is received.
    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= BATCH_CHANGES || self.pending_bytes >= BATCH_BYTES
    }

    /// Takes a message of the stream, of so many bytes.
    ///
    /// `is_binary` says in which form the stream sends values.
    pub(super) async fn take(
        &mut self,
        message: Message,
        bytes: usize,
        is_binary: bool,
        events: &mut Vec<LogEvent>,
    ) -> Result<Taken> {
        match message {
            Message::Begin(begin) => self.begin(begin),
            Message::Origin(origin) => {
                if let Receiving::Silent(transaction) = &mut self.receiving {
                    transaction.origin = Some(origin.name);
                }
            }
            Message::Relation(relation) => return self.describe(&relation, is_binary).await,
            Message::Insert(insert) => {
                if let Some(logged) = self.wanted(insert.relation.oid)? {
                    self.push(logged.insert(&insert)?, logged, bytes, events);
                }
            }
            Message::Update(update) => {
                if let Some(logged) = self.wanted(update.relation.oid)? {
                    self.push(logged.update(&update)?, logged, bytes, events);
                }
            }
            Message::Delete(delete) => {
                if let Some(logged) = self.wanted(delete.relation.oid)? {
                    self.push(logged.delete(&delete)?, logged, bytes, events);
                }
            }
            Message::Truncate(truncate) => {
                for relation in truncate.relations {
                    if let Some(logged) = self.wanted(relation.oid)? {
                        self.push(Operation::Truncate, logged, 0, events);
                    }
                }
            }
            Message::Logical(message) => self.message(message, events).await?,
            Message::Commit(commit) => self.commit(commit, events).await?,
            Message::Type(_) => {}
            Message::StreamStart(_)
            | Message::StreamStop
            | Message::StreamCommit(_)
            | Message::StreamAbort(_) => {
                return Err(Error::new(
                    ErrorKind::Internal,
                    "the server sent a transaction before its commit",
                ));
            }
        }
        Ok(Taken::Done)
    }

    /// Hands on what was received of the transaction.
    pub(super) async fn flush(&mut self, events: &mut Vec<LogEvent>) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        complete(&self.pool, &mut self.pending).await?;
        self.pending_bytes = 0;
        events.push(LogEvent::Changes(self.pending.drain(..).map(|pending| pending.change).collect()));
        Ok(())
    }

    /// The server has come so far. Within a transaction that says nothing.
    pub(super) fn keepalive(&mut self, keepalive: Keepalive, events: &mut Vec<LogEvent>) {
        if matches!(self.receiving, Receiving::Nothing) {
            self.idle(keepalive.wal_end, events);
        }
    }

    fn idle(&mut self, lsn: Lsn, events: &mut Vec<LogEvent>) {
        if lsn > self.told {
            self.told = lsn;
            events.push(LogEvent::Idle(position_on(self.timeline, lsn)));
        }
    }

    fn begin(&mut self, begin: Begin) {
        // A position is where a transaction ends, so that one whose commit begins before it was seen.
        if begin.final_lsn < self.from {
            self.receiving = Receiving::Seen;
            return;
        }
        // Within the record of the commit: behind the views that do not show it, and before those that do.
        let position = position_on(self.timeline, Lsn::from(u64::from(begin.final_lsn).saturating_add(1)));
        self.receiving = Receiving::Silent(LoggedTransaction {
            position,
            committed_at: Timestamp(begin.commit_time.unix_micros()),
            id: begin.xid.to_string(),
            origin: None,
        });
    }

    async fn commit(&mut self, commit: Commit, events: &mut Vec<LogEvent>) -> Result<()> {
        self.flush(events).await?;
        match std::mem::replace(&mut self.receiving, Receiving::Nothing) {
            Receiving::Told => {
                self.told = self.told.max(commit.end_lsn);
                events.push(LogEvent::Commit(position_on(self.timeline, commit.end_lsn)));
            }
            Receiving::Silent(_) => self.idle(commit.end_lsn, events),
            Receiving::Seen | Receiving::Nothing => {}
        }
        Ok(())
    }

    async fn message(&mut self, message: LogicalMessage, events: &mut Vec<LogEvent>) -> Result<()> {
        let is_seen = message.transactional && matches!(self.receiving, Receiving::Seen);
        if message.prefix == OWN_MESSAGE_PREFIX || is_seen {
            return Ok(());
        }
        self.flush(events).await?;
        if message.transactional {
            self.tell_begin(events);
        }
        events.push(LogEvent::Message { prefix: message.prefix, content: message.content.to_vec() });
        Ok(())
    }

    /// The table that a change is about; `None` if the reader does not want it, or has seen it.
    fn wanted(&self, oid: u32) -> Result<Option<Arc<LoggedTable>>> {
        match (&self.receiving, self.logged.get(&oid)) {
            (Receiving::Seen, _) => Ok(None),
            (_, Some(logged)) => Ok(logged.clone()),
            (_, None) => {
                Err(Error::new(ErrorKind::Internal, "a change came of a table that was not described"))
            }
        }
    }

    fn push(
        &mut self,
        operation: Operation,
        logged: Arc<LoggedTable>,
        bytes: usize,
        events: &mut Vec<LogEvent>,
    ) {
        self.tell_begin(events);
        let change = Change { table: Arc::clone(&logged.table), operation };
        self.pending.push(Pending { change, logged });
        self.pending_bytes += bytes;
    }

    fn tell_begin(&mut self, events: &mut Vec<LogEvent>) {
        if let Receiving::Silent(_) = self.receiving
            && let Receiving::Silent(transaction) = std::mem::replace(&mut self.receiving, Receiving::Told)
        {
            events.push(LogEvent::Begin(transaction));
        }
    }

    /// Notes how the rows of a table come from now on.
    async fn describe(&mut self, relation: &Relation, is_binary: bool) -> Result<Taken> {
        let by_name = |read: &ReadTable| read.schema == relation.namespace && read.relation == relation.name;
        let found = self.tables.iter().position(|read| read.oid == relation.oid);
        let Some(position) = found.or_else(|| self.tables.iter().position(by_name)) else {
            self.logged.insert(relation.oid, None);
            return Ok(Taken::Done);
        };
        let Some(read) = self.tables.get_mut(position) else { return Ok(Taken::Done) };
        let mut connection = self.pool.get().await?;
        let logged = LoggedTable::of(&mut connection, relation, &read.table).await?;
        if is_binary && !logged.has_binary_form() {
            return Ok(Taken::NeedsText);
        }
        read.table = Arc::clone(&logged.table);
        self.logged.insert(relation.oid, Some(Arc::new(logged)));
        Ok(Taken::Done)
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Done,
    /// A table has a column whose binary form is not decoded here, so that the stream must be begun anew with text.
    NeedsText,
}
