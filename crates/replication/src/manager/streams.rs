//! Rules of mode `cdc` in the manager: streamed from start to stop, caught up by `sync`, copied anew, and removed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::task::JoinHandle;

use super::Manager;
use crate::cdc::{
    CdcObserver, ChangeFeed, DeadLetters, Ends, Goal, RemovalFailure, RuleState, RunSettings, RunState,
    Runner, Shared, applying_reader, catch_up_with, has_streamed, letters_of, letters_of_both, log_kind,
    remove_both, remove_reader,
};
use crate::error::{Error, Result};
use crate::rule::{Capture, Mode, Rule};
use crate::snapshot::ProgressListener;
use crate::stats::{CollectionStats, SyncStats, millis_now};

/// A rule that is streamed, or was until an error stopped it.
pub(super) struct Stream {
    rule: String,
    begun: Instant,
    shared: Arc<Shared>,
    task: Mutex<Option<JoinHandle<()>>>,
    /// Why it ended; taken by whoever started it, if that still waits.
    failure: Arc<Mutex<Option<Error>>>,
}

impl Stream {
    /// What it has done so far.
    pub(super) fn stats(&self) -> SyncStats {
        SyncStats::of_run(&self.rule, self.begun.elapsed(), self.shared.stats())
    }

    fn is_running(&self) -> bool {
        let has_ended = matches!(self.shared.state().state, RunState::Stopped | RunState::Lost);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        !has_ended && task.as_ref().is_some_and(|task| !task.is_finished())
    }

    /// Stops it and waits for its end.
    async fn stop(&self) {
        self.shared.stop();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // A task that was cut off has ended as well.
            drop(task.await);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task {
            task.abort();
        }
    }
}

impl Manager {
    /// Streams a rule of mode `cdc` or `bidirectional` until it is stopped. Returns when its changes are being applied, or another process
    /// applies them and this one stands by; or when it has failed. A lost connection is tried again without end.
    ///
    /// # Errors
    /// [`Error::UnknownRule`], [`Error::RuleDisabled`], [`Error::RuleRunning`], [`Error::NoMaster`],
    /// [`Error::UnsupportedCapture`], [`Error::LogLost`], [`Error::LogRetention`], [`Error::SchemaChanged`],
    /// [`Error::RowRefused`], or [`Error::Database`].
    pub async fn start(self: &Arc<Self>, rule: &str, observer: Arc<dyn CdcObserver>) -> Result<()> {
        let rule = self.enabled_rule(rule)?;
        self.check_captured(&rule)?;
        let shared = self.shared_of(&rule, Some(observer));
        let stream = {
            let mut state = self.state();
            if state.streams.get(&rule.name).is_some_and(|stream| stream.is_running()) {
                return Err(Error::RuleRunning(rule.name));
            }
            let failure = Arc::new(Mutex::new(None));
            let task = tokio::spawn(stream(
                Arc::downgrade(self),
                rule.clone(),
                Arc::clone(&shared),
                Arc::clone(&failure),
            ));
            let stream = Arc::new(Stream {
                rule: rule.name.clone(),
                begun: Instant::now(),
                shared: Arc::clone(&shared),
                task: Mutex::new(Some(task)),
                failure,
            });
            state.streams.insert(rule.name.clone(), Arc::clone(&stream));
            stream
        };
        shared.begun().await;
        let failure = stream.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map_or(Ok(()), Err)
    }

    /// Stops a rule that is streamed, once what it has in hand is applied. One that is not is no error.
    ///
    /// # Errors
    /// [`Error::UnknownRule`].
    pub async fn stop(&self, rule: &str) -> Result<()> {
        self.rule(rule)?;
        let stream = self.state().streams.shift_remove(rule);
        if let Some(stream) = stream {
            stream.stop().await;
            let mut state = self.state();
            if state.rules.contains_key(rule) {
                state.stats.insert(rule.to_owned(), stream.stats());
            }
        }
        Ok(())
    }

    /// Copies everything of a rule of mode `cdc` anew, without emptying the target and without deleting rows that the source
    /// never had, and catches up with the changes made meanwhile.
    ///
    /// # Errors
    /// As [`sync`](Self::sync); [`Error::RuleRunning`] if it is streamed by this manager.
    pub async fn resync(&self, rule: &str, listener: Option<ProgressListener>) -> Result<SyncStats> {
        let run = self.run_lock(rule)?;
        let _running = run.lock().await;
        let rule = self.enabled_rule(rule)?;
        self.check_captured(&rule)?;
        if self.running_stream(&rule.name).is_some() {
            return Err(Error::RuleRunning(rule.name));
        }
        // A stream that an error stopped is over with this.
        self.state().streams.shift_remove(&rule.name);
        let (begun, begun_at) = (Instant::now(), millis_now());
        let mut details = Vec::new();
        let outcome = self.run(&rule, Goal::CopyAnew, listener, &mut details).await;
        let mut stats = SyncStats::of_run(&rule.name, begun.elapsed(), details);
        stats.errors += u64::from(outcome.is_err());
        self.record(&rule, &stats, begun_at, outcome.is_ok());
        outcome.map(|()| stats)
    }

    /// The changes that a rule reads, or those of every table of a project's master, from now on, whatever becomes of them at
    /// a target.
    ///
    /// # Errors
    /// [`Error::UnknownRule`], [`Error::NoMaster`], [`Error::UnsupportedCapture`], or [`Error::Database`].
    pub async fn changes(&self, rule_or_project: &str) -> Result<ChangeFeed> {
        let rule = match self.rule(rule_or_project) {
            Err(_) if self.projects().iter().any(|project| project == rule_or_project) => {
                Rule::of_project(rule_or_project)
            }
            rule => rule?,
        };
        let ends = self.ends(&rule)?;
        ChangeFeed::open(&rule, ends).await
    }

    /// The rows of a rule of mode `cdc` that its target refused and that are set aside there, so many of them at the most.
    ///
    /// # Errors
    /// [`Error::UnknownRule`], [`Error::NoMaster`], or [`Error::Database`].
    pub async fn dead_letters(&self, rule: &str, most: usize) -> Result<DeadLetters> {
        let rule = self.rule(rule)?;
        if rule.mode == Mode::Bidirectional {
            let found = letters_of_both(&rule, &self.ends(&rule)?, most).await;
            return found.map_err(Error::database_in(format!("the dead letters of rule \"{}\"", rule.name)));
        }
        if !rule.reads_log() {
            return Ok(DeadLetters::default());
        }
        let (source, target) = self.ends(&rule)?;
        let found = async {
            let reader = applying_reader(&rule.name, &source, &target).await?;
            letters_of(&target, &reader, most).await
        };
        found.await.map_err(Error::database_in(format!("the dead letters of rule \"{}\"", rule.name)))
    }

    /// The rules that are streamed, and those that were until an error stopped them.
    pub fn running(&self) -> Vec<RuleState> {
        self.state().streams.values().map(|stream| stream.shared.state()).collect()
    }

    /// What rules that were removed have left behind because it could not be removed, with the statements to run. Each is
    /// told once.
    pub fn take_removal_failures(&self) -> Vec<RemovalFailure> {
        let failures = Arc::clone(&self.state().removal_failures);
        let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *failures)
    }

    /// Applies the changes of a rule up to where the log of the source stands now.
    pub(super) async fn capture(
        &self,
        rule: &Rule,
        goal: Goal,
        listener: Option<ProgressListener>,
        details: &mut Vec<CollectionStats>,
    ) -> Result<()> {
        if let Some(stream) = self.running_stream(&rule.name)
            && catch_up_with(&stream.shared, rule, self.ends(rule)?).await?
        {
            // What it does is counted as its own.
            details.extend(stream.shared.stats().iter().map(|stats| CollectionStats::new(&stats.collection)));
            return Ok(());
        }
        let shared = self.shared_of(rule, None);
        let ends = || self.ends(rule);
        let runner = Runner { rule, ends: &ends, shared: Arc::clone(&shared), listener, permission: None };
        let outcome = runner.run(goal).await;
        details.extend(shared.stats());
        outcome
    }

    /// Whether a bidirectional rule goes by the logs of both sides, because it says so or has been streamed before, so that
    /// deletions are known.
    pub(super) async fn exchanges(&self, rule: &Rule, goal: Goal) -> Result<bool> {
        let is_asked = goal == Goal::CopyAnew || matches!(rule.capture, Capture::Log | Capture::Trigger);
        if is_asked || self.running_stream(&rule.name).is_some() {
            return Ok(true);
        }
        let found = has_streamed(rule, &self.ends(rule)?).await;
        found.map_err(Error::database_in(format!("rule \"{}\"", rule.name)))
    }

    /// Removes in the background what a rule has left in its databases.
    pub(super) fn remove_in_background(&self, rule: Rule, stream: Option<Arc<Stream>>, ends: Option<Ends>) {
        let kept = Arc::clone(&self.state().removal_failures);
        let task = tokio::spawn(async move {
            if let Some(stream) = stream {
                stream.stop().await;
            }
            // A database that is not connected was never read by this manager.
            let Some(ends) = ends else { return };
            let failures = match rule.mode {
                Mode::Bidirectional => remove_both(&rule, ends).await,
                _ => remove_reader(&rule, ends).await,
            };
            for failure in failures {
                tracing::warn!(
                    rule = failure.rule,
                    "a removed rule has left something behind: {}",
                    failure.message
                );
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
            }
        });
        let mut state = self.state();
        state.removals.retain(|task| !task.is_finished());
        state.removals.push(task);
    }

    /// Stops every rule that is streamed and waits for removals.
    pub(super) async fn stop_everything(&self) {
        let (streams, removals) = {
            let mut state = self.state();
            (std::mem::take(&mut state.streams), std::mem::take(&mut state.removals))
        };
        streams.values().for_each(|stream| stream.shared.stop());
        for stream in streams.values() {
            stream.stop().await;
        }
        for task in removals {
            drop(task.await);
        }
    }

    /// What a run of a rule shares with whoever watches it.
    fn shared_of(&self, rule: &Rule, observer: Option<Arc<dyn CdcObserver>>) -> Arc<Shared> {
        let settings = {
            let mut state = self.state();
            let last_reader = state.last_readers.entry(rule.name.clone()).or_default().clone();
            let keeps_own_rows = state.topology.replicas(&rule.source).count() > 1;
            RunSettings { keeps_own_rows, last_reader, may_succeed: true, ..RunSettings::default() }
        };
        Shared::with_settings(&rule.name, observer, settings)
    }

    fn running_stream(&self, rule: &str) -> Option<Arc<Stream>> {
        self.state().streams.get(rule).filter(|stream| stream.is_running()).cloned()
    }

    fn check_captured(&self, rule: &Rule) -> Result<()> {
        if rule.mode == Mode::Snapshot {
            let problem = format!(
                "only a rule of mode cdc or bidirectional can be streamed, this one has mode {}",
                rule.mode.name()
            );
            return Err(Error::config(format!("rule \"{}\".mode", rule.name), problem));
        }
        let (source, target) = self.ends(rule)?;
        if rule.mode == Mode::Bidirectional {
            log_kind(rule, &target)?;
        }
        log_kind(rule, &source).map(drop)
    }
}

/// Runs a rule to its end.
async fn stream(
    manager: std::sync::Weak<Manager>,
    rule: Rule,
    shared: Arc<Shared>,
    failure: Arc<Mutex<Option<Error>>>,
) {
    let gone = || Error::Task("the manager is gone".to_owned());
    let ends = || manager.upgrade().ok_or_else(gone)?.ends(&rule);
    let runner =
        Runner { rule: &rule, ends: &ends, shared: Arc::clone(&shared), listener: None, permission: None };
    match runner.run(Goal::Stream).await {
        Ok(()) => shared.enter(RunState::Stopped, None),
        Err(error) => {
            runner.tell_of(&error, false);
            let state =
                if matches!(error, Error::LogLost { .. }) { RunState::Lost } else { RunState::Stopped };
            let reason = error.to_string();
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            shared.enter(state, Some(reason));
        }
    }
}

impl super::ManagerState {
    /// Has the rules between this project and others look anew at their ends, because its master was replaced.
    pub(crate) fn begin_anew(&self, project: &str) {
        for (name, stream) in &self.streams {
            let concerned =
                self.rules.get(name).is_some_and(|rule| rule.source == project || rule.target == project);
            if concerned {
                stream.shared.begin_anew(&format!("the master of project \"{project}\" was replaced"));
            }
        }
    }
}
