//! Errors of the wire client as errors of this crate.

use crate::error::{DatabaseReport, Error, ErrorKind};

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        let kind = kind_of(&error);
        let report = error.server().map(report_of);
        // The server's own message stands alone, as node-postgres gives it; its code and fields are in the report.
        let message = error.server().map_or_else(|| error.to_string(), |server| server.message.clone());
        let mapped = Self::new(kind, message).with_source(error);
        match report {
            Some(report) => mapped.with_report(report),
            None => mapped,
        }
    }
}

fn kind_of(error: &wire::Error) -> ErrorKind {
    match error {
        wire::Error::Io { .. }
        | wire::Error::Tls(_)
        | wire::Error::Closed(_)
        | wire::Error::UnsuitableHost(_) => ErrorKind::Connection,
        wire::Error::Timeout { .. } => ErrorKind::Timeout,
        wire::Error::Authentication(_) => ErrorKind::Authentication,
        wire::Error::Config(_) => ErrorKind::Config,
        wire::Error::Protocol(_) => ErrorKind::Connection,
        wire::Error::RolledBack => ErrorKind::Transaction,
        // A prepared statement outlived a change of its table; prepared anew, it will do.
        wire::Error::Server(server) if server.routine.as_deref() == Some("RevalidateCachedQuery") => {
            ErrorKind::Conflict
        }
        wire::Error::Server(server) => kind_of_sqlstate(&server.code),
    }
}

/// The kind of a SQLSTATE; the classes are those of PostgreSQL's appendix A.
fn kind_of_sqlstate(code: &str) -> ErrorKind {
    match code {
        "23505" | "23P01" => ErrorKind::UniqueViolation,
        "23502" => ErrorKind::NotNullViolation,
        "23503" | "23001" => ErrorKind::ForeignKeyViolation,
        "23514" => ErrorKind::CheckViolation,
        "25006" => ErrorKind::ReadOnly,
        "42501" => ErrorKind::Permission,
        "42P01" => ErrorKind::UnknownTable,
        "53100" => ErrorKind::DiskFull,
        "53300" => ErrorKind::Connection,
        "3D000" => ErrorKind::Config,
        // More parameters than the protocol counts, and the like: trying again would not help.
        "08P01" => ErrorKind::Statement,
        "40001" | "40P01" | "55P03" => ErrorKind::Conflict,
        "57014" => ErrorKind::Timeout,
        "25P02" | "25P01" => ErrorKind::Transaction,
        "2201B" => ErrorKind::Filter,
        _ if code.starts_with("22") || code.starts_with("54") => ErrorKind::Value,
        _ if code.starts_with("28") => ErrorKind::Authentication,
        _ if code.starts_with("08") || code.starts_with("57P") => ErrorKind::Connection,
        _ => ErrorKind::Statement,
    }
}

fn report_of(server: &wire::ServerError) -> DatabaseReport {
    DatabaseReport {
        code: server.code.clone(),
        severity: Some(server.severity.clone()),
        detail: server.detail.clone(),
        hint: server.hint.clone(),
        position: server.position.map(|position| position.to_string()),
        schema: server.schema.clone(),
        table: server.table.clone(),
        column: server.column.clone(),
        constraint: server.constraint.clone(),
    }
}
