//! A rule being run through everything that can happen to it: leases of other processes, lost connections, and the end.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use data::log::{LogKind, Position};
use data::table::Table;
use data::{DialectKind, ErrorKind, Timestamp};
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Ends;
use super::checkpoint::{Checkpoint, Phase};
use super::control_tables::ControlTables;
use super::event::{CdcEvent, RunState};
use super::identity::{Purpose, reader_name};
use super::lease::Lease;
use super::monitor::Monitor;
use super::run::{Opening, Session, log_of};
use super::shared::Shared;
use super::stream::Ended;
use super::two_way::exchange;
use crate::error::{Error, Result};
use crate::rule::{Capture, Mode, Rule};
use crate::snapshot::{End, ProgressListener};

/// How long is waited after the first of several failures.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest wait between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long one run keeps trying without coming any further.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether the process that runs the rule has ended, or has come far enough.
const LEASE_ASKED: Duration = Duration::from_millis(300);

/// Finds the ends of the rule as they are now: a master may have been replaced.
pub(crate) type FindEnds<'a> = &'a (dyn Fn() -> Result<Ends> + Send + Sync);

/// Whether the rule may still be run, asked by the holder of its lease: another process may have decided otherwise.
pub(crate) type Permission<'a> = &'a (dyn Fn() -> BoxFuture<'a, Result<()>> + Send + Sync);

/// Until when a rule is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Up to where the log of the source stands now.
    CatchUp,
    /// As [`CatchUp`](Self::CatchUp), after everything was copied anew.
    CopyAnew,
    /// Until somebody stops it.
    Stream,
}

/// Runs a rule.
pub(crate) struct Runner<'a> {
    pub(crate) rule: &'a Rule,
    pub(crate) ends: FindEnds<'a>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) listener: Option<ProgressListener>,
    pub(crate) permission: Option<Permission<'a>>,
}

/// Up to where a run is to come.
#[derive(Clone)]
pub(super) struct Heads {
    /// In the log of the source.
    pub(super) source: Position,
    /// In the log of the target, whose changes a bidirectional rule exchanges too.
    pub(super) target: Option<Position>,
}

/// What a run needs before it holds the lease.
struct Ready {
    source: End,
    target: End,
    kind: LogKind,
    name: String,
    control: Arc<ControlTables>,
}

/// Where the changes of a source are read from.
///
/// # Errors
/// [`Error::UnsupportedCapture`].
pub(crate) fn log_kind(rule: &Rule, source: &End) -> Result<LogKind> {
    let tables = source.tables().map_err(Error::database_in("source"))?;
    let of_kind = |kind| tables.change_log(kind).map(|_| kind);
    let is_exchanged_mysql = rule.mode == Mode::Bidirectional && is_mysql(source);
    let found = match rule.capture {
        // The rows of a log of MySQL may be told before others can read them.
        Capture::Auto if is_exchanged_mysql => of_kind(LogKind::Trigger),
        Capture::Log if is_exchanged_mysql => None,
        Capture::Auto => tables.automatic_log(),
        Capture::Log => of_kind(LogKind::Log),
        Capture::Trigger => of_kind(LogKind::Trigger),
        Capture::Poll => None,
    };
    found.ok_or_else(|| Error::UnsupportedCapture { rule: rule.name.clone(), capture: rule.capture.name() })
}

fn is_mysql(end: &End) -> bool {
    end.dialect().is_some_and(|dialect| matches!(dialect.kind(), DialectKind::Mysql | DialectKind::Mariadb))
}

/// Waits until a run of this process has come as far as the log of its source stands now; whether it has, as it may end or
/// give way to another process before.
pub(crate) async fn catch_up_with(shared: &Shared, rule: &Rule, (source, target): Ends) -> Result<bool> {
    let is_exchanged = rule.mode == Mode::Bidirectional;
    Ok(has_caught_up(shared, rule, &source, shared.reached()).await?
        && (!is_exchanged || has_caught_up(shared, rule, &target, shared.reached_back()).await?))
}

async fn has_caught_up(
    shared: &Shared,
    rule: &Rule,
    source: &End,
    reached: watch::Receiver<Option<Position>>,
) -> Result<bool> {
    let kind = log_kind(rule, source)?;
    let head = log_of(source, kind)?.head().await.map_err(Error::database_in("source log"))?;
    let has_reached = |at: &Option<Position>| at.as_ref().is_some_and(|at| at.order >= head.order);
    let mut waiting = reached.clone();
    tokio::select! {
        waited = waiting.wait_for(has_reached) => Ok(waited.is_ok()),
        () = shared.gave_way() => Ok(has_reached(&reached.borrow())),
    }
}

impl Runner<'_> {
    /// Runs until the goal is reached or the run is stopped.
    pub(crate) async fn run(&self, goal: Goal) -> Result<()> {
        let owner = uuid::Uuid::new_v4().to_string();
        let mut pause = FIRST_PAUSE;
        let mut patient_until = Instant::now() + PATIENCE;
        let mut copies_anew = goal == Goal::CopyAnew;
        let mut heads = None;
        loop {
            let before = self.shared.reached().borrow().clone();
            let begun = Instant::now();
            let outcome = self.attempt(goal, &owner, &mut copies_anew, &mut heads).await;
            // What lasted so long did something: a first copy keeps the chunks that it has finished.
            if *self.shared.reached().borrow() != before || begun.elapsed() >= PATIENCE {
                pause = FIRST_PAUSE;
                patient_until = Instant::now() + PATIENCE;
            }
            let error = match outcome {
                Ok(_) => return Ok(()),
                Err(_) if self.shared.is_stopping() => return Ok(()),
                Err(error) => error,
            };
            match error {
                // What it reads or who runs it has changed; it is looked at anew.
                Error::Retry(reason) => {
                    tracing::info!(rule = self.rule.name, "the rule begins anew: {reason}");
                    continue;
                }
                Error::LeaseLost(_) => {}
                // A master that died may come back, or be replaced.
                Error::NoMaster { .. } if goal == Goal::Stream && before.is_some() => {
                    self.shared.enter(RunState::Retrying, Some(error.to_string()));
                }
                error if !is_retryable(&error) => return Err(self.told_as_lost(error)),
                error => {
                    if goal != Goal::Stream && Instant::now() >= patient_until {
                        return Err(error);
                    }
                    self.tell_of(&error, true);
                    self.shared.enter(RunState::Retrying, Some(error.to_string()));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(with_jitter(pause)) => {}
                () = self.shared.stopping() => return Ok(()),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A log that turned out to be lost while it was read is told of like one that was found so before.
    fn told_as_lost(&self, error: Error) -> Error {
        match error.database() {
            Some(lost) if lost.kind() == ErrorKind::LogLost => {
                Error::LogLost { rule: self.rule.name.clone(), reason: lost.to_string() }
            }
            _ => error,
        }
    }

    /// Tells the observer of an error.
    pub(crate) fn tell_of(&self, error: &Error, retryable: bool) {
        self.shared.tell(CdcEvent::Error {
            rule: self.rule.name.clone(),
            code: error.code().to_owned(),
            message: error.to_string(),
            retryable,
        });
    }

    async fn attempt(
        &self,
        goal: Goal,
        owner: &str,
        copies_anew: &mut bool,
        heads: &mut Option<Heads>,
    ) -> Result<Ended> {
        let ready = self.prepare().await?;
        if goal != Goal::Stream && heads.is_none() {
            *heads = Some(self.heads(&ready).await?);
        }
        let until = heads.as_ref().filter(|_| !*copies_anew);
        let Some(lease) = self.lease(&ready, owner, until).await? else {
            return Ok(Ended::Reached);
        };
        let lease = Arc::new(lease);
        let outcome = self.hold(ready, goal, owner, Arc::clone(&lease), heads, copies_anew).await;
        if let Err(error) = lease.release().await {
            tracing::debug!(rule = self.rule.name, "the lease was not given back: {error}");
        }
        outcome
    }

    /// Where the logs stand that the rule reads.
    async fn heads(&self, ready: &Ready) -> Result<Heads> {
        let source = log_of(&ready.source, ready.kind)?.head().await;
        let source = source.map_err(Error::database_in("source log"))?;
        let target = match self.rule.mode {
            Mode::Bidirectional => {
                let log = log_of(&ready.target, log_kind(self.rule, &ready.target)?)?;
                Some(log.head().await.map_err(Error::database_in("target log"))?)
            }
            _ => None,
        };
        Ok(Heads { source, target })
    }

    /// Runs the rule while this process holds its lease.
    async fn hold(
        &self,
        ready: Ready,
        goal: Goal,
        owner: &str,
        lease: Arc<Lease>,
        heads: &mut Option<Heads>,
        copies_anew: &mut bool,
    ) -> Result<Ended> {
        if let Some(permission) = self.permission {
            permission().await?;
        }
        if *copies_anew {
            self.forget(&ready).await?;
            // A log that is made anew may count from the beginning.
            *heads = Some(self.heads(&ready).await?);
            *copies_anew = false;
        }
        let Ready { source, target, kind, name, control } = ready;
        let opening = Opening {
            rule: self.rule.clone(),
            source,
            target,
            kind,
            name,
            control,
            lease,
            shared: Arc::clone(&self.shared),
            listener: self.listener.clone(),
            is_resync: goal == Goal::CopyAnew,
        };
        if self.rule.mode == Mode::Bidirectional {
            return exchange(opening, owner, heads.as_ref()).await;
        }
        let mut session = Session::open(opening).await?;
        let outcome = self.stream(&mut session, heads.as_ref().map(|heads| &heads.source)).await;
        if let Err(Error::LogRetention { .. }) = &outcome {
            // The source's disk matters more than a target that can be repaired.
            let removed = session.log()?.remove(&session.reader.name).await;
            removed.map_err(session.in_rule())?;
        }
        if let Err(error) = &outcome
            && error.database().is_some_and(|error| error.kind() == ErrorKind::LogLost)
            && self.shared.was_replaced()
        {
            // What the promoted standby lacks of the log cannot be read any more; what it comes to can.
            let reason = error.to_string();
            let removed = session.log()?.remove(&session.reader.name).await;
            removed.map_err(session.in_rule())?;
            return Err(Error::Retry(reason));
        }
        outcome
    }

    async fn stream(&self, session: &mut Session, until: Option<&Position>) -> Result<Ended> {
        let monitor = Monitor::start(self.rule, session, &self.shared).await?;
        session.retry_letters().await?;
        session.stream(until, &monitor).await
    }

    async fn prepare(&self) -> Result<Ready> {
        let (source, target) = (self.ends)()?;
        let kind = log_kind(self.rule, &source)?;
        let in_rule = || Error::database_in(format!("rule \"{}\"", self.rule.name));
        let name = reader_name(&self.rule.name, &source, &target, Purpose::Apply).await.map_err(in_rule())?;
        let tables = target.tables().map_err(in_rule())?;
        let control = ControlTables::create(tables).await.map_err(in_rule())?;
        Ok(Ready { source, target, kind, name, control: Arc::new(control) })
    }

    /// Waits for the lease; none if whoever holds it has come as far as this run was to.
    async fn lease(&self, ready: &Ready, owner: &str, until: Option<&Heads>) -> Result<Option<Lease>> {
        loop {
            let taken = Lease::take(&ready.target, &ready.control.lease, &ready.name, owner).await;
            if let Some(lease) = taken.map_err(Error::database_in(format!("rule \"{}\"", self.rule.name)))? {
                return Ok(Some(lease));
            }
            self.shared.enter(RunState::Standby, None);
            if let Some(until) = until
                && self.other_has_reached(ready, until).await?
            {
                return Ok(None);
            }
            tokio::select! {
                () = tokio::time::sleep(LEASE_ASKED) => {}
                () = self.shared.stopping() => return Ok(None),
            }
        }
    }

    /// Whether the process that holds the lease has settled everything up to there, in both directions where there are two.
    async fn other_has_reached(&self, ready: &Ready, until: &Heads) -> Result<bool> {
        let in_rule = || Error::database_in(format!("rule \"{}\"", self.rule.name));
        let table = &ready.control.checkpoint;
        let reached = has_settled(&ready.target, table, &ready.name, &until.source).await;
        let Some(back) = until.target.as_ref().filter(|_| reached.as_ref().is_ok_and(|reached| *reached))
        else {
            return reached.map_err(in_rule());
        };
        let (source, target) = (&ready.source, &ready.target);
        let reached = async {
            let Some(control) = ControlTables::existing(source.tables()?).await? else { return Ok(false) };
            let reader = reader_name(&self.rule.name, target, source, Purpose::Apply).await?;
            has_settled(source, &control.checkpoint, &reader, back).await
        };
        reached.await.map_err(in_rule())
    }

    /// Forgets the log, so that everything is copied anew; of a bidirectional rule that of the target too.
    async fn forget(&self, ready: &Ready) -> Result<()> {
        let in_rule = || Error::database_in(format!("rule \"{}\"", self.rule.name));
        if self.rule.mode == Mode::Bidirectional {
            let (source, target) = (&ready.source, &ready.target);
            let back =
                reader_name(&self.rule.name, target, source, Purpose::Apply).await.map_err(in_rule())?;
            log_of(target, log_kind(self.rule, target)?)?.remove(&back).await.map_err(in_rule())?;
        }
        log_of(&ready.source, ready.kind)?.remove(&ready.name).await.map_err(in_rule())
    }
}

/// Whether a checkpoint stands for everything up to a position.
async fn has_settled(keeper: &End, table: &Table, reader: &str, until: &Position) -> data::Result<bool> {
    let mut transaction = keeper.tables()?.begin().await?;
    let found = Checkpoint::load(transaction.as_mut(), table, reader).await?;
    transaction.rollback().await?;
    Ok(found.is_some_and(|found| found.phase == Phase::Stream && found.position.order >= until.order))
}

fn is_retryable(error: &Error) -> bool {
    match error {
        Error::NoMaster { .. } => false,
        error => error.database().is_some_and(|error| error.kind().is_retryable()),
    }
}

/// A pause between a half and the whole of this one, so that processes do not all come back at once.
fn with_jitter(pause: Duration) -> Duration {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_i64(Timestamp::now().0);
    let per_mille = 500 + u32::try_from(hasher.finish() % 501).unwrap_or(0);
    pause * per_mille / 1000
}

impl Error {
    /// The run of a rule was stopped.
    pub(super) fn stopped(rule: &str) -> Self {
        let stopped = data::Error::new(ErrorKind::Stopped, "it was stopped");
        Self::database_in(format!("rule \"{rule}\""))(stopped)
    }
}
