//! The engine: one thread owns all sockets, pools and decisions of an instance; this is the handle to it.
//!
//! Nothing on the way of a query waits for a lock. The handle sends what it is told over a channel, once for all requests
//! submitted together, or carries out a single request by itself where the engine is at rest; answers are handed out on
//! the engine's thread, and after each of its turns that handed out anything a hook is called, so that a binding can
//! pass many answers on at once.

mod cache_upkeep;
mod caching;
mod cancel;
mod catalogues;
mod close;
mod command;
mod core;
mod definition_changes;
mod event;
mod fetching;
mod finish;
mod guarding;
mod health_check;
mod holding;
mod log_following;
mod own_query;
mod pending;
mod readiness;
mod reload;
mod routing;
mod settings;
mod shared;
mod submit;
mod texts;
mod thread;
mod timers;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use wire::TextTypes;

pub(crate) use self::core::Core;
use crate::cache::{CacheEpoch, Invalidation, RemoteAnswer, RemoteCache};
use crate::config::Clusters;
use crate::error::Error;
use crate::failover::{ClusterListener, FailoverReply};
use crate::metrics::Metrics;
use crate::request::{Request, RequestId, SessionId};
use crate::route::{RouteOptions, SchemaOptions};
use crate::session::SessionListener;
use command::Command;
pub(crate) use command::DatabaseId;
pub(crate) use command::Haste;
pub use command::{CountReply, DoneReply, EvictionListener, HealthReply, Release, Session, SessionReply};
pub(crate) use definition_changes::DefinitionChanges;
pub(crate) use event::Event;
pub use log_following::LogListener;
pub(crate) use own_query::{OwnResult, Purpose};
pub(crate) use pending::{Failure, Pending, Place};
pub(crate) use readiness::{ConnectionWaker, Readiness, Token};
use routing::RegisteredSchema;
pub use settings::EngineSettings;
use shared::{AtOnce, Shared};
use thread::Started;
pub(crate) use timers::{Routine, Timer, Timers};

/// The engine's thread is never busy for so long.
const LONGEST_TURN: Duration = Duration::from_secs(5);

/// Called on the engine's thread at the end of each turn in which an answer was handed out.
pub type TurnEnd = Box<dyn FnMut() + Send>;

/// Pools, pipelines and routing for a set of clusters.
///
/// Dropping it closes it: requests end with [`Error::Closed`], and the thread is waited for.
pub struct Engine {
    commands: UnboundedSender<Command>,
    shared: Shared,
    sessions: AtomicU64,
    thread: Mutex<Option<JoinHandle<()>>>,
    runtime: Handle,
    definition_changes: Arc<DefinitionChanges>,
    cache_epoch: CacheEpoch,
    settings: EngineSettings,
}

impl Engine {
    /// Starts the thread, which opens the first connections by itself.
    ///
    /// # Errors
    /// [`Error::Config`] where a server's settings cannot be used, [`Error::Start`] where the operating system refuses.
    pub fn start(clusters: Clusters, settings: EngineSettings, on_turn_end: TurnEnd) -> Result<Self, Error> {
        let Started { commands, shared, thread, runtime, definition_changes, cache_epoch } =
            thread::start(clusters, settings.clone(), on_turn_end)?;
        let thread = Mutex::new(Some(thread));
        let sessions = AtomicU64::new(1);
        Ok(Self { commands, shared, sessions, thread, runtime, definition_changes, cache_epoch, settings })
    }

    /// Hands over requests. Each is answered exactly once; with [`Error::Closed`] when the engine is closed.
    ///
    /// The caller's thread sends a single request by itself where nothing else is under way and its text is known, which
    /// takes some microseconds; it never waits. It also answers by itself what is in the cache; then this returns `true`,
    /// and the hook for the end of a turn is not called.
    pub fn submit(&self, requests: Vec<Request>) -> bool {
        let AtOnce { left, has_answered } = self.shared.submit_at_once(requests);
        let Some(requests) = left else { return has_answered };
        if let Err(unsent) = self.commands.send(Command::Submit(requests))
            && let Command::Submit(requests) = unsent.0
        {
            for request in requests {
                request.answer.end(Err(Error::Closed));
            }
        }
        has_answered
    }

    /// Drops results from the cache, and keeps what is being fetched at this moment from being cached. `reply` takes the
    /// number of entries dropped. Requests submitted from now on do not find them.
    pub fn invalidate(&self, what: Invalidation, reply: CountReply) {
        self.cache_epoch.end();
        if let Err(unsent) = self.commands.send(Command::Invalidate { what, reply })
            && let Command::Invalidate { reply, .. } = unsent.0
        {
            reply(0);
        }
    }

    /// As [`invalidate`](Self::invalidate) on the caller's thread, if that takes only a moment; the number of entries dropped.
    pub fn invalidate_at_once(&self, what: &Invalidation) -> Option<usize> {
        self.cache_epoch.end();
        self.shared.invalidate_at_once(what)
    }

    /// The epoch of the cache; see [`crate::Answer::holds`]. What was asked for before, as an invalidation, has ended it even
    /// where it has not been carried out yet.
    #[must_use]
    pub fn cache_epoch(&self) -> u32 {
        self.cache_epoch.number()
    }

    /// Counts hits of the cache that were answered without a request.
    pub fn count_hits(&self, cluster: &str, hits: u64) {
        self.tell(Command::CountHits { cluster: cluster.to_owned(), hits });
    }

    /// The keys of all results that are cached or being fetched. Waits for the engine's thread, which is never busy for
    /// long; empty once it is closed.
    pub fn cache_keys(&self) -> Vec<String> {
        let (sender, receiver) = sync_channel(1);
        self.tell(Command::CacheKeys(sender));
        receiver.recv_timeout(LONGEST_TURN).unwrap_or_default()
    }

    /// Has results also kept, and looked for, in a cache that other processes share.
    pub fn set_remote(&self, remote: Box<dyn RemoteCache>) {
        self.tell(Command::SetRemote(remote));
    }

    /// What the shared cache had for [`RemoteCache::look_up`].
    pub fn answer_remote(&self, flight: u64, answer: Option<RemoteAnswer>) {
        self.tell(Command::RemoteAnswer { flight, answer });
    }

    /// Has a listener told when the cache begins to follow the log of a cluster, and why it does not.
    pub fn tell_logs(&self, listener: Option<LogListener>) {
        self.tell(Command::TellLogs(listener));
    }

    /// Has a listener told of every entry that leaves the cache from now on, or nobody.
    pub fn tell_evictions(&self, listener: Option<EvictionListener>) {
        self.tell(Command::TellEvictions(listener));
    }

    /// Cancels a request: it ends with [`Error::Cancelled`] at once, and its statement is cancelled on the server. One
    /// that has ended is left alone.
    pub fn cancel(&self, id: RequestId) {
        self.tell(Command::Cancel(id));
    }

    /// Goes on with a request whose answer said [`crate::Flow::Pause`].
    pub fn resume(&self, id: RequestId) {
        self.tell(Command::Resume(id));
    }

    /// Pins a connection. It is waited for in the same queue as requests wait in. Requests for the session may be
    /// submitted at once; they run one after the other.
    pub fn open_session(&self, route: RouteOptions, reply: SessionReply) -> SessionId {
        self.open_session_with(route, Haste::Caller, reply)
    }

    /// As [`Self::open_session`], for a caller or for this crate itself.
    pub(crate) fn open_session_with(
        &self,
        route: RouteOptions,
        haste: Haste,
        reply: SessionReply,
    ) -> SessionId {
        let id = SessionId(self.sessions.fetch_add(1, Ordering::Relaxed));
        if let Err(unsent) = self.commands.send(Command::OpenSession { id, route, haste, reply })
            && let Command::OpenSession { reply, .. } = unsent.0
        {
            reply(Err(Error::Closed));
        }
        id
    }

    /// Gives a pinned connection back once the requests submitted for it have run, or gives up waiting for it. With
    /// [`Release::Close`] those that have not been sent end with [`Error::NoSession`].
    pub fn release_session(&self, id: SessionId, release: Release) {
        self.tell(Command::ReleaseSession { id, release });
    }

    /// Has a listener told what a pinned connection brings unasked, in place of the one before. It is let go when the
    /// connection is given back or lost.
    pub fn listen_in_session(&self, id: SessionId, listener: SessionListener) {
        self.tell(Command::ListenInSession { id, listener });
    }

    /// Goes over to another configuration. Servers that stay keep their connections; what runs on others runs to its
    /// end. `reply` is called when the new configuration is in force.
    ///
    /// # Errors
    /// [`Error::Config`] where a server's settings cannot be used; the old configuration stays in force.
    pub fn reload(&self, clusters: Clusters, reply: DoneReply) -> Result<(), Error> {
        let plan = thread::plan(clusters, &self.settings)?;
        self.cache_epoch.end();
        self.commands.send(Command::Reload { plan, reply }).map_err(|_| Error::Closed)
    }

    /// Makes a schema known on a cluster, besides those on which it is already.
    ///
    /// # Errors
    /// [`Error::Route`] where there is no such cluster, [`Error::Closed`].
    pub fn register_schema(&self, schema: &str, cluster: &str, options: SchemaOptions) -> Result<(), Error> {
        let (reply, receiver) = sync_channel(1);
        let (schema, cluster) = (schema.to_owned(), cluster.to_owned());
        self.tell(Command::RegisterSchema { schema: RegisteredSchema { schema, cluster, options }, reply });
        receiver.recv_timeout(LONGEST_TURN).unwrap_or(Err(Error::Closed))
    }

    /// Sets the types whose values come as text because the application reads them itself.
    pub fn set_text_types(&self, oids: Vec<u32>) {
        self.tell(Command::SetTextTypes(Arc::new(TextTypes::new(oids))));
    }

    /// The figures at this moment. Waits for the engine's thread, which is never busy for long; empty once it is closed.
    pub fn metrics(&self) -> Metrics {
        let (sender, receiver) = sync_channel(1);
        self.tell(Command::Metrics(sender));
        receiver.recv_timeout(LONGEST_TURN).unwrap_or_default()
    }

    /// Asks every server for a sign of life.
    pub fn health(&self, reply: HealthReply) {
        if let Err(unsent) = self.commands.send(Command::Health(reply))
            && let Command::Health(reply) = unsent.0
        {
            reply(Vec::new());
        }
    }

    /// Has a listener told of what happens to the clusters, in place of the one before.
    pub fn listen(&self, listener: ClusterListener) {
        self.tell(Command::Listen(listener));
    }

    /// Has a replica of a cluster, counted from 0, take the writes. With `promote` it is promoted first, after what runs on
    /// the primary has ended and the replica has replayed what was written there; without, only who is asked changes.
    ///
    /// The answer is an error where there is no such cluster ([`Error::Route`]) or replica ([`Error::NoReplica`]), or it was
    /// not promoted ([`Error::Promotion`]); the primary then stays what it was.
    pub fn fail_over(&self, cluster: &str, replica: usize, promote: bool, reply: FailoverReply) {
        let command = Command::FailOver { cluster: cluster.to_owned(), replica, promote, reply };
        if let Err(unsent) = self.commands.send(command)
            && let Command::FailOver { reply, .. } = unsent.0
        {
            reply(Err(Error::Closed));
        }
    }

    /// Closes the engine: all requests end with [`Error::Closed`], all connections are closed, the thread ends after
    /// `reply` was called. Closing it again only calls `reply`.
    pub fn close(&self, reply: DoneReply) {
        if let Err(unsent) = self.commands.send(Command::Close(reply))
            && let Command::Close(reply) = unsent.0
        {
            reply();
        }
    }

    /// Once the engine is closed, nobody waits for what it is told here.
    fn tell(&self, command: Command) {
        if command.may_change_answers() {
            self.cache_epoch.end();
        }
        let _ = self.commands.send(command);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close(Box::new(|| {}));
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Engine").field("closed", &self.commands.is_closed()).finish_non_exhaustive()
    }
}
