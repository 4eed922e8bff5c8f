//! Progress of PostgreSQL: physical standbys and logical subscriptions, in bytes of the write-ahead log.

use super::{Progress, ServerRole, flag, integer, position};
use crate::dialect::Dialect;
use crate::error::Result;
use crate::record::Record;
use crate::value::Value;

/// Functions that fail in recovery, or outside of it, are not reached there. The rows of `pg_stat_wal_receiver` are seen
/// by every user, though not what is in them.
const PROGRESS: &str = "\
SELECT r.standby,
  CASE WHEN NOT r.standby THEN (pg_current_wal_lsn() - '0/0'::pg_lsn)::text END AS written,
  CASE WHEN r.standby THEN (pg_last_wal_receive_lsn() - '0/0'::pg_lsn)::text END AS received,
  CASE WHEN r.standby THEN (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::text END AS applied,
  CASE WHEN r.standby
    THEN (extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000000)::bigint::text END AS applied_at,
  (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text AS now,
  EXISTS (SELECT FROM pg_stat_wal_receiver) AS receiving,
  (SELECT system_identifier::text FROM pg_control_system()) AS cluster,
  EXISTS (SELECT FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum'))
    AND current_setting('synchronous_commit') NOT IN ('off', 'local') AS synchronous,
  (SELECT string_agg(slot_name, ',') FROM pg_replication_slots WHERE slot_type = 'logical') AS slots,
  s.subscriptions, s.workers, s.subscribed, s.sent_at, s.names
FROM (SELECT pg_is_in_recovery() AS standby) r, LATERAL (
  SELECT count(*)::int AS subscriptions, count(w.pid)::int AS workers,
    (min(w.received_lsn) - '0/0'::pg_lsn)::text AS subscribed,
    (extract(epoch FROM min(w.last_msg_send_time)) * 1000000)::bigint::text AS sent_at,
    string_agg(p.subslotname, ',') AS names
  FROM pg_subscription p JOIN pg_stat_subscription w ON w.subid = p.oid AND w.relid IS NULL
  WHERE p.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())) s";

/// What is committed asynchronously is not in what was written yet, but in what was inserted.
const END_OF_LOG: &str = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text AS written";

const SERVER: &str = "SELECT pg_postmaster_start_time()::text || ' ' || current_setting('port') AS server";

const PROMOTE: &str = "SELECT pg_promote(true, $1::int) AS promoted";

pub(super) async fn progress(database: &dyn Dialect) -> Result<Progress> {
    let rows = database.execute_query(PROGRESS, Vec::new()).await?;
    let Some(row) = rows.first() else { return Ok(Progress::of(ServerRole::Primary)) };
    let (subscriptions, workers) = (integer(row, "subscriptions"), integer(row, "workers"));
    let mut progress = Progress {
        written: position(row, "written"),
        now: integer(row, "now"),
        cluster: row.get("cluster").and_then(Value::as_text).map(str::to_owned),
        feeds: names(row, "slots"),
        synchronous: flag(row, "synchronous"),
        byte_bits: u64::BITS,
        ..Progress::of(ServerRole::Primary)
    };
    if flag(row, "standby") {
        progress.role = ServerRole::Standby;
        progress.received = position(row, "received");
        progress.applied = position(row, "applied");
        progress.applied_at = integer(row, "applied_at");
        progress.receiving = flag(row, "receiving");
    } else if subscriptions.is_some_and(|count| count > 0) {
        progress.role = ServerRole::Subscriber;
        // A worker applies what it receives before it receives more.
        progress.received = position(row, "subscribed");
        progress.applied = progress.received;
        progress.applied_at = integer(row, "sent_at");
        progress.receiving = workers == subscriptions;
        progress.feeds = names(row, "names");
    }
    Ok(progress)
}

/// The names of a list; none of them has a comma in it.
fn names(row: &Record, column: &str) -> Vec<String> {
    let list = row.get(column).and_then(Value::as_text).unwrap_or_default();
    list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

pub(super) async fn end_of_log(database: &dyn Dialect) -> Result<Option<u64>> {
    let rows = database.execute_query(END_OF_LOG, Vec::new()).await?;
    Ok(rows.first().and_then(|row| position(row, "written")))
}

pub(super) async fn server(database: &dyn Dialect) -> Result<Option<String>> {
    let rows = database.execute_query(SERVER, Vec::new()).await?;
    Ok(rows.first().and_then(|row| row.get("server")?.as_text().map(str::to_owned)))
}

pub(super) async fn promote(database: &dyn Dialect, seconds: u32) -> Result<bool> {
    let seconds = Value::Int32(i32::try_from(seconds).unwrap_or(i32::MAX));
    let rows = database.execute_query(PROMOTE, vec![seconds]).await?;
    Ok(rows.first().is_some_and(|row| flag(row, "promoted")))
}
