//! What the errors of the connection that sends the log mean for its reader.

use mysql_async::{DriverError, Error as DriverFailure};

use crate::error::{DatabaseReport, Error, ErrorKind};

/// The server cannot send the log from there on, or not to this reader.
const CANNOT_SEND: u16 = 1236;
/// A privilege is missing.
const DENIED: [u16; 3] = [1045, 1142, 1227];

/// Whether the server has no encryption.
pub(super) fn has_no_tls(error: &DriverFailure) -> bool {
    matches!(error, DriverFailure::Driver(DriverError::NoClientSslFlagFromServer))
}

/// An error of the connection.
pub(super) fn of_driver(error: DriverFailure) -> Error {
    let DriverFailure::Server(told) = &error else {
        return Error::new(ErrorKind::Connection, format!("the log is no longer read: {error}"))
            .with_source(error);
    };
    let message = &told.message;
    let (kind, text) = match told.code {
        CANNOT_SEND if is_taken(message) => {
            (ErrorKind::Connection, format!("another reader of the log has the same number: {message}"))
        }
        CANNOT_SEND => (
            ErrorKind::LogLost,
            format!(
                "the binary log does not reach back to where it was read; the tables must be synchronised anew: {message}"
            ),
        ),
        code if DENIED.contains(&code) => (
            ErrorKind::Capture,
            format!(
                "this user may not read the binary log ({message}); run GRANT REPLICATION SLAVE ON *.* TO the user"
            ),
        ),
        _ => (ErrorKind::Connection, format!("the server ended the log: {message}")),
    };
    let report = DatabaseReport { code: told.code.to_string(), ..DatabaseReport::default() };
    Error::new(kind, text).with_report(report).with_source(error)
}

/// Whether the server says that another reader has come with the same number.
fn is_taken(message: &str) -> bool {
    message.contains("same server_uuid/server_id") || message.contains("same server_id")
}
