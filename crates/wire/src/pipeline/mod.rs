//! A connection that carries many requests at once: they are written one behind the other and answered in that order.
//!
//! Unlike [`Connection`], a [`Pipeline`] waits for nothing by itself: its owner writes requests, moves bytes with
//! [`Pipeline::poll_flush`] and [`Pipeline::poll_receive`], and takes the answers from [`Pipeline::next_event`]. Each
//! request ends with a Sync of its own, so each is a transaction of its own and the failure of one leaves the others
//! alone.

mod receive;
mod send;
mod statements;
#[cfg(test)]
mod tests;
mod transfer;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::connection::{CancelToken, Connection};
use crate::error::{Error, Result, ServerError};
use crate::notice::Notification;
use crate::protocol::row::{Column, RowBatch};
use crate::protocol::state::{ProtocolState, TransactionStatus};
use crate::socket::Socket;
use crate::transfer::Sending;
pub use send::PipelinedStatement;
use statements::PreparedStatements;
pub use statements::TextTypes;

/// A session with a PostgreSQL server that takes requests without waiting for the answers to earlier ones.
pub struct Pipeline {
    socket: Socket,
    state: ProtocolState,
    statements: PreparedStatements,
    /// What is answered next comes first.
    exchanges: VecDeque<Exchange>,
    cancel_token: CancelToken,
    sending: Sending,
    /// The bytes of all requests so far.
    queued_bytes: u64,
    /// The command tag of the result that ended last.
    command_tag: String,
}

/// What the answer to the oldest unanswered request brought.
#[derive(Debug)]
pub enum PipelineEvent {
    /// A result that has rows begins. Its rows come next, if there are any.
    Columns(Arc<[Column]>),
    /// Rows of the result that has begun.
    Rows(RowBatch),
    /// A result has ended; [`Pipeline::command_tag`] says what it was.
    Complete,
    /// The request failed.
    Failed {
        /// Why.
        error: Box<ServerError>,
        /// Whether it failed only because a statement kept on the connection had become unusable: outside a
        /// transaction, the same request may be sent again.
        is_stale: bool,
    },
    /// The request is answered completely. The next events belong to the next request.
    Ready(TransactionStatus),
}

/// A request that has been written and is not yet answered completely.
#[derive(Debug)]
struct Exchange {
    protocol: Protocol,
    /// The steps before its statement that have not ended.
    steps: usize,
    /// `queued_bytes` after it.
    end: u64,
    /// A result has ended, or the request has failed, so ReadyForQuery may come.
    is_answered: bool,
}

#[derive(Debug)]
enum Protocol {
    /// One Query message; there may be several results.
    Simple,
    /// A statement run by its name or, where the name is empty, parsed for this run alone.
    Extended(Run),
}

/// One run of a prepared statement.
#[derive(Debug)]
struct Run {
    /// The key of the statement in the cache; `None` for the unnamed statement.
    key: Option<u64>,
    /// The statement is parsed and described with this request.
    parsing: bool,
    /// The server has confirmed the parsing.
    parsed: bool,
    /// The server has taken the parameters, and runs the statement.
    bound: bool,
    columns: RunColumns,
}

/// What is known of the columns of a run.
#[derive(Debug, Clone)]
enum RunColumns {
    /// Their description is on its way, with this request or with one before it.
    Awaited,
    /// The statement returns no rows.
    None,
    /// As they were asked for.
    Known(Arc<[Column]>),
}

impl Connection {
    /// Turns an idle connection into a pipeline. `text_types` are the types that are never asked for in binary form.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn into_pipeline(mut self, text_types: Arc<TextTypes>) -> Result<Pipeline> {
        self.ready().await?;
        Ok(self.into_idle_pipeline(text_types))
    }
}

impl Pipeline {
    pub(crate) fn new(
        socket: Socket,
        state: ProtocolState,
        cancel_token: CancelToken,
        statement_capacity: usize,
        text_types: Arc<TextTypes>,
    ) -> Self {
        Self {
            socket,
            state,
            statements: PreparedStatements::new(statement_capacity, text_types),
            exchanges: VecDeque::new(),
            cancel_token,
            sending: Sending::default(),
            queued_bytes: 0,
            command_tag: String::new(),
        }
    }

    /// The number of requests not yet answered completely.
    pub fn in_flight(&self) -> usize {
        self.exchanges.len()
    }

    /// Whether all bytes of the request at `position`, counted from the oldest unanswered one, have been handed to the
    /// network. What has not been handed over was not carried out.
    pub fn was_sent(&self, position: usize) -> bool {
        self.exchanges.get(position).is_none_or(|exchange| exchange.end <= self.sending.taken)
    }

    /// Where the session stood in its transaction when the server last finished a request.
    pub fn transaction_status(&self) -> TransactionStatus {
        self.state.transaction_status()
    }

    /// The last value the server reported of a parameter, as `server_version` or `in_hot_standby`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.state.parameter(name)
    }

    /// The process id of the session on the server.
    pub fn process_id(&self) -> i32 {
        self.state.process_id()
    }

    /// What it takes to cancel whatever the server is doing for this session, from anywhere.
    pub fn cancel_token(&self) -> CancelToken {
        self.cancel_token.clone()
    }

    /// Whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.socket.is_encrypted()
    }

    /// The command tag of the result that ended last, as `INSERT 0 5`; empty for an empty statement.
    pub fn command_tag(&self) -> &str {
        &self.command_tag
    }

    /// The number of statements kept prepared on the server.
    pub fn prepared_statements(&self) -> usize {
        self.statements.len()
    }

    /// Forgets the statements kept on the connection, because the server has deallocated them.
    pub fn forget_statements(&mut self) {
        self.statements.clear();
    }

    /// Closes the statements kept on the connection, as what they mean may have changed. Runs of them are parsed anew.
    pub fn outdate_statements(&mut self) {
        self.statements.outdate();
    }

    /// Takes the notifications that have come on channels that the session listens to: at most the last 10,000.
    pub fn take_notifications(&mut self) -> Vec<Notification> {
        if self.state.has_notifications() { self.state.take_notifications().0 } else { Vec::new() }
    }

    /// Sets the types that are asked for as text from the next request on.
    pub fn set_text_types(&mut self, text_types: Arc<TextTypes>) {
        self.statements.set_text_types(text_types);
    }

    /// Has runs of a statement report `columns`, which must equal those it reports, so that many connections share one
    /// description.
    pub fn share_columns(&mut self, key: u64, columns: &Arc<[Column]>) {
        self.statements.share_columns(key, columns);
    }

    fn unexpected(&self, what: &str) -> Error {
        Error::protocol(format!("unexpected {what} in a pipeline"))
    }
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Pipeline")
            .field("process_id", &self.process_id())
            .field("in_flight", &self.in_flight())
            .field("transaction_status", &self.transaction_status())
            .finish_non_exhaustive()
    }
}
