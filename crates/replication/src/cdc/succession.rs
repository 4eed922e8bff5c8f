//! Going on at another server: a source whose place was taken leaves its checkpoint to the one that took it.
//!
//! A reader is named by the identity of its source, so that the same rule has another reader at another server. Where positions mean
//! the same at both, and the new server is proven to have everything that was read of the old one, the checkpoint, the parts of
//! a first copy and the rows set aside become those of the new reader.

use std::sync::Arc;
use std::time::Duration;

use data::log::ChangeLog;
use data::table::{Row, ScanOptions, Table, TableTransaction};
use data::{Result, Value};
use tokio::time::{Instant, sleep};

use super::checkpoint::{Checkpoint, checkpoints_of};
use super::control_tables::{ControlTables, Fields, KEY, READER};
use super::lease::Lease;
use crate::snapshot::End;

/// How long the lease of the reader before is waited for: a process that has died holds it for a few seconds.
const LEASE_AWAITED: Duration = Duration::from_secs(5);
const LEASE_ASKED: Duration = Duration::from_millis(200);

/// A reader that has no checkpoint of its own.
pub(super) struct Succession<'a> {
    pub(super) rule: &'a str,
    pub(super) target: &'a End,
    pub(super) control: &'a ControlTables,
    pub(super) reader: &'a str,
}

impl Succession<'_> {
    /// Takes over the checkpoint that the rule wrote last with another server as its source, if this log goes on there and no
    /// process goes on with it.
    pub(super) async fn take_over(&self, log: &dyn ChangeLog) -> Result<Option<Checkpoint>> {
        let Some(before) = self.predecessor(log).await? else { return Ok(None) };
        let Some(lease) = self.lease_of(&before.reader).await? else { return Ok(None) };
        // The process that gave the lease back may have read on.
        let taken = match self.predecessor(log).await? {
            Some(found) if found.reader == before.reader => Some(self.rename(found).await?),
            _ => None,
        };
        lease.release().await?;
        Ok(taken)
    }

    async fn predecessor(&self, log: &dyn ChangeLog) -> Result<Option<Checkpoint>> {
        let Some(lineage) = log.lineage() else { return Ok(None) };
        let of_rule = checkpoints_of(self.target, &self.control.checkpoint, self.rule).await?;
        let related = of_rule.into_iter().filter(|found| found.lineage.as_ref() == Some(&lineage));
        let Some(last) = related.max_by_key(|found| found.applied_at.0) else { return Ok(None) };
        Ok(log.goes_on(&last.position).await?.then_some(last))
    }

    async fn lease_of(&self, reader: &str) -> Result<Option<Lease>> {
        let owner = uuid::Uuid::new_v4().to_string();
        let deadline = Instant::now() + LEASE_AWAITED;
        loop {
            let lease = Lease::take(self.target, &self.control.lease, reader, &owner).await?;
            if lease.is_some() || Instant::now() >= deadline {
                return Ok(lease);
            }
            sleep(LEASE_ASKED).await;
        }
    }

    /// Makes everything of the reader before this one's.
    async fn rename(&self, before: Checkpoint) -> Result<Checkpoint> {
        let (old, control) = (before.reader.clone(), self.control);
        let mut kept = Vec::new();
        for table in [&control.chunk, &control.dead_letter] {
            kept.push((table, self.rows_of(table, &old).await?));
        }
        let taken = Checkpoint { reader: self.reader.to_owned(), ..before };
        let mut transaction = self.target.tables()?.begin().await?;
        for (table, rows) in kept {
            self.rename_rows(transaction.as_mut(), table, &old, rows).await?;
        }
        transaction.delete(&control.checkpoint, &[vec![Value::from(old.as_str())]]).await?;
        taken.store(transaction.as_mut(), &control.checkpoint).await?;
        transaction.commit().await?;
        tracing::info!(
            rule = self.rule,
            reader = self.reader,
            before = old,
            "the rule goes on at another server"
        );
        Ok(taken)
    }

    async fn rows_of(&self, table: &Table, reader: &str) -> Result<Vec<Row>> {
        let snapshot = self.target.tables()?.snapshot().await?;
        let mut batches = snapshot.scan(Arc::new(table.clone()), ScanOptions::default()).await?;
        let mut found = Vec::new();
        while let Some(batch) = batches.recv().await {
            let rows = batch?.into_rows()?;
            found.extend(rows.into_iter().filter(|row| Fields::of(table, row).text(READER) == Some(reader)));
        }
        Ok(found)
    }

    /// The keys of these rows begin with the name of their reader.
    async fn rename_rows(
        &self,
        transaction: &mut dyn TableTransaction,
        table: &Table,
        old: &str,
        mut rows: Vec<Row>,
    ) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let (key, reader) = (table.position(KEY), table.position(READER));
        let mut old_keys = Vec::with_capacity(rows.len());
        for row in &mut rows {
            let Some(id) = key.and_then(|at| row.get_mut(at)) else { continue };
            let rest = id.as_text().and_then(|id| id.strip_prefix(old)).unwrap_or_default().to_owned();
            old_keys.push(vec![std::mem::replace(id, Value::from(format!("{}{rest}", self.reader)))]);
            if let Some(named) = reader.and_then(|at| row.get_mut(at)) {
                *named = Value::from(self.reader);
            }
        }
        transaction.delete(table, &old_keys).await?;
        transaction.upsert(table, &rows).await
    }
}
