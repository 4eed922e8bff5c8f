//! The connection on which a function of a migration runs, and the transaction around it until the function leaves that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join;

use super::control::Control;
use super::database::Database;
use super::definition::Place;
use super::state::StateRow;
use crate::error::Error;

/// The statement that sets the search path and the time limits. They end with the transaction if `$4` says so.
const ARRANGE: &str = "SELECT pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ', \
    (SELECT pg_catalog.quote_ident(nspname) FROM pg_catalog.pg_namespace WHERE nspname = $1::text), \
    NULLIF(pg_catalog.current_setting('search_path'), '')), $4::bool), \
    pg_catalog.set_config('lock_timeout', COALESCE($2::text, pg_catalog.current_setting('lock_timeout')), $4::bool), \
    pg_catalog.set_config('statement_timeout', \
    COALESCE($3::text, pg_catalog.current_setting('statement_timeout')), $4::bool)";

/// What the function has set for the session, of that which is arranged for it.
const OWN_SETTINGS: &str = "SELECT name::text, pg_catalog.current_setting(name) FROM pg_catalog.pg_settings \
    WHERE source = 'session' AND name IN ('search_path', 'lock_timeout', 'statement_timeout')";

/// Until the transaction ends, whoever the migration has become.
const OWN_ROLE: &str = "SET LOCAL session_authorization TO DEFAULT; SET LOCAL role TO DEFAULT; \
    SET LOCAL timezone TO DEFAULT; SET LOCAL client_encoding TO 'UTF8'";

/// Time limits of statements, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) lock: Option<u64>,
    pub(crate) statement: Option<u64>,
}

/// Puts the schema first on the search path, where it exists, and sets the limits.
pub(crate) async fn arrange(
    database: &Database,
    place: &Place,
    limits: Limits,
    is_local: bool,
) -> Result<(), Error> {
    let (lock, statement) = (limits.lock.map(|ms| ms.to_string()), limits.statement.map(|ms| ms.to_string()));
    let is_local = if is_local { "true" } else { "false" };
    let values = [Some(&*place.schema), lock.as_deref(), statement.as_deref(), Some(is_local)];
    database.run(ARRANGE, &values).await.map(drop)
}

/// A connection with the transaction of a migration.
pub struct ScriptSession {
    pub(crate) database: Arc<Database>,
    pub(crate) control: Control,
    /// What is recorded when the function leaves the transaction.
    pub(crate) running: StateRow,
    pub(crate) limits: Limits,
    pub(crate) history: String,
    pub(crate) runner: String,
    /// Only a transaction that belongs to one migration can be left.
    pub(crate) can_leave: bool,
    has_left: AtomicBool,
}

impl ScriptSession {
    pub(crate) fn new(
        database: Arc<Database>,
        control: Control,
        running: StateRow,
        limits: Limits,
        (history, runner): (&str, &str),
        can_leave: bool,
    ) -> Self {
        let (history, runner) = (history.to_owned(), runner.to_owned());
        let has_left = AtomicBool::new(false);
        Self { database, control, running, limits, history, runner, can_leave, has_left }
    }

    /// The number of the session in the engine.
    #[must_use]
    pub fn session(&self) -> u64 {
        self.database.session().id.0
    }

    /// The process id of the session on the server.
    #[must_use]
    pub fn process_id(&self) -> i32 {
        self.database.session().process_id
    }

    /// Whether the function's statements run in transactions of their own by now.
    pub(crate) fn has_left(&self) -> bool {
        self.has_left.load(Ordering::SeqCst)
    }

    /// Writes how far the migration has come, in the transaction that is open. The migration may have become somebody who has
    /// no right to the control tables, and stays that afterwards.
    pub(crate) async fn note(&self, state: &StateRow) -> Result<(), Error> {
        // Both are sent at once, in this order.
        let (regained, written) = join(self.database.run(OWN_ROLE, &[]), self.write(state)).await;
        regained.and(written)
    }

    async fn write(&self, state: &StateRow) -> Result<(), Error> {
        state.write(&self.database, &self.control, &self.history, &self.runner).await
    }

    /// Ends the transaction around the function, because a statement comes that is none to run in it. What has run before
    /// is committed together with the note that the migration is not complete. Doing it again does nothing.
    ///
    /// # Errors
    /// Of the server, or where the migration must be one transaction.
    pub async fn leave_transaction(&self) -> Result<(), super::error::Error> {
        if self.has_left() {
            return Ok(());
        }
        let version = &self.running.version;
        if !self.can_leave {
            return Err(super::error::Error::Invalid(format!(
                "Migration {version} is atomic or only tried out, so that it cannot leave its transaction"
            )));
        }
        let left = self.leave().await;
        left.map_err(|source| super::database::failed("leaving the transaction of the migration", source))
    }

    async fn leave(&self) -> Result<(), Error> {
        let database = &self.database;
        match self.note(&self.running).await {
            Ok(()) => database.run("COMMIT", &[]).await?,
            // The transaction has failed, and the function is about to roll it back.
            Err(Error::Server(error)) if error.code == "25P02" => {
                database.run("ROLLBACK", &[]).await?;
                self.write(&self.running).await?;
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        self.has_left.store(true, Ordering::SeqCst);
        let own = database.run(OWN_SETTINGS, &[]).await?;
        arrange(database, &self.running.place, self.limits, false).await?;
        for setting in &own {
            let values =
                [setting.first().and_then(Option::as_deref), setting.get(1).and_then(Option::as_deref)];
            database.run("SELECT pg_catalog.set_config($1, $2, false)", &values).await?;
        }
        Ok(())
    }
}
