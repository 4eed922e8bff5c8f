//! Bidirectional rules that stream: what both sides write comes to be the same on both, and every loser is kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use data::table::{ScanOptions, Table, coerce};
use data::{Dialect, Timestamp, Value, json_from_value};
use mongodb::bson::{Document, doc};
use replication::{CdcEvent, CdcObserver, Resolution, RowVersions, Rule};
use serde_json::{Value as Json, json};

use crate::world::{PATIENCE, Pair, Place, Server, Witness, World, totals};

const TABLE: &str = "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT, \"updatedAt\" TIMESTAMPTZ)";
const SQLITE_TABLE: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, \"updatedAt\" TEXT)";

fn pairs() -> Vec<Pair> {
    vec![
        Pair::postgres_to_postgres(),
        Pair::postgres_to_sqlite(),
        Pair::sqlite_to_sqlite(),
        Pair { source: Place::postgres(), target: Place::mongodb() },
        Pair::postgres_to_mariadb(),
    ]
}

pub(crate) async fn opened(pair: &Pair, fields: Json) -> World {
    let mut rule = json!({"mode": "bidirectional", "collections": ["items"]});
    for (name, value) in fields.as_object().unwrap() {
        rule[name] = value.clone();
    }
    World::with(pair, &[], rule).await
}

/// A world with an empty table at the source, after a first exchange.
pub(crate) async fn begun(pair: &Pair, fields: Json) -> World {
    let world = opened(pair, fields).await;
    world.run(&[if pair.source.is_postgres() { TABLE } else { SQLITE_TABLE }]).await;
    start(&world, Arc::new(Witness::default())).await;
    world.manager.stop("r").await.unwrap();
    world
}

pub(crate) async fn start(world: &World, observer: Arc<dyn CdcObserver>) {
    world.manager.start("r", observer).await.unwrap();
}

async fn items(dialect: &dyn Dialect) -> Table {
    dialect.tables().unwrap().describe("items").await.unwrap().unwrap()
}

/// Milliseconds that grow with every call.
fn moment() -> Timestamp {
    use std::sync::atomic::{AtomicI64, Ordering};
    static LAST: AtomicI64 = AtomicI64::new(0);
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let before = LAST.fetch_max(now, Ordering::Relaxed);
    let next = if before >= now { LAST.fetch_add(1, Ordering::Relaxed) + 1 } else { now };
    Timestamp::from_millis(next)
}

/// Writes a row as an application does; no name deletes it.
pub(crate) async fn write(dialect: &dyn Dialect, id: i64, name: Option<&str>) {
    let tables = dialect.tables().unwrap();
    let table = written(dialect).await;
    let limits = tables.limits();
    let values = table.columns.iter().map(|column| {
        let value = match column.name.as_str() {
            "name" => Value::from(name),
            "updatedAt" => Value::Timestamp(moment()),
            _ => Value::Int64(id),
        };
        coerce(value, &column.column_type, &limits).unwrap().value
    });
    let row: Vec<Value> = values.collect();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let outcome = match name {
            Some(_) => tables.upsert(&table, std::slice::from_ref(&row)).await,
            None => tables.delete(&table, &[table.key_of(&row)]).await.map(drop),
        };
        match outcome {
            Ok(()) => return,
            Err(error) if error.kind().is_retryable() && Instant::now() < deadline => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// The table as it is written; documents without a sample have no columns of their own.
async fn written(dialect: &dyn Dialect) -> Table {
    if dialect.kind() != data::DialectKind::Mongodb {
        return items(dialect).await;
    }
    let column = |name: &str, column_type| data::table::TableColumn {
        name: name.to_owned(),
        column_type,
        nullable: true,
        generated: false,
    };
    use data::table::ColumnType;
    Table {
        name: "items".to_owned(),
        columns: vec![
            column("id", ColumnType::Any),
            column("name", ColumnType::Any),
            column("updatedAt", ColumnType::Any),
        ],
        key: vec![0],
        references: Vec::new(),
    }
}

/// The names by ids.
pub(crate) async fn names(dialect: &dyn Dialect) -> BTreeMap<i64, String> {
    let tables = dialect.tables().unwrap();
    let Some(table) = tables.describe("items").await.unwrap() else { return BTreeMap::new() };
    if table.position("name").is_none() {
        return BTreeMap::new();
    }
    let (id, name) = (table.key[0], table.position("name").unwrap());
    let snapshot = tables.snapshot().await.unwrap();
    let mut batches = snapshot.scan(Arc::new(table), ScanOptions::default()).await.unwrap();
    let mut found = BTreeMap::new();
    while let Some(batch) = batches.recv().await {
        for row in batch.unwrap().into_rows().unwrap() {
            let number = match json_from_value(&row[id]) {
                Json::Number(number) => number.as_i64().unwrap_or_else(|| number.as_f64().unwrap() as i64),
                other => panic!("{other} is no id"),
            };
            found.insert(number, row[name].as_text().unwrap_or_default().to_owned());
        }
    }
    found
}

pub(crate) async fn until_equal(world: &World) -> BTreeMap<i64, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (source, target) = (names(world.source.as_ref()).await, names(world.target.as_ref()).await);
        if source == target {
            return source;
        }
        assert!(Instant::now() < deadline, "{source:?} at the source, {target:?} at the target");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn until_both_have(world: &World, id: i64, name: Option<&str>) {
    until_has(world.source.as_ref(), id, name).await;
    until_has(world.target.as_ref(), id, name).await;
}

pub(crate) async fn until_has(dialect: &dyn Dialect, id: i64, name: Option<&str>) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = names(dialect).await;
        if found.get(&id).map(String::as_str) == name {
            return;
        }
        assert!(Instant::now() < deadline, "{id} {name:?}: {found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The conflicts that both sides keep: the winner, and the names of the source's and of the target's version.
pub(crate) async fn conflicts(world: &World) -> Vec<(i64, String, Option<String>, Option<String>)> {
    let mut found = Vec::new();
    for dialect in [&world.source, &world.target] {
        let tables = dialect.tables().unwrap();
        let Some(table) = tables.describe("replicaverse_conflict").await.unwrap() else { continue };
        let snapshot = tables.snapshot().await.unwrap();
        let mut batches = snapshot.scan(Arc::new(table.clone()), ScanOptions::default()).await.unwrap();
        while let Some(batch) = batches.recv().await {
            for row in batch.unwrap().into_rows().unwrap() {
                let text = |name: &str| {
                    table.position(name).and_then(|position| row[position].as_text()).map(str::to_owned)
                };
                let name = |column: &str| {
                    let json: Json = serde_json::from_str(&text(column)?).unwrap();
                    json["name"].as_str().map(str::to_owned)
                };
                let key = text("row_key").unwrap().parse().unwrap();
                found.push((key, text("winner").unwrap(), name("source_row"), name("target_row")));
            }
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_both_sides_go_to_the_other_one_and_do_not_come_back() {
    for pair in pairs() {
        let world = begun(&pair, json!({})).await;
        let (source, target) = (world.source.as_ref(), world.target.as_ref());
        start(&world, Arc::new(Witness::default())).await;
        write(source, 1, Some("from the source")).await;
        write(target, 2, Some("from the target")).await;
        until_both_have(&world, 1, Some("from the source")).await;
        until_both_have(&world, 2, Some("from the target")).await;
        write(target, 1, Some("changed at the target")).await;
        write(source, 2, Some("changed at the source")).await;
        until_both_have(&world, 1, Some("changed at the target")).await;
        until_both_have(&world, 2, Some("changed at the source")).await;
        write(target, 1, None).await;
        write(source, 2, None).await;
        until_both_have(&world, 1, None).await;
        until_both_have(&world, 2, None).await;
        // While it streams, a run catches up, and what it does counts for the stream.
        world.sync().await;
        world.manager.stop("r").await.unwrap();
        let stats = world.manager.stats("r").unwrap();
        assert_eq!(
            totals(&stats).0 + totals(&stats).1 + totals(&stats).2,
            6,
            "{}: {stats:?}",
            pair.target.dialect
        );
        assert_eq!(world.counts().await, (0, 0, 0, 0, 0), "{}", pair.target.dialect);
        assert_eq!(conflicts(&world).await, [], "{}", pair.target.dialect);
        world.manager.disconnect_all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_later_of_two_versions_stays_and_the_other_one_is_kept() {
    for pair in pairs() {
        let world = begun(&pair, json!({})).await;
        let (source, target) = (world.source.as_ref(), world.target.as_ref());
        for id in 1..=6 {
            write(source, id, Some("first")).await;
        }
        world.sync().await;
        // Nothing streams: what follows is written on both sides without knowing of each other.
        for id in 1..=2 {
            write(source, id, Some(&format!("source {id}"))).await;
            write(target, id, Some(&format!("target {id}"))).await;
        }
        for id in 3..=4 {
            write(target, id, Some(&format!("target {id}"))).await;
            write(source, id, Some(&format!("source {id}"))).await;
        }
        write(source, 5, Some("only the source")).await;
        write(target, 6, None).await;
        let stats = world.sync().await;
        assert_eq!(stats.details[0].conflicts, 4, "{}: {stats:?}", pair.target.dialect);
        let both = until_equal(&world).await;
        let expected =
            [(1, "target 1"), (2, "target 2"), (3, "source 3"), (4, "source 4"), (5, "only the source")];
        assert_eq!(both, expected.map(|(id, name)| (id, name.to_owned())).into(), "{}", pair.target.dialect);
        let named = |id: i64| (Some(format!("source {id}")), Some(format!("target {id}")));
        let kept: Vec<_> = (1..=4)
            .map(|id| (id, if id < 3 { "target" } else { "source" }.to_owned(), named(id).0, named(id).1))
            .collect();
        assert_eq!(conflicts(&world).await, kept, "{}", pair.target.dialect);
        assert_eq!(world.counts().await, (0, 0, 0, 0, 0), "{}", pair.target.dialect);
        world.manager.disconnect_all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rule_may_say_that_one_side_wins_deletions_too() {
    for (resolution, winner) in [("source-wins", "source"), ("target-wins", "target")] {
        let pair = Pair::postgres_to_sqlite();
        let world = begun(&pair, json!({"conflictResolution": resolution})).await;
        let (source, target) = (world.source.as_ref(), world.target.as_ref());
        for id in 1..=3 {
            write(source, id, Some("first")).await;
        }
        world.sync().await;
        write(source, 1, Some("source")).await;
        write(target, 1, Some("target")).await;
        write(source, 2, None).await;
        write(target, 2, Some("target")).await;
        write(source, 3, Some("source")).await;
        write(target, 3, None).await;
        world.sync().await;
        let both = until_equal(&world).await;
        let expected: BTreeMap<i64, String> = match winner {
            "source" => [(1, "source".to_owned()), (3, "source".to_owned())].into(),
            _ => [(1, "target".to_owned()), (2, "target".to_owned())].into(),
        };
        assert_eq!(both, expected, "{resolution}");
        let kept = conflicts(&world).await;
        assert_eq!(kept.len(), 3, "{kept:?}");
        assert!(kept.iter().all(|(_, kept, ..)| kept == winner), "{kept:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_was_changed_after_its_deletion_at_the_other_side_stays() {
    for pair in [Pair::postgres_to_postgres(), Pair::postgres_to_sqlite()] {
        let world = begun(&pair, json!({})).await;
        let (source, target) = (world.source.as_ref(), world.target.as_ref());
        write(source, 1, Some("first")).await;
        write(source, 2, Some("first")).await;
        world.sync().await;
        write(source, 1, None).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        write(target, 1, Some("changed afterwards")).await;
        write(target, 2, Some("changed before")).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        write(source, 2, None).await;
        world.sync().await;
        assert_eq!(until_equal(&world).await, [(1, "changed afterwards".to_owned())].into());
        let kept = conflicts(&world).await;
        let deleted = |id, winner: &str, name: &str| (id, winner.to_owned(), None, Some(name.to_owned()));
        assert_eq!(
            kept,
            [deleted(1, "target", "changed afterwards"), deleted(2, "source", "changed before")]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_both_sides_have_at_first_are_united() {
    for pair in pairs() {
        let world = opened(&pair, json!({})).await;
        world.run(&[if pair.source.is_postgres() { TABLE } else { SQLITE_TABLE }]).await;
        for id in [1, 2, 3] {
            write(world.source.as_ref(), id, Some(&format!("source {id}"))).await;
        }
        let table = items(world.source.as_ref()).await;
        world.target.tables().unwrap().create_like(&table).await.unwrap();
        for id in [3, 4] {
            write(world.target.as_ref(), id, Some(&format!("target {id}"))).await;
        }
        start(&world, Arc::new(Witness::default())).await;
        let expected = [(1, "source 1"), (2, "source 2"), (3, "target 3"), (4, "target 4")];
        let both = until_equal(&world).await;
        assert_eq!(both, expected.map(|(id, name)| (id, name.to_owned())).into(), "{}", pair.target.dialect);
        assert_eq!(conflicts(&world).await.len(), 1, "{}", pair.target.dialect);
        // From here on deletions are known.
        write(world.target.as_ref(), 1, None).await;
        until_both_have(&world, 1, None).await;
        world.manager.disconnect_all().await;
    }
}

/// Joins the names of both versions.
#[derive(Default)]
struct Joining;

#[async_trait]
impl CdcObserver for Joining {
    fn on(&self, _event: CdcEvent) {}

    async fn resolve(&self, conflict: RowVersions) -> Result<Resolution, String> {
        tokio::task::yield_now().await;
        let name = |row: &Option<Json>| row.as_ref().map(|row| row["name"].as_str().unwrap().to_owned());
        match (name(&conflict.source), name(&conflict.target)) {
            (Some(source), Some(target)) if source == "unclear" => Err(format!("{source} or {target}")),
            (Some(source), Some(target)) => {
                let row = json!({"name": format!("{source} and {target}")});
                Ok(Resolution::Row(row.as_object().unwrap().clone()))
            }
            _ => Ok(Resolution::Delete),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_application_may_decide_and_both_sides_have_its_row() {
    for pair in pairs() {
        let world = begun(&pair, json!({"conflictResolution": "resolve"})).await;
        let (source, target) = (world.source.as_ref(), world.target.as_ref());
        start(&world, Arc::new(Joining)).await;
        for id in 1..=3 {
            write(source, id, Some("first")).await;
            until_both_have(&world, id, Some("first")).await;
        }
        world.manager.stop("r").await.unwrap();
        write(source, 1, Some("a")).await;
        write(target, 1, Some("b")).await;
        write(source, 2, None).await;
        write(target, 2, Some("b")).await;
        write(source, 3, Some("unclear")).await;
        write(target, 3, Some("b")).await;
        start(&world, Arc::new(Joining)).await;
        until_both_have(&world, 1, Some("a and b")).await;
        until_both_have(&world, 2, None).await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let letters = world.manager.dead_letters("r", 10).await.unwrap();
            if letters.count == 1 {
                assert!(letters.rows[0].error.contains("unclear or b"), "{letters:?}");
                break;
            }
            assert!(Instant::now() < deadline, "{letters:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(names(source).await.get(&3).unwrap(), "unclear", "both sides keep what they have");
        write(source, 3, Some("clear")).await;
        until_both_have(&world, 3, Some("clear and b")).await;
        let deadline = Instant::now() + PATIENCE;
        while world.manager.dead_letters("r", 10).await.unwrap().count > 0 {
            assert!(Instant::now() < deadline, "the row that was decided is still set aside");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        world.manager.disconnect_all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_one_side_refuses_is_set_aside_and_comes_when_it_fits() {
    let pair = Pair::postgres_to_postgres();
    let world = begun(&pair, json!({})).await;
    crate::world::run(world.target.as_ref(), &["CREATE UNIQUE INDEX once ON items (name)"]).await;
    write(world.target.as_ref(), 1, Some("taken")).await;
    write(world.source.as_ref(), 2, Some("taken")).await;
    let stats = world.sync().await;
    assert_eq!(stats.errors, 1, "{stats:?}");
    assert_eq!(world.manager.dead_letters("r", 10).await.unwrap().count, 1);
    assert_eq!(names(world.source.as_ref()).await.len(), 2);
    write(world.source.as_ref(), 1, Some("free")).await;
    let stats = world.sync().await;
    assert_eq!(stats.errors, 0, "{stats:?}");
    until_both_have(&world, 2, Some("taken")).await;
    assert_eq!(world.manager.dead_letters("r", 10).await.unwrap().count, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_side_that_is_emptied_empties_the_other_one_but_for_what_is_newer() {
    let pair = Pair::postgres_to_sqlite();
    let world = begun(&pair, json!({})).await;
    for id in 1..=4 {
        write(world.source.as_ref(), id, Some("first")).await;
    }
    world.sync().await;
    world.run(&["TRUNCATE items"]).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    write(world.target.as_ref(), 3, Some("newer")).await;
    world.sync().await;
    assert_eq!(until_equal(&world).await, [(3, "newer".to_owned())].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_rule_leaves_nothing_but_its_conflicts() {
    let pair = Pair::postgres_to_sqlite();
    let world = begun(&pair, json!({})).await;
    write(world.source.as_ref(), 1, Some("source")).await;
    write(world.target.as_ref(), 1, Some("target")).await;
    world.sync().await;
    world.manager.remove_rule("r").await.unwrap();
    world.manager.disconnect_all().await;
    assert_eq!(world.manager.take_removal_failures().len(), 0);
    let world = opened(&pair, json!({})).await;
    for dialect in [world.source.as_ref(), world.target.as_ref()] {
        for table in ["replicaverse_version", "replicaverse_checkpoint", "replicaverse_lease"] {
            let rows = crate::world::rows(dialect, &format!("SELECT * FROM {table}")).await;
            assert_eq!(rows, json!([]), "{table}");
        }
    }
    assert_eq!(conflicts(&world).await.len(), 1);
    let slots = crate::world::rows(
        world.source.as_ref(),
        "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()",
    );
    assert_eq!(slots.await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_rule_writes_goes_on_by_the_next_one() {
    let pair = Pair::postgres_to_sqlite();
    let world = begun(&pair, json!({})).await;
    let place = Place::sqlite();
    let third = world.manager.add_replica("third", place.config("update"), Vec::new()).await.unwrap();
    let rule = json!({
        "name": "s", "source": "target", "target": "third", "mode": "bidirectional", "collections": ["items"],
    });
    world.manager.add_rule(Rule::from_json(rule).unwrap()).unwrap();
    start(&world, Arc::new(Witness::default())).await;
    world.manager.start("s", Arc::new(Witness::default())).await.unwrap();
    write(world.source.as_ref(), 1, Some("from the first")).await;
    until_has(third.as_ref(), 1, Some("from the first")).await;
    write(third.as_ref(), 2, Some("from the third")).await;
    until_has(world.source.as_ref(), 2, Some("from the third")).await;
    write(third.as_ref(), 1, None).await;
    until_has(world.source.as_ref(), 1, None).await;
    for rule in ["r", "s"] {
        world.manager.stop(rule).await.unwrap();
    }
    for rule in ["r", "s", "r", "s"] {
        let stats = world.manager.sync(rule, None).await.unwrap();
        assert_eq!(totals(&stats), (0, 0, 0, 0, 0), "{rule}: nothing comes back");
    }
    assert_eq!(conflicts(&world).await, []);
    world.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_one_side_is_given_comes_to_the_other_one() {
    let pair = Pair::postgres_to_sqlite();
    let world = begun(&pair, json!({})).await;
    start(&world, Arc::new(Witness::default())).await;
    write(world.source.as_ref(), 1, Some("before")).await;
    until_both_have(&world, 1, Some("before")).await;
    world
        .run(&[
            "ALTER TABLE items ADD COLUMN note TEXT",
            "UPDATE items SET note = 'new', name = 'after' WHERE id = 1",
        ])
        .await;
    until_both_have(&world, 1, Some("after")).await;
    // The row may have come before its new column.
    let deadline = Instant::now() + PATIENCE;
    while items(world.target.as_ref()).await.position("note").is_none()
        || world.at_target("SELECT note FROM items").await != json!([{"note": "new"}])
    {
        assert!(Instant::now() < deadline, "the note does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    crate::world::run(world.target.as_ref(), &["UPDATE items SET note = 'back', name = 'last'"]).await;
    until_both_have(&world, 1, Some("last")).await;
    assert_eq!(
        crate::world::rows(world.source.as_ref(), "SELECT note FROM items").await,
        json!([{"note": "back"}])
    );
    world.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_keeps_the_fields_that_the_rule_does_not_know() {
    let pair = Pair { source: Place::postgres(), target: Place::mongodb() };
    let database = Server::replica_set().database(pair.target.database()).await;
    let world = begun(&pair, json!({})).await;
    start(&world, Arc::new(Witness::default())).await;
    write(world.source.as_ref(), 1, Some("before")).await;
    until_both_have(&world, 1, Some("before")).await;
    let items = database.collection::<Document>("items");
    items.update_many(doc! {}, doc! {"$set": {"extra": 7}}).await.unwrap();
    write(world.source.as_ref(), 1, Some("after")).await;
    until_both_have(&world, 1, Some("after")).await;
    let found = items.find_one(doc! {}).await.unwrap().unwrap();
    assert_eq!(found.get_i32("extra").ok(), Some(7), "{found}");
    assert_eq!(conflicts(&world).await, []);
    world.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resync_repairs_both_sides_and_still_knows_of_deletions() {
    let pair = Pair::postgres_to_postgres();
    let world = begun(&pair, json!({})).await;
    for id in 1..=3 {
        write(world.source.as_ref(), id, Some("first")).await;
    }
    world.sync().await;
    let drop_slot = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()";
    for dialect in [world.source.as_ref(), world.target.as_ref()] {
        crate::world::rows(dialect, drop_slot).await;
    }
    write(world.source.as_ref(), 1, Some("unseen")).await;
    write(world.target.as_ref(), 2, None).await;
    write(world.target.as_ref(), 4, Some("new")).await;
    // What a side has lost must not count as deleted unless the application says that nothing is lost.
    let error = world.manager.sync("r", None).await.unwrap_err();
    assert_eq!(error.code(), "ERR_LOG_LOST", "{error}");
    let stats = world.manager.resync("r", None).await.unwrap();
    assert_eq!(stats.errors, 0, "{stats:?}");
    let expected = [(1, "unseen"), (3, "first"), (4, "new")];
    assert_eq!(until_equal(&world).await, expected.map(|(id, name)| (id, name.to_owned())).into());
    assert_eq!(conflicts(&world).await, []);
}
