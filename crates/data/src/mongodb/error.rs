//! What MongoDB and its driver report, as errors of this crate.

use mongodb::bson::{Document, RawDocument};
use mongodb::error::{
    Error as DriverError, ErrorKind as DriverErrorKind, TRANSIENT_TRANSACTION_ERROR, WriteFailure,
};

use crate::error::{DatabaseReport, Error, ErrorKind};

/// "NamespaceExists": somebody else has created the collection.
pub(super) const NAMESPACE_EXISTS: i32 = 48;
/// "NamespaceNotFound": the collection does not exist.
pub(super) const NAMESPACE_NOT_FOUND: i32 = 26;
/// "IndexOptionsConflict" and "IndexKeySpecsConflict": an index of these fields or this name exists in another form.
pub(super) const INDEX_CONFLICTS: [i32; 2] = [85, 86];
/// "NoSuchTransaction": the server has aborted it.
pub(super) const NO_SUCH_TRANSACTION: i32 = 251;

const DUPLICATE_KEY: i32 = 11000;

/// The error of a driver call. The driver's own error is not kept as source, because its debug form may hold what
/// was sent; everything worth knowing is in the message and the report.
pub(super) fn driver_error(error: &DriverError) -> Error {
    let transient = error.contains_label(TRANSIENT_TRANSACTION_ERROR);
    match error.kind.as_ref() {
        DriverErrorKind::Command(command) => server_error(command.code, &command.message, transient),
        DriverErrorKind::Write(WriteFailure::WriteError(write)) => {
            server_error(write.code, &write.message, transient)
        }
        DriverErrorKind::Write(WriteFailure::WriteConcernError(concern)) => {
            server_error(concern.code, &concern.message, transient)
        }
        DriverErrorKind::Authentication { message, .. } => {
            Error::new(ErrorKind::Authentication, message.clone()).with_report(report("18", None))
        }
        DriverErrorKind::Io(io) if io.kind() == std::io::ErrorKind::TimedOut => {
            Error::new(ErrorKind::Timeout, format!("MongoDB did not answer in time: {io}"))
        }
        DriverErrorKind::Io(io) => {
            Error::new(ErrorKind::Connection, format!("the connection to MongoDB was lost: {io}"))
        }
        DriverErrorKind::ServerSelection { message, .. }
        | DriverErrorKind::ConnectionPoolCleared { message, .. }
        | DriverErrorKind::DnsResolve { message, .. } => {
            Error::new(ErrorKind::Connection, format!("MongoDB cannot be reached: {message}"))
        }
        DriverErrorKind::InvalidTlsConfig { message, .. } => Error::new(ErrorKind::Config, message.clone()),
        DriverErrorKind::SessionsNotSupported => {
            Error::new(ErrorKind::Transaction, "the server has no sessions")
        }
        DriverErrorKind::Transaction { message, .. } => Error::new(ErrorKind::Transaction, message.clone()),
        DriverErrorKind::IncompatibleServer { message, .. } => {
            Error::new(ErrorKind::Unsupported, message.clone())
        }
        DriverErrorKind::Shutdown => Error::new(ErrorKind::Closed, "the connection to MongoDB is closed"),
        DriverErrorKind::Bson(bson) => Error::new(ErrorKind::Value, format!("malformed BSON: {bson}")),
        DriverErrorKind::InvalidArgument { message, .. } => {
            // The driver itself refuses a document that is larger than the server takes.
            let is_too_large = message.contains("must be within");
            Error::new(if is_too_large { ErrorKind::Value } else { ErrorKind::Statement }, message.clone())
        }
        other => Error::new(ErrorKind::Statement, other.to_string()),
    }
}

/// The code that the server gave, if the error came from it.
pub(super) fn server_code(error: &DriverError) -> Option<i32> {
    match error.kind.as_ref() {
        DriverErrorKind::Command(command) => Some(command.code),
        DriverErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        DriverErrorKind::Write(WriteFailure::WriteConcernError(concern)) => Some(concern.code),
        _ => None,
    }
}

/// Whether another writer came first with the same unique key.
pub(super) fn is_duplicate_key(error: &DriverError) -> bool {
    server_code(error) == Some(DUPLICATE_KEY)
}

/// A write that failed within a command that itself succeeded.
#[derive(Debug)]
pub(super) struct WriteError {
    /// Which of the command's writes it was; none for an error about the command as a whole.
    pub(super) index: Option<usize>,
    /// The error.
    pub(super) error: Error,
}

/// The failed writes in the reply to a command, first of all those of single writes.
pub(super) fn write_errors(reply: &Document) -> Vec<WriteError> {
    let of = |document: &Document, index: Option<usize>| {
        let code = number(document, "code").and_then(|code| i32::try_from(code).ok()).unwrap_or_default();
        let message = document.get_str("errmsg").unwrap_or("the write failed");
        WriteError { index, error: server_error(code, message, false) }
    };
    let single = reply.get_array("writeErrors").into_iter().flatten().filter_map(|entry| entry.as_document());
    let mut errors: Vec<_> = single
        .map(|entry| of(entry, number(entry, "index").and_then(|index| usize::try_from(index).ok())))
        .collect();
    errors.extend(reply.get_document("writeConcernError").ok().map(|concern| of(concern, None)));
    errors
}

/// A number of a reply, whichever type the server gave it.
pub(super) fn number(document: &Document, name: &str) -> Option<i64> {
    use mongodb::bson::Bson;
    match document.get(name)? {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        #[expect(clippy::cast_possible_truncation, reason = "counts of the server are whole and small")]
        Bson::Double(number) => Some(*number as i64),
        _ => None,
    }
}

fn server_error(code: i32, message: &str, transient: bool) -> Error {
    let kind = match kind_of_code(code, message) {
        kind @ (ErrorKind::Connection | ErrorKind::UniqueViolation) => kind,
        _ if transient => ErrorKind::Conflict,
        kind => kind,
    };
    let constraint = if kind == ErrorKind::UniqueViolation { violated_index(message) } else { None };
    Error::new(kind, message.to_owned()).with_report(report(&code.to_string(), constraint))
}

fn kind_of_code(code: i32, message: &str) -> ErrorKind {
    match code {
        11000 | 11001 | 12582 => ErrorKind::UniqueViolation,
        121 => ErrorKind::CheckViolation,
        13 => ErrorKind::Permission,
        11 | 18 => ErrorKind::Authentication,
        24 | 112 | 225 => ErrorKind::Conflict,
        50 | 89 | 202 | 262 => ErrorKind::Timeout,
        NAMESPACE_NOT_FOUND => ErrorKind::UnknownTable,
        14031 => ErrorKind::DiskFull,
        8000 if message.contains("space quota") => ErrorKind::DiskFull,
        // The primary has stepped down, is starting or stopping, or the node was cut off.
        6 | 7 | 91 | 134 | 189 | 9001 | 10058 | 10107 | 11600 | 11602 | 13435 | 13436 => {
            ErrorKind::Connection
        }
        20 if message.contains("Transaction numbers") => ErrorKind::Transaction,
        NO_SUCH_TRANSACTION | 263 => ErrorKind::Transaction,
        51091 => ErrorKind::Filter,
        // Names, ids, sizes and paths that the server does not store.
        28 | 52..=57 | 66 | 171 | 10334 | 16837 | 17280 | 17419 | 17420 => ErrorKind::Value,
        _ => ErrorKind::Statement,
    }
}

/// The server names the index only within its message: `... index: email_1 dup key: ...`.
fn violated_index(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("index: ")?;
    rest.split_whitespace().next().map(str::to_owned)
}

fn report(code: &str, constraint: Option<String>) -> DatabaseReport {
    DatabaseReport { code: code.to_owned(), constraint, ..DatabaseReport::default() }
}

/// A document that is not what BSON or the server's protocol promises.
pub(super) fn malformed(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("MongoDB sent a malformed document: {error}"))
}

/// Names the document in an error about it, by its `_id`.
pub(super) fn id_for_message(document: &RawDocument) -> String {
    match document.get("_id") {
        Ok(Some(id)) => {
            super::bson::value_of(id).map_or_else(|_| "?".to_owned(), |id| crate::value::json_text(&id))
        }
        _ => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;

    #[test]
    fn a_duplicate_key_names_its_index() {
        let message =
            "E11000 duplicate key error collection: app.users index: email_1 dup key: { email: \"a\" }";
        let error = server_error(11000, message, true);
        assert_eq!((error.kind(), error.code()), (ErrorKind::UniqueViolation, "11000"));
        assert_eq!(error.report().unwrap().constraint.as_deref(), Some("email_1"));
    }

    #[test]
    fn a_full_disk_a_demoted_primary_and_a_conflict_are_told_apart() {
        assert_eq!(server_error(14031, "", false).kind(), ErrorKind::DiskFull);
        assert_eq!(server_error(10107, "", false).kind(), ErrorKind::Connection);
        assert_eq!(server_error(112, "", true).kind(), ErrorKind::Conflict);
        assert_eq!(server_error(251, "", true).kind(), ErrorKind::Conflict);
        assert_eq!(server_error(251, "", false).kind(), ErrorKind::Transaction);
    }

    #[test]
    fn write_errors_are_read_from_a_reply_that_says_ok() {
        let reply = doc! {"ok": 1.0, "n": 1, "writeErrors": [{"index": 3, "code": 121, "errmsg": "no"}]};
        let errors = write_errors(&reply);
        assert_eq!(errors[0].index, Some(3));
        assert_eq!(errors[0].error.kind(), ErrorKind::CheckViolation);
    }
}
