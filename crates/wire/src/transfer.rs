//! Moving bytes between a socket and the state of the protocol, without waiting.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::error::{Error, Result};
use crate::protocol::state::{KEPT_BUFFER, ProtocolState};
use crate::socket::Socket;

/// What has been sent so far.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    /// Bytes were handed to the socket that TLS may still hold.
    pub(crate) is_unflushed: bool,
    /// The number of bytes that the socket has taken.
    pub(crate) taken: u64,
}

/// Ready when nothing is left to send. A failure to send is no error yet: the server may have sent the reason before it
/// closed the connection, and it is found by reading on.
pub(crate) fn poll_send(
    socket: &mut Socket,
    state: &mut ProtocolState,
    sending: &mut Sending,
    context: &mut Context<'_>,
) -> Poll<()> {
    while !state.outbound.is_empty() {
        sending.is_unflushed = true;
        match pin!(socket.write_buf(&mut state.outbound)).poll(context) {
            Poll::Ready(Ok(sent)) if sent > 0 => sending.taken += sent as u64,
            Poll::Ready(_) => state.outbound.clear(),
            Poll::Pending => return Poll::Pending,
        }
    }
    if state.outbound.capacity() > KEPT_BUFFER {
        state.outbound = BytesMut::new();
    }
    if sending.is_unflushed {
        if Pin::new(socket).poll_flush(context).is_pending() {
            return Poll::Pending;
        }
        sending.is_unflushed = false;
    }
    Poll::Ready(())
}

/// Receives what has arrived, at most about 64 KiB or a part of one long message.
///
/// # Errors
/// The connection is lost.
pub(crate) fn poll_receive(
    socket: &mut Socket,
    state: &mut ProtocolState,
    context: &mut Context<'_>,
) -> Poll<Result<()>> {
    state.make_room();
    match pin!(socket.read_buf(&mut state.inbound)).poll(context) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(Ok(0)) => Poll::Ready(Err(Error::Closed("the server ended it".to_owned()))),
        Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
        Poll::Ready(Err(error)) => Poll::Ready(Err(Error::io("talking to the server", error))),
    }
}
