//! The course of its history that a cluster is on: its timeline, which is another one after a standby was promoted or a backup was
//! recovered to a moment of the past.

use super::pool::Pool;
use crate::error::{Error, Result};

/// The name of the segment that is written begins with the timeline. Views of the control file tell it only after a checkpoint.
const TIMELINE: &str = "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)";

/// The timeline; none where the server does not tell it, as one that stands by.
pub(super) async fn course(pool: &Pool) -> Result<Option<String>> {
    let told = match pool.get().await?.query(TIMELINE, &[]).await {
        Err(wire::Error::Server(_)) => return Ok(None),
        told => told?,
    };
    let text = told.rows.get(0).map(|row| row.get_str(0)).transpose().map_err(Error::from)?;
    Ok(text.flatten().map(str::to_owned))
}
