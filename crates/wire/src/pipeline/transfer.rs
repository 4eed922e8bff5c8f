//! Moving the bytes of a pipeline, without waiting.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Pipeline;
use crate::error::{Error, Result};
use crate::protocol::frontend;

/// The room made for one read.
const READ_BYTES: usize = 64 << 10;
/// The most room made at once for a long message, whatever length it announces.
const LONGEST_READ: usize = 1 << 20;
/// A buffer that a long message has grown beyond this is given back when it is empty.
const KEPT_BUFFER: usize = 1 << 20;

impl Pipeline {
    /// Whether there are bytes that the socket has not taken.
    pub fn has_unsent(&self) -> bool {
        self.unflushed || !self.state.outbound.is_empty()
    }

    /// Hands as many bytes to the socket as it takes. Ready when nothing is left; else the waker is called when the
    /// socket takes more. A failure shows in [`Pipeline::poll_receive`], together with what the server said before.
    pub fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while !self.state.outbound.is_empty() {
            self.unflushed = true;
            match pin!(self.socket.write_buf(&mut self.state.outbound)).poll(context) {
                Poll::Ready(Ok(sent)) if sent > 0 => self.written_bytes += sent as u64,
                Poll::Ready(_) => self.state.outbound.clear(),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.state.outbound.capacity() > KEPT_BUFFER {
            self.state.outbound = BytesMut::new();
        }
        if self.unflushed {
            if Pin::new(&mut self.socket).poll_flush(context).is_pending() {
                return Poll::Pending;
            }
            self.unflushed = false;
        }
        Poll::Ready(())
    }

    /// Receives what has arrived, at most about 64 KiB or one long message. When nothing has, the waker is called
    /// when something does.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let inbound = &mut self.state.inbound;
        if inbound.is_empty() && inbound.capacity() > KEPT_BUFFER {
            *inbound = BytesMut::new();
        }
        let missing = self.state.missing();
        let inbound = &mut self.state.inbound;
        if inbound.capacity() - inbound.len() < READ_BYTES / 4 {
            inbound.reserve(missing.clamp(READ_BYTES, LONGEST_READ));
        }
        match pin!(self.socket.read_buf(inbound)).poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0)) => Poll::Ready(Err(Error::Closed("the server ended it".to_owned()))),
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(Error::io("talking to the server", error))),
        }
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
        let _ = self.poll_flush(&mut Context::from_waker(std::task::Waker::noop()));
    }
}
