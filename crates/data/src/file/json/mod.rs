//! JSON: a list of objects, lists of objects by their names, or one object per line.

mod outline;
mod read;
mod write;

pub(super) use outline::lists_in;
pub(super) use read::{JsonPlace, each_line, each_object};
pub(super) use write::write_object;
