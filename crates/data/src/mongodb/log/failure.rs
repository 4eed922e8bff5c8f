//! What the server's errors mean for a reader of its log, and what a server must be for its log to be read.

use mongodb::error::Error as DriverError;

use crate::error::{Error, ErrorKind};
use crate::mongodb::connect::Connection;
use crate::mongodb::error::{driver_error, server_code};

/// The version of the protocol with which views at a cluster time came: MongoDB 5.0.
const LEAST_WIRE_VERSION: i64 = 13;
/// The one with which images of documents came: MongoDB 6.0.
const IMAGES_WIRE_VERSION: i64 = 17;

/// Fails unless the server has a log that can be read.
///
/// # Errors
/// [`ErrorKind::Capture`] with what to do.
pub(super) fn check_server(connection: &Connection) -> Result<(), Error> {
    connection.check_open()?;
    if !connection.has_transactions {
        return Err(standalone());
    }
    if connection.wire_version < LEAST_WIRE_VERSION {
        let message = "changes are captured from MongoDB 5.0 on; update the server, or set capture: 'poll' (by updatedAt, \
                       without deletes)";
        return Err(Error::new(ErrorKind::Capture, message));
    }
    Ok(())
}

/// Whether the server can keep the images of documents.
pub(super) fn can_have_images(connection: &Connection) -> bool {
    connection.wire_version >= IMAGES_WIRE_VERSION
}

fn standalone() -> Error {
    let message = "a standalone MongoDB server keeps no log of changes; start it as a replica set of one node (mongod \
                   --replSet rs0, then rs.initiate() once), or set capture: 'poll' (by updatedAt, without deletes)";
    Error::new(ErrorKind::Capture, message)
}

/// An error of a stream, when it is started or later.
pub(super) fn of_streaming(error: &DriverError, connection: &Connection) -> Error {
    let own = driver_error(error);
    match server_code(error) {
        // The oplog begins later, the token stands in another history, or it is none.
        Some(286 | 280 | 260 | 40576) => {
            let message = format!("the log does not reach back to the position that was read last: {own}");
            Error::new(ErrorKind::LogLost, message).with_source(own)
        }
        Some(40573) => standalone().with_source(own),
        Some(13) => {
            let name = connection.database.name();
            let message = format!(
                "the user may not read the log; run db.grantRolesToUser(\"<user>\", [{{role: \"read\", db: \"{name}\"}}])"
            );
            Error::new(ErrorKind::Capture, message).with_source(own)
        }
        Some(10334) => {
            let message =
                format!("a change is larger than the 16 MiB that the server tells of at a time: {own}");
            Error::new(ErrorKind::Capture, message).with_source(own)
        }
        // The server has forgotten the cursor, or something that reading again mends.
        Some(43 | 237 | 136 | 234 | 133 | 150 | 63 | 189) => {
            Error::new(ErrorKind::Connection, format!("the server has ended the stream of changes: {own}"))
                .with_source(own)
        }
        _ if error.contains_label("ResumableChangeStreamError") && !own.kind().is_retryable() => {
            Error::new(ErrorKind::Connection, own.to_string()).with_source(own)
        }
        _ => own,
    }
}

/// An error of reading a view at a cluster time.
pub(super) fn of_viewing(error: &DriverError) -> Error {
    let own = driver_error(error);
    match server_code(error) {
        // The server keeps what it needs for such views for five minutes unless it is told otherwise.
        Some(239 | 246) => {
            let message = format!("the view of the database has become too old; another one is taken: {own}");
            Error::new(ErrorKind::Timeout, message).with_source(own)
        }
        Some(43 | 237) => Error::new(ErrorKind::Connection, format!("the server has ended the scan: {own}"))
            .with_source(own),
        _ => own,
    }
}
