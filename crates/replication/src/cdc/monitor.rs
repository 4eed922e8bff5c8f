//! Measuring beside a stream how far the target is behind, and how much of the log the source keeps for it; and looking for
//! tables that were created meanwhile.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use data::Timestamp;
use data::log::{LogKind, LogReader, Position};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::event::CdcEvent;
use super::run::{Session, log_of};
use super::shared::Shared;
use crate::error::{Error, Result};
use crate::rule::Rule;
use crate::snapshot::End;

/// How often the lag is measured.
const LAG_MEASURED: Duration = Duration::from_secs(1);
/// How long is waited for the stream to get to the head of the log.
const HEAD_AWAITED: Duration = Duration::from_millis(500);
/// How many measurements of the lag come to one of what the log keeps.
const LAGS_PER_GUARD: u32 = 10;
/// How many measurements of the lag come to one look at the tables of the source.
const LAGS_PER_LISTING: u32 = 3;
/// At how many percent of what may be kept there is a warning.
const WARNED_AT: u64 = 80;
/// No log has kept too much.
const NOT_EXCEEDED: u64 = 0;

/// Measures until it is dropped.
pub(super) struct Monitor {
    findings: Arc<Findings>,
    most: u64,
    task: JoinHandle<()>,
}

/// What is watched.
pub(super) struct Watched<'a> {
    pub(super) end: &'a End,
    pub(super) kind: LogKind,
    pub(super) reader: &'a LogReader,
    /// The tables that were there when the rule was planned, if it is about all of them.
    pub(super) known_tables: Option<HashSet<String>>,
}

/// What a stream is to hear of.
#[derive(Default)]
struct Findings {
    /// The bytes that were kept when they were too many.
    exceeded: AtomicU64,
    /// Whether the source has tables that the rule does not read yet, and should.
    has_new_tables: AtomicBool,
}

impl Monitor {
    /// Looks at what the log keeps, and then goes on measuring.
    ///
    /// # Errors
    /// [`Error::LogRetention`], [`Error::LogLost`].
    pub(super) async fn start(rule: &Rule, session: &Session, shared: &Arc<Shared>) -> Result<Self> {
        let watched = Watched {
            end: &session.source,
            kind: session.kind,
            reader: &session.reader,
            known_tables: session.known_tables.clone(),
        };
        Self::watch(rule, watched, shared).await
    }

    /// As [`start`](Self::start), of any database whose log is read for a rule.
    pub(super) async fn watch(rule: &Rule, watched: Watched<'_>, shared: &Arc<Shared>) -> Result<Self> {
        let findings = Arc::new(Findings::default());
        let gauge = Gauge {
            most: rule.max_retained_bytes,
            rule: rule.name.clone(),
            source: watched.end.clone(),
            kind: watched.kind,
            reader: watched.reader.clone(),
            shared: Arc::clone(shared),
            known_tables: watched.known_tables,
            findings: Arc::clone(&findings),
        };
        gauge.guard().await?;
        let task = tokio::spawn(gauge.measure());
        let monitor = Self { findings, most: rule.max_retained_bytes.unwrap_or(u64::MAX), task };
        monitor.check(&rule.name)?;
        Ok(monitor)
    }

    /// Fails if the source keeps more of its log than it may, or if the rule is to be planned anew for tables that were
    /// created.
    pub(super) fn check(&self, rule: &str) -> Result<()> {
        if self.findings.has_new_tables.load(Ordering::Relaxed) {
            return Err(Error::Retry("the source has new tables".to_owned()));
        }
        match self.findings.exceeded.load(Ordering::Relaxed) {
            NOT_EXCEEDED => Ok(()),
            retained => Err(Error::LogRetention { rule: rule.to_owned(), retained, most: self.most }),
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What measures.
struct Gauge {
    most: Option<u64>,
    rule: String,
    source: End,
    kind: LogKind,
    reader: LogReader,
    shared: Arc<Shared>,
    known_tables: Option<HashSet<String>>,
    findings: Arc<Findings>,
}

impl Gauge {
    async fn measure(self) {
        // What is committed after the target had caught up is behind since then at the most.
        let mut caught_up_at = None;
        for round in 1_u32.. {
            tokio::time::sleep(LAG_MEASURED).await;
            if round % LAGS_PER_GUARD == 0 && self.guard().await.is_err() {
                // The stream itself will say what is wrong.
                tracing::debug!(rule = self.rule, "the log's size could not be measured");
            }
            // A source that cannot be asked is asked again.
            if round % LAGS_PER_LISTING == 0 && self.has_new_tables().await.unwrap_or(false) {
                self.findings.has_new_tables.store(true, Ordering::Relaxed);
            }
            let Some(lag_ms) = self.lag(&mut caught_up_at).await else { continue };
            self.shared.measured(Some(lag_ms), None);
            let retained_bytes = self.shared.state().retained_bytes.unwrap_or(0);
            self.shared.tell(CdcEvent::Lag { rule: self.rule.clone(), lag_ms, retained_bytes });
        }
    }

    /// Whether there are new tables that the rule can read, or one stands in the place of another that it has read.
    async fn has_new_tables(&self) -> data::Result<bool> {
        if let Ok(log) = log_of(&self.source, self.kind)
            && !log.tells_of_tables(&self.reader).await?
        {
            return Ok(true);
        }
        let Some(known) = &self.known_tables else { return Ok(false) };
        let mut listed = self.source.tables()?.list_tables().await?;
        listed.retain(|name| !known.contains(name));
        let before = listed.len();
        Ok(leave_out_keyless(&self.rule, &self.source, &self.shared, &listed).await? < before)
    }

    async fn lag(&self, caught_up_at: &mut Option<Timestamp>) -> Option<u64> {
        let now = self.source.tables().ok()?.now().await.ok()?;
        let head: Position = log_of(&self.source, self.kind).ok()?.head().await.ok()?;
        // A log whose head moves with everything that the server does is never reached at the moment at which it is asked for.
        let begun = Instant::now();
        let mut reached = self.shared.reached();
        let has_reached = |at: &Option<Position>| at.as_ref().is_some_and(|at| at.order >= head.order);
        if let Ok(Ok(_)) = timeout(HEAD_AWAITED, reached.wait_for(has_reached)).await {
            *caught_up_at = Some(now);
            return Some(u64::try_from(begun.elapsed().as_millis()).unwrap_or(0));
        }
        let since = caught_up_at.get_or_insert(now);
        let behind = self.shared.applied_up_to().map_or(*since, |committed_at| committed_at.max(*since));
        Some(u64::try_from(now.0.saturating_sub(behind.0) / 1000).unwrap_or(0))
    }

    /// Compares what the log keeps with what it may keep.
    async fn guard(&self) -> Result<()> {
        let status = log_of(&self.source, self.kind)?.status(&self.reader.name).await;
        let Some(status) = status.map_err(Error::database_in("source log"))? else { return Ok(()) };
        if let Some(reason) = status.lost {
            return Err(Error::LogLost { rule: self.rule.clone(), reason });
        }
        let retained = status.retained_bytes;
        self.shared.measured(None, Some(retained));
        let Some(most) = self.most else { return Ok(()) };
        if retained > most {
            self.findings.exceeded.store(retained, Ordering::Relaxed);
        } else if retained > most / 100 * WARNED_AT {
            self.shared.tell(CdcEvent::Error {
                rule: self.rule.clone(),
                code: "ERR_LOG_RETENTION".to_owned(),
                message: format!(
                    "the source keeps {retained} bytes of its log for rule \"{}\", of {most} that it may; above that \
                     the rule is stopped and gives them free",
                    self.rule
                ),
                retryable: true,
            });
        }
        Ok(())
    }
}

/// Has a run leave out those of new tables that have no primary key, and tells of them instead of ending the run; how many
/// are left out.
pub(super) async fn leave_out_keyless(
    rule: &str,
    source: &End,
    shared: &Shared,
    names: &[String],
) -> data::Result<usize> {
    let tables = source.tables()?;
    let mut left_out = 0;
    for name in names {
        if shared.leaves_out(name) {
            left_out += 1;
            continue;
        }
        let described = tables.describe(name).await?;
        let Some(Err(error)) = described.map(|table| table.require_key()) else { continue };
        shared.leave_out(name);
        left_out += 1;
        shared.tell(CdcEvent::Error {
            rule: rule.to_owned(),
            code: error.code().to_owned(),
            message: format!("a new table of the source is left out of rule \"{rule}\": {error}"),
            retryable: true,
        });
    }
    Ok(left_out)
}
