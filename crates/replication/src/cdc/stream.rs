//! The loop of a session: events of the log become batches, and between them what falls due is seen to.

use std::time::Duration;

use data::log::{LogEvent, LogKind, Position};
use data::{ErrorKind, Timestamp};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::batch::Batch;
use super::event::RunState;
use super::history::check_reaches;
use super::monitor::Monitor;
use super::pump::{BYTES_AHEAD, Pump};
use super::run::Session;
use crate::error::{Error, Result};

/// How soon the checkpoint follows over what a copy has brought.
const COPY_PASSED: Duration = Duration::from_millis(200);
/// How often rows that were set aside are tried again.
const LETTERS_RETRIED: Duration = Duration::from_secs(30);
/// How often it is looked whether anything falls due.
const TICK: Duration = Duration::from_millis(500);
/// How long more events are waited for once a transaction has ended; they are often on their way.
const LINGER: Duration = Duration::from_millis(1);

/// Why a session ended in good order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It has come as far as it was to.
    Reached,
    /// Somebody asked for it.
    Stopped,
}

impl Session {
    /// Applies changes as they come, up to a position if there is one.
    pub(super) async fn stream(&mut self, until: Option<&Position>, monitor: &Monitor) -> Result<Ended> {
        let log = self.log()?;
        let stream = match until {
            // A run that ends soon would only disturb others that read for long.
            Some(_) => log.stream(&self.reader, &self.checkpoint.position).await,
            None => log.stream_jointly(&self.reader, &self.checkpoint.position).await,
        };
        let mut pump = Pump::start(stream.map_err(self.in_rule())?, BYTES_AHEAD);
        if self.kind == LogKind::Log {
            // Triggers mark their changes, so that the log itself tells.
            check_reaches(self.log()?, &self.checkpoint.position).await.map_err(self.in_rule())?;
        }
        // A source that does not tell its time is read as if the target were behind.
        let told = match self.source.tables() {
            Ok(tables) => tables.now().await.ok(),
            Err(_) => None,
        };
        self.pace.source_ahead = told.map(|told| told.0.saturating_sub(Timestamp::now().0));
        // Where nothing was copied, nothing was lost either.
        self.shared.takes_replacement();
        self.shared.enter(RunState::Streaming, None);
        let mut run = Run { batch: Batch::new(self), idle: None, stored_at: Instant::now() };
        let outcome = self.read(&mut pump, &mut run, until, monitor).await;
        if outcome.is_ok() {
            // Whole transactions in hand are finished, unless their rows wait for a function of the application; they come again
            // then, as one that is open does.
            match self.flush_and_acknowledge(&mut pump, &mut run).await {
                Err(error) if is_stopped(&error) => self.letters.undone(),
                flushed => {
                    flushed?;
                    self.store_idle(&mut pump, &mut run).await?;
                }
            }
        } else if outcome.as_ref().is_err_and(is_end_of_log) && !run.batch.is_within_transaction() {
            // What was read before the log ended for good is whole, and does not come again.
            self.flush_and_acknowledge(&mut pump, &mut run).await?;
        } else {
            self.letters.undone();
        }
        drop(run);
        pump.close().await;
        outcome
    }

    async fn read(
        &mut self,
        pump: &mut Pump,
        run: &mut Run,
        until: Option<&Position>,
        monitor: &Monitor,
    ) -> Result<Ended> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut letters_due = Instant::now() + LETTERS_RETRIED;
        loop {
            if until.is_some_and(|until| self.has_reached(run, until)) {
                return Ok(Ended::Reached);
            }
            self.shared.heard().await;
            let event = tokio::select! {
                biased;
                () = self.shared.stopping(), if !run.batch.is_within_transaction() => return Ok(Ended::Stopped),
                () = self.shared.stopping() => {
                    // With the open transaction go whole ones that were to be written together with it, so that what was idle
                    // behind them must not become the checkpoint.
                    run.batch = Batch::new(self);
                    run.idle = None;
                    self.letters.undone();
                    return Ok(Ended::Stopped);
                }
                event = pump.next() => Some(event.map_err(self.in_rule())?),
                _ = tick.tick() => None,
            };
            if let Some(event) = event {
                self.take(run, event).await?;
                self.drain(pump, run).await?;
            }
            if self.lease.is_lost() {
                return Err(Error::LeaseLost(self.rule.name.clone()));
            }
            self.shared.check_ends()?;
            monitor.check(&self.rule.name)?;
            if run.batch.is_empty() {
                if let Some(idle) =
                    run.idle.as_ref().filter(|idle| idle.order > self.checkpoint.position.order)
                {
                    self.shared.reach(idle);
                }
                if run.stored_at.elapsed() >= self.idle_stored_after() && !run.batch.is_within_transaction() {
                    self.store_idle(pump, run).await?;
                }
                if letters_due <= Instant::now() {
                    self.retry_letters().await?;
                    letters_due = Instant::now() + LETTERS_RETRIED;
                }
            }
        }
    }

    /// How long an idle position waits until it becomes the checkpoint. What a copy has brought already is passed over, and must
    /// not be read again once the source has other columns.
    fn idle_stored_after(&self) -> Duration {
        let usual = self.shared.idle_checkpoint();
        if self.chunks.is_empty() { usual } else { usual.min(COPY_PASSED) }
    }

    /// Takes what has been read already, and commits.
    async fn drain(&mut self, pump: &mut Pump, run: &mut Run) -> Result<()> {
        loop {
            if run.batch.is_within_transaction() {
                let event = tokio::select! {
                    event = pump.next() => event,
                    () = self.shared.stopping() => return Ok(()),
                };
                self.take(run, event.map_err(self.in_rule())?).await?;
                continue;
            }
            if run.batch.is_empty() {
                let Some(event) = pump.next_ready() else { break };
                self.take(run, event.map_err(self.in_rule())?).await?;
                continue;
            }
            if !run.batch.is_full(&self.pace) && !self.shared.goes_one_by_one() {
                let more = match pump.next_ready() {
                    Some(event) => Some(event),
                    None => tokio::time::timeout(LINGER, pump.next()).await.ok(),
                };
                if let Some(event) = more {
                    self.take(run, event.map_err(self.in_rule())?).await?;
                    continue;
                }
            }
            // What falls due is looked at between batches, however much has been read already.
            break;
        }
        self.flush_and_acknowledge(pump, run).await
    }

    async fn take(&mut self, run: &mut Run, event: LogEvent) -> Result<()> {
        match event {
            LogEvent::Begin(transaction) => run.batch.begin(transaction),
            LogEvent::Changes(changes) => self.add(&mut run.batch, changes).await?,
            LogEvent::Message { .. } => {}
            LogEvent::Commit(position) => run.batch.end(position),
            LogEvent::Idle(position) => run.idle = Some(position),
        }
        Ok(())
    }

    fn has_reached(&self, run: &Run, until: &Position) -> bool {
        let reached = |position: &Position| position.order >= until.order;
        run.batch.is_empty() && (run.idle.as_ref().is_some_and(reached) || reached(&self.checkpoint.position))
    }

    async fn flush_and_acknowledge(&mut self, pump: &mut Pump, run: &mut Run) -> Result<()> {
        let before = self.checkpoint.position.order;
        let Some(position) = self.flush(&mut run.batch).await? else { return Ok(()) };
        if self.checkpoint.position.order > before {
            pump.acknowledge(&self.checkpoint.position);
            self.shared.reach(&self.checkpoint.position);
            run.stored_at = Instant::now();
        }
        if position.order > self.checkpoint.position.order {
            // Nothing in it concerned the target.
            self.shared.reach(&position);
            run.idle = Some(position);
        }
        Ok(())
    }

    /// Lets the checkpoint follow a log in which nothing concerns the reader, so that the source need not keep it, and
    /// forgets chunks that every change to come lies behind.
    async fn store_idle(&mut self, pump: &mut Pump, run: &mut Run) -> Result<()> {
        run.stored_at = Instant::now();
        let idle = run.idle.take().filter(|idle| idle.order > self.checkpoint.position.order);
        let passed = match idle.as_ref().unwrap_or(&self.checkpoint.position) {
            position if self.watermarks.are_passed_by(position) => std::mem::take(&mut self.chunks),
            _ => Vec::new(),
        };
        if idle.is_none() && passed.is_empty() {
            return Ok(());
        }
        let found = self.checkpoint.clone();
        // Nothing was applied, also where the position stays.
        self.checkpoint.from = self.checkpoint.position.order;
        if let Some(idle) = idle {
            self.checkpoint.position = idle;
            self.checkpoint.ordinal = 0;
        }
        self.store_checkpoint(&found, &passed).await?;
        if !passed.is_empty() {
            self.watermarks = super::watermark::Watermarks::default();
        }
        pump.acknowledge(&self.checkpoint.position);
        self.shared.reach(&self.checkpoint.position);
        Ok(())
    }
}

fn is_stopped(error: &Error) -> bool {
    error.database().is_some_and(|error| error.kind() == ErrorKind::Stopped)
}

fn is_end_of_log(error: &Error) -> bool {
    error.database().is_some_and(|error| error.kind() == ErrorKind::LogLost)
}

/// What the loop has in hand.
struct Run {
    batch: Batch,
    /// Up to where the log holds nothing more for the reader.
    idle: Option<Position>,
    /// When the checkpoint was written last.
    stored_at: Instant,
}
