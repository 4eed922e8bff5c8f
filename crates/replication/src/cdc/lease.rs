//! The right to run a reader: one process at a time holds it, and another takes over when it dies.
//!
//! The lease is a row on the target with a time to live by the target's clock. Its epoch grows with every holder and is
//! written into the checkpoint, so that one that has lost the lease without noticing cannot apply anything any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use data::table::Table;
use data::{Result, Timestamp, Value};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::control_tables::{Fields, row_of, signed};
use crate::snapshot::End;

/// How long a lease is good for without being renewed.
const TIME_TO_LIVE: Duration = Duration::from_secs(3);
/// How often it is renewed.
const RENEWED_EVERY: Duration = Duration::from_secs(1);

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
        };
        let tables = target.tables()?;
        let now = tables.now().await?;
        let mut transaction = tables.begin().await?;
        let rows = transaction.fetch(table, &[vec![Value::from(reader)]]).await?;
        if let Some(row) = rows.first() {
            let fields = Fields::of(table, row);
            claim.epoch = fields.unsigned("epoch");
            let held = fields.text("owner").is_some_and(|holder| holder != owner);
            if held && fields.integer("expires_at") > now.0 {
                transaction.rollback().await?;
                return Ok(None);
            }
        }
        claim.epoch += 1;
        transaction.upsert(table, &[claim.row(now)]).await?;
        transaction.commit().await?;
        let lost = Arc::new(AtomicBool::new(false));
        let renewal = tokio::spawn(keep(claim.clone(), Arc::clone(&lost)));
        Ok(Some(Self { claim, lost, renewal }))
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
    pub(super) async fn release(self) -> Result<()> {
        self.renewal.abort();
        if self.is_lost() {
            return Ok(());
        }
        self.claim.write(None).await.map(drop)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

impl Claim {
    fn row(&self, now: Timestamp) -> Vec<Value> {
        let life = i64::try_from(TIME_TO_LIVE.as_micros()).unwrap_or(i64::MAX);
        let values = [
            ("owner", Value::from(self.owner.as_str())),
            ("epoch", signed(self.epoch)),
            ("expires_at", Value::Int64(now.0.saturating_add(life))),
        ];
        row_of(&self.table, &self.reader, &values)
    }

    /// Renews the lease, or gives it back where there is no time given; whether it was still ours.
    async fn write(&self, now: Option<Timestamp>) -> Result<bool> {
        let mut transaction = self.target.tables()?.begin().await?;
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
            Some(now) => self.row(now),
            // The epoch stays, so that it never repeats.
            None => row_of(&self.table, &self.reader, &[("epoch", signed(self.epoch))]),
        };
        transaction.upsert(&self.table, &[row]).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// Renews a lease until it is lost. A target that cannot be reached does not give it to anybody else either; once its time
/// is over it counts as lost all the same, as only the target could tell.
async fn keep(claim: Claim, lost: Arc<AtomicBool>) {
    let mut good_until = Instant::now() + TIME_TO_LIVE;
    loop {
        tokio::time::sleep(RENEWED_EVERY).await;
        let begun = Instant::now();
        let renewed = async {
            let now = claim.target.tables()?.now().await?;
            claim.write(Some(now)).await
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
