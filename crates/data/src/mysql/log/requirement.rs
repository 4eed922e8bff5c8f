//! What a server and its tables must be like for changes to be read from the binary log.

use std::collections::HashMap;

use super::super::cascade;
use super::super::catalog::text;
use super::super::pool::Link;
use super::super::session::fetch_on;
use super::super::syntax::quote;
use super::layout::Layout;
use crate::error::{Error, ErrorKind, Result};
use crate::log::LogReader;
use crate::sql::Access;

/// The settings that count, with the value that each must have and what to do; those that a server does not have are passed over.
const SETTINGS: [(&str, &[&str], &str); 5] = [
    (
        "log_bin",
        &["ON", "1"],
        "the binary log is off; set log_bin and server_id in the server's configuration and restart it",
    ),
    ("binlog_format", &["ROW"], "the binary log does not tell rows; run SET GLOBAL binlog_format = 'ROW'"),
    (
        "binlog_row_image",
        &["FULL", "FULL_NODUP"],
        "the binary log does not tell whole rows; run SET GLOBAL binlog_row_image = 'FULL'",
    ),
    (
        "lower_case_table_names",
        &["0"],
        "the server does not tell names apart by their case (lower_case_table_names), so that those in its binary log may differ \
         from those of the tables; use capture: 'trigger'",
    ),
    (
        "log_slave_updates",
        &["ON", "1"],
        "the server is a replica that does not log what it receives; set log_slave_updates in its configuration and \
         restart it",
    ),
];

/// The privilege that reading the log takes.
const PRIVILEGE: &str = "
    SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES
    WHERE PRIVILEGE_TYPE IN ('REPLICATION SLAVE', 'SUPER')
      AND GRANTEE = CONCAT('''', SUBSTRING(CURRENT_USER(), 1, CHAR_LENGTH(CURRENT_USER()) - \
                                  CHAR_LENGTH(SUBSTRING_INDEX(CURRENT_USER(), '@', -1)) - 1), '''@''',
                           SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '''')";

/// Why changes cannot be read from the log, with what to do; `None` if they can, as far as can be told without reading it.
pub(super) async fn obstacle(link: &mut Link) -> Result<Option<String>> {
    if let Some(obstacle) = setting(link).await? {
        return Ok(Some(obstacle));
    }
    let granted = fetch_on(link, Access::Read, PRIVILEGE, &[]).await?.into_scalar();
    if granted.and_then(|count| count.as_integer()) == Some(0) {
        let user = fetch_on(link, Access::Read, "SELECT CURRENT_USER()", &[]).await?.into_scalar();
        let user = user.and_then(text).unwrap_or_default();
        let (name, host) = user.rsplit_once('@').unwrap_or((&user, "%"));
        return Ok(Some(format!(
            "this user may not read the binary log; run GRANT REPLICATION SLAVE ON *.* TO {}@{}",
            quote(name),
            quote(host)
        )));
    }
    Ok(None)
}

/// The first setting that is not as it must be.
async fn setting(link: &mut Link) -> Result<Option<String>> {
    let sql = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format', 'binlog_row_image', \
               'log_slave_updates', 'lower_case_table_names', 'server_id')";
    let mut found = HashMap::new();
    for row in fetch_on(link, Access::Read, sql, &[]).await?.rows {
        let mut cells = row.into_iter().map(text);
        if let (Some(name), Some(value)) = (cells.next().flatten(), cells.next().flatten()) {
            found.insert(name.to_ascii_lowercase(), value);
        }
    }
    for (name, allowed, what_to_do) in SETTINGS {
        // Only a replica receives what it might not log.
        if name == "log_slave_updates" && !is_replica(link).await {
            continue;
        }
        if let Some(value) = found.get(name)
            && !allowed.iter().any(|allowed| value.eq_ignore_ascii_case(allowed))
        {
            return Ok(Some(what_to_do.to_owned()));
        }
    }
    if found.get("server_id").is_some_and(|id| id == "0") {
        return Ok(Some("the server has no number; run SET GLOBAL server_id = 1".to_owned()));
    }
    Ok(is_left_out(link).await.then(|| {
        "the binary log leaves this database out; change binlog_do_db or binlog_ignore_db in the server's configuration and \
         restart it"
            .to_owned()
    }))
}

/// Whether the server logs other databases only. One whose user may not know counts as one that logs all.
async fn is_left_out(link: &mut Link) -> bool {
    let status = match fetch_on(link, Access::Read, "SHOW MASTER STATUS", &[]).await {
        Err(_) => fetch_on(link, Access::Read, "SHOW BINARY LOG STATUS", &[]).await,
        told => told,
    };
    let Ok(Some(row)) = status.map(|status| status.rows.into_iter().next()) else { return false };
    let own = fetch_on(link, Access::Read, "SELECT DATABASE()", &[]).await;
    let Some(own) = own.ok().and_then(|own| own.into_scalar()).and_then(text) else { return false };
    let mut lists = row.into_iter().skip(2).map(|list| text(list).unwrap_or_default());
    let (logged, ignored) = (lists.next().unwrap_or_default(), lists.next().unwrap_or_default());
    let names_it = |list: &str| list.split(',').any(|name| name == own);
    (!logged.is_empty() && !names_it(&logged)) || names_it(&ignored)
}

/// Whether the server receives changes of another one. One whose user may not know counts as none.
async fn is_replica(link: &mut Link) -> bool {
    let status = fetch_on(link, Access::Read, "SHOW SLAVE STATUS", &[]).await;
    status.is_ok_and(|status| !status.rows.is_empty())
}

/// Checks a reader's tables.
///
/// # Errors
/// [`ErrorKind::Capture`] with what to do.
pub(super) async fn check_tables(link: &mut Link, reader: &LogReader) -> Result<()> {
    for table in &reader.tables {
        let name = &table.name;
        let kind = "SELECT TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?";
        let kind = fetch_on(link, Access::Read, kind, &[name.as_str().into()]).await?.into_scalar();
        match kind.and_then(text).as_deref() {
            Some("BASE TABLE") => {}
            None => {
                return Err(Error::new(ErrorKind::UnknownTable, format!("table \"{name}\" does not exist")));
            }
            Some(_) => {
                return capture(format!(
                    "\"{name}\" is a view or keeps versions of its rows, whose changes the binary log does not tell as those \
                     of a table; use capture: 'trigger'"
                ));
            }
        }
        if table.key.is_empty() {
            return capture(format!(
                "changes cannot be captured: table \"{name}\" has no primary key; add one, as rows could not be told apart"
            ));
        }
        cascade::check(link, name, "the binary log does not tell").await?;
        if let Err(error) = Layout::live(link, table, None).await {
            return match error.kind() {
                ErrorKind::Capture => capture(format!("{error}; use capture: 'trigger'")),
                _ => Err(error),
            };
        }
    }
    Ok(())
}

fn capture<T>(message: String) -> Result<T> {
    Err(Error::new(ErrorKind::Capture, message))
}
