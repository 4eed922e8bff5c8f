//! A pinned connection in the hands of this crate: statements whose answers are awaited.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use wire::{Column, RowBatch};

use crate::answer::{Answer, Completed, Flow};
use crate::engine::{DatabaseId, Engine, Haste, Release, Session};
use crate::error::Error;
use crate::request::{BindParameters, Request, RequestId, Retry, SessionId};
use crate::route::{Operation, ReplayPosition, RouteOptions};

/// The rows of a result, all values as text. Statements cast what is no text.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

/// What a statement gave; of several, the last that has rows gave them.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) rows: Rows,
    /// The command tag of the last statement.
    pub(crate) command_tag: String,
    /// The position of the log behind it, where the cluster is read with the consistency of sessions.
    pub(crate) written: Option<ReplayPosition>,
}

/// A connection that is closed when this is dropped, with all that was set or locked on it.
pub(crate) struct PinnedClient {
    engine: Arc<Engine>,
    session: Session,
    release: Release,
}

impl PinnedClient {
    /// Waits for a connection.
    async fn open(engine: &Arc<Engine>, route: RouteOptions, haste: Haste) -> Result<Self, Error> {
        let (reply, opened) = oneshot::channel();
        let reply = Box::new(move |session| drop(reply.send(session)));
        let id = engine.open_session_with(route, haste, reply);
        let mut waiting = Waiting { engine, id: Some(id) };
        let session = opened.await.unwrap_or(Err(Error::Closed))?;
        waiting.id = None;
        Ok(Self { engine: Arc::clone(engine), session, release: Release::Close })
    }

    /// Waits for a connection to the primary of a cluster. Names are looked up in `schema` first.
    pub(crate) async fn open_primary(
        engine: &Arc<Engine>,
        cluster: &Arc<str>,
        schema: Option<Arc<str>>,
    ) -> Result<Self, Error> {
        Self::open(engine, primary_of(cluster, schema), Haste::Caller).await
    }

    /// As [`Self::open_primary`], for what nobody waits for. It is given up after a time.
    pub(crate) async fn open_in_background(
        engine: &Arc<Engine>,
        cluster: &Arc<str>,
        limit: Duration,
    ) -> Result<Self, Error> {
        let opened = Self::open(engine, primary_of(cluster, None), Haste::Background);
        tokio::time::timeout(limit, opened).await.unwrap_or(Err(Error::Timeout { limit }))
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn cluster(&self) -> &Arc<str> {
        &self.session.cluster
    }

    /// The database it is connected to, if that was noted of this connection.
    pub(crate) fn known_database(&self) -> Option<DatabaseId> {
        self.engine.known_database(self.session.id)
    }

    /// Notes the database, which is the same for as long as the connection lasts.
    pub(crate) fn note_database(&self, database: DatabaseId) {
        self.engine.note_database(self.session.id, database);
    }

    /// Runs a statement, or without values several.
    pub(crate) async fn run(&self, sql: &str, values: &[Option<&str>]) -> Result<Reply, Error> {
        self.run_within(None, sql, values).await
    }

    /// As [`Self::run`]; after the time allowed, if there is one, the statement is cancelled.
    pub(crate) async fn run_within(
        &self,
        limit: Option<Duration>,
        sql: &str,
        values: &[Option<&str>],
    ) -> Result<Reply, Error> {
        let (request, ended) = self.request(limit, sql, values);
        self.engine.submit(vec![request]);
        ended.await.unwrap_or(Err(Error::Closed))
    }

    /// Runs statements without values one after the other, which are handed over together; gives the reply to the last one, or the
    /// first error. Each has the time allowed.
    pub(crate) async fn run_in_turn(&self, limit: Duration, statements: &[&str]) -> Result<Reply, Error> {
        let requests = statements.iter().map(|sql| self.request(Some(limit), sql, &[]));
        let (requests, endings): (Vec<_>, Vec<_>) = requests.unzip();
        self.engine.submit(requests);
        let mut outcome = Ok(Reply::default());
        for ended in endings {
            let reply = ended.await.unwrap_or(Err(Error::Closed));
            if outcome.is_ok() {
                outcome = reply;
            }
        }
        outcome
    }

    fn request(
        &self,
        limit: Option<Duration>,
        sql: &str,
        values: &[Option<&str>],
    ) -> (Request, oneshot::Receiver<Result<Reply, Error>>) {
        let (end, ended) = oneshot::channel();
        let request = Request {
            id: RequestId::next_own(),
            sql: Arc::from(sql),
            parameters: BindParameters::from_texts(values),
            route: RouteOptions::default(),
            session: Some(self.session.id),
            timeout: limit,
            retry: Retry::default(),
            streamed: false,
            cache: None,
            answer: Box::new(Collector { reply: Reply::default(), end }),
        };
        (request, ended)
    }

    /// Gives the connection back to its pool, once what it was asked has ended.
    pub(crate) fn give_back(mut self) {
        self.release = Release::Reuse;
    }
}

impl Drop for PinnedClient {
    fn drop(&mut self) {
        self.engine.release_session(self.session.id, self.release);
    }
}

/// The way to the primary of a cluster.
fn primary_of(cluster: &Arc<str>, schema: Option<Arc<str>>) -> RouteOptions {
    RouteOptions {
        cluster_id: Some(Arc::clone(cluster)),
        schema,
        operation: Some(Operation::Write),
        ..RouteOptions::default()
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

struct Collector {
    reply: Reply,
    end: oneshot::Sender<Result<Reply, Error>>,
}

impl Answer for Collector {
    fn columns(&mut self, _: &Arc<[Column]>) {
        // Of several statements, the rows of the last count.
        self.reply.rows.clear();
    }

    fn rows(&mut self, rows: RowBatch) -> Flow {
        let text = |cell: Option<&[u8]>| cell.map(|cell| String::from_utf8_lossy(cell).into_owned());
        self.reply.rows.extend(rows.iter().map(|row| row.iter().map(text).collect()));
        Flow::Continue
    }

    fn result(&mut self, command_tag: &str) {
        command_tag.clone_into(&mut self.reply.command_tag);
    }

    fn end(self: Box<Self>, outcome: Result<Completed, Error>) {
        let Self { reply, end } = *self;
        // Nobody waits any more if what it was for was given up.
        let _ = end.send(outcome.map(|completed| Reply { written: completed.written, ..reply }));
    }
}
