//! Sessions: the transaction that pins one, and its loan to a single operation at a time.

use mongodb::ClientSession;
use mongodb::bson::{Bson, Uuid, doc};
use mongodb::error::{TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use mongodb::options::{ReadConcern, ReadPreference, SelectionCriteria, TransactionOptions, WriteConcern};
use tokio::sync::{Mutex, MutexGuard, SemaphorePermit};

use super::connect::Connection;
use super::error::{driver_error, server_code};
use crate::dialect::Isolation;
use crate::error::{Error, ErrorKind, Result};

const COMMIT_ATTEMPTS: usize = 3;

/// A transaction in progress, or over.
pub(super) struct PinnedSession(Mutex<State>);

struct State {
    /// None after the end.
    session: Option<ClientSession>,
    /// Whether an error has made the server abort the transaction.
    aborted: bool,
}

impl PinnedSession {
    /// Starts a transaction. MongoDB's strongest isolation is a snapshot, under which two transactions that read what
    /// the other writes may both commit; `Serializable` and `RepeatableRead` give that, `ReadCommitted` reads what a
    /// majority has.
    pub(super) async fn begin(connection: &Connection, isolation: Option<Isolation>) -> Result<Self> {
        connection.check_open()?;
        if !connection.has_transactions {
            return Err(Error::new(
                ErrorKind::Transaction,
                "a standalone MongoDB server has no transactions; start it as a replica set of one node \
                 (mongod --replSet rs0, then rs.initiate() once)",
            ));
        }
        connection.trace("startTransaction", "");
        let session = start(connection, isolation).await?;
        Ok(Self(Mutex::new(State { session: Some(session), aborted: false })))
    }

    /// Lends the session to one operation.
    pub(super) async fn lend(&self) -> Result<Loan<'_>> {
        let state = self.0.lock().await;
        match (&state.session, state.aborted) {
            (None, _) => Err(Error::new(ErrorKind::Transaction, "the transaction has ended")),
            (_, true) => Err(Error::new(
                ErrorKind::Transaction,
                "the transaction was aborted by an earlier error; roll it back and run it again",
            )),
            _ => Ok(Loan { state: Some(state), _slot: None }),
        }
    }

    /// Makes the changes permanent and ends the session.
    pub(super) async fn commit(&self) -> Result<()> {
        let mut loan = match self.lend().await {
            Ok(loan) => loan,
            Err(error) => {
                self.rollback().await?;
                return Err(error);
            }
        };
        let Some(mut session) = loan.state.as_mut().and_then(|state| state.session.take()) else {
            return Ok(());
        };
        commit(&mut session).await
    }

    /// Undoes the changes and ends the session; after the end it does nothing.
    pub(super) async fn rollback(&self) -> Result<()> {
        let mut state = self.0.lock().await;
        let Some(mut session) = state.session.take() else { return Ok(()) };
        if state.aborted {
            // The server has forgotten it; only the driver's own bookkeeping is left to end.
            drop(session.abort_transaction().await);
            return Ok(());
        }
        session.abort_transaction().await.map_err(|error| driver_error(&error))
    }
}

/// A session lent to one operation, or none outside a transaction.
pub(super) struct Loan<'a> {
    state: Option<MutexGuard<'a, State>>,
    /// The connection of the pool that the operation may use, until the loan is given back.
    _slot: Option<SemaphorePermit<'a>>,
}

impl<'a> Loan<'a> {
    /// No session: the operation is none of a transaction.
    pub(super) const fn pooled() -> Self {
        Self { state: None, _slot: None }
    }

    /// The loan with a connection to run on.
    pub(super) fn on(self, slot: SemaphorePermit<'a>) -> Self {
        Self { _slot: Some(slot), ..self }
    }

    pub(super) fn session(&mut self) -> Option<&mut ClientSession> {
        self.state.as_mut().and_then(|state| state.session.as_mut())
    }

    /// Turns the driver's error into ours, and remembers that the server aborts a transaction on every error.
    pub(super) fn check<T>(&mut self, outcome: mongodb::error::Result<T>) -> Result<T> {
        outcome.map_err(|error| {
            if let Some(state) = &mut self.state {
                state.aborted |=
                    server_code(&error).is_some() || error.contains_label(TRANSIENT_TRANSACTION_ERROR);
            }
            driver_error(&error)
        })
    }

    /// Remembers that a write failed within a command that succeeded, which aborts a transaction as well.
    pub(super) fn abort(&mut self) {
        if let Some(state) = &mut self.state {
            state.aborted = true;
        }
    }
}

/// A session with a transaction started on it.
pub(super) async fn start(connection: &Connection, isolation: Option<Isolation>) -> Result<ClientSession> {
    let mut session = connection.client().start_session().await.map_err(|error| driver_error(&error))?;
    start_within(&mut session, isolation).await?;
    Ok(session)
}

/// Starts a transaction on a session that has none.
pub(super) async fn start_within(session: &mut ClientSession, isolation: Option<Isolation>) -> Result<()> {
    let mut options = TransactionOptions::default();
    options.write_concern = Some(WriteConcern::majority());
    // Servers refuse any other, which a URI may ask for where no transaction is meant.
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    options.read_concern = isolation.map(|isolation| match isolation {
        Isolation::ReadCommitted => ReadConcern::majority(),
        Isolation::RepeatableRead | Isolation::Serializable => ReadConcern::snapshot(),
    });
    session.start_transaction().with_options(options).await.map_err(|error| driver_error(&error))
}

/// The UUID under which the server knows a session.
pub(super) fn name_of(session: &ClientSession) -> Option<String> {
    match session.id().get("id") {
        Some(Bson::Binary(id)) => id.to_uuid().ok().map(|id| id.to_string()),
        _ => None,
    }
}

/// Ends the transactions that sessions hold open. A server keeps them, and what they have locked, for a minute after
/// their client has died.
pub(super) async fn end_sessions(connection: &Connection, names: &[String]) -> Result<()> {
    let ids = names.iter().filter_map(|name| Uuid::parse_str(name).ok());
    let sessions: Vec<_> = ids.map(|id| doc! {"id": id}).collect();
    if sessions.is_empty() {
        return Ok(());
    }
    let admin = connection.client().database("admin");
    let ended = admin.run_command(doc! {"killSessions": sessions}).await;
    ended.map(drop).map_err(|error| driver_error(&error))
}

/// Commits; where the outcome stays unknown, for example because the primary changed, it is asked for again.
pub(super) async fn commit(session: &mut ClientSession) -> Result<()> {
    let mut attempt = 1;
    loop {
        match session.commit_transaction().await {
            Ok(()) => return Ok(()),
            Err(error)
                if attempt < COMMIT_ATTEMPTS && error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) =>
            {
                attempt += 1;
            }
            Err(error) => return Err(driver_error(&error)),
        }
    }
}
