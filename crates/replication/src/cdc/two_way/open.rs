//! Opening an exchange: the leases, the tables and the logs of both sides, and how far both have come.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use data::Timestamp;
use data::log::{LogKind, LogReader, LogStatus, OpenedLog, Position};
use data::table::Table;
use tokio::time::Instant;

use super::super::checkpoint::{Checkpoint, Phase};
use super::super::control_tables::ControlTables;
use super::super::dead_letter::Letters;
use super::super::event::RunState;
use super::super::identity::{Purpose, reader_name};
use super::super::lease::Lease;
use super::super::run::{Opening, log_of};
use super::super::runner::log_kind;
use super::super::schema_change::columns_of;
use super::super::shared::Shared;
use super::super::stream::Ended;
use super::side::{Side, Which};
use super::{Exchange, record, version};
use crate::bidirectional::Pair;
use crate::error::{Error, Result};
use crate::rule::{Mode, Rule};
use crate::snapshot::{CollectionPlan, End, ProgressListener, parents_first, resolve_both};
use crate::stats::CollectionStats;

/// How often it is looked whether another process has ended that writes to the source.
const LEASE_ASKED: Duration = Duration::from_millis(300);

/// Runs a bidirectional rule whose lease at the target is held, up to where both logs stand now if the source's is given.
pub(in crate::cdc) async fn exchange(
    opening: Opening,
    owner: &str,
    head: Option<&Position>,
) -> Result<Ended> {
    let Opening { rule, source, target, kind, name, control, lease, shared, listener, is_resync } = opening;
    let in_rule = || Error::database_in(format!("rule \"{}\"", rule.name));
    let back_kind = log_kind(&rule, &target)?;
    let until = match head {
        Some(head) => Some([head.clone(), log_of(&target, back_kind)?.head().await.map_err(in_rule())?]),
        None => None,
    };
    let back = reader_name(&rule.name, &target, &source, Purpose::Apply).await.map_err(in_rule())?;
    if back == name {
        let problem = "both sides are the same database";
        return Err(Error::config(format!("rule \"{}\".target", rule.name), problem));
    }
    let source_control = ControlTables::create(source.tables().map_err(in_rule())?).await;
    let source_control = Arc::new(source_control.map_err(in_rule())?);
    let Some(source_lease) = lease_of(&rule, &source, &source_control, &back, owner, &shared).await? else {
        return Ok(Ended::Stopped);
    };
    let logs = [(source.clone(), kind, name.clone()), (target.clone(), back_kind, back.clone())];
    let ends = [
        Closed {
            end: source,
            kind,
            name: name.clone(),
            control: source_control,
            lease: Arc::clone(&source_lease),
        },
        Closed { end: target, kind: back_kind, name: back, control, lease },
    ];
    let outcome = async {
        let mut exchange = Exchange::open(rule, ends, name, Arc::clone(&shared), listener, is_resync).await?;
        exchange.run(until).await
    };
    let outcome = outcome.await;
    if let Err(Error::LogRetention { .. }) = &outcome {
        // The disks matter more than sides that can be compared anew.
        for (end, kind, reader) in &logs {
            log_of(end, *kind)?.remove(reader).await.map_err(Error::database_in("log"))?;
        }
    }
    if let Err(error) = source_lease.release().await {
        tracing::debug!("the lease at the source was not given back: {error}");
    }
    outcome
}

/// Waits for the right to write to the source; none if the run is to end.
async fn lease_of(
    rule: &Rule,
    source: &End,
    control: &ControlTables,
    name: &str,
    owner: &str,
    shared: &Shared,
) -> Result<Option<Arc<Lease>>> {
    loop {
        let taken = Lease::take(source, &control.lease, name, owner).await;
        if let Some(lease) = taken.map_err(Error::database_in(format!("rule \"{}\"", rule.name)))? {
            return Ok(Some(Arc::new(lease)));
        }
        shared.enter(RunState::Standby, None);
        tokio::select! {
            () = tokio::time::sleep(LEASE_ASKED) => {}
            () = shared.stopping() => return Ok(None),
        }
    }
}

/// A side before its log is opened.
struct Closed {
    end: End,
    kind: LogKind,
    /// The name of the reader of its log.
    name: String,
    control: Arc<ControlTables>,
    lease: Arc<Lease>,
}

/// The log of a side, opened.
struct Begun {
    reader: LogReader,
    /// The checkpoint as it was found.
    stored: Option<Checkpoint>,
    /// As it is to be.
    checkpoint: Checkpoint,
    /// Whether every key is to be settled first.
    is_new: bool,
}

impl Exchange {
    /// Opens both logs and exchanges what has never been.
    async fn open(
        rule: Rule,
        [source, target]: [Closed; 2],
        name: String,
        shared: Arc<Shared>,
        listener: Option<ProgressListener>,
        is_resync: bool,
    ) -> Result<Self> {
        let in_rule = || Error::database_in(format!("rule \"{}\"", rule.name));
        let pairs = pairs_of(&rule, &source.end, &target.end, &shared).await?;
        let mut forth = begin(&rule, Which::Source, &source, &target, &pairs, is_resync).await?;
        let mut back = begin(&rule, Which::Target, &target, &source, &pairs, is_resync).await?;
        let is_new = forth.is_new || back.is_new;
        let known = |table: &str| forth.stored.as_ref().is_some_and(|found| found.tables.contains_key(table));
        let new: Vec<usize> = (0..pairs.len())
            .filter(|index| {
                let table = pairs.get(*index).map(|pair| pair.to_target.mapping.source.name.as_str());
                is_new || !table.is_some_and(known)
            })
            .collect();
        for begun in [&mut forth, &mut back] {
            begun.checkpoint.phase = if new.is_empty() { Phase::Stream } else { Phase::Copy };
        }
        store(&rule, &target, &forth).await?;
        store(&rule, &source, &back).await?;
        let stats = pairs.iter().map(|pair| CollectionStats::new(&pair.to_target.label)).collect();
        let source = side(source, forth, &target.name).await.map_err(in_rule())?;
        let target = side(target, back, &source.reader.name).await.map_err(in_rule())?;
        let mut exchange = Self {
            rule,
            shared,
            source,
            target,
            pairs,
            stats,
            name,
            changes: 0,
            transactions: 0,
            told_at: Instant::now(),
            committed_at: Timestamp::now(),
        };
        if !new.is_empty() {
            exchange.shared.enter(RunState::Copying, None);
            for index in new {
                exchange.settle_all(index, [None, None], listener.clone()).await?;
            }
            exchange.finish_first().await?;
        }
        exchange.shared.reach(&exchange.source.checkpoint.position);
        exchange.shared.reach_back(&exchange.target.checkpoint.position);
        Ok(exchange)
    }

    /// From here on the checkpoints stand for everything up to their positions.
    async fn finish_first(&mut self) -> Result<()> {
        for which in Which::BOTH {
            let mut transaction = self.begin_fenced(which.other()).await?;
            let next = Checkpoint { phase: Phase::Stream, ..self.side(which).checkpoint.clone() };
            let table = &self.side(which.other()).control.checkpoint;
            next.advance(transaction.as_mut(), table).await.map_err(self.in_rule())?;
            transaction.commit().await.map_err(self.in_rule())?;
            self.side_mut(which).checkpoint = next;
        }
        Ok(())
    }
}

/// The collections of the rule, parents before children.
async fn pairs_of(rule: &Rule, source: &End, target: &End, shared: &Shared) -> Result<Vec<Pair>> {
    let in_rule = || Error::database_in(format!("rule \"{}\"", rule.name));
    // Changes of a junction are read from the log like those of any table, so that links need not travel with the rows.
    let planned = Rule { mode: Mode::Snapshot, ..rule.clone() };
    let mut plans = resolve_both(&planned, source, target).await.map_err(in_rule())?;
    plans.retain(|plan| !shared.leaves_out(&plan.source_table));
    let mut taken = HashSet::new();
    let mut pairs = Vec::with_capacity(plans.len());
    for plan in &plans {
        refuse_lists(rule, plan)?;
        let pair = Pair::prepare(rule, plan, source, target).await;
        let pair = pair.map_err(Error::database_in(format!("collection \"{}\"", plan.label)))?;
        if !taken.insert(pair.to_target.mapping.target_identity()) {
            let problem = format!("several of them are \"{}\" at the target", plan.target_table);
            return Err(Error::config(format!("rule \"{}\".collections", rule.name), problem));
        }
        pairs.push(pair);
    }
    Ok(parents_first(pairs, |pair| &pair.to_target.mapping))
}

/// Lists of documents are not made rows of a junction while they are captured.
fn refuse_lists(rule: &Rule, plan: &CollectionPlan) -> Result<()> {
    let Some(link) = plan.links.first() else { return Ok(()) };
    let problem = format!(
        "the lists of \"{}\" of \"{}\" cannot be streamed to and from a junction table; use sync without start",
        link.field, plan.label
    );
    Err(Error::config(format!("rule \"{}\".collections", rule.name), problem))
}

/// Opens the log of a side, whose checkpoint the other one keeps.
async fn begin(
    rule: &Rule,
    which: Which,
    opened: &Closed,
    keeper: &Closed,
    pairs: &[Pair],
    is_resync: bool,
) -> Result<Begun> {
    let in_rule = || Error::database_in(format!("rule \"{}\"", rule.name));
    let reader = reader_of(which, opened, pairs).await.map_err(in_rule())?;
    let stored = stored_checkpoint(keeper, &opened.name).await.map_err(in_rule())?;
    let log = log_of(&opened.end, opened.kind)?;
    let mut usable = stored.clone();
    match log.status(&opened.name).await.map_err(in_rule())? {
        None if usable.is_some() && !is_resync => {
            // What is missing at a side that was restored, or replaced by a standby that lagged behind, must not count as deleted.
            let reason = format!(
                "the log of the {} is gone; if nothing that was committed there is lost, resync goes on from what both sides last \
                 agreed on; otherwise remove the rule and add it again, which unites both sides",
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
    };
    Ok(Begun { reader, stored, checkpoint, is_new })
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

/// Enters this holder of the leases into a checkpoint.
async fn store(rule: &Rule, keeper: &Closed, begun: &Begun) -> Result<()> {
    let in_rule = || Error::database_in(format!("rule \"{}\"", rule.name));
    let table = &keeper.control.checkpoint;
    let mut transaction = keeper.lease.begin().await.map_err(in_rule())?;
    let found = Checkpoint::load(transaction.as_mut(), table, &begun.reader.name).await;
    if found.map_err(in_rule())? != begun.stored {
        // The holder before has settled something since it was read.
        return Err(Error::LeaseLost(rule.name.clone()));
    }
    begun.checkpoint.store(transaction.as_mut(), table).await.map_err(in_rule())?;
    transaction.commit().await.map_err(in_rule())
}

/// A side whose log is open; `writer` is the reader whose changes are written there.
async fn side(closed: Closed, begun: Begun, writer: &str) -> data::Result<Side> {
    let store = closed.end.tables()?;
    let versions = version::create_table(store).await?;
    let conflicts = record::create_table(store).await?;
    let letters = Letters::load(&closed.end, &closed.control.dead_letter, writer).await?;
    Ok(Side {
        end: closed.end,
        kind: closed.kind,
        reader: begun.reader,
        control: closed.control,
        versions,
        conflicts,
        lease: closed.lease,
        letters,
        checkpoint: begun.checkpoint,
    })
}
