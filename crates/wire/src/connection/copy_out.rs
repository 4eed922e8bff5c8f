//! COPY TO STDOUT: data received in large pieces.

use bytes::{Bytes, BytesMut};

use super::Connection;
use super::query::rows_affected;
use crate::error::{Error, Result};
use crate::protocol::message::{BackendMessage, CopyResponse};
use crate::protocol::row::Format;
use crate::protocol::state::Event;

/// The size at which a piece is handed out.
const CHUNK_BYTES: usize = 64 << 10;

/// A running COPY TO STDOUT.
///
/// Data is read from the socket only when it is asked for, so a slow reader slows the server. Dropped before its
/// end, it leaves the rest to be read, and forgotten, by the next request; where much is left, cancel it first.
#[derive(Debug)]
pub struct CopyOut<'a> {
    connection: &'a mut Connection,
    response: CopyResponse,
    chunk: BytesMut,
    command_tag: Option<String>,
}

impl Connection {
    /// Starts a `COPY … TO STDOUT`, in any of its formats.
    ///
    /// # Errors
    /// As for [`Connection::query`]; [`Error::Config`] where the statement is another one, which has then been run.
    pub async fn copy_out(&mut self, sql: &str) -> Result<CopyOut<'_>> {
        self.start_simple(sql).await?;
        match self.next_answer().await {
            Ok(Event::Message(BackendMessage::CopyOutResponse(response))) => {
                Ok(CopyOut { connection: self, response, chunk: BytesMut::new(), command_tag: None })
            }
            Ok(Event::Message(BackendMessage::CopyInResponse(_))) => {
                self.refuse_copy_in();
                self.end(Err(Error::config("sql", "it is no COPY TO STDOUT"))).await
            }
            Ok(_) => self.end(Err(Error::config("sql", "it is no COPY TO STDOUT"))).await,
            Err(error) => self.end(Err(error)).await,
        }
    }
}

impl CopyOut<'_> {
    /// Text (also CSV) or binary, as the data comes.
    pub fn format(&self) -> Format {
        self.response.format
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.response.columns.len()
    }

    /// The next piece of about 64 KiB, `None` after the last. A piece holds whole messages of the server, each of
    /// which is a row. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The query failed; the data returned before is not complete.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        while self.command_tag.is_none() {
            if self.chunk.capacity() == 0 {
                self.chunk.reserve(CHUNK_BYTES + CHUNK_BYTES / 8);
            }
            let taken = self.connection.state.take_copy_data(&mut self.chunk, CHUNK_BYTES);
            if let Err(error) = taken {
                self.connection.broken = Some("the server broke the protocol".to_owned());
                return Err(error);
            }
            if self.chunk.len() >= CHUNK_BYTES {
                break;
            }
            if self.connection.state.awaits_copy_data() {
                self.connection.transfer().await?;
            } else if let Err(error) = self.read_other().await {
                self.command_tag = Some(String::new());
                return self.connection.end(Err(error)).await;
            }
        }
        if !self.chunk.is_empty() {
            return Ok(Some(std::mem::take(&mut self.chunk).freeze()));
        }
        self.connection.finish_request().await?;
        Ok(None)
    }

    /// Reads a message that is no data: the end, or an error.
    async fn read_other(&mut self) -> Result<()> {
        match self.connection.next_answer().await? {
            Event::Message(BackendMessage::CopyDone) => Ok(()),
            Event::Message(BackendMessage::CommandComplete { tag }) => {
                self.command_tag = Some(tag);
                Ok(())
            }
            // A notice was read first, and data followed it.
            Event::Message(BackendMessage::CopyData(data)) => {
                self.chunk.extend_from_slice(&data);
                Ok(())
            }
            other => Err(self.connection.unexpected(&other, "COPY TO STDOUT")),
        }
    }

    /// The number of rows copied, once all data is read.
    pub fn rows(&self) -> Option<u64> {
        self.command_tag.as_deref().map(rows_affected)
    }
}
