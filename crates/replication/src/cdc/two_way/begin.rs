//! Opening the log of one side of an exchange, from what both sides keep of earlier runs.

use std::sync::Arc;

use data::Timestamp;
use data::log::{LogKind, LogReader, LogStatus, OpenedLog};
use data::table::Table;

use super::super::checkpoint::{Checkpoint, Phase};
use super::super::control_tables::ControlTables;
use super::super::history::History;
use super::super::lease::Lease;
use super::super::provenance::OwnRows;
use super::super::run::log_of;
use super::super::schema_change::columns_of;
use super::side::Which;
use crate::bidirectional::Pair;
use crate::error::{Error, Result};
use crate::rule::Rule;
use crate::snapshot::End;

/// A side before its log is opened.
pub(super) struct Closed {
    pub(super) end: End,
    pub(super) kind: LogKind,
    /// The name of the reader of its log.
    pub(super) name: String,
    pub(super) control: Arc<ControlTables>,
    pub(super) lease: Arc<Lease>,
}

/// The log of a side, opened.
pub(super) struct Begun {
    pub(super) reader: LogReader,
    /// The checkpoint as it was found.
    pub(super) stored: Option<Checkpoint>,
    /// As it is to be.
    pub(super) checkpoint: Checkpoint,
    /// Whether every key is to be settled first.
    pub(super) is_new: bool,
}

/// Opens the log of a side, whose checkpoint the other one keeps.
pub(super) async fn begin(
    rule: &Rule,
    which: Which,
    opened: &Closed,
    keeper: &Closed,
    pairs: &[Pair],
    (stored, history): (Option<Checkpoint>, History),
    is_resync: bool,
) -> Result<Begun> {
    let in_rule = || Error::database_in(format!("rule \"{}\"", rule.name));
    let reader = reader_of(which, opened, pairs).await.map_err(in_rule())?;
    let log = log_of(&opened.end, opened.kind)?;
    let mut usable = stored.clone();
    match log.status(&opened.name).await.map_err(in_rule())? {
        None if usable.is_some() && !is_resync => {
            // What was deleted meanwhile is not to be taken for granted before somebody has looked.
            let reason = format!(
                "the log of the {} is gone; resync goes on from what both sides last agreed on, so that what one of them lacks \
                 counts as deleted there",
                which.winner().name()
            );
            return Err(Error::LogLost { rule: rule.name.clone(), reason });
        }
        // A checkpoint without a log is of no use.
        None => usable = None,
        Some(LogStatus { lost: Some(reason), .. }) if usable.is_some() => {
            return Err(Error::LogLost { rule: rule.name.clone(), reason });
        }
        Some(_) => {}
    }
    let mut open = log.open(&reader).await.map_err(in_rule())?;
    if usable.is_none() && matches!(open, OpenedLog::Existing { .. }) {
        // What it has kept begins nobody knows where.
        log.remove(&reader.name).await.map_err(in_rule())?;
        open = log.open(&reader).await.map_err(in_rule())?;
    }
    let (position, is_new) = match (open, &usable) {
        // The view is not read: what is settled first is told by the log if it changes meanwhile.
        (OpenedLog::Created(view), _) => (view.position, true),
        (OpenedLog::Existing { .. }, Some(found)) => (found.position.clone(), found.phase == Phase::Copy),
        (OpenedLog::Existing { .. }, None) => {
            return Err(Error::Task(format!("the log of \"{}\" was not made anew", reader.name)));
        }
    };
    let checkpoint = Checkpoint {
        reader: opened.name.clone(),
        rule: rule.name.clone(),
        phase: Phase::Copy,
        tables: reader.tables.iter().map(|table| (table.name.clone(), columns_of(table))).collect(),
        position,
        ordinal: 0,
        from: usable.as_ref().map_or(0, |found| found.from),
        epoch: keeper.lease.epoch(),
        committed_at: usable.as_ref().map_or(Timestamp(0), |found| found.committed_at),
        applied_at: Timestamp::now(),
        own_rows: OwnRows::new(),
        history,
        lineage: None,
    };
    Ok(Begun { reader, stored, checkpoint, is_new })
}

/// What both sides keep of earlier runs, and the courses that their servers are on.
pub(super) struct Stored {
    pub(super) checkpoints: [Option<Checkpoint>; 2],
    pub(super) courses: [Option<String>; 2],
}

impl Stored {
    pub(super) async fn read(rule: &Rule, source: &Closed, target: &Closed) -> Result<Self> {
        let in_rule = || Error::database_in(format!("rule \"{}\"", rule.name));
        let forth = stored_checkpoint(target, &source.name).await.map_err(in_rule())?;
        let back = stored_checkpoint(source, &target.name).await.map_err(in_rule())?;
        let courses = [
            log_of(&source.end, source.kind)?.course().await.map_err(in_rule())?,
            log_of(&target.end, target.kind)?.course().await.map_err(in_rule())?,
        ];
        Ok(Self { checkpoints: [forth, back], courses })
    }

    /// By what a side shows that it may have lost what was committed there.
    pub(super) fn breach(&self) -> Option<String> {
        let [forth, back] = self.checkpoints.each_ref().map(of);
        let [source_course, target_course] = &self.courses;
        let lost = |side: &str, why: &str| {
            format!(
                "the {side} {why}; resync unites both sides: what only one of them has comes to the other, and nothing is deleted"
            )
        };
        let restored = "lacks what it had when both sides were exchanged last, as after a restore";
        let promoted = "is on another timeline than when both sides were exchanged last, as after a failover or a restore";
        // The target keeps the checkpoint of the source's log, and the source that of the target's.
        if forth.has_gone_back(&back) {
            Some(lost("target", restored))
        } else if back.has_gone_back(&forth) {
            Some(lost("source", restored))
        } else if forth.has_left(source_course.as_ref()) {
            Some(lost("source", promoted))
        } else if back.has_left(target_course.as_ref()) {
            Some(lost("target", promoted))
        } else {
            None
        }
    }
}

pub(super) fn of(checkpoint: &Option<Checkpoint>) -> History {
    checkpoint.as_ref().map(|found| found.history.clone()).unwrap_or_default()
}

/// What is read of the log of a side.
async fn reader_of(which: Which, opened: &Closed, pairs: &[Pair]) -> data::Result<LogReader> {
    let mut tables: Vec<Arc<Table>> = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let read = which.read_table(pair);
        if tables.iter().any(|known| known.name == read.name) {
            continue;
        }
        // The log of a SQL database tells rows as its catalogue describes them.
        let described = match opened.end.is_schemaless() {
            true => None,
            false => opened.end.tables()?.describe(&read.name).await?,
        };
        tables.push(described.map_or_else(|| Arc::clone(read), Arc::new));
    }
    Ok(LogReader { name: opened.name.clone(), tables })
}

async fn stored_checkpoint(keeper: &Closed, reader: &str) -> data::Result<Option<Checkpoint>> {
    let mut transaction = keeper.end.tables()?.begin().await?;
    let found = Checkpoint::load(transaction.as_mut(), &keeper.control.checkpoint, reader).await?;
    transaction.rollback().await?;
    Ok(found)
}

/// Enters this holder of the leases into a checkpoint. Until every row is compared, it tells of the columns with which both sides
/// agreed last.
pub(super) async fn store(rule: &Rule, keeper: &Closed, begun: &Begun) -> Result<()> {
    let in_rule = || Error::database_in(format!("rule \"{}\"", rule.name));
    let table = &keeper.control.checkpoint;
    let mut transaction = keeper.lease.begin().await.map_err(in_rule())?;
    let found = Checkpoint::load(transaction.as_mut(), table, &begun.reader.name).await;
    if found.map_err(in_rule())? != begun.stored {
        // The holder before has settled something since it was read.
        return Err(Error::LeaseLost(rule.name.clone()));
    }
    let agreed = begun.stored.as_ref().filter(|_| begun.checkpoint.phase == Phase::Copy);
    let tables = agreed.map_or(&begun.checkpoint.tables, |stored| &stored.tables).clone();
    let beginning = Checkpoint { tables, ..begun.checkpoint.clone() };
    beginning.store(transaction.as_mut(), table).await.map_err(in_rule())?;
    transaction.commit().await.map_err(in_rule())
}
