//! Applying one migration at one place, or taking it back: in one transaction with its record, or outside of any.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{join, join3};

use super::checksum;
use super::control::Control;
use super::database::{Database, failed, first, quoted, text};
use super::definition::{Migration, Place, Source};
use super::error::Error;
use super::host::{Direction, Event, Host, ScriptCall};
use super::script_session::{Limits, ScriptSession, arrange};
use super::settings::Settings;
use super::state::{Standing, StateRow};
use super::statements::{
    Control as TransactionControl, Statement, may_commit, split, stands_alone, transaction_control,
};
use crate::engine::Engine;

/// Failures after which a transaction may succeed when it is tried again: lock not available, deadlock, serialization.
const OF_LOCKS: [&str; 3] = ["55P03", "40P01", "40001"];
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Back to what the connection was, but that a statement ends soon after its runner has died.
/// (servers before 14 do not know that setting).
const RESET: &str = "RESET SESSION AUTHORIZATION; RESET ALL; \
    SELECT pg_catalog.set_config('client_connection_check_interval', '1000', false) \
    WHERE pg_catalog.current_setting('client_connection_check_interval', true) = '0'";
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

impl<'a> Workshop<'a> {
    /// Carries out a task, again if a lock was in its way.
    pub(crate) async fn carry_out(&self, task: Task<'_>) -> Result<(), Error> {
        let mut attempt = 1;
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.attempt(task).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let is_over = attempt > self.settings.retries() || !task.migration.transaction;
            if is_over || !OF_LOCKS.contains(&error.code()) || self.is_half_done(task).await {
                return Err(error);
            }
            attempt += 1;
            let (version, place) = (task.migration.version.clone(), task.place.clone());
            self.host.tell(Event::Retried { version, place, attempt, message: error.to_string() });
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    /// Whether a function left its transaction before it failed.
    async fn is_half_done(&self, task: Task<'_>) -> bool {
        let Ok((database, control)) = self.take(&task.place.cluster).await else { return true };
        let states = StateRow::read_all(&database, control, &self.settings.migrations_table).await;
        self.give_back(database);
        states.is_ok_and(|states| {
            states.iter().any(|state| {
                state.standing.is_half_done()
                    && state.version == task.migration.version
                    && state.place == *task.place
            })
        })
    }

    async fn attempt(&self, task: Task<'_>) -> Result<(), Error> {
        let (database, control) = self.take(&task.place.cluster).await?;
        let session = self.script_session(&database, control, task, true);
        let outcome = if task.migration.transaction && task.resumed.is_none() {
            self.in_transaction(&session, task).await
        } else {
            self.outside(&session, task).await
        };
        match outcome {
            Ok(()) => self.give_back(database),
            // The connection is not used again: who knows what was done to it.
            Err(ref error) => self.note_failure(&session, task, error).await,
        }
        outcome
    }

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
        let Settings { ddl_lock_timeout: lock, statement_timeout: statement, .. } = *self.settings;
        let names = (self.settings.migrations_table.as_str(), self.settings.runner.as_str());
        let limits = Limits { lock, statement };
        let (database, control) = (Arc::clone(database), control.clone());
        Arc::new(ScriptSession::new(database, control, running, limits, names, can_leave))
    }

    /// Everything in one transaction, unless a function leaves it.
    async fn in_transaction(&self, session: &Arc<ScriptSession>, task: Task<'_>) -> Result<(), Error> {
        let start = Instant::now();
        self.begin(session, task).await?;
        self.run_body(session, task).await?;
        // Both are sent at once, in this order: a COMMIT after a failure undoes everything.
        let (recorded, committed) =
            join(self.record(session, task, start), self.run(session, "committing", "COMMIT")).await;
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
            "SELECT locked_by, locked_at::text FROM {} WHERE lock_key = pg_catalog.left($1::text, 255)",
            session.control.locks
        );
        let rows = session.database.query(LOCKING_OUT, &sql, &[Some(&lock_key(task))]).await?;
        let holder = rows.first().map(|row| format!("{} since {}", text(row, 0), text(row, 1)));
        Ok(holder.unwrap_or_default())
    }

    /// Runs the function or the SQL of the migration in the transaction that is open.
    pub(crate) async fn run_body(&self, session: &Arc<ScriptSession>, task: Task<'_>) -> Result<(), Error> {
        match sql_of(task)? {
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

    async fn call(&self, session: &Arc<ScriptSession>, task: Task<'_>) -> Result<(), Error> {
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
        session.database.query("recording the migration", &sql, &values).await?;
        if session.has_left() {
            // The function may have left a transaction of its own open. Without one this does nothing.
            self.run(session, "committing", "COMMIT").await?;
        }
        Ok(())
    }

    /// Without a transaction around it: that it runs is noted before, statement by statement where it is SQL.
    async fn outside(&self, session: &Arc<ScriptSession>, task: Task<'_>) -> Result<(), Error> {
        let start = Instant::now();
        self.begin(session, task).await?;
        session.leave_transaction().await?;
        match sql_of(task)? {
            None => self.call(session, task).await?,
            Some(sql) => self.run_statements(session, task, sql).await?,
        }
        self.record(session, task, start).await
    }

    /// Runs statements each with the note that it has run in one transaction, where the server allows that.
    async fn run_statements(&self, session: &ScriptSession, task: Task<'_>, sql: &str) -> Result<(), Error> {
        let database = &session.database;
        let mut state = session.running.clone();
        let mut in_own_transaction = false;
        for (number, statement) in split(sql).iter().enumerate().skip(state.statement) {
            let control = transaction_control(&statement.text);
            let stands_alone = || stands_alone(&statement.text) || may_commit(&statement.text);
            let is_alone = control.is_some() || in_own_transaction || stands_alone();
            let noted = |source| failed(&at_line(task, statement, &source), source);
            if !is_alone {
                database.run("BEGIN", &[]).await.map_err(noted)?;
            } else if task.resumed.is_some() && number == session.running.statement {
                drop_invalid_index(database, &statement.text).await.map_err(noted)?;
            }
            database.run(&statement.text, &[]).await.map_err(noted)?;
            in_own_transaction = match control {
                Some(TransactionControl::Begins) => true,
                Some(TransactionControl::Ends) => false,
                None => in_own_transaction,
            };
            if in_own_transaction {
                continue;
            }
            state.statement = number + 1;
            let written = state.write(database, &session.control, &session.history, &session.runner).await;
            written.map_err(noted)?;
            if !is_alone {
                database.run("COMMIT", &[]).await.map_err(noted)?;
            }
        }
        Ok(())
    }

    /// Rolls back what is open, and notes what is known of the failure. If the server cannot be reached any more, what was
    /// noted before stays.
    pub(crate) async fn note_failure(&self, session: &ScriptSession, task: Task<'_>, error: &Error) {
        let _ = session.database.run("ROLLBACK", &[]).await;
        let _ = session.database.run(RESET, &[]).await;
        let history = &self.settings.migrations_table;
        let states =
            StateRow::read_all(&session.database, &session.control, history).await.unwrap_or_default();
        let known = states
            .into_iter()
            .find(|state| state.version == task.migration.version && state.place == *task.place);
        let mut state = match known {
            Some(known) if known.standing.is_half_done() => StateRow { standing: Standing::Broken, ..known },
            Some(known) if known.standing == Standing::Adopted => return,
            _ if task.direction == Direction::Down => return,
            _ => StateRow::new(&task.migration.version, task.place, Standing::Failed, task.direction),
        };
        state.message = Some(error.to_string());
        let _ = state.write(&session.database, &session.control, history, &self.settings.runner).await;
    }

    async fn run(&self, session: &ScriptSession, what: &str, sql: &str) -> Result<(), Error> {
        session.database.query(what, sql, &[]).await.map(drop)
    }
}

/// A concurrent build that was interrupted leaves an index that is not valid; it must be gone before the next attempt. One
/// that was completed is dropped as well, which only costs time.
async fn drop_invalid_index(database: &Database, statement: &str) -> Result<(), crate::Error> {
    let Some(index) = super::statements::concurrent_index(statement) else { return Ok(()) };
    database.run(&format!("DROP INDEX CONCURRENTLY IF EXISTS {index}"), &[]).await.map(drop)
}

/// The SQL of a task; `None` if it is a function.
fn sql_of(task: Task<'_>) -> Result<Option<&str>, Error> {
    match (&task.migration.source, task.direction) {
        (Source::Script, _) => Ok(None),
        (Source::Sql(file), Direction::Up) => Ok(Some(&file.up)),
        (Source::Sql(file), Direction::Down) => {
            task.migration.check_reversible()?;
            Ok(file.down.as_deref())
        }
    }
}

/// The file and the line of a failure: where in the statement the server says it is, else where the statement begins.
fn at_line(task: Task<'_>, statement: &Statement, error: &crate::Error) -> String {
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
