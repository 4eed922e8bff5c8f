//! Applying one migration at one place, or taking it back, in one transaction with its record.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{join, join3};

use super::checksum;
use super::control::Control;
use super::database::{Database, failed, first, quoted, text, time_in_utc};
use super::definition::{Migration, Place};
use super::error::Error;
use super::host::{Direction, Host, ScriptCall};
use super::script_session::{Limits, ScriptSession, arrange};
use super::settings::Settings;
use super::state::{Standing, StateRow};
use super::statements::{Statement, split};
use crate::engine::Engine;

/// The pause before another attempt.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Back to what the connection was, but that a statement ends soon after its runner has died.
/// (servers before 14 do not know that setting).
pub(crate) const RESET: &str = "RESET SESSION AUTHORIZATION; RESET ALL; \
    SELECT pg_catalog.set_config('client_connection_check_interval', '1000', false) \
    WHERE pg_catalog.current_setting('client_connection_check_interval', true) = '0'";
/// A migration may have become somebody else, who need not have any right to the control tables, and have set in which zone and
/// encoding times and names are written.
const OWN_ROLE: &str =
    "RESET SESSION AUTHORIZATION; RESET ROLE; RESET timezone; SET client_encoding TO 'UTF8'";
/// What belongs to a session does not outlive a migration.
pub(crate) const LEAVE_NOTHING: &str =
    "SELECT pg_catalog.pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; DISCARD TEMP";
/// Our locks in the table of pg-multiverse begin so. One that is left behind is no obstacle: our own runners exclude each
/// other by other means.
const OWN_LOCKS: &str = "replicaverse ";
const LOCKING_OUT: &str = "locking out other runners";

/// What all steps of a run share.
pub(crate) struct Workshop<'a> {
    pub(crate) engine: &'a Arc<Engine>,
    pub(crate) settings: &'a Settings,
    pub(crate) host: &'a dyn Host,
    pub(crate) controls: &'a HashMap<Arc<str>, Control>,
    /// Connections that are free.
    pub(crate) connections: Mutex<HashMap<Arc<str>, Vec<Arc<Database>>>>,
}

/// A migration that is to be applied or taken back at a place.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) migration: &'a Migration,
    pub(crate) place: &'a Place,
    pub(crate) direction: Direction,
    /// The number in the column `batch`.
    pub(crate) batch: i64,
    /// How far it had come, if it is continued.
    pub(crate) resumed: Option<&'a StateRow>,
}

impl<'a> Task<'a> {
    /// What is to run; `None` if it is a function.
    pub(crate) fn sql(&self) -> Result<Option<&'a str>, Error> {
        self.migration.sql(self.direction)
    }
}

impl<'a> Workshop<'a> {
    /// A free connection, or a new one.
    pub(crate) async fn take(&self, cluster: &Arc<str>) -> Result<(Arc<Database>, &'a Control), Error> {
        let control = self.controls.get(cluster);
        let control = control.ok_or_else(|| Error::Invalid(format!("Cluster not found: {cluster}")))?;
        let free = self.lock_connections().get_mut(cluster).and_then(Vec::pop);
        match free {
            Some(database) => Ok((database, control)),
            None => Ok((Arc::new(Database::open(self.engine, cluster).await?), control)),
        }
    }

    pub(crate) fn give_back(&self, database: Arc<Database>) {
        let cluster = Arc::clone(database.cluster());
        self.lock_connections().entry(cluster).or_default().push(database);
    }

    fn lock_connections(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, Vec<Arc<Database>>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn script_session(
        &self,
        database: &Arc<Database>,
        control: &Control,
        task: Task<'_>,
        can_leave: bool,
    ) -> Arc<ScriptSession> {
        let mut running =
            StateRow::new(&task.migration.version, task.place, Standing::Running, task.direction);
        running.statement = task.resumed.map_or(0, |state| state.statement);
        let Settings { ddl_lock_timeout: lock, statement_timeout: statement, lock_timeout, .. } =
            *self.settings;
        // Transactions that belong together may wait for each other, of which no server knows.
        let lock = lock.or((task.migration.atomic && !can_leave).then_some(lock_timeout));
        let names = (self.settings.migrations_table.as_str(), self.settings.runner.as_str());
        let limits = Limits { lock, statement };
        let (database, control) = (Arc::clone(database), control.clone());
        Arc::new(ScriptSession::new(database, control, running, limits, names, can_leave))
    }

    /// Everything in one transaction, unless a function leaves it.
    pub(super) async fn in_transaction(
        &self,
        session: &Arc<ScriptSession>,
        task: Task<'_>,
    ) -> Result<(), Error> {
        let start = Instant::now();
        self.begin(session, task).await?;
        self.run_body(session, task).await?;
        // They are sent at once, in this order: a COMMIT after a failure undoes everything.
        let (recorded, committed, _) = join3(
            self.record(session, task, start),
            self.run(session, "committing", "COMMIT"),
            self.run(session, "leaving nothing behind", LEAVE_NOTHING),
        )
        .await;
        recorded.and(committed)
    }

    /// Begins the transaction, in which the schema comes first and other runners' tasks wait.
    pub(crate) async fn begin(&self, session: &ScriptSession, task: Task<'_>) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_millis(self.settings.lock_timeout);
        loop {
            // They are sent at once, in this order.
            let (reset, begun, locked) = join3(
                self.run(session, "preparing the session", RESET),
                self.run(session, "beginning", "BEGIN"),
                self.lock_out_others(session, task),
            )
            .await;
            reset.and(begun)?;
            if locked? {
                break;
            }
            if Instant::now() >= deadline {
                let (cluster, holder) =
                    (task.place.cluster.to_string(), self.other_runner(session, task).await?);
                let waited_ms = u128::from(self.settings.lock_timeout);
                return Err(Error::Locked { cluster, holder, waited_ms });
            }
            self.run(session, "waiting for another runner", "ROLLBACK").await?;
            tokio::time::sleep(FIRST_PAUSE).await;
        }
        self.prepare_schema(session, task).await?;
        let arranged = arrange(&session.database, task.place, session.limits, true).await;
        arranged.map_err(|source| failed(&context("preparing the session", task), source))
    }

    /// Makes the transaction of one task ready for the next, as if it had just begun.
    pub(crate) async fn go_on(&self, session: &ScriptSession, task: Task<'_>) -> Result<(), Error> {
        const WHAT: &str = "preparing the session";
        self.run(session, WHAT, OWN_ROLE).await?;
        self.run(session, WHAT, "DISCARD TEMP; SET LOCAL search_path TO DEFAULT").await?;
        self.prepare_schema(session, task).await?;
        let arranged = arrange(&session.database, task.place, session.limits, true).await;
        arranged.map_err(|source| failed(&context(WHAT, task), source))
    }

    async fn prepare_schema(&self, session: &ScriptSession, task: Task<'_>) -> Result<(), Error> {
        if !self.settings.create_schemas || task.direction == Direction::Down {
            return Ok(());
        }
        let exists = "SELECT 1::text FROM pg_catalog.pg_namespace WHERE nspname = $1";
        let what = "making the schema";
        if session.database.query(what, exists, &[Some(&task.place.schema)]).await?.is_empty() {
            let sql = format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(&task.place.schema));
            session.database.query(what, &sql, &[]).await?;
        }
        Ok(())
    }

    /// Leaves a lock in the table of pg-multiverse, unless another runner has left one there. Within a transaction its
    /// runners wait for the end of that.
    async fn lock_out_others(&self, session: &ScriptSession, task: Task<'_>) -> Result<bool, Error> {
        let table = &session.control.locks;
        let sql = format!(
            "INSERT INTO {table} AS l (lock_key, locked_by, expires_at) \
             VALUES (pg_catalog.left($1::text, 255), pg_catalog.left($2::text, 255), \
             LOCALTIMESTAMP + $3::int8 * interval '1 millisecond') \
             ON CONFLICT (lock_key) DO UPDATE SET locked_by = excluded.locked_by, \
             locked_at = pg_catalog.now(), expires_at = excluded.expires_at \
             WHERE l.expires_at < LOCALTIMESTAMP OR pg_catalog.starts_with(l.locked_by, $4::text) RETURNING id::text"
        );
        let (key, owner) = (lock_key(task), format!("{OWN_LOCKS}{}", self.settings.runner));
        let limit = self.settings.lock_timeout.to_string();
        let values = [Some(&*key), Some(&*owner), Some(&*limit), Some(OWN_LOCKS)];
        Ok(first(&session.database.query(LOCKING_OUT, &sql, &values).await?).is_some())
    }

    /// Who has left a lock in the table of pg-multiverse, and since when.
    async fn other_runner(&self, session: &ScriptSession, task: Task<'_>) -> Result<String, Error> {
        let sql = format!(
            "SELECT locked_by, {} FROM {} WHERE lock_key = pg_catalog.left($1::text, 255)",
            time_in_utc("locked_at"),
            session.control.locks
        );
        let rows = session.database.query(LOCKING_OUT, &sql, &[Some(&lock_key(task))]).await?;
        let holder = rows.first().map(|row| format!("{} since {}", text(row, 0), text(row, 1)));
        Ok(holder.unwrap_or_default())
    }

    /// Runs the function or the SQL of the migration in the transaction that is open.
    pub(crate) async fn run_body(&self, session: &Arc<ScriptSession>, task: Task<'_>) -> Result<(), Error> {
        match task.sql()? {
            None => self.call(session, task).await,
            Some(sql) => {
                for statement in split(sql) {
                    let ran = session.database.run(&statement.text, &[]).await;
                    ran.map_err(|source| failed(&at_line(task, &statement, &source), source))?;
                }
                Ok(())
            }
        }
    }

    pub(super) async fn call(&self, session: &Arc<ScriptSession>, task: Task<'_>) -> Result<(), Error> {
        let call = ScriptCall {
            version: task.migration.version.clone(),
            direction: task.direction,
            place: task.place.clone(),
            session: Arc::clone(session),
        };
        self.host.run(call).await.map_err(Error::Script)
    }

    /// Enters the migration into the history, or takes it out, and settles what else was noted of it.
    pub(crate) async fn record(
        &self,
        session: &ScriptSession,
        task: Task<'_>,
        start: Instant,
    ) -> Result<(), Error> {
        let Control { history, locks, state } = &session.control;
        let settled = format!(
            "WITH unlocked AS (DELETE FROM {locks} WHERE lock_key = pg_catalog.left($4::text, 255)), \
             settled AS (DELETE FROM {state} WHERE history = $5::text AND version = $1::text \
             AND schema_name = $2::text AND cluster_id = $3::text) "
        );
        let (key, table) = (lock_key(task), &self.settings.migrations_table);
        let Migration { version, name, .. } = task.migration;
        let mut values = vec![
            Some(version.as_str()),
            Some(&task.place.schema),
            Some(&task.place.cluster),
            Some(&key),
            Some(table),
        ];
        let milliseconds = i32::try_from(start.elapsed().as_millis()).unwrap_or(i32::MAX).to_string();
        let (sum, batch) = (checksum::of_migration(task.migration), task.batch.to_string());
        let sql = match task.direction {
            Direction::Down => format!(
                "{settled} DELETE FROM {history} \
                 WHERE version = $1::text AND schema_name = $2::text AND cluster_id = $3::text"
            ),
            Direction::Up => {
                values.extend([Some(name.as_str()), Some(&*milliseconds), Some(&*sum), Some(&*batch)]);
                format!(
                    "{settled} INSERT INTO {history} \
                     (version, name, schema_name, cluster_id, execution_time, checksum, batch) \
                     VALUES ($1::text, $6::text, $2::text, $3::text, $7::int4, $8::text, $9::int4)"
                )
            }
        };
        const WHAT: &str = "recording the migration";
        // Both are sent at once, in this order.
        let (regained, recorded) =
            join(self.run(session, WHAT, OWN_ROLE), session.database.query(WHAT, &sql, &values)).await;
        regained.and(recorded.map(drop))?;
        if session.has_left() {
            // The function may have left a transaction of its own open. Without one this does nothing.
            self.run(session, "committing", "COMMIT").await?;
        }
        Ok(())
    }

    pub(crate) async fn run(&self, session: &ScriptSession, what: &str, sql: &str) -> Result<(), Error> {
        session.database.query(what, sql, &[]).await.map(drop)
    }
}

/// The file and the line of a failure: where in the statement the server says it is, else where the statement begins.
pub(crate) fn at_line(task: Task<'_>, statement: &Statement, error: &crate::Error) -> String {
    let position = error.server_error().and_then(|error| error.position).unwrap_or(1);
    let before = statement.text.chars().take(usize::try_from(position).unwrap_or(1).saturating_sub(1));
    let line = statement.line + before.filter(|each| *each == '\n').count();
    format!("{}:{line}", task.migration.label())
}

fn context(what: &str, task: Task<'_>) -> String {
    format!("{what} on cluster {}", task.place.cluster)
}

/// The key under which pg-multiverse locks.
fn lock_key(task: Task<'_>) -> String {
    let Place { schema, cluster } = task.place;
    let prefix = if task.direction == Direction::Down { "rollback-" } else { "" };
    format!("{prefix}{}-{schema}-{cluster}", task.migration.version)
}
