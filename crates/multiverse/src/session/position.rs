//! The position of the write-ahead log: on the primary after a write, on a standby as far as it has replayed.

use wire::{Pipeline, PipelinedStatement, RowBatch};

use crate::request::BindParameters;
use crate::route::ReplayPosition;

/// The timeline stands in the first eight digits of the name of a segment.
pub(crate) const WRITTEN: &str = "SELECT pg_catalog.pg_current_wal_insert_lsn()::text, \
     pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8)";
/// The timeline of a standby is that of what it receives, else that of its last restart point.
pub(crate) const REPLAYED: &str = "SELECT pg_catalog.pg_last_wal_replay_lsn()::text, pg_catalog.lpad(pg_catalog.to_hex(\
     COALESCE((SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver), \
     (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()))), 8, '0')";

/// The keys of statements of requests are above 24 bits.
const KEY: u64 = 1;

/// Writes the question for the position after what was written before it.
pub(crate) fn write(pipeline: &mut Pipeline) -> wire::Result<()> {
    pipeline.execute(&PipelinedStatement {
        key: Some(KEY),
        sql: WRITTEN,
        parameter_types: &[],
        parameters: BindParameters::none().section(),
    })
}

/// The position in a row of the answer.
pub(crate) fn read(rows: &RowBatch) -> Option<ReplayPosition> {
    let row = rows.get(0)?;
    parse(row.get_str(0).ok()??, row.get_str(1).ok()??)
}

/// Reads a position as the server writes it, `16/B374D848`, and a timeline of eight hexadecimal digits.
pub(crate) fn parse(lsn: &str, timeline: &str) -> Option<ReplayPosition> {
    let (high, low) = lsn.split_once('/')?;
    let high = u64::from(u32::from_str_radix(high, 16).ok()?);
    let low = u64::from(u32::from_str_radix(low, 16).ok()?);
    Some(ReplayPosition { timeline: u32::from_str_radix(timeline, 16).ok()?, lsn: (high << 32) | low })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_the_server_writes_them() {
        let position = parse("16/B374D848", "0000000A");
        assert_eq!(position, Some(ReplayPosition { timeline: 10, lsn: 0x16_B374_D848 }));
        assert_eq!(parse("16", "1"), None);
        assert_eq!(parse("16/x", "1"), None);
    }
}
