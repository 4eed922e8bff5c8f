//! Errors of the engine as JSON, from which JavaScript makes error objects; see `lib/pg-multiverse/failures.ts`.

use std::error::Error as StdError;

use multiverse::transaction::{Error as TransactionError, ErrorKind as TransactionErrorKind};
use multiverse::{Error, ErrorKind};
use serde::Serialize;
use wire::ServerError;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure<'a> {
    /// One of the kinds of errors of this package.
    kind: &'a str,
    code: &'a str,
    message: String,
    retryable: bool,
    /// The messages of the errors that led to this one, nearest first.
    causes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Report<'a>>,
}

/// The fields of the server's message, named as node-postgres names them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    length: usize,
    severity: &'a str,
    code: &'a str,
    detail: Option<&'a str>,
    hint: Option<&'a str>,
    position: Option<String>,
    internal_position: Option<String>,
    internal_query: Option<&'a str>,
    r#where: Option<&'a str>,
    schema: Option<&'a str>,
    table: Option<&'a str>,
    column: Option<&'a str>,
    data_type: Option<&'a str>,
    constraint: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<String>,
    routine: Option<&'a str>,
}

/// The text of an error.
pub(super) fn failure_text(error: &Error) -> String {
    // A statement's error is the server's own; one of connecting has a message of its own and the server's as its cause.
    let server = match error {
        Error::Transaction(error) => return transaction_failure_text(error),
        Error::Server(server) => Some(Report::of(server)),
        _ => None,
    };
    written(&Failure {
        kind: kind_name(error.kind()),
        code: error.code(),
        message: error.to_string(),
        retryable: error.is_retryable(),
        causes: causes_of(error),
        server,
    })
}

/// The text of an error of a transaction. Where it is only that of a statement or a connection, it is told as such.
pub(super) fn transaction_failure_text(error: &TransactionError) -> String {
    let kind = match error {
        TransactionError::Database(error) => return failure_text(error),
        TransactionError::Begin { source, .. } => kind_name(source.kind()),
        _ if error.kind() == TransactionErrorKind::Usage => "Usage",
        TransactionError::PreparedDisabled(_) => "Config",
        _ => "Transaction",
    };
    // That of several clusters has as many causes, and no order among them: the first is told.
    let causes = match error {
        TransactionError::Prepare(failures) => failures.iter().take(1).map(|(_, e)| e.to_string()).collect(),
        _ => causes_of(error),
    };
    written(&Failure {
        kind,
        code: error.code(),
        message: error.to_string(),
        retryable: error.is_retryable(),
        causes,
        server: None,
    })
}

/// The text of the error of a result that is not what its columns say.
pub(super) fn malformed_text() -> String {
    written(&Failure {
        kind: "Connection",
        code: "ERR_PROTOCOL",
        message: "the server sent values that are not of the types it announced".to_owned(),
        retryable: false,
        causes: Vec::new(),
        server: None,
    })
}

/// The fields of a server's error as JSON.
pub(super) fn server_report(error: &ServerError) -> serde_json::Value {
    // Text and numbers always have a JSON form.
    serde_json::to_value(Report::of(error)).unwrap_or_default()
}

fn written(failure: &Failure<'_>) -> String {
    // Text, numbers and lists of text always have a JSON form.
    serde_json::to_string(failure).unwrap_or_default()
}

fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Server | ErrorKind::Request => "Statement",
        ErrorKind::Connect | ErrorKind::ConnectionLost | ErrorKind::NoPrimary => "Connection",
        ErrorKind::Authentication => "Authentication",
        ErrorKind::Demoted => "ReadOnly",
        ErrorKind::AcquireTimeout | ErrorKind::Timeout => "Timeout",
        ErrorKind::Cancelled => "Stopped",
        ErrorKind::Closed | ErrorKind::NoSession => "Closed",
        ErrorKind::Route | ErrorKind::NoReplica | ErrorKind::TransactionControl | ErrorKind::Shard => "Usage",
        ErrorKind::Transaction => "Transaction",
        ErrorKind::Promotion => "Conflict",
        ErrorKind::Config => "Config",
        ErrorKind::Start => "Internal",
    }
}

fn causes_of(error: &dyn StdError) -> Vec<String> {
    std::iter::successors(error.source(), |cause| (*cause).source()).map(ToString::to_string).collect()
}

impl<'a> Report<'a> {
    fn of(error: &'a ServerError) -> Self {
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        Self {
            length: length_of(error),
            severity: &error.severity,
            code: &error.code,
            detail: error.detail.as_deref(),
            hint: error.hint.as_deref(),
            position: number(error.position),
            internal_position: number(error.internal_position),
            internal_query: error.internal_query.as_deref(),
            r#where: error.where_.as_deref(),
            schema: error.schema.as_deref(),
            table: error.table.as_deref(),
            column: error.column.as_deref(),
            data_type: error.data_type.as_deref(),
            constraint: error.constraint.as_deref(),
            file: error.file.as_deref(),
            line: number(error.line),
            routine: error.routine.as_deref(),
        }
    }
}

/// The length that the server's message had: its own four bytes, each field with its code and its end, and the end of all.
/// The severity is sent twice, in the server's language and in English.
fn length_of(error: &ServerError) -> usize {
    let numbers = [error.position, error.internal_position, error.line];
    let texts = [
        &error.detail,
        &error.hint,
        &error.internal_query,
        &error.where_,
        &error.schema,
        &error.table,
        &error.column,
        &error.data_type,
        &error.constraint,
        &error.file,
        &error.routine,
    ];
    let always = [&error.severity, &error.severity, &error.code, &error.message].map(|text| text.len() + 2);
    let numbers = numbers.iter().flatten().map(|number| number.to_string().len() + 2);
    let texts = texts.into_iter().flatten().map(|text| text.len() + 2);
    4 + always.into_iter().chain(numbers).chain(texts).sum::<usize>() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_error_keeps_its_fields_under_the_names_of_node_postgres() {
        let server = ServerError {
            severity: "ERROR".to_owned(),
            code: "42P01".to_owned(),
            message: "relation \"x\" does not exist".to_owned(),
            position: Some(15),
            where_: Some("here".to_owned()),
            ..ServerError::default()
        };
        let text = failure_text(&Error::Server(Box::new(server)));
        let failure: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(failure["kind"], "Statement");
        assert_eq!(failure["message"], "relation \"x\" does not exist");
        assert_eq!(failure["server"]["position"], "15");
        assert_eq!(failure["server"]["where"], "here");
        assert_eq!(failure["server"]["hint"], serde_json::Value::Null);
        assert_eq!(failure["server"]["length"], 4 + 7 + 7 + 7 + 29 + 4 + 6 + 1);
    }

    #[test]
    fn other_errors_have_the_code_of_their_kind() {
        let failure: serde_json::Value = serde_json::from_str(&failure_text(&Error::Closed)).unwrap();
        assert_eq!((&failure["kind"], &failure["code"]), (&"Closed".into(), &"ERR_CLOSED".into()));
        assert!(failure.get("server").is_none());
    }
}
