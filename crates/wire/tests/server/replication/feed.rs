//! A stream with its decoder, and its changes as short texts.

use std::time::Duration;

use tokio::time::timeout;
use wire::Error;
use wire::replication::pgoutput::{
    Commit, Decoder, LogicalMessage, Message, OldTuple, Relation, Tuple, TupleValue,
};
use wire::replication::{ReplicationStream, StreamMessage};

/// How long a test waits for what must come.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

/// A stream and its decoder.
pub(super) struct Feed {
    pub(super) stream: ReplicationStream,
    pub(super) decoder: Decoder,
}

/// A transaction that was not streamed in blocks.
pub(super) struct Transaction {
    /// What is in it, as text.
    pub(super) changes: Vec<String>,
    pub(super) commit: Commit,
}

impl Feed {
    pub(super) fn new(stream: ReplicationStream) -> Self {
        Self { stream, decoder: Decoder::new() }
    }

    /// The next message of the plugin, or the error that ends the stream.
    pub(super) async fn try_message(&mut self) -> Result<Message, Error> {
        loop {
            let message = timeout(DEADLINE, self.stream.next()).await.expect("a message comes in time")?;
            if let StreamMessage::Data(data) = message {
                return Ok(self.decoder.decode(data.payload)?);
            }
        }
    }

    pub(super) async fn message(&mut self) -> Message {
        self.try_message().await.expect("the stream goes on")
    }

    /// The next transaction that has changes.
    pub(super) async fn transaction(&mut self) -> Transaction {
        let mut changes = Vec::new();
        loop {
            match self.message().await {
                Message::Begin(_) | Message::Relation(_) | Message::Type(_) => {}
                Message::Commit(commit) if !changes.is_empty() => return Transaction { changes, commit },
                Message::Commit(_) => {}
                change => changes.push(text(&change)),
            }
        }
    }

    pub(super) async fn changes(&mut self) -> Vec<String> {
        self.transaction().await.changes
    }

    /// Acknowledges what keepalives tell, as one does who has nothing left to do, until the stream ends.
    pub(super) async fn follow_to_the_end(&mut self) -> Error {
        loop {
            match timeout(DEADLINE, self.stream.next()).await.expect("the stream ends in time") {
                Ok(StreamMessage::Keepalive(keepalive)) => self.stream.acknowledge(keepalive.wal_end),
                Ok(StreamMessage::Data(_)) => {}
                Err(error) => return error,
            }
        }
    }
}

/// A change in one line: `insert item(1, a)`, `update item key(1, null) to (2, a)`.
pub(super) fn text(message: &Message) -> String {
    match message {
        Message::Insert(insert) => format!("insert {}{}", insert.relation.name, row(&insert.new)),
        Message::Update(update) => {
            let old = update.old.as_ref().map(|old| format!("{} to ", old_row(old))).unwrap_or_default();
            format!("update {} {old}{}", update.relation.name, row(&update.new))
        }
        Message::Delete(delete) => format!("delete {} {}", delete.relation.name, old_row(&delete.old)),
        Message::Truncate(truncate) => {
            let mut names: Vec<&str> = truncate
                .relations
                .iter()
                .map(|relation: &std::sync::Arc<Relation>| relation.name.as_str())
                .collect();
            names.sort_unstable();
            let cascade = if truncate.cascade { " cascade" } else { "" };
            let restart = if truncate.restart_identity { " restart" } else { "" };
            format!("truncate {}{cascade}{restart}", names.join(","))
        }
        Message::Logical(logical) => logical_text(logical),
        other => format!("{other:?}"),
    }
}

fn logical_text(logical: &LogicalMessage) -> String {
    let kind = if logical.transactional { "transactional" } else { "immediate" };
    format!("{kind} message {}: {}", logical.prefix, String::from_utf8_lossy(&logical.content))
}

fn old_row(old: &OldTuple) -> String {
    match old {
        OldTuple::Key(tuple) => format!("key{}", row(tuple)),
        OldTuple::Full(tuple) => format!("full{}", row(tuple)),
    }
}

pub(super) fn row(tuple: &Tuple) -> String {
    format!("({})", tuple.iter().map(value).collect::<Vec<_>>().join(", "))
}

fn value(value: TupleValue<'_>) -> String {
    match value {
        TupleValue::Null => "null".to_owned(),
        TupleValue::Unchanged => "unchanged".to_owned(),
        TupleValue::Text(text) => std::str::from_utf8(text).expect("it is UTF-8").to_owned(),
        TupleValue::Binary(bytes) => format!("{bytes:02x?}"),
    }
}
