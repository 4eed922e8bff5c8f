//! The simple protocol: several statements in one text, without parameters.

use std::sync::Arc;

use super::Connection;
use super::query::QueryResult;
use crate::error::{Error, Result};
use crate::protocol::message::BackendMessage;
use crate::protocol::row::{Column, Rows};
use crate::protocol::state::Event;

impl Connection {
    /// Runs all statements of a text and returns the result of each. Outside a transaction they form one of
    /// their own. Values come as text.
    ///
    /// # Errors
    /// The first statement that fails; the results before it are given up.
    pub async fn simple_query(&mut self, sql: &str) -> Result<Vec<QueryResult>> {
        self.start_simple(sql).await?;
        let results = self.read_simple_results().await;
        self.end(results).await
    }

    pub(super) async fn start_simple(&mut self, sql: &str) -> Result<()> {
        self.ready().await?;
        self.extended = false;
        self.state.simple_query(sql)
    }

    async fn read_simple_results(&mut self) -> Result<Vec<QueryResult>> {
        let mut results = Vec::new();
        let mut columns: Arc<[Column]> = Arc::new([]);
        let mut rows = Rows::default();
        let mut has_copied = false;
        loop {
            let message = match self.next_answer().await? {
                Event::Rows(batch) => {
                    rows.push(batch);
                    continue;
                }
                Event::Message(message) => message,
            };
            match message {
                BackendMessage::RowDescription(described) => columns = described.into(),
                BackendMessage::CommandComplete { tag } => {
                    self.note_command(&tag);
                    let columns = std::mem::replace(&mut columns, Arc::new([]));
                    results.push(QueryResult::new(columns, std::mem::take(&mut rows), tag));
                }
                BackendMessage::EmptyQueryResponse => {
                    results.push(QueryResult::new(Arc::new([]), Rows::default(), String::new()));
                }
                BackendMessage::ReadyForQuery(_) if has_copied => {
                    return Err(Error::config("sql", "COPY TO STDOUT needs copy_out"));
                }
                BackendMessage::ReadyForQuery(_) => return Ok(results),
                BackendMessage::CopyInResponse(_) => self.refuse_copy_in(),
                BackendMessage::CopyOutResponse(_) => has_copied = true,
                BackendMessage::CopyData(_) | BackendMessage::CopyDone if has_copied => {}
                other => return Err(self.unexpected(&Event::Message(other), "a simple query")),
            }
        }
    }
}
