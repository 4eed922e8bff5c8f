//! Frames: a type byte, a length, a body. Splits them off a stream of bytes and bounds their length.

use bytes::{Buf, Bytes, BytesMut};

use crate::error::{Error, Result};

/// The bytes before a frame's body.
pub(crate) const HEADER: usize = 5;

/// The longest message the server can send: it cannot allocate more than one GiB for a row.
const LONGEST: usize = 0x4000_0000;
/// The longest error, notice or notification that is read.
const LONGEST_REPORT: usize = 64 << 20;
/// The longest message of the kinds that carry no user data.
const LONGEST_CONTROL: usize = 4 << 20;
/// The longest message before the server has authenticated itself by letting us in.
const LONGEST_STARTUP: usize = 64 << 10;

/// One message of the server, not yet interpreted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The byte that says which message it is.
    pub(crate) tag: u8,
    /// What follows the length.
    pub(crate) body: Bytes,
}

/// How far the connection has come, which bounds how long a frame may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Before the first ReadyForQuery.
    Startup,
    /// After it.
    Running,
}

/// The type and the length of the frame at the start of `bytes`, where both have arrived.
///
/// # Errors
/// The type is unknown, or the length is one that no frame of this type can have.
pub(crate) fn peek(bytes: &[u8], phase: Phase) -> Result<Option<(u8, usize)>> {
    let Some((header, _)) = bytes.split_first_chunk::<HEADER>() else {
        // A type that no server sends is an error even before its length arrives.
        if let Some(tag) = bytes.first() {
            longest(*tag, phase)?;
        }
        return Ok(None);
    };
    let [tag, length @ ..] = *header;
    let longest = longest(tag, phase)?;
    let length = u32::from_be_bytes(length) as usize;
    if length < 4 || length > longest {
        return Err(Error::protocol(format!(
            "a message of type {:?} has the impossible length {length}",
            tag as char
        )));
    }
    Ok(Some((tag, length - 4)))
}

/// Splits the first frame off `bytes`, where it has arrived completely.
///
/// # Errors
/// As for [`peek`].
pub(crate) fn split(bytes: &mut BytesMut, phase: Phase) -> Result<Option<Frame>> {
    match peek(bytes, phase)? {
        Some((tag, length)) if bytes.len() >= HEADER + length => {
            bytes.advance(HEADER);
            Ok(Some(Frame { tag, body: bytes.split_to(length).freeze() }))
        }
        _ => Ok(None),
    }
}

fn longest(tag: u8, phase: Phase) -> Result<usize> {
    let longest = match tag {
        b'D' | b'd' | b'V' => LONGEST,
        b'T' | b't' | b'E' | b'N' | b'A' => LONGEST_REPORT,
        b'1' | b'2' | b'3' | b'C' | b'G' | b'H' | b'I' | b'K' | b'R' | b'S' | b'W' | b'Z' | b'c' | b'n'
        | b's' | b'v' => LONGEST_CONTROL,
        _ => return Err(Error::protocol(format!("unknown message type 0x{tag:02x}"))),
    };
    Ok(match phase {
        Phase::Startup => longest.min(LONGEST_STARTUP),
        Phase::Running => longest,
    })
}

/// Reads the fields of a message body one after the other.
pub(crate) struct Cursor {
    rest: Bytes,
    message: &'static str,
}

impl Cursor {
    pub(crate) fn new(body: Bytes, message: &'static str) -> Self {
        Self { rest: body, message }
    }

    fn short(&self) -> Error {
        Error::protocol(format!("{} ends too early", self.message))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let array = *self.rest.first_chunk::<N>().ok_or_else(|| self.short())?;
        drop(self.rest.split_to(N));
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn quad(&mut self) -> Result<[u8; 4]> {
        self.array()
    }

    /// A string that ends with a zero byte; bytes that are not UTF-8 are replaced.
    pub(crate) fn string(&mut self) -> Result<String> {
        let end = self.rest.iter().position(|byte| *byte == 0).ok_or_else(|| self.short())?;
        let text = String::from_utf8_lossy(&self.rest.split_to(end)).into_owned();
        drop(self.rest.split_to(1));
        Ok(text)
    }

    pub(crate) fn rest(self) -> Bytes {
        self.rest
    }

    /// # Errors
    /// The body is longer than its fields.
    pub(crate) fn end(self) -> Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Error::protocol(format!("{} has {} bytes too many", self.message, self.rest.len())))
    }
}
