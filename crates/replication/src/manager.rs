//! The manager: replicas of projects, rules between projects, and their runs.

mod feeds;
mod files;
mod holding;
mod replicas;
mod rules;
mod runs;
mod streams;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use indexmap::IndexMap;

use crate::cdc::{Held, LastReader, RemovalFailure};
use crate::error::{Error, Result};
use crate::managed::SharedRewinder;
use crate::poll::PollState;
use crate::row_shape::Transform;
use crate::rule::{Mode, Rule};
use crate::snapshot::End;
use crate::stats::{SyncCursor, SyncStats};
use crate::topology::{Topology, TopologyListener};
use crate::tree::KeptReplicas;
pub(crate) use feeds::begin_feeds;
pub use replicas::ReservedReplica;
use replicas::close;
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
    /// Brings masters of before back as standbys.
    pub(crate) rewinder: Option<SharedRewinder>,
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
    /// The names under which the logs of rules were read last.
    last_readers: IndexMap<String, LastReader>,
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
            state.last_readers.shift_remove(name);
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

    fn ends(&self, rule: &Rule) -> Result<(End, End)> {
        Ok((self.end(rule, "source")?, self.end(rule, "target")?))
    }

    /// One end of a rule, by the connected master of its project.
    fn end(&self, rule: &Rule, end: &'static str) -> Result<End> {
        let project = if end == "source" { &rule.source } else { &rule.target };
        self.state().end_of(project).ok_or_else(|| Error::NoMaster { end, project: project.clone() })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, ManagerState> {
        lock(&self.state)
    }

    pub(crate) fn shared(&self) -> &Arc<SharedState> {
        &self.state
    }
}

/// The state. A thread that panicked while holding it leaves it whole, because every change is one insertion or removal.
pub(crate) fn lock(state: &SharedState) -> MutexGuard<'_, ManagerState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
