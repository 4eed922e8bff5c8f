//! Where a statement runs: what it is, which cluster has its schema, and whether a replica may answer.

pub mod catalogue;
mod classify;
mod decision;
mod options;
mod verdict;

pub use classify::classify;
pub use decision::{ClusterIndex, Decision, RouteError, ServerIndex};
pub use options::{Operation, ReplayPosition, RouteOptions};
pub use verdict::{Access, ObjectName, StatementKind, Verdict};
