//! What a call says about where it should run.

use std::sync::Arc;

use crate::config::{ConsistencyLevel, ReadPreference};
use crate::request::SessionId;

/// What a caller declares its statement to be. A statement that writes goes to the primary whatever is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// It only reads.
    Read,
    /// It writes, or must see the newest data.
    Write,
}

/// A point in the history of a cluster's primary, after which a session's own writes are visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplayPosition {
    /// The timeline; a later one does not contain all positions of an earlier one.
    pub timeline: u32,
    /// The position in the write-ahead log.
    pub lsn: u64,
}

/// Connections by the ids of their clusters.
pub type Branches = Arc<[(Arc<str>, SessionId)]>;

/// The options of one call that choose a server. What is `None` is taken from the schema, then from the cluster.
#[derive(Debug, Clone, Default)]
pub struct RouteOptions {
    /// The cluster to use.
    pub cluster_id: Option<Arc<str>>,
    /// The schema whose cluster is used and in which names are looked up first.
    pub schema: Option<Arc<str>>,
    /// What the statement is declared to be.
    pub operation: Option<Operation>,
    /// Which servers may answer.
    pub read_preference: Option<ReadPreference>,
    /// How fresh the answer must be.
    pub consistency_level: Option<ConsistencyLevel>,
    /// The value of the shard key, as text, where the cluster is sharded.
    pub shard_key: Option<Arc<str>>,
    /// The connections of the transaction in which the statement runs, by the ids of clusters that are shards.
    pub branches: Option<Branches>,
    /// What the caller's session has written last, for `ConsistencyLevel::Session`.
    pub written: Option<ReplayPosition>,
}
