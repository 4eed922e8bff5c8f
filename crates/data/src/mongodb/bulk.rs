//! Writing rows in batches: commands whose BSON is written straight from the rows.
//!
//! Updates and deletes run in one transaction where the server has them. Inserts do not: a transaction was measured to
//! cost a quarter to a third of the rows per second (143,000 against 210,000 on one connection, 190,000 against 260,000
//! on three), and as an insert is of rows that do not exist yet, its caller can take back what a failed one has left.

use mongodb::ClientSession;
use mongodb::bson::spec::ElementType;
use mongodb::bson::{Document, RawDocumentBuf};

use super::bson::{Opened, Writer, document_of};
use super::connect::Connection;
use super::error::{WriteError, driver_error, malformed, write_errors};
use super::transaction::{commit, start};
use crate::error::{Error, ErrorKind, Result};
use crate::value::{Object, Value};

/// A command is a document, which may hold 16 MiB and a little; a single row may fill it.
const COMMAND_BYTES: usize = 15 << 20;
/// The most writes that the server takes in one command.
const COMMAND_WRITES: usize = 100_000;
/// The largest document that the server stores.
pub(super) const DOCUMENT_BYTES: usize = 16 << 20;
/// How often a transaction that collided with another one is run again.
const ATTEMPTS: usize = 5;

/// A write command, and which of the call's rows its first write is.
pub(super) struct Command {
    document: RawDocumentBuf,
    first: usize,
    writes: usize,
}

/// What the writes of a command do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteKind {
    /// Inserts documents.
    Insert,
    /// Replaces documents, or inserts them.
    Update,
    /// Deletes documents.
    Delete,
}

impl WriteKind {
    /// The name of the command, and of the array in which its writes stand.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Insert => ("insert", "documents"),
            Self::Update => ("update", "updates"),
            Self::Delete => ("delete", "deletes"),
        }
    }

    fn in_transaction(self, connection: &Connection) -> bool {
        connection.has_transactions && self != Self::Insert
    }
}

/// The commands of one call.
pub(super) struct Commands {
    kind: WriteKind,
    list: Vec<Command>,
}

/// Whose transaction commands run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// In that of a caller, which has a write concern of its own.
    Caller,
    /// In one for this call alone, where its kind asks for one.
    Call,
}

/// Writes commands of one kind, beginning another where one is full.
pub(super) struct CommandWriter<'a> {
    kind: WriteKind,
    collection: &'a str,
    write_concern: Option<Object>,
    current: Option<Open>,
    written: usize,
    commands: Vec<Command>,
}

struct Open {
    writer: Writer,
    command: Opened,
    writes: Opened,
    first: usize,
}

impl<'a> CommandWriter<'a> {
    pub(super) fn new(
        connection: &Connection,
        owner: Owner,
        kind: WriteKind,
        collection: &'a str,
    ) -> Result<Self> {
        let in_transaction = owner == Owner::Caller || kind.in_transaction(connection);
        // A transaction has one for all of its commands.
        let write_concern = match connection.write_concern().filter(|_| !in_transaction) {
            Some(concern) => {
                Some(super::bson::object_of(&RawDocumentBuf::try_from(&concern).map_err(malformed)?)?)
            }
            None => None,
        };
        Ok(Self { kind, collection, write_concern, current: None, written: 0, commands: Vec::new() })
    }

    /// Adds one write, whose content `fill` appends.
    ///
    /// # Errors
    /// Those of `fill`, after which the write is left out.
    pub(super) fn write(
        &mut self,
        expected_bytes: usize,
        fill: impl FnOnce(&mut Writer) -> Result<()>,
    ) -> Result<()> {
        if self.current.as_ref().is_some_and(|open| {
            open.writer.len() + expected_bytes > COMMAND_BYTES || self.written - open.first >= COMMAND_WRITES
        }) {
            self.finish_command()?;
        }
        let mut open = match self.current.take() {
            Some(open) => open,
            None => self.open()?,
        };
        let before = open.writer.len();
        let item = open.writer.open_item(self.written - open.first)?;
        let filled = fill(&mut open.writer);
        if filled.is_ok() {
            open.writer.close(item);
            self.written += 1;
        } else {
            open.writer.truncate(before);
        }
        self.current = Some(open);
        filled
    }

    /// The commands, in order.
    pub(super) fn finish(mut self) -> Result<Commands> {
        self.finish_command()?;
        Ok(Commands { kind: self.kind, list: self.commands })
    }

    fn open(&self) -> Result<Open> {
        let (name, writes_name) = self.kind.names();
        let mut writer = Writer::with_capacity(1 << 16);
        let command = writer.open();
        writer.element(name, &Value::from(self.collection))?;
        writer.element("ordered", &Value::Bool(false))?;
        if let Some(concern) = &self.write_concern {
            writer.document("writeConcern", &document_of(concern)?)?;
        }
        let writes = writer.open_element(ElementType::Array, writes_name)?;
        Ok(Open { writer, command, writes, first: self.written })
    }

    fn finish_command(&mut self) -> Result<()> {
        let Some(mut open) = self.current.take() else { return Ok(()) };
        open.writer.close(open.writes);
        open.writer.close(open.command);
        let writes = self.written - open.first;
        if writes > 0 {
            self.commands.push(Command { document: open.writer.into_document()?, first: open.first, writes });
        }
        Ok(())
    }
}

/// What is known after commands failed.
pub(super) struct Failed {
    /// The error.
    pub(super) error: Error,
    /// Which of the call's rows it is about.
    pub(super) row: Option<usize>,
    /// The rows that were or may have been written nevertheless; none within a transaction.
    pub(super) written: Vec<usize>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, row: None, written: Vec::new() }
    }
}

/// Runs the commands of a call and gives their replies.
pub(super) async fn run(connection: &Connection, commands: &Commands) -> Result<Vec<Document>, Failed> {
    if commands.list.is_empty() {
        return Ok(Vec::new());
    }
    if !commands.kind.in_transaction(connection) {
        return run_plain(connection, &commands.list).await;
    }
    let mut attempt = 1;
    loop {
        match run_in_transaction(connection, &commands.list).await {
            Err(failed) if failed.error.kind() == ErrorKind::Conflict && attempt < ATTEMPTS => attempt += 1,
            outcome => return outcome,
        }
    }
}

async fn run_in_transaction(connection: &Connection, commands: &[Command]) -> Result<Vec<Document>, Failed> {
    let mut session = start(connection, None).await?;
    match run_all(connection, commands, &mut session).await {
        Ok(replies) => {
            commit(&mut session).await?;
            Ok(replies)
        }
        Err(failed) => {
            // The server may have done this already; then there is nothing left to abort.
            drop(session.abort_transaction().await);
            Err(failed)
        }
    }
}

/// Runs the commands of a call in the transaction of a session, which the server aborts on an error.
pub(super) async fn run_within(
    connection: &Connection,
    commands: &Commands,
    session: &mut ClientSession,
) -> Result<Vec<Document>, Failed> {
    run_all(connection, &commands.list, session).await
}

async fn run_all(
    connection: &Connection,
    commands: &[Command],
    session: &mut ClientSession,
) -> Result<Vec<Document>, Failed> {
    let mut replies = Vec::with_capacity(commands.len());
    for command in commands {
        let run = run_command(connection, command, Some(&mut *session)).await;
        replies.push(run.map_err(|failed| Failed { written: Vec::new(), ..failed })?);
    }
    Ok(replies)
}

async fn run_plain(connection: &Connection, commands: &[Command]) -> Result<Vec<Document>, Failed> {
    let mut replies = Vec::with_capacity(commands.len());
    for command in commands {
        match run_command(connection, command, None).await {
            Ok(reply) => replies.push(reply),
            Err(mut failed) => {
                failed.written.extend(0..command.first);
                return Err(failed);
            }
        }
    }
    Ok(replies)
}

async fn run_command(
    connection: &Connection,
    command: &Command,
    session: Option<&mut ClientSession>,
) -> Result<Document, Failed> {
    let mut run = connection.database.run_raw_command(command.document.clone());
    if let Some(session) = session {
        run = run.session(session);
    }
    let reply = run.await.map_err(|error| Failed {
        error: driver_error(&error),
        row: None,
        // A lost connection does not tell what of it the server has written. A document under one of these keys may be
        // somebody else's, so that none is taken back; the next run finds them and compares.
        written: Vec::new(),
    })?;
    let mut errors = write_errors(&reply);
    if errors.is_empty() {
        return Ok(reply);
    }
    let failed: std::collections::HashSet<usize> = errors.iter().filter_map(|error| error.index).collect();
    let written = (0..command.writes)
        .filter(|write| !failed.contains(write))
        .map(|write| command.first + write)
        .collect();
    let WriteError { index, error } = errors.swap_remove(0);
    Err(Failed { error, row: index.map(|index| command.first + index), written })
}
