//! Where a statement runs: what it is, which cluster has its schema, and whether a replica may answer.

pub mod catalogue;
mod classify;
mod decision;
mod freshness;
mod options;
mod router;
mod schemas;
mod texts;
mod verdict;

pub use classify::classify;
pub(crate) use classify::{parse_here, with_syntax_tree};
pub use decision::{ClusterIndex, Decision, RouteError, ServerIndex};
pub use options::{Branches, Operation, ReplayPosition, RouteOptions};
pub use router::Router;
pub use schemas::{CacheStrategy, SchemaHome, SchemaOptions};
pub use verdict::{Access, ObjectName, StatementKind, Verdict};

#[cfg(test)]
mod tests;
