//! The replication slot of a reader: what keeps the log for it.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use wire::Connection;
use wire::replication::{CreateSlot, CreatedSlot, Lsn, SnapshotAction};

use super::failure;
use super::requirement::name_parameter;
use crate::error::{Error, ErrorKind, Result};

/// The first version that moves slots on which nobody reads.
const ADVANCE_VERSION: u32 = 11;
/// The output plugin that is decoded here.
const PLUGIN: &str = "pgoutput";
/// After so long it is told what the creation of a slot waits for.
const LONG_WAIT: Duration = Duration::from_secs(10);
/// How long a slot that is to be dropped may stay in use after its connection was told to end.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is tried meanwhile.
const RELEASE_INTERVAL: Duration = Duration::from_millis(50);

/// Whether a slot may be left without a connection that reads it: the server moves it all the same, and does not give it up as
/// idle, which it can since version 18.
pub(super) async fn may_rest(connection: &mut Connection) -> Result<bool> {
    if connection.server_major_version()? < ADVANCE_VERSION {
        return Ok(false);
    }
    let sql = "SELECT coalesce(current_setting('idle_replication_slot_timeout', true), '0')";
    let result = connection.query(sql, &[]).await?;
    let timeout = result.rows.get(0).map(|row| row.get_str(0)).transpose()?.flatten();
    Ok(timeout.is_none_or(|timeout| timeout == "0"))
}

/// A slot as the server has it.
#[derive(Debug)]
pub(super) struct SlotState {
    /// Whether it is a permanent one of this database, with the plugin that is decoded here.
    pub(super) is_readable_here: bool,
    pub(super) is_active: bool,
    /// Where the server would begin to send at the earliest.
    pub(super) confirmed: Option<u64>,
    pub(super) retained_bytes: u64,
    /// Whether standbys may keep it too, where the server can have that.
    pub(super) is_failover: Option<bool>,
    is_invalidated: bool,
    invalidation_reason: Option<String>,
}

impl SlotState {
    /// Reads a slot; `None` if there is none of this name.
    pub(super) async fn read(connection: &mut Connection, name: &str) -> Result<Option<Self>> {
        // Columns that some versions lack are read by way of JSON.
        let sql = "
            SELECT coalesce(s.plugin, ''), s.database IS NOT DISTINCT FROM current_database() AND NOT s.temporary,
                   s.active, s.confirmed_flush_lsn - '0/0'::pg_lsn,
                   greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn), 0)::bigint,
                   coalesce(to_jsonb(s) ->> 'wal_status' = 'lost', false), to_jsonb(s) ->> 'invalidation_reason',
                   to_jsonb(s) ->> 'failover'
            FROM pg_replication_slots s WHERE s.slot_name = $1";
        let result = connection.query(sql, &name_parameter(name)).await?;
        let Some(row) = result.rows.get(0) else { return Ok(None) };
        let text = |column: usize| -> Result<&str> { Ok(row.get_str(column)?.unwrap_or_default()) };
        Ok(Some(Self {
            is_readable_here: text(0)? == PLUGIN && text(1)? == "t",
            is_active: text(2)? == "t",
            confirmed: row.get_str(3)?.and_then(|bytes| bytes.parse().ok()),
            retained_bytes: text(4)?.parse().unwrap_or(0),
            is_failover: row.get_str(7)?.map(|failover| failover == "true"),
            is_invalidated: text(5)? == "t",
            invalidation_reason: row.get_str(6)?.map(str::to_owned),
        }))
    }

    /// Why nothing more can be read from it, if that is so.
    pub(super) fn lost(&self, name: &str) -> Option<String> {
        if !self.is_readable_here {
            return Some(format!("the replication slot \"{name}\" is another than the one that was created"));
        }
        if !self.is_invalidated && self.invalidation_reason.is_none() {
            return None;
        }
        let reason =
            self.invalidation_reason.as_deref().unwrap_or("more log was kept than the server allows");
        Some(format!("the server has given up the replication slot \"{name}\": {reason}"))
    }
}

/// Creates a slot whose snapshot is exported, and which standbys keep too where the server can have that. It waits for the
/// transactions that are running.
pub(super) async fn create(connection: &mut Connection, name: &str, temporary: bool) -> Result<CreatedSlot> {
    let (name, snapshot) = (name.to_owned(), SnapshotAction::Export);
    let slot = CreateSlot { name, temporary, snapshot, failover: !temporary };
    let creating = connection.create_replication_slot(&slot);
    tokio::pin!(creating);
    let created = match timeout(LONG_WAIT, &mut creating).await {
        Ok(created) => created,
        Err(_) => {
            tracing::warn!(
                "the log of changes can be opened once every transaction has ended that ran before; \
                 pg_stat_activity shows them"
            );
            creating.await
        }
    };
    created.map_err(failure::of_creating)
}

/// Moves a slot that nobody reads on to a position, so that the log before it need not be kept.
pub(super) async fn advance(connection: &mut Connection, name: &str, to: Lsn) -> Result<()> {
    // The server refuses to move one back.
    let sql = "
        SELECT pg_replication_slot_advance(s.slot_name, least($2::pg_lsn, pg_current_wal_flush_lsn()))
        FROM pg_replication_slots s
        WHERE s.slot_name = $1 AND NOT s.active
          AND s.confirmed_flush_lsn < least($2::pg_lsn, pg_current_wal_flush_lsn())";
    connection.query(sql, &[name.into(), to.to_string().into()]).await?;
    Ok(())
}

/// Drops a slot, if it exists, that nobody reads.
///
/// # Errors
/// [`ErrorKind::Conflict`] if somebody does.
pub(super) async fn drop_unused(connection: &mut Connection, name: &str) -> Result<()> {
    let dropped = connection.query("SELECT pg_drop_replication_slot($1)", &name_parameter(name)).await;
    match dropped.map_err(Error::from) {
        Ok(_) => Ok(()),
        Err(error) if error.code() == "42704" => Ok(()),
        Err(error) if error.code() == "55006" => Err(Error::new(
            ErrorKind::Conflict,
            format!("the replication slot \"{name}\" is in use by another connection"),
        )
        .with_source(error)),
        Err(error) => Err(error),
    }
}

/// Drops a slot, if it exists, and ends the connection that reads it.
pub(super) async fn drop_used(connection: &mut Connection, name: &str) -> Result<()> {
    let deadline = Instant::now() + RELEASE_TIMEOUT;
    loop {
        match drop_unused(connection, name).await {
            Err(error) if error.kind() == ErrorKind::Conflict && Instant::now() < deadline => {}
            result => return result,
        }
        let end = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1";
        connection.query(end, &name_parameter(name)).await?;
        sleep(RELEASE_INTERVAL).await;
    }
}
