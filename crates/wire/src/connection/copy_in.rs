//! COPY FROM STDIN: data sent in large pieces.

use super::Connection;
use super::query::rows_affected;
use crate::error::{Error, Result};
use crate::protocol::message::{BackendMessage, CopyResponse};
use crate::protocol::row::Format;
use crate::protocol::state::Event;

/// Data is handed to the socket when this much has come together.
const SEND_BYTES: usize = 128 << 10;

/// A running COPY FROM STDIN. Dropped before its end, it is aborted: the table stays as it was.
#[derive(Debug)]
pub struct CopyIn<'a> {
    connection: &'a mut Connection,
    response: CopyResponse,
    is_over: bool,
}

impl Connection {
    /// Starts a `COPY … FROM STDIN`, in any of its formats.
    ///
    /// # Errors
    /// As for [`Connection::query`]; [`Error::Config`] where the statement is another one, which has then been run.
    pub async fn copy_in(&mut self, sql: &str) -> Result<CopyIn<'_>> {
        self.start_simple(sql).await?;
        match self.next_answer().await {
            Ok(Event::Message(BackendMessage::CopyInResponse(response))) => {
                Ok(CopyIn { connection: self, response, is_over: false })
            }
            Ok(_) => self.end(Err(Error::config("sql", "it is no COPY FROM STDIN"))).await,
            Err(error) => self.end(Err(error)).await,
        }
    }
}

impl CopyIn<'_> {
    /// Text (also CSV) or binary, as the server expects the data.
    pub fn format(&self) -> Format {
        self.response.format
    }

    /// The number of columns the server expects.
    pub fn columns(&self) -> usize {
        self.response.columns.len()
    }

    /// Sends data, cut anywhere. Waits only while the server does not keep up.
    ///
    /// Dropping the future loses nothing: the data is sent with the next call.
    ///
    /// # Errors
    /// The server has rejected earlier data: the COPY is over and nothing of it stays.
    pub async fn send(&mut self, data: impl AsRef<[u8]>) -> Result<()> {
        self.check_running()?;
        self.connection.state.copy_data(data.as_ref());
        while self.connection.state.outbound.len() >= SEND_BYTES {
            self.connection.send_or_receive().await?;
            self.check_answer().await?;
        }
        Ok(())
    }

    /// Ends the COPY and returns the number of rows copied.
    ///
    /// # Errors
    /// The server has rejected the data: nothing of it stays.
    pub async fn finish(mut self) -> Result<u64> {
        self.check_running()?;
        self.connection.state.copy_done();
        self.is_over = true;
        let copied = match self.connection.next_answer().await {
            Ok(Event::Message(BackendMessage::CommandComplete { tag })) => Ok(rows_affected(&tag)),
            Ok(other) => Err(self.connection.unexpected(&other, "COPY FROM STDIN")),
            Err(error) => Err(error),
        };
        self.connection.end(copied).await
    }

    /// Aborts the COPY with a reason, which the server writes into its log. The table stays as it was.
    ///
    /// # Errors
    /// The connection is lost. That the server reports the COPY as failed is what was asked for.
    pub async fn fail(mut self, reason: &str) -> Result<()> {
        self.check_running()?;
        self.connection.state.copy_fail(reason);
        self.is_over = true;
        self.connection.drain().await
    }

    fn check_running(&self) -> Result<()> {
        if self.is_over {
            return Err(Error::Closed("the COPY is over".to_owned()));
        }
        Ok(())
    }

    /// Looks for what the server may say before the end: only that the data is wrong.
    async fn check_answer(&mut self) -> Result<()> {
        let event = match self.connection.state.next_event() {
            Ok(event) => event,
            Err(error) => {
                self.connection.broken = Some(error.to_string());
                return Err(error);
            }
        };
        self.connection.hand_out_notices();
        match event {
            None => Ok(()),
            Some(Event::Message(BackendMessage::ErrorResponse(error))) => {
                self.is_over = true;
                let error = self.connection.fail(error);
                self.connection.end(Err(error)).await
            }
            Some(other) => Err(self.connection.unexpected(&other, "COPY FROM STDIN")),
        }
    }
}

impl Drop for CopyIn<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.connection.abandoned_copy_in = true;
        }
    }
}
