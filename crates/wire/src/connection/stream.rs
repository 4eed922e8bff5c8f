//! Results read batch by batch: however many rows there are, one batch is in memory.

use std::sync::Arc;

use super::Connection;
use super::parameter::{Param, QueryOptions};
use super::query::rows_affected;
use crate::error::Result;
use crate::protocol::message::BackendMessage;
use crate::protocol::row::{Column, RowBatch};
use crate::protocol::state::Event;

/// The rows of a running query.
///
/// Rows are read from the socket only when they are asked for, so a slow reader slows the server. A stream
/// that is dropped before its end leaves the rest to be read, and forgotten, by the next request; where much is left,
/// cancel the query first.
#[derive(Debug)]
pub struct RowStream<'a> {
    connection: &'a mut Connection,
    columns: Arc<[Column]>,
    command_tag: Option<String>,
}

impl Connection {
    /// Runs one statement and returns its rows batch by batch.
    ///
    /// # Errors
    /// As for [`Connection::query`]. Errors after the first rows come from the stream.
    pub async fn query_stream(
        &mut self,
        sql: &str,
        parameters: &[Param<'_>],
        options: &QueryOptions,
    ) -> Result<RowStream<'_>> {
        let columns = self.open(sql, parameters, options).await?;
        Ok(RowStream { connection: self, columns, command_tag: None })
    }
}

impl RowStream<'_> {
    /// The columns of the rows.
    pub fn columns(&self) -> &Arc<[Column]> {
        &self.columns
    }

    /// The next rows, about 64 KiB of them at most; `None` after the last. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The query failed. The rows returned before stand, but the result is not complete.
    pub async fn next_batch(&mut self) -> Result<Option<RowBatch>> {
        while self.command_tag.is_none() {
            let answer = self.connection.next_answer().await;
            let message = match answer {
                Ok(Event::Rows(batch)) => return Ok(Some(batch)),
                Ok(Event::Message(message)) => message,
                Err(error) => {
                    self.command_tag = Some(String::new());
                    return self.connection.end(Err(error)).await;
                }
            };
            match message {
                BackendMessage::CommandComplete { tag } => {
                    self.connection.note_command(&tag);
                    self.command_tag = Some(tag);
                }
                BackendMessage::EmptyQueryResponse => self.command_tag = Some(String::new()),
                BackendMessage::CopyInResponse(_) => self.connection.refuse_copy_in(),
                other => {
                    return Err(self.connection.unexpected(&Event::Message(other), "a query"));
                }
            }
        }
        self.connection.finish_request().await?;
        Ok(None)
    }

    /// What the server says it did, once all rows are read.
    pub fn command_tag(&self) -> Option<&str> {
        self.command_tag.as_deref()
    }

    /// The number of rows in the command tag, once all rows are read.
    pub fn rows_affected(&self) -> Option<u64> {
        self.command_tag.as_deref().map(rows_affected)
    }
}
