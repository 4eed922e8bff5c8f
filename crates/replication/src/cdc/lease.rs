//! The right to run a reader: one process at a time holds it, and another takes over when it dies.
//!
//! The lease is a row on the target with a time to live by the target's clock. Its epoch grows with every holder and is
//! written into the checkpoint, so that one that has lost the lease without noticing cannot apply anything any more.
//!
//! Where a server keeps the transactions of clients that have died, and the locks in them, the row names the sessions of the
//! holder too: the next one ends them instead of waiting until the server does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use data::table::{Table, TableTransaction};
use data::{Result, Timestamp, Value};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::control_tables::{Fields, row_of, signed};
use crate::snapshot::End;

/// How long a lease is good for without being renewed.
const TIME_TO_LIVE: Duration = Duration::from_secs(3);
/// How often it is renewed.
const RENEWED_EVERY: Duration = Duration::from_secs(1);
/// For how long the sessions of the holder before are ended again: what it sent last may arrive late.
const STRAGGLERS: Duration = Duration::from_secs(10);
/// How many sessions are named at most. Drivers use the same few again and again.
const MOST_SESSIONS: usize = 32;

/// A lease that is held, and renewed in the background until it is dropped or released.
pub(super) struct Lease {
    claim: Claim,
    lost: Arc<AtomicBool>,
    renewal: JoinHandle<()>,
}

/// What is needed to take, renew and give back a lease.
#[derive(Clone)]
struct Claim {
    target: End,
    table: Table,
    reader: String,
    owner: String,
    epoch: u64,
    /// The names of the holder's sessions, as they stand in the row, with the oldest first. One at a time writes the row.
    sessions: Arc<Mutex<VecDeque<String>>>,
}

impl Lease {
    /// Takes the lease, unless another process holds it.
    pub(super) async fn take(target: &End, table: &Table, reader: &str, owner: &str) -> Result<Option<Self>> {
        let mut claim = Claim {
            target: target.clone(),
            table: table.clone(),
            reader: reader.to_owned(),
            owner: owner.to_owned(),
            epoch: 0,
            sessions: Arc::default(),
        };
        let tables = target.tables()?;
        let now = tables.now().await?;
        let mut transaction = tables.begin().await?;
        let rows = transaction.fetch(table, &[vec![Value::from(reader)]]).await?;
        let mut before = Vec::new();
        if let Some(row) = rows.first() {
            let fields = Fields::of(table, row);
            claim.epoch = fields.unsigned("epoch");
            let other = fields.text("owner").is_some_and(|holder| holder != owner);
            if other && fields.integer("expires_at") > now.0 {
                transaction.rollback().await?;
                return Ok(None);
            }
            let sessions = fields.text("sessions").filter(|_| other).unwrap_or_default();
            before = sessions.split_whitespace().map(str::to_owned).collect();
        }
        // It may have been this process, whose driver uses its sessions again.
        before.retain(|name| transaction.session().as_ref() != Some(name));
        claim.end(&before).await;
        claim.epoch += 1;
        let sessions: VecDeque<_> = transaction.session().into_iter().collect();
        transaction.upsert(table, &[claim.row(now, &sessions)]).await?;
        transaction.commit().await?;
        *claim.sessions.lock().await = sessions;
        let lost = Arc::new(AtomicBool::new(false));
        let renewal = tokio::spawn(keep(claim.clone(), before, Arc::clone(&lost)));
        Ok(Some(Self { claim, lost, renewal }))
    }

    /// Begins a transaction at the target that a later holder can end.
    pub(super) async fn begin(&self) -> Result<Box<dyn TableTransaction>> {
        let tables = self.claim.target.tables()?;
        let transaction = tables.begin().await?;
        if let Some(session) = transaction.session()
            && !self.claim.sessions.lock().await.contains(&session)
        {
            // Before anything is locked in it.
            self.claim.write(Some(tables.now().await?), Some(session)).await?;
        }
        Ok(transaction)
    }

    /// Grows with every holder.
    pub(super) fn epoch(&self) -> u64 {
        self.claim.epoch
    }

    /// Whether another process may hold it by now.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Gives it back, so that another process need not wait for its end.
    pub(super) async fn release(&self) -> Result<()> {
        self.renewal.abort();
        if self.is_lost() {
            return Ok(());
        }
        self.claim.write(None, None).await.map(drop)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

impl Claim {
    fn row(&self, now: Timestamp, sessions: &VecDeque<String>) -> Vec<Value> {
        let life = i64::try_from(TIME_TO_LIVE.as_micros()).unwrap_or(i64::MAX);
        let names: Vec<_> = sessions.iter().map(String::as_str).collect();
        let values = [
            ("owner", Value::from(self.owner.as_str())),
            ("epoch", signed(self.epoch)),
            ("expires_at", Value::Int64(now.0.saturating_add(life))),
            ("sessions", Value::from(names.join(" "))),
        ];
        row_of(&self.table, &self.reader, &values)
    }

    /// Renews the lease, naming one more session, or gives it back where there is no time given; whether it was still ours.
    async fn write(&self, now: Option<Timestamp>, session: Option<String>) -> Result<bool> {
        let mut sessions = self.sessions.lock().await;
        let mut transaction = self.target.tables()?.begin().await?;
        for session in transaction.session().into_iter().chain(session) {
            if !sessions.contains(&session) {
                sessions.push_back(session);
            }
        }
        let surplus = sessions.len().saturating_sub(MOST_SESSIONS);
        sessions.drain(..surplus);
        let rows = transaction.fetch(&self.table, &[vec![Value::from(self.reader.as_str())]]).await?;
        let is_ours = rows.first().is_some_and(|row| {
            let fields = Fields::of(&self.table, row);
            fields.unsigned("epoch") == self.epoch && fields.text("owner") == Some(self.owner.as_str())
        });
        if !is_ours {
            transaction.rollback().await?;
            return Ok(false);
        }
        let row = match now {
            Some(now) => self.row(now, &sessions),
            // The epoch stays, so that it never repeats.
            None => row_of(&self.table, &self.reader, &[("epoch", signed(self.epoch))]),
        };
        transaction.upsert(&self.table, &[row]).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Ends sessions of the holder before, except those that this process uses itself by now.
    async fn end_stragglers(&self, before: &[String]) {
        let own = self.sessions.lock().await.clone();
        let others: Vec<_> = before.iter().filter(|session| !own.contains(session)).cloned().collect();
        self.end(&others).await;
    }

    /// Ends sessions. Where the server does not allow it, it ends them by itself in time.
    async fn end(&self, sessions: &[String]) {
        let ended = async { self.target.tables()?.end_sessions(sessions).await };
        if let Err(error) = ended.await {
            tracing::warn!(reader = self.reader, "sessions of a dead process were not ended: {error}");
        }
    }
}

/// Renews a lease until it is lost. A target that cannot be reached does not give it to anybody else either; once its time
/// is over it counts as lost all the same, as only the target could tell.
async fn keep(claim: Claim, before: Vec<String>, lost: Arc<AtomicBool>) {
    let taken = Instant::now();
    let mut good_until = taken + TIME_TO_LIVE;
    loop {
        tokio::time::sleep(RENEWED_EVERY).await;
        let begun = Instant::now();
        let renewed = async {
            if begun < taken + STRAGGLERS {
                claim.end_stragglers(&before).await;
            }
            let now = claim.target.tables()?.now().await?;
            claim.write(Some(now), None).await
        };
        match renewed.await {
            Ok(true) => good_until = begun + TIME_TO_LIVE,
            Ok(false) => break,
            Err(_) if Instant::now() > good_until => break,
            Err(_) => {}
        }
    }
    lost.store(true, Ordering::Relaxed);
}
