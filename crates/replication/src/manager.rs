//! The manager: replicas of projects, rules between projects, and their runs.

mod feeds;
mod holding;
mod rules;
mod streams;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use data::{Dialect, EntitySchema};
use futures_util::future::join_all;
use indexmap::IndexMap;

use crate::bidirectional::converge;
use crate::cdc::{Goal, Held, RemovalFailure};
use crate::error::{Error, Result};
use crate::poll::{PollState, poll};
use crate::row_shape::Transform;
use crate::rule::{Capture, ConflictResolution, Mode, Rule};
use crate::snapshot::{End, ProgressListener, mirror};
use crate::stats::{CollectionStats, SyncCursor, SyncStats, millis_now};
use crate::topology::{
    Fenced, ReadRouting, Replica, ReplicaConfig, ReplicaStatus, State, Topology, TopologyListener, Watch,
};
use crate::tree::{KeptReplicas, LoadedTree, Secrets, Tree};
use crate::verify::{Repair, Verdict, verify};
use feeds::FED_AT_FIRST;
pub(crate) use feeds::begin_feeds;
use streams::Stream;

/// Replicas of projects and rules between projects. Every call is safe from any thread.
#[derive(Default)]
pub struct Manager {
    state: Arc<SharedState>,
}

/// The state of a manager, which the tasks of its projects share with it.
pub(crate) type SharedState = Mutex<ManagerState>;

#[derive(Default)]
pub(crate) struct ManagerState {
    pub(crate) topology: Topology,
    /// Is told of what happens to replicas by itself.
    pub(crate) listener: Option<TopologyListener>,
    rules: IndexMap<String, Rule>,
    /// The functions that applications have given for rules, by their names.
    transforms: IndexMap<String, Transform>,
    stats: IndexMap<String, SyncStats>,
    cursors: IndexMap<String, SyncCursor>,
    /// How far the rules that poll have come.
    polls: IndexMap<String, PollState>,
    /// One lock per rule, so that two runs of it follow each other.
    runs: IndexMap<String, Arc<tokio::sync::Mutex<()>>>,
    persist_to: Option<PathBuf>,
    /// The rules that are streamed, or were until an error stopped them.
    streams: IndexMap<String, Arc<Stream>>,
    /// The tasks that remove what rules have left behind, and what they could not remove.
    removals: Vec<tokio::task::JoinHandle<()>>,
    removal_failures: Arc<Mutex<Vec<RemovalFailure>>>,
    /// The rules that this process has the right to run at intervals.
    held: IndexMap<String, Held>,
    /// Replicas of a loaded file that were not connected; they are written again.
    kept: KeptReplicas,
}

impl Manager {
    /// A manager without projects.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a replica, connects it and brings the tables of its entities into being.
    ///
    /// # Errors
    /// [`Error::DuplicateReplica`], [`Error::SecondMaster`]; or [`Error::Database`] if it cannot be connected, and then
    /// it stays listed with [`State::Error`] until it is removed.
    pub async fn add_replica(
        &self,
        project: &str,
        config: ReplicaConfig,
        schemas: Vec<Arc<EntitySchema>>,
    ) -> Result<Arc<dyn Dialect>> {
        let connecting = connect(config.clone(), schemas.clone());
        self.add_replica_by(project, config, schemas, connecting).await
    }

    /// As [`add_replica`](Self::add_replica), for a database that the caller knows how to connect and to prepare.
    ///
    /// # Errors
    /// As [`add_replica`](Self::add_replica).
    pub async fn add_replica_by(
        &self,
        project: &str,
        config: ReplicaConfig,
        schemas: Vec<Arc<EntitySchema>>,
        connecting: impl Future<Output = data::Result<Arc<dyn Dialect>>> + Send,
    ) -> Result<Arc<dyn Dialect>> {
        let name = config.name.clone();
        self.state().topology.reserve(project, Replica::connecting(config, schemas))?;
        let connected = connecting.await;
        let outcome = self.settle(project, &name, connected).await;
        if outcome.is_ok() {
            self.begin_feeds(project, FED_AT_FIRST).await;
        }
        self.persist()?;
        outcome
    }

    /// Enters the outcome of connecting a replica.
    async fn settle(
        &self,
        project: &str,
        name: &str,
        connected: data::Result<Arc<dyn Dialect>>,
    ) -> Result<Arc<dyn Dialect>> {
        let outcome = {
            let mut state = self.state();
            let replica = state.topology.replica_mut(project, name).ok();
            match (connected, replica) {
                (Ok(dialect), Some(replica)) => {
                    replica.connected(Arc::clone(&dialect));
                    let fence = Arc::clone(&replica.fence);
                    state.topology.watch(project, || Watch::start(&self.state, project));
                    state
                        .stats
                        .insert(format!("{project}/{name}"), SyncStats::none(format!("{project}/{name}")));
                    return Ok(Arc::new(Fenced::new(dialect, fence)));
                }
                (Err(error), Some(replica)) => {
                    replica.state = State::Error;
                    replica.error = Some(error.to_string());
                    return Err(Error::database_in(format!("replica \"{name}\" of project \"{project}\""))(
                        error,
                    ));
                }
                (outcome, None) => outcome,
            }
        };
        if let Ok(orphaned) = outcome {
            close(&orphaned).await;
        }
        Err(Error::Removed { project: project.to_owned(), replica: name.to_owned() })
    }

    /// Removes a replica and closes its connections; the last one takes its project along.
    ///
    /// # Errors
    /// [`Error::NoReplicas`] or [`Error::UnknownReplica`].
    pub async fn remove_replica(&self, project: &str, name: &str) -> Result<()> {
        let (removed, was_kept) = {
            let mut state = self.state();
            (state.topology.remove(project, name), state.forget_kept(project, name))
        };
        if was_kept && removed.is_err() {
            return self.persist();
        }
        let mut removed = removed?;
        self.state().stats.shift_remove(&format!("{project}/{name}"));
        self.end_feeds_of(project, &mut removed).await;
        if let Some(connection) = removed.take_connection() {
            close(&connection).await;
        }
        self.persist()
    }

    /// Sets how reads of a project are routed; it need not have replicas yet.
    ///
    /// # Errors
    /// [`Error::TreeFile`] if the change cannot be persisted.
    pub fn set_read_routing(&self, project: &str, routing: ReadRouting) -> Result<()> {
        self.state().topology.set_routing(project, routing);
        self.persist()
    }

    /// How reads of a project are routed.
    pub fn read_routing(&self, project: &str) -> ReadRouting {
        self.state().topology.routing(project)
    }

    /// The name of the connected master of a project.
    pub fn connected_master(&self, project: &str) -> Option<String> {
        self.state().topology.connected_master(project).map(|master| master.config.name.clone())
    }

    /// The state of every replica of a project, in the order they were added.
    pub fn status(&self, project: &str) -> Vec<ReplicaStatus> {
        self.state().topology.replicas(project).map(Replica::status).collect()
    }

    /// Removes a rule with its stats; a run of `sync` that has begun goes on to its end. A rule that is streamed is stopped,
    /// and what it has left in the databases is removed in the background; what cannot be removed is listed by
    /// [`take_removal_failures`](Self::take_removal_failures).
    ///
    /// # Errors
    /// [`Error::UnknownRule`].
    pub async fn remove_rule(&self, name: &str) -> Result<()> {
        let rule = self.rule(name)?;
        let ends = self.ends(&rule);
        let stream = self.state().streams.shift_remove(name);
        {
            let mut state = self.state();
            state.rules.shift_remove(name).ok_or_else(|| Error::UnknownRule(name.to_owned()))?;
            state.stats.shift_remove(name);
            state.cursors.shift_remove(name);
            state.polls.shift_remove(name);
            state.runs.shift_remove(name);
            state.transforms.shift_remove(name);
        }
        if rule.reads_log() || rule.mode == Mode::Bidirectional {
            self.remove_in_background(rule, stream, ends.ok());
        }
        self.persist()
    }

    /// Every rule, in the order they were added.
    pub fn rules(&self) -> Vec<Rule> {
        self.state().rules.values().cloned().collect()
    }

    /// Runs a rule. A second run of the same rule waits for the first.
    ///
    /// # Errors
    /// [`Error::UnknownRule`], [`Error::RuleDisabled`], [`Error::NoMaster`], [`Error::UnsupportedCapture`]; or
    /// [`Error::Database`] for what stops the whole run. What concerns a row or a collection is counted in the stats. A
    /// run that failed has stats too, in which its error is counted.
    pub async fn sync(&self, rule_name: &str, listener: Option<ProgressListener>) -> Result<SyncStats> {
        let run = self.run_lock(rule_name)?;
        let _running = run.lock().await;
        let rule = self.enabled_rule(rule_name)?;
        let (begun, begun_at) = (Instant::now(), millis_now());
        let mut details = Vec::new();
        let outcome = self.run(&rule, Goal::CatchUp, listener, &mut details).await;
        let mut stats = SyncStats::of_run(rule_name, begun.elapsed(), details);
        stats.errors += u64::from(outcome.is_err());
        self.record(&rule, &stats, begun_at, outcome.is_ok());
        outcome.map(|()| stats)
    }

    async fn run(
        &self,
        rule: &Rule,
        goal: Goal,
        listener: Option<ProgressListener>,
        details: &mut Vec<CollectionStats>,
    ) -> Result<()> {
        let (source, target) = self.ends(rule)?;
        match (rule.mode, rule.capture) {
            (Mode::Snapshot, _) => mirror(rule, source, target, listener, details).await,
            (Mode::Bidirectional, _) if self.exchanges(rule, goal).await? => {
                self.capture(rule, goal, listener, details).await
            }
            (Mode::Bidirectional, _) if rule.conflict_resolution == ConflictResolution::Resolve => {
                let problem = "resolve asks while the rule streams: start it";
                Err(Error::config(format!("rule \"{}\".conflictResolution", rule.name), problem))
            }
            (Mode::Bidirectional, _) => converge(rule, &source, &target, listener, details).await,
            (Mode::Cdc, Capture::Poll) => {
                let mut polled = self.state().polls.shift_remove(&rule.name).unwrap_or_default();
                let outcome = poll(rule, source, target, listener, &mut polled, details).await;
                self.state().polls.insert(rule.name.clone(), polled);
                outcome
            }
            (Mode::Cdc, _) => self.capture(rule, goal, listener, details).await,
        }
    }

    /// Compares source and target of a rule row by row, and repairs what differs as far as it is asked to.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub async fn verify(&self, rule_name: &str, repair: Repair) -> Result<Verdict> {
        let rule = self.shaped_rule(rule_name)?;
        let (source, target) = self.ends(&rule)?;
        verify(&rule, &source, &target, repair)
            .await
            .map_err(Error::database_in(format!("rule \"{rule_name}\"")))
    }

    /// The stats of the last run of a rule, or of `project/replica`.
    pub fn stats(&self, name: &str) -> Option<SyncStats> {
        let state = self.state();
        if let Some(stream) = state.streams.get(name) {
            return Some(stream.stats());
        }
        let fed = state.stats.get(name).and_then(|_| state.topology.feed_of(name)?.stats(name));
        fed.or_else(|| state.stats.get(name).cloned())
    }

    /// Up to when each collection of a rule has been read.
    pub fn cursor(&self, rule_name: &str) -> Option<SyncCursor> {
        self.state().cursors.get(rule_name).cloned()
    }

    /// Writes replicas, rules and routing to a file, with passwords masked.
    ///
    /// # Errors
    /// [`Error::TreeFile`].
    pub fn save_to_file(&self, path: &Path) -> Result<()> {
        self.state().tree(Secrets::Masked).save(path)
    }

    /// As [`save_to_file`](Self::save_to_file), with a URI that holds a password written as a reference to a variable.
    ///
    /// # Errors
    /// [`Error::TreeFile`].
    pub fn save_to_file_with_variables(&self, path: &Path) -> Result<()> {
        self.state().tree(Secrets::Variables).save(path)
    }

    /// Takes over routing and rules from a file. A rule that exists is kept as it is.
    ///
    /// # Errors
    /// [`Error::TreeFile`], [`Error::RuleCycle`]; nothing is taken over then.
    pub fn load_from_file(&self, path: &Path) -> Result<()> {
        let loaded = LoadedTree::read(path)?;
        {
            let mut state = self.state();
            state.take_rules(loaded.rules)?;
            for (project, routing) in loaded.routing {
                state.topology.set_routing(&project, routing);
            }
            for (project, replicas) in loaded.replicas {
                state.kept.entry(project).or_default().extend(replicas);
            }
        }
        self.persist()
    }

    /// Writes the file after every change; now too, unless there is one, which may be about to be loaded.
    ///
    /// # Errors
    /// [`Error::TreeFile`].
    pub fn enable_auto_persist(&self, path: &Path) -> Result<()> {
        if !path.exists() {
            self.save_to_file(path)?;
        }
        self.state().persist_to = Some(path.to_owned());
        Ok(())
    }

    /// The projects that have replicas.
    pub fn projects(&self) -> Vec<String> {
        self.state().topology.projects().cloned().collect()
    }

    /// Stops the rules that are streamed, waits for what is removed in the background, and closes every connection; replicas
    /// stay listed as disconnected.
    pub async fn disconnect_all(&self) {
        self.stop_everything().await;
        self.release_rules().await;
        let feeds = self.state().topology.take_feeds(None);
        join_all(feeds.iter().map(|(_, feed)| feed.stop())).await;
        let connections = self.state().topology.take_connections();
        for connection in connections {
            close(&connection).await;
        }
    }

    fn rule(&self, name: &str) -> Result<Rule> {
        self.state().rules.get(name).cloned().ok_or_else(|| Error::UnknownRule(name.to_owned()))
    }

    fn enabled_rule(&self, name: &str) -> Result<Rule> {
        if !self.rule(name)?.enabled {
            return Err(Error::RuleDisabled(name.to_owned()));
        }
        self.shaped_rule(name)
    }

    fn run_lock(&self, rule_name: &str) -> Result<Arc<tokio::sync::Mutex<()>>> {
        self.enabled_rule(rule_name)?;
        Ok(Arc::clone(self.state().runs.entry(rule_name.to_owned()).or_default()))
    }

    fn ends(&self, rule: &Rule) -> Result<(End, End)> {
        Ok((self.end(rule, "source")?, self.end(rule, "target")?))
    }

    /// One end of a rule, by the connected master of its project.
    fn end(&self, rule: &Rule, end: &'static str) -> Result<End> {
        let project = if end == "source" { &rule.source } else { &rule.target };
        let state = self.state();
        let master = state.topology.connected_master(project);
        let ready = master.and_then(|master| {
            let dialect = master.connection.clone()?;
            Some(End::database(dialect, master.schemas.clone()).with_strategy(master.config.schema_strategy))
        });
        ready.ok_or_else(|| Error::NoMaster { end, project: project.clone() })
    }

    /// Keeps the outcome of a run, unless the rule was removed meanwhile. The cursors of a run that failed stay.
    fn record(&self, rule: &Rule, stats: &SyncStats, begun_at: u64, succeeded: bool) {
        let mut state = self.state();
        let name = rule.name.clone();
        // A transform that was given since it was added does not make it another rule.
        let is_same = |known: &Rule| {
            let mut known = known.clone();
            known.shape.transform.clone_from(&rule.shape.transform);
            known.shape.transforms = rule.shape.transforms;
            known == *rule
        };
        if !state.rules.get(&name).is_some_and(is_same) {
            state.polls.shift_remove(&name);
            return;
        }
        state.stats.insert(name.clone(), stats.clone());
        let polled = state.polls.get(&name).map(PollState::cursors).unwrap_or_default();
        if !succeeded && polled.is_empty() {
            return;
        }
        let cursor = state
            .cursors
            .entry(name.clone())
            .or_insert_with(|| SyncCursor { rule_name: name, cursors: IndexMap::new() });
        if rule.mode == Mode::Cdc && !rule.reads_log() {
            cursor.cursors.extend(polled);
        } else {
            for detail in stats.details.iter().filter(|detail| detail.errors == 0) {
                cursor.cursors.insert(detail.collection.clone(), begun_at);
            }
        }
    }

    pub(crate) fn persist(&self) -> Result<()> {
        self.state().persist()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, ManagerState> {
        lock(&self.state)
    }

    pub(crate) fn shared(&self) -> &Arc<SharedState> {
        &self.state
    }
}

impl ManagerState {
    /// Writes the tree file, if it is to be written after every change.
    pub(crate) fn persist(&self) -> Result<()> {
        let Some(path) = &self.persist_to else { return Ok(()) };
        self.tree(Secrets::Masked).save(path)
    }

    /// A replica that is removed is not to come back by the file. Whether the file had it.
    fn forget_kept(&mut self, project: &str, name: &str) -> bool {
        let Some(replicas) = self.kept.get_mut(project) else { return false };
        let was_kept = replicas.shift_remove(name).is_some();
        if replicas.is_empty() {
            self.kept.shift_remove(project);
        }
        was_kept
    }

    fn tree(&self, secrets: Secrets) -> Tree<'_> {
        Tree::of(&self.topology, &self.kept, &self.rules, secrets)
    }
}

/// The state. A thread that panicked while holding it leaves it whole, because every change is one insertion or removal.
pub(crate) fn lock(state: &SharedState) -> MutexGuard<'_, ManagerState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn connect(config: ReplicaConfig, schemas: Vec<Arc<EntitySchema>>) -> data::Result<Arc<dyn Dialect>> {
    let dialect = data::connect(&config.connection()?).await?;
    if let Err(error) = dialect.init_schema(&schemas).await {
        close(&dialect).await;
        return Err(error);
    }
    Ok(dialect)
}

/// A connection that cannot be closed in good order is gone all the same.
async fn close(dialect: &Arc<dyn Dialect>) {
    if let Err(error) = dialect.disconnect().await {
        tracing::warn!(code = error.code(), "a replica did not disconnect in good order: {error}");
    }
}
