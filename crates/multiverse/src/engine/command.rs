//! What the handle tells the engine's thread.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use wire::TextTypes;

use super::log_following::LogListener;
use super::routing::RegisteredSchema;
use super::thread::Plan;
use crate::cache::{CacheKey, EvictionReason, Invalidation, RemoteAnswer, RemoteCache};
use crate::error::Error;
use crate::failover::{ClusterListener, FailoverReply};
use crate::health::ServerHealth;
use crate::metrics::Metrics;
use crate::request::{Request, RequestId, SessionId};
use crate::route::RouteOptions;
use crate::session::SessionListener;

/// A pinned connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its number, for requests and for releasing it.
    pub id: SessionId,
    /// The cluster's id.
    pub cluster: Arc<str>,
    /// The server's pool id.
    pub server: Arc<str>,
    /// The process id of the session on the server.
    pub process_id: i32,
}

/// A server's database: its system, which a standby shares with its primary, and the number of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct DatabaseId {
    pub(crate) system: u64,
    pub(crate) database: u32,
}

/// What becomes of a connection that is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// It is reset where it was changed, and goes back to the pool.
    Reuse,
    /// It is closed.
    Close,
}

/// Whether a search for a primary is to be quick for who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Haste {
    /// It is: a caller waits.
    Caller,
    /// It need not be: this crate looks after something by itself.
    Background,
}

/// Takes a pinned connection, or why there is none. Called on the engine's thread.
pub type SessionReply = Box<dyn FnOnce(Result<Session, Error>) + Send>;
/// Takes what a health check found. Called on the engine's thread.
pub type HealthReply = Box<dyn FnOnce(Vec<ServerHealth>) + Send>;
/// Takes how many there were. Called on the engine's thread.
pub type CountReply = Box<dyn FnOnce(usize) + Send>;
/// Is told of entries that have left the cache. Called on the engine's thread, or on one that submits requests.
pub type EvictionListener = Box<dyn FnMut(&CacheKey, EvictionReason) + Send>;
/// Called on the engine's thread when something is done.
pub type DoneReply = Box<dyn FnOnce() + Send>;

pub(crate) enum Command {
    Submit(Vec<Request>),
    Cancel(RequestId),
    Resume(RequestId),
    OpenSession { id: SessionId, route: RouteOptions, haste: Haste, reply: SessionReply },
    ReleaseSession { id: SessionId, release: Release },
    CancelSession(SessionId),
    ListenInSession { id: SessionId, listener: SessionListener },
    Reload { plan: Plan, reply: DoneReply },
    RegisterSchema { schema: RegisteredSchema, reply: SyncSender<Result<(), Error>> },
    SetTextTypes(Arc<TextTypes>),
    Invalidate { what: Invalidation, reply: CountReply },
    CacheKeys(SyncSender<Vec<String>>),
    CountHits { cluster: String, hits: u64 },
    TellEvictions(Option<EvictionListener>),
    TellLogs(Option<LogListener>),
    SetRemote(Box<dyn RemoteCache>),
    RemoteAnswer { flight: u64, answer: Option<RemoteAnswer> },
    Metrics(SyncSender<Metrics>),
    Health(HealthReply),
    Listen(ClusterListener),
    FailOver { cluster: String, replica: usize, promote: bool, reply: FailoverReply },
    Close(DoneReply),
}

impl Command {
    /// Whether requests might be answered otherwise from now on. What requests themselves change shows when they end.
    pub(crate) fn may_change_answers(&self) -> bool {
        match self {
            Self::Submit(_)
            | Self::Cancel(_)
            | Self::Resume(_)
            | Self::OpenSession { .. }
            | Self::ReleaseSession { .. }
            | Self::CancelSession(_)
            | Self::ListenInSession { .. }
            | Self::CacheKeys(_)
            | Self::CountHits { .. }
            | Self::TellEvictions(_)
            | Self::TellLogs(_)
            | Self::Metrics(_)
            | Self::Health(_)
            | Self::Listen(_) => false,
            Self::Reload { .. }
            | Self::RegisterSchema { .. }
            | Self::SetTextTypes(_)
            | Self::Invalidate { .. }
            | Self::SetRemote(_)
            | Self::RemoteAnswer { .. }
            | Self::FailOver { .. }
            | Self::Close(_) => true,
        }
    }
}
