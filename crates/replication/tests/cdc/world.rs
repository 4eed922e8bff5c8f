//! Two databases of a test's own and a manager with a rule between them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use data::{Dialect, json_from_value};
use replication::{CdcEvent, CdcObserver, Manager, Repair, ReplicaConfig, Rule, SyncStats};
use serde_json::{Value as Json, json};

#[path = "../../../wire/tests/support/mod.rs"]
#[allow(dead_code, reason = "the module serves other tests as well")]
mod support;

#[path = "../../../data/tests/mongodb/support.rs"]
#[allow(dead_code, reason = "the module serves other tests as well")]
mod mongodb_support;

#[path = "../../../data/tests/sql_dialects/mariadb_server.rs"]
#[allow(dead_code, reason = "the module serves other tests as well")]
mod mariadb_server;

use mariadb_server::MariadbServer;
pub(crate) use mongodb_support::Server;
pub(crate) use support::Cluster;

/// What a test waits for comes well within this time, or never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const SETTINGS: &str = "
wal_level = logical
max_wal_senders = 100
max_replication_slots = 200
max_connections = 300
shared_buffers = 32MB
autovacuum = off
";

const HBA: &str = "local all all trust\nlocal replication all trust\nhost all all 127.0.0.1/32 trust\n\
                   host replication all 127.0.0.1/32 trust\n";

/// The cluster is stopped by its watchdog when the test process ends, as statics are never dropped.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(SETTINGS, HBA, |_| {}))
}

/// A cluster of one test's own with further settings.
pub(crate) fn own_cluster(settings: &str) -> Cluster {
    Cluster::start(&format!("{SETTINGS}{settings}"), HBA, |_| {})
}

fn number() -> u32 {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// One end of a rule.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) dialect: &'static str,
    pub(crate) uri: String,
    _folder: Option<Arc<tempfile::TempDir>>,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let uri = folder.path().join("test.db").display().to_string();
        Self { dialect: "sqlite", uri, _folder: Some(Arc::new(folder)) }
    }

    pub(crate) fn memory() -> Self {
        Self { dialect: "sqlite", uri: ":memory:".to_owned(), _folder: None }
    }

    pub(crate) fn postgres() -> Self {
        Self::postgres_on(cluster())
    }

    pub(crate) fn postgres_on(cluster: &Cluster) -> Self {
        let name = format!("cdc_{}", number());
        cluster.psql(&format!("CREATE DATABASE {name} TEMPLATE template0"));
        let uri = format!("postgres://postgres@127.0.0.1:{}/{name}", cluster.port());
        Self { dialect: "postgres", uri, _folder: None }
    }

    pub(crate) fn mongodb() -> Self {
        let uri = Server::replica_set().uri(&format!("cdc_{}", number()), "serverSelectionTimeoutMS=5000");
        Self { dialect: "mongodb", uri, _folder: None }
    }

    pub(crate) fn mariadb() -> Self {
        static SERVER: OnceLock<MariadbServer> = OnceLock::new();
        Self::mariadb_on(SERVER.get_or_init(MariadbServer::start))
    }

    fn mariadb_on(server: &MariadbServer) -> Self {
        let name = format!("cdc_{}", number());
        server.sql(&format!("CREATE DATABASE {name}"));
        let uri = format!("mariadb://root@127.0.0.1:{}/{name}", server.port());
        Self { dialect: "mariadb", uri, _folder: None }
    }

    /// A database of a server that logs the changes of rows.
    pub(crate) fn logging_mariadb() -> Self {
        static SERVER: OnceLock<MariadbServer> = OnceLock::new();
        Self::mariadb_on(SERVER.get_or_init(MariadbServer::start_logging))
    }

    /// As [`logging_mariadb`](Self::logging_mariadb), of a server of one test's own.
    pub(crate) fn own_logging_mariadb() -> (Self, MariadbServer) {
        let server = MariadbServer::start_logging();
        (Self::mariadb_on(&server), server)
    }

    pub(crate) fn standalone_mongodb() -> Self {
        let uri = Server::standalone().uri(&format!("cdc_{}", number()), "serverSelectionTimeoutMS=5000");
        Self { dialect: "mongodb", uri, _folder: None }
    }

    /// The name of the database on its server.
    pub(crate) fn database(&self) -> &str {
        self.uri.rsplit('/').next().unwrap().split('?').next().unwrap()
    }

    /// Cuts every connection to a database of the cluster of all tests.
    pub(crate) fn cut_connections(&self) {
        let database = self.database();
        cluster().psql(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        ));
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.dialect == "postgres"
    }

    pub(crate) fn config(&self, strategy: &str) -> ReplicaConfig {
        ReplicaConfig::from_json(json!({
            "name": "m", "role": "master", "dialect": self.dialect, "uri": self.uri, "schemaStrategy": strategy,
        }))
        .unwrap()
    }
}

/// Where a rule reads and where it writes.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) source: Place,
    pub(crate) target: Place,
}

impl Pair {
    pub(crate) fn sqlite_to_sqlite() -> Self {
        Self { source: Place::sqlite(), target: Place::sqlite() }
    }

    pub(crate) fn memory_to_memory() -> Self {
        Self { source: Place::memory(), target: Place::memory() }
    }

    pub(crate) fn postgres_to_sqlite() -> Self {
        Self { source: Place::postgres(), target: Place::sqlite() }
    }

    pub(crate) fn postgres_to_mariadb() -> Self {
        Self { source: Place::postgres(), target: Place::mariadb() }
    }

    pub(crate) fn postgres_to_postgres() -> Self {
        Self { source: Place::postgres(), target: Place::postgres() }
    }

    pub(crate) fn mariadb_to_sqlite() -> Self {
        Self { source: Place::logging_mariadb(), target: Place::sqlite() }
    }

    pub(crate) fn mariadb_to_postgres() -> Self {
        Self { source: Place::logging_mariadb(), target: Place::postgres() }
    }

    pub(crate) fn mariadb_to_mariadb() -> Self {
        Self { source: Place::logging_mariadb(), target: Place::logging_mariadb() }
    }

    /// By triggers, as the server of the source does not log.
    pub(crate) fn mariadb_triggers_to_sqlite() -> Self {
        Self { source: Place::mariadb(), target: Place::sqlite() }
    }
}

/// A manager with the rule `r` from the project `source` to the project `target`.
pub(crate) struct World {
    pub(crate) manager: Arc<Manager>,
    pub(crate) source: Arc<dyn Dialect>,
    pub(crate) target: Arc<dyn Dialect>,
}

impl World {
    /// A manager with a rule for everything, after these statements were run at the source.
    pub(crate) async fn new(pair: &Pair, statements: &[&str]) -> Self {
        Self::with(pair, statements, json!({})).await
    }

    /// As [`new`](Self::new), with further fields of the rule.
    pub(crate) async fn with(pair: &Pair, statements: &[&str], fields: Json) -> Self {
        Self::with_strategy(pair, statements, fields, "update").await
    }

    pub(crate) async fn with_strategy(
        pair: &Pair,
        statements: &[&str],
        fields: Json,
        strategy: &str,
    ) -> Self {
        let manager = Arc::new(Manager::new());
        let source = manager.add_replica("source", pair.source.config("none"), Vec::new()).await.unwrap();
        let target = manager.add_replica("target", pair.target.config(strategy), Vec::new()).await.unwrap();
        run(source.as_ref(), statements).await;
        let mut rule = json!({
            "name": "r", "source": "source", "target": "target", "mode": "cdc", "collections": ["*"],
        });
        for (name, value) in fields.as_object().unwrap() {
            rule[name] = value.clone();
        }
        manager.add_rule(Rule::from_json(rule).unwrap()).unwrap();
        Self { manager, source, target }
    }

    /// The databases of a pair, seen by somebody else.
    pub(crate) async fn reopened(pair: &Pair) -> Self {
        Self::new(pair, &[]).await
    }

    /// Runs statements at the source.
    pub(crate) async fn run(&self, statements: &[&str]) {
        run(self.source.as_ref(), statements).await;
    }

    /// Catches up.
    pub(crate) async fn sync(&self) -> SyncStats {
        self.manager.sync("r", None).await.unwrap()
    }

    /// Catches up, and gives (created, updated, deleted, skipped, errors) over all collections.
    pub(crate) async fn counts(&self) -> (u64, u64, u64, u64, u64) {
        totals(&self.sync().await)
    }

    /// The rows of a query at the target, as JSON.
    pub(crate) async fn at_target(&self, query: &str) -> Json {
        rows(self.target.as_ref(), query).await
    }

    /// Fails unless both ends hold the same rows.
    pub(crate) async fn assert_verified(&self) {
        let verdict = self.manager.verify("r", Repair::None).await.unwrap();
        assert!(verdict.equal, "{verdict:?}");
    }

    /// Fails unless a query gives the same at both ends.
    pub(crate) async fn assert_same(&self, query: &str) {
        assert_eq!(
            rows(self.target.as_ref(), query).await,
            rows(self.source.as_ref(), query).await,
            "{query}"
        );
    }

    /// Waits until a query gives the same at both ends.
    pub(crate) async fn until_same(&self, query: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // A connection may have been cut by the test.
            let (source, target) =
                (try_rows(self.source.as_ref(), query).await, try_rows(self.target.as_ref(), query).await);
            if source.is_ok() && source == target {
                return;
            }
            assert!(Instant::now() < deadline, "{query}: {source:?} at the source, {target:?} at the target");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// As [`until_same`](Self::until_same), once the target has a column.
    pub(crate) async fn until_same_when_there(&self, query: &str, table: &str, column: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.target.tables().unwrap().describe(table).await.unwrap();
            if found.is_some_and(|found| found.position(column).is_some()) {
                return self.until_same(query).await;
            }
            assert!(Instant::now() < deadline, "the target has no column {column}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Records every range of positions that is applied from now on. The checkpoint must exist.
    pub(crate) async fn audit(&self, pair: &Pair) {
        let statements: &[&str] = if pair.target.is_postgres() {
            &[
                "CREATE TABLE audit (n BIGSERIAL PRIMARY KEY, a BIGINT, b BIGINT)",
                "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                     INSERT INTO audit (a, b) VALUES (NEW.from_position, NEW.position); RETURN NEW; END $$",
                "CREATE TRIGGER audit AFTER UPDATE ON replicaverse_checkpoint FOR EACH ROW
                     WHEN (OLD.position IS DISTINCT FROM NEW.position) EXECUTE FUNCTION audit()",
                "ALTER TABLE replicaverse_checkpoint ENABLE ALWAYS TRIGGER audit",
            ]
        } else if pair.target.dialect == "mariadb" {
            &[
                "CREATE TABLE audit (n BIGINT AUTO_INCREMENT PRIMARY KEY, a BIGINT, b BIGINT)",
                "CREATE TRIGGER audit AFTER UPDATE ON replicaverse_checkpoint FOR EACH ROW
                     INSERT INTO audit (a, b) SELECT NEW.from_position, NEW.position FROM DUAL
                     WHERE OLD.position <> NEW.position",
            ]
        } else {
            &[
                "CREATE TABLE audit (n INTEGER PRIMARY KEY, a INTEGER, b INTEGER)",
                "CREATE TRIGGER audit AFTER UPDATE ON replicaverse_checkpoint
                     WHEN OLD.position IS NOT NEW.position
                     BEGIN INSERT INTO audit (a, b) VALUES (NEW.from_position, NEW.position); END",
            ]
        };
        run(self.target.as_ref(), statements).await;
    }

    /// Fails if two ranges of positions that were applied overlap; how many there were.
    pub(crate) async fn assert_no_overlap(&self) -> usize {
        let ranges = self.at_target("SELECT a, b FROM audit ORDER BY n").await;
        let mut last = 0;
        for range in ranges.as_array().unwrap() {
            let (from, to) = (range["a"].as_u64().unwrap(), range["b"].as_u64().unwrap());
            assert!(from >= last && to > from, "{ranges}");
            last = to;
        }
        ranges.as_array().unwrap().len()
    }
}

pub(crate) fn totals(stats: &SyncStats) -> (u64, u64, u64, u64, u64) {
    stats.details.iter().fold((0, 0, 0, 0, 0), |sum, part| {
        (
            sum.0 + part.created,
            sum.1 + part.updated,
            sum.2 + part.deleted,
            sum.3 + part.skipped,
            sum.4 + part.errors,
        )
    })
}

pub(crate) async fn run(dialect: &dyn Dialect, statements: &[&str]) {
    for statement in statements {
        dialect
            .execute_run(statement, Vec::new())
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

pub(crate) async fn rows(dialect: &dyn Dialect, query: &str) -> Json {
    try_rows(dialect, query).await.unwrap_or_else(|error| panic!("{query}: {error}"))
}

async fn try_rows(dialect: &dyn Dialect, query: &str) -> Result<Json, String> {
    let rows = dialect.execute_query(query, Vec::new()).await.map_err(|error| error.to_string())?;
    let record = |record: &data::Record| -> Json {
        Json::Object(record.iter().map(|(name, value)| (name.clone(), json_from_value(value))).collect())
    };
    Ok(Json::Array(rows.iter().map(record).collect()))
}

/// Waits until a query gives these rows.
pub(crate) async fn until_rows(dialect: &dyn Dialect, query: &str, expected: Json) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = rows(dialect, query).await;
        if found == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{query}: {found}, expected {expected}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Keeps what a rule tells.
#[derive(Default)]
pub(crate) struct Witness {
    events: Mutex<Vec<Json>>,
}

impl CdcObserver for Witness {
    fn on(&self, event: CdcEvent) {
        self.events.lock().unwrap().push(serde_json::to_value(event).unwrap());
    }

    fn wants_changes(&self) -> bool {
        true
    }
}

impl Witness {
    /// Waits for an event.
    pub(crate) async fn until(&self, what: &str, is_it: impl Fn(&Json) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !self.events.lock().unwrap().iter().any(&is_it) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.events.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Numbers that are the same for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}
