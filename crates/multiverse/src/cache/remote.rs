//! A second place for results, which other processes share: asked when there is nothing here, told of what was fetched.

use std::time::Duration;

use super::key::CacheKey;
use super::scope::Scope;

/// A cache outside of this process. Its methods are called on the engine's thread, and must not block.
pub trait RemoteCache: Send {
    /// Whether it can be asked now. While it cannot, results are fetched from the servers.
    fn is_ready(&self) -> bool;

    /// Whether results may be kept in this process: what others invalidate is told by [`crate::Engine::invalidate`].
    fn may_keep_near(&self) -> bool;

    /// Asks for a result. To be answered by [`crate::Engine::answer_remote`] with the same number, whatever happens.
    fn look_up(&mut self, flight: u64, key: &CacheKey, scopes: &[String]);

    /// A result that was asked for has been fetched from a server; `None` if there is none to be kept.
    fn finish(&mut self, flight: u64, fetched: Option<RemoteEntry<'_>>);

    /// Everything of these scopes is to be dropped, for all processes.
    fn invalidate(&mut self, scopes: &[String]);
}

/// A result on its way to a [`RemoteCache`].
#[derive(Debug)]
pub struct RemoteEntry<'a> {
    /// Its key.
    pub key: &'a CacheKey,
    /// What it can be invalidated by.
    pub scopes: &'a [String],
    /// How long it is valid, `None` for as long as there is room.
    pub ttl: Option<Duration>,
    /// The result, for [`RemoteAnswer::bytes`].
    pub bytes: Vec<u8>,
}

/// What a [`RemoteCache`] had.
#[derive(Debug)]
pub struct RemoteAnswer {
    /// The bytes of a [`RemoteEntry`].
    pub bytes: Vec<u8>,
    /// How long it is still valid.
    pub ttl: Option<Duration>,
}

/// The names of the scopes that processes share.
pub(crate) fn scope_names(scopes: &[Scope]) -> Vec<String> {
    let name = |scope: &Scope| match scope {
        Scope::Tag(tag) => Some(format!("tag:{tag}")),
        Scope::Schema(schema) => Some(format!("schema:{schema}")),
        Scope::Cluster(cluster) => Some(format!("cluster:{cluster}")),
        Scope::Digest(_) | Scope::Table(..) | Scope::Rows(..) | Scope::Row(..) => None,
    };
    scopes.iter().filter_map(name).collect()
}
