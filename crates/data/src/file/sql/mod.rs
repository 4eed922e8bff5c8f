//! SQL dumps: `INSERT` statements of every dialect and `COPY` blocks of PostgreSQL; other statements are passed over.

mod copy_block;
mod declare;
mod flavor;
mod head;
mod index;
mod literal;
mod rows;
mod scanner;
mod write;

pub(super) use index::{DumpIndex, DumpTable};
pub(super) use rows::each_row;
pub(super) use write::DumpWriter;
