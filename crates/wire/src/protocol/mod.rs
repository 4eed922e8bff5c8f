//! The protocol core: bytes in, events out. It knows no socket and no clock.
//!
//! `state::ProtocolState` holds the inbound and outbound bytes of one connection and what the protocol says
//! about it. A driver moves the bytes and asks for the next `state::Event`.

pub(crate) mod auth;
pub(crate) mod frame;
pub(crate) mod frontend;
pub(crate) mod message;
pub(crate) mod row;
pub(crate) mod state;
#[cfg(test)]
mod tests;
