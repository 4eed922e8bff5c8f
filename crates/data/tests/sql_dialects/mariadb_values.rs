//! MariaDB's values, connections and errors.

use std::time::Duration;

use data::{
    ConnectionConfig, Dialect, DialectKind, ErrorKind, Filter, FindOptions, PoolSize, Timestamp, Value,
};
use serde_json::json;

use crate::aggregate::aggregate;
use crate::database::{Database, filter, mariadb, mariadb_uri, person, record, schema};

async fn one(dialect: &dyn Dialect, expression: &str, params: Vec<Value>) -> Value {
    let rows = dialect.execute_query(&format!("SELECT {expression} AS v"), params).await.unwrap();
    rows.into_iter().next().unwrap().swap_remove("v").unwrap()
}

#[tokio::test]
async fn raw_values_come_by_their_type_from_text_and_from_prepared_statements() {
    let dialect = Database::mariadb().open().await;
    let decimal = |text: &str| Value::Decimal(text.into());
    let moment = |text: &str| Value::Timestamp(Timestamp::parse_iso(text).unwrap());
    for (expression, expected) in [
        ("NULL", Value::Null),
        ("CAST(-7 AS INT)", Value::Int32(-7)),
        ("9223372036854775807", Value::Int64(i64::MAX)),
        ("CAST(18446744073709551615 AS UNSIGNED)", decimal("18446744073709551615")),
        ("CAST(0.1 AS FLOAT)", Value::Float(0.1)),
        ("1e308", Value::Float(1e308)),
        ("12345678901234567890123456789012345.5", decimal("12345678901234567890123456789012345.5")),
        ("'é🐘'", "é🐘".into()),
        ("x'00ff'", Value::Bytes(vec![0, 255].into())),
        ("CAST('2024-02-29' AS DATE)", "2024-02-29".into()),
        ("CAST('-26:30:00.5' AS TIME(3))", "-26:30:00.5".into()),
        ("CAST('2024-02-29 12:00:00.123456' AS DATETIME(6))", moment("2024-02-29T12:00:00.123456Z")),
        ("CAST('2024-02-29 12:00:00' AS DATETIME)", moment("2024-02-29T12:00:00Z")),
    ] {
        assert_eq!(one(&*dialect, expression, Vec::new()).await, expected, "{expression} as text");
        let prepared = format!("IF(?, {expression}, NULL)");
        let value = one(&*dialect, &prepared, vec![true.into()]).await;
        assert!(value.same_as(&expected), "{expression} prepared: {value:?}");
    }
}

#[tokio::test]
async fn what_a_double_or_a_date_cannot_hold_is_refused_by_name() {
    let person = person();
    let dialect = Database::mariadb().with(&[&person]).await;
    for (field, value) in [
        ("age", Value::Float(f64::NAN)),
        ("born", Value::Timestamp(Timestamp::INFINITY)),
        ("born", Value::Timestamp(Timestamp::parse_iso("+012000-01-01T00:00:00Z").unwrap())),
        ("born", Value::Timestamp(Timestamp::parse_iso("2024-01-01T00:00:00.000001Z").unwrap())),
        ("name", Value::Text("x".repeat(256))),
        ("id", Value::Text("x".repeat(37))),
        ("address", (0..40).fold(Value::Null, |inner, _| Value::Array(vec![inner]))),
    ] {
        let mut row = record(json!({"name": "a"}));
        row.insert(field.to_owned(), value);
        let error = dialect.create(&person, row).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value, "{field}: {error}");
        assert!(error.to_string().contains(field), "{error}");
    }
    assert_eq!(dialect.count(&person, &Filter::everything(), false).await.unwrap(), 0);
    for iso in ["0001-01-01T00:00:00Z", "1905-06-30T00:00:00.001Z", "9999-12-31T23:59:59.999Z"] {
        let moment = Value::Timestamp(Timestamp::parse_iso(iso).unwrap());
        let mut row = record(json!({"name": "a"}));
        row.insert("born".to_owned(), moment.clone());
        assert_eq!(dialect.create(&person, row).await.unwrap()["born"], moment);
        assert_eq!(dialect.count(&person, &Filter::eq("born", moment), false).await.unwrap(), 1, "{iso}");
    }
}

#[tokio::test]
async fn text_is_compared_character_by_character_in_tables_of_ours_and_of_others() {
    let word = schema(json!({"name": "Word", "collection": "words", "fields": {"word": {"type": "string"}}}));
    let db = Database::mariadb();
    let own = db.with(&[&word]).await;
    let others = Database::mariadb().open().await;
    let sql = "CREATE TABLE words (id VARCHAR(36) PRIMARY KEY, word VARCHAR(255)) COLLATE utf8mb4_general_ci";
    others.execute_run(sql, Vec::new()).await.unwrap();
    for dialect in [own, others] {
        for (id, text) in [("1", "ete"), ("2", "Ete"), ("3", "été"), ("4", "ete ")] {
            dialect.create(&word, record(json!({"id": id, "word": text}))).await.unwrap();
        }
        for (by, expected) in [
            (json!({"word": "ete"}), 1),
            (json!({"word": {"$in": ["ete", "été"]}}), 2),
            (json!({"word": {"$ne": "ete"}}), 3),
            (json!({"word": {"$gt": "Ete"}}), 3),
            (json!({"word": {"$regex": "^e"}}), 2),
            (json!({"word": {"$regex": "^E", "$options": "i"}}), 3),
        ] {
            assert_eq!(dialect.count(&word, &filter(by.clone()), false).await.unwrap(), expected, "{by}");
        }
    }
}

#[tokio::test]
async fn a_table_made_by_others_is_usable_with_its_own_types() {
    let thing = schema(json!({
        "name": "Thing", "fields": {
            "count": {"type": "number"}, "price": {"type": "number"}, "at": {"type": "date"}, "on": {"type": "boolean"},
            "doc": {"type": "json"}
        },
        "relations": {"parent": {"type": "many-to-one", "target": "Thing"}}
    }));
    let db = Database::mariadb();
    let raw = db.open().await;
    let sql = "CREATE TABLE thing (id INT AUTO_INCREMENT PRIMARY KEY, count INT, price DECIMAL(10,2), at DATETIME, \
               `on` TINYINT(1), doc LONGTEXT, extra VARCHAR(20)) CHARSET latin1";
    raw.execute_run(sql, Vec::new()).await.unwrap();
    let dialect = db.with(&[&thing]).await;
    let row =
        record(json!({"id": "5", "count": 3, "price": 1.25, "at": "2024-01-01", "on": true, "doc": [1]}));
    let row = dialect.create(&thing, row).await.unwrap();
    assert_eq!((&row["id"], &row["count"], &row["price"]), (&"5".into(), &3.0.into(), &1.25.into()));
    assert_eq!((&row["on"], &row["doc"]), (&true.into(), &Value::Array(vec![1.into()])));
    assert_eq!(dialect.count(&thing, &Filter::eq("count", 3.0), false).await.unwrap(), 1);
    let changed = dialect.update(&thing, &"5".into(), record(json!({"count": 4}))).await.unwrap().unwrap();
    assert_eq!(changed["count"], 4.0.into());
    assert_eq!(dialect.count(&thing, &Filter::eq("id", "5x"), false).await.unwrap(), 0);
    assert!(dialect.delete(&thing, &"5".into()).await.unwrap());
}

#[tokio::test]
async fn a_value_of_many_megabytes_is_stored_and_one_too_long_is_refused() {
    let person = person();
    let dialect = Database::mariadb().with(&[&person]).await;
    let text = "é".repeat(8 << 20);
    let mut row = record(json!({"id": "1", "name": "long"}));
    row.insert("bio".to_owned(), Value::Text(text.clone()));
    assert_eq!(dialect.create(&person, row.clone()).await.unwrap()["bio"].as_text(), Some(text.as_str()));
    let found = dialect.find(&person, &Filter::everything(), &FindOptions::default()).await.unwrap();
    assert_eq!(found[0]["bio"].as_text().map(str::len), Some(text.len()));
    row.insert("bio".to_owned(), Value::Text(text.repeat(2)));
    let error = dialect.create(&person, row).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    assert!(error.to_string().contains("max_allowed_packet"), "{error}");
    assert_eq!(dialect.count(&person, &Filter::everything(), false).await.unwrap(), 1);
}

#[tokio::test]
async fn a_server_is_reached_under_either_name_and_by_its_socket() {
    let person = person();
    let name = "mariadb_by_any_name";
    mariadb().sql(&format!("CREATE DATABASE {name}"));
    let socket = mariadb().socket().display().to_string().replace('/', "%2F");
    for (kind, uri) in [
        (DialectKind::Mysql, mariadb_uri(name).replace("mariadb:", "mysql:")),
        (DialectKind::Mysql, mariadb_uri(name)),
        (
            DialectKind::Mariadb,
            format!("mysql://locked:the%20right%20one@127.0.0.1:{}/{name}", mariadb().port()),
        ),
        (DialectKind::Mariadb, format!("mariadb://root@localhost/{name}?socket={socket}&ssl-mode=disabled")),
    ] {
        let dialect = data::connect(&ConnectionConfig::new(kind, uri)).await.unwrap();
        assert_eq!(dialect.kind(), kind);
        dialect.init_schema(std::slice::from_ref(&person)).await.unwrap();
        dialect.create(&person, record(json!({"name": "a"}))).await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_password_address_or_option_is_told_without_the_password() {
    let secret = "s3cret-pass";
    let port = mariadb().port();
    for (uri, kind) in [
        (format!("mariadb://locked:{secret}@127.0.0.1:{port}/mysql"), ErrorKind::Authentication),
        (format!("mariadb://locked:{secret}@127.0.0.1:1/mysql"), ErrorKind::Connection),
        (format!("mariadb://locked:{secret}@127.0.0.1:{port}/mysql?nonsense=1"), ErrorKind::Config),
        (format!("mariadb://locked:the%20right%20one@127.0.0.1:{port}/no_such_{secret}"), ErrorKind::Config),
    ] {
        let config = ConnectionConfig::new(DialectKind::Mariadb, uri);
        let error = data::connect(&config).await.err().unwrap();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(kind == ErrorKind::Config || !format!("{error} {error:?}").contains(secret));
    }
}

#[tokio::test]
async fn a_lost_connection_is_replaced() {
    let db = Database::mariadb();
    let dialect = db.open_with(|config| config.pool = PoolSize { min: 1, max: 1 }).await;
    let own = one(&*dialect, "CONNECTION_ID()", Vec::new()).await;
    mariadb().sql(&format!("KILL {}", own.as_integer().unwrap()));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        match dialect.execute_query("SELECT CONNECTION_ID() AS v", Vec::new()).await {
            Ok(rows) if rows[0]["v"] != own => break,
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::Connection, "{error}"),
        }
        assert!(tokio::time::Instant::now() < deadline);
    }
}

#[tokio::test]
async fn a_transaction_that_the_server_ends_takes_no_more_statements() {
    let person = person();
    let dialect = Database::mariadb().with(&[&person]).await;
    for id in ["1", "2"] {
        dialect.create(&person, record(json!({"id": id, "name": "a"}))).await.unwrap();
    }
    let (one, other) = (dialect.begin(None).await.unwrap(), dialect.begin(None).await.unwrap());
    one.update(&person, &"1".into(), record(json!({"name": "one"}))).await.unwrap();
    other.update(&person, &"2".into(), record(json!({"name": "other"}))).await.unwrap();
    let change = |id: &'static str| record(json!({"name": id}));
    let ids = ["2".into(), "1".into()];
    let (first, second) =
        tokio::join!(one.update(&person, &ids[0], change("x")), other.update(&person, &ids[1], change("x")));
    let (lost, error) = match (first, second) {
        (Err(error), Ok(_)) => (&one, error),
        (Ok(_), Err(error)) => (&other, error),
        both => panic!("one of the two must be ended: {both:?}"),
    };
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let error = lost.create(&person, record(json!({"name": "alone"}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transaction);
    assert_eq!(lost.commit().await.unwrap_err().kind(), ErrorKind::Transaction);
    drop((one, other));
    assert_eq!(dialect.count(&person, &Filter::eq("name", "alone"), false).await.unwrap(), 0);
}

#[tokio::test]
async fn a_wrong_number_of_parameters_is_an_error_and_the_connection_stays_usable() {
    let dialect = Database::mariadb().open_with(|config| config.pool = PoolSize { min: 1, max: 1 }).await;
    for params in [vec![1.into()], vec![1.into(), 2.into(), 3.into()]] {
        let error = dialect.execute_query("SELECT ? + ? AS v", params).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Statement, "{error}");
    }
    assert!(one(&*dialect, "? + ?", vec![1.into(), 2.into()]).await.same_as(&3.into()));
}

#[tokio::test]
async fn several_statements_in_one_text_give_the_rows_of_the_last() {
    let dialect = Database::mariadb().open().await;
    let sql =
        "CREATE TABLE t (n INT); INSERT INTO t VALUES (1), (2); SELECT 0 AS n; SELECT n FROM t ORDER BY n";
    let rows = dialect.execute_query(sql, Vec::new()).await.unwrap();
    assert_eq!(rows.iter().map(|row| row["n"].clone()).collect::<Vec<_>>(), [1.into(), 2.into()]);
    let error =
        dialect.execute_run("SET autocommit = 0; INSERT INTO t VALUES (3)", Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transaction);
    let count = dialect.execute_query("SELECT count(*) AS n FROM t", Vec::new()).await.unwrap();
    assert!(count[0]["n"].same_as(&2.into()));
}

#[tokio::test]
async fn a_soft_deleting_entity_shows_no_column_but_its_own() {
    let user = schema(json!({
        "name": "User", "collection": "users", "softDelete": true, "fields": {"email": {"type": "string", "unique": true}}
    }));
    let dialect = Database::mariadb().with(&[&user]).await;
    let row = dialect.create(&user, record(json!({"id": "1", "email": "a"}))).await.unwrap();
    assert_eq!(row.keys().collect::<Vec<_>>(), ["id", "email", "deletedAt"]);
    let rows = dialect.execute_query("SELECT * FROM users", Vec::new()).await.unwrap();
    assert_eq!(rows[0].len(), 3);
    let table = dialect.tables().unwrap().describe("users").await.unwrap().unwrap();
    assert_eq!(table.columns.len(), 3);
}

#[tokio::test]
async fn documents_keep_their_characters_and_digits_when_they_are_grouped_and_told_apart() {
    let document = schema(json!({"name": "Doc", "fields": {"doc": {"type": "json"}}}));
    let dialect = Database::mariadb().with(&[&document]).await;
    let documents = [
        json!(2.5),
        json!("\u{e9}"),
        json!({"\u{e9}": "\u{e9}", "b": 1}),
        json!({"b": 1.0, "\u{e9}": "\u{e9}"}),
        json!(0.0),
        json!(-0.0),
        json!(9_007_199_254_740_993_i64),
        json!(9_007_199_254_740_992_i64),
    ];
    for (number, doc) in documents.iter().enumerate() {
        let row = record(json!({"id": number.to_string(), "doc": doc}));
        dialect.create(&document, row).await.unwrap();
    }
    let expected = [0, 2, 1, 7, 6, 4].map(|index| data::value_from_json(documents[index].clone()));
    let is_expected = |values: &[Value]| {
        values.len() == expected.len()
            && expected.iter().all(|expected| values.iter().any(|value| value.same_as(expected)))
    };
    // A prepared statement is another one when it is run again.
    for _ in 0..3 {
        let distinct = dialect.distinct(&document, "doc", &Filter::everything()).await.unwrap();
        assert!(is_expected(&distinct), "{distinct:?}");
        let groups = aggregate(&*dialect, &document, json!([{"$group": {"_by": "doc"}}])).await;
        let keys: Vec<Value> =
            groups.into_iter().map(|mut group| group.shift_remove("doc").unwrap()).collect();
        assert!(is_expected(&keys), "{keys:?}");
    }
}
