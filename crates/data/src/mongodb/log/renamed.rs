//! What a collection holds that has taken the name of one that is read: the log tells of the name alone.

use std::sync::Arc;

use mongodb::bson::Timestamp as ClusterTime;

use super::place::cluster_time;
use super::view::open;
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Operation, Position};
use crate::mongodb::connect::Connection;
use crate::mongodb::error::{NAMESPACE_NOT_FOUND, driver_error};
use crate::mongodb::scan::{BATCHES_AHEAD, Decoder, Unknown, feed};
use crate::table::{BatchStream, RowBatch, ScanOptions, Table, spawn_scan};

/// How many rows are handed on at a time.
const ROWS_AT_ONCE: usize = 500;

/// The rows of a collection as of when it was given its name.
pub(super) struct Contents(Option<BatchStream>);

impl Contents {
    /// Begins to read. Where the server no longer keeps that view, the rows are read as they are now: what changed since is
    /// told once more, and comes to the same.
    pub(super) async fn read(connection: &Arc<Connection>, table: &Arc<Table>, order: u64) -> Result<Self> {
        let at = cluster_time(&Position::at(order));
        let missing = NAMESPACE_NOT_FOUND.to_string();
        match Self::start(connection, table, Some(at)).await {
            Err(error) if error.kind() == ErrorKind::Timeout => {
                match Self::start(connection, table, None).await {
                    Err(error) if error.code() == missing => Ok(Self(None)),
                    started => started,
                }
            }
            started => started,
        }
    }

    async fn start(connection: &Connection, table: &Arc<Table>, at: Option<ClusterTime>) -> Result<Self> {
        let decoder = Decoder::new(table, Unknown::Ignore)?;
        let cursor = open(connection, &table.name, &ScanOptions::default(), at).await?;
        let turn = Arc::new(tokio::sync::Mutex::new(())).lock_owned().await;
        Ok(Self(Some(spawn_scan(BATCHES_AHEAD, move |sender| {
            feed(cursor, decoder, false, ROWS_AT_ONCE, sender, turn, driver_error)
        }))))
    }

    /// The next rows; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Operation>>> {
        let Some(batches) = &mut self.0 else { return Ok(None) };
        let Some(batch) = batches.recv().await.transpose()? else { return Ok(None) };
        match batch {
            RowBatch::Rows(rows) => Ok(Some(rows.into_iter().map(|row| Operation::Insert { row }).collect())),
            RowBatch::PgBinary { .. } | RowBatch::Packed(_) => {
                Err(Error::new(ErrorKind::Internal, "a scan of documents has delivered tuples"))
            }
        }
    }
}
