//! Events put together to transactions.

use std::collections::HashMap;
use std::sync::Arc;

use mysql_async::binlog::events::Event;

use super::super::pool::Pool;
use super::bytes::{Bytes, malformed};
use super::event::{self, GroupHead, Query, Rows, RowsForm, kinds};
use super::mapped_table::{MappedTable, ReadTable};
use super::place::{Gtid, Place};
use super::statement::{NamedTable, Statement, parse};
use super::succession::fingerprint;
use super::table_map::TableMap;
use crate::error::{Error, ErrorKind, Result};
use crate::log::change_table::{EVENT_BYTES, EVENT_CHANGES};
use crate::log::{Change, LogEvent, LogReader, LoggedTransaction, Operation, Position};
use crate::table::Table;
use crate::value::Timestamp;

/// Puts events together, as they come from the server.
pub(super) struct Assembler {
    pool: Pool,
    tables: HashMap<String, ReadTable>,
    /// The tables by the numbers that the log has for them; `None` for those that the reader does not read.
    maps: HashMap<u64, Option<Arc<MappedTable>>>,
    /// Behind the last whole transaction.
    place: Place,
    open: Option<Group>,
    changes: Vec<Change>,
    bytes: usize,
}

/// A transaction of which more is to come.
struct Group {
    gtid: Gtid,
    /// By what another server's transaction of the same number is told from it.
    fingerprint: Option<u32>,
    transaction: LoggedTransaction,
    /// Whether the reader knows of it.
    is_told: bool,
    /// Whether it lasts until its COMMIT, and not only for one statement.
    has_begun: bool,
}

impl Assembler {
    pub(super) fn new(pool: Pool, reader: &LogReader, place: Place) -> Self {
        let tables = reader.tables.iter().map(|known| (known.name.clone(), ReadTable::new(known)));
        let tables = tables.collect();
        Self { pool, tables, maps: HashMap::new(), place, open: None, changes: Vec::new(), bytes: 0 }
    }

    /// Notes the columns that the tables have now.
    pub(super) async fn look_ahead(&mut self) -> Result<()> {
        for table in self.tables.values_mut() {
            table.look_ahead(&self.pool).await?;
        }
        Ok(())
    }

    /// The position behind the last whole transaction, if none is open.
    pub(super) fn idle(&self) -> Option<Position> {
        self.open.is_none().then(|| self.place.position())
    }

    /// Takes an event.
    pub(super) async fn take(&mut self, event: &Event, out: &mut Vec<LogEvent>) -> Result<()> {
        let header = event.header();
        let (kind, body, end) = (header.event_type_raw(), event.data(), u64::from(header.log_pos()));
        if let Some(open) = self.open.as_mut().filter(|open| open.fingerprint.is_none()) {
            open.fingerprint = fingerprint(event)?;
        }
        if let Some(form) = RowsForm::of(kind) {
            return self.rows(body, form, out);
        }
        match kind {
            kinds::TABLE_MAP => self.map(body).await,
            kinds::MARIADB_GTID => {
                self.begin(event::mariadb_gtid(body, header.server_id())?, header.timestamp(), end)
            }
            kinds::GTID | kinds::ANONYMOUS_GTID => {
                let head = event::mysql_gtid(body, kind == kinds::ANONYMOUS_GTID)?;
                self.begin(head, header.timestamp(), end)
            }
            kinds::TAGGED_GTID => self.begin(tagged_gtid(event)?, header.timestamp(), end),
            kinds::QUERY | kinds::MARIADB_COMPRESSED_QUERY => {
                let query = event::query(body, kind == kinds::MARIADB_COMPRESSED_QUERY, 0)?;
                self.statement(&query, header.timestamp(), end, out)
            }
            kinds::EXECUTE_LOAD_QUERY => {
                /// What stands there about the file.
                const ABOUT_FILE: usize = 13;
                self.statement(&event::query(body, false, ABOUT_FILE)?, header.timestamp(), end, out)
            }
            kinds::XID => {
                self.end(end, out);
                Ok(())
            }
            kinds::XA_PREPARE => self.end_prepared(end, out),
            kinds::ROTATE => {
                let mut bytes = Bytes(body);
                let offset = bytes.little_endian(8)?;
                self.place.rotate(&String::from_utf8_lossy(bytes.0), offset);
                self.maps.clear();
                Ok(())
            }
            // A file begins, and no transaction goes on in another one.
            kinds::FORMAT_DESCRIPTION => {
                self.maps.clear();
                self.break_off()
            }
            kinds::INCIDENT => Err(lost("the server has lost events of its log")),
            // The events in it come one by one afterwards, unless it cannot be unpacked.
            kinds::TRANSACTION_PAYLOAD => {
                let payload = event.read_event::<mysql_async::binlog::events::TransactionPayloadEvent<'_>>();
                payload.map(drop).map_err(|_| malformed())
            }
            _ => Ok(()),
        }
    }

    /// Forgets a transaction that has no end: it was broken off by the death of the server, and was not committed.
    fn break_off(&mut self) -> Result<()> {
        if self.open.take().is_some_and(|open| open.is_told) {
            return Err(lost("the server has broken off a transaction of which a part was told"));
        }
        self.changes.clear();
        self.bytes = 0;
        Ok(())
    }

    fn begin(&mut self, head: GroupHead, seconds: u32, end: u64) -> Result<()> {
        self.break_off()?;
        let micros = head.committed_at.unwrap_or(i64::from(seconds) * 1_000_000);
        let order = self.order_of(&head.gtid, end);
        let id = match &head.gtid {
            Gtid::Anonymous => order.to_string(),
            gtid => gtid.to_string(),
        };
        self.open = Some(Group {
            gtid: head.gtid,
            fingerprint: None,
            transaction: LoggedTransaction {
                position: Position::at(order),
                committed_at: Timestamp(micros),
                id,
                origin: None,
            },
            is_told: false,
            has_begun: head.has_begun && !head.is_standalone,
        });
        Ok(())
    }

    /// Whether the open transaction has changed anything.
    fn has_changes(&self) -> bool {
        !self.changes.is_empty() || self.open.as_ref().is_some_and(|open| open.is_told)
    }

    /// An order behind the last transaction, and not behind the end of this one.
    fn order_of(&self, gtid: &Gtid, end: u64) -> u64 {
        let mut place = self.place.clone();
        place.pass(gtid, end, None);
        place.order()
    }

    /// Ends the open transaction.
    fn end(&mut self, end: u64, out: &mut Vec<LogEvent>) {
        self.flush(out);
        let Some(group) = self.open.take() else { return };
        self.place.pass(&group.gtid, end, group.fingerprint);
        if group.is_told {
            out.push(LogEvent::Commit(self.place.position()));
        }
    }

    /// Ends a transaction that is only prepared. What it has changed is not known to be committed.
    fn end_prepared(&mut self, end: u64, out: &mut Vec<LogEvent>) -> Result<()> {
        if self.has_changes() {
            return Err(lost(
                "rows were changed in an XA transaction, whose end the log tells apart from its changes",
            ));
        }
        self.end(end, out);
        Ok(())
    }

    /// Hands on what was taken.
    fn flush(&mut self, out: &mut Vec<LogEvent>) {
        if !self.changes.is_empty() {
            if let Some(open) = self.open.as_mut().filter(|open| !open.is_told) {
                open.is_told = true;
                out.push(LogEvent::Begin(open.transaction.clone()));
            }
            out.push(LogEvent::Changes(std::mem::take(&mut self.changes)));
        }
        self.bytes = 0;
    }

    fn push(&mut self, table: &Arc<Table>, operation: Operation, bytes: usize, out: &mut Vec<LogEvent>) {
        self.changes.push(Change { table: Arc::clone(table), operation });
        self.bytes += bytes;
        if self.changes.len() >= EVENT_CHANGES || self.bytes >= EVENT_BYTES {
            self.flush(out);
        }
    }

    fn statement(&mut self, query: &Query, seconds: u32, end: u64, out: &mut Vec<LogEvent>) -> Result<()> {
        let parsed = parse(&query.sql);
        if self.open.is_none() {
            let head = GroupHead {
                gtid: Gtid::Anonymous,
                is_standalone: false,
                has_begun: false,
                committed_at: None,
            };
            self.begin(head, seconds, end)?;
        }
        let database = self.pool.database().to_owned();
        let own = |table: &NamedTable| table.schema.as_ref().unwrap_or(&query.schema) == &database;
        match &parsed.statement {
            Statement::Begin => {
                if let Some(open) = &mut self.open {
                    open.has_begun = true;
                }
            }
            Statement::Commit => self.end(end, out),
            Statement::Rollback => {
                if self.has_changes() {
                    return Err(lost(
                        "a transaction was rolled back after it had changed a table without transactions",
                    ));
                }
                self.end(end, out);
            }
            Statement::Rows if query.schema == database || parsed.mentions(&database) => {
                if let Some(name) = self.tables.keys().find(|name| parsed.mentions(name)) {
                    return Err(lost(&format!(
                        "a session has changed table \"{name}\" by a statement that the log does not tell row by row \
                         (binlog_format is not ROW there)"
                    )));
                }
            }
            Statement::Truncate(table) if own(table) => {
                if let Some(known) = self.tables.get(&table.name).map(ReadTable::told) {
                    self.push(&known, Operation::Truncate, 0, out);
                }
            }
            Statement::Drop(tables) => {
                for table in tables.iter().filter(|table| own(table)) {
                    self.note_gone(&table.name);
                }
            }
            Statement::DropDatabase(name) if *name == database => {
                self.tables.values_mut().for_each(|table| table.is_gone = true);
            }
            Statement::Rename(pairs) => {
                for (from, to) in pairs {
                    if own(to) && self.tables.contains_key(&to.name) {
                        return Err(lost(&format!("another table has taken the name of \"{}\"", to.name)));
                    }
                    if own(from) {
                        self.note_gone(&from.name);
                    }
                }
            }
            Statement::RollbackTo if self.has_changes() => {
                return Err(lost(
                    "a part of a transaction was undone after it had changed a table without transactions",
                ));
            }
            Statement::Create { table, replaces }
                if own(table)
                    && (self.is_gone(&table.name) || *replaces && self.tables.contains_key(&table.name)) =>
            {
                return Err(lost(&format!("table \"{}\" was dropped and made anew", table.name)));
            }
            _ => {}
        }
        for (_, table) in self.tables.iter_mut().filter(|(name, _)| parsed.mentions(name)) {
            table.is_stale = true;
            self.maps.clear();
        }
        if self.open.as_ref().is_some_and(|open| !open.has_begun) {
            self.end(end, out);
        }
        Ok(())
    }

    fn is_gone(&self, name: &str) -> bool {
        self.tables.get(name).is_some_and(|table| table.is_gone)
    }

    fn note_gone(&mut self, name: &str) {
        if let Some(table) = self.tables.get_mut(name) {
            table.is_gone = true;
        }
    }

    /// Notes how the rows of a table come from now on.
    async fn map(&mut self, body: &[u8]) -> Result<()> {
        let (id, schema, name) = TableMap::head(body)?;
        if self.maps.get(&id).is_some_and(|known| known.as_ref().is_some_and(|known| known.is_told_by(body)))
        {
            return Ok(());
        }
        let table = self.tables.get_mut(name).filter(|_| schema == self.pool.database());
        let Some(table) = table else {
            self.maps.insert(id, None);
            return Ok(());
        };
        let map = TableMap::parse(body)?;
        let layout = table.layout_of(&self.pool, &map).await?;
        self.maps.insert(id, Some(Arc::new(MappedTable::new(map, layout, body))));
        Ok(())
    }

    fn rows(&mut self, body: &[u8], form: RowsForm, out: &mut Vec<LogEvent>) -> Result<()> {
        let Some(mapped) = self.maps.get(&Rows::table(body)?) else {
            // The server tells nothing of tables that it does not send, such as at the end of a statement.
            return Ok(());
        };
        let Some(mapped) = mapped.clone() else { return Ok(()) };
        let table = &mapped.layout.table;
        let rows = Rows::parse(body, form)?;
        let unpacked = rows.unpacked()?;
        let mut bytes = Bytes(&unpacked);
        while !bytes.is_empty() {
            let before = bytes.0.len();
            let operation = mapped.operation(&rows, form, &mut bytes);
            let operation =
                operation.map_err(|error| error.in_context(format!("table \"{}\"", table.name)))?;
            let taken = before - bytes.0.len();
            if taken == 0 {
                return Err(malformed());
            }
            self.push(table, operation, taken, out);
        }
        Ok(())
    }
}

/// Reads a number of MySQL's that has a tag.
fn tagged_gtid(event: &Event) -> Result<GroupHead> {
    let gtid = event.read_event::<mysql_async::binlog::events::GtidEvent>().map_err(|_| malformed())?;
    let uuid = uuid::Uuid::from_bytes(gtid.sid()).hyphenated().to_string();
    let source = match gtid.tag() {
        Some(tag) => format!("{uuid}:{tag}"),
        None => uuid,
    };
    let moment = i64::try_from(gtid.immediate_commit_timestamp()).ok().filter(|micros| *micros > 0);
    Ok(GroupHead {
        gtid: Gtid::Mysql { source, number: gtid.gno() },
        is_standalone: false,
        has_begun: false,
        committed_at: moment,
    })
}

/// That the log does not tell what has happened.
pub(super) fn lost(reason: &str) -> Error {
    Error::new(ErrorKind::LogLost, format!("{reason}; the tables must be synchronised anew"))
}
