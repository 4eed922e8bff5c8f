//! PostgreSQL's values, connections and errors.

use std::time::Duration;

use data::{
    ConnectionConfig, Dialect, DialectKind, ErrorKind, Filter, FindOptions, PoolSize, Timestamp, Value,
};
use serde_json::json;

use crate::database::{Database, person, postgres_port, record, schema};

async fn one(dialect: &dyn Dialect, expression: &str) -> Value {
    let rows = dialect.execute_query(&format!("SELECT {expression} AS v"), Vec::new()).await.unwrap();
    rows.into_iter().next().unwrap().swap_remove("v").unwrap()
}

#[tokio::test]
async fn raw_values_come_by_their_type() {
    let dialect = Database::postgres().open().await;
    let list = |items: &[Value]| Value::Array(items.to_vec());
    let decimal = |text: &str| Value::Decimal(text.into());
    let moment = |text: &str| Value::Timestamp(Timestamp::parse_iso(text).unwrap());
    for (expression, expected) in [
        ("true", true.into()),
        ("NULL::int", Value::Null),
        ("7::int2", Value::Int32(7)),
        ("2147483647", Value::Int32(i32::MAX)),
        ("9223372036854775807", Value::Int64(i64::MAX)),
        ("0.1::float4", Value::Float(0.1)),
        ("1e308::float8", Value::Float(1e308)),
        ("'-Infinity'::float8", Value::Float(f64::NEG_INFINITY)),
        ("123456789012345678901234567890.5", decimal("123456789012345678901234567890.5")),
        ("'NaN'::numeric", decimal("NaN")),
        ("'é'::text", "é".into()),
        ("'a'::char(3)", "a  ".into()),
        ("'2024-02-29'::date", "2024-02-29".into()),
        ("'infinity'::date", "infinity".into()),
        ("'12:30:00.5'::time", "12:30:00.5".into()),
        ("'1 year 2 mons 3 days 04:05:06'::interval", "1 year 2 mons 3 days 04:05:06".into()),
        ("'2024-02-29 12:00:00.123456+02'::timestamptz", moment("2024-02-29T10:00:00.123456Z")),
        ("'2024-02-29 12:00:00'::timestamp", moment("2024-02-29T12:00:00Z")),
        ("'infinity'::timestamptz", Value::Timestamp(Timestamp::INFINITY)),
        ("'0044-03-15 00:00:00 BC'::timestamp", moment("-000043-03-15T00:00:00Z")),
        ("'{\"a\": [1, null]}'::jsonb", Value::object([("a", list(&[1.into(), Value::Null]))])),
        ("'\\x00ff'::bytea", Value::Bytes(vec![0, 255].into())),
        ("ARRAY[1, NULL, 3]", list(&[1.into(), Value::Null, 3.into()])),
        (
            "ARRAY[['a,b', 'NULL'], ['\"', '\\']]",
            list(&[list(&["a,b".into(), "NULL".into()]), list(&["\"".into(), "\\".into()])]),
        ),
        ("'{}'::text[]", list(&[])),
        ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11".into()),
        ("int4range(1, 5)", "[1,5)".into()),
    ] {
        assert_eq!(one(&*dialect, expression).await, expected, "{expression}");
    }
}

#[tokio::test]
async fn parameters_take_the_types_that_the_server_infers() {
    let dialect = Database::postgres().open().await;
    let moment = Value::Timestamp(Timestamp::parse_iso("-000043-03-15T00:00:00Z").unwrap());
    for (cast, value) in [
        ("int4", Value::Int32(-1)),
        ("int8", Value::Int64(i64::MIN)),
        ("float8", Value::Float(0.1)),
        ("numeric", Value::Decimal("1e-20".into())),
        ("text", "it's \\ \"quoted\"".into()),
        ("bool", true.into()),
        ("timestamptz", moment.clone()),
        ("timestamptz", Value::Timestamp(Timestamp::INFINITY)),
        ("bytea", Value::Bytes(vec![0, 1, 255].into())),
        ("text[]", Value::Array(vec!["a\"b".into(), Value::Null, "c,d".into()])),
        ("jsonb", Value::object([("k", Value::Null)])),
        ("text", Value::Null),
    ] {
        let rows =
            dialect.execute_query(&format!("SELECT $1::{cast} AS v"), vec![value.clone()]).await.unwrap();
        let expected =
            if cast == "numeric" { Value::Decimal("0.00000000000000000001".into()) } else { value };
        assert_eq!(rows[0]["v"], expected, "{cast}");
    }
}

#[tokio::test]
async fn dates_beyond_iso_and_infinite_ones_are_stored() {
    let person = person();
    let dialect = Database::postgres().with(&[&person]).await;
    for moment in [
        Timestamp::INFINITY,
        Timestamp::NEG_INFINITY,
        Timestamp::parse_iso("+012000-01-01T00:00:00Z").unwrap(),
    ] {
        let mut row = record(json!({"name": "a"}));
        row.insert("born".to_owned(), Value::Timestamp(moment));
        let row = dialect.create(&person, row).await.unwrap();
        assert_eq!(row["born"], Value::Timestamp(moment));
        assert_eq!(
            dialect.count(&person, &Filter::eq("born", Value::Timestamp(moment)), false).await.unwrap(),
            1
        );
    }
}

#[tokio::test]
async fn a_table_made_by_others_is_usable_with_its_own_types() {
    let thing = schema(json!({
        "name": "Thing", "fields": {
            "count": {"type": "number"}, "price": {"type": "number"}, "code": {"type": "string"}, "at": {"type": "date"}
        }
    }));
    let dialect = Database::postgres().open().await;
    let sql = "CREATE TABLE thing (id serial PRIMARY KEY, count int, price numeric(10,2), code varchar(3), at timestamp, extra int[])";
    dialect.execute_run(sql, Vec::new()).await.unwrap();
    let row = record(json!({"id": "5", "count": 3, "price": 1.25, "code": "abc", "at": "2024-01-01"}));
    let row = dialect.create(&thing, row).await.unwrap();
    assert_eq!((&row["id"], &row["count"], &row["price"]), (&"5".into(), &3.0.into(), &1.25.into()));
    assert_eq!(dialect.count(&thing, &Filter::eq("count", 3.0), false).await.unwrap(), 1);
    let found = dialect.find(&thing, &Filter::eq("id", "5"), &FindOptions::default()).await.unwrap();
    assert_eq!(found[0]["extra"], Value::Null);
    let error = dialect.create(&thing, record(json!({"id": "6", "code": "too long"}))).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Value, "22001"));
    let error = dialect.create(&thing, record(json!({"id": "6", "code": "\0"}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
}

#[tokio::test]
async fn a_wrong_password_or_address_is_told_without_the_password() {
    let secret = "s3cret-pass";
    let uri = format!("postgres://locked:{secret}@127.0.0.1:{}/postgres", postgres_port());
    let error = data::connect(&ConnectionConfig::new(DialectKind::Postgres, uri)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(!format!("{error} {error:?}").contains(secret));
    let uri = format!("postgres://locked:{secret}@127.0.0.1:1/postgres");
    let error = data::connect(&ConnectionConfig::new(DialectKind::Postgres, uri)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(!format!("{error} {error:?}").contains(secret));
    let uri = format!("postgres://locked:{secret}@127.0.0.1/postgres?nonsense=1");
    let error = data::connect(&ConnectionConfig::new(DialectKind::Postgres, uri)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!format!("{error} {error:?}").contains(secret));
}

#[tokio::test]
async fn a_lost_connection_is_replaced() {
    let db = Database::postgres();
    let dialect = db.open().await;
    let admin = db.open().await;
    let own = one(&*dialect, "pg_backend_pid()").await;
    admin.execute_query("SELECT pg_terminate_backend($1)", vec![own.clone()]).await.unwrap();
    // The server needs a moment to close the connection; until then the old one may still be handed out.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        match dialect.execute_query("SELECT pg_backend_pid() AS v", Vec::new()).await {
            Ok(rows) if rows[0]["v"] != own => break,
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::Connection),
        }
        assert!(tokio::time::Instant::now() < deadline);
    }
}

#[tokio::test]
async fn a_read_only_server_refuses_writes() {
    let db = Database::postgres();
    let person = person();
    db.with(&[&person]).await;
    let mut config = db.config();
    config.uri = format!("{}?options=-c%20default_transaction_read_only%3Don", db.uri);
    let dialect = data::connect(&config).await.unwrap();
    assert_eq!(dialect.count(&person, &Filter::everything(), false).await.unwrap(), 0);
    let error = dialect.create(&person, record(json!({"name": "a"}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
}

#[tokio::test]
async fn statements_wait_for_a_free_connection_of_the_pool() {
    let db = Database::postgres();
    let dialect = db.open_with(|config| config.pool = PoolSize { min: 1, max: 2 }).await;
    let (first, second) = (dialect.begin(None).await.unwrap(), dialect.begin(None).await.unwrap());
    let waiting = tokio::spawn({
        let dialect = dialect.clone();
        async move { dialect.test_connection().await }
    });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    first.rollback().await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap().unwrap();
    second.rollback().await.unwrap();
}

#[tokio::test]
async fn what_postgres_has_no_form_for_is_refused_by_its_field() {
    let db = Database::postgres();
    let dialect = db.with(&[&person()]).await;
    for (field, value, what) in [
        ("name", json!("a\0b"), "the character NUL"),
        ("bio", json!("a\0b"), "the character NUL"),
        ("address", json!({"k": ["a\0b"]}), "the character NUL"),
        ("tags", json!([{"a\0b": 1}]), "the character NUL"),
        ("born", json!("-004800-01-01T00:00:00.000Z"), "4714 BC"),
    ] {
        let mut row = record(json!({"name": "Ann"}));
        row.insert(field.to_owned(), data::value_from_json(value));
        let error = dialect.create(&person(), row).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value, "{error}");
        assert!(error.to_string().starts_with(&format!("Person.{field}: ")), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
    let earliest = json!({"name": "Ann", "born": "-004713-11-24T00:00:00.000Z", "bio": "\\u0000"});
    dialect.create(&person(), record(earliest)).await.unwrap();
}
