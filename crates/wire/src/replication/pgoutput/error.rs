//! Why a message of pgoutput cannot be decoded.

use crate::error::Error;

/// Why a message cannot be decoded. The stream cannot be followed beyond it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The message ends before its fields do.
    #[error("{message} ends too early")]
    Truncated {
        /// The message's name in the protocol.
        message: &'static str,
    },
    /// The message goes on after its fields.
    #[error("{message} has {bytes} bytes too many")]
    Excess {
        /// The message's name in the protocol.
        message: &'static str,
        /// How many.
        bytes: usize,
    },
    /// A field has a value that it cannot have.
    #[error("{message} has no valid {field}")]
    Field {
        /// The message's name in the protocol.
        message: &'static str,
        /// The field.
        field: &'static str,
    },
    /// There is no message of this type.
    #[error("unknown message type 0x{0:02x}")]
    UnknownMessage(u8),
    /// A message of two-phase commit, which no slot made by this crate sends.
    #[error("{0} is a message of two-phase decoding, which is not supported: create the slot without it")]
    TwoPhase(&'static str),
    /// A change of a table that was not described before.
    #[error("{message} is about relation {oid}, which has not been described")]
    UnknownRelation {
        /// The message's name in the protocol.
        message: &'static str,
        /// The relation's oid.
        oid: u32,
    },
    /// A row that has not as many columns as its table.
    #[error("{message} has {found} columns, and its relation {oid} has {expected}")]
    ColumnCount {
        /// The message's name in the protocol.
        message: &'static str,
        /// The relation's oid.
        oid: u32,
        /// The columns of the relation.
        expected: usize,
        /// The columns of the row.
        found: usize,
    },
    /// A message inside a block of a streamed transaction that belongs outside, or the reverse.
    #[error("{message} is out of place")]
    OutOfPlace {
        /// The message's name in the protocol.
        message: &'static str,
    },
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::Protocol(format!("pgoutput: {error}"))
    }
}
