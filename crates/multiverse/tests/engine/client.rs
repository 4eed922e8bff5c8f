//! A caller of the engine for tests: submits requests and waits for their results.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use multiverse::route::RouteOptions;
use multiverse::{
    Answer, BindParameters, CacheOptions, ClusterConfig, Clusters, Completed, Engine, EngineSettings, Error,
    Flow, Metrics, PoolConfig, Release, Request, RequestId, Retry, ServerHealth, Session, SessionId,
};
use serde_json::json;
use wire::{Column, Format, RowBatch};

use crate::cluster;

/// How long a test waits for anything before it fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// One result of a request: its columns, its rows as text, its command tag.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TestResult {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Option<String>>>,
    pub(crate) tag: String,
}

/// What a request gave.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) results: Vec<TestResult>,
    pub(crate) completed: Completed,
}

impl Outcome {
    /// The first value of the first row of the first result.
    pub(crate) fn value(&self) -> String {
        let row = self.results.first().and_then(|result| result.rows.first());
        row.and_then(|row| row.first().cloned().flatten()).expect("there is a value")
    }
}

struct Collector {
    results: Vec<TestResult>,
    current: TestResult,
    /// Says Pause after each batch of rows.
    pauses: bool,
    batches: Sender<usize>,
    end: Sender<Result<Outcome, Error>>,
}

impl Answer for Collector {
    fn columns(&mut self, columns: &Arc<[Column]>) {
        self.current.columns = columns.to_vec();
    }

    fn rows(&mut self, rows: RowBatch) -> Flow {
        for row in rows.iter() {
            let cells = row.iter().zip(&self.current.columns);
            self.current.rows.push(cells.map(|(cell, column)| cell.map(|cell| text(cell, column))).collect());
        }
        let _ = self.batches.send(rows.len());
        if self.pauses { Flow::Pause } else { Flow::Continue }
    }

    fn result(&mut self, tag: &str) {
        self.current.tag = tag.to_owned();
        self.results.push(std::mem::take(&mut self.current));
    }

    fn end(self: Box<Self>, outcome: Result<Completed, Error>) {
        let Self { results, end, .. } = *self;
        let _ = end.send(outcome.map(|completed| Outcome { results, completed }));
    }
}

fn text(cell: &[u8], column: &Column) -> String {
    match (column.format, column.type_oid) {
        (Format::Text, _) => String::from_utf8_lossy(cell).into_owned(),
        (Format::Binary, 16) => (cell == [1]).to_string(),
        (Format::Binary, 21) => i16::from_be_bytes(cell.try_into().expect("two bytes")).to_string(),
        (Format::Binary, 23 | 26) => i32::from_be_bytes(cell.try_into().expect("four bytes")).to_string(),
        (Format::Binary, 701) => f64::from_be_bytes(cell.try_into().expect("eight bytes")).to_string(),
        _ => format!("{cell:02x?}"),
    }
}

/// A request that was submitted.
pub(crate) struct Submitted {
    pub(crate) id: RequestId,
    end: Receiver<Result<Outcome, Error>>,
    pub(crate) batches: Receiver<usize>,
}

impl Submitted {
    pub(crate) fn wait(self) -> Result<Outcome, Error> {
        self.end.recv_timeout(LIMIT).expect("the request ends")
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.end.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty))
    }
}

/// A statement with all that can be asked of it.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) sql: String,
    pub(crate) values: Vec<Option<String>>,
    pub(crate) route: RouteOptions,
    pub(crate) session: Option<SessionId>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry: Retry,
    pub(crate) pauses: bool,
    pub(crate) cache: Option<Arc<CacheOptions>>,
}

impl Call {
    pub(crate) fn new(sql: &str) -> Self {
        Self {
            sql: sql.to_owned(),
            values: Vec::new(),
            route: RouteOptions::default(),
            session: None,
            timeout: None,
            retry: Retry::default(),
            pauses: false,
            cache: None,
        }
    }

    /// The result may come from the cache, and is kept there under these tags.
    pub(crate) fn cached(mut self, tags: &[&str]) -> Self {
        let tags = tags.iter().map(|tag| Arc::from(*tag)).collect();
        self.cache = Some(Arc::new(CacheOptions { wanted: Some(true), tags, ..CacheOptions::default() }));
        self
    }

    pub(crate) fn with(mut self, values: &[&str]) -> Self {
        self.values = values.iter().map(|value| Some((*value).to_owned())).collect();
        self
    }

    pub(crate) fn in_session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    pub(crate) fn in_schema(mut self, schema: &str) -> Self {
        self.route.schema = Some(schema.into());
        self
    }

    pub(crate) fn within(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    pub(crate) fn retried(mut self, attempts: u32) -> Self {
        self.retry = Retry { attempts, delay: Duration::from_millis(20) };
        self
    }
}

pub(crate) struct Client {
    pub(crate) engine: Engine,
    next: AtomicU64,
    pub(crate) turns: Arc<AtomicU64>,
}

impl Client {
    pub(crate) fn start(clusters: Clusters, settings: EngineSettings) -> Self {
        let turns = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&turns);
        let on_turn_end = Box::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let engine = Engine::start(clusters, settings, on_turn_end).expect("the engine starts");
        Self { engine, next: AtomicU64::new(1), turns }
    }

    /// A client of the test program's own server, with up to `max` connections.
    pub(crate) fn with_pool(max: usize) -> Self {
        Self::with(|pool| pool.max = max)
    }

    /// A client of the test program's own server.
    pub(crate) fn with(change: impl FnOnce(&mut PoolConfig)) -> Self {
        Self::start(one_cluster(cluster().port(), "postgres", change), EngineSettings::default())
    }

    fn request(&self, call: Call) -> (Request, Submitted) {
        let id = RequestId(self.next.fetch_add(1, Ordering::Relaxed));
        let (end_sender, end) = channel();
        let (batch_sender, batches) = channel();
        let values: Vec<Option<&str>> = call.values.iter().map(Option::as_deref).collect();
        let request = Request {
            id,
            sql: call.sql.into(),
            parameters: BindParameters::from_texts(&values),
            route: call.route,
            session: call.session,
            timeout: call.timeout,
            retry: call.retry,
            streamed: call.pauses,
            cache: call.cache,
            answer: Box::new(Collector {
                results: Vec::new(),
                current: TestResult::default(),
                pauses: call.pauses,
                batches: batch_sender,
                end: end_sender,
            }),
        };
        (request, Submitted { id, end, batches })
    }

    pub(crate) fn submit(&self, call: Call) -> Submitted {
        let (request, submitted) = self.request(call);
        self.engine.submit(vec![request]);
        submitted
    }

    /// Submits many together, as one tick of JavaScript would.
    pub(crate) fn submit_all(&self, calls: impl IntoIterator<Item = Call>) -> Vec<Submitted> {
        let (requests, submitted) = calls.into_iter().map(|call| self.request(call)).unzip();
        self.engine.submit(requests);
        submitted
    }

    pub(crate) fn run(&self, call: Call) -> Result<Outcome, Error> {
        self.submit(call).wait()
    }

    pub(crate) fn query(&self, sql: &str) -> Result<Outcome, Error> {
        self.run(Call::new(sql))
    }

    /// The only value of a query that succeeds.
    pub(crate) fn value(&self, sql: &str) -> String {
        self.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).value()
    }

    pub(crate) fn session(&self) -> Result<Session, Error> {
        self.session_at(RouteOptions::default())
    }

    pub(crate) fn session_on(&self, cluster: &str) -> Result<Session, Error> {
        self.session_at(RouteOptions { cluster_id: Some(cluster.into()), ..RouteOptions::default() })
    }

    fn session_at(&self, route: RouteOptions) -> Result<Session, Error> {
        let (sender, receiver) = channel();
        let sender = Mutex::new(sender);
        self.engine.open_session(
            route,
            Box::new(move |session| {
                let _ = sender.lock().expect("nobody panics").send(session);
            }),
        );
        receiver.recv_timeout(LIMIT).expect("the session is answered")
    }

    /// Asks every server for a sign of life and its role.
    pub(crate) fn health(&self) -> Vec<ServerHealth> {
        let (sender, receiver) = channel();
        self.engine.health(Box::new(move |found| sender.send(found).expect("the test waits")));
        receiver.recv_timeout(LIMIT).expect("the servers are asked")
    }

    /// Asks for a failover.
    pub(crate) fn fail_over(
        &self,
        cluster: &str,
        replica: usize,
        promote: bool,
    ) -> Receiver<Result<(), Error>> {
        let (sender, receiver) = channel();
        let reply = Box::new(move |result| {
            // The test may have ended.
            let _ = sender.send(result);
        });
        self.engine.fail_over(cluster, replica, promote, reply);
        receiver
    }

    pub(crate) fn reload(&self, clusters: Clusters) {
        let (sender, receiver) = channel();
        self.engine
            .reload(clusters, Box::new(move || sender.send(()).expect("the test waits")))
            .expect("it is valid");
        receiver.recv_timeout(LIMIT).expect("the configuration is in force");
    }

    pub(crate) fn release(&self, session: &Session) {
        self.engine.release_session(session.id, Release::Reuse);
    }

    pub(crate) fn metrics(&self) -> Metrics {
        self.engine.metrics()
    }

    /// The figures of the first server.
    pub(crate) fn server(&self) -> multiverse::ServerMetrics {
        self.metrics()
            .clusters
            .first()
            .and_then(|cluster| cluster.servers.first().cloned())
            .expect("there is a server")
    }

    /// Has the engine read the database's catalogue, so that it has nothing of its own to do for a while.
    pub(crate) fn warm_up(self) -> Self {
        self.value("SELECT 'warm'");
        wait_for("the catalogue to be read", || self.metrics().clusters[0].knows_catalogue);
        self.wait_until_idle();
        self
    }

    /// Waits until so many requests are under way and all other connections are free.
    pub(crate) fn wait_until_running(&self, count: usize) {
        wait_for("the rest to be free", || {
            let server = self.server();
            server.running == count && server.active == count && server.connecting == 0
        });
    }

    /// Waits until nothing is under way any more.
    pub(crate) fn wait_until_idle(&self) {
        wait_for("all connections to be free", || {
            let server = self.server();
            server.active == 0 && server.connecting == 0 && server.waiting == 0 && server.running == 0
        });
    }
}

/// One cluster called `main` with the server at `port` of this machine as its primary.
pub(crate) fn one_cluster(port: u16, user: &str, change: impl FnOnce(&mut PoolConfig)) -> Clusters {
    let server = json!({"host": "127.0.0.1", "port": port, "database": "postgres", "user": user, "password": crate::PASSWORD});
    let mut clusters =
        ClusterConfig::read_all(&json!({"main": {"primary": server}})).expect("the configuration is valid");
    let cluster = clusters.get_mut("main").expect("the cluster is there");
    cluster.pool = PoolConfig { min: 0, max: 4, ..PoolConfig::default() };
    change(&mut cluster.pool);
    clusters
}

/// Looks again and again until something is so.
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a session of the test program's own server is as the condition on `pg_stat_activity` says.
pub(crate) fn wait_for_activity(condition: &str) {
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE {condition}");
    wait_for(condition, || cluster().ask(&sql) != "0");
}
