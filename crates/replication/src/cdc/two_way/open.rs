//! Opening an exchange: the leases, the tables and the logs of both sides, and how far both have come.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use data::Timestamp;
use tokio::time::Instant;

use super::super::checkpoint::{Checkpoint, Phase};
use super::super::control_tables::ControlTables;
use super::super::dead_letter::Letters;
use super::super::event::RunState;
use super::super::history::History;
use super::super::identity::{Purpose, reader_name};
use super::super::lease::Lease;
use super::super::run::{Opening, log_of};
use super::super::runner::{Heads, log_kind};
use super::super::shared::Shared;
use super::super::stream::Ended;
use super::begin::{Begun, Closed, Stored, begin, of, store};
use super::removal::remove_versions;
use super::side::{Side, Which};
use super::{Exchange, record, version};
use crate::bidirectional::{Column, Pair};
use crate::error::{Error, Result};
use crate::rule::{Mode, Rule};
use crate::snapshot::{CollectionPlan, End, ProgressListener, parents_first, resolve_both};
use crate::stats::CollectionStats;

/// How often it is looked whether another process has ended that writes to the source.
const LEASE_ASKED: Duration = Duration::from_millis(300);

/// Runs a bidirectional rule whose lease at the target is held, up to where both logs stand now if the source's is given.
pub(in crate::cdc) async fn exchange(opening: Opening, owner: &str, heads: Option<&Heads>) -> Result<Ended> {
    let Opening { rule, source, target, kind, name, control, lease, shared, listener, is_resync } = opening;
    let in_rule = || Error::database_in(format!("rule \"{}\"", rule.name));
    let back_kind = log_kind(&rule, &target)?;
    let until = heads.and_then(|heads| Some([heads.source.clone(), heads.target.clone()?]));
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
        let mut stored = Stored::read(&rule, &source, &target).await?;
        if stored.breach().is_some() {
            // Whoever had the rule before may have written between both looks.
            stored = Stored::read(&rule, &source, &target).await?;
        }
        if let Some(reason) = stored.breach() {
            if !is_resync {
                return Err(Error::LogLost { rule: rule.name.clone(), reason });
            }
            // What is missing by now was not deleted: both sides are united as if they had never agreed on a row.
            for side in [&source, &target] {
                remove_versions(&side.end, &name).await.map_err(in_rule())?;
            }
        }
        let Stored { checkpoints: [stored_forth, stored_back], courses } = stored;
        let [history, back_history] = History::begin([&of(&stored_forth), &of(&stored_back)], courses);
        let (forth, back) = ((stored_forth, history), (stored_back, back_history));
        let mut forth = begin(&rule, Which::Source, &source, &target, &pairs, forth, is_resync).await?;
        let mut back = begin(&rule, Which::Target, &target, &source, &pairs, back, is_resync).await?;
        let is_new = forth.is_new || back.is_new;
        let known = |table: &str| forth.stored.as_ref().is_some_and(|found| found.tables.contains_key(table));
        let former: Vec<Option<Vec<String>>> =
            pairs.iter().map(|pair| former_columns(pair, [&forth, &back])).collect();
        let new: Vec<usize> = (0..pairs.len())
            .filter(|index| {
                let table = pairs.get(*index).map(|pair| pair.to_target.mapping.source.name.as_str());
                is_new || !table.is_some_and(known) || former.get(*index).is_some_and(Option::is_some)
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
            former,
            name,
            changes: 0,
            transactions: 0,
            told_at: Instant::now(),
            committed_at: Timestamp::now(),
            unheld: Vec::new(),
            seen: [0; 2],
            is_marked: [false; 2],
        };
        if !new.is_empty() {
            exchange.shared.enter(RunState::Copying, None);
            for index in new {
                exchange.settle_all(index, [None, None], listener.clone()).await?;
            }
            exchange.former.clear();
            exchange.finish_first().await?;
        }
        let positions = log_of(&exchange.source.end, exchange.source.kind)?.position_form();
        exchange.shared.reads_as(&exchange.source.reader.name, positions);
        exchange.shared.reach(&exchange.source.checkpoint.position);
        exchange.shared.reach_back(&exchange.target.checkpoint.position);
        Ok(exchange)
    }

    /// From here on the checkpoints stand for everything up to their positions, with the columns of now.
    async fn finish_first(&mut self) -> Result<()> {
        for keeper in Which::BOTH {
            let mut transaction = self.begin_fenced(keeper).await?;
            let next = Checkpoint { phase: Phase::Stream, ..self.marked(keeper) };
            let table = &self.side(keeper).control.checkpoint;
            next.store(transaction.as_mut(), table).await.map_err(self.in_rule())?;
            transaction.commit().await.map_err(self.in_rule())?;
            self.keep(keeper, next);
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

/// The columns, by their names at the source, that a collection had on both sides when they were exchanged last; none if it has
/// the same ones now. Of documents it is not known.
fn former_columns(pair: &Pair, begun: [&Begun; 2]) -> Option<Vec<String>> {
    let mut has_changed = false;
    let mut names: Vec<String> = pair.columns.iter().map(|column| column.name.clone()).collect();
    for (which, begun) in Which::BOTH.into_iter().zip(begun) {
        let read = which.read_table(pair);
        if which.end(pair).is_schemaless() {
            continue;
        }
        let known = begun.stored.as_ref()?.tables.get(&read.name)?;
        let now = begun.checkpoint.tables.get(&read.name)?;
        has_changed |= known.len() != now.len() || !now.iter().all(|column| known.contains(column));
        let was_there = |position: usize| {
            let name = read.columns.get(position).map(|column| column.name.as_str());
            now.iter().any(|column| name == Some(column.name()) && known.contains(column))
        };
        let at = |column: &Column| if which == Which::Source { column.at_source } else { column.at_target };
        names.retain(|name| pair.columns.iter().any(|column| column.name == *name && was_there(at(column))));
    }
    has_changed.then_some(names)
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
        touched_letter: None,
        has_touched_letters: false,
        checkpoint: begun.checkpoint,
    })
}
