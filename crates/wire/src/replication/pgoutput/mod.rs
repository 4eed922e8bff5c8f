//! The messages of the output plugin pgoutput, in its protocol versions 1 to 4, without two-phase commit.

mod body;
mod decoder;
mod error;
mod message;
mod relation;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
mod tuple;

pub use decoder::Decoder;
pub use error::DecodeError;
pub use message::{
    Begin, Commit, Delete, Insert, LogicalMessage, Message, OldTuple, Origin, StreamAbort, StreamCommit,
    StreamStart, Truncate, Update,
};
pub use relation::{Relation, RelationColumn, ReplicaIdentity, TypeName};
pub use tuple::{Tuple, TupleValue};
