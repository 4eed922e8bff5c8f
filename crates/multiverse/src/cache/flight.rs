//! Results that are being fetched, and who waits for them.

use super::key::CacheKey;
use super::results::Wish;
use super::scope::Scope;

/// The requests that wait for a result which another one fetches, by their keys.
pub(crate) type Waiters = Vec<usize>;

/// A result on its way.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) key: CacheKey,
    pub(crate) wish: Wish,
    pub(crate) scopes: Box<[Scope]>,
    /// The tables that it is read from, where the log is followed.
    pub(crate) tables: Box<[u32]>,
    pub(crate) waiters: Waiters,
    /// It was invalidated meanwhile: those who wait get it, and nobody else.
    pub(crate) is_void: bool,
}
