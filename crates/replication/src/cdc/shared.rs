//! What a run of a rule shares with whoever watches or stops it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use data::Timestamp;
use data::log::{Position, PositionForm};
use tokio::sync::watch;

use super::event::{CdcEvent, CdcObserver, Resolution, RowVersions, RuleState, RunState};
use crate::error::Error;
use crate::stats::{CollectionStats, millis_now};

/// A run of a rule, seen from outside.
pub(crate) struct Shared {
    rule: String,
    since: Timestamp,
    /// None once the run has ended.
    observer: Mutex<Option<Arc<dyn CdcObserver>>>,
    status: Mutex<Status>,
    /// Up to where in the log everything has been applied.
    reached: watch::Sender<Option<Position>>,
    /// Of a bidirectional rule, up to where in the log of the target everything has come to the source.
    reached_back: watch::Sender<Option<Position>>,
    stop: watch::Sender<bool>,
    /// Whether each transaction of the source is applied by itself, so that one that fails takes no other along.
    one_by_one: AtomicBool,
    /// Tables that the rule does not read, although it is about all of them.
    left_out: Mutex<HashSet<String>>,
    /// The state, for who waits for one.
    states: watch::Sender<RunState>,
    /// Why the run is to look anew at its ends.
    anew: Mutex<Option<String>>,
    /// Whether the master of an end was replaced and it has not been looked yet for what got lost by that.
    replaced: AtomicBool,
    settings: RunSettings,
}

/// How a rule is run.
#[derive(Clone)]
pub(crate) struct RunSettings {
    /// How often the checkpoint follows the log while nothing is applied.
    pub(crate) idle_checkpoint: Duration,
    /// Whether it is kept which rows the rule has brought, as a replica may take the place of its source.
    pub(crate) keeps_own_rows: bool,
    /// The name under which the log of the rule was read last.
    pub(crate) last_reader: LastReader,
    /// Whether the rule goes on at another server that has taken the place of its source, from the checkpoint of that one.
    pub(crate) may_succeed: bool,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            idle_checkpoint: IDLE_CHECKPOINT,
            keeps_own_rows: false,
            last_reader: LastReader::default(),
            may_succeed: false,
        }
    }
}

/// The name under which this process has read the log of a rule last, through all of its runs. Another database that becomes the
/// source gives it another one.
#[derive(Clone, Default)]
pub(crate) struct LastReader(Arc<Mutex<Option<String>>>);

impl LastReader {
    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often the checkpoint follows an idle log, unless others read from it how far the target is behind.
const IDLE_CHECKPOINT: Duration = Duration::from_secs(10);

struct Status {
    state: RunState,
    since: u64,
    lag_ms: Option<u64>,
    retained_bytes: Option<u64>,
    stats: Vec<CollectionStats>,
    applied_up_to: Option<Timestamp>,
    /// How positions of the log are written.
    positions: PositionForm,
}

impl Shared {
    pub(crate) fn new(rule: &str, observer: Option<Arc<dyn CdcObserver>>) -> Arc<Self> {
        Self::with_settings(rule, observer, RunSettings::default())
    }

    /// As [`new`](Self::new), with settings of its own.
    pub(crate) fn with_settings(
        rule: &str,
        observer: Option<Arc<dyn CdcObserver>>,
        settings: RunSettings,
    ) -> Arc<Self> {
        let status = Status {
            state: RunState::Starting,
            since: millis_now(),
            lag_ms: None,
            retained_bytes: None,
            stats: Vec::new(),
            applied_up_to: None,
            positions: PositionForm::Number,
        };
        Arc::new(Self {
            rule: rule.to_owned(),
            since: Timestamp::now(),
            observer: Mutex::new(observer),
            status: Mutex::new(status),
            reached: watch::Sender::new(None),
            reached_back: watch::Sender::new(None),
            stop: watch::Sender::new(false),
            one_by_one: AtomicBool::new(false),
            left_out: Mutex::default(),
            states: watch::Sender::new(RunState::Starting),
            anew: Mutex::default(),
            replaced: AtomicBool::new(false),
            settings,
        })
    }

    /// When the run began, by the clock of this process.
    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    pub(super) fn keeps_own_rows(&self) -> bool {
        self.settings.keeps_own_rows
    }

    pub(super) fn may_succeed(&self) -> bool {
        self.settings.may_succeed
    }

    /// Enters the name under which the log is read, and how its positions are written.
    pub(super) fn reads_as(&self, reader: &str, positions: PositionForm) {
        *self.settings.last_reader.lock() = Some(reader.to_owned());
        self.status().positions = positions;
    }

    /// A position of the log as it is told.
    pub(super) fn position_text(&self, position: &Position) -> String {
        self.status().positions.text(position.order)
    }

    /// The name under which the log was read last.
    pub(super) fn last_reader(&self) -> Option<String> {
        self.settings.last_reader.lock().clone()
    }

    /// Has the run look anew at its ends, because the master of one of them was replaced.
    pub(crate) fn begin_anew(&self, reason: &str) {
        self.replaced.store(true, Ordering::Relaxed);
        *self.anew.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
    }

    /// Fails if the run is to look anew at its ends; told once.
    pub(super) fn check_ends(&self) -> Result<(), Error> {
        let reason = self.anew.lock().unwrap_or_else(PoisonError::into_inner).take();
        reason.map_or(Ok(()), |reason| Err(Error::Retry(reason)))
    }

    /// Whether the master of an end was replaced since this was last asked.
    pub(super) fn takes_replacement(&self) -> bool {
        self.replaced.swap(false, Ordering::Relaxed)
    }

    /// Whether the master of an end was replaced and nothing has been read or copied since.
    pub(super) fn was_replaced(&self) -> bool {
        self.replaced.load(Ordering::Relaxed)
    }

    /// Tells of rows that only the target has, since the master of an end, or a table, was replaced.
    pub(super) fn tell_of_kept_rows(&self, count: u64) {
        let rule = &self.rule;
        let message = format!(
            "rule \"{rule}\": since a master or a table was replaced, {count} rows of the target are not at the source. If they were deleted \
             there unseen, verify(\"{rule}\", {{repair: 'rows-and-extras'}}) deletes them"
        );
        let code = "ERR_ROWS_KEPT".to_owned();
        self.tell(CdcEvent::Error { rule: rule.clone(), code, message, retryable: true });
    }

    pub(super) fn idle_checkpoint(&self) -> Duration {
        self.settings.idle_checkpoint
    }

    /// Asks the run to end.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// From now on each transaction of the source is applied by itself.
    pub(super) fn go_one_by_one(&self) {
        self.one_by_one.store(true, Ordering::Relaxed);
    }

    pub(super) fn goes_one_by_one(&self) -> bool {
        self.one_by_one.load(Ordering::Relaxed)
    }

    /// From now on a table is none that the rule reads.
    pub(super) fn leave_out(&self, table: &str) {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner).insert(table.to_owned());
    }

    /// Whether a table is none that the rule reads.
    pub(super) fn leaves_out(&self, table: &str) -> bool {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner).contains(table)
    }

    /// Waits until the run is asked to end.
    pub(super) async fn stopping(&self) {
        // The sender lives as long as this.
        drop(self.stop.subscribe().wait_for(|stop| *stop).await);
    }

    /// What the run is doing.
    pub(crate) fn state(&self) -> RuleState {
        let status = self.status();
        RuleState {
            rule: self.rule.clone(),
            state: status.state,
            position: self.reached.borrow().as_ref().map(|reached| status.positions.text(reached.order)),
            lag_ms: status.lag_ms,
            retained_bytes: status.retained_bytes,
            since: status.since,
        }
    }

    /// What the run has done so far.
    pub(crate) fn stats(&self) -> Vec<CollectionStats> {
        self.status().stats.clone()
    }

    pub(crate) fn enter(&self, state: RunState, reason: Option<String>) {
        {
            let mut status = self.status();
            if status.state == state && reason.is_none() {
                return;
            }
            status.state = state;
            status.since = millis_now();
        }
        self.states.send_replace(state);
        self.tell(CdcEvent::State { rule: self.rule.clone(), state, reason });
        if matches!(state, RunState::Stopped | RunState::Lost) {
            // Whoever watches may be kept alive by being watched for.
            self.observer.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    /// Waits until the run has begun what it is for, or has ended.
    pub(crate) async fn begun(&self) {
        let has_begun = |state: &RunState| !matches!(state, RunState::Starting | RunState::Copying);
        // The sender lives as long as this.
        drop(self.states.subscribe().wait_for(has_begun).await);
    }

    /// Waits until another process runs the rule, or this run has ended.
    pub(super) async fn gave_way(&self) {
        let gave_way =
            |state: &RunState| matches!(state, RunState::Standby | RunState::Stopped | RunState::Lost);
        drop(self.states.subscribe().wait_for(gave_way).await);
    }

    /// Tells that the log has vanished, and that the tables are synchronised anew for that.
    pub(super) fn tell_of_lost_log(&self) {
        let reason = "it is gone from the source; the tables are synchronised anew".to_owned();
        let error = Error::LogLost { rule: self.rule.clone(), reason };
        self.tell(CdcEvent::Error {
            rule: self.rule.clone(),
            code: error.code().to_owned(),
            message: error.to_string(),
            retryable: true,
        });
    }

    pub(crate) fn tell(&self, event: CdcEvent) {
        if let Some(observer) = self.observer() {
            observer.on(event);
        }
    }

    /// Waits until the observer can be told more, or the run is asked to end.
    pub(super) async fn heard(&self) {
        if let Some(observer) = self.observer() {
            tokio::select! {
                () = observer.ready() => {}
                () = self.stopping() => {}
            }
        }
    }

    pub(super) fn wants_changes(&self) -> bool {
        self.observer().is_some_and(|observer| observer.wants_changes())
    }

    /// Whether somebody hears what is told.
    pub(super) fn is_watched(&self) -> bool {
        self.observer().is_some()
    }

    fn observer(&self) -> Option<Arc<dyn CdcObserver>> {
        self.observer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds what a transaction did, for each collection.
    pub(super) fn add(&self, done: Vec<CollectionStats>) {
        let mut status = self.status();
        if status.stats.is_empty() {
            status.stats = done;
            return;
        }
        for part in done {
            match status.stats.iter_mut().find(|stats| stats.collection == part.collection) {
                Some(stats) => stats.add(part),
                None => status.stats.push(part),
            }
        }
    }

    pub(super) fn reach(&self, position: &Position) {
        self.reached.send_replace(Some(position.clone()));
    }

    /// Up to where in the log everything has been applied.
    pub(crate) fn reached(&self) -> watch::Receiver<Option<Position>> {
        self.reached.subscribe()
    }

    pub(super) fn reach_back(&self, position: &Position) {
        self.reached_back.send_replace(Some(position.clone()));
    }

    /// Of a bidirectional rule, up to where in the log of the target everything has come to the source.
    pub(super) fn reached_back(&self) -> watch::Receiver<Option<Position>> {
        self.reached_back.subscribe()
    }

    /// Asks whoever watches to decide between two versions of a row.
    pub(super) async fn resolve(&self, conflict: RowVersions) -> Result<Resolution, String> {
        match self.observer() {
            Some(observer) => tokio::select! {
                resolution = observer.resolve(conflict) => resolution,
                () = self.stopping() => Err("the rule was stopped".to_owned()),
            },
            None => Err("nobody listens who could decide".to_owned()),
        }
    }

    /// When the last transaction that was applied had been committed at the source.
    pub(crate) fn applied_up_to(&self) -> Option<Timestamp> {
        self.status().applied_up_to
    }

    pub(super) fn applied(&self, committed_at: Timestamp) {
        self.status().applied_up_to = Some(committed_at);
    }

    pub(super) fn measured(&self, lag_ms: Option<u64>, retained_bytes: Option<u64>) {
        let mut status = self.status();
        status.lag_ms = lag_ms.or(status.lag_ms);
        status.retained_bytes = retained_bytes.or(status.retained_bytes);
    }

    /// A thread that panicked while holding it leaves it whole, because every change is one assignment.
    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
