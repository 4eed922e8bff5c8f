//! Where a statement runs, or why it cannot.

use std::sync::Arc;

use crate::route::Verdict;

/// The position of a cluster in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterIndex(pub usize);

/// The position of a server in its cluster: 0 is the configured primary, 1 the first configured replica, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerIndex(pub usize);

/// Where a statement runs.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The cluster.
    pub cluster: ClusterIndex,
    /// The server.
    pub server: ServerIndex,
    /// Whether the server was chosen as one that may be behind. Should it refuse the statement as a write (25006), the
    /// primary is to be asked, and [`crate::route::Router::refused_on_replica`] told.
    pub on_replica: bool,
    /// Whether it is known to change nothing, so that running it twice does no harm.
    pub reads: bool,
    /// What the statement is.
    pub verdict: Arc<Verdict>,
}

/// Why no server can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The call names a cluster that is not configured.
    #[error("Cluster not found: {0}")]
    UnknownCluster(Arc<str>),
    /// The call names a schema that no cluster has.
    #[error("No cluster configured for schema: {0}")]
    UnknownSchema(Arc<str>),
    /// All clusters are down.
    #[error("No active clusters available")]
    NoActiveCluster,
}
