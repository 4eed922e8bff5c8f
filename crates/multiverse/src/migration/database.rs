//! A pinned connection to the primary of a cluster, and statements on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::oneshot;
use wire::{Column, RowBatch};

use super::error::Error;
use crate::answer::{Answer, Completed, Flow};
use crate::engine::{Engine, Release, Session};
use crate::request::{BindParameters, Request, RequestId, Retry, SessionId};
use crate::route::{Operation, RouteOptions};

/// The rows of a result, all values as text. Statements cast what is no text.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

/// JavaScript's requests never have this bit, so that numbers never meet.
const OWN: u64 = 1 << 31;
static REQUESTS: AtomicU32 = AtomicU32::new(1);

/// A connection that is closed when this is dropped, with all that was set or locked on it.
pub(crate) struct Database {
    engine: Arc<Engine>,
    session: Session,
}

impl Database {
    /// Waits for a connection.
    pub(crate) async fn open(engine: &Arc<Engine>, cluster: &str) -> Result<Self, Error> {
        let route = RouteOptions {
            cluster_id: Some(Arc::from(cluster)),
            operation: Some(Operation::Write),
            ..RouteOptions::default()
        };
        let (reply, opened) = oneshot::channel();
        let id = engine.open_session(route, Box::new(move |session| drop(reply.send(session))));
        let mut waiting = Waiting { engine, id: Some(id) };
        let session = opened.await.unwrap_or(Err(crate::Error::Closed));
        let session = session.map_err(|source| failed(&format!("cluster {cluster}"), source))?;
        waiting.id = None;
        Ok(Self { engine: Arc::clone(engine), session })
    }

    pub(crate) fn cluster(&self) -> &Arc<str> {
        &self.session.cluster
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Runs a statement, or without values several.
    pub(crate) async fn run(&self, sql: &str, values: &[Option<&str>]) -> Result<Rows, crate::Error> {
        let (end, ended) = oneshot::channel();
        let number = u64::from(REQUESTS.fetch_add(1, Ordering::Relaxed));
        self.engine.submit(vec![Request {
            id: RequestId(number << 32 | OWN),
            sql: Arc::from(sql),
            parameters: BindParameters::from_texts(values),
            route: RouteOptions::default(),
            session: Some(self.session.id),
            timeout: None,
            retry: Retry::default(),
            streamed: false,
            cache: None,
            answer: Box::new(Collector { rows: Vec::new(), end }),
        }]);
        ended.await.unwrap_or(Err(crate::Error::Closed))
    }

    /// As [`Self::run`]; the error says what was being done.
    pub(crate) async fn query(&self, what: &str, sql: &str, values: &[Option<&str>]) -> Result<Rows, Error> {
        let context = || format!("{what} on cluster {}", self.session.cluster);
        self.run(sql, values).await.map_err(|source| failed(&context(), source))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.engine.release_session(self.session.id, Release::Close);
    }
}

/// A session that is waited for; given up if nobody waits any more.
struct Waiting<'a> {
    engine: &'a Engine,
    id: Option<SessionId>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.engine.release_session(id, Release::Close);
        }
    }
}

pub(crate) fn failed(context: &str, source: crate::Error) -> Error {
    Error::Database { context: context.to_owned(), source }
}

/// The value at a place of a row, empty for NULL.
pub(crate) fn text(row: &[Option<String>], at: usize) -> &str {
    row.get(at).and_then(Option::as_deref).unwrap_or_default()
}

/// The first value of all.
pub(crate) fn first(rows: &Rows) -> Option<&str> {
    rows.first()?.first()?.as_deref()
}

/// A name in quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

struct Collector {
    rows: Rows,
    end: oneshot::Sender<Result<Rows, crate::Error>>,
}

impl Answer for Collector {
    fn columns(&mut self, _: &Arc<[Column]>) {
        // Of several statements, the rows of the last count.
        self.rows.clear();
    }

    fn rows(&mut self, rows: RowBatch) -> Flow {
        let text = |cell: Option<&[u8]>| cell.map(|cell| String::from_utf8_lossy(cell).into_owned());
        self.rows.extend(rows.iter().map(|row| row.iter().map(text).collect()));
        Flow::Continue
    }

    fn result(&mut self, _: &str) {}

    fn end(self: Box<Self>, outcome: Result<Completed, crate::Error>) {
        let Self { rows, end } = *self;
        // Nobody waits any more if the migration was given up.
        let _ = end.send(outcome.map(|_| rows));
    }
}
