//! The servers' error numbers as kinds of error.

use sqlx::mysql::MySqlDatabaseError;

use crate::error::{DatabaseReport, Error, ErrorKind};

/// The number under which a server tells that it ended a transaction in favour of another one.
const DEADLOCK: &str = "1213";
/// The number under which a server tells that an index of that name exists.
const DUPLICATE_KEY_NAME: &str = "1061";
/// The number under which a server tells that a column of that name exists.
const DUPLICATE_COLUMN: &str = "1060";

/// The number under which a server tells that there is no such column or index to drop.
const CANNOT_DROP: &str = "1091";

/// An error of sqlx as one of ours. `sql` is the statement, from which the table is told where the server does not.
pub(super) fn mysql_error(error: sqlx::Error, sql: &str) -> Error {
    let kind = match &error {
        sqlx::Error::Database(database) => {
            return match database.try_downcast_ref::<MySqlDatabaseError>() {
                Some(database) => reported(database, sql),
                None => Error::new(ErrorKind::Statement, error.to_string()),
            };
        }
        sqlx::Error::Configuration(_) => ErrorKind::Config,
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => ErrorKind::Connection,
        sqlx::Error::Decode(_) | sqlx::Error::Encode(_) | sqlx::Error::ColumnDecode { .. } => {
            ErrorKind::Value
        }
        _ => ErrorKind::Statement,
    };
    Error::new(kind, error.to_string()).with_source(error)
}

/// Whether the whole transaction was undone, not only the statement.
pub(super) fn ended_the_transaction(error: &Error) -> bool {
    error.kind() == ErrorKind::Connection || error.code() == DEADLOCK
}

/// Whether the error only says that an index or column is there already.
pub(super) fn says_it_exists(error: &Error) -> bool {
    [DUPLICATE_KEY_NAME, DUPLICATE_COLUMN].contains(&error.code())
}

/// Whether the error only says that there is no such column or index to drop.
pub(super) fn says_it_is_gone(error: &Error) -> bool {
    error.code() == CANNOT_DROP
}

/// Whether the error says that the columns of a foreign key do not fit each other.
pub(super) fn says_columns_differ(error: &Error) -> bool {
    const FOREIGN_KEY_MISFORMED: &str = "errno: 150";
    match error.code() {
        "1825" | "3780" => true,
        "1005" => error.to_string().contains(FOREIGN_KEY_MISFORMED),
        _ => false,
    }
}

/// The kind of an error number. The numbers are those of MySQL's reference and MariaDB's, which share the ones below 1900.
fn kind_of(number: u16, sql_state: Option<&str>) -> ErrorKind {
    match number {
        1022 | 1062 | 1169 | 1586 | 1859 => ErrorKind::UniqueViolation,
        1048 | 1364 | 1263 => ErrorKind::NotNullViolation,
        1216 | 1217 | 1451 | 1452 | 1761 | 1762 => ErrorKind::ForeignKeyViolation,
        // MariaDB's number for a check is one of InnoDB's settings in MySQL.
        4025 if sql_state == Some("23000") => ErrorKind::CheckViolation,
        3819 => ErrorKind::CheckViolation,
        1118
        | 1153
        | 1264
        | 1265
        | 1292
        | 1301
        | 1366
        | 1406
        | 1411
        | 1416
        | 1441
        | 1690
        | 3140..=3160
        | 3903
        | 4078 => ErrorKind::Value,
        1051 | 1109 | 1146 => ErrorKind::UnknownTable,
        1139 | 3685..=3699 => ErrorKind::Filter,
        1044 | 1142 | 1143 | 1227 | 1370 | 1419 => ErrorKind::Permission,
        1045 | 1698 | 1820 | 1862 | 1251 | 3118 | 4151 => ErrorKind::Authentication,
        1049 => ErrorKind::Config,
        1020 | 1205 | 1213 | 1412 | 1614 | 1615 | 3572 => ErrorKind::Conflict,
        1290 | 1792 | 1836 => ErrorKind::ReadOnly,
        1021 | 1041 | 1114 => ErrorKind::DiskFull,
        1317 | 1907 | 1969 | 3024 | 4031 => ErrorKind::Timeout,
        1040
        | 1042
        | 1043
        | 1053
        | 1077
        | 1079
        | 1080
        | 1129
        | 1130
        | 1152
        | 1156..=1161
        | 1184
        | 1203
        | 1226
        | 1927
        | 2000..=2070 => ErrorKind::Connection,
        1568 | 1179 | 1305 | 1400 | 1399 => ErrorKind::Transaction,
        _ => ErrorKind::Statement,
    }
}

fn reported(error: &MySqlDatabaseError, sql: &str) -> Error {
    let message = error.message();
    let kind = kind_of(error.number(), error.code());
    let constraint = match error.number() {
        1062 | 1586 | 1859 => between(message, " for key '", "'").map(|key| last_part(key).to_owned()),
        1451 | 1452 => between(message, "CONSTRAINT `", "`").map(str::to_owned),
        4025 => between(message, "CONSTRAINT `", "`").map(|name| last_part(name).to_owned()),
        3819 => between(message, "Check constraint '", "'").map(str::to_owned),
        _ => None,
    };
    let column = match error.number() {
        1048 => between(message, "Column '", "'"),
        1364 => between(message, "Field '", "'"),
        1264 | 1265 | 1406 => between(message, "column '", "'"),
        1292 | 1366 => {
            between(message, "for column ", " at row").map(|place| last_part(place).trim_matches(['`', '\'']))
        }
        _ => None,
    };
    let has_place = matches!(
        kind,
        ErrorKind::UniqueViolation
            | ErrorKind::NotNullViolation
            | ErrorKind::ForeignKeyViolation
            | ErrorKind::CheckViolation
            | ErrorKind::Value
    );
    Error::new(kind, message).with_report(DatabaseReport {
        code: error.number().to_string(),
        table: if has_place { written_table(sql) } else { None },
        column: column.map(str::to_owned),
        constraint,
        ..DatabaseReport::default()
    })
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

/// `email` out of `people.email` and `` `db`.`people`.`email` ``.
fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The table that a statement of ours writes.
fn written_table(sql: &str) -> Option<String> {
    let rest =
        ["INSERT INTO `", "UPDATE `", "DELETE FROM `"].iter().find_map(|verb| sql.strip_prefix(verb))?;
    let mut name = String::new();
    let mut characters = rest.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '`' && characters.next_if_eq(&'`').is_none() {
            return Some(name);
        }
        name.push(character);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_table_is_told_by_the_statement() {
        for (sql, table) in [
            ("INSERT INTO `people` (`id`) VALUES (?)", Some("people")),
            ("UPDATE `odd``name` SET `a` = ?", Some("odd`name")),
            ("DELETE FROM `people`", Some("people")),
            ("INSERT INTO people VALUES (1)", None),
            ("SELECT 1", None),
        ] {
            assert_eq!(written_table(sql).as_deref(), table, "{sql}");
        }
    }

    #[test]
    fn a_number_means_something_else_where_its_state_says_so() {
        assert_eq!(kind_of(4025, Some("23000")), ErrorKind::CheckViolation);
        assert_eq!(kind_of(4025, Some("HY000")), ErrorKind::Statement);
    }
}
