//! One connection of a pool: its pipeline, what stands in it, and what has been done to its session.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use wire::{Pipeline, TransactionStatus};

use crate::engine::{ConnectionWaker, DatabaseId, Token};
use crate::request::SessionId;
use crate::route::{StatementKind, Verdict};
use crate::session::UNKNOWN;

pub(crate) struct PooledConnection {
    pub(crate) token: Token,
    pub(crate) pipeline: Pipeline,
    pub(crate) opened: Instant,
    /// When something last came from the server.
    pub(crate) heard: Instant,
    /// What the requests in the pipeline are, oldest first.
    pub(crate) in_flight: VecDeque<InFlight>,
    /// Since when the server has been at the oldest of them; since when it has been idle where there is none.
    pub(crate) since: Instant,
    /// When it is to be replaced.
    pub(crate) expires: Option<Instant>,
    /// The pool was emptied after it was opened: it is closed when it is free.
    pub(crate) is_outdated: bool,
    pub(crate) session: Option<SessionId>,
    /// The database it is connected to, once that was asked for.
    pub(crate) database: Option<DatabaseId>,
    /// The search path of its session, a number of `Paths`.
    pub(crate) path: u32,
    /// The path was set within the transaction that is open, and is lost when that is rolled back.
    pub(crate) has_path_of_transaction: bool,
    pub(crate) change: SessionChange,
    /// Its user may have set another search path than the one that is known.
    pub(crate) has_foreign_path: bool,
    pub(crate) cancel: CancelState,
    /// When the oldest request in the pipeline was first cancelled.
    pub(crate) cancelled_since: Option<Instant>,
    /// A statement that changed definitions in the transaction that is open.
    pub(crate) definitions: Option<Arc<Verdict>>,
    /// How often definitions had changed when its statements were last known to mean what they did.
    known_changes: u64,
    /// What stands in the pipeline must stand alone.
    pub(crate) is_exclusive: bool,
    /// Its rows are not taken for now, so nothing is read.
    pub(crate) is_paused: bool,
    /// It is in the list of free connections of its pool.
    pub(crate) is_idle: bool,
    /// It is in the list of connections that have something to send.
    pub(crate) is_touched: bool,
    pub(crate) readiness: Arc<ConnectionWaker>,
    pub(crate) waker: Waker,
}

pub(crate) struct InFlight {
    pub(crate) work: Work,
    /// It stood behind a statement while that was being cancelled, and may have been hit in its place.
    pub(crate) exposed: bool,
}

/// What a request in a pipeline is. Requests of callers are named by their key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Request(usize),
    /// The position of the log, asked for after the request.
    Position(usize),
    /// A step towards the search path of the request, which is sent after the last step.
    Path {
        request: usize,
        path: u32,
        is_last: bool,
    },
    /// The transaction of the request is begun again before it.
    Beginning {
        request: usize,
    },
    /// A step towards a session as it was at first.
    Reset {
        is_last: bool,
    },
}

impl Work {
    /// The request it is, or is for.
    pub(crate) fn request(self) -> Option<usize> {
        match self {
            Self::Request(request)
            | Self::Position(request)
            | Self::Path { request, .. }
            | Self::Beginning { request } => Some(request),
            Self::Reset { .. } => None,
        }
    }
}

/// What of a session has changed that the next user of the connection must not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum SessionChange {
    #[default]
    None,
    /// A transaction may have been left open.
    Transaction,
    /// Settings, LISTEN, temporary tables, cursors, advisory locks.
    Settings,
    /// Also prepared statements.
    All,
}

/// How far the cancelling of the oldest request in a pipeline is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum CancelState {
    #[default]
    None,
    /// The server is being asked. Nothing may be sent meanwhile, as it could be what is hit.
    Delivering,
}

impl PooledConnection {
    pub(crate) fn new(
        token: Token,
        pipeline: Pipeline,
        readiness: Arc<ConnectionWaker>,
        now: Instant,
    ) -> Self {
        Self {
            token,
            pipeline,
            opened: now,
            heard: now,
            in_flight: VecDeque::new(),
            since: now,
            expires: None,
            is_outdated: false,
            session: None,
            path: 0,
            has_path_of_transaction: false,
            change: SessionChange::None,
            has_foreign_path: false,
            database: None,
            cancel: CancelState::None,
            cancelled_since: None,
            definitions: None,
            known_changes: 0,
            is_exclusive: false,
            is_paused: false,
            is_idle: false,
            is_touched: false,
            waker: Waker::from(Arc::clone(&readiness)),
            readiness,
        }
    }

    /// Whether nothing stands in its pipeline and nothing is being cancelled.
    pub(crate) fn is_free(&self) -> bool {
        self.in_flight.is_empty() && self.cancel == CancelState::None
    }

    /// Whether a fast request with this search path may be sent behind those in the pipeline.
    pub(crate) fn takes_another(&self, path: u32, depth: usize, slow_after: Duration, now: Instant) -> bool {
        let takes = !self.is_exclusive
            && !self.is_paused
            && self.session.is_none()
            && self.cancel == CancelState::None
            && self.change == SessionChange::None
            && self.path == path
            && self.in_flight.len() < depth;
        takes && now.saturating_duration_since(self.since) < slow_after
    }

    /// Whether it is to be closed when it is free.
    pub(crate) fn is_worn_out(&self, now: Instant) -> bool {
        self.is_outdated || self.expires.is_some_and(|expires| expires <= now)
    }

    pub(crate) fn push(&mut self, work: Work, now: Instant) {
        if self.in_flight.is_empty() {
            self.since = now;
        }
        self.in_flight.push_back(InFlight { work, exposed: false });
    }

    /// The place of a request in the pipeline, 0 for the oldest.
    pub(crate) fn position(&self, request: usize) -> Option<usize> {
        self.in_flight.iter().position(|entry| entry.work.request() == Some(request))
    }

    /// Has statements parsed anew that were kept before definitions changed for the `changes`th time.
    pub(crate) fn outdate_statements(&mut self, changes: u64) {
        if std::mem::replace(&mut self.known_changes, changes) != changes {
            self.pipeline.outdate_statements();
        }
    }

    pub(crate) fn note(&mut self, change: SessionChange) {
        self.change = self.change.max(change);
    }

    /// Notes what a command tag or the state of the transaction says of the session.
    pub(crate) fn note_status(&mut self, status: TransactionStatus) {
        if status == TransactionStatus::Idle {
            self.has_path_of_transaction = false;
        } else {
            self.note(SessionChange::Transaction);
        }
    }

    /// Notes that a transaction, or a part of it, was rolled back.
    pub(crate) fn note_rollback(&mut self) {
        if std::mem::take(&mut self.has_path_of_transaction) {
            self.path = UNKNOWN;
        }
    }

    pub(crate) fn receive(&mut self) -> Poll<wire::Result<()>> {
        self.pipeline.poll_receive(&mut Context::from_waker(&self.waker))
    }

    pub(crate) fn flush(&mut self) {
        // What the socket does not take now goes out when its waker is called.
        let _ = self.pipeline.poll_flush(&mut Context::from_waker(&self.waker));
    }

    /// Has the engine look after the connection in its next turn.
    pub(crate) fn wake(&self) {
        self.waker.wake_by_ref();
    }
}

/// Whether a statement that changes the session may set the search path: it says so, or it is code that may do anything.
pub(crate) fn may_set_path(sql: &str, kind: StatementKind) -> bool {
    let says = |word: &str| {
        sql.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    matches!(kind, StatementKind::Code | StatementKind::Unknown) || says("search_path") || says("schema")
}

/// What a command tag says of the session it was run in.
pub(crate) fn change_of(command_tag: &str) -> SessionChange {
    match command_tag {
        // Code of the application that may contain anything.
        "DO" | "CALL" | "SET" | "LISTEN" | "LOAD" | "DECLARE CURSOR" => SessionChange::Settings,
        "PREPARE" | "DEALLOCATE" | "DEALLOCATE ALL" | "DISCARD ALL" | "DISCARD PLANS" => SessionChange::All,
        _ => SessionChange::None,
    }
}
