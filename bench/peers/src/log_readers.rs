//! The peers for reading a log: the change stream of MongoDB's driver, and the crate that decodes MariaDB's binlog.

use std::time::Instant;

use futures_util::StreamExt;
use mongodb::Client;
use mongodb::bson::Timestamp;
use mysql_async::binlog::EventType;
use mysql_async::binlog::events::EventData;
use mysql_async::{BinlogStreamRequest, Conn};

use crate::job::{Failure, Outcome};

/// A number that no other reader of the server has.
const READER: u32 = 4_000_000_001;

/// Reads changes of a collection from a time of the cluster on, given as `seconds.increment`.
pub(crate) async fn change_stream(
    uri: &str,
    table: &str,
    events: usize,
    from: &str,
) -> Result<Outcome, Failure> {
    let (time, increment) = two_numbers(from, '.')?;
    let client = Client::with_uri_str(uri).await?;
    let database = client.default_database().unwrap_or_else(|| client.database("test"));
    let collection = database.collection::<mongodb::bson::Document>(table);

    let start = Instant::now();
    let mut stream = collection.watch().start_at_operation_time(Timestamp { time, increment }).await?;
    let mut read = 0;
    while read < events {
        let Some(change) = stream.next().await.transpose()? else { break };
        read += usize::from(change.document_key.is_some());
    }
    Ok(Outcome::of(read, start.elapsed()))
}

/// Decodes changed rows from a place in the binlog on, given as `file:offset`.
pub(crate) async fn binlog(uri: &str, events: usize, from: &str) -> Result<Outcome, Failure> {
    let (file, offset) = from.rsplit_once(':').ok_or_else(|| Failure::Place(from.to_owned()))?;
    let offset = offset.parse().map_err(|_| Failure::Place(from.to_owned()))?;
    let connection = Conn::new(mysql_async::Opts::from_url(uri).map_err(mysql_async::Error::from)?).await?;

    let start = Instant::now();
    let request = BinlogStreamRequest::new(READER).with_filename(file.as_bytes()).with_pos(offset);
    let mut stream = connection.get_binlog_stream(request).await?;
    let mut read = 0;
    while read < events {
        let Some(event) = stream.next().await.transpose()? else { break };
        // MariaDB has events that the crate has no type for.
        if !event.header().event_type().is_ok_and(is_about_rows) {
            continue;
        }
        let Some(EventData::RowsEvent(rows)) = event.read_data()? else { continue };
        let Some(table) = stream.get_tme(rows.table_id()) else { continue };
        for row in rows.rows(table) {
            row?;
            read += 1;
        }
    }
    Ok(Outcome::of(read, start.elapsed()))
}

fn is_about_rows(kind: EventType) -> bool {
    use EventType::{
        DELETE_ROWS_EVENT, DELETE_ROWS_EVENT_V1, UPDATE_ROWS_EVENT, UPDATE_ROWS_EVENT_V1, WRITE_ROWS_EVENT,
        WRITE_ROWS_EVENT_V1,
    };
    let newer = matches!(kind, WRITE_ROWS_EVENT | UPDATE_ROWS_EVENT | DELETE_ROWS_EVENT);
    newer || matches!(kind, WRITE_ROWS_EVENT_V1 | UPDATE_ROWS_EVENT_V1 | DELETE_ROWS_EVENT_V1)
}

fn two_numbers(text: &str, between: char) -> Result<(u32, u32), Failure> {
    let numbers =
        text.split_once(between).and_then(|(one, other)| Some((one.parse().ok()?, other.parse().ok()?)));
    numbers.ok_or_else(|| Failure::Place(text.to_owned()))
}
