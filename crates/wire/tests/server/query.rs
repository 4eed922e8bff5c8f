//! Queries: parameters, formats, results, errors.

use wire::{Error, ErrorKind, Format, Param, QueryOptions, ResultFormat};

use crate::connect;

#[tokio::test]
async fn a_query_returns_its_columns_rows_and_command_tag() {
    let mut connection = connect().await;
    connection.simple_query("CREATE TEMP TABLE item (id int PRIMARY KEY, name varchar(20))").await.unwrap();
    let inserted = connection
        .query(
            "INSERT INTO item VALUES ($1, $2), ($3, $4)",
            &["1".into(), "one".into(), "2".into(), Param::null()],
        )
        .await
        .unwrap();
    assert_eq!((inserted.command_tag.as_str(), inserted.rows_affected), ("INSERT 0 2", 2));

    let result = connection.query("SELECT id, name, 1 AS id FROM item ORDER BY item.id", &[]).await.unwrap();
    let names: Vec<&str> = result.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "name", "id"]);
    let name = &result.columns[1];
    assert_eq!((name.type_oid, name.type_size, name.type_modifier, name.column_id), (1043, -1, 24, 2));
    assert_ne!(name.table_oid, 0);
    assert_eq!(result.columns[2].table_oid, 0);
    let rows: Vec<Vec<Option<&[u8]>>> = result.rows.iter().map(|row| row.iter().collect()).collect();
    assert_eq!(rows, [vec![Some(&b"1"[..]), Some(b"one"), Some(b"1")], vec![Some(b"2"), None, Some(b"1")]]);
    assert_eq!(result.rows_affected, 2);
}

#[tokio::test]
async fn the_server_infers_the_types_of_text_parameters() {
    let mut connection = connect().await;
    let sql = "SELECT $1::int + 1, $2::timestamptz < now(), $3::jsonb ->> 'a', $4::text";
    let parameters = ["41".into(), "2001-02-03".into(), r#"{"a": "x"}"#.into(), "".into()];
    let result = connection.query(sql, &parameters).await.unwrap();
    let row: Vec<_> = result.rows.get(0).unwrap().iter().collect();
    assert_eq!(row, [Some(&b"42"[..]), Some(b"t"), Some(b"x"), Some(b"")]);
}

#[tokio::test]
async fn a_given_type_and_a_binary_parameter_are_taken_as_such() {
    let mut connection = connect().await;
    let parameters = [
        Param::text("7").of_type(20),
        Param::binary(7_i32.to_be_bytes().to_vec()),
        Param::text("x").of_type(25),
    ];
    let sql = "SELECT pg_typeof($1)::text, $2::int4, pg_typeof($3)::text";
    let result = connection.query(sql, &parameters).await.unwrap();
    let row: Vec<_> = result.rows.get(0).unwrap().iter().collect();
    assert_eq!(row, [Some(&b"bigint"[..]), Some(b"7"), Some(b"text")]);
}

#[tokio::test]
async fn results_come_in_the_formats_asked_for() {
    let mut connection = connect().await;
    let sql = "SELECT 258::int4, 258::int4";
    let binary = connection.query_with(sql, &[], &QueryOptions::binary()).await.unwrap();
    assert_eq!(binary.rows.get(0).unwrap().get(1), Some(&[0, 0, 1, 2][..]));
    assert!(binary.columns.iter().all(|column| column.format == Format::Binary));
    let mixed = QueryOptions {
        result_format: ResultFormat::Columns(vec![Format::Text, Format::Binary]),
        ..QueryOptions::default()
    };
    let mixed = connection.query_with(sql, &[], &mixed).await.unwrap();
    let row = mixed.rows.get(0).unwrap();
    assert_eq!((row.get(0), row.get(1)), (Some(&b"258"[..]), Some(&[0, 0, 1, 2][..])));
    assert_eq!((mixed.columns[0].format, mixed.columns[1].format), (Format::Text, Format::Binary));
    let text = connection.query(sql, &[]).await.unwrap();
    assert!(text.columns.iter().all(|column| column.format == Format::Text));
}

#[tokio::test]
async fn a_server_error_has_all_its_fields_and_the_connection_goes_on() {
    let mut connection = connect().await;
    connection
        .simple_query("CREATE TEMP TABLE stock (amount int CONSTRAINT positive CHECK (amount > 0) NOT NULL)")
        .await
        .unwrap();
    let error = connection.query("INSERT INTO stock VALUES ($1)", &["-1".into()]).await.unwrap_err();
    let server = error.server().unwrap();
    assert_eq!((server.code.as_str(), server.severity.as_str()), ("23514", "ERROR"));
    assert_eq!((server.table.as_deref(), server.constraint.as_deref()), (Some("stock"), Some("positive")));
    assert!(server.schema.as_deref().unwrap().starts_with("pg_temp"));
    assert!(server.detail.as_deref().unwrap().contains("-1"));
    assert!(server.file.is_some() && server.line.is_some() && server.routine.is_some());

    let error = connection.query("INSERT INTO stock VALUES (NULL)", &[]).await.unwrap_err();
    assert_eq!(
        (error.sqlstate(), error.server().unwrap().column.as_deref()),
        (Some("23502"), Some("amount"))
    );
    let error = connection.query("SELECT nothing", &[]).await.unwrap_err();
    assert_eq!((error.sqlstate(), error.server().unwrap().position), (Some("42703"), Some(8)));
    let error = connection.query("SELEC 1", &[]).await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("42601"));
    let error = connection
        .query("DO $$ BEGIN RAISE EXCEPTION 'no' USING HINT = 'try', ERRCODE = '40001'; END $$", &[])
        .await
        .unwrap_err();
    let server = error.server().unwrap();
    assert_eq!((server.message.as_str(), server.hint.as_deref()), ("no", Some("try")));
    assert!(server.where_.as_deref().unwrap().contains("PL/pgSQL"));
    assert!(error.is_retryable());
    assert_eq!(crate::value(&mut connection, "SELECT 'usable'").await, "usable");
}

#[tokio::test]
async fn arguments_that_cannot_be_sent_are_refused_and_nothing_is_sent() {
    let mut connection = connect().await;
    let zero = connection.query("SELECT '\0'", &[]).await.unwrap_err();
    assert_eq!(zero.kind(), ErrorKind::Config);
    let many = vec![Param::text("1"); 65_536];
    let error = connection.query("SELECT 1", &many).await.unwrap_err();
    assert!(matches!(&error, Error::Config(config) if config.parameter == "parameters"), "{error}");
    assert_eq!(crate::value(&mut connection, "SELECT 1").await, "1");
}

#[tokio::test]
async fn a_simple_query_returns_the_result_of_each_statement() {
    let mut connection = connect().await;
    let results = connection
        .simple_query("SELECT 1 AS a; ; SELECT 2 AS b WHERE false; SET work_mem = '5MB'")
        .await
        .unwrap();
    let tags: Vec<&str> = results.iter().map(|result| result.command_tag.as_str()).collect();
    assert_eq!(tags, ["SELECT 1", "SELECT 0", "SET"]);
    assert_eq!((results[0].columns[0].name.as_str(), results[1].columns[0].name.as_str()), ("a", "b"));
    assert_eq!(results[0].rows.get(0).unwrap().get_str(0).unwrap(), Some("1"));
    assert!(connection.simple_query("").await.unwrap()[0].command_tag.is_empty());
    assert_eq!(connection.query("", &[]).await.unwrap().command_tag, "");
}

#[tokio::test]
async fn rows_without_columns_are_counted() {
    let mut connection = connect().await;
    let result = connection.query("SELECT FROM generate_series(1, 3)", &[]).await.unwrap();
    assert_eq!((result.rows.len(), result.columns.len()), (3, 0));
    assert_eq!(result.rows.iter().count(), 3);
}

#[tokio::test]
async fn a_result_of_many_batches_is_indexed_from_end_to_end() {
    let mut connection = connect().await;
    let sql = "SELECT i, repeat('x', i % 100) FROM generate_series(0, 49999) i";
    let result = connection.query(sql, &[]).await.unwrap();
    assert_eq!(result.rows.len(), 50_000);
    assert!(result.rows.batches().count() > 10);
    for index in [0, 1, 777, 25_000, 49_999] {
        let row = result.rows.get(index).unwrap();
        assert_eq!(row.get_str(0).unwrap(), Some(index.to_string().as_str()));
        assert_eq!(row.get(1).unwrap().len(), index % 100);
    }
    assert!(result.rows.get(50_000).is_none());
    let sum: u64 =
        result.rows.iter().map(|row| row.get_str(0).unwrap().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(sum, 49_999 * 50_000 / 2);
}

#[tokio::test]
async fn a_value_far_longer_than_any_buffer_goes_both_ways() {
    let mut connection = connect().await;
    let long = "ü".repeat(8 << 20);
    let result = connection.query("SELECT $1::text, length($1)", &[long.as_str().into()]).await.unwrap();
    let row = result.rows.get(0).unwrap();
    assert!(row.get(0) == Some(long.as_bytes()));
    assert_eq!(row.get_str(1).unwrap(), Some("8388608"));
}

#[tokio::test]
async fn a_stream_gives_all_rows_in_batches_and_then_the_tag() {
    let mut connection = connect().await;
    let mut stream = connection
        .query_stream(
            "SELECT i FROM generate_series(1, $1::int) i",
            &["100000".into()],
            &QueryOptions::binary(),
        )
        .await
        .unwrap();
    assert_eq!(stream.columns()[0].format, Format::Binary);
    let (mut rows, mut batches, mut sum) = (0, 0, 0_i64);
    while let Some(batch) = stream.next_batch().await.unwrap() {
        batches += 1;
        rows += batch.len();
        sum += batch
            .iter()
            .map(|row| i64::from(i32::from_be_bytes(row.get(0).unwrap().try_into().unwrap())))
            .sum::<i64>();
    }
    assert_eq!((rows, sum), (100_000, 5_000_050_000));
    assert!(batches > 10);
    assert_eq!((stream.command_tag(), stream.rows_affected()), (Some("SELECT 100000"), Some(100_000)));
    assert!(stream.next_batch().await.unwrap().is_none());
    assert_eq!(crate::value(&mut connection, "SELECT 2").await, "2");
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_stream_comes_after_the_rows_before_it() {
    let mut connection = connect().await;
    let sql = "SELECT 1 / (50000 - i) FROM generate_series(1, 60000) i";
    let mut stream = connection.query_stream(sql, &[], &QueryOptions::default()).await.unwrap();
    let mut rows = 0;
    let error = loop {
        match stream.next_batch().await {
            Ok(Some(batch)) => rows += batch.len(),
            Ok(None) => panic!("the stream ended without its error"),
            Err(error) => break error,
        }
    };
    assert_eq!((error.sqlstate(), rows), (Some("22012"), 49_999));
    assert!(stream.next_batch().await.unwrap().is_none());
    assert_eq!(crate::value(&mut connection, "SELECT 1").await, "1");
}
