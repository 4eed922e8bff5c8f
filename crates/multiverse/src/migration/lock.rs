//! The lock of a cluster: while one runner holds it, no other migrates there.
//!
//! It is an advisory lock that belongs to a transaction, so that a pooler between us and the server keeps the connection
//! for it. The transaction is idle and holds no snapshot, neither while it has the lock nor while others wait: waiting is
//! asking again and again. So no `CREATE INDEX CONCURRENTLY` ever waits for a runner that waits for it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::database::{Database, Rows, first, text};
use super::error::Error;
use super::host::{Event, Host};
use super::settings::Settings;
use crate::engine::Engine;

/// The first half of the lock's key: `rvmg` in letters.
const SPACE: &str = "1920363879";
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Migrations of which many are done in that time need not ask for each; two runners that do the same one at the same time
/// are kept apart by the table of locks as well.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Without these a server may end a transaction that does nothing.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
    SELECT pg_catalog.set_config(name, '0', true) FROM pg_catalog.pg_settings \
    WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout', 'statement_timeout')";
/// Drops the portal of the statement before it, which would keep its snapshot until the transaction ends, and has none
/// itself.
const DROP_SNAPSHOT: &str = "SET LOCAL idle_in_transaction_session_timeout = 0";
const NAME: &str = "SELECT pg_catalog.set_config('application_name', $1, true)";
const TRY: &str = "SELECT pg_catalog.pg_try_advisory_xact_lock($1::int4, $2::int4)::text";
const HOLDER: &str = "SELECT a.pid::text, a.usename::text, a.application_name, a.client_addr::text, \
    pg_catalog.to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') \
    FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid \
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = $1::oid AND l.objid = $2::oid \
    AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())";

/// The lock of a cluster. It is given back when this is dropped, or when the process ends.
pub(crate) struct ClusterLock {
    database: Database,
    /// When it was last known to be held.
    held_at: Mutex<Instant>,
}

impl ClusterLock {
    /// Waits for the lock.
    pub(crate) async fn acquire(
        engine: &Arc<Engine>,
        cluster: &str,
        settings: &Settings,
        host: &dyn Host,
    ) -> Result<Self, Error> {
        let start = Instant::now();
        let limit = Duration::from_millis(settings.lock_timeout);
        let key = key_of(settings, cluster).to_string();
        let database = Database::open(engine, cluster).await?;
        let mut pause = FIRST_PAUSE;
        let mut was_told = false;
        loop {
            if try_lock(&database, &key, &settings.runner).await? {
                return Ok(Self { database, held_at: Mutex::new(Instant::now()) });
            }
            let rows = database.query(WHAT, HOLDER, &[Some(SPACE), Some(&key)]).await?;
            database.query(WHAT, "ROLLBACK", &[]).await?;
            let waited = start.elapsed();
            if waited >= limit {
                let (cluster, holder) = (cluster.to_owned(), holder_in(&rows));
                return Err(Error::Locked { cluster, holder, waited_ms: waited.as_millis() });
            }
            if !was_told && !rows.is_empty() {
                was_told = true;
                host.tell(Event::Waiting { cluster: Arc::from(cluster), holder: holder_in(&rows) });
            }
            // Not all who wait should ask at the same moment; their servers' processes tell them apart.
            let spread = pause / 8 * (database.session().process_id.unsigned_abs() % 8);
            tokio::time::sleep((pause + spread).min(limit - waited)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Makes sure that the lock is still held, or was a moment ago.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        let held_at = || self.held_at.lock().unwrap_or_else(PoisonError::into_inner);
        if held_at().elapsed() < CHECK_INTERVAL {
            return Ok(());
        }
        let cluster = || self.database.cluster().to_string();
        match self.database.run(DROP_SNAPSHOT, &[]).await {
            Ok(_) => {
                *held_at() = Instant::now();
                Ok(())
            }
            Err(source) => Err(Error::LockLost { cluster: cluster(), source }),
        }
    }

    pub(crate) fn cluster(&self) -> &Arc<str> {
        self.database.cluster()
    }

    /// Gives the lock back, so that the next runner need not wait for the connection to be closed.
    pub(crate) async fn release(self) {
        // If this fails, the connection is gone, and the lock with it.
        let _ = self.database.run("ROLLBACK", &[]).await;
    }
}

const WHAT: &str = "locking migrations";

async fn try_lock(database: &Database, key: &str, runner: &str) -> Result<bool, Error> {
    database.query(WHAT, BEGIN, &[]).await?;
    // The server cuts names after 63 bytes.
    let name = format!("migrations: {runner}");
    database.query(WHAT, NAME, &[Some(&name)]).await?;
    let rows = database.query(WHAT, TRY, &[Some(SPACE), Some(key)]).await?;
    database.query(WHAT, DROP_SNAPSHOT, &[]).await?;
    Ok(first(&rows) == Some("true"))
}

fn holder_in(rows: &Rows) -> String {
    let Some(row) = rows.first() else { return "unknown".to_owned() };
    let address = match text(row, 3) {
        "" => "a local socket",
        address => address,
    };
    format!(
        "{} (server process {} of {} at {address}) since {}",
        text(row, 2),
        text(row, 0),
        text(row, 1),
        text(row, 4)
    )
}

/// The second half of the key: runners with the same history on the same cluster exclude each other. It must be the same in
/// every process and version.
fn key_of(settings: &Settings, cluster: &str) -> i32 {
    let digest = ring::digest::digest(
        &ring::digest::SHA256,
        format!("{}\n{cluster}", settings.migrations_table).as_bytes(),
    );
    let bytes = digest.as_ref().iter().take(4);
    bytes.fold(0_i32, |key, byte| key << 8 | i32::from(*byte)) & i32::MAX
}
