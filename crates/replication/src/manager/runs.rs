//! Runs of rules: one after the other of the same rule, with the stats that are left of them.

use std::sync::Arc;
use std::time::Instant;

use indexmap::IndexMap;

use super::Manager;
use crate::bidirectional::converge;
use crate::cdc::Goal;
use crate::error::{Error, Result};
use crate::poll::{PollState, poll};
use crate::rule::{Capture, ConflictResolution, Mode, Rule};
use crate::snapshot::{ProgressListener, mirror};
use crate::stats::{CollectionStats, SyncCursor, SyncStats, millis_now};
use crate::verify::{Repair, Verdict, verify};

impl Manager {
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

    pub(super) async fn run(
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

    pub(super) fn run_lock(&self, rule_name: &str) -> Result<Arc<tokio::sync::Mutex<()>>> {
        self.enabled_rule(rule_name)?;
        Ok(Arc::clone(self.state().runs.entry(rule_name.to_owned()).or_default()))
    }

    /// Keeps the outcome of a run, unless the rule was removed meanwhile. The cursors of a run that failed stay.
    pub(super) fn record(&self, rule: &Rule, stats: &SyncStats, begun_at: u64, succeeded: bool) {
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
}
