//! The pool of one server: its connections, the queue for them, and what is known of the server.

mod average;
mod back_off;
mod connect;
mod connection;
mod dispatch;
mod lose;
mod maintain;
mod receive;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;
use wire::ConnectConfig;

use crate::config::PoolConfig;
use crate::metrics::ServerMetrics;
use crate::request::SessionId;
use crate::route::{ReplayPosition, ServerIndex};
use crate::server::ServerConfig;
use average::Average;
use back_off::BackOff;
use back_off::random;
pub(crate) use connect::connect_config;
pub(crate) use connection::{CancelState, PooledConnection, SessionChange, Work};

/// The pool of one server.
pub(crate) struct Pool {
    /// `<cluster>_primary` or `<cluster>_replica_<i>`.
    pub(crate) id: Arc<str>,
    /// Never given to another pool.
    pub(crate) number: u64,
    /// The id of its cluster, which may not be configured any more.
    pub(crate) cluster_id: Arc<str>,
    /// The positions of its cluster and of the server in it.
    pub(crate) cluster: usize,
    pub(crate) server: ServerIndex,
    /// What it was made from, to be compared when the configuration is loaded again.
    pub(crate) config: ServerConfig,
    pub(crate) connect: Arc<ConnectConfig>,
    pub(crate) settings: PoolConfig,
    pub(crate) connections: Slab<PooledConnection>,
    /// The slots of free connections, the one used last at the end.
    pub(crate) idle: Vec<usize>,
    /// Who waits for a connection, in the order of coming. Some may have been given up meanwhile.
    pub(crate) queue: VecDeque<Ticket>,
    /// How many of them still wait.
    pub(crate) waiting: usize,
    /// Attempts to open a connection that are under way.
    pub(crate) connecting: usize,
    /// Until when it is worth waiting for them rather than pipelining.
    growing_until: Option<Instant>,
    /// Counts how often the pool was emptied; attempts from before are not wanted any more.
    pub(crate) generation: u64,
    /// The most connections the server grants, as far as it has said so, and until when that is believed.
    granted: Option<(usize, Instant)>,
    back_off: BackOff,
    /// A timer for the first in the queue, and one for growing, are set.
    acquire_timer: bool,
    grow_timer: bool,
    pub(crate) is_up: bool,
    /// It is the pool of a primary that cannot be used: who waits for it waits on, until there is a primary.
    pub(crate) is_held: bool,
    /// The server's history has ended, or it has not told yet whether it has: it answers nobody.
    pub(crate) is_fenced: bool,
    /// It is looked at regularly whether the server has fallen silent.
    pub(crate) is_watched: bool,
    /// When the server was last seen on a connection that is not of the pool.
    pub(crate) sighted: Option<Instant>,
    /// Why the server could not be reached last, while it cannot.
    pub(crate) unreachable: Option<Arc<wire::Error>>,
    /// The server tells only whether it is in recovery.
    pub(crate) has_plain_role: bool,
    /// It is not in the configuration any more, or the engine is closing: it opens no connections.
    pub(crate) is_leaving: bool,
    /// Requests on its connections.
    pub(crate) running: usize,
    created: u64,
    destroyed: u64,
    pub(crate) response_time: Average,
    pub(crate) error_rate: Average,
    pub(crate) last_error: Option<Arc<str>>,
    pub(crate) replayed: Option<ReplayPosition>,
    /// Until when its replay position is sampled, as it was asked for.
    pub(crate) sampled_until: Option<Instant>,
}

/// A place in the queue for a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ticket {
    Request { key: usize, id: u64 },
    Session(SessionId),
}

impl Pool {
    pub(crate) fn new(
        (number, id, cluster_id): (u64, Arc<str>, Arc<str>),
        (cluster, server): (usize, ServerIndex),
        config: &ServerConfig,
        settings: PoolConfig,
        connect: ConnectConfig,
    ) -> Self {
        Self {
            id,
            number,
            cluster_id,
            cluster,
            server,
            config: config.clone(),
            connect: Arc::new(connect),
            settings,
            connections: Slab::new(),
            idle: Vec::new(),
            queue: VecDeque::new(),
            waiting: 0,
            connecting: 0,
            growing_until: None,
            generation: 0,
            granted: None,
            back_off: BackOff::default(),
            acquire_timer: false,
            grow_timer: false,
            is_up: true,
            is_held: false,
            is_fenced: false,
            is_watched: false,
            sighted: None,
            unreachable: None,
            has_plain_role: false,
            is_leaving: false,
            running: 0,
            created: 0,
            destroyed: 0,
            response_time: Average::default(),
            error_rate: Average::default(),
            last_error: None,
            replayed: None,
            sampled_until: None,
        }
    }

    /// Whether nothing of a pool that is leaving is left.
    pub(crate) fn has_left(&self) -> bool {
        self.is_leaving && self.connections.is_empty() && self.connecting == 0 && self.waiting == 0
    }

    /// Whether requests may be sent there.
    pub(crate) fn is_of_use(&self) -> bool {
        self.is_up && !self.is_fenced && !self.is_held
    }

    /// The server was seen to let somebody in.
    pub(crate) fn welcome(&mut self) {
        self.is_up = true;
        self.unreachable = None;
        self.back_off.succeed();
    }

    /// Has the next attempt to connect made without a pause.
    pub(crate) fn try_at_once(&mut self) {
        self.back_off.succeed();
    }

    /// Whether nothing can be heard of the server: a connection whose reader pauses does not show that it was lost.
    fn reads_nothing(&self) -> bool {
        self.connections.iter().all(|(_, connection)| connection.is_paused)
    }

    /// The most connections at this moment.
    fn limit(&self, now: Instant) -> usize {
        match self.granted {
            Some((granted, until)) if now < until => granted.min(self.settings.max),
            _ => self.settings.max,
        }
    }

    /// Whether it could open another connection now.
    fn can_grow(&self, now: Instant) -> bool {
        !self.is_leaving
            && self.back_off.waits_until(now).is_none()
            && self.connections.len() + self.connecting < self.limit(now)
    }

    /// Whether a new connection is to be expected any moment.
    fn is_growing(&self, now: Instant) -> bool {
        self.connecting > 0 && self.growing_until.is_some_and(|until| now < until)
    }

    pub(crate) fn metrics(&self, is_primary: bool) -> ServerMetrics {
        ServerMetrics {
            id: Arc::clone(&self.id),
            is_primary,
            is_up: self.is_of_use(),
            active: self.connections.len().saturating_sub(self.idle.len()),
            idle: self.idle.len(),
            connecting: self.connecting,
            max: self.settings.max,
            created: self.created,
            destroyed: self.destroyed,
            waiting: self.waiting,
            running: self.running,
            response_time: self.response_time.get().map(Duration::from_secs_f64),
            error_rate: self.error_rate.get().unwrap_or(0.0),
            last_error: self.last_error.clone(),
        }
    }
}
