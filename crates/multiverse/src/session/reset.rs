//! Bringing a connection back to the state it was opened in, before somebody else uses it.

use wire::TransactionStatus;

use crate::engine::{Core, Token};
use crate::pool::{SessionChange, Work};

const ROLLBACK: &str = "ROLLBACK";
/// What DISCARD ALL does, without dropping the prepared statements that later requests reuse.
const RESET_SETTINGS: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
     SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";
const RESET_ALL: &str = "DISCARD ALL";

impl Core {
    /// Writes what resets a free connection. It comes back to the pool when that has succeeded.
    pub(crate) fn reset(&mut self, token: Token) {
        let now = self.now;
        let Some(connection) = self.connection(token) else { return };
        let change = std::mem::take(&mut connection.change);
        let is_in_transaction = connection.pipeline.transaction_status() != TransactionStatus::Idle;
        if is_in_transaction {
            connection.note_rollback();
        }
        let statements = [
            is_in_transaction.then_some(ROLLBACK),
            match change {
                SessionChange::None | SessionChange::Transaction => None,
                SessionChange::Settings => Some(RESET_SETTINGS),
                SessionChange::All => Some(RESET_ALL),
            },
        ];
        let mut steps = statements.into_iter().flatten().peekable();
        if steps.peek().is_none() {
            return self.settle(token);
        }
        if change >= SessionChange::Settings {
            connection.path = 0;
            connection.has_foreign_path = false;
        }
        connection.is_exclusive = true;
        while let Some(sql) = steps.next() {
            if connection.pipeline.execute_simple(sql).is_err() {
                connection.is_outdated = true;
                break;
            }
            connection.push(Work::Reset { is_last: steps.peek().is_none() }, now);
        }
        self.touch(token);
        self.watch_reset(token);
    }

    /// A step has ended; one that fails has marked the connection as outdated.
    pub(crate) fn reset_step_done(&mut self, token: Token, is_last: bool, status: TransactionStatus) {
        let Some(connection) = self.connection(token) else { return };
        if is_last {
            // The command tags of the steps themselves say nothing.
            connection.change = SessionChange::None;
            connection.is_outdated |= status != TransactionStatus::Idle;
        }
    }

    /// A reset has not ended in time.
    pub(crate) fn reset_overdue(&mut self, token: Token) {
        let (limit, now) = (self.settings.patience, self.now);
        let is_at_it = self.connection(token).is_some_and(|connection| {
            connection.in_flight.front().is_some_and(|entry| matches!(entry.work, Work::Reset { .. }))
                && connection.since + limit <= now
        });
        if is_at_it {
            self.lose_to_server(
                token,
                wire::Error::Timeout { context: "resetting the connection".to_owned(), limit },
            );
        }
    }
}
