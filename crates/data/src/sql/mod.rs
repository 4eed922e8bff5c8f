//! Everything that is the same on all SQL databases: one dialect over a session and a syntax, which each database
//! brings itself.

mod columns;
mod condition;
mod ddl;
mod dialect;
mod fields;
mod junction;
mod remove;
mod select;
mod session;
mod statement;
mod strategy;
mod syntax;
mod transaction;
mod upsert;
mod write;

pub(crate) use dialect::{Shared, SqlDialect};
pub(crate) use session::{Access, Fetched, LiveColumns, SqlSession};
pub(crate) use statement::{Statement, double_quoted, quoted_by};
pub(crate) use syntax::{Coverage, JsonTest, NewIndex, Returning, SqlSyntax, restore_number, store_number};
pub(crate) use transaction::{Pinned, PinnedSession};
