//! Queries with parameters: parsed once, kept, run in one round trip.

use std::borrow::Cow;
use std::sync::Arc;

use super::Connection;
use super::parameter::{Param, QueryOptions, ResultFormat, given_types};
use super::statement::{Statement, cache_key};
use crate::error::{Error, Result};
use crate::protocol::frontend;
use crate::protocol::message::BackendMessage;
use crate::protocol::row::{Column, Rows};
use crate::protocol::state::{Event, TransactionStatus};

/// What a statement gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryResult {
    /// The columns of the rows; empty when the statement returns none.
    pub columns: Arc<[Column]>,
    /// The rows.
    pub rows: Rows,
    /// What the server says it did, as `INSERT 0 5`; empty for an empty statement.
    pub command_tag: String,
    /// The rows inserted, updated, deleted, selected or copied; 0 for other commands.
    pub rows_affected: u64,
}

impl QueryResult {
    pub(super) fn new(columns: Arc<[Column]>, rows: Rows, command_tag: String) -> Self {
        Self { columns, rows, rows_affected: rows_affected(&command_tag), command_tag }
    }
}

/// The number at the end of a command tag.
pub(super) fn rows_affected(tag: &str) -> u64 {
    tag.rsplit(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// A statement on its way: known from before, or being parsed with this request.
#[derive(Debug)]
pub(super) enum Sent {
    Known(Arc<Statement>),
    Parsing { name: String, key: String },
}

impl Sent {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Known(statement) => statement.name(),
            Self::Parsing { name, .. } => name,
        }
    }
}

impl Connection {
    /// Runs one statement and collects its rows as text. The types of parameters are inferred by the server unless given.
    ///
    /// # Errors
    /// [`Error::Server`] where the server rejects it; the connection stays usable.
    pub async fn query(&mut self, sql: &str, parameters: &[Param<'_>]) -> Result<QueryResult> {
        self.query_with(sql, parameters, &QueryOptions::default()).await
    }

    /// As [`Connection::query`], with options.
    ///
    /// # Errors
    /// As for [`Connection::query`].
    pub async fn query_with(
        &mut self,
        sql: &str,
        parameters: &[Param<'_>],
        options: &QueryOptions,
    ) -> Result<QueryResult> {
        let columns = self.open(sql, parameters, options).await?;
        let result = self.read_result(columns, true).await;
        self.end(result).await
    }

    /// Runs one statement and returns the number of rows it affected.
    ///
    /// # Errors
    /// As for [`Connection::query`].
    pub async fn execute(&mut self, sql: &str, parameters: &[Param<'_>]) -> Result<u64> {
        Ok(self.query(sql, parameters).await?.rows_affected)
    }

    /// Has a statement parsed, to learn its parameters and columns. A later query of the same text and
    /// types uses it.
    ///
    /// # Errors
    /// As for [`Connection::query`].
    pub async fn prepare(&mut self, sql: &str, types: &[u32]) -> Result<Arc<Statement>> {
        self.ready().await?;
        let sent = self.write(|connection| connection.write_statement(sql, types, true))?;
        let statement = match sent {
            Sent::Known(statement) => return Ok(statement),
            sent @ Sent::Parsing { .. } => {
                self.state.sync();
                self.read_statement(sent).await
            }
        };
        self.end(statement).await
    }

    /// Sends a statement and reads until its rows begin, whose columns it returns. A statement kept from before that
    /// has become unusable, or whose parameters may have types of columns that have changed, is parsed anew, once,
    /// where that cannot change what a transaction does: nothing has been run yet.
    pub(super) async fn open(
        &mut self,
        sql: &str,
        parameters: &[Param<'_>],
        options: &QueryOptions,
    ) -> Result<Arc<[Column]>> {
        let types = given_types(parameters);
        let mut is_first = true;
        loop {
            self.ready().await?;
            let (sent, format) = self.write(|connection| {
                let sent = connection.write_statement(sql, &types, options.cache)?;
                let format = match &sent {
                    Sent::Known(statement) => options.result_format.of_columns(statement.columns()),
                    Sent::Parsing { .. } => Cow::Borrowed(&options.result_format),
                };
                connection.write_execution(sent.name(), parameters, &format)?;
                Ok((sent, format))
            })?;
            let is_kept = matches!(sent, Sent::Known(_));
            self.state.sync();
            let opened = async {
                let statement = self.read_statement(sent).await?;
                self.read_bind_complete().await?;
                Ok(statement.columns_in(&format))
            };
            let error = match opened.await {
                Ok(columns) => return Ok(columns),
                Err(error) => error,
            };
            let error = match self.end::<()>(Err(error)).await {
                Err(error) => error,
                Ok(()) => Error::protocol("an error was lost"),
            };
            let is_stale = error.server().is_some_and(|error| {
                error.invalidates_statement() || (is_kept && error.may_be_of_former_types())
            }) && self.statements.remove(&cache_key(sql, &types));
            if !(is_stale && is_first && self.transaction_status() == TransactionStatus::Idle) {
                return Err(error);
            }
            is_first = false;
        }
    }

    /// Writes requests all or not at all. Statements that have given way are closed on this occasion, first, since
    /// the server passes over whatever follows an error.
    pub(super) fn write<T>(&mut self, requests: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.extended = true;
        for closing in self.statements.take_closing() {
            frontend::close_statement(&closing, &mut self.state.outbound)?;
        }
        let mark = self.state.mark();
        let written = requests(self);
        if written.is_err() {
            self.state.rewind(mark);
        }
        written
    }

    /// Writes what makes the statement known to the server, where it is not.
    pub(super) fn write_statement(&mut self, sql: &str, types: &[u32], cache: bool) -> Result<Sent> {
        let key = cache_key(sql, types);
        if let Some(statement) = self.statements.get(&key) {
            return Ok(Sent::Known(statement));
        }
        let is_kept = cache && self.statements.is_enabled();
        let name = if is_kept { self.statements.new_name() } else { String::new() };
        let outbound = &mut self.state.outbound;
        frontend::parse(&name, sql, types, outbound)?;
        frontend::describe_statement(&name, outbound)?;
        Ok(Sent::Parsing { name, key: key.into_owned() })
    }

    pub(super) fn write_execution(
        &mut self,
        statement: &str,
        parameters: &[Param<'_>],
        format: &ResultFormat,
    ) -> Result<()> {
        let outbound = &mut self.state.outbound;
        frontend::bind(statement, parameters.iter().map(Param::to_bind), format.codes(), outbound)?;
        frontend::execute(outbound)
    }

    /// The next message of an answer. An error of the server is an error here.
    pub(super) async fn next_answer(&mut self) -> Result<Event> {
        loop {
            match self.next_event().await? {
                Event::Message(BackendMessage::CloseComplete) => {}
                Event::Message(BackendMessage::ErrorResponse(error)) => return Err(self.fail(error)),
                event => return Ok(event),
            }
        }
    }

    /// Reads what the server says of a statement it was sent to parse, and keeps it.
    pub(super) async fn read_statement(&mut self, sent: Sent) -> Result<Arc<Statement>> {
        let (name, key) = match sent {
            Sent::Known(statement) => return Ok(statement),
            Sent::Parsing { name, key } => (name, key),
        };
        let mut parameter_types = Vec::new();
        let columns = loop {
            match self.next_answer().await? {
                Event::Message(BackendMessage::ParseComplete) => {}
                Event::Message(BackendMessage::ParameterDescription(types)) => parameter_types = types,
                Event::Message(BackendMessage::RowDescription(columns)) => break columns,
                Event::Message(BackendMessage::NoData) => break Vec::new(),
                other => return Err(self.unexpected(&other, "preparing")),
            }
        };
        let is_kept = !name.is_empty();
        let statement = Arc::new(Statement::new(name, parameter_types, columns));
        if is_kept {
            self.statements.insert(key, Arc::clone(&statement));
        }
        Ok(statement)
    }

    pub(super) async fn read_bind_complete(&mut self) -> Result<()> {
        match self.next_answer().await? {
            Event::Message(BackendMessage::BindComplete) => Ok(()),
            other => Err(self.unexpected(&other, "binding")),
        }
    }

    /// Reads the rows of one statement to its end. `is_last` says that only Sync was sent after it.
    pub(super) async fn read_result(&mut self, columns: Arc<[Column]>, is_last: bool) -> Result<QueryResult> {
        let mut rows = Rows::default();
        let mut is_copy = false;
        loop {
            let message = match self.next_answer().await? {
                Event::Rows(batch) => {
                    rows.push(batch);
                    continue;
                }
                Event::Message(message) => message,
            };
            match message {
                BackendMessage::CommandComplete { .. } if is_copy => {
                    return Err(Error::config("sql", "COPY TO STDOUT needs copy_out"));
                }
                BackendMessage::CommandComplete { tag } => {
                    self.note_command(&tag);
                    return Ok(QueryResult::new(columns, rows, tag));
                }
                BackendMessage::EmptyQueryResponse => {
                    return Ok(QueryResult::new(columns, rows, String::new()));
                }
                BackendMessage::CopyInResponse(_) if is_last => self.refuse_copy_in(),
                // The statement sent after it is no COPY data: the server ends the COPY by itself.
                BackendMessage::CopyInResponse(_) => {}
                BackendMessage::CopyOutResponse(_) => is_copy = true,
                BackendMessage::CopyData(_) | BackendMessage::CopyDone if is_copy => {}
                other => return Err(self.unexpected(&Event::Message(other), "a query")),
            }
        }
    }

    /// Takes note of commands that deallocate the statements kept here.
    pub(super) fn note_command(&mut self, tag: &str) {
        if matches!(tag, "DISCARD ALL" | "DEALLOCATE ALL") {
            self.statements.clear();
        }
    }

    /// Reads on until the server is ready for the next request, and returns `result`.
    ///
    /// # Errors
    /// That of `result`, else that of reading.
    pub(super) async fn end<T>(&mut self, result: Result<T>) -> Result<T> {
        match result {
            Ok(value) => {
                self.finish_request().await?;
                Ok(value)
            }
            Err(error) => {
                if !self.is_broken() {
                    // The first error says why; a second one has marked the connection as broken.
                    let _ = self.drain().await;
                }
                Err(error)
            }
        }
    }

    /// Reads ReadyForQuery. The server can still report an error before it: a deferred constraint is checked
    /// when the implicit transaction ends.
    pub(super) async fn finish_request(&mut self) -> Result<()> {
        let mut failure = None;
        while self.state.outstanding() > 0 {
            match self.next_answer().await {
                Ok(Event::Message(BackendMessage::ReadyForQuery(_))) => {}
                Ok(other) => return Err(self.unexpected(&other, "the end of a request")),
                Err(error) if self.is_broken() => return Err(failure.unwrap_or(error)),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(()), Err)
    }
}
