//! Columns that exist at the target and give back other values than they take.

use replication::SyncStats;
use serde_json::{Value as Json, json};

use crate::world::{Pair, Place, World, run};

const UUID: &str = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";

/// A table with a key and a value, one of which has a column of these types at both ends.
struct Columns<'a> {
    at_source: &'a str,
    at_target: &'a str,
    is_key: bool,
}

impl Columns<'_> {
    fn table(&self, column_type: &str) -> String {
        match self.is_key {
            true => format!("CREATE TABLE t (id {column_type} PRIMARY KEY, v INT)"),
            false => format!("CREATE TABLE t (id INT PRIMARY KEY, v {column_type})"),
        }
    }

    /// A rule that copies values of the source, as SQL writes them, by snapshots.
    async fn with(&self, pair: &Pair, values: &[&str]) -> World {
        let row = |(number, value): (usize, &&str)| match self.is_key {
            true => format!("INSERT INTO t VALUES ({value}, 1)"),
            false => format!("INSERT INTO t VALUES ({number}, {value})"),
        };
        let mut statements = vec![self.table(self.at_source)];
        statements.extend(values.iter().enumerate().map(row));
        let statements: Vec<_> = statements.iter().map(String::as_str).collect();
        let world = World::with_strategy(pair, &statements, json!({"mode": "snapshot"}), "none").await;
        run(world.target.as_ref(), &[&self.table(self.at_target)]).await;
        world
    }
}

/// Syncs twice and fails unless so many rows arrive, the others are refused, and the second run has nothing to do. What the first
/// one told.
async fn settles(world: &World, rows: usize, refused: usize, what: &str) -> SyncStats {
    let (rows, refused) = (rows as u64, refused as u64);
    let first = world.sync().await;
    let second = world.sync().await;
    let (told, again) = (&first.details[0], &second.details[0]);
    assert_eq!((told.created, told.errors), (rows, refused), "{what}: {told:?}");
    let left = (again.created, again.updated, again.deleted, again.skipped, again.errors);
    assert_eq!(left, (0, 0, 0, rows, refused), "{what}: {again:?}");
    first
}

/// Fails unless the first so many values arrive and the others are refused, naming the column.
async fn takes(pair: &Pair, at_source: &str, values: &[&str], taken: usize, at_target: &str) {
    let what = format!("{at_source} {values:?} into {at_target}");
    let world = Columns { at_source, at_target, is_key: false }.with(pair, values).await;
    let told = settles(&world, taken, values.len() - taken, &what).await;
    for failure in &told.details[0].failures {
        let number: usize = failure.key.parse().unwrap();
        assert!(number >= taken, "{what}: {failure:?}");
        assert!(failure.reason.contains("column \"v\""), "{what}: {failure:?}");
    }
}

fn texts(rows: &Json) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["v"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_of_postgres_changes_no_value_in_silence() {
    for (at_source, values, taken, at_target) in [
        ("numeric", &["12.50", "-1234567", "12.345"][..], 2, "money"),
        ("text", &["'12.5'", "'$1,000.00'", "'1.000,00'"], 2, "money"),
        ("bigint", &["5", "4294967295", "-1", "4294967296"], 2, "oid"),
        ("text", &["'a'", "''", "'ab'", "'é'"], 2, "\"char\""),
        ("interval", &["'2 years 3 mons 4 days'", "'-1 day'", "'1 day 00:00:01'"], 2, "interval day"),
        ("interval", &["'1 year 2 mons'", "'1 day'"], 1, "interval year to month"),
        ("interval", &["'26:03'", "'1 day 02:03:04'"], 1, "interval day to minute"),
        ("interval", &["'1 day 02:03:04.5'", "'02:03:04.56'"], 1, "interval(1)"),
        ("text", &["'-1 days +02:03:04.5'", "'P1D'", "'36 hours'"], 1, "interval"),
        ("text", &["'101'", "'1'", "'1111'", "'1x1'"], 1, "bit(3)"),
        ("text", &["'101'", "'1'", "'1111'", "'X1'"], 2, "varbit(3)"),
        ("text", &["'10.0.0.1/32'", "'10.0.0.1/8'", "'010.0.0.1'"], 2, "inet"),
        ("text", &["'AABB.CC00.1122'", "'aa'"], 1, "macaddr"),
        ("text", &["'12:00'", "'12:00:00.50'", "'noon'"], 2, "time"),
    ] {
        takes(&Pair::postgres_to_postgres(), at_source, values, taken, at_target).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_of_mariadb_changes_no_value_in_silence() {
    for (at_source, values, taken, at_target) in [
        ("int", &["2024", "0", "24", "1900"][..], 2, "YEAR"),
        ("float8", &["1.5", "-1.25", "1.234", "123456.5"], 2, "FLOAT(7,2)"),
        ("float8", &["1.5", "12345678.25", "1.234"], 2, "DOUBLE(10,2)"),
        ("text", &["'a'", "'it''s'", "'1'", "'A'", "'c'", "''"], 2, "ENUM('a','it''s')"),
        ("text", &[r"'b\c'", "'1'", "'b'"], 1, r"ENUM('b\\c')"),
        ("int", &["1", "2", "3", "0"], 2, "ENUM('2','1')"),
        ("text", &["'a'", "''", "'b,a'", "'a,a'", "'3'", "'A'"], 3, "SET('a','b')"),
        ("text", &["'2024-01-31'", "'20240131'", "'2024-1-1'"], 1, "DATE"),
        ("text", &["'12:00'", "'-100:00:00.5'", "'1200'", "'1 12:00:00'"], 2, "TIME(1)"),
        ("text", &["'::FF'", "'::1'"], 2, "INET6"),
    ] {
        takes(&Pair::postgres_to_mariadb(), at_source, values, taken, at_target).await;
    }
    // The strict mode of our sessions sees to these; the server names the column in its own words.
    let unsigned = Columns { at_source: "int", at_target: "INT UNSIGNED", is_key: false };
    let world = unsigned.with(&Pair::postgres_to_mariadb(), &["1", "-1"]).await;
    settles(&world, 1, 1, "INT UNSIGNED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zero_bytes_that_mariadb_adds_are_reported_and_fit_no_key() {
    let (short, whole) = (r"'\x01'", r"'\x010203'");
    let columns = Columns { at_source: "bytea", at_target: "BINARY(3)", is_key: false };
    let world = columns.with(&Pair::postgres_to_mariadb(), &[short, whole]).await;
    let told = settles(&world, 2, 0, "values").await;
    let conversions = &told.details[0].conversions;
    assert_eq!(conversions.iter().map(|one| (one.field.as_str(), one.rows)).collect::<Vec<_>>(), [("v", 1)]);
    let key = Columns { is_key: true, ..columns };
    let world = key.with(&Pair::postgres_to_mariadb(), &[short, whole]).await;
    settles(&world, 1, 1, "keys").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uuids_in_capitals_are_the_keys_of_a_column_that_writes_them_otherwise() {
    for target in [Place::postgres(), Place::mariadb()] {
        let pair = Pair { source: Place::postgres(), target };
        let columns = Columns { at_source: "text", at_target: "uuid", is_key: true };
        let (capitals, other) = (UUID.to_uppercase(), UUID.to_uppercase().replace("A11", "B22"));
        let values = [format!("'{capitals}'"), format!("'{other}'"), format!("'{{{UUID}}}'")];
        let world = columns.with(&pair, &values.each_ref().map(String::as_str)).await;
        let told = settles(&world, 2, 1, pair.target.dialect).await;
        assert_eq!(told.details[0].failures[0].key, format!("{{{UUID}}}"));
        world.run(&[&format!("DELETE FROM t WHERE id <> '{capitals}'"), "UPDATE t SET v = 2"]).await;
        assert_eq!(world.counts().await, (0, 1, 1, 0, 0), "{}", pair.target.dialect);
        let kept = world.at_target("SELECT CAST(id AS CHAR(36)) AS v FROM t").await;
        assert_eq!(texts(&kept), [UUID]);
        world.assert_verified().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_the_target_would_write_otherwise_is_refused_and_stays_refused() {
    for (at_source, values, taken, at_target) in [
        ("text", &["'5'", "'007'", "'-1'"][..], 1, "oid"),
        ("text", &["'10.0.0.1'", "'10.0.0.2/32'", "'::FF'"], 1, "inet"),
        ("text", &["'12:00:00'", "'13:00'", "'14:00:00.50'"], 1, "time"),
        ("text", &["'1 day'", "'P2D'"], 1, "interval"),
        ("text", &["'a'", "'bc'"], 1, "\"char\""),
        ("text", &["'aa:bb:cc:00:11:22'", "'AA:BB:CC:00:11:23'"], 1, "macaddr"),
    ] {
        let columns = Columns { at_source, at_target, is_key: true };
        let world = columns.with(&Pair::postgres_to_postgres(), values).await;
        settles(&world, taken, values.len() - taken, at_target).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_type_that_writes_keys_in_its_own_way_is_refused_at_the_start() {
    for (at_source, value, at_target) in
        [("numeric", "12.5", "money"), ("text", "'[1,5]'", "int4range"), ("text", "'12:00+02'", "timetz")]
    {
        let columns = Columns { at_source, at_target, is_key: true };
        let world = columns.with(&Pair::postgres_to_postgres(), &[value]).await;
        let told = world.sync().await;
        let failure = &told.details[0].failures[0];
        assert!(failure.reason.contains("column \"id\""), "{failure:?}");
        assert!(failure.reason.contains("primary key"), "{failure:?}");
        assert_eq!(world.at_target("SELECT id FROM t").await, json!([]));
        // Of the same type they are exact.
        let columns = Columns { at_source: at_target, at_target, is_key: true };
        let world = columns.with(&Pair::postgres_to_postgres(), &[value]).await;
        settles(&world, 1, 0, at_target).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_sqlite_that_is_none_of_its_type_is_refused_and_stays_refused() {
    let truths = &["1", "0", "'yes'", "2", "1.5"][..];
    let moments =
        &["'2024-01-01T00:00:00.000Z'", "'2024-01-02T00:00:00.123456Z'", "'x'", "0", "1704067200"][..];
    let numbers = &["1", "2", "'a'", "1.5"][..];
    for (at_source, values, targets) in [
        ("BOOLEAN", truths, [("boolean", 2), ("int", 2), ("text", 0)]),
        ("DATETIME", moments, [("timestamptz", 2), ("text", 2), ("date", 0)]),
        ("INT", numbers, [("bigint", 2), ("text", 2), ("int", 2)]),
    ] {
        for (at_target, taken) in targets {
            let pair = Pair { source: Place::sqlite(), target: Place::postgres() };
            let world = Columns { at_source, at_target, is_key: true }.with(&pair, values).await;
            settles(&world, taken, values.len() - taken, &format!("{at_source} into {at_target}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moments_of_sqlite_are_keys_in_the_notation_of_their_table() {
    for (is_postgres, at_target) in [(true, "timestamptz"), (false, "DATETIME"), (false, "TEXT")] {
        for (values, taken) in [
            (["'2024-01-01 00:00:00'", "'2024-01-02 12:30:01'", "'2024-01-01'", "'2024-01-01T00:00:00Z'"], 0),
            (["'2024-01-01 00:00:00'", "'2024-01-02 12:30:01'", "'2024-01-03 00:00:00'", "7"], 3),
            (["'2024-01-01'", "'2024-01-02'", "'2024-01-03'", "7"], 3),
        ] {
            let target = if is_postgres { Place::postgres() } else { Place::sqlite() };
            let pair = Pair { source: Place::sqlite(), target };
            let world = Columns { at_source: "DATETIME", at_target, is_key: true }.with(&pair, &values).await;
            let what = format!("{values:?} into {at_target}");
            settles(&world, taken, values.len() - taken, &what).await;
            if taken > 0 {
                world.run(&[&format!("DELETE FROM t WHERE id = {}", values[1])]).await;
                assert_eq!(world.counts().await, (0, 0, 1, 2, 1), "{what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_with_other_lower_bounds_is_no_key_but_is_not_taken_for_another() {
    let values = ["'{1,2}'", "'[0:1]={1,2}'", "'[-1:0]={1,2}'"];
    for at_target in ["int[]", "text"] {
        let columns = Columns { at_source: "int[]", at_target, is_key: true };
        let world = columns.with(&Pair::postgres_to_postgres(), &values).await;
        settles(&world, 1, 2, at_target).await;
    }
    let tables = ["CREATE TABLE t (id int[] PRIMARY KEY, v int)", "INSERT INTO t VALUES ('{1,2}', 1)"];
    let world = World::new(&Pair::postgres_to_postgres(), &tables).await;
    world.sync().await;
    world.run(&["INSERT INTO t VALUES ('[0:1]={1,2}', 2)", "DELETE FROM t WHERE id = '[0:1]={1,2}'"]).await;
    let _ = world.manager.sync("r", None).await;
    let kept = world.at_target("SELECT CAST(id AS text) AS id, v FROM t").await;
    assert_eq!(kept, json!([{"id": "{1,2}", "v": 1}]));
}
