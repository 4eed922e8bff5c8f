//! Moves bytes between the socket and the protocol's state, and brings an interrupted connection back in step.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use tokio::io::AsyncWriteExt;

use super::Connection;
use crate::error::{Error, Result};
use crate::protocol::frontend;
use crate::protocol::message::BackendMessage;
use crate::protocol::state::Event;
use crate::transfer;

impl Connection {
    /// The next event, sending what is to be sent meanwhile.
    pub(super) async fn next_event(&mut self) -> Result<Event> {
        loop {
            match self.state.next_event() {
                Ok(Some(event)) => {
                    self.hand_out_notices();
                    return Ok(event);
                }
                Ok(None) => self.transfer().await?,
                Err(error) => {
                    self.broken = Some("the server broke the protocol".to_owned());
                    return Err(error);
                }
            }
        }
    }

    /// Sends and receives until something was received. Both go on at once: a server that cannot send its
    /// answers does not read requests.
    pub(super) async fn transfer(&mut self) -> Result<()> {
        self.state.close_copy_data();
        poll_fn(|context| {
            let _ = self.poll_send(context);
            self.poll_receive(context)
        })
        .await
    }

    /// Sends until all is sent, or until something was received that may say why it cannot be.
    pub(super) async fn send_or_receive(&mut self) -> Result<()> {
        self.state.close_copy_data();
        poll_fn(|context| {
            if self.poll_receive(context)?.is_ready() {
                return Poll::Ready(Ok(()));
            }
            self.poll_send(context).map(Ok)
        })
        .await
    }

    /// Ready when nothing is left to send. A failure to send is no error yet: the server may have sent the
    /// reason before it closed the connection, and it is found by reading on.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<()> {
        transfer::poll_send(&mut self.socket, &mut self.state, &mut self.sending, context)
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let received = transfer::poll_receive(&mut self.socket, &mut self.state, context);
        if let Poll::Ready(Err(error)) = &received {
            self.broken = Some(error.to_string());
        }
        received
    }

    /// Makes sure that a new request can be sent: what an interrupted one left is sent and read to its end.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        if let Some(reason) = &self.broken {
            return Err(Error::Closed(reason.clone()));
        }
        if std::mem::take(&mut self.abandoned_copy_in) {
            self.state.copy_fail("the client abandoned the COPY");
        }
        self.drain().await?;
        self.statements.abandon_unconfirmed();
        Ok(())
    }

    /// Reads until the server has finished every request, and forgets what it answers.
    pub(super) async fn drain(&mut self) -> Result<()> {
        while self.state.outstanding() > 0 {
            if let Event::Message(message) = self.next_event().await? {
                match message {
                    BackendMessage::CopyInResponse(_) => self.refuse_copy_in(),
                    BackendMessage::ErrorResponse(error) if error.is_fatal() => {
                        self.broken = Some(error.to_string());
                        return Err(Error::Server(error));
                    }
                    BackendMessage::CopyBothResponse(_) => {
                        self.broken = Some("a replication stream was started and left".to_owned());
                        return Err(Error::protocol("a replication stream cannot be started by a query"));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Ends a COPY FROM STDIN that was started where no data can be given.
    pub(super) fn refuse_copy_in(&mut self) {
        self.state.copy_fail("COPY FROM STDIN needs copy_in");
        if self.extended {
            // The server has passed over the Sync sent with the request while it waited for data.
            self.state.repeat_sync();
        }
    }

    /// Reads what the server sends unasked, in between requests.
    pub(super) async fn read_unasked(&mut self) -> Result<()> {
        self.take_unasked()?;
        if self.state.has_notifications() {
            return Ok(());
        }
        self.transfer().await?;
        self.take_unasked()
    }

    fn take_unasked(&mut self) -> Result<()> {
        let event = self.state.next_event();
        self.hand_out_notices();
        let error = match event {
            Ok(None | Some(Event::Message(BackendMessage::CloseComplete))) => return Ok(()),
            Ok(Some(Event::Message(BackendMessage::ErrorResponse(error)))) => Error::Server(error),
            Ok(Some(_)) => Error::protocol("an answer to no request"),
            Err(error) => error,
        };
        self.broken = Some(error.to_string());
        Err(error)
    }

    /// Looks, without waiting, whether the server has closed an idle connection, and takes in what it sent.
    ///
    /// Returns whether the connection can still be used, as far as is known. To be called inside a tokio
    /// runtime.
    pub fn probe(&mut self) -> bool {
        if self.broken.is_none() && self.state.outstanding() == 0 {
            let mut context = Context::from_waker(Waker::noop());
            // What a server says unasked fits in a few reads; the rest is found when it is asked something.
            let mut reads = 0;
            while reads < 16 && matches!(self.poll_receive(&mut context), Poll::Ready(Ok(()))) {
                reads += 1;
            }
            // An error marks the connection as broken, and that is the answer.
            let _ = self.take_unasked();
        }
        !self.is_broken()
    }

    pub(super) async fn terminate(&mut self) -> Result<()> {
        self.state.close_copy_data();
        frontend::terminate(&mut self.state.outbound);
        poll_fn(|context| self.poll_send(context)).await;
        self.broken = Some("it was closed".to_owned());
        self.socket.shutdown().await.map_err(|error| Error::io("closing the connection", error))
    }

    pub(super) fn hand_out_notices(&mut self) {
        if !self.state.has_notices() {
            return;
        }
        if let Some(handler) = &mut self.notice_handler {
            self.state.take_notices().0.into_iter().for_each(handler);
        }
    }

    /// Notes that a server's error ends the connection, and turns it into ours.
    pub(super) fn fail(&mut self, error: Box<crate::error::ServerError>) -> Error {
        if error.is_fatal() {
            self.broken = Some(error.to_string());
        }
        Error::Server(error)
    }

    /// A message that the request does not allow: from here on nothing can be understood.
    pub(super) fn unexpected(&mut self, event: &Event, during: &str) -> Error {
        let name = match event {
            Event::Message(message) => message.name(),
            Event::Rows(_) => "DataRow",
        };
        self.broken = Some("the server broke the protocol".to_owned());
        Error::protocol(format!("unexpected {name} during {during}"))
    }
}
