//! What the server's errors mean for a reader of its log.

use crate::error::{Error, ErrorKind};

/// An error in opening a connection of replication.
pub(super) fn of_connecting(error: Error, user: &str) -> Error {
    match error.code() {
        "42501" => capture(
            format!(
                "user \"{user}\" may not read the log; run ALTER ROLE {} REPLICATION",
                super::catalog::quoted(user)
            ),
            error,
        ),
        "53300" if error.to_string().contains("max_wal_senders") => capture(
            "every connection of replication that the server allows is in use; end one, or run ALTER SYSTEM SET \
             max_wal_senders with a larger number and restart the server",
            error,
        ),
        _ => error,
    }
}

/// An error in creating a publication or a slot.
pub(super) fn of_creating(error: wire::Error) -> Error {
    let error = Error::from(error);
    match error.code() {
        "42710" => Error::new(ErrorKind::Conflict, "another process is opening the log for the same reader")
            .with_source(error),
        "53400" => capture(
            "every replication slot that the server allows is in use; drop one that is not needed (SELECT \
             pg_drop_replication_slot(...)), or run ALTER SYSTEM SET max_replication_slots with a larger number and \
             restart the server",
            error,
        ),
        "42501" => {
            capture("this user may not create replication slots; run ALTER ROLE ... REPLICATION", error)
        }
        _ => error,
    }
}

/// An error of a stream, when it is started or later.
pub(super) fn of_streaming(error: wire::Error, name: &str) -> Error {
    let error = Error::from(error);
    match error.code() {
        // The slot does not exist or was given up; the publication does not exist as of the change that is being decoded;
        // the log that the slot needs was removed.
        "42704" | "55000" | "58P01" => lost(format!("the log of reader \"{name}\" is lost: {error}"), error),
        // The log that the slot needs was removed.
        "55006" => Error::new(
            ErrorKind::Conflict,
            format!("another connection reads the log as reader \"{name}\" at present"),
        )
        .with_source(error),
        _ => error,
    }
}

/// Changes cannot be captured until what the message says is done.
fn capture(message: impl Into<String>, source: Error) -> Error {
    Error::new(ErrorKind::Capture, message).with_source(source)
}

/// The log does not hold what the reader has not seen.
fn lost(message: String, source: Error) -> Error {
    Error::new(ErrorKind::LogLost, message).with_source(source)
}
