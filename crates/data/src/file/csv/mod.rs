//! Comma-separated values with a header, as RFC 4180 has them.

mod read;
mod write;

pub(super) use read::{Field, Records};
pub(super) use write::write_record;
