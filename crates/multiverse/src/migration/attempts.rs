//! Attempts at a step of a plan: again if a lock was in the way, and what is noted of one that failed.

use super::apply::{FIRST_PAUSE, RESET, Task, Workshop};
use super::database::{Database, first};
use super::error::Error;
use super::host::{Direction, Event};
use super::script_session::ScriptSession;
use super::state::{Standing, StateRow};

/// Failures after which a transaction may succeed when it is tried again: lock not available, deadlock, serialization.
const OF_LOCKS: [&str; 3] = ["55P03", "40P01", "40001"];

impl Workshop<'_> {
    /// Carries out the tasks of one migration, together if there are several, and again if a lock was in their way.
    pub(crate) async fn carry_out(&self, tasks: &[Task<'_>]) -> Result<(), Error> {
        let mut attempt = 1;
        let mut pause = FIRST_PAUSE;
        loop {
            let outcome = match tasks {
                [task] => self.attempt(*task).await,
                tasks => self.attempt_together(tasks).await,
            };
            let Err(error) = outcome else { return Ok(()) };
            let in_transaction = tasks.iter().all(|task| task.migration.transaction);
            let may_retry = attempt <= self.settings.retries() && in_transaction;
            if !may_retry || !OF_LOCKS.contains(&error.code()) || self.is_half_done(tasks).await {
                return Err(error);
            }
            attempt += 1;
            for task in tasks {
                let (version, place) = (task.migration.version.clone(), task.place.clone());
                self.host.tell(Event::Retried { version, place, attempt, message: error.to_string() });
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    /// Whether a function left its transaction before it failed, as one that runs alone can.
    async fn is_half_done(&self, tasks: &[Task<'_>]) -> bool {
        let [task] = tasks else { return false };
        let Ok((database, control)) = self.take(&task.place.cluster).await else { return true };
        let states = StateRow::read_all(&database, control, &self.settings.migrations_table).await;
        self.give_back(database);
        states.is_ok_and(|states| {
            states.iter().any(|state| state.standing.is_half_done() && is_of(state, *task))
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

    /// Rolls back what is open, and notes what is known of the failure: on a new connection where this one is what failed. If
    /// the server cannot be reached any more, what was noted before stays.
    pub(crate) async fn note_failure(&self, session: &ScriptSession, task: Task<'_>, error: &Error) {
        let _ = session.database.run("ROLLBACK", &[]).await;
        let _ = session.database.run(RESET, &[]).await;
        if self.note_on(&session.database, session, task, error).await.is_ok() {
            return;
        }
        if let Ok((database, _)) = self.take(&task.place.cluster).await {
            let _ = self.note_on(&database, session, task, error).await;
            self.give_back(database);
        }
    }

    async fn note_on(
        &self,
        database: &Database,
        session: &ScriptSession,
        task: Task<'_>,
        error: &Error,
    ) -> Result<(), Error> {
        let (history, control) = (&self.settings.migrations_table, &session.control);
        let states = StateRow::read_all(database, control, history).await?;
        let known = states.into_iter().find(|state| is_of(state, task));
        let mut state = match known {
            Some(known) if known.standing.is_half_done() => StateRow { standing: Standing::Broken, ..known },
            Some(known) if known.standing == Standing::Adopted => return Ok(()),
            _ if task.direction == Direction::Down || self.is_recorded(database, session, task).await? => {
                return Ok(());
            }
            _ => StateRow::new(&task.migration.version, task.place, Standing::Failed, task.direction),
        };
        state.message = Some(error.to_string());
        let written = state.write(database, control, history, &self.settings.runner).await;
        written.map_err(|source| super::database::failed("noting the failure", source))
    }

    /// Notes that a migration was not run because of another failure, so that it may be applied after later ones.
    pub(crate) async fn note_unrun(&self, task: Task<'_>, error: &Error) {
        let Ok((database, control)) = self.take(&task.place.cluster).await else { return };
        let session = self.script_session(&database, control, task, false);
        let _ = self.note_on(&database, &session, task, error).await;
        drop(session);
        self.give_back(database);
    }

    /// A connection may be lost between the commit and the answer to it.
    async fn is_recorded(
        &self,
        database: &Database,
        session: &ScriptSession,
        task: Task<'_>,
    ) -> Result<bool, Error> {
        let sql = format!(
            "SELECT version FROM {} WHERE version = $1 AND schema_name = $2 AND cluster_id = $3",
            session.control.history
        );
        let values =
            [Some(task.migration.version.as_str()), Some(&*task.place.schema), Some(&*task.place.cluster)];
        Ok(first(&database.query("reading the history", &sql, &values).await?).is_some())
    }
}

fn is_of(state: &StateRow, task: Task<'_>) -> bool {
    state.version == task.migration.version && state.place == *task.place
}
