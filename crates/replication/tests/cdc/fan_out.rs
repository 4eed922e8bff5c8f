//! Several rules of one source, whose log is read once for all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use data::Dialect;
use mongodb::bson::{Document, doc};
use replication::{Manager, Rule, RunState};
use serde_json::{Value as Json, json};

use crate::world::{PATIENCE, Pair, Place, Server, Witness, World, rows, run};

const ITEMS_TABLE: &str = "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT)";
const ORDERS_TABLE: &str = "CREATE TABLE orders (id BIGINT PRIMARY KEY, item BIGINT)";
const ITEMS: &str = "SELECT id, name FROM items ORDER BY id";
const ORDERS: &str = "SELECT id, item FROM orders ORDER BY id";

/// Connections that read the log of a database of PostgreSQL.
const READERS: &str =
    "SELECT r.slot_name FROM pg_stat_replication s JOIN pg_replication_slots r ON r.active_pid = s.pid
                       WHERE r.database = current_database() ORDER BY 1";

/// A source and the targets of the rules `r0`, `r1` and so on.
struct Fan {
    manager: Arc<Manager>,
    source: Arc<dyn Dialect>,
    targets: Vec<World>,
    /// Files live for as long as their places.
    pairs: Vec<Pair>,
}

impl Fan {
    /// Rules that stream, after these statements were run at the source.
    async fn started(source: &Place, statements: &[&str], targets: Vec<Place>) -> Self {
        let rules = targets.into_iter().map(|target| (target, json!(["*"])));
        Self::with(source, statements, rules.collect()).await
    }

    /// As [`started`](Self::started), each rule with collections of its own.
    async fn with(source: &Place, statements: &[&str], rules: Vec<(Place, Json)>) -> Self {
        let manager = Arc::new(Manager::new());
        let opened = manager.add_replica("source", source.config("none"), Vec::new()).await.unwrap();
        run(opened.as_ref(), statements).await;
        let mut fan = Self { manager, source: opened, targets: Vec::new(), pairs: Vec::new() };
        for (number, (target, collections)) in rules.into_iter().enumerate() {
            let project = format!("target{number}");
            let opened =
                fan.manager.add_replica(&project, target.config("update"), Vec::new()).await.unwrap();
            let rule = json!({
                "name": format!("r{number}"), "source": "source", "target": project, "mode": "cdc",
                "collections": collections,
            });
            fan.manager.add_rule(Rule::from_json(rule).unwrap()).unwrap();
            let (manager, source_end) = (Arc::clone(&fan.manager), Arc::clone(&fan.source));
            fan.targets.push(World { manager, source: source_end, target: opened });
            fan.pairs.push(Pair { source: source.clone(), target });
            fan.manager.start(&format!("r{number}"), Arc::new(Witness::default())).await.unwrap();
        }
        fan
    }

    async fn run(&self, statements: &[&str]) {
        run(self.source.as_ref(), statements).await;
    }

    /// Waits until every target gives the same as the source.
    async fn until_same(&self, query: &str) {
        for target in &self.targets {
            target.until_same(query).await;
        }
    }

    /// Waits until so many connections read the log of PostgreSQL; the names of their slots.
    async fn until_readers(&self, count: usize) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let readers = rows(self.source.as_ref(), READERS).await;
            let readers = readers.as_array().unwrap();
            if readers.len() == count {
                return readers.iter().map(|row| row["slot_name"].as_str().unwrap().to_owned()).collect();
            }
            assert!(Instant::now() < deadline, "{readers:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a query of the source gives a number.
    async fn until_number(&self, query: &str, expected: i64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = rows(self.source.as_ref(), query).await;
            if found[0]["n"] == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{query}: {found}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The number of the rule that reads under a name.
    async fn rule_of(&self, reader: &str) -> usize {
        for (number, target) in self.targets.iter().enumerate() {
            let known = target.at_target("SELECT id FROM replicaverse_checkpoint").await;
            if known.as_array().unwrap().iter().any(|row| row["id"] == reader) {
                return number;
            }
        }
        panic!("no rule reads as {reader}");
    }

    async fn end(self) {
        self.manager.disconnect_all().await;
        drop(self.pairs);
    }
}

/// Inserts one row after the other until it is told to end.
struct Writer {
    is_over: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<i64>,
}

impl Writer {
    /// Writes from this key on.
    fn begin(source: &Arc<dyn Dialect>, first: i64) -> Self {
        let (source, is_over) = (Arc::clone(source), Arc::new(AtomicBool::new(false)));
        let task = tokio::spawn({
            let is_over = Arc::clone(&is_over);
            async move {
                let mut id = first;
                while !is_over.load(Ordering::Relaxed) {
                    run(source.as_ref(), &[&format!("INSERT INTO items VALUES ({id}, 'n{id}')")]).await;
                    id += 1;
                }
                id - first
            }
        });
        Self { is_over, task }
    }

    /// How many rows were written.
    async fn end(self) -> i64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

fn targets() -> Vec<Place> {
    vec![Place::sqlite(), Place::postgres(), Place::mariadb()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_rules_of_one_source_share_a_reader_once_they_have_caught_up() {
    let source = Place::postgres();
    let fan = Fan::started(&source, &[ITEMS_TABLE, "INSERT INTO items VALUES (1, 'a')"], targets()).await;
    for target in &fan.targets {
        target.assert_same(ITEMS).await;
    }
    fan.until_readers(1).await;
    let slots = "SELECT count(*)::int AS n FROM pg_replication_slots WHERE database = current_database()";
    fan.until_number(slots, 3).await;
    fan.run(&[
        "INSERT INTO items SELECT i, 'n' || i FROM generate_series(2, 20000) i",
        "UPDATE items SET name = 'u' || id WHERE id % 3 = 0",
        "DELETE FROM items WHERE id % 5 = 0",
        "UPDATE items SET id = id + 100000 WHERE id < 10",
    ])
    .await;
    fan.until_same(ITEMS).await;
    fan.run(&["TRUNCATE items", "INSERT INTO items VALUES (7, 'after')"]).await;
    fan.until_same(ITEMS).await;
    assert_eq!(fan.until_readers(1).await.len(), 1);
    fan.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_source_keeps_its_log_for_no_rule_that_shares_a_reader() {
    let source = Place::postgres();
    let fan = Fan::started(&source, &[ITEMS_TABLE], targets()).await;
    fan.until_readers(1).await;
    fan.run(&["INSERT INTO items VALUES (1, 'a')"]).await;
    let written = rows(fan.source.as_ref(), "SELECT pg_current_wal_lsn()::text AS lsn").await;
    let written = written[0]["lsn"].as_str().unwrap();
    fan.until_same(ITEMS).await;
    fan.until_number(
        &format!(
            "SELECT count(*)::int AS n FROM pg_replication_slots
             WHERE database = current_database() AND confirmed_flush_lsn >= '{written}'"
        ),
        3,
    )
    .await;
    fan.until_readers(1).await;
    fan.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_rule_is_told_of_its_own_tables() {
    let source = Place::postgres();
    let rules = vec![
        (Place::sqlite(), json!(["items"])),
        (Place::sqlite(), json!(["orders"])),
        (Place::sqlite(), json!(["*"])),
    ];
    let fan = Fan::with(&source, &[ITEMS_TABLE, ORDERS_TABLE], rules).await;
    fan.until_readers(1).await;
    fan.run(&[
        "INSERT INTO items VALUES (1, 'a'), (2, 'b')",
        "INSERT INTO orders VALUES (10, 1)",
        "WITH new AS (INSERT INTO items VALUES (3, 'c') RETURNING id) INSERT INTO orders SELECT 30, id FROM new",
        "TRUNCATE orders, items",
        "WITH new AS (INSERT INTO orders VALUES (4, 5) RETURNING id) INSERT INTO items SELECT id, 'd' FROM new",
    ])
    .await;
    fan.targets[0].until_same(ITEMS).await;
    fan.targets[1].until_same(ORDERS).await;
    fan.targets[2].until_same(ITEMS).await;
    fan.targets[2].until_same(ORDERS).await;
    for (target, other) in [(0, "orders"), (1, "items")] {
        let found = fan.targets[target].target.tables().unwrap().describe(other).await.unwrap();
        assert!(found.is_none(), "{found:?}");
    }
    assert_eq!(fan.until_readers(1).await.len(), 1);
    fan.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_stalls_holds_up_no_other_and_catches_up_later() {
    let source = Place::postgres();
    let stalled = Place::postgres();
    let places = vec![Place::sqlite(), stalled.clone(), Place::sqlite()];
    let fan = Fan::started(&source, &[ITEMS_TABLE], places).await;
    fan.until_readers(1).await;
    let at_stalled = fan.targets[1].target.as_ref();
    run(
        at_stalled,
        &[
            "CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 PERFORM pg_advisory_xact_lock_shared(7); RETURN NEW; END $$",
            "CREATE TRIGGER stall BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION stall()",
            "ALTER TABLE items ENABLE ALWAYS TRIGGER stall",
        ],
    )
    .await;
    let locking = World::reopened(&Pair { source: stalled.clone(), target: Place::sqlite() }).await;
    locking.run(&["SELECT pg_advisory_lock(7)"]).await;
    for id in 0..100 {
        fan.run(&[&format!("INSERT INTO items VALUES ({id}, 'n{id}')")]).await;
    }
    fan.targets[0].until_same(ITEMS).await;
    fan.targets[2].until_same(ITEMS).await;
    assert_eq!(rows(at_stalled, "SELECT id FROM items").await, json!([]));
    // Without it the other two go on together.
    fan.run(&["INSERT INTO items VALUES (1000, 'more')"]).await;
    fan.targets[0].until_same(ITEMS).await;
    fan.targets[2].until_same(ITEMS).await;
    let unlock = "SELECT pg_terminate_backend(pid) FROM pg_locks
                  WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    World::reopened(&Pair { source: stalled, target: Place::sqlite() }).await.run(&[unlock]).await;
    fan.until_same(ITEMS).await;
    fan.until_readers(1).await;
    fan.run(&["INSERT INTO items VALUES (2000, 'all of them')"]).await;
    fan.until_same(ITEMS).await;
    fan.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removing_the_rule_that_reads_for_the_others_loses_nothing() {
    let source = Place::postgres();
    let mut fan = Fan::started(&source, &[ITEMS_TABLE], targets()).await;
    for (target, pair) in fan.targets.iter().zip(&fan.pairs) {
        target.audit(pair).await;
    }
    let lead = fan.until_readers(1).await.remove(0);
    let writer = Writer::begin(&fan.source, 0);
    let removed = fan.rule_of(&lead).await;
    fan.manager.remove_rule(&format!("r{removed}")).await.unwrap();
    let gone = format!("SELECT count(*)::int AS n FROM pg_replication_slots WHERE slot_name = '{lead}'");
    fan.until_number(&gone, 0).await;
    fan.targets.remove(removed);
    let next = fan.until_readers(1).await.remove(0);
    assert_ne!(next, lead);
    assert!(writer.end().await > 0);
    fan.until_same(ITEMS).await;
    for target in &fan.targets {
        assert!(target.assert_no_overlap().await > 0);
    }
    assert!(fan.manager.take_removal_failures().is_empty());
    fan.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_killed_again_and_again_loses_nothing() {
    let source = Place::postgres();
    let fan = Fan::started(&source, &[ITEMS_TABLE], targets()).await;
    for (target, pair) in fan.targets.iter().zip(&fan.pairs) {
        target.audit(pair).await;
    }
    let writer = Writer::begin(&fan.source, 0);
    for round in 0..4 {
        fan.until_readers(1).await;
        let kill = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
                    WHERE database = current_database() AND active";
        fan.run(&[kill]).await;
        // A transaction that comes in parts, of which some were told.
        let first = 1_000_000 * (round + 1);
        let fill = format!("INSERT INTO items SELECT i, 'x' FROM generate_series({first}, {first} + 5000) i");
        fan.run(&[&fill]).await;
    }
    assert!(writer.end().await > 0);
    fan.until_same(ITEMS).await;
    for target in &fan.targets {
        assert!(target.assert_no_overlap().await > 0);
    }
    assert!(fan.manager.running().iter().all(|rule| rule.state == RunState::Streaming));
    fan.until_readers(1).await;
    fan.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_that_share_a_reader_follow_columns_and_share_one_again() {
    let source = Place::postgres();
    let fan = Fan::started(&source, &[ITEMS_TABLE], targets()).await;
    fan.until_readers(1).await;
    fan.run(&["ALTER TABLE items ADD COLUMN size INT", "INSERT INTO items VALUES (1, 'a', 7)"]).await;
    let with_size = "SELECT id, name, size FROM items ORDER BY id";
    for target in &fan.targets {
        target.until_same_when_there(with_size, "items", "size").await;
    }
    fan.until_readers(1).await;
    fan.run(&["UPDATE items SET size = 8"]).await;
    fan.until_same(with_size).await;
    fan.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_becomes_a_partition_is_still_told_to_the_rule_that_reads_it_by_itself() {
    let source = Place::postgres();
    let rules = vec![(Place::sqlite(), json!(["all_items"])), (Place::sqlite(), json!(["items"]))];
    let whole = "CREATE TABLE all_items (id BIGINT PRIMARY KEY, name TEXT) PARTITION BY RANGE (id)";
    let fan = Fan::with(&source, &[whole, ITEMS_TABLE], rules).await;
    fan.until_readers(1).await;
    fan.run(&["INSERT INTO items VALUES (1, 'apart')"]).await;
    fan.targets[1].until_same(ITEMS).await;
    fan.until_readers(1).await;
    fan.run(&[
        "ALTER TABLE all_items ATTACH PARTITION items FOR VALUES FROM (0) TO (100)",
        "INSERT INTO items VALUES (2, 'a part')",
    ])
    .await;
    fan.targets[1].until_same(ITEMS).await;
    let of_whole = "SELECT id, name FROM all_items WHERE id > 1 ORDER BY id";
    fan.targets[0].until_same(of_whole).await;
    fan.until_readers(2).await;
    fan.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_of_one_mariadb_share_a_dump_of_its_log() {
    let (source, server) = Place::own_logging_mariadb();
    let fan =
        Fan::started(&source, &[ITEMS_TABLE], vec![Place::sqlite(), Place::postgres(), Place::sqlite()])
            .await;
    until_one_dump(&fan).await;
    let writer = Writer::begin(&fan.source, 0);
    fan.run(&[
        "INSERT INTO items SELECT seq + 100000, CONCAT('n', seq) FROM seq_1_to_5000",
        "UPDATE items SET name = 'u' WHERE id > 104000",
        "DELETE FROM items WHERE id BETWEEN 101000 AND 102000",
    ])
    .await;
    fan.manager.stop("r0").await.unwrap();
    fan.manager.start("r0", Arc::new(Witness::default())).await.unwrap();
    assert!(writer.end().await > 0);
    fan.until_same(ITEMS).await;
    until_one_dump(&fan).await;
    fan.run(&["INSERT INTO items VALUES (900000, 'last')"]).await;
    fan.until_same(ITEMS).await;
    fan.end().await;
    drop(server);
}

/// Waits until one connection reads the log. The server sees that a reader has left when it has something to tell it.
async fn until_one_dump(fan: &Fan) {
    let dumps = "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE command = 'Binlog Dump'";
    let deadline = Instant::now() + PATIENCE;
    while rows(fan.source.as_ref(), dumps).await[0]["n"] != 1 {
        assert!(Instant::now() < deadline, "several connections read the log");
        fan.run(&["REPLACE INTO items VALUES (-1, 'something to tell')", "DELETE FROM items WHERE id = -1"])
            .await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// How many change streams of a database its server has open.
async fn change_streams(database: &str) -> usize {
    let pipeline = vec![
        doc! {"$currentOp": {"allUsers": true, "idleCursors": true}},
        doc! {"$match": {
            "$or": [{"type": "idleCursor"}, {"cursor": {"$exists": true}}],
            "ns": {"$regex": format!("^{database}[.]")},
            "cursor.originatingCommand.pipeline.0.$changeStream": {"$exists": true},
        }},
    ];
    let admin = Server::replica_set().database("admin").await;
    let command = doc! {"aggregate": 1, "pipeline": pipeline, "cursor": {}};
    let answer: Document = admin.run_command(command).await.unwrap();
    answer.get_document("cursor").unwrap().get_array("firstBatch").unwrap().len()
}

async fn until_change_streams(database: &str, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = change_streams(database).await;
        if found == count {
            return;
        }
        assert!(Instant::now() < deadline, "{found} change streams");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Targets of several kinds know the documents by different columns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_of_one_mongodb_share_a_change_stream() {
    let source = Place::mongodb();
    let fill = r#"{"insert": "items", "documents": [{"_id": 1, "name": "a", "sub": {"x": 1}}, {"_id": 2, "name": "b"}]}"#;
    let places = vec![Place::sqlite(), Place::postgres(), Place::mongodb()];
    let fan = Fan::started(&source, &[fill], places).await;
    until_change_streams(source.database(), 1).await;
    for id in 10..40 {
        let insert = json!({"insert": "items", "documents": [{"_id": id, "name": "n", "sub": {"x": id}}]});
        let update =
            json!({"update": "items", "updates": [{"q": {"_id": id}, "u": {"$set": {"sub.x": -id}}}]});
        fan.run(&[&insert.to_string(), &update.to_string()]).await;
    }
    fan.run(&[r#"{"delete": "items", "deletes": [{"q": {"_id": 2}, "limit": 1}]}"#]).await;
    until_verified(&fan).await;
    assert_eq!(change_streams(source.database()).await, 1);
    // Each goes on where it was, however it has read.
    for rule in ["r1", "r0", "r2"] {
        fan.manager.stop(rule).await.unwrap();
        fan.run(&[
            r#"{"update": "items", "updates": [{"q": {"_id": 1}, "u": {"$set": {"name": "stopped"}}}]}"#,
        ])
        .await;
        fan.manager.start(rule, Arc::new(Witness::default())).await.unwrap();
    }
    until_verified(&fan).await;
    until_change_streams(source.database(), 1).await;
    fan.end().await;
}

/// A rule that reads one collection takes up its place by itself after it was told of others' transactions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_of_one_collection_goes_on_alone_behind_changes_of_another_one() {
    let source = Place::mongodb();
    let documents =
        |name: &str, id: i64| json!({"insert": name, "documents": [{"_id": id, "name": "n"}]}).to_string();
    let rules = vec![(Place::sqlite(), json!(["items"])), (Place::sqlite(), json!(["orders"]))];
    let fan = Fan::with(&source, &[&documents("items", 1), &documents("orders", 1)], rules).await;
    until_change_streams(source.database(), 1).await;
    fan.run(&[&documents("items", 2), &documents("orders", 2), &documents("items", 3)]).await;
    until_verified(&fan).await;
    fan.manager.stop("r0").await.unwrap();
    until_change_streams(source.database(), 1).await;
    fan.run(&[&documents("orders", 4), &documents("items", 4)]).await;
    fan.manager.start("r0", Arc::new(Witness::default())).await.unwrap();
    until_verified(&fan).await;
    until_change_streams(source.database(), 1).await;
    fan.end().await;
}

async fn until_verified(fan: &Fan) {
    for number in 0..fan.targets.len() {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let rule = format!("r{number}");
            let verdict = fan.manager.verify(&rule, replication::Repair::None).await.unwrap();
            if verdict.equal {
                break;
            }
            assert!(Instant::now() < deadline, "{verdict:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
