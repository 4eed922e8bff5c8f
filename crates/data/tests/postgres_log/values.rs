//! Values of every type come from the log as they come from a scan.

use std::sync::Arc;

use data::log::Operation;
use data::table::{ColumnType, Row, ScanOptions, Table};

use crate::source::{Feed, Source, rows};

/// Types whose binary form is read, with values as SQL expressions.
const BINARY: &[(&str, &[&str])] = &[
    ("boolean", &["true", "false"]),
    ("smallint", &["-32768", "32767", "0"]),
    ("integer", &["-2147483648", "2147483647", "7"]),
    ("bigint", &["-9223372036854775808", "9223372036854775807", "0"]),
    ("real", &["'NaN'", "'-Infinity'", "0.1", "1e-45", "3.4028235e38", "-0.0", "16777217"]),
    ("double precision", &["'NaN'", "'Infinity'", "0.1", "5e-324", "1.7976931348623157e308", "-0.0"]),
    (
        "numeric",
        &[
            "'NaN'",
            "'Infinity'",
            "0",
            "-0.000100",
            "123456789012345678901234567890.123456789",
            "1e20",
            "1e-20",
        ],
    ),
    ("numeric(12,3)", &["1.5", "-999999999.999", "0"]),
    ("text", &["''", "'a\u{e4}\u{1f600}'", "E'tab\\t\\n\\\\ ''quote'' \"'", "repeat('long', 5000)"]),
    ("varchar(10)", &["'abc'", "''"]),
    ("char(5)", &["'ab'", "'abcde'"]),
    ("name", &["'a name'"]),
    ("bytea", &["''", "'\\x00ff10'", "decode(repeat('00ff', 3000), 'hex')"]),
    ("uuid", &["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"]),
    ("date", &["'2024-02-29'", "'0044-03-15 BC'", "'infinity'", "'-infinity'", "'12345-01-01'"]),
    ("time", &["'00:00'", "'24:00:00'", "'12:34:56.789'", "'12:34:56.000001'"]),
    (
        "timestamp",
        &[
            "'2024-02-29 12:34:56.789'",
            "'4713-01-01 00:00 BC'",
            "'infinity'",
            "'294246-12-31 23:59:59.999999'",
        ],
    ),
    ("timestamptz", &["'2024-02-29 12:34:56.789+05:30'", "'-infinity'", "'0001-01-01 00:00+00 BC'"]),
    (
        "jsonb",
        &[
            "'null'",
            "'{\"b\":[1,2.50,1e3,null],\"a\":\"\u{e4}\\n\"}'",
            "'12345678901234567890.5'",
            "'\"text\"'",
        ],
    ),
    (
        "json",
        &[
            "'null'",
            "'{ \"b\" : 1, \"a\":{\"x\":[]}, \"b\":2}'",
            "'[1.0, 0.1, 1e2, -0, -1.5E-3, 12E+1]'",
            "'{\"1e5\":\"2e6\"}'",
        ],
    ),
    ("int[]", &["'{}'", "'{1,NULL,3}'", "'{{1,2},{3,4}}'", "'[0:1]={5,6}'"]),
    ("text[]", &["'{a,\"b,\\\"c\\\\\",\"NULL\",NULL,\"\"}'"]),
    ("numeric(6,2)[]", &["'{1.5,NaN}'"]),
    ("timestamptz[]", &["'{2024-02-29 12:34:56.789+00,infinity}'"]),
    ("jsonb[]", &["ARRAY['null', '{\"a\":1}', NULL]::jsonb[]"]),
    ("json[]", &["ARRAY['null', '[1e2]', NULL]::json[]"]),
    ("bytea[]", &["ARRAY['\\x00ff', '']::bytea[]"]),
    ("float4[]", &["'{0.1,NaN}'"]),
];

/// Types that are read as text; one of them has the whole stream sent as text.
const TEXT: &[(&str, &[&str])] = &[
    ("interval", &["'1 year 2 mons -3 days 04:05:06.789'", "'0'"]),
    ("mood", &["'ok'", "'so so'"]),
    ("mood[]", &["'{ok,\"so so\",NULL}'"]),
    ("positive", &["5"]),
    ("pair", &["ROW(1, 'a \"b\"')"]),
    ("int4range", &["'[1,5)'", "'empty'"]),
    ("tstzrange", &["'[2024-01-01 00:00+02,)'"]),
    ("inet", &["'10.0.0.1'", "'10.0.0.1/8'", "'::1'"]),
    ("inet[]", &["'{10.0.0.1,::1/64}'"]),
    ("cidr", &["'10.0.0.0/8'"]),
    ("macaddr", &["'08:00:2b:01:02:03'"]),
    ("timetz", &["'12:34:56.7+02'"]),
    ("bit(3)", &["B'101'"]),
    ("varbit", &["B'10101'"]),
    ("money", &["-1234.56"]),
    ("xml", &["'<a b=\"c\">d</a>'"]),
    ("point", &["'(1.5,-2)'"]),
    ("box[]", &["'{(2,2),(1,1);(4,4),(3,3)}'"]),
    ("tsvector", &["'a:1 b:2'"]),
    ("\"char\"", &["'x'"]),
    ("oid", &["4294967295"]),
    ("interval[]", &["'{1 day,02:00}'"]),
    ("xid8", &["'18446744073709551615'"]),
];

const TYPES: &str = "CREATE TYPE mood AS ENUM ('ok', 'so so'); CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);";

/// A table with a column of each type, and the rows that are to be put into it.
fn statements(types: &[(&str, &[&str])]) -> (String, Vec<String>) {
    let columns: Vec<_> = types.iter().enumerate().map(|(i, (name, _))| format!("c{i} {name}")).collect();
    let create = format!("CREATE TABLE t (id int PRIMARY KEY, {})", columns.join(", "));
    let most = types.iter().map(|(_, values)| values.len()).max().unwrap();
    let row = |number: usize| {
        let values: Vec<_> = types
            .iter()
            .map(|(name, values)| match values.get(number % (values.len() + 1)) {
                Some(value) => format!("({value})::{name}"),
                None => "NULL".to_owned(),
            })
            .collect();
        format!("INSERT INTO t VALUES ({number}, {})", values.join(", "))
    };
    (create, (0..=most).map(row).collect())
}

/// NaN is not equal to itself, but it is shown in one way. The names in documents have no order.
fn shown(table: &Table, row: &Row) -> Vec<String> {
    let json = |column: &ColumnType| match column {
        ColumnType::Array(element) => **element == ColumnType::Json,
        column => *column == ColumnType::Json,
    };
    let show = |(value, column): (&data::Value, &data::table::TableColumn)| {
        let mut text = data::json_text(value);
        if json(&column.column_type) {
            let mut characters: Vec<_> = text.chars().collect();
            characters.sort_unstable();
            text = characters.into_iter().collect();
        }
        format!("{} {}: {:?} {text}", column.name, value.type_name(), column.column_type)
    };
    row.iter().zip(&table.columns).map(show).collect()
}

/// What a feed delivers of the inserts must be what a scan gives.
pub(crate) async fn compare(source: &Source, inserts: &[String], mut feed: Feed) {
    let table = source.table("t").await;
    let mut streamed: Vec<Row> = Vec::new();
    for statement in inserts {
        source.run(statement).await;
        let transaction = feed.transaction().await;
        assert_eq!(*transaction.changes[0].table, *table);
        for operation in transaction.operations() {
            match operation {
                Operation::Insert { row } => streamed.push(row),
                other => panic!("{other:?} is no insert"),
            }
        }
    }
    let snapshot = source.store().snapshot().await.unwrap();
    let mut scanned = rows(&*snapshot, &table, ScanOptions::default()).await;
    scanned.sort_by_key(|row| row[0].as_f64().unwrap() as i64);
    assert_eq!(streamed.len(), scanned.len());
    for (streamed, scanned) in streamed.iter().zip(&scanned) {
        assert_eq!(shown(&table, streamed), shown(&table, scanned));
        for (streamed, scanned) in streamed.iter().zip(scanned) {
            let is_nan = data::json_text(scanned).contains("NaN") || format!("{scanned:?}").contains("NaN");
            assert!(is_nan || streamed == scanned, "{streamed:?} is not {scanned:?}");
        }
    }
}

/// A table of all types in its own database, and statements that fill it.
pub(crate) async fn all_types() -> (Source, Vec<String>) {
    let all: Vec<_> = BINARY.iter().chain(TEXT).copied().collect();
    let (create, inserts) = statements(&all);
    (Source::new(&format!("{TYPES} {create}")).await, inserts)
}

#[tokio::test]
async fn values_sent_in_binary_are_those_of_a_scan() {
    let (create, inserts) = statements(BINARY);
    let source = Source::new(&create).await;
    let (_, feed) = source.feed(&["t"]).await;
    compare(&source, &inserts, feed).await;
}

#[tokio::test]
async fn values_sent_as_text_are_those_of_a_scan() {
    let (source, inserts) = all_types().await;
    let (_, feed) = source.feed(&["t"]).await;
    compare(&source, &inserts, feed).await;
}

/// Pseudo-random expressions for values of each of the types that every database has.
fn random_rows(seed: u64, count: usize) -> Vec<String> {
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 11
    };
    let row = |number: usize| {
        let (bits, digits, scale) = (next(), next() % 40, next() % 30);
        let characters = ["a", "'' ", "\\", "\u{e9}", "\u{4e2d}", "\u{1f600}", "\n", "\"", "{", ","];
        let text: String = (0..next() % 12).map(|_| characters[(next() % 10) as usize]).collect();
        let numeric: String = (0..=digits).map(|_| char::from(b'0' + (next() % 10) as u8)).collect();
        let hex: String = (0..next() % 20).map(|_| format!("{:02x}", next() % 256)).collect();
        let json = text.replace(['\\', '"', '\n'], "");
        let sign = if bits % 2 == 0 { "-" } else { "" };
        let micros = (bits % (1 << 58)) as i64 - (1 << 57);
        let values = [
            format!("{}::smallint", bits % 32_768),
            format!("{sign}{}::int", bits % 2_147_483_648),
            format!("{sign}{bits}::bigint"),
            format!("'{sign}{}e{}'::float4", bits % 16_777_216, bits % 60 - (bits % 60).min(30)),
            format!("'{sign}{bits}e-{scale}'::float8"),
            format!("{sign}{numeric}.{}::numeric", "12345".repeat((scale / 5) as usize)),
            format!("'{text}'::text"),
            format!("'\\x{hex}'::bytea"),
            format!("md5('{number}')::uuid"),
            format!("date '2000-01-01' + {}", micros % 700_000),
            format!("time '00:00' + {} * interval '1 microsecond'", bits % 86_400_000_000),
            format!("timestamp '2000-01-01' + {micros} * interval '1 microsecond'"),
            format!("timestamptz '2000-01-01' + {micros} * interval '1 microsecond'"),
            format!(
                "jsonb_build_object('{json}', {sign}{numeric}, 'l', jsonb_build_array({}, NULL, {sign}0.{numeric}))",
                bits % 2 == 0
            ),
            format!(
                "('{{\"k\": {sign}{}e{scale}, \"{json}\": [{sign}1.{numeric}E-{scale}]}}')::json",
                bits % 1000
            ),
            format!("ARRAY['{text}', NULL, '{json}']::text[]"),
            format!("ARRAY[{sign}{bits}, NULL]::bigint[]"),
        ];
        let nulled: Vec<_> =
            values.into_iter().map(|value| if next() % 9 == 0 { "NULL".to_owned() } else { value }).collect();
        format!("INSERT INTO t VALUES ({number}, {})", nulled.join(", "))
    };
    (0..count).map(row).collect()
}

#[tokio::test]
async fn random_values_in_binary_and_as_text_are_those_of_a_scan() {
    let columns = "s smallint, i int, l bigint, f float4, d float8, n numeric, t text, b bytea, u uuid, da date, ti time,
                   ts timestamp, tz timestamptz, jb jsonb, j json, ta text[], la bigint[]";
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros() as u64;
    eprintln!("seed {seed}");
    for further in ["", ", span interval"] {
        let source = Source::new(&format!("CREATE TABLE t (id int PRIMARY KEY, {columns}{further})")).await;
        let (_, feed) = source.feed(&["t"]).await;
        compare(&source, &random_rows(seed, 120), feed).await;
    }
}

#[tokio::test]
async fn keys_of_deleted_and_moved_rows_are_those_of_a_scan() {
    let keys = "a smallint, b bigint, c numeric, d text, e bytea, f uuid, g date, h timestamptz, i char(4), j mood, k inet, l float4";
    let source = Source::new(&format!(
        "{TYPES} CREATE TABLE t ({keys}, v int, PRIMARY KEY (c, a, b, d, e, f, g, h, i, j, k, l))"
    ))
    .await;
    let (_, mut feed) = source.feed(&["t"]).await;
    let table = source.table("t").await;
    source
        .run(
            "INSERT INTO t VALUES (1, 2, 3.50, 'x''', '\\x00ff', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '0044-03-15 BC', \
             '2024-02-29 12:34:56.789+01', 'ab', 'so so', '10.0.0.1', 0.1, 0)",
        )
        .await;
    let snapshot = source.store().snapshot().await.unwrap();
    let before = table.key_of(&rows(&*snapshot, &table, ScanOptions::default()).await[0]);
    source.run("UPDATE t SET l = 0.2").await;
    let snapshot = source.store().snapshot().await.unwrap();
    let after = table.key_of(&rows(&*snapshot, &table, ScanOptions::default()).await[0]);
    source.run("DELETE FROM t").await;
    feed.transaction().await;
    let moved = feed.operations().await;
    let Operation::Update { old_key, row, .. } = &moved[0] else { panic!("{moved:?}") };
    assert_eq!((old_key.as_ref(), table.key_of(row)), (Some(&before), after.clone()));
    assert_eq!(feed.operations().await, [Operation::Delete { key: after }]);
}

#[tokio::test]
async fn a_column_that_is_read_as_text_is_added_while_the_stream_is_binary() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let (reader, mut feed) = source.feed(&["t"]).await;
    source.run("INSERT INTO t VALUES (1, 'a')").await;
    let first = feed.transaction().await;
    source.run("ALTER TABLE t ADD COLUMN i inet").await;
    source.run("INSERT INTO t VALUES (2, 'b', '10.0.0.1')").await;
    source.run("ALTER TABLE t DROP COLUMN i").await;
    let error = loop {
        if let Err(error) = feed.try_next().await {
            break error;
        }
    };
    assert_eq!(error.kind(), data::ErrorKind::Connection, "{error}");
    drop(feed);
    let log = source.log();
    crate::source::eventually("the slot is free", async || {
        !log.status(&reader.name).await.unwrap().unwrap().active
    })
    .await;
    let mut again = source.stream(&reader, &first.end).await;
    let transaction = again.transaction().await;
    assert_eq!(transaction.operations(), [crate::source::insert([2.into(), "b".into(), "10.0.0.1".into()])]);
    assert!(!Arc::ptr_eq(&transaction.changes[0].table, &first.changes[0].table));
}

#[tokio::test]
async fn computed_columns_have_their_values() {
    let source = Source::new(
        "CREATE TABLE t (id int PRIMARY KEY, full_name text GENERATED ALWAYS AS (first || ' ' || last) STORED, first text,
                         last text, n numeric, twice numeric GENERATED ALWAYS AS (n * 2) STORED, j jsonb,
                         size int GENERATED ALWAYS AS (jsonb_array_length(j)) STORED, seven int GENERATED ALWAYS AS (7) STORED,
                         long text, length int GENERATED ALWAYS AS (length(long)) STORED)",
    )
    .await;
    let (_, mut feed) = source.feed(&["t"]).await;
    source
        .run(
            "INSERT INTO t (id, first, last, n, j, long) VALUES (1, 'Ada', 'L''', 1.25, '[1,null]', NULL), (2, NULL, 'x', NULL, NULL, \
             (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 400) i))",
        )
        .await;
    source.run("UPDATE t SET first = 'Bob' WHERE id = 2").await;
    let table = source.table("t").await;
    let inserted = feed.transaction().await;
    assert_eq!(*inserted.changes[0].table, *table);
    let snapshot = source.store().snapshot().await.unwrap();
    let scanned = rows(&*snapshot, &table, ScanOptions::default()).await;
    let Operation::Insert { row } = &inserted.operations()[0] else { panic!("an insert") };
    assert_eq!(row, &scanned[0]);
    let updated = feed.operations().await;
    let Operation::Update { row, unchanged, .. } = &updated[0] else { panic!("{updated:?}") };
    assert!(unchanged.contains(table.position("long").unwrap()));
    assert!(!unchanged.contains(table.position("length").unwrap()), "it was read from the row");
    assert_eq!(row[table.position("full_name").unwrap()], "Bob x".into());
    assert_eq!(row[table.position("length").unwrap()], 12_800.into());
}
