//! Running a migration outside of a transaction, statement by statement where it is SQL, so that it can be continued.

use std::sync::Arc;
use std::time::Instant;

use super::apply::{LEAVE_NOTHING, Task, Workshop, at_line};
use super::checksum::StatementSum;
use super::database::{Database, failed};
use super::error::Error;
use super::script_session::ScriptSession;
use super::statements::{Control, may_commit, sets_session, split, stands_alone, transaction_control};

/// What a server says of a statement that cannot run in a transaction.
const ACTIVE_TRANSACTION: &str = "25001";

impl Workshop<'_> {
    /// Without a transaction around it: that it runs is noted before, statement by statement where it is SQL.
    pub(super) async fn outside(&self, session: &Arc<ScriptSession>, task: Task<'_>) -> Result<(), Error> {
        let start = Instant::now();
        self.begin(session, task).await?;
        session.leave_transaction().await?;
        match task.sql()? {
            None => self.call(session, task).await?,
            Some(sql) => self.run_statements(session, task, sql).await?,
        }
        self.record(session, task, start).await?;
        self.run(session, "leaving nothing behind", LEAVE_NOTHING).await
    }

    /// Runs statements each with the note that it has run in one transaction, where the server allows that.
    async fn run_statements(&self, session: &ScriptSession, task: Task<'_>, sql: &str) -> Result<(), Error> {
        let database = &session.database;
        let mut state = session.running.clone();
        let mut in_own_transaction = false;
        let statements = split(sql);
        let before = statements.get(..state.statement).unwrap_or_default();
        let mut ran = StatementSum::of(before);
        // What they set went with the connection on which they ran.
        for statement in before.iter().filter(|statement| sets_session(&statement.text)) {
            database
                .run(&statement.text, &[])
                .await
                .map_err(|source| failed(&at_line(task, statement, &source), source))?;
        }
        for (number, statement) in statements.iter().enumerate().skip(state.statement) {
            ran.add(statement);
            let control = transaction_control(&statement.text);
            let stands_alone = || stands_alone(&statement.text) || may_commit(&statement.text);
            let mut is_alone = control.is_some() || in_own_transaction || stands_alone();
            let noted = |source| failed(&at_line(task, statement, &source), source);
            if !is_alone {
                database.run("BEGIN", &[]).await.map_err(noted)?;
            } else if task.resumed.is_some() && number == session.running.statement {
                drop_invalid_index(database, &statement.text).await.map_err(noted)?;
            }
            match database.run(&statement.text, &[]).await {
                // It is none that a transaction may hold after all.
                Err(crate::Error::Server(error)) if !is_alone && error.code == ACTIVE_TRANSACTION => {
                    database.run("ROLLBACK", &[]).await.map_err(noted)?;
                    is_alone = true;
                    database.run(&statement.text, &[]).await.map_err(noted)?;
                }
                ran => drop(ran.map_err(noted)?),
            }
            in_own_transaction = match control {
                Some(Control::Begins) => true,
                Some(Control::Ends) => false,
                None => in_own_transaction,
            };
            if in_own_transaction {
                continue;
            }
            state.statement = number + 1;
            state.checksum = Some(ran.text());
            if is_alone {
                database.run("BEGIN", &[]).await.map_err(noted)?;
            }
            session.note(&state).await.map_err(noted)?;
            database.run("COMMIT", &[]).await.map_err(noted)?;
        }
        Ok(())
    }
}

/// A concurrent build that was interrupted leaves an index that is not valid; it must be gone before the next attempt. One
/// that was completed is dropped as well, which only costs time.
async fn drop_invalid_index(database: &Database, statement: &str) -> Result<(), crate::Error> {
    let Some(index) = super::statements::concurrent_index(statement) else { return Ok(()) };
    database.run(&format!("DROP INDEX CONCURRENTLY IF EXISTS {index}"), &[]).await.map(drop)
}
