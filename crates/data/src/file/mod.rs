//! Files as ends of a copy: CSV, JSON, JSON lines and SQL dumps, seen as tables.
//!
//! [`FileSource`] reads them, [`FileTarget`] writes them. A folder holds one file per table; JSON and SQL also hold
//! several tables in one file.

mod cell;
mod csv;
mod error;
mod guess;
mod json;
mod place;
mod source;
mod spec;
mod sql;
mod target;
mod text;

pub use source::FileSource;
pub use spec::{EmptyCells, FileFormat, FileSpec, SqlFlavor};
pub use target::FileTarget;
