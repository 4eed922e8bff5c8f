//! Where the log ends at present, told so that a reader is sure to get there.

use wire::Connection;
use wire::replication::Lsn;

use super::OWN_MESSAGE_PREFIX;
use crate::error::{Error, ErrorKind, Result};
use crate::log::Position;

/// A position that no transaction committed before lies behind.
///
/// The end of the log itself would not do: up to it a reader may have to wait for as long as nothing is committed, since
/// the server neither flushes nor sends what is behind the last commit. So a transaction of our own is committed,
/// which every reader of the database reaches at once, and in which nothing but a message stands.
pub(super) async fn head(connection: &mut Connection) -> Result<Position> {
    let sql = format!(
        "BEGIN; SET LOCAL synchronous_commit = local; SELECT pg_logical_emit_message(true, '{OWN_MESSAGE_PREFIX}', ''); \
         COMMIT"
    );
    let results = connection.simple_query(&sql).await?;
    let row = results.iter().find_map(|result| result.rows.get(0));
    let text = row.map(|row| row.get_str(0)).transpose()?.flatten();
    let lsn: Option<Lsn> = text.and_then(|text| text.parse().ok());
    let lsn = lsn.ok_or_else(|| Error::new(ErrorKind::Internal, "the server told no position of its log"))?;
    Ok(Position::at(lsn.into()))
}
