//! Errors of the core on their way to JavaScript, where they become a `ReplicaverseError`.

use std::error::Error as StdError;

use data::DatabaseReport;
use serde::Serialize;

/// Tells a [`Reason`] apart from a message of Node-API itself.
const MARKER: &str = "error";

/// What JavaScript learns of an error, as JSON. The error object itself is made on the JavaScript side, because only
/// there its stack shows the caller.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reason<'a> {
    /// [`MARKER`]; always first, where JavaScript looks for it.
    replicaverse: &'static str,
    kind: String,
    code: &'a str,
    message: String,
    retryable: bool,
    /// The messages of the errors that led to this one, nearest first.
    causes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Report<'a>>,
}

#[derive(Serialize)]
struct Report<'a> {
    severity: Option<&'a str>,
    detail: Option<&'a str>,
    hint: Option<&'a str>,
    position: Option<&'a str>,
    schema: Option<&'a str>,
    table: Option<&'a str>,
    column: Option<&'a str>,
    constraint: Option<&'a str>,
}

/// The Node-API error that carries an error of the data crate.
pub(crate) fn js_error(error: &data::Error) -> napi::Error {
    carry(Reason {
        replicaverse: MARKER,
        kind: format!("{:?}", error.kind()),
        code: error.code(),
        message: error.to_string(),
        retryable: error.kind().is_retryable(),
        causes: causes_of(error),
        report: error.report().map(Report::of),
    })
}

/// The Node-API error that carries an error of the replication crate. One that a database caused has its kind.
pub(crate) fn replication_error(error: &replication::Error) -> napi::Error {
    let database = error.database();
    carry(Reason {
        replicaverse: MARKER,
        kind: database.map_or_else(|| "Usage".to_owned(), |database| format!("{:?}", database.kind())),
        code: error.code(),
        message: error.to_string(),
        retryable: database.is_some_and(|database| database.kind().is_retryable()),
        causes: causes_of(error),
        report: database.and_then(data::Error::report).map(Report::of),
    })
}

impl<'a> Report<'a> {
    fn of(report: &'a DatabaseReport) -> Self {
        Self {
            severity: report.severity.as_deref(),
            detail: report.detail.as_deref(),
            hint: report.hint.as_deref(),
            position: report.position.as_deref(),
            schema: report.schema.as_deref(),
            table: report.table.as_deref(),
            column: report.column.as_deref(),
            constraint: report.constraint.as_deref(),
        }
    }
}

fn carry(reason: Reason<'_>) -> napi::Error {
    // Text and lists of text always have a JSON form.
    let text = serde_json::to_string(&reason).unwrap_or(reason.message);
    napi::Error::new(napi::Status::GenericFailure, text)
}

fn causes_of(error: &dyn StdError) -> Vec<String> {
    std::iter::successors(error.source(), |cause| (*cause).source()).map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use data::{DatabaseReport, Error, ErrorKind};

    use super::*;

    #[test]
    fn an_error_keeps_its_kind_its_report_and_its_causes() {
        let report = DatabaseReport {
            code: "23505".to_owned(),
            constraint: Some("users_email_key".to_owned()),
            ..DatabaseReport::default()
        };
        let error = Error::new(ErrorKind::UniqueViolation, "duplicate key")
            .with_report(report)
            .with_source(std::io::Error::other("as the server said"));
        let reason: serde_json::Value = serde_json::from_str(&js_error(&error).reason).unwrap();
        assert_eq!(reason["kind"], "UniqueViolation");
        assert_eq!(reason["code"], "23505");
        assert_eq!(reason["message"], "duplicate key");
        assert_eq!(reason["retryable"], false);
        assert_eq!(reason["causes"], serde_json::json!(["as the server said"]));
        assert_eq!(reason["report"]["constraint"], "users_email_key");
    }

    #[test]
    fn the_marker_comes_first_so_that_javascript_can_look_for_it() {
        let reason = js_error(&Error::new(ErrorKind::Timeout, "pool exhausted")).reason;
        assert!(reason.starts_with(r#"{"replicaverse":"error","#), "{reason}");
    }
}
