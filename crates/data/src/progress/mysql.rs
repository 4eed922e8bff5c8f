//! Progress of MySQL and MariaDB replicas: binary logs by their number, and the place within.

use super::{Progress, ServerRole, integer};
use crate::dialect::{Dialect, DialectKind};
use crate::error::{Error, ErrorKind, Result};
use crate::record::Record;

/// Bits of a position that hold the place within a log; no log is as large.
const PLACE_BITS: u32 = 40;

pub(super) async fn progress(database: &dyn Dialect) -> Result<Progress> {
    let replication = first_of(database, &["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"]).await?;
    let Some(row) = replication else {
        let log = match database.kind() {
            DialectKind::Mariadb => first_of(database, &["SHOW MASTER STATUS"]).await?,
            _ => first_of(database, &["SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"]).await?,
        };
        let written = log.and_then(|log| place(&log, &["File"], &["Position"]));
        let id = first_of(database, &["SELECT @@server_id AS id"]).await?;
        let cluster = id.and_then(|row| integer(&row, "id")).map(|id| id.to_string());
        return Ok(Progress { written, cluster, byte_bits: PLACE_BITS, ..Progress::of(ServerRole::Primary) });
    };
    let runs = |names: &[&str]| text(&row, names) == Some("Yes");
    let own_lag = number(&row, &["Seconds_Behind_Source", "Seconds_Behind_Master"]);
    let source = number(&row, &["Source_Server_Id", "Master_Server_Id"]).filter(|id| *id != 0);
    Ok(Progress {
        cluster: source.map(|id| id.to_string()),
        received: place(
            &row,
            &["Source_Log_File", "Master_Log_File"],
            &["Read_Source_Log_Pos", "Read_Master_Log_Pos"],
        ),
        applied: place(
            &row,
            &["Relay_Source_Log_File", "Relay_Master_Log_File"],
            &["Exec_Source_Log_Pos", "Exec_Master_Log_Pos"],
        ),
        receiving: runs(&["Replica_IO_Running", "Slave_IO_Running"])
            && runs(&["Replica_SQL_Running", "Slave_SQL_Running"]),
        own_lag: own_lag.and_then(|seconds| u64::try_from(seconds).ok()).map(|seconds| seconds * 1000),
        byte_bits: PLACE_BITS,
        ..Progress::of(ServerRole::Replica)
    })
}

/// The first row of the first of these statements that the server knows.
async fn first_of(database: &dyn Dialect, statements: &[&str]) -> Result<Option<Record>> {
    let mut refused = None;
    for statement in statements {
        match database.execute_query(statement, Vec::new()).await {
            Ok(rows) => return Ok(rows.into_iter().next()),
            Err(error) if error.kind() == ErrorKind::Statement => refused = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(refused.unwrap_or_else(|| Error::new(ErrorKind::Internal, "no statement to ask with")))
}

/// A position from the name of a log, whose end is its number, and the place within.
fn place(row: &Record, files: &[&str], places: &[&str]) -> Option<u64> {
    let (_, log) = text(row, files)?.rsplit_once('.')?;
    let (log, place) = (log.parse::<u64>().ok()?, u64::try_from(number(row, places)?).ok()?);
    (log < 1 << (u64::BITS - PLACE_BITS)).then_some(log << PLACE_BITS | place)
}

fn text<'a>(row: &'a Record, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| row.get(*name)).and_then(|value| value.as_text())
}

fn number(row: &Record, names: &[&str]) -> Option<i64> {
    names.iter().find_map(|name| integer(row, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[test]
    fn a_later_log_is_further_than_any_place_in_an_earlier_one() {
        let at = |file: &str, place_in: i64| {
            let row = Record::from_iter([
                ("File".to_owned(), Value::from(file)),
                ("Position".to_owned(), Value::Int64(place_in)),
            ]);
            place(&row, &["File"], &["Position"])
        };
        assert!(at("binlog.000010", 4) > at("binlog.000009", 1 << 30));
        assert!(at("my.host-bin.000009", 5) > at("binlog.000009", 4));
        assert_eq!(at("binlog", 4), None);
        let replica = Progress { byte_bits: PLACE_BITS, ..Progress::of(ServerRole::Replica) };
        let bytes = |from: Option<u64>, to: Option<u64>| replica.bytes_between(from.unwrap(), to.unwrap());
        assert_eq!(bytes(at("binlog.000009", 4), at("binlog.000009", 9)), Some(5));
        assert_eq!(bytes(at("binlog.000009", 900), at("binlog.000010", 4)), None);
        assert_eq!(bytes(at("binlog.000010", 4), at("binlog.000009", 900)), Some(0));
    }
}
