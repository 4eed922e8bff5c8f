//! Everything that is the same on all SQL databases: one dialect over a session and a syntax, which each database
//! brings itself.

mod aggregate;
mod atomic;
mod columns;
mod condition;
mod ddl;
mod dialect;
mod distinct;
mod documents;
mod fields;
mod junction;
mod link_condition;
mod names;
mod remove;
mod restoring;
mod search;
mod select;
mod session;
mod statement;
mod strategy;
mod syntax;
mod tables;
mod transaction;
mod update_many;
mod upsert;
mod write;

pub(crate) use dialect::{Shared, SqlDialect};
pub(crate) use documents::{restore_json, store_json};
pub(crate) use names::shortened;
pub(crate) use session::{Access, Collected, Fetched, LiveColumns, SqlSession};
pub(crate) use statement::{Statement, double_quoted, quoted_by};
pub(crate) use syntax::{
    Coverage, JsonTest, NewIndex, Returning, SqlSyntax, extreme_of_ordered, restore_number,
    restore_number_cell, store_number,
};
pub(crate) use transaction::{Pinned, PinnedSession};
