//! A session: one attempt to run a rule, from opening its log to the error or the request that ends it.

use std::collections::HashSet;
use std::sync::Arc;

use data::Timestamp;
use data::log::{ChangeLog, LogKind, LogReader, LogSnapshot, LogStatus, OpenedLog, Position};

use super::checkpoint::{Checkpoint, Phase, checkpoints_of};
use super::chunk::{Chunk, load_chunks, remove_chunks};
use super::control_tables::ControlTables;
use super::dead_letter::Letters;
use super::event::RunState;
use super::first_sync::{CopyPlan, copy_chunks};
use super::history::History;
use super::lease::Lease;
use super::monitor::leave_out_keyless;
use super::pace::Pace;
use super::provenance::OwnRows;
use super::routes::Routes;
use super::schema_change::{KnownTables, columns_of, follow, follow_documents};
use super::shared::Shared;
use super::succession::Succession;
use super::watermark::Watermarks;
use crate::error::{Error, Result};
use crate::rule::Rule;
use crate::snapshot::{CollectionPlan, End, ProgressListener, names_everything, resolve};

/// How many rows a chunk of a first copy holds, about.
const ROWS_PER_CHUNK: u64 = 50_000;

/// A rule being run. Everything it needs was found or made when it was opened.
pub(super) struct Session {
    pub(super) rule: Rule,
    pub(super) source: End,
    pub(super) target: End,
    pub(super) kind: LogKind,
    pub(super) control: Arc<ControlTables>,
    pub(super) routes: Arc<Routes>,
    pub(super) reader: LogReader,
    pub(super) letters: Letters,
    pub(super) lease: Arc<Lease>,
    pub(super) checkpoint: Checkpoint,
    pub(super) chunks: Vec<Chunk>,
    pub(super) watermarks: Watermarks,
    /// The keys that the source held when its log was lost, or a table of it replaced, where that was kept.
    pub(super) own_rows_before: OwnRows,
    /// Whether a table stands in the place of another one of its name, of which rows may be left at the target.
    pub(super) has_replaced_tables: bool,
    pub(super) shared: Arc<Shared>,
    /// How long batches are added to.
    pub(super) pace: Pace,
    /// The tables that the source had when the rule was planned, if it is about all of them.
    pub(super) known_tables: Option<HashSet<String>>,
}

/// What is known before a session is opened.
pub(super) struct Opening {
    pub(super) rule: Rule,
    pub(super) source: End,
    pub(super) target: End,
    pub(super) kind: LogKind,
    /// The name of the reader.
    pub(super) name: String,
    pub(super) control: Arc<ControlTables>,
    pub(super) lease: Arc<Lease>,
    pub(super) shared: Arc<Shared>,
    pub(super) listener: Option<ProgressListener>,
    /// Whether the application has asked for everything to be compared anew.
    pub(super) is_resync: bool,
}

/// The log of a source.
pub(super) fn log_of(source: &End, kind: LogKind) -> Result<&dyn ChangeLog> {
    let tables = source.tables().map_err(Error::database_in("source"))?;
    tables.change_log(kind).ok_or_else(|| Error::Task("the source has lost its log".to_owned()))
}

impl Session {
    /// Opens the log, copies what is there already, and knows then from where to stream.
    pub(super) async fn open(opening: Opening) -> Result<Self> {
        let Opening { rule, source, target, kind, name, control, lease, shared, listener, is_resync: _ } =
            opening;
        let in_rule = || Error::database_in(format!("rule \"{}\"", rule.name));
        let mut known_tables = None;
        if names_everything(&rule) {
            let listed = source.tables().map_err(in_rule())?.list_tables().await;
            known_tables = Some(listed.map_err(in_rule())?.into_iter().collect());
        }
        let mut plans = resolve(&rule, &source, &target).await.map_err(in_rule())?;
        plans.retain(|plan| !shared.leaves_out(&plan.source_table));
        let mut stored = load_checkpoint(&target, &control, &name).await.map_err(in_rule())?;
        let status = log_of(&source, kind)?.status(&name).await.map_err(in_rule())?;
        if stored.is_none() && status.is_some() && shared.may_succeed() {
            let succession =
                Succession { rule: &rule.name, target: &target, control: &control, reader: &name };
            stored = succession.take_over(log_of(&source, kind)?).await.map_err(in_rule())?;
        }
        let mut checkpoint = stored.clone();
        match status {
            // A checkpoint without a log is of no use, but for what it tells of the rows that were there.
            None => {
                if checkpoint.take().is_some() {
                    shared.tell_of_lost_log();
                }
            }
            Some(LogStatus { lost: Some(reason), .. }) if checkpoint.is_some() => {
                return Err(Error::LogLost { rule: rule.name, reason });
            }
            Some(_) => {}
        }
        let own_rows_before = match &checkpoint {
            None => {
                let readers = [Some(name.clone()), shared.last_reader()];
                own_rows_of_last(&target, &control, &rule.name, &readers).await.map_err(in_rule())?
            }
            // A copy that was broken off has kept what was to be looked for.
            Some(begun) if begun.phase == Phase::Copy => begun.own_rows.clone(),
            Some(_) => OwnRows::new(),
        };
        // A rule that streams is not to end because somebody has created a table, whichever process runs it by now.
        if let Some(checkpoint) = &checkpoint
            && known_tables.is_some()
            && shared.is_watched()
            && !source.is_schemaless()
        {
            let sources = plans.iter().map(|plan| plan.source_table.clone());
            let new: Vec<_> = sources.filter(|table| !checkpoint.tables.contains_key(table)).collect();
            leave_out_keyless(&rule.name, &source, &shared, &new).await.map_err(in_rule())?;
            plans.retain(|plan| !shared.leaves_out(&plan.source_table));
        }
        if let Some(checkpoint) = &mut checkpoint
            && !source.is_schemaless()
        {
            follow_schema(&rule, &plans, &source, &target, &mut checkpoint.tables).await?;
        }
        let mut routes = Routes::prepare(&rule, plans.clone(), &source, &target).await?;
        if let Some(checkpoint) = &mut checkpoint
            && follow_documents(&routes, &target, &mut checkpoint.tables).await?
        {
            routes = Routes::prepare(&rule, plans, &source, &target).await?;
        }
        let routes = Arc::new(routes);
        let reader = routes.reader(&name);
        let known = checkpoint.as_ref().map(|checkpoint| &checkpoint.tables);
        // A database with one connection can only be asked before a view of it is held.
        let planned = plan_chunks(&source, kind, &routes, known, lease.epoch()).await.map_err(in_rule())?;
        let log = log_of(&source, kind)?;
        let letters = Letters::load(&target, &control.dead_letter, &name).await.map_err(in_rule())?;
        let mut opened = log.open(&reader).await.map_err(in_rule())?;
        if checkpoint.is_none() && matches!(opened, OpenedLog::Existing { .. }) {
            // What it has kept begins nobody knows where.
            log.remove(&reader.name).await.map_err(in_rule())?;
            opened = log.open(&reader).await.map_err(in_rule())?;
        }
        let mut session = Self {
            checkpoint: Checkpoint {
                reader: name,
                rule: rule.name.clone(),
                phase: Phase::Copy,
                tables: KnownTables::new(),
                position: Position::at(0),
                ordinal: 0,
                from: 0,
                epoch: lease.epoch(),
                committed_at: Timestamp(0),
                applied_at: Timestamp::now(),
                own_rows: OwnRows::new(),
                history: History::default(),
                lineage: None,
            },
            rule,
            source,
            target,
            kind,
            control,
            routes,
            reader,
            letters,
            lease,
            chunks: Vec::new(),
            watermarks: Watermarks::default(),
            own_rows_before,
            has_replaced_tables: false,
            shared,
            pace: Pace::default(),
            known_tables,
        };
        let view = session.begin(opened, checkpoint, stored, planned).await?;
        session.copy(view, listener).await?;
        session.watermarks = Watermarks::of(&session.chunks);
        session.shared.reach(&session.checkpoint.position);
        let positions = session.log()?.position_form();
        session.shared.reads_as(&session.reader.name, positions);
        Ok(session)
    }

    /// The log of the source.
    pub(super) fn log(&self) -> Result<&dyn ChangeLog> {
        log_of(&self.source, self.kind)
    }

    pub(super) fn in_rule(&self) -> impl FnOnce(data::Error) -> Error + use<> {
        Error::database_in(format!("rule \"{}\"", self.rule.name))
    }

    /// Copies what is still to be copied; the changes are streamed afterwards.
    async fn copy(&mut self, view: Option<LogSnapshot>, listener: Option<ProgressListener>) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let Some(view) = view.filter(|_| self.chunks.iter().any(|chunk| !chunk.is_copied)) else {
            return self.finish_copy().await;
        };
        self.shared.enter(RunState::Copying, None);
        let copied = tokio::select! {
            copied = self.before_copy() => copied?,
            () = shared.stopping() => return Err(Error::stopped(&self.rule.name)),
        };
        let position = view.position.clone();
        let mut stats = self.routes.no_stats();
        let plan = CopyPlan {
            rule: &self.rule,
            target: &self.target,
            reader: &self.reader.name,
            control: &self.control,
            lease: &self.lease,
            routes: &self.routes,
            chunks: &self.chunks,
            listener,
        };
        let outcome = tokio::select! {
            outcome = copy_chunks(plan, view, &mut stats) => outcome,
            () = self.shared.stopping() => Err(Error::stopped(&self.rule.name)),
        };
        if outcome.is_ok() {
            let name = self.rule.name.clone();
            tokio::select! {
                done = self.after_copy(&copied, &mut stats) => done?,
                () = shared.stopping() => return Err(Error::stopped(&name)),
            }
            // Everything was looked for.
            self.own_rows_before.clear();
        }
        self.shared.add(stats);
        outcome?;
        // Where a chunk was begun at an earlier position, that was kept with it.
        let stored = load_chunks(&self.target, &self.control.chunk, &self.reader.name).await;
        self.chunks = stored.map_err(self.in_rule())?;
        for chunk in &mut self.chunks {
            chunk.position.get_or_insert_with(|| position.clone());
        }
        let letters = Letters::load(&self.target, &self.control.dead_letter, &self.reader.name).await;
        self.letters = letters.map_err(self.in_rule())?;
        self.finish_copy().await
    }

    /// From here on the checkpoint stands for everything up to its position.
    async fn finish_copy(&mut self) -> Result<()> {
        if self.checkpoint.phase == Phase::Stream {
            return Ok(());
        }
        if self.chunks.iter().all(|chunk| chunk.is_copied) && !self.own_rows_before.is_empty() {
            // The copy was broken off behind its last part.
            let copied = self.before_copy().await?;
            let mut stats = self.routes.no_stats();
            self.after_copy(&copied, &mut stats).await?;
            self.shared.add(stats);
        }
        let found = self.checkpoint.clone();
        self.checkpoint.phase = Phase::Stream;
        self.store_checkpoint(&found, &[]).await
    }

    /// Writes the checkpoint in a transaction of its own, if the one stored is still the one given, and forgets chunks.
    pub(super) async fn store_checkpoint(&mut self, found: &Checkpoint, passed: &[Chunk]) -> Result<()> {
        let in_rule = || Error::database_in(format!("rule \"{}\"", self.rule.name));
        let mut transaction = self.lease.begin().await.map_err(in_rule())?;
        check_fence(&self.rule.name, transaction.as_mut(), &self.control, found).await?;
        self.checkpoint.applied_at = Timestamp::now();
        self.checkpoint.store(transaction.as_mut(), &self.control.checkpoint).await.map_err(in_rule())?;
        let removed =
            remove_chunks(transaction.as_mut(), &self.control.chunk, &self.reader.name, passed).await;
        removed.map_err(in_rule())?;
        transaction.commit().await.map_err(in_rule())
    }
}

/// Fails if another process has taken over: then the checkpoint is not what this one wrote last.
pub(super) async fn check_fence(
    rule: &str,
    transaction: &mut dyn data::table::TableTransaction,
    control: &ControlTables,
    expected: &Checkpoint,
) -> Result<()> {
    let found = Checkpoint::load(transaction, &control.checkpoint, &expected.reader).await;
    let found = found.map_err(Error::database_in(format!("rule \"{rule}\"")))?;
    if found.is_some_and(|found| found.is_at(expected)) {
        return Ok(());
    }
    Err(Error::LeaseLost(rule.to_owned()))
}

async fn load_checkpoint(
    target: &End,
    control: &ControlTables,
    reader: &str,
) -> data::Result<Option<Checkpoint>> {
    let mut transaction = target.tables()?.begin().await?;
    let checkpoint = Checkpoint::load(transaction.as_mut(), &control.checkpoint, reader).await?;
    transaction.rollback().await?;
    Ok(checkpoint)
}

/// The keys that the source held when the rule was last run by one of these readers: another name means that another database was
/// the source. Nothing where a reader of a rule of this name that is none of them has written later: what has become of the rows
/// since is not known.
async fn own_rows_of_last(
    target: &End,
    control: &ControlTables,
    rule: &str,
    readers: &[Option<String>],
) -> data::Result<OwnRows> {
    let of_rule = checkpoints_of(target, &control.checkpoint, rule).await?;
    let last = of_rule.into_iter().max_by_key(|checkpoint| checkpoint.applied_at.0);
    let is_ours = |last: &Checkpoint| readers.contains(&Some(last.reader.clone()));
    Ok(last.filter(is_ours).map(|last| last.own_rows).unwrap_or_default())
}

/// Brings the target's tables up to the source's, and forgets tables that are to be copied again for it.
async fn follow_schema(
    rule: &Rule,
    plans: &[CollectionPlan],
    source: &End,
    target: &End,
    known: &mut KnownTables,
) -> Result<()> {
    let in_rule = || Error::database_in(format!("rule \"{}\"", rule.name));
    let mut copied_again = Vec::new();
    for plan in plans {
        let described = source.tables().map_err(in_rule())?.describe(&plan.source_table).await;
        let Some(table) = described.map_err(in_rule())? else { continue };
        let Some(columns) = known.get(&table.name) else { continue };
        if follow(&rule.name, plan, columns, &table, target).await? {
            copied_again.push(table.name);
        }
    }
    known.retain(|name, _| !copied_again.contains(name));
    Ok(())
}

pub(super) fn known_table(route: &super::routes::Route) -> (String, Vec<super::schema_change::KnownColumn>) {
    (route.captured.name.clone(), columns_of(&route.captured))
}

/// The parts of the tables that a checkpoint does not know.
async fn plan_chunks(
    source: &End,
    kind: LogKind,
    routes: &Routes,
    known: Option<&KnownTables>,
    epoch: u64,
) -> data::Result<Vec<Chunk>> {
    let mut chunks = Vec::new();
    let Some(log) = source.tables()?.change_log(kind) else { return Ok(chunks) };
    let mut planned = HashSet::new();
    for route in &routes.list {
        let table = &route.captured;
        let is_known = known.is_some_and(|known| known.contains_key(&table.name));
        if !is_known && planned.insert(&table.name) {
            let bounds = log.split(table, ROWS_PER_CHUNK).await?;
            chunks.extend(Chunk::plan(&table.name, bounds, epoch));
        }
    }
    Ok(chunks)
}
