//! A connection to one server: its socket, the state of the protocol, and everything that can be asked of it.

mod batch;
mod cancel;
mod connect;
mod copy_both;
mod copy_in;
mod copy_out;
mod parameter;
mod query;
mod simple;
mod statement;
mod stream;
mod transaction;
mod transfer;

pub use batch::BatchError;
pub use cancel::CancelToken;
pub(crate) use copy_both::CopyBothReader;
pub use copy_in::CopyIn;
pub use copy_out::CopyOut;
pub use parameter::{Param, QueryOptions, ResultFormat};
pub use query::QueryResult;
pub use statement::Statement;
pub use stream::RowStream;
pub use transaction::IsolationLevel;

use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::notice::{Notification, ServerNotice};
use crate::pipeline::{Pipeline, TextTypes};
use crate::protocol::state::{ProtocolState, TransactionStatus};
use crate::socket::Socket;
use crate::transfer::Sending;
use statement::StatementCache;

type NoticeHandler = Box<dyn FnMut(ServerNotice) + Send + Sync>;

/// A session with a PostgreSQL server.
///
/// Dropping a future of this connection half-way is safe: the next call first reads what is left of the
/// answer. Only where that is impossible does [`Connection::is_broken`] become true.
pub struct Connection {
    socket: Socket,
    state: ProtocolState,
    statements: StatementCache,
    /// Whether the requests outstanding are of the extended protocol, which a failed COPY must end with Sync.
    extended: bool,
    /// A COPY FROM STDIN was dropped before its end, and the server still waits for data.
    abandoned_copy_in: bool,
    sending: Sending,
    /// Why nothing more can be asked of this connection.
    broken: Option<String>,
    cancel_token: CancelToken,
    notice_handler: Option<NoticeHandler>,
}

impl Connection {
    /// Whether the connection can no longer be used: it is closed, or out of step with the server.
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.socket.is_encrypted()
    }

    /// Where the session stood in its transaction when the server last finished a request.
    pub fn transaction_status(&self) -> TransactionStatus {
        self.state.transaction_status()
    }

    /// The last value the server reported of a parameter, as `server_version` or `TimeZone`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.state.parameter(name)
    }

    /// The process id of the session on the server.
    pub fn process_id(&self) -> i32 {
        self.state.process_id()
    }

    /// What it takes to cancel whatever this connection is doing, from anywhere.
    pub fn cancel_token(&self) -> CancelToken {
        self.cancel_token.clone()
    }

    /// Has notices handed to `handler` as they are read, instead of collecting them.
    pub fn set_notice_handler(&mut self, handler: impl FnMut(ServerNotice) + Send + Sync + 'static) {
        self.notice_handler = Some(Box::new(handler));
    }

    /// Takes the notices collected since the last time: at most the last 1,000, with the number of older ones
    /// that were dropped.
    pub fn take_notices(&mut self) -> (Vec<ServerNotice>, u64) {
        self.state.take_notices()
    }

    /// Takes the notifications that came with the answers read so far: at most the last 10,000, with the number
    /// of older ones that were dropped.
    pub fn take_notifications(&mut self) -> (Vec<Notification>, u64) {
        self.state.take_notifications()
    }

    /// Waits until a notification has come, on a channel that this session listens to.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn wait_for_notification(&mut self) -> Result<()> {
        self.ready().await?;
        while !self.state.has_notifications() {
            self.read_unasked().await?;
        }
        Ok(())
    }

    /// The same session as a pipeline. The connection is [`ready`](Connection::ready).
    pub(crate) fn into_idle_pipeline(self, text_types: Arc<TextTypes>) -> Pipeline {
        let capacity = self.statements.capacity();
        Pipeline::new(self.socket, self.state, self.cancel_token, capacity, text_types)
    }

    /// Closes the session in order. Dropping the connection closes it too, without telling the server first.
    ///
    /// # Errors
    /// The network failed; the connection is gone all the same.
    pub async fn close(mut self) -> Result<()> {
        if self.is_broken() {
            return Ok(());
        }
        self.terminate().await
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("process_id", &self.process_id())
            .field("encrypted", &self.is_encrypted())
            .field("transaction_status", &self.transaction_status())
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}
