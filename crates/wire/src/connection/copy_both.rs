//! COPY in both directions: the connection is taken apart, so that reading and writing do not wait for each other.

use bytes::Bytes;
use tokio::io::{AsyncReadExt, ReadHalf, WriteHalf, split};

use super::{CancelToken, Connection, NoticeHandler, StatementCache};
use crate::error::{Error, Result};
use crate::protocol::message::BackendMessage;
use crate::protocol::state::{Event, ProtocolState};
use crate::socket::Socket;
use crate::transfer::Sending;

/// The reading half of a connection, with all that is needed to put it together again.
pub(crate) struct CopyBothReader {
    socket: ReadHalf<Socket>,
    state: ProtocolState,
    statements: StatementCache,
    cancel_token: CancelToken,
    notice_handler: Option<NoticeHandler>,
}

impl Connection {
    /// Starts a command that copies in both directions.
    ///
    /// # Errors
    /// As for [`Connection::query`]; [`Error::Config`] where the command is another one, which has then been run.
    pub(crate) async fn copy_both(mut self, command: &str) -> Result<(CopyBothReader, WriteHalf<Socket>)> {
        self.start_simple(command).await?;
        match self.next_answer().await? {
            Event::Message(BackendMessage::CopyBothResponse(_)) => {}
            _ => return Err(Error::config("command", "it starts no replication")),
        }
        let Self { socket, state, statements, cancel_token, notice_handler, .. } = self;
        let (socket, writer) = split(socket);
        Ok((CopyBothReader { socket, state, statements, cancel_token, notice_handler }, writer))
    }
}

impl CopyBothReader {
    /// The payload of the next COPY data received so far.
    ///
    /// # Errors
    /// The server's error, the end of the COPY, or what the protocol does not allow.
    pub(crate) fn next_data(&mut self) -> Result<Option<Bytes>> {
        if let Some(data) = self.state.next_copy_data()? {
            return Ok(Some(data));
        }
        match self.next_event()? {
            None => Ok(None),
            // It came behind a notice.
            Some(BackendMessage::CopyData(data)) => Ok(Some(data)),
            Some(BackendMessage::CopyDone | BackendMessage::CommandComplete { .. }) => {
                Err(Error::Closed("the server ended the stream".to_owned()))
            }
            Some(other) => Err(Error::protocol(format!("unexpected {} during COPY", other.name()))),
        }
    }

    /// Reads the rest of the COPY and of the command's answer, and forgets it.
    ///
    /// # Errors
    /// The server's error, or the connection is lost.
    pub(crate) async fn drain(&mut self) -> Result<()> {
        while self.state.outstanding() > 0 {
            if self.next_event()?.is_none() {
                self.receive().await?;
            }
        }
        Ok(())
    }

    fn next_event(&mut self) -> Result<Option<BackendMessage>> {
        let event = self.state.next_event()?;
        if let Some(handler) = &mut self.notice_handler {
            self.state.take_notices().0.into_iter().for_each(handler);
        }
        match event {
            None => Ok(None),
            Some(Event::Message(BackendMessage::ErrorResponse(error))) => Err(Error::Server(error)),
            Some(Event::Message(message)) => Ok(Some(message)),
            Some(Event::Rows(_)) => Err(Error::protocol("unexpected DataRow during COPY")),
        }
    }

    /// Waits until something was received. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The connection is lost.
    pub(crate) async fn receive(&mut self) -> Result<()> {
        self.state.make_room();
        match self.socket.read_buf(&mut self.state.inbound).await {
            Ok(0) => Err(Error::Closed("the server ended it".to_owned())),
            Ok(_) => Ok(()),
            Err(error) => Err(Error::io("talking to the server", error)),
        }
    }

    /// The connection, put together from its halves after the COPY has ended.
    pub(crate) fn reunite(self, writer: WriteHalf<Socket>) -> Connection {
        Connection {
            socket: self.socket.unsplit(writer),
            state: self.state,
            statements: self.statements,
            extended: false,
            abandoned_copy_in: false,
            sending: Sending::default(),
            broken: None,
            cancel_token: self.cancel_token,
            notice_handler: self.notice_handler,
        }
    }
}
