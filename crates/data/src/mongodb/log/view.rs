//! The collections as they were at a cluster time, so that what is copied lies exactly where the log begins.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use mongodb::bson::{Bson, Document, Timestamp as ClusterTime, doc};
use mongodb::raw_batch_cursor::RawBatchCursor;
use tokio::sync::Mutex;

use super::failure::of_viewing;
use crate::error::{Error, ErrorKind, Result};
use crate::mongodb::bson::bson_of;
use crate::mongodb::connect::Connection;
use crate::mongodb::error::{driver_error, malformed};
use crate::mongodb::fields::KEY;
use crate::mongodb::scan::{BATCH_ROWS, BATCHES_AHEAD, Decoder, Unknown, batch_size, feed, scan_query};
use crate::table::{BatchStream, KeyRange, ReadSnapshot, ScanOptions, Table, spawn_scan};

/// The present by the cluster's clock: no transaction that was committed before lies behind it.
pub(super) async fn present(connection: &Connection) -> Result<ClusterTime> {
    let reply = connection.database.run_command(doc! {"ping": 1}).await;
    let reply = reply.map_err(|error| driver_error(&error))?;
    reply
        .get_timestamp("operationTime")
        .map_err(|_| Error::new(ErrorKind::Capture, "the server tells no cluster time; is it a replica set?"))
}

/// A view of the database at a cluster time. One scan runs at a time.
pub(super) struct ViewAt {
    connection: Arc<Connection>,
    at: ClusterTime,
    turn: Arc<Mutex<()>>,
}

impl ViewAt {
    pub(super) fn new(connection: Arc<Connection>, at: ClusterTime) -> Self {
        Self { connection, at, turn: Arc::default() }
    }
}

#[async_trait]
impl ReadSnapshot for ViewAt {
    async fn scan(&self, table: Arc<Table>, options: ScanOptions) -> Result<BatchStream> {
        self.connection.check_open()?;
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let decoder =
            Decoder::new(&table, if options.keys_only { Unknown::Ignore } else { Unknown::Refuse })?;
        let (name, connection) = (&table.name, &self.connection);
        let cursor = match open(connection, name, &options, Some(self.at)).await {
            // The server keeps no states of before of such a collection. Read as it is, it has some of what the log will tell
            // again, which changes nothing.
            Err(error) if error.kind() == ErrorKind::Timeout && is_capped(connection, name).await? => {
                open(connection, name, &options, None).await?
            }
            opened => opened?,
        };
        let most_rows = options.batch_rows.unwrap_or(BATCH_ROWS).clamp(1, BATCH_ROWS);
        Ok(spawn_scan(BATCHES_AHEAD, move |sender| {
            feed(cursor, decoder, options.keys_only, most_rows, sender, turn, of_viewing)
        }))
    }

    async fn fork(&self) -> Result<Option<Box<dyn ReadSnapshot>>> {
        Ok(Some(Box::new(Self::new(Arc::clone(&self.connection), self.at))))
    }
}

/// Begins to read a collection as it was at a cluster time, or as it is.
pub(super) async fn open(
    connection: &Connection,
    name: &str,
    options: &ScanOptions,
    at: Option<ClusterTime>,
) -> Result<RawBatchCursor> {
    connection.trace("find", name);
    let mut filter = scan_query(options);
    if let Some(range) = &options.range {
        let bounds = range_query(range)?;
        if !bounds.is_empty() {
            filter.insert("$expr", doc! {"$and": bounds});
        }
    }
    let size = batch_size(connection, name, options.keys_only).await;
    let mut command = doc! {
        "find": name,
        "filter": filter,
        "batchSize": i64::from(size),
        "noCursorTimeout": true,
        // The order of keys is that of their bytes, whatever the collection's own is.
        "collation": {"locale": "simple"},
    };
    if options.keys_only {
        command.insert("projection", doc! {KEY: 1});
    }
    let mut concern = doc! {"level": "majority"};
    if let Some(at) = at {
        concern = doc! {"level": "snapshot", "atClusterTime": Bson::Timestamp(at)};
    }
    command.insert("readConcern", concern);
    let cursor = connection.database.run_cursor_command(command).batch_size(size).batch().await;
    cursor.map_err(|error| of_viewing(&error).in_context(name))
}

async fn is_capped(connection: &Connection, name: &str) -> Result<bool> {
    connection.trace("listCollections", name);
    let capped = doc! {"name": name, "options.capped": true};
    let found = connection.database.list_collections().filter(capped).await;
    Ok(found.map_err(|error| driver_error(&error))?.next().await.is_some())
}

/// The conditions of a range of keys. Expressions compare values of any types, where queries would leave out those of
/// other types than the bound's.
fn range_query(range: &KeyRange) -> Result<Vec<Document>> {
    let mut conditions = Vec::with_capacity(2);
    for (operator, bound) in [("$gt", &range.after), ("$lte", &range.up_to)] {
        let Some(bound) = bound else { continue };
        let [bound] = bound.as_slice() else {
            return Err(malformed("a key of several columns bounds a part of a collection"));
        };
        conditions.push(doc! {operator: [format!("${KEY}"), {"$literal": bson_of(bound)?}]});
    }
    Ok(conditions)
}
