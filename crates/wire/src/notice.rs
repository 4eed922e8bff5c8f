//! What a server sends unasked: notices and notifications.

use crate::error::ServerError;

/// A message of the server that is no error: a warning, a notice, a log line.
///
/// It has the fields of an error; `severity` is WARNING, NOTICE, DEBUG, INFO or LOG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerNotice(pub ServerError);

impl std::ops::Deref for ServerNotice {
    type Target = ServerError;

    fn deref(&self) -> &ServerError {
        &self.0
    }
}

/// A message that another session sent with NOTIFY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The process id of the session that sent it.
    pub process_id: i32,
    /// The channel.
    pub channel: String,
    /// The payload, empty when there was none.
    pub payload: String,
}
