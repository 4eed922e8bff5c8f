//! Transactions in which nothing has run yet: where the first statement finds that it was kept from before a change of
//! definitions, the transaction is begun again, as the server has ended it.

use std::sync::Arc;

use wire::TransactionStatus;

use crate::engine::{Core, Token};
use crate::error::Error;
use crate::pool::Work;
use crate::route::StatementKind;

impl Core {
    /// Takes note of whether the statement of a session that has ended has begun a transaction.
    pub(crate) fn note_beginning(&mut self, key: usize, status: TransactionStatus) {
        let Some(pending) = self.requests.get(key) else { return };
        let Some(session) = pending.session.and_then(|id| self.sessions.get_mut(&id.0)) else { return };
        // Of all that ends or divides transactions, only their beginning leads into one.
        let has_begun = pending.was_outside
            && pending.failure.is_none()
            && status == TransactionStatus::InTransaction
            && pending.verdict.kind == StatementKind::TransactionControl
            && pending.verdict.is_single_statement();
        let fails_first = pending.failure.as_ref().is_some_and(|failure| failure.is_stale);
        if !fails_first {
            session.begun_by = has_begun.then(|| Arc::clone(&pending.sql));
        }
    }

    /// Begins the transaction of a session again whose first statement was kept from before a change of definitions, to run
    /// the statement anew. Returns whether that is so.
    pub(crate) fn begin_again(&mut self, token: Token, key: usize) -> bool {
        let now = self.now;
        let Some(pending) = self.requests.get_mut(key) else { return false };
        let session = pending.session.and_then(|id| self.sessions.get_mut(&id.0));
        let Some(beginning) = session.and_then(|session| session.begun_by.take()) else { return false };
        let Some(pool) = self.pools.get_mut(token.pool) else { return false };
        let Some(connection) = pool.connections.get_mut(token.slot) else { return false };
        if pending.repeated
            || pending.delivered
            || connection.pipeline.execute_simple(&format!("ROLLBACK; {beginning}")).is_err()
        {
            return false;
        }
        pending.repeated = true;
        connection.push(Work::Beginning { request: key }, now);
        connection.is_exclusive = true;
        pool.running += 1;
        self.touch(token);
        true
    }

    /// A transaction was begun again, or could not be.
    pub(crate) fn begun_again(&mut self, token: Token, key: usize, status: TransactionStatus) {
        self.stop_running(token);
        if let Some(connection) = self.connection(token) {
            connection.note_rollback();
            connection.note_status(status);
        }
        let Some(pending) = self.requests.get_mut(key) else { return };
        let (is_wanted, failure) = (pending.answer.is_some(), pending.failure.take());
        if status != TransactionStatus::InTransaction {
            // What the session is asked next must not run outside of a transaction.
            let error = failure.map_or(Error::Cancelled, |failure| Error::Server(failure.error));
            self.end(key, Err(error));
            return self.lose(token, wire::Error::Closed("its transaction could not be begun again".into()));
        }
        if is_wanted { self.send(token.pool, token.slot, key) } else { self.forget(key) }
    }
}
