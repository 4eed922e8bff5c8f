//! Where the log ends, and views of the database that lie at a known place of it.

use super::super::catalog::text;
use super::super::pool::{Link, Pool};
use super::super::server::ServerKind;
use super::super::session::fetch_on;
use super::super::store::MysqlSnapshot;
use super::place::Place;
use super::succession;
use crate::error::{Error, ErrorKind, Result};
use crate::log::LogSnapshot;
use crate::sql::Access;
use crate::value::Value;

/// How long a view may be tried for at which nobody writes.
const ATTEMPTS: u32 = 50;
/// How long is waited for those who write, in seconds, when all writing is to stop for a moment.
const LOCK_WAIT: u32 = 5;

/// The place behind the last transaction.
pub(super) async fn head(link: &mut Link) -> Result<Place> {
    let place = match link.server().kind {
        ServerKind::Mariadb => {
            let text = text_of(link, "SELECT @@GLOBAL.gtid_binlog_pos").await?;
            Place::mariadb(&text.unwrap_or_default())
        }
        ServerKind::Mysql if text_of(link, "SELECT @@GLOBAL.gtid_mode").await?.as_deref() == Some("ON") => {
            let text = text_of(link, "SELECT @@GLOBAL.gtid_executed").await?;
            Place::mysql(&text.unwrap_or_default())
        }
        ServerKind::Mysql => file_and_offset(link).await?,
    };
    place.ok_or_else(|| {
        Error::new(ErrorKind::Internal, "the server tells no place of its log that can be read")
    })
}

/// The file that is written, and its end.
async fn file_and_offset(link: &mut Link) -> Result<Option<Place>> {
    let told = match fetch_on(link, Access::Read, "SHOW BINARY LOG STATUS", &[]).await {
        // Older servers know it by its old name.
        Err(error) if error.kind() == ErrorKind::Statement => {
            fetch_on(link, Access::Read, "SHOW MASTER STATUS", &[]).await?
        }
        told => told?,
    };
    let Some(row) = told.rows.into_iter().next() else { return Ok(None) };
    let mut cells = row.into_iter();
    let (file, offset) = (cells.next().and_then(text), cells.next().and_then(|value| value.as_integer()));
    Ok(file
        .zip(offset.and_then(|offset| u64::try_from(offset).ok()))
        .map(|(file, offset)| Place::File { file, offset }))
}

/// A view, and the place in the log up to which it shows everything.
pub(super) async fn snapshot(pool: &Pool) -> Result<LogSnapshot> {
    let (snapshot, place) = match pool.server().kind {
        ServerKind::Mariadb => {
            let (snapshot, place) = at_its_own_place(pool).await?;
            (snapshot, succession::marked(pool, place).await?)
        }
        ServerKind::Mysql => match while_nobody_writes(pool).await {
            // Without the privilege to lock, a moment is waited for in which nobody writes.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Permission | ErrorKind::Conflict | ErrorKind::Timeout
                ) =>
            {
                between_writes(pool).await?
            }
            outcome => outcome?,
        },
    };
    Ok(LogSnapshot { position: place.position(), snapshot: Box::new(snapshot) })
}

/// MariaDB tells for every view up to which place of the log it shows everything.
async fn at_its_own_place(pool: &Pool) -> Result<(MysqlSnapshot, Place)> {
    let snapshot = MysqlSnapshot::begin(pool.clone()).await?;
    let place = {
        let mut link = snapshot.link().await;
        let (mut file, mut offset) = (None, None);
        let status = fetch_on(&mut link, Access::Read, "SHOW STATUS LIKE 'binlog_snapshot_%'", &[]).await?;
        for row in status.rows {
            let mut cells = row.into_iter().map(text);
            match (cells.next().flatten(), cells.next().flatten()) {
                (Some(name), told) if name.eq_ignore_ascii_case("binlog_snapshot_file") => file = told,
                (Some(name), told) if name.eq_ignore_ascii_case("binlog_snapshot_position") => {
                    offset = told.and_then(|told| told.parse::<i64>().ok());
                }
                _ => {}
            }
        }
        let (Some(file), Some(offset)) = (file.filter(|file| !file.is_empty()), offset) else {
            let message = "the server does not tell where in its binary log a view lies";
            return Err(Error::new(ErrorKind::Capture, message));
        };
        let params = [Value::Text(file), Value::Int64(offset)];
        let told = fetch_on(&mut link, Access::Read, "SELECT BINLOG_GTID_POS(?, ?)", &params).await?;
        told.into_scalar().and_then(text).and_then(|gtids| Place::mariadb(&gtids))
    };
    let place = place.ok_or_else(|| {
        Error::new(ErrorKind::Internal, "the server tells no place of its log that can be read")
    })?;
    Ok((snapshot, place))
}

/// Begins a view while all writing is stopped for a moment.
async fn while_nobody_writes(pool: &Pool) -> Result<(MysqlSnapshot, Place)> {
    let mut lock = pool.connect_apart().await?;
    lock.run(&format!("SET SESSION lock_wait_timeout = {LOCK_WAIT}")).await?;
    lock.run("FLUSH TABLES WITH READ LOCK").await?;
    let snapshot = MysqlSnapshot::begin(pool.clone()).await?;
    let place = head(&mut lock).await?;
    lock.run("UNLOCK TABLES").await?;
    Ok((snapshot, place))
}

/// Begins views until nothing was committed meanwhile.
async fn between_writes(pool: &Pool) -> Result<(MysqlSnapshot, Place)> {
    for _ in 0..ATTEMPTS {
        let before = head(&mut *pool.get().await?).await?;
        if let Place::File { .. } = before {
            // The file grows before what was written can be seen, so that equal places prove nothing.
            let message = "a server without GTIDs tells the place of a view only while writing is stopped; run GRANT RELOAD ON \
                           *.* TO the user, or set gtid_mode = ON";
            return Err(Error::new(ErrorKind::Capture, message));
        }
        let snapshot = MysqlSnapshot::begin(pool.clone()).await?;
        if head(&mut *pool.get().await?).await? == before {
            return Ok((snapshot, before));
        }
    }
    Err(Error::new(
        ErrorKind::Capture,
        "so much is written that no view of the tables was found whose place in the log is known; run GRANT RELOAD ON *.* TO \
         the user, so that writing can be stopped for a moment",
    ))
}

async fn text_of(link: &mut Link, sql: &str) -> Result<Option<String>> {
    Ok(fetch_on(link, Access::Read, sql, &[]).await?.into_scalar().and_then(text))
}
