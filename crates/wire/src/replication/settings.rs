//! What is set and asked on a connection before its stream starts.

use std::time::Duration;

use crate::connection::Connection;
use crate::error::Result;

/// The text of values must not depend on how a server, a database or a role is configured.
const TEXT_FORMS: &str = "SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET timezone = 'UTC'; \
     SET extra_float_digits = 3; SET bytea_output = 'hex'";

/// Has values written in one way, whatever the server's configuration says.
pub(super) async fn fix_text_forms(connection: &mut Connection) -> Result<()> {
    connection.simple_query(TEXT_FORMS).await.map(drop)
}

/// How long the server waits for a sign of life; `None` where it waits for ever.
pub(super) async fn wal_sender_timeout(connection: &mut Connection) -> Result<Option<Duration>> {
    let sql = "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'";
    let results = connection.simple_query(sql).await?;
    let row = results.first().and_then(|result| result.rows.get(0));
    let milliseconds =
        row.map(|row| row.get_str(0)).transpose()?.flatten().and_then(|text| text.parse().ok());
    Ok(milliseconds.filter(|milliseconds| *milliseconds > 0).map(Duration::from_millis))
}
