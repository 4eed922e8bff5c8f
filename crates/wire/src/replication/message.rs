//! What goes through a replication stream in both directions, inside COPY data.

use bytes::{Buf, BufMut, Bytes};

use super::lsn::Lsn;
use super::timestamp::Timestamp;
use crate::error::{Error, Result};

/// The bytes of an XLogData message before its payload.
const DATA_HEADER: usize = 25;
const KEEPALIVE_LENGTH: usize = 18;
/// A standby status update with the header of its COPY data.
pub(super) const STATUS_UPDATE_LENGTH: usize = 5 + 34;

/// A message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamMessage {
    /// One message of the output plugin.
    Data(XLogData),
    /// How far the server has come.
    Keepalive(Keepalive),
}

/// One message of the output plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XLogData {
    /// The position of what is reported; for the end of a transaction, the position after it.
    pub start: Lsn,
    /// How far the server's log had come, as far as it tells.
    pub end: Lsn,
    /// When it was sent, by the server's clock.
    pub server_time: Timestamp,
    /// The message, which shares the buffer it was read into.
    pub payload: Bytes,
}

/// How far the server has come. Whether it asks for an answer is of no concern: it has been given.
///
/// Every transaction that commits before `wal_end` has been delivered before. So a caller that is done with all
/// that was delivered may acknowledge `wal_end`, and thereby let the server drop log that holds nothing for it. It
/// should: a server that is shut down waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// How far the server has decoded its log.
    pub wal_end: Lsn,
    /// When it was sent, by the server's clock.
    pub server_time: Timestamp,
    /// Whether the server asked for an answer at once.
    pub reply_requested: bool,
}

impl StreamMessage {
    /// # Errors
    /// The message is of an unknown kind or too short.
    pub(super) fn parse(mut body: Bytes) -> Result<Self> {
        match body.first() {
            Some(b'w') if body.len() >= DATA_HEADER => {
                body.advance(1);
                Ok(Self::Data(XLogData {
                    start: body.get_u64().into(),
                    end: body.get_u64().into(),
                    server_time: Timestamp::from_epoch_micros(body.get_i64()),
                    payload: body,
                }))
            }
            Some(b'k') if body.len() == KEEPALIVE_LENGTH => {
                body.advance(1);
                Ok(Self::Keepalive(Keepalive {
                    wal_end: body.get_u64().into(),
                    server_time: Timestamp::from_epoch_micros(body.get_i64()),
                    reply_requested: body.get_u8() != 0,
                }))
            }
            Some(b'w') => Err(Error::protocol("XLogData ends too early")),
            Some(b'k') => Err(Error::protocol("a keepalive has the wrong length")),
            Some(other) => Err(Error::protocol(format!("unknown replication message 0x{other:02x}"))),
            None => Err(Error::protocol("an empty replication message")),
        }
    }
}

/// Writes a standby status update as COPY data.
pub(super) fn status_update(
    written: Lsn,
    flushed: Lsn,
    applied: Lsn,
    now: Timestamp,
    reply_requested: bool,
    buffer: &mut impl BufMut,
) {
    buffer.put_u8(b'd');
    // The length counts itself, but not the type.
    buffer.put_u32(STATUS_UPDATE_LENGTH as u32 - 1);
    buffer.put_u8(b'r');
    buffer.put_u64(written.into());
    buffer.put_u64(flushed.into());
    buffer.put_u64(applied.into());
    buffer.put_i64(now.epoch_micros());
    buffer.put_u8(u8::from(reply_requested));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_and_keepalives_are_read() {
        let header = [[0_u8; 8], [0, 0, 0, 1, 0, 0, 0, 2], [0, 0, 0, 0, 0, 0, 0, 3]].concat();
        let data = [b"w", &header[..], b"payload"].concat();
        let Ok(StreamMessage::Data(data)) = StreamMessage::parse(data.into()) else { panic!("no data") };
        assert_eq!((data.start, data.end.to_string().as_str()), (Lsn::ZERO, "1/2"));
        assert_eq!((data.server_time.epoch_micros(), &data.payload[..]), (3, &b"payload"[..]));
        let keepalive = [b"k", &header[8..], b"\x01"].concat();
        let Ok(StreamMessage::Keepalive(keepalive)) = StreamMessage::parse(keepalive.into()) else {
            panic!("no keepalive")
        };
        assert_eq!((keepalive.wal_end.to_string().as_str(), keepalive.reply_requested), ("1/2", true));
    }

    #[test]
    fn what_is_neither_is_an_error() {
        for body in [&b""[..], b"w", b"k", b"x12345678", &[b'w'; 24], &[b'k'; 17], &[b'k'; 19]] {
            assert!(StreamMessage::parse(Bytes::copy_from_slice(body)).is_err(), "{body:?}");
        }
    }

    #[test]
    fn a_status_update_has_the_length_it_says() {
        let mut buffer = Vec::new();
        let now = Timestamp::from_epoch_micros(4);
        status_update(Lsn::from(1), Lsn::from(2), Lsn::from(3), now, true, &mut buffer);
        assert_eq!(buffer.len(), STATUS_UPDATE_LENGTH);
        assert_eq!(&buffer[..6], b"d\0\0\0\x26r");
        let ends: Vec<u8> = buffer[6..38].chunks(8).map(|field| field[7]).collect();
        assert_eq!((ends, buffer[38]), (vec![1, 2, 3, 4], 1));
    }
}
