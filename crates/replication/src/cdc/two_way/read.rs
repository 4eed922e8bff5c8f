//! Reading the logs of both sides: the keys that are to be settled for what they tell.

use std::sync::Arc;
use std::time::Duration;

use data::Timestamp;
use data::log::{LogEvent, LoggedTransaction, Operation, Position};
use data::table::Table;
use tokio::time::{Instant, sleep};

use super::super::pump::{BYTES_AHEAD, Pump};
use super::super::schema_change::same_columns;
use super::Exchange;
use super::dirty::{Dirty, keys_of};
use super::full::KEYS_AT_ONCE;
use super::side::{Side, Which};
use crate::error::{Error, Result};

/// How long more events are waited for; they are often on their way.
const LINGER: Duration = Duration::from_millis(1);
/// How long events are taken while more are there.
const LONGEST: Duration = Duration::from_millis(50);

/// The log of a side being read.
pub(super) struct Flow {
    pub(super) pump: Pump,
    /// The transaction whose end has not been read.
    pub(super) open: Option<LoggedTransaction>,
    /// The names of the transactions that were read since keys were settled last.
    pub(super) read: Vec<String>,
    /// Up to where it was read, and when that was committed.
    pub(super) seen: Position,
    pub(super) seen_at: Timestamp,
    /// Up to where every key is settled.
    pub(super) settled: Position,
    /// Whether the log has told of changes since its position was stored.
    pub(super) has_news: bool,
    /// Tables that were found to be as they are described, although they were logged otherwise.
    passed: Vec<Arc<Table>>,
}

impl Flow {
    pub(super) async fn start(side: &Side) -> Result<Self> {
        let position = side.checkpoint.position.clone();
        let stream = side.log()?.stream(&side.reader, &position).await;
        Ok(Self {
            pump: Pump::start(stream.map_err(Error::database_in("log"))?, BYTES_AHEAD),
            open: None,
            read: Vec::new(),
            seen: position.clone(),
            seen_at: side.checkpoint.committed_at,
            settled: position,
            has_news: false,
            passed: Vec::new(),
        })
    }
}

/// The log of a side.
pub(super) fn flow_of(flows: &mut [Flow; 2], which: Which) -> &mut Flow {
    let [source, target] = flows;
    match which {
        Which::Source => source,
        Which::Target => target,
    }
}

impl Exchange {
    /// Takes what both logs have told already.
    pub(super) async fn take_more(&mut self, flows: &mut [Flow; 2], dirty: &mut Dirty) -> Result<()> {
        let mut lingers = true;
        let begun = Instant::now();
        // Rows that are written again and again would be waited for without end.
        while dirty.len() < KEYS_AT_ONCE && begun.elapsed() < LONGEST {
            let mut found = false;
            for which in Which::BOTH {
                let next = flow_of(flows, which).pump.next_ready();
                if let Some(event) = next {
                    found = true;
                    self.take(flows, dirty, which, event.map_err(self.in_rule())?).await?;
                }
            }
            if !found && !std::mem::take(&mut lingers) {
                break;
            }
            if !found {
                sleep(LINGER).await;
            }
        }
        Ok(())
    }

    /// Takes an event of a log.
    pub(super) async fn take(
        &mut self,
        flows: &mut [Flow; 2],
        dirty: &mut Dirty,
        which: Which,
        event: LogEvent,
    ) -> Result<()> {
        let flow = flow_of(flows, which);
        match event {
            LogEvent::Begin(transaction) => {
                flow.read.push(transaction.id.clone());
                self.committed_at = transaction.committed_at;
                flow.seen_at = transaction.committed_at;
                flow.open = Some(transaction);
                flow.has_news = true;
            }
            LogEvent::Changes(changes) => {
                let at = flow.open.as_ref().map_or(Timestamp(0), |open| open.committed_at);
                for change in changes {
                    self.check_columns(flow_of(flows, which), which, &change.table).await?;
                    if change.operation == Operation::Truncate {
                        self.settle_read(flows, dirty).await?;
                        self.emptied(which, &change.table, at).await?;
                        continue;
                    }
                    self.touch(dirty, which, &change.table, change.operation, at)?;
                }
            }
            LogEvent::Commit(position) => {
                flow.open = None;
                flow.seen = position;
                self.transactions += 1;
            }
            LogEvent::Idle(position) => flow.seen = position,
            LogEvent::Message { .. } => {}
        }
        Ok(())
    }

    /// Has the keys of a change settled.
    fn touch(
        &mut self,
        dirty: &mut Dirty,
        which: Which,
        table: &Table,
        operation: Operation,
        at: Timestamp,
    ) -> Result<()> {
        let keys = keys_of(table, operation);
        let of_table = |(index, pair)| (which.read_table(pair).name == table.name).then_some(index);
        let concerned: Vec<usize> = self.pairs.iter().enumerate().filter_map(of_table).collect();
        for index in concerned {
            for (key, is_gone) in &keys {
                let Some(pair) = self.pairs.get(index) else { continue };
                if !dirty.touch(index, pair, which, key.clone(), is_gone.then_some(at)) {
                    self.cannot_be_held(index, which, key.clone(), *is_gone)?;
                }
            }
        }
        Ok(())
    }

    /// A side has lost all rows of a table.
    async fn emptied(&mut self, which: Which, table: &Table, at: Timestamp) -> Result<()> {
        let emptied_at = match which {
            Which::Source => [Some(at), None],
            Which::Target => [None, Some(at)],
        };
        for index in 0..self.pairs.len() {
            let Some(pair) = self.pairs.get(index) else { continue };
            if which.read_table(pair).name == table.name {
                // Keys that the other side cannot hold are told of by the log alone, and now all of them are gone.
                let collection = pair.to_target.label.clone();
                self.forget_letters(which.other(), &collection).await?;
                self.settle_all(index, emptied_at, None).await?;
            }
        }
        Ok(())
    }

    /// Has the rule begin anew if a table is no longer what it was when both sides were compared.
    async fn check_columns(&self, flow: &mut Flow, which: Which, logged: &Arc<Table>) -> Result<()> {
        let side = self.side(which);
        let Some(known) = side.reader.tables.iter().find(|known| known.name == logged.name) else {
            return Ok(());
        };
        let is_passed = |table: &Arc<Table>| Arc::ptr_eq(table, logged);
        if is_passed(known) || flow.passed.iter().any(is_passed) {
            return Ok(());
        }
        if !side.end.is_schemaless() && !same_columns(known, logged) {
            let live = side.end.tables().map_err(self.in_rule())?.describe(&logged.name).await;
            if live.map_err(self.in_rule())?.is_some_and(|live| !same_columns(&live, known)) {
                return Err(Error::Retry(format!("the columns of table \"{}\" have changed", logged.name)));
            }
        }
        flow.passed.push(Arc::clone(logged));
        Ok(())
    }
}
