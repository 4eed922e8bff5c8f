//! The state of an engine, and its turn: what has happened is taken in, what can be sent is sent.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use foldhash::fast::RandomState;
use slab::Slab;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use wire::{CancelToken, TextTypes};

use super::cache_upkeep::CacheUpkeep;
use super::catalogues::Catalogues;
use super::definition_changes::DefinitionChanges;
use super::event::Event;
use super::health_check::HealthChecks;
use super::log_following::FollowedLogs;
use super::pending::Pending;
use super::routing::RegisteredSchema;
use super::texts::Texts;
use super::thread::Plan;
use super::timers::{Timer, Timers};
use super::{Command, EngineSettings, Readiness, Token};
use crate::cache::{CacheEpoch, Invalidation, RemoteCache, ResultCache};
use crate::failover::{ClusterListener, Watch};
use crate::metrics::Histogram;
use crate::pool::{Pool, PooledConnection};
use crate::route::Router;
use crate::session::{Paths, PinnedSession};

/// A cluster: its pools and what it has done.
pub(crate) struct Cluster {
    pub(crate) id: Arc<str>,
    /// The keys of its pools: the configured primary, then the configured replicas.
    pub(crate) pools: Vec<usize>,
    /// Which of them takes writes.
    pub(crate) primary: usize,
    /// Requests may ask for `ConsistencyLevel::Session` without saying so.
    pub(crate) has_sessions: bool,
    pub(crate) counts: Counts,
    pub(crate) watch: Watch,
}

/// What a cluster has done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) errors: u64,
    pub(crate) cache_hits: u64,
    pub(crate) cache_misses: u64,
    pub(crate) duration: std::time::Duration,
    pub(crate) read_latency: Histogram,
    pub(crate) write_latency: Histogram,
}

pub(crate) struct Core {
    pub(crate) settings: EngineSettings,
    pub(crate) text_types: Arc<TextTypes>,
    pub(crate) clusters: Vec<Cluster>,
    pub(crate) pools: Slab<Pool>,
    pub(crate) router: Router,
    pub(super) registered: Vec<RegisteredSchema>,
    pub(crate) catalogues: Catalogues,
    pub(crate) definition_changes: Arc<DefinitionChanges>,
    pub(super) cache_epoch: CacheEpoch,
    pub(crate) texts: Texts,
    pub(crate) paths: Paths,
    pub(crate) requests: Slab<Pending>,
    /// The keys of requests by their numbers.
    pub(crate) by_id: HashMap<u64, usize, RandomState>,
    pub(crate) sessions: HashMap<u64, PinnedSession, RandomState>,
    pub(crate) health: HealthChecks,
    /// Who hears of what happens to the clusters.
    pub(crate) listener: Option<ClusterListener>,
    /// Checks come regularly.
    pub(crate) is_checking: bool,
    pub(crate) cache: Option<ResultCache>,
    pub(super) cache_upkeep: CacheUpkeep,
    pub(super) remote: Option<Box<dyn RemoteCache>>,
    pub(super) logs: FollowedLogs,
    pub(crate) timers: Timers,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) events: UnboundedSender<Event>,
    /// Where tasks run, whichever thread starts them.
    pub(crate) runtime: Handle,
    /// The time at the start of the turn.
    pub(crate) now: Instant,
    /// The sockets were read at the start of the turn, which shows the connections that were lost.
    pub(crate) has_read_sockets: bool,
    /// Connections with something to send, and pools that may have a connection for those who wait.
    pub(crate) touched: Vec<Token>,
    pub(crate) dispatchable: Vec<usize>,
    /// Something was handed out in this turn.
    pub(crate) has_answered: bool,
    /// Counts pools and connections, so that each has a number of its own.
    pub(crate) serials: u64,
    /// The number of the next query of the engine itself.
    pub(crate) next_own_id: u64,
    /// Configurations that wait until no promotion is under way.
    pub(super) reloads: VecDeque<(Plan, super::DoneReply)>,
    pub(super) closed_replies: Vec<super::DoneReply>,
    /// What cancels the statements that were running when the engine was closed.
    pub(super) abandoned: Vec<CancelToken>,
    ready: Vec<Token>,
}

/// Where the engine hears from.
pub(crate) struct Inbox {
    pub(crate) commands: UnboundedReceiver<Command>,
    pub(crate) events: UnboundedReceiver<Event>,
}

/// Numbers from here on are those of the engine's own queries.
const OWN_IDS: u64 = 1 << 63;

impl Core {
    pub(crate) fn new(
        settings: EngineSettings,
        router: Router,
        events: UnboundedSender<Event>,
        runtime: Handle,
    ) -> Self {
        let cache = settings.cache.clone().map(ResultCache::new);
        Self {
            settings,
            text_types: Arc::default(),
            clusters: Vec::new(),
            pools: Slab::new(),
            router,
            registered: Vec::new(),
            catalogues: Catalogues::default(),
            definition_changes: Arc::default(),
            cache_epoch: CacheEpoch::default(),
            texts: Texts::default(),
            paths: Paths::default(),
            requests: Slab::new(),
            by_id: HashMap::default(),
            sessions: HashMap::default(),
            health: HealthChecks::default(),
            listener: None,
            is_checking: false,
            cache,
            cache_upkeep: CacheUpkeep::default(),
            remote: None,
            logs: FollowedLogs::default(),
            timers: Timers::default(),
            readiness: Arc::default(),
            events,
            runtime,
            now: Instant::now(),
            has_read_sockets: true,
            touched: Vec::new(),
            dispatchable: Vec::new(),
            has_answered: false,
            serials: 0,
            next_own_id: OWN_IDS,
            reloads: VecDeque::new(),
            closed_replies: Vec::new(),
            abandoned: Vec::new(),
            ready: Vec::new(),
        }
    }

    /// One turn. Ready when the engine has been closed.
    ///
    /// Sockets are read before commands are taken, so that a connection that was lost meanwhile is not used, and all
    /// that was written goes out at the end, one write for each connection.
    pub(crate) fn turn(&mut self, inbox: &mut Inbox, context: &mut Context<'_>) -> Poll<()> {
        self.now = Instant::now();
        self.readiness.register(context.waker());
        while let Poll::Ready(Some(event)) = inbox.events.poll_recv(context) {
            self.cache_epoch.end();
            self.take_event(event);
        }
        let mut ready = std::mem::take(&mut self.ready);
        self.readiness.take(&mut ready);
        for token in ready.drain(..) {
            self.serve(token);
        }
        self.ready = ready;
        let mut is_closed = false;
        while !is_closed && let Poll::Ready(command) = inbox.commands.poll_recv(context) {
            is_closed = match command {
                Some(command) => self.take_command(command),
                None => true,
            };
        }
        if is_closed {
            self.close();
            return Poll::Ready(());
        }
        if self.catalogues.is_wanted {
            self.look_at_catalogues();
        }
        while let Some(timer) = self.timers.take_due(self.now) {
            self.take_timer(timer);
        }
        if !self.reloads.is_empty() {
            self.reload_if_settled();
        }
        self.send_what_can_be_sent();
        self.keep_cache_up();
        Poll::Pending
    }

    /// Serves the queues of the pools that may have a connection for those who wait, and sends all that was written.
    pub(super) fn send_what_can_be_sent(&mut self) {
        while let Some(pool) = self.dispatchable.pop() {
            self.dispatch(pool);
        }
        self.flush_touched();
    }

    /// Returns whether the engine is to close.
    fn take_command(&mut self, command: Command) -> bool {
        if command.may_change_answers() {
            self.cache_epoch.end();
        }
        match command {
            Command::Submit(requests) => requests.into_iter().for_each(|request| self.submit(request)),
            Command::Cancel(id) => self.cancel(id),
            Command::Resume(id) => self.resume(id),
            Command::OpenSession { id, route, haste, reply } => self.open_session(id, route, haste, reply),
            Command::ReleaseSession { id, release } => self.release_session(id, release),
            Command::CancelSession(id) => self.cancel_session(id),
            Command::Reload { plan, reply } => self.reload_when_settled(plan, reply),
            Command::RegisterSchema { schema, reply } => {
                // Whoever asked may have stopped waiting.
                let _ = reply.send(self.register_schema(schema));
            }
            Command::SetTextTypes(types) => self.set_text_types(&types),
            Command::Invalidate { what, reply } => self.invalidate(&what, reply),
            Command::CacheKeys(reply) => {
                // Whoever asked may have stopped waiting.
                let _ = reply.send(self.cache.as_ref().map(ResultCache::key_texts).unwrap_or_default());
            }
            Command::CountHits { cluster, hits } => self.count_hits_of(&cluster, hits),
            Command::TellEvictions(listener) => self.tell_evictions(listener),
            Command::TellLogs(listener) => self.tell_logs(listener),
            Command::SetRemote(remote) => self.remote = Some(remote),
            Command::RemoteAnswer { flight, answer } => self.remote_answered(flight, answer),
            Command::Metrics(reply) => {
                // Whoever asked may have stopped waiting.
                let _ = reply.send(self.metrics());
            }
            Command::Health(reply) => self.check_health(Some(reply)),
            Command::ListenInSession { id, listener } => self.listen_in_session(id, listener),
            Command::Listen(listener) => self.listen(listener),
            Command::FailOver { cluster, replica, promote, reply } => {
                self.fail_over(&cluster, replica, promote, reply);
            }
            Command::Close(reply) => {
                self.closing_reply(reply);
                return true;
            }
        }
        false
    }

    fn take_event(&mut self, event: Event) {
        match event {
            Event::Connected { pool, generation, result } => self.connected(pool, generation, result),
            Event::CancelDelivered { token, result } => self.cancel_delivered(token, result),
            Event::Log { number, news } => self.take_log_news(number, news),
            Event::OwnQuery { purpose, started, result } => self.own_query_answered(purpose, started, result),
            Event::Sighted(sighting) => self.sighted(sighting),
            Event::Promoted(promoted) => self.promoted(promoted),
        }
    }

    fn take_timer(&mut self, timer: Timer) {
        match timer {
            Timer::Deadline { request, id } => self.deadline(request, id),
            Timer::Retry { request, id } => self.retry_now(request, id),
            Timer::Acquire { pool } => self.expire_queue(pool),
            Timer::Held => self.let_overdue_go(),
            Timer::Grow { pool } => self.may_grow(pool),
            Timer::Maintain { pool, number } => self.maintain(pool, number),
            Timer::Cancel { token, request, id } => self.cancel_head(token, request, id),
            Timer::Reset { token } => self.reset_overdue(token),
            Timer::Routine(routine) => self.do_routine(routine),
        }
    }

    /// The connection of a token, unless it has gone.
    pub(crate) fn connection(&mut self, token: Token) -> Option<&mut PooledConnection> {
        let connection = self.pools.get_mut(token.pool)?.connections.get_mut(token.slot)?;
        (connection.token == token).then_some(connection)
    }

    /// Has what was written to a connection sent at the end of the turn.
    pub(crate) fn touch(&mut self, token: Token) {
        let Some(connection) = self.connection(token) else { return };
        if !std::mem::replace(&mut connection.is_touched, true) {
            self.touched.push(token);
        }
    }

    /// Has a pool looked at for whoever waits for it.
    pub(crate) fn call_dispatch(&mut self, pool: usize) {
        if !self.dispatchable.contains(&pool) {
            self.dispatchable.push(pool);
        }
    }

    fn flush_touched(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        for token in touched.drain(..) {
            if let Some(connection) = self.connection(token) {
                connection.is_touched = false;
                connection.flush();
            }
        }
        self.touched = touched;
    }

    /// Looks after a connection whose socket may have become readable or writable.
    fn serve(&mut self, token: Token) {
        let Some(connection) = self.connection(token) else { return };
        connection.readiness.unlist();
        if connection.pipeline.has_unsent() {
            connection.flush();
        }
        self.receive(token);
    }

    fn set_text_types(&mut self, types: &Arc<TextTypes>) {
        self.text_types = Arc::clone(types);
        // What is kept has the formats of the types before.
        if let Some(cache) = &mut self.cache {
            cache.invalidate(&Invalidation::All);
        }
        for (_, pool) in &mut self.pools {
            for (_, connection) in &mut pool.connections {
                connection.pipeline.set_text_types(Arc::clone(types));
            }
        }
    }
}
