//! The stream of a reader: a task receives ahead of it.

use std::time::Duration;

use tokio::time::timeout;
use wire::Connection;
use wire::replication::pgoutput::{Decoder, Message};
use wire::replication::{Acknowledger, Lsn, ReplicationStream, StartReplication, StreamMessage};

use super::assemble::{Assembler, ReadTable, Taken};
use super::slot::SlotState;
use super::{PostgresLog, TextReaders, failure, publication, requirement, timeline};
use crate::error::{Error, ErrorKind, Result};
use crate::log::task_stream::{Acknowledged, TaskStream};
use crate::log::{ChangeStream, EventSender, LogEvent, LogReader, Position, event_queue};
use crate::postgres::catalog;
use crate::postgres::encode::text_of;
use crate::postgres::pool::Pool;
use crate::postgres::types::has_binary_form;
use crate::value::Value;

/// What waits for the reader at the most.
const WAITING_BYTES: usize = 1 << 20;
/// How long the end of a stream may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The first version that sends values in binary, and logical messages.
const BINARY_VERSION: u32 = 14;

/// Starts to read behind a position, what any of the readers reads. The slot of the first one serves all of them.
pub(super) async fn start(
    log: &PostgresLog,
    readers: &[&LogReader],
    position: &Position,
) -> Result<Box<dyn ChangeStream>> {
    let Some(lead) = readers.first() else {
        return Err(Error::new(ErrorKind::Internal, "a stream of changes needs a reader"));
    };
    let mut connection = log.pool.get().await?;
    let server = requirement::check_server(&mut connection).await?;
    let from = Lsn::from(position.order);
    check_kept(&mut connection, readers, from).await?;
    let (tables, all_binary) = read_tables(&mut connection, readers).await?;
    let oids = tables.iter().map(|read| Value::Text(read.oid.to_string())).collect();
    let shared = (readers.len() > 1).then(|| Shared { pool: log.pool.clone(), oids: Value::Array(oids) });
    if let Some(shared) = &shared {
        shared.check_apart(&mut connection).await?;
    }
    drop(connection);
    let is_recent = server.version >= BINARY_VERSION;
    let needs_text = readers.iter().any(|reader| log.text_readers.contains(&reader.name));
    let is_binary = is_recent && all_binary && !needs_text;
    let mut start = StartReplication::new(&lead.name, readers.iter().map(|reader| &reader.name));
    start.start = from;
    start.messages = is_recent;
    start.binary = is_binary;
    let mut replication = log.connect_replication(&server.user).await?;
    let timeline = replication.identify_system().await?.timeline;
    timeline::check(&mut replication, timeline, position).await?;
    let stream = replication.start_replication(&start).await;
    let stream = stream.map_err(|error| failure::of_streaming(error, &lead.name))?;
    let acknowledger = stream.acknowledger();
    let (sender, events) = event_queue(WAITING_BYTES);
    let receiver = Receiver {
        name: lead.name.clone(),
        stream,
        decoder: Decoder::new(),
        assembler: Assembler::new(log.pool.clone(), tables, from, timeline),
        is_binary,
        shared,
        text_readers: log.text_readers.clone(),
        sender,
    };
    let task = tokio::spawn(receiver.run());
    Ok(Box::new(TaskStream::new(events, task, acknowledger)))
}

/// Fails unless the log is kept from this position on.
async fn check_kept(connection: &mut Connection, readers: &[&LogReader], from: Lsn) -> Result<()> {
    let name = readers.first().map_or("", |lead| lead.name.as_str());
    let lost = |message: String| Err(Error::new(ErrorKind::LogLost, message));
    let Some(slot) = SlotState::read(connection, name).await? else {
        return lost(format!("the replication slot \"{name}\" does not exist, so that changes are missing"));
    };
    if let Some(reason) = slot.lost(name) {
        return lost(reason);
    }
    for reader in readers {
        if !publication::exists(connection, &reader.name).await? {
            return lost(publication::gone(&reader.name));
        }
    }
    // The server would begin with what it has been told is safe, and pass over what lies between in silence.
    if let Some(confirmed) = slot.confirmed
        && Lsn::from(confirmed) > from
    {
        return lost(format!(
            "the replication slot \"{name}\" keeps the log from {} on, and changes since {from} are needed",
            Lsn::from(confirmed)
        ));
    }
    Ok(())
}

/// The tables of readers that share a stream.
struct Shared {
    pool: Pool,
    oids: Value,
}

impl Shared {
    /// Fails if one of the tables is a partition of another one: a stream for both tells its changes as those of the other one
    /// only.
    async fn check_apart(&self, connection: &mut Connection) -> Result<()> {
        let sql = "
            WITH RECURSIVE parents AS (
                SELECT inhparent AS oid FROM pg_inherits WHERE inhrelid = ANY ($1::oid[])
                UNION SELECT i.inhparent FROM pg_inherits i JOIN parents p ON i.inhrelid = p.oid)
            SELECT 1 FROM parents p JOIN pg_class c ON c.oid = p.oid
            WHERE c.relkind = 'p' AND p.oid = ANY ($1::oid[]) LIMIT 1";
        let found = connection.query(sql, &[text_of(&self.oids, None).into()]).await?;
        if found.rows.is_empty() {
            return Ok(());
        }
        let message = "a reader reads a partition by itself whose root another one reads";
        Err(Error::new(ErrorKind::Capture, message))
    }
}

/// Where the readers' tables are, and whether all their columns have a binary form that is decoded here.
async fn read_tables(connection: &mut Connection, readers: &[&LogReader]) -> Result<(Vec<ReadTable>, bool)> {
    let mut tables: Vec<ReadTable> = Vec::new();
    let mut all_binary = true;
    for table in readers.iter().flat_map(|reader| &reader.tables) {
        if tables.iter().any(|read| read.table.name == table.name) {
            continue;
        }
        let (oid, schema, relation) = match catalog::find(connection, &table.name).await? {
            Some(found) => {
                let present = catalog::describe(connection, &found).await?.table;
                all_binary &= present
                    .columns
                    .iter()
                    .all(|column| column.generated || has_binary_form(&column.column_type));
                let (schema, relation) = found.names();
                (found.oid(), schema.to_owned(), relation.to_owned())
            }
            // It was dropped, and the log may still hold changes of it.
            None => {
                let (schema, relation) = catalog::split_name(&table.name);
                let schema = match schema {
                    Some(schema) => schema.to_owned(),
                    None => own_schema(connection).await?,
                };
                (0, schema, relation.to_owned())
            }
        };
        tables.push(ReadTable { oid, schema, relation, table: table.clone() });
    }
    Ok((tables, all_binary))
}

async fn own_schema(connection: &mut Connection) -> Result<String> {
    let result = connection.query("SELECT current_schema()", &[]).await?;
    let schema = result.rows.get(0).map(|row| row.get_str(0)).transpose()?.flatten();
    Ok(schema.unwrap_or_default().to_owned())
}

impl Acknowledged for Acknowledger {
    /// The server is told what was acknowledged last.
    const IS_BROKEN_OFF: bool = false;

    fn acknowledge(&mut self, position: &Position) {
        Self::acknowledge(self, position.order.into());
    }
}

/// The task that receives.
struct Receiver {
    name: String,
    stream: ReplicationStream,
    decoder: Decoder,
    assembler: Assembler,
    is_binary: bool,
    shared: Option<Shared>,
    text_readers: TextReaders,
    sender: EventSender,
}

impl Receiver {
    async fn run(mut self) {
        match self.receive().await {
            Ok(()) => {
                // The server is told what was acknowledged; where it does not listen, it sends that again the next time.
                if let Ok(Err(error)) = timeout(CLOSE_TIMEOUT, self.stream.finish()).await {
                    tracing::debug!("a stream of changes did not end in good order: {error}");
                }
            }
            // A reader that has left does not want to know.
            Err(error) => drop(self.sender.send(Err(error)).await),
        }
    }

    /// Receives until the reader has left.
    async fn receive(&mut self) -> Result<()> {
        let mut events = Vec::new();
        loop {
            let message = tokio::select! {
                biased;
                () = self.sender.closed() => return Ok(()),
                message = self.stream.next() => message.map_err(|error| failure::of_streaming(error, &self.name))?,
            };
            let mut next = Some(message);
            // What has arrived with it is handed on together.
            while let Some(message) = next {
                self.take(message, &mut events).await?;
                if self.assembler.is_full() {
                    self.assembler.flush(&mut events).await?;
                }
                if !self.hand_on(&mut events).await {
                    return Ok(());
                }
                next =
                    self.stream.next_received().map_err(|error| failure::of_streaming(error, &self.name))?;
            }
            self.assembler.flush(&mut events).await?;
            if !self.hand_on(&mut events).await {
                return Ok(());
            }
        }
    }

    async fn take(&mut self, message: StreamMessage, events: &mut Vec<LogEvent>) -> Result<()> {
        let data = match message {
            StreamMessage::Data(data) => data,
            StreamMessage::Keepalive(keepalive) => {
                self.assembler.keepalive(keepalive, events);
                return Ok(());
            }
        };
        let bytes = data.payload.len();
        let message = self.decoder.decode(data.payload).map_err(|error| {
            // Reading it again would come to the same.
            Error::new(ErrorKind::Internal, format!("the stream of changes cannot be decoded: {error}"))
        })?;
        // A table is described anew when it has become a partition, or has got one.
        if let (Some(shared), Message::Relation(_)) = (&self.shared, &message) {
            let mut connection = shared.pool.get().await?;
            shared.check_apart(&mut connection).await?;
        }
        match self.assembler.take(message, bytes, self.is_binary, events).await? {
            Taken::Done => Ok(()),
            Taken::NeedsText => {
                self.text_readers.insert(&self.name);
                Err(Error::new(
                    ErrorKind::Connection,
                    "a column has a type that is read as text, so that the stream of changes begins anew",
                ))
            }
        }
    }

    /// Whether the reader is still there.
    async fn hand_on(&self, events: &mut Vec<LogEvent>) -> bool {
        for event in events.drain(..) {
            if self.sender.send(Ok(event)).await.is_err() {
                return false;
            }
        }
        true
    }
}
