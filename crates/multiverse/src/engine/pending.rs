//! A request from the moment it is submitted until its last byte was read, and where it is meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::texts::Text;
use crate::answer::Answer;
use crate::cache::{CacheKey, CacheOptions, Recording};
use crate::error::Error;
use crate::request::{BindParameters, Request, RequestId, Retry, SessionId};
use crate::route::{ReplayPosition, RouteOptions, Verdict};

pub(crate) struct Pending {
    /// The caller's number; the engine's own queries have numbers above those of callers.
    pub(crate) id: u64,
    pub(crate) sql: Arc<str>,
    pub(crate) parameters: BindParameters,
    pub(crate) route: RouteOptions,
    pub(crate) session: Option<SessionId>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry: Retry,
    pub(crate) streamed: bool,
    /// `None` once the request has ended for its caller, although the server may still be at it.
    pub(crate) answer: Option<Box<dyn Answer>>,
    pub(crate) text: Arc<Text>,
    pub(crate) verdict: Arc<Verdict>,
    /// The pool it waits for or runs in.
    pub(crate) pool: usize,
    pub(crate) cluster: usize,
    /// The server was chosen as one that may be behind.
    pub(crate) on_replica: bool,
    /// It is known to change nothing.
    pub(crate) reads: bool,
    /// The search path it runs under, a number of `Paths`.
    pub(crate) path: u32,
    /// It was sent behind what brings its connection to that path, in the same transaction.
    pub(crate) switches_path: bool,
    pub(crate) place: Place,
    pub(crate) submitted: Instant,
    /// When it entered the queue it is in.
    pub(crate) queued: Instant,
    /// Something of its results was handed to its caller, so it cannot begin again.
    pub(crate) delivered: bool,
    /// The columns of the result that has begun, until they are handed out.
    pub(crate) columns: Option<Arc<[wire::Column]>>,
    /// Why the server refused it, until the server is ready again.
    pub(crate) failure: Option<Failure>,
    /// It was sent again after a statement had become unusable.
    pub(crate) repeated: bool,
    /// It was sent while its connection was in no transaction.
    pub(crate) was_outside: bool,
    /// It was sent to the primary after a replica had refused it.
    pub(crate) rerouted: bool,
    /// The position of the log after it is wanted too.
    pub(crate) wants_position: bool,
    /// It is to be sent again once the answer to the question for the position is out of the way.
    pub(crate) is_due_again: bool,
    /// It has succeeded, and only the position is awaited.
    pub(crate) succeeded: bool,
    /// The position, once it is known.
    pub(crate) position: Option<ReplayPosition>,
    /// Its connection was lost: whether the statement had been sent, and why.
    pub(crate) lost: Option<(bool, Error)>,
    /// It was sent by the engine itself.
    pub(crate) is_own: bool,
    /// It stands in the figures: nothing that this crate asks by itself does.
    pub(crate) is_counted: bool,
    /// What it is answered is kept.
    pub(crate) fill: Option<Box<Fill>>,
    /// How its result is to be cached, while it is held back.
    pub(crate) cache: Option<Arc<CacheOptions>>,
    /// The key of its result, for a caller who wants to be told whether it was found.
    pub(crate) told_key: Option<CacheKey>,
}

/// A result that is fetched for the cache.
pub(crate) struct Fill {
    pub(crate) flight: u64,
    pub(crate) recording: Recording,
    /// The pool whose server it was asked of, and whether that shows every change that was told of what it reads.
    pub(crate) pool: usize,
    pub(crate) is_shown: bool,
}

impl Fill {
    pub(crate) fn new(flight: u64, longest: usize) -> Self {
        Self { flight, recording: Recording::new(longest), pool: usize::MAX, is_shown: false }
    }
}

/// The server's refusal of a request.
pub(crate) struct Failure {
    pub(crate) error: Box<wire::ServerError>,
    /// Only a statement kept on the connection had become unusable.
    pub(crate) is_stale: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the queue of its pool.
    Queued,
    /// In the queue of its session.
    InSession,
    /// Waiting for its next attempt.
    Delayed,
    /// Waiting for a result that another request fetches.
    Awaiting { flight: u64 },
    /// On a connection of its pool.
    Running { slot: usize },
}

impl Pending {
    /// A request that waits in the queue of a pool, given by the positions of its cluster and the pool, and of which
    /// nothing special is known.
    pub(crate) fn new(
        request: Request,
        text: Arc<Text>,
        verdict: Arc<Verdict>,
        (cluster, pool): (usize, usize),
        now: Instant,
    ) -> Self {
        Self {
            id: request.id.0,
            sql: request.sql,
            parameters: request.parameters,
            route: request.route,
            session: request.session,
            timeout: request.timeout,
            retry: request.retry,
            streamed: request.streamed,
            answer: Some(request.answer),
            text,
            verdict,
            pool,
            cluster,
            on_replica: false,
            reads: false,
            path: 0,
            switches_path: false,
            place: Place::Queued,
            submitted: now,
            queued: now,
            delivered: false,
            columns: None,
            failure: None,
            repeated: false,
            was_outside: false,
            rerouted: false,
            wants_position: false,
            is_due_again: false,
            succeeded: false,
            position: None,
            lost: None,
            is_own: false,
            fill: None,
            cache: None,
            told_key: None,
            is_counted: !request.id.is_own(),
        }
    }

    /// The request as it was submitted; `None` where its caller was answered.
    pub(super) fn into_request(self) -> Option<Request> {
        Some(Request {
            id: RequestId(self.id),
            sql: self.sql,
            parameters: self.parameters,
            route: self.route,
            session: self.session,
            timeout: self.timeout,
            retry: self.retry,
            streamed: self.streamed,
            cache: self.cache,
            answer: self.answer?,
        })
    }

    /// Whether it must have a connection for itself: nothing may stand before it, nor behind it.
    pub(crate) fn needs_own_connection(&self, slow_after: Duration) -> bool {
        self.streamed || self.is_unusual() || !self.text.is_faster_than(slow_after)
    }

    /// Whether it is anything but one plain statement that leaves the session as it was.
    pub(crate) fn is_unusual(&self) -> bool {
        use crate::route::StatementKind::{Delete, Explain, Insert, Merge, Select, Update};
        let verdict = &*self.verdict;
        let is_plain = matches!(verdict.kind, Select | Insert | Update | Delete | Merge | Explain);
        !is_plain || !verdict.is_single_statement() || verdict.changes_session || verdict.transaction_control
    }

    /// Whether its text is not worth keeping prepared.
    pub(crate) fn comes_rarely(&self) -> bool {
        let is_control = self.verdict.kind == crate::route::StatementKind::TransactionControl;
        self.is_own || is_control && !self.is_counted
    }

    /// Whether it goes by the simple protocol: several statements, a text the parser does not know, or one that may name
    /// parameters of which none is given, so that the server says what it says to node-postgres.
    pub(crate) fn is_simple(&self) -> bool {
        self.parameters.is_empty() && (!self.verdict.is_single_statement() || names_parameters(&self.sql))
    }

    /// Hands out the columns of the result that something is about to be handed out of.
    pub(crate) fn deliver_columns(&mut self) {
        self.delivered = true;
        let Some(columns) = self.columns.take() else { return };
        if let Some(fill) = &mut self.fill {
            fill.recording.columns(&columns);
        }
        if let Some(answer) = &mut self.answer {
            answer.columns(&columns);
        }
    }

    /// Whether running it a second time does no harm, and its caller would not notice.
    pub(crate) fn may_repeat(&self) -> bool {
        self.reads && !self.verdict.changes_session && !self.delivered && self.session.is_none()
    }
}
/// Whether a dollar sign stands before a digit, be it within a text.
fn names_parameters(sql: &str) -> bool {
    sql.as_bytes().windows(2).any(|pair| pair[0] == b'$' && pair[1].is_ascii_digit())
}
