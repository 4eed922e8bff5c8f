//! What a health check found.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;

/// What a health check found about one server.
#[derive(Debug, Clone)]
pub struct ServerHealth {
    /// The cluster's id.
    pub cluster: Arc<str>,
    /// The server's pool id.
    pub server: Arc<str>,
    /// Whether it is the server that takes the cluster's writes.
    pub is_primary: bool,
    /// How long it took to answer, waiting for a connection included.
    pub response_time: Duration,
    /// Why it did not answer.
    pub error: Option<Error>,
}
