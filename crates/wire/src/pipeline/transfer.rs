//! Moving the bytes of a pipeline, without waiting.

use std::io;
use std::task::{Context, Poll, Waker};

use super::Pipeline;
use crate::error::Result;
use crate::protocol::frontend;
use crate::transfer;

impl Pipeline {
    /// Whether there are bytes that the socket has not taken.
    pub fn has_unsent(&self) -> bool {
        self.sending.is_unflushed || !self.state.outbound.is_empty()
    }

    /// Hands as many bytes to the socket as it takes. Ready when nothing is left; else the waker is called when the
    /// socket takes more. A failure shows in [`Pipeline::poll_receive`], together with what the server said before.
    pub fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<()> {
        transfer::poll_send(&mut self.socket, &mut self.state, &mut self.sending, context)
    }

    /// Receives what has arrived, at most about 64 KiB or a part of one long message. When nothing has, the waker is
    /// called when something does.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        transfer::poll_receive(&mut self.socket, &mut self.state, context)
    }

    /// Looks, without waiting and without taking anything, whether the server has ended the connection or sent
    /// something unasked. One system call.
    pub fn is_silent(&self) -> bool {
        match self.socket.peek() {
            Ok(_) => false,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// Tells the server that the session ends, as far as the socket takes it at once.
    pub fn terminate(&mut self) {
        frontend::terminate(&mut self.state.outbound);
        let _ = self.poll_flush(&mut Context::from_waker(Waker::noop()));
    }
}
